/* Pieces of self-contained HTML pages: escaped text, pictures as data, plots.
 * Owner rule: borrows everything. */
#ifndef KITFOX_LAB_HTML_H
#define KITFOX_LAB_HTML_H

#include <stdbool.h>
#include <stdio.h>

#include "kitfox/lab.h"

/** `s` between tags or in a double-quoted attribute: markup escaped, control characters as spaces, what is not UTF-8 as
 * U+FFFD. */
void kf__html_text(FILE *f, const char *s);
/** Document head up to the opened body: title, styles, and a policy that lets the page load nothing. `style` is
 * appended to the styles of all pages. */
void kf__html_head(FILE *f, const char *title, const char *style);
/** An <img> of at most `side` pixels a side, a JPEG in a data URI. If a step fails, the page has no thumbnail and the
 * result is false. */
bool kf__html_thumbnail(FILE *f, const kf_image *image, int32_t side);
/** Histogram with the range that integers hold, as inline SVG: solid lines at the widest range, dashed ones at the
 * narrowest, the part outside the widest in another colour. Heights are proportional to the square root of the count.
 */
void kf__html_histogram(FILE *f, const kf_quantized_histogram *h, const char *label);
/** Lines over nodes in their order. */
typedef struct kf__html_plot {
    const double *const *y;   /* [lines][n] */
    const char *const *names; /* [lines]: the legend */
    int32_t lines;            /* at most 4 */
    size_t n;
    const char *title, *x_axis, *y_axis;
} kf__html_plot;
/** As inline SVG; values that are not finite are passed over. Nodes have numbers from 1. */
void kf__html_lines(FILE *f, const kf__html_plot *plot);

#endif
