/* Activations that act on the f32 accumulator before the only rounding: kinds, bounds, and the arithmetic of one value.
 * Graph attributes, program steps and kernels share the type, so nothing is converted between them.
 * Owner rule: pure inline functions; compile every user with -ffp-contract=off. */
#ifndef KF_ACTIVATION_H
#define KF_ACTIVATION_H

#include <math.h>

#include "base/base.h"

/** X(identifier, name in the model file). */
#define KF_ACTS(X)                                                                                                     \
    X(NONE, "none")         /* x */                                                                                    \
    X(CLIP, "clip")         /* min(max(x, lo), hi); ReLU is lo = 0, hi = +inf; ReLU6 hi = 6 */                         \
    X(HSWISH, "hswish")     /* min(max(x + 3, 0), 6) * (x * k), k = 1/6 */                                             \
    X(HSIGMOID, "hsigmoid") /* min(max(x + 3, 0), 6) * (1/6) */                                                        \
    X(HARDSIGMOID,                                                                                                     \
      "hardsigmoid")      /* min(max(alpha * x + beta, 0), 1): ONNX HardSigmoid with an alpha other than 1/6 */        \
    X(SIGMOID, "sigmoid") /* 1 / (1 + exp(-x)); float models only */                                                   \
    X(SILU, "silu")       /* x * sigmoid(x); float models only */

typedef enum kf__act {
#define KF_X(id, name) KF_ACT_##id,
    KF_ACTS(KF_X)
#undef KF_X
        KF_ACT_COUNT
} kf__act;

typedef struct kf__activation {
    kf__act kind;
    float lo, hi; /* CLIP: bounds, which may be infinite; HARDSIGMOID: alpha, beta; else not read, and 0 */
} kf__activation;

/** "hswish"; "?" out of range. And back: KF_ACT_COUNT for an unknown name. */
const char *kf__act_name(kf__act kind);
kf__act kf__act_from_name(const char *name);

static inline bool kf__activation_same(const kf__activation *a, const kf__activation *b) {
    return a->kind == b->kind && a->lo == b->lo && a->hi == b->hi;
}

/** Does it call expf, whose last bits differ between math libraries? */
static inline bool kf__activation_by_expf(const kf__activation *a) {
    return a->kind == KF_ACT_SIGMOID || a->kind == KF_ACT_SILU;
}

/** Can it be done on integers, as bounds of the only rounding? */
static inline bool kf__activation_is_clip(const kf__activation *a) {
    return a->kind == KF_ACT_NONE || a->kind == KF_ACT_CLIP;
}

static inline float kf__clampf(float x, float lo, float hi) {
    x = x > lo ? x : lo;
    return x < hi ? x : hi;
}

/** The same for a real value, where NaN stays NaN. A bound wins where both are zeros, so ReLU of -0 is 0. */
static inline float kf__clip(float x, float lo, float hi) {
    x = x <= lo ? lo : x;
    return x >= hi ? hi : x;
}

/** h-swish with the factor `k`: (f32)(1/6) for an f32 result, (f32)(1 / (6 * s_out)) when rounding comes next. */
static inline float kf__hswish(float x, float k) {
    float t = x + 3.0f;
    t = kf__clampf(t, 0.0f, 6.0f);
    return t * (x * k);
}

static inline float kf__hsigmoid(float x) { return kf__clip(x + 3.0f, 0.0f, 6.0f) * (1.0f / 6.0f); }

/** Any activation on one f32 value, in the contract's operation order. */
static inline float kf__activate(kf__act act, float x, float lo, float hi) {
    switch (act) {
    case KF_ACT_CLIP: return kf__clip(x, lo, hi);
    case KF_ACT_HSWISH: return kf__hswish(x, 1.0f / 6.0f);
    case KF_ACT_HSIGMOID: return kf__hsigmoid(x);
    case KF_ACT_HARDSIGMOID: return kf__clip(x * lo + hi, 0.0f, 1.0f); /* lo = alpha, hi = beta */
    case KF_ACT_SIGMOID: return 1.0f / (1.0f + expf(-x));
    case KF_ACT_SILU: return x / (1.0f + expf(-x));
    case KF_ACT_NONE:
    case KF_ACT_COUNT: break;
    }
    return x;
}

#endif
