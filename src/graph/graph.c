/* Graph construction and surgery: adding values and nodes, replacing uses, compacting, cloning.
 * Owner rule: everything is allocated from the graph's arena; only the node and value arrays live on the heap. */
#include "graph/graph.h"

#include <stdlib.h>

_Thread_local uint64_t kf__graph_looks;

kf_status kf__graph_create(kf__graph **out, kf_error *err) {
    *out = kf__mem_zalloc(NULL, sizeof **out);
    if (!*out) KF_FAIL_MEMORY(err, sizeof **out);
    kf__arena_init(&(*out)->arena, NULL);
    return KF_OK;
}

void kf__graph_destroy(kf__graph **graph) {
    if (!graph || !*graph) return;
    kf__graph_drop_uses(*graph);
    free((*graph)->nodes);
    free((*graph)->values);
    kf__arena_free(&(*graph)->arena);
    kf__mem_free(NULL, *graph);
    *graph = NULL;
}

kf__vid kf__graph_add_value(kf__graph *g, const char *name, kf_dtype dtype, const kf__shape *shape) {
    if (g->n_values >= INT32_MAX - 1 ||
        !kf__mem_grow((void **)&g->values, &g->cap_values, g->n_values + 1, sizeof *g->values))
        return KF_NO_VALUE;
    kf__value v = {.dtype = dtype, .producer = -1, .shape = {.rank = -1}};
    v.name = kf__arena_strdup(&g->arena, name ? name : "");
    if (!v.name) return KF_NO_VALUE;
    if (shape) v.shape = *shape;
    g->values[g->n_values] = v;
    return (kf__vid)g->n_values++;
}

kf__vid kf__graph_add_const(kf__graph *g, const char *name, kf_dtype dtype, const kf__shape *shape, const void *data) {
    size_t count, bytes;
    if (!kf__shape_count(shape, &count) || !kf__mul_size(count, kf_dtype_size(dtype), &bytes)) return KF_NO_VALUE;
    void *copy = kf__arena_copy(&g->arena, data, bytes);
    if (!copy) return KF_NO_VALUE;
    kf__vid v = kf__graph_add_value(g, name, dtype, shape);
    if (v < 0) return v;
    g->values[v].data = copy;
    g->values[v].bytes = bytes;
    return v;
}

/* The node array may move, so pointers to other nodes are invalid afterwards. */
kf__node *kf__graph_add_node(kf__graph *g, kf__op op, const char *name, const kf__vid *in, int n_in, const kf__vid *out,
                             int n_out) {
    if (!kf__mem_grow((void **)&g->nodes, &g->cap_nodes, g->n_nodes + 1, sizeof *g->nodes)) return NULL;
    kf__node n = {.op = op, .n_in = n_in, .n_out = n_out, .n_sources = 1, .origin = -1};
    n.name = kf__arena_strdup(&g->arena, name ? name : "");
    n.in = kf__arena_copy(&g->arena, in, (size_t)n_in * sizeof *in);
    n.out = kf__arena_copy(&g->arena, out, (size_t)n_out * sizeof *out);
    n.sources = kf__arena_alloc(&g->arena, sizeof *n.sources);
    if (!n.name || !n.in || !n.out || !n.sources) return NULL;
    n.sources[0] = n.name;
    for (int i = 0; i < n_out; i++)
        if (out[i] >= 0) g->values[out[i]].producer = (int32_t)g->n_nodes;
    g->nodes[g->n_nodes] = n;
    for (int i = 0; i < n_in; i++) kf__graph_reads(g, (int32_t)g->n_nodes, in[i]);
    return &g->nodes[g->n_nodes++];
}

/* The list doubles when it is full: thousands of nodes may be fused into one, one at a time. */
kf_status kf__graph_merge_sources(kf__graph *g, kf__node *into, const kf__node *from, kf_error *err) {
    int32_t n = into->n_sources + from->n_sources;
    if (n > into->cap_sources) {
        const char **all = kf__arena_alloc(&g->arena, (size_t)n * 2 * sizeof *all);
        if (!all) KF_FAIL_MEMORY(err, (size_t)n * 2 * sizeof *all);
        memcpy(all, into->sources, (size_t)into->n_sources * sizeof *all);
        kf__graph_looks += (uint64_t)into->n_sources;
        into->sources = all;
        into->cap_sources = n * 2;
    }
    kf__graph_looks += (uint64_t)from->n_sources;
    memcpy(into->sources + into->n_sources, from->sources, (size_t)from->n_sources * sizeof *from->sources);
    into->n_sources = n;
    return KF_OK;
}

