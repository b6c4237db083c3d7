/* Integer GEMM for AMX: tiles of 16 x 16 sums, two by two, up to 64 bytes of k per step; the sums go through memory
 * to AVX-512 VNNI's epilogue. Everything else of this level comes from AVX-512 VNNI. So does the packing: a quad of
 * a panel is one row of a tile. KF_TILE_MODEL replaces the instructions by a model in C, so that machines without
 * tiles can check the kernel. Owner rule: pure functions. Tiles are configured for one call and released before it
 * returns: no state is left in the thread. */
#include <immintrin.h>

#include "kernels/x86/int_finish.h"

#ifdef KF_TILE_MODEL
#include KF_TILE_MODEL
#define NAME(base) kf_k_##base##_amx_model
#define PAYS(m, quads, steps) true /* the check runs every product that tiles can compute */
kf__gemm_u8_fn kf_k_gemm_u8_amx_model;
#else
#define NAME(base) kf_k_##base##_amx
/* A row costs VNNI half a cycle for each quad of 16 columns. It costs tiles one cycle for each step, one to store
 * the sums and about one to reload them. With few rows, a tile of weights is loaded for little work. An estimate,
 * not measured. */
#define PAYS(m, quads, steps) ((m) >= 8 && (quads) > 2 * ((steps) + 2))
#endif
#define INLINE static inline __attribute__((always_inline))

/* Rows, columns and quads of a tile, bytes of its rows, row tiles that use B together. */
enum { TILE = 16, LINE = 64, BLOCK = 6 };

/* Tells the compiler that the instructions read this memory. */
#define SEEN(p) __asm__ volatile("" : : "r"(p) : "memory")

typedef struct product {
    size_t m, n, k, runs, ld_run, lda, ldc;
    const uint8_t *a;
    const char *b;
    void *c;
    const kf__requant *q;
    size_t rows, quads, steps, depth; /* rows of a tile; of one run: quads, steps, and quads per step */
    size_t panel;                     /* bytes */
} product;

/* Tiles 0 to 3 are the sums, row by row, 4 and 5 rows of A, 6 and 7 columns of B. Inline, so that tests find
 * configuration and release in one function. */
INLINE void configure(size_t rows, size_t depth) {
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } config = {.palette = 1};
    for (int t = 0; t < 8; t++) {
        config.bytes[t] = (uint16_t)(t == 4 || t == 5 ? depth * 4 : LINE);
        config.rows[t] = (uint8_t)(t < 6 ? rows : depth);
    }
    SEEN(&config);
    _tile_loadconfig(&config);
}

/* One step; tiles go by number in the text of the instructions. */
INLINE void multiply(const int mr, const int np, const uint8_t *const a[2], size_t lda, const char *b, size_t panel) {
    _tile_loadd(6, b, LINE);
    _tile_loadd(4, a[0], lda);
    _tile_dpbusd(0, 4, 6);
    if (np == 2) {
        _tile_loadd(7, b + panel, LINE);
        _tile_dpbusd(1, 4, 7);
    }
    if (mr == 2) {
        _tile_loadd(5, a[1], lda);
        _tile_dpbusd(2, 5, 6);
    }
    if (mr == 2 && np == 2) _tile_dpbusd(3, 5, 7);
}

/* All of k for two or one row tiles that begin at rows `at`, by np panels. `last` has the weights of a last step
 * that overlaps the one before it, with zeros for what was already counted. */
INLINE void sums_of(const int mr, const int np, const product *p, const size_t at[2], const char *b, const char *last,
                    size_t col, int32_t (*sums)[2 * TILE]) {
    const int32_t *bias = p->q->bias + col;
    _tile_loadd(0, bias, 0);
    if (np == 2) _tile_loadd(1, bias + TILE, 0);
    if (mr == 2) _tile_loadd(2, bias, 0);
    if (mr == 2 && np == 2) _tile_loadd(3, bias + TILE, 0);
    for (size_t run = 0; run < p->runs; run++)
        for (size_t s = 0; s < p->steps; s++, b += p->depth * LINE) {
            bool again = (s + 1) * p->depth > p->quads; /* only in products of one run */
            size_t x = run * p->ld_run + (again ? p->quads - p->depth : s * p->depth) * 4;
            const uint8_t *a[2] = {p->a + at[0] * p->lda + x, p->a + at[1] * p->lda + x};
            multiply(mr, np, a, p->lda, again ? last : b, again ? TILE * LINE : p->panel);
        }
    int32_t(*second)[2 * TILE] = sums + (at[1] - at[0]);
    _tile_stored(0, sums, sizeof *sums);
    if (np == 2) _tile_stored(1, *sums + TILE, sizeof *sums);
    if (mr == 2) _tile_stored(2, second, sizeof *sums);
    if (mr == 2 && np == 2) _tile_stored(3, *second + TILE, sizeof *sums);
}

