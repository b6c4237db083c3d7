/* The choices of the quantized contract that depend on a node: scales per channel, integer clip bounds, when steps 2
 * and 5 are one multiply. Used by the integer interpreter, the quantizer and the lowering, so that they cannot
 * disagree. Owner rule: pure inline functions. */
#ifndef KF_QRULES_H
#define KF_QRULES_H

#include "graph/graph.h"

/** Narrow lo..hi to what `clip` (NONE or CLIP) leaves of the output range of channel c. */
static inline void kf__q_clip(const kf__quant *out, int64_t c, const kf__activation *clip, int32_t *lo, int32_t *hi) {
    if (clip->kind != KF_ACT_CLIP) return;
    int32_t l = kf__q_bound(out, c, clip->lo), h = kf__q_bound(out, c, clip->hi);
    if (l > *lo) *lo = l;
    if (h < *hi) *hi = h;
    if (*lo > *hi) *lo = *hi;
}

/** Do the clip bounds come out the same for every channel? (Always for per-tensor scales.) */
static inline bool kf__q_uniform_clip(const kf__quant *out, const kf__activation *clip) {
    for (int32_t c = 1; clip->kind == KF_ACT_CLIP && c < out->channels; c++)
        if (kf__q_bound(out, c, clip->lo) != kf__q_bound(out, 0, clip->lo) ||
            kf__q_bound(out, c, clip->hi) != kf__q_bound(out, 0, clip->hi))
            return false;
    return true;
}

/** Are steps 2 and 5 one multiply, with the clip on q? Yes for no activation or a clip, no residual, and a quantized
 * output. `out` is the output's quantization or NULL (f32). For CONV, FC and ACT. */
static inline bool kf__q_direct(const kf__node *n, const kf__quant *out) {
    bool residual = n->op == KF_OP_CONV && n->n_in > 3 && n->in[3] >= 0;
    return out && !residual && kf__activation_is_clip(&n->attrs.act) && kf__q_uniform_clip(out, &n->attrs.act);
}

/** Inclusive q bounds of step 5 for channel c of the node's output: the tensor's qmin..qmax, narrowed by attrs.act when
 * the node is direct, and by attrs.post_act always. */
static inline void kf__q_bounds(const kf__node *n, const kf__quant *out, int64_t c, int32_t *lo, int32_t *hi) {
    *lo = out->qmin;
    *hi = out->qmax;
    if ((n->op == KF_OP_CONV || n->op == KF_OP_FC || n->op == KF_OP_ACT) && kf__q_direct(n, out))
        kf__q_clip(out, c, &n->attrs.act, lo, hi);
    kf__q_clip(out, c, &n->attrs.post_act, lo, hi);
}

/** Are they equal in all channels? Steps with a single pair need that. */
static inline bool kf__q_uniform_bounds(const kf__node *n, const kf__quant *out) {
    int32_t lo, hi, l, h;
    kf__q_bounds(n, out, 0, &lo, &hi);
    for (int32_t c = 1; c < out->channels; c++) {
        kf__q_bounds(n, out, c, &l, &h);
        if (l != lo || h != hi) return false;
    }
    return true;
}

/** Does the node run in integers? Nodes that join or move integers must also produce integers. */
static inline bool kf__q_is_integer(const kf__graph *g, const kf__node *n) {
    bool all = n->n_in > 0 && n->in[0] >= 0 && g->values[n->in[0]].quant && kf__op_has_integer_rules(n->op);
    bool joins = kf__op_table[n->op].rule == KF_RULE_CONCAT;
    if (joins || kf__op_keeps_integers(n->op)) all = all && g->values[n->out[0]].quant;
    for (int k = 1; all && joins && k < n->n_in; k++) all = g->values[n->in[k]].quant != NULL;
    return all;
}

/** Does the layer have a bias per border class? Layers that read pixels do. */
static inline bool kf__q_border_bias(const kf__graph *g, const kf__node *n) {
    return n->op == KF_OP_CONV && n->n_in > 2 && n->in[2] >= 0 && g->values[n->in[2]].dtype == KF_I32 &&
           g->values[n->in[2]].shape.rank == 2;
}

/** Does the node use the h-swish factor (f32)(1 / (6 * s_out)) instead of a multiply in step 5? */
static inline bool kf__q_hswish_k(const kf__node *n, const kf__quant *out) {
    bool residual = n->op == KF_OP_CONV && n->n_in > 3 && n->in[3] >= 0;
    return out && !residual && n->attrs.act.kind == KF_ACT_HSWISH &&
           (n->op == KF_OP_CONV || n->op == KF_OP_FC || n->op == KF_OP_ACT);
}

/** (f32)(1 / (6 * s)), in double, rounded once. */
static inline float kf__q_hswish_factor(float s) { return (float)(1.0 / (6.0 * (double)s)); }

#endif
