/* Shared by the files of the ONNX writer: the protobuf tree under construction.
 * Allocation failures stick in `failed` and every helper takes the NULL that follows, so only the end is checked.
 * Owner rule: the tree lives in `arena`; initializers borrow the graph's data; the lists are malloc'ed until the end.
 */
#ifndef KF_ONNX_WRITER_PRIVATE_H
#define KF_ONNX_WRITER_PRIVATE_H

#include "import/name_index.h"
#include "import/onnx_writer.h"
#include "onnx.pb-c.h"

/** A growing list of message pointers. */
typedef struct kf__message_list {
    void **items;
    size_t n, cap;
} kf__message_list;

typedef struct kf__onnx_out {
    const kf__graph *g;
    kf_error *err;
    kf__arena arena;
    bool failed; /* an allocation failed */
    int opset;
    unsigned serial;     /* makes names unique */
    const char **names;  /* [n_values], NULL until the value is named */
    bool *constant_used; /* [n_values]: an input of a written node */
    kf__name_index value_names, node_names;
    kf__message_list nodes, initializers;
    bool exact;     /* quantized: unit scales, the contract's arithmetic spelled out (onnx_writer_exact.c) */
    bool quantized; /* some value has integers: QuantizeLinear and DequantizeLinear go between the nodes */
    const char *
        *outputs; /* exact: [n_outputs] names of quantized outputs; their values have other names until the end */
    const char *bias_map; /* of the convolution being written: what is added for each output pixel, or NULL */
    const char *rounded;  /* of the node being written: the name that its output has once it is rounded */
} kf__onnx_out;

/** Zeroed memory of the tree; NULL sets `failed`. */
void *kf__out_alloc(kf__onnx_out *w, size_t bytes);
/** Append to a list; a NULL message sets `failed`. */
void kf__out_append(kf__onnx_out *w, kf__message_list *list, void *message);
/** A unique value name made of `base` and `suffix`. Never NULL. */
const char *kf__out_fresh(kf__onnx_out *w, const char *base, const char *suffix);
/** Name of a value that a node reads or makes; "" for KF_NO_VALUE. Constants named here become initializers. */
const char *kf__out_name(kf__onnx_out *w, kf__vid v);
/** New initializer named after `base` and `suffix`; `data` is borrowed and has to outlive the writing. Returns its
 * name. */
const char *kf__out_initializer(kf__onnx_out *w, const char *base, const char *suffix, kf_dtype dtype,
                                const kf__shape *shape, const void *data);
/** A float scalar as initializer. */
const char *kf__out_scalar(kf__onnx_out *w, const char *base, float value);
/** A list of integers as initializer. */
const char *kf__out_ints(kf__onnx_out *w, const char *base, const int64_t *list, int n);

/** Append a node; the names in `in` and `out` are borrowed. Absent trailing inputs are dropped. NULL when out of
 * memory. */
Onnx__NodeProto *kf__out_node(kf__onnx_out *w, const char *op, const char *name, const char *const *in, int n_in,
                              const char *const *out, int n_out);
/** Names the ONNX nodes from `first` on, which `n` became: as in the file where they can be identified, else
 * generated. */
void kf__out_settle_names(kf__onnx_out *w, const kf__node *n, size_t first);
/* Attributes; `p` may be NULL. */
void kf__out_attr_int(kf__onnx_out *w, Onnx__NodeProto *p, const char *name, int64_t value);
void kf__out_attr_float(kf__onnx_out *w, Onnx__NodeProto *p, const char *name, float value);
void kf__out_attr_text(kf__onnx_out *w, Onnx__NodeProto *p, const char *name, const char *text);
void kf__out_attr_ints(kf__onnx_out *w, Onnx__NodeProto *p, const char *name, const int64_t *list, int n);
void kf__out_attr_tensor(kf__onnx_out *w, Onnx__NodeProto *p, const char *name, Onnx__TensorProto *t);
/** Tensor message over borrowed data; NULL when out of memory. */
Onnx__TensorProto *kf__out_tensor(kf__onnx_out *w, const char *name, kf_dtype dtype, const kf__shape *shape,
                                  const void *data);
