/* Timing: sessions side by side over one model, frames handed out one at a time.
 * The picture is synthetic, since time does not depend on it.
 * Owner rule: see bench.h. */
#include "kitfox/bench.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

typedef struct shared {
    const kf_model *m;
    bench_result *r;
    atomic_int next;
    int warm_up, ready; /* `ready`, `go` and `stop` under the lock */
    bool go, stop;
    double start;
    pthread_mutex_t lock;
    pthread_cond_t change;
} shared;

typedef struct runner {
    shared *all;
    kf_session *s;
    kf_tensor in, out;
    kf_status status;
    kf_error err;
} runner;

static kf_status prepare(runner *w, kf_error *err) {
    kf_status st = kf_model_input(w->all->m, 0, &w->in, err);
    if (st == KF_OK) st = kf_model_output(w->all->m, 0, &w->out, err);
    if (st != KF_OK) return st;
    w->in.data = calloc(1, w->in.bytes), w->out.data = malloc(w->out.bytes);
    int64_t *s = w->in.shape;
    if (w->in.dtype == KF_U8 && w->in.rank == 4)
        memcpy(s, (int64_t[4]){s[0], s[2], s[3], s[1]}, 4 * sizeof *s); /* bytes as decoders leave them */
    if (!w->in.data || !w->out.data)
        return cli_error(err, KF_ERR_MEMORY, "out of memory for %zu bytes of input and output; close other programs",
                         w->in.bytes + w->out.bytes);
    for (size_t i = 0; w->in.dtype == KF_F32 && i < w->in.bytes / sizeof(float); i++)
        ((float *)w->in.data)[i] = (float)((i * 2654435761u >> 16 & 255) / 64.0 - 2.0);
    for (size_t i = 0; w->in.dtype == KF_U8 && i < w->in.bytes; i++)
        ((uint8_t *)w->in.data)[i] = (uint8_t)(i * 2654435761u >> 16);
    return KF_OK;
}

/* Outside the timed window. The smallest of many: one run's times hold whatever else the machine did. */
static void note_steps(bench_result *r, const kf_session *s) {
    kf_step_info t = {.size = sizeof t};
    for (int i = 0; i < r->n_steps && kf_session_step(s, i, &t, NULL) == KF_OK; i++)
        if (r->step_ms[i] == 0 || t.ms < r->step_ms[i]) r->step_ms[i] = t.ms;
}

static void warm_up(runner *w) {
    for (int i = 0; w->status == KF_OK && i < w->all->warm_up; i++)
        w->status = kf_session_run(w->s, &w->in, 1, &w->out, 1, &w->err);
}

