/* Shape and dtype inference of every operator: what its operands must have in common, and what comes out. An unknown
 * shape has rank -1 and passes through, until constant folding knows more. Ranks and types of operands are checked
 * against operands.def before a function of this file runs, so required operands are present.
 * Owner rule: writes only into the values of the graph it is given. */
#include "graph/operands.h"

enum { MOST_TAPS = 1 << 24 }; /* of a window: a pooling node may give any size, since no weights have to match it */

typedef kf__inferring ctx;

#define in_value kf__operand
#define NODE_FAIL(c, ...) KF_NODE_FAIL(c, KF_ERR_SHAPE, __VA_ARGS__)

static bool known(const kf__value *v) { return v && v->shape.rank >= 0; }

/* Elements of an operand whose shape is known. */
static size_t count_of(const kf__value *v) {
    size_t n = 0;
    return kf__shape_count(&v->shape, &n) ? n : 0;
}

/* Operand k, if present and known, is a vector of `n`. i32 operands belong to the quantizer. */
static kf_status check_length(const ctx *c, int k, int64_t n) {
    const kf__value *v = in_value(c, k);
    if (known(v) && v->dtype == KF_F32 && (v->shape.rank != 1 || v->shape.dim[0] != n))
        NODE_FAIL(c, "input %d (%s) has %zu elements; %lld are needed", k, v->name, count_of(v), (long long)n);
    return KF_OK;
}

/* Operand k, if present and known, is one number. */
static kf_status check_single(const ctx *c, int k) {
    const kf__value *v = in_value(c, k);
    if (known(v) && count_of(v) != 1)
        NODE_FAIL(c, "input %d (%s) has %zu elements; one is needed", k, v->name, count_of(v));
    return KF_OK;
}

/* Operand k, if present and known, has this shape. */
static kf_status check_shape(const ctx *c, int k, const kf__shape *want) {
    const kf__value *v = in_value(c, k);
    char have[96], need[96];
    if (known(v) && !kf__shape_equal(&v->shape, want))
        NODE_FAIL(c, "input %d (%s) is %s; %s is needed", k, v->name, kf__shape_text(&v->shape, have, sizeof have),
                  kf__shape_text(want, need, sizeof need));
    return KF_OK;
}

/* Aligns the shapes at their last axes; an extent of 1 is repeated. */
static kf_status broadcast(const ctx *c, const kf__shape *a, const kf__shape *b, kf__shape *out) {
    if (a->rank < 0 || b->rank < 0) {
        out->rank = -1;
        return KF_OK;
    }
    out->rank = a->rank > b->rank ? a->rank : b->rank;
    for (int i = 0; i < out->rank; i++) {
        int ia = i - (out->rank - a->rank), ib = i - (out->rank - b->rank);
        int64_t da = ia < 0 ? 1 : a->dim[ia];
        int64_t db = ib < 0 ? 1 : b->dim[ib];
        if (da != db && da != 1 && db != 1) {
            char ta[96], tb[96];
            NODE_FAIL(c, "shapes %s and %s do not broadcast; check the model's input shape",
                      kf__shape_text(a, ta, sizeof ta), kf__shape_text(b, tb, sizeof tb));
        }
        out->dim[i] = da == 1 ? db : da;
    }
    return KF_OK;
}

/* An image without channels or pixels cannot be pooled or convolved; an empty batch is allowed. */
static kf_status check_pixels(const ctx *c) {
    const kf__shape *x = &in_value(c, 0)->shape;
    char text[96];
    for (int i = 1; i < x->rank; i++)
        if (x->dim[i] == 0) NODE_FAIL(c, "input 0 is %s, without a pixel", kf__shape_text(x, text, sizeof text));
    return KF_OK;
}

