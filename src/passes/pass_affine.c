/* Constant affine maps (affine.h) that no earlier rewrite took: neighbours become one, and each goes into the layer
 * before it or behind it where that computes the same, also past activations, pools and views that it commutes with.
 * What remains becomes a depthwise 1x1 convolution, which has kernels in f32 and on integers.
 * Owner rule: new weights are constants of the graph; shared originals stay untouched. */
#include <math.h>

#include "passes/affine.h"

typedef struct job {
    kf__graph *g;
    kf__arena scratch;
    bool *changed;
    kf_error *err;
} job;

static bool const_weights(const kf__graph *g, const kf__node *n) {
    kf__vid w = n->in[1], b = kf__match_in(n, 2);
    bool bias = b < 0 || (kf__match_is_const(g, b) && g->values[b].dtype == KF_F32);
    return bias && kf__match_is_const(g, w) && g->values[w].dtype == KF_F32;
}

/* A factor so far from 1 could push weights out of the range of f32. */
static bool moderate(const kf__affine *m) {
    for (size_t c = 0; c < m->channels; c++) {
        double a = fabs(m->a[c]);
        if ((a != 0 && a < 1e-12) || a > 1e12 || fabs(m->b[c]) > 1e12) return false;
    }
    return true;
}

/* ---- into the layer before it ------------------------------------------------------------------------------------ */

static bool takes_behind(const kf__graph *g, const kf__node *n, const kf__affine *m) {
    if (!kf__op_is_layer(n->op) || kf__match_in(n, 3) >= 0 || !const_weights(g, n)) return false;
    if (n->attrs.act.kind != KF_ACT_NONE || n->attrs.post_act.kind != KF_ACT_NONE) return false;
    return g->values[n->in[1]].shape.dim[0] == (int64_t)m->channels && moderate(m);
}

static kf_status set_layer(job *j, kf__node *n, const float *w, const float *bias, int64_t rows) {
    kf__graph *g = j->g;
    kf__shape wshape = g->values[n->in[1]].shape, bshape = kf__shape_make(1, &rows);
    kf__vid in[4] = {n->in[0], -1, -1, kf__match_in(n, 3)}, old = kf__match_in(n, 2);
    KF_TRY(kf__rewrite_const(g, g->values[n->in[1]].name, "", &wshape, w, &in[1], j->err));
    if (old < 0) KF_TRY(kf__rewrite_const(g, n->name, ".bias", &bshape, bias, &in[2], j->err));
    else KF_TRY(kf__rewrite_const(g, g->values[old].name, "", &bshape, bias, &in[2], j->err));
    *j->changed = true;
    return kf__rewrite_inputs(g, n, in, in[3] < 0 ? 3 : 4, j->err);
}

static bool finite_floats(const float *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i])) return false;
    return true;
}

/* Room for the weights and, behind them, the bias. */
static kf_status room(job *j, const kf__node *n, float **w, float **bias, size_t *count, size_t *rows) {
    const kf__value *v = &j->g->values[n->in[1]];
    *count = v->bytes / sizeof(float);
    *rows = (size_t)v->shape.dim[0];
    *w = kf__arena_array(&j->scratch, *count + *rows, sizeof(float));
    if (!*w) KF_FAIL_MEMORY(j->err, (*count + *rows) * sizeof(float));
    *bias = *w + *count;
    return KF_OK;
}

/** Fold `m`, the map of node `map`, into the layer whose result it reads. */
static kf_status fold_behind(job *j, kf__node *layer, kf__node *map, const kf__affine *m, bool *done) {
    float *w = NULL, *bias = NULL;
    size_t count, rows;
    KF_TRY(room(j, layer, &w, &bias, &count, &rows));
    const float *old = j->g->values[layer->in[1]].data, *old_bias = NULL;
    if (kf__match_in(layer, 2) >= 0) old_bias = j->g->values[layer->in[2]].data;
    for (size_t o = 0; o < rows; o++) {
        double b = old_bias ? (double)old_bias[o] : 0;
        const size_t k = count / rows;
        for (size_t i = o * k; i < (o + 1) * k; i++) w[i] = (float)((double)old[i] * m->a[o]);
        bias[o] = (float)(b * m->a[o] + m->b[o]);
    }
    *done = finite_floats(w, count + rows);
    if (!*done) return KF_OK;
    KF_TRY(set_layer(j, layer, w, bias, (int64_t)rows));
    return kf__rewrite_absorb(j->g, layer, map, j->err);
}

/* ---- into the layer behind it ------------------------------------------------------------------------------------ */

static bool shifts(const kf__affine *m) {
    for (size_t c = 0; c < m->channels; c++)
        if (m->b[c] != 0) return true;
    return false;
}

