/* Sigmoid heads: an activation without integer rule that only outputs follow becomes a node of its own, in f32, as a
 * softmax is. The layer before it then gives f32 scores, and the network can be quantized.
 * Owner rule: new values and nodes belong to the graph. */
#include "quantize/assign.h"

bool kf__head_is_float(const kf__graph *g, const kf__node *n) {
    return n->op == KF_OP_ACT && kf__activation_by_expf(&n->attrs.act) && kf__assign_ends_in_float(g, n->out[0]);
}

static kf_status split(kf__graph *g, size_t at, kf_error *err) {
    const kf__vid y = g->nodes[at].out[0];
    const kf__value v = g->values[y];
    kf__vid x = kf__graph_add_value(g, "", v.dtype, &v.shape);
    const kf__node *fused = &g->nodes[at];
    const char *name = fused->n_sources ? fused->sources[fused->n_sources - 1] : fused->name;
    kf__node *act = x >= 0 ? kf__graph_add_node(g, KF_OP_ACT, name, &x, 1, &y, 1) : NULL;
    if (!act) KF_FAIL_MEMORY(err, sizeof *act);
    kf__node *layer = &g->nodes[at];
    act->attrs.act = layer->attrs.act;
    act->origin = layer->origin;
    layer->attrs.act = (kf__activation){.kind = KF_ACT_NONE};
    layer->out[0] = x;
    g->values[x].producer = (int32_t)at;
    return KF_OK;
}

kf_status kf__head_split(kf__graph *g, kf_error *err) {
    const size_t n = g->n_nodes;
    bool found = false;
    for (size_t i = 0; i < n; i++) {
        const kf__node *layer = &g->nodes[i];
        const bool plain = kf__op_is_layer(layer->op) && layer->attrs.post_act.kind == KF_ACT_NONE;
        const bool residual = layer->op == KF_OP_CONV && layer->n_in > 3;
        if (!plain || residual || !kf__activation_by_expf(&layer->attrs.act)) continue;
        if (!kf__assign_ends_in_float(g, layer->out[0])) continue;
        KF_TRY(split(g, i, err));
        found = true;
    }
    return found ? kf__graph_compact(g, err) : KF_OK;
}
