/* A kernel that few machines run, such as the tile kernel of x86 or that of Arm's i8mm, is proved before it is used: a
 * process first computes a few products with it and compares the bytes with the scalar kernel. Machines without tiles
 * check that one on a model of the instructions (tests/kernels/tile_model.h). Owner rule: one static verdict. */
#include "kernels/kernels_int.h"

#include <stdatomic.h>

/* Rows, columns and k that need every kind of tile. For AMX: two tiles of rows and one that overlaps the one before it,
 * two panels and a half, and two steps of which the second overlaps the first. For i8mm: tiles of four rows and of one,
 * and 16, 8 and 4 elements of k. */
enum { M = 37, N = 40, K = 76, RUN = 32, PANELS = (N + KF_QPANEL - 1) / KF_QPANEL, ROOM = N + 2 * KF_QPAD };

/* The product with plain rows, or with rows of two runs that overlap like windows of an image; rounded to bytes, or
 * as sums. `k` has the kernel and the order of weights it wants. */
static void product(const kf__kernels_int *k, int turn, const uint8_t *a, const int8_t *w, void *c) {
    int32_t bias[ROOM] = {0}, zero[ROOM] = {0};
    float mul[ROOM] = {0}, lo[ROOM] = {0}, hi[ROOM] = {0};
    uint8_t lo8[ROOM] = {0}, hi8[ROOM] = {0};
    int8_t packed[2 * PANELS * KF_QPANEL * (K + KF_GROUP_MOST)]; /* SPLIT weights take two bytes */
    kf__requant q = {.bias = bias, .mul = mul, .out = turn & 1 ? KF_U8 : KF_F32, .zero = zero, .flo = lo, .fhi = hi};
    const size_t long_k = turn & 2 ? 2 * RUN : K;
    for (size_t i = 0; i < N; i++) {
        int32_t sum = 0;
        for (size_t j = 0; j < long_k; j++) sum += w[i * long_k + j];
        bias[i] = 977 * (int32_t)i - 20000 + k->gemm_input_offset * sum;
        mul[i] = turn & 1 ? 0.0008f : 1, zero[i] = 100, lo[i] = -100, hi[i] = 155;
    }
    if (turn & 1) kf__requant_bound(&q, 16777216, N, 16, lo8, hi8);
    kf__gemm_u8_pack(k->gemm_layout, k->gemm_group, N, long_k, w, packed);
    if (turn & 2) k->gemm_u8(M, N, RUN, 2, K, a, 4, packed, c, N, &q);
    else k->gemm_u8(M, N, K, 1, 0, a, K, packed, c, N, &q);
}

/* Four products: plain rows and overlapping runs, each rounded to bytes and as sums. One more float behind the result
 * shows a store beyond it. */
bool kf__gemm_u8_agrees(const kf__kernels_int *k) {
    uint8_t a[M * K];
    int8_t w[N * K];
    float want[M * N + 1], got[M * N + 1];
    const kf__kernels_int plain = {.gemm_u8 = kf_k_gemm_u8_scalar, .gemm_layout = KF_QLAYOUT_QUADS, .gemm_group = 4};
    kf__random r = {5};
    for (size_t i = 0; i < sizeof a; i++) a[i] = (uint8_t)kf__random_u64(&r);
    for (size_t i = 0; i < sizeof w; i++) w[i] = (int8_t)kf__random_range(&r, -127, 127);
    for (int turn = 0; turn < 4; turn++) {
        memset(want, 0, sizeof want), memset(got, 0, sizeof got);
        product(&plain, turn, a, w, want);
        product(k, turn, a, w, got);
        if (memcmp(want, got, sizeof want) != 0) return false;
    }
    return true;
}

bool kf__kernels_prove(const kf__kernels_int *k, kf__cpu_level level) {
    if (kf__gemm_u8_agrees(k)) return true;
    kf__cpu_bar(level);
    return false;
}

bool kf__kernels_proved(const kf__kernels_int *k, kf__cpu_level level) {
    enum { UNKNOWN, GOOD, BAD };
    static atomic_int verdict; /* of the one kernel that kernels.def marks as PROVED */
    if (atomic_load(&verdict) == UNKNOWN) atomic_store(&verdict, kf__kernels_prove(k, level) ? GOOD : BAD);
    return atomic_load(&verdict) == GOOD;
}
