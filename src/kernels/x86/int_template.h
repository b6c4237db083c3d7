/* Body of the x86 integer kernels, compiled once for each instruction set (the including file defines the vector words).
 * Floor 3. Needs: V, F, VL, LOADV, STOREV, SET1I, ADDI, CVT, RNE, SETF, LOADF, ADDF, MULF, MINF, MAXF, UNP*, PACK*, DOT, SPLIT, MR1..MR4,
 * MAX_PANELS, load_q, store_q, load_bytes, NAME. Sums are exact: no saturating pair products.
 * Owner rule: pure functions. */

#define INLINE static inline __attribute__((always_inline))

typedef struct params {
    F mul, fbias, k, inv, flo, fhi;
    V zero;
} params;

INLINE params params_at(const kf__requant *q, size_t col) {
    params p = {.mul = LOADF(q->mul + col)};
    p.fbias = q->fbias ? LOADF(q->fbias + col) : SETF(0);
    p.k = q->k ? LOADF(q->k + col) : SETF(0);
    p.inv = q->inv ? LOADF(q->inv + col) : SETF(0);
    p.flo = p.fhi = SETF(0), p.zero = SET1I(0);
    if (q->out != KF_F32) p.flo = LOADF(q->flo + col), p.fhi = LOADF(q->fhi + col), p.zero = LOADV(q->zero + col);
    return p;
}

/* Kinds of epilogue, so that the common ones run without questions. */
enum { PLAIN_Q, HSWISH_Q, GENERAL };
INLINE int kind_of(const kf__requant *q) {
    if (q->fbias || q->residual || q->inv || q->out == KF_F32) return GENERAL;
    return q->act == KF_ACT_NONE ? PLAIN_Q : q->act == KF_ACT_HSWISH ? HSWISH_Q : GENERAL;
}

INLINE F hswish(F x, F k) { return MULF(MINF(MAXF(ADDF(x, SETF(3.0f)), SETF(0.0f)), SETF(6.0f)), MULF(x, k)); }

INLINE V round_q(F x, const params *p) { return ADDI(RNE(MINF(MAXF(x, p->flo), p->fhi)), p->zero); }

static F activate(F x, const kf__requant *q, F k) {
    switch (q->act) {
    case KF_ACT_CLIP: return MINF(MAXF(x, SETF(q->lo)), SETF(q->hi));
    case KF_ACT_HSWISH: return hswish(x, k);
    case KF_ACT_HSIGMOID: return MULF(MINF(MAXF(ADDF(x, SETF(3.0f)), SETF(0.0f)), SETF(6.0f)), SETF(1.0f / 6.0f));
    case KF_ACT_HARDSIGMOID: return MINF(MAXF(ADDF(MULF(x, SETF(q->lo)), SETF(q->hi)), SETF(0.0f)), SETF(1.0f));
    case KF_ACT_SIGMOID: case KF_ACT_SILU: {
        float lane[VL];
        memcpy(lane, &x, sizeof lane);
        for (int i = 0; i < VL; i++) lane[i] = kf__activate(q->act, lane[i], 0, 0);
        memcpy(&x, lane, sizeof lane);
        return x;
    }
    default: return x;
    }
}

/* Steps 2 to 5 of any epilogue; n lanes are stored. */
static __attribute__((noinline)) void finish_general(const V *acc, const kf__requant *q, const params *p, size_t at, size_t at_residual, void *out, size_t n) {
    F x = MULF(CVT(*acc), p->mul);
    if (q->fbias) x = ADDF(x, p->fbias);
    x = activate(x, q, p->k);
    if (q->residual && q->residual_type == KF_F32) {
        float lane[VL] = {0};
        memcpy(lane, (const float *)q->residual + at_residual, n * sizeof(float));
        x = ADDF(x, LOADF(lane));
    } else if (q->residual) {
        V r = load_q(q->residual, q->residual_type, at_residual, n);
        x = ADDF(x, MULF(CVT(ADDI(r, SET1I(-q->residual_zero))), SETF(q->residual_scale)));
    }
    if (q->inv) x = MULF(x, p->inv);
    if (q->out != KF_F32) {
        store_q(out, q->out, at, round_q(x, p), n);
        return;
    }
    if (q->post == KF_ACT_CLIP) x = MINF(MAXF(x, SETF(q->post_lo)), SETF(q->post_hi));
    float lane[VL];
    memcpy(lane, &x, sizeof lane);
    memcpy((float *)out + at, lane, n * sizeof(float));
}

