/* One ONNX node to one graph node: attributes of every opset between 7 and 22.
 * Old attribute forms (Clip min/max, Squeeze axes, Slice starts ...) become the newer input form or attrs.
 * Owner rule: everything is allocated from the graph's arena. */
#include "graph/eval.h"
#include "graph/operands.h"
#include "import/onnx_private.h"

#include <math.h>
#include <stdio.h>

static const Onnx__AttributeProto *find(const Onnx__NodeProto *p, const char *name) {
    for (size_t i = 0; i < p->n_attribute; i++)
        if (p->attribute[i]->name && strcmp(p->attribute[i]->name, name) == 0) return p->attribute[i];
    return NULL;
}

static int64_t attr_int(const Onnx__NodeProto *p, const char *name, int64_t otherwise) {
    const Onnx__AttributeProto *a = find(p, name);
    return a && a->has_i ? a->i : otherwise;
}

static float attr_float(const Onnx__NodeProto *p, const char *name, float otherwise) {
    const Onnx__AttributeProto *a = find(p, name);
    return a && a->has_f ? a->f : otherwise;
}

static bool attr_is(const Onnx__NodeProto *p, const char *name, const char *text) {
    const Onnx__AttributeProto *a = find(p, name);
    return a && a->s.len == strlen(text) && memcmp(a->s.data, text, a->s.len) == 0;
}

static bool fits_i32(int64_t v, int64_t lo) { return v >= lo && v <= 1 << 20; }

/* An ints attribute of exactly two (or `n`) values into i32 fields with a range check. */
static kf_status ints_to(kf__onnx *o, const Onnx__NodeProto *p, const char *name, int64_t lo, int n, int32_t **to) {
    const Onnx__AttributeProto *a = find(p, name);
    if (!a || a->n_ints == 0) return KF_OK;
    if (a->n_ints != (size_t)n)
        KF_FAIL(o->err, KF_ERR_UNSUPPORTED, "attribute %s has %zu values, %d are needed (2-D only)", name, a->n_ints,
                n);
    for (int i = 0; i < n; i++) {
        if (!fits_i32(a->ints[i], lo))
            KF_FAIL(o->err, KF_ERR_FORMAT, "attribute %s: %lld is out of range", name, (long long)a->ints[i]);
        *to[i] = (int32_t)a->ints[i];
    }
    return KF_OK;
}

/* Infer what was read since the last time, but not the node being read (the last one): its own attributes are not
 * complete yet. Producers are read first, so no earlier shape can become known later. */
static kf_status infer_prefix(kf__onnx *o) {
    o->g->n_nodes--;
    kf_status st = kf__graph_infer_from(o->g, o->inferred, o->err);
    o->inferred = o->g->n_nodes++;
    return st;
}

static const kf__shape *input_shape(const kf__onnx *o, const kf__node *n, int k) {
    return k < n->n_in && n->in[k] >= 0 ? &o->g->values[n->in[k]].shape : NULL;
}

/* SAME_UPPER and SAME_LOWER need the input extent; it is known once shapes were inferred for all earlier nodes. */
static kf_status auto_pad(kf__onnx *o, const Onnx__NodeProto *p, const kf__node *n, kf__window *c) {
    bool upper = attr_is(p, "auto_pad", "SAME_UPPER"), lower = attr_is(p, "auto_pad", "SAME_LOWER");
    if (!upper && !lower) return KF_OK;
    KF_TRY(infer_prefix(o));
    const kf__shape *s = input_shape(o, n, 0);
    if (!s || s->rank != 4)
        KF_FAIL(o->err, KF_ERR_UNSUPPORTED, "auto_pad needs a known input size; give --input-shape");
    const int32_t k[2] = {c->kh, c->kw}, st[2] = {c->sh, c->sw}, d[2] = {c->dh, c->dw};
    int32_t before[2], after[2];
    for (int i = 0; i < 2; i++) {
        int64_t in = s->dim[2 + i], out = (in + st[i] - 1) / st[i];
        int64_t total = kf__max_i64(0, (out - 1) * st[i] + (int64_t)d[i] * (k[i] - 1) + 1 - in);
        before[i] = (int32_t)(upper ? total / 2 : total - total / 2);
        after[i] = (int32_t)(total - before[i]);
    }
    c->pt = before[0], c->pl = before[1], c->pb = after[0], c->pr = after[1];
    return KF_OK;
}

