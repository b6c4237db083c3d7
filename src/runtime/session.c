/* Sessions: one block of memory, a pool of threads, inputs in, steps, outputs out.
 * Floor 5.
 * Owner rule: see session.h. */
#include "runtime/session.h"

#include "os/pages.h"

#include <fenv.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* The arithmetic that the contract asks for: round to nearest, no flush to zero, denormals are numbers. */
typedef struct fp_state {
    int rounding;
    unsigned csr;
} fp_state;

static fp_state fp_enter(void) {
    fp_state s = {.rounding = fegetround()};
    if (s.rounding != FE_TONEAREST) fesetround(FE_TONEAREST);
#if defined(__x86_64__)
    s.csr = _mm_getcsr();
    _mm_setcsr(s.csr & ~0x8040u);
#endif
    return s;
}

static void fp_leave(fp_state s) {
#if defined(__x86_64__)
    _mm_setcsr(s.csr);
#endif
    if (s.rounding != FE_TONEAREST) fesetround(s.rounding);
}

kf_status kf__session_create(const struct kf_model *m, int threads, bool profile, const kf_allocator *a, struct kf_session **out,
                             kf_error *err) {
    struct kf_session *s = kf__mem_zalloc(a, sizeof *s);
    *out = NULL;
    if (!s) KF_FAIL_MEMORY(err, sizeof *s);
    s->allocator = a;
    s->m = m;
    s->replaced = -1;
    fp_state caller = fp_enter(); /* threads inherit the state of the one that starts them */
    kf_status st = kf__pool_create(threads, a, &s->exec.pool, err);
    fp_leave(caller);
    if (st != KF_OK) {
        kf__mem_free(a, s);
        return st;
    }
    const kf__ptensor *y = &m->p->tensors[m->p->outputs[0].tensor];
    size_t scores = kf__round_up((size_t)y->n * (size_t)y->h * (size_t)y->w * (size_t)y->c * sizeof(float), KF_ALIGN);
    size_t scratch = m->scratch_bytes * (size_t)kf__pool_size(s->exec.pool), times = (size_t)m->p->n_steps * sizeof *s->ms;
    s->bytes = m->plan_bytes + scratch + scores + times;
    s->exec.m = m;
    s->exec.base = kf__mem_alloc(a, s->bytes);
    if (!s->exec.base) {
        size_t bytes = s->bytes;
        kf__session_destroy(&s);
        KF_FAIL_MEMORY(err, bytes);
    }
    if (!a) kf__pages_huge(s->exec.base, s->bytes);
    memset(s->exec.base, 0, s->bytes);
    s->exec.scratch = s->exec.base + m->plan_bytes;
    s->scores = (float *)(void *)(s->exec.scratch + scratch);
    if (profile) s->ms = (double *)(void *)(s->exec.scratch + scratch + scores);
    *out = s;
    return KF_OK;
}

void kf__session_destroy(struct kf_session **session) {
    if (!session || !*session) return;
    struct kf_session *s = *session;
    const kf_allocator *a = s->allocator;
    kf__pool_destroy(&s->exec.pool);
    kf__mem_free(a, s->exec.base);
    kf__mem_free(a, s->real);
    kf__mem_free(a, s);
    *session = NULL;
}

static void show(struct kf_session *s, int32_t step, int32_t tensor) {
    kf__session_real(s, tensor, s->real);
    s->watch(s->watch_user, step, s->real, kf__session_count(s, tensor));
}

void kf__session_one_step(struct kf_session *s, int32_t step) {
    fp_state caller = fp_enter();
    kf__exec_step(&s->exec, step);
    fp_leave(caller);
}

void kf__session_steps(struct kf_session *s) {
    fp_state caller = fp_enter();
    for (int32_t k = 0; s->watch && k < s->m->p->n_inputs; k++) show(s, -1 - k, s->m->p->inputs[k].tensor);
    bool apart = s->ms || s->probe || s->watch || s->replaced >= 0; /* who looks at single steps gets single steps */
    for (int32_t i = 0; i < s->m->p->n_steps; i++) {
        if (!apart && kf__steps_join(s->m->p, i)) {
            kf__exec_pair(&s->exec, i++);
            continue;
        }
        double start = s->ms ? kf__clock_seconds() : 0;
        kf__exec_step(&s->exec, i);
        if (s->ms) s->ms[i] = (kf__clock_seconds() - start) * 1e3;
        if (s->replaced == i) kf__session_put_real(s, s->m->p->steps[i].out, s->replacement);
        if (s->watch) show(s, i, s->m->p->steps[i].out);
        if (s->probe) s->probe(s->probe_user, i, kf__exec_tensor(&s->exec, s->m->p->steps[i].out));
    }
    fp_leave(caller);
}

