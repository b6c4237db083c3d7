/* Weights between the order of graphs and the order of programs.
 * Owner rule: see layout.h. */
#include "tensor/layout.h"

void kf__filters_store(const kf__filters *f, bool depthwise, size_t size, const void *graph, void *stored) {
    const char *from = graph;
    for (size_t o = 0; o < f->o; o++)
        for (size_t i = 0; i < f->i; i++)
            for (size_t tap = 0; tap < f->taps; tap++, from += size)
                memcpy((char *)stored + kf__filters_program(f, depthwise, o, i, tap) * size, from, size);
}

void kf__filters_load(const kf__filters *f, bool depthwise, size_t size, const void *stored, void *graph) {
    char *to = graph;
    for (size_t o = 0; o < f->o; o++)
        for (size_t i = 0; i < f->i; i++)
            for (size_t tap = 0; tap < f->taps; tap++, to += size)
                memcpy(to, (const char *)stored + kf__filters_program(f, depthwise, o, i, tap) * size, size);
}
