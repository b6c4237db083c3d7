/* The reference page's table: a row for a model.
 * Owner rule: see bench.h. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "run/answers.h"
#include "run/timing.h"

enum { FRAMES = 100 };

void kf_bench_row_options_init(kf_bench_row_options *options) {
    *options = (kf_bench_row_options){.size = sizeof *options, .frames = FRAMES};
}

static kf_status describe(const kf_model *m, kf_bench_row *row, kf_error *err) {
    kf_model_info info = {.size = sizeof info};
    kf_tensor in, out;
    KF_TRY(kf_model_input(m, 0, &in, err));
    KF_TRY(kf_model_output(m, kf_model_ranked(m), &out, err));
    KF_TRY(kf_model_get_info(m, &info, err));
    row->classes = (int64_t)(out.bytes / sizeof(float));
    row->parameters = info.stored_parameters > 0 ? info.stored_parameters : info.parameters;
    row->macs = info.macs;
    row->float_top1 = row->quantized_top1 = -1;
    int first = in.rank == 4 ? 2 : 0;
    size_t at = 0;
    for (int i = first; i < in.rank && at < sizeof row->input; i++)
        at += (size_t)snprintf(row->input + at, sizeof row->input - at, "%s%lld", i > first ? "x" : "",
                               (long long)in.shape[i]);
    return KF_OK;
}

/* ---- accuracy ---------------------------------------------------------------------------------------------------- */

typedef struct counting {
    const kf_bench_row_options *o;
    kf_error first; /* picture that cannot be read */
} counting;

static int progress(void *user, size_t done, size_t total) {
    const counting *c = user;
    return c->o->progress ? c->o->progress(c->o->user, done, total) : 0;
}

static void fewer(void *user, int32_t started, int32_t wanted) {
    const counting *c = user;
    if (c->o->fewer_threads) c->o->fewer_threads(c->o->user, started, wanted);
}

static void look(void *user, const kf_prediction *p) {
    counting *c = user;
    if (p->error && c->first.status == KF_OK) kf_error_set(&c->first, KF_ERR_FORMAT, "%s", p->error);
}

/* Percent of the pictures whose best class is the right one. Leaving one out would change the figure in silence. */
static kf_status accuracy(const kf_model *m, const kf_bench_row_options *o, double *top1, kf_error *err) {
    counting c = {.o = o};
    kf_evaluate_options eo;
    kf_evaluation e = {.size = sizeof e};
    kf_evaluate_options_init(&eo);
    eo.progress = progress, eo.fewer_threads = fewer, eo.prediction = look, eo.user = &c;
    KF_TRY(kf_evaluate(m, o->dataset, &eo, &e, err));
    *top1 = e.top1;
    kf_evaluation_free(&e);
    if (c.first.status == KF_OK) return KF_OK;
    if (err) *err = c.first;
    return c.first.status;
}

static kf_status accuracies(const kf_model *m, const kf_bench_row_options *o, kf_bench_row *row, kf_error *err) {
    kf_model_info info = {.size = sizeof info}, other = {.size = sizeof other};
    if (!o->dataset) return KF_OK;
    KF_TRY(kf_model_get_info(m, &info, err));
    if (!info.quantized) return accuracy(m, o, &row->float_top1, err);
    KF_TRY(accuracy(m, o, &row->quantized_top1, err));
    if (!o->float_model) return KF_OK;
    KF_TRY(kf_model_get_info(o->float_model, &other, err));
    if (other.quantized) KF_FAIL(err, KF_ERR_ARGUMENT, "the model for the float accuracy is quantized itself");
    return accuracy(o->float_model, o, &row->float_top1, err);
}

/* ---- time -------------------------------------------------------------------------------------------------------- */

static kf_status time_sessions(const kf_model *m, const kf_bench_row_options *o, int32_t sessions, int32_t *started,
                               kf_bench_summary *out, kf_error *err) {
    kf_bench_options b;
    kf_bench_result r;
    kf_bench_options_init(&b);
    b.sessions = sessions, b.frames = o->frames, b.progress = o->progress, b.user = o->user;
    KF_TRY(kf__bench_run(m, &b, &r, started, err));
    *out = r.summary;
    kf_bench_free(&r);
    return KF_OK;
}

static int32_t processors(void) {
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    if (n < 1) return 1;
    return n > KF_MAX_THREADS ? KF_MAX_THREADS : (int32_t)n;
}

/* Where nobody asked for a number, as many as can be started do. */
static kf_status time_many(const kf_model *m, const kf_bench_row_options *o, kf_bench_row *row, kf_bench_summary *out,
                           kf_error *err) {
    int32_t many = o->sessions ? o->sessions : processors(), started;
    kf_status st = time_sessions(m, o, many, &started, out, err);
    if (st == KF_ERR_MEMORY && !o->sessions && started > 0 && started < many) {
        if (o->fewer_threads) o->fewer_threads(o->user, started, many);
        st = time_sessions(m, o, many = started, &started, out, err);
    }
    row->sessions = many;
    return st;
}

kf_status kf_bench_table(const kf_model *model, const kf_bench_row_options *options, kf_bench_row *out, kf_error *err) {
    kf_bench_row_options o;
    kf_bench_row row = {.size = sizeof row};
    kf_bench_summary one, many;
    int32_t started;
    if (!model || !out) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_bench_table: model and out are needed");
    KF_TRY(kf__answers_room("kf_bench_row", out->size, sizeof *out, err));
    kf_bench_row_options_init(&o);
    KF_TRY(kf_options_read(&o, options, "kf_bench_row_options", err));
    KF_TRY(kf__answers_range("frames", o.frames, 1, KF_BENCH_MAX_FRAMES, err));
    KF_TRY(kf__answers_range("sessions", o.sessions, 0, KF_MAX_THREADS, err));
    KF_TRY(describe(model, &row, err));
    KF_TRY(accuracies(model, &o, &row, err));
    KF_TRY(time_sessions(model, &o, 1, &started, &one, err));
    KF_TRY(time_many(model, &o, &row, &many, err));
    row.ms_one = one.mean, row.ms_many = many.mean, row.fps = many.fps;
    return kf_info_write(out, &row, "kf_bench_row", err);
}
