/* One sample at a time through the float or the quantized network; a change runs again only what depends on it.
 * Owner rule: see trial.h. */
#include "quantize/trial.h"

#include <math.h>
#include <stdatomic.h>

#include "graph/qrules.h"
#include "preprocess/pixel.h"
#include "quantize/assign.h"
#include "quantize/layer_steps.h"

static bool is_layer(const kf__node *n) { return kf__op_is_layer(n->op); }

static bool reads_pixels(const kf__trial *t, const kf__node *n) {
    return t->sim.pixels && n->in[0] == t->real->inputs[0];
}

/* ---- preparing --------------------------------------------------------------------------------------------------- */

static float weight_at(const kf__value *w, size_t i, size_t row) {
    if (w->dtype == KF_F32) return ((const float *)w->data)[i];
    float q = w->dtype == KF_I8 ? (float)((const int8_t *)w->data)[i] : (float)((const int16_t *)w->data)[i];
    return q * kf__q_scale(w->quant, (int64_t)row);
}

/* Real weight rows [O][kh][kw][I/g] of either network. The float rows of the pixel layer are for pixels minus their
 * mean, as in the quantizer. */
static void fill_rows(const kf__trial *t, const kf__node *n, const kf__value *w, const kf__sim_layer *l, float *rows) {
    const kf__filters f = kf__sim_filters(l);
    bool pixels = w->dtype == KF_F32 && reads_pixels(t, n);
    for (size_t o = 0; o < f.o; o++)
        for (size_t i = 0; i < f.i; i++)
            for (size_t tap = 0; tap < f.taps; tap++) {
                float x = weight_at(w, kf__filters_graph(&f, o, i, tap), o);
                if (pixels) x = kf__pixel_weight(&t->real->meta.preprocess, kf__sim_channel(l, o, i), x);
                rows[kf__filters_row(&f, o, i, tap)] = x;
            }
}

/* What row o of the bias table's first border class subtracts for the mean: the taps inside the image at its first
 * pixel. */
static float mean_taken(const kf__trial *t, const kf__sim_layer *l, const float *rows, size_t o) {
    const kf__filters f = kf__sim_filters(l);
    double sum = 0;
    for (size_t tap = 0; tap < f.taps; tap++) {
        int32_t y = (int32_t)tap / l->window.kw * l->window.dh - l->window.pt,
                x = (int32_t)tap % l->window.kw * l->window.dw - l->window.pl;
        if (y < 0 || x < 0 || y >= (int32_t)l->x.h || x >= (int32_t)l->x.w) continue;
        for (size_t i = 0; i < f.i; i++)
            sum += (double)rows[kf__filters_row(&f, o, i, tap)] * t->sim.mean[kf__sim_channel(l, o, i)];
    }
    return (float)sum;
}

/* `unit`: real value of one unit of an I32 bias, without the row's own scale. */
static float bias_at(const kf__value *b, const kf__value *w, size_t o, float unit) {
    if (!b) return 0;
    if (b->dtype == KF_F32) return ((const float *)b->data)[o];
    return (float)((double)((const int32_t *)b->data)[o] * (double)unit * (double)kf__q_scale(w->quant, (int64_t)o));
}

/* Packs the layer's weights of the float network (side 0) and of the quantized one (side 1), both as real numbers. */
static kf_status prepare_layer(kf__trial *t, size_t index) {
    kf__trial_layer *to = &t->layers[index];
    KF_TRY(kf__sim_layer_of(&t->sim, &t->real->nodes[index], &to->l));
    for (int side = 0; side < 2; side++) {
        const kf__graph *g = side ? t->sim.graph : t->real;
        const kf__node *n = &g->nodes[index];
        const kf__value *w = &g->values[n->in[1]], *b = n->n_in > 2 && n->in[2] >= 0 ? &g->values[n->in[2]] : NULL;
        const kf__quant *in = g->values[n->in[0]].quant;
        float *rows = kf__arena_array(&t->sim.arena, to->l.o * to->l.k, sizeof *rows);
        float *bias = to->bias[side] = kf__arena_array(&t->sim.arena, to->l.o, sizeof *bias);
        if (!rows || !bias) KF_FAIL_MEMORY(t->sim.err, to->l.o * to->l.k * sizeof *rows);
        fill_rows(t, n, w, &to->l, rows);
        for (size_t o = 0; o < to->l.o; o++) {
            bool table = b && b->shape.rank == 2;
            int64_t channel = to->l.depthwise ? (int64_t)o : 0;
            bias[o] = bias_at(b, w, o, in && !table ? kf__q_scale(in, channel) : 1);
            if (table) bias[o] += mean_taken(t, &to->l, rows, o);
        }
        to->l.packed = NULL;
        KF_TRY(kf__sim_pack(&t->sim, &to->l, rows));
        to->packed[side] = to->l.packed;
    }
    return KF_OK;
}

