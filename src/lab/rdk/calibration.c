/* Calibration data as the file has it: raw numbers, pictures, or random numbers; and what looks odd about it.
 * Owner rule: the samples belong to the job. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "data/plausible.h"
#include "rdk/rdk.h"
#include "data/plain.h"

/* Calibration pixels are full range whatever the camera gives; stretched wrongly, or not at all, all of them lie
 * in 16..235. */
static void tell_range(kf__rdk_job *j) {
    double lo = 255, hi = 0;
    char text[400];
    for (size_t i = 0; i < j->samples->n; i++) {
        const kf_tensor *t = &j->samples->tensors[i];
        for (const uint8_t *p = t->data, *end = p + t->bytes; p < end; p += 3) {
            double y = 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2];
            if (y < lo) lo = y;
            if (y > hi) hi = y;
        }
    }
    if (lo < 15.5 || hi > 235.5) return;
    kf__lab_print(
        text, sizeof text,
        "%.150s: the luma of all calibration pictures lies in %.0f..%.0f, like limited range, but the file says "
        "regular (full); set input_space_and_range: bt601_video if the camera is limited, and write pictures "
        "stretched to 0..255",
        kf_rdk_place(j->c, "input_space_and_range"), lo, hi);
    kf__rdk_note(j, text);
}

/* Pixels, or f32 of about unit variance. */
static void fill_random(kf_tensor *t, size_t count, uint32_t *state) {
    for (size_t i = 0; i < count; i++) {
        uint32_t s = *state;
        s ^= s << 13, s ^= s >> 17, s ^= s << 5;
        *state = s;
        if (t->dtype == KF_U8) ((uint8_t *)t->data)[i] = (uint8_t)(s >> 24);
        else ((float *)t->data)[i] = (float)(((double)s / 4294967296.0 - 0.5) * 3.4641);
    }
}

/* calibration_type skip. */
static kf_status random_samples(kf__rdk_job *j, const kf_tensor *in, bool pixels, kf_error *err) {
    enum { N = 8 };
    kf_samples *p = j->samples;
    uint32_t state = 2463534242u;
    p->paths = calloc(N, sizeof *p->paths);
    p->tensors = calloc(N, sizeof *p->tensors);
    if (!p->paths || !p->tensors) KF_RDK_FAIL_MEMORY(err);
    while (p->n < N) {
        char name[40];
        snprintf(name, sizeof name, "random numbers %zu", p->n + 1); /* where others have a path */
        if (!(p->paths[p->n] = strdup(name))) KF_RDK_FAIL_MEMORY(err);
        kf_tensor *t = &p->tensors[p->n++];
        size_t count = 1;
        for (int i = 0; i < in->rank; i++) count *= (size_t)in->shape[i];
        *t = *in;
        const int high = in->shape[1] == 3 ? 2 : 1; /* [N, C, H, W] or [N, H, W, C] */
        if (pixels) *t = (kf_tensor){.dtype = KF_U8, .rank = 3, .shape = {in->shape[high], in->shape[high + 1], 3}};
        t->name = NULL, t->bytes = count * kf_dtype_size(t->dtype);
        if (!(t->data = malloc(t->bytes + 1))) KF_RDK_FAIL_MEMORY(err);
        fill_random(t, count, &state);
        /* Numbers are in the network's order, as in files: the same random model whatever its colours. */
        if (pixels && j->c->trained == KF_INPUT_BGR) kf_color_to_rgb(KF_COLOR_BGR, t->data, count / 3, t->data);
    }
    return KF_OK;
}

/* Raw numbers of the input's size in the folder: "the files look like raw 3x64x64 float32; ", or nothing. */
static void tell_raw(const char *folder, const kf_tensor *in, char *text, size_t room) {
    static const char *const TYPES[] = {[1] = "uint8", [2] = "int16", [4] = "float32"};
    size_t count = 1;
    struct stat st;
    char path[4400];
    DIR *d = opendir(folder);
    *text = '\0';
    for (int i = 0; i < in->rank; i++) count *= (size_t)in->shape[i];
    for (struct dirent *e; d && !*text && (e = readdir(d)) != NULL;) {
        snprintf(path, sizeof path, "%.4095s/%.255s", folder, e->d_name);
        if (stat(path, &st) != 0 || !S_ISREG(st.st_mode) || in->rank != 4) continue;
        for (size_t size = 1; size <= 4; size *= 2)
            if ((uint64_t)st.st_size == (uint64_t)count * size)
                snprintf(text, room, "; '%.100s' looks like raw %lldx%lldx%lld %s", e->d_name, (long long)in->shape[1],
                         (long long)in->shape[2], (long long)in->shape[3], TYPES[size]);
    }
    if (d) closedir(d);
}

