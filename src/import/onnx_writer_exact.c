/* The ONNX writer, quantized graphs to the bit: DequantizeLinear gives the integers themselves (scale 1), sums of them
 * are exact in f32 below 2^24, and docs/NUMERICS.md's single f32 operations stand between one rounding and the next as
 * operators of their own. A value's name means q - z here; wide inputs of sums are split into two bytes, so that these
 * stay exact too. Owner rule: see onnx_writer_private.h. */
#include <math.h>

#include "graph/qrules.h"
#include "import/onnx_writer_private.h"

/* A node being written: `at` is the value so far. */
typedef struct stage {
    kf__onnx_out *w;
    const kf__node *n;
    const kf__quant *in, *out; /* of input 0 and of the output; NULL: f32 */
    const char *at, *base;     /* base: the output's own name */
    int64_t channels;          /* of the output */
    int rank;
} stage;

static const kf__quant *quant_of(const kf__onnx_out *w, kf__vid v) { return v < 0 ? NULL : w->g->values[v].quant; }

static stage stage_of(kf__onnx_out *w, const kf__node *n) {
    const kf__shape *s = &w->g->values[n->out[0]].shape;
    return (stage){w,
                   n,
                   quant_of(w, n->in[0]),
                   quant_of(w, n->out[0]),
                   kf__out_name(w, n->in[0]),
                   kf__out_name(w, n->out[0]),
                   s->rank > 1 ? s->dim[1] : 1,
                   s->rank};
}

/* ---- pieces ------------------------------------------------------------------------------------------------------ */

static float *room(stage *s, int64_t n) { return kf__out_alloc(s->w, (size_t)n * sizeof(float)); }

/* One number per channel, shaped to broadcast along axis 1; a single one if all are equal. */
static const char *numbers(stage *s, const char *tag, const float *f, int64_t n) {
    bool same = true;
    for (int64_t i = 1; f && i < n; i++) same &= f[i] == f[0];
    if (!f) return "";
    if (same) return kf__out_vector(s->w, s->base, tag, KF_F32, 0, f);
    int64_t dim[KF_MAX_RANK];
    for (int i = 0; i < KF_MAX_RANK; i++) dim[i] = i == 1 ? n : 1;
    kf__shape shape = kf__shape_make(s->rank < 2 ? 2 : s->rank, dim);
    return kf__out_initializer(s->w, s->base, tag, KF_F32, &shape, f);
}

/* at = op(at, y); y may be "". The node called `name`. */
static void then_named(stage *s, const char *op, const char *tag, const char *name, const char *y) {
    const char *in[] = {s->at, y}, *out = kf__out_fresh(s->w, s->base, tag);
    kf__out_node(s->w, op, name, in, 2, &out, 1);
    s->at = out;
}

static void then(stage *s, const char *op, const char *tag, const char *y) {
    char *slash = kf__arena_printf(&s->w->arena, "/%s", tag + 1);
    then_named(s, op, tag, kf__out_node_name(s->w, s->n->name, slash ? slash : ""), y);
}

static void then_number(stage *s, const char *op, const char *tag, float f) {
    then(s, op, tag, numbers(s, "_constant", &f, 1));
}

static void times(stage *s, const char *tag, const char *constant, const float *f, int64_t n) {
    bool one = f && n == 1 && f[0] == 1.0f;
    if (!one) then(s, "Mul", tag, numbers(s, constant, f, n));
}

static void clip(stage *s, const char *tag, float lo, float hi) {
    const char *out = kf__out_fresh(s->w, s->base, tag);
    kf__out_activation(s->w, kf__out_node_name(s->w, s->n->name, "/Clip"), &(kf__activation){KF_ACT_CLIP, lo, hi},
                       s->at, out);
    s->at = out;
}

