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
    if (st == KF_OK && r->data) st = kf_samples_labels(&r->tests, r->data, r->m[0], cli_note, NULL, &r->truth, err);
    return st;
}

kf_status quantize_report_measure(quantize_report *r, kf_graph *g, const pictures *calibration, kf_error *err) {
    if (!wanted(r)) return KF_OK;
    kf_status st = kf_graph_compile(g, NULL, &r->m[1], err);
    kf_compare_options o;
    kf_compare_options_init(&o);
    o.labels = r->truth, o.threads = r->threads;
    o.node_images = r->path ? NODE_IMAGES : 0;
    const pictures *p = r->data ? &r->tests : calibration;
    return st == KF_OK ? compared_run((const kf_model *const *)r->m, p, &o, &r->w, err) : st;
}

kf_status quantize_report_write(const quantize_report *r, const kf_graph *g, const char *out, kf_error *err) {
    if (!r->path) return KF_OK;
    char title[600], basis[1400];
    const char *slash = strrchr(r->model, '/');
    snprintf(title, sizeof title, "%.300s in 8 bits", slash ? slash + 1 : r->model);
    if (r->data)
        snprintf(basis, sizeof basis, "On %zu test pictures of %.800s%s.", r->w.samples->n, r->data,
                 r->truth ? ", with the labels found there" : "; no labels were found there");
    else
        snprintf(basis, sizeof basis,
                 "On the %zu calibration samples themselves: the weights were fitted to them, so agreement elsewhere "
                 "may be lower. Test pictures (--data) tell.",
                 r->w.samples->n);
    kf_comparison_page_options p;
    kf_comparison_page_options_init(&p);
    p.title = title, p.basis = basis, p.graph = g;
    p.names[0] = r->model, p.names[1] = out;
    p.bytes[0] = compared_file_bytes(r->model), p.bytes[1] = compared_file_bytes(out);
    return compared_page(r->path, &r->w, &p, err);
}

void quantize_report_tell(const quantize_report *r, json_t *object) {
    if (object) json_object_set_new(object, "test", r->data ? compared_json(&r->w.summary) : json_null());
    if (object || !r->data) return;
    printf("on %s:\n", r->data);
    compared_print(&r->w.summary);
}

void quantize_report_free(quantize_report *r) {
    kf_comparison_free(&r->w);
    pictures_free(&r->tests);
    free(r->truth);
    for (int i = 0; i < 2; i++) kf_model_destroy(&r->m[i]);
}
