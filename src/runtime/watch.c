/* Looking into a running session, and reaching into it: outputs of steps as real numbers, whatever their storage.
 * Floor 5.
 * Owner rule: the room for one output belongs to the session. */
#include "runtime/session.h"

size_t kf__session_count(const struct kf_session *s, int32_t t) {
    const kf__ptensor *p = &s->m->p->tensors[t];
    return (size_t)p->n * (size_t)p->h * (size_t)p->w * (size_t)p->c;
}

/* Scales and zero points of a tensor, one or one a channel. */
typedef struct units {
    const kf__ptensor *t;
    const float *scales;
    const int32_t *zeros;
} units;

static units units_of(const struct kf_session *s, int32_t t) {
    const kf__program *p = s->m->p;
    units u = {.t = &p->tensors[t]};
    if (u.t->scales >= 0) u.scales = p->consts[u.t->scales].data;
    if (u.t->zeros >= 0) u.zeros = p->consts[u.t->zeros].data;
    return u;
}

static float scale_of(const units *u, size_t i) { return u->scales ? u->scales[i % (size_t)u->t->c] : u->t->scale; }
static int32_t zero_of(const units *u, size_t i) { return u->zeros ? u->zeros[i % (size_t)u->t->c] : u->t->zero; }

void kf__session_real(const struct kf_session *s, int32_t t, float *to) {
    const units u = units_of(s, t);
    const void *from = kf__exec_tensor(&s->exec, t);
    size_t n = kf__session_count(s, t);
    if (u.t->dtype == KF_F32) {
        memcpy(to, from, n * sizeof *to);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        int32_t q = u.t->dtype == KF_U8 ? ((const uint8_t *)from)[i] : ((const int16_t *)from)[i];
        to[i] = (float)(q - zero_of(&u, i)) * scale_of(&u, i);
    }
}

void kf__session_put_real(struct kf_session *s, int32_t t, const float *from) {
    const units u = units_of(s, t);
    void *to = kf__exec_tensor(&s->exec, t);
    size_t n = kf__session_count(s, t);
    if (u.t->dtype == KF_F32) {
        memcpy(to, from, n * sizeof *from);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        int32_t q = kf__quantize_clamped(from[i] * kf__inverse((double)scale_of(&u, i)), zero_of(&u, i), u.t->qmin, u.t->qmax);
        if (u.t->dtype == KF_U8) ((uint8_t *)to)[i] = (uint8_t)q;
        else ((int16_t *)to)[i] = (int16_t)q;
    }
}

kf_status kf__session_watch(struct kf_session *s, kf__watch_fn fn, void *user, kf_error *err) {
    size_t most = 1;
    for (int32_t t = 0; t < s->m->p->n_tensors; t++)
        if (kf__session_count(s, t) > most) most = kf__session_count(s, t);
    if (fn && !s->real && !(s->real = kf__mem_alloc(s->allocator, most * sizeof *s->real))) KF_FAIL_MEMORY(err, most * sizeof *s->real);
    s->watch = fn;
    s->watch_user = user;
    return KF_OK;
}
