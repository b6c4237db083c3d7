/* How stored integers map to real numbers: scale and zero point of a tensor, or of each of its channels. Values of a
 * graph and tensors of a program answer through the same functions. Owner rule: borrows the vectors; pure inline
 * functions. */
#ifndef KF_QUANT_H
#define KF_QUANT_H

#include <math.h>

#include "base/base.h"

/** How a quantized value maps to real numbers: real = scale * (q - zero). The quantizer fills those of
 * graphs, kf__ptensor_quant those of programs. */
typedef struct kf__quant {
    kf_dtype
        dtype; /* KF_U8, KF_I16 (zero = 0), KF_F32 (scale 1) or, for weights, KF_I8/KF_I16 with per-channel scales */
    float scale;
    int32_t zero;
    int32_t qmin, qmax;   /* the producer clamps to these (i16: symmetric +-q_max) */
    int32_t channels;     /* 0: per tensor; else length of the vectors below (axis 1 of activations, 0 of weights) */
    const float *scales;  /* [channels] */
    const int32_t *zeros; /* [channels], activations only */
    bool pixels;          /* of an input: unchanged pixels of a picture, with scale 1 and zero point 0 */
} kf__quant;

/** Are these unchanged pixels of a picture? The layer that reads them subtracts the mean. This is stored where it is
 *  known and never inferred: other numbers may have scale 1 and zero point 0 by chance. */
static inline bool kf__quant_is_pixels(const kf__quant *q) { return q && q->pixels; }

/** Scale and zero point of channel c. */
static inline float kf__q_scale(const kf__quant *q, int64_t c) { return q->channels ? q->scales[c] : q->scale; }
static inline int32_t kf__q_zero(const kf__quant *q, int64_t c) {
    return q->channels && q->zeros ? q->zeros[c] : q->zero;
}

/** A real clip bound in q units of channel c: rne(bound / s) + z in double, kept inside qmin..qmax. */
static inline int32_t kf__q_bound(const kf__quant *q, int64_t c, float bound) {
    double t = rint((double)bound / (double)kf__q_scale(q, c)) + (double)kf__q_zero(q, c);
    return (int32_t)kf__whole(t, q->qmin, q->qmax, q->qmin);
}

#endif