/* Step 3; `k` is the h-swish factor of each channel, or NULL for 1/6. */
static void activate(stage *s, const kf__activation *act, const float *k, int64_t n_k) {
    const float sixth = 1.0f / 6.0f;
    const char *x = s->at, *gate;
    switch (act->kind) {
    case KF_ACT_NONE: return;
    case KF_ACT_CLIP: clip(s, "_act", act->lo, act->hi); return;
    case KF_ACT_HSWISH:
    case KF_ACT_HSIGMOID:
        then_number(s, "Add", "_plus3", 3.0f);
        clip(s, "_relu6", 0, 6);
        gate = s->at;
        if (act->kind == KF_ACT_HSIGMOID) {
            then_number(s, "Mul", "_sixth", sixth);
            return;
        }
        s->at = x;
        if (!k) k = &sixth, n_k = 1;
        times(s, "_times_k", "_k", k, n_k);
        then(s, "Mul", "_act", gate); /* f32 products commute */
        return;
    case KF_ACT_HARDSIGMOID:
        then_number(s, "Mul", "_alpha", act->lo);
        then_number(s, "Add", "_beta", act->hi);
        clip(s, "_act", 0, 1);
        return;
    case KF_ACT_SIGMOID:
    case KF_ACT_SILU:
    case KF_ACT_COUNT: break;
    }
    const char *out = kf__out_fresh(s->w, s->base, "_act");
    kf__out_activation(s->w, kf__out_node_name(s->w, s->n->name, "/Activation"), act, s->at, out);
    s->at = out;
}

/* The quantization with scale 1 and the full range of its type; operators before it keep the bounds. */
static const kf__quant *unit(stage *s, const kf__quant *q) {
    kf__quant *u = kf__out_alloc(s->w, sizeof *u);
    float *ones = NULL;
    bool same = true;
    for (int32_t c = 1; c < q->channels; c++) same &= kf__q_zero(q, c) == kf__q_zero(q, 0);
    if (!u || (!same && !(ones = room(s, q->channels)))) return q;
    for (int32_t c = 0; !same && c < q->channels; c++) ones[c] = 1;
    bool narrow = q->dtype == KF_U8;
    *u = (kf__quant){.dtype = q->dtype,
                     .scale = 1,
                     .zero = kf__q_zero(q, 0),
                     .qmin = narrow ? 0 : -32768,
                     .qmax = narrow ? 255 : 32767,
                     .channels = same ? 0 : q->channels,
                     .scales = ones,
                     .zeros = same ? NULL : q->zeros};
    return u;
}

/* Step 5 after its multiply: bounds per channel, then to integers. `out` is the name of the result. */
static void round_off(stage *s, const kf__quant *q, const int32_t *lo, const int32_t *hi, int64_t n, const char *out) {
    const kf__quant *u = unit(s, q);
    float *least = room(s, n), *most = room(s, n);
    bool narrow = false, same = true;
    for (int64_t c = 0; least && most && c < n; c++) {
        least[c] = (float)(lo[c] - kf__q_zero(q, c)), most[c] = (float)(hi[c] - kf__q_zero(q, c));
        narrow |= lo[c] > u->qmin || hi[c] < u->qmax;
        same &= least[c] == least[0] && most[c] == most[0];
    }
    if (narrow && same && least && most) clip(s, "_bounded", least[0], most[0]);
    else if (narrow) {
        then(s, "Max", "_least", numbers(s, "_least_q", least, n));
        then(s, "Min", "_most", numbers(s, "_most_q", most, n));
    }
    kf__out_round_to(s->w, out, u, s->at, out);
}

/* The node's own output: bounds by its activations. */
static void round_output(stage *s) {
    int64_t n = s->out->channels ? s->out->channels : 1;
    int32_t *lo = kf__out_alloc(s->w, (size_t)n * sizeof *lo), *hi = kf__out_alloc(s->w, (size_t)n * sizeof *hi);
    for (int64_t c = 0; lo && hi && c < n; c++) kf__q_bounds(s->n, s->out, c, &lo[c], &hi[c]);
    if (lo && hi) round_off(s, s->out, lo, hi, n, s->base);
}

