/* Reads constant affine maps from operators, joins two, and moves one past a neighbour that it commutes with.
 * Numbers are double here and are rounded once, when they become constants of the graph.
 * Owner rule: see affine.h. */
#include "passes/affine.h"

#include <float.h>
#include <math.h>

static bool const_f32(const kf__graph *g, kf__vid v) {
    return kf__match_is_const(g, v) && g->values[v].dtype == KF_F32;
}

/* No compiled program has more channels. */
enum { MOST_CHANNELS = 1 << 20 };

static bool is_map(const kf__graph *g, kf__vid x, kf__vid y) {
    const kf__shape *s = &g->values[x].shape;
    bool channels = s->rank >= 2 && s->dim[1] >= 1 && s->dim[1] <= MOST_CHANNELS;
    return channels && g->values[x].dtype == KF_F32 && kf__shape_equal(s, &g->values[y].shape);
}

/* One tap for each channel, nothing behind it. */
static bool is_pixelwise(const kf__graph *g, const kf__node *n) {
    const kf__attrs *a = &n->attrs;
    const kf__shape *w = &g->values[n->in[1]].shape;
    if (!kf__window_is_unit(&a->window) || a->act.kind != KF_ACT_NONE || a->post_act.kind != KF_ACT_NONE) return false;
    if (kf__match_in(n, 3) >= 0 || !const_f32(g, n->in[1]) || w->rank != 4) return false;
    kf__vid b = kf__match_in(n, 2);
    return w->dim[0] == a->window.group && w->dim[1] == 1 && (b < 0 || const_f32(g, b));
}

static int constant_side(const kf__graph *g, const kf__node *n) {
    if (n->n_in != 2) return -1;
    if (const_f32(g, n->in[1]) && !kf__match_is_const(g, n->in[0])) return 1;
    return const_f32(g, n->in[0]) && !kf__match_is_const(g, n->in[1]) ? 0 : -1;
}

static bool constant_norm(const kf__graph *g, const kf__node *n) {
    for (int i = 1; i < 5; i++)
        if (n->n_in != 5 || !const_f32(g, n->in[i])) return false;
    return !kf__match_is_const(g, n->in[0]);
}

int kf__affine_input(const kf__graph *g, const kf__node *n) {
    int x = -1;
    if (n->dead || n->n_in < 1 || n->n_out < 1 || n->in[0] < 0) return -1;
    if (n->op == KF_OP_MUL || n->op == KF_OP_ADD || n->op == KF_OP_SUB || n->op == KF_OP_DIV) {
        int c = constant_side(g, n);
        if (c == 1 || (c == 0 && n->op != KF_OP_DIV)) x = 1 - c;
    } else if (n->op == KF_OP_NEG || (n->op == KF_OP_BATCH_NORM && constant_norm(g, n)) ||
               (n->op == KF_OP_CONV && is_pixelwise(g, n))) {
        x = 0;
    }
    return x >= 0 && is_map(g, n->in[x], n->out[0]) ? x : -1;
}

static kf_status make(kf__arena *scratch, size_t channels, kf__affine *to, kf_error *err) {
    *to = (kf__affine){.channels = channels, .a = kf__arena_array(scratch, 2 * channels, sizeof *to->a)};
    if (!to->a) KF_FAIL_MEMORY(err, 2 * channels * sizeof *to->a);
    to->b = to->a + channels;
    return KF_OK;
}

/* The constant as a number for each channel of x. It may have more elements if they agree inside each channel. */
static bool spread(const kf__value *v, const kf__shape *x, double *out) {
    const kf__shape *s = &v->shape;
    size_t channels = (size_t)x->dim[1], n = v->bytes / sizeof(float), inner = 1;
    int at = 1 - (x->rank - s->rank);
    bool single = at < 0 || s->dim[at] == 1;
    if (s->rank > x->rank || n == 0) return false;
    for (int i = at + 1; !single && i < s->rank; i++) inner *= (size_t)s->dim[i];
    const float *d = v->data;
    for (size_t c = 0; c < channels; c++) out[c] = (double)d[single ? 0 : c * inner];
    for (size_t i = 0; i < n; i++)
        if ((double)d[i] != out[single ? 0 : i / inner % channels]) return false;
    return true;
}

