/* Watches a running session: reads outputs of steps as real numbers, whatever their storage, and can replace them.
 * Owner rule: the room for one output belongs to the session. */
#include "runtime/session.h"

#include "runtime/fence.h"

size_t kf__session_count(const struct kf_session *s, int32_t t) { return kf__ptensor_count(&s->m->p->tensors[t]); }

void kf__session_real(const struct kf_session *s, int32_t t, float *to) {
    const kf__ptensor *x = &s->m->p->tensors[t];
    const kf__quant quant = kf__ptensor_quant(s->m->p, x);
    const void *from = kf__exec_tensor(&s->exec, t);
    size_t n = kf__session_count(s, t);
    if (x->dtype == KF_F32) {
        memcpy(to, from, n * sizeof *to);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        int64_t c = (int64_t)(i % (size_t)x->c);
        int32_t q = x->dtype == KF_U8 ? ((const uint8_t *)from)[i] : ((const int16_t *)from)[i];
        to[i] = (float)(q - kf__q_zero(&quant, c)) * kf__q_scale(&quant, c);
    }
}

/* Rounds as the step itself would have stored the values. */
void kf__session_put_real(struct kf_session *s, int32_t t, const float *from) {
    kf__fence_open(&s->exec, t); /* a caller that runs one step supplies all of its inputs */
    const kf__ptensor *x = &s->m->p->tensors[t];
    const kf__quant quant = kf__ptensor_quant(s->m->p, x);
    void *to = kf__exec_tensor(&s->exec, t);
    size_t n = kf__session_count(s, t);
    if (x->dtype == KF_F32) {
        memcpy(to, from, n * sizeof *from);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        int64_t c = (int64_t)(i % (size_t)x->c);
        float scaled = from[i] * kf__inverse((double)kf__q_scale(&quant, c));
        int32_t q = kf__quantize_clamped(scaled, kf__q_zero(&quant, c), x->qmin, x->qmax);
        if (x->dtype == KF_U8) ((uint8_t *)to)[i] = (uint8_t)q;
        else ((int16_t *)to)[i] = (int16_t)q;
    }
}

kf_status kf__session_watch(struct kf_session *s, kf_step_fn fn, void *user, kf_error *err) {
    size_t most = 1;
    for (int32_t t = 0; t < s->m->p->n_tensors; t++)
        if (s->m->p->tensors[t].made != KF_NEVER_MADE && kf__session_count(s, t) > most) most = kf__session_count(s, t);
    if (fn && !s->real) KF_TRY(kf__session_check(s, most * sizeof *s->real, err));
    if (fn && !s->real && !(s->real = kf__mem_alloc(s->allocator, most * sizeof *s->real)))
        KF_FAIL_MEMORY(err, most * sizeof *s->real);
    s->watch = fn;
    s->watch_user = user;
    return KF_OK;
}
