/* ArgMax, ArgMin and TopK over classes become TOP: one step for indices, one for numbers.
 * Owner rule: added nodes and values belong to the graph. */
#include "passes/chain.h"

/* The value and the axis before views to other ranks; then axis 1 of a vector or an image, or there is no step. */
static bool over_classes(const kf__graph *g, const kf__node *n, kf__vid *x) {
    bool pick[KF_MAX_RANK] = {false}, other[KF_MAX_RANK];
    *x = n->in[0];
    const kf__shape *s = &g->values[*x].shape;
    const int axis = n->attrs.axis < 0 ? n->attrs.axis + s->rank : n->attrs.axis;
    if (g->values[*x].dtype != KF_F32 || s->rank < 1 || s->rank > 4) return false;
    pick[axis] = true;
    kf__vid from;
    while ((s->rank == 1 || s->rank == 3) && s->dim[axis] > 1 && kf__chain_behind_view(g, *x, pick, &from, other)) {
        *x = from;
        s = &g->values[from].shape;
        memcpy(pick, other, sizeof other);
    }
    for (int i = 0; i < s->rank; i++)
        if (i != 1 && pick[i]) return false;
    return s->rank == 2 || s->rank == 4;
}

static kf_status take(kf__graph *g, size_t index, int slot, kf__vid x, int64_t k, kf_error *err) {
    const kf__shape result = g->values[g->nodes[index].out[slot]].shape;
    kf__shape shape = g->values[x].shape;
    kf__chain c = kf__chain_begin(g, index, x, err);
    kf__node *n = NULL;
    c.slot = slot;
    shape.dim[1] = k;
    const bool places = slot == 1 || g->nodes[index].op != KF_OP_TOP_K;
    KF_TRY(kf__chain_link(&c, KF_OP_TOP, KF_NO_VALUE, &shape, &n));
    n->attrs.axis = 1;
    n->attrs.n_axes = 1, n->attrs.axes[0] = k;
    n->attrs.selects = g->nodes[index].attrs.selects | (places ? KF_SELECTS_INDICES : 0);
    n->attrs.to = places ? KF_I64 : KF_F32;
    KF_TRY(kf__chain_view(&c, &result));
    return kf__chain_end(&c);
}

/* The TOP of places that made `v`, perhaps seen through views, or NULL. */
static const kf__node *places_of(const kf__graph *g, kf__vid v) {
    const kf__node *n = kf__match_any(g, v);
    while (n && kf__op_is_view(n->op)) n = kf__match_any(g, n->in[0]);
    return n && n->op == KF_OP_TOP && n->attrs.to == KF_I64 ? n : NULL;
}

/* A cast of places to f32: the step's own type, so only a TOP of that type remains. */
static kf_status cast(kf__graph *g, size_t index, bool *changed, kf_error *err) {
    const kf__node *n = &g->nodes[index], *top = n->attrs.to == KF_F32 ? places_of(g, n->in[0]) : NULL;
    if (!top) return KF_OK;
    const kf__attrs attrs = top->attrs;
    const kf__shape result = g->values[n->out[0]].shape, shape = g->values[top->out[0]].shape;
    kf__chain c = kf__chain_begin(g, index, top->in[0], err);
    kf__node *made = NULL;
    KF_TRY(kf__chain_link(&c, KF_OP_TOP, KF_NO_VALUE, &shape, &made));
    made->attrs = attrs;
    made->attrs.to = KF_F32;
    KF_TRY(kf__chain_view(&c, &result));
    *changed = true;
    return kf__chain_end(&c);
}

kf_status kf__pass_top(kf__graph *g, bool *changed, kf_error *err) {
    const size_t count = g->n_nodes;
    for (size_t i = 0; i < count; i++) {
        const kf__node *n = &g->nodes[i];
        const bool arg = n->op == KF_OP_ARG_MAX || n->op == KF_OP_ARG_MIN;
        kf__vid x;
        if (!n->dead && n->op == KF_OP_CAST) KF_TRY(cast(g, i, changed, err));
        n = &g->nodes[i];
        if (n->dead || (!arg && n->op != KF_OP_TOP_K) || g->values[n->out[0]].shape.rank < 0) continue;
        if (!over_classes(g, n, &x)) continue;
        const kf__shape *y = &g->values[n->out[0]].shape;
        const int axis = n->attrs.axis < 0 ? n->attrs.axis + y->rank : n->attrs.axis;
        const int64_t k = arg ? 1 : y->dim[axis];
        if (k < 1 || k > KF_MOST_SELECTED) continue;
        const int n_out = n->n_out;
        for (int slot = 0; slot < n_out; slot++)
            if (g->nodes[i].out[slot] >= 0) KF_TRY(take(g, i, slot, x, k, err));
        *changed = true;
    }
    return KF_OK;
}
