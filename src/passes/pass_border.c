/* A Pad that no convolution or pool could take becomes one convolution of one tap for each channel, with padding. Where
 * the border is not 0, a second one makes it from an image of ones: 0 inside, the border's value outside. The sum of
 * both is exact.
 * Owner rule: added nodes, values and weights belong to the graph. */
#include "passes/chain.h"

#include <math.h>

/* Pads of H and W by constant amounts, some of them beyond the image; others may cut it. */
static bool around_image(const kf__graph *g, const kf__node *n) {
    const kf__shape *x = &g->values[n->in[0]].shape, *y = &g->values[n->out[0]].shape;
    const int64_t *p = n->attrs.axes;
    const kf__vid value = kf__match_in(n, 2);
    bool beyond = false;
    float same;
    if (n->op != KF_OP_PAD || n->attrs.n_axes != 8 || x->rank != 4 || y->rank != 4) return false;
    if (n->attrs.mode != KF_PAD_VALUE || p[0] || p[1] || p[4] || p[5] || x->dim[1] > 1 << 20 ||
        !isfinite(n->attrs.value))
        return false;
    for (int i = 2; i < 8; i++) {
        if (p[i] > 4096) return false;
        beyond = beyond || p[i] > 0;
    }
    return beyond && g->values[n->in[0]].dtype == KF_F32 && (value < 0 || kf__match_scalar(g, value, &same));
}

/* One tap for each channel over the padded image. */
static kf_status padded(kf__chain *c, float w, float b, const int64_t pads[8], const kf__shape *to) {
    const size_t channels = (size_t)kf__chain_shape(c)->dim[1];
    float *numbers = kf__mem_alloc(NULL, 2 * channels * sizeof *numbers);
    if (!numbers) KF_FAIL_MEMORY(c->err, 2 * channels * sizeof *numbers);
    for (size_t i = 0; i < channels; i++) numbers[i] = w, numbers[channels + i] = b;
    kf_status st = kf__chain_tap(c, true, numbers, b != 0 ? numbers + channels : NULL);
    kf__mem_free(NULL, numbers);
    KF_TRY(st);
    kf__window *window = &kf__match_any(c->g, c->at)->attrs.window;
    window->pt = (int32_t)pads[2], window->pl = (int32_t)pads[3];
    window->pb = (int32_t)pads[6], window->pr = (int32_t)pads[7];
    c->g->values[c->at].shape = *to;
    return KF_OK;
}

/* Negative pads first, as a Pad of their own. Positive ones remain. */
static kf_status cut(kf__chain *c, int64_t pads[8]) {
    kf__shape to = *kf__chain_shape(c);
    kf__node *n = NULL;
    int64_t negative[8];
    bool any = false;
    for (int i = 0; i < 8; i++) {
        negative[i] = kf__min_i64(pads[i], 0);
        pads[i] -= negative[i];
        to.dim[i % 4] += negative[i];
        any = any || negative[i];
    }
    if (!any) return KF_OK;
    KF_TRY(kf__chain_link(c, KF_OP_PAD, KF_NO_VALUE, &to, &n));
    n->attrs.n_axes = 8;
    memcpy(n->attrs.axes, negative, sizeof negative);
    return KF_OK;
}

static kf_status replace(kf__graph *g, size_t index, kf_error *err) {
    kf__attrs a = g->nodes[index].attrs;
    const kf__shape to = g->values[g->nodes[index].out[0]].shape;
    kf__chain c = kf__chain_begin(g, index, g->nodes[index].in[0], err);
    KF_TRY(cut(&c, a.axes));
    const kf__vid x = c.at;
    KF_TRY(padded(&c, 1, 0, a.axes, &to));
    if (a.value != 0) {
        const kf__vid image = c.at;
        c.at = x;
        KF_TRY(kf__chain_clip(&c, 1, 1));
        KF_TRY(padded(&c, -a.value, a.value, a.axes, &to));
        KF_TRY(kf__chain_link(&c, KF_OP_ADD, image, &to, NULL));
    }
    return kf__chain_end(&c);
}

kf_status kf__pass_border(kf__graph *g, bool *changed, kf_error *err) {
    const size_t count = g->n_nodes;
    for (size_t i = 0; i < count; i++) {
        if (g->nodes[i].dead || !around_image(g, &g->nodes[i])) continue;
        KF_TRY(replace(g, i, err));
        *changed = true;
    }
    return KF_OK;
}
