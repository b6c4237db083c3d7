/* Body of affine steps (SE scale, requantization, quantization) and of sums of columns, included by int_wide.h or after
 * int_template.h, whose words and epilogue pieces it uses. AFFINE_BYTES: the including file has affine_bytes.
 * Owner rule: pure functions. */

/* Rows without gaps and one parameter for all channels: a single run of numbers, however few channels there are. */
static bool is_run(const kf__affine_q *a) {
    if (a->ld_in != a->c || a->ld_out != a->c) return false;
    for (size_t j = 1; j < a->c; j++)
        if (a->mul[j] != a->mul[0] || a->flo[j] != a->flo[0] || a->fhi[j] != a->fhi[0] || a->zero[j] != a->zero[0] ||
            a->in_zero[j] != a->in_zero[0])
            return false;
    return true;
}

/* Parameters are the same for all channels here, so the rows are one run of numbers. */
NOINLINE void affine_run(const kf__affine_q *a) {
    size_t n = a->rows * a->c, i = 0;
    params p = {.mul = SETF(a->mul[0]), .flo = SETF(a->flo[0]), .fhi = SETF(a->fhi[0]), .zero = SET1I(a->zero[0])};
    V minus = SET1I(-a->in_zero[0]);
    for (; i + VL <= n; i += VL) {
        F x =
            a->in_type == KF_F32 ? LOADF((const float *)a->in + i) : CVT(ADDI(load_q(a->in, a->in_type, i, VL), minus));
        store_q(a->out, a->out_type, i, round_q(MULF(x, p.mul), &p), VL);
    }
    kf__affine_q rest = *a;
    rest.in = (const char *)a->in + i * kf_dtype_size(a->in_type),
    rest.out = (char *)a->out + i * kf_dtype_size(a->out_type);
    rest.rows = n - i, rest.c = rest.ld_in = rest.ld_out = 1;
    if (rest.rows) kf_k_affine_q_scalar(&rest);
}

#ifndef AFFINE_BYTES
/* Bytes to bytes, n channels from j on, full registers only. If every product fits an i32, the saturating packing
 * replaces the clamp. */
INLINE void affine_bytes(const kf__affine_q *a, size_t j, size_t n) {
    F mul[4];
    V minus[4], z[4], lo[4], hi[4];
    const LANES lanes = lanes_of(n);
    UNROLL for (int v = 0; v < 4; v++) {
        size_t at = j + (size_t)(v * VL);
        bool any = (size_t)(v * VL) < n;
        mul[v] = any ? LOADF(a->mul + at) : SETF(0);
        minus[v] = any ? SUBI(SET1I(0), LOADV(a->in_zero + at)) : SET1I(0), z[v] = any ? LOADV(a->zero + at) : SET1I(0);
        lo[v] = any ? ADDI(RNE(LOADF(a->flo + at)), z[v]) : z[v],
        hi[v] = any ? ADDI(RNE(LOADF(a->fhi + at)), z[v]) : z[v];
    }
    V z01 = PACK32(z[0], z[1]), z23 = PACK32(z[2], z[3]);
    V low = PACK16(PACK32(lo[0], lo[1]), PACK32(lo[2], lo[3])),
      high = PACK16(PACK32(hi[0], hi[1]), PACK32(hi[2], hi[3]));
    const uint8_t *from = (const uint8_t *)a->in + j;
    uint8_t *to = (uint8_t *)a->out + j;
    for (size_t i = 0; i < a->rows; i++, from += a->ld_in, to += a->ld_out) {
        V x[4];
        UNROLL for (int v = 0; v < 4; v++) {
            size_t left = n > (size_t)(v * VL) ? n - (size_t)(v * VL) : 0;
            x[v] = RNE(MULF(CVT(ADDI(load_q(from, KF_U8, (size_t)(v * VL), left < VL ? left : VL), minus[v])), mul[v]));
        }
        x[0] = PACK16(ADDS16(PACK32(x[0], x[1]), z01), ADDS16(PACK32(x[2], x[3]), z23));
        store_lanes(to, IN_ORDER(MINU8(MAXU8(x[0], low), high)), lanes);
    }
}

#endif

