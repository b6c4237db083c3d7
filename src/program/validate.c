/* The load-time proof that a program can run: every index, shape, size and order, whatever file it came from.
 * Floor 3.
 * Owner rule: reads only. */
#include "program/program_private.h"

#include <math.h>

enum { MAX_EXTENT = 1 << 20, MAX_ELEMENTS = 1 << 28 };

static bool tensor_ok(const kf__ptensor *t) {
    const int32_t d[4] = {t->n, t->h, t->w, t->c};
    size_t n = 1;
    for (int i = 0; i < 4; i++)
        if (d[i] < 1 || d[i] > MAX_EXTENT || !kf__mul_size(n, (size_t)d[i], &n) || n > MAX_ELEMENTS) return false;
    return t->dtype == KF_F32 || t->dtype == KF_U8 || t->dtype == KF_I16;
}

/* The type that a role has in a step: f32, or in an integer step i8 or i16 weights and i32 biases. */
static bool type_fits(const kf__program *p, const kf__step *s, kf__const_role role, kf_dtype type) {
    if (p->tensors[s->in[0]].dtype == KF_F32) return type == KF_F32;
    if (role == KF_CONST_W || role == KF_CONST_W2) return type == KF_I8 || type == KF_I16;
    return role == KF_CONST_BIAS || role == KF_CONST_BIAS2 ? type == KF_I32 : type == KF_F32;
}

/* A constant of role `role` must exist (unless optional) with `n` elements of the right type. */
static kf_status want_const(const kf__program *p, const kf__step *s, kf__const_role role, bool optional, int64_t n, kf_error *err) {
    int32_t i = s->consts[role];
    if (i == -1 && optional) return KF_OK;
    if (i < 0 || i >= p->n_consts) STEP_FAIL(err, s, "constant %d of role %d is out of range", i, role);
    const kf__pconst *c = &p->consts[i];
    size_t count;
    bool integer = p->tensors[s->in[0]].dtype != KF_F32;
    if (!type_fits(p, s, role, c->dtype) || !kf__shape_count(&c->shape, &count) || (int64_t)count != n || c->bytes != count * kf_dtype_size(c->dtype) || !c->data)
        STEP_FAIL(err, s, "constant %s does not have %lld %s elements", c->name, (long long)n, integer ? "integer" : "f32");
    return KF_OK;
}

/* Weights whose extents the executor relies on for packing: not only their number counts. */
static kf_status want_matrix(const kf__program *p, const kf__step *s, kf__const_role role, int rank, const int64_t *dim, kf_error *err) {
    kf__shape want = kf__shape_make(rank, dim);
    size_t n = 0;
    char a[96], b[96];
    if (!kf__shape_count(&want, &n) || n > MAX_ELEMENTS) STEP_FAIL(err, s, "weights are out of range");
    KF_TRY(want_const(p, s, role, false, (int64_t)n, err));
    const kf__pconst *c = &p->consts[s->consts[role]];
    if (!kf__shape_equal(&c->shape, &want))
        STEP_FAIL(err, s, "constant %s is %s; %s is needed", c->name, kf__shape_text(&c->shape, a, sizeof a), kf__shape_text(&want, b, sizeof b));
    return KF_OK;
}

static bool same_shape(const kf__ptensor *a, const kf__ptensor *b) {
    return a->n == b->n && a->h == b->h && a->w == b->w && a->c == b->c;
}

static bool window_ok(const kf__step *s, const kf__ptensor *x, const kf__ptensor *y) {
    const kf__window *w = &s->window;
    const int32_t v[] = {w->kh, w->kw, w->sh, w->sw, w->dh, w->dw, w->pt, w->pl, w->pb, w->pr};
    for (size_t i = 0; i < KF_COUNT(v); i++)
        if (v[i] > 4096) return false;
    const kf__axis rows = kf__window_rows(w), columns = kf__window_columns(w);
    int64_t oh, ow;
    if (x->n != y->n || !kf__axis_extent(&rows, x->h, false, &oh) || !kf__axis_extent(&columns, x->w, false, &ow))
        return false;
    bool pool = s->op == KF_STEP_AVG_POOL || s->op == KF_STEP_MAX_POOL; /* ceil mode may add one row or column */
    return (y->h == oh || (pool && y->h == oh + 1)) && (y->w == ow || (pool && y->w == ow + 1));
}

