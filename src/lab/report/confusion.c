/* The confusion matrix of a measurement as one HTML page.
 * The matrix is a sorted list of the cells that occur: 21000 classes squared would not fit in memory, the pictures do.
 * Owner rule: borrows everything; the tables live for one call. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/text.h"
#include "report/html.h"
#include "data/plain.h"

enum {
    LEVELS = 10,
    PAIRS = 25,
    FEW = 30,
    SIDE = 20
}; /* up to FEW classes every cell carries its number and every row its label, SIDE units each */

typedef kf_confusion_cell cell;

typedef struct row {
    int32_t class, rival; /* rival: the class that it is most often confused with, -1 if it is never wrong */
    size_t n, right, lost;
} row;

typedef struct page {
    FILE *f;
    const kf_model *model; /* for labels; may be NULL */
    char *const *names;    /* of folders; may be NULL */
    const char *title, *summary;
    int32_t n_classes;
    cell *cells;
    size_t n_cells;
    row *rows; /* one a class, those without pictures too */
} page;

/* NULL: it has a number alone. */
static const char *name_of(const page *p, int32_t k) {
    const char *s = p->model ? kf_model_label(p->model, k) : NULL;
    if (s && *s) return s;
    return p->names ? p->names[k] : NULL;
}

static void label(const page *p, int32_t k) {
    const char *s = name_of(p, k);
    if (s) kf__html_text(p->f, s);
    else fprintf(p->f, "class %d", k);
}

static void count(page *p) {
    for (int32_t k = 0; k < p->n_classes; k++) p->rows[k] = (row){.class = k, .rival = -1};
    for (size_t i = 0; i < p->n_cells; i++) {
        const cell *c = &p->cells[i];
        row *r = &p->rows[c->truth];
        r->n += c->count;
        if (c->truth == c->said) r->right = c->count;
        else if (c->count > r->lost) r->lost = c->count, r->rival = c->said;
    }
}

static int level(const page *p, const cell *c) {
    int l = (int)(c->count * LEVELS / p->rows[c->truth].n);
    return l == LEVELS ? LEVELS - 1 : l;
}

static void head(const page *p) {
    fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
          "content=\"width=device-width\">\n"
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
          "'unsafe-inline'\">\n<title>",
          p->f);
    kf__html_text(p->f, p->title);
    fputs("</title>\n<style>\nbody{font:15px/1.5 sans-serif;max-width:64em;margin:2em auto;padding:0 "
          "1em;color:#222;background:#fff}\n"
          "table{border-collapse:collapse;margin:1em 0}th,td{padding:.2em .7em;border-bottom:1px solid "
          "#ddd;text-align:right}\n"
          "th:nth-child(2),td:nth-child(2),.t{text-align:left}meter{width:8em}svg{width:100%;max-width:56em;height:"
          "auto}\n"
          "svg text{font:9px "
          "sans-serif}.axis,.title{fill:#444}.frame{fill:#f7f7f7;stroke:#bbb}.grid{stroke:#ddd}.frame,.grid{stroke-"
          "width:1px;"
          "vector-effect:non-scaling-stroke}\n",
          p->f);
    for (int l = 0; l < LEVELS; l++) fprintf(p->f, ".l%d{fill:hsl(215,75%%,%d%%)}", l, 88 - 7 * l);
    fputs("\n</style></head><body>\n<h1>", p->f);
    kf__html_text(p->f, p->title);
    fputs("</h1>\n<p>", p->f);
    kf__html_text(p->f, p->summary);
    fputs("</p>\n", p->f);
}

static void few_cells(const page *p) {
    int32_t n = p->n_classes;
    for (int32_t k = 0; k < n; k++) {
        fprintf(p->f, "<text class=\"axis\" x=\"-4\" y=\"%d\" text-anchor=\"end\">", k * SIDE + 13);
        label(p, k);
        fprintf(p->f, "</text><text class=\"axis\" text-anchor=\"start\" transform=\"translate(%d,%d) rotate(90)\">",
                k * SIDE + 7, n * SIDE + 4);
        label(p, k);
        fputs("</text>\n", p->f);
    }
    for (size_t i = 0; i < p->n_cells; i++) {
        const cell *c = &p->cells[i];
        int l = level(p, c);
        int x = c->said * SIDE, y = c->truth * SIDE;
        fputs("<g><title>", p->f);
        label(p, c->truth);
        fputs(" taken for ", p->f);
        label(p, c->said);
        fprintf(p->f,
                ": %zu of %zu</title><rect class=\"l%d\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/><text x=\"%d\" "
                "y=\"%d\" text-anchor=\"middle\" fill=\"%s\">%zu</text></g>\n",
                c->count, p->rows[c->truth].n, l, x, y, SIDE, SIDE, x + SIDE / 2, y + 13, l > 4 ? "#fff" : "#222",
                c->count);
    }
}

