/* The loaded model: a validated program, its weights packed once for this CPU, and its memory plan.
 * Floor 5: includes base, os, cpu, tensor, kernels, program, format.
 * Owner rule: the model owns program and packed weights; immutable after kf__model_create, shared by sessions. */
#ifndef KF_MODEL_H
#define KF_MODEL_H

#include "kernels/kernels.h"
#include "kernels/kernels_int.h"
#include "program/program.h"

/** An integer step, ready to run. */
typedef struct kf__qstep {
    const void *w, *w2;     /* packed weights; SE_GATE has two layers */
    bool i16, wide, wide2;  /* inputs (or weights) of 16 bits: the i16 kernels; weights of 16 bits */
    size_t group_bytes;     /* packed weights of one group */
    size_t hidden;          /* SE_GATE: width of the first layer */
    kf__requant rq, rq2;
    const int32_t *table;   /* bias rows by border class, ld_table apart */
    size_t ld_table;
    const int32_t *class_y, *class_x, *class_end; /* class_end[x]: where the columns of the class of column x end */
    int32_t n_class_x;
    kf__dwconv_q_fn *dwconv;
    const void *pad;        /* DWCONV: what a tap outside the image reads */
    const float *mul;       /* pools: factor of the sum; SCALE: 1 / s_out; QUANTIZE, DEQUANTIZE: the factor */
    const int32_t *in_zero[2]; /* of inputs 0 and 1, a channel each */
    const float *in_scale[2];
    const char *kernel;
} kf__qstep;

typedef struct kf__packed {
    const float *w, *w2; /* GEMM panels; NULL where the step uses the constant as it is */
    const kf__qstep *q;  /* integer steps, else NULL */
    kf__ahead ahead;     /* weights of later steps that this one's threads fetch while they compute */
} kf__packed;

struct kf_model {
    const kf_allocator *allocator;
    kf__program *p;
    kf__kernels kernels;
    kf__kernels_int kernels_int;
    kf__cpu_level cpu;
    kf__packed *packed;   /* by step */
    size_t *offset;       /* by tensor: bytes into the session's activation block */
    size_t plan_bytes;    /* size of that block */
    size_t scratch_bytes; /* per thread */
    void *weights;        /* the block that all packed pointers point into */
    size_t weights_bytes;
    char *room;           /* what is left of the block for integer panels; in the program's arena */
    size_t room_left;
};

/** Take over `p` (destroyed on failure too). */
kf_status kf__model_create(kf__program *p, const kf_allocator *a, struct kf_model **out, kf_error *err);
/** The same with the kernels of one level, whatever the limit is. */
kf_status kf__model_create_at(kf__program *p, kf__cpu_level level, const kf_allocator *a, struct kf_model **out, kf_error *err);
/** Place every tensor so that no two live at once overlap; greedy by size. `keep_all` gives each its own place. */
kf_status kf__plan(const kf__program *p, bool keep_all, size_t *offset, size_t *total, kf_error *err);
/** Can steps i and i + 1 run row by row, as one: an f32 pointwise convolution and the depthwise one that alone reads it, with a tensor
 *  between them that a near cache cannot hold? The plan keeps the input of the first until the second is done. */
bool kf__steps_join(const kf__program *p, int32_t i);
/** Does the step read or write a quantized tensor? */
bool kf__step_is_integer(const kf__program *p, const kf__step *s);
/** Prepare integer step `index`; *scratch gets the bytes that each worker needs for it. */
kf_status kf__pack_int(struct kf_model *m, int32_t index, size_t *scratch, kf_error *err);
/** Rows of the largest tile of an f32 product: shares of rows are multiples of it. */
enum { KF_TILE_ROWS = 14 };
/** Most kernel rows of a convolution that reads the image in place; others, and dilated ones, copy patches. */
enum { KF_DIRECT_ROWS = 16 };
static inline bool kf__conv_is_direct(const kf__step *s) {
    return s->window.dh == 1 && s->window.dw == 1 && s->window.kh <= KF_DIRECT_ROWS;
}
/** Bytes of a copied input row in which all windows of one output row of a u8 convolution lie, each as runs of whole fours of bytes; 0 for
 *  groups and dilated columns, whose patches are copied instead. */
static inline size_t kf__conv_q_line(const kf__step *s, const kf__ptensor *in, const kf__ptensor *out) {
    size_t c = (size_t)in->c,
           read = (size_t)((out->w - 1) * s->window.sw) * c + kf__round_up((size_t)s->window.kw * c, 4),
           whole = (size_t)(s->window.pl + in->w) * c;
    return s->window.group != 1 || s->window.dw != 1 ? 0 : read > whole ? read : whole;
}
/** Step `index` is packed: give the pages of its borrowed weights back, where they lie in a mapped file. */
void kf__release_step(const struct kf_model *m, int32_t index);
/** All steps are packed: borrowed constants that nothing reads any more become NULL, the others copies. The file may go afterwards. */
kf_status kf__release_file(struct kf_model *m, kf_error *err);
/** The kernel that a step runs on, for profiles. */
const char *kf__model_kernel_name(const struct kf_model *m, const kf__step *s);

#endif
