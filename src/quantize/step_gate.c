/* The squeeze-and-excite branch, both networks: pooled means and hidden layer in i16, weights i8, gate f32 in [0, 1].
 * One row per sample, so plain loops are fast enough.
 * Owner rule: scratch of one branch ends with the call. */
#include <math.h>

#include "graph/qrules.h"
#include "quantize/assign.h"
#include "quantize/detail.h"
#include "quantize/store.h"
#include "quantize/layer_steps.h"
#include "quantize/weights.h"

/* One of the two layers, for all samples: rows in, sums out; the float network first. */
typedef struct dense {
    const float *w, *b; /* float network's */
    size_t o, k;
    float *xf, *xq; /* [samples][K] */
    float *yf, *yq; /* [samples][O], activated */
    const kf__activation *act;
    int32_t *q;
    float *scale, *s_in;
    double *bias;
} dense;

static double dot(const float *w, const float *x, size_t k) {
    double sum = 0;
    for (size_t i = 0; i < k; i++) sum += (double)w[i] * (double)x[i];
    return sum;
}

static kf_status alloc(kf__sim *s, kf__arena *a, dense *d) {
    size_t n = s->samples;
    d->yf = kf__arena_array(a, 2 * n * d->o, sizeof *d->yf);
    d->q = kf__arena_array(a, d->o * d->k, sizeof *d->q);
    d->scale = kf__arena_array(a, 2 * d->o, sizeof *d->scale);
    d->bias = kf__arena_array(a, d->o, sizeof *d->bias);
    if (!d->yf || !d->q || !d->scale || !d->bias) KF_FAIL_MEMORY(s->err, 2 * n * d->o * sizeof *d->yf);
    d->yq = d->yf + n * d->o;
    d->s_in = d->scale + d->o;
    return KF_OK;
}

/* Quantize the weights, correct the bias by the mean difference, run both networks. */
static kf_status run_dense(kf__sim *s, dense *d, float s_in) {
    size_t n = s->samples;
    for (size_t o = 0; o < d->o; o++) {
        d->s_in[o] = s_in;
        d->bias[o] = (double)d->b[o];
        d->scale[o] = kf__weight_scale(d->w + o * d->k, d->k, NULL, 0, 127);
    }
    kf__step_guard(d->scale, d->o, d->s_in, d->bias);
    const kf__weight_job job = {.rows = d->w, .q = d->q, .scale = d->scale, .o = d->o, .k = d->k, .qmax = 127};
    KF_TRY(kf__weights_round(s, &job));
    for (size_t o = 0; o < d->o; o++) {
        double gap = 0;
        for (size_t i = 0; i < n; i++) {
            double q = 0;
            for (size_t k = 0; k < d->k; k++) q += (double)d->q[o * d->k + k] * (double)d->xq[i * d->k + k];
            q *= (double)d->scale[o];
            double f = dot(d->w + o * d->k, d->xf + i * d->k, d->k);
            d->yf[i * d->o + o] = (float)f;
            d->yq[i * d->o + o] = (float)q;
            gap += (f - q) / (double)n;
        }
        if (s->o->asked.bias_correction) d->bias[o] += gap;
        for (size_t i = 0; i < n; i++) {
            float *f = &d->yf[i * d->o + o], *q = &d->yq[i * d->o + o];
            *f = kf__activate(d->act->kind, *f + d->b[o], d->act->lo, d->act->hi);
            *q = kf__activate(d->act->kind, *q + (float)d->bias[o], d->act->lo, d->act->hi);
        }
    }
    return KF_OK;
}

/* The float network's half of run_dense. */
static void float_dense(const kf__sim *s, const dense *d) {
    for (size_t i = 0; i < s->samples; i++)
        for (size_t o = 0; o < d->o; o++)
            d->yf[i * d->o + o] = kf__activate(
                d->act->kind, (float)dot(d->w + o * d->k, d->xf + i * d->k, d->k) + d->b[o], d->act->lo, d->act->hi);
}

static void float_gate(const kf__sim *s, kf__vid y, const dense *one, dense *two) {
    float_dense(s, one);
    two->xf = one->yf;
    float_dense(s, two);
    for (size_t k = 0; k < s->samples; k++)
        memcpy(kf__sim_at(s, k, y)->f, two->yf + k * two->o, two->o * sizeof(float));
}

static void round_all(float *x, size_t n, const kf__quant *q) {
    float inv = kf__inverse((double)q->scale);
    for (size_t i = 0; i < n; i++) x[i] = (float)kf__quantize_clamped(x[i] * inv, 0, q->qmin, q->qmax) * q->scale;
}

static float largest(const float *x, size_t n) {
    float top = 0;
    for (size_t i = 0; i < n; i++) top = fmaxf(top, fabsf(x[i]));
    return top;
}

/* Means over pixels of both networks. */
static kf_status pool(kf__sim *s, kf__vid x, kf__arena *a, dense *d) {
    kf__sim_shape shape = kf__sim_shape_of(s->graph, x);
    float *scratch = kf__arena_array(a, shape.count, sizeof *scratch);
    d->xf = kf__arena_zalloc(a, 2 * s->samples * shape.c * sizeof *d->xf);
    if (!d->xf || !scratch) KF_FAIL_MEMORY(s->err, shape.count * sizeof *scratch);
    d->xq = d->xf + s->samples * shape.c;
    for (size_t k = 0; k < s->samples; k++)
        for (int side = 0; side < (s->float_only ? 1 : 2); side++) {
            const float *from = side ? kf__sim_real(s, k, x, scratch) : kf__sim_at(s, k, x)->f;
            for (size_t c = 0; c < shape.c; c++) {
                double sum = 0;
                for (size_t i = 0; i < shape.h * shape.w; i++) sum += (double)from[i * shape.c + c];
                (side ? d->xq : d->xf)[k * shape.c + c] = (float)(sum / (double)(shape.h * shape.w));
            }
        }
    return KF_OK;
}

