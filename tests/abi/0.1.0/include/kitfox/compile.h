/* The toolchain library: import, simplify, compile.
 * libkitfoxc exports this and everything of libkitfox; link one of the two.
 * Owner rule: kf_graph_destroy releases a graph; strings inside info structs belong to their graph.
 * Thread rule: a graph belongs to one thread at a time. */
#ifndef KITFOX_COMPILE_H
#define KITFOX_COMPILE_H

#include "kitfox/graph_types.h"
#include "kitfox/kitfox.h"
#include "kitfox/quantize_types.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A network while the toolchain works on it: nodes as in ONNX, weights, and what goes into the model file. */
typedef struct kf_graph kf_graph;

/** Defaults: see kf_import_options. `options` has to be valid. Thread safe. */
KF_API void kf_import_options_init(kf_import_options *options);

/** Read an ONNX file, a safetensors checkpoint of timm's or torchvision's MobileNetV3, or a compiled model (told apart
 * by content). The graph is as in the file: not yet optimized. Beside a checkpoint, "<stem>.json" or else "config.json"
 * (timm's) says what weights cannot: architecture, input size, preprocessing, labels; what `options` gives wins.
 * FORMAT, with file and key, when that JSON is malformed. How pictures are prepared for an ONNX file is looked for in
 * such JSON, in normalization inside the network, in TensorFlow's SAME padding, and in the name of the file or graph
 * (kf_graph_info.preprocess_source says where it was); JSON that does not fit the network is left alone, with a notice.
 * A compiled model gives the fused graph it was made of, at opset 11, without `input_shape` and `arch` (ARGUMENT); a
 * quantized one its quantized graph (UNSUPPORTED where the file's numbers do not follow from its scales by
 * docs/NUMERICS.md). QDQ files (QuantizeLinear, DequantizeLinear) are read, run in the reference executor and written;
 * compiling them is UNSUPPORTED. */
KF_API kf_status kf_graph_import(const char *path, const kf_import_options *options, kf_graph **out, kf_error *err);
/** The same from `bytes` bytes of an ONNX file in memory, which are copied. Weights in files of their own cannot be
 * found: UNSUPPORTED. Other errors: as kf_graph_import but IO. `*out` is NULL on failure. Thread safe. */
KF_API kf_status kf_graph_import_onnx_memory(const void *data, size_t bytes, const kf_import_options *options,
                                             kf_graph **out, kf_error *err);
/** A checkpoint of timm's or torchvision's MobileNetV3 from memory: `n` tensors, each with its name as in the state
 *  dictionary, dtype (F32, F16, BF16; others only where the network needs no number of them, as counters), shape and
 *  dense row-major data of any alignment. They stay the caller's and are copied. `arch` is a name of kf_zoo_get; NULL:
 *  options->arch, else recognized by the tensors. `options` as for kf_graph_import. No file is read. Errors name the
 *  tensor: ARGUMENT (no name, one twice, no data, bytes that do not fit the shape, an unknown architecture), FORMAT
 * (not finite, another type), SHAPE, UNSUPPORTED (missing, left over, no architecture fits), LIMIT (4096 tensors),
 * MEMORY. */
KF_API kf_status kf_graph_import_tensors(const kf_tensor *tensors, size_t n, const char *arch,
                                         const kf_import_options *options, kf_graph **out, kf_error *err);
/** NULL, and a pointer to NULL, are accepted; *graph becomes NULL. Models that were compiled of it stay. */
KF_API void kf_graph_destroy(kf_graph **graph);

/** "simplify", "fuse"; NULL for a value that is no enumerator. Thread safe. */
KF_API const char *kf_optimize_level_name(kf_optimize_level level);
/** The way back. ARGUMENT, with the names that there are: another name; *out is unchanged. Thread safe. */
KF_API kf_status kf_optimize_level_from_name(const char *name, kf_optimize_level *out, kf_error *err);
/** Rewrite the graph so that it computes the same with fewer nodes; rounding may differ in the last bits.
 * KF_OPTIMIZE_SIMPLIFY leaves ONNX operators alone; KF_OPTIMIZE_FUSE joins them to what the runtime executes, and does
 * the other first. A graph that is as far already stays as it is. ARGUMENT (no such level), UNSUPPORTED, LIMIT, MEMORY;
 * after a failure the graph must be destroyed. */
KF_API kf_status kf_graph_optimize(kf_graph *graph, kf_optimize_level level, kf_error *err);

