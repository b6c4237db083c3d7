/* Vector words of int_template.h for AVX-512 (F, BW, DQ, VL); the including file adds DOT, DOT2, SPLIT and NAME.
 * Owner rule: pure inline functions. */
#include <immintrin.h>

#include "kernels/kernels_int.h"

#define V __m512i
#define F __m512
#define VL 16
#define LOADV(p) _mm512_loadu_si512(p)
#define STOREV(p, v) _mm512_storeu_si512(p, v)
#define SET1I(x) _mm512_set1_epi32(x)
#define ADDI(a, b) _mm512_add_epi32(a, b)
#define SUBI(a, b) _mm512_sub_epi32(a, b)
#define CVT(v) _mm512_cvtepi32_ps(v)
#define RNE(f) _mm512_cvtps_epi32(f)
#define SETF(x) _mm512_set1_ps(x)
#define LOADF(p) _mm512_loadu_ps(p)
#define ADDF(a, b) _mm512_add_ps(a, b)
#define MULF(a, b) _mm512_mul_ps(a, b)
#define MINF(a, b) _mm512_min_ps(a, b)
#define MAXF(a, b) _mm512_max_ps(a, b)
#define CLAMP6(x)                                                                                                      \
    _mm512_castsi512_ps(_mm512_min_epi32(_mm512_max_epi32(_mm512_castps_si512(x), SET1I(0)), SET1I(0x40c00000)))
#define UNPLO8(a, b) _mm512_unpacklo_epi8(a, b)
#define UNPHI8(a, b) _mm512_unpackhi_epi8(a, b)
#define UNPLO16(a, b) _mm512_unpacklo_epi16(a, b)
#define UNPHI16(a, b) _mm512_unpackhi_epi16(a, b)
#define PACK32(a, b) _mm512_packs_epi32(a, b)
#define PACK16(a, b) _mm512_packus_epi16(a, b)
#define ADD16(a, b) _mm512_add_epi16(a, b)
#define ADDS16(a, b) _mm512_adds_epi16(a, b)
#define MINU8(a, b) _mm512_min_epu8(a, b)
#define MAXU8(a, b) _mm512_max_epu8(a, b)
#define IN_ORDER(v) _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), v)
#ifndef RING
#define RING 1
#endif
/* Lanes of four consecutive rows, shifted down by `rows`; the next quad follows. */
#define ROWS_DOWN(x, next, rows)                                                                                       \
    _mm512_or_si512(_mm512_srli_epi32(x, 8 * (rows)), _mm512_slli_epi32(next, 32 - 8 * (rows)))
#define MR1 16
#define MR2 8
#define MR4 4
#define MAX_PANELS 4

static inline __mmask64 first64(size_t n) { return n >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << n) - 1; }
static inline V load_u8(const uint8_t *p, size_t n) {
    return n >= 64 ? LOADV(p) : _mm512_maskz_loadu_epi8(first64(n), p);
}
static inline void store_u8(uint8_t *p, V v, size_t n) {
    if (n >= 64) STOREV(p, v);
    else _mm512_mask_storeu_epi8(p, first64(n), v);
}
static inline V load_bytes(const void *p) { return _mm512_cvtepi8_epi16(_mm256_loadu_si256(p)); }
/* 2 * VL unsigned bytes to words. */
static inline V load_words(const void *p) { return _mm512_cvtepu8_epi16(_mm256_loadu_si256(p)); }
static inline V load_q(const void *p, kf_dtype type, size_t at, size_t n) {
    __mmask16 m = (__mmask16)first64(n);
    if (type == KF_U8)
        return _mm512_cvtepu8_epi32(n >= VL ? _mm_loadu_si128((const void *)((const uint8_t *)p + at))
                                            : _mm_maskz_loadu_epi8(m, (const uint8_t *)p + at));
    return _mm512_cvtepi16_epi32(_mm256_maskz_loadu_epi16(m, (const int16_t *)p + at));
}
static inline void store_q(void *p, kf_dtype type, size_t at, V v, size_t n) {
    __mmask16 m = (__mmask16)first64(n);
    if (type == KF_U8 && n >= VL) _mm_storeu_si128((void *)((uint8_t *)p + at), _mm512_cvtepi32_epi8(v));
    else if (type == KF_U8) _mm_mask_storeu_epi8((uint8_t *)p + at, m, _mm512_cvtepi32_epi8(v));
    else _mm256_mask_storeu_epi16((int16_t *)p + at, m, _mm512_cvtepi32_epi16(v));
}
/* A number of bytes in the form that loads and stores need. */
#define LANES __mmask64
static inline LANES lanes_of(size_t n) { return first64(n); }
static inline V load_lanes(const uint8_t *p, LANES m) { return _mm512_maskz_loadu_epi8(m, p); }
static inline void store_lanes(uint8_t *p, V v, LANES m) { _mm512_mask_storeu_epi8(p, m, v); }
/* Bounds of 64 bytes, or of 32 or 16 repeated. */
static inline V load_limits(const uint8_t *p, int parts) {
    if (parts == 1) return LOADV(p);
    if (parts == 2) return _mm512_broadcast_i64x4(_mm256_loadu_si256((const void *)p));
    return _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)p));
}
/* The first n bytes of one of `parts` equal parts; both constants at every call. A masked store takes several times
 * as long as a plain one. */
static inline __attribute__((always_inline)) void store_part(uint8_t *p, V v, int part, int parts, size_t n) {
    if (parts == 1) {
        if (n >= 64) STOREV(p, v);
        else _mm512_mask_storeu_epi8(p, first64(n), v);
        return;
    }
    if (parts == 2) {
        __m256i half = part ? _mm512_extracti64x4_epi64(v, 1) : _mm512_castsi512_si256(v);
        if (n >= 32) _mm256_storeu_si256((void *)p, half);
        else _mm256_mask_storeu_epi8(p, (__mmask32)first64(n), half);
        return;
    }
    __m128i quarter = part == 0   ? _mm512_castsi512_si128(v)
                      : part == 1 ? _mm512_extracti32x4_epi32(v, 1)
                      : part == 2 ? _mm512_extracti32x4_epi32(v, 2)
                                  : _mm512_extracti32x4_epi32(v, 3);
    if (n >= 16) _mm_storeu_si128((void *)p, quarter);
    else _mm_mask_storeu_epi8(p, (__mmask16)first64(n), quarter);
}
