/* Names to numbers: the one index of names of the ONNX reader and writer.
 * Owner rule: names are borrowed and must outlive the index; kf__name_index_free releases its own arrays. */
#ifndef KF_NAME_INDEX_H
#define KF_NAME_INDEX_H

#include "base/base.h"

/** Open addressing; at most half of the capacity, a power of two, is used. Zero-initialise. */
typedef struct kf__name_index {
    const char **keys;
    int32_t *numbers;
    size_t cap, used;
} kf__name_index;

/** The number under `name`, or NULL. */
const int32_t *kf__name_index_find(const kf__name_index *m, const char *name);
/** Put a name that is not there yet; false when out of memory. */
bool kf__name_index_put(kf__name_index *m, const char *name, int32_t number);
void kf__name_index_free(kf__name_index *m);

#endif
