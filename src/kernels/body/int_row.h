/* Product of one row of i16 inputs with packed weights, included by int_wide.h and by instruction sets that have a
 * better product for it. Needs DOT2 besides what int_template.h needs. Owner rule: pure functions. */

/* One pair of k, or a single last one; `size`: bytes of a weight. */
INLINE void step_i16(const int mr, const int np, V (*acc)[4 * W], const int16_t *a, size_t lda, const char *b,
                     size_t pairs, const int size, const size_t bytes) {
    V w[4 * W];
    UNROLL for (int j = 0; j < np * W; j++) {
        const char *at = b + (size_t)(j / W) * pairs * KF_QPANEL * 2 * (size_t)size + (size_t)((j % W) * VL * 2 * size);
        w[j] = size == 2 ? LOADV(at) : load_bytes(at);
    }
    UNROLL for (int i = 0; i < mr; i++) {
        uint32_t pair = 0;
        memcpy(&pair, a + (size_t)i * lda, bytes);
        V x = SET1I((int)pair);
        UNROLL for (int j = 0; j < np * W; j++) acc[i][j] = DOT2(acc[i][j], x, w[j]);
    }
}

/* One row by `panels` panels, at most four, one after another: weights are read once, sequentially, which is
 * fastest. Each column has four sums, because dependent products wait for each other. */
INLINE void row_i16(const int size, size_t panels, size_t n, size_t k, const int16_t *a, const char *b, size_t col,
                    size_t row, void *c, size_t ldc, const kf__requant *q) {
    const size_t step = (size_t)(KF_QPANEL * 2 * size), unrolled = k / 8 * 4;
    V sums[4 * W];
    for (size_t p = 0; p < panels; p++) {
        V s[4][1][4 * W];
        size_t g = 0;
        UNROLL for (int j = 0; j < W; j++) {
            s[0][0][j] = LOADV(q->bias + col + p * KF_QPANEL + (size_t)(j * VL));
            s[1][0][j] = s[2][0][j] = s[3][0][j] = SET1I(0);
        }
        for (; g < unrolled; g += 4) {
            UNROLL for (int x = 0; x < 4; x++, b += step)
                step_i16(1, 1, s[x], a + (g + (size_t)x) * 2, 0, b, 0, size, 4);
        }
        for (; g < k / 2; g++, b += step) step_i16(1, 1, s[0], a + g * 2, 0, b, 0, size, 4);
        if (k % 2) step_i16(1, 1, s[0], a + g * 2, 0, b, 0, size, 2), b += step;
        UNROLL for (int j = 0; j < W; j++) sums[p * W + (size_t)j] =
            ADDI(ADDI(s[0][0][j], s[1][0][j]), ADDI(s[2][0][j], s[3][0][j]));
    }
    finish_slow(1, (int)panels * W, sums, n, col, row, c, ldc, q);
}
