/* A convolution or fully connected layer: float pass, range, weights, bias correction, quantized pass, integers into
 * the graph. Bias correction as in Nagel et al. 2019 (arXiv 1906.04721), with the quantized prefix as input.
 * Owner rule: scratch of one layer ends with the call. */
#include <math.h>
#include <stdlib.h>

#include "graph/qrules.h"
#include "preprocess/pixel.h"
#include "quantize/assign.h"
#include "quantize/detail.h"
#include "quantize/store.h"
#include "quantize/layer_steps.h"
#include "quantize/weights.h"

typedef struct layer_job {
    kf__sim *s;
    const kf__node *n;
    kf__sim_layer l;
    kf__arena scratch;
    float *rows, *rows_q; /* [O][K] */
    double *bias;         /* [O], of the float network */
    double *bias_q;       /* ... after correction */
    double *sums;         /* [samples][O] of what the layer computes before its bias */
    float *s_in;          /* [O] */
    float *buffers;       /* [workers][buffer] */
    size_t buffer;
    bool quantized, finish; /* which network; sums only, or the output too */
    bool look;              /* rounding uses the moments of the layer's inputs */
    kf__moments moments;
    bool alone; /* quantized layer on the float network's inputs; the result is only measured */
} layer_job;

/* Activation, residual and last clip on one sample's sums. */
static void epilogue(const layer_job *j, size_t sample, float *y, float *res_scratch) {
    const kf__attrs *a = &j->n->attrs;
    const double *bias = j->quantized ? j->bias_q : j->bias;
    const float *res = NULL;
    kf__vid r = j->n->op == KF_OP_CONV && j->n->n_in > 3 ? j->n->in[3] : -1;
    if (r >= 0)
        res = j->quantized && !j->alone ? kf__sim_real(j->s, sample, r, res_scratch) : kf__sim_at(j->s, sample, r)->f;
    size_t o = j->l.o;
    for (size_t i = 0; i < j->l.y.h * j->l.y.w; i++)
        for (size_t c = 0; c < o; c++) {
            float x = kf__activate(a->act.kind, y[i * o + c] + (float)bias[c], a->act.lo, a->act.hi);
            if (res) x += res[i * o + c];
            if (j->n->op == KF_OP_CONV) x = kf__activate(a->post_act.kind, x, a->post_act.lo, a->post_act.hi);
            y[i * o + c] = x;
        }
}

/* One pass over the worker's samples. Sums over pixels are kept for the bias correction; the output is written only in
 * the pass that finishes the layer. */
static void run_samples(void *ctx, int worker, int workers) {
    layer_job *j = ctx;
    float *x_scratch = j->buffers + (size_t)worker * j->buffer, *y = x_scratch + j->l.x.count, *res = y + j->l.y.count,
          *patches = res + j->l.y.count;
    for (size_t k = (size_t)worker; k < j->s->samples; k += (size_t)workers) {
        const float *x = j->quantized && !j->alone ? kf__sim_real(j->s, k, j->n->in[0], x_scratch)
                                                   : kf__sim_at(j->s, k, j->n->in[0])->f;
        kf__sim_run(j->s, &j->l, x, y, patches);
        double *sum = j->sums + k * j->l.o;
        memset(sum, 0, j->l.o * sizeof *sum);
        for (size_t i = 0; i < j->l.y.h * j->l.y.w; i++)
            for (size_t c = 0; c < j->l.o; c++) sum[c] += (double)y[i * j->l.o + c];
        if (!j->finish) continue;
        epilogue(j, k, y, res);
        if (j->alone) kf__detail_alone(j->s, k, j->n->out[0], y);
        else if (j->quantized) kf__sim_store(j->s, k, j->n->out[0], y);
        else memcpy(kf__sim_at(j->s, k, j->n->out[0])->f, y, j->l.y.count * sizeof *y);
    }
}

/* Mean over samples and pixels of the last pass, in sample order whatever the number of workers. */
static void mean_of(const layer_job *j, double *mean) {
    for (size_t c = 0; c < j->l.o; c++) {
        double sum = 0;
        for (size_t k = 0; k < j->s->samples; k++) sum += j->sums[k * j->l.o + c];
        mean[c] = sum / ((double)j->s->samples * (double)(j->l.y.h * j->l.y.w));
    }
}

