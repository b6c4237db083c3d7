/* Body of the x86 integer kernels, compiled once for each instruction set (the including file defines the vector words).
 * Floor 3. Needs: V, F, VL, LOADV, STOREV, SET1I, ADDI, CVT, RNE, SETF, LOADF, ADDF, MULF, MINF, MAXF, UNP*, PACK*, DOT, SPLIT, MR1..MR4,
 * MAX_PANELS, load_q, store_q, load_bytes, NAME. Sums are exact: no saturating pair products.
 * Owner rule: pure functions. */

/* Adds the product with weights in memory. */
#ifndef DOT_AT
#define DOT_AT(acc, x, at) ((acc) = DOT(acc, x, LOADV(at), LOADV((at) + 4 * SPLIT)))
#endif
#define INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

typedef struct params {
    F mul, fbias, k, inv, flo, fhi;
    V zero;
} params;

INLINE params params_at(const kf__requant *q, size_t col) {
    params p = {.mul = LOADF(q->mul + col)};
    p.fbias = q->fbias ? LOADF(q->fbias + col) : SETF(0);
    p.k = q->k ? LOADF(q->k + col) : SETF(0);
    p.inv = q->inv ? LOADF(q->inv + col) : SETF(0);
    p.flo = p.fhi = SETF(0), p.zero = SET1I(0);
    if (q->out != KF_F32) p.flo = LOADF(q->flo + col), p.fhi = LOADF(q->fhi + col), p.zero = LOADV(q->zero + col);
    return p;
}

/* Kinds of epilogue: the common ones, with the output in u8, run without questions. */
enum { PLAIN_Q, HSWISH_Q, RESIDUAL_Q, GENERAL };
INLINE int kind_of(const kf__requant *q) {
    if (!q->lo8 || q->fbias) return GENERAL;
    if (q->residual) return q->act == KF_ACT_NONE && q->residual_type == KF_U8 && q->inv ? RESIDUAL_Q : GENERAL;
    return q->inv ? GENERAL : q->act == KF_ACT_NONE ? PLAIN_Q : q->act == KF_ACT_HSWISH ? HSWISH_Q : GENERAL;
}

/* Bounds as integers: floats that are not negative order like their bits, and a negative one is a negative number. So the clamp to
 * 0..6 does not wait for the adders. */
INLINE F hswish(F x, F k) { return MULF(CLAMP6(ADDF(x, SETF(3.0f))), MULF(x, k)); }

INLINE V round_q(F x, const params *p) { return ADDI(RNE(MINF(MAXF(x, p->flo), p->fhi)), p->zero); }

static F activate(F x, const kf__requant *q, F k) {
    switch (q->act) {
    case KF_ACT_CLIP: return MINF(MAXF(x, SETF(q->lo)), SETF(q->hi));
    case KF_ACT_HSWISH: return hswish(x, k);
    case KF_ACT_HSIGMOID: return MULF(MINF(MAXF(ADDF(x, SETF(3.0f)), SETF(0.0f)), SETF(6.0f)), SETF(1.0f / 6.0f));
    case KF_ACT_HARDSIGMOID: return MINF(MAXF(ADDF(MULF(x, SETF(q->lo)), SETF(q->hi)), SETF(0.0f)), SETF(1.0f));
    case KF_ACT_SIGMOID: case KF_ACT_SILU: {
        float lane[VL];
        memcpy(lane, &x, sizeof lane);
        for (int i = 0; i < VL; i++) lane[i] = kf__activate(q->act, lane[i], 0, 0);
        memcpy(&x, lane, sizeof lane);
        return x;
    }
    default: return x;
    }
}

/* Steps 2 to 5 of any epilogue; n lanes are stored. */
static __attribute__((noinline)) void finish_general(const V *acc, const kf__requant *q, const params *p, size_t at, size_t at_residual, void *out, size_t n) {
    F x = MULF(CVT(*acc), p->mul);
    if (q->fbias) x = ADDF(x, p->fbias);
    x = activate(x, q, p->k);
    if (q->residual && q->residual_type == KF_F32) {
        float lane[VL] = {0};
        memcpy(lane, (const float *)q->residual + at_residual, n * sizeof(float));
        x = ADDF(x, LOADF(lane));
    } else if (q->residual) {
        V r = load_q(q->residual, q->residual_type, at_residual, n);
        x = ADDF(x, MULF(CVT(ADDI(r, SET1I(-q->residual_zero))), SETF(q->residual_scale)));
    }
    if (q->inv) x = MULF(x, p->inv);
    if (q->out != KF_F32) {
        store_q(out, q->out, at, round_q(x, p), n);
        return;
    }
    if (q->post == KF_ACT_CLIP) x = MINF(MAXF(x, SETF(q->post_lo)), SETF(q->post_hi));
    float lane[VL];
    memcpy(lane, &x, sizeof lane);
    memcpy((float *)out + at, lane, n * sizeof(float));
}

