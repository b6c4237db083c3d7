/* kitfox quantize CONFIG.yaml: the work is kf_rdk_quantize's; here are the page and what is printed.
 * Owner rule: the configuration, labels and the result are released here. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/files.h"
#include "kitfox/doctor.h"
#include "kitfox/quantize.h"

typedef struct state {
    const kf_rdk_config *c;
    quantize_job *job;
    const kf_rdk_result *result;
} state;

/* Where the zoo's own quantizer has its log; scripts search it there. */
static const cli_output MAKERTBIN_LOG = {"hb_mapper_makertbin.log", "the log", false};

bool quantize_is_yaml(const char *name) {
    const char *dot = strrchr(name, '.');
    return dot && (strcasecmp(dot, ".yaml") == 0 || strcasecmp(dot, ".yml") == 0);
}

static int progress(void *user, size_t done, size_t total) {
    const state *s = user;
    return s->job->q.progress(NULL, done, total);
}

static void skipped(void *user, const char *text) {
    const state *s = user;
    s->job->skipped++;
    cli_line(NULL, text);
}

/* The page and the log may replace no input. */
static kf_status check_report(const state *s, const kf_samples *samples, kf_error *err) {
    const char *const inputs[] = {s->c->model, kf_rdk_place(s->c, NULL), s->job->common.labels};
    const cli_output page = {s->job->report, "--report", false};
    const kf_samples *tests = kf_judge_tests(s->result->judge);
    KF_TRY(cli_output_apart(&MAKERTBIN_LOG, inputs, 3, err));
    KF_TRY(cli_output_apart(&MAKERTBIN_LOG, (const char *const *)samples->paths, samples->n, err));
    KF_TRY(cli_output_apart(&page, (const char *const *)samples->paths, samples->n, err));
    if (tests) KF_TRY(cli_output_apart(&page, (const char *const *)tests->paths, tests->n, err));
    return cli_outputs_check(&page, 1, inputs, 3, err);
}

/* Ctrl-C stops the quantizer and the judge, ends the program between them and the files, and waits for all files. */
static kf_status stage(void *user, kf_rdk_stage at, kf_graph *g, const kf_samples *samples, kf_error *err) {
    if (at == KF_RDK_READY) {
        kf_graph_info info = {.size = sizeof info};
        KF_TRY(kf_graph_get_info(g, &info, err));
        const state *s = user;
        KF_TRY(check_report(s, samples, err));
        s->job->origin = info.preprocess_origin;
        doctor_look_graph(s->c->model, g, &s->job->common, samples);
        cli_cancel_on();
    }
    if (at == KF_RDK_QUANTIZED) cli_cancel_off();
    if (at == KF_RDK_WRITING) cli_signals_wait();
    return KF_OK;
}

static kf_status quantize(state *s, const kf_import_options *import, kf_rdk_result *r, kf_error *err) {
    quantize_job *job = s->job;
    kf_rdk_options o;
    kf_judge_options how;
    kf_rdk_options_init(&o);
    quantize_judging(job, &how);
    job->q.detail = job->report != NULL;
    o.import = import, o.quantize = &job->q, o.judge = &how, o.limit = job->choice.limit;
    o.inputs = &job->common.labels, o.n_inputs = 1;
    o.skipped = job->choice.strict ? NULL : skipped;
    o.notice = cli_note, o.stage = stage, o.progress = progress, o.user = s;
    kf_status st = kf_rdk_quantize(s->c, &o, r, err);
    if (st == KF_OK) st = quantize_write_page(job, r->judge, r->graph, s->c->model, r->path, err);
    cli_cancel_off();
    return st;
}

static void write_log(const char *text) {
    kf_error why;
    char note[KF_ERROR_TEXT + 60];
    if (cli_write(MAKERTBIN_LOG.path, text, strlen(text), &why) == KF_OK) return;
    snprintf(note, sizeof note, "%.*s; the log beside the model is complete", KF_ERROR_TEXT, why.text);
    cli_note(NULL, note);
}

kf_status quantize_yaml(quantize_job *job, kf_error *err) {
    kf_rdk_config *c = NULL;
    kf_rdk_result done = {.size = sizeof done};
    cli_importing i = {0};
    double start = cli_now_ms();
    kf_status st = kf_rdk_load(job->model, cli_note, NULL, &c, err);
    if (st == KF_OK) st = cli_import_options(&job->common, &i, err);
    state s = {c, job, &done};
    if (st == KF_OK) st = quantize(&s, &i.options, &done, err);
    if (st == KF_OK) {
        cli_note_skipped(job->skipped, job->skipped + done.samples.n);
        write_log(done.log);
        if (job->common.json) quantize_print_nodes(done.graph, true);
        quantize_print_search(done.graph, job->common.json, false);
        if (!job->common.json) fputs(done.tables, stdout);
        st = quantize_print_summary(job, done.judge, done.path, (cli_now_ms() - start) / 1e3, err);
    }
    kf_rdk_result_free(&done);
    kf_labels_free(&i.labels);
    kf_rdk_free(&c);
    return st;
}
