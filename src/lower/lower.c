/* Graph to program: NCHW becomes NHWC, OIHW becomes OHWI, every fused node becomes the step that
 * ops.def names.
 * Owner rule: see lower.h. */
#include <float.h>

#include "lower/lower_private.h"
#include "tensor/layout.h"

/* Extents of an activation as n, h, w, c; false for ranks without such a meaning. */
static bool as_nhwc(const kf__shape *s, kf__ptensor *t) {
    int64_t d[4] = {1, 1, 1, 1};
    if (s->rank == 4) d[0] = s->dim[0], d[1] = s->dim[2], d[2] = s->dim[3], d[3] = s->dim[1];
    else if (s->rank == 2) d[0] = s->dim[0], d[3] = s->dim[1];
    else if (s->rank == 3) d[0] = s->dim[0], d[2] = s->dim[2], d[3] = s->dim[1];
    else return false;
    for (int i = 0; i < 4; i++)
        if (d[i] < 1 || d[i] > 1 << 20) return false;
    t->n = (int32_t)d[0], t->h = (int32_t)d[1], t->w = (int32_t)d[2], t->c = (int32_t)d[3];
    return true;
}

static bool is_flat(const kf__shape *s) { return s->rank == 2 || (s->rank == 4 && s->dim[2] == 1 && s->dim[3] == 1); }

/* Does a view keep every number where it is, as [N, C, W] and [N, C, 1, W] do? */
static bool keeps_places(const kf__shape *x, const kf__shape *y) {
    kf__ptensor a, b;
    return as_nhwc(x, &a) && as_nhwc(y, &b) && a.n == b.n && a.h == b.h && a.w == b.w && a.c == b.c;
}

/* Do only views and outputs read it? Then no step needs its shape. */
static bool read_by_views(const kf__graph *g, kf__vid v) {
    for (size_t i = 0; i < g->n_nodes; i++) {
        const kf__node *n = &g->nodes[i];
        for (int k = 0; k < n->n_in && !n->dead; k++)
            if (n->in[k] == v && (k > 0 || !kf__op_is_view(n->op))) return false;
    }
    return true;
}

static bool is_shapeless(const kf__graph *g, const kf__node *n) {
    return kf__op_is_view(n->op) && g->values[n->out[0]].shape.rank >= 0 && read_by_views(g, n->out[0]);
}

/* Quantized by another tool, or by `kitfox export`. */
static bool is_qdq(const kf__node *n) { return !n->dead && kf__op_table[n->op].role == KF_ROLE_QDQ; }

/* ---- what can be lowered: one function for each step that ops.def names; NULL is yes ----------------------------- */

/* Of Mul, Add, Sub and Div with a constant that the rewrites left; NULL without one. */
static const char *odd_constant(const kf__graph *g, const kf__node *n) {
    if (n->op != KF_OP_MUL && n->op != KF_OP_ADD && n->op != KF_OP_SUB && n->op != KF_OP_DIV) return NULL;
    const kf__value *a = &g->values[n->in[0]], *b = &g->values[n->in[1]];
    if (!a->data && !b->data) return NULL;
    if (n->op == KF_OP_DIV && a->data) return "it divides a constant by numbers that are computed";
    const float *d = n->op == KF_OP_DIV && b->dtype == KF_F32 ? b->data : NULL;
    for (size_t i = 0; d && i < b->bytes / sizeof *d; i++)
        if (!(fabsf(d[i]) > 1 / FLT_MAX)) return "it divides by 0";
    return "its constant is not one number for each channel";
}

static const char *verdict_NONE(const kf__graph *g, const kf__node *n) {
    const char *constant = odd_constant(g, n);
    if (constant) return constant;
    if (n->op == KF_OP_ARG_MAX || n->op == KF_OP_ARG_MIN) return "it looks along another axis than classes";
    if (n->op == KF_OP_TOP_K) return "its k is computed or above 1024, or it looks along another axis than classes";
    if (n->op == KF_OP_PRELU) return "its slope is computed at run time, or differs along another axis than channels";
    if (n->op == KF_OP_REDUCE_MAX) return "it reduces another axis than height and width";
    if (kf__op_table[n->op].role == KF_ROLE_REDUCTION) return "it reduces the batch, or an axis that is no image's";
    return "there is no kernel for it";
}