static kf_status prepare_dense(kf__trial *t, const kf__graph *g, const kf__node *n, int at, const kf__quant *in,
                               float **w_out, float **b_out) {
    const kf__value *w = &g->values[n->in[at]], *b = &g->values[n->in[at + 1]];
    size_t o = (size_t)w->shape.dim[0], k = (size_t)w->shape.dim[1];
    *w_out = kf__arena_array(&t->sim.arena, o * k, sizeof **w_out);
    *b_out = kf__arena_array(&t->sim.arena, o, sizeof **b_out);
    if (!*w_out || !*b_out) KF_FAIL_MEMORY(t->sim.err, o * k * sizeof **w_out);
    for (size_t i = 0; i < o * k; i++) (*w_out)[i] = weight_at(w, i, i / k);
    for (size_t i = 0; i < o; i++) (*b_out)[i] = bias_at(b, w, i, in ? in->scale : 1);
    return KF_OK;
}

static kf_status prepare_gate(kf__trial *t, size_t index) {
    kf__trial_layer *to = &t->layers[index];
    for (int side = 0; side < 2; side++) {
        const kf__graph *g = side ? t->sim.graph : t->real;
        const kf__node *n = &g->nodes[index];
        KF_TRY(prepare_dense(t, g, n, 1, n->attrs.pool_quant, &to->w1[side], &to->b1[side]));
        KF_TRY(prepare_dense(t, g, n, 3, n->attrs.hidden_quant, &to->w2[side], &to->b2[side]));
    }
    return KF_OK;
}

/* The grid of v as floats, so that rounding needs no lookups in the graph. */
static kf_status prepare_grid(kf__trial *t, kf__vid v) {
    const kf__quant *q = t->sim.graph->values[v].quant;
    size_t c = kf__sim_shape_of(t->sim.graph, v).c;
    kf__trial_grid *to = &t->grids[v];
    if (!q || t->sim.graph->values[v].data) return KF_OK;
    float *all = kf__arena_array(&t->sim.arena, 4 * c, sizeof *all);
    if (!all) KF_FAIL_MEMORY(t->sim.err, 4 * c * sizeof *all);
    *to = (kf__trial_grid){.inv = all, .scale = all + c, .lo = all + 2 * c, .hi = all + 3 * c};
    for (size_t i = 0; i < c; i++) {
        to->scale[i] = kf__q_scale(q, (int64_t)i);
        to->inv[i] = kf__inverse((double)to->scale[i]);
        to->lo[i] = (float)(q->qmin - kf__q_zero(q, (int64_t)i)),
        to->hi[i] = (float)(q->qmax - kf__q_zero(q, (int64_t)i));
    }
    return KF_OK;
}

/* What softmax or a sigmoid head reads, however the output is shaped afterwards: these logits show errors that
 * probabilities hide. Else the output. */
static kf__vid logits_of(const kf__graph *g) {
    kf__vid v = kf__graph_ranked(g);
    for (int32_t at = g->values[v].producer; at >= 0; at = g->values[v].producer) {
        const kf__node *n = &g->nodes[at];
        if (kf__op_is_float_head(n->op) || kf__head_is_float(g, n)) return n->in[0];
        if (!kf__op_is_view(n->op)) break;
        v = n->in[0];
    }
    return kf__graph_ranked(g);
}

