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

static inline kf__limits kf__limits_of(const kf_model_options *o) {
    return (kf__limits){o->max_model_bytes, o->max_session_bytes, o->max_operations};
}

#endif
