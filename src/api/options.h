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

/** What the options say about a program that is to become a model: its limits, and what the output that is ranked
 * means. */
static inline void kf__program_options(kf__program *p, const kf_model_options *o) {
    p->limits = (kf__limits){o->max_model_bytes, o->max_session_bytes, o->max_operations};
    const int32_t ranked = (int32_t)(kf__program_ranked(p) - p->outputs);
    if (o->scores) p->outputs[ranked].scores = (int32_t)o->scores;
}

#endif
