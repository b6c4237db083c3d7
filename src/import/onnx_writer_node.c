/* The ONNX writer: one graph node that has an ONNX operator of its own, in the form that the opset asks for. Parameters
 * that newer opsets moved from attributes to inputs go where this file's opset has them.
 * Owner rule: see onnx_writer_private.h. */
#include <math.h>

#include "graph/eval.h"
#include "import/onnx_writer_private.h"

enum { MAX_LINKS = 64 };

/* First opset in which a parameter is an input. */
enum {
    SLICE_INPUTS = 10,
    CLIP_INPUTS = 11,
    PAD_INPUTS = 11,
    K_INPUT = 10,
    DROPOUT_INPUTS = 12,
    AXES_INPUTS = 13,
    REDUCE_INPUTS = 18
};
/* First opset that can say which of equal numbers counts. */
enum { LAST_INDEX = 12, LARGEST = 11 };
/* First opset in which Split without sizes must give the number of parts. */
enum { SPLIT_COUNTS = 18 };
/* First opset in which Reshape may take a 0 as it is. */
enum { ALLOW_ZERO = 14 };

/* The node with its first `n_in` inputs as they are. */
static Onnx__NodeProto *plain(kf__onnx_out *w, const kf__node *n, int n_in) {
    const char *in[MAX_LINKS], *out[MAX_LINKS];
    if (n_in > n->n_in) n_in = n->n_in;
    for (int i = 0; i < n_in; i++) in[i] = kf__out_name(w, n->in[i]);
    for (int i = 0; i < n->n_out; i++) out[i] = kf__out_name(w, n->out[i]);
    return kf__out_node(w, kf__op_name(n->op), n->name, in, n_in, out, n->n_out);
}

/* The node with the first input, then `extra` generated ones. */
static Onnx__NodeProto *with_inputs(kf__onnx_out *w, const kf__node *n, const char *const *extra, int n_extra) {
    const char *in[MAX_LINKS], *out[MAX_LINKS];
    in[0] = kf__out_name(w, n->in[0]);
    for (int i = 0; i < n_extra; i++) in[1 + i] = extra[i];
    for (int i = 0; i < n->n_out; i++) out[i] = kf__out_name(w, n->out[i]);
    return kf__out_node(w, kf__op_name(n->op), n->name, in, 1 + n_extra, out, n->n_out);
}

static bool has_input(const kf__node *n, int k) { return k < n->n_in && n->in[k] >= 0; }

/* Input k as integers for an attribute: KF_OK with *n = 0 when absent. */
static kf_status constant_ints(const kf__onnx_out *w, const kf__node *node, int k, int64_t *list, int *n) {
    *n = 0;
    if (!has_input(node, k)) return KF_OK;
    const kf__value *v = &w->g->values[node->in[k]];
    size_t count;
    if (!v->data || (v->dtype != KF_I64 && v->dtype != KF_I32) || !kf__shape_count(&v->shape, &count) ||
        count > MAX_LINKS)
        KF_FAIL(w->err, KF_ERR_UNSUPPORTED,
                "input %d is computed, which opset %d cannot express; fold it or use a newer opset", k, w->opset);
    for (size_t i = 0; i < count; i++)
        list[i] = v->dtype == KF_I64 ? ((const int64_t *)v->data)[i] : ((const int32_t *)v->data)[i];
    *n = (int)count;
    return KF_OK;
}

/* Integers that are input 1 from opset `since` on and the attribute `name` before. */
static kf_status ints_either_way(kf__onnx_out *w, const kf__node *n, const char *name, int since, Onnx__NodeProto **p) {
    int64_t list[MAX_LINKS];
    int count;
    if (w->opset >= since) {
        if (has_input(n, 1)) *p = plain(w, n, 2);
        else if (n->attrs.n_axes == 0) *p = plain(w, n, 1);
        else *p = with_inputs(w, n, (const char *[]){kf__out_ints(w, n->name, n->attrs.axes, n->attrs.n_axes)}, 1);
        return KF_OK;
    }
    KF_TRY(constant_ints(w, n, 1, list, &count));
    *p = plain(w, n, 1);
    if (has_input(n, 1)) kf__out_attr_ints(w, *p, name, list, count);
    else if (n->attrs.n_axes > 0) kf__out_attr_ints(w, *p, name, n->attrs.axes, n->attrs.n_axes);
    return KF_OK;
}

