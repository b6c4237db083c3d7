/* Integer convolutions, dense and grouped: pointwise ones are one product; most others copy the input rows under an
 * output row once and read runs of them; groups, dilated columns and 16-bit inputs read patches. The first layer of a
 * network that takes pixels has a bias per border class. Owner rule: see step_kinds.h. */
#include "runtime/steps/step_kinds.h"

typedef struct conv {
    kf__product product;  /* first: kf__gemm_int_worker reads it */
    size_t size;          /* bytes of an element as the kernel reads it */
    size_t line;          /* bytes of a copied input row; 0: patches are copied instead */
    size_t run;           /* elements of a row of taps as the kernel reads it */
    size_t ld_table;      /* entries of the bias of one border class */
    const int32_t *table; /* bias by border class, or NULL: one bias */
    const int32_t *class_y, *class_x;
    const int32_t *class_end; /* where the columns of the class of column x end */
    int32_t n_class_x;
} conv;

/* Bytes of a copied input row that holds all windows of one output row, each run of taps filled up to the kernel's
 * group. */
static size_t line_bytes(const kf__preparing *k) {
    const kf__window *w = &k->s->window;
    size_t c = (size_t)k->in->c,
           read = (size_t)(k->out->w - 1) * (size_t)w->sw * c + kf__run_filled(k->m, (size_t)w->kw * c);
    size_t whole = ((size_t)w->pl + (size_t)k->in->w) * c;
    return read > whole ? read : whole;
}

/* ---- patches ----------------------------------------------------------------------------------------------------- */

static void fill_zero_point(const kf__job *j, size_t n, size_t size, char *to) {
    if (size == 1) memset(to, (uint8_t)j->in->zero, n);
    else
        for (size_t i = 0; i < n; i++) ((int16_t *)(void *)to)[i] = (int16_t)j->in->zero;
}

/* One row of taps of a patch, `channels` from `first` on for each tap; a tap outside the image reads the zero point.
 * `row`: the image's row, or NULL outside the image. */
static void patch_row(const kf__job *j, const char *row, int32_t left, size_t first, size_t channels, size_t size,
                      char *to) {
    const kf__window *w = &j->s->window;
    for (int32_t kx = 0; kx < w->kw; kx++, to += channels * size) {
        int32_t sx = left + kx * w->dw;
        if (!row || sx < 0 || sx >= j->in->w) {
            fill_zero_point(j, channels, size, to);
            continue;
        }
        const char *from = row + ((size_t)sx * (size_t)j->in->c + first) * j->in_size;
        if (size > j->in_size) kf__widen((const uint8_t *)from, channels, (int16_t *)(void *)to);
        else memcpy(to, from, channels * size);
    }
}

/* Patches of one output row, kh * run elements each; elements that fill up a run have weight 0. */
static void im2col_row(const kf__job *j, size_t image, int32_t y, size_t first, size_t channels, char *to) {
    const conv *q = j->p->own;
    const kf__window *w = &j->s->window;
    size_t c = (size_t)j->in->c, size = q->size, taps = (size_t)w->kw * channels * size, run = q->run * size;
    bool whole = channels == c && w->dw == 1 && size == j->in_size;
    for (int32_t ky = 0; ky < w->kh; ky++) {
        int32_t sy = kf__window_top(w, y) + ky * w->dh;
        size_t line = (image * (size_t)j->in->h + (size_t)(sy < 0 ? 0 : sy)) * (size_t)j->in->w * c * j->in_size;
        const char *row = sy < 0 || sy >= j->in->h ? NULL : j->src + line;
        for (int32_t xo = 0; xo < j->out->w; xo++) {
            char *at = to + ((size_t)xo * (size_t)w->kh + (size_t)ky) * run;
            int32_t left = kf__window_left(w, xo);
            if (!row || !whole || left < 0 || left + w->kw > j->in->w)
                patch_row(j, row, left, first, channels, size, at);
            else memcpy(at, row + (size_t)left * c * size, taps);
            if (run > taps) memset(at + taps, 0, run - taps);
        }
    }
}

/* ---- copied rows ------------------------------------------------------------------------------------------------- */

/* The input rows under output row y, one after another, padded with the zero point as far as windows reach over the
 * border. So a row of the product consists of runs of these rows, in the same way for all columns. */
static void copy_rows(const kf__job *j, size_t image, int32_t y, size_t ld, uint8_t *to) {
    const kf__window *w = &j->s->window;
    size_t c = (size_t)j->in->c, left = (size_t)w->pl * c, line = (size_t)j->in->w * c;
    for (int32_t ky = 0; ky < w->kh; ky++, to += ld) {
        int32_t sy = kf__window_top(w, y) + ky * w->dh;
        if (sy < 0 || sy >= j->in->h) {
            memset(to, (uint8_t)j->in->zero, ld);
            continue;
        }
        memset(to, (uint8_t)j->in->zero, left);
        memcpy(to + left, j->src + (image * (size_t)j->in->h + (size_t)sy) * line, line);
        memset(to + left + line, (uint8_t)j->in->zero, ld - left - line);
    }
}

