/* Weights to integers: a scale for each row, then rounding that looks at the layer's inputs.
 * Private to src/quantize.
 * Owner rule: borrows everything. */
#ifndef KF_WEIGHTS_H
#define KF_WEIGHTS_H

#include "quantize/sim.h"

/** Second moments of a layer's inputs about their means, over sampled rows. Depthwise layers have one K x K block
 * per channel. */
typedef struct kf__moments {
    size_t k, blocks;
    float *hq;    /* [blocks][K][K]: quantized network's input with itself */
    float *cross; /* [blocks][K][K]: quantized (rows) with float (columns) network's input */
} kf__moments;
kf_status kf__moments_collect(kf__sim *s, const kf__sim_layer *l, const kf__node *n, kf__arena *arena,
                              kf__moments *out);

/** One row's scale: the clip with the least squared error, inputs weighted by their power (`diag`, K apart by `step`;
 * NULL: equally). */
float kf__weight_scale(const float *row, size_t k, const float *diag, size_t step, int32_t qmax);

typedef struct kf__weight_job {
    const float *rows; /* [O][K] */
    int32_t *q;        /* [O][K], out */
    float *scale;      /* [O], in; with `gain` also out */
    size_t o, k;
    int32_t qmax;
    const kf__moments *m; /* NULL: to nearest */
    bool cross, gain;     /* gain: refit each row's scale to its integers */
    double ridge;         /* share of the inputs' mean power that pulls weights towards the float ones */
} kf__weight_job;
/** The ridge for K inputs and `samples` samples. */
double kf__weights_ridge(size_t k, size_t samples);
/** Round all rows; coordinate descent where moments are given. */
kf_status kf__weights_round(kf__sim *s, const kf__weight_job *job);

#endif
