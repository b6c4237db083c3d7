/* What the input and the outputs of a network mean, found from its operators: from an output back through nodes that
 * hand numbers on, to the one that made them. Works on the graph of a file and on a fused one.
 * Owner rule: reads the graph, allocates nothing. */
#include <math.h>

#include "graph/graph.h"

/* The way back from an output. */
typedef struct walk {
    const kf__graph *g;
    float lo, hi; /* bounds of the clips on the way */
    bool affine;  /* constants were added or multiplied on the way: only of scores without bounds that means nothing */
    bool log;     /* a logarithm was taken */
    bool pooled;  /* the mean over a map */
} walk;

static const kf__node *maker(const walk *w, kf__vid v) {
    int32_t at = v >= 0 ? w->g->values[v].producer : -1;
    return at >= 0 ? &w->g->nodes[at] : NULL;
}

static bool is_const(const walk *w, kf__vid v) { return v >= 0 && w->g->values[v].data != NULL; }

/* Does it hand the numbers of its first input on, in whatever order, shape or type of real numbers? */
static bool hands_on(const kf__node *n) {
    if (n->op == KF_OP_CAST) return n->attrs.to == KF_F32 || n->attrs.to == KF_F16 || n->attrs.to == KF_F64;
    return kf__op_is_view(n->op) || n->op == KF_OP_IDENTITY || n->op == KF_OP_DROPOUT || n->op == KF_OP_TRANSPOSE ||
           n->op == KF_OP_QUANTIZE || n->op == KF_OP_DEQUANTIZE;
}

static float bound_of(const walk *w, const kf__node *n, int i, float from_attribute) {
    if (i >= n->n_in || n->in[i] < 0) return from_attribute;
    const kf__value *v = &w->g->values[n->in[i]];
    if (!v->data || v->dtype != KF_F32 || v->bytes < sizeof(float)) return from_attribute;
    return *(const float *)v->data;
}

static bool clips(walk *w, const kf__node *n) {
    const kf__activation *act = &n->attrs.act;
    if (n->op != KF_OP_CLIP && (n->op != KF_OP_ACT || act->kind != KF_ACT_CLIP)) return false;
    w->lo = fmaxf(w->lo, bound_of(w, n, 1, act->lo));
    w->hi = fminf(w->hi, bound_of(w, n, 2, act->hi));
    return true;
}

/* Sums, products and a batch norm with constants: returns the input that is none, or KF_NO_VALUE. */
static kf__vid affine_of(const walk *w, const kf__node *n) {
    if (n->op == KF_OP_BATCH_NORM) return n->in[0];
    if (n->op != KF_OP_ADD && n->op != KF_OP_SUB && n->op != KF_OP_MUL && n->op != KF_OP_DIV) return KF_NO_VALUE;
    if (is_const(w, n->in[1])) return n->in[0];
    return is_const(w, n->in[0]) && n->op != KF_OP_DIV ? n->in[1] : KF_NO_VALUE;
}

/* More than one extent over the batch: a map, or a line of texts, not one score for each class. */
static bool is_map(const kf__shape *s) {
    int wide = 0;
    for (int i = 1; i < s->rank; i++) wide += s->dim[i] > 1;
    return wide > 1;
}

static kf__act act_of(const kf__node *n) {
    if (n->op == KF_OP_SIGMOID) return KF_ACT_SIGMOID;
    if (n->op == KF_OP_HARD_SIGMOID) return KF_ACT_HARDSIGMOID;
    if (n->op == KF_OP_HARD_SWISH) return KF_ACT_HSWISH;
    return n->op == KF_OP_ACT || kf__op_is_layer(n->op) ? n->attrs.act.kind : KF_ACT_NONE;
}

static bool makes_scores(const kf__node *n) {
    return kf__op_is_layer(n->op) || n->op == KF_OP_GEMM || n->op == KF_OP_MATMUL;
}

/* What the numbers of `n`, where the walk ended, mean at the output. */
static kf_scores_kind meaning(const walk *w, const kf__node *n) {
    const double near = 1e-3, low = -10;
    const kf__act act = act_of(n);
    const bool share = (double)w->lo <= near && (double)w->hi >= 1 - near; /* clips leave 0..1 whole */
    if (is_map(&w->g->values[n->out[0]].shape) && !w->pooled) return KF_SCORES_FEATURES;
    if (n->op == KF_OP_LOG_SOFTMAX) return w->affine || w->log ? KF_SCORES_UNKNOWN : KF_SCORES_LOG;
    if (n->op == KF_OP_SOFTMAX && w->log && !w->affine)
        return (double)w->lo <= low && w->hi >= 0 ? KF_SCORES_LOG : KF_SCORES_UNKNOWN;
    if (w->log || w->pooled) return act == KF_ACT_HSWISH || act == KF_ACT_SILU ? KF_SCORES_FEATURES : KF_SCORES_UNKNOWN;
    if (n->op == KF_OP_SOFTMAX) return share && !w->affine ? KF_SCORES_PROBABILITIES : KF_SCORES_UNKNOWN;
    if (act == KF_ACT_SIGMOID || act == KF_ACT_HSIGMOID || act == KF_ACT_HARDSIGMOID)
        return share && !w->affine ? KF_SCORES_INDEPENDENT : KF_SCORES_UNKNOWN;
    if (act == KF_ACT_HSWISH || act == KF_ACT_SILU) return KF_SCORES_FEATURES;
    bool whole = act == KF_ACT_NONE && w->lo == -INFINITY && w->hi == INFINITY;
    return makes_scores(n) && whole ? KF_SCORES_LOGITS : KF_SCORES_UNKNOWN;
}