static kf_status window_attrs(kf__onnx *o, const Onnx__NodeProto *p, kf__node *n) {
    kf__window *c = &n->attrs.window;
    *c = KF_WINDOW_ONE;
    const kf__shape *w = n->op == KF_OP_CONV ? input_shape(o, n, 1) : NULL;
    if (w && w->rank != 4 && !find(p, "kernel_shape"))
        KF_TRY(infer_prefix(o)); /* weights that pass through a Cast or an Identity */
    if (w && w->rank == 4) {
        if (!fits_i32(w->dim[2], 1) || !fits_i32(w->dim[3], 1))
            KF_FAIL(o->err, KF_ERR_FORMAT, "the kernel's size is out of range");
        c->kh = (int32_t)w->dim[2];
        c->kw = (int32_t)w->dim[3];
    }
    if (n->op != KF_OP_CONV && !find(p, "kernel_shape")) KF_FAIL(o->err, KF_ERR_FORMAT, "kernel_shape is missing");
    KF_TRY(ints_to(o, p, "kernel_shape", 1, 2, (int32_t *[]){&c->kh, &c->kw}));
    KF_TRY(ints_to(o, p, "strides", 1, 2, (int32_t *[]){&c->sh, &c->sw}));
    KF_TRY(ints_to(o, p, "dilations", 1, 2, (int32_t *[]){&c->dh, &c->dw}));
    KF_TRY(ints_to(o, p, "pads", 0, 4, (int32_t *[]){&c->pt, &c->pl, &c->pb, &c->pr}));
    int64_t group = attr_int(p, "group", 1);
    if (!fits_i32(group, 1)) KF_FAIL(o->err, KF_ERR_FORMAT, "attribute group: %lld is out of range", (long long)group);
    c->group = (int32_t)group;
    n->attrs.ceil_mode = attr_int(p, "ceil_mode", 0) != 0;
    n->attrs.count_include_pad = attr_int(p, "count_include_pad", 0) != 0;
    return auto_pad(o, p, n, c);
}

/* An ints attribute into attrs.axes. */
static kf_status axes_attr(kf__onnx *o, const Onnx__NodeProto *p, const char *name, kf__node *n) {
    const Onnx__AttributeProto *a = find(p, name);
    if (!a) return KF_OK;
    if (a->n_ints > 2 * KF_MAX_RANK) KF_FAIL(o->err, KF_ERR_LIMIT, "attribute %s has %zu values", name, a->n_ints);
    n->attrs.n_axes = (int32_t)a->n_ints;
    for (size_t i = 0; i < a->n_ints; i++) n->attrs.axes[i] = kf__cut(a->ints[i]);
    return KF_OK;
}

/* Turns an old attribute into a constant input, so that later stages handle one form. */
static kf_status attr_to_input(kf__onnx *o, const Onnx__NodeProto *p, const char *name, kf__vid *in) {
    const Onnx__AttributeProto *a = find(p, name);
    if (!a || *in >= 0) return KF_OK;
    kf__shape s = kf__shape_make(1, (int64_t[]){(int64_t)a->n_ints});
    *in = kf__graph_add_const(o->g, "", KF_I64, &s, a->ints);
    if (*in < 0) KF_FAIL_MEMORY(o->err, a->n_ints * 8);
    return KF_OK;
}

/* Extend the inputs of `n` to `count`; new ones are absent. */
static kf_status want_inputs(kf__onnx *o, kf__node *n, int count) {
    if (n->n_in >= count) return KF_OK;
    kf__vid *in = kf__arena_alloc(&o->g->arena, (size_t)count * sizeof *in);
    if (!in) KF_FAIL_MEMORY(o->err, (size_t)count * sizeof *in);
    for (int i = 0; i < count; i++) in[i] = i < n->n_in ? n->in[i] : KF_NO_VALUE;
    n->in = in;
    n->n_in = count;
    return KF_OK;
}

