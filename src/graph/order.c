/* Stable topological order in time linear in nodes and edges, for the graph's nodes and for those of a file.
 * The order is that of repeated sweeps over all nodes that place whatever is ready; the sweep of each node is computed.
 * Owner rule: scratch arrays end with the call; the caller owns `order`. */
#include "graph/graph.h"

#include <stdlib.h>

/* Which node waits for which, and the state of the walk. */
typedef struct walk {
    size_t *from;   /* [n + 1] where the followers of each node begin in `next` */
    int32_t *next;  /* followers */
    int32_t *waits; /* predecessors that are not placed yet */
    int32_t *sweep; /* in which sweep over the nodes this one is placed */
    int32_t *queue; /* nodes in the order in which they become ready */
    size_t *first;  /* [n + 1] of each sweep: where it begins in the order */
} walk;

static bool walk_open(walk *w, size_t n, size_t edges) {
    *w = (walk){.from = calloc(n + 2, sizeof *w->from),
                .next = calloc(edges + 1, sizeof *w->next),
                .waits = calloc(n + 1, sizeof *w->waits),
                .sweep = calloc(n + 1, sizeof *w->sweep),
                .queue = calloc(n + 1, sizeof *w->queue),
                .first = calloc(n + 2, sizeof *w->first)};
    return w->from && w->next && w->waits && w->sweep && w->queue && w->first;
}

static void walk_close(walk *w) {
    free(w->from);
    free(w->next);
    free(w->waits);
    free(w->sweep);
    free(w->queue);
    free(w->first);
}

static bool counts(const bool *wanted, int32_t node) { return node >= 0 && (!wanted || wanted[node]); }

/* The reversed edges: from each node to those that need it. */
static void turn_edges(walk *w, const kf__needs *p, const bool *wanted) {
    for (size_t i = 0; i < p->n; i++)
        for (size_t e = p->first[i]; e < p->first[i + 1] && counts(wanted, (int32_t)i); e++)
            if (counts(wanted, p->node[e])) w->from[p->node[e] + 1]++, w->waits[i]++;
    for (size_t i = 0; i < p->n; i++) w->from[i + 1] += w->from[i];
    memcpy(w->first, w->from, (p->n + 1) * sizeof *w->first);
    for (size_t i = 0; i < p->n; i++)
        for (size_t e = p->first[i]; e < p->first[i + 1] && counts(wanted, (int32_t)i); e++)
            if (counts(wanted, p->node[e])) w->next[w->first[p->node[e]]++] = (int32_t)i;
    memset(w->first, 0, (p->n + 1) * sizeof *w->first);
}

/* A node is placed in the sweep of its last predecessor, or in the next one when that stands behind it. */
static size_t place(walk *w, const kf__needs *p, const bool *wanted) {
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++)
        if (counts(wanted, (int32_t)i) && w->waits[i] == 0) w->queue[n++] = (int32_t)i;
    for (size_t at = 0; at < n; at++) {
        int32_t i = w->queue[at];
        kf__graph_looks += 1 + w->from[i + 1] - w->from[i];
        for (size_t e = w->from[i]; e < w->from[i + 1]; e++) {
            int32_t to = w->next[e], sweep = w->sweep[i] + (i > to);
            if (sweep > w->sweep[to]) w->sweep[to] = sweep;
            if (--w->waits[to] == 0) w->queue[n++] = to;
        }
    }
    return n;
}

/* By sweep, and by index within one. */
static void sort_by_sweep(walk *w, const kf__needs *p, const bool *wanted, int32_t *order) {
    for (size_t i = 0; i < p->n; i++)
        if (counts(wanted, (int32_t)i)) w->first[w->sweep[i] + 1]++;
    for (size_t i = 0; i < p->n; i++) w->first[i + 1] += w->first[i];
    for (size_t i = 0; i < p->n; i++)
        if (counts(wanted, (int32_t)i)) order[w->first[w->sweep[i]]++] = (int32_t)i;
}

/* `order` is written only if every wanted node was placed. */
kf_status kf__order_nodes(const kf__needs *p, const bool *wanted, int32_t *order, size_t *placed, kf_error *err) {
    walk w;
    size_t want = 0;
    bool opened = walk_open(&w, p->n, p->first[p->n]);
    if (opened) {
        for (size_t i = 0; i < p->n; i++) want += counts(wanted, (int32_t)i);
        turn_edges(&w, p, wanted);
        *placed = place(&w, p, wanted);
        if (*placed == want) sort_by_sweep(&w, p, wanted, order);
    }
    walk_close(&w);
    if (!opened) KF_FAIL(err, KF_ERR_MEMORY, "out of memory while sorting %zu nodes", p->n);
    return KF_OK;
}
