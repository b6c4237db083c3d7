/* The integer half of lowering: multipliers, bounds and zero points by graph/qrules.h, each computed in double, rounded
 * once. Owner rule: see lower.h. */
#include "lower/lower_private.h"

static const kf__quant *quant_of(const lowering *l, kf__vid v) { return v < 0 ? NULL : l->g->values[v].quant; }

static kf_status put_vector(lowering *l, const char *node, const char *role, kf_dtype dtype, const void *data,
                            int64_t n, int32_t *to) {
    kf__shape s = kf__shape_make(1, &n);
    void *copy = kf__arena_copy(&l->p->arena, data, (size_t)n * kf_dtype_size(dtype));
    if (!copy || (*to = kf__lower_const(l, node, role, dtype, &s, copy)) < 0) KF_FAIL_MEMORY(l->err, (size_t)n * 4);
    return KF_OK;
}

kf_status kf__lower_quant(lowering *l, kf__vid v, kf__ptensor *t) {
    const kf__quant *q = l->g->values[v].quant;
    if (!q) return KF_OK;
    const char *name = l->g->values[v].name;
    t->dtype = q->dtype, t->scale = q->scale, t->zero = q->zero, t->qmin = q->qmin, t->qmax = q->qmax;
    if (!q->channels) return KF_OK;
    if (q->channels != t->c)
        KF_FAIL(l->err, KF_ERR_FORMAT, "value %s: %d scales for %d channels", name, q->channels, t->c);
    if (t->scale == 0) t->scale = q->scales[0];
    KF_TRY(put_vector(l, name, "scales", KF_F32, q->scales, q->channels, &t->scales));
    return q->zeros ? put_vector(l, name, "zeros", KF_I32, q->zeros, q->channels, &t->zeros) : KF_OK;
}

/* One multiplier per channel (or a single one if nothing depends on the channel), from a function of the two scales. */
typedef float scale_fn(double s_in, double s_out, double extra);
static float by_ratio(double s_in, double s_out, double extra) { return (float)(s_in / (extra * s_out)); }
static float by_inverse(double s_in, double s_out, double extra) { return kf__inverse(s_out); }
static float by_hswish(double s_in, double s_out, double extra) { return kf__q_hswish_factor((float)s_out); }
static float by_direct(double s_in, double s_out, double extra) { return kf__mult3(s_in, 1.0, s_out); }

static kf_status put_scales(lowering *l, const char *node, const char *role, const kf__quant *in, const kf__quant *out,
                            scale_fn *fn, double extra, int32_t *to) {
    int32_t n = 1;
    if (in && in->channels) n = in->channels;
    if (out && out->channels) n = out->channels;
    float *m = kf__arena_array(&l->p->arena, (size_t)n, sizeof *m);
    if (!m) KF_FAIL_MEMORY(l->err, n * 4);
    for (int32_t c = 0; c < n; c++) {
        double scale_in = in ? (double)kf__q_scale(in, c) : 1.0;
        double scale_out = out ? (double)kf__q_scale(out, c) : 1.0;
        m[c] = fn(scale_in, scale_out, extra);
    }
    return put_vector(l, node, role, KF_F32, m, n, to);
}

/* The accumulator's multiplier of every output channel; `direct` when steps 2 and 5 are one. */
static kf_status put_mul(lowering *l, const kf__node *n, int w, const kf__quant *in, float s_in, const kf__quant *out,
                         bool direct, bool by_channel, const char *role, int32_t *to) {
    const kf__value *wv = &l->g->values[n->in[w]];
    if (!wv->quant) KF_FAIL(l->err, KF_ERR_FORMAT, "%s: the input is quantized, the weights are not", n->name);
    int64_t o = wv->shape.dim[0];
    float *m = kf__arena_array(&l->p->arena, (size_t)o, sizeof *m);
    if (!m) KF_FAIL_MEMORY(l->err, o * 4);
    for (int64_t i = 0; i < o; i++) {
        double a = (double)(by_channel ? kf__q_scale(in, i) : s_in), b = (double)kf__q_scale(wv->quant, i);
        m[i] = direct ? kf__mult3(a, b, (double)kf__q_scale(out, i)) : kf__mult2(a, b);
    }
    return put_vector(l, n->name, role, KF_F32, m, o, to);
}

