/* Rows of pixels for AVX2: sixteen pixels of NV12 at a time; a filter's taps two by two for eight rows at a time.
 * The same bytes as scalar/rows_scalar.c.
 * Owner rule: pure functions; no byte outside a row is read or written. */
#include <immintrin.h>

#include "kernels/kernels_bytes.h"

#define UNROLL _Pragma("GCC unroll 8")

/* ---- NV12 -------------------------------------------------------------------------------------------------------- */

/* One channel of 16 pixels, to bytes: lumas 0-7 and 8-15, plus one number per two pixels. `pairs` has those of
 * pixels 0-7 in the lower parts of its halves. */
static inline __m128i channel(__m256i y0, __m256i y1, __m256i pairs) {
    __m256i a = _mm256_srai_epi32(_mm256_add_epi32(y0, _mm256_unpacklo_epi32(pairs, pairs)), 16);
    __m256i b = _mm256_srai_epi32(_mm256_add_epi32(y1, _mm256_unpackhi_epi32(pairs, pairs)), 16);
    __m256i words = _mm256_packs_epi32(a, b); /* 0-3 8-11, 4-7 12-15 */
    __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    return _mm_shuffle_epi32(bytes, 0xd8);
}

/* Byte i of block n of 16 interleaved bytes comes from channel (16 n + i) % 3, pixel (16 n + i) / 3; other lanes are 0.
 */
static inline __m128i spread(__m128i c, int which, int n) {
    int8_t from[16];
    UNROLL for (int i = 0; i < 16; i++) from[i] = (int8_t)((16 * n + i) % 3 == which ? (16 * n + i) / 3 : -1);
    return _mm_shuffle_epi8(c, _mm_loadu_si128((const void *)from));
}

/* Luma and chroma in fixed point with 16 fraction bits; 32768 rounds. */
void kf_k_nv12_avx2(const uint8_t *luma, const uint8_t *chroma, int32_t width, int limited, uint8_t *rgb) {
    const kf__nv12_range c = KF_NV12_RANGE[limited];
    const __m256i rv = _mm256_set1_epi32(c.rv), gu = _mm256_set1_epi32(c.gu), gv = _mm256_set1_epi32(c.gv),
                  bu = _mm256_set1_epi32(c.bu);
    const __m256i yk = _mm256_set1_epi32(c.y), y_start = _mm256_set1_epi32(32768 - c.y_offset * c.y),
                  middle = _mm256_set1_epi16(128);
    int32_t x = 0;
    for (; x + 16 <= width; x += 16, rgb += 48) {
        __m128i l = _mm_loadu_si128((const void *)(luma + x));
        __m256i y0 = _mm256_add_epi32(_mm256_mullo_epi32(_mm256_cvtepu8_epi32(l), yk), y_start);
        __m256i y1 = _mm256_add_epi32(_mm256_mullo_epi32(_mm256_cvtepu8_epi32(_mm_srli_si128(l, 8)), yk), y_start);
        __m256i uv = _mm256_sub_epi16(_mm256_cvtepu8_epi16(_mm_loadu_si128((const void *)(chroma + x))), middle);
        uv = _mm256_permute4x64_epi64(uv, 0xd8);
        __m256i u = _mm256_srai_epi32(_mm256_slli_epi32(uv, 16), 16), v = _mm256_srai_epi32(uv, 16);
        __m128i r = channel(y0, y1, _mm256_mullo_epi32(v, rv));
        __m128i g = channel(y0, y1, _mm256_add_epi32(_mm256_mullo_epi32(u, gu), _mm256_mullo_epi32(v, gv)));
        __m128i b = channel(y0, y1, _mm256_mullo_epi32(u, bu));
        UNROLL for (int n = 0; n < 3; n++) {
            __m128i out = _mm_or_si128(_mm_or_si128(spread(r, 0, n), spread(g, 1, n)), spread(b, 2, n));
            _mm_storeu_si128((void *)(rgb + 16 * n), out);
        }
    }
    kf_k_nv12_scalar(luma + x, chroma + x, width - x, limited, rgb);
}

/* ---- filters ----------------------------------------------------------------------------------------------------- */

enum { ROWS = 8 };

/* One output pixel of eight rows (r and r + 4 share a register), four bytes each. A coefficient is 2^15 * high +
 * low, so that pairs of 16-bit products suffice. Sums may wrap; the result fits. */
