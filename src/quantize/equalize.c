/* Equalization across layers: groups of tensors that must be scaled together, a factor for each of their channels,
 * weights changed to fit. A group ends where a convolution or fully connected layer reads it: those take the factor
 * back. Owner rule: see equalize.h. */
#include "quantize/equalize.h"

#include <math.h>
#include <stdlib.h>

#include "quantize/assign.h"
#include "quantize/layer_steps.h"

/* A group's factors depend on its readers' weights, which other groups scale; around a residual block this is
 * circular. Each round shrinks the remaining change by the product of the exponents on that circle. */
enum { ROUNDS = 4, EXPONENTS = 10, MOST_SCALE = 1 << 20 };
/* A group is scaled if that divides the estimated error by at least this. Networks trained on ImageNet reach 14.
 * Scaling these makes new pictures worse: it equalizes ranges on the samples, and leaves no room for channels that
 * were quiet in them. */
static const double WORTH = 30;
static const double TRUST =
    4; /* a channel's range includes at least so many standard deviations, as its weights give them */
static const double WEIGHT_SHARE =
    0.3; /* share of the weights' rounding noise that is left after rounding by the layer's output */

typedef struct groups {
    kf__sim s;
    kf__graph *g;
    const kf__qoptions *o;
    kf__arena arena;
    kf__vid *parent; /* [n_values], union-find */
    bool *fixed;     /* [n_values], by root */
    bool *touched;   /* [n_values], by root: scaled already */
    float **range;   /* [n_values][C]: largest magnitude of the channel; NULL for constants */
    float **power;   /* [n_values][C]: mean square */
    size_t scaled;
} groups;

static kf__vid root_of(const groups *e, kf__vid v) {
    while (e->parent[v] != v) v = e->parent[v] = e->parent[e->parent[v]];
    return v;
}

static void fix(groups *e, kf__vid v) {
    if (v >= 0) e->fixed[root_of(e, v)] = true;
}

/* Both must have the same factors, channel by channel. */
static void join(groups *e, kf__vid a, kf__vid b) {
    kf__sim_shape x = kf__sim_shape_of(e->g, a), y = kf__sim_shape_of(e->g, b);
    kf__vid ra = root_of(e, a), rb = root_of(e, b);
    bool fixed = e->fixed[ra] || e->fixed[rb] || x.c != y.c || e->g->values[a].data || e->g->values[b].data;
    e->parent[ra] = rb;
    e->fixed[rb] = fixed;
}

/* f(s x) = s f(x) for every s > 0. */
static bool homogeneous(const kf__activation *a) {
    return a->kind == KF_ACT_NONE ||
           (a->kind == KF_ACT_CLIP && (a->lo == 0 || a->lo == -INFINITY) && a->hi == INFINITY);
}

static bool own_constant(const groups *e, kf__vid v) {
    return v < 0 ||
           (e->g->values[v].data && e->g->values[v].dtype == KF_F32 && kf__graph_few_uses(e->g, v, &(int32_t){0}) == 1);
}

static void link_layer(groups *e, const kf__node *n) {
    bool own = own_constant(e, n->in[1]) && (n->n_in < 3 || own_constant(e, n->in[2]));
    if (!own || (n->op == KF_OP_CONV && n->attrs.window.group > 1 && !kf__node_is_depthwise(e->g, n)))
        fix(e, n->in[0]), fix(e, n->out[0]);
    if (!homogeneous(&n->attrs.act) || (n->op == KF_OP_CONV && !homogeneous(&n->attrs.post_act))) fix(e, n->out[0]);
    if (n->op == KF_OP_CONV && n->n_in > 3 && n->in[3] >= 0) join(e, n->in[3], n->out[0]);
}

/* join() fixes values that cannot share factors. */
static void link_sum(groups *e, const kf__node *n) {
    join(e, n->in[0], n->out[0]);
    join(e, n->in[1], n->out[0]);
    if (!homogeneous(&n->attrs.post_act)) fix(e, n->out[0]);
}

