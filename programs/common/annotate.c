/* Annotated pictures through cairo, found at run time with dlopen.
 * Owner rule: the library handle stays open until the program ends. */
#include "common/annotate.h"

#include "common/cli.h"
#include "common/files.h"

#include <cairo.h>
#include <stdbool.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The dozen cairo functions that are used. */
/* clang-format off */
#define CAIRO_FUNCTIONS(X)                                                                                             \
    X(cairo_image_surface_create) X(cairo_image_surface_get_data) X(cairo_image_surface_get_stride)                    \
    X(cairo_surface_flush) X(cairo_surface_mark_dirty) X(cairo_surface_write_to_png_stream) X(cairo_surface_destroy)   \
    X(cairo_surface_status) X(cairo_create) X(cairo_destroy) X(cairo_set_source_rgb) X(cairo_rectangle)                \
    X(cairo_fill) X(cairo_select_font_face) X(cairo_set_font_size) X(cairo_move_to) X(cairo_show_text)                 \
    X(cairo_paint) X(cairo_set_source_surface) X(cairo_scale) X(cairo_save) X(cairo_restore) \
    X(cairo_text_extents)
/* clang-format on */

static struct {
#define X(f) __typeof__(f) *f;
    CAIRO_FUNCTIONS(X)
#undef X
} c;

