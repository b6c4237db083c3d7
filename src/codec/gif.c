/* The first frame of a GIF, as Pillow reads it: on a canvas of the transparent colour, or of colour 0; indices past the
 * palette are black, and without a palette all are grey. Owner rule: the picture belongs to the caller. */
#include <stdbool.h>
#include <string.h>

#include "codec/codec.h"

enum { MAX_CODES = 4096, HEADER = 13, NO_CODE = -1 };

typedef struct gif {
    const uint8_t *p, *end; /* what is not read yet */
    int64_t width, height;  /* of the canvas */
    int64_t left, top, columns, rows;
    bool interlaced;
    int transparent; /* index, or NO_CODE */
    uint8_t palette[256][3];
} gif;

static uint32_t get16(const uint8_t *p) { return (uint32_t)p[0] | (uint32_t)p[1] << 8; }

static kf_status broken(kf_error *err, const char *why) {
    return kf__codec_fail(err, KF_ERR_FORMAT, "GIF cannot be decoded; %s", why);
}

static kf_status truncated(kf_error *err) { return broken(err, "the file is truncated"); }

/* ---- header ------------------------------------------------------------------------------------------------------ */

/* `flags` of the screen or of a frame; a palette follows if bit 7 is set. */
static kf_status read_palette(gif *g, uint8_t flags, kf_error *err) {
    size_t n = flags & 0x80 ? (size_t)2 << (flags & 7) : 0;
    if ((size_t)(g->end - g->p) < 3 * n) return truncated(err);
    for (size_t i = 0; n && i < 256; i++)
        for (size_t c = 0; c < 3; c++) g->palette[i][c] = i < n ? g->p[3 * i + c] : 0;
    g->p += 3 * n;
    return KF_OK;
}

/* Blocks up to an empty one; the first one of a graphic control has the transparent colour. */
static kf_status read_extension(gif *g, kf_error *err) {
    if (g->end - g->p < 1) return truncated(err);
    bool control = *g->p++ == 0xf9;
    for (;; control = false) {
        if (g->end - g->p < 1 || g->end - g->p <= *g->p) return truncated(err);
        size_t n = *g->p++;
        if (!n) return KF_OK;
        if (control && n >= 4 && g->p[0] & 1) g->transparent = g->p[3];
        g->p += n;
    }
}

/* Up to the pixels of the first frame. */
static kf_status read_header(gif *g, kf_error *err) {
    if (g->end - g->p < HEADER) return truncated(err);
    g->width = get16(g->p + 6), g->height = get16(g->p + 8);
    uint8_t flags = g->p[10];
    g->p += HEADER;
    for (int i = 0; i < 256; i++) memset(g->palette[i], i, 3);
    KF_TRY(read_palette(g, flags, err));
    for (;;) {
        if (g->end - g->p < 1) return truncated(err);
        uint8_t mark = *g->p++;
        if (mark == ',') break;
        if (mark == ';') return broken(err, "it has no picture");
        if (mark == '!') KF_TRY(read_extension(g, err));
    }
    if (g->end - g->p < 9) return truncated(err);
    g->left = get16(g->p), g->top = get16(g->p + 2), g->columns = get16(g->p + 4), g->rows = get16(g->p + 6);
    flags = g->p[8];
    g->interlaced = flags & 0x40;
    g->p += 9;
    if (g->width < g->left + g->columns) g->width = g->left + g->columns;
    if (g->height < g->top + g->rows) g->height = g->top + g->rows;
    return read_palette(g, flags, err);
}

/* ---- pixels ------------------------------------------------------------------------------------------------------ */

/* Codes of a growing number of bits in blocks of at most 255 bytes. */
typedef struct reader {
    const uint8_t *p, *end;
    size_t block; /* bytes left of this one */
    uint32_t bits, n;
} reader;

/* NO_CODE at the end. */
static int next_code(reader *r, uint32_t size) {
    while (r->n < size) {
        if (!r->block) {
            if (r->p == r->end || !*r->p) return NO_CODE;
            r->block = *r->p++;
        }
        if (r->p == r->end) return NO_CODE;
        r->bits |= (uint32_t)*r->p++ << r->n;
        r->n += 8, r->block--;
    }
    int code = (int)(r->bits & ((1u << size) - 1));
    r->bits >>= size, r->n -= size;
    return code;
}

