/* Executing one step on the threads of a session.
 * Floor 5.
 * Owner rule: borrows model and buffers for the call; allocates nothing. */
#ifndef KF_EXEC_H
#define KF_EXEC_H

#include "os/pool.h"
#include "runtime/model.h"

typedef struct kf__exec {
    const struct kf_model *m;
    unsigned char *base;    /* activation block, laid out by the plan */
    unsigned char *scratch; /* scratch_bytes for each worker */
    kf__pool *pool;
} kf__exec;

static inline float *kf__exec_tensor(const kf__exec *x, int32_t t) { return (float *)(void *)(x->base + x->m->offset[t]); }

/** Share `worker` of `total` items in multiples of `grain`. */
static inline void kf__share(size_t total, size_t grain, int worker, int workers, size_t *from, size_t *to) {
    size_t units = (total + grain - 1) / grain, each = units / (size_t)workers, rest = units % (size_t)workers, w = (size_t)worker;
    size_t lo = w * each + (w < rest ? w : rest), hi = lo + each + (w < rest);
    *from = lo * grain < total ? lo * grain : total;
    *to = hi * grain < total ? hi * grain : total;
}

/** The same for a step that reads or writes a quantized tensor (exec_int.c). */
void kf__exec_step_int(const kf__exec *x, int32_t index);
/** Run step `index`. Its inputs have been computed. */
void kf__exec_step(const kf__exec *x, int32_t index);
/** Run the steps `index` and `index` + 1, which kf__steps_join; the tensor between them is not written. */
void kf__exec_pair(const kf__exec *x, int32_t index);

#endif