static bool reads_pixels(const layer_job *j) { return j->s->pixels && j->n->in[0] == j->s->graph->inputs[0]; }

/* Weights in the order of rows. Those of the pixel layer are divided by 255 std, because it reads pixels. */
static void fill_rows(layer_job *j, const float *w) {
    const kf__filters f = kf__sim_filters(&j->l);
    const kf_preprocess *p = &j->s->graph->meta.preprocess;
    bool pixels = reads_pixels(j);
    for (size_t o = 0; o < f.o; o++)
        for (size_t i = 0; i < f.i; i++)
            for (size_t tap = 0; tap < f.taps; tap++, w++) {
                float *to = &j->rows[kf__filters_row(&f, o, i, tap)];
                *to = pixels ? kf__pixel_weight(p, kf__sim_channel(&j->l, o, i), *w) : *w;
            }
}

/* Allocates the scratch of one layer: rows and biases of both networks, sums by sample, and buffers by worker. */
static kf_status prepare(layer_job *j) {
    kf__graph *g = j->s->graph;
    const kf__node *n = j->n;
    size_t o = j->l.o, k = j->l.k;
    j->buffer = kf__round_up(j->l.x.count + 2 * j->l.y.count + kf__sim_scratch(&j->l), 16);
    j->rows = kf__arena_array(&j->scratch, 2 * o * k, sizeof *j->rows);
    j->bias = kf__arena_zalloc(&j->scratch, 3 * o * sizeof *j->bias);
    j->sums = kf__arena_array(&j->scratch, j->s->samples * o, sizeof *j->sums);
    j->s_in = kf__arena_array(&j->scratch, o, sizeof *j->s_in);
    j->buffers = kf__arena_array(&j->scratch, (size_t)kf__pool_size(j->s->pool) * j->buffer, sizeof *j->buffers);
    if (!j->rows || !j->bias || !j->sums || !j->s_in || !j->buffers)
        KF_FAIL_MEMORY(j->s->err, j->buffer * sizeof *j->buffers);
    j->rows_q = j->rows + o * k;
    j->bias_q = j->bias + o;
    const float *w = g->values[n->in[1]].data, *b = n->n_in > 2 && n->in[2] >= 0 ? g->values[n->in[2]].data : NULL;
    for (size_t r = 0; b && r < o; r++) j->bias[r] = (double)b[r];
    fill_rows(j, w);
    return KF_OK;
}

/* Largest sum of |q| over a row of i16 weights that keeps every sum inside 31 bits. A quarter is reserved for the
 * bias, which the guard limits to 28 bits before its correction. Sums of raw u8 also include the zero point times
 * the weights. */
static double most_row_sum(const kf__quant *in) {
    return 0.75 * 2147483647.0 / (in->dtype == KF_U8 ? 510.0 : (double)in->qmax);
}

static double row_sum(const int32_t *q, size_t k) {
    double sum = 0;
    for (size_t i = 0; i < k; i++) sum += abs(q[i]);
    return sum;
}

/* i16 weights: a quarter more range than the largest weight needs, and a coarser scale if the row's sum requires it. */
static float wide_scale(const float *row, size_t k, double most) {
    float top = 0;
    double sum = 0;
    for (size_t i = 0; i < k; i++) top = fmaxf(top, fabsf(row[i])), sum += (double)fabsf(row[i]);
    return fmaxf(1.25f * top / 32767, (float)(1.25 * sum / most));
}

/* Rounding may have increased a row's weights: such rows get a coarser scale until all fit. */
static bool rows_fit(layer_job *j, const int32_t *q, float *scale, double most) {
    bool fit = true;
    for (size_t r = 0; r < j->l.o; r++) {
        double sum = row_sum(q + r * j->l.k, j->l.k);
        if (sum <= most) continue;
        scale[r] *= (float)(1.1 * sum / most);
        fit = false;
    }
    return fit;
}

