/* The report of the quantizer: its own record of the nodes, and both models on the pictures.
 * Owner rule: see quantize_report.h. */
#include "kitfox/quantize_report.h"

#include <stdlib.h>
#include <string.h>

#include "common/files.h"

enum { NODE_IMAGES = 20 };

static bool wanted(const quantize_report *r) { return r->path || r->data; }

kf_status quantize_report_begin(quantize_report *r, const char *model, kf_graph *g, kf_quantize_options *q,
                                kf_error *err) {
    if (!wanted(r)) return KF_OK;
    r->model = model;
    q->detail = r->path != NULL;
    const cli_output out = {r->path, "--report", false};
    kf_status st = kf_graph_compile(g, NULL, &r->m[0], err);
    if (st == KF_OK && r->data) st = pictures_find(r->data, NULL, 0, &r->tests, err);
    if (st == KF_OK && r->data) st = cli_output_apart(&out, (const char *const *)r->tests.paths, r->tests.n, err);
    if (st == KF_OK && r->data) st = pair_labels(r->data, &r->tests, r->m[0], &r->truth, err);
    return st;
}

kf_status quantize_report_measure(quantize_report *r, kf_graph *g, const pictures *calibration, kf_error *err) {
    if (!wanted(r)) return KF_OK;
    kf_status st = kf_graph_compile(g, NULL, &r->m[1], err);
    r->w = (pair){.m = {r->m[0], r->m[1]},
                  .p = r->data ? &r->tests : calibration,
                  .truth = r->truth,
                  .threads = r->threads,
                  .node_limit = r->path ? NODE_IMAGES : 0,
                  .costs = true};
    return st == KF_OK ? pair_run(&r->w, err) : st;
}

kf_status quantize_report_write(const quantize_report *r, const kf_graph *g, const char *out, kf_error *err) {
    if (!r->path) return KF_OK;
    char title[600], basis[1400];
    const char *slash = strrchr(r->model, '/');
    snprintf(title, sizeof title, "%.300s in 8 bits", slash ? slash + 1 : r->model);
    if (r->data)
        snprintf(basis, sizeof basis, "On %zu test pictures of %.800s%s.", r->w.p->n, r->data,
                 r->truth ? ", with the labels found there" : "; no labels were found there");
    else
        snprintf(basis, sizeof basis,
                 "On the %zu calibration samples themselves: the weights were fitted to them, so agreement elsewhere "
                 "may be lower. Test pictures (--data) tell.",
                 r->w.p->n);
    report page = {.title = title,
                   .name = {r->model, out},
                   .basis = basis,
                   .bytes = {report_file_bytes(r->model), report_file_bytes(out)},
                   .w = &r->w,
                   .graph = g};
    return report_write(r->path, &page, err);
}

void quantize_report_tell(const quantize_report *r, json_t *object) {
    if (object) {
        pair_summary s = r->data ? pair_summarize(&r->w) : (pair_summary){0};
        json_object_set_new(object, "test", r->data ? pair_summary_json(&s) : json_null());
    } else if (r->data) {
        pair_summary s = pair_summarize(&r->w);
        printf("on %s:\n", r->data);
        pair_summary_print(&s);
    }
}

void quantize_report_free(quantize_report *r) {
    pair_free(&r->w);
    pictures_free(&r->tests);
    free(r->truth);
    for (int i = 0; i < 2; i++) kf_model_destroy(&r->m[i]);
}
