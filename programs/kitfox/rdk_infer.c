/* hrt_model_exec infer: one inference of pictures, NV12 frames or raw numbers, and what is written of it.
 * Owner rule: everything is released at the end of rdk_infer_run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "kitfox/rdk.h"

enum { MOST_OUTPUTS = 32, MOST_BYTES = 1 << 30 };

typedef struct state {
    const rdk_infer *job;
    kf_model_info info;
    kf_session *session;
    kf_tensor in[RDK_MOST_FILES], out[MOST_OUTPUTS];
    void *data[RDK_MOST_FILES]; /* of the inputs, as they are dumped */
    size_t bytes[RDK_MOST_FILES];
    kf_image picture; /* pixels NULL: the inputs are numbers */
    void *scores[MOST_OUTPUTS], *first[MOST_OUTPUTS];
    int n_in, n_out;
} state;

static size_t elements(const kf_tensor *t) {
    size_t n = 1;
    for (int i = 0; i < t->rank; i++) n *= (size_t)t->shape[i];
    return n;
}

static bool has_suffix(const char *path, const char *suffix) {
    const char *dot = strrchr(path, '.');
    return dot && strcasecmp(dot, suffix) == 0;
}

/* ---- inputs ------------------------------------------------------------------------------------------------------ */

static kf_status no_memory(kf_error *err) {
    return cli_error(err, KF_ERR_MEMORY, "out of memory for the tensors; close other programs");
}

/* `frame` is a tight NV12 frame of the input's size. */
static kf_status from_frame(state *s, uint8_t *frame, kf_error *err) {
    int32_t w = s->info.preprocess.width, h = s->info.preprocess.height;
    const kf_nv12 f = {.y = frame,
                       .uv = frame + (size_t)w * (size_t)h,
                       .width = w,
                       .height = h,
                       .stride_y = (size_t)w,
                       .stride_uv = (size_t)w,
                       .limited = s->info.input_range};
    return kf_image_from_nv12(&f, &s->picture, err);
}

/* A picture as the model was made to see it: through an NV12 frame where cameras of such frames feed it. */
static kf_status read_picture(state *s, const char *path, kf_error *err) {
    kf_image raw = {0}, fit = {0};
    if (!s->info.preprocess.valid)
        return cli_error_at(err, KF_ERR_UNSUPPORTED, path, "this model takes no picture; give .bin or .txt");
    KF_TRY(kf_image_load(path, NULL, &raw, err));
    kf_status st = kf_image_preprocess(&raw, &s->info.preprocess, &fit, err);
    kf_image_free(&raw);
    if (st != KF_OK) return st;
    size_t pixels = (size_t)fit.width * (size_t)fit.height;
    bool frames = rdk_takes_frames(&s->info);
    s->bytes[0] = frames ? pixels * 3 / 2 : pixels * 3;
    s->data[0] = malloc(s->bytes[0]);
    if (!s->data[0]) st = no_memory(err);
    if (st == KF_OK && frames) st = kf_image_to_nv12(&fit, s->info.input_range, s->data[0], s->bytes[0], err);
    if (st == KF_OK && frames) st = from_frame(s, s->data[0], err);
    if (st == KF_OK && !frames) {
        memcpy(s->data[0], fit.pixels, s->bytes[0]); /* its rows are tight */
        s->picture = fit;
        return KF_OK;
    }
    kf_image_free(&fit);
    return st;
}

/* Numbers of a text file with anything but digits between them as white space or commas. */
static kf_status parse_text(const char *path, char *text, float *to, size_t n, kf_error *err) {
    size_t found = 0;
    for (char *end, *at = text; *at; at = end) {
        while (*at && strchr(" \t\r\n,;", *at)) at++;
        if (!*at) break;
        float x = strtof(at, &end);
        if (end == at)
            return cli_error_at(err, KF_ERR_FORMAT, path, "numbers are needed, with spaces or commas between");
        if (found < n) to[found] = x;
        found++;
    }
    if (found == n) return KF_OK;
    return cli_error(err, KF_ERR_SHAPE, "%.600s: %zu numbers, but the input has %zu", path, found, n);
}

