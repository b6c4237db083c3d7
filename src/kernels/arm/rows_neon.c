/* Rows of pixels for NEON: sixteen pixels of NV12 at a time; a horizontal filter's taps four by four for four rows at a
 * time; a vertical filter on 32 bytes at a time. The same bytes as scalar/rows_scalar.c.
 * Owner rule: pure functions; no byte outside a row is read or written. */
#include <arm_neon.h>

#include "kernels/kernels_bytes.h"

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif
#define INLINE static inline __attribute__((always_inline))

/* ---- NV12 -------------------------------------------------------------------------------------------------------- */

/* One channel of 16 pixels, to bytes: their lumas plus one number for every two pixels. Both have 16 fraction bits,
 * and an addition that keeps the high half drops these. */
INLINE uint8x16_t channel(const int32x4_t y[4], int32x4_t first, int32x4_t second) {
    int16x8_t a = vcombine_s16(vaddhn_s32(y[0], vzip1q_s32(first, first)), vaddhn_s32(y[1], vzip2q_s32(first, first)));
    int16x8_t b =
        vcombine_s16(vaddhn_s32(y[2], vzip1q_s32(second, second)), vaddhn_s32(y[3], vzip2q_s32(second, second)));
    return vcombine_u8(vqmovun_s16(a), vqmovun_s16(b));
}

/* Luma and chroma in fixed point with 16 fraction bits; 32768 rounds. */
void kf_k_nv12_neon(const uint8_t *luma, const uint8_t *chroma, int32_t width, int limited, uint8_t *rgb) {
    const kf__nv12_range c = KF_NV12_RANGE[limited];
    const int32x4_t y_start = vdupq_n_s32(32768 - c.y_offset * c.y);
    const uint8x8_t middle = vdup_n_u8(128);
    int32_t x = 0;
    for (; x + 16 <= width; x += 16, rgb += 48) {
        const uint8x16_t l = vld1q_u8(luma + x);
        const uint16x8_t low = vmovl_u8(vget_low_u8(l)), high = vmovl_u8(vget_high_u8(l));
        const uint32x4_t wide[4] = {vmovl_u16(vget_low_u16(low)), vmovl_u16(vget_high_u16(low)),
                                    vmovl_u16(vget_low_u16(high)), vmovl_u16(vget_high_u16(high))};
        int32x4_t y[4], u[2], v[2];
        UNROLL for (int i = 0; i < 4; i++) y[i] = vmlaq_n_s32(y_start, vreinterpretq_s32_u32(wide[i]), c.y);
        const uint8x8x2_t uv = vld2_u8(chroma + x);
        const int16x8_t u8 = vreinterpretq_s16_u16(vsubl_u8(uv.val[0], middle)),
                        v8 = vreinterpretq_s16_u16(vsubl_u8(uv.val[1], middle));
        u[0] = vmovl_s16(vget_low_s16(u8)), u[1] = vmovl_s16(vget_high_s16(u8));
        v[0] = vmovl_s16(vget_low_s16(v8)), v[1] = vmovl_s16(vget_high_s16(v8));
        uint8x16x3_t out;
        out.val[0] = channel(y, vmulq_n_s32(v[0], c.rv), vmulq_n_s32(v[1], c.rv));
        out.val[1] = channel(y, vmlaq_n_s32(vmulq_n_s32(u[0], c.gu), v[0], c.gv),
                             vmlaq_n_s32(vmulq_n_s32(u[1], c.gu), v[1], c.gv));
        out.val[2] = channel(y, vmulq_n_s32(u[0], c.bu), vmulq_n_s32(u[1], c.bu));
        vst3q_u8(rgb, out);
    }
    kf_k_nv12_scalar(luma + x, chroma + x, width - x, limited, rgb);
}

/* ---- filters ----------------------------------------------------------------------------------------------------- */

enum { ROWS = 4 };

/* Bytes b to b + 3, each as 32 bits. */
#define WIDEN(b)                                                                                                       \
    { b, 255, 255, 255, b + 1, 255, 255, 255, b + 2, 255, 255, 255, b + 3, 255, 255, 255 }

/* One output pixel of four rows, four bytes each. Each tap of a row is three bytes, which become lanes; the fourth lane
 * has the next pixel's first byte and is not used. Sums may wrap; the result fits, and its shift rounds. */
INLINE uint8x16_t pixel(const uint8_t *const row[ROWS], size_t at, const int32_t *k, int32_t count) {
    static const uint8_t BYTES[4][16] = {WIDEN(0), WIDEN(3), WIDEN(6), WIDEN(9)};
    uint8x16_t bytes[4];
    int32x4_t sum[ROWS];
    UNROLL for (int j = 0; j < 4; j++) bytes[j] = vld1q_u8(BYTES[j]);
    UNROLL for (int r = 0; r < ROWS; r++) sum[r] = vdupq_n_s32(0);
    for (int32_t i = 0; i < count; i += 4, at += 12) {
        const int32x4_t by = vld1q_s32(k + i);
        uint8x16_t v[ROWS];
        UNROLL for (int r = 0; r < ROWS; r++) v[r] = vld1q_u8(row[r] + at);
#define TAP(n)                                                                                                         \
    UNROLL for (int r = 0; r < ROWS; r++) sum[r] =                                                                     \
        vmlaq_laneq_s32(sum[r], vreinterpretq_s32_u8(vqtbl1q_u8(v[r], bytes[n])), by, n)
        TAP(0);
        TAP(1);
        TAP(2);
        TAP(3);
#undef TAP
    }
    UNROLL for (int r = 0; r < ROWS; r++) sum[r] = vrshrq_n_s32(sum[r], KF_TAP_BITS);
    return vcombine_u8(vqmovun_s16(vcombine_s16(vqmovn_s32(sum[0]), vqmovn_s32(sum[1]))),
                       vqmovun_s16(vcombine_s16(vqmovn_s32(sum[2]), vqmovn_s32(sum[3]))));
}

