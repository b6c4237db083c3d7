/* Fully connected layers from Gemm, MatMul and 1x1 convolutions of 1x1 pixels that a flatten follows.
 * Owner rule: transposed or scaled weights are new constants of the graph. */
#include "passes/passes.h"

static bool const_matrix(const kf__graph *g, kf__vid v) {
    return kf__match_is_const(g, v) && g->values[v].dtype == KF_F32 && g->values[v].shape.rank == 2;
}

/** Weights as [O, K], times alpha. */
static kf_status weights_ok(kf__graph *g, kf__vid w, bool transposed, float alpha, kf__vid *out, kf_error *err) {
    if (transposed && alpha == 1.0f) {
        *out = w;
        return KF_OK;
    }
    const kf__shape in = g->values[w].shape;
    int64_t o = in.dim[!transposed], k = in.dim[transposed];
    const float *src = g->values[w].data;
    float *data = kf__mem_alloc(NULL, g->values[w].bytes);
    if (!data) KF_FAIL_MEMORY(err, g->values[w].bytes);
    for (int64_t i = 0; i < o; i++)
        for (int64_t j = 0; j < k; j++) data[i * k + j] = (transposed ? src[i * k + j] : src[j * o + i]) * alpha;
    kf__shape shape = kf__shape_make(2, (int64_t[]){o, k});
    kf_status st = kf__rewrite_const(g, g->values[w].name, "", &shape, data, out, err);
    kf__mem_free(NULL, data);
    return st;
}

/** Bias as [O], times beta; false when it is not one number (or one common number) per output. */
static kf_status bias_of(kf__graph *g, kf__vid b, int64_t o, float beta, kf__vid *out, bool *ok, kf_error *err) {
    *ok = true;
    *out = KF_NO_VALUE;
    if (b < 0) return KF_OK;
    const kf__value *v = &g->values[b];
    size_t n = v->bytes / sizeof(float);
    bool row = v->shape.rank <= 1 || (v->shape.rank == 2 && v->shape.dim[0] == 1);
    *ok = v->data && v->dtype == KF_F32 && row && (n == (size_t)o || n == 1);
    if (!*ok) return KF_OK;
    kf__shape shape = kf__shape_make(1, &o);
    if (n == (size_t)o && beta == 1.0f) return kf__rewrite_reshaped(g, b, &shape, out, err);
    float *data = kf__mem_alloc(NULL, (size_t)o * sizeof *data);
    if (!data) KF_FAIL_MEMORY(err, (size_t)o * sizeof *data);
    for (int64_t i = 0; i < o; i++) data[i] = ((const float *)v->data)[n == 1 ? 0 : i] * beta;
    kf_status st = kf__rewrite_const(g, v->name, "", &shape, data, out, err);
    kf__mem_free(NULL, data);
    return st;
}

static kf_status from_matrix(kf__graph *g, kf__node *n, bool *changed, kf_error *err) {
    bool gemm = n->op == KF_OP_GEMM;
    if ((gemm && n->attrs.trans_a) || !const_matrix(g, n->in[1]) || g->values[n->in[0]].shape.rank != 2) return KF_OK;
    bool transposed = gemm && n->attrs.trans_b, ok;
    int64_t o = g->values[n->in[1]].shape.dim[transposed ? 0 : 1];
    kf__vid in[3] = {n->in[0], -1, -1};
    kf__vid bias = gemm ? kf__match_in(n, 2) : KF_NO_VALUE;
    float alpha = gemm ? n->attrs.alpha : 1.0f, beta = 1.0f;
    if (gemm) beta = n->attrs.beta;
    KF_TRY(bias_of(g, bias, o, beta, &in[2], &ok, err));
    if (!ok) return KF_OK;
    KF_TRY(weights_ok(g, n->in[1], transposed, alpha, &in[1], err));
    n->op = KF_OP_FC;
    n->attrs.act = (kf__activation){0};
    n->attrs.trans_a = n->attrs.trans_b = 0;
    *changed = true;
    return kf__rewrite_inputs(g, n, in, in[2] < 0 ? 2 : 3, err);
}