/* Raw pixels, a frame, or float32, told by their length. */
static kf_status read_raw(state *s, int i, const char *path, kf_error *err) {
    size_t n = elements(&s->in[i]), pixels = 0;
    const kf_preprocess *p = &s->info.preprocess;
    void *file = NULL;
    bool text = has_suffix(path, ".txt");
    KF_TRY(kf_file_read(path, MOST_BYTES, &file, &s->bytes[i], err));
    s->data[i] = file;
    if (i == 0 && p->valid && s->n_in == 1) pixels = (size_t)p->width * (size_t)p->height;
    printf("file length: %zu\n", s->bytes[i]);
    if (text) {
        float *numbers = calloc(n, sizeof *numbers);
        if (!numbers) return no_memory(err);
        kf_status st = parse_text(path, file, numbers, n, err);
        free(file);
        s->data[i] = numbers, s->bytes[i] = n * sizeof *numbers;
        return st;
    }
    if (s->bytes[i] == n * sizeof(float)) return KF_OK;
    if (pixels && s->bytes[i] * 2 == pixels * 3 && p->width % 2 == 0 && p->height % 2 == 0)
        return from_frame(s, file, err);
    if (!pixels || s->bytes[i] != pixels * 3)
        return cli_error(err, KF_ERR_SHAPE,
                         "%.500s: %zu bytes; needed are %zu of an NV12 frame, %zu of RGB or %zu of "
                         "float32",
                         path, s->bytes[i], pixels * 3 / 2, pixels * 3, n * sizeof(float));
    KF_TRY(kf_image_create(p->width, p->height, &s->picture, err));
    memcpy(s->picture.pixels, file, s->bytes[i]);
    return KF_OK;
}

static kf_status read_inputs(state *s, kf_error *err) {
    const rdk_infer *job = s->job;
    s->n_in = s->info.n_inputs;
    if (job->n_files != s->n_in)
        return cli_error(err, KF_ERR_ARGUMENT, "--input_file: %d files, but the model has %d inputs", job->n_files,
                         s->n_in);
    for (int i = 0; i < s->n_in; i++) {
        const char *path = job->files[i];
        KF_TRY(kf_model_input(job->model, i, &s->in[i], err));
        bool raw = s->n_in > 1 || has_suffix(path, ".bin") || has_suffix(path, ".txt");
        kf_status st = raw ? read_raw(s, i, path, err) : read_picture(s, path, err);
        if (st != KF_OK) return cli_error_in(err, st, path);
        s->in[i].data = s->data[i], s->in[i].bytes = s->bytes[i];
    }
    puts("read file success!");
    return KF_OK;
}

/* ---- the run ----------------------------------------------------------------------------------------------------- */

static kf_status prepare(state *s, kf_error *err) {
    kf_session_options o;
    kf_session_options_init(&o);
    o.threads = 1; /* as the board's tool has it */
    KF_TRY(kf_session_create(s->job->model, &o, &s->session, err));
    puts("get model output count success");
    s->n_out = s->info.n_outputs < MOST_OUTPUTS ? s->info.n_outputs : MOST_OUTPUTS;
    if (s->picture.pixels) s->n_out = 1; /* of pictures the library gives output 0 */
    for (int i = 0; i < s->n_out; i++) {
        kf_tensor *t = &s->out[i];
        KF_TRY(kf_model_output(s->job->model, i, t, err));
        t->bytes = elements(t) * kf_dtype_size(t->dtype);
        t->data = s->scores[i] = malloc(t->bytes);
        s->first[i] = malloc(t->bytes);
        if (!s->scores[i] || !s->first[i]) return no_memory(err);
    }
    puts("prepare output tensor success");
    return KF_OK;
}

static kf_status once(state *s, kf_error *err) {
    if (!s->picture.pixels) return kf_session_run(s->session, s->in, (size_t)s->n_in, s->out, (size_t)s->n_out, err);
    return kf_session_run_rgb(s->session, s->picture.pixels, s->picture.stride, s->scores[0], elements(&s->out[0]),
                              err);
}