static kf_status write_split(kf__onnx_out *w, const kf__node *n) {
    Onnx__NodeProto *p = NULL;
    KF_TRY(ints_either_way(w, n, "split", AXES_INPUTS, &p));
    kf__out_attr_int(w, p, "axis", n->attrs.axis);
    if (w->opset >= SPLIT_COUNTS && !has_input(n, 1) && n->attrs.n_axes == 0)
        kf__out_attr_int(w, p, "num_outputs", n->n_out);
    return KF_OK;
}

static kf_status write_slice(kf__onnx_out *w, const kf__node *n) {
    static const char *const NAMES[] = {"starts", "ends", "axes"};
    int64_t list[MAX_LINKS];
    int count;
    if (w->opset >= SLICE_INPUTS) {
        plain(w, n, n->n_in);
        return KF_OK;
    }
    KF_TRY(constant_ints(w, n, 4, list, &count));
    for (int i = 0; i < count; i++)
        if (list[i] != 1)
            KF_FAIL(w->err, KF_ERR_UNSUPPORTED, "a step of %lld needs opset %d", (long long)list[i], SLICE_INPUTS);
    Onnx__NodeProto *p = plain(w, n, 1);
    for (int k = 0; k < 3; k++) {
        KF_TRY(constant_ints(w, n, k + 1, list, &count));
        if (has_input(n, k + 1)) kf__out_attr_ints(w, p, NAMES[k], list, count);
    }
    return KF_OK;
}

static kf_status write_pad(kf__onnx_out *w, const kf__node *n) {
    int64_t list[MAX_LINKS];
    int count;
    const kf__attrs *a = &n->attrs;
    static const char *const MODES[] = {"constant", "edge", "reflect"};
    if (w->opset >= PAD_INPUTS) {
        const char *const pads = has_input(n, 1) ? NULL : kf__out_ints(w, n->name, a->axes, a->n_axes);
        Onnx__NodeProto *p;
        if (!pads) p = plain(w, n, 3); /* import spread the axes of opset 18 into the pads */
        else p = with_inputs(w, n, (const char *[]){pads, kf__out_scalar(w, n->name, a->value)}, 2);
        if (a->mode) kf__out_attr_text(w, p, "mode", MODES[a->mode]);
        return KF_OK;
    }
    KF_TRY(constant_ints(w, n, 1, list, &count));
    Onnx__NodeProto *p = plain(w, n, 1);
    if (has_input(n, 1)) kf__out_attr_ints(w, p, "pads", list, count);
    else kf__out_attr_ints(w, p, "pads", a->axes, a->n_axes);
    kf__out_attr_float(w, p, "value", a->value);
    if (a->mode) kf__out_attr_text(w, p, "mode", MODES[a->mode]);
    return KF_OK;
}

/* Clip of the file; bounds that are inputs stay what they are. */
static void clip(kf__onnx_out *w, const kf__node *n) {
    if (w->opset >= CLIP_INPUTS && (has_input(n, 1) || has_input(n, 2))) {
        plain(w, n, 3);
        return;
    }
    kf__activation act = {.kind = KF_ACT_CLIP, .lo = n->attrs.act.lo, .hi = n->attrs.act.hi};
    kf__out_activation(w, n->name, &act, kf__out_name(w, n->in[0]), kf__out_name(w, n->out[0]));
}

