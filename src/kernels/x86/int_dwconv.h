/* Body of the x86 integer depthwise kernels, included by int_template.h. Four rows of the image are interleaved, so that one i32 lane
 * holds four taps of one channel below each other; a column of the image is used for all outputs that read it, then forgotten.
 * Floor 3. Owner rule: pure functions. */

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
    V *sums;              /* [width][R][4], where a second loop does the epilogue */
} dw_pass;

/* One four of rows: all four vectors of a block (J == 4), or the first or last two. `used`: rows of the four that any output reads. */
INLINE void load_four(const int J, bool high, const int used, const uint8_t *const *at, LANES lanes, V *to) {
    V v[4], ab, cd;
    UNROLL for (int r = 0; r < 4; r++) v[r] = r < used ? load_lanes(at[r], lanes) : SET1I(0);
    if (J == 4 || high) {
        ab = UNPHI8(v[0], v[1]), cd = used > 2 ? UNPHI8(v[2], v[3]) : SET1I(0);
        if (J == 4) to[2] = UNPLO16(ab, cd), to[3] = UNPHI16(ab, cd);
    }
    if (J == 4 || !high) ab = UNPLO8(v[0], v[1]), cd = used > 2 ? UNPLO8(v[2], v[3]) : SET1I(0);
    to[0] = UNPLO16(ab, cd), to[1] = UNPHI16(ab, cd);
}

/* Parameters of a block, read before the loop: stores of bytes could change them, as far as the compiler knows. */
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
    UNROLL for (int j = 0; j < 4; j += 2) p->zero[j / 2] = PACK32(LOADV(q->zero + c0 + (size_t)(j * VL)), LOADV(q->zero + c0 + (size_t)((j + 1) * VL)));
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
            memcpy((int16_t *)pass->d->out + at + i, &words[i / 8 % 2][i / 16 * 8], (pass->n - i < 8 ? pass->n - i : 8) * 2);
    }
}

enum { SUMS = GENERAL + 1 }; /* kind of a strip that leaves its sums to a second loop */

/* All vectors of a block of channels, or its first or last two (J == 2, `high`), R output rows of a strip. A column of the image is used for all outputs that it
 * reaches (`live` of them) and then forgotten; the first of them is complete after it. Where registers are many (RING), the sums of output o
 * live in slot o % live and the loop is unrolled by slots, so that nothing moves; else they move up by one after each column. */
