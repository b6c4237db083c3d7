/* Two models over the same samples, and the numbers that follow.
 * One pair of sessions on each thread; every sample has its own slot, so sums do not depend on the threads.
 * Owner rule: kf_comparison_free releases what kf_compare made; models and samples are borrowed. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compare/feed.h"
#include "compare/nodes.h"
#include "data/samples.h"
#include "data/text.h"
#include "evaluate/crew.h"
#include "run/answers.h"

typedef struct job {
    kf_comparison *w;
    kf_compare_options o;
    char **errors; /* [samples->n]: why a sample was skipped; NULL: it was not */
} job;

void kf_compare_options_init(kf_compare_options *options) {
    *options = (kf_compare_options){.size = sizeof *options, .costs = 1};
}

void kf_comparison_free(kf_comparison *comparison) {
    if (!comparison) return;
    free(comparison->pictures);
    free(comparison->nodes);
    *comparison = (kf_comparison){.size = comparison->size};
}

/* ---- answers ----------------------------------------------------------------------------------------------------- */

static int32_t top1(const float *x, size_t n) {
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return (int32_t)best;
}

/* Is `class` among the five best of x? Ties go to the lower index, as everywhere. */
static bool in_top5(const float *x, size_t n, size_t class) {
    size_t above = 0;
    for (size_t i = 0; i < n; i++) above += x[i] > x[class] || (i < class && x[i] == x[class]);
    return above < 5;
}

/* Numbers that are not finite have no largest one: a broken network would agree with everything. */
static kf_status check_finite(const float *x, size_t n, char side, const char *path, kf_error *err) {
    for (size_t k = 0; k < n; k++)
        if (!isfinite(x[k]))
            KF_FAIL(err, KF_ERR_UNSUPPORTED,
                    "%.600s: output %zu of model %c is not finite (%s); weights or input are broken", path, k, side,
                    isnan(x[k]) ? "NaN" : "infinite");
    return KF_OK;
}

static kf_status answer(void *ctx, void *state, size_t i, kf_error *err) {
    const job *j = ctx;
    const kf_comparison *w = j->w;
    kf_session *const *s = state;
    size_t n = w->classes;
    kf_compared_picture *to = &w->pictures[i];
    kf__feed in;
    kf_error why = {KF_OK, ""};
    float *a = malloc(2 * n * sizeof *a);
    if (!a) return kf__no_memory(w->samples->paths[i], err);
    float *b = a + n;
    kf_status st = kf__feed_load(w, i, &in, &why);
    for (int side = 0; side < 2 && st == KF_OK; side++)
        st = kf__feed_forward(w, side, s[side], &in, side ? b : a, &why);
    for (int side = 0; side < 2 && st == KF_OK; side++)
        st = check_finite(side ? b : a, n, "AB"[side], w -> samples -> paths[i], &why);
    kf__feed_unload(&in);
    *to = (kf_compared_picture){.truth = j->o.labels ? j->o.labels[i] : -1};
    for (size_t k = 0; st == KF_OK && k < n; k++) {
        double x = (double)a[k], y = (double)b[k];
        to->sums[0] += x * x, to->sums[1] += y * y, to->sums[2] += x * y, to->sums[3] += (x - y) * (x - y);
        to->apart[0] += fabs(x - y), to->apart[1] = fmax(to->apart[1], fabs(x - y));
    }
    for (int side = 0; st == KF_OK && side < 2; side++) {
        to->said[side] = top1(side ? b : a, n);
        to->top5[side] = to->truth >= 0 && in_top5(side ? b : a, n, (size_t)to->truth);
    }
    if (st == KF_OK) to->other5 = in_top5(b, n, (size_t)to->said[0]);
    free(a);
    if (!j->o.skipped || !kf__samples_broken(st)) return st == KF_OK ? st : kf_error_set(err, st, "%s", why.text);
    *to = (kf_compared_picture){.truth = -1, .said = {-1, -1}};
    return (j->errors[i] = strdup(why.text)) ? KF_OK : kf__no_memory(w->samples->paths[i], err);
}

double kf__compare_cosine(const double sums[4]) {
    if (!(sums[0] > 0 && sums[1] > 0)) return sums[0] == sums[1];
    double c = sums[2] / sqrt(sums[0] * sums[1]);
    if (c > 1) return 1; /* rounded */
    return c < -1 ? -1 : c;
}

double kf__compare_sqnr(const double sums[4]) { return sums[3] > 0 ? 10 * log10(sums[0] / sums[3]) : INFINITY; }

