/* Execution of integer steps: rows or columns are shared out among the workers, each share is one kernel call.
 * Floor 5. Runs on what pack_int.c prepared; the arithmetic is docs/NUMERICS.md.
 * Owner rule: see exec.h. */
#include "runtime/exec.h"

typedef struct job {
    const kf__exec *x;
    const kf__step *s;
    const kf__qstep *q;
    const kf__kernels_int *k;
    const kf__ptensor *in, *out;
    const char *src, *src2;
    char *dst;
    size_t in_size, out_size; /* bytes of an element */
} job;

static char *tensor(const kf__exec *x, int32_t t) { return (char *)(x->base + x->m->offset[t]); }

static size_t pixels(const kf__ptensor *t) { return (size_t)t->h * (size_t)t->w; }

static void *scratch(const job *j, int worker) { return j->x->scratch + (size_t)worker * j->x->m->scratch_bytes; }

/* The epilogue of the columns from `col` on, with the residual of the rows from `row` on. Filled in place: a structure that is changed and
 * then copied makes the wide loads of the copy wait for narrow stores. */
static void requant_at(kf__requant *r, const kf__requant *q, const void *residual, size_t row, size_t col) {
    *r = *q;
    r->bias += col, r->mul += col;
    if (r->fbias) r->fbias += col;
    if (r->k) r->k += col;
    if (r->inv) r->inv += col;
    if (r->flo) r->flo += col, r->fhi += col, r->zero += col;
    if (r->lo8) r->lo8 += col, r->hi8 += col;
    if (residual) r->residual = (const char *)residual + (row * r->ld_residual + col) * kf_dtype_size(r->residual_type);
}

static void widen(const uint8_t *from, size_t n, int16_t *to) {
    for (size_t i = 0; i < n; i++) to[i] = from[i];
}

/* The inputs of a product: m rows of `runs` runs of k elements each, already of the kernel's type. */
typedef struct operand {
    const void *a;
    size_t m, k, lda, runs, ld_run;
} operand;

/* One GEMM call: n columns from `col` on of the panels at w. */
static void gemm(const job *j, operand in, size_t n, const char *w, size_t col, char *c, const kf__requant *r) {
    size_t ldc = (size_t)j->out->c, depth = in.runs * in.k;
    if (j->q->i16) j->k->gemm_i16(in.m, n, depth, in.a, in.lda, w + kf__gemm_i16_packed(j->q->wide, col, depth), j->q->wide, c, ldc, r);
    else j->k->gemm_u8(in.m, n, in.k, in.runs, in.ld_run, in.a, in.lda, w + kf__gemm_u8_packed(j->k->gemm_layout, j->k->gemm_group, col, depth), c, ldc, r);
}

/* Rows of the widest tile, and the fewest for a worker: below, shares of rows would differ too much. */
enum { TILE_ROWS = 4, ROWS_LEAST = 28 };

/* Few rows are split by columns. */
static void run_gemm(void *ctx, int worker, int workers) {
    const job *j = ctx;
    size_t m = (size_t)j->out->n * pixels(j->out), n = (size_t)j->out->c, k = (size_t)j->in->c, from, to;
    bool by_rows = workers == 1 || m >= (size_t)workers * ROWS_LEAST, widened = j->q->i16 && j->in->dtype == KF_U8;
    if (by_rows) kf__share(m, TILE_ROWS, worker, workers, &from, &to);
    else kf__share(n, (m == 1 ? 4 : 1) * KF_QPANEL, worker, workers, &from, &to);
    if (to <= from) return;
    size_t row = by_rows ? from : 0, row_end = by_rows ? to : m, col = by_rows ? 0 : from, cols = by_rows ? n : to - from;
    size_t step = widened ? (j->s->op == KF_STEP_FC ? 1 : (size_t)j->out->w) : row_end - row;
    for (; row < row_end; row += step) {
        size_t count = row_end - row < step ? row_end - row : step;
        const void *a = j->src + row * k * j->in_size;
        if (widened) {
            widen(a, count * k, scratch(j, worker));
            a = scratch(j, worker);
        }
        kf__requant r;
        requant_at(&r, &j->q->rq, j->src2, row, col);
        gemm(j, (operand){a, count, k, k, 1, 0}, cols, j->q->w, col, j->dst + (row * n + col) * j->out_size, &r);
    }
}

