/* A shuffle of channels: a Reshape that splits the channels into groups and members, a Transpose that swaps both, and a
 * Reshape back. It is one Gather with a list of channels.
 * Owner rule: new constants belong to the graph. */
#include "passes/passes.h"

enum { MOST = 4096 };

/* The view that makes `v`, of another rank, or NULL. */
static const kf__node *view_of(const kf__graph *g, kf__vid v) {
    const kf__node *n = kf__match_any(g, v);
    return n && kf__op_is_view(n->op) && n->n_in > 0 && n->in[0] >= 0 ? n : NULL;
}

static bool swaps(const kf__node *t) {
    if (t->attrs.n_axes < 3) return false;
    for (int k = 0; k < t->attrs.n_axes; k++) {
        const int from = k == 1 || k == 2 ? 3 - k : k;
        if (t->attrs.axes[k] != from) return false;
    }
    return true;
}

/* *x [N, C, ...] is split into [N, groups, members, ...]. */
static bool shuffles(const kf__graph *g, const kf__node *n, kf__vid *x, int64_t *groups, int64_t *members) {
    if (n->dead || !kf__op_is_view(n->op) || n->n_in < 1 || n->in[0] < 0) return false;
    const kf__node *t = kf__match_producer(g, n->in[0], KF_OP_TRANSPOSE);
    const kf__node *split = t && swaps(t) ? view_of(g, t->in[0]) : NULL;
    if (!split) return false;
    const kf__shape *s = &g->values[t->in[0]].shape, *from = &g->values[split->in[0]].shape;
    if (from->rank < 3 || s->rank < 3 || !kf__shape_equal(from, &g->values[n->out[0]].shape)) return false;
    for (int k = 0; k < from->rank; k++)
        if (from->dim[k] < 1) return false;
    *x = split->in[0], *groups = s->dim[1], *members = s->dim[2];
    return s->dim[0] == from->dim[0] && *groups > 0 && *members > 0 && *groups <= MOST && *members <= MOST &&
           *groups * *members == from->dim[1] && from->dim[1] <= MOST;
}

kf_status kf__pass_shuffle(kf__graph *g, bool *changed, kf_error *err) {
    for (size_t i = 0; i < g->n_nodes; i++) {
        int64_t groups, members, list[MOST];
        kf__vid in[2];
        if (!shuffles(g, &g->nodes[i], &in[0], &groups, &members)) continue;
        for (int64_t k = 0; k < groups * members; k++) list[k] = k % groups * members + k / groups;
        KF_TRY(kf__order_ints(g, g->nodes[i].name, list, (int)(groups * members), &in[1], err));
        kf__node *n = &g->nodes[i];
        n->op = KF_OP_GATHER;
        n->attrs = (kf__attrs){.axis = 1};
        KF_TRY(kf__rewrite_inputs(g, n, in, 2, err));
        *changed = true;
    }
    return KF_OK;
}
