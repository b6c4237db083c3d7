/* A product of bytes as machines have it that multiply signed by signed and eight at a time: it stands in for kernels
 * of other processors, so that packing and folding are tested for groups and input offsets that no kernel of this
 * machine has. */
#ifndef KF_SIGNED_GROUPS_H
#define KF_SIGNED_GROUPS_H

#include <stdlib.h>

#include "kernels/kernels_int.h"

enum { SIGNED_GROUP = 8, SIGNED_OFFSET = 128 };

/* [ceil(n / 16)][ceil(k / 8)][16][8] i8 by u8 inputs less 128; the rounding is the scalar kernel's, on panels of quads
 * and without offset. */
static inline void gemm_u8_signed_groups(size_t m, size_t n, size_t k, size_t runs, size_t ld_run, const uint8_t *a,
                                         size_t lda, const void *b, void *c, size_t ldc, const kf__requant *q) {
    size_t depth = runs * k, groups = (depth + SIGNED_GROUP - 1) / SIGNED_GROUP, columns = kf__round_up(n, KF_QPANEL);
    int8_t *rows = calloc(columns * depth + 1, 1), *panels = malloc(kf__gemm_u8_packed(KF_QLAYOUT_QUADS, 4, n, depth));
    int32_t *bias = calloc(columns + KF_QPAD, sizeof *bias);
    for (size_t j = 0; j < n; j++) {
        int64_t sum = 0;
        for (size_t x = 0; x < depth; x++) {
            size_t panel = j / KF_QPANEL * groups + x / SIGNED_GROUP,
                   at = (panel * KF_QPANEL + j % KF_QPANEL) * SIGNED_GROUP;
            sum += rows[j * depth + x] = ((const int8_t *)b)[at + x % SIGNED_GROUP];
        }
        bias[j] = (int32_t)(q->bias[j] - SIGNED_OFFSET * sum);
    }
    kf__gemm_u8_pack(KF_QLAYOUT_QUADS, 4, n, depth, rows, panels);
    kf__requant shifted = *q;
    shifted.bias = bias;
    kf_k_gemm_u8_scalar(m, n, k, runs, ld_run, a, lda, panels, c, ldc, &shifted);
    free(rows), free(panels), free(bias);
}

/** The scalar table with that product. */
static inline kf__kernels_int signed_groups_table(void) {
    kf__kernels_int k;
    kf__kernels_select_int(KF_CPU_SCALAR, &k);
    k.gemm_u8 = gemm_u8_signed_groups, k.gemm_u8_name = "gemm_u8_signed_groups";
    k.gemm_group = SIGNED_GROUP, k.gemm_input_offset = SIGNED_OFFSET;
    return k;
}

#endif