/* The result of a convolution or a pooling: [batch, channels, rows, columns]. */
static kf_status infer_window(const ctx *c, int64_t channels, bool ceil_mode, kf__shape *out) {
    const kf__value *x = in_value(c, 0);
    const kf__window *a = &c->n->attrs.window;
    KF_TRY(check_pixels(c));
    if ((int64_t)a->kh * a->kw > MOST_TAPS)
        KF_NODE_FAIL(c, KF_ERR_LIMIT, "window %dx%d has more than %d taps", a->kh, a->kw, MOST_TAPS);
    *out = kf__shape_make(4, (int64_t[]){x->shape.dim[0], channels, 0, 0});
    const kf__axis rows = kf__window_rows(a), columns = kf__window_columns(a);
    if (!kf__axis_extent(&rows, x->shape.dim[2], ceil_mode, &out->dim[2]) ||
        !kf__axis_extent(&columns, x->shape.dim[3], ceil_mode, &out->dim[3]))
        NODE_FAIL(c, "window %dx%d does not fit input %lldx%lld; use a larger input shape", a->kh, a->kw,
                  (long long)x->shape.dim[2], (long long)x->shape.dim[3]);
    return KF_OK;
}

/* Input 3, if there is one, is a residual that has the shape of the result. */
static kf_status infer_conv(const ctx *c, kf__shape *out) {
    const kf__value *x = in_value(c, 0), *w = in_value(c, 1);
    const kf__window *a = &c->n->attrs.window;
    if (!known(w)) return KF_OK;
    int64_t in_c = x->shape.dim[1], out_c = w->shape.dim[0];
    if (a->group < 1 || in_c % a->group || out_c % a->group)
        NODE_FAIL(c, "group %d does not divide %lld input and %lld output channels", a->group, (long long)in_c,
                  (long long)out_c);
    if (w->shape.dim[1] != in_c / a->group || w->shape.dim[2] != a->kh || w->shape.dim[3] != a->kw) {
        char tw[96], tx[96];
        NODE_FAIL(c, "weights %s do not fit input %s with group %d", kf__shape_text(&w->shape, tw, sizeof tw),
                  kf__shape_text(&x->shape, tx, sizeof tx), a->group);
    }
    KF_TRY(check_length(c, 2, out_c));
    KF_TRY(infer_window(c, out_c, false, out));
    return check_shape(c, 3, out);
}

/* C of Gemm is broadcast to the result, and never the other way round; the bias of FC is a vector. */
static kf_status check_addend(const ctx *c, const kf__shape *out) {
    const kf__value *v = in_value(c, 2);
    if (c->n->op == KF_OP_FC) return check_length(c, 2, out->dim[1]);
    for (int d = 0; known(v) && d < v->shape.rank; d++) {
        int64_t have = v->shape.dim[d], want = out->dim[2 - v->shape.rank + d];
        char tv[96], to[96];
        if (have != 1 && have != want)
            NODE_FAIL(c, "input 2 (%s) is %s, which does not broadcast to %s", v->name,
                      kf__shape_text(&v->shape, tv, sizeof tv), kf__shape_text(out, to, sizeof to));
    }
    return KF_OK;
}

static kf_status infer_matmul(const ctx *c, kf__shape *out) {
    const kf__value *a = in_value(c, 0), *b = in_value(c, 1);
    const kf__attrs *t = &c->n->attrs;
    if (!known(b)) return KF_OK;
    bool ta = c->n->op == KF_OP_GEMM && t->trans_a, tb = c->n->op == KF_OP_FC || (c->n->op == KF_OP_GEMM && t->trans_b);
    int64_t ka = a->shape.dim[!ta], kb = b->shape.dim[tb];
    if (ka != kb)
        NODE_FAIL(c, "inner sizes %lld and %lld differ; the input shape probably does not match the classifier",
                  (long long)ka, (long long)kb);
    *out = kf__shape_make(2, (int64_t[]){a->shape.dim[ta], b->shape.dim[!tb]});
    return check_addend(c, out);
}

