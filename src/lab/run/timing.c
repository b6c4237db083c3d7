/* Timing: sessions side by side over one model, frames handed out one at a time.
 * The picture is made up, since time does not depend on it.
 * Owner rule: see bench.h; a session and its tensors belong to its runner until the end of the call. */
#include "run/timing.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "run/answers.h"

typedef struct shared {
    const kf_model *m;
    const kf_bench_options *o;
    kf_bench_result *r;
    atomic_int next;
    atomic_bool stop;       /* the caller's callback asked for it, or a session failed */
    int32_t warm_up, ready; /* `ready`, `go` and `idle` under the lock */
    bool go, idle;          /* idle: too few threads could be started, nothing is timed */
    double start;
    pthread_mutex_t lock;
    pthread_cond_t change;
} shared;

typedef struct runner {
    shared *all;
    kf_session *s;
    kf_tensor in, out;
    bool caller; /* runs on the calling thread, so it may call back */
    kf_status status;
    kf_error err;
} runner;

/* ---- one session ------------------------------------------------------------------------------------------------- */

static void make_up(kf_tensor *t) {
    for (size_t i = 0; t->dtype == KF_F32 && i < t->bytes / sizeof(float); i++)
        ((float *)t->data)[i] = (float)((i * 2654435761u >> 16 & 255) / 64.0 - 2.0);
    for (size_t i = 0; t->dtype == KF_U8 && i < t->bytes; i++)
        ((uint8_t *)t->data)[i] = (uint8_t)(i * 2654435761u >> 16);
}

/* Fewer threads than the figures are said to be of would be a wrong measurement. */
static kf_status open_session(runner *w, kf_error *err) {
    kf_session_options o;
    int32_t wanted;
    kf_session_options_init(&o);
    o.threads = w->all->o->threads, o.profile = w->all->o->profile;
    KF_TRY(kf_session_create(w->all->m, &o, &w->s, err));
    int32_t started = kf_session_threads(w->s, &wanted);
    if (started == wanted) return KF_OK;
    KF_FAIL(err, KF_ERR_MEMORY, "only %d of %d threads can be started; ask for --threads %d", started, wanted, started);
}

static kf_status prepare(runner *w, kf_error *err) {
    KF_TRY(open_session(w, err));
    KF_TRY(kf_model_input(w->all->m, 0, &w->in, err));
    KF_TRY(kf_model_output(w->all->m, kf_model_ranked(w->all->m), &w->out, err));
    w->in.data = calloc(1, w->in.bytes), w->out.data = malloc(w->out.bytes);
    if (!w->in.data || !w->out.data)
        KF_FAIL(err, KF_ERR_MEMORY, "out of memory for %zu bytes of input and output; close other programs",
                w->in.bytes + w->out.bytes);
    int64_t *s = w->in.shape;
    if (w->in.dtype == KF_U8 && w->in.rank == 4 && s[1] <= 4 && s[3] > 4) /* declared [N, C, H, W] */
        memcpy(s, (int64_t[4]){s[0], s[2], s[3], s[1]}, 4 * sizeof *s);   /* bytes as decoders leave them */
    make_up(&w->in);
    return KF_OK;
}

static void run_one(runner *w) { w->status = kf_session_run(w->s, &w->in, 1, &w->out, 1, &w->err); }

/* After a run, outside its time: does anything stop the others? */
static void look(runner *w, int done) {
    shared *a = w->all;
    const kf_bench_options *o = a->o;
    if (w->status == KF_OK && w->caller && o->progress && o->progress(o->user, (size_t)done, (size_t)o->frames))
        w->status = kf_error_set(&w->err, KF_ERR_CANCELLED, "cancelled after %d of %d frames", done, o->frames);
    if (w->status != KF_OK) atomic_store(&a->stop, true);
}

static void warm_up(runner *w) {
    for (int32_t i = 0; !atomic_load(&w->all->stop) && i < w->all->warm_up; i++) {
        run_one(w);
        look(w, 0);
    }
}

/* Outside the timed window. The smallest of many: one run's times hold whatever else the machine did. */
static void note_steps(kf_bench_result *r, const kf_session *s) {
    kf_step_info t = {.size = sizeof t};
    for (int32_t i = 0; i < r->n_steps && kf_session_step(s, i, &t, NULL) == KF_OK; i++) {
        if (r->step_ms[i] > 0 && t.ms >= r->step_ms[i]) continue;
        r->step_ms[i] = t.ms;
        r->step_gmacs[i] = t.ms > 0 ? (double)t.macs / t.ms / 1e6 : 0;
    }
}

