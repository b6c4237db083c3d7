/* Forms with files (RFC 7578), as `curl -F` and pages send them.
 * Owner rule: what is found points into the body. */
#ifndef KITFOX_SERVE_MULTIPART_H
#define KITFOX_SERVE_MULTIPART_H

#include "serve/infer.h"

/** The content of each part that is a file or is called "image", at most `room`. ARGUMENT: no multipart body, no such
 * part. *n gets how many there are. */
kf_status sv_multipart(const char *content_type, const uint8_t *body, size_t bytes, sv_bytes *parts, size_t room,
                       size_t *n, kf_error *err);

#endif
