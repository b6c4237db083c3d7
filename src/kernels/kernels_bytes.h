/* Contracts of the kernels that process every byte of a picture or a file: rows of pixels, blocks of SHA-256. All give
 * the same bytes. Kernels are pure: no allocation, threads, globals or logging.
 * Owner rule: every pointer is borrowed for the call. No kernel reads or writes outside the rows it is given. */
#ifndef KF_KERNELS_BYTES_H
#define KF_KERNELS_BYTES_H

#include "cpu/cpu.h"

/* ---- rows of pixels ---------------------------------------------------------------------------------------------- */

/** Fraction bits of a filter's coefficients: 32, minus 8 for the result and 2 of headroom for negative lobes. */
enum { KF_TAP_BITS = 32 - 8 - 2 };

/** What each output position of a separable filter reads. */
typedef struct kf__filter_taps {
    int32_t size;    /* coefficients per output position, a multiple of 4 */
    int32_t *bounds; /* [2 * out]: first source index, count */
    int32_t *k;      /* [size * out], zero after the count */
} kf__filter_taps;

/** Luma of `width` pixels (even) and their chroma pairs to RGB; limited is 0 or 1. */
typedef void kf__nv12_fn(const uint8_t *luma, const uint8_t *chroma, int32_t width, int limited, uint8_t *rgb);
/** Filters `rows` rows of width_in RGB pixels, at distance `stride` bytes, to width pixels each, without gaps. */
typedef void kf__across_fn(const uint8_t *in, size_t stride, int32_t rows, int32_t width_in, const kf__filter_taps *t,
                           int32_t width, uint8_t *to);
/** One row of `bytes` bytes from `count` rows that follow each other without gaps. */
typedef void kf__down_fn(const uint8_t *in, size_t bytes, int32_t count, const int32_t *k, uint8_t *to);

/** The functions in use. */
typedef struct kf__kernels_image {
    kf__nv12_fn *nv12;
    kf__across_fn *across;
    kf__down_fn *down;
    const char *nv12_name, *across_name, *down_name;
} kf__kernels_image;
/** For each entry, the last line of kernels.def whose level `cpu` contains. KF_CPU_LEVELS: whose level is allowed
 * and usable now (KITFOX_CPU, kf_cpu_limit); only the features that these lines need are probed. */
void kf__kernels_select_image(kf__cpu_level cpu, kf__kernels_image *out);

/** Coefficients of NV12 times 65536, rounded: ITU-R BT.601 and JFIF (full range). */
typedef struct kf__nv12_range {
    int32_t y_offset, y, rv, gu, gv, bu;
} kf__nv12_range;
static const kf__nv12_range KF_NV12_RANGE[2] = {
    {0, 65536, 91881, -22553, -46802, 116130},   /* full: 1.402, 0.344136, 0.714136, 1.772 */
    {16, 76309, 104597, -25675, -53279, 132201}, /* limited: 1.164383, 1.596027, 0.391762, 0.812968, 2.017232 */
};

static inline uint8_t kf__byte(int32_t v) { return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v); }

/* ---- hashes ------------------------------------------------------------------------------------------------------ */

/** n blocks of 64 bytes into the state of SHA-256 (FIPS 180-4). */
typedef void kf__sha256_fn(uint32_t h[8], const uint8_t *p, size_t n);
/** Its 64 constants. */
extern const uint32_t kf__sha256_k[64];

/** The function in use. No level contains the instruction sets for hashes, so a line states the features that it
 * needs, and no limit applies. */
typedef struct kf__kernels_hash {
    kf__sha256_fn *sha256;
    const char *sha256_name;
} kf__kernels_hash;
void kf__kernels_select_hash(kf__kernels_hash *out);

#define KF_KERNEL_IMAGE(check, member, function, isa, level, facts) kf__##function##_fn kf_k_##function##_##isa;
#define KF_KERNEL_HASH(check, member, function, isa, features) kf__##function##_fn kf_k_##function##_##isa;
#include "kernels/kernels.def"

#endif
