/* Plots as inline SVG: histograms with their clip range, lines over the nodes.
 * Owner rule: see html.h. */
#include <math.h>
#include <stdlib.h>

#include "report/html.h"
#include "data/plain.h"

enum { COLUMNS = 128, WIDTH = 384, HEIGHT = 80, SIDE = 16, LINES_WIDTH = 900, LINES_HEIGHT = 250 };

/* The part of the axis that is shown: what was seen, and the range held unless that is far wider. */
typedef struct axis {
    double lo, hi;
} axis;

static double place(const axis *a, double x) { return (x - a->lo) / (a->hi - a->lo) * WIDTH; }

static axis axis_of(const kf_quantized_histogram *h) {
    double span = h->hi - h->lo;
    axis a = {h->lo, h->hi};
    if (!(span > 0)) return (axis){-1, 1};
    if (h->ranges && h->wide[0] < a.lo) a.lo = fmax(h->wide[0], a.lo - span / 2);
    if (h->ranges && h->wide[1] > a.hi) a.hi = fmin(h->wide[1], a.hi + span / 2);
    return a;
}

static void column_sums(const kf_quantized_histogram *h, double *sum, double *outside, double *total) {
    *outside = *total = 0;
    for (int i = 0; i < COLUMNS; i++) sum[i] = 0;
    for (int32_t i = 0; i < h->n_bins; i++) {
        double centre = h->lo + (i + 0.5) * (h->hi - h->lo) / h->n_bins;
        sum[(int64_t)i * COLUMNS / h->n_bins] += h->bins[i];
        *total += h->bins[i];
        if (h->ranges && (centre < h->wide[0] || centre > h->wide[1])) *outside += h->bins[i];
    }
}

static void clip_line(FILE *f, const axis *a, double at, const char *class) {
    double x = place(a, at);
    if (x >= 0 && x <= WIDTH) kf__lab_write(f, "<path class=\"%s\" d=\"M%.1f 0V%d\"/>", class, x, HEIGHT);
}

/* The columns of one colour as one path. */
static void columns(FILE *f, const kf_quantized_histogram *h, const axis *a, const double *sum, double top,
                    bool outside) {
    double step = (h->hi - h->lo) / COLUMNS, width = place(a, a->lo + step);
    fprintf(f, "<path class=\"%s\" d=\"", outside ? "cut" : "bar");
    for (int i = 0; i < COLUMNS; i++) {
        double centre = h->lo + (i + 0.5) * step;
        bool here = h->ranges && (centre < h->wide[0] || centre > h->wide[1]);
        if (sum[i] > 0 && here == outside)
            kf__lab_write(f, "M%.1f %dv-%.1fh%.2fV%dz", place(a, h->lo + i * step), HEIGHT,
                          fmax(0.5, HEIGHT * sqrt(sum[i] / top)), width, HEIGHT);
    }
    fputs("\"/>", f);
}

void kf__html_histogram(FILE *f, const kf_quantized_histogram *h, const char *label) {
    double sum[COLUMNS], outside, total, top = 1;
    axis a = axis_of(h);
    column_sums(h, sum, &outside, &total);
    for (int i = 0; i < COLUMNS; i++) top = fmax(top, sum[i]);
    fprintf(f,
            "<figure><svg role=\"img\" width=\"%d\" height=\"%d\" viewBox=\"%d 0 %d %d\" "
            "xmlns=\"http://www.w3.org/2000/svg\"><title>",
            WIDTH + SIDE, HEIGHT + 14, -SIDE, WIDTH + SIDE, HEIGHT + 14);
    kf__html_text(f, label);
    fputs("</title>", f);
    if (h->hi > h->lo) columns(f, h, &a, sum, top, false), columns(f, h, &a, sum, top, true);
    for (int side = 0; side < 2 && h->ranges; side++) {
        clip_line(f, &a, h->wide[side], "wide");
        if (h->ranges > 1 && h->tight[side] != h->wide[side]) clip_line(f, &a, h->tight[side], "tight");
    }
    kf__lab_write(f,
                  "<path class=\"axis\" d=\"M0 %dH%d\"/><text x=\"0\" y=\"%d\">%.4g</text><text x=\"%d\" y=\"%d\" "
                  "text-anchor=\"end\">%.4g</text><text x=\"%d\" y=\"%d\" text-anchor=\"middle\">value</text><text "
                  "text-anchor=\"middle\" transform=\"translate(-5,%d) rotate(-90)\">\xe2\x88\x9a"
                  "count</text></svg>\n"
                  "<figcaption>",
                  HEIGHT, WIDTH, HEIGHT + 12, a.lo, WIDTH, HEIGHT + 12, a.hi, WIDTH / 2, HEIGHT + 12, HEIGHT / 2);
    kf__html_text(f, label);
    kf__lab_write(f, ": %.4g to %.4g", h->lo, h->hi);
    if (h->zeros) kf__lab_write(f, ", %.1f %% exact zeros", 100 * (double)h->zeros / ((double)h->zeros + total));
    if (h->ranges == 0) fputs("; stays float", f);
    else kf__lab_write(f, "; held: %.4g to %.4g", h->wide[0], h->wide[1]);
    if (h->ranges > 1)
        kf__lab_write(f, " (widest of %d channels; narrowest %.4g to %.4g)", h->ranges, h->tight[0], h->tight[1]);
    if (h->ranges && total > 0) kf__lab_write(f, ", %.3g %% of the other values outside", 100 * outside / total);
    fputs("</figcaption></figure>\n", f);
}

