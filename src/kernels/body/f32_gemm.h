/* Body of the f32 matrix products, compiled once per instruction set; included by f32_template.h. The sums of a tile
 * (rows by vectors) stay in registers. A full tile also runs its epilogue there; a smaller one goes through a buffer.
 * Owner rule: pure functions; masked loads and stores keep tails inside the rows. */

/* One call: A in pieces, B packed, C. */
typedef struct product {
    const kf__gemm_rows *a;
    const float *b;
    size_t n, k; /* k: all pieces together */
    float *c;
    size_t ldc;
    const kf__epilogue *e;
} product;

enum { BUFFER_LD = 2 * VL + HL };
/* Panels under a tile of nv vectors. */
#define PANELS(nv) ((nv)*VL < KF_GEMM_PANEL ? 1u : (unsigned)((nv)*VL / KF_GEMM_PANEL))

/* A tile in registers: mr rows of nv vectors and, if `half`, of HL more columns. Every user passes constants. */
typedef struct tile {
    V v[ROWS_1][2];
    H half[ROWS_1];
} tile;

/* Vector j of the weights at column `col`: panels follow each other, a panel has KF_GEMM_PANEL / VL vectors. */
INLINE const float *weights_at(const product *p, size_t col, int j) {
    if (2 * VL < KF_GEMM_PANEL) /* tiles begin inside panels too */
        return p->b + col / KF_GEMM_PANEL * KF_GEMM_PANEL * p->k + col % KF_GEMM_PANEL + j * VL;
    return p->b + (col + (size_t)(j * VL / KF_GEMM_PANEL * KF_GEMM_PANEL)) * p->k + j * VL % KF_GEMM_PANEL;
}

INLINE V bias_at(const product *p, size_t at) {
    return p->e->bias && at < p->n ? LOADM(p->e->bias + at, TAIL(p->n - at)) : ZERO;
}

/* Bytes from a weight to the line that is prefetched when the weight is used. The line belongs to weights of later
 * steps, in as many parallel runs as the tile has panels; if there are none, to the next panels. */
static ptrdiff_t line_to_ask(const product *p, const float *w, size_t panels) {
    kf__ahead *a = p->e->ahead;
    size_t lines = p->k * panels;
    if (!a || a->lines == 0) return (ptrdiff_t)(lines * KF_LINE);
    ptrdiff_t there = (ptrdiff_t)((uintptr_t)a->at - (uintptr_t)w);
    lines *= ASKS;
    a->at += lines * KF_LINE;
    a->lines -= lines < a->lines ? lines : a->lines;
    return there;
}

#ifdef SUMS
#include SUMS
#else
/* One pointer serves four rows; the others are multiples of the step that an address can hold. One pointer per row
 * would need too many integer registers. */
INLINE void sums(const int mr, const int nv, const int half, const product *p, size_t row, size_t col, ptrdiff_t ask,
                 tile *t) {
    const size_t step = p->a->step, step3 = 3 * step;
    const ptrdiff_t asks = (ptrdiff_t)(p->k * PANELS(nv) * KF_LINE);
    const float *w[3];
    UNROLL for (int j = 0; j < nv + half; j++) {
        V bias = bias_at(p, col + (size_t)(j * VL));
        w[j] = weights_at(p, col, j);
        UNROLL for (int i = 0; i < mr; i++) {
            if (j < nv) t->v[i][j] = bias;
            else t->half[i] = HLOW(bias);
        }
    }
    for (size_t s = 0; s < p->a->pieces; s++) {
        const float *q[(ROWS_1 + 3) / 4];
        UNROLL for (int i = 0; i < mr; i += 4) q[i / 4] = p->a->at[s] + (row + (size_t)i) * step;
        for (size_t x = p->a->len; x > 0; x--) {
            V b[2];
            UNROLL for (int j = 0; j < nv; j++) {
                b[j] = LOAD(w[j]);
                if (j * VL % KF_GEMM_PANEL == 0)
                    UNROLL for (int l = 0; l < ASKS; l++) __builtin_prefetch((const char *)w[j] + ask + l * asks, 0, 2);
                w[j] += KF_GEMM_PANEL;
            }
            H h = half ? HLOAD(w[nv]) : HZERO;
            if (half) w[nv] += KF_GEMM_PANEL;
            UNROLL for (int i = 0; i < mr; i++) {
                V f = SET1(q[i / 4][i % 4 == 3 ? step3 : (size_t)(i % 4) * step]);
                UNROLL for (int j = 0; j < nv; j++) t->v[i][j] = FMA(f, b[j], t->v[i][j]);
                if (half) t->half[i] = HFMA(HLOW(f), h, t->half[i]);
            }
            UNROLL for (int i = 0; i < mr; i += 4) {
                q[i / 4]++;
                OPAQUE(q[i / 4]);
            }
        }
    }
}

