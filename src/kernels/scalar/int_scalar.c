/* Scalar integer kernels: docs/NUMERICS.md, literally. Every other kernel must give these bytes. Any C compiler, any
 * CPU, -ffp-contract=off. Sums wrap in u32: the loader proved that the result fits i32.
 * Owner rule: pure functions. */
#include "kernels/kernels_int.h"

static inline int32_t get(const void *p, kf_dtype type, size_t i) {
    return type == KF_U8 ? ((const uint8_t *)p)[i] : ((const int16_t *)p)[i];
}

static inline void put(void *p, kf_dtype type, size_t i, int32_t q) {
    if (type == KF_U8) ((uint8_t *)p)[i] = (uint8_t)q;
    else ((int16_t *)p)[i] = (int16_t)q;
}

/* Step 5 with bounds from which the zero point is already subtracted; NaN gives the lower bound. */
static inline int32_t round_q(float x, float flo, float fhi, int32_t zero) {
    return kf__rne(kf__clampf(x, flo, fhi)) + zero;
}

/* Steps 2 to 5; c is the channel, at the place of the element in output and residual. */
static void finish(const kf__requant *q, size_t c, int32_t acc, void *out, size_t at, size_t at_residual) {
    float x = (float)acc * q->mul[c];
    if (q->fbias) x = x + q->fbias[c];
    if (q->act.kind == KF_ACT_HSWISH) x = kf__hswish(x, q->k[c]);
    else x = kf__activate(q->act.kind, x, q->act.lo, q->act.hi);
    if (q->residual && q->residual_type == KF_F32) x = x + ((const float *)q->residual)[at_residual];
    else if (q->residual)
        x = x + (float)(get(q->residual, q->residual_type, at_residual) - q->residual_zero) * q->residual_scale;
    if (q->inv) x = x * q->inv[c];
    if (q->out == KF_F32) ((float *)out)[at] = kf__activate(q->post.kind, x, q->post.lo, q->post.hi);
    else put(out, q->out, at, round_q(x, q->flo[c], q->fhi[c], q->zero[c]));
}

/* Weight x of column j is byte x % 4 of quad x / 4. Products fit 16 bits, and sums are proved to fit 32. */
void kf_k_gemm_u8_scalar(size_t m, size_t n, size_t k, size_t runs, size_t ld_run, const uint8_t *a, size_t lda,
                         const void *b, void *c, size_t ldc, const kf__requant *q) {
    size_t depth = runs * k, quads = (depth + 3) / 4;
    for (size_t i = 0; i < m; i++)
        for (size_t j0 = 0; j0 < n; j0 += KF_QPANEL) {
            const int8_t *panel = (const int8_t *)b + j0 * quads * 4;
            uint32_t acc[KF_QPANEL] = {0};
            for (size_t run = 0, x = 0; run < runs; run++) {
                const uint8_t *from = a + i * lda + run * ld_run;
                for (size_t t = 0; t < k; t++, x++)
                    for (size_t j = 0; j < KF_QPANEL; j++)
                        acc[j] += (uint32_t)(from[t] * panel[(x / 4 * KF_QPANEL + j) * 4 + x % 4]);
            }
            for (size_t j = 0; j < KF_QPANEL && j0 + j < n; j++)
                finish(q, j0 + j, (int32_t)(acc[j] + (uint32_t)q->bias[j0 + j]), c, i * ldc + j0 + j,
                       i * q->ld_residual + j0 + j);
        }
}

/* Weight x of column j is element x % 2 of pair x / 2. */
void kf_k_gemm_i16_scalar(size_t m, size_t n, size_t k, const int16_t *a, size_t lda, const void *b, bool wide, void *c,
                          size_t ldc, const kf__requant *q) {
    size_t pairs = (k + 1) / 2;
    for (size_t i = 0; i < m; i++)
        for (size_t j0 = 0; j0 < n; j0 += KF_QPANEL) {
            uint32_t acc[KF_QPANEL] = {0};
            for (size_t x = 0; x < k; x++)
                for (size_t j = 0; j < KF_QPANEL; j++) {
                    size_t at = j0 * pairs * 2 + (x / 2 * KF_QPANEL + j) * 2 + x % 2;
                    int32_t w = wide ? ((const int16_t *)b)[at] : ((const int8_t *)b)[at];
                    acc[j] += (uint32_t)(a[i * lda + x] * w);
                }
            for (size_t j = 0; j < KF_QPANEL && j0 + j < n; j++)
                finish(q, j0 + j, (int32_t)(acc[j] + (uint32_t)q->bias[j0 + j]), c, i * ldc + j0 + j,
                       i * q->ld_residual + j0 + j);
        }
}

/* One output pixel of channel ch. */
static int32_t dw_sum(const kf__dwconv_q *d, bool wide, int32_t y, int32_t x, size_t ch, int32_t bias) {
    uint32_t acc = (uint32_t)bias;
    for (int32_t ky = 0; ky < d->kh; ky++)
        for (int32_t kx = 0; kx < d->kw; kx++) {
            int32_t sy = y * d->sh - d->pt + ky * d->dh, sx = x * d->sw - d->pl + kx * d->dw;
            bool inside = sy >= 0 && sy < d->h_in && sx >= 0 && sx < d->w_in;
            int32_t v = inside ? get(d->in, d->in_type, ((size_t)sy * (size_t)d->w_in + (size_t)sx) * d->c + ch)
                               : get(d->pad, d->in_type, ch);
            size_t at = (size_t)(ky * d->kw + kx) * d->c + ch;
            acc += (uint32_t)(v * (wide ? ((const int16_t *)d->w)[at] : ((const int8_t *)d->w)[at]));
        }
    return (int32_t)acc;
}

