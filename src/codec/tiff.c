/* TIFF through libtiff, found at run time: the first page, to RGB8 as Pillow's convert("RGB") does, alpha dropped.
 * Samples of 16 bits keep their upper byte.
 * Owner rule: the picture belongs to the caller; buffers of a block are freed here. */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/codec.h"
#include "codec/library.h"

/* ---- libtiff ----------------------------------------------------------------------------------------------------- */

/* Of tiff.h and tiffio.h 4.5, so that building needs no header: tags, and what they say. */
enum {
    BITS = 258,
    COMPRESSION = 259,
    PHOTOMETRIC = 262,
    ORIENTATION = 274,
    SAMPLES = 277,
    ROWS_PER_STRIP = 278,
    PLANAR = 284,
    COLORMAP = 320,
    TILE_WIDTH = 322,
    TILE_LENGTH = 323,
    INKSET = 332,
    EXTRA_SAMPLES = 338,
    SAMPLE_FORMAT = 339,
    JPEG_COLOR_MODE = 65538,
    WIDTH = 256,
    HEIGHT = 257
};
enum { NO_COMPRESSION = 1, JPEG = 7, SEPARATE = 2, INKS_CMYK = 1, PREMULTIPLIED = 1, UNSIGNED = 1, SIGNED = 2 };
enum photometric { WHITE_IS_0, BLACK_IS_0, RGB, PALETTE, CMYK = 5, YCBCR };
enum { MOST_SAMPLES = 16, MOST_STORED = 8 /* samples of a pixel that are looked at, and bytes of one */ };

typedef struct tiff tiff;
typedef struct open_options open_options;
typedef int on_message(tiff *, void *user, const char *module, const char *format, va_list);
typedef ptrdiff_t on_io(void *user, void *data, ptrdiff_t bytes);
typedef uint64_t on_seek(void *user, uint64_t to, int whence);
typedef int on_close(void *user);
typedef uint64_t on_size(void *user);
typedef int on_map(void *user, void **data, uint64_t *bytes);
typedef void on_unmap(void *user, void *data, uint64_t bytes);

static struct {
    open_options *(*options)(void);
    void (*options_free)(open_options *);
    void (*options_memory)(open_options *, ptrdiff_t);
    void (*options_error)(open_options *, on_message *, void *user);
    void (*options_warning)(open_options *, on_message *, void *user);
    tiff *(*open)(const char *name, const char *mode, void *user, on_io *, on_io *, on_seek *, on_close *, on_size *,
                  on_map *, on_unmap *, open_options *);
    void (*close)(tiff *);
    int (*get)(tiff *, uint32_t tag, ...);
    int (*set)(tiff *, uint32_t tag, ...);
    int (*is_tiled)(tiff *);
    uint32_t (*find_strip)(tiff *, uint32_t row, uint16_t sample);
    uint32_t (*find_tile)(tiff *, uint32_t x, uint32_t y, uint32_t z, uint16_t sample);
    ptrdiff_t (*read_strip)(tiff *, uint32_t strip, void *, ptrdiff_t bytes);
    ptrdiff_t (*read_tile)(tiff *, uint32_t tile, void *, ptrdiff_t bytes);
    int (*read_rgba)(tiff *, uint32_t width, uint32_t height, uint32_t *, int orientation, int stop);
    int (*has_codec)(uint16_t compression);
} lib;

static const char *const NAMES[] = {"TIFFOpenOptionsAlloc",
                                    "TIFFOpenOptionsFree",
                                    "TIFFOpenOptionsSetMaxSingleMemAlloc",
                                    "TIFFOpenOptionsSetErrorHandlerExtR",
                                    "TIFFOpenOptionsSetWarningHandlerExtR",
                                    "TIFFClientOpenExt",
                                    "TIFFClose",
                                    "TIFFGetFieldDefaulted",
                                    "TIFFSetField",
                                    "TIFFIsTiled",
                                    "TIFFComputeStrip",
                                    "TIFFComputeTile",
                                    "TIFFReadEncodedStrip",
                                    "TIFFReadEncodedTile",
                                    "TIFFReadRGBAImageOriented",
                                    "TIFFIsCODECConfigured"};
