/* A Split of a computed tensor becomes a Slice for each of its parts, which is what can be compiled.
 * Owner rule: new nodes and constants belong to the graph. */
#include "passes/passes.h"

static bool fits(const kf__graph *g, const kf__node *n, int *axis) {
    if (n->dead || n->op != KF_OP_SPLIT || n->n_in < 1 || g->values[n->in[0]].shape.rank < 1) return false;
    *axis = n->attrs.axis < 0 ? n->attrs.axis + g->values[n->in[0]].shape.rank : n->attrs.axis;
    for (int k = 0; k < n->n_out; k++)
        if (n->out[k] < 0 || g->values[n->out[k]].shape.rank <= *axis) return false;
    return true;
}

static kf_status slice(kf__graph *g, size_t at, int k, int64_t axis, int64_t from, int64_t to, kf_error *err) {
    const kf__node was = g->nodes[at];
    const int64_t lists[3] = {from, to, axis};
    kf__vid in[4] = {was.in[0]}, out = was.out[k];
    for (int i = 0; i < 3; i++) KF_TRY(kf__order_ints(g, was.name, &lists[i], 1, &in[i + 1], err));
    const char *name = kf__arena_printf(&g->arena, "%s/%d", was.name, k);
    kf__node *n = name ? kf__graph_add_node(g, KF_OP_SLICE, name, in, 4, &out, 1) : NULL;
    if (!n) KF_FAIL_MEMORY(err, sizeof *n);
    n->origin = was.origin;
    return kf__graph_merge_sources(g, n, &was, err);
}

kf_status kf__pass_split(kf__graph *g, bool *changed, kf_error *err) {
    for (size_t i = 0, count = g->n_nodes; i < count; i++) {
        int axis;
        int64_t at = 0;
        if (!fits(g, &g->nodes[i], &axis)) continue;
        for (int k = 0; k < g->nodes[i].n_out; k++) {
            const int64_t to = at + g->values[g->nodes[i].out[k]].shape.dim[axis];
            KF_TRY(slice(g, i, k, axis, at, to, err));
            at = to;
        }
        g->nodes[i].dead = true;
        *changed = true;
    }
    return KF_OK;
}
