/* kf_evaluate against a loop over one session, and Wilson's interval against published numbers.
 * The model is the built-in one; the pictures are those of tests/data/pictures.
 * Owner rule: every file is removed at the end. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../temporary.h"
#include "kitfox/lab.h"

enum { PICTURES = 4, CLASSES = 10 };

static const char *const NAMES[PICTURES] = {"rgb.png", "colour.ppm", "lossless.webp", "progressive.jpg"};
static char folder[512], csv[600];
static kf_model *model;
static int32_t best[PICTURES][CLASSES]; /* classes, best first, by a session of this test */

static const char *root(void) { return getenv("KITFOX_SOURCE") ? getenv("KITFOX_SOURCE") : "."; }

/* What the model says, without kf_evaluate. */
static int look(void) {
    kf_session *s;
    kf_image_options io;
    char path[1024];
    kf_image_options_init(&io);
    io.no_exif = 1;
    if (kf_session_create(model, NULL, &s, NULL) != KF_OK) return -1;
    for (int i = 0; i < PICTURES; i++) {
        kf_image image;
        kf_score top[CLASSES];
        size_t n;
        snprintf(path, sizeof path, "%s/tests/data/pictures/%s", root(), NAMES[i]);
        if (kf_image_load(path, &io, &image, NULL) != KF_OK) return -1;
        if (kf_session_classify(s, &image, CLASSES, top, &n, NULL) != KF_OK || n != CLASSES) return -1;
        for (int k = 0; k < CLASSES; k++) best[i][k] = top[k].index;
        kf_image_free(&image);
    }
    kf_session_destroy(&s);
    return 0;
}

static int begin(void **state) {
    (void)state;
    kf_graph *g;
    char path[1024];
    snprintf(path, sizeof path, "%s/data/everyday10.safetensors", root());
    if (!temporary_folder(folder, sizeof folder, "test-evaluate") || kf_graph_import(path, NULL, &g, NULL) != KF_OK)
        return -1;
    snprintf(csv, sizeof csv, "%s/labels.csv", folder);
    kf_status st = kf_graph_compile(g, NULL, &model, NULL);
    kf_graph_destroy(&g);
    return st == KF_OK ? look() : -1;
}

static int end(void **state) {
    (void)state;
    kf_model_destroy(&model);
    return remove(csv) || rmdir(folder);
}

/* A data set whose picture i has its rank[i]-th best class as truth; one more line for a picture that is not there. */
static kf_dataset *make(const int *rank, int missing) {
    kf_dataset *d = NULL;
    FILE *f = fopen(csv, "w");
    assert_non_null(f);
    for (int i = 0; i < PICTURES; i++) {
        int32_t truth = rank[i] < CLASSES ? best[i][rank[i]] : CLASSES;
        fprintf(f, "%s/tests/data/pictures/%s,%d\n", root(), NAMES[i], truth);
        if (i == 1 && missing) fputs("missing.png,0\n", f);
    }
    fclose(f);
    assert_int_equal(kf_dataset_open(folder, NULL, &d, NULL), KF_OK);
    return d;
}

typedef struct heard {
    size_t predictions, failed, calls, stop_at;
    char order[256], error[KF_ERROR_TEXT];
} heard;

static void on_prediction(void *user, const kf_prediction *p) {
    heard *h = user;
    const char *slash = strrchr(p->item.path, '/');
    h->predictions++;
    strncat(h->order, slash + 1, sizeof h->order - strlen(h->order) - 1);
    if (!p->error) {
        for (size_t i = 0; i < PICTURES; i++)
            for (size_t k = 0; strcmp(NAMES[i], slash + 1) == 0 && k < p->n; k++)
                assert_int_equal(p->top[k].index, best[i][k]);
        return;
    }
    assert_int_equal(p->n, 0);
    h->failed++;
    snprintf(h->error, sizeof h->error, "%s", p->error);
}

static int on_progress(void *user, size_t done, size_t total) {
    heard *h = user;
    assert_true(done >= 1 && done <= total);
    return ++h->calls == h->stop_at;
}

static kf_evaluate_options options(heard *h, int32_t threads) {
    kf_evaluate_options o;
    kf_evaluate_options_init(&o);
    o.threads = threads, o.prediction = on_prediction, o.progress = on_progress, o.user = h;
    return o;
}

static void counts(void **state) {
    (void)state;
    static const int RANK[PICTURES] = {0, 4, 5, 0}; /* right; in the first five; not; right */
    kf_dataset *d = make(RANK, 1);
    for (int32_t threads = 1; threads <= 3; threads += 2) {
        heard h = {.order = ""};
        kf_evaluate_options o = options(&h, threads);
        kf_evaluation e = {.size = sizeof e};
        kf_error err;
        double lo, hi;
        o.top = 7;
        assert_int_equal(kf_evaluate(model, d, &o, &e, &err), KF_OK);
        assert_true(e.images == 4 && e.failed == 1 && e.classes == CLASSES && e.images_per_s > 0);
        assert_true(e.top1 == 50 && e.top5 == 75);
        kf_proportion_interval(2, 4, &lo, &hi);
        assert_true(e.low == 100 * lo && e.high == 100 * hi);
        assert_true(h.predictions == 5 && h.failed == 1 && strstr(h.error, "missing.png"));
        assert_string_equal(h.order, "rgb.pngcolour.ppmmissing.pnglossless.webpprogressive.jpg");
        size_t all = 0, right = 0;
        for (size_t i = 0; i < e.n_cells; i++) {
            const kf_confusion_cell *c = &e.cells[i];
            all += c->count;
            right += c->truth == c->said ? c->count : 0;
            assert_true(i == 0 || c[-1].truth < c->truth || (c[-1].truth == c->truth && c[-1].said < c->said));
        }
        assert_true(all == 4 && right == 2);
        kf_evaluation_free(&e);
        assert_null(e.cells);
    }
    kf_dataset_destroy(&d);
}

