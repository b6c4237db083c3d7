/* Inside of kf_graph_compare and kf_rewrite.
 * Owner rule: borrows everything. */
#ifndef KITFOX_LAB_WRITTEN_H
#define KITFOX_LAB_WRITTEN_H

#include "kitfox/lab.h"

/** Parts of a work that its caller may stop between two of them. */
typedef struct kf__parts {
    int (*progress)(void *user, size_t done, size_t total); /**< NULL: nobody is told */
    void *user;
    const char *what; /**< begins the text of CANCELLED */
    size_t done, total;
} kf__parts;
/** One more is done. CANCELLED. */
kf_status kf__part_done(kf__parts *parts, kf_error *err);

/** kf_graph_compare; each run is a part. */
kf_status kf__graph_compare(kf_graph *before, kf_graph *after, int32_t runs, kf__parts *parts, double *worst,
                            kf_error *err);

#endif