/* Without axes, all axes are reduced, or none at all if the node says so. */
static kf_status infer_reduce(const ctx *c, kf__shape *out) {
    const kf__value *x = in_value(c, 0);
    kf__ints axes;
    bool have, drop[KF_MAX_RANK] = {false};
    KF_TRY(kf__operand_list(c, 1, KF_MOST_INTS, &axes, &have));
    if (!have) return KF_OK;
    KF_TRY(kf__operand_axes(c, &axes, x->shape.rank, drop));
    out->rank = 0;
    for (int i = 0; i < x->shape.rank; i++) {
        bool reduced = drop[i] || (axes.n == 0 && !c->n->attrs.noop);
        if (reduced && x->shape.dim[i] == 0 && c->n->op != KF_OP_REDUCE_SUM)
            NODE_FAIL(c, "axis %d has no elements, so there is no mean or largest one", i);
        if (reduced && !c->n->attrs.keepdims) continue;
        out->dim[out->rank++] = reduced ? 1 : x->shape.dim[i];
    }
    return KF_OK;
}

/* In the target, 0 copies an extent of the input, and a single -1 takes what is left. */
static kf_status infer_reshape(const ctx *c, kf__shape *out) {
    const kf__value *x = in_value(c, 0);
    kf__ints to;
    bool have;
    int infer_at = -1;
    KF_TRY(kf__operand_ints(c, 1, KF_MAX_RANK, &to, &have));
    if (!have) return KF_OK;
    size_t total = count_of(x), rest = 1, count;
    kf__shape s = {.rank = to.n};
    for (int i = 0; i < to.n; i++) {
        bool copy = to.v[i] == 0 && !c->n->attrs.allow_zero;
        if (copy && i >= x->shape.rank)
            NODE_FAIL(c, "extent %d of the target shape is 0; the input has rank %d", i, x->shape.rank);
        s.dim[i] = copy ? x->shape.dim[i] : to.v[i];
        if (s.dim[i] == -1 && infer_at < 0) infer_at = i;
        else if (s.dim[i] < 0 || !kf__mul_size(rest, (size_t)s.dim[i], &rest))
            NODE_FAIL(c, "extent %d of the target shape is %lld", i, (long long)s.dim[i]);
    }
    if (infer_at >= 0 && rest == 0) NODE_FAIL(c, "-1 in the target shape has no meaning beside an extent of 0");
    if (infer_at >= 0) s.dim[infer_at] = (int64_t)(total / rest);
    char text[96];
    if (!kf__shape_count(&s, &count) || count != total)
        NODE_FAIL(c, "%zu elements cannot take the target shape %s", total, kf__shape_text(&s, text, sizeof text));
    *out = s;
    return KF_OK;
}

/* Without axes, all axes with one element are dropped. */
static kf_status infer_squeeze(const ctx *c, kf__shape *out) {
    const kf__value *x = in_value(c, 0);
    kf__ints axes;
    bool have, pick[KF_MAX_RANK] = {false};
    KF_TRY(kf__operand_list(c, 1, KF_MOST_INTS, &axes, &have));
    if (!have) return KF_OK;
    if (axes.n == 0 && in_value(c, 1)) NODE_FAIL(c, "its list of axes is empty");
    KF_TRY(kf__operand_axes(c, &axes, x->shape.rank, pick));
    out->rank = 0;
    for (int i = 0; i < x->shape.rank; i++) {
        int64_t dim = x->shape.dim[i];
        if (pick[i] && dim != 1)
            NODE_FAIL(c, "axis %d has %lld elements; only axes of 1 element can be removed", i, (long long)dim);
        if (!(pick[i] || (axes.n == 0 && dim == 1))) out->dim[out->rank++] = dim;
    }
    return KF_OK;
}

