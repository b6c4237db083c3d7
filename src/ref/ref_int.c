/* Integer rules of everything but convolutions: activation, sums, pools, scale, concat, and moves of bytes.
 * Follows docs/NUMERICS.md row by row.
 * Owner rule: everything lives in the run's arena. */
#include "ref/ref.h"

static kf_status make_out(kf__ref_node *r) {
    const kf__value *v = &r->g->values[r->n->out[0]];
    return kf__ref_alloc(r->out, r->out_q ? r->out_q->dtype : KF_F32, &v->shape, r->arena, r->err);
}

static size_t count_of(const kf__shape *s) {
    size_t n;
    return kf__shape_count(s, &n) ? n : 0;
}

/** Channel (axis 1) of element i. */
static int64_t channel(const kf__shape *s, size_t i) {
    size_t inner = 1;
    for (int d = 2; d < s->rank; d++) inner *= (size_t)s->dim[d];
    return s->rank > 1 ? (int64_t)(i / inner) % s->dim[1] : 0;
}

static float real_at(const kf__ref_node *r, int k, size_t i, int64_t c) {
    if (!r->in_q[k]) return ((const float *)r->in[k]->data)[i];
    return (float)(kf__ref_get(r->in[k], i) - kf__q_zero(r->in_q[k], c)) * kf__q_scale(r->in_q[k], c);
}

/** Step 5 with the multiply already done (f32 outputs: store). */
static void round_at(kf__ref_node *r, size_t i, int64_t c, float x) {
    if (!r->out_q) {
        ((float *)r->out->data)[i] = x;
        return;
    }
    int32_t lo, hi;
    kf__q_bounds(r->n, r->out_q, c, &lo, &hi);
    kf__ref_put(r->out, i, kf__quantize_clamped(x, kf__q_zero(r->out_q, c), lo, hi));
}

static float inv_out(const kf__ref_node *r, int64_t c) {
    return r->out_q ? kf__inverse((double)kf__q_scale(r->out_q, c)) : 1.0f;
}

static kf_status run_act(kf__ref_node *r) {
    const kf__activation *act = &r->n->attrs.act;
    bool direct = kf__q_direct(r->n, r->out_q), with_k = kf__q_hswish_k(r->n, r->out_q);
    KF_TRY(make_out(r));
    for (size_t i = 0, n = count_of(&r->out->shape); i < n; i++) {
        int64_t c = channel(&r->out->shape, i);
        float x;
        if (direct) {
            int32_t d = kf__ref_get(r->in[0], i) - kf__q_zero(r->in_q[0], c);
            x = (float)d * kf__mult3((double)kf__q_scale(r->in_q[0], c), 1.0, (double)kf__q_scale(r->out_q, c));
        } else {
            x = real_at(r, 0, i, c);
            if (with_k) x = kf__hswish(x, kf__q_hswish_factor(kf__q_scale(r->out_q, c)));
            else x = kf__activate(act->kind, x, act->lo, act->hi) * inv_out(r, c);
        }
        round_at(r, i, c, x);
    }
    return KF_OK;
}

static kf_status run_add_mul(kf__ref_node *r) {
    if (!kf__shape_equal(&r->in[0]->shape, &r->in[1]->shape))
        KF_FAIL(r->err, KF_ERR_UNSUPPORTED, "quantized operands must have one shape");
    const kf__activation *post = &r->n->attrs.post_act;
    KF_TRY(make_out(r));
    for (size_t i = 0, n = count_of(&r->out->shape); i < n; i++) {
        int64_t c = channel(&r->out->shape, i);
        float a = real_at(r, 0, i, c), b = real_at(r, 1, i, c);
        float x = r->n->op == KF_OP_ADD ? a + b : a * b;
        if (r->out_q) x = x * inv_out(r, c);
        else x = kf__activate(post->kind, x, post->lo, post->hi);
        round_at(r, i, c, x);
    }
    return KF_OK;
}