static float scalar_or(const kf__onnx *o, kf__vid v, float otherwise) {
    if (v < 0) return otherwise;
    const kf__value *x = &o->g->values[v];
    const kf__dense d = {.dtype = x->dtype, .shape = x->shape, .data = (void *)(uintptr_t)x->data};
    return x->data && x->bytes > 0 ? (float)kf__eval_get(&d, 0) : otherwise;
}

static kf_status clip_attrs(kf__onnx *o, const Onnx__NodeProto *p, kf__node *n) {
    for (int k = 1; k < n->n_in; k++)
        if (n->in[k] >= 0 && !o->g->values[n->in[k]].data)
            KF_FAIL(o->err, KF_ERR_UNSUPPORTED,
                    "bound %d is computed at run time; fold it with `kitfox simplify` or a constant", k);
    n->attrs.act.kind = KF_ACT_CLIP;
    n->attrs.act.lo = scalar_or(o, n->n_in > 1 ? n->in[1] : -1, attr_float(p, "min", -INFINITY));
    n->attrs.act.hi = scalar_or(o, n->n_in > 2 ? n->in[2] : -1, attr_float(p, "max", INFINITY));
    return KF_OK;
}

static kf_status slice_inputs(kf__onnx *o, const Onnx__NodeProto *p, kf__node *n) {
    if (find(p, "starts")) KF_TRY(want_inputs(o, n, 4));
    else return KF_OK;
    KF_TRY(attr_to_input(o, p, "starts", &n->in[1]));
    KF_TRY(attr_to_input(o, p, "ends", &n->in[2]));
    return attr_to_input(o, p, "axes", &n->in[3]);
}

static kf_status cast_to(kf__onnx *o, int64_t to, kf__node *n) {
    n->attrs.to = to > 0 && to <= INT32_MAX ? kf__onnx_dtype((int)to) : KF_DTYPE_NONE;
    if (n->attrs.to == KF_F16 || n->attrs.to == KF_BF16 || n->attrs.to == KF_F64) n->attrs.to = KF_F32;
    if (n->attrs.to == KF_DTYPE_NONE) KF_FAIL(o->err, KF_ERR_UNSUPPORTED, "cast to element type %lld", (long long)to);
    return KF_OK;
}

static kf_status fill_value(kf__onnx *o, const Onnx__NodeProto *p, kf__node *n) {
    const Onnx__AttributeProto *a = find(p, "value");
    n->attrs.to = KF_F32;
    if (!a || !a->t) return KF_OK;
    kf__dense d;
    size_t count = 0;
    KF_TRY(kf__onnx_tensor(o, a->t, &d.dtype, &d.shape, &d.data));
    if (!kf__shape_count(&d.shape, &count) || count != 1)
        KF_FAIL(o->err, KF_ERR_FORMAT, "attribute value has %zu elements; one is needed", count);
    double value = kf__eval_get(&d, 0);
    if (d.dtype != KF_F32 && fabs(value) > 1 << 24)
        KF_FAIL(o->err, KF_ERR_UNSUPPORTED, "value %.0f is beyond 2^24", value);
    n->attrs.to = d.dtype;
    n->attrs.value = (float)value;
    return KF_OK;
}

