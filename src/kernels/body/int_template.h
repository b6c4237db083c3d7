/* Body of the integer kernels, compiled once for each instruction set (the including file defines the vector words).
 * Needs: V, F, VL, LOADV, STOREV, SET1I, ADDI, CVT, RNE, SETF, LOADF, ADDF, MULF, MINF, MAXF, UNP*, PACK*, DOT, SPLIT,
 * MR1, MR2, MR4, MAX_PANELS, load_q, store_q, load_bytes, NAME; DWCONV_BODY, if depthwise windows do not use
 * int_dwconv.h. Sums are exact: no saturating pair products.
 * Owner rule: pure functions. */

/* Adds the product with weights in memory. */
#ifndef DOT_AT
#define DOT_AT(acc, x, at) ((acc) = DOT(acc, x, LOADV(at), x))
#endif
#ifndef DOT_PAIR
#define DOT_PAIR(a, b, x, y, at) (DOT_AT(a, x, at), DOT_AT(b, y, at))
#endif
#include "kernels/body/calls.h"
/* Hides a value from the compiler, so that it does not make two versions of a loop. */
#define HIDE(x) __asm__("" : "+r"(x))
/* Not under AddressSanitizer: with its checks, the compiler needs minutes for an unrolled tile. */
#if defined(__SANITIZE_ADDRESS__)
#define UNROLL
#elif defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

typedef struct params {
    F mul, fbias, k, inv, flo, fhi;
    V zero;
} params;

INLINE params params_at(const kf__requant *q, size_t col) {
    params p = {.mul = LOADF(q->mul + col)};
    p.fbias = q->fbias ? LOADF(q->fbias + col) : SETF(0);
    p.k = q->k ? LOADF(q->k + col) : SETF(0);
    p.inv = q->inv ? LOADF(q->inv + col) : SETF(0);
    p.flo = p.fhi = SETF(0), p.zero = SET1I(0);
    if (q->out != KF_F32) p.flo = LOADF(q->flo + col), p.fhi = LOADF(q->fhi + col), p.zero = LOADV(q->zero + col);
    return p;
}

/* Kinds of epilogue: the common ones, with u8 output, have no branches. */
enum { PLAIN_Q, HSWISH_Q, RESIDUAL_Q, GENERAL };
INLINE int kind_of(const kf__requant *q) {
    if (!q->lo8 || q->fbias) return GENERAL;
    if (q->residual) return q->act.kind == KF_ACT_NONE && q->residual_type == KF_U8 && q->inv ? RESIDUAL_Q : GENERAL;
    return q->inv ? GENERAL : q->act.kind == KF_ACT_NONE ? PLAIN_Q : q->act.kind == KF_ACT_HSWISH ? HSWISH_Q : GENERAL;
}

/* Clamp by integer operations: the bits of non-negative floats have the same order as the floats, and a negative
 * float is a negative integer. So the clamp to 0..6 does not use the units that add floats. */
INLINE F hswish(F x, F k) { return MULF(CLAMP6(ADDF(x, SETF(3.0f))), MULF(x, k)); }

/* NaN gives the lower bound. */
#ifndef CLAMP_Q
#define CLAMP_Q(x, lo, hi) MINF(MAXF(x, lo), hi)
#endif
INLINE V round_q(F x, const params *p) { return ADDI(RNE(CLAMP_Q(x, p->flo, p->fhi)), p->zero); }

/* Both words return their second operand where one is NaN: x is the second, so that NaN stays NaN. Where both are zeros
 * the bound wins, as in kf__clip: 0 is added first, which makes 0 of -0. */
INLINE F clip(F x, float lo, float hi) {
    const float zero = lo == 0 || hi == 0 ? 0.0f : -0.0f;
    return MINF(SETF(hi), MAXF(SETF(lo), ADDF(x, SETF(zero))));
}