static const char *always(const kf__graph *g, const kf__node *n) { return NULL; }

static const char *constant_weights(const kf__graph *g, const kf__node *n) {
    return g->values[n->in[1]].data ? NULL : "its weights are computed at run time";
}

static const char *one_shape(const kf__graph *g, const kf__node *n) {
    const kf__value *a = &g->values[n->in[0]], *b = &g->values[n->in[1]];
    if (a->data || b->data) return odd_constant(g, n);
    return kf__shape_equal(&a->shape, &b->shape) ? NULL : "its operands differ in shape (broadcasting)";
}

static const char *verdict_CONCAT(const kf__graph *g, const kf__node *n) {
    bool channels = n->attrs.axis == 1 || n->attrs.axis == 1 - g->values[n->out[0]].shape.rank;
    return channels ? NULL : "it joins along another axis than channels";
}

static const char *verdict_SOFTMAX(const kf__graph *g, const kf__node *n) {
    const kf__shape *y = &g->values[n->out[0]].shape;
    const bool over_classes = n->attrs.axis == 1 || n->attrs.axis == 1 - y->rank;
    return over_classes && (y->rank == 4 || is_flat(y)) ? NULL : "softmax is supported over classes only";
}

#define verdict_MOVE kf__lower_verdict_move
#define verdict_PICK kf__lower_verdict_pick
#define verdict_LOG_SOFTMAX verdict_SOFTMAX
#define verdict_TOP always
#define verdict_CONV constant_weights
#define verdict_FC constant_weights
#define verdict_SE_GATE always
#define verdict_TO_NCHW always
#define verdict_SCALE always
#define verdict_ACT always
#define verdict_GLOBAL_POOL always
#define verdict_AVG_POOL always
#define verdict_MAX_POOL always
#define verdict_ADD one_shape
#define verdict_MUL one_shape

const char *kf__lower_verdict(const kf__graph *g, const kf__node *n) {
    static const char *(*const VERDICTS[KF_OP_COUNT])(const kf__graph *, const kf__node *) = {
#define KF_OP(id, name, least, most, role, attrs, shape, type, eval, step, ...) verdict_##step,
#include "graph/ops.def"
#undef KF_OP
    };
    if (is_qdq(n))
        return "the file is quantized already; compile the float model that it was made from with `kitfox quantize`";
    const kf__value *y = &g->values[n->out[0]];
    kf__ptensor t;
    const bool whole = y->dtype == KF_I64 && (n->op == KF_OP_TOP || kf__op_is_view(n->op));
    if (VERDICTS[n->op] == verdict_NONE) return verdict_NONE(g, n);
    if (y->dtype != KF_F32 && !whole) return "its output is not f32 and could not be folded into a constant";
    if (!as_nhwc(&y->shape, &t) && !is_shapeless(g, n))
        return "its output has a rank other than 2, 3 or 4, or an unknown extent";
    return VERDICTS[n->op](g, n);
}

/* ---- constants and tensors --------------------------------------------------------------------------------------- */

int32_t kf__lower_const(lowering *l, const char *node, const char *role, kf_dtype dtype, const kf__shape *shape,
                        const void *data) {
    kf__program *p = l->p;
    size_t count = 0;
    if (!kf__shape_count(shape, &count)) return -1;
    kf__pconst *c = &p->consts[p->n_consts];
    *c = (kf__pconst){.dtype = dtype, .shape = *shape, .bytes = count * kf_dtype_size(dtype)};
    c->name = kf__arena_printf(&p->arena, "%d.%s.%s", p->n_consts, node, role);
    c->data = data;
    return c->name ? p->n_consts++ : -1;
}

/* Copy of input k under another shape of the same count. */
static kf_status copy_as(lowering *l, const kf__node *n, int k, const char *role, const kf__shape *s, int32_t *to) {
    const kf__value *v = &l->g->values[n->in[k]];
    size_t count = 0;
    bool known = kf__shape_count(s, &count);
    void *copy = known ? kf__arena_copy(&l->p->arena, v->data, count * kf_dtype_size(v->dtype)) : NULL;
    if (!copy || (*to = kf__lower_const(l, n->name, role, v->dtype, s, copy)) < 0) KF_FAIL_MEMORY(l->err, count * 4);
    return KF_OK;
}

