/* Checks operands against the rules of operands.def, and reads lists of integers from constants. Every size that comes
 * from a file passes here before an evaluator or a pass uses it.
 * Owner rule: see operands.h. */
#include "graph/operands.h"

#include <stdio.h>

typedef struct rule {
    int outputs;
    const char *inputs;
} rule;

/* A row of ops.def without a row in operands.def does not compile. */
#define KF_OPERANDS(id, outputs, inputs) static const rule RULE_##id = {outputs, inputs};
#include "graph/operands.def"
#undef KF_OPERANDS

static const rule *const RULES[KF_OP_COUNT] = {
#define KF_OP(id, ...) &RULE_##id,
#include "graph/ops.def"
#undef KF_OP
};

/* A word of `inputs`. */
typedef struct want {
    char type;
    int low, high; /* rank */
    bool rest;     /* stands for all that follow */
} want;

static const char *take_word(const char *at, want *w) {
    *w = (want){.type = *at++, .low = 0, .high = KF_MAX_RANK};
    if (*at >= '0' && *at <= '9') w->low = w->high = *at++ - '0';
    if (*at == '-') w->high = at[1] - '0', at += 2;
    w->rest = *at == '+';
    return *at == '+' || *at == ' ' ? at + 1 : at;
}

static bool is_integer(kf_dtype t) { return t == KF_I64 || t == KF_I32 || t == KF_I16 || t == KF_I8 || t == KF_U8; }

static bool type_fits(char type, kf_dtype t, kf_dtype first, kf_dtype second) {
    switch (type) {
    case 'n': return t == KF_F32 || is_integer(t);
    case 'g': return t == KF_F32 || (is_integer(t) && t != KF_U8);
    case 'f': return t == KF_F32;
    case 'b': return t == KF_BOOL;
    case 'i': return t == KF_I64 || t == KF_I32;
    case 'l': return t == KF_I64;
    case 'w': return t == KF_F32 || t == KF_I64 || t == KF_I32;
    case 'q': return is_integer(t) && t != KF_I64;
    case 'e': return is_integer(t) && t != KF_I64 && t != KF_I32;
    case 's': return first == KF_DTYPE_NONE || t == first;
    case 't': return second == KF_DTYPE_NONE || t == second;
    default: return true;
    }
}

static const char *type_text(char type, kf_dtype first, kf_dtype second) {
    switch (type) {
    case 'n': return "a number";
    case 'g': return "a signed number";
    case 'f': return "f32";
    case 'b': return "bool";
    case 'i': return "i64 or i32";
    case 'l': return "i64";
    case 'w': return "f32, i32 or i64";
    case 'q': return "an integer of 8 to 32 bits";
    case 'e': return "an integer of 8 or 16 bits";
    case 's': return kf_dtype_name(first);
    case 't': return kf_dtype_name(second);
    default: return "?";
    }
}

static kf_dtype type_of(const kf__value *v) { return v ? v->dtype : KF_DTYPE_NONE; }

/* The quantizer's own constants: biases in i32, a row for each class of border. No file has them beside a scale. */
static bool is_quantized_bias(const kf__inferring *c, const kf__value *v) {
    const kf__value *weights = kf__operand(c, 1);
    return v->dtype == KF_I32 && weights && weights->quant;
}

/* Types of quantized values and ranks that are not known yet pass. */
static kf_status check_operand(const kf__inferring *c, int k, const want *w) {
    const kf__value *v = kf__operand(c, k);
    if (!v || is_quantized_bias(c, v)) return KF_OK;
    if (v->shape.rank >= 0 && (v->shape.rank < w->low || v->shape.rank > w->high)) {
        char range[32], shape[96];
        snprintf(range, sizeof range, w->low == w->high ? "%d" : "%d to %d", w->low, w->high);
        KF_NODE_FAIL(c, KF_ERR_SHAPE, "input %d (%s) is %s, of rank %d; rank %s is needed", k, v->name,
                     kf__shape_text(&v->shape, shape, sizeof shape), v->shape.rank, range);
    }
    kf_dtype first = type_of(kf__operand(c, 0)), second = type_of(kf__operand(c, 1));
    if (v->dtype == KF_DTYPE_NONE || v->quant || type_fits(w->type, v->dtype, first, second)) return KF_OK;
    KF_NODE_FAIL(c, KF_ERR_SHAPE, "input %d (%s) is %s; %s is needed", k, v->name, kf_dtype_name(v->dtype),
                 type_text(w->type, first, second));
}

