/* Depthwise 3x3 and 5x5 windows by products of four bytes. A strip of output columns is computed in two passes. The
 * first interleaves the rows of the image that the outputs read, so that a 32-bit lane has four vertically adjacent
 * bytes of one channel. The second keeps the weights of four channels in registers, and reads each interleaved column
 * once for all outputs that it reaches. Sums go to memory, and the epilogue of products makes bytes of them.
 * Needs FLIPPED, which prepares bytes of the image, and DOT_BYTES(acc, x, w).
 * Owner rule: pure functions. */

enum { STRIP_BLOCK = 16, STRIP_ROWS = 8, STRIP_COLUMNS = 2 * KF_DW_STRIP + 16, STRIP_SUMS = KF_DW_STRIP + 4 };

/* What one strip of a block of channels works on. */
typedef struct strip {
    const kf__dwconv_q *d;
    const kf__requant *q;
    const uint8_t *at[STRIP_ROWS]; /* column 0 of the rows that the outputs read, at the first channel of the block */
    size_t step[STRIP_ROWS];       /* bytes to the next column; 0 in rows outside the image, which read zero points */
    const int8_t *w;               /* of the block */
    size_t c0, n;                  /* first channel and number of channels of the block */
    int32_t x0, width;
    V columns[4][2 * STRIP_COLUMNS];          /* interleaved, by vectors of four channels: quads of columns */
    int32_t sums[2][STRIP_SUMS][STRIP_BLOCK]; /* by output rows */
} strip;

/* The bytes of a block in one row; only layers with few channels have fewer than eight. */
NOINLINE uint8x16_t load_few(const uint8_t *p, size_t n) {
    uint8_t few[STRIP_BLOCK] = {0};
    memcpy(few, p, n);
    return vld1q_u8(few);
}
INLINE uint8x16_t load_row(const uint8_t *p, size_t n) {
    if (__builtin_expect(n == STRIP_BLOCK, 1)) return FLIPPED(vld1q_u8(p));
    if (n == 8) return FLIPPED(vcombine_u8(vld1_u8(p), vdup_n_u8(0)));
    return FLIPPED(load_few(p, n));
}

/* One quad of rows; those that no output reads count as 0. */
INLINE void interleave(const int used, const uint8_t *const *at, size_t n, V *to, size_t distance) {
    uint8x16_t v[4];
    UNROLL for (int r = 0; r < 4; r++) v[r] = r < used ? load_row(at[r], n) : vdupq_n_u8(0);
    const uint16x8_t ab0 = vreinterpretq_u16_u8(vzip1q_u8(v[0], v[1])),
                     ab1 = vreinterpretq_u16_u8(vzip2q_u8(v[0], v[1])),
                     cd0 = vreinterpretq_u16_u8(vzip1q_u8(v[2], v[3])),
                     cd1 = vreinterpretq_u16_u8(vzip2q_u8(v[2], v[3]));
    to[0] = vreinterpretq_s32_u16(vzip1q_u16(ab0, cd0)), to[distance] = vreinterpretq_s32_u16(vzip2q_u16(ab0, cd0));
    if (n <= 8) return;
    to[2 * distance] = vreinterpretq_s32_u16(vzip1q_u16(ab1, cd1));
    to[3 * distance] = vreinterpretq_s32_u16(vzip2q_u16(ab1, cd1));
}

/* Columns from..to-1 of the strip, all inside the image or all outside. */
INLINE void interleave_columns(const int quads, const int used, strip *s, const uint8_t *const *rows,
                               const size_t *steps, int32_t from, int32_t to) {
    const uint8_t *at[STRIP_ROWS];
    UNROLL for (int r = 0; r < used; r++) at[r] = rows[r];
    for (int32_t x = from; x < to; x++) {
        UNROLL for (int f = 0; f < quads; f++) interleave(used - 4 * f < 4 ? used - 4 * f : 4, at + 4 * f, s->n,
                                                          &s->columns[0][x * quads + f], 2 * STRIP_COLUMNS);
        UNROLL for (int r = 0; r < used; r++) at[r] += steps[r];
    }
}

/* First pass: the columns that `count` outputs read. */
INLINE void first_pass(const int k, const int stride, const int R, strip *s, int32_t count) {
    const int quads = (k + 3) / 4, used = (R - 1) * stride + k;
    const int32_t columns = (count - 1) * stride + k, first = s->x0 * stride - s->d->pl, w = s->d->w_in;
    const int32_t left = first < 0 ? (-first < columns ? -first : columns) : 0, right = w - first < left ? left
                                                                                        : w - first < columns
                                                                                            ? w - first
                                                                                            : columns;
    const uint8_t *at[STRIP_ROWS], *pads[STRIP_ROWS];
    const size_t zero[STRIP_ROWS] = {0};
    for (int r = 0; r < used; r++) {
        at[r] = s->at[r] + (size_t)(first + left) * s->step[r];
        pads[r] = (const uint8_t *)s->d->pad + s->c0;
    }
    if (left > 0) interleave_columns(quads, used, s, pads, zero, 0, left);
    interleave_columns(quads, used, s, at, s->step, left, right);
    if (right < columns) interleave_columns(quads, used, s, pads, zero, right, columns);
}