static kf_status prepare(kf__trial *t, int threads) {
    kf__graph *g = t->sim.graph;
    KF_TRY(kf__pool_create(threads < 1 ? 1 : threads, NULL, &t->sim.pool, t->sim.err));
    t->layers = kf__arena_zalloc(&t->sim.arena, g->n_nodes * sizeof *t->layers);
    t->grids = kf__arena_zalloc(&t->sim.arena, g->n_values * sizeof *t->grids);
    if (!t->layers || !t->grids) KF_FAIL_MEMORY(t->sim.err, g->n_values * sizeof *t->grids);
    for (size_t c = 0; c < 3; c++) t->sim.mean[c] = kf__pixel_mean(&g->meta.preprocess, c);
    for (size_t v = 0; v < t->real->n_values; v++) KF_TRY(prepare_grid(t, (kf__vid)v));
    for (size_t i = 0; i < g->n_nodes; i++) {
        if (is_layer(&g->nodes[i])) KF_TRY(prepare_layer(t, i));
        if (kf__op_is_gate(g->nodes[i].op)) KF_TRY(prepare_gate(t, i));
    }
    t->logits = logits_of(g);
    t->classes = kf__sim_shape_of(g, t->logits).count;
    return KF_OK;
}

kf_status kf__trial_open(kf__trial *t, const kf__graph *real, kf__graph *quantized, const kf__qsamples *samples,
                         int threads, kf_error *err) {
    *t = (kf__trial){.real = real, .samples = samples};
    t->sim = (kf__sim){.graph = quantized, .n_values = real->n_values, .pixels = samples->pixels, .err = err};
    kf__arena_init(&t->sim.arena, NULL);
    kf__kernels_select(kf__cpu_level_now(), &t->sim.k);
    kf_status st = prepare(t, threads);
    if (st != KF_OK) kf__trial_close(t);
    return st;
}

void kf__trial_close(kf__trial *t) {
    if (!t->real) return;
    kf__pool_destroy(&t->sim.pool);
    kf__arena_free(&t->sim.arena);
    *t = (kf__trial){0};
}

/* Side 2 of a layer: float weights plus the rounding noise of the 8-bit ones. */
kf_status kf__trial_noise(kf__trial *t, const kf__qnoise *noise) {
    for (size_t i = 0; i < t->sim.graph->n_nodes; i++) {
        kf__trial_layer *to = &t->layers[i];
        if (!noise[i].rows) continue;
        size_t n = to->l.o * to->l.k;
        const kf__node *node = &t->real->nodes[i];
        float *rows = kf__arena_array(&t->sim.arena, n, sizeof *rows);
        float *bias = to->bias[2] = kf__arena_array(&t->sim.arena, to->l.o, sizeof *bias);
        if (!rows || !bias) KF_FAIL_MEMORY(t->sim.err, n * sizeof *rows);
        fill_rows(t, node, &t->real->values[node->in[1]], &to->l, rows);
        for (size_t k = 0; k < n; k++) rows[k] += noise[i].rows[k];
        for (size_t o = 0; o < to->l.o; o++) bias[o] = to->bias[0][o] + noise[i].bias[o];
        to->l.packed = NULL;
        KF_TRY(kf__sim_pack(&t->sim, &to->l, rows));
        to->packed[2] = to->l.packed;
    }
    return KF_OK;
}

/* ---- running one node -------------------------------------------------------------------------------------------- */

/* One worker's activations: of the network as it is, and of the network with a change. */
typedef struct worker {
    kf__trial *t;
    kf__sim sim; /* the trial's, with its own error object */
    kf__arena arena;
    float **base, **other; /* [n_values] */
    uint8_t *changed;      /* [n_values]: `other` holds it */
    float *scratch;
    kf_error err;
    kf_status st;
} worker;

