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

#define DOT2(acc, x, w) _mm512_dpwssd_epi32(acc, x, w)
#include "kernels/x86/int_row.h"

APART void row_i8(size_t panels, size_t n, size_t k, const int16_t *a, const char *b, size_t col, void *c, const kf__requant *q) {
    row_i16(1, panels, n, k, a, b, col, 0, c, n, q);
}

/* One row of 8-bit weights, as in gates and classifiers, is as fast as the memory; the others are those of AVX-512. */
void NAME(gemm_i16)(size_t m, size_t n, size_t k, const int16_t *a, size_t lda, const void *b, bool wide, void *c, size_t ldc, const kf__requant *q) {
    if (m > 1 || wide) {
        kf_k_gemm_i16_avx512(m, n, k, a, lda, b, wide, c, ldc, q);
        return;
    }
    for (size_t col = 0; col < n; col += 4 * KF_QPANEL) {
        size_t left = (n - col + KF_QPANEL - 1) / KF_QPANEL;
        row_i8(left < 4 ? left : 4, n, k, a, (const char *)b + kf__gemm_i16_packed(false, col, k), col, c, q);
    }
}