/* Which values around the node must have the same factors (join), and which must keep theirs at 1 (fix). */
static void link_node(groups *e, const kf__node *n) {
    kf__sim_shape y = kf__sim_shape_of(e->g, n->out[0]);
    bool through = false;
    switch (kf__op_table[n->op].role) {
    case KF_ROLE_LAYER: link_layer(e, n); return;
    case KF_ROLE_GATE:
        fix(e, n->out[0]);
        if (!own_constant(e, n->in[1])) fix(e, n->in[0]);
        return;
    case KF_ROLE_GATED: fix(e, n->in[1]), join(e, n->in[0], n->out[0]); return;
    case KF_ROLE_ARITHMETIC:
        if (n->op != KF_OP_ADD) break;
        link_sum(e, n);
        return;
    case KF_ROLE_ACTIVATION: through = n->op == KF_OP_ACT && homogeneous(&n->attrs.act); break;
    case KF_ROLE_POOL: through = true; break;
    case KF_ROLE_VIEW: through = y.c == y.count; break;
    case KF_ROLE_MATRIX:
    case KF_ROLE_NORM:
    case KF_ROLE_REDUCTION:
    case KF_ROLE_MOVE:
    case KF_ROLE_SHAPE:
    case KF_ROLE_QDQ: break;
    }
    if (through) join(e, n->in[0], n->out[0]);
    for (int k = 0; !through && k < n->n_in; k++) fix(e, n->in[k]);
    for (int k = 0; !through && k < n->n_out; k++) fix(e, n->out[k]);
}

/* Groups by union-find. Graph inputs and outputs are fixed: scaling them would change the interface. */
static kf_status find_groups(groups *e) {
    kf__graph *g = e->g;
    e->parent = kf__arena_array(&e->arena, g->n_values, sizeof *e->parent);
    e->fixed = kf__arena_zalloc(&e->arena, 2 * g->n_values * sizeof *e->fixed);
    e->range = kf__arena_zalloc(&e->arena, g->n_values * sizeof *e->range);
    e->power = kf__arena_zalloc(&e->arena, g->n_values * sizeof *e->power);
    if (!e->parent || !e->fixed || !e->range || !e->power) KF_FAIL_MEMORY(e->s.err, g->n_values * sizeof *e->range);
    e->touched = e->fixed + g->n_values;
    for (size_t v = 0; v < g->n_values; v++) e->parent[v] = (kf__vid)v;
    for (size_t i = 0; i < g->n_inputs; i++) fix(e, g->inputs[i]);
    for (size_t i = 0; i < g->n_outputs; i++) fix(e, g->outputs[i]);
    kf__graph_index_uses(g);
    if (!g->uses) KF_FAIL_MEMORY(e->s.err, g->n_values);
    for (size_t i = 0; i < g->n_nodes; i++) link_node(e, &g->nodes[i]);
    kf__graph_drop_uses(g);
    return KF_OK;
}

/* A channel that was quiet in the samples may be loud later: it gets at least the range that its weights and the
 * power of their input give. */
static void trust(const groups *e, const kf__node *n, size_t channels, float *range) {
    const float *in = e->power[n->in[0]];
    if (kf__op_table[n->op].role == KF_ROLE_GATED && e->range[n->in[0]])
        for (size_t c = 0; c < channels; c++)
            range[c] = fmaxf(range[c], e->range[n->in[0]][c] * sqrtf(e->power[n->out[0]][c] / fmaxf(in[c], 1e-30f)));
    if (!in || !kf__op_is_layer(n->op)) return;
    const float *w = e->g->values[n->in[1]].data;
    const kf__filters f = kf__filters_of(&e->g->values[n->in[1]].shape);
    size_t k = f.i * f.taps, group = n->op == KF_OP_CONV ? (size_t)n->attrs.window.group : 1;
    for (size_t c = 0; c < channels; c++) {
        double sum = 0;
        for (size_t j = 0; j < k; j++)
            sum += (double)(w[c * k + j] * w[c * k + j]) * (double)in[kf__filters_channel(&f, group, c, j / f.taps)];
        range[c] = fmaxf(range[c], (float)(TRUST * sqrt(sum)));
    }
}

