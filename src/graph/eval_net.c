/* Evaluators of the network operators: convolution, normalization, pooling, fully connected, squeeze-and-excite,
 * softmax. f32 in and out, double accumulation: slow on purpose, the oracle for every kernel. Owner rule: outputs and
 * scratch come from the caller's arena. */
#include "graph/eval.h"

#include <math.h>

static const float *f32(const kf__dense *t) { return t ? t->data : NULL; }

/* The result's room, where the first `n` inputs are f32. */
static kf_status begin(const kf__eval *e, int n) {
    for (int k = 0; k < e->n_in && k < n; k++)
        if (e->in[k] && e->in[k]->dtype != KF_F32)
            KF_FAIL(e->err, KF_ERR_UNSUPPORTED, "%s (%s): input %d is %s; only f32 is evaluated here", e->n->name,
                    kf__op_name(e->n->op), k, kf_dtype_name(e->in[k]->dtype));
    return kf__eval_alloc(e->out, e->arena, e->err);
}

/* One output plane of a convolution, accumulated tap by tap so that the inner loop runs along a row. */
static void conv_plane(const kf__window *a, const kf__dense *x, const float *w, size_t n, size_t o, size_t per_group,
                       size_t first_in, const kf__shape *out, double *acc) {
    int64_t ih = x->shape.dim[2], iw = x->shape.dim[3], oh = out->dim[2], ow = out->dim[3];
    for (size_t i = 0; i < per_group; i++) {
        const float *plane =
            (const float *)x->data + ((n * (size_t)x->shape.dim[1]) + first_in + i) * (size_t)(ih * iw);
        for (int ky = 0; ky < a->kh; ky++)
            for (int kx = 0; kx < a->kw; kx++) {
                double wv = (double)w[((o * per_group + i) * (size_t)a->kh + (size_t)ky) * (size_t)a->kw + (size_t)kx];
                for (int64_t y = 0; y < oh; y++) {
                    int64_t sy = y * a->sh - a->pt + (int64_t)ky * a->dh;
                    if (sy < 0 || sy >= ih) continue;
                    const float *row = plane + sy * iw;
                    for (int64_t xo = 0; xo < ow; xo++) {
                        int64_t sx = xo * a->sw - a->pl + (int64_t)kx * a->dw;
                        if (sx >= 0 && sx < iw) acc[y * ow + xo] += wv * (double)row[sx];
                    }
                }
            }
    }
}

/* One output plane at a time: bias, taps, activation, residual, last clip. */
kf_status kf__eval_conv(const kf__eval *e) {
    const kf__attrs *attrs = &e->n->attrs;
    const kf__window *a = &attrs->window;
    const kf__dense *const *in = e->in, *out = e->out;
    KF_TRY(begin(e, e->n_in));
    size_t oc = (size_t)out->shape.dim[1], hw = (size_t)(out->shape.dim[2] * out->shape.dim[3]);
    size_t per_group = (size_t)in[1]->shape.dim[1], out_group = oc / (size_t)a->group;
    const float *bias = e->n_in > 2 ? f32(in[2]) : NULL;
    const float *res = e->n_in > 3 ? f32(in[3]) : NULL;
    double *acc = kf__arena_array(e->arena, hw, sizeof *acc);
    if (!acc) KF_FAIL_MEMORY(e->err, hw * sizeof *acc);
    for (size_t b = 0; b < (size_t)out->shape.dim[0]; b++)
        for (size_t o = 0; o < oc; o++) {
            for (size_t i = 0; i < hw; i++) acc[i] = bias ? (double)bias[o] : 0;
            conv_plane(a, in[0], in[1]->data, b, o, per_group, o / out_group * per_group, &out->shape, acc);
            float *to = (float *)out->data + (b * oc + o) * hw;
            for (size_t i = 0; i < hw; i++) {
                double v = kf__eval_activation(&attrs->act, acc[i]);
                if (res) v += (double)res[(b * oc + o) * hw + i];
                to[i] = (float)kf__eval_activation(&attrs->post_act, v);
            }
        }
    return KF_OK;
}

