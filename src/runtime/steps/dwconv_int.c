/* Integer depthwise convolutions. Three kernels: the usual windows of u8 by i8, any window of u8 by i8, and 16 bits.
 * Owner rule: see step_kinds.h. */
#include "runtime/steps/step_kinds.h"

typedef struct dwconv {
    kf__dwconv_q_fn *kernel;
    kf__requant rq;
    bool i16;            /* weights are read as i16 */
    kf__qlayout layout;  /* of u8 kernels */
    int32_t offset;      /* the kernel's input offset */
    size_t block;        /* channels that the kernel takes at a time: the order of the vectors */
    const void *w, *pad; /* pad: what a tap outside the image reads */
} dwconv;

/* Shares are even numbers of rows, because kernels compute two rows at once. One call per image. */
static void worker_of_rows(void *job, int worker, int workers) {
    const kf__job *j = job;
    const dwconv *q = j->p->own;
    const kf__window *w = &j->s->window;
    size_t h = (size_t)j->out->h, c = (size_t)j->in->c, from, to;
    size_t pixels_in = (size_t)j->in->h * (size_t)j->in->w, pixels_out = h * (size_t)j->out->w;
    kf__share((size_t)j->out->n * h, 2, worker, workers, &from, &to);
    while (from < to) {
        size_t image = from / h, end = (image + 1) * h < to ? (image + 1) * h : to;
        kf__requant r;
        kf__requant_at(&r, &q->rq, j->src2, image * pixels_out, 0);
        kf__dwconv_q d = {.in = j->src + image * pixels_in * c * j->in_size,
                          .in_type = j->in->dtype,
                          .h_in = j->in->h,
                          .w_in = j->in->w,
                          .out = j->dst + image * pixels_out * c * j->out_size,
                          .w_out = j->out->w,
                          .y0 = (int32_t)(from - image * h),
                          .y1 = (int32_t)(end - image * h),
                          .kh = w->kh,
                          .kw = w->kw,
                          .sh = w->sh,
                          .sw = w->sw,
                          .dh = w->dh,
                          .dw = w->dw,
                          .pt = w->pt,
                          .pl = w->pl,
                          .c = c,
                          .pad = q->pad,
                          .w = q->w,
                          .scratch = kf__job_scratch(j, worker)};
        q->kernel(&d, &r);
        from = end;
    }
}

/* Does the vector kernel of the usual windows take the step? */
static bool is_usual(const kf__preparing *k, const dwconv *q) {
    const kf__window *w = &k->s->window;
    return !q->i16 && k->out->dtype != KF_F32 && k->s->n_in == 1 &&
           kf__dwconv_u8_fast(w->kh, w->kw, w->sh, w->sw, w->dh, w->dw);
}

/* The layout of the weights and the order of the parameters follow from the kernel. */
static void choose(kf__preparing *k, dwconv *q) {
    const kf__kernels_int *kernels = &k->m->kernels_int;
    q->layout = KF_QLAYOUT_PLAIN, q->block = 16, q->offset = 0;
    if (q->i16) {
        q->kernel = kernels->dwconv_i16, k->to->kernel = kernels->dwconv_i16_name;
    } else if (!is_usual(k, q)) {
        q->kernel = kernels->dwconv_any, k->to->kernel = kernels->dwconv_any_name;
    } else {
        q->kernel = kernels->dwconv_u8, k->to->kernel = kernels->dwconv_u8_name;
        q->layout = kernels->dw_layout;
        q->offset = kernels->dw_input_offset;
        if (q->layout != KF_QLAYOUT_PLAIN) q->block = kernels->dw_block;
        k->to->scratch_bytes = kf__dwconv_u8_scratch();
    }
}

/* Reads shapes and types only; packing reads the weights. */
kf_status kf__prepare_dwconv_int(kf__preparing *k) {
    const kf__window *w = &k->s->window;
    const kf__pconst *weights = kf__prepare_const(k, KF_CONST_W);
    dwconv *q = kf__prepare_own(k, sizeof *q);
    if (!q) return KF_ERR_MEMORY;
    q->i16 = k->in->dtype != KF_U8 || weights->dtype != KF_I8;
    kf__prepare_workers(k, worker_of_rows);
    choose(k, q);
    k->to->packed_bytes = kf__pconst_count(weights) * (q->i16 ? sizeof(int16_t) : sizeof(int8_t));
    if (q->layout != KF_QLAYOUT_PLAIN)
        k->to->packed_bytes = kf__dwconv_u8_packed(q->layout, q->block, w->kh, w->sh, (size_t)k->out->c);
    k->to->replaces = 1u << KF_CONST_W;
    return KF_OK;
}

static void pack_weights(const kf__preparing *k, const dwconv *q, const kf__pconst *w) {
    size_t count = kf__pconst_count(w);
    void *to = k->to->packed;
    if (q->layout != KF_QLAYOUT_PLAIN) {
        kf__dwconv_u8_pack(q->layout, q->block, k->s->window.kh, k->s->window.sh, (size_t)k->out->c, w->data, to);
    } else if (!q->i16 || w->dtype == KF_I16) {
        memcpy(to, w->data, w->bytes);
    } else {
        for (size_t i = 0; i < count; i++) ((int16_t *)to)[i] = ((const int8_t *)w->data)[i];
    }
}

/* Packs the weights and fills every vector that the kernel reads: padding, epilogue, bias. */
kf_status kf__pack_dwconv_int(kf__preparing *k) {
    dwconv *q = k->to->own;
    const kf__pconst *w = kf__prepare_const(k, KF_CONST_W), *b = kf__prepare_const(k, KF_CONST_BIAS);
    const kf__vectors v = {k, (size_t)k->out->c, q->block};
    pack_weights(k, q, w);
    q->w = k->to->packed;
    char *pad = kf__arena_zalloc(k->arena, kf__qpad(v.n) * sizeof(int16_t));
    if (!pad) KF_FAIL_MEMORY(k->err, kf__qpad(v.n) * sizeof(int16_t));
    const kf__quant in = kf__ptensor_quant(k->p, k->in);
    for (size_t c = 0; k->in->dtype == KF_U8 && c < v.n; c++) pad[c] = (char)(uint8_t)kf__q_zero(&in, (int64_t)c);
    q->pad = pad;
    if (!kf__vector_epilogue(&v, &q->rq)) return KF_ERR_MEMORY;
    const int32_t *bias = kf__vector_bias(&v, w, b, k->in, true, q->offset);
    if (!bias) return KF_ERR_MEMORY;
    q->rq.bias = bias;
    return kf__product_bound(&v, w, bias, 1, &q->rq);
}
