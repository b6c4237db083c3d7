/* Pictures with their labels drawn beside them, written as PNG.
 * Owner rule: borrows everything; cairo is loaded on first use, since linking it costs every start. */
#ifndef KITFOX_ANNOTATE_H
#define KITFOX_ANNOTATE_H

#include <stddef.h>

#include "kitfox/compile.h"

/** Before the work: may the annotated forms of the pictures args[first] to args[n - 1] be written? A name is judged for
 * every picture, a folder by the first; `args` and the file `labels` (NULL: none) are what an output must not replace.
 * A note tells that two pictures have one output. LIMIT (a name is too long), or as cli_outputs_check. */
kf_status cli_annotate_check(const char *pattern, const char *const *args, size_t n, size_t first, const char *labels,
                             kf_error *err);
/** Draw all `n` labels with score bars under the picture; long ones end in an ellipsis. "%s" in `pattern` becomes the
 * picture's base name. */
kf_status cli_annotate(const kf_image *image, const char *path, const kf_score *top, size_t n, const char *pattern,
                       kf_error *err);

#endif
