/* Timing sessions side by side, and the forms that the verb `bench` prints.
 * Owner rule: bench_close releases what bench_run made. */
#ifndef KITFOX_BENCH_H
#define KITFOX_BENCH_H

#include "common/cli.h"

enum { BENCH_MAX = 64 };

/** One measurement: `sessions` threads, each with a session of its own over one model, each of `threads` cores, share
 * `frames` runs. */
typedef struct bench_result {
    int sessions, threads, frames;
    int started;   /**< sessions that got a thread, also where bench_run failed because others did not */
    double *ms;    /**< latency of every run, by frame */
    double *until; /**< end of every run in ms after the common start, by frame */
    double total, lowest, median, p90, mean,
        wall; /**< ms; total: sum of all latencies; wall: from the common start to the last end */
    kf_session *session[BENCH_MAX];
    double *step_ms; /**< when profiling: the smallest time of each of n_steps steps over the timed runs, else NULL */
    int n_steps;
} bench_result;

/** Warm up, start together, time. Frames are handed out one at a time, so sessions end together. `profile` needs one
 * session. The first session runs on the calling thread. MEMORY, with both numbers: fewer threads can be started than
 * were asked for, which would measure something else. Other errors: those of sessions. */
kf_status bench_run(const kf_model *m, int sessions, int threads, int frames, bool profile, bench_result *out,
                    kf_error *err);
void bench_close(bench_result *r);

/** The end block of `hrt_model_exec perf` and its line every 200 frames, with the same words and spacing. */
void bench_print_rdk(const bench_result *r);

/** A row of the reference page's table. Accuracies below 0 were not measured. */
typedef struct bench_row {
    const char *name;
    char size[64];
    size_t classes;
    double parameters_m, macs_m, float_top1, quantized_top1, ms_one, ms_many, fps;
    int many;
} bench_row;
void bench_print_row(const bench_row *row, bool first, bool json);
/** Size, classes, parameters of a model; accuracies -1. */
kf_status bench_row_of(const kf_model *m, const char *name, bench_row *row, kf_error *err);
/** Percent of the pictures of `data` (kf_dataset_open) whose best class is the right one. A picture that cannot be
 * read is an error. */
kf_status bench_top1(const kf_model *m, const char *data, double *top1, kf_error *err);

#endif
