/* Integer squeeze-and-excite gates and global average pools: the mean of each channel, pooled to 16 bits, then two
 * layers of one row each. Owner rule: see step_kinds.h. */
#include "runtime/steps/step_kinds.h"

kf__means kf__means_at(void *scratch, size_t c) {
    kf__means m = {.sums = scratch};
    m.part = (int32_t *)(void *)(m.sums + kf__qpad(c));
    m.mean = (float *)(void *)(m.part + kf__qpad(c));
    return m;
}

/* Sums in parts whose 32-bit sums cannot overflow. Maps of one part skip the 64-bit sums. */
void kf__means_int(const kf__job *j, size_t image, const float *restrict mul, const kf__means *to) {
    size_t hw = (size_t)j->in->h * (size_t)j->in->w, c = (size_t)j->in->c;
    const char *x = j->src + image * hw * c * j->in_size;
    int32_t *restrict part = to->part;
    float *restrict mean = to->mean;
    bool large = hw > KF_COLSUM_ROWS;
    memset(to->sums, 0, c * sizeof *to->sums);
    for (size_t row = 0; row < hw; row += KF_COLSUM_ROWS) {
        size_t rows = hw - row < KF_COLSUM_ROWS ? hw - row : KF_COLSUM_ROWS;
        memset(part, 0, c * sizeof *part);
        j->x->m->kernels_int.colsum_q(j->in->dtype, rows, c, x + row * c * j->in_size, part);
        for (size_t i = 0; large && i < c; i++) to->sums[i] += part[i];
    }
    if (large || j->in->zeros >= 0 || j->in->dtype != KF_U8) {
        const kf__quant q = kf__ptensor_quant(j->x->m->p, j->in);
        for (size_t i = 0; i < c; i++) {
            int64_t sum = large ? to->sums[i] : part[i];
            mean[i] = (float)(sum - (int64_t)hw * kf__q_zero(&q, (int64_t)i)) * mul[i];
        }
        return;
    }
    int32_t less = (int32_t)hw * j->in->zero;
    for (size_t i = 0; i < c; i++) mean[i] = (float)(part[i] - less) * mul[i];
}

/* ---- global average pool ----------------------------------------------------------------------------------------- */

/* Step 5 on one value that is already multiplied. */
static void put_rounded(const kf__job *j, const kf__requant *r, size_t at, size_t c, float x) {
    if (j->out->dtype == KF_F32) {
        ((float *)(void *)j->dst)[at] = x;
        return;
    }
    int32_t q = kf__rne(kf__clampf(x, r->flo[c], r->fhi[c])) + r->zero[c];
    if (j->out->dtype == KF_U8) ((uint8_t *)j->dst)[at] = (uint8_t)q;
    else ((int16_t *)(void *)j->dst)[at] = (int16_t)q;
}

static void run_global_pool(const kf__exec *x, const kf__prepared *s) {
    kf__job j = kf__job_of(x, s);
    const kf__affine *a = s->own;
    size_t c = (size_t)j.in->c;
    const kf__means m = kf__means_at(kf__job_scratch(&j, 0), c);
    for (size_t n = 0; n < (size_t)j.in->n; n++) {
        kf__means_int(&j, n, a->mul, &m);
        for (size_t i = 0; i < c; i++) put_rounded(&j, &a->rq, n * c + i, i, m.mean[i]);
    }
}

kf_status kf__prepare_global_pool_int(kf__preparing *k) {
    k->to->run = run_global_pool;
    k->to->kernel = k->m->kernels_int.colsum_q_name;
    k->to->scratch_bytes = kf__means_bytes((size_t)k->in->c);
    return kf__prepare_own(k, sizeof(kf__affine)) ? KF_OK : KF_ERR_MEMORY;
}

kf_status kf__pack_global_pool_int(kf__preparing *k) {
    kf__affine *a = k->to->own;
    const kf__vectors v = {k, (size_t)k->out->c, 16};
    a->mul = kf__vector_f32(&v, kf__prepare_const(k, KF_CONST_MUL), 1.0f);
    return a->mul && kf__vector_rounding(&v, k->out, &a->rq) ? KF_OK : KF_ERR_MEMORY;
}

/* ---- gate -------------------------------------------------------------------------------------------------------- */

typedef struct gate {
    kf__product reduce, expand;
    size_t hidden;    /* width of the first layer */
    const float *mul; /* of the pooled sums */
} gate;

/* One row of i16 through a fully connected layer. */
typedef struct row_job {
    const kf__job *j;
    const kf__product *p;
    const int16_t *x;
    char *y;
    size_t y_size, n, k; /* y_size: bytes of an output */
} row_job;

static void row_worker(void *ctx, int worker, int workers) {
    const row_job *r = ctx;
    const kf__kernels_int *kernels = &r->j->x->m->kernels_int;
    size_t from, to;
    kf__share(r->n, kf__column_grain(1, kernels->gemm_columns), worker, workers, &from, &to);
    if (to <= from) return;
    kf__requant q;
    kf__requant_at(&q, &r->p->rq, NULL, 0, from);
    const char *w = (const char *)r->p->w + kf__gemm_i16_packed(r->p->wide, from, r->k);
    kernels->gemm_i16(1, to - from, r->k, r->x, r->k, w, r->p->wide, r->y + from * r->y_size, r->n, &q);
}

