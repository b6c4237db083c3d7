/* Body of the integer depthwise kernels, included by int_template.h. Four rows of the image are interleaved, so that
 * one i32 lane holds four vertically adjacent taps of one channel. A column of the image is loaded once and used for
 * all outputs that read it. An instruction set with registers of 64 bytes may name a FOLD_BODY, a special path for
 * blocks of up to 16 channels.
 * Owner rule: pure functions. */

#define BLOCK sizeof(V)

/* What one pass over a strip of columns works on. */
typedef struct dw_pass {
    const kf__dwconv_q *d;
    const kf__requant *q;
    const uint8_t *at[8]; /* column 0 of the rows that the outputs read, at the first channel of the block */
    size_t step[8];       /* bytes to the next column; 0 in rows outside the image, which read the zero point */
    const char *w;        /* of the block */
    size_t c0, n;         /* first channel and number of channels of the block */
    int32_t y, x0, width;
    V *sums; /* [width][R][4], where a second loop does the epilogue */
} dw_pass;

/* One quad of rows: all four vectors of a block (J == 4), or the first or last two. `used`: rows of the quad that
 * any output reads. */
INLINE void load_quad(const int J, bool high, const int used, const uint8_t *const *at, LANES lanes, V *to) {
    V v[4], ab, cd;
    UNROLL for (int r = 0; r < 4; r++) v[r] = r < used ? load_lanes(at[r], lanes) : SET1I(0);
    if (J == 4 || high) {
        ab = UNPHI8(v[0], v[1]), cd = used > 2 ? UNPHI8(v[2], v[3]) : SET1I(0);
        if (J == 4) to[2] = UNPLO16(ab, cd), to[3] = UNPHI16(ab, cd);
    }
    if (J == 4 || !high) ab = UNPLO8(v[0], v[1]), cd = used > 2 ? UNPLO8(v[2], v[3]) : SET1I(0);
    to[0] = UNPLO16(ab, cd), to[1] = UNPHI16(ab, cd);
}

/* Parameters of a block, read before the loop: otherwise the compiler would reload them after every store of bytes. */
typedef struct dw_params {
    F mul[4], k[4];
    V zero[2], lo, hi;
} dw_params;

INLINE void dw_params_at(const int kind, const kf__requant *q, size_t c0, dw_params *p) {
    if (kind == GENERAL) return;
    UNROLL for (int j = 0; j < 4; j++) {
        p->mul[j] = LOADF(q->mul + c0 + (size_t)(j * VL));
        if (kind == HSWISH_Q) p->k[j] = LOADF(q->k + c0 + (size_t)(j * VL));
    }
    UNROLL for (int j = 0; j < 4; j += 2) p->zero[j / 2] =
        PACK32(LOADV(q->zero + c0 + (size_t)(j * VL)), LOADV(q->zero + c0 + (size_t)((j + 1) * VL)));
    p->lo = LOADV(q->lo8 + c0), p->hi = LOADV(q->hi8 + c0);
}

INLINE V dw_value(const int kind, V acc, const dw_params *p, const int j, const kf__requant *q, size_t col) {
    if (kind == PLAIN_Q) return RNE(MULF(CVT(acc), p->mul[j]));
    if (kind == HSWISH_Q) return RNE(hswish(MULF(CVT(acc), p->mul[j]), p->k[j]));
    params g = params_at(q, col + (size_t)(j * VL));
    F v = activate(MULF(CVT(acc), g.mul), q, g.k);
    if (q->inv) v = MULF(v, g.inv);
    return round_q(v, &g);
}

/* Vectors j and j + 1 to i16, zero point included. */
INLINE V dw_words(const int kind, const V *acc, const dw_params *p, const int j, const kf__requant *q, size_t col) {
    V words = PACK32(dw_value(kind, acc[j], p, j, q, col), dw_value(kind, acc[j + 1], p, j + 1, q, col));
    return kind == GENERAL ? words : ADDS16(words, p->zero[j / 2]);
}

