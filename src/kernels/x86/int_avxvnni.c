/* Integer kernels for AVX-VNNI: four u8 x i8 products per lane in 256 bits, exact (vpdpbusd does not saturate). The
 * bodies are in kernels/body/int_template.h. KF_EVEX compiles the same kernels in the encoding of AVX-512 VL, so that
 * machines with only that can check them.
 * Owner rule: pure functions. */
#include "kernels/x86/int_words256.h"

#define MR1 6
#ifdef KF_EVEX
#define NAME(base) kf_k_##base##_avxvnni_evex
#define DOT(acc, x, w, odd) ((void)(odd), _mm256_dpbusd_epi32(acc, x, w))
kf__gemm_u8_fn kf_k_gemm_u8_avxvnni_evex;
kf__dwconv_q_fn kf_k_dwconv_u8_avxvnni_evex;
#else
#define NAME(base) kf_k_##base##_avxvnni
#define DOT(acc, x, w, odd) ((void)(odd), _mm256_dpbusd_avx_epi32(acc, x, w))
#endif
#define SPLIT 0

#include "kernels/body/int_template.h"
