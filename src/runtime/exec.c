/* Step execution, f32: rows or columns are shared out among the workers, each share is one kernel call.
 * Floor 5.
 * Owner rule: see exec.h. */
#include "runtime/exec.h"

#include <math.h>

typedef struct job {
    const kf__exec *x;
    const kf__step *s;
    const kf__packed *packed;
    const kf__ptensor *in, *out;
    const float *src, *src2;
    float *dst;
    kf__epilogue e;
} job;

static const float *constant(const job *j, kf__const_role role) {
    int32_t i = j->s->consts[role];
    return i < 0 ? NULL : j->x->m->p->consts[i].data;
}

/* The worker's part of the lines that the step fetches for later ones. */
static kf__ahead ahead_of(const job *j, int worker, int workers) {
    size_t from, to;
    kf__share(j->packed->ahead.lines, 1, worker, workers, &from, &to);
    return (kf__ahead){.at = j->packed->ahead.at + from * KF_LINE, .lines = to - from};
}

/* With fewer tiles than this for a worker, shares of rows would differ too much. */
enum { TILES_LEAST = 4 };

/* 1x1 convolution and fully connected: a GEMM over pixels. Few rows are split by columns. */
static void run_gemm(void *ctx, int worker, int workers) {
    const job *j = ctx;
    kf__gemm_f32_fn *gemm = j->x->m->kernels.gemm_f32;
    size_t m = (size_t)j->out->n * (size_t)j->out->h * (size_t)j->out->w, n = (size_t)j->out->c, k = (size_t)j->in->c, from, to;
    kf__epilogue e = j->e;
    kf__ahead ahead = ahead_of(j, worker, workers);
    e.ahead = &ahead;
    if (m >= (size_t)workers * TILES_LEAST * KF_TILE_ROWS || workers == 1) {
        kf__share(m, KF_TILE_ROWS, worker, workers, &from, &to);
        if (e.residual) e.residual += from * n;
        if (to > from) gemm(to - from, n, k, j->src + from * k, k, j->packed->w, j->dst + from * n, n, &e);
        return;
    }
    kf__share(n, (m == 1 ? 4 : 1) * KF_GEMM_PANEL, worker, workers, &from, &to);
    if (e.bias) e.bias += from;
    if (e.residual) e.residual += from;
    if (to > from) gemm(m, to - from, k, j->src, k, j->packed->w + from * k, j->dst + from, n, &e);
}

/* Patches of one output row, [w_out, kh * kw * channels], zero where the image ends. */
static void im2col_row(const job *j, size_t image, int32_t y, size_t first_channel, size_t channels, float *to) {
    const kf__step *s = j->s;
    size_t c = (size_t)j->in->c;
    for (int32_t xo = 0; xo < j->out->w; xo++)
        for (int32_t ky = 0; ky < s->window.kh; ky++)
            for (int32_t kx = 0; kx < s->window.kw; kx++, to += channels) {
                int32_t sy = y * s->window.sh - s->window.pt + ky * s->window.dh,
                        sx = xo * s->window.sw - s->window.pl + kx * s->window.dw;
                if (sy < 0 || sy >= j->in->h || sx < 0 || sx >= j->in->w) {
                    memset(to, 0, channels * sizeof *to);
                    continue;
                }
                size_t at = ((image * (size_t)j->in->h + (size_t)sy) * (size_t)j->in->w + (size_t)sx) * c + first_channel;
                memcpy(to, j->src + at, channels * sizeof *to);
            }
}