static void time_frames(runner *w) {
    shared *a = w->all;
    for (int i; !atomic_load(&a->stop) && (i = atomic_fetch_add(&a->next, 1)) < a->o->frames;) {
        double begun = kf__now_ms();
        run_one(w);
        double ended = kf__now_ms();
        a->r->ms[i] = ended - begun, a->r->until[i] = ended - a->start;
        note_steps(a->r, w->s);
        look(w, i + 1);
    }
}

static void *run_frames(void *arg) {
    runner *w = arg;
    shared *a = w->all;
    warm_up(w);
    pthread_mutex_lock(&a->lock);
    a->ready++;
    pthread_cond_broadcast(&a->change);
    while (!a->go) pthread_cond_wait(&a->change, &a->lock);
    bool idle = a->idle;
    pthread_mutex_unlock(&a->lock);
    if (!idle) time_frames(w);
    return NULL;
}

/* ---- all sessions ------------------------------------------------------------------------------------------------ */

/* The caller runs the first session. Starts when all are warm. A thread that cannot be started stops the others before
 * their first frame. Returns how many were started. */
static int32_t run_all(shared *a, runner *w) {
    pthread_t thread[KF_MAX_THREADS];
    int32_t n = a->o->sessions, started = 1;
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->change, NULL);
    while (started < n && pthread_create(&thread[started], NULL, run_frames, &w[started]) == 0) started++;
    if (started == n) warm_up(&w[0]);
    pthread_mutex_lock(&a->lock);
    while (a->ready < started - 1) pthread_cond_wait(&a->change, &a->lock);
    a->start = kf__now_ms();
    a->go = true, a->idle = started < n;
    pthread_cond_broadcast(&a->change);
    pthread_mutex_unlock(&a->lock);
    if (started == n) time_frames(&w[0]);
    for (int32_t i = 1; i < started; i++) pthread_join(thread[i], NULL);
    pthread_cond_destroy(&a->change);
    pthread_mutex_destroy(&a->lock);
    return started;
}

static kf_status measure(shared *a, runner *w, int32_t *started, kf_error *err) {
    int32_t n = a->o->sessions;
    for (int32_t i = 0; i < n; i++) {
        w[i].all = a, w[i].caller = i == 0;
        KF_TRY(prepare(&w[i], err));
    }
    *started = run_all(a, w);
    if (*started < n)
        KF_FAIL(err, KF_ERR_MEMORY, "only %d of %d threads can be started, one a session; ask for %d", *started, n,
                *started);
    for (int32_t i = 0; i < n; i++) {
        if (w[i].status == KF_OK) continue;
        if (err) *err = w[i].err;
        return w[i].status;
    }
    return kf_bench_summarize(a->r, a->o->frames, &a->r->summary, err);
}

static void release(runner *w, int32_t n) {
    for (int32_t i = 0; w && i < n; i++) {
        kf_session_destroy(&w[i].s);
        free(w[i].in.data);
        free(w[i].out.data);
    }
    free(w);
}

kf_status kf__bench_run(const kf_model *m, const kf_bench_options *o, kf_bench_result *out, int32_t *started,
                        kf_error *err) {
    shared a = {.m = m, .o = o, .r = out, .warm_up = o->frames / o->sessions / 10 + 3};
    kf_model_info info = {.size = sizeof info};
    size_t frames = (size_t)o->frames;
    *out = (kf_bench_result){.size = sizeof *out, .sessions = o->sessions, .threads = o->threads, .frames = o->frames};
    *started = 0;
    KF_TRY(kf_model_get_info(m, &info, err));
    if (o->profile) out->n_steps = info.n_steps;
    size_t steps = (size_t)out->n_steps + 1;
    runner *w = calloc((size_t)o->sessions, sizeof *w);
    out->ms = malloc(frames * sizeof *out->ms), out->until = malloc(frames * sizeof *out->until);
    out->step_ms = calloc(steps, sizeof *out->step_ms), out->step_gmacs = calloc(steps, sizeof *out->step_gmacs);
    bool room = w && out->ms && out->until && out->step_ms && out->step_gmacs;
    kf_status st = KF_OK;
    if (!room) st = kf_error_set(err, KF_ERR_MEMORY, "out of memory for %d times; try fewer --frames", o->frames);
    if (st == KF_OK) st = measure(&a, w, started, err);
    release(w, o->sessions);
    if (st != KF_OK) kf_bench_free(out);
    return st;
}
