/* Parameters of integer steps as vectors with one entry per channel, in the order in which a kernel reads them.
 * Owner rule: vectors live in the program's arena. */
#include "runtime/steps/step_kinds.h"

static void *vector(const kf__vectors *v, size_t vectors) {
    void *to = kf__arena_zalloc(v->k->arena, vectors * kf__qpad(v->n) * 4);
    if (!to) kf_error_set(v->k->err, KF_ERR_MEMORY, "step %s: out of memory for parameters", v->k->s->name);
    return to;
}

/* Loops over the places of a vector that hold a channel. */
#define FOR_CHANNELS(v, place, channel)                                                                                \
    for (size_t place = 0, channel; place < kf__round_up((v)->n, (v)->block); place++)                                 \
        if ((channel = kf__dwconv_q_order((v)->block, place)) < (v)->n)

const float *kf__vector_f32(const kf__vectors *v, const kf__pconst *c, float other) {
    float *to = vector(v, 1);
    size_t have = c ? c->bytes / sizeof *to : 0;
    if (!to) return NULL;
    const float *from = have ? c->data : &other;
    FOR_CHANNELS(v, i, ch) to[i] = from[ch < have ? ch : 0];
    return to;
}

bool kf__vector_inputs(const kf__vectors *v, const kf__ptensor *t, const int32_t **zero, const float **scale) {
    int32_t *z = vector(v, 1);
    float *f = z ? vector(v, 1) : NULL;
    if (!f) return false;
    const kf__quant q = kf__ptensor_quant(v->k->p, t);
    for (size_t c = 0; c < v->n && c < (size_t)t->c; c++)
        z[c] = kf__q_zero(&q, (int64_t)c), f[c] = kf__q_scale(&q, (int64_t)c);
    *zero = z, *scale = f;
    return true;
}

/* Bounds are stored minus the zero point, because kernels clamp before they add it. */
bool kf__vector_rounding(const kf__vectors *v, const kf__ptensor *t, kf__requant *r) {
    float *lo = vector(v, 1), *hi = lo ? vector(v, 1) : NULL;
    int32_t *z = hi ? vector(v, 1) : NULL;
    if (!z) return false;
    r->flo = lo, r->fhi = hi, r->zero = z, r->out = t->dtype;
    if (t->dtype == KF_F32) return true;
    const kf__quant q = kf__ptensor_quant(v->k->p, t);
    FOR_CHANNELS(v, i, ch) {
        z[i] = kf__q_zero(&q, (int64_t)ch);
        lo[i] = (float)(v->k->s->qlo - z[i]);
        hi[i] = (float)(v->k->s->qhi - z[i]);
    }
    return true;
}

/* A direct step has steps 2 and 5 of the contract in one multiplier, so it needs no activation. */
bool kf__vector_epilogue(const kf__vectors *v, kf__requant *r) {
    const kf__preparing *k = v->k;
    const kf__step *s = k->s;
    const kf__pconst *fbias = kf__prepare_const(k, KF_CONST_FBIAS), *inv = kf__prepare_const(k, KF_CONST_INV);
    if (!kf__vector_rounding(v, k->out, r)) return false;
    if (k->out->dtype == KF_F32) r->post = s->post_act;
    r->mul = kf__vector_f32(v, kf__prepare_const(k, KF_CONST_MUL), 1.0f);
    if (fbias && !(r->fbias = kf__vector_f32(v, fbias, 0))) return false;
    if (s->direct) return r->mul != NULL;
    r->act = s->act;
    r->k = kf__vector_f32(v, kf__prepare_const(k, KF_CONST_K), 1.0f / 6.0f);
    if (inv && !(r->inv = kf__vector_f32(v, inv, 0))) return false;
    return r->mul && r->k;
}

/* Kernels sum raw inputs, so the bias takes over what the zero point contributes. */
int32_t *kf__vector_bias(const kf__vectors *v, const kf__pconst *w, const kf__pconst *b, const kf__ptensor *in,
                         bool depthwise, int32_t offset) {
    size_t rows = b ? kf__pconst_count(b) / v->n : 1, ld = kf__qpad(v->n);
    size_t depth = kf__pconst_count(w) / v->n;
    const int32_t *bias = b ? b->data : NULL;
    int32_t *to = vector(v, rows);
    if (!to) return NULL;
    const kf__quant q = in ? kf__ptensor_quant(v->k->p, in) : (kf__quant){0};
    FOR_CHANNELS(v, i, ch) {
        int64_t sum = 0, less = kf__q_zero(&q, (int64_t)ch) - offset;
        for (size_t x = 0; less && x < depth; x++)
            sum += kf__pconst_weight(w, depthwise ? x * v->n + ch : ch * depth + x);
        for (size_t r = 0; r < rows; r++) to[r * ld + i] = (int32_t)((bias ? bias[r * v->n + ch] : 0) - less * sum);
    }
    return to;
}
