/* Computes what a request asks for: pictures, frames and tensors, an image at a time on the worker's session.
 * Owner rule: see infer.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/infer.h"

/* ---- what an input holds ----------------------------------------------------------------------------------------- */

static size_t declared_elements(const kf_tensor *t) {
    size_t n = 1;
    for (int i = 0; i < t->rank; i++) n *= (size_t)t->shape[i];
    return n;
}

/* The sizes beside the first are those of the model; the first is a multiple of its. */
static bool fits(const sv_input *in, const kf_tensor *t, int64_t *batch) {
    if (in->rank != t->rank || in->shape[0] % t->shape[0]) return false;
    for (int i = 1; i < t->rank; i++)
        if (in->shape[i] != t->shape[i]) return false;
    *batch = in->shape[0] / t->shape[0];
    return true;
}

/* Pixels in NHWC, three bytes each, of exactly the input's size. */
static bool is_pixels(const sv_model *m, const sv_input *in) {
    const kf_preprocess *p = &m->info.preprocess;
    return p->valid && in->dtype == KF_U8 && in->rank == 4 && in->shape[1] == p->height && in->shape[2] == p->width &&
           in->shape[3] == 3;
}

static void shape_text(const int64_t *shape, int rank, char text[160]) {
    size_t at = 0;
    for (int i = 0; i < rank && at < 140; i++)
        at += (size_t)snprintf(text + at, 160 - at, "%s%lld", i ? "," : "", (long long)shape[i]);
}

static kf_status wrong_shape(const sv_model *m, const sv_input *in, const kf_tensor *t, kf_error *err) {
    char got[160] = "", wants[160] = "";
    const kf_preprocess *p = &m->info.preprocess;
    char pixels[120] = "";
    shape_text(in->shape, in->rank, got);
    shape_text(t->shape, t->rank, wants);
    if (p->valid) snprintf(pixels, sizeof pixels, ", or UINT8 [n,%d,%d,3], or pictures as BYTES", p->height, p->width);
    KF_FAIL(err, KF_ERR_SHAPE, "input %.200s: %s [%s]; model %s takes %s [%s]%s; the first extent may be a multiple",
            in->name, sv_datatype(in->dtype), got, m->name, sv_datatype(t->dtype), wants, pixels);
}

static int input_by_name(const sv_model *m, const char *name) {
    for (int i = 0; i < m->info.n_inputs; i++)
        if (strcmp(m->inputs[i].name, name) == 0) return i;
    return -1;
}

/* ---- pictures ---------------------------------------------------------------------------------------------------- */

static kf_status prepare(const sv_model *m, const kf_image *from, kf_image *to, kf_error *err) {
    if (!m->info.preprocess.valid) KF_FAIL(err, KF_ERR_ARGUMENT, "model %s takes no pictures; send tensors", m->name);
    return kf_image_preprocess(from, &m->info.preprocess, to, err);
}

static kf_status decode(const sv_model *m, const sv_bytes *picture, kf_image *out, kf_error *err) {
    kf_image_options o;
    kf_image whole = {0};
    kf_image_options_init(&o);
    KF_TRY(kf_image_load_memory(picture->data, picture->bytes, &o, &whole, err));
    kf_status st = prepare(m, &whole, out, err);
    kf_image_free(&whole);
    return st;
}

static kf_status frame(const sv_model *m, const sv_input *in, const uint8_t *at, kf_image *out, kf_error *err) {
    size_t luma = (size_t)in->width * (size_t)in->height;
    const kf_nv12 f = {.width = in->width,
                       .height = in->height,
                       .y = at,
                       .uv = at + luma,
                       .stride_y = (size_t)in->width,
                       .stride_uv = (size_t)in->width,
                       .limited = in->limited < 0 ? m->info.input_range : in->limited};
    kf_image whole = {0};
    KF_TRY(kf_image_from_nv12(&f, &whole, err));
    kf_status st = prepare(m, &whole, out, err);
    kf_image_free(&whole);
    return st;
}

kf_status sv_picture_scores(const sv_model *m, kf_session *session, const sv_bytes *picture, float *scores, int64_t *ns,
                            kf_image *seen, kf_error *err) {
    kf_image small = {0};
    int64_t start = sv_now();
    KF_TRY(decode(m, picture, &small, err));
    *ns += sv_now() - start;
    kf_status st = kf_session_run_rgb(session, small.pixels, small.stride, scores, (size_t)m->classes, err);
    if (st == KF_OK && seen) *seen = small;
    else kf_image_free(&small);
    return st;
}

/* ---- outputs ----------------------------------------------------------------------------------------------------- */

/* Other outputs than the first need the tensor itself: normalized numbers, or the pixels where the model takes those.
 */
