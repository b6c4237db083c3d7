/* Evaluators of elementwise arithmetic with broadcasting, comparison and selection.
 * Floor 3. Everything is computed in double and rounded once to the result type; i64 arithmetic stays in i64.
 * Owner rule: outputs are allocated from the caller's arena. */
#include "graph/eval.h"

#include <math.h>

/* The upper bound wins when the bounds cross, as ONNX says. */
static double clip(double x, double lo, double hi) {
    x = x < lo ? lo : x;
    return x > hi ? hi : x;
}

static double binary(kf__op op, double a, double b) {
    switch (op) {
    case KF_OP_ADD: return a + b;
    case KF_OP_SUB: return a - b;
    case KF_OP_MUL: return a * b;
    case KF_OP_DIV: return a / b;
    case KF_OP_POW: return pow(a, b);
    case KF_OP_MOD: return a - b * floor(a / b);
    case KF_OP_MIN: return a < b ? a : b;
    case KF_OP_MAX: return a > b ? a : b;
    case KF_OP_EQUAL: return a == b;
    case KF_OP_LESS: return a < b;
    case KF_OP_GREATER: return a > b;
    case KF_OP_AND: return a != 0 && b != 0;
    case KF_OP_OR: return a != 0 || b != 0;
    default: return 0;
    }
}

static bool binary_i64(kf__op op, int64_t a, int64_t b, int64_t *out) {
    switch (op) {
    case KF_OP_ADD: return !__builtin_add_overflow(a, b, out);
    case KF_OP_SUB: return !__builtin_sub_overflow(a, b, out);
    case KF_OP_MUL: return !__builtin_mul_overflow(a, b, out);
    case KF_OP_DIV:
        if (b == 0 || (b == -1 && a == INT64_MIN)) return false;
        *out = a / b;
        return true;
    case KF_OP_MOD:
        if (b == 0 || b == -1) return *out = 0, b != 0;
        *out = a % b;
        if (*out && (*out < 0) != (b < 0)) *out += b;
        return true;
    case KF_OP_MIN: *out = a < b ? a : b; return true;
    case KF_OP_MAX: *out = a > b ? a : b; return true;
    default: *out = (int64_t)binary(op, (double)a, (double)b); return true;
    }
}

static double unary(const kf__node *n, double x) {
    const kf__attrs *a = &n->attrs;
    double t;
    switch (n->op) {
    case KF_OP_RELU: return x > 0 ? x : 0;
    case KF_OP_CLIP: return clip(x, (double)a->act.lo, (double)a->act.hi);
    case KF_OP_HARD_SIGMOID: t = (double)a->alpha * x + (double)a->beta; return t < 0 ? 0 : t > 1 ? 1 : t;
    case KF_OP_HARD_SWISH: t = x / 6 + 0.5; return x * (t < 0 ? 0 : t > 1 ? 1 : t);
    case KF_OP_SIGMOID: return 1 / (1 + exp(-x));
    case KF_OP_NEG: return -x;
    case KF_OP_ABS: return fabs(x);
    case KF_OP_CEIL: return ceil(x);
    case KF_OP_FLOOR: return floor(x);
    case KF_OP_SQRT: return sqrt(x);
    case KF_OP_EXP: return exp(x);
    case KF_OP_LOG: return log(x);
    case KF_OP_ERF: return erf(x);
    case KF_OP_TANH: return tanh(x);
    case KF_OP_NOT: return x == 0;
    default: return kf__eval_activation(&a->act, x);
    }
}

double kf__eval_activation(const kf__activation *a, double x) {
    double t;
    switch (a->kind) {
    case KF_ACT_CLIP: return clip(x, (double)a->lo, (double)a->hi);
    case KF_ACT_HSWISH: t = x + 3; return x * (t < 0 ? 0 : t > 6 ? 6 : t) / 6;
    case KF_ACT_HSIGMOID: t = x + 3; return (t < 0 ? 0 : t > 6 ? 6 : t) / 6;
    case KF_ACT_HARDSIGMOID: t = (double)a->lo * x + (double)a->hi; return t < 0 ? 0 : t > 1 ? 1 : t;
    case KF_ACT_SIGMOID: return 1 / (1 + exp(-x));
    case KF_ACT_SILU: return x / (1 + exp(-x));
    default: return x;
    }
}

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

static kf_status fold_inputs(const kf__node *n, const kf__dense *const *in, int n_in, kf__dense *out, size_t count, kf_error *err) {
    for (size_t i = 0; i < count; i++) {
        size_t first = broadcast_index(&out->shape, &in[0]->shape, i);
        bool exact = in[0]->dtype == KF_I64;
        int64_t acc_i = exact ? ((const int64_t *)in[0]->data)[first] : 0;
        double acc = kf__eval_get(in[0], first);
        for (int k = 1; k < n_in; k++) {
            size_t at = broadcast_index(&out->shape, &in[k]->shape, i);
            if (exact && in[k]->dtype == KF_I64) {
                if (!binary_i64(n->op, acc_i, ((const int64_t *)in[k]->data)[at], &acc_i))
                    KF_FAIL(err, KF_ERR_FORMAT, "%s (%s): integer overflow or division by zero", n->name, kf__op_name(n->op));
            } else {
                acc = binary(n->op, acc, kf__eval_get(in[k], at));
            }
        }
        if (exact && out->dtype == KF_I64) ((int64_t *)out->data)[i] = acc_i;
        else kf__eval_put(out, i, exact ? (double)acc_i : acc);
    }
    return KF_OK;
}

kf_status kf__eval_elementwise(const kf__node *n, const kf__dense *const *in, int n_in, kf__dense *out, kf__arena *arena,
                               kf_error *err) {
    size_t count;
    bool truth = n->op == KF_OP_EQUAL || n->op == KF_OP_LESS || n->op == KF_OP_GREATER || n->op == KF_OP_AND ||
                 n->op == KF_OP_OR || n->op == KF_OP_NOT;
    KF_TRY(kf__eval_alloc(out, truth ? KF_BOOL : n->op == KF_OP_WHERE ? in[1]->dtype : in[0]->dtype, arena, err));
    if (!kf__shape_count(&out->shape, &count)) return KF_ERR_SHAPE;
    if (n->op == KF_OP_WHERE) {
        for (size_t i = 0; i < count; i++) {
            const kf__dense *from = kf__eval_get(in[0], broadcast_index(&out->shape, &in[0]->shape, i)) != 0 ? in[1] : in[2];
            kf__eval_put(out, i, kf__eval_get(from, broadcast_index(&out->shape, &from->shape, i)));
        }
        return KF_OK;
    }
    if (n->op == KF_OP_RANGE) {
        for (size_t i = 0; i < count; i++) kf__eval_put(out, i, kf__eval_get(in[0], 0) + (double)i * kf__eval_get(in[2], 0));
        return KF_OK;
    }
    bool is_binary = (n->op >= KF_OP_ADD && n->op <= KF_OP_MOD) || n->op == KF_OP_EQUAL || n->op == KF_OP_LESS ||
                     n->op == KF_OP_GREATER || n->op == KF_OP_AND || n->op == KF_OP_OR;
    if (is_binary) KF_TRY(fold_inputs(n, in, n_in, out, count, err));
    else
        for (size_t i = 0; i < count; i++) kf__eval_put(out, i, unary(n, kf__eval_get(in[0], i)));
    if (n->op == KF_OP_ADD && n->attrs.post_act.kind != KF_ACT_NONE)
        for (size_t i = 0; i < count; i++) kf__eval_put(out, i, kf__eval_activation(&n->attrs.post_act, kf__eval_get(out, i)));
    return KF_OK;
}
