/* Body of the elementwise kernels (Add, Mul and activation of whole tensors) and of pooling windows. Included after
 * int_template.h, whose words and epilogue pieces it uses, with the words MAXI and MINI. AVX-512 does not use it: it
 * was no faster there. ELTWISE_RUN and POOL_FIRST: functions of the including file that are faster for bytes;
 * POOL_FIRST returns how many channels it has done.
 * Owner rule: pure functions. */

INLINE F real_of(const void *p, kf_dtype type, size_t i, V minus, F scale) {
    return type == KF_F32 ? LOADF((const float *)p + i) : MULF(CVT(ADDI(load_q(p, type, i, VL), minus)), scale);
}

/* Full registers of n numbers that share their parameters. Returns how many numbers were done. */
static size_t eltwise_run(const kf__eltwise_q *e, size_t n) {
    const kf__requant *q = e->q;
    const params p = {.flo = SETF(q->flo[0]), .fhi = SETF(q->fhi[0]), .zero = SET1I(q->zero[0])};
    const F a = SETF(e->a_scale[0]), b = SETF(e->b ? e->b_scale[0] : 0), k = SETF(q->k ? q->k[0] : 0),
            inv = SETF(q->inv ? q->inv[0] : 0);
    const V a_minus = SET1I(-e->a_zero[0]), b_minus = SET1I(e->b ? -e->b_zero[0] : 0);
    size_t i = 0;
    for (; i + VL <= n; i += VL) {
        F x = real_of(e->a, e->a_type, i, a_minus, a);
        if (e->b) {
            F y = real_of(e->b, e->b_type, i, b_minus, b);
            x = e->product ? MULF(x, y) : ADDF(x, y);
        }
        if (q->act.kind == KF_ACT_HSWISH) x = hswish(x, k);
        else if (q->act.kind != KF_ACT_NONE) x = activate(x, q, k);
        if (q->inv) x = MULF(x, inv);
        if (q->out != KF_F32) {
            store_q(e->out, q->out, i, round_q(x, &p), VL);
            continue;
        }
        if (q->post.kind == KF_ACT_CLIP) x = clip(x, q->post.lo, q->post.hi);
        memcpy((float *)e->out + i, &x, sizeof x);
    }
    return i;
}

#ifndef ELTWISE_RUN
#define ELTWISE_RUN eltwise_run
#endif
void NAME(eltwise_q)(const kf__eltwise_q *e) { kf__eltwise_q_by(ELTWISE_RUN, e); }

/* Sum of the taps of n channels, or the largest. */
NOINLINE V pool_taps(const kf__pool_q *w, size_t j, size_t n) {
    V sum = SET1I(0), top = SET1I(INT32_MIN);
    for (size_t r = 0; r < w->rows; r++)
        for (size_t t = 0; t < w->columns; t++) {
            kf_dtype type = w->in_type;
            HIDE(type);
            V v = load_q(w->in, type, r * w->row_step + t * w->column_step + j, n);
            sum = ADDI(sum, v), top = MAXI(top, v);
        }
    return w->largest ? top : sum;
}

#ifndef POOL_FIRST
#define POOL_FIRST(w) 0
#endif
/* The zero point is subtracted once from the sum of the taps. */
void NAME(pool_q)(const kf__pool_q *w) {
    const int32_t zeros = (int32_t)(w->rows * w->columns) * w->in_zero;
    for (size_t j = POOL_FIRST(w); j < w->c; j += VL) {
        size_t n = w->c - j < VL ? w->c - j : VL;
        V s = pool_taps(w, j, n);
        F x = MULF(CVT(ADDI(s, SET1I(-zeros))), SETF(w->mul));
        if (w->out_type == KF_F32) {
            memcpy((float *)w->out + j, &x, n * sizeof(float));
            continue;
        }
        params p = {.flo = LOADF(w->flo + j), .fhi = LOADF(w->fhi + j), .zero = LOADV(w->zero + j)};
        store_q(w->out, w->out_type, j, w->largest ? MINI(MAXI(s, SET1I(w->lo)), SET1I(w->hi)) : round_q(x, &p), n);
    }
}
