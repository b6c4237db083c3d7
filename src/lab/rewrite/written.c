/* Two graphs side by side in the reference executor: a network, and what was written of it and read back.
 * Owner rule: tensors are released here. */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "rewrite/written.h"

enum { MAX_TENSORS = 64 };

typedef struct tensors {
    kf_tensor item[MAX_TENSORS];
    int n;
} tensors;

static void release(tensors *t) {
    for (int i = 0; i < t->n; i++) free(t->item[i].data);
    t->n = 0;
}

/* Memory for all inputs or outputs that `g` declares. */
static kf_status describe(const kf_graph *g, kf_status (*get)(const kf_graph *, int32_t, kf_tensor *, kf_error *),
                          int n, tensors *t, kf_error *err) {
    t->n = 0;
    if (n > MAX_TENSORS)
        KF_FAIL(err, KF_ERR_LIMIT, "%d inputs or outputs; at most %d are compared; use --check 0", n, MAX_TENSORS);
    for (int i = 0; i < n; i++) {
        kf_tensor *x = &t->item[i];
        kf_status st = get(g, i, x, err);
        if (st != KF_OK) return st;
        x->data = NULL;
        const bool odd = get == kf_graph_input ? x->dtype == KF_U8 : x->dtype == KF_I64; /* ArgMax gives int64 */
        if (x->dtype != KF_F32 && !odd)
            KF_FAIL(err, KF_ERR_UNSUPPORTED,
                    "%.200s: only float32, uint8 inputs and int64 outputs can be checked; use --check 0", x->name);
        x->data = calloc(x->bytes + 1, 1);
        if (!x->data) KF_FAIL(err, KF_ERR_MEMORY, "%.200s: out of memory for the check; use --check 0", x->name);
        t->n++;
    }
    return KF_OK;
}

/* Uniform in [-2, 2), the range of a normalized picture, or any byte; the same numbers at every call. */
static void randomize(tensors *t, uint64_t *state) {
    for (int i = 0; i < t->n; i++)
        for (size_t k = 0; k < t->item[i].bytes / kf_dtype_size(t->item[i].dtype); k++) {
            uint64_t z = *state += 0x9e3779b97f4a7c15u; /* SplitMix64 */
            z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
            z = (z ^ z >> 27) * 0x94d049bb133111ebu;
            z ^= z >> 31;
            if (t->item[i].dtype == KF_U8) ((uint8_t *)t->item[i].data)[k] = (uint8_t)(z >> 56);
            else ((float *)t->item[i].data)[k] = (float)(z >> 40) * 0x1p-22f - 2.0f;
        }
}

/* Largest difference over the largest magnitude; infinite where only one of the two is a number. */
static double difference(const kf_tensor *a, const kf_tensor *b) {
    const float *x = a->data, *y = b->data;
    double largest = 0, size = 1e-30;
    if (a->bytes != b->bytes || a->dtype != b->dtype) return INFINITY;
    if (a->dtype != KF_F32) return memcmp(x, y, a->bytes) == 0 ? 0 : INFINITY;
    for (size_t i = 0; i < a->bytes / sizeof *x; i++) {
        if (x[i] == y[i] || (isnan(x[i]) && isnan(y[i]))) {
            if (isfinite(x[i])) size = fmax(size, fabs((double)x[i]));
            continue;
        }
        if (!isfinite(x[i]) || !isfinite(y[i])) return INFINITY;
        largest = fmax(largest, fabs((double)x[i] - (double)y[i]));
        size = fmax(size, fabs((double)x[i]));
    }
    return largest / size;
}

/* Whole pixels for the first network, the same normalized for the second. */
static void pixels_of(const kf_preprocess *p, const kf_tensor *normalized, kf_tensor *pixels) {
    const float *x = normalized->data;
    float *to = pixels->data;
    const int64_t *s = normalized->shape, colors = kf_color_channels(p->color);
    const bool nhwc = s[1] == p->height && s[2] == p->width && s[3] == colors && s[1] != colors;
    size_t plane = nhwc ? 1 : (size_t)(s[2] * s[3]);
    const size_t channels = (size_t)(nhwc ? s[3] : s[1]);
    for (size_t i = 0; i < normalized->bytes / sizeof *x; i++) {
        size_t c = i / plane % channels % 3;
        to[i] = (float)kf_preprocess_pixel(p, (int32_t)c, (double)x[i]);
        ((float *)normalized->data)[i] = (float)kf_preprocess_normalize(p, (int32_t)c, (double)to[i]);
    }
}

