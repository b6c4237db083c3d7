/* kf_bench and what is derived from its times.
 * Owner rule: see bench.h. */
#include <stdlib.h>
#include <string.h>

#include "run/answers.h"
#include "run/timing.h"

enum { FRAMES = 100, TURNS = 7, TURN_FRAMES = 3, PAIR_MS = 500 };

void kf_bench_options_init(kf_bench_options *options) {
    *options = (kf_bench_options){.size = sizeof *options, .sessions = 1, .threads = 1, .frames = FRAMES};
}

void kf_bench_free(kf_bench_result *result) {
    if (!result) return;
    free(result->ms);
    free(result->until);
    free(result->step_ms);
    free(result->step_gmacs);
    *result = (kf_bench_result){.size = result->size};
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

kf_status kf_bench_summarize(const kf_bench_result *result, int32_t frames, kf_bench_summary *out, kf_error *err) {
    if (!result || !out || !result->ms || !result->until)
        KF_FAIL(err, KF_ERR_ARGUMENT, "kf_bench_summarize: a result of kf_bench and out are needed");
    KF_TRY(kf__answers_range("frames", frames, 1, result->frames, err));
    size_t n = (size_t)frames;
    kf_bench_summary s = {0};
    double *sorted = malloc(n * sizeof *sorted);
    if (!sorted) KF_FAIL(err, KF_ERR_MEMORY, "out of memory for %d times; try fewer --frames", frames);
    memcpy(sorted, result->ms, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_value);
    for (size_t i = 0; i < n; i++) {
        s.total += result->ms[i];
        if (result->until[i] > s.wall) s.wall = result->until[i];
    }
    s.lowest = sorted[0], s.highest = sorted[n - 1];
    s.median = sorted[n / 2], s.p90 = sorted[n * 9 / 10], s.mean = s.total / frames;
    s.fps = frames * 1e3 / s.wall, s.fps_alone = 1e3 / s.median;
    free(sorted);
    *out = s;
    return KF_OK;
}

static kf_status check(const kf_bench_options *o, kf_error *err) {
    KF_TRY(kf__answers_range("sessions", o->sessions, 1, KF_MAX_THREADS, err));
    KF_TRY(kf__answers_range("threads", o->threads, 1, KF_MAX_THREADS, err));
    KF_TRY(kf__answers_range("frames", o->frames, 1, KF_BENCH_MAX_FRAMES, err));
    if (o->profile && o->sessions > 1)
        KF_FAIL(err, KF_ERR_ARGUMENT, "profile with %d sessions; steps are timed in one", o->sessions);
    return KF_OK;
}

/* Frames per second of one session, for the scaling of several. */
static kf_status time_alone(const kf_model *m, kf_bench_options o, double *fps, kf_error *err) {
    kf_bench_result r;
    int32_t started;
    o.sessions = 1, o.profile = 0;
    KF_TRY(kf__bench_run(m, &o, &r, &started, err));
    *fps = r.summary.fps;
    kf_bench_free(&r);
    return KF_OK;
}

kf_status kf_bench(const kf_model *model, const kf_bench_options *options, kf_bench_result *out, kf_error *err) {
    kf_bench_options o;
    int32_t started;
    double alone = 0;
    if (!model || !out) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_bench: model and out are needed");
    KF_TRY(kf__answers_room("kf_bench_result", out->size, sizeof *out, err));
    *out = (kf_bench_result){.size = out->size};
    kf_bench_options_init(&o);
    KF_TRY(kf_options_read(&o, options, "kf_bench_options", err));
    KF_TRY(check(&o, err));
    if (o.scaling && o.sessions > 1) KF_TRY(time_alone(model, o, &alone, err));
    kf_bench_result r;
    KF_TRY(kf__bench_run(model, &o, &r, &started, err));
    if (o.scaling) {
        r.alone_fps = alone > 0 ? alone : r.summary.fps;
        r.scaling = r.summary.fps / (r.alone_fps * o.sessions);
    }
    return kf_info_write(out, &r, "kf_bench_result", err);
}

/* ---- two models -------------------------------------------------------------------------------------------------- */

static kf_status time_turn(const kf_model *m, double *median, kf_error *err) {
    kf_bench_options o;
    kf_bench_result r = {.size = sizeof r};
    kf_bench_options_init(&o);
    o.frames = TURN_FRAMES;
    KF_TRY(kf_bench(m, &o, &r, err));
    *median = r.summary.median;
    kf_bench_free(&r);
    return KF_OK;
}

kf_status kf_bench_pair(const kf_model *const models[2], int (*progress)(void *user, size_t done, size_t total),
                        void *user, double ms[2], kf_error *err) {
    double turn[2][TURNS], start = kf__now_ms();
    size_t turns = 0;
    if (!models || !models[0] || !models[1] || !ms)
        KF_FAIL(err, KF_ERR_ARGUMENT, "kf_bench_pair: two models and room for two times are needed");
    while (turns < TURNS && (turns == 0 || kf__now_ms() - start < PAIR_MS)) {
        for (int i = 0; i < 2; i++) KF_TRY(time_turn(models[i], &turn[i][turns], err));
        turns++;
        if (progress && progress(user, turns, TURNS))
            KF_FAIL(err, KF_ERR_CANCELLED, "cancelled after %zu of %d turns", turns, TURNS);
    }
    for (int i = 0; i < 2; i++) {
        qsort(turn[i], turns, sizeof(double), by_value);
        ms[i] = turn[i][turns / 2];
    }
    return KF_OK;
}

int32_t kf_bench_slower(const kf_bench_pace *a, const kf_bench_pace *b) {
    const kf_bench_pace *q = a->quantized ? a : b;
    const kf_bench_pace *f = a->quantized ? b : a;
    if (!q->quantized || f->quantized || q->threads != f->threads || q->macs != f->macs) return 0;
    int64_t difference = llabs(q->parameters - f->parameters);
    return difference * 100 <= b->parameters && q->median > f->median;
}
