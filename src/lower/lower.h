/* Lowering: a fused graph becomes a program, one node to one step.
 * Owner rule: the program owns copies of all it needs; the graph may be destroyed afterwards. */
#ifndef KF_LOWER_H
#define KF_LOWER_H

#include "graph/graph.h"
#include "program/program.h"

/** Translate a graph that went through all passes. UNSUPPORTED names the first node that cannot become a step. */
kf_status kf__lower(const kf__graph *g, kf__program **out, kf_error *err);
/** Why a node cannot be lowered, or NULL when it can (for `check`). */
const char *kf__lower_verdict(const kf__graph *g, const kf__node *n);

#endif