/* The axes number the dimensions of the result, not of the input. */
static kf_status infer_unsqueeze(const ctx *c, kf__shape *out) {
    const kf__value *x = in_value(c, 0);
    kf__ints axes;
    bool have, pick[KF_MAX_RANK] = {false};
    KF_TRY(kf__operand_list(c, 1, KF_MOST_INTS, &axes, &have));
    if (!have) return KF_OK;
    int rank = x->shape.rank + axes.n;
    if (rank > KF_MAX_RANK)
        NODE_FAIL(c, "%d axes and rank %d give %d dimensions; at most %d are possible", axes.n, x->shape.rank, rank,
                  KF_MAX_RANK);
    KF_TRY(kf__operand_axes(c, &axes, rank, pick));
    out->rank = 0;
    for (int i = 0, from = 0; i < rank; i++) out->dim[out->rank++] = pick[i] ? 1 : x->shape.dim[from++];
    return KF_OK;
}

/* All extents agree except along the axis, where they add up. */
static kf_status infer_concat(const ctx *c, kf__shape *out) {
    kf__shape s = in_value(c, 0)->shape;
    int ax;
    KF_TRY(kf__operand_axis(c, c->n->attrs.axis, s.rank, &ax));
    for (int k = 1; k < c->n->n_in; k++) {
        const kf__value *v = in_value(c, k);
        if (!known(v)) return KF_OK;
        kf__shape fits = s;
        if (v->shape.rank == s.rank) fits.dim[ax] = v->shape.dim[ax];
        KF_TRY(check_shape(c, k, &fits));
        s.dim[ax] += v->shape.dim[ax]; /* cannot overflow: 64 extents of 2^40 at most */
    }
    *out = s;
    return KF_OK;
}

/* Axes and steps may be absent: then the first n axes, in steps of 1. */
static kf_status infer_slice(const ctx *c, kf__shape *out) {
    const kf__value *x = in_value(c, 0);
    kf__ints list[4]; /* starts, ends, axes, steps */
    bool have, pick[KF_MAX_RANK] = {false};
    for (int k = 0; k < 4; k++) {
        list[k].n = -1;
        if (k >= 2 && !in_value(c, k + 1)) continue;
        KF_TRY(kf__operand_ints(c, k + 1, KF_MOST_INTS, &list[k], &have));
        if (!have) return KF_OK;
    }
    int n = list[0].n;
    if (list[1].n != n || (list[2].n >= 0 && list[2].n != n) || (list[3].n >= 0 && list[3].n != n))
        NODE_FAIL(c, "starts, ends, axes and steps differ in length");
    for (int i = 0; list[2].n < 0 && i < n; i++) list[2].v[i] = i;
    list[2].n = n;
    KF_TRY(kf__operand_axes(c, &list[2], x->shape.rank, pick));
    *out = x->shape;
    for (int i = 0; i < n; i++) {
        int64_t first, step = list[3].n >= 0 ? list[3].v[i] : 1;
        int ax = (int)(list[2].v[i] < 0 ? list[2].v[i] + x->shape.rank : list[2].v[i]);
        if (step == 0) NODE_FAIL(c, "the step of axis %d is 0", ax);
        kf__slice_range(x->shape.dim[ax], list[0].v[i], list[1].v[i], step, &first, &out->dim[ax]);
    }
    return KF_OK;
}

/* Is there an element for each that an edge repeats or a mirror shows? What is cut off does not count. */
static kf_status check_reflected(const ctx *c, int axis, int64_t dim, int64_t before, int64_t after) {
    const bool reflected = c->n->attrs.mode == KF_PAD_REFLECT;
    const int64_t kept = dim + kf__min_i64(before, 0) + kf__min_i64(after, 0), most = before > after ? before : after;
    const int64_t least = reflected ? most + 1 : 1;
    if (c->n->attrs.mode == KF_PAD_VALUE || most <= 0 || kept >= least) return KF_OK;
    NODE_FAIL(c, "%lld pads of axis %d by %s need %lld elements, and it has %lld", (long long)most, axis,
              reflected ? "reflection" : "edge", (long long)least, (long long)kept);
}

