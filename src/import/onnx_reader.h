/* ONNX files to graphs.
 * Owner rule: the returned graph owns all it refers to; the input bytes may be released at once. */
#ifndef KF_ONNX_READER_H
#define KF_ONNX_READER_H

#include "graph/graph.h"
#include "kitfox/graph_types.h"

/** Highest IR version whose rules are known here; newer files import with a notice. */
#define KF_ONNX_KNOWN_IR 10
#define KF_ONNX_MIN_OPSET 7
#define KF_ONNX_MAX_OPSET 22

typedef struct kf__onnx_options {
    const char *path;        /* of the file, for external data beside it; NULL refuses external data */
    kf_import_options asked; /* input_shape, notice, node and file count here */
} kf__onnx_options;

/** Parse, check and translate. Errors: FORMAT, UNSUPPORTED, SHAPE, LIMIT, IO (external data), MEMORY. */
kf_status kf__onnx_read(const void *data, size_t bytes, const kf__onnx_options *options, kf__graph **out,
                        kf_error *err);

#endif
