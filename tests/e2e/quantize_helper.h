/* A plain min-max quantizer for tests: runs the float oracle, takes each value's range, quantizes weights symmetrically
 * per channel. Not the product's quantizer: enough to make real quantized graphs of any fused network. Owner rule:
 * everything lives in the graph's arena. */
#ifndef KF_TESTS_QUANTIZE_HELPER_H
#define KF_TESTS_QUANTIZE_HELPER_H

#include <math.h>
#include <stdlib.h>

#include "graph/qrules.h"
#include "ref/ref.h"
#include "tensor/layout.h"

typedef struct qh_range {
    float lo, hi;
} qh_range;

static inline kf_status qh_see(void *user, const kf__graph *g, kf__vid v, const kf__dense *d, kf_error *err) {
    qh_range *r = (qh_range *)user + v;
    size_t n = 0;
    if (d->dtype != KF_F32 || !kf__shape_count(&d->shape, &n)) return KF_OK;
    for (size_t i = 0; i < n; i++) {
        float x = ((const float *)d->data)[i];
        if (x < r->lo) r->lo = x;
        if (x > r->hi) r->hi = x;
    }
    return KF_OK;
}

static inline kf__quant *qh_new(kf__graph *g, kf_dtype type, qh_range r) {
    kf__quant *q = kf__arena_zalloc(&g->arena, sizeof *q);
    double lo = r.lo < 0 ? (double)r.lo : 0, hi = r.hi > 0 ? (double)r.hi : 0;
    if (hi - lo < 1e-6) hi = lo + 1e-6;
    *q = (kf__quant){.dtype = type};
    if (type == KF_U8) {
        q->scale = (float)((hi - lo) / 255);
        q->zero = (int32_t)lrint(-lo / (double)q->scale);
        q->qmax = 255;
    } else { /* narrow enough for every consumer of a MobileNetV3: 2^31 / (127 * 1280 taps) */
        q->qmax = 12000, q->qmin = -12000;
        q->scale = (float)((hi > -lo ? hi : -lo) / 12000);
    }
    return q;
}

/* Weights of input `w` to i8 (or i16), bias `b` to i32 against an input scale (a vector for depthwise inputs). */
static inline void qh_seal(kf__graph *g, kf__node *n, int w, int b, const kf__quant *in, bool f32_bias, bool wide) {
    kf__value v = g->values[n->in[w]];
    size_t count = 0, rows = (size_t)v.shape.dim[0];
    if (!kf__shape_count(&v.shape, &count)) abort();
    size_t per = count / rows, e = wide ? 2 : 1;
    float *s = kf__arena_array(&g->arena, rows, sizeof *s);
    char *q = kf__arena_alloc(&g->arena, count * e);
    const float *f = v.data, *bias = n->n_in > b && n->in[b] >= 0 ? g->values[n->in[b]].data : NULL;
    int32_t *bq = kf__arena_array(&g->arena, rows, sizeof *bq);
    for (size_t o = 0; o < rows; o++) {
        double top = bias ? fabs((double)bias[o]) /
                                ((double)kf__q_scale(in, (int64_t)o % (in->channels ? in->channels : 1)) * 16777216)
                          : 0;
        if (top < 1e-20) top = 1e-20;
        double limit = wide ? 2000 : 127;
        for (size_t i = 0; i < per; i++)
            if (fabs((double)f[o * per + i]) / limit > top) top = fabs((double)f[o * per + i]) / limit;
        s[o] = (float)top;
        for (size_t i = 0; i < per; i++) {
            long x = lrint((double)f[o * per + i] / (double)s[o]);
            x = x > (long)limit ? (long)limit : x < -(long)limit ? -(long)limit : x;
            if (wide) ((int16_t *)(void *)q)[o * per + i] = (int16_t)x;
            else ((int8_t *)q)[o * per + i] = (int8_t)x;
        }
        double s_in = (double)kf__q_scale(in, in->channels ? (int64_t)o : 0);
        bq[o] = bias ? (int32_t)lrint((double)bias[o] / (s_in * (double)s[o])) : 0;
    }
    kf__vid wv = kf__graph_add_const(g, v.name, wide ? KF_I16 : KF_I8, &v.shape, q);
    kf__quant *wq = kf__arena_zalloc(&g->arena, sizeof *wq);
    *wq = (kf__quant){.dtype = wide ? KF_I16 : KF_I8, .channels = (int32_t)rows, .scales = s};
    g->values[wv].quant = wq;
    n->in[w] = wv;
    if (!bias || f32_bias) return;
    kf__shape bs = kf__shape_make(1, (int64_t[]){(int64_t)rows});
    n->in[b] = kf__graph_add_const(g, "bias", KF_I32, &bs, bq);
}

