/* What a running step gets: the model, a session's memory and its threads; and how work is divided among threads.
 * Owner rule: borrows model and buffers for the call; allocates nothing. */
#ifndef KF_EXEC_H
#define KF_EXEC_H

#include "os/pool.h"
#include "runtime/model.h"

typedef struct kf__exec {
    const struct kf_model *m;
    unsigned char *base;    /* activation block, laid out by the plan */
    unsigned char *scratch; /* scratch_bytes for each worker */
    kf__pool *pool;         /* NULL: the caller's thread alone */
} kf__exec;

/** The elements of tensor `t`, of its own type. */
static inline void *kf__exec_tensor(const kf__exec *x, int32_t t) { return x->base + x->m->offset[t]; }

/** The part of `total` items that `worker` takes, in multiples of `grain`. */
static inline void kf__share(size_t total, size_t grain, int worker, int workers, size_t *from, size_t *to) {
    size_t units = (total + grain - 1) / grain, each = units / (size_t)workers, rest = units % (size_t)workers;
    size_t w = (size_t)worker, lo = w * each + (w < rest ? w : rest), hi = lo + each + (w < rest);
    *from = lo * grain < total ? lo * grain : total;
    *to = hi * grain < total ? hi * grain : total;
}

#endif
