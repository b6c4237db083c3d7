/* f32 kernels for AVX2 with FMA: 6 x 16 GEMM tiles, 8 channels at a time elsewhere. The bodies are in
 * kernels/body/f32_template.h and what it includes; this file names the vector words.
 * Owner rule: pure functions. */
#include <immintrin.h>

#include "kernels/kernels.h"

static inline __m256i tail_mask(size_t n) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n >= 8 ? 8 : (int)n), lane);
}

#define V __m256
#define VL 8
#define MASK __m256i
#define LOAD(p) _mm256_loadu_ps(p)
#define LOADM(p, m) _mm256_maskload_ps(p, m)
#define STORE(p, v) _mm256_storeu_ps(p, v)
#define STOREM(p, m, v) _mm256_maskstore_ps(p, m, v)
#define SET1(x) _mm256_set1_ps(x)
#define FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define MIN(a, b) _mm256_min_ps(a, b)
#define MAX(a, b) _mm256_max_ps(a, b)
#define ADD(a, b) _mm256_add_ps(a, b)
#define MUL(a, b) _mm256_mul_ps(a, b)
#define ZERO _mm256_setzero_ps()
#define TAIL(n) tail_mask(n)
/* Forces one load: compilers tend to load a value that is used twice as a memory operand of both uses. */
#define IN_REGISTER(vector) __asm__("" : "+v"(vector))
#define NAME(base) kf_k_##base##_avx2

/* Rows of a tile that is half a panel wide (one vector), or a panel (two). */
#define HALVES 0
#define HL 8
#define ROWS_1 12
#define ROWS_2 6
/* Columns of a depthwise row at once, at most. */
#define DW_MOST 7
/* Lines to prefetch for each line of a panel that is used. */
#define ASKS 1
#define BLOCK_ROWS 96
#define BLOCK_ROWS_DEEP 48

#include "kernels/body/f32_template.h"
