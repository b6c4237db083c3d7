/* Evaluators of QuantizeLinear and DequantizeLinear: what a QDQ file computes between two integers. Single f32
 * operations, as ONNX Runtime does them: a quotient in double would round ties differently.
 * Owner rule: outputs come from the caller's arena. */
#include "graph/eval.h"

#include <math.h>

/* Bounds of the stored type; false for types that hold no quantized numbers. */
static bool bounds_of(kf_dtype t, double *lo, double *hi) {
    switch (t) {
    case KF_U8: *lo = 0, *hi = 255; return true;
    case KF_I8: *lo = -128, *hi = 127; return true;
    case KF_I16: *lo = -32768, *hi = 32767; return true;
    case KF_I32: *lo = -2147483648.0, *hi = 2147483647.0; return true;
    case KF_F32:
    case KF_F64:
    case KF_F16:
    case KF_BF16:
    case KF_I64:
    case KF_BOOL:
    case KF_DTYPE_NONE:
    case KF_DTYPE_COUNT: break;
    }
    return false;
}

/* The single element, or the element of the channel. */
static double at(const kf__dense *t, size_t c) {
    size_t n = 0;
    if (!t) return 0;
    return kf__eval_get(t, kf__shape_count(&t->shape, &n) && n == 1 ? 0 : c);
}

/* Both directions: q = clamp(rint(x / s) + z), and x = (q - z) * s. Along `axis`, element i belongs to channel c. */
kf_status kf__eval_linear(const kf__eval *e) {
    const kf__node *n = e->n;
    const kf__dense *x = e->in[0], *scale = e->n_in > 1 ? e->in[1] : NULL;
    const kf__dense *zero = e->n_in > 2 ? e->in[2] : NULL;
    kf__dense *out = e->out;
    bool quantize = n->op == KF_OP_QUANTIZE;
    kf_dtype stored = quantize ? out->dtype : x->dtype;
    double lo, hi;
    size_t count, inner = 1, channels = 1;
    int ax = n->attrs.axis < 0 ? n->attrs.axis + x->shape.rank : n->attrs.axis;
    if (!scale || scale->dtype != KF_F32 || (quantize && x->dtype != KF_F32) || !bounds_of(stored, &lo, &hi) ||
        (zero && zero->dtype != stored))
        KF_FAIL(e->err, KF_ERR_UNSUPPORTED, "%s (%s): f32 scales and integers of 8, 16 or 32 bits are supported",
                n->name, kf__op_name(n->op));
    KF_TRY(kf__eval_alloc(out, e->arena, e->err));
    if (!kf__shape_count(&out->shape, &count)) return KF_ERR_SHAPE;
    for (int d = ax + 1; ax >= 0 && d < x->shape.rank; d++) inner *= (size_t)x->shape.dim[d];
    if (ax >= 0 && ax < x->shape.rank) channels = (size_t)x->shape.dim[ax];
    for (size_t i = 0; i < count; i++) {
        size_t c = i / inner % channels;
        float s = (float)at(scale, c);
        double z = at(zero, c), v = kf__eval_get(x, i);
        if (!quantize) {
            ((float *)out->data)[i] = (float)(v - z) * s;
            continue;
        }
        double q = rint((double)((float)v / s)) + z; /* NaN gives the lower bound */
        if (!(q > lo)) q = lo;
        kf__eval_put(out, i, q < hi ? q : hi);
    }
    return KF_OK;
}
