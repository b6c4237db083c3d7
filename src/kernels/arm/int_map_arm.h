/* Elementwise steps, sums of columns and pooling windows: sixteen bytes at a time here, other types by the bodies.
 * Owner rule: pure functions. */

/* Sixteen bytes less their zero points as four vectors of i32. */
INLINE void widen_16(const uint8_t *from, int16x8_t minus_low, int16x8_t minus_high, V *to) {
    const uint8x16_t v = vld1q_u8(from);
    const int16x8_t low = vsubq_s16(vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(v))), minus_low),
                    high = vsubq_s16(vreinterpretq_s16_u16(vmovl_high_u8(v)), minus_high);
    to[0] = vmovl_s16(vget_low_s16(low)), to[1] = vmovl_high_s16(low);
    to[2] = vmovl_s16(vget_low_s16(high)), to[3] = vmovl_high_s16(high);
}

INLINE int16x8_t words_of(const int32_t *p) { return AS_WORDS(PACK32(LOADV(p), LOADV(p + 4))); }

/* Rounded values to bytes: zero points, then the bounds. */
INLINE V bytes_of(const V *v, V z01, V z23) {
    return PACK16(ADDS16(PACK32(v[0], v[1]), z01), ADDS16(PACK32(v[2], v[3]), z23));
}

/* Bytes to bytes, sixteen channels from j on. Every product fits an i32, so saturation replaces the clamp. */
static void affine_bytes(const kf__affine_q *a, size_t j, size_t n) {
    F mul[4];
    V z[4], lo[4], hi[4];
    (void)n;
    UNROLL for (int v = 0; v < 4; v++) {
        const size_t at = j + (size_t)(4 * v);
        mul[v] = LOADF(a->mul + at), z[v] = LOADV(a->zero + at);
        lo[v] = ADDI(RNE(LOADF(a->flo + at)), z[v]), hi[v] = ADDI(RNE(LOADF(a->fhi + at)), z[v]);
    }
    const V z01 = PACK32(z[0], z[1]), z23 = PACK32(z[2], z[3]);
    const V low = PACK16(PACK32(lo[0], lo[1]), PACK32(lo[2], lo[3])),
            high = PACK16(PACK32(hi[0], hi[1]), PACK32(hi[2], hi[3]));
    const int16x8_t minus_low = words_of(a->in_zero + j), minus_high = words_of(a->in_zero + j + 8);
    const uint8_t *from = (const uint8_t *)a->in + j;
    uint8_t *to = (uint8_t *)a->out + j;
    for (size_t i = 0; i < a->rows; i++, from += a->ld_in, to += a->ld_out) {
        V v[4];
        widen_16(from, minus_low, minus_high, v);
        UNROLL for (int x = 0; x < 4; x++) v[x] = RNE(MULF(CVT(v[x]), mul[x]));
        vst1q_u8(to, AS_BYTES(MINU8(MAXU8(bytes_of(v, z01, z23), low), high)));
    }
}

/* 2 * VL unsigned bytes to words. */
INLINE V load_words_of(const uint8_t *p) { return vreinterpretq_s32_u16(vmovl_u8(vld1_u8(p))); }
#define load_words load_words_of
#define ADD16(a, b) vreinterpretq_s32_s16(vaddq_s16(AS_WORDS(a), AS_WORDS(b)))
#define AFFINE_BYTES
#define LANES size_t
#include "kernels/body/int_affine.h"

static size_t eltwise_run(const kf__eltwise_q *e, size_t n);

