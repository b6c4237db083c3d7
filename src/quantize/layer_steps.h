/* One node of the paired networks: computes both, finds ranges, corrects, and writes the integers into the graph.
 * Private to src/quantize.
 * Owner rule: see sim.h. */
#ifndef KF_QUANTIZE_LAYER_STEPS_H
#define KF_QUANTIZE_LAYER_STEPS_H

#include "quantize/sim.h"

/** Node `index`, by its role: one of the three below. */
kf_status kf__step_node(kf__sim *s, size_t index);
/** Convolution or fully connected layer (node `index`). */
kf_status kf__step_layer(kf__sim *s, size_t index);
/** Squeeze-and-excite branch: pooled values and hidden layer in i16, gate in f32. */
kf_status kf__step_gate(kf__sim *s, size_t index);
/** Everything else. */
kf_status kf__step_plain(kf__sim *s, size_t index);
/** A node of the last kind on real values, one sample: x by input (NULL for constants). */
kf_status kf__step_compute(kf__sim *s, const kf__node *n, const float *const *x, float *out);

/** Row scales that also hold the bias: a row of zeros gets one from its bias, a small one grows until the bias fits 28
 * bits. */
void kf__step_guard(float *scale, size_t o, const float *s_in, const double *bias);

#endif
