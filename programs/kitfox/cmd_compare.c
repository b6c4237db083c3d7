/* kitfox compare A B --data DIR: how far two models of one task agree on a folder of pictures.
 * Floor 8. Both models run on every picture, one pair of sessions on each core.
 * Owner rule: pictures are decoded one at a time and released. */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/pictures.h"
#include "kitfox/image.h"

typedef struct options {
    cli_common common;
    const char *a, *b, *data, *list;
    size_t limit;
} options;

/* Sums over pictures; each worker has its own. */
typedef struct tally {
    double aa, bb, ab, dd; /* powers and products of the outputs */
    size_t n, same, same5;
} tally;

typedef struct work {
    const kf_model *m[2];
    pictures *p;
    size_t classes;
    atomic_size_t next;
    pthread_mutex_t lock;
    tally total;
    kf_error err;
    atomic_int failed;
} work;

static const struct argp_option OPTIONS[] = {
    {"data", 'd', "DIR", 0, "pictures, sub-folders included (required)", 0},
    {"list", 'L', "FILE", 0, "which files of DIR, one a line", 0},
    {"limit", 'n', "N", 0, "N of them, spread evenly", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state) {
    options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &o->common; return 0;
    case 'd': o->data = arg; return 0;
    case 'L': o->list = arg; return 0;
    case 'n':
        o->limit = (size_t)cli_number(state, "--limit", arg, 1, 1000000);
        return 0;
    case ARGP_KEY_ARG:
        if (o->b) argp_error(state, "%s: two models only", arg);
        *(o->a ? &o->b : &o->a) = arg;
        return 0;
    case ARGP_KEY_END:
        if (!o->b || !o->data) argp_error(state, "two models and --data DIR are needed");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static size_t top1(const float *x, size_t n) {
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

/* Is `class` among the five best of x? */
static bool in_top5(const float *x, size_t n, size_t class) {
    size_t above = 0;
    for (size_t i = 0; i < n; i++) above += x[i] > x[class];
    return above < 5;
}

static kf_status scores(const work *w, int side, kf_session *s, const kf_image *full, float *to, kf_error *err) {
    kf_model_info info;
    kf_image crop;
    kf_model_get_info(w->m[side], &info);
    kf_status st = kf_image_preprocess(full, &info.preprocess, &crop, err);
    if (st != KF_OK) return st;
    st = kf_session_run_rgb(s, crop.pixels, crop.stride, to, w->classes, err);
    kf_image_free(&crop);
    return st;
}

static kf_status one(const work *w, size_t i, kf_session *const *s, float *a, float *b, tally *t, kf_error *err) {
    kf_image_options io;
    kf_image full;
    kf_image_options_init(&io);
    io.no_exif = 1;
    kf_status st = kf_image_load(w->p->paths[i], &io, &full, err);
    if (st != KF_OK) return st;
    st = scores(w, 0, s[0], &full, a, err);
    if (st == KF_OK) st = scores(w, 1, s[1], &full, b, err);
    kf_image_free(&full);
    if (st != KF_OK) return st;
    for (size_t k = 0; k < w->classes; k++) {
        t->aa += (double)a[k] * a[k], t->bb += (double)b[k] * b[k], t->ab += (double)a[k] * b[k];
        t->dd += ((double)a[k] - b[k]) * ((double)a[k] - b[k]);
    }
    t->n++;
    t->same += top1(a, w->classes) == top1(b, w->classes);
    t->same5 += in_top5(b, w->classes, top1(a, w->classes));
    return KF_OK;
}

static void *worker(void *arg) {
    work *w = arg;
    kf_session *s[2] = {NULL, NULL};
    kf_session_options so;
    kf_error err = {0};
    tally t = {0};
    float *a = malloc(2 * w->classes * sizeof *a);
    kf_session_options_init(&so);
    so.threads = 1;
    kf_status st = a ? KF_OK : KF_ERR_MEMORY;
    for (int i = 0; i < 2 && st == KF_OK; i++) st = kf_session_create(w->m[i], &so, &s[i], &err);
    for (size_t i; st == KF_OK && !atomic_load(&w->failed) && (i = atomic_fetch_add(&w->next, 1)) < w->p->n;) st = one(w, i, s, a, a + w->classes, &t, &err);
    pthread_mutex_lock(&w->lock);
    if (st != KF_OK && !atomic_exchange(&w->failed, 1)) w->err = err;
    w->total.aa += t.aa, w->total.bb += t.bb, w->total.ab += t.ab, w->total.dd += t.dd;
    w->total.n += t.n, w->total.same += t.same, w->total.same5 += t.same5;
    pthread_mutex_unlock(&w->lock);
    for (int i = 0; i < 2; i++) kf_session_destroy(&s[i]);
    free(a);
    return NULL;
}

static int report(const work *w, const options *o) {
    const tally *t = &w->total;
    double agreement = 100.0 * (double)t->same / (double)t->n, top5 = 100.0 * (double)t->same5 / (double)t->n;
    double cosine = t->aa > 0 && t->bb > 0 ? t->ab / sqrt(t->aa * t->bb) : t->aa == t->bb;
    bool equal = t->dd == 0;
    double sqnr = equal ? 0 : 10 * log10(t->aa / t->dd);
    if (o->common.json)
        cli_print_json(json_pack("{s:i,s:f,s:f,s:f,s:o,s:b}", "images", (int)t->n, "agreement", agreement, "top1_in_top5", top5, "cosine", cosine, "sqnr_db", equal ? json_null() : json_real(sqnr), "identical", equal));
    else if (equal) printf("%zu pictures: outputs identical\n", t->n);
    else printf("%zu pictures: top-1 agreement %.2f %%, A's top-1 in B's top-5 %.2f %%, output cosine %.6f, SQNR %.2f dB\n", t->n, agreement, top5, cosine, sqnr);
    return EXIT_DONE;
}

static int compare(work *w, const options *o) {
    kf_tensor out[2];
    pthread_t t[64];
    int started = 0, threads = o->common.threads ? o->common.threads : (int)sysconf(_SC_NPROCESSORS_ONLN);
    for (int i = 0; i < 2; i++)
        if (kf_model_output(w->m[i], 0, &out[i], &w->err) != KF_OK) return cli_fail(&w->err);
    if (out[0].bytes != out[1].bytes) return cli_say("%s has %zu outputs, %s has %zu; models of one task can be compared", o->a, out[0].bytes / 4, o->b, out[1].bytes / 4);
    w->classes = out[0].bytes / sizeof(float);
    for (; started < threads - 1 && started < 63; started++)
        if (pthread_create(&t[started], NULL, worker, w) != 0) break;
    worker(w);
    for (int i = 0; i < started; i++) pthread_join(t[i], NULL);
    return atomic_load(&w->failed) ? cli_fail(&w->err) : report(w, o);
}

int cmd_compare(int argc, char **argv) {
    const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {OPTIONS, parse, "A B --data DIR", "How far two models agree on pictures.", children, NULL, NULL};
    options o = {0};
    pictures p = {0};
    kf_model *a = NULL, *b = NULL;
    work w = {.p = &p, .lock = PTHREAD_MUTEX_INITIALIZER};
    if (argp_parse(&argp, argc, argv, 0, NULL, &o) != 0) return EXIT_USAGE;
    kf_status st = cli_load_model(o.a, &o.common, &a, &w.err);
    if (st == KF_OK) st = cli_load_model(o.b, &o.common, &b, &w.err);
    if (st == KF_OK) st = pictures_find(o.data, o.list, o.limit, &p, &w.err);
    w.m[0] = a, w.m[1] = b;
    int status = st == KF_OK ? compare(&w, &o) : cli_fail(&w.err);
    pictures_free(&p);
    kf_model_destroy(&a);
    kf_model_destroy(&b);
    return status;
}
