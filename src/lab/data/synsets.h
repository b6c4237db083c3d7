/* WordNet ids as names of classes: "n01440764" is the tench, class 0 of ImageNet.
 * Owner rule: pure functions. */
#ifndef KITFOX_LAB_SYNSETS_H
#define KITFOX_LAB_SYNSETS_H

#include <stdbool.h>
#include <stdint.h>

enum { KF__SYNSETS = 1000 };

/** Does `name` begin with a synset id: n, eight digits, then no letter and no digit? */
bool kf__synset_read(const char *name, uint32_t *id);
/** Class of ImageNet, 0..999; -1: none of them. */
int32_t kf__synset_class(uint32_t id);

#endif