static void *const TO[] = {&lib.options,
                           &lib.options_free,
                           &lib.options_memory,
                           &lib.options_error,
                           &lib.options_warning,
                           &lib.open,
                           &lib.close,
                           &lib.get,
                           &lib.set,
                           &lib.is_tiled,
                           &lib.find_strip,
                           &lib.find_tile,
                           &lib.read_strip,
                           &lib.read_tile,
                           &lib.read_rgba,
                           &lib.has_codec};
static kf__library library = {
    "TIFF", {"libtiff.so.6"}, "libtiff6", NAMES, TO, sizeof TO / sizeof *TO, PTHREAD_MUTEX_INITIALIZER, 0};

/* ---- a file in memory -------------------------------------------------------------------------------------------- */

typedef struct source {
    const uint8_t *data;
    size_t bytes, at;
    char text[200]; /* what libtiff said first */
} source;

static ptrdiff_t do_read(void *user, void *to, ptrdiff_t bytes) {
    source *s = user;
    size_t left = s->at < s->bytes ? s->bytes - s->at : 0, n = left;
    if ((size_t)bytes < n) n = (size_t)bytes;
    if (n) memcpy(to, s->data + s->at, n);
    s->at += n;
    return (ptrdiff_t)n;
}

static ptrdiff_t do_write(void *user, void *data, ptrdiff_t bytes) {
    (void)user, (void)data, (void)bytes;
    return 0;
}

static uint64_t do_seek(void *user, uint64_t to, int whence) {
    source *s = user;
    uint64_t base = 0;
    if (whence != SEEK_SET) base = whence == SEEK_CUR ? s->at : s->bytes;
    s->at = (size_t)(base + to);
    return s->at;
}

static int do_close(void *user) { return (void)user, 0; }
static uint64_t do_size(void *user) { return ((source *)user)->bytes; }

static int do_map(void *user, void **data, uint64_t *bytes) {
    source *s = user;
    memcpy(data, &s->data, sizeof *data); /* libtiff only reads it */
    *bytes = s->bytes;
    return 1;
}

static void do_unmap(void *user, void *data, uint64_t bytes) { (void)user, (void)data, (void)bytes; }

/* Nothing goes to standard error. */
static int keep_error(tiff *t, void *user, const char *module, const char *format, va_list args) {
    source *s = user;
    (void)t, (void)module;
    if (!s->text[0]) vsnprintf(s->text, sizeof s->text, format, args);
    return 1;
}

static int drop_warning(tiff *t, void *user, const char *module, const char *format, va_list args) {
    (void)t, (void)user, (void)module, (void)format, (void)args;
    return 1;
}

static tiff *open_tiff(source *s, const kf_image_options *o) {
    open_options *options = lib.options();
    if (!options) return NULL;
    uint64_t most = (uint64_t)o->max_pixels * MOST_STORED + (1 << 20);
    lib.options_memory(options, most < PTRDIFF_MAX ? (ptrdiff_t)most : PTRDIFF_MAX);
    lib.options_error(options, keep_error, s);
    lib.options_warning(options, drop_warning, s);
    tiff *t = lib.open("TIFF", "r", s, do_read, do_write, do_seek, do_close, do_size, do_map, do_unmap, options);
    lib.options_free(options);
    return t;
}

/* ---- what the directory says ------------------------------------------------------------------------------------- */

typedef struct page {
    tiff *t;
    source *s;
    uint32_t width, height, block_width, block_height;
    uint16_t bits, samples, photometric, planar, compression, orientation;
    uint16_t *red, *green, *blue; /* of a palette */
    int used, alpha;              /* samples that are read; the one that the colours were multiplied by, or -1 */
    bool tiled, rgba;             /* rgba: libtiff converts it */
} page;

static kf_status damaged(const page *p, kf_error *err) {
    bool memory = errno == ENOMEM;
    const char *why = p->s->text[0] ? p->s->text : "it ends early";
    if (memory)
        return kf__codec_fail(err, KF_ERR_MEMORY, "TIFF cannot be decoded; out of memory; close other programs");
    return kf__codec_fail(err, KF_ERR_FORMAT, "TIFF cannot be decoded; %s; the file may be truncated", why);
}