static inline __m256i pixel(const uint8_t *const row[ROWS], size_t at, const int32_t *k, int32_t count) {
    const __m256i first =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1));
    const __m256i second =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1));
    __m256i low[ROWS / 2], high[ROWS / 2];
    UNROLL for (int r = 0; r < ROWS / 2; r++) low[r] = _mm256_set1_epi32(1 << (KF_TAP_BITS - 1)),
                                              high[r] = _mm256_setzero_si256();
    for (int32_t i = 0; i < count; i += 4, at += 12) {
        __m128i four = _mm_loadu_si128((const void *)(k + i));
        __m256i parts = _mm256_broadcastsi128_si256(
            _mm_packs_epi32(_mm_and_si128(four, _mm_set1_epi32(0x7fff)), _mm_srai_epi32(four, 15)));
        __m256i l0 = _mm256_shuffle_epi32(parts, 0x00), l1 = _mm256_shuffle_epi32(parts, 0x55);
        __m256i h0 = _mm256_shuffle_epi32(parts, 0xaa), h1 = _mm256_shuffle_epi32(parts, 0xff);
        UNROLL for (int r = 0; r < ROWS / 2; r++) {
            __m256i v = _mm256_castsi128_si256(_mm_loadu_si128((const void *)(row[r] + at)));
            v = _mm256_inserti128_si256(v, _mm_loadu_si128((const void *)(row[r + ROWS / 2] + at)), 1);
            __m256i a = _mm256_shuffle_epi8(v, first), b = _mm256_shuffle_epi8(v, second);
            low[r] = _mm256_add_epi32(low[r], _mm256_add_epi32(_mm256_madd_epi16(a, l0), _mm256_madd_epi16(b, l1)));
            high[r] = _mm256_add_epi32(high[r], _mm256_add_epi32(_mm256_madd_epi16(a, h0), _mm256_madd_epi16(b, h1)));
        }
    }
    UNROLL for (int r = 0; r < ROWS / 2; r++) low[r] =
        _mm256_srai_epi32(_mm256_add_epi32(low[r], _mm256_slli_epi32(high[r], 15)), KF_TAP_BITS);
    return _mm256_packus_epi16(_mm256_packs_epi32(low[0], low[1]), _mm256_packs_epi32(low[2], low[3]));
}

void kf_k_across_avx2(const uint8_t *in, size_t stride, int32_t rows, int32_t width_in, const kf__filter_taps *t,
                      int32_t width, uint8_t *to) {
    for (int32_t y = 0; y < rows; y += ROWS, in += ROWS * stride) {
        const int32_t n = rows - y < ROWS ? rows - y : ROWS;
        const uint8_t *row[ROWS]; /* the last row again if there are fewer */
        for (int32_t r = 0; r < ROWS; r++) row[r] = in + (size_t)(r < n ? r : n - 1) * stride;
        for (int32_t x = 0; x < width; x++) {
            const kf__filter_taps here = {t->size, t->bounds + 2 * x, t->k + (size_t)x * (size_t)t->size};
            uint8_t rgb[4 * ROWS], *out = to + ((size_t)y * (size_t)width + (size_t)x) * 3;
            size_t each = 4;
            if (here.bounds[0] + (here.bounds[1] + 3) / 4 * 4 + 2 <= width_in) {
                _mm256_storeu_si256((void *)rgb, pixel(row, 3 * (size_t)here.bounds[0], here.k, here.bounds[1]));
            } else { /* a load of sixteen bytes for four pixels would end outside the row */
                kf_k_across_scalar(in, stride, n, width_in, &here, 1, rgb);
                each = 3;
            }
            for (int32_t r = 0; r < n; r++, out += 3 * (size_t)width) memcpy(out, rgb + (size_t)r * each, 3);
        }
    }
}

void kf_k_down_avx2(const uint8_t *in, size_t bytes, int32_t count, const int32_t *k, uint8_t *to) {
    if (bytes < 32) {
        kf_k_down_scalar(in, bytes, count, k, to);
        return;
    }
    for (size_t x = 0; x < bytes; x += 32) {
        if (x + 32 > bytes) x = bytes - 32; /* the last part overlaps the one before it */
        __m256i sum[4];
        UNROLL for (int j = 0; j < 4; j++) sum[j] = _mm256_set1_epi32(1 << (KF_TAP_BITS - 1));
        for (int32_t i = 0; i < count; i++) {
            const uint8_t *from = in + (size_t)i * bytes + x;
            __m256i c = _mm256_set1_epi32(k[i]);
            UNROLL for (int j = 0; j < 4; j++) sum[j] = _mm256_add_epi32(
                sum[j], _mm256_mullo_epi32(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)(from + 8 * j))), c));
        }
        UNROLL for (int j = 0; j < 4; j++) sum[j] = _mm256_srai_epi32(sum[j], KF_TAP_BITS);
        __m256i out = _mm256_packus_epi16(_mm256_packs_epi32(sum[0], sum[1]), _mm256_packs_epi32(sum[2], sum[3]));
        _mm256_storeu_si256((void *)(to + x),
                            _mm256_permutevar8x32_epi32(out, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)));
    }
}