static void dwconv(const kf__dwconv_q *d, bool wide, const kf__requant *q) {
    for (int32_t y = d->y0; y < d->y1; y++)
        for (int32_t x = 0; x < d->w_out; x++)
            for (size_t ch = 0; ch < d->c; ch++) {
                size_t at = ((size_t)y * (size_t)d->w_out + (size_t)x) * d->c + ch;
                finish(q, ch, dw_sum(d, wide, y, x, ch, q->bias[ch]), d->out, at, at);
            }
}

void kf_k_dwconv_u8_scalar(const kf__dwconv_q *d, const kf__requant *q) { dwconv(d, false, q); }
void kf_k_dwconv_i16_scalar(const kf__dwconv_q *d, const kf__requant *q) { dwconv(d, true, q); }

/* out = round(clamp((in - in_zero) * mul)) + zero; an f32 output is the product itself. */
void kf_k_affine_q_scalar(const kf__affine_q *a) {
    for (size_t i = 0; i < a->rows; i++)
        for (size_t j = 0; j < a->c; j++) {
            size_t from = i * a->ld_in + j, to = i * a->ld_out + j;
            float x = a->in_type == KF_F32 ? ((const float *)a->in)[from]
                                           : (float)(get(a->in, a->in_type, from) - a->in_zero[j]);
            x = x * a->mul[j];
            if (a->out_type == KF_F32) ((float *)a->out)[to] = x;
            else put(a->out, a->out_type, to, round_q(x, a->flo[j], a->fhi[j], a->zero[j]));
        }
}

void kf_k_colsum_q_scalar(kf_dtype type, size_t rows, size_t c, const void *x, int32_t *sums) {
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < c; j++) sums[j] += get(x, type, i * c + j);
}

static float real_of(const void *p, kf_dtype type, size_t i, int32_t zero, float scale) {
    return type == KF_F32 ? ((const float *)p)[i] : (float)(get(p, type, i) - zero) * scale;
}

/* In the order of the contract: real values, sum or product, activation, scale of the output, rounding. */
void kf_k_eltwise_q_scalar(const kf__eltwise_q *e) {
    const kf__requant *q = e->q;
    for (size_t i = 0; i < e->rows; i++)
        for (size_t j = 0; j < e->c; j++) {
            size_t at = i * e->c + j;
            float x = real_of(e->a, e->a_type, at, e->a_zero[j], e->a_scale[j]);
            if (e->b) {
                float y = real_of(e->b, e->b_type, at, e->b_zero[j], e->b_scale[j]);
                x = e->product ? x * y : x + y;
            }
            if (q->act.kind == KF_ACT_HSWISH) x = kf__hswish(x, q->k[j]);
            else x = kf__activate(q->act.kind, x, q->act.lo, q->act.hi);
            if (q->inv) x = x * q->inv[j];
            if (q->out == KF_F32) ((float *)e->out)[at] = kf__activate(q->post.kind, x, q->post.lo, q->post.hi);
            else put(e->out, q->out, at, round_q(x, q->flo[j], q->fhi[j], q->zero[j]));
        }
}

/* Are all channels' entries equal? Elements of every vector have four bytes. */
static bool is_one(const void *vector, size_t c) {
    return !vector || memcmp(vector, (const char *)vector + 4, (c - 1) * 4) == 0;
}

/* If all channels have the same parameters, `run` takes what fills registers, and the rest counts as one channel. */
void kf__eltwise_q_by(kf__eltwise_run_fn *run, const kf__eltwise_q *e) {
    const kf__requant *q = e->q;
    const void *const vectors[] = {
        e->a_zero, e->a_scale, e->b ? e->b_zero : NULL, e->b ? e->b_scale : NULL, q->k, q->inv, q->flo,
        q->fhi,    q->zero};
    kf__eltwise_q rest = *e;
    bool one = true;
    for (size_t i = 0; i < KF_COUNT(vectors); i++) one = one && is_one(vectors[i], e->c);
    if (one) { /* otherwise an activation whose output has scales per channel, which is rare */
        size_t n = e->rows * e->c, done = run(e, n);
        rest.a = (const char *)e->a + done * kf_dtype_size(e->a_type);
        if (e->b) rest.b = (const char *)e->b + done * kf_dtype_size(e->b_type);
        rest.out = (char *)e->out + done * kf_dtype_size(q->out), rest.rows = n - done, rest.c = 1;
    }
    if (rest.rows) kf_k_eltwise_q_scalar(&rest);
}

/* A window without taps inside the image gives the zero point as a mean. */
void kf_k_pool_q_scalar(const kf__pool_q *w) {
    for (size_t j = 0; j < w->c; j++) {
        int64_t sum = 0;
        int32_t top = INT32_MIN;
        for (size_t r = 0; r < w->rows; r++)
            for (size_t t = 0; t < w->columns; t++) {
                int32_t q = get(w->in, w->in_type, r * w->row_step + t * w->column_step + j);
                top = q > top ? q : top;
                sum += q - w->in_zero;
            }
        float x = (float)sum * w->mul;
        if (w->largest) put(w->out, w->out_type, j, top < w->lo ? w->lo : top > w->hi ? w->hi : top);
        else if (w->out_type == KF_F32) ((float *)w->out)[j] = x;
        else put(w->out, w->out_type, j, round_q(x, w->flo[j], w->fhi[j], w->zero[j]));
    }
}
