/* Other orders of axes: what the passes layout and channels share.
 * Owner rule: new nodes, values and constants belong to the graph. */
#include "passes/passes.h"

bool kf__order_is_view(const kf__shape *x, const kf__order *o) {
    int last = -1;
    for (int k = 0; k < o->n; k++) {
        if (x->dim[o->from[k]] == 1) continue;
        if (o->from[k] < last) return false;
        last = o->from[k];
    }
    return true;
}

static bool gives(const kf__shape *x, const kf__shape *y, const kf__order *o) {
    for (int k = 0; k < o->n; k++)
        if (y->dim[k] != x->dim[o->from[k]]) return false;
    return true;
}

bool kf__order_of(const kf__graph *g, const kf__node *n, kf__order *o) {
    static const kf__order TURNS[] = {{4, {0, 3, 1, 2}}, {4, {0, 2, 3, 1}}};
    if (n->dead || n->n_in < 1 || n->in[0] < 0) return false;
    const kf__shape *x = &g->values[n->in[0]].shape, *y = &g->values[n->out[0]].shape;
    if (x->rank < 2 || y->rank != x->rank) return false;
    if (n->op == KF_OP_TRANSPOSE) {
        o->n = x->rank;
        for (int k = 0; k < o->n; k++) o->from[k] = n->attrs.n_axes ? (int)n->attrs.axes[k] : o->n - 1 - k;
        return true;
    }
    for (size_t i = 0; n->op == KF_OP_RESHAPE && x->rank == 4 && i < KF_COUNT(TURNS); i++) {
        *o = TURNS[i];
        if (gives(x, y, o) && kf__order_is_view(x, o) && !kf__shape_equal(x, y)) return true;
    }
    return false;
}

bool kf__order_elementwise(const kf__node *n) {
    const kf__op_role role = kf__op_table[n->op].role;
    if (n->n_out != 1) return false;
    return role == KF_ROLE_ACTIVATION || role == KF_ROLE_ARITHMETIC || n->op == KF_OP_CAST || n->op == KF_OP_IDENTITY ||
           n->op == KF_OP_DROPOUT;
}

/* Elements of `from`, which has the shape y, in row-major order of x. */
static void turn(const kf__shape *y, const kf__order *o, size_t size, const char *from, char *to) {
    int64_t step[KF_MAX_RANK] = {0}, dim[KF_MAX_RANK] = {0}, at[KF_MAX_RANK] = {0}, stride = 1;
    for (int k = o->n - 1; k >= 0; k--) {
        dim[o->from[k]] = y->dim[k], step[o->from[k]] = stride;
        stride *= y->dim[k];
    }
    for (int64_t i = 0, source = 0; i < stride; i++) {
        memcpy(to + (size_t)i * size, from + (size_t)source * size, size);
        for (int k = o->n - 1; k >= 0; k--) {
            source += step[k];
            if (++at[k] < dim[k]) break;
            source -= step[k] * dim[k];
            at[k] = 0;
        }
    }
}

kf_status kf__order_const(kf__graph *g, kf__vid v, const kf__order *o, kf__vid *out, kf_error *err) {
    const kf__value c = g->values[v];
    kf__shape y = {.rank = o->n}, x = {.rank = o->n};
    size_t count = 0, size = kf_dtype_size(c.dtype);
    *out = v;
    if (!kf__shape_count(&c.shape, &count)) KF_FAIL(err, KF_ERR_SHAPE, "%s: its size overflows", c.name);
    if (count <= 1) return KF_OK;
    for (int k = 0; k < o->n; k++) y.dim[k] = k < o->n - c.shape.rank ? 1 : c.shape.dim[k - o->n + c.shape.rank];
    for (int k = 0; k < o->n; k++) x.dim[o->from[k]] = y.dim[k];
    if (kf__order_is_view(&x, o)) return kf__rewrite_reshaped(g, v, &x, out, err);
    KF_TRY(kf__graph_charge(g, c.name, count * size, count, err));
    char *data = kf__mem_alloc(NULL, count * size);
    if (!data) KF_FAIL_MEMORY(err, count * size);
    turn(&y, o, size, c.data, data);
    *out = kf__graph_add_const(g, c.name, c.dtype, &x, data);
    kf__mem_free(NULL, data);
    if (*out < 0) KF_FAIL_MEMORY(err, count * size);
    return KF_OK;
}

kf_status kf__order_ints(kf__graph *g, const char *base, const int64_t *list, int n, kf__vid *out, kf_error *err) {
    const kf__shape shape = kf__shape_make(1, (int64_t[]){n});
    const char *name = kf__arena_printf(&g->arena, "%s_list", base);
    KF_TRY(kf__graph_charge(g, base, (uint64_t)n * sizeof *list, (uint64_t)n, err));
    *out = name ? kf__graph_add_const(g, name, KF_I64, &shape, list) : KF_NO_VALUE;
    if (*out < 0) KF_FAIL_MEMORY(err, (size_t)n * sizeof *list);
    return KF_OK;
}

/* The node itself becomes what follows, so that the graph stays sorted for those behind it. */
kf_status kf__order_sink(kf__graph *g, size_t at, const kf__sunk *s, kf_error *err) {
    const kf__node was = g->nodes[at];
    const kf__vid y = was.out[0];
    const char *name = kf__arena_printf(&g->arena, "%s_turned", g->values[y].name);
    const char *own = kf__arena_printf(&g->arena, "%s/%s", was.name, kf__op_name(s->after));
    const char **sources = kf__arena_array(&g->arena, 1, sizeof *sources);
    const kf__vid v = name ? kf__graph_add_value(g, name, g->values[y].dtype, &s->shape) : KF_NO_VALUE;
    kf__node *n = v >= 0 ? kf__graph_add_node(g, was.op, was.name, s->in, s->n_in, &v, 1) : NULL;
    if (!n || !own || !sources) KF_FAIL_MEMORY(err, sizeof *n);
    n->attrs = s->attrs;
    n->origin = was.origin;
    KF_TRY(kf__graph_merge_sources(g, n, &was, err));
    kf__node *after = &g->nodes[at];
    sources[0] = after->name = own;
    after->sources = sources;
    after->n_sources = after->cap_sources = 1;
    after->op = s->after;
    after->attrs = s->after_attrs;
    return kf__rewrite_inputs(g, after, (kf__vid[]){v, s->after_in}, s->after_in < 0 ? 1 : 2, err);
}
