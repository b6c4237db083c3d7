/* Packing of f32 weights: panels of 16 columns, depthwise weights by blocks of 16 channels.
 * Owner rule: fills the caller's memory. */
#include "kernels/kernels.h"

uint64_t kf__gemm_f32_packed(size_t n, size_t k) { return (uint64_t)kf__round_up(n, KF_GEMM_PANEL) * k; }

void kf__gemm_f32_pack(size_t n, size_t k, const float *w, float *packed) {
    for (size_t j0 = 0; j0 < n; j0 += KF_GEMM_PANEL)
        for (size_t x = 0; x < k; x++)
            for (size_t j = 0; j < KF_GEMM_PANEL; j++) *packed++ = j0 + j < n ? w[(j0 + j) * k + x] : 0;
}

uint64_t kf__dwconv_f32_packed(size_t taps, size_t c) { return (uint64_t)kf__round_up(c, KF_DWCONV_PANEL) * taps; }

void kf__dwconv_f32_pack(size_t taps, size_t c, const float *w, size_t tap, size_t channel, float *packed) {
    for (size_t block = 0; block * KF_DWCONV_PANEL < c; block++)
        for (size_t t = 0; t < taps; t++)
            for (size_t j = 0; j < KF_DWCONV_PANEL; j++) {
                size_t ch = kf__dwconv_first(c, block) + j;
                *packed++ = ch < c ? w[t * tap + ch * channel] : 0;
            }
}
