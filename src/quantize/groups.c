/* Convolutions in groups that are neither one nor depthwise become plain ones, with zeros for the channels of other
 * groups: the same function, and one that has integer kernels and corrections.
 * Owner rule: the new weights belong to the graph. */
#include "quantize/groups.h"

/* Larger layers would cost too much: they are refused as they are. */
enum { MOST_PAIRS = 1 << 20 }; /* of an input and an output channel */

static bool fits(const kf__graph *g, const kf__node *n) {
    if (n->dead || n->op != KF_OP_CONV || n->attrs.window.group < 2 || kf__node_is_depthwise(g, n)) return false;
    const kf__value *w = &g->values[n->in[1]];
    if (!w->data || w->dtype != KF_F32 || w->shape.rank != 4) return false;
    const int64_t o = w->shape.dim[0], in = w->shape.dim[1] * n->attrs.window.group;
    return o > 0 && o % n->attrs.window.group == 0 && o <= MOST_PAIRS / kf__max_i64(in, 1);
}

static kf_status spread(kf__graph *g, kf__node *n, kf_error *err) {
    const kf__value w = g->values[n->in[1]];
    const size_t group = (size_t)n->attrs.window.group, rows = (size_t)w.shape.dim[0];
    const size_t own = w.bytes / rows, all = own * group;
    kf__shape shape = w.shape;
    shape.dim[1] *= (int64_t)group;
    KF_TRY(kf__graph_charge(g, w.name, rows * all, rows * all, err));
    char *data = kf__mem_zalloc(NULL, rows * all);
    if (!data) KF_FAIL_MEMORY(err, rows * all);
    for (size_t o = 0; o < rows; o++)
        memcpy(data + o * all + o / (rows / group) * own, (const char *)w.data + o * own, own);
    const kf__vid v = kf__graph_add_const(g, w.name, KF_F32, &shape, data);
    kf__mem_free(NULL, data);
    if (v < 0) KF_FAIL_MEMORY(err, rows * all);
    n->in[1] = v;
    n->attrs.window.group = 1;
    return KF_OK;
}

kf_status kf__quantize_groups(kf__graph *g, kf_error *err) {
    for (size_t i = 0; i < g->n_nodes; i++)
        if (fits(g, &g->nodes[i])) KF_TRY(spread(g, &g->nodes[i], err));
    return KF_OK;
}