/* The float network over all samples; largest magnitude of every channel. */
static kf_status observe(groups *e) {
    kf__graph *g = e->g;
    for (size_t i = 0; i < g->n_nodes; i++) {
        const kf__node *n = &g->nodes[i];
        kf__sim_shape d = kf__sim_shape_of(g, n->out[0]);
        KF_TRY(kf__step_node(&e->s, i));
        float *r = kf__arena_zalloc(&e->arena, 2 * d.c * sizeof *r);
        if (!r) KF_FAIL_MEMORY(e->s.err, 2 * d.c * sizeof *r);
        float *pw = r + d.c;
        e->range[n->out[0]] = r, e->power[n->out[0]] = pw;
        for (size_t k = 0; k < e->s.samples; k++) {
            const float *x = kf__sim_at(&e->s, k, n->out[0])->f;
            for (size_t p = 0; p < d.h * d.w; p++, x += d.c)
                for (size_t c = 0; c < d.c; c++) r[c] = fabsf(x[c]) > r[c] ? fabsf(x[c]) : r[c], pw[c] += x[c] * x[c];
        }
        for (size_t c = 0; c < d.c; c++) pw[c] /= (float)(e->s.samples * d.h * d.w);
        trust(e, n, d.c, r);
        kf__sim_release(&e->s, (int32_t)i);
        KF_TRY(kf__quantize_tell(e->o, 0, g->n_nodes, e->s.err));
    }
    return KF_OK;
}

/* The weights that channel c of a layer's input meets: `outer` blocks of `inner` numbers, at distance `step`, from c
 * * `inner` on. */
typedef struct column {
    float *w;
    size_t outer, step, inner;
} column;

static column column_of(const kf__graph *g, const kf__node *n) {
    const kf__value *v = &g->values[n->in[1]];
    size_t o = (size_t)v->shape.dim[0], k = v->bytes / sizeof(float) / o,
           taps = v->shape.rank == 4 ? (size_t)(v->shape.dim[2] * v->shape.dim[3]) : 1;
    float *w = (float *)(uintptr_t)v->data;
    return kf__node_is_depthwise(g, n) ? (column){w, 1, 0, taps} : (column){w, o, k, taps};
}

static bool reads(const groups *e, const kf__node *n, kf__vid root) {
    return kf__op_has_weights(n->op) && root_of(e, n->in[0]) == root;
}

static bool makes(const groups *e, const kf__node *n, kf__vid root) {
    return kf__op_is_layer(n->op) && root_of(e, n->out[0]) == root;
}

/* What channel c contributes to one reader: the largest weight of the column, its power, and the input's range and
 * power. */
typedef struct reader {
    column at;
    kf__vid x;
    size_t channels;
    bool by_channel; /* x has a scale for each channel */
    float *power;    /* [C]: sum of the column's squared weights */
    float *largest;  /* [C] */
    double most;     /* largest weight of the layer */
    double signal;   /* power of what the column sums carry */
} reader;

/* What one reader contributes to the estimate of the error: largest weight and power of each of its columns, and the
 * power of its sums. */
static kf_status reader_of(groups *e, const kf__node *n, reader *r, kf__arena *a) {
    size_t channels = kf__sim_shape_of(e->g, n->in[0]).c;
    *r = (reader){.at = column_of(e->g, n), .x = n->in[0], .channels = channels};
    r->by_channel = e->o->asked.channel_scales && kf__assign_channels_allowed(e->g, n->in[0]);
    r->power = kf__arena_zalloc(a, 2 * channels * sizeof *r->power);
    if (!r->power) KF_FAIL_MEMORY(e->s.err, 2 * channels * sizeof *r->power);
    r->largest = r->power + channels;
    for (size_t c = 0; c < channels; c++) {
        for (size_t o = 0; o < r->at.outer; o++)
            for (size_t t = 0; t < r->at.inner; t++) {
                float w = r->at.w[o * r->at.step + c * r->at.inner + t];
                r->power[c] += w * w, r->largest[c] = fmaxf(r->largest[c], fabsf(w));
            }
        r->most = fmax(r->most, (double)r->largest[c]);
        r->signal += (double)r->power[c] * (double)e->power[r->x][c];
    }
    return KF_OK;
}

