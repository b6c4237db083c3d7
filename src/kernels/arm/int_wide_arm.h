/* Product of i16 inputs with i8 or i16 weights: four rows, or one, by the sixteen columns of a panel. SMLAL multiplies
 * a vector of columns by one element of a row.
 * Owner rule: pure functions. */

enum { WIDE_ROWS = 4 };

/* Weights of one pair of k: of its first k for all columns, then of its second. */
INLINE void pair_weights(const bool wide, const char *b, int16x8_t *first, int16x8_t *second) {
    if (wide) {
        const int16_t *at = (const int16_t *)(const void *)b;
        const int16x8x2_t low = vld2q_s16(at), high = vld2q_s16(at + 16);
        first[0] = low.val[0], second[0] = low.val[1], first[1] = high.val[0], second[1] = high.val[1];
        return;
    }
    const int8x16_t low = vld1q_s8((const int8_t *)b), high = vld1q_s8((const int8_t *)b + 16),
                    k0 = vuzp1q_s8(low, high), k1 = vuzp2q_s8(low, high);
    first[0] = vmovl_s8(vget_low_s8(k0)), first[1] = vmovl_high_s8(k0);
    second[0] = vmovl_s8(vget_low_s8(k1)), second[1] = vmovl_high_s8(k1);
}

#define K_STEP(w, x, lane, by, by_high)                                                                                \
    UNROLL for (int j = 0; j < 2; j++) {                                                                               \
        UNROLL for (int i = 0; i < mr; i++) {                                                                          \
            acc[i][2 * j] = by(acc[i][2 * j], vget_low_s16((w)[j]), (x)[i], lane);                                     \
            acc[i][2 * j + 1] = by_high(acc[i][2 * j + 1], (w)[j], (x)[i], lane);                                      \
        }                                                                                                              \
    }
#define PAIR(x, lane, by, by_high)                                                                                     \
    pair_weights(wide, b, first, second);                                                                              \
    K_STEP(first, x, lane, by, by_high)                                                                                \
    K_STEP(second, x, (lane) + 1, by, by_high)                                                                         \
    b += step;

INLINE void tile_i16(const int mr, const bool wide, size_t k, const int16_t *a, size_t lda, const char *b,
                     const int32_t *bias, int32_t (*sums)[KF_QPANEL]) {
    const size_t step = wide ? 64 : 32;
    V acc[WIDE_ROWS][4];
    int16x8_t first[2], second[2];
    size_t left = k;
    UNROLL for (int j = 0; j < 4; j++) { UNROLL for (int i = 0; i < mr; i++) acc[i][j] = LOADV(bias + 4 * j); }
    for (; left >= 8; left -= 8, a += 8) {
        int16x8_t x[WIDE_ROWS];
        UNROLL for (int i = 0; i < mr; i++) x[i] = vld1q_s16(a + (size_t)i * lda);
        PAIR(x, 0, vmlal_laneq_s16, vmlal_high_laneq_s16)
        PAIR(x, 2, vmlal_laneq_s16, vmlal_high_laneq_s16)
        PAIR(x, 4, vmlal_laneq_s16, vmlal_high_laneq_s16)
        PAIR(x, 6, vmlal_laneq_s16, vmlal_high_laneq_s16)
    }
    while (left) { /* a single last k has a weight of 0 beside it */
        const size_t n = left > 1 ? 2 : 1;
        int16x4_t x[WIDE_ROWS];
        UNROLL for (int i = 0; i < mr; i++) {
            const int16_t *at = a + (size_t)i * lda;
            x[i] = vcreate_s16((uint64_t)((uint32_t)(uint16_t)at[0] | (n > 1 ? (uint32_t)(uint16_t)at[1] << 16 : 0)));
        }
        PAIR(x, 0, vmlal_lane_s16, vmlal_high_lane_s16)
        left -= n, a += n;
    }
    UNROLL for (int i = 0; i < mr; i++) { UNROLL for (int j = 0; j < 4; j++) STOREV(sums[i] + 4 * j, acc[i][j]); }
}

INLINE void panel_i16(const bool wide, size_t m, size_t n, size_t k, const int16_t *a, size_t lda, const char *b,
                      size_t col, void *c, size_t ldc, const kf__requant *q) {
    int32_t sums[WIDE_ROWS][KF_QPANEL];
    for (size_t i = 0, rows; i < m; i += rows) {
        rows = m - i < WIDE_ROWS ? 1 : WIDE_ROWS;
        if (rows == 1) tile_i16(1, wide, k, a + i * lda, lda, b, q->bias + col, sums);
        else tile_i16(WIDE_ROWS, wide, k, a + i * lda, lda, b, q->bias + col, sums);
        const sums_of s = {sums[0], KF_QPANEL, rows, i, col, n - col < KF_QPANEL ? n - col : KF_QPANEL};
        finish_sums(&s, c, ldc, q);
    }
}
NOINLINE void panel_i16_i8(size_t m, size_t n, size_t k, const int16_t *a, size_t lda, const char *b, size_t col,
                           void *c, size_t ldc, const kf__requant *q) {
    panel_i16(false, m, n, k, a, lda, b, col, c, ldc, q);
}
NOINLINE void panel_i16_i16(size_t m, size_t n, size_t k, const int16_t *a, size_t lda, const char *b, size_t col,
                            void *c, size_t ldc, const kf__requant *q) {
    panel_i16(true, m, n, k, a, lda, b, col, c, ldc, q);
}

void NAME(gemm_i16)(size_t m, size_t n, size_t k, const int16_t *a, size_t lda, const void *b, bool wide, void *c,
                    size_t ldc, const kf__requant *q) {
    const size_t panel = (k + 1) / 2 * (wide ? 64 : 32);
    for (size_t col = 0; col < n; col += KF_QPANEL)
        (wide ? panel_i16_i16 : panel_i16_i8)(m, n, k, a, lda, (const char *)b + col / KF_QPANEL * panel, col, c, ldc,
                                              q);
}
