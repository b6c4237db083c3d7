/* Raising, the integer half: scales of tensors, and scales of weights recovered from the multipliers. The inverse of
 * lower_int.c: a quotient in double, rounded once, is the scale or its neighbour in f32.
 * Owner rule: see raise.h. */
#include "graph/qrules.h"
#include "lower/raise_private.h"

kf_status kf__raise_quant(kf__raising *r, const kf__ptensor *t, kf__quant **out) {
    *out = NULL;
    if (t->dtype == KF_F32) return KF_OK;
    kf__quant *q = kf__arena_zalloc(&r->g->arena, sizeof *q);
    if (!q) KF_FAIL_MEMORY(r->err, sizeof *q);
    *q = (kf__quant){.dtype = t->dtype, .scale = t->scale, .zero = t->zero, .qmin = t->qmin, .qmax = t->qmax};
    *out = q;
    if (t->scales < 0) return KF_OK;
    q->channels = t->c;
    q->scales = kf__arena_copy(&r->g->arena, r->p->consts[t->scales].data, (size_t)t->c * sizeof *q->scales);
    if (q->scales && t->zeros >= 0)
        q->zeros = kf__arena_copy(&r->g->arena, r->p->consts[t->zeros].data, (size_t)t->c * sizeof *q->zeros);
    if (!q->scales || (t->zeros >= 0 && !q->zeros)) KF_FAIL_MEMORY(r->err, (size_t)t->c * 8);
    return KF_OK;
}

static const float *floats(const kf__raising *r, int32_t i) { return i >= 0 ? r->p->consts[i].data : NULL; }

/* Scales of one weight constant: mul[o] * up[o] / down[o]. */
typedef struct factor {
    const kf__ptensor *tensor; /* its scale of the channel; NULL: `number` */
    double number;
} factor;

static double factor_at(const kf__raising *r, const factor *f, size_t c) {
    if (!f->tensor) return f->number;
    const kf__quant q = kf__ptensor_quant(r->p, f->tensor);
    return (double)kf__q_scale(&q, (int64_t)c);
}

static kf_status put_scales(kf__raising *r, const kf__step *s, kf__vid v, kf__const_role role, factor up, factor down) {
    kf__value *w = &r->g->values[v];
    const float *mul = floats(r, s->consts[role]);
    size_t n = (size_t)w->shape.dim[0];
    kf__quant *q = kf__arena_zalloc(&r->g->arena, sizeof *q);
    float *scales = kf__arena_array(&r->g->arena, n, sizeof *scales);
    if (!q || !scales) KF_FAIL_MEMORY(r->err, n * sizeof *scales);
    if (!mul) KF_FAIL(r->err, KF_ERR_CORRUPT, "%s: multipliers are missing", s->name);
    for (size_t o = 0; o < n; o++) scales[o] = (float)((double)mul[o] * factor_at(r, &up, o) / factor_at(r, &down, o));
    int32_t top = w->dtype == KF_I8 ? 127 : 32767;
    *q = (kf__quant){
        .dtype = w->dtype, .scale = scales[0], .qmin = -top, .qmax = top, .channels = (int32_t)n, .scales = scales};
    w->quant = q;
    return KF_OK;
}

/* s_pool from s_in / (H * W * s_pool); any channel would do, this takes the first. */
static double pool_scale(const kf__raising *r, const kf__step *s) {
    const kf__ptensor *x = &r->p->tensors[s->in[0]];
    const float *k = floats(r, s->consts[KF_CONST_K]);
    double mul = k ? (double)k[0] : (double)s->pool_mul, hw = (double)x->h * x->w;
    const kf__quant q = kf__ptensor_quant(r->p, x);
    return (double)(float)((double)kf__q_scale(&q, 0) / (hw * mul));
}

/* A direct hidden layer keeps only quotients of s_hidden. The bound of a clip determines s_hidden; without a clip,
 * any scale is equivalent. */
static double hidden_scale(const kf__raising *r, const kf__step *s) {
    if (!s->direct) return (double)(float)(1.0 / (double)s->hidden_inv);
    bool clip = s->act.kind == KF_ACT_CLIP;
    if (clip && isfinite(s->act.hi) && s->act.hi > 0 && s->qhi > 0) return (double)(float)((double)s->act.hi / s->qhi);
    if (clip && isfinite(s->act.lo) && s->act.lo < 0 && s->qlo < 0) return (double)(float)((double)s->act.lo / s->qlo);
    return pool_scale(r, s);
}

kf_status kf__raise_weight_scales(kf__raising *r, const kf__step *s, const kf__vid *in) {
    const kf__ptensor *x = &r->p->tensors[s->in[0]], *y = &r->p->tensors[s->out];
    const factor one = {NULL, 1};
    if (s->op == KF_STEP_SE_GATE) {
        factor pool = {NULL, pool_scale(r, s)}, hidden = {NULL, hidden_scale(r, s)};
        KF_TRY(put_scales(r, s, in[1], KF_CONST_MUL, s->direct ? hidden : one, pool));
        return put_scales(r, s, in[3], KF_CONST_MUL2, one, hidden);
    }
    return put_scales(r, s, in[1], KF_CONST_MUL, s->direct ? (factor){y, 0} : one, (factor){x, 0});
}

static kf_status symmetric(kf__raising *r, const kf__step *s, double scale, int32_t top, kf__quant **out) {
    if (!(scale >= (double)KF_SCALE_MIN && scale <= (double)KF_SCALE_MAX))
        KF_FAIL(r->err, KF_ERR_UNSUPPORTED, "%s: no scale gives its multipliers", s->name);
    if (!(*out = kf__arena_zalloc(&r->g->arena, sizeof **out))) KF_FAIL_MEMORY(r->err, sizeof **out);
    **out = (kf__quant){.dtype = KF_I16, .scale = (float)scale, .qmin = -top, .qmax = top};
    return KF_OK;
}

kf_status kf__raise_gate_scales(kf__raising *r, const kf__step *s, kf__attrs *a) {
    KF_TRY(symmetric(r, s, pool_scale(r, s), s->pool_qmax, &a->pool_quant));
    return symmetric(r, s, hidden_scale(r, s), s->hidden_qmax, &a->hidden_quant);
}