/* i16 of one output pixel to its place. */
INLINE void dw_store(const int kind, V lo, V hi, const dw_params *p, const dw_pass *pass, size_t at, LANES lanes) {
    const kf__requant *q = pass->q;
    if (kind != GENERAL) {
        store_lanes((uint8_t *)pass->d->out + at, MINU8(MAXU8(PACK16(lo, hi), p->lo), p->hi), lanes);
    } else if (q->out == KF_U8) {
        store_lanes((uint8_t *)pass->d->out + at, PACK16(lo, hi), lanes);
    } else {
        int16_t words[2][BLOCK / 2];
        memcpy(words[0], &lo, BLOCK);
        memcpy(words[1], &hi, BLOCK);
        for (size_t i = 0; i < pass->n; i += 8)
            memcpy((int16_t *)pass->d->out + at + i, &words[i / 8 % 2][i / 16 * 8],
                   (pass->n - i < 8 ? pass->n - i : 8) * 2);
    }
}

enum { SUMS = GENERAL + 1 }; /* kind of a strip whose epilogue is a second loop */

/* All vectors of a block of channels, or its first or last two (J == 2, `high`), R output rows of a strip. A column
 * of the image contributes to all outputs that it reaches (`live` of them); the first of them is complete after it.
 * With many registers (RING), the sums of output o stay in slot o % live and the loop is unrolled by slots.
 * Otherwise the sums move up by one register after each column. */
