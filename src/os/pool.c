/* Thread pool: a job has as many parts as the pool has threads; whoever is awake takes the next part. The caller takes
 * part too, so it waits only for parts that have been begun: a worker that sleeps or has lost its processor costs
 * nothing but its help. A shared pool works for one caller at a time. A caller who finds it busy takes all parts of its
 * job itself: nobody waits for another caller, so nothing can deadlock, and every core has work.
 * Owner rule: the pool owns its threads and joins them when destroyed; in a forked child there are none to join. */
#include "os/pool.h"

#include <fenv.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "base/fp.h"

/* About 20 to 50 microseconds: longer than the gap between two steps of one image, far shorter than between frames. */
enum { SPINS = 2000 };

/* A ticket is the number of the job and the number of its parts that have been taken, in one word: so nobody can take a
 * part of a job that has ended. */
enum { PART_BITS = 8 };
static inline unsigned part_of(uint64_t ticket) { return (unsigned)(ticket & ((1u << PART_BITS) - 1)); }
static inline uint64_t job_of(uint64_t ticket) { return ticket >> PART_BITS; }

struct kf_pool {
    const kf_allocator *allocator;
    int threads, wanted;
    bool shared;   /* several callers may come at once */
    pid_t process; /* that the threads live in: fork copies the pool without them */
    _Atomic uint64_t ticket;
    atomic_int pending; /* parts not yet done */
    atomic_int sleepers;
    atomic_bool stop;
    atomic_bool busy; /* of a shared pool: the threads work for one caller */
    kf_pool_fn fn;    /* written before the ticket, read after a part was taken */
    void *ctx;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    pthread_t workers[KF_MAX_THREADS];
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

/* Take parts of the current job until none is left. */
static void take_part(kf__pool *p) {
    uint64_t ticket = atomic_load_explicit(&p->ticket, memory_order_acquire);
    while (part_of(ticket) < (unsigned)p->threads) {
        if (!atomic_compare_exchange_weak_explicit(&p->ticket, &ticket, ticket + 1, memory_order_acq_rel,
                                                   memory_order_acquire))
            continue;
        p->fn(p->ctx, (int)part_of(ticket), p->threads);
        atomic_fetch_sub_explicit(&p->pending, 1, memory_order_release);
        ticket = atomic_load_explicit(&p->ticket, memory_order_acquire);
    }
}

static void wait_for_job(kf__pool *p, uint64_t seen) {
    for (int i = 0; i < SPINS; i++) {
        if (job_of(atomic_load_explicit(&p->ticket, memory_order_acquire)) != seen) return;
        relax();
    }
    pthread_mutex_lock(&p->mutex);
    atomic_fetch_add(&p->sleepers, 1);
    while (job_of(atomic_load(&p->ticket)) == seen) pthread_cond_wait(&p->wake, &p->mutex);
    atomic_fetch_sub(&p->sleepers, 1);
    pthread_mutex_unlock(&p->mutex);
}

static void *worker_main(void *arg) {
    kf__pool *p = arg;
    /* A thread inherits its creator's rounding mode and flush flags. The default environment of glibc keeps bits of
     * FPCR that were reserved once; they matter. */
    fesetenv(FE_DFL_ENV);
    kf__fp_enter();
    for (uint64_t seen = 0; !atomic_load(&p->stop);) {
        wait_for_job(p, seen);
        seen = job_of(atomic_load_explicit(&p->ticket, memory_order_acquire));
        if (!atomic_load(&p->stop)) take_part(p);
    }
    return NULL;
}

/* The next job, of which `taken` parts are gone already. */
static void announce(kf__pool *p, unsigned taken) {
    uint64_t next = (job_of(atomic_load(&p->ticket)) + 1) << PART_BITS | taken;
    atomic_store(&p->ticket, next);
    if (atomic_load(&p->sleepers) == 0) return; /* spinning workers see the ticket */
    if (getpid() != p->process) {
        /* The lock and the sleepers stayed behind in the parent, which may have held the one and counts the others. */
        atomic_store(&p->sleepers, 0);
        return;
    }
    pthread_mutex_lock(&p->mutex);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->mutex);
}

void kf__pool_run(kf__pool *p, kf_pool_fn fn, void *ctx) {
    int parts = kf__pool_size(p);
    if (parts == 1 || (p->shared && atomic_exchange_explicit(&p->busy, true, memory_order_acquire))) {
        for (int part = 0; part < parts; part++) fn(ctx, part, parts);
        return;
    }
    p->fn = fn;
    p->ctx = ctx;
    atomic_store(&p->pending, p->threads);
    announce(p, 0);
    take_part(p);
    for (int i = 0; atomic_load_explicit(&p->pending, memory_order_acquire) > 0; i++) {
        relax();
        if (i > SPINS) sched_yield(); /* a worker lost its processor in the middle of a part: give ours away */
    }
    if (p->shared) atomic_store_explicit(&p->busy, false, memory_order_release);
}

kf_status kf__pool_create(int threads, const kf_allocator *a, kf__pool **out, kf_error *err) {
    kf__pool *p = kf__mem_zalloc(a, sizeof *p);
    *out = NULL;
    if (!p) KF_FAIL_MEMORY(err, sizeof *p);
    p->allocator = a;
    p->threads = 1;
    p->process = getpid();
    pthread_mutex_init(&p->mutex, NULL);
    pthread_cond_init(&p->wake, NULL);
    *out = p;
    if (threads > KF_MAX_THREADS) threads = KF_MAX_THREADS;
    p->wanted = threads;
    atomic_store(&p->ticket, (uint64_t)KF_MAX_THREADS); /* no part of job 0 is left */
    while (p->threads < threads && pthread_create(&p->workers[p->threads], NULL, worker_main, p) == 0) p->threads++;
    return KF_OK;
}

void kf__pool_destroy(kf__pool **pool) {
    if (!pool || !*pool) return;
    kf__pool *p = *pool;
    if (getpid() == p->process) {
        atomic_store(&p->stop, true);
        announce(p, KF_MAX_THREADS);
        pthread_mutex_lock(&p->mutex);
        pthread_cond_broadcast(&p->wake);
        pthread_mutex_unlock(&p->mutex);
        for (int i = 1; i < p->threads; i++) pthread_join(p->workers[i], NULL);
        pthread_mutex_destroy(&p->mutex);
        pthread_cond_destroy(&p->wake);
    }
    kf__mem_free(p->allocator, p);
    *pool = NULL;
}

void kf__pool_share(kf__pool *pool) { pool->shared = true; }
int kf__pool_size(const kf__pool *pool) { return pool ? pool->threads : 1; }
int kf__pool_wanted(const kf__pool *pool) { return pool ? pool->wanted : 1; }
