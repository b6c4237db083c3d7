/* Public options as the limits that the runtime takes.
 * Owner rule: reads the caller's structure. */
#ifndef KF_API_OPTIONS_H
#define KF_API_OPTIONS_H

#include "kitfox/kitfox.h"
#include "program/program.h"

static inline kf__limits kf__limits_of(const kf_model_options *o) {
    if (!o) return (kf__limits){0};
    return (kf__limits){o->max_model_bytes, o->max_session_bytes, o->max_operations};
}

#endif
