/* Float inputs of networks that take pixels: every frame goes through here, so the loops are ones that compilers make vector code of.
 * Floor 5.
 * Owner rule: pure functions. */
#include "runtime/session.h"

/* (x * std + mean) * top in double, kept inside 0..255, rounded to nearest even; NaN gives 0. Adding and taking away 1.5 * 2^52 rounds: unlike
 * lrint it is no call. */
static void undo(const float *restrict x, size_t n, size_t step, double std, double mean, double top, int32_t *restrict to) {
    for (size_t i = 0; i < n; i++) {
        double v = ((double)x[i * step] * std + mean) * top;
        v = v > 0 ? v : 0;
        v = v < 255 ? v : 255;
        to[i] = (int32_t)((v + 6755399441055744.0) - 6755399441055744.0);
    }
}

void kf__to_pixels(const kf_preprocess *p, const float *x, size_t n, size_t k, size_t step, uint8_t *to, size_t to_step) {
    int32_t part[256];
    bool normalized = p->valid && k < 3;
    double std = normalized ? (double)p->std[k] : 1, mean = normalized ? (double)p->mean[k] : 0, top = normalized ? 255 : 1;
    for (size_t done = 0; done < n; done += 256) {
        size_t count = n - done < 256 ? n - done : 256;
        if (step == 1) undo(x + done, count, 1, std, mean, top, part);
        else undo(x + done * step, count, step, std, mean, top, part);
        for (size_t i = 0; i < count; i++) to[(done + i) * to_step] = (uint8_t)part[i];
    }
}