/* What rows and columns are. `side`: of the map; `room`: of the labels around it; `size`: of the letters. */
static void axis_titles(const page *p, double side, double room, double size) {
    const char *unit = p->n_classes <= FEW ? "" : ", by index";
    kf__lab_write(p->f,
                  "<text class=\"title\" style=\"font-size:%gpx\" text-anchor=\"middle\" transform=\"translate(%g,%g) "
                  "rotate(-90)\">true class%s</text><text class=\"title\" style=\"font-size:%gpx\" "
                  "text-anchor=\"middle\" x=\"%g\" y=\"%g\">taken for%s</text>\n",
                  size, -room - 0.6 * size, side / 2, unit, size, side / 2, side + room + 1.2 * size, unit);
}

/* One path a shade keeps the page small; the numbers are in the tables. */
static void many_cells(const page *p) {
    int32_t n = p->n_classes, step = 10, side = n < 300 ? 1 : n / 300; /* a single picture stays visible */
    while (n / step > 12) step *= 10;
    for (int l = 0; l < LEVELS; l++) {
        fprintf(p->f, "<path class=\"l%d\" d=\"", l);
        for (size_t i = 0; i < p->n_cells; i++)
            if (level(p, &p->cells[i]) == l)
                fprintf(p->f, "M%d %dh%dv%dh-%dz", p->cells[i].said - side / 2, p->cells[i].truth - side / 2, side,
                        side, side);
        fputs("\"/>\n", p->f);
    }
    for (int32_t k = 0; k < n; k += step)
        kf__lab_write(
            p->f,
            "<path class=\"grid\" d=\"M0 %dH%dM%d 0V%d\"/><text class=\"axis\" style=\"font-size:%gpx\" x=\"%g\" "
            "y=\"%d\" text-anchor=\"end\">%d</text><text class=\"axis\" style=\"font-size:%gpx\" x=\"%d\" "
            "y=\"%g\" text-anchor=\"middle\">%d</text>\n",
            k, n, k, n, n * 0.015, -n * 0.005, k + (n + 99) / 100, k, n * 0.015, k, n * 1.02, k);
}

/* Room for the longest label, within reason: about 5 units a letter. */
static double label_room(const page *p) {
    size_t longest = 8;
    for (int32_t k = 0; k < p->n_classes; k++) {
        const char *s = name_of(p, k);
        if (s && strlen(s) > longest) longest = strlen(s);
    }
    return 10 + 5.5 * (double)(longest > 40 ? 40 : longest);
}

static void heat_map(const page *p) {
    int32_t n = p->n_classes;
    double size = n, room = n * 0.04, letters = n * 0.018;
    if (n <= FEW) size = n * SIDE, room = label_room(p), letters = 9;
    double around = room + 2 * letters;
    fputs("<h2>Heat map</h2>\n<p>Rows are the true classes, columns what they were taken for. The darker, the larger "
          "the share of the row.</p>\n",
          p->f);
    kf__lab_write(p->f,
                  "<svg role=\"img\" aria-label=\"confusion matrix\" viewBox=\"%g %g %g %g\" "
                  "xmlns=\"http://www.w3.org/2000/svg\">\n",
                  -around, -size * 0.01, size * 1.01 + around, size * 1.01 + around);
    kf__lab_write(p->f, "<rect class=\"frame\" width=\"%g\" height=\"%g\"/>\n", size, size);
    if (n <= FEW) few_cells(p);
    else many_cells(p);
    axis_titles(p, size, room, letters);
    fputs("</svg>\n", p->f);
}

static int by_count(const void *a, const void *b) {
    const cell *x = a, *y = b;
    if ((x->truth == x->said) != (y->truth == y->said)) return x->truth == x->said ? 1 : -1;
    if (x->count != y->count) return x->count > y->count ? -1 : 1;
    return x->truth != y->truth ? (x->truth > y->truth) - (x->truth < y->truth)
                                : (x->said > y->said) - (x->said < y->said);
}