/* Integer bounds of step 5. */
static kf_status put_bounds(lowering *l, const kf__node *n, const kf__quant *out, kf__step *s) {
    kf__q_bounds(n, out, 0, &s->qlo, &s->qhi);
    if (kf__q_uniform_bounds(n, out)) return KF_OK;
    KF_FAIL(l->err, KF_ERR_UNSUPPORTED,
            "%s: the clip after the residual differs between channels of one tensor; use one scale for it", n->name);
}

static kf_status finish_weighted(lowering *l, const kf__node *n, kf__step *s, const kf__quant *in,
                                 const kf__quant *out) {
    s->direct = kf__q_direct(n, out);
    s->border_bias = kf__q_border_bias(l->g, n);
    if (in->channels && s->op != KF_STEP_DWCONV)
        KF_FAIL(l->err, KF_ERR_FORMAT, "%s: scales per input channel need a depthwise convolution", n->name);
    KF_TRY(put_mul(l, n, 1, in, in->scale, out, s->direct, in->channels > 0, "mul", &s->consts[KF_CONST_MUL]));
    if (kf__q_hswish_k(n, out)) return put_scales(l, n->name, "k", NULL, out, by_hswish, 1, &s->consts[KF_CONST_K]);
    if (out && !s->direct) return put_scales(l, n->name, "inv", NULL, out, by_inverse, 1, &s->consts[KF_CONST_INV]);
    return KF_OK;
}

static kf_status finish_gate(lowering *l, const kf__node *n, kf__step *s, const kf__quant *in) {
    const kf__quant *pq = n->attrs.pool_quant, *hq = n->attrs.hidden_quant;
    const kf__shape *x = &l->g->values[n->in[0]].shape;
    if (!pq || !hq || pq->zero || hq->zero || pq->dtype != KF_I16 || hq->dtype != KF_I16 || pq->channels ||
        hq->channels || pq->qmin != -pq->qmax)
        KF_FAIL(l->err, KF_ERR_FORMAT, "%s: pooled and hidden values need one symmetric i16 scale each", n->name);
    double hw = (double)(x->dim[2] * x->dim[3]);
    s->direct = kf__activation_is_clip(&n->attrs.act);
    s->qlo = hq->qmin, s->qhi = hq->qmax;
    if (s->direct) kf__q_clip(hq, 0, &n->attrs.act, &s->qlo, &s->qhi);
    s->pool_qmax = pq->qmax, s->hidden_qmax = hq->qmax;
    s->hidden_inv = s->direct ? 1.0f : kf__inverse((double)hq->scale);
    s->pool_mul = by_ratio((double)kf__q_scale(in, 0), (double)pq->scale, hw);
    if (in->channels) KF_TRY(put_scales(l, n->name, "pool", in, pq, by_ratio, hw, &s->consts[KF_CONST_K]));
    KF_TRY(put_mul(l, n, 1, NULL, pq->scale, hq, s->direct, false, "reduce.mul", &s->consts[KF_CONST_MUL]));
    return put_mul(l, n, 3, NULL, hq->scale, NULL, false, false, "expand.mul", &s->consts[KF_CONST_MUL2]);
}

/* One multiplier for each number of taps that a window can count. */
static kf_status finish_avg_pool(lowering *l, const kf__node *n, kf__step *s, const kf__quant *in,
                                 const kf__quant *out) {
    int32_t taps = s->window.kh * s->window.kw;
    float *m = kf__arena_array(&l->p->arena, (size_t)taps, sizeof *m);
    if (!m) KF_FAIL_MEMORY(l->err, taps * 4);
    if (in->channels || (out && out->channels))
        KF_FAIL(l->err, KF_ERR_UNSUPPORTED, "%s: average pooling needs one scale per tensor", n->name);
    for (int32_t i = 0; i < taps; i++)
        m[i] = by_ratio((double)in->scale, out ? (double)out->scale : 1.0, (double)(i + 1));
    return put_vector(l, n->name, "mul", KF_F32, m, taps, &s->consts[KF_CONST_MUL]);
}