/* Pads list all starts, then all ends. Negative ones cut elements off. */
static kf_status infer_pad(const ctx *c, kf__shape *out) {
    const kf__value *x = in_value(c, 0);
    kf__ints pads;
    bool have;
    int r = x->shape.rank;
    KF_TRY(check_single(c, 2));
    KF_TRY(kf__operand_list(c, 1, KF_MOST_INTS, &pads, &have));
    if (!have) return KF_OK;
    if (pads.n != 2 * r) NODE_FAIL(c, "%d pads for rank %d", pads.n, r);
    *out = x->shape;
    for (int i = 0; i < r; i++) {
        out->dim[i] += pads.v[i] + pads.v[i + r]; /* each at most 2^40 */
        if (out->dim[i] < 0 || x->shape.dim[i] + kf__min_i64(pads.v[i], pads.v[i + r]) < 0)
            NODE_FAIL(c, "pads of axis %d remove more than there is", i);
        KF_TRY(check_reflected(c, i, x->shape.dim[i], pads.v[i], pads.v[i + r]));
    }
    return KF_OK;
}

static kf_status infer_gather(const ctx *c, kf__shape *out) {
    const kf__value *x = in_value(c, 0), *i = in_value(c, 1);
    int ax, rank = x->shape.rank - 1 + i->shape.rank;
    if (!known(i)) return KF_OK;
    KF_TRY(kf__operand_axis(c, c->n->attrs.axis, x->shape.rank, &ax));
    if (rank > KF_MAX_RANK) NODE_FAIL(c, "the result has %d dimensions; at most %d are possible", rank, KF_MAX_RANK);
    out->rank = 0;
    for (int k = 0; k < ax; k++) out->dim[out->rank++] = x->shape.dim[k];
    for (int k = 0; k < i->shape.rank; k++) out->dim[out->rank++] = i->shape.dim[k];
    for (int k = ax + 1; k < x->shape.rank; k++) out->dim[out->rank++] = x->shape.dim[k];
    return KF_OK;
}

/* Without a permutation, the axes are reversed. */
static kf_status infer_transpose(const ctx *c, kf__shape *out) {
    const kf__value *x = in_value(c, 0);
    const kf__attrs *a = &c->n->attrs;
    bool taken[KF_MAX_RANK] = {false};
    int r = x->shape.rank;
    if (a->n_axes && a->n_axes != r) NODE_FAIL(c, "permutation of %d axes for rank %d", a->n_axes, r);
    out->rank = r;
    for (int i = 0; i < r; i++) {
        int64_t from = a->n_axes ? a->axes[i] : r - 1 - i;
        if (from < 0 || from >= r || taken[from])
            NODE_FAIL(c, "%lld in the permutation is out of range or repeated", (long long)from);
        taken[from] = true;
        out->dim[i] = x->shape.dim[from];
    }
    return KF_OK;
}

static kf_status infer_flatten(const ctx *c, kf__shape *out) {
    const kf__value *x = in_value(c, 0);
    int ax = c->n->attrs.axis;
    if (ax != x->shape.rank) KF_TRY(kf__operand_axis(c, c->n->attrs.axis, x->shape.rank, &ax));
    *out = kf__shape_make(2, (int64_t[]){1, 1});
    for (int i = 0; i < x->shape.rank; i++)
        out->dim[i >= ax] *= x->shape.dim[i]; /* cannot overflow: both are factors of a product that fits */
    return KF_OK;
}

/* Result shape given by a constant shape input `k`, broadcast with input 0 for Expand. */
static kf_status infer_from_shape_input(const ctx *c, int k, kf__shape *out) {
    kf__ints dims;
    bool have;
    KF_TRY(kf__operand_ints(c, k, KF_MAX_RANK, &dims, &have));
    if (!have) return KF_OK;
    kf__shape s = kf__shape_make(dims.n, dims.v);
    for (int i = 0; i < dims.n; i++)
        if (dims.v[i] < 0) NODE_FAIL(c, "extent %d of input %d is %lld", i, k, (long long)dims.v[i]);
    if (c->n->op == KF_OP_EXPAND) return broadcast(c, &in_value(c, 0)->shape, &s, out);
    *out = s;
    return KF_OK;
}

