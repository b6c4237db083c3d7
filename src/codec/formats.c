/* The formats: how their files begin, how their names end, and who decodes them. This is the only list of them.
 * Owner rule: static tables. */
#include <stdbool.h>
#include <string.h>

#include "codec/codec.h"

/* '?' stands for any byte. */
static const struct format {
    const char *name, *mark;
    size_t length;
    kf__codec_fn *decode;
} FORMATS[] = {
    {"JPEG", "\xff\xd8\xff", 3, kf__codec_jpeg},
    {"PNG", "\x89PNG\r\n\x1a\n", 8, kf__codec_png},
    {"WebP", "RIFF????WEBP", 12, kf__codec_webp},
    {"BMP", "BM", 2, kf__codec_bmp},
    {"GIF", "GIF87a", 6, kf__codec_gif},
    {"GIF", "GIF89a", 6, kf__codec_gif},
    {"PGM", "P2", 2, kf__codec_pnm},
    {"PPM", "P3", 2, kf__codec_pnm},
    {"PGM", "P5", 2, kf__codec_pnm},
    {"PPM", "P6", 2, kf__codec_pnm},
    {"TIFF", "II*\0", 4, kf__codec_tiff},
    {"TIFF", "MM\0*", 4, kf__codec_tiff},
    {"TIFF", "II+\0", 4, kf__codec_tiff}, /* BigTIFF */
    {"TIFF", "MM\0+", 4, kf__codec_tiff},
    {"AVIF", "????ftypavif", 12, kf__codec_avif},
    {"AVIF", "????ftypavis", 12, kf__codec_avif},
    {"HEIC", "????ftyphei?", 12, kf__codec_heif},
    {"HEIC", "????ftyphev?", 12, kf__codec_heif},
    {"HEIF", "????ftypmif1", 12, kf__codec_heif},
    {"HEIF", "????ftypmsf1", 12, kf__codec_heif},
};

static const char *const SUFFIXES[] = {".jpg", ".jpeg", ".png", ".webp", ".bmp",  ".dib",  ".gif", ".ppm",
                                       ".pgm", ".pnm",  ".tif", ".tiff", ".avif", ".heic", ".heif"};

static const struct format *find(const uint8_t *data, size_t bytes) {
    for (size_t k = 0; k < sizeof FORMATS / sizeof *FORMATS; k++) {
        const struct format *f = &FORMATS[k];
        bool same = bytes >= f->length;
        for (size_t i = 0; same && i < f->length; i++) same = f->mark[i] == '?' || data[i] == (uint8_t)f->mark[i];
        if (same) return f;
    }
    return NULL;
}

kf__codec_fn *kf__codec_for(const uint8_t *data, size_t bytes) {
    const struct format *f = find(data, bytes);
    return f ? f->decode : NULL;
}

const char *kf_image_format(const void *data, size_t bytes) {
    const struct format *f = data ? find(data, bytes) : NULL;
    return f ? f->name : NULL;
}

/* A to Z as a to z, whatever the locale. */
static char small(char c) { return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c; }

static bool ends(const char *path, size_t length, const char *suffix) {
    size_t n = strlen(suffix);
    if (length < n) return false;
    for (size_t i = 0; i < n; i++)
        if (small(path[length - n + i]) != suffix[i]) return false;
    return true;
}

int kf_image_has_suffix(const char *path) {
    size_t n = path ? strlen(path) : 0;
    for (size_t i = 0; i < sizeof SUFFIXES / sizeof *SUFFIXES; i++)
        if (ends(path, n, SUFFIXES[i])) return 1;
    return 0;
}
