/* f32 kernels for AVX-512 (F, BW, DQ, VL): 14 x 32 GEMM tiles, 16 channels at a time elsewhere. The bodies are in
 * kernels/body/f32_template.h and what it includes; this file names the vector words.
 * Owner rule: pure functions. */
#include <immintrin.h>

#include "kernels/kernels.h"

#define V __m512
#define VL 16
#define MASK __mmask16
#define LOAD(p) _mm512_loadu_ps(p)
#define LOADM(p, m) _mm512_maskz_loadu_ps(m, p)
#define STORE(p, v) _mm512_storeu_ps(p, v)
#define STOREM(p, m, v) _mm512_mask_storeu_ps(p, m, v)
#define SET1(x) _mm512_set1_ps(x)
#define FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define MIN(a, b) _mm512_min_ps(a, b)
#define MAX(a, b) _mm512_max_ps(a, b)
#define ADD(a, b) _mm512_add_ps(a, b)
#define MUL(a, b) _mm512_mul_ps(a, b)
#define ZERO _mm512_setzero_ps()
#define TAIL(n) ((n) >= 16 ? (__mmask16)0xffff : (__mmask16)((1u << (n)) - 1))
/* Forces one load: compilers tend to load a value that is used twice as a memory operand of both uses. */
#define IN_REGISTER(vector) __asm__("" : "+v"(vector))
#define NAME(base) kf_k_##base##_avx512

/* Half a panel, if eight columns or fewer remain: a 256-bit multiply-add costs half as much on some processors. */
#define HALVES 1
#define H __m256
#define HL 8
#define HMASK __mmask8
#define HLOW(v) _mm512_castps512_ps256(v)
#define HLOAD(p) _mm256_loadu_ps(p)
#define HLOADM(p, m) _mm256_maskz_loadu_ps(m, p)
#define HSTORE(p, v) _mm256_storeu_ps(p, v)
#define HSTOREM(p, m, v) _mm256_mask_storeu_ps(p, m, v)
#define HSET1(x) _mm256_set1_ps(x)
#define HFMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define HMIN(a, b) _mm256_min_ps(a, b)
#define HMAX(a, b) _mm256_max_ps(a, b)
#define HADD(a, b) _mm256_add_ps(a, b)
#define HMUL(a, b) _mm256_mul_ps(a, b)
#define HZERO _mm256_setzero_ps()
#define HTAIL(n) (HMASK) TAIL(n)
#define HWHOLE(m) ((m) == 0xff)

/* Rows of a tile of 1, 1 1/2, 2 and 2 1/2 panels: accumulators, weights and one value of A fill the 32 registers. */
#define ROWS_1 24
#define ROWS_1H 14
#define ROWS_2 14
#define ROWS_2H 9
/* Columns of a depthwise row at once, at most. */
#define DW_MOST 14
/* Lines to prefetch for each line of a panel that is used. */
#define ASKS 2
#define BLOCK_ROWS 98
#define BLOCK_ROWS_DEEP 56

#include "kernels/body/f32_template.h"