static int ascending(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Error power that rounding x and the reader's weights puts into the reader's sums, as a share of their power, when
 * channels are scaled by s. Maxima are taken before they are widened, see eval_softmax. */
static double reader_cost(const groups *e, const reader *r, const float *s, float *work) {
    const float *range = e->range[r->x], *power = e->power[r->x];
    float top = 0;
    double act = 0, weight = 0, floor = 0;
    for (size_t c = 0; c < r->channels; c++) top = fmaxf(top, work[c] = range[c] * s[c]);
    kf__sim_shape shape = kf__sim_shape_of(e->g, r->x);
    if (r->by_channel && !kf__assign_seen_enough(&e->s, &shape)) {
        qsort(work, r->channels, sizeof *work, ascending);
        floor = fmin((double)top, 2 * (double)work[r->channels * 3 / 4]);
    }
    for (size_t c = 0; c < r->channels; c++) {
        double step = r->by_channel ? fmax((double)(range[c] * s[c]), floor) : (double)top;
        act += (double)r->power[c] * step * step / ((double)s[c] * (double)s[c]);
    }
    double levels = shape.count == r->channels ? 32767 : 255;
    act /= levels * levels * 12;
    for (size_t o = 0; o < r->at.outer && r->at.outer > 1; o++) {
        float most = 0;
        double in = 0;
        for (size_t c = 0; c < r->channels; c++) {
            const float *w = &r->at.w[o * r->at.step + c * r->at.inner];
            for (size_t t = 0; t < r->at.inner; t++) most = fmaxf(most, fabsf(w[t]) / s[c]);
            in += (double)(s[c] * s[c] * power[c]) * (double)r->at.inner;
        }
        weight += (double)most * (double)most / (127.0 * 127.0 * 12) * in;
    }
    return r->signal > 0 ? (act + WEIGHT_SHARE * weight) / r->signal : 0;
}

/* Multiplies channel c of the group by s[c]: rows and biases of the layers that make it by s[c], columns of the layers
 * that read it by 1 / s[c]. Observed ranges and powers follow. */
static void apply(groups *e, kf__vid root, size_t channels, const float *s) {
    kf__graph *g = e->g;
    for (size_t i = 0; i < g->n_nodes; i++) {
        const kf__node *n = &g->nodes[i];
        if (makes(e, n, root)) {
            float *w = (float *)(uintptr_t)g->values[n->in[1]].data,
                  *b = n->n_in > 2 && n->in[2] >= 0 ? (float *)(uintptr_t)g->values[n->in[2]].data : NULL;
            size_t k = g->values[n->in[1]].bytes / sizeof(float) / channels;
            for (size_t c = 0; c < channels; c++) {
                for (size_t j = 0; j < k; j++) w[c * k + j] *= s[c];
                if (b) b[c] *= s[c];
            }
        }
        if (!reads(e, n, root)) continue;
        column at = column_of(g, n);
        for (size_t o = 0; o < at.outer; o++)
            for (size_t c = 0; c < channels; c++)
                for (size_t t = 0; t < at.inner; t++) at.w[o * at.step + c * at.inner + t] /= s[c];
    }
    for (size_t v = 0; v < g->n_values; v++)
        for (size_t c = 0; e->range[v] && root_of(e, (kf__vid)v) == root && c < channels; c++)
            e->range[v][c] *= s[c], e->power[v][c] *= s[c] * s[c];
}

static double cost(const groups *e, const reader *readers, size_t n, const float *s, float *work) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += reader_cost(e, &readers[i], s, work);
    return sum;
}

/* s[c] = w[c]^(1-a) / r[c]^a over all readers, w as a share of the layer's largest. */
static void candidate(const groups *e, const reader *readers, size_t n, double a, size_t channels, float *s) {
    double most = 0, top = 0;
    for (size_t c = 0; c < channels; c++) {
        double w = 0, r = 0;
        for (size_t i = 0; i < n; i++)
            w = fmax(w, (double)readers[i].largest[c] / readers[i].most),
            r = fmax(r, (double)e->range[readers[i].x][c]);
        s[c] = r > 0 ? (float)(pow(fmax(w, 1e-4), 1 - a) * pow(r, -a)) : 0;
        top = fmax(top, r), most = fmax(most, r * (double)s[c]);
    }
    for (size_t c = 0; c < channels; c++)
        s[c] = s[c] > 0 && most > 0 ? (float)fmin(fmax((double)s[c] * top / most, 1.0 / MOST_SCALE), MOST_SCALE) : 1;
}

