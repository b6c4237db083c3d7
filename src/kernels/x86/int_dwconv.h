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
    V *half;              /* results of the earlier passes: i16 of the first two vectors of each output, or i32 of each vector (J == 1) */
} dw_pass;

/* J of the four vectors of one four of rows, from vector j0 on. `used`: rows of the four that any output reads. */
INLINE void load_four(const int J, const int j0, const int used, const uint8_t *const *at, LANES lanes, V *to) {
    V v[4];
    UNROLL for (int r = 0; r < 4; r++) v[r] = r < used ? load_lanes(at[r], lanes) : SET1I(0);
    if (J == 1) {
        V ab = j0 < 2 ? UNPLO8(v[0], v[1]) : UNPHI8(v[0], v[1]), cd = used <= 2 ? SET1I(0) : j0 < 2 ? UNPLO8(v[2], v[3]) : UNPHI8(v[2], v[3]);
        to[0] = j0 % 2 ? UNPHI16(ab, cd) : UNPLO16(ab, cd);
        return;
    }
    if (j0 == 0) {
        V ab = UNPLO8(v[0], v[1]), cd = used > 2 ? UNPLO8(v[2], v[3]) : SET1I(0);
        to[0] = UNPLO16(ab, cd), to[1] = UNPHI16(ab, cd);
    }
    if (j0 + J == 4) {
        V ab = UNPHI8(v[0], v[1]), cd = used > 2 ? UNPHI8(v[2], v[3]) : SET1I(0);
        to[J - 2] = UNPLO16(ab, cd), to[J - 1] = UNPHI16(ab, cd);
    }
}

/* Parameters of J vectors, read before the loop: stores of bytes could change them, as far as the compiler knows. */
typedef struct dw_params {
    F mul[4], k[4];
    V zero[2], lo, hi;
} dw_params;

