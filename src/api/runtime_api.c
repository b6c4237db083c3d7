/* Public runtime calls: models, sessions, scores.
 * Owner rule: see kitfox.h. */
#include "kitfox/kitfox.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/options.h"
#include "base/fp.h"
#include "format/format.h"
#include "os/file.h"
#include "runtime/golden.h"

#define NEED(err, condition, what)                                                                                     \
    do {                                                                                                               \
        if (!(condition)) KF_FAIL((err), KF_ERR_ARGUMENT, "%s: %s", __func__, what);                                   \
    } while (0)

void kf_model_options_init(kf_model_options *o) {
    *o = (kf_model_options){.size = sizeof *o, .max_bytes = (size_t)1 << 30};
}
void kf_session_options_init(kf_session_options *o) { *o = (kf_session_options){.size = sizeof *o}; }

static kf_status check_operations(int64_t most, kf_error *err) {
    if (most < 0) KF_FAIL(err, KF_ERR_ARGUMENT, "max_operations is negative");
    return KF_OK;
}

kf_status kf__model_options_read(kf_model_options *to, const kf_model_options *from, kf_error *err) {
    kf_model_options_init(to);
    KF_TRY(kf_options_read(to, from, "kf_model_options", err));
    if ((unsigned)to->scores >= KF_SCORES_KIND_COUNT) KF_FAIL(err, KF_ERR_ARGUMENT, "scores: %d", (int)to->scores);
    return check_operations(to->max_operations, err);
}

kf_status kf__threads_check(const char *call, int32_t threads, kf_error *err) {
    if (threads < 0 || threads > KF_MAX_THREADS)
        KF_FAIL(err, KF_ERR_ARGUMENT, "%s: %d threads; 0 to %d are possible", call, threads, KF_MAX_THREADS);
    return KF_OK;
}

/** The default memory limit of a model: this many bytes, plus this many for each byte of its file. */
enum { MODEL_ALWAYS = 64 << 20, MODEL_EACH = 32 };

static kf_status model_from(const void *data, size_t bytes, const kf_model_options *o, unsigned flags, kf_model **out,
                            kf_error *err) {
    KF_FP_CONTRACT();
    kf__program *p;
    const kf_allocator *a = o->allocator;
    if (o->skip_hash) flags |= KF_READ_SKIP_HASH;
    KF_TRY(kf__format_read(data, bytes, a, flags | KF_READ_BORROW, &p, err)); /* kf__model_create ends the borrowing */
    kf__program_options(p, o);
    if (!p->limits.model_bytes) p->limits.model_bytes = MODEL_ALWAYS + MODEL_EACH * bytes;
    return kf__model_create(p, a, out, err);
}

kf_status kf_model_load_memory(const void *data, size_t bytes, const kf_model_options *options, kf_model **out,
                               kf_error *err) {
    kf_model_options o;
    NEED(err, out && data, "data and out are needed");
    *out = NULL;
    KF_TRY(kf__model_options_read(&o, options, err));
    return model_from(data, bytes, &o, 0, out, err);
}

kf_status kf_model_load(const char *path, const kf_model_options *options, kf_model **out, kf_error *err) {
    kf_model_options o;
    kf__file file;
    NEED(err, out && path, "path and out are needed");
    *out = NULL;
    KF_TRY(kf__model_options_read(&o, options, err));
    KF_TRY(kf__file_read(path, o.max_bytes ? o.max_bytes : (size_t)1 << 30, &file, err));
    kf_status st = model_from(file.data, file.size, &o, KF_READ_DROPS, out, err);
    kf__file_free(&file);
    return st == KF_OK ? st : kf_error_prefix(err, st, "%s", path);
}

kf_status kf_file_read(const char *path, size_t max_bytes, void **data, size_t *bytes, kf_error *err) {
    NEED(err, path && data && bytes, "path, data and bytes are needed");
    kf__file file;
    *data = NULL;
    KF_TRY(kf__file_read(path, max_bytes, &file, err));
    *data = file.data;
    *bytes = file.size;
    return KF_OK;
}

void kf_model_destroy(kf_model **model) { kf__model_destroy(model); }