/* Tries EXPONENTS + 1 values of the exponent a and applies the factors with the least estimated error, if they are
 * worth it. A group that was scaled in an earlier round may change without that condition. */
static kf_status balance(groups *e, kf__vid root, kf__arena *a) {
    size_t channels = kf__sim_shape_of(e->g, root).c, n = 0;
    float *s = kf__arena_array(a, 3 * channels, sizeof *s);
    reader *readers = kf__arena_array(a, e->g->n_nodes, sizeof *readers);
    if (!s || !readers) KF_FAIL_MEMORY(e->s.err, 3 * channels * sizeof *s);
    float *best = s + channels, *work = best + channels;
    for (size_t i = 0; i < e->g->n_nodes; i++)
        if (reads(e, &e->g->nodes[i], root) && !kf__op_is_gate(e->g->nodes[i].op))
            KF_TRY(reader_of(e, &e->g->nodes[i], &readers[n++], a));
    for (size_t c = 0; c < channels; c++) best[c] = 1;
    double first = cost(e, readers, n, best, work), least = e->touched[root] ? first : first / WORTH, limit = least;
    for (int k = 0; k <= EXPONENTS && n > 0; k++) {
        candidate(e, readers, n, (double)k / EXPONENTS, channels, s);
        double here = cost(e, readers, n, s, work);
        if (here >= least) continue;
        least = here;
        memcpy(best, s, channels * sizeof *s);
    }
    if (least == limit) return KF_OK;
    if (!e->touched[root]) e->scaled += channels;
    e->touched[root] = true;
    apply(e, root, channels, best);
    return KF_OK;
}

/* Weights of their own in the arena, so that they can be written. */
static kf_status own_weights(groups *e) {
    for (size_t i = 0; i < e->g->n_nodes; i++) {
        const kf__node *n = &e->g->nodes[i];
        if (!kf__op_has_weights(n->op)) continue;
        for (int k = 1; k < 3 && k < n->n_in; k++) {
            if (n->in[k] < 0) continue;
            kf__value *v = &e->g->values[n->in[k]];
            void *copy = kf__arena_copy(&e->g->arena, v->data, v->bytes);
            if (!copy) KF_FAIL_MEMORY(e->s.err, v->bytes);
            v->data = copy;
        }
    }
    return KF_OK;
}

/* Observe once, then balance every group in several rounds: the factors of one group depend on those of its
 * neighbours. */
static kf_status run(groups *e, const kf__qsamples *samples, kf_error *err) {
    kf__graph *g = e->g;
    KF_TRY(kf__sim_open(&e->s, g, samples, e->o, err));
    e->s.float_only = true;
    KF_TRY(find_groups(e));
    KF_TRY(observe(e));
    KF_TRY(own_weights(e));
    for (int round = 0; round < ROUNDS; round++) /* readers first */
        for (size_t v = g->n_values; v-- > 0;) {
            if (!e->range[v] || root_of(e, (kf__vid)v) != (kf__vid)v || e->fixed[v]) continue;
            kf__arena scratch;
            kf__arena_init(&scratch, NULL);
            kf_status st = balance(e, (kf__vid)v, &scratch);
            kf__arena_free(&scratch);
            if (st == KF_OK) st = kf__quantize_tell(e->o, 0, g->n_nodes, e->s.err);
            if (st != KF_OK) return st;
        }
    return KF_OK;
}

kf_status kf__equalize(kf__graph *g, const kf__qsamples *samples, const kf__qoptions *o, size_t *scaled,
                       kf_error *err) {
    groups e = {.g = g, .o = o};
    kf__arena_init(&e.arena, NULL);
    kf_status st = run(&e, samples, err);
    if (scaled) *scaled = e.scaled;
    kf__sim_close(&e.s);
    kf__arena_free(&e.arena);
    return st;
}
