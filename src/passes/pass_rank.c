/* Activations and softmax behind a view to a rank that no step has: they are computed before the view, which moves on
 * towards the output, where a rank costs nothing.
 * Owner rule: added nodes and values belong to the graph. */
#include "passes/chain.h"

static bool has_steps(const kf__shape *s) { return s->rank == 2 || s->rank == 4; }

/* The axis of `x` that is the softmax axis of `n`, or -1. An axis of one element is any other of one element. */
static int axis_before(const kf__graph *g, const kf__node *n, kf__vid *x) {
    const kf__shape *s = &g->values[n->in[0]].shape;
    bool pick[KF_MAX_RANK] = {false}, out[KF_MAX_RANK];
    int found = -1;
    const int axis = n->attrs.axis < 0 ? n->attrs.axis + s->rank : n->attrs.axis;
    pick[axis] = true;
    if (s->dim[axis] == 1 || !kf__chain_behind_view(g, n->in[0], pick, x, out)) return -1;
    for (int i = 0; i < g->values[*x].shape.rank; i++) {
        if (out[i] && found >= 0) return -1;
        if (out[i]) found = i;
    }
    return found;
}

/* An elementwise node takes any input; softmax one whose axis is still an axis. */
static bool moves(const kf__graph *g, const kf__node *n, kf__vid *x, int *axis) {
    const kf__node *view = kf__match_any(g, n->in[0]);
    if (!view || !kf__op_is_view(view->op) || has_steps(&g->values[n->in[0]].shape)) return false;
    *x = view->in[0];
    *axis = 1;
    if (g->values[*x].shape.rank < 1) return false;
    if (kf__op_table[n->op].role == KF_ROLE_ACTIVATION && n->n_in == 1) return true;
    if (n->op == KF_OP_LEAKY_RELU) return true;
    if (n->op != KF_OP_SOFTMAX && n->op != KF_OP_LOG_SOFTMAX) return false;
    *axis = axis_before(g, n, x);
    return *axis >= 0;
}

kf_status kf__pass_rank(kf__graph *g, bool *changed, kf_error *err) {
    const size_t count = g->n_nodes;
    for (size_t i = 0; i < count; i++) {
        kf__vid x;
        int axis;
        if (g->nodes[i].dead || !moves(g, &g->nodes[i], &x, &axis)) continue;
        const kf__shape shape = g->values[x].shape, result = g->values[g->nodes[i].out[0]].shape;
        kf__node *n = NULL;
        kf__chain c = kf__chain_begin(g, i, x, err);
        KF_TRY(kf__chain_link(&c, g->nodes[i].op, KF_NO_VALUE, &shape, &n));
        n->attrs = g->nodes[i].attrs;
        n->attrs.axis = axis;
        KF_TRY(kf__chain_view(&c, &result));
        KF_TRY(kf__chain_end(&c));
        *changed = true;
    }
    return KF_OK;
}