kf_status kf_model_get_info(const kf_model *model, kf_model_info *info, kf_error *err) {
    if (!model) return kf_info_write(info, NULL, "kf_model", err); /* the text: it is NULL */
    const kf__program *p = model->p;
    const kf_model_info is = {.size = sizeof is,
                              .name = p->meta.name,
                              .arch = p->meta.arch,
                              .source = p->meta.source,
                              .producer = p->meta.producer,
                              .compiled_by = p->meta.kitfox,
                              .parameters = p->meta.parameters,
                              .stored_parameters = p->meta.stored_parameters,
                              .macs = p->meta.macs,
                              .activations = p->meta.activations,
                              .quantized = p->meta.quantized,
                              .n_inputs = p->n_inputs,
                              .n_outputs = kf__program_outputs(p),
                              .n_steps = p->n_steps,
                              .n_labels = p->meta.n_labels,
                              .preprocess = p->meta.preprocess,
                              .input_range = p->meta.input_range,
                              .max_session_bytes = p->limits.session_bytes ? p->limits.session_bytes : KF_SESSION_BYTES,
                              .input_range_known = p->meta.range_known,
                              .takes = (kf_takes)p->inputs[0].takes,
                              .scores = (kf_scores_kind)kf__program_ranked(p)->scores,
                              .preprocess_origin = (kf_origin)p->meta.origin,
                              .preprocess_source = p->meta.preprocess_source};
    return kf_info_write(info, &is, "kf_model_info", err);
}

static kf_status describe(const kf__program *p, const char *name, int32_t tensor, int32_t rank, const int64_t *shape,
                          kf_tensor *out) {
    const kf__ptensor *t = &p->tensors[tensor];
    *out = (kf_tensor){.name = name, .dtype = t->dtype, .rank = rank};
    memcpy(out->shape, shape, (size_t)rank * sizeof *shape);
    out->bytes = kf__ptensor_count(t) * kf_dtype_size(t->dtype);
    return KF_OK;
}

kf_status kf_model_input(const kf_model *m, int32_t i, kf_tensor *out, kf_error *err) {
    NEED(err, m && out && i >= 0 && i < m->p->n_inputs, "no such input");
    const kf__pinput *in = &m->p->inputs[i];
    return describe(m->p, in->name, in->tensor, in->rank, in->shape, out);
}

kf_status kf_model_output(const kf_model *m, int32_t i, kf_tensor *out, kf_error *err) {
    NEED(err, m && out && i >= 0 && i < m->p->n_outputs, "no such output");
    const kf__poutput *o = &m->p->outputs[i];
    KF_TRY(describe(m->p, o->name, o->tensor, o->rank, o->shape, out));
    if (o->scores == KF_SCORES_INDICES) out->dtype = KF_I64, out->bytes *= 2;
    return KF_OK;
}

int32_t kf_model_ranked(const kf_model *m) { return m ? (int32_t)(kf__program_ranked(m->p) - m->p->outputs) : 0; }

const char *kf_model_label(const kf_model *m, int32_t i) {
    return m && i >= 0 && i < m->p->meta.n_labels ? m->p->meta.labels[i] : NULL;
}

static kf_status step_info(const kf_model *m, int32_t i, double ms, kf_step_info *out, kf_error *err) {
    const kf__step *s = &m->p->steps[i];
    const kf__ptensor *t = &m->p->tensors[s->out];
    kf_step_info is = {.size = sizeof is,
                       .ms = ms,
                       .name = s->name,
                       .op = kf__step_op_name(s->op),
                       .kernel = m->steps[i].kernel,
                       .shape = {t->n, t->h, t->w, t->c},
                       .dtype = t->dtype,
                       .macs = kf__step_macs(m->p, s)};
    for (int r = 0; r < KF_CONST_ROLES; r++) {
        size_t n = 0;
        if (s->consts[r] >= 0 && kf__shape_count(&m->p->consts[s->consts[r]].shape, &n)) is.parameters += (int64_t)n;
    }
    is.n_in = s->n_in;
    for (int32_t k = 0; k < s->n_in; k++) is.in[k] = m->p->tensors[s->in[k]].made;
    return kf_info_write(out, &is, "kf_step_info", err);
}

kf_status kf_model_step(const kf_model *m, int32_t i, kf_step_info *out, kf_error *err) {
    NEED(err, m && i >= 0 && i < m->p->n_steps, "no such step");
    return step_info(m, i, 0, out, err);
}

