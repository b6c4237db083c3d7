/* Graphs to ONNX files.
 * Owner rule: the bytes belong to the caller; the graph is only read. */
#ifndef KF_ONNX_WRITER_H
#define KF_ONNX_WRITER_H

#include "graph/graph.h"
#include "kitfox/graph_types.h"

/** Serialize a graph, as imported or after any pass, with standard operators alone: fused operators are spelled out
 *  again. Opset, IR version, node names and the names of inputs and outputs are the graph's; every other value gets a
 * name of its own. A quantized graph (fused, as kf__quantize leaves it) gets QuantizeLinear and DequantizeLinear where
 * docs/NUMERICS.md rounds, the arithmetic between them in f32; it reads the f32 input of its float graph, normalized
 * where the graph takes pixels. Its opset is 13, or 21 where 16 bits occur (IR version 7 or 10). `*data` is malloc'ed.
 * Errors: UNSUPPORTED (a form that the opset cannot express, pixels without preprocessing), LIMIT (2 GiB, the most that
 * protobuf holds), MEMORY. */
kf_status kf__onnx_write_form(const kf__graph *g, kf_qdq_form form, void **data, size_t *bytes, kf_error *err);
/** In exact form. */
kf_status kf__onnx_write(const kf__graph *g, void **data, size_t *bytes, kf_error *err);

#endif
