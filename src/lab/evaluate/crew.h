/* A parallel loop: threads take one item at a time. Each thread has a state of its own (one or two sessions).
 * Owner rule: borrows everything for one call; a state is closed by the thread that opened it. */
#ifndef KITFOX_LAB_CREW_H
#define KITFOX_LAB_CREW_H

#include "kitfox/lab.h"

typedef struct kf__crew {
    size_t n;        /* items */
    int32_t threads; /* the caller's is one of them; 0: every core. At most 64, and at most one an item */
    kf_status (*open)(void *ctx, void **state, kf_error *err);
    void (*close)(void *state); /* also after a failed `open`; NULL is accepted */
    kf_status (*one)(void *ctx, void *state, size_t i, kf_error *err);
    void *ctx;
    int (*progress)(void *user, size_t done, size_t total); /* from the calling thread; NULL: none */
    size_t before, total;                                   /* for it: items of earlier crews, and of all; total 0: n */
    void (*fewer_threads)(void *user, int32_t started, int32_t wanted);
    void *user;
} kf__crew;

/** Process all items, in any order. The first failure stops the others and is returned. CANCELLED: `progress` returned
 * non-zero. */
kf_status kf__crew_run(const kf__crew *crew, kf_error *err);

#endif
