/* Names to numbers by hashing. The hash has a seed that differs from run to run, so that nobody can craft a file whose
 * names all collide. No result depends on it.
 * Owner rule: see name_index.h. */
#include "import/name_index.h"

#include <stdlib.h>

#include "graph/graph.h"

static uint64_t hash_name(const char *s) {
    static const char place;
    uint64_t h = 1469598103934665603u ^ (uint64_t)(uintptr_t)&place;
    for (; *s; s++) {
        h = (h ^ (uint8_t)*s) * 1099511628211u;
        h ^= h >> 29;
    }
    h = (h ^ h >> 32) * 0xD6E8FEB86659FD93u; /* so the low bits, which choose a slot, depend on all others */
    return h ^ h >> 32;
}

static size_t slot_of(const kf__name_index *m, const char *name) {
    size_t at = (size_t)hash_name(name) & (m->cap - 1);
    for (; m->keys[at] && strcmp(m->keys[at], name) != 0; kf__graph_looks++) at = (at + 1) & (m->cap - 1);
    kf__graph_looks++;
    return at;
}

const int32_t *kf__name_index_find(const kf__name_index *m, const char *name) {
    if (!m->cap) return NULL;
    size_t at = slot_of(m, name);
    return m->keys[at] ? &m->numbers[at] : NULL;
}

static bool grow(kf__name_index *m) {
    kf__name_index to = {.cap = m->cap ? m->cap * 2 : 1024, .used = m->used};
    to.keys = calloc(to.cap, sizeof *to.keys);
    to.numbers = calloc(to.cap, sizeof *to.numbers);
    if (!to.keys || !to.numbers) {
        kf__name_index_free(&to);
        return false;
    }
    for (size_t i = 0; i < m->cap; i++) {
        if (!m->keys[i]) continue;
        size_t at = slot_of(&to, m->keys[i]);
        to.keys[at] = m->keys[i];
        to.numbers[at] = m->numbers[i];
    }
    kf__name_index_free(m);
    *m = to;
    return true;
}

bool kf__name_index_put(kf__name_index *m, const char *name, int32_t number) {
    if (m->used * 2 >= m->cap && !grow(m)) return false;
    size_t at = slot_of(m, name);
    m->keys[at] = name;
    m->numbers[at] = number;
    m->used++;
    return true;
}

void kf__name_index_free(kf__name_index *m) {
    free(m->keys);
    free(m->numbers);
    *m = (kf__name_index){0};
}
