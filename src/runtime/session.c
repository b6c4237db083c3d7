/* Sessions: one block of memory, a pool of threads, inputs in, steps, outputs out.
 * Owner rule: see session.h. */
#include "runtime/session.h"

#include "base/fp.h"
#include "os/pages.h"
#include "runtime/fence.h"

/* Bytes of a session's block: scratch of all workers, and scores. `all` adds activations and times. */
typedef struct parts {
    size_t scratch, scores, all;
} parts;

static parts parts_of(const struct kf_model *m, size_t workers) {
    const kf__ptensor *y = &m->p->tensors[kf__program_ranked(m->p)->tensor];
    parts b = {.scores = kf__round_up(kf__ptensor_count(y) * sizeof(float), KF_ALIGN)};
    size_t rest = b.scores + (size_t)m->p->n_steps * sizeof(double);
    bool fits = kf__mul_size(m->scratch_bytes, workers, &b.scratch) && kf__add_size(rest, b.scratch, &b.all) &&
                kf__add_size(b.all, m->plan_bytes, &b.all);
    if (!fits) b.all = SIZE_MAX; /* more than any limit accepts */
    return b;
}

kf_status kf__session_check(const struct kf_session *s, size_t more, kf_error *err) {
    size_t all;
    if (!kf__add_size(s->bytes, more, &all)) all = SIZE_MAX;
    if (all <= s->most_bytes && all < SIZE_MAX) return KF_OK;
    return kf__error_limit(err, "bytes of a session of this model", (double)all, (double)s->most_bytes,
                           "max_session_bytes (--max-memory)");
}

/* The caller's limits, else the model's, else the defaults. */
static kf__limits limits_of(const struct kf_model *m, const kf__limits *own) {
    kf__limits l = m->p->limits;
    if (own->session_bytes) l.session_bytes = own->session_bytes;
    if (own->operations) l.operations = own->operations;
    if (!l.session_bytes) l.session_bytes = KF_SESSION_BYTES;
    if (!l.operations) l.operations = KF_OPERATIONS;
    return l;
}

/* Checks the limits first. The block holds, in this order: activations, scratch of each worker, scores, times. */
kf_status kf__session_create_within(const struct kf_model *m, const kf__limits *limits, kf__pool *pool, int threads,
                                    bool profile, const kf_allocator *a, struct kf_session **out, kf_error *err) {
    const kf__limits most = limits_of(m, limits);
    *out = NULL;
    if (m->operations > (double)most.operations)
        return kf__error_limit(err, "operations of a run of this model", m->operations, (double)most.operations,
                               "max_operations (--max-operations)");
    struct kf_session *s = kf__mem_zalloc(a, sizeof *s);
    if (!s) KF_FAIL_MEMORY(err, sizeof *s);
    s->allocator = a;
    s->m = m;
    s->replaced = -1;
    kf_status st = pool || threads < 2 ? KF_OK : kf__pool_create(threads, a, &s->own_pool, err);
    if (st != KF_OK) {
        kf__mem_free(a, s);
        return st;
    }
    s->exec.pool = pool ? pool : s->own_pool;
    parts b = parts_of(m, (size_t)kf__pool_size(s->exec.pool));
    s->bytes = b.all, s->most_bytes = most.session_bytes;
    s->exec.m = m;
    st = kf__session_check(s, 0, err);
    if (st == KF_OK && !(s->exec.base = kf__mem_alloc(a, b.all)))
        st = kf_error_set(err, KF_ERR_MEMORY, "out of memory; a session takes %zu bytes", b.all);
    if (st != KF_OK) {
        kf__session_destroy(&s);
        return st;
    }
    if (!a) kf__pages_huge(s->exec.base, s->bytes);
    memset(s->exec.base, 0, s->bytes);
    s->exec.scratch = s->exec.base + m->plan_bytes;
    s->scores = (float *)(void *)(s->exec.scratch + b.scratch);
    if (profile) s->ms = (double *)(void *)(s->exec.scratch + b.scratch + b.scores);
    kf__fence_begin(&s->exec);
    *out = s;
    return KF_OK;
}

void kf__session_destroy(struct kf_session **session) {
    if (!session || !*session) return;
    struct kf_session *s = *session;
    const kf_allocator *a = s->allocator;
    kf__pool_destroy(&s->own_pool);
    if (s->exec.base) kf__fence_end(&s->exec, s->bytes);
    kf__mem_free(a, s->exec.base);
    kf__mem_free(a, s->real);
    kf__mem_free(a, s);
    *session = NULL;
}

static void show(struct kf_session *s, int32_t step, int32_t tensor) {
    kf__session_real(s, tensor, s->real);
    s->watch(s->watch_user, step, s->real, kf__session_count(s, tensor));
}

void kf__session_one_step(struct kf_session *s, int32_t step) {
    KF_FP_CONTRACT();
    kf__fence_step(&s->exec, step, step);
    s->m->steps[step].run(&s->exec, &s->m->steps[step]);
    kf__fence_idle(&s->exec, step);
}

/* Two steps may run joined, row by row. Whoever watches single steps sees each of them, so nothing is joined then. */
void kf__session_steps(struct kf_session *s) {
    KF_FP_CONTRACT();
    for (int32_t k = 0; s->watch && k < s->m->p->n_inputs; k++) show(s, -1 - k, s->m->p->inputs[k].tensor);
    bool one_by_one = s->ms || s->probe || s->watch || s->replaced >= 0;
    for (int32_t i = 0; i < s->m->p->n_steps; i++) {
        const kf__prepared *step = &s->m->steps[i];
        if (!one_by_one && step->run_with_next) {
            kf__fence_step(&s->exec, i, i + 1);
            step->run_with_next(&s->exec, step);
            i++;
            continue;
        }
        double start = s->ms ? kf__clock_seconds() : 0;
        kf__fence_step(&s->exec, i, i);
        step->run(&s->exec, step);
        if (s->ms) s->ms[i] = (kf__clock_seconds() - start) * 1e3;
        if (s->replaced == i) kf__session_put_real(s, s->m->p->steps[i].out, s->replacement);
        if (s->watch) show(s, i, s->m->p->steps[i].out);
        if (s->probe) s->probe(s->probe_user, i, kf__exec_tensor(&s->exec, s->m->p->steps[i].out));
    }
    kf__fence_idle(&s->exec, -1);
}

void kf__session_get_f32(const struct kf_session *s, int32_t index, float *to) {
    const kf__poutput *out = &s->m->p->outputs[index];
    const kf__ptensor *t = &s->m->p->tensors[out->tensor];
    const float *from = kf__exec_tensor(&s->exec, out->tensor);
    size_t hw = (size_t)t->h * (size_t)t->w, c = (size_t)t->c;
    for (size_t n = 0; n < (size_t)t->n; n++)
        for (size_t i = 0; i < hw; i++)
            for (size_t k = 0; k < c; k++) to[(n * c + k) * hw + i] = from[(n * hw + i) * c + k];
}
