/* Other spellings of an operator become that operator: Sum and Mean of several tensors additions, CastLike a Cast.
 * Owner rule: added nodes, values and constants belong to the graph. */
#include "passes/chain.h"

/* The shape that the sum of both has; inference has checked that there is one. */
static kf__shape broadcast(const kf__shape *a, const kf__shape *b) {
    kf__shape out = {.rank = a->rank > b->rank ? a->rank : b->rank};
    for (int i = 0; i < out.rank; i++) {
        const int ia = i - (out.rank - a->rank), ib = i - (out.rank - b->rank);
        const int64_t da = ia < 0 ? 1 : a->dim[ia];
        const int64_t db = ib < 0 ? 1 : b->dim[ib];
        out.dim[i] = da == 1 ? db : da;
    }
    return out;
}

/* One addition after the other, in the order of the inputs, as ONNX Runtime adds. */
static kf_status add_up(kf__graph *g, size_t index, kf_error *err) {
    kf__chain c = kf__chain_begin(g, index, g->nodes[index].in[0], err);
    const int n_in = g->nodes[index].n_in;
    for (int k = 1; k < n_in; k++) {
        const kf__vid other = g->nodes[index].in[k];
        const kf__shape shape = broadcast(kf__chain_shape(&c), &g->values[other].shape);
        KF_TRY(kf__chain_link(&c, KF_OP_ADD, other, &shape, NULL));
    }
    if (g->nodes[index].op == KF_OP_MEAN) {
        const kf__shape shape = *kf__chain_shape(&c), one = {.rank = 0};
        const float count = (float)n_in;
        kf__vid divisor;
        KF_TRY(kf__rewrite_const(g, g->nodes[index].name, ".count", &one, &count, &divisor, err));
        KF_TRY(kf__chain_link(&c, KF_OP_DIV, divisor, &shape, NULL));
    }
    return kf__chain_end(&c);
}

static bool known(const kf__graph *g, const kf__node *n) {
    for (int k = 0; k < n->n_in; k++)
        if (g->values[n->in[k]].shape.rank < 0) return false;
    return true;
}

static kf_status cast(kf__graph *g, kf__node *n, bool *changed, kf_error *err) {
    const kf_dtype like = g->values[n->in[1]].dtype;
    const kf__vid x = n->in[0];
    if (like == KF_DTYPE_NONE) return KF_OK;
    n->op = KF_OP_CAST;
    n->attrs.to = like;
    *changed = true;
    return kf__rewrite_inputs(g, n, &x, 1, err);
}

kf_status kf__pass_spell(kf__graph *g, bool *changed, kf_error *err) {
    const size_t count = g->n_nodes;
    for (size_t i = 0; i < count; i++) {
        kf__node *n = &g->nodes[i];
        if (n->dead) continue;
        if (n->op == KF_OP_CAST_LIKE) KF_TRY(cast(g, n, changed, err));
        if ((n->op != KF_OP_SUM && n->op != KF_OP_MEAN) || n->n_in < 2 || !known(g, n)) continue;
        KF_TRY(add_up(g, i, err));
        *changed = true;
    }
    return KF_OK;
}
