/* A node replaced by a chain of others, each of which reads the value of the one before it.
 * Owner rule: values and nodes belong to the graph. */
#ifndef KF_CHAIN_H
#define KF_CHAIN_H

#include "passes/passes.h"

typedef struct kf__chain {
    kf__graph *g;
    size_t base; /* the node that is replaced */
    int slot;    /* the output whose place the chain takes */
    kf__vid at;  /* the value so far */
    int links;
    kf_error *err;
} kf__chain;

/** A chain in place of node `base`, beginning at value `from`. */
static inline kf__chain kf__chain_begin(kf__graph *g, size_t base, kf__vid from, kf_error *err) {
    return (kf__chain){.g = g, .base = base, .at = from, .err = err};
}

static inline const kf__shape *kf__chain_shape(const kf__chain *c) { return &c->g->values[c->at].shape; }

/** A node that reads the value so far, and `extra` unless it is negative. Its result, of this shape, is the value so
 * far from then on. *n (may be NULL) is valid until the next call. */
kf_status kf__chain_link(kf__chain *c, kf__op op, kf__vid extra, const kf__shape *shape, kf__node **n);
/** The same elements under another shape; nothing to do where it is the same. */
kf_status kf__chain_view(kf__chain *c, const kf__shape *shape);
/** A clip to lo..hi. */
kf_status kf__chain_clip(kf__chain *c, float lo, float hi);
/** A convolution of one tap over an image. `depthwise`: w has a factor for each channel; otherwise w is a row of
 * weights, and the result has one channel. `bias` (may be NULL) has as many numbers as the result has channels. */
kf_status kf__chain_tap(kf__chain *c, bool depthwise, const float *w, const float *bias);
/** The value so far takes the place of the base node's result. The base node is dead. */
kf_status kf__chain_end(kf__chain *c);

/** Carries the axes that are picked of `to` over to `from`, another shape of the same elements. The axes of both fall
 * into groups with equal products. False: a group is picked in part. */
bool kf__chain_carry(const kf__shape *from, const kf__shape *to, const bool pick[KF_MAX_RANK], bool out[KF_MAX_RANK]);
/** The value *x whose elements `v` has under another shape, and which of its axes are those that are picked of `v`.
 * False: there is none, or an axis of *x is picked in part. */
bool kf__chain_behind_view(const kf__graph *g, kf__vid v, const bool pick[KF_MAX_RANK], kf__vid *x,
                           bool out[KF_MAX_RANK]);

#endif
