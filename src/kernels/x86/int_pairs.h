/* Depthwise 8-bit kernels without dot-product instructions, included by kernels/body/int_template.h: bytes widened to
 * i16, two rows of the image in one register, so that one multiply-add computes two vertically adjacent taps. Sixteen
 * channels at a time, in natural order.
 * Owner rule: pure functions. */

enum { PAIR_BLOCK = 16, PAIR_ROWS = 7 };

/* What one pass over a strip of columns works on. */
typedef struct pair_pass {
    const kf__dwconv_q *d;
    const kf__requant *q;
    const uint8_t *at[PAIR_ROWS]; /* column 0 of the rows that the outputs read, at the first channel of the block */
    size_t step[PAIR_ROWS];       /* bytes to the next column; 0 in rows outside the image, which read the zero point */
    const V *w;                   /* of the block */
    size_t c0, n;                 /* first channel and number of channels of the block */
    int32_t y, x0, width;
    V *sums; /* [width][R][2] */
} pair_pass;

/* Only layers with fewer than sixteen channels come here. */
NOINLINE __m128i load_few(const uint8_t *p, size_t n) {
    __m128i x = _mm_setzero_si128();
    if (n == 8) x = _mm_loadl_epi64((const void *)p);
    else memcpy(&x, p, n);
    return x;
}
INLINE V load_16(const uint8_t *p, size_t n) {
    return _mm256_cvtepu8_epi16(__builtin_expect(n >= PAIR_BLOCK, 1) ? _mm_loadu_si128((const void *)p)
                                                                     : load_few(p, n));
}

/* Interleaving two rows of i16 gives channels 0..3 and 8..11, then the others. The permutation is its own inverse. */
INLINE V first_quads(V a, V b) { return _mm256_permute2x128_si256(a, b, 0x20); }
INLINE V other_quads(V a, V b) { return _mm256_permute2x128_si256(a, b, 0x31); }
INLINE F first_quads_f(const float *p) { return _mm256_permute2f128_ps(LOADF(p), LOADF(p + VL), 0x20); }
INLINE F other_quads_f(const float *p) { return _mm256_permute2f128_ps(LOADF(p), LOADF(p + VL), 0x31); }

/* R output rows of a strip. A column of the image contributes to all outputs that it reaches (`live` of them). The
 * first of them is complete after it, and the sums move up. */
INLINE void pair_strip(const int k, const int s, const int R, const pair_pass *p) {
    const int pairs = (k + 1) / 2, live = (k + s - 1) / s, used = (R - 1) * s + k, all = (used + 1) / 2;
    const V *w = p->w;
    const size_t n = p->n;
    const int32_t total = p->width + live - 1, w_in = p->d->w_in;
    const uint8_t *at[PAIR_ROWS];
    size_t step[PAIR_ROWS];
    V acc[5][2][2], bias[2], *sums = p->sums;
    int32_t sx = p->x0 * s - p->d->pl;
    const bool inside = sx >= 0 && sx < w_in;
    bias[0] = LOADV(p->q->bias + p->c0), bias[1] = LOADV(p->q->bias + p->c0 + VL);
    acc[0][0][0] = first_quads(bias[0], bias[1]), acc[0][0][1] = other_quads(bias[0], bias[1]);
    bias[0] = acc[0][0][0], bias[1] = acc[0][0][1];
    UNROLL for (int r = 0; r < used; r++) {
        at[r] = inside ? p->at[r] + (size_t)sx * p->step[r] : (const uint8_t *)p->d->pad + p->c0;
        step[r] = inside ? p->step[r] : 0;
    }
    UNROLL for (int i = 0; i < live; i++) {
        UNROLL for (int r = 0; r < R; r++) acc[i][r][0] = bias[0], acc[i][r][1] = bias[1];
    }
    for (int32_t m = 0; m < total; m++) {
        HIDE(m);
        UNROLL for (int phase = 0; phase < s; phase++, sx++) {
            const int reach = live - phase;
            HIDE(w); /* otherwise the compiler computes the address of every weight before the loop and keeps it in
                        memory */
            if (sx == 0 && !inside) {
                for (int r = 0; r < used; r++) at[r] = p->at[r], step[r] = p->step[r];
            } else if (sx == w_in) {
                for (int r = 0; r < used; r++) at[r] = (const uint8_t *)p->d->pad + p->c0, step[r] = 0;
            }
            UNROLL for (int f = 0; f < all; f++) {
                V a = load_16(at[2 * f], n), b = 2 * f + 1 < used ? load_16(at[2 * f + 1], n) : SET1I(0),
                  x[2] = {UNPLO16(a, b), UNPHI16(a, b)};
                UNROLL for (int i = 0; i < reach; i++) {
                    const int kx = (reach - 1 - i) * s + phase;
                    UNROLL for (int r = 0; kx < k && r < R; r++) {
                        const int pair = f - r * s / 2;
                        if (pair < 0 || pair >= pairs) continue;
                        UNROLL for (int j = 0; j < 2; j++)
                            DOT2_AT(acc[i][r][j], x[j], w + ((kx * pairs + pair) * R + r) * 2 + j);
                    }
                }
            }
            UNROLL for (int r = 0; r < used; r++) at[r] += step[r];
            if (phase) continue;
            if (m >= live - 1) {
                UNROLL for (int r = 0; r < R; r++) STOREV(sums + 2 * r, acc[0][r][0]),
                    STOREV(sums + 2 * r + 1, acc[0][r][1]);
                sums += 2 * R;
            }
            UNROLL for (int r = 0; r < R; r++) {
                UNROLL for (int j = 0; j < 2; j++) {
                    UNROLL for (int i = 0; i + 1 < live; i++) acc[i][r][j] = acc[i + 1][r][j];
                    acc[live - 1][r][j] = bias[j];
                }
            }
        }
    }
}

