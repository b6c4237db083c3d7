/* Integer convolution, fully connected layer and squeeze-and-excite, as docs/NUMERICS.md numbers the steps.
 * Sums are kept in i64 so that an i32 overflow is found instead of wrapped.
 * Owner rule: everything lives in the run's arena. */
#include "ref/ref.h"

/** Steps 2 to 5 of one output channel. */
typedef struct epilogue {
    const kf__node *n;
    const kf__quant *out; /* NULL: f32 */
    bool direct, hswish_k;
    float m, k, inv, fbias;
    bool has_fbias;
    int32_t z, lo, hi;
} epilogue;

static epilogue epilogue_of(const kf__ref_node *r, int64_t o, float s_in, float s_w) {
    epilogue e = {.n = r->n, .out = r->out_q};
    const kf__dense *bias = r->n->n_in > 2 ? r->in[2] : NULL;
    e.direct = kf__q_direct(r->n, r->out_q);
    e.hswish_k = kf__q_hswish_k(r->n, r->out_q);
    e.m = kf__mult2((double)s_in, (double)s_w);
    if (bias && bias->dtype == KF_F32) e.fbias = ((const float *)bias->data)[o];
    e.has_fbias = bias && bias->dtype == KF_F32;
    if (!r->out_q) return e;
    float s_out = kf__q_scale(r->out_q, o);
    if (e.direct) e.m = kf__mult3((double)s_in, (double)s_w, (double)s_out);
    e.k = kf__q_hswish_factor(s_out);
    e.inv = kf__inverse((double)s_out);
    e.z = kf__q_zero(r->out_q, o);
    kf__q_bounds(r->n, r->out_q, o, &e.lo, &e.hi);
    return e;
}

/** Write element i from its sum; `res` is the residual's real value or NULL. */
static void finish(const epilogue *e, int32_t acc, const float *res, kf__dense *out, size_t i) {
    float x = (float)acc * e->m;
    if (e->direct) {
        kf__ref_put(out, i, kf__quantize_clamped(x, e->z, e->lo, e->hi));
        return;
    }
    if (e->has_fbias) x = x + e->fbias;
    if (e->hswish_k) {
        x = kf__hswish(x, e->k);
    } else {
        x = kf__activate(e->n->attrs.act.kind, x, e->n->attrs.act.lo, e->n->attrs.act.hi);
        if (res) x = x + *res;
        if (e->out) x = x * e->inv;
    }
    if (e->out) kf__ref_put(out, i, kf__quantize_clamped(x, e->z, e->lo, e->hi));
    else
        ((float *)out->data)[i] =
            kf__activate(e->n->attrs.post_act.kind, x, e->n->attrs.post_act.lo, e->n->attrs.post_act.hi);
}

static kf_status check_sum(const kf__ref_node *r, int64_t acc, int64_t o) {
    if (acc >= -INT64_C(0x7fffffff) && acc <= INT64_C(0x7fffffff)) return KF_OK;
    KF_FAIL(r->err, KF_ERR_CORRUPT,
            "channel %lld: the sum %lld leaves 32 bits; the weight scale or the input's q_max is too "
            "small",
            (long long)o, (long long)acc);
}

/** Weights must be quantized, bias i32, or f32 where the output is. */
static kf_status check_consts(const kf__ref_node *r, int w, int b) {
    const kf__quant *wq = r->in_q[w];
    const kf__dense *bias = b < r->n->n_in ? r->in[b] : NULL;
    if (!wq || (r->in[w]->dtype != KF_I8 && r->in[w]->dtype != KF_I16))
        KF_FAIL(r->err, KF_ERR_FORMAT, "the input is quantized but the weights are %s without scales",
                kf_dtype_name(r->in[w]->dtype));
    if (bias && bias->dtype != KF_I32 && !(bias->dtype == KF_F32 && !r->out_q))
        KF_FAIL(r->err, KF_ERR_FORMAT, "the bias is %s; i32 is needed before a quantized output",
                kf_dtype_name(bias->dtype));
    return KF_OK;
}

/* ---- border classes of the pixel layer --------------------------------------------------------------------------- */

