/* Pools that sessions share: the same results to the bit, whoever has the threads at the moment; no deadlock; one pool
 * for many sessions, none for a session of one thread; idle pools; forked children.
 * Owner rule: each test frees what it makes. */
#include "program_builder.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "format/format.h"
#include "kitfox/kitfox.h"

enum { IMAGES = 40, SIDE = 192, CLASSES = 5 };

/* What every picture has to give. */
typedef struct truth {
    kf_model *model;
    float x[IMAGES][SIDE], y[IMAGES][CLASSES];
} truth;

static kf_status run(kf_session *s, float *x, float *y) {
    kf_tensor in = {.dtype = KF_F32, .rank = 4, .shape = {1, 3, 8, 8}, .data = x, .bytes = SIDE * sizeof(float)};
    kf_tensor out = {.dtype = KF_F32, .rank = 2, .shape = {1, CLASSES}, .data = y, .bytes = CLASSES * sizeof(float)};
    return kf_session_run(s, &in, 1, &out, 1, NULL);
}

static kf_session *make_session(const kf_model *m, kf_pool *pool, int32_t threads, const kf_allocator *a) {
    kf_session_options o;
    kf_session *s;
    kf_error err = {0};
    kf_session_options_init(&o);
    o.pool = pool, o.threads = threads, o.allocator = a;
    if (kf_session_create(m, &o, &s, &err) != KF_OK) fail_msg("%s", err.text);
    return s;
}

static kf_pool *make_pool(int32_t threads) {
    kf_pool *pool;
    kf_error err = {0};
    if (kf_pool_create(threads, NULL, &pool, &err) != KF_OK) fail_msg("%s", err.text);
    assert_int_equal(kf_pool_threads(pool, NULL), threads);
    return pool;
}

static int setup(void **state) {
    static truth t;
    kf__program *p = pb_small();
    kf__random r = {7};
    void *file;
    size_t bytes;
    assert_int_equal(kf__format_write(p, &file, &bytes, NULL), KF_OK);
    kf__program_destroy(&p);
    assert_int_equal(kf_model_load_memory(file, bytes, NULL, &t.model, NULL), KF_OK);
    kf__mem_free(NULL, file);
    kf_session *s = make_session(t.model, NULL, 1, NULL);
    for (int i = 0; i < IMAGES; i++) {
        for (int k = 0; k < SIDE; k++) t.x[i][k] = (float)(kf__random_unit(&r) * 4 - 2);
        assert_int_equal(run(s, t.x[i], t.y[i]), KF_OK);
    }
    kf_session_destroy(&s);
    *state = &t;
    return 0;
}

static int teardown(void **state) {
    kf_model_destroy(&((truth *)*state)->model);
    return 0;
}

/* Pictures whose scores differ from the truth. */
static int wrong_of(truth *t, kf_session *s) {
    int wrong = 0;
    for (int i = 0; i < IMAGES; i++) {
        float y[CLASSES];
        wrong += run(s, t->x[i], y) != KF_OK || memcmp(y, t->y[i], sizeof y) != 0;
    }
    return wrong;
}

/* ---- who has threads --------------------------------------------------------------------------------------------- */

