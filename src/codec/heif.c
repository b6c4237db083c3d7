/* HEIC, and HEIF of other contents, through libheif, found at run time: the main picture, turned upright by libheif, to
 * RGB8, alpha dropped.
 * Owner rule: the picture belongs to the caller. */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "codec/codec.h"
#include "codec/library.h"

/* Of heif.h, so that building needs no header; these declarations have been the same since 1.3. */
enum { SPACE_RGB = 1, INTERLEAVED_RGB = 10, CHANNEL = 10 };
enum { BAD_TYPE = 3, BAD_FEATURE = 4, MEMORY = 6, NO_PLUGIN = 11 }; /* errors */

typedef struct heif_error {
    int code, subcode;
    const char *message;
} heif_error;

typedef struct heif_options {
    uint8_t version, ignore_transformations;
    void *progress[4];
    uint8_t to_8_bits;
} heif_options;

typedef struct heif_context heif_context;
typedef struct heif_handle heif_handle;
typedef struct heif_image heif_image;

static struct {
    heif_context *(*alloc)(void);
    void (*free)(heif_context *);
    void (*limit)(heif_context *, int side);
    void (*threads)(heif_context *, int);
    heif_error (*read)(heif_context *, const void *, size_t bytes, const void *options);
    heif_error (*primary)(heif_context *, heif_handle **);
    void (*release)(const heif_handle *);
    int (*width)(const heif_handle *);
    int (*height)(const heif_handle *);
    int (*stored_width)(const heif_handle *);
    int (*stored_height)(const heif_handle *);
    heif_options *(*options)(void);
    void (*options_free)(heif_options *);
    heif_error (*decode)(const heif_handle *, heif_image **, int colorspace, int chroma, const heif_options *);
    void (*image_free)(const heif_image *);
    int (*image_width)(const heif_image *, int channel);
    int (*image_height)(const heif_image *, int channel);
    const uint8_t *(*plane)(const heif_image *, int channel, int *stride);
} lib;

static const char *const NAMES[] = {"heif_context_alloc",
                                    "heif_context_free",
                                    "heif_context_set_maximum_image_size_limit",
                                    "heif_context_set_max_decoding_threads",
                                    "heif_context_read_from_memory_without_copy",
                                    "heif_context_get_primary_image_handle",
                                    "heif_image_handle_release",
                                    "heif_image_handle_get_width",
                                    "heif_image_handle_get_height",
                                    "heif_image_handle_get_ispe_width",
                                    "heif_image_handle_get_ispe_height",
                                    "heif_decoding_options_alloc",
                                    "heif_decoding_options_free",
                                    "heif_decode_image",
                                    "heif_image_release",
                                    "heif_image_get_width",
                                    "heif_image_get_height",
                                    "heif_image_get_plane_readonly"};
static void *const TO[] = {&lib.alloc,         &lib.free,         &lib.limit,        &lib.threads, &lib.read,
                           &lib.primary,       &lib.release,      &lib.width,        &lib.height,  &lib.stored_width,
                           &lib.stored_height, &lib.options,      &lib.options_free, &lib.decode,  &lib.image_free,
                           &lib.image_width,   &lib.image_height, &lib.plane};
static kf__library library = {
    "HEIC", {"libheif.so.1"}, "libheif1", NAMES, TO, sizeof TO / sizeof *TO, PTHREAD_MUTEX_INITIALIZER, 0};

static kf_status check(heif_error e, kf_error *err) {
    if (!e.code) return KF_OK;
    bool missing = e.code == BAD_FEATURE || e.code == BAD_TYPE || e.code == NO_PLUGIN;
    const char *why = e.message ? e.message : "no reason given";
    if (e.code == MEMORY || errno == ENOMEM)
        return kf__codec_fail(err, KF_ERR_MEMORY, "HEIC cannot be decoded; out of memory; close other programs");
    return kf__codec_fail(err, missing ? KF_ERR_UNSUPPORTED : KF_ERR_FORMAT, "HEIC cannot be decoded; %.200s; %s", why,
                          missing ? "install libheif's decoders, or convert the picture" : "the file may be truncated");
}

static kf_status copy(const heif_image *im, const kf_image_options *o, kf_image *out, kf_error *err) {
    int stride = 0, width = lib.image_width(im, CHANNEL), height = lib.image_height(im, CHANNEL);
    const uint8_t *from = lib.plane(im, CHANNEL, &stride);
    KF_TRY(kf__codec_limits(width, height, o, err));
    if (!from || stride / 3 < width)
        return kf__codec_fail(err, KF_ERR_UNSUPPORTED, "HEIC gives no RGB; convert the picture");
    KF_TRY(kf_image_create(width, height, out, err));
    for (int y = 0; y < height; y++)
        memcpy(out->pixels + (size_t)y * out->stride, from + (size_t)y * (size_t)stride, 3 * (size_t)width);
    return KF_OK;
}

static kf_status decode(const heif_handle *h, const kf_image_options *o, kf_image *out, kf_error *err) {
    heif_image *im = NULL;
    KF_TRY(kf__codec_limits(lib.width(h), lib.height(h), o, err));
    KF_TRY(kf__codec_limits(lib.stored_width(h), lib.stored_height(h), o, err));
    heif_options *options = lib.options();
    if (!options) return kf__codec_fail(err, KF_ERR_MEMORY, "HEIC: out of memory");
    options->ignore_transformations = o->no_exif != 0;
    if (options->version >= 2) options->to_8_bits = 1;
    kf_status st = check(lib.decode(h, &im, SPACE_RGB, INTERLEAVED_RGB, options), err);
    lib.options_free(options);
    if (st == KF_OK) st = copy(im, o, out, err);
    if (im) lib.image_free(im);
    return st;
}

/* Is "avif" one of the brands that the file is compatible with? */
static bool is_avif(const uint8_t *data, size_t bytes) {
    size_t box = (size_t)data[2] << 8 | data[3];
    if (data[0] || data[1] || box > bytes) return false;
    for (size_t at = 16; at + 4 <= box; at += 4)
        if (memcmp(data + at, "avif", 4) == 0) return true;
    return false;
}

kf_status kf__codec_heif(const uint8_t *data, size_t bytes, const kf_image_options *o, kf_image *out, kf_error *err) {
    heif_handle *h = NULL;
    if (is_avif(data, bytes)) return kf__codec_avif(data, bytes, o, out, err);
    KF_TRY(kf__library_load(&library, err));
    heif_context *c = lib.alloc();
    if (!c) return kf__codec_fail(err, KF_ERR_MEMORY, "HEIC: out of memory");
    lib.limit(c, o->max_side);
    lib.threads(c, 0);
    errno = 0;
    kf_status st = check(lib.read(c, data, bytes, NULL), err);
    if (st == KF_OK) st = check(lib.primary(c, &h), err);
    if (st == KF_OK) st = decode(h, o, out, err);
    if (h) lib.release(h);
    lib.free(c);
    if (st != KF_OK) kf_image_free(out);
    return st;
}
