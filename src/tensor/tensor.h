/* Shapes and element types, used by toolchain and runtime.
 * Owner rule: shapes are values; nothing here allocates. */
#ifndef KF_TENSOR_H
#define KF_TENSOR_H

#include "base/base.h"

/** A shape with known, non-negative extents; rank 0 is a scalar. */
typedef struct kf__shape {
    int32_t rank; /* 0..KF_MAX_RANK; -1 = not known yet */
    int64_t dim[KF_MAX_RANK];
} kf__shape;

/** The dtype's name in a safetensors header ("F32"), and back (KF_DTYPE_NONE if unknown). */
const char *kf__dtype_safetensors(kf_dtype dtype);
kf_dtype kf__dtype_from_safetensors(const char *name);

/** Number of elements; false when the product overflows size_t or an extent is negative or the rank unknown. */
static inline bool kf__shape_count(const kf__shape *s, size_t *count) {
    size_t n = 1;
    if (s->rank < 0 || s->rank > KF_MAX_RANK) return false;
    for (int i = 0; i < s->rank; i++) /* an extent may be more than a size_t of 32 bits holds */
        if (s->dim[i] < 0 || __builtin_mul_overflow(n, (uint64_t)s->dim[i], &n)) return false;
    *count = n;
    return true;
}

static inline bool kf__shape_equal(const kf__shape *a, const kf__shape *b) {
    if (a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i]) return false;
    return true;
}

static inline kf__shape kf__shape_make(int rank, const int64_t *dim) {
    kf__shape s = {.rank = rank};
    for (int i = 0; i < rank; i++) s.dim[i] = dim[i];
    return s;
}

/** "1x3x224x224" into `buf`; returns buf. */
const char *kf__shape_text(const kf__shape *s, char *buf, size_t size);

/** How the largest numbers of a row are chosen, as bits. */
enum {
    KF_SELECTS_INDICES = 1,  /* their places, not themselves */
    KF_SELECTS_SMALLEST = 2, /* the smallest come first */
    KF_SELECTS_LAST = 4,     /* of equal ones the last, not the first */
    KF_SELECTS_ALL = 7
};
/** Most that are chosen. */
#define KF_MOST_SELECTED 1024

#endif
