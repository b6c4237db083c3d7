/* Public graph calls: import by content, facts about inputs, outputs and nodes.
 * Owner rule: see compile.h. */
#include "api/toolchain/graph_api.h"

#include <stdlib.h>

#include "format/format.h"
#include "import/onnx_reader.h"
#include "lower/raise.h"
#include "os/file.h"
#include "passes/passes.h"
#include "preprocess/preprocess.h"

/* Protobuf has lengths of 31 bits. A checkpoint of this family takes some tens of megabytes. */
#define KF_IMPORT_MAX_FILE ((size_t)4 << 30)

void kf_import_options_init(kf_import_options *options) { *options = (kf_import_options){.size = sizeof *options}; }

kf_status kf__import_options_read(kf_import_options *to, const kf_import_options *from, kf_error *err) {
    kf_import_options_init(to);
    KF_TRY(kf_options_read(to, from, "kf_import_options", err));
    if (to->n_labels < 0 || (to->n_labels && !to->labels))
        KF_FAIL(err, KF_ERR_ARGUMENT, "kf_import_options: %d labels; 0 or more, and then `labels`, are needed",
                to->n_labels);
    if ((unsigned)to->scores >= KF_SCORES_KIND_COUNT)
        KF_FAIL(err, KF_ERR_ARGUMENT, "kf_import_options: scores is %d; a kf_scores_kind is needed", (int)to->scores);
    for (int32_t i = 0; i < to->n_labels; i++)
        if (!to->labels[i]) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_import_options: label %d is missing", i);
    return KF_OK;
}

kf_status kf__graph_wrap(kf__graph *g, kf_graph **out, kf_error *err) {
    *out = kf__mem_zalloc(NULL, sizeof **out);
    if (!*out) {
        kf__graph_destroy(&g);
        KF_FAIL_MEMORY(err, sizeof **out);
    }
    (*out)->g = g;
    (*out)->level = -1;
    return KF_OK;
}

void kf_graph_destroy(kf_graph **graph) {
    if (!graph || !*graph) return;
    kf__graph_destroy(&(*graph)->g);
    kf__mem_free(NULL, *graph);
    *graph = NULL;
}

/* Bytes are the pixels themselves: v / 255 - 0, times 255. */
static void keep_bytes(const kf__graph *g, kf_preprocess *p) {
    for (int c = 0; c < 3 && g->values[g->inputs[0]].from_u8; c++) p->mean[c] = 0, p->std[c] = 1.0 / 255;
}

/* ImageNet preprocessing for a picture input of the graph, when nothing better is known. */
static void default_preprocess(kf__graph *g) {
    const kf__shape *s = &g->values[g->inputs[0]].shape;
    kf_preprocess p;
    if (g->meta.preprocess.valid || s->rank != 4 || s->dim[1] != 3) return;
    kf_preprocess_init(&p);
    p.width = (int32_t)s->dim[3];
    p.height = (int32_t)s->dim[2];
    keep_bytes(g, &p);
    if (kf__preprocess_check(&p, s->dim[1], NULL) != KF_OK) return;
    g->meta.preprocess = p;
    g->meta.origin = KF_ORIGIN_ASSUMED;
}

static kf_status apply_labels(kf__graph *g, const char *const *labels, int32_t n, kf_error *err) {
    const char **copy = kf__arena_array(&g->arena, (size_t)n + 1, sizeof *copy);
    if (!copy) KF_FAIL_MEMORY(err, (size_t)n * sizeof *copy);
    for (int32_t i = 0; i < n; i++)
        if (!(copy[i] = kf__arena_strdup(&g->arena, labels[i]))) KF_FAIL_MEMORY(err, strlen(labels[i]));
    g->meta.labels = copy;
    g->meta.n_labels = n;
    return KF_OK;
}

/* The network's own input size wins over that of `p`. */
static kf_status set_preprocess(kf__graph *g, const kf_preprocess *p, kf_error *err) {
    const kf__shape *s = &g->values[g->inputs[0]].shape;
    kf_preprocess set = *p;
    set.valid = 1;
    keep_bytes(g, &set);
    if (s->rank == 4) {
        set.height = (int32_t)s->dim[2];
        set.width = (int32_t)s->dim[3];
    }
    KF_TRY(kf__preprocess_check(&set, s->rank == 4 ? s->dim[1] : 0, err));
    g->meta.preprocess = set;
    g->meta.origin = KF_ORIGIN_GIVEN;
    g->meta.preprocess_source = NULL;
    g->meta.takes = KF_TAKES_UNKNOWN; /* follows from the preprocessing again */
    return KF_OK;
}