INLINE void dw_params_at(const int kind, const int J, const kf__requant *q, size_t col, size_t c0, dw_params *p) {
    if (kind == GENERAL) return;
    UNROLL for (int j = 0; j < J; j++) {
        p->mul[j] = LOADF(q->mul + col + (size_t)(j * VL));
        if (kind == HSWISH_Q) p->k[j] = LOADF(q->k + col + (size_t)(j * VL));
    }
    UNROLL for (int j = 0; j + 1 < J; j += 2) p->zero[j / 2] = PACK32(LOADV(q->zero + col + (size_t)(j * VL)), LOADV(q->zero + col + (size_t)((j + 1) * VL)));
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

/* Vectors j0 .. j0 + J - 1 of a block of channels, R output rows of a strip. A column of the image is used for all outputs that it
 * reaches (`live` of them) and then forgotten; the first of them is complete after it. Where registers are many (RING), the sums of output o
 * live in slot o % live and the loop is unrolled by slots, so that nothing moves; else they move up by one after each column. */
INLINE void dw_strip(const int kind, const int k, const int s, const int R, const int J, const int j0, const dw_pass *p) {
    enum { STEP = 4 * (1 + SPLIT), MOST = 5 };
    const int fours = (k + 3) / 4, live = (k + s - 1) / s, used = (R - 1) * s + k, slots = RING ? live : 1;
    const V *w = (const V *)(const void *)p->w + j0;
    const kf__requant *q = p->q;
    const int32_t total = p->width + live - 1, w_in = p->d->w_in, rows = p->d->y1 - p->y;
    const size_t pixel = p->d->c, row = pixel * (size_t)p->d->w_out, col = p->c0 + (size_t)(j0 * VL);
    const LANES lanes = lanes_of(p->n);
    const uint8_t *at[8], *pads[4], *const pad = (const uint8_t *)p->d->pad + p->c0;
    size_t to = (size_t)p->y * row + (size_t)p->x0 * pixel + p->c0;
    int32_t sx = p->x0 * s - p->d->pl;
    V acc[MOST][2][4], x[4], *half = p->half;
    dw_params at_col;
    dw_params_at(kind, J, q, col, p->c0, &at_col);
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
                UNROLL for (int f = 0; f < fours; f++) {
                    load_four(J, j0, used - f * 4 < 4 ? used - f * 4 : 4, sx >= 0 && sx < w_in ? at + f * 4 : pads, lanes, x);
                    UNROLL for (int i = 0; i < reach; i++) {
                        const int kx = (reach - 1 - i) * s + phase, o = RING ? (slot + i + phase) % live : i;
                        UNROLL for (int r = 0; kx < k && r < R; r++) {
                            UNROLL for (int j = 0; j < J; j++) {
                                const V *tap = w + ((kx * fours + f) * R + r) * STEP + j;
                                DOT_AT(acc[o][r][j], x[j], tap);
                            }
                        }
                    }
                }
                UNROLL for (int r = 0; r < used; r++) at[r] += p->step[r];
                if (phase) continue;
                if (m + slot >= live - 1) {
                    UNROLL for (int r = 0; r < R; r++) {
                        if (J == 1) {
                            STOREV(half + r * 4 + j0, dw_value(kind, acc[slot][r][0], &at_col, 0, q, col));
                            continue;
                        }
                        V lo = dw_words(kind, acc[slot][r], &at_col, 0, q, col);
                        size_t here = to + (size_t)r * row;
                        if (r >= rows) continue;
                        if (J == 4) dw_store(kind, lo, dw_words(kind, acc[slot][r], &at_col, 2, q, col), &at_col, p, here, lanes);
                        else if (j0 == 0) STOREV(half + r, lo);
                        else dw_store(kind, LOADV(half + r), lo, &at_col, p, here, lanes);
                    }
                    to += pixel;
                    half += J == 1 ? R * 4 : R;
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

#if VL == 16
/* Sixteen channels or fewer: a register holds four pixels of them instead of one of 64. Lane l of the group at pixel x is pixel x + l * s. */
INLINE V load_group(const uint8_t *at, size_t step, int32_t x, const int s, const dw_pass *p, __mmask16 lanes) {
    const uint8_t *pad = (const uint8_t *)p->d->pad + p->c0;
    if (s == 1 && p->n == 16 && step == 16 && x >= 0 && x + 3 < p->d->w_in) return LOADV(at + (ptrdiff_t)x * 16);
    __m128i v[4];
    UNROLL for (int l = 0; l < 4; l++) {
        int32_t sx = x + l * s;
        v[l] = _mm_maskz_loadu_epi8(lanes, sx >= 0 && sx < p->d->w_in ? at + (size_t)sx * step : pad);
    }
    __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(v[0]), v[1], 1), high = _mm256_inserti128_si256(_mm256_castsi128_si256(v[2]), v[3], 1);
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
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

/* All phases of the group of four pixels at column x: four vectors for each four of rows. */
INLINE void fold_load(const int fours, const int used, const int s, const dw_pass *p, int32_t x, __mmask16 lanes, V (*to)[8]) {
    UNROLL for (int phase = 0; phase < s; phase++) {
        UNROLL for (int f = 0; f < fours; f++) {
            V v[4];
            UNROLL for (int r = 0; r < 4; r++)
                v[r] = f * 4 + r < used ? load_group(p->at[f * 4 + r], p->step[f * 4 + r], x + phase, s, p, lanes) : SET1I(0);
            V ab0 = UNPLO8(v[0], v[1]), ab1 = UNPHI8(v[0], v[1]), cd0 = UNPLO8(v[2], v[3]), cd1 = UNPHI8(v[2], v[3]);
            to[phase][f * 4] = UNPLO16(ab0, cd0), to[phase][f * 4 + 1] = UNPHI16(ab0, cd0);
            to[phase][f * 4 + 2] = UNPLO16(ab1, cd1), to[phase][f * 4 + 3] = UNPHI16(ab1, cd1);
        }
    }
}

/* Like dw_strip, four output columns at a time; taps further right are lanes of this group and the next one. */
INLINE void dw_fold(const int kind, const int k, const int s, const int R, const dw_pass *p) {
    const int fours = (k + 3) / 4, used = (R - 1) * s + k;
    const V *w = (const V *)(const void *)p->w;
    const size_t pixel = p->d->c, row = pixel * (size_t)p->d->w_out;
    const __mmask16 lanes = (__mmask16)first64(p->n);
    const int32_t left = p->x0 * s - p->d->pl;
    V now[2][8], next[2][8];
    dw_params at_col;
    fold_params(kind, p->q, p->c0, &at_col);
    fold_load(fours, used, s, p, left, lanes, next);
    for (int32_t x = 0; x < p->width; x += 4) {
        V acc[2][4];
        memcpy(now, next, sizeof now);
        fold_load(fours, used, s, p, left + (x + 4) * s, lanes, next);
        UNROLL for (int j = 0; j < 4; j++) acc[0][j] = acc[1][j] = REPEAT(p->q->bias + p->c0 + j * VL);
        UNROLL for (int kx = 0; kx < k; kx++) {
            UNROLL for (int f = 0; f < fours; f++) {
                UNROLL for (int j = 0; j < 4; j++) {
                    V a = now[kx % s][f * 4 + j], b = next[kx % s][f * 4 + j];
                    V v = kx / s == 0 ? a : kx / s == 1 ? ALIGN(b, a, 1) : kx / s == 2 ? ALIGN(b, a, 2) : kx / s == 3 ? ALIGN(b, a, 3) : b;
                    UNROLL for (int r = 0; r < R; r++) {
                        V tap = REPEAT(w + ((kx * fours + f) * R + r) * 4 * (1 + SPLIT) + j);
                        V odd = SPLIT ? REPEAT(w + ((kx * fours + f) * R + r) * 4 * (1 + SPLIT) + j + 4 * SPLIT) : tap;
                        acc[r][j] = DOT(acc[r][j], v, tap, odd);
                    }
                }
            }
        }
        UNROLL for (int r = 0; r < R; r++) {
            uint8_t *to = (uint8_t *)p->d->out + (size_t)(p->y + r) * row + (size_t)(p->x0 + x) * pixel + p->c0;
            V v = PACK16(dw_words(kind, acc[r], &at_col, 0, p->q, 0), dw_words(kind, acc[r], &at_col, 2, p->q, 0));
            v = MINU8(MAXU8(v, at_col.lo), at_col.hi);
            if (p->y + r >= p->d->y1) continue;
            if (pixel == 16 && p->width - x >= 4) {
                STOREV(to, v);
                continue;
            }
            UNROLL for (int l = 0; l < 4; l++)
                if (x + l < p->width) store_part(to + (size_t)l * pixel, v, l, 4, p->n);
        }
    }
}
#endif

/* Packs what four passes of one vector each left. */
INLINE void dw_pack(const int kind, const int R, const dw_pass *p) {
    dw_params at_col;
    const V *half = p->half;
    const LANES lanes = lanes_of(p->n);
    dw_params_at(kind, 4, p->q, p->c0, p->c0, &at_col);
    for (int32_t o = 0; o < p->width; o++)
        for (int r = 0; r < R; r++, half += 4) {
            V lo = PACK32(LOADV(half), LOADV(half + 1)), hi = PACK32(LOADV(half + 2), LOADV(half + 3));
            if (kind != GENERAL) lo = ADDS16(lo, at_col.zero[0]), hi = ADDS16(hi, at_col.zero[1]);
            size_t at = ((size_t)(p->y + r) * (size_t)p->d->w_out + (size_t)(p->x0 + o)) * p->d->c + p->c0;
            if (p->y + r < p->d->y1) dw_store(kind, lo, hi, &at_col, p, at, lanes);
        }
}

INLINE void dwconv(const int kind, const int k, const int s, const int R, const int J, const kf__dwconv_q *d, const kf__requant *q) {
    const int fours = (k + 3) / 4;
    size_t weights = (size_t)(k * fours * R) * BLOCK * 4 * (1 + SPLIT);
    dw_pass p = {.d = d, .q = q, .half = d->scratch};
    for (p.y = d->y0; p.y < d->y1; p.y += R)
        for (p.x0 = 0; p.x0 < d->w_out; p.x0 += KF_DW_STRIP) {
            p.width = d->w_out - p.x0 < KF_DW_STRIP ? d->w_out - p.x0 : KF_DW_STRIP;
            for (p.c0 = 0; p.c0 < d->c; p.c0 += BLOCK) {
                p.n = d->c - p.c0 < BLOCK ? d->c - p.c0 : BLOCK;
                p.w = (const char *)d->w + p.c0 / BLOCK * weights;
                for (int r = 0; r < fours * 4; r++) {
                    int32_t sy = p.y * s - d->pt + r;
                    bool inside = sy >= 0 && sy < d->h_in;
                    p.at[r] = (inside ? (const uint8_t *)d->in + (size_t)sy * (size_t)d->w_in * d->c : (const uint8_t *)d->pad) + p.c0;
                    p.step[r] = inside ? d->c : 0;
                }
#if VL == 16
                if (kind != GENERAL && p.n <= 16) {
                    dw_fold(kind, k, s, R, &p);
                    continue;
                }
#endif
                dw_strip(kind, k, s, R, J, 0, &p);
                if (J == 2) dw_strip(kind, k, s, R, 2, 2, &p);
                if (J != 1) continue;
                dw_strip(kind, k, s, R, 1, 1, &p);
                dw_strip(kind, k, s, R, 1, 2, &p);
                dw_strip(kind, k, s, R, 1, 3, &p);
                dw_pack(kind, R, &p);
            }
        }
}

#define DW(name, k, s, R, J)                                                                                           \
    static __attribute__((noinline)) void name##_plain(const kf__dwconv_q *d, const kf__requant *q) { dwconv(PLAIN_Q, k, s, R, J, d, q); }   \
    static __attribute__((noinline)) void name##_hswish(const kf__dwconv_q *d, const kf__requant *q) { dwconv(HSWISH_Q, k, s, R, J, d, q); } \
    static __attribute__((noinline)) void name##_general(const kf__dwconv_q *d, const kf__requant *q) { dwconv(GENERAL, k, s, R, J, d, q); } \
    static void name(const kf__dwconv_q *d, const kf__requant *q) {                                                    \
        int kind = kind_of(q);                                                                                         \
        (kind == PLAIN_Q ? name##_plain : kind == HSWISH_Q ? name##_hswish : name##_general)(d, q);                    \
    }
DW(dw31, 3, 1, 2, DW3_J)
DW(dw32, 3, 2, 1, DW3_J)
DW(dw51, 5, 1, 2, DW5_J)
DW(dw52, 5, 2, 2, DW5_J)

void NAME(dwconv_u8)(const kf__dwconv_q *d, const kf__requant *q) {
    if (d->kh == 3 && d->sh == 1) dw31(d, q);
    else if (d->kh == 3) dw32(d, q);
    else if (d->sh == 1) dw51(d, q);
    else dw52(d, q);
}
