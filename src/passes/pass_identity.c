/* Removes nodes that copy their input: Identity, Dropout, and operators whose parameters make them do nothing.
 * Owner rule: nothing is allocated. */
#include "passes/passes.h"

#include <math.h>

static bool same_shape(const kf__graph *g, kf__vid a, kf__vid b) {
    return g->values[a].shape.rank >= 0 && kf__shape_equal(&g->values[a].shape, &g->values[b].shape) &&
           g->values[a].dtype == g->values[b].dtype;
}

static bool identity_order(const kf__node *n) {
    for (int i = 0; i < n->attrs.n_axes; i++)
        if (n->attrs.axes[i] != i) return false;
    return n->attrs.n_axes > 0;
}

static bool no_pads(const kf__node *n) {
    for (int i = 0; i < n->attrs.n_axes; i++)
        if (n->attrs.axes[i] != 0) return false;
    return n->attrs.n_axes > 0;
}

/** x + 0, x - 0, x * 1, x / 1: returns the index of x, or -1. */
static int neutral(const kf__graph *g, const kf__node *n) {
    float s;
    int x = kf__match_with_scalar(g, n, &s);
    if (x < 0) return -1;
    bool sum = n->op == KF_OP_ADD || n->op == KF_OP_SUB, product = n->op == KF_OP_MUL || n->op == KF_OP_DIV;
    bool either_way = n->op == KF_OP_ADD || n->op == KF_OP_MUL;
    return ((sum && s == 0.0f) || (product && s == 1.0f)) && (either_way || x == 0) ? x : -1;
}

/** Relu of something that an earlier Relu or Clip already made non-negative. */
static bool already_positive(const kf__graph *g, kf__vid v) {
    if (kf__match_producer(g, v, KF_OP_RELU)) return true;
    const kf__node *c = kf__match_producer(g, v, KF_OP_CLIP);
    return c && c->attrs.act.lo >= 0.0f;
}

/** A reduction whose list of axes is empty, and which then does nothing. */
static bool reduces_nothing(const kf__graph *g, const kf__node *n) {
    if (n->op != KF_OP_REDUCE_MEAN && n->op != KF_OP_REDUCE_SUM && n->op != KF_OP_REDUCE_MAX) return false;
    bool known = kf__match_in(n, 1) < 0 || kf__match_is_const(g, n->in[1]);
    return known && n->attrs.noop && n->attrs.n_axes == 0;
}

static bool mask_is_unused(const kf__graph *g, const kf__node *n) {
    return n->n_out < 2 || n->out[1] < 0 || kf__graph_few_uses(g, n->out[1], &(int32_t){0}) == 0;
}

static bool unbounded(const kf__node *n) {
    bool open = n->attrs.act.lo == -INFINITY && n->attrs.act.hi == INFINITY;
    return open && kf__match_in(n, 1) < 0 && kf__match_in(n, 2) < 0;
}

/** Does the output equal the first input? */
static bool copies(const kf__graph *g, const kf__node *n) {
    kf__vid x = n->in[0], y = n->out[0];
    if (n->op == KF_OP_IDENTITY) return true;
    if (n->op == KF_OP_DROPOUT) return mask_is_unused(g, n);
    if (kf__op_is_view(n->op) || n->op == KF_OP_CAST || n->op == KF_OP_CAST_LIKE || n->op == KF_OP_EXPAND)
        return same_shape(g, x, y);
    if (n->op == KF_OP_TRANSPOSE) return identity_order(n);
    if (n->op == KF_OP_PAD) return no_pads(n) && same_shape(g, x, y);
    if (n->op == KF_OP_CONCAT || n->op == KF_OP_SUM || n->op == KF_OP_MEAN) return n->n_in == 1;
    if (kf__op_table[n->op].role == KF_ROLE_REDUCTION) return reduces_nothing(g, n);
    if (n->op == KF_OP_RELU) return already_positive(g, x);
    return n->op == KF_OP_CLIP && unbounded(n);
}