/* Second pass, four channels: P outputs of R rows at a time. */
INLINE void second_pass(const int k, const int stride, const int R, const int P, strip *s, size_t j) {
    enum { MOST_TAPS_OF = 20, MOST_OUTPUTS = 14 };
    const int quads = (k + 3) / 4;
    V acc[MOST_OUTPUTS];
    int8x16_t w[MOST_TAPS_OF];
    const V bias = LOADV(s->q->bias + s->c0 + 4 * j), *x = s->columns[j];
    UNROLL for (int t = 0; t < k * quads * R; t++) w[t] = vld1q_s8(s->w + 16 * j + 64 * t);
    for (int32_t o = 0; o < s->width; o += P, x += P * stride * quads) {
        UNROLL for (int i = 0; i < P * R; i++) acc[i] = bias;
        UNROLL for (int column = 0; column < (P - 1) * stride + k; column++) {
            UNROLL for (int f = 0; f < quads; f++) {
                const V v = x[column * quads + f];
                UNROLL for (int i = 0; i < P; i++) {
                    const int kx = column - i * stride;
                    if (kx < 0 || kx >= k) continue;
                    UNROLL for (int r = 0; r < R; r++) acc[i * R + r] =
                        DOT_BYTES(acc[i * R + r], v, w[(kx * quads + f) * R + r]);
                }
            }
        }
        UNROLL for (int i = 0; i < P; i++) {
            UNROLL for (int r = 0; r < R; r++) STOREV(s->sums[r][o + i] + 4 * j, acc[i * R + r]);
        }
    }
}

INLINE void strip_of(const int k, const int stride, const int R, const int P, strip *s) {
    first_pass(k, stride, R, s, (s->width + P - 1) / P * P);
    for (size_t j = 0; 4 * j < s->n; j++) second_pass(k, stride, R, P, s, j);
}
NOINLINE void strip_31(strip *s) { strip_of(3, 1, 2, 7, s); }
NOINLINE void strip_32(strip *s) { strip_of(3, 2, 1, 7, s); }
NOINLINE void strip_51(strip *s) { strip_of(5, 1, 2, 4, s); }
NOINLINE void strip_52(strip *s) { strip_of(5, 2, 2, 4, s); }

/* All blocks of channels of one strip: the rows of a strip stay in the first-level cache while all blocks use them. */
static void strip_blocks(strip *s, int32_t y, int R, void (*run)(strip *)) {
    const kf__dwconv_q *d = s->d;
    const int k = d->kh, used = (R - 1) * d->sh + k;
    const size_t weights = (size_t)(k * kf__dwconv_u8_quads(k) * R) * STRIP_BLOCK * 4;
    s->w = d->w;
    for (s->c0 = 0; s->c0 < d->c; s->c0 += STRIP_BLOCK, s->w += weights) {
        s->n = d->c - s->c0 < STRIP_BLOCK ? d->c - s->c0 : STRIP_BLOCK;
        for (int r = 0; r < used; r++) {
            const int32_t sy = y * d->sh - d->pt + r;
            const bool inside = sy >= 0 && sy < d->h_in;
            s->at[r] = s->c0 + (inside ? (const uint8_t *)d->in + (size_t)sy * (size_t)d->w_in * d->c
                                       : (const uint8_t *)d->pad);
            s->step[r] = inside ? d->c : 0;
        }
        run(s);
        for (int r = 0; r < R && y + r < d->y1; r++) {
            const size_t row = (size_t)(y + r) * (size_t)d->w_out + (size_t)s->x0;
            const sums_of of = {s->sums[r][0], STRIP_BLOCK, (size_t)s->width, row, s->c0, s->n};
            finish_sums(&of, d->out, d->c, s->q);
        }
    }
}

void NAME(dwconv_u8)(const kf__dwconv_q *d, const kf__requant *q) {
    const int R = kf__dwconv_u8_rows(d->kh, d->sh);
    void (*run)(strip *) = d->kh == 3 ? (d->sh == 1 ? strip_31 : strip_32) : d->sh == 1 ? strip_51 : strip_52;
    strip s;
    s.d = d, s.q = q;
    memset(s.sums, 0, sizeof s.sums); /* sums of channels that do not exist are finished, but not stored */
    for (int32_t y = d->y0; y < d->y1; y += R)
        for (s.x0 = 0; s.x0 < d->w_out; s.x0 += KF_DW_STRIP) {
            s.width = d->w_out - s.x0 < KF_DW_STRIP ? d->w_out - s.x0 : KF_DW_STRIP;
            strip_blocks(&s, y, R, run);
        }
}
