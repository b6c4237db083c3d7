/* The paired networks' layers on the float kernels: pointwise, depthwise, and anything ungrouped through patches.
 * Integers that are small enough are exact in f32, so the quantized network runs here at the float one's speed.
 * Owner rule: see sim.h. */
#include "quantize/sim.h"

/* A fully connected layer becomes a 1x1 convolution of one pixel with all inputs as channels. */
kf_status kf__sim_layer_of(kf__sim *s, const kf__node *n, kf__sim_layer *l) {
    const kf__shape *w = &s->graph->values[n->in[1]].shape;
    *l = (kf__sim_layer){.window = n->attrs.window,
                         .x = kf__sim_shape_of(s->graph, n->in[0]),
                         .y = kf__sim_shape_of(s->graph, n->out[0])};
    l->o = (size_t)w->dim[0];
    if (n->op == KF_OP_FC) {
        l->window = KF_WINDOW_ONE;
        l->x.c = (size_t)w->dim[1], l->x.h = l->x.w = 1;
    }
    l->depthwise = kf__node_is_depthwise(s->graph, n);
    if (l->window.group > 1 && !l->depthwise)
        KF_FAIL(s->err, KF_ERR_UNSUPPORTED,
                "%s: %d groups over %zu channels; plain and depthwise convolutions can be quantized", n->name,
                l->window.group, l->x.c);
    if (l->depthwise && l->window.kh > KF_DWCONV_ROWS)
        KF_FAIL(s->err, KF_ERR_UNSUPPORTED, "%s: a depthwise kernel of %d rows; at most %d can be quantized", n->name,
                l->window.kh, KF_DWCONV_ROWS);
    l->k = (size_t)(l->window.kh * l->window.kw) * (l->depthwise ? 1 : l->x.c);
    return KF_OK;
}

kf_status kf__sim_pack(kf__sim *s, kf__sim_layer *l, const float *rows) {
    size_t n = l->depthwise ? kf__dwconv_f32_packed(l->k, l->o) : kf__gemm_f32_packed(l->o, l->k);
    if (!l->packed) l->packed = kf__arena_array(&s->arena, n, sizeof *l->packed);
    if (!l->packed) KF_FAIL_MEMORY(s->err, n * sizeof *l->packed);
    if (l->depthwise) kf__dwconv_f32_pack(l->k, l->o, rows, 1, l->k, l->packed);
    else kf__gemm_f32_pack(l->o, l->k, rows, l->packed);
    return KF_OK;
}

size_t kf__sim_scratch(const kf__sim_layer *l) {
    return (l->depthwise || kf__window_is_unit(&l->window) ? 0 : l->y.w * l->k) + 16;
}

void kf__sim_row(const kf__sim_layer *l, const float *x, size_t oy, size_t ox, float *row) {
    const kf__window *a = &l->window;
    for (int32_t ky = 0; ky < a->kh; ky++)
        for (int32_t kx = 0; kx < a->kw; kx++, row += l->x.c) {
            int64_t sy = (int64_t)oy * a->sh - a->pt + ky * a->dh, sx = (int64_t)ox * a->sw - a->pl + kx * a->dw;
            if (sy < 0 || sx < 0 || sy >= (int64_t)l->x.h || sx >= (int64_t)l->x.w)
                memset(row, 0, l->x.c * sizeof *row);
            else memcpy(row, x + ((size_t)sy * l->x.w + (size_t)sx) * l->x.c, l->x.c * sizeof *row);
        }
}

/* Row by row; rows outside the image are NULL, which the kernel reads as zeros. */
static void run_depthwise(const kf__sim *s, const kf__sim_layer *l, const float *x, float *y) {
    const kf__window *a = &l->window;
    const kf__epilogue none = {0};
    const float *rows[KF_DWCONV_ROWS];
    for (size_t oy = 0; oy < l->y.h; oy++) {
        for (int32_t ky = 0; ky < a->kh && ky < KF_DWCONV_ROWS; ky++) {
            int64_t sy = (int64_t)oy * a->sh - a->pt + ky * a->dh;
            rows[ky] = sy < 0 || sy >= (int64_t)l->x.h ? NULL : x + (size_t)sy * l->x.w * l->x.c;
        }
        kf__dwconv_row d = {.rows = rows,
                            .kh = a->kh,
                            .kw = a->kw,
                            .sw = a->sw,
                            .dw = a->dw,
                            .pl = a->pl,
                            .w_in = (int32_t)l->x.w,
                            .w_out = (int32_t)l->y.w,
                            .c = l->o,
                            .w = l->packed,
                            .out = y + oy * l->y.w * l->o};
        s->k.dwconv_f32(&d, &none);
    }
}

/* Three ways: depthwise rows, one product for 1x1 convolutions, patches of one output row for the others. */
void kf__sim_run(const kf__sim *s, const kf__sim_layer *l, const float *x, float *y, float *scratch) {
    const kf__epilogue none = {0};
    if (l->depthwise) {
        run_depthwise(s, l, x, y);
        return;
    }
    if (kf__window_is_unit(&l->window)) {
        s->k.gemm_f32(l->x.h * l->x.w, l->o, l->k, x, l->k, l->packed, y, l->o, &none);
        return;
    }
    for (size_t oy = 0; oy < l->y.h; oy++) {
        for (size_t ox = 0; ox < l->y.w; ox++) kf__sim_row(l, x, oy, ox, scratch + ox * l->k);
        s->k.gemm_f32(l->y.w, l->o, l->k, scratch, l->k, l->packed, y + oy * l->y.w * l->o, l->o, &none);
    }
}
