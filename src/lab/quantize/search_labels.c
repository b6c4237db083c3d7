/* Labels of calibration samples, for the search that has to keep top-1.
 * Owner rule: see lab.h. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "data/text.h"
#include "data/plain.h"

static const char INSTEAD[] = "the drop is the share of pictures that float answers differently";

typedef struct listener {
    kf_message_fn notice;
    void *user;
} listener;

static void tell(const listener *l, const char *text) {
    if (l->notice) l->notice(l->user, text);
}

/* One held-out sample may be more than the drop that is asked for. */
static void tell_steps(const listener *l, size_t samples, double drop) {
    char text[300];
    size_t held = samples / 4;
    if (!held || drop * (double)held >= 100) return;
    kf__lab_print(
        text, sizeof text,
        "%zu samples are held out and one is %.2f points: a drop of %g asks that none is lost; more samples, or "
        "--target-cosine, judge finer",
        held, 100.0 / (double)held, drop);
    tell(l, text);
}

/* How many have a class of the model; -1 for the others. */
static size_t match(const kf_dataset *d, const kf_samples *samples, int64_t classes, int32_t *to) {
    size_t found = 0;
    for (size_t i = 0; i < samples->n; i++) {
        int64_t truth = kf_dataset_class_of(d, samples->paths[i]);
        bool known = truth >= 0 && truth < classes;
        to[i] = known ? (int32_t)truth : -1;
        found += known;
    }
    return found;
}

static kf_status find(const kf_samples *samples, const char *folder, const kf_model *m, const listener *l, int32_t *to,
                      size_t *found, kf_error *err) {
    kf_dataset_options o;
    kf_dataset *d;
    kf_tensor out;
    kf_dataset_options_init(&o);
    o.model = m, o.notice = l->notice, o.user = l->user, o.optional = 1;
    KF_TRY(kf_model_output(m, kf_model_ranked(m), &out, err));
    KF_TRY(kf_dataset_open(folder, &o, &d, err));
    int64_t classes = out.rank > 1 ? out.shape[1] : 1;
    *found = kf_dataset_fits(d) ? match(d, samples, classes, to) : 0;
    kf_dataset_destroy(&d);
    return KF_OK;
}

kf_status kf_search_labels(kf_graph *graph, const kf_model_options *limits, const kf_samples *samples,
                           const char *folder, double target_drop, kf_message_fn notice, void *user, int32_t **labels,
                           kf_error *err) {
    const listener l = {notice, user};
    kf_model *m = NULL;
    size_t found = 0;
    char text[900];
    if (!graph || !samples || !folder || !labels)
        KF_FAIL(err, KF_ERR_ARGUMENT, "kf_search_labels: graph, samples, folder and labels are needed");
    tell_steps(&l, samples->n, target_drop);
    *labels = calloc(samples->n + 1, sizeof **labels);
    if (!*labels) return kf__no_memory(folder, err);
    kf_status st = kf_graph_compile(graph, limits, &m, err);
    if (st == KF_OK) st = find(samples, folder, m, &l, *labels, &found, err);
    kf_model_destroy(&m);
    if (st == KF_OK && found == samples->n) return KF_OK;
    if (found) snprintf(text, sizeof text, "only %zu of %zu pictures have a label; %s", found, samples->n, INSTEAD);
    else
        snprintf(text, sizeof text, "%.600s has no labels (labels.csv, or a folder for each class); %s", folder,
                 INSTEAD);
    if (st == KF_OK) tell(&l, text);
    free(*labels);
    *labels = NULL;
    return st;
}