/** Row of the bias table for every output pixel, or NULL when the bias is one row. */
static kf_status bias_rows(const kf__ref_node *r, const kf__shape *out, int32_t **rows) {
    const kf__dense *bias = r->n->n_in > 2 ? r->in[2] : NULL;
    const kf__window *a = &r->n->attrs.window;
    const kf__shape *x = &r->in[0]->shape;
    *rows = NULL;
    if (!bias || bias->shape.rank != 2) return KF_OK;
    const kf__axis down = kf__window_rows(a), across = kf__window_columns(a);
    size_t h = (size_t)out->dim[2], w = (size_t)out->dim[3];
    int32_t *cy = kf__arena_array(r->arena, h + w + h * w + 1, sizeof *cy);
    if (!cy) KF_FAIL_MEMORY(r->err, (h + w + h * w + 1) * sizeof *cy);
    int32_t *cx = cy + h;
    int32_t ny = kf__border_classes(&down, x->dim[2], out->dim[2], cy, NULL);
    int32_t nx = kf__border_classes(&across, x->dim[3], out->dim[3], cx, NULL);
    if (bias->shape.dim[0] != (int64_t)ny * nx || bias->shape.dim[1] != out->dim[1])
        KF_FAIL(r->err, KF_ERR_SHAPE, "the bias table has %lld rows; the geometry has %d border classes",
                (long long)bias->shape.dim[0], ny * nx);
    *rows = cx + w;
    for (size_t i = 0; i < h * w; i++) (*rows)[i] = cy[i / w] * nx + cx[i % w];
    return KF_OK;
}

/* ---- convolution ------------------------------------------------------------------------------------------------- */

/** Add one input plane times one kernel slice to the sums of an output plane. */
static void add_plane(const kf__window *a, const int32_t *x, int64_t ih, int64_t iw, const kf__dense *w, size_t w_at,
                      int64_t oh, int64_t ow, int64_t *acc) {
    for (int32_t t = 0; t < a->kh * a->kw; t++) {
        int64_t wv = kf__ref_get(w, w_at + (size_t)t), ky = t / a->kw, kx = t % a->kw;
        for (int64_t y = 0; y < oh; y++) {
            int64_t sy = y * a->sh - a->pt + ky * a->dh;
            if (sy < 0 || sy >= ih) continue;
            for (int64_t p = 0; p < ow; p++) {
                int64_t sx = p * a->sw - a->pl + kx * a->dw;
                if (sx >= 0 && sx < iw) acc[y * ow + p] += wv * x[sy * iw + sx];
            }
        }
    }
}

/** q - z of the whole input, so that padding taps can simply be skipped. */
static kf_status centred(const kf__ref_node *r, int32_t **out) {
    const kf__dense *x = r->in[0];
    size_t count, hw = (size_t)(x->shape.dim[2] * x->shape.dim[3]);
    if (!kf__shape_count(&x->shape, &count)) return KF_ERR_SHAPE;
    int32_t *c = kf__arena_array(r->arena, count + 1, sizeof *c);
    if (!c) KF_FAIL_MEMORY(r->err, count * sizeof *c);
    for (size_t i = 0; i < count; i++)
        c[i] = kf__ref_get(x, i) - kf__q_zero(r->in_q[0], (int64_t)(i / hw) % x->shape.dim[1]);
    *out = c;
    return KF_OK;
}

static kf_status write_plane(const kf__ref_node *r, const int64_t *acc, const int32_t *rows, int64_t o, size_t base,
                             size_t hw, const epilogue *e) {
    const kf__dense *bias = r->n->n_in > 2 ? r->in[2] : NULL;
    const kf__dense *res = r->n->n_in > 3 ? r->in[3] : NULL;
    size_t oc = (size_t)r->out->shape.dim[1];
    for (size_t i = 0; i < hw; i++) {
        int64_t sum = acc[i];
        if (bias && bias->dtype == KF_I32)
            sum += kf__ref_get(bias, rows ? (size_t)rows[i] * oc + (size_t)o : (size_t)o);
        KF_TRY(check_sum(r, sum, o));
        float real = 0;
        if (res && res->dtype == KF_F32) real = ((const float *)res->data)[base + i];
        else if (res) real = (float)(kf__ref_get(res, base + i) - r->in_q[3]->zero) * r->in_q[3]->scale;
        finish(e, (int32_t)sum, res ? &real : NULL, r->out, base + i);
    }
    return KF_OK;
}

