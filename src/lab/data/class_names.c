/* Folders to names of classes, if each class has a folder of its own.
 * Owner rule: see class_names.h. */
#include "data/class_names.h"

#include <stdlib.h>
#include <string.h>

bool kf__class_names_open(kf__class_names *names, size_t n) {
    *names = (kf__class_names){.of = calloc(n + 1, sizeof *names->of), .n = n};
    return names->of != NULL;
}

/* The folder right around the file. */
static const char *folder_of(const char *path, size_t *bytes) {
    const char *end = strrchr(path, '/'), *begin = end;
    if (!end) return NULL;
    while (begin > path && begin[-1] != '/') begin--;
    *bytes = (size_t)(end - begin);
    return *bytes ? begin : NULL;
}

bool kf__class_names_add(kf__class_names *names, int64_t k, const char *path) {
    size_t bytes;
    const char *folder = folder_of(path, &bytes);
    if (k < 0 || (uint64_t)k >= names->n || names->mixed) return true;
    char **to = &names->of[k];
    names->mixed = !folder || (*to && (strlen(*to) != bytes || strncmp(*to, folder, bytes) != 0));
    if (names->mixed || *to) return true;
    *to = malloc(bytes + 1);
    if (!*to) return false;
    memcpy(*to, folder, bytes);
    (*to)[bytes] = '\0';
    return true;
}

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

bool kf__class_names_end(kf__class_names *names) {
    size_t m = 0;
    const char **sorted = malloc((names->n + 1) * sizeof *sorted);
    if (!sorted) return false;
    for (size_t k = 0; k < names->n; k++)
        if (names->of[k]) sorted[m++] = names->of[k];
    if (m) qsort(sorted, m, sizeof *sorted, by_text);
    for (size_t i = 1; i < m; i++) names->mixed = names->mixed || strcmp(sorted[i - 1], sorted[i]) == 0;
    names->mixed = names->mixed || m == 1; /* one folder may be just where the pictures are */
    free(sorted);
    return true;
}

const char *kf__class_names_get(const kf__class_names *names, int64_t k) {
    return names->mixed || k < 0 || (uint64_t)k >= names->n ? NULL : names->of[k];
}

void kf__class_names_close(kf__class_names *names) {
    for (size_t k = 0; names->of && k < names->n; k++) free(names->of[k]);
    free(names->of);
    *names = (kf__class_names){0};
}