static kf_status refuse(const page *p, kf_error *err) {
    return kf__codec_fail(err, KF_ERR_UNSUPPORTED,
                          "TIFF of %u samples of %u bits, photometric %u, is not supported; save it as RGB with 8 bits "
                          "a sample",
                          p->samples, p->bits, p->photometric);
}

/* Colours of a pixel without alpha and others. */
static int colors(uint16_t photometric) {
    if (photometric == CMYK) return 4;
    return photometric == RGB || photometric == YCBCR ? 3 : 1;
}

static kf_status check_samples(page *p, kf_error *err) {
    uint16_t format = UNSIGNED, inks = INKS_CMYK;
    bool odd = p->bits != 1 && p->bits != 2 && p->bits != 4 && p->bits != 8 && p->bits != 12 && p->bits != 16;
    lib.get(p->t, SAMPLE_FORMAT, &format);
    bool bytes = format == SIGNED && p->bits == 8 && p->samples == 1; /* as Pillow: taken for unsigned */
    if (odd || (format != UNSIGNED && !bytes) || p->samples > MOST_SAMPLES || p->photometric > YCBCR)
        return refuse(p, err);
    if (p->photometric == YCBCR && p->samples == 1) p->photometric = BLACK_IS_0;
    p->used = colors(p->photometric);
    if (p->photometric == 4 || p->samples < p->used) return refuse(p, err);
    if (p->photometric == CMYK && lib.get(p->t, INKSET, &inks) && inks != INKS_CMYK) return refuse(p, err);
    if (p->photometric != PALETTE) return KF_OK;
    bool have = lib.get(p->t, COLORMAP, &p->red, &p->green, &p->blue);
    return have && p->bits <= 8 ? KF_OK : refuse(p, err);
}

/* Colours that were multiplied by alpha are divided by it. */
static void find_alpha(page *p) {
    uint16_t n = 0, *kinds = NULL;
    p->alpha = -1;
    bool has = p->photometric != PALETTE && p->photometric != CMYK && p->samples > p->used;
    if (has && lib.get(p->t, EXTRA_SAMPLES, &n, &kinds) && n && kinds[0] == PREMULTIPLIED) p->alpha = p->used++;
}

static kf_status read_layout(page *p, const kf_image_options *o, kf_error *err) {
    p->tiled = lib.is_tiled(p->t) != 0;
    p->block_width = p->width, p->block_height = p->height;
    if (p->tiled) {
        lib.get(p->t, TILE_WIDTH, &p->block_width);
        lib.get(p->t, TILE_LENGTH, &p->block_height);
    } else {
        uint32_t rows = p->height;
        lib.get(p->t, ROWS_PER_STRIP, &rows);
        if (rows < p->height) p->block_height = rows;
    }
    return kf__codec_limits(p->block_width, p->block_height, o, err);
}

static kf_status read_page(page *p, const kf_image_options *o, kf_error *err) {
    lib.get(p->t, WIDTH, &p->width);
    lib.get(p->t, HEIGHT, &p->height);
    KF_TRY(kf__codec_limits(p->width, p->height, o, err));
    p->bits = p->samples = p->planar = p->orientation = p->compression = 1, p->photometric = UINT16_MAX;
    lib.get(p->t, BITS, &p->bits);
    lib.get(p->t, SAMPLES, &p->samples);
    lib.get(p->t, PLANAR, &p->planar);
    lib.get(p->t, ORIENTATION, &p->orientation);
    lib.get(p->t, COMPRESSION, &p->compression);
    lib.get(p->t, PHOTOMETRIC, &p->photometric);
    if (p->photometric == UINT16_MAX) p->photometric = p->samples >= 3 ? RGB : WHITE_IS_0;
    KF_TRY(check_samples(p, err));
    find_alpha(p);
    if (!lib.has_codec(p->compression))
        return kf__codec_fail(err, KF_ERR_UNSUPPORTED, "this libtiff has no TIFF compression %u; convert the picture",
                              p->compression);
    if (p->photometric == YCBCR) {
        if (p->compression == JPEG && p->planar != SEPARATE && p->bits == 8) lib.set(p->t, JPEG_COLOR_MODE, 1);
        else p->rgba = true;
    }
    uint64_t needed = ((uint64_t)p->width * p->samples * p->bits + 7) / 8 * p->height;
    if (p->compression == NO_COMPRESSION && !p->rgba && p->planar != SEPARATE && !p->tiled && needed > p->s->bytes)
        return kf__codec_fail(err, KF_ERR_FORMAT, "TIFF of %ux%u pixels in %zu bytes; the file may be truncated",
                              p->width, p->height, p->s->bytes);
    return read_layout(p, o, err);
}

