/* f32 convolutions, dense and grouped: pointwise ones are one product; most others copy the input rows under an output
 * row once and read runs of them; dilated and very high windows read patches. Owner rule: see step_kinds.h. */
#include "runtime/steps/step_kinds.h"

/** Most window rows of a convolution that keeps a ring of input rows. */
enum { DIRECT_ROWS = 16 };

static float *scratch_of(const kf__job *j, int worker) { return kf__job_scratch(j, worker); }

static size_t patch_floats(const kf__step *s, size_t channels) {
    return (size_t)s->window.kh * (size_t)s->window.kw * channels;
}

static size_t ring_row_floats(const kf__step *s, const kf__ptensor *in, size_t channels) {
    return ((size_t)in->w + (size_t)s->window.pl + (size_t)s->window.pr) * channels;
}

/* Patches of one output row, [w_out, kh * kw * channels]; zero outside the image. */
static void im2col_row(const kf__job *j, size_t image, int32_t y, size_t first_channel, size_t channels, float *to) {
    const kf__window *w = &j->s->window;
    const float *src = kf__f32_of(j->src);
    size_t c = (size_t)j->in->c;
    for (int32_t xo = 0; xo < j->out->w; xo++)
        for (int32_t ky = 0; ky < w->kh; ky++)
            for (int32_t kx = 0; kx < w->kw; kx++, to += channels) {
                int32_t sy = kf__window_top(w, y) + ky * w->dh, sx = kf__window_left(w, xo) + kx * w->dw;
                if (sy < 0 || sy >= j->in->h || sx < 0 || sx >= j->in->w) {
                    memset(to, 0, channels * sizeof *to);
                    continue;
                }
                size_t pixel = (image * (size_t)j->in->h + (size_t)sy) * (size_t)j->in->w + (size_t)sx;
                memcpy(to, src + pixel * c + first_channel, channels * sizeof *to);
            }
}

/* Rows of outputs are divided among workers. Each row of each group is one product of its patches. */
static void patches_worker(void *job, int worker, int workers) {
    const kf__job *j = job;
    size_t ow = (size_t)j->out->w, oh = (size_t)j->out->h, oc = (size_t)j->out->c, groups = (size_t)j->s->window.group;
    size_t per_in = (size_t)j->in->c / groups, per_out = oc / groups, k = patch_floats(j->s, per_in), from, to;
    float *patches = scratch_of(j, worker), *dst = (float *)(void *)j->dst;
    kf__share((size_t)j->out->n * oh, 1, worker, workers, &from, &to);
    for (size_t row = from; row < to; row++)
        for (size_t g = 0; g < groups; g++) {
            im2col_row(j, row / oh, (int32_t)(row % oh), g * per_in, per_in, patches);
            kf__epilogue e = kf__job_epilogue(j);
            const float *w = kf__f32_of(j->p->packed) + g * kf__gemm_f32_packed(per_out, k);
            size_t at = row * ow * oc + g * per_out;
            if (e.bias) e.bias += g * per_out;
            if (e.residual) e.residual += at;
            j->x->m->kernels.gemm_f32(ow, per_out, k, patches, k, w, dst + at, oc, &e);
        }
}

/* The input rows under one output row, with zeros left and right of the image. The last slot is a row of zeros, used
 * for rows outside. */
typedef struct ring {
    float *rows;
    size_t ld;                 /* floats of a padded row */
    int32_t held[DIRECT_ROWS]; /* which input row a slot holds; -1 none */
} ring;

static void ring_empty(ring *r) {
    for (int32_t i = 0; i < DIRECT_ROWS; i++) r->held[i] = -1;
}

/* Channels first..first + channels of each pixel of input row y. */
static const float *ring_row(ring *r, const kf__job *j, size_t image, int32_t y, size_t first, size_t channels) {
    int32_t kh = j->s->window.kh;
    if (y < 0 || y >= j->in->h) return r->rows + (size_t)kh * r->ld;
    int32_t slot = y % kh;
    float *row = r->rows + (size_t)slot * r->ld, *to = row + (size_t)j->s->window.pl * channels;
    if (r->held[slot] == y) return row;
    size_t c = (size_t)j->in->c, w = (size_t)j->in->w;
    const float *from = kf__f32_of(j->src) + (image * (size_t)j->in->h + (size_t)y) * w * c + first;
    if (channels == c) memcpy(to, from, w * c * sizeof *to);
    else
        for (size_t x = 0; x < w; x++) memcpy(to + x * channels, from + x * c, channels * sizeof *to);
    r->held[slot] = y;
    return row;
}

/* One output row of one group is a product of runs of the padded input rows. */
static void direct_worker(void *job, int worker, int workers) {
    const kf__job *j = job;
    const kf__window *w = &j->s->window;
    size_t ow = (size_t)j->out->w, oh = (size_t)j->out->h, oc = (size_t)j->out->c, groups = (size_t)w->group, from, to;
    size_t per_in = (size_t)j->in->c / groups, per_out = oc / groups;
    size_t panels = kf__gemm_f32_packed(per_out, patch_floats(j->s, per_in));
    const float *at[DIRECT_ROWS];
    const kf__gemm_rows a = {at, (size_t)w->kh, (size_t)w->kw * per_in, (size_t)w->sw * per_in};
    ring r = {.rows = scratch_of(j, worker), .ld = ring_row_floats(j->s, j->in, per_in)};
    kf__ahead ahead = kf__job_ahead(j, worker, workers);
    memset(r.rows, 0, (size_t)(w->kh + 1) * r.ld * sizeof(float));
    kf__share((size_t)j->out->n * oh, 1, worker, workers, &from, &to);
    for (size_t g = 0; g < groups; g++)
        for (size_t row = from; row < to; row++) {
            int32_t top = kf__window_top(w, (int32_t)(row % oh));
            if (row == from || row % oh == 0) ring_empty(&r);
            for (int32_t ky = 0; ky < w->kh; ky++) at[ky] = ring_row(&r, j, row / oh, top + ky, g * per_in, per_in);
            kf__epilogue e = kf__job_epilogue(j);
            size_t first = row * ow * oc + g * per_out;
            e.ahead = &ahead;
            if (e.bias) e.bias += g * per_out;
            if (e.residual) e.residual += first;
            j->x->m->kernels.conv_f32(ow, per_out, &a, kf__f32_of(j->p->packed) + g * panels,
                                      (float *)(void *)j->dst + first, oc, &e);
        }
}

/* Pointwise: one product. Few rows and no dilation: runs of a ring of rows. Everything else: patches. */
kf_status kf__prepare_conv_f32(kf__preparing *k) {
    const kf__window *w = &k->s->window;
    size_t channels = (size_t)(k->in->c / w->group);
    kf__prepare_matrix_f32(k, (size_t)k->out->n * (size_t)k->out->h * (size_t)k->out->w);
    k->to->kernel = k->m->kernels.gemm_f32_name;
    if (kf__window_is_pointwise(w)) {
        kf__prepare_workers(k, kf__gemm_f32_worker);
    } else if (w->dh == 1 && w->dw == 1 && w->kh <= DIRECT_ROWS) {
        kf__prepare_workers(k, direct_worker);
        k->to->kernel = k->m->kernels.conv_f32_name;
        k->to->scratch_bytes = (uint64_t)(w->kh + 1) * ring_row_floats(k->s, k->in, channels) * sizeof(float);
    } else {
        kf__prepare_workers(k, patches_worker);
        k->to->scratch_bytes = (uint64_t)k->out->w * patch_floats(k->s, channels) * sizeof(float);
    }
    return KF_OK;
}