/* Pad of opset 18 may name the axes it pads: expanded to pads of every axis, the form that later stages handle. */
static kf_status pad_axes(kf__onnx *o, kf__node *n) {
    if (n->n_in < 4 || n->in[3] < 0) return KF_OK;
    KF_TRY(infer_prefix(o));
    const kf__value *pads = n->in[1] >= 0 ? &o->g->values[n->in[1]] : NULL, *axes = &o->g->values[n->in[3]];
    int64_t rank = o->g->values[n->in[0]].shape.rank, full[2 * KF_MAX_RANK] = {0}, count = (int64_t)(axes->bytes / 8);
    bool named[KF_MAX_RANK] = {false};
    if (axes->shape.rank != 1 || (pads && pads->shape.rank != 1))
        KF_FAIL(o->err, KF_ERR_FORMAT, "pads or axes are not a list");
    if (rank < 1 || !pads || !pads->data || !axes->data || pads->dtype != KF_I64 || axes->dtype != KF_I64)
        KF_FAIL(o->err, KF_ERR_UNSUPPORTED,
                "axes need constant i64 pads and axes and a known rank; export with opset 17");
    if (pads->bytes / 8 != (size_t)(2 * count))
        KF_FAIL(o->err, KF_ERR_FORMAT, "%zu pads for %lld axes", pads->bytes / 8, (long long)count);
    for (int64_t i = 0; i < count; i++) {
        int64_t ax = ((const int64_t *)axes->data)[i];
        if (ax < -rank || ax >= rank) KF_FAIL(o->err, KF_ERR_FORMAT, "axis %lld is out of range", (long long)ax);
        ax += ax < 0 ? rank : 0;
        if (named[ax]) KF_FAIL(o->err, KF_ERR_FORMAT, "axis %lld is given twice", (long long)ax);
        named[ax] = true;
        full[ax] = ((const int64_t *)pads->data)[i];
        full[rank + ax] = ((const int64_t *)pads->data)[count + i];
    }
    kf__shape s = kf__shape_make(1, (int64_t[]){2 * rank});
    n->in[1] = kf__graph_add_const(o->g, "", KF_I64, &s, full);
    n->in[3] = KF_NO_VALUE;
    if (n->in[1] < 0) KF_FAIL_MEMORY(o->err, sizeof full);
    return KF_OK;
}

static kf_status pad_attrs(kf__onnx *o, const Onnx__NodeProto *p, kf__node *n) {
    if (attr_is(p, "mode", "edge")) n->attrs.mode = KF_PAD_EDGE;
    else if (attr_is(p, "mode", "reflect")) n->attrs.mode = KF_PAD_REFLECT;
    else if (find(p, "mode") && !attr_is(p, "mode", "constant"))
        KF_FAIL(o->err, KF_ERR_UNSUPPORTED, "only constant padding, edge and reflect are supported");
    KF_TRY(axes_attr(o, p, find(p, "pads") ? "pads" : "paddings", n));
    n->attrs.value = attr_float(p, "value", 0);
    return pad_axes(o, n);
}

/* An axis is cut to i32 only after this: no tensor has more than KF_MAX_RANK of them. */
static kf_status axis_attr(kf__onnx *o, const Onnx__NodeProto *p, int64_t otherwise, kf__node *n) {
    int64_t axis = attr_int(p, "axis", otherwise);
    if (axis < -KF_MAX_RANK || axis > KF_MAX_RANK)
        KF_FAIL(o->err, KF_ERR_FORMAT, "axis %lld is out of range", (long long)axis);
    n->attrs.axis = (int32_t)axis;
    return KF_OK;
}

/* Before opset 13 softmax runs over all axes from `axis` on: the same as today's only when the later extents are 1. */
static kf_status softmax_axis(kf__onnx *o, const Onnx__NodeProto *p, kf__node *n) {
    KF_TRY(axis_attr(o, p, o->opset >= 13 ? -1 : 1, n));
    if (o->opset >= 13) return KF_OK;
    KF_TRY(infer_prefix(o));
    const kf__shape *s = input_shape(o, n, 0);
    if (!s) return KF_OK;
    int axis = n->attrs.axis < 0 ? n->attrs.axis + s->rank : n->attrs.axis;
    for (int i = axis + 1; i < s->rank; i++)
        if (i > 0 && s->dim[i] != 1)
            KF_FAIL(o->err, KF_ERR_UNSUPPORTED,
                    "before opset 13 it runs over several axes here; only one is supported; export with opset 13");
    return KF_OK;
}

