/* Channels in another order, as BGR for RGB: by Gather, by a Slice that steps backwards, or by a Concat of parts. The
 * new order moves down until a layer behind takes it into its weights. Exact: numbers change their places only.
 * Owner rule: new nodes, values and constants belong to the graph. */
#include <stdlib.h>

#include "graph/operands.h"
#include "passes/passes.h"

/* Networks with more channels keep their order as it is. */
enum { MOST = 4096 };

/* Element i along the axis is element list[i] of the source: every one once. */
typedef struct deal {
    kf__vid x;
    int axis, n;
    int64_t list[MOST];
} deal;

static bool int_at(const kf__graph *g, kf__vid v, size_t i, int64_t *out) {
    const kf__value *c = v >= 0 ? &g->values[v] : NULL;
    if (!c || !c->data || (c->dtype != KF_I64 && c->dtype != KF_I32)) return false;
    if (i >= c->bytes / kf_dtype_size(c->dtype)) return false;
    *out = c->dtype == KF_I64 ? ((const int64_t *)c->data)[i] : ((const int32_t *)c->data)[i];
    return true;
}

static int axis_of(const kf__graph *g, const kf__node *n) {
    const int rank = g->values[n->in[0]].shape.rank;
    return n->attrs.axis < 0 ? n->attrs.axis + rank : n->attrs.axis;
}

/* ---- what a node takes along one axis ---------------------------------------------------------------------------- */

static bool add(deal *d, int64_t index, int64_t dim) {
    if (index < 0) index += dim;
    if (d->n >= MOST || index < 0 || index >= dim) return false;
    d->list[d->n++] = index;
    return true;
}

static bool take_gather(const kf__graph *g, const kf__node *n, deal *d) {
    const kf__value *list = &g->values[n->in[1]];
    int64_t index;
    if (!list->data || list->shape.rank != 1) return false;
    for (int64_t i = 0; i < list->shape.dim[0]; i++)
        if (!int_at(g, n->in[1], (size_t)i, &index) || !add(d, index, g->values[n->in[0]].shape.dim[d->axis]))
            return false;
    return true;
}

/* A slice along this axis and no other. */
static bool take_slice(const kf__graph *g, const kf__node *n, deal *d) {
    const kf__value *x = &g->values[n->in[0]];
    int64_t start, end, axis = 0, step = 1, first, count;
    if (!int_at(g, n->in[1], 0, &start) || !int_at(g, n->in[2], 0, &end) || g->values[n->in[1]].shape.dim[0] != 1)
        return false;
    if (kf__match_in(n, 3) >= 0 && !int_at(g, n->in[3], 0, &axis)) return false;
    if (kf__match_in(n, 4) >= 0 && !int_at(g, n->in[4], 0, &step)) return false;
    if (axis < 0) axis += x->shape.rank;
    if (d->axis < 0) d->axis = (int)axis;
    if (axis != d->axis || step == 0) return false;
    kf__slice_range(x->shape.dim[axis], start, end, step, &first, &count);
    for (int64_t i = 0; i < count; i++)
        if (!add(d, first + i * step, x->shape.dim[axis])) return false;
    return true;
}

/* The part of a Split that is value `v`. */
static bool take_split(const kf__graph *g, const kf__node *n, kf__vid v, deal *d) {
    int64_t at = 0;
    if (axis_of(g, n) != d->axis) return false;
    for (int k = 0; k < n->n_out; k++) {
        if (n->out[k] < 0 || g->values[n->out[k]].shape.rank < 0) return false;
        const int64_t dim = g->values[n->out[k]].shape.dim[d->axis];
        for (int64_t i = 0; n->out[k] == v && i < dim; i++)
            if (!add(d, at + i, g->values[n->in[0]].shape.dim[d->axis])) return false;
        if (n->out[k] == v) return true;
        at += dim;
    }
    return false;
}

