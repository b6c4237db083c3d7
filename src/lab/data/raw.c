/* Raw calibration files to samples: sizes, headers and values are judged before anything is computed with them.
 * Owner rule: see samples.h. */
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "data/samples.h"
#include "data/text.h"

/* Interpolated pictures may leave 0..255 a little; this much is cut off silently. */
#define OVERSHOOT 64

typedef struct shape {
    size_t c, h, w, count;
    char text[64];
} shape;

static const char *type_name(kf_dtype t) {
    return t == KF_F32 ? "float32" : t == KF_U8 ? "uint8" : t == KF_I8 ? "int8" : t == KF_I16 ? "int16" : "int32";
}

/* Channels first or last as the network itself has them; other ranks are one row. */
static shape shape_of(const kf_raw_form *f) {
    const kf_tensor *t = f->input;
    bool last = t->rank == 4 && t->shape[1] != 3 && t->shape[1] != 1 && t->shape[3] <= 4;
    shape s = {1, 1, 1, 1, ""};
    for (int i = 0; i < t->rank; i++) s.count *= (size_t)t->shape[i];
    s.w = s.count;
    if (t->rank == 4)
        s.c = (size_t)t->shape[last ? 3 : 1], s.h = (size_t)t->shape[last ? 1 : 2],
        s.w = (size_t)t->shape[last ? 2 : 3];
    if (f->nhwc) snprintf(s.text, sizeof s.text, "%zux%zux%zu", s.h, s.w, s.c);
    else snprintf(s.text, sizeof s.text, "%zux%zux%zu", s.c, s.h, s.w);
    return s;
}

/* What else a file of this size and beginning may be. */
static void guess(const uint8_t *data, size_t bytes, const kf_raw_form *f, const shape *s, char *to, size_t room) {
    static const kf_dtype TYPES[] = {KF_U8, KF_I16, KF_F32};
    size_t want = s->count * kf_dtype_size(f->type),
           side = (size_t)lround(sqrt((double)bytes / (double)(s->c * kf_dtype_size(f->type))));
    if (bytes == 0) {
        snprintf(to, room, "it is empty");
        return;
    }
    if (bytes > 4 && (memcmp(data, "\xff\xd8\xff", 3) == 0 || memcmp(data, "\x89PNG", 4) == 0)) {
        snprintf(to, room, "it is a picture file; set preprocess_on: True, or write its numbers");
        return;
    }
    for (int i = 0; i < 3; i++)
        if (bytes == s->count * kf_dtype_size(TYPES[i])) {
            snprintf(to, room, "it looks like %s; set cal_data_type", type_name(TYPES[i]));
            return;
        }
    if (s->c == 3 && 2 * bytes == s->w * s->h * 3)
        snprintf(to, room, "it looks like an NV12 frame; write the picture as the network was trained on it");
    else if (side * side * s->c * kf_dtype_size(f->type) == bytes)
        snprintf(to, room, "it looks like %zux%zu; resize pictures to %zux%zu", side, side, s->w, s->h);
    else if (bytes > want && bytes - want <= 256)
        snprintf(to, room, "%zu bytes too many look like a header; write the numbers alone", bytes - want);
    else snprintf(to, room, "it fits no known form; check its writer");
}

static float number_at(const uint8_t *data, size_t i, kf_dtype t) {
    union {
        float f;
        int32_t i32;
        int16_t i16;
    } v;
    memcpy(&v, data + i * kf_dtype_size(t), kf_dtype_size(t));
    return t == KF_F32   ? v.f
           : t == KF_U8  ? (float)data[i]
           : t == KF_I8  ? (float)(int8_t)data[i]
           : t == KF_I16 ? (float)v.i16
                         : (float)v.i32;
}

