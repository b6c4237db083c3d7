/* The runtime library: load a compiled model, run it, read the scores.
 * The whole of libkitfox's interface except pictures (image.h) and their files (codec.h, of libkitfoximg).
 * Owner rule: kf_*_destroy releases what kf_*_create or kf_*_load made; it nulls the pointer and accepts NULL.
 *
 * A complete program is examples/classify.c. In short:
 *     kf_model_load("model.kfx", NULL, &model, &err);
 *     kf_session_create(model, NULL, &session, &err);
 *     kf_session_classify(session, &image, 5, top, &n, &err);
 * Thread rule: a model is immutable and may be shared by any number of threads, a pool too; a session belongs to one
 * thread at a time. Make one session per thread. For many pictures at once see batch.h.
 * Fork rule: a child has the models and sessions of its parent, but none of their threads. There a session computes the
 * same on the calling thread alone, and kf_session_destroy frees it without waiting for anything. A session that the
 * child creates has threads of its own. The parent's are untouched. */
#ifndef KITFOX_KITFOX_H
#define KITFOX_KITFOX_H

#include "kitfox/status.h"
#include "kitfox/types.h"
#include "kitfox/image.h"
#include "kitfox/preprocess.h"
#if defined(__has_include)
#if __has_include("kitfox/codec.h") /* libkitfoximg is installed; other compilers name this header themselves */
#include "kitfox/codec.h"
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kf_model kf_model;     /**< a compiled network with its weights */
typedef struct kf_session kf_session; /**< the memory and the threads that run a model */
typedef struct kf_pool kf_pool;       /**< threads that sessions share */

/** How to load. Fill with kf_model_options_init, then change fields. */
typedef struct kf_model_options {
    size_t size;                   /**< sizeof(kf_model_options), set by the init function */
    const kf_allocator *allocator; /**< NULL: malloc; must outlive the model */
    size_t max_bytes;              /**< refuse larger files; default 1 GiB */
    int32_t skip_hash;             /**< 1: do not check the file's hash (default 0) */
    /** Most bytes that the model may take beside its program: packed weights, and parameters in the order of kernels.
     *  0 (default): of a file 64 MiB and 32 times its bytes, which padding to a vector's length stays below in networks
     *  (they take 1 to 3 times their file); of a graph whatever it needs. */
    size_t max_model_bytes;
    /** For sessions of this model, kf_model_verify's too, whose own options say nothing else. 0 (default): as in
     *  kf_session_options. */
    size_t max_session_bytes;
    int64_t max_operations; /**< not negative */
    kf_scores_kind scores;  /**< what output 0 means, in place of what the file says; 0 (default): as the file says */
} kf_model_options;
/** Defaults: see above. `options` has to be valid. Thread safe. */
KF_API void kf_model_options_init(kf_model_options *options);

/** Load a .kfx file. It is read, not mapped: later changes of the file change nothing. Errors: IO (also for what is no
 *  regular file, and for one that changes meanwhile), FORMAT, CORRUPT (hash), LIMIT (max_bytes, max_model_bytes, or
 * what no network has: docs/FORMAT.md), UNSUPPORTED, MEMORY. `*out` is NULL on failure. */
KF_API kf_status kf_model_load(const char *path, const kf_model_options *options, kf_model **out, kf_error *err);
/** The same from `bytes` bytes at `data`, which are copied. max_bytes does not count. Errors: as kf_model_load but IO.
 */
KF_API kf_status kf_model_load_memory(const void *data, size_t bytes, const kf_model_options *options, kf_model **out,
                                      kf_error *err);
/** Read a regular file of at most `max_bytes` bytes whole. One zero byte follows the last; the caller releases *data
 * with free(). It never waits: IO for a pipe, a device, a directory, and for a file that changes while it is read.
 * LIMIT, MEMORY. Thread safe. */
KF_API kf_status kf_file_read(const char *path, size_t max_bytes, void **data, size_t *bytes, kf_error *err);
/** Destroy after the last session that uses it. NULL, and a pointer to NULL, are accepted; *model becomes NULL. */
KF_API void kf_model_destroy(kf_model **model);

