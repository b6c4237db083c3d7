/* Pixel buffers and timm's evaluation transform: resize, then crop, with its rounding.
 * Owner rule: kf_image_free releases what kf_image_create made. */
#include <math.h>
#include <stdlib.h>

#include "base/base.h"
#include "base/fp.h"
#include "image/image_private.h"
#include "preprocess/pixel.h"
#include "preprocess/preprocess.h"

void kf_image_options_init(kf_image_options *o) {
    *o = (kf_image_options){.size = sizeof *o,
                            .max_side = KF_IMAGE_MAX_SIDE,
                            .max_pixels = KF_IMAGE_MAX_PIXELS,
                            .max_scans = KF_IMAGE_MAX_SCANS};
}

kf_status kf_image_create(int32_t width, int32_t height, kf_image *out, kf_error *err) {
    size_t bytes;
    if (!out) KF_FAIL(err, KF_ERR_ARGUMENT, "no place for the picture was given");
    *out = (kf_image){0};
    if (width < 1 || height < 1)
        KF_FAIL(err, KF_ERR_ARGUMENT, "picture size %dx%d; both sides must be at least 1", width, height);
    if (!kf__mul_size((size_t)width * 3, (size_t)height, &bytes))
        KF_FAIL(err, KF_ERR_LIMIT, "picture size %dx%d is too large", width, height);
    uint8_t *pixels = malloc(bytes);
    if (!pixels) KF_FAIL_MEMORY(err, bytes);
    *out = (kf_image){width, height, 3 * (size_t)width, pixels};
    return KF_OK;
}

void kf_image_free(kf_image *image) {
    if (!image) return;
    free(image->pixels);
    *image = (kf_image){0};
}

/* Python's round(): halves go to the even neighbour. */
static int32_t round_half_even(double x) { return (int32_t)nearbyint(x); }

/* Copies the part of `from`, whose corner lies at (-x0, -y0), that falls into `to`. */
static void copy_rect(const kf_image *from, int32_t x0, int32_t y0, kf_image *to) {
    int32_t left = x0 < 0 ? -x0 : 0;
    int32_t top = y0 < 0 ? -y0 : 0;
    int64_t right = kf__min_i64(to->width, (int64_t)from->width - x0),
            bottom = kf__min_i64(to->height, (int64_t)from->height - y0);
    for (int32_t y = top; left < right && y < bottom; y++)
        memcpy(to->pixels + (size_t)y * to->stride + 3 * (size_t)left,
               from->pixels + (size_t)(y0 + y) * from->stride + 3 * (size_t)(x0 + left), 3 * (size_t)(right - left));
}

/* The colour around the picture in a crop: black, or the mean where timm has a border. */
static void fill(const kf_preprocess *p, kf_image *to) {
    uint8_t colour[3];
    for (size_t c = 0; c < 3; c++) {
        double mean = p->crop == KF_CROP_BORDER ? nearbyint(kf__pixel_mean(p, c)) : 0;
        colour[c] = (uint8_t)kf__whole(mean, 0, 255, 0); /* every finite mean is legal */
    }
    for (int32_t y = 0; y < to->height; y++)
        for (int32_t x = 0; x < to->width; x++) memcpy(to->pixels + (size_t)y * to->stride + 3 * (size_t)x, colour, 3);
}

/* A side in whole pixels, truncated. Sides beyond all limits are refused later, by the resize. */
static int32_t side_of(double x) { return x < 1 ? 1 : (int32_t)fmin(x, INT32_MAX); }

/* Size after the resize step, before the crop. */
static void resized_size(const kf_image *in, const kf_preprocess *p, int32_t *w, int32_t *h) {
    double scale_w = floor(p->width / p->crop_pct), scale_h = floor(p->height / p->crop_pct);
    if (p->crop == KF_CROP_SQUASH) {
        *w = side_of(scale_w);
        *h = side_of(scale_h);
    } else if (p->crop == KF_CROP_FIT_PAD) {
        *h = p->height;
        *w = (int32_t)kf__min_i64(p->width, (int64_t)ceil((double)p->height * in->width / in->height));
    } else if (p->crop == KF_CROP_CENTER && scale_w == scale_h) { /* the short side; the other is truncated */
        bool wide = in->width >= in->height;
        *w = side_of(wide ? scale_h * in->width / in->height : scale_w);
        *h = side_of(wide ? scale_h : scale_w * in->height / in->width);
    } else { /* covers the input, or fits into it: both sides are rounded */
        double over_w = in->width / scale_w, over_h = in->height / scale_h;
        double ratio = p->crop == KF_CROP_BORDER ? fmax(over_w, over_h) : fmin(over_w, over_h);
        *w = side_of(nearbyint(in->width / ratio));
        *h = side_of(nearbyint(in->height / ratio));
    }
}

/* Where the input begins in the resized picture: negative where it is wider than that. */
static int32_t begin_of(int32_t resized, int32_t input) {
    return resized < input ? -((input - resized) / 2) : round_half_even((resized - (double)input) / 2);
}

kf_status kf_image_preprocess(const kf_image *in, const kf_preprocess *p, kf_image *out, kf_error *err) {
    KF_FP_CONTRACT();
    if (out) *out = (kf_image){0};
    if (!out || !in || !in->pixels || in->width < 1 || in->height < 1)
        KF_FAIL(err, KF_ERR_ARGUMENT, "the picture is empty");
    if (!p || !p->valid)
        KF_FAIL(err, KF_ERR_ARGUMENT, "the model has no picture preprocessing; import it with --preprocess");
    KF_TRY(kf__preprocess_check(p, 0, err));
    int32_t w, h;
    kf_image seen;
    resized_size(in, p, &w, &h);
    bool pad = p->crop == KF_CROP_FIT_PAD;
    int32_t x0 = pad ? 0 : begin_of(w, p->width);
    int32_t y0 = pad ? 0 : begin_of(h, p->height);
    int32_t x = (int32_t)kf__max_i64(x0, 0), y = (int32_t)kf__max_i64(y0, 0); /* only what the crop leaves is resized */
    const int32_t right = x + (int32_t)kf__min_i64(w, p->width), bottom = y + (int32_t)kf__min_i64(h, p->height);
    const kf__resize r = {{w, h}, p->filter, p->pillow, {0, 0, in->width, in->height}, {x, y, right, bottom}};
    KF_TRY(kf__image_resize(in, &r, &seen, err));
    if (seen.width == p->width && seen.height == p->height) {
        *out = seen;
        return KF_OK;
    }
    kf_status st = kf_image_create(p->width, p->height, out, err);
    if (st == KF_OK) {
        fill(p, out);
        copy_rect(&seen, x0 - x, y0 - y, out);
    }
    kf_image_free(&seen);
    return st;
}