/* ---- GEMM ------------------------------------------------------------------------------------------------------------------- */

#define W (KF_QPANEL / VL)

INLINE void finish_tile(const int mr, const int np, V (*acc)[4 * W], size_t n, size_t col, size_t row, void *c, size_t ldc, const kf__requant *q) {
    int kind = kind_of(q);
    for (int j = 0; j < np * W; j++) {
        size_t at = col + (size_t)(j * VL), lanes;
        if (at >= n) break;
        lanes = n - at < VL ? n - at : VL;
        params p = params_at(q, at);
        V bias = LOADV(q->bias + at);
        for (int i = 0; i < mr; i++) {
            size_t r = row + (size_t)i;
            V v = ADDI(acc[i][j], bias);
            if (kind == PLAIN_Q) store_q(c, q->out, r * ldc + at, round_q(MULF(CVT(v), p.mul), &p), lanes);
            else if (kind == HSWISH_Q) store_q(c, q->out, r * ldc + at, round_q(hswish(MULF(CVT(v), p.mul), p.k), &p), lanes);
            else finish_general(&v, q, &p, r * ldc + at, r * q->ld_residual + at, c, lanes);
        }
    }
}

/* mr rows by np panels; mr and np are constants at every call, so the loops unroll into registers. */
INLINE void tile_u8(const int mr, const int np, size_t n, size_t k, const uint8_t *a, size_t lda, const char *b, size_t col, size_t row, void *c,
                    size_t ldc, const kf__requant *q) {
    V acc[MR1][4 * W];
    size_t fours = (k + 3) / 4, panel = fours * KF_QPANEL * 4 * (1 + SPLIT);
    for (int i = 0; i < mr; i++)
        for (int j = 0; j < np * W; j++) acc[i][j] = SET1I(0);
    for (size_t g = 0; g < fours; g++) {
        V w[4 * W], odd[4 * W];
        for (int j = 0; j < np * W; j++) {
            const char *at = b + (size_t)(j / W) * panel + g * KF_QPANEL * 4 * (1 + SPLIT) + (size_t)(j % W) * sizeof(V);
            w[j] = LOADV(at);
            odd[j] = SPLIT ? LOADV(at + KF_QPANEL * 4 * SPLIT) : w[j];
        }
        size_t bytes = k - g * 4 < 4 ? k - g * 4 : 4;
        for (int i = 0; i < mr; i++) {
            uint32_t four = 0;
            const uint8_t *from = a + (size_t)i * lda + g * 4;
            if (bytes == 4) memcpy(&four, from, 4);
            else memcpy(&four, from, bytes);
            V x = SET1I((int)four);
            for (int j = 0; j < np * W; j++) acc[i][j] = DOT(acc[i][j], x, w[j], odd[j]);
        }
    }
    finish_tile(mr, np, acc, n, col, row, c, ldc, q);
}

