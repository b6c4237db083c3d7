/* Both models over all pictures, and the numbers that follow.
 * One pair of sessions on each core; every picture has its own slot, so sums do not depend on the threads.
 * Owner rule: pictures are decoded one at a time and released. */
#include "common/pair.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "kitfox/lab.h"
#include "kitfox/image.h"

json_t *pair_real(double x) { return isfinite(x) ? json_real(x) : json_null(); }

/* ---- pictures ---------------------------------------------------------------------------------------------------- */

kf_status pair_load(const pair *w, size_t i, pair_input *in, kf_error *err) {
    const char *path = w->p->paths[i], *dot = strrchr(path, '.');
    kf_image_options io;
    *in = (pair_input){0};
    if (w->p->tensors) {
        in->tensor = w->p->tensors[i];
        return KF_OK;
    }
    if (dot && strcasecmp(dot, ".npy") == 0) {
        in->owned = true;
        return kf_npy_read(path, &in->tensor, err);
    }
    kf_image_options_init(&io);
    io.no_exif = 1; /* as training pipelines read pictures */
    return kf_image_load(path, &io, &in->full, err);
}

void pair_unload(pair_input *in) {
    kf_image_free(&in->full);
    if (in->owned) free(in->tensor.data);
    *in = (pair_input){0};
}

kf_status pair_picture(const kf_tensor *t, kf_color color, kf_image *out, kf_error *err) {
    *out = (kf_image){0};
    if (t->rank != 3 || t->shape[2] != kf_color_channels(color))
        return cli_error(err, KF_ERR_SHAPE, "pixels of %lld channels; the model takes %s", (long long)t->shape[2],
                         kf_color_name(color));
    kf_status st = kf_image_create((int32_t)t->shape[1], (int32_t)t->shape[0], out, err);
    if (st == KF_OK) kf_color_to_rgb(color, t->data, (size_t)(t->shape[0] * t->shape[1]), out->pixels);
    return st;
}

static kf_status run_pixels(kf_session *s, const kf_preprocess *how, const kf_tensor *t, float *to, size_t n,
                            kf_error *err) {
    kf_image rgb;
    kf_status st = pair_picture(t, how->color, &rgb, err);
    if (st == KF_OK) st = kf_session_run_rgb(s, rgb.pixels, rgb.stride, to, n, err);
    kf_image_free(&rgb);
    return st;
}

kf_status pair_forward(const pair *w, int side, kf_session *s, const pair_input *in, float *to, kf_error *err) {
    kf_model_info info;
    kf_image crop;
    kf_tensor out;
    kf_model_get_info(w->m[side], &info);
    if (in->tensor.data && in->tensor.dtype == KF_U8)
        return run_pixels(s, &info.preprocess, &in->tensor, to, w->classes, err);
    if (in->tensor.data) {
        kf_status st = kf_model_output(w->m[side], 0, &out, err);
        out.data = to;
        return st == KF_OK ? kf_session_run(s, &in->tensor, 1, &out, 1, err) : st;
    }
    kf_status st = kf_image_preprocess(&in->full, &info.preprocess, &crop, err);
    if (st != KF_OK) return st;
    st = kf_session_run_rgb(s, crop.pixels, crop.stride, to, w->classes, err);
    kf_image_free(&crop);
    return st;
}

/* ---- threads ----------------------------------------------------------------------------------------------------- */

kf_status pair_sessions(const pair *w, kf_session **s, kf_error *err) {
    s[0] = s[1] = NULL;
    kf_status st = cli_session(w->m[0], 1, &s[0], err);
    return st == KF_OK ? cli_session(w->m[1], 1, &s[1], err) : st;
}

typedef struct crew {
    const pair *w;
    size_t n;
    kf_status (*one)(void *ctx, size_t i, kf_session *const *s, kf_error *err);
    void *ctx;
    const char *what;
    atomic_size_t next;
    atomic_int failed;
    kf_error err;
} crew;

static void *hand(void *arg) {
    crew *c = arg;
    kf_session *s[2];
    kf_error err = {0};
    kf_status st = pair_sessions(c->w, s, &err);
    for (size_t i; st == KF_OK && !atomic_load(&c->failed) && (i = atomic_fetch_add(&c->next, 1)) < c->n;) {
        st = c->one(c->ctx, i, s, &err);
        if (isatty(2) && i % 4 == 0) fprintf(stderr, "\r%s: %zu of %zu", c->what, i, c->n);
    }
    if (st != KF_OK && !atomic_exchange(&c->failed, 1)) c->err = err;
    for (int i = 0; i < 2; i++) kf_session_destroy(&s[i]);
    return NULL;
}