/* Scratch of kf__graph_compact: the needs of every node, and which nodes contribute to an output. */
typedef struct sorting {
    kf__needs needs;
    size_t *first;
    int32_t *node, *order, *stack;
    bool *needed;
} sorting;

static void sorting_close(sorting *s) {
    free(s->first);
    free(s->node);
    free(s->order);
    free(s->stack);
    free(s->needed);
}

/* Node i needs the producers of its inputs: entries first[i] to first[i + 1] of `node`. */
static bool sorting_open(const kf__graph *g, sorting *s) {
    size_t n = g->n_nodes, edges = 0;
    for (size_t i = 0; i < n; i++) edges += (size_t)g->nodes[i].n_in;
    *s = (sorting){.first = calloc(n + 1, sizeof *s->first),
                   .node = calloc(edges + 1, sizeof *s->node),
                   .order = calloc(n + 1, sizeof *s->order),
                   .stack = calloc(n + 1, sizeof *s->stack),
                   .needed = calloc(n + 1, sizeof *s->needed)};
    if (!s->first || !s->node || !s->order || !s->stack || !s->needed) return false;
    edges = 0;
    for (size_t i = 0; i < n; i++) {
        s->first[i] = edges;
        kf__graph_looks++;
        for (int k = 0; k < g->nodes[i].n_in; k++) {
            kf__vid v = g->nodes[i].in[k];
            s->node[edges++] = v >= 0 ? g->values[v].producer : -1;
        }
    }
    s->first[n] = edges;
    s->needs = (kf__needs){n, s->first, s->node};
    return true;
}

/* Mark every node that contributes to an output, from the outputs back; returns their number. */
static size_t mark_needed(const kf__graph *g, sorting *s) {
    size_t depth = 0, wanted = 0;
    for (size_t i = 0; i < g->n_outputs; i++) {
        int32_t p = g->values[g->outputs[i]].producer;
        if (p >= 0 && !s->needed[p]) s->needed[p] = true, s->stack[depth++] = p;
    }
    for (; depth; wanted++) {
        int32_t i = s->stack[--depth];
        for (size_t e = s->first[i]; e < s->first[i + 1]; e++) {
            int32_t p = s->node[e];
            if (p >= 0 && !s->needed[p]) s->needed[p] = true, s->stack[depth++] = p;
        }
    }
    return wanted;
}

/* Copies the nodes in their new order and renumbers producers. Nodes that are not in `order` are dropped. */
static kf_status apply_order(kf__graph *g, const int32_t *order, size_t n, kf_error *err) {
    kf__node *sorted = malloc((n ? n : 1) * sizeof *sorted);
    if (!sorted) KF_FAIL_MEMORY(err, n * sizeof *sorted);
    for (size_t v = 0; v < g->n_values; v++) g->values[v].producer = -1;
    for (size_t i = 0; i < n; i++) {
        sorted[i] = g->nodes[order[i]];
        for (int k = 0; k < sorted[i].n_out; k++)
            if (sorted[i].out[k] >= 0) g->values[sorted[i].out[k]].producer = (int32_t)i;
    }
    free(g->nodes);
    g->nodes = sorted;
    g->cap_nodes = n ? n : 1;
    g->n_nodes = n;
    return KF_OK;
}

static void set_producers(kf__graph *g) {
    for (size_t v = 0; v < g->n_values; v++) g->values[v].producer = -1;
    for (size_t i = 0; i < g->n_nodes; i++)
        for (int k = 0; k < g->nodes[i].n_out && !g->nodes[i].dead; k++)
            if (g->nodes[i].out[k] >= 0) g->values[g->nodes[i].out[k]].producer = (int32_t)i;
}

/* Marks what the outputs need, sorts it, and keeps only that. */
kf_status kf__graph_compact(kf__graph *g, kf_error *err) {
    sorting s;
    size_t placed = 0;
    kf_status st = KF_OK;
    kf__graph_drop_uses(g); /* nodes get other numbers */
    set_producers(g);
    if (!sorting_open(g, &s)) {
        st = kf_error_set(err, KF_ERR_MEMORY, "out of memory while sorting %zu nodes", g->n_nodes);
        goto done;
    }
    size_t wanted = mark_needed(g, &s);
    KF_TRY_GOTO(st, kf__order_nodes(&s.needs, s.needed, s.order, &placed, err), done);
    if (placed == wanted) st = apply_order(g, s.order, placed, err);
    else
        st = kf_error_set(err, KF_ERR_FORMAT, "the graph has a cycle; %zu of %zu nodes cannot be ordered",
                          wanted - placed, wanted);
done:
    sorting_close(&s);
    return st;
}