NOINLINE F activate(F x, const kf__requant *q, F k) {
    switch (q->act.kind) {
    case KF_ACT_CLIP: return clip(x, q->act.lo, q->act.hi);
    case KF_ACT_HSWISH: return hswish(x, k);
    case KF_ACT_HSIGMOID: return MULF(clip(ADDF(x, SETF(3.0f)), 0.0f, 6.0f), SETF(1.0f / 6.0f));
    case KF_ACT_HARDSIGMOID: return clip(ADDF(MULF(x, SETF(q->act.lo)), SETF(q->act.hi)), 0.0f, 1.0f);
    case KF_ACT_SIGMOID:
    case KF_ACT_SILU: {
        float lane[VL];
        memcpy(lane, &x, sizeof lane);
        for (int i = 0; i < VL; i++) lane[i] = kf__activate(q->act.kind, lane[i], 0, 0);
        memcpy(&x, lane, sizeof lane);
        return x;
    }
    case KF_ACT_NONE:
    case KF_ACT_COUNT: break;
    }
    return x;
}

/* Steps 2 to 5 of any epilogue; n lanes are stored. */
NOINLINE void finish_general(const V *acc, const kf__requant *q, const params *p, size_t at, size_t at_residual,
                             void *out, size_t n) {
    F x = MULF(CVT(*acc), p->mul);
    if (q->fbias) x = ADDF(x, p->fbias);
    x = activate(x, q, p->k);
    if (q->residual && q->residual_type == KF_F32) {
        float lane[VL] = {0};
        memcpy(lane, (const float *)q->residual + at_residual, n * sizeof(float));
        x = ADDF(x, LOADF(lane));
    } else if (q->residual) {
        V r = load_q(q->residual, q->residual_type, at_residual, n);
        x = ADDF(x, MULF(CVT(ADDI(r, SET1I(-q->residual_zero))), SETF(q->residual_scale)));
    }
    if (q->inv) x = MULF(x, p->inv);
    if (q->out != KF_F32) {
        store_q(out, q->out, at, round_q(x, p), n);
        return;
    }
    if (q->post.kind == KF_ACT_CLIP) x = clip(x, q->post.lo, q->post.hi);
    float lane[VL];
    memcpy(lane, &x, sizeof lane);
    memcpy((float *)out + at, lane, n * sizeof(float));
}

INLINE F residual_u8(const kf__requant *q, size_t at, size_t lanes) {
    return MULF(CVT(ADDI(load_q(q->residual, KF_U8, at, lanes), SET1I(-q->residual_zero))), SETF(q->residual_scale));
}

/* ---- GEMM -------------------------------------------------------------------------------------------------------- */

#define W (KF_QPANEL / VL)
/* Rows of the highest tile. */
#ifdef MR_HALF
#define MOST_ROWS (MR1 > MR_HALF ? MR1 : MR_HALF)
#else
#define MOST_ROWS MR1
#endif

/* Steps 2 to 4 and the conversion of one column of vectors; the saturating packing later replaces the clamp
 * (kf__requant_bound). */
INLINE void convert(const int kind, const int mr, const int j, V (*acc)[4 * W], size_t col, size_t row, size_t lanes,
                    const kf__requant *q) {
    F mul = LOADF(q->mul + col), k = kind == HSWISH_Q ? LOADF(q->k + col) : mul,
      inv = kind == RESIDUAL_Q ? LOADF(q->inv + col) : mul;
    UNROLL for (int i = 0; i < mr; i++) {
        F x = MULF(CVT(acc[i][j]), mul);
        if (kind == HSWISH_Q) x = hswish(x, k);
        if (kind == RESIDUAL_Q) x = MULF(ADDF(x, residual_u8(q, (row + (size_t)i) * q->ld_residual + col, lanes)), inv);
        acc[i][j] = RNE(x);
    }
}

