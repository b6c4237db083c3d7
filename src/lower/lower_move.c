/* Nodes that only move numbers as one step of strides: out[n, h, w, c] is in[base + n a + h b + w c + c d].
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
    if (places_of(g, n, &p)) return NULL;
    if (n->op == KF_OP_GATHER) return "its indices are computed, or have no equal distance, and no layer takes them";
    return "where it begins or ends is computed at run time";
}

/* base, then the strides of n, h, w and c of the output. */
kf_status kf__lower_move(lowering *l, const kf__node *n, kf__step *s) {
    const kf__shape *y = &l->g->values[n->out[0]].shape, five = kf__shape_make(1, (int64_t[]){5});
    static const int AXES[3][4] = {{0, -1, -1, 1}, {0, -1, 2, 1}, {0, 2, 3, 1}}; /* by rank, from 2 on */
    int32_t *to = kf__arena_array(&l->p->arena, 5, sizeof *to);
    places p;
    if (!to) KF_FAIL_MEMORY(l->err, 20);
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
