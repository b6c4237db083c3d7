/* The yardstick of the benchmarks: how many f32 multiply-adds a nanosecond the FMA units do with nothing in their way.
 * Floor 9. Functions carry their own instruction set, so the file needs no flags.
 * Owner rule: pure measurement. */
#include "harness.h"

#if defined(__x86_64__)
#include <immintrin.h>

enum { CHAINS = 12, STEPS = 2000 };

#define LIMIT(name, isa, V, SET1, FMADD)                                                                               \
    __attribute__((target(isa), noinline)) static void name(float *out) {                                              \
        V acc[CHAINS], x = SET1(out[0]), y = SET1(out[1]);                                                             \
        for (int i = 0; i < CHAINS; i++) acc[i] = SET1((float)i);                                                      \
        for (int s = 0; s < STEPS; s++)                                                                                \
            _Pragma("GCC unroll 12") for (int i = 0; i < CHAINS; i++) acc[i] = FMADD(x, y, acc[i]);                    \
        for (int i = 0; i < CHAINS; i++) memcpy(out + 2 + i * 16, &acc[i], sizeof(V));                                 \
    }
LIMIT(chains_avx2, "avx2,fma", __m256, _mm256_set1_ps, _mm256_fmadd_ps)
LIMIT(chains_avx512, "avx512f,fma", __m512, _mm512_set1_ps, _mm512_fmadd_ps)

double fma_limit(kf__cpu_level level) {
    float out[2 + CHAINS * 16] = {0.5f, 0.25f};
    double ns;
    if (level < KF_CPU_AVX2) return 0;
    bool wide = level >= KF_CPU_AVX512;
    BENCH(ns, (wide ? chains_avx512 : chains_avx2)(out));
    return (wide ? 16.0 : 8.0) * CHAINS * STEPS / ns;
}
#else
double fma_limit(kf__cpu_level level) { return 0; }
#endif