/* Copy of a bias (a vector, or one row per border class); -1 in *to when absent. An f32 bias of an integer step is
 * added after step 2. */
static kf_status copy_bias(lowering *l, const kf__node *n, int k, const char *role, int32_t *to) {
    *to = -1;
    if (k >= n->n_in || n->in[k] < 0) return KF_OK;
    const kf__value *v = &l->g->values[n->in[k]];
    size_t count = 0;
    bool integer = kf__q_is_integer(l->g, n);
    if ((v->dtype != KF_F32 && !(integer && v->dtype == KF_I32)) || !v->data || !kf__shape_count(&v->shape, &count))
        KF_FAIL(l->err, KF_ERR_UNSUPPORTED, "%s: input %d is not a constant bias", n->name, k);
    kf__shape s = kf__shape_make(1, (int64_t[]){(int64_t)count});
    return copy_as(l, n, k, role, integer && v->shape.rank == 2 ? &v->shape : &s, to);
}

/* Weights must be f32 in a float step, i8 or i16 in an integer one. */
static kf_status check_weights(lowering *l, const kf__node *n, int k) {
    const kf__value *v = &l->g->values[n->in[k]];
    bool integer = kf__q_is_integer(l->g, n);
    bool fits = integer ? v->dtype == KF_I8 || v->dtype == KF_I16 : v->dtype == KF_F32;
    size_t count;
    if (!fits || !v->data || v->shape.rank < 2 || !kf__shape_count(&v->shape, &count) || count == 0)
        KF_FAIL(l->err, KF_ERR_UNSUPPORTED, "%s: input %d is not a weight constant of the right type", n->name, k);
    return KF_OK;
}

/* Weights [O,I,kh,kw] to [O,kh,kw,I], or to [kh,kw,C] for depthwise. */
static kf_status copy_weights(lowering *l, const kf__node *n, bool depthwise, int32_t *to) {
    const kf__value *v = &l->g->values[n->in[1]];
    KF_TRY(check_weights(l, n, 1));
    const kf__filters f = kf__filters_of(&v->shape);
    size_t e = kf_dtype_size(v->dtype), bytes = f.o * f.i * f.taps * e;
    void *w = kf__arena_alloc(&l->p->arena, bytes);
    if (!w) KF_FAIL_MEMORY(l->err, bytes);
    kf__filters_store(&f, depthwise, e, v->data, w);
    kf__shape s =
        depthwise ? kf__shape_make(3, (int64_t[]){v->shape.dim[2], v->shape.dim[3], v->shape.dim[0]})
                  : kf__shape_make(4, (int64_t[]){v->shape.dim[0], v->shape.dim[2], v->shape.dim[3], v->shape.dim[1]});
    if ((*to = kf__lower_const(l, n->name, "weight", v->dtype, &s, w)) < 0) KF_FAIL_MEMORY(l->err, bytes);
    return KF_OK;
}

static kf_status copy_matrix(lowering *l, const kf__node *n, int k, const char *role, int32_t *to) {
    const kf__value *v = &l->g->values[n->in[k]];
    size_t count = 0;
    KF_TRY(check_weights(l, n, k));
    if (!kf__shape_count(&v->shape, &count)) return KF_ERR_SHAPE;
    kf__shape s = kf__shape_make(2, (int64_t[]){v->shape.dim[0], (int64_t)(count / (size_t)v->shape.dim[0])});
    return copy_as(l, n, k, role, &s, to);
}

/* Extents of what a view makes that no step reads: a vector for each image, whatever the rank is. */
static bool as_vector(const lowering *l, const kf__node *n, kf__ptensor *t) {
    size_t count = 0;
    const int32_t from = l->tensor_of[n->in[0]];
    if (from < 0 || !kf__shape_count(&l->g->values[n->out[0]].shape, &count)) return false;
    t->n = l->p->tensors[from].n;
    count /= (size_t)t->n;
    t->h = t->w = 1;
    t->c = (int32_t)count;
    return count >= 1 && count <= 1 << 20;
}

