/* The arithmetic of preprocessing on one value: normalization, its inverse, both as factors of pixels, and luma. These
 * rules exist only here; kernels/x86/pixels_avx2.c computes the inverse with factors from here.
 * Owner rule: pure functions, inline because they stand in loops over every pixel. */
#ifndef KF_PIXEL_H
#define KF_PIXEL_H

#include "base/base.h"
#include "kitfox/preprocess.h"

/** The normalized value of pixel `v` in channel c < 3. */
static inline double kf__pixel_normalize(const kf_preprocess *p, size_t c, double v) {
    return (v / 255.0 - p->mean[c]) / p->std[c];
}

/** The same as (v - mean) / std in units of pixels: what integer networks fold into the weights and biases that read
 *  pixels. Such networks have at most three channels; a larger c reads the third, so that nothing outside is read. */
static inline double kf__pixel_mean(const kf_preprocess *p, size_t c) { return 255.0 * p->mean[c < 3 ? c : 2]; }
static inline double kf__pixel_std(const kf_preprocess *p, size_t c) { return 255.0 * p->std[c < 3 ? c : 2]; }

/** A weight of a layer that reads normalized channel c, for pixels without their mean. */
static inline float kf__pixel_weight(const kf_preprocess *p, size_t c, float w) {
    return (float)((double)w / kf__pixel_std(p, c));
}

/** Turns a number x of channel c back into a pixel: (x * std + mean) * top. Without preprocessing, or past the third
 * channel of a network that has more, numbers are pixels. */
typedef struct kf__pixel_undo {
    double std, mean, top;
} kf__pixel_undo;

static inline kf__pixel_undo kf__pixel_undo_of(const kf_preprocess *p, size_t c) {
    if (!p->valid || c > 2) return (kf__pixel_undo){1, 0, 1};
    return (kf__pixel_undo){p->std[c], p->mean[c], 255};
}

/** That pixel, kept inside 0..255 and rounded to nearest even; NaN gives 0. Adding and subtracting 1.5 * 2^52 rounds
 * without a function call, so that compilers can vectorize loops over it. */
static inline int32_t kf__pixel_of(double x, double std, double mean, double top) {
    double v = (x * std + mean) * top;
    v = v > 0 ? v : 0;
    v = v < 255 ? v : 255;
    return (int32_t)((v + 6755399441055744.0) - 6755399441055744.0);
}

/** Luma of an RGB pixel by ITU-R 601-2, as Pillow's convert("L") rounds it; of grey it is that grey. */
static inline uint8_t kf__pixel_luma(uint32_t r, uint32_t g, uint32_t b) {
    return (uint8_t)((r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16);
}

/** n values of channel k, `step` apart, back to pixels (kf__pixel_of), to_step apart. */
void kf__to_pixels(const kf_preprocess *p, const float *x, size_t n, size_t k, size_t step, uint8_t *to,
                   size_t to_step);

#endif
