/* Public calls of the quantizer: samples checked, names of int16 nodes resolved, report handed out.
 * Owner rule: the report lives in the graph's arena. */
#include <stdio.h>

#include "api/options.h"
#include "api/toolchain/graph_api.h"
#include "base/fp.h"
#include "cpu/cpu.h"
#include "graph/names.h"
#include "quantize/assign.h"
#include "quantize/detail.h"
#include "quantize/groups.h"

void kf_quantize_options_init(kf_quantize_options *options) { *options = kf__quantize_defaults(); }

/* A sample as messages call it: its file, where the caller gave it that name. */
static const char *sample_name(const kf_tensor *t, size_t index, char to[400]) {
    if (t->name) snprintf(to, 400, "%.300s (calibration sample %zu)", t->name, index);
    else snprintf(to, 400, "calibration sample %zu", index);
    return to;
}

static kf_status check_pixels(const kf__graph *g, const kf_tensor *t, const char *who, size_t *bytes, kf_error *err) {
    const kf__shape *s = &g->values[g->inputs[0]].shape;
    int32_t c = kf_color_channels(g->meta.preprocess.color), given = t->rank == 3 && t->shape[2] == 1 ? c : 3;
    if (s->rank != 4 || s->dim[1] != c)
        KF_FAIL(err, KF_ERR_SHAPE, "%s: pixels are given, but the network does not take pictures of %d channel%s", who,
                c, c == 1 ? "" : "s");
    if (t->rank != 3 || t->shape[2] != given || t->shape[0] != s->dim[2] || t->shape[1] != s->dim[3])
        KF_FAIL(err, KF_ERR_SHAPE, "%s: pixels of %lld x %lld x %s are needed", who, (long long)s->dim[2],
                (long long)s->dim[3], c == 1 ? "3 or 1" : "3");
    *bytes = (size_t)(t->shape[0] * t->shape[1] * given);
    return KF_OK;
}

static kf_status check_sample(const kf__graph *g, const kf_tensor *t, size_t index, kf_dtype dtype, kf_error *err) {
    const kf__shape declared = kf__value_declared(&g->values[g->inputs[0]]), *s = &declared;
    char who[400];
    size_t n = 0;
    sample_name(t, index, who);
    if (t->dtype != dtype || !t->data)
        KF_FAIL(err, KF_ERR_ARGUMENT, "%s: data is missing or of another type than sample 0", who);
    if (dtype == KF_U8) KF_TRY(check_pixels(g, t, who, &n, err));
    else {
        kf__shape have = kf__shape_make(t->rank < 0 || t->rank > KF_MAX_RANK ? 0 : t->rank, t->shape);
        char want[96], got[96];
        if (!kf__shape_equal(&have, s) || !kf__shape_count(s, &n))
            KF_FAIL(err, KF_ERR_SHAPE, "%s: shape %s is needed, %s was given", who,
                    kf__shape_text(s, want, sizeof want), kf__shape_text(&have, got, sizeof got));
        n *= sizeof(float);
    }
    if (t->bytes < n) KF_FAIL(err, KF_ERR_SHAPE, "%s: %zu bytes are needed, %zu were given", who, n, t->bytes);
    return KF_OK;
}

/* What an option requests of the node that it names. The quantizer does not change values without an integer form. */
typedef enum request { READS_AND_WRITES, WRITES, WEIGHTS } request;

static bool mark_node(const kf__node *n, size_t index, request what, kf__qoptions *q) {
    if (what == WEIGHTS) {
        if (!kf__op_is_layer(n->op)) return false;
        q->wide_weights[index] = 1;
        return true;
    }
    q->wide[n->out[0]] = 1;
    if (what == READS_AND_WRITES && n->in[0] >= 0) q->wide[n->in[0]] = 1;
    return true;
}

/* What became of each name of a list. */
typedef struct named {
    kf__names set;
    uint8_t *found, *marked;
} named;