static void run_patches(void *ctx, int worker, int workers) {
    const job *j = ctx;
    const kf__step *s = j->s;
    size_t ow = (size_t)j->out->w, oc = (size_t)j->out->c, g = (size_t)s->window.group, per_in = (size_t)j->in->c / g,
           per_out = oc / g;
    size_t k = (size_t)(s->window.kh * s->window.kw) * per_in, from, to, panel = kf__gemm_f32_packed(per_out, k);
    float *patches = (float *)(void *)(j->x->scratch + (size_t)worker * j->x->m->scratch_bytes);
    kf__share((size_t)j->out->n * (size_t)j->out->h, 1, worker, workers, &from, &to);
    for (size_t row = from; row < to; row++)
        for (size_t q = 0; q < g; q++) {
            im2col_row(j, row / (size_t)j->out->h, (int32_t)(row % (size_t)j->out->h), q * per_in, per_in, patches);
            kf__epilogue e = j->e;
            size_t at = row * ow * oc + q * per_out;
            if (e.bias) e.bias += q * per_out;
            if (e.residual) e.residual += at;
            j->x->m->kernels.gemm_f32(ow, per_out, k, patches, k, j->packed->w + q * panel, j->dst + at, oc, &e);
        }
}

/* The input rows under one output row, zeros left and right of the image; the last slot is a row of zeros for rows outside. */
typedef struct ring {
    float *rows;
    size_t ld; /* floats of a padded row */
    int32_t held[KF_DIRECT_ROWS]; /* which input row a slot holds; -1 none */
} ring;

static void ring_empty(ring *r) {
    for (int32_t i = 0; i < KF_DIRECT_ROWS; i++) r->held[i] = -1;
}

/* Channels first..first + channels of each pixel of input row y. */
static const float *ring_row(ring *r, const job *j, size_t image, int32_t y, size_t first, size_t channels) {
    if (y < 0 || y >= j->in->h) return r->rows + (size_t)j->s->window.kh * r->ld;
    int32_t slot = y % j->s->window.kh;
    float *row = r->rows + (size_t)slot * r->ld, *to = row + (size_t)j->s->window.pl * channels;
    if (r->held[slot] == y) return row;
    size_t c = (size_t)j->in->c, w = (size_t)j->in->w;
    const float *from = j->src + (image * (size_t)j->in->h + (size_t)y) * w * c + first;
    if (channels == c) memcpy(to, from, w * c * sizeof *to);
    else
        for (size_t x = 0; x < w; x++) memcpy(to + x * channels, from + x * c, channels * sizeof *to);
    r->held[slot] = y;
    return row;
}

/* Dense and grouped convolutions without dilation: one output row is a product of runs of the padded input rows. */
static void run_conv(void *ctx, int worker, int workers) {
    const job *j = ctx;
    const kf__step *s = j->s;
    size_t ow = (size_t)j->out->w, oh = (size_t)j->out->h, oc = (size_t)j->out->c, g = (size_t)s->window.group,
           per_in = (size_t)j->in->c / g, per_out = oc / g, k = (size_t)(s->window.kh * s->window.kw) * per_in, from,
           to;
    const float *at[KF_DIRECT_ROWS];
    kf__gemm_rows a = {.at = at,
                       .pieces = (size_t)s->window.kh,
                       .len = (size_t)s->window.kw * per_in,
                       .step = (size_t)s->window.sw * per_in};
    ring r = {.rows = (float *)(void *)(j->x->scratch + (size_t)worker * j->x->m->scratch_bytes),
              .ld = (size_t)(j->in->w + s->window.pl + s->window.pr) * per_in};
    kf__ahead ahead = ahead_of(j, worker, workers);
    memset(r.rows, 0, (size_t)(s->window.kh + 1) * r.ld * sizeof(float));
    kf__share((size_t)j->out->n * oh, 1, worker, workers, &from, &to);
    for (size_t q = 0; q < g; q++)
        for (size_t row = from; row < to; row++) {
            if (row == from || row % oh == 0) ring_empty(&r);
            for (int32_t ky = 0; ky < s->window.kh; ky++)
                at[ky] = ring_row(&r, j, row / oh, (int32_t)(row % oh) * s->window.sh - s->window.pt + ky, q * per_in,
                                  per_in);
            kf__epilogue e = j->e;
            size_t first = row * ow * oc + q * per_out;
            e.ahead = &ahead;
            if (e.bias) e.bias += q * per_out;
            if (e.residual) e.residual += first;
            j->x->m->kernels.conv_f32(ow, per_out, &a, j->packed->w + q * kf__gemm_f32_packed(per_out, k), j->dst + first, oc, &e);
        }
}