/* A rule string has one word for each input; a word with + also stands for all that follow. */
kf_status kf__operands_check(const kf__inferring *c) {
    const kf__node *n = c->n;
    const kf__op_info *op = &kf__op_table[n->op];
    const char *at = RULES[n->op]->inputs;
    want w = {0};
    int present = n->n_in;
    while (present > 0 && n->in[present - 1] < 0) present--;
    if (present < op->least || n->n_in > op->most)
        KF_FAIL(c->err, KF_ERR_FORMAT, "%s (%s): %d inputs, %d to %d are needed", n->name, op->name, present, op->least,
                op->most);
    if (n->n_out < 1 || n->n_out > RULES[n->op]->outputs)
        KF_NODE_FAIL(c, KF_ERR_FORMAT, "%d outputs, 1 to %d are possible", n->n_out, RULES[n->op]->outputs);
    for (int k = 0; k < n->n_in; k++) {
        if (!w.rest) at = take_word(at, &w);
        if ((k < op->least || w.rest) && n->in[k] < 0) KF_NODE_FAIL(c, KF_ERR_FORMAT, "input %d is missing", k);
        KF_TRY(check_operand(c, k, &w));
    }
    return KF_OK;
}

int32_t kf__op_outputs(kf__op op) { return RULES[op]->outputs; }

/* Only constants have a list. Numbers are clamped, so that later sums cannot overflow. */
kf_status kf__operand_ints(const kf__inferring *c, int k, int most, kf__ints *out, bool *have) {
    const kf__value *v = kf__operand(c, k);
    size_t n = 0;
    *have = v && v->data && (v->dtype == KF_I64 || v->dtype == KF_I32);
    if (!*have) return KF_OK;
    if (!kf__shape_count(&v->shape, &n) || n > (size_t)most)
        KF_NODE_FAIL(c, KF_ERR_SHAPE, "input %d (%s) has %zu elements; at most %d are possible", k, v->name, n, most);
    for (size_t i = 0; i < n; i++) {
        int64_t x = v->dtype == KF_I64 ? ((const int64_t *)v->data)[i] : ((const int32_t *)v->data)[i];
        out->v[i] = kf__cut(x);
    }
    out->n = (int)n;
    return KF_OK;
}

kf_status kf__operand_list(const kf__inferring *c, int k, int most, kf__ints *out, bool *have) {
    const kf__attrs *a = &c->n->attrs;
    if (kf__operand(c, k)) return kf__operand_ints(c, k, most, out, have);
    if (a->n_axes < 0 || a->n_axes > most || (size_t)a->n_axes > KF_COUNT(a->axes))
        KF_NODE_FAIL(c, KF_ERR_SHAPE, "an attribute has %d numbers; at most %d are possible", a->n_axes, most);
    *have = true;
    out->n = a->n_axes;
    for (int i = 0; i < out->n; i++) out->v[i] = kf__cut(a->axes[i]);
    return KF_OK;
}

kf_status kf__operand_axis(const kf__inferring *c, int64_t axis, int rank, int *out) {
    if (axis < -rank || axis >= rank)
        KF_NODE_FAIL(c, KF_ERR_SHAPE, "axis %lld is out of range for rank %d", (long long)axis, rank);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return KF_OK;
}

kf_status kf__operand_axes(const kf__inferring *c, const kf__ints *list, int rank, bool pick[KF_MAX_RANK]) {
    if (list->n > rank) KF_NODE_FAIL(c, KF_ERR_SHAPE, "%d axes for rank %d", list->n, rank);
    for (int i = 0; i < list->n; i++) {
        int ax = 0;
        KF_TRY(kf__operand_axis(c, list->v[i], rank, &ax));
        if (pick[ax]) KF_NODE_FAIL(c, KF_ERR_SHAPE, "axis %lld is given twice", (long long)list->v[i]);
        pick[ax] = true;
    }
    return KF_OK;
}

/* start and end of opset 15; end = 0 stands for "to the end". Both are clamped to the rank, as ONNX says. */
int kf__shape_query(const kf__attrs *a, int rank, int *first) {
    int lo = a->start < 0 ? a->start + rank : a->start;
    int hi = a->end <= 0 ? a->end + rank : a->end;
    lo = lo < 0 ? 0 : lo;
    hi = hi > rank ? rank : hi;
    *first = lo;
    return hi > lo ? hi - lo : 0;
}

void kf__slice_range(int64_t dim, int64_t start, int64_t end, int64_t step, int64_t *first, int64_t *count) {
    int64_t s = start < 0 ? start + dim : start;
    int64_t e = end < 0 ? end + dim : end;
    int64_t last = step > 0 ? dim : dim - 1;
    s = kf__max_i64(0, kf__min_i64(s, last));
    e = kf__max_i64(step > 0 ? 0 : -1, kf__min_i64(e, last));
    int64_t span = step > 0 ? e - s : s - e;
    int64_t by = step > 0 ? step : -step;
    *first = s;
    *count = dim > 0 && span > 0 ? (span - 1) / by + 1 : 0;
}