#endif

/* Activation, residual and store of `rows` vectors of one column block, held in registers at distance `ld`. */
INLINE void finish_tile(const int mr, const int nv, const product *p, size_t row, size_t col, tile *t) {
    const kf__epilogue *e = p->e;
#define EACH(expression)                                                                                               \
    UNROLL for (int i = 0; i < mr; i++) UNROLL for (int j = 0; j < nv; j++) t->v[i][j] = (expression)
    if (is_relu(e)) EACH(MAX(SET1(e->act.lo), t->v[i][j]));
    else if (e->act.kind == KF_ACT_CLIP) EACH(clip(t->v[i][j], SET1(e->act.lo), SET1(e->act.hi)));
    else if (e->act.kind == KF_ACT_HSWISH) EACH(hswish(t->v[i][j]));
#undef EACH
    UNROLL for (int j = 0; j < nv; j++) {
        size_t at = col + (size_t)(j * VL);
        if (at >= p->n) return;
        MASK mask = TAIL(p->n - at);
        float *to = p->c + row * p->ldc + at;
        if (e->residual) {
            const float *r = e->residual + row * e->ld_residual + at;
            UNROLL for (int i = 0; i < mr; i++) t->v[i][j] =
                ADD(t->v[i][j], LOADM(r + (size_t)i * e->ld_residual, mask));
        }
        if (e->post.kind == KF_ACT_CLIP)
            UNROLL for (int i = 0; i < mr; i++) t->v[i][j] = clip(t->v[i][j], SET1(e->post.lo), SET1(e->post.hi));
        if (p->n - at >= VL) UNROLL for (int i = 0; i < mr; i++) STORE(to + (size_t)i * p->ldc, t->v[i][j]);
        else UNROLL for (int i = 0; i < mr; i++) STOREM(to + (size_t)i * p->ldc, mask, t->v[i][j]);
    }
}

/* The same for the half panel, with half vectors: full loads from a buffer would stall on the stores of its halves. */
INLINE void finish_half(const int mr, const product *p, size_t row, size_t at, tile *t) {
#if HALVES
    const kf__epilogue *e = p->e;
    const H zero = HZERO, one = HSET1(1.0f), half = HSET1(0.5f), sixth = HSET1(1.0f / 6.0f);
    if (at >= p->n) return;
    HMASK mask = HTAIL(p->n - at);
    float *to = p->c + row * p->ldc + at;
#define EACH(expression) UNROLL for (int i = 0; i < mr; i++) t->half[i] = (expression)
#define HCLIP(x, lo, hi) HMIN(hi, HMAX(lo, x))
    if (e->act.kind == KF_ACT_CLIP) EACH(HCLIP(t->half[i], HSET1(e->act.lo), HSET1(e->act.hi)));
    else if (e->act.kind == KF_ACT_HSWISH) EACH(HMUL(HCLIP(HFMA(t->half[i], sixth, half), zero, one), t->half[i]));
    if (e->residual) EACH(HADD(t->half[i], HLOADM(e->residual + (row + (size_t)i) * e->ld_residual + at, mask)));
    if (e->post.kind == KF_ACT_CLIP) EACH(HCLIP(t->half[i], HSET1(e->post.lo), HSET1(e->post.hi)));
    if (HWHOLE(mask)) UNROLL for (int i = 0; i < mr; i++) HSTORE(to + (size_t)i * p->ldc, t->half[i]);
    else UNROLL for (int i = 0; i < mr; i++) HSTOREM(to + (size_t)i * p->ldc, mask, t->half[i]);
#undef EACH
#undef HCLIP
#else
    (void)mr, (void)p, (void)row, (void)at, (void)t;
#endif
}

