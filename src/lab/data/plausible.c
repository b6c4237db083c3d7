/* Can these samples calibrate this network? One check over the tensors that will be used, for every way of getting
 * them. It is made in pixels of 0..255: normalized numbers are turned back first, so that one set of limits serves all.
 * Owner rule: nothing is kept. */
#include "data/plausible.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/plain.h"

/* Squares of larger numbers, added over the 1e8 values of a large layer, are no f32 any more (3.4e38). */
#define MAX_VALUE 1e15
/* Interpolation may leave 0..255 by a quarter of the range, as in raw.c. Beyond a whole range on either side the
 * numbers were not made by this normalization. */
#define OVERSHOOT 64
#define FAR 255
/* The hundred calibration photos of imagenet-sample (every fifth by name) reach 0 and 255; each of them alone covers at
 * least 169 of 255 levels, and 3 % of their values are 0 or 255 (the worst photo: 52 %). The limits leave room for
 * rooms with little light and pictures on a white ground. */
#define LEAST_RANGE 64
#define LEAST_OWN_RANGE 16
#define MOST_CLIPPED 0.5
/* A file whose largest number is so many times that of the middle file is damaged, or of another unit. */
#define OUTLIER 100

/* Of one channel, over all samples. */
typedef struct channel {
    double mean, std;      /* v = (p / 255 - mean) / std; mean 0 and std 1/255 where the numbers are not normalized */
    double lo, hi;         /* as they are */
    double own_lo, own_hi; /* of the sample at hand */
} channel;

typedef struct scan {
    channel channels[3];
    size_t n_channels, values, clipped, flat;
    bool pictures; /* numbers can be turned back to pixels */
    uint64_t *hashes;
    double *largest; /* magnitude, of each sample */
} scan;

static double pixel(const channel *c, double v) { return (v * c->std + c->mean) * 255; }

/* The channel of value i of a tensor: [H,W,C], [N,C,H,W] or [N,H,W,C] of pictures; else all are one. */
static size_t channel_of(const scan *s, const kf_tensor *t, size_t i) {
    if (s->n_channels < 2) return 0;
    bool last = t->rank == 3 || t->shape[1] != (int64_t)s->n_channels;
    size_t plane = t->rank == 4 ? (size_t)t->shape[2] * (size_t)t->shape[3] : 1;
    return last ? i % s->n_channels : i / plane % s->n_channels;
}

/* FNV-1a. */
static uint64_t hash(const void *data, size_t bytes) {
    const unsigned char *p = data;
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < bytes; i++) h = (h ^ p[i]) * 1099511628211u;
    return h;
}

static int by_hash(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double number(const kf_tensor *t, size_t i) {
    return t->dtype == KF_U8 ? (double)((const uint8_t *)t->data)[i] : (double)((const float *)t->data)[i];
}

static kf_status check_number(const char *path, size_t i, double v, kf_error *err) {
    if (!isfinite(v))
        KF_FAIL(err, KF_ERR_ARGUMENT, "%.600s: value %zu is %s; every number has to be finite; check its writer", path,
                i, isnan(v) ? "NaN" : "infinite");
    if (fabs(v) > MAX_VALUE)
        KF_FAIL(err, KF_ERR_ARGUMENT,
                "%.600s: value %zu is %g; a network cannot compute with numbers beyond %g; check its writer", path, i,
                v, MAX_VALUE);
    return KF_OK;
}

static void count_clipped(scan *s, const channel *c, double v) {
    double p = pixel(c, v);
    s->clipped += p < 0.5 || p > 254.5;
}

/* A tensor of another shape is refused by the quantizer; here its numbers are one channel. */
static bool of_pictures(const scan *s, const kf_tensor *t) {
    if (t->rank == 3) return t->shape[2] == (int64_t)s->n_channels;
    return t->rank == 4 && (t->shape[1] == (int64_t)s->n_channels || t->shape[3] == (int64_t)s->n_channels);
}

static kf_status scan_sample(scan *s, const kf_samples *from, size_t k, kf_error *err) {
    const kf_tensor *t = &from->tensors[k];
    size_t n = t->bytes / kf_dtype_size(t->dtype);
    bool split = of_pictures(s, t), flat = true;
    for (size_t c = 0; c < 3; c++) s->channels[c].own_lo = INFINITY, s->channels[c].own_hi = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        double v = number(t, i);
        channel *c = &s->channels[split ? channel_of(s, t, i) : 0];
        KF_TRY(check_number(from->paths[k], i, v, err));
        c->own_lo = fmin(c->own_lo, v), c->own_hi = fmax(c->own_hi, v);
        s->largest[k] = fmax(s->largest[k], fabs(v));
        if (s->pictures) count_clipped(s, c, v);
    }
    for (size_t i = 0; i < 3; i++) {
        channel *c = &s->channels[i];
        double least = s->pictures ? LEAST_OWN_RANGE : 0, range = (c->own_hi - c->own_lo) * c->std * 255;
        if (c->own_hi < c->own_lo) continue;
        flat = flat && range <= least;
        c->lo = fmin(c->lo, c->own_lo), c->hi = fmax(c->hi, c->own_hi);
    }
    s->flat += flat;
    s->values += n;
    s->hashes[k] = hash(t->data, t->bytes);
    return KF_OK;
}

