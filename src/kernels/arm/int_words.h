/* Vector words of int_template.h for NEON: 128 bits, four lanes. Epilogues and elementwise steps of every Arm level use
 * them; products are not written in words (int_product.h).
 * Owner rule: pure inline functions. */
#include <arm_neon.h>

#include "kernels/kernels_int.h"

#define V int32x4_t
#define F float32x4_t
#define VL 4
#define LOADV(p) vld1q_s32((const int32_t *)(const void *)(p))
#define STOREV(p, v) vst1q_s32((int32_t *)(void *)(p), v)
#define SET1I(x) vdupq_n_s32(x)
#define ADDI(a, b) vaddq_s32(a, b)
#define SUBI(a, b) vsubq_s32(a, b)
#define MAXI(a, b) vmaxq_s32(a, b)
#define MINI(a, b) vminq_s32(a, b)
#define CVT(v) vcvtq_f32_s32(v)
#define RNE(f) vcvtnq_s32_f32(f)
#define SETF(x) vdupq_n_f32(x)
#define LOADF(p) vld1q_f32(p)
#define ADDF(a, b) vaddq_f32(a, b)
#define MULF(a, b) vmulq_f32(a, b)
/* The second operand for NaN and for zeros of different sign, unlike FMIN and FMAX. */
#define MINF(a, b) vbslq_f32(vcltq_f32(a, b), a, b)
#define MAXF(a, b) vbslq_f32(vcgtq_f32(a, b), a, b)
/* Before the conversion to an integer. A result of arithmetic is no signalling NaN, so NaN gives the lower bound; the
 * sign of a zero is lost in the conversion. */
#define CLAMP_Q(x, lo, hi) vminnmq_f32(vmaxnmq_f32(x, lo), hi)
#define CLAMP6(x) vreinterpretq_f32_s32(vminq_s32(vmaxq_s32(vreinterpretq_s32_f32(x), SET1I(0)), SET1I(0x40c00000)))
#define AS_BYTES(v) vreinterpretq_u8_s32(v)
#define AS_WORDS(v) vreinterpretq_s16_s32(v)
#define PACK32(a, b) vreinterpretq_s32_s16(vqmovn_high_s32(vqmovn_s32(a), b))
#define PACK16(a, b) vreinterpretq_s32_u8(vqmovun_high_s16(vqmovun_s16(AS_WORDS(a)), AS_WORDS(b)))
#define ADDS16(a, b) vreinterpretq_s32_s16(vqaddq_s16(AS_WORDS(a), AS_WORDS(b)))
#define MINU8(a, b) vreinterpretq_s32_u8(vminq_u8(AS_BYTES(a), AS_BYTES(b)))
#define MAXU8(a, b) vreinterpretq_s32_u8(vmaxq_u8(AS_BYTES(a), AS_BYTES(b)))
#define IN_ORDER(v) (v)

/* Four values of either type as i32, or the first n. */
static inline V load_q(const void *p, kf_dtype type, size_t at, size_t n) {
    uint64_t lanes = 0;
    if (type == KF_U8) {
        const uint8_t *from = (const uint8_t *)p + at;
        uint32_t four = 0;
        if (n >= VL) memcpy(&four, from, 4);
        else
            for (size_t i = 0; i < n; i++) four |= (uint32_t)from[i] << 8 * i;
        lanes = four;
        return vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(vmovl_u8(vcreate_u8(lanes)))));
    }
    const int16_t *from = (const int16_t *)p + at;
    if (n >= VL) return vmovl_s16(vld1_s16(from));
    for (size_t i = 0; i < n; i++) lanes |= (uint64_t)(uint16_t)from[i] << 16 * i;
    return vmovl_s16(vcreate_s16(lanes));
}

static inline void store_q(void *p, kf_dtype type, size_t at, V v, size_t n) {
    int16x4_t words = vqmovn_s32(v);
    if (type == KF_U8) {
        uint8_t *to = (uint8_t *)p + at;
        uint32_t four = vget_lane_u32(vreinterpret_u32_u8(vqmovun_s16(vcombine_s16(words, words))), 0);
        if (n >= VL) memcpy(to, &four, 4);
        else
            for (size_t i = 0; i < n; i++) to[i] = (uint8_t)(four >> 8 * i);
        return;
    }
    int16_t *to = (int16_t *)p + at;
    if (n >= VL) {
        vst1_s16(to, words);
        return;
    }
    uint64_t lanes = vget_lane_u64(vreinterpret_u64_s16(words), 0);
    for (size_t i = 0; i < n; i++) to[i] = (int16_t)(lanes >> 16 * i);
}

/* Bounds of 16 bytes, or of 8 repeated. */
static inline V load_limits(const uint8_t *p, int parts) {
    if (parts == 1) return vreinterpretq_s32_u8(vld1q_u8(p));
    uint8x8_t half = vld1_u8(p);
    return vreinterpretq_s32_u8(vcombine_u8(half, half));
}

/* The first n of eight bytes. */
static inline void store_eight(uint8_t *p, uint8x8_t v, size_t n) {
    if (n >= 8) {
        vst1_u8(p, v);
        return;
    }
    uint64_t bytes = vget_lane_u64(vreinterpret_u64_u8(v), 0);
    for (size_t i = 0; i < n; i++) p[i] = (uint8_t)(bytes >> 8 * i);
}

/* The first n bytes of the whole register or of a half; part and parts are constants at every call. */
static inline __attribute__((always_inline)) void store_part(uint8_t *p, V v, int part, int parts, size_t n) {
    uint8x16_t bytes = AS_BYTES(v);
    if (parts == 2) {
        store_eight(p, part ? vget_high_u8(bytes) : vget_low_u8(bytes), n);
    } else if (n >= 16) {
        vst1q_u8(p, bytes);
    } else {
        store_eight(p, vget_low_u8(bytes), n);
        if (n > 8) store_eight(p + 8, vget_high_u8(bytes), n - 8);
    }
}
