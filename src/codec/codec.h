/* Private to src/codec: one decoder for each format, and EXIF orientation.
 * Owner rule: decoders fill a kf_image that the caller frees. */
#ifndef KF_CODEC_H
#define KF_CODEC_H

#include "kitfox/codec.h"

/** What formats.c lists, for messages. */
#define KF__CODEC_FORMATS "JPEG, PNG, WebP, BMP, GIF, PPM, TIFF, AVIF or HEIC"

typedef kf_status kf__codec_fn(const uint8_t *data, size_t bytes, const kf_image_options *o, kf_image *out,
                               kf_error *err);
kf__codec_fn kf__codec_avif, kf__codec_bmp, kf__codec_gif, kf__codec_heif, kf__codec_jpeg, kf__codec_png, kf__codec_pnm,
    kf__codec_tiff, kf__codec_webp;
/** The decoder of these bytes, or NULL. */
kf__codec_fn *kf__codec_for(const uint8_t *data, size_t bytes);
/** Refuse empty and oversized pictures before pixels are allocated. */
kf_status kf__codec_limits(int64_t width, int64_t height, const kf_image_options *o, kf_error *err);
/** Orientation 1..8 from an EXIF block (TIFF, with or without "Exif\0\0" before it); 1 when absent or malformed. */
int kf__codec_exif_orientation(const uint8_t *exif, size_t bytes);
/** Turn the picture upright in place of `image`. */
kf_status kf__codec_orient(kf_image *image, int orientation, kf_error *err);
/** Fill an error; the same as the libraries' internal one, which this library cannot see. */
kf_status kf__codec_fail(kf_error *err, kf_status status, const char *fmt, ...) KF_PRINTF(3, 4);

#endif
