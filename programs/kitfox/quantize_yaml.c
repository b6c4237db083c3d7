/* kitfox quantize CONFIG.yaml: the work is kf_rdk_quantize's; here are the page, the pace, and what is printed.
 * Owner rule: the configuration, labels and the result are released here. */
#include <string.h>

#include "common/files.h"
#include "kitfox/quantize.h"

typedef struct state {
    const kf_rdk_config *c;
    const cli_common *common;
    kf_quantize_options q;
    quantize_report *report;
    quantize_pace pace;
} state;

bool quantize_is_yaml(const char *name) {
    const char *dot = strrchr(name, '.');
    return dot && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
}

static int progress(void *user, size_t done, size_t total) {
    const state *s = user;
    return s->q.progress(NULL, done, total);
}

/* The page may replace no input. */
static kf_status check_report(const state *s, const kf_samples *samples, kf_error *err) {
    const char *const inputs[] = {s->c->model, kf_rdk_place(s->c, NULL), s->common->labels};
    const cli_output page = {s->report->path, "--report", false};
    KF_TRY(cli_output_apart(&page, (const char *const *)samples->paths, samples->n, err));
    return cli_outputs_check(&page, 1, inputs, 3, err);
}

static kf_status stage(void *user, kf_rdk_stage at, kf_graph *g, const kf_samples *samples, kf_error *err) {
    state *s = user;
    kf_quantize_options q = s->q;
    if (at == KF_RDK_READY) {
        KF_TRY(check_report(s, samples, err));
        KF_TRY(quantize_report_begin(s->report, s->c->model, g, &q, err));
        return quantize_pace_begin(&s->pace, g, err);
    }
    if (at == KF_RDK_QUANTIZED) {
        KF_TRY(quantize_report_measure(s->report, g, samples, err));
        return quantize_pace_measure(&s->pace, g, err);
    }
    cli_signals_wait();
    return KF_OK;
}

static kf_status quantize(state *s, const kf_import_options *import, size_t limit, kf_rdk_result *r, kf_error *err) {
    kf_rdk_options o;
    kf_rdk_options_init(&o);
    s->q.detail = s->report->path != NULL;
    o.import = import, o.quantize = &s->q, o.limit = limit;
    o.inputs = &s->common->labels, o.n_inputs = 1;
    o.notice = cli_note, o.stage = stage, o.user = s;
    if (s->q.progress) o.progress = progress;
    kf_status st = kf_rdk_quantize(s->c, &o, r, err);
    cli_signals_go();
    return st == KF_OK ? quantize_report_write(s->report, r->graph, r->path, err) : st;
}

kf_status quantize_yaml(const char *path, const cli_common *common, const kf_quantize_options *q, size_t limit,
                        quantize_report *r, kf_error *err) {
    kf_rdk_config *c = NULL;
    kf_rdk_result done = {0};
    cli_importing i = {0};
    double start = cli_now_ms();
    kf_status st = kf_rdk_load(path, cli_note, NULL, &c, err);
    if (st == KF_OK) st = cli_import_options(common, &i, err);
    state s = {.c = c, .common = common, .q = *q, .report = r};
    if (st == KF_OK) st = quantize(&s, &i.options, limit, &done, err);
    if (st == KF_OK) {
        quantize_print_nodes(done.graph, common->json);
        quantize_print_search(done.graph, common->json, false);
        st = quantize_print_summary(done.graph, done.path, &done.samples, (cli_now_ms() - start) / 1e3, r, &s.pace,
                                    common->json, err);
    }
    quantize_pace_free(&s.pace);
    kf_rdk_result_free(&done);
    kf_labels_free(&i.labels);
    kf_rdk_free(&c);
    return st;
}