static kf_scores_kind walk_back(const kf__graph *g, kf__vid v) {
    walk w = {.g = g, .lo = -INFINITY, .hi = INFINITY};
    for (size_t step = 0; step <= g->n_nodes; step++) {
        const kf__node *n = maker(&w, v);
        if (!n) break;
        kf__vid before = affine_of(&w, n);
        const bool mean = n->op == KF_OP_GLOBAL_AVG_POOL || n->op == KF_OP_REDUCE_MEAN;
        if (hands_on(n) || clips(&w, n)) v = n->in[0];
        else if (before >= 0) w.affine = true, v = before;
        else if (n->op == KF_OP_LOG && !w.affine && !w.log) w.log = true, v = n->in[0];
        else if (mean && !w.pooled) w.pooled = true, v = n->in[0];
        else return meaning(&w, n);
    }
    return KF_SCORES_UNKNOWN;
}

/* The node that chooses among scores and made `v`, perhaps seen through views and casts; or NULL. */
static const kf__node *choice_of(const kf__graph *g, kf__vid v) {
    for (size_t step = 0; step <= g->n_nodes && v >= 0 && g->values[v].producer >= 0; step++) {
        const kf__node *n = &g->nodes[g->values[v].producer];
        if (n->op == KF_OP_TOP || n->op == KF_OP_TOP_K || n->op == KF_OP_ARG_MAX || n->op == KF_OP_ARG_MIN) return n;
        if (!hands_on(n) && n->op != KF_OP_CAST) return NULL;
        v = n->in[0];
    }
    return NULL;
}

kf__vid kf__graph_ranked(const kf__graph *g) {
    const kf__node *n = choice_of(g, g->outputs[0]);
    return n ? n->in[0] : g->outputs[0];
}

/* What a choice gives: places, or the numbers themselves. */
static kf_scores_kind chosen(const kf__graph *g, kf__vid v) {
    return g->values[v].dtype == KF_F32 ? KF_SCORES_TOP : KF_SCORES_INDICES;
}

kf_scores_kind kf__graph_scores_of(const kf__graph *g, kf__vid v) {
    size_t count = 0;
    const kf__shape *s = &g->values[v].shape;
    if (choice_of(g, v)) return chosen(g, v);
    if (v == kf__graph_ranked(g) && g->meta.scores) return (kf_scores_kind)g->meta.scores;
    kf_scores_kind found = walk_back(g, v);
    /* Somebody named as many classes: they are scores of some kind. */
    bool named = g->meta.n_labels > 0 && kf__shape_count(s, &count) && count == (size_t)g->meta.n_labels;
    return found == KF_SCORES_FEATURES && named ? KF_SCORES_UNKNOWN : found;
}

kf_scores_kind kf__graph_scores(const kf__graph *g, size_t output) {
    return kf__graph_scores_of(g, g->outputs[output]);
}

/* Values of 0..255 pass the normalization unchanged. */
static bool keeps_pixels(const kf_preprocess *p) {
    bool same = true;
    int channels = p->color == KF_COLOR_GRAY ? 1 : 3;
    for (int c = 0; c < channels; c++) same &= p->mean[c] == 0 && fabs(p->std[c] * 255 - 1) < 1e-9;
    return same;
}

kf_takes kf__graph_takes(const kf__graph *g, size_t input) {
    const kf__value *v = &g->values[g->inputs[input]];
    if (kf__quant_is_pixels(v->quant)) return KF_TAKES_PIXELS;
    if (input > 0) return KF_TAKES_UNKNOWN;
    if (g->meta.takes) return (kf_takes)g->meta.takes;
    if (g->meta.preprocess.valid) return keeps_pixels(&g->meta.preprocess) ? KF_TAKES_PIXELS : KF_TAKES_NORMALIZED;
    return v->shape.rank == 4 ? KF_TAKES_UNKNOWN : KF_TAKES_FEATURES;
}
