/* kitfox check CONFIG.yaml: every value with its type and place, then whether quantize would take it, then the range of
 * camera frames. Owner rule: nothing is written but standard output. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/files.h"
#include "kitfox/quantize.h"

static void notice(void *user, const char *text) {
    (void)user;
    fprintf(stderr, "kitfox: note: %s\n", text);
}

static const char *const TYPES[] = {"null", "bool", "int",    "float",
                                    "text", "list", "mapping"}; /* in the order of kf_entry_type */

static json_t *value_json(const kf_rdk_entry *e) {
    switch (e->type) {
    case KF_ENTRY_NULL: return json_null();
    case KF_ENTRY_BOOL: return json_boolean(e->number != 0);
    case KF_ENTRY_INT:
        if (e->number > -9e18 && e->number < 9e18) return json_integer((json_int_t)e->number);
        return json_real(e->number); /* past 64 bits */
    case KF_ENTRY_FLOAT: return json_real(e->number);
    case KF_ENTRY_LIST: return json_array();
    case KF_ENTRY_MAPPING: return json_object();
    default: return json_string(e->text);
    }
}

static void print_entry(const kf_rdk_entry *e, bool json) {
    if (!json) {
        printf("%4d:%-4d ", e->line, e->column);
        for (int32_t i = 0; i < e->depth; i++) printf("%s%s", i ? "." : "", e->path[i]);
        printf(" = %s (%s)\n", e->text, TYPES[e->type]);
        return;
    }
    json_t *path = json_array();
    for (int32_t i = 0; i < e->depth; i++) json_array_append_new(path, json_string(e->path[i]));
    json_t *value = value_json(e);
    if (!value) value = json_null(); /* .inf and .nan: JSON has neither */
    json_t *o = json_pack("{s:o,s:o,s:s,s:i,s:i}", "path", path, "value", value, "type", TYPES[e->type], "line",
                          e->line, "column", e->column);
    char *line = json_dumps(o, JSON_COMPACT); /* numbers with all their digits, unlike measurements */
    if (line) puts(line);
    free(line);
    json_decref(o);
}

/* Luma of all frames of a file: extremes, and how many pixels lie outside 16..235. */
typedef struct luma {
    int lo, hi;
    unsigned long long outside, pixels;
    size_t frames;
} luma;

static kf_status read_luma(const char *path, size_t w, size_t h, luma *l, kf_error *err) {
    size_t bytes = w * h * 3 / 2, n = 0, got = 0;
    FILE *f = cli_open(path, err);
    if (!f) return err->status;
    unsigned char *data = malloc(bytes);
    kf_status st = KF_OK;
    if (!data) st = cli_error(err, KF_ERR_MEMORY, "%.600s: out of memory for a frame of %zu bytes", path, bytes);
    while (st == KF_OK && (got = fread(data, 1, bytes, f)) == bytes) {
        n++;
        for (size_t i = 0; i < w * h; i++) {
            l->lo = data[i] < l->lo ? data[i] : l->lo;
            l->hi = data[i] > l->hi ? data[i] : l->hi;
            l->outside += data[i] < 16 || data[i] > 235;
        }
        l->pixels += w * h, l->frames++;
    }
    if (st == KF_OK && ferror(f)) st = cli_error(err, KF_ERR_IO, "%.600s: cannot be read; %s", path, strerror(errno));
    if (st == KF_OK && (got || !n))
        st = cli_error(err, KF_ERR_FORMAT,
                       "%.600s: %zu bytes; NV12 frames of %zux%zu have %zu each; check the file, or say --nv12 WxH",
                       path, n * bytes + got, w, h, bytes);
    cli_close(f);
    free(data);
    return st;
}

/* Frames in a narrower range than the file says, or pixels past it. A tenth of a percent may be noise of the camera. */
static const char *verdict(const luma *l, bool limited) {
    if (!limited && l->lo >= 16 && l->hi <= 235)
        return "like limited range, but the file says regular (full); set input_space_and_range: bt601_video, or check "
               "the camera";
    if (limited && l->outside * 1000 > l->pixels)
        return "like full range, but the file says bt601_video (limited); set input_space_and_range: regular, or check "
               "the camera";
    return NULL;
}

static kf_status check_frames(const char *path, const kf_rdk_config *c, const cli_common *common, const kf_tensor *in,
                              char **frames, size_t n, long width, long height, kf_error *err) {
    bool first = in->rank == 4 && in->shape[1] == 3;
    size_t w = (size_t)width, h = (size_t)height;
    luma l = {.lo = 255};
    if (c->runtime != KF_INPUT_NV12)
        return cli_error(err, KF_ERR_ARGUMENT,
                         "%s: input_type_rt is not nv12; frames cannot be judged; remove --frames",
                         kf_rdk_place(c, "input_type_rt"));
    if (!width && in->rank == 4) h = (size_t)in->shape[first ? 2 : 1], w = (size_t)in->shape[first ? 3 : 2];
    for (size_t i = 0; i < n; i++) {
        kf_status st = read_luma(frames[i], w, h, &l, err);
        if (st != KF_OK) return st;
    }
    const char *why = verdict(&l, c->limited != 0);
    if (common->json)
        cli_print_json(json_pack("{s:I,s:i,s:i,s:s,s:b}", "frames", (json_int_t)l.frames, "luma_min", l.lo, "luma_max",
                                 l.hi, "range", c->limited ? "limited" : "full", "agrees", why == NULL));
    if (why)
        fprintf(stderr, "kitfox: note: %s: the luma of %zu frames lies in %d..%d, %s\n",
                kf_rdk_place(c, "input_space_and_range"), l.frames, l.lo, l.hi, why);
    else if (!common->json)
        printf("%s: the luma of %zu frames lies in %d..%d, as %s range has it\n", path, l.frames, l.lo, l.hi,
               c->limited ? "limited" : "full");
    return KF_OK;
}

kf_status check_yaml(const char *path, const cli_common *common, char **frames, size_t n_frames, long width,
                     long height, kf_error *err) {
    kf_rdk_config *c = NULL;
    kf_rdk_entry e;
    kf_tensor in = {0};
    kf_error end;
    size_t samples = 0;
    kf_status st = kf_rdk_load(path, notice, NULL, &c, err);
    for (int32_t i = 0; st == KF_OK && kf_rdk_get(c, i, &e, &end) == KF_OK; i++) print_entry(&e, common->json);
    if (st == KF_OK) st = quantize_yaml_try(path, common, 0, &in, &samples, err);
    if (st == KF_OK && common->json)
        cli_print_json(json_pack("{s:s,s:I}", "model", c->model, "samples", (json_int_t)samples));
    else if (st == KF_OK) printf("%s: model, node names and %zu calibration samples are fine\n", path, samples);
    if (st == KF_OK && n_frames) st = check_frames(path, c, common, &in, frames, n_frames, width, height, err);
    kf_rdk_free(&c);
    return st;
}
