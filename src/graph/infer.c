/* Shape and dtype inference of every operator.
 * An unknown shape has rank -1 and passes through, until constant folding knows more.
 * Owner rule: writes only into the values of the graph it is given. */
#include "graph/graph.h"

typedef struct ctx {
    kf__graph *g;
    const kf__node *n;
    kf_error *err;
} ctx;

static kf__value *in_value(const ctx *c, int k) {
    return k < c->n->n_in && c->n->in[k] >= 0 ? &c->g->values[c->n->in[k]] : NULL;
}

static bool known(const kf__value *v) { return v && v->shape.rank >= 0; }

/* No extent, pad or index of a real model comes near this; clamping to it keeps sums of a few of them inside i64, and means the
 * same as the huge "to the end" values that exporters write. */
#define EXTENT_LIMIT ((int64_t)1 << 40)

static int64_t clamp_extent(int64_t v) { return kf__max_i64(-EXTENT_LIMIT, kf__min_i64(v, EXTENT_LIMIT)); }

/* Constant i64 (or i32) input k as a list; false when absent or not constant. */
static bool const_ints(const ctx *c, int k, int64_t *list, int cap, int *count) {
    const kf__value *v = in_value(c, k);
    size_t n;
    if (!v || !v->data || !kf__shape_count(&v->shape, &n) || n > (size_t)cap) return false;
    for (size_t i = 0; i < n; i++) {
        if (v->dtype == KF_I64) list[i] = clamp_extent(((const int64_t *)v->data)[i]);
        else if (v->dtype == KF_I32) list[i] = ((const int32_t *)v->data)[i];
        else return false;
    }
    *count = (int)n;
    return true;
}

#define NODE_FAIL(c, ...)                                                                                              \
    do {                                                                                                               \
        kf__error_set((c)->err, KF_ERR_SHAPE, __VA_ARGS__);                                                            \
        return kf__error_prefix((c)->err, KF_ERR_SHAPE, "%s (%s)", (c)->n->name, kf__op_name((c)->n->op));             \
    } while (0)

static kf_status broadcast(const ctx *c, const kf__shape *a, const kf__shape *b, kf__shape *out) {
    if (a->rank < 0 || b->rank < 0) {
        out->rank = -1;
        return KF_OK;
    }
    out->rank = a->rank > b->rank ? a->rank : b->rank;
    for (int i = 0; i < out->rank; i++) {
        int ia = i - (out->rank - a->rank), ib = i - (out->rank - b->rank);
        int64_t da = ia < 0 ? 1 : a->dim[ia], db = ib < 0 ? 1 : b->dim[ib];
        if (da != db && da != 1 && db != 1) {
            char ta[96], tb[96];
            NODE_FAIL(c, "shapes %s and %s do not broadcast; check the model's input shape", kf__shape_text(a, ta, sizeof ta),
                      kf__shape_text(b, tb, sizeof tb));
        }
        out->dim[i] = da == 1 ? db : da;
    }
    return KF_OK;
}

static kf_status infer_window(const ctx *c, int64_t channels, kf__shape *out) {
    const kf__value *x = in_value(c, 0);
    const kf__window *a = &c->n->attrs.window;
    if (x->shape.rank != 4) NODE_FAIL(c, "input has rank %d, 4 (NCHW) is needed", x->shape.rank);
    *out = kf__shape_make(4, (int64_t[]){x->shape.dim[0], channels, 0, 0});
    bool ceil_mode = c->n->attrs.ceil_mode;
    const kf__axis rows = kf__window_rows(a), columns = kf__window_columns(a);
    if (!kf__axis_extent(&rows, x->shape.dim[2], ceil_mode, &out->dim[2]) ||
        !kf__axis_extent(&columns, x->shape.dim[3], ceil_mode, &out->dim[3]))
        NODE_FAIL(c, "window %dx%d does not fit input %lldx%lld; use a larger input shape", a->kh, a->kw,
                  (long long)x->shape.dim[2], (long long)x->shape.dim[3]);
    return KF_OK;
}

