/* Runs networks on single samples: logits of the float and the quantized network, and the effect of one rounding
 * alone on the float one's. Private to src/quantize. Integers as the reals they stand for, on the float kernels; not
 * bit-exact, but within rounding ties. Owner rule: kf__trial_close releases everything; both graphs and the samples
 * are borrowed. */
#ifndef KF_TRIAL_H
#define KF_TRIAL_H

#include "quantize/sim.h"

/** A weighted node: 0 is the float network's, 1 the quantized one's, 2 the float one's with the noise of rounding its
 * weights. */
typedef struct kf__trial_layer {
    kf__sim_layer l; /* convolutions and fully connected layers */
    float *packed[3];
    float *bias[3];                       /* [O] */
    float *w1[2], *b1[2], *w2[2], *b2[2]; /* gates: [hidden][C], [hidden], [C][hidden], [C] */
} kf__trial_layer;

/** Grid of a quantized value, by channel. All NULL: f32. */
typedef struct kf__trial_grid {
    float *inv, *scale, *lo, *hi;
} kf__trial_grid;

typedef struct kf__trial {
    kf__sim sim; /* kernels, pool, arena and the quantized graph; it holds no samples */
    const kf__graph *real;
    const kf__qsamples *samples;
    kf__trial_layer *layers; /* [n_nodes] */
    kf__trial_grid *grids;   /* [n_values] */
    kf__vid logits;          /* the first output, or what its softmax reads */
    size_t classes;
    /* Of kf__trial_errors, from the calling thread; not 0 stops with KF_ERR_CANCELLED. NULL: none. */
    int (*progress)(void *user, size_t done, size_t total);
    void *user;
} kf__trial;

/** One thing rounded: the output of a node, or its weights. */
typedef struct kf__trial_change {
    size_t node;
    bool weights;
} kf__trial_change;

/** `real` is the fused float graph, `quantized` its clone after kf__quantize; nodes and values have the same numbers in
 * both. */
kf_status kf__trial_open(kf__trial *t, const kf__graph *real, kf__graph *quantized, const kf__qsamples *samples,
                         int threads, kf_error *err);
void kf__trial_close(kf__trial *t);
/** Logits [samples][classes] of the float (`which` 0) or the quantized network (1). */
kf_status kf__trial_logits(kf__trial *t, int which, float *logits);
/** Let changes of weights add `noise` [n_nodes], as kf__quantize left it. */
kf_status kf__trial_noise(kf__trial *t, const kf__qnoise *noise);
/** Squared error of the float network's logits, summed over the samples, with change i applied and all else float.
 * `logits`: without changes. */
kf_status kf__trial_errors(kf__trial *t, const float *logits, const kf__trial_change *changes, size_t n, double *error);

#endif
