/* kitfox compare A B --data DIR: how far two models of one task agree on a folder of pictures, node by node, and what
 * labels say of both. Owner rule: models and pictures live until the end of the verb. */
#include <stdio.h>
#include <stdlib.h>

#include "common/choice.h"
#include "common/compared.h"
#include "common/files.h"

enum { KEY_NODE_IMAGES = 3000, KEY_REPORT };

typedef struct options {
    cli_common common;
    cli_choice choice;
    const char *a, *b, *data, *report;
    size_t node_images;
    bool nodes;
} options;

static const struct argp_option OPTIONS[] = {
    {"data", 'd', "DIR", 0,
     "pictures, sub-folders included (required); labels come from its labels.csv or its class folders", 0},
    {"nodes", 'N', NULL, 0,
     "also print the nodes, worst first: the error of both networks run from the picture, of B's node alone on A's "
     "values, and what that node costs A's output",
     0},
    {"node-images", KEY_NODE_IMAGES, "N", 0, "pictures for the nodes, spread evenly (default 20)", 0},
    {"report", KEY_REPORT, "OUT.html", 0, "all of it as one page, with the pictures whose answer changed", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state) {
    options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &o->common, state->child_inputs[1] = &o->choice; return 0;
    case 'd': o->data = arg; return 0;
    case 'N': o->nodes = true; return 0;
    case KEY_NODE_IMAGES: o->node_images = (size_t)cli_number(state, "--node-images", arg, 1, 1000000); return 0;
    case KEY_REPORT: o->report = arg; return 0;
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

static kf_status write_page(const kf_comparison *w, const options *o, bool labels, kf_error *err) {
    char title[600], basis[1200];
    kf_comparison_page_options p;
    kf_comparison_page_options_init(&p);
    snprintf(title, sizeof title, "%.200s and %.200s compared", cli_base_name(o->a), cli_base_name(o->b));
    snprintf(basis, sizeof basis, "On %zu pictures of %.800s%s%s.", w->summary.images, o->data,
             labels ? ", with the labels found there" : "; no labels were found there",
             o->choice.list ? " (those of a list)" : "");
    p.title = title, p.basis = basis;
    p.names[0] = o->a, p.names[1] = o->b;
    p.bytes[0] = compared_file_bytes(o->a), p.bytes[1] = compared_file_bytes(o->b);
    return compared_page(o->report, w, &p, err);
}

static void print_json(const kf_comparison *w, const options *o) {
    json_t *all = cli_pack("{s:s,s:s,s:s,s:s,s:I}", "kind", "comparison", "model_a", o->a, "model_b", o->b, "data",
                           o->data, "skipped", (json_int_t)w->skipped);
    json_t *numbers = compared_json(&w->summary);
    json_object_update(all, numbers);
    json_decref(numbers);
    for (int k = 0; k < 2; k++) {
        kf_model_info info = {.size = sizeof info};
        kf_model_get_info(w->models[k], &info, NULL);
        json_object_set_new(all, k ? "preprocess_origin_b" : "preprocess_origin_a",
                            json_string(kf_origin_name(info.preprocess_origin)));
    }
    cli_print_json(all);
}

static kf_status tell(const kf_comparison *w, const options *o, bool labels, kf_error *err) {
    if (o->report) KF_TRY(write_page(w, o, labels, err));
    if (o->common.json) print_json(w, o);
    else compared_print(&w->summary);
    cli_note_skipped(w->skipped, w->samples->n);
    return o->nodes ? compared_print_nodes(w, o->common.json, err) : KF_OK;
}

/* Options of an import go to the model that is imported; two compiled ones refuse them. */
static kf_status load(const options *o, kf_model **m, kf_error *err) {
    const char *name[2] = {o->a, o->b};
    cli_common plain = o->common;
    plain.labels = plain.preprocess = plain.input_shape = plain.arch = NULL;
    plain.picture = (cli_picture){0};
    bool any = cli_is_imported(o->a) || cli_is_imported(o->b);
    kf_status st = KF_OK;
    for (int i = 0; i < 2 && st == KF_OK; i++)
        st = cli_load_model(name[i], any && !cli_is_imported(name[i]) ? &plain : &o->common, &m[i], err);
    return st;
}

/* The one whose labels tell what class folders are. */
static const kf_model *named(kf_model *const *m) {
    return kf_model_label(m[0], 0) || !kf_model_label(m[1], 0) ? m[0] : m[1];
}

int cmd_compare(int argc, char **argv) {
    const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {&cli_choice_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {
        OPTIONS, parse, "A B --data DIR", "How far two models agree on pictures. A is the reference.", children,
        NULL,    NULL};
    options o = {.node_images = 20, .common.pictures = true};
    kf_samples p = {0};
    kf_model *m[2] = {NULL, NULL};
    kf_error err = {0};
    int64_t *truth = NULL;
    kf_comparison w = {.size = sizeof w};
    kf_compare_options how;
    if (cli_parse(&argp, argc, argv, &o) != 0) return EXIT_USAGE;
    char csv[4096];
    snprintf(csv, sizeof csv, "%.4000s/labels.csv", o.data);
    const cli_output out = {o.report, "--report", false};
    kf_status st =
        cli_outputs_check(&out, 1, (const char *const[]){o.a, o.b, o.choice.list, o.common.labels, csv}, 5, &err);
    o.common.outputs = &out, o.common.n_outputs = 1;
    if (st == KF_OK) st = load(&o, m, &err);
    if (st == KF_OK) compared_note_preprocessing((const kf_model *const *)m);
    if (st == KF_OK) st = kf_samples_find(o.data, o.choice.list, o.choice.limit, &p, &err);
    if (st == KF_OK) st = cli_output_apart(&out, (const char *const *)p.paths, p.n, &err);
    if (st == KF_OK) st = kf_samples_labels(&p, o.data, named(m), cli_note, NULL, &truth, &err);
    kf_compare_options_init(&how);
    how.labels = truth, how.threads = o.common.threads;
    how.node_images = o.nodes || o.report ? o.node_images : 0;
    if (!o.choice.strict) how.skipped = cli_line;
    if (st == KF_OK) st = compared_run((const kf_model *const *)m, &p, &how, &w, &err);
    if (st == KF_OK) st = tell(&w, &o, truth != NULL, &err);
    kf_comparison_free(&w);
    kf_samples_free(&p);
    free(truth);
    for (int i = 0; i < 2; i++) kf_model_destroy(&m[i]);
    return st == KF_OK ? EXIT_DONE : cli_fail(&err);
}
