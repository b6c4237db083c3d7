/* PPM and PGM, plain (P2, P3) and raw (P5, P6), any maximum value up to 65535.
 * Owner rule: the picture belongs to the caller. */
#include <math.h>

#include "codec/codec.h"

typedef struct cursor {
    const uint8_t *p, *end;
} cursor;

/* The next decimal number; comments run from '#' to the end of the line. -1 at the end or at anything else. */
static int64_t number(cursor *c) {
    while (c->p < c->end && (*c->p == '#' || *c->p == ' ' || (*c->p >= '\t' && *c->p <= '\r'))) {
        if (*c->p == '#')
            while (c->p < c->end && *c->p != '\n') c->p++;
        else c->p++;
    }
    int64_t v = -1;
    for (; c->p < c->end && *c->p >= '0' && *c->p <= '9'; c->p++) {
        v = (v < 0 ? 0 : v) * 10 + (*c->p - '0');
        if (v > 1 << 26) return -1;
    }
    return v;
}

/* As Pillow: in double, and halves go to the even number. */
static uint8_t scaled(int64_t v, int64_t maxval) { return (uint8_t)lrint((double)v / (double)maxval * 255); }

static int64_t sample(cursor *c, int raw, int64_t maxval) {
    if (!raw) return number(c);
    int wide = maxval > 255;
    if (c->end - c->p < 1 + wide) return -1;
    int64_t v = wide ? (int64_t)c->p[0] << 8 | c->p[1] : c->p[0];
    c->p += 1 + wide;
    return v;
}

kf_status kf__codec_pnm(const uint8_t *data, size_t bytes, const kf_image_options *o, kf_image *out, kf_error *err) {
    cursor c = {data + 2, data + bytes};
    int raw = data[1] >= '5', channels = data[1] == '3' || data[1] == '6' ? 3 : 1;
    int64_t w = number(&c), h = number(&c), maxval = number(&c);
    kf_status st = kf__codec_limits(w, h, o, err);
    if (st != KF_OK) return st;
    if (maxval < 1 || maxval > 65535)
        return kf__codec_fail(err, KF_ERR_FORMAT, "PNM maximum value is out of range (1 to 65535)");
    if (raw) c.p++; /* one white space ends the header */
    if (c.p > c.end || (c.end - c.p) < w * h * channels * (raw ? 1 + (maxval > 255) : 1))
        return kf__codec_fail(err, KF_ERR_FORMAT,
                              "PNM has fewer samples than %lldx%lld pixels need; the file is truncated", (long long)w,
                              (long long)h);
    st = kf_image_create((int32_t)w, (int32_t)h, out, err);
    if (st != KF_OK) return st;
    for (int64_t i = 0; i < w * h; i++)
        for (int k = 0; k < channels; k++) {
            int64_t v = sample(&c, raw, maxval);
            if (v < 0 || v > maxval) {
                kf_image_free(out);
                return kf__codec_fail(err, KF_ERR_FORMAT, "PNM sample %lld is missing or above the maximum",
                                      (long long)i);
            }
            uint8_t b = scaled(v, maxval);
            int first = channels == 3 ? k : 0;
            int count = channels == 3 ? 1 : 3;
            for (int to = first; to < first + count; to++) out->pixels[3 * i + to] = b;
        }
    return KF_OK;
}
