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

/** Run step `index`. Its inputs have been computed. */
void kf__exec_step(const kf__exec *x, int32_t index);

#endif
