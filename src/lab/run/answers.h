/* What the calls of bench.h share: clock, sessions, names of classes.
 * Owner rule: borrows everything. */
#ifndef KITFOX_LAB_ANSWERS_H
#define KITFOX_LAB_ANSWERS_H

#include "kitfox/bench.h"
#include "kitfox/lab.h"

/** Monotonic milliseconds. */
double kf__now_ms(void);
/** kf_session_create with `threads` (0: default); `fewer_threads` (may be NULL) hears of fewer. */
kf_status kf__answers_session(const kf_model *m, int32_t threads,
                              void (*fewer_threads)(void *user, int32_t started, int32_t wanted), void *user,
                              kf_session **out, kf_error *err);
/** UNSUPPORTED, with the option that helps, where a network of pictures takes several at a time. */
kf_status kf__answers_picture(const kf_model *m, kf_error *err);
/** Put the names of `labels` (NULL, or empty: leave them alone) into `top`. */
void kf__answers_name(const kf_labels *labels, kf_score *top, size_t n);
/** ARGUMENT unless lo <= value <= hi; `option` is its name. */
kf_status kf__answers_range(const char *option, int64_t value, int64_t lo, int64_t hi, kf_error *err);
/** ARGUMENT unless the caller's structure, whose size is `given`, holds the `needed` bytes of this version. */
kf_status kf__answers_room(const char *type, size_t given, size_t needed, kf_error *err);

#endif
