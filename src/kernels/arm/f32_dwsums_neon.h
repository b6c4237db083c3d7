/* The loop of an f32 depthwise window for Advanced SIMD, included by body/f32_dwconv.h: n output columns of four
 * channels. As in f32_sums_neon.h, instructions are asm statements in the order in which in-order cores get them: an
 * input column is loaded four columns before it is used. With stride 2 a sum gets its products from few columns, one
 * right after another; therefore columns are taken from the left and the right half in turn.
 * Owner rule: pure functions. Nothing outside the rows is read. */

#define FMLA(sum, a, b) __asm__ volatile("fmla %0.4s, %1.4s, %2.4s" : "+w"(sum) : "w"(a), "w"(b))
#define LOAD_AT(v, p, offset) __asm__ volatile("ldr %q0, [%1, %2]" : "=w"(v) : "r"(p), "r"(offset))

enum { RING = 4 };

/* What input column i of a kernel row adds to the sums. */
INLINE void dw_input(const int n, const int k, const int s, const int i, V v, const V *w, V *acc) {
    UNROLL for (int kx = 0; kx < k; kx++) {
        int q = (i - kx) / s;
        if (i - kx >= 0 && (i - kx) % s == 0 && q < n) FMLA(acc[q], v, w[kx]);
    }
}

/* The load of inner column j: number j / s from one of s places. */
INLINE void dw_next(const int s, const int j, const size_t *offset, const char **from, V *to) {
    LOAD_AT(*to, from[j % s], offset[j / s % 4]);
    if (j / s % 4 == 3) from[j % s] += 4 * offset[1];
}

/* All taps of columns that start at input column `left`; at most half a window lies beyond either end of the row. */
INLINE void dw_sums(const int n, const int k, const int s, const kf__dwconv_row *d, int32_t left, size_t ch,
                    const float *taps, V *acc) {
    const int last = (n - 1) * s + k - 1, edge = k / 2;
    const int inner = last + 1 - 2 * edge, half = (inner + 1) / 2; /* columns that are inside the row for certain */
    const size_t c = d->c * sizeof(float), offset[4] = {0, c, 2 * c, 3 * c};
    __asm__ volatile("" : : : "memory"); /* what callers have stored comes before the loads below */
    for (int ky = 0; ky < k; ky++, taps += k * KF_DWCONV_PANEL) {
        if (!d->rows[ky]) continue;
        const float *p = d->rows[ky] + (ptrdiff_t)(left + edge) * (ptrdiff_t)d->c + (ptrdiff_t)ch;
        const char *from[2] = {(const char *)p, (const char *)p + (size_t)half * c};
        V ring[RING], w[5];
        UNROLL for (int j = 0; j < RING; j++) dw_next(s, j, offset, from, &ring[j]);
        UNROLL for (int kx = 0; kx < k; kx++) w[kx] = LOAD(taps + kx * KF_DWCONV_PANEL);
        UNROLL for (int i = 0; i < edge; i++) if (left + i >= 0)
            dw_input(n, k, s, i, LOAD(p - (size_t)(edge - i) * d->c), w, acc);
        UNROLL for (int j = 0; j < inner; j++) {
            const int place = s == 1 ? j : j / 2 + j % 2 * half;
            dw_input(n, k, s, edge + place, ring[j % RING], w, acc);
            if (j + RING < inner) dw_next(s, j + RING, offset, from, &ring[j % RING]);
        }
        UNROLL for (int i = last - edge + 1; i <= last; i++) if (left + i < d->w_in)
            dw_input(n, k, s, i, LOAD(p + (size_t)(i - edge) * d->c), w, acc);
    }
}
#undef FMLA
#undef LOAD_AT