static void choose_scales(layer_job *j, const kf__moments *m, float *scale, int32_t qmax, double most) {
    float top = 0;
    for (size_t r = 0; r < j->l.o; r++) {
        const float *diag = m ? m->hq : NULL, *row = j->rows + r * j->l.k;
        if (m && m->blocks > 1) diag += r * m->k * m->k;
        scale[r] = qmax > 127 ? wide_scale(row, j->l.k, most) : kf__weight_scale(row, j->l.k, diag, j->l.k + 1, qmax);
        for (size_t i = 0; qmax == 127 && i < j->l.k; i++) top = fmaxf(top, fabsf(row[i]) / 127);
        if (qmax > 127) top = fmaxf(top, scale[r]);
    }
    for (size_t r = 0; !j->s->o->asked.per_channel && r < j->l.o; r++) scale[r] = top;
    kf__step_guard(scale, j->l.o, j->s_in, j->bias);
}

/* Scales and integers of the weights; leaves their real values packed for the quantized pass. */
static kf_status quantize_weights(layer_job *j, const kf__quant *in, int32_t *q, float *scale, int32_t qmax) {
    const kf__qoptions *o = j->s->o;
    kf__moments *m = &j->moments;
    double most = qmax > 127 ? most_row_sum(in) : INFINITY;
    choose_scales(j, j->look ? m : NULL, scale, qmax, most);
    const kf__weight_job w = {.rows = j->rows,
                              .q = q,
                              .scale = scale,
                              .o = j->l.o,
                              .k = j->l.k,
                              .qmax = qmax,
                              .m = j->look ? m : NULL,
                              .cross = o->asked.cross && !reads_pixels(j),
                              .gain = o->asked.gain && o->asked.per_channel,
                              .ridge = kf__weights_ridge(j->l.k, j->s->samples)};
    do KF_TRY(kf__weights_round(j->s, &w));
    while (!rows_fit(j, q, scale, most));
    for (size_t i = 0; i < j->l.o * j->l.k; i++) j->rows_q[i] = (float)q[i] * scale[i / j->l.k];
    return kf__sim_pack(j->s, &j->l, j->rows_q);
}

/* The difference from the same layer with 16-bit weights, as a layer of its own. Bias correction will subtract its
 * mean. */
static kf_status record_noise(layer_job *j, size_t index, const kf__quant *in) {
    kf__arena *a = &j->s->graph->arena;
    size_t n = j->l.o * j->l.k;
    kf__qnoise *to = &j->s->o->noise[index];
    int32_t *q = kf__arena_array(&j->scratch, n, sizeof *q);
    float *scale = kf__arena_array(&j->scratch, j->l.o, sizeof *scale);
    double *mean = kf__arena_array(&j->scratch, j->l.o, sizeof *mean);
    float *eight = kf__arena_copy(&j->scratch, j->rows_q, n * sizeof *eight);
    to->rows = kf__arena_array(a, n, sizeof *to->rows);
    to->bias = kf__arena_array(a, j->l.o, sizeof *to->bias);
    if (!q || !scale || !mean || !eight || !to->rows || !to->bias) KF_FAIL_MEMORY(j->s->err, n * sizeof *q);
    KF_TRY(quantize_weights(j, in, q, scale, 32767));
    for (size_t i = 0; i < n; i++) to->rows[i] = eight[i] - j->rows_q[i];
    memcpy(j->rows_q, eight, n * sizeof *eight);
    KF_TRY(kf__sim_pack(j->s, &j->l, to->rows));
    kf__pool_run(j->s->pool, run_samples, j);
    mean_of(j, mean);
    for (size_t o = 0; o < j->l.o; o++) to->bias[o] = j->s->o->asked.bias_correction ? -(float)mean[o] : 0;
    return kf__sim_pack(j->s, &j->l, j->rows_q);
}

static kf_status store(layer_job *j, kf__node *n, const int32_t *q, const float *scale, int32_t qmax) {
    KF_TRY(kf__store_weights(j->s, n, 1, &j->l, q, scale, qmax));
    if (reads_pixels(j)) return kf__store_pixel_bias(j->s, n, &j->l, q, j->bias_q, scale);
    return kf__store_bias(j->s, n, 2, j->l.o, j->bias_q, j->s_in, scale, j->s->graph->values[n->out[0]].quant == NULL);
}

