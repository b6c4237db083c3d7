/* NV12 camera frames to RGB and back: BT.601, full and limited range, 16-bit fixed point.
 * Chroma is replicated to its 2x2 block when reading and averaged when writing; RGB is clipped to 0..255.
 * Owner rule: results belong to the caller. */
#include "base/base.h"
#include "base/fp.h"
#include "kernels/kernels_bytes.h"
#include "kitfox/image.h"

kf_status kf_image_from_nv12(const kf_nv12 *f, kf_image *out, kf_error *err) {
    if (out) *out = (kf_image){0};
    if (!out || !f || !f->y || !f->uv) KF_FAIL(err, KF_ERR_ARGUMENT, "the NV12 frame has no planes");
    if (f->width < 2 || f->height < 2 || f->width % 2 || f->height % 2)
        KF_FAIL(err, KF_ERR_ARGUMENT, "NV12 frame of %dx%d; both sides must be even", f->width, f->height);
    if (f->stride_y < (size_t)f->width || f->stride_uv < (size_t)f->width)
        KF_FAIL(err, KF_ERR_ARGUMENT, "NV12 strides %zu and %zu are smaller than the width %d", f->stride_y,
                f->stride_uv, f->width);
    KF_TRY(kf_image_create(f->width, f->height, out, err));
    kf__kernels_image rows;
    kf__kernels_select_image(KF_CPU_LEVELS, &rows);
    for (int32_t y = 0; y < f->height; y++) {
        const uint8_t *luma = f->y + (size_t)y * f->stride_y, *chroma = f->uv + (size_t)(y / 2) * f->stride_uv;
        rows.nv12(luma, chroma, f->width, f->limited != 0, out->pixels + (size_t)y * out->stride);
    }
    return KF_OK;
}

static inline uint8_t round8(double v) {
    if (v > 255) return 255;
    return (uint8_t)(v < 0 ? 0 : v + 0.5);
}

kf_status kf_image_to_nv12(const kf_image *in, int32_t limited, uint8_t *out, size_t bytes, kf_error *err) {
    KF_FP_CONTRACT();
    if (!in || !in->pixels || !out || in->width % 2 || in->height % 2 || in->width < 2 || in->height < 2)
        KF_FAIL(err, KF_ERR_ARGUMENT, "to NV12: a picture with even sides is needed");
    size_t w = (size_t)in->width, h = (size_t)in->height;
    if (bytes < w * h * 3 / 2)
        KF_FAIL(err, KF_ERR_ARGUMENT, "to NV12: %zu bytes of room, %zu are needed", bytes, w * h * 3 / 2);
    double ys = limited ? 219.0 / 255 : 1;
    double cs = limited ? 224.0 / 255 : 1;
    double y0 = limited ? 16 : 0;
    uint8_t *uv = out + w * h;
    for (size_t y = 0; y < h; y += 2)
        for (size_t x = 0; x < w; x += 2) {
            double cb = 0, cr = 0;
            for (size_t k = 0; k < 4; k++) {
                const uint8_t *p = in->pixels + (y + k / 2) * in->stride + 3 * (x + k % 2);
                double luma = 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2];
                out[(y + k / 2) * w + x + k % 2] = round8(y0 + ys * luma);
                cb += (p[2] - luma) / 1.772;
                cr += (p[0] - luma) / 1.402;
            }
            uv[y / 2 * w + x] = round8(128 + cs * cb / 4);
            uv[y / 2 * w + x + 1] = round8(128 + cs * cr / 4);
        }
    return KF_OK;
}