static kf_status infer_conv(const ctx *c, kf__shape *out) {
    const kf__value *x = in_value(c, 0), *w = in_value(c, 1), *b = in_value(c, 2);
    const kf__window *a = &c->n->attrs.window;
    if (!known(x) || !known(w)) return KF_OK;
    if (w->shape.rank != 4) NODE_FAIL(c, "weights have rank %d; only 2-D convolution (rank 4) is supported", w->shape.rank);
    if (x->shape.rank != 4) NODE_FAIL(c, "input has rank %d, 4 (NCHW) is needed", x->shape.rank);
    int64_t in_c = x->shape.dim[1], out_c = w->shape.dim[0];
    if (a->group < 1 || in_c % a->group || out_c % a->group)
        NODE_FAIL(c, "group %d does not divide %lld input and %lld output channels", a->group, (long long)in_c,
                  (long long)out_c);
    if (w->shape.dim[1] * a->group != in_c || w->shape.dim[2] != a->kh || w->shape.dim[3] != a->kw) {
        char tw[96], tx[96];
        NODE_FAIL(c, "weights %s do not fit input %s with group %d", kf__shape_text(&w->shape, tw, sizeof tw),
                  kf__shape_text(&x->shape, tx, sizeof tx), a->group);
    }
    size_t nb = 0;
    if (known(b) && b->dtype == KF_F32 && (!kf__shape_count(&b->shape, &nb) || nb != (size_t)out_c))
        NODE_FAIL(c, "bias has %zu elements for %lld output channels", nb, (long long)out_c);
    return infer_window(c, out_c, out);
}

static int norm_axis(int64_t axis, int rank) { return (int)(axis < 0 ? axis + rank : axis); }

static kf_status infer_matmul(const ctx *c, kf__shape *out) {
    const kf__value *a = in_value(c, 0), *b = in_value(c, 1);
    const kf__attrs *t = &c->n->attrs;
    if (!known(a) || !known(b)) return KF_OK;
    if (a->shape.rank != 2 || b->shape.rank != 2) NODE_FAIL(c, "ranks %d and %d; only matrices are supported", a->shape.rank, b->shape.rank);
    bool ta = c->n->op == KF_OP_GEMM && t->trans_a, tb = c->n->op == KF_OP_FC || (c->n->op == KF_OP_GEMM && t->trans_b);
    int64_t ka = a->shape.dim[ta ? 0 : 1], kb = b->shape.dim[tb ? 1 : 0];
    if (ka != kb) NODE_FAIL(c, "inner sizes %lld and %lld differ; the input shape probably does not match the classifier", (long long)ka, (long long)kb);
    *out = kf__shape_make(2, (int64_t[]){a->shape.dim[ta ? 1 : 0], b->shape.dim[tb ? 0 : 1]});
    return KF_OK;
}

static kf_status infer_reduce(const ctx *c, kf__shape *out) {
    const kf__value *x = in_value(c, 0);
    const kf__attrs *a = &c->n->attrs;
    int64_t axes[KF_MAX_RANK];
    int n = 0;
    if (c->n->n_in > 1 && c->n->in[1] >= 0) {
        if (!const_ints(c, 1, axes, KF_MAX_RANK, &n)) return KF_OK;
    } else {
        n = a->n_axes;
        memcpy(axes, a->axes, sizeof axes);
    }
    bool drop[KF_MAX_RANK] = {false};
    for (int i = 0; i < n; i++) {
        int ax = norm_axis(axes[i], x->shape.rank);
        if (ax < 0 || ax >= x->shape.rank) NODE_FAIL(c, "axis %lld is out of range", (long long)axes[i]);
        drop[ax] = true;
    }
    out->rank = 0;
    for (int i = 0; i < x->shape.rank; i++) {
        bool reduced = n == 0 || drop[i];
        if (reduced && !a->keepdims) continue;
        out->dim[out->rank++] = reduced ? 1 : x->shape.dim[i];
    }
    return KF_OK;
}

static kf_status infer_reshape(const ctx *c, kf__shape *out) {
    const kf__value *x = in_value(c, 0);
    int64_t dims[KF_MAX_RANK];
    int n, infer_at = -1;
    if (!const_ints(c, 1, dims, KF_MAX_RANK, &n)) return KF_OK;
    size_t total, have = 1;
    if (!kf__shape_count(&x->shape, &total)) NODE_FAIL(c, "the input size is not known");
    kf__shape s = {.rank = n};
    for (int i = 0; i < n; i++) {
        s.dim[i] = dims[i] == 0 && i < x->shape.rank ? x->shape.dim[i] : dims[i];
        if (s.dim[i] == -1 && infer_at < 0) infer_at = i;
        else if (s.dim[i] < 0 || !kf__mul_size(have, (size_t)s.dim[i], &have)) NODE_FAIL(c, "target shape is not valid");
    }
    if (infer_at >= 0) s.dim[infer_at] = have ? (int64_t)(total / have) : 0;
    size_t check;
    if (!kf__shape_count(&s, &check) || check != total) NODE_FAIL(c, "%zu elements cannot take the target shape", total);
    *out = s;
    return KF_OK;
}