/* Padding comes after the map: with a shift, the border would see a pixel that the map never made. */
static bool takes_before(const kf__graph *g, const kf__node *n, const kf__affine *m) {
    if (!kf__op_is_layer(n->op) || !const_weights(g, n) || !moderate(m)) return false;
    if (n->op == KF_OP_CONV && kf__window_has_padding(&n->attrs.window) && shifts(m)) return false;
    int64_t groups = n->op == KF_OP_CONV ? n->attrs.window.group : 1;
    return g->values[n->in[1]].shape.dim[1] * groups == (int64_t)m->channels;
}

static kf_status fold_before(job *j, kf__node *layer, kf__node *map, kf__vid x, const kf__affine *m, bool *done) {
    float *w = NULL, *bias = NULL;
    size_t count, rows;
    KF_TRY(room(j, layer, &w, &bias, &count, &rows));
    const float *old = j->g->values[layer->in[1]].data, *old_bias = NULL;
    if (kf__match_in(layer, 2) >= 0) old_bias = j->g->values[layer->in[2]].data;
    size_t in = (size_t)j->g->values[layer->in[1]].shape.dim[1], taps = count / rows / in;
    size_t groups = layer->op == KF_OP_CONV ? (size_t)layer->attrs.window.group : 1;
    for (size_t o = 0, i = 0; o < rows; o++) {
        double sum = old_bias ? (double)old_bias[o] : 0;
        for (size_t k = 0; k < in; k++) {
            size_t c = o / (rows / groups) * in + k;
            for (size_t t = 0; t < taps; t++, i++) {
                w[i] = (float)((double)old[i] * m->a[c]);
                sum += (double)old[i] * m->b[c];
            }
        }
        bias[o] = (float)sum;
    }
    *done = finite_floats(w, count + rows);
    if (!*done) return KF_OK;
    kf__rewrite_input(j->g, layer, 0, x);
    KF_TRY(set_layer(j, layer, w, bias, (int64_t)rows));
    map->dead = true;
    return kf__graph_merge_sources(j->g, layer, map, j->err);
}

/* ---- past a neighbour -------------------------------------------------------------------------------------------- */

/* `second` reads the result of `first` and nothing else does: their operators change places, their values stay. The
 * value between them gets `shape`. */
static void swap(job *j, kf__node *first, kf__node *second, kf__shape shape) {
    kf__node *const both[2] = {first, second};
    kf__vid x = first->in[0], between = first->out[0], end = second->out[0];
    kf__node was = *first;
    *first = *second;
    *second = was;
    first->in[0] = x;
    first->out[0] = between;
    second->in[0] = between;
    second->out[0] = end;
    j->g->values[between].producer = (int32_t)(first - j->g->nodes);
    j->g->values[end].producer = (int32_t)(second - j->g->nodes);
    j->g->values[between].shape = shape;
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < both[i]->n_in; k++) kf__graph_reads(j->g, (int32_t)(both[i] - j->g->nodes), both[i]->in[k]);
    *j->changed = true;
}

/* How far a map looks for a layer: past so many neighbours. */
enum { MOST_NEIGHBOURS = 8 };

static kf__node *node_before(const kf__graph *g, kf__vid v) {
    return kf__match_single(g, v) ? kf__match_any(g, v) : NULL;
}

static kf__node *node_behind(const kf__graph *g, kf__vid v) {
    kf__node *n = kf__match_user(g, v);
    return n && n->in[0] == v && n->n_out == 1 ? n : NULL;
}

/* `behind`: the node before n, because n stands behind it. A map may have its constant as first input. */
static kf__node *neighbour(const kf__graph *g, const kf__node *n, bool behind) {
    int x = kf__affine_input(g, n);
    if (!behind) return node_behind(g, n->out[0]);
    return node_before(g, n->in[x < 0 ? 0 : x]);
}

/* The number of neighbours between the map and a layer that takes it, or -1. */
static kf_status distance(job *j, const kf__node *map, const kf__affine *m, bool behind, int *out) {
    kf__affine moved = *m;
    kf__activation act;
    bool ok = true;
    const kf__node *n = neighbour(j->g, map, behind);
    *out = -1;
    for (int i = 0; n && ok && i <= MOST_NEIGHBOURS; i++) {
        if (behind ? takes_behind(j->g, n, &moved) : takes_before(j->g, n, &moved)) {
            *out = i;
            return KF_OK;
        }
        KF_TRY(kf__affine_through(j->g, n, behind, &j->scratch, &moved, &act, &ok, j->err));
        n = neighbour(j->g, n, behind);
    }
    return KF_OK;
}