/* The first three of every four bytes, for n rows. */
INLINE void store(uint8x16_t rgb, int32_t n, size_t step, uint8_t *out) {
    const uint16x8_t pairs = vreinterpretq_u16_u8(rgb);
#define ROW(r)                                                                                                         \
    if (n > r) {                                                                                                       \
        const uint16_t red_green = vgetq_lane_u16(pairs, 2 * r);                                                       \
        memcpy(out + r * step, &red_green, sizeof red_green);                                                          \
        vst1q_lane_u8(out + r * step + 2, rgb, 4 * r + 2);                                                             \
    }
    ROW(0)
    ROW(1)
    ROW(2)
    ROW(3)
#undef ROW
}

/* One output pixel of n rows near the end of a row, where a load of sixteen bytes for four pixels would end outside. */
static __attribute__((noinline)) void last_pixels(const uint8_t *in, size_t stride, int32_t n, int32_t width_in,
                                                  const kf__filter_taps *here, size_t step, uint8_t *out) {
    for (int32_t r = 0; r < n; r++)
        kf_k_across_scalar(in + (size_t)r * stride, stride, 1, width_in, here, 1, out + step * (size_t)r);
}

void kf_k_across_neon(const uint8_t *in, size_t stride, int32_t rows, int32_t width_in, const kf__filter_taps *t,
                      int32_t width, uint8_t *to) {
    const size_t step = 3 * (size_t)width;
    for (int32_t y = 0; y < rows; y += ROWS, in += ROWS * stride) {
        const int32_t n = rows - y < ROWS ? rows - y : ROWS;
        const uint8_t *row[ROWS]; /* the last row again if there are fewer */
        uint8_t *out = to + (size_t)y * step;
        int32_t *bounds = t->bounds, *k = t->k;
        for (int32_t r = 0; r < ROWS; r++) row[r] = in + (size_t)(r < n ? r : n - 1) * stride;
        for (int32_t x = 0; x < width; x++, out += 3, bounds += 2, k += t->size) {
            if (bounds[0] + ((bounds[1] + 3) & ~3) + 2 > width_in) {
                last_pixels(in, stride, n, width_in, &(kf__filter_taps){t->size, bounds, k}, step, out);
                continue;
            }
            const uint8x16_t rgb = pixel(row, 3 * (size_t)bounds[0], k, bounds[1]);
            if (n == ROWS) store(rgb, ROWS, step, out);
            else store(rgb, n, step, out);
        }
    }
}

void kf_k_down_neon(const uint8_t *in, size_t bytes, int32_t count, const int32_t *k, uint8_t *to) {
    static const uint8_t BYTES[4][16] = {WIDEN(0), WIDEN(4), WIDEN(8), WIDEN(12)};
    uint8x16_t widen[4];
    if (bytes < 32) {
        kf_k_down_scalar(in, bytes, count, k, to);
        return;
    }
    UNROLL for (int j = 0; j < 4; j++) widen[j] = vld1q_u8(BYTES[j]);
    for (size_t x = 0; x < bytes; x += 32) {
        if (x + 32 > bytes) x = bytes - 32; /* the last part overlaps the one before it */
        int32x4_t sum[8];
        UNROLL for (int j = 0; j < 8; j++) sum[j] = vdupq_n_s32(1 << (KF_TAP_BITS - 1));
        const uint8_t *from = in + x;
        for (int32_t i = 0; i < count; i++, from += bytes) {
            const int32x4_t by = vld1q_dup_s32(k + i);
            const uint8x16_t v[2] = {vld1q_u8(from), vld1q_u8(from + 16)};
            UNROLL for (int j = 0; j < 8; j++) sum[j] =
                vmlaq_s32(sum[j], vreinterpretq_s32_u8(vqtbl1q_u8(v[j / 4], widen[j % 4])), by);
        }
        UNROLL for (int j = 0; j < 8; j++) sum[j] = vshrq_n_s32(sum[j], KF_TAP_BITS);
        UNROLL for (int j = 0; j < 8; j += 4) {
            const int16x8_t a = vcombine_s16(vqmovn_s32(sum[j]), vqmovn_s32(sum[j + 1]));
            const int16x8_t b = vcombine_s16(vqmovn_s32(sum[j + 2]), vqmovn_s32(sum[j + 3]));
            vst1q_u8(to + x + 4 * j, vcombine_u8(vqmovun_s16(a), vqmovun_s16(b)));
        }
    }
}