static kf_status new_tensor(lowering *l, kf__vid v, int32_t *out) {
    kf__ptensor *t = &l->p->tensors[l->p->n_tensors];
    *t = (kf__ptensor){.dtype = KF_F32, .scales = -1, .zeros = -1};
    char text[96];
    const int32_t maker = l->g->values[v].producer;
    const kf__node *view = maker >= 0 && is_shapeless(l->g, &l->g->nodes[maker]) ? &l->g->nodes[maker] : NULL;
    if (view ? !as_vector(l, view, t) : !as_nhwc(&l->g->values[v].shape, t))
        KF_FAIL(l->err, KF_ERR_UNSUPPORTED,
                "value %s has shape %s; images (rank 4) and class vectors (rank 2) are supported", l->g->values[v].name,
                kf__shape_text(&l->g->values[v].shape, text, sizeof text));
    t->name = kf__arena_strdup(&l->p->arena, l->g->values[v].name);
    if (!t->name) KF_FAIL_MEMORY(l->err, 16);
    KF_TRY(kf__lower_quant(l, v, t));
    *out = l->tensor_of[v] = l->p->n_tensors++;
    return KF_OK;
}

/* A tensor of the same shape in f32, beside a quantized one. */
static kf_status float_twin(lowering *l, int32_t t, int32_t *out) {
    kf__ptensor *twin = &l->p->tensors[l->p->n_tensors];
    *twin = l->p->tensors[t];
    *twin = (kf__ptensor){.name = kf__arena_printf(&l->p->arena, "%s.f32", twin->name),
                          .dtype = KF_F32,
                          .n = twin->n,
                          .h = twin->h,
                          .w = twin->w,
                          .c = twin->c,
                          .scales = -1,
                          .zeros = -1};
    if (!twin->name) KF_FAIL_MEMORY(l->err, 16);
    *out = l->p->n_tensors++;
    return KF_OK;
}

/* The value's f32 tensor: its own, or the output of a DEQUANTIZE step. */
static kf_status float_view(lowering *l, kf__vid v, int32_t *t) {
    *t = l->tensor_of[v];
    if (*t < 0 || l->p->tensors[*t].dtype == KF_F32) return KF_OK;
    int32_t from = *t;
    KF_TRY(float_twin(l, from, t));
    return kf__lower_convert(l, l->g->values[v].name, l->g->values[v].quant, false, from, *t);
}

/* ---- steps: one function for each that ops.def names ------------------------------------------------------------- */

static kf_status fill_CONV(lowering *l, const kf__node *n, kf__step *s) {
    /* Depthwise steps have no bias per border class, so a depthwise layer over pixels stays a convolution with
     * groups. */
    bool depthwise = kf__node_is_depthwise(l->g, n) && !kf__q_border_bias(l->g, n);
    if (depthwise) s->op = KF_STEP_DWCONV;
    if (n->n_in > 3 && n->in[3] >= 0) {
        s->in[1] = l->tensor_of[n->in[3]];
        s->n_in = 2;
    }
    KF_TRY(copy_weights(l, n, depthwise, &s->consts[KF_CONST_W]));
    return copy_bias(l, n, 2, "bias", &s->consts[KF_CONST_BIAS]);
}

static kf_status fill_FC(lowering *l, const kf__node *n, kf__step *s) {
    KF_TRY(copy_matrix(l, n, 1, "weight", &s->consts[KF_CONST_W]));
    return copy_bias(l, n, 2, "bias", &s->consts[KF_CONST_BIAS]);
}

static kf_status fill_SE_GATE(lowering *l, const kf__node *n, kf__step *s) {
    KF_TRY(copy_matrix(l, n, 1, "reduce.weight", &s->consts[KF_CONST_W]));
    KF_TRY(copy_bias(l, n, 2, "reduce.bias", &s->consts[KF_CONST_BIAS]));
    KF_TRY(copy_matrix(l, n, 3, "expand.weight", &s->consts[KF_CONST_W2]));
    return copy_bias(l, n, 4, "expand.bias", &s->consts[KF_CONST_BIAS2]);
}

static kf_status one_input(lowering *l, const kf__node *n, kf__step *s) { return KF_OK; }

