/* Memory plan: tensors whose lifetimes do not meet share bytes.
 * Greedy by size, largest first, at the lowest offset free of conflicts (Pisarchyk and Lee 2020, "greedy by size").
 * Owner rule: fills the caller's arrays. */
#include "runtime/model.h"

typedef struct life {
    int32_t first, last;
    size_t bytes, rank; /* rank: the larger is placed before */
    bool placed;
} life;

static void lifetimes(const kf__program *p, bool keep_all, life *l) {
    for (int32_t t = 0; t < p->n_tensors; t++) {
        const kf__ptensor *x = &p->tensors[t];
        l[t] = (life){.first = p->n_steps, .last = -1};
        l[t].bytes = kf__round_up(kf__ptensor_count(x) * kf_dtype_size(x->dtype), KF_ALIGN) + KF_REDZONE;
        l[t].rank = l[t].bytes;
    }
    for (int32_t i = 0; i < p->n_inputs; i++) l[p->inputs[i].tensor].first = l[p->inputs[i].tensor].last = -1;
    for (int32_t i = 0; i < p->n_steps; i++) {
        const kf__step *s = &p->steps[i];
        l[s->out].first = i;
        if (l[s->out].last < i) l[s->out].last = i;
        for (int k = 0; k < s->n_in; k++) l[s->in[k]].last = i;
        if (i > 0 && kf__steps_join(p, i - 1)) l[p->steps[i - 1].in[0]].last = i;
        if (kf__steps_join(p, i)) l[s->out].rank = 0; /* seldom written: it must not keep the others from memory that is still in a cache */
    }
    for (int32_t i = 0; i < p->n_outputs; i++) l[p->outputs[i].tensor].last = p->n_steps;
    for (int32_t t = 0; keep_all && t < p->n_tensors; t++) l[t].first = -1, l[t].last = p->n_steps;
}

/* Lowest offset where `t` fits beside all placed tensors that live at the same time. */
static size_t lowest_place(const life *l, const size_t *offset, int32_t n, int32_t t) {
    size_t at = 0;
    for (bool moved = true; moved;) {
        moved = false;
        for (int32_t o = 0; o < n; o++) {
            if (!l[o].placed || l[o].last < l[t].first || l[o].first > l[t].last) continue;
            if (at < offset[o] + l[o].bytes && offset[o] < at + l[t].bytes) {
                at = offset[o] + l[o].bytes;
                moved = true;
            }
        }
    }
    return at;
}

kf_status kf__plan(const kf__program *p, bool keep_all, size_t *offset, size_t *total, kf_error *err) {
    life *l = kf__mem_zalloc(NULL, (size_t)p->n_tensors * sizeof *l);
    if (!l) KF_FAIL_MEMORY(err, (size_t)p->n_tensors * sizeof *l);
    lifetimes(p, keep_all, l);
    *total = 0;
    for (int32_t done = 0; done < p->n_tensors; done++) {
        int32_t best = -1;
        for (int32_t t = 0; t < p->n_tensors; t++)
            if (!l[t].placed && (best < 0 || l[t].rank > l[best].rank)) best = t;
        offset[best] = lowest_place(l, offset, p->n_tensors, best);
        l[best].placed = true;
        if (offset[best] + l[best].bytes > *total) *total = offset[best] + l[best].bytes;
    }
    kf__mem_free(NULL, l);
    return KF_OK;
}
