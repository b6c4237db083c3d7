/* What the files of the proof share.
 * Owner rule: reads only. */
#ifndef KF_PROGRAM_PRIVATE_H
#define KF_PROGRAM_PRIVATE_H

#include "program/steps.h"

#pragma GCC diagnostic error "-Wswitch-enum" /* every switch must handle a new kind, or it does not compile */

enum { KF_MOST_EXTENT = 1 << 20, KF_MOST_ELEMENTS = 1 << 28 };

#define STEP_FAIL(err, s, ...)                                                                                         \
    do {                                                                                                               \
        const char *name_ = (s)->name ? (s)->name : "?";                                                               \
        kf_error_set((err), KF_ERR_CORRUPT, __VA_ARGS__);                                                              \
        return kf_error_prefix((err), KF_ERR_CORRUPT, "step %s (%s)", name_, kf__step_op_name((s)->op));               \
    } while (0)

/** Scale, zero point, bounds and per-channel constants of a tensor whose extents are fine. */
kf_status kf__validate_quant(const kf__program *p, const kf__ptensor *t, kf_error *err);
/** Checks types, fields, extents and constants of a step against steps.def. Its tensor indices were checked. */
kf_status kf__validate_step(const kf__program *p, const kf__step *s, kf_error *err);
/** Checks the constants of a step against steps.def. Types, fields and extents were checked. */
kf_status kf__validate_consts(const kf__program *p, const kf__step *s, kf_error *err);
/** No accumulator of an integer step leaves 32 bits. Everything else was checked. */
kf_status kf__validate_sums(const kf__program *p, const kf__step *s, kf_error *err);

#endif
