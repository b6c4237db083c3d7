/* Raw tensors from NPY and NPZ files: what the first one holds, one image or many, and every output of each.
 * Owner rule: tensors read here are freed here; the output is the caller's. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/npz.h"
#include "data/plain.h"
#include "kitfox/batch.h"
#include "run/answers.h"

typedef struct work {
    kf_run_options o;
    const kf_model *m;
    kf_preprocess preprocess;
    int32_t n_inputs, n_outputs;
    kf_tensor in[KF_RUN_MAX_FILES], want; /* want: what the model declares for the first */
    char names[KF_RUN_MAX_FILES][256];
    size_t n;
    bool told; /* of fewer threads */
} work;

void kf_run_options_init(kf_run_options *options) { *options = (kf_run_options){.size = sizeof *options}; }

void kf_run_free(kf_run_result *result) {
    const kf_run_result empty = {.size = sizeof empty};
    if (!result) return;
    const bool all = result->size >= sizeof *result && result->outputs;
    if (!all) free(result->output.data);
    for (size_t i = 0; all && i < result->n_outputs; i++) free(result->outputs[i].data);
    if (all) free(result->outputs);
    kf_info_write(result, &empty, "kf_run_result", NULL);
}

void kf_preprocess_floats(const kf_preprocess *preprocess, char *text, size_t room) {
    const kf_preprocess *p = preprocess;
    if (!text || !room) return;
    *text = '\0';
    if (!p || !p->valid) return;
    if (p->color == KF_COLOR_GRAY)
        kf__lab_print(text, room, "(pixel / 255 - %.4g) / %.4g, pixel: the luma in 0..255", p->mean[0], p->std[0]);
    else
        kf__lab_print(text, room,
                      "(pixel / 255 - mean) / std, mean %.4g %.4g %.4g, std %.4g %.4g %.4g, channels in the order %s",
                      p->mean[0], p->mean[1], p->mean[2], p->std[0], p->std[1], p->std[2], kf_color_name(p->color));
}

/* ---- what is given ----------------------------------------------------------------------------------------------- */

/* Does numpy give this name to array k of savez(file, x, y)? */
static bool is_unnamed(const char *name, size_t k) {
    char made[32];
    snprintf(made, sizeof made, "arr_%zu", k);
    return strcmp(name, made) == 0;
}

/* Arrays of an archive are inputs of their names; those without one come in their order. */
static kf_status read_archive(work *w, const char *path, kf_error *err) {
    kf__npz npz;
    KF_TRY(kf__npz_read(path, KF_RUN_MAX_FILES - w->n, &npz, err));
    for (size_t k = 0; k < npz.n; k++) {
        kf_tensor *in = &w->in[w->n];
        *in = npz.tensors[k];
        npz.tensors[k].data = NULL;
        memcpy(w->names[w->n], npz.names[k], KF__NPZ_NAME);
        in->name = is_unnamed(npz.names[k], k) ? NULL : w->names[w->n];
        w->n++;
    }
    kf__npz_free(&npz);
    return KF_OK;
}

static kf_status read_inputs(work *w, const char *const *files, size_t n, kf_error *err) {
    for (size_t i = 0; i < n; i++) {
        if (!files[i]) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_run_files: file %zu of %zu is NULL", i, n);
        const char *eq = strchr(files[i], '=');
        if (w->n == KF_RUN_MAX_FILES)
            KF_FAIL(err, KF_ERR_LIMIT, "%.600s: more than %d tensors are given", files[i], KF_RUN_MAX_FILES);
        if (!eq && kf__npz_named(files[i])) {
            KF_TRY(read_archive(w, files[i], err));
            continue;
        }
        kf_tensor *in = &w->in[w->n];
        char *name = w->names[w->n];
        KF_TRY(kf_npy_read(eq ? eq + 1 : files[i], in, err));
        w->n++;
        if (!eq) continue;
        snprintf(name, sizeof *w->names, "%.*s", (int)(eq - files[i]), files[i]);
        in->name = name;
    }
    return KF_OK;
}

/* kf_session_run takes the only tensor whatever its name; here that is a typing error. */
static kf_status check_names(const work *w, kf_error *err) {
    kf_tensor declared;
    for (size_t k = 0; k < w->n; k++) {
        bool known = !w->in[k].name;
        for (int32_t i = 0; i < w->n_inputs && !known; i++) {
            KF_TRY(kf_model_input(w->m, i, &declared, err));
            known = strcmp(declared.name, w->in[k].name) == 0;
        }
        if (known) continue;
        KF_TRY(kf_model_input(w->m, 0, &declared, err));
        KF_FAIL(err, KF_ERR_ARGUMENT, "%s=: the model has no such input; its first of %d is %s", w->in[k].name,
                w->n_inputs, declared.name);
    }
    return KF_OK;
}

