/* kitfox import IN -o OUT.kfx: compile once, ship one file.
 * Owner rule: the output appears whole or not at all. */
#include <stdio.h>
#include <string.h>

#include "common/compared.h"
#include "common/files.h"
#include "kitfox/info.h"

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
    case ARGP_KEY_INIT: cli_inputs(state, &o->common, 3); return 0;
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

static kf_status report(const options *o, kf_graph *g, kf_error *err) {
    kf_graph_info info = {.size = sizeof info};
    KF_TRY(kf_graph_get_info(g, &info, err));
    if (!o->common.json) fprintf(stderr, "%s written\n", cli_shown(o->out));
    else
        cli_print_json(cli_pack("{s:s,s:s,s:s,s:I,s:s?,s:o,s:s}", "kind", "imported", "model", o->in, "output", o->out,
                                "bytes", (json_int_t)compared_file_bytes(o->out), "name", info.name, "preprocess",
                                info_preprocess_json(&info.preprocess), "preprocess_origin",
                                kf_origin_name(info.preprocess_origin)));
    return KF_OK;
}

int cmd_import(int argc, char **argv) {
    const struct argp_child children[] = {
        {&cli_labels_argp, 0, NULL, 0}, {&cli_import_argp, 0, NULL, 0}, {&cli_json_argp, 0, NULL, 0}, {0}};
    const char *what = "Compile an ONNX model or a safetensors checkpoint into one file with preprocessing and labels.";
    const struct argp argp = {OPTIONS, parse, "IN -o OUT.kfx", what, children, NULL, NULL};
    options o = {.common.pictures = true};
    kf_error err = {0};
    kf_graph *g = NULL;
    if (cli_parse(&argp, argc, argv, &o) != 0) return EXIT_USAGE;
    const cli_output out = {o.out, "-o", true};
    cli_json_beside(o.out);
    kf_status st = cli_outputs_check(&out, 1, (const char *const[]){o.in, o.common.labels}, 2, &err);
    o.common.outputs = &out, o.common.n_outputs = 1;
    if (st == KF_OK) st = cli_import(o.in, &o.common, &g, &err);
    if (st == KF_OK) st = kf_graph_save(g, cli_output_name(o.out), &err);
    if (st == KF_OK) st = report(&o, g, &err);
    kf_graph_destroy(&g);
    return cli_error_in(&err, st, o.in) == KF_OK ? EXIT_DONE : cli_fail(&err);
}
