/* Evaluators that move elements without computing: shape queries, reshapes, gather, slice, concat, pad, cast.
 * Used by constant folding and by the reference executor; sizes come from shape inference, kept in out->shape.
 * Owner rule: outputs are allocated from the caller's arena. */
#include "graph/eval.h"

#include <math.h>

#include "graph/operands.h"

#define MOST_BYTES ((size_t)1 << 32) /* of one result; far more than any network needs */

/* Inference has proved that the axis is in range. */
static int norm_axis(int64_t axis, int rank) { return (int)(axis < 0 ? axis + rank : axis); }

double kf__eval_get(const kf__dense *t, size_t i) {
    switch (t->dtype) {
    case KF_F32: return ((const float *)t->data)[i];
    case KF_F64: return ((const double *)t->data)[i];
    case KF_I64: return (double)((const int64_t *)t->data)[i];
    case KF_I32: return ((const int32_t *)t->data)[i];
    case KF_I16: return ((const int16_t *)t->data)[i];
    case KF_I8: return ((const int8_t *)t->data)[i];
    case KF_U8:
    case KF_BOOL: return ((const uint8_t *)t->data)[i];
    case KF_F16: return kf__half_to_f32(((const uint16_t *)t->data)[i]);
    case KF_BF16: return kf__bf16_to_f32(((const uint16_t *)t->data)[i]);
    case KF_DTYPE_NONE:
    case KF_DTYPE_COUNT: break;
    }
    return 0;
}

/* ONNX does not define values out of range: this takes the nearest value, and 0 for NaN. */
static int64_t to_integer(double v, int64_t lo, int64_t hi) { return kf__whole(v, lo, hi, 0); }

/* As shape inference takes it. */
static int64_t get_int(const kf__dense *t, size_t i) {
    return kf__cut(t->dtype == KF_I64 ? ((const int64_t *)t->data)[i]
                                      : to_integer(kf__eval_get(t, i), INT32_MIN, INT32_MAX));
}

/* Store a number as the tensor's type; integers saturate. */
void kf__eval_put(kf__dense *t, size_t i, double v) {
    switch (t->dtype) {
    case KF_F32: ((float *)t->data)[i] = (float)v; break;
    case KF_F64: ((double *)t->data)[i] = v; break;
    case KF_I64: ((int64_t *)t->data)[i] = (int64_t)to_integer(v, INT64_MIN, INT64_MAX); break;
    case KF_I32: ((int32_t *)t->data)[i] = (int32_t)to_integer(v, INT32_MIN, INT32_MAX); break;
    case KF_I16: ((int16_t *)t->data)[i] = (int16_t)to_integer(v, INT16_MIN, INT16_MAX); break;
    case KF_I8: ((int8_t *)t->data)[i] = (int8_t)to_integer(v, INT8_MIN, INT8_MAX); break;
    case KF_U8: ((uint8_t *)t->data)[i] = (uint8_t)to_integer(v, 0, UINT8_MAX); break;
    case KF_BOOL: ((uint8_t *)t->data)[i] = v != 0; break;
    case KF_F16: ((uint16_t *)t->data)[i] = kf__f32_to_half((float)v); break;
    case KF_BF16:
    case KF_DTYPE_NONE:
    case KF_DTYPE_COUNT: break; /* no operator makes them */
    }
}

kf_status kf__eval_alloc(kf__dense *out, kf__arena *arena, kf_error *err) {
    size_t n, bytes, size = kf_dtype_size(out->dtype);
    if (!size || !kf__shape_count(&out->shape, &n) || !kf__mul_size(n, size, &bytes))
        KF_FAIL(err, KF_ERR_SHAPE, "result size is not known");
    if (bytes > MOST_BYTES) /* a Range or an Expand whose numbers are computed */
        KF_FAIL(err, KF_ERR_LIMIT, "the result has %zu bytes; at most %zu are evaluated", bytes, MOST_BYTES);
    out->data = kf__arena_zalloc(arena, bytes);
    if (!out->data) KF_FAIL_MEMORY(err, bytes);
    return KF_OK;
}