/* By its name where it has one. */
static kf_status find_first(work *w, kf_error *err) {
    for (int32_t i = 0; w->in[0].name && i < w->n_inputs; i++) {
        KF_TRY(kf_model_input(w->m, i, &w->want, err));
        if (strcmp(w->want.name, w->in[0].name) == 0) return KF_OK;
    }
    return kf_model_input(w->m, 0, &w->want, err);
}

/* A picture as numpy has it, of exactly the input's size: the library turns its colours and normalizes it. */
static bool is_picture(const work *w) {
    const kf_tensor *in = &w->in[0];
    const kf_preprocess *p = &w->preprocess;
    return w->n == 1 && p->valid && in->dtype == KF_U8 && in->rank == 3 && in->shape[0] == p->height &&
           in->shape[1] == p->width && in->shape[2] == 3;
}

static kf_status check_bytes(const work *w, const char *file, kf_error *err) {
    char floats[300];
    if (w->want.dtype == KF_U8 || is_picture(w)) return KF_OK;
    kf_preprocess_floats(&w->preprocess, floats, sizeof floats);
    const bool picture = w->preprocess.valid;
    KF_FAIL(err, KF_ERR_SHAPE, "%.600s: uint8 given; %s takes float32%s%s", file, w->want.name,
            picture ? ", or an RGB picture of its size as uint8 [H,W,3]; float32 is " : "", floats);
}

/* Bytes that the model does not take are refused. Floats that look like something else may be right: that is a note. */
static kf_status check_first(work *w, const char *file, kf_error *err) {
    kf_error odd;
    char *path = (char *)file;
    if (w->in[0].dtype == KF_U8) return check_bytes(w, file, err);
    if (w->n > 1 || !w->preprocess.valid) return KF_OK;
    const kf_samples one = {.paths = &path, .n = 1, .tensors = w->in};
    kf_status st = kf_samples_check(&one, &w->preprocess, NULL, NULL, NULL, &odd);
    if (st == KF_ERR_ARGUMENT && w->o.notice) w->o.notice(w->o.user, odd.text);
    if (st != KF_ERR_MEMORY) return KF_OK;
    if (err) *err = odd;
    return st;
}

/* ---- what comes out ---------------------------------------------------------------------------------------------- */

/* Room for output k of all images. */
static kf_status make_output(const work *w, int32_t k, size_t images, kf_tensor *out, kf_error *err) {
    kf_tensor declared;
    KF_TRY(kf_model_output(w->m, k, &declared, err));
    size_t each = declared.bytes, n = images > 1 && declared.rank > 0 ? images : 1;
    if (n > 1) declared.shape[0] *= (int64_t)n;
    bool possible = !__builtin_mul_overflow(each, n, &declared.bytes);
    declared.data = NULL;
    if (possible) declared.data = malloc(declared.bytes ? declared.bytes : 1);
    *out = declared;
    if (declared.data) return KF_OK;
    KF_FAIL(err, KF_ERR_MEMORY, "out of memory for the outputs of %zu images, %zu bytes each", n, each);
}

/* Count the images and make room for every output of each. */
static kf_status make_outputs(const work *w, kf_run_result *r, kf_error *err) {
    const kf_tensor *in = &w->in[0], *want = &w->want;
    r->images = 1;
    if (in->rank == want->rank && want->rank > 0) r->images = (size_t)(in->shape[0] / want->shape[0]);
    r->outputs = calloc((size_t)w->n_outputs, sizeof *r->outputs);
    if (!r->outputs) KF_FAIL(err, KF_ERR_MEMORY, "out of memory for %d outputs", w->n_outputs);
    for (int32_t k = 0; k < w->n_outputs; k++) {
        r->n_outputs++;
        KF_TRY(make_output(w, k, r->images, &r->outputs[k], err));
    }
    r->output = r->outputs[0];
    return KF_OK;
}

/* The picture as the numbers that the input declares: what kf_session_run_rgb makes of it, but for every output. */
static kf_status run_picture(const work *w, kf_session *s, kf_run_result *r, kf_error *err) {
    const kf_preprocess *p = &w->preprocess;
    kf_tensor in = w->want;
    size_t n = (size_t)p->width * (size_t)p->height, channels = (size_t)kf_color_channels(p->color);
    bool last = in.rank == 4 && in.shape[3] == (int64_t)channels && in.shape[1] == p->height;
    uint8_t *pixels = malloc(3 * n);
    float *x = malloc(n * channels * sizeof *x);
    kf_status st = pixels && x ? KF_OK : kf_error_set(err, KF_ERR_MEMORY, "out of memory for the picture's numbers");
    if (st == KF_OK) kf_color_from_rgb(p->color, w->in[0].data, n, pixels);
    for (size_t c = 0; st == KF_OK && c < channels; c++)
        for (size_t i = 0; i < n; i++)
            x[last ? i * channels + c : c * n + i] =
                (float)kf_preprocess_normalize(p, (int32_t)c, pixels[i * channels + c]);
    in.data = x, in.dtype = KF_F32, in.bytes = n * channels * sizeof *x;
    if (st == KF_OK) st = kf_session_run(s, &in, 1, r->outputs, r->n_outputs, err);
    free(pixels);
    free(x);
    return st;
}