/** What a model is. Pointers are owned by the model. */
typedef struct kf_model_info {
    size_t size; /**< sizeof of this structure, set by the caller before the call */
    const char *name, *arch, *source, *producer, *compiled_by; /**< any may be NULL */
    int64_t parameters;                                        /**< of the architecture, as timm counts */
    int64_t stored_parameters;                                 /**< every initializer element of the source file */
    int64_t macs, activations; /**< multiply-adds and output elements of convolutions, one image */
    int32_t quantized;         /**< 1: integer program */
    int32_t n_inputs, n_outputs, n_steps, n_labels;
    kf_preprocess preprocess;
    int32_t input_range;           /**< of the NV12 frames that it was made for: 0 BT.601 full, 1 limited */
    size_t max_session_bytes;      /**< limit of sessions whose own options say nothing */
    int32_t input_range_known;     /**< 0: nobody said what frames it was made for, and input_range is 0 */
    kf_takes takes;                /**< what input 0 takes */
    kf_scores_kind scores;         /**< what output 0 gives */
    kf_origin preprocess_origin;   /**< who said how pictures are prepared */
    const char *preprocess_source; /**< from what that was recognized, a file or an architecture; else NULL */
} kf_model_info;
/** ARGUMENT: no model, or info->size is not set (kf_info_write); nothing is written then. Thread safe. */
KF_API kf_status kf_model_get_info(const kf_model *model, kf_model_info *info, kf_error *err);
/** Name, dtype and declared shape of input or output `index`; `data` is NULL. ARGUMENT when out of range. */
KF_API kf_status kf_model_input(const kf_model *model, int32_t index, kf_tensor *out, kf_error *err);
KF_API kf_status kf_model_output(const kf_model *model, int32_t index, kf_tensor *out, kf_error *err);
/** The output whose scores are ranked by kf_session_classify and measured by every comparison: 0, unless the network
 * ends in ArgMax or TopK. Then it is the scores among which these choose. Where the file does not give them, they are
 * one more output of the model, number kf_model_info.n_outputs. 0 for NULL. Allocates nothing, thread safe. */
KF_API int32_t kf_model_ranked(const kf_model *model);
/** Label of class `index`, owned by the model. NULL: it has none, or the index is out of range. Thread safe. */
KF_API const char *kf_model_label(const kf_model *model, int32_t index);

/** One step of the program: what the runtime executes at once. Strings are owned by the model. */
typedef struct kf_step_info {
    size_t size;                    /**< sizeof of this structure, set by the caller before the call */
    const char *name, *op, *kernel; /**< node name, step kind, kernel chosen on this CPU */
    int64_t shape[4];               /**< output n, h, w, c */
    kf_dtype dtype;                 /**< of the output */
    int64_t macs, parameters;       /**< multiply-adds of one image; learned elements */
    double ms;                      /**< last run's time when profiling, else 0 */
    int32_t n_in, in[16]; /**< what it reads: the step whose output it is, or -1 - k for input k of the model */
} kf_step_info;
/** Step `index`, 0-based, in the order of execution. ARGUMENT past the last, or out->size is not set. Thread safe. */
KF_API kf_status kf_model_step(const kf_model *model, int32_t index, kf_step_info *out, kf_error *err);

/** How a model's golden vector was met: what each step gave for one made-up input (docs/FORMAT.md) when the model was
 * compiled. */
typedef struct kf_verify_report {
    size_t size;   /**< sizeof of this structure, set by the caller before the call */
    int32_t steps; /**< compared; where one differs, up to it */
    int32_t exact; /**< of them byte for byte: integer steps. The others, f32 whose sums may run in any order, within a
                      tolerance */
    int32_t first; /**< index of the first step that differs; -1: none, this machine computes what the file says */
    const char *name, *op, *kernel; /**< of that step, owned by the model; else NULL */
    double difference; /**< of that step relative to its length, else the largest of all; 0 where bytes were compared */
    double tolerance; /**< that `difference` was held to: 1e-4, in quantized models 1e-2; 0 where bytes were compared */
} kf_verify_report;
/** Run the made-up input on this machine's kernels with `threads` cores (0: default; fewer where no more start) and
 *  compare every step. KF_OK says only that it was done: look at `first`. UNSUPPORTED: the model has no vector (older
 *  files, kf_graph_compile). LIMIT: as kf_session_create, by the model's options. MEMORY. Thread safe. */
KF_API kf_status kf_model_verify(const kf_model *model, int32_t threads, kf_verify_report *out, kf_error *err);

/** A pool of threads that any number of sessions can share (kf_session_options.pool), so that N sessions do not mean N
 *  pools. A session alone needs none: it has threads of its own, or no threads at all where it uses one core. `threads`
 *  counts the caller of a run; it is 1 to 64, or 0: as many processors as affinity and quota allow (or KITFOX_THREADS).
 *  Where the system does not start as many, the pool has fewer: see kf_pool_threads. `allocator` may be NULL.
 *  A pool works for one run at a time. A session that finds it at work computes its step on the calling thread alone,
 *  with the same result to the bit: no session waits for another. Threads that find no work for about 50 microseconds
 *  sleep and use no processor time until the next run. In a child of fork a pool has no threads but the caller; the
 *  child may destroy it. Errors: ARGUMENT, MEMORY; `*out` is NULL then. Thread safe. */