/* ---- GEMM ------------------------------------------------------------------------------------------------------------------- */

#define W (KF_QPANEL / VL)

/* Steps 2 to 4 and the conversion of one column of vectors; what a later packing saturates needs no clamp here (kf__requant_bound). */
INLINE void convert(const int kind, const int mr, const int j, V (*acc)[4 * W], size_t col, size_t row, size_t lanes, const kf__requant *q) {
    F mul = LOADF(q->mul + col), k = kind == HSWISH_Q ? LOADF(q->k + col) : mul, inv = kind == RESIDUAL_Q ? LOADF(q->inv + col) : mul;
    V minus = SET1I(-q->residual_zero);
    UNROLL for (int i = 0; i < mr; i++) {
        F x = MULF(CVT(acc[i][j]), mul);
        if (kind == HSWISH_Q) x = hswish(x, k);
        if (kind == RESIDUAL_Q) {
            V r = load_q(q->residual, KF_U8, (row + (size_t)i) * q->ld_residual + col, lanes);
            x = MULF(ADDF(x, MULF(CVT(ADDI(r, minus)), SETF(q->residual_scale))), inv);
        }
        acc[i][j] = RNE(x);
    }
}

/* Adds zero points, saturates to bytes and stores: four vectors at a time, of one row or of two or four rows. */
INLINE void pack_tile(const int mr, const int np, V (*acc)[4 * W], size_t n, size_t col, size_t row, uint8_t *c, size_t ldc, const kf__requant *q) {
    const int each = np * W, parts = each == 1 ? 4 : each == 2 ? 2 : 1;
    size_t lanes = n - col < (size_t)(each * VL) ? n - col : (size_t)(each * VL);
    V z[4], lo = load_limits(q->lo8 + col, parts), hi = load_limits(q->hi8 + col, parts);
    UNROLL for (int v = 0; v < 4; v++) z[v] = LOADV(q->zero + col + (size_t)((v % each) * VL));
    V z01 = PACK32(z[0], z[1]), z23 = PACK32(z[2], each == 3 ? z[2] : z[3]);
    UNROLL for (int i = 0; i < mr; i += parts) {
        V v[4];
        UNROLL for (int x = 0; x < 4; x++) {
            int r = i + (parts == 1 ? 0 : x / each), j = parts == 1 && x >= each ? each - 1 : x % each;
            v[x] = acc[r < mr ? r : mr - 1][j];
        }
        V x = PACK16(ADDS16(PACK32(v[0], v[1]), z01), ADDS16(PACK32(v[2], v[3]), z23));
        x = MINU8(MAXU8(IN_ORDER(x), lo), hi);
        UNROLL for (int part = 0; part < parts; part++)
            if (i + part < mr) store_part(c + (row + (size_t)(i + part)) * ldc + col, x, part, parts, lanes);
    }
}

INLINE void finish_tile(const int kind, const int mr, const int np, V (*acc)[4 * W], size_t n, size_t col, size_t row, void *c, size_t ldc,
                        const kf__requant *q) {
    UNROLL for (int j = 0; j < np * W; j++) {
        size_t at = col + (size_t)(j * VL), lanes = at >= n ? 0 : n - at < VL ? n - at : VL;
        convert(kind, mr, j, acc, at, row, lanes, q);
    }
    pack_tile(mr, np, acc, n, col, row, c, ldc, q);
}

/* The tile goes through memory: these epilogues are rare. */
static __attribute__((noinline)) void finish_slow(int mr, int np, const V *acc, size_t n, size_t col, size_t row, void *c, size_t ldc, const kf__requant *q) {
    for (int j = 0; j < np * W; j++) {
        size_t at = col + (size_t)(j * VL);
        if (at >= n) break;
        params p = params_at(q, at);
        for (int i = 0; i < mr; i++) {
            size_t r = row + (size_t)i;
            finish_general(acc + i * 4 * W + j, q, &p, r * ldc + at, r * q->ld_residual + at, c, n - at < VL ? n - at : VL);
        }
    }
}

