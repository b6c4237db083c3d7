/* kf_compare against a loop over two sessions; a model against itself; the pages of a comparison and an evaluation.
 * A is the built-in model, B the same in 8 bits, calibrated on the four pictures they are compared on.
 * Owner rule: models and samples live as long as the group. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "kitfox/lab.h"

enum { CLASSES = 10 };

static kf_model *models[2];
static kf_samples files, tensors; /* the same pictures, as files and loaded */

static const char *root(void) { return getenv("KITFOX_SOURCE") ? getenv("KITFOX_SOURCE") : "."; }

static const char *in_root(const char *name) {
    static char path[1024];
    snprintf(path, sizeof path, "%s/%s", root(), name);
    return path;
}

static kf_status make_models(void) {
    kf_graph *g = NULL;
    kf_model_info info = {.size = sizeof info};
    kf_quantize_options q;
    kf_quantize_options_init(&q);
    q.rounding = q.bias_correction = q.equalize = q.cross = q.per_channel = q.channel_scales = 0;
    q.range = KF_RANGE_PERCENTILE, q.percentile = 50; /* so bad that answers change */
    kf_status st = kf_graph_import(in_root("data/everyday10.safetensors"), NULL, &g, NULL);
    if (st == KF_OK) st = kf_graph_compile(g, NULL, &models[0], NULL);
    if (st == KF_OK) kf_model_get_info(models[0], &info, NULL);
    if (st == KF_OK) st = kf_samples_load(&tensors, &info.preprocess, NULL, NULL, NULL);
    if (st == KF_OK) st = kf_graph_quantize(g, tensors.tensors, tensors.n, &q, NULL);
    if (st == KF_OK) st = kf_graph_compile(g, NULL, &models[1], NULL);
    kf_graph_destroy(&g);
    return st;
}

static int begin(void **state) {
    (void)state;
    if (kf_samples_find(in_root("examples/pictures"), NULL, 4, &files, NULL) != KF_OK) return -1;
    if (kf_samples_find(in_root("examples/pictures"), NULL, 4, &tensors, NULL) != KF_OK) return -1;
    return make_models() == KF_OK ? 0 : -1;
}

static int end(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) kf_model_destroy(&models[i]);
    kf_samples_free(&files);
    kf_samples_free(&tensors);
    return 0;
}

/* Outputs of both for one picture, without kf_compare. */
static void outputs(size_t i, float out[2][CLASSES]) {
    const kf_tensor *t = &tensors.tensors[i];
    for (int side = 0; side < 2; side++) {
        kf_session *s;
        assert_int_equal(kf_session_create(models[side], NULL, &s, NULL), KF_OK);
        assert_int_equal(kf_session_run_rgb(s, t->data, (size_t)t->shape[1] * 3, out[side], CLASSES, NULL), KF_OK);
        kf_session_destroy(&s);
    }
}

