/* Checkpoints without a graph (safetensors) to graphs, by recognising the variant.
 * Owner rule: the returned graph owns all it refers to. */
#ifndef KF_CHECKPOINT_H
#define KF_CHECKPOINT_H
#include "graph/graph.h"
#include "kitfox/graph_types.h"

typedef struct kf__checkpoint_options {
    kf_import_options asked; /* arch, input_shape and notice count here */
    int32_t side;            /* pixels where `input_shape` is NULL; 0: the architecture's own */
} kf__checkpoint_options;

/** Tensors of a checkpoint as they lie in memory. Borrowed. */
typedef struct kf__checkpoint_tensors {
    const kf_tensor *list;
    size_t n;
} kf__checkpoint_tensors;

/** Errors name the tensor: FORMAT (damaged file, wrong type, not finite, negative variance), SHAPE, UNSUPPORTED
 * (missing, extra, or no variant fits: then the nearest one and its first difference are named). */
kf_status kf__checkpoint_read(const void *data, size_t bytes, const kf__checkpoint_options *options, kf__graph **out,
                              kf_error *err);
/** The same of tensors in memory. ARGUMENT also: no name, one twice, no data, bytes that do not fit the shape. */
kf_status kf__checkpoint_take(const kf__checkpoint_tensors *tensors, const kf__checkpoint_options *options,
                              kf__graph **out, kf_error *err);
#endif
