/* What the names of class folders mean: the one rule of eval, compare, quantize and bench.
 * Owner rule: borrows everything. */
#ifndef KITFOX_LAB_CLASSES_H
#define KITFOX_LAB_CLASSES_H

#include <stdbool.h>

#include "kitfox/lab.h"

/** Folders in the order of their names, and the network whose classes they may be. */
typedef struct kf__classes {
    const char *data;       /* the folder above them, for messages */
    char **names;           /* [n] */
    const size_t *pictures; /* [n]: files in each; an empty folder may have any name */
    size_t n;
    const kf_model *model;
    bool optional; /* folders whose names say nothing are folders only, not an error */
    kf_message_fn notice;
    void *user;
} kf__classes;

/** to[i] is the class of folder i:
 *  1. Names are matched with labels: exactly, then in any case, then by a label's first synonym (up to its comma), then
 *     by synset id, which the label begins with or, for a network of ImageNet's classes, which ImageNet has.
 *  2. Where some match, all have to.
 *  3. Where none does and there are as many folders as classes, they are the classes in the order of their numbers if
 *     all names are numbers, else in alphabetical order; `notice` is told.
 *  4. Else *fit is false with `optional`, and without it that is ARGUMENT: the first folder and the nearest label. */
kf_status kf__classes_find(const kf__classes *c, int64_t *to, bool *fit, kf_error *err);

#endif
