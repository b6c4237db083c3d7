/* The compiled program: a flat list of fused steps over NHWC tensors with ISA-neutral constants. The one structure that
 * toolchain and runtime share. Lowering writes it, the model file stores it, the runtime executes it.
 * Owner rule: the program's arena owns all of it; a constant that is `borrowed` lies in the caller's file until the
 * model is packed. */
#ifndef KF_PROGRAM_H
#define KF_PROGRAM_H

#include "tensor/quant.h"
#include "tensor/requant.h"
#include "tensor/tensor.h"
#include "tensor/window.h"

/** Kinds of steps: steps.def has one entry for each. All activations are NHWC; vectors are [N, C] with H = W = 1. */
typedef enum kf__step_op {
#define KF_STEP(id, ...) KF_STEP_##id,
#define KF_STEP_CONST(...)
#include "program/steps.def"
#undef KF_STEP
#undef KF_STEP_CONST
    KF_STEP_OP_COUNT
} kf__step_op;

/** Roles of the constants of a step; index into kf__step.consts. */
typedef enum kf__const_role {
    KF_CONST_W = 0, /* CONV [O,kh,kw,I/g], DWCONV [kh,kw,C], FC [O,K], SE reduce [R,C]; f32, i8 or i16. MOVE: i32
                       [5], where the first element is, and strides along n, h, w, c. PICK: i32 [h + w + c], where in
                       an image each row, column and channel is; the sum of three is an element's place */
    KF_CONST_BIAS,  /* f32 [O], or i32 [O] (not yet folded with the zero point), or i32 [classes, O] when border_bias */
    KF_CONST_MUL,   /* f32 [O]: accumulator multiplier (step 2, or 2 and 5 in one when `direct`); CONCAT [n_in]: s_in /
                       s_out;   GLOBAL_POOL [C] or [1]: s_in / (H*W*s_out); AVG_POOL [kh*kw]: for 1, 2.. counted taps */
    KF_CONST_K,     /* f32 [O] or [1]: h-swish factor 1/(6*s_out[o]); only hswish, quantized output, no residual.
                       SE_GATE: pool_mul of every channel where the input has per-channel scales */
    KF_CONST_INV,   /* f32 [O] or [1]: 1/s_out[o] (step 5) where not `direct` and not K */
    KF_CONST_FBIAS, /* f32 [O]: bias added in f32 after step 2 (classifier with f32 output) */
    KF_CONST_W2,
    KF_CONST_BIAS2,
    KF_CONST_MUL2, /* SE expand layer: [C,R], [C], [C] */
    KF_CONST_ROLES
} kf__const_role;

#define KF_STEP_MAX_IN 16

/** An activation tensor, NHWC. n is the batch. */
typedef struct kf__ptensor {
    const char *name;
    kf_dtype dtype; /* KF_F32, KF_U8, KF_I16 */
    int32_t n, h, w, c;
    float scale; /* quantized only */
    int32_t zero, qmin, qmax;
    int32_t scales;     /* const index of f32 [C] per-channel scales, or -1 */
    int32_t zeros;      /* const index of i32 [C] per-channel zero points, or -1 */
    int32_t made, read; /* set by kf__program_link */
} kf__ptensor;

/** kf__ptensor.made of a tensor that nothing makes. */
#define KF_NEVER_MADE INT32_MAX

/** A constant: ISA-neutral, row-major. */
typedef struct kf__pconst {
    const char *name; /* unique; the tensor's name in the model file */
    kf_dtype dtype;
    kf__shape shape;
    const void *data; /* NULL once it is packed, if it was borrowed */
    size_t bytes;
    bool borrowed;    /* data lies in the file that is being read */
    uint32_t readers; /* while a model is created: steps that have not packed it yet */
} kf__pconst;

typedef struct kf__step {
    kf__step_op op;
    const char *name; /* primary source node */
    int32_t n_sources;
    const char **sources;             /* all ONNX nodes fused into it */
    int32_t n_in, in[KF_STEP_MAX_IN]; /* tensor indices; CONV residual is in[1] */
    int32_t out;
    kf__window window; /* convolutions and pools */
    int32_t count_include_pad;
    int32_t selects;         /* TOP: KF_SELECTS_* */
    int32_t border_bias;     /* 1: BIAS has one row per border class (first layer of a quantized model) */
    int32_t direct;          /* quantized: MUL includes 1/s_out, activation is only the integer clip qlo..qhi */
    int32_t qlo, qhi;        /* inclusive output clip of step 5 in q units (already inside qmin..qmax of `out`) */
    kf__activation act;      /* after bias, before the residual */
    kf__activation post_act; /* float models: after the residual (quantized models: in qlo..qhi) */
    kf__activation gate_act; /* SE_GATE second layer */
    float pool_mul;   /* SE_GATE quantized: (f32)(s_in / (H*W*s_pool)); that of channel 0 if K has one per channel */
    float hidden_inv; /* SE_GATE quantized: 1 / s_hidden (direct: folded into MUL, then 1) */
    int32_t pool_qmax, hidden_qmax; /* SE_GATE quantized: symmetric i16 bounds */
    int32_t consts[KF_CONST_ROLES]; /* const index or -1 */
} kf__step;

/** How raw inputs become the first tensor. */
typedef struct kf__pinput {
    const char *name;
    int32_t tensor;             /* index of the activation tensor it fills */
    int32_t rank;               /* of the model's declared input */
    int64_t shape[KF_MAX_RANK]; /* declared shape, e.g. 1x3x224x224 */
    int32_t layout;             /* 0: NCHW or NCW as declared; 1: NHWC as declared; 2: plain (rank 2, C) */
    int32_t pixels;             /* 1: the tensor is u8 pixels; normalisation lives in the first step's weights */
    int32_t takes;              /* kf_takes */
} kf__pinput;

