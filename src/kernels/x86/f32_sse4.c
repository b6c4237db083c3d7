/* f32 kernels for SSE4.1 (CPUs before AVX2): 2 x 16 GEMM tiles, depthwise by blocks of 16 channels. Small and plain:
 * one tile, one epilogue. Sums of products and of their bias are in the order of depth.
 * Owner rule: pure functions; tails go through a buffer, nothing outside the rows is touched. */
#include <smmintrin.h>

#include "kernels/kernels.h"

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 4")
#endif
#define EACH UNROLL for (int j = 0; j < 4; j++)
#define SET1(x) _mm_set1_ps(x)

/* Sixteen numbers: a row of a tile or a block of channels. */
typedef struct row16 {
    __m128 v[4];
} row16;

static inline row16 load16(const float *p) {
    row16 r;
    EACH r.v[j] = _mm_loadu_ps(p + 4 * j);
    return r;
}
static inline void store16(float *p, row16 r) { EACH _mm_storeu_ps(p + 4 * j, r.v[j]); }
/* Both return their second operand where one is NaN: x is the second, so that NaN stays NaN. */
static inline __m128 clip(__m128 x, float lo, float hi) { return _mm_min_ps(SET1(hi), _mm_max_ps(SET1(lo), x)); }

/* The usual activations in vectors, the rare ones lane by lane. */
static row16 activate(row16 x, kf__act act, float lo, float hi) {
    float lane[16];
    if (act == KF_ACT_NONE) return x;
    if (act == KF_ACT_CLIP) {
        EACH x.v[j] = clip(x.v[j], lo, hi);
        return x;
    }
    if (act == KF_ACT_HSWISH) {
        EACH x.v[j] = _mm_mul_ps(clip(_mm_add_ps(x.v[j], SET1(3.0f)), 0, 6), _mm_mul_ps(x.v[j], SET1(1.0f / 6.0f)));
        return x;
    }
    store16(lane, x);
    for (int i = 0; i < 16; i++) lane[i] = kf__activate(act, lane[i], lo, hi);
    return load16(lane);
}

/* Activation, residual and last clip of n numbers, 16 at most. */
static __attribute__((noinline)) void finish(const row16 *acc, const kf__epilogue *e, const float *residual, float *to,
                                             size_t n) {
    row16 x = activate(*acc, e->act.kind, e->act.lo, e->act.hi);
    float part[16] = {0};
    if (residual) {
        if (n < 16) memcpy(part, residual, n * sizeof *part);
        row16 r = load16(n < 16 ? part : residual);
        EACH x.v[j] = _mm_add_ps(x.v[j], r.v[j]);
    }
    if (e->post.kind == KF_ACT_CLIP) x = activate(x, KF_ACT_CLIP, e->post.lo, e->post.hi);
    store16(n < 16 ? part : to, x);
    if (n < 16) memcpy(to, part, n * sizeof *part);
}

static row16 bias16(const float *bias, size_t n) {
    float part[16] = {0};
    if (!bias) return load16(part);
    if (n < 16) memcpy(part, bias, n * sizeof *part);
    return load16(n < 16 ? part : bias);
}

/* Rows i and i + step of one panel's columns. */
static void tile(const kf__gemm_rows *a, size_t i, size_t step, const float *b, row16 *acc) {
    row16 s = acc[0], t = acc[1];
    for (size_t p = 0; p < a->pieces; p++) {
        const float *x = a->at[p] + i * a->step, *y = x + step;
        size_t left = a->len;
        do { /* one jump per iteration, also when compiled for size */
            __m128 f = SET1(*x), g = SET1(*y);
            EACH {
                __m128 w = _mm_loadu_ps(b + 4 * j);
                s.v[j] = _mm_add_ps(s.v[j], _mm_mul_ps(w, f)), t.v[j] = _mm_add_ps(t.v[j], _mm_mul_ps(w, g));
            }
            b += KF_GEMM_PANEL, x++, y++;
        } while (--left > 0);
    }
    acc[0] = s, acc[1] = t;
}

/* Two rows at a time by one panel. */
void kf_k_conv_f32_sse4(size_t m, size_t n, const kf__gemm_rows *a, const float *b, float *c, size_t ldc,
                        const kf__epilogue *e) {
    for (size_t i0 = 0; i0 < m; i0 += 64) /* a block of rows stays in the first-level cache while all panels use it */
        for (size_t col = 0; col < n; col += KF_GEMM_PANEL)
            for (size_t i = i0, end = m - i0 < 64 ? m : i0 + 64; i < end; i += 2) {
                size_t rows = end - i < 2 ? 1 : 2, left = n - col < 16 ? n - col : 16;
                row16 acc[2];
                acc[0] = acc[1] = bias16(e->bias ? e->bias + col : NULL, left);
                tile(a, i, rows == 2 ? a->step : 0, b + col * a->pieces * a->len,
                     acc); /* a single last row is summed twice */
                for (size_t r = 0; r < rows; r++)
                    finish(&acc[r], e, e->residual ? e->residual + (i + r) * e->ld_residual + col : NULL,
                           c + (i + r) * ldc + col, left);
            }
}

void kf_k_gemm_f32_sse4(size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b, float *c, size_t ldc,
                        const kf__epilogue *e) {
    kf__gemm_rows rows = {.at = &a, .pieces = 1, .len = k, .step = lda};
    kf_k_conv_f32_sse4(m, n, &rows, b, c, ldc, e);
}

