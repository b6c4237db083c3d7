/* The toolchain library: import, simplify, compile.
 * Floor 0: libkitfoxc exports this and everything of libkitfox; link one of the two.
 * Owner rule: kf_graph_destroy releases a graph; strings inside info structs belong to their graph.
 * Thread rule: a graph belongs to one thread at a time. */
#ifndef KITFOX_COMPILE_H
#define KITFOX_COMPILE_H

#include "kitfox/kitfox.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kf_graph kf_graph;

typedef void (*kf_message_fn)(void *user, const char *text);

typedef struct kf_import_options {
    size_t size;             /**< sizeof(kf_import_options), set by the init function */
    const char *input_shape; /**< "1x3x224x224", or "NAME=1x3x48x192" per input separated by ';'; NULL: the file's own */
    const kf_preprocess *preprocess; /**< NULL: ImageNet defaults for a picture input */
    const char *const *labels;       /**< NULL: none */
    int32_t n_labels;
    kf_message_fn notice; /**< warnings ("IR version 12 is newer than ..."); NULL: dropped */
    void *notice_user;
    const char *arch; /**< of a safetensors checkpoint: a timm name; NULL: recognised by its tensors */
} kf_import_options;
KF_API void kf_import_options_init(kf_import_options *options);

/** Read an ONNX file, or a safetensors checkpoint of timm's MobileNetV3 (told apart by content). The graph is as in the file: not yet optimized. */
KF_API kf_status kf_graph_import(const char *path, const kf_import_options *options, kf_graph **out, kf_error *err);
/** ONNX from memory; external data is refused. */
KF_API kf_status kf_graph_import_onnx_memory(const void *data, size_t bytes, const kf_import_options *options,
                                             kf_graph **out, kf_error *err);
KF_API void kf_graph_destroy(kf_graph **graph);

/** Which rewrites to run: SIMPLIFY stays within ONNX operators, FUSE goes on to the fused operators that compile. */
typedef enum kf_optimize_level { KF_OPTIMIZE_SIMPLIFY = 0, KF_OPTIMIZE_FUSE = 1 } kf_optimize_level;
KF_API kf_status kf_graph_optimize(kf_graph *graph, kf_optimize_level level, kf_error *err);

/** Optimize (if not done yet), lower, and make a runnable model in memory. The graph stays the caller's. */
KF_API kf_status kf_graph_compile(kf_graph *graph, const kf_model_options *options, kf_model **out, kf_error *err);
/** Same, written as a .kfx file (atomic replace). */
KF_API kf_status kf_graph_save(kf_graph *graph, const char *path, kf_error *err);

/** Write the graph, as it is now, as an ONNX file (atomic replace): same input, output and node names, opset and IR version. Half and
 *  double weights of the source become f32. UNSUPPORTED for a graph that was fused (KF_OPTIMIZE_FUSE, compiled or saved), LIMIT from
 *  2 GiB on. */
KF_API kf_status kf_graph_save_onnx(kf_graph *graph, const char *path, kf_error *err);

/** Run the reference executor (double accumulation; exact integers when quantized). Shapes as the graph declares. Slow. */
KF_API kf_status kf_graph_run_reference(kf_graph *graph, const kf_tensor *in, size_t n_in, kf_tensor *out, size_t n_out,
                                        kf_error *err);

typedef struct kf_graph_info {
    const char *name, *arch, *producer;
    int32_t opset, ir_version, n_inputs, n_outputs;
    int32_t n_nodes; /**< now */
    int64_t parameters, stored_parameters, macs, activations;
    int32_t n_labels;
    kf_preprocess preprocess;
} kf_graph_info;
KF_API kf_status kf_graph_get_info(kf_graph *graph, kf_graph_info *info, kf_error *err);
/** Name, dtype, shape of an input or output; data is NULL. */
KF_API kf_status kf_graph_input(const kf_graph *graph, int32_t index, kf_tensor *out, kf_error *err);
KF_API kf_status kf_graph_output(const kf_graph *graph, int32_t index, kf_tensor *out, kf_error *err);

/** Per-node facts for `info --nodes` and `check`, of the graph as it is now: optimize with KF_OPTIMIZE_FUSE first to learn what
 *  compiles. Strings belong to the graph. */
typedef struct kf_node_info {
    const char *name, *op;
    int64_t shape[KF_MAX_RANK]; /**< output 0 */
    int32_t rank;
    int64_t macs, parameters;
    int32_t supported;    /**< 1: it has a step; 0: it does not, and `reason` says why */
    const char *reason;   /**< NULL when supported */
    int32_t n_sources;
    const char *const *sources; /**< names of the nodes of the file that were fused into this one, its own included */
} kf_node_info;
KF_API kf_status kf_graph_node(const kf_graph *graph, int32_t index, kf_node_info *out, kf_error *err);

/** One architecture that a checkpoint can have. Strings are static. */
typedef struct kf_zoo_entry {
    const char *name;      /**< timm's or torchvision's name: what `arch` of kf_import_options takes */
    int32_t width, height; /**< input in pixels, of the published weights */
    int64_t parameters;    /**< learned elements for 1000 classes, as timm counts them (running statistics excluded) */
    int64_t macs;          /**< multiply-accumulates at that size, definitions in docs/COUNT.md */
    double top1;           /**< published ImageNet top-1 in percent; 0: no weights published */
    const char *source;    /**< the library whose names and weights these are */
} kf_zoo_entry;
/** Entry `index`, 0-based. ARGUMENT past the last. Builds the architecture to count it: some milliseconds. Thread safe. */
KF_API kf_status kf_zoo_get(int32_t index, kf_zoo_entry *out, kf_error *err);

/** Ready-made preprocessing of a timm name ("tf_mobilenetv3_large_minimal_100"). ARGUMENT if unknown. */
KF_API kf_status kf_preprocess_by_name(const char *name, kf_preprocess *out, kf_error *err);

#ifdef __cplusplus
}
#endif
#endif
