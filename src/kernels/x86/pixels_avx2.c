/* Float inputs of networks that take pixels, and planes of bytes, to interleaved bytes, sixteen pixels at a time, for
 * AVX2. The arithmetic is that of kf__to_pixels (preprocess/pixel.h), in double, so the bytes are the same. Owner rule:
 * pure functions. */
#include <immintrin.h>

#include "kernels/kernels_int.h"

#define INLINE static inline __attribute__((always_inline))
#define NOINLINE static __attribute__((noinline)) /* called for groups of sixteen and for the rest */

/* Sixteen values; group g of four uses constant g % 3 from `first` on. For NaN, max returns its second operand. */
INLINE __m128i bytes16(const float *x, const __m256d *std, const __m256d *mean, __m256d top, int first) {
    __m128i four[4];
    for (int g = 0; g < 4; g++) {
        int k = (first + g) % 3;
        __m256d v =
            _mm256_mul_pd(_mm256_add_pd(_mm256_mul_pd(_mm256_cvtps_pd(_mm_loadu_ps(x + 4 * g)), std[k]), mean[k]), top);
        four[g] = _mm256_cvtpd_epi32(_mm256_min_pd(_mm256_max_pd(v, _mm256_setzero_pd()), _mm256_set1_pd(255)));
    }
    return _mm_packus_epi16(_mm_packs_epi32(four[0], four[1]), _mm_packs_epi32(four[2], four[3]));
}

/* Byte p of 48 is byte p / 3 of channel p % 3. */
#define FROM(k, p) ((p) % 3 == (k) ? (char)((p) / 3) : (char)0x80)
#define MASK(k, o)                                                                                                     \
    _mm_setr_epi8(FROM(k, o), FROM(k, (o) + 1), FROM(k, (o) + 2), FROM(k, (o) + 3), FROM(k, (o) + 4),                  \
                  FROM(k, (o) + 5), FROM(k, (o) + 6), FROM(k, (o) + 7), FROM(k, (o) + 8), FROM(k, (o) + 9),            \
                  FROM(k, (o) + 10), FROM(k, (o) + 11), FROM(k, (o) + 12), FROM(k, (o) + 13), FROM(k, (o) + 14),       \
                  FROM(k, (o) + 15))
#define PART(v, o)                                                                                                     \
    _mm_or_si128(_mm_or_si128(_mm_shuffle_epi8(v[0], MASK(0, o)), _mm_shuffle_epi8(v[1], MASK(1, o))),                 \
                 _mm_shuffle_epi8(v[2], MASK(2, o)))

INLINE void store48(const __m128i v[3], uint8_t *to) {
    _mm_storeu_si128((void *)to, PART(v, 0));
    _mm_storeu_si128((void *)(to + 16), PART(v, 16));
    _mm_storeu_si128((void *)(to + 32), PART(v, 32));
}

typedef struct factors {
    __m256d std[3], mean[3], top;
} factors;

NOINLINE void planes16(const float *const x[3], size_t i, const factors *f, uint8_t *to) {
    __m128i v[3];
    for (int k = 0; k < 3; k++) {
        __m256d std[3] = {f->std[k], f->std[k], f->std[k]}, mean[3] = {f->mean[k], f->mean[k], f->mean[k]};
        v[k] = bytes16(x[k] + i, std, mean, f->top, 0);
    }
    store48(v, to);
}

NOINLINE void pixels16(const float *x, const factors *f, uint8_t *to) {
    for (int o = 0; o < 3; o++)
        _mm_storeu_si128((void *)(to + 16 * o), bytes16(x + 16 * o, f->std, f->mean, f->top, o));
}

/* The last group goes through a buffer, so that nothing outside the rows is touched. */
void kf_k_pixels_avx2(size_t n, const float *const x[3], bool planes, const double std[3], const double mean[3],
                      double top, uint8_t *to) {
    float rest[48] = {0};
    uint8_t last[48];
    size_t i = 0;
    factors f = {.top = _mm256_set1_pd(top)};
    for (int k = 0; k < 3; k++) { /* planes: channel k; else four values from value 4 k on */
        const int c[4] = {planes ? k : k % 3, planes ? k : (k + 1) % 3, planes ? k : (k + 2) % 3, planes ? k : k % 3};
        f.std[k] = _mm256_setr_pd(std[c[0]], std[c[1]], std[c[2]], std[c[3]]);
        f.mean[k] = _mm256_setr_pd(mean[c[0]], mean[c[1]], mean[c[2]], mean[c[3]]);
    }
    for (; i + 16 <= n; i += 16, to += 48) {
        if (planes) planes16(x, i, &f, to);
        else pixels16(x[0] + 3 * i, &f, to);
    }
    if (i == n) return;
    const float *const part[3] = {rest, rest + 16, rest + 32};
    for (int k = 0; planes && k < 3; k++) memcpy(rest + 16 * k, x[k] + i, (n - i) * sizeof *rest);
    if (!planes) memcpy(rest, x[0] + 3 * i, (n - i) * 3 * sizeof *rest);
    if (planes) planes16(part, 0, &f, last);
    else pixels16(rest, &f, last);
    memcpy(to, last, (n - i) * 3);
}

void kf_k_interleave_avx2(size_t n, const uint8_t *const x[3], uint8_t *to) {
    size_t i = 0;
    for (; i + 16 <= n; i += 16, to += 48) {
        const __m128i v[3] = {_mm_loadu_si128((const void *)(x[0] + i)), _mm_loadu_si128((const void *)(x[1] + i)),
                              _mm_loadu_si128((const void *)(x[2] + i))};
        store48(v, to);
    }
    for (; i < n; i++, to += 3) to[0] = x[0][i], to[1] = x[1][i], to[2] = x[2][i];
}