/* Training forms cannot be compiled: batch statistics and random masks are refused, not dropped. */
static kf_status inference_only(kf__onnx *o, const Onnx__NodeProto *p, kf__node *n) {
    bool training = n->op == KF_OP_BATCH_NORM && attr_int(p, "training_mode", 0) != 0;
    if (n->op == KF_OP_BATCH_NORM && attr_int(p, "spatial", 1) == 0)
        KF_FAIL(o->err, KF_ERR_UNSUPPORTED, "spatial = 0 is not supported; export with opset 9 or newer");
    if (n->op == KF_OP_DROPOUT && n->n_in > 2 && n->in[2] >= 0) {
        const kf__value *v = &o->g->values[n->in[2]];
        if (!v->data || v->bytes < 1)
            KF_FAIL(o->err, KF_ERR_UNSUPPORTED, "training_mode is computed at run time; export in evaluation mode");
        training = *(const uint8_t *)v->data != 0;
    }
    if (training)
        KF_FAIL(o->err, KF_ERR_UNSUPPORTED,
                "it is in training mode; export the model in evaluation mode (model.eval())");
    return KF_OK;
}

/* Scales per tensor or per channel; blocks of opset 21 and types of 4 bits or 8-bit floats are not read. */
static kf_status linear_attrs(kf__onnx *o, const Onnx__NodeProto *p, kf__node *n) {
    if (attr_int(p, "block_size", 0) || attr_int(p, "output_dtype", 0))
        KF_FAIL(o->err, KF_ERR_UNSUPPORTED, "block_size and output_dtype are not supported");
    return axis_attr(o, p, 1, n);
}

/* ---- attributes: one function for each name in ops.def ----------------------------------------------------------- */

typedef kf_status read_fn(kf__onnx *o, const Onnx__NodeProto *p, kf__node *n);

static kf_status read_none(kf__onnx *o, const Onnx__NodeProto *p, kf__node *n) { return KF_OK; }

#define read_conv window_attrs
#define read_pool window_attrs
#define read_dropout inference_only
#define read_clip clip_attrs
#define read_linear linear_attrs
#define read_softmax softmax_axis
#define read_slice slice_inputs
#define read_pad pad_attrs
#define read_fill fill_value
#define read_add read_none
#define read_hard_swish read_none
/* no file has these */
#define read_fc read_none
#define read_act read_none
#define read_top read_none
#define read_se_gate read_none
#define read_scale read_none

static kf_status read_batch_norm(kf__onnx *o, const Onnx__NodeProto *p, kf__node *n) {
    n->attrs.epsilon = attr_float(p, "epsilon", 1e-5f);
    return inference_only(o, p, n);
}

static kf_status read_hard_sigmoid(kf__onnx *o, const Onnx__NodeProto *p, kf__node *n) {
    n->attrs.alpha = attr_float(p, "alpha", 0.2f);
    n->attrs.beta = attr_float(p, "beta", 0.5f);
    return KF_OK;
}

static kf_status read_reduce(kf__onnx *o, const Onnx__NodeProto *p, kf__node *n) {
    n->attrs.keepdims = attr_int(p, "keepdims", 1) != 0;
    n->attrs.noop = attr_int(p, "noop_with_empty_axes", 0) != 0;
    return axes_attr(o, p, "axes", n);
}

static kf_status read_leaky_relu(kf__onnx *o, const Onnx__NodeProto *p, kf__node *n) {
    n->attrs.alpha = attr_float(p, "alpha", 0.01f);
    return KF_OK;
}

/* Before opset 12 the first of equal numbers counts; ArgMin looks for the smallest. */
static kf_status read_arg(kf__onnx *o, const Onnx__NodeProto *p, kf__node *n) {
    n->attrs.keepdims = attr_int(p, "keepdims", 1) != 0;
    n->attrs.selects = KF_SELECTS_INDICES;
    if (n->op == KF_OP_ARG_MIN) n->attrs.selects |= KF_SELECTS_SMALLEST;
    if (attr_int(p, "select_last_index", 0)) n->attrs.selects |= KF_SELECTS_LAST;
    return axis_attr(o, p, 0, n);
}

static kf_status read_top_k(kf__onnx *o, const Onnx__NodeProto *p, kf__node *n) {
    if (!attr_int(p, "largest", 1)) n->attrs.selects |= KF_SELECTS_SMALLEST;
    if (!attr_int(p, "sorted", 1))
        KF_FAIL(o->err, KF_ERR_UNSUPPORTED, "sorted = 0 leaves the order open; export with sorted = 1");
    if (find(p, "k") && attr_int(p, "k", 0) < 1) KF_FAIL(o->err, KF_ERR_FORMAT, "attribute k is below 1");
    if (find(p, "k")) n->attrs.n_axes = 1, n->attrs.axes[0] = kf__cut(attr_int(p, "k", 0));
    return axis_attr(o, p, -1, n);
}

