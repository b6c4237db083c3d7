/* Fences around the tensors and the scratch of a session's block, in builds with AddressSanitizer. A tensor ends at its
 * last byte: the rest of its cache line and the redzone after it stay closed.
 * Owner rule: see fence.h. */
#include "runtime/fence.h"

#if defined(KF_REDZONES)
void kf__fence_open(const kf__exec *x, int32_t t) {
    const kf__ptensor *p = &x->m->p->tensors[t];
    kf__redzone_open(kf__exec_tensor(x, t), kf__ptensor_count(p) * kf_dtype_size(p->dtype));
}

/* Each worker's scratch is as large as the largest request of any step. A step may touch only as much as it
 * requested. */
static void close_scratch(const kf__exec *x) {
    kf__redzone_close(x->scratch, x->m->scratch_bytes * (size_t)kf__pool_size(x->pool));
}

static void open_scratch(const kf__exec *x, int32_t step) {
    for (int w = 0; w < kf__pool_size(x->pool); w++)
        kf__redzone_open(x->scratch + (size_t)w * x->m->scratch_bytes, x->m->steps[step].scratch_bytes);
}

static void open_step(const kf__exec *x, int32_t step) {
    const kf__step *s = &x->m->p->steps[step];
    for (int k = 0; k < s->n_in; k++) kf__fence_open(x, s->in[k]);
    kf__fence_open(x, s->out);
}

void kf__fence_step(const kf__exec *x, int32_t first, int32_t last) {
    kf__redzone_close(x->base, x->m->plan_bytes);
    close_scratch(x);
    for (int32_t i = first; i <= last; i++) open_step(x, i), open_scratch(x, i);
}

void kf__fence_idle(const kf__exec *x, int32_t step) {
    const kf__program *p = x->m->p;
    kf__redzone_close(x->base, x->m->plan_bytes);
    for (int32_t k = 0; k < p->n_inputs; k++) kf__fence_open(x, p->inputs[k].tensor);
    for (int32_t k = 0; k < p->n_outputs; k++) kf__fence_open(x, p->outputs[k].tensor);
    if (step >= 0) open_step(x, step);
}

void kf__fence_begin(const kf__exec *x) {
    close_scratch(x);
    kf__fence_idle(x, -1);
}

void kf__fence_end(const kf__exec *x, size_t bytes) { kf__redzone_open(x->base, bytes); }
#endif
