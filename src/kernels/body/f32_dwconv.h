/* Body of the f32 depthwise row kernel, compiled once per instruction set; included by f32_template.h. Seven (or four)
 * output columns of one channel vector are summed together: an input column is loaded once for all of them.
 * Owner rule: pure functions; masked loads and stores keep tails inside the rows. */

/* Activation, residual and last clip of `n` vectors in registers, stored at distance `c`. */
INLINE void dw_finish(const int n, const kf__dwconv_row *d, const kf__epilogue *e, int32_t x, size_t ch, const int tail,
                      MASK mask, V *acc) {
    size_t at = (size_t)x * d->c + ch;
    float *to = d->out + at;
    if (is_relu(e)) UNROLL for (int q = 0; q < n; q++) acc[q] = MAX(SET1(e->act.lo), acc[q]);
    else if (e->act.kind == KF_ACT_CLIP)
        UNROLL for (int q = 0; q < n; q++) acc[q] = clip(acc[q], SET1(e->act.lo), SET1(e->act.hi));
    else if (e->act.kind == KF_ACT_HSWISH) UNROLL for (int q = 0; q < n; q++) acc[q] = hswish(acc[q]);
    else if (e->act.kind != KF_ACT_NONE) UNROLL for (int q = 0; q < n; q++) acc[q] = activate_any(acc[q], e);
    if (e->residual)
        UNROLL for (int q = 0; q < n; q++) acc[q] = ADD(acc[q], LOADM(e->residual + at + (size_t)q * d->c, mask));
    if (e->post.kind == KF_ACT_CLIP)
        UNROLL for (int q = 0; q < n; q++) acc[q] = clip(acc[q], SET1(e->post.lo), SET1(e->post.hi));
    if (tail) UNROLL for (int q = 0; q < n; q++) STOREM(to + (size_t)q * d->c, mask, acc[q]);
    else UNROLL for (int q = 0; q < n; q++) STORE(to + (size_t)q * d->c, acc[q]);
}

#ifdef DW_SUMS
#include DW_SUMS
#else
/* All taps of columns that start at input column `left`: k x k, stride s, no dilation. At most half a window lies
 * beyond either end of the row. n, k and s are constants, so that the sums and the taps of a kernel row stay in
 * registers. */
INLINE void dw_sums(const int n, const int k, const int s, const kf__dwconv_row *d, int32_t left, size_t ch,
                    const float *taps, V *acc) {
    const int last = (n - 1) * s + k - 1;
    const size_t c = d->c, c3 = 3 * c;
    for (int ky = 0; ky < k; ky++, taps += k * KF_DWCONV_PANEL) {
        if (!d->rows[ky]) continue;
        V w[5];
        UNROLL for (int kx = 0; kx < k; kx++) w[kx] = LOAD(taps + kx * KF_DWCONV_PANEL);
        const float *p = d->rows[ky] + (ptrdiff_t)left * (ptrdiff_t)c + (ptrdiff_t)ch;
        UNROLL for (int i = 0; i <= last; i++) {
            if (i > 0 && i % 4 == 0) {
                p += 4 * c;
                OPAQUE(p);
            }
            if ((i < k / 2 && left + i < 0) || (i > last - k / 2 && left + i >= d->w_in)) continue;
            const float *from = p + (i % 4 == 3 ? c3 : (size_t)(i % 4) * c);
            V v = LOAD(from);
            IN_REGISTER(v);
            UNROLL for (int kx = 0; kx < k; kx++) {
                int q = (i - kx) / s;
                if (i - kx >= 0 && (i - kx) % s == 0 && q < n) acc[q] = FMA(v, w[kx], acc[q]);
            }
        }
    }
}
#endif

/* Columns x..x+n of the channels from ch on. */
INLINE void dw_vector(const int n, const int k, const int s, const kf__dwconv_row *d, const kf__epilogue *e, int32_t x,
                      size_t ch, const float *taps) {
    V acc[DW_MOST], bias = e->bias ? LOAD(e->bias + ch) : ZERO;
    UNROLL for (int q = 0; q < n; q++) acc[q] = bias;
    dw_sums(n, k, s, d, x * s - d->pl, ch, taps, acc);
    dw_finish(n, d, e, x, ch, 0, TAIL(VL), acc);
}

