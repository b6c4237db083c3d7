/* Integer kernels for Armv8.0, and what the levels above use of them. There is no product of four bytes; SMULL and
 * SMLAL add two products of signed bytes in 16 bits (2 * 128 * 127 fits), and SADALP adds pairs of those to 32 bits.
 * Inputs have their top bit flipped, which subtracts 128; the caller adds 128 * sum(w) to the bias (gemm_input_offset).
 * Owner rule: pure functions. */
#include "kernels/arm/int_words.h"

#define MR1 4
#define NAME(base) kf_k_##base##_neon
#define WIDE_ONLY
#include "kernels/body/int_template.h"

enum { TILE_ROWS = 2, KERNEL_GROUP = 4 };
#include "kernels/arm/int_finish_arm.h"
#include "kernels/arm/int_product.h"

/* ---- product of bytes -------------------------------------------------------------------------------------------- */

/* Two rows by the sixteen columns of a panel. A vector of weights is four columns by four k, so each column has two
 * sums: those of the first row are v16 to v23, of the second v24 to v31. v0 and v1 are two quads of the first row, each
 * four times, v2 and v3 of the second; v4 to v7 are weights. Products of one vector go to v8 to v11, of the next to v12
 * to v15: a core that issues in order need not wait for a result. */
/* clang-format off */
#define LINE(text) text "\n\t"
#define MUL(to, w, a) LINE("smull v" #to ".8h, v" #w ".8b, v" #a ".8b")
#define MUL2(to, w, a) LINE("smull2 v" #to ".8h, v" #w ".16b, v" #a ".16b")
#define MLA(to, w, a) LINE("smlal v" #to ".8h, v" #w ".8b, v" #a ".8b")
#define MLA2(to, w, a) LINE("smlal2 v" #to ".8h, v" #w ".16b, v" #a ".16b")
#define ADD(to, from) LINE("sadalp v" #to ".4s, v" #from ".8h")
#define WEIGHTS(w, at) LINE("ldr q" #w ", [%[b], #" #at "]")
#define FIRST(p0, p1, p2, p3, w) MUL(p0, w, 0) MUL2(p1, w, 0) MUL(p2, w, 2) MUL2(p3, w, 2)
#define SECOND(p0, p1, p2, p3, w) MLA(p0, w, 1) MLA2(p1, w, 1) MLA(p2, w, 3) MLA2(p3, w, 3)
#define SUM(s0, s1, s2, s3, p0, p1, p2, p3) ADD(s0, p0) ADD(s1, p1) ADD(s2, p2) ADD(s3, p3)
#define FLIP(a) LINE("eor v" #a ".8b, v" #a ".8b, v8.8b")
#define FOUR_TIMES(to, from, lane) LINE("dup v" #to ".4s, v" #from ".s[" #lane "]")
#define NONE(a, b) LINE("movi v" #a ".4s, #0") LINE("movi v" #b ".4s, #0")
#define BACK(a, b, at) LINE("stp q" #a ", q" #b ", [%[part], #" #at "]")

