/* Structural checks between passes: order, single producer, and then what inference checks.
 * Owner rule: reads the graph; inference may refine value shapes. */
#include "graph/graph.h"

/* Producers come before their readers, and values name the node that makes them. */
static kf_status check_node(const kf__graph *g, size_t i, kf_error *err) {
    const kf__node *n = &g->nodes[i];
    if ((unsigned)n->op >= KF_OP_COUNT) KF_FAIL(err, KF_ERR_INTERNAL, "%s: unknown operator %d", n->name, n->op);
    for (int k = 0; k < n->n_in; k++) {
        kf__vid v = n->in[k];
        if (v == KF_NO_VALUE) continue;
        if (v < 0 || (size_t)v >= g->n_values)
            KF_FAIL(err, KF_ERR_INTERNAL, "%s: input %d is out of range", n->name, k);
        if (g->values[v].producer >= (int32_t)i)
            KF_FAIL(err, KF_ERR_INTERNAL, "%s: input %s is made later, by node %d", n->name, g->values[v].name,
                    g->values[v].producer);
    }
    for (int k = 0; k < n->n_out; k++)
        if (n->out[k] >= 0 && g->values[n->out[k]].producer != (int32_t)i && !g->values[n->out[k]].data)
            KF_FAIL(err, KF_ERR_INTERNAL, "%s: output %s names another producer", n->name, g->values[n->out[k]].name);
    return KF_OK;
}

kf_status kf__graph_verify(kf__graph *g, kf_error *err) {
    for (size_t i = 0; i < g->n_nodes; i++)
        if (!g->nodes[i].dead) KF_TRY(check_node(g, i, err));
    for (size_t i = 0; i < g->n_outputs; i++)
        if (g->outputs[i] < 0 || (size_t)g->outputs[i] >= g->n_values)
            KF_FAIL(err, KF_ERR_INTERNAL, "graph output %zu is out of range", i);
    return kf__graph_infer(g, err);
}