/* Elements of one row of taps in a patch: fours of bytes, so that the u8 kernel has no remainder; the weights of the filling are 0. */
static size_t run_of(const job *j, size_t channels) {
    size_t run = (size_t)j->s->window.kw * channels;
    return j->q->i16 ? run : kf__round_up(run, 4);
}

/* One row of taps of a patch, `channels` from `first` on for each tap; a tap outside the image reads the zero point. */
static void patch_row(const job *j, const char *row, int32_t left, size_t first, size_t channels, char *to) {
    const kf__step *s = j->s;
    size_t c = (size_t)j->in->c, e = j->q->i16 ? 2 : 1;
    for (int32_t kx = 0; kx < s->window.kw; kx++, to += channels * e) {
        int32_t sx = left + kx * s->window.dw;
        const char *from = row ? row + ((size_t)sx * c + first) * j->in_size : NULL;
        if (!row || sx < 0 || sx >= j->in->w) {
            for (size_t i = 0; i < channels; i++) {
                if (e == 1) ((uint8_t *)to)[i] = (uint8_t)j->in->zero;
                else ((int16_t *)(void *)to)[i] = (int16_t)j->in->zero;
            }
        } else if (e > j->in_size) {
            widen((const uint8_t *)from, channels, (int16_t *)(void *)to);
        } else {
            memcpy(to, from, channels * e);
        }
    }
}

/* Patches of one output row, kh * run_of() elements each. */
static void im2col_row(const job *j, size_t image, int32_t y, size_t first, size_t channels, char *to) {
    const kf__step *s = j->s;
    size_t c = (size_t)j->in->c, e = j->q->i16 ? 2 : 1, taps = (size_t)s->window.kw * channels * e,
           run = run_of(j, channels) * e;
    bool whole = channels == c && s->window.dw == 1 && e == j->in_size;
    for (int32_t ky = 0; ky < s->window.kh; ky++) {
        int32_t sy = y * s->window.sh - s->window.pt + ky * s->window.dh;
        const char *row = sy < 0 || sy >= j->in->h ? NULL : j->src + (image * (size_t)j->in->h + (size_t)sy) * (size_t)j->in->w * c * j->in_size;
        for (int32_t xo = 0; xo < j->out->w; xo++) {
            char *at = to + ((size_t)xo * (size_t)s->window.kh + (size_t)ky) * run;
            int32_t left = xo * s->window.sw - s->window.pl;
            if (!row || !whole || left < 0 || left + s->window.kw > j->in->w)
                patch_row(j, row, left, first, channels, at);
            else memcpy(at, row + (size_t)left * c * e, taps);
            if (run > taps) memset(at + taps, 0, run - taps);
        }
    }
}

/* The input rows under output row y, one after another, with as much of the zero point around them as windows reach over the border: a row of
 * the product is then made of runs of these rows, for all columns alike. */
static void copy_rows(const job *j, size_t image, int32_t y, size_t ld, uint8_t *to) {
    const kf__step *s = j->s;
    size_t c = (size_t)j->in->c, left = (size_t)s->window.pl * c, line = (size_t)j->in->w * c;
    for (int32_t ky = 0; ky < s->window.kh; ky++, to += ld) {
        int32_t sy = y * s->window.sh - s->window.pt + ky * s->window.dh;
        if (sy < 0 || sy >= j->in->h) {
            memset(to, (uint8_t)j->in->zero, ld);
            continue;
        }
        memset(to, (uint8_t)j->in->zero, left);
        memcpy(to + left, j->src + (image * (size_t)j->in->h + (size_t)sy) * line, line);
        memset(to + left + line, (uint8_t)j->in->zero, ld - left - line);
    }
}

