/* Row scales and rounding of weights. Rounding minimises d' H d - 2 d' C w over the integers by coordinate descent, H
 * and C the second moments of the layer's quantized inputs with themselves and with the float network's: the layer's
 * output error. Idea: Nagel et al. 2020 (rounding on the layer output, arXiv 2004.10568); plain coordinate descent as
 * solver. Owner rule: scratch lives in the call. */
#include "quantize/weights.h"

#include <math.h>
#include <stdlib.h>

enum { SAMPLE_ROWS = 8192, DEPTHWISE_ROWS = 4096, SWEEPS = 30 };
/* Ridge on the distance to the float weight, as a share of the mean power of the inputs, for each input channel per
 * sample: pictures are independent, pixels are not, and a wide layer has directions that a hundred pictures hardly
 * show. */
static const double RIDGE = 0.4, LEAST_RIDGE = 0.02, GAIN_MOST = 1.25;

/* Tries 51 clips, from the largest weight down to half of it. */
float kf__weight_scale(const float *row, size_t k, const float *diag, size_t step, int32_t qmax) {
    float top = 0, best = 0;
    double least = INFINITY;
    for (size_t i = 0; i < k; i++) top = fmaxf(top, fabsf(row[i]));
    for (int c = 0; top > 0 && c <= 50; c++) {
        float s = top / (float)qmax * (1 - 0.01f * (float)c), inv = 1 / s;
        double e = 0;
        for (size_t i = 0; i < k; i++) {
            float q = rintf(row[i] * inv);
            if (q > (float)qmax) q = (float)qmax;
            else if (q < (float)-qmax) q = (float)-qmax;
            double d = (double)(row[i] - q * s);
            e += d * d * (diag ? (double)diag[i * step] : 1.0);
        }
        if (e < least) least = e, best = s;
    }
    return best;
}

/* ---- moments ----------------------------------------------------------------------------------------------------- */

typedef struct picks {
    size_t n;
    uint32_t *sample, *y, *x; /* sorted by sample */
} picks;

/* Positions (sample, y, x) to collect moments from, spread evenly, with a fixed seed so that results repeat. */
static kf_status pick(const kf__sim *s, const kf__sim_layer *l, size_t most, kf__arena *a, picks *p) {
    size_t positions = l->y.h * l->y.w, all = positions * s->samples;
    kf__random random = {.state = 12345};
    p->n = all < most ? all : most;
    p->sample = kf__arena_array(a, 3 * p->n, sizeof *p->sample);
    if (!p->sample) KF_FAIL_MEMORY(s->err, 3 * p->n * sizeof *p->sample);
    p->y = p->sample + p->n;
    p->x = p->y + p->n;
    for (size_t i = 0; i < p->n; i++) {
        size_t first = i * all / p->n, next = (i + 1) * all / p->n; /* one position of every equal stretch */
        size_t at = p->n == all
                        ? i
                        : (size_t)kf__random_range(&random, (int64_t)first, (int64_t)(next > first ? next - 1 : first));
        p->sample[i] = (uint32_t)(at / positions);
        p->y[i] = (uint32_t)(at % positions / l->y.w);
        p->x[i] = (uint32_t)(at % l->y.w);
    }
    return KF_OK;
}

/* Rows of both networks at the picked positions, transposed: [K][n] for plain layers, [C][taps][n] for depthwise. */
static kf_status gather(const kf__sim *s, const kf__sim_layer *l, kf__vid x, const picks *p, kf__arena *a, float *tf,
                        float *tq) {
    size_t width = (size_t)(l->window.kh * l->window.kw) * l->x.c, last = SIZE_MAX;
    float *row = kf__arena_array(a, width, sizeof *row), *scratch = kf__arena_array(a, l->x.count + 1, sizeof *scratch);
    if (!row || !scratch) KF_FAIL_MEMORY(s->err, (width + l->x.count) * sizeof *row);
    const float *real = NULL;
    for (size_t i = 0; i < p->n; i++) {
        if (p->sample[i] != last) real = kf__sim_real(s, p->sample[i], x, scratch);
        last = p->sample[i];
        for (int side = 0; side < 2; side++) {
            float *to = side ? tq : tf;
            kf__sim_row(l, side ? real : kf__sim_at(s, last, x)->f, p->y[i], p->x[i], row);
            for (size_t e = 0; e < width; e++) {
                size_t at = l->depthwise ? (e % l->x.c) * l->k + e / l->x.c : e;
                to[at * p->n + i] = row[e];
            }
        }
    }
    for (size_t e = 0; e < 2 * width; e++) { /* means off */
        float *r = e < width ? tf + e * p->n : tq + (e - width) * p->n;
        double sum = 0;
        for (size_t i = 0; i < p->n; i++) sum += (double)r[i];
        float mean = (float)(sum / (double)p->n);
        for (size_t i = 0; i < p->n; i++) r[i] -= mean;
    }
    return KF_OK;
}