INLINE void dw_strip(const int kind, const int k, const int s, const int R, const int J, bool high, const dw_pass *p) {
    enum { STEP = 4, MOST = 5 };
    const int fours = (k + 3) / 4, live = (k + s - 1) / s, used = (R - 1) * s + k, slots = RING ? live : 1;
    const bool paired = RING && R == 2; /* the second row uses the weights of the first on lanes that are moved down */
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
    UNROLL for (int r = 0; r < 4 * fours; r++) at[r] = p->at[r] + (ptrdiff_t)sx * (ptrdiff_t)p->step[r];
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
                HIDE(w); /* else the address of every tap is kept, on the stack */
                UNROLL for (int f = 0; f < fours; f++) {
                    if (J == 2) HIDE(high);
                    load_four(J, high, used - f * 4 < 4 ? used - f * 4 : 4, rows_at == at ? at + f * 4 : pads, lanes, x[f]);
                }
                if (!paired) {
                    UNROLL for (int i = 0; i < reach * fours; i++) {
                        const int f = i / reach, kx = (reach - 1 - i % reach) * s + phase, o = RING ? (slot + i % reach + phase) % live : i % reach;
                        UNROLL for (int r = 0; kx < k && r < R; r++) {
                            UNROLL for (int j = 0; j < J; j++) {
                                const V *tap = w + ((kx * fours + f) * R + r) * STEP + j;
                                DOT_AT(acc[o][r][j], x[f][j], tap);
                            }
                        }
                    }
                }
                if (paired) {
                    UNROLL for (int j = 0; j < J; j++) {
                        V below[2];
                        UNROLL for (int f = 0; f < fours; f++) below[f] = ROWS_DOWN(x[f][j], f + 1 < fours ? x[f + 1][j] : SET1I(0), s);
                        UNROLL for (int i = 0; i < reach * fours; i++) {
                            const int f = i / reach, kx = (reach - 1 - i % reach) * s + phase, o = (slot + i % reach + phase) % live;
                            const V *tap = w + (kx * fours + f) * 2 * STEP + j;
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
                            dw_store(kind, dw_words(kind, acc[slot][r], &at_col, 0, q, col), dw_words(kind, acc[slot][r], &at_col, 2, q, col), &at_col, p,
                                     to + (size_t)r * row, lanes);
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
APART void finish_strip_plain(int R, const dw_pass *p) { finish_strip(PLAIN_Q, R, p); }
APART void finish_strip_hswish(int R, const dw_pass *p) { finish_strip(HSWISH_Q, R, p); }
APART void finish_strip_general(int R, const dw_pass *p) { finish_strip(GENERAL, R, p); }

#if VL == 16
/* Sixteen channels or fewer: a register holds four pixels of them instead of one of 64. Lane l of the group at pixel x is pixel x + l * s. */
APART V gather_group(const uint8_t *at, size_t step, int32_t x, int s, const dw_pass *p) {
    const __mmask16 lanes = (__mmask16)first64(p->n);
    __m128i v[4];
    UNROLL for (int l = 0; l < 4; l++) {
        int32_t sx = x + l * s;
        v[l] = _mm_maskz_loadu_epi8(lanes, sx >= 0 && sx < p->d->w_in ? at + (size_t)sx * step : (const uint8_t *)p->d->pad + p->c0);
    }
    __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(v[0]), v[1], 1), high = _mm256_inserti128_si256(_mm256_castsi128_si256(v[2]), v[3], 1);
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

INLINE V load_group(const uint8_t *at, size_t step, int32_t x, const int s, const dw_pass *p) {
    if (step != 16 || x < 0 || x + 4 * s > p->d->w_in) return gather_group(at, step, x, s, p);
    V v = LOADV(at + (ptrdiff_t)x * 16);
    return s == 1 ? v : _mm512_shuffle_i64x2(v, LOADV(at + (ptrdiff_t)x * 16 + 64), 0x88);
}

#define REPEAT(p) _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)(p)))
#define REPEATF(p) _mm512_broadcast_f32x4(_mm_loadu_ps(p))

INLINE void fold_params(const int kind, const kf__requant *q, size_t c0, dw_params *p) {
    V z[4];
    UNROLL for (int j = 0; j < 4; j++) {
        p->mul[j] = REPEATF(q->mul + c0 + j * VL);
        if (kind == HSWISH_Q) p->k[j] = REPEATF(q->k + c0 + j * VL);
        z[j] = REPEAT(q->zero + c0 + j * VL);
    }
    p->zero[0] = PACK32(z[0], z[1]), p->zero[1] = PACK32(z[2], z[3]);
    p->lo = REPEAT(q->lo8 + c0), p->hi = REPEAT(q->hi8 + c0);
}

/* Four f of the rows under the group of four pixels at column x: four vectors. */
INLINE void fold_four(const int f, const int used, const int s, const dw_pass *p, int32_t x, V *to) {
    V v[4] = {0};
    UNROLL for (int r = 0; r < 4; r++)
        if (f * 4 + r < used) v[r] = load_group(p->at[f * 4 + r], p->step[f * 4 + r], x, s, p);
    V ab0 = UNPLO8(v[0], v[1]), ab1 = UNPHI8(v[0], v[1]), cd0 = UNPLO8(v[2], v[3]), cd1 = UNPHI8(v[2], v[3]);
    to[0] = UNPLO16(ab0, cd0), to[1] = UNPHI16(ab0, cd0), to[2] = UNPLO16(ab1, cd1), to[3] = UNPHI16(ab1, cd1);
}

/* The same for all phases and fours. */
APART void fold_load(int fours, int used, int s, const dw_pass *p, int32_t x, V (*to)[8]) {
    for (int phase = 0; phase < s; phase++)
        for (int f = 0; f < fours; f++) fold_four(f, used, s, p, x + phase, to[phase] + f * 4);
}

/* Bytes of four pixels from column x on of output row r. */
INLINE void fold_store(const int kind, const V *sums, const dw_params *at_col, const dw_pass *p, int32_t x, int r) {
    const size_t pixel = p->d->c;
    uint8_t *to = (uint8_t *)p->d->out + ((size_t)(p->y + r) * (size_t)p->d->w_out + (size_t)(p->x0 + x)) * pixel + p->c0;
    V v = PACK16(dw_words(kind, sums, at_col, 0, p->q, 0), dw_words(kind, sums, at_col, 2, p->q, 0));
    v = MINU8(MAXU8(v, at_col->lo), at_col->hi);
    if (p->y + r >= p->d->y1) return;
    if (pixel == 16 && p->width - x >= 4) {
        STOREV(to, v);
        return;
    }
    UNROLL for (int l = 0; l < 4; l++)
        if (x + l < p->width) store_part(to + (size_t)l * pixel, v, l, 4, p->n);
}

/* A strip of a 3x3 layer, all in registers: four output columns at a time, R rows; taps further right are lanes of this group and the next one. */
INLINE void fold3_strip(const int kind, const int s, const int R, const dw_pass *p) {
    const int used = (R - 1) * s + 3;
    const int32_t left = p->x0 * s - p->d->pl;
    V now[2][4], next[2][4], taps[3 * 2 * 4];
    dw_params at_col;
    for (int i = 0; i < 3 * R * 4; i++) taps[i] = REPEAT((const V *)(const void *)p->w + i);
    fold_params(kind, p->q, p->c0, &at_col);
    UNROLL for (int phase = 0; phase < s; phase++) fold_four(0, used, s, p, left + phase, now[phase]);
    for (int32_t x = 0; x < p->width; x += 4) {
        V sums[2][4];
        UNROLL for (int phase = 0; phase < s; phase++) fold_four(0, used, s, p, left + (x + 4) * s + phase, next[phase]);
        UNROLL for (int j = 0; j < 4; j++) sums[0][j] = sums[1][j] = REPEAT(p->q->bias + p->c0 + j * VL);
        UNROLL for (int kx = 0; kx < 3; kx++) {
            UNROLL for (int j = 0; j < 4; j++) {
                V low = now[kx % s][j], v = kx < s ? low : kx / s == 1 ? _mm512_alignr_epi32(next[kx % s][j], low, 4) : _mm512_alignr_epi32(next[kx % s][j], low, 8);
                UNROLL for (int r = 0; r < R; r++) DOT_AT(sums[r][j], v, taps + (kx * R + r) * 4 + j);
            }
        }
        UNROLL for (int r = 0; r < R; r++) fold_store(kind, sums[r], &at_col, p, x, r);
        UNROLL for (int j = 0; j < 4; j++) {
            UNROLL for (int phase = 0; phase < s; phase++) now[phase][j] = next[phase][j];
        }
    }
}

APART void fold31_plain(const dw_pass *p) { fold3_strip(PLAIN_Q, 1, 2, p); }
APART void fold32_plain(const dw_pass *p) { fold3_strip(PLAIN_Q, 2, 1, p); }

/* Like dw_strip with SUMS, four output columns at a time; taps further right are lanes of this group and the next one. */
INLINE void fold_strip(const int k, const int s, const int R, const dw_pass *p) {
    const int fours = (k + 3) / 4, used = (R - 1) * s + k;
    const int32_t left = p->x0 * s - p->d->pl;
    const V ramp = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    V group[2][2][8], *sums = p->sums, bias[4];
    int now = 0;
    for (int j = 0; j < 4; j++) bias[j] = REPEAT(p->q->bias + p->c0 + j * VL);
    fold_load(fours, used, s, p, left, group[now]);
    for (int32_t x = 0; x < p->width; x += 4, now = !now) {
        V a[4], b[4];
        const V *w = (const V *)(const void *)p->w;
        fold_load(fours, used, s, p, left + (x + 4) * s, group[!now]);
        UNROLL for (int j = 0; j < 4; j++) a[j] = b[j] = bias[j];
        for (int kx = 0; kx < k; kx++) {
            V from = ADDI(ramp, SET1I(kx / s * 4));
            for (int f = 0; f < fours; f++, w += R * 4) {
                const V *low = group[now][kx % s] + f * 4, *high = group[!now][kx % s] + f * 4;
                const V *second = R == 2 ? w + 4 : w; /* of one row, b is not used */
                UNROLL for (int j = 0; j < 4; j++) {
                    V v = _mm512_permutex2var_epi32(low[j], from, high[j]);
                    a[j] = DOT(a[j], v, REPEAT(w + j), v);
                    b[j] = DOT(b[j], v, REPEAT(second + j), v);
                }
            }
        }
        UNROLL for (int j = 0; j < 4; j++) STOREV(sums + j, a[j]);
        sums += 4;
        if (R == 1) continue;
        UNROLL for (int j = 0; j < 4; j++) STOREV(sums + j, b[j]);
        sums += 4;
    }
}

APART void dw_fold(int k, int s, int R, const dw_pass *p) { fold_strip(k, s, R, p); }

INLINE void finish_fold(const int kind, const int R, const dw_pass *p) {
    const V *sums = p->sums;
    dw_params at_col;
    fold_params(kind, p->q, p->c0, &at_col);
    for (int32_t x = 0; x < p->width; x += 4)
        for (int r = 0; r < R; r++, sums += 4) fold_store(kind, sums, &at_col, p, x, r);
}
APART void finish_fold_plain(int R, const dw_pass *p) { finish_fold(PLAIN_Q, R, p); }
APART void finish_fold_hswish(int R, const dw_pass *p) { finish_fold(HSWISH_Q, R, p); }
#endif

/* One block of channels of one strip. */
INLINE void dw_block(const int k, const int s, const int R, const int J, int kind, const dw_pass *p) {
#if VL == 16
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

INLINE void dwconv(const int k, const int s, const int R, const int J, const kf__dwconv_q *d, const kf__requant *q) {
    const int fours = (k + 3) / 4;
    size_t weights = (size_t)(k * fours * R) * BLOCK * 4;
    const int kind = kind_of(q);
    const int32_t strip = VL == 16 && k == 3 && kind == PLAIN_Q && d->c <= 16 ? d->w_out : KF_DW_STRIP; /* whole rows where no sums are kept */
    dw_pass p = {.d = d, .q = q, .sums = d->scratch};
    for (p.y = d->y0; p.y < d->y1; p.y += R)
        for (p.x0 = 0; p.x0 < d->w_out; p.x0 += strip) {
            p.width = d->w_out - p.x0 < strip ? d->w_out - p.x0 : strip;
            for (p.c0 = 0; p.c0 < d->c; p.c0 += BLOCK) {
                p.n = d->c - p.c0 < BLOCK ? d->c - p.c0 : BLOCK;
                p.w = (const char *)d->w + p.c0 / BLOCK * weights;
                for (int r = 0; r < fours * 4; r++) {
                    int32_t sy = p.y * s - d->pt + r;
                    bool inside = sy >= 0 && sy < d->h_in;
                    p.at[r] = (inside ? (const uint8_t *)d->in + (size_t)sy * (size_t)d->w_in * d->c : (const uint8_t *)d->pad) + p.c0;
                    p.step[r] = inside ? d->c : 0;
                }
                dw_block(k, s, R, J, kind, &p);
            }
        }
}

APART void dw31(const kf__dwconv_q *d, const kf__requant *q) { dwconv(3, 1, 2, DW3_J, d, q); }
APART void dw32(const kf__dwconv_q *d, const kf__requant *q) { dwconv(3, 2, 1, DW3_J, d, q); }
APART void dw51(const kf__dwconv_q *d, const kf__requant *q) { dwconv(5, 1, 2, 2, d, q); }
APART void dw52(const kf__dwconv_q *d, const kf__requant *q) { dwconv(5, 2, 2, 2, d, q); }

void NAME(dwconv_u8)(const kf__dwconv_q *d, const kf__requant *q) {
    if (d->kh == 3 && d->sh == 1) dw31(d, q);
    else if (d->kh == 3) dw32(d, q);
    else if (d->sh == 1) dw51(d, q);
    else dw52(d, q);
}