static kf_status check_conv(const kf__program *p, const kf__step *s, const kf__ptensor *x, const kf__ptensor *y, kf_error *err) {
    if (!window_ok(s, x, y)) STEP_FAIL(err, s, "window does not fit input and output");
    int64_t taps = (int64_t)s->window.kh * s->window.kw;
    if (s->op == KF_STEP_DWCONV) {
        if (s->window.kh > 64)
            STEP_FAIL(err, s, "kernel of %d rows; at most 64", s->window.kh); /* row table of the executor */
        if (x->c != y->c) STEP_FAIL(err, s, "%d input and %d output channels", x->c, y->c);
        KF_TRY(want_const(p, s, KF_CONST_W, false, taps * x->c, err));
    } else {
        if (s->window.group < 1 || x->c % s->window.group || y->c % s->window.group)
            STEP_FAIL(err, s, "group %d does not divide the channels", s->window.group);
        KF_TRY(want_matrix(p, s, KF_CONST_W, 4, (int64_t[]){y->c, s->window.kh, s->window.kw, x->c / s->window.group},
                           err));
    }
    if (s->n_in > 2) STEP_FAIL(err, s, "%d inputs; at most 2", s->n_in);
    if (s->n_in == 2 && !same_shape(&p->tensors[s->in[1]], y)) STEP_FAIL(err, s, "the residual has another shape than the output");
    int64_t biases;
    KF_TRY(kf__validate_bias_count(s, x, y, &biases, err));
    return want_const(p, s, KF_CONST_BIAS, true, biases, err);
}

static kf_status check_gate(const kf__program *p, const kf__step *s, const kf__ptensor *x, const kf__ptensor *y, kf_error *err) {
    int32_t i = s->consts[KF_CONST_W];
    if (i < 0 || i >= p->n_consts || p->consts[i].shape.rank < 1) STEP_FAIL(err, s, "reduce weights are missing");
    int64_t r = p->consts[i].shape.dim[0];
    if (r < 1 || r > MAX_EXTENT || y->c != x->c || y->h != 1 || y->w != 1 || y->n != x->n) STEP_FAIL(err, s, "shapes do not fit");
    KF_TRY(want_matrix(p, s, KF_CONST_W, 2, (int64_t[]){r, x->c}, err));
    KF_TRY(want_const(p, s, KF_CONST_BIAS, false, r, err));
    KF_TRY(want_matrix(p, s, KF_CONST_W2, 2, (int64_t[]){x->c, r}, err));
    return want_const(p, s, KF_CONST_BIAS2, false, x->c, err);
}

static bool shapes_ok(const kf__program *p, const kf__step *s, const kf__ptensor *x, const kf__ptensor *y) {
    const kf__ptensor *b = s->n_in > 1 ? &p->tensors[s->in[1]] : NULL;
    switch (s->op) {
    case KF_STEP_SCALE: return b && same_shape(x, y) && b->n == x->n && b->c == x->c && b->h == 1 && b->w == 1;
    case KF_STEP_ADD: case KF_STEP_MUL: return b && same_shape(x, y) && same_shape(b, y);
    case KF_STEP_ACT: case KF_STEP_SOFTMAX: case KF_STEP_QUANTIZE: case KF_STEP_DEQUANTIZE: return same_shape(x, y);
    case KF_STEP_GLOBAL_POOL: return y->h == 1 && y->w == 1 && y->n == x->n && y->c == x->c;
    case KF_STEP_TO_NCHW: return y->n == x->n && y->h == 1 && y->w == 1 && (int64_t)y->c == (int64_t)x->h * x->w * x->c;
    case KF_STEP_RESHAPE: return (int64_t)x->n * x->h * x->w * x->c == (int64_t)y->n * y->h * y->w * y->c;
    case KF_STEP_PAD:
        return s->window.pt >= 0 && s->window.pl >= 0 && s->window.pb >= 0 && s->window.pr >= 0 && y->n == x->n &&
               y->c == x->c && (int64_t)y->h == (int64_t)x->h + s->window.pt + s->window.pb &&
               (int64_t)y->w == (int64_t)x->w + s->window.pl + s->window.pr;
    case KF_STEP_CONCAT: {
        int64_t c = 0;
        for (int k = 0; k < s->n_in; k++) {
            const kf__ptensor *t = &p->tensors[s->in[k]];
            if (t->n != y->n || t->h != y->h || t->w != y->w) return false;
            c += t->c;
        }
        return c == y->c;
    }
    default: return false;
    }
}

static kf_status check_step(const kf__program *p, const kf__step *s, kf_error *err) {
    const kf__ptensor *x = &p->tensors[s->in[0]], *y = &p->tensors[s->out];
    if (isnan(s->act.lo) || isnan(s->act.hi) || isnan(s->post_act.lo) || isnan(s->post_act.hi)) STEP_FAIL(err, s, "a bound is NaN");
    switch (s->op) {
    case KF_STEP_CONV: case KF_STEP_DWCONV: return check_conv(p, s, x, y, err);
    case KF_STEP_FC:
        if (x->h != 1 || x->w != 1 || y->h != 1 || y->w != 1 || x->n != y->n) STEP_FAIL(err, s, "shapes do not fit");
        KF_TRY(want_matrix(p, s, KF_CONST_W, 2, (int64_t[]){y->c, x->c}, err));
        return want_const(p, s, KF_CONST_BIAS, true, y->c, err);
    case KF_STEP_SE_GATE: return check_gate(p, s, x, y, err);
    case KF_STEP_AVG_POOL: case KF_STEP_MAX_POOL:
        if (!window_ok(s, x, y) || x->c != y->c) STEP_FAIL(err, s, "window does not fit input and output");
        return KF_OK;
    default:
        if (!shapes_ok(p, s, x, y)) STEP_FAIL(err, s, "shapes do not fit");
        return KF_OK;
    }
}

