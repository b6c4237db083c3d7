/* kf__eval_node: one node on dense tensors. Shapes come from the same inference that graphs use.
 * Owner rule: outputs are allocated from the caller's arena; inputs are only read. */
#include "graph/eval.h"

#include <stdlib.h>

/* Infer the output shapes by wrapping the node into a graph of one node whose inputs are constants. */
static kf_status infer_outputs(const kf__node *node, const kf__dense *const *in, int n_in, kf__dense *out, int n_out,
                               kf_error *err) {
    kf__value *values = calloc((size_t)(n_in + n_out) + 1, sizeof *values);
    kf__vid *ids = calloc((size_t)(n_in + n_out) + 1, sizeof *ids);
    kf__node one = *node;
    kf_status st = KF_OK;
    if (!values || !ids) {
        st = kf_error_set(err, KF_ERR_MEMORY, "%s: out of memory", node->name);
        goto done;
    }
    one.in = ids;
    one.out = ids + n_in;
    one.n_in = n_in;
    one.n_out = n_out;
    for (int k = 0; k < n_in + n_out; k++) {
        ids[k] = k < n_in && !in[k] ? KF_NO_VALUE : k;
        values[k] = (kf__value){.name = "", .producer = -1, .shape = {.rank = -1}};
        if (k < n_in && in[k]) {
            values[k].dtype = in[k]->dtype;
            values[k].shape = in[k]->shape;
            values[k].data = in[k]->data;
        }
    }
    kf__graph g = {.nodes = &one, .n_nodes = 1, .values = values, .n_values = (size_t)(n_in + n_out)};
    st = kf__graph_infer(&g, err);
    for (int k = 0; k < n_out && st == KF_OK; k++) {
        out[k] = (kf__dense){.dtype = values[n_in + k].dtype, .shape = values[n_in + k].shape};
        if (out[k].shape.rank < 0)
            st = kf_error_set(err, KF_ERR_SHAPE, "%s (%s): the output shape cannot be inferred", node->name,
                              kf__op_name(node->op));
    }
done:
    free(values);
    free(ids);
    return st;
}

/* Nothing to compute, and the other extents may be huge: evaluators would walk over them. */
static bool all_empty(const kf__dense *out, int n_out) {
    for (int k = 0; k < n_out; k++) {
        size_t count;
        if (!kf__shape_count(&out[k].shape, &count) || count) return false;
    }
    return true;
}

kf_status kf__eval_node(const kf__node *node, const kf__dense *const *in, int n_in, kf__dense *out, int n_out,
                        kf__arena *arena, kf_error *err) {
    static kf__eval_fn *const EVALUATORS[KF_OP_COUNT] = {
#define KF_OP(id, name, least, most, role, attrs, shape, type, eval, ...) kf__eval_##eval,
#include "graph/ops.def"
#undef KF_OP
    };
    if (n_in < 1 || !in[0])
        KF_FAIL(err, KF_ERR_FORMAT, "%s (%s): input 0 is missing", node->name, kf__op_name(node->op));
    KF_TRY(infer_outputs(node, in, n_in, out, n_out, err));
    /* An output without elements needs no evaluator, and evaluators may assume that there is one. */
    if (all_empty(out, n_out)) {
        for (int k = 0; k < n_out; k++) KF_TRY(kf__eval_alloc(&out[k], arena, err));
        return KF_OK;
    }
    const kf__eval e = {node, in, n_in, out, n_out, arena, err};
    KF_TRY(EVALUATORS[node->op](&e));
    for (int k = 0; k < n_out; k++)
        if (!out[k].data)
            KF_FAIL(err, KF_ERR_UNSUPPORTED, "%s (%s): output %d is not computed", node->name, kf__op_name(node->op),
                    k);
    return KF_OK;
}