/* One layer with the weights of side `which`, then activation, residual and last clip. */
static void run_layer(worker *w, const kf__node *n, const kf__trial_layer *layer, int which, const float *const *x,
                      float *y) {
    const kf__attrs *a = &n->attrs;
    kf__sim_layer l = layer->l;
    const float *bias = layer->bias[which], *residual = n->op == KF_OP_CONV && n->n_in > 3 ? x[3] : NULL;
    l.packed = layer->packed[which];
    kf__sim_run(&w->sim, &l, x[0], y, w->scratch);
    for (size_t i = 0; i < l.y.h * l.y.w; i++, y += l.o) {
        for (size_t c = 0; c < l.o; c++) y[c] = kf__activate(a->act.kind, y[c] + bias[c], a->act.lo, a->act.hi);
        if (residual)
            for (size_t c = 0; c < l.o; c++) y[c] += residual[i * l.o + c];
        if (n->op == KF_OP_CONV && a->post_act.kind != KF_ACT_NONE)
            for (size_t c = 0; c < l.o; c++)
                y[c] = kf__activate(a->post_act.kind, y[c], a->post_act.lo, a->post_act.hi);
    }
}

static void dense(const float *w, const float *b, size_t o, size_t k, const kf__activation *act, const float *x,
                  float *y) {
    for (size_t r = 0; r < o; r++) {
        double sum = (double)b[r];
        for (size_t i = 0; i < k; i++) sum += (double)w[r * k + i] * (double)x[i];
        y[r] = kf__activate(act->kind, (float)sum, act->lo, act->hi);
    }
}

static void round_i16(const kf__quant *q, size_t n, float *x) {
    float inv = kf__inverse((double)q->scale);
    for (size_t i = 0; i < n; i++) x[i] = (float)kf__quantize_clamped(x[i] * inv, 0, q->qmin, q->qmax) * q->scale;
}

/* The pooled and the hidden values are rounded to i16 in the quantized network only. */
static void run_gate(worker *w, const kf__node *n, const kf__trial_layer *layer, int which, const float *x, float *y) {
    kf__sim_shape d = kf__sim_shape_of(w->sim.graph, n->in[0]);
    size_t hidden = (size_t)w->sim.graph->values[n->in[1]].shape.dim[0];
    float *pooled = w->scratch, *mid = pooled + d.c;
    for (size_t c = 0; c < d.c; c++) {
        double sum = 0;
        for (size_t i = 0; i < d.h * d.w; i++) sum += (double)x[i * d.c + c];
        pooled[c] = (float)(sum / (double)(d.h * d.w));
    }
    if (which) round_i16(n->attrs.pool_quant, d.c, pooled);
    dense(layer->w1[which], layer->b1[which], hidden, d.c, &n->attrs.act, pooled, mid);
    if (which) round_i16(n->attrs.hidden_quant, hidden, mid);
    dense(layer->w2[which], layer->b2[which], d.c, hidden, &n->attrs.gate_act, mid, y);
}

static void to_grid(const kf__trial_grid *g, const kf__sim_shape *d, float *y) {
    for (size_t i = 0; i < d->h * d->w; i++, y += d->c)
        for (size_t c = 0; c < d->c; c++) {
            float q = y[c] * g->inv[c];
            if (q < g->lo[c]) q = g->lo[c];
            else if (q > g->hi[c]) q = g->hi[c];
            y[c] = rintf(q) * g->scale[c];
        }
}

/* Node `index` into `y`; `weights` and `round` say which network's weights it has and whether its output is rounded. */
static kf_status run_node(worker *w, size_t index, int weights, bool round, float *y) {
    const kf__trial *t = w->t;
    const kf__node *n = &t->sim.graph->nodes[index];
    const float *x[16] = {NULL};
    for (int k = 0; k < n->n_in && k < 16; k++)
        if (n->in[k] >= 0 && (size_t)n->in[k] < w->sim.n_values)
            x[k] = w->changed[n->in[k]] ? w->other[n->in[k]] : w->base[n->in[k]];
    if (is_layer(n)) run_layer(w, n, &t->layers[index], weights, x, y);
    else if (kf__op_is_gate(n->op)) run_gate(w, n, &t->layers[index], weights, x[0], y);
    else KF_TRY(kf__step_compute(&w->sim, n, x, y));
    const kf__trial_grid *g = &t->grids[n->out[0]];
    if (!round || !g->inv || kf__op_keeps_integers(n->op)) return KF_OK;
    const kf__sim_shape d = kf__sim_shape_of(t->sim.graph, n->out[0]);
    to_grid(g, &d, y);
    return KF_OK;
}

