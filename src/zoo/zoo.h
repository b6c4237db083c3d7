/* The MobileNetV3 family as data, and the builder that makes a graph of one variant.
 * Floor 4: includes base, tensor, graph.
 * Owner rule: tables are static; the built graph belongs to the caller. */
#ifndef KF_ZOO_H
#define KF_ZOO_H
#include "graph/graph.h"

/** One bottleneck in the paper's terms; channels before the width multiplier. */
typedef struct kf__zoo_block {
    int8_t stage, kernel, stride, se, hswish; /* se, hswish: 0 or 1 */
    double expansion;                         /* 1: depthwise separable; 0: a plain 1x1 convolution */
    int16_t out;
} kf__zoo_block;

typedef struct kf__zoo_variant {
    const char *name;
    const kf__zoo_block *blocks;
    int n_blocks;
    double width;
    int features; /* of the head convolution; not scaled */
    float epsilon;
    bool same, minimal, rw; /* TF SAME padding; ReLU only; timm's own early form (no head bias, exact squeeze) */
} kf__zoo_variant;

/** Weights by checkpoint name: f32 elements of exactly `shape`, or an error that names the tensor. */
typedef kf_status (*kf__zoo_fetch)(void *user, const char *name, const kf__shape *shape, const float **data, kf_error *err);

const kf__zoo_variant *kf__zoo_at(size_t index); /* NULL past the end */
kf_status kf__zoo_build(const kf__zoo_variant *v, int64_t classes, int64_t side, kf__zoo_fetch fetch, void *user, kf__graph **out, kf_error *err);
#endif
