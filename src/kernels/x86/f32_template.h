/* Body of the x86 f32 kernels, compiled once for AVX2 and once for AVX-512 (the including file defines the vector words).
 * Floor 3. Needs: V, VL, MASK, LOAD, LOADM, STOREM, SET1, FMA, MIN, MAX, ADD, MUL, ZERO, TAIL(n), NAME(base), MR1, MR2.
 * Owner rule: pure functions; masked loads and stores keep tails inside the rows. */

#define INLINE static inline __attribute__((always_inline))

INLINE V activate(V x, kf__act act, V lo, V hi) {
    switch (act) {
    case KF_ACT_CLIP: return MIN(MAX(x, lo), hi);
    case KF_ACT_HSWISH: return MUL(MIN(MAX(ADD(x, SET1(3.0f)), ZERO), SET1(6.0f)), MUL(x, SET1(1.0f / 6.0f)));
    case KF_ACT_HSIGMOID: return MUL(MIN(MAX(ADD(x, SET1(3.0f)), ZERO), SET1(6.0f)), SET1(1.0f / 6.0f));
    case KF_ACT_HARDSIGMOID: return MIN(MAX(ADD(MUL(x, lo), hi), ZERO), SET1(1.0f));
    default: return x;
    }
}

/* Sigmoid and SiLU are rare here (EfficientNet-type networks): one lane at a time. */
INLINE V activate_slow(V x, kf__act act) {
    float lane[VL];
    __builtin_memcpy(lane, &x, sizeof lane);
    for (int i = 0; i < VL; i++) lane[i] = kf__activate(act, lane[i], 0, 0);
    __builtin_memcpy(&x, lane, sizeof lane);
    return x;
}

INLINE V finish(V x, const kf__epilogue *e, const float *residual, MASK mask) {
    if (e->act == KF_ACT_SIGMOID || e->act == KF_ACT_SILU) x = activate_slow(x, e->act);
    else x = activate(x, e->act, SET1(e->lo), SET1(e->hi));
    if (residual) x = ADD(x, LOADM(residual, mask));
    if (e->post == KF_ACT_CLIP) x = MIN(MAX(x, SET1(e->post_lo)), SET1(e->post_hi));
    return x;
}

/* mr rows by np panels of 16 columns; mr and np are constants at every call, so all loops unroll into registers. */
INLINE void tile(const int mr, const int np, size_t n, size_t k, const float *a, size_t lda, const float *b, float *c, size_t ldc,
                 const kf__epilogue *e, size_t row, size_t col) {
    enum { W = KF_GEMM_PANEL / VL };
    V acc[MR1][2 * W];
    for (int i = 0; i < mr; i++)
        for (int j = 0; j < np * W; j++) acc[i][j] = ZERO;
    const float *b0 = b, *b1 = b + (np > 1 ? k * KF_GEMM_PANEL : 0);
    for (size_t x = 0; x < k; x++) {
        V w[2 * W];
        for (int j = 0; j < W; j++) {
            w[j] = LOAD(b0 + x * KF_GEMM_PANEL + (size_t)(j * VL));
            if (np > 1) w[W + j] = LOAD(b1 + x * KF_GEMM_PANEL + (size_t)(j * VL));
        }
        for (int i = 0; i < mr; i++) {
            V v = SET1(a[(size_t)i * lda + x]);
            for (int j = 0; j < np * W; j++) acc[i][j] = FMA(v, w[j], acc[i][j]);
        }
    }
    for (int j = 0; j < np * W; j++) {
        size_t at = col + (size_t)(j * VL);
        if (at >= n) break;
        MASK mask = TAIL(n - at);
        V bias = e->bias ? LOADM(e->bias + at, mask) : ZERO;
        for (int i = 0; i < mr; i++) {
            size_t r = row + (size_t)i;
            V v = finish(ADD(acc[i][j], bias), e, e->residual ? e->residual + r * e->ld_residual + at : NULL, mask);
            STOREM(c + r * ldc + at, mask, v);
        }
    }
}

INLINE void rows(const int np, size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b, float *c, size_t ldc,
                 const kf__epilogue *e, size_t col) {
    const int full = np == 1 ? MR1 : MR2;
    size_t i = 0;
    for (; i + (size_t)full <= m; i += (size_t)full) tile(full, np, n, k, a + i * lda, lda, b, c, ldc, e, i, col);
    for (; i + 4 <= m; i += 4) tile(4, np, n, k, a + i * lda, lda, b, c, ldc, e, i, col);
    for (; i < m; i++) tile(1, np, n, k, a + i * lda, lda, b, c, ldc, e, i, col);
}

void NAME(gemm_f32)(size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b, float *c, size_t ldc,
                    const kf__epilogue *e) {
    /* Rows in blocks, so that a block of A stays in L1/L2 while all panels of B pass over it. */
    size_t block = k * sizeof(float) > 2048 ? 48 : 96;
    for (size_t i = 0; i < m; i += block) {
        size_t mm = m - i < block ? m - i : block;
        kf__epilogue here = *e;
        if (e->residual) here.residual = e->residual + i * e->ld_residual;
        size_t col = 0;
        for (; PAIR && n > col + KF_GEMM_PANEL; col += 2 * KF_GEMM_PANEL)
            rows(2, mm, n, k, a + i * lda, lda, b + col * k, c + i * ldc, ldc, &here, col);
        for (; col < n; col += KF_GEMM_PANEL) rows(1, mm, n, k, a + i * lda, lda, b + col * k, c + i * ldc, ldc, &here, col);
    }
}