/* Adds zero points, saturates to bytes and stores: four vectors at a time, of one row or of two or four rows. */
INLINE void pack_tile(const int mr, const int nv, V (*acc)[4 * W], size_t n, size_t col, size_t row, uint8_t *c,
                      size_t ldc, const kf__requant *q) {
    const int each = nv, parts = each == 1 ? 4 : each == 2 ? 2 : 1;
    size_t lanes = n - col < (size_t)(each * VL) ? n - col : (size_t)(each * VL);
    V z[4], lo = load_limits(q->lo8 + col, parts), hi = load_limits(q->hi8 + col, parts);
    UNROLL for (int v = 0; v < 4; v++) z[v] = LOADV(q->zero + col + (size_t)((v % each) * VL));
    V z01 = PACK32(z[0], z[1]), z23 = PACK32(z[2], each == 3 ? z[2] : z[3]);
    UNROLL for (int i = 0; i < mr; i += parts) {
        V v[4];
        UNROLL for (int x = 0; x < 4; x++) {
            int r = i + (parts == 1 ? 0 : x / each), j = parts == 1 && x >= each ? each - 1 : x % each;
            v[x] = acc[r < mr ? r : mr - 1][j];
        }
        V x = PACK16(ADDS16(PACK32(v[0], v[1]), z01), ADDS16(PACK32(v[2], v[3]), z23));
        x = MINU8(MAXU8(IN_ORDER(x), lo), hi);
        UNROLL for (int part = 0; part < parts; part++) if (i + part < mr)
            store_part(c + (row + (size_t)(i + part)) * ldc + col, x, part, parts, lanes);
    }
}

INLINE void finish_tile(const int kind, const int mr, const int nv, V (*acc)[4 * W], size_t n, size_t col, size_t row,
                        void *c, size_t ldc, const kf__requant *q) {
    UNROLL for (int j = 0; j < nv; j++) {
        size_t at = col + (size_t)(j * VL), lanes = at >= n ? 0 : n - at < VL ? n - at : VL;
        convert(kind, mr, j, acc, at, row, lanes, q);
    }
    pack_tile(mr, nv, acc, n, col, row, c, ldc, q);
}

/* One kind of epilogue on a tile in memory. */
INLINE void finish_memory(const int kind, int mr, int nv, const V *acc, size_t n, size_t col, size_t row, void *c,
                          size_t ldc, const kf__requant *q) {
    for (int j = 0; j < nv && col + (size_t)(j * VL) < n; j++) {
        size_t at = col + (size_t)(j * VL), lanes = n - at < VL ? n - at : VL;
        params p = params_at(q, at);
        for (int i = 0; i < mr; i++) {
            size_t r = row + (size_t)i, to = r * ldc + at;
            const V *v = acc + i * 4 * W + j;
            if (kind == GENERAL) {
                finish_general(v, q, &p, to, r * q->ld_residual + at, c, lanes);
                continue;
            }
            F x = MULF(CVT(*v), p.mul);
            if (kind == HSWISH_Q) x = hswish(x, p.k);
            if (kind == RESIDUAL_Q) x = MULF(ADDF(x, residual_u8(q, r * q->ld_residual + at, lanes)), p.inv);
            store_q(c, KF_U8, to, round_q(x, &p), lanes);
        }
    }
}

/* The tile's sums come from memory: shared code for single rows, and for rare epilogues of all tiles. */
NOINLINE void finish_slow(int mr, int nv, const V *acc, size_t n, size_t col, size_t row, void *c, size_t ldc,
                          const kf__requant *q) {
    switch (kind_of(q)) {
    case PLAIN_Q: finish_memory(PLAIN_Q, mr, nv, acc, n, col, row, c, ldc, q); break;
    case HSWISH_Q: finish_memory(HSWISH_Q, mr, nv, acc, n, col, row, c, ldc, q); break;
    case RESIDUAL_Q: finish_memory(RESIDUAL_Q, mr, nv, acc, n, col, row, c, ldc, q); break;
    default: finish_memory(GENERAL, mr, nv, acc, n, col, row, c, ldc, q); break;
    }
}

