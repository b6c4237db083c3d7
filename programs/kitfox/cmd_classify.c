/* kitfox classify [MODEL] IMAGE...: top-k labels of each picture.
 * Owner rule: one model and its labels for all pictures. */
#include <stdio.h>
#include <string.h>

#include "common/annotate.h"
#include "common/cli.h"
#include "common/files.h"
#include "common/kinds.h"
#include "kitfox/bench.h"

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

typedef struct printing {
    const options *o;
    const char *model;
    kf_origin origin; /* of its preprocessing */
    size_t done, skipped;
    bool failed; /* an annotated picture could not be written */
} printing;

static void print_error(const printing *p, const char *path, kf_status status, const char *why) {
    if (!p->o->common.json) cli_say("%s", why);
    else
        cli_print_json(cli_pack("{s:s,s:s,s:s,s:o}", "kind", "picture", "model", p->model, "image", path, "error",
                                cli_error_json(status, why)));
}

static int print_picture(void *user, const kf_classified *c) {
    printing *p = user;
    const options *o = p->o;
    kf_error err = {0};
    if (c->error) {
        p->skipped++;
        print_error(p, c->path, c->status, c->error);
        return o->strict;
    }
    p->done++;
    if (o->common.json) {
        cli_print_json(cli_pack("{s:s,s:s,s:s,s:o,s:f,s:s}", "kind", "picture", "model", p->model, "image", c->path,
                                "top", cli_scores(c->top, c->n), "ms", c->ms, "preprocess_origin",
                                kf_origin_name(p->origin)));
    } else {
        printf("%s  (%.2f ms)\n", cli_shown(c->path), c->ms);
        cli_print_scores(c->top, c->n);
    }
    if (o->annotate && cli_annotate(c->image, c->path, c->top, c->n, o->annotate, &err) != KF_OK) {
        p->failed = true;
        print_error(p, c->path, err.status, err.text);
    }
    return 0;
}

/* A name is judged for every picture, a folder by the first. */
static kf_status check_output(const options *o, int first, kf_error *err) {
    char name[4096], note[1400];
    kf_status st = KF_OK;
    const char *const *pictures = (const char *const *)o->args + first;
    const char *clash = o->annotate ? cli_annotate_clash(pictures, (size_t)(o->n_args - first), o->annotate) : NULL;
    if (clash) {
        snprintf(note, sizeof note,
                 "--annotate %.300s: %.600s and another picture have one output name; the last one stays; %%s in the "
                 "name becomes the picture's, which has to differ",
                 o->annotate, clash);
        cli_note(NULL, note);
    }
    for (int i = first; o->annotate && st == KF_OK && i < o->n_args; i++) {
        if (!cli_annotate_name(o->args[i], o->annotate, name))
            return cli_error_at(err, KF_ERR_LIMIT, "--annotate", "the name is too long");
        const cli_output out = {name, "--annotate", false};
        st = cli_output_apart(&out, (const char *const *)o->args, (size_t)o->n_args, err);
        if (st == KF_OK && i == first) st = cli_outputs_check(&out, 1, &o->common.labels, 1, err);
    }
    return st;
}

static kf_status run(const options *o, const kf_model *m, int first, printing *p, kf_error *err) {
    kf_classify_options co;
    kf_classify_options_init(&co);
    co.top = (int32_t)o->k, co.threads = o->common.threads, co.no_exif = o->no_exif, co.labels = &o->labels;
    co.picture = print_picture, co.fewer_threads = cli_fewer_threads, co.user = p;
    kf_status st =
        kf_classify_files(m, (const char *const *)o->args + first, (size_t)(o->n_args - first), &co, NULL, err);
    return st == KF_ERR_CANCELLED ? KF_OK : st; /* by --strict: the picture has been named */
}

/* A first argument that is no picture is a model where a picture follows: a wrong name must not send the picture to the
 * built-in network. False: a usage error was printed. */
static bool find_model(const options *o, const char *name, int *first) {
    const char *given = o->n_args > 0 ? o->args[0] : "-";
    bool model = cli_is_model(given);
    if (!model && o->n_args > 1 && strcmp(given, "-") != 0)
        model = cli_kind_of(given) == CLI_UNKNOWN && cli_kind_of(o->args[1]) == CLI_PICTURE;
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
                              "Top-k labels of each picture (JPEG, PNG, WebP, PPM; - is standard input).",
                              children,
                              NULL,
                              NULL};
    options o = {.k = 5, .common.pictures = true};
    kf_error err = {0};
    if (cli_parse(&argp, argc, argv, &o) != 0) return EXIT_USAGE;
    int first;
    if (!find_model(&o, argv[0], &first)) return EXIT_USAGE;
    const char *model = first ? o.args[0] : NULL;
    kf_model *m = NULL;
    cli_common import = o.common;
    import.labels = NULL; /* applied here, so that they serve compiled models too */
    kf_status st = check_output(&o, first, &err);
    if (st == KF_OK && o.common.labels) st = kf_labels_load(o.common.labels, &o.labels, &err);
    if (st == KF_OK) st = cli_load_model(model, &import, &m, &err);
    if (st == KF_OK) st = cli_labels(o.common.labels, m, &o.labels, &err);
    printing p = {.o = &o, .model = model ? model : "everyday10", .origin = origin_of(m)};
    if (st == KF_OK) st = run(&o, m, first, &p, &err);
    if (st != KF_OK) cli_fail(&err);
    kf_model_destroy(&m);
    kf_labels_free(&o.labels);
    if (p.skipped && p.done && !o.strict) cli_note_skipped(p.skipped, p.done + p.skipped);
    return st != KF_OK || p.failed || p.skipped ? EXIT_FAILED : EXIT_DONE;
}
