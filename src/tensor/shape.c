/* Shape text for messages and dumps.
 * Owner rule: writes only into the caller's buffer. */
#include "tensor/tensor.h"

#include <inttypes.h>
#include <stdio.h>

const char *kf__shape_text(const kf__shape *s, char *buf, size_t size) {
    size_t at = 0;
    if (s->rank < 0) snprintf(buf, size, "?");
    if (s->rank == 0) snprintf(buf, size, "scalar");
    for (int i = 0; i < s->rank && at < size; i++) {
        int n = snprintf(buf + at, size - at, i ? "x%" PRId64 : "%" PRId64, s->dim[i]);
        if (n > 0) at += (size_t)n;
    }
    return buf;
}
