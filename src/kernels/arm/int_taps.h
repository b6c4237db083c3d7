/* Depthwise windows of any kind, tap by tap: bytes are widened to i16, SMLAL adds products in i32. Sixteen channels of
 * four output columns at a time, so that a vector of weights serves four columns.
 * Owner rule: pure functions. */

enum { MOST_TAPS = 64, TAP_COLUMNS = 4, TAP_BLOCK = 16 };

/* One row of outputs in pieces of four columns: where their taps lie. */
typedef struct tap_piece {
    const kf__dwconv_q *d;
    size_t columns, taps;
    const char *at[MOST_TAPS][TAP_COLUMNS]; /* channel 0 of every tap */
} tap_piece;

/* Taps outside the image read the zero points. Columns that do not exist repeat the last one. */
static void find_taps(tap_piece *p, size_t size, int32_t y, int32_t x0) {
    const kf__dwconv_q *d = p->d;
    for (int32_t t = 0; t < d->kh * d->kw; t++) {
        const int32_t sy = y * d->sh - d->pt + t / d->kw * d->dh;
        const bool row = sy >= 0 && sy < d->h_in;
        for (int32_t o = 0; o < TAP_COLUMNS; o++) {
            const int32_t x = x0 + (o < (int32_t)p->columns ? o : (int32_t)p->columns - 1),
                          sx = x * d->sw - d->pl + t % d->kw * d->dw;
            const bool inside = row && sx >= 0 && sx < d->w_in;
            p->at[t][o] =
                inside ? (const char *)d->in + ((size_t)sy * (size_t)d->w_in + (size_t)sx) * d->c * size : d->pad;
        }
    }
}

/* n values of `size` bytes from channel c0 on, 16 at most; bytes are signed or not. */
INLINE void load_block(const char *from, const size_t size, const bool sign, size_t c0, size_t n, int16x8_t *to) {
    char few[2 * TAP_BLOCK] = {0};
    from += c0 * size;
    if (n < TAP_BLOCK) memcpy(few, from, n * size), from = few;
    if (size == 2) {
        to[0] = vld1q_s16((const int16_t *)(const void *)from),
        to[1] = vld1q_s16((const int16_t *)(const void *)from + 8);
    } else if (sign) {
        const int8x16_t v = vld1q_s8((const int8_t *)from);
        to[0] = vmovl_s8(vget_low_s8(v)), to[1] = vmovl_high_s8(v);
    } else {
        const uint8x16_t v = vld1q_u8((const uint8_t *)from);
        to[0] = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(v))), to[1] = vreinterpretq_s16_u16(vmovl_high_u8(v));
    }
}

/* Channels c0..c0+n-1 of a piece whose first pixel is number `row` of the output. */
INLINE void block_of_taps(const size_t size, const size_t weight_size, const tap_piece *p, const kf__requant *q,
                          size_t row, size_t c0, const size_t n) {
    V acc[TAP_COLUMNS][4];
    int32_t sums[TAP_COLUMNS][TAP_BLOCK];
    const char *weights = p->d->w;
    UNROLL for (int j = 0; j < 4; j++) {
        const V bias = LOADV(q->bias + c0 + 4 * j);
        UNROLL for (int o = 0; o < TAP_COLUMNS; o++) acc[o][j] = bias;
    }
    for (size_t t = 0; t < p->taps; t++, weights += p->d->c * weight_size) {
        int16x8_t w[2], x[2];
        load_block(weights, weight_size, true, c0, n, w);
        UNROLL for (int o = 0; o < TAP_COLUMNS; o++) {
            load_block(p->at[t][o], size, false, c0, n, x);
            UNROLL for (int j = 0; j < 2; j++) {
                acc[o][2 * j] = vmlal_s16(acc[o][2 * j], vget_low_s16(x[j]), vget_low_s16(w[j]));
                acc[o][2 * j + 1] = vmlal_high_s16(acc[o][2 * j + 1], x[j], w[j]);
            }
        }
    }
    UNROLL for (int o = 0; o < TAP_COLUMNS; o++) {
        UNROLL for (int j = 0; j < 4; j++) STOREV(sums[o] + 4 * j, acc[o][j]);
    }
    const sums_of s = {sums[0], TAP_BLOCK, p->columns, row, c0, n};
    finish_sums(&s, p->d->out, p->d->c, q);
}

typedef void taps_fn(const tap_piece *p, const kf__requant *q, size_t row, size_t c0, size_t n);
#define TAPS(name, size, weight_size)                                                                                  \
    NOINLINE void name(const tap_piece *p, const kf__requant *q, size_t row, size_t c0, size_t n) {                    \
        if (n < TAP_BLOCK) block_of_taps(size, weight_size, p, q, row, c0, n);                                         \
        else block_of_taps(size, weight_size, p, q, row, c0, TAP_BLOCK);                                               \
    }
TAPS(taps_u8_i8, 1, 1)
TAPS(taps_u8_i16, 1, 2)
TAPS(taps_i16, 2, 2)

/* The last block of channels ends with the last channel and overlaps the one before it. */
static void dwconv_by_taps(taps_fn *block, const kf__dwconv_q *d, const kf__requant *q) {
    const size_t size = d->in_type == KF_U8 ? 1 : 2, c = d->c;
    tap_piece p = {.d = d, .taps = (size_t)(d->kh * d->kw)};
    for (int32_t y = d->y0; y < d->y1; y++)
        for (int32_t x = 0; x < d->w_out; x += TAP_COLUMNS) {
            const size_t row = (size_t)y * (size_t)d->w_out + (size_t)x;
            p.columns = (size_t)(d->w_out - x < TAP_COLUMNS ? d->w_out - x : TAP_COLUMNS);
            find_taps(&p, size, y, x);
            for (size_t c0 = 0; c0 < c; c0 += TAP_BLOCK) {
                const size_t from = c0 + TAP_BLOCK <= c || c < TAP_BLOCK ? c0 : c - TAP_BLOCK;
                block(&p, q, row, from, c < TAP_BLOCK ? c : TAP_BLOCK);
            }
        }
}

void NAME(dwconv_any)(const kf__dwconv_q *d, const kf__requant *q) {
    if (d->kh * d->kw > MOST_TAPS) kf_k_dwconv_u8_scalar(d, q);
    else dwconv_by_taps(taps_u8_i8, d, q);
}

void NAME(dwconv_i16)(const kf__dwconv_q *d, const kf__requant *q) {
    if (d->kh * d->kw > MOST_TAPS) kf_k_dwconv_i16_scalar(d, q);
    else dwconv_by_taps(d->in_type == KF_U8 ? taps_u8_i16 : taps_i16, d, q);
}
