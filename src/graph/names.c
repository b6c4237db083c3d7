/* Sorting and finding of names.
 * An empty list is a set that holds nothing.
 * Owner rule: see names.h. */
#include <stdlib.h>

#include "graph/names.h"

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* Sorts the list, then drops repeated names in place. */
kf_status kf__names_make(const char *const *names, int32_t n, kf__arena *arena, kf__names *out, kf_error *err) {
    *out = (kf__names){0};
    if (n < 1) return KF_OK;
    out->sorted = kf__arena_array(arena, (size_t)n, sizeof *out->sorted);
    if (!out->sorted) KF_FAIL_MEMORY(err, (size_t)n * sizeof *out->sorted);
    memcpy(out->sorted, names, (size_t)n * sizeof *names);
    qsort(out->sorted, (size_t)n, sizeof *out->sorted, by_text);
    for (int32_t i = 0; i < n; i++)
        if (!i || strcmp(out->sorted[i], out->sorted[out->n - 1]) != 0) out->sorted[out->n++] = out->sorted[i];
    return KF_OK;
}

int32_t kf__names_find(const kf__names *set, const char *name) {
    if (!set->n) return -1;
    const char **at = bsearch(&name, set->sorted, (size_t)set->n, sizeof name, by_text);
    return at ? (int32_t)(at - set->sorted) : -1;
}
