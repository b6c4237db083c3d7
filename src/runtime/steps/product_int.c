/* Integer products: weights in the panels of the chosen kernel, and the layers that are one product (1x1
 * convolutions, fully connected). Owner rule: see step_kinds.h. */
#include <math.h>

#include "runtime/steps/step_kinds.h"

/* Depth of a row of weights of `runs` runs, each filled up to the kernel's group where there are several. */
static size_t filled_depth(const kf__preparing *k, size_t depth, size_t runs) {
    return runs > 1 ? runs * kf__run_filled(k->m, depth / runs) : depth;
}

static size_t depth_of(const kf__pconst *w, size_t rows) { return kf__pconst_count(w) / rows; }

static uint64_t group_bytes(const kf__preparing *k, const kf__pconst *w, bool i16, size_t n, size_t depth,
                            size_t runs) {
    const kf__kernels_int *kernels = &k->m->kernels_int;
    if (i16) return kf__gemm_i16_packed(w->dtype == KF_I16, n, depth);
    return kf__gemm_u8_packed(kernels->gemm_layout, kernels->gemm_group, n, filled_depth(k, depth, runs));
}

uint64_t kf__panels_bytes(const kf__preparing *k, const kf__pconst *w, bool i16, size_t groups, size_t n, size_t runs) {
    return groups * group_bytes(k, w, i16, n, depth_of(w, groups * n), runs);
}

/* Runs of taps of a spatial convolution, filled up with weights of 0: [n, runs, run] to [n, runs, filled]. */
static kf_status pack_filled(kf__preparing *k, const int8_t *w, size_t n, size_t runs, size_t run, char *to) {
    const kf__kernels_int *kernels = &k->m->kernels_int;
    size_t filled = kf__run_filled(k->m, run);
    int8_t *rows = kf__mem_zalloc(k->m->allocator, n * runs * filled);
    if (!rows) KF_FAIL_MEMORY(k->err, n * runs * filled);
    for (size_t i = 0; i < n * runs; i++) memcpy(rows + i * filled, w + i * run, run);
    kf__gemm_u8_pack(kernels->gemm_layout, kernels->gemm_group, n, runs * filled, rows, to);
    kf__mem_free(k->m->allocator, rows);
    return KF_OK;
}

void kf__product_choose(kf__preparing *k, const kf__pconst *w, kf__product *p) {
    const kf__kernels_int *kernels = &k->m->kernels_int;
    p->wide = w->dtype == KF_I16;
    p->i16 = k->in->dtype == KF_I16 || p->wide;
    k->to->kernel = p->i16 ? kernels->gemm_i16_name : kernels->gemm_u8_name;
}

/* Group by group. Runs are filled up to the kernel's group of k where that is needed. */
kf_status kf__panels_pack(kf__preparing *k, const kf__pconst *w, bool i16, size_t groups, size_t n, size_t runs,
                          char *to) {
    const kf__kernels_int *kernels = &k->m->kernels_int;
    size_t depth = depth_of(w, groups * n), bytes = group_bytes(k, w, i16, n, depth, runs);
    for (size_t g = 0; g < groups; g++, to += bytes) {
        const char *from = (const char *)w->data + g * n * depth * kf_dtype_size(w->dtype);
        if (i16) kf__gemm_i16_pack(w->dtype == KF_I16, n, depth, from, to);
        else if (filled_depth(k, depth, runs) != depth)
            KF_TRY(pack_filled(k, (const int8_t *)from, n, runs, depth / runs, to));
        else kf__gemm_u8_pack(kernels->gemm_layout, kernels->gemm_group, n, depth, (const int8_t *)from, to);
    }
    return KF_OK;
}

/* Filled in place: copying a structure that was just changed would stall the wide loads of the copy on the narrow
 * stores. */
void kf__requant_at(kf__requant *r, const kf__requant *q, const void *residual, size_t row, size_t col) {
    *r = *q;
    r->bias += col, r->mul += col;
    if (r->fbias) r->fbias += col;
    if (r->k) r->k += col;
    if (r->inv) r->inv += col;
    if (r->flo) r->flo += col, r->fhi += col, r->zero += col;
    if (r->lo8) r->lo8 += col, r->hi8 += col;
    if (residual) r->residual = (const char *)residual + (row * r->ld_residual + col) * kf_dtype_size(r->residual_type);
}

void kf__product_run(const kf__job *j, const kf__product *p, kf__operand in, size_t n, const char *w, size_t col,
                     char *c, const kf__requant *r) {
    const kf__kernels_int *k = &j->x->m->kernels_int;
    size_t ldc = (size_t)j->out->c, depth = in.runs * in.k;
    if (p->i16) {
        w += kf__gemm_i16_packed(p->wide, col, depth);
        k->gemm_i16(in.m, n, depth, in.a, in.lda, w, p->wide, c, ldc, r);
    } else {
        w += kf__gemm_u8_packed(k->gemm_layout, k->gemm_group, col, depth);
        k->gemm_u8(in.m, n, in.k, in.runs, in.ld_run, in.a, in.lda, w, c, ldc, r);
    }
}

/* An upper bound of any sum: every input and every weight at its largest magnitude, and the largest folded bias of
 * all border classes. */
