/* The load-time proof for quantized programs: scales, zero points and bounds of tensors, and that no accumulator leaves
 * 32 bits. Owner rule: reads only. */
#include "program/program_private.h"

#include <math.h>

static const float *floats(const kf__program *p, int32_t i, int64_t n) {
    if (i < 0 || i >= p->n_consts) return NULL;
    const kf__pconst *c = &p->consts[i];
    size_t count;
    return c->dtype == KF_F32 && kf__shape_count(&c->shape, &count) && (int64_t)count == n && c->bytes == count * 4
               ? c->data
               : NULL;
}

static bool scale_ok(float s) { return s >= KF_SCALE_MIN && s <= KF_SCALE_MAX; }

#define TENSOR_FAIL(err, t, ...)                                                                                       \
    do {                                                                                                               \
        kf_error_set((err), KF_ERR_CORRUPT, __VA_ARGS__);                                                              \
        return kf_error_prefix((err), KF_ERR_CORRUPT, "tensor %s", (t)->name ? (t)->name : "?");                       \
    } while (0)

/* Scales and zero points per channel. */
static kf_status check_channels(const kf__program *p, const kf__ptensor *t, int32_t most_zero, kf_error *err) {
    const float *s = floats(p, t->scales, t->c);
    if (t->scales != -1 && !s) TENSOR_FAIL(err, t, "scales are not one f32 per channel");
    for (int32_t c = 0; s && c < t->c; c++)
        if (!scale_ok(s[c])) TENSOR_FAIL(err, t, "scale %g of channel %d is not in 1e-30..1e30", (double)s[c], c);
    if (t->zeros == -1) return KF_OK;
    if (!s || t->zeros < 0 || t->zeros >= p->n_consts) TENSOR_FAIL(err, t, "zero points without scales");
    const kf__pconst *z = &p->consts[t->zeros];
    if (z->dtype != KF_I32 || z->bytes != (size_t)t->c * sizeof(int32_t) || !z->data)
        TENSOR_FAIL(err, t, "zeros are not one i32 per channel");
    for (int32_t c = 0; c < t->c; c++) {
        int32_t v = ((const int32_t *)z->data)[c];
        if (v < 0 || v > most_zero) TENSOR_FAIL(err, t, "zero point %d of channel %d", v, c);
    }
    return KF_OK;
}

kf_status kf__validate_quant(const kf__program *p, const kf__ptensor *t, kf_error *err) {
    const bool bytes = t->dtype == KF_U8;
    const int32_t least = bytes ? 0 : -32767;
    const int32_t most = bytes ? 255 : 32767;
    const int32_t most_zero = bytes ? 255 : 0;
    if (t->dtype == KF_F32) {
        if (t->scales != -1 || t->zeros != -1) TENSOR_FAIL(err, t, "an f32 tensor with scales");
        return KF_OK;
    }
    if (!scale_ok(t->scale)) TENSOR_FAIL(err, t, "scale %g is not in 1e-30..1e30", (double)t->scale);
    if (t->qmin < least || t->qmax > most || t->qmin > t->qmax) TENSOR_FAIL(err, t, "bounds %d..%d", t->qmin, t->qmax);
    if (t->zero < 0 || t->zero > most_zero) TENSOR_FAIL(err, t, "zero point %d", t->zero);
    return check_channels(p, t, most_zero, err);
}

/* Sum and sum of magnitudes of n bytes in a row; false if one is -128, which the format does not have: two products
 * with it can leave the 16 bits in which kernels for Arm add them. Runs of 128 fit 16 bits (128 * 128 = 2^14), which
 * compilers turn into wide adds. */
static bool add_bytes(const int8_t *w, int64_t n, int64_t *sum, int64_t *mass) {
    int16_t least = 0;
    while (n > 0) {
        int run = n < 128 ? (int)n : 128;
        int16_t s = 0, m = 0;
        for (int i = 0; i < run; i++) {
            int16_t v = w[i];
            s = (int16_t)(s + v);
            m = (int16_t)(m + (v < 0 ? -v : v));
            least = v < least ? v : least;
        }
        *sum += s, *mass += m, w += run, n -= run;
    }
    return least > INT8_MIN;
}