static int threads_now(void) {
    int n = 0;
    DIR *d = opendir("/proc/self/task");
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

/* A thread that was joined may be listed for a moment still. */
static void threads_become(int want) {
    const struct timespec nap = {0, 1000000};
    for (int i = 0; i < 30000 && threads_now() != want; i++) nanosleep(&nap, NULL);
    assert_int_equal(threads_now(), want);
}

static void *count_alloc(void *user, size_t size, size_t align) {
    ++*(long *)user;
    return aligned_alloc(align, (size + align - 1) / align * align);
}

static void count_free(void *user, void *p) {
    (void)user;
    free(p);
}

static void one_pool_for_all(void **state) {
    truth *t = *state;
    kf_session *s[8];
    long blocks = 0;
    const kf_allocator a = {&blocks, count_alloc, count_free};
    kf_pool *pool = make_pool(2); /* sanitizers start a thread of their own beside the first */
    int before = threads_now() - 1;
    kf_pool_destroy(&pool);
    threads_become(before);
    s[0] = make_session(t->model, NULL, 1, &a);
    assert_int_equal(threads_now(), before);
    assert_int_equal(blocks, 2); /* the session and its activations: no pool */
    kf_session_destroy(&s[0]);
    s[0] = make_session(t->model, NULL, 2, &a);
    assert_int_equal(threads_now(), before + 1);
    assert_int_equal(blocks, 5);
    kf_session_destroy(&s[0]);
    threads_become(before);
    pool = make_pool(3);
    assert_int_equal(threads_now(), before + 2);
    for (int i = 0; i < 8; i++) s[i] = make_session(t->model, pool, i, &a);
    assert_int_equal(blocks, 5 + 2 * 8);
    assert_int_equal(threads_now(), before + 2);
    for (int i = 0; i < 8; i++) {
        int32_t wanted = 0;
        assert_int_equal(kf_session_threads(s[i], &wanted), 3);
        assert_int_equal(wanted, 3);
        assert_int_equal(wrong_of(t, s[i]), 0);
        kf_session_destroy(&s[i]);
    }
    assert_int_equal(kf_pool_threads(pool, NULL), 3); /* it outlives its sessions */
    kf_pool_destroy(&pool);
    assert_null(pool);
    threads_become(before);
}

static void arguments(void **state) {
    (void)state;
    kf_pool *pool = NULL;
    kf_error err = {0};
    int32_t wanted = 0;
    assert_int_equal(kf_pool_create(1, NULL, NULL, &err), KF_ERR_ARGUMENT);
    assert_int_equal(kf_pool_create(-1, NULL, &pool, &err), KF_ERR_ARGUMENT);
    assert_int_equal(kf_pool_create(65, NULL, &pool, &err), KF_ERR_ARGUMENT);
    assert_non_null(strstr(err.text, "64"));
    assert_int_equal(kf_pool_create(0, NULL, &pool, &err), KF_OK);
    assert_true(kf_pool_threads(pool, &wanted) >= 1 && wanted >= 1);
    kf_pool_destroy(&pool);
    kf_pool_destroy(&pool);
    kf_pool_destroy(NULL);
    assert_int_equal(kf_pool_threads(NULL, &wanted), 1);
    assert_int_equal(wanted, 1);
}

/* ---- several callers --------------------------------------------------------------------------------------------- */

typedef struct job {
    atomic_int done[8], parts;
} job;

static void count(void *user, int32_t part, int32_t parts) {
    job *j = user;
    atomic_fetch_add(&j->done[part], 1);
    atomic_store(&j->parts, parts);
}

typedef struct side {
    truth *t;
    kf_pool *pool;
    atomic_int wrong, ready, sides;
} side;

/* A session of its own beside plain jobs, all on one pool. */
static void *one_side(void *arg) {
    side *w = arg;
    kf_session *s = make_session(w->t->model, w->pool, 0, NULL);
    atomic_fetch_add(&w->ready, 1);
    while (atomic_load(&w->ready) < atomic_load(&w->sides)) sched_yield(); /* begin together */
    for (int turn = 0; turn < 3; turn++) {
        atomic_fetch_add(&w->wrong, wrong_of(w->t, s));
        for (int n = 0; n < 200; n++) {
            job j = {0};
            kf_pool_run(w->pool, count, &j);
            int parts = kf_pool_threads(w->pool, NULL);
            for (int k = 0; k < 8; k++) atomic_fetch_add(&w->wrong, atomic_load(&j.done[k]) != (k < parts));
        }
    }
    kf_session_destroy(&s);
    return NULL;
}

static void side_by_side(void **state) {
    for (int32_t threads = 1; threads <= 3; threads++) {
        side w = {.t = *state, .pool = make_pool(threads), .sides = 4};
        pthread_t id[4];
        for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&id[i], NULL, one_side, &w), 0);
        for (int i = 0; i < 4; i++) pthread_join(id[i], NULL);
        assert_int_equal(atomic_load(&w.wrong), 0);
        kf_pool_destroy(&w.pool);
    }
}

typedef struct nested {
    truth *t;
    kf_pool *pool;
    kf_session *s[3];
    atomic_int wrong;
} nested;

/* A part of a job that runs a session, and another job, on the pool that works on it. */
static void run_within(void *user, int32_t part, int32_t parts) {
    nested *n = user;
    job j = {0};
    atomic_fetch_add(&n->wrong, wrong_of(n->t, n->s[part]));
    kf_pool_run(n->pool, count, &j);
    for (int k = 0; k < parts; k++) atomic_fetch_add(&n->wrong, atomic_load(&j.done[k]) != 1);
}

static void within_a_part(void **state) {
    nested n = {.t = *state, .pool = make_pool(3)};
    alarm(120); /* a deadlock ends the test by a signal */
    for (int i = 0; i < 3; i++) n.s[i] = make_session(n.t->model, n.pool, 0, NULL);
    for (int turn = 0; turn < 5; turn++) kf_pool_run(n.pool, run_within, &n);
    job j = {0};
    kf_pool_run(n.pool, count, &j); /* the pool is free again */
    assert_int_equal(atomic_load(&j.parts), 3);
    kf_pool_run(NULL, count, &j);
    assert_int_equal(atomic_load(&j.parts), 1);
    alarm(0);
    assert_int_equal(atomic_load(&n.wrong), 0);
    for (int i = 0; i < 3; i++) kf_session_destroy(&n.s[i]);
    kf_pool_destroy(&n.pool);
}