INLINE void tile_i16(const int mr, const int np, size_t n, size_t k, const int16_t *a, size_t lda, const char *b, bool wide, size_t col, size_t row,
                     void *c, size_t ldc, const kf__requant *q) {
    V acc[MR1][4 * W];
    size_t pairs = (k + 1) / 2, size = wide ? 2 : 1;
    for (int i = 0; i < mr; i++)
        for (int j = 0; j < np * W; j++) acc[i][j] = SET1I(0);
    for (size_t g = 0; g < pairs; g++) {
        V w[4 * W];
        for (int j = 0; j < np * W; j++) {
            const char *at = b + ((size_t)(j / W) * pairs * 32 + g * 32 + (size_t)(j % W) * VL * 2) * size;
            w[j] = wide ? LOADV(at) : load_bytes(at);
        }
        size_t bytes = k - g * 2 < 2 ? 2 : 4;
        for (int i = 0; i < mr; i++) {
            uint32_t pair = 0;
            const int16_t *from = a + (size_t)i * lda + g * 2;
            if (bytes == 4) memcpy(&pair, from, 4);
            else memcpy(&pair, from, 2);
            V x = SET1I((int)pair);
            for (int j = 0; j < np * W; j++) acc[i][j] = DOT2(acc[i][j], x, w[j]);
        }
    }
    finish_tile(mr, np, acc, n, col, row, c, ldc, q);
}

#define ROWS_U8(np, full)                                                                                              \
    do {                                                                                                               \
        size_t i = i0;                                                                                                 \
        for (; i + (full) <= i1; i += (full)) tile_u8(full, np, n, k, a + i * lda, lda, at, col, i, c, ldc, q);        \
        for (; i < i1; i++) tile_u8(1, np, n, k, a + i * lda, lda, at, col, i, c, ldc, q);                             \
    } while (0)

void NAME(gemm_u8)(size_t m, size_t n, size_t k, const uint8_t *a, size_t lda, const void *b, void *c, size_t ldc, const kf__requant *q) {
    size_t panel = (k + 3) / 4 * KF_QPANEL * 4 * (1 + SPLIT);
    for (size_t i0 = 0; i0 < m; i0 += 96) { /* a block of A stays in the first cache while all panels pass over it */
        size_t i1 = m - i0 < 96 ? m : i0 + 96;
        for (size_t col = 0; col < n;) {
            size_t left = (n - col + KF_QPANEL - 1) / KF_QPANEL;
            const char *at = (const char *)b + col / KF_QPANEL * panel;
#if MAX_PANELS == 4
            if (left >= 4) {
                ROWS_U8(4, MR4);
                col += 4 * KF_QPANEL;
                continue;
            }
            if (left == 3) {
                ROWS_U8(3, MR3);
                col += 3 * KF_QPANEL;
                continue;
            }
#endif
#if MAX_PANELS >= 2
            if (left >= 2) {
                ROWS_U8(2, MR2);
                col += 2 * KF_QPANEL;
                continue;
            }
#endif
            (void)left;
            ROWS_U8(1, MR1);
            col += KF_QPANEL;
        }
    }
}

void NAME(gemm_i16)(size_t m, size_t n, size_t k, const int16_t *a, size_t lda, const void *b, bool wide, void *c, size_t ldc, const kf__requant *q) {
    size_t panel = (k + 1) / 2 * 32 * (wide ? 2 : 1);
    for (size_t col = 0; col < n; col += KF_QPANEL) {
        const char *at = (const char *)b + col / KF_QPANEL * panel;
        size_t i = 0;
        for (; i + 4 <= m; i += 4) tile_i16(4, 1, n, k, a + i * lda, lda, at, wide, col, i, c, ldc, q);
        for (; i < m; i++) tile_i16(1, 1, n, k, a + i * lda, lda, at, wide, col, i, c, ldc, q);
    }
}

/* ---- depthwise ---------------------------------------------------------------------------------------------------------------- */

#define BLOCK sizeof(V)

