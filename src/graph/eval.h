/* Pieces of the node evaluator, for src/graph; the ONNX writer stores elements with them.
 * Owner rule: outputs come from the caller's arena. */
#ifndef KF_EVAL_H
#define KF_EVAL_H

#include "graph/graph.h"

/** Element i as a number; any dtype. */
double kf__eval_get(const kf__dense *t, size_t i);
void kf__eval_put(kf__dense *t, size_t i, double v);
/** Activation in double precision. */
double kf__eval_activation(const kf__activation *a, double x);
/** Allocate out->data for out->shape and out->dtype. */
kf_status kf__eval_alloc(kf__dense *out, kf__arena *arena, kf_error *err);

/** One node under evaluation. Inference has set the shapes and types of the outputs; evaluators allocate their data. */
typedef struct kf__eval {
    const kf__node *n;
    const kf__dense *const *in; /* NULL for absent ones; in[0] is present */
    int n_in;
    kf__dense *out;
    int n_out;
    kf__arena *arena;
    kf_error *err;
} kf__eval;

/* The evaluators that ops.def names. Everything is computed in double and rounded once to the result type; i64 stays in
 * i64; QuantizeLinear and DequantizeLinear are single f32 operations, as ONNX Runtime does them. */
typedef kf_status kf__eval_fn(const kf__eval *e);
#define KF_OP(id, name, least, most, role, attrs, shape, type, eval, ...) kf__eval_fn kf__eval_##eval;
#include "graph/ops.def"
#undef KF_OP

#endif