static kf_status check_order(const kf__program *p, bool *written, kf_error *err) {
    for (int32_t i = 0; i < p->n_inputs; i++) {
        int32_t t = p->inputs[i].tensor;
        if (t < 0 || t >= p->n_tensors || written[t]) KF_FAIL(err, KF_ERR_CORRUPT, "input %d names tensor %d", i, t);
        written[t] = true;
    }
    for (int32_t i = 0; i < p->n_steps; i++) {
        const kf__step *s = &p->steps[i];
        if ((unsigned)s->op >= KF_STEP_OP_COUNT || s->n_in < 1 || s->n_in > KF_STEP_MAX_IN) STEP_FAIL(err, s, "step %d is malformed", i);
        for (int k = 0; k < s->n_in; k++)
            if (s->in[k] < 0 || s->in[k] >= p->n_tensors || !written[s->in[k]]) STEP_FAIL(err, s, "reads tensor %d before it is written", s->in[k]);
        if (s->out < 0 || s->out >= p->n_tensors || written[s->out]) STEP_FAIL(err, s, "writes tensor %d twice or out of range", s->out);
        KF_TRY(check_step(p, s, err));
        KF_TRY(kf__validate_types(p, s, err));
        written[s->out] = true;
    }
    for (int32_t i = 0; i < p->n_outputs; i++)
        if (p->outputs[i].tensor < 0 || p->outputs[i].tensor >= p->n_tensors || !written[p->outputs[i].tensor])
            KF_FAIL(err, KF_ERR_CORRUPT, "output %d is never written", i);
    return KF_OK;
}

static bool declared_ok(int32_t rank, const int64_t *shape, const kf__ptensor *t) {
    int64_t n = 1;
    if (rank < 0 || rank > KF_MAX_RANK) return false;
    for (int i = 0; i < rank; i++)
        if (shape[i] < 1 || __builtin_mul_overflow(n, shape[i], &n)) return false;
    return n == (int64_t)t->n * t->h * t->w * t->c;
}

kf_status kf__program_validate(const kf__program *p, kf_error *err) {
    if (p->n_inputs < 1 || p->n_outputs < 1 || p->n_steps < 1) KF_FAIL(err, KF_ERR_CORRUPT, "the program has no inputs, outputs or steps");
    for (int32_t i = 0; i < p->n_tensors; i++)
        if (!tensor_ok(&p->tensors[i])) KF_FAIL(err, KF_ERR_CORRUPT, "tensor %d: extents or type are out of range", i);
    for (int32_t i = 0; i < p->n_tensors; i++) KF_TRY(kf__validate_quant(p, &p->tensors[i], err));
    bool *written = kf__mem_zalloc(NULL, (size_t)p->n_tensors + 1);
    if (!written) KF_FAIL_MEMORY(err, p->n_tensors);
    kf_status st = check_order(p, written, err);
    kf__mem_free(NULL, written);
    KF_TRY(st);
    for (int32_t i = 0; i < p->n_inputs; i++) {
        const kf__pinput *in = &p->inputs[i];
        if (in->layout < 0 || in->layout > 2 || !declared_ok(in->rank, in->shape, &p->tensors[in->tensor]) || (in->layout != 2 && in->rank != 4))
            KF_FAIL(err, KF_ERR_CORRUPT, "input %d: declared shape does not fit its tensor", i);
        const kf__ptensor *t = &p->tensors[in->tensor];
        if (in->pixels ? t->dtype != KF_U8 || t->scale != 1 || t->zero != 0 || t->scales != -1 : t->dtype != KF_F32)
            KF_FAIL(err, KF_ERR_CORRUPT, "input %d: its tensor is neither f32 nor u8 pixels", i);
    }
    for (int32_t i = 0; i < p->n_outputs; i++)
        if (p->tensors[p->outputs[i].tensor].dtype != KF_F32) KF_FAIL(err, KF_ERR_CORRUPT, "output %d is not f32", i);
    for (int32_t i = 0; i < p->n_outputs; i++)
        if (!declared_ok(p->outputs[i].rank, p->outputs[i].shape, &p->tensors[p->outputs[i].tensor]))
            KF_FAIL(err, KF_ERR_CORRUPT, "output %d: declared shape does not fit its tensor", i);
    return KF_OK;
}
