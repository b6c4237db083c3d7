/* What the kinds of steps have in common; each kind has its own file. Private to src/runtime. A kind's prepare
 * function picks the algorithm for one step and fills kf__prepared: run function, kernel name, scratch, size of the
 * packed weights. Its pack function, if it has one, turns constants into what the algorithm reads. So whoever
 * reserves memory also uses it. Owner rule: everything a step keeps lives in the program's arena or in the model's
 * block of weights, and ends with the model. */
#ifndef KF_RUNTIME_STEPS_H
#define KF_RUNTIME_STEPS_H

#include "runtime/exec.h"

/** A step that is being prepared. */
typedef struct kf__preparing {
    struct kf_model *m;
    const kf__program *p;
    const kf__step *s;
    const kf__ptensor *in, *out; /* input 0 and output of s */
    kf__arena *arena;            /* the program's */
    kf__prepared *to;
    kf_error *err;
} kf__preparing;

/** Pick the algorithm; reads no weights. MEMORY. */
typedef kf_status kf__prepare_fn(kf__preparing *k);
/** Fill the `packed_bytes` at to->packed, and everything else that the algorithm reads. MEMORY. */
typedef kf_status kf__pack_fn(kf__preparing *k);

/** By kind: f32 and integer form, NULL where there is none. `pack` NULL: the constants are read as they are. */
typedef struct kf__step_kind {
    kf__prepare_fn *prepare[2]; /* [integer] */
    kf__pack_fn *pack[2];
} kf__step_kind;
extern const kf__step_kind kf__step_kinds[KF_STEP_OP_COUNT];

kf__prepare_fn kf__prepare_conv_f32, kf__prepare_dwconv_f32, kf__prepare_fc_f32, kf__prepare_gate_f32,
    kf__prepare_scale_f32, kf__prepare_sum_f32, kf__prepare_product_f32, kf__prepare_global_pool_f32,
    kf__prepare_pool_f32, kf__prepare_concat_f32, kf__prepare_softmax_f32, kf__prepare_top_f32, kf__prepare_to_nchw,
    kf__prepare_move, kf__prepare_pick;
kf__prepare_fn kf__prepare_conv_int, kf__prepare_dwconv_int, kf__prepare_fc_int, kf__prepare_gate_int,
    kf__prepare_scale_int, kf__prepare_eltwise_int, kf__prepare_global_pool_int, kf__prepare_pool_int,
    kf__prepare_concat_int, kf__prepare_convert_int;
kf__pack_fn kf__pack_matrix_f32, kf__pack_dwconv_f32, kf__pack_gate_f32;
kf__pack_fn kf__pack_matrix_int, kf__pack_dwconv_int, kf__pack_gate_int, kf__pack_scale_int, kf__pack_eltwise_int,
    kf__pack_global_pool_int, kf__pack_pool_int, kf__pack_concat_int, kf__pack_convert_int;

/** The run function of a convolution that is joined with the next step (kf__steps_join), and the scratch of both. */
void kf__prepare_pair_f32(kf__preparing *k, const kf__step *next);

/** The step runs as shares of one job, one per thread. */
void kf__prepare_workers(kf__preparing *k, void (*worker)(void *job, int worker, int workers));

