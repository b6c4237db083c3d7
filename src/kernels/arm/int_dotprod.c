/* Integer kernels for Armv8.2 with dot products: SDOT adds four products of signed bytes to each 32-bit lane. Inputs
 * have their top bit flipped, which subtracts 128; the caller adds 128 * sum(w) to the bias (gemm_input_offset).
 * Owner rule: pure functions. */
#include "kernels/arm/int_words.h"

#define MR1 1
#define NAME(base) kf_k_##base##_dotprod
#define WIDE_ONLY
#include "kernels/body/int_template.h"

enum { TILE_ROWS = 6, KERNEL_GROUP = 4 };
#include "kernels/arm/int_finish_arm.h"
#include "kernels/arm/int_product.h"

/* ---- tile -------------------------------------------------------------------------------------------------------- */

/* Six rows by the sixteen columns of a panel in v8 to v31, row by row. v0 to v5 are sixteen bytes of each row, v6 and
 * v7 four columns of weights by turns, by four k. Written as one block so that the order stays: a Cortex-A55 issues in
 * order, one SDOT a cycle and a load beside it, and a result is ready four cycles later. Loads have the forms that it
 * can issue so. */
#define S(acc, w, a, lane) "sdot v" #acc ".4s, v" #w ".16b, v" #a ".4b[" #lane "]\n\t"
#define COLUMNS_0(lane)                                                                                                \
    S(8, 6, 0, lane) S(12, 6, 1, lane) S(16, 6, 2, lane) S(20, 6, 3, lane) S(24, 6, 4, lane) S(28, 6, 5, lane)
#define COLUMNS_1(lane)                                                                                                \
    S(9, 7, 0, lane) S(13, 7, 1, lane) S(17, 7, 2, lane) S(21, 7, 3, lane) S(25, 7, 4, lane) S(29, 7, 5, lane)
#define COLUMNS_2(lane)                                                                                                \
    S(10, 6, 0, lane) S(14, 6, 1, lane) S(18, 6, 2, lane) S(22, 6, 3, lane) S(26, 6, 4, lane) S(30, 6, 5, lane)
#define COLUMNS_3(lane)                                                                                                \
    S(11, 7, 0, lane) S(15, 7, 1, lane) S(19, 7, 2, lane) S(23, 7, 3, lane) S(27, 7, 4, lane) S(31, 7, 5, lane)
#define FLIP(a) "eor v" #a ".16b, v" #a ".16b, v7.16b\n\t"
#define WEIGHTS(w, base, offset) "ldr q" #w ", [%[" #base "], %[" #offset "]]\n\t"
#define FIRST_WEIGHTS(w, base) "ld1 {v" #w ".16b}, [%[" #base "]]\n\t"
#define QUAD(lane, base, next)                                                                                         \
    COLUMNS_0(lane)                                                                                                    \
    WEIGHTS(6, base, o32)                                                                                              \
    COLUMNS_1(lane) WEIGHTS(7, base, o48) COLUMNS_2(lane) FIRST_WEIGHTS(6, next) COLUMNS_3(lane) WEIGHTS(7, next, o16)
#define LAST_QUAD(lane, base)                                                                                          \
    COLUMNS_0(lane) WEIGHTS(6, base, o32) COLUMNS_1(lane) WEIGHTS(7, base, o48) COLUMNS_2(lane) COLUMNS_3(lane)
#define ROW(first, second, third, fourth, at)                                                                          \
    "ldp q" #first ", q" #second ", [%[sums], #" #at "]\n\tldp q" #third ", q" #fourth ", [%[sums], #" #at " + "       \
    "32]\n\t"
#define ROW_BACK(first, second, third, fourth, at)                                                                     \
    "stp q" #first ", q" #second ", [%[sums], #" #at "]\n\tstp q" #third ", q" #fourth ", [%[sums], #" #at " + "       \
    "32]\n\t"

