/* kitfox compare A B --data DIR: how far two models of one task agree on a folder of pictures, node by node, and what
 * labels say of both. Owner rule: models and pictures live until the end of the verb. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/files.h"
#include "common/report.h"

enum { KEY_NODE_IMAGES = 3000, KEY_REPORT };

typedef struct options {
    cli_common common;
    const char *a, *b, *data, *list, *report;
    size_t limit, node_images;
    bool nodes;
} options;

static const struct argp_option OPTIONS[] = {
    {"data", 'd', "DIR", 0,
     "pictures, sub-folders included (required); labels come from its labels.csv or its class folders", 0},
    {"list", 'L', "FILE", 0, "which files of DIR, one a line", 0},
    {"limit", 'n', "N", 0, "N of them, spread evenly", 0},
    {"nodes", 'N', NULL, 0,
     "also the nodes, worst first: both networks run from the picture; B's node alone on A's values; what that costs "
     "A's output",
     0},
    {"node-images", KEY_NODE_IMAGES, "N", 0, "pictures for the nodes, spread evenly (default 20)", 0},
    {"report", KEY_REPORT, "OUT.html", 0, "all of it as one page, with the pictures whose answer changed", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state) {
    options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &o->common; return 0;
    case 'd': o->data = arg; return 0;
    case 'L': o->list = arg; return 0;
    case 'N': o->nodes = true; return 0;
    case 'n': o->limit = (size_t)cli_number(state, "--limit", arg, 1, 1000000); return 0;
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

/* Worst first; exact ones and those in one model only come last. */
static int by_sqnr(const void *a, const void *b) {
    const pair_node *x = *(const pair_node *const *)a, *y = *(const pair_node *const *)b;
    double u = isfinite(x->sqnr) ? x->sqnr
               : isnan(x->sqnr)  ? 1e300
                                 : 1e299,
           v = isfinite(y->sqnr) ? y->sqnr
               : isnan(y->sqnr)  ? 1e300
                                 : 1e299;
    return u != v ? (u > v) - (u < v) : (x > y) - (x < y);
}

static void print_json(const pair_node *n) {
    if (n->step[0] < 0 || n->step[1] < 0) {
        int side = n->step[0] < 0;
        cli_print_json(
            json_pack("{s:s,s:s,s:s}", "node", n->name, "type", n->info[side].op, "only_in", side ? "b" : "a"));
        return;
    }
    cli_print_json(json_pack("{s:s,s:s,s:s,s:s,s:f,s:o,s:o,s:o,s:o,s:I,s:b}", "node", n->name, "type", n->info[1].op,
                             "dtype_a", kf_dtype_name(n->info[0].dtype), "dtype_b", kf_dtype_name(n->info[1].dtype),
                             "cosine", n->cosine, "sqnr_db", pair_real(n->sqnr), "alone_cosine",
                             pair_real(n->alone_cosine), "alone_sqnr_db", pair_real(n->alone_sqnr), "cost_sqnr_db",
                             pair_real(n->cost), "macs", (json_int_t)n->info[1].macs, "rescaled", n->rescaled));
}

/* A column of dB: exact outputs have no error. */
static const char *decibels(double x, char *to, size_t size) {
    if (isfinite(x)) snprintf(to, size, "%.2f", x);
    else snprintf(to, size, "%s", isnan(x) ? "" : "exact");
    return to;
}

static void print_text(const pair_node *n) {
    char s[3][32];
    if (n->step[0] < 0 || n->step[1] < 0) {
        printf("%-48.48s %-12s only in %s\n", n->name, n->info[n->step[0] < 0].op, n->step[0] < 0 ? "B" : "A");
        return;
    }
    printf("%-48.48s %-12s %-4s %-4s %9.6f %8s %8s %8s%s\n", n->name, n->info[1].op, kf_dtype_name(n->info[0].dtype),
           kf_dtype_name(n->info[1].dtype), n->cosine, decibels(n->sqnr, s[0], sizeof s[0]),
           decibels(n->alone_sqnr, s[1], sizeof s[1]), decibels(n->cost, s[2], sizeof s[2]),
           n->rescaled ? "  rescaled" : "");
}

static kf_status print_nodes(const pair *w, bool json, kf_error *err) {
    const pair_node **sorted = malloc((w->n_nodes + 1) * sizeof *sorted);
    if (!sorted) return cli_error(err, KF_ERR_MEMORY, "out of memory for the node table");
    for (size_t i = 0; i < w->n_nodes; i++) sorted[i] = &w->nodes[i];
    qsort(sorted, w->n_nodes, sizeof *sorted, by_sqnr);
    if (!json)
        printf("\n%-48s %-12s %-4s %-4s %9s %8s %8s %8s   (SQNR in dB, %zu pictures)\n", "node", "type", "A", "B",
               "cosine", "SQNR", "alone", "cost", w->node_images);
    for (size_t i = 0; i < w->n_nodes; i++) {
        if (json) print_json(sorted[i]);
        else print_text(sorted[i]);
    }
    free(sorted);
    return KF_OK;
}

