/* Nodes that compute what a step computes, in a form that the step has not: a product with one number for each channel
 * and image, and a Concat of more inputs than a step reads.
 * Owner rule: added nodes and values belong to the graph. */
#include "passes/passes.h"

enum { MOST = 16 }; /* inputs of a step: KF_STEP_MAX_IN, which belongs to programs */

/* x[N,C,H,W] times g[N,C,1,1], both computed, in either order: SCALE. */
static kf_status scale(kf__graph *g, kf__node *n, bool *changed, kf_error *err) {
    for (int i = 0; i < 2; i++) {
        const kf__vid x = n->in[i], gate = n->in[1 - i];
        if (x < 0 || gate < 0 || kf__match_is_const(g, x) || kf__match_is_const(g, gate)) continue;
        const kf__shape *s = &g->values[x].shape, *t = &g->values[gate].shape;
        if (s->rank != 4 || t->rank != 4 || t->dim[0] != s->dim[0] || t->dim[1] != s->dim[1]) continue;
        if (t->dim[2] != 1 || t->dim[3] != 1 || (s->dim[2] == 1 && s->dim[3] == 1)) continue;
        n->op = KF_OP_SCALE;
        *changed = true;
        return kf__rewrite_inputs(g, n, (kf__vid[]){x, gate}, 2, err);
    }
    return KF_OK;
}

/* The first inputs of node `at` are joined by a node of their own. */
static kf_status join_first(kf__graph *g, size_t at, bool *changed, kf_error *err) {
    const kf__node was = g->nodes[at];
    const int axis = was.attrs.axis < 0 ? was.attrs.axis + g->values[was.out[0]].shape.rank : was.attrs.axis;
    kf__shape shape = g->values[was.in[0]].shape;
    kf__vid first[MOST], rest[64];
    shape.dim[axis] = 0;
    for (int k = 0; k < MOST; k++) {
        first[k] = was.in[k];
        shape.dim[axis] += g->values[first[k]].shape.dim[axis];
    }
    const char *name = kf__arena_printf(&g->arena, "%s/first", was.name);
    const kf__vid out = name ? kf__graph_add_value(g, name, g->values[was.out[0]].dtype, &shape) : KF_NO_VALUE;
    kf__node *n = out >= 0 ? kf__graph_add_node(g, KF_OP_CONCAT, name, first, MOST, &out, 1) : NULL;
    if (!n) KF_FAIL_MEMORY(err, sizeof *n);
    n->attrs = was.attrs;
    n->origin = was.origin;
    KF_TRY(kf__graph_merge_sources(g, n, &was, err));
    rest[0] = out;
    for (int k = MOST; k < was.n_in; k++) rest[k - MOST + 1] = was.in[k];
    *changed = true;
    return kf__rewrite_inputs(g, &g->nodes[at], rest, was.n_in - MOST + 1, err);
}

kf_status kf__pass_fit(kf__graph *g, bool *changed, kf_error *err) {
    for (size_t i = 0, count = g->n_nodes; i < count; i++) {
        kf__node *n = &g->nodes[i];
        if (n->dead) continue;
        if (n->op == KF_OP_MUL && n->n_in == 2) KF_TRY(scale(g, n, changed, err));
        if (n->op == KF_OP_CONCAT && n->n_in > MOST && g->values[n->out[0]].shape.rank > 0)
            KF_TRY(join_first(g, i, changed, err));
    }
    return KF_OK;
}
