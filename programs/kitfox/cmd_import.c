/* kitfox import IN -o OUT.kfx: compile once, ship one file.
 * Floor 8.
 * Owner rule: the output appears whole or not at all. */
#include <stdio.h>

#include "common/cli.h"

typedef struct options {
    cli_common common;
    const char *in, *out;
} options;

static const struct argp_option OPTIONS[] = {
    {"output", 'o', "OUT.kfx", 0, "the compiled model (required)", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state) {
    options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &o->common; return 0;
    case 'o': o->out = arg; return 0;
    case ARGP_KEY_ARG:
        if (o->in) argp_error(state, "%s: one input only", arg);
        o->in = arg;
        return 0;
    case ARGP_KEY_END:
        if (!o->in || !o->out) argp_error(state, "IN and -o OUT.kfx are needed");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

int cmd_import(int argc, char **argv) {
    const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {OPTIONS, parse, "IN.onnx -o OUT.kfx", "Compile an ONNX model into one file with preprocessing and labels.", children, NULL, NULL};
    options o = {0};
    kf_error err = {0};
    kf_graph *g = NULL;
    if (argp_parse(&argp, argc, argv, 0, NULL, &o) != 0) return EXIT_USAGE;
    kf_status st = cli_import(o.in, &o.common, &g, &err);
    if (st == KF_OK) st = kf_graph_save(g, o.out, &err);
    kf_graph_destroy(&g);
    if (st != KF_OK) return cli_fail(&err);
    if (!o.common.json) fprintf(stderr, "%s written\n", o.out);
    return EXIT_DONE;
}