/* Bring the map to the layer, one neighbour at a time, and fold it. */
static kf_status fold(job *j, kf__node *map, kf__affine *m, bool behind, bool *done) {
    int steps;
    *done = false;
    KF_TRY(distance(j, map, m, behind, &steps));
    if (steps < 0) return KF_OK;
    if (steps > 0) KF_TRY(kf__affine_write(j->g, map, map->in[kf__affine_input(j->g, map)], m, j->err));
    for (int i = 0; i < steps; i++) {
        kf__node *n = neighbour(j->g, map, behind);
        bool ok;
        KF_TRY(kf__affine_through(j->g, n, behind, &j->scratch, m, &n->attrs.act, &ok, j->err));
        if (behind) swap(j, n, map, j->g->values[n->in[0]].shape);
        else swap(j, map, n, j->g->values[n->out[0]].shape);
        map = n; /* the node that now holds the map */
    }
    kf__node *layer = neighbour(j->g, map, behind);
    kf__vid x = map->in[kf__affine_input(j->g, map)];
    KF_TRY(behind ? fold_behind(j, layer, map, m, done) : fold_before(j, layer, map, x, m, done));
    if (*done || steps == 0) return KF_OK;
    *done = true; /* a weight would be infinite: the map stays beside the layer */
    return kf__affine_write(j->g, map, x, m, j->err);
}

/* ---- neighbouring maps ------------------------------------------------------------------------------------------- */

/* A depthwise convolution that another rewrite made of a batch norm stays one, unless a map stands beside it. */
static bool starts(const kf__graph *g, const kf__node *n) { return n->op != KF_OP_CONV && kf__affine_input(g, n) >= 0; }

static kf_status read_map(job *j, const kf__node *n, kf__affine *m, bool *ok) {
    *ok = kf__affine_input(j->g, n) >= 0;
    return *ok ? kf__affine_read(j->g, n, &j->scratch, m, ok, j->err) : KF_OK;
}

/* Maps before node `n` that nothing else reads become part of its own, `m`. */
static kf_status take_maps_before(job *j, kf__node *n, kf__vid *x, kf__affine *m) {
    for (;;) {
        kf__node *p = node_before(j->g, *x);
        kf__affine inner;
        bool ok;
        if (!p) return KF_OK;
        KF_TRY(read_map(j, p, &inner, &ok));
        if (!ok || !kf__affine_join(&inner, m)) return KF_OK;
        *x = p->in[kf__affine_input(j->g, p)];
        p->dead = true;
        KF_TRY(kf__graph_merge_sources(j->g, n, p, j->err));
        KF_TRY(kf__affine_write(j->g, n, *x, m, j->err));
        *j->changed = true;
    }
}

/* A convolution that is a map and the only reader: the map moves into it. */
static kf_status join_behind(job *j, kf__node *n, kf__vid x, const kf__affine *m, bool *done) {
    kf__node *next = kf__match_user(j->g, n->out[0]);
    kf__affine outer;
    *done = false;
    if (!next || next->op != KF_OP_CONV) return KF_OK;
    KF_TRY(read_map(j, next, &outer, done));
    *done = *done && kf__affine_join(m, &outer);
    if (!*done) return KF_OK;
    n->dead = true;
    *j->changed = true;
    KF_TRY(kf__graph_merge_sources(j->g, next, n, j->err));
    return kf__affine_write(j->g, next, x, &outer, j->err);
}

static kf_status one(job *j, kf__node *n) {
    kf__affine m;
    bool done;
    KF_TRY(read_map(j, n, &m, &done));
    if (!done) return KF_OK;
    kf__vid x = n->in[kf__affine_input(j->g, n)];
    KF_TRY(take_maps_before(j, n, &x, &m));
    KF_TRY(join_behind(j, n, x, &m, &done));
    kf__node *next = kf__match_user(j->g, n->out[0]);
    if (done || (next && starts(j->g, next))) return KF_OK; /* that one takes this one */
    KF_TRY(fold(j, n, &m, true, &done));
    return done ? KF_OK : fold(j, n, &m, false, &done);
}

/* ---- what remains ------------------------------------------------------------------------------------------------ */