static void constant_of_shape(kf__onnx_out *w, const kf__node *n) {
    kf__dense d = {.dtype = n->attrs.to, .shape = kf__shape_make(1, (int64_t[]){1})};
    d.data = kf__out_alloc(w, sizeof(double));
    if (!d.data) return;
    kf__eval_put(&d, 0, n->attrs.value);
    kf__out_attr_tensor(w, plain(w, n, 1), "value", kf__out_tensor(w, "", d.dtype, &d.shape, d.data));
}

static void gemm(kf__onnx_out *w, const kf__node *n) {
    Onnx__NodeProto *p = plain(w, n, 3);
    kf__out_attr_float(w, p, "alpha", n->attrs.alpha);
    kf__out_attr_float(w, p, "beta", n->attrs.beta);
    kf__out_attr_int(w, p, "transA", n->attrs.trans_a);
    kf__out_attr_int(w, p, "transB", n->attrs.trans_b);
}

void kf__out_window(kf__onnx_out *w, Onnx__NodeProto *p, const kf__node *n) {
    const kf__window *c = &n->attrs.window;
    bool conv = n->op == KF_OP_CONV;
    kf__out_attr_ints(w, p, "kernel_shape", (int64_t[]){c->kh, c->kw}, 2);
    kf__out_attr_ints(w, p, "strides", (int64_t[]){c->sh, c->sw}, 2);
    kf__out_attr_ints(w, p, "pads", (int64_t[]){c->pt, c->pl, c->pb, c->pr}, 4);
    if (conv || c->dh != 1 || c->dw != 1) kf__out_attr_ints(w, p, "dilations", (int64_t[]){c->dh, c->dw}, 2);
    if (conv) kf__out_attr_int(w, p, "group", c->group);
    if (n->attrs.ceil_mode) kf__out_attr_int(w, p, "ceil_mode", 1);
    if (n->attrs.count_include_pad) kf__out_attr_int(w, p, "count_include_pad", 1);
}

static void hard_sigmoid(kf__onnx_out *w, const kf__node *n) {
    Onnx__NodeProto *p = plain(w, n, 1);
    kf__out_attr_float(w, p, "alpha", n->attrs.alpha);
    kf__out_attr_float(w, p, "beta", n->attrs.beta);
}

static void reshape(kf__onnx_out *w, const kf__node *n) {
    Onnx__NodeProto *p = plain(w, n, 2);
    if (n->attrs.allow_zero && w->opset >= ALLOW_ZERO) kf__out_attr_int(w, p, "allowzero", 1);
}

static void transpose(kf__onnx_out *w, const kf__node *n) {
    Onnx__NodeProto *p = plain(w, n, 1);
    if (n->attrs.n_axes) kf__out_attr_ints(w, p, "perm", n->attrs.axes, n->attrs.n_axes);
}

static void shape(kf__onnx_out *w, const kf__node *n) {
    Onnx__NodeProto *p = plain(w, n, 1);
    if (n->attrs.start) kf__out_attr_int(w, p, "start", n->attrs.start);
    if (n->attrs.end) kf__out_attr_int(w, p, "end", n->attrs.end); /* 0 stands for "to the end" */
}

static kf_status write_reduce(kf__onnx_out *w, const kf__node *n) {
    const int since = n->op == KF_OP_REDUCE_SUM ? AXES_INPUTS : REDUCE_INPUTS;
    Onnx__NodeProto *p = NULL;
    KF_TRY(ints_either_way(w, n, "axes", since, &p));
    if (n->attrs.noop && w->opset >= since) kf__out_attr_int(w, p, "noop_with_empty_axes", 1);
    kf__out_attr_int(w, p, "keepdims", n->attrs.keepdims);
    return KF_OK;
}

