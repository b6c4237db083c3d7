/* f32 kernels for Advanced SIMD (Armv8.0): 12 x 8 GEMM tiles, 4 channels at a time elsewhere. The bodies are in
 * kernels/body/f32_template.h and what it includes; this file names the vector words. The loop of a tile is in
 * f32_sums_neon.h, that of a depthwise window in f32_dwsums_neon.h.
 * Owner rule: pure functions. */
#include <arm_neon.h>

#include "kernels/kernels.h"

/* The first n lanes at most; the others are 0. */
static inline float32x4_t load_part(const float *p, size_t n) {
    float32x4_t v = vdupq_n_f32(0);
    if (n >= 4) return vld1q_f32(p);
    if (n >= 2) v = vcombine_f32(vld1_f32(p), vget_low_f32(v));
    if (n == 3) v = vld1q_lane_f32(p + 2, v, 2);
    if (n == 1) v = vld1q_lane_f32(p, v, 0);
    return v;
}
static inline void store_part(float *p, size_t n, float32x4_t v) {
    if (n >= 4) vst1q_f32(p, v);
    else if (n >= 2) vst1_f32(p, vget_low_f32(v));
    if (n == 3) vst1q_lane_f32(p + 2, v, 2);
    if (n == 1) vst1q_lane_f32(p, v, 0);
}

#define V float32x4_t
#define VL 4
#define MASK size_t /* lanes in use; 4 and above: all */
#define LOAD(p) vld1q_f32(p)
#define LOADM(p, m) load_part(p, m)
#define STORE(p, v) vst1q_f32(p, v)
#define STOREM(p, m, v) store_part(p, m, v)
#define SET1(x) vdupq_n_f32(x)
#define FMA(a, b, c) vfmaq_f32(c, a, b)
#define MIN(a, b) vminq_f32(a, b) /* where one is NaN, both return NaN */
#define MAX(a, b) vmaxq_f32(a, b)
#define ADD(a, b) vaddq_f32(a, b)
#define MUL(a, b) vmulq_f32(a, b)
#define ZERO vdupq_n_f32(0)
#define TAIL(n) (n)
/* Forces one load: compilers tend to load a value that is used twice as a memory operand of both uses. */
#define IN_REGISTER(vector) __asm__("" : "+w"(vector))
#define NAME(base) kf_k_##base##_neon

#if defined(__clang__) /* which does not know GCC's word */
#define UNROLL _Pragma("clang loop unroll(full)")
#define SEVERAL _Pragma("clang loop unroll_count(4)")
#else
#define SEVERAL _Pragma("GCC unroll 4")
#endif

/* Rows of a tile of one or two vectors. */
#define HALVES 0
#define HL 4
#define ROWS_1 12
#define ROWS_2 12
/* No prefetch of output rows: it costs a quarter of a shallow tile, and stores wait in a buffer. */
#define SHALLOW 1
#define SUMS "kernels/arm/f32_sums_neon.h"
/* Columns of a depthwise row at once, at most. */
#define DW_MOST 14
#define DW_MOST_5 14
#define DW_SUMS "kernels/arm/f32_dwsums_neon.h"
/* Lines to prefetch for each line of a panel that is used. */
#define ASKS 1
#define BLOCK_ROWS 96
#define BLOCK_ROWS_DEEP 48

#include "kernels/body/f32_template.h"

/* Four pixels at a time; a store of three registers interleaves them. */
void kf_k_interleave_f32_neon(size_t n, const float *const x[3], float *to) {
    size_t i = 0;
    SEVERAL for (; i + 4 <= n; i += 4, to += 12)
        vst3q_f32(to, ((float32x4x3_t){{vld1q_f32(x[0] + i), vld1q_f32(x[1] + i), vld1q_f32(x[2] + i)}}));
    for (; i < n; i++, to += 3) to[0] = x[0][i], to[1] = x[1][i], to[2] = x[2][i];
}