/* Three planes to pixels: one pass, as pictures come by the frame. */
static void interleave3(const float *restrict from, size_t hw, float *restrict to) {
    const float *r = from, *g = from + hw, *b = from + 2 * hw;
    size_t i = 0;
#if defined(__x86_64__)
    for (; i + 4 <= hw; i += 4, to += 12) {
        __m128 x = _mm_loadu_ps(r + i), y = _mm_loadu_ps(g + i), z = _mm_loadu_ps(b + i), zx = _mm_shuffle_ps(z, x, _MM_SHUFFLE(3, 1, 2, 0));
        _mm_storeu_ps(to, _mm_shuffle_ps(_mm_unpacklo_ps(x, y), zx, _MM_SHUFFLE(2, 0, 1, 0)));                         /* x0 y0 z0 x1 */
        _mm_storeu_ps(to + 4, _mm_shuffle_ps(_mm_unpacklo_ps(y, z), _mm_unpackhi_ps(x, y), _MM_SHUFFLE(1, 0, 3, 2))); /* y1 z1 x2 y2 */
        _mm_storeu_ps(to + 8, _mm_shuffle_ps(zx, _mm_unpackhi_ps(y, z), _MM_SHUFFLE(3, 2, 3, 1)));                     /* z2 x3 y3 z3 */
    }
#endif
    for (; i < hw; i++, to += 3) to[0] = r[i], to[1] = g[i], to[2] = b[i];
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
static bool put_pixels3(const struct kf_session *s, const kf__ptensor *t, const void *data, bool f32, bool planes, uint8_t *to) {
    const kf__kernels_int *kernels = &s->m->kernels_int;
    const kf_preprocess *p = &s->m->p->meta.preprocess;
    size_t hw = (size_t)t->h * (size_t)t->w;
    double std[3], mean[3];
    if (t->c != 3 || !kernels->pixels) return false;
    for (int k = 0; k < 3; k++) std[k] = p->valid ? (double)p->std[k] : 1, mean[k] = p->valid ? (double)p->mean[k] : 0;
    for (size_t n = 0; n < (size_t)t->n; n++, to += 3 * hw) {
        const float *x = (const float *)data + n * 3 * hw;
        const uint8_t *q = (const uint8_t *)data + n * 3 * hw;
        if (f32) kernels->pixels(hw, (const float *const[]){x, x + hw, x + 2 * hw}, planes, std, mean, p->valid ? 255 : 1, to);
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
            for (size_t i = 0; i < hw; i++, r++, to += 3) to[0] = r[0], to[1] = r[hw], to[2] = r[2 * hw];
        return;
    }
    for (size_t n = 0; n < (size_t)t->n; n++)
        for (size_t k = 0; k < c; k++) {
            size_t first = flat ? n * hw * c + k : (n * c + k) * hw;
            if (f32) {
                kf__to_pixels(&s->m->p->meta.preprocess, (const float *)data + first, hw, k, flat ? c : 1, to + n * hw * c + k, c);
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
            for (size_t i = 0; i < (size_t)t->w * 3; i += 3) to[i] = row[i + 2], to[i + 1] = row[i + 1], to[i + 2] = row[i];
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

void kf__session_get_f32(const struct kf_session *s, int32_t index, float *to) {
    const kf__poutput *out = &s->m->p->outputs[index];
    const kf__ptensor *t = &s->m->p->tensors[out->tensor];
    const float *from = kf__exec_tensor(&s->exec, out->tensor);
    size_t hw = (size_t)t->h * (size_t)t->w, c = (size_t)t->c;
    for (size_t n = 0; n < (size_t)t->n; n++)
        for (size_t i = 0; i < hw; i++)
            for (size_t k = 0; k < c; k++) to[(n * c + k) * hw + i] = from[(n * hw + i) * c + k];
}