/* What `v` takes of *x along the axis is added to the list. */
static bool take_part(const kf__graph *g, kf__vid v, deal *d) {
    const kf__node *n = kf__match_any(g, v);
    if (!n || n->n_in < 1 || n->in[0] < 0 || (d->x >= 0 && n->in[0] != d->x)) return false;
    if (g->values[n->in[0]].shape.rank <= d->axis) return false;
    d->x = n->in[0];
    if (n->op == KF_OP_SPLIT) return take_split(g, n, v, d);
    if (n->op == KF_OP_SLICE) return take_slice(g, n, d);
    return n->op == KF_OP_GATHER && axis_of(g, n) == d->axis && take_gather(g, n, d);
}

static bool is_deal(const kf__graph *g, const deal *d) {
    bool seen[MOST] = {false};
    if (d->n < 1 || g->values[d->x].shape.dim[d->axis] != d->n) return false;
    for (int i = 0; i < d->n; i++) {
        if (seen[d->list[i]]) return false;
        seen[d->list[i]] = true;
    }
    return true;
}

/* Does the node only reorder its source along one axis? */
static bool deals(const kf__graph *g, const kf__node *n, deal *d) {
    d->x = KF_NO_VALUE, d->n = 0, d->axis = -1;
    if (n->dead || n->n_out != 1 || n->n_in < 1 || n->in[0] < 0 || g->values[n->in[0]].shape.rank < 1) return false;
    if (n->op == KF_OP_GATHER || n->op == KF_OP_SLICE) {
        d->x = n->in[0];
        if (n->op == KF_OP_GATHER) d->axis = axis_of(g, n);
        return (n->op == KF_OP_GATHER ? take_gather(g, n, d) : take_slice(g, n, d)) && is_deal(g, d);
    }
    if (n->op != KF_OP_CONCAT) return false;
    d->axis = axis_of(g, n);
    for (int k = 0; k < n->n_in; k++)
        if (!take_part(g, n->in[k], d)) return false;
    return is_deal(g, d);
}

static bool in_order(const deal *d) {
    for (int i = 0; i < d->n; i++)
        if (d->list[i] != i) return false;
    return true;
}

/* ---- below such a node ------------------------------------------------------------------------------------------- */

typedef struct below {
    kf__graph *g;
    size_t at;
    kf__vid turned; /* what the node reads of it */
    deal *d;
    kf__sunk s;
    kf_error *err;
} below;

/* The node computes on the source; a Gather with the list after it gives the old result. */
static kf_status sink(below *b) {
    const kf__vid y = b->g->nodes[b->at].out[0];
    b->s.shape = b->g->values[y].shape;
    b->s.after = KF_OP_GATHER;
    b->s.after_attrs = (kf__attrs){.axis = b->d->axis};
    KF_TRY(kf__order_ints(b->g, b->g->values[y].name, b->d->list, b->d->n, &b->s.after_in, b->err));
    return kf__order_sink(b->g, b->at, &b->s, b->err);
}

/* A constant whose entries along `axis`, in rows of `inner`, go where the source has them. */
static kf_status dealt(below *b, kf__vid v, int axis, kf__vid *out) {
    const kf__value c = b->g->values[v];
    size_t inner = kf_dtype_size(c.dtype), n = (size_t)b->d->n;
    *out = v;
    if (axis < 0 || c.shape.dim[axis] == 1) return KF_OK;
    for (int k = axis + 1; k < c.shape.rank; k++) inner *= (size_t)c.shape.dim[k];
    KF_TRY(kf__graph_charge(b->g, c.name, c.bytes, c.bytes, b->err));
    char *data = kf__mem_alloc(NULL, c.bytes);
    if (!data) KF_FAIL_MEMORY(b->err, c.bytes);
    for (size_t at = 0; inner && at < c.bytes; at += n * inner)
        for (size_t i = 0; i < n; i++)
            memcpy(data + at + (size_t)b->d->list[i] * inner, (const char *)c.data + at + i * inner, inner);
    *out = kf__graph_add_const(b->g, c.name, c.dtype, &c.shape, data);
    kf__mem_free(NULL, data);
    if (*out < 0) KF_FAIL_MEMORY(b->err, c.bytes);
    return KF_OK;
}

