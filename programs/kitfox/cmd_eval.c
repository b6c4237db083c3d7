/* kitfox eval [MODEL] --data DIR: top-1 and top-5 on class folders or a labels.csv.
 * One session on each core; pictures are handed out one at a time.
 * Owner rule: the list of pictures lives until the end; results are written by index, so threads never share a slot. */
#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/cli.h"
#include "common/confusion.h"
#include "common/files.h"

enum { KEY_LIMIT = 1000, KEY_PREDICTIONS, KEY_CONFUSION, KEY_LIST, TOP = 5 };

/* What the model says of a picture, beside its class. */
typedef struct item {
    int32_t top[TOP];
    char *error;
} item;

typedef struct options {
    cli_common common;
    const char *model, *data, *list, *predictions, *confusion;
    long limit;
} options;

typedef struct work {
    const kf_model *m;
    kf_dataset *pictures;
    item *items;
    size_t n, classes;
    atomic_size_t next;
    atomic_flag failed; /* a worker has no session; `err` says why */
    kf_error err;
} work;

static const struct argp_option OPTIONS[] = {
    {"data", 'd', "DIR", 0, "class folders, or pictures with a labels.csv (required)", 0},
    {"list", KEY_LIST, "FILE", 0, "only the pictures on its lines: file, or file,class_index", 0},
    {"limit", KEY_LIMIT, "N", 0, "the first N pictures only", 0},
    {"predictions", KEY_PREDICTIONS, "OUT.csv", 0, "file,class_index,top1,...,top5", 0},
    {"confusion", KEY_CONFUSION, "OUT.html", 0, "a page with the confusion matrix and the accuracy of each class", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state) {
    options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &o->common; return 0;
    case 'd': o->data = arg; return 0;
    case KEY_LIST: o->list = arg; return 0;
    case KEY_CONFUSION: o->confusion = arg; return 0;
    case KEY_PREDICTIONS: o->predictions = arg; return 0;
    case KEY_LIMIT: o->limit = cli_number(state, "--limit", arg, 1, LONG_MAX); return 0;
    case ARGP_KEY_ARG:
        if (o->model) argp_error(state, "%s: one model only", arg);
        o->model = arg;
        return 0;
    case ARGP_KEY_END:
        if (!o->data) argp_error(state, "--data DIR is needed");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static kf_dataset_item picture(const work *w, size_t i) {
    kf_dataset_item it = {0};
    kf_dataset_get(w->pictures, i, &it, NULL);
    return it;
}

static void classify_item(kf_session *s, const char *path, item *it) {
    kf_image_options io;
    kf_image image;
    kf_error err = {0};
    kf_score top[TOP];
    size_t n = 0;
    kf_image_options_init(&io);
    io.no_exif = 1; /* published accuracies are measured that way */
    kf_status st = kf_image_load(path, &io, &image, &err);
    if (st == KF_OK) {
        st = kf_session_classify(s, &image, TOP, top, &n, &err);
        kf_image_free(&image);
    }
    for (size_t i = 0; i < n; i++) it->top[i] = top[i].index;
    if (st != KF_OK) it->error = strdup(err.text); /* without memory for it the -1 in top[0] says enough */
}

static void *worker(void *arg) {
    work *w = arg;
    kf_session *s = NULL;
    kf_error err = {0};
    if (cli_session(w->m, 1, &s, &err) != KF_OK) {
        if (!atomic_flag_test_and_set(&w->failed)) w->err = err;
        return NULL;
    }
    for (size_t i; (i = atomic_fetch_add(&w->next, 1)) < w->n;) {
        classify_item(s, picture(w, i).path, &w->items[i]);
        if (isatty(2) && i % 16 == 0) fprintf(stderr, "\r%zu of %zu pictures", i, w->n);
    }
    kf_session_destroy(&s);
    return NULL;
}

static void run_all(work *w, int threads) {
    pthread_t t[64];
    int started = 0;
    for (; started < threads - 1 && started < 63; started++)
        if (pthread_create(&t[started], NULL, worker, w) != 0) break;
    worker(w);
    for (int i = 0; i < started; i++) pthread_join(t[i], NULL);
    cli_note_threads(started + 1, threads < 64 ? threads : 64);
    if (isatty(2)) fprintf(stderr, "\r%40s\r", "");
}

/* A name with a comma or a quote is quoted, as it is read. */
static void put_name(FILE *f, const char *s) {
    bool quote = strpbrk(s, ",\"") != NULL;
    if (quote) fputc('"', f);
    for (; *s; s++) {
        if (*s == '"') fputc('"', f);
        fputc(*s, f);
    }
    if (quote) fputc('"', f);
}

static int write_predictions(const work *w, const char *path) {
    kf_error err;
    char *text = NULL;
    size_t bytes = 0;
    FILE *f = open_memstream(&text, &bytes);
    if (!f) return cli_say("%s: out of memory; free some", path);
    fputs("file,class_index,top1,top2,top3,top4,top5\n", f);
    for (size_t i = 0; i < w->n; i++) {
        put_name(f, picture(w, i).name);
        fprintf(f, ",%lld", (long long)picture(w, i).truth);
        for (int k = 0; k < TOP; k++) fprintf(f, ",%d", w->items[i].top[k]);
        fputc('\n', f);
    }
    return cli_write_stream(path, f, &text, &bytes, &err) == KF_OK ? EXIT_DONE : cli_fail(&err);
}

static const char *label(const void *model, int32_t k) { return kf_model_label(model, k); }

static int write_confusion(const work *w, const char *path, const char *data, const char *summary) {
    kf_error err = {0};
    char title[600];
    size_t n = 0;
    cli_answer *answers = malloc(w->n * sizeof *answers);
    if (!answers) return cli_say("%s: out of memory; free some", path);
    for (size_t i = 0; i < w->n; i++)
        if (w->items[i].top[0] >= 0) answers[n++] = (cli_answer){(int32_t)picture(w, i).truth, w->items[i].top[0]};
    kf_model_info info;
    kf_model_get_info(w->m, &info);
    snprintf(title, sizeof title, "%.200s on %.300s", info.name && info.name[0] ? info.name : "model", data);
    cli_confusion c = {title, summary, (int32_t)w->classes, label, w->m};
    kf_status st = cli_confusion_write(path, &c, answers, n, &err);
    free(answers);
    return st == KF_OK ? EXIT_DONE : cli_fail(&err);
}

/* Wilson's 95 % interval of a proportion, half width in points around its centre. */
static void interval(double hits, double n, double *lo, double *hi) {
    double p = hits / n, z = 1.959964, d = 1 + z * z / n, c = (p + z * z / (2 * n)) / d,
           h = z / d * sqrt(p * (1 - p) / n + z * z / (4 * n * n));
    *lo = 100 * (c - h);
    *hi = 100 * (c + h);
}

static int summary(const work *w, const options *o, double seconds) {
    size_t done = 0, hit1 = 0, hit5 = 0, failed = 0;
    char text[300];
    for (size_t i = 0; i < w->n; i++) {
        const item *it = &w->items[i];
        if (it->top[0] < 0) {
            failed++;
            cli_say("%s", it->error ? it->error : "out of memory");
            continue;
        }
        done++;
        hit1 += it->top[0] == picture(w, i).truth;
        for (int k = 0; k < TOP; k++) hit5 += it->top[k] == picture(w, i).truth;
    }
    if (done == 0) return cli_say("%s: none of %zu pictures could be read", o->data, w->n);
    double lo, hi, top1 = 100.0 * (double)hit1 / (double)done, top5 = 100.0 * (double)hit5 / (double)done;
    interval((double)hit1, (double)done, &lo, &hi);
    snprintf(text, sizeof text,
             "%zu pictures  top-1 %.2f %% (95 %%: %.2f to %.2f)  top-5 %.2f %%  %.1f pictures/s  %zu failed", done,
             top1, lo, hi, top5, (double)done / seconds, failed);
    FILE *to = o->predictions ? cli_talk(o->predictions) : stdout;
    if (o->common.json)
        fprintf(to,
                "{\"images\":%zu,\"top1\":%.4f,\"top5\":%.4f,\"images_per_s\":%.2f,\"failed\":%zu,\"low\":%.4f,"
                "\"high\":%.4f}\n",
                done, top1, top5, (double)done / seconds, failed, lo, hi);
    else fprintf(to, "%s\n", text);
    return o->confusion ? write_confusion(w, o->confusion, o->data, text) : EXIT_DONE;
}

static int check_truth(work *w, const options *o) {
    kf_tensor out;
    kf_error err;
    if (w->n == 0)
        return cli_say("%s: no pictures; class folders with pictures or a labels.csv are needed",
                       o->list ? o->list : o->data);
    if (kf_model_output(w->m, 0, &out, &err) != KF_OK) return cli_fail(&err);
    w->classes = out.bytes / sizeof(float);
    for (size_t i = 0; i < w->n; i++) {
        kf_dataset_item p = picture(w, i);
        if (p.truth < 0 || (size_t)p.truth >= w->classes)
            return cli_say("%s: class %lld is out of range; the model has %zu classes", p.path, (long long)p.truth,
                           w->classes);
    }
    return EXIT_DONE;
}

enum { N_OUTPUTS = 2 };

static kf_status check_outputs(const options *o, const cli_output out[N_OUTPUTS], kf_error *err) {
    char csv[4096];
    snprintf(csv, sizeof csv, "%.4000s/labels.csv", o->data);
    return cli_outputs_check(out, N_OUTPUTS, (const char *const[]){o->model, o->list, o->common.labels, csv}, 4, err);
}

static kf_status check_pictures(const work *w, const options *o, kf_error *err) {
    const cli_output *out = o->common.outputs;
    kf_status st = KF_OK;
    for (size_t i = 0; st == KF_OK && (o->predictions || o->confusion) && i < kf_dataset_count(w->pictures); i++)
        for (int k = 0; st == KF_OK && k < N_OUTPUTS; k++)
            st = cli_output_apart(&out[k], (const char *const[]){picture(w, i).path}, 1, err);
    return st;
}

static int evaluate(work *w, const options *o) {
    kf_error err = {0};
    if (cli_dataset(o->data, o->list, w->m, &w->pictures, &err) != KF_OK) return cli_fail(&err);
    if (check_pictures(w, o, &err) != KF_OK) return cli_fail(&err);
    w->n = kf_dataset_count(w->pictures);
    if (o->limit && (size_t)o->limit < w->n) w->n = (size_t)o->limit;
    int bad = check_truth(w, o);
    if (bad) return bad;
    if (!(w->items = malloc(w->n * sizeof *w->items))) return cli_say("%s: out of memory; free some", o->data);
    for (size_t i = 0; i < w->n; i++) w->items[i] = (item){.top = {-1, -1, -1, -1, -1}};
    double begun = cli_now_ms();
    run_all(w, o->common.threads ? o->common.threads : (int)sysconf(_SC_NPROCESSORS_ONLN));
    double seconds = (cli_now_ms() - begun) / 1e3;
    if (w->err.status == KF_ERR_MEMORY) return cli_say("out of memory for a session on each core; try --threads 1");
    if (w->err.status != KF_OK) return cli_fail(&w->err);
    if (o->predictions && (bad = write_predictions(w, o->predictions))) return bad;
    return summary(w, o, seconds);
}

int cmd_eval(int argc, char **argv) {
    const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {OPTIONS, parse, "[MODEL] --data DIR", "Top-1 and top-5 on labelled pictures.", children,
                              NULL,    NULL};
    options o = {0};
    kf_error err = {0};
    kf_model *m = NULL;
    if (argp_parse(&argp, argc, argv, 0, NULL, &o) != 0) return EXIT_USAGE;
    const cli_output out[N_OUTPUTS] = {{o.predictions, "--predictions", true}, {o.confusion, "--confusion", false}};
    o.common.outputs = out, o.common.n_outputs = N_OUTPUTS;
    if (check_outputs(&o, out, &err) != KF_OK) return cli_fail(&err);
    if (cli_load_model(o.model, &o.common, &m, &err) != KF_OK) return cli_fail(&err);
    work w = {.m = m};
    int status = evaluate(&w, &o);
    for (size_t i = 0; w.items && i < w.n; i++) free(w.items[i].error);
    free(w.items);
    kf_dataset_destroy(&w.pictures);
    kf_model_destroy(&m);
    return status;
}
