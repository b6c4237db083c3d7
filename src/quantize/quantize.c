/* The sequence: nodes in order, each quantized with its inputs already quantized; then the report.
 * Owner rule: see quantize.h. */
#include "quantize/quantize.h"

#include "quantize/assign.h"
#include "quantize/detail.h"
#include "quantize/equalize.h"
#include "quantize/layer_steps.h"

kf_quantize_options kf__quantize_defaults(void) {
    return (kf_quantize_options){.size = sizeof(kf_quantize_options),
                                 .range = KF_RANGE_MSE,
                                 .percentile = 99.99,
                                 .per_channel = 1,
                                 .channel_scales = 1,
                                 .bias_correction = 1,
                                 .rounding = 1,
                                 .cross = 1,
                                 .equalize = 1,
                                 .target_drop = -1,
                                 .max_int16_macs = 10};
}

kf__qoptions kf__qoptions_default(void) {
    kf__qoptions o = {.asked = kf__quantize_defaults(), .memory = (size_t)700 << 20};
    o.asked.threads = 1;
    return o;
}

kf_status kf__quantize_tell(const kf__qoptions *o, size_t done, size_t total, kf_error *err) {
    if (!o->asked.progress || !o->asked.progress(o->asked.user, done, total)) return KF_OK;
    KF_FAIL(err, KF_ERR_CANCELLED, "quantize: stopped after %zu of %zu nodes, as the caller asked", done, total);
}

static kf_status check_activation(const kf__graph *g, const kf__node *n, kf_error *err) {
    if (kf__head_is_float(g, n)) return KF_OK;
    const kf__activation *a[3] = {&n->attrs.act, &n->attrs.post_act, &n->attrs.gate_act};
    for (int i = 0; i < 3; i++)
        if (kf__activation_by_expf(a[i]))
            KF_FAIL(err, KF_ERR_UNSUPPORTED,
                    "%s: sigmoid and SiLU have no integer rule (their exp differs between machines); hard forms can be "
                    "quantized",
                    n->name);
    return KF_OK;
}

/* Largest real magnitude that a value can hold; 0: it is f32. */
static float held(const kf__quant *q) {
    float most = 0;
    for (int32_t c = 0; q && c < (q->channels ? q->channels : 1); c++) {
        float scale = q->channels ? q->scales[c] : q->scale;
        int32_t z = q->channels ? q->zeros[c] : q->zero, up = q->qmax - z, down = z - q->qmin;
        most = fmaxf(most, scale * (float)(up > down ? up : down));
    }
    return most;
}

static float held_by_input(const kf__graph *g, const kf__node *n) {
    for (int32_t i = 0; i < n->n_in; i++)
        if (n->in[i] >= 0 && !g->values[n->in[i]].data) return held(g->values[n->in[i]].quant);
    return 0;
}

/* Float and quantized output of one node, over all samples. */
static void measure(const kf__sim *s, kf__vid v, float *scratch, kf_quantized_node *to) {
    size_t n = kf__sim_shape_of(s->graph, v).count;
    double ff = 0, qq = 0, fq = 0, dd = 0;
    for (size_t k = 0; k < s->samples; k++) {
        const float *f = kf__sim_at(s, k, v)->f, *q = kf__sim_real(s, k, v, scratch);
        for (size_t i = 0; i < n; i++) {
            double a = (double)f[i], b = (double)q[i];
            ff += a * a, qq += b * b, fq += a * b, dd += (a - b) * (a - b);
        }
    }
    to->cosine = kf__cosine(ff, qq, fq);
    to->sqnr = dd > 0 ? 10 * log10(ff / dd) : INFINITY;
    const kf__quant *q = s->graph->values[v].quant;
    to->dtype = q ? q->dtype : KF_F32;
    to->threshold = (double)held(q);
}

