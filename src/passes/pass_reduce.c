/* Reductions that are no global pool yet: over one axis of an image, over channels, one after the other, behind a
 * change of rank. Pools, convolutions of one tap and views compute the same.
 * Owner rule: added nodes, values and weights belong to the graph. */
#include "passes/chain.h"

#include <math.h>

static bool is_reduction(const kf__graph *g, const kf__node *n) {
    if (n->op != KF_OP_REDUCE_MEAN && n->op != KF_OP_REDUCE_SUM && n->op != KF_OP_REDUCE_MAX) return false;
    bool known = kf__match_in(n, 1) < 0 || kf__match_is_const(g, n->in[1]);
    return known && g->values[n->out[0]].dtype == KF_F32 && g->values[n->in[0]].shape.rank > 0 &&
           g->values[n->out[0]].shape.rank >= 0;
}

/* Which axes it reduces; those of one element do not count. */
static void picked(const kf__graph *g, const kf__node *n, bool pick[KF_MAX_RANK]) {
    const kf__shape *x = &g->values[n->in[0]].shape;
    const bool all = n->attrs.n_axes == 0 && !n->attrs.noop;
    for (int i = 0; i < KF_MAX_RANK; i++) pick[i] = i < x->rank && all;
    for (int i = 0; i < n->attrs.n_axes; i++) {
        const int64_t ax = n->attrs.axes[i];
        pick[ax < 0 ? ax + x->rank : ax] = true;
    }
    for (int i = 0; i < x->rank; i++) pick[i] = pick[i] && x->dim[i] != 1;
}

/* A reduction of the same kind before it, which nobody else reads, joins it: a mean of means of equally many elements
 * is their mean. */
static bool behind_reduction(const kf__graph *g, kf__op op, kf__vid v, bool pick[KF_MAX_RANK], kf__vid *x) {
    const kf__node *p = kf__match_producer(g, v, op);
    bool before[KF_MAX_RANK], carried[KF_MAX_RANK];
    if (!p || !is_reduction(g, p) || !kf__match_single(g, v)) return false;
    picked(g, p, before);
    kf__shape kept = g->values[p->in[0]].shape;
    for (int i = 0; i < kept.rank; i++) kept.dim[i] = before[i] ? 1 : kept.dim[i];
    if (!kf__chain_carry(&kept, &g->values[v].shape, pick, carried)) return false;
    for (int i = 0; i < KF_MAX_RANK; i++) pick[i] = before[i] || carried[i];
    *x = p->in[0];
    return true;
}

/* The mean or the largest of the picked axes of H and W, as a pool. */
static kf_status pool(kf__chain *c, bool most, bool rows, bool columns) {
    kf__shape out = *kf__chain_shape(c);
    kf__node *n;
    const int64_t h = rows ? out.dim[2] : 1;
    const int64_t w = columns ? out.dim[3] : 1;
    const bool whole = h == out.dim[2] && w == out.dim[3];
    out.dim[2] /= h, out.dim[3] /= w;
    if (whole && !most) return kf__chain_link(c, KF_OP_GLOBAL_AVG_POOL, KF_NO_VALUE, &out, NULL);
    KF_TRY(kf__chain_link(c, most ? KF_OP_MAX_POOL : KF_OP_AVG_POOL, KF_NO_VALUE, &out, &n));
    n->attrs.window.kh = n->attrs.window.sh = (int32_t)h;
    n->attrs.window.kw = n->attrs.window.sw = (int32_t)w;
    return KF_OK;
}

static kf_status tap_of(kf__chain *c, bool depthwise, float factor) {
    const int64_t channels = kf__chain_shape(c)->dim[1];
    float *w = kf__mem_alloc(NULL, (size_t)channels * sizeof *w);
    if (!w) KF_FAIL_MEMORY(c->err, (size_t)channels * sizeof *w);
    for (int64_t i = 0; i < channels; i++) w[i] = factor;
    kf_status st = kf__chain_tap(c, depthwise, w, NULL);
    kf__mem_free(NULL, w);
    return st;
}