static void mark_name(const kf__graph *g, size_t index, const char *name, request what, named *by, kf__qoptions *q) {
    int32_t at = kf__names_find(&by->set, name);
    if (at < 0) return;
    by->found[at] = 1;
    by->marked[at] |= mark_node(&g->nodes[index], index, what, q);
}

static kf_status mark(kf__graph *g, request what, const char *const *names, int32_t count, kf__qoptions *q,
                      kf_error *err) {
    static const char *const WHAT[] = {"int16 node", "node with an int16 output", "node with int16 weights"};
    named by = {.found = kf__arena_zalloc(&g->arena, (size_t)count + 1),
                .marked = kf__arena_zalloc(&g->arena, (size_t)count + 1)};
    if (!by.found || !by.marked) KF_FAIL_MEMORY(err, (size_t)count + 1);
    KF_TRY(kf__names_make(names, count, &g->arena, &by.set, err));
    for (size_t k = 0; k < g->n_nodes && count; k++) {
        const kf__node *n = &g->nodes[k];
        mark_name(g, k, n->name, what, &by, q);
        for (int32_t i = 0; i < n->n_sources; i++) mark_name(g, k, n->sources[i], what, &by, q);
    }
    for (int32_t i = 0; i < count; i++) {
        int32_t at = kf__names_find(&by.set, names[i]);
        if (!by.found[at])
            KF_FAIL(err, KF_ERR_ARGUMENT, "%s \"%s\": no such node; kitfox info --nodes lists the names", WHAT[what],
                    names[i]);
        if (!by.marked[at])
            KF_FAIL(err, KF_ERR_ARGUMENT, "%s \"%s\": it is neither a convolution nor fully connected; leave it out",
                    WHAT[what], names[i]);
    }
    return KF_OK;
}

static kf_status mark_all(kf__graph *g, const kf_quantize_options *o, kf__qoptions *q, kf_error *err) {
    q->wide = kf__arena_zalloc(&g->arena, g->n_values);
    q->wide_weights = kf__arena_zalloc(&g->arena, g->n_nodes);
    if (!q->wide || !q->wide_weights) KF_FAIL_MEMORY(err, g->n_values);
    KF_TRY(mark(g, READS_AND_WRITES, o->int16_nodes, o->n_int16, q, err));
    KF_TRY(mark(g, WRITES, o->int16_outputs, o->n_int16_outputs, q, err));
    return mark(g, WEIGHTS, o->int16_weights, o->n_int16_weights, q, err);
}

/* Reports this once per call, although a search runs the quantizer several times. */
typedef struct teller {
    const kf_quantize_options *o;
    bool said;
} teller;

static void fewer(void *user, int started, int wanted) {
    teller *t = user;
    if (t->o->fewer_threads && !t->said) t->o->fewer_threads(t->o->user, started, wanted);
    t->said = true;
}

/* RGB pictures as a network of other colours takes them, in *block, which the caller frees; `data` points to them then.
 */
static kf_status turn_colors(const kf_preprocess *p, const kf_tensor *samples, size_t n, const void **data,
                             uint8_t **block, kf_error *err) {
    if (samples[0].dtype != KF_U8 || p->color == KF_COLOR_RGB) return KF_OK;
    size_t pixels = (size_t)(samples[0].shape[0] * samples[0].shape[1]), bytes;
    size_t each = pixels * (size_t)kf_color_channels(p->color);
    if (!kf__mul_size(each, n, &bytes) || !(*block = kf__mem_alloc(NULL, bytes)))
        KF_FAIL(err, KF_ERR_MEMORY, "out of memory for %zu calibration pictures of %zu bytes", n, each);
    for (size_t i = 0; i < n; i++) {
        uint8_t *to = *block + i * each;
        if (samples[i].shape[2] != 3) continue; /* grey already */
        kf_color_from_rgb(p->color, samples[i].data, pixels, to);
        data[i] = to;
    }
    return KF_OK;
}