KF_API kf_status kf_pool_create(int32_t threads, const kf_allocator *allocator, kf_pool **out, kf_error *err);
/** Destroy after the last session that uses it. Ends and joins the threads. */
KF_API void kf_pool_destroy(kf_pool **pool);
/** Threads of the pool, the caller of a run included; of NULL 1. `wanted` (may be NULL) gets how many were asked for.
 *  Fewer than that could be started where the two differ. Thread safe. */
KF_API int32_t kf_pool_threads(const kf_pool *pool, int32_t *wanted);
/** Call `fn` once for each part 0 .. kf_pool_threads - 1, on the pool's threads and the caller's, and return after the
 *  last. One thread may take several parts, so that a part must not wait for another. `fn` may run sessions that use
 * the same pool. On a pool that works for somebody else, or is NULL, the caller computes all parts. Allocates nothing.
 *  Thread safe. */
KF_API void kf_pool_run(kf_pool *pool, kf_pool_fn fn, void *user);

/** How to run. Fill with kf_session_options_init, then change members. */
typedef struct kf_session_options {
    size_t size;                   /**< sizeof(kf_session_options), set by the init function */
    const kf_allocator *allocator; /**< NULL: malloc */
    int32_t
        threads; /**< cores for one image, at most KF_MAX_THREADS; 0: KITFOX_THREADS or affinity and quota, at most 4 */
    int32_t profile; /**< 1: time every step */
    /** Most bytes that the session may take, all at once: activations (inputs and outputs are among them), scratch of
     *  every thread, scores, and the room of kf_session_watch. 0 (default): what the model's options say; else 4 GiB,
     *  twice what MobileNetV3 Large takes for a picture of 4096 pixels a side (6 MB at 224). */
    size_t max_session_bytes;
    /** Most operations of one run, at least 0. An operation takes about as long as a multiply-add of a matrix product;
     *  docs/FORMAT.md says what steps count. 0 (default): what the model's options say; else 2^38 = 274877906944, half
     * as much again as MobileNetV3 Large takes for a picture of 4096 pixels a side, and 500 times what it takes for
     * 224. */
    int64_t max_operations;
    /** Threads to share with other sessions; outlives the session, which then has no threads of its own. `threads` does
     *  not count. The session has scratch memory for each of the pool's threads. NULL (default): threads of its own. */
    kf_pool *pool;
} kf_session_options;
/** Defaults: see above. `options` has to be valid. Thread safe. */
KF_API void kf_session_options_init(kf_session_options *options);

/** Where the system does not start as many threads, the session has fewer and computes the same: see
 *  kf_session_threads. LIMIT, before anything large is allocated: the session would take more than max_session_bytes,
 * or a run more than max_operations; the text has both numbers. Errors: ARGUMENT, LIMIT, MEMORY. */
KF_API kf_status kf_session_create(const kf_model *model, const kf_session_options *options, kf_session **out,
                                   kf_error *err);
/** NULL, and a pointer to NULL, are accepted; *session becomes NULL. */
KF_API void kf_session_destroy(kf_session **session);
/** Threads that share an image, the caller's included; of NULL 1. `wanted` (may be NULL) gets how many `threads` of the
 * options asked for, or the default. Fewer than that could be started where the two differ. */
KF_API int32_t kf_session_threads(const kf_session *session, int32_t *wanted);

/** Raw tensors in, raw tensors out, in the model's declared order and layout; colours in the model's own order. Inputs:
 *  f32 as declared (mostly NCHW); a model with u8 pixel input also takes u8 (as declared, or N,H,W,C where N,C,H,W is
 *  declared), and f32 with its normalization undone and rounded. Outputs: the caller's f32 buffers of the declared
 * size; fewer than the model has are enough. A tensor belongs to the input or output of its name, or where `name` is
 * NULL of its position. Allocates nothing. Errors: ARGUMENT (counts), SHAPE (another shape or type, no data, too few
 * bytes; the text names the tensor and both numbers). */
KF_API kf_status kf_session_run(kf_session *session, const kf_tensor *in, size_t n_in, kf_tensor *out, size_t n_out,
                                kf_error *err);
/** Exactly input-sized RGB8 pixels, `stride` bytes a row. Callers never convert colours: networks of BGR see them
 *  swapped, networks of one channel with KF_COLOR_GRAY see their luma. `scores` gets output 0 (class count f32: logits,
 *  or probabilities when the network ends in softmax). Allocates nothing. ARGUMENT: a stride below 3 * width.
 *  UNSUPPORTED: the model has no picture input, or one channel and another color than GRAY. */
KF_API kf_status kf_session_run_rgb(kf_session *session, const uint8_t *rgb, size_t stride, float *scores,
                                    size_t n_scores, kf_error *err);
