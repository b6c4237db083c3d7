/* Evaluators of elementwise arithmetic with broadcasting, of comparison and selection, one line each; ops.def names
 * them. Everything is computed in double and rounded once to the result type; i64 arithmetic stays in i64.
 * Owner rule: outputs are allocated from the caller's arena. */
#include <math.h>

#include "graph/eval.h"

/* The upper bound wins when the bounds cross, as ONNX says. */
static double clip(double x, double lo, double hi) {
    x = x < lo ? lo : x;
    return x > hi ? hi : x;
}

/* Formulas of tensor/activation.h in double. */
double kf__eval_activation(const kf__activation *a, double x) {
    switch (a->kind) {
    case KF_ACT_CLIP: return clip(x, (double)a->lo, (double)a->hi);
    case KF_ACT_HSWISH: return x * clip(x + 3, 0, 6) / 6;
    case KF_ACT_HSIGMOID: return clip(x + 3, 0, 6) / 6;
    case KF_ACT_HARDSIGMOID: return clip((double)a->lo * x + (double)a->hi, 0, 1);
    case KF_ACT_SIGMOID: return 1 / (1 + exp(-x));
    case KF_ACT_SILU: return x / (1 + exp(-x));
    case KF_ACT_NONE:
    case KF_ACT_COUNT: break;
    }
    return x;
}

/* ---- of one element ---------------------------------------------------------------------------------------------- */

typedef double unary_fn(const kf__attrs *a, double x);

static kf_status each(const kf__eval *e, unary_fn *fn) {
    size_t count;
    KF_TRY(kf__eval_alloc(e->out, e->arena, e->err));
    if (!kf__shape_count(&e->out->shape, &count)) return KF_ERR_SHAPE;
    for (size_t i = 0; i < count; i++) kf__eval_put(e->out, i, fn(&e->n->attrs, kf__eval_get(e->in[0], i)));
    return KF_OK;
}

#define UNARY(id, expression)                                                                                          \
    static double unary_##id(const kf__attrs *a, double x) { return expression; }                                      \
    kf_status kf__eval_##id(const kf__eval *e) { return each(e, unary_##id); }

UNARY(relu, x <= 0 ? 0 : x)
UNARY(hard_sigmoid, clip((double)a->alpha *x + (double)a->beta, 0, 1))
UNARY(hard_swish, x *clip(x / 6 + 0.5, 0, 1))
UNARY(sigmoid, 1 / (1 + exp(-x)))
UNARY(act, kf__eval_activation(&a->act, x))
UNARY(leaky_relu, x < 0 ? (double)a->alpha * x : x)
UNARY(neg, -x)
UNARY(abs, fabs(x))
UNARY(ceil, ceil(x))
UNARY(floor, floor(x))
UNARY(sqrt, sqrt(x))
UNARY(exp, exp(x))
UNARY(log, log(x))
UNARY(erf, erf(x))
UNARY(tanh, tanh(x))
UNARY(not, x == 0)

/* Bounds from inputs of any type, else from the attributes. */
kf_status kf__eval_clip(const kf__eval *e) {
    const kf__dense *low = e->n_in > 1 ? e->in[1] : NULL;
    const kf__dense *high = e->n_in > 2 ? e->in[2] : NULL;
    double lo = low ? kf__eval_get(low, 0) : (double)e->n->attrs.act.lo;
    double hi = high ? kf__eval_get(high, 0) : (double)e->n->attrs.act.hi;
    size_t count;
    KF_TRY(kf__eval_alloc(e->out, e->arena, e->err));
    if (!kf__shape_count(&e->out->shape, &count)) return KF_ERR_SHAPE;
    for (size_t i = 0; i < count; i++) kf__eval_put(e->out, i, clip(kf__eval_get(e->in[0], i), lo, hi));
    return KF_OK;
}

/* ---- of two and more --------------------------------------------------------------------------------------------- */

/* Element index in `t` that output element `i` of shape `out` reads under broadcasting. */
static size_t broadcast_index(const kf__shape *out, const kf__shape *t, size_t i) {
    size_t at = 0, step = 1;
    for (int d = out->rank - 1, k = t->rank - 1; k >= 0; d--, k--) {
        size_t pos = i % (size_t)out->dim[d];
        i /= (size_t)out->dim[d];
        if (t->dim[k] != 1) at += pos * step;
        step *= (size_t)t->dim[k];
    }
    return at;
}

typedef double binary_fn(double a, double b);
/* The same in i64; false: overflow, or a division by zero. */
typedef bool exact_fn(int64_t a, int64_t b, int64_t *out);

/* Combines all inputs, beginning with the first. Without `exact`, i64 goes through double. */
static kf_status fold(const kf__eval *e, binary_fn *fn, exact_fn *exact) {
    const kf__dense *const *in = e->in;
    kf__dense *out = e->out;
    size_t count;
    bool whole = in[0]->dtype == KF_I64;
    KF_TRY(kf__eval_alloc(out, e->arena, e->err));
    if (!kf__shape_count(&out->shape, &count)) return KF_ERR_SHAPE;
    for (size_t i = 0; i < count; i++) {
        size_t first = broadcast_index(&out->shape, &in[0]->shape, i);
        int64_t acc_i = whole ? ((const int64_t *)in[0]->data)[first] : 0;
        double acc = kf__eval_get(in[0], first);
        for (int k = 1; k < e->n_in; k++) {
            size_t at = broadcast_index(&out->shape, &in[k]->shape, i);
            if (!whole || in[k]->dtype != KF_I64) {
                acc = fn(acc, kf__eval_get(in[k], at));
                continue;
            }
            int64_t b = ((const int64_t *)in[k]->data)[at];
            if (!exact) acc_i = kf__whole(fn((double)acc_i, (double)b), INT64_MIN, INT64_MAX, 0);
            else if (!exact(acc_i, b, &acc_i))
                KF_FAIL(e->err, KF_ERR_FORMAT, "%s (%s): integer overflow or division by zero", e->n->name,
                        kf__op_name(e->n->op));
        }
        if (whole && out->dtype == KF_I64) ((int64_t *)out->data)[i] = acc_i;
        else kf__eval_put(out, i, whole ? (double)acc_i : acc);
    }
    return KF_OK;
}