static kf_status store(kf__sim *s, kf__node *n, int at, const dense *d) {
    const kf__sim_layer l = {.window = KF_WINDOW_ONE, .o = d->o, .k = d->k};
    KF_TRY(kf__store_weights(s, n, at, &l, d->q, d->scale, 127));
    return kf__store_bias(s, n, at + 1, d->o, d->bias, d->s_in, d->scale, false);
}

/* One quantized layer on one row of real inputs, which are rounded as it rounds them. */
static void one_row(const dense *d, const float *x, const kf__quant *q, float *rounded, float *y) {
    memcpy(rounded, x, d->k * sizeof *x);
    round_all(rounded, d->k, q);
    for (size_t o = 0; o < d->o; o++) {
        double sum = 0;
        for (size_t k = 0; k < d->k; k++) sum += (double)d->q[o * d->k + k] * (double)rounded[k];
        y[o] =
            kf__activate(d->act->kind, (float)(sum * (double)d->scale[o]) + (float)d->bias[o], d->act->lo, d->act->hi);
    }
}

/* The branch on the float network's pooled values. */
static kf_status alone(kf__sim *s, const kf__node *n, const dense *one, const dense *two, kf__arena *a) {
    float *rounded = kf__arena_array(a, one->k + two->k + one->o + two->o, sizeof *rounded);
    if (!rounded) KF_FAIL_MEMORY(s->err, one->k * sizeof *rounded);
    float *hidden = rounded + one->k + two->k, *gate = hidden + one->o;
    for (size_t k = 0; k < s->samples; k++) {
        one_row(one, one->xf + k * one->k, n->attrs.pool_quant, rounded, hidden);
        one_row(two, hidden, n->attrs.hidden_quant, rounded, gate);
        kf__detail_alone(s, k, n->out[0], gate);
    }
    s->alone_done = true;
    return KF_OK;
}

/* Rounds the inputs of one layer to i16. The range gets headroom over the largest value seen in either network. */
static kf_status round_inputs(kf__sim *s, const dense *d, float headroom, kf__quant **out) {
    size_t n = s->samples * d->k;
    float top = headroom * fmaxf(largest(d->xf, n), largest(d->xq, n));
    KF_TRY(kf__assign_i16(s->graph, top, kf__assign_limit(d->k, 127), out, s->err));
    round_all(d->xq, n, *out);
    return KF_OK;
}

/* Pool, first layer, second layer, each in both networks. 16 bits have steps to spare, so their ranges get much
 * headroom. */
static kf_status run_gate(kf__sim *s, size_t index, kf__arena *a) {
    kf__graph *g = s->graph;
    kf__node *n = &g->nodes[index];
    kf__vid y = n->out[0];
    const kf__shape *w1 = &g->values[n->in[1]].shape;
    dense one = {.w = g->values[n->in[1]].data,
                 .b = g->values[n->in[2]].data,
                 .o = (size_t)w1->dim[0],
                 .k = (size_t)w1->dim[1],
                 .act = &n->attrs.act};
    dense two = {.w = g->values[n->in[3]].data,
                 .b = g->values[n->in[4]].data,
                 .o = one.k,
                 .k = one.o,
                 .act = &n->attrs.gate_act};
    KF_TRY(kf__sim_alloc(s, y, false));
    KF_TRY(pool(s, n->in[0], a, &one));
    KF_TRY(alloc(s, a, &one));
    KF_TRY(alloc(s, a, &two));
    if (s->float_only) {
        float_gate(s, y, &one, &two);
        return KF_OK;
    }
    bool integer = g->values[n->in[0]].quant != NULL;
    if (!integer) KF_FAIL(s->err, KF_ERR_UNSUPPORTED, "%s: its input is not quantized", n->name);
    KF_TRY(round_inputs(s, &one, 1.5f, &n->attrs.pool_quant));
    KF_TRY(run_dense(s, &one, n->attrs.pool_quant->scale));
    two.xf = one.yf, two.xq = one.yq;
    KF_TRY(round_inputs(s, &two, 2, &n->attrs.hidden_quant));
    KF_TRY(run_dense(s, &two, n->attrs.hidden_quant->scale));
    for (size_t k = 0; k < s->samples; k++) {
        memcpy(kf__sim_at(s, k, y)->f, two.yf + k * two.o, two.o * sizeof(float));
        memcpy(kf__sim_at(s, k, y)->g, two.yq + k * two.o, two.o * sizeof(float));
    }
    if (s->alone) KF_TRY(alone(s, n, &one, &two, a));
    KF_TRY(store(s, n, 1, &one));
    return store(s, n, 3, &two);
}

kf_status kf__step_gate(kf__sim *s, size_t index) {
    kf__arena a;
    kf__arena_init(&a, NULL);
    kf_status st = run_gate(s, index, &a);
    kf__arena_free(&a);
    return st;
}
