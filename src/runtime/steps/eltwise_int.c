/* Integer steps that work element by element: sums, products, activations, the scaling by a gate, joining of channels,
 * and rounding from and to f32. Owner rule: see step_kinds.h. */
#include "runtime/steps/step_kinds.h"

kf__affine_q kf__affine_of(const kf__job *j, const kf__affine *a) {
    return (kf__affine_q){.in_type = j->in->dtype,
                          .out_type = j->out->dtype,
                          .in_zero = a->in_zero,
                          .mul = a->mul,
                          .flo = a->rq.flo,
                          .fhi = a->rq.fhi,
                          .zero = a->rq.zero,
                          .c = (size_t)j->out->c,
                          .ld_in = (size_t)j->in->c,
                          .ld_out = (size_t)j->out->c};
}

/* ---- scaling by a gate ------------------------------------------------------------------------------------------- */

/* to[i] = (scale[i] * gate[i]) * inv[i]: two roundings. */
static void factors(size_t n, const float *restrict scale, const float *restrict gate, const float *restrict inv,
                    float *restrict to) {
    for (size_t i = 0; i < n; i++) to[i] = scale[i] * gate[i] * inv[i];
}

/* x * gate: the gate's channels become the factors of one affine step for each image. */
static void scale_worker(void *job, int worker, int workers) {
    const kf__job *j = job;
    const kf__affine *own = j->p->own;
    size_t hw = (size_t)j->in->h * (size_t)j->in->w, c = (size_t)j->in->c, from, to;
    float *factor = kf__job_scratch(j, worker);
    kf__affine_q a = kf__affine_of(j, own);
    kf__share(hw, 1, worker, workers, &from, &to);
    a.mul = factor, a.rows = to - from;
    for (size_t n = 0; to > from && n < (size_t)j->in->n; n++) {
        const float *gate = kf__f32_of(j->src2) + n * c;
        if (j->out->dtype != KF_F32) factors(c, own->in_scale, gate, own->mul, factor);
        for (size_t i = 0; j->out->dtype == KF_F32 && i < c; i++) factor[i] = own->in_scale[i] * gate[i];
        a.in = j->src + (n * hw + from) * c * j->in_size;
        a.out = j->dst + (n * hw + from) * c * j->out_size;
        j->x->m->kernels_int.affine_q(&a);
    }
}

kf_status kf__prepare_scale_int(kf__preparing *k) {
    kf__prepare_workers(k, scale_worker);
    k->to->kernel = k->m->kernels_int.affine_q_name;
    k->to->scratch_bytes = kf__qpad((size_t)k->in->c) * sizeof(float);
    return kf__prepare_own(k, sizeof(kf__affine)) ? KF_OK : KF_ERR_MEMORY;
}

kf_status kf__pack_scale_int(kf__preparing *k) {
    kf__affine *a = k->to->own;
    const kf__vectors v = {k, (size_t)k->out->c, 16};
    a->mul = kf__vector_f32(&v, kf__prepare_const(k, KF_CONST_INV), 1.0f);
    bool done =
        a->mul && kf__vector_inputs(&v, k->in, &a->in_zero, &a->in_scale) && kf__vector_rounding(&v, k->out, &a->rq);
    return done ? KF_OK : KF_ERR_MEMORY;
}

/* ---- between f32 and integers ------------------------------------------------------------------------------------ */

static void convert_worker(void *job, int worker, int workers) {
    const kf__job *j = job;
    size_t c = (size_t)j->in->c, from, to;
    kf__affine_q a = kf__affine_of(j, j->p->own);
    kf__share(kf__ptensor_count(j->out) / c, 1, worker, workers, &from, &to);
    a.in = j->src + from * c * j->in_size, a.out = j->dst + from * c * j->out_size, a.rows = to - from;
    if (to > from) j->x->m->kernels_int.affine_q(&a);
}

/** QUANTIZE and DEQUANTIZE. */
kf_status kf__prepare_convert_int(kf__preparing *k) {
    kf__prepare_workers(k, convert_worker);
    k->to->kernel = k->m->kernels_int.affine_q_name;
    return kf__prepare_own(k, sizeof(kf__affine)) ? KF_OK : KF_ERR_MEMORY;
}

kf_status kf__pack_convert_int(kf__preparing *k) {
    kf__affine *a = k->to->own;
    const kf__vectors v = {k, (size_t)k->out->c, 16};
    if (!kf__vector_inputs(&v, k->in, &a->in_zero, &a->in_scale) || !kf__vector_rounding(&v, k->out, &a->rq))
        return KF_ERR_MEMORY;
    bool to_float = k->s->op == KF_STEP_DEQUANTIZE;
    a->mul = to_float ? a->in_scale : kf__vector_f32(&v, kf__prepare_const(k, KF_CONST_INV), 1.0f);
    return a->mul ? KF_OK : KF_ERR_MEMORY;
}