static kf_status read_gemm(kf__onnx *o, const Onnx__NodeProto *p, kf__node *n) {
    n->attrs.alpha = attr_float(p, "alpha", 1);
    n->attrs.beta = attr_float(p, "beta", 1);
    n->attrs.trans_a = attr_int(p, "transA", 0) != 0;
    n->attrs.trans_b = attr_int(p, "transB", 0) != 0;
    return KF_OK;
}

static kf_status read_mod(kf__onnx *o, const Onnx__NodeProto *p, kf__node *n) {
    if (attr_int(p, "fmod", 0)) KF_FAIL(o->err, KF_ERR_UNSUPPORTED, "fmod = 1 is not supported");
    return KF_OK;
}

static kf_status read_flatten(kf__onnx *o, const Onnx__NodeProto *p, kf__node *n) { return axis_attr(o, p, 1, n); }

static kf_status read_axis(kf__onnx *o, const Onnx__NodeProto *p, kf__node *n) {
    if (n->op == KF_OP_CONCAT && !find(p, "axis")) KF_FAIL(o->err, KF_ERR_FORMAT, "its axis is missing");
    return axis_attr(o, p, 0, n);
}

/* A target that begins with the file's batch begins with the one that is used instead. */
static kf_status change_batch(kf__onnx *o, const kf__node *n) {
    if (!o->batch_file || n->n_in < 2 || n->in[1] < 0) return KF_OK;
    kf__value *to = &o->g->values[n->in[1]];
    if (!to->data || to->dtype != KF_I64 || to->bytes < sizeof(int64_t)) return KF_OK;
    KF_TRY(infer_prefix(o));
    const kf__shape *x = input_shape(o, n, 0);
    int64_t *first = (int64_t *)to->data; /* of the arena */
    if (x && x->rank > 0 && x->dim[0] == o->batch_now && *first == o->batch_file) *first = o->batch_now;
    return KF_OK;
}

static kf_status read_reshape(kf__onnx *o, const Onnx__NodeProto *p, kf__node *n) {
    n->attrs.allow_zero = attr_int(p, "allowzero", 0) != 0;
    return change_batch(o, n);
}

static kf_status read_split(kf__onnx *o, const Onnx__NodeProto *p, kf__node *n) {
    int64_t parts = attr_int(p, "num_outputs", n->n_out);
    if (parts != n->n_out)
        KF_FAIL(o->err, KF_ERR_FORMAT, "num_outputs is %lld; the node has %d outputs", (long long)parts, n->n_out);
    bool given = find(p, "num_outputs") && o->opset >= 18; /* earlier opsets have no such attribute */
    n->attrs.num_outputs = given ? n->n_out : 0;
    KF_TRY(axis_attr(o, p, 0, n));
    return axes_attr(o, p, "split", n);
}

static kf_status read_axes(kf__onnx *o, const Onnx__NodeProto *p, kf__node *n) {
    if (n->op == KF_OP_UNSQUEEZE && !find(p, "axes") && (n->n_in < 2 || n->in[1] < 0))
        KF_FAIL(o->err, KF_ERR_FORMAT, "its axes are missing");
    if (find(p, "axes") && find(p, "axes")->n_ints == 0) KF_FAIL(o->err, KF_ERR_FORMAT, "its list of axes is empty");
    return axes_attr(o, p, "axes", n);
}

static kf_status read_transpose(kf__onnx *o, const Onnx__NodeProto *p, kf__node *n) {
    return axes_attr(o, p, "perm", n);
}

static kf_status read_cast(kf__onnx *o, const Onnx__NodeProto *p, kf__node *n) {
    return cast_to(o, attr_int(p, "to", 0), n);
}

