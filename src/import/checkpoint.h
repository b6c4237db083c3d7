/* Checkpoints without a graph (safetensors) to graphs, by recognising the variant.
 * Floor 5: includes base, tensor, graph, container, zoo.
 * Owner rule: the returned graph owns all it refers to. */
#ifndef KF_CHECKPOINT_H
#define KF_CHECKPOINT_H
#include "graph/graph.h"

typedef struct kf__checkpoint_options {
    const char *arch;        /* a zoo name; NULL: the first variant that every tensor fits */
    const char *input_shape; /* "1x3xNxN"; NULL: 224 */
} kf__checkpoint_options;

/** Errors name the tensor: FORMAT (missing, not finite, negative variance), SHAPE, UNSUPPORTED (no variant, extra tensors). */
kf_status kf__checkpoint_read(const void *data, size_t bytes, const kf__checkpoint_options *options, kf__graph **out, kf_error *err);
#endif
