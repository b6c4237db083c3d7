/* Observers of activations: a histogram of the values seen, and the range of it to keep. Private to src/quantize.
 * Owner rule: histograms live in the arena given. */
#ifndef KF_OBSERVE_H
#define KF_OBSERVE_H

#include "quantize/quantize.h"

enum { KF_HISTOGRAM_BINS = 2048 };

/** Values of one channel (or of all): lo..hi in equal bins; exact zeros are counted separately, because they have no
 * rounding error. */
typedef struct kf__histogram {
    float lo, hi;
    uint32_t bins[KF_HISTOGRAM_BINS];
    uint64_t zeros;
} kf__histogram;

void kf__histogram_add(kf__histogram *h, float x);

/** The part of the histogram to keep with `levels` steps (255 for u8): *lo <= 0 <= *hi. */
void kf__range_choose(const kf__histogram *h, kf_range_method how, double percentile, int levels, float *lo, float *hi);
/** u8 with a zero point that represents 0 exactly; scale at least `tiny`. */
void kf__range_to_u8(float lo, float hi, float tiny, float *scale, int32_t *zero);

#endif