static kf_status run_pixels(const sv_model *m, kf_session *session, const uint8_t *rgb, size_t stride, kf_tensor *out,
                            int n_out, bool only_first, kf_error *err) {
    const kf_preprocess *p = &m->info.preprocess;
    kf_tensor in = m->inputs[0];
    size_t pixels = (size_t)p->width * (size_t)p->height;
    if (only_first && out[0].dtype == KF_F32)
        return kf_session_run_rgb(session, rgb, stride, out[0].data, out[0].bytes / sizeof(float), err);
    float *x = malloc(3 * pixels * sizeof *x);
    if (!x) KF_FAIL(err, KF_ERR_MEMORY, "no memory for a picture's numbers");
    int32_t channels = kf_color_channels(p->color);
    bool last = in.rank == 4 && in.shape[1] == p->height && in.shape[3] == channels; /* N,H,W,C */
    for (size_t i = 0; i < pixels; i++) {
        uint8_t at[3];
        kf_color_from_rgb(p->color, rgb + i / (size_t)p->width * stride + i % (size_t)p->width * 3, 1, at);
        for (int32_t c = 0; c < channels; c++) {
            size_t to = last ? i * (size_t)channels + (size_t)c : (size_t)c * pixels + i;
            x[to] = (float)kf_preprocess_normalize(p, c, at[c]);
        }
    }
    in.dtype = KF_F32, in.data = x, in.bytes = (size_t)channels * pixels * sizeof *x;
    kf_status st = kf_session_run(session, &in, 1, out, (size_t)n_out, err);
    free(x);
    return st;
}

/* One job: every wanted output of image `image`, in place. */
typedef struct job {
    const sv_model *m;
    kf_session *session;
    const sv_infer *f;
    void **outputs;
    sv_answer *a;
} job;

static int targets(const job *j, int64_t image, kf_tensor out[SV_MAX_TENSORS]) {
    for (int k = 0; k < j->f->n_wanted; k++) {
        kf_tensor t = j->m->outputs[j->f->wanted[k].output];
        t.bytes = declared_elements(&t) * kf_dtype_size(t.dtype);
        t.data = (uint8_t *)j->outputs[k] + (size_t)image * t.bytes;
        out[k] = t;
    }
    return j->f->n_wanted;
}

/* Between images: nothing more is computed for a request whose time is over. */
static kf_status in_time(const job *j, int64_t image, kf_error *err) {
    if (!j->f->deadline || sv_now() <= j->f->deadline) return KF_OK;
    KF_FAIL(err, KF_ERR_CANCELLED, "the time of the request was over when %lld of its %lld images were computed",
            (long long)image, (long long)j->f->batch);
}

static bool only_first(const job *j) { return j->f->n_wanted == 1 && j->f->wanted[0].output == 0; }

static kf_status run_image(const job *j, int64_t image, const uint8_t *rgb, size_t stride, kf_error *err) {
    kf_tensor out[SV_MAX_TENSORS];
    int n = targets(j, image, out);
    int64_t start = sv_now();
    kf_status st = run_pixels(j->m, j->session, rgb, stride, out, n, only_first(j), err);
    j->a->compute += sv_now() - start;
    return st;
}

static kf_status run_pictures(const job *j, const sv_input *in, kf_error *err) {
    for (int64_t i = 0; i < j->f->batch; i++) {
        KF_TRY(in_time(j, i, err));
        kf_image small = {0};
        int64_t start = sv_now();
        size_t bytes = (size_t)in->width * (size_t)in->height * 3 / 2;
        kf_status st = in->content == SV_FRAMES ? frame(j->m, in, in->data + (size_t)i * bytes, &small, err)
                                                : decode(j->m, &in->pictures[i], &small, err);
        j->a->decode += sv_now() - start;
        if (st == KF_OK) st = run_image(j, i, small.pixels, small.stride, err);
        kf_image_free(&small);
        if (st != KF_OK) return kf_error_prefix(err, st, "input %.200s, element %lld", in->name, (long long)i);
    }
    return KF_OK;
}

static kf_status run_rgb(const job *j, const sv_input *in, kf_error *err) {
    size_t stride = 3 * (size_t)j->m->info.preprocess.width, bytes = stride * (size_t)j->m->info.preprocess.height;
    for (int64_t i = 0; i < j->f->batch; i++) {
        KF_TRY(in_time(j, i, err));
        KF_TRY(run_image(j, i, in->data + (size_t)i * bytes, stride, err));
    }
    return KF_OK;
}

/* Data of a body has any alignment. */
static kf_status aligned(const void *data, size_t bytes, size_t to, void **copy, const void **out, kf_error *err) {
    *copy = NULL, *out = data;
    if ((uintptr_t)data % to == 0) return KF_OK;
    *copy = malloc(bytes);
    if (!*copy) KF_FAIL(err, KF_ERR_MEMORY, "no memory for an input");
    memcpy(*copy, data, bytes);
    *out = *copy;
    return KF_OK;
}