INLINE void dw_strip(const int kind, const int k, const int s, const int R, const int J, bool high, const dw_pass *p) {
    enum { STEP = 4, MOST = 5 };
    const int quads = (k + 3) / 4, live = (k + s - 1) / s, used = (R - 1) * s + k, slots = RING ? live : 1;
    const bool paired = RING && R == 2; /* the second row uses the weights of the first on shifted lanes */
    const size_t j0 = high ? 2 : 0;
    const V *w = (const V *)(const void *)p->w + j0;
    const kf__requant *q = p->q;
    const int32_t total = p->width + live - 1, w_in = p->d->w_in, rows = p->d->y1 - p->y;
    const size_t pixel = p->d->c, row = pixel * (size_t)p->d->w_out, col = p->c0 + j0 * VL;
    const LANES lanes = lanes_of(p->n);
    const uint8_t *at[8], *pads[4], *const pad = (const uint8_t *)p->d->pad + p->c0;
    size_t to = (size_t)p->y * row + (size_t)p->x0 * pixel + p->c0;
    int32_t sx = p->x0 * s - p->d->pl;
    V acc[MOST][2][4], x[2][4], *sums = p->sums + j0;
    dw_params at_col;
    if (kind != SUMS) dw_params_at(kind, q, p->c0, &at_col);
    UNROLL for (int r = 0; r < 4 * quads; r++) at[r] = p->at[r] + (ptrdiff_t)sx * (ptrdiff_t)p->step[r];
    UNROLL for (int r = 0; r < 4; r++) pads[r] = pad;
    UNROLL for (int j = 0; j < J; j++) {
        V bias = LOADV(q->bias + col + (size_t)(j * VL));
        UNROLL for (int i = 0; i < live; i++) acc[i][0][j] = acc[i][1][j] = bias;
    }
    for (int32_t m = 0; m < total; m += slots) {
        UNROLL for (int slot = 0; slot < slots; slot++) {
            if (m + slot >= total) return;
            UNROLL for (int phase = 0; phase < s; phase++, sx++) {
                const int reach = live - phase;
                const uint8_t *const *rows_at = sx >= 0 && sx < w_in ? at : pads;
                HIDE(w); /* otherwise the compiler keeps the address of every tap on the stack */
                UNROLL for (int f = 0; f < quads; f++) {
                    if (J == 2) HIDE(high);
                    load_quad(J, high, used - f * 4 < 4 ? used - f * 4 : 4, rows_at == at ? at + f * 4 : pads, lanes,
                              x[f]);
                }
                if (!paired) {
                    UNROLL for (int i = 0; i < reach * quads; i++) {
                        const int f = i / reach, kx = (reach - 1 - i % reach) * s + phase,
                                  o = RING ? (slot + i % reach + phase) % live : i % reach;
                        UNROLL for (int r = 0; kx < k && r < R; r++) {
                            UNROLL for (int j = 0; j < J; j++) {
                                const V *tap = w + ((kx * quads + f) * R + r) * STEP + j;
                                DOT_AT(acc[o][r][j], x[f][j], tap);
                            }
                        }
                    }
                }
                if (paired) {
                    UNROLL for (int j = 0; j < J; j++) {
                        V below[2];
                        UNROLL for (int f = 0; f < quads; f++) below[f] =
                            ROWS_DOWN(x[f][j], f + 1 < quads ? x[f + 1][j] : SET1I(0), s);
                        UNROLL for (int i = 0; i < reach * quads; i++) {
                            const int f = i / reach, kx = (reach - 1 - i % reach) * s + phase,
                                      o = (slot + i % reach + phase) % live;
                            const V *tap = w + (kx * quads + f) * 2 * STEP + j;
                            if (kx < k) DOT_PAIR(acc[o][0][j], acc[o][1][j], x[f][j], below[f], tap);
                        }
                    }
                }
                UNROLL for (int r = 0; r < used; r++) at[r] += p->step[r];
                if (phase) continue;
                if (m + slot >= live - 1) {
                    UNROLL for (int r = 0; r < R; r++) {
                        if (kind == SUMS) {
                            UNROLL for (int j = 0; j < J; j++) STOREV(sums + r * 4 + j, acc[slot][r][j]);
                        } else if (r < rows) {
                            dw_store(kind, dw_words(kind, acc[slot][r], &at_col, 0, q, col),
                                     dw_words(kind, acc[slot][r], &at_col, 2, q, col), &at_col, p, to + (size_t)r * row,
                                     lanes);
                        }
                    }
                    to += pixel;
                    sums += 4 * R;
                }
                UNROLL for (int j = 0; j < J; j++) {
                    V bias = LOADV(q->bias + col + (size_t)(j * VL));
                    UNROLL for (int r = 0; r < R; r++) {
                        UNROLL for (int i = 0; !RING && i + 1 < live; i++) acc[i][r][j] = acc[i + 1][r][j];
                        acc[RING ? slot : live - 1][r][j] = bias;
                    }
                }
            }
        }
    }
}

/* The epilogue of a strip's sums: one piece of code for all windows. */
INLINE void finish_strip(const int kind, const int R, const dw_pass *p) {
    const V *sums = p->sums;
    const LANES lanes = lanes_of(p->n);
    dw_params at_col;
    dw_params_at(kind, p->q, p->c0, &at_col);
    for (int32_t o = 0; o < p->width; o++)
        for (int r = 0; r < R; r++, sums += 4) {
            size_t at = ((size_t)(p->y + r) * (size_t)p->d->w_out + (size_t)(p->x0 + o)) * p->d->c + p->c0;
            V lo = dw_words(kind, sums, &at_col, 0, p->q, p->c0), hi = dw_words(kind, sums, &at_col, 2, p->q, p->c0);
            if (p->y + r < p->d->y1) dw_store(kind, lo, hi, &at_col, p, at, lanes);
        }
}
NOINLINE void finish_strip_plain(int R, const dw_pass *p) { finish_strip(PLAIN_Q, R, p); }
NOINLINE void finish_strip_hswish(int R, const dw_pass *p) { finish_strip(HSWISH_Q, R, p); }
NOINLINE void finish_strip_general(int R, const dw_pass *p) { finish_strip(GENERAL, R, p); }