/* Columns sx0.. of the fours of rows from sy0 on, interleaved so that each i32 lane holds four rows of one channel. */
INLINE void interleave(const kf__dwconv_q *d, const int fours, size_t c0, size_t n, int32_t sy0, int32_t sx0, int32_t columns, V *to) {
    const uint8_t *in = d->in, *pad = (const uint8_t *)d->pad + c0;
    size_t c = d->c, row = (size_t)d->w_in * c;
    for (int32_t x = 0; x < columns; x++)
        for (int f = 0; f < fours; f++, to += 4) {
            V v[4];
            int32_t sx = sx0 + x;
            for (int r = 0; r < 4; r++) {
                int32_t sy = sy0 + f * 4 + r;
                bool inside = sx >= 0 && sx < d->w_in && sy >= 0 && sy < d->h_in;
                v[r] = load_u8(inside ? in + (size_t)sy * row + (size_t)sx * c + c0 : pad, n);
            }
            V ab0 = UNPLO8(v[0], v[1]), ab1 = UNPHI8(v[0], v[1]), cd0 = UNPLO8(v[2], v[3]), cd1 = UNPHI8(v[2], v[3]);
            STOREV(to, UNPLO16(ab0, cd0));
            STOREV(to + 1, UNPHI16(ab0, cd0));
            STOREV(to + 2, UNPLO16(ab1, cd1));
            STOREV(to + 3, UNPHI16(ab1, cd1));
        }
}

/* Four vectors of one block of channels to u8 or i16. */
INLINE void store_block(const V *v, kf_dtype type, void *out, size_t at, size_t n) {
    V lo = PACK32(v[0], v[1]), hi = PACK32(v[2], v[3]);
    if (type == KF_U8) {
        store_u8((uint8_t *)out + at, PACK16(lo, hi), n);
        return;
    }
    int16_t half[2][BLOCK / 2];
    memcpy(half[0], &lo, BLOCK);
    memcpy(half[1], &hi, BLOCK);
    for (size_t i = 0; i < n; i += 8) memcpy((int16_t *)out + at + i, &half[i / 8 % 2][i / 16 * 8], (n - i < 8 ? n - i : 8) * 2);
}

/* Two output columns (x, x + 1 of the strip) of R rows. */
INLINE void dw_pair(const int k, const int s, const int R, const V *columns, const char *w, const kf__requant *q, size_t c0, int kind, V (*result)[2][4]) {
    enum { STEP = 4 * (1 + SPLIT) };
    const int fours = (k + 3) / 4;
    for (int j = 0; j < 4; j++) {
        V acc[2][2], bias = LOADV(q->bias + c0 + (size_t)(j * VL));
        params p = params_at(q, c0 + (size_t)(j * VL));
        for (int r = 0; r < R; r++) acc[r][0] = acc[r][1] = bias;
        for (int kx = 0; kx < k; kx++)
            for (int f = 0; f < fours; f++) {
                V x0 = LOADV(columns + (kx * fours + f) * 4 + j), x1 = LOADV(columns + ((s + kx) * fours + f) * 4 + j);
                for (int r = 0; r < R; r++) {
                    const V *at = (const V *)(const void *)w + ((kx * fours + f) * R + r) * STEP + j;
                    V wv = LOADV(at), odd = SPLIT ? LOADV(at + 4 * SPLIT) : wv;
                    acc[r][0] = DOT(acc[r][0], x0, wv, odd);
                    acc[r][1] = DOT(acc[r][1], x1, wv, odd);
                }
            }
        for (int r = 0; r < R; r++)
            for (int x = 0; x < 2; x++) {
                F v = MULF(CVT(acc[r][x]), p.mul);
                if (kind == HSWISH_Q) v = hswish(v, p.k);
                else if (kind == GENERAL) {
                    v = activate(v, q, p.k);
                    if (q->inv) v = MULF(v, p.inv);
                }
                result[r][x][j] = round_q(v, &p);
            }
    }
}

