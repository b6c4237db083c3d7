/* Explicit zero padding moves into the convolution or pooling that reads it.
 * Owner rule: nothing is allocated but the list of source names. */
#include "passes/passes.h"

#include <math.h>

/** Top, left, bottom, right of a Pad that only pads H and W by constant non-negative amounts. */
static bool spatial_pads(const kf__node *pad, int64_t out[4]) {
    if (pad->attrs.n_axes != 8 || pad->attrs.mode != KF_PAD_VALUE) return false;
    const int64_t *p = pad->attrs.axes;
    if (p[0] || p[1] || p[4] || p[5]) return false;
    const int64_t pads[4] = {p[2], p[3], p[6], p[7]};
    for (int i = 0; i < 4; i++) {
        if (pads[i] < 0 || pads[i] > 1 << 20) return false;
        out[i] = pads[i];
    }
    return true;
}

/** Max pooling ignores its own padding, so explicit zeros may become padding only if no input is negative. */
static bool never_negative(const kf__graph *g, kf__vid v) {
    const kf__node *p = kf__match_any(g, v);
    if (!p) return false;
    if (p->op == KF_OP_RELU || p->op == KF_OP_SIGMOID || p->op == KF_OP_HARD_SIGMOID) return true;
    if (p->op == KF_OP_CLIP) return p->attrs.act.lo >= 0.0f;
    return false;
}

static bool takes_pads(const kf__graph *g, const kf__node *pad, const kf__node *n) {
    bool own = kf__window_has_padding(&n->attrs.window);
    float value = pad->attrs.value;
    if (n->op == KF_OP_CONV) return value == 0.0f && n->in[0] == pad->out[0];
    if (n->op == KF_OP_AVG_POOL) return value == 0.0f && !n->attrs.ceil_mode && (!own || n->attrs.count_include_pad);
    if (n->op != KF_OP_MAX_POOL || n->attrs.ceil_mode || n->n_out != 1) return false;
    return value == -INFINITY || (value == 0.0f && never_negative(g, pad->in[0]));
}

/* A window of a pool must hold some of the image, for ONNX and for what it computes. */
static bool leaves_image(const kf__node *n, const int64_t p[4]) {
    const kf__window *w = &n->attrs.window;
    if (n->op == KF_OP_CONV) return true;
    return w->pt + p[0] < w->kh && w->pb + p[2] < w->kh && w->pl + p[1] < w->kw && w->pr + p[3] < w->kw;
}

kf_status kf__pass_pad(kf__graph *g, bool *changed, kf_error *err) {
    for (size_t i = 0; i < g->n_nodes; i++) {
        kf__node *pad = &g->nodes[i];
        int64_t p[4];
        if (pad->dead || pad->op != KF_OP_PAD || !spatial_pads(pad, p)) continue;
        kf__node *n = kf__match_user(g, pad->out[0]);
        if (!n || !takes_pads(g, pad, n) || !leaves_image(n, p)) continue;
        n->attrs.window.pt += (int32_t)p[0];
        n->attrs.window.pl += (int32_t)p[1];
        n->attrs.window.pb += (int32_t)p[2];
        n->attrs.window.pr += (int32_t)p[3];
        if (n->op == KF_OP_AVG_POOL) n->attrs.count_include_pad = 1;
        kf__rewrite_input(g, n, 0, pad->in[0]);
        KF_TRY(kf__graph_merge_sources(g, n, pad, err));
        pad->dead = true;
        *changed = true;
    }
    return KF_OK;
}
