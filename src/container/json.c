/* JSON text from outside to jansson's tree, for the model file, checkpoints and what lies beside them.
 * Owner rule: the caller releases the tree. */
#include "container/json.h"

#include <errno.h>
#include <stdio.h>

json_t *kf__json_load(const char *text, size_t bytes, json_error_t *why, kf_status *status) {
    errno = 0;
    json_t *root = json_loadb(bytes ? text : "", bytes, JSON_REJECT_DUPLICATES, why);
    *status = KF_OK;
    if (root) return root;
    /* Where its buffers do not grow, jansson goes on and finds a syntax error in what it lost, or says nothing at all.
     */
    bool memory = errno == ENOMEM || json_error_code(why) == json_error_out_of_memory || !why->text[0];
    *status = memory ? KF_ERR_MEMORY : KF_ERR_FORMAT;
    if (memory) snprintf(why->text, sizeof why->text - 1, "out of memory");
    return NULL;
}
