/* AVIF through libavif, found at run time: the main picture, or the first one of several, to RGB8, alpha dropped.
 * Colours are computed here, as libavif does with libyuv for Pillow: chroma of half size by the nearest four samples.
 * Owner rule: the picture belongs to the caller; the planes belong to libavif's decoder. */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "codec/codec.h"
#include "codec/library.h"

/* ---- libavif ----------------------------------------------------------------------------------------------------- */

/* Of avif.h, so that building needs no header. Both libraries begin their structures so; 1.0 put four bytes before the
 * transformations. */
enum { NO_CODEC = 15, OUT_OF_MEMORY = 26 };                                           /* results */
enum { YUV444 = 1, YUV422, YUV420, YUV400 };                                          /* formats */
enum { IDENTITY = 0, BT709 = 1, FCC = 4, SMPTE240 = 7, BT2020 = 9, DERIVED = 12 };    /* matrix coefficients */
enum { TURNED = 4, MIRRORED = 8, MOST_PIXELS = 16384 * 16384, FEW_PIXELS = 1 << 22 }; /* transformations; limits */

typedef struct avif_later {
    uint32_t transformations;
    uint32_t ratio[2], aperture[8];
    uint8_t turns, mirror; /* by 90 degrees to the left; 1: left and right are exchanged */
} avif_later;

typedef struct avif_image {
    uint32_t width, height, bits;
    int format, full_range, position;
    uint8_t *planes[3];
    uint32_t strides[3];
    int owned;
    uint8_t *alpha;
    uint32_t alpha_stride;
    int alpha_owned, premultiplied;
    struct {
        uint8_t *data;
        size_t size;
    } icc;
    uint16_t primaries, transfer, matrix;
    union {
        avif_later v0;
        struct {
            uint16_t light[2];
            avif_later later;
        } v1;
    } rest;
} avif_image;

typedef struct avif_decoder {
    int codec, threads, source, progressive, incremental, ignore_exif, ignore_xmp;
    uint32_t most_pixels, most_side, most_images, strict;
    avif_image *image;
} avif_decoder;

static struct {
    avif_decoder *(*create)(void);
    void (*destroy)(avif_decoder *);
    int (*set_memory)(avif_decoder *, const uint8_t *, size_t);
    int (*parse)(avif_decoder *);
    int (*next)(avif_decoder *);
    const char *(*text)(int result);
} lib;

static const char *const NAMES[] = {"avifDecoderCreate", "avifDecoderDestroy",   "avifDecoderSetIOMemory",
                                    "avifDecoderParse",  "avifDecoderNextImage", "avifResultToString"};
static void *const TO[] = {&lib.create, &lib.destroy, &lib.set_memory, &lib.parse, &lib.next, &lib.text};
static kf__library library = {"AVIF",
                              {"libavif.so.15", "libavif.so.16"},
                              "libavif15 (Debian 13: libavif16)",
                              NAMES,
                              TO,
                              sizeof TO / sizeof *TO,
                              PTHREAD_MUTEX_INITIALIZER,
                              0};

static kf_status check(int result, kf_error *err) {
    if (!result) return KF_OK;
    bool missing = result == NO_CODEC;
    if (result == OUT_OF_MEMORY || errno == ENOMEM)
        return kf__codec_fail(err, KF_ERR_MEMORY, "AVIF cannot be decoded; out of memory; close other programs");
    return kf__codec_fail(err, missing ? KF_ERR_UNSUPPORTED : KF_ERR_FORMAT, "AVIF cannot be decoded; %s; %s",
                          lib.text(result), missing ? "install libdav1d" : "the file may be truncated");
}

/* ---- planes ------------------------------------------------------------------------------------------------------ */

typedef struct plane {
    const uint8_t *data;
    size_t stride;
    int32_t width, height;
    bool wide;          /* samples of two bytes */
    int half_x, half_y; /* of the picture */
} plane;

static bool get_plane(const avif_image *im, int k, plane *out) {
    *out = (plane){im->planes[k], im->strides[k], (int32_t)im->width, (int32_t)im->height, im->bits > 8, 0, 0};
    out->half_x = k > 0 && im->format != YUV444, out->half_y = k > 0 && im->format == YUV420;
    out->width = (out->width + out->half_x) >> out->half_x, out->height = (out->height + out->half_y) >> out->half_y;
    return out->data && out->stride >= (size_t)out->width * (out->wide ? 2 : 1);
}

