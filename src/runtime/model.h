/* The loaded model: a validated program, its weights packed once for this CPU, and its memory plan.
 * Floor 5: includes base, os, cpu, tensor, kernels, program, format.
 * Owner rule: the model owns program and packed weights; immutable after kf__model_create, shared by sessions. */
#ifndef KF_MODEL_H
#define KF_MODEL_H

#include "kernels/kernels.h"
#include "program/program.h"

typedef struct kf__packed {
    const float *w, *w2; /* GEMM panels; NULL where the step uses the constant as it is */
} kf__packed;

struct kf_model {
    const kf_allocator *allocator;
    kf__program *p;
    kf__kernels kernels;
    kf__cpu_level cpu;
    kf__packed *packed;   /* by step */
    size_t *offset;       /* by tensor: bytes into the session's activation block */
    size_t plan_bytes;    /* size of that block */
    size_t scratch_bytes; /* per thread */
    void *weights;        /* the block that all packed pointers point into */
    size_t weights_bytes;
};

/** Take over `p` (destroyed on failure too). */
kf_status kf__model_create(kf__program *p, const kf_allocator *a, struct kf_model **out, kf_error *err);
/** Place every tensor so that no two live at once overlap; greedy by size. `keep_all` gives each its own place. */
kf_status kf__plan(const kf__program *p, bool keep_all, size_t *offset, size_t *total, kf_error *err);
/** The kernel that a step runs on, for profiles. */
const char *kf__model_kernel_name(const struct kf_model *m, const kf__step *s);

#endif
