/* Sessions: one block of memory, a pool of threads, inputs in, steps, outputs out.
 * Owner rule: see session.h. */
#include "runtime/session.h"

#include "cpu/fp.h"
#include "os/pages.h"
#include "runtime/fence.h"

kf_status kf__session_create(const struct kf_model *m, int threads, bool profile, const kf_allocator *a, struct kf_session **out,
                             kf_error *err) {
    struct kf_session *s = kf__mem_zalloc(a, sizeof *s);
    *out = NULL;
    if (!s) KF_FAIL_MEMORY(err, sizeof *s);
    s->allocator = a;
    s->m = m;
    s->replaced = -1;
    kf_status st = kf__pool_create(threads, a, &s->exec.pool, err);
    if (st != KF_OK) {
        kf__mem_free(a, s);
        return st;
    }
    const kf__ptensor *y = &m->p->tensors[m->p->outputs[0].tensor];
    size_t scores = kf__round_up(kf__ptensor_count(y) * sizeof(float), KF_ALIGN);
    size_t scratch = m->scratch_bytes * (size_t)kf__pool_size(s->exec.pool), times = (size_t)m->p->n_steps * sizeof *s->ms;
    s->bytes = m->plan_bytes + scratch + scores + times;
    s->exec.m = m;
    s->exec.base = kf__mem_alloc(a, s->bytes);
    if (!s->exec.base) {
        size_t bytes = s->bytes;
        kf__session_destroy(&s);
        KF_FAIL_MEMORY(err, bytes);
    }
    if (!a) kf__pages_huge(s->exec.base, s->bytes);
    memset(s->exec.base, 0, s->bytes);
    s->exec.scratch = s->exec.base + m->plan_bytes;
    s->scores = (float *)(void *)(s->exec.scratch + scratch);
    if (profile) s->ms = (double *)(void *)(s->exec.scratch + scratch + scores);
    kf__fence_begin(&s->exec);
    *out = s;
    return KF_OK;
}

void kf__session_destroy(struct kf_session **session) {
    if (!session || !*session) return;
    struct kf_session *s = *session;
    const kf_allocator *a = s->allocator;
    kf__pool_destroy(&s->exec.pool);
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
    kf__fp_state caller = kf__fp_enter();
    kf__fence_step(&s->exec, step, step);
    s->m->steps[step].run(&s->exec, &s->m->steps[step]);
    kf__fence_idle(&s->exec, step);
    kf__fp_leave(caller);
}

void kf__session_steps(struct kf_session *s) {
    kf__fp_state caller = kf__fp_enter();
    for (int32_t k = 0; s->watch && k < s->m->p->n_inputs; k++) show(s, -1 - k, s->m->p->inputs[k].tensor);
    bool apart = s->ms || s->probe || s->watch || s->replaced >= 0; /* who looks at single steps gets single steps */
    for (int32_t i = 0; i < s->m->p->n_steps; i++) {
        const kf__prepared *step = &s->m->steps[i];
        if (!apart && step->run_with_next) {
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
    kf__fp_leave(caller);
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
