/* The product of bytes of an Arm level: which rows and panels a tile takes, and the ends of rows. Needs KERNEL_GROUP
 * and TILE_ROWS; the including file defines the functions that are declared here.
 * Owner rule: pure functions. */

/* Rows of A and a panel of B. */
typedef struct operand {
    const uint8_t *at[TILE_ROWS]; /* rows */
    size_t k, runs, ld_run;       /* as in gemm_u8; k is a multiple of the group */
    const int8_t *b;
} operand;

/* Adds the products of `rows` rows, at most TILE_ROWS, to their sums. Where `rows` is less, the last row may be summed
 * several times. */
static void tile_u8(const operand *o, size_t rows, int32_t (*sums)[KF_QPANEL]);

/* The last bytes of the rows. What fills their group up has weights of 0. */
NOINLINE void add_ends(const operand *whole, size_t rows, size_t bytes, const int8_t *b, int32_t (*sums)[KF_QPANEL]) {
    uint8_t ends[TILE_ROWS][KERNEL_GROUP];
    operand o = {.k = KERNEL_GROUP, .runs = 1, .b = b};
    for (size_t i = 0; i < TILE_ROWS; i++) {
        memset(ends[i], 0, KERNEL_GROUP);
        for (size_t t = 0; t < bytes; t++) ends[i][t] = whole->at[i][whole->k + t];
        o.at[i] = ends[i];
    }
    tile_u8(&o, rows, sums);
}

/* Rows i..i+rows-1 of one panel. */
static void panel_u8(const operand *first, size_t rest, size_t rows, size_t panel, int32_t (*sums)[KF_QPANEL],
                     const int32_t *bias) {
    for (size_t i = 0; i < rows; i++) memcpy(sums[i], bias, sizeof sums[i]);
    if (first->k) tile_u8(first, rows, sums);
    if (rest) /* only products of one run have a rest */
        add_ends(first, rows, rest, first->b + panel - KERNEL_GROUP * KF_QPANEL, sums);
}

/* A block of A stays in the near caches while all panels use it. */
void NAME(gemm_u8)(size_t m, size_t n, size_t k, size_t runs, size_t ld_run, const uint8_t *a, size_t lda,
                   const void *b, void *c, size_t ldc, const kf__requant *q) {
    const size_t rest = k % KERNEL_GROUP,
                 panel = (runs * k + KERNEL_GROUP - 1) / KERNEL_GROUP * KERNEL_GROUP * KF_QPANEL;
    operand o = {.k = k - rest, .runs = runs, .ld_run = ld_run};
    int32_t sums[TILE_ROWS][KF_QPANEL];
    for (size_t i0 = 0, i1; i0 < m; i0 = i1) {
        i1 = m - i0 < 144 ? m : i0 + 96;
        for (size_t col = 0; col < n; col += KF_QPANEL) {
            o.b = (const int8_t *)b + col / KF_QPANEL * panel;
            for (size_t i = i0, rows; i < i1; i += rows) {
                rows = i1 - i < TILE_ROWS ? i1 - i : TILE_ROWS;
                for (size_t r = 0; r < TILE_ROWS; r++) o.at[r] = a + (i + (r < rows ? r : rows - 1)) * lda;
                panel_u8(&o, rest, rows, panel, sums, q->bias + col);
                const sums_of s = {sums[0], KF_QPANEL, rows, i, col, n - col < KF_QPANEL ? n - col : KF_QPANEL};
                finish_sums(&s, c, ldc, q);
            }
        }
    }
}