/** Index of the input that equals the output, or -1. */
static int copied_input(const kf__graph *g, const kf__node *n) {
    if (copies(g, n)) return 0;
    int i = kf__op_table[n->op].role == KF_ROLE_ARITHMETIC ? neutral(g, n) : -1;
    return i >= 0 && same_shape(g, n->in[i], n->out[0]) ? i : -1;
}

/** Reshape of a reshape, flatten of a squeeze: only the last one counts, if it gives its whole target shape. */
static bool skip_inner_view(kf__graph *g, kf__node *n) {
    if (n->op != KF_OP_RESHAPE && !(n->op == KF_OP_FLATTEN && n->attrs.axis == 1)) return false;
    if (n->op == KF_OP_RESHAPE) {
        /* A zero in the target copies an extent of the direct input. */
        if (!kf__match_is_const(g, n->in[1]) || g->values[n->in[1]].dtype != KF_I64) return false;
        const int64_t *t = g->values[n->in[1]].data;
        for (size_t i = 0; i < g->values[n->in[1]].bytes / sizeof *t; i++)
            if (t[i] == 0) return false;
    }
    const kf__node *p = kf__match_any(g, n->in[0]);
    if (!p || !kf__op_is_view(p->op)) return false;
    const kf__shape *s = &g->values[p->in[0]].shape, *o = &g->values[n->out[0]].shape;
    if (n->op == KF_OP_FLATTEN && (s->rank < 2 || o->rank != 2 || s->dim[0] != o->dim[0])) return false;
    kf__rewrite_input(g, n, 0, p->in[0]);
    return true;
}

/** Does a Gather take every place of its axis once and in order? Whatever shape its list has, it is a Reshape then. */
static bool takes_in_order(const kf__graph *g, const kf__node *n) {
    if (n->op != KF_OP_GATHER || n->n_in != 2 || !kf__match_is_const(g, n->in[1])) return false;
    const kf__value *x = &g->values[n->in[0]], *list = &g->values[n->in[1]];
    const int axis = n->attrs.axis < 0 ? n->attrs.axis + x->shape.rank : n->attrs.axis;
    const bool wide = list->dtype == KF_I64;
    if (x->data || axis < 0 || axis >= x->shape.rank || (!wide && list->dtype != KF_I32)) return false;
    const size_t count = list->bytes / kf_dtype_size(list->dtype);
    if (count == 0 || x->shape.dim[axis] != (int64_t)count) return false;
    for (size_t i = 0; i < count; i++)
        if ((wide ? ((const int64_t *)list->data)[i] : ((const int32_t *)list->data)[i]) != (int64_t)i) return false;
    const kf__shape *y = &g->values[n->out[0]].shape;
    for (int k = 0; k < y->rank; k++)
        if (y->dim[k] < 1) return false;
    return y->rank > 0;
}

static kf_status become_reshape(kf__graph *g, kf__node *n, kf_error *err) {
    const kf__shape y = g->values[n->out[0]].shape;
    kf__vid target;
    KF_TRY(kf__order_ints(g, n->name, y.dim, y.rank, &target, err));
    n->op = KF_OP_RESHAPE;
    n->attrs = (kf__attrs){0};
    return kf__rewrite_inputs(g, n, (kf__vid[]){n->in[0], target}, 2, err);
}

kf_status kf__pass_identity(kf__graph *g, bool *changed, kf_error *err) {
    for (size_t i = 0; i < g->n_nodes; i++) {
        kf__node *n = &g->nodes[i];
        if (n->dead || n->n_in < 1 || n->n_out < 1 || n->in[0] < 0) continue;
        if (takes_in_order(g, n)) {
            KF_TRY(become_reshape(g, n, err));
            *changed = true;
        }
        int keep = copied_input(g, n);
        if (keep >= 0 && kf__rewrite_bypass(g, n, n->in[keep])) *changed = true;
        else if (keep < 0 && skip_inner_view(g, n)) *changed = true;
    }
    return KF_OK;
}
