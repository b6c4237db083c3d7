/* The comparison node by node, a part of kf_compare.
 * Owner rule: the comparison owns what is filled in. */
#ifndef KITFOX_LAB_NODES_H
#define KITFOX_LAB_NODES_H

#include "kitfox/lab.h"

/** Fill nodes and n_nodes from w->node_images samples, spread evenly. */
kf_status kf__compare_nodes(kf_comparison *w, const kf_compare_options *o, kf_error *err);

#endif