/* Output row `row` (counted over the batch) of a depthwise step, its kh input rows given. */
static void dwconv_row(const job *j, size_t row, const float *const *rows) {
    const kf__step *s = j->s;
    size_t c = (size_t)j->in->c, row_out = (size_t)j->out->w * c;
    kf__epilogue e = j->e;
    if (e.residual) e.residual += row * row_out;
    kf__dwconv_row d = {.rows = rows,
                        .kh = s->window.kh,
                        .kw = s->window.kw,
                        .sw = s->window.sw,
                        .dw = s->window.dw,
                        .pl = s->window.pl,
                        .w_in = j->in->w,
                        .w_out = j->out->w,
                        .c = c,
                        .w = j->packed->w,
                        .out = j->dst + row * row_out};
    j->x->m->kernels.dwconv_f32(&d, &e);
}

static void run_dwconv(void *ctx, int worker, int workers) {
    const job *j = ctx;
    const kf__step *s = j->s;
    size_t row_in = (size_t)j->in->w * (size_t)j->in->c, oh = (size_t)j->out->h, from, to;
    const float *rows[64];
    kf__share((size_t)j->out->n * oh, 1, worker, workers, &from, &to);
    for (size_t row = from; row < to; row++) {
        int32_t top = (int32_t)(row % oh) * s->window.sh - s->window.pt;
        for (int32_t ky = 0; ky < s->window.kh; ky++) {
            int32_t y = top + ky * s->window.dh;
            rows[ky] = y < 0 || y >= j->in->h ? NULL : j->src + (row / oh * (size_t)j->in->h + (size_t)y) * row_in;
        }
        dwconv_row(j, row, rows);
    }
}

/* A pointwise step and the depthwise step that alone reads it, row by row: the wide tensor between them is never whole, its rows wait
 * in a ring for the depthwise kernel while they are in a near cache. Neighbouring workers compute the rows at their border twice. */
typedef struct pair {
    job conv, dw;
} pair;

static void run_pair(void *ctx, int worker, int workers) {
    const pair *p = ctx;
    const kf__step *s = p->dw.s;
    size_t w = (size_t)p->conv.out->w, h = (size_t)p->conv.out->h, c = (size_t)p->conv.out->c, k = (size_t)p->conv.in->c, oh = (size_t)p->dw.out->h, from, to;
    float *wide = (float *)(void *)(p->dw.x->scratch + (size_t)worker * p->dw.x->m->scratch_bytes);
    const float *rows[KF_DIRECT_ROWS];
    int64_t held[KF_DIRECT_ROWS];
    kf__ahead ahead = ahead_of(&p->conv, worker, workers);
    kf__epilogue e = p->conv.e;
    e.ahead = &ahead;
    for (int32_t i = 0; i < s->window.kh; i++) held[i] = -1;
    kf__share((size_t)p->dw.out->n * oh, 1, worker, workers, &from, &to);
    for (size_t row = from; row < to; row++) {
        for (int32_t ky = 0; ky < s->window.kh; ky++) {
            int64_t y = (int64_t)(row % oh) * s->window.sh - s->window.pt + ky;
            rows[ky] = NULL;
            if (y < 0 || y >= (int64_t)h) continue;
            size_t at = row / oh * h + (size_t)y,
                   slot = at % (size_t)s->window.kh; /* of the whole batch, so images differ */
            float *to_row = wide + slot * w * c;
            if (held[slot] != (int64_t)at)
                p->conv.x->m->kernels.gemm_f32(w, c, k, p->conv.src + at * w * k, k, p->conv.packed->w, to_row, c, &e);
            held[slot] = (int64_t)at;
            rows[ky] = to_row;
        }
        dwconv_row(&p->dw, row, rows);
    }
}