/* Steps 2 to 4 and the zero points of sixteen channels: i16 in natural order. */
INLINE V pair_words(const int kind, const V *sums, const F *mul, const F *k, V zero) {
    V v[2];
    UNROLL for (int j = 0; j < 2; j++) {
        F x = MULF(CVT(sums[j]), mul[j]);
        v[j] = RNE(kind == HSWISH_Q ? hswish(x, k[j]) : x);
    }
    return ADDS16(PACK32(v[0], v[1]), zero);
}

/* The epilogue of a strip's sums, two columns at a time. */
INLINE void pair_finish(const int kind, int R, const pair_pass *p) {
    const kf__requant *q = p->q;
    const size_t pixel = p->d->c, row = pixel * (size_t)p->d->w_out;
    const F mul[2] = {first_quads_f(q->mul + p->c0), other_quads_f(q->mul + p->c0)};
    const float *factors = kind == HSWISH_Q ? q->k : q->mul;
    const F k[2] = {first_quads_f(factors + p->c0), other_quads_f(factors + p->c0)};
    const V z0 = LOADV(q->zero + p->c0), z1 = LOADV(q->zero + p->c0 + VL),
            zero = PACK32(first_quads(z0, z1), other_quads(z0, z1));
    const V lo = load_limits(q->lo8 + p->c0, 2), hi = load_limits(q->hi8 + p->c0, 2);
    uint8_t *to = (uint8_t *)p->d->out + (size_t)p->y * row + (size_t)p->x0 * pixel + p->c0;
    for (int r = 0; r < R && p->y + r < p->d->y1; r++, to += row) {
        const V *sums = p->sums + 2 * r;
        uint8_t *c = to;
        for (int32_t x = 0; x < p->width; x += 2, sums += 4 * R, c += 2 * pixel) {
            bool two = p->width - x > 1;
            V a = pair_words(kind, sums, mul, k, zero), b = two ? pair_words(kind, sums + 2 * R, mul, k, zero) : a;
            V v = MINU8(MAXU8(_mm256_permute4x64_epi64(PACK16(a, b), 0xd8), lo), hi);
            store_part(c, v, 0, 2, p->n);
            if (two) store_part(c + pixel, v, 1, 2, p->n);
        }
    }
}
NOINLINE void pair_finish_plain(int R, const pair_pass *p) { pair_finish(PLAIN_Q, R, p); }
NOINLINE void pair_finish_hswish(int R, const pair_pass *p) { pair_finish(HSWISH_Q, R, p); }
NOINLINE void pair_finish_general(int R, const pair_pass *p) {
    const V *sums = p->sums;
    for (int32_t x = 0; x < p->width; x++)
        for (int r = 0; r < R; r++, sums += 2) {
            size_t at = ((size_t)(p->y + r) * (size_t)p->d->w_out + (size_t)(p->x0 + x)) * p->d->c + p->c0;
            if (p->y + r >= p->d->y1) continue;
            V v[2] = {first_quads(sums[0], sums[1]), other_quads(sums[0], sums[1])};
            for (size_t i = 0; i < p->n; i += VL) {
                params g = params_at(p->q, p->c0 + i);
                finish_general(&v[i / VL], p->q, &g, at + i, 0, p->d->out, p->n - i < VL ? p->n - i : VL);
            }
        }
}

NOINLINE void pair_31(const pair_pass *p) { pair_strip(3, 1, 2, p); }
NOINLINE void pair_32(const pair_pass *p) { pair_strip(3, 2, 2, p); }
NOINLINE void pair_51(const pair_pass *p) { pair_strip(5, 1, 1, p); }
NOINLINE void pair_52(const pair_pass *p) { pair_strip(5, 2, 2, p); }

/* Sums of a strip first, then their epilogue in a second loop, so that the registers suffice for the sums. */
void NAME(dwconv_u8)(const kf__dwconv_q *d, const kf__requant *q) {
    const int k = d->kh, s = d->sh, R = kf__dwconv_u8_pair_rows(k, s), kind = kind_of(q), used = (R - 1) * s + k;
    void (*strip)(const pair_pass *) = k == 3 ? (s == 1 ? pair_31 : pair_32) : s == 1 ? pair_51 : pair_52;
    void (*finish_sums)(int, const pair_pass *) = kind == PLAIN_Q    ? pair_finish_plain
                                                  : kind == HSWISH_Q ? pair_finish_hswish
                                                                     : pair_finish_general;
    pair_pass p = {.d = d, .q = q, .sums = d->scratch};
    for (p.y = d->y0; p.y < d->y1; p.y += R)
        for (p.x0 = 0; p.x0 < d->w_out; p.x0 += KF_DW_STRIP) {
            p.width = d->w_out - p.x0 < KF_DW_STRIP ? d->w_out - p.x0 : KF_DW_STRIP;
            p.w = d->w;
            for (size_t block = 0; block < d->c; block += PAIR_BLOCK, p.w += k * ((k + 1) / 2) * R * 2) {
                p.c0 = kf__dwconv_u8_pair_channel(block, d->c), p.n = d->c < PAIR_BLOCK ? d->c : PAIR_BLOCK;
                for (int r = 0; r < used; r++) {
                    int32_t sy = p.y * s - d->pt + r;
                    bool in = sy >= 0 && sy < d->h_in;
                    p.at[r] =
                        (in ? (const uint8_t *)d->in + (size_t)sy * (size_t)d->w_in * d->c : (const uint8_t *)d->pad) +
                        p.c0;
                    p.step[r] = in ? d->c : 0;
                }
                strip(&p);
                finish_sums(R, &p);
            }
        }
}