static kf_status all_inputs(lowering *l, const kf__node *n, kf__step *s) {
    if (n->n_in > KF_STEP_MAX_IN)
        KF_FAIL(l->err, KF_ERR_UNSUPPORTED, "%s: %d inputs, at most %d", n->name, n->n_in, KF_STEP_MAX_IN);
    s->n_in = n->n_in;
    for (int k = 0; k < n->n_in; k++) s->in[k] = l->tensor_of[n->in[k]];
    return KF_OK;
}

#define fill_MOVE kf__lower_move
#define fill_PICK kf__lower_pick
#define fill_SCALE all_inputs
#define fill_ADD all_inputs
#define fill_MUL all_inputs
#define fill_CONCAT all_inputs
#define fill_ACT one_input
#define fill_GLOBAL_POOL one_input
#define fill_AVG_POOL one_input
#define fill_MAX_POOL one_input
#define fill_SOFTMAX one_input
#define fill_LOG_SOFTMAX one_input
#define fill_TO_NCHW one_input /* only reshapes that move elements are steps; see lower_node */

static kf_status fill_TOP(lowering *l, const kf__node *n, kf__step *s) {
    s->selects = n->attrs.selects;
    return KF_OK;
}

static kf_status fill_NONE(lowering *l, const kf__node *n, kf__step *s) {
    KF_FAIL(l->err, KF_ERR_INTERNAL, "%s: no step for it", n->name);
}

static kf_status fill_step(lowering *l, const kf__node *n, kf__step *s) {
    static kf_status (*const FILLS[KF_OP_COUNT])(lowering *, const kf__node *, kf__step *) = {
#define KF_OP(id, name, least, most, role, attrs, shape, type, eval, step, ...) fill_##step,
#include "graph/ops.def"
#undef KF_OP
    };
    s->op = kf__lower_step_of(n->op);
    return FILLS[n->op](l, n, s);
}

/* A step of the node without operands; its output is made by end_step. */
static kf_status begin_step(lowering *l, const kf__node *n, kf__step **out) {
    kf__step *s = *out = &l->p->steps[l->p->n_steps];
    *s = (kf__step){.n_in = 1,
                    .in = {l->tensor_of[n->in[0]]},
                    .window = n->attrs.window,
                    .count_include_pad = n->attrs.count_include_pad};
    for (int r = 0; r < KF_CONST_ROLES; r++) s->consts[r] = -1;
    s->act = n->attrs.act;
    s->post_act = n->attrs.post_act;
    s->gate_act = n->attrs.gate_act;
    s->name = kf__arena_strdup(&l->p->arena, n->name);
    s->sources = kf__arena_array(&l->p->arena, (size_t)n->n_sources + 1, sizeof *s->sources);
    if (!s->name || !s->sources) KF_FAIL_MEMORY(l->err, 64);
    for (; s->n_sources < n->n_sources; s->n_sources++)
        if (!(s->sources[s->n_sources] = kf__arena_strdup(&l->p->arena, n->sources[s->n_sources])))
            KF_FAIL_MEMORY(l->err, 64);
    return KF_OK;
}

static kf_status end_step(lowering *l, const kf__node *n, bool integer, kf__step *s) {
    KF_TRY(new_tensor(l, n->out[0], &s->out));
    if (integer) KF_TRY(kf__lower_integer(l, n, s));
    if (integer && s->consts[KF_CONST_BIAS] >= 0 && l->p->consts[s->consts[KF_CONST_BIAS]].dtype == KF_F32) {
        s->consts[KF_CONST_FBIAS] = s->consts[KF_CONST_BIAS];
        s->consts[KF_CONST_BIAS] = -1;
    }
    l->p->n_steps++;
    if (integer || l->p->tensors[s->out].dtype == KF_F32) return KF_OK;
    int32_t quantized = s->out; /* a float node with a quantized output: add a rounding step */
    KF_TRY(float_twin(l, quantized, &s->out));
    return kf__lower_convert(l, n->name, l->g->values[n->out[0]].quant, true, s->out, quantized);
}

static kf_status lower_step(lowering *l, const kf__node *n, bool integer) {
    kf__step *s = NULL;
    KF_TRY(begin_step(l, n, &s));
    KF_TRY(fill_step(l, n, s));
    return end_step(l, n, integer, s);
}