static int64_t magnitude(int64_t v) { return v < 0 ? -v : v; }

/* k weights from `at` on, at distance `step`. Inputs have a magnitude of at most `raw`, and of `top` after the zero
 * point is subtracted. */
static kf_status no_overflow(const kf__step *s, const kf__pconst *w, size_t at, size_t step, int64_t k, int64_t zero,
                             int64_t raw, const int32_t *bias, int64_t rows, int64_t o, int64_t n_out, kf_error *err) {
    int64_t sum = 0, mass = 0, top = raw - zero > zero ? raw - zero : zero;
    if (w->dtype == KF_I8 && step == 1) {
        if (!add_bytes((const int8_t *)w->data + at, k, &sum, &mass))
            STEP_FAIL(err, s, "channel %lld: a weight of -128 is outside -127..127", (long long)o);
        k = 0;
    }
    for (int64_t i = 0; i < k; i++) {
        int64_t v = kf__pconst_weight(w, at + (size_t)i * step);
        sum += v;
        mass += v < 0 ? -v : v;
    }
    for (int64_t r = 0; r < rows; r++) {
        int64_t b = bias ? bias[r * n_out + o] : 0, folded = b - zero * sum;
        if (mass * top + magnitude(b) > INT32_MAX || mass * raw + magnitude(folded) > INT32_MAX)
            STEP_FAIL(err, s, "channel %lld: the accumulator could overflow", (long long)o);
    }
    return KF_OK;
}

static int64_t largest(int32_t lo, int32_t hi) { return hi > -(int64_t)lo ? hi : -(int64_t)lo; }

/* Not inlined: with three callers, its vector loops would take 6 KB of the library. */
__attribute__((noinline)) static kf_status check_layer(const kf__program *p, const kf__step *s, kf__const_role wr,
                                                       kf__const_role br, const kf__ptensor *x, int64_t raw,
                                                       int64_t n_out, kf_error *err) {
    const kf__pconst *w = &p->consts[s->consts[wr]], *b = s->consts[br] < 0 ? NULL : &p->consts[s->consts[br]];
    bool depthwise = s->op == KF_STEP_DWCONV;
    int64_t k = (int64_t)kf__pconst_count(w) / n_out;
    int64_t rows = b ? (int64_t)kf__pconst_count(b) / n_out : 1;
    const kf__quant q = x ? kf__ptensor_quant(p, x) : (kf__quant){0};
    for (int64_t o = 0; o < n_out; o++) {
        int64_t zero = kf__q_zero(&q, o);
        size_t at = (size_t)(depthwise ? o : o * k);
        size_t step = depthwise ? (size_t)n_out : 1;
        const int32_t *bias = b ? b->data : NULL;
        KF_TRY(no_overflow(s, w, at, step, k, zero, raw, bias, rows, o, n_out, err));
    }
    return KF_OK;
}

/* Every step that writes an i16 tensor keeps its values inside the bounds. Bytes may have any value. */
kf_status kf__validate_sums(const kf__program *p, const kf__step *s, kf_error *err) {
    const kf__ptensor *x = &p->tensors[s->in[0]], *y = &p->tensors[s->out];
    if (s->op == KF_STEP_CONV || s->op == KF_STEP_DWCONV || s->op == KF_STEP_FC) {
        int64_t top = x->dtype == KF_U8 ? 255 : largest(x->qmin, x->qmax);
        return check_layer(p, s, KF_CONST_W, KF_CONST_BIAS, x, top, y->c, err);
    }
    if (s->op != KF_STEP_SE_GATE) return KF_OK;
    int64_t r = p->consts[s->consts[KF_CONST_W]].shape.dim[0];
    KF_TRY(check_layer(p, s, KF_CONST_W, KF_CONST_BIAS, NULL, s->pool_qmax, r, err));
    return check_layer(p, s, KF_CONST_W2, KF_CONST_BIAS2, NULL, largest(s->qlo, s->qhi), y->c, err);
}