static void copy_element(kf__dense *out, size_t to, const kf__dense *in, size_t from) {
    size_t e = kf_dtype_size(in->dtype);
    memcpy((char *)out->data + to * e, (const char *)in->data + from * e, e);
}

static void strides_of(const kf__shape *s, int64_t *stride) {
    int64_t step = 1;
    for (int i = s->rank - 1; i >= 0; i--) {
        stride[i] = step;
        step *= s->dim[i];
    }
}

/* Walk every output index; `from` gets the source element given per-axis start and stride (elements), or -1 to skip. */
static void gather_strided(const kf__dense *in, kf__dense *out, int64_t base, const int64_t *step) {
    int64_t index[KF_MAX_RANK] = {0}, at = base;
    size_t n;
    if (!kf__shape_count(&out->shape, &n)) return;
    for (size_t i = 0; i < n; i++) {
        copy_element(out, i, in, (size_t)at);
        for (int d = out->shape.rank - 1; d >= 0; d--) {
            at += step[d];
            if (++index[d] < out->shape.dim[d]) break;
            at -= step[d] * out->shape.dim[d];
            index[d] = 0;
        }
    }
}

/* A slice is a walk with an offset and a stride for each axis. */
kf_status kf__eval_slice(const kf__eval *e) {
    int64_t step[KF_MAX_RANK], base = 0;
    const kf__dense *const *in = e->in, *x = in[0];
    KF_TRY(kf__eval_alloc(e->out, e->arena, e->err));
    strides_of(&x->shape, step);
    for (size_t i = 0; i < (size_t)in[1]->shape.dim[0]; i++) {
        int ax = e->n_in > 3 && in[3] ? norm_axis(get_int(in[3], i), x->shape.rank) : (int)i;
        int64_t by = e->n_in > 4 && in[4] ? get_int(in[4], i) : 1, first, count;
        kf__slice_range(x->shape.dim[ax], get_int(in[1], i), get_int(in[2], i), by, &first, &count);
        base += first * step[ax];
        step[ax] *= count > 1 ? by : 0; /* a step that is never taken may be huge */
    }
    gather_strided(x, e->out, base, step);
    return KF_OK;
}

kf_status kf__eval_transpose(const kf__eval *e) {
    const kf__dense *x = e->in[0];
    const kf__attrs *a = &e->n->attrs;
    int64_t stride[KF_MAX_RANK], step[KF_MAX_RANK];
    KF_TRY(kf__eval_alloc(e->out, e->arena, e->err));
    strides_of(&x->shape, stride);
    for (int i = 0; i < x->shape.rank; i++) step[i] = stride[a->n_axes ? a->axes[i] : x->shape.rank - 1 - i];
    gather_strided(x, e->out, 0, step);
    return KF_OK;
}

kf_status kf__eval_expand(const kf__eval *e) {
    const kf__dense *x = e->in[0], *out = e->out;
    KF_TRY(kf__eval_alloc(e->out, e->arena, e->err));
    int64_t stride[KF_MAX_RANK], step[KF_MAX_RANK];
    strides_of(&x->shape, stride);
    for (int i = 0; i < out->shape.rank; i++) {
        int from = i - (out->shape.rank - x->shape.rank);
        step[i] = from < 0 || x->shape.dim[from] == 1 ? 0 : stride[from];
    }
    gather_strided(x, e->out, 0, step);
    return KF_OK;
}

/* Negative indices count from the end, as in ONNX. */
kf_status kf__eval_gather(const kf__eval *e) {
    const kf__dense *x = e->in[0], *idx = e->in[1];
    int ax = norm_axis(e->n->attrs.axis, x->shape.rank);
    size_t outer = 1, inner = 1, count;
    KF_TRY(kf__eval_alloc(e->out, e->arena, e->err));
    for (int i = 0; i < ax; i++) outer *= (size_t)x->shape.dim[i];
    for (int i = ax + 1; i < x->shape.rank; i++) inner *= (size_t)x->shape.dim[i];
    if (!kf__shape_count(&idx->shape, &count)) return KF_ERR_SHAPE;
    for (size_t o = 0; o < outer; o++)
        for (size_t k = 0; k < count; k++) {
            int64_t i = get_int(idx, k), dim = x->shape.dim[ax];
            if (i < 0) i += dim;
            if (i < 0 || i >= dim)
                KF_FAIL(e->err, KF_ERR_FORMAT, "%s (Gather): index %lld is out of range", e->n->name, (long long)i);
            for (size_t j = 0; j < inner; j++)
                copy_element(e->out, (o * count + k) * inner + j, x, (o * (size_t)dim + (size_t)i) * inner + j);
        }
    return KF_OK;
}

