/* The run loop: inputs, nodes in order, outputs. Float nodes go to kf__eval_node, quantized ones to the integer rules.
 * Owner rule: every tensor lives in the caller's arena. */
#include "ref/ref.h"

int32_t kf__ref_get(const kf__dense *t, size_t i) {
    switch (t->dtype) {
    case KF_U8: return ((const uint8_t *)t->data)[i];
    case KF_I8: return ((const int8_t *)t->data)[i];
    case KF_I16: return ((const int16_t *)t->data)[i];
    case KF_I32: return ((const int32_t *)t->data)[i];
    case KF_F32:
    case KF_F64:
    case KF_F16:
    case KF_BF16:
    case KF_I64:
    case KF_BOOL:
    case KF_DTYPE_NONE:
    case KF_DTYPE_COUNT: break; /* never stored by the quantizer */
    }
    return 0;
}

void kf__ref_put(kf__dense *t, size_t i, int32_t q) {
    switch (t->dtype) {
    case KF_U8: ((uint8_t *)t->data)[i] = (uint8_t)q; return;
    case KF_I8: ((int8_t *)t->data)[i] = (int8_t)q; return;
    case KF_I16: ((int16_t *)t->data)[i] = (int16_t)q; return;
    case KF_I32: ((int32_t *)t->data)[i] = q; return;
    case KF_F32:
    case KF_F64:
    case KF_F16:
    case KF_BF16:
    case KF_I64:
    case KF_BOOL:
    case KF_DTYPE_NONE:
    case KF_DTYPE_COUNT: return; /* never stored by the quantizer */
    }
}

kf_status kf__ref_alloc(kf__dense *out, kf_dtype dtype, const kf__shape *shape, kf__arena *arena, kf_error *err) {
    size_t count, bytes;
    if (!kf__shape_count(shape, &count) || !kf__mul_size(count, kf_dtype_size(dtype), &bytes))
        KF_FAIL(err, KF_ERR_SHAPE, "reference: a tensor's size is unknown or overflows; give --input-shape");
    void *data = kf__arena_zalloc(arena, bytes ? bytes : 1);
    if (!data) KF_FAIL_MEMORY(err, bytes);
    *out = (kf__dense){.dtype = dtype, .shape = *shape, .data = data};
    return KF_OK;
}

/** Channel of element i: axis 1, or 0 for lower ranks. */
static void plane_layout(const kf__shape *s, size_t *channels, size_t *inner) {
    *channels = s->rank > 1 ? (size_t)s->dim[1] : 1;
    *inner = 1;
    for (int i = 2; i < s->rank; i++) *inner *= (size_t)s->dim[i];
}

kf_status kf__ref_quantize(const kf__dense *in, const kf__quant *q, kf__dense *out, kf__arena *arena, kf_error *err) {
    size_t count, channels, inner;
    KF_TRY(kf__ref_alloc(out, q->dtype, &in->shape, arena, err));
    if (!kf__shape_count(&in->shape, &count)) return KF_ERR_SHAPE;
    plane_layout(&in->shape, &channels, &inner);
    for (size_t i = 0; i < count; i++) {
        int64_t c = (int64_t)(i / inner % channels);
        float x = ((const float *)in->data)[i] * kf__inverse((double)kf__q_scale(q, c));
        kf__ref_put(out, i, kf__quantize_clamped(x, kf__q_zero(q, c), q->qmin, q->qmax));
    }
    return KF_OK;
}

kf_status kf__ref_dequantize(const kf__dense *in, const kf__quant *q, kf__dense *out, kf__arena *arena, kf_error *err) {
    size_t count, channels, inner;
    KF_TRY(kf__ref_alloc(out, KF_F32, &in->shape, arena, err));
    if (!kf__shape_count(&in->shape, &count)) return KF_ERR_SHAPE;
    plane_layout(&in->shape, &channels, &inner);
    for (size_t i = 0; i < count; i++) {
        int64_t c = (int64_t)(i / inner % channels);
        ((float *)out->data)[i] = (float)(kf__ref_get(in, i) - kf__q_zero(q, c)) * kf__q_scale(q, c);
    }
    return KF_OK;
}