size_t kf__compare_pick(const kf_comparison *w, size_t i, size_t n) {
    size_t usable = w->samples->n - w->skipped, want = i * usable / n, at = 0;
    for (size_t k = 0;; at++) {
        bool skipped = w->pictures[at].said[0] < 0;
        if (!skipped && k++ == want) return at;
    }
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

/* Pooled values are features: a classifier follows them. */
static bool ends_in_pool(const kf_model *m, int32_t steps) {
    static const char *const KEEP[] = {"to_nchw", "quantize", "dequantize"};
    kf_step_info s = {.size = sizeof s};
    for (int32_t i = steps - 1; i >= 0 && kf_model_step(m, i, &s, NULL) == KF_OK; i = s.in[0]) {
        bool keeps = false;
        for (size_t k = 0; k < sizeof KEEP / sizeof *KEEP; k++) keeps = keeps || strcmp(s.op, KEEP[k]) == 0;
        if (!keeps) return strstr(s.op, "pool") != NULL;
    }
    return false;
}

static bool ranks_classes(const kf_comparison *w) {
    kf_model_info info = {.size = sizeof info};
    kf_tensor out;
    kf_model_get_info(w->models[0], &info, NULL);
    if (w->classes < 2 || kf_model_output(w->models[0], kf_model_ranked(w->models[0]), &out, NULL) != KF_OK)
        return false;
    for (int32_t d = 2; d < out.rank; d++)
        if (out.shape[d] != 1) return false;
    return kf_model_label(w->models[0], 0) || !ends_in_pool(w->models[0], info.n_steps);
}

/* Somebody said so, or its operators show it: neither a label nor the largest number means a class. */
static bool gives_features(const kf_comparison *w) {
    kf_model_info info = {.size = sizeof info};
    return kf_model_get_info(w->models[0], &info, NULL) == KF_OK && info.scores == KF_SCORES_FEATURES;
}

static void measure_distances(const kf_comparison *w, kf_comparison_summary *s) {
    const double all = (double)w->samples->n * (double)w->classes;
    for (size_t i = 0; i < w->samples->n; i++) {
        const kf_compared_picture *a = &w->pictures[i];
        s->l1 += a->apart[0] / all, s->l2 += sqrt(a->sums[3]) / all;
        s->chebyshev = fmax(s->chebyshev, a->apart[1]);
    }
}

static kf_comparison_summary summarize(const kf_comparison *w) {
    kf_comparison_summary s = {.images = w->samples->n - w->skipped};
    size_t hit[2] = {0}, five[2] = {0};
    double sum[4] = {0};
    const bool features = gives_features(w);
    for (size_t i = 0; i < w->samples->n; i++) {
        const kf_compared_picture *a = &w->pictures[i];
        if (a->said[0] < 0) continue;
        for (int k = 0; k < 4; k++) sum[k] += a->sums[k];
        s.same += a->said[0] == a->said[1];
        s.other5 += a->other5;
        if (a->truth < 0 || features) continue;
        bool right[2] = {a->said[0] == a->truth, a->said[1] == a->truth};
        s.labelled++;
        s.lost += right[0] && !right[1];
        s.won += !right[0] && right[1];
        for (int k = 0; k < 2; k++) hit[k] += right[k], five[k] += a->top5[k];
    }
    s.identical = sum[3] == 0;
    s.ranked = !features && (s.labelled || ranks_classes(w));
    s.agreement = s.ranked ? 100 * (double)s.same / (double)s.images : NAN;
    s.in_top5 = s.ranked ? 100 * (double)s.other5 / (double)s.images : NAN;
    s.cosine = kf__compare_cosine(sum), s.sqnr = kf__compare_sqnr(sum);
    measure_distances(w, &s);
    if (!s.labelled) return s;
    double n = (double)s.labelled;
    for (int k = 0; k < 2; k++) s.top1[k] = 100 * (double)hit[k] / n, s.top5[k] = 100 * (double)five[k] / n;
    s.p = kf_mcnemar(s.lost, s.won);
    s.difference = 100 * ((double)s.won - (double)s.lost) / n;
    kf_paired_interval(s.lost, s.won, s.labelled, &s.low, &s.high);
    s.low *= 100, s.high *= 100;
    return s;
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static kf_status check(const job *j, kf_error *err) {
    kf_comparison *w = j->w;
    kf_tensor out[2];
    if (j->o.threads < 0 || j->o.threads > KF_MAX_THREADS)
        KF_FAIL(err, KF_ERR_ARGUMENT, "%d threads; 0 to %d are needed", j->o.threads, KF_MAX_THREADS);
    if (w->samples->n == 0) KF_FAIL(err, KF_ERR_ARGUMENT, "there are no samples to compare on");
    for (int i = 0; i < 2; i++) KF_TRY(kf_model_output(w->models[i], kf_model_ranked(w->models[i]), &out[i], err));
    if (out[0].bytes != out[1].bytes)
        KF_FAIL(err, KF_ERR_ARGUMENT, "A has %zu outputs, B has %zu; models of one task can be compared",
                out[0].bytes / sizeof(float), out[1].bytes / sizeof(float));
    w->classes = out[0].bytes / sizeof(float);
    for (size_t i = 0; j->o.labels && i < w->samples->n; i++)
        if (j->o.labels[i] < -1 || j->o.labels[i] >= (int64_t)w->classes)
            KF_FAIL(err, KF_ERR_ARGUMENT, "%.600s: class %lld is out of range; the models have %zu classes",
                    w->samples->paths[i], (long long)j->o.labels[i], w->classes);
    return KF_OK;
}

/* All of them skipped is an error, the last one's. */
static kf_status count_skipped(const job *j, kf_error *err) {
    kf_comparison *w = j->w;
    const char *last = "";
    for (size_t i = 0; i < w->samples->n; i++) {
        if (!j->errors[i]) continue;
        w->skipped++;
        last = j->errors[i];
        j->o.skipped(j->o.user, last);
    }
    if (w->skipped < w->samples->n) return KF_OK;
    KF_FAIL(err, KF_ERR_IO, "none of %zu samples can be read; %.700s", w->skipped, last);
}

static kf_status run(job *j, kf_error *err) {
    kf_comparison *w = j->w;
    size_t n = w->samples->n;
    for (int k = 0; n && k < 2; k++) /* before their outputs differ in number */
        if (kf__feed_is_picture(w, 0)) KF_TRY(kf__answers_picture(w->models[k], err));
    KF_TRY(check(j, err));
    w->pictures = calloc(n, sizeof *w->pictures);
    j->errors = calloc(n, sizeof *j->errors);
    if (!w->pictures || !j->errors) KF_FAIL(err, KF_ERR_MEMORY, "out of memory for %zu pictures", n);
    kf__crew crew = kf__feed_crew(&j->o);
    crew.n = n, crew.one = answer, crew.ctx = j;
    crew.total = n + (j->o.node_images < n ? j->o.node_images : n);
    KF_TRY(kf__crew_run(&crew, err));
    KF_TRY(count_skipped(j, err));
    n -= w->skipped;
    w->node_images = j->o.node_images < n ? j->o.node_images : n;
    w->summary = summarize(w);
    return w->node_images ? kf__compare_nodes(w, &j->o, err) : KF_OK;
}

kf_status kf_compare(const kf_model *a, const kf_model *b, const kf_samples *samples, const kf_compare_options *options,
                     kf_comparison *out, kf_error *err) {
    if (!a || !b || !samples || !out)
        KF_FAIL(err, KF_ERR_ARGUMENT, "kf_compare: two models, samples and out are needed");
    const kf_comparison none = {.size = sizeof none};
    kf_comparison w = {.size = sizeof w, .models = {a, b}, .samples = samples};
    job j = {.w = &w};
    KF_TRY(kf_info_write(out, &none, "kf_comparison", err));
    kf_compare_options_init(&j.o);
    kf_status st = kf_options_read(&j.o, options, "kf_compare_options", err);
    if (st == KF_OK) st = run(&j, err);
    for (size_t i = 0; j.errors && i < samples->n; i++) free(j.errors[i]);
    free(j.errors);
    if (st == KF_OK) return kf_info_write(out, &w, "kf_comparison", err);
    kf_comparison_free(&w);
    return st;
}

kf_status kf_samples_labels(const kf_samples *samples, const char *folder, const kf_model *model, kf_message_fn notice,
                            void *user, int64_t **labels, kf_error *err) {
    if (!samples || !folder || !model || !labels)
        KF_FAIL(err, KF_ERR_ARGUMENT, "kf_samples_labels: samples, folder, model and labels are needed");
    kf_dataset_options o;
    kf_dataset *d;
    kf_tensor out;
    char text[512];
    *labels = NULL;
    kf_dataset_options_init(&o);
    o.model = model, o.notice = notice, o.user = user, o.optional = 1;
    KF_TRY(kf_model_output(model, kf_model_ranked(model), &out, err));
    KF_TRY(kf_dataset_open(folder, &o, &d, err));
    kf_status st = KF_OK;
    if (kf_dataset_fits(d)) {
        *labels = malloc((samples->n + 1) * sizeof **labels);
        if (!*labels) st = kf__no_memory(folder, err);
        for (size_t i = 0; *labels && i < samples->n; i++) (*labels)[i] = kf_dataset_class_of(d, samples->paths[i]);
    } else if (kf_dataset_folders(d) && notice) {
        snprintf(text, sizeof text, "%.300s: %zu folders are not taken for the %zu classes; a labels.csv gives labels",
                 folder, kf_dataset_folders(d), out.bytes / sizeof(float));
        notice(user, text);
    }
    kf_dataset_destroy(&d);
    return st;
}