static void stops(void **state) {
    (void)state;
    static const int RANK[PICTURES] = {0};
    kf_dataset *d = make(RANK, 0);
    heard h = {.stop_at = 2};
    kf_evaluate_options o = options(&h, 1);
    kf_evaluation e = {.size = sizeof e};
    kf_error err;
    assert_int_equal(kf_evaluate(model, d, &o, &e, &err), KF_ERR_CANCELLED);
    assert_true(h.calls == 2 && h.predictions == 0 && e.images == 0 && !e.cells && strstr(err.text, "2 of 4"));
    h = (heard){.stop_at = 0};
    o.limit = 3;
    assert_int_equal(kf_evaluate(model, d, &o, &e, &err), KF_OK);
    assert_true(e.images == 3 && e.top1 == 100 && h.calls == 3);
    assert_string_equal(h.order, "rgb.pngcolour.ppmlossless.webp"); /* of four: 0, 1 and 2, spread evenly */
    kf_evaluation_free(&e);
    h = (heard){.stop_at = 0};
    o.limit = 2;
    assert_int_equal(kf_evaluate(model, d, &o, &e, &err), KF_OK);
    assert_string_equal(h.order, "rgb.pnglossless.webp");
    kf_evaluation_free(&e);
    kf_dataset_destroy(&d);
}

static void refusals(void **state) {
    (void)state;
    static const int RANK[PICTURES] = {0, 0, CLASSES, 0};
    kf_dataset *d = make(RANK, 0);
    kf_evaluate_options o;
    kf_evaluation e = {.size = sizeof e};
    kf_error err;
    assert_int_equal(kf_evaluate(model, d, NULL, &e, &err), KF_ERR_ARGUMENT);
    assert_true(strstr(err.text, NAMES[2]) && strstr(err.text, "class 10"));
    kf_evaluate_options_init(&o);
    o.limit = 2, o.top = 0;
    assert_int_equal(kf_evaluate(model, d, &o, &e, &err), KF_ERR_ARGUMENT);
    o.top = 1, o.threads = KF_MAX_THREADS + 1;
    assert_int_equal(kf_evaluate(model, d, &o, &e, &err), KF_ERR_ARGUMENT);
    assert_true(strstr(err.text, "65") && strstr(err.text, "64"));
    o.threads = -1;
    assert_int_equal(kf_evaluate(model, d, &o, &e, &err), KF_ERR_ARGUMENT);
    kf_dataset_destroy(&d);
    FILE *f = fopen(csv, "w");
    fclose(f);
    assert_int_equal(kf_dataset_open(folder, NULL, &d, NULL), KF_OK);
    assert_int_equal(kf_evaluate(model, d, NULL, &e, &err), KF_ERR_ARGUMENT);
    kf_dataset_destroy(&d);
}

/* Newcombe, Stat. Med. 17 (1998) 857, table I, method 3. */
static void wilson(void **state) {
    (void)state;
    static const struct {
        size_t hits, n;
        double lo, hi;
    } ROWS[] = {{81, 263, 0.2553, 0.3662}, {15, 148, 0.0624, 0.1605}, {0, 20, 0, 0.1611}, {1, 29, 0.0061, 0.1718}};
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        double lo, hi, l2, h2;
        kf_proportion_interval(ROWS[i].hits, ROWS[i].n, &lo, &hi);
        assert_true(fabs(lo - ROWS[i].lo) < 5.1e-5 && fabs(hi - ROWS[i].hi) < 5.1e-5);
        kf_proportion_interval(ROWS[i].n - ROWS[i].hits, ROWS[i].n, &l2, &h2);
        assert_true(fabs(lo + h2 - 1) < 1e-12 && fabs(hi + l2 - 1) < 1e-12);
    }
    for (size_t n = 1; n < 300; n++) { /* no percentage below 0 or above 100, by no rounding */
        double lo, hi;
        kf_proportion_interval(0, n, &lo, &hi);
        assert_true(lo == 0 && !signbit(lo) && hi < 1);
        kf_proportion_interval(n, n, &lo, &hi);
        assert_true(hi == 1 && lo > 0);
    }
}

static void scores(void **state) {
    (void)state;
    const kf_score top[] = {{3, 0.98F, "fr\"og"}, {10, 0.5F, NULL}, {0, 1, "\xe4"}, {2, NAN, ""}};
    char *text;
    kf_error err;
    assert_int_equal(kf_scores_json(top, 4, &text, &err), KF_OK);
    assert_string_equal(text,
                        "[{\"index\":3,\"label\":\"fr\\\"og\",\"score\":0.9800000191},"
                        "{\"index\":10,\"label\":null,\"score\":0.5},"
                        "{\"index\":0,\"label\":null,\"score\":1.0},{\"index\":2,\"label\":\"\",\"score\":null}]");
    free(text);
    assert_int_equal(kf_scores_json(NULL, 0, &text, &err), KF_OK);
    assert_string_equal(text, "[]");
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(counts), cmocka_unit_test(stops), cmocka_unit_test(refusals),
                                       cmocka_unit_test(wilson), cmocka_unit_test(scores)};
    return cmocka_run_group_tests(tests, begin, end);
}
