/* kitfox info MODEL: what a model is, in words or JSON; kitfox info --cpus: which instruction sets this machine can
 * run. Arguments alone.
 * Owner rule: one model. */
#include "common/cli.h"
#include "kitfox/info.h"

enum { KEY_CPUS = 1000 };

typedef struct options {
    cli_common common;
    const char *model;
    bool nodes, cpus;
} options;

static const struct argp_option OPTIONS[] = {
    {"nodes", 'N', NULL, 0, "one line a compiled step", 0},
    {"cpus", KEY_CPUS, NULL, 0, "instead: the instruction sets of the library, and which of them run here", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state) {
    options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT: cli_inputs(state, &o->common, 4); return 0;
    case 'N': o->nodes = true; return 0;
    case KEY_CPUS: o->cpus = true; return 0;
    case ARGP_KEY_ARG:
        if (o->model) argp_error(state, "%s: one model only", arg);
        o->model = arg;
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

int cmd_info(int argc, char **argv) {
    const struct argp_child children[] = {{&cli_labels_argp, 0, NULL, 0},
                                          {&cli_import_argp, 0, NULL, 0},
                                          {&cli_json_argp, 0, NULL, 0},
                                          {&cli_limits_argp, 0, NULL, 0},
                                          {0}};
    const struct argp argp = {
        OPTIONS,  parse, "[MODEL]", "Inputs, outputs, preprocessing, parameters and MACs of a model.",
        children, NULL,  NULL};
    options o = {0};
    kf_error err = {0};
    kf_model *m = NULL;
    kf_model_info info = {.size = sizeof info};
    if (cli_parse(&argp, argc, argv, &o) != 0) return EXIT_USAGE;
    if (o.cpus) {
        info_print_cpus(o.common.json);
        return EXIT_DONE;
    }
    if (cli_load_model(o.model, &o.common, &m, &err) != KF_OK) return cli_fail(&err);
    kf_model_get_info(m, &info, NULL);
    if (o.common.json) info_print_json(m, &info, o.model, o.nodes);
    else info_print_text(m, &info, o.nodes);
    kf_model_destroy(&m);
    return EXIT_DONE;
}