static kf_status read_shape(kf__onnx *o, const Onnx__NodeProto *p, kf__node *n) {
    int64_t end = attr_int(p, "end", INT64_MAX);
    if (end == 0) KF_FAIL(o->err, KF_ERR_UNSUPPORTED, "end = 0 gives an empty shape, which no layer can use");
    n->attrs.start = (int32_t)kf__max_i64(-KF_MAX_RANK, kf__min_i64(attr_int(p, "start", 0), KF_MAX_RANK));
    n->attrs.end = end > KF_MAX_RANK ? 0 : (int32_t)kf__max_i64(-KF_MAX_RANK - 1, end); /* both are clamped */
    return KF_OK;
}

static read_fn *const READ[KF_OP_COUNT] = {
#define KF_OP(id, name, least, most, role, attrs, ...) read_##attrs,
#include "graph/ops.def"
#undef KF_OP
};

/* The value of a Constant, in any of its forms. */
static kf_status constant_data(kf__onnx *o, const Onnx__NodeProto *p, kf__dense *d) {
    const Onnx__AttributeProto *a = find(p, "value"), *f = find(p, "value_float"), *i = find(p, "value_int"),
                               *is = find(p, "value_ints"), *fs = find(p, "value_floats");
    const void *from = NULL;
    size_t bytes = 0;
    if (a) return kf__onnx_tensor(o, a->t, &d->dtype, &d->shape, &d->data);
    d->dtype = f || fs ? KF_F32 : KF_I64;
    if (f) from = &f->f, bytes = sizeof f->f;
    else if (i) from = &i->i, bytes = sizeof i->i;
    else if (is) from = is->ints, bytes = is->n_ints * sizeof *is->ints;
    else if (fs) from = fs->floats, bytes = fs->n_floats * sizeof *fs->floats;
    else KF_FAIL(o->err, KF_ERR_UNSUPPORTED, "Constant without a tensor value");
    int64_t count = (int64_t)(bytes / kf_dtype_size(d->dtype));
    d->shape = kf__shape_make(f || i ? 0 : 1, &count);
    d->data = kf__arena_copy(&o->g->arena, from, bytes);
    if (!d->data) KF_FAIL_MEMORY(o->err, bytes);
    return KF_OK;
}

/* Constant: its tensor becomes the value itself, no node remains. */
static kf_status constant_node(kf__onnx *o, const Onnx__NodeProto *p) {
    kf__dense d = {0};
    KF_TRY(kf__onnx_check_attributes(o, p));
    if (p->n_output != 1) KF_FAIL(o->err, KF_ERR_FORMAT, "Constant with %zu outputs", p->n_output);
    kf__vid id = kf__onnx_value(o, p->output[0]);
    if (id < 0 && !*p->output[0]) KF_FAIL(o->err, KF_ERR_FORMAT, "Constant without an output");
    if (id < 0) KF_FAIL_MEMORY(o->err, sizeof(kf__value));
    KF_TRY(constant_data(o, p, &d));
    return kf__onnx_define(o, id, &d);
}

static kf_status unsupported(kf__onnx *o, const Onnx__NodeProto *p) {
    const char *advice = "export with the standard operators of MobileNet-type networks";
    if (p->domain && (strcmp(p->domain, "com.microsoft") == 0 || strncmp(p->domain, "com.microsoft.", 14) == 0))
        advice = "ONNX Runtime's optimizer wrote it for itself; import the file that it optimized, or save that with "
                 "ORT_ENABLE_BASIC";
    if (strcmp(p->op_type, "DynamicQuantizeLinear") == 0 || strncmp(p->op_type, "QLinear", 7) == 0)
        advice = "the model is already quantized; import the float model and use `kitfox quantize`";
    if (strcmp(p->op_type, "If") == 0 || strcmp(p->op_type, "Loop") == 0 || strcmp(p->op_type, "Scan") == 0)
        advice = "control flow cannot be compiled; export with a fixed input shape";
    const char *domain = p->domain ? p->domain : "";
    const char *dot = *domain ? "." : "";
    KF_FAIL(o->err, KF_ERR_UNSUPPORTED, "operator %s%s%s (opset %d) is not supported; no kernel for it; %s", domain,
            dot, p->op_type, o->opset, advice);
}

