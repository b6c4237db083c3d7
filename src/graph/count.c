/* Multiply-accumulates, parameters and activations of nodes and graphs, as docs/COUNT.md defines them.
 * Owner rule: reads the graph; one scratch array on the heap. */
#include "graph/graph.h"

#include <stdlib.h>

#include "graph/qrules.h"

static int64_t elements(const kf__graph *g, kf__vid v) {
    size_t n;
    return v >= 0 && kf__shape_count(&g->values[v].shape, &n) && n <= (size_t)1 << 50 ? (int64_t)n : 0;
}

/* Sums and products saturate: no machine can hold such sizes. */
static int64_t times(int64_t a, int64_t b) { return __builtin_mul_overflow(a, b, &a) ? INT64_MAX : a; }
static int64_t plus(int64_t a, int64_t b) { return __builtin_add_overflow(a, b, &a) ? INT64_MAX : a; }

static bool is_matrix(const kf__node *n) { return n->op == KF_OP_FC || kf__op_table[n->op].role == KF_ROLE_MATRIX; }

int64_t kf__node_macs(const kf__graph *g, const kf__node *n) {
    if (n->n_out < 1 || n->n_in < 2) return 0;
    int64_t out = elements(g, n->out[0]);
    if (n->op == KF_OP_CONV) {
        const kf__shape *w = &g->values[n->in[1]].shape;
        return w->rank == 4 ? times(times(out, w->dim[1]), times(w->dim[2], w->dim[3])) : 0;
    }
    if (is_matrix(n)) {
        const kf__shape *w = &g->values[n->in[1]].shape;
        if (w->rank != 2) return 0;
        return times(out, w->dim[n->op == KF_OP_FC || (n->op == KF_OP_GEMM && n->attrs.trans_b)]);
    }
    if (n->op == KF_OP_SE_GATE) {
        const kf__shape *x = &g->values[n->in[0]].shape;
        return x->rank > 0 ? times(x->dim[0], plus(elements(g, n->in[1]), elements(g, n->in[3]))) : 0;
    }
    return 0;
}

int64_t kf__node_activations(const kf__graph *g, const kf__node *n) {
    if (n->n_out < 1 || n->n_in < 2) return 0;
    if (n->op == KF_OP_CONV || is_matrix(n)) return elements(g, n->out[0]);
    if (n->op == KF_OP_SE_GATE) {
        const kf__shape *x = &g->values[n->in[0]].shape;
        return x->rank > 0 ? times(x->dim[0], plus(elements(g, n->in[2]), elements(g, n->in[4]))) : 0;
    }
    return 0;
}

/** Is input k of the node a learned constant? */
static bool learned(const kf__graph *g, const kf__node *n, int k) {
    if (k == 0 || n->in[k] < 0 || !g->values[n->in[k]].data) return false;
    switch (kf__op_table[n->op].role) {
    case KF_ROLE_LAYER:
    case KF_ROLE_GATE:
    case KF_ROLE_MATRIX: return true;
    case KF_ROLE_NORM: return k <= 2;
    case KF_ROLE_ARITHMETIC: /* a bias in a node of its own; single numbers belong to formulas (x + 3) */
        return n->op == KF_OP_ADD && elements(g, n->in[k]) > 1;
    case KF_ROLE_GATED:
    case KF_ROLE_ACTIVATION:
    case KF_ROLE_POOL:
    case KF_ROLE_REDUCTION:
    case KF_ROLE_VIEW:
    case KF_ROLE_MOVE:
    case KF_ROLE_SHAPE:
    case KF_ROLE_QDQ: break;
    }
    return false;
}

/* Numbers that input k of the node holds. A quantized layer over pixels has its bias once for each class of border: it
 * is one bias. */
static int64_t numbers(const kf__graph *g, const kf__node *n, int k) {
    return k == 2 && kf__q_border_bias(g, n) ? g->values[n->in[k]].shape.dim[1] : elements(g, n->in[k]);
}

int64_t kf__node_parameters(const kf__graph *g, const kf__node *n) {
    int64_t sum = 0;
    for (int k = 0; k < n->n_in; k++)
        if (learned(g, n, k)) sum = plus(sum, numbers(g, n, k));
    return sum;
}

/* `seen` marks constants that were counted, because several nodes may share one. */
kf_status kf__graph_count(const kf__graph *g, int64_t *macs, int64_t *parameters, int64_t *activations, kf_error *err) {
    int64_t m = 0, p = 0, a = 0;
    bool *seen = calloc(g->n_values ? g->n_values : 1, sizeof *seen);
    if (!seen) KF_FAIL_MEMORY(err, g->n_values * sizeof *seen);
    for (size_t i = 0; i < g->n_nodes; i++) {
        const kf__node *n = &g->nodes[i];
        if (n->dead) continue;
        m = plus(m, kf__node_macs(g, n));
        a = plus(a, kf__node_activations(g, n));
        for (int k = 0; k < n->n_in; k++) {
            if (!learned(g, n, k) || seen[n->in[k]]) continue;
            seen[n->in[k]] = true;
            p = plus(p, numbers(g, n, k));
        }
    }
    free(seen);
    if (macs) *macs = m;
    if (parameters) *parameters = p;
    if (activations) *activations = a;
    return KF_OK;
}

kf_status kf__graph_count_architecture(const kf__graph *g, int64_t *parameters, kf_error *err) {
    KF_TRY(kf__graph_count(g, NULL, parameters, NULL, err));
    for (size_t i = 0; i < g->n_nodes; i++) {
        const kf__node *n = &g->nodes[i];
        if (!n->dead && n->op == KF_OP_CONV && n->n_in > 2 && n->in[2] >= 0)
            *parameters = plus(*parameters, numbers(g, n, 2));
    }
    return KF_OK;
}
