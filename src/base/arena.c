/* Arena: many small allocations that live and die together (a graph, a program, a parsed file).
 * Blocks of 64 KiB, larger requests get a block of their own; with redzones every request does.
 * Owner rule: the arena owns every byte it hands out; kf__arena_free releases all of them. */
#include "base/base.h"

#include <stdio.h>

struct kf__arena_block {
    kf__arena_block *next;
    size_t size, used; /* payload bytes, from the first KF_ALIGN boundary after this header */
};

enum { BLOCK_HEADER = KF_ALIGN, BLOCK_SIZE = 64 * 1024, LARGE = 16 * 1024 };

void kf__arena_init(kf__arena *a, const kf_allocator *allocator) { *a = (kf__arena){.allocator = allocator}; }

void kf__arena_free(kf__arena *a) {
    for (kf__arena_block *b = a->head, *next; b; b = next) {
        next = b->next;
        kf__mem_free(a->allocator, b);
    }
    a->head = NULL;
    a->used = 0;
}

static kf__arena_block *new_block(kf__arena *a, size_t payload) {
    size_t bytes;
    if (!kf__add_size(payload, BLOCK_HEADER, &bytes)) return NULL;
    kf__arena_block *b = kf__mem_alloc(a->allocator, bytes);
    if (b) *b = (kf__arena_block){.size = payload};
    return b;
}

bool kf__arena_fits(kf__arena *a, size_t size) {
    if (!a->limit || size <= a->limit - a->used) return true;
    a->refused = size;
    return false;
}

void *kf__arena_alloc(kf__arena *a, size_t size) {
    size_t align = size >= 256 ? KF_ALIGN : 16;
    kf__arena_block *b = a->head;
    if (!kf__arena_fits(a, size)) return NULL;
    if (KF_REDZONE || size > LARGE) { /* its own block, put behind the head so that the head keeps filling */
        kf__arena_block *big = new_block(a, size);
        if (!big) return NULL;
        big->used = size;
        if (b) {
            big->next = b->next;
            b->next = big;
        } else {
            a->head = big;
        }
        a->used += size;
        return (uint8_t *)big + BLOCK_HEADER;
    }
    size_t at = b ? kf__round_up(b->used, align) : 0;
    if (!b || at > b->size || b->size - at < size) {
        kf__arena_block *fresh = new_block(a, BLOCK_SIZE);
        if (!fresh) return NULL;
        fresh->next = b;
        a->head = b = fresh;
        at = 0;
    }
    b->used = at + size;
    a->used += size;
    return (uint8_t *)b + BLOCK_HEADER + at;
}

void *kf__arena_zalloc(kf__arena *a, size_t size) {
    void *p = kf__arena_alloc(a, size);
    if (p) memset(p, 0, size);
    return p;
}

void *kf__arena_array(kf__arena *a, size_t count, size_t size) {
    size_t bytes;
    return kf__mul_size(count, size, &bytes) ? kf__arena_zalloc(a, bytes) : NULL;
}

void *kf__arena_copy(kf__arena *a, const void *src, size_t size) {
    void *p = kf__arena_alloc(a, size);
    if (p && size) memcpy(p, src, size);
    return p;
}

char *kf__arena_strndup(kf__arena *a, const char *s, size_t n) {
    char *p = kf__arena_alloc(a, n + 1);
    if (!p) return NULL;
    memcpy(p, s, n);
    p[n] = '\0';
    return p;
}

char *kf__arena_strdup(kf__arena *a, const char *s) { return kf__arena_strndup(a, s, strlen(s)); }

char *kf__arena_printf(kf__arena *a, const char *fmt, ...) {
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = kf__text_vprint(NULL, 0, fmt, args);
    va_end(args);
    char *p = n < 0 ? NULL : kf__arena_alloc(a, (size_t)n + 1);
    if (p) kf__text_vprint(p, (size_t)n + 1, fmt, again);
    va_end(again);
    return p;
}
