/* Camera frames from a file descriptor.
 * Owner rule: one frame buffer and one session for the whole stream. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run/answers.h"

enum { TOP = 5, MOST_STRIDE = 1 << 20 };

typedef struct work {
    kf_stream_options o;
    kf_session *s;
    kf_nv12 frame;
    uint8_t *data;
    size_t bytes; /* of a frame */
    kf_stream_counts counts;
    kf_score top[KF_MAX_TOP];
} work;

void kf_stream_options_init(kf_stream_options *options) {
    *options =
        (kf_stream_options){.size = sizeof *options, .range = -1, .every = 1, .top = TOP, .name = "standard input"};
}

/* KF_OK with *got 0 at the end of the stream. */
static kf_status read_frame(work *w, size_t *got, kf_error *err) {
    long long frame = (long long)w->counts.frames;
    const char *name = w->o.name;
    for (*got = 0; *got < w->bytes;) {
        ssize_t n = read(w->o.fd, w->data + *got, w->bytes - *got);
        if (n == 0) break;
        if (n > 0) *got += (size_t)n;
        else if (errno != EINTR)
            KF_FAIL(err, KF_ERR_IO, "%.300s: frame %lld cannot be read; %s; check its source", name, frame,
                    strerror(errno));
    }
    if (*got && *got < w->bytes)
        KF_FAIL(err, KF_ERR_FORMAT,
                "%.300s: frame %lld ends after %zu of %zu bytes; the stream was cut, or its frames have another size; "
                "check --nv12 and --stride",
                name, frame, *got, w->bytes);
    if (!*got && frame == 0)
        KF_FAIL(err, KF_ERR_FORMAT, "%.300s: no frame; it is empty; check the program that feeds it", name);
    return KF_OK;
}

static kf_status classify(work *w, int64_t index, kf_error *err) {
    kf_stream_frame f = {.index = index, .top = w->top};
    double begun = kf__now_ms();
    KF_TRY(kf_session_classify_nv12(w->s, &w->frame, (size_t)w->o.top, w->top, &f.n, err));
    f.ms = kf__now_ms() - begun;
    w->counts.classified++;
    w->counts.total_ms += f.ms;
    if (f.ms > w->counts.most_ms) w->counts.most_ms = f.ms;
    kf__answers_name(w->o.labels, w->top, f.n);
    if (w->o.frame && w->o.frame(w->o.user, &f))
        KF_FAIL(err, KF_ERR_CANCELLED, "cancelled after frame %lld", (long long)index);
    return KF_OK;
}

static kf_status all(work *w, kf_error *err) {
    for (size_t got;;) {
        KF_TRY(read_frame(w, &got, err));
        if (!got) return KF_OK;
        int64_t index = w->counts.frames++;
        if (index % w->o.every == 0) KF_TRY(classify(w, index, err));
    }
}

static kf_status check(const kf_stream_options *o, kf_error *err) {
    KF_TRY(kf__answers_range("width", o->width, 2, KF_IMAGE_MAX_SIDE, err));
    KF_TRY(kf__answers_range("height", o->height, 2, KF_IMAGE_MAX_SIDE, err));
    if (o->width % 2 || o->height % 2)
        KF_FAIL(err, KF_ERR_ARGUMENT, "frames of %dx%d pixels; both sides have to be even", o->width, o->height);
    if (o->stride) KF_TRY(kf__answers_range("stride", o->stride, o->width, MOST_STRIDE, err));
    KF_TRY(kf__answers_range("range", o->range, -1, 1, err));
    KF_TRY(kf__answers_range("every", o->every, 1, INT32_MAX, err));
    KF_TRY(kf__answers_range("top", o->top, 1, KF_MAX_TOP, err));
    if (!o->name) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_stream: the input needs a name for messages");
    return KF_OK;
}

/* Raw tensors have no preprocessing; said before the first frame is read. */
static kf_status prepare(work *w, const kf_model *m, kf_error *err) {
    const kf_stream_options *o = &w->o;
    kf_model_info info = {.size = sizeof info};
    KF_TRY(check(o, err));
    KF_TRY(kf_model_get_info(m, &info, err));
    if (!info.preprocess.valid)
        KF_FAIL(err, KF_ERR_UNSUPPORTED,
                "the model has no picture input; frames cannot be fed; import it with --preprocess");
    KF_TRY(kf__answers_picture(m, err));
    KF_TRY(kf_labels_check(o->labels, m, err));
    size_t stride = (size_t)(o->stride ? o->stride : o->width), luma = stride * (size_t)o->height;
    w->bytes = luma + luma / 2;
    w->data = malloc(w->bytes);
    if (!w->data)
        KF_FAIL(err, KF_ERR_MEMORY, "%.300s: out of memory for a frame of %zu bytes; check --nv12", o->name, w->bytes);
    int32_t limited = o->range >= 0 ? o->range : info.input_range;
    w->frame = (kf_nv12){o->width, o->height, w->data, w->data + luma, stride, stride, limited};
    return kf__answers_session(m, o->threads, o->fewer_threads, o->user, &w->s, err);
}

kf_status kf_stream(const kf_model *model, const kf_stream_options *options, kf_stream_counts *counts, kf_error *err) {
    if (!model) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_stream: the model is needed");
    if (counts) KF_TRY(kf__answers_room("kf_stream_counts", counts->size, sizeof *counts, err));
    work *w = calloc(1, sizeof *w); /* the classes are too many for a small stack */
    if (!w) KF_FAIL(err, KF_ERR_MEMORY, "out of memory: %zu bytes", sizeof *w);
    w->counts.size = sizeof w->counts;
    kf_stream_options_init(&w->o);
    kf_status st = kf_options_read(&w->o, options, "kf_stream_options", err);
    if (st == KF_OK) st = prepare(w, model, err);
    if (st == KF_OK) st = all(w, err);
    if (counts) kf_info_write(counts, &w->counts, "kf_stream_counts", NULL);
    kf_session_destroy(&w->s);
    free(w->data);
    free(w);
    return st;
}
