/* Base64 (RFC 4648), as JSON carries bytes.
 * Owner rule: nothing is kept. */
#ifndef KITFOX_SERVE_BASE64_H
#define KITFOX_SERVE_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Decode `bytes` characters into `to`, which has room for three bytes for each four characters begun; *n gets how many
 * there are. Padding may be left out; anything else that is not of the alphabet is false. */
bool sv_base64(const char *text, size_t bytes, uint8_t *to, size_t *n);
/** The other way, with padding: `to` has room for four characters for each three bytes begun. Returns how many. */
size_t sv_base64_of(const uint8_t *data, size_t bytes, char *to);

#endif