static kf_status infer_squeeze(const ctx *c, kf__shape *out) {
    const kf__value *x = in_value(c, 0);
    bool unsqueeze = c->n->op == KF_OP_UNSQUEEZE, pick[KF_MAX_RANK] = {false};
    int64_t axes[KF_MAX_RANK];
    int n = c->n->attrs.n_axes;
    memcpy(axes, c->n->attrs.axes, sizeof axes);
    if (c->n->n_in > 1 && c->n->in[1] >= 0 && !const_ints(c, 1, axes, KF_MAX_RANK, &n)) return KF_OK;
    int rank = unsqueeze ? x->shape.rank + n : x->shape.rank;
    if (rank > KF_MAX_RANK) NODE_FAIL(c, "result has more than %d dimensions", KF_MAX_RANK);
    for (int i = 0; i < n; i++) {
        int ax = norm_axis(axes[i], rank);
        if (ax < 0 || ax >= rank) NODE_FAIL(c, "axis %lld is out of range", (long long)axes[i]);
        pick[ax] = true;
    }
    out->rank = 0;
    for (int i = 0, from = 0; i < rank; i++) {
        if (unsqueeze) out->dim[out->rank++] = pick[i] ? 1 : x->shape.dim[from++];
        else if (!(pick[i] || (n == 0 && x->shape.dim[i] == 1))) out->dim[out->rank++] = x->shape.dim[i];
    }
    return KF_OK;
}

static kf_status infer_concat(const ctx *c, kf__shape *out) {
    kf__shape s = in_value(c, 0)->shape;
    int ax = norm_axis(c->n->attrs.axis, s.rank);
    if (ax < 0 || ax >= s.rank) NODE_FAIL(c, "axis %d is out of range", c->n->attrs.axis);
    for (int k = 1; k < c->n->n_in; k++) {
        const kf__value *v = in_value(c, k);
        if (!known(v)) return KF_OK;
        if (v->shape.rank != s.rank) NODE_FAIL(c, "input %d has rank %d, not %d", k, v->shape.rank, s.rank);
        s.dim[ax] += v->shape.dim[ax];
    }
    *out = s;
    return KF_OK;
}

static kf_status infer_slice(const ctx *c, kf__shape *out) {
    const kf__value *x = in_value(c, 0);
    int64_t start[KF_MAX_RANK], end[KF_MAX_RANK], axes[KF_MAX_RANK], steps[KF_MAX_RANK];
    int n, ne, na = 0, ns = 0;
    if (!const_ints(c, 1, start, KF_MAX_RANK, &n) || !const_ints(c, 2, end, KF_MAX_RANK, &ne)) return KF_OK;
    if (c->n->n_in > 3 && c->n->in[3] >= 0 && !const_ints(c, 3, axes, KF_MAX_RANK, &na)) return KF_OK;
    if (c->n->n_in > 4 && c->n->in[4] >= 0 && !const_ints(c, 4, steps, KF_MAX_RANK, &ns)) return KF_OK;
    if (ne != n || (na && na != n) || (ns && ns != n)) NODE_FAIL(c, "starts, ends, axes and steps differ in length");
    *out = x->shape;
    for (int i = 0; i < n; i++) {
        int ax = na ? norm_axis(axes[i], x->shape.rank) : i;
        int64_t step = ns ? steps[i] : 1;
        if (ax < 0 || ax >= x->shape.rank || step == 0) NODE_FAIL(c, "axis or step is out of range");
        int64_t dim = x->shape.dim[ax], lo = step > 0 ? 0 : -1, hi = step > 0 ? dim : dim - 1;
        int64_t s = start[i] < 0 ? start[i] + dim : start[i], e = end[i] < -dim - 1 ? -1 : end[i] < 0 ? end[i] + dim : end[i];
        s = kf__max_i64(step > 0 ? 0 : lo, kf__min_i64(s, hi));
        e = kf__max_i64(lo, kf__min_i64(e, step > 0 ? dim : dim - 1));
        int64_t span = step > 0 ? e - s : s - e, mag = step > 0 ? step : -step;
        out->dim[ax] = span > 0 ? (span + mag - 1) / mag : 0;
    }
    return KF_OK;
}

