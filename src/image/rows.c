/* Rows of pixels in plain C, and the choice of an instruction set.
 * Floor 3.
 * Owner rule: pure functions. */
#include "image/rows.h"

#include "cpu/cpu.h"

static void across(const uint8_t *in, size_t stride, int32_t rows, int32_t width_in, const kf__taps *t, int32_t width, uint8_t *to) {
    for (int32_t y = 0; y < rows; y++, in += stride)
        for (int32_t x = 0; x < width; x++, to += 3)
            kf__rows_across(in + 3 * (size_t)t->bounds[2 * x], t->bounds[2 * x + 1], t->k + (size_t)x * (size_t)t->size, to);
}

static void down(const uint8_t *in, size_t bytes, int32_t count, const int32_t *k, uint8_t *to) {
    size_t x = 0;
    for (; x + 64 <= bytes; x += 64) kf__rows_down(in + x, bytes, count, k, to + x, 64);
    if (x < bytes) kf__rows_down(in + x, bytes, count, k, to + x, bytes - x);
}

const kf__rows *kf__image_rows(void) {
    static const kf__rows PLAIN = {kf__rows_nv12, across, down};
#if defined(__x86_64__)
    extern const kf__rows kf__rows_avx2;
    if (kf__cpu_level_now() >= KF_CPU_AVX2) return &kf__rows_avx2;
#endif
    return &PLAIN;
}
