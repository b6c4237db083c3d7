/* kitfox check IN.onnx: can it be compiled? One verdict per node of the file, before anything is written.
 * Owner rule: what kf_check found is released here. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/kinds.h"
#include "kitfox/quantize.h"

typedef struct options {
    cli_common common;
    const char *in;
    yaml_frames frames; /* for a YAML file */
} options;

enum { KEY_FRAMES = 1000, KEY_NV12 };
static const struct argp_option OPTIONS[] = {
    {"frames", KEY_FRAMES, "FILE...", 0, "raw NV12 frames: have they the range that CONFIG.yaml names?", 0},
    {"nv12", KEY_NV12, "WxH", 0, "size of those frames (default: the network's)", 0},
    {0},
};

static bool add_frames(options *o, char *path) {
    char **grown = realloc(o->frames.paths, (o->frames.n + 1) * sizeof *grown);
    if (grown) o->frames.paths = grown, grown[o->frames.n++] = path;
    return grown != NULL;
}

static error_t parse(int key, char *arg, struct argp_state *state) {
    options *o = state->input;
    char name[CLI_OPTION_ROOM];
    switch (key) {
    case ARGP_KEY_INIT: cli_inputs(state, &o->common, 3); return 0;
    case KEY_FRAMES: return add_frames(o, arg) ? 0 : ENOMEM;
    case KEY_NV12: cli_frame_size(state, "--nv12", arg, &o->frames.width, &o->frames.height); return 0;
    case ARGP_KEY_ARG:
        if (o->frames.n && (o->in || !quantize_is_yaml(arg)))
            return add_frames(o, arg) ? 0 : ENOMEM; /* --frames A B C */
        if (o->in) argp_error(state, "%s: one file only", arg);
        o->in = arg;
        return 0;
    case ARGP_KEY_END:
        if (cli_picture_option(&o->common.picture, name))
            argp_error(state, "%s does not apply; no picture is read", cli_picture_option(&o->common.picture, name));
        if (!o->in) argp_error(state, "IN.onnx or CONFIG.yaml is needed");
        else if (!quantize_is_yaml(o->in) && (o->frames.n || o->frames.width))
            argp_error(state, "--frames and --nv12 are for a YAML file; %s is none", o->in);
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* "1x3x224x224" */
static void shape_text(const kf_checked_node *n, char text[96]) {
    text[0] = '\0';
    for (int i = 0, at = 0; i < n->rank && at < 80; i++)
        at += snprintf(text + at, 96 - (size_t)at, "%s%lld", i ? "x" : "", (long long)n->shape[i]);
}

static void print_node(const kf_checked_node *n, bool json) {
    char shape[96];
    const char *verdict = kf_node_fate_name(n->fate), *link = "", *detail = "";
    if (json) {
        cli_print_json(cli_pack("{s:s,s:s,s:s,s:o,s:s,s:s}", "kind", "node", "node", n->name, "op", n->op, "shape",
                                cli_shape(n->shape, n->rank), "verdict", verdict, "detail", n->detail));
        return;
    }
    shape_text(n, shape);
    if (n->fate == KF_FATE_FUSED) link = "  into ", detail = n->detail;
    if (n->fate == KF_FATE_UNSUPPORTED) link = "  because ", detail = n->detail;
    printf("%-11s  %-20s %-18s %s%s%s\n", verdict, n->op, shape, n->name, link, detail);
}

static void print_counts_json(const char *path, const kf_check_result *r, bool imported) {
    const size_t *count = r->count;
    json_int_t unsupported = (json_int_t)count[KF_FATE_UNSUPPORTED];
    cli_print_json(cli_pack(
        "{s:s,s:s,s:b,s:I,s:o,s:o,s:o,s:I}", "kind", "verdict", "model", path, "fits", imported && !unsupported,
        "nodes", (json_int_t)r->n, "supported", imported ? json_integer((json_int_t)count[KF_FATE_SUPPORTED]) : NULL,
        "fused", imported ? json_integer((json_int_t)count[KF_FATE_FUSED]) : NULL, "folded",
        imported ? json_integer((json_int_t)count[KF_FATE_FOLDED]) : NULL, "unsupported", unsupported));
}

static void print_counts(const kf_check_result *r, bool imported) {
    const size_t *count = r->count;
    if (imported)
        printf("%zu supported, %zu fused, %zu folded, %zu unsupported\n", count[KF_FATE_SUPPORTED],
               count[KF_FATE_FUSED], count[KF_FATE_FOLDED], count[KF_FATE_UNSUPPORTED]);
    else if (r->n)
        printf("%zu of %zu nodes have operators that cannot be imported; the others were not judged\n",
               count[KF_FATE_UNSUPPORTED], r->n);
}

/* KF_OK also where some nodes are unsupported; *fits says whether all can be compiled. */
static kf_status check_onnx(const char *path, const cli_common *c, bool *fits, kf_error *err) {
    cli_importing i;
    kf_check_result r = {.size = sizeof r};
    KF_TRY(cli_refuse_torch(path, err));
    KF_TRY(cli_import_options(c, &i, err));
    i.options.n_labels = 0; /* they make no difference to the nodes */
    kf_status st = kf_check(path, &i.options, &r, err);
    for (size_t k = 0; k < r.n; k++) print_node(&r.nodes[k], c->json);
    if (c->json) print_counts_json(path, &r, st == KF_OK);
    else print_counts(&r, st == KF_OK);
    *fits = r.count[KF_FATE_UNSUPPORTED] == 0;
    kf_check_result_free(&r);
    kf_labels_free(&i.labels);
    return st;
}

int cmd_check(int argc, char **argv) {
    const struct argp_child children[] = {
        {&cli_labels_argp, 0, NULL, 0}, {&cli_import_argp, 0, NULL, 0}, {&cli_json_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {OPTIONS,
                              parse,
                              "IN.onnx\nCONFIG.yaml [--frames FILE...]",
                              "Can it be compiled? Prints one verdict per node. For a YAML file: prints each value "
                              "with its type and place, and "
                              "whether quantize would accept model, node names and calibration files. Nothing is "
                              "written. Exit status 1 if not.",
                              children,
                              NULL,
                              NULL};
    options o = {0};
    kf_error err = {0};
    bool fits = true;
    kf_status st = KF_OK;
    int usage = cli_parse(&argp, argc, argv, &o);
    if (!usage && quantize_is_yaml(o.in)) st = check_yaml(o.in, &o.common, &o.frames, &err);
    else if (!usage) st = check_onnx(o.in, &o.common, &fits, &err);
    free(o.frames.paths);
    if (usage) return EXIT_USAGE;
    if (st != KF_OK) return cli_fail(&err);
    return fits ? EXIT_DONE : EXIT_FAILED;
}