static void times_inverse(stage *s) {
    int64_t n = s->out->channels ? s->out->channels : 1;
    float *inv = room(s, n);
    for (int64_t c = 0; inv && c < n; c++) inv[c] = kf__inverse((double)kf__q_scale(s->out, c));
    times(s, "_units", "_inverse", inv, n);
}

static float *hswish_factors(stage *s, int64_t *n) {
    *n = s->out->channels ? s->out->channels : 1;
    float *k = room(s, *n);
    for (int64_t c = 0; k && c < *n; c++) k[c] = kf__q_hswish_factor(kf__q_scale(s->out, c));
    return k;
}

static void times_scale(stage *s, const kf__quant *q, const char *tag) {
    if (!q) return;
    int64_t n = q->channels ? q->channels : 1;
    float *f = room(s, n);
    for (int64_t c = 0; f && c < n; c++) f[c] = kf__q_scale(q, c);
    times(s, tag, "_scale", f, n);
}

/* The last name of an f32 result. */
static void end_float(stage *s) {
    Onnx__NodeProto *last = s->w->nodes.n ? s->w->nodes.items[s->w->nodes.n - 1] : NULL;
    if (last && last->n_output == 1 && strcmp(last->output[0], s->at) == 0)
        last->output[0] = (char *)(uintptr_t)s->base;
    else kf__out_node(s->w, "Identity", kf__out_node_name(s->w, s->n->name, "/output"), &s->at, 1, &s->base, 1);
}

/* ---- sums of products -------------------------------------------------------------------------------------------- */

typedef struct layer {
    const char *op, *weights[2], *bias; /* "Conv" or "Gemm"; weights of 16 bits are 256 * [0] + [1], others [1] alone */
    bool gate;                          /* 1x1, whatever the node's own window */
} layer;

static const char *product(stage *s, const layer *l, const char *name, const char *x, const char *weights,
                           const char *bias) {
    const char *in[] = {x, weights, bias}, *out = kf__out_fresh(s->w, s->base, "_sum");
    Onnx__NodeProto *p = kf__out_node(s->w, l->op, name, in, 3, &out, 1);
    if (strcmp(l->op, "Gemm") == 0) kf__out_attr_int(s->w, p, "transB", 1);
    else if (l->gate) kf__out_attr_ints(s->w, p, "kernel_shape", (int64_t[]){1, 1}, 2);
    else kf__out_window(s->w, p, s->n);
    return out;
}

/* `at` as 256 * parts[0] + parts[1], the second one below 256. */
static void split(stage *s, const char *parts[2]) {
    const char *x = s->at, *low = kf__out_fresh(s->w, s->base, "_low");
    then_number(s, "Mul", "_by_256", 1.0f / 256);
    then(s, "Floor", "_high", "");
    parts[0] = s->at;
    then_number(s, "Mul", "_high_part", 256.0f);
    const char *in[] = {x, s->at};
    kf__out_node(s->w, "Sub", kf__out_node_name(s->w, s->n->name, "/low"), in, 2, &low, 1);
    parts[1] = low;
}

/* Step 1 on `at`, by powers of 256 from the highest down: each product's sums stay below 2^24, and the additions
 * between round as (f32)acc does. The first product has the node's own name. */
static void sum(stage *s, const layer *l, bool wide) {
    const char *parts[2] = {NULL, s->at}, *name = s->n->name, *total = NULL;
    if (wide) split(s, parts);
    for (int power = 2; power >= 0; power--) {
        const char *group = NULL;
        for (int i = 0; i < 2; i++) { /* part i of the input with part j of the weights: 256^(2 - i - j) */
            int j = 2 - power - i;
            if (j < 0 || j > 1 || !parts[i] || !l->weights[j]) continue;
            s->at = product(s, l, name, parts[i], l->weights[j], power == 0 ? l->bias : "");
            name = kf__out_node_name(s->w, s->n->name, "/part");
            if (group) then(s, "Add", "_pair", group);
            group = s->at;
        }
        s->at = total ? total : group;
        if (total) then_number(s, "Mul", "_shifted", 256.0f);
        if (total && group) then(s, "Add", "_joined", group);
        total = s->at;
    }
}