/* A round distance between grid lines, about five of them. */
static double grid_step(double span) {
    double step = 1;
    while (span / step > 8) step *= step == 2 || step == 20 ? 2.5 : 2;
    return step;
}

/* Grid lines with their numbers, numbers of nodes below them, and what both axes are. */
static void line_axes(FILE *f, const double range[3], size_t n, double w, double h, const char *x, const char *y) {
    double from = range[0], to = range[1], step = range[2], each = grid_step(n > 1 ? (double)n - 1 : 1);
    for (double v = from; v <= to + step / 2; v += step)
        kf__lab_write(
            f, "<path class=\"grid\" d=\"M0 %.1fH%.1f\"/><text x=\"-6\" y=\"%.1f\" text-anchor=\"end\">%g</text>",
            h * (to - v) / (to - from), w, h * (to - v) / (to - from) + 4, v);
    for (double i = 0; i < (double)n; i += each)
        kf__lab_write(f, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%g</text>",
                      n > 1 ? w * i / ((double)n - 1) : 0, h + 14, i + 1);
    kf__lab_write(f, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">", w / 2, h + 30);
    kf__html_text(f, x);
    kf__lab_write(f, "</text><text text-anchor=\"middle\" transform=\"translate(-36,%.1f) rotate(-90)\">", h / 2);
    kf__html_text(f, y);
    fputs("</text>", f);
}

void kf__html_lines(FILE *f, const kf__html_plot *p) {
    double lo = INFINITY, hi = -INFINITY;
    for (int32_t l = 0; l < p->lines; l++)
        for (size_t i = 0; i < p->n; i++)
            if (isfinite(p->y[l][i])) lo = fmin(lo, p->y[l][i]), hi = fmax(hi, p->y[l][i]);
    if (!(hi >= lo)) return;
    double step = grid_step(hi - lo), from = floor(lo / step) * step, to = ceil(hi / step) * step;
    if (to <= from) to = from + step;
    fprintf(f,
            "<svg role=\"img\" width=\"%d\" height=\"%d\" viewBox=\"-52 -16 %d %d\" "
            "xmlns=\"http://www.w3.org/2000/svg\"><title>",
            LINES_WIDTH, LINES_HEIGHT, LINES_WIDTH, LINES_HEIGHT);
    kf__html_text(f, p->title);
    fputs("</title>", f);
    double w = LINES_WIDTH - 72, h = LINES_HEIGHT - 70;
    line_axes(f, (const double[]){from, to, step}, p->n, w, h, p->x_axis, p->y_axis);
    for (int32_t l = 0; l < p->lines; l++) {
        const double *y = p->y[l];
        char move = 'M';
        fprintf(f, "<path class=\"line%d\" d=\"", l);
        for (size_t i = 0; i < p->n; i++, move = isfinite(y[i - 1]) ? 'L' : move)
            if (isfinite(y[i]))
                kf__lab_write(f, "%c%.1f %.1f", move, p->n > 1 ? w * (double)i / (double)(p->n - 1) : 0,
                              h * (to - y[i]) / (to - from));
        kf__lab_write(f, "\"/><text class=\"key%d\" x=\"%d\" y=\"%.1f\">", l, 10 + 260 * l, h + 46);
        kf__html_text(f, p->names[l]);
        fputs("</text>", f);
    }
    fputs("</svg>\n", f);
}