kf_status kf_graph_set_preprocess(kf_graph *graph, const kf_preprocess *preprocess, kf_error *err) {
    if (!graph) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_graph_set_preprocess: a graph is needed");
    if (!preprocess) {
        graph->g->meta.preprocess = (kf_preprocess){0};
        graph->g->meta.origin = KF_ORIGIN_UNKNOWN;
        graph->g->meta.preprocess_source = NULL;
        graph->g->meta.takes = KF_TAKES_UNKNOWN;
        return KF_OK;
    }
    return set_preprocess(graph->g, preprocess, err);
}

kf_status kf_graph_set_input_range(kf_graph *graph, int32_t range, kf_error *err) {
    if (!graph || range < 0 || range > 1)
        KF_FAIL(err, KF_ERR_ARGUMENT, "kf_graph_set_input_range: a graph, and 0 (full) or 1 (limited), are needed");
    graph->g->meta.input_range = range;
    graph->g->meta.range_known = 1;
    return KF_OK;
}

/* Elements of output 0, of one picture: each has a name. Shapes that need folding are known when it is optimized. */
static kf_status check_labels(const kf__graph *g, int32_t n, kf_error *err) {
    const kf__value *v = &g->values[kf__graph_ranked(g)];
    size_t count = 0;
    if (!n || v->shape.rank < 0 || !kf__shape_count(&v->shape, &count)) return KF_OK;
    if (v->shape.rank > 1 && v->shape.dim[0] > 1) count /= (size_t)v->shape.dim[0];
    if (count == (size_t)n) return KF_OK;
    KF_FAIL(err, KF_ERR_ARGUMENT,
            "%d labels; output %s has %zu elements, which are the classes; use the list that belongs to it", n, v->name,
            count);
}

kf_status kf_graph_set_labels(kf_graph *graph, const char *const *labels, int32_t n, kf_error *err) {
    if (!graph || n < 0 || (n && !labels))
        KF_FAIL(err, KF_ERR_ARGUMENT, "kf_graph_set_labels: a graph, and 0 or more labels, are needed");
    for (int32_t i = 0; i < n; i++)
        if (!labels[i]) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_graph_set_labels: label %d is missing", i);
    KF_TRY(check_labels(graph->g, n, err));
    return apply_labels(graph->g, labels, n, err);
}

kf_status kf__graph_describe(kf__graph *g, const kf_import_options *o, kf_error *err) {
    if (o->preprocess) KF_TRY(set_preprocess(g, o->preprocess, err));
    default_preprocess(g);
    g->max_fold_bytes = o->max_fold_bytes;
    if (o->scores) g->meta.scores = (int32_t)o->scores;
    if (o->labels) KF_TRY(check_labels(g, o->n_labels, err));
    if (o->labels) KF_TRY(apply_labels(g, o->labels, o->n_labels, err));
    return KF_OK;
}

static kf_status import_onnx(const void *data, size_t bytes, const char *path, const kf_import_options *options,
                             kf_graph **out, kf_error *err) {
    const kf__onnx_options o = {.path = path, .asked = *options};
    kf__graph *g;
    KF_TRY(kf__onnx_read(data, bytes, &o, &g, err));
    kf_status st = kf__inputs_declare(g, err);
    if (st == KF_OK) st = kf__graph_recognize(g, path, options, err);
    if (st != KF_OK) {
        kf__graph_destroy(&g);
        return st;
    }
    return kf__graph_wrap(g, out, err);
}

kf_status kf_graph_import_onnx_memory(const void *data, size_t bytes, const kf_import_options *options, kf_graph **out,
                                      kf_error *err) {
    if (!out || (!data && bytes)) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_graph_import_onnx_memory: data and out are needed");
    kf_import_options o;
    *out = NULL;
    KF_TRY(kf__import_options_read(&o, options, err));
    return import_onnx(data, bytes, NULL, &o, out, err);
}

/* The name decides where the content does not, so that a damaged checkpoint is not called a damaged ONNX file. */
static bool is_safetensors(const char *path, const void *data, size_t bytes) {
    static const char SUFFIX[] = ".safetensors";
    const kf_file_kind *k = kf_file_recognize(data, bytes);
    size_t n = strlen(path);
    if (k && k->reads) return k->reads == KF_FILE_SAFETENSORS;
    return n >= sizeof SUFFIX && strcmp(path + n - (sizeof SUFFIX - 1), SUFFIX) == 0;
}

