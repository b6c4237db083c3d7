/* Body of the x86 f32 depthwise row kernel, compiled once an instruction set; included by f32_template.h.
 * Floor 3. Seven (or four) output columns of one channel vector are summed together: an input column is loaded once for all of them.
 * Owner rule: pure functions; masked loads and stores keep tails inside the rows. */

/* Activation, residual and last clip of `n` vectors in registers, stored `c` apart. */
INLINE void dw_finish(const int n, const kf__dwconv_row *d, const kf__epilogue *e, int32_t x, size_t ch, const int tail, MASK mask, V *acc) {
    size_t at = (size_t)x * d->c + ch;
    float *to = d->out + at;
    if (is_relu(e)) UNROLL for (int q = 0; q < n; q++) acc[q] = MAX(acc[q], SET1(e->lo));
    else if (e->act == KF_ACT_CLIP) UNROLL for (int q = 0; q < n; q++) acc[q] = clip(acc[q], SET1(e->lo), SET1(e->hi));
    else if (e->act == KF_ACT_HSWISH) UNROLL for (int q = 0; q < n; q++) acc[q] = hswish(acc[q]);
    else if (e->act != KF_ACT_NONE) UNROLL for (int q = 0; q < n; q++) acc[q] = activate_any(acc[q], e);
    if (e->residual) UNROLL for (int q = 0; q < n; q++) acc[q] = ADD(acc[q], LOADM(e->residual + at + (size_t)q * d->c, mask));
    if (e->post == KF_ACT_CLIP) UNROLL for (int q = 0; q < n; q++) acc[q] = clip(acc[q], SET1(e->post_lo), SET1(e->post_hi));
    if (tail) UNROLL for (int q = 0; q < n; q++) STOREM(to + (size_t)q * d->c, mask, acc[q]);
    else UNROLL for (int q = 0; q < n; q++) STORE(to + (size_t)q * d->c, acc[q]);
}

/* Columns x..x+n of the channels from ch on, k x k taps, stride s, no dilation; `border`: some taps lie left or right of the row.
 * n, k, s and border are constants, so that the sums and the taps of a kernel row are registers. */
INLINE void dw_vector(const int n, const int k, const int s, const int border, const kf__dwconv_row *d, const kf__epilogue *e,
                      int32_t x, size_t ch, const float *taps) {
    const int32_t left = x * s - d->pl;
    const size_t c = d->c, c3 = 3 * c;
    V acc[7], bias = e->bias ? LOAD(e->bias + ch) : ZERO;
    UNROLL for (int q = 0; q < n; q++) acc[q] = bias;
    for (int ky = 0; ky < k; ky++, taps += k * KF_DWCONV_PANEL) {
        if (!d->rows[ky]) continue;
        V w[5];
        UNROLL for (int kx = 0; kx < k; kx++) w[kx] = LOAD(taps + kx * KF_DWCONV_PANEL);
        const float *p = d->rows[ky] + (ptrdiff_t)left * (ptrdiff_t)c + (ptrdiff_t)ch;
        UNROLL for (int i = 0; i < (n - 1) * s + k; i++) {
            if (i > 0 && i % 4 == 0) {
                p += 4 * c;
                OPAQUE(p);
            }
            if (border && (left + i < 0 || left + i >= d->w_in)) continue;
            const float *from = p + (i % 4 == 3 ? c3 : (size_t)(i % 4) * c);
            V v = LOAD(from);
            UNROLL for (int kx = 0; kx < k; kx++) {
                int q = (i - kx) / s;
                if (i - kx >= 0 && (i - kx) % s == 0 && q < n) acc[q] = FMA(v, w[kx], acc[q]);
            }
        }
    }
    dw_finish(n, d, e, x, ch, 0, TAIL(VL), acc);
}

/* One column of any geometry. */
static __attribute__((noinline)) void dw_any(const kf__dwconv_row *d, const kf__epilogue *e, int32_t x, size_t ch, const float *taps) {
    MASK mask = TAIL(d->c - ch);
    V acc = e->bias ? LOADM(e->bias + ch, mask) : ZERO;
    for (int ky = 0; ky < d->kh; ky++)
        for (int kx = 0; kx < d->kw; kx++, taps += KF_DWCONV_PANEL) {
            int32_t sx = x * d->sw - d->pl + kx * d->dw;
            if (!d->rows[ky] || sx < 0 || sx >= d->w_in) continue;
            acc = FMA(LOADM(d->rows[ky] + (ptrdiff_t)sx * (ptrdiff_t)d->c + (ptrdiff_t)ch, mask), LOAD(taps), acc);
        }
    dw_finish(1, d, e, x, ch, 1, mask, &acc);
}