/* (x - mean) * gamma / sqrt(variance + epsilon) + beta, by channel. */
kf_status kf__eval_batch_norm(const kf__eval *e) {
    const kf__dense *const *in = e->in, *out = e->out;
    KF_TRY(begin(e, e->n_in));
    size_t c = (size_t)out->shape.dim[1], inner = 1;
    for (int i = 2; i < out->shape.rank; i++) inner *= (size_t)out->shape.dim[i];
    const float *x = in[0]->data, *g = in[1]->data, *b = in[2]->data, *mu = in[3]->data, *var = in[4]->data;
    for (size_t p = 0; p < (size_t)out->shape.dim[0] * c; p++) {
        size_t ch = p % c;
        double s = (double)g[ch] / sqrt((double)var[ch] + (double)e->n->attrs.epsilon);
        for (size_t i = 0; i < inner; i++)
            ((float *)out->data)[p * inner + i] =
                (float)(((double)x[p * inner + i] - (double)mu[ch]) * s + (double)b[ch]);
    }
    return KF_OK;
}

/* An average counts the taps inside the image, or with count_include_pad also those in the padding. */
kf_status kf__eval_pool(const kf__eval *e) {
    const kf__node *n = e->n;
    const kf__window *a = &n->attrs.window;
    const kf__dense *x = e->in[0], *out = e->out;
    KF_TRY(begin(e, e->n_in));
    int64_t ih = x->shape.dim[2], iw = x->shape.dim[3], oh = out->shape.dim[2], ow = out->shape.dim[3];
    bool is_max = n->op == KF_OP_MAX_POOL;
    for (int64_t p = 0; p < out->shape.dim[0] * out->shape.dim[1]; p++)
        for (int64_t y = 0; y < oh; y++)
            for (int64_t xo = 0; xo < ow; xo++) {
                double acc = is_max ? -INFINITY : 0;
                int64_t top = y * a->sh - a->pt, left = xo * a->sw - a->pl;
                kf__taps ty = kf__taps_inside(top, a->kh, a->dh, ih), tx = kf__taps_inside(left, a->kw, a->dw, iw);
                int count = ty.count * tx.count;
                for (int ky = ty.first; ky < ty.first + ty.count; ky++)
                    for (int kx = tx.first; kx < tx.first + tx.count; kx++) {
                        int64_t sy = top + (int64_t)ky * a->dh, sx = left + (int64_t)kx * a->dw;
                        double v = (double)((const float *)x->data)[(p * ih + sy) * iw + sx];
                        if (!is_max) acc += v;
                        else if (v > acc || v != v) acc = v; /* NaN is the largest, and stays */
                    }
                if (n->attrs.count_include_pad) count = kf__window_padded_taps(a, top, left, ih, iw);
                if (!is_max) acc = count ? acc / count : 0;
                ((float *)out->data)[(p * oh + y) * ow + xo] = (float)acc;
            }
    return KF_OK;
}

/* The larger of both; NaN is the largest, and stays. */
static double larger(double most, double v) { return v > most || v != v ? v : most; }

/* Mean or largest number of each channel's image. */
kf_status kf__eval_global_pool(const kf__eval *e) {
    const kf__dense *x = e->in[0], *out = e->out;
    KF_TRY(begin(e, e->n_in));
    size_t inner = 1, planes = (size_t)(x->shape.dim[0] * x->shape.dim[1]);
    for (int i = 2; i < x->shape.rank; i++) inner *= (size_t)x->shape.dim[i];
    for (size_t p = 0; p < planes; p++) {
        const float *at = (const float *)x->data + p * inner;
        double sum = 0, most = -INFINITY;
        for (size_t i = 0; i < inner; i++) sum += (double)at[i], most = larger(most, (double)at[i]);
        ((float *)out->data)[p] = (float)(e->n->op == KF_OP_GLOBAL_MAX_POOL ? most : sum / (double)inner);
    }
    return KF_OK;
}

/* What a reduction has after its last element: the sum, the largest, or their mean. */
static double reduced(kf__op op, double sum, size_t per_result) {
    return op == KF_OP_REDUCE_MEAN ? sum / (double)per_result : sum;
}

