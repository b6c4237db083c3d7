/* Arithmetic of preprocessing over many values: numbers back to pixels, and the order of colours.
 * Every value of every frame passes here, so the file is compiled for speed.
 * Owner rule: pure functions. */
#include "preprocess/pixel.h"

static void undo(const float *restrict x, size_t n, size_t step, kf__pixel_undo u, int32_t *restrict to) {
    for (size_t i = 0; i < n; i++) to[i] = kf__pixel_of((double)x[i * step], u.std, u.mean, u.top);
}

void kf__to_pixels(const kf_preprocess *p, const float *x, size_t n, size_t k, size_t step, uint8_t *to,
                   size_t to_step) {
    int32_t part[256];
    kf__pixel_undo u = kf__pixel_undo_of(p, k);
    for (size_t done = 0; done < n; done += 256) {
        size_t count = n - done < 256 ? n - done : 256;
        if (step == 1) undo(x + done, count, 1, u, part);
        else undo(x + done * step, count, step, u, part);
        for (size_t i = 0; i < count; i++) to[(done + i) * to_step] = (uint8_t)part[i];
    }
}

double kf_preprocess_normalize(const kf_preprocess *p, int32_t c, double pixel) {
    return kf__pixel_normalize(p, (size_t)c, pixel);
}

uint8_t kf_preprocess_pixel(const kf_preprocess *p, int32_t c, double x) {
    return (uint8_t)kf__pixel_of(x, p->std[c], p->mean[c], 255);
}

void kf_preprocess_set_scale(kf_preprocess *p, const double mean[3], const double scale[3]) {
    for (int c = 0; c < 3; c++) {
        p->mean[c] = mean[c] / 255;
        p->std[c] = 1 / (255 * scale[c]);
    }
}

/* ---- colours --------------------------------------------------------------------------------- */

int32_t kf_color_channels(kf_color color) { return color == KF_COLOR_GRAY ? 1 : 3; }

static void swap(const uint8_t *from, size_t n, uint8_t *to) {
    for (size_t i = 0; i < 3 * n; i += 3) {
        uint8_t first = from[i];
        to[i] = from[i + 2];
        to[i + 1] = from[i + 1];
        to[i + 2] = first;
    }
}

void kf_color_from_rgb(kf_color color, const uint8_t *rgb, size_t n, uint8_t *to) {
    if (color == KF_COLOR_BGR) swap(rgb, n, to);
    else if (color == KF_COLOR_GRAY)
        for (size_t i = 0; i < n; i++) to[i] = kf__pixel_luma(rgb[3 * i], rgb[3 * i + 1], rgb[3 * i + 2]);
    else if (to != rgb) memcpy(to, rgb, 3 * n);
}

void kf_color_to_rgb(kf_color color, const uint8_t *from, size_t n, uint8_t *rgb) {
    if (color == KF_COLOR_BGR) swap(from, n, rgb);
    else if (color == KF_COLOR_GRAY)
        for (size_t i = 0; i < n; i++) rgb[3 * i] = rgb[3 * i + 1] = rgb[3 * i + 2] = from[i];
    else if (rgb != from) memcpy(rgb, from, 3 * n);
}
