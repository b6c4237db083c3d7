/* Types of import, rewriting and ONNX export; the calls that take them are in compile.h.
 * Types only: no function is declared here, so that every floor of the source may include it.
 * Owner rule: strings and callbacks stay the caller's. */
#ifndef KITFOX_GRAPH_TYPES_H
#define KITFOX_GRAPH_TYPES_H

#include "kitfox/types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef void (*kf_message_fn)(void *user, const char *text);

typedef struct kf_import_options {
    size_t size; /**< sizeof(kf_import_options), set by the init function */
    const char
        *input_shape; /**< "1x3x224x224", or "NAME=1x3x48x192" per input separated by ';'; NULL: the file's own */
    const kf_preprocess
        *preprocess; /**< NULL: what the file says, else what is recognized, else ImageNet's for a picture input */
    const char *const *labels; /**< one for each element of output 0; NULL: what the file says, else none */
    int32_t n_labels;          /**< 0 with `labels`: no names, whatever the file says */
    kf_message_fn notice;      /**< warnings ("IR version 12 is newer than ..."); NULL: dropped */
    void *notice_user;
    const char *arch; /**< of a safetensors checkpoint: a timm name; NULL: recognized by its tensors */
    /** Called for each node of an ONNX file, in its order, before any is translated: also when the import then fails at
     * one of them. `op` has its domain before it where that is not ONNX's own ("com.microsoft.FusedConv"). `known` is 0
     * for an operator that cannot be imported. Strings live for the call. NULL: none. */
    void (*node)(void *user, const char *name, const char *op, int32_t known);
    void *node_user;
    /** Most bytes that rewrites make of the file's constants, by folding, and by copies for every node that reads one;
     * four multiply-adds (or arithmetic that takes as long) are allowed for each byte. 0 (default): 256 MiB, and 16
     * times the bytes of the constants in the file. Beyond it kf_graph_optimize, and what optimizes, gives LIMIT. */
    uint64_t max_fold_bytes;
    /** Called with the path of each file that is read beside the first: external data of an ONNX file (once for each
     * tensor), the JSON of a checkpoint. NULL: none. */
    void (*file)(void *user, const char *path);
    void *file_user;
    kf_scores_kind scores; /**< what output 0 means; 0 (default): found from the last operators of the network */
    /** First extent of inputs of rank 2 and more, where an ONNX file fixes another one or leaves it free; constants of
     * Reshape that begin with the file's follow. SHAPE where a node has the file's built in. 0 (default), and for
     * inputs that `input_shape` names: the file's own, 1 where it is free. */
    int32_t batch;
} kf_import_options;

/** Which rewrites to run: SIMPLIFY stays within ONNX operators, FUSE goes on to the fused operators that compile. */
typedef enum kf_optimize_level { KF_OPTIMIZE_SIMPLIFY = 0, KF_OPTIMIZE_FUSE = 1, KF_OPTIMIZE_COUNT } kf_optimize_level;

/** How the two calls above write quantized graphs. */
typedef enum kf_qdq_form {
    KF_QDQ_EXACT = 0,  /**< default: scales of 1 and every multiplier of docs/NUMERICS.md as an operator of its own: the
                          runtime's own bits */
    KF_QDQ_SCALES = 1, /**< real scales in QuantizeLinear and DequantizeLinear, what other toolchains fuse: equal up to
                          f32 rounding */
    KF_QDQ_COUNT
} kf_qdq_form;

#ifdef __cplusplus
}
#endif
#endif