NOINLINE void tile_two(const operand *o, int32_t (*sums)[KF_QPANEL]) {
    V part[2][8];
    const uint8_t *a0 = o->at[0], *a1 = o->at[1];
    const int8_t *b = o->b;
    size_t x, runs = o->runs;
    __asm__ volatile(
        NONE(16, 17) NONE(18, 19) NONE(20, 21) NONE(22, 23) NONE(24, 25) NONE(26, 27) NONE(28, 29) NONE(30, 31)
        "1:\n\t" /* a run */
        LINE("mov %[x], #0")
        LINE("cbz %[whole], 3f")
        "2:\n\t" /* eight k */
        LINE("movi v8.8b, #128")
        LINE("ldr d0, [%[a0], %[x]]")
        LINE("ldr d2, [%[a1], %[x]]")
        WEIGHTS(4, 0)
        LINE("add %[x], %[x], #8")
        FLIP(0) FLIP(2)
        WEIGHTS(5, 64)
        FOUR_TIMES(1, 0, 1) FOUR_TIMES(3, 2, 1) FOUR_TIMES(0, 0, 0) FOUR_TIMES(2, 2, 0)
        WEIGHTS(6, 16)
        FIRST(8, 9, 10, 11, 4)
        WEIGHTS(7, 80)
        SECOND(8, 9, 10, 11, 5)
        WEIGHTS(4, 32)
        FIRST(12, 13, 14, 15, 6)
        WEIGHTS(5, 96)
        SUM(16, 17, 24, 25, 8, 9, 10, 11)
        SECOND(12, 13, 14, 15, 7)
        WEIGHTS(6, 48)
        FIRST(8, 9, 10, 11, 4)
        WEIGHTS(7, 112)
        SUM(18, 19, 26, 27, 12, 13, 14, 15)
        SECOND(8, 9, 10, 11, 5)
        FIRST(12, 13, 14, 15, 6)
        LINE("add %[b], %[b], #128")
        SUM(20, 21, 28, 29, 8, 9, 10, 11)
        SECOND(12, 13, 14, 15, 7)
        LINE("cmp %[x], %[whole]")
        SUM(22, 23, 30, 31, 12, 13, 14, 15)
        LINE("b.lo 2b")
        "3:\n\t" /* four k */
        LINE("cmp %[x], %[k]")
        LINE("b.hs 4f")
        LINE("movi v8.8b, #128")
        LINE("ldr s0, [%[a0], %[x]]")
        LINE("ldr s2, [%[a1], %[x]]")
        WEIGHTS(4, 0) WEIGHTS(5, 16) WEIGHTS(6, 32) WEIGHTS(7, 48)
        FLIP(0) FLIP(2)
        FOUR_TIMES(0, 0, 0) FOUR_TIMES(2, 2, 0)
        FIRST(8, 9, 10, 11, 4)
        FIRST(12, 13, 14, 15, 5)
        SUM(16, 17, 24, 25, 8, 9, 10, 11)
        FIRST(8, 9, 10, 11, 6)
        SUM(18, 19, 26, 27, 12, 13, 14, 15)
        FIRST(12, 13, 14, 15, 7)
        SUM(20, 21, 28, 29, 8, 9, 10, 11)
        SUM(22, 23, 30, 31, 12, 13, 14, 15)
        LINE("add %[b], %[b], #64")
        "4:\n\t"
        LINE("subs %[runs], %[runs], #1")
        LINE("add %[a0], %[a0], %[ld_run]")
        LINE("add %[a1], %[a1], %[ld_run]")
        LINE("b.ne 1b")
        BACK(16, 17, 0) BACK(18, 19, 32) BACK(20, 21, 64) BACK(22, 23, 96)
        BACK(24, 25, 128) BACK(26, 27, 160) BACK(28, 29, 192) BACK(30, 31, 224)
        : [a0] "+r"(a0), [a1] "+r"(a1), [b] "+r"(b), [x] "=&r"(x), [runs] "+r"(runs)
        : [part] "r"(part), [k] "r"(o->k), [whole] "r"(o->k / 8 * 8), [ld_run] "r"(o->ld_run)
        : "cc", "memory", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14",
          "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29",
          "v30", "v31");
    for (int i = 0; i < 2; i++) {
        UNROLL for (int j = 0; j < 4; j++)
            STOREV(sums[i] + 4 * j, ADDI(LOADV(sums[i] + 4 * j), vpaddq_s32(part[i][2 * j], part[i][2 * j + 1])));
    }
}
/* clang-format on */

/* Four bytes of a row four times, with their top bits flipped. */
INLINE int8x16_t row_quad(const uint8_t *at) {
    uint32_t four;
    memcpy(&four, at, 4);
    return vreinterpretq_s8_u8(veorq_u8(vreinterpretq_u8_u32(vdupq_n_u32(four)), vdupq_n_u8(0x80)));
}

/* One row: two quads of k, or one. */
INLINE void quads_of_row(const bool two, V *acc, const uint8_t *at, const int8_t *b) {
    const int8x16_t x = row_quad(at), y = two ? row_quad(at + 4) : x;
    UNROLL for (int j = 0; j < 4; j++) {
        const int8x16_t w = vld1q_s8(b + 16 * j), v = two ? vld1q_s8(b + 64 + 16 * j) : w;
        int16x8_t low = vmull_s8(vget_low_s8(w), vget_low_s8(x)), high = vmull_high_s8(w, x);
        if (two) low = vmlal_s8(low, vget_low_s8(v), vget_low_s8(y)), high = vmlal_high_s8(high, v, y);
        acc[2 * j] = vpadalq_s16(acc[2 * j], low), acc[2 * j + 1] = vpadalq_s16(acc[2 * j + 1], high);
    }
}

NOINLINE void tile_one(const operand *o, int32_t (*sums)[KF_QPANEL]) {
    V acc[8];
    const int8_t *b = o->b;
    UNROLL for (int j = 0; j < 8; j++) acc[j] = SET1I(0);
    for (size_t run = 0; run < o->runs; run++) {
        const uint8_t *at = o->at[0] + run * o->ld_run;
        size_t left = o->k;
        for (; left >= 8; left -= 8, b += 128, at += 8) quads_of_row(true, acc, at, b);
        if (left) quads_of_row(false, acc, at, b), b += 64;
    }
    UNROLL for (int j = 0; j < 4; j++)
        STOREV(sums[0] + 4 * j, ADDI(LOADV(sums[0] + 4 * j), vpaddq_s32(acc[2 * j], acc[2 * j + 1])));
}

static void tile_u8(const operand *o, size_t rows, int32_t (*sums)[KF_QPANEL]) {
    if (rows == 1) tile_one(o, sums);
    else tile_two(o, sums);
}

#include "kernels/arm/int_map_arm.h"
#include "kernels/arm/int_taps.h"
#include "kernels/arm/int_wide_arm.h"

void NAME(dwconv_u8)(const kf__dwconv_q *d, const kf__requant *q) { NAME(dwconv_any)(d, q); }