/* Two levels of sums, each about sqrt(hw) long: one running f32 sum over a large map would lose digits. */
static void mean_of(const job *j, size_t image, float *to) {
    size_t hw = (size_t)j->in->h * (size_t)j->in->w, c = (size_t)j->in->c, chunk = 1;
    const float *x = j->src + image * hw * c;
    while (chunk * chunk < hw) chunk++;
    memset(to, 0, c * sizeof *to);
    for (size_t row = 0; row < hw; row += chunk) j->x->m->kernels.colsum_f32(hw - row < chunk ? hw - row : chunk, c, x + row * c, to);
    for (size_t i = 0; i < c; i++) to[i] /= (float)hw;
}

/* One row by a packed matrix: y[n] = epilogue(x[k] * w[n,k]^T). */
typedef struct row_job {
    kf__gemm_f32_fn *gemm;
    size_t n, k;
    const float *x, *w;
    float *y;
    kf__epilogue e;
} row_job;

static void run_row(void *ctx, int worker, int workers) {
    const row_job *r = ctx;
    size_t from, to;
    kf__epilogue e = r->e;
    kf__share(r->n, 4 * KF_GEMM_PANEL, worker, workers, &from, &to);
    if (e.bias) e.bias += from;
    if (to > from) r->gemm(1, to - from, r->k, r->x, r->k, r->w + from * r->k, r->y + from, r->n, &e);
}

/* Weights of a few hundred kilobytes are worth a fork and a join: they come from memory. */
enum { SE_FORK = 1 << 15 };

static void row_product(const job *j, row_job r) {
    r.gemm = j->x->m->kernels.gemm_f32;
    if (r.n * r.k < SE_FORK) run_row(&r, 0, 1);
    else kf__pool_run(j->x->pool, run_row, &r);
}

static void run_se_gate(const job *j) {
    float *mean = (float *)(void *)j->x->scratch;
    const kf__step *s = j->s;
    size_t c = (size_t)j->in->c, r = (size_t)j->x->m->p->consts[s->consts[KF_CONST_W]].shape.dim[0];
    float *hidden = mean + kf__round_up(c, 16);
    for (size_t n = 0; n < (size_t)j->in->n; n++) {
        mean_of(j, n, mean);
        row_product(j, (row_job){.n = r, .k = c, .x = mean, .w = j->packed->w, .y = hidden,
                                 .e = {.bias = constant(j, KF_CONST_BIAS), .act = s->act.kind, .lo = s->act.lo, .hi = s->act.hi}});
        row_product(j, (row_job){.n = c, .k = r, .x = hidden, .w = j->packed->w2, .y = j->dst + n * c,
                                 .e = {.bias = constant(j, KF_CONST_BIAS2), .act = s->gate_act.kind, .lo = s->gate_act.lo, .hi = s->gate_act.hi}});
    }
}

static void run_scale(void *ctx, int worker, int workers) {
    const job *j = ctx;
    size_t hw = (size_t)j->in->h * (size_t)j->in->w, c = (size_t)j->in->c, from, to;
    kf__share(hw, 1, worker, workers, &from, &to);
    for (size_t n = 0; n < (size_t)j->in->n; n++)
        j->x->m->kernels.scale_f32(to - from, c, j->src + (n * hw + from) * c, j->src2 + n * c, j->dst + (n * hw + from) * c);
}

static void run_eltwise(void *ctx, int worker, int workers) {
    const job *j = ctx;
    size_t total = (size_t)j->out->n * (size_t)j->out->h * (size_t)j->out->w * (size_t)j->out->c, from, to;
    kf__share(total, 256, worker, workers, &from, &to);
    j->x->m->kernels.eltwise_f32(to - from, j->src + from, j->s->op == KF_STEP_ADD ? j->src2 + from : NULL, j->dst + from, &j->e);
}

