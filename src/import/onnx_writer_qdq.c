/* The ONNX writer, quantized graphs: QuantizeLinear and DequantizeLinear wherever docs/NUMERICS.md rounds, float
 * operators between. A value's own name denotes the real numbers that its integers represent, so readers need not
 * know that it was rounded. Owner rule: see onnx_writer_private.h. */
#include <stdio.h>

#include "graph/qrules.h"
#include "import/onnx_writer_private.h"
#include "preprocess/pixel.h"

/* First opsets of per-channel scales, and of 16 bits in QuantizeLinear. */
enum { CHANNEL_SCALES = 13, SIXTEEN_BITS = 21 };

static const kf__quant *quant_of(const kf__onnx_out *w, kf__vid v) { return v < 0 ? NULL : w->g->values[v].quant; }

kf_status kf__out_qdq_begin(kf__onnx_out *w) {
    const kf__graph *g = w->g;
    bool wide = false;
    for (size_t v = 0; v < g->n_values; v++)
        if (g->values[v].quant) w->quantized = true, wide |= g->values[v].quant->dtype == KF_I16;
    for (size_t i = 0; i < g->n_nodes; i++) wide |= !g->nodes[i].dead && g->nodes[i].attrs.pool_quant;
    if (w->quantized) w->opset = wide ? SIXTEEN_BITS : CHANNEL_SCALES;
    return KF_OK;
}

/* ---- pieces ------------------------------------------------------------------------------------------------------ */

/* A copy of `n` elements as initializer: a scalar when `n` is 0. */
const char *kf__out_vector(kf__onnx_out *w, const char *base, const char *suffix, kf_dtype dtype, int64_t n,
                           const void *data) {
    kf__shape shape = n ? kf__shape_make(1, &n) : (kf__shape){0};
    size_t bytes = (size_t)(n ? n : 1) * kf_dtype_size(dtype);
    void *copy = kf__out_alloc(w, bytes);
    if (copy) memcpy(copy, data, bytes);
    return kf__out_initializer(w, base, suffix, dtype, &shape, copy);
}

/* Zero points in the stored type, as many as there are scales. */
static const char *zero_points(kf__onnx_out *w, const char *base, const kf__quant *q) {
    size_t n = (size_t)(q->channels ? q->channels : 1), e = kf_dtype_size(q->dtype);
    uint8_t *data = kf__out_alloc(w, n * e); /* only u8 has zero points other than 0 */
    for (size_t c = 0; data && q->dtype == KF_U8 && c < n; c++) data[c] = (uint8_t)kf__q_zero(q, (int64_t)c);
    return data ? kf__out_vector(w, base, "_zero_point", q->dtype, q->channels, data) : "";
}

static const char *scales(kf__onnx_out *w, const char *base, const kf__quant *q) {
    return kf__out_vector(w, base, "_scale", KF_F32, q->channels, q->channels ? q->scales : &q->scale);
}

static void linear(kf__onnx_out *w, const char *op, const char *base, const char *const in[3], int axis,
                   const char *out) {
    char suffix[32];
    snprintf(suffix, sizeof suffix, "/%s", op);
    Onnx__NodeProto *p = kf__out_node(w, op, kf__out_node_name(w, base, suffix), in, 3, &out, 1);
    if (axis >= 0) kf__out_attr_int(w, p, "axis", axis);
}

/* `in` to integers and back, as value `out`. If the tensor's own bounds are narrower than its type, a Clip keeps
 * them. */