/** Picture of any size to top-k, best first; ties go to the lower index. `*n` gets min(k, classes), and
 *  labels belong to the model. Allocates only for the resizing; kf_session_run_rgb allocates nothing. UNSUPPORTED (no
 *  picture input, outputs that are no scores), LIMIT, ARGUMENT, MEMORY. */
KF_API kf_status kf_session_classify(kf_session *session, const kf_image *image, size_t k, kf_score *top, size_t *n,
                                     kf_error *err);
/** NV12 frame of any even size: to RGB (kf_image_from_nv12), then as kf_session_classify does with a picture.
 * `frame->limited` decides the range; kf_model_info.input_range says what the model expects. Borrows the planes for the
 * call. Errors: ARGUMENT (odd sides, short strides, no planes), UNSUPPORTED (the model has no picture input), MEMORY.
 */
KF_API kf_status kf_session_classify_nv12(kf_session *session, const kf_nv12 *frame, size_t k, kf_score *top, size_t *n,
                                          kf_error *err);
/** Step `index` as kf_model_step gives it, with the time that it took in the last run in `ms` (profile = 1; else 0).
 * ARGUMENT: no such step, or out->size is not set. */
KF_API kf_status kf_session_step(const kf_session *session, int32_t index, kf_step_info *out, kf_error *err);
/** Show every step's output of the runs from now on to `fn`, called from the running thread; NULL ends it. Runs slow
 * down. Allocates room for the largest output. Errors: ARGUMENT, LIMIT (max_session_bytes), MEMORY (then nothing
 * changed). */
KF_API kf_status kf_session_watch(kf_session *session, kf_step_fn fn, void *user, kf_error *err);
/** In the runs from now on, put `values` (real numbers in storage order, rounded as the output is stored) in place of
 * what step `step` computed; step -1 ends it. `values` stays the caller's and has to live until then. ARGUMENT: no such
 * step. Allocates nothing. */
KF_API kf_status kf_session_replace(kf_session *session, int32_t step, const float *values, kf_error *err);
/** Run one step alone: in[k] for each of its n_in inputs and `out` are real numbers in storage order; inputs are
 * rounded as they are stored. Overwrites the session's activations. ARGUMENT: no such step, a pointer is missing.
 * Allocates nothing. */
KF_API kf_status kf_session_run_step(kf_session *session, int32_t step, const float *const *in, float *out,
                                     kf_error *err);
/** Turn n scores of `kind` into probabilities, in place and in ascending order, then into the k best classes, best
 *  first; ties go to the lower index. `*found` gets min(k, n). Every verb and kf_session_classify rank by this
 * function. KF_SCORES_UNKNOWN counts as logits. Labels are NULL. Allocates nothing, thread safe. UNSUPPORTED: features
 * are no scores of classes; a score is NaN or infinite (of KF_SCORES_LOG -infinity is a probability of 0). */
KF_API kf_status kf_scores_rank(kf_scores_kind kind, float *scores, size_t n, size_t k, kf_score *top, size_t *found,
                                kf_error *err);
/** The `k` largest of `n` scores, best first; ties go to the lower index; NaN is left out. `scores` are logits, which
 * become probabilities in place (softmax, summed in ascending order), unless `probabilities` is not 0. `top` has room
 * for `k` entries; their labels are NULL. Returns how many were found: at most min(k, n). Pointers have to be valid.
 * Thread safe. */
KF_API size_t kf_top_k(float *scores, size_t n, int probabilities, size_t k, kf_score *top);
/** Bytes that a session takes beside its model, and that a model takes for packed weights. 0 for NULL. Thread safe. */
KF_API size_t kf_session_bytes(const kf_session *session);
KF_API size_t kf_model_bytes(const kf_model *model);

/** Instruction set in use, after KITFOX_CPU and kf_cpu_limit: one of the names of kf_cpu_level_name. */
KF_API const char *kf_cpu_name(void);
/** Name of instruction set `index` of those that this library has for the architecture it was built for, or NULL past
 *  the last (and below 0). "scalar" is 0 and runs everywhere; the last usable one is the best. A name is what
 *  KITFOX_CPU and kf_cpu_limit take. Static text; thread safe. */
KF_API const char *kf_cpu_level_name(int index);
/** 1 if this machine and its operating system can run instruction set `index`, whatever KITFOX_CPU and kf_cpu_limit
 *  say; else 0, also for an index without a name. Of "amx" this asks Linux for the state of tiles: permission for the
 *  whole process from then on. Thread safe. */
KF_API int kf_cpu_level_usable(int index);
/** For models loaded from now on, use nothing that the named instruction set lacks; NULL for the best. ARGUMENT for an
 *  unknown name, UNSUPPORTED for one that cannot run here (another architecture's too). Not thread safe. */
KF_API kf_status kf_cpu_limit(const char *name, kf_error *err);

#ifdef __cplusplus
}
#endif
#endif
