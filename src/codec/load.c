/* kf_image_load: reads the file, and hands it to the decoder of its format; EXIF orientation.
 * Owner rule: the picture belongs to the caller. */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/codec.h"
#include "kitfox/kitfox.h"

/* A file or a stream; a picture of KF_IMAGE_MAX_PIXELS without compression has 0.3 GiB. */
#define MAX_BYTES ((size_t)1 << 30)
/* To what kf_image_limit may raise limits. */
#define MOST_PIXELS ((int64_t)1 << 32)
#define MOST_SIDE ((int64_t)1 << 20)

kf_status kf__codec_fail(kf_error *err, kf_status status, const char *fmt, ...) {
    if (!err) return status;
    va_list args;
    va_start(args, fmt);
    err->status = status;
    vsnprintf(err->text, sizeof err->text, fmt, args);
    va_end(args);
    return status;
}

kf_status kf__codec_limits(int64_t w, int64_t h, const kf_image_options *o, kf_error *err) {
    if (w < 1 || h < 1)
        return kf__codec_fail(err, KF_ERR_FORMAT, "the picture has no pixels (%lldx%lld)", (long long)w, (long long)h);
    if (w > o->max_side || h > o->max_side || w * h > o->max_pixels)
        return kf__codec_fail(
            err, KF_ERR_LIMIT,
            "%lldx%lld pixels; at most %d a side and %lld in all are accepted; shrink the picture, or "
            "raise the limit with --max-pixels (in programs: kf_image_limit)",
            (long long)w, (long long)h, o->max_side, (long long)o->max_pixels);
    return KF_OK;
}

static unsigned read16(const uint8_t *p, int big) {
    return big ? (unsigned)p[0] << 8 | p[1] : (unsigned)p[1] << 8 | p[0];
}
static uint32_t read32(const uint8_t *p, int big) {
    return big ? read16(p, 1) << 16 | read16(p + 2, 1) : read16(p + 2, 0) << 16 | read16(p, 0);
}

int kf__codec_exif_orientation(const uint8_t *e, size_t n) {
    size_t mark = n >= 6 && memcmp(e, "Exif\0\0", 6) == 0 ? 6 : 0, size = n - mark;
    const uint8_t *t = e + mark;
    if (size < 8) return 1;
    int big = t[0] == 'M' && t[1] == 'M';
    if (!big && !(t[0] == 'I' && t[1] == 'I')) return 1;
    size_t at = read32(t + 4, big);
    if (read16(t + 2, big) != 42 || at > size - 2) return 1;
    unsigned entries = read16(t + at, big);
    for (unsigned i = 0; i < entries; i++) {
        size_t entry = at + 2 + 12 * (size_t)i;
        if (entry + 12 > size) return 1;
        if (read16(t + entry, big) != 0x0112) continue;
        unsigned v = read16(t + entry + 8, big);
        return read16(t + entry + 2, big) == 3 && v >= 1 && v <= 8 ? (int)v
                                                                   : 1; /* 0 and invalid values count as upright */
    }
    return 1;
}

kf_status kf__codec_orient(kf_image *image, int o, kf_error *err) {
    if (o <= 1) return KF_OK;
    kf_image turned;
    int swap = o >= 5;
    kf_status st = swap ? kf_image_create(image->height, image->width, &turned, err)
                        : kf_image_create(image->width, image->height, &turned, err);
    if (st != KF_OK) return st;
    for (int32_t y = 0; y < turned.height; y++)
        for (int32_t x = 0; x < turned.width; x++) {
            int32_t u = swap ? y : x; /* source column and row before mirroring */
            int32_t v = swap ? x : y;
            int mirror_u = o == 2 || o == 3 || o == 7 || o == 8, mirror_v = o == 3 || o == 4 || o == 6 || o == 7;
            if (mirror_u) u = image->width - 1 - u;
            if (mirror_v) v = image->height - 1 - v;
            memcpy(turned.pixels + (size_t)y * turned.stride + 3 * (size_t)x,
                   image->pixels + (size_t)v * image->stride + 3 * (size_t)u, 3);
        }
    kf_image_free(image);
    *image = turned;
    return KF_OK;
}

static int64_t changed_pixels; /* of kf_image_limit; 0: it was not called */