static kf_status infer_shape(const ctx *c, kf__shape *out) {
    int first;
    *out = kf__shape_make(1, (int64_t[]){kf__shape_query(&c->n->attrs, in_value(c, 0)->shape.rank, &first)});
    return KF_OK;
}

/* Integer ranges only: shape arithmetic. */
static kf_status infer_range(const ctx *c, kf__shape *out) {
    int64_t v[3], span, n;
    for (int k = 0; k < 3; k++) {
        const kf__value *x = in_value(c, k);
        KF_TRY(check_single(c, k));
        if (!known(x) || !x->data || (x->dtype != KF_I64 && x->dtype != KF_I32)) return KF_OK;
        v[k] = x->dtype == KF_I64 ? *(const int64_t *)x->data : *(const int32_t *)x->data;
    }
    if (v[2] == 0) NODE_FAIL(c, "the step is 0");
    if (v[2] == INT64_MIN || __builtin_sub_overflow(v[v[2] > 0], v[v[2] < 0], &span))
        NODE_FAIL(c, "from %lld to %lld is out of range", (long long)v[0], (long long)v[1]);
    int64_t by = v[2] > 0 ? v[2] : -v[2];
    n = span > 0 ? (span - 1) / by + 1 : 0;
    *out = kf__shape_make(1, &n);
    return KF_OK;
}

static kf_status infer_tile(const ctx *c, kf__shape *out) {
    kf__ints repeats;
    bool have;
    KF_TRY(kf__operand_ints(c, 1, KF_MAX_RANK, &repeats, &have));
    if (!have) return KF_OK;
    *out = in_value(c, 0)->shape;
    if (repeats.n != out->rank) NODE_FAIL(c, "%d repeats for rank %d", repeats.n, out->rank);
    for (int i = 0; i < repeats.n; i++)
        if (repeats.v[i] < 0 || __builtin_mul_overflow(out->dim[i], repeats.v[i], &out->dim[i]))
            NODE_FAIL(c, "repeats of axis %d are out of range: %lld", i, (long long)repeats.v[i]);
    return KF_OK;
}

/* Sizes of the parts: input 1, an attribute, or equal ones, of which the last may be smaller from opset 18 on. */
static kf_status split_sizes(const ctx *c, int64_t dim, kf__ints *sizes, bool *have) {
    int parts = c->n->n_out;
    KF_TRY(kf__operand_list(c, 1, KF_MOST_INTS, sizes, have));
    if (!*have) return KF_OK;
    if (sizes->n == 0 && !in_value(c, 1)) {
        int64_t part = (dim + parts - 1) / parts;
        if (dim % parts && (!c->n->attrs.num_outputs || dim < part * (parts - 1)))
            NODE_FAIL(c, "%lld elements cannot be split into %d parts", (long long)dim, parts);
        for (int k = 0; k < parts; k++) sizes->v[k] = kf__min_i64(part, dim - part * k);
        sizes->n = parts;
    }
    int64_t sum = 0;
    for (int k = 0; k < sizes->n; k++) {
        if (sizes->v[k] < 0) NODE_FAIL(c, "part %d has a size of %lld", k, (long long)sizes->v[k]);
        sum += sizes->v[k]; /* 64 of at most 2^40 */
    }
    if (sizes->n != parts || sum != dim)
        NODE_FAIL(c, "%d sizes with a sum of %lld do not give %d parts of %lld", sizes->n, (long long)sum, parts,
                  (long long)dim);
    return KF_OK;
}

/* The outputs differ, so they are set here; `out` stays unknown. */
static kf_status infer_split(const ctx *c, kf__shape *out) {
    const kf__value *x = in_value(c, 0);
    kf__ints sizes;
    bool have;
    int ax;
    KF_TRY(kf__operand_axis(c, c->n->attrs.axis, x->shape.rank, &ax));
    KF_TRY(split_sizes(c, x->shape.dim[ax], &sizes, &have));
    for (int k = 0; have && k < c->n->n_out; k++) {
        if (c->n->out[k] < 0) continue; /* no node reads this part */
        kf__value *v = &c->g->values[c->n->out[k]];
        v->shape = x->shape;
        v->shape.dim[ax] = sizes.v[k];
    }
    return KF_OK;
}