/** Remove nodes of these ONNX types (Quantize, Dequantize, Transpose, Cast, Reshape, Softmax) or names, but only where
 * they touch an input or an output of the graph, again and again until none is left there. The input or output keeps
 * its name and takes the shape within. Before any kf_graph_optimize. `removed` (may be NULL) gets their number.
 * ARGUMENT: another type, no such node; UNSUPPORTED: optimized. */
KF_API kf_status kf_graph_trim(kf_graph *graph, const char *const *types, int32_t n_types, const char *const *names,
                               int32_t n_names, int32_t *removed, kf_error *err);
/** The first outputs of these nodes become the graph's outputs, in this order; what only the old ones needed goes,
 * labels too when they no longer fit. Before any kf_graph_optimize. ARGUMENT: no such node, one twice, n below 1;
 * UNSUPPORTED: optimized. */
KF_API kf_status kf_graph_set_outputs(kf_graph *graph, const char *const *nodes, int32_t n, kf_error *err);

/** Replace the preprocessing that goes into the compiled model; NULL: it has none and takes raw tensors only. Width and
 * height are the network's own, whatever `preprocess` says. ARGUMENT: a member outside its range (kf_preprocess_field),
 * or KF_COLOR_GRAY for a network whose input has not one channel. A network of one channel takes pictures only with
 * KF_COLOR_GRAY. */
KF_API kf_status kf_graph_set_preprocess(kf_graph *graph, const kf_preprocess *preprocess, kf_error *err);

/** Range of the NV12 frames that the model will be fed: 0 BT.601 full, 1 limited; not known until this call. It goes
 * into the compiled model as kf_model_info.input_range, where `kitfox stream` finds it; it changes no number. ARGUMENT
 * for another value. */
KF_API kf_status kf_graph_set_input_range(kf_graph *graph, int32_t range, kf_error *err);

/** Replace the names of the classes, which are copied; n 0: it has none. ARGUMENT unless there are as many as output 0
 * has elements, where its shape is known: it may need kf_graph_optimize first. (kf_graph_name_classes of lab.h takes
 * lists with a background line, too.) MEMORY: as it was. */
KF_API kf_status kf_graph_set_labels(kf_graph *graph, const char *const *labels, int32_t n, kf_error *err);

/** Optimize (if not done yet), choose the steps of the program, and make a model in memory. `options` may be NULL:
 * defaults. The graph stays the caller's and may be destroyed before the model; the caller destroys `*out` with
 * kf_model_destroy, and it is NULL on failure. UNSUPPORTED (an operator that has no step, a QDQ file; the text names
 * the node), LIMIT (max_model_bytes), ARGUMENT, MEMORY. */
KF_API kf_status kf_graph_compile(kf_graph *graph, const kf_model_options *options, kf_model **out, kf_error *err);
/** Same, written as a .kfx file (by kf_file_write with `sync`) with a golden vector for kf_model_verify: the network
 *  runs once on the scalar kernels, up to a second for large ones. The same graph gives the same bytes on every
 *  machine. Errors: as kf_graph_compile, and IO; on failure `path` is as it was. */
KF_API kf_status kf_graph_save(kf_graph *graph, const char *path, kf_error *err);

/** Write the graph as it is now to an ONNX file (by kf_file_write with `sync`), with standard operators alone:
 *  optimize with KF_OPTIMIZE_SIMPLIFY first for the fewest nodes that stay as in the file, or with KF_OPTIMIZE_FUSE
 *  for what compiles, spelled out again. Opset, IR version and the names of nodes, inputs, outputs and weights are
 *  kept; free dimensions are written as they were given. Half and double weights and inputs are f32. LIMIT: over 2
 *  GiB. IO: the file cannot be written. A quantized graph is written as QDQ (docs/ONNX.md; kf_graph_set_qdq_form
 *  chooses how): opset 13, or 21 where 16 bits occur; its input is the float model's, normalized. UNSUPPORTED: one
 *  that takes pixels without saying how they were normalized. */
KF_API kf_status kf_graph_save_onnx(kf_graph *graph, const char *path, kf_error *err);
/** The same bytes in memory. The caller releases *data with free(); it is NULL on failure. Errors: as above but IO. */
KF_API kf_status kf_graph_write_onnx(kf_graph *graph, void **data, size_t *bytes, kf_error *err);

