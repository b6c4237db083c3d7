/* The one definition of rounding, clamping and multipliers of quantized arithmetic (docs/NUMERICS.md).
 * Used by the integer interpreter, the scalar kernels, the quantizer and the lowering.
 * Owner rule: pure inline functions; compile every user with -ffp-contract=off. */
#ifndef KF_REQUANT_H
#define KF_REQUANT_H

#include "tensor/activation.h"

/** Smallest and largest scale a model may carry; checked at load. */
#define KF_SCALE_MIN 1e-30f
#define KF_SCALE_MAX 1e30f

/** Round to nearest, ties to even, of a value already clamped into the i32 range. The caller's rounding mode is
 *  to-nearest: run entry points set it. */
static inline int32_t kf__rne(float x) { return (int32_t)lrintf(x); }

/** Step 5 of the numerics page: clamp in f32 to [lo - z, hi - z], round, add z. `lo`, `hi` are inclusive q bounds. */
static inline int32_t kf__quantize_clamped(float x, int32_t z, int32_t lo, int32_t hi) {
    float fl = (float)(lo - z), fh = (float)(hi - z);
    x = x < fl ? fl : x;
    x = x > fh ? fh : x;
    return kf__rne(x) + z;
}

/** Multipliers: products and quotients in double, rounded once. */
static inline float kf__mult2(double a, double b) { return (float)(a * b); }
static inline float kf__mult3(double a, double b, double c) { return (float)(a * b / c); }
static inline float kf__inverse(double s) { return (float)(1.0 / s); }

#endif