static const char *weight_base(const stage *s, const kf__value *x) { return *x->name ? x->name : s->n->name; }

/* Integers of a weight constant as f32, perhaps under another shape. */
static const char *weights(stage *s, kf__vid v, const kf__shape *shape) {
    kf__value x = s->w->g->values[v];
    kf__quant *q = kf__out_alloc(s->w, sizeof *q);
    if (!q) return "";
    *q = (kf__quant){.dtype = x.dtype, .scale = 1};
    x.quant = q;
    return kf__out_weight(s->w, weight_base(s, &x), &x, shape ? shape : &x.shape);
}

/* Weights of a layer; those of 16 bits in two parts, signed high and unsigned low bytes. */
static void set_weights(stage *s, kf__vid v, const kf__shape *shape, layer *l) {
    const kf__value *x = &s->w->g->values[v];
    size_t n = 0;
    l->weights[0] = NULL;
    if (x->dtype != KF_I16) {
        l->weights[1] = weights(s, v, shape);
        return;
    }
    if (!shape) shape = &x->shape;
    for (int k = 0; k < 2 && kf__shape_count(shape, &n); k++) {
        kf__quant q = {.dtype = k ? KF_U8 : KF_I8, .scale = 1};
        uint8_t *bytes = kf__out_alloc(s->w, n);
        kf__value part = {.dtype = q.dtype, .data = bytes, .quant = &q};
        for (size_t i = 0; bytes && i < n; i++) {
            int32_t whole = ((const int16_t *)x->data)[i], low = whole & 255;
            bytes[i] = k ? (uint8_t)low : (uint8_t)((whole - low) / 256);
        }
        char *base = kf__arena_printf(&s->w->arena, "%s_%s", weight_base(s, x), k ? "low" : "high");
        l->weights[k] = base ? kf__out_weight(s->w, base, &part, shape) : "";
    }
}

static const char *bias(stage *s, int k) {
    kf__vid v = k < s->n->n_in ? s->n->in[k] : KF_NO_VALUE;
    if (v < 0 || s->w->g->values[v].dtype != KF_I32 || s->w->g->values[v].shape.rank == 2) return "";
    return weights(s, v, NULL);
}

/* Steps 2 to 5 of a convolution or fully connected layer, in the order of the integer interpreter. */
static void finish(stage *s, bool float_bias) {
    const kf__node *n = s->n;
    bool direct = kf__q_direct(n, s->out), by_k = kf__q_hswish_k(n, s->out);
    const kf__quant *wq = quant_of(s->w, n->in[1]);
    int64_t o_n = s->channels, group = n->op == KF_OP_CONV ? n->attrs.window.group : 1, n_k = 0;
    float *m = room(s, o_n), *k = by_k ? hswish_factors(s, &n_k) : NULL;
    for (int64_t o = 0; m && o < o_n; o++) {
        int64_t c = s->in->channels ? o / (o_n / group) : 0; /* scales by channel: depthwise, one channel a group */
        double a = (double)kf__q_scale(s->in, c), b = (double)kf__q_scale(wq, o);
        m[o] = direct ? kf__mult3(a, b, (double)kf__q_scale(s->out, o)) : kf__mult2(a, b);
    }
    times(s, "_scaled", "_multiplier", m, o_n);
    if (float_bias) then(s, "Add", "_biased", numbers(s, "_bias", s->w->g->values[n->in[2]].data, o_n));
    if (!direct) activate(s, &n->attrs.act, k, n_k);
    if (n->op == KF_OP_CONV && n->n_in > 3 && n->in[3] >= 0) {
        stage r = *s;
        r.at = kf__out_name(s->w, n->in[3]);
        times_scale(&r, quant_of(s->w, n->in[3]), "_residual");
        then(s, "Add", "_with_residual", r.at);
    }
    if (s->out && !direct && !by_k) times_inverse(s);
    if (s->out) round_output(s);
    else {
        activate(s, &n->attrs.post_act, NULL, 0);
        end_float(s);
    }
}

