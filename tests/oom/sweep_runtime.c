/* The sweep over the calls of kitfox.h, preprocess.h, types.h and status.h: models, sessions, facts.
 * Many of them may not ask for memory at all.
 * Owner rule: see oom.h. */
#include "oom.h"

#include <stdlib.h>
#include <string.h>

static kf_status load(const unsigned char *data, size_t bytes, kf_error *err) {
    kf_model *m = NULL;
    kf_model_options o;
    kf_model_options_init(&o);
    kf_status st = kf_model_load_memory(data, bytes, &o, &m, err);
    kf_model_destroy(&m);
    return st;
}

static kf_status do_load(fixture *f, kf_error *err) { return load(f->kfx, f->kfx_bytes, err); }
static kf_status do_load_integers(fixture *f, kf_error *err) { return load(f->golden, f->golden_bytes, err); }

static kf_status do_load_file(fixture *f, kf_error *err) {
    kf_model *m = NULL;
    kf_status st = kf_model_load(f->compiled, NULL, &m, err);
    kf_model_destroy(&m);
    return st;
}

static kf_status do_read_file(fixture *f, kf_error *err) {
    void *data;
    size_t bytes;
    kf_status st = kf_file_read(f->compiled, (size_t)1 << 30, &data, &bytes, err);
    free(data);
    return st;
}

static kf_status do_verify(fixture *f, kf_error *err) {
    kf_model *m = NULL;
    kf_verify_report r = {.size = sizeof r};
    kf_status st = kf_model_load_memory(f->checked, f->checked_bytes, NULL, &m, err);
    if (st == KF_OK) st = kf_model_verify(m, 1, &r, err);
    kf_model_destroy(&m);
    return st;
}

static kf_status do_model_facts(fixture *f, kf_error *err) {
    kf_model_info info = {.size = sizeof info};
    kf_tensor t;
    kf_step_info s = {.size = sizeof s};
    kf_model_get_info(f->model, &info, NULL);
    kf_status st = kf_model_input(f->model, 0, &t, err);
    if (st == KF_OK) st = kf_model_output(f->model, kf_model_ranked(f->model), &t, err);
    for (int32_t i = 0; st == KF_OK && i < info.n_steps; i++) st = kf_model_step(f->model, i, &s, err);
    return st == KF_OK && !kf_model_label(f->model, 99) && kf_model_bytes(f->model) ? KF_OK : KF_ERR_INTERNAL;
}

static kf_status open_session(const kf_model *m, int profile, kf_session **s, kf_error *err) {
    kf_session_options o;
    kf_session_options_init(&o);
    o.threads = 1, o.profile = profile;
    *s = NULL;
    return kf_session_create(m, &o, s, err);
}

static kf_status do_classify(fixture *f, kf_error *err) {
    kf_session *s;
    unsigned char pixels[20 * 10 * 3] = {0};
    kf_image im = {20, 10, 60, pixels};
    kf_score top[3];
    size_t n;
    kf_status st = open_session(f->model, 0, &s, err);
    if (st == KF_OK) st = kf_session_classify(s, &im, 3, top, &n, err);
    kf_session_destroy(&s);
    return st;
}

static kf_status do_classify_nv12(fixture *f, kf_error *err) {
    kf_session *s;
    unsigned char planes[16 * 12 * 3 / 2] = {0};
    kf_nv12 frame = {.width = 16, .height = 12, .y = planes, .uv = planes + 16 * 12, .stride_y = 16, .stride_uv = 16};
    kf_score top[3];
    size_t n;
    kf_status st = open_session(f->model, 0, &s, err);
    if (st == KF_OK) st = kf_session_classify_nv12(s, &frame, 3, top, &n, err);
    kf_session_destroy(&s);
    return st;
}

static void look(void *user, int32_t step, const float *values, size_t n) {
    (void)user, (void)step, (void)values, (void)n;
}

static kf_status run(kf_session *s, kf_error *err) {
    float x[3 * 8 * 8] = {1}, y[4], step_out[4 * 4 * 4];
    const float *in[] = {x};
    kf_tensor a = {.dtype = KF_F32, .rank = 4, .shape = {1, 3, 8, 8}, .data = x, .bytes = sizeof x};
    kf_tensor b = {.dtype = KF_F32, .rank = 2, .shape = {1, 4}, .data = y, .bytes = sizeof y};
    kf_status st = kf_session_run(s, &a, 1, &b, 1, err);
    if (st == KF_OK) st = kf_session_run_step(s, 0, in, step_out, err);
    if (st == KF_OK) st = kf_session_replace(s, 0, step_out, err);
    if (st == KF_OK) st = kf_session_run(s, &a, 1, &b, 1, err);
    return st == KF_OK ? kf_session_replace(s, -1, NULL, err) : st;
}

static kf_status do_run(fixture *f, kf_error *err) {
    kf_session *s;
    kf_step_info t = {.size = sizeof t};
    int32_t wanted;
    kf_status st = open_session(f->model, 1, &s, err);
    if (st == KF_OK) st = kf_session_watch(s, look, NULL, err);
    if (st == KF_OK) st = run(s, err);
    if (st == KF_OK) st = kf_session_step(s, 0, &t, err);
    if (st == KF_OK && (kf_session_threads(s, &wanted) != 1 || !kf_session_bytes(s))) st = KF_ERR_INTERNAL;
    kf_session_destroy(&s);
    return st;
}

static void part_of_job(void *user, int32_t part, int32_t parts) { ((int32_t *)user)[part] = parts; }

