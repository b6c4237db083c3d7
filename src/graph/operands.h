/* Operands of a node under inference: the rules of operands.def, constants as lists of integers, axes.
 * Owner rule: nothing here allocates; errors name the node and the operand. */
#ifndef KF_OPERANDS_H
#define KF_OPERANDS_H

#include "graph/graph.h"

enum { KF_MOST_INTS = 64 }; /* an upper bound of any list of axes, pads or parts */

/** A node whose outputs are being inferred. */
typedef struct kf__inferring {
    kf__graph *g;
    const kf__node *n;
    kf_error *err;
} kf__inferring;

typedef struct kf__ints {
    int n;
    int64_t v[KF_MOST_INTS];
} kf__ints;

/** Return from the calling function with an error that names the node. */
#define KF_NODE_FAIL(c, status, ...)                                                                                   \
    do {                                                                                                               \
        kf_error_set((c)->err, (status), __VA_ARGS__);                                                                 \
        return kf_error_prefix((c)->err, (status), "%s (%s)", (c)->n->name, kf__op_name((c)->n->op));                  \
    } while (0)

static inline kf__value *kf__operand(const kf__inferring *c, int k) {
    return k < c->n->n_in && c->n->in[k] >= 0 ? &c->g->values[c->n->in[k]] : NULL;
}

/** A number from a file, clamped to just beyond the largest extent: it still means "to the end", it is still too
 * large as an extent, and sums of a few such numbers fit i64. */
static inline int64_t kf__cut(int64_t v) {
    const int64_t most = KF_MOST_ELEMENTS + 1;
    return kf__max_i64(-most, kf__min_i64(v, most));
}

/** Checks number, presence, ranks and element types of all operands against operands.def. Unknown ones pass. FORMAT:
 * an operand is missing, or there are too many; SHAPE: rank or type. */
kf_status kf__operands_check(const kf__inferring *c);
/** A constant operand of i64 or i32 as a list, its numbers cut by kf__cut. *have is false when it is absent or not
 *  constant yet. SHAPE: more than `most` of them. */
kf_status kf__operand_ints(const kf__inferring *c, int k, int most, kf__ints *out, bool *have);
/** The same for a list that may be in attrs.axes instead; operand k is used if present. */
kf_status kf__operand_list(const kf__inferring *c, int k, int most, kf__ints *out, bool *have);
/** An axis of `rank` dimensions, negative ones counted from the end. SHAPE: out of range. */
kf_status kf__operand_axis(const kf__inferring *c, int64_t axis, int rank, int *out);
/** Marks the axes of a list in pick[0..rank-1]. SHAPE: one is out of range, or is there twice. */
kf_status kf__operand_axes(const kf__inferring *c, const kf__ints *list, int rank, bool pick[KF_MAX_RANK]);

/** What a slice of an axis of `dim` takes: from `first` on, `count` elements. `step` is not 0. */
void kf__slice_range(int64_t dim, int64_t start, int64_t end, int64_t step, int64_t *first, int64_t *count);

#endif
