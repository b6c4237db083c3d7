/* What constants may cost: the bytes that rewrites produce from a file's constants, and the arithmetic for them.
 * Counted over a graph's life, so that a small file cannot ask for gigabytes or hours piece by piece.
 * Owner rule: counters in the graph; one scratch array on the heap. */
#include <stdlib.h>

#include "graph/graph.h"

/* A file without constants may still produce this many bytes. A file with constants may produce sixteen times their
 * bytes in addition: it rarely needs more than four copies for type, order and scale. */
enum { BYTES_FREE = 256 << 20, BYTES_FOR_ONE = 16, WORK_FOR_BYTE = 4 };

/* Cost of the evaluators in multiply-adds: moving an element, and one operand of arithmetic, with broadcasting and
 * the cost of a power. */
enum { WORK_MOVE = 4, WORK_OPERAND = 16 };

static const char RAISE[] = "raise it with kf_import_options.max_fold_bytes or --max-fold-bytes";

static uint64_t times(uint64_t a, uint64_t b) {
    uint64_t out;
    return __builtin_mul_overflow(a, b, &out) ? UINT64_MAX : out;
}

static uint64_t plus(uint64_t a, uint64_t b) {
    uint64_t out;
    return __builtin_add_overflow(a, b, &out) ? UINT64_MAX : out;
}

static uint64_t elements(const kf__graph *g, kf__vid v) {
    size_t n;
    if (v < 0 || g->values[v].shape.rank < 0) return 0;
    return kf__shape_count(&g->values[v].shape, &n) ? n : UINT64_MAX;
}

/* Layers cost their multiply-adds; other operators cost so much for each element of input and output. */
uint64_t kf__graph_work(const kf__graph *g, const kf__node *n) {
    uint64_t out = 0, in = n->n_in > 0 ? elements(g, n->in[0]) : 0, each = WORK_MOVE;
    for (int k = 0; k < n->n_out; k++) out = plus(out, elements(g, n->out[k]));
    switch (kf__op_table[n->op].role) {
    case KF_ROLE_LAYER:
    case KF_ROLE_GATE:
    case KF_ROLE_MATRIX: return plus(times(out, each), (uint64_t)kf__node_macs(g, n));
    case KF_ROLE_POOL: each = plus(each, times((uint64_t)n->attrs.window.kh, (uint64_t)n->attrs.window.kw)); break;
    case KF_ROLE_ARITHMETIC: each = times(WORK_OPERAND, (uint64_t)n->n_in); break;
    case KF_ROLE_MOVE:
        if (n->op != KF_OP_PAD) in = 0;
        break; /* reads what it writes; a pad walks over its input */
    case KF_ROLE_GATED:
    case KF_ROLE_NORM:
    case KF_ROLE_ACTIVATION:
    case KF_ROLE_REDUCTION:
    case KF_ROLE_VIEW:
    case KF_ROLE_SHAPE:
    case KF_ROLE_QDQ: break;
    }
    return plus(times(in, WORK_MOVE), times(out, each));
}

void kf__graph_set_budget(kf__graph *g) {
    if (g->max_fold_bytes) return;
    uint64_t own = 0;
    for (size_t v = 0; v < g->n_values; v++)
        if (g->values[v].data) own = plus(own, g->values[v].bytes);
    g->max_fold_bytes = plus(BYTES_FREE, times(own, BYTES_FOR_ONE));
}

kf_status kf__graph_charge(kf__graph *g, const char *name, uint64_t bytes, uint64_t work, kf_error *err) {
    kf__graph_set_budget(g);
    g->fold_bytes = plus(g->fold_bytes, bytes);
    g->fold_work = plus(g->fold_work, work);
    if (g->fold_bytes > g->max_fold_bytes)
        KF_FAIL(err, KF_ERR_LIMIT,
                "%s: the constants made from those of the file would take %llu bytes; at most %llu are allowed; %s",
                name, (unsigned long long)g->fold_bytes, (unsigned long long)g->max_fold_bytes, RAISE);
    if (g->fold_work > times(g->max_fold_bytes, WORK_FOR_BYTE))
        KF_FAIL(err, KF_ERR_LIMIT,
                "%s: computing constants would cost as much as %llu multiply-adds; at most %llu are allowed, %d for a "
                "byte; %s",
                name, (unsigned long long)g->fold_work, (unsigned long long)times(g->max_fold_bytes, WORK_FOR_BYTE),
                WORK_FOR_BYTE, RAISE);
    return KF_OK;
}

/* Every reader of a constant after the first one costs a copy. */
kf_status kf__graph_check_copies(kf__graph *g, kf_error *err) {
    bool *seen = calloc(g->n_values + 1, sizeof *seen);
    if (!seen) KF_FAIL_MEMORY(err, g->n_values);
    const char *last = "";
    uint64_t copies = 0;
    for (size_t i = 0; i < g->n_nodes; i++)
        for (int k = 0; k < g->nodes[i].n_in && !g->nodes[i].dead; k++) {
            kf__vid v = g->nodes[i].in[k];
            if (v < 0 || !g->values[v].data) continue;
            if (seen[v]) copies = plus(copies, g->values[v].bytes), last = g->nodes[i].name;
            seen[v] = true;
        }
    free(seen);
    kf__graph_set_budget(g);
    if (copies > g->max_fold_bytes)
        KF_FAIL(err, KF_ERR_LIMIT,
                "%s: every node gets its own copy of the constants that it shares, %llu bytes in all; at most %llu are "
                "allowed; %s",
                last, (unsigned long long)copies, (unsigned long long)g->max_fold_bytes, RAISE);
    return KF_OK;
}