static int32_t largest(const float *x) {
    int32_t best = 0;
    for (int32_t i = 1; i < CLASSES; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

static void check_pictures(const kf_comparison *c) {
    double a2 = 0, ab = 0, b2 = 0, d2 = 0;
    for (size_t i = 0; i < c->samples->n; i++) {
        float out[2][CLASSES];
        outputs(i, out);
        for (int side = 0; side < 2; side++) assert_int_equal(c->pictures[i].said[side], largest(out[side]));
        for (int k = 0; k < CLASSES; k++) {
            double a = (double)out[0][k], b = (double)out[1][k];
            a2 += a * a, ab += a * b, b2 += b * b, d2 += (a - b) * (a - b);
        }
    }
    assert_true(d2 > 0 && !c->summary.identical && c->summary.same < c->samples->n);
    assert_true(fabs(c->summary.cosine - ab / sqrt(a2 * b2)) < 1e-12);
    assert_true(fabs(c->summary.sqnr - 10 * log10(a2 / d2)) < 1e-9);
}

typedef struct heard {
    size_t calls, last, stop_at; /* stop_at: the call that asks to stop; 0: none */
} heard;

static int hear(void *user, size_t done, size_t total) {
    heard *h = user;
    assert_true(done >= h->last && done <= total && total == files.n + 2);
    h->last = done;
    return ++h->calls == h->stop_at;
}

/* At every call: the status is CANCELLED, nothing is called afterwards, nothing is left. */
static void stop_everywhere(kf_compare_options *o, size_t calls) {
    kf_error err;
    assert_true(calls > files.n + 2 + 10); /* the nodes' scales are learnt node by node */
    for (size_t at = 1; at <= calls; at += 1 + calls / 12) {
        heard h = {.stop_at = at};
        kf_comparison c = {.size = sizeof c};
        o->user = &h;
        assert_int_equal(kf_compare(models[0], models[1], &files, o, &c, &err), KF_ERR_CANCELLED);
        assert_true(h.calls == at && !c.pictures && !c.nodes && strstr(err.text, "of 6"));
    }
}

static void two_models(void **state) {
    (void)state;
    kf_compare_options o;
    kf_comparison c[2] = {{.size = sizeof c[0]}, {.size = sizeof c[0]}};
    kf_error err;
    heard h = {0};
    int64_t labels[4] = {-1, -1, -1, -1};
    float out[2][CLASSES];
    outputs(0, out);
    labels[0] = largest(out[1]), labels[2] = (largest(out[0]) + 1) % CLASSES;
    kf_compare_options_init(&o);
    o.labels = labels, o.node_images = 2, o.progress = hear, o.user = &h;
    for (int i = 0; i < 2; i++) { /* files on one thread, tensors on three */
        o.threads = i ? 3 : 1;
        o.progress = i ? NULL : hear;
        assert_int_equal(kf_compare(models[0], models[1], i ? &tensors : &files, &o, &c[i], &err), KF_OK);
        assert_true(c[i].classes == CLASSES && c[i].node_images == 2 && c[i].n_nodes > 10);
        check_pictures(&c[i]);
        assert_true(c[i].summary.labelled == 2 && c[i].pictures[0].top5[1] == 1 && c[i].pictures[1].truth == -1);
    }
    assert_memory_equal(&c[0].summary, &c[1].summary, sizeof c[0].summary);
    for (size_t k = 0; k < c[0].n_nodes; k++) {
        const kf_compared_node *n = &c[0].nodes[k];
        assert_string_equal(n->name, c[1].nodes[k].name);
        assert_true(n->sqnr == c[1].nodes[k].sqnr || isnan(n->sqnr));
        assert_true(n->step[0] >= 0 || n->step[1] >= 0);
    }
    for (int i = 0; i < 2; i++) kf_comparison_free(&c[i]);
    o.threads = 1, o.progress = hear;
    stop_everywhere(&o, h.calls);
}

static void itself(void **state) {
    (void)state;
    kf_compare_options o;
    kf_comparison c = {.size = sizeof c};
    kf_error err;
    kf_compare_options_init(&o);
    o.node_images = 1;
    assert_int_equal(kf_compare(models[0], models[0], &files, &o, &c, &err), KF_OK);
    assert_true(c.summary.identical && c.summary.same == files.n && c.summary.other5 == files.n);
    assert_true(isinf(c.summary.sqnr) && c.summary.labelled == 0 && c.summary.p == 0);
    for (size_t k = 0; k < c.n_nodes; k++) assert_true(isinf(c.nodes[k].sqnr) && isinf(c.nodes[k].cost));
    kf_comparison_free(&c);
    c.size = 3;
    assert_int_equal(kf_compare(models[0], models[0], &files, &o, &c, &err), KF_ERR_ARGUMENT);
    assert_true(strstr(err.text, "kf_comparison") && c.size == 3);
    c.size = sizeof c, o.threads = KF_MAX_THREADS + 1;
    assert_int_equal(kf_compare(models[0], models[0], &files, &o, &c, &err), KF_ERR_ARGUMENT);
    assert_true(strstr(err.text, "65") && strstr(err.text, "64"));
    o.threads = -1;
    assert_int_equal(kf_compare(models[0], models[0], &files, &o, &c, &err), KF_ERR_ARGUMENT);
    int64_t bad[4] = {0, CLASSES, 0, 0};
    o.threads = 0, o.labels = bad;
    assert_int_equal(kf_compare(models[0], models[0], &files, &o, &c, &err), KF_ERR_ARGUMENT);
    assert_true(strstr(err.text, "class 10") && strstr(err.text, files.paths[1]));
}

/* The page escapes what it is given, and loads nothing. */
static void pages(void **state) {
    (void)state;
    kf_comparison c = {.size = sizeof c};
    kf_comparison_page_options o;
    kf_confusion_cell cells[] = {{0, 0, 3}, {0, 4, 2}};
    const kf_evaluation e = {.size = sizeof e, .images = 5, .classes = CLASSES, .cells = cells, .n_cells = 2};
    void *html;
    size_t bytes;
    kf_error err;
    assert_int_equal(kf_compare(models[0], models[1], &files, NULL, &c, &err), KF_OK);
    kf_comparison_page_options_init(&o);
    o.names[0] = "<script>", o.basis = "four & more";
    assert_int_equal(kf_comparison_page(&c, &o, &html, &bytes, &err), KF_OK);
    assert_true(strlen(html) == bytes && !strstr(html, "<script") && strstr(html, "&lt;script&gt;"));
    assert_true(strstr(html, "four &amp; more") && strstr(html, "default-src 'none'") && strstr(html, "</html>"));
    free(html);
    o.size = 3;
    assert_int_equal(kf_comparison_page(&c, &o, &html, &bytes, &err), KF_ERR_ARGUMENT);
    assert_null(html);
    kf_comparison_free(&c);
    assert_int_equal(kf_evaluation_page(&e, models[0], "a<b", "sum", &html, &bytes, &err), KF_OK);
    assert_true(strlen(html) == bytes && strstr(html, "a&lt;b") && strstr(html, "60.00 %"));
    assert_true(strstr(html, kf_model_label(models[0], 4)) && strstr(html, "9 of 10 classes have no pictures"));
    free(html);
}

static void labels(void **state) {
    (void)state;
    int64_t *found;
    kf_error err;
    assert_int_equal(kf_samples_labels(&files, in_root("tests/data"), models[0], NULL, NULL, &found, &err), KF_OK);
    assert_null(found); /* folders, but not of classes */
    assert_int_equal(kf_samples_labels(&files, "/nowhere", models[0], NULL, NULL, &found, &err), KF_ERR_IO);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(two_models), cmocka_unit_test(itself), cmocka_unit_test(pages),
                                       cmocka_unit_test(labels)};
    return cmocka_run_group_tests(tests, begin, end);
}