INLINE void finish(const int mr, const int np, V (*acc)[4 * W], size_t n, size_t col, size_t row, void *c, size_t ldc, const kf__requant *q) {
    switch (kind_of(q)) {
    case PLAIN_Q: finish_tile(PLAIN_Q, mr, np, acc, n, col, row, c, ldc, q); break;
    case HSWISH_Q: finish_tile(HSWISH_Q, mr, np, acc, n, col, row, c, ldc, q); break;
    case RESIDUAL_Q: finish_tile(RESIDUAL_Q, mr, np, acc, n, col, row, c, ldc, q); break;
    default: {
        V copy[MR1][4 * W];
        UNROLL for (int i = 0; i < mr; i++) {
            UNROLL for (int j = 0; j < np * W; j++) copy[i][j] = acc[i][j];
        }
        finish_slow(mr, np, &copy[0][0], n, col, row, c, ldc, q);
    }
    }
}

/* One four of k: `bytes` of it are there. */
INLINE void step_u8(const int mr, const int np, V (*acc)[4 * W], const uint8_t *a, size_t lda, const char *b, size_t panel, size_t bytes) {
    V w[4 * W], odd[4 * W];
    UNROLL for (int j = 0; j < np * W; j++) {
        const char *at = b + (size_t)(j / W) * panel + (size_t)(j % W) * sizeof(V);
        w[j] = LOADV(at);
        odd[j] = SPLIT ? LOADV(at + KF_QPANEL * 4 * SPLIT) : w[j];
    }
    UNROLL for (int i = 0; i < mr; i++) {
        uint32_t four = 0;
        if (bytes == 4) memcpy(&four, a + (size_t)i * lda, 4);
        else memcpy(&four, a + (size_t)i * lda, bytes);
        V x = SET1I((int)four);
        UNROLL for (int j = 0; j < np * W; j++) acc[i][j] = DOT(acc[i][j], x, w[j], odd[j]);
    }
}

/* mr rows by np panels; mr and np are constants at every call, and the loops are unrolled, so the sums stay in registers. */
INLINE void tile_u8(const int mr, const int np, size_t n, size_t k, size_t runs, size_t ld_run, const uint8_t *a, size_t lda, const char *b, size_t col,
                    size_t row, void *c, size_t ldc, const kf__requant *q) {
    enum { STEP = KF_QPANEL * 4 * (1 + SPLIT) };
    V acc[MR1][4 * W];
    size_t panel = (runs * k + 3) / 4 * STEP;
    UNROLL for (int j = 0; j < np * W; j++) {
        V bias = LOADV(q->bias + col + (size_t)(j * VL));
        UNROLL for (int i = 0; i < mr; i++) acc[i][j] = bias;
    }
    for (size_t g = 0; g < k / 4; g++, a += 4, b += STEP) step_u8(mr, np, acc, a, lda, b, panel, 4);
    for (size_t run = 1; run < runs; run++) {
        a += ld_run - k;
        for (size_t g = 0; g < k / 4; g++, a += 4, b += STEP) step_u8(mr, np, acc, a, lda, b, panel, 4);
    }
    if (k % 4) step_u8(mr, np, acc, a, lda, b, panel, k % 4);
    finish(mr, np, acc, n, col, row, c, ldc, q);
}

/* One pair of k, or the one that is left; `size`: bytes of a weight. */
INLINE void step_i16(const int mr, const int np, V (*acc)[4 * W], const int16_t *a, size_t lda, const char *b, size_t pairs, const int size, const size_t bytes) {
    V w[4 * W];
    UNROLL for (int j = 0; j < np * W; j++) {
        const char *at = b + (size_t)(j / W) * pairs * KF_QPANEL * 2 * (size_t)size + (size_t)((j % W) * VL * 2 * size);
        w[j] = size == 2 ? LOADV(at) : load_bytes(at);
    }
    UNROLL for (int i = 0; i < mr; i++) {
        uint32_t pair = 0;
        memcpy(&pair, a + (size_t)i * lda, bytes);
        V x = SET1I((int)pair);
        UNROLL for (int j = 0; j < np * W; j++) acc[i][j] = DOT2(acc[i][j], x, w[j]);
    }
}