/** "exact", "scales"; NULL for a value that is no enumerator. Thread safe. */
KF_API const char *kf_qdq_form_name(kf_qdq_form form);
/** The way back. ARGUMENT, with the names that there are: another name; *out is unchanged. Thread safe. */
KF_API kf_status kf_qdq_form_from_name(const char *name, kf_qdq_form *out, kf_error *err);
/** How kf_graph_save_onnx and kf_graph_write_onnx write a quantized graph from now on; default KF_QDQ_EXACT. A float
 * graph is written the same in both. ARGUMENT: no such form. */
KF_API kf_status kf_graph_set_qdq_form(kf_graph *graph, kf_qdq_form form, kf_error *err);

/** Run the graph as it is now in the reference executor: sums in double, exact integers where it is quantized. It is
 * some hundred times slower than a session. `in` are the inputs in their order, f32 or the declared type, with data, of
 * the declared shapes (dense, row-major, N,C,H,W for pictures). out[k].data is the caller's memory for output k, of
 * out[k].bytes bytes; dtype, rank, shape and bytes are filled in. ARGUMENT (counts, no data), SHAPE (a tensor that does
 * not fit; the text has both numbers), UNSUPPORTED, MEMORY. */
KF_API kf_status kf_graph_run_reference(kf_graph *graph, const kf_tensor *in, size_t n_in, kf_tensor *out, size_t n_out,
                                        kf_error *err);

/** What a graph is, as it is now. Strings belong to the graph. */
typedef struct kf_graph_info {
    size_t size;                        /**< sizeof of this structure, set by the caller before the call */
    const char *name, *arch, *producer; /**< of the network, its architecture, the exporter; any may be NULL */
    int32_t opset, ir_version, n_inputs, n_outputs;
    int32_t n_nodes;    /**< now */
    int32_t file_nodes; /**< in the ONNX file, Constant nodes and unread ones included; 0 if it came from none */
    int64_t parameters, stored_parameters, macs, activations; /**< as in kf_model_info; docs/COUNT.md */
    int32_t n_labels;
    kf_preprocess preprocess;
    int32_t quantized; /**< 1: kf_graph_quantize did it, or it came from a quantized .kfx file */
    int32_t pixels;    /**< 1: quantized, and the input is pixels 0..255, in f32 or u8, not normalized numbers */
    int32_t input_range, input_range_known; /**< this and the rest as in kf_model_info */
    kf_takes takes;
    kf_scores_kind scores;
    kf_origin preprocess_origin;
    const char *preprocess_source;
} kf_graph_info;
/** ARGUMENT: no graph, or info->size is not set. Counts anew at each call. MEMORY. */
KF_API kf_status kf_graph_get_info(kf_graph *graph, kf_graph_info *info, kf_error *err);
/** Name, dtype and declared shape of input or output `index`, 0-based; `data` is NULL and `name` belongs to the graph.
 * ARGUMENT past the last. */
KF_API kf_status kf_graph_input(const kf_graph *graph, int32_t index, kf_tensor *out, kf_error *err);
KF_API kf_status kf_graph_output(const kf_graph *graph, int32_t index, kf_tensor *out, kf_error *err);

/** Per-node facts for `info --nodes` and `check`, of the graph as it is now: optimize with KF_OPTIMIZE_FUSE first to
 * learn what compiles. Strings belong to the graph. */
typedef struct kf_node_info {
    size_t size; /**< sizeof of this structure, set by the caller before the call */
    const char *name, *op;
    int64_t shape[KF_MAX_RANK]; /**< output 0 */
    int32_t rank;
    int64_t macs, parameters;
    int32_t supported;  /**< 1: it has a step; 0: it does not, and `reason` says why */
    const char *reason; /**< NULL when supported */
    int32_t n_sources;
    const char *const *sources; /**< names of the nodes of the file that were fused into this one, its own included */
} kf_node_info;
/** Node `index`, 0-based, in the order of execution. ARGUMENT past the last, or out->size is not set. */
KF_API kf_status kf_graph_node(const kf_graph *graph, int32_t index, kf_node_info *out, kf_error *err);

/** "mse", "max", "percentile", "kl"; NULL for a value that is no enumerator. Thread safe. */
KF_API const char *kf_range_method_name(kf_range_method method);
/** The way back. ARGUMENT, with the names that there are: another name; *out is unchanged. Thread safe. */
KF_API kf_status kf_range_method_from_name(const char *name, kf_range_method *out, kf_error *err);

