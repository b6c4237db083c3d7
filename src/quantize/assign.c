/* Storage of activations: which stay f32, which are i16, which have scales per channel; ranges from histograms.
 * Owner rule: see assign.h. */
#include "quantize/assign.h"

#include <math.h>
#include <stdlib.h>

#include "graph/qrules.h"
#include "program/steps.h"
#include "quantize/observe.h"

/* Positions, over all samples, from which a channel's range is trusted. Early maps of a hundred pictures reach it,
 * maps of 14 x 14 do not. */
enum { ENOUGH = 40000 };

/* A clip of what a sigmoid made, as exporters write against a logarithm of 0: it stays f32 with its sigmoid. */
static bool clips_sigmoid(const kf__graph *g, const kf__node *n) {
    const int32_t made = n->n_in > 0 && n->in[0] >= 0 ? g->values[n->in[0]].producer : -1;
    return n->op == KF_OP_ACT && n->attrs.act.kind == KF_ACT_CLIP && made >= 0 &&
           kf__activation_by_expf(&g->nodes[made].attrs.act);
}

bool kf__assign_ends_in_float(const kf__graph *g, kf__vid v) {
    for (size_t k = 0; k < g->n_outputs; k++)
        if (g->outputs[k] == v) return true;
    for (size_t i = 0; i < g->n_nodes; i++)
        for (int k = 0; k < g->nodes[i].n_in; k++) {
            const kf__node *n = &g->nodes[i];
            if (n->in[k] != v) continue;
            if (kf__op_is_float_head(n->op) || kf__head_is_float(g, n)) return true;
            const bool same = kf__op_keeps_integers(n->op) || clips_sigmoid(g, n);
            if (k == 1 && n->op == KF_OP_SCALE) return true; /* the step takes its gate in f32 */
            if (k == 0 && same && kf__assign_ends_in_float(g, n->out[0])) return true;
        }
    return false;
}

bool kf__assign_is_quantized(const kf__graph *g, const kf__node *n, kf__vid v) {
    return kf__op_table[n->op].output != KF_OUTPUT_FLOAT && !kf__assign_ends_in_float(g, v);
}

/* Does the node keep the first input's channels separate, so that each may have its own scale? */
static bool treats_channels_apart(const kf__graph *g, const kf__node *n) {
    switch (kf__op_table[n->op].rule) {
    case KF_RULE_CONV: return kf__node_is_depthwise(g, n);
    case KF_RULE_MEAN:
    case KF_RULE_SE_GATE:
    case KF_RULE_SCALE: return true;
    case KF_RULE_FC:
    case KF_RULE_ACT:
    case KF_RULE_PAIR:
    case KF_RULE_AVG_POOL:
    case KF_RULE_MAX_POOL:
    case KF_RULE_CONCAT:
    case KF_RULE_PAD:
    case KF_RULE_VIEW:
    case KF_RULE_MOVE:
    case KF_RULE_NONE: break;
    }
    return false;
}

/* May its integer form write scales per channel? Other nodes run in f32, followed by a step that may. */
static bool writes_channels(const kf__node *n) {
    static const kf__step_op STEPS[KF_OP_COUNT] = {
#define KF_STEP_NONE KF_STEP_QUANTIZE
#define KF_OP(id, name, least, most, role, attrs, shape, type, eval, step, ...) KF_STEP_##step,
#include "graph/ops.def"
#undef KF_OP
#undef KF_STEP_NONE
    };
    return kf__step_info_of(STEPS[n->op])->scaled & KF_SCALED_OUT;
}

bool kf__assign_channels_allowed(const kf__graph *g, kf__vid v) {
    const int32_t producer = g->values[v].producer;
    if (producer >= 0 && !writes_channels(&g->nodes[producer])) return false;
    for (size_t i = 0; i < g->n_nodes; i++)
        for (int k = 0; k < g->nodes[i].n_in; k++) {
            const kf__node *n = &g->nodes[i];
            if (n->in[k] != v) continue;
            if (k > 0 || !treats_channels_apart(g, n)) return false;
        }
    return true;
}

int32_t kf__assign_limit(size_t k, int32_t w_max) {
    double most = (2147483647.0 - 134217728.0) / ((double)k * w_max);
    return (int32_t)kf__whole(most, 0, 32767, 0);
}

