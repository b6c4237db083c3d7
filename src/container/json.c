/* Untrusted JSON text to jansson's tree, for the model file, checkpoints and the files beside them.
 * Owner rule: the caller releases the tree. */
#include "container/json.h"

#include <errno.h>
#include <stdio.h>

json_t *kf__json_load(const char *text, size_t bytes, json_error_t *why, kf_status *status) {
    errno = 0;
    json_t *root = json_loadb(bytes ? text : "", bytes, JSON_REJECT_DUPLICATES, why);
    *status = KF_OK;
    if (root) return root;
    /* If its buffers cannot grow, jansson continues, and then reports a syntax error in the lost text or nothing at
     * all. */
    bool memory = errno == ENOMEM || json_error_code(why) == json_error_out_of_memory || !why->text[0];
    *status = memory ? KF_ERR_MEMORY : KF_ERR_FORMAT;
    if (memory) snprintf(why->text, sizeof why->text - 1, "out of memory");
    return NULL;
}
