/* Integer kernel contracts: what docs/NUMERICS.md asks of every instruction set, to the bit, and how weights are
 * packed. Kernels are pure: no allocation, threads, globals or logging. Owner rule: every pointer is borrowed for the
 * call. Sizes count elements unless they say bytes. No kernel reads or writes outside the rows it is given; parameter
 * vectors are longer than needed (KF_QPAD), so that whole registers may be loaded from them. */
#ifndef KF_KERNELS_INT_H
#define KF_KERNELS_INT_H

#include "cpu/cpu.h"
#include "tensor/requant.h"
#include "tensor/tensor.h"

/** Columns in one packed panel of the integer GEMMs. */
#define KF_QPANEL 16
/** Parameter vectors for n channels have room for kf__qpad(n) entries. */
#define KF_QPAD 64
static inline size_t kf__qpad(size_t n) { return kf__round_up(n, KF_QPAD) + KF_QPAD; }

/** Steps 2 to 5 of the numerics page for n channels. Vectors have kf__qpad(n) entries, zero filled. */
typedef struct kf__requant {
    const int32_t *bias;  /* with -z_in * sum(w) folded in */
    const float *mul;     /* step 2; of a direct node also step 5 */
    const float *fbias;   /* added after step 2, or NULL */
    kf__activation act;   /* step 3 */
    const float *k;       /* factor of HSWISH; never NULL with it */
    const void *residual; /* rows like the output's, or NULL */
    size_t ld_residual;
    kf_dtype residual_type; /* KF_U8, KF_I16 or KF_F32 */
    int32_t residual_zero;
    float residual_scale;
    const float *inv;         /* multiply of step 5, or NULL */
    kf_dtype out;             /* KF_U8, KF_I16 or KF_F32 */
    const float *flo, *fhi;   /* quantized: bounds minus zero point */
    const int32_t *zero;      /* quantized: zero point of the output */
    kf__activation post;      /* f32 output: NONE or CLIP, last */
    const uint8_t *lo8, *hi8; /* set by kf__requant_bound: bounds of the output in natural channel order, or NULL */
} kf__requant;
/** Fills lo8 and hi8 (both [kf__qpad(n)]) and points `q` to them if the output is u8 and no sum up to largest_sum can
 * give a value that does not fit i32: then conversion and saturating packing do what clamp and conversion do. The
 * vectors of `q` are in the order of kf__dwconv_q_order(block), the bounds in natural order. */
void kf__requant_bound(kf__requant *q, double largest_sum, size_t n, size_t block, uint8_t *lo8, uint8_t *hi8);

/** c[m,n] = requant(a[m, runs * k] * w[n, runs * k]^T), w packed by kf__gemm_u8_pack with the layout that the kernel
 * wants. A row of a is `runs` runs of k bytes, ld_run bytes apart, and rows are lda bytes apart, so that a window of
 * an image can be read in place; with more than one run, k is a multiple of the table's gemm_group. Rows are
 * independent; panels are independent, so threads may split n at multiples of KF_QPANEL (b moves by panels, the
 * requant vectors by columns). c overlaps neither a nor the residual: a kernel may compute some rows twice. */
typedef void kf__gemm_u8_fn(size_t m, size_t n, size_t k, size_t runs, size_t ld_run, const uint8_t *a, size_t lda,
                            const void *b, void *c, size_t ldc, const kf__requant *q);
/** gemm_u8 for i16 inputs in one run; `wide`: the packed weights are i16, not i8. */
typedef void kf__gemm_i16_fn(size_t m, size_t n, size_t k, const int16_t *a, size_t lda, const void *b, bool wide,
                             void *c, size_t ldc, const kf__requant *q);

/** Rows y0..y1-1 of a depthwise convolution of one NHWC image. */
typedef struct kf__dwconv_q {
    const void *in;   /* [h_in, w_in, c] */
    kf_dtype in_type; /* KF_U8; the i16 kernel takes KF_U8 or KF_I16 */
    void *out;        /* [h_out, w_out, c], the whole image */
    int32_t h_in, w_in, w_out, y0, y1;
    int32_t kh, kw, sh, sw, dh, dw, pt, pl;
    size_t c;
    const void *pad; /* [kf__qpad(c)] the input's zero points in its type: what a tap outside the image reads */
    const void *w;   /* u8 kernel: packed by kf__dwconv_u8_pack; i16 kernel: i16 [kh, kw, c] */
    void *scratch;   /* kf__dwconv_u8_scratch bytes for dwconv_u8; else not read */
} kf__dwconv_q;
/** In the u8 kernel the vectors of `q` are in the order of kf__dwconv_q_order(block); a vector kernel takes only the
 * shapes for which kf__dwconv_u8_fast holds. The i16 kernel (i16 weights; inputs i16 or u8) takes all shapes and
 * vectors in their own order. */
typedef void kf__dwconv_q_fn(const kf__dwconv_q *d, const kf__requant *q);

