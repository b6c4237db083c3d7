/* Names of classes where a model has no labels: those of the folders that the pictures lie in.
 * Owner rule: kf__class_names_close releases everything. */
#ifndef KITFOX_LAB_CLASS_NAMES_H
#define KITFOX_LAB_CLASS_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct kf__class_names {
    char **of; /* [n]; NULL: not known */
    size_t n;
    bool mixed; /* a class with two folders: folders are something else */
} kf__class_names;

/** Of `n` classes. False: out of memory. */
bool kf__class_names_open(kf__class_names *names, size_t n);
/** A picture of class `k` has this path; nothing is done with a class out of range. False: out of memory. */
bool kf__class_names_add(kf__class_names *names, int64_t k, const char *path);
/** After all pictures: folders that are no classes, for two classes share one, name nothing. False: out of memory. */
bool kf__class_names_end(kf__class_names *names);
/** NULL: not known. */
const char *kf__class_names_get(const kf__class_names *names, int64_t k);
void kf__class_names_close(kf__class_names *names);

#endif