static kf_status run_global_pool(kf__ref_node *r) {
    const kf__shape *s = &r->in[0]->shape;
    if (s->rank != 4) KF_FAIL(r->err, KF_ERR_SHAPE, "rank %d; 4 is needed", s->rank);
    int64_t hw = s->dim[2] * s->dim[3];
    KF_TRY(make_out(r));
    for (int64_t p = 0; p < s->dim[0] * s->dim[1]; p++) {
        int64_t c = p % s->dim[1], sum = 0;
        for (int64_t i = 0; i < hw; i++) sum += kf__ref_get(r->in[0], (size_t)(p * hw + i)) - kf__q_zero(r->in_q[0], c);
        double s_out = r->out_q ? (double)kf__q_scale(r->out_q, c) : 1.0;
        float mul = (float)((double)kf__q_scale(r->in_q[0], c) / ((double)hw * s_out));
        round_at(r, (size_t)p, c, (float)sum * mul);
    }
    return KF_OK;
}

/** One window: largest q, or the sum of (q - z) with the number of taps that count. */
static void window(const kf__ref_node *r, int64_t plane, int64_t y, int64_t x, int64_t c, int32_t *top, int64_t *sum,
                   int64_t *count) {
    const kf__window *a = &r->n->attrs.window;
    int64_t ih = r->in[0]->shape.dim[2], iw = r->in[0]->shape.dim[3];
    *top = INT32_MIN;
    *sum = *count = 0;
    for (int64_t t = 0; t < (int64_t)a->kh * a->kw; t++) {
        int64_t sy = y * a->sh - a->pt + t / a->kw * a->dh, sx = x * a->sw - a->pl + t % a->kw * a->dw;
        bool inside = sy >= 0 && sy < ih && sx >= 0 && sx < iw;
        bool padded = sy >= -a->pt && sy < ih + a->pb && sx >= -a->pl && sx < iw + a->pr;
        if (inside || (padded && r->n->attrs.count_include_pad)) (*count)++;
        if (!inside) continue;
        int32_t q = kf__ref_get(r->in[0], (size_t)((plane * ih + sy) * iw + sx));
        if (q > *top) *top = q;
        *sum += q - kf__q_zero(r->in_q[0], c);
    }
}

static bool same_quant(const kf__quant *a, const kf__quant *b) {
    return a && b && a->dtype == b->dtype && a->scale == b->scale && a->zero == b->zero && a->channels == b->channels;
}

static kf_status run_pool(kf__ref_node *r) {
    bool is_max = r->n->op == KF_OP_MAX_POOL;
    if (is_max && !same_quant(r->in_q[0], r->out_q))
        KF_FAIL(r->err, KF_ERR_FORMAT, "max pooling keeps its input's scale");
    KF_TRY(make_out(r));
    const kf__shape *s = &r->out->shape;
    for (size_t i = 0, n = count_of(s); i < n; i++) {
        int64_t x = (int64_t)i % s->dim[3], y = (int64_t)i / s->dim[3] % s->dim[2],
                plane = (int64_t)i / (s->dim[2] * s->dim[3]);
        int64_t c = plane % s->dim[1], sum, count;
        int32_t top;
        window(r, plane, y, x, c, &top, &sum, &count);
        if (is_max) {
            if (top > r->out_q->qmax) top = r->out_q->qmax;
            if (top < r->out_q->qmin) top = r->out_q->qmin;
            kf__ref_put(r->out, i, top);
            continue;
        }
        double s_out = r->out_q ? (double)kf__q_scale(r->out_q, c) : 1.0;
        float mul = (float)((double)kf__q_scale(r->in_q[0], c) / ((double)(count ? count : 1) * s_out));
        round_at(r, i, c, (float)sum * mul);
    }
    return KF_OK;
}

static kf_status run_scale(kf__ref_node *r) {
    if (r->in[1]->dtype != KF_F32) KF_FAIL(r->err, KF_ERR_FORMAT, "the gate must be f32");
    KF_TRY(make_out(r));
    int64_t channels = r->out->shape.dim[1], hw = r->out->shape.dim[2] * r->out->shape.dim[3];
    for (int64_t p = 0; p < r->out->shape.dim[0] * channels; p++) {
        int64_t c = p % channels;
        float factor = kf__q_scale(r->in_q[0], c) * ((const float *)r->in[1]->data)[p];
        if (r->out_q) factor = factor * inv_out(r, c);
        for (int64_t i = 0; i < hw; i++) {
            size_t at = (size_t)(p * hw + i);
            round_at(r, at, c, (float)(kf__ref_get(r->in[0], at) - kf__q_zero(r->in_q[0], c)) * factor);
        }
    }
    return KF_OK;
}

