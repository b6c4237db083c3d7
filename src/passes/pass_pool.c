/* ReduceMean over exactly H and W becomes a global average pool (and a flatten when the axes are dropped).
 * Owner rule: the added node and value belong to the graph. */
#include "passes/passes.h"

static bool reduces_hw(const kf__graph *g, const kf__node *n) {
    if (g->values[n->in[0]].shape.rank != 4 || n->attrs.n_axes != 2) return false;
    int64_t a = n->attrs.axes[0], b = n->attrs.axes[1];
    if (a < 0) a += 4;
    if (b < 0) b += 4;
    return (a == 2 && b == 3) || (a == 3 && b == 2);
}

/** The kept-axes form first, then a Flatten to [N, C] under the old name. */
static kf_status drop_axes(kf__graph *g, size_t index, kf_error *err) {
    kf__vid out = g->nodes[index].out[0];
    const kf__shape *x = &g->values[g->nodes[index].in[0]].shape;
    kf__shape kept = kf__shape_make(4, (int64_t[]){x->dim[0], x->dim[1], 1, 1});
    const char *name = kf__arena_printf(&g->arena, "%s_pooled", g->values[out].name);
    kf__vid pooled = kf__graph_add_value(g, name, KF_F32, &kept);
    if (!name || pooled < 0) KF_FAIL_MEMORY(err, sizeof(kf__value));
    kf__node *flat = kf__graph_add_node(g, KF_OP_FLATTEN, g->nodes[index].name, &pooled, 1, &out, 1);
    if (!flat) KF_FAIL_MEMORY(err, sizeof *flat);
    flat->attrs.axis = 1;
    g->nodes[index].out[0] = pooled;
    g->values[pooled].producer = (int32_t)index;
    return KF_OK;
}

/** An average pool whose one window is the whole input. */
static bool covers_all(const kf__graph *g, const kf__node *n) {
    const kf__shape *x = &g->values[n->in[0]].shape, *y = &g->values[n->out[0]].shape;
    const kf__window *c = &n->attrs.window;
    return n->op == KF_OP_AVG_POOL && x->rank == 4 && y->rank == 4 && y->dim[2] == 1 && y->dim[3] == 1 &&
           c->kh == x->dim[2] && c->kw == x->dim[3] && !kf__window_has_padding(c);
}

kf_status kf__pass_pool(kf__graph *g, bool *changed, kf_error *err) {
    size_t count = g->n_nodes;
    for (size_t i = 0; i < count; i++) {
        kf__node *n = &g->nodes[i];
        if (n->dead || n->n_in < 1) continue;
        bool reduce = n->op == KF_OP_REDUCE_MEAN && reduces_hw(g, n);
        if (!reduce && !covers_all(g, n)) continue;
        if (reduce && !n->attrs.keepdims) KF_TRY(drop_axes(g, i, err));
        n = &g->nodes[i];
        kf__vid x = n->in[0];
        n->op = KF_OP_GLOBAL_AVG_POOL;
        n->attrs.keepdims = 1;
        n->attrs.n_axes = 0;
        KF_TRY(kf__rewrite_inputs(g, n, &x, 1, err));
        *changed = true;
    }
    return KF_OK;
}
