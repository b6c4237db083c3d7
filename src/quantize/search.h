/* Mixed precision by search: which activations and weights to store in 16 bits so that a target is met on pictures held
 * out. docs/QUANTIZATION.md has the method. Owner rule: the report lives in the arena given. */
#ifndef KF_SEARCH_H
#define KF_SEARCH_H

#include "quantize/quantize.h"

/** One candidate: the output of a node, or its weights. */
typedef struct kf__qcandidate {
    kf_search_candidate is;
    size_t node; /* its index in the graph */
} kf__qcandidate;

typedef struct kf__qsearch {
    kf__qcandidate *list; /* best gain per MAC first; none when 8 bits meet the target */
    kf_search_result is;  /* `candidates` is the length of the list */
} kf__qsearch;

/** Search for the target of o->asked, then kf__quantize with what was found and all samples. Every fourth sample is
 * held out: it judges, and calibrates nothing during the search. o->wide and o->wide_weights (arrays are needed)
 * name what is 16-bit from the start and receive the rest. ARGUMENT: fewer than 8 samples. Other errors as
 * kf__quantize. Progress is reported in thousandths. */
kf_status kf__search(kf__graph *g, const kf__qsamples *samples, kf__qoptions *o, kf__arena *arena, kf__qsearch *out,
                     kf__qreport *report, kf_error *err);

#endif