/* Where the next pixel goes. */
typedef struct cursor {
    const gif *g;
    kf_image *out;
    int64_t x, y;
    int pass;
} cursor;

static bool full(const cursor *c) { return c->y >= c->g->rows; }

static void next_row(cursor *c) {
    static const uint8_t FIRST[] = {0, 4, 2, 1}, STEP[] = {8, 8, 4, 2};
    c->x = 0;
    c->y += c->g->interlaced ? STEP[c->pass] : 1;
    while (c->g->interlaced && full(c) && c->pass < 3) c->y = FIRST[++c->pass];
}

static void put(cursor *c, uint8_t index) {
    const gif *g = c->g;
    if (full(c)) return;
    uint8_t *row = c->out->pixels + (size_t)(g->top + c->y) * c->out->stride;
    memcpy(row + 3 * (size_t)(g->left + c->x), g->palette[index], 3);
    if (++c->x == g->columns) next_row(c);
}

typedef struct table {
    uint16_t link[MAX_CODES]; /* the code of what comes before the last pixel */
    uint8_t last[MAX_CODES], string[MAX_CODES];
    uint32_t size, clear; /* bits of a code; the code that empties the table */
    int next, before;     /* the next free code; the code before this one, or NO_CODE */
    uint8_t first;        /* pixel of the code before */
} table;

static void empty(table *t, uint32_t bits) {
    t->clear = 1u << bits, t->size = bits + 1, t->next = (int)t->clear + 2, t->before = NO_CODE;
}

/* The pixels of one code, and a new entry; false: there is no such code. */
static bool expand(table *t, int code, cursor *c) {
    int at = code, n = 0;
    if (code > t->next || (t->before == NO_CODE && code >= (int)t->clear)) return false;
    if (code == t->next) {
        t->string[n++] = t->first;
        at = t->before;
    }
    for (; at >= (int)t->clear; at = t->link[at]) t->string[n++] = t->last[at];
    t->string[n++] = t->first = (uint8_t)at;
    while (n) put(c, t->string[--n]);
    if (t->before != NO_CODE && t->next < MAX_CODES) {
        t->link[t->next] = (uint16_t)t->before, t->last[t->next] = t->first;
        if (t->next++ == (int)(1u << t->size) - 1 && t->size < 12) t->size++;
    }
    t->before = code;
    return true;
}

static kf_status decode(reader *r, uint32_t bits, cursor *c, kf_error *err) {
    table t;
    t.first = 0;
    empty(&t, bits);
    while (!full(c)) {
        int code = next_code(r, t.size);
        if (code == NO_CODE || code == (int)t.clear + 1) return truncated(err);
        if (code == (int)t.clear) empty(&t, bits);
        else if (!expand(&t, code, c)) return broken(err, "it has a code that was not made yet");
    }
    return KF_OK;
}

kf_status kf__codec_gif(const uint8_t *data, size_t bytes, const kf_image_options *o, kf_image *out, kf_error *err) {
    gif g = {.p = data, .end = data + bytes, .transparent = NO_CODE};
    KF_TRY(read_header(&g, err));
    KF_TRY(kf__codec_limits(g.columns, g.rows, o, err));
    KF_TRY(kf__codec_limits(g.width, g.height, o, err));
    size_t left = (size_t)(g.end - g.p);
    /* A code has at least 3 bits and stands for at most MAX_CODES pixels. */
    if (left < 2 || (uint64_t)(g.columns * g.rows) / MAX_CODES > (uint64_t)left * 8 / 3) return truncated(err);
    uint32_t bits = *g.p++;
    if (bits < 1 || bits > 11) return broken(err, "its codes begin with a number of bits outside 2 to 12");
    KF_TRY(kf_image_create((int32_t)g.width, (int32_t)g.height, out, err));
    for (size_t i = 0; i < (size_t)(g.width * g.height); i++)
        memcpy(out->pixels + 3 * i, g.palette[g.transparent == NO_CODE ? 0 : g.transparent], 3);
    reader r = {.p = g.p, .end = g.end};
    cursor c = {.g = &g, .out = out};
    kf_status st = decode(&r, bits, &c, err);
    if (st != KF_OK) kf_image_free(out);
    return st;
}