/* One scale, or one for each index along the axis; the zero point has as many. */
static kf_status infer_linear(const ctx *c, kf__shape *out) {
    const kf__value *x = in_value(c, 0), *scale = in_value(c, 1);
    int r = x->shape.rank, ax = c->n->attrs.axis + (c->n->attrs.axis < 0 ? r : 0);
    for (int k = 1; k <= 2; k++) {
        const kf__value *v = in_value(c, k);
        if (!known(v)) continue;
        bool vector = v->shape.rank == 1 && ax >= 0 && ax < r && v->shape.dim[0] == x->shape.dim[ax];
        if (count_of(v) != 1 && !vector)
            NODE_FAIL(c, "input %d (%s) has %zu elements; 1, or one for each index of axis %d is needed", k, v->name,
                      count_of(v), c->n->attrs.axis);
    }
    if (known(scale) && known(in_value(c, 2)) && count_of(scale) != count_of(in_value(c, 2)))
        NODE_FAIL(c, "%zu scales and %zu zero points", count_of(scale), count_of(in_value(c, 2)));
    *out = x->shape;
    return KF_OK;
}

static kf_status infer_same(const ctx *c, kf__shape *out) {
    *out = in_value(c, 0)->shape;
    return KF_OK;
}

static kf_status infer_batch_norm(const ctx *c, kf__shape *out) {
    *out = in_value(c, 0)->shape;
    for (int k = 1; k <= 4; k++) KF_TRY(check_length(c, k, out->dim[1]));
    return KF_OK;
}

static kf_status infer_clip(const ctx *c, kf__shape *out) {
    *out = in_value(c, 0)->shape;
    KF_TRY(check_single(c, 1));
    return check_single(c, 2);
}

static kf_status infer_scale(const ctx *c, kf__shape *out) {
    *out = in_value(c, 0)->shape;
    kf__shape gate = kf__shape_make(4, (int64_t[]){out->dim[0], out->dim[1], 1, 1});
    return check_shape(c, 1, &gate);
}

static kf_status infer_pool(const ctx *c, kf__shape *out) {
    return infer_window(c, in_value(c, 0)->shape.dim[1], c->n->attrs.ceil_mode != 0, out);
}

static kf_status infer_pixel(const ctx *c, kf__shape *out) {
    KF_TRY(check_pixels(c));
    *out = in_value(c, 0)->shape;
    for (int i = 2; i < out->rank; i++) out->dim[i] = 1;
    return KF_OK;
}

static kf_status infer_se_gate(const ctx *c, kf__shape *out) {
    const kf__shape *x = &in_value(c, 0)->shape, *w = &in_value(c, 1)->shape;
    KF_TRY(check_pixels(c));
    *out = kf__shape_make(4, (int64_t[]){x->dim[0], x->dim[1], 1, 1});
    if (w->rank < 0) return KF_OK;
    kf__shape squeeze = kf__shape_make(2, (int64_t[]){w->dim[0], x->dim[1]});
    kf__shape excite = kf__shape_make(2, (int64_t[]){x->dim[1], w->dim[0]});
    KF_TRY(check_shape(c, 1, &squeeze));
    KF_TRY(check_length(c, 2, w->dim[0]));
    KF_TRY(check_shape(c, 3, &excite));
    return check_length(c, 4, x->dim[1]);
}

static kf_status infer_softmax(const ctx *c, kf__shape *out) {
    int ax;
    *out = in_value(c, 0)->shape;
    return kf__operand_axis(c, c->n->attrs.axis, out->rank, &ax);
}