/* The numbers of an image in the order of ONNX, as a vector; the tensor that holds them. */
static kf_status to_vector(lowering *l, const kf__node *n, bool integer, int32_t *out) {
    kf__step *s = NULL;
    KF_TRY(begin_step(l, n, &s));
    const kf__ptensor *from = &l->p->tensors[s->in[0]];
    kf__ptensor *t = &l->p->tensors[l->p->n_tensors];
    *t = *from;
    t->name = kf__arena_printf(&l->p->arena, "%s.flat", from->name);
    t->c = (int32_t)(kf__ptensor_count(from) / (size_t)from->n);
    t->h = t->w = 1;
    s->op = KF_STEP_TO_NCHW;
    if (!t->name) KF_FAIL_MEMORY(l->err, 16);
    if (t->c > 1 << 20)
        KF_FAIL(l->err, KF_ERR_LIMIT, "%s: a vector of %d numbers; 1048576 are possible", n->name, t->c);
    *out = s->out = l->p->n_tensors++;
    if (integer) KF_TRY(kf__lower_integer(l, n, s));
    l->p->n_steps++;
    return KF_OK;
}

/* A reshape. Numbers of an image that becomes a vector change their order; those that become an image do so again. */
static kf_status lower_view(lowering *l, const kf__node *n, bool integer) {
    kf__ptensor y;
    int32_t x = l->tensor_of[n->in[0]];
    const kf__ptensor *t = &l->p->tensors[x];
    const bool in_order = t->c == 1 || (t->h == 1 && t->w == 1);
    const bool shaped = as_nhwc(&l->g->values[n->out[0]].shape, &y) && !is_shapeless(l->g, n);
    if (!shaped || (!(t->h == 1 && t->w == 1) && y.n == t->n && y.h == 1 && y.w == 1)) return lower_step(l, n, integer);
    if (!in_order) KF_TRY(to_vector(l, n, integer, &x));
    kf__step *s = NULL;
    KF_TRY(begin_step(l, n, &s));
    s->op = KF_STEP_MOVE;
    s->in[0] = x;
    KF_TRY(kf__lower_unfold(l, n, s));
    return end_step(l, n, integer, s);
}

/* Is the view's result the tensor that it reads? Its numbers are the same in the same order, and whoever reads it sees
 * the same extents. */
static bool stays(const lowering *l, const kf__node *n, int32_t x) {
    const kf__shape *from = &l->g->values[n->in[0]].shape, *to = &l->g->values[n->out[0]].shape;
    const kf__ptensor *t = &l->p->tensors[x];
    kf__ptensor own;
    if (t->h == 1 && t->w == 1 && is_shapeless(l->g, n)) return true;
    if (!as_nhwc(to, &own) || own.n != t->n || own.h != t->h || own.w != t->w || own.c != t->c) return false;
    return (t->h == 1 && t->w == 1) || keeps_places(from, to);
}

static kf_status lower_node(lowering *l, const kf__node *n) {
    const char *why = kf__lower_verdict(l->g, n);
    if (why)
        KF_FAIL(l->err, KF_ERR_UNSUPPORTED, "node %d %s (%s): cannot be compiled; %s; see `kitfox check`", n->origin,
                n->name, kf__op_name(n->op), why);
    const int32_t x = n->in[0] >= 0 ? l->tensor_of[n->in[0]] : -1;
    if (kf__op_is_view(n->op) && x >= 0 && stays(l, n, x)) {
        l->tensor_of[n->out[0]] = l->tensor_of[n->in[0]];
        return KF_OK;
    }
    bool integer = kf__q_is_integer(l->g, n);
    int32_t kept[KF_STEP_MAX_IN]; /* a float node reads its quantized inputs through DEQUANTIZE steps */
    for (int k = 0; !integer && k < n->n_in && k < KF_STEP_MAX_IN; k++) {
        if (n->in[k] < 0) continue;
        kept[k] = l->tensor_of[n->in[k]];
        KF_TRY(float_view(l, n->in[k], &l->tensor_of[n->in[k]]));
    }
    KF_TRY(kf__op_is_view(n->op) ? lower_view(l, n, integer) : lower_step(l, n, integer));
    for (int k = 0; !integer && k < n->n_in && k < KF_STEP_MAX_IN; k++)
        if (n->in[k] >= 0) l->tensor_of[n->in[k]] = kept[k];
    return KF_OK;
}