/* The strictest limit of all convolutions and fully connected layers that read v. */
static int32_t reader_limit(const kf__sim *s, kf__vid v) {
    const kf__graph *g = s->graph;
    int32_t limit = 32767;
    for (size_t i = 0; i < g->n_nodes; i++) {
        const kf__node *n = &g->nodes[i];
        int32_t here = limit;
        if (kf__op_keeps_integers(n->op) && n->in[0] == v) here = reader_limit(s, n->out[0]);
        if (kf__op_is_layer(n->op) && n->in[0] == v) {
            const kf__value *w = &g->values[n->in[1]];
            size_t count = 0;
            if (!kf__shape_count(&w->shape, &count)) continue;
            here = kf__assign_limit(count / (size_t)w->shape.dim[0], 127);
            /* i16 weights and their input share 31 bits; large weights are few, so the input gets two more bits */
            double wide = 2 * sqrt(1879048192.0 * (double)w->shape.dim[0] / (double)count);
            if (s->o->wide_weights && s->o->wide_weights[i]) here = (int32_t)kf__whole(wide, 0, here, here);
        }
        if (here < limit) limit = here;
    }
    return limit;
}

static kf__quant *new_quant(kf__graph *g, kf_dtype dtype) {
    kf__quant *q = kf__arena_zalloc(&g->arena, sizeof *q);
    if (q) *q = (kf__quant){.dtype = dtype, .scale = 1, .qmin = 0, .qmax = 255};
    return q;
}

kf_status kf__assign_i16(kf__graph *g, float magnitude, int32_t limit, kf__quant **out, kf_error *err) {
    kf__quant *q = *out = new_quant(g, KF_I16);
    if (!q) KF_FAIL_MEMORY(err, sizeof *q);
    q->qmax = limit;
    q->qmin = -limit;
    q->scale = fmaxf(magnitude, 1e-20f) / (float)limit;
    return KF_OK;
}

/* Smallest and largest value of every channel over all samples. */
static void extremes(const kf__sim *s, kf__vid v, const kf__sim_shape *d, float *lo, float *hi) {
    for (size_t c = 0; c < d->c; c++) lo[c] = hi[c] = kf__sim_at(s, 0, v)->f[c];
    for (size_t k = 0; k < s->samples; k++) {
        const float *x = kf__sim_at(s, k, v)->f;
        for (size_t i = 0; i < d->h * d->w; i++, x += d->c)
            for (size_t c = 0; c < d->c; c++) {
                lo[c] = x[c] < lo[c] ? x[c] : lo[c];
                hi[c] = x[c] > hi[c] ? x[c] : hi[c];
            }
    }
}

typedef struct fill_job {
    const kf__sim *s;
    kf__vid v;
    kf__sim_shape d;
    kf__histogram *h; /* one, or one for each channel */
    bool channels;
} fill_job;

/* Each worker has its own channels, so no histogram is shared. A tensor's single histogram is filled by worker 0. */
static void fill(void *ctx, int worker, int workers) {
    const fill_job *j = ctx;
    size_t from = 0, to = j->d.c;
    if (j->channels)
        from = j->d.c * (size_t)worker / (size_t)workers, to = j->d.c * ((size_t)worker + 1) / (size_t)workers;
    else if (worker) return;
    for (size_t k = 0; k < j->s->samples; k++) {
        const float *x = kf__sim_at(j->s, k, j->v)->f;
        for (size_t i = 0; i < j->d.h * j->d.w; i++, x += j->d.c)
            for (size_t c = from; c < to; c++) kf__histogram_add(&j->h[j->channels ? c : 0], x[c]);
    }
}

