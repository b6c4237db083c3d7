/* Storage of the paired networks: samples in, activations by value, release after the last reader.
 * Owner rule: see sim.h. */
#include "quantize/sim.h"

#include <float.h>
#include <math.h>

#include "graph/qrules.h"
#include "preprocess/pixel.h"

kf__sim_shape kf__sim_shape_of(const kf__graph *g, kf__vid v) {
    const kf__shape *s = &g->values[v].shape;
    kf__sim_shape out = {.h = 1, .w = 1, .c = s->rank > 1 ? (size_t)s->dim[1] : 1};
    if (s->rank == 4) out.h = (size_t)s->dim[2], out.w = (size_t)s->dim[3];
    if (s->rank == 3) out.w = (size_t)s->dim[2];
    if ((s->rank == 1 || s->rank > 4) && !kf__shape_count(s, &out.c)) out.c = 1; /* what a view made: a vector */
    out.count = out.h * out.w * out.c;
    return out;
}

/* The simulation runs one picture at a time: one input, no batch, ranks of images and vectors only. */
static kf_status check_graph(const kf__graph *g, kf_error *err) {
    if (g->n_inputs != 1)
        KF_FAIL(err, KF_ERR_UNSUPPORTED, "the network has %zu inputs; one can be quantized", g->n_inputs);
    const kf__value *in = &g->values[g->inputs[0]];
    if (in->shape.rank > 1 && in->shape.dim[0] > 1)
        KF_FAIL(err, KF_ERR_UNSUPPORTED,
                "input %s takes a batch of %lld; a network is quantized for one picture: import it with "
                "--batch 1",
                in->name, (long long)in->shape.dim[0]);
    for (size_t i = 0; i < g->n_nodes; i++)
        for (int k = 0; k < g->nodes[i].n_out; k++) {
            if (g->nodes[i].out[k] < 0) continue;
            const kf__shape *s = &g->values[g->nodes[i].out[k]].shape;
            if (kf__op_is_view(g->nodes[i].op) && (s->rank < 2 || s->rank > 4)) continue; /* towards an output */
            if (s->rank < 2 || s->rank > 4 || s->dim[0] != 1)
                KF_FAIL(err, KF_ERR_UNSUPPORTED,
                        "%s: its output has rank %d or a batch above 1; quantize the network for one picture",
                        g->nodes[i].name, s->rank);
        }
    return KF_OK;
}

static void find_last_uses(kf__sim *s) {
    const kf__graph *g = s->graph;
    for (size_t v = 0; v < s->n_values; v++) s->last_use[v] = -1;
    for (size_t i = 0; i < g->n_nodes; i++)
        for (int k = 0; k < g->nodes[i].n_in; k++)
            if (g->nodes[i].in[k] >= 0) s->last_use[g->nodes[i].in[k]] = (int32_t)i;
    for (size_t k = 0; k < g->n_outputs; k++) s->last_use[g->outputs[k]] = INT32_MAX;
    s->last_use[kf__graph_ranked(g)] = INT32_MAX; /* what a choice at the end is judged by */
}

/* Most bytes that one sample needs at a time: floats and integers of everything alive. */
static size_t peak_bytes(const kf__sim *s) {
    const kf__graph *g = s->graph;
    size_t live = kf__sim_shape_of(g, g->inputs[0]).count * 8, peak = live;
    for (size_t i = 0; i < g->n_nodes; i++) {
        for (int k = 0; k < g->nodes[i].n_out; k++) live += kf__sim_shape_of(g, g->nodes[i].out[k]).count * 6;
        if (live > peak) peak = live;
        for (int k = 0; k < g->nodes[i].n_in; k++) {
            kf__vid v = g->nodes[i].in[k];
            bool again = false;
            for (int before = 0; before < k; before++) again = again || g->nodes[i].in[before] == v;
            if (v < 0 || again || s->last_use[v] != (int32_t)i || g->values[v].data) continue;
            live -= kf__sim_shape_of(g, v).count * (g->values[v].producer < 0 ? 8 : 6);
        }
    }
    return peak + 1;
}