static kf_status infer_pad(const ctx *c, kf__shape *out) {
    const kf__value *x = in_value(c, 0);
    int64_t pads[2 * KF_MAX_RANK];
    int n = c->n->attrs.n_axes;
    memcpy(pads, c->n->attrs.axes, sizeof pads);
    if (c->n->n_in > 1 && c->n->in[1] >= 0 && !const_ints(c, 1, pads, 2 * KF_MAX_RANK, &n)) return KF_OK;
    if (n != 2 * x->shape.rank) NODE_FAIL(c, "%d pads for rank %d", n, x->shape.rank);
    *out = x->shape;
    for (int i = 0; i < x->shape.rank; i++) {
        out->dim[i] += pads[i] + pads[i + x->shape.rank];
        if (out->dim[i] < 0) NODE_FAIL(c, "pads remove more than there is");
    }
    return KF_OK;
}

static kf_status infer_gather(const ctx *c, kf__shape *out) {
    const kf__value *x = in_value(c, 0), *i = in_value(c, 1);
    if (!known(i)) return KF_OK;
    int ax = norm_axis(c->n->attrs.axis, x->shape.rank);
    if (ax < 0 || ax >= x->shape.rank || x->shape.rank - 1 + i->shape.rank > KF_MAX_RANK) NODE_FAIL(c, "axis %d is out of range", c->n->attrs.axis);
    out->rank = 0;
    for (int k = 0; k < ax; k++) out->dim[out->rank++] = x->shape.dim[k];
    for (int k = 0; k < i->shape.rank; k++) out->dim[out->rank++] = i->shape.dim[k];
    for (int k = ax + 1; k < x->shape.rank; k++) out->dim[out->rank++] = x->shape.dim[k];
    return KF_OK;
}

static kf_status infer_transpose(const ctx *c, kf__shape *out) {
    const kf__value *x = in_value(c, 0);
    const kf__attrs *a = &c->n->attrs;
    int r = x->shape.rank;
    if (a->n_axes && a->n_axes != r) NODE_FAIL(c, "permutation of %d axes for rank %d", a->n_axes, r);
    out->rank = r;
    for (int i = 0; i < r; i++) {
        int64_t from = a->n_axes ? a->axes[i] : r - 1 - i;
        if (from < 0 || from >= r) NODE_FAIL(c, "permutation is out of range");
        out->dim[i] = x->shape.dim[from];
    }
    return KF_OK;
}

static kf_status infer_flatten(const ctx *c, kf__shape *out) {
    const kf__value *x = in_value(c, 0);
    int ax = norm_axis(c->n->attrs.axis, x->shape.rank);
    if (ax < 0 || ax > x->shape.rank) NODE_FAIL(c, "axis %d is out of range", c->n->attrs.axis);
    *out = kf__shape_make(2, (int64_t[]){1, 1});
    for (int i = 0; i < x->shape.rank; i++)
        if (__builtin_mul_overflow(out->dim[i >= ax], x->shape.dim[i], &out->dim[i >= ax])) NODE_FAIL(c, "the result is too large");
    return KF_OK;
}

/* Result shape given by a constant shape input (`from_input` 0 or 1), broadcast with input 0 for Expand. */
static kf_status infer_from_shape_input(const ctx *c, int k, kf__shape *out) {
    int64_t dims[KF_MAX_RANK];
    int n;
    if (!const_ints(c, k, dims, KF_MAX_RANK, &n)) return KF_OK;
    kf__shape s = kf__shape_make(n, dims);
    for (int i = 0; i < n; i++)
        if (dims[i] < 0) NODE_FAIL(c, "negative extent");
    if (c->n->op == KF_OP_EXPAND) return broadcast(c, &in_value(c, 0)->shape, &s, out);
    *out = s;
    return KF_OK;
}

