/* The readable executor of a graph: double-accumulating f32, and exact integers where values are quantized. The oracle.
 * Owner rule: every tensor it makes lives in the caller's arena. */
#ifndef KF_REF_H
#define KF_REF_H

#include "graph/qrules.h"

/** Called with every node output (and the graph inputs) in execution order: f32 in float graphs, the stored u8 or
 * i16 in quantized ones. A status other than KF_OK stops the run with that status. */
typedef kf_status (*kf__ref_value_fn)(void *user, const kf__graph *g, kf__vid v, const kf__dense *value, kf_error *err);

/** Run the graph. `in` has g->n_inputs tensors: f32 in the declared shape, or for a quantized input also its stored
 * type. `out` (g->n_outputs entries) gets f32 tensors in `arena`. `each` may be NULL. The rounding mode must be
 * to-nearest. */
kf_status kf__ref_run(const kf__graph *g, const kf__dense *in, size_t n_in, kf__dense *out, size_t n_out,
                      kf__ref_value_fn each, void *user, kf__arena *arena, kf_error *err);

/* ---- pieces shared inside the folder ----------------------------------------------------------------------------- */

/** Stored integer at index i of a u8, i8, i16 or i32 tensor. */
int32_t kf__ref_get(const kf__dense *t, size_t i);
void kf__ref_put(kf__dense *t, size_t i, int32_t q);
/** Tensor of this type and shape in the arena, zeroed. */
kf_status kf__ref_alloc(kf__dense *out, kf_dtype dtype, const kf__shape *shape, kf__arena *arena, kf_error *err);
/** f32 to the stored type and back, by docs/NUMERICS.md (graph input and output rows). */
kf_status kf__ref_quantize(const kf__dense *in, const kf__quant *q, kf__dense *out, kf__arena *arena, kf_error *err);
kf_status kf__ref_dequantize(const kf__dense *in, const kf__quant *q, kf__dense *out, kf__arena *arena, kf_error *err);

/** A node with the tensors and quantization of its inputs and output. */
typedef struct kf__ref_node {
    const kf__graph *g;
    const kf__node *n;
    const kf__dense *in[64]; /* NULL: absent */
    const kf__quant *in_q[64];
    const kf__quant *out_q; /* NULL: f32 */
    kf__dense *out;
    kf__arena *arena;
    kf_error *err;
} kf__ref_node;

/** One node on integers, by its operator's rule. Operators without one run in f32, between dequantize and quantize. */
kf_status kf__ref_integer(kf__ref_node *r);
kf_status kf__ref_conv(kf__ref_node *r);
kf_status kf__ref_fc(kf__ref_node *r);
kf_status kf__ref_se_gate(kf__ref_node *r);

#endif
