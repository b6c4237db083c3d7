/* f32 squeeze-and-excite gates and global average pools: the mean of each channel, then two layers of one row each.
 * Owner rule: see step_kinds.h. */
#include "runtime/steps/step_kinds.h"

/* Two levels of sums, each about sqrt(hw) long: one running f32 sum over a large map would lose digits. */
void kf__mean_f32(const kf__job *j, size_t image, float *to) {
    size_t hw = (size_t)j->in->h * (size_t)j->in->w, c = (size_t)j->in->c, chunk = 1;
    const float *x = kf__f32_of(j->src) + image * hw * c;
    while (chunk * chunk < hw) chunk++;
    memset(to, 0, c * sizeof *to);
    for (size_t row = 0; row < hw; row += chunk)
        j->x->m->kernels.colsum_f32(hw - row < chunk ? hw - row : chunk, c, x + row * c, to);
    for (size_t i = 0; i < c; i++) to[i] /= (float)hw;
}

static void run_global_pool(const kf__exec *x, const kf__prepared *s) {
    kf__job j = kf__job_of(x, s);
    for (size_t n = 0; n < (size_t)j.in->n; n++) kf__mean_f32(&j, n, (float *)(void *)j.dst + n * (size_t)j.in->c);
}

kf_status kf__prepare_global_pool_f32(kf__preparing *k) {
    k->to->run = run_global_pool;
    k->to->kernel = k->m->kernels.colsum_f32_name;
    return KF_OK;
}

/* One row by a packed matrix: y[n] = epilogue(x[k] * w[n,k]^T). */
typedef struct row_job {
    const kf__kernels *kernels;
    size_t n, k;
    const float *x, *w;
    float *y;
    kf__epilogue e;
} row_job;

static void row_worker(void *ctx, int worker, int workers) {
    const row_job *r = ctx;
    size_t from, to;
    kf__epilogue e = r->e;
    kf__share(r->n, kf__column_grain(1, r->kernels->gemm_columns), worker, workers, &from, &to);
    if (e.bias) e.bias += from;
    if (to > from) r->kernels->gemm_f32(1, to - from, r->k, r->x, r->k, r->w + from * r->k, r->y + from, r->n, &e);
}

static void row_product(const kf__job *j, row_job r) {
    r.kernels = &j->x->m->kernels;
    if (r.n * r.k < KF_FORK_WEIGHTS) row_worker(&r, 0, 1);
    else kf__pool_run(j->x->pool, row_worker, &r);
}

/* Where the hidden layer begins in the scratch, after the means of c channels. */
static size_t hidden_at(size_t c) { return kf__round_up(c, 16); }

static void run_gate(const kf__exec *x, const kf__prepared *s) {
    kf__job j = kf__job_of(x, s);
    const kf__matrix m = kf__matrix_of(x->m->p, s->step);
    size_t c = m.k, r = m.n;
    const float *reduce = kf__f32_of(s->packed), *expand = reduce + kf__gemm_f32_packed(r, c);
    float *mean = kf__job_scratch(&j, 0), *hidden = mean + hidden_at(c);
    const kf__activation *act = &s->step->act, *gate = &s->step->gate_act;
    const kf__epilogue e1 = {.bias = kf__job_const(&j, KF_CONST_BIAS), .act = *act};
    const kf__epilogue e2 = {.bias = kf__job_const(&j, KF_CONST_BIAS2), .act = *gate};
    for (size_t n = 0; n < (size_t)j.in->n; n++) {
        kf__mean_f32(&j, n, mean);
        row_product(&j, (row_job){.n = r, .k = c, .x = mean, .w = reduce, .y = hidden, .e = e1});
        row_product(&j,
                    (row_job){.n = c, .k = r, .x = hidden, .w = expand, .y = (float *)(void *)j.dst + n * c, .e = e2});
    }
}

kf_status kf__prepare_gate_f32(kf__preparing *k) {
    const kf__matrix m = kf__matrix_of(k->p, k->s);
    k->to->run = run_gate;
    k->to->kernel = k->m->kernels.gemm_f32_name;
    k->to->packed_bytes = (kf__gemm_f32_packed(m.n, m.k) + kf__gemm_f32_packed(m.k, m.n)) * sizeof(float);
    k->to->replaces = 1u << KF_CONST_W | 1u << KF_CONST_W2;
    k->to->scratch_bytes = (hidden_at(m.k) + kf__round_up(m.n, 16)) * sizeof(float);
    return KF_OK;
}

kf_status kf__pack_gate_f32(kf__preparing *k) {
    const kf__matrix m = kf__matrix_of(k->p, k->s);
    float *to = (float *)(void *)k->to->packed;
    kf__gemm_f32_pack(m.n, m.k, kf__prepare_const(k, KF_CONST_W)->data, to);
    kf__gemm_f32_pack(m.k, m.n, kf__prepare_const(k, KF_CONST_W2)->data, to + kf__gemm_f32_packed(m.n, m.k));
    return KF_OK;
}
