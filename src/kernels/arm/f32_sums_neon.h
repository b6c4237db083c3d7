/* The loop of an f32 tile for Advanced SIMD, included by body/f32_gemm.h: mr rows of up to two vectors, four depths a
 * turn. A multiply-add takes its factor of A as an element of a register, so A needs no instruction but its loads.
 * In-order cores (Cortex-A55) run instructions as they are written. Therefore each is an asm statement, volatile to
 * keep the order, and the compiler chooses only the registers: 24 sums, 4 vectors of weights, 4 of A fill all 32.
 * Owner rule: pure functions. Nothing outside the rows is read. */

#define FMLA(sum, b, a, lane) __asm__ volatile("fmla %0.4s, %1.4s, %2.s[" #lane "]" : "+w"(sum) : "w"(b), "w"(a))
/* Two elements of one row: 64-bit loads issue together with multiply-adds. */
#define LOAD_A(a, p, offset) __asm__ volatile("ldr %d0, [%1, %2]" : "+w"(a) : "r"(p), "r"(offset))
#define LOAD_B(b, p, bytes) __asm__ volatile("ldr %q0, [%1, %2]" : "+w"(b) : "r"(p), "i"(bytes))
#define LOAD_TWO_B(b, p, bytes)                                                                                        \
    __asm__ volatile("ldp %q0, %q1, [%2, %3]" : "+w"((b)[0]), "+w"((b)[1]) : "r"(p), "i"(bytes))

enum { DEPTH_BYTES = KF_GEMM_PANEL * (int)sizeof(float) };

/* What the next multiply-adds use: element 0 and 1 of four rows, and weights [depth][vector]. */
typedef struct factors {
    float32x2_t a[4];
    V b[2][2];
} factors;

/* One depth of row i, whose factor is in register i % 4. */
INLINE void depth(const int nv, const int i, const int d, factors *f, tile *t) {
    UNROLL for (int j = 0; j < nv; j++) {
        if (d == 0) FMLA(t->v[i][j], f->b[0][j], f->a[i % 4], 0);
        else FMLA(t->v[i][j], f->b[1][j], f->a[i % 4], 1);
    }
}
/* The weights of depth d. */
INLINE void weights(const int nv, const int d, const char *w, const int bytes, factors *f) {
    if (nv == 2 && d == 0) LOAD_TWO_B(f->b[0], w, bytes);
    if (nv == 2 && d == 1) LOAD_TWO_B(f->b[1], w, bytes);
    if (nv == 1 && d == 0) LOAD_B(f->b[0][0], w, bytes);
    if (nv == 1 && d == 1) LOAD_B(f->b[1][0], w, bytes);
}

/* Two depths of all rows. A row's second depth comes two rows after its first, so that no sum waits for itself. Then
 * its register takes the row four further on or, after the last row, a first row of the next two depths. Row i is at
 * q[i / 4] + step[i % 4] bytes; the next rows have steps of their own, and the next weights are at w + bytes. */
INLINE void two_depths(const int mr, const int nv, const char *const *q, const size_t *step, const size_t *next_step,
                       const char *w, const int bytes, factors *f, tile *t) {
    UNROLL for (int i = 0; i < mr + 2; i++) {
        const int done = i - 2;
        if (i < mr) depth(nv, i, 0, f, t);
        if (i == mr - 1) weights(nv, 0, w, bytes, f);
        if (done < 0) continue;
        depth(nv, done, 1, f, t);
        if (done + 4 < mr) LOAD_A(f->a[done % 4], q[done / 4 + 1], step[done % 4]);
        else LOAD_A(f->a[done % 4], q[0], next_step[done % 4]);
    }
    weights(nv, 1, w, bytes + DEPTH_BYTES, f);
}

