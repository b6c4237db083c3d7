/* Many pictures on a pool: each thread has a session of one thread and takes the next picture when it is free.
 * A picture is computed by one thread from beginning to end, so that it gives what it gives alone.
 * Owner rule: see kitfox/batch.h. */
#include "kitfox/batch.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* What one part of the pool's job has for itself. */
typedef struct worker {
    kf_session *session;
    kf_tensor *tensors; /* inputs, then outputs, of the picture at hand */
    size_t failed;      /* the picture that `err` is about; SIZE_MAX: none */
    kf_error err;
} worker;

struct kf_batch {
    const kf_model *model;
    kf_pool *pool, *own_pool; /* own_pool is NULL where the caller's is used */
    int32_t threads, n_inputs, n_outputs;
    size_t classes; /* floats of output 0 */
    worker *workers;
    kf_tensor *tensors; /* of all workers */
};

/* One call. The pointers are those of its kind; the others are NULL. */
typedef struct job {
    kf_batch *batch;
    kf_status (*one)(const struct job *j, worker *w, size_t i);
    size_t n;
    const kf_tensor *in, *out;
    size_t n_in, n_out;
    const uint8_t *const *rgb;
    size_t stride;
    float *scores;
    const kf_image *images;
    size_t k, *found;
    kf_score *top;
    atomic_size_t next;
    atomic_bool stop;
} job;

void kf_batch_options_init(kf_batch_options *o) { *o = (kf_batch_options){.size = sizeof *o}; }

/* ---- making one -------------------------------------------------------------------------------------------------- */

static kf_status check_bytes(const kf_batch *b, size_t most, kf_error *err) {
    size_t each = kf_session_bytes(b->workers[0].session);
    if (each <= most / (size_t)b->threads) return KF_OK;
    return kf_error_set(err, KF_ERR_LIMIT,
                        "%d sessions of %zu bytes; at most %zu bytes are allowed for all; use fewer threads, or raise "
                        "max_session_bytes (--max-memory)",
                        b->threads, each, most);
}

static kf_status make_sessions(kf_batch *b, const kf_batch_options *o, size_t most, kf_error *err) {
    kf_session_options so;
    kf_session_options_init(&so);
    so.allocator = o->allocator, so.threads = 1;
    so.max_session_bytes = most, so.max_operations = o->max_operations;
    for (int32_t i = 0; i < b->threads; i++) {
        KF_TRY(kf_session_create(b->model, &so, &b->workers[i].session, err));
        if (i == 0) KF_TRY(check_bytes(b, most, err));
    }
    return KF_OK;
}

static kf_status fill(kf_batch *b, const kf_batch_options *o, kf_error *err) {
    kf_model_info info = {.size = sizeof info};
    kf_tensor out;
    kf_model_get_info(b->model, &info, NULL);
    KF_TRY(kf_model_output(b->model, kf_model_ranked(b->model), &out, err));
    if (!o->pool) KF_TRY(kf_pool_create(o->threads, o->allocator, &b->own_pool, err));
    b->pool = o->pool ? o->pool : b->own_pool;
    b->threads = kf_pool_threads(b->pool, NULL);
    b->n_inputs = info.n_inputs, b->n_outputs = info.n_outputs;
    b->classes = out.bytes / sizeof(float);
    size_t each = (size_t)b->n_inputs + (size_t)b->n_outputs, all = (size_t)b->threads * each;
    b->workers = calloc((size_t)b->threads, sizeof *b->workers);
    b->tensors = calloc(all, sizeof *b->tensors);
    if (!b->workers || !b->tensors) KF_FAIL(err, KF_ERR_MEMORY, "out of memory: %zu bytes", all * sizeof *b->tensors);
    for (int32_t i = 0; i < b->threads; i++) b->workers[i].tensors = b->tensors + (size_t)i * each;
    return make_sessions(b, o, o->max_session_bytes ? o->max_session_bytes : info.max_session_bytes, err);
}