typedef struct moment_job {
    const kf__sim *s;
    const kf__moments *m;
    size_t n;
    const float *tf, *tq;
    float *packed_f, *packed_q;
} moment_job;

/* H and C of one block: a matrix product for plain layers, small loops for each channel of depthwise ones. */
static void multiply(void *ctx, int worker, int workers) {
    const moment_job *j = ctx;
    const kf__epilogue none = {0};
    size_t k = j->m->k;
    if (j->m->blocks == 1) { /* each worker computes some rows of H */
        size_t from = k * (size_t)worker / (size_t)workers, to = k * ((size_t)worker + 1) / (size_t)workers;
        if (to == from) return;
        j->s->k.gemm_f32(to - from, k, j->n, j->tq + from * j->n, j->n, j->packed_q, j->m->hq + from * k, k, &none);
        j->s->k.gemm_f32(to - from, k, j->n, j->tq + from * j->n, j->n, j->packed_f, j->m->cross + from * k, k, &none);
        return;
    }
    for (size_t b = (size_t)worker; b < j->m->blocks; b += (size_t)workers)
        for (size_t r = 0; r < k; r++)
            for (size_t c = 0; c < k; c++) {
                const float *a = j->tq + (b * k + r) * j->n, *q = j->tq + (b * k + c) * j->n,
                            *f = j->tf + (b * k + c) * j->n;
                float h = 0, x = 0;
                for (size_t i = 0; i < j->n; i++) h += a[i] * q[i], x += a[i] * f[i];
                j->m->hq[(b * k + r) * k + c] = h;
                j->m->cross[(b * k + r) * k + c] = x;
            }
}

/* Values of both networks at the picked positions, packed as right-hand sides of the products. */
kf_status kf__moments_collect(kf__sim *s, const kf__sim_layer *l, const kf__node *n, kf__arena *arena,
                              kf__moments *out) {
    size_t width = l->depthwise ? l->o * l->k : l->k, most = SAMPLE_ROWS;
    if (l->depthwise) most = DEPTHWISE_ROWS * 256 / (l->o > 256 ? l->o : 256);
    picks p = {0};
    KF_TRY(pick(s, l, most, arena, &p));
    *out = (kf__moments){.k = l->k, .blocks = l->depthwise ? l->o : 1};
    size_t cells = out->blocks * l->k * l->k;
    float *t = kf__arena_array(arena, 2 * width * p.n, sizeof *t);
    out->hq = kf__arena_array(arena, 2 * cells, sizeof *out->hq);
    if (!t || !out->hq) KF_FAIL_MEMORY(s->err, 2 * width * p.n * sizeof *t);
    out->cross = out->hq + cells;
    moment_job j = {.s = s, .m = out, .n = p.n, .tf = t, .tq = t + width * p.n};
    KF_TRY(gather(s, l, n->in[0], &p, arena, t, t + width * p.n));
    if (out->blocks == 1) {
        j.packed_f = kf__arena_array(arena, 2 * kf__gemm_f32_packed(l->k, p.n), sizeof *j.packed_f);
        if (!j.packed_f) KF_FAIL_MEMORY(s->err, 2 * kf__gemm_f32_packed(l->k, p.n) * sizeof *j.packed_f);
        j.packed_q = j.packed_f + kf__gemm_f32_packed(l->k, p.n);
        kf__gemm_f32_pack(l->k, p.n, j.tf, j.packed_f);
        kf__gemm_f32_pack(l->k, p.n, j.tq, j.packed_q);
    }
    kf__pool_run(s->pool, multiply, &j);
    return KF_OK;
}