/* The taps of one output pixel inside the image: place in the input and in a block of weights. */
typedef struct tap {
    const float *x;
    size_t w;
} tap;

static int find_taps(const kf__dwconv_row *d, int32_t x, tap *to) {
    int n = 0;
    for (int32_t ky = 0; ky < d->kh; ky++)
        for (int32_t kx = 0; kx < d->kw; kx++) {
            int32_t sx = x * d->sw - d->pl + kx * d->dw;
            if (d->rows[ky] && sx >= 0 && sx < d->w_in)
                to[n++] = (tap){d->rows[ky] + (size_t)sx * d->c, (size_t)(ky * d->kw + kx) * KF_DWCONV_PANEL};
        }
    return n;
}

enum { MAX_TAPS = 64 };

/* Finds the taps of a column once and uses them for all blocks of channels. */
void kf_k_dwconv_f32_sse4(const kf__dwconv_row *d, const kf__epilogue *e) {
    tap taps[MAX_TAPS];
    if (d->c < KF_DWCONV_PANEL || d->kh * d->kw > MAX_TAPS) {
        kf_k_dwconv_f32_scalar(d, e);
        return;
    }
    for (int32_t x = 0; x < d->w_out; x++) {
        int n = find_taps(d, x, taps);
        for (size_t block = 0; block * KF_DWCONV_PANEL < d->c; block++) {
            size_t ch = kf__dwconv_first(d->c, block), at = (size_t)x * d->c + ch;
            const float *w = d->w + block * (size_t)(d->kh * d->kw) * KF_DWCONV_PANEL;
            row16 acc = bias16(e->bias ? e->bias + ch : NULL, KF_DWCONV_PANEL);
            if (n > 0) {
                const tap *t = taps, *end = taps + n;
                do {
                    const float *from = t->x + ch, *by = w + t->w;
                    EACH acc.v[j] =
                        _mm_add_ps(acc.v[j], _mm_mul_ps(_mm_loadu_ps(from + 4 * j), _mm_loadu_ps(by + 4 * j)));
                } while (++t < end);
            }
            finish(&acc, e, e->residual ? e->residual + at : NULL, d->out + at, KF_DWCONV_PANEL);
        }
    }
}

void kf_k_scale_f32_sse4(size_t rows, size_t c, const float *x, const float *gate, float *out) {
    for (size_t r = 0; r < rows; r++, x += c, out += c) {
        size_t j = 0;
        for (; j + 4 <= c; j += 4) _mm_storeu_ps(out + j, _mm_mul_ps(_mm_loadu_ps(x + j), _mm_loadu_ps(gate + j)));
        for (; j < c; j++) out[j] = x[j] * gate[j];
    }
}

void kf_k_colsum_f32_sse4(size_t rows, size_t c, const float *x, float *sums) {
    size_t j = 0;
    for (; j + 4 <= c; j += 4) {
        __m128 sum = _mm_setzero_ps();
        for (size_t r = 0; r < rows; r++) sum = _mm_add_ps(sum, _mm_loadu_ps(x + r * c + j));
        _mm_storeu_ps(sums + j, _mm_add_ps(_mm_loadu_ps(sums + j), sum));
    }
    for (; j < c; j++) {
        float sum = 0;
        for (size_t r = 0; r < rows; r++) sum += x[r * c + j];
        sums[j] += sum;
    }
}

void kf_k_eltwise_f32_sse4(size_t n, const float *a, const float *b, float *out, const kf__epilogue *e) {
    const kf__epilogue only = {.act = e->act, .post = e->post};
    const __m128 zero = SET1(kf__zero_before_clip(e));
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        row16 x = load16(a + i);
        if (b) EACH x.v[j] = _mm_add_ps(x.v[j], _mm_loadu_ps(b + i + 4 * j));
        EACH x.v[j] = _mm_add_ps(x.v[j], zero);
        finish(&x, &only, NULL, out + i, 16);
    }
    if (i < n) kf_k_eltwise_f32_scalar(n - i, a + i, b ? b + i : NULL, out + i, e);
}

/* Four pixels at a time: twelve floats in three registers. */
void kf_k_interleave_f32_sse4(size_t n, const float *const x[3], float *to) {
    size_t i = 0;
    for (; i + 4 <= n; i += 4, to += 12) {
        __m128 a = _mm_loadu_ps(x[0] + i), b = _mm_loadu_ps(x[1] + i), c = _mm_loadu_ps(x[2] + i);
        __m128 ca = _mm_shuffle_ps(c, a, _MM_SHUFFLE(3, 1, 2, 0));
        __m128 first = _mm_shuffle_ps(_mm_unpacklo_ps(a, b), ca, _MM_SHUFFLE(2, 0, 1, 0));
        __m128 second = _mm_shuffle_ps(_mm_unpacklo_ps(b, c), _mm_unpackhi_ps(a, b), _MM_SHUFFLE(1, 0, 3, 2));
        __m128 third = _mm_shuffle_ps(ca, _mm_unpackhi_ps(b, c), _MM_SHUFFLE(3, 2, 3, 1));
        _mm_storeu_ps(to, first);      /* a0 b0 c0 a1 */
        _mm_storeu_ps(to + 4, second); /* b1 c1 a2 b2 */
        _mm_storeu_ps(to + 8, third);  /* c2 a3 b3 c3 */
    }
    for (; i < n; i++, to += 3) to[0] = x[0][i], to[1] = x[1][i], to[2] = x[2][i];
}