static bool all_finite(const kf__affine *m) {
    for (size_t c = 0; c < m->channels; c++)
        if (!isfinite((float)m->a[c]) || !isfinite((float)m->b[c])) return false;
    return true;
}

static bool read_arithmetic(const kf__graph *g, const kf__node *n, kf__affine *to) {
    int x = kf__affine_input(g, n);
    double *c = to->b;
    if (!spread(&g->values[n->in[1 - x]], &g->values[n->in[x]].shape, c)) return false;
    for (size_t i = 0; i < to->channels; i++) {
        double k = c[i];
        bool sum = n->op == KF_OP_ADD || n->op == KF_OP_SUB;
        to->a[i] = n->op == KF_OP_DIV ? 1 / k : k;
        to->b[i] = 0;
        if (!sum) continue;
        to->a[i] = n->op == KF_OP_SUB && x == 1 ? -1 : 1;
        to->b[i] = n->op == KF_OP_SUB && x == 0 ? -k : k;
    }
    return true;
}

/* In f32 and in the order of docs/NUMERICS.md, as for a batch norm that folds at once. */
static void read_norm(const kf__graph *g, const kf__node *n, kf__affine *to) {
    const float *gamma = g->values[n->in[1]].data, *beta = g->values[n->in[2]].data;
    const float *mean = g->values[n->in[3]].data, *var = g->values[n->in[4]].data;
    for (size_t c = 0; c < to->channels; c++) {
        float s = gamma[c] / sqrtf(var[c] + n->attrs.epsilon), t = mean[c] * s;
        to->a[c] = (double)s;
        to->b[c] = (double)(beta[c] - t);
    }
}

kf_status kf__affine_read(const kf__graph *g, const kf__node *n, kf__arena *scratch, kf__affine *to, bool *ok,
                          kf_error *err) {
    int x = kf__affine_input(g, n);
    KF_TRY(make(scratch, (size_t)g->values[n->in[x]].shape.dim[1], to, err));
    *ok = true;
    if (n->op == KF_OP_BATCH_NORM) {
        read_norm(g, n, to);
    } else if (n->op == KF_OP_CONV) {
        const float *w = g->values[n->in[1]].data, *b = NULL;
        if (kf__match_in(n, 2) >= 0) b = g->values[n->in[2]].data;
        for (size_t c = 0; c < to->channels; c++) to->a[c] = (double)w[c], to->b[c] = b ? (double)b[c] : 0;
    } else if (n->op == KF_OP_NEG) {
        for (size_t c = 0; c < to->channels; c++) to->a[c] = -1, to->b[c] = 0;
    } else {
        *ok = read_arithmetic(g, n, to);
    }
    *ok = *ok && all_finite(to);
    return KF_OK;
}

/* Does the product keep its digits in f32? A zero that comes from a zero is exact. */
static bool keeps(double a, double b) {
    double p = fabs(a * b);
    return a == 0 || b == 0 || (p >= (double)FLT_MIN && p <= (double)FLT_MAX);
}

bool kf__affine_join(const kf__affine *inner, kf__affine *outer) {
    if (inner->channels != outer->channels) return false;
    for (size_t c = 0; c < outer->channels; c++) {
        double b = outer->a[c] * inner->b[c] + outer->b[c];
        if (!keeps(inner->a[c], outer->a[c]) || !isfinite((float)b)) return false;
    }
    for (size_t c = 0; c < outer->channels; c++) {
        outer->b[c] += outer->a[c] * inner->b[c];
        outer->a[c] *= inner->a[c];
    }
    return true;
}

/* ---- past a neighbour -------------------------------------------------------------------------------------------- */

static bool no_shift(const kf__affine *m) {
    for (size_t c = 0; c < m->channels; c++)
        if (m->b[c] != 0) return false;
    return true;
}

static bool rising(const kf__affine *m) {
    for (size_t c = 0; c < m->channels; c++)
        if (!(m->a[c] > 0)) return false;
    return true;
}

static bool uniform(const kf__affine *m) {
    for (size_t c = 1; c < m->channels; c++)
        if (m->a[c] != m->a[0] || m->b[c] != m->b[0]) return false;
    return true;
}

