/* Thread pool: a generation counter announces a job, a countdown ends it; waiting spins shortly, then sleeps.
 * Floor 2.
 * Owner rule: the pool owns its threads and joins them when destroyed. */
#include "os/pool.h"

#include <fenv.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

/* About 20 to 50 microseconds: longer than the gap between two steps of one image, far shorter than between frames. */
enum { SPINS = 2000 };

struct kf__pool {
    const kf_allocator *allocator;
    int threads;
    atomic_uint generation;
    atomic_int pending;
    atomic_int sleepers;
    bool stop; /* written under the mutex before the generation changes */
    kf__pool_fn *fn;
    void *ctx;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    struct worker {
        kf__pool *pool;
        pthread_t thread;
        int index;
    } workers[64];
};

double kf__clock_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static inline void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    __asm__ volatile("" ::: "memory");
#endif
}

static void wait_for_job(kf__pool *p, unsigned seen) {
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&p->generation, memory_order_acquire) != seen) return;
        relax();
    }
    pthread_mutex_lock(&p->mutex);
    atomic_fetch_add(&p->sleepers, 1);
    while (atomic_load(&p->generation) == seen) pthread_cond_wait(&p->wake, &p->mutex);
    atomic_fetch_sub(&p->sleepers, 1);
    pthread_mutex_unlock(&p->mutex);
}

static void *worker_main(void *arg) {
    struct worker *w = arg;
    kf__pool *p = w->pool;
    fesetenv(FE_DFL_ENV); /* a thread inherits its creator's rounding mode and flush flags */
    for (unsigned seen = 0;; seen++) {
        wait_for_job(p, seen);
        if (p->stop) return NULL;
        p->fn(p->ctx, w->index, p->threads);
        atomic_fetch_sub_explicit(&p->pending, 1, memory_order_release);
    }
}

static void announce(kf__pool *p) {
    atomic_fetch_add(&p->generation, 1);
    if (atomic_load(&p->sleepers) == 0) return; /* spinning workers see the counter */
    pthread_mutex_lock(&p->mutex);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->mutex);
}

void kf__pool_run(kf__pool *p, kf__pool_fn *fn, void *ctx) {
    if (p->threads == 1) {
        fn(ctx, 0, 1);
        return;
    }
    p->fn = fn;
    p->ctx = ctx;
    atomic_store(&p->pending, p->threads - 1);
    announce(p);
    fn(ctx, 0, p->threads);
    for (int i = 0; atomic_load_explicit(&p->pending, memory_order_acquire) > 0; i++) {
        relax();
        if (i > SPINS) { /* a worker lost its processor: give ours away */
            struct timespec nap = {0, 20000};
            nanosleep(&nap, NULL);
        }
    }
}

kf_status kf__pool_create(int threads, const kf_allocator *a, kf__pool **out, kf_error *err) {
    kf__pool *p = kf__mem_zalloc(a, sizeof *p);
    *out = NULL;
    if (!p) KF_FAIL_MEMORY(err, sizeof *p);
    p->allocator = a;
    p->threads = 1;
    pthread_mutex_init(&p->mutex, NULL);
    pthread_cond_init(&p->wake, NULL);
    *out = p;
    if (threads > 64) threads = 64;
    for (int i = 1; i < threads; i++) {
        p->workers[i] = (struct worker){.pool = p, .index = i};
        if (pthread_create(&p->workers[i].thread, NULL, worker_main, &p->workers[i]) != 0) {
            kf__pool_destroy(out);
            KF_FAIL(err, KF_ERR_MEMORY, "cannot start thread %d of %d; fewer threads may work", i, threads);
        }
        p->threads = i + 1;
    }
    return KF_OK;
}

void kf__pool_destroy(kf__pool **pool) {
    if (!pool || !*pool) return;
    kf__pool *p = *pool;
    p->stop = true;
    announce(p);
    pthread_mutex_lock(&p->mutex);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->mutex);
    for (int i = 1; i < p->threads; i++) pthread_join(p->workers[i].thread, NULL);
    pthread_mutex_destroy(&p->mutex);
    pthread_cond_destroy(&p->wake);
    kf__mem_free(p->allocator, p);
    *pool = NULL;
}

int kf__pool_size(const kf__pool *pool) { return pool->threads; }