/* Make node `index` read (or, `behind`, write) another view of its value, with an extent of 1 at `axes`. */
static kf_status add_view(job *j, size_t index, const int64_t *axes, int n_axes, bool behind) {
    kf__graph *g = j->g;
    const char *base = g->nodes[index].name;
    kf__vid narrow = behind ? g->nodes[index].out[0] : g->nodes[index].in[0];
    kf__shape shape = g->values[narrow].shape, wide = shape;
    for (int i = 0; i < n_axes; i++) {
        for (int k = wide.rank++; k > axes[i]; k--) wide.dim[k] = wide.dim[k - 1];
        wide.dim[axes[i]] = 1;
    }
    const char *name = kf__arena_printf(&g->arena, "%s.%s", base, behind ? "out" : "in");
    kf__vid view = name ? kf__graph_add_value(g, name, KF_F32, &wide) : KF_NO_VALUE;
    if (view < 0) KF_FAIL_MEMORY(j->err, sizeof(kf__value));
    kf__node *n = behind ? kf__graph_add_node(g, KF_OP_SQUEEZE, name, &view, 1, &narrow, 1)
                         : kf__graph_add_node(g, KF_OP_UNSQUEEZE, name, &narrow, 1, &view, 1);
    if (!n) KF_FAIL_MEMORY(j->err, sizeof(kf__node));
    n->attrs.n_axes = n_axes;
    memcpy(n->attrs.axes, axes, (size_t)n_axes * sizeof *axes);
    n->origin = g->nodes[index].origin;
    if (!behind) kf__rewrite_input(g, &g->nodes[index], 0, view);
    else g->nodes[index].out[0] = view, g->values[view].producer = (int32_t)index;
    return KF_OK;
}

static kf_status to_depthwise(job *j, size_t index, const kf__affine *m) {
    kf__graph *g = j->g;
    kf__node *n = &g->nodes[index];
    int rank = g->values[n->out[0]].shape.rank;
    const int64_t wdim[4] = {(int64_t)m->channels, 1, 1, 1}, pixel[2] = {2, 3};
    const kf__shape wshape = kf__shape_make(4, wdim), bshape = kf__shape_make(1, wdim);
    kf__vid in[3] = {n->in[kf__affine_input(g, n)], -1, -1};
    float *scale = kf__arena_array(&j->scratch, 2 * m->channels, sizeof *scale);
    if (!scale) KF_FAIL_MEMORY(j->err, 2 * m->channels * sizeof *scale);
    float *shift = scale + m->channels;
    for (size_t c = 0; c < m->channels; c++) scale[c] = (float)m->a[c], shift[c] = (float)m->b[c];
    KF_TRY(kf__rewrite_const(g, n->name, ".scale", &wshape, scale, &in[1], j->err));
    KF_TRY(kf__rewrite_const(g, n->name, ".shift", &bshape, shift, &in[2], j->err));
    KF_TRY(kf__rewrite_inputs(g, n, in, 3, j->err));
    n->op = KF_OP_CONV;
    n->attrs = (kf__attrs){.window = KF_WINDOW_ONE};
    n->attrs.window.group = (int32_t)m->channels;
    *j->changed = true;
    if (rank == 4) return KF_OK;
    KF_TRY(add_view(j, index, pixel, 4 - rank, false));
    return add_view(j, index, pixel, 4 - rank, true);
}

/* On the side of an image, a view of classes costs nothing and an activation behind it can be fused. */
static kf_status before_view(job *j, size_t *index, kf__affine *m) {
    kf__graph *g = j->g;
    kf__node *n = &g->nodes[*index], *view = neighbour(g, n, true);
    kf__activation act;
    bool ok;
    if (!view || !kf__op_is_view(view->op) || g->values[view->in[0]].shape.rank != 4) return KF_OK;
    kf__affine moved = *m;
    KF_TRY(kf__affine_through(g, view, true, &j->scratch, &moved, &act, &ok, j->err));
    if (!ok || moved.channels != m->channels) return KF_OK;
    KF_TRY(kf__affine_write(g, n, n->in[kf__affine_input(g, n)], m, j->err));
    swap(j, view, n, g->values[view->in[0]].shape);
    *index = (size_t)(view - g->nodes);
    return KF_OK;
}

static kf_status lower(job *j, size_t index) {
    kf__affine m;
    bool ok;
    const kf__shape *x = &j->g->values[j->g->nodes[index].out[0]].shape;
    if (x->rank < 2 || x->rank > 4) return KF_OK;
    KF_TRY(read_map(j, &j->g->nodes[index], &m, &ok));
    if (!ok) return KF_OK;
    if (x->rank == 2) KF_TRY(before_view(j, &index, &m));
    return to_depthwise(j, index, &m);
}

static kf_status all(job *j) {
    const size_t n = j->g->n_nodes;
    for (size_t i = 0; i < n; i++)
        if (!j->g->nodes[i].dead && starts(j->g, &j->g->nodes[i])) KF_TRY(one(j, &j->g->nodes[i]));
    if (*j->changed) return KF_OK; /* the next round may find more */
    for (size_t i = 0; i < n; i++)
        if (!j->g->nodes[i].dead && starts(j->g, &j->g->nodes[i])) KF_TRY(lower(j, i));
    return KF_OK;
}

kf_status kf__pass_affine(kf__graph *g, bool *changed, kf_error *err) {
    job j = {.g = g, .changed = changed, .err = err};
    kf__arena_init(&j.scratch, NULL);
    kf_status st = all(&j);
    kf__arena_free(&j.scratch);
    return st;
}
