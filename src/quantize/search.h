/* Mixed precision by search: which activations and weights to store in 16 bits so that a target is met on pictures held
 * out. docs/QUANTIZATION.md has the method. Owner rule: the report lives in the arena given. */
#ifndef KF_SEARCH_H
#define KF_SEARCH_H

#include "quantize/quantize.h"

/** The target on every fourth sample; these calibrate nothing during the search. */
typedef struct kf__qtarget {
    double drop;           /* most percent points of top-1 (or agreement) to lose; below 0: no such target */
    double cosine;         /* least cosine of the logits, all held-out samples together; 0: no such target */
    double max_macs;       /* percent of the network's MACs that may read i16 or hold i16 weights */
    const int32_t *labels; /* [samples], or NULL */
} kf__qtarget;

/** Measured on the held-out samples against the float network. */
typedef struct kf__qscore {
    double drop, cosine, sqnr; /* percent points, ..., dB */
} kf__qscore;

/** One candidate: the output of a node, or its weights. */
typedef struct kf__qcandidate {
    const char *name;
    size_t node;
    bool weights;
    double gain;   /* error power that its rounding alone puts into the logits, in percent of the 8-bit network's */
    int64_t macs;  /* that would read i16, alone */
    int32_t place; /* 1, 2, ... in the order of promotion; 0: not promoted */
} kf__qcandidate;

typedef struct kf__qsearch {
    kf__qcandidate *list; /* best gain per MAC first; none when 8 bits meet the target */
    size_t n, held_out, promoted;
    bool labelled, met;
    double float_top1;        /* percent of the held-out samples; with labels */
    kf__qscore before, after; /* all 8 bits; with what is promoted */
    double macs;              /* percent of all MACs in 16 bits at the end */
} kf__qsearch;

/** Search, then kf__quantize with what was found and all samples; o->wide and o->wide_weights (arrays are needed)
 * name what is 16-bit from the start and receive the rest. ARGUMENT: fewer than 8 samples. Other errors as
 * kf__quantize. Progress is reported in thousandths. */
kf_status kf__search(kf__graph *g, const kf__qsamples *samples, const kf__qtarget *target, kf__qoptions *o,
                     kf__arena *arena, kf__qsearch *out, kf__qreport *report, kf_error *err);

#endif
