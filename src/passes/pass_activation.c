/* One operator for all activations: Relu, Clip, Min/Max with constants, HardSigmoid, HardSwish, Sigmoid become ACT.
 * Owner rule: only the list of inputs is allocated, in the graph's arena. */
#include "passes/passes.h"

#include <math.h>

static bool float_node(const kf__graph *g, const kf__node *n) {
    return n->n_in >= 1 && n->in[0] >= 0 && g->values[n->out[0]].dtype == KF_F32;
}

static kf_status become(kf__graph *g, kf__node *n, kf__vid x, kf__activation act, bool *changed, kf_error *err) {
    n->op = KF_OP_ACT;
    n->attrs.act = act;
    *changed = true;
    return kf__rewrite_inputs(g, n, &x, 1, err);
}

/** Clip bounds that are still inputs (not constant) are not supported. */
static bool clip_known(const kf__graph *g, const kf__node *n) {
    for (int i = 1; i < n->n_in; i++)
        if (n->in[i] >= 0 && !kf__match_is_const(g, n->in[i])) return false;
    return true;
}

/** alpha 1/6 and beta 1/2 is h-sigmoid; any other pair keeps its own formula. */
static kf__activation hard_sigmoid(const kf__node *n) {
    if (kf__match_near(n->attrs.alpha, 1.0 / 6.0) && n->attrs.beta == 0.5f)
        return (kf__activation){.kind = KF_ACT_HSIGMOID};
    return (kf__activation){.kind = KF_ACT_HARDSIGMOID, .lo = n->attrs.alpha, .hi = n->attrs.beta};
}

static kf_status min_max(kf__graph *g, kf__node *n, bool *changed, kf_error *err) {
    float s;
    int x = n->n_in == 2 ? kf__match_with_scalar(g, n, &s) : -1;
    if (x < 0 || !kf__shape_equal(&g->values[n->in[x]].shape, &g->values[n->out[0]].shape)) return KF_OK;
    kf__activation act = {.kind = KF_ACT_CLIP, .lo = -INFINITY, .hi = INFINITY};
    if (n->op == KF_OP_MAX) act.lo = s;
    else act.hi = s;
    return become(g, n, n->in[x], act, changed, err);
}

/** A clip of a clip is one clip; the outer one acts last. */
static kf_status merge_clips(kf__graph *g, kf__node *n, bool *changed, kf_error *err) {
    kf__node *p = kf__match_producer(g, n->in[0], KF_OP_ACT);
    if (n->attrs.act.kind != KF_ACT_CLIP || !p || p->attrs.act.kind != KF_ACT_CLIP || !kf__match_single(g, n->in[0]))
        return KF_OK;
    kf__activation a = p->attrs.act;
    p->attrs.act.lo = kf__clampf(a.lo, n->attrs.act.lo, n->attrs.act.hi);
    p->attrs.act.hi = kf__clampf(a.hi, n->attrs.act.lo, n->attrs.act.hi);
    *changed = true;
    return kf__rewrite_absorb(g, p, n, err);
}

/* ---- one function for each operator whose role in ops.def is ACTIVATION ------------------------------------------ */

typedef kf_status become_fn(kf__graph *g, kf__node *n, bool *changed, kf_error *err);

static kf_status become_RELU(kf__graph *g, kf__node *n, bool *changed, kf_error *err) {
    return become(g, n, n->in[0], (kf__activation){.kind = KF_ACT_CLIP, .hi = INFINITY}, changed, err);
}

static kf_status become_CLIP(kf__graph *g, kf__node *n, bool *changed, kf_error *err) {
    kf__activation act = n->attrs.act;
    act.kind = KF_ACT_CLIP;
    return clip_known(g, n) ? become(g, n, n->in[0], act, changed, err) : KF_OK;
}

static kf_status become_HARD_SIGMOID(kf__graph *g, kf__node *n, bool *changed, kf_error *err) {
    return become(g, n, n->in[0], hard_sigmoid(n), changed, err);
}

static kf_status become_HARD_SWISH(kf__graph *g, kf__node *n, bool *changed, kf_error *err) {
    return become(g, n, n->in[0], (kf__activation){.kind = KF_ACT_HSWISH}, changed, err);
}

static kf_status become_SIGMOID(kf__graph *g, kf__node *n, bool *changed, kf_error *err) {
    return become(g, n, n->in[0], (kf__activation){.kind = KF_ACT_SIGMOID}, changed, err);
}

#define become_ACT merge_clips

/* The operator's function if its role is ACTIVATION, else NULL: HERE_ has a macro for that role only. */
#define SECOND(a, b, ...) b
#define PICK(...) SECOND(__VA_ARGS__, NULL, )
#define HERE_ACTIVATION(id) , become_##id

static become_fn *const BECOME[KF_OP_COUNT] = {
#define KF_OP(id, name, least, most, role, ...) PICK(HERE_##role(id)),
#include "graph/ops.def"
#undef KF_OP
};

static kf_status one(kf__graph *g, kf__node *n, bool *changed, kf_error *err) {
    if (n->op == KF_OP_MIN || n->op == KF_OP_MAX) return min_max(g, n, changed, err);
    return BECOME[n->op] ? BECOME[n->op](g, n, changed, err) : KF_OK;
}

kf_status kf__pass_activation(kf__graph *g, bool *changed, kf_error *err) {
    for (size_t i = 0; i < g->n_nodes; i++)
        if (!g->nodes[i].dead && float_node(g, &g->nodes[i])) KF_TRY(one(g, &g->nodes[i], changed, err));
    return KF_OK;
}
