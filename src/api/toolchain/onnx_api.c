/* Public calls that write a graph as ONNX.
 * Validates arguments, calls import's writer and os.
 * Owner rule: see compile.h. */
#include <stdlib.h>

#include "api/toolchain/graph_api.h"
#include "os/file.h"

kf_status kf_graph_write_onnx(kf_graph *graph, void **data, size_t *bytes, kf_error *err) {
    if (!graph || !data || !bytes)
        KF_FAIL(err, KF_ERR_ARGUMENT, "kf_graph_write_onnx: graph, data and bytes are needed");
    return kf__onnx_write_form(graph->g, graph->form, data, bytes, err);
}

kf_status kf_graph_set_qdq_form(kf_graph *graph, kf_qdq_form form, kf_error *err) {
    if (!graph || (form != KF_QDQ_EXACT && form != KF_QDQ_SCALES))
        KF_FAIL(err, KF_ERR_ARGUMENT, "kf_graph_set_qdq_form: a graph and a form of kf_qdq_form are needed");
    graph->form = form;
    return KF_OK;
}

kf_status kf_graph_save_onnx(kf_graph *graph, const char *path, kf_error *err) {
    if (!graph || !path) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_graph_save_onnx: graph and path are needed");
    void *data;
    size_t bytes;
    kf_status st = kf__onnx_write_form(graph->g, graph->form, &data, &bytes, err);
    if (st != KF_OK) return kf_error_prefix(err, st, "%s", path);
    st = kf__file_replace(path, data, bytes, err);
    free(data);
    return st;
}
