/* BMP of 1, 4, 8, 16, 24 and 32 bits a pixel, plain, with masks or run-length coded, as Pillow reads it: padding bits
 * and alpha are dropped, indices past the palette are black. Nothing is allocated before the file has what its header
 * promises. Owner rule: the picture belongs to the caller. */
#include <stdbool.h>
#include <string.h>

#include "codec/codec.h"

enum { RAW = 0, RLE8 = 1, RLE4 = 2, FIELDS = 3, FILE_HEADER = 14, CORE_HEADER = 12, INFO_HEADER = 40 };

typedef struct bmp {
    const uint8_t *data;
    size_t bytes;
    int64_t width, height;
    bool top_down;
    uint32_t header, bits, compression, colors;
    uint32_t mask[3];   /* red, green, blue */
    size_t table, from; /* where the palette begins, where pixels begin */
    uint8_t palette[256][3];
} bmp;

static uint32_t get16(const uint8_t *p) { return (uint32_t)p[0] | (uint32_t)p[1] << 8; }
static uint32_t get32(const uint8_t *p) { return get16(p) | get16(p + 2) << 16; }

static kf_status truncated(kf_error *err) {
    return kf__codec_fail(err, KF_ERR_FORMAT, "BMP cannot be decoded; the file is truncated");
}

/* ---- header ------------------------------------------------------------------------------------------------------ */

static bool known_header(uint32_t n) {
    return n == CORE_HEADER || n == INFO_HEADER || n == 52 || n == 56 || n == 64 || n == 108 || n == 124;
}

/* Sizes and kinds; without masks and palette. */
static kf_status read_sizes(bmp *b, kf_error *err) {
    const uint8_t *h = b->data + FILE_HEADER;
    if (b->bytes < FILE_HEADER + 4) return truncated(err);
    b->header = get32(h);
    if (!known_header(b->header))
        return kf__codec_fail(err, KF_ERR_UNSUPPORTED,
                              "BMP with a header of %u bytes; 12, 40, 52, 56, 64, 108 and 124 "
                              "are known; save it again",
                              b->header);
    if (b->bytes < FILE_HEADER + b->header) return truncated(err);
    bool core = b->header == CORE_HEADER;
    b->width = core ? (int64_t)get16(h + 4) : (int64_t)(int32_t)get32(h + 4);
    b->height = core ? (int64_t)get16(h + 6) : (int64_t)(int32_t)get32(h + 8);
    b->bits = get16(h + (core ? 10 : 14));
    b->compression = core ? RAW : get32(h + 16);
    b->colors = core ? 0 : get32(h + 32);
    b->top_down = b->height < 0;
    if (b->top_down) b->height = -b->height;
    return KF_OK;
}

static kf_status check_kind(const bmp *b, kf_error *err) {
    uint32_t bits = b->bits, c = b->compression;
    bool known = bits == 1 || bits == 4 || bits == 8 || bits == 16 || bits == 24 || bits == 32;
    if (!known)
        return kf__codec_fail(err, KF_ERR_UNSUPPORTED, "BMP of %u bits a pixel; 1, 4, 8, 16, 24 and 32 are read", bits);
    bool fits = c == RAW || (c == RLE8 && bits == 8) || (c == RLE4 && bits == 4) || (c == FIELDS && bits >= 16);
    if (fits) return KF_OK;
    return kf__codec_fail(err, KF_ERR_UNSUPPORTED, "BMP of compression %u with %u bits a pixel; save it without", c,
                          bits);
}

/* Behind a header of 40 bytes, or in a longer one. */
static kf_status read_masks(bmp *b, kf_error *err) {
    static const uint32_t FIVE[3] = {0x7c00, 0x3e0, 0x1f}, EIGHT[3] = {0xff0000, 0xff00, 0xff};
    b->table = FILE_HEADER + (size_t)b->header;
    memcpy(b->mask, b->bits == 16 ? FIVE : EIGHT, sizeof b->mask);
    if (b->compression != FIELDS) return KF_OK;
    if (b->bytes < FILE_HEADER + INFO_HEADER + 12) return truncated(err);
    const uint8_t *p = b->data + FILE_HEADER + INFO_HEADER;
    uint32_t any = 0;
    if (b->header == INFO_HEADER) b->table += 12;
    for (int c = 0; c < 3; c++) any |= get32(p + 4 * c);
    for (int c = 0; any && c < 3; c++) b->mask[c] = get32(p + 4 * c);
    return KF_OK;
}

static void read_palette(bmp *b) {
    size_t each = b->header == CORE_HEADER ? 3 : 4, colors = b->colors;
    if (b->bits > 8) return;
    if (!colors) colors = (size_t)1 << b->bits;
    if (b->from == FILE_HEADER + (size_t)b->header) b->from += each * colors; /* an offset that forgets the palette */
    for (size_t i = 0; i < 256; i++) {
        bool there = i < colors && b->table + each * (i + 1) <= b->bytes;
        const uint8_t *p = b->data + b->table + each * i;
        for (size_t c = 0; c < 3; c++) b->palette[i][c] = there ? p[2 - c] : 0;
    }
}

/* ---- pixels ------------------------------------------------------------------------------------------------------ */

static uint8_t *row_of(const bmp *b, const kf_image *out, int64_t y) {
    return out->pixels + (size_t)(b->top_down ? y : b->height - 1 - y) * out->stride;
}