/* The axis of the constant that meets the dealt one when shapes are broadcast; -1: none. */
static int met_axis(const below *b, const kf__value *c, int rank) { return b->d->axis - (rank - c->shape.rank); }

static kf_status past_elements(below *b, bool *done) {
    const kf__node *n = &b->g->nodes[b->at];
    const int rank = b->g->values[n->out[0]].shape.rank;
    if (n->n_in > 64 || rank != b->g->values[b->d->x].shape.rank) return KF_OK;
    for (int k = 0; k < n->n_in; k++) {
        const kf__value *c = n->in[k] >= 0 ? &b->g->values[n->in[k]] : NULL;
        if (c && (c->data ? c->shape.rank > rank : n->in[k] != b->turned)) return KF_OK;
    }
    *done = true;
    b->s.n_in = n->n_in;
    for (int k = 0; k < b->s.n_in; k++) {
        const kf__vid v = b->g->nodes[b->at].in[k];
        b->s.in[k] = v == b->turned ? b->d->x : v;
        if (v >= 0 && b->g->values[v].data) KF_TRY(dealt(b, v, met_axis(b, &b->g->values[v], rank), &b->s.in[k]));
    }
    return sink(b);
}

/* Every channel is treated alike. */
static kf_status past_channels(below *b, bool *done) {
    const kf__node *n = &b->g->nodes[b->at];
    if (n->n_in > 4) return KF_OK;
    *done = true;
    b->s.n_in = n->n_in;
    for (int k = 0; k < n->n_in; k++) b->s.in[k] = n->in[k];
    b->s.in[0] = b->d->x;
    return sink(b);
}

static bool pads_along(const below *b) {
    const kf__attrs *a = &b->g->nodes[b->at].attrs;
    const int rank = b->g->values[b->d->x].shape.rank;
    return a->n_axes != 2 * rank || a->axes[b->d->axis] || a->axes[b->d->axis + rank];
}

static kf_status into_weights(below *b, int axis, bool *done) {
    kf__vid w;
    *done = true;
    KF_TRY(dealt(b, b->g->nodes[b->at].in[1], axis, &w));
    kf__rewrite_input(b->g, &b->g->nodes[b->at], 1, w);
    kf__rewrite_input(b->g, &b->g->nodes[b->at], 0, b->d->x);
    return KF_OK;
}

/* Each channel takes its filters along; those of the result are dealt then. */
static kf_status past_depthwise(below *b, bool *done) {
    const kf__node n = b->g->nodes[b->at];
    deal *d = b->d;
    const int64_t each = b->g->values[n.in[1]].shape.dim[0] / d->n;
    if (each < 1 || each * d->n > MOST || kf__match_in(&n, 3) >= 0 || n.n_in > 4) return KF_OK;
    for (int64_t i = d->n - 1; i >= 0; i--)
        for (int64_t k = each - 1; k >= 0; k--) d->list[i * each + k] = d->list[i] * each + k;
    d->n *= (int)each;
    *done = true;
    b->s.n_in = n.n_in;
    b->s.in[0] = d->x;
    KF_TRY(dealt(b, n.in[1], 0, &b->s.in[1]));
    if (n.n_in > 2) b->s.in[2] = n.in[2];
    if (n.n_in > 3) b->s.in[3] = n.in[3];
    if (n.n_in > 2 && n.in[2] >= 0) KF_TRY(dealt(b, n.in[2], 0, &b->s.in[2]));
    return sink(b);
}

static kf_status past_conv(below *b, bool *done) {
    const kf__node *n = &b->g->nodes[b->at];
    const kf__value *w = &b->g->values[n->in[1]];
    if (!w->data || w->dtype != KF_F32 || b->d->axis != 1) return KF_OK;
    if (n->n_in > 2 && n->in[2] >= 0 && !b->g->values[n->in[2]].data) return KF_OK;
    if (n->attrs.window.group == 1) return into_weights(b, 1, done);
    return n->attrs.window.group == b->d->n ? past_depthwise(b, done) : KF_OK;
}