/* A step of pooling for all channels of a pixel: in sixteens, which compilers make vector code of. */
#define POOLING(name, expression)                                                                                      \
    static void name(float *restrict to, const float *restrict from, size_t n) {                                       \
        size_t i = 0;                                                                                                  \
        for (; i + 16 <= n; i += 16)                                                                                   \
            for (size_t k = i; k < i + 16; k++) to[k] = (expression);                                                  \
        for (size_t k = i; k < n; k++) to[k] = (expression);                                                           \
    }
POOLING(pool_most, from[k] > to[k] ? from[k] : to[k])
POOLING(pool_sum, to[k] + from[k])

static void pool_pixel(const job *j, size_t image, int32_t y, int32_t xo, float *to) {
    const kf__step *s = j->s;
    bool is_max = s->op == KF_STEP_MAX_POOL;
    size_t c = (size_t)j->in->c;
    int32_t count = 0;
    for (size_t i = 0; i < c; i++) to[i] = is_max ? -INFINITY : 0;
    for (int32_t ky = 0; ky < s->window.kh; ky++)
        for (int32_t kx = 0; kx < s->window.kw; kx++) {
            int32_t sy = y * s->window.sh - s->window.pt + ky * s->window.dh,
                    sx = xo * s->window.sw - s->window.pl + kx * s->window.dw;
            bool padded = sy >= -s->window.pt && sy < j->in->h + s->window.pb && sx >= -s->window.pl &&
                          sx < j->in->w + s->window.pr;
            if (sy < 0 || sy >= j->in->h || sx < 0 || sx >= j->in->w) {
                count += s->count_include_pad && padded;
                continue;
            }
            const float *from = j->src + ((image * (size_t)j->in->h + (size_t)sy) * (size_t)j->in->w + (size_t)sx) * c;
            (is_max ? pool_most : pool_sum)(to, from, c);
            count++;
        }
    for (size_t i = 0; !is_max && count > 0 && i < c; i++) to[i] /= (float)count;
}

static void run_pool(void *ctx, int worker, int workers) {
    const job *j = ctx;
    size_t from, to, ow = (size_t)j->out->w;
    kf__share((size_t)j->out->n * (size_t)j->out->h, 1, worker, workers, &from, &to);
    for (size_t row = from; row < to; row++)
        for (size_t xo = 0; xo < ow; xo++)
            pool_pixel(j, row / (size_t)j->out->h, (int32_t)(row % (size_t)j->out->h), (int32_t)xo, j->dst + (row * ow + xo) * (size_t)j->out->c);
}

static void run_softmax(const job *j) {
    size_t c = (size_t)j->out->c, rows = (size_t)j->out->n * (size_t)j->out->h * (size_t)j->out->w;
    for (size_t r = 0; r < rows; r++) {
        const float *x = j->src + r * c;
        float *y = j->dst + r * c, top = x[0], sum = 0;
        for (size_t i = 1; i < c; i++) top = x[i] > top ? x[i] : top;
        for (size_t i = 0; i < c; i++) sum += y[i] = expf(x[i] - top);
        for (size_t i = 0; i < c; i++) y[i] /= sum;
    }
}

static void run_concat(const job *j) {
    size_t pixels = (size_t)j->out->n * (size_t)j->out->h * (size_t)j->out->w, c = (size_t)j->out->c, at = 0;
    for (int k = 0; k < j->s->n_in; k++) {
        size_t mine = (size_t)j->x->m->p->tensors[j->s->in[k]].c;
        const float *from = kf__exec_tensor(j->x, j->s->in[k]);
        for (size_t i = 0; i < pixels; i++) memcpy(j->dst + i * c + at, from + i * mine, mine * sizeof(float));
        at += mine;
    }
}

static void run_pad(const job *j) {
    size_t row = (size_t)j->in->w * (size_t)j->in->c, c = (size_t)j->out->c, ow = (size_t)j->out->w;
    memset(j->dst, 0, (size_t)j->out->n * (size_t)j->out->h * ow * c * sizeof(float));
    for (size_t n = 0; n < (size_t)j->in->n; n++)
        for (size_t y = 0; y < (size_t)j->in->h; y++)
            memcpy(j->dst +
                       (((n * (size_t)j->out->h) + y + (size_t)j->s->window.pt) * ow + (size_t)j->s->window.pl) * c,
                   j->src + (n * (size_t)j->in->h + y) * row, row * sizeof(float));
}

