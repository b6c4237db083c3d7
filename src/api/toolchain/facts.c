/* Public calls that describe a graph: totals, and one node at a time.
 * Owner rule: strings handed out belong to the graph. */
#include "api/toolchain/graph_api.h"
#include "lower/lower.h"

kf_status kf_graph_get_info(kf_graph *graph, kf_graph_info *info, kf_error *err) {
    if (!graph || !info) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_graph_get_info: graph and info are needed");
    const kf__graph *g = graph->g;
    kf_graph_info is = {.size = sizeof is,
                        .name = g->name,
                        .arch = g->meta.arch,
                        .producer = g->meta.producer,
                        .opset = g->opset,
                        .ir_version = g->ir_version,
                        .n_inputs = (int32_t)g->n_inputs,
                        .n_outputs = (int32_t)g->n_outputs,
                        .stored_parameters = g->meta.source_parameters,
                        .file_nodes = g->meta.source_nodes,
                        .n_labels = g->meta.n_labels,
                        .preprocess = g->meta.preprocess,
                        .quantized = graph->quantized,
                        .input_range = g->meta.input_range,
                        .input_range_known = g->meta.range_known,
                        .preprocess_origin = (kf_origin)g->meta.origin,
                        .preprocess_source = g->meta.preprocess_source};
    if (g->n_inputs) is.takes = kf__graph_takes(g, 0);
    if (g->n_outputs) is.scores = kf__graph_scores(g, 0);
    const kf__quant *q = g->n_inputs ? g->values[g->inputs[0]].quant : NULL;
    is.pixels = kf__quant_is_pixels(q);
    for (size_t i = 0; i < g->n_nodes; i++) is.n_nodes += !g->nodes[i].dead;
    KF_TRY(kf__graph_count(g, &is.macs, &is.parameters, &is.activations, err));
    if (graph->level >= KF_OPTIMIZE_FUSE) KF_TRY(kf__graph_count_architecture(g, &is.parameters, err));
    return kf_info_write(info, &is, "kf_graph_info", err);
}

kf_status kf_graph_node(const kf_graph *graph, int32_t index, kf_node_info *out, kf_error *err) {
    if (!graph || !out || index < 0 || (size_t)index >= graph->g->n_nodes)
        KF_FAIL(err, KF_ERR_ARGUMENT, "kf_graph_node: node %d; the graph has %zu", index,
                graph ? graph->g->n_nodes : (size_t)0);
    const kf__graph *g = graph->g;
    const kf__node *n = &g->nodes[index];
    const kf__shape *s = &g->values[n->out[0]].shape;
    kf_node_info is = {.size = sizeof is, .name = n->name, .op = kf__op_name(n->op), .rank = s->rank < 0 ? 0 : s->rank};
    for (int i = 0; i < is.rank; i++) is.shape[i] = s->dim[i];
    is.macs = kf__node_macs(g, n);
    is.parameters = kf__node_parameters(g, n);
    is.reason = kf__lower_verdict(g, n);
    is.supported = is.reason == NULL;
    is.n_sources = n->n_sources;
    is.sources = n->sources;
    return kf_info_write(out, &is, "kf_node_info", err);
}
