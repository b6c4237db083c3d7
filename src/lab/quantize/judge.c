/* Both networks over the calibration samples and over test pictures, and timed.
 * The numbers are those of the compiled models, not of the quantizer's simulation.
 * Owner rule: kf_judge_destroy releases everything; the calibration samples are the caller's. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "data/text.h"
#include "kitfox/bench.h"

enum { FLOAT = 0, QUANTIZED = 1, CALIBRATION = 0, TESTS = 1 };

struct kf_judge {
    kf_judge_options o;
    char *data; /* of the options */
    kf_model *models[2];
    kf_samples tests;
    int64_t *truth;         /* of the tests */
    kf_comparison on[2];    /* CALIBRATION, TESTS */
    double ms[2];           /* FLOAT, QUANTIZED */
    size_t before, all;     /* of the progress: pictures of earlier comparisons, and of all */
    size_t n_samples, used; /* given, and used by the quantizer */
    double low, high;       /* of the agreement, in percent */
    size_t distinct;
};

void kf_judge_options_init(kf_judge_options *options) { *options = (kf_judge_options){.size = sizeof *options}; }

/* ---- before ------------------------------------------------------------------------------------------------------ */

static kf_status find_tests(kf_judge *j, kf_error *err) {
    if (!j->o.data) return KF_OK;
    if (!(j->data = strdup(j->o.data))) return kf__no_memory(j->o.data, err);
    KF_TRY(kf_samples_find(j->data, NULL, 0, &j->tests, err));
    return kf_samples_labels(&j->tests, j->data, j->models[FLOAT], j->o.notice, j->o.user, &j->truth, err);
}

kf_status kf_judge_create(kf_graph *graph, const kf_judge_options *options, kf_judge **out, kf_error *err) {
    if (!graph || !out) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_judge_create: graph and out are needed");
    *out = NULL;
    kf_judge *j = calloc(1, sizeof *j);
    if (!j) KF_FAIL(err, KF_ERR_MEMORY, "out of memory: %zu bytes", sizeof *j);
    kf_judge_options_init(&j->o);
    for (int k = 0; k < 2; k++) j->on[k].size = sizeof j->on[k];
    kf_status st = kf_options_read(&j->o, options, "kf_judge_options", err);
    if (st == KF_OK) st = kf_graph_compile(graph, j->o.model, &j->models[FLOAT], err);
    if (st == KF_OK) st = find_tests(j, err);
    if (st == KF_OK) *out = j;
    else kf_judge_destroy(&j);
    return st;
}

const kf_samples *kf_judge_tests(const kf_judge *judge) { return judge && judge->data ? &judge->tests : NULL; }

/* ---- after ------------------------------------------------------------------------------------------------------- */

static int on_progress(void *user, size_t done, size_t total) {
    const kf_judge *j = user;
    (void)total;
    return j->o.progress(j->o.user, j->before + done, j->all);
}

/* Timing comes last, and adds no pictures. */
static int on_turn(void *user, size_t done, size_t total) {
    const kf_judge *j = user;
    (void)done, (void)total;
    return j->o.progress(j->o.user, j->all, j->all);
}

static void on_fewer(void *user, int32_t started, int32_t wanted) {
    const kf_judge *j = user;
    j->o.fewer_threads(j->o.user, started, wanted);
}

static void on_skipped(void *user, const char *text) {
    const kf_judge *j = user;
    j->o.skipped(j->o.user, text);
}

static kf_status compare(kf_judge *j, int which, const kf_samples *samples, kf_error *err) {
    kf_compare_options o;
    kf_compare_options_init(&o);
    bool last = which == TESTS || !j->data;
    o.threads = j->o.threads, o.user = j;
    o.labels = which == TESTS ? j->truth : NULL;
    o.node_images = last ? j->o.node_images : 0;
    if (j->o.progress) o.progress = on_progress;
    if (j->o.fewer_threads && which == CALIBRATION) o.fewer_threads = on_fewer; /* said once */
    if (j->o.skipped) o.skipped = on_skipped;
    kf_comparison_free(&j->on[which]);
    KF_TRY(kf_compare(j->models[FLOAT], j->models[QUANTIZED], samples, &o, &j->on[which], err));
    j->before += samples->n;
    return KF_OK;
}

/* What the agreement on these samples says of others: samples that repeat say nothing twice. */
static kf_status measure_interval(kf_judge *j, const kf_samples *samples, kf_error *err) {
    const kf_comparison_summary *s = &j->on[CALIBRATION].summary;
    kf_sample_facts f = {.size = sizeof f};
    KF_TRY(kf_samples_check(samples, NULL, NULL, NULL, &f, err));
    j->distinct = f.distinct, j->low = j->high = NAN;
    if (!s->ranked) return KF_OK;
    kf_proportion_interval((size_t)lround(s->agreement / 100 * (double)f.distinct), f.distinct, &j->low, &j->high);
    j->low *= 100, j->high *= 100;
    return KF_OK;
}

