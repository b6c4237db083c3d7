/* f32 weight matrices: their panels, and the product over pixels that computes a 1x1 convolution or a fully connected
 * layer.
 * Owner rule: see step_kinds.h. */
#include "runtime/steps/step_kinds.h"

kf__matrix kf__matrix_of(const kf__program *p, const kf__step *s) {
    const kf__shape *w = &p->consts[s->consts[KF_CONST_W]].shape;
    kf__matrix m = {.groups = s->op == KF_STEP_CONV ? (size_t)s->window.group : 1, .k = 1};
    for (int i = 1; i < w->rank; i++) m.k *= (size_t)w->dim[i];
    m.n = (size_t)w->dim[0] / m.groups;
    return m;
}

void kf__prepare_matrix_f32(kf__preparing *k, size_t rows) {
    const kf__matrix m = kf__matrix_of(k->p, k->s);
    const kf__kernels *kernels = &k->m->kernels;
    size_t tiles = rows / kernels->gemm_rows;
    k->to->packed_bytes = m.groups * kf__gemm_f32_packed(m.n, m.k) * sizeof(float);
    k->to->replaces = 1u << KF_CONST_W;
    k->to->most_ahead = tiles * m.groups * m.n * m.k / kernels->gemm_weights_per_line;
}

kf_status kf__pack_matrix_f32(kf__preparing *k) {
    const kf__matrix m = kf__matrix_of(k->p, k->s);
    const float *w = kf__prepare_const(k, KF_CONST_W)->data;
    float *to = (float *)(void *)k->to->packed;
    for (size_t i = 0; i < m.groups; i++, to += kf__gemm_f32_packed(m.n, m.k))
        kf__gemm_f32_pack(m.n, m.k, w + i * m.n * m.k, to);
    return KF_OK;
}

/* Many rows are divided by rows, few rows by columns, so that every worker has whole tiles. */
void kf__gemm_f32_worker(void *job, int worker, int workers) {
    const kf__job *j = job;
    const kf__kernels *kernels = &j->x->m->kernels;
    size_t m = (size_t)j->out->n * (size_t)j->out->h * (size_t)j->out->w, n = (size_t)j->out->c, k = (size_t)j->in->c;
    const float *src = kf__f32_of(j->src), *w = kf__f32_of(j->p->packed);
    float *dst = (float *)(void *)j->dst;
    kf__epilogue e = kf__job_epilogue(j);
    kf__ahead ahead = kf__job_ahead(j, worker, workers);
    size_t from, to;
    e.ahead = &ahead;
    if (m >= (size_t)workers * kernels->gemm_least_tiles * kernels->gemm_rows || workers == 1) {
        kf__share(m, kernels->gemm_rows, worker, workers, &from, &to);
        if (e.residual) e.residual += from * n;
        if (to > from) kernels->gemm_f32(to - from, n, k, src + from * k, k, w, dst + from * n, n, &e);
        return;
    }
    kf__share(n, kf__column_grain(m, kernels->gemm_columns), worker, workers, &from,
              &to); /* few rows are split by columns */
    if (e.bias) e.bias += from;
    if (e.residual) e.residual += from;
    if (to > from) kernels->gemm_f32(m, to - from, k, src, k, w + from * k, dst + from, n, &e);
}

kf_status kf__prepare_fc_f32(kf__preparing *k) {
    kf__prepare_matrix_f32(k, 0); /* one row: it has too little work to hide a prefetch */
    kf__prepare_workers(k, kf__gemm_f32_worker);
    k->to->kernel = k->m->kernels.gemm_f32_name;
    return KF_OK;
}
