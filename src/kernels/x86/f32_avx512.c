/* f32 kernels for AVX-512 (F, BW, DQ, VL): 12 x 32 GEMM tiles, 16 channels a step elsewhere.
 * Floor 3. The bodies are in f32_template.h; this file names the vector words.
 * Owner rule: pure functions. */
#include <immintrin.h>

#include "kernels/kernels.h"

#define V __m512
#define VL 16
#define MASK __mmask16
#define LOAD(p) _mm512_loadu_ps(p)
#define LOADM(p, m) _mm512_maskz_loadu_ps(m, p)
#define STOREM(p, m, v) _mm512_mask_storeu_ps(p, m, v)
#define SET1(x) _mm512_set1_ps(x)
#define FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define MIN(a, b) _mm512_min_ps(a, b)
#define MAX(a, b) _mm512_max_ps(a, b)
#define ADD(a, b) _mm512_add_ps(a, b)
#define MUL(a, b) _mm512_mul_ps(a, b)
#define ZERO _mm512_setzero_ps()
#define TAIL(n) ((n) >= 16 ? (__mmask16)0xffff : (__mmask16)((1u << (n)) - 1))
#define NAME(base) kf_k_##base##_avx512
#define PAIR 1
#define MR1 24
#define MR2 12

#include "kernels/x86/f32_template.h"