void kf__out_round_to(kf__onnx_out *w, const char *base, const kf__quant *q, const char *in, const char *out) {
    int32_t top = q->dtype == KF_U8 ? 255 : 32767;
    int32_t bottom = q->dtype == KF_U8 ? 0 : -32768;
    const char *scale = scales(w, base, q), *zero = zero_points(w, base, q);
    int axis = q->channels ? 1 : -1;
    if (!q->channels && (q->qmin > bottom || q->qmax < top)) {
        kf__activation bounds = {KF_ACT_CLIP, (float)(q->qmin - q->zero) * q->scale,
                                 (float)(q->qmax - q->zero) * q->scale};
        const char *inside = kf__out_fresh(w, base, "_inside");
        kf__out_activation(w, kf__out_node_name(w, base, "/Range"), &bounds, in, inside);
        in = inside;
    }
    const char *stored = kf__out_fresh(w, base, "_quantized");
    linear(w, "QuantizeLinear", base, (const char *[]){in, scale, zero}, axis, stored);
    linear(w, "DequantizeLinear", base, (const char *[]){stored, scale, zero}, axis, out);
}

const char *kf__out_rounded(kf__onnx_out *w, const char *base, const kf__quant *q, const char *in) {
    if (!q) return in;
    const char *out = kf__out_fresh(w, base, "_rounded");
    kf__out_round_to(w, base, q, in, out);
    return out;
}

const char *kf__out_weight(kf__onnx_out *w, const char *base, const kf__value *v, const kf__shape *shape) {
    if (!v->quant) return kf__out_initializer(w, base, "", v->dtype, shape, v->data);
    const char *out = kf__out_fresh(w, base, ""),
               *stored = kf__out_initializer(w, base, "_quantized", v->dtype, shape, v->data);
    linear(w, "DequantizeLinear", base,
           (const char *[]){stored, scales(w, base, v->quant), zero_points(w, base, v->quant)},
           v->quant->channels ? 0 : -1, out);
    return out;
}

/* ---- inputs ------------------------------------------------------------------------------------------------------ */

/* The declared input is normalized, (p / 255 - mean) / std; the integers are the pixels p. */
kf_status kf__out_pixels(kf__onnx_out *w, kf__vid v, const char *raw, const char **out) {
    const kf_preprocess *p = &w->g->meta.preprocess;
    const kf__shape *s = &w->g->values[v].shape;
    float slope[3], offset[3];
    *out = raw;
    if (w->g->values[v].from_u8) return KF_OK; /* they are pixels as declared */
    if (!p->valid || s->rank != 4 || s->dim[1] < 1 || s->dim[1] > 3)
        KF_FAIL(w->err, KF_ERR_UNSUPPORTED,
                "input %s takes pixels, and how they were normalized is not known; quantize again with --preprocess",
                raw);
    for (size_t c = 0; c < 3; c++) {
        slope[c] = (float)kf__pixel_std(p, c);
        offset[c] = (float)kf__pixel_mean(p, c);
    }
    kf__shape by_channel = kf__shape_make(4, (int64_t[]){1, s->dim[1], 1, 1});
    const char *spread = kf__out_fresh(w, raw, "_spread"), *shifted = kf__out_fresh(w, raw, "_pixels");
    void *a = kf__out_alloc(w, sizeof slope), *b = kf__out_alloc(w, sizeof offset);
    if (!a || !b) KF_FAIL_MEMORY(w->err, sizeof slope);
    memcpy(a, slope, sizeof slope);
    memcpy(b, offset, sizeof offset);
    const char *times[] = {raw, kf__out_initializer(w, raw, "_std", KF_F32, &by_channel, a)},
               *plus[] = {spread, kf__out_initializer(w, raw, "_mean", KF_F32, &by_channel, b)};
    kf__out_node(w, "Mul", kf__out_node_name(w, raw, "/Mul"), times, 2, &spread, 1);
    kf__out_node(w, "Add", kf__out_node_name(w, raw, "/Add"), plus, 2, &shifted, 1);
    *out = shifted;
    return KF_OK;
}

kf_status kf__out_qdq_inputs(kf__onnx_out *w) {
    for (size_t i = 0; i < w->g->n_inputs; i++) {
        kf__vid v = w->g->inputs[i];
        const kf__quant *q = quant_of(w, v);
        if (!q) continue;
        const char *raw = kf__out_name(w, v), *at = raw;
        if (kf__quant_is_pixels(q)) KF_TRY(kf__out_pixels(w, v, raw, &at));
        w->names[v] = kf__out_rounded(w, raw, q, at);
    }
    return KF_OK;
}