/* What an input declared [N, H, W, C] gives, as [N, C, H, W]. */
static kf_status from_nhwc(const kf__value *v, const kf__dense *in, kf__dense *to, kf__arena *arena, kf_error *err) {
    const size_t c = (size_t)v->shape.dim[1], hw = (size_t)(v->shape.dim[2] * v->shape.dim[3]);
    const size_t count = (size_t)v->shape.dim[0] * c * hw, size = kf_dtype_size(in->dtype);
    KF_TRY(kf__ref_alloc(to, in->dtype, &v->shape, arena, err));
    for (size_t i = 0; i < count; i++) {
        const size_t from = (i / (c * hw) * hw + i % hw) * c + i / hw % c;
        memcpy((char *)to->data + i * size, (const char *)in->data + from * size, size);
    }
    return KF_OK;
}

/* The numbers of an input declared u8, as f32. */
static kf_status from_bytes(const kf__dense *in, kf__dense *to, kf__arena *arena, kf_error *err) {
    size_t count = 0;
    KF_TRY(kf__ref_alloc(to, KF_F32, &in->shape, arena, err));
    if (!kf__shape_count(&in->shape, &count)) KF_FAIL(err, KF_ERR_SHAPE, "its size overflows");
    for (size_t i = 0; i < count; i++) ((float *)to->data)[i] = ((const uint8_t *)in->data)[i];
    return KF_OK;
}

/** Converts one graph input to its stored type. */
static kf_status take_input(const kf__graph *g, size_t k, const kf__dense *in, kf__dense *to, kf__arena *arena,
                            kf_error *err) {
    const kf__value *v = &g->values[g->inputs[k]];
    const kf__shape declared = kf__value_declared(v);
    char want[96], have[96];
    kf__dense turned;
    if (!kf__shape_equal(&declared, &in->shape))
        KF_FAIL(err, KF_ERR_SHAPE, "input %s: shape %s is needed, %s was given", v->name,
                kf__shape_text(&declared, want, sizeof want), kf__shape_text(&in->shape, have, sizeof have));
    if (v->nhwc) {
        KF_TRY(from_nhwc(v, in, &turned, arena, err));
        in = &turned;
    }
    if (v->from_u8 && !v->quant && in->dtype == KF_U8) return from_bytes(in, to, arena, err);
    kf_dtype stored = v->quant ? v->quant->dtype : v->dtype;
    if (in->dtype == stored) {
        *to = *in;
        return KF_OK;
    }
    if (v->quant && in->dtype == KF_F32) return kf__ref_quantize(in, v->quant, to, arena, err);
    KF_FAIL(err, KF_ERR_SHAPE, "input %s: element type %s is needed, %s was given", v->name, kf_dtype_name(stored),
            kf_dtype_name(in->dtype));
}

/** A node without integer rules: dequantize, run in f32, quantize. */
static kf_status run_float(kf__ref_node *r) {
    const kf__dense *in[64];
    for (int k = 0; k < r->n->n_in; k++) {
        in[k] = r->in[k];
        if (!in[k] || !r->in_q[k] || in[k]->dtype == KF_F32) continue;
        kf__dense *real = kf__arena_alloc(r->arena, sizeof *real);
        if (!real) KF_FAIL_MEMORY(r->err, sizeof *real);
        KF_TRY(kf__ref_dequantize(r->in[k], r->in_q[k], real, r->arena, r->err));
        in[k] = real;
    }
    KF_TRY(kf__eval_node(r->n, in, r->n->n_in, r->out, r->n->n_out, r->arena, r->err));
    if (!r->out_q) return KF_OK;
    kf__dense real = r->out[0];
    return kf__ref_quantize(&real, r->out_q, &r->out[0], r->arena, r->err);
}