kf_status kf_session_create(const kf_model *m, const kf_session_options *options, kf_session **out, kf_error *err) {
    kf_session_options o;
    NEED(err, m && out, "model and out are needed");
    *out = NULL;
    kf_session_options_init(&o);
    KF_TRY(kf_options_read(&o, options, "kf_session_options", err));
    KF_TRY(kf__threads_check(__func__, o.threads, err));
    KF_TRY(check_operations(o.max_operations, err));
    const kf__limits limits = {.session_bytes = o.max_session_bytes, .operations = o.max_operations};
    int threads = o.threads ? o.threads : kf__cpu_default_threads();
    return kf__session_create_within(m, &limits, o.pool, threads, o.profile, o.allocator, out, err);
}

static int32_t threads_of(const kf__pool *pool, int32_t *wanted) {
    if (wanted) *wanted = kf__pool_wanted(pool);
    return kf__pool_size(pool);
}

kf_status kf_pool_create(int32_t threads, const kf_allocator *a, kf_pool **out, kf_error *err) {
    NEED(err, out && threads >= 0 && threads <= KF_MAX_THREADS, "out and 0 to 64 threads are needed");
    KF_TRY(kf__pool_create(threads ? threads : kf__cpu_threads(KF_MAX_THREADS), a, out, err));
    kf__pool_share(*out);
    return KF_OK;
}

void kf_pool_destroy(kf_pool **pool) { kf__pool_destroy(pool); }
void kf_pool_run(kf_pool *pool, kf_pool_fn fn, void *user) { kf__pool_run(pool, fn, user); }
int32_t kf_pool_threads(const kf_pool *pool, int32_t *wanted) { return threads_of(pool, wanted); }

void kf_session_destroy(kf_session **s) { kf__session_destroy(s); }
int32_t kf_session_threads(const kf_session *s, int32_t *wanted) { return threads_of(s ? s->exec.pool : NULL, wanted); }
size_t kf_session_bytes(const kf_session *s) { return s ? s->bytes : 0; }
size_t kf_model_bytes(const kf_model *m) { return m ? m->weights_bytes : 0; }

kf_status kf_session_step(const kf_session *s, int32_t i, kf_step_info *out, kf_error *err) {
    NEED(err, s && i >= 0 && i < s->m->p->n_steps, "no such step");
    return step_info(s->m, i, s->ms ? s->ms[i] : 0, out, err);
}

kf_status kf_model_verify(const kf_model *m, int32_t threads, kf_verify_report *out, kf_error *err) {
    KF_FP_CONTRACT();
    kf__golden_result r;
    NEED(err, m && out, "model and out are needed");
    KF_TRY(kf__threads_check(__func__, threads, err));
    if (!m->p->meta.golden.n_steps)
        KF_FAIL(err, KF_ERR_UNSUPPORTED,
                "the model has no golden vector: it was written by an older version, or compiled in memory; write it "
                "again with kitfox import or quantize");
    KF_TRY(kf__golden_check(m, threads ? threads : kf__cpu_default_threads(), &r, err));
    kf_verify_report is = {.size = sizeof is,
                           .steps = r.compared,
                           .exact = r.exact,
                           .first = r.first,
                           .difference = r.difference,
                           .tolerance = r.tolerance};
    const kf__step *at = r.first < 0 ? NULL : &m->p->steps[r.first];
    if (at) is.name = at->name, is.op = kf__step_op_name(at->op), is.kernel = m->steps[r.first].kernel;
    return kf_info_write(out, &is, "kf_verify_report", err);
}

/* Which declared slot a caller's tensor belongs to: by name when it has one, else by position. */
static int32_t slot_of(const kf_tensor *t, size_t position, int32_t n,
                       const char *(*name_of)(const kf__program *, int32_t), const kf__program *p) {
    for (int32_t i = 0; t->name && i < n; i++)
        if (strcmp(t->name, name_of(p, i)) == 0) return i;
    return t->name && n > 1 ? -1 : (int32_t)position;
}

static const char *input_name(const kf__program *p, int32_t i) { return p->inputs[i].name; }
static const char *output_name(const kf__program *p, int32_t i) { return p->outputs[i].name; }

