/* Output extents and border classes of windows.
 * Owner rule: writes only into the caller's arrays. */
#include "tensor/window.h"

bool kf__axis_extent(const kf__axis *a, int64_t in, bool ceil_mode, int64_t *out) {
    enum { MOST = INT32_MAX };
    if (a->taps < 1 || a->stride < 1 || a->dilation < 1 || a->before < 0 || a->after < 0 || in < 0 || in > MOST)
        return false;
    int64_t span = (int64_t)a->dilation * (a->taps - 1) + 1, room = in + a->before + a->after - span;
    if (room < 0) return false;
    *out = room / a->stride + 1;
    if (ceil_mode && room % a->stride && *out * a->stride < in + a->before) *out += 1;
    return true;
}

/* The last position whose taps are all inside, if there is one. */
static int64_t last_inside(const kf__axis *a, int64_t in, int64_t out) {
    int64_t last = (in - 1 - (int64_t)a->dilation * (a->taps - 1) + a->before) / a->stride;
    return last < out ? last : out - 1;
}

/* Along the axis, both ends of the range of taps inside the image move in one direction only. So a class is a run of
 * neighbours. Windows with no tap inside are the exception: they may lie on both sides and, with dilation, between
 * others. */
int32_t kf__border_classes(const kf__axis *a, int64_t in, int64_t out, int32_t *cls, kf__taps *taps) {
    int32_t n = 0, empty = -1, latest = -1;
    kf__taps last = {0, 0};
    for (int64_t i = 0; i < out; i++) {
        kf__taps t = kf__taps_inside(kf__axis_start(a, i), a->taps, a->dilation, in);
        bool known = t.count ? latest >= 0 && t.first == last.first && t.count == last.count : empty >= 0;
        if (!known) {
            if (taps) taps[n] = t;
            if (t.count) latest = n, last = t;
            else empty = n;
            n++;
        }
        if (cls) cls[i] = t.count ? latest : empty;
        else if (t.count == a->taps) i = last_inside(a, in, out); /* all positions up to there are of this class */
    }
    return n;
}
