/* Recognises h-sigmoid, h-swish and SiLU in every spelling that exporters use, operands in any order:
 * clip(x + 3, 0, 6) / 6, x * hsigmoid(x), x * clip(x + 3, 0, 6) / 6, (x / 6) * clip(x + 3, 0, 6), x * sigmoid(x).
 * Only slope 1/6: HardSigmoid's default slope 0.2 is another function.
 * Owner rule: only lists of inputs and names are allocated, in the graph's arena. */
#include "passes/passes.h"

/** The ACT node of this kind that makes `v`, or NULL. */
static kf__node *act_of(const kf__graph *g, kf__vid v, kf__act kind) {
    kf__node *n = kf__match_producer(g, v, KF_OP_ACT);
    return n && n->attrs.act.kind == kind ? n : NULL;
}

/** v = clip(x + 3, 0, 6): returns x, or -1. parts gets the two nodes. */
static kf__vid relu6_of_plus3(const kf__graph *g, kf__vid v, kf__node *parts[2]) {
    kf__node *clip = act_of(g, v, KF_ACT_CLIP);
    if (!clip || clip->attrs.act.lo != 0.0f || clip->attrs.act.hi != 6.0f) return KF_NO_VALUE;
    kf__node *add = kf__match_producer(g, clip->in[0], KF_OP_ADD);
    float s;
    int x = add ? kf__match_with_scalar(g, add, &s) : -1;
    if (x < 0 || s != 3.0f) return KF_NO_VALUE;
    parts[0] = add;
    parts[1] = clip;
    return add->in[x];
}

/** n divides by 6 (x / 6 or x * (1/6)): returns the index of the other input, or -1. */
static int over_six(const kf__graph *g, const kf__node *n) {
    float s;
    if (n->op != KF_OP_DIV && n->op != KF_OP_MUL) return -1;
    int x = kf__match_with_scalar(g, n, &s);
    if (x < 0) return -1;
    if (n->op == KF_OP_DIV) return x == 0 && s == 6.0f ? 0 : -1;
    return kf__match_near(s, 1.0 / 6.0) ? x : -1;
}

/** n becomes an activation of x. Parts that only n used pass their names to it. */
static kf_status become(kf__graph *g, kf__node *n, kf__vid x, kf__act kind, kf__node **parts, int n_parts,
                        kf_error *err) {
    for (int i = 0; i < n_parts; i++)
        if (parts[i]) KF_TRY(kf__graph_merge_sources(g, n, parts[i], err));
    n->op = KF_OP_ACT;
    n->attrs.act = (kf__activation){.kind = kind};
    return kf__rewrite_inputs(g, n, &x, 1, err);
}

/** clip(x + 3, 0, 6) / 6 */
static kf_status match_hsigmoid(kf__graph *g, kf__node *n, bool *done, kf_error *err) {
    kf__node *parts[2];
    int i = over_six(g, n);
    kf__vid x = i < 0 ? KF_NO_VALUE : relu6_of_plus3(g, n->in[i], parts);
    if (x < 0) return KF_OK;
    *done = true;
    return become(g, n, x, KF_ACT_HSIGMOID, parts, 2, err);
}

/** x * f(x) with f = h-sigmoid or sigmoid */
static kf_status match_gated(kf__graph *g, kf__node *n, bool *done, kf_error *err) {
    for (int i = 0; n->op == KF_OP_MUL && i < 2; i++) {
        kf__node *hs = act_of(g, n->in[i], KF_ACT_HSIGMOID), *s = act_of(g, n->in[i], KF_ACT_SIGMOID);
        kf__node *gate = hs ? hs : s;
        if (!gate || gate->in[0] != n->in[1 - i]) continue;
        *done = true;
        return become(g, n, n->in[1 - i], hs ? KF_ACT_HSWISH : KF_ACT_SILU, &gate, 1, err);
    }
    return KF_OK;
}

/** (x * clip(x + 3, 0, 6)) / 6 */
static kf_status match_product_over_six(kf__graph *g, kf__node *n, bool *done, kf_error *err) {
    int k = over_six(g, n);
    kf__node *mul = k < 0 ? NULL : kf__match_producer(g, n->in[k], KF_OP_MUL), *parts[3];
    for (int i = 0; mul && i < 2; i++) {
        kf__vid x = relu6_of_plus3(g, mul->in[i], parts);
        if (x < 0 || x != mul->in[1 - i]) continue;
        parts[2] = mul;
        *done = true;
        return become(g, n, x, KF_ACT_HSWISH, parts, 3, err);
    }
    return KF_OK;
}

/** (x / 6) * clip(x + 3, 0, 6) */
static kf_status match_sixth_times_clip(kf__graph *g, kf__node *n, bool *done, kf_error *err) {
    kf__node *parts[3];
    for (int i = 0; n->op == KF_OP_MUL && i < 2; i++) {
        kf__vid x = relu6_of_plus3(g, n->in[i], parts);
        kf__node *sixth = x < 0 ? NULL : kf__match_any(g, n->in[1 - i]);
        int k = sixth ? over_six(g, sixth) : -1;
        if (k < 0 || sixth->in[k] != x) continue;
        parts[2] = sixth;
        *done = true;
        return become(g, n, x, KF_ACT_HSWISH, parts, 3, err);
    }
    return KF_OK;
}

kf_status kf__pass_hswish(kf__graph *g, bool *changed, kf_error *err) {
    static kf_status (*const FORMS[])(kf__graph *, kf__node *, bool *, kf_error *) = {
        match_hsigmoid, match_gated, match_product_over_six, match_sixth_times_clip};
    for (size_t i = 0; i < g->n_nodes; i++) {
        bool done = false;
        for (size_t f = 0; f < KF_COUNT(FORMS) && !done; f++) {
            kf__node *n = &g->nodes[i];
            if (!n->dead && n->n_in == 2) KF_TRY(FORMS[f](g, n, &done, err));
        }
        if (done) *changed = true;
    }
    return KF_OK;
}