/* Finish mr rows of sums that lie in memory, for the columns from..min(to, n). */
NOINLINE void finish_buffer(const product *p, size_t row, size_t mr, size_t from, size_t to, const float *buffer) {
    const kf__epilogue *e = p->e;
    if (to > p->n) to = p->n;
    for (size_t i = 0; i < mr; i++, buffer += BUFFER_LD)
        for (size_t at = from; at < to; at += VL) {
            MASK mask = TAIL(to - at);
            const float *residual = e->residual ? e->residual + (row + i) * e->ld_residual + at : NULL;
            store(p->c + (row + i) * p->ldc + at, to - at,
                  finish(LOADM(buffer + (at - from), mask), e, residual, mask));
        }
}

INLINE void keep(const int mr, const int nv, const int half, const tile *t, float *buffer) {
    UNROLL for (int i = 0; i < mr; i++) {
        UNROLL for (int j = 0; j < nv; j++) STORE(buffer + i * BUFFER_LD + j * VL, t->v[i][j]);
        if (half) HSTORE(buffer + i * BUFFER_LD + nv * VL, t->half[i]);
    }
}

/* A full tile: sums, epilogue and stores, all in registers. */
INLINE void full(const int mr, const int nv, const int half, const product *p, size_t row, size_t col) {
    tile t;
    /* With few multiply-adds per output, stores to memory outside the near caches would stall the tiles. So the
     * output rows of the next tile are prefetched while this one computes. */
    if (p->k < SHALLOW)
        UNROLL for (int i = 0; i < mr; i++) for (int j = 0; j < nv; j += (int)(KF_LINE / sizeof(V)))
            __builtin_prefetch(p->c + (row + (size_t)(mr + i)) * p->ldc + col + (size_t)(j * VL), 1);
    sums(mr, nv, half, p, row, col, line_to_ask(p, weights_at(p, col, 0), PANELS(nv)), &t);
    if (p->e->act.kind > KF_ACT_HSWISH) { /* rare after a convolution */
        float buffer[ROWS_1 * BUFFER_LD];
        keep(mr, nv, half, &t, buffer);
        finish_buffer(p, row, (size_t)mr, col, col + (size_t)(nv * VL + half * HL), buffer);
        return;
    }
    finish_tile(mr, nv, p, row, col, &t);
    if (half) finish_half(mr, p, row, col + (size_t)(nv * VL), &t);
}

/* Fewer rows than a full tile, or a few more: 1 to 4, 7, 8 or 16 rows at once, other counts in two roughly equal
 * parts. */
INLINE void rest(const int most, const int nv, const int half, const product *p, size_t row, size_t m, size_t col) {
    while (m > 0) {
        size_t mr = m <= 8 && m < (size_t)most ? m : m >= 16 && most > 16 ? 16 : (m + 1) / 2;
        float buffer[ROWS_1 * BUFFER_LD];
        tile t;
        if (mr == 5 || mr == 6) mr = 3; /* few layers need other counts, and each costs one or two kilobytes of code */
        switch (mr) {
#define CASE(r)                                                                                                        \
    case r:                                                                                                            \
        if (r >= most) break;                                                                                          \
        sums(r, nv, half, p, row, col, (ptrdiff_t)(p->k * PANELS(nv) * KF_LINE), &t);                                  \
        keep(r, nv, half, &t, buffer);                                                                                 \
        break;
            CASE(1) CASE(2) CASE(3) CASE(4) CASE(7) CASE(8) CASE(16)
#undef CASE
        }
        finish_buffer(p, row, mr, col, col + (size_t)(nv * VL + half * HL), buffer);
        row += mr, m -= mr;
    }
}

/* All rows at one tile width. One or two remaining rows share with the tile before: alone, their few sums would wait
 * for each other. */
