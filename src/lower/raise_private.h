/* Shared by the files that turn a program back into a graph.
 * Owner rule: the graph owns all that is made; the program is only read. */
#ifndef KF_RAISE_PRIVATE_H
#define KF_RAISE_PRIVATE_H

#include "lower/raise.h"

#pragma GCC diagnostic error "-Wswitch-enum" /* every switch must handle a new kind, or it does not compile */

typedef struct kf__raising {
    const kf__program *p;
    kf__graph *g;
    kf_error *err;
    kf__vid *value; /* by tensor: the value that holds it, with rank 4, 2 or the input's own; -1 before it exists */
} kf__raising;

/** Name of a layer as PyTorch has it, from the node that a PyTorch export made of it:
 * "/blocks/blocks.0/blocks.0.0/conv_dw/Conv" is "blocks.0.0.conv_dw". Other names stay. NULL when out of memory. */
const char *kf__layer_name(kf__arena *arena, const char *node);
/** Input `k` of a step as a value of rank 2 or 4, through a Flatten or Reshape where needed. */
kf_status kf__raise_input(kf__raising *r, const kf__step *s, int k, int rank, kf__vid *out);
/** Any value under another shape of equal element count; `out` names the result, "" generates one. */
kf_status kf__raise_reshape(kf__raising *r, kf__vid v, const kf__shape *shape, const char *name, kf__vid *out);
/** Quantization of a tensor, copied into the graph; *out is NULL for f32. */
kf_status kf__raise_quant(kf__raising *r, const kf__ptensor *t, kf__quant **out);
/** The scales of an integer step's weights; call it after kf__raise_weights. */
kf_status kf__raise_weight_scales(kf__raising *r, const kf__step *s, const kf__vid *in);
/** Scales of the pooled and the hidden value of a gate over integers, into its node. */
kf_status kf__raise_gate_scales(kf__raising *r, const kf__step *s, kf__attrs *a);
/** The proof that a quantized graph says what its program does: compiled again, it gives the same steps, integers and
 * bounds, and factors equal to 2^-20. UNSUPPORTED names the step that differs. */
kf_status kf__raise_proof(const kf__program *p, const kf__graph *g, kf_error *err);
/** Constants of one step as inputs 1.. of its node: convolution weights OIHW, matrices, biases. */
kf_status kf__raise_weights(kf__raising *r, const kf__step *s, kf__vid *in, int *n_in);

#endif
