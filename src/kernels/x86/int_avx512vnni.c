/* Integer kernels for AVX-512 VNNI: four u8 x i8 products a lane, exact (vpdpbusd does not saturate).
 * Floor 3. The bodies are in int_template.h.
 * Owner rule: pure functions. */
#include "kernels/x86/int_words512.h"

#define NAME(base) kf_k_##base##_avx512vnni
#define DW3_J 4
#define SPLIT 0
#define DOT(acc, x, w, odd) ((void)(odd), _mm512_dpbusd_epi32(acc, x, w))
/* As one instruction: compilers otherwise move the loads of all taps out of the loop, into memory and back. */
#define DOT_AT(acc, x, at) __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(x), "m"(*(at)))

#include "kernels/x86/int_template.h"
