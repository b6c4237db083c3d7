/* The allocator that fails on request, and the sweep over its failures.
 * Two kinds: from the n-th allocation on, as on a full machine, and the n-th alone, as under a limit that others share.
 * Owner rule: see oom.h. */
#include "oom.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
void __libc_free(void *);

/* Visible, so that the shared parsers call these too. */
#pragma GCC visibility push(default)
void *malloc(size_t);
void *calloc(size_t, size_t);
void *aligned_alloc(size_t, size_t);
void *memalign(size_t, size_t);
int posix_memalign(void **, size_t, size_t);
void *realloc(void *, size_t);
void free(void *);
#pragma GCC visibility pop

static long countdown = -1; /* allocations until the failing one; -1: never */
static int lasting, failed; /* do all later ones fail too; was one refused */
static long live, asked;

static int fails_now(void) {
    asked++;
    if (countdown < 0) return 0;
    if (countdown-- > 0) return 0;
    countdown = lasting ? 0 : -1;
    failed = 1;
    errno = ENOMEM;
    return 1;
}

static void *counted(void *p) {
    live += p != NULL;
    return p;
}

void *malloc(size_t n) { return fails_now() ? NULL : counted(__libc_malloc(n)); }
void *calloc(size_t n, size_t s) { return fails_now() ? NULL : counted(__libc_calloc(n, s)); }
void *aligned_alloc(size_t a, size_t n) { return fails_now() ? NULL : counted(__libc_memalign(a, n)); }
void *memalign(size_t a, size_t n) { return aligned_alloc(a, n); }
int posix_memalign(void **out, size_t a, size_t n) {
    void *p = aligned_alloc(a, n);
    if (!p) return ENOMEM;
    *out = p;
    return 0;
}
void *realloc(void *p, size_t n) {
    if (fails_now()) return NULL;
    void *q = __libc_realloc(p, n);
    live += p == NULL && q != NULL;
    return q;
}
void free(void *p) {
    live -= p != NULL;
    __libc_free(p);
}

unsigned char *oom_slurp(const char *path, size_t *n) {
    FILE *f = fopen(path, "rb");
    unsigned char *d = malloc(1 << 21);
    if (!f || !d) {
        fprintf(stderr, "%s is missing\n", path);
        exit(1);
    }
    *n = fread(d, 1, 1 << 21, f);
    fclose(f);
    return d;
}

/* One round; 1 when it was bad. */
static int round_of(const oom_case *c, fixture *f, long n, long *allocations) {
    kf_error err = {KF_OK, ""};
    long before = live, asked_before = asked;
    const char *how = lasting ? "and all later ones fail" : "fails";
    countdown = n, failed = 0;
    kf_status st = c->call(f, &err);
    countdown = -1;
    *allocations = asked - asked_before;
    if (live != before)
        return printf("FAIL  %s: %ld blocks leaked when allocation %ld %s\n", c->name, live - before, n, how), 1;
    if (st == KF_OK && failed && c->memory == OOM_ANY)
        return printf("FAIL  %s: goes on when allocation %ld %s\n", c->name, n, how), 1;
    if (st == KF_OK) return 0;
    if (!failed) return printf("FAIL  %s: %s although nothing failed: %s\n", c->name, kf_status_name(st), err.text), 1;
    if (st == KF_ERR_IO && strstr(err.text, strerror(ENOMEM)))
        return 0; /* the system's own word for it, where a file is opened */
    if (st != KF_ERR_MEMORY)
        return printf("FAIL  %s: %s when allocation %ld %s: %s\n", c->name, kf_status_name(st), n, how, err.text), 1;
    if (!err.text[0] || err.status != st)
        return printf("FAIL  %s: no text, or another status in it, when allocation %ld %s\n", c->name, n, how), 1;
    return 0;
}

int oom_sweep(const oom_case *c, fixture *f, int all) {
    long allocations = 0, rounds = 0, ignored;
    int bad = round_of(c, f, -1, &allocations); /* what comes up once, in libraries too, does not count */
    bad += round_of(c, f, -1, &allocations);
    if ((c->memory != OOM_NONE) != (allocations > 0))
        return printf("FAIL  %s: %ld allocations\n", c->name, allocations), 1;
    for (lasting = 1; lasting >= (c->memory == OOM_JSON) && bad < 3; lasting--)
        for (long n = 0, step = 1; n < allocations && bad < 3; n += step, rounds++) {
            if (n >= 200 && !all) step = allocations / 60 + 1;
            bad += round_of(c, f, n, &ignored);
        }
    if (!bad) printf("ok    %s: %ld allocations, %ld failures\n", c->name, allocations, rounds);
    return bad;
}