/* Pixels that were normalized or scaled already would be so twice. */
static kf_status check_values(const char *path, const float *x, size_t n, bool pixels, float *most, kf_error *err) {
    float lo = INFINITY, hi = -INFINITY;
    bool whole = true;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(x[i]))
            return kf_error_set(err, KF_ERR_ARGUMENT,
                                "%.600s: value %zu is not finite; check its writer and cal_data_type", path, i);
        lo = fminf(lo, x[i]), hi = fmaxf(hi, x[i]);
        whole = whole && x[i] == floorf(x[i]);
    }
    *most = fmaxf(*most, hi);
    if (!pixels) return KF_OK;
    if (lo < 0 && hi < 16)
        return kf_error_set(err, KF_ERR_ARGUMENT,
                            "%.600s: values lie in %g..%g and look normalized already; 0..255 is needed; write the "
                            "pictures without mean and scale",
                            path, (double)lo, (double)hi);
    if (hi <= 4 && hi > 1 && !whole)
        return kf_error_set(err, KF_ERR_ARGUMENT,
                            "%.600s: values lie in %g..%g and look normalized already; 0..255 is needed; write the "
                            "pictures without mean and scale",
                            path, (double)lo, (double)hi);
    if (hi <= 1 && !whole)
        return kf_error_set(
            err, KF_ERR_ARGUMENT,
            "%.600s: values lie in %g..%g and look divided by 255; 0..255 is needed; write the pictures unscaled", path,
            (double)lo, (double)hi);
    if (lo < -OVERSHOOT || hi > 255 + OVERSHOOT)
        return kf_error_set(
            err, KF_ERR_ARGUMENT,
            "%.600s: values lie in %g..%g; pixels of 0..255 are needed; check its writer and cal_data_type", path,
            (double)lo, (double)hi);
    return KF_OK;
}

static kf_status read_file(const char *path, const kf_raw_form *f, const shape *s, float *to, kf_error *err) {
    size_t want = s->count * kf_dtype_size(f->type);
    char what[160];
    FILE *in;
    KF_TRY(kf__text_open(path, &in, err));
    uint8_t *data = malloc(want + 1);
    struct stat st;
    kf_status result = KF_OK;
    if (fstat(fileno(in), &st) != 0)
        result = kf_error_set(err, KF_ERR_IO, "%.600s: cannot be read; %s", path, strerror(errno));
    else if (!data)
        result = kf_error_set(err, KF_ERR_MEMORY, "%.600s: out of memory; %zu bytes were asked for", path, want);
    if (result == KF_OK) {
        size_t n = fread(data, 1, want + 1, in), bytes = n < want ? n : (size_t)st.st_size;
        if (n > 6 && memcmp(data, "\x93NUMPY", 6) == 0)
            result = kf_error_set(err, KF_ERR_FORMAT,
                                  "%.600s: begins with a NumPy header; %zu bytes of numbers alone are needed (%s %s); "
                                  "write it with tofile(), not save()",
                                  path, want, s->text, type_name(f->type));
        else if (bytes != want) {
            guess(data, bytes, f, s, what, sizeof what);
            result = kf_error_set(err, KF_ERR_FORMAT, "%.600s: %zu bytes; %zu are expected (%s %s); %s", path, bytes,
                                  want, s->text, type_name(f->type), what);
        }
    }
    for (size_t i = 0; result == KF_OK && i < s->count; i++) to[i] = number_at(data, i, f->type);
    kf__text_close(in);
    free(data);
    return result;
}

/* Index of (c, y, x) in the file, or in the network's tensor. */
static size_t at(const shape *s, bool last, size_t c, size_t y, size_t x) {
    return last ? (y * s->w + x) * s->c + c : (c * s->h + y) * s->w + x;
}

/* To a camera frame and back: the chroma that the network will be fed is halved. */
static kf_status through_camera(uint8_t *rgb, const shape *s, bool limited, kf_error *err) {
    kf_image in = {(int32_t)s->w, (int32_t)s->h, 3 * s->w, rgb}, back = {0};
    size_t luma = s->w * s->h;
    uint8_t *nv12 = malloc(luma * 3 / 2 + 1);
    if (!nv12) return kf_error_set(err, KF_ERR_MEMORY, "out of memory; %zu bytes were asked for", luma * 3 / 2);
    kf_status st = kf_image_to_nv12(&in, limited, nv12, luma * 3 / 2, err);
    const kf_nv12 frame = {(int32_t)s->w, (int32_t)s->h, nv12, nv12 + luma, s->w, s->w, limited};
    if (st == KF_OK) st = kf_image_from_nv12(&frame, &back, err);
    for (size_t y = 0; st == KF_OK && y < s->h; y++)
        memcpy(rgb + y * 3 * s->w, back.pixels + y * back.stride, 3 * s->w);
    kf_image_free(&back);
    free(nv12);
    return st;
}