/* Bytes to bytes, sixteen numbers at a time; the remainder four at a time. Returns how many were done. */
static size_t eltwise_bytes(const kf__eltwise_q *e, size_t n) {
    const kf__requant *q = e->q;
    size_t i = 0;
    if (e->a_type == KF_U8 && (!e->b || e->b_type == KF_U8) && q->out == KF_U8) {
        const V z = SET1I(q->zero[0]), zero = PACK32(z, z);
        const F a = SETF(e->a_scale[0]), b = SETF(e->b ? e->b_scale[0] : 0), k = SETF(q->k ? q->k[0] : 0),
                inv = SETF(q->inv ? q->inv[0] : 0), lo = SETF(q->flo[0]), hi = SETF(q->fhi[0]);
        const int16x8_t a_minus = vdupq_n_s16((int16_t)e->a_zero[0]),
                        b_minus = vdupq_n_s16((int16_t)(e->b ? e->b_zero[0] : 0));
        for (; i + 16 <= n; i += 16) {
            V v[4], w[4] = {SET1I(0), SET1I(0), SET1I(0), SET1I(0)};
            widen_16((const uint8_t *)e->a + i, a_minus, a_minus, v);
            if (e->b) widen_16((const uint8_t *)e->b + i, b_minus, b_minus, w);
            UNROLL for (int j = 0; j < 4; j++) {
                F x = MULF(CVT(v[j]), a);
                if (e->b) {
                    const F y = MULF(CVT(w[j]), b);
                    x = e->product ? MULF(x, y) : ADDF(x, y);
                }
                if (q->act.kind == KF_ACT_HSWISH) x = hswish(x, k);
                else if (q->act.kind != KF_ACT_NONE) x = activate(x, q, k);
                if (q->inv) x = MULF(x, inv);
                v[j] = RNE(CLAMP_Q(x, lo, hi));
            }
            vst1q_u8((uint8_t *)e->out + i, AS_BYTES(bytes_of(v, zero, zero)));
        }
    }
    kf__eltwise_q rest = *e;
    rest.a = (const char *)e->a + i * kf_dtype_size(e->a_type);
    if (e->b) rest.b = (const char *)e->b + i * kf_dtype_size(e->b_type);
    rest.out = (char *)e->out + i * kf_dtype_size(q->out);
    return i + eltwise_run(&rest, n - i);
}
#define ELTWISE_RUN eltwise_bytes

/* The largest bytes of sixteen channels. */
NOINLINE uint8x16_t largest_bytes(const kf__pool_q *w, const uint8_t *from) {
    uint8x16_t top = vdupq_n_u8(0);
    for (size_t r = 0; r < w->rows; r++, from += w->row_step) {
        const uint8_t *at = from;
        for (size_t t = 0; t < w->columns; t++, at += w->column_step) top = vmaxq_u8(top, vld1q_u8(at));
    }
    return top;
}

/* The sums of sixteen channels. */
NOINLINE void sums_of_bytes(const kf__pool_q *w, const uint8_t *from, V *to) {
    UNROLL for (int j = 0; j < 4; j++) to[j] = SET1I(0);
    for (size_t r = 0; r < w->rows; r++, from += w->row_step) {
        const uint8_t *at = from;
        for (size_t t = 0, end; t < w->columns; t = end) { /* 16 bits hold the sums of 256 bytes */
            uint16x8_t low = vdupq_n_u16(0), high = low;
            end = w->columns - t < 256 ? w->columns : t + 256;
            for (size_t i = t; i < end; i++, at += w->column_step) {
                const uint8x16_t v = vld1q_u8(at);
                low = vaddw_u8(low, vget_low_u8(v)), high = vaddw_high_u8(high, v);
            }
            to[0] = vreinterpretq_s32_u32(vaddw_u16(vreinterpretq_u32_s32(to[0]), vget_low_u16(low)));
            to[1] = vreinterpretq_s32_u32(vaddw_high_u16(vreinterpretq_u32_s32(to[1]), low));
            to[2] = vreinterpretq_s32_u32(vaddw_u16(vreinterpretq_u32_s32(to[2]), vget_low_u16(high)));
            to[3] = vreinterpretq_s32_u32(vaddw_high_u16(vreinterpretq_u32_s32(to[3]), high));
        }
    }
}

/* Whole registers of bytes to bytes. Returns how many channels were done. */
static size_t pool_bytes(const kf__pool_q *w) {
    const V zeros = SET1I((int32_t)(w->rows * w->columns) * w->in_zero);
    size_t j = 0;
    if (w->in_type != KF_U8 || w->out_type != KF_U8 || w->rows * w->columns == 0) return 0;
    for (; j + 16 <= w->c; j += 16) {
        const uint8_t *from = (const uint8_t *)w->in + j;
        uint8_t *to = (uint8_t *)w->out + j;
        V v[4];
        if (w->largest) {
            const uint8x16_t lo = vdupq_n_u8((uint8_t)w->lo), hi = vdupq_n_u8((uint8_t)w->hi);
            vst1q_u8(to, vminq_u8(vmaxq_u8(largest_bytes(w, from), lo), hi));
            continue;
        }
        sums_of_bytes(w, from, v);
        UNROLL for (int x = 0; x < 4; x++) {
            const size_t at = j + (size_t)(4 * x);
            const params p = {.flo = LOADF(w->flo + at), .fhi = LOADF(w->fhi + at), .zero = LOADV(w->zero + at)};
            v[x] = round_q(MULF(CVT(SUBI(v[x], zeros)), SETF(w->mul)), &p);
        }
        vst1q_u8(to, AS_BYTES(PACK16(PACK32(v[0], v[1]), PACK32(v[2], v[3]))));
    }
    return j;
}
#define POOL_FIRST pool_bytes
#include "kernels/body/int_map.h"
