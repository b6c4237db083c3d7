/* Raising: a float program becomes a graph again, one step to one fused node, NHWC to NCHW.
 * Floor 5: includes base, tensor, graph, program.
 * Owner rule: the graph owns copies of all it needs; the program may be destroyed afterwards. */
#ifndef KF_RAISE_H
#define KF_RAISE_H

#include "graph/graph.h"
#include "program/program.h"

/** The graph that computes what `p` does, with the names of its inputs, outputs and nodes; opset 11, IR version 6, as most
 *  toolchains of boards read. UNSUPPORTED: a quantized program, whose float weights are gone. */
kf_status kf__raise(const kf__program *p, kf__graph **out, kf_error *err);

#endif
