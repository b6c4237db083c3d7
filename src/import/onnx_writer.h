/* Graphs to ONNX bytes: the inverse of the reader, in the operator forms of the graph's own opset.
 * Floor 4: includes base, graph.
 * Owner rule: the bytes are malloc'ed and belong to the caller. */
#ifndef KF_ONNX_WRITER_H
#define KF_ONNX_WRITER_H

#include "graph/graph.h"

/** Serialize a float graph of ONNX operators (not yet fused). Half and double weights of the source are written as f32, as the
 *  graph holds them. Errors: UNSUPPORTED (fused or quantized graphs, forms that the opset lacks), LIMIT (2 GiB), MEMORY. */
kf_status kf__onnx_write(const kf__graph *g, void **data, size_t *bytes, kf_error *err);

#endif
