/* Writes integers into the graph: weight constants with their scales, bias constants, the pixel layer's bias table.
 * Private to src/quantize.
 * Owner rule: everything new lives in the graph's arena. */
#ifndef KF_STORE_H
#define KF_STORE_H

#include "quantize/sim.h"

/** Replace input `index` of the node by integers q[O][kh][kw][I/g] (kept in ONNX order) with row scales. */
kf_status kf__store_weights(kf__sim *s, kf__node *n, int index, const kf__sim_layer *l, const int32_t *q,
                            const float *scale, int32_t qmax);
/** Replace (or add) input `index` by the bias: I32 in units of s_in[o] * scale[o], or F32 when `as_float`. */
kf_status kf__store_bias(kf__sim *s, kf__node *n, int index, size_t o, const double *bias, const float *s_in,
                         const float *scale, bool as_float);
/** The pixel layer: one row for each border class (docs/NUMERICS.md). */
kf_status kf__store_pixel_bias(kf__sim *s, kf__node *n, const kf__sim_layer *l, const int32_t *q, const double *bias,
                               const float *scale);

#endif