/* ---- what is wrong ----------------------------------------------------------------------------------------------- */

kf__norm kf__plausible_norm(const double *mean, const double *scale, int32_t n) {
    kf__norm r = {KF__NORM_FINE, INFINITY, -INFINITY};
    double width = INFINITY, top = 0, steepest = 0;
    for (int32_t c = 0; c < n; c++) {
        r.lo = fmin(r.lo, -mean[c] * scale[c]), r.hi = fmax(r.hi, (255 - mean[c]) * scale[c]);
        width = fmin(width, 255 * scale[c]);
        top = fmax(top, fabs(mean[c])), steepest = fmax(steepest, scale[c]);
    }
    double most = fmax(fabs(r.lo), fabs(r.hi));
    if (most > 300) r.kind = KF__NORM_FAR;                    /* unscaled pixels, less a mean or not, reach 255 */
    else if (most > 16 && most < 100) r.kind = KF__NORM_WIDE; /* normalized ones stay below 10, unscaled ones do not */
    else if (top > 0 && top <= 1 && steepest < 1.0 / 16) r.kind = KF__NORM_MEAN;
    else if (width < 0.1) r.kind = KF__NORM_NARROW; /* of all networks in use, the narrowest input is 0..1 */
    return r;
}

static kf_status check_norm(const kf_preprocess *how, int32_t n, kf_message_fn notice, void *user, kf_error *err) {
    static const char *const WHAT[] = {[KF__NORM_FAR] = "is std in units of 0..255 or inverted? it is one of 0..1",
                                       [KF__NORM_WIDE] = "is std too small? it is one of 0..1, often about 0.2 to 0.5",
                                       [KF__NORM_MEAN] = "is mean divided by 255 twice? it is one of 0..1",
                                       [KF__NORM_NARROW] = "are mean and std in units of 0..255? they are of 0..1"};
    double mean[3], scale[3];
    char text[400];
    for (int32_t c = 0; c < n; c++) mean[c] = 255 * (double)how->mean[c], scale[c] = 1 / (255 * (double)how->std[c]);
    kf__norm is = kf__plausible_norm(mean, scale, n);
    if (is.kind == KF__NORM_FINE) return KF_OK;
    kf__lab_print(text, sizeof text, "the preprocessing makes %.4g..%.4g of a picture's 0..255; %s", is.lo, is.hi,
                  WHAT[is.kind]);
    if (is.kind == KF__NORM_FAR) KF_FAIL(err, KF_ERR_ARGUMENT, "%s", text);
    notice(user, text);
    return KF_OK;
}

/* Numbers of all samples, as they are and as pixels. */
typedef struct span {
    double lo, hi, p_lo, p_hi, want_lo, want_hi;
} span;

static span span_of(const scan *s) {
    span r = {INFINITY, -INFINITY, INFINITY, -INFINITY, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3; i++) {
        const channel *c = &s->channels[i];
        if (c->hi < c->lo) continue;
        r.lo = fmin(r.lo, c->lo), r.hi = fmax(r.hi, c->hi);
        r.p_lo = fmin(r.p_lo, pixel(c, c->lo)), r.p_hi = fmax(r.p_hi, pixel(c, c->hi));
        r.want_lo = fmin(r.want_lo, -c->mean / c->std), r.want_hi = fmax(r.want_hi, (1 - c->mean) / c->std);
    }
    return r;
}

/* Photos reach black and white, a resize a little beyond or not quite there. */
static bool is_near(double bound, double one) { return fabs(bound - one) < 0.1; }

