/* Integer average and max pools.
 * Owner rule: see step_kinds.h. */
#include "runtime/steps/step_kinds.h"

typedef struct pool {
    kf__pool_q_fn *kernel;
    kf__requant rq;
} pool;

/* One kernel call for each output pixel, with the taps that lie inside the image. */
static void pool_worker(void *job, int worker, int workers) {
    const kf__job *j = job;
    const pool *own = j->p->own;
    const kf__requant *r = &own->rq;
    const kf__window *win = &j->s->window;
    size_t from, to, h = (size_t)j->out->h, w = (size_t)j->out->w, c = (size_t)j->out->c, line = (size_t)j->in->w * c;
    const float *means = j->s->op == KF_STEP_AVG_POOL ? kf__job_const(j, KF_CONST_MUL) : NULL;
    kf__pool_q p = {.in_type = j->in->dtype,
                    .out_type = j->out->dtype,
                    .row_step = (size_t)win->dh * line,
                    .column_step = (size_t)win->dw * c,
                    .c = c,
                    .largest = !means,
                    .lo = j->s->qlo,
                    .hi = j->s->qhi,
                    .in_zero = j->in->zero,
                    .flo = r->flo,
                    .fhi = r->fhi,
                    .zero = r->zero};
    kf__share((size_t)j->out->n * h, 1, worker, workers, &from, &to);
    for (size_t row = from; row < to; row++)
        for (size_t i = 0; i < w; i++) {
            int32_t y = kf__window_top(win, (int32_t)(row % h)), x = kf__window_left(win, (int32_t)i);
            kf__taps down = kf__taps_inside(y, win->kh, win->dh, j->in->h),
                     across = kf__taps_inside(x, win->kw, win->dw, j->in->w);
            p.rows = (size_t)down.count, p.columns = down.count ? (size_t)across.count : 0;
            size_t top = row / h * (size_t)j->in->h + (size_t)(y + down.first * win->dh),
                   left = (size_t)(x + across.first * win->dw);
            if (p.columns) p.in = j->src + (top * line + left * c) * j->in_size;
            int32_t count = down.count * across.count;
            if (j->s->count_include_pad) count = kf__window_padded_taps(win, y, x, j->in->h, j->in->w);
            if (means) p.mul = means[count ? count - 1 : 0];
            p.out = j->dst + (row * w + i) * c * j->out_size;
            own->kernel(&p);
        }
}

kf_status kf__prepare_pool_int(kf__preparing *k) {
    const kf__window *w = &k->s->window;
    pool *p = kf__prepare_own(k, sizeof *p);
    if (!p) return KF_ERR_MEMORY;
    bool many = (int64_t)w->kh * w->kw > KF_POOL_TAPS;
    p->kernel = many ? kf_k_pool_q_scalar : k->m->kernels_int.pool_q;
    kf__prepare_workers(k, pool_worker);
    k->to->kernel = many ? "pool_q_scalar" : k->m->kernels_int.pool_q_name;
    return KF_OK;
}

kf_status kf__pack_pool_int(kf__preparing *k) {
    pool *p = k->to->own;
    const kf__vectors v = {k, (size_t)k->out->c, 16};
    return kf__vector_rounding(&v, k->out, &p->rq) ? KF_OK : KF_ERR_MEMORY;
}
