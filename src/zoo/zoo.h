/* The MobileNetV3 family as data: one table per variant, one builder that makes a graph of it.
 * Owner rule: tables are static; a built graph belongs to the caller and copies all weights. */
#ifndef KF_ZOO_H
#define KF_ZOO_H

#include "graph/graph.h"

typedef enum kf__zoo_kind {
    KF_ZOO_SEPARABLE,  /* depthwise, [squeeze-and-excite], pointwise: the first block, without expansion */
    KF_ZOO_BOTTLENECK, /* inverted residual: expand, depthwise, [squeeze-and-excite], project */
    KF_ZOO_CONV        /* pointwise before the pool */
} kf__zoo_kind;

/** One row: `repeats` blocks. Paper terms: kernel, expansion factor, output channels, squeeze-and-excite, nonlinearity,
 * stride. A stride counts for the first block of its stage only. */
typedef struct kf__zoo_row {
    int8_t stage, repeats;
    kf__zoo_kind kind;
    int8_t kernel, stride;
    double expansion;
    int16_t out; /* before the width multiplier */
    bool se;     /* squeeze ratio 1/4 of the expanded channels */
    bool relu;   /* ReLU whatever the network's activation is */
} kf__zoo_row;

/** Spelling of tensor and node names. */
typedef enum kf__zoo_style { KF_ZOO_TIMM, KF_ZOO_TORCHVISION } kf__zoo_style;

typedef struct kf__zoo_arch {
    const char *name;
    kf__zoo_style style;
    const kf__zoo_row *rows;
    int32_t n_rows;
    double width, depth; /* multipliers */
    int32_t features;    /* channels of the layer before the classifier; not scaled by the width */
    bool fixed_stem;     /* 16 stem channels whatever the width */
    bool minimal;        /* ReLU everywhere */
    bool same_padding;   /* TensorFlow's SAME: pads right and bottom first */
    bool no_skip0;       /* the first block has no residual */
    bool se_exact; /* squeezed channels rounded to integers, not to multiples of 8; its activation is the block's */
    bool no_head_bias;
    float epsilon;
    int32_t size;       /* pixels, of the published weights */
    float top1;         /* published ImageNet top-1 in percent; 0: none */
    const char *source; /* where rows and top-1 come from */
} kf__zoo_arch;

int32_t kf__zoo_count(void);
const kf__zoo_arch *kf__zoo_at(int32_t index);
/** NULL when unknown. */
const kf__zoo_arch *kf__zoo_find(const char *name);

/** Multiples of 8, never more than 10 % below `v` (the paper's rule). */
int32_t kf__zoo_round_channels(double v);

/** The weight source: data of tensor `key` as f32, row-major, exactly of `shape`. Called once for each tensor, in
 * network order. The pointer is used before the next call only. */
typedef kf_status kf__zoo_weight_fn(void *user, const char *key, const kf__shape *shape, const float **data,
                                    kf_error *err);

typedef struct kf__zoo_request {
    const kf__zoo_arch *arch;
    int32_t classes, height, width;
    kf__zoo_weight_fn *weight; /* NULL: zeros (for counting) */
    void *user;
    int64_t *parameters; /* NULL, or gets the learned elements, as timm counts them (running statistics excluded) */
} kf__zoo_request;

/** Build the graph, batch norms folded (docs/NUMERICS.md has the order of operations), names as a PyTorch export spells
 * them: input "data" [1,3,height,width], output "output" [1,classes]. Shapes are inferred. */
kf_status kf__zoo_build(const kf__zoo_request *request, kf__graph **out, kf_error *err);

#endif
