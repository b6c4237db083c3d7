/* Public calls of the quantizer: samples checked, names of int16 nodes resolved, report handed out.
 * Floor 6.
 * Owner rule: the report lives in the graph's arena. */
#include "api/toolchain/graph_api.h"
#include "cpu/cpu.h"

void kf_quantize_options_init(kf_quantize_options *options) {
    *options = (kf_quantize_options){.size = sizeof *options, .percentile = 99.99, .per_channel = 1, .channel_scales = 1,
                                     .bias_correction = 1, .rounding = 1, .cross = 1};
}

static kf_status check_sample(const kf__graph *g, const kf_tensor *t, size_t index, kf_dtype dtype, kf_error *err) {
    const kf__shape *s = &g->values[g->inputs[0]].shape;
    size_t n = 0;
    if (t->dtype != dtype || !t->data) KF_FAIL(err, KF_ERR_ARGUMENT, "calibration sample %zu: data is missing or of another type than sample 0", index);
    if (dtype == KF_U8) {
        if (t->rank != 3 || t->shape[2] != 3 || s->rank != 4 || t->shape[0] != s->dim[2] || t->shape[1] != s->dim[3] || s->dim[1] != 3)
            KF_FAIL(err, KF_ERR_SHAPE, "calibration sample %zu: pixels of %lld x %lld x 3 are needed", index, (long long)s->dim[2], (long long)s->dim[3]);
        n = (size_t)(t->shape[0] * t->shape[1] * 3);
    } else {
        kf__shape have = kf__shape_make(t->rank < 0 || t->rank > KF_MAX_RANK ? 0 : t->rank, t->shape);
        char want[96], got[96];
        if (!kf__shape_equal(&have, s) || !kf__shape_count(s, &n))
            KF_FAIL(err, KF_ERR_SHAPE, "calibration sample %zu: shape %s is needed, %s was given", index, kf__shape_text(s, want, sizeof want),
                    kf__shape_text(&have, got, sizeof got));
        n *= sizeof(float);
    }
    if (t->bytes < n) KF_FAIL(err, KF_ERR_SHAPE, "calibration sample %zu: %zu bytes are needed, %zu were given", index, n, t->bytes);
    return KF_OK;
}

static bool answers_to(const kf__node *n, const char *name) {
    for (int32_t k = 0; k < n->n_sources; k++)
        if (strcmp(n->sources[k], name) == 0) return true;
    return strcmp(n->name, name) == 0;
}

/* A node in int16 reads and writes i16; values without an integer form are left alone by the quantizer. */
static kf_status mark_wide(const kf__graph *g, const kf_quantize_options *o, uint8_t *wide, kf_error *err) {
    for (int32_t i = 0; i < o->n_int16; i++) {
        bool found = false;
        for (size_t k = 0; k < g->n_nodes; k++) {
            const kf__node *n = &g->nodes[k];
            if (!answers_to(n, o->int16_nodes[i])) continue;
            found = true;
            wide[n->out[0]] = 1;
            if (n->in[0] >= 0) wide[n->in[0]] = 1;
        }
        if (!found) KF_FAIL(err, KF_ERR_ARGUMENT, "int16 node \"%s\": no such node; kitfox info --nodes lists the names", o->int16_nodes[i]);
    }
    return KF_OK;
}

static kf_status quantize(kf_graph *graph, const kf_tensor *samples, size_t n, const kf_quantize_options *o, kf_error *err) {
    kf__graph *g = graph->g;
    kf__qoptions q = kf__qoptions_default();
    const void **data = kf__arena_array(&g->arena, n, sizeof *data);
    uint8_t *wide = kf__arena_zalloc(&g->arena, g->n_values);
    if (!data || !wide) KF_FAIL_MEMORY(err, n * sizeof *data);
    for (size_t i = 0; i < n; i++) {
        KF_TRY(check_sample(g, &samples[i], i, samples[0].dtype, err));
        data[i] = samples[i].data;
    }
    KF_TRY(mark_wide(g, o, wide, err));
    q.range = (kf__qrange)o->range;
    q.percentile = o->percentile;
    q.per_channel = o->per_channel, q.channel_scales = o->channel_scales;
    q.bias_correction = o->bias_correction, q.rounding = o->rounding, q.cross = o->cross;
    q.threads = o->threads > 0 ? o->threads : kf__cpu_default_threads();
    q.wide = wide;
    q.progress = o->progress, q.user = o->user;
    const kf__qsamples s = {.data = data, .n = n, .pixels = samples[0].dtype == KF_U8};
    graph->quantized = true; /* whatever comes: a graph half done must not be used */
    return kf__quantize(g, &s, &q, &g->arena, &graph->report, err);
}

kf_status kf_graph_quantize(kf_graph *graph, const kf_tensor *samples, size_t n, const kf_quantize_options *options, kf_error *err) {
    kf_quantize_options o;
    kf_quantize_options_init(&o);
    if (options) o = *options;
    if (!graph || (!samples && n)) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_graph_quantize: graph and samples are needed");
    if (n == 0) KF_FAIL(err, KF_ERR_ARGUMENT, "no calibration samples; 50 to 200 typical inputs are needed");
    if (graph->quantized) KF_FAIL(err, KF_ERR_UNSUPPORTED, "the graph is quantized already");
    if (o.range < KF_RANGE_MSE || o.range > KF_RANGE_KL || !(o.percentile >= 50 && o.percentile <= 100))
        KF_FAIL(err, KF_ERR_ARGUMENT, "kf_graph_quantize: range method %d or percentile %g is not possible; 50 to 100 percent is", (int)o.range, o.percentile);
    KF_TRY(kf_graph_optimize(graph, KF_OPTIMIZE_FUSE, err));
    for (size_t i = 0; i < graph->g->n_nodes; i++) { /* no pass removes these */
        const kf__node *q = &graph->g->nodes[i];
        if (q->op == KF_OP_QUANTIZE || q->op == KF_OP_DEQUANTIZE)
            KF_FAIL(err, KF_ERR_UNSUPPORTED, "%s (%s): the file is quantized already; quantize the float model that it was made from", q->name, kf__op_name(q->op));
    }
    if (samples[0].dtype != KF_F32 && !(samples[0].dtype == KF_U8 && graph->g->meta.preprocess.valid))
        KF_FAIL(err, KF_ERR_ARGUMENT, "calibration samples: f32, or u8 pixels for a network with picture preprocessing, are needed");
    return quantize(graph, samples, n, &o, err);
}

kf_status kf_graph_quantized_node(const kf_graph *graph, int32_t index, kf_quantized_node *out, kf_error *err) {
    if (!graph || !out || index < 0 || (size_t)index >= graph->report.n_nodes)
        KF_FAIL(err, KF_ERR_ARGUMENT, "kf_graph_quantized_node: node %d; the report has %zu", index, graph ? graph->report.n_nodes : (size_t)0);
    const kf__qnode *n = &graph->report.nodes[index];
    *out = (kf_quantized_node){.name = n->name, .op = kf__op_name(n->op), .dtype = n->dtype, .threshold = (double)n->threshold,
                               .cosine = n->cosine, .sqnr = n->sqnr, .macs = n->macs};
    return KF_OK;
}

kf_status kf_graph_quantized_summary(const kf_graph *graph, double *agreement, double *sqnr, int32_t *samples, kf_error *err) {
    if (!graph || graph->report.samples == 0) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_graph_quantized_summary: the graph was not quantized");
    if (agreement) *agreement = graph->report.agreement;
    if (sqnr) *sqnr = graph->report.sqnr;
    if (samples) *samples = (int32_t)graph->report.samples;
    return KF_OK;
}