/* Mean, sum or largest over the axes that the output shape has lost or turned into 1. Input 1, the axes, is of
 * integers. */
kf_status kf__eval_reduce(const kf__eval *e) {
    const kf__node *n = e->n;
    const kf__dense *x = e->in[0], *list = e->n_in > 1 ? e->in[1] : NULL;
    kf__dense *out = e->out;
    size_t count, total;
    bool drop[KF_MAX_RANK] = {false};
    KF_TRY(begin(e, 1));
    if (!kf__shape_count(&out->shape, &count)) return KF_ERR_SHAPE;
    double *sums = kf__arena_array(e->arena, count, sizeof *sums);
    if (!sums) KF_FAIL_MEMORY(e->err, count * sizeof *sums);
    int r = x->shape.rank, axes = list ? (int)list->shape.dim[0] : n->attrs.n_axes; /* in range, each once */
    const bool most = n->op == KF_OP_REDUCE_MAX, all = axes == 0 && !n->attrs.noop;
    for (size_t i = 0; most && i < count; i++) sums[i] = -INFINITY;
    for (int i = 0; i < axes; i++) {
        int64_t ax = list ? kf__whole(kf__eval_get(list, (size_t)i), -KF_MAX_RANK, KF_MAX_RANK, 0) : n->attrs.axes[i];
        drop[ax < 0 ? ax + r : ax] = true;
    }
    if (!kf__shape_count(&x->shape, &total) || count == 0) return KF_OK;
    for (size_t i = 0; i < total; i++) {
        size_t rest = i, to = 0, step = 1;
        for (int d = r - 1; d >= 0; d--) {
            size_t pos = rest % (size_t)x->shape.dim[d];
            rest /= (size_t)x->shape.dim[d];
            if (all || drop[d]) continue;
            to += pos * step;
            step *= (size_t)x->shape.dim[d];
        }
        double v = kf__eval_get(x, i);
        sums[to] = most ? larger(sums[to], v) : sums[to] + v;
    }
    for (size_t i = 0; i < count; i++) kf__eval_put(out, i, reduced(n->op, sums[i], total / count));
    return KF_OK;
}

/* Gemm, MatMul and FC. FC stores its weights as [N,K], like Gemm with trans_b. */
kf_status kf__eval_matmul(const kf__eval *e) {
    const kf__node *n = e->n;
    const kf__attrs *t = &n->attrs;
    const kf__dense *const *in = e->in, *out = e->out;
    KF_TRY(begin(e, e->n_in));
    bool gemm = n->op == KF_OP_GEMM, ta = gemm && t->trans_a, tb = n->op == KF_OP_FC || (gemm && t->trans_b);
    size_t m = (size_t)out->shape.dim[0], nn = (size_t)out->shape.dim[1], k = (size_t)in[0]->shape.dim[ta ? 0 : 1];
    const float *a = in[0]->data, *b = in[1]->data;
    const kf__dense *c = e->n_in > 2 ? in[2] : NULL;
    int r = c ? c->shape.rank : 0; /* C has the extents of the result or 1, in its last axes */
    size_t column = r > 0 && c->shape.dim[r - 1] > 1, row = r > 1 && c->shape.dim[0] > 1 ? (size_t)c->shape.dim[1] : 0;
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < nn; j++) {
            double acc = 0;
            for (size_t x = 0; x < k; x++) {
                size_t at_a = ta ? x * m + i : i * k + x;
                size_t at_b = tb ? j * k + x : x * nn + j;
                acc += (double)a[at_a] * (double)b[at_b];
            }
            if (gemm) acc *= (double)t->alpha;
            if (c) acc += (gemm ? (double)t->beta : 1) * kf__eval_get(c, i * row + j * column);
            ((float *)out->data)[i * nn + j] = (float)kf__eval_activation(&t->act, acc);
        }
    return KF_OK;
}

