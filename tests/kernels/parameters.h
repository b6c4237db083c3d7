/* What a check of an integer kernel works on: bytes between guard pages, random values, and the parameters of
 * requantization for n channels.
 * Owner rule: each check frees what it made. */
#ifndef KITFOX_PARAMETERS_H
#define KITFOX_PARAMETERS_H

#include "harness.h"
#include "lines.h"

/* Bytes between guard pages; sizes are whole floats of the harness. The block begins up to 3 bytes early, its end is
 * exact. */
typedef struct bytes {
    guarded g;
    uint8_t *at;
    size_t n;
} bytes;
static bytes bytes_new(size_t n) {
    bytes b = {.g = guard_new((n + 3) / 4), .n = n};
    b.at = (uint8_t *)b.g.at + (n + 3) / 4 * 4 - n;
    return b;
}

/* Worst case values now and then: all at one end. */
static void random_bytes(bytes *b, unsigned turn, kf__random *r) {
    for (size_t i = 0; i < b->n; i++) b->at[i] = turn % 8 == 7 ? 255 : (uint8_t)kf__random_u64(r);
}

static void random_weights(int8_t *w, size_t n, unsigned turn, kf__random *r) {
    for (size_t i = 0; i < n; i++)
        w[i] = (int8_t)(turn % 8 == 7 ? (turn & 8 ? 127 : -127) : kf__random_range(r, -127, 127));
}

/* Parameters of n channels in two orders: natural for scalar, a kernel's for `block`. */
typedef struct parameters {
    int32_t *bias, *zero;
    float *mul, *fbias, *k, *inv, *flo, *fhi;
    uint8_t *lo8, *hi8;
} parameters;
static parameters parameters_new(size_t n) {
    parameters p;
    void **list[] = {(void **)&p.bias, (void **)&p.zero, (void **)&p.mul, (void **)&p.fbias, (void **)&p.k,
                     (void **)&p.inv,  (void **)&p.flo,  (void **)&p.fhi, (void **)&p.lo8,   (void **)&p.hi8};
    for (size_t i = 0; i < KF_COUNT(list); i++) *list[i] = calloc(kf__qpad(n), 4);
    return p;
}
static void parameters_free(parameters *p) {
    free(p->bias), free(p->zero), free(p->mul), free(p->fbias), free(p->k), free(p->inv), free(p->flo), free(p->fhi),
        free(p->lo8), free(p->hi8);
}
static void parameters_fill(parameters *p, size_t n, double gain, kf_dtype out, kf__random *r) {
    for (size_t i = 0; i < n; i++) {
        p->bias[i] = (int32_t)kf__random_range(r, -100000, 100000);
        p->zero[i] = out == KF_U8 ? (int32_t)kf__random_range(r, 0, 255) : 0;
        p->mul[i] = (float)(gain * (0.5 + kf__random_unit(r)));
        p->fbias[i] = (float)(kf__random_unit(r) * 4 - 2);
        p->k[i] = (float)(kf__random_unit(r) + 0.1), p->inv[i] = (float)(kf__random_unit(r) * 30);
        int32_t lo = out == KF_U8 ? (i % 3 == 2 ? p->zero[i] : 0) : -9000,
                hi = out == KF_U8 ? (i % 5 == 4 ? 255 - p->zero[i] / 3 : 255) : 9000;
        if (hi < lo) hi = lo;
        p->flo[i] = (float)(lo - p->zero[i]), p->fhi[i] = (float)(hi - p->zero[i]);
    }
}
/* Kernels with an input offset sum (a - offset) * w, and the caller adds offset * sum(w) to the bias: `bias` becomes
 * that of w[n, k]. */
static void bias_with_offset(int32_t *bias, const int32_t *plain, const int8_t *w, size_t n, size_t k, int32_t offset) {
    for (size_t i = 0; i < n; i++) {
        uint32_t sum = 0;
        for (size_t x = 0; x < k; x++) sum += (uint32_t)w[i * k + x];
        bias[i] = (int32_t)((uint32_t)plain[i] + (uint32_t)offset * sum);
    }
}
static void parameters_order(const parameters *from, size_t n, size_t block, parameters *to) {
    for (size_t i = 0; i < kf__round_up(n, block); i++) {
        size_t c = kf__dwconv_q_order(block, i);
        if (c >= n) continue;
        to->bias[i] = from->bias[c], to->zero[i] = from->zero[c], to->mul[i] = from->mul[c],
        to->fbias[i] = from->fbias[c];
        to->k[i] = from->k[c], to->inv[i] = from->inv[c], to->flo[i] = from->flo[c], to->fhi[i] = from->fhi[c];
    }
}

/* Every activation, output type, residual and bias, turn by turn; plain ones most often, as networks have them. */
static kf__requant requant_of(const parameters *p, unsigned turn, bool residual_allowed, const void *residual,
                              size_t ld, kf_dtype out) {
    kf__requant q = {.bias = p->bias,
                     .mul = p->mul,
                     .k = p->k,
                     .flo = p->flo,
                     .fhi = p->fhi,
                     .zero = p->zero,
                     .out = out,
                     .act = {KF_ACT_NONE, 0, 3}};
    q.act.kind = turn % 3 == 0 ? KF_ACT_NONE : turn % 3 == 1 ? KF_ACT_HSWISH : (kf__act)(turn / 3 % KF_ACT_COUNT);
    if (q.act.kind == KF_ACT_HARDSIGMOID) q.act.lo = 0.2f, q.act.hi = 0.5f;
    if (turn % 4 == 3 && out != KF_F32) q.inv = p->inv;
    if (out == KF_F32)
        q.post.kind = turn % 2 ? KF_ACT_CLIP : KF_ACT_NONE, q.post.lo = -1, q.post.hi = 2, q.fbias = p->fbias;
    if (residual_allowed && turn % 10 == 3) q.act.kind = KF_ACT_NONE, q.inv = out == KF_F32 ? NULL : p->inv;
    if (residual_allowed && (turn % 5 == 1 || turn % 10 == 3))
        q.residual = residual, q.residual_type = KF_U8, q.residual_zero = 77, q.residual_scale = 0.03f,
        q.ld_residual = ld;
    return q;
}

#endif
