/* Resizing equal to Pillow's: a separable antialiased filter in 22-bit fixed point, rounded to 8 bits after each pass.
 * Only the part that is asked for is computed, and of the first pass only the rows that the second one reads.
 * Owner rule: the result's pixels belong to the caller (kf_image_free). */
#include <math.h>
#include <stdlib.h>

#include "base/base.h"
#include "base/fp.h"
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

/* Of axis 0 (columns) or 1, for the positions of the part. */
static kf_status taps_make(int32_t in, const kf__resize *r, int axis, kf__filter_taps *t, kf_error *err) {
    const kf_filter filter = r->filter;
    const double lo = r->box[axis], hi = r->box[axis + 2];
    const int32_t from = r->part[axis], out = r->part[axis + 2] - from;
    double scale = (hi - lo) / r->size[axis], stretch = scale < 1 ? 1 : scale,
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
        double centre = lo + (i + from + 0.5) * scale, sum = 0;
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

/* Columns, then rows. */
static bool across_first(const kf_image *in, const kf__filter_taps *h, const kf__filter_taps *v, kf_image *out) {
    kf__kernels_image row;
    const int32_t last = out->height - 1, first = v->bounds[0],
                  rows = v->bounds[2 * last] + v->bounds[2 * last + 1] - first;
    size_t row_bytes = 3 * (size_t)out->width, bytes;
    uint8_t *mid = kf__mul_size(row_bytes, (size_t)rows, &bytes) ? malloc(bytes) : NULL;
    if (!mid) return false;
    kf__kernels_select_image(KF_CPU_LEVELS, &row);
    row.across(in->pixels + (size_t)first * in->stride, in->stride, rows, in->width, h, out->width, mid);
    for (int32_t y = 0; y <= last; y++)
        row.down(mid + (size_t)(v->bounds[2 * y] - first) * row_bytes, row_bytes, v->bounds[2 * y + 1],
                 v->k + (size_t)y * (size_t)v->size, out->pixels + (size_t)y * row_bytes);
    free(mid);
    return true;
}

/* Rows, then columns. The kernel of rows wants them without gaps. */
static bool down_first(const kf_image *in, const kf__filter_taps *h, const kf__filter_taps *v, kf_image *out) {
    kf__kernels_image row;
    size_t row_bytes = 3 * (size_t)in->width, bytes;
    uint8_t *whole = kf__mul_size(row_bytes, (size_t)in->height + 1, &bytes) ? malloc(bytes) : NULL;
    if (!whole) return false;
    uint8_t *one = whole + (size_t)in->height * row_bytes;
    kf__kernels_select_image(KF_CPU_LEVELS, &row);
    for (int32_t y = 0; y < in->height; y++)
        memcpy(whole + (size_t)y * row_bytes, in->pixels + (size_t)y * in->stride, row_bytes);
    for (int32_t y = 0; y < out->height; y++) {
        row.down(whole + (size_t)v->bounds[2 * y] * row_bytes, row_bytes, v->bounds[2 * y + 1],
                 v->k + (size_t)y * (size_t)v->size, one);
        row.across(one, row_bytes, 1, in->width, h, out->width, out->pixels + (size_t)y * out->stride);
    }
    free(whole);
    return true;
}

static kf_status resize_filtered(const kf_image *in, const kf__resize *r, kf_image *out, kf_error *err) {
    kf__filter_taps h, v = {0};
    const int64_t lower = (int64_t)in->height - r->size[1], narrower = (int64_t)in->width - r->size[0];
    KF_TRY(taps_make(in->width, r, 0, &h, err));
    kf_status st = taps_make(in->height, r, 1, &v, err);
    if (st == KF_OK) {
        bool turned = r->pillow == KF_PILLOW_13 && lower > 0 && lower > 2 * narrower;
        if (!(turned ? down_first : across_first)(in, &h, &v, out))
            st = kf_error_set(err, KF_ERR_MEMORY, "out of memory while resizing to %dx%d", r->size[0], r->size[1]);
        taps_free(&v);
    }
    taps_free(&h);
    return st;
}

static void resize_nearest(const kf_image *in, const kf__resize *r, kf_image *out) {
    const double *box = r->box;
    double sx = (box[2] - box[0]) / r->size[0], sy = (box[3] - box[1]) / r->size[1];
    for (int32_t y = 0; y < out->height; y++) {
        int32_t fy = (int32_t)(box[1] + (y + r->part[1] + 0.5) * sy);
        const uint8_t *row = in->pixels + (size_t)(fy >= in->height ? in->height - 1 : fy) * in->stride;
        uint8_t *to = out->pixels + (size_t)y * out->stride;
        for (int32_t x = 0; x < out->width; x++, to += 3) {
            int32_t fx = (int32_t)(box[0] + (x + r->part[0] + 0.5) * sx);
            memcpy(to, row + 3 * (size_t)(fx >= in->width ? in->width - 1 : fx), 3);
        }
    }
}

kf_status kf__image_resize(const kf_image *in, const kf__resize *r, kf_image *out, kf_error *err) {
    const double *box = r->box;
    if (out) *out = (kf_image){0};
    if (!out || !in || !in->pixels || in->width < 1 || in->height < 1)
        KF_FAIL(err, KF_ERR_ARGUMENT, "resize: the picture is empty");
    if ((unsigned)r->filter >= KF_FILTER_COUNT) KF_FAIL(err, KF_ERR_ARGUMENT, "resize: filter %d", (int)r->filter);
    const int32_t width = r->part[2] - r->part[0], height = r->part[3] - r->part[1];
    const bool endless = r->size[0] > 1 << 30 || r->size[1] > 1 << 30;
    if (width < 1 || height < 1 || width > 1 << 15 || height > 1 << 15 || endless)
        KF_FAIL(err, width < 1 || height < 1 ? KF_ERR_ARGUMENT : KF_ERR_LIMIT,
                "resize: %dx%d is out of range (1 to 32768)", width, height);
    if (!(box[0] >= 0 && box[1] >= 0 && box[2] <= in->width && box[3] <= in->height && box[0] < box[2] &&
          box[1] < box[3]))
        KF_FAIL(err, KF_ERR_ARGUMENT, "resize: the box lies outside the picture");
    KF_TRY(kf_image_create(width, height, out, err));
    kf_status st = KF_OK;
    if (r->filter == KF_FILTER_NEAREST) resize_nearest(in, r, out);
    else st = resize_filtered(in, r, out, err);
    if (st != KF_OK) kf_image_free(out);
    return st;
}

kf_status kf_image_resize(const kf_image *in, int32_t width, int32_t height, kf_filter filter, const float *box,
                          kf_image *out, kf_error *err) {
    KF_FP_CONTRACT();
    kf__resize r = {{width, height}, filter, KF_PILLOW_BEFORE_13, {0}, {0, 0, width, height}};
    if (in) r.box[2] = in->width, r.box[3] = in->height;
    if (box)
        for (int i = 0; i < 4; i++) r.box[i] = (double)box[i];
    return kf__image_resize(in, &r, out, err);
}