static void row_product(row_job r) {
    if (r.n * r.k < KF_FORK_WEIGHTS) row_worker(&r, 0, 1);
    else kf__pool_run(r.j->x->pool, row_worker, &r);
}

/* On the calling thread: rows of one image are too short to divide. */
static void run_gate(const kf__exec *x, const kf__prepared *s) {
    kf__job j = kf__job_of(x, s);
    const gate *g = s->own;
    size_t c = (size_t)j.in->c;
    char *scratch = kf__job_scratch(&j, 0);
    const kf__means m = kf__means_at(scratch, c);
    int16_t *pooled = (int16_t *)(void *)(scratch + kf__means_bytes(c)), *hidden = pooled + kf__qpad(c);
    float top = (float)s->step->pool_qmax;
    for (size_t n = 0; n < (size_t)j.in->n; n++) {
        kf__means_int(&j, n, g->mul, &m);
        for (size_t i = 0; i < c; i++) pooled[i] = (int16_t)kf__rne(kf__clampf(m.mean[i], -top, top));
        row_product(
            (row_job){.j = &j, .p = &g->reduce, .x = pooled, .y = (char *)hidden, .y_size = 2, .n = g->hidden, .k = c});
        row_product((row_job){
            .j = &j, .p = &g->expand, .x = hidden, .y = j.dst + n * c * 4, .y_size = 4, .n = c, .k = g->hidden});
    }
}

/* Both matrices lie in one packed block, the first layer's before the second's. */
kf_status kf__prepare_gate_int(kf__preparing *k) {
    const kf__pconst *w = kf__prepare_const(k, KF_CONST_W), *w2 = kf__prepare_const(k, KF_CONST_W2);
    size_t c = (size_t)k->out->c;
    gate *g = kf__prepare_own(k, sizeof *g);
    if (!g) return KF_ERR_MEMORY;
    g->hidden = (size_t)w->shape.dim[0];
    g->reduce = (kf__product){.i16 = true, .wide = w->dtype == KF_I16};
    g->expand = (kf__product){.i16 = true, .wide = w2->dtype == KF_I16};
    g->reduce.group_bytes = kf__round_up(kf__panels_bytes(k, w, true, 1, g->hidden, 1), KF_ALIGN);
    g->expand.group_bytes = kf__panels_bytes(k, w2, true, 1, c, 1);
    k->to->run = run_gate;
    k->to->kernel = k->m->kernels_int.gemm_i16_name;
    k->to->packed_bytes = g->reduce.group_bytes + g->expand.group_bytes;
    k->to->replaces = 1u << KF_CONST_W | 1u << KF_CONST_W2;
    k->to->scratch_bytes = kf__means_bytes(c) + (kf__qpad(c) + kf__qpad(g->hidden)) * sizeof(int16_t);
    return KF_OK;
}

/* Pooled values to hidden ones: i16 with its own bounds. */
static bool pack_reduce(kf__preparing *k, gate *g) {
    const kf__step *s = k->s;
    const kf__pconst *w = kf__prepare_const(k, KF_CONST_W);
    const kf__ptensor hidden = {.dtype = KF_I16, .scales = -1, .zeros = -1};
    const kf__vectors v = {k, g->hidden, 16};
    kf__requant *r = &g->reduce.rq;
    if (!kf__vector_rounding(&v, &hidden, r)) return false;
    r->mul = kf__vector_f32(&v, kf__prepare_const(k, KF_CONST_MUL), 0);
    r->k = kf__vector_f32(&v, NULL, 1.0f / 6.0f);
    r->bias = kf__vector_bias(&v, w, kf__prepare_const(k, KF_CONST_BIAS), NULL, false, 0);
    if (!s->direct) {
        r->act = s->act;
        r->inv = kf__vector_f32(&v, NULL, s->hidden_inv);
    }
    return r->mul && r->k && r->bias && (s->direct || r->inv);
}

/* Hidden values to the gate, which is f32. */
static bool pack_expand(kf__preparing *k, gate *g) {
    const kf__activation *a = &k->s->gate_act;
    const kf__pconst *w = kf__prepare_const(k, KF_CONST_W2);
    const kf__vectors v = {k, (size_t)k->out->c, 16};
    kf__requant *r = &g->expand.rq;
    *r = (kf__requant){.out = KF_F32, .act = *a};
    g->mul = kf__vector_f32(&v, kf__prepare_const(k, KF_CONST_K), k->s->pool_mul);
    r->mul = kf__vector_f32(&v, kf__prepare_const(k, KF_CONST_MUL2), 0);
    r->k = kf__vector_f32(&v, NULL, 1.0f / 6.0f);
    r->bias = kf__vector_bias(&v, w, kf__prepare_const(k, KF_CONST_BIAS2), NULL, false, 0);
    return g->mul && r->mul && r->k && r->bias;
}

kf_status kf__pack_gate_int(kf__preparing *k) {
    gate *g = k->to->own;
    g->reduce.w = k->to->packed;
    g->expand.w = k->to->packed + g->reduce.group_bytes;
    KF_TRY(kf__panels_pack(k, kf__prepare_const(k, KF_CONST_W), true, 1, g->hidden, 1, k->to->packed));
    KF_TRY(kf__panels_pack(k, kf__prepare_const(k, KF_CONST_W2), true, 1, (size_t)k->out->c, 1,
                           k->to->packed + g->reduce.group_bytes));
    return pack_reduce(k, g) && pack_expand(k, g) ? KF_OK : KF_ERR_MEMORY;
}
