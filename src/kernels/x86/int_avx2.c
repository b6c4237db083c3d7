/* Integer kernels for AVX2: bytes widened in place, pairs of i16 products (exact in i32, unlike vpmaddubsw).
 * The bodies are in kernels/body/int_template.h; the vector words in int_words256.h.
 * Owner rule: pure functions. */
#include "kernels/x86/int_words256.h"

#define MR1 4
#define MR_HALF 4
#define NAME(base) kf_k_##base##_avx2
#define SPLIT 1
#define EVEN(x) _mm256_and_si256(x, _mm256_set1_epi32(0x00ff00ff))
#define ODD(x) _mm256_srli_epi16(x, 8)
#define DOT(acc, x, w, odd) ADDI(acc, ADDI(_mm256_madd_epi16(EVEN(x), w), _mm256_madd_epi16(ODD(x), odd)))
#define DOT2(acc, x, w) ADDI(acc, _mm256_madd_epi16(x, w))
/* Needs one extra register, in this order. The compiler would add two products first, and spill sums for lack of
 * registers. */
#define DOT2_AT(acc, x, at)                                                                                            \
    do {                                                                                                               \
        V product_;                                                                                                    \
        __asm__("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0"                                                             \
                : "+x"(acc), "=&x"(product_)                                                                           \
                : "x"(x), "m"(*(const V *)(at)));                                                                      \
    } while (0)

#define DWCONV_BODY "kernels/x86/int_pairs.h"
#define WITH_WIDE
#include "kernels/body/int_template.h"
#include "kernels/body/int_map.h"