/* One output row of one group: one product for each run of columns that have the same border class. `lines`: copied rows, else patches. */
static void conv_row(const job *j, size_t image, int32_t y, size_t g, size_t lines, const char *from) {
    const kf__step *s = j->s;
    size_t ow = (size_t)j->out->w, oc = (size_t)j->out->c, per = oc / (size_t)s->window.group, c = (size_t)j->in->c,
           run = run_of(j, c / (size_t)s->window.group);
    size_t row = image * (size_t)j->out->h + (size_t)y, e = j->q->i16 ? 2 : 1, kh = (size_t)s->window.kh;
    int32_t class_row = s->border_bias ? j->q->class_y[y] * j->q->n_class_x : 0;
    for (int32_t x = 0, next; x < j->out->w; x = next) {
        kf__requant r;
        requant_at(&r, &j->q->rq, j->src2, row * ow + (size_t)x, g * per);
        next = j->out->w;
        if (s->border_bias) {
            next = j->q->class_end[x];
            r.bias = j->q->table + (size_t)(class_row + j->q->class_x[x]) * j->q->ld_table;
        }
        operand in = {from + (size_t)x * kh * run * e, (size_t)(next - x), kh * run, kh * run, 1, 0};
        if (lines)
            in = (operand){
                from + (size_t)(x * s->window.sw) * c, (size_t)(next - x), run, (size_t)s->window.sw * c, kh, lines};
        gemm(j, in, per, (const char *)j->q->w + g * j->q->group_bytes, 0, j->dst + ((row * ow + (size_t)x) * oc + g * per) * j->out_size, &r);
    }
}

static void run_conv(void *ctx, int worker, int workers) {
    const job *j = ctx;
    size_t g = (size_t)j->s->window.group, per_in = (size_t)j->in->c / g, h = (size_t)j->out->h, from, to;
    size_t lines = j->q->i16 ? 0 : kf__conv_q_line(j->s, j->in, j->out);
    char *at = scratch(j, worker);
    kf__share((size_t)j->out->n * h, 1, worker, workers, &from, &to);
    for (size_t row = from; row < to; row++) {
        int32_t y = (int32_t)(row % h);
        if (lines) copy_rows(j, row / h, y, lines, (uint8_t *)at);
        for (size_t i = 0; i < g; i++) {
            if (!lines) im2col_row(j, row / h, y, i * per_in, per_in, at);
            conv_row(j, row / h, y, i, lines, at);
        }
    }
}

static void run_dwconv(void *ctx, int worker, int workers) {
    const job *j = ctx;
    const kf__step *s = j->s;
    size_t h = (size_t)j->out->h, from, to, c = (size_t)j->in->c;
    kf__share((size_t)j->out->n * h, 2, worker, workers, &from, &to);
    while (from < to) {
        size_t image = from / h, end = (image + 1) * h < to ? (image + 1) * h : to;
        kf__requant r;
        requant_at(&r, &j->q->rq, j->src2, image * pixels(j->out), 0);
        kf__dwconv_q d = {.in = j->src + image * pixels(j->in) * c * j->in_size,
                          .in_type = j->in->dtype,
                          .h_in = j->in->h,
                          .w_in = j->in->w,
                          .out = j->dst + image * pixels(j->out) * c * j->out_size,
                          .w_out = j->out->w,
                          .y0 = (int32_t)(from - image * h),
                          .y1 = (int32_t)(end - image * h),
                          .kh = s->window.kh,
                          .kw = s->window.kw,
                          .sh = s->window.sh,
                          .sw = s->window.sw,
                          .dh = s->window.dh,
                          .dw = s->window.dw,
                          .pt = s->window.pt,
                          .pl = s->window.pl,
                          .c = c,
                          .pad = j->q->pad,
                          .w = j->q->w,
                          .scratch = scratch(j, worker)};
        j->q->dwconv(&d, &r);
        from = end;
    }
}