static kf_status write_arg(kf__onnx_out *w, const kf__node *n) {
    const bool last = n->attrs.selects & KF_SELECTS_LAST;
    if (last && w->opset < LAST_INDEX)
        KF_FAIL(w->err, KF_ERR_UNSUPPORTED, "the last of equal numbers needs opset %d", LAST_INDEX);
    Onnx__NodeProto *p = plain(w, n, 1);
    kf__out_attr_int(w, p, "axis", n->attrs.axis);
    kf__out_attr_int(w, p, "keepdims", n->attrs.keepdims);
    if (last) kf__out_attr_int(w, p, "select_last_index", 1);
    return KF_OK;
}

/* k is a list of one number. */
static kf_status top_k(kf__onnx_out *w, const kf__node *n, Onnx__NodeProto *p, int64_t k) {
    const bool smallest = n->attrs.selects & KF_SELECTS_SMALLEST;
    if (smallest && w->opset < LARGEST)
        KF_FAIL(w->err, KF_ERR_UNSUPPORTED, "the smallest numbers need opset %d", LARGEST);
    kf__out_attr_int(w, p, "axis", n->attrs.axis);
    if (smallest) kf__out_attr_int(w, p, "largest", 0);
    if (w->opset < K_INPUT) kf__out_attr_int(w, p, "k", k);
    return KF_OK;
}

static kf_status write_top_k(kf__onnx_out *w, const kf__node *n) {
    int64_t k[MAX_LINKS] = {n->attrs.axes[0]};
    int count;
    if (w->opset >= K_INPUT && has_input(n, 1)) return top_k(w, n, plain(w, n, 2), 0);
    if (has_input(n, 1)) KF_TRY(constant_ints(w, n, 1, k, &count));
    Onnx__NodeProto *p =
        w->opset < K_INPUT ? plain(w, n, 1) : with_inputs(w, n, (const char *[]){kf__out_ints(w, n->name, k, 1)}, 1);
    return top_k(w, n, p, k[0]);
}

/* The output that TOP does not select gets a name that nobody reads; ArgMax says what of equal numbers the last is. */
static kf_status write_top(kf__onnx_out *w, const kf__node *n) {
    const bool places = n->attrs.selects & KF_SELECTS_INDICES, smallest = n->attrs.selects & KF_SELECTS_SMALLEST;
    const char *last = kf__out_name(w, n->out[0]), *x = kf__out_name(w, n->in[0]), *y = last;
    if (places && n->attrs.to == KF_F32) {
        y = kf__out_fresh(w, last, "places");
        const char *name = kf__out_node_name(w, n->name, "Cast");
        kf__out_attr_int(w, kf__out_node(w, "Cast", name, &y, 1, &last, 1), "to", kf__out_dtype(KF_F32));
    }
    if (places && n->attrs.axes[0] == 1) {
        Onnx__NodeProto *p = kf__out_node(w, smallest ? "ArgMin" : "ArgMax", n->name, &x, 1, &y, 1);
        kf__out_attr_int(w, p, "axis", n->attrs.axis);
        kf__out_attr_int(w, p, "keepdims", 1);
        if (n->attrs.selects & KF_SELECTS_LAST) kf__out_attr_int(w, p, "select_last_index", 1);
        return KF_OK;
    }
    const char *in[] = {x, w->opset < K_INPUT ? "" : kf__out_ints(w, n->name, n->attrs.axes, 1)};
    const char *both[2];
    both[places] = y, both[!places] = kf__out_fresh(w, y, "unread");
    Onnx__NodeProto *p = kf__out_node(w, "TopK", n->name, in, w->opset < K_INPUT ? 1 : 2, both, 2);
    return top_k(w, n, p, n->attrs.axes[0]);
}

/* ---- one function for each name of attributes in ops.def --------------------------------------------------------- */

typedef kf_status write_fn(kf__onnx_out *w, const kf__node *n);

/* Those that cannot fail. */
#define WRITE(attrs, statement)                                                                                        \
    static kf_status write_##attrs(kf__onnx_out *w, const kf__node *n) {                                               \
        statement;                                                                                                     \
        return KF_OK;                                                                                                  \
    }