/* The input channel of slice k of the weights, which count over filters and their channels. */
static inline size_t qh_channel(const kf__filters *f, const kf__window *a, size_t k) {
    return kf__filters_channel(f, (size_t)a->group, k / f->i, k % f->i);
}

/* The pixel layer: 1/(255 std) into the weights, the mean into one bias row a border class. */
static inline void qh_pixels(kf__graph *g, kf__node *n, bool wide) {
    const kf_preprocess *p = &g->meta.preprocess;
    kf__value v = g->values[n->in[1]];
    const kf__window *a = &n->attrs.window;
    size_t count = 0, o_n = (size_t)v.shape.dim[0], c_n = (size_t)v.shape.dim[1], taps = (size_t)(a->kh * a->kw);
    if (!kf__shape_count(&v.shape, &count)) abort();
    float *w = kf__arena_copy(&g->arena, v.data, count * 4);
    const float *b = n->n_in > 2 && n->in[2] >= 0 ? g->values[n->in[2]].data : NULL;
    const kf__filters f = kf__filters_of(&v.shape);
    for (size_t i = 0; i < count; i++) w[i] = (float)((double)w[i] / (255 * p->std[qh_channel(&f, a, i / taps)]));
    g->values[n->in[1]].data = w;
    kf__quant *in = g->values[n->in[0]].quant;
    qh_seal(g, n, 1, 2, in, true, wide); /* the bias bounds the scales */
    const kf__value *q = &g->values[n->in[1]];
    const kf__shape *x = &g->values[n->in[0]].shape, *y = &g->values[n->out[0]].shape;
    const kf__axis down = kf__window_rows(a), across = kf__window_columns(a);
    kf__taps ty[2048], tx[2048];
    int32_t ny = kf__border_classes(&down, x->dim[2], y->dim[2], NULL, ty),
            nx = kf__border_classes(&across, x->dim[3], y->dim[3], NULL, tx);
    int32_t *table = kf__arena_array(&g->arena, (size_t)(ny * nx) * o_n, 4);
    kf__dense wd = {.dtype = q->dtype, .shape = q->shape, .data = (void *)(uintptr_t)q->data};
    for (int32_t k = 0; k < ny * nx; k++)
        for (size_t o = 0; o < o_n; o++) {
            double sum = b ? (double)b[o] / (double)q->quant->scales[o] : 0;
            for (size_t i = 0; i < c_n * taps; i++) {
                int32_t ky = (int32_t)(i % taps) / a->kw, kx = (int32_t)(i % taps) % a->kw;
                const kf__taps *down_here = &ty[k / nx], *across_here = &tx[k % nx];
                if (ky < down_here->first || ky >= down_here->first + down_here->count || kx < across_here->first ||
                    kx >= across_here->first + across_here->count)
                    continue;
                sum -= kf__ref_get(&wd, o * c_n * taps + i) * p->mean[qh_channel(&f, a, o * c_n + i / taps)] * 255;
            }
            table[(size_t)k * o_n + o] = (int32_t)lrint(sum);
        }
    kf__shape s = kf__shape_make(2, (int64_t[]){ny * nx, (int64_t)o_n});
    kf__vid bias = kf__graph_add_const(g, "border", KF_I32, &s, table);
    if (n->n_in > 2) n->in[2] = bias;
    else {
        kf__vid *list = kf__arena_array(&g->arena, 3, sizeof *list);
        list[0] = n->in[0], list[1] = n->in[1], list[2] = bias;
        n->in = list, n->n_in = 3;
    }
}

/* Scales and zero points by channel where all readers are depthwise convolutions and the step keeps one pair of bounds;
 * made up near the tensor's own. */