typedef struct kf__poutput {
    const char *name;
    int32_t tensor; /* always f32 */
    int32_t rank;
    int64_t shape[KF_MAX_RANK];
    int32_t scores; /* kf_scores_kind */
    int32_t
        added; /* 1: no output of the file; the scores behind its ArgMax or TopK. Only the last one, never the first */
} kf__poutput;

/** The result of one step for the synthetic input of docs/FORMAT.md. */
typedef enum kf__golden_kind { KF_GOLDEN_NONE, KF_GOLDEN_HASH, KF_GOLDEN_SUMS } kf__golden_kind;
typedef struct kf__golden_step {
    kf__golden_kind kind;
    uint8_t hash[16]; /* HASH: first half of the SHA-256 of the output's bytes */
    double norm, dot; /* SUMS: Euclidean length, and the sum under the formula's signs; six digits */
} kf__golden_step;
#define KF_GOLDEN_SCORES 64
typedef struct kf__golden {
    int32_t n_steps; /* 0: the file has no vector */
    kf__golden_step *steps;
    int32_t n_scores; /* of output 0, evenly spaced */
    double scores[KF_GOLDEN_SCORES];
} kf__golden;

/** Everything that `info` shows and `classify` needs, except the steps. */
typedef struct kf__pmeta {
    kf_preprocess preprocess;
    int32_t n_labels;
    const char **labels;
    const char *name, *arch, *source, *producer, *kitfox; /* kitfox: version that compiled it */
    int64_t parameters, stored_parameters, macs, activations;
    int32_t quantized;             /* 1: integer program */
    int32_t input_range;           /* 0 full, 1 limited: expectation for NV12 frames */
    int32_t range_known;           /* 0: nobody said so */
    int32_t origin;                /* kf_origin of `preprocess` */
    const char *preprocess_source; /* or NULL */
    kf__golden golden;
} kf__pmeta;

/** What a model and its sessions may take; 0: as include/kitfox/kitfox.h says, for model_bytes no limit. */
typedef struct kf__limits {
    size_t model_bytes, session_bytes;
    int64_t operations;
} kf__limits;

typedef struct kf__program {
    kf__arena arena;
    kf__ptensor *tensors;
    kf__pconst *consts;
    kf__step *steps;
    kf__pinput *inputs;
    kf__poutput *outputs;
    int32_t n_tensors, n_consts, n_steps, n_inputs, n_outputs;
    int32_t version; /* of the file that it was read from; else 0 */
    kf__pmeta meta;
    kf__limits limits; /* of the model that is made of it */
    bool drops; /* borrowed constants are in a copy of the file that nobody else reads; packed ones are released */
} kf__program;

/** Elements of a constant, and weight i of an i8 or i16 one. */
static inline size_t kf__pconst_count(const kf__pconst *c) { return c->bytes / kf_dtype_size(c->dtype); }
static inline int32_t kf__pconst_weight(const kf__pconst *c, size_t i) {
    return c->dtype == KF_I8 ? ((const int8_t *)c->data)[i] : ((const int16_t *)c->data)[i];
}
/** Outputs of the file that the program was made of. */
static inline int32_t kf__program_outputs(const kf__program *p) {
    return p->n_outputs - p->outputs[p->n_outputs - 1].added;
}
/** The output whose numbers are ranked: the first that is no choice among scores. */
static inline const kf__poutput *kf__program_ranked(const kf__program *p) {
    int32_t i = 0;
    while (i < p->n_outputs && p->outputs[i].scores >= KF_SCORES_INDICES) i++;
    return &p->outputs[i < p->n_outputs ? i : 0];
}
/** Elements of a tensor, batch included. */
static inline size_t kf__ptensor_count(const kf__ptensor *t) {
    return (size_t)t->n * (size_t)t->h * (size_t)t->w * (size_t)t->c;
}
/** The tensor's scales and zero points: 1 and 0 for f32. */
static inline kf__quant kf__ptensor_quant(const kf__program *p, const kf__ptensor *t) {
    if (t->dtype == KF_F32) return (kf__quant){.dtype = KF_F32, .scale = 1};
    kf__quant q = {.dtype = t->dtype, .scale = t->scale, .zero = t->zero, .qmin = t->qmin, .qmax = t->qmax};
    if (t->scales >= 0) q.channels = t->c, q.scales = p->consts[t->scales].data;
    if (t->zeros >= 0) q.zeros = p->consts[t->zeros].data;
    return q;
}

kf_status kf__program_create(kf__program **out, const kf_allocator *a, kf_error *err);
void kf__program_destroy(kf__program **program);
const char *kf__step_op_name(kf__step_op op);
kf__step_op kf__step_op_from_name(const char *name); /* KF_STEP_OP_COUNT if unknown */
/** The load-time proof: every tensor is written before it is read, every step takes and reads what steps.def says and
 *  nothing else, scales lie in [1e-30, 1e30], no accumulator can overflow. CORRUPT, with the step's name, otherwise. */
kf_status kf__program_validate(const kf__program *p, kf_error *err);
/** Note in each tensor `made`, the step that writes it (-1 - k: input k; KF_NEVER_MADE), and `read`, the last step that
 *  reads it (n_steps: an output; -1: nothing). */
void kf__program_link(kf__program *p);
/** Are the extents of a tensor in the range that a file may have, and their product? */
bool kf__extents_ok(const kf__ptensor *t);
/** What one run costs, in multiply-adds of a matrix product: docs/FORMAT.md says how much each kind of step counts. */
double kf__program_operations(const kf__program *p);
/** Multiply-accumulates of one step (batch included), as docs/COUNT.md defines them. */
int64_t kf__step_macs(const kf__program *p, const kf__step *s);

#endif
