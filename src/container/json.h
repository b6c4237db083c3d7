/* Untrusted JSON text to jansson's tree.
 * Owner rule: the caller releases the tree with json_decref. */
#ifndef KF_JSON_H
#define KF_JSON_H

#include <jansson.h>

#include "base/base.h"

/** Parse `bytes` of text; duplicate keys are refused. NULL on failure: `why` says where and what, `status` FORMAT
 * or, also if jansson takes lack of memory for a syntax error, MEMORY. */
json_t *kf__json_load(const char *text, size_t bytes, json_error_t *why, kf_status *status);

#endif
