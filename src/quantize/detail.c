/* A node's own error and its histograms.
 * Owner rule: see detail.h. */
#include "quantize/detail.h"

#include <math.h>

#include "graph/qrules.h"
#include "preprocess/pixel.h"

kf_status kf__detail_open(kf__sim *s) {
    s->alone = kf__arena_zalloc(&s->arena, s->samples * sizeof *s->alone);
    if (!s->alone) KF_FAIL_MEMORY(s->err, s->samples * sizeof *s->alone);
    return KF_OK;
}

/* Inputs that hold weights: those of a layer, or both matrices of a squeeze-and-excite branch. */
static int weight_inputs(const kf__node *n, int *at) {
    at[0] = 1;
    at[1] = 3;
    if (kf__op_is_gate(n->op)) return 2;
    return kf__op_is_layer(n->op) ? 1 : 0;
}

/* The factor of weight i: the weights of a layer that reads pixels include the division by 255 std. */
static float weight_at(const kf__sim *s, const kf__node *n, const kf__value *v, size_t i) {
    float w = ((const float *)v->data)[i];
    if (!s->pixels || n->in[0] != s->graph->inputs[0] || n->op != KF_OP_CONV) return w;
    const kf__filters f = kf__filters_of(&v->shape);
    size_t o = i / f.taps / f.i, channel = kf__filters_channel(&f, (size_t)n->attrs.window.group, o, i / f.taps % f.i);
    return kf__pixel_weight(&s->graph->meta.preprocess, channel, w);
}

static void reach(kf__histogram *h, float x) {
    h->lo = fminf(h->lo, x);
    h->hi = fmaxf(h->hi, x);
}

/* Two passes: the first finds the range of the histogram, the second fills it. */
kf_status kf__detail_before(kf__sim *s, const kf__node *n, kf__arena *arena, kf__qnode *to) {
    int at[2], count = weight_inputs(n, at);
    memset(s->alone, 0, s->samples * sizeof *s->alone);
    s->alone_done = false;
    if (count == 0) return KF_OK;
    kf__qhistogram *q = to->weights = kf__arena_zalloc(arena, sizeof *q);
    if (!q) KF_FAIL_MEMORY(s->err, sizeof *q);
    for (int fill = 0; fill < 2; fill++)
        for (int k = 0; k < count; k++) {
            const kf__value *v = &s->graph->values[n->in[at[k]]];
            size_t size = 0;
            if (!v->data || v->dtype != KF_F32 || !kf__shape_count(&v->shape, &size)) continue;
            for (size_t i = 0; i < size; i++) {
                float w = weight_at(s, n, v, i);
                if (fill) kf__histogram_add(&q->h, w);
                else reach(&q->h, w);
            }
        }
    return KF_OK;
}

void kf__detail_alone(const kf__sim *s, size_t sample, kf__vid v, float *y) {
    const float *f = kf__sim_at(s, sample, v)->f;
    double *to = s->alone[sample];
    kf__sim_round(s, v, y);
    for (size_t i = 0, n = kf__sim_shape_of(s->graph, v).count; i < n; i++) {
        double a = (double)f[i], b = (double)y[i];
        to[0] += a * a, to[1] += b * b, to[2] += a * b, to[3] += (a - b) * (a - b);
    }
}

/* The ranges that a quantization's scales span, each [(qmin - z) * s, (qmax - z) * s]. */
static void add_ranges(const kf__quant *q, kf_quantized_histogram *to) {
    for (int32_t c = 0; q && c < (q->channels ? q->channels : 1); c++, to->ranges++) {
        float scale = q->channels ? q->scales[c] : q->scale;
        int32_t z = q->channels && q->zeros ? q->zeros[c] : q->zero;
        const double range[2] = {(double)((float)(q->qmin - z) * scale), (double)((float)(q->qmax - z) * scale)};
        for (int side = 0; side < 2; side++) {
            bool first = to->ranges == 0, wider = fabs(range[side]) > fabs(to->wide[side]),
                 tighter = fabs(range[side]) < fabs(to->tight[side]);
            if (first || wider) to->wide[side] = range[side];
            if (first || tighter) to->tight[side] = range[side];
        }
    }
}

static void finish(const kf__quant *q, kf__qhistogram *to) {
    kf_quantized_histogram *is = &to->is;
    add_ranges(q, is);
    is->size = sizeof *is;
    is->lo = (double)to->h.lo;
    is->hi = (double)to->h.hi;
    is->bins = to->h.bins;
    is->n_bins = KF_HISTOGRAM_BINS;
    is->zeros = to->h.zeros;
}

/* The histogram of v's float values over all samples, and the ranges that its quantization can hold. */
static kf_status spread(kf__sim *s, kf__vid v, kf__arena *arena, kf__qnode *to) {
    size_t n = kf__sim_shape_of(s->graph, v).count;
    kf__qhistogram *q = to->values = kf__arena_zalloc(arena, sizeof *q);
    if (!q) KF_FAIL_MEMORY(s->err, sizeof *q);
    for (int fill = 0; fill < 2; fill++)
        for (size_t k = 0; k < s->samples; k++) {
            const float *f = kf__sim_at(s, k, v)->f;
            for (size_t i = 0; i < n; i++) {
                if (fill) kf__histogram_add(&q->h, f[i]);
                else reach(&q->h, f[i]);
            }
        }
    finish(s->graph->values[v].quant, q);
    return KF_OK;
}

/* sum: float power, own power, product and error power, as kf__sim.alone lists them. */
kf_status kf__detail_after(kf__sim *s, const kf__node *n, kf__arena *arena, float *scratch, kf__qnode *to) {
    kf__vid v = n->out[0];
    double sum[4] = {0};
    int at[2], count = weight_inputs(n, at);
    for (size_t k = 0; k < s->samples; k++) {
        if (!s->alone_done) {
            memcpy(scratch, kf__sim_at(s, k, v)->f, kf__sim_shape_of(s->graph, v).count * sizeof *scratch);
            kf__detail_alone(s, k, v, scratch);
        }
        for (int i = 0; i < 4; i++) sum[i] += s->alone[k][i];
    }
    to->is.alone_cosine = kf__cosine(sum[0], sum[1], sum[2]);
    to->is.alone_sqnr = sum[3] > 0 ? 10 * log10(sum[0] / sum[3]) : INFINITY;
    for (int k = 0; k < count; k++) finish(s->graph->values[n->in[at[k]]].quant, to->weights);
    return spread(s, v, arena, to);
}
