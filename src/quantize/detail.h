/* What a report shows of a node besides its accumulated error: its own error, and histograms of its values and weights.
 * Private to src/quantize and the public calls above it.
 * Owner rule: histograms live in the report's arena. */
#ifndef KF_DETAIL_H
#define KF_DETAIL_H

#include "quantize/observe.h"
#include "quantize/sim.h"

/** Float values (or weights) of a node, and the ranges that its integers can hold. */
typedef struct kf__qhistogram {
    kf__histogram h;
    kf_quantized_histogram is; /* complete after kf__detail_after; its bins are those of `h` */
} kf__qhistogram;

/** Allocate. From then on `s->alone` is set, and `before` and `after` have to be called around each node. */
kf_status kf__detail_open(kf__sim *s);
/** Before the node's step: its weights are still floats. */
kf_status kf__detail_before(kf__sim *s, const kf__node *n, kf__arena *arena, kf__qnode *to);
/** From the step: y is the result of the quantized node (integer weights, corrected bias) on the float network's
 * inputs. It is rounded in place as v is stored and compared with the float network. Samples are independent of each
 * other. */
void kf__detail_alone(const kf__sim *s, size_t sample, kf__vid v, float *y);
/** After the step. A step without weights need not call `alone`: on float inputs only the rounding of the output is its
 * own. `scratch` has room for one sample of the output. */
kf_status kf__detail_after(kf__sim *s, const kf__node *n, kf__arena *arena, float *scratch, kf__qnode *to);

#endif