static kf_status weighted(stage *s) {
    const kf__node *n = s->n;
    const kf__value *b = n->n_in > 2 && n->in[2] >= 0 ? &s->w->g->values[n->in[2]] : NULL;
    layer l = {.op = n->op == KF_OP_FC ? "Gemm" : "Conv", .bias = bias(s, 2)};
    set_weights(s, n->in[1], NULL, &l);
    const char *map = NULL;
    if (b && b->dtype == KF_I32 && b->shape.rank == 2) KF_TRY(kf__out_bias_map(s->w, n, NULL, &map));
    sum(s, &l, s->in->dtype == KF_I16);
    if (map) then(s, "Add", "_with_bias", map);
    finish(s, b && b->dtype == KF_F32);
    return KF_OK;
}

/* ---- squeeze and excite, pools ----------------------------------------------------------------------------------- */

/* Scales that a stage applies: one for each channel of its output or of its input, otherwise one. */
static int64_t scale_count(const kf__quant *in, const kf__quant *out) {
    if (out && out->channels) return out->channels;
    return in->channels ? in->channels : 1;
}

/* Sum over the image, times s_in / (H * W * s). */
static void pool(stage *s, const kf__quant *to) {
    const kf__shape *x = &s->w->g->values[s->n->in[0]].shape;
    double hw = (double)(x->dim[2] * x->dim[3]);
    int64_t n = scale_count(s->in, to);
    float *m = room(s, n);
    for (int64_t c = 0; m && c < n; c++)
        m[c] = (float)((double)kf__q_scale(s->in, c) / (hw * (to ? (double)kf__q_scale(to, c) : 1.0)));
    then(s, "ReduceSum", "_total", kf__out_ints(s->w, s->base, (int64_t[]){2, 3}, 2));
    times(s, "_mean", "_pool_multiplier", m, n);
}

/* `to`: the quantization in which the sums are clipped at once; NULL: they become floats. */
static void gate_layer(stage *s, int k, double s_in, const kf__quant *to) {
    const kf__value *v = &s->w->g->values[s->n->in[k]];
    kf__shape shape = kf__shape_make(4, (int64_t[]){v->shape.dim[0], v->shape.dim[1], 1, 1});
    layer l = {.op = "Conv", .bias = bias(s, k + 1), .gate = true};
    set_weights(s, s->n->in[k], &shape, &l);
    float *m = room(s, shape.dim[0]);
    sum(s, &l, true);
    for (int64_t o = 0; m && o < shape.dim[0]; o++)
        m[o] = to ? kf__mult3(s_in, (double)kf__q_scale(v->quant, o), (double)to->scale)
                  : kf__mult2(s_in, (double)kf__q_scale(v->quant, o));
    times(s, "_scaled", "_multiplier", m, shape.dim[0]);
}

static kf_status gate(stage *s) {
    const kf__attrs *a = &s->n->attrs;
    const kf__quant *pq = a->pool_quant, *hq = a->hidden_quant;
    if (!pq || !hq || !quant_of(s->w, s->n->in[1]) || !quant_of(s->w, s->n->in[3]))
        KF_FAIL(s->w->err, KF_ERR_FORMAT, "the branch has no scales for its weights, pooled or hidden values");
    bool direct = kf__activation_is_clip(&a->act);
    int32_t lo = hq->qmin, hi = hq->qmax;
    const char *pooled = kf__out_fresh(s->w, s->base, "_pooled"), *hidden = kf__out_fresh(s->w, s->base, "_hidden");
    pool(s, pq);
    round_off(s, pq, &pq->qmin, &pq->qmax, 1, pooled);
    s->at = pooled;
    gate_layer(s, 1, (double)pq->scale, direct ? hq : NULL);
    if (direct) kf__q_clip(hq, 0, &a->act, &lo, &hi);
    else {
        activate(s, &a->act, NULL, 0);
        float inv = kf__inverse((double)hq->scale);
        times(s, "_units", "_inverse", &inv, 1);
    }
    round_off(s, hq, &lo, &hi, 1, hidden);
    s->at = hidden;
    gate_layer(s, 3, (double)hq->scale, NULL);
    activate(s, &a->gate_act, NULL, 0);
    end_float(s);
    return KF_OK;
}

