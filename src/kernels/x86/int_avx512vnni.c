/* Integer kernels for AVX-512 VNNI: four u8 x i8 products per lane, exact (vpdpbusd does not saturate). The bodies are
 * in kernels/body/int_template.h.
 * Owner rule: pure functions. */
#include "kernels/x86/int_finish.h"
#include "kernels/x86/int_words512.h"

#define NAME(base) kf_k_##base##_avx512vnni
#define DW3_J 4
#define FOLD_BODY "kernels/x86/int_fold.h"
#define SPLIT 0
#define DOT(acc, x, w, odd) ((void)(odd), _mm512_dpbusd_epi32(acc, x, w))
/* As one instruction: otherwise compilers move the loads of all taps out of the loop and spill them. */
#define DOT_AT(acc, x, at) __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(x), "m"(*(at)))

/* The same weights for two sums. */
#define DOT_PAIR(a, b, x, y, at)                                                                                       \
    do {                                                                                                               \
        V weights;                                                                                                     \
        __asm__("vmovdqu64 %5, %2\n\tvpdpbusd %2, %3, %0\n\tvpdpbusd %2, %4, %1"                                       \
                : "+v"(a), "+v"(b), "=&v"(weights)                                                                     \
                : "v"(x), "v"(y), "m"(*(at)));                                                                         \
    } while (0)

#include "kernels/body/int_template.h"

#define DOT2(acc, x, w) _mm512_dpwssd_epi32(acc, x, w)
#include "kernels/body/int_row.h"

NOINLINE void row_i8(size_t panels, size_t n, size_t k, const int16_t *a, const char *b, size_t col, void *c,
                     const kf__requant *q) {
    row_i16(1, panels, n, k, a, b, col, 0, c, n, q);
}

/* Products of one row by 8-bit weights (gates, classifiers) have their own kernel, which is as fast as memory. The
 * others are those of AVX-512. */
void NAME(gemm_i16)(size_t m, size_t n, size_t k, const int16_t *a, size_t lda, const void *b, bool wide, void *c,
                    size_t ldc, const kf__requant *q) {
    if (m > 1 || wide) {
        kf_k_gemm_i16_avx512(m, n, k, a, lda, b, wide, c, ldc, q);
        return;
    }
    for (size_t col = 0; col < n; col += 4 * KF_QPANEL) {
        size_t left = (n - col + KF_QPANEL - 1) / KF_QPANEL;
        row_i8(left < 4 ? left : 4, n, k, a, (const char *)b + kf__gemm_i16_packed(false, col, k), col, c, q);
    }
}

/* The common kinds, four rows at a time. Returns the rows done. */
INLINE size_t finish_four_rows(const int kind, const int32_t *sums, size_t ld, size_t rows, size_t row, size_t col,
                               size_t n, void *c, size_t ldc, const kf__requant *q) {
    size_t i = 0;
    for (; i + 4 <= rows; i += 4) {
        V acc[4][4 * W];
        for (size_t x = 0; x < 4; x++) acc[x][0] = LOADV(sums + (i + x) * ld);
        finish_tile(kind, 4, 1, acc, n, col, row + i, c, ldc, q);
    }
    return i;
}

/* The common epilogues four rows at a time; rare ones, and rows that are left, one by one. */
void kf_k_finish_q_avx512vnni(const int32_t *sums, size_t ld, size_t rows, size_t row, size_t col, size_t n, void *c,
                              size_t ldc, const kf__requant *q) {
    size_t done = 0;
    switch (kind_of(q)) {
    case PLAIN_Q: done = finish_four_rows(PLAIN_Q, sums, ld, rows, row, col, n, c, ldc, q); break;
    case HSWISH_Q: done = finish_four_rows(HSWISH_Q, sums, ld, rows, row, col, n, c, ldc, q); break;
    case RESIDUAL_Q: done = finish_four_rows(RESIDUAL_Q, sums, ld, rows, row, col, n, c, ldc, q); break;
    default: break;
    }
    for (; done < rows; done++) {
        V acc = LOADV(sums + done * ld);
        finish_slow(1, 1, &acc, n, col, row + done, c, ldc, q);
    }
}
