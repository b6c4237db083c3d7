/* Depthwise windows of AVX-512 VNNI over sixteen channels or fewer: a register holds four pixels of them instead of one
 * of 64. Included by kernels/body/int_dwconv.h, whose pieces it uses.
 * Owner rule: pure functions. */

/* Lane l of the group at pixel x is pixel x + l * s. */
NOINLINE V gather_group(const uint8_t *at, size_t step, int32_t x, int s, const dw_pass *p) {
    const __mmask16 lanes = (__mmask16)first64(p->n);
    __m128i v[4];
    UNROLL for (int l = 0; l < 4; l++) {
        int32_t sx = x + l * s;
        v[l] = _mm_maskz_loadu_epi8(lanes, sx >= 0 && sx < p->d->w_in ? at + (size_t)sx * step
                                                                      : (const uint8_t *)p->d->pad + p->c0);
    }
    __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(v[0]), v[1], 1),
            high = _mm256_inserti128_si256(_mm256_castsi128_si256(v[2]), v[3], 1);
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

/* Quad f of the rows under the group of four pixels at column x: four vectors. */
INLINE void fold_quad(const int f, const int used, const int s, const dw_pass *p, int32_t x, V *to) {
    V v[4] = {0};
    UNROLL for (int r = 0; r < 4; r++) if (f * 4 + r < used) v[r] =
        load_group(p->at[f * 4 + r], p->step[f * 4 + r], x, s, p);
    V ab0 = UNPLO8(v[0], v[1]), ab1 = UNPHI8(v[0], v[1]), cd0 = UNPLO8(v[2], v[3]), cd1 = UNPHI8(v[2], v[3]);
    to[0] = UNPLO16(ab0, cd0), to[1] = UNPHI16(ab0, cd0), to[2] = UNPLO16(ab1, cd1), to[3] = UNPHI16(ab1, cd1);
}

/* The same for all phases and quads. */
NOINLINE void fold_load(int quads, int used, int s, const dw_pass *p, int32_t x, V (*to)[8]) {
    for (int phase = 0; phase < s; phase++)
        for (int f = 0; f < quads; f++) fold_quad(f, used, s, p, x + phase, to[phase] + f * 4);
}

/* Bytes of four pixels from column x on of output row r. */
INLINE void fold_store(const int kind, const V *sums, const dw_params *at_col, const dw_pass *p, int32_t x, int r) {
    const size_t pixel = p->d->c;
    uint8_t *to =
        (uint8_t *)p->d->out + ((size_t)(p->y + r) * (size_t)p->d->w_out + (size_t)(p->x0 + x)) * pixel + p->c0;
    V v = PACK16(dw_words(kind, sums, at_col, 0, p->q, 0), dw_words(kind, sums, at_col, 2, p->q, 0));
    v = MINU8(MAXU8(v, at_col->lo), at_col->hi);
    if (p->y + r >= p->d->y1) return;
    if (pixel == 16 && p->width - x >= 4) {
        STOREV(to, v);
        return;
    }
    UNROLL for (int l = 0; l < 4; l++) if (x + l < p->width) store_part(to + (size_t)l * pixel, v, l, 4, p->n);
}

/* A strip of a 3x3 layer, wholly in registers: four output columns at a time, R rows. Taps further right are lanes
 * of this group and of the next. */
INLINE void fold3_strip(const int kind, const int s, const int R, const dw_pass *p) {
    const int used = (R - 1) * s + 3;
    const int32_t left = p->x0 * s - p->d->pl;
    V now[2][4], next[2][4], taps[3 * 2 * 4];
    dw_params at_col;
    for (int i = 0; i < 3 * R * 4; i++) taps[i] = REPEAT((const V *)(const void *)p->w + i);
    fold_params(kind, p->q, p->c0, &at_col);
    UNROLL for (int phase = 0; phase < s; phase++) fold_quad(0, used, s, p, left + phase, now[phase]);
    for (int32_t x = 0; x < p->width; x += 4) {
        V sums[2][4];
        UNROLL for (int phase = 0; phase < s; phase++)
            fold_quad(0, used, s, p, left + (x + 4) * s + phase, next[phase]);
        UNROLL for (int j = 0; j < 4; j++) sums[0][j] = sums[1][j] = REPEAT(p->q->bias + p->c0 + j * VL);
        UNROLL for (int kx = 0; kx < 3; kx++) {
            UNROLL for (int j = 0; j < 4; j++) {
                V low = now[kx % s][j], v = kx < s        ? low
                                            : kx / s == 1 ? _mm512_alignr_epi32(next[kx % s][j], low, 4)
                                                          : _mm512_alignr_epi32(next[kx % s][j], low, 8);
                UNROLL for (int r = 0; r < R; r++) DOT_AT(sums[r][j], v, taps + (kx * R + r) * 4 + j);
            }
        }
        UNROLL for (int r = 0; r < R; r++) fold_store(kind, sums[r], &at_col, p, x, r);
        UNROLL for (int j = 0; j < 4; j++) {
            UNROLL for (int phase = 0; phase < s; phase++) now[phase][j] = next[phase][j];
        }
    }
}

NOINLINE void fold31_plain(const dw_pass *p) { fold3_strip(PLAIN_Q, 1, 2, p); }
NOINLINE void fold32_plain(const dw_pass *p) { fold3_strip(PLAIN_Q, 2, 1, p); }

/* Like dw_strip with SUMS, four output columns at a time. Taps further right are lanes of this group and of the
 * next. */
INLINE void fold_strip(const int k, const int s, const int R, const dw_pass *p) {
    const int quads = (k + 3) / 4, used = (R - 1) * s + k;
    const int32_t left = p->x0 * s - p->d->pl;
    const V ramp = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    V group[2][2][8], *sums = p->sums, bias[4];
    int now = 0;
    for (int j = 0; j < 4; j++) bias[j] = REPEAT(p->q->bias + p->c0 + j * VL);
    fold_load(quads, used, s, p, left, group[now]);
    for (int32_t x = 0; x < p->width; x += 4, now = !now) {
        V a[4], b[4];
        const V *w = (const V *)(const void *)p->w;
        fold_load(quads, used, s, p, left + (x + 4) * s, group[!now]);
        UNROLL for (int j = 0; j < 4; j++) a[j] = b[j] = bias[j];
        for (int kx = 0; kx < k; kx++) {
            V from = ADDI(ramp, SET1I(kx / s * 4));
            for (int f = 0; f < quads; f++, w += R * 4) {
                const V *low = group[now][kx % s] + f * 4, *high = group[!now][kx % s] + f * 4;
                const V *second = R == 2 ? w + 4 : w; /* with one row, b is not used */
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

NOINLINE void dw_fold(int k, int s, int R, const dw_pass *p) { fold_strip(k, s, R, p); }

INLINE void finish_fold(const int kind, const int R, const dw_pass *p) {
    const V *sums = p->sums;
    dw_params at_col;
    fold_params(kind, p->q, p->c0, &at_col);
    for (int32_t x = 0; x < p->width; x += 4)
        for (int r = 0; r < R; r++, sums += 4) fold_store(kind, sums, &at_col, p, x, r);
}
NOINLINE void finish_fold_plain(int R, const dw_pass *p) { finish_fold(PLAIN_Q, R, p); }
NOINLINE void finish_fold_hswish(int R, const dw_pass *p) { finish_fold(HSWISH_Q, R, p); }
