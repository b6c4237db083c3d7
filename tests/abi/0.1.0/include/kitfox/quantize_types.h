/* Types of quantization: how to do it, and what came of it; the calls that take them are in compile.h.
 * Types only: no function is declared here, so that every floor of the source may include it.
 * Owner rule: lists of the options stay the caller's; strings and arrays of the results belong to the graph. */
#ifndef KITFOX_QUANTIZE_TYPES_H
#define KITFOX_QUANTIZE_TYPES_H

#include "kitfox/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/** How the range of an activation is chosen from what the samples show. */
typedef enum kf_range_method {
    KF_RANGE_MSE = 0,        /**< least squared error (default) */
    KF_RANGE_MAX = 1,        /**< everything that was seen */
    KF_RANGE_PERCENTILE = 2, /**< `percentile` percent of the values are kept */
    KF_RANGE_KL = 3,         /**< least Kullback-Leibler divergence */
    KF_RANGE_COUNT
} kf_range_method;

/** How to quantize. Fill with kf_quantize_options_init, then change fields. */
typedef struct kf_quantize_options {
    size_t size;             /**< sizeof(kf_quantize_options), set by the init function */
    kf_range_method range;   /**< default KF_RANGE_MSE */
    double percentile;       /**< 50..100, default 99.99; KF_RANGE_PERCENTILE only */
    int32_t per_channel;     /**< 1 (default): one weight scale per output channel; 0: one per layer */
    int32_t channel_scales;  /**< 1 (default): one activation scale per channel where every reader allows it */
    int32_t bias_correction; /**< 1 (default): mean outputs of each layer made those of the float network */
    int32_t rounding;        /**< 1 (default): weights rounded by the layer's output error; 0: to nearest */
    int32_t cross; /**< 1 (default): that rounding also makes up for the error of the layers before; 0: it does not */
    int32_t equalize; /**< 1 (default): channels scaled between layers where one scale fits them badly; same float
                         function; 0: not */
    int32_t gain;     /**< 1: after `rounding`, weight scales refitted to the layer's output error; 0 (default): as the
                         float weights have it */
    int32_t threads;  /**< at most KF_MAX_THREADS; 0 (default): as kf_session_options. Where fewer can be started, the
                         work goes on with these */
    const char *const *int16_nodes; /**< names of nodes (of the file, fused ones included) that read and write i16 */
    int32_t n_int16;
    const char *const *int16_outputs; /**< names of nodes that only write i16: their readers then read it */
    int32_t n_int16_outputs;
    const char *const *int16_weights; /**< names of convolutions and fully connected layers whose weights are i16; they
                                         run on the i16 kernels */
    int32_t n_int16_weights;
    /** A target starts the search for what to store in 16 bits (docs/QUANTIZATION.md). It is judged on every fourth
     * sample, which calibrates nothing until the end; with both, both must be met. A target that cannot be met is no
     * error: see kf_graph_search_result. */
    double target_drop;    /**< at most so many percent points of top-1 may be lost: of accuracy with `labels`, else of
                              agreement with float. Below 0 (default): not asked */
    double target_cosine;  /**< least cosine between float and quantized logits, 0..1. 0 (default): not asked */
    double max_int16_macs; /**< percent of the network's multiply-adds that may be 16-bit, 0..100, default 10. Pooled
                              vectors, 16-bit always, do not count */
    const int32_t *labels; /**< class of each sample, or NULL; for target_drop */
    int32_t
        detail; /**< 1: also measure each node alone and keep histograms, a pass more through every layer; default 0 */
    /** Called from the calling thread with `total` 1000 with a target, else the number of nodes. Not 0 stops the call
     * with CANCELLED; then the graph must be destroyed. NULL: none. */
    int (*progress)(void *user, size_t done, size_t total);
    void *user;
    /** Called once, from the calling thread, where fewer threads can be started than wanted; the result is the same.
     * NULL: none. */
    void (*fewer_threads)(void *user, int32_t started, int32_t wanted);
} kf_quantize_options;

/** One row of the quantizer's report: node `index` of the graph, measured on the samples against the float network. */
typedef struct kf_quantized_node {
    size_t size;                     /**< sizeof of this structure, set by the caller before the call */
    const char *name, *op;           /**< owned by the graph */
    kf_dtype dtype;                  /**< of its output */
    double threshold;                /**< largest magnitude that its output can hold; 0 where it stays f32 */
    double cosine;                   /**< similarity of float and quantized output, errors accumulated */
    double sqnr;                     /**< signal to error ratio in dB, errors accumulated */
    int64_t macs;                    /**< multiply-adds of one image */
    double alone_cosine, alone_sqnr; /**< with `detail`: the node's own error, integer weights and rounded output on the
                                        float network's inputs; NAN without */
    double input_threshold; /**< largest magnitude that its first input can hold, 255 of pixels; 0 where that is f32 */
} kf_quantized_node;

/** How float values are spread, and what the integers chosen for them can hold. Owned by the graph. */
typedef struct kf_quantized_histogram {
    size_t size;          /**< sizeof of this structure, set by the caller before the call */
    double lo, hi;        /**< of the bins: everything seen, and 0 */
    const uint32_t *bins; /**< [n_bins], equal widths; exact zeros are not in them */
    int32_t n_bins;
    uint64_t zeros;           /**< exact zeros */
    int32_t ranges;           /**< scales: 0 where it stays f32, 1, or one a channel */
    double wide[2], tight[2]; /**< [lo, hi] that can be held: the most over the channels, and the least */
} kf_quantized_histogram;

/** What the search for a target came to, measured on the held-out samples before they joined the calibration. */
typedef struct kf_search_result {
    size_t size;              /**< sizeof of this structure, set by the caller before the call */
    int32_t met;              /**< 1: the target was reached */
    int32_t labelled;         /**< 1: drops are of top-1 accuracy; 0: of top-1 agreement with float */
    int32_t held_out;         /**< samples */
    int32_t candidates;       /**< ranked; 0 when 8 bits meet the target */
    int32_t promoted;         /**< of them 16-bit now */
    double drop_before, drop; /**< percent points: all 8 bits, and with what was promoted; below 0: better than float */
    double cosine_before, cosine; /**< of the logits */
    double sqnr_before, sqnr;     /**< of the logits, dB */
    double float_top1;            /**< percent; with labels, else 0 */
    double int16_macs;            /**< percent of all multiply-adds that are 16-bit now, named nodes included */
} kf_search_result;

/** Something that the search could promote: what node `node` writes, or its weights. */
typedef struct kf_search_candidate {
    size_t size;      /**< sizeof of this structure, set by the caller before the call */
    const char *node; /**< owned by the graph */
    int32_t weights;  /**< 1: weights; 0: output */
    int32_t place;    /**< 1, 2, ... in the order of promotion; 0: stays 8-bit */
    double gain;  /**< error power that its rounding alone puts into the logits, in percent of the 8-bit network's; they
                     need not add up to 100 */
    int64_t macs; /**< multiply-adds that become 16-bit with it, alone */
} kf_search_candidate;

#ifdef __cplusplus
}
#endif
#endif
