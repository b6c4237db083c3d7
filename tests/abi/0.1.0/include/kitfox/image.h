/* Pictures: pixel buffers, conversion, PIL-equal resizing, preprocessing. Picture files: codec.h.
 * Owner rule: kf_image_free releases pixels that a kf_image function made.
 * Pointer rule: NULL where a picture, a frame or room for one is needed is ARGUMENT. */
#ifndef KITFOX_IMAGE_H
#define KITFOX_IMAGE_H

#include "kitfox/status.h"
#include "kitfox/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/** RGB8 pixels, row-major, 3 bytes per pixel. */
typedef struct kf_image {
    int32_t width, height; /**< in pixels */
    size_t stride;         /**< bytes from row to row; at least 3 * width */
    uint8_t *pixels;       /**< R, G, B; [height * stride] bytes */
} kf_image;

/** NV12 camera frame: full-size luma, and half-size interleaved Cb Cr, two planes anywhere in memory. Width and height
 * even and at least 2. A tight frame in one block of width * height * 3 / 2 bytes has uv = y + width * height and both
 * strides equal to width; cameras pad rows, then strides are larger and y + stride_y * height is the usual place of uv.
 * Borrows the planes. */
typedef struct kf_nv12 {
    int32_t width, height;
    const uint8_t *y, *uv;
    size_t stride_y, stride_uv; /**< bytes from row to row; >= width */
    int32_t limited;            /**< 0: BT.601 full range; 1: BT.601 limited (16..235) */
} kf_nv12;

/** Largest picture side and pixel count that loaders accept by default. */
#define KF_IMAGE_MAX_SIDE 16384
#define KF_IMAGE_MAX_PIXELS 100000000
/** Passes over all pixels that a JPEG may take by default. Encoders write about ten. */
#define KF_IMAGE_MAX_SCANS 100

/** How to load a picture file. Fill with kf_image_options_init, then change members. */
typedef struct kf_image_options {
    size_t size;        /**< sizeof(kf_image_options), set by the init function */
    int32_t no_exif;    /**< 1: leave the EXIF orientation alone (what training pipelines do) */
    int32_t max_side;   /**< pixels of the longer side, at least 1; default KF_IMAGE_MAX_SIDE. More is LIMIT; see
                           kf_image_limit */
    int64_t max_pixels; /**< width times height, at least 1; default KF_IMAGE_MAX_PIXELS. More is LIMIT; see
                           kf_image_limit */
    int32_t
        max_scans; /**< of a JPEG, default KF_IMAGE_MAX_SCANS; each may be some bytes and costs time for every pixel */
} kf_image_options;
KF_API void kf_image_options_init(kf_image_options *options);

/** Allocate pixels (uninitialised), stride = 3 * width. The caller frees *out with kf_image_free; its pixels are NULL
 * on failure. Errors: ARGUMENT (a side below 1), LIMIT (a size that no memory holds), MEMORY. Thread safe. */
KF_API kf_status kf_image_create(int32_t width, int32_t height, kf_image *out, kf_error *err);
/** Free the pixels and empty *image. NULL is accepted. Only for pixels that a kf_image function made. */
KF_API void kf_image_free(kf_image *image);

/** Resize as Pillow's Image.resize before Pillow 13 (antialiased, 8-bit fixed-point passes). `box` is x0,y0,x1,y1 in
 * source pixels or NULL: the whole picture. `width` and `height` are 1 to 32768 pixels. The caller frees *out with
 * kf_image_free; its pixels are NULL on failure. Errors: ARGUMENT (no picture, a side below 1, no such filter, a box
 * outside the picture), LIMIT (a side over 32768), MEMORY. Thread safe. */
KF_API kf_status kf_image_resize(const kf_image *in, int32_t width, int32_t height, kf_filter filter, const float *box,
                                 kf_image *out, kf_error *err);
/** Resize and crop as `p` says (timm's rounding), as Pillow before 13 or 13 (p->pillow). The result is RGB of p->width
 * x p->height pixels; mean and std are not applied. Only what the crop leaves is computed, so a strip 300 times as wide
 * as high costs no more. The caller frees *out with kf_image_free. Errors: ARGUMENT (no picture, p->valid is 0, a
 * member outside its range), LIMIT (the resized picture would have a side over 2^30 pixels), MEMORY. Thread safe. */
KF_API kf_status kf_image_preprocess(const kf_image *in, const kf_preprocess *p, kf_image *out, kf_error *err);
/** NV12 to RGB8 by BT.601 in 16-bit fixed point, rounded to nearest and clipped to 0..255; each chroma pair serves its
 * 2x2 pixels. The same bytes on every machine. Full range (JFIF): R = Y + 1.402 V', G = Y - 0.344136 U' - 0.714136 V',
 * B = Y + 1.772 U' with U' = Cb - 128; limited: 1.164383 (Y - 16) and 1.596027, 0.391762, 0.812968, 2.017232. Errors:
 * ARGUMENT (odd or no sides, strides below the width, no planes), LIMIT, MEMORY. The caller frees *out with
 * kf_image_free. Thread safe. */
KF_API kf_status kf_image_from_nv12(const kf_nv12 *frame, kf_image *out, kf_error *err);
/** RGB8 with even sides to tight NV12: `out` gets width * height * 3 / 2 bytes, `bytes` is the room. The chroma of a
 * 2x2 block is averaged. `limited` 0: BT.601 full range, else limited. Errors: ARGUMENT (no picture, odd sides, too
 * little room). Thread safe. */
KF_API kf_status kf_image_to_nv12(const kf_image *in, int32_t limited, uint8_t *out, size_t bytes, kf_error *err);

#ifdef __cplusplus
}
#endif
#endif
