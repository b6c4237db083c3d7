/* The load-time proof for quantized programs: scales, bounds, multipliers, and that no accumulator leaves 32 bits.
 * Floor 3.
 * Owner rule: reads only. */
#include "program/program_private.h"

#include <math.h>

static const float *floats(const kf__program *p, int32_t i, int64_t n) {
    if (i < 0 || i >= p->n_consts) return NULL;
    const kf__pconst *c = &p->consts[i];
    size_t count;
    return c->dtype == KF_F32 && kf__shape_count(&c->shape, &count) && (int64_t)count == n && c->bytes == count * 4 ? c->data : NULL;
}

static bool scale_ok(float s) { return s >= KF_SCALE_MIN && s <= KF_SCALE_MAX; }

kf_status kf__validate_quant(const kf__program *p, const kf__ptensor *t, kf_error *err) {
    const char *name = t->name ? t->name : "?";
    if (t->dtype == KF_F32) return KF_OK;
    int32_t least = t->dtype == KF_U8 ? 0 : -32767, most = t->dtype == KF_U8 ? 255 : 32767;
    if (t->dtype != KF_U8 && t->dtype != KF_I16) KF_FAIL(err, KF_ERR_CORRUPT, "tensor %s: type is out of range", name);
    if (!scale_ok(t->scale)) KF_FAIL(err, KF_ERR_CORRUPT, "tensor %s: scale %g is not in 1e-30..1e30", name, (double)t->scale);
    if (t->qmin < least || t->qmax > most || t->qmin > t->qmax) KF_FAIL(err, KF_ERR_CORRUPT, "tensor %s: bounds %d..%d", name, t->qmin, t->qmax);
    if (t->zero < 0 || t->zero > (t->dtype == KF_U8 ? 255 : 0)) KF_FAIL(err, KF_ERR_CORRUPT, "tensor %s: zero point %d", name, t->zero);
    const float *s = floats(p, t->scales, t->c);
    if (t->scales != -1 && !s) KF_FAIL(err, KF_ERR_CORRUPT, "tensor %s: scales are not one f32 a channel", name);
    for (int32_t c = 0; s && c < t->c; c++)
        if (!scale_ok(s[c])) KF_FAIL(err, KF_ERR_CORRUPT, "tensor %s: scale %g of channel %d is not in 1e-30..1e30", name, (double)s[c], c);
    if (t->zeros == -1) return KF_OK;
    if (!s || t->zeros < 0 || t->zeros >= p->n_consts) KF_FAIL(err, KF_ERR_CORRUPT, "tensor %s: zero points without scales", name);
    const kf__pconst *z = &p->consts[t->zeros];
    if (z->dtype != KF_I32 || z->bytes != (size_t)t->c * 4 || !z->data) KF_FAIL(err, KF_ERR_CORRUPT, "tensor %s: zeros are not one i32 a channel", name);
    for (int32_t c = 0; c < t->c; c++) {
        int32_t v = ((const int32_t *)z->data)[c];
        if (v < 0 || v > (t->dtype == KF_U8 ? 255 : 0)) KF_FAIL(err, KF_ERR_CORRUPT, "tensor %s: zero point %d of channel %d", name, v, c);
    }
    return KF_OK;
}

kf_status kf__validate_bias_count(const kf__step *s, const kf__ptensor *x, const kf__ptensor *y, int64_t *count,
                                  kf_error *err) {
    *count = y->c;
    if (!s->border_bias) return KF_OK;
    const kf__axis rows = kf__window_rows(&s->window), columns = kf__window_columns(&s->window);
    if (x->dtype != KF_U8 || x->zero != 0 || s->op != KF_STEP_CONV || s->window.group != 1 ||
        s->consts[KF_CONST_BIAS] < 0)
        STEP_FAIL(err, s, "a bias table needs an ungrouped convolution over pixels");
    *count *= (int64_t)kf__border_classes(&rows, x->h, y->h, NULL, NULL) *
              kf__border_classes(&columns, x->w, y->w, NULL, NULL);
    return KF_OK;
}

/* A multiplier vector of n entries, or of one where `one` allows. */
static kf_status want_factors(const kf__program *p, const kf__step *s, kf__const_role role, int64_t n, bool one, kf_error *err) {
    const float *m = floats(p, s->consts[role], n);
    if (!m && one) m = floats(p, s->consts[role], n = 1);
    if (!m) STEP_FAIL(err, s, "constant of role %d does not have %lld f32 elements", role, (long long)n);
    for (int64_t i = 0; i < n; i++)
        if (!(m[i] >= 0) || !isfinite(m[i])) STEP_FAIL(err, s, "constant of role %d: element %lld is not a usable factor", role, (long long)i);
    return KF_OK;
}

static int64_t weight_at(const kf__pconst *w, size_t i) { return w->dtype == KF_I8 ? ((const int8_t *)w->data)[i] : ((const int16_t *)w->data)[i]; }

