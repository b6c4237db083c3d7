/* Steps that move elements and compute nothing: joining channels (f32), and the order that ONNX flattens images in.
 * Owner rule: see step_kinds.h. */
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
