/* Rows of pixels: the loops that go over every pixel of a camera frame, for each instruction set the same bytes.
 * Floor 3.
 * Owner rule: every pointer is borrowed for the call; pure functions. */
#ifndef KF_IMAGE_ROWS_H
#define KF_IMAGE_ROWS_H

#include "base/base.h"

/** Bits behind the point of a filter's coefficients: 8 of the result and 2 of headroom for negative lobes are taken from 32. */
enum { KF_TAP_BITS = 32 - 8 - 2 };

/** What each output position of a separable filter reads. */
typedef struct kf__taps {
    int32_t size;    /* coefficients per output position, a multiple of 4 */
    int32_t *bounds; /* [2 * out]: first source index, count */
    int32_t *k;      /* [size * out], zero after the count */
} kf__taps;

typedef struct kf__rows {
    /** `width` (even) pixels of luma and their chroma pairs to RGB; limited is 0 or 1. */
    void (*nv12)(const uint8_t *luma, const uint8_t *chroma, int32_t width, int limited, uint8_t *rgb);
    /** Filters `rows` rows of width_in RGB pixels, `stride` bytes apart, to width pixels each, without gaps. */
    void (*across)(const uint8_t *in, size_t stride, int32_t rows, int32_t width_in, const kf__taps *t, int32_t width, uint8_t *to);
    /** One row of `bytes` bytes from `count` rows that follow each other without gaps. */
    void (*down)(const uint8_t *in, size_t bytes, int32_t count, const int32_t *k, uint8_t *to);
} kf__rows;

/** Plain C; AVX2. */
extern const kf__rows kf__rows_plain, kf__rows_avx2;
/** The functions for the usable level of this moment (KITFOX_CPU, kf_cpu_limit). */
const kf__rows *kf__image_rows(void);

/* ---- what all instruction sets share ------------------------------------------------------------------------------------------- */

/** Coefficients of NV12 times 65536, rounded: ITU-R BT.601 and JFIF (full range). */
typedef struct kf__nv12_range {
    int32_t y_offset, y, rv, gu, gv, bu;
} kf__nv12_range;
static const kf__nv12_range KF_NV12_RANGE[2] = {
    {0, 65536, 91881, -22553, -46802, 116130},    /* full: 1.402, 0.344136, 0.714136, 1.772 */
    {16, 76309, 104597, -25675, -53279, 132201}, /* limited: 1.164383, 1.596027, 0.391762, 0.812968, 2.017232 */
};

static inline uint8_t kf__byte(int32_t v) { return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v); }

#endif