/* Shape with the start and end of opset 15; end = 0 stands for "to the end" (import stores INT32_MAX as 0). */
static kf_status infer_shape(const ctx *c, kf__shape *out) {
    int r = in_value(c, 0)->shape.rank, lo = c->n->attrs.start, hi = c->n->attrs.end ? c->n->attrs.end : r;
    if (lo < 0) lo += r;
    if (hi < 0) hi += r;
    lo = lo < 0 ? 0 : lo;
    hi = hi > r ? r : hi;
    *out = kf__shape_make(1, (int64_t[]){hi > lo ? hi - lo : 0});
    return KF_OK;
}

static kf_status infer_range(const ctx *c, kf__shape *out) {
    int64_t v[3];
    int n;
    for (int k = 0; k < 3; k++)
        if (!const_ints(c, k, &v[k], 1, &n) || n != 1) return KF_OK; /* integer ranges only: shape arithmetic */
    if (v[2] == 0) NODE_FAIL(c, "step is 0");
    int64_t span = v[2] > 0 ? v[1] - v[0] : v[0] - v[1], mag = v[2] > 0 ? v[2] : -v[2];
    *out = kf__shape_make(1, (int64_t[]){span > 0 ? (span + mag - 1) / mag : 0});
    return KF_OK;
}

static kf_status infer_tile(const ctx *c, kf__shape *out) {
    int64_t repeats[KF_MAX_RANK];
    int n;
    if (!const_ints(c, 1, repeats, KF_MAX_RANK, &n)) return KF_OK;
    *out = in_value(c, 0)->shape;
    if (n != out->rank) NODE_FAIL(c, "%d repeats for rank %d", n, out->rank);
    for (int i = 0; i < n; i++)
        if (repeats[i] < 0 || __builtin_mul_overflow(out->dim[i], repeats[i], &out->dim[i])) NODE_FAIL(c, "repeats are out of range");
    return KF_OK;
}

/* Split sizes: input 1, attribute, or equal parts. The outputs differ, so they are set here; `out` stays unknown. */
static kf_status infer_split(const ctx *c, kf__shape *out) {
    const kf__value *x = in_value(c, 0);
    if (!known(x)) return KF_OK;
    int64_t sizes[64];
    int n = c->n->attrs.n_axes, ax = norm_axis(c->n->attrs.axis, x->shape.rank);
    if (ax < 0 || ax >= x->shape.rank || c->n->n_out > 64) NODE_FAIL(c, "axis or output count is out of range");
    for (int i = 0; i < n; i++) sizes[i] = c->n->attrs.axes[i];
    if (c->n->n_in > 1 && c->n->in[1] >= 0 && !const_ints(c, 1, sizes, 64, &n)) return KF_OK;
    int64_t dim = x->shape.dim[ax], part = (dim + c->n->n_out - 1) / c->n->n_out, used = 0;
    for (int k = 0; k < c->n->n_out; k++) {
        int64_t size = kf__min_i64(part, dim - used);
        if (n) size = k < n ? sizes[k] : -1;
        if (size < 0 || (used += size) > dim) NODE_FAIL(c, "the parts do not add up to %lld", (long long)dim);
        if (c->n->out[k] < 0) continue; /* nobody reads this part */
        kf__value *v = &c->g->values[c->n->out[k]];
        v->shape = x->shape;
        v->shape.dim[ax] = size;
    }
    return KF_OK;
}

/* One scale, or one for each index along the axis; the zero point has as many. */
static kf_status infer_linear(const ctx *c, kf__shape *out) {
    const kf__value *x = in_value(c, 0);
    int ax = norm_axis(c->n->attrs.axis, x->shape.rank);
    for (int k = 1; k <= 2; k++) {
        const kf__value *v = in_value(c, k);
        size_t n = 0;
        if (!known(v)) continue;
        bool vector = kf__shape_count(&v->shape, &n) && v->shape.rank == 1 && ax >= 0 && ax < x->shape.rank && (int64_t)n == x->shape.dim[ax];
        if (!(n == 1 && v->shape.rank <= 1) && !vector) NODE_FAIL(c, "input %d has %zu elements; 1, or one for each index of axis %d is needed", k, n, c->n->attrs.axis);
    }
    *out = x->shape;
    return KF_OK;
}

static kf_status infer_same(const ctx *c, kf__shape *out) {
    *out = in_value(c, 0)->shape;
    return KF_OK;
}

static kf_status infer_pool(const ctx *c, kf__shape *out) {
    const kf__shape *x = &in_value(c, 0)->shape;
    return infer_window(c, x->rank == 4 ? x->dim[1] : 0, out);
}

