/* Heap access behind the caller's allocator, and growing arrays.
 * All library memory except that of third-party parsers passes through here.
 * Owner rule: what kf__mem_alloc returns belongs to the caller until kf__mem_free. */
#include "base/base.h"

#include <stdlib.h>

void *kf__mem_alloc(const kf_allocator *a, size_t size) {
    if (size == 0) size = 1;
    if (a && a->alloc) return a->alloc(a->user, size, KF_ALIGN);
    if (size > SIZE_MAX - KF_ALIGN) return NULL;
#if defined(KF_REDZONES)
    /* The exact size, so that the rest of the last KF_ALIGN bytes is out of bounds too. */
    void *exact = NULL;
    return posix_memalign(&exact, KF_ALIGN, size) == 0 ? exact : NULL;
#else
    return aligned_alloc(KF_ALIGN, kf__round_up(size, KF_ALIGN));
#endif
}

void *kf__mem_zalloc(const kf_allocator *a, size_t size) {
    void *p = kf__mem_alloc(a, size);
    if (p) memset(p, 0, size);
    return p;
}

void kf__mem_free(const kf_allocator *a, void *ptr) {
    if (!ptr) return;
    if (a && a->alloc) {
        if (a->free) a->free(a->user, ptr);
    } else {
        free(ptr);
    }
}

bool kf__mem_grow(void **array, size_t *cap, size_t need, size_t elem) {
    if (need <= *cap) return true;
    size_t want = *cap ? *cap : 8, bytes;
    while (want < need) {
        if (want > SIZE_MAX / 2) return false;
        want *= 2;
    }
    if (!kf__mul_size(want, elem, &bytes)) return false;
    void *grown = realloc(*array, bytes);
    if (!grown) return false;
    *array = grown;
    *cap = want;
    return true;
}

char *kf__strdup(const char *s) {
    size_t n = strlen(s) + 1;
    char *copy = malloc(n);
    if (copy) memcpy(copy, s, n);
    return copy;
}
