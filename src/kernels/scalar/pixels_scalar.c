/* Scalar kernels that turn floats or planes into pixels. Every frame of a network that takes pixels passes here, so
 * compilers must be able to vectorize the loops.
 * Owner rule: pure functions. */
#include "kernels/kernels_int.h"

enum { PART = 256 };

/* (x * std + mean) * top in double, kept inside 0..255, rounded to nearest even; NaN gives 0. Adding and subtracting
 * 1.5 * 2^52 rounds without the function call that lrint needs. */
static void undo(const float *restrict x, size_t n, size_t step, double std, double mean, double top,
                 int32_t *restrict to) {
    for (size_t i = 0; i < n; i++) {
        double v = ((double)x[i * step] * std + mean) * top;
        v = v > 0 ? v : 0;
        v = v < 255 ? v : 255;
        to[i] = (int32_t)((v + 6755399441055744.0) - 6755399441055744.0);
    }
}

void kf_k_pixels_scalar(size_t n, const float *const x[3], bool planes, const double std[3], const double mean[3],
                        double top, uint8_t *to) {
    int32_t part[PART];
    for (size_t done = 0; done < n; done += PART)
        for (size_t k = 0; k < 3; k++) {
            size_t count = n - done < PART ? n - done : PART;
            if (planes) undo(x[k] + done, count, 1, std[k], mean[k], top, part);
            else undo(x[0] + 3 * done + k, count, 3, std[k], mean[k], top, part);
            for (size_t i = 0; i < count; i++) to[3 * (done + i) + k] = (uint8_t)part[i];
        }
}

void kf_k_interleave_scalar(size_t n, const uint8_t *const x[3], uint8_t *to) {
    for (size_t i = 0; i < n; i++, to += 3) to[0] = x[0][i], to[1] = x[1][i], to[2] = x[2][i];
}
