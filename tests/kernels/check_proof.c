/* Check of the proof that a kernel has to pass before it is used: kernels with one fault each must fail it, and their
 * level is then barred. A machine or an emulator that computes wrong has such kernels. Owner rule: nothing is kept. */
#include "kernels/kernels_int.h"
#include "kitfox/kitfox.h"

#include <stdio.h>

/* The level that has a kernel to prove (kernels.def), and one that it contains. */
#if defined(KF_ARM64)
static const kf__cpu_level LEVEL = KF_CPU_I8MM, BELOW = KF_CPU_DOTPROD, OTHER = KF_CPU_NEON;
#else
static const kf__cpu_level LEVEL = KF_CPU_AMX, BELOW = KF_CPU_AVX512VNNI, OTHER = KF_CPU_SSE4;
#endif

static int failures;

static void expect(bool good, const char *what) {
    if (good) return;
    printf("FAIL %s\n", what);
    failures++;
}

enum { LAST_BYTE, LAST_FOUR, SECOND_RUN, BEYOND, WRONG };
static int wrong;

/* The scalar kernel with one thing wrong, as a kernel that handles a remainder badly would have it. */
static void wrong_gemm(size_t m, size_t n, size_t k, size_t runs, size_t ld_run, const uint8_t *a, size_t lda,
                       const void *b, void *c, size_t ldc, const kf__requant *q) {
    static uint8_t copy[8192];
    size_t bytes = runs == 1 ? m * k : (m - 1) * lda + ld_run + k, out = m * n * kf_dtype_size(q->out);
    memcpy(copy, a, bytes);
    if (wrong == LAST_FOUR && runs == 1) memset(copy + bytes - 4, 0, 4);
    if (wrong == SECOND_RUN && runs == 2) ld_run--;
    kf_k_gemm_u8_scalar(m, n, k, runs, ld_run, copy, lda, b, c, ldc, q);
    if (wrong == LAST_BYTE && q->out == KF_U8) ((uint8_t *)c)[out - 1] ^= 1;
    if (wrong == BEYOND && q->out == KF_F32) ((uint8_t *)c)[out] = 1;
}

/* Each faulty kernel is refused, and everything that asks for its level knows that. */
static void refused(void) {
    kf__kernels_int faulty;
    kf__kernels_select_int(KF_CPU_SCALAR, &faulty);
    expect(kf__gemm_u8_agrees(&faulty), "the scalar kernel agrees with itself");
    faulty.gemm_u8 = wrong_gemm;
    for (wrong = 0; wrong < WRONG; wrong++) {
        char what[80];
        snprintf(what, sizeof what, "a kernel with fault %d is refused and the level barred", wrong);
        expect(!kf__kernels_prove(&faulty, LEVEL), what);
        expect(!kf__cpu_usable(LEVEL) && kf__cpu_level_now() != LEVEL && kf__cpu_level_best() != LEVEL, what);
        expect(kf_cpu_limit(kf__cpu_level_name(LEVEL), NULL) == KF_ERR_UNSUPPORTED &&
                   kf_cpu_limit("scalar", NULL) == KF_OK && kf_cpu_limit(NULL, NULL) == KF_OK,
               "limits know the bar");
        kf__cpu_bar(KF_CPU_LEVELS);
    }
}

static void bars(void) {
    kf__cpu_level best = kf__cpu_level_best();
    kf__cpu_bar(best ? best : OTHER);
    expect(!best == (kf__cpu_level_best() == best), "a barred level is not the best one");
    kf__cpu_bar(KF_CPU_SCALAR);
    expect(kf__cpu_level_now() == KF_CPU_SCALAR && kf__cpu_usable(KF_CPU_SCALAR), "scalar cannot be barred");
    kf__cpu_bar(KF_CPU_LEVELS);
    expect(kf__cpu_level_best() == best, "the bar can be taken away");
}

/* The verdict holds for the process. Where it is bad, the level has the kernels and facts of the one below. */
static void passed_over(void) {
#if !defined(KF_ARM64) && !defined(KF_AMX)
    (void)BELOW; /* no kernel to prove */
#else
    kf__kernels_int faulty, above = {0}, below = {0};
    kf__kernels_select_int(KF_CPU_SCALAR, &faulty);
    faulty.gemm_u8 = wrong_gemm, wrong = LAST_BYTE;
    expect(!kf__kernels_proved(&faulty, LEVEL), "the first kernel is refused");
    wrong = WRONG; /* no fault; the verdict stays */
    expect(kf__gemm_u8_agrees(&faulty) && !kf__kernels_proved(&faulty, LEVEL), "the verdict stays");
    kf__kernels_select_int(LEVEL, &above), kf__kernels_select_int(BELOW, &below);
    expect(memcmp(&above, &below, sizeof above) == 0, "a refused level has the kernels of the one below");
    kf__cpu_bar(KF_CPU_LEVELS);
#endif
}

int main(void) {
    refused();
    bars();
    passed_over();
    printf("proof: %d failures\n", failures);
    return failures != 0;
}
