/* JSON of strangers: read with memory of its own, at most SV_MAX_JSON_MEMORY of it, all of which goes at once. Where
 * memory is short the reading ends in order: jansson alone would go on with half a text, or stop at an assertion.
 * Owner rule: sv_json_free releases the values; never json_decref. Thread rule: each sv_json belongs to one thread. */
#ifndef KITFOX_SERVE_JSON_READ_H
#define KITFOX_SERVE_JSON_READ_H

#include <jansson.h>

#include "kitfox/status.h"

/** Bytes of values of one text. A number takes up to 56: room for a million of them. */
#define SV_MAX_JSON_MEMORY ((size_t)64 << 20)

typedef struct sv_json {
    json_t *root;      /* an object */
    struct block *all; /* its memory */
} sv_json;

/** Read an object. Keys must differ. ARGUMENT: it is not JSON, or no object; LIMIT: it takes more memory than there may
 * be; MEMORY. */
kf_status sv_json_read(const void *text, size_t bytes, sv_json *out, kf_error *err);
/** Empty is fine. */
void sv_json_free(sv_json *json);

#endif