/* Sum and sum of magnitudes of n bytes in a row. Runs of 128 fit 16 bits (128 * 128 = 2^14), which compilers turn into wide adds. */
static void add_bytes(const int8_t *w, int64_t n, int64_t *sum, int64_t *mass) {
    while (n > 0) {
        int run = n < 128 ? (int)n : 128;
        int16_t s = 0, m = 0;
        for (int i = 0; i < run; i++) {
            int16_t v = w[i];
            s = (int16_t)(s + v);
            m = (int16_t)(m + (v < 0 ? -v : v));
        }
        *sum += s, *mass += m, w += run, n -= run;
    }
}

/* Elements o*outer + i*inner, i < k, against inputs of magnitude at most `top` after, and `raw` before the zero point is taken off. */
static kf_status no_overflow(const kf__step *s, const kf__pconst *w, size_t at, size_t step, int64_t k, int64_t zero, int64_t raw,
                             const int32_t *bias, int64_t rows, int64_t o, int64_t n_out, kf_error *err) {
    int64_t sum = 0, mass = 0, top = raw - zero > zero ? raw - zero : zero;
    if (w->dtype == KF_I8 && step == 1) add_bytes((const int8_t *)w->data + at, k, &sum, &mass), k = 0;
    for (int64_t i = 0; i < k; i++) {
        int64_t v = weight_at(w, at + (size_t)i * step);
        sum += v;
        mass += v < 0 ? -v : v;
    }
    for (int64_t r = 0; r < rows; r++) {
        int64_t b = bias ? bias[r * n_out + o] : 0, folded = b - zero * sum;
        if (mass * top + (b < 0 ? -b : b) > INT32_MAX || mass * raw + (folded < 0 ? -folded : folded) > INT32_MAX)
            STEP_FAIL(err, s, "channel %lld: the accumulator could overflow", (long long)o);
    }
    return KF_OK;
}

static int64_t largest(int32_t lo, int32_t hi) { return hi > -(int64_t)lo ? hi : -(int64_t)lo; }

static kf_status check_layer(const kf__program *p, const kf__step *s, kf__const_role wr, kf__const_role br, const kf__ptensor *x, int64_t raw, int64_t n_out,
                             kf_error *err) {
    const kf__pconst *w = &p->consts[s->consts[wr]], *b = s->consts[br] < 0 ? NULL : &p->consts[s->consts[br]];
    bool depthwise = s->op == KF_STEP_DWCONV;
    int64_t total = (int64_t)(w->bytes / kf_dtype_size(w->dtype)), k = total / n_out;
    int64_t rows = b ? (int64_t)(b->bytes / 4) / n_out : 1;
    for (int64_t o = 0; o < n_out; o++) {
        int64_t zero = x ? x->zero : 0;
        if (x && x->zeros >= 0) zero = ((const int32_t *)p->consts[x->zeros].data)[o];
        KF_TRY(no_overflow(s, w, depthwise ? (size_t)o : (size_t)(o * k), depthwise ? (size_t)n_out : 1, k, zero, raw, b ? b->data : NULL, rows, o, n_out, err));
    }
    return KF_OK;
}

static kf_status check_weighted(const kf__program *p, const kf__step *s, const kf__ptensor *x, const kf__ptensor *y, kf_error *err) {
    KF_TRY(want_factors(p, s, KF_CONST_MUL, y->c, false, err));
    if (x->scales >= 0 && s->op != KF_STEP_DWCONV) STEP_FAIL(err, s, "scales per input channel need a depthwise convolution");
    if (s->consts[KF_CONST_FBIAS] >= 0) {
        const float *b = floats(p, s->consts[KF_CONST_FBIAS], y->c);
        if (!b || y->dtype != KF_F32) STEP_FAIL(err, s, "the f32 bias does not fit");
        for (int32_t c = 0; c < y->c; c++)
            if (!isfinite(b[c])) STEP_FAIL(err, s, "the f32 bias is not finite");
    }
    if (s->n_in == 2 && (p->tensors[s->in[1]].scales >= 0 || s->direct)) STEP_FAIL(err, s, "a residual needs one scale and an indirect step");
    return check_layer(p, s, KF_CONST_W, KF_CONST_BIAS, x, x->dtype == KF_U8 ? 255 : largest(x->qmin, x->qmax), y->c, err);
}

static kf_status check_gate(const kf__program *p, const kf__step *s, const kf__ptensor *x, const kf__ptensor *y, kf_error *err) {
    int64_t r = p->consts[s->consts[KF_CONST_W]].shape.dim[0];
    if (y->dtype != KF_F32) STEP_FAIL(err, s, "the gate must be f32");
    if (s->pool_qmax < 1 || s->pool_qmax > 32767 || s->hidden_qmax < 1 || s->hidden_qmax > 32767 || s->qlo < -s->hidden_qmax || s->qhi > s->hidden_qmax || s->qlo > s->qhi)
        STEP_FAIL(err, s, "bounds of pooled or hidden values are out of range");
    if (!isfinite(s->pool_mul) || s->pool_mul < 0 || !isfinite(s->hidden_inv) || s->hidden_inv < 0) STEP_FAIL(err, s, "multipliers are not usable");
    if (x->scales >= 0) KF_TRY(want_factors(p, s, KF_CONST_K, x->c, false, err));
    KF_TRY(want_factors(p, s, KF_CONST_MUL, r, false, err));
    KF_TRY(want_factors(p, s, KF_CONST_MUL2, y->c, false, err));
    KF_TRY(check_layer(p, s, KF_CONST_W, KF_CONST_BIAS, NULL, s->pool_qmax, r, err));
    return check_layer(p, s, KF_CONST_W2, KF_CONST_BIAS2, NULL, largest(s->qlo, s->qhi), y->c, err);
}

