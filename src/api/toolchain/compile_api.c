/* Public calls that compile a graph: to a model in memory or to a file.
 * Floor 6.
 * Owner rule: see compile.h; the caller's graph is optimized in place and stays his. */
#include <stdlib.h>

#include "api/toolchain/graph_api.h"
#include "format/format.h"
#include "lower/lower.h"
#include "os/file.h"
#include "runtime/model.h"

kf_status kf_graph_compile(kf_graph *graph, const kf_model_options *options, kf_model **out, kf_error *err) {
    if (!graph || !out) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_graph_compile: graph and out are needed");
    *out = NULL;
    kf__program *p;
    KF_TRY(kf_graph_optimize(graph, KF_OPTIMIZE_FUSE, err));
    KF_TRY(kf__lower(graph->g, &p, err));
    return kf__model_create(p, options ? options->allocator : NULL, out, err);
}

kf_status kf_graph_save(kf_graph *graph, const char *path, kf_error *err) {
    if (!graph || !path) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_graph_save: graph and path are needed");
    kf__program *p;
    void *data;
    size_t bytes;
    KF_TRY(kf_graph_optimize(graph, KF_OPTIMIZE_FUSE, err));
    KF_TRY(kf__lower(graph->g, &p, err));
    kf_status st = kf__format_write(p, &data, &bytes, err);
    kf__program_destroy(&p);
    KF_TRY(st);
    st = kf__file_replace(path, data, bytes, err);
    free(data);
    return st;
}