/* Two parts that wait for each other end only if two threads have them. */
typedef struct meeting {
    atomic_int came;
    atomic_bool met;
} meeting;

static void meet(void *user, int32_t part, int32_t parts) {
    meeting *m = user;
    struct timespec nap = {0, 100000};
    (void)part;
    atomic_fetch_add(&m->came, 1);
    for (int i = 0; i < 300000 && atomic_load(&m->came) < parts; i++) nanosleep(&nap, NULL);
    if (atomic_load(&m->came) == parts) atomic_store(&m->met, true);
}

/* After many callers at once its threads still help. */
static void threads_still_help(void **state) {
    side w = {.t = *state, .pool = make_pool(2), .sides = 3};
    pthread_t id[3];
    for (int i = 0; i < 3; i++) assert_int_equal(pthread_create(&id[i], NULL, one_side, &w), 0);
    for (int i = 0; i < 3; i++) pthread_join(id[i], NULL);
    meeting m = {0};
    kf_pool_run(w.pool, meet, &m);
    assert_true(atomic_load(&m.met));
    kf_pool_destroy(&w.pool);
}

/* ---- idle, forked ------------------------------------------------------------------------------------------------ */

/* Milliseconds of processor time that this process uses in 300 while it sleeps: the least of some windows. Threads that
 * another process kept from falling asleep do so in the first ones. */
static double idle_ms(void) {
    const struct timespec rest = {0, 300000000};
    struct timespec a, b;
    double least = 300;
    for (int window = 0; window < 20 && least > 5; window++) {
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
        nanosleep(&rest, NULL);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
        double ms = (double)(b.tv_sec - a.tv_sec) * 1e3 + (double)(b.tv_nsec - a.tv_nsec) * 1e-6;
        if (ms < least) least = ms;
    }
    return least;
}

static void idle_sleeps(void **state) {
    truth *t = *state;
    kf_pool *pool = make_pool(4);
    kf_session *s[8];
    for (int i = 0; i < 8; i++) {
        s[i] = make_session(t->model, pool, 0, NULL);
        assert_int_equal(wrong_of(t, s[i]), 0);
    }
    double ms = idle_ms();
    if (ms > 5) fail_msg("an idle pool used %.1f ms of processor time in 300", ms);
    for (int i = 0; i < 8; i++) kf_session_destroy(&s[i]);
    kf_pool_destroy(&pool);
}

static int in_child(truth *t, kf_pool *pool, kf_session *s) {
    job j = {0};
    alarm(120); /* a hang ends the child by a signal */
    if (wrong_of(t, s)) return 1;
    kf_pool_run(pool, count, &j);
    for (int k = 0; k < 3; k++)
        if (atomic_load(&j.done[k]) != 1) return 2;
    kf_session_destroy(&s);
    kf_pool_destroy(&pool);
    return s || pool ? 3 : 0;
}

static void *keep_busy(void *arg) {
    side *w = arg;
    kf_session *s = make_session(w->t->model, w->pool, 0, NULL);
    atomic_store(&w->ready, 1);
    while (atomic_load(&w->ready) < 2) atomic_fetch_add(&w->wrong, wrong_of(w->t, s));
    kf_session_destroy(&s);
    return NULL;
}

/* While another thread of the parent is in the middle of a job, or between two. */
static void forked(void **state) {
    side w = {.t = *state, .pool = make_pool(3)};
    kf_session *s = make_session(w.t->model, w.pool, 0, NULL);
    pthread_t id;
    assert_int_equal(pthread_create(&id, NULL, keep_busy, &w), 0);
    while (atomic_load(&w.ready) < 1) sched_yield();
    for (int turn = 0; turn < 10; turn++) {
        int how = 0;
        pid_t child = fork();
        if (child == 0) _exit(in_child(w.t, w.pool, s));
        assert_int_equal(waitpid(child, &how, 0), child);
        assert_int_equal(how, 0);
    }
    atomic_store(&w.ready, 2);
    pthread_join(id, NULL);
    assert_int_equal(wrong_of(w.t, s), 0); /* the parent's threads go on */
    assert_int_equal(atomic_load(&w.wrong), 0);
    kf_session_destroy(&s);
    kf_pool_destroy(&w.pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_pool_for_all),   cmocka_unit_test(arguments),   cmocka_unit_test(side_by_side),
        cmocka_unit_test(within_a_part),      cmocka_unit_test(idle_sleeps), cmocka_unit_test(forked),
        cmocka_unit_test(threads_still_help),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
