/* kitfox quantize MODEL --calib DIR -o OUT.kfx: the calls of the library in their order.
 * Owner rule: everything that is made here is released here. */
#include <stdlib.h>

#include "common/files.h"
#include "kitfox/doctor.h"
#include "kitfox/quantize.h"

enum { N_OUTPUTS = 2 };

typedef struct work {
    kf_graph *g;
    kf_samples samples;
    int32_t *labels;
    kf_judge *judge;
} work;

static kf_status check_outputs(const quantize_job *o, const cli_output out[N_OUTPUTS], kf_error *err) {
    char csv[2][4096];
    snprintf(csv[0], sizeof csv[0], "%.4000s/labels.csv", o->calib);
    snprintf(csv[1], sizeof csv[1], "%.4000s/labels.csv", o->data ? o->data : o->calib);
    return cli_outputs_check(out, N_OUTPUTS,
                             (const char *const[]){o->model, o->choice.list, o->common.labels, csv[0], csv[1]}, 5, err);
}

static kf_status check_apart(const cli_output out[N_OUTPUTS], const kf_samples *s, kf_error *err) {
    for (int i = 0; s && i < N_OUTPUTS; i++)
        KF_TRY(cli_output_apart(&out[i], (const char *const *)s->paths, s->n, err));
    return KF_OK;
}

static int on_file(void *user, size_t done, size_t total) {
    (void)user;
    return cli_progress("reading the samples", done, total);
}

/* Everything that may be refused comes before the work. */
static kf_status prepare(quantize_job *o, work *w, const cli_output out[N_OUTPUTS], kf_error *err) {
    kf_graph_info info = {.size = sizeof info};
    kf_judge_options how;
    KF_TRY(check_outputs(o, out, err));
    o->common.outputs = out, o->common.n_outputs = N_OUTPUTS;
    KF_TRY(cli_import(o->model, &o->common, &w->g, err));
    KF_TRY(kf_graph_get_info(w->g, &info, err));
    o->origin = info.preprocess_origin;
    if (info.quantized)
        return cli_error_at(err, KF_ERR_UNSUPPORTED, o->model,
                            "it is quantized already; give the float model that it was made from");
    KF_TRY(kf_samples_find(o->calib, o->choice.list, o->choice.limit, &w->samples, err));
    KF_TRY(check_apart(out, &w->samples, err));
    size_t found = w->samples.n;
    kf_message_fn skipped = o->choice.strict ? NULL : cli_line;
    KF_TRY(kf_samples_load_some(&w->samples, &info.preprocess, on_file, skipped, NULL, err));
    o->skipped = found - w->samples.n;
    cli_note_skipped(o->skipped, found);
    KF_TRY(kf_samples_check(&w->samples, &info.preprocess, cli_note, NULL, NULL, err));
    quantize_judging(o, &how);
    if (o->q.target_drop >= 0)
        KF_TRY(kf_search_labels(w->g, &o->limits, &w->samples, o->calib, o->q.target_drop, cli_note, NULL, &w->labels,
                                err));
    o->q.labels = w->labels, o->q.detail = o->report != NULL;
    KF_TRY(kf_judge_create(w->g, &how, &w->judge, err));
    KF_TRY(check_apart(out, kf_judge_tests(w->judge), err));
    doctor_look_graph(o->model, w->g, &o->common, &w->samples);
    return KF_OK;
}

static kf_status quantize(const quantize_job *o, const work *w, kf_error *err) {
    cli_cancel_on(); /* Ctrl-C stops at the next node, trial or picture */
    cli_progress("quantizing", 0, 0);
    kf_status st = kf_graph_quantize(w->g, w->samples.tensors, w->samples.n, &o->q, err);
    if (st == KF_OK) st = kf_judge_measure(w->judge, w->g, &w->samples, err);
    cli_cancel_off();
    return st;
}

static kf_status run(quantize_job *o, work *w, kf_error *err) {
    const cli_output out[N_OUTPUTS] = {{o->out, "-o", false}, {o->report, "--report", false}};
    double start = cli_now_ms();
    KF_TRY(prepare(o, w, out, err));
    KF_TRY(quantize(o, w, err));
    cli_signals_wait(); /* the model and its page belong together */
    kf_status st = kf_graph_save(w->g, o->out, err);
    if (st == KF_OK) st = quantize_write_page(o, w->judge, w->g, o->model, o->out, err);
    cli_signals_go();
    KF_TRY(st);
    if (o->nodes || o->common.json) quantize_print_nodes(w->g, o->common.json);
    quantize_print_search(w->g, o->common.json, o->nodes);
    return quantize_print_summary(o, w->judge, o->out, (cli_now_ms() - start) / 1e3, err);
}

kf_status quantize_model(quantize_job *job, kf_error *err) {
    work w = {0};
    kf_status st = run(job, &w, err);
    kf_judge_destroy(&w.judge);
    kf_samples_free(&w.samples);
    kf_graph_destroy(&w.g);
    free(w.labels);
    return st;
}
