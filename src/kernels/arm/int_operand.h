/* What a tile reads, and the ends of its rows. Needs KERNEL_GROUP.
 * Owner rule: pure functions. */

/* The last bytes of m rows, each filled up to a group. */
NOINLINE void copy_ends(int m, const uint8_t *a, size_t lda, size_t bytes, uint8_t (*to)[KERNEL_GROUP]) {
    for (int i = 0; i < m; i++) {
        memset(to[i], 0, KERNEL_GROUP);
        for (size_t t = 0; t < bytes; t++) to[i][t] = a[(size_t)i * lda + t];
    }
}

typedef struct operand {
    size_t k, runs, ld_run, lda;
} operand;