static size_t top1(const float *x, size_t n) {
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

static void summarize(const kf__sim *s, float *scratch, kf__qreport *r) {
    kf__vid v = kf__graph_ranked(s->graph);
    size_t n = kf__sim_shape_of(s->graph, v).count, same = 0;
    kf_quantized_node all = {0};
    measure(s, v, scratch, &all);
    for (size_t k = 0; k < s->samples; k++)
        same += top1(kf__sim_at(s, k, v)->f, n) == top1(kf__sim_real(s, k, v, scratch), n);
    r->agreement = 100.0 * (double)same / (double)s->samples;
    r->sqnr = all.sqnr;
    r->samples = s->samples;
}

/* Every node in graph order: its inputs are quantized already, so each layer can correct the errors of those before
 * it. Activations are released after their last reader. */
static kf_status run_nodes(kf__sim *s, kf__qreport *r, kf__arena *arena, float *scratch) {
    kf__graph *g = s->graph;
    for (size_t i = 0; i < g->n_nodes; i++) {
        const kf__node *n = &g->nodes[i];
        int64_t macs = kf__node_macs(g, n);
        KF_TRY(check_activation(g, n, s->err));
        if (r)
            r->nodes[i].is = (kf_quantized_node){.size = sizeof(kf_quantized_node),
                                                 .op = kf__op_name(n->op),
                                                 .macs = macs,
                                                 .alone_cosine = NAN,
                                                 .alone_sqnr = NAN};
        if (s->alone) KF_TRY(kf__detail_before(s, n, arena, &r->nodes[i]));
        kf_status st = kf__step_node(s, i);
        if (st != KF_OK) return kf_error_prefix(s->err, st, "quantize");
        n = &g->nodes[i];
        if (r) {
            r->nodes[i].is.name = n->name;
            r->nodes[i].is.input_threshold = (double)held_by_input(g, n);
            measure(s, n->out[0], scratch, &r->nodes[i].is);
            if (s->alone) KF_TRY(kf__detail_after(s, n, arena, scratch, &r->nodes[i]));
        }
        if (i + 1 == g->n_nodes && r) summarize(s, scratch, r);
        kf__sim_release(s, (int32_t)i);
        KF_TRY(kf__quantize_tell(s->o, i + 1, g->n_nodes, s->err));
    }
    return KF_OK;
}

/* `scratch` holds the real values of the largest activation, for the measures of the report. */
static kf_status run(kf__sim *s, kf__graph *g, const kf__qsamples *samples, const kf__qoptions *o, kf__arena *arena,
                     kf__qreport *r, kf_error *err) {
    size_t most = 0;
    s->graph = g, s->err = err, s->pixels = samples->pixels;
    KF_TRY(kf__assign_input(s, samples));
    KF_TRY(kf__sim_open(s, g, samples, o, err));
    if (!s->pixels) /* the quantized network starts from the rounded input, too */
        for (size_t k = 0; k < s->samples; k++) kf__sim_store(s, k, g->inputs[0], kf__sim_at(s, k, g->inputs[0])->f);
    for (size_t v = 0; v < g->n_values; v++) {
        size_t n = kf__sim_shape_of(g, (kf__vid)v).count;
        if (!g->values[v].data && n > most) most = n;
    }
    float *scratch = kf__arena_array(&s->arena, most + 1, sizeof *scratch);
    if (r) {
        r->n_nodes = g->n_nodes;
        r->nodes = kf__arena_zalloc(arena, (g->n_nodes + 1) * sizeof *r->nodes);
    }
    if (!scratch || (r && !r->nodes)) KF_FAIL_MEMORY(err, most * sizeof *scratch);
    if (r && o->asked.detail) KF_TRY(kf__detail_open(s));
    return run_nodes(s, r, arena, scratch);
}

kf_status kf__quantize(kf__graph *g, const kf__qsamples *samples, const kf__qoptions *o, kf__arena *arena,
                       kf__qreport *report, kf_error *err) {
    kf__sim s = {0};
    if (g->n_inputs != 1 || g->n_nodes == 0)
        KF_FAIL(err, KF_ERR_UNSUPPORTED, "the network has %zu inputs; one can be quantized", g->n_inputs);
    if (samples->n == 0)
        KF_FAIL(err, KF_ERR_ARGUMENT, "no calibration samples were given; some 50 to 200 typical inputs are needed");
    if (o->asked.equalize) KF_TRY(kf__equalize(g, samples, o, NULL, err));
    kf_status st = run(&s, g, samples, o, arena, report, err);
    kf__sim_close(&s);
    return st;
}