static kf_status quantize(kf_graph *graph, const kf_tensor *samples, size_t n, const kf_quantize_options *o,
                          uint8_t **block, kf_error *err) {
    kf__graph *g = graph->g;
    kf__qoptions q = kf__qoptions_default();
    const void **data = kf__arena_array(&g->arena, n, sizeof *data);
    if (!data) KF_FAIL_MEMORY(err, n * sizeof *data);
    for (size_t i = 0; i < n; i++) {
        KF_TRY(check_sample(g, &samples[i], i, samples[0].dtype, err));
        data[i] = samples[i].data;
    }
    KF_TRY(turn_colors(&g->meta.preprocess, samples, n, data, block, err));
    KF_TRY(mark_all(g, o, &q, err));
    q.asked = *o;
    if (!q.asked.threads) q.asked.threads = kf__cpu_default_threads();
    teller t = {.o = o};
    q.fewer = fewer, q.fewer_user = &t;
    const kf__qsamples s = {.data = data, .n = n, .pixels = samples[0].dtype == KF_U8};
    graph->quantized = true; /* also after a failure: a half-quantized graph must not be used */
    graph->searched = o->target_drop >= 0 || o->target_cosine > 0;
    if (graph->searched) return kf__search(g, &s, &q, &g->arena, &graph->search, &graph->report, err);
    return kf__quantize(g, &s, &q, &g->arena, &graph->report, err);
}

static kf_status check_target(const kf_quantize_options *o, kf_error *err) {
    if (!(o->target_drop <= 100) || !(o->target_cosine >= 0 && o->target_cosine <= 1) ||
        !(o->max_int16_macs >= 0 && o->max_int16_macs <= 100))
        KF_FAIL(err, KF_ERR_ARGUMENT,
                "kf_graph_quantize: target drop %g, cosine %g or limit %g is not possible; up to 100, 0 to 1 and 0 to "
                "100 are",
                o->target_drop, o->target_cosine, o->max_int16_macs);
    return KF_OK;
}

static kf_status check_names(const char *what, const char *const *names, int32_t n, kf_error *err) {
    if (n < 0 || (n && !names))
        KF_FAIL(err, KF_ERR_ARGUMENT, "kf_quantize_options: %d names in %s; a list of 0 or more is needed", n, what);
    for (int32_t i = 0; i < n; i++)
        if (!names[i]) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_quantize_options: name %d of %s is missing", i, what);
    return KF_OK;
}

/* `from` (NULL: defaults) in full, checked. */
static kf_status read_options(kf_quantize_options *to, const kf_quantize_options *from, kf_error *err) {
    kf_quantize_options_init(to);
    KF_TRY(kf_options_read(to, from, "kf_quantize_options", err));
    KF_TRY(kf__threads_check("kf_graph_quantize", to->threads, err));
    KF_TRY(check_names("int16_nodes", to->int16_nodes, to->n_int16, err));
    KF_TRY(check_names("int16_outputs", to->int16_outputs, to->n_int16_outputs, err));
    KF_TRY(check_names("int16_weights", to->int16_weights, to->n_int16_weights, err));
    if (to->range < KF_RANGE_MSE || to->range > KF_RANGE_KL || !(to->percentile >= 50 && to->percentile <= 100))
        KF_FAIL(err, KF_ERR_ARGUMENT,
                "kf_graph_quantize: range method %d or percentile %g is not possible; 50 to 100 percent is",
                (int)to->range, to->percentile);
    return check_target(to, err);
}