/* One run of `len` elements of every row: four depths a turn, then depth by depth. */
INLINE void piece(const int mr, const int nv, const float *a, size_t step, const float *b, size_t len, ptrdiff_t ask,
                  tile *t) {
    const size_t row = step * sizeof *a, two = 2 * sizeof *a;
    const size_t first[4] = {0, row, 2 * row, 3 * row}, second[4] = {two, row + two, 2 * row + two, 3 * row + two};
    const char *q[3], *w = (const char *)b;
    factors f;
    UNROLL for (int i = 0; i < mr; i += 4) q[i / 4] = (const char *)(a + (size_t)i * step);
    __asm__ volatile("" : : : "memory"); /* what callers have stored comes before the loads below */
    if (len >= 4) {
        size_t x = len / 4;
        UNROLL for (int i = 0; i < mr && i < 4; i++) f.a[i] = vld1_f32(a + (size_t)i * step);
        UNROLL for (int d = 0; d < 2; d++) UNROLL for (int j = 0; j < nv; j++) f.b[d][j] =
            LOAD(b + d * KF_GEMM_PANEL + j * VL);
        do {
            const size_t more = x > 1 ? 4 * sizeof *a : 0; /* the last time, loads what it has had already */
            UNROLL for (int d = 0; d < 4; d++) __builtin_prefetch(w + ask + d * DEPTH_BYTES, 0, 2);
            two_depths(mr, nv, q, first, second, w, 2 * DEPTH_BYTES, &f, t);
            w += more * KF_GEMM_PANEL;
            q[0] += more;
            two_depths(mr, nv, q, second, first, w, 0, &f, t);
            UNROLL for (int i = 4; i < mr; i += 4) q[i / 4] += more;
        } while (--x > 0);
    }
    for (size_t x = len / 4 * 4; x < len; x++) {
        V by[2] = {LOAD(b + x * KF_GEMM_PANEL), nv > 1 ? LOAD(b + x * KF_GEMM_PANEL + VL) : ZERO};
        UNROLL for (int i = 0; i < mr; i++) {
            V from = vld1q_dup_f32(a + (size_t)i * step + x);
            UNROLL for (int j = 0; j < nv; j++) t->v[i][j] = FMA(from, by[j], t->v[i][j]);
        }
    }
}

INLINE void sums(const int mr, const int nv, const int half, const product *p, size_t row, size_t col, ptrdiff_t ask,
                 tile *t) {
    UNROLL for (int j = 0; j < nv; j++) {
        V bias = bias_at(p, col + (size_t)(j * VL));
        UNROLL for (int i = 0; i < mr; i++) t->v[i][j] = bias;
    }
    const float *w = weights_at(p, col, 0);
    for (size_t s = 0; s < p->a->pieces; s++, w += p->a->len * KF_GEMM_PANEL)
        piece(mr, nv, p->a->at[s] + row * p->a->step, p->a->step, w, p->a->len, ask, t);
}

/* One row: `wide` vectors of a panel, four depths a turn, two sums for each column. */
#define OWN_ROW
NOINLINE void finish_buffer(const product *p, size_t row, size_t mr, size_t from, size_t to, const float *buffer);
INLINE void row_of(const int wide, const product *p, const float *a, size_t col) {
    const float *w = weights_at(p, col, 0);
    V acc[2][4];
    UNROLL for (int j = 0; j < wide; j++) acc[0][j] = bias_at(p, col + (size_t)(j * VL)), acc[1][j] = ZERO;
    size_t x = 0;
    for (; x + 4 <= p->k; x += 4, w += 4 * KF_GEMM_PANEL) {
        const V f = LOAD(a + x);
#define DEPTH(d)                                                                                                       \
    UNROLL for (int j = 0; j < wide; j++) acc[d % 2][j] =                                                              \
        vfmaq_laneq_f32(acc[d % 2][j], LOAD(w + d * KF_GEMM_PANEL + j * VL), f, d)
        DEPTH(0);
        DEPTH(1);
        DEPTH(2);
        DEPTH(3);
#undef DEPTH
    }
    for (; x < p->k; x++, w += KF_GEMM_PANEL)
        UNROLL for (int j = 0; j < wide; j++) acc[0][j] = FMA(SET1(a[x]), LOAD(w + j * VL), acc[0][j]);
    float buffer[4 * VL];
    UNROLL for (int j = 0; j < wide; j++) STORE(buffer + j * VL, ADD(acc[0][j], acc[1][j]));
    finish_buffer(p, 0, 1, col, col + (size_t)(wide * VL), buffer);
}
#undef FMLA
#undef LOAD_A
#undef LOAD_B
#undef LOAD_TWO_B