/** out[i, j] = round(clamp(x * mul[j])) + zero[j], x = (f32)(in[i, j] - in_zero[j]) or, for f32 inputs, in[i, j]
 * itself. f32 output: x * mul[j]. Rows of c elements. Serves SCALE, requantization, QUANTIZE and DEQUANTIZE. */
typedef struct kf__affine_q {
    const void *in;
    kf_dtype in_type, out_type; /* KF_U8, KF_I16, KF_F32 */
    const int32_t *in_zero;     /* [kf__qpad(c)] */
    const float *mul, *flo, *fhi;
    const int32_t *zero;
    void *out;
    size_t rows, c, ld_in, ld_out;
} kf__affine_q;
typedef void kf__affine_q_fn(const kf__affine_q *a);

/** Most rows of colsum_q, whose sums of 16-bit values then fit 32 bits, and most taps of a vector pool_q. */
enum { KF_COLSUM_ROWS = 32768, KF_POOL_TAPS = 65536 };
/** sums[j] += q[i, j] over `rows` rows of c elements of u8 or i16, at most KF_COLSUM_ROWS. */
typedef void kf__colsum_q_fn(kf_dtype type, size_t rows, size_t c, const void *x, int32_t *sums);

/** Elementwise steps: ADD, MUL of two tensors, or ACT of one (b NULL), rows of c elements. */
typedef struct kf__eltwise_q {
    const void *a, *b;
    kf_dtype a_type, b_type;
    const int32_t *a_zero, *b_zero; /* [kf__qpad(c)] */
    const float *a_scale, *b_scale; /* direct ACT: a_scale is s_in / s_out */
    bool product;                   /* MUL */
    const kf__requant *q;           /* act, k, inv, post, out; bias, mul and residual are not used */
    void *out;
    size_t rows, c;
} kf__eltwise_q;
typedef void kf__eltwise_q_fn(const kf__eltwise_q *e);
/** For numbers that all use the parameters of channel 0: computes as many of the first n as fill registers, and
 * returns how many. */
typedef size_t kf__eltwise_run_fn(const kf__eltwise_q *e, size_t n);
/** A kernel around `run`: scalar code does the remainder, and steps whose channels have different parameters. */
void kf__eltwise_q_by(kf__eltwise_run_fn *run, const kf__eltwise_q *e);

/** One pixel of a pooling step: its taps inside the image are `rows` times `columns` (together KF_POOL_TAPS at most
 * in a vector kernel), with row_step and column_step in elements. Gives the largest q, kept inside lo..hi, or step 5
 * of (sum of (q - in_zero)) * mul. */
typedef struct kf__pool_q {
    const void *in; /* the first tap inside */
    kf_dtype in_type, out_type;
    size_t rows, columns, row_step, column_step, c;
    bool largest;
    int32_t lo, hi, in_zero;
    float mul;
    const float *flo, *fhi; /* [kf__qpad(c)] */
    const int32_t *zero;    /* [kf__qpad(c)] */
    void *out;              /* [c] */
} kf__pool_q;
typedef void kf__pool_q_fn(const kf__pool_q *w);

/** n pixels of three channels, interleaved: value v of channel k is (v * std[k] + mean[k]) * top in double, kept inside
 * 0..255, rounded; NaN gives 0. `planes`: x has a plane for each channel; else x[0] is interleaved too. */
typedef void kf__pixels_fn(size_t n, const float *const x[3], bool planes, const double std[3], const double mean[3],
                           double top, uint8_t *to);
/** Three planes of n bytes, interleaved. */
typedef void kf__interleave_fn(size_t n, const uint8_t *const x[3], uint8_t *to);

/** How a kernel wants u8 weights. GEMM: panels of [k/group][16][group] i8 (QUADS) or [k/4][2][16][2] i16 (SPLIT:
 * elements 0, 2 and elements 1, 3 of every quad; the group is 4). Depthwise: unchanged (PLAIN), quads of rows in i8
 * (QUADS) or pairs of rows in i16 (PAIRS); pack_int.c has a drawing. */
typedef enum kf__qlayout { KF_QLAYOUT_PLAIN, KF_QLAYOUT_QUADS, KF_QLAYOUT_SPLIT, KF_QLAYOUT_PAIRS } kf__qlayout;