kf_status kf_graph_quantize(kf_graph *graph, const kf_tensor *samples, size_t n, const kf_quantize_options *options,
                            kf_error *err) {
    kf_quantize_options o;
    if (!graph || (!samples && n)) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_graph_quantize: graph and samples are needed");
    KF_TRY(read_options(&o, options, err));
    if (n == 0) KF_FAIL(err, KF_ERR_ARGUMENT, "no calibration samples; 50 to 200 typical inputs are needed");
    if (graph->quantized)
        KF_FAIL(err, KF_ERR_UNSUPPORTED,
                "%.200s: the graph is quantized already; quantize the float model it came from",
                graph->g->meta.source ? graph->g->meta.source : "kf_graph_quantize");
    KF_TRY(kf_graph_optimize(graph, KF_OPTIMIZE_FUSE, err));
    for (size_t i = 0; i < graph->g->n_nodes; i++) { /* no pass removes these */
        const kf__node *q = &graph->g->nodes[i];
        if (kf__op_table[q->op].role == KF_ROLE_QDQ)
            KF_FAIL(err, KF_ERR_UNSUPPORTED,
                    "%s (%s): the file is quantized already; quantize the float model that it was made from", q->name,
                    kf__op_name(q->op));
    }
    if (samples[0].dtype != KF_F32 && !(samples[0].dtype == KF_U8 && graph->g->meta.preprocess.valid))
        KF_FAIL(err, KF_ERR_ARGUMENT,
                "calibration samples: f32, or u8 pixels for a network with picture preprocessing, are needed");
    KF_TRY(kf__head_split(graph->g, err));
    KF_FP_CONTRACT();
    const kf_preprocess declared = graph->g->meta.preprocess;
    uint8_t *block = NULL;
    kf_status st = samples[0].dtype == KF_U8 ? kf__input_map_take(graph->g, err) : KF_OK;
    if (st == KF_OK) st = kf__quantize_groups(graph->g, err);
    if (st == KF_OK) st = quantize(graph, samples, n, &o, &block, err);
    graph->g->meta.preprocess = declared;
    kf__mem_free(NULL, block);
    return st;
}

kf_status kf_graph_quantized_node(const kf_graph *graph, int32_t index, kf_quantized_node *out, kf_error *err) {
    if (!graph || !out || index < 0 || (size_t)index >= graph->report.n_nodes)
        KF_FAIL(err, KF_ERR_ARGUMENT, "kf_graph_quantized_node: node %d; the report has %zu", index,
                graph ? graph->report.n_nodes : (size_t)0);
    return kf_info_write(out, &graph->report.nodes[index].is, "kf_quantized_node", err);
}

kf_status kf_graph_quantized_histogram(const kf_graph *graph, int32_t index, int32_t weights,
                                       kf_quantized_histogram *out, kf_error *err) {
    bool known = graph && out && index >= 0 && (size_t)index < graph->report.n_nodes && (weights == 0 || weights == 1);
    const kf__qhistogram *q = !known    ? NULL
                              : weights ? graph->report.nodes[index].weights
                                        : graph->report.nodes[index].values;
    if (!q)
        KF_FAIL(err, KF_ERR_ARGUMENT,
                "kf_graph_quantized_histogram: node %d has none with `weights` %d; quantize with `detail`", index,
                weights);
    return kf_info_write(out, &q->is, "kf_quantized_histogram", err);
}

kf_status kf_graph_quantized_summary(const kf_graph *graph, double *agreement, double *sqnr, int32_t *samples,
                                     kf_error *err) {
    if (!graph || graph->report.samples == 0)
        KF_FAIL(err, KF_ERR_ARGUMENT, "kf_graph_quantized_summary: the graph was not quantized");
    if (agreement) *agreement = graph->report.agreement;
    if (sqnr) *sqnr = graph->report.sqnr;
    if (samples) *samples = (int32_t)graph->report.samples;
    return KF_OK;
}

kf_status kf_graph_search_result(const kf_graph *graph, kf_search_result *out, kf_error *err) {
    if (!graph || !out || !graph->searched)
        KF_FAIL(err, KF_ERR_ARGUMENT, "kf_graph_search_result: the graph was not quantized with a target");
    return kf_info_write(out, &graph->search.is, "kf_search_result", err);
}

kf_status kf_graph_search_candidate(const kf_graph *graph, int32_t index, kf_search_candidate *out, kf_error *err) {
    if (!graph || !out || !graph->searched || index < 0 || index >= graph->search.is.candidates)
        KF_FAIL(err, KF_ERR_ARGUMENT, "kf_graph_search_candidate: candidate %d; the search has %d", index,
                graph && graph->searched ? graph->search.is.candidates : 0);
    return kf_info_write(out, &graph->search.list[index].is, "kf_search_candidate", err);
}
