/* Nodes without weights, both networks: sums, products, pools, reshapes; anything rare goes through the graph's
 * evaluator. Owner rule: scratch of one node ends with the call. */
#include "quantize/assign.h"
#include "quantize/layer_steps.h"

typedef struct plain {
    kf__sim *s;
    const kf__node *n;
    kf__sim_shape y;
    kf__arena scratch;
    float *in[16], *out; /* scratch for dequantized inputs; the result */
} plain;

static void swap_layout(const float *from, float *to, const kf__sim_shape *d, bool to_nchw) {
    for (size_t i = 0; i < d->h * d->w; i++)
        for (size_t c = 0; c < d->c; c++) {
            if (to_nchw) to[c * d->h * d->w + i] = from[i * d->c + c];
            else to[i * d->c + c] = from[c * d->h * d->w + i];
        }
}

/* Through the evaluator, which wants NCHW. Samples are f32 throughout, the places that a choice gives included. */
static kf_status evaluate(plain *p, const float *const *x) {
    kf__arena a;
    const kf__dense *in[16] = {NULL};
    kf__dense dense[16], out = {0};
    kf__graph *g = p->s->graph;
    kf_status st = KF_OK;
    kf__node node = *p->n;
    if (node.op == KF_OP_TOP) node.attrs.to = KF_F32;
    kf__arena_init(&a, NULL);
    for (int k = 0; k < p->n->n_in; k++) {
        if (p->n->in[k] < 0) continue;
        const kf__value *v = &g->values[p->n->in[k]];
        in[k] = &dense[k];
        dense[k] = (kf__dense){.dtype = v->dtype, .shape = v->shape, .data = (void *)(uintptr_t)v->data};
        if (v->data) continue;
        dense[k].dtype = KF_F32;
        kf__sim_shape d = kf__sim_shape_of(g, p->n->in[k]);
        dense[k].data = kf__arena_array(&a, d.count, sizeof(float));
        if (!dense[k].data) st = kf_error_set(p->s->err, KF_ERR_MEMORY, "out of memory");
        else swap_layout(x[k], dense[k].data, &d, true);
    }
    if (st == KF_OK) st = kf__eval_node(&node, in, node.n_in, &out, 1, &a, p->s->err);
    if (st == KF_OK) swap_layout(out.data, p->out, &p->y, false);
    kf__arena_free(&a);
    return st;
}

static void pool(const plain *p, const float *x) {
    kf__sim_shape d = kf__sim_shape_of(p->s->graph, p->n->in[0]);
    for (size_t c = 0; c < d.c; c++) {
        double sum = 0;
        for (size_t i = 0; i < d.h * d.w; i++) sum += (double)x[i * d.c + c];
        p->out[c] = (float)(sum / (double)(d.h * d.w));
    }
}

/* The usual kinds have loops here; the reference evaluator takes the rest. */
static kf_status compute(plain *p, const float *const *x) {
    const kf__attrs *a = &p->n->attrs;
    size_t n = p->y.count, c = p->y.c;
    switch (kf__op_table[p->n->op].rule) {
    case KF_RULE_ACT:
        for (size_t i = 0; i < n; i++) p->out[i] = kf__activate(a->act.kind, x[0][i], a->act.lo, a->act.hi);
        return KF_OK;
    case KF_RULE_SCALE:
        for (size_t i = 0; i < n; i++) p->out[i] = x[0][i] * x[1][i % c];
        return KF_OK;
    case KF_RULE_PAIR: {
        const kf__shape *s0 = &p->s->graph->values[p->n->in[0]].shape, *s1 = &p->s->graph->values[p->n->in[1]].shape;
        if (!x[0] || !x[1] || !kf__shape_equal(s0, s1))
            KF_FAIL(p->s->err, KF_ERR_UNSUPPORTED, "%s: operands of different shapes cannot be quantized", p->n->name);
        for (size_t i = 0; i < n; i++)
            p->out[i] = kf__activate(a->post_act.kind, p->n->op == KF_OP_ADD ? x[0][i] + x[1][i] : x[0][i] * x[1][i],
                                     a->post_act.lo, a->post_act.hi);
        return KF_OK;
    }
    case KF_RULE_MEAN: pool(p, x[0]); return KF_OK;
    case KF_RULE_CONV:
    case KF_RULE_FC:
    case KF_RULE_SE_GATE:
    case KF_RULE_AVG_POOL:
    case KF_RULE_MAX_POOL:
    case KF_RULE_CONCAT:
    case KF_RULE_PAD:
    case KF_RULE_VIEW:
    case KF_RULE_MOVE:
    case KF_RULE_NONE: break;
    }
    return evaluate(p, x);
}

