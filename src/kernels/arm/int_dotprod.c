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

/* Six rows by the sixteen columns of a panel in v8 to v31, row by row. v0 to v5 are up to sixteen bytes of each row,
 * v6 and v7 four columns of weights by turns, by four k. Written as one block so that the order stays: a Cortex-A55
 * issues in order, one SDOT a cycle and a load beside it, and a result is ready four cycles later. Loads have the
 * forms that it can issue so. */
/* clang-format off */
#define LINE(text) text "\n\t"
#define S(acc, w, a, lane) LINE("sdot v" #acc ".4s, v" #w ".16b, v" #a ".4b[" #lane "]")
#define COLUMNS(w, s0, s1, s2, s3, s4, s5, lane) \
    S(s0, w, 0, lane) S(s1, w, 1, lane) S(s2, w, 2, lane) S(s3, w, 3, lane) S(s4, w, 4, lane) S(s5, w, 5, lane)
#define COLUMNS_0(lane) COLUMNS(6, 8, 12, 16, 20, 24, 28, lane)
#define COLUMNS_1(lane) COLUMNS(7, 9, 13, 17, 21, 25, 29, lane)
#define COLUMNS_2(lane) COLUMNS(6, 10, 14, 18, 22, 26, 30, lane)
#define COLUMNS_3(lane) COLUMNS(7, 11, 15, 19, 23, 27, 31, lane)
#define FLIP(a) LINE("eor v" #a ".16b, v" #a ".16b, v7.16b")
#define WEIGHTS(w, base, offset) LINE("ldr q" #w ", [%[" #base "], %[" #offset "]]")
#define FIRST_WEIGHTS(w, base) LINE("ld1 {v" #w ".16b}, [%[" #base "]]")
#define QUAD(lane, base, next) \
    COLUMNS_0(lane) WEIGHTS(6, base, o32) COLUMNS_1(lane) WEIGHTS(7, base, o48) \
    COLUMNS_2(lane) FIRST_WEIGHTS(6, next) COLUMNS_3(lane) WEIGHTS(7, next, o16)
#define LAST_QUAD(lane, base) \
    COLUMNS_0(lane) WEIGHTS(6, base, o32) COLUMNS_1(lane) WEIGHTS(7, base, o48) COLUMNS_2(lane) COLUMNS_3(lane)
#define ROW_OF(size, a) LINE("ldr " #size #a ", [%[a" #a "], %[x]]")
/* `bytes` bytes of all rows, in registers called by `size`, and the first weights. */
#define ROWS(size, bytes) \
    LINE("movi v7.16b, #128") \
    ROW_OF(size, 0) ROW_OF(size, 1) ROW_OF(size, 2) ROW_OF(size, 3) ROW_OF(size, 4) ROW_OF(size, 5) \
    FIRST_WEIGHTS(6, b0) LINE("add %[x], %[x], #" #bytes) \
    FLIP(0) FLIP(1) FLIP(2) FLIP(3) FLIP(4) FLIP(5) WEIGHTS(7, b0, o16)
#define ADVANCE(bytes) \
    LINE("add %[b0], %[b0], #" #bytes) LINE("add %[b1], %[b1], #" #bytes) \
    LINE("add %[b2], %[b2], #" #bytes) LINE("add %[b3], %[b3], #" #bytes)
#define NEXT_RUN(a) LINE("add %[a" #a "], %[a" #a "], %[ld_run]")
#define SUMS(do, s0, s1, s2, s3, at) \
    LINE(do " q" #s0 ", q" #s1 ", [%[sums], #" #at "]") LINE(do " q" #s2 ", q" #s3 ", [%[sums], #" #at " + 32]")
#define ALL_SUMS(do) \
    SUMS(do, 8, 9, 10, 11, 0) SUMS(do, 12, 13, 14, 15, 64) SUMS(do, 16, 17, 18, 19, 128) \
    SUMS(do, 20, 21, 22, 23, 192) SUMS(do, 24, 25, 26, 27, 256) SUMS(do, 28, 29, 30, 31, 320)

static void tile_u8(const operand *o, size_t rows, int32_t (*sums)[KF_QPANEL]) {
    const uint8_t *a0 = o->at[0], *a1 = o->at[1], *a2 = o->at[2], *a3 = o->at[3], *a4 = o->at[4], *a5 = o->at[5];
    const int8_t *b0 = o->b, *b1 = b0 + 64, *b2 = b0 + 128, *b3 = b0 + 192;
    size_t x, runs = o->runs, whole = o->k / 16 * 16;
    (void)rows;
    __asm__ volatile(
        ALL_SUMS("ldp")
        "1:\n\t" /* a run */
        LINE("mov %[x], #0")
        LINE("cbz %[whole], 3f")
        "2:\n\t" /* sixteen k */
        ROWS(q, 16)
        QUAD(0, b0, b1) QUAD(1, b1, b2) QUAD(2, b2, b3) LAST_QUAD(3, b3)
        ADVANCE(256)
        LINE("cmp %[x], %[whole]")
        LINE("b.lo 2b")
        "3:\n\t"
        LINE("tbz %[k], #3, 4f")
        ROWS(d, 8)
        QUAD(0, b0, b1) LAST_QUAD(1, b1)
        ADVANCE(128)
        "4:\n\t"
        LINE("tbz %[k], #2, 5f")
        ROWS(s, 4)
        LAST_QUAD(0, b0)
        ADVANCE(64)
        "5:\n\t"
        LINE("subs %[runs], %[runs], #1")
        NEXT_RUN(0) NEXT_RUN(1) NEXT_RUN(2) NEXT_RUN(3) NEXT_RUN(4) NEXT_RUN(5)
        LINE("b.ne 1b")
        ALL_SUMS("stp")
        : [a0] "+r"(a0), [a1] "+r"(a1), [a2] "+r"(a2), [a3] "+r"(a3), [a4] "+r"(a4), [a5] "+r"(a5), [b0] "+r"(b0),
          [b1] "+r"(b1), [b2] "+r"(b2), [b3] "+r"(b3), [x] "=&r"(x), [runs] "+r"(runs)
        : [sums] "r"(sums), [k] "r"(o->k), [whole] "r"(whole), [ld_run] "r"(o->ld_run), [o16] "r"((size_t)16),
          [o32] "r"((size_t)32), [o48] "r"((size_t)48)
        : "cc", "memory", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14",
          "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29",
          "v30", "v31");
}
/* clang-format on */

/* ---- depthwise --------------------------------------------------------------------------------------------------- */

#define FLIPPED(x) veorq_u8(x, vdupq_n_u8(0x80))
#define DOT_BYTES(acc, x, w) vdotq_s32(acc, vreinterpretq_s8_s32(x), w)
#include "kernels/arm/int_strip.h"
