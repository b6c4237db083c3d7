/* Squeeze-and-excite: pool, reduce, activation, expand, gate, multiply become SE_GATE + SCALE. The two layers may be
 * 1x1 convolutions or fully connected ones with reshapes around them. Owner rule: reshaped weights share the bytes of
 * the originals; missing biases become constants of zeros. */
#include "passes/passes.h"

typedef struct parts {
    kf__node *used[16]; /* all nodes between x and the gate, last first */
    int n;
    kf__node *layer1, *layer2, *hidden, *gate;
} parts;

/** Steps from value `v` back over reshapes to the node that computes it; every link must have one reader. */
static kf__node *behind(const kf__graph *g, kf__vid v, parts *p) {
    for (int guard = 0; guard < 4; guard++) {
        kf__node *n = kf__match_any(g, v);
        if (!n || !kf__match_single(g, v) || p->n >= (int)KF_COUNT(p->used)) return NULL;
        p->used[p->n++] = n;
        if (!kf__op_is_view(n->op)) return n;
        v = n->in[0];
    }
    return NULL;
}

/** A layer whose output depends on the channels only: 1x1 convolution or FC with constant weights. */
static bool is_layer(const kf__graph *g, const kf__node *n) {
    if (!n || !kf__match_is_const(g, kf__match_in(n, 1)) || g->values[n->in[1]].dtype != KF_F32) return false;
    if (kf__match_in(n, 2) >= 0 && !kf__match_is_const(g, n->in[2])) return false;
    if (n->attrs.act.kind != KF_ACT_NONE) return false;
    if (n->op == KF_OP_FC) return true;
    const kf__window *w = &n->attrs.window;
    return n->op == KF_OP_CONV && kf__window_is_layer(w) && kf__match_in(n, 3) < 0;
}

static bool is_gate_act(const kf__node *n) {
    if (!n || n->op != KF_OP_ACT) return false;
    kf__act k = n->attrs.act.kind;
    return k == KF_ACT_HSIGMOID || k == KF_ACT_HARDSIGMOID || k == KF_ACT_SIGMOID;
}

/** Fills `p` when `gate` is computed from the global average of `x` by two layers. */
static bool match_gate(const kf__graph *g, kf__vid x, kf__vid gate, parts *p) {
    *p = (parts){0};
    p->gate = behind(g, gate, p);
    if (!is_gate_act(p->gate)) return false;
    p->layer2 = behind(g, p->gate->in[0], p);
    if (!is_layer(g, p->layer2)) return false;
    p->hidden = behind(g, p->layer2->in[0], p);
    if (!p->hidden || p->hidden->op != KF_OP_ACT) return false;
    p->layer1 = behind(g, p->hidden->in[0], p);
    if (!is_layer(g, p->layer1)) return false;
    const kf__node *pool = behind(g, p->layer1->in[0], p);
    if (!pool || pool->op != KF_OP_GLOBAL_AVG_POOL || pool->in[0] != x) return false;
    int64_t c = g->values[x].shape.dim[1], r = g->values[p->layer1->in[1]].shape.dim[0];
    const kf__shape *w1 = &g->values[p->layer1->in[1]].shape, *w2 = &g->values[p->layer2->in[1]].shape;
    return w1->dim[1] == c && w2->dim[0] == c && w2->dim[1] == r;
}

static kf_status layer_consts(kf__graph *g, const kf__node *layer, kf__vid *w, kf__vid *b, kf_error *err) {
    kf__shape shape = kf__shape_make(2, g->values[layer->in[1]].shape.dim);
    KF_TRY(kf__rewrite_reshaped(g, layer->in[1], &shape, w, err));
    kf__shape row = kf__shape_make(1, shape.dim);
    if (kf__match_in(layer, 2) >= 0) return kf__rewrite_reshaped(g, layer->in[2], &row, b, err);
    float *zero = kf__mem_zalloc(NULL, (size_t)row.dim[0] * sizeof *zero);
    if (!zero) KF_FAIL_MEMORY(err, (size_t)row.dim[0] * sizeof *zero);
    kf_status st = kf__rewrite_const(g, layer->name, ".bias", &row, zero, b, err);
    kf__mem_free(NULL, zero);
    return st;
}

/** The last node of the chain (the gate, or the reshape after it) becomes the SE_GATE. */
static kf_status build(kf__graph *g, kf__vid x, const parts *p, kf_error *err) {
    kf__vid in[5] = {x, -1, -1, -1, -1};
    KF_TRY(layer_consts(g, p->layer1, &in[1], &in[2], err));
    KF_TRY(layer_consts(g, p->layer2, &in[3], &in[4], err));
    kf__node *n = p->used[0];
    for (int i = 1; i < p->n; i++) KF_TRY(kf__graph_merge_sources(g, n, p->used[i], err));
    kf__activation hidden = p->hidden->attrs.act, gate = p->gate->attrs.act;
    n->attrs = (kf__attrs){.act = hidden, .gate_act = gate};
    n->op = KF_OP_SE_GATE;
    n->name = p->gate->name;
    return kf__rewrite_inputs(g, n, in, 5, err);
}

/** x[N,C,H,W] times g[N,C,1,1], neither of them constant. */
static bool scales_channels(const kf__graph *g, kf__vid x, kf__vid gate) {
    if (x < 0 || gate < 0 || kf__match_is_const(g, x) || kf__match_is_const(g, gate)) return false;
    const kf__shape *s = &g->values[x].shape, *t = &g->values[gate].shape;
    return s->rank == 4 && t->rank == 4 && t->dim[0] == s->dim[0] && t->dim[1] == s->dim[1] && t->dim[2] == 1 &&
           t->dim[3] == 1;
}

static kf_status one(kf__graph *g, kf__node *mul, bool *changed, kf_error *err) {
    parts p;
    for (int i = 0; i < 2; i++) {
        kf__vid x = mul->in[i], gate = mul->in[1 - i];
        if (!scales_channels(g, x, gate) || !match_gate(g, x, gate, &p)) continue;
        KF_TRY(build(g, x, &p, err));
        mul->op = KF_OP_SCALE;
        *changed = true;
        return kf__rewrite_inputs(g, mul, (kf__vid[]){x, gate}, 2, err);
    }
    return KF_OK;
}

kf_status kf__pass_se(kf__graph *g, bool *changed, kf_error *err) {
    for (size_t i = 0; i < g->n_nodes; i++) {
        kf__node *n = &g->nodes[i];
        if (!n->dead && n->op == KF_OP_MUL && n->n_in == 2) KF_TRY(one(g, n, changed, err));
    }
    return KF_OK;
}
