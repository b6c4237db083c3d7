/* Body of the kernels of 16-bit inputs and, by int_affine.h, of affine steps, included by int_template.h for
 * instruction sets that define WITH_WIDE. Needs DOT2 besides what int_template.h needs. Owner rule: pure functions. */

#include "kernels/body/int_row.h"

/* ---- GEMM of i16 inputs ------------------------------------------------------------------------------------------ */

/* mr rows by np panels of 16-bit inputs: pairs of k, and a single last one if k is odd. */
INLINE void tile_i16(const int mr, const int np, size_t n, size_t k, const int16_t *a, size_t lda, const char *b,
                     const int size, size_t col, size_t row, void *c, size_t ldc, const kf__requant *q) {
    V acc[MOST_ROWS][4 * W];
    size_t pairs = (k + 1) / 2;
    UNROLL for (int j = 0; j < np * W; j++) {
        V bias = LOADV(q->bias + col + (size_t)(j * VL));
        UNROLL for (int i = 0; i < mr; i++) acc[i][j] = bias;
    }
    for (size_t g = 0; g < k / 2; g++, a += 2, b += KF_QPANEL * 2 * size)
        step_i16(mr, np, acc, a, lda, b, pairs, size, 4);
    if (k % 2) step_i16(mr, np, acc, a, lda, b, pairs, size, 2);
    spill(mr, np * W, acc, n, col, row, c, ldc, q);
}

typedef void rows_i16(size_t m, size_t n, size_t k, const int16_t *a, size_t lda, const char *at, size_t col, void *c,
                      size_t ldc, const kf__requant *q);
#define ROWS_I16(np, full, size)                                                                                       \
    NOINLINE void rows_i16_##np##_##size(size_t m, size_t n, size_t k, const int16_t *a, size_t lda, const char *at,   \
                                         size_t col, void *c, size_t ldc, const kf__requant *q) {                      \
        size_t i = 0;                                                                                                  \
        for (; i + (full) <= m; i += (full)) tile_i16(full, np, n, k, a + i * lda, lda, at, size, col, i, c, ldc, q);  \
        for (; i < m; i++) row_i16(size, np, n, k, a + i * lda, at, col, i, c, ldc, q);                                \
    }
ROWS_I16(1, 4, 1)
ROWS_I16(1, 4, 2)
#if MAX_PANELS >= 4
ROWS_I16(4, MR4, 1)
ROWS_I16(4, MR4, 2)
static rows_i16 *const ROWS_I16_OF[2][2] = {{rows_i16_1_1, rows_i16_4_1}, {rows_i16_1_2, rows_i16_4_2}};
#else
static rows_i16 *const ROWS_I16_OF[2][2] = {{rows_i16_1_1}, {rows_i16_1_2}};
#endif

void NAME(gemm_i16)(size_t m, size_t n, size_t k, const int16_t *a, size_t lda, const void *b, bool wide, void *c,
                    size_t ldc, const kf__requant *q) {
    size_t panel = (k + 1) / 2 * 32 * (wide ? 2 : 1), step;
    for (size_t col = 0; col < n; col += step * KF_QPANEL) {
        bool four = MAX_PANELS >= 4 && n - col > 3 * KF_QPANEL;
        step = four ? 4 : 1;
        ROWS_I16_OF[wide][four](m, n, k, a, lda, (const char *)b + col / KF_QPANEL * panel, col, c, ldc, q);
    }
}

/* ---- depthwise, 16 bits ------------------------------------------------------------------------------------------ */

enum { DW16_TAPS = 49 };

/* Sum of one output pixel's taps for n channels from c0 on. Weights are zero-extended, so the upper half of an input
 * lane (its sign) is multiplied by 0 and the pair product is exact. */
INLINE V dw16_sum(const int kh, const int kw, const kf_dtype type, const kf__dwconv_q *d, size_t c0, size_t n,
                  int32_t y, int32_t x, const V *w, V acc) {
    int32_t left = x * d->sw - d->pl, top = y * d->sh - d->pt;
    for (int ky = 0; ky < kh; ky++) {
        int32_t sy = top + ky * d->dh;
        bool row = sy >= 0 && sy < d->h_in;
        for (int kx = 0; kx < kw; kx++) {
            int32_t sx = left + kx * d->dw;
            bool inside = row && sx >= 0 && sx < d->w_in;
            V v = inside ? load_q(d->in, type, ((size_t)sy * (size_t)d->w_in + (size_t)sx) * d->c + c0, n)
                         : load_q(d->pad, type, c0, n);
            acc = DOT2(acc, v, w[ky * kw + kx]);
        }
    }
    return acc;
}

/* One row of outputs for n channels; the weights of all taps stay in registers or on the stack. */
INLINE void dw16_block(const int kh, const int kw, const kf_dtype type, const kf__dwconv_q *d, const kf__requant *q,
                       int kind, int32_t y, size_t c0, size_t n) {
    V w[DW16_TAPS], bias = LOADV(q->bias + c0), low = SET1I(0xffff);
    params p = params_at(q, c0);
    for (int t = 0; t < kh * kw; t++) w[t] = load_q(d->w, KF_I16, (size_t)t * d->c + c0, n) & low;
    for (int32_t x = 0; x < d->w_out; x++) {
        size_t at = ((size_t)y * (size_t)d->w_out + (size_t)x) * d->c + c0;
        V v = dw16_sum(kh, kw, type, d, c0, n, y, x, w, bias);
        if (kind == PLAIN_Q) store_q(d->out, q->out, at, round_q(MULF(CVT(v), p.mul), &p), n);
        else if (kind == HSWISH_Q) store_q(d->out, q->out, at, round_q(hswish(MULF(CVT(v), p.mul), p.k), &p), n);
        else finish_general(&v, q, &p, at, at, d->out, n);
    }
}

INLINE void dw16(const int kh, const int kw, const kf_dtype type, const kf__dwconv_q *d, const kf__requant *q) {
    int kind = kind_of(q);
    for (int32_t y = d->y0; y < d->y1; y++) {
        size_t c0 = 0;
        for (; c0 + VL <= d->c; c0 += VL) dw16_block(kh, kw, type, d, q, kind, y, c0, VL);
        if (c0 < d->c) dw16_block(kh, kw, type, d, q, kind, y, c0, d->c - c0);
    }
}

NOINLINE void dw16_3(const kf__dwconv_q *d, const kf__requant *q) { dw16(3, 3, KF_I16, d, q); }
NOINLINE void dw16_any(const kf__dwconv_q *d, const kf__requant *q) { dw16(d->kh, d->kw, d->in_type, d, q); }

void NAME(dwconv_i16)(const kf__dwconv_q *d, const kf__requant *q) {
    if (d->kh * d->kw > DW16_TAPS) kf_k_dwconv_i16_scalar(d, q);
    else if (d->in_type == KF_I16 && d->kh == 3 && d->kw == 3) dw16_3(d, q);
    else dw16_any(d, q);
}

#include "kernels/body/int_affine.h"
