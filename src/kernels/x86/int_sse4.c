/* Integer kernels for SSE4.1 (CPUs before AVX2): values widened to i16, pairs of products (exact in i32, unlike
 * pmaddubsw). Small and plain: one tile of two rows, one loop for every depthwise window. Epilogues are those of
 * int_template.h. Owner rule: pure functions. */
#include "kernels/x86/int_words128.h"

#define MR1 8
#define NAME(base) kf_k_##base##_sse4
#define SPLIT 1
#define DOT2(acc, x, w) ADDI(acc, _mm_madd_epi16(x, w))
#define DOT(acc, x, w, odd) DOT2(DOT2(acc, _mm_and_si128(x, SET1I(0x00ff00ff)), w), _mm_srli_epi16(x, 8), odd)
#define WIDE_ONLY
#include "kernels/body/int_template.h"

typedef V sums[4 * W]; /* finish_slow's row of a tile; the first four hold a panel's columns */

/* ---- products ---------------------------------------------------------------------------------------------------- */

/* What the inputs and the weights are: u8 by i8 (stored as i16, SPLIT), i16 by i8, i16 by i16. */
enum { BYTES, NARROW, WIDE };
/* Bytes of a panel's weights for one step: a quad of bytes or a pair of i16. */
#define PANEL_STEP(type) ((size_t)((type) == BYTES ? 128 : (type) == WIDE ? 64 : 32))

/* Four bytes, or as many as are left, filled up with zeros. Not memcpy of a variable length: a call would spill all
 * sums. */
INLINE uint32_t four_of(const char *at, size_t left) {
    uint32_t four;
    if (left >= 4) {
        memcpy(&four, at, 4);
        return four;
    }
    const uint8_t *p = (const uint8_t *)at;
    four = p[0];
    if (left > 1) four |= (uint32_t)p[1] << 8;
    if (left > 2) four |= (uint32_t)p[2] << 16;
    return four;
}

/* Sums of two rows of `runs` runs of `run` bytes: a step is one quad of bytes or one pair of i16. */
INLINE void tile(const int type, size_t run, size_t runs, size_t ld_run, const char *a, size_t lda, const char *b,
                 const int32_t *bias, sums *to) {
    V acc[2][W];
    UNROLL for (int j = 0; j < W; j++) acc[0][j] = acc[1][j] = LOADV(bias + VL * j);
    for (size_t r = 0; r < runs; r++, a += ld_run) {
        const char *at[2] = {a, a + lda};
        ptrdiff_t left = (ptrdiff_t)run;
        do { /* one jump per iteration, also when compiled for size */
            UNROLL for (int i = 0; i < 2; i++) {
                V v = SET1I((int)four_of(at[i], (size_t)left));
                UNROLL for (int j = 0; j < W; j++) {
                    if (type == BYTES) acc[i][j] = DOT(acc[i][j], v, LOADV(b + 16 * j), LOADV(b + 16 * (W + j)));
                    else if (type == WIDE) acc[i][j] = DOT2(acc[i][j], v, LOADV(b + 16 * j));
                    else acc[i][j] = DOT2(acc[i][j], v, _mm_cvtepi8_epi16(_mm_loadl_epi64((const void *)(b + 8 * j))));
                }
            }
            at[0] += 4, at[1] += 4, b += PANEL_STEP(type), left -= 4;
        } while (left > 0);
    }
    UNROLL for (int j = 0; j < W; j++) to[0][j] = acc[0][j], to[1][j] = acc[1][j];
}

/* All rows of all panels, two by two; lengths in bytes. A single last row is summed twice, which costs little in any
 * network. */
INLINE void product(const int type, size_t m, size_t n, size_t run, size_t runs, size_t ld_run, const char *a,
                    size_t lda, const char *b, void *c, size_t ldc, const kf__requant *q) {
    const size_t panel = (runs * run + 3) / 4 * PANEL_STEP(type);
    for (size_t i0 = 0; i0 < m; i0 += 64) /* a block of rows stays in the first-level cache while all panels use it */
        for (size_t col = 0; col < n; col += KF_QPANEL)
            for (size_t i = i0, end = m - i0 < 64 ? m : i0 + 64; i < end; i += 2) {
                sums acc[2];
                bool two = end - i >= 2;
                tile(type, run, runs, ld_run, a + i * lda, two ? lda : 0, b + col / KF_QPANEL * panel, q->bias + col,
                     acc);
                finish_slow(two ? 2 : 1, W, acc[0], n, col, i, c, ldc, q);
            }
}

