/* Integer kernels for Arm with 8-bit matrix products: USMMLA multiplies two rows of eight unsigned bytes by two columns
 * of eight signed bytes and adds the four sums to a vector, twice the work of USDOT. Inputs stay as they are.
 * Owner rule: pure functions. */
#include "kernels/arm/int_words.h"

#define MR1 1
#define NAME(base) kf_k_##base##_i8mm
#define WIDE_ONLY
#include "kernels/body/int_template.h"

enum { TILE_ROWS = 4, KERNEL_GROUP = 8 };
#include "kernels/arm/int_finish_arm.h"
#include "kernels/arm/int_product.h"

/* Eight k of two rows by the sixteen columns of a panel; a vector of weights is two columns by eight k. */
#define EIGHT(x, b)                                                                                                    \
    UNROLL for (int j = 0; j < 8; j++) {                                                                               \
        const int8x16_t w = vld1q_s8((b) + 16 * j);                                                                    \
        UNROLL for (int i = 0; i < pairs; i++) acc[i][j] = vusmmlaq_s32(acc[i][j], x[i], w);                           \
    }

/* The first halves of two vectors, then the second halves: rows of four columns to blocks of two by two, and back. */
INLINE void by_pairs(V a, V b, V *to) {
    to[0] = vreinterpretq_s32_s64(vzip1q_s64(vreinterpretq_s64_s32(a), vreinterpretq_s64_s32(b)));
    to[1] = vreinterpretq_s32_s64(vzip2q_s64(vreinterpretq_s64_s32(a), vreinterpretq_s64_s32(b)));
}

/* `pairs` pairs of rows. Sums of a pair of rows and of columns are one vector, row by row. */
INLINE void tile_pairs(const int pairs, const operand *o, int32_t (*sums)[KF_QPANEL]) {
    V acc[TILE_ROWS / 2][8];
    const int8_t *b = o->b;
    UNROLL for (int i = 0; i < pairs; i++) {
        UNROLL for (int j = 0; j < 4; j++)
            by_pairs(LOADV(sums[2 * i] + 4 * j), LOADV(sums[2 * i + 1] + 4 * j), &acc[i][2 * j]);
    }
    for (size_t run = 0; run < o->runs; run++) {
        const uint8_t *at[TILE_ROWS];
        size_t left = o->k;
        UNROLL for (int i = 0; i < 2 * pairs; i++) at[i] = o->at[i] + run * o->ld_run;
        for (; left >= 16; left -= 16, b += 256) {
            uint8x16_t x[TILE_ROWS / 2], y[TILE_ROWS / 2];
            UNROLL for (int i = 0; i < pairs; i++) {
                const uint64x2_t top = vreinterpretq_u64_u8(vld1q_u8(at[2 * i])),
                                 low = vreinterpretq_u64_u8(vld1q_u8(at[2 * i + 1]));
                x[i] = vreinterpretq_u8_u64(vtrn1q_u64(top, low)), y[i] = vreinterpretq_u8_u64(vtrn2q_u64(top, low));
                at[2 * i] += 16, at[2 * i + 1] += 16;
            }
            EIGHT(x, b)
            EIGHT(y, b + 128)
        }
        if (left) {
            uint8x16_t x[TILE_ROWS / 2];
            UNROLL for (int i = 0; i < pairs; i++) x[i] = vcombine_u8(vld1_u8(at[2 * i]), vld1_u8(at[2 * i + 1]));
            EIGHT(x, b)
            b += 128;
        }
    }
    UNROLL for (int i = 0; i < pairs; i++) {
        UNROLL for (int j = 0; j < 4; j++) {
            V row[2];
            by_pairs(acc[i][2 * j], acc[i][2 * j + 1], row);
            STOREV(sums[2 * i] + 4 * j, row[0]), STOREV(sums[2 * i + 1] + 4 * j, row[1]);
        }
    }
}

NOINLINE void tile_four(const operand *o, int32_t (*sums)[KF_QPANEL]) { tile_pairs(2, o, sums); }
NOINLINE void tile_two(const operand *o, int32_t (*sums)[KF_QPANEL]) { tile_pairs(1, o, sums); }

static void tile_u8(const operand *o, size_t rows, int32_t (*sums)[KF_QPANEL]) {
    if (rows <= 2) tile_two(o, sums);
    else tile_four(o, sums);
}

/* ---- depthwise --------------------------------------------------------------------------------------------------- */

#define FLIPPED(x) (x)
#define DOT_BYTES(acc, x, w) vusdotq_s32(acc, vreinterpretq_u8_s32(x), w)
#include "kernels/arm/int_strip.h"
