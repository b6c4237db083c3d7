/* Packing of integer weights: panels of 16 columns by quads or pairs of k, and depthwise weights by quads or pairs of
 * rows.
 * Owner rule: fills the caller's memory.
 *
 * A panel holds all weights of 16 columns of the product, in the order in which a tile reads them. Column n of the
 * product uses row n of w[n,k]. QUADS with a group of 4:
 *
 *     w         k ->                        panel 0: columns 0..15, read from top to bottom
 *     n =  0    a0 a1 a2 a3 a4 a5 ..        a0 a1 a2 a3   b0 b1 b2 b3   ..   p0 p1 p2 p3     k = 0..3, 64 bytes
 *          1    b0 b1 b2 b3 b4 b5 ..        a4 a5 a6 a7   b4 b5 b6 b7   ..   p4 p5 p6 p7     k = 4..7
 *         ..                                 column 0      column 1           column 15
 *         15    p0 p1 p2 p3 p4 p5 ..
 *         16    q0 q1 ..                    panel 1: columns 16..31, and so on
 *
 * One instruction (vpdpbusd) multiplies each quad by the same four bytes of a row of A, and adds the four products to
 * the sum of that quad's column. SPLIT stores each line as two, in i16: first a0 a2 b0 b2 .., then a1 a3 b1 b3 ..
 * Places outside w are 0. Panels of f32 (pack_f32.c) are the same with a group of 1. */
#include "kernels/kernels_int.h"

#include <math.h>

uint64_t kf__gemm_u8_packed(kf__qlayout layout, size_t group, size_t n, size_t k) {
    return (uint64_t)kf__round_up(n, KF_QPANEL) * kf__round_up(k, group) * (layout == KF_QLAYOUT_SPLIT ? 2 : 1);
}

/* A group of weights of one column: as bytes, or (SPLIT) as i16 with the odd ones `odd` places after the even ones. */
static inline void put_group(kf__qlayout layout, size_t group, const int8_t *taps, void *to, size_t at, size_t odd) {
    if (layout != KF_QLAYOUT_SPLIT) {
        memcpy((int8_t *)to + at * group, taps, group);
        return;
    }
    const int16_t even_taps[2] = {taps[0], taps[2]}, odd_taps[2] = {taps[1], taps[3]};
    memcpy((int16_t *)to + at * 2, even_taps, 4);
    memcpy((int16_t *)to + (at + odd) * 2, odd_taps, 4);
}

static inline void pack_groups(kf__qlayout layout, size_t group, size_t n, size_t k, const int8_t *w, void *to) {
    size_t groups = (k + group - 1) / group, step = layout == KF_QLAYOUT_SPLIT ? 2 * group : group;
    char *at = to;
    for (size_t j0 = 0; j0 < n; j0 += KF_QPANEL)
        for (size_t g = 0; g < groups; g++, at += KF_QPANEL * step)
            for (size_t j = 0; j < KF_QPANEL; j++) {
                int8_t taps[KF_GROUP_MOST] = {0};
                for (size_t t = 0; t < group; t++)
                    if (j0 + j < n && g * group + t < k) taps[t] = w[(j0 + j) * k + g * group + t];
                put_group(layout, group, taps, at, j, KF_QPANEL);
            }
}

void kf__gemm_u8_pack(kf__qlayout layout, size_t group, size_t n, size_t k, const int8_t *w, void *to) {
    if (group == 4)
        pack_groups(layout, 4, n, k, w, to); /* a constant makes this fast: every weight passes here at start */
    else pack_groups(layout, group, n, k, w, to);
}

uint64_t kf__gemm_i16_packed(bool wide, size_t n, size_t k) {
    return (uint64_t)kf__round_up(n, KF_QPANEL) * kf__round_up(k, 2) * (wide ? 2 : 1);
}

/* A full panel of weights of `size` bytes, pair by pair. */
static void pack_pairs(size_t size, size_t k, const char *w, char *to) {
    for (size_t g = 0; g < k / 2; g++, w += 2 * size)
        for (size_t j = 0; j < KF_QPANEL; j++, to += 2 * size) {
            if (size == 1) memcpy(to, w + j * k, 2);
            else memcpy(to, w + j * k * 2, 4);
        }
}

/* Whole panels have a fast path; the last panel and an odd k are filled up with zeros. */
void kf__gemm_i16_pack(bool wide, size_t n, size_t k, const void *w, void *to) {
    size_t at = 0, size = wide ? 2 : 1, whole = k % 2 ? 0 : n / KF_QPANEL * KF_QPANEL;
    for (size_t j0 = 0; j0 < whole; j0 += KF_QPANEL, at += KF_QPANEL * k)
        pack_pairs(size, k, (const char *)w + j0 * k * size, (char *)to + at * size);
    for (size_t j0 = whole; j0 < n; j0 += KF_QPANEL)
        for (size_t g = 0; g < (k + 1) / 2; g++)
            for (size_t j = 0; j < KF_QPANEL; j++)
                for (size_t t = 0; t < 2; t++, at++) {
                    size_t from = (j0 + j) * k + g * 2 + t;
                    bool inside = j0 + j < n && g * 2 + t < k;
                    if (wide) ((int16_t *)to)[at] = inside ? ((const int16_t *)w)[from] : 0;
                    else ((int8_t *)to)[at] = inside ? ((const int8_t *)w)[from] : 0;
                }
}

