/* Picture files one after the other on one session.
 * Owner rule: one picture and its classes at a time; the callback borrows them. */
#include "run/answers.h"

enum { TOP = 5 };

typedef struct work {
    kf_classify_options o;
    kf_session *s;
    size_t failed;
} work;

void kf_classify_options_init(kf_classify_options *options) {
    *options = (kf_classify_options){.size = sizeof *options, .top = TOP};
}

static int one(work *w, const char *path) {
    kf_image_options io;
    kf_image image = {0};
    kf_score top[KF_MAX_TOP];
    kf_error why = {KF_OK, ""};
    kf_classified c = {.path = path, .top = top};
    kf_image_options_init(&io);
    io.no_exif = w->o.no_exif;
    kf_status st = kf_image_load(path, &io, &image, &why);
    kf_file_explain(path, KF_FILE_PICTURE, st, &why);
    if (st == KF_OK) {
        double begun = kf__now_ms();
        c.image = &image;
        st = kf_session_classify(w->s, &image, (size_t)w->o.top, top, &c.n, &why);
        c.ms = kf__now_ms() - begun;
        if (st != KF_OK) kf_error_prefix(&why, st, "%.600s", path);
    }
    if (st == KF_OK) kf__answers_name(w->o.labels, top, c.n);
    else w->failed++, c.n = 0, c.error = why.text, c.status = st;
    int stop = w->o.picture ? w->o.picture(w->o.user, &c) : 0;
    kf_image_free(&image);
    return stop;
}

static kf_status all(work *w, const char *const *paths, size_t n, kf_error *err) {
    for (size_t i = 0; i < n; i++)
        if (one(w, paths[i])) KF_FAIL(err, KF_ERR_CANCELLED, "cancelled after %zu of %zu pictures", i + 1, n);
    return KF_OK;
}

kf_status kf_classify_files(const kf_model *model, const char *const *paths, size_t n,
                            const kf_classify_options *options, size_t *failed, kf_error *err) {
    work w = {0};
    if (failed) *failed = 0;
    if (!model || (n && !paths)) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_classify_files: model and paths are needed");
    kf_classify_options_init(&w.o);
    KF_TRY(kf_options_read(&w.o, options, "kf_classify_options", err));
    KF_TRY(kf__answers_range("top", w.o.top, 1, KF_MAX_TOP, err));
    KF_TRY(kf__answers_picture(model, err));
    KF_TRY(kf_labels_check(w.o.labels, model, err));
    KF_TRY(kf__answers_session(model, w.o.threads, w.o.fewer_threads, w.o.user, &w.s, err));
    kf_status st = all(&w, paths, n, err);
    kf_session_destroy(&w.s);
    if (failed) *failed = w.failed;
    return st;
}