/* Floats that were not made by this preprocessing. */
static kf_status check_floats(const span *a, kf_message_fn notice, void *user, kf_error *err) {
    static const char ADVICE[] =
        "give (x / 255 - mean) / std as float32, or uint8 [H,W,3] files, which KitFox normalizes";
    char text[500];
    bool far = a->p_lo < -FAR || a->p_hi > 255 + FAR;
    bool twice = a->p_lo > -4 && a->p_lo < -0.25 && a->p_hi < 4; /* normalized numbers, taken for pixels */
    const char *looks = NULL;
    if (far && a->lo >= -OVERSHOOT && a->hi > 16 && a->hi <= 255 + OVERSHOOT)
        looks = "look like pixels, not normalized";
    else if (twice) looks = "look normalized twice";
    else if (far) looks = "look normalized twice, or with another mean and std";
    else if (a->lo >= 0 && a->hi <= 1 && a->want_lo < -0.5) looks = "look divided by 255, but not normalized";
    else if (is_near(a->lo, -1) && is_near(a->hi, 1) && a->want_lo < -1.5) looks = "look like pixel / 127.5 - 1";
    else if (a->p_lo < -OVERSHOOT || a->p_hi > 255 + OVERSHOOT) looks = "go far beyond those of a picture";
    if (!looks) return KF_OK;
    kf__lab_print(text, sizeof text,
                  "the values of the samples lie in %.4g..%.4g and %s; with this model's preprocessing they lie in "
                  "%.4g..%.4g; %s, or say how the network takes pictures (kitfox import --mean, --std)",
                  a->lo, a->hi, looks, a->want_lo, a->want_hi, ADVICE);
    if (far || twice) KF_FAIL(err, KF_ERR_ARGUMENT, "%s", text);
    notice(user, text);
    return KF_OK;
}

static void tell_repeated(const kf_samples *from, const kf_sample_facts *f, kf_message_fn notice, void *user) {
    static const char ADVICE[] = "ranges and agreement hold for nothing else; give 50 to 200 different ones";
    char text[800];
    if (f->samples == 1)
        snprintf(text, sizeof text, "there is one calibration sample (%.500s); %s", from->paths[0], ADVICE);
    else if (f->distinct == 1)
        snprintf(text, sizeof text, "all %zu calibration samples are the same as %.500s; %s", f->samples,
                 from->paths[0], ADVICE);
    else if (2 * f->distinct <= f->samples)
        snprintf(text, sizeof text, "only %zu of the %zu calibration samples differ from each other; %s", f->distinct,
                 f->samples, ADVICE);
    else return;
    notice(user, text);
}

static void tell_plain(const scan *s, const span *a, const kf_sample_facts *f, kf_message_fn notice, void *user) {
    char text[400];
    if (s->pictures && a->p_hi - a->p_lo < LEAST_RANGE) {
        kf__lab_print(
            text, sizeof text,
            "all calibration pictures lie in %.0f..%.0f of 0..255%s; give pictures like those that the model will "
            "see",
            round(a->p_lo) + 0.0, round(a->p_hi) + 0.0, a->p_hi <= 1 ? " and are black, or were divided by 255" : "");
        notice(user, text);
    } else if (2 * f->flat > f->samples) {
        snprintf(text, sizeof text,
                 "%zu of the %zu calibration samples have one colour or number each; give typical ones", f->flat,
                 f->samples);
        notice(user, text);
    }
    if (!s->pictures || f->clipped <= 100 * MOST_CLIPPED || 2 * f->flat > f->samples) return;
    kf__lab_print(
        text, sizeof text,
        "%.0f %% of all calibration pixels are 0 or 255; photos have a few percent; are the pictures clipped?",
        f->clipped);
    notice(user, text);
}

/* Sorts the magnitudes; `worst` is the file of the largest. */
static void tell_outlier(scan *s, const kf_samples *from, kf_message_fn notice, void *user) {
    size_t worst = 0, n = from->n;
    char text[800];
    for (size_t k = 1; k < n; k++)
        if (s->largest[k] > s->largest[worst]) worst = k;
    qsort(s->largest, n, sizeof *s->largest, by_size);
    double middle = s->largest[(n - 1) / 2], top = s->largest[n - 1];
    if (!(middle > 0 && top > OUTLIER * middle)) return;
    kf__lab_print(
        text, sizeof text,
        "%.500s: values up to %.4g, while half of the calibration samples stay within %.4g; is the file damaged?",
        from->paths[worst], top, middle);
    notice(user, text);
}