kf_status kf_batch_create(const kf_model *model, const kf_batch_options *options, kf_batch **out, kf_error *err) {
    kf_batch_options o;
    if (!model || !out) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_batch_create: model and out are needed");
    *out = NULL;
    kf_batch_options_init(&o);
    KF_TRY(kf_options_read(&o, options, "kf_batch_options", err));
    if (o.threads < 0 || o.threads > KF_MAX_THREADS)
        KF_FAIL(err, KF_ERR_ARGUMENT, "kf_batch_create: %d threads; 0 to %d are needed", o.threads, KF_MAX_THREADS);
    kf_batch *b = calloc(1, sizeof *b);
    if (!b) KF_FAIL(err, KF_ERR_MEMORY, "out of memory: %zu bytes", sizeof *b);
    b->model = model;
    kf_status st = fill(b, &o, err);
    if (st != KF_OK) kf_batch_destroy(&b);
    *out = b;
    return st;
}

void kf_batch_destroy(kf_batch **batch) {
    if (!batch || !*batch) return;
    kf_batch *b = *batch;
    for (int32_t i = 0; b->workers && i < b->threads; i++) kf_session_destroy(&b->workers[i].session);
    kf_pool_destroy(&b->own_pool);
    free(b->workers);
    free(b->tensors);
    free(b);
    *batch = NULL;
}

int32_t kf_batch_threads(const kf_batch *b, int32_t *wanted) { return kf_pool_threads(b ? b->pool : NULL, wanted); }
size_t kf_batch_bytes(const kf_batch *b) {
    return !b ? 0 : (size_t)b->threads * kf_session_bytes(b->workers[0].session);
}

/* ---- sharing out ------------------------------------------------------------------------------------------------- */

/* Take pictures until none is left or one fails. */
static void part(void *user, int32_t index, int32_t parts) {
    job *j = user;
    worker *w = &j->batch->workers[index];
    (void)parts;
    while (!atomic_load(&j->stop)) {
        size_t i = atomic_fetch_add(&j->next, 1);
        if (i >= j->n) return;
        if (j->one(j, w, i) == KF_OK) continue;
        w->failed = i;
        atomic_store(&j->stop, true);
    }
}

/* All pictures; the error is that of the first that failed. */
static kf_status run(job *j, kf_error *err) {
    kf_batch *b = j->batch;
    const worker *first = NULL;
    for (int32_t i = 0; i < b->threads; i++) b->workers[i].failed = SIZE_MAX;
    kf_pool_run(b->pool, part, j);
    for (int32_t i = 0; i < b->threads; i++) {
        const worker *w = &b->workers[i];
        if (w->failed < SIZE_MAX && (!first || w->failed < first->failed)) first = w;
    }
    if (!first) return KF_OK;
    if (err) *err = first->err;
    return kf_error_prefix(err, first->err.status, "image %zu of %zu", first->failed, j->n);
}

/* ---- tensors ----------------------------------------------------------------------------------------------------- */

typedef kf_status (*lookup)(const kf_model *m, int32_t index, kf_tensor *out, kf_error *err);

/* What the model declares for `t`: by its name where it has one, else by its position. A name that no slot has is left
 * to kf_session_run. */
static kf_status declared_of(const kf_model *m, lookup get, int32_t n, const kf_tensor *t, size_t position,
                             kf_tensor *out, kf_error *err) {
    for (int32_t i = 0; t->name && i < n; i++) {
        KF_TRY(get(m, i, out, err));
        if (strcmp(out->name, t->name) == 0) return KF_OK;
    }
    return get(m, (int32_t)position, out, err);
}

/* `one` is what a single image of `t` is. *n, 0 at first, is how many all tensors have. */
static kf_status slice(const kf_tensor *t, const kf_tensor *declared, size_t *n, kf_tensor *one, kf_error *err) {
    int64_t lead = declared->rank > 0 ? declared->shape[0] : 1;
    int64_t given = t->rank > 0 ? t->shape[0] : 1;
    size_t each = kf_dtype_size(t->dtype) * (size_t)lead;
    /* Extents past all bounds become no bytes, which is refused below. */
    for (int32_t i = 1; i < t->rank && i < KF_MAX_RANK; i++)
        if (t->shape[i] < 0 || __builtin_mul_overflow(each, (size_t)t->shape[i], &each)) each = 0;
    if (given < 1 || given % lead)
        KF_FAIL(err, KF_ERR_SHAPE, "%s: the first extent is %lld; a multiple of %lld is needed, %lld for each image",
                declared->name, (long long)given, (long long)lead, (long long)lead);
    size_t images = (size_t)(given / lead);
    if (*n && images != *n)
        KF_FAIL(err, KF_ERR_SHAPE, "%s: %zu images; the tensors before have %zu", declared->name, images, *n);
    if (!t->data || !each || t->bytes / each < images)
        KF_FAIL(err, KF_ERR_SHAPE, "%s: %zu bytes given; %zu images of %zu bytes are needed", declared->name, t->bytes,
                images, each);
    *n = images;
    *one = *t; /* whose other extents kf_session_run judges */
    if (t->rank > 0) one->shape[0] = lead;
    one->bytes = each;
    return KF_OK;
}

