/* kitfox check IN.onnx: can it be compiled? One verdict per node of the file, before anything is written.
 * The file is imported twice: as it is, and optimized; a node's fate is read off the second graph's sources.
 * Owner rule: both graphs are destroyed here. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

typedef enum fate { SUPPORTED, FUSED, FOLDED, UNSUPPORTED, UNJUDGED } fate;
static const char *const FATES[] = {"supported", "fused", "folded", "unsupported", "not judged"};

static error_t parse(int key, char *arg, struct argp_state *state) {
    options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &o->common; return 0;
    case KEY_FRAMES: return add_frames(o, arg) ? 0 : ENOMEM;
    case KEY_NV12: cli_frame_size(state, "--nv12", arg, &o->frames.width, &o->frames.height); return 0;
    case ARGP_KEY_ARG:
        if (o->frames.n && (o->in || !quantize_is_yaml(arg)))
            return add_frames(o, arg) ? 0 : ENOMEM; /* --frames A B C */
        if (o->in) argp_error(state, "%s: one file only", arg);
        o->in = arg;
        return 0;
    case ARGP_KEY_END:
        if (!o->in) argp_error(state, "IN.onnx or CONFIG.yaml is needed");
        else if (!quantize_is_yaml(o->in) && (o->frames.n || o->frames.width))
            argp_error(state, "--frames and --nv12 are for a YAML file; %s is none", o->in);
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* What became of the node called `name`; *detail is the step it went into, or the reason. */
static fate fate_of(const kf_graph *fused, const char *name, const char **detail) {
    kf_node_info n = {.size = sizeof n};
    *detail = "";
    for (int32_t i = 0; kf_graph_node(fused, i, &n, NULL) == KF_OK; i++)
        for (int32_t k = 0; k < n.n_sources; k++) {
            if (strcmp(n.sources[k], name) != 0) continue;
            *detail = n.supported ? n.name : n.reason;
            return !n.supported ? UNSUPPORTED : strcmp(n.name, name) == 0 ? SUPPORTED : FUSED;
        }
    return FOLDED;
}

static void print_row(const kf_node_info *n, fate f, const char *detail, bool json) {
    char shape[96] = "";
    for (int i = 0, at = 0; i < n->rank && at < 80; i++)
        at += snprintf(shape + at, sizeof shape - (size_t)at, "%s%lld", i ? "x" : "", (long long)n->shape[i]);
    if (!json) {
        printf("%-11s  %-20s %-18s %s%s%s\n", FATES[f], n->op, shape, n->name,
               f == FUSED         ? "  into "
               : f == UNSUPPORTED ? "  because "
                                  : "",
               f == FUSED || f == UNSUPPORTED ? detail : "");
        return;
    }
    json_t *j = json_pack("{s:s,s:s,s:s,s:s,s:s}", "name", n->name, "op", n->op, "shape", shape, "verdict", FATES[f],
                          "detail", f == FOLDED ? "" : detail);
    cli_print_json(j);
}

/* The nodes of a file whose import fails: what can be said of each without the graph. */
typedef struct scan {
    struct seen {
        char *name, *op;
        bool known;
    } * nodes;
    size_t n, unknown;
} scan;

static void seen_node(void *user, const char *name, const char *op, int32_t known) {
    scan *s = user;
    struct seen *grown = realloc(s->nodes, (s->n + 1) * sizeof *grown);
    if (!grown) return;
    s->nodes = grown;
    s->nodes[s->n++] = (struct seen){strdup(name), strdup(op), known};
    s->unknown += !known;
}

static void print_scan(const scan *s, bool json) {
    for (size_t i = 0; i < s->n; i++) {
        const struct seen *x = &s->nodes[i];
        const kf_node_info n = {.name = x->name ? x->name : "", .op = x->op ? x->op : ""};
        print_row(&n, x->known ? UNJUDGED : UNSUPPORTED, x->known ? "" : "there is no such operator here", json);
    }
    if (!json)
        printf("%zu of %zu nodes have operators that cannot be imported; the others were not judged\n", s->unknown,
               s->n);
}

static void free_scan(scan *s) {
    for (size_t i = 0; i < s->n; i++) {
        free(s->nodes[i].name);
        free(s->nodes[i].op);
    }
    free(s->nodes);
}

/* Counts the verdicts; KF_OK also where some nodes are unsupported. */
static kf_status check_onnx(options *o, int count[5], kf_error *err) {
    kf_graph *file = NULL, *fused = NULL;
    kf_node_info n = {.size = sizeof n};
    scan s = {0};
    o->common.node = seen_node;
    o->common.node_user = &s;
    kf_status st = cli_import(o->in, &o->common, &file, err);
    if (st != KF_OK && s.unknown) print_scan(&s, o->common.json);
    free_scan(&s);
    o->common.node = NULL;
    if (st == KF_OK) st = cli_import(o->in, &o->common, &fused, err);
    if (st == KF_OK) st = kf_graph_optimize(fused, KF_OPTIMIZE_FUSE, err);
    for (int32_t i = 0; st == KF_OK && kf_graph_node(file, i, &n, NULL) == KF_OK; i++) {
        const char *detail;
        fate f = fate_of(fused, n.name, &detail);
        count[f]++;
        print_row(&n, f, detail, o->common.json);
    }
    if (st == KF_OK && !o->common.json)
        printf("%d supported, %d fused, %d folded, %d unsupported\n", count[SUPPORTED], count[FUSED], count[FOLDED],
               count[UNSUPPORTED]);
    kf_graph_destroy(&fused);
    kf_graph_destroy(&file);
    return st;
}

int cmd_check(int argc, char **argv) {
    const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};
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
    int count[5] = {0};
    int usage = argp_parse(&argp, argc, argv, 0, NULL, &o);
    kf_status st = usage                    ? KF_OK
                   : quantize_is_yaml(o.in) ? check_yaml(o.in, &o.common, &o.frames, &err)
                                            : check_onnx(&o, count, &err);
    free(o.frames.paths);
    if (usage) return EXIT_USAGE;
    if (st != KF_OK) return cli_fail(&err);
    return count[UNSUPPORTED] ? EXIT_FAILED : EXIT_DONE;
}
