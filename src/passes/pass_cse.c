/* Common subexpressions: a node that repeats an earlier one is dropped, as are repeated small constants.
 * Owner rule: the table of nodes seen ends with the pass. */
#include <math.h>
#include <stdlib.h>

#include "passes/passes.h"

/* Scalars, shapes and pads repeat; comparing large weights would cost more than it saves. */
enum { SMALL_CONST = 64 };

static bool same_const(const kf__value *a, const kf__value *b) {
    return a->bytes == b->bytes && a->dtype == b->dtype && kf__shape_equal(&a->shape, &b->shape) &&
           memcmp(a->data, b->data, a->bytes) == 0;
}

static bool same_inputs(const kf__graph *g, const kf__node *a, const kf__node *b) {
    if (a->n_in != b->n_in || a->n_out != b->n_out) return false;
    for (int i = 0; i < a->n_in; i++) {
        if (a->in[i] == b->in[i]) continue;
        if (!kf__match_is_const(g, a->in[i]) || !kf__match_is_const(g, b->in[i])) return false;
        const kf__value *x = &g->values[a->in[i]], *y = &g->values[b->in[i]];
        if (x->bytes > SMALL_CONST || !same_const(x, y)) return false;
    }
    return true;
}

static bool same_attrs(const kf__attrs *a, const kf__attrs *b) {
    return kf__window_same(&a->window, &b->window) && kf__activation_same(&a->act, &b->act) &&
           kf__activation_same(&a->post_act, &b->post_act) && kf__activation_same(&a->gate_act, &b->gate_act) &&
           a->alpha == b->alpha && a->beta == b->beta && a->epsilon == b->epsilon && a->value == b->value &&
           a->axis == b->axis && a->keepdims == b->keepdims && a->trans_a == b->trans_a && a->trans_b == b->trans_b &&
           a->ceil_mode == b->ceil_mode && a->count_include_pad == b->count_include_pad && a->start == b->start &&
           a->end == b->end && a->mode == b->mode && a->to == b->to && a->n_axes == b->n_axes &&
           memcmp(a->axes, b->axes, (size_t)a->n_axes * sizeof a->axes[0]) == 0;
}

static bool same_node(const kf__graph *g, const kf__node *a, const kf__node *b) {
    return a->op == b->op && !a->dead && same_inputs(g, a, b) && same_attrs(&a->attrs, &b->attrs);
}

/* ---- the nodes seen so far, by what they compute ----------------------------------------------------------------- */

typedef struct seen {
    int32_t *first, *next; /* [cap] of a slot, [n_nodes] after a node: in the order in which they were seen; -1 ends */
    int32_t *last;         /* [cap] of a slot */
    size_t cap;            /* a power of two */
} seen;

static bool seen_open(const kf__graph *g, seen *t) {
    for (t->cap = 64; t->cap < 2 * g->n_nodes;) t->cap *= 2;
    t->first = malloc(t->cap * sizeof *t->first);
    t->last = malloc(t->cap * sizeof *t->last);
    t->next = malloc((g->n_nodes + 1) * sizeof *t->next);
    for (size_t i = 0; t->first && i < t->cap; i++) t->first[i] = -1;
    return t->first && t->last && t->next;
}

static void seen_close(seen *t) {
    free(t->first);
    free(t->last);
    free(t->next);
}

static uint64_t mix(uint64_t h, const void *bytes, size_t n) {
    const uint8_t *b = bytes;
    for (size_t i = 0; i < n; i++) h = (h ^ b[i]) * 1099511628211u;
    return h ^ h >> 29;
}

/* Equal numbers must give equal bytes, so minus zero counts as zero. */
static uint64_t mix_float(uint64_t h, float x) {
    float plus = x == 0 ? 0 : x;
    return mix(h, &plus, sizeof plus);
}

/* Equal nodes have equal hashes. */
static uint64_t hash_node(const kf__graph *g, const kf__node *n) {
    const kf__attrs *a = &n->attrs;
    const int32_t whole[] = {(int32_t)n->op, n->n_in, a->axis,        a->keepdims,
                             a->start,       a->end,  (int32_t)a->to, a->n_axes};
    const float real[] = {a->alpha,  a->beta,   a->epsilon,     a->value,
                          a->act.lo, a->act.hi, a->post_act.lo, a->post_act.hi};
    uint64_t h = mix(14695981039346656037u, whole, sizeof whole);
    for (size_t i = 0; i < KF_COUNT(real); i++) h = mix_float(h, real[i]);
    h = mix(h, &a->window, sizeof a->window);
    h = mix(h, a->axes, (size_t)a->n_axes * sizeof a->axes[0]);
    for (int k = 0; k < n->n_in; k++) {
        bool small = kf__match_is_const(g, n->in[k]) && g->values[n->in[k]].bytes <= SMALL_CONST;
        if (small) h = mix(h, g->values[n->in[k]].data, g->values[n->in[k]].bytes);
        else h = mix(h, &n->in[k], sizeof n->in[k]);
    }
    return h;
}

/* NaN differs from itself, so a node with a NaN attribute equals no other. */
static bool comparable(const kf__node *n) {
    const kf__attrs *a = &n->attrs;
    const float real[] = {a->alpha,  a->beta,        a->epsilon,     a->value,       a->act.lo,
                          a->act.hi, a->post_act.lo, a->post_act.hi, a->gate_act.lo, a->gate_act.hi};
    for (size_t i = 0; i < KF_COUNT(real); i++)
        if (isnan(real[i])) return false;
    return n->n_out == 1 && n->n_in >= 1 && !n->dead && n->op != KF_OP_DROPOUT;
}

/* The first node seen that computes the same. If there is none, remembers `n` and returns NULL. */
static kf__node *find_twin(kf__graph *g, seen *t, size_t index) {
    const kf__node *n = &g->nodes[index];
    size_t slot = (size_t)hash_node(g, n) & (t->cap - 1);
    for (int32_t i = t->first[slot]; i >= 0; i = t->next[i], kf__graph_looks++)
        if (same_node(g, &g->nodes[i], n)) return &g->nodes[i];
    if (t->first[slot] < 0) t->first[slot] = (int32_t)index;
    else t->next[t->last[slot]] = (int32_t)index;
    t->last[slot] = (int32_t)index;
    t->next[index] = -1;
    return NULL;
}

static kf_status drop_repeated(kf__graph *g, seen *t, bool *changed, kf_error *err) {
    for (size_t i = 0; i < g->n_nodes; i++) {
        kf__node *n = &g->nodes[i];
        kf__node *e = comparable(n) ? find_twin(g, t, i) : NULL;
        if (!e || kf__match_is_output(g, n->out[0])) continue;
        KF_TRY(kf__graph_merge_sources(g, e, n, err));
        kf__graph_replace_uses(g, n->out[0], e->out[0]);
        n->dead = true;
        *changed = true;
    }
    return KF_OK;
}

kf_status kf__pass_cse(kf__graph *g, bool *changed, kf_error *err) {
    seen t = {0};
    kf_status st = KF_OK;
    if (seen_open(g, &t)) st = drop_repeated(g, &t, changed, err);
    else st = kf_error_set(err, KF_ERR_MEMORY, "out of memory while comparing %zu nodes", g->n_nodes);
    seen_close(&t);
    return st;
}