static void time_frames(runner *w) {
    shared *a = w->all;
    for (int i; w->status == KF_OK && (i = atomic_fetch_add(&a->next, 1)) < a->r->frames;) {
        double begun = cli_now_ms();
        w->status = kf_session_run(w->s, &w->in, 1, &w->out, 1, &w->err);
        double ended = cli_now_ms();
        a->r->ms[i] = ended - begun, a->r->until[i] = ended - a->start;
        note_steps(a->r, w->s);
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
    bool stop = a->stop;
    pthread_mutex_unlock(&a->lock);
    if (!stop) time_frames(w);
    return NULL;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static kf_status summarize(bench_result *r, kf_error *err) {
    size_t bytes = (size_t)r->frames * sizeof(double);
    double *sorted = malloc(bytes);
    if (!sorted) return cli_error(err, KF_ERR_MEMORY, "out of memory for %d times; try fewer --frames", r->frames);
    memcpy(sorted, r->ms, bytes);
    qsort(sorted, (size_t)r->frames, sizeof *sorted, by_value);
    for (int i = 0; i < r->frames; i++) {
        r->total += r->ms[i];
        if (r->until[i] > r->wall) r->wall = r->until[i];
    }
    r->lowest = sorted[0], r->median = sorted[r->frames / 2], r->p90 = sorted[r->frames * 9 / 10],
    r->mean = r->total / r->frames;
    free(sorted);
    return KF_OK;
}

/* The caller runs the first session. Starts when all are warm. A thread that cannot be started stops the others before
 * their first frame. */
static kf_status run_all(shared *a, runner *w, kf_error *err) {
    pthread_t thread[BENCH_MAX];
    int n = a->r->sessions, started = 1;
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->change, NULL);
    while (started < n && pthread_create(&thread[started], NULL, run_frames, &w[started]) == 0) started++;
    a->r->started = started;
    if (started == n) warm_up(&w[0]);
    pthread_mutex_lock(&a->lock);
    while (a->ready < started - 1) pthread_cond_wait(&a->change, &a->lock);
    a->start = cli_now_ms();
    a->go = true, a->stop = started < n;
    pthread_cond_broadcast(&a->change);
    pthread_mutex_unlock(&a->lock);
    if (started == n) time_frames(&w[0]);
    for (int i = 1; i < started; i++) pthread_join(thread[i], NULL);
    pthread_cond_destroy(&a->change);
    pthread_mutex_destroy(&a->lock);
    if (started < n)
        return cli_error(err, KF_ERR_MEMORY, "only %d of %d threads can be started, one a session; ask for %d", started,
                         n, started);
    for (int i = 0; i < n; i++)
        if (w[i].status != KF_OK) return cli_error(err, w[i].status, "%s", w[i].err.text);
    return KF_OK;
}

/* Fewer threads than the figures are said to be of would be a wrong measurement. */
static kf_status session(const kf_model *m, const kf_session_options *o, kf_session **out, kf_error *err) {
    kf_status st = kf_session_create(m, o, out, err);
    int32_t wanted, started = st == KF_OK ? kf_session_threads(*out, &wanted) : 0;
    if (st == KF_OK && started < wanted)
        st = cli_error(err, KF_ERR_MEMORY, "only %d of %d threads can be started; ask for --threads %d", started,
                       wanted, started);
    return st;
}

kf_status bench_run(const kf_model *m, int sessions, int threads, int frames, bool profile, bench_result *out,
                    kf_error *err) {
    *out = (bench_result){.sessions = sessions, .threads = threads, .frames = frames};
    shared a = {.m = m, .r = out, .warm_up = frames / sessions / 10 + 3};
    runner *w = calloc((size_t)sessions, sizeof *w);
    kf_session_options so;
    kf_session_options_init(&so);
    so.threads = threads;
    so.profile = profile;
    out->ms = malloc((size_t)frames * sizeof *out->ms), out->until = malloc((size_t)frames * sizeof *out->until);
    kf_model_info info = {.size = sizeof info};
    kf_model_get_info(m, &info);
    out->n_steps = profile ? info.n_steps : 0;
    out->step_ms = calloc((size_t)out->n_steps + 1, sizeof *out->step_ms);
    kf_status st = w && out->ms && out->until && out->step_ms
                       ? KF_OK
                       : cli_error(err, KF_ERR_MEMORY, "out of memory for %d times; try fewer --frames", frames);
    for (int i = 0; st == KF_OK && i < sessions; i++) {
        w[i].all = &a;
        st = session(m, &so, &out->session[i], err);
        w[i].s = out->session[i];
        if (st == KF_OK) st = prepare(&w[i], err);
    }
    if (st == KF_OK) st = run_all(&a, w, err);
    if (st == KF_OK) st = summarize(out, err);
    for (int i = 0; w && i < sessions; i++) free(w[i].in.data), free(w[i].out.data);
    free(w);
    if (st != KF_OK) bench_close(out);
    return st;
}

void bench_close(bench_result *r) {
    for (int i = 0; i < r->sessions; i++) kf_session_destroy(&r->session[i]);
    free(r->ms);
    free(r->until);
    free(r->step_ms);
    *r = (bench_result){.started = r->started};
}