#ifdef FOLD_BODY
enum { FOLDS = 1 };
#include FOLD_BODY
#else
enum { FOLDS = 0 };
#endif

/* One block of channels of one strip. */
INLINE void dw_block(const int k, const int s, const int R, const int J, int kind, const dw_pass *p) {
#ifdef FOLD_BODY
    if (kind != GENERAL && p->n <= 16) {
        if (k == 3 && kind == PLAIN_Q) {
            (s == 1 ? fold31_plain : fold32_plain)(p);
            return;
        }
        dw_fold(k, s, R, p);
        (kind == PLAIN_Q ? finish_fold_plain : finish_fold_hswish)(R, p);
        return;
    }
#endif
    if (J == 4 && kind == PLAIN_Q) {
        dw_strip(PLAIN_Q, k, s, R, 4, false, p);
    } else if (J == 4 && kind == HSWISH_Q) {
        dw_strip(HSWISH_Q, k, s, R, 4, false, p);
    } else {
        for (int half = 0; half < 2; half++) {
            bool high = half;
            HIDE(high);
            dw_strip(SUMS, k, s, R, 2, high, p);
        }
        (kind == PLAIN_Q ? finish_strip_plain : kind == HSWISH_Q ? finish_strip_hswish : finish_strip_general)(R, p);
    }
}

/* Strip by strip, block by block: the rows of a strip stay in the first-level cache while all blocks of channels use
 * them. Rows outside the image point to the zero points, with a step of 0. */
INLINE void dwconv(const int k, const int s, const int R, const int J, const kf__dwconv_q *d, const kf__requant *q) {
    const int quads = (k + 3) / 4;
    size_t weights = (size_t)(k * quads * R) * BLOCK * 4;
    const int kind = kind_of(q);
    const bool whole = FOLDS && k == 3 && kind == PLAIN_Q && d->c <= 16; /* rows, where no sums are kept */
    const int32_t strip = whole ? d->w_out : KF_DW_STRIP;
    dw_pass p = {.d = d, .q = q, .sums = d->scratch};
    for (p.y = d->y0; p.y < d->y1; p.y += R)
        for (p.x0 = 0; p.x0 < d->w_out; p.x0 += strip) {
            p.width = d->w_out - p.x0 < strip ? d->w_out - p.x0 : strip;
            for (p.c0 = 0; p.c0 < d->c; p.c0 += BLOCK) {
                p.n = d->c - p.c0 < BLOCK ? d->c - p.c0 : BLOCK;
                p.w = (const char *)d->w + p.c0 / BLOCK * weights;
                for (int r = 0; r < quads * 4; r++) {
                    int32_t sy = p.y * s - d->pt + r;
                    bool inside = sy >= 0 && sy < d->h_in;
                    p.at[r] = (inside ? (const uint8_t *)d->in + (size_t)sy * (size_t)d->w_in * d->c
                                      : (const uint8_t *)d->pad) +
                              p.c0;
                    p.step[r] = inside ? d->c : 0;
                }
                dw_block(k, s, R, J, kind, &p);
            }
        }
}

NOINLINE void dw31(const kf__dwconv_q *d, const kf__requant *q) { dwconv(3, 1, 2, DW3_J, d, q); }
NOINLINE void dw32(const kf__dwconv_q *d, const kf__requant *q) { dwconv(3, 2, 1, DW3_J, d, q); }
NOINLINE void dw51(const kf__dwconv_q *d, const kf__requant *q) { dwconv(5, 1, 2, 2, d, q); }
NOINLINE void dw52(const kf__dwconv_q *d, const kf__requant *q) { dwconv(5, 2, 2, 2, d, q); }

void NAME(dwconv_u8)(const kf__dwconv_q *d, const kf__requant *q) {
    if (d->kh == 3 && d->sh == 1) dw31(d, q);
    else if (d->kh == 3) dw32(d, q);
    else if (d->sh == 1) dw51(d, q);
    else dw52(d, q);
}