/* One layer of the squeeze-and-excite branch. */
static void dense_layer(const double *x, size_t k, const float *w, const float *b, size_t o, const kf__activation *act,
                        double *y) {
    for (size_t i = 0; i < o; i++) {
        double acc = (double)b[i];
        for (size_t j = 0; j < k; j++) acc += x[j] * (double)w[i * k + j];
        y[i] = kf__eval_activation(act, acc);
    }
}

/* t holds the means of c channels, then r hidden values, then c gates. */
kf_status kf__eval_se_gate(const kf__eval *e) {
    const kf__node *n = e->n;
    const kf__dense *const *in = e->in, *out = e->out;
    KF_TRY(begin(e, e->n_in));
    size_t c = (size_t)in[0]->shape.dim[1], r = (size_t)in[1]->shape.dim[0],
           hw = (size_t)(in[0]->shape.dim[2] * in[0]->shape.dim[3]);
    double *t = kf__arena_array(e->arena, 2 * c + r, sizeof *t);
    if (!t) KF_FAIL_MEMORY(e->err, (2 * c + r) * sizeof *t);
    for (size_t b = 0; b < (size_t)in[0]->shape.dim[0]; b++) {
        for (size_t i = 0; i < c; i++) {
            double sum = 0;
            for (size_t p = 0; p < hw; p++) sum += (double)((const float *)in[0]->data)[(b * c + i) * hw + p];
            t[i] = sum / (double)hw;
        }
        dense_layer(t, c, in[1]->data, in[2]->data, r, &n->attrs.act, t + c);
        dense_layer(t + c, r, in[3]->data, in[4]->data, c, &n->attrs.gate_act, t + c + r);
        for (size_t i = 0; i < c; i++) ((float *)out->data)[b * c + i] = (float)t[c + r + i];
    }
    return KF_OK;
}

/* The axis of a softmax has `len` elements; `outer` is the product of the extents before it, `inner` of those behind.
 */
static void around_axis(const kf__eval *e, size_t *outer, size_t *len, size_t *inner) {
    const kf__shape *s = &e->in[0]->shape;
    const int axis = e->n->attrs.axis < 0 ? e->n->attrs.axis + s->rank : e->n->attrs.axis;
    *outer = *inner = 1, *len = (size_t)s->dim[axis];
    for (int i = 0; i < axis; i++) *outer *= (size_t)s->dim[i];
    for (int i = axis + 1; i < s->rank; i++) *inner *= (size_t)s->dim[i];
}

/* The largest value is subtracted first, so exp cannot overflow. */
kf_status kf__eval_softmax(const kf__eval *e) {
    const kf__dense *x = e->in[0], *out = e->out;
    size_t outer, len, inner;
    KF_TRY(begin(e, e->n_in));
    around_axis(e, &outer, &len, &inner);
    const float *p = x->data;
    for (size_t o = 0; o < outer; o++)
        for (size_t j = 0; j < inner; j++) {
            /* Takes the maximum before widening. The value is the same, and fmax over widened floats crashes the
             * vectorizer of gcc 12 for aarch64. */
            float largest = -INFINITY;
            for (size_t k = 0; k < len; k++) largest = fmaxf(largest, p[(o * len + k) * inner + j]);
            double top = (double)largest, sum = 0;
            for (size_t k = 0; k < len; k++) sum += exp((double)p[(o * len + k) * inner + j] - top);
            for (size_t k = 0; k < len; k++)
                ((float *)out->data)[(o * len + k) * inner + j] =
                    (float)(exp((double)p[(o * len + k) * inner + j] - top) / sum);
        }
    return KF_OK;
}

/* The logarithm of softmax, without the logarithm of a share that may be 0. */
kf_status kf__eval_log_softmax(const kf__eval *e) {
    const kf__dense *x = e->in[0], *out = e->out;
    size_t outer, len, inner;
    KF_TRY(begin(e, e->n_in));
    around_axis(e, &outer, &len, &inner);
    for (size_t row = 0; row < outer * inner; row++) {
        const size_t at = row / inner * len * inner + row % inner;
        const float *p = (const float *)x->data + at;
        double top = -INFINITY, sum = 0;
        for (size_t k = 0; k < len; k++) top = larger(top, (double)p[k * inner]);
        for (size_t k = 0; k < len; k++) sum += exp((double)p[k * inner] - top);
        for (size_t k = 0; k < len; k++)
            ((float *)out->data)[at + k * inner] = (float)((double)p[k * inner] - top - log(sum));
    }
    return KF_OK;
}

