/* Fork-join over a fixed set of threads: the caller is worker 0.
 * Owner rule: a pool is used by one thread at a time, unless it is shared (kf__pool_share). */
#ifndef KF_POOL_H
#define KF_POOL_H

#include "base/base.h"

typedef struct kf_pool kf__pool; /* kf_pool of the public header */

/** A pool of `threads` >= 1 workers, the caller included, and at most 64. Where the system starts no more threads, it
 * has as many as there are. MEMORY: not even the pool. A child of fork has none of the threads: there the caller does
 * every share, and kf__pool_destroy frees without joining. */
kf_status kf__pool_create(int threads, const kf_allocator *a, kf__pool **out, kf_error *err);
void kf__pool_destroy(kf__pool **pool);
/** From now on any number of threads may call kf__pool_run at once, parts of a running job too. */
void kf__pool_share(kf__pool *pool);
/** Workers that there are. A pool that is NULL has one, the caller. */
int kf__pool_size(const kf__pool *pool);
/** Workers that were asked for. */
int kf__pool_wanted(const kf__pool *pool);
/** Run fn for every share and wait for all. Allocates nothing. Workers spin for some microseconds for the next job,
 * then sleep. Where a shared pool works for another caller already, this one does all its shares itself. */
void kf__pool_run(kf__pool *pool, kf_pool_fn fn, void *ctx);
/** Monotonic seconds. */
double kf__clock_seconds(void);

#endif
