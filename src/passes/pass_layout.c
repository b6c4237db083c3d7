/* Transposes move down, past every node that computes the same on another order of axes, until two of them cancel,
 * or a layer behind takes the order into its weights. A network that was written for NHWC becomes one of NCHW.
 * Owner rule: new nodes, values and constants belong to the graph. */
#include "passes/passes.h"

/* A node below a Transpose with the order `o`. */
typedef struct below {
    kf__graph *g;
    size_t at;
    kf__order o;
    kf__sunk s;
    kf_error *err;
} below;

static const kf__node *node_of(const below *b) { return &b->g->nodes[b->at]; }

/* The Transpose that makes `v`; its order is *o. */
static const kf__node *turned(const kf__graph *g, kf__vid v, kf__order *o) {
    const kf__node *t = kf__match_any(g, v);
    return t && kf__order_of(g, t, o) ? t : NULL;
}

static bool same_order(const kf__order *a, const kf__order *b) {
    return a->n == b->n && memcmp(a->from, b->from, (size_t)a->n * sizeof a->from[0]) == 0;
}

static void as_attrs(const kf__order *o, kf__attrs *a) {
    *a = (kf__attrs){.n_axes = o->n};
    for (int k = 0; k < o->n; k++) a->axes[k] = o->from[k];
}

/* The axis of the source that an axis of the result is. */
static int64_t axis_of(const below *b, int64_t axis) { return b->o.from[axis < 0 ? axis + b->o.n : axis]; }

static bool axis_ok(const below *b, int64_t axis) { return axis >= -b->o.n && axis < b->o.n; }

/* ---- operands ---------------------------------------------------------------------------------------------------- */

/* Can the shape of `v` take the axes of the source without moving an element? Only below a turn to NHWC, so that this
 * ends: the reshape that it needs turns to NCHW. */
static bool reshapes(const below *b, const kf__value *v, kf__shape *to) {
    static const kf__order TO_NHWC = {4, {0, 2, 3, 1}};
    if (!same_order(&b->o, &TO_NHWC) || v->data || v->shape.rank != b->o.n) return false;
    to->rank = b->o.n;
    for (int k = 0; k < b->o.n; k++) to->dim[b->o.from[k]] = v->shape.dim[k];
    return kf__order_is_view(to, &b->o);
}

/* Is every input turned like this one, or (where `others` may be) one that can be turned back for nothing? */
static bool inputs_fit(const below *b, bool others) {
    const kf__node *n = node_of(b);
    kf__order o;
    kf__shape s;
    if (n->n_in > 64 || b->g->values[n->out[0]].shape.rank != b->o.n) return false;
    for (int k = 0; k < n->n_in; k++) {
        if (n->in[k] < 0) continue;
        if (turned(b->g, n->in[k], &o) && same_order(&o, &b->o)) continue;
        const kf__value *v = &b->g->values[n->in[k]];
        if (!others || ((!v->data || v->shape.rank > b->o.n) && !reshapes(b, v, &s))) return false;
    }
    return true;
}

static kf_status reshaped(below *b, kf__vid v, kf__vid *to) {
    kf__graph *g = b->g;
    kf__shape s;
    kf__vid in[2] = {v};
    if (!reshapes(b, &g->values[v], &s)) KF_FAIL(b->err, KF_ERR_INTERNAL, "%s: not a view", g->values[v].name);
    KF_TRY(kf__order_ints(g, g->values[v].name, s.dim, s.rank, &in[1], b->err));
    const char *name = kf__arena_printf(&g->arena, "%s_turned", g->values[v].name);
    *to = name ? kf__graph_add_value(g, name, g->values[v].dtype, &s) : KF_NO_VALUE;
    if (*to < 0 || !kf__graph_add_node(g, KF_OP_RESHAPE, name, in, 2, to, 1)) KF_FAIL_MEMORY(b->err, sizeof s);
    return KF_OK;
}

static kf_status take_inputs(below *b) {
    kf__order o;
    b->s.n_in = node_of(b)->n_in;
    for (int k = 0; k < b->s.n_in; k++) {
        const kf__vid v = node_of(b)->in[k];
        b->s.in[k] = v;
        if (v < 0) continue;
        const kf__node *t = turned(b->g, v, &o);
        if (t && same_order(&o, &b->o)) b->s.in[k] = t->in[0];
        else if (b->g->values[v].data) KF_TRY(kf__order_const(b->g, v, &b->o, &b->s.in[k], b->err));
        else KF_TRY(reshaped(b, v, &b->s.in[k]));
    }
    return KF_OK;
}