static kf_status one_of_tensors(const job *j, worker *w, size_t i) {
    kf_tensor *in = w->tensors, *out = in + j->n_in;
    for (size_t k = 0; k < j->n_in; k++) in[k].data = (char *)j->in[k].data + i * in[k].bytes;
    for (size_t k = 0; k < j->n_out; k++) out[k].data = (char *)j->out[k].data + i * out[k].bytes;
    return kf_session_run(w->session, in, j->n_in, out, j->n_out, &w->err);
}

kf_status kf_batch_run(kf_batch *b, const kf_tensor *in, size_t n_in, kf_tensor *out, size_t n_out, kf_error *err) {
    if (!b || !in || !out) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_batch_run: batch, inputs and outputs are needed");
    if (n_in != (size_t)b->n_inputs || n_out > (size_t)b->n_outputs)
        KF_FAIL(err, KF_ERR_ARGUMENT, "%zu inputs and %zu outputs given; the model has %d and %d", n_in, n_out,
                b->n_inputs, b->n_outputs);
    job j = {.batch = b, .one = one_of_tensors, .in = in, .n_in = n_in, .out = out, .n_out = n_out};
    const int32_t ranked = kf_model_ranked(b->model), n = ranked < b->n_outputs ? b->n_outputs : ranked + 1;
    kf_tensor declared, *first = b->tensors;
    for (size_t k = 0; k < n_in; k++) {
        KF_TRY(declared_of(b->model, kf_model_input, b->n_inputs, &in[k], k, &declared, err));
        KF_TRY(slice(&in[k], &declared, &j.n, &first[k], err));
    }
    for (size_t k = 0; k < n_out; k++) {
        KF_TRY(declared_of(b->model, kf_model_output, n, &out[k], k, &declared, err));
        KF_TRY(slice(&out[k], &declared, &j.n, &first[n_in + k], err));
    }
    for (int32_t i = 1; i < b->threads; i++) memcpy(b->workers[i].tensors, first, (n_in + n_out) * sizeof *first);
    return run(&j, err);
}

/* ---- pictures ---------------------------------------------------------------------------------------------------- */

static kf_status one_rgb(const job *j, worker *w, size_t i) {
    size_t classes = j->batch->classes;
    return kf_session_run_rgb(w->session, j->rgb[i], j->stride, j->scores + i * classes, classes, &w->err);
}

kf_status kf_batch_run_rgb(kf_batch *b, const uint8_t *const *rgb, size_t n, size_t stride, float *scores,
                           size_t n_scores, kf_error *err) {
    if (!b || !rgb || !scores || !n)
        KF_FAIL(err, KF_ERR_ARGUMENT, "kf_batch_run_rgb: batch, at least one picture and scores are needed");
    if (n_scores / b->classes < n)
        KF_FAIL(err, KF_ERR_ARGUMENT, "room for %zu scores; %zu pictures of %zu classes are given", n_scores, n,
                b->classes);
    job j = {.batch = b, .one = one_rgb, .n = n, .rgb = rgb, .stride = stride, .scores = scores};
    return run(&j, err);
}

static kf_status one_image(const job *j, worker *w, size_t i) {
    return kf_session_classify(w->session, &j->images[i], j->k, j->top + i * j->k, &j->found[i], &w->err);
}

kf_status kf_batch_classify(kf_batch *b, const kf_image *images, size_t n, size_t k, kf_score *top, size_t *found,
                            kf_error *err) {
    if (!b || !images || !n || !top || !found)
        KF_FAIL(err, KF_ERR_ARGUMENT, "kf_batch_classify: batch, at least one picture, top and found are needed");
    job j = {.batch = b, .one = one_image, .n = n, .images = images, .k = k, .top = top, .found = found};
    return run(&j, err);
}
