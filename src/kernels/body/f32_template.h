/* Body of the f32 kernels, compiled once per instruction set. The including file names the words: V (a vector) and VL
 * (its lanes), MASK, LOAD, LOADM, STORE, STOREM, SET1, FMA, MIN, MAX, ADD, MUL, ZERO, TAIL(n), IN_REGISTER, NAME(base),
 * HALVES and HL, ASKS, DW_MOST (and DW_MOST_5, if 5x5 windows take more than 7 columns), the ROWS_ and the BLOCK_ROWS.
 * With HALVES, columns that fill half a panel have words of their own: H (HL lanes), HMASK, HLOW (of a V), HLOAD,
 * HLOADM, HSTORE, HSTOREM, HSET1, HFMA, HMIN, HMAX, HADD, HMUL, HZERO, HTAIL(n) and HWHOLE(mask).
 * SUMS and DW_SUMS, if there are any, name files with the loops of tiles and depthwise windows that replace those of
 * the bodies; a file that has the loop of a single row too defines OWN_ROW.
 * Owner rule: pure functions; masked loads and stores keep tails inside the rows. */

#include "kernels/body/calls.h"

#if !defined(SHALLOW)
#define SHALLOW 24 /* tiles with fewer depths prefetch output rows */
#endif
#if !defined(SEVERAL)
#define SEVERAL /* several turns at once, if an instruction set gains by that */
#endif
/* Loops with constant bounds that must be unrolled; a pointer whose origin the compiler must not use. */
#if !defined(UNROLL)
#define UNROLL _Pragma("GCC unroll 32")
#endif
#define OPAQUE(pointer) __asm__("" : "+r"(pointer))
#if !HALVES /* never reached, but compiled */
#define H V
#define HLOW(v) (v)
#define HLOAD LOAD
#define HSTORE STORE
#define HFMA FMA
#define HZERO ZERO
#endif

/* MIN and MAX return their second operand where one is NaN: x is the second, so that NaN stays NaN. */
INLINE V clip(V x, V lo, V hi) { return MIN(hi, MAX(lo, x)); }
INLINE V hswish(V x) { return MUL(clip(FMA(x, SET1(1.0f / 6.0f), SET1(0.5f)), ZERO, SET1(1.0f)), x); }

/* One instruction less for ReLU, whose upper bound is infinite. */
static inline bool is_relu(const kf__epilogue *e) {
    return e->act.kind == KF_ACT_CLIP && e->act.hi == __builtin_inff();
}

/* `act` is the same for a whole call, so the branches are predicted. */
INLINE V activate(V x, kf__act act, V lo, V hi) {
    switch (act) {
    case KF_ACT_CLIP: return clip(x, lo, hi);
    case KF_ACT_HSWISH: return hswish(x);
    case KF_ACT_HSIGMOID: return MUL(clip(ADD(x, SET1(3.0f)), ZERO, SET1(6.0f)), SET1(1.0f / 6.0f));
    case KF_ACT_HARDSIGMOID: return clip(ADD(MUL(x, lo), hi), ZERO, SET1(1.0f));
    case KF_ACT_SIGMOID:
    case KF_ACT_SILU: break; /* lane by lane: see below */
    case KF_ACT_NONE:
    case KF_ACT_COUNT: break;
    }
    return x;
}

/* Sigmoid and SiLU are rare here (EfficientNet-type networks): one lane at a time. */
INLINE V activate_slow(V x, kf__act act) {
    float lane[VL];
    __builtin_memcpy(lane, &x, sizeof lane);
    for (int i = 0; i < VL; i++) lane[i] = kf__activate(act, lane[i], 0, 0);
    __builtin_memcpy(&x, lane, sizeof lane);
    return x;
}

/* Any activation except the two usual ones after convolutions: kept out of their unrolled code. */
static __attribute__((noinline)) V activate_any(V x, const kf__epilogue *e) {
    if (e->act.kind == KF_ACT_SIGMOID || e->act.kind == KF_ACT_SILU) return activate_slow(x, e->act.kind);
    return activate(x, e->act.kind, SET1(e->act.lo), SET1(e->act.hi));
}

/* The first n lanes at most; a masked store of all lanes costs far more than a plain one on some processors. */
INLINE void store(float *to, size_t n, V x) {
    if (n >= VL) STORE(to, x);
    else STOREM(to, TAIL(n), x);
}

INLINE V finish(V x, const kf__epilogue *e, const float *residual, MASK mask) {
    if (e->act.kind == KF_ACT_CLIP) x = clip(x, SET1(e->act.lo), SET1(e->act.hi));
    else if (e->act.kind == KF_ACT_HSWISH) x = hswish(x);
    else if (e->act.kind != KF_ACT_NONE) x = activate_any(x, e);
    if (residual) x = ADD(x, LOADM(residual, mask));
    if (e->post.kind == KF_ACT_CLIP) x = clip(x, SET1(e->post.lo), SET1(e->post.hi));
    return x;
}

#include "kernels/body/f32_gemm.h"

#include "kernels/body/f32_dwconv.h"

void NAME(scale_f32)(size_t rows_n, size_t c, const float *x, const float *gate, float *out) {
    for (size_t r = 0; r < rows_n; r++, x += c, out += c) {
        size_t j = 0;
        SEVERAL for (; j + VL <= c; j += VL) STORE(out + j, MUL(LOAD(x + j), LOAD(gate + j)));
        if (j < c) STOREM(out + j, TAIL(c - j), MUL(LOADM(x + j, TAIL(c - j)), LOADM(gate + j, TAIL(c - j))));
    }
}

/* Four vectors of channels at a time, so that additions of one channel do not wait for each other. */
void NAME(colsum_f32)(size_t rows_n, size_t c, const float *x, float *sums) {
    size_t j = 0;
    for (; j + 4 * VL <= c; j += 4 * VL) {
        V acc[4] = {ZERO, ZERO, ZERO, ZERO};
        for (size_t r = 0; r < rows_n; r++)
            UNROLL for (int i = 0; i < 4; i++) acc[i] = ADD(acc[i], LOAD(x + r * c + j + i * VL));
        UNROLL for (int i = 0; i < 4; i++) STORE(sums + j + i * VL, ADD(LOAD(sums + j + i * VL), acc[i]));
    }
    for (; j < c; j += VL) {
        MASK mask = TAIL(c - j);
        V acc = ZERO;
        for (size_t r = 0; r < rows_n; r++) acc = ADD(acc, LOADM(x + r * c + j, mask));
        store(sums + j, c - j, ADD(LOADM(sums + j, mask), acc));
    }
}

void NAME(eltwise_f32)(size_t n, const float *a, const float *b, float *out, const kf__epilogue *e) {
    const V zero = SET1(kf__zero_before_clip(e));
    size_t i = 0;
    for (; i + VL <= n; i += VL)
        STORE(out + i, finish(ADD(b ? ADD(LOAD(a + i), LOAD(b + i)) : LOAD(a + i), zero), e, NULL, TAIL(VL)));
    if (i == n) return;
    MASK mask = TAIL(n - i);
    V x = b ? ADD(LOADM(a + i, mask), LOADM(b + i, mask)) : LOADM(a + i, mask);
    STOREM(out + i, mask, finish(ADD(x, zero), e, NULL, mask));
}
