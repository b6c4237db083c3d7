/* The ONNX writer: activations, and fused operators spelled out again. One compiled step becomes standard operators:
 * convolution, activation, sum, activation.
 * Owner rule: see onnx_writer_private.h. */
#include <math.h>

#include "import/onnx_writer_private.h"

/* First opset of the operator or form. */
enum { HARD_SWISH_OPSET = 14, CLIP_INPUTS = 11, GEMM_OPTIONAL_BIAS = 11 };

static Onnx__NodeProto *one(kf__onnx_out *w, const char *op, const char *name, const char *x, const char *y,
                            const char *out) {
    return kf__out_node(w, op, name, (const char *[]){x, y}, 2, &out, 1);
}

static void hard_sigmoid(kf__onnx_out *w, const char *name, float alpha, float beta, const char *in, const char *out) {
    Onnx__NodeProto *p = one(w, "HardSigmoid", name, in, "", out);
    kf__out_attr_float(w, p, "alpha", alpha);
    kf__out_attr_float(w, p, "beta", beta);
}

static void clip(kf__onnx_out *w, const char *name, float lo, float hi, const char *in, const char *out) {
    bool bounded_below = lo != -INFINITY, bounded_above = hi != INFINITY;
    if (lo == 0.0f && !bounded_above) {
        one(w, "Relu", name, in, "", out);
        return;
    }
    if (w->opset >= CLIP_INPUTS) {
        const char *all[] = {in, bounded_below ? kf__out_scalar(w, name, lo) : "",
                             bounded_above ? kf__out_scalar(w, name, hi) : ""};
        kf__out_node(w, "Clip", name, all, 3, &out, 1);
        return;
    }
    Onnx__NodeProto *p = one(w, "Clip", name, in, "", out);
    if (bounded_below) kf__out_attr_float(w, p, "min", lo);
    if (bounded_above) kf__out_attr_float(w, p, "max", hi);
}

void kf__out_activation(kf__onnx_out *w, const char *node_name, const kf__activation *act, const char *in,
                        const char *out) {
    const float sixth = 1.0f / 6.0f;
    const char *gate;
    switch (act->kind) {
    case KF_ACT_CLIP: clip(w, node_name, act->lo, act->hi, in, out); return;
    case KF_ACT_HSIGMOID: hard_sigmoid(w, node_name, sixth, 0.5f, in, out); return;
    case KF_ACT_HARDSIGMOID: hard_sigmoid(w, node_name, act->lo, act->hi, in, out); return;
    case KF_ACT_SIGMOID: one(w, "Sigmoid", node_name, in, "", out); return;
    case KF_ACT_HSWISH:
        if (w->opset >= HARD_SWISH_OPSET) {
            one(w, "HardSwish", node_name, in, "", out);
            return;
        }
        gate = kf__out_fresh(w, out, "_gate");
        hard_sigmoid(w, node_name, sixth, 0.5f, in, gate);
        one(w, "Mul", node_name, in, gate, out);
        return;
    case KF_ACT_SILU:
        gate = kf__out_fresh(w, out, "_gate");
        one(w, "Sigmoid", node_name, in, "", gate);
        one(w, "Mul", node_name, in, gate, out);
        return;
    case KF_ACT_NONE:
    case KF_ACT_COUNT: break;
    }
    one(w, "Identity", node_name, in, "", out);
}

/* A chain under construction: each stage writes a new value, the last one the node's own output. */
typedef struct chain {
    kf__onnx_out *w;
    const kf__node *n;
    const char *at; /* the value so far */
    int left;       /* stages still to come, the current one included */
} chain;

static const char *next(chain *c) {
    const char *out = kf__out_name(c->w, c->n->out[0]);
    return --c->left > 0 ? kf__out_fresh(c->w, out, "_part") : out;
}

static void then_activate(chain *c, const kf__activation *act) {
    if (act->kind == KF_ACT_NONE) return;
    const char *out = next(c);
    kf__out_activation(c->w, c->n->name, act, c->at, out);
    c->at = out;
}