static kf_status clone_quant(kf__graph *to, kf__quant **quant, kf_error *err) {
    if (!*quant) return KF_OK;
    kf__quant *q = kf__arena_copy(&to->arena, *quant, sizeof *q);
    if (!q) KF_FAIL_MEMORY(err, sizeof *q);
    size_t n = (size_t)q->channels;
    if (q->scales) q->scales = kf__arena_copy(&to->arena, q->scales, n * sizeof *q->scales);
    if (q->zeros) q->zeros = kf__arena_copy(&to->arena, q->zeros, n * sizeof *q->zeros);
    *quant = q;
    return KF_OK;
}

static kf_status clone_value(kf__graph *to, kf__value *v, kf_error *err) {
    v->name = kf__arena_strdup(&to->arena, v->name);
    if (v->data) v->data = kf__arena_copy(&to->arena, v->data, v->bytes);
    KF_TRY(clone_quant(to, &v->quant, err));
    if (!v->name) KF_FAIL_MEMORY(err, v->bytes);
    return KF_OK;
}

/* `n` is a shallow copy on entry; everything that it points to is copied into the other arena. */
static kf_status clone_node(kf__graph *to, kf__node *n, kf_error *err) {
    kf__arena *a = &to->arena;
    n->name = kf__arena_strdup(a, n->name);
    n->in = kf__arena_copy(a, n->in, (size_t)n->n_in * sizeof *n->in);
    n->out = kf__arena_copy(a, n->out, (size_t)n->n_out * sizeof *n->out);
    const char **sources = kf__arena_array(a, (size_t)n->n_sources + 1, sizeof *sources);
    if (!n->name || !n->in || !n->out || !sources) KF_FAIL_MEMORY(err, sizeof *n);
    for (int i = 0; i < n->n_sources; i++) sources[i] = kf__arena_strdup(a, n->sources[i]);
    n->sources = sources;
    n->cap_sources = n->n_sources;
    KF_TRY(clone_quant(to, &n->attrs.pool_quant, err));
    return clone_quant(to, &n->attrs.hidden_quant, err);
}

static const char *clone_text(kf__graph *to, const char *s) { return s ? kf__arena_strdup(&to->arena, s) : NULL; }

/* Nodes and values keep their numbers, so a clone can be compared with its original by index. */
static kf_status clone_into(const kf__graph *g, kf__graph *to, kf_error *err) {
    if (!kf__mem_grow((void **)&to->nodes, &to->cap_nodes, g->n_nodes + 1, sizeof *to->nodes) ||
        !kf__mem_grow((void **)&to->values, &to->cap_values, g->n_values + 1, sizeof *to->values))
        KF_FAIL_MEMORY(err, g->n_values * sizeof *to->values);
    for (; to->n_values < g->n_values; to->n_values++) {
        to->values[to->n_values] = g->values[to->n_values];
        KF_TRY(clone_value(to, &to->values[to->n_values], err));
    }
    for (; to->n_nodes < g->n_nodes; to->n_nodes++) {
        to->nodes[to->n_nodes] = g->nodes[to->n_nodes];
        KF_TRY(clone_node(to, &to->nodes[to->n_nodes], err));
    }
    to->inputs = kf__arena_copy(&to->arena, g->inputs, g->n_inputs * sizeof *g->inputs);
    to->outputs = kf__arena_copy(&to->arena, g->outputs, g->n_outputs * sizeof *g->outputs);
    to->n_inputs = g->n_inputs;
    to->n_outputs = g->n_outputs;
    to->max_fold_bytes = g->max_fold_bytes;
    to->fold_bytes = g->fold_bytes;
    to->fold_work = g->fold_work;
    to->opset = g->opset;
    to->ir_version = g->ir_version;
    to->name = clone_text(to, g->name);
    to->meta = g->meta;
    to->meta.arch = clone_text(to, g->meta.arch);
    to->meta.source = clone_text(to, g->meta.source);
    to->meta.producer = clone_text(to, g->meta.producer);
    to->meta.preprocess_source = clone_text(to, g->meta.preprocess_source);
    to->meta.task = clone_text(to, g->meta.task);
    const char **labels = kf__arena_array(&to->arena, (size_t)g->meta.n_labels + 1, sizeof *labels);
    if (!labels) KF_FAIL_MEMORY(err, sizeof *labels);
    for (int i = 0; i < g->meta.n_labels; i++) labels[i] = clone_text(to, g->meta.labels[i]);
    to->meta.labels = labels;
    return KF_OK;
}

kf_status kf__graph_clone(const kf__graph *graph, kf__graph **out, kf_error *err) {
    KF_TRY(kf__graph_create(out, err));
    kf_status st = clone_into(graph, *out, err);
    if (st != KF_OK) kf__graph_destroy(out);
    return st;
}