INLINE void spill(const int mr, const int nv, V (*acc)[4 * W], size_t n, size_t col, size_t row, void *c, size_t ldc,
                  const kf__requant *q) {
    V copy[MOST_ROWS][4 * W];
    UNROLL for (int i = 0; i < mr; i++) { UNROLL for (int j = 0; j < nv; j++) copy[i][j] = acc[i][j]; }
    finish_slow(mr, nv, &copy[0][0], n, col, row, c, ldc, q);
}

INLINE void finish(const int mr, const int nv, V (*acc)[4 * W], size_t n, size_t col, size_t row, void *c, size_t ldc,
                   const kf__requant *q) {
    switch (mr == 1 ? (int)GENERAL : kind_of(q)) {
    case PLAIN_Q: finish_tile(PLAIN_Q, mr, nv, acc, n, col, row, c, ldc, q); break;
    case HSWISH_Q: finish_tile(HSWISH_Q, mr, nv, acc, n, col, row, c, ldc, q); break;
    case RESIDUAL_Q: finish_tile(RESIDUAL_Q, mr, nv, acc, n, col, row, c, ldc, q); break;
    default: spill(mr, nv, acc, n, col, row, c, ldc, q); break;
    }
}

#ifndef WIDE_ONLY
/* One quad of k. */
INLINE void step_u8(const int mr, const int nv, V (*acc)[4 * W], const uint8_t *a, size_t lda, const char *b,
                    size_t panel) {
    V w[4 * W], odd[4 * W];
    UNROLL for (int j = 0; j < nv; j++) {
        const char *at = b + (size_t)(j / W) * panel + (size_t)(j % W) * sizeof(V);
        w[j] = LOADV(at);
        odd[j] = SPLIT ? LOADV(at + KF_QPANEL * 4 * SPLIT) : w[j];
    }
    UNROLL for (int i = 0; i < mr; i++) {
        uint32_t four;
        memcpy(&four, a + (size_t)i * lda, 4);
        V x = SET1I((int)four);
        UNROLL for (int j = 0; j < nv; j++) acc[i][j] = DOT(acc[i][j], x, w[j], odd[j]);
    }
}

/* The last bytes of m rows, each filled up to four. */
NOINLINE void copy_ends(int m, const uint8_t *a, size_t lda, size_t bytes, uint32_t *to) {
    for (int i = 0; i < m; i++) {
        to[i] = 0;
        for (size_t t = 0; t < bytes; t++) to[i] |= (uint32_t)a[(size_t)i * lda + t] << 8 * t;
    }
}

/* mr rows by nv vectors of columns; both are constants at every call, and the loops are unrolled, so the sums stay in
 * registers. */
INLINE void tile_u8(const int mr, const int nv, size_t n, size_t k, size_t runs, size_t ld_run, const uint8_t *a,
                    size_t lda, const char *b, size_t col, size_t row, void *c, size_t ldc, const kf__requant *q) {
    enum { STEP = KF_QPANEL * 4 * (1 + SPLIT) };
    V acc[MOST_ROWS][4 * W];
    size_t panel = (runs * k + 3) / 4 * STEP;
    UNROLL for (int j = 0; j < nv; j++) {
        V bias = LOADV(q->bias + col + (size_t)(j * VL));
        UNROLL for (int i = 0; i < mr; i++) acc[i][j] = bias;
    }
    for (size_t run = 0; run < runs; run++, a += ld_run - k)
        for (size_t g = 0; g < k / 4; g++, a += 4, b += STEP) step_u8(mr, nv, acc, a, lda, b, panel);
    if (k % 4) { /* only products of one run have a rest */
        uint32_t ends[MOST_ROWS];
        copy_ends(mr, a - (ld_run - k), lda, k % 4, ends);
        step_u8(mr, nv, acc, (const uint8_t *)ends, 4, b, panel);
    }
    finish(mr, nv, acc, n, col, row, c, ldc, q);
}