const char *kf__onnx_op_name(const Onnx__NodeProto *p, char room[KF__ONNX_OP_NAME]) {
    const char *op = p->op_type ? p->op_type : "";
    bool standard = !p->domain || !*p->domain || strcmp(p->domain, "ai.onnx") == 0;
    if (standard) return op;
    snprintf(room, KF__ONNX_OP_NAME, "%.120s.%.120s", p->domain, op);
    return room;
}

bool kf__onnx_known(const Onnx__NodeProto *p) {
    bool standard = !p->domain || !*p->domain || strcmp(p->domain, "ai.onnx") == 0;
    return standard && p->op_type &&
           (strcmp(p->op_type, "Constant") == 0 || kf__op_from_name(p->op_type) != KF_OP_COUNT);
}

/* The values that the node makes; KF_NO_VALUE where the file names none. */
static kf_status output_values(kf__onnx *o, const Onnx__NodeProto *p, kf__op op, kf__vid *out) {
    if (p->n_output < 1 || p->n_output > (size_t)kf__op_outputs(op) || !*p->output[0])
        KF_FAIL(o->err, KF_ERR_FORMAT, "%zu outputs; 1 to %d are possible, the first with a name", p->n_output,
                kf__op_outputs(op));
    for (size_t i = 0; i < p->n_output; i++) {
        out[i] = kf__onnx_value(o, p->output[i]);
        if (out[i] < 0 && *p->output[i]) KF_FAIL_MEMORY(o->err, sizeof(kf__value));
        for (size_t k = 0; out[i] >= 0 && k < i; k++)
            if (out[k] == out[i]) KF_FAIL(o->err, KF_ERR_FORMAT, "value %s is made twice", p->output[i]);
        if (out[i] >= 0) KF_TRY(kf__onnx_undefined(o, out[i]));
    }
    return KF_OK;
}

static kf_status translate(kf__onnx *o, const Onnx__NodeProto *p, const char *name) {
    bool standard = !p->domain || !*p->domain || strcmp(p->domain, "ai.onnx") == 0;
    if (standard && strcmp(p->op_type, "Constant") == 0) return constant_node(o, p);
    kf__op op = standard ? kf__op_from_name(p->op_type) : KF_OP_COUNT;
    if (op == KF_OP_COUNT) return unsupported(o, p);
    if (p->n_input > 64 || p->n_output > 64)
        KF_FAIL(o->err, KF_ERR_LIMIT, "%zu inputs and %zu outputs; at most 64 of each are possible", p->n_input,
                p->n_output);
    kf__vid in[64], out[64];
    for (size_t i = 0; i < p->n_input; i++) {
        in[i] = kf__onnx_value(o, p->input[i]);
        if (in[i] < 0 && *p->input[i]) KF_FAIL_MEMORY(o->err, sizeof(kf__value));
    }
    KF_TRY(output_values(o, p, op, out));
    /* Only Split and TopK compute more than their first output. A node that reads another output of other operators is
     * reported. */
    int n_out = op == KF_OP_SPLIT || op == KF_OP_TOP_K ? (int)p->n_output : 1;
    kf__node *n = kf__graph_add_node(o->g, op, name, in, (int)p->n_input, out, n_out);
    if (!n) KF_FAIL_MEMORY(o->err, sizeof *n);
    n->origin = o->node_index;
    if (n->n_in < 1 || n->in[0] < 0) KF_FAIL(o->err, KF_ERR_FORMAT, "input 0 is missing");
    KF_TRY(kf__onnx_check_attributes(o, p));
    return READ[op](o, p, n);
}

kf_status kf__onnx_node(kf__onnx *o, const Onnx__NodeProto *p) {
    if (!p->op_type) KF_FAIL(o->err, KF_ERR_FORMAT, "node %d has no operator type", o->node_index);
    char made_up[96];
    snprintf(made_up, sizeof made_up, "%.64s_%d", p->op_type, o->node_index);
    const char *name = p->name && *p->name ? p->name : made_up;
    kf_status st = translate(o, p, name);
    return st == KF_OK ? st : kf_error_prefix(o->err, st, "node %d %.200s (%.64s)", o->node_index, name, p->op_type);
}
