/* Steps that move elements and compute nothing: joining channels (f32), the order that ONNX flattens images in, and
 * strides or lists of places. Owner rule: see step_kinds.h. */
#include "runtime/steps/step_kinds.h"

static void run_concat(const kf__exec *x, const kf__prepared *s) {
    kf__job j = kf__job_of(x, s);
    size_t c = (size_t)j.out->c, pixels = kf__ptensor_count(j.out) / c, at = 0;
    float *dst = (float *)(void *)j.dst;
    for (int k = 0; k < s->step->n_in; k++) {
        size_t mine = (size_t)x->m->p->tensors[s->step->in[k]].c;
        const float *from = kf__exec_tensor(x, s->step->in[k]);
        for (size_t i = 0; i < pixels; i++) memcpy(dst + i * c + at, from + i * mine, mine * sizeof(float));
        at += mine;
    }
}

kf_status kf__prepare_concat_f32(kf__preparing *k) {
    k->to->run = run_concat;
    return KF_OK;
}

static void run_to_nchw(const kf__exec *x, const kf__prepared *s) {
    kf__job j = kf__job_of(x, s);
    size_t hw = (size_t)j.in->h * (size_t)j.in->w, c = (size_t)j.in->c, size = j.in_size;
    for (size_t n = 0; n < (size_t)j.in->n; n++)
        for (size_t i = 0; i < hw; i++)
            for (size_t k = 0; k < c; k++)
                memcpy(j.dst + ((n * c + k) * hw + i) * size, j.src + ((n * hw + i) * c + k) * size, size);
}

kf_status kf__prepare_to_nchw(kf__preparing *k) {
    k->to->run = run_to_nchw;
    return KF_OK;
}

/* Elements of one size: the compiler turns a copy of a known size into a move. */
#define COPY(size)                                                                                                     \
    for (int32_t c = 0; c < y->c; c++, to += (size), from += by) memcpy(to, from, (size))
#define COPY_FROM(size, place)                                                                                         \
    for (int32_t c = 0; c < y->c; c++, to += (size)) memcpy(to, from + (size_t)(place) * (size), (size))

static void run_move(const kf__exec *x, const kf__prepared *s) {
    kf__job j = kf__job_of(x, s);
    const kf__ptensor *y = j.out;
    const int32_t *m = (const int32_t *)(const void *)kf__job_const(&j, KF_CONST_W);
    const int64_t size = (int64_t)j.in_size, by = m[4] * size;
    char *to = j.dst;
    for (int32_t n = 0; n < y->n; n++)
        for (int32_t h = 0; h < y->h; h++)
            for (int32_t w = 0; w < y->w; w++) {
                const char *from = j.src + (m[0] + (int64_t)n * m[1] + (int64_t)h * m[2] + (int64_t)w * m[3]) * size;
                if (size == 4) COPY(4);
                else if (size == 2) COPY(2);
                else COPY(1);
            }
}

kf_status kf__prepare_move(kf__preparing *k) {
    k->to->run = run_move;
    return KF_OK;
}

/* Channels in their order are copied at once. */
static void run_pick(const kf__exec *x, const kf__prepared *s) {
    kf__job j = kf__job_of(x, s);
    const kf__ptensor *y = j.out;
    const int32_t *row = (const int32_t *)(const void *)kf__job_const(&j, KF_CONST_W);
    const int32_t *column = row + y->h, *channel = column + y->w;
    const size_t size = j.in_size, pixels = (size_t)y->n * (size_t)y->h * (size_t)y->w, line = (size_t)y->c * size;
    const size_t image = (size_t)j.in->h * (size_t)j.in->w * (size_t)j.in->c * size;
    char *to = j.dst;
    int32_t run = 1;
    while (run < y->c && channel[run] == channel[0] + run) run++;
    for (size_t i = 0; i < pixels; i++) {
        const size_t w = i % (size_t)y->w, h = i / (size_t)y->w % (size_t)y->h, n = i / (size_t)y->w / (size_t)y->h;
        const char *from = j.src + n * image + ((size_t)row[h] + (size_t)column[w]) * size;
        if (run == y->c) memcpy(to, from + (size_t)channel[0] * size, line), to += line;
        else if (size == 4) COPY_FROM(4, channel[c]);
        else if (size == 2) COPY_FROM(2, channel[c]);
        else COPY_FROM(1, channel[c]);
    }
}

kf_status kf__prepare_pick(kf__preparing *k) {
    k->to->run = run_pick;
    return KF_OK;
}