/* Is recomputing part of a full tile cheaper than finishing the remaining rows one by one? */
INLINE bool again(const size_t full, const size_t nv, size_t left, size_t depth) {
    return left * (depth + 80) * W > full * nv * (depth / 4 + 6);
}

/* Rows i0..i1-1 of nv vectors of columns. */
#define ROWS(nv, full)                                                                                                 \
    NOINLINE void rows_u8_##nv(size_t i0, size_t i1, size_t n, size_t k, size_t runs, size_t ld_run, const uint8_t *a, \
                               size_t lda, const void *at, size_t col, void *c, size_t ldc, const kf__requant *q) {    \
        size_t i = i0, next = (nv) * ((runs * k + 3) / 4) * VL * 4 * (1 + SPLIT),                                      \
               share = i0 || n - col <= (nv)*VL ? 0 : next * (full) / (i1 - i0) + 1;                                   \
        const char *ahead = (const char *)at + next;                                                                   \
        while (i + (full) <= i1) {                                                                                     \
            for (size_t x = 0; x < share; x += 64, ahead += 64) __builtin_prefetch(ahead, 0, 2);                       \
            tile_u8(full, nv, n, k, runs, ld_run, a + i * lda, lda, at, col, i, c, ldc, q);                            \
            i += (full);                                                                                               \
            if (i < i1 && i + (full) > i1 && again(full, nv, i1 - i, runs * k)) i = i1 - (full);                       \
        }                                                                                                              \
        for (; i < i1; i++) tile_u8(1, nv, n, k, runs, ld_run, a + i * lda, lda, at, col, i, c, ldc, q);               \
    }
#if MAX_PANELS >= 4
ROWS(1, MR1)
ROWS(2, MR2)
ROWS(4, MR4)
#define PICK(left) ((left) > 3 * KF_QPANEL ? 4 : (left) > KF_QPANEL ? 2 : 1)
#define ROWS_OF(panels, left) ((panels) == 4 ? rows_u8_4 : (panels) == 2 ? rows_u8_2 : rows_u8_1)
#else
ROWS(2, MR1)
#define PICK(left) ((void)(left), 1)
#ifdef MR_HALF /* often eight columns remain, and half of their panel is empty */
ROWS(1, MR_HALF)
#define ROWS_OF(panels, left) ((void)(panels), (left) > VL ? rows_u8_2 : rows_u8_1)
#else
#define ROWS_OF(panels, left) ((void)(panels), (void)(left), rows_u8_2)
#endif
#endif

/* Rows in blocks, columns in groups of panels. PICK chooses how many panels a tile has. */
void NAME(gemm_u8)(size_t m, size_t n, size_t k, size_t runs, size_t ld_run, const uint8_t *a, size_t lda,
                   const void *b, void *c, size_t ldc, const kf__requant *q) {
    size_t panel = (runs * k + 3) / 4 * KF_QPANEL * 4 * (1 + SPLIT);
    for (size_t i0 = 0, i1; i0 < m; i0 = i1) { /* a block of A stays in the first-level cache while all panels use it */
        size_t step;
        i1 = m - i0 < 144 ? m : i0 + 96;
        for (size_t col = 0; col < n; col += step * KF_QPANEL) {
            step = PICK(n - col);
            ROWS_OF(step, n - col)
            (i0, i1, n, k, runs, ld_run, a, lda, (const char *)b + col / KF_QPANEL * panel, col, c, ldc, q);
        }
    }
}

#ifndef DWCONV_BODY
#define DWCONV_BODY "kernels/body/int_dwconv.h"
#endif
#include DWCONV_BODY
#endif
#ifdef WITH_WIDE
#include "kernels/body/int_wide.h"
#endif
