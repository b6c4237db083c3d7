/* Constant folding: nodes whose inputs are all known, Shape and Size of known shapes, and attributes given as inputs.
 * The arithmetic is kf__eval_node, the same that the reference executor uses.
 * Owner rule: folded data is copied into the graph's arena. */
#include "passes/passes.h"

/* A node with a larger result is not folded. The graph's budget limits the cost of all folding together. */
enum { MAX_FOLDED_ELEMENTS = 1 << 26 };

static kf_status set_const(kf__graph *g, kf__vid v, const kf__dense *d, kf_error *err) {
    size_t count;
    if (!kf__shape_count(&d->shape, &count))
        KF_FAIL(err, KF_ERR_SHAPE, "%s: folded shape overflows", g->values[v].name);
    size_t bytes = count * kf_dtype_size(d->dtype);
    /* An empty tensor is a constant too, and constants are recognized by `data`. */
    void *copy = kf__arena_alloc(&g->arena, bytes ? bytes : 1);
    if (!copy) KF_FAIL_MEMORY(err, bytes);
    if (bytes) memcpy(copy, d->data, bytes);
    kf__value *value = &g->values[v];
    value->dtype = d->dtype;
    value->shape = d->shape;
    value->data = copy;
    value->bytes = bytes;
    value->producer = -1;
    return KF_OK;
}

/** Shape and Size need only the shape of their input. */
static kf_status fold_shape(kf__graph *g, kf__node *n, bool *done, kf_error *err) {
    kf__shape in = g->values[n->in[0]].shape;
    if (in.rank < 0) return KF_OK;
    int64_t dims[KF_MAX_RANK] = {0};
    kf__dense d = {.dtype = KF_I64, .data = dims};
    if (n->op == KF_OP_SIZE) {
        size_t count;
        if (!kf__shape_count(&in, &count)) return KF_OK;
        dims[0] = (int64_t)count;
    } else {
        int first;
        int64_t len = kf__shape_query(&n->attrs, in.rank, &first);
        for (int64_t i = 0; i < len; i++) dims[i] = in.dim[first + i];
        d.shape = kf__shape_make(1, &len);
    }
    KF_TRY(set_const(g, n->out[0], &d, err));
    *done = true;
    return KF_OK;
}

static bool foldable(const kf__graph *g, const kf__node *n) {
    if (n->op == KF_OP_DEQUANTIZE) return false; /* integer weights of a QDQ file stay integers */
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] >= 0 && !kf__match_is_const(g, n->in[i])) return false;
    for (int i = 0; i < n->n_out; i++) {
        size_t count;
        if (n->out[i] < 0) continue;
        const kf__shape *s = &g->values[n->out[i]].shape;
        if (s->rank < 0 || !kf__shape_count(s, &count) || count > MAX_FOLDED_ELEMENTS) return false;
    }
    return true;
}

static uint64_t result_bytes(const kf__graph *g, const kf__node *n) {
    uint64_t sum = 0;
    for (int i = 0; i < n->n_out; i++) {
        size_t count = 0;
        const kf__value *v = n->out[i] >= 0 ? &g->values[n->out[i]] : NULL;
        if (v && kf__shape_count(&v->shape, &count)) sum += (uint64_t)count * kf_dtype_size(v->dtype);
    }
    return sum;
}

static kf_status fold_node(kf__graph *g, kf__node *n, bool *done, kf_error *err) {
    if (n->n_in > 64 || n->n_out > 64) return KF_OK;
    KF_TRY(kf__graph_charge(g, n->name, result_bytes(g, n), kf__graph_work(g, n), err));
    kf__dense in[64], out[64] = {0};
    const kf__dense *ptr[64];
    for (int i = 0; i < n->n_in; i++) {
        ptr[i] = NULL;
        if (n->in[i] < 0) continue;
        const kf__value *v = &g->values[n->in[i]];
        /* Evaluators only read their inputs. */
        in[i] = (kf__dense){.dtype = v->dtype, .shape = v->shape, .data = (void *)(uintptr_t)v->data};
        ptr[i] = &in[i];
    }
    kf__arena scratch;
    kf__arena_init(&scratch, NULL);
    kf_error local = {0};
    kf_status st = kf__eval_node(n, ptr, n->n_in, out, n->n_out, &scratch, &local);
    for (int i = 0; st == KF_OK && i < n->n_out; i++)
        if (n->out[i] >= 0) st = set_const(g, n->out[i], &out[i], &local);
    kf__arena_free(&scratch);
    if (st == KF_ERR_UNSUPPORTED) return KF_OK; /* without an evaluator, the node stays */
    if (st != KF_OK) {
        if (err) *err = local;
        return kf_error_prefix(err, st, "%s", n->name);
    }
    *done = true;
    return KF_OK;
}

/** Integers of a constant input, for attributes that newer opsets moved to inputs. */
static bool const_ints(const kf__graph *g, kf__vid v, int64_t *out, int cap, int *count) {
    size_t n;
    if (!kf__match_is_const(g, v) || !kf__shape_count(&g->values[v].shape, &n) || n > (size_t)cap) return false;
    for (size_t i = 0; i < n; i++) {
        if (g->values[v].dtype == KF_I64) out[i] = ((const int64_t *)g->values[v].data)[i];
        else if (g->values[v].dtype == KF_I32) out[i] = ((const int32_t *)g->values[v].data)[i];
        else return false;
    }
    *count = (int)n;
    return true;
}

/** Pads, clip bounds and axes that have just become constant move into the attributes, where passes look for them. */
static void resolve_attrs(kf__graph *g, kf__node *n) {
    int64_t ints[2 * KF_MAX_RANK];
    int count;
    float f;
    if (n->op == KF_OP_PAD && const_ints(g, kf__match_in(n, 1), ints, 2 * KF_MAX_RANK, &count)) {
        n->attrs.n_axes = count;
        memcpy(n->attrs.axes, ints, (size_t)count * sizeof ints[0]);
        if (kf__match_scalar(g, kf__match_in(n, 2), &f)) n->attrs.value = f;
    }
    if ((n->op == KF_OP_REDUCE_MEAN || n->op == KF_OP_REDUCE_SUM || n->op == KF_OP_REDUCE_MAX) &&
        const_ints(g, kf__match_in(n, 1), ints, KF_MAX_RANK, &count)) {
        n->attrs.n_axes = count;
        memcpy(n->attrs.axes, ints, (size_t)count * sizeof ints[0]);
    }
    if (n->op == KF_OP_CLIP) {
        if (kf__match_scalar(g, kf__match_in(n, 1), &f)) n->attrs.act.lo = f;
        if (kf__match_scalar(g, kf__match_in(n, 2), &f)) n->attrs.act.hi = f;
    }
}

kf_status kf__pass_fold(kf__graph *g, bool *changed, kf_error *err) {
    for (size_t i = 0; i < g->n_nodes; i++) {
        kf__node *n = &g->nodes[i];
        if (n->dead) continue;
        resolve_attrs(g, n);
        bool done = false;
        if (n->op == KF_OP_SHAPE || n->op == KF_OP_SIZE) KF_TRY(fold_shape(g, n, &done, err));
        else if (foldable(g, n)) KF_TRY(fold_node(g, n, &done, err));
        if (!done) continue;
        n->dead = true;
        *changed = true;
    }
    return KF_OK;
}