static inline void qh_by_channel(kf__graph *g, const kf__node *made_by, kf__vid v) {
    kf__quant *q = g->values[v].quant;
    int32_t c = (int32_t)g->values[v].shape.dim[1];
    for (size_t i = 0; i < g->n_nodes; i++)
        for (int k = 0; k < g->nodes[i].n_in; k++) {
            const kf__node *n = &g->nodes[i];
            if (n->in[k] == v &&
                (n->op != KF_OP_CONV || k != 0 || n->attrs.window.group != c || g->values[n->in[1]].shape.dim[0] != c))
                return;
        }
    if (q->dtype != KF_U8 || c < 2) return;
    float *s = kf__arena_array(&g->arena, (size_t)c, 4);
    int32_t *z = kf__arena_array(&g->arena, (size_t)c, 4);
    for (int32_t i = 0; i < c; i++)
        s[i] = q->scale * (1 + 0.07f * (float)(i % 4)), z[i] = q->zero > 250 ? q->zero : q->zero + i % 5;
    kf__quant by_channel = *q;
    by_channel.channels = c, by_channel.scales = s, by_channel.zeros = z;
    if (kf__q_uniform_bounds(made_by, &by_channel)) *q = by_channel;
}

static inline bool qh_same(const kf__graph *g, const kf__node *n) {
    return n->op == KF_OP_FLATTEN || n->op == KF_OP_RESHAPE || n->op == KF_OP_SQUEEZE || n->op == KF_OP_UNSQUEEZE ||
           n->op == KF_OP_MAX_POOL || n->op == KF_OP_PAD;
}

/* Quantize a fused graph in place. `wide_every` > 0: every such value is i16, its layer's weights too. Picture models
 * read pixels. */
static inline kf_status qh_quantize(kf__graph *g, kf__dense *inputs, size_t n_inputs, int wide_every, kf_error *err) {
    size_t values = g->n_values;
    qh_range *r = calloc(values, sizeof *r);
    kf__arena arena;
    kf__arena_init(&arena, NULL);
    kf_status st = KF_OK;
    for (size_t i = 0; i < n_inputs && st == KF_OK; i++) {
        kf__dense out[4];
        st = kf__ref_run(g, &inputs[i], 1, out, g->n_outputs, qh_see, r, &arena, err);
    }
    kf__arena_free(&arena);
    if (st != KF_OK) return st;
    bool pixels = g->meta.preprocess.valid;
    kf__vid first = g->inputs[0];
    g->values[first].quant = qh_new(g, KF_U8, r[first]);
    if (pixels) g->values[first].quant->scale = 1, g->values[first].quant->zero = 0;
    g->values[first].quant->pixels = pixels;
    int turn = 0;
    for (size_t i = 0; i < g->n_nodes; i++) {
        kf__node *n = &g->nodes[i];
        kf__vid y = n->out[0];
        bool last = y == g->outputs[0], wide = wide_every > 0 && ++turn % wide_every == 0;
        if (n->op == KF_OP_SE_GATE) {
            n->attrs.pool_quant = qh_new(g, KF_I16, r[n->in[0]]);
            n->attrs.hidden_quant = qh_new(g, KF_I16, (qh_range){-20, 20});
        } else if (qh_same(g, n)) {
            g->values[y].quant = g->values[n->in[0]].quant;
        } else if (!last && n->op != KF_OP_SOFTMAX &&
                   !(g->nodes[g->n_nodes - 1].op == KF_OP_SOFTMAX && i + 2 >= g->n_nodes)) {
            g->values[y].quant = qh_new(g, wide || n->op == KF_OP_GLOBAL_AVG_POOL ? KF_I16 : KF_U8, r[y]);
            if (n->op == KF_OP_CONV) qh_by_channel(g, n, y);
        }
        const kf__quant *in = g->values[n->in[0]].quant;
        if (n->op == KF_OP_CONV && pixels && n->in[0] == first) qh_pixels(g, n, wide);
        else if (n->op == KF_OP_CONV || n->op == KF_OP_FC)
            qh_seal(g, n, 1, 2, in, g->values[y].quant == NULL, wide && in->dtype == KF_U8);
        else if (n->op == KF_OP_SE_GATE) {
            qh_seal(g, n, 1, 2, n->attrs.pool_quant, false, false);
            qh_seal(g, n, 3, 4, n->attrs.hidden_quant, false, false);
        }
    }
    free(r);
    return KF_OK;
}

#endif