/* [blocks of 16][kx][pair][output row][channels 0..3, 8..11, 4..7, 12..15][2] i16: pair p of output row r are the
 * input rows from r * s / 2 * 2 + 2 * p; a row that it does not read has weight 0. */
static void pack_row_pairs(int32_t k, int32_t s, size_t c, const int8_t *w, int16_t *at) {
    for (size_t block = 0; block < c; block += 16)
        for (int32_t kx = 0; kx < k; kx++)
            for (int32_t pair = 0; pair < (k + 1) / 2; pair++)
                for (int32_t r = 0; r < kf__dwconv_u8_pair_rows(k, s); r++)
                    for (size_t i = 0; i < 16; i++)
                        for (int32_t t = 0; t < 2; t++, at++) {
                            size_t ch = kf__dwconv_u8_pair_channel(block, c) + i % 4 + i / 4 % 2 * 8 + i / 8 * 4;
                            int32_t ky = r * s / 2 * 2 + 2 * pair + t - r * s;
                            *at = ch < c && ky >= 0 && ky < k ? w[(size_t)(ky * k + kx) * c + ch] : 0;
                        }
}

/* [blocks][kx][quad][output row][block][4]: output row r reads input row r * s + ky, which is byte (r * s + ky) % 4 of
 * quad (r * s + ky) / 4; bytes that it does not read have weight 0. For 3x3, stride 1, two output rows share one quad:
 *
 *     input row                0         1         2         3
 *     output row 0  kx:   w[0,kx]   w[1,kx]   w[2,kx]         0      four bytes of a channel, then the next channel
 *     output row 1  kx:         0   w[0,kx]   w[1,kx]   w[2,kx] */
uint64_t kf__dwconv_u8_packed(kf__qlayout layout, size_t block, int32_t k, int32_t s, size_t c) {
    if (layout == KF_QLAYOUT_PLAIN) return (uint64_t)(k * k) * c;
    if (layout == KF_QLAYOUT_PAIRS)
        return (uint64_t)kf__round_up(c, 16) * (size_t)(k * ((k + 1) / 2) * kf__dwconv_u8_pair_rows(k, s)) * 4;
    return (uint64_t)kf__round_up(c, block) * (size_t)(k * kf__dwconv_u8_quads(k) * kf__dwconv_u8_rows(k, s)) * 4;
}

void kf__dwconv_u8_pack(kf__qlayout layout, size_t block, int32_t k, int32_t s, size_t c, const int8_t *w, void *to) {
    if (layout == KF_QLAYOUT_PLAIN) {
        memcpy(to, w, (size_t)(k * k) * c);
        return;
    }
    if (layout == KF_QLAYOUT_PAIRS) {
        pack_row_pairs(k, s, c, w, to);
        return;
    }
    char *at = to;
    for (size_t c0 = 0; c0 < c; c0 += block)
        for (int32_t kx = 0; kx < k; kx++)
            for (int32_t quad = 0; quad < kf__dwconv_u8_quads(k); quad++)
                for (int32_t r = 0; r < kf__dwconv_u8_rows(k, s); r++, at += 4 * block)
                    for (size_t i = 0; i < block; i++) {
                        size_t ch = c0 + kf__dwconv_q_order(block, i);
                        int8_t taps[4] = {0};
                        for (int32_t t = 0; t < 4; t++) {
                            int32_t ky = quad * 4 + t - r * s;
                            if (ch < c && ky >= 0 && ky < k) taps[t] = w[(size_t)(ky * k + kx) * c + ch];
                        }
                        memcpy(at + 4 * i, taps, 4);
                    }
}

/* The sums of a strip: two rows, a block of 64 channels. */
size_t kf__dwconv_u8_scratch(void) { return (size_t)KF_DW_STRIP * 2 * 64 * 4; }

/* Every step after the sum is linear in it, except h-swish, whose factor is at most 6 * k. */
static double largest_value(const kf__requant *q, double sum, size_t i) {
    double x = sum * fabs((double)q->mul[i]) + (q->fbias ? fabs((double)q->fbias[i]) : 0);
    if (q->act.kind == KF_ACT_HSWISH) x *= 6 * fabs((double)q->k[i]);
    if (q->residual_scale != 0) x += 65536.0 * fabs((double)q->residual_scale);
    return q->inv ? x * fabs((double)q->inv[i]) : x;
}

void kf__requant_bound(kf__requant *q, double largest_sum, size_t n, size_t block, uint8_t *lo8, uint8_t *hi8) {
    q->lo8 = q->hi8 = NULL;
    if (q->out != KF_U8 || q->residual_type == KF_F32) return; /* nothing bounds a residual in f32 */
    for (size_t i = 0; i < kf__round_up(n, block); i++) {
        size_t c = kf__dwconv_q_order(block, i);
        if (c >= n) continue;
        if (!(largest_value(q, largest_sum, i) < 1073741824.0)) return;
        lo8[c] = (uint8_t)(q->flo[i] + (float)q->zero[i]), hi8[c] = (uint8_t)(q->fhi[i] + (float)q->zero[i]);
    }
    q->lo8 = lo8, q->hi8 = hi8;
}
