/* f32 depthwise convolutions, row by row.
 * Owner rule: see step_kinds.h. */
#include "runtime/steps/step_kinds.h"

/* Output row `row` of the batch from its kernel rows; NULL stands for a row of padding. */
void kf__dwconv_f32_row(const kf__job *j, size_t row, const float *const *rows) {
    const kf__window *w = &j->s->window;
    size_t c = (size_t)j->in->c, row_out = (size_t)j->out->w * c;
    kf__epilogue e = kf__job_epilogue(j);
    if (e.residual) e.residual += row * row_out;
    const kf__dwconv_row d = {.rows = rows,
                              .kh = w->kh,
                              .kw = w->kw,
                              .sw = w->sw,
                              .dw = w->dw,
                              .pl = w->pl,
                              .w_in = j->in->w,
                              .w_out = j->out->w,
                              .c = c,
                              .w = kf__f32_of(j->p->packed),
                              .out = (float *)(void *)j->dst + row * row_out};
    j->x->m->kernels.dwconv_f32(&d, &e);
}

/* Finds the input rows of each output row of the worker's share. */
static void worker_of_rows(void *job, int worker, int workers) {
    const kf__job *j = job;
    const kf__window *w = &j->s->window;
    size_t row_in = (size_t)j->in->w * (size_t)j->in->c, oh = (size_t)j->out->h, from, to;
    const float *rows[KF_DWCONV_ROWS];
    kf__share((size_t)j->out->n * oh, 1, worker, workers, &from, &to);
    for (size_t row = from; row < to; row++) {
        const float *image = kf__f32_of(j->src) + row / oh * (size_t)j->in->h * row_in;
        int32_t top = kf__window_top(w, (int32_t)(row % oh));
        for (int32_t ky = 0; ky < w->kh; ky++) {
            int32_t y = top + ky * w->dh;
            rows[ky] = y < 0 || y >= j->in->h ? NULL : image + (size_t)y * row_in;
        }
        kf__dwconv_f32_row(j, row, rows);
    }
}

static size_t taps_of(const kf__step *s) { return (size_t)s->window.kh * (size_t)s->window.kw; }

kf_status kf__prepare_dwconv_f32(kf__preparing *k) {
    kf__prepare_workers(k, worker_of_rows);
    k->to->kernel = k->m->kernels.dwconv_f32_name;
    k->to->packed_bytes = kf__dwconv_f32_packed(taps_of(k->s), (size_t)k->out->c) * sizeof(float);
    k->to->replaces = 1u << KF_CONST_W;
    return KF_OK;
}

kf_status kf__pack_dwconv_f32(kf__preparing *k) {
    size_t c = (size_t)k->out->c;
    kf__dwconv_f32_pack(taps_of(k->s), c, kf__prepare_const(k, KF_CONST_W)->data, c, 1, (float *)(void *)k->to->packed);
    return KF_OK;
}