kf_status pair_parallel(const pair *w, size_t n,
                        kf_status (*one)(void *ctx, size_t i, kf_session *const *s, kf_error *err), void *ctx,
                        const char *what, kf_error *err) {
    crew c = {.w = w, .n = n, .one = one, .ctx = ctx, .what = what};
    pthread_t t[64];
    int started = 0, threads = w->threads ? w->threads : (int)sysconf(_SC_NPROCESSORS_ONLN);
    for (; started < threads - 1 && started < 63; started++)
        if (pthread_create(&t[started], NULL, hand, &c) != 0) break;
    hand(&c);
    for (int i = 0; i < started; i++) pthread_join(t[i], NULL);
    cli_note_threads(started + 1, threads < 64 ? threads : 64);
    if (isatty(2)) fprintf(stderr, "\r%60s\r", "");
    if (!atomic_load(&c.failed)) return KF_OK;
    *err = c.err;
    return err->status;
}

/* ---- answers ----------------------------------------------------------------------------------------------------- */

static int32_t top1(const float *x, size_t n) {
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return (int32_t)best;
}

/* Is `class` among the five best of x? Ties go to the lower index, as everywhere. */
static bool in_top5(const float *x, size_t n, size_t class) {
    size_t above = 0;
    for (size_t i = 0; i < n; i++) above += x[i] > x[class] || (x[i] == x[class] && i < class);
    return above < 5;
}

static kf_status answer(void *ctx, size_t i, kf_session *const *s, kf_error *err) {
    const pair *w = ctx;
    size_t n = w->classes;
    pair_answer *to = &w->answers[i];
    pair_input in;
    float *a = malloc(2 * n * sizeof *a), *b = a + n;
    if (!a) return cli_error_at(err, KF_ERR_MEMORY, w->p->paths[i], "out of memory");
    kf_status st = pair_load(w, i, &in, err);
    for (int side = 0; side < 2 && st == KF_OK; side++) st = pair_forward(w, side, s[side], &in, side ? b : a, err);
    pair_unload(&in);
    *to = (pair_answer){.truth = w->truth ? w->truth[i] : -1};
    for (size_t k = 0; st == KF_OK && k < n; k++) {
        double x = (double)a[k], y = (double)b[k];
        to->sums[0] += x * x, to->sums[1] += y * y, to->sums[2] += x * y, to->sums[3] += (x - y) * (x - y);
    }
    for (int side = 0; st == KF_OK && side < 2; side++) {
        to->said[side] = top1(side ? b : a, n);
        to->top5[side] = to->truth >= 0 && in_top5(side ? b : a, n, (size_t)to->truth);
    }
    if (st == KF_OK) to->other5 = in_top5(b, n, (size_t)to->said[0]);
    free(a);
    return st;
}

static kf_status check(pair *w, kf_error *err) {
    kf_tensor out[2];
    for (int i = 0; i < 2; i++) {
        kf_status st = kf_model_output(w->m[i], 0, &out[i], err);
        if (st != KF_OK) return st;
    }
    if (out[0].bytes != out[1].bytes)
        return cli_error(err, KF_ERR_ARGUMENT, "A has %zu outputs, B has %zu; models of one task can be compared",
                         out[0].bytes / sizeof(float), out[1].bytes / sizeof(float));
    w->classes = out[0].bytes / sizeof(float);
    for (size_t i = 0; w->truth && i < w->p->n; i++)
        if (w->truth[i] < -1 || w->truth[i] >= (long)w->classes)
            return cli_error(err, KF_ERR_ARGUMENT, "%.600s: class %ld is out of range; the models have %zu classes",
                             w->p->paths[i], w->truth[i], w->classes);
    return KF_OK;
}

kf_status pair_run(pair *w, kf_error *err) {
    kf_status st = check(w, err);
    if (st != KF_OK) return st;
    w->answers = calloc(w->p->n + 1, sizeof *w->answers);
    if (!w->answers) return cli_error(err, KF_ERR_MEMORY, "out of memory for %zu pictures", w->p->n);
    st = pair_parallel(w, w->p->n, answer, w, "pictures", err);
    return st == KF_OK && w->node_limit ? pair_run_nodes(w, err) : st;
}