void kf__sim_read(const kf__sim *s, const void *data, const kf__sim_shape *x, float *to) {
    const uint8_t *pixels = data;
    const float *planes = data;
    size_t hw = x->h * x->w;
    if (!s->pixels && s->graph->values[s->graph->inputs[0]].nhwc) {
        memcpy(to, data, x->count * sizeof *to);
        return;
    }
    for (size_t i = 0; i < hw; i++)
        for (size_t c = 0; c < x->c; c++)
            to[i * x->c + c] = s->pixels ? (float)((double)pixels[i * x->c + c] - s->mean[c]) : planes[c * hw + i];
}

static void take_sample(kf__sim *s, const void *data, kf__sim_value *to, const kf__sim_shape *x) {
    kf__sim_read(s, data, x, to->f);
    if (to->g) memcpy(to->g, to->f, x->count * sizeof *to->g);
}

/* Uses as many samples as the memory limit allows; peak_bytes is the need of one sample. */
kf_status kf__sim_open(kf__sim *s, kf__graph *g, const kf__qsamples *samples, const kf__qoptions *o, kf_error *err) {
    *s = (kf__sim){.graph = g, .o = o, .n_values = g->n_values, .pixels = samples->pixels, .err = err};
    kf__arena_init(&s->arena, NULL);
    if (samples->n == 0)
        KF_FAIL(err, KF_ERR_ARGUMENT, "no calibration samples were given; some 50 to 200 typical inputs are needed");
    KF_TRY(check_graph(g, err));
    kf__kernels_select(kf__cpu_level_now(), &s->k);
    KF_TRY(kf__pool_create(o->asked.threads < 1 ? 1 : o->asked.threads, NULL, &s->pool, err));
    int started = kf__pool_size(s->pool), wanted = kf__pool_wanted(s->pool);
    if (o->fewer && started < wanted) o->fewer(o->fewer_user, started, wanted);
    s->last_use = kf__arena_array(&s->arena, g->n_values, sizeof *s->last_use);
    if (!s->last_use) KF_FAIL_MEMORY(err, g->n_values * sizeof *s->last_use);
    find_last_uses(s);
    size_t most = o->memory / peak_bytes(s);
    if (samples->n < most || o->memory == 0) s->samples = samples->n;
    else s->samples = most < 1 ? 1 : most;
    s->values = kf__arena_zalloc(&s->arena, s->samples * g->n_values * sizeof *s->values);
    if (!s->values) KF_FAIL_MEMORY(err, s->samples * g->n_values * sizeof *s->values);
    for (size_t c = 0; c < 3; c++) s->mean[c] = kf__pixel_mean(&g->meta.preprocess, c);
    kf__sim_shape x = kf__sim_shape_of(g, g->inputs[0]);
    KF_TRY(kf__sim_alloc(s, g->inputs[0], g->values[g->inputs[0]].quant && !s->pixels));
    for (size_t i = 0; i < s->samples; i++) /* if not all samples fit, those used are spread over the whole list */
        take_sample(s, samples->data[i * samples->n / s->samples], kf__sim_at(s, i, g->inputs[0]), &x);
    return KF_OK;
}

static void free_value(kf__sim_value *v) {
    kf__mem_free(NULL, v->f);
    kf__mem_free(NULL, v->q);
    kf__mem_free(NULL, v->g);
    *v = (kf__sim_value){0};
}

void kf__sim_close(kf__sim *s) {
    for (size_t i = 0; s->values && i < s->samples * s->n_values; i++) free_value(&s->values[i]);
    kf__pool_destroy(&s->pool);
    kf__arena_free(&s->arena);
    *s = (kf__sim){0};
}