/* `at` is where the current input begins along the axis. */
kf_status kf__eval_concat(const kf__eval *e) {
    kf__dense *out = e->out;
    KF_TRY(kf__eval_alloc(out, e->arena, e->err));
    int ax = norm_axis(e->n->attrs.axis, out->shape.rank);
    size_t outer = 1, inner = 1, at = 0, row = (size_t)out->shape.dim[ax];
    for (int i = 0; i < ax; i++) outer *= (size_t)out->shape.dim[i];
    for (int i = ax + 1; i < out->shape.rank; i++) inner *= (size_t)out->shape.dim[i];
    for (int k = 0; k < e->n_in; k++) {
        size_t mine = (size_t)e->in[k]->shape.dim[ax];
        for (size_t o = 0; o < outer; o++)
            for (size_t j = 0; j < mine * inner; j++)
                copy_element(out, (o * row + at) * inner + j, e->in[k], o * mine * inner + j);
        at += mine;
    }
    return KF_OK;
}

/* Every element of the result is one of the input. */
static void pad_from_input(const kf__eval *e) {
    const kf__dense *x = e->in[0], *pads = e->n_in > 1 ? e->in[1] : NULL;
    const kf__attrs *a = &e->n->attrs;
    int64_t stride[KF_MAX_RANK];
    size_t count;
    strides_of(&x->shape, stride);
    if (!kf__shape_count(&e->out->shape, &count)) return;
    for (size_t i = 0; i < count; i++) {
        size_t rest = i;
        int64_t from = 0;
        for (int d = x->shape.rank - 1; d >= 0; d--) {
            const int64_t extent = e->out->shape.dim[d], at = (int64_t)(rest % (size_t)extent);
            const int64_t before = pads ? get_int(pads, (size_t)d) : a->axes[d];
            from += kf__pad_from(a->mode, at, before, x->shape.dim[d]) * stride[d];
            rest /= (size_t)extent;
        }
        copy_element(e->out, i, x, (size_t)from);
    }
}

/* Fills the result with the pad value, then copies each input element to its shifted place. */
kf_status kf__eval_pad(const kf__eval *e) {
    const kf__dense *x = e->in[0], *pads = e->n_in > 1 ? e->in[1] : NULL;
    const kf__attrs *a = &e->n->attrs;
    kf__dense *out = e->out;
    int r = x->shape.rank;
    int64_t stride[KF_MAX_RANK], index[KF_MAX_RANK] = {0};
    size_t count;
    KF_TRY(kf__eval_alloc(out, e->arena, e->err));
    if (a->mode != KF_PAD_VALUE) {
        pad_from_input(e);
        return KF_OK;
    }
    strides_of(&out->shape, stride);
    double value = e->n_in > 2 && e->in[2] ? kf__eval_get(e->in[2], 0) : a->value;
    if (!kf__shape_count(&out->shape, &count)) return KF_ERR_SHAPE;
    for (size_t i = 0; i < count; i++) kf__eval_put(out, i, value);
    if (!kf__shape_count(&x->shape, &count)) return KF_OK;
    for (size_t i = 0; i < count; i++) {
        int64_t to = 0;
        bool inside = true; /* negative pads cut elements away */
        for (int d = 0; d < r; d++) {
            int64_t p = index[d] + (pads ? get_int(pads, (size_t)d) : a->axes[d]);
            inside = inside && p >= 0 && p < out->shape.dim[d];
            to += p * stride[d];
        }
        if (inside) copy_element(out, (size_t)to, x, i);
        for (int d = r - 1; d >= 0 && ++index[d] == x->shape.dim[d]; d--) index[d] = 0;
    }
    return KF_OK;
}

