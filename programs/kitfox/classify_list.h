/* The pictures that kitfox classify is given: files, and folders of them.
 * Owner rule: the list is released with kf_samples_free; its tensors stay NULL. */
#ifndef KITFOX_CLASSIFY_LIST_H
#define KITFOX_CLASSIFY_LIST_H

#include <stdbool.h>

#include "kitfox/lab.h"

bool classify_is_folder(const char *path);
/** `n` arguments, in their order; in place of a folder its pictures and those of its sub-folders, sorted by name. IO (a
 *  folder without pictures, or one that cannot be listed), MEMORY. */
kf_status classify_list(const char *const *args, int n, kf_samples *out, kf_error *err);

#endif