/* ---- ADD, MUL, ACT ----------------------------------------------------------------------------------------------- */

typedef struct eltwise {
    kf__requant rq;
    const int32_t *zero[2]; /* of inputs 0 and 1 */
    const float *scale[2];
} eltwise;

/* ADD, MUL and ACT: one kernel call over the worker's pixels. */
static void eltwise_worker(void *job, int worker, int workers) {
    const kf__job *j = job;
    const eltwise *own = j->p->own;
    size_t c = (size_t)j->out->c, from, to;
    const kf__ptensor *b = j->src2 ? &j->x->m->p->tensors[j->s->in[1]] : NULL;
    kf__eltwise_q e = {.a_type = j->in->dtype,
                       .a_zero = own->zero[0],
                       .a_scale = own->scale[0],
                       .b_zero = own->zero[1],
                       .b_scale = own->scale[1],
                       .product = j->s->op == KF_STEP_MUL,
                       .q = &own->rq,
                       .c = c};
    kf__share(kf__ptensor_count(j->out) / c, 1, worker, workers, &from, &to);
    e.a = j->src + from * c * j->in_size, e.out = j->dst + from * c * j->out_size, e.rows = to - from;
    if (b) e.b_type = b->dtype, e.b = j->src2 + from * c * kf_dtype_size(b->dtype);
    if (to > from) j->x->m->kernels_int.eltwise_q(&e);
}

kf_status kf__prepare_eltwise_int(kf__preparing *k) {
    kf__prepare_workers(k, eltwise_worker);
    k->to->kernel = k->m->kernels_int.eltwise_q_name;
    return kf__prepare_own(k, sizeof(eltwise)) ? KF_OK : KF_ERR_MEMORY;
}

kf_status kf__pack_eltwise_int(kf__preparing *k) {
    eltwise *e = k->to->own;
    const kf__vectors v = {k, (size_t)k->out->c, 16};
    for (int i = 0; i < k->s->n_in && i < 2; i++)
        if (!kf__vector_inputs(&v, &k->p->tensors[k->s->in[i]], &e->zero[i], &e->scale[i])) return KF_ERR_MEMORY;
    if (!kf__vector_epilogue(&v, &e->rq)) return KF_ERR_MEMORY;
    if (k->s->op == KF_STEP_ACT && k->s->direct) e->scale[0] = e->rq.mul; /* steps 2 and 5 in one multiply */
    return KF_OK;
}

/* ---- joining of channels ----------------------------------------------------------------------------------------- */

/* Every part has one scale. */
static void concat_worker(void *job, int worker, int workers) {
    const kf__job *j = job;
    const kf__affine *own = j->p->own;
    size_t done = 0, c = (size_t)j->out->c, from, to;
    float *mul = kf__job_scratch(j, worker);
    int32_t *zero = (int32_t *)(void *)(mul + kf__qpad(c));
    const float *factor = kf__job_const(j, KF_CONST_MUL);
    kf__share(kf__ptensor_count(j->out) / c, 1, worker, workers, &from, &to);
    for (int k = 0; to > from && k < j->s->n_in; k++) {
        const kf__ptensor *t = &j->x->m->p->tensors[j->s->in[k]];
        kf__affine_q a = kf__affine_of(j, own);
        a.c = a.ld_in = (size_t)t->c, a.rows = to - from, a.in_type = t->dtype, a.mul = mul, a.in_zero = zero;
        for (size_t i = 0; i < a.c; i++) mul[i] = factor[k], zero[i] = t->zero;
        a.in = (const char *)kf__exec_tensor(j->x, j->s->in[k]) + from * a.c * kf_dtype_size(t->dtype);
        a.out = j->dst + (from * c + done) * j->out_size;
        j->x->m->kernels_int.affine_q(&a);
        done += a.c;
    }
}

kf_status kf__prepare_concat_int(kf__preparing *k) {
    kf__prepare_workers(k, concat_worker);
    k->to->kernel = k->m->kernels_int.affine_q_name;
    k->to->scratch_bytes = kf__qpad((size_t)k->out->c) * (sizeof(float) + sizeof(int32_t));
    return kf__prepare_own(k, sizeof(kf__affine)) ? KF_OK : KF_ERR_MEMORY;
}

kf_status kf__pack_concat_int(kf__preparing *k) {
    kf__affine *a = k->to->own;
    const kf__vectors v = {k, (size_t)k->out->c, 16};
    return kf__vector_rounding(&v, k->out, &a->rq) ? KF_OK : KF_ERR_MEMORY;
}