/** ONNX number of an element type; 0 if ONNX has none. */
int kf__out_dtype(kf_dtype dtype);

/** A unique name for a generated node, from `base` and `suffix`. */
const char *kf__out_node_name(kf__onnx_out *w, const char *base, const char *suffix);

/* ---- quantized graphs (onnx_writer_qdq.c) ------------------------------------------------------------------------ */

/** Sets `quantized` and the lowest opset that has what the graph needs: 13, or 21 for 16 bits. */
kf_status kf__out_qdq_begin(kf__onnx_out *w);
/** Quantization of the graph's inputs; afterwards their names mean the numbers that the integers stand for. */
kf_status kf__out_qdq_inputs(kf__onnx_out *w);
/** Before and after one node: constants behind DequantizeLinear, output rounded by a pair of both. */
kf_status kf__out_qdq_before(kf__onnx_out *w, const kf__node *n);
void kf__out_qdq_after(kf__onnx_out *w, const kf__node *n);
/** QuantizeLinear and DequantizeLinear: `in` to integers of `q` and back, as value `out`. */
void kf__out_round_to(kf__onnx_out *w, const char *base, const kf__quant *q, const char *in, const char *out);
/** A copy of `n` elements as initializer of one dimension: a scalar when `n` is 0. */
const char *kf__out_vector(kf__onnx_out *w, const char *base, const char *suffix, kf_dtype dtype, int64_t n,
                           const void *data);
/** Pixels 0..255 from the normalized input `raw`. */
kf_status kf__out_pixels(kf__onnx_out *w, kf__vid v, const char *raw, const char **out);
/** The pixel layer's bias [classes, O] spread over its output image, times `scale` of each channel (NULL: as integers).
 */
kf_status kf__out_bias_map(kf__onnx_out *w, const kf__node *n, const double *scale, const char **out);
/** Does the node only move or select numbers of a quantized input? */
bool kf__out_moves(const kf__onnx_out *w, const kf__node *n);
/** The exact forms of kf__out_qdq_inputs, of a node with what precedes and follows it, and of the end after all
 * nodes. */
kf_status kf__out_exact_inputs(kf__onnx_out *w);
kf_status kf__out_exact_node(kf__onnx_out *w, const kf__node *n);
void kf__out_exact_outputs(kf__onnx_out *w);
/** `in` rounded to what `q` can hold; the same name when `q` is NULL. `base` names what is made. */
const char *kf__out_rounded(kf__onnx_out *w, const char *base, const kf__quant *q, const char *in);
/** Weight constant `v` under another shape of the same count: an initializer, behind DequantizeLinear where it has
 * integers. */
const char *kf__out_weight(kf__onnx_out *w, const char *base, const kf__value *v, const kf__shape *shape);

/** Write one graph node as one or several ONNX nodes. */
kf_status kf__out_graph_node(kf__onnx_out *w, const kf__node *n);
/** The fused operators and those with an activation inside, spelled out (onnx_writer_fused.c). */
void kf__out_conv(kf__onnx_out *w, const kf__node *n);
void kf__out_add(kf__onnx_out *w, const kf__node *n);
void kf__out_hard_swish(kf__onnx_out *w, const kf__node *n);
void kf__out_fc(kf__onnx_out *w, const kf__node *n);
void kf__out_act(kf__onnx_out *w, const kf__node *n);
void kf__out_se_gate(kf__onnx_out *w, const kf__node *n);
void kf__out_scale(kf__onnx_out *w, const kf__node *n);
/** A separate activation: `in` to `out`. */
void kf__out_activation(kf__onnx_out *w, const char *node_name, const kf__activation *act, const char *in,
                        const char *out);
/** The window attributes of convolutions and poolings. */
void kf__out_window(kf__onnx_out *w, Onnx__NodeProto *p, const kf__node *n);

#endif
