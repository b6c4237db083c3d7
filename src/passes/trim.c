/* Trims a network on request: removes nodes that touch an input or an output, or cuts it off at other outputs.
 * Not part of passes.def, because this changes what the network computes.
 * Owner rule: values and names stay the graph's. */
#include "graph/names.h"
#include "passes/passes.h"

static bool wanted(const kf__node *n, const kf__edges *e, const kf__names *names) {
    for (int32_t i = 0; i < e->n_types; i++)
        if (strcmp(kf__op_name(n->op), e->types[i]) == 0) return true;
    return kf__names_find(names, n->name) >= 0;
}

/* One tensor in, one out: everything else that it reads is a constant. */
static bool is_chain(const kf__graph *g, const kf__node *n) {
    for (int k = 1; k < n->n_in; k++)
        if (n->in[k] >= 0 && !kf__match_is_const(g, n->in[k])) return false;
    return n->n_in > 0 && n->in[0] >= 0 && n->n_out == 1 && !kf__match_is_const(g, n->in[0]);
}

/* The input takes the type and shape of the node's result. */
static bool remove_at_input(kf__graph *g, kf__node *n) {
    for (size_t i = 0; i < g->n_inputs; i++) {
        kf__vid v = g->inputs[i];
        if (n->in[0] != v || !kf__match_single(g, v) || kf__match_is_output(g, n->out[0]) ||
            g->values[n->out[0]].shape.rank < 0)
            continue;
        g->values[v].shape = g->values[n->out[0]].shape;
        g->values[v].dtype = g->values[n->out[0]].dtype;
        g->values[v].nhwc = false;
        g->values[v].from_u8 &= n->op != KF_OP_CAST;
        kf__graph_replace_uses(g, n->out[0], v);
        n->dead = true;
        return true;
    }
    return false;
}

/* The node's input becomes the output and takes its name. */
static bool remove_at_output(kf__graph *g, kf__node *n) {
    kf__vid from = n->out[0], to = n->in[0];
    int uses = 0;
    if (!kf__match_any(g, to) || kf__match_is_output(g, to)) return false;
    for (size_t i = 0; i < g->n_outputs; i++) uses += g->outputs[i] == from;
    if (!uses || kf__graph_uses(g, from, NULL) != uses) return false;
    for (size_t i = 0; i < g->n_outputs; i++)
        if (g->outputs[i] == from) g->outputs[i] = to;
    const char *name = g->values[from].name;
    g->values[from].name = g->values[to].name;
    g->values[to].name = name;
    n->dead = true;
    return true;
}

/* Inputs as the file has them: import turned those that it declares [N, H, W, C], and put a Transpose behind them. */
static void as_in_file(kf__graph *g) {
    static const int64_t TO_NHWC[] = {0, 2, 3, 1};
    for (size_t i = 0; i < g->n_nodes; i++) {
        kf__node *n = &g->nodes[i];
        if (n->dead || n->op != KF_OP_TRANSPOSE || !g->values[n->in[0]].nhwc || n->attrs.n_axes != 4) continue;
        if (memcmp(n->attrs.axes, TO_NHWC, sizeof TO_NHWC) == 0) remove_at_input(g, n);
    }
}

kf_status kf__edges_remove(kf__graph *g, const kf__edges *e, int32_t *removed, kf_error *err) {
    kf__names names;
    *removed = 0;
    KF_TRY(kf__names_make(e->names, e->n_names, &g->arena, &names, err));
    as_in_file(g);
    KF_TRY(kf__graph_compact(g, err));
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = 0; i < g->n_nodes && !changed; i++) {
            kf__node *n = &g->nodes[i];
            if (n->dead || !wanted(n, e, &names) || !is_chain(g, n)) continue;
            changed = remove_at_input(g, n) || remove_at_output(g, n);
        }
        *removed += changed;
        if (changed) KF_TRY(kf__graph_compact(g, err));
    }
    if (*removed) KF_TRY(kf__graph_infer(g, err));
    return kf__inputs_declare(g, err);
}

/* The values of n named nodes. Of nodes with one name the last counts. */
static kf_status find_outputs(kf__graph *g, const char *const *names, int32_t n, kf__vid **out, kf_error *err) {
    enum { NONE = -1, TAKEN = -2 };
    kf__names set;
    kf__vid *outputs = kf__arena_array(&g->arena, (size_t)n + 1, sizeof *outputs);
    kf__vid *of_name = kf__arena_array(&g->arena, (size_t)n + 1, sizeof *of_name);
    if (!outputs || !of_name) KF_FAIL_MEMORY(err, (size_t)n * sizeof *outputs);
    KF_TRY(kf__names_make(names, n, &g->arena, &set, err));
    for (int32_t k = 0; k < set.n; k++) of_name[k] = NONE;
    for (size_t i = 0; i < g->n_nodes; i++) {
        int32_t k = g->nodes[i].dead ? -1 : kf__names_find(&set, g->nodes[i].name);
        if (k >= 0) of_name[k] = g->nodes[i].out[0];
    }
    for (int32_t i = 0; i < n; i++) {
        int32_t k = kf__names_find(&set, names[i]);
        if (of_name[k] == TAKEN)
            KF_FAIL(err, KF_ERR_ARGUMENT, "node '%.200s': it is named twice; remove one", names[i]);
        if (of_name[k] < 0)
            KF_FAIL(err, KF_ERR_ARGUMENT, "node '%.200s': there is no such node; kitfox check lists the names",
                    names[i]);
        outputs[i] = of_name[k];
        of_name[k] = TAKEN;
    }
    *out = outputs;
    return KF_OK;
}

kf_status kf__edges_cut(kf__graph *g, const char *const *names, int32_t n, kf_error *err) {
    kf__vid *outputs = NULL;
    KF_TRY(find_outputs(g, names, n, &outputs, err));
    g->outputs = outputs;
    g->n_outputs = (size_t)n;
    size_t count = 0;
    if (!kf__shape_count(&g->values[outputs[0]].shape, &count) || count != (size_t)g->meta.n_labels)
        g->meta.n_labels = 0; /* they named other classes */
    KF_TRY(kf__graph_compact(g, err));
    return kf__graph_infer(g, err);
}
