/* Nodes that only move numbers as one step. By strides, out[n, h, w, c] is in[base + n a + h b + w c + c d]; where an
 * axis has places of unequal distance, by lists of the places of rows, columns and channels in an image.
 * Owner rule: see lower.h. */
#include "graph/operands.h"
#include "lower/lower_private.h"

/* Where the result's axes begin and go in the input, in elements of the input as a program stores it. */
typedef struct places {
    int64_t base, step[KF_MAX_RANK];
} places;

/* What the place of each axis of a graph's tensor costs in [N, H, W, C]; 0: it has none. */
static void strides(const kf__shape *s, int64_t to[KF_MAX_RANK]) {
    const int64_t c = s->rank > 1 ? s->dim[1] : 1;
    const int64_t w = s->rank > 2 ? s->dim[s->rank - 1] : 1;
    const int64_t h = s->rank > 3 ? s->dim[2] : 1;
    const int64_t rank4[] = {h * w * c, 1, w * c, c}, rank3[] = {w * c, 1, c};
    for (int k = 0; k < KF_MAX_RANK; k++) to[k] = 0;
    for (int k = 0; k < s->rank && k < 4; k++) to[k] = s->rank == 4 ? rank4[k] : rank3[k];
}

static bool int_at(const kf__graph *g, kf__vid v, size_t i, int64_t *out) {
    const kf__value *c = v >= 0 ? &g->values[v] : NULL;
    if (!c || !c->data || (c->dtype != KF_I64 && c->dtype != KF_I32)) return false;
    if (i >= c->bytes / kf_dtype_size(c->dtype)) return false;
    *out = c->dtype == KF_I64 ? ((const int64_t *)c->data)[i] : ((const int32_t *)c->data)[i];
    return true;
}

static bool of_slice(const kf__graph *g, const kf__node *n, const int64_t *step, places *p) {
    const kf__shape *x = &g->values[n->in[0]].shape;
    int64_t start, end;
    for (size_t i = 0; int_at(g, n->in[1], i, &start); i++) {
        int64_t axis = (int64_t)i, by = 1, first, count;
        if (!int_at(g, n->in[2], i, &end) || (n->n_in > 3 && n->in[3] >= 0 && !int_at(g, n->in[3], i, &axis)))
            return false;
        if (n->n_in > 4 && n->in[4] >= 0 && !int_at(g, n->in[4], i, &by)) return false;
        if (axis < 0) axis += x->rank;
        if (by == 0 || axis < 0 || axis >= x->rank) return false;
        kf__slice_range(x->dim[axis], start, end, by, &first, &count);
        p->base += first * step[axis];
        p->step[axis] = count > 1 ? step[axis] * by : 0;
    }
    return g->values[n->in[1]].data != NULL;
}

/* Indices of equal distance. A single one without a list drops the axis. */
static bool of_gather(const kf__graph *g, const kf__node *n, const int64_t *step, places *p) {
    const kf__shape *x = &g->values[n->in[0]].shape, *list = &g->values[n->in[1]].shape;
    const int axis = n->attrs.axis < 0 ? n->attrs.axis + x->rank : n->attrs.axis;
    int64_t first, before, next, by = 0;
    if (list->rank > 1 || !int_at(g, n->in[1], 0, &first)) return false;
    if (first < 0) first += x->dim[axis];
    before = first;
    for (size_t i = 1; int_at(g, n->in[1], i, &next); i++, before = next) {
        if (next < 0) next += x->dim[axis];
        if (i > 1 && next - before != by) return false;
        by = next - before;
    }
    p->base = first * step[axis];
    p->step[axis] = by * step[axis];
    for (int k = axis; list->rank == 0 && k + 1 < KF_MAX_RANK; k++) p->step[k] = step[k + 1];
    return true;
}

/* The graph's axes that are n, h, w and c in a program, by rank, from 2 on. */
static const int AXES[3][4] = {{0, -1, -1, 1}, {0, -1, 2, 1}, {0, 2, 3, 1}};