static kf_status run_concat(kf__ref_node *r) {
    KF_TRY(make_out(r));
    const kf__shape *s = &r->out->shape;
    int axis = r->n->attrs.axis < 0 ? r->n->attrs.axis + s->rank : r->n->attrs.axis;
    size_t outer = 1, inner = 1, start = 0, row;
    for (int d = 0; d < axis; d++) outer *= (size_t)s->dim[d];
    for (int d = axis + 1; d < s->rank; d++) inner *= (size_t)s->dim[d];
    row = (size_t)s->dim[axis] * inner;
    for (int k = 0; k < r->n->n_in; k++) {
        size_t part = (size_t)r->in[k]->shape.dim[axis] * inner;
        if (!r->in_q[k] || !r->out_q || r->in_q[k]->channels || r->out_q->channels)
            KF_FAIL(r->err, KF_ERR_UNSUPPORTED, "all parts need one scale each");
        float mul = kf__mult3((double)r->in_q[k]->scale, 1.0, (double)r->out_q->scale);
        for (size_t i = 0; i < outer * part; i++) {
            float x = (float)(kf__ref_get(r->in[k], i) - r->in_q[k]->zero) * mul;
            round_at(r, i / part * row + start + i % part, 0, x);
        }
        start += part;
    }
    return KF_OK;
}

static kf_status run_pad(kf__ref_node *r) {
    KF_TRY(make_out(r));
    const kf__shape *s = &r->out->shape, *x = &r->in[0]->shape;
    if (!same_quant(r->in_q[0], r->out_q)) KF_FAIL(r->err, KF_ERR_FORMAT, "padding keeps its input's scale");
    for (size_t i = 0, n = count_of(s); i < n; i++) {
        size_t rest = i, from = 0, step = 1;
        bool inside = true;
        for (int d = s->rank - 1; d >= 0; d--) {
            int64_t at = (int64_t)(rest % (size_t)s->dim[d]) - r->n->attrs.axes[d];
            rest /= (size_t)s->dim[d];
            if (at < 0 || at >= x->dim[d]) inside = false;
            else from += (size_t)at * step;
            step *= (size_t)x->dim[d];
        }
        kf__ref_put(r->out, i, inside ? kf__ref_get(r->in[0], from) : kf__q_zero(r->out_q, channel(s, i)));
    }
    return KF_OK;
}

/** Same bytes, other shape. */
static kf_status run_view(kf__ref_node *r) {
    const kf__value *v = &r->g->values[r->n->out[0]];
    if (!same_quant(r->in_q[0], r->out_q)) KF_FAIL(r->err, KF_ERR_FORMAT, "a reshape keeps its input's scale");
    if (count_of(&v->shape) != count_of(&r->in[0]->shape)) KF_FAIL(r->err, KF_ERR_SHAPE, "element counts differ");
    *r->out = *r->in[0];
    r->out->shape = v->shape;
    return KF_OK;
}

/** The evaluator moves bytes of any type. */
static kf_status run_move(kf__ref_node *r) {
    if (!same_quant(r->in_q[0], r->out_q)) KF_FAIL(r->err, KF_ERR_FORMAT, "a move keeps its input's scale");
    return kf__eval_node(r->n, r->in, r->n->n_in, r->out, r->n->n_out, r->arena, r->err);
}

kf_status kf__ref_integer(kf__ref_node *r) {
    switch (kf__op_table[r->n->op].rule) {
    case KF_RULE_CONV: return kf__ref_conv(r);
    case KF_RULE_FC: return kf__ref_fc(r);
    case KF_RULE_SE_GATE: return kf__ref_se_gate(r);
    case KF_RULE_SCALE: return run_scale(r);
    case KF_RULE_ACT: return run_act(r);
    case KF_RULE_PAIR: return run_add_mul(r);
    case KF_RULE_MEAN: return run_global_pool(r);
    case KF_RULE_AVG_POOL:
    case KF_RULE_MAX_POOL: return run_pool(r);
    case KF_RULE_CONCAT: return run_concat(r);
    case KF_RULE_PAD: return r->n->attrs.mode == KF_PAD_VALUE ? run_pad(r) : run_move(r);
    case KF_RULE_VIEW: return run_view(r);
    case KF_RULE_MOVE: return run_move(r);
    case KF_RULE_NONE: break;
    }
    KF_FAIL(r->err, KF_ERR_INTERNAL, "it has no rules on integers");
}
