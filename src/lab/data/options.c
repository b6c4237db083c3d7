/* Option structures of other sizes.
 * Owner rule: see options.h. */
#include "data/options.h"

#include <string.h>

kf_status kf__options_read(void *to, size_t size, const void *given, const char *name, kf_error *err) {
    const unsigned char *bytes = given;
    size_t has;
    if (!given) return KF_OK;
    memcpy(&has, given, sizeof has);
    if (has < sizeof has || has > 4096)
        KF_FAIL(err, KF_ERR_ARGUMENT, "%s: its size is %zu bytes; fill it with its init function first", name, has);
    for (size_t i = size; i < has; i++)
        if (bytes[i])
            KF_FAIL(err, KF_ERR_ARGUMENT, "%s: %zu bytes, of which this version knows %zu; leave the rest zero", name,
                    has, size);
    memcpy(to, given, has < size ? has : size);
    memcpy(to, &size, sizeof size);
    return KF_OK;
}
