/* WebP through libwebp: to RGB8, alpha dropped as Pillow's convert("RGB") does. Of an animation the first frame, on a
 * black canvas.
 * Owner rule: the picture belongs to the caller. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <webp/decode.h>

#include "codec/codec.h"

enum { RIFF_HEADER = 12, CHUNK_HEADER = 8, FRAME_HEADER = 16, ANIMATED = 2 };

/* ---- container --------------------------------------------------------------------------------------------------- */

typedef struct chunk {
    const uint8_t *data; /* behind its header */
    size_t bytes;
} chunk;

static uint32_t get24(const uint8_t *p) { return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16; }

/* The first chunk of this name, or of the other one; chunks are padded to even lengths. */
static bool find_chunk(chunk in, const char *name, const char *other, chunk *out) {
    for (size_t at = 0; at + CHUNK_HEADER <= in.bytes;) {
        const uint8_t *p = in.data + at;
        size_t len = get24(p + 4) | (size_t)p[7] << 24;
        if (len > in.bytes - at - CHUNK_HEADER) return false;
        *out = (chunk){p + CHUNK_HEADER, len};
        if (memcmp(p, name, 4) == 0 || (other && memcmp(p, other, 4) == 0)) return true;
        at += CHUNK_HEADER + len + (len & 1);
    }
    return false;
}

/* What is decoded, and where on the canvas. */
typedef struct frame {
    const uint8_t *data;
    size_t bytes;
    int left, top, width, height, canvas_width, canvas_height;
} frame;

/* The picture of the first frame of an animation; its alpha is not needed. */
static bool find_frame(chunk all, chunk head, frame *f) {
    chunk first, picture;
    if (!find_chunk(all, "ANMF", NULL, &first) || first.bytes < FRAME_HEADER) return false;
    f->left = 2 * (int)get24(first.data), f->top = 2 * (int)get24(first.data + 3);
    f->canvas_width = 1 + (int)get24(head.data + 4), f->canvas_height = 1 + (int)get24(head.data + 7);
    const chunk inside = {first.data + FRAME_HEADER, first.bytes - FRAME_HEADER};
    if (!find_chunk(inside, "VP8 ", "VP8L", &picture)) return false;
    f->data = picture.data - CHUNK_HEADER, f->bytes = picture.bytes + CHUNK_HEADER;
    return true;
}

static kf_status read_header(const uint8_t *data, size_t bytes, chunk all, frame *f, kf_error *err) {
    chunk head;
    bool extended = all.bytes >= 18 && memcmp(all.data, "VP8X", 4) == 0 && find_chunk(all, "VP8X", NULL, &head);
    bool animated = extended && head.bytes >= 10 && head.data[0] & ANIMATED;
    *f = (frame){.data = data, .bytes = bytes};
    if ((animated && !find_frame(all, head, f)) || !WebPGetInfo(f->data, f->bytes, &f->width, &f->height))
        return kf__codec_fail(err, KF_ERR_FORMAT, "WebP header cannot be read; the file may be truncated");
    if (!animated) f->canvas_width = f->width, f->canvas_height = f->height;
    if (f->left > f->canvas_width - f->width || f->top > f->canvas_height - f->height)
        return kf__codec_fail(err, KF_ERR_FORMAT, "WebP cannot be decoded; its first frame is outside the canvas");
    return KF_OK;
}

/* ---- pixels ------------------------------------------------------------------------------------------------------ */

/* Is there memory for what a lossless picture needs besides its pixels: 4 bytes each, and tables? libwebp 1.2.4
 * follows an uninitialised pointer if its tables cannot be allocated. */
static bool has_room(const kf_image *im) {
    void *volatile block = malloc(4 * (size_t)im->width * (size_t)im->height + (4 << 20));
    free(block);
    return block != NULL;
}

/* Like WebPDecodeRGBInto, but distinguishes damage from lack of memory. */
static VP8StatusCode decode_webp(const frame *f, kf_image *out) {
    WebPDecoderConfig c;
    uint8_t *to = out->pixels + (size_t)f->top * out->stride + 3 * (size_t)f->left;
    if (!WebPInitDecoderConfig(&c)) return VP8_STATUS_INVALID_PARAM;
    if (!has_room(out)) return VP8_STATUS_OUT_OF_MEMORY;
    c.output.colorspace = MODE_RGB;
    c.output.is_external_memory = 1;
    c.output.u.RGBA.rgba = to;
    c.output.u.RGBA.stride = (int)out->stride;
    c.output.u.RGBA.size = out->stride * (size_t)(f->height - 1) + 3 * (size_t)f->width;
    errno = 0;
    VP8StatusCode code = WebPDecode(f->data, f->bytes, &c);
    return code != VP8_STATUS_OK && errno == ENOMEM ? VP8_STATUS_OUT_OF_MEMORY : code;
}

static int orientation_of(chunk all) {
    chunk exif;
    return find_chunk(all, "EXIF", NULL, &exif) ? kf__codec_exif_orientation(exif.data, exif.bytes) : 1;
}

kf_status kf__codec_webp(const uint8_t *data, size_t bytes, const kf_image_options *o, kf_image *out, kf_error *err) {
    const chunk all = {data + RIFF_HEADER, bytes - RIFF_HEADER};
    frame f;
    KF_TRY(read_header(data, bytes, all, &f, err));
    KF_TRY(kf__codec_limits(f.canvas_width, f.canvas_height, o, err));
    KF_TRY(kf_image_create(f.canvas_width, f.canvas_height, out, err));
    if (f.bytes != bytes) memset(out->pixels, 0, out->stride * (size_t)out->height);
    VP8StatusCode code = decode_webp(&f, out);
    if (code != VP8_STATUS_OK) {
        bool memory = code == VP8_STATUS_OUT_OF_MEMORY;
        kf_image_free(out);
        return kf__codec_fail(err, memory ? KF_ERR_MEMORY : KF_ERR_FORMAT, "WebP cannot be decoded; %s",
                              memory ? "out of memory" : "the file may be truncated");
    }
    kf_status st = o->no_exif ? KF_OK : kf__codec_orient(out, orientation_of(all), err);
    if (st != KF_OK) kf_image_free(out);
    return st;
}