void pair_free(pair *w) {
    free(w->answers);
    free(w->nodes);
    w->answers = NULL, w->nodes = NULL, w->n_nodes = 0;
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

pair_summary pair_summarize(const pair *w) {
    pair_summary s = {.images = w->p->n};
    size_t hit[2] = {0}, five[2] = {0};
    double sum[4] = {0};
    for (size_t i = 0; i < w->p->n; i++) {
        const pair_answer *a = &w->answers[i];
        for (int k = 0; k < 4; k++) sum[k] += a->sums[k];
        s.same += a->said[0] == a->said[1];
        s.other5 += a->other5;
        if (a->truth < 0) continue;
        bool right[2] = {a->said[0] == a->truth, a->said[1] == a->truth};
        s.labelled++;
        s.lost += right[0] && !right[1];
        s.won += !right[0] && right[1];
        for (int k = 0; k < 2; k++) hit[k] += right[k], five[k] += a->top5[k];
    }
    s.identical = sum[3] == 0;
    s.cosine = sum[0] > 0 && sum[1] > 0 ? sum[2] / sqrt(sum[0] * sum[1]) : sum[0] == sum[1];
    s.sqnr = s.identical ? INFINITY : 10 * log10(sum[0] / sum[3]);
    if (!s.labelled) return s;
    double n = (double)s.labelled;
    for (int k = 0; k < 2; k++) s.top1[k] = 100 * (double)hit[k] / n, s.top5[k] = 100 * (double)five[k] / n;
    s.p = kf_mcnemar(s.lost, s.won);
    s.difference = 100 * ((double)s.won - (double)s.lost) / n;
    kf_paired_interval(s.lost, s.won, s.labelled, &s.low, &s.high);
    s.low *= 100, s.high *= 100;
    return s;
}

json_t *pair_summary_json(const pair_summary *s) {
    double n = (double)s->images;
    bool known = s->labelled > 0;
    json_t *o =
        json_pack("{s:I,s:f,s:f,s:f,s:o,s:b,s:I}", "images", (json_int_t)s->images, "agreement",
                  100 * (double)s->same / n, "top1_in_top5", 100 * (double)s->other5 / n, "cosine", s->cosine,
                  "sqnr_db", pair_real(s->sqnr), "identical", s->identical, "labelled", (json_int_t)s->labelled);
    const struct {
        const char *key;
        double value;
    } REAL[] = {{"top1_a", s->top1[0]},     {"top1_b", s->top1[1]},      {"top5_a", s->top5[0]},
                {"top5_b", s->top5[1]},     {"mcnemar_p", s->p},         {"difference", s->difference},
                {"difference_low", s->low}, {"difference_high", s->high}};
    for (size_t i = 0; o && i < sizeof REAL / sizeof *REAL; i++)
        json_object_set_new(o, REAL[i].key, known ? json_real(REAL[i].value) : json_null());
    if (o) json_object_set_new(o, "right_to_wrong", known ? json_integer((json_int_t)s->lost) : json_null());
    if (o) json_object_set_new(o, "wrong_to_right", known ? json_integer((json_int_t)s->won) : json_null());
    return o;
}

void pair_summary_print(const pair_summary *s) {
    double n = (double)s->images;
    if (s->identical) printf("%zu pictures: outputs identical\n", s->images);
    else
        printf(
            "%zu pictures: top-1 agreement %.2f %%, A's top-1 in B's top-5 %.2f %%, output cosine %.6f, SQNR %.2f dB\n",
            s->images, 100 * (double)s->same / n, 100 * (double)s->other5 / n, s->cosine, s->sqnr);
    if (!s->labelled) return;
    printf("%zu labelled: top-1 A %.2f %%, B %.2f %%; top-5 A %.2f %%, B %.2f %%\n", s->labelled, s->top1[0],
           s->top1[1], s->top5[0], s->top5[1]);
    printf("flips: %zu right to wrong, %zu wrong to right, McNemar's exact p %.4g\n", s->lost, s->won, s->p);
    printf("B - A: %+.2f points, 95 %% interval %+.2f to %+.2f (Tango's paired score interval)\n", s->difference,
           s->low, s->high);
}

/* ---- labels ------------------------------------------------------------------------------------------------------ */

kf_status pair_labels(const char *data, const pictures *p, const kf_model *m, long **truth, kf_error *err) {
    kf_dataset *all;
    kf_tensor out;
    *truth = NULL;
    kf_status st = kf_model_output(m, 0, &out, err);
    if (st == KF_OK) st = cli_dataset(data, NULL, m, &all, err);
    if (st != KF_OK) return st;
    if (!kf_dataset_fits(all, m)) {
        if (kf_dataset_folders(all))
            fprintf(stderr,
                    "kitfox: note: %s: %zu folders are not taken for the %zu classes; a labels.csv gives labels\n",
                    data, kf_dataset_folders(all), out.bytes / sizeof(float));
        kf_dataset_destroy(&all);
        return KF_OK;
    }
    if (!(*truth = malloc((p->n + 1) * sizeof **truth)))
        st = cli_error_at(err, KF_ERR_MEMORY, data, "out of memory for the labels");
    for (size_t i = 0; *truth && i < p->n; i++) (*truth)[i] = (long)kf_dataset_class_of(all, p->paths[i]);
    kf_dataset_destroy(&all);
    return st;
}
