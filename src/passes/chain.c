/* Building chains of nodes; chain.h says how.
 * Owner rule: see chain.h. */
#include "passes/chain.h"

static const char *next_name(kf__chain *c) {
    const char *result = c->g->values[c->g->nodes[c->base].out[c->slot]].name;
    return kf__arena_printf(&c->g->arena, "%s_part%d", result, ++c->links);
}

kf_status kf__chain_link(kf__chain *c, kf__op op, kf__vid extra, const kf__shape *shape, kf__node **n) {
    const char *name = next_name(c);
    kf__vid in[2] = {c->at, extra}, out = name ? kf__graph_add_value(c->g, name, KF_F32, shape) : KF_NO_VALUE;
    if (out < 0) KF_FAIL_MEMORY(c->err, sizeof(kf__value));
    kf__node *made = kf__graph_add_node(c->g, op, c->g->nodes[c->base].name, in, extra < 0 ? 1 : 2, &out, 1);
    if (!made) KF_FAIL_MEMORY(c->err, sizeof *made);
    made->origin = c->g->nodes[c->base].origin;
    made->attrs.window = KF_WINDOW_ONE;
    c->at = out;
    if (n) *n = made;
    return KF_OK;
}

kf_status kf__chain_view(kf__chain *c, const kf__shape *shape) {
    kf__node *n = NULL;
    if (kf__shape_equal(kf__chain_shape(c), shape)) return KF_OK;
    if (shape->rank == 2 && kf__chain_shape(c)->rank == 4 && kf__chain_shape(c)->dim[0] == shape->dim[0]) {
        KF_TRY(kf__chain_link(c, KF_OP_FLATTEN, KF_NO_VALUE, shape, &n));
        n->attrs.axis = 1;
        return KF_OK;
    }
    kf__shape list = kf__shape_make(1, (int64_t[]){shape->rank});
    kf__vid to = kf__graph_add_const(c->g, "", KF_I64, &list, shape->dim);
    if (to < 0) KF_FAIL_MEMORY(c->err, sizeof *shape);
    return kf__chain_link(c, KF_OP_RESHAPE, to, shape, NULL);
}

kf_status kf__chain_clip(kf__chain *c, float lo, float hi) {
    const kf__shape same = *kf__chain_shape(c);
    kf__node *n = NULL;
    KF_TRY(kf__chain_link(c, KF_OP_ACT, KF_NO_VALUE, &same, &n));
    n->attrs.act = (kf__activation){.kind = KF_ACT_CLIP, .lo = lo, .hi = hi};
    return KF_OK;
}

kf_status kf__chain_tap(kf__chain *c, bool depthwise, const float *w, const float *bias) {
    kf__shape out = *kf__chain_shape(c);
    const int64_t channels = out.dim[1];
    kf__shape size = kf__shape_make(4, (int64_t[]){1, channels, 1, 1});
    if (depthwise) size.dim[0] = channels, size.dim[1] = 1;
    const char *base = c->g->nodes[c->base].name;
    kf__vid weights, b = KF_NO_VALUE;
    kf__node *n = NULL;
    out.dim[1] = size.dim[0];
    KF_TRY(kf__rewrite_const(c->g, base, ".weight", &size, w, &weights, c->err));
    kf__shape row = kf__shape_make(1, size.dim);
    if (bias) KF_TRY(kf__rewrite_const(c->g, base, ".bias", &row, bias, &b, c->err));
    KF_TRY(kf__chain_link(c, KF_OP_CONV, weights, &out, &n));
    n->attrs.window.group = depthwise ? (int32_t)channels : 1;
    return bias ? kf__rewrite_inputs(c->g, n, (kf__vid[]){n->in[0], n->in[1], b}, 3, c->err) : KF_OK;
}

kf_status kf__chain_end(kf__chain *c) {
    kf__node *base = &c->g->nodes[c->base], *last = kf__match_any(c->g, c->at);
    kf__vid out = base->out[c->slot];
    if (!c->links || !last) KF_FAIL(c->err, KF_ERR_INTERNAL, "%s: a chain without a node", base->name);
    KF_TRY(kf__graph_merge_sources(c->g, last, base, c->err));
    last->out[0] = out;
    c->g->values[out].producer = (int32_t)(last - c->g->nodes);
    base->dead = true;
    return KF_OK;
}

bool kf__chain_carry(const kf__shape *from, const kf__shape *to, const bool pick[KF_MAX_RANK], bool out[KF_MAX_RANK]) {
    int i = 0, j = 0;
    memset(out, 0, KF_MAX_RANK * sizeof *out);
    while (i < from->rank && j < to->rank) {
        const int i0 = i, j0 = j;
        int64_t a = from->dim[i++], b = to->dim[j++];
        while (a != b) {
            if (a < b && i < from->rank) a *= from->dim[i++];
            else if (a > b && j < to->rank) b *= to->dim[j++];
            else return false;
        }
        bool any = false, all = true;
        for (int k = j0; k < j; k++) any = any || pick[k], all = all && (pick[k] || to->dim[k] == 1);
        if (any && !all) return false;
        for (int k = i0; k < i; k++) out[k] = any && from->dim[k] != 1;
    }
    return true;
}

bool kf__chain_behind_view(const kf__graph *g, kf__vid v, const bool pick[KF_MAX_RANK], kf__vid *x,
                           bool out[KF_MAX_RANK]) {
    const kf__node *p = kf__match_any(g, v);
    if (!p || !kf__op_is_view(p->op) || g->values[p->in[0]].shape.rank < 1) return false;
    *x = p->in[0];
    return kf__chain_carry(&g->values[*x].shape, &g->values[v].shape, pick, out);
}