static kf_status load_cairo(kf_error *err) {
    static void *lib;
    if (lib) return KF_OK;
#if defined(KF_STATIC)
    return cli_error_at(err, KF_ERR_UNSUPPORTED, "--annotate",
                        "this program is static and loads no cairo; use a kitfox that is not, or draw from --json");
#endif
    lib = dlopen("libcairo.so.2", RTLD_NOW | RTLD_LOCAL);
    if (!lib)
        return cli_error_at(err, KF_ERR_UNSUPPORTED, "--annotate",
                            "cairo is not installed; on Debian: apt-get install libcairo2");
#define X(f)                                                                                                           \
    *(void **)(&c.f) = dlsym(lib, #f);                                                                                 \
    if (!c.f) return cli_error_at(err, KF_ERR_UNSUPPORTED, "--annotate", "this cairo lacks " #f);
    CAIRO_FUNCTIONS(X)
#undef X
    return KF_OK;
}

static cairo_surface_t *to_surface(const kf_image *image) {
    cairo_surface_t *s = c.cairo_image_surface_create(CAIRO_FORMAT_RGB24, image->width, image->height);
    if (c.cairo_surface_status(s) != CAIRO_STATUS_SUCCESS) return s;
    unsigned char *data = c.cairo_image_surface_get_data(s);
    int stride = c.cairo_image_surface_get_stride(s);
    c.cairo_surface_flush(s);
    for (int32_t y = 0; y < image->height; y++)
        for (int32_t x = 0; x < image->width; x++) {
            const uint8_t *p = image->pixels + (size_t)y * image->stride + 3 * (size_t)x;
            uint32_t v = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
            memcpy(data + (ptrdiff_t)y * stride + 4 * (ptrdiff_t)x, &v, 4);
        }
    c.cairo_surface_mark_dirty(s);
    return s;
}

static double text_width(cairo_t *cr, const char *text) {
    cairo_text_extents_t size;
    c.cairo_text_extents(cr, text, &size);
    return size.x_advance;
}

/* Shorten the text until it is no wider than `room`, by whole characters, and put an ellipsis at its end. */
static void fit(cairo_t *cr, char *text, size_t size, double room) {
    static const char ELLIPSIS[] = "\xe2\x80\xa6";
    size_t n = strlen(text);
    if (text_width(cr, text) <= room) return;
    while (n && text_width(cr, text) > room) {
        do n--;
        while (n && ((unsigned char)text[n] & 0xc0) == 0x80);
        if (n + sizeof ELLIPSIS <= size) memcpy(text + n, ELLIPSIS, sizeof ELLIPSIS);
    }
}

static void draw_row(cairo_t *cr, const kf_score *t, double width, double y, double row, bool best) {
    char text[600];
    double pad = row * 0.4, bar_left = pad, bar_width = width - 2 * pad;
    c.cairo_set_source_rgb(cr, 0.17, 0.19, 0.23);
    c.cairo_rectangle(cr, bar_left, y, bar_width, row * 0.82);
    c.cairo_fill(cr);
    if (best) c.cairo_set_source_rgb(cr, 0.93, 0.49, 0.19);
    else c.cairo_set_source_rgb(cr, 0.33, 0.42, 0.55);
    c.cairo_rectangle(cr, bar_left, y, bar_width * (double)t->score, row * 0.82);
    c.cairo_fill(cr);
    c.cairo_set_source_rgb(cr, 1, 1, 1);
    c.cairo_move_to(cr, bar_left + pad * 0.6, y + row * 0.58);
    if (t->label) snprintf(text, sizeof text, "%5.1f %%   %.500s", (double)t->score * 100, cli_shown(t->label));
    else snprintf(text, sizeof text, "%5.1f %%   class %d", (double)t->score * 100, t->index);
    fit(cr, text, sizeof text, bar_width - 1.2 * pad);
    c.cairo_show_text(cr, text);
}

static cairo_status_t put(void *file, const unsigned char *data, unsigned int n) {
    return fwrite(data, 1, n, file) == n ? CAIRO_STATUS_SUCCESS : CAIRO_STATUS_WRITE_ERROR;
}

/* The picture, scaled to a width of 320 to 640 pixels, and below it one bar for each score. */
static bool draw(const kf_image *image, const kf_score *top, size_t n, FILE *out) {
    const double row = 34;
    double scale = 1;
    if (image->width > 640) scale = 640.0 / image->width;
    if (image->width < 320) scale = 320.0 / image->width;
    int width = (int)(image->width * scale + 0.5), height = (int)(image->height * scale + 0.5), rows = (int)n;
    cairo_surface_t *picture = to_surface(image),
                    *page = c.cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height + (int)(row * (rows + 0.5)));
    cairo_t *cr = c.cairo_create(page);
    c.cairo_set_source_rgb(cr, 0.10, 0.11, 0.14);
    c.cairo_paint(cr);
    c.cairo_save(cr);
    c.cairo_scale(cr, scale, scale);
    c.cairo_set_source_surface(cr, picture, 0, 0);
    c.cairo_rectangle(cr, 0, 0, image->width, image->height);
    c.cairo_fill(cr);
    c.cairo_restore(cr);
    c.cairo_select_font_face(cr, "sans-serif", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_BOLD);
    c.cairo_set_font_size(cr, row * 0.47);
    for (int i = 0; i < rows; i++) draw_row(cr, &top[i], width, height + row * (i + 0.3), row, i == 0);
    cairo_status_t st = c.cairo_surface_write_to_png_stream(page, put, out);
    c.cairo_destroy(cr);
    c.cairo_surface_destroy(page);
    c.cairo_surface_destroy(picture);
    return st == CAIRO_STATUS_SUCCESS;
}

static bool annotated_name(const char *path, const char *pattern, char out[4096]) {
    const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path, *hole = strstr(pattern, "%s");
    const char *dot = strrchr(base, '.');
    int len = (int)(dot && dot != base ? (size_t)(dot - base) : strlen(base));
    if (!hole) return snprintf(out, 4096, "%s", pattern) < 4096;
    return snprintf(out, 4096, "%.*s%.*s%s", (int)(hole - pattern), pattern, len, base, hole + 2) < 4096;
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* One picture whose output another one of the `n` would replace; NULL: there is none. Behind each name stands a zero
 * byte and the index of its picture. */
static const char *find_clash(const char *const *paths, size_t n, const char *pattern) {
    char name[4096], **names = calloc(n + 1, sizeof *names);
    size_t made = 0, found = n;
    for (; names && made < n && annotated_name(paths[made], pattern, name); made++) {
        size_t length = strlen(name) + 1;
        if (!(names[made] = malloc(length + sizeof made))) break;
        memcpy(names[made], name, length);
        memcpy(names[made] + length, &made, sizeof made);
    }
    if (names) qsort(names, made, sizeof *names, by_name);
    for (size_t i = 1; i < made && found == n; i++)
        if (strcmp(names[i - 1], names[i]) == 0) memcpy(&found, names[i] + strlen(names[i]) + 1, sizeof found);
    for (size_t i = 0; i < made; i++) free(names[i]);
    free(names);
    return found < n ? paths[found] : NULL;
}

kf_status cli_annotate(const kf_image *image, const char *path, const kf_score *top, size_t n, const char *pattern,
                       kf_error *err) {
    char out[4096], *png = NULL;
    size_t bytes = 0;
    kf_status st = load_cairo(err);
    if (st != KF_OK) return st;
    if (!annotated_name(path, pattern, out))
        return cli_error_at(err, KF_ERR_LIMIT, "--annotate", "the name is too long");
    FILE *f = open_memstream(&png, &bytes);
    if (f && draw(image, top, n, f)) return cli_write_stream(out, f, &png, &bytes, err);
    if (f) fclose(f);
    free(png);
    return cli_error_at(err, KF_ERR_MEMORY, out, "out of memory for the annotated picture; free some");
}

static void note_clash(const char *const *pictures, size_t n, const char *pattern) {
    char note[1400];
    const char *clash = find_clash(pictures, n, pattern);
    if (!clash) return;
    snprintf(note, sizeof note,
             "--annotate %.300s: %.600s and another picture have one output name; the last one stays; %%s in the "
             "name becomes the picture's, which has to differ",
             pattern, clash);
    cli_note(NULL, note);
}

kf_status cli_annotate_check(const char *pattern, const char *const *args, size_t n, size_t first, const char *labels,
                             kf_error *err) {
    char name[4096];
    note_clash(args + first, n - first, pattern);
    for (size_t i = first; i < n; i++) {
        if (!annotated_name(args[i], pattern, name))
            return cli_error_at(err, KF_ERR_LIMIT, "--annotate", "the name is too long");
        const cli_output out = {name, "--annotate", false};
        KF_TRY(cli_output_apart(&out, args, n, err));
        if (i == first) KF_TRY(cli_outputs_check(&out, 1, &labels, 1, err));
    }
    return KF_OK;
}