/* relu(a x) = a relu(x) for a > 0. Behind a clip, one map for all channels maps the bounds too. */
static bool through_clip(const kf__affine *m, bool behind, kf__activation *act) {
    if (act->kind != KF_ACT_CLIP) return false;
    bool relu = (act->lo == 0 || act->lo == -INFINITY) && act->hi == INFINITY;
    if (relu && rising(m) && no_shift(m)) return true;
    if (!behind || !uniform(m) || m->a[0] == 0) return false;
    float lo = (float)((double)act->lo * m->a[0] + m->b[0]), hi = (float)((double)act->hi * m->a[0] + m->b[0]);
    act->lo = lo < hi ? lo : hi;
    act->hi = lo < hi ? hi : lo;
    return true;
}

/* Between shapes of one count, where a channel of one is `k` whole channels of the other. */
static kf_status through_view(const kf__shape *from, const kf__shape *to, kf__arena *scratch, kf__affine *m, bool *ok,
                              kf_error *err) {
    int64_t wide = kf__max_i64(from->dim[1], to->dim[1]), narrow = kf__min_i64(from->dim[1], to->dim[1]);
    if (from->rank < 2 || to->rank < 2 || from->dim[0] != to->dim[0] || narrow < 1 || wide % narrow) return KF_OK;
    size_t k = (size_t)(wide / narrow), n = (size_t)to->dim[1];
    kf__affine old = *m;
    KF_TRY(make(scratch, n, m, err));
    bool grows = n > old.channels;
    for (size_t c = 0; c < n; c++) {
        size_t at = grows ? c / k : c * k;
        m->a[c] = old.a[at];
        m->b[c] = old.b[at];
    }
    for (size_t c = 0; !grows && c < old.channels; c++)
        if (old.a[c] != m->a[c / k] || old.b[c] != m->b[c / k]) return KF_OK;
    *ok = true;
    return KF_OK;
}

kf_status kf__affine_through(const kf__graph *g, const kf__node *n, bool behind, kf__arena *scratch, kf__affine *m,
                             kf__activation *act, bool *ok, kf_error *err) {
    *ok = false;
    *act = n->attrs.act;
    const kf__shape *x = &g->values[n->in[0]].shape, *y = &g->values[n->out[0]].shape;
    if (n->op == KF_OP_ACT) *ok = through_clip(m, behind, act);
    else if (n->op == KF_OP_GLOBAL_AVG_POOL) *ok = true;
    else if (n->op == KF_OP_AVG_POOL) {
        bool outside = kf__window_has_padding(&n->attrs.window) || n->attrs.ceil_mode;
        *ok = !(outside && n->attrs.count_include_pad) || no_shift(m);
    } else if (n->op == KF_OP_MAX_POOL) *ok = rising(m);
    else if (kf__op_is_view(n->op) && behind) return through_view(y, x, scratch, m, ok, err);
    else if (kf__op_is_view(n->op)) return through_view(x, y, scratch, m, ok, err);
    return KF_OK;
}

kf_status kf__affine_write(kf__graph *g, kf__node *n, kf__vid x, const kf__affine *m, kf_error *err) {
    const int64_t channels = (int64_t)m->channels;
    kf__shape shape = kf__shape_make(1, &channels);
    kf__vid in[5] = {x, -1, -1, -1, -1};
    static const char *const NAMES[5] = {"", ".scale", ".shift", ".mean", ".variance"};
    float *data = kf__mem_alloc(NULL, m->channels * sizeof *data);
    if (!data) KF_FAIL_MEMORY(err, m->channels * sizeof *data);
    kf_status st = KF_OK;
    for (int i = 1; st == KF_OK && i < 5; i++) {
        for (size_t c = 0; c < m->channels; c++) {
            data[c] = i == 4 ? 1.0f : 0.0f;
            if (i == 1) data[c] = (float)m->a[c];
            if (i == 2) data[c] = (float)m->b[c];
        }
        st = kf__rewrite_const(g, n->name, NAMES[i], &shape, data, &in[i], err);
    }
    kf__mem_free(NULL, data);
    KF_TRY(st);
    n->op = KF_OP_BATCH_NORM;
    n->attrs = (kf__attrs){.epsilon = 0};
    return kf__rewrite_inputs(g, n, in, 5, err);
}
