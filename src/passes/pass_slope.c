/* LeakyRelu and PRelu as what they are made of: relu(x) + slope * min(x, 0), where one of the two is 0. Every result is
 * the same float as that of one operation, and integers need no rule of their own.
 * Owner rule: added nodes, values and weights belong to the graph. */
#include "passes/chain.h"

#include <math.h>

/* The slope of each channel, channels being axis 1. False: it differs along another axis, or it is computed. */
static bool slopes(const kf__graph *g, const kf__node *n, int64_t channels, float *out) {
    const kf__shape *x = &g->values[n->in[0]].shape;
    if (n->op == KF_OP_LEAKY_RELU) {
        for (int64_t c = 0; c < channels; c++) out[c] = n->attrs.alpha;
        return true;
    }
    if (!kf__match_is_const(g, n->in[1])) return false;
    const kf__shape *s = &g->values[n->in[1]].shape;
    const float *d = g->values[n->in[1]].data;
    const size_t count = g->values[n->in[1]].bytes / sizeof *d;
    for (int i = 0; i < s->rank; i++)
        if (s->dim[i] != 1 && i + x->rank - s->rank != 1) return false;
    for (int64_t c = 0; c < channels; c++) out[c] = d[count == 1 ? 0 : c];
    return true;
}

static kf_status replace(kf__graph *g, size_t index, const float *slope, kf_error *err) {
    const kf__shape x = g->values[g->nodes[index].in[0]].shape;
    kf__shape image = kf__shape_make(4, (int64_t[]){x.dim[0], x.dim[1], 1, 1});
    for (int i = 2; i < x.rank; i++) image.dim[i] = x.dim[i];
    kf__chain c = kf__chain_begin(g, index, g->nodes[index].in[0], err);
    KF_TRY(kf__chain_view(&c, &image));
    const kf__vid from = c.at;
    KF_TRY(kf__chain_clip(&c, 0, INFINITY));
    const kf__vid above = c.at;
    c.at = from;
    KF_TRY(kf__chain_clip(&c, -INFINITY, 0));
    KF_TRY(kf__chain_tap(&c, true, slope, NULL));
    KF_TRY(kf__chain_link(&c, KF_OP_ADD, above, &image, NULL));
    KF_TRY(kf__chain_view(&c, &x));
    return kf__chain_end(&c);
}

kf_status kf__pass_slope(kf__graph *g, bool *changed, kf_error *err) {
    const size_t count = g->n_nodes;
    for (size_t i = 0; i < count; i++) {
        const kf__node *n = &g->nodes[i];
        if (n->dead || (n->op != KF_OP_LEAKY_RELU && n->op != KF_OP_PRELU)) continue;
        const kf__shape *x = &g->values[n->in[0]].shape;
        if (x->rank < 2 || x->rank > 4 || x->dim[1] < 1 || x->dim[1] > 1 << 20) continue;
        float *slope = kf__mem_alloc(NULL, (size_t)x->dim[1] * sizeof *slope);
        if (!slope) KF_FAIL_MEMORY(err, (size_t)x->dim[1] * sizeof *slope);
        kf_status st = KF_OK;
        if (slopes(g, n, x->dim[1], slope)) st = replace(g, i, slope, err), *changed = true;
        kf__mem_free(NULL, slope);
        KF_TRY(st);
    }
    return KF_OK;
}
