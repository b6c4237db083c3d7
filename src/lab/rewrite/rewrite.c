/* kf_rewrite: ONNX in, ONNX out. What is checked are the bytes that will be written.
 * Owner rule: graphs and bytes are released here. */
#include <stdlib.h>
#include <string.h>

#include "data/text.h"
#include "rewrite/written.h"

/* What is read beside the runs of the check: the original, and what was made of it. */
enum { OTHER_PARTS = 2 };

typedef struct job {
    const char *model, *out;
    kf_rewrite_options o;
    kf_import_options given, first; /* of the caller, and those with our `file` */
    kf_import_options again;        /* the first import told all there is to tell */
    kf_graph *before, *after, *back;
    void *data; /* of the new file */
    size_t bytes;
    kf_rewrite_result result;
    kf__parts parts;
    kf_status apart; /* is a file that was read the one that will be written? */
    kf_error *err;
} job;

void kf_rewrite_options_init(kf_rewrite_options *options) {
    *options = (kf_rewrite_options){.size = sizeof *options, .level = KF_OPTIMIZE_SIMPLIFY, .runs = 3};
}

static void on_file(void *user, const char *path) {
    job *j = user;
    if (j->apart == KF_OK) j->apart = kf__output_apart(j->out, &path, 1, j->err);
    if (j->given.file) j->given.file(j->given.file_user, path);
}

static kf_status error_in(const char *file, kf_status st, kf_error *err) {
    if (st == KF_OK || !err || strstr(err->text, file)) return st;
    return kf_error_prefix(err, st, "%.200s", file);
}

static kf_status read_options(job *j, const kf_rewrite_options *options) {
    kf_rewrite_options_init(&j->o);
    KF_TRY(kf_options_read(&j->o, options, "kf_rewrite_options", j->err));
    kf_import_options_init(&j->given);
    KF_TRY(kf_options_read(&j->given, j->o.import, "kf_import_options", j->err));
    if (j->o.runs < 0) KF_FAIL(j->err, KF_ERR_ARGUMENT, "kf_rewrite: runs is %d; 0 or more is needed", j->o.runs);
    if (!kf_optimize_level_name(j->o.level) || !kf_qdq_form_name(j->o.form))
        KF_FAIL(j->err, KF_ERR_ARGUMENT, "kf_rewrite: level %d, form %d: no such", (int)j->o.level, (int)j->o.form);
    j->first = j->again = j->given;
    j->first.file = on_file, j->first.file_user = j;
    j->again.notice = NULL, j->again.node = NULL, j->again.file = NULL;
    j->parts = (kf__parts){j->o.progress, j->o.user, j->model, 0, (size_t)j->o.runs + OTHER_PARTS};
    return KF_OK;
}

static kf_status read_model(job *j) {
    kf_graph_info info = {.size = sizeof info};
    KF_TRY(kf__output_apart(j->out, &j->model, 1, j->err));
    KF_TRY(kf_file_check(j->out, j->err));
    KF_TRY(kf_graph_import(j->model, &j->first, &j->before, j->err));
    if (j->apart != KF_OK) return j->apart;
    KF_TRY(kf_graph_get_info(j->before, &info, j->err));
    j->result.nodes_before = info.file_nodes;
    if (!info.file_nodes) j->result.nodes_before = info.n_nodes; /* a checkpoint: the graph that was built for it */
    j->result.inexact = info.quantized && j->o.form == KF_QDQ_EXACT;
    return kf__part_done(&j->parts, j->err);
}

/* The file once more, optimized, as bytes and read back from them. */
static kf_status rewrite(job *j) {
    KF_TRY(kf_graph_import(j->model, &j->again, &j->after, j->err));
    KF_TRY(kf_graph_optimize(j->after, j->o.level, j->err));
    KF_TRY(kf_graph_set_qdq_form(j->after, j->o.form, j->err));
    KF_TRY(kf_graph_write_onnx(j->after, &j->data, &j->bytes, j->err));
    return kf_graph_import_onnx_memory(j->data, j->bytes, NULL, &j->back, j->err);
}

static kf_status work(job *j) {
    kf_graph_info info = {.size = sizeof info};
    kf_rewrite_result *r = &j->result;
    KF_TRY(read_model(j));
    KF_TRY(error_in(j->model, rewrite(j), j->err));
    KF_TRY(kf__part_done(&j->parts, j->err));
    KF_TRY(kf_graph_get_info(j->back, &info, j->err));
    r->nodes_after = info.file_nodes, r->opset = info.opset;
    kf_status st = kf__graph_compare(j->before, j->back, j->o.runs, &j->parts, &r->max_difference, j->err);
    KF_TRY(error_in(j->out, st, j->err));
    r->inexact = r->inexact && r->max_difference > KF_MAX_DIFFERENCE;
    return kf_file_write(j->out, j->data, j->bytes, 1, j->err);
}

kf_status kf_rewrite(const char *model, const char *out, const kf_rewrite_options *options, kf_rewrite_result *result,
                     kf_error *err) {
    job j = {.model = model, .out = out, .err = err};
    j.result.size = sizeof j.result;
    if (result) KF_TRY(kf_info_write(result, &j.result, "kf_rewrite_result", err));
    if (!model || !out) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_rewrite: `model` and `out` are needed");
    kf_status st = read_options(&j, options);
    if (st == KF_OK) st = work(&j);
    if (st == KF_OK && result) st = kf_info_write(result, &j.result, "kf_rewrite_result", err);
    kf_graph_destroy(&j.back);
    kf_graph_destroy(&j.after);
    kf_graph_destroy(&j.before);
    free(j.data);
    return st;
}
