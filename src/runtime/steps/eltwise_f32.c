/* f32 steps that work element by element: sums, activations, products, the scaling by a gate, softmax.
 * Owner rule: see step_kinds.h. */
#include <math.h>

#include "runtime/steps/step_kinds.h"

static void scale_worker(void *job, int worker, int workers) {
    const kf__job *j = job;
    const float *src = kf__f32_of(j->src), *gate = kf__f32_of(j->src2);
    float *dst = (float *)(void *)j->dst;
    size_t hw = (size_t)j->in->h * (size_t)j->in->w, c = (size_t)j->in->c, from, to;
    kf__share(hw, 1, worker, workers, &from, &to);
    for (size_t n = 0; n < (size_t)j->in->n; n++) {
        size_t at = (n * hw + from) * c;
        j->x->m->kernels.scale_f32(to - from, c, src + at, gate + n * c, dst + at);
    }
}

kf_status kf__prepare_scale_f32(kf__preparing *k) {
    kf__prepare_workers(k, scale_worker);
    k->to->kernel = k->m->kernels.scale_f32_name;
    return KF_OK;
}

static void sum_worker(void *job, int worker, int workers) {
    const kf__job *j = job;
    const float *a = kf__f32_of(j->src), *b = j->s->op == KF_STEP_ADD ? kf__f32_of(j->src2) : NULL;
    const kf__epilogue e = kf__job_epilogue(j);
    size_t from, to;
    kf__share(kf__ptensor_count(j->out), 256, worker, workers, &from, &to);
    j->x->m->kernels.eltwise_f32(to - from, a + from, b ? b + from : NULL, (float *)(void *)j->dst + from, &e);
}

/** ADD, and ACT, which adds nothing. */
kf_status kf__prepare_sum_f32(kf__preparing *k) {
    kf__prepare_workers(k, sum_worker);
    k->to->kernel = k->m->kernels.eltwise_f32_name;
    return KF_OK;
}

static void run_product(const kf__exec *x, const kf__prepared *s) {
    kf__job j = kf__job_of(x, s);
    const float *a = kf__f32_of(j.src), *b = kf__f32_of(j.src2);
    float *to = (float *)(void *)j.dst;
    size_t n = kf__ptensor_count(j.out);
    for (size_t i = 0; i < n; i++) to[i] = a[i] * b[i];
}

kf_status kf__prepare_product_f32(kf__preparing *k) {
    k->to->run = run_product;
    return KF_OK;
}

static void softmax(const float *x, size_t n, bool log, float *y) {
    float top = x[0], sum = 0;
    for (size_t i = 1; i < n; i++) top = x[i] > top ? x[i] : top;
    for (size_t i = 0; i < n; i++) sum += y[i] = expf(x[i] - top);
    const float below = log ? top + logf(sum) : 0;
    for (size_t i = 0; i < n; i++) y[i] = log ? x[i] - below : y[i] / sum;
}

static void run_softmax(const kf__exec *x, const kf__prepared *s) {
    kf__job j = kf__job_of(x, s);
    size_t c = (size_t)j.out->c, rows = kf__ptensor_count(j.out) / c;
    for (size_t r = 0; r < rows; r++)
        softmax(kf__f32_of(j.src) + r * c, c, j.s->op == KF_STEP_LOG_SOFTMAX, (float *)(void *)j.dst + r * c);
}

kf_status kf__prepare_softmax_f32(kf__preparing *k) {
    k->to->run = run_softmax;
    return KF_OK;
}
