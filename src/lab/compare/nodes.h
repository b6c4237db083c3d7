/* The comparison node by node, a part of kf_compare.
 * Owner rule: the comparison owns what is filled in. */
#ifndef KITFOX_LAB_NODES_H
#define KITFOX_LAB_NODES_H

#include "kitfox/lab.h"

/** Fill nodes and n_nodes from w->node_images samples, spread evenly. */
kf_status kf__compare_nodes(kf_comparison *w, const kf_compare_options *o, kf_error *err);

/** Of sums as kf_compared_picture has them. The cosine is 1 where both sides are 0, and never beyond 1. SQNR in dB,
 *  INFINITY where the sides are equal. */
double kf__compare_cosine(const double sums[4]);
double kf__compare_sqnr(const double sums[4]);

/** The sample that stands for item i of n, spread evenly over those that were not skipped. */
size_t kf__compare_pick(const kf_comparison *w, size_t i, size_t n);

#endif