static kf_status infer_pixel(const ctx *c, kf__shape *out) {
    *out = in_value(c, 0)->shape;
    for (int i = 2; i < out->rank; i++) out->dim[i] = 1;
    return KF_OK;
}

static kf_status infer_se_gate(const ctx *c, kf__shape *out) {
    const kf__shape *x = &in_value(c, 0)->shape;
    *out = kf__shape_make(4, (int64_t[]){x->dim[0], x->dim[1], 1, 1});
    return KF_OK;
}

static kf_status infer_softmax(const ctx *c, kf__shape *out) {
    *out = in_value(c, 0)->shape;
    int ax = norm_axis(c->n->attrs.axis, out->rank);
    if (ax < 0 || ax >= out->rank) NODE_FAIL(c, "axis %d is out of range", c->n->attrs.axis);
    return KF_OK;
}

static kf_status infer_size(const ctx *c, kf__shape *out) {
    out->rank = 0;
    return KF_OK;
}

static kf_status infer_fill(const ctx *c, kf__shape *out) { return infer_from_shape_input(c, 0, out); }
static kf_status infer_expand(const ctx *c, kf__shape *out) { return infer_from_shape_input(c, 1, out); }

static kf_status infer_broadcast(const ctx *c, kf__shape *out) {
    *out = in_value(c, 0)->shape;
    for (int k = 1; k < c->n->n_in; k++) {
        kf__shape a = *out;
        if (!in_value(c, k)) continue;
        KF_TRY(broadcast(c, &a, &in_value(c, k)->shape, out));
    }
    return KF_OK;
}

static kf_status infer_where(const ctx *c, kf__shape *out) {
    kf__shape ab;
    if (!in_value(c, 1) || !in_value(c, 2)) return KF_OK;
    KF_TRY(broadcast(c, &in_value(c, 0)->shape, &in_value(c, 1)->shape, &ab));
    return broadcast(c, &ab, &in_value(c, 2)->shape, out);
}

/* One shape for all outputs; `out` arrives with rank -1, which says that it is not known yet. */
typedef kf_status infer_fn(const ctx *c, kf__shape *out);

static infer_fn *const INFER[KF_OP_COUNT] = {
#define KF_OP(id, name, least, most, role, attrs, shape, ...) infer_##shape,
#include "graph/ops.def"
#undef KF_OP
};

static kf_dtype dtype_of(const kf__value *v, kf_dtype otherwise) { return v ? v->dtype : otherwise; }

static kf_dtype infer_dtype(const ctx *c) {
    switch (kf__op_table[c->n->op].type) {
    case KF_TYPE_SAME: return dtype_of(in_value(c, 0), KF_DTYPE_NONE);
    case KF_TYPE_SECOND: return dtype_of(in_value(c, 1), KF_DTYPE_NONE);
    case KF_TYPE_STORED: return dtype_of(in_value(c, 2), KF_U8);
    case KF_TYPE_TO: return c->n->attrs.to;
    case KF_TYPE_F32: return KF_F32;
    case KF_TYPE_I64: return KF_I64;
    case KF_TYPE_BOOL: return KF_BOOL;
    }
    return KF_DTYPE_NONE;
}

static kf_status check_extents(const ctx *c, const kf__shape *s) {
    for (int i = 0; i < s->rank; i++)
        if (s->dim[i] < 0 || s->dim[i] > EXTENT_LIMIT) NODE_FAIL(c, "extent %lld of the result is out of range", (long long)s->dim[i]);
    return KF_OK;
}

kf_status kf__graph_infer(kf__graph *g, kf_error *err) { return kf__graph_infer_from(g, 0, err); }

kf_status kf__graph_infer_from(kf__graph *g, size_t first, kf_error *err) {
    for (size_t i = first; i < g->n_nodes; i++) {
        ctx c = {g, &g->nodes[i], err};
        kf__graph_looks++;
        if (c.n->dead) continue;
        kf__shape out = {.rank = -1};
        if (known(in_value(&c, 0))) KF_TRY(INFER[c.n->op](&c, &out));
        KF_TRY(check_extents(&c, &out));
        for (int k = 0; k < c.n->n_out; k++) {
            if (c.n->out[k] < 0) continue;
            kf__value *v = &g->values[c.n->out[k]];
            v->dtype = infer_dtype(&c);
            if (out.rank >= 0) v->shape = out;
        }
    }
    return KF_OK;
}
