/* What validate.c and validate_int.c share.
 * Floor 3.
 * Owner rule: reads only. */
#ifndef KF_PROGRAM_PRIVATE_H
#define KF_PROGRAM_PRIVATE_H

#include "program/program.h"

#define STEP_FAIL(err, s, ...)                                                                                         \
    do {                                                                                                               \
        kf__error_set((err), KF_ERR_CORRUPT, __VA_ARGS__);                                                             \
        return kf__error_prefix((err), KF_ERR_CORRUPT, "step %s (%s)", (s)->name ? (s)->name : "?", kf__step_op_name((s)->op)); \
    } while (0)

/** Scale, zero point, bounds and per-channel constants of a quantized tensor whose extents are fine. */
kf_status kf__validate_quant(const kf__program *p, const kf__ptensor *t, kf_error *err);
/** Types of a step's tensors, its multipliers, factors and bounds, and the overflow proof. Shapes and weights were checked. */
kf_status kf__validate_types(const kf__program *p, const kf__step *s, kf_error *err);
/** Elements of the bias of a convolution: one row, or one per border class. Its window was checked. */
kf_status kf__validate_bias_count(const kf__step *s, const kf__ptensor *x, const kf__ptensor *y, int64_t *count,
                                  kf_error *err);

#endif