static void tile_u8(const operand *o, size_t rows, int32_t (*sums)[KF_QPANEL]) {
    const uint8_t *a0 = o->at[0], *a1 = o->at[1], *a2 = o->at[2], *a3 = o->at[3], *a4 = o->at[4], *a5 = o->at[5];
    const int8_t *b0 = o->b, *b1 = b0 + 64, *b2 = b0 + 128, *b3 = b0 + 192;
    size_t x, runs = o->runs, whole = o->k / 16 * 16;
    (void)rows;
    __asm__ volatile(
        ROW(8, 9, 10, 11, 0) ROW(12, 13, 14, 15, 64) ROW(16, 17, 18, 19, 128) ROW(20, 21, 22, 23, 192) ROW(24, 25, 26,
                                                                                                           27, 256)
            ROW(28, 29, 30, 31,
                320) "1:\n\t"
                     "mov %[x], #0\n\t"
                     "cbz %[whole], 3f\n\t"
                     "2:\n\t"
                     "movi v7.16b, #128\n\t"
                     "ldr q0, [%[a0], %[x]]\n\t"
                     "ldr q1, [%[a1], %[x]]\n\t"
                     "ldr q2, [%[a2], %[x]]\n\t"
                     "ldr q3, [%[a3], %[x]]\n\t"
                     "ldr q4, [%[a4], %[x]]\n\t"
                     "ldr q5, [%[a5], %[x]]\n\t" FIRST_WEIGHTS(6, b0) "add %[x], %[x], #16\n\t" FLIP(0) FLIP(1) FLIP(
                         2) FLIP(3) FLIP(4) FLIP(5) WEIGHTS(7, b0, o16) QUAD(0, b0, b1) QUAD(1, b1, b2) QUAD(2, b2, b3)
                         LAST_QUAD(
                             3, b3) "add %[b0], %[b0], #256\n\t"
                                    "add %[b1], %[b1], #256\n\t"
                                    "add %[b2], %[b2], #256\n\t"
                                    "add %[b3], %[b3], #256\n\t"
                                    "cmp %[x], %[whole]\n\t"
                                    "b.lo 2b\n\t"
                                    "3:\n\t"
                                    "cmp %[x], %[k]\n\t"
                                    "b.hs 5f\n\t"
                                    "4:\n\t"
                                    "movi v7.16b, #128\n\t"
                                    "ldr s0, [%[a0], %[x]]\n\t"
                                    "ldr s1, [%[a1], %[x]]\n\t"
                                    "ldr s2, [%[a2], %[x]]\n\t"
                                    "ldr s3, [%[a3], %[x]]\n\t"
                                    "ldr s4, [%[a4], %[x]]\n\t"
                                    "ldr s5, [%[a5], %[x]]\n\t" FIRST_WEIGHTS(6, b0) "add %[x], %[x], #4\n\t" FLIP(0)
                                        FLIP(1) FLIP(2) FLIP(3) FLIP(4) FLIP(5) WEIGHTS(7, b0, o16) LAST_QUAD(
                                            0, b0) "add %[b0], %[b0], #64\n\t"
                                                   "add %[b1], %[b1], #64\n\t"
                                                   "add %[b2], %[b2], #64\n\t"
                                                   "add %[b3], %[b3], #64\n\t"
                                                   "cmp %[x], %[k]\n\t"
                                                   "b.lo 4b\n\t"
                                                   "5:\n\t"
                                                   "subs %[runs], %[runs], #1\n\t"
                                                   "add %[a0], %[a0], %[ld_run]\n\t"
                                                   "add %[a1], %[a1], %[ld_run]\n\t"
                                                   "add %[a2], %[a2], %[ld_run]\n\t"
                                                   "add %[a3], %[a3], %[ld_run]\n\t"
                                                   "add %[a4], %[a4], %[ld_run]\n\t"
                                                   "add %[a5], %[a5], %[ld_run]\n\t"
                                                   "b.ne 1b\n\t" ROW_BACK(8, 9, 10, 11, 0) ROW_BACK(12, 13, 14, 15, 64)
                                                       ROW_BACK(16, 17, 18, 19, 128) ROW_BACK(20, 21, 22, 23, 192)
                                                           ROW_BACK(24, 25, 26, 27, 256) ROW_BACK(28, 29, 30, 31, 320)
        : [a0] "+r"(a0), [a1] "+r"(a1), [a2] "+r"(a2), [a3] "+r"(a3), [a4] "+r"(a4), [a5] "+r"(a5), [b0] "+r"(b0),
          [b1] "+r"(b1), [b2] "+r"(b2), [b3] "+r"(b3), [x] "=&r"(x), [runs] "+r"(runs)
        : [sums] "r"(sums), [k] "r"(o->k), [whole] "r"(whole), [ld_run] "r"(o->ld_run), [o16] "r"((size_t)16),
          [o32] "r"((size_t)32), [o48] "r"((size_t)48)
        : "cc", "memory", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14",
          "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29",
          "v30", "v31");
}

/* ---- depthwise --------------------------------------------------------------------------------------------------- */

#define FLIPPED(x) veorq_u8(x, vdupq_n_u8(0x80))
#define DOT_BYTES(acc, x, w) vdotq_s32(acc, vreinterpretq_s8_s32(x), w)
#include "kernels/arm/int_strip.h"