static int32_t in_zero(const job *j, size_t c) {
    return j->in->zeros >= 0 ? ((const int32_t *)j->x->m->p->consts[j->in->zeros].data)[c] : j->in->zero;
}

/* mean[i]: the sum of q - z over all pixels of an image times the step's factor. Small images have sums of 32 bits. `sums` has room for c i64, part for c
 * i32. */
static void means_of(const job *j, size_t image, int64_t *sums, int32_t *restrict part, float *restrict mean) {
    size_t hw = pixels(j->in), c = (size_t)j->in->c;
    const char *x = j->src + image * hw * c * j->in_size;
    const float *restrict mul = j->q->mul;
    memset(sums, 0, c * sizeof *sums);
    for (size_t row = 0; row < hw; row += 32768) {
        size_t rows = hw - row < 32768 ? hw - row : 32768;
        memset(part, 0, c * sizeof *part);
        j->k->colsum_q(j->in->dtype, rows, c, x + row * c * j->in_size, part);
        for (size_t i = 0; hw > 32768 && i < c; i++) sums[i] += part[i];
    }
    if (hw > 32768 || j->in->zeros >= 0 || j->in->dtype != KF_U8) {
        for (size_t i = 0; i < c; i++) mean[i] = (float)((hw > 32768 ? sums[i] : part[i]) - (int64_t)hw * in_zero(j, i)) * mul[i];
        return;
    }
    int32_t less = (int32_t)hw * j->in->zero;
    for (size_t i = 0; i < c; i++) mean[i] = (float)(part[i] - less) * mul[i];
}

/* Step 5 on one value with the multiply done. */
static void put_rounded(const job *j, size_t at, size_t c, float x) {
    const kf__requant *r = &j->q->rq;
    if (j->out->dtype == KF_F32) {
        ((float *)(void *)j->dst)[at] = x;
        return;
    }
    int32_t q = kf__rne(kf__clampf(x, r->flo[c], r->fhi[c])) + r->zero[c];
    if (j->out->dtype == KF_U8) ((uint8_t *)j->dst)[at] = (uint8_t)q;
    else ((int16_t *)(void *)j->dst)[at] = (int16_t)q;
}

static void run_global_pool(const job *j) {
    size_t c = (size_t)j->in->c;
    int64_t *sums = scratch(j, 0);
    int32_t *part = (int32_t *)(void *)(sums + kf__qpad(c));
    float *mean = (float *)(void *)(part + kf__qpad(c));
    for (size_t n = 0; n < (size_t)j->in->n; n++) {
        means_of(j, n, sums, part, mean);
        for (size_t i = 0; i < c; i++) put_rounded(j, n * c + i, i, mean[i]);
    }
}

/* One row of i16 through a fully connected layer. */
typedef struct row_job {
    const job *j;
    const int16_t *x;
    const void *w;
    bool wide;
    void *y;
    size_t y_size, n, k; /* y_size: bytes of an output */
    const kf__requant *q;
} row_job;

static void run_row(void *ctx, int worker, int workers) {
    const row_job *r = ctx;
    size_t from, to;
    kf__share(r->n, 4 * KF_QPANEL, worker, workers, &from, &to);
    if (to <= from) return;
    kf__requant q;
    requant_at(&q, r->q, NULL, 0, from);
    r->j->k->gemm_i16(1, to - from, r->k, r->x, r->k, (const char *)r->w + kf__gemm_i16_packed(r->wide, from, r->k), r->wide, (char *)r->y + from * r->y_size, r->n, &q);
}

/* Shared out where the weights take longer than waking a thread. */
static void row_product(row_job r) {
    if (r.n * r.k < 32768) run_row(&r, 0, 1);
    else kf__pool_run(r.j->x->pool, run_row, &r);
}

