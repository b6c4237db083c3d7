/* Public calls that rewrite a graph and run it in the reference executor.
 * Owner rule: see compile.h; the reference run's tensors live in an arena that ends with the call. */
#include "api/toolchain/graph_api.h"
#include "base/fp.h"
#include "graph/names.h"
#include "passes/passes.h"
#include "ref/ref.h"

kf_status kf_graph_optimize(kf_graph *graph, kf_optimize_level level, kf_error *err) {
    if (!graph || (level != KF_OPTIMIZE_SIMPLIFY && level != KF_OPTIMIZE_FUSE))
        KF_FAIL(err, KF_ERR_ARGUMENT, "kf_graph_optimize: a graph and a level of kf_optimize_level are needed");
    if (graph->level >= (int)level) return KF_OK;
    KF_FP_CONTRACT(); /* constants are folded */
    kf_status st = kf__passes_run(graph->g, level, err);
    KF_TRY(st);
    graph->level = (int)level;
    return KF_OK;
}

static kf_status check_names(kf__graph *g, const kf__edges *e, kf_error *err) {
    kf__names set;
    KF_TRY(kf__names_make(e->names, e->n_names, &g->arena, &set, err));
    uint8_t *found = kf__arena_zalloc(&g->arena, (size_t)set.n + 1);
    if (!found) KF_FAIL_MEMORY(err, (size_t)set.n + 1);
    for (size_t i = 0; i < g->n_nodes; i++) {
        int32_t k = kf__names_find(&set, g->nodes[i].name);
        if (k >= 0) found[k] = 1;
    }
    for (int32_t i = 0; i < e->n_names; i++)
        if (!found[kf__names_find(&set, e->names[i])])
            KF_FAIL(err, KF_ERR_ARGUMENT, "node '%.200s': there is no such node; kitfox check lists the names",
                    e->names[i]);
    return KF_OK;
}

static kf_status check_edges(const kf_graph *graph, const kf__edges *e, kf_error *err) {
    static const char *const TYPES[] = {"Quantize", "Dequantize", "Transpose", "Cast", "Reshape", "Softmax"};
    if (!graph || (!e->types && e->n_types) || (!e->names && e->n_names) || e->n_types < 0 || e->n_names < 0)
        KF_FAIL(err, KF_ERR_ARGUMENT, "kf_graph_trim: a graph and lists are needed");
    if (graph->level >= 0)
        KF_FAIL(err, KF_ERR_UNSUPPORTED,
                "kf_graph_trim: the graph is optimized already; its nodes are no longer those of the file");
    for (int32_t i = 0; i < e->n_types; i++) {
        size_t k = 0;
        while (k < KF_COUNT(TYPES) && strcmp(TYPES[k], e->types[i]) != 0) k++;
        if (k == KF_COUNT(TYPES))
            KF_FAIL(err, KF_ERR_ARGUMENT,
                    "type '%.60s': it is none of Quantize, Dequantize, Transpose, Cast, Reshape and Softmax",
                    e->types[i]);
    }
    return check_names(graph->g, e, err);
}

kf_status kf_graph_trim(kf_graph *graph, const char *const *types, int32_t n_types, const char *const *names,
                        int32_t n_names, int32_t *removed, kf_error *err) {
    const kf__edges e = {types, n_types, names, n_names};
    int32_t count = 0;
    KF_TRY(check_edges(graph, &e, err));
    graph->g->meta.scores = KF_SCORES_UNKNOWN; /* of an output that may change */
    KF_TRY(kf__edges_remove(graph->g, &e, &count, err));
    if (removed) *removed = count;
    return KF_OK;
}

kf_status kf_graph_set_outputs(kf_graph *graph, const char *const *nodes, int32_t n, kf_error *err) {
    if (!graph || !nodes || n < 1)
        KF_FAIL(err, KF_ERR_ARGUMENT, "kf_graph_set_outputs: a graph and at least one node are needed");
    if (graph->level >= 0)
        KF_FAIL(err, KF_ERR_UNSUPPORTED,
                "kf_graph_set_outputs: the graph is optimized already; its nodes are no longer those of the file");
    graph->g->meta.scores = KF_SCORES_UNKNOWN; /* of another output */
    return kf__edges_cut(graph->g, nodes, n, err);
}

static kf_status to_dense(const kf_tensor *t, size_t index, kf__dense *d, kf_error *err) {
    size_t count, bytes;
    if (!t->data || t->rank < 0 || t->rank > KF_MAX_RANK)
        KF_FAIL(err, KF_ERR_ARGUMENT, "input %zu: data is missing or the rank %d is not in 0..%d", index, t->rank,
                KF_MAX_RANK);
    *d = (kf__dense){.dtype = t->dtype, .shape = kf__shape_make(t->rank, t->shape), .data = t->data};
    if (!kf__shape_count(&d->shape, &count) || !kf__mul_size(count, kf_dtype_size(t->dtype), &bytes) ||
        bytes > t->bytes)
        KF_FAIL(err, KF_ERR_SHAPE, "input %zu: its shape needs more than the %zu bytes given", index, t->bytes);
    return KF_OK;
}

static kf_status from_dense(const kf__dense *d, size_t index, kf_tensor *t, kf_error *err) {
    size_t count, bytes;
    if (!kf__shape_count(&d->shape, &count) || !kf__mul_size(count, kf_dtype_size(d->dtype), &bytes))
        KF_FAIL(err, KF_ERR_SHAPE, "output %zu: size overflows", index);
    if (!t->data || t->bytes < bytes)
        KF_FAIL(err, KF_ERR_SHAPE, "output %zu: %zu bytes are needed, %zu were given", index, bytes,
                t->data ? t->bytes : (size_t)0);
    if (bytes) memcpy(t->data, d->data, bytes);
    t->dtype = d->dtype;
    t->rank = d->shape.rank;
    t->bytes = bytes;
    for (int i = 0; i < d->shape.rank; i++) t->shape[i] = d->shape.dim[i];
    return KF_OK;
}

static kf_status run_in(kf__arena *arena, const kf__graph *g, const kf_tensor *in, size_t n_in, kf_tensor *out,
                        size_t n_out, kf_error *err) {
    if (n_in != g->n_inputs) /* before they are read */
        KF_FAIL(err, KF_ERR_ARGUMENT, "%zu inputs given; the graph has %zu", n_in, g->n_inputs);
    kf__dense *tensors = kf__arena_array(arena, n_in + n_out + 1, sizeof *tensors);
    if (!tensors) KF_FAIL_MEMORY(err, (n_in + n_out) * sizeof *tensors);
    for (size_t i = 0; i < n_in; i++) KF_TRY(to_dense(&in[i], i, &tensors[i], err));
    KF_TRY(kf__ref_run(g, tensors, n_in, tensors + n_in, n_out, NULL, NULL, arena, err));
    for (size_t i = 0; i < n_out; i++) KF_TRY(from_dense(&tensors[n_in + i], i, &out[i], err));
    return KF_OK;
}

kf_status kf_graph_run_reference(kf_graph *graph, const kf_tensor *in, size_t n_in, kf_tensor *out, size_t n_out,
                                 kf_error *err) {
    if (!graph || (!in && n_in) || (!out && n_out))
        KF_FAIL(err, KF_ERR_ARGUMENT, "kf_graph_run_reference: graph, inputs and outputs are needed");
    kf__arena arena;
    kf__arena_init(&arena, NULL);
    KF_FP_CONTRACT();
    kf_status st = run_in(&arena, graph->g, in, n_in, out, n_out, err);
    kf__arena_free(&arena);
    return st;
}