kf_status kf__ref_conv(kf__ref_node *r) {
    const kf__window *a = &r->n->attrs.window;
    const kf__dense *x = r->in[0], *w = r->in[1];
    const kf__value *v = &r->g->values[r->n->out[0]];
    int64_t ih = x->shape.dim[2], iw = x->shape.dim[3], ic = x->shape.dim[1], oc = v->shape.dim[1],
            per = w->shape.dim[1];
    size_t hw = (size_t)(v->shape.dim[2] * v->shape.dim[3]);
    int32_t *q = NULL, *rows = NULL;
    KF_TRY(check_consts(r, 1, 2));
    if (r->in_q[0]->channels && !kf__node_is_depthwise(r->g, r->n))
        KF_FAIL(r->err, KF_ERR_FORMAT, "per-channel input scales need a depthwise convolution");
    if (r->n->n_in > 3 && r->in_q[3] && r->in_q[3]->channels)
        KF_FAIL(r->err, KF_ERR_FORMAT, "a residual needs one scale");
    KF_TRY(kf__ref_alloc(r->out, r->out_q ? r->out_q->dtype : KF_F32, &v->shape, r->arena, r->err));
    KF_TRY(centred(r, &q));
    KF_TRY(bias_rows(r, &v->shape, &rows));
    int64_t *acc = kf__arena_array(r->arena, hw, sizeof *acc);
    if (!acc) KF_FAIL_MEMORY(r->err, hw * sizeof *acc);
    for (int64_t b = 0; b < v->shape.dim[0]; b++)
        for (int64_t o = 0; o < oc; o++) {
            int64_t first = o / (oc / a->group) * per;
            memset(acc, 0, hw * sizeof *acc);
            for (int64_t i = 0; i < per; i++)
                add_plane(a, q + (b * ic + first + i) * ih * iw, ih, iw, w, (size_t)((o * per + i) * a->kh * a->kw),
                          v->shape.dim[2], v->shape.dim[3], acc);
            epilogue e = epilogue_of(r, o, kf__q_scale(r->in_q[0], first), kf__q_scale(r->in_q[1], o));
            KF_TRY(write_plane(r, acc, rows, o, (size_t)(b * oc + o) * hw, hw, &e));
        }
    return KF_OK;
}

kf_status kf__ref_fc(kf__ref_node *r) {
    const kf__dense *x = r->in[0], *w = r->in[1], *bias = r->n->n_in > 2 ? r->in[2] : NULL;
    int64_t k = w->shape.dim[1], o_count = w->shape.dim[0];
    KF_TRY(check_consts(r, 1, 2));
    if (r->in_q[0]->channels) KF_FAIL(r->err, KF_ERR_FORMAT, "per-channel input scales need a depthwise convolution");
    kf__shape shape = kf__shape_make(2, (int64_t[]){x->shape.dim[0], o_count});
    KF_TRY(kf__ref_alloc(r->out, r->out_q ? r->out_q->dtype : KF_F32, &shape, r->arena, r->err));
    for (int64_t b = 0; b < x->shape.dim[0]; b++)
        for (int64_t o = 0; o < o_count; o++) {
            int64_t acc = bias && bias->dtype == KF_I32 ? kf__ref_get(bias, (size_t)o) : 0;
            for (int64_t i = 0; i < k; i++)
                acc += (int64_t)(kf__ref_get(x, (size_t)(b * k + i)) - r->in_q[0]->zero) *
                       kf__ref_get(w, (size_t)(o * k + i));
            KF_TRY(check_sum(r, acc, o));
            epilogue e = epilogue_of(r, o, r->in_q[0]->scale, kf__q_scale(r->in_q[1], o));
            finish(&e, (int32_t)acc, NULL, r->out, (size_t)(b * o_count + o));
        }
    return KF_OK;
}

/* ---- squeeze and excite ------------------------------------------------------------------------------------------ */