/* The mean of each window in the input's units, then in the output's: two roundings, unlike the contract. */
static void avg_pool(stage *s) {
    const char *out = kf__out_fresh(s->w, s->base, "_mean");
    kf__out_window(s->w, kf__out_node(s->w, "AveragePool", s->n->name, &s->at, 1, &out, 1), s->n);
    s->at = out;
    float m = kf__mult3((double)s->in->scale, 1.0, s->out ? (double)s->out->scale : 1.0);
    times(s, "_scaled", "_multiplier", &m, 1);
}

/* ---- the rest ---------------------------------------------------------------------------------------------------- */

static void act(stage *s) {
    const kf__activation *a = &s->n->attrs.act;
    int64_t n = scale_count(s->in, s->out), n_k = 0;
    float *m = room(s, n);
    if (kf__q_direct(s->n, s->out)) {
        for (int64_t c = 0; m && c < n; c++)
            m[c] = kf__mult3((double)kf__q_scale(s->in, c), 1.0, (double)kf__q_scale(s->out, c));
        times(s, "_scaled", "_multiplier", m, n);
        return;
    }
    times_scale(s, s->in, "_real");
    bool by_k = kf__q_hswish_k(s->n, s->out);
    float *k = by_k ? hswish_factors(s, &n_k) : NULL;
    activate(s, a, k, n_k);
    if (s->out && !by_k) times_inverse(s);
}

static void add_or_mul(stage *s) {
    stage b = *s;
    times_scale(s, s->in, "_a");
    b.at = kf__out_name(s->w, s->n->in[1]);
    times_scale(&b, quant_of(s->w, s->n->in[1]), "_b");
    then_named(s, s->n->op == KF_OP_ADD ? "Add" : "Mul", "_result", s->n->name, b.at);
    if (s->out) times_inverse(s);
    else activate(s, &s->n->attrs.post_act, NULL, 0);
}

static void scale(stage *s) {
    const char *x = s->at;
    s->at = kf__out_name(s->w, s->n->in[1]);
    times_scale(s, s->in, "_gate_scale");
    if (s->out) times_inverse(s);
    then_named(s, "Mul", "_product", s->n->name, x);
}

static void concat(stage *s) {
    const char *parts[64], *out = kf__out_fresh(s->w, s->base, "_joined");
    for (int k = 0; k < s->n->n_in && k < 64; k++) {
        stage p = *s;
        float m = kf__mult3((double)kf__q_scale(quant_of(s->w, s->n->in[k]), 0), 1.0, (double)s->out->scale);
        p.at = kf__out_name(s->w, s->n->in[k]);
        times(&p, "_part", "_multiplier", &m, 1);
        parts[k] = p.at;
    }
    kf__out_attr_int(s->w, kf__out_node(s->w, "Concat", s->n->name, parts, s->n->n_in, &out, 1), "axis",
                     s->n->attrs.axis);
    s->at = out;
}

/* A node without integer rules: computed on real numbers, then rounded. */
static kf_status float_node(kf__onnx_out *w, const kf__node *n) {
    stage s = stage_of(w, n);
    const char *kept[64], *name = s.base;
    for (int k = 0; k < n->n_in && k < 64; k++) {
        stage in = s;
        kept[k] = n->in[k] >= 0 ? w->names[n->in[k]] : NULL;
        if (!quant_of(w, n->in[k]) || w->g->values[n->in[k]].data) continue;
        in.at = kept[k];
        times_scale(&in, quant_of(w, n->in[k]), "_real");
        w->names[n->in[k]] = in.at;
    }
    if (s.out) w->names[n->out[0]] = kf__out_fresh(w, name, "_float");
    KF_TRY(kf__out_graph_node(w, n));
    for (int k = 0; k < n->n_in && k < 64; k++)
        if (n->in[k] >= 0 && kept[k]) w->names[n->in[k]] = kept[k];
    if (!s.out) return KF_OK;
    s.at = w->names[n->out[0]];
    w->names[n->out[0]] = name;
    times_inverse(&s);
    round_output(&s);
    return KF_OK;
}