static kf_status do_pool(fixture *f, kf_error *err) {
    kf_pool *pool = NULL;
    kf_session *s = NULL;
    kf_session_options o;
    int32_t parts[1] = {0}, wanted;
    kf_session_options_init(&o);
    kf_status st = kf_pool_create(1, NULL, &pool, err);
    o.pool = pool;
    if (st == KF_OK) st = kf_session_create(f->model, &o, &s, err);
    if (st == KF_OK) st = run(s, err);
    kf_pool_run(pool, part_of_job, parts);
    if (st == KF_OK && (kf_pool_threads(pool, &wanted) != parts[0] || wanted != 1)) st = KF_ERR_INTERNAL;
    kf_session_destroy(&s);
    kf_pool_destroy(&pool);
    return st;
}

/* Runs ask for nothing. */
static kf_status do_run_alone(fixture *f, kf_error *err) {
    unsigned char pixels[8 * 8 * 3] = {7};
    float y[4];
    kf_score top[2];
    kf_status st = run(f->session, err);
    if (st == KF_OK) st = kf_session_run_rgb(f->session, pixels, 24, y, 4, err);
    if (st == KF_OK && kf_top_k(y, 4, 0, 2, top) != 2) st = KF_ERR_INTERNAL;
    return st == KF_OK ? kf_scores_rank(KF_SCORES_PROBABILITIES, y, 4, 2, top, &(size_t){0}, err) : st;
}

static kf_status do_cpu(fixture *f, kf_error *err) {
    (void)f;
    if (!kf_cpu_name() || !kf_cpu_level_name(0) || !kf_cpu_level_usable(0)) return KF_ERR_INTERNAL;
    return kf_cpu_limit(NULL, err);
}

static kf_status do_sized(fixture *f, kf_error *err) {
    kf_session_options mine, given;
    (void)f;
    kf_session_options_init(&mine), kf_session_options_init(&given);
    given.threads = 3;
    kf_status st = kf_options_read(&mine, &given, "kf_session_options", err);
    if (st == KF_OK) st = kf_info_write(&given, &mine, "kf_session_options", err);
    return st == KF_OK && mine.threads != 3 ? KF_ERR_INTERNAL : st;
}

static kf_status do_names(fixture *f, kf_error *err) {
    kf_filter filter = 0;
    kf_crop crop = 0;
    kf_color color = 0;
    (void)f;
    kf_status st = kf_filter_from_name(kf_filter_name(KF_FILTER_NEAREST), &filter, err);
    if (st == KF_OK) st = kf_crop_from_name(kf_crop_name(KF_CROP_SQUASH), &crop, err);
    if (st == KF_OK) st = kf_color_from_name(kf_color_name(KF_COLOR_BGR), &color, err);
    if (st != KF_OK) return st;
    int good = filter == KF_FILTER_NEAREST && crop == KF_CROP_SQUASH && color == KF_COLOR_BGR &&
               kf_color_channels(KF_COLOR_GRAY) == 1;
    return good && kf_status_name(KF_OK) && kf_version() && kf_dtype_size(KF_I16) == 2 && kf_dtype_name(KF_I16)
               ? KF_OK
               : KF_ERR_INTERNAL;
}

static kf_status do_preprocess(fixture *f, kf_error *err) {
    static const double TWO[3] = {2, 2, 2};
    unsigned char rgb[6] = {1, 2, 3, 4, 5, 6}, gray[2];
    kf_preprocess p, q;
    const kf_field *field = kf_preprocess_field(2);
    (void)f;
    kf_preprocess_init(&p);
    kf_preprocess_set_scale(&p, TWO, TWO);
    kf_preprocess_copy(&q, &p, ~0u);
    kf_color_from_rgb(KF_COLOR_GRAY, rgb, 2, gray);
    kf_color_to_rgb(KF_COLOR_GRAY, gray, 2, rgb);
    kf_status st = kf_preprocess_parse(&p, field, "0.5", err);
    int good = kf_preprocess_set(&p, field, 0, kf_preprocess_get(&p, field, 0)) &&
               kf_preprocess_pixel(&p, 0, kf_preprocess_normalize(&p, 0, 9)) == 9;
    return st == KF_OK && !good ? KF_ERR_INTERNAL : st;
}

static kf_status do_error(fixture *f, kf_error *err) {
    kf_error e = {KF_OK, ""};
    (void)f;
    kf_error_set(&e, KF_ERR_IO, "gone %d", 3);
    if (kf_error_prefix(&e, KF_ERR_LIMIT, "file %s", "x") != KF_ERR_IO || strcmp(e.text, "file x: gone 3") != 0)
        KF_FAIL(err, KF_ERR_INTERNAL, "the error reads %s", e.text);
    return KF_OK;
}

const oom_case oom_runtime[] = {{"load", do_load, OOM_JSON},
                                {"load integers", do_load_integers, OOM_JSON},
                                {"load a file", do_load_file, OOM_JSON},
                                {"read a file", do_read_file, OOM_ANY},
                                {"verify", do_verify, OOM_JSON},
                                {"facts of a model", do_model_facts, OOM_NONE},
                                {"classify", do_classify, OOM_ANY},
                                {"classify NV12", do_classify_nv12, OOM_ANY},
                                {"session", do_run, OOM_ANY},
                                {"pool", do_pool, OOM_ANY},
                                {"run", do_run_alone, OOM_NONE},
                                {"cpu", do_cpu, OOM_NONE},
                                {"sized", do_sized, OOM_NONE},
                                {"names", do_names, OOM_NONE},
                                {"error", do_error, OOM_NONE},
                                {"preprocess", do_preprocess, OOM_NONE},
                                {0}};