static kf_status load_pictures(kf__rdk_job *j, const kf_tensor *in, kf_error *err) {
    kf_graph_info info = {.size = sizeof info};
    KF_TRY(kf_graph_get_info(j->g, &info, err));
    kf_error why;
    char raw[240];
    kf_status st = kf_samples_find(j->c->calibration, NULL, j->o.limit, j->samples, &why);
    if (st == KF_OK) return kf_samples_load_some(j->samples, &info.preprocess, NULL, j->o.skipped, j->o.user, err);
    tell_raw(j->c->calibration, in, raw, sizeof raw);
    KF_FAIL(err, st, "%.700s%s; files of raw numbers need preprocess_on: False", why.text, raw);
}

static kf_status load_raw(kf__rdk_job *j, const kf_tensor *in, bool pixels, kf_error *err) {
    const kf_rdk_config *c = j->c;
    kf_raw_form f = {.type = c->calibration_type,
                     .nhwc = c->nhwc,
                     .input = in,
                     .pixels = pixels,
                     .bgr = c->trained == KF_INPUT_BGR,
                     .normalize = c->normalizes,
                     .camera = c->runtime == KF_INPUT_NV12 ? 1 + c->limited : 0};
    memcpy(f.mean, c->mean, sizeof f.mean);
    memcpy(f.scale, c->scale, sizeof f.scale);
    return kf_samples_load_raw(c->calibration, j->o.limit, &f, j->samples, err);
}

/* mean_value and scale_value in the unit that the file has them in: (x - mean) * scale of pixels x. */
static kf_status check_norm(kf__rdk_job *j, kf_error *err) {
    static const char *const WHAT[] = {
        [KF__NORM_FAR] = "is scale_value a standard deviation, or the inverse of one of 0..1? it is 1 / (255 * std)",
        [KF__NORM_WIDE] = "is scale_value a standard deviation of 0..1? it is 1 / (255 * std)",
        [KF__NORM_MEAN] = "is mean_value one of 0..1? it is 255 times that",
        [KF__NORM_NARROW] = "is scale_value divided by 255 twice? it is 1 / (255 * std)"};
    const kf_rdk_config *c = j->c;
    const kf__norm is = kf__plausible_norm(c->mean, c->scale, c->trained == KF_INPUT_GRAY ? 1 : 3);
    const char *key = is.kind == KF__NORM_MEAN ? "mean_value" : "scale_value";
    char text[400];
    if (!c->normalizes || is.kind == KF__NORM_FINE) return KF_OK;
    kf__lab_print(text, sizeof text, "%.150s: (x - mean_value) * scale_value of pixels lies in %.4g..%.4g; %s",
                  kf_rdk_place(c, key), is.lo, is.hi, WHAT[is.kind]);
    if (is.kind == KF__NORM_FAR) KF_FAIL(err, KF_ERR_ARGUMENT, "%s", text);
    kf__rdk_note(j, text);
    return KF_OK;
}

static void on_mistake(void *user, const char *text) {
    kf__rdk_job *j = user;
    char whole[KF_ERROR_TEXT];
    snprintf(whole, sizeof whole, "%.150s: %s", kf_rdk_place(j->c, "cal_data_dir"), text);
    kf__rdk_note(j, whole);
}

kf_status kf__rdk_calibration(kf__rdk_job *j, const kf_tensor *in, kf_error *err) {
    const kf_rdk_config *c = j->c;
    bool pixels = kf__rdk_color(c) && in->rank == 4 && in->shape[1] == 3;
    KF_TRY(check_norm(j, err));
    if (c->random) return random_samples(j, in, pixels, err);
    kf_status st = c->pictures ? load_pictures(j, in, err) : load_raw(j, in, pixels, err);
    if (st == KF_OK) st = kf_samples_check(j->samples, NULL, on_mistake, j, NULL, err);
    if (st != KF_OK) return kf__rdk_at(j, "cal_data_dir", st, err);
    if (j->samples->n < 20)
        kf__rdk_note(j, "fewer than 20 calibration files; 50 to 200 typical ones give better ranges");
    if (c->runtime == KF_INPUT_NV12 && !c->limited && pixels) tell_range(j);
    return KF_OK;
}
