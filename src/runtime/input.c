/* Converts the caller's input to what the first tensor stores: planes to pixels, pictures to normalized numbers,
 * normalized numbers back to pixels (the arithmetic is in preprocess/pixel.h). Every value of every frame passes here,
 * so the file is compiled for speed.
 * Owner rule: borrows session and data for the call; allocates nothing. */
#include "preprocess/pixel.h"
#include "runtime/session.h"

/* Planes become pixels (NCHW to NHWC) unless the data has that order already. */
void kf__session_put_f32(struct kf_session *s, int32_t index, const float *data, bool nhwc) {
    const kf__pinput *in = &s->m->p->inputs[index];
    const kf__ptensor *t = &s->m->p->tensors[in->tensor];
    float *to = kf__exec_tensor(&s->exec, in->tensor);
    size_t hw = (size_t)t->h * (size_t)t->w, c = (size_t)t->c;
    if (in->layout != 0 || nhwc || hw == 1) {
        memcpy(to, data, (size_t)t->n * hw * c * sizeof *to);
        return;
    }
    for (size_t n = 0; n < (size_t)t->n; n++, data += hw * c, to += hw * c) {
        if (c == 3) s->m->kernels.interleave_f32(hw, (const float *const[]){data, data + hw, data + 2 * hw}, to);
        for (size_t k = 0; c != 3 && k < c; k++)
            for (size_t i = 0; i < hw; i++) to[i * c + k] = data[k * hw + i];
    }
}

/* All images of a three-channel input. */
static void put_pixels3(const struct kf_session *s, const kf__ptensor *t, const void *data, bool f32, bool planes,
                        uint8_t *to) {
    const kf__kernels_int *kernels = &s->m->kernels_int;
    const kf_preprocess *p = &s->m->p->meta.preprocess;
    size_t hw = (size_t)t->h * (size_t)t->w;
    double std[3], mean[3], top = 1;
    for (size_t k = 0; k < 3; k++) {
        kf__pixel_undo u = kf__pixel_undo_of(p, k);
        std[k] = u.std;
        mean[k] = u.mean;
        top = u.top;
    }
    for (size_t n = 0; n < (size_t)t->n; n++, to += 3 * hw) {
        const float *x = (const float *)data + n * 3 * hw;
        const uint8_t *q = (const uint8_t *)data + n * 3 * hw;
        const float *const floats[] = {x, x + hw, x + 2 * hw};
        if (f32) kernels->pixels(hw, floats, planes, std, mean, top, to);
        else kernels->interleave(hw, (const uint8_t *const[]){q, q + hw, q + 2 * hw}, to);
    }
}

/* Bytes in pixel order are copied; three channels have kernels; other channel counts take the loop. */
void kf__session_put_pixels(struct kf_session *s, int32_t index, const void *data, bool f32, bool nhwc) {
    const kf__pinput *in = &s->m->p->inputs[index];
    const kf__ptensor *t = &s->m->p->tensors[in->tensor];
    uint8_t *to = (uint8_t *)kf__exec_tensor(&s->exec, in->tensor);
    size_t hw = (size_t)t->h * (size_t)t->w, c = (size_t)t->c;
    bool flat = in->layout != 0 || nhwc || c == 1;
    if (flat && !f32) {
        memcpy(to, data, (size_t)t->n * hw * c);
        return;
    }
    if (c == 3) {
        put_pixels3(s, t, data, f32, !flat, to);
        return;
    }
    for (size_t n = 0; n < (size_t)t->n; n++)
        for (size_t k = 0; k < c; k++) {
            size_t first = flat ? n * hw * c + k : (n * c + k) * hw;
            if (f32) {
                const float *x = (const float *)data + first;
                kf__to_pixels(&s->m->p->meta.preprocess, x, hw, k, flat ? c : 1, to + n * hw * c + k, c);
                continue;
            }
            for (size_t i = 0; i < hw; i++) to[(n * hw + i) * c + k] = ((const uint8_t *)data)[first + i];
        }
}

/* One row of a picture in chunks: bytes in the network's order, then their normalized values. */
static float *put_row(const kf_preprocess *p, const uint8_t *rgb, size_t n, const float (*table)[256], float *to) {
    enum { CHUNK = 256 };
    uint8_t part[3 * CHUNK];
    size_t channels = (size_t)kf_color_channels(p->color);
    for (size_t done = 0; done < n; done += CHUNK) {
        size_t count = n - done < CHUNK ? n - done : CHUNK;
        const uint8_t *from = rgb + 3 * done;
        if (p->color != KF_COLOR_RGB) {
            kf_color_from_rgb(p->color, from, count, part);
            from = part;
        }
        for (size_t i = 0; i < count; i++)
            for (size_t c = 0; c < channels; c++) *to++ = table[c][*from++];
    }
    return to;
}

/* A pixel input takes the bytes in its own colour order. An f32 input takes normalized values from a table of 256 per
 * channel. */
void kf__session_put_rgb(struct kf_session *s, const uint8_t *rgb, size_t stride) {
    const kf__pinput *in = &s->m->p->inputs[0];
    const kf__ptensor *t = &s->m->p->tensors[in->tensor];
    const kf_preprocess *p = &s->m->p->meta.preprocess;
    size_t w = (size_t)t->w, h = (size_t)t->h, row = w * (size_t)t->c;
    float *to = kf__exec_tensor(&s->exec, in->tensor), table[3][256];
    if (in->pixels) {
        for (size_t y = 0; y < h; y++) kf_color_from_rgb(p->color, rgb + y * stride, w, (uint8_t *)to + y * row);
        return;
    }
    for (size_t c = 0; c < 3; c++)
        for (int v = 0; v < 256; v++) table[c][v] = (float)kf__pixel_normalize(p, c, v);
    for (size_t y = 0; y < h; y++) to = put_row(p, rgb + y * stride, w, table, to);
}