kf_status kf__eval_shape(const kf__eval *e) {
    size_t count;
    KF_TRY(kf__eval_alloc(e->out, e->arena, e->err));
    if (!kf__shape_count(&e->out->shape, &count)) return KF_ERR_SHAPE;
    int first;
    kf__shape_query(&e->n->attrs, e->in[0]->shape.rank, &first);
    for (size_t i = 0; i < count; i++) ((int64_t *)e->out->data)[i] = e->in[0]->shape.dim[(size_t)first + i];
    return KF_OK;
}

kf_status kf__eval_size(const kf__eval *e) {
    size_t total;
    KF_TRY(kf__eval_alloc(e->out, e->arena, e->err));
    if (!kf__shape_count(&e->in[0]->shape, &total)) return KF_ERR_SHAPE;
    ((int64_t *)e->out->data)[0] = (int64_t)total;
    return KF_OK;
}

kf_status kf__eval_cast(const kf__eval *e) {
    size_t count;
    KF_TRY(kf__eval_alloc(e->out, e->arena, e->err));
    if (!kf__shape_count(&e->out->shape, &count)) return KF_ERR_SHAPE;
    for (size_t i = 0; i < count; i++) kf__eval_put(e->out, i, kf__eval_get(e->in[0], i));
    return KF_OK;
}

kf_status kf__eval_fill(const kf__eval *e) {
    size_t count;
    KF_TRY(kf__eval_alloc(e->out, e->arena, e->err));
    if (!kf__shape_count(&e->out->shape, &count)) return KF_ERR_SHAPE;
    for (size_t i = 0; i < count; i++) kf__eval_put(e->out, i, e->n->attrs.value);
    return KF_OK;
}

/* Reshapes, and operators that do nothing here. */
kf_status kf__eval_copy(const kf__eval *e) {
    size_t count;
    KF_TRY(kf__eval_alloc(e->out, e->arena, e->err));
    if (!kf__shape_count(&e->out->shape, &count)) return KF_ERR_SHAPE;
    if (count) memcpy(e->out->data, e->in[0]->data, count * kf_dtype_size(e->out->dtype));
    return KF_OK;
}

/* Consecutive slices along one axis. */
kf_status kf__eval_split(const kf__eval *e) {
    const kf__dense *x = e->in[0];
    int ax = norm_axis(e->n->attrs.axis, x->shape.rank);
    size_t outer = 1, inner = kf_dtype_size(x->dtype), at = 0, row;
    for (int i = 0; i < ax; i++) outer *= (size_t)x->shape.dim[i];
    for (int i = ax + 1; i < x->shape.rank; i++) inner *= (size_t)x->shape.dim[i];
    row = (size_t)x->shape.dim[ax] * inner;
    for (int k = 0; k < e->n_out; k++) {
        kf__dense *out = &e->out[k];
        KF_TRY(kf__eval_alloc(out, e->arena, e->err));
        size_t mine = (size_t)out->shape.dim[ax] * inner;
        for (size_t o = 0; mine && o < outer; o++)
            memcpy((char *)out->data + o * mine, (const char *)x->data + o * row + at, mine);
        at += mine;
    }
    return KF_OK;
}

/* Output index modulo input extent, axis by axis from the last. */
kf_status kf__eval_tile(const kf__eval *e) {
    const kf__dense *x = e->in[0];
    kf__dense *out = e->out;
    size_t count;
    KF_TRY(kf__eval_alloc(out, e->arena, e->err));
    if (!kf__shape_count(&out->shape, &count)) return KF_ERR_SHAPE;
    for (size_t i = 0; i < count; i++) {
        size_t rest = i, from = 0, step = 1;
        for (int d = x->shape.rank - 1; d >= 0; d--) {
            from += rest % (size_t)out->shape.dim[d] % (size_t)x->shape.dim[d] * step;
            rest /= (size_t)out->shape.dim[d];
            step *= (size_t)x->shape.dim[d];
        }
        kf__eval_put(out, i, kf__eval_get(x, from));
    }
    return KF_OK;
}