INLINE void dwconv(const int k, const int s, const int R, const kf__dwconv_q *d, const kf__requant *q) {
    const int fours = (k + 3) / 4;
    V *columns = d->scratch;
    size_t weights = (size_t)(k * fours * R) * BLOCK * 4 * (1 + SPLIT);
    int kind = kind_of(q);
    for (int32_t y = d->y0; y < d->y1; y += R)
        for (int32_t x0 = 0; x0 < d->w_out; x0 += KF_DW_STRIP) {
            int32_t width = d->w_out - x0 < KF_DW_STRIP ? d->w_out - x0 : KF_DW_STRIP, even = (width + 1) / 2 * 2;
            for (size_t c0 = 0; c0 < d->c; c0 += BLOCK) {
                size_t n = d->c - c0 < BLOCK ? d->c - c0 : BLOCK;
                interleave(d, fours, c0, n, y * s - d->pt, x0 * s - d->pl, (even - 1) * s + k, columns);
                for (int32_t x = 0; x < width; x += 2) {
                    V v[2][2][4];
                    dw_pair(k, s, R, columns + x * s * fours * 4, (const char *)d->w + c0 / BLOCK * weights, q, c0, kind, v);
                    for (int r = 0; r < R && y + r < d->y1; r++)
                        for (int i = 0; i < 2 && x + i < width; i++)
                            store_block(v[r][i], q->out, d->out, ((size_t)(y + r) * (size_t)d->w_out + (size_t)(x0 + x + i)) * d->c + c0, n);
                }
            }
        }
}

static __attribute__((noinline)) void dw31(const kf__dwconv_q *d, const kf__requant *q) { dwconv(3, 1, 2, d, q); }
static __attribute__((noinline)) void dw32(const kf__dwconv_q *d, const kf__requant *q) { dwconv(3, 2, 1, d, q); }
static __attribute__((noinline)) void dw51(const kf__dwconv_q *d, const kf__requant *q) { dwconv(5, 1, 2, d, q); }
static __attribute__((noinline)) void dw52(const kf__dwconv_q *d, const kf__requant *q) { dwconv(5, 2, 2, d, q); }

void NAME(dwconv_u8)(const kf__dwconv_q *d, const kf__requant *q) {
    if (d->kh == 3 && d->sh == 1) dw31(d, q);
    else if (d->kh == 3) dw32(d, q);
    else if (d->sh == 1) dw51(d, q);
    else dw52(d, q);
}

/* ---- elementwise ---------------------------------------------------------------------------------------------------------------- */

void NAME(affine_q)(const kf__affine_q *a) {
    if (a->in_type == KF_F32 || a->out_type == KF_F32 || a->c < VL) {
        kf_k_affine_q_scalar(a);
        return;
    }
    for (size_t j = 0; j < a->c; j += VL) {
        size_t n = a->c - j < VL ? a->c - j : VL;
        params p = {.flo = LOADF(a->flo + j), .fhi = LOADF(a->fhi + j), .zero = LOADV(a->zero + j), .mul = LOADF(a->mul + j)};
        V minus = SUBI(SET1I(0), LOADV(a->in_zero + j));
        for (size_t i = 0; i < a->rows; i++) {
            F x = MULF(CVT(ADDI(load_q(a->in, a->in_type, i * a->ld_in + j, n), minus)), p.mul);
            store_q(a->out, a->out_type, i * a->ld_out + j, round_q(x, &p), n);
        }
    }
}

void NAME(colsum_q)(kf_dtype type, size_t rows, size_t c, const void *x, int32_t *sums) {
    size_t j = 0;
    for (; j + 4 * VL <= c; j += 4 * VL) {
        V s[4];
        for (size_t k = 0; k < 4; k++) s[k] = LOADV(sums + j + k * VL);
        for (size_t i = 0; i < rows; i++)
            for (size_t k = 0; k < 4; k++) s[k] = ADDI(s[k], load_q(x, type, i * c + j + k * VL, VL));
        for (size_t k = 0; k < 4; k++) STOREV(sums + j + k * VL, s[k]);
    }
    for (; j < c; j += VL) {
        size_t n = c - j < VL ? c - j : VL;
        V s = SET1I(0);
        for (size_t i = 0; i < rows; i++) s = ADDI(s, load_q(x, type, i * c + j, n));
        int32_t lane[VL];
        memcpy(lane, &s, sizeof lane);
        for (size_t k = 0; k < n; k++) sums[j + k] += lane[k];
    }
}
