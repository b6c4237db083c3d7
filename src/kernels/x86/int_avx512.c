/* Integer kernels for AVX-512 without VNNI: bytes widened in place, pairs of i16 products (exact in i32).
 * Floor 3. The bodies are in int_template.h.
 * Owner rule: pure functions. */
#define RING 0
#include "kernels/x86/int_words512.h"

#define NAME(base) kf_k_##base##_avx512
#define DW3_J 2
#define SPLIT 1
#define EVEN(x) _mm512_and_si512(x, _mm512_set1_epi32(0x00ff00ff))
#define ODD(x) _mm512_srli_epi16(x, 8)
#define DOT(acc, x, w, odd) ADDI(acc, ADDI(_mm512_madd_epi16(EVEN(x), w), _mm512_madd_epi16(ODD(x), odd)))
#define DOT2(acc, x, w) ADDI(acc, _mm512_madd_epi16(x, w))

#include "kernels/x86/int_template.h"
