/* kitfox eval [MODEL] --data DIR: top-1 and top-5 on class folders or a labels.csv.
 * kf_evaluate does the work; here are arguments and output.
 * Owner rule: model and data set live until the end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/choice.h"
#include "common/files.h"
#include "kitfox/doctor.h"
#include "kitfox/predictions.h"

enum { KEY_PREDICTIONS = 1000, KEY_CONFUSION, KEY_NO_DOCTOR };

typedef struct options {
    cli_common common;
    cli_choice choice;
    const char *model, *data, *predictions, *confusion;
} options;

static const struct argp_option OPTIONS[] = {
    {"data", 'd', "DIR", 0, "class folders, or pictures with a labels.csv (required)", 0},
    {"predictions", KEY_PREDICTIONS, "OUT.csv", 0, "file,class_index,top1,...,top5", 0},
    {"confusion", KEY_CONFUSION, "OUT.html", 0, "a page with the confusion matrix and the accuracy of each class", 0},
    {"no-doctor", KEY_NO_DOCTOR, NULL, 0,
     "leave out the check whether 20 pictures score better with other preprocessing", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state) {
    options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &o->common, state->child_inputs[1] = &o->choice; return 0;
    case 'd': o->data = arg; return 0;
    case KEY_NO_DOCTOR: o->common.no_doctor = true; return 0;
    case KEY_CONFUSION: o->confusion = arg; return 0;
    case KEY_PREDICTIONS: o->predictions = arg; return 0;
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

/* ---- output ------------------------------------------------------------------------------------------------------ */

static int progress(void *user, size_t done, size_t total) {
    (void)user;
    return cli_progress("pictures", done, total);
}

static kf_status write_confusion(const kf_model *m, const options *o, const kf_evaluation *e, const char *summary,
                                 kf_error *err) {
    char title[600];
    kf_model_info info = {.size = sizeof info};
    void *html;
    size_t bytes;
    kf_model_get_info(m, &info, NULL);
    snprintf(title, sizeof title, "%.200s on %.300s", info.name && info.name[0] ? info.name : "model", o->data);
    KF_TRY(kf_evaluation_page(e, m, title, summary, &html, &bytes, err));
    kf_status st = cli_write(o->confusion, html, bytes, err);
    free(html);
    return st;
}

static kf_status print(const kf_model *m, const options *o, const kf_evaluation *e, kf_error *err) {
    char text[300];
    kf_model_info info = {.size = sizeof info};
    KF_TRY(kf_model_get_info(m, &info, err));
    if (!e->images) return cli_error(err, KF_ERR_IO, "%.600s: none of %zu pictures could be read", o->data, e->failed);
    snprintf(text, sizeof text,
             "%zu pictures  top-1 %.2f %% (95 %%: %.2f to %.2f)  top-5 %.2f %%  %.1f pictures/s  %zu skipped",
             e->images, e->top1, e->low, e->high, e->top5, e->images_per_s, e->failed);
    FILE *to = o->predictions ? cli_talk(o->predictions) : stdout;
    if (o->common.json)
        cli_print_json(cli_pack("{s:s,s:s,s:s,s:I,s:f,s:f,s:f,s:f,s:f,s:I,s:s}", "kind", "evaluation", "model",
                                o->model ? o->model : "everyday10", "data", o->data, "images", (json_int_t)e->images,
                                "top1", e->top1, "top5", e->top5, "low", e->low, "high", e->high, "images_per_s",
                                e->images_per_s, "skipped", (json_int_t)e->failed, "preprocess_origin",
                                kf_origin_name(info.preprocess_origin)));
    else fprintf(to, "%s\n", text);
    cli_note_skipped(e->failed, e->images + e->failed);
    return o->confusion ? write_confusion(m, o, e, text, err) : KF_OK;
}

/* ---- work -------------------------------------------------------------------------------------------------------- */

enum { N_OUTPUTS = 2 };

static kf_status check_outputs(const options *o, const cli_output out[N_OUTPUTS], kf_error *err) {
    char csv[4096];
    snprintf(csv, sizeof csv, "%.4000s/labels.csv", o->data);
    return cli_outputs_check(out, N_OUTPUTS, (const char *const[]){o->model, o->choice.list, o->common.labels, csv}, 4,
                             err);
}

static kf_status check_pictures(const kf_dataset *d, const options *o, kf_error *err) {
    if (kf_dataset_count(d) == 0)
        return cli_error_at(err, KF_ERR_ARGUMENT, o->choice.list ? o->choice.list : o->data,
                            "no pictures; class folders with pictures or a labels.csv are needed");
    return cli_outputs_apart(o->common.outputs, N_OUTPUTS, d, err);
}

static kf_status evaluate(const kf_model *m, const kf_dataset *d, const options *o, kf_error *err) {
    predictions t = {0};
    kf_evaluation e = {.size = sizeof e};
    kf_evaluate_options how;
    kf_evaluate_options_init(&how);
    how.threads = o->common.threads, how.limit = o->choice.limit, how.strict = o->choice.strict;
    how.progress = progress, how.prediction = predictions_add, how.fewer_threads = cli_fewer_threads, how.user = &t;
    KF_TRY(predictions_begin(&t, o->predictions, err));
    cli_cancel_on();
    cli_progress("pictures", 0, 0);
    kf_status st = kf_evaluate(m, d, &how, &e, err);
    cli_cancel_off();
    st = predictions_end(&t, st, err);
    if (st == KF_OK) st = print(m, o, &e, err);
    kf_evaluation_free(&e);
    return st;
}

int cmd_eval(int argc, char **argv) {
    const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {&cli_choice_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {OPTIONS, parse, "[MODEL] --data DIR", "Top-1 and top-5 on labelled pictures.", children,
                              NULL,    NULL};
    options o = {.common.pictures = true, .common.one = true};
    kf_error err = {0};
    kf_model *m = NULL;
    kf_dataset *d = NULL;
    if (cli_parse(&argp, argc, argv, &o) != 0) return EXIT_USAGE;
    const cli_output out[N_OUTPUTS] = {{o.predictions, "--predictions", true}, {o.confusion, "--confusion", false}};
    o.common.outputs = out, o.common.n_outputs = N_OUTPUTS;
    cli_json_beside(o.predictions);
    kf_status st = check_outputs(&o, out, &err);
    if (st == KF_OK) st = cli_load_model(o.model, &o.common, &m, &err);
    if (st == KF_OK) st = cli_dataset(o.data, o.choice.list, m, &d, &err);
    if (st == KF_OK) st = check_pictures(d, &o, &err);
    if (st == KF_OK) st = evaluate(m, d, &o, &err);
    if (st == KF_OK && o.model && !o.common.no_doctor) doctor_look_dataset(o.model, m, d, o.common.threads);
    kf_dataset_destroy(&d);
    kf_model_destroy(&m);
    return st == KF_OK ? EXIT_DONE : cli_fail(&err);
}
