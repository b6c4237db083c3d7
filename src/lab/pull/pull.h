/* Inside of kf_pull: the table of weights, and what is known of their two files before they get their names.
 * Owner rule: each function says who frees what. */
#ifndef KITFOX_LAB_PULL_H
#define KITFOX_LAB_PULL_H

#include <stdbool.h>

#include "kitfox/pull.h"

enum { KF__PULL_PATH = 4096 };

/** Folder of the weights called `name` in the user's cache; false: neither XDG_CACHE_HOME nor HOME says where. */
bool kf__pull_cache(const char *name, char out[KF__PULL_PATH]);
/** Is it a regular file, once links are followed? */
bool kf__pull_exists(const char *path);

/** A checkpoint says in its header how long it is, so a cut one is known whatever the server claimed. `place` begins
 * the text of errors. CORRUPT, IO, MEMORY. */
kf_status kf__pull_check_weights(const char *path, const char *place, kf_error *err);
/** Is the file a JSON object? CORRUPT, MEMORY. */
kf_status kf__pull_check_config(const char *path, const char *place, kf_error *err);
/** Does a configuration say that it is of the weights of `repository`? "timm/ARCHITECTURE.TAG" against its keys;
 *  without a tag the architecture decides. What cannot be read is not. MEMORY. */
kf_status kf__pull_config_is_of(const char *repository, const char *path, bool *same, kf_error *err);

#endif