/* A pixel input takes u8 as declared, and NHWC where it is declared NCHW (`turns`); f32 is taken as declared. */
static kf_status check_tensor(const kf_tensor *t, const kf_tensor *declared, bool turns, kf_error *err) {
    char a[96], b[96];
    kf_tensor copy = *declared, *want = &copy;
    bool bytes = declared->dtype == KF_U8 && t->dtype == KF_U8 && t->rank == 4 && turns;
    if (bytes && t->shape[3] == declared->shape[1] && t->shape[1] == declared->shape[2]) {
        const int64_t nhwc[4] = {declared->shape[0], declared->shape[2], declared->shape[3], declared->shape[1]};
        memcpy(copy.shape, nhwc, sizeof nhwc);
    }
    if (declared->dtype == KF_U8 && t->dtype == KF_F32) copy.bytes *= sizeof(float);
    if (declared->dtype == KF_I64 && t->dtype == KF_F32) copy.bytes /= 2;
    kf__shape sa = kf__shape_make(t->rank <= KF_MAX_RANK ? t->rank : 0, t->shape),
              sb = kf__shape_make(want->rank, want->shape);
    if (t->dtype != KF_F32 && t->dtype != declared->dtype)
        KF_FAIL(err, KF_ERR_SHAPE, "%s: %s given; the model takes %sf32", want->name, kf_dtype_name(t->dtype),
                declared->dtype == KF_U8 ? "u8 or " : "");
    if (!kf__shape_equal(&sa, &sb))
        KF_FAIL(err, KF_ERR_SHAPE, "%s: shape %s given, %s is needed", want->name, kf__shape_text(&sa, a, sizeof a),
                kf__shape_text(&sb, b, sizeof b));
    if (!t->data || t->bytes < want->bytes)
        KF_FAIL(err, KF_ERR_SHAPE, "%s: data of %zu bytes given, %zu are needed", want->name, t->data ? t->bytes : 0,
                want->bytes);
    return KF_OK;
}

/* Whole numbers in f32 become i64 in their place, from the last one on. */
static void widen(void *data, size_t n) {
    while (n-- > 0) {
        float x;
        memcpy(&x, (char *)data + n * sizeof x, sizeof x);
        const int64_t whole = (int64_t)x;
        memcpy((char *)data + n * sizeof whole, &whole, sizeof whole);
    }
}

kf_status kf_session_run(kf_session *s, const kf_tensor *in, size_t n_in, kf_tensor *out, size_t n_out, kf_error *err) {
    KF_FP_CONTRACT();
    NEED(err, s && in && out, "session, inputs and outputs are needed");
    const kf__program *p = s->m->p;
    if (n_in != (size_t)p->n_inputs)
        KF_FAIL(err, KF_ERR_ARGUMENT, "%zu inputs given, the model has %d", n_in, p->n_inputs);
    if (n_out > (size_t)p->n_outputs)
        KF_FAIL(err, KF_ERR_ARGUMENT, "%zu outputs asked for, the model has %d", n_out, p->n_outputs);
    kf_tensor want;
    for (size_t i = 0; i < n_in; i++) {
        int32_t k = slot_of(&in[i], i, p->n_inputs, input_name, p);
        KF_TRY(kf_model_input(s->m, k, &want, err));
        KF_TRY(check_tensor(&in[i], &want, p->inputs[k].layout == 0, err));
        bool nhwc = in[i].dtype == KF_U8 && in[i].rank == 4 && in[i].shape[1] != want.shape[1];
        if (p->inputs[k].pixels) kf__session_put_pixels(s, k, in[i].data, in[i].dtype == KF_F32, nhwc);
        else kf__session_put_f32(s, k, in[i].data, false);
    }
    for (size_t i = 0; i < n_out; i++) {
        KF_TRY(kf_model_output(s->m, slot_of(&out[i], i, p->n_outputs, output_name, p), &want, err));
        KF_TRY(check_tensor(&out[i], &want, false, err));
    }
    kf__session_steps(s);
    for (size_t i = 0; i < n_out; i++) {
        const int32_t k = slot_of(&out[i], i, p->n_outputs, output_name, p);
        kf__session_get_f32(s, k, out[i].data);
        if (out[i].dtype == KF_I64) widen(out[i].data, kf__ptensor_count(&p->tensors[p->outputs[k].tensor]));
    }
    return KF_OK;
}