static kf_status run_one(const work *w, kf_session *s, kf_run_result *r, kf_error *err) {
    kf_tensor *out = &r->output;
    if (!is_picture(w)) return kf_session_run(s, w->in, w->n, r->outputs, r->n_outputs, err);
    if (r->n_outputs > 1) return run_picture(w, s, r, err);
    return kf_session_run_rgb(s, w->in[0].data, 3 * (size_t)w->preprocess.width, out->data, out->bytes / sizeof(float),
                              err);
}

static void fewer(void *user, int32_t started, int32_t wanted) {
    work *w = user;
    if (w->o.fewer_threads && !w->told) w->o.fewer_threads(w->o.user, started, wanted);
    w->told = true;
}

/* No more threads than images. */
static kf_status make_pool(work *w, size_t images, kf_pool **out, kf_error *err) {
    int32_t wanted;
    KF_TRY(kf_pool_create(w->o.threads, NULL, out, err));
    int32_t started = kf_pool_threads(*out, &wanted);
    if (started < wanted) fewer(w, started, wanted);
    if ((size_t)started <= images) return KF_OK;
    kf_pool_destroy(out);
    return kf_pool_create((int32_t)images, NULL, out, err);
}

static kf_status run_many(work *w, kf_run_result *r, kf_error *err) {
    kf_batch_options bo;
    kf_batch *b = NULL;
    kf_pool *pool = NULL;
    kf_batch_options_init(&bo);
    kf_status st = make_pool(w, r->images, &pool, err);
    bo.pool = pool;
    if (st == KF_OK) st = kf_batch_create(w->m, &bo, &b, err);
    if (st == KF_OK) st = kf_batch_run(b, w->in, w->n, r->outputs, r->n_outputs, err);
    kf_batch_destroy(&b);
    kf_pool_destroy(&pool);
    return st;
}

/* The session comes first: it knows what is too much for this machine. */
static kf_status run(work *w, const char *const *files, size_t n, kf_run_result *r, kf_error *err) {
    kf_session *s = NULL;
    double begun = 0;
    kf_status st = kf__answers_session(w->m, w->o.threads, fewer, w, &s, err);
    if (st == KF_OK) st = read_inputs(w, files, n, err);
    if (st == KF_OK) st = check_names(w, err);
    if (st == KF_OK) st = find_first(w, err);
    if (st == KF_OK) st = check_first(w, files[0], err);
    if (st == KF_OK) st = make_outputs(w, r, err);
    if (st == KF_OK) begun = kf__now_ms();
    if (st == KF_OK && r->images == 1) st = run_one(w, s, r, err);
    kf_session_destroy(&s);
    if (st == KF_OK && r->images != 1) st = run_many(w, r, err);
    r->ms = kf__now_ms() - begun;
    if (st == KF_ERR_SHAPE && begun > 0 && w->n == 1) kf_error_prefix(err, st, "%.600s", files[0]);
    for (size_t i = 0; i < w->n; i++) free(w->in[i].data);
    return st;
}

/* A caller of an earlier version knows the first output alone. */
static void keep_first(kf_run_result *r) {
    for (size_t k = 1; k < r->n_outputs; k++) free(r->outputs[k].data);
    free(r->outputs);
    r->outputs = NULL, r->n_outputs = 0;
}

kf_status kf_run_files(const kf_model *model, const char *const *files, size_t n, const kf_run_options *options,
                       kf_run_result *out, kf_error *err) {
    work w = {.m = model};
    kf_model_info info = {.size = sizeof info};
    kf_run_result r = {.size = sizeof r};
    if (!model || !files || !out) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_run_files: model, files and out are needed");
    KF_TRY(kf__answers_room("kf_run_result", out->size, offsetof(kf_run_result, outputs), err));
    KF_TRY(kf_info_write(out, &r, "kf_run_result", err));
    kf_run_options_init(&w.o);
    KF_TRY(kf_options_read(&w.o, options, "kf_run_options", err));
    if (n < 1 || n > KF_RUN_MAX_FILES)
        KF_FAIL(err, KF_ERR_ARGUMENT, "kf_run_files: %zu files; 1 to %d are needed", n, KF_RUN_MAX_FILES);
    KF_TRY(kf_model_get_info(model, &info, err));
    w.preprocess = info.preprocess, w.n_inputs = info.n_inputs, w.n_outputs = info.n_outputs;
    kf_status st = run(&w, files, n, &r, err);
    if (st == KF_OK && out->size < sizeof *out) keep_first(&r);
    if (st == KF_OK) st = kf_info_write(out, &r, "kf_run_result", err);
    if (st != KF_OK) kf_run_free(&r);
    return st;
}