/* An error that one file of many brings about names it. */
static kf_status blame(const scan *s, const kf_samples *from, kf_status st, kf_error *err) {
    size_t worst = 0, like_it = 0;
    for (size_t k = 1; k < from->n; k++)
        if (s->largest[k] > s->largest[worst]) worst = k;
    for (size_t k = 0; k < from->n; k++) like_it += 10 * s->largest[k] > s->largest[worst];
    return st != KF_OK && like_it == 1 && from->n > 1 ? kf_error_prefix(err, st, "%.500s", from->paths[worst]) : st;
}

/* ---- the check --------------------------------------------------------------------------------------------------- */

static void nobody(void *user, const char *text) { (void)user, (void)text; }

static void begin(scan *s, const kf_samples *from, const kf_preprocess *how) {
    bool pixels = from->tensors[0].dtype == KF_U8, valid = how && how->valid;
    s->pictures = valid || pixels;
    s->n_channels = pixels && from->tensors[0].rank == 3 && from->tensors[0].shape[2] == 1 ? 1 : 3;
    if (!pixels && valid) s->n_channels = (size_t)kf_color_channels(how->color);
    for (size_t i = 0; i < 3; i++) {
        s->channels[i] = (channel){.std = 1.0 / 255, .lo = INFINITY, .hi = -INFINITY};
        if (!pixels && valid) s->channels[i].mean = (double)how->mean[i], s->channels[i].std = (double)how->std[i];
    }
}

static kf_status check(scan *s, const kf_samples *from, const kf_preprocess *how, kf_message_fn notice, void *user,
                       kf_sample_facts *f, kf_error *err) {
    bool valid = how && how->valid;
    if (valid) KF_TRY(check_norm(how, kf_color_channels(how->color), notice, user, err));
    for (size_t k = 0; k < from->n; k++) KF_TRY(scan_sample(s, from, k, err));
    qsort(s->hashes, from->n, sizeof *s->hashes, by_hash);
    span a = span_of(s);
    *f = (kf_sample_facts){
        .size = sizeof *f, .samples = from->n, .distinct = 1, .flat = s->flat, .lo = a.lo, .hi = a.hi};
    for (size_t k = 1; k < from->n; k++) f->distinct += s->hashes[k] != s->hashes[k - 1];
    if (s->pictures && s->values) f->clipped = 100.0 * (double)s->clipped / (double)s->values;
    if (valid && from->tensors[0].dtype == KF_F32) KF_TRY(blame(s, from, check_floats(&a, notice, user, err), err));
    tell_repeated(from, f, notice, user);
    tell_plain(s, &a, f, notice, user);
    tell_outlier(s, from, notice, user);
    return KF_OK;
}

kf_status kf_samples_check(const kf_samples *samples, const kf_preprocess *how, kf_message_fn notice, void *user,
                           kf_sample_facts *out, kf_error *err) {
    kf_sample_facts facts = {.size = sizeof facts};
    if (out) KF_TRY(kf_info_write(out, &facts, "kf_sample_facts", err)); /* before the work */
    if (!samples || !samples->n || !samples->tensors)
        KF_FAIL(err, KF_ERR_ARGUMENT, "kf_samples_check: samples with tensors are needed; see kf_samples_load");
    for (size_t k = 0; k < samples->n; k++) {
        const kf_tensor *t = &samples->tensors[k];
        if (!t->data || (t->dtype != KF_U8 && t->dtype != KF_F32) || t->dtype != samples->tensors[0].dtype)
            KF_FAIL(err, KF_ERR_ARGUMENT, "%.600s: f32 or u8 numbers are needed, the same in all samples",
                    samples->paths[k]);
    }
    scan s = {.hashes = calloc(samples->n, sizeof *s.hashes), .largest = calloc(samples->n, sizeof *s.largest)};
    kf_status st = kf_error_set(err, KF_ERR_MEMORY, "out of memory to look at %zu samples", samples->n);
    if (s.hashes && s.largest) {
        begin(&s, samples, how);
        st = check(&s, samples, how, notice ? notice : nobody, user, &facts, err);
    }
    free(s.hashes);
    free(s.largest);
    return st == KF_OK && out ? kf_info_write(out, &facts, "kf_sample_facts", err) : st;
}
