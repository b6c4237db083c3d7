/* What makes calibration data or a normalization look like a mistake: the half that needs no files.
 * Owner rule: nothing is kept. */
#ifndef KITFOX_LAB_PLAUSIBLE_H
#define KITFOX_LAB_PLAUSIBLE_H

#include "kitfox/lab.h"

/** What a normalization, (x - mean) * scale of pixels x in 0..255, looks like. */
typedef enum kf__norm_kind {
    KF__NORM_FINE = 0,
    KF__NORM_FAR = 1,    /**< no network takes what comes out: as with a standard deviation in place of its inverse */
    KF__NORM_WIDE = 2,   /**< neither normalized nor plain pixels: as with a standard deviation of 0..1 */
    KF__NORM_MEAN = 3,   /**< the mean is one of 0..1, but the pixels are not */
    KF__NORM_NARROW = 4, /**< all pictures become nearly one number: as with a standard deviation used twice */
} kf__norm_kind;

typedef struct kf__norm {
    kf__norm_kind kind;
    double lo, hi; /**< of what comes out, over the channels */
} kf__norm;

/** Judge `n` channels, 1..3. Thread safe. */
kf__norm kf__plausible_norm(const double *mean, const double *scale, int32_t n);

#endif
