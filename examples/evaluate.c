/* Accuracy of a model on labelled pictures, and what a second model answers differently.
 * Build: cc evaluate.c $(pkg-config --cflags --libs kitfoxlab)
 * Run:   ./evaluate MODEL.kfx FOLDER [OTHER.kfx] */
#include <stdio.h>

#include "kitfox/lab.h"

static int progress(void *user, size_t done, size_t total) {
    (void)user;
    fprintf(stderr, "\r%zu of %zu", done, total);
    return 0; /* another value cancels */
}

static kf_status evaluate(const kf_model *model, const char *folder, kf_error *err) {
    kf_dataset_options how;
    kf_dataset *data;
    kf_evaluate_options options;
    kf_evaluation e = {.size = sizeof e};
    kf_dataset_options_init(&how);
    how.model = model; /* folders named like its labels are these classes */
    KF_TRY(kf_dataset_open(folder, &how, &data, err));
    kf_evaluate_options_init(&options);
    options.progress = progress;
    kf_status st = kf_evaluate(model, data, &options, &e, err);
    if (st == KF_OK)
        printf("%zu pictures, %zu failed: top-1 %.2f %% (%.2f to %.2f), top-5 %.2f %%\n", e.images, e.failed, e.top1,
               e.low, e.high, e.top5);
    kf_evaluation_free(&e);
    kf_dataset_destroy(&data);
    return st;
}

static kf_status compare(const kf_model *a, const kf_model *b, const char *folder, kf_error *err) {
    kf_samples samples;
    kf_comparison c = {.size = sizeof c};
    KF_TRY(kf_samples_find(folder, NULL, 0, &samples, err));
    kf_status st = kf_compare(a, b, &samples, NULL, &c, err);
    if (st == KF_OK)
        printf("%zu of %zu answers are the same, cosine %.6f\n", c.summary.same, c.summary.images, c.summary.cosine);
    kf_comparison_free(&c);
    kf_samples_free(&samples);
    return st;
}

int main(int argc, char **argv) {
    kf_error err = {KF_OK, ""};
    kf_model *model[2] = {NULL, NULL};
    if (argc != 3 && argc != 4) return fprintf(stderr, "usage: %s MODEL.kfx FOLDER [OTHER.kfx]\n", argv[0]), 2;
    kf_status st = kf_model_load(argv[1], NULL, &model[0], &err);
    if (st == KF_OK) st = evaluate(model[0], argv[2], &err);
    if (st == KF_OK && argc == 4) st = kf_model_load(argv[3], NULL, &model[1], &err);
    if (st == KF_OK && argc == 4) st = compare(model[0], model[1], argv[2], &err);
    if (st != KF_OK) fprintf(stderr, "%s\n", err.text);
    for (int i = 0; i < 2; i++) kf_model_destroy(&model[i]);
    return st == KF_OK ? 0 : 1;
}