/* Do the products of any byte and these factors fit an i32? Without the sign, the bits of floats have the order of
 * integers, and those of NaN are above all. */
static bool all_small(const float *mul, size_t n) {
    uint32_t most = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, mul + i, 4);
        bits &= 0x7fffffff;
        most = bits > most ? bits : most;
    }
    return most < 0x4a800000; /* 2^22 */
}

/* Four forms: scalar code, one run of numbers, bytes to bytes, and one vector of channels at a time. */
void NAME(affine_q)(const kf__affine_q *a) {
    if (a->out_type == KF_F32 || ((a->in_type == KF_F32 || a->c < VL) && !is_run(a))) {
        kf_k_affine_q_scalar(a);
        return;
    }
    if (a->in_type == KF_F32 || a->c < VL) {
        affine_run(a);
        return;
    }
    size_t done = 0;
    bool bytes = a->in_type == KF_U8 && a->out_type == KF_U8 && all_small(a->mul, a->c);
    for (; bytes && a->c - done >= 4 * VL; done += 4 * VL) affine_bytes(a, done, 4 * VL);
    if (VL == 16 && bytes && a->c - done > VL) {
        affine_bytes(a, done, a->c - done);
        return;
    }
    for (size_t j = done; j < a->c; j += VL) {
        size_t n = a->c - j < VL ? a->c - j : VL;
        params p = {
            .flo = LOADF(a->flo + j), .fhi = LOADF(a->fhi + j), .zero = LOADV(a->zero + j), .mul = LOADF(a->mul + j)};
        V minus = SUBI(SET1I(0), LOADV(a->in_zero + j));
        for (size_t i = 0; i < a->rows; i++) {
            F x = MULF(CVT(ADDI(load_q(a->in, a->in_type, i * a->ld_in + j, n), minus)), p.mul);
            store_q(a->out, a->out_type, i * a->ld_out + j, round_q(x, &p), n);
        }
    }
}

/* `regs` registers of columns of bytes; 16-bit lanes can hold the sums of 256 rows. */
INLINE void colsum_words(const size_t regs, size_t rows, size_t c, const uint8_t *x, int32_t *sums) {
    uint16_t part[2 * 2 * VL];
    for (size_t from = 0, to; from < rows; from = to) {
        V s[2] = {SET1I(0), SET1I(0)};
        to = rows - from < 256 ? rows : from + 256;
        for (size_t i = from; i < to; i++) {
            UNROLL for (size_t k = 0; k < regs; k++) s[k] = ADD16(s[k], load_words(x + i * c + k * 2 * VL));
        }
        memcpy(part, s, sizeof part);
        for (size_t k = 0; k < regs * 2 * VL; k++) sums[k] += part[k];
    }
}

/* Bytes are summed in 16 bits first; 16-bit values, and what is left, in 32. */
void NAME(colsum_q)(kf_dtype type, size_t rows, size_t c, const void *x, int32_t *sums) {
    size_t j = 0;
    for (; type == KF_U8 && j + 4 * VL <= c; j += 4 * VL) colsum_words(2, rows, c, (const uint8_t *)x + j, sums + j);
    for (; type == KF_U8 && j + 2 * VL <= c; j += 2 * VL) colsum_words(1, rows, c, (const uint8_t *)x + j, sums + j);
    for (; j + 4 * VL <= c; j += 4 * VL) {
        V s[4];
        for (size_t k = 0; k < 4; k++) s[k] = LOADV(sums + j + k * VL);
        for (size_t i = 0; i < rows; i++)
            for (size_t k = 0; k < 4; k++) s[k] = ADDI(s[k], load_q(x, type, i * c + j + k * VL, VL));
        for (size_t k = 0; k < 4; k++) STOREV(sums + j + k * VL, s[k]);
    }
    for (; j < c; j += VL) {
        size_t n = c - j < VL ? c - j : VL;
        V s = SET1I(0);
        for (size_t i = 0; i < rows; i++) s = ADDI(s, load_q(x, type, i * c + j, n));
        int32_t lane[VL];
        memcpy(lane, &s, sizeof lane);
        for (size_t k = 0; k < n; k++) sums[j + k] += lane[k];
    }
}
