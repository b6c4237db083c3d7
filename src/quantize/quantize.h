/* Post-training quantization: a fused float graph and some samples in, a quantized graph and a report out.
 * docs/QUANTIZATION.md explains the method, docs/NUMERICS.md what the result computes.
 * Owner rule: new constants belong to the graph's arena, the report to the caller's. */
#ifndef KF_QUANTIZE_H
#define KF_QUANTIZE_H

#include <math.h>

#include "graph/graph.h"
#include "kitfox/quantize_types.h"

/** Rounding noise of a layer: its 8-bit minus its best 16-bit weights, and minus its mean output. The search ranks
 * candidates by it. */
typedef struct kf__qnoise {
    float *rows; /* [O][kh][kw][I/g], NULL where weights are not 8-bit */
    float *bias; /* [O] */
} kf__qnoise;

/** What the caller asked for, and what only the library sets. Of `asked` the search's members, the lists of names and
 * `fewer_threads` are not read here. */
typedef struct kf__qoptions {
    kf_quantize_options asked; /* threads >= 1 */
    size_t memory;             /* bytes for the samples' activations; fewer samples are used beyond it */
    uint8_t *wide;             /* [n_values] of the graph, or NULL: 1 = this activation is i16 */
    uint8_t *wide_weights;     /* [n_nodes], or NULL: 1 = this node's weights are i16 */
    kf__qnoise *noise;         /* [n_nodes], or NULL: filled, in the graph's arena */
    /** Called from the calling thread if fewer threads start than wanted. NULL: none. */
    void (*fewer)(void *user, int started, int wanted);
    void *fewer_user;
} kf__qoptions;

/** Tell `progress`, where there is one. CANCELLED: it asked to stop. */
kf_status kf__quantize_tell(const kf__qoptions *o, size_t done, size_t total, kf_error *err);

/** Cosine of two vectors by their powers and their product; 1 where both are 0, 0 where one is. In [-1, 1] also where
 * the sums were rounded. */
static inline double kf__cosine(double aa, double bb, double ab) {
    if (!(aa > 0 && bb > 0)) return aa == bb;
    double c = ab / sqrt(aa * bb);
    if (c > 1) return 1;
    return c < -1 ? -1 : c; /* NaN stays */
}

/** What kf_quantize_options_init gives. */
kf_quantize_options kf__quantize_defaults(void);
/** The same with one thread. */
kf__qoptions kf__qoptions_default(void);

/** The result for one node. Measures compare the quantized network with the float one on the samples, errors
 * accumulated. */
typedef struct kf__qnode {
    kf_quantized_node is;
    struct kf__qhistogram *values, *weights; /* with `detail`: of the float network; NULL where there are none */
} kf__qnode;

typedef struct kf__qreport {
    kf__qnode *nodes;
    size_t n_nodes, samples; /* samples used */
    double agreement;        /* percent of the samples with the same top-1 */
    double sqnr;             /* of the first output, dB */
} kf__qreport;

/** A sample is what the graph's only input takes: f32 as declared, or, for a picture model (meta.preprocess valid and
 * `pixels`), u8 pixels [H,W,C] in the model's channel order. */
typedef struct kf__qsamples {
    const void *const *data;
    size_t n;
    bool pixels;
} kf__qsamples;

/** Quantize `g` in place. ARGUMENT: no samples, several inputs, batch above 1. UNSUPPORTED: a layer without integer
 * rules. On failure the graph must be thrown away. `report` may be NULL; its nodes live in `arena`. */
kf_status kf__quantize(kf__graph *g, const kf__qsamples *samples, const kf__qoptions *o, kf__arena *arena,
                       kf__qreport *report, kf_error *err);

#endif