/* ---- whole networks ---------------------------------------------------------------------------------------------- */

/* A worker has two buffers for every activation: one for the unchanged network and one for the network with a change.
 * 16 more floats let kernels read whole vectors. */
static kf_status worker_open(worker *w, kf__trial *t) {
    const kf__graph *g = t->sim.graph;
    size_t values = t->real->n_values, scratch = 0;
    *w = (worker){.t = t, .sim = t->sim};
    w->sim.err = &w->err;
    kf__arena_init(&w->arena, NULL);
    w->base = kf__arena_zalloc(&w->arena, 2 * values * sizeof *w->base);
    w->changed = kf__arena_zalloc(&w->arena, values);
    if (!w->base || !w->changed) KF_FAIL_MEMORY(t->sim.err, 2 * values * sizeof *w->base);
    w->other = w->base + values;
    for (size_t v = 0; v < 2 * values; v++) {
        if (g->values[v % values].data) continue;
        size_t count = kf__sim_shape_of(g, (kf__vid)(v % values)).count;
        if (!(w->base[v] = kf__arena_array(&w->arena, count + 16, sizeof(float))))
            KF_FAIL_MEMORY(t->sim.err, count * sizeof(float));
    }
    for (size_t i = 0; i < g->n_nodes; i++) {
        const kf__node *n = &g->nodes[i];
        size_t need = is_layer(n) ? kf__sim_scratch(&t->layers[i].l) : 1;
        if (kf__op_is_gate(n->op)) need = kf__sim_shape_of(g, n->in[0]).c + (size_t)g->values[n->in[1]].shape.dim[0];
        scratch = need > scratch ? need : scratch;
    }
    if (!(w->scratch = kf__arena_array(&w->arena, scratch, sizeof *w->scratch)))
        KF_FAIL_MEMORY(t->sim.err, scratch * sizeof *w->scratch);
    return KF_OK;
}

static void put_sample(worker *w, size_t sample, bool quantized) {
    const kf__trial *t = w->t;
    kf__vid v = t->real->inputs[0];
    kf__sim_shape d = kf__sim_shape_of(t->real, v);
    const void *data = t->samples->data[sample];
    float *to = w->base[v];
    kf__sim_read(&t->sim, data, &d, to);
    if (quantized && !t->sim.pixels && t->grids[v].inv) to_grid(&t->grids[v], &d, to);
}

static kf_status run_all(worker *w, size_t sample, int which) {
    put_sample(w, sample, which == 1);
    for (size_t i = 0; i < w->t->sim.graph->n_nodes; i++)
        KF_TRY(run_node(w, i, which, which == 1, w->base[w->t->sim.graph->nodes[i].out[0]]));
    return KF_OK;
}

/* Recomputes the nodes that depend on the changed one. All other values are those of `base`. */
static kf_status run_change(worker *w, const kf__trial_change *c) {
    const kf__graph *g = w->t->sim.graph;
    kf_status st = run_node(w, c->node, c->weights ? 2 : 0, !c->weights, w->other[g->nodes[c->node].out[0]]);
    w->changed[g->nodes[c->node].out[0]] = 1;
    for (size_t i = c->node + 1; st == KF_OK && i < g->n_nodes; i++) {
        const kf__node *n = &g->nodes[i];
        bool depends = false;
        for (int k = 0; k < n->n_in; k++)
            depends |= n->in[k] >= 0 && (size_t)n->in[k] < w->sim.n_values && w->changed[n->in[k]];
        if (!depends) continue;
        st = run_node(w, i, 0, false, w->other[n->out[0]]);
        w->changed[n->out[0]] = 1;
    }
    return st;
}

