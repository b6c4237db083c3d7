/* Simulates a machine that fails on request; loaded before the program (LD_PRELOAD) by test_machine.py:
 * MACHINE_THREADS=n starts the first n threads and refuses the others; MACHINE_MALLOC=n refuses the n-th allocation
 * after the start, and that alone. Owner rule: the counters live as long as the process. */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

#define SHOWN __attribute__((visibility("default")))

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);

SHOWN int pthread_create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
SHOWN void *malloc(size_t);
SHOWN void *calloc(size_t, size_t);
SHOWN void *realloc(void *, size_t);
SHOWN void *aligned_alloc(size_t, size_t);

static atomic_long threads, allocations = -1; /* below 0: nothing fails */

__attribute__((constructor)) static void begin(void) {
    const char *t = getenv("MACHINE_THREADS"), *m = getenv("MACHINE_MALLOC");
    atomic_store(&threads, t ? atol(t) : 1000000);
    atomic_store(&allocations, m ? atol(m) : -1);
}

static int refused(void) {
    if (atomic_load(&allocations) < 0 || atomic_fetch_sub(&allocations, 1) != 0) return 0;
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t n) { return refused() ? NULL : __libc_malloc(n); }
void *calloc(size_t n, size_t s) { return refused() ? NULL : __libc_calloc(n, s); }
void *realloc(void *p, size_t n) { return refused() ? NULL : __libc_realloc(p, n); }
void *aligned_alloc(size_t a, size_t n) { return refused() ? NULL : __libc_memalign(a, n); }

int pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*f)(void *), void *x) {
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
    return atomic_fetch_sub(&threads, 1) <= 0 ? EAGAIN : real(t, a, f, x);
}
