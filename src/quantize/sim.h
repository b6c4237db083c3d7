/* The float and the quantized network side by side, one node at a time over all samples. Private to src/quantize.
 * Activations are NHWC; quantized values are kept as integers.
 * Owner rule: kf__sim owns all activations; a value's are freed after its last reader. */
#ifndef KF_SIM_H
#define KF_SIM_H

#include "kernels/kernels.h"
#include "os/pool.h"
#include "quantize/quantize.h"
#include "tensor/layout.h"

/** One activation of one sample. */
typedef struct kf__sim_value {
    float *f;   /* the float network's */
    int16_t *q; /* the quantized network's, where the value is quantized (holds u8 and i16) */
    float *g;   /* the quantized network's, where it is f32 */
} kf__sim_value;

typedef struct kf__sim {
    kf__graph *graph;
    const kf__qoptions *o;
    kf__kernels k;
    kf__pool *pool;
    kf__sim_value *values; /* [samples * n_values] */
    size_t samples, n_values;
    int32_t *last_use; /* by value: node index of the last reader; INT32_MAX for outputs */
    kf__arena arena;   /* bookkeeping that lives as long as the run */
    double mean[4];    /* pixel models: 255 * mean per channel, which is subtracted from the pixels */
    bool pixels;
    double (*alone)[4]; /* [samples], or NULL: not wanted. Float power, own power, product, error power (detail.h) */
    bool alone_done;    /* the step of this node has filled it */
    bool float_only;    /* steps compute the float network alone and leave the graph as it is */
    kf_error *err;
} kf__sim;

/** Extents of a value as pixels and channels. Rank 2 is one pixel. */
typedef struct kf__sim_shape {
    size_t h, w, c, count;
} kf__sim_shape;
kf__sim_shape kf__sim_shape_of(const kf__graph *g, kf__vid v);

static inline kf__sim_value *kf__sim_at(const kf__sim *s, size_t sample, kf__vid v) {
    return &s->values[sample * s->n_values + (size_t)v];
}
/** A sample as the first layer sees it, NHWC: pixels without their mean, or numbers as they are. */
void kf__sim_read(const kf__sim *s, const void *data, const kf__sim_shape *x, float *to);

kf_status kf__sim_open(kf__sim *s, kf__graph *g, const kf__qsamples *samples, const kf__qoptions *o, kf_error *err);
void kf__sim_close(kf__sim *s);
/** Make room for the float and (as its quantization says, if set) the quantized activation of v, all samples. */
kf_status kf__sim_alloc(kf__sim *s, kf__vid v, bool quantized);
/** Free values that no node after `i` reads. */
void kf__sim_release(kf__sim *s, int32_t i);
/** The quantized network's real values: `scratch` is filled where the value is quantized, else its own floats are
 * returned. */
const float *kf__sim_real(const kf__sim *s, size_t sample, kf__vid v, float *scratch);
/** Round `x` into the quantized activation (step 5), or copy it where the value is f32. */
void kf__sim_store(const kf__sim *s, size_t sample, kf__vid v, const float *x);

/** UNSUPPORTED, naming node and sample, when the float network's output of `n` is NaN or infinite anywhere: no range
 * holds it. */
kf_status kf__sim_check_finite(const kf__sim *s, const kf__node *n);

/** The values of x, in place, as v's storage holds them: (q - z) * scale; unchanged where v is f32. */
void kf__sim_round(const kf__sim *s, kf__vid v, float *x);

/** A convolution or fully connected layer, weights as rows: [O][kh][kw][I/g], K = kh * kw * I/g. */
typedef struct kf__sim_layer {
    kf__window window;
    kf__sim_shape x, y;
    size_t o, k;
    bool depthwise;
    float *packed; /* kernel layout; filled by kf__sim_pack */
} kf__sim_layer;
kf_status kf__sim_layer_of(kf__sim *s, const kf__node *n, kf__sim_layer *l);
/** Its weights' extents: rows are in the order of kf__filters_row. */
static inline kf__filters kf__sim_filters(const kf__sim_layer *l) {
    size_t taps = (size_t)l->window.kh * (size_t)l->window.kw;
    return (kf__filters){l->o, l->k / taps, taps};
}
/** The channel of x that weight i of row o meets. */
static inline size_t kf__sim_channel(const kf__sim_layer *l, size_t o, size_t i) {
    const kf__filters f = kf__sim_filters(l);
    return kf__filters_channel(&f, (size_t)l->window.group, o, i);
}
kf_status kf__sim_pack(kf__sim *s, kf__sim_layer *l, const float *rows);
/** y = conv(x), without bias. `scratch` has kf__sim_scratch(l) floats. */
void kf__sim_run(const kf__sim *s, const kf__sim_layer *l, const float *x, float *y, float *scratch);
size_t kf__sim_scratch(const kf__sim_layer *l);
/** One row of the layer's input matrix: taps of output pixel (y, x), [kh][kw][I], zero outside the image. Depthwise:
 * [kh][kw][C]. */
void kf__sim_row(const kf__sim_layer *l, const float *x, size_t oy, size_t ox, float *row);

#endif