/* A float network that takes u8: its tensor is pixels, and one step makes f32 of them. */
static kf_status take_bytes(lowering *l, kf__vid v, kf__pinput *in) {
    const int32_t real = in->tensor;
    KF_TRY(float_twin(l, real, &in->tensor));
    kf__ptensor *t = &l->p->tensors[in->tensor];
    t->name = kf__arena_printf(&l->p->arena, "%s.u8", l->g->values[v].name);
    if (!t->name) KF_FAIL_MEMORY(l->err, 16);
    t->dtype = KF_U8, t->scale = 1, t->zero = 0, t->qmin = 0, t->qmax = 255;
    in->pixels = 1;
    in->takes = KF_TAKES_PIXELS;
    return kf__lower_convert(l, l->g->values[v].name, NULL, false, in->tensor, real);
}

static kf_status lower_output(lowering *l, kf__vid of) {
    const kf__value *v = &l->g->values[of];
    kf__poutput *out = &l->p->outputs[l->p->n_outputs++];
    *out = (kf__poutput){.name = kf__arena_strdup(&l->p->arena, v->name), .rank = v->shape.rank};
    KF_TRY(float_view(l, of, &out->tensor));
    if (out->tensor < 0) KF_FAIL(l->err, KF_ERR_UNSUPPORTED, "output %s is a constant", v->name);
    for (int k = 0; k < v->shape.rank; k++) out->shape[k] = v->shape.dim[k];
    out->scores = (int32_t)kf__graph_scores_of(l->g, of);
    return KF_OK;
}

static kf_status lower_ends(lowering *l) {
    const kf__graph *g = l->g;
    kf__program *p = l->p;
    for (size_t i = 0; i < g->n_inputs; i++) {
        const kf__value *v = &g->values[g->inputs[i]];
        const kf__shape declared = kf__value_declared(v);
        kf__pinput *in = &p->inputs[p->n_inputs++];
        *in = (kf__pinput){
            .name = kf__arena_strdup(&p->arena, v->name), .rank = v->shape.rank, .layout = v->shape.rank > 2 ? 0 : 2};
        if (v->nhwc && v->shape.rank == 4) in->layout = 1;
        if (v->dtype != KF_F32)
            KF_FAIL(l->err, KF_ERR_UNSUPPORTED, "input %s is %s; f32 is supported", v->name, kf_dtype_name(v->dtype));
        for (int k = 0; k < v->shape.rank; k++) in->shape[k] = declared.dim[k];
        in->takes = (int32_t)kf__graph_takes(g, i);
        KF_TRY(new_tensor(l, g->inputs[i], &in->tensor));
        if (!v->quant && v->from_u8) KF_TRY(take_bytes(l, g->inputs[i], in));
        if (!v->quant) continue;
        in->pixels = kf__quant_is_pixels(v->quant);
        if (in->pixels) continue;
        int32_t quantized = in->tensor; /* an input that is no picture: one step rounds it first */
        KF_TRY(float_twin(l, quantized, &in->tensor));
        KF_TRY(kf__lower_convert(l, v->name, v->quant, true, in->tensor, quantized));
    }
    for (size_t i = 0; i < g->n_nodes; i++) /* reported first, because other complaints would only follow from it */
        if (is_qdq(&g->nodes[i])) return lower_node(l, &g->nodes[i]);
    for (size_t i = 0; i < g->n_nodes; i++)
        if (!g->nodes[i].dead) KF_TRY(lower_node(l, &g->nodes[i]));
    for (size_t i = 0; i < g->n_outputs; i++) KF_TRY(lower_output(l, g->outputs[i]));
    const kf__vid ranked = kf__graph_ranked(g); /* what an ArgMax at the end hides */
    if (kf__graph_is_output(g, ranked)) return KF_OK;
    KF_TRY(lower_output(l, ranked));
    p->outputs[p->n_outputs - 1].added = 1;
    return KF_OK;
}

static const char *copy_text(kf__program *p, const char *s) { return s ? kf__arena_strdup(&p->arena, s) : NULL; }

/* The file's name without what follows its last dot; a name that starts with its only dot is kept. */
static const char *file_stem(kf__program *p, const char *name) {
    const char *dot = strrchr(name, '.');
    return kf__arena_strndup(&p->arena, name, dot && dot > name ? (size_t)(dot - name) : strlen(name));
}

