/* The end of a u8 product as a function of its own: AVX-512 VNNI's epilogue, which the tiles of AMX use too.
 * Owner rule: pure functions. */
#ifndef KF_INT_FINISH_H
#define KF_INT_FINISH_H

#include "kernels/kernels_int.h"

/** The end of a u8 GEMM: c[row + i, col + j] = requant(sums[i, j]) for `rows` rows and up to KF_QPANEL columns, those
 *  below n. Rows of sums are ld elements apart and have KF_QPANEL of them; rows and columns of c, of the residual and
 *  of the requant vectors count from the first. */
typedef void kf__finish_q_fn(const int32_t *sums, size_t ld, size_t rows, size_t row, size_t col, size_t n, void *c,
                             size_t ldc, const kf__requant *q);
kf__finish_q_fn kf_k_finish_q_avx512vnni;

#endif
