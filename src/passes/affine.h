/* Constant affine maps y = a x + b, one a and one b for each channel (axis 1): how to read one from any operator that
 * computes one, and what happens to it when it changes places with a neighbour.
 * Owner rule: the numbers live in the caller's arena; the graph is only read, except where a function writes a node. */
#ifndef KF_AFFINE_H
#define KF_AFFINE_H

#include "passes/passes.h"

typedef struct kf__affine {
    size_t channels;
    double *a, *b; /* [channels]; finite in f32 */
} kf__affine;

/** The input that the node maps with constants, or -1. Mul, Add, Sub and Div by constants (c - x too, but not c / x),
 * Neg, BatchNormalization, and a depthwise 1x1 convolution without activation. The result has the input's shape, of
 * rank 2 to 8. */
int kf__affine_input(const kf__graph *g, const kf__node *n);
/** The map of a node for which kf__affine_input is not -1. *ok is false if a constant differs inside a channel, or if
 * a number would not be finite. */
kf_status kf__affine_read(const kf__graph *g, const kf__node *n, kf__arena *scratch, kf__affine *to, bool *ok,
                          kf_error *err);
/** `inner` first, then `outer`, into `outer`. False, and nothing happens, if a number is lost to overflow or
 * underflow. */
bool kf__affine_join(const kf__affine *inner, kf__affine *outer);
/** The map before node `n` that does what `m` does behind it (`behind`), or the other way round. `m` gets the new map,
 * `act` the activation that an ACT needs there. *ok is false where the two do not commute. */
kf_status kf__affine_through(const kf__graph *g, const kf__node *n, bool behind, kf__arena *scratch, kf__affine *m,
                             kf__activation *act, bool *ok, kf_error *err);
/** Make the node a BatchNormalization of x with mean 0, variance 1 and epsilon 0: the form in which maps wait. */
kf_status kf__affine_write(kf__graph *g, kf__node *n, kf__vid x, const kf__affine *m, kf_error *err);

#endif