static size_t row_bytes(const bmp *b) { return ((size_t)b->width * b->bits + 31) / 32 * 4; }

static uint8_t field(uint32_t pixel, uint32_t mask) {
    if (!mask) return 0;
    int shift = __builtin_ctz(mask);
    return (uint8_t)((uint64_t)((pixel & mask) >> shift) * 255 / (mask >> shift));
}

static void indexed_row(const bmp *b, const uint8_t *from, uint8_t *to) {
    uint32_t per_byte = 8 / b->bits, most = (1u << b->bits) - 1;
    for (size_t x = 0; x < (size_t)b->width; x++) {
        uint32_t shift = 8 - b->bits * (uint32_t)(x % per_byte + 1);
        memcpy(to + 3 * x, b->palette[from[x / per_byte] >> shift & most], 3);
    }
}

static void coloured_row(const bmp *b, const uint8_t *from, uint8_t *to) {
    size_t each = b->bits / 8;
    for (size_t x = 0; x < (size_t)b->width; x++, from += each) {
        uint32_t pixel = get16(from);
        for (size_t k = 2; k < each; k++) pixel |= (uint32_t)from[k] << 8 * k;
        for (int c = 0; c < 3; c++) to[3 * x + (size_t)c] = field(pixel, b->mask[c]);
    }
}

static kf_status plain(const bmp *b, kf_image *out) {
    for (int64_t y = 0; y < b->height; y++) {
        const uint8_t *from = b->data + b->from + (size_t)y * row_bytes(b);
        if (b->bits <= 8) indexed_row(b, from, row_of(b, out, y));
        else coloured_row(b, from, row_of(b, out, y));
    }
    return KF_OK;
}

/* What run-length codes have filled so far: `at` of all pixels, row after row. */
typedef struct runs {
    const bmp *b;
    kf_image *out;
    size_t at, all, x;
} runs;

static void put(runs *r, uint8_t index) {
    if (r->at >= r->all) return;
    size_t w = (size_t)r->b->width, y = r->at / w, x = r->at % w;
    memcpy(row_of(r->b, r->out, (int64_t)y) + 3 * x, r->b->palette[index], 3);
    r->at++;
}

static void skip(runs *r, size_t n) {
    for (; n && r->at < r->all; n--) put(r, 0);
}

/* A run is cut at the end of its row. */
static void encoded(runs *r, size_t n, uint8_t value) {
    size_t w = (size_t)r->b->width, left = r->x < w ? w - r->x : 0;
    if (n > left) n = left;
    for (size_t i = 0; i < n; i++) {
        uint8_t nibble = i % 2 ? value & 15 : value >> 4;
        put(r, r->b->bits == 4 ? nibble : value);
    }
    r->x += n;
}

/* `n` pixels as they are, padded to an even number of bytes; how many bytes that were, 0: they are not there. */
static size_t absolute(runs *r, size_t n, const uint8_t *p, size_t room) {
    bool four = r->b->bits == 4;
    size_t bytes = four ? (n + 1) / 2 : n;
    if (bytes > room) return 0;
    for (size_t i = 0; i < n; i++) {
        uint8_t pair = p[four ? i / 2 : i], nibble = pair >> 4;
        if (i % 2) nibble = pair & 15;
        put(r, four ? nibble : pair);
    }
    r->x += n;
    return bytes;
}

static kf_status run_lengths(const bmp *b, kf_image *out, kf_error *err) {
    runs r = {.b = b, .out = out, .all = (size_t)(b->width * b->height)};
    size_t w = (size_t)b->width, p = b->from;
    while (r.at < r.all) {
        if (b->bytes - p < 2) return truncated(err);
        uint8_t n = b->data[p], value = b->data[p + 1];
        p += 2;
        if (n) {
            encoded(&r, n, value);
        } else if (value == 0) { /* end of the row */
            skip(&r, (w - r.at % w) % w);
            r.x = 0;
        } else if (value == 1) { /* end of the picture */
            skip(&r, r.all - r.at);
        } else if (value == 2) { /* to the right and up */
            if (b->bytes - p < 2) return truncated(err);
            skip(&r, b->data[p] + b->data[p + 1] * w);
            p += 2, r.x = r.at % w;
        } else {
            size_t bytes = absolute(&r, value, b->data + p, b->bytes - p);
            if (!bytes) return truncated(err);
            p += bytes;
            if (p % 2 && p < b->bytes) p++;
        }
    }
    return KF_OK;
}

kf_status kf__codec_bmp(const uint8_t *data, size_t bytes, const kf_image_options *o, kf_image *out, kf_error *err) {
    bmp b = {.data = data, .bytes = bytes};
    KF_TRY(read_sizes(&b, err));
    KF_TRY(check_kind(&b, err));
    KF_TRY(kf__codec_limits(b.width, b.height, o, err));
    KF_TRY(read_masks(&b, err));
    b.from = get32(data + 10);
    read_palette(&b);
    bool coded = b.compression == RLE8 || b.compression == RLE4;
    if (b.from > bytes || (!coded && (bytes - b.from) / row_bytes(&b) < (size_t)b.height)) return truncated(err);
    KF_TRY(kf_image_create((int32_t)b.width, (int32_t)b.height, out, err));
    kf_status st = coded ? run_lengths(&b, out, err) : plain(&b, out);
    if (st != KF_OK) kf_image_free(out);
    return st;
}
