/* The tile kernel is proved before it is used: a process first computes a few products with it and compares the
 * bytes with the scalar kernel. Machines without tiles check it on a model of the instructions
 * (tests/kernels/tile_model.h). Owner rule: one static verdict. */
#include "kernels/kernels_int.h"

#include <stdatomic.h>

/* Rows, columns and k that need every kind of tile: two tiles of rows and one that overlaps the one before it, two
 * panels and a half, and two steps of which the second overlaps the first. */
enum { M = 37, N = 40, K = 68, RUN = 32, PANELS = (N + KF_QPANEL - 1) / KF_QPANEL, ROOM = N + 2 * KF_QPAD };

/* The product with plain rows, or with rows of two runs that overlap like windows of an image; rounded to bytes, or
 * as sums. */
static void product(kf__gemm_u8_fn *gemm, int turn, const uint8_t *a, const int8_t *b, void *c) {
    int32_t bias[ROOM] = {0}, zero[ROOM] = {0};
    float mul[ROOM] = {0}, lo[ROOM] = {0}, hi[ROOM] = {0};
    uint8_t lo8[ROOM] = {0}, hi8[ROOM] = {0};
    kf__requant q = {.bias = bias, .mul = mul, .out = turn & 1 ? KF_U8 : KF_F32, .zero = zero, .flo = lo, .fhi = hi};
    for (int i = 0; i < N; i++)
        bias[i] = 977 * i - 20000, mul[i] = turn & 1 ? 0.0008f : 1, zero[i] = 100, lo[i] = -100, hi[i] = 155;
    if (turn & 1) kf__requant_bound(&q, 16777216, N, 16, lo8, hi8);
    if (turn & 2) gemm(M, N, RUN, 2, K, a, 4, b, c, N, &q);
    else gemm(M, N, K, 1, 0, a, K, b, c, N, &q);
}

/* Four products: plain rows and overlapping runs, each rounded to bytes and as sums. One more float behind the result
 * shows a store beyond it. */
bool kf__gemm_u8_agrees(kf__gemm_u8_fn *gemm) {
    uint8_t a[M * K];
    int8_t b[PANELS * KF_QPANEL * K];
    float want[M * N + 1], got[M * N + 1];
    kf__random r = {5};
    for (size_t i = 0; i < sizeof a; i++) a[i] = (uint8_t)kf__random_u64(&r);
    for (size_t i = 0; i < sizeof b; i++) b[i] = (int8_t)kf__random_range(&r, -127, 127);
    for (int turn = 0; turn < 4; turn++) {
        memset(want, 0, sizeof want), memset(got, 0, sizeof got);
        product(kf_k_gemm_u8_scalar, turn, a, b, want);
        product(gemm, turn, a, b, got);
        if (memcmp(want, got, sizeof want) != 0) return false;
    }
    return true;
}

bool kf__kernels_adopt(kf__gemm_u8_fn *gemm, const char *name, kf__cpu_level level, kf__kernels_int *out) {
    if (!kf__gemm_u8_agrees(gemm)) {
        kf__cpu_bar(level);
        return false;
    }
    out->gemm_u8 = gemm, out->gemm_u8_name = name;
    return true;
}

void kf__kernels_select_proved(kf__gemm_u8_fn *gemm, const char *name, kf__cpu_level level, kf__kernels_int *out) {
    enum { UNKNOWN, GOOD, BAD };
    static atomic_int verdict; /* of the one kernel that kernels.def marks as PROVED */
    int known = atomic_load(&verdict);
    if (known == UNKNOWN) atomic_store(&verdict, kf__kernels_adopt(gemm, name, level, out) ? GOOD : BAD);
    else if (known == GOOD) out->gemm_u8 = gemm, out->gemm_u8_name = name;
}
