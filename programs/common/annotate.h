/* Pictures with their labels drawn beside them, written as PNG.
 * Owner rule: borrows everything; cairo is loaded on first use, since linking it costs every start. */
#ifndef KITFOX_ANNOTATE_H
#define KITFOX_ANNOTATE_H

#include <stdbool.h>

#include "kitfox/compile.h"

/** The name that the annotated form of `path` gets; false when it is too long. */
bool cli_annotate_name(const char *path, const char *pattern, char out[4096]);
/** One picture whose output another one of the `n` would replace; NULL: there is none. */
const char *cli_annotate_clash(const char *const *paths, size_t n, const char *pattern);
/** Draw all `n` labels with score bars under the picture; long ones end in an ellipsis. "%s" in `pattern` becomes the
 * picture's base name. */
kf_status cli_annotate(const kf_image *image, const char *path, const kf_score *top, size_t n, const char *pattern,
                       kf_error *err);

#endif