static int ascending(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static float upper_quartile(const float *x, size_t n, float *scratch) {
    if (scratch != x) memcpy(scratch, x, n * sizeof *x);
    qsort(scratch, n, sizeof *scratch, ascending);
    return fmaxf(scratch[n * 3 / 4], 0);
}

bool kf__assign_seen_enough(const kf__sim *s, const kf__sim_shape *d) { return d->h * d->w * s->samples >= ENOUGH; }

/* A channel that was quiet in the samples may be loud later: late channels respond to classes that occur once in a
 * hundred pictures. So a channel of a small map gets at least the whole tensor's range wa..wb, limited to twice the
 * upper quartile of the channels' ranges in case a few huge channels made it. Loud channels keep their own range,
 * and so do all channels that were seen at enough positions. */
static kf_status by_channel(kf__sim *s, fill_job *j, const float *lo, const float *hi, float wa, float wb,
                            kf__quant *q) {
    kf__graph *g = s->graph;
    float *scales = kf__arena_array(&g->arena, j->d.c, sizeof *scales), top = 0;
    int32_t *zeros = kf__arena_array(&g->arena, j->d.c, sizeof *zeros);
    if (!scales || !zeros) KF_FAIL_MEMORY(s->err, j->d.c * sizeof *scales);
    for (size_t c = 0; c < j->d.c; c++) j->h[c].lo = lo[c], j->h[c].hi = hi[c], top = fmaxf(top, hi[c] - lo[c]);
    kf__pool_run(s->pool, fill, j);
    wb = fminf(wb, 2 * upper_quartile(hi, j->d.c, scales)); /* scales serve as scratch until they are set */
    for (size_t c = 0; c < j->d.c; c++) scales[c] = -lo[c];
    wa = fmaxf(wa, -2 * upper_quartile(scales, j->d.c, scales));
    if (kf__assign_seen_enough(s, &j->d)) wa = wb = 0;
    for (size_t c = 0; c < j->d.c; c++) {
        float a, b;
        kf__range_choose(&j->h[c], s->o->asked.range, s->o->asked.percentile, 255, &a, &b);
        a = fminf(a, wa), b = fmaxf(b, wb);
        kf__range_to_u8(a, b, fmaxf(top / 255 * 1e-3f, 1e-12f), &scales[c], &zeros[c]);
    }
    q->channels = (int32_t)j->d.c;
    q->scales = scales;
    q->zeros = zeros;
    q->scale = scales[0];
    q->zero = zeros[0];
    return KF_OK;
}

/* Chooses the quantization of v from its float values in all samples: i16 if `wide`, else u8 with one scale, or with
 * one for each channel if `channels`. */
static kf_status from_values(kf__sim *s, kf__vid v, bool wide, bool channels, kf__quant **out) {
    fill_job j = {.s = s, .v = v, .d = kf__sim_shape_of(s->graph, v), .channels = channels};
    kf__arena scratch;
    kf__arena_init(&scratch, NULL);
    float *lo = kf__arena_array(&scratch, 2 * j.d.c, sizeof *lo), a = 0, b = 0;
    j.h = kf__arena_zalloc(&scratch, (channels ? j.d.c : 1) * sizeof *j.h);
    kf_status st = KF_OK;
    if (!lo || !j.h) {
        kf__arena_free(&scratch);
        KF_FAIL_MEMORY(s->err, j.d.c * sizeof *j.h);
    }
    float *hi = lo + j.d.c;
    extremes(s, v, &j.d, lo, hi);
    for (size_t c = 0; c < j.d.c; c++) a = fminf(a, lo[c]), b = fmaxf(b, hi[c]);
    if (wide) {
        st = kf__assign_i16(s->graph, fmaxf(-a, b) * 1.1f, reader_limit(s, v), out, s->err);
    } else if (!(*out = new_quant(s->graph, KF_U8))) {
        st = kf_error_set(s->err, KF_ERR_MEMORY, "out of memory");
    } else {
        j.channels = false;
        j.h->lo = a, j.h->hi = b;
        kf__pool_run(s->pool, fill, &j);
        kf__range_choose(j.h, s->o->asked.range, s->o->asked.percentile, 255, &a, &b);
        j.channels = channels;
        if (channels) memset(j.h, 0, sizeof *j.h), st = by_channel(s, &j, lo, hi, a, b, *out);
        else kf__range_to_u8(a, b, 1e-12f, &(*out)->scale, &(*out)->zero);
    }
    kf__arena_free(&scratch);
    return st;
}

kf_status kf__assign_quant(kf__sim *s, const kf__node *n, kf__vid v) {
    kf__graph *g = s->graph;
    kf__sim_shape d = kf__sim_shape_of(g, v);
    KF_TRY(kf__sim_check_finite(s, n));
    if (!kf__assign_is_quantized(g, n, v)) return KF_OK;
    if (kf__op_keeps_integers(n->op)) {
        g->values[v].quant = g->values[n->in[0]].quant;
        return KF_OK;
    }
    bool wide = d.h * d.w == 1 || (s->o->wide && s->o->wide[v]);
    bool channels = !wide && s->o->asked.channel_scales && kf__assign_channels_allowed(g, v);
    KF_TRY(from_values(s, v, wide, channels, &g->values[v].quant));
    /* A step has one pair of clip bounds. Scales per channel that would need several pairs are replaced by one
     * scale. */
    if (kf__q_uniform_bounds(n, g->values[v].quant)) return KF_OK;
    return from_values(s, v, false, false, &g->values[v].quant);
}

/* The input of a network that is not fed pixels: u8 over the range of the samples. Their floats are not in place
 * yet. */
kf_status kf__assign_input(kf__sim *s, const kf__qsamples *samples) {
    kf__graph *g = s->graph;
    kf__quant *q = g->values[g->inputs[0]].quant = new_quant(g, KF_U8);
    size_t n = kf__sim_shape_of(g, g->inputs[0]).count;
    float lo = 0, hi = 0;
    if (!q) KF_FAIL_MEMORY(s->err, sizeof *q);
    q->pixels = s->pixels || samples->pixels;
    if (q->pixels) return KF_OK; /* scale 1, zero point 0 */
    for (size_t k = 0; k < samples->n; k++)
        for (size_t i = 0; i < n; i++) {
            float x = ((const float *)samples->data[k])[i];
            if (!isfinite(x))
                KF_FAIL(s->err, KF_ERR_ARGUMENT, "calibration sample %zu holds a value that is not finite", k);
            lo = fminf(lo, x), hi = fmaxf(hi, x);
        }
    kf__range_to_u8(lo, hi, 1e-12f, &q->scale, &q->zero);
    return KF_OK;
}