/* ---- nodes ------------------------------------------------------------------------------------------------------- */

/* An i32 bias stands for bias * s_in * s_w of its output channel. */
static kf_status bias(kf__onnx_out *w, const kf__node *n, int k, const kf__quant *in, const kf__quant *weights) {
    const kf__value *b = &w->g->values[n->in[k]];
    int64_t o_n = b->shape.dim[b->shape.rank - 1];
    const char *base = *b->name ? b->name : n->name,
               *stored = kf__out_initializer(w, base, "_quantized", KF_I32, &b->shape, b->data);
    float *scale = kf__out_alloc(w, (size_t)o_n * sizeof *scale);
    if (!scale) KF_FAIL_MEMORY(w->err, (size_t)o_n * sizeof *scale);
    for (int64_t o = 0; o < o_n; o++) scale[o] = kf__mult2((double)kf__q_scale(in, o), (double)kf__q_scale(weights, o));
    const char *out = kf__out_fresh(w, base, ""),
               *all[] = {stored, kf__out_vector(w, base, "_scale", KF_F32, o_n, scale), ""};
    linear(w, "DequantizeLinear", base, all, 0, out);
    w->names[n->in[k]] = out;
    return KF_OK;
}

/* Rows or columns of the table of border classes, picked for each output pixel. */
static const char *gather(kf__onnx_out *w, const char *base, const char *table, const int32_t *index, int64_t count,
                          int axis) {
    int64_t *list = kf__out_alloc(w, (size_t)count * sizeof *list);
    for (int64_t i = 0; list && i < count; i++) list[i] = index[i];
    const char *out = kf__out_fresh(w, base, axis == 2 ? "_rows" : "_map");
    const char *suffix = axis == 2 ? "_row_class" : "_column_class";
    const char *in[] = {table, list ? kf__out_vector(w, base, suffix, KF_I64, count, list) : ""};
    kf__out_attr_int(w, kf__out_node(w, "Gather", kf__out_node_name(w, base, "/Gather"), in, 2, &out, 1), "axis", axis);
    return out;
}

/* The pixel layer's bias, [classes, O], as [1, O, rows, columns] spread over the output image. */
kf_status kf__out_bias_map(kf__onnx_out *w, const kf__node *n, const double *scale, const char **out) {
    const kf__value *b = &w->g->values[n->in[2]];
    const kf__shape *x = &w->g->values[n->in[0]].shape, *y = &w->g->values[n->out[0]].shape;
    const kf__axis down = kf__window_rows(&n->attrs.window), across = kf__window_columns(&n->attrs.window);
    int64_t h = y->dim[2], wide = y->dim[3], o_n = y->dim[1];
    int32_t *cls = kf__out_alloc(w, (size_t)(h + wide) * sizeof *cls);
    if (!cls) KF_FAIL_MEMORY(w->err, (size_t)(h + wide) * sizeof *cls);
    int64_t ny = kf__border_classes(&down, x->dim[2], h, cls, NULL);
    int64_t nx = kf__border_classes(&across, x->dim[3], wide, cls + h, NULL);
    if (b->shape.dim[0] != ny * nx || b->shape.dim[1] != o_n)
        KF_FAIL(w->err, KF_ERR_FORMAT, "the bias table has %lld rows; the geometry has %lld border classes",
                (long long)b->shape.dim[0], (long long)(ny * nx));
    float *table = kf__out_alloc(w, (size_t)(ny * nx * o_n) * sizeof *table);
    if (!table) KF_FAIL_MEMORY(w->err, (size_t)(ny * nx * o_n) * sizeof *table);
    for (int64_t o = 0; o < o_n; o++)
        for (int64_t i = 0; i < ny * nx; i++)
            table[o * ny * nx + i] =
                (float)((double)((const int32_t *)b->data)[i * o_n + o] * (scale ? scale[o] : 1.0));
    kf__shape shape = kf__shape_make(4, (int64_t[]){1, o_n, ny, nx});
    const char *base = *b->name ? b->name : n->name,
               *rows = gather(w, base, kf__out_initializer(w, base, "_classes", KF_F32, &shape, table), cls, h, 2);
    *out = gather(w, base, rows, cls + h, wide, 3);
    return KF_OK;
}

