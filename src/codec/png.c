/* PNG through libspng: to RGB8, alpha dropped as Pillow's convert("RGB") does.
 * Owner rule: the picture belongs to the caller. */
#include <errno.h>
#include <string.h>

#include <spng.h>

#include "codec/codec.h"

/* Chunks beside the pixels, unpacked; libspng also takes at most 1000 of them. */
enum { CHUNK_BYTES = 1 << 20, CHUNKS_BYTES = 1 << 24 };

static kf_status png_error(int code, kf_error *err) {
    if (errno == ENOMEM) code = SPNG_EMEM; /* libspng also reports damage when zlib cannot allocate memory */
    if (code == SPNG_ECHUNK_LIMITS)
        return kf__codec_fail(
            err, KF_ERR_LIMIT,
            "the PNG has more than 1000 text, profile or palette chunks, or more than %d bytes in one or %d in all; "
            "save it without them",
            CHUNK_BYTES, CHUNKS_BYTES);
    return kf__codec_fail(err, code == SPNG_EMEM ? KF_ERR_MEMORY : KF_ERR_FORMAT, "PNG cannot be decoded; %s; %s",
                          spng_strerror(code),
                          code == SPNG_EMEM ? "close other programs" : "the file may be truncated");
}

static kf_status decode_png(spng_ctx *c, const uint8_t *data, size_t bytes, const kf_image_options *o, int *orientation,
                            kf_image *out, kf_error *err) {
    struct spng_ihdr h;
    struct spng_exif exif;
    size_t size;
    errno = 0;
    int code = spng_set_image_limits(c, (uint32_t)o->max_side, (uint32_t)o->max_side);
    if (!code) code = spng_set_chunk_limits(c, CHUNK_BYTES, CHUNKS_BYTES);
    if (!code) code = spng_set_png_buffer(c, data, bytes);
    if (!code) code = spng_get_ihdr(c, &h);
    if (code == SPNG_EUSER_WIDTH || code == SPNG_EUSER_HEIGHT)
        return kf__codec_fail(
            err, KF_ERR_LIMIT,
            "the PNG has a side over %d pixels; shrink the picture, or raise the limit with --max-pixels", o->max_side);
    if (code) return png_error(code, err);
    kf_status st = kf__codec_limits(h.width, h.height, o, err);
    if (st != KF_OK) return st;
    /* 16-bit samples keep their upper byte. Pillow clips 16-bit grey at 255 instead, which turns most pictures white.
     */
    code = spng_decoded_image_size(c, SPNG_FMT_RGB8, &size);
    if (code) return png_error(code, err);
    st = kf_image_create((int32_t)h.width, (int32_t)h.height, out, err);
    if (st != KF_OK) return st;
    if (size != out->stride * h.height) return kf__codec_fail(err, KF_ERR_FORMAT, "PNG of an unexpected size");
    code = spng_decode_image(c, out->pixels, size, SPNG_FMT_RGB8, 0);
    if (code) return png_error(code, err);
    if (!o->no_exif && spng_get_exif(c, &exif) == 0)
        *orientation = kf__codec_exif_orientation((const uint8_t *)exif.data, exif.length);
    return KF_OK;
}

kf_status kf__codec_png(const uint8_t *data, size_t bytes, const kf_image_options *o, kf_image *out, kf_error *err) {
    spng_ctx *c = spng_ctx_new(0);
    int orientation = 1;
    if (!c) return kf__codec_fail(err, KF_ERR_MEMORY, "out of memory");
    kf_status st = decode_png(c, data, bytes, o, &orientation, out, err);
    spng_ctx_free(c);
    if (st == KF_OK) st = kf__codec_orient(out, orientation, err);
    if (st != KF_OK) kf_image_free(out);
    return st;
}
