/* kitfox classify [MODEL] IMAGE...: top-k labels of each picture. Arguments alone.
 * Owner rule: one model and its labels for all pictures. */
#include <string.h>

#include "common/annotate.h"
#include "common/cli.h"
#include "common/kinds.h"
#include "kitfox/bench.h"
#include "kitfox/classify_list.h"
#include "kitfox/classify_print.h"

enum { KEY_NO_EXIF = 1000, KEY_STRICT };

typedef struct options {
    cli_common common;
    kf_labels labels; /* of --labels; replace the model's */
    long k;
    const char *annotate;
    bool no_exif, strict;
    char **args;
    int n_args;
} options;

static const struct argp_option OPTIONS[] = {
    {"top", 'k', "N", 0, "labels per picture (default 5)", 0},
    {"annotate", 'A', "OUT.png", 0, "write the picture with its labels; %s in the name becomes the picture's name", 0},
    {"no-exif", KEY_NO_EXIF, NULL, 0, "leave the camera's orientation alone, as training pipelines do", 0},
    {"max-pixels", CLI_KEY_MAX_PIXELS, "N", 0, CLI_MAX_PIXELS_HELP, 0},
    {"strict", KEY_STRICT, NULL, 0, "stop at the first picture that cannot be read (default: skip and count them)", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state) {
    options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &o->common; return 0;
    case 'k': o->k = cli_number(state, "-k", arg, 1, KF_MAX_TOP); return 0;
    case 'A': o->annotate = arg; return 0;
    case KEY_NO_EXIF: o->no_exif = true; return 0;
    case KEY_STRICT: o->strict = true; return 0;
    case CLI_KEY_MAX_PIXELS: cli_max_pixels(state, arg); return 0;
    case ARGP_KEY_ARGS:
        o->args = state->argv + state->next;
        o->n_args = state->argc - state->next;
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static kf_origin origin_of(const kf_model *m) {
    kf_model_info info = {.size = sizeof info};
    if (!m || kf_model_get_info(m, &info, NULL) != KF_OK) return KF_ORIGIN_UNKNOWN;
    return info.preprocess_origin;
}

static kf_status run(const options *o, const kf_model *m, const kf_samples *files, classify_printing *p,
                     kf_error *err) {
    kf_classify_options co;
    kf_classify_options_init(&co);
    co.top = (int32_t)o->k, co.threads = o->common.threads, co.no_exif = o->no_exif, co.labels = &o->labels;
    co.picture = classify_print, co.fewer_threads = cli_fewer_threads, co.user = p;
    kf_status st = kf_classify_files(m, (const char *const *)files->paths, files->n, &co, NULL, err);
    return st == KF_ERR_CANCELLED ? KF_OK : st; /* by --strict: the picture has been named */
}

static bool is_picture(const char *path) { return cli_kind_of(path) == CLI_PICTURE || classify_is_folder(path); }

/* A first argument that is no picture is a model where a picture follows: a wrong name must not send the picture to the
 * built-in network. False: a usage error was printed. */
static bool find_model(const options *o, const char *name, int *first) {
    const char *given = o->n_args > 0 ? o->args[0] : "-";
    bool model = cli_is_model(given);
    if (!model && o->n_args > 1 && strcmp(given, "-") != 0)
        model = cli_kind_of(given) == CLI_UNKNOWN && !classify_is_folder(given) && is_picture(o->args[1]);
    *first = model;
    if (o->n_args <= *first) {
        cli_usage(name, "no picture given; [MODEL] IMAGE... is needed");
        return false;
    }
    for (int i = 1; i < o->n_args; i++) {
        if (!cli_is_model(o->args[i])) continue;
        cli_usage(name, "%s: a model, where a picture is meant; [MODEL] IMAGE... is needed", o->args[i]);
        return false;
    }
    return true;
}

int cmd_classify(int argc, char **argv) {
    const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {OPTIONS,
                              parse,
                              "[MODEL] IMAGE...",
                              "Top-k labels of each picture (JPEG, PNG, WebP, BMP, GIF, PPM, TIFF, AVIF, HEIC; - is "
                              "standard input). A folder stands for the pictures in it.",
                              children,
                              NULL,
                              NULL};
    options o = {.k = 5, .common.pictures = true, .common.one = true};
    kf_error err = {0};
    if (cli_parse(&argp, argc, argv, &o) != 0) return EXIT_USAGE;
    int first;
    if (!find_model(&o, argv[0], &first)) return EXIT_USAGE;
    const char *model = first ? o.args[0] : NULL;
    kf_model *m = NULL;
    cli_common import = o.common;
    import.labels = NULL; /* applied here, so that they serve compiled models too */
    kf_samples all = {0}; /* the model too, as --annotate must not overwrite it */
    kf_status st = classify_list((const char *const *)o.args, o.n_args, &all, &err);
    if (st == KF_OK && o.annotate)
        st =
            cli_annotate_check(o.annotate, (const char *const *)all.paths, all.n, (size_t)first, o.common.labels, &err);
    if (st == KF_OK && o.common.labels) st = kf_labels_load(o.common.labels, &o.labels, &err);
    if (st == KF_OK) st = cli_load_model(model, &import, &m, &err);
    if (st == KF_OK) st = cli_labels(o.common.labels, m, &o.labels, &err);
    classify_printing p = {.model = model ? model : "everyday10", .annotate = o.annotate, .origin = origin_of(m)};
    p.json = o.common.json, p.strict = o.strict;
    const kf_samples files = {.paths = all.paths + first, .n = all.n - (size_t)first};
    if (st == KF_OK) st = run(&o, m, &files, &p, &err);
    if (st != KF_OK) cli_fail(&err);
    kf_model_destroy(&m);
    kf_labels_free(&o.labels);
    kf_samples_free(&all);
    if (p.skipped && p.done && !o.strict) cli_note_skipped(p.skipped, p.done + p.skipped);
    return st != KF_OK || p.failed || p.skipped ? EXIT_FAILED : EXIT_DONE;
}