kf_status kf_judge_measure(kf_judge *judge, kf_graph *graph, const kf_samples *calibration, kf_error *err) {
    int32_t used = 0;
    if (!judge || !graph || !calibration)
        KF_FAIL(err, KF_ERR_ARGUMENT, "kf_judge_measure: judge, graph and calibration are needed");
    KF_TRY(kf_graph_quantized_summary(graph, NULL, NULL, &used, err));
    kf_model_destroy(&judge->models[QUANTIZED]);
    KF_TRY(kf_graph_compile(graph, judge->o.model, &judge->models[QUANTIZED], err));
    size_t last = judge->data ? judge->tests.n : calibration->n;
    size_t nodes = judge->o.node_images < last ? judge->o.node_images : last;
    judge->n_samples = calibration->n, judge->used = (size_t)used;
    judge->before = 0, judge->all = calibration->n + judge->tests.n + nodes;
    KF_TRY(compare(judge, CALIBRATION, calibration, err));
    if (judge->data) KF_TRY(compare(judge, TESTS, &judge->tests, err));
    KF_TRY(measure_interval(judge, calibration, err));
    return kf_bench_pair((const kf_model *const *)judge->models, judge->o.progress ? on_turn : NULL, judge, judge->ms,
                         err);
}

/* ---- the outcome ------------------------------------------------------------------------------------------------- */

kf_status kf_judge_get(const kf_judge *judge, kf_judgement *out, kf_error *err) {
    const kf_judgement none = {.size = sizeof none};
    KF_TRY(kf_info_write(out, &none, "kf_judgement", err));
    if (!judge || !judge->models[QUANTIZED])
        KF_FAIL(err, KF_ERR_ARGUMENT, "kf_judge_get: nothing was measured; call kf_judge_measure first");
    const kf_comparison_summary *s = &judge->on[CALIBRATION].summary;
    const kf_judgement result = {.size = sizeof result,
                                 .samples = judge->n_samples,
                                 .used = judge->used,
                                 .distinct = judge->distinct,
                                 .agreement = s->agreement,
                                 .low = judge->low,
                                 .high = judge->high,
                                 .cosine = s->cosine,
                                 .sqnr = s->sqnr,
                                 .float_ms = judge->ms[FLOAT],
                                 .ms = judge->ms[QUANTIZED],
                                 .l1 = s->l1,
                                 .l2 = s->l2,
                                 .chebyshev = s->chebyshev,
                                 .tests = judge->data ? &judge->on[TESTS].summary : NULL};
    return kf_info_write(out, &result, "kf_judgement", err);
}

static int64_t file_bytes(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) ? (int64_t)st.st_size : 0;
}

kf_status kf_judge_page(const kf_judge *judge, const kf_graph *graph, const char *model, const char *output,
                        void **html, size_t *bytes, kf_error *err) {
    char title[600], basis[1400];
    if (!html || !bytes) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_judge_page: html and bytes are needed");
    *html = NULL, *bytes = 0;
    if (!judge || !judge->models[QUANTIZED])
        KF_FAIL(err, KF_ERR_ARGUMENT, "kf_judge_page: nothing was measured; call kf_judge_measure first");
    const kf_comparison *c = &judge->on[judge->data ? TESTS : CALIBRATION];
    const char *slash = strrchr(model, '/');
    snprintf(title, sizeof title, "%.300s in 8 bits", slash ? slash + 1 : model);
    if (judge->data)
        snprintf(basis, sizeof basis, "On %zu test pictures of %.800s%s.", c->summary.images, judge->data,
                 judge->truth ? ", with the labels found there" : "; no labels were found there");
    else
        snprintf(basis, sizeof basis,
                 "On the %zu calibration samples themselves: the weights were fitted to them, so agreement elsewhere "
                 "may be lower. Test pictures (--data) tell.",
                 c->summary.images);
    kf_comparison_page_options p;
    kf_comparison_page_options_init(&p);
    p.title = title, p.basis = basis, p.graph = graph;
    p.names[0] = model, p.names[1] = output;
    p.bytes[0] = file_bytes(model), p.bytes[1] = file_bytes(output);
    return kf_comparison_page(c, &p, html, bytes, err);
}

void kf_judge_destroy(kf_judge **judge) {
    if (!judge || !*judge) return;
    kf_judge *j = *judge;
    for (int k = 0; k < 2; k++) kf_comparison_free(&j->on[k]);
    for (int k = 0; k < 2; k++) kf_model_destroy(&j->models[k]);
    kf_samples_free(&j->tests);
    free(j->truth);
    free(j->data);
    free(j);
    *judge = NULL;
}