static bool all_quantized(const kf__onnx_out *w, const kf__node *n) {
    bool all = true;
    for (int k = 0; k < n->n_in; k++) all &= quant_of(w, n->in[k]) != NULL;
    return all;
}

kf_status kf__out_exact_node(kf__onnx_out *w, const kf__node *n) {
    if (n->n_in > 64 || n->n_out < 1 || n->out[0] < 0) return kf__out_graph_node(w, n);
    if (kf__out_moves(w, n)) return kf__out_graph_node(w, n);
    if (!quant_of(w, n->in[0])) return float_node(w, n);
    stage s = stage_of(w, n);
    switch (kf__op_table[n->op].rule) {
    case KF_RULE_CONV:
    case KF_RULE_FC: return quant_of(w, n->in[1]) ? weighted(&s) : float_node(w, n);
    case KF_RULE_SE_GATE: return gate(&s);
    case KF_RULE_SCALE: scale(&s); break;
    case KF_RULE_ACT: act(&s); break;
    case KF_RULE_PAIR: add_or_mul(&s); break;
    case KF_RULE_MEAN: pool(&s, s.out); break;
    case KF_RULE_AVG_POOL: avg_pool(&s); break;
    case KF_RULE_CONCAT:
        if (!s.out || !all_quantized(w, n)) return float_node(w, n);
        concat(&s);
        break;
    case KF_RULE_MAX_POOL:
    case KF_RULE_PAD:
    case KF_RULE_VIEW:
    case KF_RULE_MOVE:
    case KF_RULE_NONE: return float_node(w, n);
    }
    if (s.out) round_output(&s);
    else end_float(&s);
    return KF_OK;
}

kf_status kf__out_exact_inputs(kf__onnx_out *w) {
    for (size_t i = 0; i < w->g->n_inputs; i++) {
        kf__vid v = w->g->inputs[i];
        const kf__quant *q = quant_of(w, v);
        const kf__shape *shape = &w->g->values[v].shape;
        if (!q) continue;
        const char *raw = kf__out_name(w, v), *out = kf__out_fresh(w, raw, "_units");
        const kf__node input = {.op = KF_OP_IDENTITY, .name = raw};
        stage s = {w, &input, NULL, q, raw, out, shape->rank > 1 ? shape->dim[1] : 1, shape->rank};
        if (kf__quant_is_pixels(q)) KF_TRY(kf__out_pixels(w, v, raw, &s.at));
        else times_inverse(&s);
        round_output(&s);
        w->names[v] = out;
    }
    w->outputs = kf__out_alloc(w, (w->g->n_outputs + 1) * sizeof *w->outputs);
    for (size_t i = 0; w->outputs && i < w->g->n_outputs; i++) { /* their names mean real numbers: see the end */
        kf__vid v = w->g->outputs[i];
        if (!quant_of(w, v) || w->g->values[v].producer < 0) continue;
        w->outputs[i] = kf__out_name(w, v);
        w->names[v] = kf__out_fresh(w, w->outputs[i], "_units");
    }
    return KF_OK;
}

void kf__out_exact_outputs(kf__onnx_out *w) {
    for (size_t i = 0; w->outputs && i < w->g->n_outputs; i++) {
        kf__vid v = w->g->outputs[i];
        const kf__shape *shape = &w->g->values[v].shape;
        if (!w->outputs[i]) continue;
        const kf__node end = {.op = KF_OP_IDENTITY, .name = w->outputs[i]};
        stage s = {
            w,          &end, quant_of(w, v), NULL, w->names[v], w->outputs[i], shape->rank > 1 ? shape->dim[1] : 1,
            shape->rank};
        times_scale(&s, s.in, "_real");
        end_float(&s);
        w->names[v] = w->outputs[i];
    }
}
