/* How each activation is stored: f32, u8 or i16, per tensor or per channel, from the float values seen.
 * Private to src/quantize.
 * Owner rule: kf__quant objects live in the graph's arena. */
#ifndef KF_ASSIGN_H
#define KF_ASSIGN_H

#include "quantize/sim.h"

/** Set values[v].quant after the float activations of v have been computed; leaves it NULL where v stays f32. `n`
 * produces v. */
kf_status kf__assign_quant(kf__sim *s, const kf__node *n, kf__vid v);
/** Will v be stored as integers? Known before its values are. */
bool kf__assign_is_quantized(const kf__graph *g, const kf__node *n, kf__vid v);
/** Does only float arithmetic follow (a softmax, a sigmoid head, an output), perhaps through a reshape? */
bool kf__assign_ends_in_float(const kf__graph *g, kf__vid v);
/** Is it an activation without integer rule that only outputs follow? It runs in f32. */
bool kf__head_is_float(const kf__graph *g, const kf__node *n);
/** Give such activations that were fused into a layer a node of their own. Sorts the nodes again. */
kf_status kf__head_split(kf__graph *g, kf_error *err);

/** Let the layer behind an affine map of the input read pixels, and put the map into g->meta.preprocess, which then is
 * no legal one for pictures (std may be negative): the caller sets it back once the graph is quantized. Nothing happens
 * without such a map (input_map.c). Call it where samples are pixels. */
kf_status kf__input_map_take(kf__graph *g, kf_error *err);
/** May v have scales per channel? Yes if every reader keeps channels separate; the result is then exact. */
bool kf__assign_channels_allowed(const kf__graph *g, kf__vid v);
/** Do the samples show every channel of such a map at enough positions to trust its own range? */
bool kf__assign_seen_enough(const kf__sim *s, const kf__sim_shape *d);
/** For a graph input that is not pixels. */
kf_status kf__assign_input(kf__sim *s, const kf__qsamples *samples);
/** i16 with the given largest magnitude, `limit` the largest |q|. */
kf_status kf__assign_i16(kf__graph *g, float magnitude, int32_t limit, kf__quant **out, kf_error *err);
/** Largest |q| of an i16 tensor so that no reader's sum of K products with weights up to `w_max` can leave 31 bits. */
int32_t kf__assign_limit(size_t k, int32_t w_max);

#endif
