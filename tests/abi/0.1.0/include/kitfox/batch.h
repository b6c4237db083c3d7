/* Many pictures at once: each core computes one picture at a time, so that the throughput is the most that a machine
 * gives. Every picture gives what it gives alone, to the bit. For the shortest time of one picture use a session.
 * Lives in libkitfoxlab and needs no more than the runtime.
 *
 *     kf_batch_create(model, NULL, &batch, &err);
 *     kf_batch_run_rgb(batch, pictures, n, stride, scores, n * classes, &err);
 * Owner rule: kf_batch_destroy releases what kf_batch_create made; pictures, tensors and scores are the caller's.
 * Thread rule: a batch belongs to one thread at a time; models and pools may be shared.
 * Fork rule: as of sessions: in a child it computes the same on the calling thread alone. */
#ifndef KITFOX_BATCH_H
#define KITFOX_BATCH_H

#include "kitfox/kitfox.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kf_batch kf_batch;

typedef struct kf_batch_options {
    size_t size;                   /**< sizeof(kf_batch_options), set by the init function */
    const kf_allocator *allocator; /**< of sessions and threads; NULL: malloc */
    kf_pool *pool;                 /**< threads to share; outlives the batch. NULL: threads of its own */
    int32_t threads; /**< at most KF_MAX_THREADS; 0 (default): as kf_pool_create has it. Does not count where a pool is
                        given */
    /** Most bytes that all sessions of the batch may take together: one for each thread, with activations of its own.
     *  0 (default): kf_model_info.max_session_bytes. */
    size_t max_session_bytes;
    int64_t max_operations; /**< of one picture; as in kf_session_options */
} kf_batch_options;
KF_API void kf_batch_options_init(kf_batch_options *options);

/** LIMIT, before more than the first session is allocated: the sessions would take more than max_session_bytes; the
 * text has both numbers. Where the system does not start as many threads, there are fewer: see kf_batch_threads.
 * `options` may be NULL. The model has to live as long as the batch. Errors: ARGUMENT, LIMIT, MEMORY; `*out` is NULL
 * then. */
KF_API kf_status kf_batch_create(const kf_model *model, const kf_batch_options *options, kf_batch **out, kf_error *err);
/** NULL does nothing; *batch becomes NULL. */
KF_API void kf_batch_destroy(kf_batch **batch);
/** Pictures that are computed at the same time, at most. `wanted` (may be NULL) gets how many threads were asked for.
 */
KF_API int32_t kf_batch_threads(const kf_batch *batch, int32_t *wanted);
/** Bytes of all sessions. */
KF_API size_t kf_batch_bytes(const kf_batch *batch);

/** kf_session_run for N images. Every input and output is as the model declares it, but its first extent is N times the
 *  declared one: [N, C, H, W] in and [N, classes] out of a model that declares [1, C, H, W] and [1, classes]. N is at
 *  least 1 and the same for all; it need not be a multiple of anything. Allocates nothing. Errors: as kf_session_run;
 *  SHAPE also where a first extent is no such multiple. Wrong shapes are found before anything is written; after
 * another error some images may have been. The text names the first image that failed, counted from 0. */
KF_API kf_status kf_batch_run(kf_batch *batch, const kf_tensor *in, size_t n_in, kf_tensor *out, size_t n_out,
                              kf_error *err);
/** kf_session_run_rgb for `n` >= 1 pictures of exactly the input's size, each at rgb[i] with `stride` bytes a row,
 * colours in RGB whatever the model wants. `scores` gets output 0 of each picture, one after the other: `n_scores`
 * floats is the room, at least n * classes. Allocates nothing. Errors: ARGUMENT, UNSUPPORTED (no picture input). */
KF_API kf_status kf_batch_run_rgb(kf_batch *batch, const uint8_t *const *rgb, size_t n, size_t stride, float *scores,
                                  size_t n_scores, kf_error *err);
/** kf_session_classify for `n` >= 1 pictures of any size. Picture i gets top[i * k] and following, best first, and
 * their number, min(k, classes), in found[i]. Allocates only for the resizing. Errors: ARGUMENT, LIMIT, UNSUPPORTED,
 * MEMORY. */
KF_API kf_status kf_batch_classify(kf_batch *batch, const kf_image *images, size_t n, size_t k, kf_score *top,
                                   size_t *found, kf_error *err);

#ifdef __cplusplus
}
#endif
#endif
