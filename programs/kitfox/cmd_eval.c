/* kitfox eval [MODEL] --data DIR: top-1 and top-5 on class folders or a labels.csv.
 * Floor 8. One session on each core; pictures are handed out one at a time.
 * Owner rule: the list of pictures lives until the end; results are written by index, so threads never share a slot. */
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/cli.h"

enum { KEY_LIMIT = 1000, KEY_PREDICTIONS, TOP = 5 };

typedef struct item {
    char *path, *name;
    long truth; /* as wide as it was read: a number past 2^32 must not wrap into a class */
    int32_t top[TOP];
    char *error;
} item;

typedef struct options {
    cli_common common;
    const char *model, *data, *predictions;
    long limit;
} options;

typedef struct work {
    const kf_model *m;
    item *items;
    size_t n;
    atomic_size_t next;
    kf_status status;
    kf_error err;
} work;

static const struct argp_option OPTIONS[] = {
    {"data", 'd', "DIR", 0, "class folders, or pictures with a labels.csv (required)", 0},
    {"limit", KEY_LIMIT, "N", 0, "the first N pictures only", 0},
    {"predictions", KEY_PREDICTIONS, "OUT.csv", 0, "file,class_index,top1,...,top5", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state) {
    options *o = state->input;
    char *end;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &o->common; return 0;
    case 'd': o->data = arg; return 0;
    case KEY_PREDICTIONS: o->predictions = arg; return 0;
    case KEY_LIMIT:
        o->limit = strtol(arg, &end, 10);
        if (*end || o->limit < 1) argp_error(state, "--limit %s: a number from 1 is needed", arg);
        return 0;
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

static bool add_item(work *w, const char *folder, const char *name, long truth) {
    item *grown = realloc(w->items, (w->n + 1) * sizeof *grown);
    char path[4096];
    if (!grown) return false;
    w->items = grown;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    w->items[w->n] = (item){.path = strdup(path), .name = strdup(name), .truth = truth, .top = {-1, -1, -1, -1, -1}};
    return w->items[w->n].path && w->items[w->n++].name;
}

static void free_item(item *it) {
    free(it->path);
    free(it->name);
    free(it->error);
}

/* labels.csv: "file,class_index" with an optional header; further columns are ignored. */
static bool from_csv(work *w, const char *folder, FILE *f) {
    char *line = NULL;
    size_t cap = 0;
    bool ok = true;
    for (size_t row = 0; ok && getline(&line, &cap, f) >= 0; row++) {
        char *comma = strchr(line, ','), *end;
        if (!comma) continue;
        *comma = '\0';
        long truth = strtol(comma + 1, &end, 10);
        if (end == comma + 1) continue; /* the header */
        ok = add_item(w, folder, line, truth);
    }
    free(line);
    return ok;
}

static int plain(const struct dirent *e) { return e->d_name[0] != '.'; }

/* Class folders in sorted order are classes 0, 1, ...; a folder named like a label takes that label's index. */
static bool from_folders(work *w, const char *folder) {
    struct dirent **classes, **files;
    int n = scandir(folder, &classes, plain, alphasort), index = 0;
    bool ok = n >= 0;
    for (int i = 0; i < n; i++) {
        char sub[4096];
        snprintf(sub, sizeof sub, "%s/%s", folder, classes[i]->d_name);
        struct stat st;
        if (ok && stat(sub, &st) == 0 && S_ISDIR(st.st_mode)) {
            long truth = index++;
            for (int k = 0; kf_model_label(w->m, k); k++)
                if (strcmp(kf_model_label(w->m, k), classes[i]->d_name) == 0) truth = k;
            int m = scandir(sub, &files, plain, alphasort);
            for (int k = 0; k < m; k++) {
                char rel[1024];
                snprintf(rel, sizeof rel, "%s/%s", classes[i]->d_name, files[k]->d_name);
                ok = ok && add_item(w, folder, rel, truth);
                free(files[k]);
            }
            if (m >= 0) free(files);
        }
        free(classes[i]);
    }
    if (n >= 0) free(classes);
    return ok;
}

static void classify_item(work *w, kf_session *s, item *it) {
    kf_image_options io;
    kf_image image;
    kf_error err = {0};
    kf_score top[TOP];
    size_t n = 0;
    kf_image_options_init(&io);
    io.no_exif = 1; /* published accuracies are measured that way */
    kf_status st = kf_image_load(it->path, &io, &image, &err);
    if (st == KF_OK) {
        st = kf_session_classify(s, &image, TOP, top, &n, &err);
        kf_image_free(&image);
    }
    for (size_t i = 0; i < n; i++) it->top[i] = top[i].index;
    if (st != KF_OK) it->error = strdup(err.text);
}

static void *worker(void *arg) {
    work *w = arg;
    kf_session *s = NULL;
    kf_session_options so;
    kf_error err = {0};
    kf_session_options_init(&so);
    so.threads = 1;
    if (kf_session_create(w->m, &so, &s, &err) != KF_OK) {
        w->status = KF_ERR_MEMORY;
        return NULL;
    }
    for (size_t i; (i = atomic_fetch_add(&w->next, 1)) < w->n;) {
        classify_item(w, s, &w->items[i]);
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
    if (isatty(2)) fprintf(stderr, "\r%40s\r", "");
}

static int write_predictions(const work *w, const char *path) {
    FILE *f = fopen(path, "we");
    if (!f) return cli_say("%s: cannot write; %s; check the folder", path, strerror(errno));
    fputs("file,class_index,top1,top2,top3,top4,top5\n", f);
    for (size_t i = 0; i < w->n; i++) {
        fprintf(f, "%s,%ld", w->items[i].name, w->items[i].truth);
        for (int k = 0; k < TOP; k++) fprintf(f, ",%d", w->items[i].top[k]);
        fputc('\n', f);
    }
    return fclose(f) == 0 ? EXIT_DONE : cli_say("%s: cannot write; %s", path, strerror(errno));
}

/* Wilson's 95 % interval of a proportion, half width in points around its centre. */
static void interval(double hits, double n, double *lo, double *hi) {
    double p = hits / n, z = 1.959964, d = 1 + z * z / n, c = (p + z * z / (2 * n)) / d, h = z / d * sqrt(p * (1 - p) / n + z * z / (4 * n * n));
    *lo = 100 * (c - h);
    *hi = 100 * (c + h);
}

static int summary(const work *w, const options *o, double seconds) {
    size_t done = 0, hit1 = 0, hit5 = 0, failed = 0;
    for (size_t i = 0; i < w->n; i++) {
        const item *it = &w->items[i];
        if (it->error) {
            failed++;
            fprintf(stderr, "kitfox: %s\n", it->error);
            continue;
        }
        done++;
        hit1 += it->top[0] == it->truth;
        for (int k = 0; k < TOP; k++) hit5 += it->top[k] == it->truth;
    }
    if (done == 0) return cli_say("%s: none of %zu pictures could be read", o->data, w->n);
    double lo, hi, top1 = 100.0 * (double)hit1 / (double)done, top5 = 100.0 * (double)hit5 / (double)done;
    interval((double)hit1, (double)done, &lo, &hi);
    if (o->common.json) printf("{\"images\":%zu,\"top1\":%.4f,\"top5\":%.4f,\"images_per_s\":%.2f,\"failed\":%zu,\"low\":%.4f,\"high\":%.4f}\n", done, top1, top5, (double)done / seconds, failed, lo, hi);
    else printf("%zu pictures  top-1 %.2f %% (95 %%: %.2f to %.2f)  top-5 %.2f %%  %.1f pictures/s  %zu failed\n", done, top1, lo, hi, top5, (double)done / seconds, failed);
    return EXIT_DONE;
}

static int check_truth(const work *w, const options *o) {
    kf_tensor out;
    kf_error err;
    if (w->n == 0) return cli_say("%s: no pictures; class folders with pictures or a labels.csv are needed", o->data);
    if (kf_model_output(w->m, 0, &out, &err) != KF_OK) return cli_fail(&err);
    for (size_t i = 0; i < w->n; i++)
        if (w->items[i].truth < 0 || (size_t)w->items[i].truth >= out.bytes / sizeof(float))
            return cli_say("%s: class %ld is out of range; the model has %zu classes", w->items[i].path, w->items[i].truth, out.bytes / sizeof(float));
    return EXIT_DONE;
}

static int evaluate(work *w, const options *o) {
    char csv[4096];
    snprintf(csv, sizeof csv, "%s/labels.csv", o->data);
    FILE *f = fopen(csv, "re");
    struct stat st;
    if (stat(o->data, &st) != 0) return cli_say("%s: cannot open; %s; check --data", o->data, strerror(errno));
    bool ok = f ? from_csv(w, o->data, f) : from_folders(w, o->data);
    if (f) fclose(f);
    if (!ok) return cli_say("%s: cannot list the pictures", o->data);
    for (; o->limit && (size_t)o->limit < w->n; w->n--) free_item(&w->items[w->n - 1]);
    int bad = check_truth(w, o);
    if (bad) return bad;
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    run_all(w, o->common.threads ? o->common.threads : (int)sysconf(_SC_NPROCESSORS_ONLN));
    clock_gettime(CLOCK_MONOTONIC, &b);
    if (w->status != KF_OK) return cli_say("out of memory for a session on each core; try --threads 1");
    if (o->predictions && (bad = write_predictions(w, o->predictions))) return bad;
    return summary(w, o, (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) * 1e-9);
}

int cmd_eval(int argc, char **argv) {
    const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {OPTIONS, parse, "[MODEL] --data DIR", "Top-1 and top-5 on labelled pictures.", children, NULL, NULL};
    options o = {0};
    kf_error err = {0};
    kf_model *m = NULL;
    if (argp_parse(&argp, argc, argv, 0, NULL, &o) != 0) return EXIT_USAGE;
    if (cli_load_model(o.model, &o.common, &m, &err) != KF_OK) return cli_fail(&err);
    work w = {.m = m};
    int status = evaluate(&w, &o);
    for (size_t i = 0; i < w.n; i++) free_item(&w.items[i]);
    free(w.items);
    kf_model_destroy(&m);
    return status;
}
