/* Raising: a program becomes a graph again, one step to one fused node, NHWC to NCHW.
 * Owner rule: the graph owns copies of all it needs; the program may be destroyed afterwards. */
#ifndef KF_RAISE_H
#define KF_RAISE_H

#include "graph/graph.h"
#include "program/program.h"

/** The graph that computes what `p` does, with the names of its inputs, outputs and nodes; opset 11 and IR version
 * 6, which most board toolchains read. A quantized program gives a quantized graph: weights stay integers, their
 * scales are recovered from the multipliers, and the graph is compiled again to prove the result. UNSUPPORTED: steps
 * without a node; a quantized program whose numbers are not those that docs/NUMERICS.md derives from scales. */
kf_status kf__raise(const kf__program *p, kf__graph **out, kf_error *err);

#endif