/* The place along axis k of the input that element i of the result has. */
static int64_t listed(const kf__graph *g, const kf__node *n, int k, int64_t i) {
    const kf__shape *x = &g->values[n->in[0]].shape;
    int64_t at = 0;
    if (n->op == KF_OP_PAD) return kf__pad_from(n->attrs.mode, i, n->attrs.axes[k], x->dim[k]);
    if (k != (n->attrs.axis < 0 ? n->attrs.axis + x->rank : n->attrs.axis)) return i;
    int_at(g, n->in[1], (size_t)i, &at);
    return at < 0 ? at + x->dim[k] : at;
}

/* Is every element one of the same image, by constant lists for its axes? */
static bool lists_places(const kf__graph *g, const kf__node *n) {
    const kf__shape *x = &g->values[n->in[0]].shape, *y = &g->values[n->out[0]].shape;
    int64_t first;
    if (x->rank < 2 || x->rank > 4 || y->rank != x->rank || x->dim[0] != y->dim[0]) return false;
    if (n->op == KF_OP_GATHER) return n->attrs.axis != 0 && n->attrs.axis != -x->rank && int_at(g, n->in[1], 0, &first);
    if (n->op != KF_OP_PAD || n->attrs.n_axes != 2 * x->rank || n->attrs.axes[0] || n->attrs.axes[x->rank])
        return false;
    for (int k = 0; k < n->attrs.n_axes; k++)
        if (n->attrs.mode == KF_PAD_VALUE && n->attrs.axes[k] > 0) return false;
    return true;
}

static bool places_of(const kf__graph *g, const kf__node *n, places *p) {
    const kf__shape *x = &g->values[n->in[0]].shape;
    int64_t step[KF_MAX_RANK];
    if (x->rank < 1 || x->rank > 4) return false;
    strides(x, step);
    *p = (places){0};
    memcpy(p->step, step, sizeof step);
    if (n->op == KF_OP_SLICE) return of_slice(g, n, step, p);
    if (n->op == KF_OP_GATHER) return of_gather(g, n, step, p);
    for (int k = 0; k < x->rank; k++) p->step[k] = step[n->attrs.n_axes ? n->attrs.axes[k] : x->rank - 1 - k];
    return true;
}

const char *kf__lower_verdict_move(const kf__graph *g, const kf__node *n) {
    const int rank = g->values[n->in[0]].shape.rank;
    places p;
    if (rank < 2 || rank > 4) return "its input has a rank other than 2, 3 or 4";
    if (places_of(g, n, &p) || lists_places(g, n)) return NULL;
    if (n->op == KF_OP_GATHER) return "its indices are computed, or have no equal distance, and no layer takes them";
    return "where it begins or ends is computed at run time";
}

/* base, then the strides of n, h, w and c of the output. */
kf_status kf__lower_move(lowering *l, const kf__node *n, kf__step *s) {
    const kf__shape *y = &l->g->values[n->out[0]].shape, five = kf__shape_make(1, (int64_t[]){5});
    int32_t *to = kf__arena_array(&l->p->arena, 5, sizeof *to);
    places p;
    if (!to) KF_FAIL_MEMORY(l->err, 20);
    if (lists_places(l->g, n) && !places_of(l->g, n, &p)) return kf__lower_pick(l, n, s);
    if (!places_of(l->g, n, &p) || y->rank < 2 || y->rank > 4)
        KF_FAIL(l->err, KF_ERR_INTERNAL, "%s: no step of strides", n->name);
    for (int i = 0; i < 5; i++) {
        const int axis = i ? AXES[y->rank - 2][i - 1] : -1;
        int64_t v = axis < 0 ? 0 : p.step[axis];
        if (i == 0) v = p.base;
        if (axis >= 0 && y->dim[axis] == 1) v = 0;
        if (v < INT32_MIN || v > INT32_MAX)
            KF_FAIL(l->err, KF_ERR_LIMIT, "%s: a stride of %lld elements; at most %d are possible", n->name,
                    (long long)v, INT32_MAX);
        to[i] = (int32_t)v;
    }
    s->window = (kf__window){0};
    s->consts[KF_CONST_W] = kf__lower_const(l, n->name, "places", KF_I32, &five, to);
    if (s->consts[KF_CONST_W] < 0) KF_FAIL_MEMORY(l->err, 20);
    return KF_OK;
}

