/* Accuracy of a model on labelled pictures.
 * One session on each thread; pictures are handed out one at a time, and counted in their order afterwards.
 * Owner rule: predictions live until the end of the call; kf_evaluation_free releases the cells. */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "data/class_names.h"
#include "data/dataset.h"
#include "data/text.h"
#include "evaluate/crew.h"
#include "run/answers.h"

enum { TOP = 5, MAX_TOP = 1000 };

typedef struct work {
    const kf_model *m;
    const kf_dataset *d;
    kf_evaluate_options o;
    size_t n, top;    /* pictures, and predictions of each */
    kf_score *scores; /* [n][top] */
    size_t *found;    /* [n]: predictions; 0: failed */
    char **errors;    /* [n]: why */
} work;

void kf_evaluate_options_init(kf_evaluate_options *options) {
    *options = (kf_evaluate_options){.size = sizeof *options, .top = TOP};
}

void kf_evaluation_free(kf_evaluation *evaluation) {
    if (!evaluation) return;
    free(evaluation->cells);
    for (int32_t k = 0; evaluation->names && k < evaluation->classes; k++) free(evaluation->names[k]);
    free(evaluation->names);
    *evaluation = (kf_evaluation){.size = evaluation->size};
}

static double seconds_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void kf_proportion_interval(size_t hits, size_t n, double *lo, double *hi) {
    const double z = 1.959963984540054; /* 97.5 % of the normal distribution */
    double m = (double)n, p = (double)hits / m, d = 1 + z * z / m;
    double centre = (p + z * z / (2 * m)) / d, half = z / d * sqrt(p * (1 - p) / m + z * z / (4 * m * m));
    *lo = hits ? centre - half : 0; /* exactly; the difference is not */
    *hi = hits < n ? centre + half : 1;
}

/* Picture i of those that are kept, spread evenly over the data set. */
static const kf__dataset_one *item_of(const work *w, size_t i) { return &w->d->items[i * w->d->n / w->n]; }

/* ---- pictures ---------------------------------------------------------------------------------------------------- */

static kf_status open_session(void *ctx, void **state, kf_error *err) {
    const work *w = ctx;
    kf_session_options o;
    kf_session_options_init(&o);
    o.threads = 1;
    kf_status st = kf_session_create(w->m, &o, (kf_session **)state, err);
    if (st != KF_ERR_MEMORY) return st;
    KF_FAIL(err, st, "out of memory for a session on each core; try --threads 1");
}

static void close_session(void *state) {
    kf_session *s = state;
    kf_session_destroy(&s);
}

/* A picture that cannot be read is counted as failed, and the others go on. Out of memory is not the picture's fault
 * and ends the evaluation.
 */
static kf_status classify(void *ctx, void *state, size_t i, kf_error *err) {
    work *w = ctx;
    kf_image_options io;
    kf_image image;
    kf_error why = {KF_OK, ""};
    size_t n = 0;
    kf_image_options_init(&io);
    io.no_exif = 1; /* published accuracies are measured that way */
    const char *path = item_of(w, i)->path;
    kf_status st = kf_image_load(path, &io, &image, &why);
    if (st == KF_OK) {
        st = kf_session_classify(state, &image, w->top, w->scores + i * w->top, &n, &why);
        kf_image_free(&image);
        if (st != KF_OK) kf_error_prefix(&why, st, "%.600s", path);
    }
    kf_file_explain(path, KF_FILE_PICTURE, st, &why);
    if (st == KF_ERR_MEMORY || (st != KF_OK && w->o.strict)) return kf_error_set(err, st, "%s", why.text);
    if (st == KF_OK) w->found[i] = n;
    else if (!(w->errors[i] = strdup(why.text))) return kf__no_memory(path, err);
    return KF_OK;
}

/* ---- counts ------------------------------------------------------------------------------------------------------ */

static int by_cell(const void *a, const void *b) {
    const kf_confusion_cell *x = a, *y = b;
    if (x->truth != y->truth) return x->truth < y->truth ? -1 : 1;
    return (x->said > y->said) - (x->said < y->said);
}

/* Sorted and counted: 21000 classes squared would not fit in memory, the pictures do. */
static kf_status count_cells(const work *w, kf_evaluation *e, kf_error *err) {
    size_t all = 0, n = 0;
    kf_confusion_cell *c = malloc((w->n + 1) * sizeof *c);
    if (!c) KF_FAIL(err, KF_ERR_MEMORY, "out of memory for the confusion matrix of %zu pictures", w->n);
    for (size_t i = 0; i < w->n; i++)
        if (w->found[i]) c[all++] = (kf_confusion_cell){(int32_t)item_of(w, i)->truth, w->scores[i * w->top].index, 1};
    qsort(c, all, sizeof *c, by_cell);
    for (size_t i = 0; i < all; i++) {
        if (n && by_cell(&c[i], &c[n - 1]) == 0) c[n - 1].count++;
        else c[n++] = c[i];
    }
    e->cells = c, e->n_cells = n;
    return KF_OK;
}

