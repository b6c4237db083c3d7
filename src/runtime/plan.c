/* Memory plan of a session's arena: tensors whose lifetimes do not overlap share bytes. Greedy by size, largest first,
 * at the lowest offset free of conflicts (Pisarchyk and Lee 2020, "greedy by size").
 * Owner rule: fills the caller's arrays.
 *
 * An example. Step 1 reads a, step 2 reads a and b, step 3 reads c, and the caller reads d. A row shows in which steps
 * its tensor lives; two tensors that live in the same step may not overlap.
 *
 *     tensor  bytes   step 0   1   2   3    placed   offset
 *     a         400        #########           1st        0
 *     b         300            #####           2nd      400   lives with a
 *     c         200                #####       4th      700   lives with a, b and d
 *     d         250                    #       3rd        0   reuses the bytes of a
 *
 *     offset  0            250    400         700      900
 *     step 2  | a                 | b         | c      |
 *     step 3  | d          |                  | c      |      900 bytes instead of 1,150 */
#include <stdlib.h>

#include "runtime/model.h"

/** Most conflicts that a plan looks at: CONFLICTS, and CONFLICTS_EACH more for each tensor. Networks have a few
 * hundred. */
enum { CONFLICTS = 1 << 20, CONFLICTS_EACH = 64 };

typedef struct life {
    int32_t first, last;
    size_t bytes;
} life;

/* Bytes from..to of the block; or, while sorting, tensor `to` with `from` as its key. */
typedef struct span {
    size_t from, to;
} span;

/* Slots number the tensors in the order in which they are made: inputs, then one for each step. */
typedef struct planning {
    const kf__program *p;
    life *lives;    /* by tensor */
    span *order;    /* tensors, the largest first */
    size_t *offset; /* by tensor */
    span *met;      /* the placed tensors that live at the same time as the tensor to be placed */
    size_t n_met;
    int32_t *latest;   /* a tree over the slots, the root at 1: the last use of any tensor below that is placed */
    size_t leaves;     /* of the tree: a power of two */
    size_t work, most; /* nodes looked at, and how many there may be */
} planning;

static int by_key(const void *a, const void *b) {
    const span *x = a, *y = b;
    if (x->from != y->from) return x->from < y->from ? -1 : 1;
    return x->to < y->to ? -1 : x->to > y->to;
}

/* A tensor lives from the step that makes it to the last that reads it. Joined steps keep their input for one step
 * more. */
static void lifetimes(planning *g) {
    const kf__program *p = g->p;
    for (int32_t t = 0; t < p->n_tensors; t++) {
        const kf__ptensor *x = &p->tensors[t];
        life *l = &g->lives[t];
        l->first = x->made < 0 ? -1 : x->made;
        l->last = x->read > l->first ? x->read : l->first;
        l->bytes = kf__round_up(kf__ptensor_count(x) * kf_dtype_size(x->dtype), KF_ALIGN) + KF_REDZONE;
        g->order[t] = (span){SIZE_MAX - l->bytes, (size_t)t};
    }
    for (int32_t i = 0; i < p->n_steps; i++) {
        if (!kf__steps_join(p, i)) continue;
        const kf__step *s = &p->steps[i];
        if (g->lives[s->in[0]].last <= i) g->lives[s->in[0]].last = i + 1;
        /* Rarely written, so it is placed last: hot tensors should reuse memory that is still in a cache. */
        g->order[s->out].from = SIZE_MAX;
    }
}

/* Gather the tensors that live between steps first and last, from the `count` slots below a node of the tree. */
static void meet(planning *g, const life *with, size_t node, size_t from, size_t count) {
    size_t inputs = (size_t)g->p->n_inputs;
    if (from > inputs + (size_t)with->last || g->latest[node] < with->first || ++g->work > g->most) return;
    if (count > 1) {
        meet(g, with, 2 * node, from, count / 2);
        meet(g, with, 2 * node + 1, from + count / 2, count / 2);
        return;
    }
    int32_t t = from < inputs ? g->p->inputs[from].tensor : g->p->steps[from - inputs].out;
    g->met[g->n_met++] = (span){g->offset[t], g->offset[t] + g->lives[t].bytes};
}

/* Lowest offset where the tensor overlaps no placed one that lives at the same time. If there are too many of those,
 * it goes above all of them: no real network needs that, and it limits the time that a file can demand. */
static size_t lowest_place(planning *g, const life *l, size_t top) {
    size_t at = 0;
    g->n_met = 0;
    meet(g, l, 1, 0, g->leaves);
    if (g->work > g->most) return top;
    qsort(g->met, g->n_met, sizeof *g->met, by_key);
    for (size_t i = 0; i < g->n_met && g->met[i].from < at + l->bytes; i++)
        if (g->met[i].to > at) at = g->met[i].to;
    return at;
}

static void place(planning *g, int32_t t, size_t *total) {
    const life *l = &g->lives[t];
    int32_t made = g->p->tensors[t].made;
    if (made == KF_NEVER_MADE) return;
    size_t at = lowest_place(g, l, *total), end, slot = (size_t)(made < 0 ? -1 - made : g->p->n_inputs + made);
    if (!kf__add_size(at, l->bytes, &end) || !kf__extents_ok(&g->p->tensors[t]))
        end = SIZE_MAX; /* no session takes that */
    if (end > *total) *total = end;
    g->offset[t] = at;
    for (size_t node = g->leaves + slot; node > 0 && g->latest[node] < l->last; node /= 2) g->latest[node] = l->last;
}

/* Places the tensors one by one, the largest first. */
static kf_status plan(planning *g, kf__arena *arena, size_t *total, kf_error *err) {
    const kf__program *p = g->p;
    size_t n = (size_t)p->n_tensors;
    for (g->leaves = 1; g->leaves < (size_t)p->n_inputs + (size_t)p->n_steps;) g->leaves *= 2;
    g->most = CONFLICTS + CONFLICTS_EACH * n;
    g->lives = kf__arena_array(arena, n, sizeof *g->lives);
    g->order = kf__arena_array(arena, n, sizeof *g->order);
    g->met = kf__arena_array(arena, n, sizeof *g->met);
    g->latest = kf__arena_array(arena, 2 * g->leaves, sizeof *g->latest);
    if (!g->lives || !g->order || !g->met || !g->latest) KF_FAIL_MEMORY(err, n * sizeof *g->lives);
    memset(g->latest, 0x80, 2 * g->leaves * sizeof *g->latest); /* before every use */
    lifetimes(g);
    qsort(g->order, n, sizeof *g->order, by_key);
    *total = 0;
    for (size_t i = 0; i < n; i++) g->offset[i] = 0;
    for (size_t i = 0; i < n; i++) place(g, (int32_t)g->order[i].to, total);
    return KF_OK;
}

kf_status kf__plan(const kf__program *p, size_t *offset, size_t *total, size_t *work, kf_error *err) {
    planning g = {.p = p, .offset = offset};
    kf__arena arena;
    kf__arena_init(&arena, NULL);
    kf_status st = plan(&g, &arena, total, err);
    kf__arena_free(&arena);
    *work = g.work;
    return st;
}