/* The node on the Transpose's input, its other inputs as they are. */
static void take_first(below *b) {
    kf__order o;
    const kf__node *n = node_of(b);
    b->s.n_in = n->n_in < 64 ? n->n_in : 64;
    for (int k = 0; k < b->s.n_in; k++) b->s.in[k] = n->in[k];
    b->s.in[0] = turned(b->g, n->in[0], &o)->in[0];
}

/* ---- one function for each kind of node; *done: it moved --------------------------------------------------------- */

static kf_status sink(below *b) {
    const kf__shape *y = &b->g->values[node_of(b)->out[0]].shape;
    b->s.shape.rank = b->o.n;
    for (int k = 0; k < b->o.n; k++) b->s.shape.dim[b->o.from[k]] = y->dim[k];
    b->s.after = KF_OP_TRANSPOSE;
    b->s.after_in = KF_NO_VALUE;
    as_attrs(&b->o, &b->s.after_attrs);
    return kf__order_sink(b->g, b->at, &b->s, b->err);
}

static kf_status past_elements(below *b, bool *done) {
    if (!inputs_fit(b, true)) return KF_OK;
    *done = true;
    KF_TRY(take_inputs(b));
    return sink(b);
}

static kf_status past_concat(below *b, bool *done) {
    if (!inputs_fit(b, false) || !axis_ok(b, b->s.attrs.axis)) return KF_OK;
    *done = true;
    KF_TRY(take_inputs(b));
    b->s.attrs.axis = (int32_t)axis_of(b, b->s.attrs.axis);
    return sink(b);
}

static kf_status past_axis(below *b, bool *done) {
    const kf__node *n = node_of(b);
    const bool gather = n->op == KF_OP_GATHER;
    if (gather && (!kf__match_is_const(b->g, n->in[1]) || b->g->values[n->in[1]].shape.rank != 1)) return KF_OK;
    if (!axis_ok(b, b->s.attrs.axis) || b->g->values[n->out[0]].shape.rank != b->o.n) return KF_OK;
    *done = true;
    take_first(b);
    b->s.attrs.axis = (int32_t)axis_of(b, b->s.attrs.axis);
    return sink(b);
}

static kf_status past_pad(below *b, bool *done) {
    const kf__attrs was = b->s.attrs;
    if (was.n_axes != 2 * b->o.n || kf__match_in(node_of(b), 3) >= 0) return KF_OK;
    *done = true;
    take_first(b);
    for (int k = 0; k < b->o.n; k++) {
        b->s.attrs.axes[b->o.from[k]] = was.axes[k];
        b->s.attrs.axes[b->o.from[k] + b->o.n] = was.axes[k + b->o.n];
    }
    if (b->s.n_in > 1 && b->s.in[1] >= 0)
        KF_TRY(kf__order_ints(b->g, node_of(b)->name, b->s.attrs.axes, was.n_axes, &b->s.in[1], b->err));
    return sink(b);
}

/* The list of integers of input k, or the axes from 0 on where there is none. */
static bool axes_of_slice(const below *b, int64_t axes[KF_MAX_RANK], int *n) {
    const kf__node *s = node_of(b);
    const kf__vid starts = kf__match_in(s, 1), given = kf__match_in(s, 3);
    size_t count = 0;
    if (!kf__match_is_const(b->g, starts) || !kf__shape_count(&b->g->values[starts].shape, &count)) return false;
    if (count > (size_t)b->o.n || (given >= 0 && !kf__match_is_const(b->g, given))) return false;
    *n = (int)count;
    for (int i = 0; i < *n; i++) {
        axes[i] = i;
        const kf__value *v = given >= 0 ? &b->g->values[given] : NULL;
        if (v) axes[i] = v->dtype == KF_I64 ? ((const int64_t *)v->data)[i] : ((const int32_t *)v->data)[i];
        if (!axis_ok(b, axes[i])) return false;
    }
    return true;
}

/* All lists of a Slice have one type. */
static kf_status past_slice(below *b, bool *done) {
    int64_t axes[KF_MAX_RANK];
    int n = 0;
    if (!axes_of_slice(b, axes, &n) || b->g->values[node_of(b)->in[1]].dtype != KF_I64) return KF_OK;
    *done = true;
    take_first(b);
    for (int i = 0; i < n; i++) axes[i] = axis_of(b, axes[i]);
    if (b->s.n_in < 4) b->s.n_in = 4;
    KF_TRY(kf__order_ints(b->g, node_of(b)->name, axes, n, &b->s.in[3], b->err));
    return sink(b);
}

