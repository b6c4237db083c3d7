/* Converts what a caller gives to what the first tensor stores: planes to pixels, pictures to normalized numbers,
 * normalized numbers back to pixels. Every value of every frame passes here, so the file is compiled for speed.
 * Owner rule: borrows session and data for the call; allocates nothing. */
#include "runtime/session.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* (x * std + mean) * top in double, kept inside 0..255, rounded to nearest even; NaN gives 0. Adding and taking away
 * 1.5 * 2^52 rounds: unlike lrint it is no call. */
static void undo(const float *restrict x, size_t n, size_t step, double std, double mean, double top,
                 int32_t *restrict to) {
    for (size_t i = 0; i < n; i++) {
        double v = ((double)x[i * step] * std + mean) * top;
        v = v > 0 ? v : 0;
        v = v < 255 ? v : 255;
        to[i] = (int32_t)((v + 6755399441055744.0) - 6755399441055744.0);
    }
}

void kf__to_pixels(const kf_preprocess *p, const float *x, size_t n, size_t k, size_t step, uint8_t *to,
                   size_t to_step) {
    int32_t part[256];
    bool normalized = p->valid && k < 3;
    double std = normalized ? p->std[k] : 1;
    double mean = normalized ? p->mean[k] : 0;
    double top = normalized ? 255 : 1;
    for (size_t done = 0; done < n; done += 256) {
        size_t count = n - done < 256 ? n - done : 256;
        if (step == 1) undo(x + done, count, 1, std, mean, top, part);
        else undo(x + done * step, count, step, std, mean, top, part);
        for (size_t i = 0; i < count; i++) to[(done + i) * to_step] = (uint8_t)part[i];
    }
}

/* Three planes to pixels: one pass, as pictures come by the frame. */
static void interleave3(const float *restrict from, size_t hw, float *restrict to) {
    const float *r = from, *g = from + hw, *b = from + 2 * hw;
    size_t i = 0;
#if defined(__x86_64__)
    for (; i + 4 <= hw; i += 4, to += 12) {
        __m128 x = _mm_loadu_ps(r + i), y = _mm_loadu_ps(g + i), z = _mm_loadu_ps(b + i);
        __m128 zx = _mm_shuffle_ps(z, x, _MM_SHUFFLE(3, 1, 2, 0));
        __m128 first = _mm_shuffle_ps(_mm_unpacklo_ps(x, y), zx, _MM_SHUFFLE(2, 0, 1, 0));
        __m128 second = _mm_shuffle_ps(_mm_unpacklo_ps(y, z), _mm_unpackhi_ps(x, y), _MM_SHUFFLE(1, 0, 3, 2));
        __m128 third = _mm_shuffle_ps(zx, _mm_unpackhi_ps(y, z), _MM_SHUFFLE(3, 2, 3, 1));
        _mm_storeu_ps(to, first);      /* x0 y0 z0 x1 */
        _mm_storeu_ps(to + 4, second); /* y1 z1 x2 y2 */
        _mm_storeu_ps(to + 8, third);  /* z2 x3 y3 z3 */
    }
#endif
    for (; i < hw; i++, to += 3) {
        to[0] = r[i];
        to[1] = g[i];
        to[2] = b[i];
    }
}

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
        if (c == 3) interleave3(data, hw, to);
        for (size_t k = 0; c != 3 && k < c; k++)
            for (size_t i = 0; i < hw; i++) to[i * c + k] = data[k * hw + i];
    }
}

/* All images of a three-channel input by the kernels of this rung; false where it has none. */
static bool put_pixels3(const struct kf_session *s, const kf__ptensor *t, const void *data, bool f32, bool planes,
                        uint8_t *to) {
    const kf__kernels_int *kernels = &s->m->kernels_int;
    const kf_preprocess *p = &s->m->p->meta.preprocess;
    size_t hw = (size_t)t->h * (size_t)t->w;
    double std[3], mean[3];
    if (t->c != 3 || !kernels->pixels) return false;
    for (int k = 0; k < 3; k++) {
        std[k] = p->valid ? p->std[k] : 1;
        mean[k] = p->valid ? p->mean[k] : 0;
    }
    for (size_t n = 0; n < (size_t)t->n; n++, to += 3 * hw) {
        const float *x = (const float *)data + n * 3 * hw;
        const uint8_t *q = (const uint8_t *)data + n * 3 * hw;
        const float *const floats[] = {x, x + hw, x + 2 * hw};
        if (f32) kernels->pixels(hw, floats, planes, std, mean, p->valid ? 255 : 1, to);
        else kernels->interleave(hw, (const uint8_t *const[]){q, q + hw, q + 2 * hw}, to);
    }
    return true;
}

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
    if (put_pixels3(s, t, data, f32, !flat, to)) return;
    if (c == 3 && !f32) {
        const uint8_t *r = data;
        for (size_t n = 0; n < (size_t)t->n; n++, r += 2 * hw)
            for (size_t i = 0; i < hw; i++, r++, to += 3) {
                to[0] = r[0];
                to[1] = r[hw];
                to[2] = r[2 * hw];
            }
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

static void put_rgb_u8(struct kf_session *s, const uint8_t *rgb, size_t stride) {
    const kf__pinput *in = &s->m->p->inputs[0];
    const kf__ptensor *t = &s->m->p->tensors[in->tensor];
    uint8_t *to = (uint8_t *)kf__exec_tensor(&s->exec, in->tensor);
    bool bgr = s->m->p->meta.preprocess.color == KF_COLOR_BGR;
    for (int32_t y = 0; y < t->h; y++, to += (size_t)t->w * 3) {
        const uint8_t *row = rgb + (size_t)y * stride;
        if (!bgr) memcpy(to, row, (size_t)t->w * 3);
        else
            for (size_t i = 0; i < (size_t)t->w * 3; i += 3) {
                to[i] = row[i + 2];
                to[i + 1] = row[i + 1];
                to[i + 2] = row[i];
            }
    }
}

void kf__session_put_rgb(struct kf_session *s, const uint8_t *rgb, size_t stride) {
    const kf__pinput *in = &s->m->p->inputs[0];
    const kf__ptensor *t = &s->m->p->tensors[in->tensor];
    const kf_preprocess *p = &s->m->p->meta.preprocess;
    if (in->pixels) {
        put_rgb_u8(s, rgb, stride);
        return;
    }
    float *to = kf__exec_tensor(&s->exec, in->tensor), table[3][256];
    for (int c = 0; c < 3; c++)
        for (int v = 0; v < 256; v++) table[c][v] = (float)(((double)v / 255.0 - p->mean[c]) / p->std[c]);
    int first = p->color == KF_COLOR_BGR ? 2 : 0, step = p->color == KF_COLOR_BGR ? -1 : 1;
    for (int32_t y = 0; y < t->h; y++) {
        const uint8_t *row = rgb + (size_t)y * stride;
        for (int32_t x = 0; x < t->w; x++, row += 3)
            for (int c = 0; c < 3; c++) *to++ = table[c][row[first + c * step]];
    }
}