/** Pooled mean of every channel in the i16 of pool_quant. */
static void se_pool(const kf__ref_node *r, int64_t b, int32_t *pooled) {
    const kf__dense *x = r->in[0];
    const kf__quant *pq = r->n->attrs.pool_quant;
    int64_t hw = x->shape.dim[2] * x->shape.dim[3];
    for (int64_t c = 0; c < x->shape.dim[1]; c++) {
        int64_t sum = 0;
        for (int64_t i = 0; i < hw; i++)
            sum += kf__ref_get(x, (size_t)((b * x->shape.dim[1] + c) * hw + i)) - kf__q_zero(r->in_q[0], c);
        float mul = (float)((double)kf__q_scale(r->in_q[0], c) / ((double)hw * (double)pq->scale));
        pooled[c] = kf__quantize_clamped((float)sum * mul, pq->zero, pq->qmin, pq->qmax) - pq->zero;
    }
}

static kf_status se_sum(const kf__ref_node *r, int wi, int bi, const int32_t *x, int64_t o, int32_t *out) {
    int64_t k = r->in[wi]->shape.dim[1], acc = kf__ref_get(r->in[bi], (size_t)o);
    for (int64_t i = 0; i < k; i++) acc += (int64_t)x[i] * kf__ref_get(r->in[wi], (size_t)(o * k + i));
    *out = (int32_t)acc;
    return check_sum(r, acc, o);
}

static kf_status se_hidden(const kf__ref_node *r, const int32_t *pooled, int32_t *hidden) {
    const kf__quant *pq = r->n->attrs.pool_quant, *hq = r->n->attrs.hidden_quant;
    const kf__activation *act = &r->n->attrs.act;
    bool direct = kf__activation_is_clip(act);
    for (int64_t o = 0; o < r->in[1]->shape.dim[0]; o++) {
        int32_t acc, lo = hq->qmin, hi = hq->qmax;
        KF_TRY(se_sum(r, 1, 2, pooled, o, &acc));
        double s_w = (double)kf__q_scale(r->in_q[1], o), s_p = (double)pq->scale;
        float x;
        if (direct) {
            kf__q_clip(hq, 0, act, &lo, &hi);
            x = (float)acc * kf__mult3(s_p, s_w, (double)hq->scale);
        } else {
            x = kf__activate(act->kind, (float)acc * kf__mult2(s_p, s_w), act->lo, act->hi);
            x = x * kf__inverse((double)hq->scale);
        }
        hidden[o] = kf__quantize_clamped(x, hq->zero, lo, hi) - hq->zero;
    }
    return KF_OK;
}

kf_status kf__ref_se_gate(kf__ref_node *r) {
    const kf__quant *hq = r->n->attrs.hidden_quant;
    const kf__activation *act = &r->n->attrs.gate_act;
    if (!r->n->attrs.pool_quant || !hq)
        KF_FAIL(r->err, KF_ERR_FORMAT, "the branch has no scales for its pooled and hidden values");
    KF_TRY(check_consts(r, 1, 2));
    KF_TRY(check_consts(r, 3, 4));
    if (r->in[2]->dtype != KF_I32 || r->in[4]->dtype != KF_I32)
        KF_FAIL(r->err, KF_ERR_FORMAT, "both biases must be i32");
    int64_t c = r->in[0]->shape.dim[1], hidden_n = r->in[1]->shape.dim[0];
    kf__shape shape = kf__shape_make(4, (int64_t[]){r->in[0]->shape.dim[0], c, 1, 1});
    KF_TRY(kf__ref_alloc(r->out, KF_F32, &shape, r->arena, r->err));
    int32_t *pooled = kf__arena_array(r->arena, (size_t)(c + hidden_n), sizeof *pooled);
    if (!pooled) KF_FAIL_MEMORY(r->err, (size_t)(c + hidden_n) * sizeof *pooled);
    for (int64_t b = 0; b < shape.dim[0]; b++) {
        se_pool(r, b, pooled);
        KF_TRY(se_hidden(r, pooled, pooled + c));
        for (int64_t o = 0; o < c; o++) {
            int32_t acc;
            KF_TRY(se_sum(r, 3, 4, pooled + c, o, &acc));
            float x = (float)acc * kf__mult2((double)hq->scale, (double)kf__q_scale(r->in_q[3], o));
            ((float *)r->out->data)[b * c + o] = kf__activate(act->kind, x, act->lo, act->hi);
        }
    }
    return KF_OK;
}
