/* Vector words of int_template.h for 128 bits (SSE4.1), as far as epilogues and elementwise steps need them.
 * Owner rule: pure inline functions. */
#include <smmintrin.h>

#include "kernels/kernels_int.h"

#define V __m128i
#define F __m128
#define VL 4
#define LOADV(p) _mm_loadu_si128((const void *)(p))
#define STOREV(p, v) _mm_storeu_si128((void *)(p), v)
#define SET1I(x) _mm_set1_epi32(x)
#define ADDI(a, b) _mm_add_epi32(a, b)
#define SUBI(a, b) _mm_sub_epi32(a, b)
#define MAXI(a, b) _mm_max_epi32(a, b)
#define MINI(a, b) _mm_min_epi32(a, b)
#define CVT(v) _mm_cvtepi32_ps(v)
#define RNE(f) _mm_cvtps_epi32(f)
#define SETF(x) _mm_set1_ps(x)
#define LOADF(p) _mm_loadu_ps(p)
#define ADDF(a, b) _mm_add_ps(a, b)
#define MULF(a, b) _mm_mul_ps(a, b)
#define MINF(a, b) _mm_min_ps(a, b)
#define MAXF(a, b) _mm_max_ps(a, b)
#define CLAMP6(x) _mm_castsi128_ps(_mm_min_epi32(_mm_max_epi32(_mm_castps_si128(x), SET1I(0)), SET1I(0x40c00000)))
#define PACK32(a, b) _mm_packs_epi32(a, b)
#define PACK16(a, b) _mm_packus_epi16(a, b)
#define ADDS16(a, b) _mm_adds_epi16(a, b)
#define MINU8(a, b) _mm_min_epu8(a, b)
#define MAXU8(a, b) _mm_max_epu8(a, b)
#define IN_ORDER(v) (v)

/* Partial vectors are assembled in registers: a wide load of memory that was just written in pieces stalls on the
 * stores. */
static inline V load_q(const void *p, kf_dtype type, size_t at, size_t n) {
    const char *from = (const char *)p + at * (type == KF_U8 ? 1 : 2);
    V v = SET1I(0);
    int32_t four;
    if (n < VL) {
        memcpy(&v, from, n * (type == KF_U8 ? 1 : 2));
    } else if (type == KF_U8) {
        memcpy(&four, from, VL);
        v = _mm_cvtsi32_si128(four);
    } else {
        v = _mm_loadl_epi64((const void *)from);
    }
    return type == KF_U8 ? _mm_cvtepu8_epi32(v) : _mm_cvtepi16_epi32(v);
}
static inline void store_q(void *p, kf_dtype type, size_t at, V v, size_t n) {
    char *to = (char *)p + at * (type == KF_U8 ? 1 : 2);
    v = _mm_packs_epi32(v, v);
    if (type == KF_U8) v = _mm_packus_epi16(v, v);
    int32_t four = _mm_cvtsi128_si32(v);
    if (n < VL) memcpy(to, &v, n * (type == KF_U8 ? 1 : 2));
    else if (type == KF_U8) memcpy(to, &four, VL);
    else _mm_storel_epi64((void *)to, v);
}
/* Sixteen bytes are one row of a panel, so nothing is repeated or cut. */
static inline V load_limits(const uint8_t *p, int parts) { return LOADV(p); }
static inline void store_part(uint8_t *p, V v, int part, int parts, size_t n) { memcpy(p, &v, n < 16 ? n : 16); }
