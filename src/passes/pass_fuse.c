/* Activations and residual additions move into the convolution (or FC, ADD) before them: what one compiled step does.
 * attrs.act acts before the residual, attrs.post_act (a clip) after it.
 * Owner rule: only lists of inputs and names are allocated, in the graph's arena. */
#include "passes/passes.h"

/** Where in `p` the activation may go; NULL: nowhere. */
static kf__activation *slot_for(kf__node *p, const kf__activation *act) {
    bool residual = p->op == KF_OP_ADD || (p->op == KF_OP_CONV && kf__match_in(p, 3) >= 0);
    if (residual) return act->kind == KF_ACT_CLIP && p->attrs.post_act.kind == KF_ACT_NONE ? &p->attrs.post_act : NULL;
    if (p->op != KF_OP_CONV && p->op != KF_OP_FC) return NULL;
    return p->attrs.act.kind == KF_ACT_NONE && p->attrs.post_act.kind == KF_ACT_NONE ? &p->attrs.act : NULL;
}

static kf_status fuse_act(kf__graph *g, kf__node *act, bool *changed, kf_error *err) {
    kf__node *p = kf__match_any(g, act->in[0]);
    if (!p || !kf__match_single(g, act->in[0])) return KF_OK;
    kf__activation *slot = slot_for(p, &act->attrs.act);
    if (!slot) return KF_OK;
    *slot = act->attrs.act;
    *changed = true;
    return kf__rewrite_absorb(g, p, act, err);
}

/** A convolution that can add `other` to its result before it is written. */
static kf__node *takes_residual(const kf__graph *g, kf__vid v, kf__vid other) {
    kf__node *conv = kf__match_producer(g, v, KF_OP_CONV);
    if (!conv || !kf__match_single(g, v) || kf__match_in(conv, 3) >= 0 || conv->attrs.post_act.kind != KF_ACT_NONE ||
        kf__match_is_const(g, other))
        return NULL;
    return kf__shape_equal(&g->values[v].shape, &g->values[other].shape) ? conv : NULL;
}

static kf_status fuse_add(kf__graph *g, kf__node *add, bool *changed, kf_error *err) {
    kf__node *a = takes_residual(g, add->in[0], add->in[1]), *b = takes_residual(g, add->in[1], add->in[0]);
    if (!a && !b) return KF_OK;
    /* The later one: the other summand is ready by then, so no result has to be kept for it. */
    kf__node *conv = b;
    if (a && (!b || a > b)) conv = a;
    kf__vid residual = conv == a ? add->in[1] : add->in[0];
    kf__vid in[4] = {conv->in[0], conv->in[1], kf__match_in(conv, 2), residual};
    KF_TRY(kf__rewrite_inputs(g, conv, in, 4, err));
    conv->attrs.post_act = add->attrs.post_act;
    *changed = true;
    return kf__rewrite_absorb(g, conv, add, err);
}

kf_status kf__pass_fuse(kf__graph *g, bool *changed, kf_error *err) {
    /* All activations first: an activation after a convolution must be fused before the addition that follows it. */
    for (size_t i = 0; i < g->n_nodes; i++)
        if (!g->nodes[i].dead && g->nodes[i].op == KF_OP_ACT) KF_TRY(fuse_act(g, &g->nodes[i], changed, err));
    for (size_t i = 0; i < g->n_nodes; i++)
        if (!g->nodes[i].dead && g->nodes[i].op == KF_OP_ADD) KF_TRY(fuse_add(g, &g->nodes[i], changed, err));
    return KF_OK;
}