static kf_status import_checkpoint(const char *path, const void *data, size_t bytes, const kf_import_options *options,
                                   kf_graph **out, kf_error *err) {
    kf__graph *g;
    KF_TRY(kf__import_checkpoint(path, data, bytes, options, &g, err));
    return kf__graph_wrap(g, out, err);
}

/* A compiled model is a container too; its header says so at once. */
static bool is_compiled(const void *data, size_t bytes) {
    const size_t n = sizeof KF_FORMAT_PREFIX - 1;
    return bytes > 8 + n && memcmp((const char *)data + 8, KF_FORMAT_PREFIX, n) == 0;
}

static kf_status import_compiled(const void *data, size_t bytes, const kf_import_options *options, kf_graph **out,
                                 kf_error *err) {
    kf__program *p;
    kf__graph *g;
    if (options->input_shape || options->arch)
        KF_FAIL(err, KF_ERR_ARGUMENT,
                "input shape and architecture do not apply; the model is compiled already; give them with its source");
    KF_TRY(kf__format_read(data, bytes, NULL, 0, &p, err));
    bool quantized = p->meta.quantized != 0;
    kf_status st = kf__raise(p, &g, err);
    kf__program_destroy(&p);
    KF_TRY(st);
    st = kf__graph_describe(g, options, err);
    if (st == KF_OK) {
        KF_TRY(kf__graph_wrap(g, out, err));
        (*out)->quantized = quantized;
        if (quantized) (*out)->level = KF_OPTIMIZE_FUSE; /* float rewrites must not touch it */
        return KF_OK;
    }
    kf__graph_destroy(&g);
    return st;
}

kf_status kf_graph_import(const char *path, const kf_import_options *options, kf_graph **out, kf_error *err) {
    if (!path || !out) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_graph_import: path and out are needed");
    kf_import_options o;
    kf__file f;
    *out = NULL;
    KF_TRY(kf__import_options_read(&o, options, err));
    KF_TRY(kf__file_read(path, KF_IMPORT_MAX_FILE, &f, err));
    const char *slash = strrchr(path, '/');
    kf_status st;
    if (is_compiled(f.data, f.size)) st = import_compiled(f.data, f.size, &o, out, err);
    else if (is_safetensors(path, f.data, f.size)) st = import_checkpoint(path, f.data, f.size, &o, out, err);
    else st = import_onnx(f.data, f.size, path, &o, out, err);
    kf__file_free(&f);
    if (st != KF_OK) {
        kf_error_prefix(err, st, "%s", path);
        return kf_file_explain(path, KF_FILE_KFX | KF_FILE_ONNX | KF_FILE_SAFETENSORS, st, err);
    }
    (*out)->g->meta.source = kf__arena_strdup(&(*out)->g->arena, slash ? slash + 1 : path);
    return KF_OK;
}

static kf_status describe(const kf__graph *g, const kf__vid *list, size_t n, int32_t index, kf_tensor *out,
                          kf_error *err) {
    if (index < 0 || (size_t)index >= n) KF_FAIL(err, KF_ERR_ARGUMENT, "index %d; the graph has %zu", index, n);
    const kf__value *v = &g->values[list[index]];
    const kf__shape s = kf__value_declared(v);
    *out = (kf_tensor){.name = v->name, .dtype = v->dtype, .rank = s.rank < 0 ? 0 : s.rank};
    if (v->from_u8) out->dtype = KF_U8;
    size_t count = 0;
    if (!kf__shape_count(&s, &count)) count = 0;
    for (int i = 0; i < out->rank; i++) out->shape[i] = s.dim[i];
    out->bytes = count * kf_dtype_size(out->dtype);
    return KF_OK;
}

kf_status kf_graph_input(const kf_graph *graph, int32_t index, kf_tensor *out, kf_error *err) {
    if (!graph || !out) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_graph_input: graph and out are needed");
    return describe(graph->g, graph->g->inputs, graph->g->n_inputs, index, out, err);
}

kf_status kf_graph_output(const kf_graph *graph, int32_t index, kf_tensor *out, kf_error *err) {
    if (!graph || !out) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_graph_output: graph and out are needed");
    return describe(graph->g, graph->g->outputs, graph->g->n_outputs, index, out, err);
}