void NAME(gemm_u8)(size_t m, size_t n, size_t k, size_t runs, size_t ld_run, const uint8_t *a, size_t lda,
                   const void *b, void *c, size_t ldc, const kf__requant *q) {
    product(BYTES, m, n, k, runs, ld_run, (const char *)a, lda, b, c, ldc, q);
}

void NAME(gemm_i16)(size_t m, size_t n, size_t k, const int16_t *a, size_t lda, const void *b, bool wide, void *c,
                    size_t ldc, const kf__requant *q) {
    if (wide) product(WIDE, m, n, 2 * k, 1, 0, (const char *)a, 2 * lda, b, c, ldc, q);
    else product(NARROW, m, n, 2 * k, 1, 0, (const char *)a, 2 * lda, b, c, ldc, q);
}

/* ---- depthwise --------------------------------------------------------------------------------------------------- */

enum { MAX_PAIRS = 25, COLUMNS = 8 };

/* One row of outputs in pieces of a few columns: where their taps lie. */
typedef struct dw_piece {
    const kf__dwconv_q *d;
    size_t size, weight_size; /* bytes of an input and of a weight */
    int columns, pairs;
    const char *tap[COLUMNS][2 * MAX_PAIRS]; /* at channel 0 */
} dw_piece;

/* The address of every tap; taps outside the image read the zero points. */
static void dw_find(dw_piece *p, int32_t y, int32_t x0) {
    const kf__dwconv_q *d = p->d;
    const size_t pixel = d->c * p->size;
    for (int o = 0; o < p->columns; o++) {
        const char **tap = p->tap[o];
        int32_t left = (x0 + o) * d->sw - d->pl;
        for (int32_t ky = 0; ky < d->kh; ky++) {
            int32_t sy = y * d->sh - d->pt + ky * d->dh;
            bool row = sy >= 0 && sy < d->h_in;
            for (int32_t kx = 0; kx < d->kw; kx++) {
                int32_t sx = left + kx * d->dw;
                *tap++ = row && sx >= 0 && sx < d->w_in
                             ? (const char *)d->in + ((size_t)sy * (size_t)d->w_in + (size_t)sx) * pixel
                             : d->pad;
            }
        }
        *tap = d->pad; /* the second tap of the last pair if the number of taps is odd: its weight is 0 */
    }
}

/* n elements of `size` bytes, 16 bytes at most. */
INLINE V load_part(const char *p, const size_t size, size_t n) {
    if (n * size >= 16) return LOADV(p);
    V v = _mm_setzero_si128();
    if (n * size == 8) return _mm_loadl_epi64((const void *)p);
    memcpy(&v, p, n * size);
    return v;
}

/* n values each of a and b (at most 16) interleaved as i16; bytes are signed or unsigned. */
INLINE void interleave(const char *a, const char *b, const size_t size, const bool sign, size_t n, V *to) {
    if (size == 2) {
        for (size_t i = 0; i < 16; i += 8, a += 16, b += 16, to += 2) {
            V x = i < n ? load_part(a, 2, n - i) : SET1I(0), y = i < n ? load_part(b, 2, n - i) : SET1I(0);
            to[0] = _mm_unpacklo_epi16(x, y), to[1] = _mm_unpackhi_epi16(x, y);
        }
        return;
    }
    V x = load_part(a, 1, n), y = load_part(b, 1, n);
    for (int i = 0; i < 2; i++, to += 2) {
        V both = i ? _mm_unpackhi_epi8(x, y) : _mm_unpacklo_epi8(x, y);
        to[0] = sign ? _mm_cvtepi8_epi16(both) : _mm_cvtepu8_epi16(both);
        to[1] = sign ? _mm_cvtepi8_epi16(_mm_srli_si128(both, 8)) : _mm_unpackhi_epi8(both, SET1I(0));
    }
}

/* Weights of a block of channels by pairs of taps. */
NOINLINE void dw_weights(const kf__dwconv_q *d, size_t size, size_t c0, size_t n, V (*to)[4]) {
    const size_t line = d->c * size;
    const char *at = (const char *)d->w + c0 * size, zeros[32] = {0};
    for (int t = 0, taps = d->kh * d->kw; t < taps; t += 2, at += 2 * line, to++) {
        const char *second = t + 1 < taps ? at + line : zeros;
        if (size == 1) interleave(at, second, 1, true, n, *to);
        else interleave(at, second, 2, true, n, *to);
    }
}

