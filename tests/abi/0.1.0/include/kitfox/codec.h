/* Picture files: decode and encode. Lives in libkitfoximg, and is installed with it.
 * Owner rule: kf_image_free releases what is loaded. */
#ifndef KITFOX_CODEC_H
#define KITFOX_CODEC_H

#include "kitfox/image.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Decode JPEG, PNG, WebP, BMP, GIF, PPM/PGM, TIFF, AVIF or HEIC by content to RGB8. Of an animation that is the first
 *  frame, of a TIFF the first page. Alpha is dropped. Decoding TIFF loads libtiff 4.5, AVIF libavif (0.11 or 1.x) and
 *  HEIC libheif; UNSUPPORTED, with the Debian package, where the library is missing. "-" is standard input; another
 *  path has to be a regular file (IO otherwise, at once) of at most 1 GiB. Time and memory are bounded by the bytes of
 *  the file and the pixels of the picture. A picture that its file ends before is FORMAT; other damage of a JPEG that
 *  leaves every pixel with some value gives a picture. Errors: IO, FORMAT, LIMIT, UNSUPPORTED, MEMORY. */
KF_API kf_status kf_image_load(const char *path, const kf_image_options *options, kf_image *out, kf_error *err);
KF_API kf_status kf_image_load_memory(const void *data, size_t bytes, const kf_image_options *options, kf_image *out,
                                      kf_error *err);

/** Change what kf_image_options_init's limits mean for pictures that are loaded from now on: `max_pixels` in all, and
 * the larger of KF_IMAGE_MAX_SIDE and the smaller of `max_pixels` and 2^20 for a side. For calls that load pictures
 *  themselves, such as kf_classify_files; a limit that the options change by themselves stays. 0: as at the beginning.
 *  ARGUMENT: below 0 or over 2^32. Not thread safe: call it before pictures are loaded. */
KF_API kf_status kf_image_limit(int64_t max_pixels, kf_error *err);

/** Name of the format, as "JPEG", that kf_image_load_memory would decode these bytes as; NULL: none. The first 12 bytes
 *  of a file are enough. Static text; thread safe. */
KF_API const char *kf_image_format(const void *data, size_t bytes);
/** 1 if the name ends, in either case, as those of pictures do that kf_image_load reads (".jpg"); else 0. Folders of
 *  pictures are listed by this. Thread safe. */
KF_API int kf_image_has_suffix(const char *path);

/** Encode as a baseline JPEG in memory, `quality` 1..100 as libjpeg counts it. The caller releases *data with free().
 * Errors: ARGUMENT, LIMIT (a side over 65500), MEMORY. Thread safe. */
KF_API kf_status kf_image_encode_jpeg(const kf_image *image, int32_t quality, void **data, size_t *bytes,
                                      kf_error *err);

#ifdef __cplusplus
}
#endif
#endif
