/* What the verbs of kitfox-run do: time a model, classify picture files and camera frames, run raw tensors, judge a
 * golden vector.
 * Lives in libkitfoxlab and needs no more than the runtime and the codecs. Nothing here prints or knows a terminal.
 *
 *     kf_bench_result r = {.size = sizeof r};
 *     if (kf_bench(model, NULL, &r, &err) == KF_OK) printf("%.3f ms\n", r.summary.median);
 *     kf_bench_free(&r);
 * Owner rule: each declaration says who frees what; what a callback gets lives for the call.
 * Thread rule: models are only read, so that calls of several threads may share one. Callbacks come from the calling
 * thread. */
#ifndef KITFOX_BENCH_H
#define KITFOX_BENCH_H

#include "kitfox/kitfox.h"

#ifdef __cplusplus
extern "C" {
#endif

struct kf_labels;  /* of lab.h */
struct kf_dataset; /* of lab.h */

/** Most frames of one measurement. */
#define KF_BENCH_MAX_FRAMES 1000000
/** Most classes that a callback gets for one picture or frame. */
#define KF_MAX_TOP 1000

/* ---- timing ------------------------------------------------------------------------------------------------------ */

/** What to time. Fill with kf_bench_options_init, then change fields. */
typedef struct kf_bench_options {
    size_t size;      /**< sizeof(kf_bench_options), set by the init function */
    int32_t sessions; /**< sessions side by side, each on a thread of its own; 1 (default) to KF_MAX_THREADS */
    int32_t threads;  /**< cores of each session; 1 (default) to KF_MAX_THREADS */
    int32_t frames;   /**< timed runs, of all sessions together; 1 to KF_BENCH_MAX_FRAMES, default 100 */
    int32_t profile;  /**< 1: time every step, which needs sessions = 1; 0 (default): not */
    int32_t scaling;  /**< 1: time one session alone just before, for `alone_fps` and `scaling`; 0 (default): not */
    /** Called after each run of the first session, with the timed runs that are done: 0 of `frames` during the warm-up,
     *  and during the run of one session alone. Another value than 0 stops: CANCELLED. NULL (default): not called. */
    int (*progress)(void *user, size_t done, size_t total);
    void *user; /**< for `progress` */
} kf_bench_options;
/** Defaults: see above. `options` has to be valid. Thread safe. */
KF_API void kf_bench_options_init(kf_bench_options *options);

/** Statistics of frames, in milliseconds. */
typedef struct kf_bench_summary {
    double total;           /**< sum of the latencies */
    double lowest, highest; /**< latencies */
    double mean, median;    /**< of the latencies; of an even number of frames the median is the upper one */
    double p90;             /**< latency that 90 % of the frames stay below or reach */
    double wall;            /**< from the common start to the last end */
    double fps;             /**< frames per second of all sessions together: frames / wall */
    double fps_alone;       /**< frames per second of one session by its median latency */
    double reserved[4];     /**< 0; room for members of later versions */
} kf_bench_summary;

/** One measurement. */
typedef struct kf_bench_result {
    size_t size;        /**< sizeof of this structure, set by the caller before the call */
    double *ms;         /**< [frames]: latency of each frame, in the order in which frames were handed out */
    double *until;      /**< [frames]: end of each frame, ms after the common start */
    double *step_ms;    /**< [n_steps]: smallest time of each step over all frames */
    double *step_gmacs; /**< [n_steps]: its multiply-adds per second, in 10^9; 0 where no time was seen */
    int32_t n_steps;    /**< those of the model (kf_model_step); 0 where `profile` was 0 */
    int32_t sessions, threads, frames; /**< as asked for */
    double alone_fps;         /**< frames per second of one session, timed just before; 0 where `scaling` was 0 */
    double scaling;           /**< fps / (alone_fps * sessions): 1 where sessions do not slow each other down */
    kf_bench_summary summary; /**< of all frames */
} kf_bench_result;

/** Warm up (a tenth of the frames of a session, and three), start all sessions together, time. Frames are handed out
 *  one at a time, so that sessions end together. The first session runs on the calling thread. The input is made up:
 *  time does not depend on it. `options` may be NULL: defaults. The caller releases `out` with kf_bench_free; it is
 *  empty on failure. ARGUMENT (an option outside its range, out->size), LIMIT (as kf_session_create), CANCELLED, MEMORY
 *  (also where fewer threads can be started than were asked for, which would measure something else: the text has both
 *  numbers). Thread safe, but what runs beside it is measured too. */
KF_API kf_status kf_bench(const kf_model *model, const kf_bench_options *options, kf_bench_result *out, kf_error *err);
/** Release and empty; `size` stays. NULL is accepted. */
KF_API void kf_bench_free(kf_bench_result *result);
/** Statistics of the first `frames` frames of a result. ARGUMENT: fewer than 1 or more than there are,
 *  or a pointer is NULL. MEMORY. Thread safe. */
KF_API kf_status kf_bench_summarize(const kf_bench_result *result, int32_t frames, kf_bench_summary *out,
                                    kf_error *err);

/** Time two models in turns on one thread, so that what else the machine does meets both: 7 turns of three frames, or
 *  as many as begin within half a second, but at least one. ms[k] gets the median of the turns' medians. `progress`
 *  (may be NULL) as in kf_bench_options, of turns. ARGUMENT: no models or no
 *  room for `ms`. Other errors as of kf_bench. Thread safe. */
KF_API kf_status kf_bench_pair(const kf_model *const models[2], int (*progress)(void *user, size_t done, size_t total),
                               void *user, double ms[2], kf_error *err);

/** What was measured of a model, to compare it with its other form. */
typedef struct kf_bench_pace {
    const char *name;         /**< for the caller; not read */
    int64_t macs, parameters; /**< of kf_model_info */
    int32_t quantized;        /**< 1: integer program */
    int32_t threads;          /**< cores of its session */
    double median;            /**< latency in ms */
} kf_bench_pace;
/** 1 if one of the two is the quantized form of the other, both on as many threads, and is the slower one; else 0. The
 *  same network has as many multiply-adds, and parameters within 1 %: normalization that is folded into weights changes
 *  them a little. Both pointers have to be valid. Thread safe. */
KF_API int32_t kf_bench_slower(const kf_bench_pace *a, const kf_bench_pace *b);

/* ---- the reference page's table ---------------------------------------------------------------------------------- */

/** How to measure a row. Fill with kf_bench_row_options_init, then change fields. */
typedef struct kf_bench_row_options {
    size_t size;      /**< sizeof(kf_bench_row_options), set by the init function */
    int32_t frames;   /**< timed runs of each of the two measurements; as in kf_bench_options */
    int32_t sessions; /**< of the second measurement, 1 to KF_MAX_THREADS; 0 (default): as many as there are processors,
                         and no more than can be started */
    const struct kf_dataset
        *dataset;                /**< labelled pictures for the accuracies; NULL (default): they are not measured */
    const kf_model *float_model; /**< where the float accuracy of a quantized model comes from; NULL (default): it is
                                    not measured. Of a float model it is its own in any case */
    /** As in kf_bench_options and kf_evaluate_options, of the part at hand. */
    int (*progress)(void *user, size_t done, size_t total);
    /** Called where fewer threads can be started than there are processors. NULL (default): not called. */
    void (*fewer_threads)(void *user, int32_t started, int32_t wanted);
    void *user; /**< for both */
} kf_bench_row_options;
/** Defaults: see above. `options` has to be valid. Thread safe. */
KF_API void kf_bench_row_options_init(kf_bench_row_options *options);

/** A row of the table. */
typedef struct kf_bench_row {
    size_t size;        /**< sizeof of this structure, set by the caller before the call */
    char input[64];     /**< sides of the picture, "224x224"; of other inputs the whole shape */
    int64_t classes;    /**< elements of output 0 */
    int64_t parameters; /**< as the page's script counts them: elements of all initializers of the source file
                           (kf_model_info.stored_parameters), or the architecture's where the file does not say */
    int64_t macs;       /**< multiply-adds of one image */
    double float_top1, quantized_top1; /**< percent; -1: not measured */
    double ms_one;                     /**< mean latency of one session of one thread */
    double ms_many;                    /**< of `sessions` of them side by side */
    double fps;                        /**< frames per second of all these together */
    int32_t sessions;
} kf_bench_row;
/** Measure a row. `options` may be NULL: defaults. ARGUMENT (an option outside its range, a float_model that is
 *  quantized, a class that the model does not have, out->size), FORMAT (a picture cannot be read; the text names it),
 *  LIMIT, CANCELLED, MEMORY. Thread safe, as kf_bench. */
KF_API kf_status kf_bench_table(const kf_model *model, const kf_bench_row_options *options, kf_bench_row *out,
                                kf_error *err);

/* ---- memory ------------------------------------------------------------------------------------------------------ */

/** Largest resident memory of this process in bytes, since it began or since kf_peak_reset; 0 where the system does not
 *  say. Thread safe. */
KF_API int64_t kf_peak_bytes(void);
/** Give free memory of the heap back to the system and count the peak from now on. UNSUPPORTED: the system keeps the
 *  peak (a read-only /proc, no Linux); what kf_peak_bytes says next may be of what was before. It is the peak of the
 *  whole process: one caller at a time. */
KF_API kf_status kf_peak_reset(kf_error *err);

/* ---- pictures and frames ----------------------------------------------------------------------------------------- */

/** What a model says of one picture file. */
typedef struct kf_classified {
    const char *path;
    const kf_image *image; /**< as it was decoded; NULL where it was not */
    const kf_score *top;   /**< [n], best first */
    size_t n;              /**< min(top, classes); 0: it failed */
    double ms;             /**< from the decoded picture to `top` */
    const char *error;     /**< why it failed, in words that begin with the file; else NULL */
    kf_status status;      /**< of that error; else OK */
} kf_classified;

/** How to classify files. Fill with kf_classify_options_init, then change fields. */
typedef struct kf_classify_options {
    size_t size;                    /**< sizeof(kf_classify_options), set by the init function */
    int32_t top;                    /**< classes for each picture; 1 to KF_MAX_TOP, default 5 */
    int32_t threads;                /**< cores for one picture; 0 (default): as in kf_session_options */
    int32_t no_exif;                /**< 1: leave the camera's orientation alone; 0 (default): turn the picture */
    const struct kf_labels *labels; /**< replace the model's; as many as it has classes. NULL (default): the model's */
    /** Called for each file in order, also for one that failed. Another value than 0 stops: CANCELLED. NULL (default):
     *  not called. */
    int (*picture)(void *user, const kf_classified *picture);
    /** Called where fewer threads can be started than wanted; results are the same. NULL (default): not called. */
    void (*fewer_threads)(void *user, int32_t started, int32_t wanted);
    void *user; /**< for both */
} kf_classify_options;
/** Defaults: see above. `options` has to be valid. Thread safe. */
KF_API void kf_classify_options_init(kf_classify_options *options);
/** Classify `n` files (as kf_image_load reads them; "-" is standard input) one after the other. A file that fails is
 * told and counted in *failed (may be NULL), and the others go on. `options` may be NULL. ARGUMENT (an option outside
 * its range, as many labels as do not fit), LIMIT (as kf_session_create), CANCELLED, MEMORY. Thread safe. */
KF_API kf_status kf_classify_files(const kf_model *model, const char *const *paths, size_t n,
                                   const kf_classify_options *options, size_t *failed, kf_error *err);

/** What a model says of one camera frame. */
typedef struct kf_stream_frame {
    int64_t index;       /**< in the stream, 0-based; frames that were skipped count */
    const kf_score *top; /**< [n], best first */
    size_t n;            /**< min(top, classes) */
    double ms;           /**< from the frame in memory to `top` */
} kf_stream_frame;

/** What a stream holds. Fill with kf_stream_options_init, then set width and height. */
typedef struct kf_stream_options {
    size_t size;           /**< sizeof(kf_stream_options), set by the init function */
    int32_t width, height; /**< of the frames in pixels; even, 2 to KF_IMAGE_MAX_SIDE. Frames do not say it */
    int32_t stride;        /**< bytes from row to row in both planes; 0 (default): width; at least that, at most 2^20 */
    int32_t range;         /**< of the values, BT.601: 0 full, 1 limited; -1 (default): what the model was made for */
    int32_t every;         /**< classify one frame in so many, beginning with the first; default 1 */
    int32_t top;           /**< classes for each frame; 1 to KF_MAX_TOP, default 5 */
    int32_t threads;       /**< cores for one frame; 0 (default): as in kf_session_options */
    int32_t fd;            /**< file descriptor to read from; default 0, standard input. It stays open */
    const char *name;      /**< of the input, for messages; default "standard input" */
    const struct kf_labels *labels; /**< replace the model's; as many as it has classes. NULL (default): the model's */
    /** Called for each frame that was classified, before the next one is read. Another value than 0 stops: CANCELLED.
     *  NULL (default): not called. */
    int (*frame)(void *user, const kf_stream_frame *frame);
    /** Called where fewer threads can be started than wanted; results are the same. NULL (default): not called. */
    void (*fewer_threads)(void *user, int32_t started, int32_t wanted);
    void *user; /**< for both */
} kf_stream_options;
/** Defaults: see above. `options` has to be valid. Thread safe. */
KF_API void kf_stream_options_init(kf_stream_options *options);

/** What was read, also where the stream ended with an error. */
typedef struct kf_stream_counts {
    size_t size;                /**< sizeof of this structure, set by the caller before the call */
    int64_t frames, classified; /**< whole frames, and those of them that the model saw */
    double total_ms, most_ms;   /**< sum and largest of their `ms` */
} kf_stream_counts;
/** Classify NV12 frames until the stream ends: height rows of luma, then height / 2 rows of interleaved chroma, one
 *  frame behind the other. Takes memory for one frame. `counts` may be NULL. ARGUMENT (an option outside its range,
 *  labels that do not fit, counts->size), UNSUPPORTED (the model has no picture input), IO, FORMAT (no frame, or a cut
 *  last one, after those before were told), LIMIT (as kf_session_create), CANCELLED, MEMORY. Thread safe. */
KF_API kf_status kf_stream(const kf_model *model, const kf_stream_options *options, kf_stream_counts *counts,
                           kf_error *err);

/* ---- raw tensors ----------------------------------------------------------------------------------------------- */

/** Most files of one run. */
#define KF_RUN_MAX_FILES 15

/** How to run raw tensors. Fill with kf_run_options_init, then change fields. */
typedef struct kf_run_options {
    size_t size;     /**< sizeof(kf_run_options), set by the init function */
    int32_t threads; /**< cores for one image, and images side by side; 0 (default): as in kf_session_options */
    /** Called with a sentence where float32 of one image looks like something else than the model takes, such as pixels
     *  in 0..255; it is run as it is. NULL (default): not called. */
    void (*notice)(void *user, const char *text);
    /** Called once where fewer threads can be started than wanted; results are the same. NULL (default): not called. */
    void (*fewer_threads)(void *user, int32_t started, int32_t wanted);
    void *user; /**< for both */
} kf_run_options;
/** Defaults: see above. `options` has to be valid. Thread safe. */
KF_API void kf_run_options_init(kf_run_options *options);

/** What a model makes of tensors. */
typedef struct kf_run_result {
    size_t size; /**< sizeof of this structure, set by the caller before the call */
    kf_tensor
        output;    /**< output 0 as the model declares it, its first extent times `images`; the name is the model's */
    size_t images; /**< that the first file holds */
    double ms;     /**< of all images, reading not included */
    /** Every output, as `output` is the first of them: [n_outputs], with the names that the model declares. */
    kf_tensor *outputs;
    size_t n_outputs;
} kf_run_result;

/** Run a model on `n` NPY files, 1 to KF_RUN_MAX_FILES, each the name of a file or NAME=FILE with the name of the
 * input; without a name they are inputs in their order. An .npz archive, not compressed, stands for its arrays, whose
 * names are those of inputs; numpy's arr_K count as none. Tensors are as kf_session_run takes them. A first extent of N
 * times the declared one holds N images, which share the threads. One file of uint8 [height, width, 3] of the input's
 * size is a picture in RGB. `options` may be NULL: defaults. The caller releases `out` with kf_run_free; it is empty on
 *  failure. ARGUMENT (`n`, a NULL among `files`, out->size), IO, FORMAT, UNSUPPORTED (as kf_npy_read; a compressed
 * archive), SHAPE (as kf_session_run and kf_batch_run; uint8 where float32 is needed), LIMIT (as kf_session_create and
 * kf_batch_create; more than KF_RUN_MAX_FILES tensors), MEMORY. Thread safe. */
KF_API kf_status kf_run_files(const kf_model *model, const char *const *files, size_t n, const kf_run_options *options,
                              kf_run_result *out, kf_error *err);
/** Release and empty; `size` stays. NULL is accepted. */
KF_API void kf_run_free(kf_run_result *result);
/** What float32 has to be for a network with this preprocessing, "(pixel / 255 - mean) / std, ...", into the `room`
 *  bytes of `text`, cut where they are too few (300 are enough); empty where it is NULL or not valid. Thread safe. */
KF_API void kf_preprocess_floats(const kf_preprocess *preprocess, char *text, size_t room);

/* ---- golden vectors ---------------------------------------------------------------------------------------------- */

/** What a report of kf_model_verify means. */
typedef enum kf_verdict {
    KF_IDENTICAL = 0, /**< every step gave the same bytes */
    KF_AGREES = 1,    /**< steps of f32 are within their tolerance, the others gave the same bytes */
    KF_DIFFERS = 2    /**< a step does not: this machine computes something else than the file says */
} kf_verdict;
/** "identical", "agrees", "differs"; NULL for a value that is no enumerator. Thread safe. */
KF_API const char *kf_verdict_name(kf_verdict verdict);
/** The way back. ARGUMENT, with the names that there are: another name; *out is unchanged. Thread safe. */
KF_API kf_status kf_verdict_from_name(const char *name, kf_verdict *out, kf_error *err);
/** What a report says, in one word. `report` comes from kf_model_verify and has to be valid. Thread safe. */
KF_API kf_verdict kf_verify_verdict(const kf_verify_report *report);

#ifdef __cplusplus
}
#endif
#endif