static void run_gate(const job *j) {
    size_t c = (size_t)j->in->c, r = j->q->hidden;
    int64_t *sums = scratch(j, 0);
    int32_t *part = (int32_t *)(void *)(sums + kf__qpad(c));
    float *mean = (float *)(void *)(part + kf__qpad(c)), top = (float)j->s->pool_qmax;
    int16_t *pooled = (int16_t *)(void *)(mean + kf__qpad(c)), *hidden = pooled + kf__qpad(c);
    for (size_t n = 0; n < (size_t)j->in->n; n++) {
        means_of(j, n, sums, part, mean);
        for (size_t i = 0; i < c; i++) pooled[i] = (int16_t)kf__rne(kf__clampf(mean[i], -top, top));
        row_product((row_job){.j = j, .x = pooled, .w = j->q->w, .wide = j->q->wide, .y = hidden, .y_size = 2, .n = r, .k = c, .q = &j->q->rq});
        row_product((row_job){.j = j, .x = hidden, .w = j->q->w2, .wide = j->q->wide2, .y = j->dst + n * c * 4, .y_size = 4, .n = c, .k = r, .q = &j->q->rq2});
    }
}

static kf__affine_q affine_of(const job *j) {
    return (kf__affine_q){.in_type = j->in->dtype, .out_type = j->out->dtype, .in_zero = j->q->in_zero[0], .mul = j->q->mul, .flo = j->q->rq.flo,
                          .fhi = j->q->rq.fhi, .zero = j->q->rq.zero, .c = (size_t)j->out->c, .ld_in = (size_t)j->in->c, .ld_out = (size_t)j->out->c};
}

/* to[i] = (scale[i] * gate[i]) * inv[i]: two roundings. */
static void factors(size_t n, const float *restrict scale, const float *restrict gate, const float *restrict inv, float *restrict to) {
    for (size_t i = 0; i < n; i++) to[i] = scale[i] * gate[i] * inv[i];
}

static void run_scale(void *ctx, int worker, int workers) {
    const job *j = ctx;
    size_t hw = pixels(j->in), c = (size_t)j->in->c, from, to;
    float *factor = scratch(j, worker);
    kf__affine_q a = affine_of(j);
    kf__share(hw, 1, worker, workers, &from, &to);
    a.mul = factor, a.rows = to - from;
    for (size_t n = 0; to > from && n < (size_t)j->in->n; n++) {
        const float *gate = (const float *)(const void *)j->src2 + n * c;
        if (j->out->dtype != KF_F32) factors(c, j->q->in_scale[0], gate, j->q->mul, factor);
        for (size_t i = 0; j->out->dtype == KF_F32 && i < c; i++) factor[i] = j->q->in_scale[0][i] * gate[i];
        a.in = j->src + (n * hw + from) * c * j->in_size;
        a.out = j->dst + (n * hw + from) * c * j->out_size;
        j->k->affine_q(&a);
    }
}

static void run_convert(void *ctx, int worker, int workers) {
    const job *j = ctx;
    size_t c = (size_t)j->in->c, from, to;
    kf__affine_q a = affine_of(j);
    kf__share((size_t)j->out->n * pixels(j->out), 1, worker, workers, &from, &to);
    a.in = j->src + from * c * j->in_size, a.out = j->dst + from * c * j->out_size, a.rows = to - from;
    if (to > from) j->k->affine_q(&a);
}

static void run_eltwise(void *ctx, int worker, int workers) {
    const job *j = ctx;
    size_t c = (size_t)j->out->c, from, to;
    const kf__ptensor *b = j->src2 ? &j->x->m->p->tensors[j->s->in[1]] : NULL;
    kf__eltwise_q e = {.a_type = j->in->dtype, .a_zero = j->q->in_zero[0], .a_scale = j->q->in_scale[0], .b_zero = j->q->in_zero[1],
                       .b_scale = j->q->in_scale[1], .product = j->s->op == KF_STEP_MUL, .q = &j->q->rq, .c = c};
    kf__share((size_t)j->out->n * pixels(j->out), 1, worker, workers, &from, &to);
    e.a = j->src + from * c * j->in_size, e.out = j->dst + from * c * j->out_size, e.rows = to - from;
    if (b) e.b_type = b->dtype, e.b = j->src2 + from * c * kf_dtype_size(b->dtype);
    if (to > from) j->k->eltwise_q(&e);
}

