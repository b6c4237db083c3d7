/* eval --predictions: what a model said of each picture, as CSV that is written when all are there.
 * Owner rule: predictions_end releases what predictions_begin made. */
#ifndef KITFOX_PREDICTIONS_H
#define KITFOX_PREDICTIONS_H

#include <stdio.h>

#include "kitfox/lab.h"

typedef struct predictions {
    const char *path;
    FILE *f; /* NULL: they are not wanted */
    char *text;
    size_t bytes;
} predictions;

/** `path` NULL: only failures are told, on standard error. MEMORY. */
kf_status predictions_begin(predictions *p, const char *path, kf_error *err);
/** `prediction` of kf_evaluate_options; `user` is the predictions. */
void predictions_add(void *user, const kf_prediction *prediction);
/** Write the file where `st` is KF_OK. Returns `st`, or why it could not be written. */
kf_status predictions_end(predictions *p, kf_status st, kf_error *err);

#endif