/* The index of the largest, or smallest, along one axis. */
static kf_status infer_arg(const ctx *c, kf__shape *out) {
    const kf__shape *x = &in_value(c, 0)->shape;
    int ax;
    KF_TRY(kf__operand_axis(c, c->n->attrs.axis, x->rank, &ax));
    if (x->dim[ax] == 0) NODE_FAIL(c, "axis %d has no elements", ax);
    out->rank = 0;
    for (int i = 0; i < x->rank; i++)
        if (i != ax || c->n->attrs.keepdims) out->dim[out->rank++] = i == ax ? 1 : x->dim[i];
    return KF_OK;
}

/* The k largest, or smallest, along one axis; k is an operand, or an attribute before opset 10. */
static kf_status infer_top_k(const ctx *c, kf__shape *out) {
    const kf__shape *x = &in_value(c, 0)->shape;
    kf__ints k;
    bool have;
    int ax;
    KF_TRY(kf__operand_axis(c, c->n->attrs.axis, x->rank, &ax));
    KF_TRY(kf__operand_list(c, 1, 1, &k, &have));
    if (!have) return KF_OK;
    if (k.n != 1 || k.v[0] < 0 || k.v[0] > x->dim[ax])
        NODE_FAIL(c, "k is %lld; axis %d has %lld elements", k.n ? (long long)k.v[0] : -1, ax, (long long)x->dim[ax]);
    *out = *x;
    out->dim[ax] = k.v[0];
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
        KF_TRY(broadcast(c, &a, &in_value(c, k)->shape, out));
    }
    return KF_OK;
}

/* The slope is broadcast to the input, never the other way round. */
static kf_status infer_prelu(const ctx *c, kf__shape *out) {
    const kf__value *x = in_value(c, 0), *slope = in_value(c, 1);
    char tx[96], ts[96];
    kf__shape both;
    if (!known(slope)) return KF_OK;
    KF_TRY(broadcast(c, &x->shape, &slope->shape, &both));
    if (!kf__shape_equal(&both, &x->shape))
        NODE_FAIL(c, "a slope of shape %s does not broadcast to %s", kf__shape_text(&slope->shape, ts, sizeof ts),
                  kf__shape_text(&x->shape, tx, sizeof tx));
    *out = x->shape;
    return KF_OK;
}

static kf_status infer_where(const ctx *c, kf__shape *out) {
    kf__shape ab;
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

/* Sizes that no machine holds end here, so nothing behind can overflow. */
static kf_status check_extents(const ctx *c, const kf__shape *s) {
    char text[200];
    if (s->rank >= 0 && !kf__graph_shape_fits(s))
        KF_NODE_FAIL(c, KF_ERR_LIMIT, "the result would be %s; at most %lld elements are possible",
                     kf__shape_text(s, text, sizeof text), (long long)KF_MOST_ELEMENTS);
    return KF_OK;
}

/* The shape rule runs only if the first input's shape is known. */
static kf_status infer_node(kf__graph *g, kf__node *n, kf_error *err) {
    ctx c = {g, n, err};
    kf__shape out = {.rank = -1};
    KF_TRY(kf__operands_check(&c));
    if (known(in_value(&c, 0))) KF_TRY(INFER[n->op](&c, &out));
    KF_TRY(check_extents(&c, &out));
    int computed = n->op == KF_OP_SPLIT || n->op == KF_OP_TOP_K ? n->n_out : 1;
    for (int k = 0; k < computed; k++) {
        if (n->out[k] < 0) continue;
        kf__value *v = &g->values[n->out[k]];
        v->dtype = n->op == KF_OP_TOP_K && k == 1 ? KF_I64 : infer_dtype(&c);
        if (out.rank >= 0) v->shape = out;
    }
    return KF_OK;
}

kf_status kf__graph_infer(kf__graph *g, kf_error *err) { return kf__graph_infer_from(g, 0, err); }

kf_status kf__graph_infer_from(kf__graph *g, size_t first, kf_error *err) {
    for (size_t i = first; i < g->n_nodes; i++) {
        kf__graph_looks++;
        if (!g->nodes[i].dead) KF_TRY(infer_node(g, &g->nodes[i], err));
    }
    return KF_OK;
}
