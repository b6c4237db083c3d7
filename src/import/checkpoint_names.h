/* Names of a checkpoint's tensors without what wrappers added to them.
 * Owner rule: the container's arena owns the new names. */
#ifndef KF_CHECKPOINT_NAMES_H
#define KF_CHECKPOINT_NAMES_H
#include "container/container.h"

/** Rename the tensors of `c` whose names are those of a network of the zoo but for more: words (between dots) that no
 * network has, wherever they are, and numbers in front. A tensor of one element whose last word is unknown is dropped.
 * *changed: a name is another one now; `notice` (may be NULL) hears then which words were left out. UNSUPPORTED: two
 * tensors get one name, as with the weights of a network and of its average. MEMORY. */
kf_status kf__checkpoint_plain_names(kf__container *c, bool *changed, void (*notice)(void *, const char *), void *user,
                                     kf_error *err);
#endif