/* The passes of the quantized network: 1. without bias correction, for the difference of the means; 2. the final one;
 * 3. if a report wants it, the quantized layer on float inputs. `mean_f`: mean output of the float network. */
static kf_status quantized_passes(layer_job *j, size_t index, const kf__quant *in, const double *mean_f) {
    kf__sim *s = j->s;
    int32_t qmax = s->o->wide_weights && s->o->wide_weights[index] ? 32767 : 127;
    double *mean_q = kf__arena_array(&j->scratch, j->l.o, sizeof *mean_q);
    int32_t *q = kf__arena_array(&j->scratch, j->l.o * j->l.k, sizeof *q);
    float *scale = kf__arena_array(&j->scratch, j->l.o, sizeof *scale);
    if (!q || !scale || !mean_q) KF_FAIL_MEMORY(s->err, j->l.o * j->l.k * sizeof *q);
    for (size_t c = 0; c < j->l.o; c++) {
        int64_t channel = j->l.depthwise ? (int64_t)c : 0;
        j->s_in[c] = reads_pixels(j) ? 1.0f : kf__q_scale(in, channel);
    }
    j->look = s->o->asked.rounding && j->l.y.h * j->l.y.w * s->samples >= 4 * j->l.k;
    j->finish = false;
    if (j->look) KF_TRY(kf__moments_collect(s, &j->l, j->n, &j->scratch, &j->moments));
    KF_TRY(quantize_weights(j, in, q, scale, qmax));
    if (s->o->noise && qmax == 127) KF_TRY(record_noise(j, index, in));
    if (s->o->asked.bias_correction) {
        kf__pool_run(s->pool, run_samples, j);
        mean_of(j, mean_q);
        for (size_t c = 0; c < j->l.o; c++) j->bias_q[c] = j->bias[c] + mean_f[c] - mean_q[c];
    }
    j->finish = true;
    kf__pool_run(s->pool, run_samples, j);
    if (s->alone) {
        j->alone = s->alone_done = true;
        kf__pool_run(s->pool, run_samples, j);
    }
    return store(j, &s->graph->nodes[index], q, scale, qmax);
}

/* The float network first, because its values give the range of the output. */
static kf_status run_layer(layer_job *j, size_t index) {
    kf__sim *s = j->s;
    kf__graph *g = s->graph;
    kf__vid y = j->n->out[0];
    double *mean_f = j->bias + 2 * j->l.o;
    KF_TRY(kf__sim_alloc(s, y, !s->float_only && kf__assign_is_quantized(g, j->n, y)));
    KF_TRY(kf__sim_pack(s, &j->l, j->rows));
    j->finish = true;
    kf__pool_run(s->pool, run_samples, j);
    if (s->float_only) return KF_OK;
    mean_of(j, mean_f);
    KF_TRY(kf__assign_quant(s, j->n, y));
    const kf__quant *in = g->values[j->n->in[0]].quant;
    memcpy(j->bias_q, j->bias, j->l.o * sizeof *j->bias);
    j->quantized = true;
    if (in) return quantized_passes(j, index, in, mean_f);
    kf__pool_run(s->pool, run_samples, j); /* the input is f32: so are the weights */
    return KF_OK;
}

kf_status kf__step_layer(kf__sim *s, size_t index) {
    layer_job j = {.s = s, .n = &s->graph->nodes[index]};
    KF_TRY(kf__sim_layer_of(s, j.n, &j.l));
    kf__arena_init(&j.scratch, NULL);
    kf_status st = prepare(&j);
    if (st == KF_OK) st = run_layer(&j, index);
    kf__arena_free(&j.scratch);
    return st;
}

void kf__step_guard(float *scale, size_t o, const float *s_in, const double *bias) {
    for (size_t r = 0; r < o; r++) {
        double b = fabs(bias[r]), s = (double)s_in[r];
        double least = scale[r] > 0 ? b / (s * 268435456.0) : fmax(b, 1e-12) / (s * 16777216.0);
        if ((double)scale[r] < least) scale[r] = (float)least;
        scale[r] = fmaxf(fminf(scale[r], KF_SCALE_MAX), KF_SCALE_MIN);
    }
}