/** Defaults: see kf_quantize_options. `options` has to be valid. Thread safe. */
KF_API void kf_quantize_options_init(kf_quantize_options *options);

/** Post-training quantization in place; docs/QUANTIZATION.md has the method. `samples`: typical inputs, 50 to 200
 *  of them, all of one kind. Either u8 pictures of the input's size, [height, width, 3] in RGB whatever colours the
 *  network wants, or [height, width, 1] where it wants KF_COLOR_GRAY: the model then takes pixels and normalizes in
 *  its first layer's weights. Or f32 of the input's shape. Optimizes the graph first. Takes seconds, with a
 *  target some minutes; memory stays below 1 GB (fewer samples are used beyond that). The same samples and
 *  options give the same integers on every instruction set with fused multiply-add ("avx2" and up) and with any number
 *  of threads; "sse4" and "scalar" may give others, as they round the sums of f32 layers differently.
 *  A sample's `name` (its file, or NULL) is what messages call it. `options` may be NULL: defaults. The samples stay
 * the caller's. ARGUMENT: no or odd samples, an unknown int16 node, int16 weights asked of a node without, a target or
 * limit out of range, fewer than 8 samples with a target. SHAPE: samples that do not fit the input. UNSUPPORTED: a
 * network that cannot be quantized, or already is. CANCELLED: `progress` asked for it. On any failure after the checks
 * the graph must be destroyed; no file was written. */
KF_API kf_status kf_graph_quantize(kf_graph *graph, const kf_tensor *samples, size_t n_samples,
                                   const kf_quantize_options *options, kf_error *err);

/** Row `index` of the quantizer's report, 0-based, in the order of execution. ARGUMENT past the last node, for a graph
 * that was not quantized here, or out->size is not set. */
KF_API kf_status kf_graph_quantized_node(const kf_graph *graph, int32_t index, kf_quantized_node *out, kf_error *err);
/** Of node `index`, after quantizing with `detail`: its output (`weights` 0), or its weights (1; a squeeze-and-excite
 * branch: both matrices; the layer that reads u8 pixels: divided by 255 std). ARGUMENT: past the last node, or none was
 * kept. */
KF_API kf_status kf_graph_quantized_histogram(const kf_graph *graph, int32_t index, int32_t weights,
                                              kf_quantized_histogram *out, kf_error *err);
/** Of the quantizer's own run: percent of the samples whose best class stayed the same, SQNR of the output in dB, and
 * how many samples were used. Any of the three pointers may be NULL. ARGUMENT: the graph was not quantized here. */
KF_API kf_status kf_graph_quantized_summary(const kf_graph *graph, double *agreement, double *sqnr, int32_t *samples,
                                            kf_error *err);

/** What the search for a target came to. ARGUMENT: the graph was not quantized with a target, or out->size is not set.
 */
KF_API kf_status kf_graph_search_result(const kf_graph *graph, kf_search_result *out, kf_error *err);

/** Candidate `index`, 0-based: the promoted ones in order, then by gain. ARGUMENT past the last. */
KF_API kf_status kf_graph_search_candidate(const kf_graph *graph, int32_t index, kf_search_candidate *out,
                                           kf_error *err);

/** "integer", "real", "word"; NULL for a value that is no enumerator. Thread safe. */
KF_API const char *kf_field_kind_name(kf_field_kind kind);
/** The way back. ARGUMENT, with the names that there are: another name; *out is unchanged. Thread safe. */
KF_API kf_status kf_field_kind_from_name(const char *name, kf_field_kind *out, kf_error *err);

/** "before-13", "13"; NULL for a value that is no enumerator. Thread safe. */
KF_API const char *kf_pillow_name(kf_pillow pillow);
/** The way back. ARGUMENT, with the names that there are: another name; *out is unchanged. Thread safe. */
KF_API kf_status kf_pillow_from_name(const char *name, kf_pillow *out, kf_error *err);

/** kf_dtype_name and kf_status_name the other way. ARGUMENT, with the names that there are: another name; *out is
 *  unchanged. Thread safe. */
KF_API kf_status kf_dtype_from_name(const char *name, kf_dtype *out, kf_error *err);
KF_API kf_status kf_status_from_name(const char *name, kf_status *out, kf_error *err);