kf_status kf_image_limit(int64_t max_pixels, kf_error *err) {
    if (max_pixels < 0 || max_pixels > MOST_PIXELS)
        return kf__codec_fail(err, KF_ERR_ARGUMENT, "kf_image_limit: %lld pixels; 0 to %lld are possible",
                              (long long)max_pixels, (long long)MOST_PIXELS);
    changed_pixels = max_pixels;
    return KF_OK;
}

/* What the options leave as it is follows kf_image_limit. */
static void apply_limit(kf_image_options *o) {
    int64_t side = changed_pixels < MOST_SIDE ? changed_pixels : MOST_SIDE;
    if (!changed_pixels) return;
    if (o->max_pixels == KF_IMAGE_MAX_PIXELS) o->max_pixels = changed_pixels;
    if (o->max_side == KF_IMAGE_MAX_SIDE && side > KF_IMAGE_MAX_SIDE) o->max_side = (int32_t)side;
}

static kf_status read_options(kf_image_options *to, const kf_image_options *from, kf_error *err) {
    kf_image_options_init(to);
    KF_TRY(kf_options_read(to, from, "kf_image_options", err));
    if (to->max_side < 1 || to->max_pixels < 1 || to->max_scans < 1)
        return kf__codec_fail(
            err, KF_ERR_ARGUMENT,
            "kf_image_options: limits of %d for a side, %lld pixels and %d scans; each has to be 1 or "
            "more",
            to->max_side, (long long)to->max_pixels, to->max_scans);
    apply_limit(to);
    return KF_OK;
}

kf_status kf_image_load_memory(const void *data, size_t bytes, const kf_image_options *options, kf_image *out,
                               kf_error *err) {
    kf_image_options o;
    if (!out || (!data && bytes))
        return kf__codec_fail(err, KF_ERR_ARGUMENT, "kf_image_load_memory: data and out are needed");
    *out = (kf_image){0};
    KF_TRY(read_options(&o, options, err));
    if (bytes == 0)
        return kf__codec_fail(err, KF_ERR_FORMAT, "the file is empty; a " KF__CODEC_FORMATS " picture is needed");
    kf__codec_fn *decode = kf__codec_for(data, bytes);
    if (decode) return decode(data, bytes, &o, out, err);
    return kf__codec_fail(err, KF_ERR_UNSUPPORTED, "not a " KF__CODEC_FORMATS " picture; convert it first");
}

/* Standard input to its end. */
static kf_status read_stream(void **data, size_t *bytes, kf_error *err) {
    size_t cap = 0, n = 0, got = 1;
    char *buf = NULL;
    kf_status st = KF_OK;
    while (st == KF_OK && got) {
        if (n == cap) {
            size_t want = cap ? cap * 2 : 1 << 16;
            char *grown = cap < MAX_BYTES ? realloc(buf, want) : NULL;
            if (cap >= MAX_BYTES)
                st = kf__codec_fail(err, KF_ERR_LIMIT, "-: over %zu bytes; at most %zu are accepted", n, MAX_BYTES);
            else if (!grown)
                st = kf__codec_fail(err, KF_ERR_MEMORY, "-: out of memory; %zu bytes were asked for", want);
            if (st != KF_OK) break;
            buf = grown;
            cap = want;
        }
        n += got = fread(buf + n, 1, cap - n, stdin);
    }
    if (st == KF_OK && ferror(stdin)) st = kf__codec_fail(err, KF_ERR_IO, "-: cannot read; %s", strerror(errno));
    if (st != KF_OK) free(buf);
    else *data = buf, *bytes = n;
    return st;
}

kf_status kf_image_load(const char *path, const kf_image_options *options, kf_image *out, kf_error *err) {
    if (!path || !out) return kf__codec_fail(err, KF_ERR_ARGUMENT, "kf_image_load: path and out are needed");
    kf_image_options o;
    void *data = NULL;
    size_t bytes = 0;
    *out = (kf_image){0};
    KF_TRY(read_options(&o, options, err));
    bool stream = strcmp(path, "-") == 0;
    kf_status status = stream ? read_stream(&data, &bytes, err) : kf_file_read(path, MAX_BYTES, &data, &bytes, err);
    if (status != KF_OK) return status;
    kf_error inner = {0};
    status = kf_image_load_memory(data, bytes, &o, out, &inner);
    free(data);
    return status == KF_OK ? status : kf__codec_fail(err, status, "%s: %s", path, inner.text);
}