/* Every repeat has to give the same bytes. */
static kf_status compute(state *s, double *ms, kf_error *err) {
    *ms = 0;
    for (long k = 0; k < s->job->frames; k++) {
        double start = cli_now_ms();
        KF_TRY(once(s, err));
        *ms += cli_now_ms() - start;
        for (int i = 0; i < s->n_out; i++) {
            if (k == 0) memcpy(s->first[i], s->scores[i], s->out[i].bytes);
            else if (memcmp(s->first[i], s->scores[i], s->out[i].bytes) != 0)
                return cli_error(err, KF_ERR_CORRUPT, "frame %ld: output %d differs from that of frame 0", k, i);
        }
    }
    *ms /= (double)s->job->frames;
    puts("infer success\ntask done");
    return KF_OK;
}

/* ---- what is written --------------------------------------------------------------------------------------------- */

/* Floats as text; a line ends after each run of the axes from `axis` on. */
static void print_floats(FILE *f, const state *s, const kf_tensor *t, const float *x) {
    size_t run = 1, n = elements(t);
    for (int i = (int)s->job->axis; i < t->rank; i++) run *= (size_t)t->shape[i];
    for (size_t i = 0; i < n; i++) fprintf(f, "%.*g%c", (int)s->job->digits, (double)x[i], (i + 1) % run ? ' ' : '\n');
}

/* Pixels of inputs, and places that ArgMax and TopK give. */
static void print_whole(FILE *f, const kf_tensor *t, const void *data, size_t bytes) {
    const uint8_t *byte = data;
    const int64_t *place = data;
    bool places = t->dtype == KF_I64;
    for (size_t k = 0; k < (places ? bytes / sizeof *place : bytes); k++)
        fprintf(f, "%lld\n", places ? (long long)place[k] : (long long)byte[k]);
}

static kf_status dump(const state *s, const char *what, int i, const kf_tensor *t, const void *data, size_t bytes,
                      kf_error *err) {
    char path[80], *text = NULL;
    size_t length = 0;
    bool floats = t->dtype == KF_F32 && bytes == elements(t) * sizeof(float);
    snprintf(path, sizeof path, "./model_infer_%s_%d.%s", what, i, s->job->text ? "txt" : "bin");
    if (!s->job->text) KF_TRY(cli_write(path, data, bytes, err));
    else {
        FILE *f = open_memstream(&text, &length);
        if (f && floats) print_floats(f, s, t, data);
        else if (f) print_whole(f, t, data, bytes);
        KF_TRY(cli_write_stream(path, f, &text, &length, err));
    }
    printf("Dump path: %s\n", path);
    return KF_OK;
}

static kf_status tell(const state *s, double ms, kf_error *err) {
    static const char RULE[] = "------------------------------------------";
    printf("\n%s\nInfer time: %.3f ms\n%s\n", RULE, ms, RULE);
    for (int i = 0; s->job->dump && i < s->n_in; i++)
        KF_TRY(dump(s, "input", i, &s->in[i], s->data[i], s->bytes[i], err));
    for (int i = 0; s->job->dump && i < s->n_out; i++)
        KF_TRY(dump(s, "output", i, &s->out[i], s->scores[i], s->out[i].bytes, err));
    if (!s->job->classify) return KF_OK;
    const float *scores = s->scores[0];
    size_t best = 0;
    if (s->out[0].dtype != KF_F32)
        return cli_error_at(err, KF_ERR_UNSUPPORTED, "--enable_cls_post_process", "the first output is no scores");
    for (size_t k = 1; k < elements(&s->out[0]); k++)
        if (scores[k] > scores[best]) best = k;
    printf("Attention: please make sure model is for classfication\nclass result: [id]%zu, [score]%.4f\n", best,
           (double)scores[best]); /* the word is written as the board's tool does */
    return KF_OK;
}

kf_status rdk_infer_run(const rdk_infer *job, kf_error *err) {
    state s = {.job = job, .info = {.size = sizeof s.info}};
    double ms = 0;
    kf_status st = kf_model_get_info(job->model, &s.info, err);
    if (st == KF_OK) st = read_inputs(&s, err);
    if (st == KF_OK) st = prepare(&s, err);
    if (st == KF_OK) st = compute(&s, &ms, err);
    if (st == KF_OK) st = tell(&s, ms, err);
    kf_session_destroy(&s.session);
    kf_image_free(&s.picture);
    for (int i = 0; i < RDK_MOST_FILES; i++) free(s.data[i]);
    for (int i = 0; i < MOST_OUTPUTS; i++) free(s.scores[i]), free(s.first[i]);
    return st;
}
