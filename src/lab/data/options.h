/* How option structures are read: by their own size, so that older and newer callers work.
 * Owner rule: copies. */
#ifndef KITFOX_LAB_OPTIONS_H
#define KITFOX_LAB_OPTIONS_H

#include "kitfox/lab.h"

/** Copy `given` (NULL: nothing) over the defaults in `to`, which has `size` bytes. A shorter structure leaves the
 *  defaults behind its end. ARGUMENT, with `name`: its size was never set, or it has non-zero members behind those that
 *  this version knows. */
kf_status kf__options_read(void *to, size_t size, const void *given, const char *name, kf_error *err);

#endif