static kf_status one_network(plain *p, size_t sample, bool quantized) {
    const float *x[16] = {NULL};
    for (int k = 0; k < p->n->n_in; k++) {
        kf__vid v = p->n->in[k];
        if (v < 0 || p->s->graph->values[v].data) continue;
        x[k] = quantized ? kf__sim_real(p->s, sample, v, p->in[k]) : kf__sim_at(p->s, sample, v)->f;
    }
    KF_TRY(compute(p, x));
    if (quantized) kf__sim_store(p->s, sample, p->n->out[0], p->out);
    else memcpy(kf__sim_at(p->s, sample, p->n->out[0])->f, p->out, p->y.count * sizeof(float));
    return KF_OK;
}

/* The float network first, because its values give the range with which the quantized one is rounded. */
static kf_status run(plain *p) {
    kf__graph *g = p->s->graph;
    kf__vid y = p->n->out[0];
    for (int k = 0; k < p->n->n_in; k++) {
        if (p->n->in[k] < 0) continue;
        p->in[k] = kf__arena_array(&p->scratch, kf__sim_shape_of(g, p->n->in[k]).count + 1, sizeof(float));
        if (!p->in[k]) KF_FAIL_MEMORY(p->s->err, sizeof(float));
    }
    if (!(p->out = kf__arena_array(&p->scratch, p->y.count + 1, sizeof *p->out)))
        KF_FAIL_MEMORY(p->s->err, p->y.count * sizeof *p->out);
    bool quantized = !p->s->float_only && kf__assign_is_quantized(g, p->n, y);
    if (kf__op_keeps_integers(p->n->op)) quantized = quantized && g->values[p->n->in[0]].quant;
    KF_TRY(kf__sim_alloc(p->s, y, quantized));
    for (size_t k = 0; k < p->s->samples; k++) KF_TRY(one_network(p, k, false));
    if (p->s->float_only) return KF_OK;
    if (quantized) KF_TRY(kf__assign_quant(p->s, p->n, y));
    for (size_t k = 0; k < p->s->samples; k++) KF_TRY(one_network(p, k, true));
    return KF_OK;
}

kf_status kf__step_plain(kf__sim *s, size_t index) {
    plain p = {.s = s, .n = &s->graph->nodes[index]};
    if (p.n->n_in > 16 || p.n->n_out != 1)
        KF_FAIL(s->err, KF_ERR_UNSUPPORTED, "%s: more than 16 inputs or several outputs cannot be quantized",
                p.n->name);
    p.y = kf__sim_shape_of(s->graph, p.n->out[0]);
    kf__arena_init(&p.scratch, NULL);
    kf_status st = run(&p);
    kf__arena_free(&p.scratch);
    return st;
}

kf_status kf__step_node(kf__sim *s, size_t index) {
    kf__op op = s->graph->nodes[index].op;
    kf_status st = KF_OK;
    if (kf__op_is_layer(op)) st = kf__step_layer(s, index);
    else st = kf__op_is_gate(op) ? kf__step_gate(s, index) : kf__step_plain(s, index);
    const kf__node *n = &s->graph->nodes[index]; /* kf__assign_quant has already checked the nodes that it quantized */
    bool looked = !s->float_only && s->graph->values[n->out[0]].quant;
    return st == KF_OK && !looked ? kf__sim_check_finite(s, n) : st;
}

kf_status kf__step_compute(kf__sim *s, const kf__node *n, const float *const *x, float *out) {
    plain p = {.s = s, .n = n, .y = kf__sim_shape_of(s->graph, n->out[0]), .out = out};
    return compute(&p, x);
}