const char *kf__lower_verdict_pick(const kf__graph *g, const kf__node *n) {
    const kf__attrs *a = &n->attrs;
    const int rank = g->values[n->in[0]].shape.rank;
    if (lists_places(g, n)) return NULL;
    if (rank < 2 || rank > 4 || a->n_axes != 2 * rank) return "its amounts are computed, or its rank is not 2, 3 or 4";
    if (a->mode != KF_PAD_VALUE || a->axes[0] || a->axes[rank]) return "it pads the batch";
    return "it pads channels with a value, or more than 4096 rows or columns";
}

/* The place of each row, column and channel of an image. */
kf_status kf__lower_pick(lowering *l, const kf__node *n, kf__step *s) {
    const kf__shape *x = &l->g->values[n->in[0]].shape, *y = &l->g->values[n->out[0]].shape;
    const int *axes = AXES[y->rank - 2];
    int64_t step[KF_MAX_RANK], count = 0, at = 0;
    for (int i = 1; i < 4; i++) count += axes[i] < 0 ? 1 : y->dim[axes[i]];
    int32_t *to = kf__arena_array(&l->p->arena, (size_t)count, sizeof *to);
    if (!to) KF_FAIL_MEMORY(l->err, (size_t)count * sizeof *to);
    strides(x, step);
    for (int i = 1; i < 4; i++) {
        for (int64_t k = 0; axes[i] >= 0 && k < y->dim[axes[i]]; k++) {
            const int64_t v = listed(l->g, n, axes[i], k) * step[axes[i]];
            if (v > INT32_MAX)
                KF_FAIL(l->err, KF_ERR_LIMIT, "%s: an element %lld places away; at most %d are possible", n->name,
                        (long long)v, INT32_MAX);
            to[at++] = (int32_t)v;
        }
        if (axes[i] < 0) to[at++] = 0;
    }
    const kf__shape list = kf__shape_make(1, &count);
    s->op = KF_STEP_PICK;
    s->window = (kf__window){0};
    s->consts[KF_CONST_W] = kf__lower_const(l, n->name, "places", KF_I32, &list, to);
    if (s->consts[KF_CONST_W] < 0) KF_FAIL_MEMORY(l->err, 20);
    return KF_OK;
}

/* A vector in the order of ONNX becomes the node's output. */
kf_status kf__lower_unfold(lowering *l, const kf__node *n, kf__step *s) {
    const kf__shape *y = &l->g->values[n->out[0]].shape, five = kf__shape_make(1, (int64_t[]){5});
    const int64_t c = y->rank > 1 ? y->dim[1] : 1;
    const int64_t h = y->rank > 3 ? y->dim[2] : 1;
    const int64_t w = y->rank > 2 ? y->dim[y->rank - 1] : 1;
    int32_t *to = kf__arena_array(&l->p->arena, 5, sizeof *to);
    if (!to) KF_FAIL_MEMORY(l->err, 20);
    if (c * h * w > INT32_MAX)
        KF_FAIL(l->err, KF_ERR_LIMIT, "%s: an image of more than %d numbers", n->name, INT32_MAX);
    to[1] = (int32_t)(c * h * w), to[2] = (int32_t)w, to[3] = 1, to[4] = (int32_t)(h * w);
    s->window = (kf__window){0};
    s->consts[KF_CONST_W] = kf__lower_const(l, n->name, "places", KF_I32, &five, to);
    if (s->consts[KF_CONST_W] < 0) KF_FAIL_MEMORY(l->err, 20);
    return KF_OK;
}