static kf_status check_picture(const kf_session *s, kf_error *err) {
    const kf__ptensor *t = &s->m->p->tensors[s->m->p->inputs[0].tensor];
    const kf_preprocess *p = &s->m->p->meta.preprocess;
    if (p->valid && t->c == 1 && p->color != KF_COLOR_GRAY)
        KF_FAIL(err, KF_ERR_UNSUPPORTED,
                "the model takes one channel and does not say that it is grey; use raw "
                "tensors (`kitfox run`) or import it with --color gray");
    if (!p->valid || t->c != kf_color_channels(p->color) || t->n != 1 || t->w != p->width || t->h != p->height)
        KF_FAIL(err, KF_ERR_UNSUPPORTED,
                "the model has no picture input; use raw tensors (`kitfox run`) or import it "
                "with --preprocess");
    return KF_OK;
}

kf_status kf_session_run_rgb(kf_session *s, const uint8_t *rgb, size_t stride, float *scores, size_t n_scores,
                             kf_error *err) {
    KF_FP_CONTRACT();
    NEED(err, s && rgb && scores, "session, pixels and scores are needed");
    kf_tensor out;
    KF_TRY(kf_model_output(s->m, kf_model_ranked(s->m), &out, err));
    KF_TRY(check_picture(s, err));
    if (n_scores * sizeof(float) < out.bytes)
        KF_FAIL(err, KF_ERR_ARGUMENT, "room for %zu scores, %zu are needed", n_scores, out.bytes / sizeof(float));
    size_t row = 3 * (size_t)s->m->p->meta.preprocess.width;
    if (stride < row) KF_FAIL(err, KF_ERR_ARGUMENT, "stride of %zu bytes; a row of pixels has %zu", stride, row);
    kf__session_put_rgb(s, rgb, stride);
    kf__session_steps(s);
    kf__session_get_f32(s, kf_model_ranked(s->m), scores);
    return KF_OK;
}

kf_status kf_session_watch(kf_session *s, kf_step_fn fn, void *user, kf_error *err) {
    NEED(err, s, "a session is needed");
    return kf__session_watch(s, fn, user, err);
}

kf_status kf_session_replace(kf_session *s, int32_t step, const float *values, kf_error *err) {
    NEED(err, s && step >= -1 && step < s->m->p->n_steps && (values || step < 0),
         "a session, one of its steps and values are needed");
    s->replaced = step;
    s->replacement = values;
    return KF_OK;
}

kf_status kf_session_run_step(kf_session *s, int32_t step, const float *const *in, float *out, kf_error *err) {
    KF_FP_CONTRACT();
    NEED(err, s && step >= 0 && step < s->m->p->n_steps && in && out,
         "a session, one of its steps, inputs and room for the output are needed");
    const kf__step *at = &s->m->p->steps[step];
    for (int32_t k = 0; k < at->n_in; k++) NEED(err, in[k], "an input is missing");
    for (int32_t k = 0; k < at->n_in; k++) kf__session_put_real(s, at->in[k], in[k]);
    kf__session_one_step(s, step);
    kf__session_real(s, at->out, out);
    return KF_OK;
}

static void softmax(float *x, size_t n) {
    float best = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++) best = x[i] > best ? x[i] : best;
    for (size_t i = 0; i < n; i++) sum += x[i] = expf(x[i] - best);
    for (size_t i = 0; i < n; i++) x[i] /= sum;
}

kf_status kf_scores_rank(kf_scores_kind kind, float *x, size_t n, size_t k, kf_score *top, size_t *found,
                         kf_error *err) {
    KF_FP_CONTRACT();
    NEED(err, x && top && found && (unsigned)kind < KF_SCORES_KIND_COUNT, "kind, scores, top and found are needed");
    if (kind >= KF_SCORES_FEATURES)
        KF_FAIL(err, KF_ERR_UNSUPPORTED,
                "the model gives features (%zu numbers), no scores of classes; use `kitfox run`, or say --scores", n);
    for (size_t i = 0; i < n; i++) {
        const char *what = isnan(x[i]) ? "NaN" : "infinite"; /* %g prints a sign of NaN that depends on the machine */
        if (!isfinite(x[i]) && (kind != KF_SCORES_LOG || x[i] != -INFINITY))
            KF_FAIL(err, KF_ERR_UNSUPPORTED, "the score of class %zu is not finite (%s); weights or input are broken",
                    i, what);
        if (kind == KF_SCORES_LOG) x[i] = expf(x[i]);
    }
    *found = kf_top_k(x, n, kind > KF_SCORES_LOGITS, k, top);
    return KF_OK;
}