/* What divides the sum of an average: all taps inside, or also those in the padding. */
static int32_t divisor(const job *j, int32_t y, int32_t x, int32_t rows, int32_t columns) {
    const kf__step *s = j->s;
    const kf__window *w = &s->window;
    if (!s->count_include_pad) return rows * columns;
    return kf__taps_inside(y + w->pt, w->kh, w->dh, j->in->h + w->pt + w->pb).count *
           kf__taps_inside(x + w->pl, w->kw, w->dw, j->in->w + w->pl + w->pr).count;
}

static void run_pool(void *ctx, int worker, int workers) {
    const job *j = ctx;
    const kf__step *s = j->s;
    const kf__requant *r = &j->q->rq;
    size_t from, to, h = (size_t)j->out->h, w = (size_t)j->out->w, c = (size_t)j->out->c, line = (size_t)j->in->w * c;
    const float *means = s->op == KF_STEP_AVG_POOL ? j->x->m->p->consts[s->consts[KF_CONST_MUL]].data : NULL;
    kf__pool_q p = {.in_type = j->in->dtype,
                    .out_type = j->out->dtype,
                    .row_step = (size_t)s->window.dh * line,
                    .column_step = (size_t)s->window.dw * c,
                    .c = c,
                    .largest = !means,
                    .lo = s->qlo,
                    .hi = s->qhi,
                    .in_zero = j->in->zero,
                    .flo = r->flo,
                    .fhi = r->fhi,
                    .zero = r->zero};
    kf__pool_q_fn *pool = (int64_t)s->window.kh * s->window.kw > 65536 ? kf_k_pool_q_scalar : j->k->pool_q;
    kf__share((size_t)j->out->n * h, 1, worker, workers, &from, &to);
    for (size_t row = from; row < to; row++)
        for (size_t i = 0; i < w; i++) {
            int32_t y = (int32_t)(row % h) * s->window.sh - s->window.pt, x = (int32_t)i * s->window.sw - s->window.pl;
            kf__taps down = kf__taps_inside(y, s->window.kh, s->window.dh, j->in->h),
                     across = kf__taps_inside(x, s->window.kw, s->window.dw, j->in->w);
            p.rows = (size_t)down.count, p.columns = down.count ? (size_t)across.count : 0;
            if (p.columns)
                p.in = j->src + ((row / h * (size_t)j->in->h + (size_t)(y + down.first * s->window.dh)) * line +
                                 (size_t)(x + across.first * s->window.dw) * c) *
                                    j->in_size;
            int32_t count = means ? divisor(j, y, x, down.count, across.count) : 0;
            if (means) p.mul = means[count ? count - 1 : 0];
            p.out = j->dst + (row * w + i) * c * j->out_size;
            pool(&p);
        }
}

/* Every part has one scale. */
static void run_concat(void *ctx, int worker, int workers) {
    const job *j = ctx;
    size_t done = 0, c = (size_t)j->out->c, from, to;
    float *mul = scratch(j, worker);
    int32_t *zero = (int32_t *)(void *)(mul + kf__qpad(c));
    kf__share((size_t)j->out->n * pixels(j->out), 1, worker, workers, &from, &to);
    for (int k = 0; to > from && k < j->s->n_in; k++) {
        const kf__ptensor *t = &j->x->m->p->tensors[j->s->in[k]];
        kf__affine_q a = affine_of(j);
        a.c = a.ld_in = (size_t)t->c, a.rows = to - from, a.in_type = t->dtype, a.mul = mul, a.in_zero = zero;
        for (size_t i = 0; i < a.c; i++) mul[i] = ((const float *)j->x->m->p->consts[j->s->consts[KF_CONST_MUL]].data)[k], zero[i] = t->zero;
        a.in = tensor(j->x, j->s->in[k]) + from * a.c * kf_dtype_size(t->dtype);
        a.out = j->dst + (from * c + done) * j->out_size;
        j->k->affine_q(&a);
        done += a.c;
    }
}

