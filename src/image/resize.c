/* Resizing equal to Pillow's: a separable antialiased filter in 22-bit fixed point, rounded to 8 bits after each pass.
 * Only the rows that the vertical pass reads are resized horizontally.
 * Owner rule: the result's pixels belong to the caller (kf_image_free). */
#include <math.h>
#include <stdlib.h>

#include "base/base.h"
#include "image/image_private.h"
#include "kernels/kernels_bytes.h"

static double triangle(double x) { return fabs(x) < 1 ? 1 - fabs(x) : 0; }

/* Keys' cubic with a = -0.5. */
static double cubic(double x) {
    const double a = -0.5;
    x = fabs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

static void taps_free(kf__filter_taps *t) {
    free(t->bounds);
    free(t->k);
}

static kf_status taps_make(int32_t in, double lo, double hi, int32_t out, kf_filter filter, kf__filter_taps *t,
                           kf_error *err) {
    double scale = (hi - lo) / out, stretch = scale < 1 ? 1 : scale,
           support = (filter == KF_FILTER_BICUBIC ? 2.0 : 1.0) * stretch;
    size_t n;
    t->size = (int32_t)kf__round_up((size_t)ceil(support) * 2 + 1, 4);
    t->bounds = NULL;
    t->k = NULL;
    if (kf__mul_size((size_t)t->size, (size_t)out, &n)) {
        t->bounds = calloc((size_t)out, 2 * sizeof *t->bounds);
        t->k = calloc(n, sizeof *t->k);
    }
    double *w = calloc((size_t)t->size, sizeof *w);
    if (!t->bounds || !t->k || !w) {
        free(w);
        taps_free(t);
        KF_FAIL(err, KF_ERR_MEMORY, "out of memory while resizing to %d", out);
    }
    for (int32_t i = 0; i < out; i++) {
        double centre = lo + (i + 0.5) * scale, sum = 0;
        int32_t first = (int32_t)(centre - support + 0.5), last = (int32_t)(centre + support + 0.5);
        first = first < 0 ? 0 : first;
        last = last > in ? in : last;
        for (int32_t x = 0; x < last - first; x++) {
            double d = (x + first - centre + 0.5) / stretch;
            w[x] = filter == KF_FILTER_BICUBIC ? cubic(d) : triangle(d);
            sum += w[x];
        }
        for (int32_t x = 0; x < last - first; x++) {
            double v = (sum != 0 ? w[x] / sum : w[x]) * (1 << KF_TAP_BITS);
            t->k[(size_t)i * (size_t)t->size + (size_t)x] = (int32_t)(v < 0 ? v - 0.5 : v + 0.5);
        }
        t->bounds[2 * i] = first;
        t->bounds[2 * i + 1] = last - first;
    }
    free(w);
    return KF_OK;
}

static kf_status resize_filtered(const kf_image *in, int32_t width, int32_t height, kf_filter filter,
                                 const double box[4], kf_image *out, kf_error *err) {
    kf__filter_taps h, v;
    KF_TRY(taps_make(in->width, box[0], box[2], width, filter, &h, err));
    kf_status st = taps_make(in->height, box[1], box[3], height, filter, &v, err);
    if (st != KF_OK) {
        taps_free(&h);
        return st;
    }
    int32_t first = v.bounds[0], rows = v.bounds[2 * (height - 1)] + v.bounds[2 * height - 1] - first;
    size_t row_bytes = 3 * (size_t)width, bytes;
    uint8_t *mid = kf__mul_size(row_bytes, (size_t)rows, &bytes) ? malloc(bytes) : NULL;
    if (!mid) st = kf_error_set(err, KF_ERR_MEMORY, "out of memory while resizing to %dx%d", width, height);
    if (st == KF_OK) st = kf_image_create(width, height, out, err);
    if (st == KF_OK) {
        kf__kernels_image row;
        kf__kernels_select_image(KF_CPU_LEVELS, &row);
        row.across(in->pixels + (size_t)first * in->stride, in->stride, rows, in->width, &h, width, mid);
        for (int32_t y = 0; y < height; y++)
            row.down(mid + (size_t)(v.bounds[2 * y] - first) * row_bytes, row_bytes, v.bounds[2 * y + 1],
                     v.k + (size_t)y * (size_t)v.size, out->pixels + (size_t)y * out->stride);
    }
    free(mid);
    taps_free(&h);
    taps_free(&v);
    return st;
}

static kf_status resize_nearest(const kf_image *in, int32_t width, int32_t height, const double box[4], kf_image *out,
                                kf_error *err) {
    KF_TRY(kf_image_create(width, height, out, err));
    double sx = (box[2] - box[0]) / width, sy = (box[3] - box[1]) / height;
    for (int32_t y = 0; y < height; y++) {
        int32_t fy = (int32_t)(box[1] + (y + 0.5) * sy);
        const uint8_t *row = in->pixels + (size_t)(fy >= in->height ? in->height - 1 : fy) * in->stride;
        uint8_t *to = out->pixels + (size_t)y * out->stride;
        for (int32_t x = 0; x < width; x++, to += 3) {
            int32_t fx = (int32_t)(box[0] + (x + 0.5) * sx);
            memcpy(to, row + 3 * (size_t)(fx >= in->width ? in->width - 1 : fx), 3);
        }
    }
    return KF_OK;
}

kf_status kf__image_resize_box(const kf_image *in, int32_t width, int32_t height, kf_filter filter, const double box[4],
                               kf_image *out, kf_error *err) {
    if (out) *out = (kf_image){0};
    if (!out || !in || !in->pixels || in->width < 1 || in->height < 1)
        KF_FAIL(err, KF_ERR_ARGUMENT, "resize: the picture is empty");
    if ((unsigned)filter >= KF_FILTER_COUNT) KF_FAIL(err, KF_ERR_ARGUMENT, "resize: filter %d", (int)filter);
    if (width < 1 || height < 1 || width > 1 << 15 || height > 1 << 15)
        KF_FAIL(err, width < 1 || height < 1 ? KF_ERR_ARGUMENT : KF_ERR_LIMIT,
                "resize: %dx%d is out of range (1 to 32768)", width, height);
    if (!(box[0] >= 0 && box[1] >= 0 && box[2] <= in->width && box[3] <= in->height && box[0] < box[2] &&
          box[1] < box[3]))
        KF_FAIL(err, KF_ERR_ARGUMENT, "resize: the box lies outside the picture");
    if (filter == KF_FILTER_NEAREST) return resize_nearest(in, width, height, box, out, err);
    return resize_filtered(in, width, height, filter, box, out, err);
}

kf_status kf_image_resize(const kf_image *in, int32_t width, int32_t height, kf_filter filter, const float *box,
                          kf_image *out, kf_error *err) {
    double b[4] = {0};
    if (in) b[2] = in->width, b[3] = in->height;
    if (box)
        for (int i = 0; i < 4; i++) b[i] = (double)box[i];
    return kf__image_resize_box(in, width, height, filter, b, out, err);
}
