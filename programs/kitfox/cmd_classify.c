/* kitfox classify [MODEL] IMAGE...: top-k labels of each picture.
 * Owner rule: one model and one session for all pictures. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/annotate.h"
#include "common/cli.h"
#include "common/files.h"

enum { MAX_K = 1000, KEY_NO_EXIF = 1000 };

typedef struct options {
    cli_common common;
    kf_labels labels; /* of --labels; replace the model's */
    long k;
    const char *annotate;
    bool no_exif;
    char **args;
    int n_args;
} options;

static const struct argp_option OPTIONS[] = {
    {"top", 'k', "N", 0, "labels per picture (default 5)", 0},
    {"annotate", 'a', "OUT.png", 0, "write the picture with its labels; %s in the name becomes the picture's name", 0},
    {"no-exif", KEY_NO_EXIF, NULL, 0, "leave the camera's orientation alone, as training pipelines do", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state) {
    options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &o->common; return 0;
    case 'k': o->k = cli_number(state, "-k", arg, 1, MAX_K); return 0;
    case 'a': o->annotate = arg; return 0;
    case KEY_NO_EXIF: o->no_exif = true; return 0;
    case ARGP_KEY_ARGS:
        o->args = state->argv + state->next;
        o->n_args = state->argc - state->next;
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static void print_json(const char *path, const kf_score *top, size_t n, double ms, const char *error) {
    if (error) cli_print_json(json_pack("{s:s,s:s}", "image", path, "error", error));
    else cli_print_json(json_pack("{s:s,s:o,s:f}", "image", path, "top", cli_scores(top, n), "ms", ms));
}

static void print_text(const char *path, const kf_score *top, size_t n, double ms) {
    bool color = isatty(1) && !getenv("NO_COLOR");
    printf("%s  (%.2f ms)\n", path, ms);
    for (size_t i = 0; i < n; i++) {
        char bar[24 * 3 + 1] = "";
        double share = fmin(fmax((double)top[i].score, 0), 1); /* scores need not be probabilities */
        int full = (int)(share * 24 + 0.5), at = 0;
        for (int b = 0; b < 24; b++)
            at += snprintf(bar + at, sizeof bar - (size_t)at, "%s", b < full ? "\xe2\x96\x88" : "\xc2\xb7");
        printf("  %s%s%s %6.2f %%  %4d  %s\n", color ? "\033[32m" : "", bar, color ? "\033[0m" : "",
               (double)top[i].score * 100, top[i].index, top[i].label ? top[i].label : "");
    }
}

static kf_status one(const options *o, kf_session *s, const char *path, kf_error *err) {
    kf_image_options io;
    kf_image image;
    kf_score top[MAX_K];
    size_t n = 0;
    kf_image_options_init(&io);
    io.no_exif = o->no_exif;
    kf_status st = kf_image_load(path, &io, &image, err);
    if (st != KF_OK) return st;
    double start = cli_now_ms();
    st = kf_session_classify(s, &image, (size_t)o->k, top, &n, err);
    double ms = cli_now_ms() - start;
    for (size_t i = 0; o->labels.n && i < n; i++) top[i].label = o->labels.items[top[i].index];
    if (st == KF_OK && o->common.json) print_json(path, top, n, ms, NULL);
    else if (st == KF_OK) print_text(path, top, n, ms);
    if (st == KF_OK && o->annotate) st = cli_annotate(&image, path, top, n, o->annotate, err);
    kf_image_free(&image);
    return st;
}

/* Labels given on the command line replace the model's; their number must fit. */
static kf_status check_labels(const kf_model *m, const options *o, kf_error *err) {
    kf_tensor out;
    if (!o->labels.n) return KF_OK;
    kf_status st = kf_model_output(m, 0, &out, err);
    if (st != KF_OK) return st;
    size_t classes = out.bytes / sizeof(float);
    if ((size_t)o->labels.n == classes) return KF_OK;
    err->status = KF_ERR_ARGUMENT;
    snprintf(err->text, sizeof err->text, "%s: %d labels; the model has %zu classes; use the list that belongs to it",
             o->common.labels, o->labels.n, classes);
    return err->status;
}

/* A name is judged for every picture, a folder by the first. */
static kf_status check_output(const options *o, int first, kf_error *err) {
    char name[4096];
    kf_status st = KF_OK;
    for (int i = first; o->annotate && st == KF_OK && i < o->n_args; i++) {
        if (!cli_annotate_name(o->args[i], o->annotate, name))
            return cli_error_at(err, KF_ERR_LIMIT, "--annotate", "the name is too long");
        const cli_output out = {name, "--annotate", false};
        st = cli_output_apart(&out, (const char *const *)o->args, (size_t)o->n_args, err);
        if (st == KF_OK && i == first) st = cli_outputs_check(&out, 1, &o->common.labels, 1, err);
    }
    return st;
}

int cmd_classify(int argc, char **argv) {
    const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {OPTIONS,
                              parse,
                              "[MODEL] IMAGE...",
                              "Top-k labels of each picture (JPEG, PNG, WebP, PPM; - is standard input).",
                              children,
                              NULL,
                              NULL};
    options o = {.k = 5};
    kf_error err = {0};
    if (argp_parse(&argp, argc, argv, 0, NULL, &o) != 0) return EXIT_USAGE;
    const char *model = o.n_args > 0 && cli_is_model(o.args[0]) ? o.args[0] : NULL;
    int first = model ? 1 : 0, failed = 0;
    if (o.n_args - first < 1) {
        cli_say("no picture given; %s classify [MODEL] IMAGE...; see --help", cli_program);
        return EXIT_USAGE;
    }
    kf_model *m = NULL;
    kf_session *s = NULL;
    cli_common import = o.common;
    import.labels = NULL; /* applied here, so that they serve compiled models too */
    kf_status st = check_output(&o, first, &err);
    if (st == KF_OK && o.common.labels) st = kf_labels_load(o.common.labels, cli_note, NULL, &o.labels, &err);
    if (st == KF_OK) st = cli_load_model(model, &import, &m, &err);
    if (st == KF_OK) st = check_labels(m, &o, &err);
    if (st == KF_OK) st = cli_session(m, o.common.threads, &s, &err);
    if (st != KF_OK) failed = cli_fail(&err);
    for (int i = first; st == KF_OK && i < o.n_args; i++) {
        if (one(&o, s, o.args[i], &err) == KF_OK) continue;
        failed = EXIT_FAILED;
        if (o.common.json) print_json(o.args[i], NULL, 0, 0, err.text);
        else cli_fail(&err);
    }
    kf_session_destroy(&s);
    kf_model_destroy(&m);
    kf_labels_free(&o.labels);
    return failed;
}
