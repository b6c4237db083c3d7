/* Public options as the limits that the runtime takes.
 * Owner rule: reads the caller's structure. */
#ifndef KF_API_OPTIONS_H
#define KF_API_OPTIONS_H

#include "kitfox/kitfox.h"
#include "program/program.h"

/** `from` (NULL: defaults) in full, checked. */
kf_status kf__model_options_read(kf_model_options *to, const kf_model_options *from, kf_error *err);
/** ARGUMENT unless `threads` is 0 (default) to 64. `call` begins the message. */
kf_status kf__threads_check(const char *call, int32_t threads, kf_error *err);

/** What the options say about a program that is to become a model: its limits, and what its first output means. */
static inline void kf__program_options(kf__program *p, const kf_model_options *o) {
    p->limits = (kf__limits){o->max_model_bytes, o->max_session_bytes, o->max_operations};
    if (o->scores) p->outputs[0].scores = (int32_t)o->scores;
}

#endif