/* The order of the axes that a reduction leaves. */
static kf__order left_order(const kf__order *o, const bool gone[KF_MAX_RANK]) {
    kf__order left = {0};
    for (int k = 0; k < o->n; k++) {
        if (gone[o->from[k]]) continue;
        int place = 0;
        for (int x = 0; x < o->from[k]; x++) place += !gone[x];
        left.from[left.n++] = place;
    }
    return left;
}

static bool is_sorted(const kf__order *o) {
    for (int k = 0; k < o->n; k++)
        if (o->from[k] != k) return false;
    return true;
}

static kf_status past_reduce(below *b, bool *done) {
    const kf__attrs was = b->s.attrs;
    bool gone[KF_MAX_RANK] = {false};
    if (was.n_axes < 1 || (kf__match_in(node_of(b), 1) >= 0 && !kf__match_is_const(b->g, node_of(b)->in[1])))
        return KF_OK;
    for (int i = 0; i < was.n_axes; i++)
        if (!axis_ok(b, was.axes[i])) return KF_OK;
    *done = true;
    take_first(b);
    for (int i = 0; i < was.n_axes; i++) gone[b->s.attrs.axes[i] = axis_of(b, was.axes[i])] = !was.keepdims;
    if (b->s.n_in > 1 && b->s.in[1] >= 0)
        KF_TRY(kf__order_ints(b->g, node_of(b)->name, b->s.attrs.axes, was.n_axes, &b->s.in[1], b->err));
    b->o = left_order(&b->o, gone);
    if (!is_sorted(&b->o)) return sink(b);
    kf__node *n = &b->g->nodes[b->at];
    n->attrs = b->s.attrs;
    return kf__rewrite_inputs(b->g, n, b->s.in, b->s.n_in, b->err);
}

/* Where no element moves, a view of the Transpose is a view of its input. */
static kf_status past_view(below *b, bool *done) {
    kf__order o;
    const kf__node *t = turned(b->g, node_of(b)->in[0], &o);
    const kf__shape y = b->g->values[node_of(b)->out[0]].shape;
    if (y.rank < 1 || !kf__order_is_view(&b->g->values[t->in[0]].shape, &o)) return KF_OK;
    for (int k = 0; k < y.rank; k++)
        if (y.dim[k] < 1) return KF_OK;
    *done = true;
    kf__vid in[2] = {t->in[0]};
    KF_TRY(kf__order_ints(b->g, node_of(b)->name, y.dim, y.rank, &in[1], b->err));
    kf__node *n = &b->g->nodes[b->at];
    n->op = KF_OP_RESHAPE;
    n->attrs = (kf__attrs){0};
    return kf__rewrite_inputs(b->g, n, in, 2, b->err);
}

/* Two Transposes are one. */
static kf_status merge(below *b, bool *done) {
    kf__order o, inner;
    kf__node *n = &b->g->nodes[b->at];
    const kf__node *t = turned(b->g, n->in[0], &inner);
    kf__order_of(b->g, n, &o);
    for (int k = 0; k < o.n; k++) o.from[k] = inner.from[o.from[k]];
    const kf__vid x = t->in[0];
    *done = true;
    if (is_sorted(&o) && kf__rewrite_bypass(b->g, n, x)) return KF_OK;
    n->op = KF_OP_TRANSPOSE;
    as_attrs(&o, &n->attrs);
    return kf__rewrite_inputs(b->g, n, &x, 1, b->err);
}

/* ---- flattened for a matrix -------------------------------------------------------------------------------------- */

/* Weights [K, O], or `columns`: [O, K], whose K is numbered as y is, numbered as x is. */
static void renumber(const kf__shape *y, const kf__order *o, int64_t rows, bool columns, const float *from, float *to) {
    int64_t stride[KF_MAX_RANK] = {0}, x_stride[KF_MAX_RANK] = {0}, k_count = 1, step = 1;
    for (int a = o->n - 1; a >= 1; a--)
        for (int k = 1; k < o->n; k++)
            if (o->from[k] == a) x_stride[k] = step, step *= y->dim[k];
    for (int k = o->n - 1; k >= 1; k--) stride[k] = k_count, k_count *= y->dim[k];
    for (int64_t i = 0; i < k_count; i++) {
        int64_t x = 0;
        for (int k = 1; k < o->n; k++) x += i / stride[k] % y->dim[k] * x_stride[k];
        for (int64_t r = 0; r < rows; r++) {
            if (columns) to[r * k_count + x] = from[r * k_count + i];
            else to[x * rows + r] = from[i * rows + r];
        }
    }
}

