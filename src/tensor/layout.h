/* The two orders of a convolution's weights. Graphs keep ONNX's, [O][I][taps]; programs keep what the kernels read one
 * pixel at a time: rows [O][taps][I], or [taps][O] where every channel has its own filter.
 * Owner rule: nothing here allocates. */
#ifndef KF_LAYOUT_H
#define KF_LAYOUT_H

#include "tensor/tensor.h"

/** `o` filters over `i` channels (those of one group), `taps` positions each. */
typedef struct kf__filters {
    size_t o, i, taps;
} kf__filters;

/** Of weights [O,I,kh,kw], or of a matrix [O,I]: one tap. */
static inline kf__filters kf__filters_of(const kf__shape *s) {
    return (kf__filters){(size_t)s->dim[0], (size_t)s->dim[1], s->rank == 4 ? (size_t)(s->dim[2] * s->dim[3]) : 1};
}

/** The input channel that weight i of filter o meets; the filters are in `group` groups of equal size. */
static inline size_t kf__filters_channel(const kf__filters *f, size_t group, size_t o, size_t i) {
    return o / (f->o / group) * f->i + i;
}

/** Where a weight stands in a graph: [O][I][taps]. */
static inline size_t kf__filters_graph(const kf__filters *f, size_t o, size_t i, size_t tap) {
    return (o * f->i + i) * f->taps + tap;
}

/** ... in rows: [O][taps][I]. */
static inline size_t kf__filters_row(const kf__filters *f, size_t o, size_t i, size_t tap) {
    return (o * f->taps + tap) * f->i + i;
}

/** ... in a program: in rows, or [taps][O] where every channel has its own filter. */
static inline size_t kf__filters_program(const kf__filters *f, bool depthwise, size_t o, size_t i, size_t tap) {
    return depthwise ? tap * f->o + o : kf__filters_row(f, o, i, tap);
}

/** From a graph's order to a program's, and back. Elements of `size` bytes; the two do not overlap. */
void kf__filters_store(const kf__filters *f, bool depthwise, size_t size, const void *graph, void *stored);
void kf__filters_load(const kf__filters *f, bool depthwise, size_t size, const void *stored, void *graph);

#endif