/** Zeroed memory that lives as long as the model, at to->own. NULL: out of memory, and the error is set. */
void *kf__prepare_own(kf__preparing *k, size_t bytes);
static inline const kf__pconst *kf__prepare_const(const kf__preparing *k, kf__const_role role) {
    int32_t i = k->s->consts[role];
    return i < 0 ? NULL : &k->p->consts[i];
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

/** A layer of one row is divided among threads if it has at least so many weights; below, waking threads costs more
 * than it saves. */
enum { KF_FORK_WEIGHTS = 1 << 15 };
/** Threads take multiples of so many columns of a product of m rows; with one row, of four panels. */
static inline size_t kf__column_grain(size_t m, size_t panel) { return m == 1 ? 4 * panel : panel; }

/** What the workers of a running step share. */
typedef struct kf__job {
    const kf__exec *x;
    const kf__prepared *p;
    const kf__step *s;
    const kf__ptensor *in, *out;
    const char *src, *src2; /* input 0, and input 1 or NULL */
    char *dst;
    size_t in_size, out_size; /* bytes of an element */
} kf__job;
kf__job kf__job_of(const kf__exec *x, const kf__prepared *p);

static inline const float *kf__f32_of(const char *bytes) { return (const float *)(const void *)bytes; }
static inline void *kf__job_scratch(const kf__job *j, int worker) {
    return j->x->scratch + (size_t)worker * j->x->m->scratch_bytes;
}
static inline const float *kf__job_const(const kf__job *j, kf__const_role role) {
    int32_t i = j->s->consts[role];
    return i < 0 ? NULL : j->x->m->p->consts[i].data;
}
/** Bias, activation, residual and clip of an f32 step. */
kf__epilogue kf__job_epilogue(const kf__job *j);
/** The worker's part of the lines that the step prefetches for later steps. */
kf__ahead kf__job_ahead(const kf__job *j, int worker, int workers);

/* ---- f32: products and means ------------------------------------------------------------------------------------- */

/** Rows of the weight matrix of one group, and its depth. */
typedef struct kf__matrix {
    size_t groups, n, k;
} kf__matrix;
kf__matrix kf__matrix_of(const kf__program *p, const kf__step *s);
/** Packed weights and prefetching of a step with a weight matrix; the output has `rows` rows in all. */
void kf__prepare_matrix_f32(kf__preparing *k, size_t rows);
/** Worker of a 1x1 convolution or fully connected layer: a product over pixels. */
void kf__gemm_f32_worker(void *job, int worker, int workers);
/** Makes output row `row`, counted over the batch, from its kh input rows (NULL: outside the image). */
void kf__dwconv_f32_row(const kf__job *j, size_t row, const float *const *rows);
/** Mean of each channel over the pixels of one image. */
void kf__mean_f32(const kf__job *j, size_t image, float *to);

/* ---- integer: parameters in kernel order (params_int.c) ---------------------------------------------------------- */

/** Parameter vectors of n channels in the order that a kernel with blocks of `block` channels reads them; 16: as they
 * are. */
typedef struct kf__vectors {
    kf__preparing *k;
    size_t n, block;
} kf__vectors;
/** A constant of n or one f32 (NULL: all `other`). Out of memory, the functions below set the error and return NULL or
 *  false. */
const float *kf__vector_f32(const kf__vectors *v, const kf__pconst *c, float other);
/** Zero points and scales of a tensor's channels; 0 and 1 for f32. */
bool kf__vector_inputs(const kf__vectors *v, const kf__ptensor *t, const int32_t **zero, const float **scale);
/** Step 5: bounds and zero points of a tensor of this quantization. */
bool kf__vector_rounding(const kf__vectors *v, const kf__ptensor *t, kf__requant *r);
/** Steps 2 to 5 of a convolution, fully connected or elementwise step. */
bool kf__vector_epilogue(const kf__vectors *v, kf__requant *r);
/** Biases minus (zero point - offset) * sum of weights, one vector per border class; `in` NULL: no zero point. Row o
 * of the weights is w[o * k + x], or, `depthwise`, w[x * n + o]. */
int32_t *kf__vector_bias(const kf__vectors *v, const kf__pconst *w, const kf__pconst *b, const kf__ptensor *in,
                         bool depthwise, int32_t offset);

/* ---- integer: products (product_int.c) --------------------------------------------------------------------------- */

/** Weights in panels, and the epilogue of their sums. */
typedef struct kf__product {
    const void *w;
    bool i16, wide;     /* inputs (or weights) of 16 bits: the i16 kernel; weights of 16 bits */
    size_t group_bytes; /* packed weights of one group */
    kf__requant rq;
} kf__product;
/** Which kernel takes the product: i16, wide, and its name for profiles. */
void kf__product_choose(kf__preparing *k, const kf__pconst *w, kf__product *p);
/** Bytes of the panels of w[groups * n, runs * run] for 8-bit or 16-bit inputs. Each of several runs is filled up to
 * the kernel's group. */
uint64_t kf__panels_bytes(const kf__preparing *k, const kf__pconst *w, bool i16, size_t groups, size_t n, size_t runs);
kf_status kf__panels_pack(kf__preparing *k, const kf__pconst *w, bool i16, size_t groups, size_t n, size_t runs,
                          char *to);
/** Elements of a run of `run` elements as the u8 kernel of this model reads it. */
static inline size_t kf__run_filled(const struct kf_model *m, size_t run) {
    return kf__round_up(run, m->kernels_int.gemm_group);
}

/** The inputs of a product: m rows of `runs` runs of k elements each, already of the kernel's type. */
typedef struct kf__operand {
    const void *a;
    size_t m, k, lda, runs, ld_run;
} kf__operand;
/** n columns from `col` on of the panels at w, which are those of one group. */
void kf__product_run(const kf__job *j, const kf__product *p, kf__operand in, size_t n, const char *w, size_t col,
                     char *c, const kf__requant *r);
/** The epilogue of the columns from `col` on, with the residual of the rows from `row` on. */
void kf__requant_at(kf__requant *r, const kf__requant *q, const void *residual, size_t row, size_t col);
/** u8 to i16. */
static inline void kf__widen(const uint8_t *from, size_t n, int16_t *to) {
    for (size_t i = 0; i < n; i++) to[i] = from[i];
}
/** The packed constants of a convolution or fully connected layer and its bias table: fills `p`; *table gets the bias
 * rows. */
kf_status kf__product_pack(kf__preparing *k, kf__product *p, size_t groups, size_t runs, const int32_t **table);
/** Fills the bounds that let saturating packing replace the clamp of a u8 output, and the residual's parameters. */
kf_status kf__product_bound(const kf__vectors *v, const kf__pconst *w, const int32_t *table, size_t classes,
                            kf__requant *r);
/** Worker of a 1x1 convolution or fully connected layer; the job's own structure begins with a kf__product. */
void kf__gemm_int_worker(void *job, int worker, int workers);

/* ---- integer: means and conversions ------------------------------------------------------------------------------ */

/** Room for the sums and means of c channels. */
typedef struct kf__means {
    int64_t *sums;
    int32_t *part;
    float *mean;
} kf__means;
static inline size_t kf__means_bytes(size_t c) {
    return kf__qpad(c) * (sizeof(int64_t) + sizeof(int32_t) + sizeof(float));
}
kf__means kf__means_at(void *scratch, size_t c);
/** mean[i]: the sum of q - z over all pixels of an image times mul[i]. */
void kf__means_int(const kf__job *j, size_t image, const float *mul, const kf__means *to);

/** Zero points and factors of the elementwise integer steps. */
typedef struct kf__affine {
    const int32_t *in_zero;
    const float *in_scale, *mul;
    kf__requant rq;
} kf__affine;
kf__affine_q kf__affine_of(const kf__job *j, const kf__affine *a);

#endif