/** The integer functions in use, and the facts that callers need about them; filled once by kf__kernels_select_int. */
typedef struct kf__kernels_int {
    kf__gemm_u8_fn *gemm_u8;
    kf__gemm_i16_fn *gemm_i16;
    kf__dwconv_q_fn *dwconv_u8, *dwconv_any,
        *dwconv_i16; /* dwconv_any is u8 by i8 too, but takes every shape, PLAIN weights, natural order */
    kf__affine_q_fn *affine_q;
    kf__colsum_q_fn *colsum_q;
    kf__eltwise_q_fn *eltwise_q;
    kf__pool_q_fn *pool_q;
    kf__pixels_fn *pixels;
    kf__interleave_fn *interleave;
    const char *gemm_u8_name, *gemm_i16_name, *dwconv_u8_name, *dwconv_any_name, *dwconv_i16_name, *affine_q_name,
        *colsum_q_name;
    const char *eltwise_q_name, *pool_q_name, *pixels_name, *interleave_name;
    kf__qlayout gemm_layout, dw_layout;
    size_t dw_block;        /* channels that the depthwise kernels take at a time */
    size_t gemm_rows;       /* of the widest tile; threads take multiples of it */
    size_t gemm_least_rows; /* fewest rows that are split among threads: with fewer, the shares would differ too much */
    size_t gemm_columns;    /* of a panel; threads take multiples of it */
    size_t gemm_group;      /* elements along k that gemm_u8 multiplies at once; each of several runs is filled up to a
                               multiple of it */
    int32_t gemm_input_offset; /* gemm_u8 sums (a - offset) * w, and the caller adds offset * sum(w) to the bias. 128
                                  for machines that multiply signed by signed, else 0 */
    int32_t dw_input_offset;   /* the same of dwconv_u8 */
} kf__kernels_int;
/** For each entry, the last line of kernels.def whose level `cpu` contains. */
void kf__kernels_select_int(kf__cpu_level cpu, kf__kernels_int *out);

/* ---- proof (tiles.c): a kernel that few machines run is compared with the scalar one before it is used ----------- */

/** Does gemm_u8 of this table, with the table's facts, give the scalar kernel's bytes on a product with every
 * remainder? Takes a fraction of a millisecond. */
bool kf__gemm_u8_agrees(const kf__kernels_int *k);
/** The same; if it does not, `level` is disabled for the whole process. */
bool kf__kernels_prove(const kf__kernels_int *k, kf__cpu_level level);
/** The same; the comparison runs once per process. Thread-safe. */
bool kf__kernels_proved(const kf__kernels_int *k, kf__cpu_level level);

/* ---- packing (pack_int.c) ---------------------------------------------------------------------------------------- */

/** Bytes of packed w[n,k] for a u8 GEMM, and of one panel (all panels have the same size). `layout` and `group`: the
 *  table's gemm_layout and gemm_group, which is at most KF_GROUP_MOST. */
enum { KF_GROUP_MOST = 8 };
uint64_t kf__gemm_u8_packed(kf__qlayout layout, size_t group, size_t n, size_t k);
void kf__gemm_u8_pack(kf__qlayout layout, size_t group, size_t n, size_t k, const int8_t *w, void *to);
/** [n/16][k/2][16][2] of i8 or i16. */
uint64_t kf__gemm_i16_packed(bool wide, size_t n, size_t k);
void kf__gemm_i16_pack(bool wide, size_t n, size_t k, const void *w, void *to);
/** The channel at place i if `block` channels are processed at once (block 16: i itself). This is the order that
 * interleaving bytes inside 16-byte lanes gives. */
static inline size_t kf__dwconv_q_order(size_t block, size_t i) {
    size_t lanes = block / 16, r = i % block;
    return i - r + 16 * (r / 4 % lanes) + 4 * (r / (4 * lanes)) + r % 4;
}
/** Windows that vector kernels take: 3x3 and 5x5, stride 1 or 2, no dilation. */
static inline bool kf__dwconv_u8_fast(int32_t kh, int32_t kw, int32_t sh, int32_t sw, int32_t dh, int32_t dw) {
    return kh == kw && (kh == 3 || kh == 5) && sh == sw && (sh == 1 || sh == 2) && dh == 1 && dw == 1;
}
/** Output rows that a vector kernel computes together (two if that needs no further quad), and quads of input rows
 * that they read. */
static inline int32_t kf__dwconv_u8_rows(int32_t k, int32_t s) { return (k + s + 3) / 4 == (k + 3) / 4 ? 2 : 1; }
static inline int32_t kf__dwconv_u8_quads(int32_t k) { return (k + 3) / 4; }
/** The same for PAIRS: output rows computed together, and the first channel of a block of 16. The last block ends
 * with the last channel. */
static inline int32_t kf__dwconv_u8_pair_rows(int32_t k, int32_t s) { return k == 5 && s == 1 ? 1 : 2; }
static inline size_t kf__dwconv_u8_pair_channel(size_t block, size_t c) {
    return block + 16 <= c || c < 16 ? block : c - 16;
}
/** Output columns that a vector kernel computes before it goes to the next block of channels. */
#define KF_DW_STRIP 28
/** Bytes of packed depthwise weights w[k, k, c] and packing; s is the stride. */
uint64_t kf__dwconv_u8_packed(kf__qlayout layout, size_t block, int32_t k, int32_t s, size_t c);
void kf__dwconv_u8_pack(kf__qlayout layout, size_t block, int32_t k, int32_t s, size_t c, const int8_t *w, void *to);
/** Scratch of the u8 depthwise vector kernels in bytes, for any shape. */
size_t kf__dwconv_u8_scratch(void);

typedef kf__dwconv_q_fn kf__dwconv_u8_fn, kf__dwconv_any_fn, kf__dwconv_i16_fn;
#define KF_KERNEL_INT(check, member, function, isa, level, facts) kf__##function##_fn kf_k_##function##_##isa;
#include "kernels/kernels.def"

#endif
