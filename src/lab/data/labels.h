/* Which list of labels fits a network: the one rule of every verb.
 * Owner rule: borrows everything. */
#ifndef KITFOX_LAB_LABELS_H
#define KITFOX_LAB_LABELS_H

#include <stdbool.h>

#include "kitfox/lab.h"

/** What class 0 is called where a list had no line for it. */
#define KF__BACKGROUND "background"

/** Classes that a tensor of scores ranks: its elements, of one picture. */
size_t kf__labels_classes(const kf_tensor *scores);
/** Is this the first of ImageNet's thousand classes, by its name or its synset id? */
bool kf__labels_imagenet(const char *first);
/** How a list fits a network of `classes` classes: *shift 0: label i names class i; -1: the first is a background line
 *  that the network has no class for; 1: class 0 is a background class without a line. The latter two are told. `own`
 *  is what the network itself calls class 0, or NULL. ARGUMENT, with both numbers: it does not fit. */
kf_status kf__labels_shift(const kf_labels *labels, size_t classes, const char *own, kf_message_fn notice, void *user,
                           int *shift, kf_error *err);

#endif