static bool same_quant(const kf__ptensor *a, const kf__ptensor *b) {
    return a->dtype == b->dtype && a->scale == b->scale && a->zero == b->zero && a->scales == -1 && b->scales == -1;
}

/* Factors of step 5 of a quantized output. */
static kf_status check_rounding(const kf__program *p, const kf__step *s, const kf__ptensor *y, kf_error *err) {
    if (y->dtype == KF_F32) return KF_OK;
    if (s->qlo < y->qmin || s->qhi > y->qmax || s->qlo > s->qhi) STEP_FAIL(err, s, "bounds %d..%d are outside the tensor's", s->qlo, s->qhi);
    switch (s->op) {
    case KF_STEP_CONV: case KF_STEP_DWCONV: case KF_STEP_FC: case KF_STEP_ACT: case KF_STEP_ADD: case KF_STEP_MUL: case KF_STEP_SCALE: case KF_STEP_QUANTIZE:
        if (s->direct) return KF_OK;
        if (s->consts[KF_CONST_K] >= 0) {
            if (s->act.kind != KF_ACT_HSWISH || s->n_in > 1) STEP_FAIL(err, s, "an h-swish factor without its h-swish");
            return want_factors(p, s, KF_CONST_K, y->c, true, err);
        }
        return want_factors(p, s, KF_CONST_INV, y->c, true, err);
    default: return KF_OK;
    }
}

static kf_status check_types(const kf__program *p, const kf__step *s, const kf__ptensor *x, const kf__ptensor *y, kf_error *err) {
    switch (s->op) {
    case KF_STEP_CONV: case KF_STEP_DWCONV: case KF_STEP_FC: return check_weighted(p, s, x, y, err);
    case KF_STEP_SE_GATE: return check_gate(p, s, x, y, err);
    case KF_STEP_SCALE:
        if (p->tensors[s->in[1]].dtype != KF_F32) STEP_FAIL(err, s, "the gate must be f32");
        return KF_OK;
    case KF_STEP_ACT: return s->direct ? want_factors(p, s, KF_CONST_MUL, y->c, true, err) : KF_OK;
    case KF_STEP_ADD: case KF_STEP_MUL: return KF_OK;
    case KF_STEP_GLOBAL_POOL: return want_factors(p, s, KF_CONST_MUL, y->c, true, err);
    case KF_STEP_AVG_POOL:
        if (x->scales >= 0 || y->scales >= 0) STEP_FAIL(err, s, "average pooling needs one scale a tensor");
        return want_factors(p, s, KF_CONST_MUL, (int64_t)s->window.kh * s->window.kw, false, err);
    case KF_STEP_CONCAT:
        for (int k = 0; k < s->n_in; k++)
            if (p->tensors[s->in[k]].dtype == KF_F32 || p->tensors[s->in[k]].scales >= 0 || y->dtype == KF_F32 || y->scales >= 0) STEP_FAIL(err, s, "parts need one scale each");
        return want_factors(p, s, KF_CONST_MUL, s->n_in, false, err);
    case KF_STEP_MAX_POOL: case KF_STEP_PAD: case KF_STEP_TO_NCHW: case KF_STEP_RESHAPE:
        if (!same_quant(x, y)) STEP_FAIL(err, s, "the output must keep the input's scale");
        return KF_OK;
    case KF_STEP_DEQUANTIZE:
        if (y->dtype != KF_F32) STEP_FAIL(err, s, "the output must be f32");
        return KF_OK;
    default: STEP_FAIL(err, s, "there is no integer form of this step");
    }
}

kf_status kf__validate_types(const kf__program *p, const kf__step *s, kf_error *err) {
    const kf__ptensor *x = &p->tensors[s->in[0]], *y = &p->tensors[s->out];
    if (x->dtype == KF_F32 && s->op == KF_STEP_QUANTIZE) {
        if (y->dtype == KF_F32) STEP_FAIL(err, s, "the output must be quantized");
        return check_rounding(p, s, y, err);
    }
    if (x->dtype == KF_F32) { /* a float step is float throughout */
        for (int k = 0; k < s->n_in; k++)
            if (p->tensors[s->in[k]].dtype != KF_F32) STEP_FAIL(err, s, "input %d is quantized, input 0 is not", k);
        if (y->dtype != KF_F32 || s->op == KF_STEP_DEQUANTIZE) STEP_FAIL(err, s, "types do not fit");
        return KF_OK;
    }
    KF_TRY(check_types(p, s, x, y, err));
    return check_rounding(p, s, y, err);
}