static double largest_sum(const kf__vectors *v, const kf__pconst *w, const int32_t *table, size_t classes) {
    double input = v->k->in->dtype == KF_U8 ? 255 : 32768;
    double weight = w->dtype == KF_I8 ? 128 : 32768, bias = 0;
    size_t ld = kf__qpad(v->n);
    for (size_t i = 0; i < classes * ld; i++)
        if (fabs((double)table[i]) > bias) bias = fabs((double)table[i]);
    return input * weight * (double)depth_of(w, v->n) + bias;
}

/* Bounds let the kernel saturate instead of clamping, where no sum can leave i32. */
kf_status kf__product_bound(const kf__vectors *v, const kf__pconst *w, const int32_t *table, size_t classes,
                            kf__requant *r) {
    const kf__preparing *k = v->k;
    uint8_t *bounds = kf__arena_zalloc(k->arena, 2 * kf__qpad(v->n));
    if (!bounds) KF_FAIL_MEMORY(k->err, 2 * kf__qpad(v->n));
    if (k->s->n_in > 1) {
        const kf__ptensor *residual = &k->p->tensors[k->s->in[1]];
        r->residual_type = residual->dtype, r->residual_zero = residual->zero;
        r->residual_scale = residual->scale, r->ld_residual = v->n;
    }
    kf__requant_bound(r, largest_sum(v, w, table, classes), v->n, v->block, bounds, bounds + kf__qpad(v->n));
    return KF_OK;
}

/* Weights, epilogue and bias of a convolution or fully connected layer. */
kf_status kf__product_pack(kf__preparing *k, kf__product *p, size_t groups, size_t runs, const int32_t **table) {
    const kf__pconst *w = kf__prepare_const(k, KF_CONST_W), *b = kf__prepare_const(k, KF_CONST_BIAS);
    const kf__vectors v = {k, (size_t)k->out->c, 16};
    size_t n = v.n / groups, classes = b ? kf__pconst_count(b) / v.n : 1;
    p->w = k->to->packed;
    p->group_bytes = kf__panels_bytes(k, w, p->i16, groups, n, runs) / groups;
    KF_TRY(kf__panels_pack(k, w, p->i16, groups, n, runs, k->to->packed));
    if (!kf__vector_epilogue(&v, &p->rq)) return KF_ERR_MEMORY;
    *table = kf__vector_bias(&v, w, b, k->in, false, p->i16 ? 0 : k->m->kernels_int.gemm_input_offset);
    if (!*table) return KF_ERR_MEMORY;
    p->rq.bias = *table;
    return kf__product_bound(&v, w, *table, classes, &p->rq);
}

/* ---- a product over pixels --------------------------------------------------------------------------------------- */

/* Rows that are widened from u8 to i16 at once: those of one line of the image. */
static size_t widened_rows(const kf__step *s, const kf__ptensor *out) {
    return s->op == KF_STEP_FC ? 1 : (size_t)out->w;
}

static bool widens(const kf__product *p, const kf__ptensor *in) { return p->i16 && in->dtype == KF_U8; }

/* Few rows are split by columns. */
void kf__gemm_int_worker(void *job, int worker, int workers) {
    const kf__job *j = job;
    const kf__product *p = j->p->own;
    const kf__kernels_int *kernels = &j->x->m->kernels_int;
    size_t n = (size_t)j->out->c, m = kf__ptensor_count(j->out) / n, k = (size_t)j->in->c, from, to;
    bool by_rows = workers == 1 || m >= (size_t)workers * kernels->gemm_least_rows;
    if (by_rows) kf__share(m, kernels->gemm_rows, worker, workers, &from, &to);
    else kf__share(n, kf__column_grain(m, kernels->gemm_columns), worker, workers, &from, &to);
    if (to <= from) return;
    size_t row = by_rows ? from : 0, col = from - row;
    size_t row_end = by_rows ? to : m;
    size_t cols = by_rows ? n : to - from;
    size_t step = widens(p, j->in) ? widened_rows(j->s, j->out) : row_end - row;
    for (; row < row_end; row += step) {
        size_t count = row_end - row < step ? row_end - row : step;
        const void *a = j->src + row * k * j->in_size;
        if (widens(p, j->in)) {
            kf__widen(a, count * k, kf__job_scratch(j, worker));
            a = kf__job_scratch(j, worker);
        }
        kf__requant r;
        kf__requant_at(&r, &p->rq, j->src2, row, col);
        kf__product_run(j, p, (kf__operand){a, count, k, k, 1, 0}, cols, p->w, col,
                        j->dst + (row * n + col) * j->out_size, &r);
    }
}

kf_status kf__prepare_fc_int(kf__preparing *k) {
    const kf__pconst *w = kf__prepare_const(k, KF_CONST_W);
    kf__product *p = kf__prepare_own(k, sizeof *p);
    if (!p) return KF_ERR_MEMORY;
    kf__product_choose(k, w, p);
    kf__prepare_workers(k, kf__gemm_int_worker);
    k->to->packed_bytes = kf__panels_bytes(k, w, p->i16, 1, (size_t)k->out->c, 1);
    k->to->replaces = 1u << KF_CONST_W;
    if (widens(p, k->in))
        k->to->scratch_bytes = (uint64_t)widened_rows(k->s, k->out) * (size_t)k->in->c * sizeof(int16_t);
    return KF_OK;
}