size_t kf_top_k(float *x, size_t n, int probabilities, size_t k, kf_score *top) {
    KF_FP_CONTRACT();
    if (!probabilities) softmax(x, n);
    if (k > n) k = n;
    /* One pass for each place finds the best score after that of the place before. Ties go to the lower index. */
    for (size_t j = 0; j < k; j++) {
        int32_t at = -1;
        for (size_t i = 0; i < n; i++) {
            bool after = j == 0
                             ? !isnan(x[i])
                             : x[i] < top[j - 1].score || (x[i] == top[j - 1].score && (int32_t)i > top[j - 1].index);
            if (after && (at < 0 || x[i] > x[at])) at = (int32_t)i;
        }
        if (at < 0) return j; /* all remaining scores are NaN */
        top[j] = (kf_score){.index = at, .score = x[at]};
    }
    return k;
}

kf_status kf_session_classify(kf_session *s, const kf_image *image, size_t k, kf_score *top, size_t *n, kf_error *err) {
    NEED(err, s && image && top && n, "session, image, top and n are needed");
    kf_tensor out;
    kf_image fit;
    KF_TRY(kf_model_output(s->m, kf_model_ranked(s->m), &out, err));
    if (s->m->p->meta.preprocess.valid) KF_TRY(check_picture(s, err)); /* before its allocation */
    KF_TRY(kf_image_preprocess(image, &s->m->p->meta.preprocess, &fit, err));
    size_t classes = out.bytes / sizeof(float);
    kf_status st = kf_session_run_rgb(s, fit.pixels, fit.stride, s->scores, classes, err);
    kf_image_free(&fit);
    KF_TRY(st);
    KF_TRY(kf_scores_rank((kf_scores_kind)kf__program_ranked(s->m->p)->scores, s->scores, classes, k, top, n, err));
    for (size_t i = 0; i < *n; i++) top[i].label = kf_model_label(s->m, top[i].index);
    return KF_OK;
}

kf_status kf_session_classify_nv12(kf_session *s, const kf_nv12 *frame, size_t k, kf_score *top, size_t *n,
                                   kf_error *err) {
    kf_image rgb;
    NEED(err, s && frame && top && n, "session, frame, top and n are needed");
    KF_TRY(kf_image_from_nv12(frame, &rgb, err));
    kf_status st = kf_session_classify(s, &rgb, k, top, n, err);
    kf_image_free(&rgb);
    return st;
}

const char *kf_cpu_name(void) { return kf__cpu_level_name(kf__cpu_level_now()); }

/* Level `index` of this architecture, or KF_CPU_LEVELS. */
static kf__cpu_level level_at(int index) {
    for (int i = 0; i < KF_CPU_LEVELS && index >= 0; i++)
        if (!kf__cpu_foreign((kf__cpu_level)i) && index-- == 0) return (kf__cpu_level)i;
    return KF_CPU_LEVELS;
}

const char *kf_cpu_level_name(int index) {
    kf__cpu_level level = level_at(index);
    return level == KF_CPU_LEVELS ? NULL : kf__cpu_level_name(level);
}

int kf_cpu_level_usable(int index) { return kf__cpu_usable(level_at(index)); }

/* The names of level_at, for a message. */
static const char *known_levels(char known[160]) {
    *known = '\0';
    for (int i = 0; kf_cpu_level_name(i); i++)
        snprintf(known + strlen(known), 160 - strlen(known), "%s%s", i ? ", " : "", kf_cpu_level_name(i));
    return known;
}

kf_status kf_cpu_limit(const char *name, kf_error *err) {
    char known[160];
    int level = name ? kf__cpu_level_from_name(name) : KF_CPU_LEVELS;
    if (level < 0) KF_FAIL(err, KF_ERR_ARGUMENT, "unknown instruction set %s; known are %s", name, known_levels(known));
    if (name && kf__cpu_foreign((kf__cpu_level)level))
        KF_FAIL(err, KF_ERR_UNSUPPORTED, "%s is an instruction set of another architecture; this one's are %s", name,
                known_levels(known));
    if (name && !kf__cpu_usable((kf__cpu_level)level))
        KF_FAIL(err, KF_ERR_UNSUPPORTED, "this CPU has no %s; its best is %s", name,
                kf__cpu_level_name(kf__cpu_level_best()));
    kf__cpu_set_limit((kf__cpu_level)level);
    return KF_OK;
}