static kf_status finish_concat(lowering *l, const kf__node *n, kf__step *s, const kf__quant *out) {
    float m[KF_STEP_MAX_IN];
    for (int k = 0; k < n->n_in; k++) {
        const kf__quant *q = quant_of(l, n->in[k]);
        if (!q || !out || q->channels || out->channels)
            KF_FAIL(l->err, KF_ERR_UNSUPPORTED, "%s: all parts need one scale each", n->name);
        m[k] = by_direct((double)q->scale, (double)out->scale, 1);
    }
    return put_vector(l, n->name, "mul", KF_F32, m, n->n_in, &s->consts[KF_CONST_MUL]);
}

/* A step that only moves integers keeps their scale and zero point. */
static kf_status moves_only(lowering *l, const kf__node *n, const kf__quant *in, const kf__quant *out) {
    bool same = out && out->dtype == in->dtype && out->scale == in->scale && out->zero == in->zero;
    if (!same || out->channels || in->channels)
        KF_FAIL(l->err, KF_ERR_FORMAT, "%s: the output must keep the input's one scale", n->name);
    return KF_OK;
}

kf_status kf__lower_integer(lowering *l, const kf__node *n, kf__step *s) {
    const kf__quant *in = quant_of(l, n->in[0]), *out = quant_of(l, n->out[0]);
    if (out && n->op != KF_OP_SE_GATE) KF_TRY(put_bounds(l, n, out, s));
    switch (kf__op_table[n->op].rule) {
    case KF_RULE_CONV:
    case KF_RULE_FC: return finish_weighted(l, n, s, in, out);
    case KF_RULE_SE_GATE: return finish_gate(l, n, s, in);
    case KF_RULE_ACT:
        s->direct = kf__q_direct(n, out);
        if (s->direct) return put_scales(l, n->name, "mul", in, out, by_direct, 1, &s->consts[KF_CONST_MUL]);
        if (kf__q_hswish_k(n, out)) return put_scales(l, n->name, "k", NULL, out, by_hswish, 1, &s->consts[KF_CONST_K]);
        return out ? put_scales(l, n->name, "inv", NULL, out, by_inverse, 1, &s->consts[KF_CONST_INV]) : KF_OK;
    case KF_RULE_PAIR:
    case KF_RULE_SCALE:
        return out ? put_scales(l, n->name, "inv", NULL, out, by_inverse, 1, &s->consts[KF_CONST_INV]) : KF_OK;
    case KF_RULE_MEAN: {
        const kf__shape *x = &l->g->values[n->in[0]].shape;
        return put_scales(l, n->name, "mul", in, out, by_ratio, (double)(x->dim[2] * x->dim[3]),
                          &s->consts[KF_CONST_MUL]);
    }
    case KF_RULE_AVG_POOL: return finish_avg_pool(l, n, s, in, out);
    case KF_RULE_CONCAT: return finish_concat(l, n, s, out);
    case KF_RULE_MAX_POOL:
    case KF_RULE_PAD:
    case KF_RULE_VIEW:
    case KF_RULE_MOVE:
    case KF_RULE_NONE: break;
    }
    return moves_only(l, n, in, out);
}

kf_status kf__lower_convert(lowering *l, const char *name, const kf__quant *q, bool quantize, int32_t from,
                            int32_t to) {
    kf__step *s = &l->p->steps[l->p->n_steps++];
    *s = (kf__step){.op = quantize ? KF_STEP_QUANTIZE : KF_STEP_DEQUANTIZE, .n_in = 1, .in = {from}, .out = to};
    for (int r = 0; r < KF_CONST_ROLES; r++) s->consts[r] = -1;
    s->name = kf__arena_printf(&l->p->arena, "%s.%s", name, quantize ? "quantize" : "dequantize");
    s->sources = kf__arena_array(&l->p->arena, 1, sizeof *s->sources);
    if (!s->name || !s->sources) KF_FAIL_MEMORY(l->err, 64);
    if (!quantize) return KF_OK;
    s->qlo = q->qmin, s->qhi = q->qmax;
    return put_scales(l, s->name, "inv", NULL, q, by_inverse, 1, &s->consts[KF_CONST_INV]);
}
