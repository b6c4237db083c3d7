/* Common subexpressions: a node that repeats an earlier one is dropped, as are repeated small constants.
 * Owner rule: nothing is allocated. */
#include "passes/passes.h"

/* Scalars, shapes and pads repeat; comparing large weights would cost more than it saves. */
enum { SMALL_CONST = 64 };

static bool same_const(const kf__value *a, const kf__value *b) {
    return a->bytes == b->bytes && a->dtype == b->dtype && kf__shape_equal(&a->shape, &b->shape) &&
           memcmp(a->data, b->data, a->bytes) == 0;
}

static bool same_inputs(const kf__graph *g, const kf__node *a, const kf__node *b) {
    if (a->n_in != b->n_in || a->n_out != b->n_out) return false;
    for (int i = 0; i < a->n_in; i++) {
        if (a->in[i] == b->in[i]) continue;
        if (!kf__match_is_const(g, a->in[i]) || !kf__match_is_const(g, b->in[i])) return false;
        const kf__value *x = &g->values[a->in[i]], *y = &g->values[b->in[i]];
        if (x->bytes > SMALL_CONST || !same_const(x, y)) return false;
    }
    return true;
}

static bool same_attrs(const kf__attrs *a, const kf__attrs *b) {
    return kf__window_same(&a->window, &b->window) && kf__activation_same(&a->act, &b->act) &&
           kf__activation_same(&a->post_act, &b->post_act) && kf__activation_same(&a->gate_act, &b->gate_act) &&
           a->alpha == b->alpha && a->beta == b->beta && a->epsilon == b->epsilon && a->value == b->value &&
           a->axis == b->axis && a->keepdims == b->keepdims && a->trans_a == b->trans_a && a->trans_b == b->trans_b &&
           a->ceil_mode == b->ceil_mode && a->count_include_pad == b->count_include_pad && a->start == b->start &&
           a->end == b->end && a->to == b->to && a->n_axes == b->n_axes &&
           memcmp(a->axes, b->axes, (size_t)a->n_axes * sizeof a->axes[0]) == 0;
}

static bool same_node(const kf__graph *g, const kf__node *a, const kf__node *b) {
    return a->op == b->op && !a->dead && same_inputs(g, a, b) && same_attrs(&a->attrs, &b->attrs);
}

kf_status kf__pass_cse(kf__graph *g, bool *changed, kf_error *err) {
    for (size_t i = 0; i < g->n_nodes; i++) {
        kf__node *n = &g->nodes[i];
        if (n->dead || n->n_out != 1 || n->n_in < 1 || n->op == KF_OP_DROPOUT) continue;
        for (size_t k = 0; k < i; k++) {
            kf__node *e = &g->nodes[k];
            if (!same_node(g, e, n) || kf__match_is_output(g, n->out[0])) continue;
            KF_TRY(kf__graph_merge_sources(g, e, n, err));
            kf__graph_replace_uses(g, n->out[0], e->out[0]);
            n->dead = true;
            *changed = true;
            break;
        }
    }
    return KF_OK;
}