INLINE void tile_i16(const int mr, const int np, size_t n, size_t k, const int16_t *a, size_t lda, const char *b, const int size, size_t col, size_t row,
                     void *c, size_t ldc, const kf__requant *q) {
    V acc[MR1][4 * W];
    size_t pairs = (k + 1) / 2;
    UNROLL for (int j = 0; j < np * W; j++) {
        V bias = LOADV(q->bias + col + (size_t)(j * VL));
        UNROLL for (int i = 0; i < mr; i++) acc[i][j] = bias;
    }
    for (size_t g = 0; g < k / 2; g++, a += 2, b += KF_QPANEL * 2 * size) step_i16(mr, np, acc, a, lda, b, pairs, size, 4);
    if (k % 2) step_i16(mr, np, acc, a, lda, b, pairs, size, 2);
    finish(mr, np, acc, n, col, row, c, ldc, q);
}

#define ROWS(tile, full, np, b, w)                                                                                     \
    static __attribute__((noinline)) void rows_##tile##_##np##w(size_t i0, size_t i1, size_t n, size_t k, size_t runs, size_t ld_run, const void *a, size_t lda, const void *at,    \
                                                                size_t col, void *c, size_t ldc, const kf__requant *q) { \
        size_t i = i0;                                                                                                 \
        (void)runs, (void)ld_run;                                                                                      \
        for (; i + (full) <= i1; i += (full)) b(full, np, i);                                                          \
        for (; i < i1; i++) b(1, np, i);                                                                               \
    }
#define U8(mr, np, i) tile_u8(mr, np, n, k, runs, ld_run, (const uint8_t *)a + i * lda, lda, at, col, i, c, ldc, q)
#define I16(mr, np, i) tile_i16(mr, np, n, k, (const int16_t *)a + i * lda, lda, at, 1, col, i, c, ldc, q)
#define I16W(mr, np, i) tile_i16(mr, np, n, k, (const int16_t *)a + i * lda, lda, at, 2, col, i, c, ldc, q)
ROWS(u8, MR1, 1, U8, )
ROWS(i16, MR1, 1, I16, )
ROWS(i16, MR1, 1, I16W, w)
#if MAX_PANELS >= 4
ROWS(u8, MR2, 2, U8, )
ROWS(u8, MR3, 3, U8, )
ROWS(u8, MR4, 4, U8, )
ROWS(i16, MR4, 4, I16, )
ROWS(i16, MR4, 4, I16W, w)
#define PICK(name, left) (left >= 4 ? name##_4 : left == 3 ? name##_3 : left == 2 ? name##_2 : name##_1)
#define PICK16(name, w, left) (left >= 4 ? name##_4##w : name##_1##w)
#else
#define PICK(name, left) name##_1
#define PICK16(name, w, left) name##_1##w
#endif
#undef U8
#undef I16
#undef I16W

typedef void rows_fn(size_t i0, size_t i1, size_t n, size_t k, size_t runs, size_t ld_run, const void *a, size_t lda, const void *at, size_t col, void *c, size_t ldc, const kf__requant *q);

void NAME(gemm_u8)(size_t m, size_t n, size_t k, size_t runs, size_t ld_run, const uint8_t *a, size_t lda, const void *b, void *c, size_t ldc,
                   const kf__requant *q) {
    size_t panel = (runs * k + 3) / 4 * KF_QPANEL * 4 * (1 + SPLIT);
    for (size_t i0 = 0; i0 < m; i0 += 96) { /* a block of A stays in the first cache while all panels pass over it */
        size_t i1 = m - i0 < 96 ? m : i0 + 96, step;
        for (size_t col = 0; col < n; col += step * KF_QPANEL) {
            size_t left = (n - col + KF_QPANEL - 1) / KF_QPANEL;
            rows_fn *rows = PICK(rows_u8, left);
            step = left < MAX_PANELS ? left : MAX_PANELS;
            rows(i0, i1, n, k, runs, ld_run, a, lda, (const char *)b + col / KF_QPANEL * panel, col, c, ldc, q);
        }
    }
}

void NAME(gemm_i16)(size_t m, size_t n, size_t k, const int16_t *a, size_t lda, const void *b, bool wide, void *c, size_t ldc, const kf__requant *q) {
    size_t panel = (k + 1) / 2 * 32 * (wide ? 2 : 1), step;
    for (size_t col = 0; col < n; col += step * KF_QPANEL) {
        size_t left = (n - col + KF_QPANEL - 1) / KF_QPANEL;
        rows_fn *rows = wide ? PICK16(rows_i16, w, left) : PICK16(rows_i16, , left);
        step = left < MAX_PANELS ? 1 : MAX_PANELS;
        rows(0, m, n, k, 1, 0, a, lda, (const char *)b + col / KF_QPANEL * panel, col, c, ldc, q);
    }
}