static int32_t within(int32_t v, int32_t n) {
    if (v < 0) return 0;
    return v < n ? v : n - 1;
}

static float at(const plane *p, int32_t x, int32_t y) {
    uint16_t wide;
    const uint8_t *row = p->data + (size_t)within(y, p->height) * p->stride;
    x = within(x, p->width);
    if (!p->wide) return row[x];
    memcpy(&wide, row + 2 * (size_t)x, 2);
    return wide;
}

/* 3/4 of the nearer sample in each direction in which the plane has half the size, and 1/4 of the next. As in libyuv
 * the last column has no next one. */
static float chroma(const plane *p, int32_t x, int32_t y, int32_t last) {
    int32_t u = x >> p->half_x, v = y >> p->half_y, du = x % 2 * 2 - 1, dv = y % 2 * 2 - 1;
    if (x == last) du = 0;
    float near = at(p, u, v), next;
    if (p->half_x) near = 0.75f * near + 0.25f * at(p, u + du, v);
    if (!p->half_y) return near;
    next = at(p, u, v + dv);
    if (p->half_x) next = 0.75f * next + 0.25f * at(p, u + du, v + dv);
    return 0.75f * near + 0.25f * next;
}

/* ---- colours ----------------------------------------------------------------------------------------------------- */

typedef struct colors {
    float luma_from, luma_scale, chroma_from; /* to 0..255 */
    float unit;                               /* of 8 bits in those of the planes */
    float red, blue, green_r, green_b;        /* of chroma in units of 8 bits */
    bool identity;                            /* the planes are green, blue and red */
} colors;

/* In units of 1/64, at most 2, as libyuv has the factors of chroma. */
static float rounded(float v) {
    int n = (int)(64 * v + 0.5f);
    return (float)(n < 128 ? n : 128) / 64;
}

static kf_status find_colors(const avif_image *im, colors *out, kf_error *err) {
    static const struct {
        int matrix;
        float kr, kb;
    } KNOWN[] = {{BT709, 0.2126f, 0.0722f},  {2, 0.299f, 0.114f}, {FCC, 0.3f, 0.11f},
                 {5, 0.299f, 0.114f},        {6, 0.299f, 0.114f}, {SMPTE240, 0.212f, 0.087f},
                 {BT2020, 0.2627f, 0.0593f}, {0, 0.299f, 0.114f}};
    float most = (float)((1 << im->bits) - 1), unit = (float)(1 << (im->bits - 8)), kr = 0, kb = 0, scale = 1;
    int matrix = im->matrix;
    *out = (colors){.luma_scale = 255 / most, .chroma_from = 128 * unit, .unit = unit};
    if (!im->full_range) out->luma_from = 16 * unit, out->luma_scale = 255 / (219 * unit), scale = 255 / 224.0f;
    if (matrix == DERIVED) matrix = im->primaries == BT709 || im->primaries == BT2020 ? im->primaries : 6;
    for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++)
        if (KNOWN[i].matrix == matrix) kr = KNOWN[i].kr, kb = KNOWN[i].kb;
    if (kr == 0)
        return kf__codec_fail(err, KF_ERR_UNSUPPORTED,
                              "AVIF of matrix coefficients %d is not supported; convert the picture", matrix);
    float red = 2 * (1 - kr) * scale, blue = 2 * (1 - kb) * scale, kg = 1 - kr - kb;
    out->red = rounded(red), out->blue = rounded(blue);
    out->green_r = rounded(red * kr / kg), out->green_b = rounded(blue * kb / kg);
    out->identity = matrix == IDENTITY && im->format == YUV444;
    return KF_OK;
}

static uint8_t level(float v) {
    if (v <= 0) return 0;
    return v >= 255 ? 255 : (uint8_t)(v + 0.5f);
}

static void mix(const colors *c, float y, float u, float v, uint8_t *rgb) {
    float l = (y - c->luma_from) * c->luma_scale, b = (u - c->chroma_from) / c->unit,
          r = (v - c->chroma_from) / c->unit;
    rgb[0] = level(l + c->red * r);
    rgb[1] = level(l - c->green_r * r - c->green_b * b);
    rgb[2] = level(l + c->blue * b);
}