static kf_status lower_meta(lowering *l) {
    const kf__meta *m = &l->g->meta;
    kf__pmeta *to = &l->p->meta;
    to->preprocess = m->preprocess;
    to->input_range = m->input_range;
    to->range_known = m->range_known;
    to->origin = m->origin;
    to->preprocess_source = copy_text(l->p, m->preprocess_source);
    if (m->arch) to->name = copy_text(l->p, m->arch);
    else if (m->source && *m->source) to->name = file_stem(l->p, m->source); /* exporters name graphs "torch_jit" */
    else to->name = copy_text(l->p, l->g->name);
    to->arch = copy_text(l->p, m->arch);
    to->source = copy_text(l->p, m->source);
    to->producer = copy_text(l->p, m->producer);
    to->kitfox = copy_text(l->p, kf_version());
    to->stored_parameters = m->source_parameters;
    to->labels = kf__arena_array(&l->p->arena, (size_t)m->n_labels + 1, sizeof *to->labels);
    if (!to->labels) KF_FAIL_MEMORY(l->err, 8);
    for (; to->n_labels < m->n_labels; to->n_labels++)
        if (!(to->labels[to->n_labels] = copy_text(l->p, m->labels[to->n_labels]))) KF_FAIL_MEMORY(l->err, 8);
    for (int32_t i = 0; i < l->p->n_steps; i++) {
        const kf__step *s = &l->p->steps[i];
        const kf__ptensor *x = &l->p->tensors[s->in[0]], *y = &l->p->tensors[s->out];
        to->quantized |= y->dtype != KF_F32 || (x->dtype != KF_F32 && s->op != KF_STEP_DEQUANTIZE);
        to->macs += kf__step_macs(l->p, s);
        bool counts = s->op == KF_STEP_CONV || s->op == KF_STEP_DWCONV || s->op == KF_STEP_FC;
        if (counts) to->activations += (int64_t)kf__ptensor_count(y);
    }
    return kf__graph_count_architecture(l->g, &to->parameters, l->err);
}

kf_status kf__lower(const kf__graph *g, kf__program **out, kf_error *err) {
    lowering l = {.g = g, .err = err};
    KF_TRY(kf__program_create(out, NULL, err));
    kf__program *p = l.p = *out;
    size_t nodes = g->n_nodes + 1;
    size_t ends = g->n_inputs + g->n_outputs + 1,
           views = 0; /* a conversion needs another tensor, step and constant, a reshape another tensor and step */
    for (size_t i = 0; i < g->n_nodes; i++) views += (size_t)g->nodes[i].n_in + 1;
    p->tensors = kf__arena_array(&p->arena, 2 * nodes + views + 2 * ends, sizeof *p->tensors);
    p->consts = kf__arena_array(&p->arena, nodes * 10 + views + 4 * ends, sizeof *p->consts);
    p->steps = kf__arena_array(&p->arena, 2 * nodes + views + ends, sizeof *p->steps);
    p->inputs = kf__arena_array(&p->arena, g->n_inputs + 1, sizeof *p->inputs);
    p->outputs = kf__arena_array(&p->arena, g->n_outputs + 2, sizeof *p->outputs);
    l.tensor_of = kf__arena_array(&p->arena, g->n_values + 1, sizeof *l.tensor_of);
    kf_status st = KF_ERR_MEMORY;
    if (!p->tensors || !p->consts || !p->steps || !p->inputs || !p->outputs || !l.tensor_of) {
        st = kf_error_set(err, st, "out of memory while compiling");
    } else {
        for (size_t i = 0; i < g->n_values; i++) l.tensor_of[i] = -1;
        st = lower_ends(&l);
        if (st == KF_OK && p->n_steps == 0)
            st = kf_error_set(err, KF_ERR_UNSUPPORTED, "the network computes nothing: output %s is an input",
                              p->n_outputs ? p->outputs[0].name : "(none)");
        if (st == KF_OK) st = lower_meta(&l);
        if (st == KF_OK) st = kf__program_validate(p, err);
    }
    if (st != KF_OK) kf__program_destroy(out);
    return st;
}