#include "kernels/x86/int_dwconv.h"

/* ---- depthwise, 16 bits ----------------------------------------------------------------------------------------------------------- */

enum { DW16_TAPS = 49 };

/* Sum of one output pixel's taps for n channels from c0 on. Weights are zero-extended: the upper half of an input lane, its sign, counts
 * nothing, so one pair product is exact. */
INLINE V dw16_sum(const int kh, const int kw, const kf_dtype type, const kf__dwconv_q *d, size_t c0, size_t n, int32_t y, int32_t x, const V *w, V acc) {
    int32_t left = x * d->sw - d->pl, top = y * d->sh - d->pt;
    for (int ky = 0; ky < kh; ky++) {
        int32_t sy = top + ky * d->dh;
        bool row = sy >= 0 && sy < d->h_in;
        for (int kx = 0; kx < kw; kx++) {
            int32_t sx = left + kx * d->dw;
            bool inside = row && sx >= 0 && sx < d->w_in;
            V v = inside ? load_q(d->in, type, ((size_t)sy * (size_t)d->w_in + (size_t)sx) * d->c + c0, n) : load_q(d->pad, type, c0, n);
            acc = DOT2(acc, v, w[ky * kw + kx]);
        }
    }
    return acc;
}

INLINE void dw16_block(const int kh, const int kw, const kf_dtype type, const kf__dwconv_q *d, const kf__requant *q, int kind, int32_t y, size_t c0, size_t n) {
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

static __attribute__((noinline)) void dw16_3(const kf__dwconv_q *d, const kf__requant *q) { dw16(3, 3, KF_I16, d, q); }
static __attribute__((noinline)) void dw16_5(const kf__dwconv_q *d, const kf__requant *q) { dw16(5, 5, KF_I16, d, q); }
static __attribute__((noinline)) void dw16_any(const kf__dwconv_q *d, const kf__requant *q) { dw16(d->kh, d->kw, d->in_type, d, q); }

void NAME(dwconv_i16)(const kf__dwconv_q *d, const kf__requant *q) {
    if (d->kh * d->kw > DW16_TAPS) kf_k_dwconv_i16_scalar(d, q);
    else if (d->in_type == KF_I16 && d->kh == 3 && d->kw == 3) dw16_3(d, q);
    else if (d->in_type == KF_I16 && d->kh == 5 && d->kw == 5) dw16_5(d, q);
    else dw16_any(d, q);
}

/* ---- elementwise ---------------------------------------------------------------------------------------------------------------- */

void NAME(affine_q)(const kf__affine_q *a) {
    if (a->in_type == KF_F32 || a->out_type == KF_F32 || a->c < VL) {
        kf_k_affine_q_scalar(a);
        return;
    }
    for (size_t j = 0; j < a->c; j += VL) {
        size_t n = a->c - j < VL ? a->c - j : VL;
        params p = {.flo = LOADF(a->flo + j), .fhi = LOADF(a->fhi + j), .zero = LOADV(a->zero + j), .mul = LOADF(a->mul + j)};
        V minus = SUBI(SET1I(0), LOADV(a->in_zero + j));
        for (size_t i = 0; i < a->rows; i++) {
            F x = MULF(CVT(ADDI(load_q(a->in, a->in_type, i * a->ld_in + j, n), minus)), p.mul);
            store_q(a->out, a->out_type, i * a->ld_out + j, round_q(x, &p), n);
        }
    }
}

void NAME(colsum_q)(kf_dtype type, size_t rows, size_t c, const void *x, int32_t *sums) {
    size_t j = 0;
    for (; j + 4 * VL <= c; j += 4 * VL) {
        V s[4];
        for (size_t k = 0; k < 4; k++) s[k] = LOADV(sums + j + k * VL);
        for (size_t i = 0; i < rows; i++)
            for (size_t k = 0; k < 4; k++) s[k] = ADDI(s[k], load_q(x, type, i * c + j + k * VL, VL));
        for (size_t k = 0; k < 4; k++) STOREV(sums + j + k * VL, s[k]);
    }
    for (; j < c; j += VL) {
        size_t n = c - j < VL ? c - j : VL;
        V s = SET1I(0);
        for (size_t i = 0; i < rows; i++) s = ADDI(s, load_q(x, type, i * c + j, n));
        int32_t lane[VL];
        memcpy(lane, &s, sizeof lane);
        for (size_t k = 0; k < n; k++) sums[j + k] += lane[k];
    }
}
