/* Kernel contracts: one function type per family, one table of the functions chosen for this CPU; kernels.def lists the
 * kernels. Kernels are pure: no allocation, threads, globals or logging.
 * Owner rule: every pointer is borrowed for the call. Sizes count elements unless they say bytes. No kernel reads or
 * writes outside the rows it is given. */
#ifndef KF_KERNELS_H
#define KF_KERNELS_H

#include "cpu/cpu.h"
#include "tensor/requant.h"

/** Columns in one packed panel of every f32 GEMM kernel; packed weights are [ceil(n/16)][k][16], zero filled. */
#define KF_GEMM_PANEL 16
/** Channels in one block of packed depthwise weights, [ceil(c/16)][kh * kw][16]. The last block ends with the last
 * channel, so it overlaps the one before it; fewer channels than a block are filled with zeros. */
#define KF_DWCONV_PANEL 16
static inline size_t kf__dwconv_first(size_t c, size_t block) {
    size_t first = block * KF_DWCONV_PANEL;
    return first + KF_DWCONV_PANEL <= c || c < KF_DWCONV_PANEL ? first : c - KF_DWCONV_PANEL;
}

/** Bytes of a cache line. One depth (k) of an f32 panel is one line. */
enum { KF_LINE = 64 };
/** Weights that later steps will read. f32 products of several rows prefetch their lines in order while they
 * compute. */
typedef struct kf__ahead {
    const char *at; /* the next line */
    size_t lines;   /* lines left to prefetch; a few more may be prefetched, whether or not memory is mapped there */
} kf__ahead;

/** What happens to an f32 accumulator before it is stored: bias, activation, residual, clip. */
typedef struct kf__epilogue {
    const float *bias; /* [n] or NULL */
    kf__activation act;
    const float *residual; /* same rows as the output, or NULL */
    size_t ld_residual;    /* elements from row to row */
    kf__activation post;   /* NONE or CLIP, after the residual */
    kf__ahead *ahead;      /* advanced by the kernel; one per thread; NULL: no prefetch */
} kf__epilogue;

/** What to add to a number before its clip, of which one bound may be 0: 0 makes 0 of -0, as kf__clip does; -0 changes
 * nothing. Clips of vectors return the number where it equals a bound, so that NaN stays NaN. */
static inline float kf__zero_before_clip(const kf__epilogue *e) {
    const kf__activation *c = e->act.kind == KF_ACT_NONE ? &e->post : &e->act;
    return c->kind == KF_ACT_CLIP && (c->lo == 0 || c->hi == 0) ? 0.0f : -0.0f;
}

/** c[m,n] = epilogue(a[m,k] * w[n,k]^T). `b` is packed by kf__gemm_f32_pack. lda, ldc >= k, n. Rows are independent, so
 *  threads split m; panels are independent, so they may split n at multiples of KF_GEMM_PANEL. */
typedef void kf__gemm_f32_fn(size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b, float *c,
                             size_t ldc, const kf__epilogue *e);

/** Rows in pieces: row i of a matrix is `pieces` runs of `len` floats, run p at at[p] + i * step. One row of the output
 * of a dense convolution has the input rows as pieces, kw * c as len and stride * c as step. */
typedef struct kf__gemm_rows {
    const float *const *at;
    size_t pieces, len, step;
} kf__gemm_rows;
/** As gemm_f32 with k = pieces * len, of rows in pieces. */
typedef void kf__conv_f32_fn(size_t m, size_t n, const kf__gemm_rows *a, const float *b, float *c, size_t ldc,
                             const kf__epilogue *e);

/** One output row of a depthwise convolution over NHWC. */
typedef struct kf__dwconv_row {
    const float *const *rows;   /* [kh] input rows of w_in * c elements; NULL outside the image */
    int32_t kh, kw, sw, dw, pl; /* kernel, horizontal stride, dilation, left padding */
    int32_t w_in, w_out;
    size_t c;
    const float *w; /* packed by kf__dwconv_f32_pack */
    float *out;     /* [w_out, c]; does not overlap the residual */
} kf__dwconv_row;
typedef void kf__dwconv_f32_fn(const kf__dwconv_row *d, const kf__epilogue *e);

/** out[i] = x[i] * gate[i % c] for `rows` rows of c elements. */
typedef void kf__scale_f32_fn(size_t rows, size_t c, const float *x, const float *gate, float *out);
/** sums[j] += the sum of x[i, j] over `rows` rows, which is computed separately and added once. */
typedef void kf__colsum_f32_fn(size_t rows, size_t c, const float *x, float *sums);
/** out[i] = post(act(a[i] + b[i])); b may be NULL (plain activation). Only act and post of `e` are used. */
typedef void kf__eltwise_f32_fn(size_t n, const float *a, const float *b, float *out, const kf__epilogue *e);

/** Three planes of n numbers, interleaved: to[3 * i + k] = x[k][i]. */
typedef void kf__interleave_f32_fn(size_t n, const float *const x[3], float *to);

/** The functions in use, and the facts that callers need about them; filled once by kf__kernels_select from
 * kernels.def. */
typedef struct kf__kernels {
    kf__gemm_f32_fn *gemm_f32;
    kf__conv_f32_fn *conv_f32;
    kf__dwconv_f32_fn *dwconv_f32;
    kf__scale_f32_fn *scale_f32;
    kf__colsum_f32_fn *colsum_f32;
    kf__eltwise_f32_fn *eltwise_f32;
    kf__interleave_f32_fn *interleave_f32;
    const char *gemm_f32_name, *conv_f32_name, *dwconv_f32_name, *scale_f32_name, *colsum_f32_name, *eltwise_f32_name;
    const char *interleave_f32_name;
    size_t gemm_rows;        /* of the largest tile; threads take multiples of it */
    size_t gemm_columns;     /* of a panel; threads take multiples of it */
    size_t gemm_least_tiles; /* fewest tiles for which rows are split among threads: with fewer, the shares would differ
                                too much */
    size_t gemm_weights_per_line; /* weights that a tile consumes per prefetched cache line: 32 columns at one depth for
                                     four lines give 8 */
} kf__kernels;

/** For each entry, the last line of kernels.def whose level `cpu` contains. */
void kf__kernels_select(kf__cpu_level cpu, kf__kernels *out);

/** Elements of the packed form of w[n,k]. */
uint64_t kf__gemm_f32_packed(size_t n, size_t k);
void kf__gemm_f32_pack(size_t n, size_t k, const float *w, float *packed);
/** Elements of the packed form of depthwise weights of `taps` taps and c channels; tap t of channel i is w[t * tap + i
 * * channel]. */
uint64_t kf__dwconv_f32_packed(size_t taps, size_t c);
void kf__dwconv_f32_pack(size_t taps, size_t c, const float *w, size_t tap, size_t channel, float *packed);

#define KF_KERNEL_F32(check, member, function, isa, level, facts) kf__##function##_fn kf_k_##function##_##isa;
#include "kernels/kernels.def"

#endif