/* Channels c0..c0+n-1 of a piece whose first pixel is number `row` of the output. */
INLINE void dw_block(const size_t size, const dw_piece *p, const kf__requant *q, size_t row, size_t c0,
                     const size_t n) {
    V w[MAX_PAIRS][4];
    sums acc[COLUMNS];
    dw_weights(p->d, p->weight_size, c0, n, w);
    for (int o = 0; o < p->columns; o++) {
        const char *const *tap = p->tap[o];
        V sum[4];
        UNROLL for (int j = 0; j < 4; j++) sum[j] = LOADV(q->bias + c0 + (size_t)(VL * j));
        for (int t = 0; t < p->pairs; t++, tap += 2) {
            V x[4];
            interleave(tap[0] + c0 * size, tap[1] + c0 * size, size, false, n, x);
            UNROLL for (int j = 0; j < 4; j++) sum[j] = DOT2(sum[j], x[j], w[t][j]);
        }
        UNROLL for (int j = 0; j < 4; j++) acc[o][j] = sum[j];
    }
    finish_slow(p->columns, W, acc[0], p->d->c, c0, row, p->d->out, p->d->c, q);
}

/* Any window of fewer than 2 * MAX_PAIRS taps. The last block of channels ends with the last channel and overlaps the
 * one before it. */
NOINLINE void dwconv(size_t weight_size, const kf__dwconv_q *d, const kf__requant *q) {
    dw_piece p = {
        .d = d, .size = d->in_type == KF_U8 ? 1 : 2, .weight_size = weight_size, .pairs = (d->kh * d->kw + 1) / 2};
    for (int32_t y = d->y0; y < d->y1; y++)
        for (int32_t x = 0; x < d->w_out; x += COLUMNS) {
            size_t row = (size_t)y * (size_t)d->w_out + (size_t)x;
            p.columns = d->w_out - x < COLUMNS ? d->w_out - x : COLUMNS;
            dw_find(&p, y, x);
            for (size_t c0 = 0; c0 < d->c; c0 += 16) {
                size_t from = d->c < 16 ? 0 : c0 + 16 > d->c ? d->c - 16 : c0;
                if (p.size == 2) dw_block(2, &p, q, row, from, d->c < 16 ? d->c : 16);
                else if (d->c < 16) dw_block(1, &p, q, row, 0, d->c);
                else dw_block(1, &p, q, row, from, 16);
            }
        }
}

void NAME(dwconv_u8)(const kf__dwconv_q *d, const kf__requant *q) {
    if (d->kh * d->kw >= 2 * MAX_PAIRS) kf_k_dwconv_u8_scalar(d, q);
    else dwconv(1, d, q);
}

void NAME(dwconv_i16)(const kf__dwconv_q *d, const kf__requant *q) {
    if (d->kh * d->kw >= 2 * MAX_PAIRS) kf_k_dwconv_i16_scalar(d, q);
    else dwconv(2, d, q);
}

/* ---- elementwise ------------------------------------------------------------------------------------------------- */

/* Vectors between integer types only; conversions from and to f32 are scalar. */
void NAME(affine_q)(const kf__affine_q *a) {
    if (a->in_type == KF_F32 || a->out_type == KF_F32) {
        kf_k_affine_q_scalar(a);
        return;
    }
    for (size_t i = 0; i < a->rows; i++)
        for (size_t j = 0; j < a->c; j += VL) {
            size_t n = a->c - j < VL ? a->c - j : VL;
            params p = {.flo = LOADF(a->flo + j), .fhi = LOADF(a->fhi + j), .zero = LOADV(a->zero + j)};
            F x = CVT(SUBI(load_q(a->in, a->in_type, i * a->ld_in + j, n), LOADV(a->in_zero + j)));
            store_q(a->out, a->out_type, i * a->ld_out + j, round_q(MULF(x, LOADF(a->mul + j)), &p), n);
        }
}

void NAME(colsum_q)(kf_dtype type, size_t rows, size_t c, const void *x, int32_t *sums_of) {
    for (size_t j = 0; j < c; j += VL) {
        int32_t lane[VL];
        size_t n = c - j < VL ? c - j : VL;
        V s = SET1I(0);
        for (size_t i = 0; i < rows; i++) s = ADDI(s, load_q(x, type, i * c + j, n));
        STOREV(lane, s);
        for (size_t k = 0; k < n; k++) sums_of[j + k] += lane[k];
    }
}

#include "kernels/body/int_map.h"