static kf_status make_pixels(const kf_raw_form *f, const shape *s, const float *x, kf_tensor *t, kf_error *err) {
    *t = (kf_tensor){.dtype = KF_U8, .rank = 3, .shape = {(int64_t)s->h, (int64_t)s->w, 3}, .bytes = s->count};
    uint8_t *to = t->data = malloc(s->count + 1);
    if (!to) return kf_error_set(err, KF_ERR_MEMORY, "out of memory; %zu bytes were asked for", s->count);
    for (size_t y = 0; y < s->h; y++)
        for (size_t k = 0; k < s->w; k++)
            for (size_t c = 0; c < 3; c++) *to++ = (uint8_t)fminf(fmaxf(rintf(x[at(s, f->nhwc, c, y, k)]), 0), 255);
    if (f->bgr) kf_color_to_rgb(KF_COLOR_BGR, t->data, s->w * s->h, t->data);
    return f->camera ? through_camera(t->data, s, f->camera == 2, err) : KF_OK;
}

static kf_status make_floats(const kf_raw_form *f, const shape *s, const float *x, kf_tensor *t, kf_error *err) {
    *t = *f->input;
    t->name = NULL, t->dtype = KF_F32, t->bytes = s->count * sizeof(float);
    float *to = t->data = malloc(t->bytes + 1);
    if (!to) return kf_error_set(err, KF_ERR_MEMORY, "out of memory; %zu bytes were asked for", t->bytes);
    bool last = t->rank == 4 && (size_t)t->shape[1] != s->c;
    for (size_t c = 0; c < s->c; c++)
        for (size_t y = 0; y < s->h; y++)
            for (size_t k = 0; k < s->w; k++) {
                double v = (double)x[at(s, f->nhwc, c, y, k)];
                to[at(s, last, c, y, k)] = (float)(f->normalize ? (v - f->mean[c % 3]) * f->scale[c % 3] : v);
            }
    return KF_OK;
}

static kf_status find(const char *folder, size_t limit, kf_samples *out, kf_error *err) {
    struct dirent **entries;
    errno = 0;
    int n = scandir(folder, &entries, NULL, alphasort);
    if (n < 0) return kf_error_set(err, KF_ERR_IO, "%.600s: cannot be listed; %s", folder, strerror(errno));
    bool ok = true;
    for (int i = 0; i < n; i++) {
        char path[4096];
        struct stat st;
        int len = snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        if (ok && entries[i]->d_name[0] != '.' && len < (int)sizeof path && stat(path, &st) == 0 && S_ISREG(st.st_mode))
            ok = kf__samples_add(out, folder, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    if (!ok) return kf_error_set(err, KF_ERR_MEMORY, "%.600s: out of memory", folder);
    if (out->n == 0)
        return kf_error_set(err, KF_ERR_IO, "%.600s: holds no files; calibration needs 50 to 200 typical pictures",
                            folder);
    kf__samples_keep(out, limit);
    return KF_OK;
}

kf_status kf_samples_load_raw(const char *folder, size_t limit, const kf_raw_form *f, kf_samples *out, kf_error *err) {
    if (!folder || !f || !f->input || !out)
        KF_FAIL(err, KF_ERR_ARGUMENT, "kf_samples_load_raw: folder, form with input, and out are needed");
    shape s = shape_of(f);
    *out = (kf_samples){0};
    kf_status st = find(folder, limit, out, err);
    if (st != KF_OK) return kf_samples_free(out), st;
    out->tensors = calloc(out->n, sizeof *out->tensors);
    float *x = malloc(s.count * sizeof *x + 1), most = 0;
    if (!out->tensors || !x) st = kf_error_set(err, KF_ERR_MEMORY, "%.600s: out of memory", folder);
    for (size_t i = 0; st == KF_OK && i < out->n; i++) {
        st = read_file(out->paths[i], f, &s, x, err);
        if (st == KF_OK) st = check_values(out->paths[i], x, s.count, f->pixels || f->normalize, &most, err);
        if (st == KF_OK)
            st =
                f->pixels ? make_pixels(f, &s, x, &out->tensors[i], err) : make_floats(f, &s, x, &out->tensors[i], err);
        out->tensors[i].name = out->paths[i]; /* for messages of kf_graph_quantize */
    }
    if (st == KF_OK && (f->pixels || f->normalize) && most <= 1) /* one black picture may be; all of them are not */
        st = kf_error_set(
            err, KF_ERR_ARGUMENT,
            "%.600s: no value of any file is above 1; they look divided by 255; 0..255 is needed; write the "
            "pictures unscaled",
            folder);
    free(x);
    if (st != KF_OK) kf_samples_free(out);
    return st;
}
