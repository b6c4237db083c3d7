/* What `classify` tells of each picture: text or JSON, and the annotated picture.
 * Owner rule: borrows everything. */
#ifndef KITFOX_CLASSIFY_PRINT_H
#define KITFOX_CLASSIFY_PRINT_H

#include "common/cli.h"
#include "kitfox/bench.h"

/** How to tell, and what was told. */
typedef struct classify_printing {
    const char *model, *annotate; /**< names: of the model; of the annotated pictures, NULL: none */
    kf_origin origin;             /**< of the model's preprocessing */
    bool json, strict;            /**< strict: stop at the first picture that failed */
    size_t done, skipped;         /**< pictures that were classified, and that failed */
    bool failed;                  /**< an annotated picture could not be written */
} classify_printing;

/** `picture` of kf_classify_options; `user` is a classify_printing. */
int classify_print(void *user, const kf_classified *c);

#endif