/* Weights of the last step for np panels: zeros for the quads that earlier steps counted, then the remaining
 * weights. */
static void fill_last(const product *p, size_t np, const char *b, char *last) {
    size_t left = p->quads - (p->steps - 1) * p->depth;
    for (size_t j = 0; j < np; j++, last += TILE * LINE, b += p->panel) {
        memset(last, 0, (p->depth - left) * LINE);
        memcpy(last + (p->depth - left) * LINE, b + (p->quads - left) * LINE, left * LINE);
    }
    SEEN(last);
}

/* Rows i0..i1-1, np panels. The last tile ends with the last row, so it may overlap the one before it. Rows that it
 * sums again are not finished again, because that would cost more than the sums. */
INLINE void panels(const int np, const product *p, size_t i0, size_t i1, size_t col) {
    _Alignas(LINE) int32_t sums[2 * TILE][2 * TILE];
    _Alignas(LINE) char last[2 * TILE * LINE];
    const char *b = p->b + col / KF_QPANEL * p->panel;
    if (p->steps * p->depth > p->quads) fill_last(p, (size_t)np, b, last);
    for (size_t i = i0, end; i < i1; i = end) {
        size_t top = p->m - p->rows, at[2] = {i < top ? i : top, i + p->rows < top ? i + p->rows : top};
        end = i + 2 * p->rows < i1 ? i + 2 * p->rows : i1;
        if (i + p->rows < i1) sums_of(2, np, p, at, b, last, col, sums);
        else sums_of(1, np, p, at, b, last, col, sums);
        for (int j = 0; j < np; j++)
            kf_k_finish_q_avx512vnni(sums[i - at[0]] + j * TILE, 2 * TILE, end - i, i, col + (size_t)j * TILE, p->n,
                                     p->c, p->ldc, p->q);
    }
}

static void one_panel(const product *p, size_t i0, size_t i1, size_t col) { panels(1, p, i0, i1, col); }
static void two_panels(const product *p, size_t i0, size_t i1, size_t col) { panels(2, p, i0, i1, col); }

/* Rows and depth are divided into equal tiles, so that no tile is nearly empty. */
void NAME(gemm_u8)(size_t m, size_t n, size_t k, size_t runs, size_t ld_run, const uint8_t *a, size_t lda,
                   const void *b, void *c, size_t ldc, const kf__requant *q) {
    size_t quads = k / 4, steps = (quads + TILE - 1) / TILE, down = (m + TILE - 1) / TILE;
    if (k % 4 == 0 && runs > 1) /* only a last run may be read twice */
        while (quads % steps) steps++;
    if (k % 4 || !PAYS(m, runs * quads, runs * steps)) {
        kf_k_gemm_u8_avx512vnni(m, n, k, runs, ld_run, a, lda, b, c, ldc, q);
        return;
    }
    product p = {m,
                 n,
                 k,
                 runs,
                 ld_run,
                 lda,
                 ldc,
                 a,
                 b,
                 c,
                 q,
                 (m + down - 1) / down,
                 quads,
                 steps,
                 (quads + steps - 1) / steps,
                 runs * quads * LINE};
    configure(p.rows, p.depth);
    for (size_t i0 = 0; i0 < m;
         i0 += BLOCK * p.rows) { /* a block of A stays in the near caches while all panels use it */
        size_t i1 = m - i0 < BLOCK * p.rows ? m : i0 + BLOCK * p.rows, col = 0;
        for (; col + KF_QPANEL < n; col += 2 * KF_QPANEL) two_panels(&p, i0, i1, col);
        if (col < n) one_panel(&p, i0, i1, col);
    }
    _tile_release();
}

#ifdef KF_TILE_MODEL
/* How often this thread has configured tiles, and whether they still are. */
unsigned kf_k_tiles_amx_model(bool *left);
unsigned kf_k_tiles_amx_model(bool *left) {
    *left = tiles.configured;
    return tiles.configurations;
}
#endif