static kf_status into_matrix(below *b, bool *done) {
    const kf__node *n = &b->g->nodes[b->at];
    const kf__value *w = &b->g->values[n->in[1]];
    if (!w->data || w->dtype != KF_F32 || b->d->axis != 1 || n->attrs.trans_a) return KF_OK;
    const bool columns = n->op == KF_OP_FC || (n->op == KF_OP_GEMM && n->attrs.trans_b);
    return into_weights(b, columns, done);
}

/* [N, C, 1, 1] as [N, C] keeps its channels. */
static kf_status past_view(below *b, bool *done) {
    const kf__node *n = &b->g->nodes[b->at];
    const kf__shape *x = &b->g->values[b->d->x].shape, *y = &b->g->values[n->out[0]].shape;
    if (b->d->axis != 1 || y->rank < 2 || y->dim[0] != x->dim[0] || y->dim[1] != x->dim[1]) return KF_OK;
    for (int k = 2; k < x->rank; k++)
        if (x->dim[k] != 1) return KF_OK;
    for (int k = 2; k < y->rank; k++)
        if (y->dim[k] != 1) return KF_OK;
    return past_channels(b, done);
}

static kf_status below_deal(below *b, bool *done) {
    const kf__node *n = &b->g->nodes[b->at];
    if (kf__order_elementwise(n)) return past_elements(b, done);
    if (kf__op_is_view(n->op)) return past_view(b, done);
    if (n->op == KF_OP_CONV) return past_conv(b, done);
    if (n->op == KF_OP_GEMM || n->op == KF_OP_MATMUL || n->op == KF_OP_FC) return into_matrix(b, done);
    if (n->op == KF_OP_PAD) return pads_along(b) ? KF_OK : past_channels(b, done);
    const bool pool = n->op == KF_OP_GLOBAL_AVG_POOL || n->op == KF_OP_AVG_POOL || n->op == KF_OP_MAX_POOL;
    return pool && n->n_out == 1 && b->d->axis == 1 ? past_channels(b, done) : KF_OK;
}

/* ---- the pass ---------------------------------------------------------------------------------------------------- */

/* A node that reorders becomes a Gather, or nothing. */
static kf_status settle(kf__graph *g, size_t i, const deal *d, bool *changed, kf_error *err) {
    kf__node *n = &g->nodes[i];
    kf__vid in[2] = {d->x};
    if (in_order(d) && kf__rewrite_bypass(g, n, d->x)) *changed = true;
    if (n->dead || n->op != KF_OP_CONCAT) return KF_OK;
    KF_TRY(kf__order_ints(g, n->name, d->list, d->n, &in[1], err));
    n = &g->nodes[i];
    n->op = KF_OP_GATHER;
    n->attrs = (kf__attrs){.axis = d->axis};
    *changed = true;
    return kf__rewrite_inputs(g, n, in, 2, err);
}

static kf_status visit(kf__graph *g, size_t i, deal *d, bool *changed, kf_error *err) {
    const kf__node *n = &g->nodes[i];
    if (deals(g, n, d)) return settle(g, i, d, changed, err);
    const int most = kf__order_elementwise(n) ? n->n_in : 1;
    for (int k = 0; k < most; k++) {
        const kf__node *p = n->in[k] >= 0 ? kf__match_any(g, n->in[k]) : NULL;
        if (!p || p->op == KF_OP_CONCAT || !deals(g, p, d)) continue;
        below b = {.g = g, .at = i, .turned = n->in[k], .d = d, .s = {.attrs = n->attrs}, .err = err};
        return below_deal(&b, changed);
    }
    return KF_OK;
}

kf_status kf__pass_channels(kf__graph *g, bool *changed, kf_error *err) {
    deal *d = malloc(sizeof *d);
    kf_status st = d ? KF_OK : kf_error_set(err, KF_ERR_MEMORY, "out of memory");
    for (size_t i = 0, count = g->n_nodes; st == KF_OK && i < count; i++) {
        const kf__node *n = &g->nodes[i];
        if (!n->dead && n->n_in > 0 && n->n_out > 0 && n->in[0] >= 0) st = visit(g, i, d, changed, err);
    }
    free(d);
    return st;
}
