/* Compressed bodies (Content-Encoding: gzip, deflate), unpacked up to a limit.
 * Owner rule: the caller frees what is unpacked with free(). */
#ifndef KITFOX_SERVE_INFLATE_H
#define KITFOX_SERVE_INFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kitfox/status.h"

/** Is it a Content-Encoding that sv_inflate reads? */
bool sv_inflate_reads(const char *encoding);
/** gzip (RFC 1952) or zlib (RFC 1950), one stream that ends with the bytes. ARGUMENT: it is neither, or cut; LIMIT: it
 * unpacks to more than `most` bytes; MEMORY. */
kf_status sv_inflate(const uint8_t *data, size_t bytes, size_t most, uint8_t **out, size_t *n, kf_error *err);

#endif
