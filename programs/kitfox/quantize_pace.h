/* quantize: is the quantized network the faster one on this CPU?
 * Owner rule: quantize_pace_free releases both models. */
#ifndef KITFOX_QUANTIZE_PACE_H
#define KITFOX_QUANTIZE_PACE_H

#include "common/cli.h"

typedef struct quantize_pace {
    kf_model *m[2]; /* float, quantized */
    double ms[2];   /* one frame on one thread, medians of turns */
} quantize_pace;

/** Before quantizing: keep the float network of `g`, compiled. */
kf_status quantize_pace_begin(quantize_pace *p, kf_graph *g, kf_error *err);
/** After quantizing: time both in turns, half a second at most beyond one turn each. */
kf_status quantize_pace_measure(quantize_pace *p, kf_graph *g, kf_error *err);
/** "ms" and "float_ms" of the JSON object, where there is one; a note on standard error where float is the faster. */
void quantize_pace_tell(const quantize_pace *p, json_t *object);
void quantize_pace_free(quantize_pace *p);

#endif
