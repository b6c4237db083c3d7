/* Samples from pictures, .npy files and tensors into either model.
 * Owner rule: pictures are decoded one at a time and released. */
#include "compare/feed.h"
#include "data/plain.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool kf__feed_is_picture(const kf_comparison *w, size_t i) {
    const char *dot = w->samples->tensors ? ".npy" : strrchr(w->samples->paths[i], '.');
    return !dot || !kf__lab_same(dot, ".npy", SIZE_MAX);
}

kf_status kf__feed_load(const kf_comparison *w, size_t i, kf__feed *in, kf_error *err) {
    const char *path = w->samples->paths[i];
    kf_image_options io;
    *in = (kf__feed){.path = path};
    if (w->samples->tensors) {
        in->tensor = w->samples->tensors[i];
        in->tensor.name = NULL; /* that is a file, and no input of a model */
        return KF_OK;
    }
    if (!kf__feed_is_picture(w, i)) {
        in->owned = true;
        return kf_npy_read(path, &in->tensor, err);
    }
    kf_image_options_init(&io);
    io.no_exif = 1; /* training pipelines ignore the EXIF orientation */
    return kf_file_explain(path, KF_FILE_PICTURE, kf_image_load(path, &io, &in->full, err), err);
}

void kf__feed_unload(kf__feed *in) {
    kf_image_free(&in->full);
    if (in->owned) free(in->tensor.data);
    *in = (kf__feed){0};
}

kf_status kf__feed_picture(const kf_tensor *t, kf_image *out, kf_error *err) {
    *out = (kf_image){0};
    if (t->rank != 3 || (t->shape[2] != 3 && t->shape[2] != 1))
        return kf_error_set(err, KF_ERR_SHAPE,
                            "pixels of rank %d and %lld channels; pictures are [height, width, 3] in RGB, or "
                            "[height, width, 1] of grey",
                            t->rank, t->rank == 3 ? (long long)t->shape[2] : 0LL);
    kf_color color = t->shape[2] == 1 ? KF_COLOR_GRAY : KF_COLOR_RGB;
    kf_status st = kf_image_create((int32_t)t->shape[1], (int32_t)t->shape[0], out, err);
    if (st == KF_OK) kf_color_to_rgb(color, t->data, (size_t)(t->shape[0] * t->shape[1]), out->pixels);
    return st;
}

static kf_status run_pixels(kf_session *s, const kf_tensor *t, float *to, size_t n, kf_error *err) {
    kf_image rgb;
    kf_status st = kf__feed_picture(t, &rgb, err);
    if (st == KF_OK) st = kf_session_run_rgb(s, rgb.pixels, rgb.stride, to, n, err);
    kf_image_free(&rgb);
    return st;
}

static kf_status forward(const kf_comparison *w, int side, kf_session *s, const kf__feed *in, float *to,
                         kf_error *err) {
    kf_model_info info = {.size = sizeof info};
    kf_image crop;
    kf_tensor out;
    kf_model_get_info(w->models[side], &info, NULL);
    if (in->tensor.data && in->tensor.dtype == KF_U8) return run_pixels(s, &in->tensor, to, w->classes, err);
    if (in->tensor.data) {
        kf_status st = kf_model_output(w->models[side], kf_model_ranked(w->models[side]), &out, err);
        out.data = to;
        return st == KF_OK ? kf_session_run(s, &in->tensor, 1, &out, 1, err) : st;
    }
    kf_status st = kf_image_preprocess(&in->full, &info.preprocess, &crop, err);
    if (st != KF_OK) return st;
    st = kf_session_run_rgb(s, crop.pixels, crop.stride, to, w->classes, err);
    kf_image_free(&crop);
    return st;
}

kf_status kf__feed_forward(const kf_comparison *w, int side, kf_session *s, const kf__feed *in, float *to,
                           kf_error *err) {
    kf_status st = forward(w, side, s, in, to, err);
    return st == KF_OK ? st : kf_error_prefix(err, st, "%.600s", in->path);
}

static kf_status session(const kf_model *m, kf_session **out, kf_error *err) {
    kf_session_options o;
    kf_session_options_init(&o);
    o.threads = 1;
    return kf_session_create(m, &o, out, err);
}

kf_status kf__feed_sessions(const kf_comparison *w, kf_session **s, kf_error *err) {
    s[0] = s[1] = NULL;
    KF_TRY(session(w->models[0], &s[0], err));
    return session(w->models[1], &s[1], err);
}

static kf_status open_sessions(void *ctx, void **state, kf_error *err) {
    kf_comparison *const *w = ctx;
    kf_session **s = calloc(2, sizeof *s);
    if (!s) KF_FAIL(err, KF_ERR_MEMORY, "out of memory for two sessions");
    *state = s;
    return kf__feed_sessions(*w, s, err);
}

static void close_sessions(void *state) {
    kf_session **s = state;
    for (int i = 0; s && i < 2; i++) kf_session_destroy(&s[i]);
    free(s);
}

kf__crew kf__feed_crew(const kf_compare_options *o) {
    return (kf__crew){.threads = o->threads,
                      .open = open_sessions,
                      .close = close_sessions,
                      .progress = o->progress,
                      .fewer_threads = o->fewer_threads,
                      .user = o->user};
}
