/* The confusion matrix of a measurement as one HTML page.
 * Owner rule: borrows everything. */
#ifndef KITFOX_CONFUSION_H
#define KITFOX_CONFUSION_H

#include <stddef.h>
#include <stdint.h>

#include "kitfox/lab.h"

/** What the page is about. label(user, k) names class k and may return NULL; texts are escaped here. */
typedef struct cli_confusion {
    const char *title, *summary; /**< heading, and the line under it */
    int32_t n_classes;
    const char *(*label)(const void *user, int32_t k);
    const void *user;
} cli_confusion;

/** Write the page: heat map (inline SVG, rows are the true classes), most confused pairs, accuracy per class. It loads
 * nothing from elsewhere. `cells` are those of kf_evaluation. Only what occurs is written, so thousands of classes are
 * fine. Errors: IO, MEMORY. */
kf_status cli_confusion_write(const char *path, const cli_confusion *c, const kf_confusion_cell *cells, size_t n,
                              kf_error *err);

#endif