/** The flatten (or equal reshape) that is the only reader of a [N,C,1,1] value, possibly behind one activation. */
static kf__node *flatten_after(const kf__graph *g, kf__vid v, kf__node **act) {
    *act = NULL;
    kf__node *n = kf__match_user(g, v);
    if (n && n->op == KF_OP_ACT) {
        *act = n;
        n = kf__match_user(g, n->out[0]);
    }
    if (!n || (n->op != KF_OP_FLATTEN && n->op != KF_OP_RESHAPE && n->op != KF_OP_SQUEEZE)) return NULL;
    const kf__shape *x = &g->values[n->in[0]].shape, *y = &g->values[n->out[0]].shape;
    if (x->rank != 4 || y->rank != 2 || y->dim[0] != x->dim[0] || y->dim[1] != x->dim[1]) return NULL;
    return n;
}

static bool pointwise_on_pixel(const kf__graph *g, const kf__node *n) {
    const kf__shape *x = &g->values[n->in[0]].shape;
    const kf__window *w = &n->attrs.window;
    return x->rank == 4 && x->dim[2] == 1 && x->dim[3] == 1 && kf__window_is_layer(w) && kf__match_in(n, 3) < 0 &&
           kf__match_is_const(g, n->in[1]) && n->attrs.post_act.kind == KF_ACT_NONE;
}

/** conv -> [act] -> flatten becomes flatten -> fc -> [act]: the flatten moves to the front, where it costs nothing. */
static kf_status from_conv(kf__graph *g, size_t index, bool *changed, kf_error *err) {
    kf__node *act, *n = &g->nodes[index], *flat = flatten_after(g, n->out[0], &act);
    if (!flat) return KF_OK;
    kf__shape x = g->values[n->in[0]].shape, w = g->values[n->in[1]].shape;
    kf__shape flat_in = kf__shape_make(2, x.dim), weights = kf__shape_make(2, w.dim);
    kf__vid conv_in = n->in[0], last = flat->out[0], weight, in[3] = {-1, -1, kf__match_in(n, 2)};
    KF_TRY(kf__rewrite_reshaped(g, n->in[1], &weights, &weight, err));
    const char *name = kf__arena_printf(&g->arena, "%s_flat", g->values[conv_in].name);
    kf__vid flattened = name ? kf__graph_add_value(g, name, KF_F32, &flat_in) : KF_NO_VALUE;
    if (flattened < 0) KF_FAIL_MEMORY(err, sizeof(kf__value));
    in[0] = flattened;
    in[1] = weight;
    flat->op = KF_OP_FLATTEN;
    flat->attrs.axis = 1;
    KF_TRY(kf__rewrite_inputs(g, flat, &conv_in, 1, err));
    flat->out[0] = flattened;
    g->values[flattened].producer = (int32_t)(flat - g->nodes);
    kf__node *tail = act ? act : n;
    if (act) g->values[n->out[0]].shape = g->values[last].shape;
    tail->out[0] = last;
    g->values[last].producer = (int32_t)(tail - g->nodes);
    n->op = KF_OP_FC;
    *changed = true;
    return kf__rewrite_inputs(g, n, in, in[2] < 0 ? 2 : 3, err);
}

kf_status kf__pass_fc(kf__graph *g, bool *changed, kf_error *err) {
    for (size_t i = 0; i < g->n_nodes; i++) {
        kf__node *n = &g->nodes[i];
        if (n->dead) continue;
        if (n->op == KF_OP_GEMM || n->op == KF_OP_MATMUL) KF_TRY(from_matrix(g, n, changed, err));
        else if (n->op == KF_OP_CONV && pointwise_on_pixel(g, n)) KF_TRY(from_conv(g, i, changed, err));
    }
    return KF_OK;
}
