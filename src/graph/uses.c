/* Readers of a value: an index, valid while nodes keep their numbers, or else a scan of all nodes. A list may name
 * nodes that no longer read the value (they are dropped when the list is walked), but never misses one that does.
 * Owner rule: the graph owns its index until kf__graph_drop_uses or kf__graph_compact. */
#include <stdlib.h>

#include "graph/graph.h"

typedef struct reader {
    int32_t node, next; /* next: index of the next reader of the same value, -1 at the end */
} reader;

struct kf__uses {
    int32_t *head;    /* [n_values] first reader, -1: none */
    int32_t *outputs; /* [n_values] how many graph outputs it is */
    size_t n_values;
    reader *readers;
    size_t n_readers, cap_readers;
};

void kf__graph_drop_uses(kf__graph *g) {
    if (!g->uses) return;
    free(g->uses->head);
    free(g->uses->outputs);
    free(g->uses->readers);
    free(g->uses);
    g->uses = NULL;
}

static int slots(const kf__node *n, kf__vid v) {
    int count = 0;
    kf__graph_looks++;
    for (int k = 0; k < n->n_in && !n->dead; k++) count += n->in[k] == v;
    return count;
}

/* Room for values that were added since. */
static bool cover(struct kf__uses *u, size_t n_values) {
    if (n_values <= u->n_values) return true;
    size_t cap_head = u->n_values, cap_outputs = u->n_values;
    if (!kf__mem_grow((void **)&u->head, &cap_head, n_values, sizeof *u->head) ||
        !kf__mem_grow((void **)&u->outputs, &cap_outputs, n_values, sizeof *u->outputs))
        return false;
    size_t cap = cap_head < cap_outputs ? cap_head : cap_outputs;
    for (size_t v = u->n_values; v < cap; v++) u->head[v] = -1, u->outputs[v] = 0;
    u->n_values = cap;
    return true;
}

void kf__graph_reads(kf__graph *g, int32_t node, kf__vid v) {
    struct kf__uses *u = g->uses;
    if (!u || v < 0) return;
    if (!cover(u, g->n_values) ||
        !kf__mem_grow((void **)&u->readers, &u->cap_readers, u->n_readers + 1, sizeof *u->readers)) {
        kf__graph_drop_uses(g); /* scanning needs no memory */
        return;
    }
    if (u->head[v] >= 0 && u->readers[u->head[v]].node == node) return;
    u->readers[u->n_readers] = (reader){node, u->head[v]};
    u->head[v] = (int32_t)u->n_readers++;
}

void kf__graph_index_uses(kf__graph *g) {
    if (g->uses) return;
    g->uses = calloc(1, sizeof *g->uses);
    if (g->uses && !cover(g->uses, g->n_values + 1)) kf__graph_drop_uses(g);
    for (size_t i = 0; g->uses && i < g->n_nodes; i++)
        for (int k = 0; k < g->nodes[i].n_in && !g->nodes[i].dead; k++)
            kf__graph_reads(g, (int32_t)i, g->nodes[i].in[k]);
    for (size_t i = 0; g->uses && i < g->n_outputs; i++) g->uses->outputs[g->outputs[i]]++;
}

bool kf__graph_is_output(const kf__graph *g, kf__vid v) {
    if (g->uses) return v >= 0 && (size_t)v < g->uses->n_values && g->uses->outputs[v] > 0;
    for (size_t i = 0; i < g->n_outputs; i++, kf__graph_looks++)
        if (g->outputs[i] == v) return true;
    return false;
}

int kf__graph_uses(const kf__graph *g, kf__vid v, int32_t *only) {
    int uses = 0;
    int32_t found = -1;
    for (size_t i = 0; i < g->n_nodes; i++) {
        int here = slots(&g->nodes[i], v);
        if (here) uses += here, found = (int32_t)i;
    }
    for (size_t i = 0; i < g->n_outputs; i++)
        if (g->outputs[i] == v) uses++, found = -1;
    if (only) *only = uses == 1 ? found : -1;
    return uses;
}