/* Does number `a` at place i come before number `b` at place j? */
static bool before(int32_t selects, double a, size_t i, double b, size_t j) {
    if (a != b) return selects & KF_SELECTS_SMALLEST ? a < b : a > b;
    return selects & KF_SELECTS_LAST ? i > j : i < j;
}

/* The place of the number that follows the one at `last` (len: none yet) in the order of `before`. */
static size_t next_best(const kf__dense *x, int32_t selects, size_t at, size_t inner, size_t len, size_t last) {
    size_t best = len;
    for (size_t i = 0; i < len; i++) {
        const double v = kf__eval_get(x, at + i * inner);
        if (last < len && !before(selects, kf__eval_get(x, at + last * inner), last, v, i)) continue;
        if (best == len || before(selects, v, i, kf__eval_get(x, at + best * inner), best)) best = i;
    }
    return best < len ? best : 0;
}

/* Places into `indices` and numbers into `values`; either may be NULL. */
static void choose(const kf__eval *e, int ax, size_t k, kf__dense *values, kf__dense *indices) {
    const kf__dense *x = e->in[0];
    size_t rows, inner = 1, len = (size_t)x->shape.dim[ax];
    if (!kf__shape_count(&x->shape, &rows) || !len) return;
    for (int i = ax + 1; i < x->shape.rank; i++) inner *= (size_t)x->shape.dim[i];
    rows /= len;
    for (size_t row = 0; row < rows; row++) {
        const size_t at = row / inner * len * inner + row % inner, to = row / inner * k * inner + row % inner;
        for (size_t j = 0, last = len; j < k; j++) {
            last = next_best(x, e->n->attrs.selects, at, inner, len, last);
            if (values) kf__eval_put(values, to + j * inner, kf__eval_get(x, at + last * inner));
            if (indices) kf__eval_put(indices, to + j * inner, (double)last);
        }
    }
}

kf_status kf__eval_arg(const kf__eval *e) {
    const int r = e->in[0]->shape.rank, ax = e->n->attrs.axis < 0 ? e->n->attrs.axis + r : e->n->attrs.axis;
    KF_TRY(kf__eval_alloc(e->out, e->arena, e->err));
    choose(e, ax, 1, NULL, e->out);
    return KF_OK;
}

/* TopK has both outputs, TOP the one that it selects. */
kf_status kf__eval_top_k(const kf__eval *e) {
    const int r = e->in[0]->shape.rank, ax = e->n->attrs.axis < 0 ? e->n->attrs.axis + r : e->n->attrs.axis;
    const bool both = e->n_out > 1;
    const bool places = e->n->op == KF_OP_TOP && e->n->attrs.selects & KF_SELECTS_INDICES;
    KF_TRY(kf__eval_alloc(e->out, e->arena, e->err));
    if (both) KF_TRY(kf__eval_alloc(&e->out[1], e->arena, e->err));
    kf__dense *values = places ? NULL : e->out;
    kf__dense *indices = both ? &e->out[1] : NULL;
    if (places) indices = e->out;
    choose(e, ax, (size_t)e->out[0].shape.dim[ax], values, indices);
    return KF_OK;
}

kf_status kf__eval_scale(const kf__eval *e) {
    const kf__dense *x = e->in[0], *gate = e->in[1], *out = e->out;
    KF_TRY(begin(e, e->n_in));
    size_t planes = (size_t)(x->shape.dim[0] * x->shape.dim[1]), hw = (size_t)(x->shape.dim[2] * x->shape.dim[3]);
    const float *from = x->data, *factor = gate->data;
    for (size_t p = 0; p < planes; p++)
        for (size_t i = 0; i < hw; i++)
            ((float *)out->data)[p * hw + i] = (float)((double)from[p * hw + i] * (double)factor[p]);
    return KF_OK;
}