static kf_status tell(const pair *w, const options *o, bool labels, kf_error *err) {
    pair_summary s = pair_summarize(w);
    char title[600], basis[1200];
    kf_status st = KF_OK;
    if (o->report) {
        const char *a = strrchr(o->a, '/') ? strrchr(o->a, '/') + 1 : o->a,
                   *b = strrchr(o->b, '/') ? strrchr(o->b, '/') + 1 : o->b;
        snprintf(title, sizeof title, "%.200s and %.200s compared", a, b);
        snprintf(basis, sizeof basis, "On %zu pictures of %.800s%s%s.", s.images, o->data,
                 labels ? ", with the labels found there" : "; no labels were found there",
                 o->list ? " (those of a list)" : "");
        report r = {.title = title,
                    .name = {o->a, o->b},
                    .basis = basis,
                    .bytes = {report_file_bytes(o->a), report_file_bytes(o->b)},
                    .w = w};
        st = report_write(o->report, &r, err);
    }
    if (st != KF_OK) return st;
    if (o->common.json) cli_print_json(pair_summary_json(&s));
    else pair_summary_print(&s);
    return o->nodes ? print_nodes(w, o->common.json, err) : KF_OK;
}

/* Options of an import go to the model that is imported; two compiled ones refuse them. */
static kf_status load(const options *o, kf_model **m, kf_error *err) {
    const char *name[2] = {o->a, o->b};
    cli_common plain = o->common;
    plain.labels = plain.preprocess = plain.input_shape = plain.arch = NULL;
    bool any = cli_is_imported(o->a) || cli_is_imported(o->b);
    kf_status st = KF_OK;
    for (int i = 0; i < 2 && st == KF_OK; i++)
        st = cli_load_model(name[i], any && !cli_is_imported(name[i]) ? &plain : &o->common, &m[i], err);
    return st;
}

static void note_preprocessing(kf_model *const *m) {
    kf_model_info i[2];
    for (int k = 0; k < 2; k++) kf_model_get_info(m[k], &i[k]);
    const kf_preprocess *a = &i[0].preprocess, *b = &i[1].preprocess;
    bool same = a->valid == b->valid;
    const kf_field *f;
    for (int k = 0; (f = kf_preprocess_field(k)) != NULL; k++)
        for (int c = 0; c < f->n; c++)
            same = same && fabs(kf_preprocess_get(a, f, c) - kf_preprocess_get(b, f, c)) < 1e-6;
    if (!same)
        fprintf(stderr, "kitfox: note: A and B prepare pictures differently, so their differences are not the weights' "
                        "alone; --preprocess sets it for a model that is imported\n");
}

int cmd_compare(int argc, char **argv) {
    const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {
        OPTIONS, parse, "A B --data DIR", "How far two models agree on pictures. A is the reference.", children,
        NULL,    NULL};
    options o = {.node_images = 20};
    pictures p = {0};
    kf_model *m[2] = {NULL, NULL};
    kf_error err = {0};
    long *truth = NULL;
    if (argp_parse(&argp, argc, argv, 0, NULL, &o) != 0) return EXIT_USAGE;
    char csv[4096];
    snprintf(csv, sizeof csv, "%.4000s/labels.csv", o.data);
    const cli_output out = {o.report, "--report", false};
    kf_status st = cli_outputs_check(&out, 1, (const char *const[]){o.a, o.b, o.list, o.common.labels, csv}, 5, &err);
    o.common.outputs = &out, o.common.n_outputs = 1;
    if (st == KF_OK) st = load(&o, m, &err);
    if (st == KF_OK) note_preprocessing(m);
    if (st == KF_OK) st = pictures_find(o.data, o.list, o.limit, &p, &err);
    if (st == KF_OK) st = cli_output_apart(&out, (const char *const *)p.paths, p.n, &err);
    if (st == KF_OK) st = pair_labels(o.data, &p, m[0], &truth, &err);
    bool nodes = o.nodes || o.report;
    pair w = {.m = {m[0], m[1]},
              .p = &p,
              .truth = truth,
              .threads = o.common.threads,
              .node_limit = nodes ? o.node_images : 0,
              .costs = true};
    if (st == KF_OK) st = pair_run(&w, &err);
    if (st == KF_OK) st = tell(&w, &o, truth != NULL, &err);
    pair_free(&w);
    pictures_free(&p);
    free(truth);
    for (int i = 0; i < 2; i++) kf_model_destroy(&m[i]);
    return st == KF_OK ? EXIT_DONE : cli_fail(&err);
}
