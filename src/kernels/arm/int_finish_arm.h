/* The end of a product or of a depthwise layer: sums in memory become values of the output. One function for all tiles
 * of a level: rows of a tile cost a load and a store per four sums, and the code stays small.
 * Included after int_template.h. Owner rule: pure functions. */

/* Rows of sums of up to sixteen columns, and where their results go. */
typedef struct sums_of {
    const int32_t *at;
    size_t ld;        /* sums from row to row */
    size_t rows, row; /* number, and number of the first in the output and in the residual */
    size_t col, n;    /* first column, and number of columns, at most 16 */
} sums_of;

INLINE void residual_16(const kf__requant *q, size_t at, size_t n, F *to) {
    const uint8_t *from = (const uint8_t *)q->residual + at;
    uint8_t few[16] = {0};
    if (n < 16) memcpy(few, from, n), from = few;
    const uint8x16_t bytes = vld1q_u8(from);
    const int16x8_t zero = vdupq_n_s16((int16_t)q->residual_zero),
                    low = vsubq_s16(vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(bytes))), zero),
                    high = vsubq_s16(vreinterpretq_s16_u16(vmovl_high_u8(bytes)), zero);
    const F scale = SETF(q->residual_scale);
    to[0] = MULF(CVT(vmovl_s16(vget_low_s16(low))), scale), to[1] = MULF(CVT(vmovl_high_s16(low)), scale);
    to[2] = MULF(CVT(vmovl_s16(vget_low_s16(high))), scale), to[3] = MULF(CVT(vmovl_high_s16(high)), scale);
}

/* Without branches: no value leaves i32 (kf__requant_bound), so saturation replaces the clamp. `vectors`: 4, or 2 for
 * rows of at most eight columns. */
INLINE void finish_sums_of(const int kind, const int vectors, const sums_of *s, void *c, size_t ldc,
                           const kf__requant *q) {
    F mul[4], k[4];
    V z[4];
    UNROLL for (int j = 0; j < vectors; j++) {
        const size_t at = s->col + (size_t)(4 * j);
        mul[j] = LOADF(q->mul + at), z[j] = LOADV(q->zero + at);
        k[j] = kind == HSWISH_Q ? LOADF(q->k + at) : kind == RESIDUAL_Q ? LOADF(q->inv + at) : mul[j];
    }
    const V z01 = PACK32(z[0], z[1]), z23 = vectors == 4 ? PACK32(z[2], z[3]) : z01,
            lo = load_limits(q->lo8 + s->col, vectors == 4 ? 1 : 2),
            hi = load_limits(q->hi8 + s->col, vectors == 4 ? 1 : 2);
    const int32_t *sums = s->at;
    const size_t n = s->n;
    uint8_t *to = (uint8_t *)c + s->row * ldc + s->col;
    for (size_t i = 0; i < s->rows; i++, sums += s->ld, to += ldc) {
        F r[4];
        V v[4];
        if (kind == RESIDUAL_Q) residual_16(q, (s->row + i) * q->ld_residual + s->col, n, r);
        UNROLL for (int j = 0; j < vectors; j++) {
            F x = MULF(CVT(LOADV(sums + 4 * j)), mul[j]);
            if (kind == HSWISH_Q) x = hswish(x, k[j]);
            if (kind == RESIDUAL_Q) x = MULF(ADDF(x, r[j]), k[j]);
            v[j] = RNE(x);
        }
        const V low = ADDS16(PACK32(v[0], v[1]), z01), high = vectors == 4 ? ADDS16(PACK32(v[2], v[3]), z23) : low;
        store_part(to, MINU8(MAXU8(PACK16(low, high), lo), hi), 0, vectors == 4 ? 1 : 2, n);
    }
}
#define FINISH_SUMS(name, kind)                                                                                        \
    NOINLINE void finish_sums_##name(const sums_of *s, void *c, size_t ldc, const kf__requant *q) {                    \
        if (s->n <= 8) finish_sums_of(kind, 2, s, c, ldc, q);                                                          \
        else finish_sums_of(kind, 4, s, c, ldc, q);                                                                    \
    }
FINISH_SUMS(plain, PLAIN_Q)
FINISH_SUMS(hswish, HSWISH_Q)
FINISH_SUMS(residual, RESIDUAL_Q)
NOINLINE void finish_sums_general(const sums_of *s, void *c, size_t ldc, const kf__requant *q) {
    for (size_t j = 0; j < s->n; j += VL) {
        const size_t at = s->col + j, lanes = s->n - j < VL ? s->n - j : VL;
        const params p = params_at(q, at);
        for (size_t i = 0; i < s->rows; i++) {
            const V v = LOADV(s->at + i * s->ld + j);
            finish_general(&v, q, &p, (s->row + i) * ldc + at, (s->row + i) * q->ld_residual + at, c, lanes);
        }
    }
}

static void finish_sums(const sums_of *s, void *c, size_t ldc, const kf__requant *q) {
    switch (kind_of(q)) {
    case PLAIN_Q: finish_sums_plain(s, c, ldc, q); break;
    case HSWISH_Q: finish_sums_hswish(s, c, ldc, q); break;
    case RESIDUAL_Q: finish_sums_residual(s, c, ldc, q); break;
    default: finish_sums_general(s, c, ldc, q); break;
    }
}