static void count_hits(const work *w, kf_evaluation *e, double seconds) {
    size_t hit1 = 0, hit5 = 0;
    for (size_t i = 0; i < w->n; i++) {
        const kf_score *s = w->scores + i * w->top;
        if (!w->found[i]) {
            e->failed++;
            continue;
        }
        e->images++;
        hit1 += s[0].index == item_of(w, i)->truth;
        for (size_t k = 0; k < w->found[i] && k < TOP; k++) hit5 += s[k].index == item_of(w, i)->truth;
    }
    if (!e->images) return;
    double n = (double)e->images;
    e->top1 = 100 * (double)hit1 / n, e->top5 = 100 * (double)hit5 / n;
    kf_proportion_interval(hit1, e->images, &e->low, &e->high);
    e->low *= 100, e->high *= 100;
    e->images_per_s = n / seconds;
}

static void tell_predictions(const work *w) {
    for (size_t i = 0; w->o.prediction && i < w->n; i++) {
        const kf__dataset_one *it = item_of(w, i);
        const kf_prediction p = {{it->path, it->name, it->truth}, w->scores + i * w->top, w->found[i], w->errors[i]};
        w->o.prediction(w->o.user, &p);
    }
}

/* Where the model has no labels, folders tell. */
static kf_status name_classes(const work *w, kf_evaluation *e, kf_error *err) {
    kf__class_names names;
    if (w->d->csv) return KF_OK; /* the folders are something else */
    bool ok = kf__class_names_open(&names, (size_t)e->classes);
    for (size_t i = 0; ok && i < w->n; i++) ok = kf__class_names_add(&names, item_of(w, i)->truth, item_of(w, i)->path);
    ok = ok && kf__class_names_end(&names);
    if (ok && !names.mixed) e->names = names.of, names.of = NULL;
    kf__class_names_close(&names);
    if (!ok) KF_FAIL(err, KF_ERR_MEMORY, "out of memory for the names of %d classes", e->classes);
    return KF_OK;
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static kf_status check(const work *w, size_t classes, kf_error *err) {
    if (w->o.threads < 0 || w->o.threads > KF_MAX_THREADS)
        KF_FAIL(err, KF_ERR_ARGUMENT, "%d threads; 0 to %d are needed", w->o.threads, KF_MAX_THREADS);
    if (w->o.top < 1 || w->o.top > MAX_TOP)
        KF_FAIL(err, KF_ERR_ARGUMENT, "top %d; 1 to %d are needed", w->o.top, MAX_TOP);
    if (w->n == 0) KF_FAIL(err, KF_ERR_ARGUMENT, "the data set has no pictures");
    for (size_t i = 0; i < w->n; i++) {
        const kf__dataset_one *it = item_of(w, i);
        if (it->truth < 0 || (uint64_t)it->truth >= classes)
            KF_FAIL(err, KF_ERR_ARGUMENT, "%.600s: class %lld is out of range; the model has %zu classes", it->path,
                    (long long)it->truth, classes);
    }
    return KF_OK;
}

static kf_status run(work *w, kf_evaluation *e, kf_error *err) {
    w->scores = calloc(w->n, w->top * sizeof *w->scores);
    w->found = calloc(w->n, sizeof *w->found);
    w->errors = calloc(w->n, sizeof *w->errors);
    if (!w->scores || !w->found || !w->errors)
        KF_FAIL(err, KF_ERR_MEMORY, "out of memory for the answers to %zu pictures", w->n);
    const kf__crew crew = {.n = w->n,
                           .threads = w->o.threads,
                           .open = open_session,
                           .close = close_session,
                           .one = classify,
                           .ctx = w,
                           .progress = w->o.progress,
                           .fewer_threads = w->o.fewer_threads,
                           .user = w->o.user};
    double begun = seconds_now();
    KF_TRY(kf__crew_run(&crew, err));
    double seconds = seconds_now() - begun;
    KF_TRY(count_cells(w, e, err));
    count_hits(w, e, seconds);
    KF_TRY(name_classes(w, e, err));
    tell_predictions(w);
    return KF_OK;
}

kf_status kf_evaluate(const kf_model *model, const kf_dataset *dataset, const kf_evaluate_options *options,
                      kf_evaluation *out, kf_error *err) {
    if (!model || !dataset || !out) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_evaluate: model, dataset and out are needed");
    work w = {.m = model, .d = dataset, .n = dataset->n};
    kf_evaluation e = {.size = sizeof e};
    kf_tensor scores;
    KF_TRY(kf_info_write(out, &e, "kf_evaluation", err));
    kf_evaluate_options_init(&w.o);
    KF_TRY(kf_options_read(&w.o, options, "kf_evaluate_options", err));
    KF_TRY(kf_model_output(model, kf_model_ranked(model), &scores, err));
    KF_TRY(kf__answers_picture(model, err));
    if (w.o.limit && w.o.limit < w.n) w.n = w.o.limit;
    w.top = w.o.top > TOP ? (size_t)w.o.top : TOP;
    size_t classes = scores.bytes / sizeof(float);
    KF_TRY(check(&w, classes, err));
    e.classes = (int32_t)classes;
    kf_status st = run(&w, &e, err);
    for (size_t i = 0; w.errors && i < w.n; i++) free(w.errors[i]);
    free(w.errors);
    free(w.found);
    free(w.scores);
    if (st == KF_OK) return kf_info_write(out, &e, "kf_evaluation", err);
    kf_evaluation_free(&e);
    return st;
}
