/* Files and threads: atomic replacement, errors with paths, every worker does its share of every job, idle costs
 * nothing. Owner rule: each test frees what it makes and removes its files. */
#include <fenv.h>
#include <pthread.h>
#include <stdatomic.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "../temporary.h"
#include "base/fp.h"
#include "os/file.h"
#include "os/pool.h"

static void replace_and_map(void **state) {
    (void)state;
    char dir[200], path[256];
    kf__file map;
    kf_error err = {0};
    assert_non_null(temporary_folder(dir, sizeof dir, "kitfox-os"));
    snprintf(path, sizeof path, "%s/file", dir);
    assert_int_equal(kf__file_read(path, 100, &map, &err), KF_ERR_IO);
    assert_memory_equal(err.text, path, strlen(path));
    assert_int_equal(kf__file_replace(path, "first", 5, &err), KF_OK);
    assert_int_equal(kf__file_read(path, 100, &map, &err), KF_OK);
    assert_int_equal(kf__file_replace(path, "second!", 7, &err), KF_OK);
    assert_memory_equal(map.data, "first", 5); /* a reader keeps the old file */
    kf__file_free(&map);
    assert_int_equal(kf__file_read(path, 6, &map, &err), KF_ERR_LIMIT);
    assert_int_equal(kf__file_read(dir, 100, &map, &err), KF_ERR_IO);
    assert_int_equal(kf__file_replace(path, "", 0, &err), KF_OK);
    assert_int_equal(kf__file_read(path, 100, &map, &err), KF_OK);
    assert_int_equal(map.size, 0);
    kf__file_free(&map);
    assert_int_equal(kf__file_replace("/nonexistent/folder/x", "a", 1, &err), KF_ERR_IO);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0); /* fails if a temporary file was left */
}

typedef struct counts {
    long done[8];
    int workers;
} counts;

static void count(void *ctx, int worker, int workers) {
    counts *c = ctx;
    c->done[worker]++;
    if (worker == 0) c->workers = workers;
}

static void every_worker_once(void **state) {
    (void)state;
    for (int threads = 1; threads <= 4; threads++) {
        kf__pool *p;
        counts c = {{0}, 0};
        assert_int_equal(kf__pool_create(threads, NULL, &p, NULL), KF_OK);
        assert_int_equal(kf__pool_size(p), threads);
        for (int job = 1; job <= 500; job++) {
            kf__pool_run(p, count, &c);
            for (int w = 0; w < 8; w++) assert_int_equal(c.done[w], w < threads ? job : 0);
        }
        assert_int_equal(c.workers, threads);
        kf__pool_destroy(&p);
        assert_null(p);
    }
}

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
    (void)state;
    kf__pool *p;
    counts c = {{0}, 0};
    assert_int_equal(kf__pool_create(4, NULL, &p, NULL), KF_OK);
    kf__pool_run(p, count, &c);
    double ms = idle_ms();
    if (ms > 5) fail_msg("idle threads used %.1f ms of processor time in 300", ms);
    kf__pool_run(p, count, &c); /* and they wake up again */
    for (int w = 0; w < 4; w++) assert_int_equal(c.done[w], 2);
    kf__pool_destroy(&p);
}

/* What a caller may have left in the control register, beside a rounding mode: flushing, and on Arm the default NaN. */
#if defined(__aarch64__)
enum { CALLERS_BITS = KF_FP_FLUSH | 1 << 25 };
#else
enum { CALLERS_BITS = KF_FP_FLUSH };
#endif

typedef struct rounding {
    pthread_t caller;
    atomic_int helped, wrong;
} rounding;

/* Shares of the caller last long enough for the workers to come. */
static void note_rounding(void *ctx, int worker, int workers) {
    rounding *r = ctx;
    struct timespec nap = {0, 200000};
    (void)worker, (void)workers;
    if (!pthread_equal(pthread_self(), r->caller)) {
        atomic_fetch_add(&r->helped, 1);
        if (fegetround() != FE_TONEAREST || kf__fp_control() & CALLERS_BITS) atomic_fetch_add(&r->wrong, 1);
    }
    nanosleep(&nap, NULL);
}

static void workers_round_to_nearest(void **state) {
    (void)state;
    kf__pool *p;
    rounding r = {.caller = pthread_self()};
    uint64_t before = kf__fp_control();
    fesetround(FE_UPWARD);
    kf__fp_set_control(kf__fp_control() | CALLERS_BITS);
    assert_int_equal(kf__pool_create(3, NULL, &p, NULL), KF_OK);
    for (int job = 0; job < 2000 && atomic_load(&r.helped) < 20; job++) kf__pool_run(p, note_rounding, &r);
    kf__fp_set_control(before);
    fesetround(FE_TONEAREST);
    kf__pool_destroy(&p);
    assert_true(atomic_load(&r.helped) >= 20);
    assert_int_equal(atomic_load(&r.wrong), 0); /* the caller's own mode is the session's business */
}

/* In a child of fork: runs are whole and the pool can be destroyed, whatever its threads were doing. */
static int in_child(kf__pool *p) {
    counts c = {{0}, 0};
    alarm(120); /* a hang ends the child by a signal */
    for (int job = 1; job <= 300; job++) {
        kf__pool_run(p, count, &c);
        for (int w = 0; w < 4; w++)
            if (c.done[w] != job) return 1;
    }
    kf__pool_destroy(&p);
    return p ? 2 : 0;
}

static void forked_child_computes_alone(void **state) {
    (void)state;
    kf__pool *p;
    counts c = {{0}, 0};
    struct timespec nap = {0, 2000000};
    assert_int_equal(kf__pool_create(4, NULL, &p, NULL), KF_OK);
    for (int turn = 0; turn < 30; turn++) { /* workers asleep, spinning, or falling asleep */
        int how = 0;
        kf__pool_run(p, count, &c);
        nap.tv_nsec = turn % 3 * 100000;
        nanosleep(&nap, NULL);
        pid_t child = fork();
        if (child == 0) _exit(in_child(p));
        assert_int_equal(waitpid(child, &how, 0), child);
        assert_int_equal(how, 0);
        kf__pool_run(p, count, &c);
    }
    for (int w = 0; w < 4; w++) assert_int_equal(c.done[w], 60); /* the parent's threads go on */
    kf__pool_destroy(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(replace_and_map), cmocka_unit_test(every_worker_once),
                                       cmocka_unit_test(idle_sleeps), cmocka_unit_test(workers_round_to_nearest),
                                       cmocka_unit_test(forked_child_computes_alone)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