typedef struct job {
    worker *workers;
    int which;
    float *logits; /* gets the logits of one network; NULL: errors are computed */
    const float *want;
    const kf__trial_change *changes;
    size_t n;
    atomic_bool *stopped; /* the progress callback asked to stop */
    double *error;        /* [samples][n]: summed in sample order afterwards */
} job;

static double squared(const float *a, const float *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)(a[i] - b[i]) * (double)(a[i] - b[i]);
    return sum;
}

/* Calls the progress callback, on the calling thread only, and stops every worker when it asks to. */
static kf_status report(const job *j, worker *w, size_t done, size_t total) {
    const kf__trial *t = w->t;
    bool first = w == j->workers; /* the one on the calling thread */
    if (first && t->progress && t->progress(t->user, done, total)) atomic_store(j->stopped, true);
    if (!atomic_load(j->stopped)) return KF_OK;
    KF_FAIL(&w->err, KF_ERR_CANCELLED, "quantize: stopped while measuring, as the caller asked");
}

/* Either copies the logits, or measures the error that each change alone causes. */
static kf_status one_sample(const job *j, worker *w, size_t sample) {
    const kf__trial *t = w->t;
    KF_TRY(run_all(w, sample, j->which));
    if (j->logits) {
        memcpy(j->logits + sample * t->classes, w->base[t->logits], t->classes * sizeof(float));
        return report(j, w, sample, t->samples->n);
    }
    const float *want = j->want + sample * t->classes;
    double *error = j->error + sample * j->n;
    for (size_t i = 0; i < j->n; i++) {
        KF_TRY(run_change(w, &j->changes[i]));
        error[i] = squared(w->changed[t->logits] ? w->other[t->logits] : w->base[t->logits], want, t->classes);
        memset(w->changed, 0, w->sim.n_values);
        KF_TRY(report(j, w, sample * j->n + i, t->samples->n * j->n));
    }
    return KF_OK;
}

static void run_samples(void *ctx, int index, int workers) {
    const job *j = ctx;
    worker *w = &j->workers[index];
    for (size_t s = (size_t)index; w->st == KF_OK && s < w->t->samples->n; s += (size_t)workers)
        w->st = one_sample(j, w, s);
}

/* One worker for each thread of the pool. The first error found is reported. */
static kf_status run(kf__trial *t, job *j) {
    int n = kf__pool_size(t->sim.pool);
    atomic_bool stopped = false;
    j->stopped = &stopped;
    kf_status st = KF_OK;
    if (!(j->workers = kf__mem_zalloc(NULL, (size_t)n * sizeof *j->workers)))
        KF_FAIL_MEMORY(t->sim.err, (size_t)n * sizeof *j->workers);
    for (int i = 0; i < n && st == KF_OK; i++) st = worker_open(&j->workers[i], t);
    if (st == KF_OK) kf__pool_run(t->sim.pool, run_samples, j);
    for (int i = 0; i < n; i++) {
        if (st == KF_OK && j->workers[i].st != KF_OK) {
            st = j->workers[i].st;
            if (t->sim.err) *t->sim.err = j->workers[i].err;
        }
        if (j->workers[i].t) kf__arena_free(&j->workers[i].arena);
    }
    kf__mem_free(NULL, j->workers);
    return st;
}

kf_status kf__trial_logits(kf__trial *t, int which, float *logits) {
    job j = {.which = which, .logits = logits};
    return run(t, &j);
}

kf_status kf__trial_errors(kf__trial *t, const float *logits, const kf__trial_change *changes, size_t n,
                           double *error) {
    job j = {.want = logits, .changes = changes, .n = n};
    size_t samples = t->samples->n;
    if (!(j.error = kf__mem_zalloc(NULL, (samples * n + 1) * sizeof *j.error)))
        KF_FAIL_MEMORY(t->sim.err, samples * n * sizeof *j.error);
    kf_status st = run(t, &j);
    for (size_t i = 0; i < n; i++) error[i] = 0;
    for (size_t i = 0; i < samples * n; i++) error[i % n] += j.error[i];
    kf__mem_free(NULL, j.error);
    return st;
}
