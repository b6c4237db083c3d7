/* Graphs to ONNX files.
 * Floor 4: includes base, tensor, graph.
 * Owner rule: the bytes belong to the caller; the graph is only read. */
#ifndef KF_ONNX_WRITER_H
#define KF_ONNX_WRITER_H

#include "graph/graph.h"

/** Serialize a float graph, as imported or after any pass, with standard operators alone: fused operators are spelled out
 *  again. Opset, IR version, node names and the names of inputs and outputs are the graph's; every other value gets a name of
 *  its own. `*data` is malloc'ed. Errors: UNSUPPORTED (quantized graph, a form that the opset cannot express), LIMIT (2 GiB,
 *  the most that protobuf holds), MEMORY. */
kf_status kf__onnx_write(const kf__graph *g, void **data, size_t *bytes, kf_error *err);

#endif
