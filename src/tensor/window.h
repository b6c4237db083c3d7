/* The window of a convolution or pooling layer, and every question about it that more than one part of the project
 * asks. Graph attributes, program steps, packing and execution share these answers, so that whoever reserves memory
 * agrees with whoever uses it. Owner rule: windows are values; nothing here allocates. */
#ifndef KF_WINDOW_H
#define KF_WINDOW_H

#include "base/base.h"

/** Geometry of a layer: taps, strides, dilations, groups of channels, padding (top, left, bottom, right). */
typedef struct kf__window {
    int32_t kh, kw, sh, sw, dh, dw, group;
    int32_t pt, pl, pb, pr;
} kf__window;

/** Most rows of a depthwise window: runtime and simulation keep a table of them, and the loader checks it. */
enum { KF_DWCONV_ROWS = 64 };

/** One tap, stride 1, no padding: the window of a layer that has none. */
#define KF_WINDOW_ONE ((kf__window){.kh = 1, .kw = 1, .sh = 1, .sw = 1, .dh = 1, .dw = 1, .group = 1})

/** A window along one axis of the image. */
typedef struct kf__axis {
    int32_t taps, stride, dilation, before, after; /* before, after: padding */
} kf__axis;

static inline kf__axis kf__window_rows(const kf__window *w) { return (kf__axis){w->kh, w->sh, w->dh, w->pt, w->pb}; }
static inline kf__axis kf__window_columns(const kf__window *w) { return (kf__axis){w->kw, w->sw, w->dw, w->pl, w->pr}; }

static inline bool kf__window_same(const kf__window *a, const kf__window *b) { return memcmp(a, b, sizeof *a) == 0; }

static inline bool kf__window_has_padding(const kf__window *w) { return w->pt || w->pl || w->pb || w->pr; }

/** One tap and no padding: on an image of one pixel, the result depends on the channels only. */
static inline bool kf__window_is_one_tap(const kf__window *w) {
    return w->kh == 1 && w->kw == 1 && !kf__window_has_padding(w);
}

/** One tap that moves pixel by pixel over the bare image, whatever the groups are. */
static inline bool kf__window_is_unit(const kf__window *w) {
    return kf__window_is_one_tap(w) && w->sh == 1 && w->sw == 1;
}

/** A convolution that is one matrix product over all pixels. */
static inline bool kf__window_is_pointwise(const kf__window *w) { return kf__window_is_unit(w) && w->group == 1; }

/** A convolution in which every channel has a filter of its own and no other. */
static inline bool kf__window_is_depthwise(const kf__window *w, int64_t channels_in, int64_t channels_out) {
    return w->group > 1 && w->group == channels_in && w->group == channels_out;
}

/** Output positions along an axis of `in` inputs. With `ceil_mode` a last window that begins inside the input or the
 * padding before it counts although it ends outside. False: the window does not fit, or a number is out of range. */
bool kf__axis_extent(const kf__axis *a, int64_t in, bool ceil_mode, int64_t *out);

/** Input position of the first tap of output position `at`. */
static inline int64_t kf__axis_start(const kf__axis *a, int64_t at) { return at * a->stride - a->before; }

/** Row and column of the input where the window of output position (y, x) begins; negative: in the padding. */
static inline int32_t kf__window_top(const kf__window *w, int32_t y) { return y * w->sh - w->pt; }
static inline int32_t kf__window_left(const kf__window *w, int32_t x) { return x * w->sw - w->pl; }

/** A convolution of one tap on an image of one pixel is a fully connected layer. */
static inline bool kf__window_is_layer(const kf__window *w) { return kf__window_is_one_tap(w) && w->group == 1; }

/** Consecutive taps of a window. */
typedef struct kf__taps {
    int32_t first, count; /* first is 0 where count is 0 */
} kf__taps;

/** Of `taps` taps from input position `start` on, `step` apart, those that lie in 0..size-1. */
static inline kf__taps kf__taps_inside(int64_t start, int32_t taps, int32_t step, int64_t size) {
    int64_t first = start < 0 ? (step - 1 - start) / step : 0;
    int64_t end = start < size ? (size - 1 - start) / step + 1 : 0;
    int64_t last = end < taps ? end : taps;
    return last > first ? (kf__taps){(int32_t)first, (int32_t)(last - first)} : (kf__taps){0, 0};
}

/** Taps of the window that begins at (y, x) which lie in an image of h by w or in its padding: the divisor of an
 * average that counts padding. */
static inline int32_t kf__window_padded_taps(const kf__window *win, int64_t y, int64_t x, int64_t h, int64_t w) {
    return kf__taps_inside(y + win->pt, win->kh, win->dh, h + win->pt + win->pb).count *
           kf__taps_inside(x + win->pl, win->kw, win->dw, w + win->pl + win->pr).count;
}

/** Border classes along one axis (docs/NUMERICS.md): positions whose windows have the same taps inside the image are of
 * one class. Classes are numbered by first appearance; windows wholly in padding are one class. `cls` gets the class of
 * each of the `out` positions, `taps` the taps of each class; each has room for `out` entries and may be NULL. Returns
 * the number of classes, at most `out`.
 *
 * An example: 5 taps, stride 2, padding 2 before and 1 after, an image of 8; p is padding.
 *
 *     image       p p 0 1 2 3 4 5 6 7 p
 *     position 0  t t T T T               taps 2..4 inside: class 0
 *     position 1      T T T T T           taps 0..4 inside: class 1
 *     position 2          T T T T T       taps 0..4 inside: class 1
 *     position 3              T T T T t   taps 0..3 inside: class 2
 *
 * An image has the classes of its rows times those of its columns: 3 x 3 here, in the corners, edges and middle. */
int32_t kf__border_classes(const kf__axis *a, int64_t in, int64_t out, int32_t *cls, kf__taps *taps);

#endif
