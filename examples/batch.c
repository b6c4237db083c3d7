/* Classify many pictures on several threads: one model for all, a session of one core for each thread.
 * Build: cc batch.c $(pkg-config --cflags --libs kitfoximg kitfox) -pthread
 * Run:   ./batch model.kfx THREADS picture... */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "kitfox/kitfox.h"

enum { MAX_THREADS = 64 };

typedef struct worker {
    const kf_model *model; /* read only, so threads share it */
    char **paths;
    int n, first, step; /* pictures first, first + step, ... */
    int failed;
} worker;

static void *run(void *arg) {
    worker *w = (worker *)arg;
    kf_error err = {KF_OK, ""}; /* as the session, of this thread alone */
    kf_session *session = NULL;
    kf_session_options options;
    kf_session_options_init(&options);
    options.threads = 1;
    kf_status created = kf_session_create(w->model, &options, &session, &err);
    for (int i = w->first; i < w->n; i += w->step) {
        kf_image image = {0, 0, 0, NULL};
        kf_score top[1];
        size_t n = 0;
        kf_status st = created;
        if (st == KF_OK) st = kf_image_load(w->paths[i], NULL, &image, &err);
        if (st == KF_OK) st = kf_session_classify(session, &image, 1, top, &n, &err);
        if (st == KF_OK) printf("%s: %s %.4f\n", w->paths[i], top[0].label ? top[0].label : "?", (double)top[0].score);
        else w->failed = 1, fprintf(stderr, "%s\n", err.text);
        kf_image_free(&image);
    }
    kf_session_destroy(&session);
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t threads[MAX_THREADS];
    worker workers[MAX_THREADS];
    kf_error err = {KF_OK, ""};
    kf_model *model = NULL;
    int count = argc > 3 ? atoi(argv[2]) : 0, failed = 0, started = 0;
    if (count < 1 || count > MAX_THREADS)
        return fprintf(stderr, "usage: %s MODEL.kfx THREADS PICTURE...\n", argv[0]), 2;
    if (kf_model_load(argv[1], NULL, &model, &err) != KF_OK) return fprintf(stderr, "%s\n", err.text), 1;
    for (int i = 0; i < count; i++) workers[i] = (worker){model, argv + 3, argc - 3, i, count, 0};
    while (started < count - 1 && !pthread_create(&threads[started], NULL, run, &workers[started])) started++;
    for (int i = started; i < count; i++) run(&workers[i]); /* the last one, and those that could not be started */
    for (int i = 0; i < started; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < count; i++) failed |= workers[i].failed;
    kf_model_destroy(&model);
    return failed;
}