void kf__out_conv(kf__onnx_out *w, const kf__node *n) {
    bool residual = n->n_in > 3 && n->in[3] >= 0;
    chain c = {w, n, NULL,
               1 + (w->bias_map != NULL) + (n->attrs.act.kind != KF_ACT_NONE) + residual +
                   (n->attrs.post_act.kind != KF_ACT_NONE)};
    const char *in[] = {kf__out_name(w, n->in[0]), kf__out_name(w, n->in[1]),
                        n->n_in > 2 && !w->bias_map ? kf__out_name(w, n->in[2]) : ""};
    c.at = next(&c);
    kf__out_window(w, kf__out_node(w, "Conv", n->name, in, 3, &c.at, 1), n);
    if (w->bias_map) {
        const char *sum = next(&c);
        one(w, "Add", kf__out_node_name(w, n->name, "/bias"), c.at, w->bias_map, sum);
        c.at = sum;
    }
    then_activate(&c, &n->attrs.act);
    if (residual) {
        const char *sum = next(&c);
        one(w, "Add", n->name, c.at, kf__out_name(w, n->in[3]), sum);
        c.at = sum;
    }
    then_activate(&c, &n->attrs.post_act);
}

void kf__out_add(kf__onnx_out *w, const kf__node *n) {
    chain c = {w, n, NULL, 1 + (n->attrs.post_act.kind != KF_ACT_NONE)};
    c.at = next(&c);
    one(w, "Add", n->name, kf__out_name(w, n->in[0]), kf__out_name(w, n->in[1]), c.at);
    then_activate(&c, &n->attrs.post_act);
}

void kf__out_fc(kf__onnx_out *w, const kf__node *n) {
    chain c = {w, n, NULL, 1 + (n->attrs.act.kind != KF_ACT_NONE)};
    const char *in[] = {kf__out_name(w, n->in[0]), kf__out_name(w, n->in[1]),
                        n->n_in > 2 ? kf__out_name(w, n->in[2]) : ""};
    if (!*in[2] && w->opset < GEMM_OPTIONAL_BIAS) in[2] = kf__out_scalar(w, n->name, 0.0f);
    c.at = next(&c);
    kf__out_attr_int(w, kf__out_node(w, "Gemm", n->name, in, 3, &c.at, 1), "transB", 1);
    then_activate(&c, &n->attrs.act);
}

/* One layer of the gate: a 1x1 convolution with weights that the graph keeps as a matrix. */
static const char *gate_layer(kf__onnx_out *w, const kf__node *n, int k, const char *in, const char *name) {
    const kf__value *m = &w->g->values[n->in[k]];
    kf__shape shape = kf__shape_make(4, (int64_t[]){m->shape.dim[0], m->shape.dim[1], 1, 1});
    const char *base = kf__out_name(w, n->out[0]), *out = kf__out_fresh(w, base, "_layer");
    const char *all[] = {in, kf__out_weight(w, *m->name ? m->name : base, m, &shape), kf__out_name(w, n->in[k + 1])};
    Onnx__NodeProto *p = kf__out_node(w, "Conv", name, all, 3, &out, 1);
    kf__out_attr_ints(w, p, "kernel_shape", (int64_t[]){1, 1}, 2);
    return out;
}

void kf__out_se_gate(kf__onnx_out *w, const kf__node *n) {
    const char *out = kf__out_name(w, n->out[0]), *pooled = kf__out_fresh(w, out, "_pooled"), *hidden;
    one(w, "GlobalAveragePool", n->name, kf__out_name(w, n->in[0]), "", pooled);
    pooled = kf__out_rounded(w, pooled, n->attrs.pool_quant, pooled);
    const char *reduced = gate_layer(w, n, 1, pooled, n->name);
    hidden = reduced;
    if (n->attrs.act.kind != KF_ACT_NONE) {
        hidden = kf__out_fresh(w, out, "_hidden");
        kf__out_activation(w, n->name, &n->attrs.act, reduced, hidden);
    }
    hidden = kf__out_rounded(w, hidden, n->attrs.hidden_quant, hidden);
    const char *expanded = gate_layer(w, n, 3, hidden, n->name);
    kf__out_activation(w, n->name, &n->attrs.gate_act, expanded, out);
}

void kf__out_scale(kf__onnx_out *w, const kf__node *n) {
    const char *x = kf__out_name(w, n->in[0]), *gate = kf__out_name(w, n->in[1]);
    one(w, "Mul", n->name, x, gate, kf__out_name(w, n->out[0]));
}

void kf__out_act(kf__onnx_out *w, const kf__node *n) {
    const char *x = kf__out_name(w, n->in[0]), *y = kf__out_name(w, n->out[0]);
    kf__out_activation(w, n->name, &n->attrs.act, x, y);
}

void kf__out_hard_swish(kf__onnx_out *w, const kf__node *n) {
    const char *x = kf__out_name(w, n->in[0]), *y = kf__out_name(w, n->out[0]);
    kf__out_activation(w, n->name, &(kf__activation){.kind = KF_ACT_HSWISH}, x, y);
}