static void convert(const colors *c, const plane p[3], kf_image *out) {
    for (int32_t y = 0; y < out->height; y++)
        for (int32_t x = 0; x < out->width; x++) {
            uint8_t *to = out->pixels + (size_t)y * out->stride + 3 * (size_t)x;
            float u = p[1].data ? chroma(&p[1], x, y, out->width - 1) : c->chroma_from;
            float v = p[2].data ? chroma(&p[2], x, y, out->width - 1) : c->chroma_from;
            if (!c->identity) mix(c, at(&p[0], x, y), u, v, to);
            else
                for (int k = 0; k < 3; k++) to[k] = level((at(&p[(k + 2) % 3], x, y) - c->luma_from) * c->luma_scale);
        }
}

static kf_status to_rgb(const avif_image *im, kf_image *out, kf_error *err) {
    plane p[3] = {{0}};
    colors c;
    bool known = im->format >= YUV444 && im->format <= YUV400 && im->bits >= 8 && im->bits <= 16;
    for (int k = 0; known && k < (im->format == YUV400 ? 1 : 3); k++) known = get_plane(im, k, &p[k]);
    if (!known)
        return kf__codec_fail(err, KF_ERR_UNSUPPORTED, "AVIF of planes that are not supported; convert the picture");
    KF_TRY(find_colors(im, &c, err));
    KF_TRY(kf_image_create((int32_t)im->width, (int32_t)im->height, out, err));
    convert(&c, p, out);
    return KF_OK;
}

/* ---- decoding ---------------------------------------------------------------------------------------------------- */

/* What the file says as an orientation of EXIF: turned to the left first, then mirrored. */
static int orientation_of(const avif_image *im) {
    static const uint8_t PLAIN[4] = {1, 8, 3, 6}, MIRRORS[2][4] = {{4, 5, 2, 7}, {2, 7, 4, 5}};
    const avif_later *l = library.loaded == 1 ? &im->rest.v0 : &im->rest.v1.later;
    int turns = l->transformations & TURNED ? l->turns & 3 : 0;
    return l->transformations & MIRRORED ? MIRRORS[l->mirror & 1][turns] : PLAIN[turns];
}

/* Parsed twice: the size is known before the codec is told to refuse frames of a larger one. */
static kf_status decode(avif_decoder *d, const uint8_t *data, size_t bytes, const kf_image_options *o, kf_image *out,
                        kf_error *err) {
    d->threads = 1, d->strict = 0;
    d->ignore_exif = d->ignore_xmp = 1;
    errno = 0;
    KF_TRY(check(lib.set_memory(d, data, bytes), err));
    KF_TRY(check(lib.parse(d), err));
    KF_TRY(kf__codec_limits(d->image->width, d->image->height, o, err));
    uint64_t pixels = (uint64_t)d->image->width * d->image->height;
    KF_TRY(kf__library_room(&library, (size_t)pixels * 8 + (4 << 20), err)); /* planes of 16 bits, alpha */
    if (pixels < FEW_PIXELS) pixels = FEW_PIXELS; /* parts of a small picture may be larger than it */
    d->most_pixels = pixels < MOST_PIXELS ? (uint32_t)pixels : MOST_PIXELS;
    KF_TRY(check(lib.parse(d), err));
    KF_TRY(check(lib.next(d), err));
    KF_TRY(kf__codec_limits(d->image->width, d->image->height, o, err));
    KF_TRY(to_rgb(d->image, out, err));
    return o->no_exif ? KF_OK : kf__codec_orient(out, orientation_of(d->image), err);
}

kf_status kf__codec_avif(const uint8_t *data, size_t bytes, const kf_image_options *o, kf_image *out, kf_error *err) {
    KF_TRY(kf__library_load(&library, err));
    KF_TRY(kf__library_room(&library, 4 << 20, err));
    avif_decoder *d = lib.create();
    if (!d) return kf__codec_fail(err, KF_ERR_MEMORY, "AVIF: out of memory");
    kf_status st = decode(d, data, bytes, o, out, err);
    lib.destroy(d);
    if (st != KF_OK) kf_image_free(out);
    return st;
}