/* Drops entries that are out of date while it walks, so that the next call is faster. */
int kf__graph_few_uses(const kf__graph *g, kf__vid v, int32_t *only) {
    struct kf__uses *u = g->uses;
    *only = -1;
    if (!u) return (int)kf__min_i64(kf__graph_uses(g, v, only), 2);
    if (v < 0 || (size_t)v >= u->n_values) return 0;
    int uses = u->outputs[v] < 2 ? u->outputs[v] : 2;
    int32_t found = -1;
    for (int32_t *link = &u->head[v]; *link >= 0 && uses < 2;) {
        const reader *r = &u->readers[*link];
        int here = slots(&g->nodes[r->node], v);
        if (here == 0 || r->node == found) { /* no longer a reader, or named twice */
            *link = r->next;
            continue;
        }
        uses += here;
        found = r->node;
        link = &u->readers[*link].next;
    }
    if (uses == 1) *only = found;
    return uses < 2 ? uses : 2;
}

static void replace_in(kf__node *n, kf__vid from, kf__vid to) {
    kf__graph_looks++;
    for (int k = 0; k < n->n_in; k++)
        if (n->in[k] == from) n->in[k] = to;
}

static void replace_outputs(kf__graph *g, kf__vid from, kf__vid to) {
    kf__graph_looks += g->n_outputs;
    for (size_t i = 0; i < g->n_outputs; i++)
        if (g->outputs[i] == from) g->outputs[i] = to;
}

/* With an index, the cost is that of the readers of `from`; without one, that of all nodes. */
void kf__graph_replace_uses(kf__graph *g, kf__vid from, kf__vid to) {
    struct kf__uses *u = g->uses;
    if (from == to) return;
    if (u && !cover(u, g->n_values)) kf__graph_drop_uses(g), u = NULL;
    if (!u) {
        for (size_t i = 0; i < g->n_nodes; i++) replace_in(&g->nodes[i], from, to);
        replace_outputs(g, from, to);
        return;
    }
    while (u->head[from] >= 0) { /* the readers move to the other list */
        int32_t at = u->head[from];
        replace_in(&g->nodes[u->readers[at].node], from, to);
        u->head[from] = u->readers[at].next;
        u->readers[at].next = u->head[to];
        u->head[to] = at;
    }
    if (!u->outputs[from]) return;
    replace_outputs(g, from, to);
    u->outputs[to] += u->outputs[from];
    u->outputs[from] = 0;
}

/* Uses by live nodes that the lists contain, each counted once. */
static int64_t found_uses(const kf__graph *g, int32_t *seen) {
    const struct kf__uses *u = g->uses;
    int64_t sum = 0;
    for (size_t v = 0; v < u->n_values; v++)
        for (int32_t at = u->head[v]; at >= 0; at = u->readers[at].next) {
            int32_t node = u->readers[at].node;
            if (seen[node] != (int32_t)v) sum += slots(&g->nodes[node], (kf__vid)v);
            seen[node] = (int32_t)v;
        }
    return sum;
}

/* For debug builds: every use must be reachable through the index. */
kf_status kf__graph_verify_uses(const kf__graph *g, kf_error *err) {
    if (!g->uses) return KF_OK;
    int64_t want = 0;
    int32_t *seen = malloc((g->n_nodes + 1) * sizeof *seen);
    if (!seen) KF_FAIL_MEMORY(err, g->n_nodes * sizeof *seen);
    for (size_t i = 0; i < g->n_nodes; i++) {
        seen[i] = -1;
        for (int k = 0; k < g->nodes[i].n_in && !g->nodes[i].dead; k++) want += g->nodes[i].in[k] >= 0;
    }
    int64_t found = found_uses(g, seen);
    free(seen);
    if (found != want)
        KF_FAIL(err, KF_ERR_INTERNAL,
                "the index of readers finds %lld of %lld uses; a pass gave a node an input without kf__graph_reads",
                (long long)found, (long long)want);
    return KF_OK;
}
