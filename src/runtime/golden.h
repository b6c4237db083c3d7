/* The golden vector: what every step gave for one synthetic input when the model was compiled (docs/FORMAT.md has the
 * formulas). Values that the contract fixes to the bit are hashed; others are summed and compared with a tolerance.
 * Owner rule: a vector lives in its program's arena. */
#ifndef KF_GOLDEN_H
#define KF_GOLDEN_H

#include "runtime/session.h"

/** Where a run first differed from the vector; `first` is -1 if it did not. */
typedef struct kf__golden_result {
    int32_t compared, exact;      /* steps, and of them those compared byte for byte */
    int32_t first;                /* step */
    double difference, tolerance; /* relative, of that step, else the worst of all; both 0 for bytes */
} kf__golden_result;

/** Run the synthetic input through `m` and store the vector in its program. `m` should use the scalar kernels, which
 * define the values. */
kf_status kf__golden_make(struct kf_model *m, kf_error *err);
/** Run it again on the kernels of `m` and compare. The program has a vector. */
kf_status kf__golden_check(const struct kf_model *m, int threads, kf__golden_result *out, kf_error *err);

#endif