/* One output pixel of one channel vector; taps outside the image are left out. */
INLINE V dw_pixel(const kf__dwconv_row *d, int kh, int kw, size_t ch, int32_t x, MASK mask, const V *w, V acc, bool inside) {
    int32_t left = x * d->sw - d->pl;
    for (int ky = 0; ky < kh; ky++) {
        if (!d->rows[ky]) continue;
        for (int kx = 0; kx < kw; kx++) {
            int32_t sx = left + kx * d->dw;
            if (!inside && (sx < 0 || sx >= d->w_in)) continue;
            acc = FMA(LOADM(d->rows[ky] + (ptrdiff_t)sx * (ptrdiff_t)d->c + (ptrdiff_t)ch, mask), w[ky * kw + kx], acc);
        }
    }
    return acc;
}

/* Columns computed together: their sums do not depend on each other, so loads and FMAs of one hide the latency of the others. */
enum { DW_COLUMNS = 4 };

INLINE bool dw_inside(const kf__dwconv_row *d, int kw, int32_t x) {
    int32_t left = x * d->sw - d->pl;
    return left >= 0 && left + (kw - 1) * d->dw < d->w_in;
}

INLINE void dw_store(const kf__dwconv_row *d, const kf__epilogue *e, size_t ch, int32_t x, MASK mask, V acc) {
    size_t at = (size_t)x * d->c + ch;
    STOREM(d->out + at, mask, finish(acc, e, e->residual ? e->residual + at : NULL, mask));
}

INLINE void dw_channels(const kf__dwconv_row *d, const kf__epilogue *e, const int kh, const int kw, size_t ch, MASK mask) {
    V w[49];
    for (int t = 0; t < kh * kw; t++) w[t] = LOADM(d->w + (size_t)t * d->c + ch, mask);
    V bias = e->bias ? LOADM(e->bias + ch, mask) : ZERO;
    const ptrdiff_t step = (ptrdiff_t)d->c * d->sw;
    for (int32_t x = 0; x < d->w_out; x++) {
        if (x + DW_COLUMNS <= d->w_out && dw_inside(d, kw, x) && dw_inside(d, kw, x + DW_COLUMNS - 1)) {
            V acc[DW_COLUMNS];
            for (int q = 0; q < DW_COLUMNS; q++) acc[q] = bias;
            for (int ky = 0; ky < kh; ky++) {
                if (!d->rows[ky]) continue;
                const float *at = d->rows[ky] + (ptrdiff_t)(x * d->sw - d->pl) * (ptrdiff_t)d->c + (ptrdiff_t)ch;
                for (int kx = 0; kx < kw; kx++, at += (ptrdiff_t)d->dw * (ptrdiff_t)d->c)
                    for (int q = 0; q < DW_COLUMNS; q++) acc[q] = FMA(LOADM(at + q * step, mask), w[ky * kw + kx], acc[q]);
            }
            for (int q = 0; q < DW_COLUMNS; q++) dw_store(d, e, ch, x + q, mask, acc[q]);
            x += DW_COLUMNS - 1;
            continue;
        }
        V acc = dw_inside(d, kw, x) ? dw_pixel(d, kh, kw, ch, x, mask, w, bias, true) : dw_pixel(d, kh, kw, ch, x, mask, w, bias, false);
        dw_store(d, e, ch, x, mask, acc);
    }
}

void NAME(dwconv_f32)(const kf__dwconv_row *d, const kf__epilogue *e) {
    if (d->kh * d->kw > 49) {
        kf_k_dwconv_f32_scalar(d, e);
        return;
    }
    for (size_t ch = 0; ch < d->c; ch += VL) {
        MASK mask = TAIL(d->c - ch);
        if (d->kh == 3 && d->kw == 3) dw_channels(d, e, 3, 3, ch, mask);
        else if (d->kh == 5 && d->kw == 5) dw_channels(d, e, 5, 5, ch, mask);
        else dw_channels(d, e, d->kh, d->kw, ch, mask);
    }
}

void NAME(scale_f32)(size_t rows_n, size_t c, const float *x, const float *gate, float *out) {
    for (size_t r = 0; r < rows_n; r++)
        for (size_t j = 0; j < c; j += VL) {
            MASK mask = TAIL(c - j);
            STOREM(out + r * c + j, mask, MUL(LOADM(x + r * c + j, mask), LOADM(gate + j, mask)));
        }
}

void NAME(colsum_f32)(size_t rows_n, size_t c, const float *x, float *sums) {
    for (size_t j = 0; j < c; j += VL) {
        MASK mask = TAIL(c - j);
        V acc = LOADM(sums + j, mask);
        for (size_t r = 0; r < rows_n; r++) acc = ADD(acc, LOADM(x + r * c + j, mask));
        STOREM(sums + j, mask, acc);
    }
}

void NAME(eltwise_f32)(size_t n, const float *a, const float *b, float *out, const kf__epilogue *e) {
    for (size_t i = 0; i < n; i += VL) {
        MASK mask = TAIL(n - i);
        V v = LOADM(a + i, mask);
        if (b) v = ADD(v, LOADM(b + i, mask));
        STOREM(out + i, mask, finish(v, e, NULL, mask));
    }
}
