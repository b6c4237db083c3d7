/* Classify many pictures on all cores: each core computes one picture at a time.
 * Build: cc batch.c $(pkg-config --cflags --libs kitfoxlab)
 * Run:   ./batch model.kfx THREADS picture... (0 threads: every core) */
#include <stdio.h>
#include <stdlib.h>

#include "kitfox/batch.h"

enum { AT_ONCE = 64 }; /* decoded pictures that are in memory together */

/* Read up to AT_ONCE pictures, from paths[*next] on; those that cannot be read are told and passed over. */
static size_t load(char **paths, int n, int *next, kf_image *images, const char **names, int *failed) {
    kf_error err = {KF_OK, ""};
    size_t count = 0;
    for (; *next < n && count < AT_ONCE; ++*next) {
        names[count] = paths[*next];
        if (kf_image_load(names[count], NULL, &images[count], &err) == KF_OK) count++;
        else *failed = 1, fprintf(stderr, "%s\n", err.text);
    }
    return count;
}

static kf_status classify(kf_batch *batch, char **paths, int n, int *failed, kf_error *err) {
    kf_image images[AT_ONCE];
    const char *names[AT_ONCE];
    kf_score top[AT_ONCE];
    size_t found[AT_ONCE], count;
    for (int next = 0; (count = load(paths, n, &next, images, names, failed)) > 0;) {
        kf_status st = kf_batch_classify(batch, images, count, 1, top, found, err);
        for (size_t i = 0; i < count; i++) {
            kf_image_free(&images[i]);
            if (st != KF_OK) continue;
            printf("%s: %s %.4f\n", names[i], top[i].label ? top[i].label : "?", (double)top[i].score);
        }
        if (st != KF_OK) return st;
    }
    return KF_OK;
}

int main(int argc, char **argv) {
    kf_error err = {KF_OK, ""};
    kf_model *model = NULL;
    kf_batch *batch = NULL;
    kf_batch_options options;
    int failed = 0;
    kf_batch_options_init(&options);
    if (argc < 4) return fprintf(stderr, "usage: %s MODEL.kfx THREADS PICTURE...\n", argv[0]), 2;
    options.threads = atoi(argv[2]);
    kf_status st = kf_model_load(argv[1], NULL, &model, &err);
    if (st == KF_OK) st = kf_batch_create(model, &options, &batch, &err);
    if (st == KF_OK) st = classify(batch, argv + 3, argc - 3, &failed, &err);
    if (st != KF_OK) fprintf(stderr, "%s\n", err.text);
    kf_batch_destroy(&batch);
    kf_model_destroy(&model);
    return st != KF_OK || failed;
}