/* ---- rounding ---------------------------------------------------------------------------------------------------- */

typedef struct round_job {
    const kf__weight_job *w;
    double *scratch; /* [workers][K] */
} round_job;

static int32_t clamp_q(double x, int32_t qmax) { return (int32_t)kf__whole(x, -qmax, qmax, 0); }

/* Least squares for the row's scale once its integers are chosen: the layer's gain, folded into the multiplier. The
 * error can only fall. */
static void fit_gain(const kf__weight_job *w, size_t o, const float *h, const float *c, double ridge) {
    const float *row = w->rows + o * w->k;
    const int32_t *q = w->q + o * w->k;
    double own = 0, with = 0;
    for (size_t i = 0; i < w->k; i++) {
        double hq = ridge * q[i], cw = ridge * (double)row[i];
        for (size_t j = 0; j < w->k; j++)
            hq += (double)h[i * w->k + j] * q[j], cw += (double)c[i * w->k + j] * (double)row[j];
        own += q[i] * hq, with += q[i] * cw;
    }
    double s = own > 0 ? with / own : 0, old = (double)w->scale[o];
    if (s > old / GAIN_MOST && s < old * GAIN_MOST) w->scale[o] = (float)s;
}

/* Starts from rounding to nearest. Then each integer in turn moves to the minimum of the error along its axis; g keeps
 * the gradient up to date. Stops when a sweep moves nothing, or after SWEEPS sweeps. */
static void round_row(const kf__weight_job *w, size_t o, double *g) {
    const float *row = w->rows + o * w->k, *h, *c;
    int32_t *q = w->q + o * w->k;
    double s = (double)w->scale[o], power = 0;
    size_t k = w->k;
    for (size_t i = 0; i < k; i++) q[i] = clamp_q(rint((double)row[i] / s), w->qmax);
    if (!w->m) return;
    h = w->m->hq + (w->m->blocks > 1 ? o * k * k : 0);
    c = w->cross ? w->m->cross + (h - w->m->hq) : h;
    for (size_t i = 0; i < k; i++) power += (double)h[i * k + i];
    double ridge = w->ridge * power / (double)k;
    if (!(power > 0)) return;
    for (size_t i = 0; i < k; i++) { /* minus half the gradient */
        double sum = ridge * ((double)row[i] - s * q[i]);
        for (size_t j = 0; j < k; j++) sum += (double)c[i * k + j] * (double)row[j] - (double)h[i * k + j] * (s * q[j]);
        g[i] = sum;
    }
    for (int sweep = 0, moved = 1; sweep < SWEEPS && moved; sweep++) {
        moved = 0;
        for (size_t i = 0; i < k; i++) {
            double curve = (double)h[i * k + i] + ridge;
            int32_t to = clamp_q(q[i] + rint(g[i] / (curve * s)), w->qmax);
            if (to == q[i]) continue;
            double d = s * (to - q[i]);
            if (abs(to - q[i]) > w->qmax / 2048) moved = 1; /* i16: single steps no longer matter */
            q[i] = to;
            for (size_t j = 0; j < k; j++) g[j] -= d * (double)h[i * k + j];
            g[i] -= d * ridge;
        }
    }
    if (w->gain) fit_gain(w, o, h, c, ridge);
}

static void round_rows(void *ctx, int worker, int workers) {
    const round_job *j = ctx;
    for (size_t o = (size_t)worker; o < j->w->o; o += (size_t)workers)
        round_row(j->w, o, j->scratch + (size_t)worker * j->w->k);
}

kf_status kf__weights_round(kf__sim *s, const kf__weight_job *job) {
    round_job j = {.w = job, .scratch = kf__mem_alloc(NULL, (size_t)kf__pool_size(s->pool) * job->k * sizeof(double))};
    if (!j.scratch) KF_FAIL_MEMORY(s->err, job->k * sizeof(double));
    kf__pool_run(s->pool, round_rows, &j);
    kf__mem_free(NULL, j.scratch);
    return KF_OK;
}

double kf__weights_ridge(size_t k, size_t samples) {
    double ridge = RIDGE * (double)k / (double)samples;
    return ridge > LEAST_RIDGE ? ridge : LEAST_RIDGE;
}
