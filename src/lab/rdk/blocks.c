/* A list of heap blocks with one release.
 * Owner rule: see blocks.h. */
#include "rdk/blocks.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/plain.h"

typedef struct kf__rdk_block {
    struct kf__rdk_block *next;
    max_align_t data[];
} block;

void *kf__rdk_alloc(kf__rdk_memory *m, size_t count, size_t size) {
    if (size && count > (SIZE_MAX - sizeof(block)) / size) return NULL;
    block *b = calloc(1, sizeof *b + count * size);
    if (!b) return NULL;
    b->next = m->blocks;
    m->blocks = b;
    m->used += count * size;
    return b->data;
}

char *kf__rdk_text(kf__rdk_memory *m, const char *text, size_t n) {
    char *copy = kf__rdk_alloc(m, n + 1, 1);
    if (copy && n) memcpy(copy, text, n);
    return copy;
}

char *kf__rdk_printf(kf__rdk_memory *m, const char *fmt, ...) {
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = kf__lab_vprint(NULL, 0, fmt, args);
    char *text = n < 0 ? NULL : kf__rdk_alloc(m, (size_t)n + 1, 1);
    if (text) kf__lab_vprint(text, (size_t)n + 1, fmt, again);
    va_end(again);
    va_end(args);
    return text;
}

void kf__rdk_memory_free(kf__rdk_memory *m) {
    for (block *b = m->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    *m = (kf__rdk_memory){0};
}
