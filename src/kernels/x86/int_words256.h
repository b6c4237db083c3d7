/* Vector words of int_template.h for 256 bits (AVX2); the including file adds DOT, DOT2, SPLIT, MR1 and NAME.
 * Owner rule: pure inline functions. */
#include <immintrin.h>

#include "kernels/kernels_int.h"

#define V __m256i
#define F __m256
#define VL 8
#define LOADV(p) _mm256_loadu_si256((const void *)(p))
#define STOREV(p, v) _mm256_storeu_si256((void *)(p), v)
#define SET1I(x) _mm256_set1_epi32(x)
#define ADDI(a, b) _mm256_add_epi32(a, b)
#define SUBI(a, b) _mm256_sub_epi32(a, b)
#define MAXI(a, b) _mm256_max_epi32(a, b)
#define MINI(a, b) _mm256_min_epi32(a, b)
#define CVT(v) _mm256_cvtepi32_ps(v)
#define RNE(f) _mm256_cvtps_epi32(f)
#define SETF(x) _mm256_set1_ps(x)
#define LOADF(p) _mm256_loadu_ps(p)
#define ADDF(a, b) _mm256_add_ps(a, b)
#define MULF(a, b) _mm256_mul_ps(a, b)
#define MINF(a, b) _mm256_min_ps(a, b)
#define MAXF(a, b) _mm256_max_ps(a, b)
#define CLAMP6(x)                                                                                                      \
    _mm256_castsi256_ps(_mm256_min_epi32(_mm256_max_epi32(_mm256_castps_si256(x), SET1I(0)), SET1I(0x40c00000)))
#define UNPLO8(a, b) _mm256_unpacklo_epi8(a, b)
#define UNPHI8(a, b) _mm256_unpackhi_epi8(a, b)
#define UNPLO16(a, b) _mm256_unpacklo_epi16(a, b)
#define UNPHI16(a, b) _mm256_unpackhi_epi16(a, b)
#define PACK32(a, b) _mm256_packs_epi32(a, b)
#define PACK16(a, b) _mm256_packus_epi16(a, b)
#define ADD16(a, b) _mm256_add_epi16(a, b)
#define ADDS16(a, b) _mm256_adds_epi16(a, b)
#define MINU8(a, b) _mm256_min_epu8(a, b)
#define MAXU8(a, b) _mm256_max_epu8(a, b)
#define IN_ORDER(v) _mm256_permutevar8x32_epi32(v, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7))
#define RING 0
#define ROWS_DOWN(x, next, rows) (x)
#define DW3_J 2
#define MAX_PANELS 1

/* Channels are almost always multiples of eight, so these have a fast path: a call of memcpy in an inner loop costs
 * more than the kernel. */
static inline V load_u8(const uint8_t *p, size_t n) {
    uint8_t lane[32] = {0};
    switch (n) {
    case 8: return _mm256_castsi128_si256(_mm_loadl_epi64((const void *)p));
    case 16: return _mm256_castsi128_si256(_mm_loadu_si128((const void *)p));
    case 24:
        return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const void *)p)),
                                       _mm_loadl_epi64((const void *)(p + 16)), 1);
    default: break;
    }
    if (n >= 32) return LOADV(p);
    memcpy(lane, p, n);
    return LOADV(lane);
}
static inline void store_u8(uint8_t *p, V v, size_t n) {
    __m128i low = _mm256_castsi256_si128(v);
    if (n >= 32) {
        STOREV(p, v);
    } else if (n == 8) {
        _mm_storel_epi64((void *)p, low);
    } else if (n == 16 || n == 24) {
        _mm_storeu_si128((void *)p, low);
        if (n == 24) _mm_storel_epi64((void *)(p + 16), _mm256_extracti128_si256(v, 1));
    } else {
        memcpy(p, &v, n);
    }
}
/* 2 * VL signed bytes to words. */
static inline V load_bytes(const void *p) { return _mm256_cvtepi8_epi16(_mm_loadu_si128(p)); }
/* 2 * VL unsigned bytes to words. */
static inline V load_words(const void *p) { return _mm256_cvtepu8_epi16(_mm_loadu_si128(p)); }
/* n integers at `at` as i32 lanes. */
static inline V load_q(const void *p, kf_dtype type, size_t at, size_t n) {
    __m128i x = _mm_setzero_si128();
    if (type == KF_U8) {
        if (n >= VL) x = _mm_loadl_epi64((const void *)((const uint8_t *)p + at));
        else memcpy(&x, (const uint8_t *)p + at, n);
        return _mm256_cvtepu8_epi32(x);
    }
    if (n >= VL) x = _mm_loadu_si128((const void *)((const int16_t *)p + at));
    else memcpy(&x, (const int16_t *)p + at, n * 2);
    return _mm256_cvtepi16_epi32(x);
}
static inline void store_q(void *p, kf_dtype type, size_t at, V v, size_t n) {
    __m128i w = _mm_packs_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    if (type == KF_U8) {
        w = _mm_packus_epi16(w, w);
        if (n >= VL) _mm_storel_epi64((void *)((uint8_t *)p + at), w);
        else memcpy((uint8_t *)p + at, &w, n);
    } else if (n >= VL) {
        _mm_storeu_si128((void *)((int16_t *)p + at), w);
    } else {
        memcpy((int16_t *)p + at, &w, n * 2);
    }
}
/* A number of bytes in the form that loads and stores need. */
#define LANES size_t
static inline LANES lanes_of(size_t n) { return n; }
static inline V load_lanes(const uint8_t *p, LANES n) { return load_u8(p, n); }
static inline void store_lanes(uint8_t *p, V v, LANES n) { store_u8(p, v, n); }
/* Bounds of 32 bytes, or of 16 or 8 repeated. */
static inline V load_limits(const uint8_t *p, int parts) {
    __m128i x = parts == 4 ? _mm_loadl_epi64((const void *)p) : _mm_loadu_si128((const void *)p);
    return parts == 1 ? LOADV(p) : _mm256_broadcastsi128_si256(parts == 4 ? _mm_unpacklo_epi64(x, x) : x);
}
/* The first n bytes of the whole register, of a half or of a quarter; part and parts are constants at every call. */
static inline __attribute__((always_inline)) void store_part(uint8_t *p, V v, int part, int parts, size_t n) {
    if (parts == 1) {
        store_u8(p, v, n);
        return;
    }
    __m128i half = part >= parts / 2 ? _mm256_extracti128_si256(v, 1) : _mm256_castsi256_si128(v);
    if (parts == 4) {
        if (part % 2) half = _mm_unpackhi_epi64(half, half);
        if (n >= 8) _mm_storel_epi64((void *)p, half);
        else memcpy(p, &half, n);
        return;
    }
    if (n >= 16) _mm_storeu_si128((void *)p, half);
    else memcpy(p, &half, n);
}
