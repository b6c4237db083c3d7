/* The inside of kf_dataset.
 * Owner rule: kf_dataset_destroy releases everything. */
#ifndef KITFOX_LAB_DATASET_H
#define KITFOX_LAB_DATASET_H

#include <stdbool.h>

#include "kitfox/lab.h"

/** One picture: where it is, how the data set names it, its class. */
typedef struct kf__dataset_one {
    char *path, *name;
    int64_t truth; /* as wide as it was read: a number past 2^32 must not wrap into a class */
} kf__dataset_one;

struct kf_dataset {
    kf__dataset_one *items;
    size_t n, *by_path; /* [n]: the items in the order of their paths */
    bool csv;           /* classes come from a labels.csv */
    bool fit;           /* its class folders are classes of the model it was opened with */
    size_t folders;     /* class folders, empty ones too; 0 with a labels.csv */
};

#endif