/* The view between a Transpose of images and a matrix product with constant weights, or NULL. */
static const kf__node *flattened(const kf__graph *g, const kf__node *n, kf__order *o) {
    if ((n->op != KF_OP_MATMUL && n->op != KF_OP_GEMM && n->op != KF_OP_FC) || n->attrs.trans_a) return NULL;
    const kf__node *view = kf__match_any(g, n->in[0]);
    if (!view || !kf__op_is_view(view->op) || !kf__match_is_const(g, n->in[1])) return NULL;
    const kf__node *t = turned(g, view->in[0], o);
    const kf__shape *x = t ? &g->values[t->out[0]].shape : NULL, *y = &g->values[view->out[0]].shape;
    const kf__value *w = &g->values[n->in[1]];
    if (!t || o->from[0] != 0 || o->n < 3 || y->rank != 2 || y->dim[0] != x->dim[0]) return NULL;
    return w->dtype == KF_F32 && w->shape.rank == 2 && w->bytes >= sizeof(float) ? view : NULL;
}

static kf_status into_matrix(kf__graph *g, size_t at, bool *done, kf_error *err) {
    kf__order o;
    const kf__node *n = &g->nodes[at], *view = flattened(g, n, &o);
    if (!view) return KF_OK;
    const kf__value w = g->values[n->in[1]];
    const kf__shape y = g->values[view->in[0]].shape, flat = g->values[view->out[0]].shape;
    const bool columns = n->op == KF_OP_FC || (n->op == KF_OP_GEMM && n->attrs.trans_b);
    const kf__vid x = turned(g, view->in[0], &o)->in[0];
    if (w.shape.dim[columns] != flat.dim[1]) return KF_OK;
    float *data = kf__mem_alloc(NULL, w.bytes);
    if (!data) KF_FAIL_MEMORY(err, w.bytes);
    renumber(&y, &o, w.shape.dim[!columns], columns, w.data, data);
    kf__vid weights, in[2] = {x};
    kf_status st = kf__rewrite_const(g, w.name, "", &w.shape, data, &weights, err);
    kf__mem_free(NULL, data);
    KF_TRY(st);
    KF_TRY(kf__order_ints(g, view->name, flat.dim, 2, &in[1], err));
    const char *name = kf__arena_printf(&g->arena, "%s_flat", g->values[x].name);
    const kf__vid v = name ? kf__graph_add_value(g, name, KF_F32, &flat) : KF_NO_VALUE;
    const kf__node was = *view;
    kf__node *made = v >= 0 ? kf__graph_add_node(g, KF_OP_RESHAPE, was.name, in, 2, &v, 1) : NULL;
    if (!made) KF_FAIL_MEMORY(err, sizeof *made);
    made->origin = was.origin;
    kf__rewrite_input(g, &g->nodes[at], 0, v);
    kf__rewrite_input(g, &g->nodes[at], 1, weights);
    *done = true;
    return KF_OK;
}

/* ---- the pass ---------------------------------------------------------------------------------------------------- */

static kf_status below_turn(below *b, bool *done) {
    const kf__node *n = node_of(b);
    kf__order own;
    if (n->n_out == 1 && kf__order_of(b->g, n, &own)) return merge(b, done);
    if (kf__op_is_view(n->op)) return past_view(b, done);
    if (kf__order_elementwise(n)) return past_elements(b, done);
    if (n->op == KF_OP_CONCAT) return past_concat(b, done);
    if (n->op == KF_OP_SOFTMAX || n->op == KF_OP_GATHER) return past_axis(b, done);
    if (n->op == KF_OP_PAD) return past_pad(b, done);
    if (n->op == KF_OP_SLICE) return past_slice(b, done);
    if (n->op == KF_OP_REDUCE_MEAN || n->op == KF_OP_REDUCE_SUM) return past_reduce(b, done);
    return KF_OK;
}

kf_status kf__pass_layout(kf__graph *g, bool *changed, kf_error *err) {
    for (size_t i = 0, count = g->n_nodes; i < count; i++) {
        const kf__node *n = &g->nodes[i];
        below b = {.g = g, .at = i, .err = err};
        bool done = false, found = false;
        if (n->dead || n->n_in < 1 || n->n_out < 1) continue;
        const int most = kf__order_elementwise(n) ? n->n_in : 1;
        for (int k = 0; k < most && !found; k++) found = n->in[k] >= 0 && turned(g, n->in[k], &b.o) != NULL;
        b.s.attrs = n->attrs;
        KF_TRY(found ? below_turn(&b, &done) : into_matrix(g, i, &done, err));
        *changed |= done;
    }
    return KF_OK;
}
