/* Convolutions in several groups, before quantization.
 * Owner rule: the graph is changed in place. */
#ifndef KF_QUANTIZE_GROUPS_H
#define KF_QUANTIZE_GROUPS_H

#include "graph/graph.h"

/** Makes plain convolutions of those in groups that are not depthwise, where that costs little. MEMORY; LIMIT by
 * max_fold_bytes. */
kf_status kf__quantize_groups(kf__graph *g, kf_error *err);

#endif