static void run_to_nchw(const job *j) {
    size_t hw = (size_t)j->in->h * (size_t)j->in->w, c = (size_t)j->in->c;
    for (size_t n = 0; n < (size_t)j->in->n; n++)
        for (size_t i = 0; i < hw; i++)
            for (size_t k = 0; k < c; k++) j->dst[(n * c + k) * hw + i] = j->src[(n * hw + i) * c + k];
}

static job job_of(const kf__exec *x, int32_t index) {
    const kf__program *p = x->m->p;
    const kf__step *s = &p->steps[index];
    job j = {.x = x, .s = s, .packed = &x->m->packed[index], .in = &p->tensors[s->in[0]], .out = &p->tensors[s->out],
             .src = kf__exec_tensor(x, s->in[0]), .dst = kf__exec_tensor(x, s->out)};
    bool conv = s->op == KF_STEP_CONV || s->op == KF_STEP_DWCONV;
    if (s->n_in > 1) j.src2 = kf__exec_tensor(x, s->in[1]);
    j.e = (kf__epilogue){.bias = constant(&j, KF_CONST_BIAS), .act = s->act.kind, .lo = s->act.lo, .hi = s->act.hi,
                         .residual = conv && s->n_in > 1 ? j.src2 : NULL, .ld_residual = (size_t)j.out->c,
                         .post = s->post_act.kind, .post_lo = s->post_act.lo, .post_hi = s->post_act.hi};
    return j;
}

void kf__exec_pair(const kf__exec *x, int32_t index) {
    pair p = {.conv = job_of(x, index), .dw = job_of(x, index + 1)};
    kf__pool_run(x->pool, run_pair, &p);
}

void kf__exec_step(const kf__exec *x, int32_t index) {
    const kf__step *s = &x->m->p->steps[index];
    if (x->m->packed[index].q) {
        kf__exec_step_int(x, index);
        return;
    }
    job j = job_of(x, index);
    switch (s->op) {
    case KF_STEP_CONV:
        kf__pool_run(x->pool,
                     kf__window_is_pointwise(&s->window) ? run_gemm
                     : kf__conv_is_direct(s)             ? run_conv
                                                         : run_patches,
                     &j);
        break;
    case KF_STEP_DWCONV: kf__pool_run(x->pool, run_dwconv, &j); break;
    case KF_STEP_FC: kf__pool_run(x->pool, run_gemm, &j); break;
    case KF_STEP_SE_GATE: run_se_gate(&j); break;
    case KF_STEP_SCALE: kf__pool_run(x->pool, run_scale, &j); break;
    case KF_STEP_ADD: case KF_STEP_ACT: kf__pool_run(x->pool, run_eltwise, &j); break;
    case KF_STEP_MUL: {
        size_t n = (size_t)j.out->n * (size_t)j.out->h * (size_t)j.out->w * (size_t)j.out->c;
        for (size_t i = 0; i < n; i++) j.dst[i] = j.src[i] * j.src2[i];
        break;
    }
    case KF_STEP_GLOBAL_POOL:
        for (size_t n = 0; n < (size_t)j.in->n; n++) mean_of(&j, n, j.dst + n * (size_t)j.in->c);
        break;
    case KF_STEP_AVG_POOL: case KF_STEP_MAX_POOL: kf__pool_run(x->pool, run_pool, &j); break;
    case KF_STEP_SOFTMAX: run_softmax(&j); break;
    case KF_STEP_CONCAT: run_concat(&j); break;
    case KF_STEP_PAD: run_pad(&j); break;
    case KF_STEP_TO_NCHW: run_to_nchw(&j); break;
    default: memcpy(j.dst, j.src, (size_t)j.out->n * (size_t)j.out->h * (size_t)j.out->w * (size_t)j.out->c * sizeof(float)); break;
    }
}
