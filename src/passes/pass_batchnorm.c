/* Folds batch normalization into the convolution before it. Without such a convolution, it becomes a 1x1 depthwise
 * convolution. All arithmetic is f32 in one fixed order (docs/NUMERICS.md), so that every importer gives the same
 * bytes: s = g / sqrtf(v + eps), w * s, b - mu * s.
 * Owner rule: folded weights are new constants of the graph; shared originals stay untouched. */
#include "passes/passes.h"

#include <math.h>

static bool const_f32(const kf__graph *g, kf__vid v, size_t want) {
    size_t n;
    return kf__match_is_const(g, v) && g->values[v].dtype == KF_F32 && kf__shape_count(&g->values[v].shape, &n) &&
           (want == 0 || n == want);
}

/** scale[c] and shift[c] so that the normalization is x * scale + shift. */
static void affine(const kf__graph *g, const kf__node *bn, size_t channels, float *scale, float *shift) {
    const float *gamma = g->values[bn->in[1]].data, *beta = g->values[bn->in[2]].data;
    const float *mean = g->values[bn->in[3]].data, *var = g->values[bn->in[4]].data;
    for (size_t c = 0; c < channels; c++) {
        scale[c] = gamma[c] / sqrtf(var[c] + bn->attrs.epsilon);
        shift[c] = beta[c] - mean[c] * scale[c];
    }
}

/** The convolution whose weights can take the normalization, or NULL. */
static kf__node *target(const kf__graph *g, const kf__node *bn, size_t channels) {
    kf__node *conv = kf__match_producer(g, bn->in[0], KF_OP_CONV);
    if (!conv || !kf__match_single(g, bn->in[0]) || kf__match_in(conv, 3) >= 0 || conv->attrs.act.kind != KF_ACT_NONE)
        return NULL;
    if (!const_f32(g, conv->in[1], 0) || g->values[conv->in[1]].shape.dim[0] != (int64_t)channels) return NULL;
    kf__vid bias = kf__match_in(conv, 2);
    return bias < 0 || const_f32(g, bias, channels) ? conv : NULL;
}

static kf_status fold_into(kf__graph *g, kf__node *conv, kf__node *bn, size_t channels, const float *scale,
                           float *shift, kf_error *err) {
    const kf__value *w = &g->values[conv->in[1]];
    size_t per = w->bytes / sizeof(float) / channels;
    kf__shape wshape = w->shape, bshape = kf__shape_make(1, &wshape.dim[0]);
    float *data = kf__mem_alloc(NULL, w->bytes);
    if (!data) KF_FAIL_MEMORY(err, w->bytes);
    const float *src = w->data;
    for (size_t c = 0; c < channels; c++)
        for (size_t i = 0; i < per; i++) data[c * per + i] = src[c * per + i] * scale[c];
    kf__vid bias = kf__match_in(conv, 2);
    const float *old = bias < 0 ? NULL : g->values[bias].data;
    for (size_t c = 0; old && c < channels; c++) shift[c] = old[c] * scale[c] + shift[c];
    kf__vid in[3] = {conv->in[0], -1, -1};
    const char *bname = old ? g->values[bias].name : g->values[bn->in[2]].name;
    kf_status st = kf__rewrite_const(g, g->values[conv->in[1]].name, "", &wshape, data, &in[1], err);
    kf__mem_free(NULL, data);
    KF_TRY(st);
    KF_TRY(kf__rewrite_const(g, bname, "", &bshape, shift, &in[2], err));
    KF_TRY(kf__rewrite_inputs(g, conv, in, 3, err));
    return kf__rewrite_absorb(g, conv, bn, err);
}

/** No convolution to fold into: x * s + t is a depthwise convolution with one tap. */
static kf_status to_depthwise(kf__graph *g, kf__node *bn, size_t channels, const float *scale, const float *shift,
                              kf_error *err) {
    const int64_t wdim[4] = {(int64_t)channels, 1, 1, 1};
    kf__shape wshape = kf__shape_make(4, wdim), bshape = kf__shape_make(1, wdim);
    kf__vid in[3] = {bn->in[0], -1, -1};
    KF_TRY(kf__rewrite_const(g, bn->name, "_scale", &wshape, scale, &in[1], err));
    KF_TRY(kf__rewrite_const(g, bn->name, "_shift", &bshape, shift, &in[2], err));
    KF_TRY(kf__rewrite_inputs(g, bn, in, 3, err));
    bn->op = KF_OP_CONV;
    bn->attrs.window = KF_WINDOW_ONE;
    bn->attrs.window.group = (int32_t)channels;
    return KF_OK;
}

static kf_status one(kf__graph *g, kf__node *bn, bool *changed, kf_error *err) {
    const kf__shape *x = &g->values[bn->in[0]].shape;
    if (x->rank < 2) return KF_OK;
    size_t channels = (size_t)x->dim[1];
    bool rank4 = x->rank == 4;
    for (int i = 1; i < 5; i++)
        if (!const_f32(g, bn->in[i], channels)) return KF_OK;
    kf__node *conv = target(g, bn, channels);
    if (!conv && !rank4) return KF_OK;
    float *scale = kf__mem_alloc(NULL, channels * sizeof *scale),
          *shift = kf__mem_alloc(NULL, channels * sizeof *shift);
    kf_status st = KF_OK;
    if (!scale || !shift) {
        st = kf_error_set(err, KF_ERR_MEMORY, "%s: out of memory; %zu channels", bn->name, channels);
    } else {
        affine(g, bn, channels, scale, shift);
        st = conv ? fold_into(g, conv, bn, channels, scale, shift, err)
                  : to_depthwise(g, bn, channels, scale, shift, err);
    }
    kf__mem_free(NULL, scale);
    kf__mem_free(NULL, shift);
    if (st == KF_OK) *changed = true;
    return st;
}

kf_status kf__pass_batchnorm(kf__graph *g, bool *changed, kf_error *err) {
    for (size_t i = 0; i < g->n_nodes; i++)
        if (!g->nodes[i].dead && g->nodes[i].op == KF_OP_BATCH_NORM && g->nodes[i].n_in == 5)
            KF_TRY(one(g, &g->nodes[i], changed, err));
    return KF_OK;
}