/* Reorders the cells, so it comes after the map. */
static void pairs(page *p) {
    qsort(p->cells, p->n_cells, sizeof *p->cells, by_count);
    fputs("<h2>Most confused pairs</h2>\n", p->f);
    if (p->n_cells == 0 || p->cells[0].truth == p->cells[0].said) {
        fputs("<p>None: every picture was recognized.</p>\n", p->f);
        return;
    }
    fputs("<table id=\"pairs\"><tr><th>pictures</th><th>true class</th><th class=\"t\">taken for</th><th>share of the "
          "true class</th></tr>\n",
          p->f);
    for (size_t i = 0; i < p->n_cells && i < PAIRS && p->cells[i].truth != p->cells[i].said; i++) {
        const cell *c = &p->cells[i];
        fprintf(p->f, "<tr><td>%zu</td><td>", c->count);
        label(p, c->truth);
        fputs("</td><td class=\"t\">", p->f);
        label(p, c->said);
        kf__lab_write(p->f, "</td><td>%.1f %%</td></tr>\n", 100.0 * (double)c->count / (double)p->rows[c->truth].n);
    }
    fputs("</table>\n", p->f);
}

/* Classes without pictures come last. */
static double accuracy(const row *r) { return r->n ? (double)r->right / (double)r->n : 2; }

static int by_accuracy(const void *a, const void *b) {
    const row *x = a, *y = b;
    double u = accuracy(x), v = accuracy(y);
    return u != v ? (u > v) - (u < v) : (x->class > y->class) - (x->class < y->class);
}

static void classes(page *p) {
    int32_t n = 0;
    qsort(p->rows, (size_t)p->n_classes, sizeof *p->rows, by_accuracy);
    fputs("<h2>Accuracy per class, worst first</h2>\n<table "
          "id=\"classes\"><tr><th>index</th><th>class</th><th>pictures</th><th>right</th><th>accuracy</th><th></th>"
          "<th class=\"t\">most often taken for</th></tr>\n",
          p->f);
    for (; n < p->n_classes && p->rows[n].n; n++) {
        const row *r = &p->rows[n];
        double share = 100.0 * (double)r->right / (double)r->n;
        fprintf(p->f, "<tr><td>%d</td><td>", r->class);
        label(p, r->class);
        kf__lab_write(p->f,
                      "</td><td>%zu</td><td>%zu</td><td>%.2f %%</td><td><meter min=\"0\" max=\"100\" "
                      "value=\"%.2f\"></meter></td><td class=\"t\">",
                      r->n, r->right, share, share);
        if (r->rival >= 0) label(p, r->rival), fprintf(p->f, " (%zu)", r->lost);
        fputs("</td></tr>\n", p->f);
    }
    fprintf(p->f, "</table>\n<p>%d of %d classes have no pictures here.</p>\n</body></html>\n", p->n_classes - n,
            p->n_classes);
}

kf_status kf_evaluation_page(const kf_evaluation *evaluation, const kf_model *model, const char *title,
                             const char *summary, void **html, size_t *bytes, kf_error *err) {
    if (!evaluation || !title || !summary || !html || !bytes)
        KF_FAIL(err, KF_ERR_ARGUMENT, "kf_evaluation_page: evaluation, title, summary, html and bytes are needed");
    char *text = NULL;
    size_t n = 0, cells = evaluation->n_cells;
    page p = {.model = model,
              .title = title,
              .summary = summary,
              .names = evaluation->names,
              .n_classes = evaluation->classes,
              .n_cells = cells,
              .cells = malloc((cells + 1) * sizeof *p.cells),
              .rows = malloc(((size_t)evaluation->classes + 1) * sizeof *p.rows)};
    *html = NULL, *bytes = 0;
    kf_status st = KF_OK;
    if (!p.cells || !p.rows || !(p.f = open_memstream(&text, &n)))
        st = kf_error_set(err, KF_ERR_MEMORY, "out of memory for the page; free some");
    if (st == KF_OK) {
        memcpy(p.cells, evaluation->cells, cells * sizeof *p.cells);
        count(&p);
        head(&p);
        heat_map(&p);
        pairs(&p);
        classes(&p);
        st = kf__stream_take(p.f, &text, &n, html, bytes, err);
    }
    free(p.cells);
    free(p.rows);
    return st;
}