static kf_status run_node(const kf__graph *g, const kf__node *n, kf__dense *values, kf__arena *arena, kf_error *err) {
    kf__ref_node r = {.g = g, .n = n, .arena = arena, .err = err};
    kf__dense out[64] = {0};
    if (n->n_in > 64 || n->n_out > 64) KF_FAIL(err, KF_ERR_LIMIT, "more than 64 inputs or outputs");
    for (int k = 0; k < n->n_in; k++) {
        if (n->in[k] < 0) continue;
        r.in[k] = &values[n->in[k]];
        r.in_q[k] = g->values[n->in[k]].quant;
        if (!r.in[k]->data) KF_FAIL(err, KF_ERR_INTERNAL, "input %s was never computed", g->values[n->in[k]].name);
    }
    r.out = out;
    r.out_q = n->out[0] >= 0 ? g->values[n->out[0]].quant : NULL;
    if (kf__q_is_integer(g, n)) KF_TRY(kf__ref_integer(&r));
    else KF_TRY(run_float(&r));
    for (int k = 0; k < n->n_out; k++)
        if (n->out[k] >= 0) values[n->out[k]] = out[k];
    return KF_OK;
}

static kf_status run_all(const kf__graph *g, kf__dense *values, kf__ref_value_fn each, void *user, kf__arena *arena,
                         kf_error *err) {
    for (size_t k = 0; each && k < g->n_inputs; k++) KF_TRY(each(user, g, g->inputs[k], &values[g->inputs[k]], err));
    for (size_t i = 0; i < g->n_nodes; i++) {
        const kf__node *n = &g->nodes[i];
        if (n->dead) continue;
        kf_status st = run_node(g, n, values, arena, err);
        if (st != KF_OK) return kf_error_prefix(err, st, "reference: %s (%s)", n->name, kf__op_name(n->op));
        for (int k = 0; each && k < n->n_out; k++)
            if (n->out[k] >= 0) KF_TRY(each(user, g, n->out[k], &values[n->out[k]], err));
    }
    return KF_OK;
}

kf_status kf__ref_run(const kf__graph *g, const kf__dense *in, size_t n_in, kf__dense *out, size_t n_out,
                      kf__ref_value_fn each, void *user, kf__arena *arena, kf_error *err) {
    if (n_in != g->n_inputs || n_out != g->n_outputs)
        KF_FAIL(err, KF_ERR_ARGUMENT, "reference: the graph has %zu inputs and %zu outputs; %zu and %zu were given",
                g->n_inputs, g->n_outputs, n_in, n_out);
    kf__dense *values = kf__arena_zalloc(arena, (g->n_values ? g->n_values : 1) * sizeof *values);
    if (!values) KF_FAIL_MEMORY(err, g->n_values * sizeof *values);
    for (size_t v = 0; v < g->n_values; v++)
        if (g->values[v].data) /* constants are only read */
            values[v] = (kf__dense){
                .dtype = g->values[v].dtype, .shape = g->values[v].shape, .data = (void *)(uintptr_t)g->values[v].data};
    for (size_t k = 0; k < n_in; k++) KF_TRY(take_input(g, k, &in[k], &values[g->inputs[k]], arena, err));
    KF_TRY(run_all(g, values, each, user, arena, err));
    for (size_t k = 0; k < n_out; k++) {
        const kf__value *v = &g->values[g->outputs[k]];
        const kf__dense *d = &values[g->outputs[k]];
        if (!d->data) KF_FAIL(err, KF_ERR_FORMAT, "reference: output %s is never computed", v->name);
        if (v->quant && d->dtype != KF_F32) KF_TRY(kf__ref_dequantize(d, v->quant, &out[k], arena, err));
        else out[k] = *d;
    }
    return KF_OK;
}
