/* The loaded model: a validated program, its steps made ready once for this CPU, and its memory plan.
 * Owner rule: the model owns program and packed weights; immutable after kf__model_create, shared by sessions. */
#ifndef KF_MODEL_H
#define KF_MODEL_H

#include "kernels/kernels.h"
#include "kernels/kernels_int.h"
#include "program/program.h"

struct kf__exec;

/** A step, ready to run. Its algorithm is chosen once, when the model is loaded. The function that chooses also
 * determines how much memory the algorithm needs and which function runs it (steps/step_kinds.h). */
typedef struct kf__prepared {
    /** Runs the step on the threads of a session, after its inputs were computed. */
    void (*run)(const struct kf__exec *x, const struct kf__prepared *s);
    /** The part of one thread, if `run` divides the step among threads; gets a kf__job. */
    void (*worker)(void *job, int worker, int workers);
    /** The same for this step and the next together, without writing the tensor between them; NULL: they run
     * separately. */
    void (*run_with_next)(const struct kf__exec *x, const struct kf__prepared *s);
    const kf__step *step;
    const kf__ptensor *in, *out; /* input 0 and output */
    void *own;                   /* what `run` needs beside the program: a structure of the kind's own file */
    const char *kernel;          /* for profiles */
    uint64_t scratch_bytes;      /* per worker; as the next, not more than a size_t holds once the model is ready */
    uint64_t packed_bytes;       /* of weights in the kernel's layout; 0: none */
    char *packed;
    unsigned replaces; /* constants (1 << role) that are no longer read once they are packed */
    bool integer;      /* reads or writes a quantized tensor */
    size_t most_ahead; /* lines of later weights that its products can prefetch while they compute */
    kf__ahead ahead;   /* those lines */
} kf__prepared;

struct kf_model {
    const kf_allocator *allocator;
    kf__program *p;
    kf__kernels kernels;
    kf__kernels_int kernels_int;
    kf__cpu_level cpu;
    kf__prepared *steps;  /* by step */
    size_t *offset;       /* by tensor: bytes into the session's activation block */
    size_t plan_bytes;    /* size of that block */
    size_t scratch_bytes; /* per thread: the largest request of any step */
    void *weights; /* the block that all packed weights lie in: those of f32 steps, then those of integer steps */
    const char *floats, *floats_end; /* the part of f32 steps */
    size_t block_bytes;              /* from `floats` on */
    size_t weights_bytes;            /* of packed weights and of parameters in kernel order */
    double operations;               /* of one run: kf__program_operations */
};

/** Take over `p` (destroyed on failure too). */
kf_status kf__model_create(kf__program *p, const kf_allocator *a, struct kf_model **out, kf_error *err);
/** The same with the kernels of one level, whatever the limit is. */
kf_status kf__model_create_at(kf__program *p, kf__cpu_level level, const kf_allocator *a, struct kf_model **out,
                              kf_error *err);
/** The same with these kernels; `level` is what the model says it runs on. */
kf_status kf__model_create_with(kf__program *p, kf__cpu_level level, const kf__kernels *kernels,
                                const kf__kernels_int *kernels_int, const kf_allocator *a, struct kf_model **out,
                                kf_error *err);
/** Release the model and its program. NULL does nothing; *model becomes NULL. */
void kf__model_destroy(struct kf_model **model);
/** Place every tensor that a step makes, so that no two that live at once overlap; greedy by size. The program is
 * linked. *work: tensors and tree nodes that were visited in the search. */
kf_status kf__plan(const kf__program *p, size_t *offset, size_t *total, size_t *work, kf_error *err);
/** Can steps i and i + 1 run together, row by row? They can if they are an f32 pointwise convolution and the
 * depthwise one that alone reads it, and the tensor between them is too large for a near cache. The plan keeps the
 * input of the first until the second is done. */
bool kf__steps_join(const kf__program *p, int32_t i);
/** Does the step read or write a quantized tensor? */
bool kf__step_is_integer(const kf__program *p, const kf__step *s);
/** Before the first step is packed: count the readers of each constant. */
void kf__release_begin(const struct kf_model *m);
/** Step `index` is packed: release its borrowed constants that no other step still needs, if kf__program.drops
 * allows that. */
void kf__release_step(const struct kf_model *m, int32_t index);
/** All steps are packed: borrowed constants that are no longer read become NULL, the others are copied. The file may
 * be closed afterwards. */
kf_status kf__release_file(struct kf_model *m, kf_error *err);

#endif