/* ---- pixels ------------------------------------------------------------------------------------------------------ */

/* Sample k of a row: of 8 bits, or as it is where it is an index. */
static uint8_t sample(const uint8_t *row, size_t k, unsigned bits, bool index) {
    uint16_t wide;
    if (bits == 8) return row[k];
    if (bits == 16) return memcpy(&wide, row + 2 * k, 2), (uint8_t)(wide >> 8);
    if (bits == 12) {
        const uint8_t *at = row + k / 2 * 3;
        return k % 2 ? (uint8_t)(at[1] << 4 | at[2] >> 4) : at[0];
    }
    unsigned top = (1u << bits) - 1, value = row[k * bits / 8] >> (8 - bits - k * bits % 8) & top;
    return (uint8_t)(index ? value : value * 255 / top);
}

static uint8_t times(unsigned a, unsigned b) {
    unsigned t = a * b + 128;
    return (uint8_t)((t + (t >> 8)) >> 8);
}

static uint8_t divided(unsigned value, unsigned alpha) {
    if (!alpha) return 0;
    unsigned v = value * 255 / alpha;
    return (uint8_t)(v > 255 ? 255 : v);
}

static void to_rgb(const page *p, const uint8_t v[MOST_STORED], uint8_t *rgb) {
    switch (p->photometric) {
    case WHITE_IS_0: rgb[0] = rgb[1] = rgb[2] = (uint8_t)(255 - v[0]); break;
    case BLACK_IS_0: rgb[0] = rgb[1] = rgb[2] = v[0]; break;
    case PALETTE:
        rgb[0] = (uint8_t)(p->red[v[0]] >> 8), rgb[1] = (uint8_t)(p->green[v[0]] >> 8);
        rgb[2] = (uint8_t)(p->blue[v[0]] >> 8);
        break;
    case CMYK:
        for (int c = 0; c < 3; c++) {
            int paper = 255 - v[3], left = paper - times(v[c], (unsigned)paper);
            rgb[c] = (uint8_t)(left < 0 ? 0 : left);
        }
        break;
    default: memcpy(rgb, v, 3); break;
    }
    for (int c = 0; p->alpha >= 0 && c < 3; c++) rgb[c] = divided(rgb[c], v[p->alpha]);
}

typedef struct block {
    uint8_t *raw, *samples; /* as decoded, of one plane; of all, `used` bytes a pixel */
    uint32_t x, y, rows;
    size_t row_bytes;
} block;

static kf_status read_plane(const page *p, const block *b, uint16_t plane, kf_error *err) {
    ptrdiff_t bytes = (ptrdiff_t)(b->row_bytes * b->rows), got;
    errno = 0;
    if (p->tiled) got = lib.read_tile(p->t, lib.find_tile(p->t, b->x, b->y, 0, plane), b->raw, bytes);
    else got = lib.read_strip(p->t, lib.find_strip(p->t, b->y, plane), b->raw, bytes);
    return got == bytes ? KF_OK : damaged(p, err);
}

/* Samples `first` and on from a plane that holds `step` of them for a pixel. */
static void spread(const page *p, const block *b, int first, int n, int step) {
    bool index = p->photometric == PALETTE;
    for (uint32_t y = 0; y < b->rows; y++) {
        const uint8_t *row = b->raw + y * b->row_bytes;
        uint8_t *to = b->samples + (size_t)y * p->block_width * (size_t)p->used + first;
        for (size_t x = 0; x < p->block_width; x++, to += p->used)
            for (int c = 0; c < n; c++) to[c] = sample(row, x * (size_t)step + (size_t)c, p->bits, index);
    }
}

