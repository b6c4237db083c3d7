/* Public calls that compile a graph: to a model in memory or to a file.
 * Owner rule: see compile.h; the caller's graph is optimized in place and stays his. */
#include <stdlib.h>

#include "api/options.h"
#include "api/toolchain/graph_api.h"
#include "format/format.h"
#include "lower/lower.h"
#include "os/file.h"
#include "runtime/golden.h"

kf_status kf_graph_compile(kf_graph *graph, const kf_model_options *options, kf_model **out, kf_error *err) {
    if (!graph || !out) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_graph_compile: graph and out are needed");
    kf_model_options o;
    kf__program *p;
    *out = NULL;
    KF_TRY(kf__model_options_read(&o, options, err));
    KF_TRY(kf_graph_optimize(graph, KF_OPTIMIZE_FUSE, err));
    KF_TRY(kf__lower(graph->g, &p, err));
    kf__program_options(p, &o);
    return kf__model_create(p, o.allocator, out, err);
}

kf_status kf_graph_save(kf_graph *graph, const char *path, kf_error *err) {
    if (!graph || !path) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_graph_save: graph and path are needed");
    kf__program *p;
    void *data = NULL;
    size_t bytes = 0;
    kf_model *m; /* runs once, to record the golden vector */
    KF_TRY(kf_graph_optimize(graph, KF_OPTIMIZE_FUSE, err));
    KF_TRY(kf__lower(graph->g, &p, err));
    KF_TRY(kf__model_create_at(p, KF_CPU_SCALAR, NULL, &m, err));
    kf_status st = kf__golden_make(m, err);
    if (st == KF_OK) st = kf__format_write(m->p, &data, &bytes, err);
    kf_model_destroy(&m);
    KF_TRY(st);
    st = kf__file_replace(path, data, bytes, err);
    free(data);
    return st;
}
