/* Inputs as the file declares them: [N, H, W, C] where the network turns it to [N, C, H, W] first, and u8 where it is
 * cast to f32. Both become notes at the input, so that pictures, preprocessing and integers work as for any network.
 * Owner rule: new nodes and values belong to the graph. */
#include "passes/passes.h"

/* ---- NHWC -------------------------------------------------------------------------------------------------------- */

/* Does a constant target shape turn `x` to NCHW without moving an element? 0 copies an extent, one -1 is what is left;
 * both may only stand for the batch. */
static bool reshape_turns(const kf__graph *g, const kf__node *n, const kf__shape *x) {
    if (!kf__match_is_const(g, kf__match_in(n, 1)) || g->values[n->in[1]].dtype != KF_I64) return false;
    if (g->values[n->in[1]].bytes != 4 * sizeof(int64_t) || (x->dim[3] != 1 && x->dim[1] * x->dim[2] != 1))
        return false;
    const int64_t *to = g->values[n->in[1]].data;
    const bool batch = to[0] == x->dim[0] || to[0] == -1 || (to[0] == 0 && !n->attrs.allow_zero);
    return batch && to[1] == x->dim[3] && to[2] == x->dim[1] && to[3] == x->dim[2] && to[1] != to[3];
}

static bool turns(const kf__graph *g, const kf__node *n, const kf__shape *x) {
    static const int64_t TO_NCHW[] = {0, 3, 1, 2};
    if (n->op == KF_OP_RESHAPE) return reshape_turns(g, n, x);
    return n->op == KF_OP_TRANSPOSE && n->attrs.n_axes == 4 && memcmp(n->attrs.axes, TO_NCHW, sizeof TO_NCHW) == 0;
}

/* Nodes that keep a picture's axes where they are. */
static bool keeps_axes(const kf__node *n) {
    return kf__order_elementwise(n) || n->op == KF_OP_PAD || n->op == KF_OP_GATHER || n->op == KF_OP_SLICE ||
           n->op == KF_OP_SPLIT || n->op == KF_OP_CONCAT;
}

/* Marks what is computed from input v by such nodes; true when one of these values is turned to NCHW. */
static bool reaches_turn(const kf__graph *g, kf__vid v, bool *reached) {
    const kf__shape *x = &g->values[v].shape;
    bool found = false;
    reached[v] = true;
    for (size_t i = 0; i < g->n_nodes; i++) {
        const kf__node *n = &g->nodes[i];
        bool reads = false;
        for (int k = 0; k < n->n_in && !n->dead; k++) reads |= n->in[k] >= 0 && reached[n->in[k]];
        if (!reads) continue;
        found |= n->in[0] >= 0 && reached[n->in[0]] && turns(g, n, x);
        for (int k = 0; keeps_axes(n) && k < n->n_out; k++)
            if (n->out[k] >= 0) reached[n->out[k]] = true;
    }
    return found;
}

/* The input becomes [N, C, H, W]; a Transpose makes what the network reads. */
static kf_status declare_nhwc(kf__graph *g, size_t index, kf_error *err) {
    const kf__vid was = g->inputs[index];
    const kf__shape s = g->values[was].shape;
    const kf__shape nchw = kf__shape_make(4, (int64_t[]){s.dim[0], s.dim[3], s.dim[1], s.dim[2]});
    const kf__vid v = kf__graph_add_value(g, g->values[was].name, g->values[was].dtype, &nchw);
    const char *name = kf__arena_printf(&g->arena, "%s_nhwc", g->values[was].name);
    if (v < 0 || !name) KF_FAIL_MEMORY(err, sizeof(kf__value));
    g->values[v].producer = -1;
    g->values[v].nhwc = true;
    g->values[was].name = name;
    g->inputs[index] = v;
    kf__node *n = kf__graph_add_node(g, KF_OP_TRANSPOSE, name, &v, 1, &was, 1);
    if (!n) KF_FAIL_MEMORY(err, sizeof *n);
    n->attrs.n_axes = 4;
    memcpy(n->attrs.axes, (const int64_t[]){0, 2, 3, 1}, 4 * sizeof(int64_t));
    return KF_OK;
}

/* ---- u8 ---------------------------------------------------------------------------------------------------------- */

/* Operators that hand numbers on as they are. */
static bool hands_on(const kf__node *n) {
    return kf__op_is_view(n->op) || n->op == KF_OP_TRANSPOSE || n->op == KF_OP_GATHER || n->op == KF_OP_SLICE ||
           n->op == KF_OP_SPLIT || n->op == KF_OP_CONCAT || n->op == KF_OP_IDENTITY;
}

/* Is all that is computed from the value moved, and cast to f32 before anything else? */
static bool only_cast(const kf__graph *g, kf__vid v, bool *reached) {
    int casts = 0;
    reached[v] = true;
    for (size_t i = 0; i < g->n_nodes; i++) {
        const kf__node *n = &g->nodes[i];
        bool reads = false, all = true;
        for (int k = 0; k < n->n_in && !n->dead; k++) {
            const bool this = n->in[k] >= 0 && reached[n->in[k]];
            reads |= this;
            all &= this || n->op != KF_OP_CONCAT;
        }
        if (!reads) continue;
        if (n->op == KF_OP_CAST && n->attrs.to == KF_F32) casts++;
        else if (!hands_on(n) || !reached[n->in[0]] || !all) return false;
        for (int k = 0; n->op != KF_OP_CAST && k < n->n_out; k++)
            if (n->out[k] >= 0) reached[n->out[k]] = true;
    }
    for (size_t k = 0; k < g->n_outputs; k++)
        if (reached[g->outputs[k]]) return false;
    return casts > 0;
}

/* The moves work on f32 then, and the Cast does nothing. */
static void declare_u8(kf__graph *g, kf__vid v, const bool *reached) {
    for (size_t i = 0; i < g->n_values; i++)
        if (reached[i]) g->values[i].dtype = KF_F32;
    g->values[v].from_u8 = true;
}

static kf_status declare(kf__graph *g, size_t k, bool *reached, bool *changed, kf_error *err) {
    const kf__vid v = g->inputs[k];
    if (g->values[v].dtype == KF_U8 && only_cast(g, v, reached)) declare_u8(g, v, reached);
    memset(reached, 0, g->n_values * sizeof *reached);
    if (kf__match_is_output(g, v) || !reaches_turn(g, v, reached)) return KF_OK;
    const bool bytes = g->values[v].from_u8;
    *changed = true;
    KF_TRY(declare_nhwc(g, k, err));
    g->values[v].from_u8 = false;
    g->values[g->inputs[k]].from_u8 = bytes;
    return KF_OK;
}

kf_status kf__inputs_declare(kf__graph *g, kf_error *err) {
    enum { MOST = 64 }; /* each looks at all nodes */
    bool changed = false;
    for (size_t k = 0; k < g->n_inputs && k < MOST; k++) {
        if (g->values[g->inputs[k]].shape.rank != 4) continue;
        bool *reached = kf__mem_zalloc(NULL, g->n_values);
        if (!reached) KF_FAIL_MEMORY(err, g->n_values);
        const kf_status st = declare(g, k, reached, &changed, err);
        kf__mem_free(NULL, reached);
        KF_TRY(st);
    }
    return changed ? kf__graph_compact(g, err) : KF_OK;
}