#define WIDTH(name, most, nv, half)                                                                                    \
    static void name(const product *p, size_t row, size_t m, size_t col) {                                             \
        for (; m == (most) || m >= (most) + 3; m -= (most), row += (most)) full(most, nv, half, p, row, col);          \
        rest(most, nv, half, p, row, m, col);                                                                          \
    }
WIDTH(rows_1, ROWS_1, 1, 0)
WIDTH(rows_2, ROWS_2, 2, 0)
#if HALVES
WIDTH(rows_1h, ROWS_1H, 1, 1)
WIDTH(rows_2h, ROWS_2H, 2, 1)
#endif

/* Columns from `col` on, rows row..row+m; the widths are chosen so that no lane is idle if n is a multiple of 8. */
static void columns(const product *p, size_t row, size_t m) {
    for (size_t col = 0; col < p->n;) {
        size_t left = p->n - col;
#if HALVES
        if (left > 2 * VL && left <= 2 * VL + HL) {
            rows_2h(p, row, m, col);
            return;
        }
        if (left > VL && left <= VL + HL) {
            rows_1h(p, row, m, col);
            return;
        }
#endif
        (left > VL ? rows_2 : rows_1)(p, row, m, col);
        col += 2 * VL;
    }
}

void NAME(conv_f32)(size_t m, size_t n, const kf__gemm_rows *a, const float *b, float *c, size_t ldc,
                    const kf__epilogue *e) {
    product p = {.a = a, .b = b, .n = n, .k = a->pieces * a->len, .c = c, .ldc = ldc, .e = e};
    /* Rows in blocks, so that a block of A stays in L1 or L2 while all panels of B pass over it. */
    size_t block = n <= 2 * VL + HL ? m : p.k > 512 ? BLOCK_ROWS_DEEP : BLOCK_ROWS;
    for (size_t i = 0; i < m; i += block) columns(&p, i, m - i < block ? m - i : block);
}

#ifndef OWN_ROW
/* One row: WIDE vectors of columns and two depths at once. So the sums hide the latency of the multiply-adds, and
 * memory delivers several streams of weights at once. */
INLINE void row_of(const int wide, const product *p, const float *a, size_t col) {
    const float *w[4];
    V acc[2][4];
    UNROLL for (int j = 0; j < wide; j++) {
        acc[0][j] = bias_at(p, col + (size_t)(j * VL));
        acc[1][j] = ZERO;
        w[j] = weights_at(p, col, j);
    }
    size_t x = 0;
    for (; x + 2 <= p->k; x += 2) UNROLL for (int d = 0; d < 2; d++) {
            V f = SET1(a[x + (size_t)d]);
            UNROLL for (int j = 0; j < wide; j++) {
                acc[d][j] = FMA(f, LOAD(w[j]), acc[d][j]);
                w[j] += KF_GEMM_PANEL;
            }
        }
    if (x < p->k) UNROLL for (int j = 0; j < wide; j++) acc[0][j] = FMA(SET1(a[x]), LOAD(w[j]), acc[0][j]);
    float buffer[4 * VL];
    UNROLL for (int j = 0; j < wide; j++) STORE(buffer + j * VL, ADD(acc[0][j], acc[1][j]));
    finish_buffer(p, 0, 1, col, col + (size_t)(wide * VL), buffer);
}

#endif

/* Plain rows are rows of one piece. A single row has a path of its own, which reads the weights once and in order. */
void NAME(gemm_f32)(size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b, float *c, size_t ldc,
                    const kf__epilogue *e) {
    kf__gemm_rows rows = {.at = &a, .pieces = 1, .len = k, .step = lda};
    if (m > 1) {
        NAME(conv_f32)(m, n, &rows, b, c, ldc, e);
        return;
    }
    product p = {.a = &rows, .b = b, .n = n, .k = k, .c = c, .ldc = ldc, .e = e};
    for (size_t col = 0; col < n; col += 4 * VL) {
        if (n - col > 3 * VL) row_of(4, &p, a, col);
        else if (n - col > 2 * VL) row_of(3, &p, a, col);
        else if (n - col > VL) row_of(2, &p, a, col);
        else row_of(1, &p, a, col);
    }
}
