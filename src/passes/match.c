/* Helpers that every rewrite uses: who makes a value, who reads it, constants, and the few safe ways to change a node.
 * Owner rule: new values and arrays belong to the graph's arena. */
#include "passes/passes.h"

#include <math.h>

kf__node *kf__match_any(const kf__graph *g, kf__vid v) {
    if (v < 0 || g->values[v].producer < 0) return NULL;
    kf__node *n = &g->nodes[g->values[v].producer];
    return n->dead ? NULL : n;
}

kf__node *kf__match_producer(const kf__graph *g, kf__vid v, kf__op op) {
    kf__node *n = kf__match_any(g, v);
    return n && n->op == op ? n : NULL;
}

bool kf__match_single(const kf__graph *g, kf__vid v) {
    int32_t only;
    return kf__graph_few_uses(g, v, &only) == 1 && only >= 0;
}

kf__node *kf__match_user(const kf__graph *g, kf__vid v) {
    int32_t only;
    return kf__graph_few_uses(g, v, &only) == 1 && only >= 0 ? &g->nodes[only] : NULL;
}

bool kf__match_is_const(const kf__graph *g, kf__vid v) { return v >= 0 && g->values[v].data != NULL; }

bool kf__match_is_output(const kf__graph *g, kf__vid v) { return kf__graph_is_output(g, v); }

bool kf__match_scalar(const kf__graph *g, kf__vid v, float *out) {
    if (!kf__match_is_const(g, v) || g->values[v].dtype != KF_F32) return false;
    size_t count;
    if (!kf__shape_count(&g->values[v].shape, &count) || count == 0) return false;
    const float *d = g->values[v].data;
    for (size_t i = 1; i < count; i++)
        if (d[i] != d[0]) return false;
    *out = d[0];
    return true;
}

bool kf__match_near(float a, double b) { return fabs((double)a - b) <= 1e-6 * fabs(b); }

int kf__match_with_scalar(const kf__graph *g, const kf__node *n, float *scalar) {
    if (n->n_in != 2) return -1;
    if (kf__match_scalar(g, n->in[1], scalar) && !kf__match_is_const(g, n->in[0])) return 0;
    if (kf__match_scalar(g, n->in[0], scalar) && !kf__match_is_const(g, n->in[1])) return 1;
    return -1;
}

kf__vid kf__match_in(const kf__node *n, int i) { return i < n->n_in ? n->in[i] : KF_NO_VALUE; }

kf_status kf__rewrite_absorb(kf__graph *g, kf__node *into, kf__node *from, kf_error *err) {
    KF_TRY(kf__graph_merge_sources(g, into, from, err));
    into->out[0] = from->out[0];
    g->values[into->out[0]].producer = (int32_t)(into - g->nodes);
    from->dead = true;
    return KF_OK;
}

void kf__rewrite_input(kf__graph *g, kf__node *n, int k, kf__vid v) {
    n->in[k] = v;
    kf__graph_reads(g, (int32_t)(n - g->nodes), v);
}

kf_status kf__rewrite_inputs(kf__graph *g, kf__node *n, const kf__vid *in, int n_in, kf_error *err) {
    kf__vid *copy = kf__arena_array(&g->arena, (size_t)n_in, sizeof *copy);
    if (!copy) KF_FAIL_MEMORY(err, (size_t)n_in * sizeof *copy);
    memcpy(copy, in, (size_t)n_in * sizeof *copy);
    n->in = copy;
    n->n_in = n_in;
    for (int k = 0; k < n_in; k++) kf__graph_reads(g, (int32_t)(n - g->nodes), in[k]);
    return KF_OK;
}

kf_status kf__rewrite_const(kf__graph *g, const char *base, const char *suffix, const kf__shape *shape,
                            const float *data, kf__vid *out, kf_error *err) {
    const char *name = kf__arena_printf(&g->arena, "%s%s", base, suffix);
    size_t count;
    if (!name) KF_FAIL_MEMORY(err, strlen(base));
    if (!kf__shape_count(shape, &count)) KF_FAIL(err, KF_ERR_SHAPE, "%s: its size overflows", name);
    KF_TRY(kf__graph_charge(g, name, count * sizeof *data, count, err));
    *out = kf__graph_add_const(g, name, KF_F32, shape, data);
    if (*out < 0) KF_FAIL(err, KF_ERR_MEMORY, "%s: out of memory for a constant", name);
    return KF_OK;
}

kf_status kf__rewrite_reshaped(kf__graph *g, kf__vid v, const kf__shape *shape, kf__vid *out, kf_error *err) {
    if (kf__shape_equal(&g->values[v].shape, shape)) {
        *out = v;
        return KF_OK;
    }
    const void *data = g->values[v].data;
    size_t bytes = g->values[v].bytes;
    *out = kf__graph_add_value(g, g->values[v].name, g->values[v].dtype, shape);
    if (*out < 0) KF_FAIL(err, KF_ERR_MEMORY, "out of memory for a constant");
    g->values[*out].data = data;
    g->values[*out].bytes = bytes;
    return KF_OK;
}

bool kf__rewrite_bypass(kf__graph *g, kf__node *n, kf__vid v) {
    kf__vid out = n->out[0];
    if (!kf__match_is_output(g, out)) {
        kf__graph_replace_uses(g, out, v);
        n->dead = true;
        return true;
    }
    /* The output's name is part of the interface: the producer of `v` must write it, so `v` itself may not be an
     * output. */
    kf__node *p = kf__match_any(g, v);
    if (!p || kf__match_is_output(g, v)) return false;
    int slot = -1;
    for (int i = 0; i < p->n_out; i++)
        if (p->out[i] == v) slot = i;
    if (slot < 0) return false;
    n->dead = true;
    kf__graph_replace_uses(g, v, out);
    p->out[slot] = out;
    g->values[out].producer = (int32_t)(p - g->nodes);
    return true;
}