/* The same in real numbers. */
static kf_status real_bias_map(kf__onnx_out *w, const kf__node *n) {
    int64_t o_n = w->g->values[n->in[1]].shape.dim[0];
    double *scale = kf__out_alloc(w, (size_t)o_n * sizeof *scale);
    if (!scale) KF_FAIL_MEMORY(w->err, (size_t)o_n * sizeof *scale);
    for (int64_t o = 0; o < o_n; o++)
        scale[o] = (double)kf__q_scale(quant_of(w, n->in[0]), 0) * (double)kf__q_scale(quant_of(w, n->in[1]), o);
    return kf__out_bias_map(w, n, scale, &w->bias_map);
}

static kf_status constants(kf__onnx_out *w, const kf__node *n) {
    if (kf__op_is_gate(n->op)) {
        if (!n->attrs.pool_quant || !n->attrs.hidden_quant)
            KF_FAIL(w->err, KF_ERR_FORMAT, "the branch has no scales for its pooled and hidden values");
        KF_TRY(bias(w, n, 2, n->attrs.pool_quant, quant_of(w, n->in[1])));
        return bias(w, n, 4, n->attrs.hidden_quant, quant_of(w, n->in[3]));
    }
    const kf__value *v = &w->g->values[n->in[1]];
    w->names[n->in[1]] = kf__out_weight(w, *v->name ? v->name : n->name, v, &v->shape);
    const kf__value *b = n->n_in > 2 && n->in[2] >= 0 ? &w->g->values[n->in[2]] : NULL;
    if (!b || b->dtype != KF_I32) return KF_OK;
    return b->shape.rank == 2 ? real_bias_map(w, n) : bias(w, n, 2, quant_of(w, n->in[0]), v->quant);
}

static bool has_weights(const kf__onnx_out *w, const kf__node *n) {
    return kf__op_has_weights(n->op) && quant_of(w, n->in[0]) && quant_of(w, n->in[1]);
}

/* What only moves or selects values needs no new rounding. */
bool kf__out_moves(const kf__onnx_out *w, const kf__node *n) {
    return kf__op_keeps_integers(n->op) && quant_of(w, n->in[0]);
}

static bool rounds(const kf__onnx_out *w, const kf__node *n) {
    return n->n_out > 0 && quant_of(w, n->out[0]) && !kf__out_moves(w, n);
}

kf_status kf__out_qdq_before(kf__onnx_out *w, const kf__node *n) {
    w->bias_map = NULL;
    if (has_weights(w, n)) KF_TRY(constants(w, n));
    if (!rounds(w, n)) return KF_OK;
    const char *name = kf__out_name(w, n->out[0]);
    w->rounded = name;
    w->names[n->out[0]] = kf__out_fresh(w, name, "_float");
    return KF_OK;
}

void kf__out_qdq_after(kf__onnx_out *w, const kf__node *n) {
    for (int k = 1; has_weights(w, n) && k < n->n_in && k < 5;
         k++) /* written under other names; the residual is none of them */
        if (n->in[k] >= 0 && w->g->values[n->in[k]].data &&
            (quant_of(w, n->in[k]) || w->g->values[n->in[k]].dtype == KF_I32))
            w->constant_used[n->in[k]] = false;
    if (!rounds(w, n)) return;
    const char *name = w->rounded, *before = kf__out_name(w, n->out[0]);
    w->names[n->out[0]] = name;
    kf__out_round_to(w, name, quant_of(w, n->out[0]), before, name);
}