WRITE(none, plain(w, n, n->n_in))
WRITE(conv, kf__out_conv(w, n))
WRITE(add, kf__out_add(w, n))
WRITE(hard_swish, kf__out_hard_swish(w, n))
WRITE(fc, kf__out_fc(w, n))
WRITE(act, kf__out_act(w, n))
WRITE(se_gate, kf__out_se_gate(w, n))
WRITE(scale, kf__out_scale(w, n))
WRITE(pool, kf__out_window(w, plain(w, n, 1), n))
WRITE(batch_norm, kf__out_attr_float(w, plain(w, n, 5), "epsilon", n->attrs.epsilon))
WRITE(reshape, reshape(w, n))
WRITE(clip, clip(w, n))
WRITE(hard_sigmoid, hard_sigmoid(w, n))
WRITE(leaky_relu, kf__out_attr_float(w, plain(w, n, 1), "alpha", n->attrs.alpha))
WRITE(gemm, gemm(w, n))
WRITE(axis, kf__out_attr_int(w, plain(w, n, n->n_in), "axis", n->attrs.axis))
WRITE(transpose, transpose(w, n))
WRITE(cast, kf__out_attr_int(w, plain(w, n, 1), "to", kf__out_dtype(n->attrs.to)))
WRITE(fill, constant_of_shape(w, n))
WRITE(shape, shape(w, n))
WRITE(dropout, plain(w, n, w->opset >= DROPOUT_INPUTS ? n->n_in : 1))
#define write_mod write_none
#define write_flatten write_axis
#define write_linear write_axis

/* Before opset 13 it runs over all axes from its own on, which is why its own becomes the last one. */
static kf_status write_softmax(kf__onnx_out *w, const kf__node *n) {
    enum { ONE_AXIS = 13 };
    const kf__shape *s = &w->g->values[n->in[0]].shape;
    const int axis = n->attrs.axis < 0 ? n->attrs.axis + s->rank : n->attrs.axis, last = s->rank - 1;
    int64_t order[KF_MAX_RANK];
    bool later = false;
    for (int k = 0; k < s->rank; k++) {
        order[k] = k;
        later = later || (k > axis && s->dim[k] != 1);
    }
    if (w->opset >= ONE_AXIS || !later) return write_axis(w, n);
    order[axis] = last, order[last] = axis;
    const char *x = kf__out_name(w, n->in[0]), *y = kf__out_name(w, n->out[0]);
    const char *turned = kf__out_fresh(w, n->name, "_turned"), *soft = kf__out_fresh(w, n->name, "_last");
    const char *before = kf__out_node_name(w, n->name, "_turn"), *after = kf__out_node_name(w, n->name, "_back");
    kf__out_attr_ints(w, kf__out_node(w, "Transpose", before, &x, 1, &turned, 1), "perm", order, s->rank);
    kf__out_attr_int(w, kf__out_node(w, kf__op_name(n->op), n->name, &turned, 1, &soft, 1), "axis", last);
    kf__out_attr_ints(w, kf__out_node(w, "Transpose", after, &soft, 1, &y, 1), "perm", order, s->rank);
    return KF_OK;
}

static kf_status write_axes(kf__onnx_out *w, const kf__node *n) {
    Onnx__NodeProto *p = NULL;
    return ints_either_way(w, n, "axes", AXES_INPUTS, &p);
}

static write_fn *const WRITERS[KF_OP_COUNT] = {
#define KF_OP(id, name, least, most, role, attrs, ...) write_##attrs,
#include "graph/ops.def"
#undef KF_OP
};

kf_status kf__out_graph_node(kf__onnx_out *w, const kf__node *n) {
    if (n->n_in > MAX_LINKS || n->n_out > MAX_LINKS)
        KF_FAIL(w->err, KF_ERR_LIMIT, "%d inputs, %d outputs", n->n_in, n->n_out);
    return WRITERS[n->op](w, n);
}
