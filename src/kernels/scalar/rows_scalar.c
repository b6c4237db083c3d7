/* Scalar rows of pixels: NV12 to RGB, and the two passes of a separable filter.
 * Owner rule: pure functions. */
#include "kernels/kernels_bytes.h"

void kf_k_nv12_scalar(const uint8_t *luma, const uint8_t *chroma, int32_t width, int limited, uint8_t *rgb) {
    const kf__nv12_range c = KF_NV12_RANGE[limited];
    for (int32_t x = 0; x < width; x += 2) {
        int32_t u = chroma[x] - 128, v = chroma[x + 1] - 128, r = c.rv * v + 32768, g = c.gu * u + c.gv * v + 32768,
                b = c.bu * u + 32768;
        for (int32_t i = x; i < x + 2; i++, rgb += 3) {
            int32_t y = (luma[i] - c.y_offset) * c.y;
            rgb[0] = kf__byte((y + r) >> 16), rgb[1] = kf__byte((y + g) >> 16), rgb[2] = kf__byte((y + b) >> 16);
        }
    }
}

void kf_k_across_scalar(const uint8_t *in, size_t stride, int32_t rows, int32_t width_in, const kf__filter_taps *t,
                        int32_t width, uint8_t *to) {
    for (int32_t y = 0; y < rows; y++, in += stride)
        for (int32_t x = 0; x < width; x++, to += 3) {
            const int32_t *k = t->k + (size_t)x * (size_t)t->size;
            const uint8_t *p = in + 3 * (size_t)t->bounds[2 * x];
            int32_t r = 1 << (KF_TAP_BITS - 1), g = r, b = r;
            for (int32_t i = 0; i < t->bounds[2 * x + 1]; i++, p += 3)
                r += p[0] * k[i], g += p[1] * k[i], b += p[2] * k[i];
            to[0] = kf__byte(r >> KF_TAP_BITS), to[1] = kf__byte(g >> KF_TAP_BITS), to[2] = kf__byte(b >> KF_TAP_BITS);
        }
}

/* Works on parts of a row whose sums fit the first-level cache, so that the inner loop runs along memory. */
void kf_k_down_scalar(const uint8_t *in, size_t bytes, int32_t count, const int32_t *k, uint8_t *to) {
    int32_t sum[256];
    for (size_t x = 0, n; x < bytes; x += n) {
        n = bytes - x < KF_COUNT(sum) ? bytes - x : KF_COUNT(sum);
        for (size_t j = 0; j < n; j++) sum[j] = 1 << (KF_TAP_BITS - 1);
        for (int32_t i = 0; i < count; i++)
            for (size_t j = 0; j < n; j++) sum[j] += in[(size_t)i * bytes + x + j] * k[i];
        for (size_t j = 0; j < n; j++) to[x + j] = kf__byte(sum[j] >> KF_TAP_BITS);
    }
}
