/* The one definition of rounding, clamping and multipliers of quantized arithmetic (docs/NUMERICS.md).
 * Floor 2: used by the integer interpreter, the scalar kernels, the quantizer and the lowering.
 * Owner rule: pure inline functions; compile every user with -ffp-contract=off. */
#ifndef KF_REQUANT_H
#define KF_REQUANT_H

#include <math.h>

#include "base/base.h"

/** Smallest and largest scale a model may carry; checked at load. */
#define KF_SCALE_MIN 1e-30f
#define KF_SCALE_MAX 1e30f

/** Activations that act on the f32 accumulator before the only rounding. */
typedef enum kf__act {
    KF_ACT_NONE = 0,
    KF_ACT_CLIP,        /* min(max(x, lo), hi); ReLU is lo = 0, hi = +inf; ReLU6 hi = 6 */
    KF_ACT_HSWISH,      /* min(max(x + 3, 0), 6) * (x * k), k = 1/6 */
    KF_ACT_HSIGMOID,    /* min(max(x + 3, 0), 6) * (1/6) */
    KF_ACT_HARDSIGMOID, /* min(max(alpha * x + beta, 0), 1): ONNX HardSigmoid with an alpha other than 1/6 */
    KF_ACT_SIGMOID,     /* 1 / (1 + exp(-x)); float models only */
    KF_ACT_SILU,        /* x * sigmoid(x); float models only */
    KF_ACT_COUNT
} kf__act;

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

static inline float kf__clampf(float x, float lo, float hi) {
    x = x > lo ? x : lo;
    return x < hi ? x : hi;
}

/** h-swish with the factor `k`: (f32)(1/6) for an f32 result, (f32)(1 / (6 * s_out)) when rounding comes next. */
static inline float kf__hswish(float x, float k) {
    float t = x + 3.0f;
    t = kf__clampf(t, 0.0f, 6.0f);
    return t * (x * k);
}

static inline float kf__hsigmoid(float x) { return kf__clampf(x + 3.0f, 0.0f, 6.0f) * (1.0f / 6.0f); }

/** Any activation on one f32 value, in the contract's operation order. */
static inline float kf__activate(kf__act act, float x, float lo, float hi) {
    switch (act) {
    case KF_ACT_CLIP: return kf__clampf(x, lo, hi);
    case KF_ACT_HSWISH: return kf__hswish(x, 1.0f / 6.0f);
    case KF_ACT_HSIGMOID: return kf__hsigmoid(x);
    case KF_ACT_HARDSIGMOID: return kf__clampf(x * lo + hi, 0.0f, 1.0f); /* lo = alpha, hi = beta */
    case KF_ACT_SIGMOID: return 1.0f / (1.0f + expf(-x));
    case KF_ACT_SILU: return x / (1.0f + expf(-x));
    default: return x;
    }
}

/** Multipliers: products and quotients in double, rounded once. */
static inline float kf__mult2(double a, double b) { return (float)(a * b); }
static inline float kf__mult3(double a, double b, double c) { return (float)(a * b / c); }
static inline float kf__inverse(double s) { return (float)(1.0 / s); }

#endif
