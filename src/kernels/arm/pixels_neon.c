/* Float inputs of networks that take pixels, and planes of bytes, to interleaved bytes, sixteen pixels at a time, for
 * NEON. The arithmetic is that of kf__to_pixels (preprocess/pixel.h), in double, so the bytes are the same.
 * Owner rule: pure functions. */
#include <arm_neon.h>

#include "kernels/kernels_int.h"

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif
#define INLINE static inline __attribute__((always_inline))
#define NOINLINE static __attribute__((noinline)) /* called for groups of sixteen and for the rest */

/* Two values, rounded to even. The conversion makes 0 of NaN, and it and all narrowing after it saturate: so values
 * outside 0..255 need no clamp. */
INLINE int64x2_t round2(float64x2_t x, double std, double mean, double top) {
    return vcvtnq_s64_f64(vmulq_n_f64(vaddq_f64(vmulq_n_f64(x, std), vdupq_n_f64(mean)), top));
}

INLINE int32x4_t round4(float32x4_t x, double std, double mean, double top) {
    return vqmovn_high_s64(vqmovn_s64(round2(vcvt_f64_f32(vget_low_f32(x)), std, mean, top)),
                           round2(vcvt_high_f64_f32(x), std, mean, top));
}

INLINE uint8x16_t bytes16(const float32x4_t x[4], double std, double mean, double top) {
    int32x4_t v[4];
    UNROLL for (int g = 0; g < 4; g++) v[g] = round4(x[g], std, mean, top);
    return vqmovun_high_s16(vqmovun_s16(vqmovn_high_s32(vqmovn_s32(v[0]), v[1])),
                            vqmovn_high_s32(vqmovn_s32(v[2]), v[3]));
}

NOINLINE void pixels16(const float *const x[3], size_t i, bool planes, const double std[3], const double mean[3],
                       double top, uint8_t *to) {
    float32x4_t v[3][4];
    uint8x16x3_t out;
    if (planes) {
        UNROLL for (int k = 0; k < 3; k++) UNROLL for (int g = 0; g < 4; g++) v[k][g] =
            vld1q_f32(x[k] + i + (size_t)(4 * g));
    } else {
        UNROLL for (int g = 0; g < 4; g++) {
            float32x4x3_t four = vld3q_f32(x[0] + 3 * i + (size_t)(12 * g));
            v[0][g] = four.val[0], v[1][g] = four.val[1], v[2][g] = four.val[2];
        }
    }
    UNROLL for (int k = 0; k < 3; k++) out.val[k] = bytes16(v[k], std[k], mean[k], top);
    vst3q_u8(to, out);
}

/* The last group goes through a buffer, so that nothing outside the rows is touched. */
void kf_k_pixels_neon(size_t n, const float *const x[3], bool planes, const double std[3], const double mean[3],
                      double top, uint8_t *to) {
    float rest[48] = {0};
    uint8_t last[48];
    size_t i = 0;
    for (; i + 16 <= n; i += 16, to += 48) pixels16(x, i, planes, std, mean, top, to);
    if (i == n) return;
    const float *const part[3] = {rest, rest + 16, rest + 32};
    for (int k = 0; planes && k < 3; k++) memcpy(rest + 16 * k, x[k] + i, (n - i) * sizeof *rest);
    if (!planes) memcpy(rest, x[0] + 3 * i, (n - i) * 3 * sizeof *rest);
    pixels16(part, 0, planes, std, mean, top, last);
    memcpy(to, last, (n - i) * 3);
}

void kf_k_interleave_neon(size_t n, const uint8_t *const x[3], uint8_t *to) {
    size_t i = 0;
    for (; i + 16 <= n; i += 16, to += 48)
        vst3q_u8(to, ((uint8x16x3_t){{vld1q_u8(x[0] + i), vld1q_u8(x[1] + i), vld1q_u8(x[2] + i)}}));
    for (; i < n; i++, to += 3) to[0] = x[0][i], to[1] = x[1][i], to[2] = x[2][i];
}
