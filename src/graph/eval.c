/* kf__eval_node: one node on dense tensors. Shapes come from the same inference that graphs use.
 * Floor 3.
 * Owner rule: outputs are allocated from the caller's arena; inputs are only read. */
#include "graph/eval.h"

#include <stdlib.h>

/* Infer the output shapes by wrapping the node into a graph of one node whose inputs are constants. */
static kf_status infer_outputs(const kf__node *node, const kf__dense *const *in, int n_in, kf__dense *out, int n_out, kf_error *err) {
    kf__value *values = calloc((size_t)(n_in + n_out) + 1, sizeof *values);
    kf__vid *ids = calloc((size_t)(n_in + n_out) + 1, sizeof *ids);
    kf__node one = *node;
    kf_status st = KF_OK;
    if (!values || !ids) {
        st = kf__error_set(err, KF_ERR_MEMORY, "%s: out of memory", node->name);
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
            st = kf__error_set(err, KF_ERR_SHAPE, "%s (%s): the output shape cannot be inferred", node->name, kf__op_name(node->op));
    }
done:
    free(values);
    free(ids);
    return st;
}

/* Split: consecutive slices along one axis. */
static kf_status eval_split(const kf__node *n, const kf__dense *x, kf__dense *out, int n_out, kf__arena *arena, kf_error *err) {
    int ax = n->attrs.axis < 0 ? n->attrs.axis + x->shape.rank : n->attrs.axis;
    size_t outer = 1, inner = kf_dtype_size(x->dtype), at = 0, row;
    for (int i = 0; i < ax; i++) outer *= (size_t)x->shape.dim[i];
    for (int i = ax + 1; i < x->shape.rank; i++) inner *= (size_t)x->shape.dim[i];
    row = (size_t)x->shape.dim[ax] * inner;
    for (int k = 0; k < n_out; k++) {
        KF_TRY(kf__eval_alloc(&out[k], x->dtype, arena, err));
        size_t mine = (size_t)out[k].shape.dim[ax] * inner;
        for (size_t o = 0; o < outer; o++) memcpy((char *)out[k].data + o * mine, (const char *)x->data + o * row + at, mine);
        at += mine;
    }
    return KF_OK;
}

static kf_status eval_tile(const kf__dense *x, kf__dense *out, kf__arena *arena, kf_error *err) {
    size_t count;
    KF_TRY(kf__eval_alloc(out, x->dtype, arena, err));
    if (!kf__shape_count(&out->shape, &count)) return KF_ERR_SHAPE;
    for (size_t i = 0; i < count; i++) {
        size_t rest = i, from = 0, step = 1;
        for (int d = x->shape.rank - 1; d >= 0; d--) {
            from += rest % (size_t)out->shape.dim[d] % (size_t)x->shape.dim[d] * step;
            rest /= (size_t)out->shape.dim[d];
            step *= (size_t)x->shape.dim[d];
        }
        kf__eval_put(out, i, kf__eval_get(x, from));
    }
    return KF_OK;
}

kf_status kf__eval_node(const kf__node *node, const kf__dense *const *in, int n_in, kf__dense *out, int n_out,
                        kf__arena *arena, kf_error *err) {
    if (n_in < 1 || !in[0]) KF_FAIL(err, KF_ERR_FORMAT, "%s (%s): input 0 is missing", node->name, kf__op_name(node->op));
    KF_TRY(infer_outputs(node, in, n_in, out, n_out, err));
    switch (node->op) {
    case KF_OP_SPLIT: return eval_split(node, in[0], out, n_out, arena, err);
    case KF_OP_TILE: return eval_tile(in[0], &out[0], arena, err);
    case KF_OP_QUANTIZE: case KF_OP_DEQUANTIZE: return kf__eval_linear(node, in, n_in, &out[0], arena, err);
    case KF_OP_SHAPE: case KF_OP_SIZE: case KF_OP_CAST: case KF_OP_CONSTANT_OF_SHAPE: case KF_OP_GATHER: case KF_OP_SLICE:
    case KF_OP_CONCAT: case KF_OP_PAD: case KF_OP_TRANSPOSE: case KF_OP_EXPAND: case KF_OP_RESHAPE: case KF_OP_FLATTEN:
    case KF_OP_SQUEEZE: case KF_OP_UNSQUEEZE: case KF_OP_IDENTITY: case KF_OP_DROPOUT:
        return kf__eval_movement(node, in, n_in, &out[0], arena, err);
    case KF_OP_CONV: case KF_OP_BATCH_NORM: case KF_OP_MAX_POOL: case KF_OP_AVG_POOL: case KF_OP_GLOBAL_AVG_POOL:
    case KF_OP_GEMM: case KF_OP_MATMUL: case KF_OP_FC: case KF_OP_SE_GATE: case KF_OP_SCALE: case KF_OP_SOFTMAX:
    case KF_OP_REDUCE_MEAN: case KF_OP_REDUCE_SUM:
        return kf__eval_network(node, in, n_in, &out[0], arena, err);
    default: return kf__eval_elementwise(node, in, n_in, &out[0], arena, err);
    }
}