static void run_move(const job *j) {
    size_t hw = pixels(j->in), c = (size_t)j->in->c, e = j->in_size, n = (size_t)j->in->n;
    if (j->s->op != KF_STEP_TO_NCHW) {
        memcpy(j->dst, j->src, n * hw * c * e);
        return;
    }
    for (size_t b = 0; b < n; b++)
        for (size_t i = 0; i < hw; i++)
            for (size_t k = 0; k < c; k++) memcpy(j->dst + ((b * c + k) * hw + i) * e, j->src + ((b * hw + i) * c + k) * e, e);
}

static void run_pad(const job *j) {
    size_t c = (size_t)j->out->c, ow = (size_t)j->out->w, e = j->out_size, total = (size_t)j->out->n * pixels(j->out) * c;
    for (size_t i = 0; i < total; i++) {
        if (e == 1) ((uint8_t *)j->dst)[i] = (uint8_t)j->out->zero;
        else ((int16_t *)(void *)j->dst)[i] = 0;
    }
    for (size_t n = 0; n < (size_t)j->in->n; n++)
        for (size_t y = 0; y < (size_t)j->in->h; y++)
            memcpy(j->dst +
                       ((n * (size_t)j->out->h + y + (size_t)j->s->window.pt) * ow + (size_t)j->s->window.pl) * c * e,
                   j->src + (n * (size_t)j->in->h + y) * (size_t)j->in->w * c * e, (size_t)j->in->w * c * e);
}

void kf__exec_step_int(const kf__exec *x, int32_t index) {
    const kf__program *p = x->m->p;
    const kf__step *s = &p->steps[index];
    job j = {.x = x, .s = s, .q = x->m->packed[index].q, .k = &x->m->kernels_int, .in = &p->tensors[s->in[0]], .out = &p->tensors[s->out],
             .src = tensor(x, s->in[0]), .src2 = s->n_in > 1 ? tensor(x, s->in[1]) : NULL, .dst = tensor(x, s->out)};
    j.in_size = kf_dtype_size(j.in->dtype), j.out_size = kf_dtype_size(j.out->dtype);
    bool pointwise = kf__window_is_pointwise(&s->window);
    switch (s->op) {
    case KF_STEP_CONV: kf__pool_run(x->pool, pointwise ? run_gemm : run_conv, &j); break;
    case KF_STEP_DWCONV: kf__pool_run(x->pool, run_dwconv, &j); break;
    case KF_STEP_FC: kf__pool_run(x->pool, run_gemm, &j); break;
    case KF_STEP_SE_GATE: run_gate(&j); break;
    case KF_STEP_SCALE: kf__pool_run(x->pool, run_scale, &j); break;
    case KF_STEP_ADD: case KF_STEP_MUL: case KF_STEP_ACT: kf__pool_run(x->pool, run_eltwise, &j); break;
    case KF_STEP_QUANTIZE: case KF_STEP_DEQUANTIZE: kf__pool_run(x->pool, run_convert, &j); break;
    case KF_STEP_GLOBAL_POOL: run_global_pool(&j); break;
    case KF_STEP_AVG_POOL: case KF_STEP_MAX_POOL: kf__pool_run(x->pool, run_pool, &j); break;
    case KF_STEP_CONCAT: kf__pool_run(x->pool, run_concat, &j); break;
    case KF_STEP_PAD: run_pad(&j); break;
    default: run_move(&j); break;
    }
}