kf_status kf__sim_alloc(kf__sim *s, kf__vid v, bool quantized) {
    size_t n = kf__sim_shape_of(s->graph, v).count;
    for (size_t i = 0; i < s->samples; i++) {
        kf__sim_value *x = kf__sim_at(s, i, v);
        if (!x->f) x->f = kf__mem_alloc(NULL, n * sizeof *x->f);
        if (quantized && !x->q) x->q = kf__mem_alloc(NULL, n * sizeof *x->q);
        if (!quantized && !x->g && !s->float_only) x->g = kf__mem_alloc(NULL, n * sizeof *x->g);
        if (!x->f || (!s->float_only && (quantized ? !x->q : !x->g))) KF_FAIL_MEMORY(s->err, n * sizeof *x->f);
    }
    return KF_OK;
}

/* Without a branch: many millions are looked at. */
static bool all_finite(const float *x, size_t n) {
    int bad = 0;
    for (size_t i = 0; i < n; i++) bad |= !(fabsf(x[i]) <= FLT_MAX);
    return !bad;
}

kf_status kf__sim_check_finite(const kf__sim *s, const kf__node *n) {
    size_t count = kf__sim_shape_of(s->graph, n->out[0]).count;
    for (size_t k = 0; k < s->samples; k++) {
        const float *x = kf__sim_at(s, k, n->out[0])->f;
        if (!all_finite(x, count))
            KF_FAIL(s->err, KF_ERR_UNSUPPORTED,
                    "node %.200s (%s): calibration sample %zu gives it a value that is not finite; its weights or that "
                    "sample are too large",
                    n->name, kf__op_name(n->op), k);
    }
    return KF_OK;
}

void kf__sim_release(kf__sim *s, int32_t i) {
    const kf__node *n = &s->graph->nodes[i];
    for (int in = 0; in < n->n_in; in++) {
        kf__vid v = n->in[in]; /* values made after kf__sim_open have no entry */
        if (v < 0 || (size_t)v >= s->n_values || s->last_use[v] != i) continue;
        for (size_t k = 0; k < s->samples; k++) free_value(kf__sim_at(s, k, v));
    }
}

const float *kf__sim_real(const kf__sim *s, size_t sample, kf__vid v, float *scratch) {
    const kf__sim_value *x = kf__sim_at(s, sample, v);
    if (!x->q) return x->g;
    const kf__quant *q = s->graph->values[v].quant;
    kf__sim_shape d = kf__sim_shape_of(s->graph, v);
    for (size_t i = 0; i < d.h * d.w; i++)
        for (size_t c = 0; c < d.c; c++)
            scratch[i * d.c + c] = (float)(x->q[i * d.c + c] - kf__q_zero(q, (int64_t)c)) * kf__q_scale(q, (int64_t)c);
    return scratch;
}

void kf__sim_round(const kf__sim *s, kf__vid v, float *x) {
    const kf__quant *q = s->graph->values[v].quant;
    kf__sim_shape d = kf__sim_shape_of(s->graph, v);
    for (size_t i = 0; q && i < d.h * d.w; i++)
        for (size_t c = 0; c < d.c; c++, x++) {
            float scale = kf__q_scale(q, (int64_t)c);
            int32_t z = kf__q_zero(q, (int64_t)c);
            *x = (float)(kf__quantize_clamped(*x * kf__inverse((double)scale), z, q->qmin, q->qmax) - z) * scale;
        }
}

/* Step 5 of docs/NUMERICS.md: times the inverse scale, clamp, round, add the zero point. */
void kf__sim_store(const kf__sim *s, size_t sample, kf__vid v, const float *x) {
    kf__sim_value *to = kf__sim_at(s, sample, v);
    kf__sim_shape d = kf__sim_shape_of(s->graph, v);
    if (!to->q) {
        memcpy(to->g, x, d.count * sizeof *x);
        return;
    }
    const kf__quant *q = s->graph->values[v].quant;
    float inv = kf__inverse((double)q->scale);
    for (size_t i = 0; i < d.h * d.w; i++)
        for (size_t c = 0; c < d.c; c++) {
            float k = q->channels ? kf__inverse((double)q->scales[c]) : inv;
            to->q[i * d.c + c] =
                (int16_t)kf__quantize_clamped(x[i * d.c + c] * k, kf__q_zero(q, (int64_t)c), q->qmin, q->qmax);
        }
}
