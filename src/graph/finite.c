/* NaN and infinity: which constants of a graph may be infinite, and a check that no constant used in arithmetic is. One
 * rule for ONNX files and checkpoints.
 * Owner rule: reads the graph. */
#include <math.h>

#include "graph/graph.h"

kf_status kf__finite_element(const char *name, float x, size_t i, kf_error *err) {
    if (isfinite(x)) return KF_OK;
    KF_FAIL(err, KF_ERR_FORMAT,
            "tensor %s: element %zu is not a finite number; the file is damaged or its training diverged", name, i);
}

static kf_status finite_value(const kf__value *v, kf_error *err) {
    size_t n;
    if (!v->data || v->dtype != KF_F32 || !kf__shape_count(&v->shape, &n)) return KF_OK;
    for (size_t i = 0; i < n; i++) KF_TRY(kf__finite_element(v->name, ((const float *)v->data)[i], i, err));
    return KF_OK;
}

/* Does the node compute with its constants? Bounds, and values that are only compared or chosen, may be infinite. A
 * node with constant inputs only is folded first, and its result is checked then. */
static bool computes(const kf__graph *g, const kf__node *n) {
    bool constant = true;
    switch (kf__op_table[n->op].role) {
    case KF_ROLE_LAYER:
    case KF_ROLE_GATE:
    case KF_ROLE_GATED:
    case KF_ROLE_MATRIX:
    case KF_ROLE_NORM:
    case KF_ROLE_QDQ: return true;
    case KF_ROLE_ARITHMETIC: break;
    case KF_ROLE_ACTIVATION:
    case KF_ROLE_POOL:
    case KF_ROLE_REDUCTION:
    case KF_ROLE_VIEW:
    case KF_ROLE_MOVE:
    case KF_ROLE_SHAPE: return false;
    }
    for (int k = 0; k < n->n_in; k++) constant = constant && (n->in[k] < 0 || g->values[n->in[k]].data);
    bool chooses =
        n->op == KF_OP_MIN || n->op == KF_OP_MAX || n->op == KF_OP_WHERE || kf__op_table[n->op].type == KF_TYPE_BOOL;
    return !constant && !chooses;
}

/* The node divides by the root of variance plus epsilon, which must be positive. */
static kf_status check_variance(const kf__graph *g, const kf__node *n, kf_error *err) {
    const kf__value *v = n->op == KF_OP_BATCH_NORM && n->n_in > 4 && n->in[4] >= 0 ? &g->values[n->in[4]] : NULL;
    size_t count;
    if (!v || !v->data || v->dtype != KF_F32 || !kf__shape_count(&v->shape, &count)) return KF_OK;
    for (size_t i = 0; i < count; i++)
        if (!(((const float *)v->data)[i] + n->attrs.epsilon > 0))
            KF_FAIL(err, KF_ERR_FORMAT,
                    "tensor %s: element %zu plus epsilon is not above 0; a variance cannot be negative", v->name, i);
    return KF_OK;
}

static kf_status check_node(const kf__graph *g, const kf__node *n, kf_error *err) {
    const kf__attrs *a = &n->attrs;
    const float bounds[] = {a->value,       a->act.lo,      a->act.hi,     a->post_act.lo,
                            a->post_act.hi, a->gate_act.lo, a->gate_act.hi};
    bool legal = isfinite(a->alpha) && isfinite(a->beta) && isfinite(a->epsilon);
    for (size_t i = 0; i < KF_COUNT(bounds); i++) legal = legal && !isnan(bounds[i]);
    if (!legal) KF_FAIL(err, KF_ERR_FORMAT, "an attribute is not a number");
    for (int k = 0; k < n->n_in && computes(g, n); k++)
        if (n->in[k] >= 0) KF_TRY(finite_value(&g->values[n->in[k]], err));
    return check_variance(g, n, err);
}

kf_status kf__graph_check_finite(const kf__graph *g, kf_error *err) {
    for (size_t i = 0; i < g->n_nodes; i++) {
        const kf__node *n = &g->nodes[i];
        kf_status st = n->dead ? KF_OK : check_node(g, n, err);
        if (st != KF_OK) return kf_error_prefix(err, st, "node %.200s (%s)", n->name, kf__op_name(n->op));
    }
    return KF_OK;
}
