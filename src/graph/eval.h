/* Private to src/graph: pieces of the node evaluator.
 * Floor 3.
 * Owner rule: outputs come from the caller's arena. */
#ifndef KF_EVAL_H
#define KF_EVAL_H

#include "graph/graph.h"

/** Element i as a number; any dtype. */
double kf__eval_get(const kf__dense *t, size_t i);
void kf__eval_put(kf__dense *t, size_t i, double v);
/** Activation in double precision. */
double kf__eval_activation(const kf__activation *a, double x);
/** Allocate out->data for out->shape. */
kf_status kf__eval_alloc(kf__dense *out, kf_dtype dtype, kf__arena *arena, kf_error *err);
/** QuantizeLinear and DequantizeLinear, in f32 arithmetic as ONNX Runtime does it: x / scale, ties to even, saturated. */
kf_status kf__eval_linear(const kf__node *n, const kf__dense *const *in, int n_in, kf__dense *out, kf__arena *arena, kf_error *err);
/** The three families; out->shape is set by the caller from inference. */
kf_status kf__eval_movement(const kf__node *n, const kf__dense *const *in, int n_in, kf__dense *out, kf__arena *arena,
                            kf_error *err);
kf_status kf__eval_elementwise(const kf__node *n, const kf__dense *const *in, int n_in, kf__dense *out, kf__arena *arena,
                               kf_error *err);
kf_status kf__eval_network(const kf__node *n, const kf__dense *const *in, int n_in, kf__dense *out, kf__arena *arena,
                           kf_error *err);

#endif