static bool exact_add(int64_t a, int64_t b, int64_t *out) { return !__builtin_add_overflow(a, b, out); }
static bool exact_sub(int64_t a, int64_t b, int64_t *out) { return !__builtin_sub_overflow(a, b, out); }
static bool exact_mul(int64_t a, int64_t b, int64_t *out) { return !__builtin_mul_overflow(a, b, out); }

static bool exact_div(int64_t a, int64_t b, int64_t *out) {
    if (b == 0 || (b == -1 && a == INT64_MIN)) return false;
    *out = a / b;
    return true;
}

/* The sign of the divisor, as ONNX says. */
static bool exact_mod(int64_t a, int64_t b, int64_t *out) {
    *out = 0;
    if (b == 0 || b == -1) return b != 0;
    *out = a % b;
    if (*out && (*out < 0) != (b < 0)) *out += b;
    return true;
}

static bool exact_min(int64_t a, int64_t b, int64_t *out) {
    *out = a < b ? a : b;
    return true;
}

static bool exact_max(int64_t a, int64_t b, int64_t *out) {
    *out = a > b ? a : b;
    return true;
}

#define BINARY(id, exact, expression)                                                                                  \
    static double binary_##id(double a, double b) { return expression; }                                               \
    kf_status kf__eval_##id(const kf__eval *e) { return fold(e, binary_##id, exact); }

BINARY(sub, exact_sub, a - b)
BINARY(mul, exact_mul, a *b)
BINARY(div, exact_div, a / b)
BINARY(mod, exact_mod, a - b * floor(a / b))
/* NaN wins, whichever it is. */
BINARY(min, exact_min, a < b || a != a ? a : b)
BINARY(max, exact_max, a > b || a != a ? a : b)
BINARY(prelu, NULL, a < 0 ? a * b : a)
BINARY(pow, NULL, pow(a, b))
BINARY(equal, NULL, a == b)
BINARY(less, NULL, a < b)
BINARY(greater, NULL, a > b)
BINARY(and, NULL, a != 0 && b != 0)
BINARY(or, NULL, a != 0 || b != 0)

BINARY(sum, exact_add, a + b)

/* The sum of all inputs, divided by their number. */
kf_status kf__eval_mean(const kf__eval *e) {
    size_t count;
    KF_TRY(kf__eval_sum(e));
    if (!kf__shape_count(&e->out->shape, &count)) return KF_ERR_SHAPE;
    for (size_t i = 0; i < count; i++) kf__eval_put(e->out, i, kf__eval_get(e->out, i) / e->n_in);
    return KF_OK;
}

static double binary_add(double a, double b) { return a + b; }

/* The sum, and the activation that a pass may have fused with it. */
kf_status kf__eval_add(const kf__eval *e) {
    const kf__activation *post = &e->n->attrs.post_act;
    size_t count;
    KF_TRY(fold(e, binary_add, exact_add));
    if (post->kind == KF_ACT_NONE || !kf__shape_count(&e->out->shape, &count)) return KF_OK;
    for (size_t i = 0; i < count; i++) kf__eval_put(e->out, i, kf__eval_activation(post, kf__eval_get(e->out, i)));
    return KF_OK;
}

/* ---- selection and ranges ---------------------------------------------------------------------------------------- */

/* All three inputs are broadcast to the result. */
kf_status kf__eval_where(const kf__eval *e) {
    const kf__dense *const *in = e->in;
    const kf__shape *shape = &e->out->shape;
    size_t count;
    KF_TRY(kf__eval_alloc(e->out, e->arena, e->err));
    if (!kf__shape_count(shape, &count)) return KF_ERR_SHAPE;
    for (size_t i = 0; i < count; i++) {
        bool first = kf__eval_get(in[0], broadcast_index(shape, &in[0]->shape, i)) != 0;
        const kf__dense *from = first ? in[1] : in[2];
        kf__eval_put(e->out, i, kf__eval_get(from, broadcast_index(shape, &from->shape, i)));
    }
    return KF_OK;
}

/* Inference has computed the count from start, limit and step, so only start and step are read. */
kf_status kf__eval_range(const kf__eval *e) {
    size_t count;
    KF_TRY(kf__eval_alloc(e->out, e->arena, e->err));
    if (!kf__shape_count(&e->out->shape, &count)) return KF_ERR_SHAPE;
    if (e->out->dtype == KF_I64) {
        int64_t at = *(const int64_t *)e->in[0]->data, by = *(const int64_t *)e->in[2]->data;
        for (size_t i = 0; i < count; i++) ((int64_t *)e->out->data)[i] = at + (int64_t)i * by;
        return KF_OK;
    }
    double start = kf__eval_get(e->in[0], 0), step = kf__eval_get(e->in[2], 0);
    for (size_t i = 0; i < count; i++) kf__eval_put(e->out, i, start + (double)i * step);
    return KF_OK;
}