static kf_status run_tensors(const job *j, const int *at, kf_error *err) {
    void *copies[SV_MAX_TENSORS] = {NULL};
    const void *data[SV_MAX_TENSORS] = {NULL};
    kf_status st = KF_OK;
    int n = j->f->n_inputs;
    for (int k = 0; k < n && st == KF_OK; k++)
        st = aligned(j->f->inputs[k].data, j->f->inputs[k].bytes, kf_dtype_size(j->f->inputs[k].dtype), &copies[k],
                     &data[k], err);
    int64_t start = sv_now();
    for (int64_t i = 0; i < j->f->batch && st == KF_OK; i++) {
        kf_tensor in[SV_MAX_TENSORS], out[SV_MAX_TENSORS];
        for (int k = 0; k < n; k++) {
            in[k] = j->m->inputs[at[k]];
            in[k].dtype = j->f->inputs[k].dtype;
            in[k].bytes = j->f->inputs[k].bytes / (size_t)j->f->batch;
            in[k].data = (uint8_t *)(uintptr_t)data[k] + (size_t)i * in[k].bytes;
        }
        int n_out = targets(j, i, out);
        st = in_time(j, i, err);
        if (st == KF_OK) st = kf_session_run(j->session, in, (size_t)n, out, (size_t)n_out, err);
    }
    j->a->compute += sv_now() - start;
    for (int k = 0; k < n; k++) free(copies[k]);
    return st;
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static kf_status same_batch(sv_infer *f, int64_t batch, const char *name, kf_error *err) {
    if (batch > SV_MAX_BATCH)
        KF_FAIL(err, KF_ERR_LIMIT, "input %.200s: a batch of %lld; %d are possible", name, (long long)batch,
                SV_MAX_BATCH);
    if (f->batch && f->batch != batch)
        KF_FAIL(err, KF_ERR_SHAPE, "input %.200s: a batch of %lld; another input has %lld", name, (long long)batch,
                (long long)f->batch);
    f->batch = batch;
    return KF_OK;
}

/* Which input of the model each is; pictures stand for input 0 whatever they are called. */
static kf_status match(const sv_model *m, sv_infer *f, int at[SV_MAX_TENSORS], kf_error *err) {
    if (f->n_inputs != m->info.n_inputs)
        KF_FAIL(err, KF_ERR_ARGUMENT, "%d inputs; model %s has %d", f->n_inputs, m->name, m->info.n_inputs);
    bool seen[SV_MAX_TENSORS] = {false};
    for (int k = 0; k < f->n_inputs; k++) {
        const sv_input *in = &f->inputs[k];
        int64_t batch = 0;
        at[k] = input_by_name(m, in->name);
        if (at[k] < 0)
            KF_FAIL(err, KF_ERR_ARGUMENT, "model %s has no input %.200s; its first is %.200s", m->name, in->name,
                    m->inputs[0].name);
        if (seen[at[k]]) KF_FAIL(err, KF_ERR_ARGUMENT, "input %.200s is given twice", in->name);
        seen[at[k]] = true;
        if (in->content == SV_PICTURES) batch = in->shape[0];
        else if (in->content == SV_FRAMES)
            batch = (int64_t)(in->bytes / ((size_t)in->width * (size_t)in->height * 3 / 2));
        else if (is_pixels(m, in)) batch = in->shape[0];
        else if (!fits(in, &m->inputs[at[k]], &batch)) return wrong_shape(m, in, &m->inputs[at[k]], err);
        if (in->content != SV_TENSOR && m->info.n_inputs != 1)
            KF_FAIL(err, KF_ERR_ARGUMENT, "pictures need a model with one input; %s has %d", m->name, m->info.n_inputs);
        KF_TRY(same_batch(f, batch, in->name, err));
    }
    return KF_OK;
}

static kf_status reserve(const sv_model *m, const sv_infer *f, void *outputs[SV_MAX_TENSORS], kf_error *err) {
    size_t all = 0;
    for (int k = 0; k < f->n_wanted; k++) {
        const kf_tensor *t = &m->outputs[f->wanted[k].output];
        all += (size_t)f->batch * declared_elements(t) * kf_dtype_size(t->dtype);
        if (all > SV_MAX_OUTPUT)
            KF_FAIL(err, KF_ERR_LIMIT, "the outputs of %lld images have more than %zu bytes; send fewer at once",
                    (long long)f->batch, SV_MAX_OUTPUT);
        outputs[k] = calloc((size_t)f->batch, declared_elements(t) * kf_dtype_size(t->dtype));
        if (!outputs[k]) KF_FAIL(err, KF_ERR_MEMORY, "no memory for output %.200s", t->name);
    }
    return KF_OK;
}

kf_status sv_infer_run(const sv_model *m, kf_session *session, sv_infer *f, void *outputs[SV_MAX_TENSORS], sv_answer *a,
                       kf_error *err) {
    int at[SV_MAX_TENSORS];
    memset(outputs, 0, SV_MAX_TENSORS * sizeof *outputs);
    KF_TRY(match(m, f, at, err));
    KF_TRY(reserve(m, f, outputs, err));
    const job j = {m, session, f, outputs, a};
    a->pictures = (int)f->batch;
    if (f->inputs[0].content != SV_TENSOR) return run_pictures(&j, &f->inputs[0], err);
    if (m->info.n_inputs == 1 && is_pixels(m, &f->inputs[0])) return run_rgb(&j, &f->inputs[0], err);
    return run_tensors(&j, at, err);
}
