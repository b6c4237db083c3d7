/* f32 average and max pools.
 * Owner rule: see step_kinds.h. */
#include <math.h>

#include "runtime/steps/step_kinds.h"

/* One tap of pooling for all channels of a pixel, in groups of sixteen, which compilers vectorize. */
#define POOLING(name, expression)                                                                                      \
    static void name(float *restrict to, const float *restrict from, size_t n) {                                       \
        size_t i = 0;                                                                                                  \
        for (; i + 16 <= n; i += 16)                                                                                   \
            for (size_t k = i; k < i + 16; k++) to[k] = (expression);                                                  \
        for (size_t k = i; k < n; k++) to[k] = (expression);                                                           \
    }
POOLING(take_most, from[k] > to[k] || from[k] != from[k] ? from[k] : to[k]) /* NaN is the largest, and stays */
POOLING(take_sum, to[k] + from[k])

/* One output pixel. Averages count padding only if the step says so. */
static void pool_pixel(const kf__job *j, const float *image, int32_t yo, int32_t xo, float *to) {
    const kf__window *w = &j->s->window;
    bool is_max = j->s->op == KF_STEP_MAX_POOL;
    size_t c = (size_t)j->in->c;
    int32_t y = kf__window_top(w, yo), x = kf__window_left(w, xo);
    kf__taps down = kf__taps_inside(y, w->kh, w->dh, j->in->h), across = kf__taps_inside(x, w->kw, w->dw, j->in->w);
    for (size_t i = 0; i < c; i++) to[i] = is_max ? -INFINITY : 0;
    for (int32_t ky = down.first; ky < down.first + down.count; ky++)
        for (int32_t kx = across.first; kx < across.first + across.count; kx++) {
            size_t pixel = (size_t)(y + ky * w->dh) * (size_t)j->in->w + (size_t)(x + kx * w->dw);
            (is_max ? take_most : take_sum)(to, image + pixel * c, c);
        }
    if (is_max) return;
    int32_t count =
        j->s->count_include_pad ? kf__window_padded_taps(w, y, x, j->in->h, j->in->w) : down.count * across.count;
    for (size_t i = 0; count > 0 && i < c; i++) to[i] /= (float)count;
}

static void pool_worker(void *job, int worker, int workers) {
    const kf__job *j = job;
    size_t from, to, oh = (size_t)j->out->h, ow = (size_t)j->out->w, c = (size_t)j->out->c;
    size_t image = (size_t)j->in->h * (size_t)j->in->w * c;
    kf__share((size_t)j->out->n * oh, 1, worker, workers, &from, &to);
    for (size_t row = from; row < to; row++)
        for (size_t xo = 0; xo < ow; xo++)
            pool_pixel(j, kf__f32_of(j->src) + row / oh * image, (int32_t)(row % oh), (int32_t)xo,
                       (float *)(void *)j->dst + (row * ow + xo) * c);
}

kf_status kf__prepare_pool_f32(kf__preparing *k) {
    kf__prepare_workers(k, pool_worker);
    return KF_OK;
}