static kf_status read_block(const page *p, block *b, kf_image *out, kf_error *err) {
    bool planes = p->planar == SEPARATE && p->samples > 1;
    uint32_t left = p->height - b->y;
    b->rows = p->tiled || left > p->block_height ? p->block_height : left;
    for (int c = 0; c < (planes ? p->used : 1); c++) {
        KF_TRY(read_plane(p, b, (uint16_t)c, err));
        if (planes) spread(p, b, c, 1, 1);
        else spread(p, b, 0, p->used, p->samples);
    }
    for (uint32_t y = 0; y < b->rows && y < left; y++) {
        const uint8_t *from = b->samples + (size_t)y * p->block_width * (size_t)p->used;
        uint8_t *to = out->pixels + (size_t)(b->y + y) * out->stride + 3 * (size_t)b->x;
        for (uint32_t x = b->x; x - b->x < p->block_width && x < p->width; x++, from += p->used, to += 3)
            to_rgb(p, from, to);
    }
    return KF_OK;
}

static kf_status read_blocks(const page *p, kf_image *out, kf_error *err) {
    block b = {0};
    size_t stored = p->planar == SEPARATE ? 1 : p->samples, pixels = (size_t)p->block_width * p->block_height;
    kf_status st = KF_OK;
    b.row_bytes = (p->block_width * stored * p->bits + 7) / 8;
    b.raw = malloc(b.row_bytes * p->block_height);
    b.samples = malloc(pixels * (size_t)p->used + MOST_STORED);
    if (!b.raw || !b.samples)
        st = kf__codec_fail(err, KF_ERR_MEMORY, "out of memory for a block of %ux%u pixels of a TIFF", p->block_width,
                            p->block_height);
    for (b.y = 0; st == KF_OK && b.y < p->height; b.y += p->block_height)
        for (b.x = 0; st == KF_OK && b.x < p->width; b.x += p->block_width) st = read_block(p, &b, out, err);
    free(b.raw);
    free(b.samples);
    return st;
}

/* YCbCr in another form than JPEG: libtiff's own conversion, as in Pillow. */
static kf_status read_rgba(const page *p, kf_image *out, kf_error *err) {
    size_t pixels = (size_t)p->width * p->height;
    uint32_t *raster = malloc(4 * pixels);
    if (!raster) return kf__codec_fail(err, KF_ERR_MEMORY, "out of memory for %zu pixels of a TIFF", pixels);
    lib.set(p->t, ORIENTATION, 1); /* it is turned afterwards */
    errno = 0;
    int done = lib.read_rgba(p->t, p->width, p->height, raster, 1, 1);
    for (uint32_t y = 0; done && y < p->height; y++)
        for (uint32_t x = 0; x < p->width; x++) {
            uint32_t v = raster[(size_t)y * p->width + x];
            uint8_t *to = out->pixels + (size_t)y * out->stride + 3 * (size_t)x;
            to[0] = (uint8_t)v, to[1] = (uint8_t)(v >> 8), to[2] = (uint8_t)(v >> 16);
        }
    free(raster);
    return done ? KF_OK : damaged(p, err);
}

kf_status kf__codec_tiff(const uint8_t *data, size_t bytes, const kf_image_options *o, kf_image *out, kf_error *err) {
    source s = {.data = data, .bytes = bytes};
    page p = {.s = &s};
    KF_TRY(kf__library_load(&library, err));
    KF_TRY(kf__library_room(&library, 4 << 20, err));
    errno = 0;
    p.t = open_tiff(&s, o);
    if (!p.t) return damaged(&p, err);
    kf_status st = read_page(&p, o, err);
    if (st == KF_OK) st = kf_image_create((int32_t)p.width, (int32_t)p.height, out, err);
    if (st == KF_OK) st = p.rgba ? read_rgba(&p, out, err) : read_blocks(&p, out, err);
    lib.close(p.t);
    if (st == KF_OK && !o->no_exif) st = kf__codec_orient(out, p.orientation > 8 ? 1 : p.orientation, err);
    if (st != KF_OK) kf_image_free(out);
    return st;
}
