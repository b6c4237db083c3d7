/* Equalization across layers: channels scaled between layers so that one scale for a whole tensor fits all of them.
 * Private to src/quantize.
 * Owner rule: new weights live in the graph's arena. */
#ifndef KF_EQUALIZE_H
#define KF_EQUALIZE_H

#include "quantize/quantize.h"

/** Scale the channels of tensors between layers, and the weights around them by the inverse, in place. The float
 * function stays the same up to rounding. Only groups whose estimated error falls much are scaled: in most places,
 * ordinary networks stay the same to the bit. Formula: s[c] = w[c]^(1-a) / r[c]^a, where r is the largest magnitude
 * of the channel in the samples and w the largest weight that reads it (Nagel et al. 2019, arXiv 1906.04721;
 * exponents as in Xiao et al. 2022, arXiv 2211.10438). Left alone: graph inputs and outputs, whatever touches an
 * activation that is not positively homogeneous (h-swish), and shared weights. `scaled` (may be NULL) gets the
 * number of channels changed. Errors: as kf__quantize. */
kf_status kf__equalize(kf__graph *g, const kf__qsamples *samples, const kf__qoptions *o, size_t *scaled, kf_error *err);

#endif