/* One column of any geometry. */
static __attribute__((noinline)) void dw_any(const kf__dwconv_row *d, const kf__epilogue *e, int32_t x, size_t ch,
                                             const float *taps) {
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

/* n columns (0: one column of any geometry), every channel. The last block overlaps the one before it, so that only
 * rows with fewer channels than a block need a masked tail. */
INLINE void dw_columns(const int n, const int k, const int s, const kf__dwconv_row *d, const kf__epilogue *e,
                       int32_t x) {
    const float *taps = d->w;
    size_t done = 0;
    for (size_t block = 0; done < d->c; block++, taps += d->kh * d->kw * KF_DWCONV_PANEL)
        for (int j = 0; j < KF_DWCONV_PANEL; j += VL) {
            size_t ch = kf__dwconv_first(d->c, block) + (size_t)j;
            if (ch + VL <= done || ch >= d->c) continue; /* done by the block before, or outside the row */
            if (n > 0 && ch + VL <= d->c) dw_vector(n, k, s, d, e, x, ch, taps + j);
            else
                for (int q = 0; q < (n > 0 ? n : 1); q++)
                    dw_any(d, e, x + q, ch, taps + j); /* also a rare masked tail */
            done = ch + VL;
        }
}

static void dw_column(const kf__dwconv_row *d, const kf__epilogue *e, int32_t x) { dw_columns(0, 0, 0, d, e, x); }

/* A row in groups of seven columns: the widths of 224 x 224 networks are multiples of seven. The last group overlaps
 * the one before it. `columns` are the functions for four, seven and fourteen columns, the last one or NULL. */
typedef void dw_columns_fn(const kf__dwconv_row *d, const kf__epilogue *e, int32_t x);
static void dw_row(dw_columns_fn *const columns[3], const kf__dwconv_row *d, const kf__epilogue *e) {
    int32_t w = d->w_out, x = 0;
    if (w < 4) {
        for (; x < w; x++) dw_column(d, e, x);
        return;
    }
    for (; columns[2] && w - x >= 14; x += 14) columns[2](d, e, x);
    while (x < w) {
        int wide = w >= 7 && w - x > 4, n = wide ? 7 : 4;
        if (x + n > w) x = w - n;
        columns[wide](d, e, x);
        x += n;
    }
}

#define COLUMNS(n, k, s)                                                                                               \
    static void dw_##n##_##k##s(const kf__dwconv_row *d, const kf__epilogue *e, int32_t x) {                           \
        dw_columns(n, k, s, d, e, x);                                                                                  \
    }
#define ROW(k, s, most)                                                                                                \
    COLUMNS(4, k, s)                                                                                                   \
    COLUMNS(7, k, s)                                                                                                   \
    static void dw_row_##k##_##s(const kf__dwconv_row *d, const kf__epilogue *e) {                                     \
        static dw_columns_fn *const TABLE[3] = {dw_4_##k##s, dw_7_##k##s, most};                                       \
        dw_row(TABLE, d, e);                                                                                           \
    }
#if DW_MOST >= 14
COLUMNS(14, 3, 1)
COLUMNS(14, 3, 2)
#define MOST_31 dw_14_31
#define MOST_32 dw_14_32
#else
#define MOST_31 NULL
#define MOST_32 NULL
#endif
#if DW_MOST_5 >= 14
COLUMNS(14, 5, 1)
COLUMNS(14, 5, 2)
#define MOST_51 dw_14_51
#define MOST_52 dw_14_52
#else
#define MOST_51 NULL
#define MOST_52 NULL
#endif
ROW(3, 1, MOST_31)
ROW(3, 2, MOST_32)
ROW(5, 1, MOST_51)
ROW(5, 2, MOST_52)
#undef ROW

/* The usual windows have functions of their own. The others, and rows with wide padding, go column by column. */
void NAME(dwconv_f32)(const kf__dwconv_row *d, const kf__epilogue *e) {
    int32_t beyond =
        (d->w_out - 1) * d->sw - d->pl + d->kw - d->w_in; /* columns that the last window reaches past the row */
    bool plain = d->kh == d->kw && d->dw == 1 && d->pl <= d->kw / 2 && beyond <= d->kw / 2;
    if (plain && d->kw == 3 && d->sw == 1) dw_row_3_1(d, e);
    else if (plain && d->kw == 3 && d->sw == 2) dw_row_3_2(d, e);
    else if (plain && d->kw == 5 && d->sw == 1) dw_row_5_1(d, e);
    else if (plain && d->kw == 5 && d->sw == 2) dw_row_5_2(d, e);
    else
        for (int32_t x = 0; x < d->w_out; x++) dw_column(d, e, x);
}