/* n columns (0: one, of any geometry), every channel. The last block begins early, so that only rows of fewer channels than a block
 * have a masked tail. */
INLINE void dw_columns(const int n, const int k, const int s, const int border, const kf__dwconv_row *d, const kf__epilogue *e, int32_t x) {
    const float *taps = d->w;
    size_t done = 0;
    for (size_t block = 0; done < d->c; block++, taps += d->kh * d->kw * KF_DWCONV_PANEL)
        for (int j = 0; j < KF_DWCONV_PANEL; j += VL) {
            size_t ch = kf__dwconv_first(d->c, block) + (size_t)j;
            if (ch + VL <= done || ch >= d->c) continue; /* by the block before; outside */
            if (n > 0 && ch + VL <= d->c) dw_vector(n, k, s, border, d, e, x, ch, taps + j);
            else
                for (int q = 0; q < (n > 0 ? n : 1); q++) dw_any(d, e, x + q, ch, taps + j); /* also a rare masked tail */
            done = ch + VL;
        }
}

static void dw_column(const kf__dwconv_row *d, const kf__epilogue *e, int32_t x) { dw_columns(0, 0, 0, 1, d, e, x); }

/* A row in sevens: the widths of 224 x 224 networks are multiples of seven. The last group overlaps the one before it. `columns` are
 * the functions for seven columns inside the row, seven at its ends, and four. */
typedef void dw_columns_fn(const kf__dwconv_row *d, const kf__epilogue *e, int32_t x);
static void dw_row(int k, int s, dw_columns_fn *const columns[3], const kf__dwconv_row *d, const kf__epilogue *e) {
    int32_t w = d->w_out, inside = d->w_in + d->pl - (6 * s + k); /* x * s up to here: seven columns from x on read inside the row */
    if (w < 4) {
        for (int32_t x = 0; x < w; x++) dw_column(d, e, x);
        return;
    }
    if (w < 7) {
        columns[2](d, e, 0);
        if (w > 4) columns[2](d, e, w - 4);
        return;
    }
    for (int32_t x = 0; x < w; x += 7) {
        if (x + 7 > w && w - x <= 4) {
            columns[2](d, e, w - 4);
            return;
        }
        if (x + 7 > w) x = w - 7;
        columns[x * s >= d->pl && x * s <= inside ? 0 : 1](d, e, x);
    }
}

#define ROW(k, s)                                                                                                      \
    static void dw_inside_##k##s(const kf__dwconv_row *d, const kf__epilogue *e, int32_t x) { dw_columns(7, k, s, 0, d, e, x); } \
    static void dw_ends_##k##s(const kf__dwconv_row *d, const kf__epilogue *e, int32_t x) { dw_columns(7, k, s, 1, d, e, x); }   \
    static void dw_four_##k##s(const kf__dwconv_row *d, const kf__epilogue *e, int32_t x) { dw_columns(4, k, s, 1, d, e, x); }   \
    static void dw_row_##k##_##s(const kf__dwconv_row *d, const kf__epilogue *e) {                                     \
        static dw_columns_fn *const COLUMNS[3] = {dw_inside_##k##s, dw_ends_##k##s, dw_four_##k##s};                   \
        dw_row(k, s, COLUMNS, d, e);                                                                                   \
    }
ROW(3, 1)
ROW(3, 2)
ROW(5, 1)
ROW(5, 2)
#undef ROW

void NAME(dwconv_f32)(const kf__dwconv_row *d, const kf__epilogue *e) {
    bool plain = d->kh == d->kw && d->dw == 1;
    if (plain && d->kw == 3 && d->sw == 1) dw_row_3_1(d, e);
    else if (plain && d->kw == 3 && d->sw == 2) dw_row_3_2(d, e);
    else if (plain && d->kw == 5 && d->sw == 1) dw_row_5_1(d, e);
    else if (plain && d->kw == 5 && d->sw == 2) dw_row_5_2(d, e);
    else
        for (int32_t x = 0; x < d->w_out; x++) dw_column(d, e, x);
}
