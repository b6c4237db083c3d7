/* Additions of a constant become biases: Conv + Add of one number per channel, MatMul + Add of a row (to Gemm).
 * Owner rule: the new bias is a constant of the graph. */
#include "passes/passes.h"

/** Constant with `channels` numbers (or one) that broadcast along `axis` of a tensor of rank `rank`, spread out to
 * `out`. */
static bool channel_constant(const kf__graph *g, kf__vid v, int rank, int axis, size_t channels, float *out) {
    if (!kf__match_is_const(g, v) || g->values[v].dtype != KF_F32) return false;
    const kf__shape *s = &g->values[v].shape;
    if (s->rank > rank) return false;
    for (int i = 0; i < s->rank; i++) {
        int at = i + rank - s->rank;
        if (s->dim[i] != 1 && !(at == axis && s->dim[i] == (int64_t)channels)) return false;
    }
    const float *d = g->values[v].data;
    size_t n = g->values[v].bytes / sizeof *d;
    if (n != 1 && n != channels) return false;
    for (size_t c = 0; c < channels; c++) out[c] = d[n == 1 ? 0 : c];
    return true;
}

static kf_status set_bias(kf__graph *g, kf__node *n, kf__node *add, int64_t channels, const float *bias,
                          kf_error *err) {
    kf__shape shape = kf__shape_make(1, &channels);
    kf__vid in[3] = {n->in[0], n->in[1], -1};
    KF_TRY(kf__rewrite_const(g, n->name, ".bias", &shape, bias, &in[2], err));
    KF_TRY(kf__rewrite_inputs(g, n, in, 3, err));
    return kf__rewrite_absorb(g, n, add, err);
}

static kf_status conv_add(kf__graph *g, kf__node *conv, kf__node *add, kf__vid addend, bool *changed, kf_error *err) {
    if (kf__match_in(conv, 3) >= 0 || conv->attrs.act.kind != KF_ACT_NONE || g->values[conv->out[0]].shape.rank != 4)
        return KF_OK;
    int64_t channels = g->values[conv->out[0]].shape.dim[1];
    kf__vid old = kf__match_in(conv, 2);
    if (old >= 0 && (!kf__match_is_const(g, old) || g->values[old].dtype != KF_F32)) return KF_OK;
    if (!kf__shape_equal(&g->values[conv->out[0]].shape, &g->values[add->out[0]].shape)) return KF_OK;
    float *bias = kf__mem_alloc(NULL, (size_t)channels * sizeof *bias);
    if (!bias) KF_FAIL_MEMORY(err, (size_t)channels * sizeof *bias);
    kf_status st = KF_OK;
    if (channel_constant(g, addend, 4, 1, (size_t)channels, bias)) {
        for (int64_t c = 0; old >= 0 && c < channels; c++) bias[c] += ((const float *)g->values[old].data)[c];
        st = set_bias(g, conv, add, channels, bias, err);
        if (st == KF_OK) *changed = true;
    }
    kf__mem_free(NULL, bias);
    return st;
}

static kf_status matmul_add(kf__graph *g, kf__node *mm, kf__node *add, kf__vid addend, bool *changed, kf_error *err) {
    const kf__shape *x = &g->values[mm->in[0]].shape, *w = &g->values[mm->in[1]].shape;
    if (x->rank != 2 || w->rank != 2 || !kf__shape_equal(&g->values[mm->out[0]].shape, &g->values[add->out[0]].shape))
        return KF_OK;
    int64_t channels = w->dim[1];
    float *bias = kf__mem_alloc(NULL, (size_t)channels * sizeof *bias);
    if (!bias) KF_FAIL_MEMORY(err, (size_t)channels * sizeof *bias);
    kf_status st = KF_OK;
    if (channel_constant(g, addend, 2, 1, (size_t)channels, bias)) {
        st = set_bias(g, mm, add, channels, bias, err);
        if (st == KF_OK) {
            mm->op = KF_OP_GEMM;
            mm->attrs.alpha = mm->attrs.beta = 1.0f;
            mm->attrs.trans_a = mm->attrs.trans_b = 0;
            *changed = true;
        }
    }
    kf__mem_free(NULL, bias);
    return st;
}

/* The 3 of a spelled-out h-sigmoid, clip(x + 3, 0, 6) / 6: kept for the pass that recognizes it. */
static bool begins_hsigmoid(const kf__graph *g, const kf__node *add) {
    const kf__node *clip = kf__match_user(g, add->out[0]);
    float three, six;
    if (kf__match_with_scalar(g, add, &three) < 0 || three != 3.0f) return false;
    if (!clip || clip->op != KF_OP_CLIP || clip->attrs.act.lo != 0.0f || clip->attrs.act.hi != 6.0f) return false;
    const kf__node *over = kf__match_user(g, clip->out[0]);
    if (!over || kf__match_with_scalar(g, over, &six) < 0) return false;
    if (over->op == KF_OP_MUL) return kf__match_near(six, 1.0 / 6.0);
    return over->op == KF_OP_DIV && over->in[0] == clip->out[0] && six == 6.0f;
}

kf_status kf__pass_bias(kf__graph *g, bool *changed, kf_error *err) {
    for (size_t i = 0; i < g->n_nodes; i++) {
        kf__node *add = &g->nodes[i];
        for (int k = 0; k < 2 && !add->dead && add->op == KF_OP_ADD; k++) {
            if (!kf__match_single(g, add->in[k]) || begins_hsigmoid(g, add)) continue;
            kf__node *conv = kf__match_producer(g, add->in[k], KF_OP_CONV);
            kf__node *mm = kf__match_producer(g, add->in[k], KF_OP_MATMUL);
            if (conv) KF_TRY(conv_add(g, conv, add, add->in[1 - k], changed, err));
            else if (mm && kf__match_is_const(g, mm->in[1]))
                KF_TRY(matmul_add(g, mm, add, add->in[1 - k], changed, err));
        }
    }
    return KF_OK;
}
