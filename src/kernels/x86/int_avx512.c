/* Integer kernels of 16-bit inputs and elementwise steps for AVX-512, with and without VNNI: memory limits them, not
 * products. The few CPUs without VNNI run the 8-bit kernels of AVX2: a third set of them would double the size of
 * the library's kernels. The bodies are in kernels/body/int_wide.h. Owner rule: pure functions. */
#include "kernels/x86/int_words512.h"

#define NAME(base) kf_k_##base##_avx512
#define SPLIT 1
#define DOT2(acc, x, w) ADDI(acc, _mm512_madd_epi16(x, w))
#define WITH_WIDE
#define WIDE_ONLY

#include "kernels/body/int_template.h"