/** One architecture that a checkpoint can have. Strings are static. */
typedef struct kf_zoo_entry {
    size_t size;           /**< sizeof of this structure, set by the caller before the call */
    const char *name;      /**< timm's or torchvision's name: what `arch` of kf_import_options takes */
    int32_t width, height; /**< input in pixels, of the published weights */
    int64_t parameters;    /**< learned elements for 1000 classes, as timm counts them (running statistics excluded) */
    int64_t macs;          /**< multiply-accumulates at that size, definitions in docs/COUNT.md */
    double top1;           /**< published ImageNet top-1 in percent; 0: no weights published */
    const char *source;    /**< the library whose names and weights these are */
} kf_zoo_entry;
/** Entry `index`, 0-based. ARGUMENT past the last. Builds the architecture to count it: some milliseconds. Thread safe.
 */
KF_API kf_status kf_zoo_get(int32_t index, kf_zoo_entry *out, kf_error *err);
/** Open a regular file for reading and tell its size; the caller closes *fd. It never waits: IO for a pipe, a device or
 * a directory. Thread safe. */
KF_API kf_status kf_file_open(const char *path, int *fd, uint64_t *bytes, kf_error *err);
/** Write a file whole, as kf_graph_save does: under a temporary name in its folder, then renamed, so that `path` holds
 * the old bytes or the new ones and never a part. A link is followed and stays. A file that is replaced keeps its mode,
 * and its owner where that is allowed. A pipe or a character device is written through, and so is the file that
 * descriptor 1 writes to; a directory, a block device or a socket is refused. `sync` 1: the bytes are on the disk
 * before the rename, as with kf_graph_save. Errors: ARGUMENT, IO. Thread safe. */
KF_API kf_status kf_file_write(const char *path, const void *data, size_t bytes, int32_t sync, kf_error *err);
/** Could kf_file_write begin? For the time before long work; leaves nothing behind. Errors: ARGUMENT, IO. */
KF_API kf_status kf_file_check(const char *path, kf_error *err);
/** Remove the temporary files of writes that are going on, until the process ends: for a handler of SIGINT or SIGTERM
 * that then ends it. Async-signal-safe. The library installs no handlers. */
KF_API void kf_file_abandon(void);
/** Who reads a file of a kind; bits of `reads` below. */
enum {
    KF_FILE_KFX = 1,         /**< kf_model_load, kf_graph_import */
    KF_FILE_ONNX = 2,        /**< kf_graph_import */
    KF_FILE_SAFETENSORS = 4, /**< kf_graph_import */
    KF_FILE_PICTURE = 8,     /**< kf_image_load */
    KF_FILE_NPY = 16,        /**< kf_npy_read */
    KF_FILE_TEXT = 32        /**< kf_labels_load, kf_rdk_load and others, if it says what they need */
};
/** What a file is. Strings are static. */
typedef struct kf_file_kind {
    uint32_t reads;     /**< one KF_FILE_ bit; 0: nothing here reads it */
    const char *what;   /**< "a Git LFS pointer, which only stands for the file" */
    const char *advice; /**< what to do where another kind is needed: "fetch the file itself: git lfs pull" */
} kf_file_kind;
/** Tell a file's kind by its content: the first 4096 bytes, or all of a shorter file, are enough. It is a guess for
 *  messages and for choosing a loader; the loader checks. NULL: not known here, also for NULL `data`. The kind is
 *  static. Thread safe. */
KF_API const kf_file_kind *kf_file_recognize(const void *data, size_t bytes);
/** After a call that reads `path` failed with status `st`: if the status is about the content (FORMAT, UNSUPPORTED,
 *  LIMIT, CORRUPT) and the file is of a known kind that is not in the bits `reads`, the text in `err` becomes
 *  "PATH: this is WHAT; ADVICE". Returns `st` in any case, and does nothing where `path` is NULL. Thread safe.
 */
KF_API kf_status kf_file_explain(const char *path, uint32_t reads, kf_status st, kf_error *err);
/** SHA-256 of a file as 64 lower-case hexadecimal digits and a final 0. Errors: ARGUMENT, IO. */
KF_API kf_status kf_file_sha256(const char *path, char hex[65], kf_error *err);

/** Preprocessing of the published weights of a timm or torchvision name ("tf_mobilenetv3_large_minimal_100"), input
 * size included. ARGUMENT: an unknown name, or no pointer; *out is unchanged. Thread safe. */
KF_API kf_status kf_preprocess_by_name(const char *name, kf_preprocess *out, kf_error *err);

#ifdef __cplusplus
}
#endif
#endif
