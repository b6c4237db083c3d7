/* Text form of a graph, one line per node, for tests and messages.
 * Owner rule: appends to the caller's buffer. */
#include "graph/graph.h"

static void dump_value(const kf__graph *g, kf__vid v, kf__strbuf *out) {
    char shape[96];
    if (v < 0) {
        kf__strbuf_str(out, "-");
        return;
    }
    const kf__value *x = &g->values[v];
    kf__strbuf_printf(out, "%s%%%d:%s[%s]", x->data ? "const " : "", v,
                      kf_dtype_name(x->quant ? x->quant->dtype : x->dtype),
                      kf__shape_text(&x->shape, shape, sizeof shape));
}

/* One line for each live node: outputs = OP(inputs) act KIND # name. */
void kf__graph_dump(const kf__graph *g, kf__strbuf *out) {
    for (size_t i = 0; i < g->n_nodes; i++) {
        const kf__node *n = &g->nodes[i];
        if (n->dead) continue;
        for (int k = 0; k < n->n_out; k++) {
            if (k) kf__strbuf_str(out, ", ");
            dump_value(g, n->out[k], out);
        }
        kf__strbuf_printf(out, " = %s(", kf__op_name(n->op));
        for (int k = 0; k < n->n_in; k++) {
            if (k) kf__strbuf_str(out, ", ");
            dump_value(g, n->in[k], out);
        }
        kf__strbuf_printf(out, ") act %d  # %s\n", n->attrs.act.kind, n->name);
    }
}
