/* The limit that benchmarks compare with: multiply-adds per nanosecond that the units reach when nothing else slows
 * them, f32 and bytes. Functions carry their own instruction set, so the file needs no flags.
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
    if (!kf__cpu_level_contains(level, KF_CPU_AVX2)) return 0;
    bool wide = kf__cpu_level_contains(level, KF_CPU_AVX512);
    BENCH(ns, (wide ? chains_avx512 : chains_avx2)(out));
    return (wide ? 16.0 : 8.0) * CHAINS * STEPS / ns;
}

#define LIMIT_INT(name, isa, V, SET1, DOT)                                                                             \
    __attribute__((target(isa), noinline)) static void name(int32_t *out) {                                            \
        V acc[CHAINS], x = SET1(out[0]), y = SET1(out[1]);                                                             \
        for (int i = 0; i < CHAINS; i++) acc[i] = SET1(i);                                                             \
        for (int s = 0; s < STEPS; s++)                                                                                \
            _Pragma("GCC unroll 12") for (int i = 0; i < CHAINS; i++) acc[i] = DOT(acc[i], x, y);                      \
        for (int i = 0; i < CHAINS; i++) memcpy(out + 2 + i * 16, &acc[i], sizeof(V));                                 \
    }
/* Exact products of bytes take two of these for four of them. The addition is part of it; as text, or the product, the
 * same each time, would move out of the loop. */
__attribute__((target("avx2"), always_inline)) static inline __m256i pairs(__m256i acc, __m256i x, __m256i y) {
    __m256i t;
    __asm__("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0" : "+x"(acc), "=&x"(t) : "x"(x), "x"(y));
    return acc;
}
__attribute__((target("sse4.1"), always_inline)) static inline __m128i pairs128(__m128i acc, __m128i x, __m128i y) {
    __asm__("pmaddwd %2, %1\n\tpaddd %1, %0" : "+x"(acc), "+x"(x) : "x"(y));
    return acc;
}
LIMIT_INT(pairs_sse4, "sse4.1", __m128i, _mm_set1_epi32, pairs128)
LIMIT_INT(pairs_avx2, "avx2", __m256i, _mm256_set1_epi32, pairs)
LIMIT_INT(quads_avx512, "avx512f,avx512vnni", __m512i, _mm512_set1_epi32, _mm512_dpbusd_epi32)
LIMIT_INT(quads_evex256, "avx512f,avx512vl,avx512vnni", __m256i, _mm256_set1_epi32, _mm256_dpbusd_epi32)

#if defined(KF_AMX)
/* Products of whole tiles, two by two as the kernel has them; the operands stay where they are. */
__attribute__((target("amx-tile,amx-int8"), noinline)) static void tiles_amx(void) {
    uint8_t config[64] = {1};
    for (int t = 0; t < 8; t++) config[16 + 2 * t] = 64, config[48 + t] = 16;
    __asm__ volatile("" : : "r"(config) : "memory");
    _tile_loadconfig(config);
    for (int s = 0; s < STEPS; s++) {
        _tile_dpbusd(0, 4, 6);
        _tile_dpbusd(1, 4, 7);
        _tile_dpbusd(2, 5, 6);
        _tile_dpbusd(3, 5, 7);
    }
    _tile_release();
}
#else
static void tiles_amx(void) {}
#endif

double dot_limit(kf__cpu_level level, bool wide) {
    int32_t out[2 + CHAINS * 16] = {3, 5};
    double ns;
    if (level == KF_CPU_SCALAR) return 0;
    if (level == KF_CPU_SSE4) {
        BENCH(ns, pairs_sse4(out));
        return 8.0 * CHAINS * STEPS / ns;
    }
    if (level == KF_CPU_AMX) {
        BENCH(ns, tiles_amx());
        return 4.0 * 16 * 16 * 64 * STEPS / ns;
    }
    bool quads = level == KF_CPU_AVX512VNNI || level == KF_CPU_AVXVNNI ||
                 level >= KF_CPU_LEVELS; /* beyond the last: the variants of the checks */
    bool vnni = quads && kf__cpu_usable(KF_CPU_AVX512VNNI);
    if (!vnni) BENCH(ns, pairs_avx2(out));
    else if (wide) BENCH(ns, quads_avx512(out));
    else BENCH(ns, quads_evex256(out));
    return (vnni ? wide ? 64.0 : 32.0 : 16.0) * CHAINS * STEPS / ns;
}
#else
double fma_limit(kf__cpu_level level) { return 0; }
double dot_limit(kf__cpu_level level, bool wide) { return 0; }
#endif