/* Sums are means times the number of elements: exact where that is a power of two, one rounding elsewhere. */
static kf_status reduce(kf__chain *c, kf__op op, const bool pick[KF_MAX_RANK]) {
    const kf__shape x = *kf__chain_shape(c);
    int64_t pixels = pick[2] ? x.dim[2] : 1;
    pixels *= pick[3] ? x.dim[3] : 1;
    const bool sum = op == KF_OP_REDUCE_SUM;
    if (pick[2] || pick[3]) KF_TRY(pool(c, op == KF_OP_REDUCE_MAX, pick[2], pick[3]));
    if (sum && pixels > 1 && !pick[1]) KF_TRY(tap_of(c, true, (float)pixels));
    if (pick[1]) KF_TRY(tap_of(c, false, sum ? (float)pixels : 1.0f / (float)x.dim[1]));
    return KF_OK;
}

/* An image that a pool takes: as it is, or a vector as an image of one pixel. */
static bool as_image(const kf__shape *x, bool pick[KF_MAX_RANK], kf__shape *image) {
    if (x->rank != 2 && x->rank != 4) return false;
    *image = kf__shape_make(4, (int64_t[]){x->dim[0], x->dim[1], 1, 1});
    if (x->rank == 4) *image = *x;
    for (int i = 1; i < 4; i++)
        if (image->dim[i] > 1 << 20) return false;
    return !pick[0];
}

static kf_status one(kf__graph *g, size_t index, bool *changed, kf_error *err) {
    const kf__node *n = &g->nodes[index];
    const kf__op op = n->op;
    bool pick[KF_MAX_RANK], other[KF_MAX_RANK];
    kf__vid x = n->in[0], from;
    kf__shape image;
    const kf__shape result = g->values[n->out[0]].shape;
    picked(g, n, pick);
    for (size_t step = 0; step <= g->n_nodes; step++) {
        if (behind_reduction(g, op, x, pick, &from)) x = from;
        else if (kf__chain_behind_view(g, x, pick, &from, other)) x = from, memcpy(pick, other, sizeof other);
        else break;
    }
    if (!as_image(&g->values[x].shape, pick, &image) || (op == KF_OP_REDUCE_MAX && pick[1])) return KF_OK;
    kf__chain c = kf__chain_begin(g, index, x, err);
    KF_TRY(kf__chain_view(&c, &image));
    KF_TRY(reduce(&c, op, pick));
    if (!c.links && kf__shape_equal(&image, &result)) KF_TRY(kf__chain_clip(&c, -INFINITY, INFINITY));
    KF_TRY(kf__chain_view(&c, &result));
    *changed = true;
    return kf__chain_end(&c);
}

/* A global max pool is a pool whose one window is the whole image. */
static void global_max(const kf__graph *g, kf__node *n, bool *changed) {
    const kf__shape *x = &g->values[n->in[0]].shape;
    if (x->rank != 4 || x->dim[2] > 4096 || x->dim[3] > 4096) return;
    n->op = KF_OP_MAX_POOL;
    n->attrs.window = KF_WINDOW_ONE;
    n->attrs.window.kh = n->attrs.window.sh = (int32_t)x->dim[2];
    n->attrs.window.kw = n->attrs.window.sw = (int32_t)x->dim[3];
    *changed = true;
}

kf_status kf__pass_reduce(kf__graph *g, bool *changed, kf_error *err) {
    const size_t count = g->n_nodes;
    for (size_t i = count; i-- > 0;) { /* from the last of several that join */
        kf__node *n = &g->nodes[i];
        if (n->dead) continue;
        if (n->op == KF_OP_GLOBAL_MAX_POOL) global_max(g, n, changed);
        else if (is_reduction(g, n)) KF_TRY(one(g, i, changed, err));
    }
    return KF_OK;
}
