/* The parallel loop of crew.h.
 * Owner rule: every item has its own slot in the caller's results, so threads never share one. */
#include "evaluate/crew.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

enum { MOST = 64 };

typedef struct shift {
    const kf__crew *crew;
    atomic_size_t next, done;
    atomic_int stop; /* set by the first failure, which alone fills `err` */
    kf_error err;
} shift;

static void fail(shift *s, const kf_error *err) {
    if (!atomic_exchange(&s->stop, 1)) s->err = *err;
}

static void work(shift *s, bool caller) {
    const kf__crew *c = s->crew;
    void *state = NULL;
    kf_error err = {KF_OK, ""};
    kf_status st = c->open(c->ctx, &state, &err);
    for (size_t i; st == KF_OK && !atomic_load(&s->stop) && (i = atomic_fetch_add(&s->next, 1)) < c->n;) {
        st = c->one(c->ctx, state, i, &err);
        size_t done = atomic_fetch_add(&s->done, 1) + 1 + c->before, total = c->total ? c->total : c->n;
        if (st == KF_OK && caller && c->progress && c->progress(c->user, done, total))
            st = kf_error_set(&err, KF_ERR_CANCELLED, "cancelled after %zu of %zu pictures", done, total);
    }
    if (st != KF_OK) fail(s, &err);
    c->close(state);
}

static void *hand(void *arg) {
    work(arg, false);
    return NULL;
}

kf_status kf__crew_run(const kf__crew *crew, kf_error *err) {
    shift s = {.crew = crew};
    pthread_t hands[MOST];
    int32_t started = 1, wanted = crew->threads > 0 ? crew->threads : (int32_t)sysconf(_SC_NPROCESSORS_ONLN);
    if (wanted > MOST) wanted = MOST;
    if ((size_t)wanted > crew->n) wanted = (int32_t)crew->n;
    for (; started < wanted; started++)
        if (pthread_create(&hands[started], NULL, hand, &s) != 0) break;
    if (started < wanted && crew->fewer_threads) crew->fewer_threads(crew->user, started, wanted);
    work(&s, true);
    for (int32_t i = 1; i < started; i++) pthread_join(hands[i], NULL);
    if (!atomic_load(&s.stop)) return KF_OK;
    if (err) *err = s.err;
    return s.err.status;
}
