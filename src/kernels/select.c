/* Dispatch and packing: scalar first, then a ladder of early returns over the usable CPU level.
 * Floor 3.
 * Owner rule: fills the caller's table. */
#include "kernels/kernels.h"
#include "kernels/kernels_int.h"

#define USE(t, isa)                                                                                                    \
    do {                                                                                                               \
        (t)->gemm_f32 = kf_k_gemm_f32_##isa, (t)->gemm_f32_name = "gemm_f32_" #isa;                                    \
        (t)->conv_f32 = kf_k_conv_f32_##isa, (t)->conv_f32_name = "conv_f32_" #isa;                                    \
        (t)->dwconv_f32 = kf_k_dwconv_f32_##isa, (t)->dwconv_f32_name = "dwconv_f32_" #isa;                            \
        (t)->scale_f32 = kf_k_scale_f32_##isa, (t)->scale_f32_name = "scale_f32_" #isa;                                \
        (t)->colsum_f32 = kf_k_colsum_f32_##isa, (t)->colsum_f32_name = "colsum_f32_" #isa;                            \
        (t)->eltwise_f32 = kf_k_eltwise_f32_##isa, (t)->eltwise_f32_name = "eltwise_f32_" #isa;                        \
    } while (0)

void kf__kernels_select(kf__cpu_level cpu, kf__kernels *out) {
    USE(out, scalar);
#if defined(__x86_64__)
    if (cpu < KF_CPU_SSE4) return;
    USE(out, sse4);
    if (cpu < KF_CPU_AVX2) return;
    USE(out, avx2);
    if (cpu < KF_CPU_AVX512) return;
    USE(out, avx512);
#else
    (void)cpu;
#endif
}

size_t kf__gemm_f32_packed(size_t n, size_t k) { return kf__round_up(n, KF_GEMM_PANEL) * k; }

void kf__gemm_f32_pack(size_t n, size_t k, const float *w, float *packed) {
    for (size_t j0 = 0; j0 < n; j0 += KF_GEMM_PANEL)
        for (size_t x = 0; x < k; x++)
            for (size_t j = 0; j < KF_GEMM_PANEL; j++) *packed++ = j0 + j < n ? w[(j0 + j) * k + x] : 0;
}

size_t kf__dwconv_f32_packed(size_t taps, size_t c) { return kf__round_up(c, KF_DWCONV_PANEL) * taps; }

void kf__dwconv_f32_pack(size_t taps, size_t c, const float *w, size_t tap, size_t channel, float *packed) {
    for (size_t block = 0; block * KF_DWCONV_PANEL < c; block++)
        for (size_t t = 0; t < taps; t++)
            for (size_t j = 0; j < KF_DWCONV_PANEL; j++) {
                size_t ch = kf__dwconv_first(c, block) + j;
                *packed++ = ch < c ? w[t * tap + ch * channel] : 0;
            }
}

#define USE_U8(t, isa)                                                                                                 \
    do {                                                                                                               \
        (t)->gemm_u8 = kf_k_gemm_u8_##isa, (t)->gemm_u8_name = "gemm_u8_" #isa;                                        \
        (t)->dwconv_u8 = kf_k_dwconv_u8_##isa, (t)->dwconv_u8_name = "dwconv_u8_" #isa;                                \
    } while (0)
#define USE_WIDE(t, isa)                                                                                               \
    do {                                                                                                               \
        (t)->gemm_i16 = kf_k_gemm_i16_##isa, (t)->gemm_i16_name = "gemm_i16_" #isa;                                    \
        (t)->dwconv_i16 = kf_k_dwconv_i16_##isa, (t)->dwconv_i16_name = "dwconv_i16_" #isa;                            \
        (t)->affine_q = kf_k_affine_q_##isa, (t)->affine_q_name = "affine_q_" #isa;                                    \
        (t)->colsum_q = kf_k_colsum_q_##isa, (t)->colsum_q_name = "colsum_q_" #isa;                                    \
    } while (0)
#define USE_MAP(t, isa)                                                                                                \
    do {                                                                                                               \
        (t)->eltwise_q = kf_k_eltwise_q_##isa, (t)->eltwise_q_name = "eltwise_q_" #isa;                                \
        (t)->pool_q = kf_k_pool_q_##isa, (t)->pool_q_name = "pool_q_" #isa;                                            \
    } while (0)

void kf__kernels_select_int(kf__cpu_level cpu, kf__kernels_int *out) {
    USE_U8(out, scalar);
    USE_WIDE(out, scalar);
    USE_MAP(out, scalar);
    out->pixels = NULL, out->interleave = NULL;
    out->dwconv_any = kf_k_dwconv_u8_scalar, out->dwconv_any_name = "dwconv_u8_scalar";
    out->gemm_layout = KF_QLAYOUT_QUADS, out->dw_layout = KF_QLAYOUT_PLAIN, out->dw_block = 16;
#if defined(__x86_64__)
    if (cpu < KF_CPU_SSE4) return;
    USE_U8(out, sse4);
    USE_WIDE(out, sse4);
    USE_MAP(out, sse4);
    out->dwconv_any = kf_k_dwconv_u8_sse4, out->dwconv_any_name = "dwconv_u8_sse4"; /* on the rungs above too */
    out->gemm_layout = KF_QLAYOUT_SPLIT;
    if (cpu < KF_CPU_AVX2) return;
    USE_U8(out, avx2);
    USE_WIDE(out, avx2);
    USE_MAP(out, avx2);
    out->pixels = kf_k_pixels_avx2, out->interleave = kf_k_interleave_avx2;
    out->gemm_layout = KF_QLAYOUT_SPLIT, out->dw_layout = KF_QLAYOUT_PAIRS, out->dw_block = 16;
    if (cpu == KF_CPU_AVXVNNI) {
        USE_U8(out, avxvnni);
        out->gemm_layout = out->dw_layout = KF_QLAYOUT_QUADS, out->dw_block = 32;
    }
    if (cpu < KF_CPU_AVX512) return;
    USE_WIDE(out, avx512);
    if (cpu < KF_CPU_AVX512VNNI) return;
    USE_U8(out, avx512vnni);
    out->gemm_i16 = kf_k_gemm_i16_avx512vnni, out->gemm_i16_name = "gemm_i16_avx512vnni";
    out->gemm_layout = out->dw_layout = KF_QLAYOUT_QUADS, out->dw_block = 64;
    if (cpu < KF_CPU_AMX) return;
    kf__kernels_select_tiles(out);
#else
    (void)cpu;
#endif
}