/* One output row of one group: one product for each run of columns that have the same border class. */
static void conv_row(const kf__job *j, size_t image, int32_t y, size_t g, const char *from) {
    const conv *q = j->p->own;
    const kf__window *w = &j->s->window;
    size_t ow = (size_t)j->out->w, oc = (size_t)j->out->c, per = oc / (size_t)w->group, c = (size_t)j->in->c,
           kh = (size_t)w->kh;
    size_t row = image * (size_t)j->out->h + (size_t)y, patch = kh * q->run, size = q->size;
    const char *panels = (const char *)q->product.w + g * q->product.group_bytes;
    for (int32_t x = 0, next; x < j->out->w; x = next) {
        kf__requant r;
        kf__requant_at(&r, &q->product.rq, j->src2, row * ow + (size_t)x, g * per);
        next = j->out->w;
        if (q->table) {
            next = q->class_end[x];
            r.bias = q->table + (size_t)(q->class_y[y] * q->n_class_x + q->class_x[x]) * q->ld_table + g * per;
        }
        kf__operand in = {from + (size_t)x * patch * size, (size_t)(next - x), patch, patch, 1, 0};
        if (q->line) {
            size_t step = (size_t)w->sw * c;
            in = (kf__operand){from + (size_t)x * step, (size_t)(next - x), q->run, step, kh, q->line};
        }
        kf__product_run(j, &q->product, in, per, panels, 0,
                        j->dst + ((row * ow + (size_t)x) * oc + g * per) * j->out_size, &r);
    }
}

/* `line` is 0 where patches are copied; otherwise all groups share the copied rows. */
static void conv_worker(void *job, int worker, int workers) {
    const kf__job *j = job;
    const conv *q = j->p->own;
    size_t groups = (size_t)j->s->window.group, per_in = (size_t)j->in->c / groups, h = (size_t)j->out->h, from, to;
    char *at = kf__job_scratch(j, worker);
    kf__share((size_t)j->out->n * h, 1, worker, workers, &from, &to);
    for (size_t row = from; row < to; row++) {
        int32_t y = (int32_t)(row % h);
        if (q->line) copy_rows(j, row / h, y, q->line, (uint8_t *)at);
        for (size_t g = 0; g < groups; g++) {
            if (!q->line) im2col_row(j, row / h, y, g * per_in, per_in, at);
            conv_row(j, row / h, y, g, at);
        }
    }
}

/* ---- making ready ------------------------------------------------------------------------------------------------ */

/* Chooses between runs of copied rows and patches, and reserves scratch for either. */
kf_status kf__prepare_conv_int(kf__preparing *k) {
    const kf__window *w = &k->s->window;
    const kf__pconst *weights = kf__prepare_const(k, KF_CONST_W);
    size_t groups = (size_t)w->group, taps = (size_t)w->kw * ((size_t)k->in->c / groups);
    if (kf__window_is_pointwise(w)) return kf__prepare_fc_int(k);
    conv *q = kf__prepare_own(k, sizeof *q);
    if (!q) return KF_ERR_MEMORY;
    kf__product_choose(k, weights, &q->product);
    q->size = q->product.i16 ? 2 : 1;
    q->run = q->product.i16 ? taps : kf__run_filled(k->m, taps);
    q->line = q->product.i16 || groups > 1 || w->dw > 1 ? 0 : line_bytes(k);
    uint64_t patches = (uint64_t)k->out->w * (size_t)w->kh * q->run * q->size;
    kf__prepare_workers(k, conv_worker);
    k->to->scratch_bytes = q->line ? (uint64_t)w->kh * q->line : patches;
    k->to->packed_bytes =
        kf__panels_bytes(k, weights, q->product.i16, groups, (size_t)k->out->c / groups, (size_t)w->kh);
    k->to->replaces = 1u << KF_CONST_W;
    return KF_OK;
}

/* The class of every row and column, and where each run of columns of one class ends. */
static kf_status classes(kf__preparing *k, conv *q) {
    const kf__axis down = kf__window_rows(&k->s->window), across = kf__window_columns(&k->s->window);
    size_t h = (size_t)k->out->h, w = (size_t)k->out->w;
    int32_t *y = kf__arena_array(k->arena, h + 2 * w, sizeof *y);
    if (!y) KF_FAIL_MEMORY(k->err, (h + 2 * w) * sizeof *y);
    int32_t *x = y + h, *end = x + w;
    kf__border_classes(&down, k->in->h, k->out->h, y, NULL);
    q->n_class_x = kf__border_classes(&across, k->in->w, k->out->w, x, NULL);
    for (size_t i = w; i-- > 0;) {
        bool goes_on = i + 1 < w && x[i] == x[i + 1];
        end[i] = goes_on ? end[i + 1] : (int32_t)i + 1;
    }
    q->class_y = y, q->class_x = x, q->class_end = end;
    q->ld_table = kf__qpad((size_t)k->out->c);
    return KF_OK;
}

/** Also of fully connected layers. */
kf_status kf__pack_matrix_int(kf__preparing *k) {
    kf__product *p = k->to->own;
    const kf__window *w = &k->s->window;
    const int32_t *table;
    bool spatial = k->to->worker == conv_worker; /* then `own` is a conv, which begins with its product */
    size_t groups = spatial ? (size_t)w->group : 1;
    size_t runs = spatial ? (size_t)w->kh : 1;
    KF_TRY(kf__product_pack(k, p, groups, runs, &table));
    if (!spatial || !k->s->border_bias) return KF_OK;
    conv *q = (conv *)(void *)p;
    q->table = table;
    return classes(k, q);
}