kf_status kf__part_done(kf__parts *parts, kf_error *err) {
    if (!parts->progress || parts->progress(parts->user, ++parts->done, parts->total) == 0) return KF_OK;
    KF_FAIL(err, KF_ERR_CANCELLED, "%.600s: stopped by the caller; nothing was written", parts->what);
}

static kf_status compare_runs(kf_graph *before, kf_graph *after, int runs, kf__parts *parts, double *worst,
                              kf_error *err) {
    kf_graph_info a = {.size = sizeof a}, b = {.size = sizeof b};
    tensors in = {.n = 0}, raw = {.n = 0}, want = {.n = 0}, have = {.n = 0};
    uint64_t state = 20;
    *worst = 0;
    kf_status st = kf_graph_get_info(before, &a, err);
    if (st == KF_OK) st = kf_graph_get_info(after, &b, err);
    if (st == KF_OK && (a.n_inputs != b.n_inputs || a.n_outputs != b.n_outputs))
        st = kf_error_set(err, KF_ERR_INTERNAL, "inputs or outputs got lost; please report this model");
    if (st == KF_OK) st = describe(after, kf_graph_input, b.n_inputs, &in, err);
    if (st == KF_OK && a.pixels) st = describe(after, kf_graph_input, b.n_inputs, &raw, err);
    if (st == KF_OK) st = describe(after, kf_graph_output, b.n_outputs, &want, err);
    if (st == KF_OK) st = describe(after, kf_graph_output, b.n_outputs, &have, err);
    for (int run = 0; st == KF_OK && run < runs; run++) {
        randomize(&in, &state);
        const bool pixels = a.pixels && in.item[0].dtype == KF_F32;
        if (pixels && in.item[0].rank == 4) pixels_of(&a.preprocess, &in.item[0], &raw.item[0]);
        st = kf_graph_run_reference(before, pixels ? raw.item : in.item, (size_t)in.n, want.item, (size_t)want.n, err);
        if (st == KF_OK) st = kf_graph_run_reference(after, in.item, (size_t)in.n, have.item, (size_t)have.n, err);
        for (int i = 0; st == KF_OK && i < have.n; i++) *worst = fmax(*worst, difference(&want.item[i], &have.item[i]));
        if (st == KF_OK) st = kf__part_done(parts, err);
    }
    release(&in);
    release(&raw);
    release(&want);
    release(&have);
    return st;
}

kf_status kf_graph_compare(kf_graph *before, kf_graph *after, int32_t runs,
                           int (*progress)(void *user, size_t done, size_t total), void *user, double *worst,
                           kf_error *err) {
    kf__parts told = {.progress = progress, .user = user, .what = "kf_graph_compare", .total = (size_t)runs};
    return kf__graph_compare(before, after, runs, &told, worst, err);
}

kf_status kf__graph_compare(kf_graph *before, kf_graph *after, int32_t runs, kf__parts *parts, double *worst,
                            kf_error *err) {
    kf_graph_info info = {.size = sizeof info};
    if (!before || !after || !worst || runs < 0)
        KF_FAIL(err, KF_ERR_ARGUMENT, "kf_graph_compare: two graphs, worst, and runs of 0 or more are needed");
    *worst = 0;
    if (!runs) return KF_OK;
    KF_TRY(compare_runs(before, after, runs, parts, worst, err));
    KF_TRY(kf_graph_get_info(before, &info, err));
    double most = info.quantized ? KF_MAX_DIFFERENCE_QUANTIZED : KF_MAX_DIFFERENCE;
    if (*worst > most)
        KF_FAIL(err, KF_ERR_INTERNAL,
                "outputs differ by %.3g of the largest, %.0e is allowed; nothing was written; please report this model",
                *worst, most);
    return KF_OK;
}
