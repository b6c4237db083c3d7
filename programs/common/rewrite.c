/* ONNX in, ONNX out: the verbs simplify and export, which are kf_rewrite.
 * The check runs both networks in the reference executor; nothing is written when they differ.
 * Owner rule: nothing is kept. */
#include <stdio.h>

#include "common/cli.h"
#include "common/files.h"
#include "common/kinds.h"

typedef struct options {
    const char *in, *out, *input_shape, *arch;
    long max_fold_bytes;
    int check;
    kf_qdq_form form;
    bool json;
} options;

enum { KEY_CHECK = 1000 };
static const struct argp_option OPTIONS[] = {
    {"output", 'o', "OUT.onnx", 0, "the file to write (required)", 0},
    {"check", KEY_CHECK, "N", 0,
     "random inputs that have to give the same outputs before anything is written (default: 3; 0 for none)", 0},
    {"input-shape", 's', "SHAPE", 0, "1x3x224x224, for files with free dimensions", 0},
    {"arch", 'a', "NAME", 0, "timm name of a .safetensors checkpoint (default: recognized)", 0},
    {"max-fold-bytes", CLI_KEY_MAX_FOLD, "N", 0, CLI_MAX_FOLD_HELP, 0},
    {"qdq", 'q', "exact|scales", 0,
     "of a quantized model: arithmetic equal to the bit (default), or real scales as other toolchains read them", 0},
    {"json", 'j', NULL, 0, "one JSON object", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state) {
    options *o = state->input;
    kf_error err;
    switch (key) {
    case 'o': o->out = arg; return 0;
    case 's': o->input_shape = arg; return 0;
    case 'a': o->arch = arg; return 0;
    case 'j': o->json = true; return 0;
    case CLI_KEY_MAX_FOLD: o->max_fold_bytes = (long)cli_bytes(state, "--max-fold-bytes", arg); return 0;
    case 'q':
        if (kf_qdq_form_from_name(arg, &o->form, &err) != KF_OK) argp_error(state, "--qdq: %s", err.text);
        return 0;
    case KEY_CHECK: o->check = (int)cli_number(state, "--check", arg, 0, 1000); return 0;
    case ARGP_KEY_ARG:
        if (o->in) argp_error(state, "%s: one input only", arg);
        o->in = arg;
        return 0;
    case ARGP_KEY_END:
        if (!o->in || !o->out) argp_error(state, "MODEL and -o OUT.onnx are needed");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static void report(const options *o, const kf_rewrite_result *r) {
    if (o->json) {
        json_t *j = cli_pack("{s:s,s:s,s:s,s:i,s:i,s:i,s:i,s:o}", "kind", "rewritten", "model", o->in, "output", o->out,
                             "opset", r->opset, "nodes_before", r->nodes_before, "nodes_after", r->nodes_after,
                             "checked", o->check, "max_difference", o->check ? cli_real(r->max_difference) : NULL);
        cli_print_json(j);
        return;
    }
    FILE *to = cli_talk(o->out);
    fprintf(to, "%s: %d nodes\n%s: %d nodes, opset %d", o->in, r->nodes_before, o->out, r->nodes_after, r->opset);
    if (o->check) fprintf(to, "; %d random inputs, largest difference %.2g", o->check, r->max_difference);
    fputc('\n', to);
}

/* Signals end the program at any time: the library's file has a temporary name until it is whole. */
static kf_status rewrite(const options *o, kf_optimize_level level, kf_rewrite_result *r, kf_error *err) {
    const cli_output out = {o->out, "-o", true};
    const cli_common common = {.input_shape = o->input_shape,
                               .arch = o->arch,
                               .max_fold_bytes = o->max_fold_bytes,
                               .outputs = &out,
                               .n_outputs = 1};
    cli_importing import;
    kf_rewrite_options how;
    kf_rewrite_options_init(&how);
    KF_TRY(cli_outputs_check(&out, 1, &o->in, 1, err));
    KF_TRY(cli_refuse_torch(o->in, err));
    KF_TRY(cli_import_options(&common, &import, err));
    how.level = level, how.form = o->form, how.runs = o->check, how.import = &import.options;
    kf_status st = kf_rewrite(o->in, cli_output_name(o->out), &how, r, err);
    if (import.apart.status != KF_OK) *err = import.apart; /* it has the option's name */
    return st;
}

int cli_rewrite(int argc, char **argv, kf_optimize_level level, const char *doc) {
    const struct argp argp = {OPTIONS, parse, "MODEL -o OUT.onnx", doc, NULL, NULL, NULL};
    options o = {.check = 3};
    kf_error err = {0};
    kf_rewrite_result r = {.size = sizeof r};
    if (cli_parse(&argp, argc, argv, &o) != 0) return EXIT_USAGE;
    cli_json_beside(o.out);
    if (rewrite(&o, level, &r, &err) != KF_OK) return cli_fail(&err);
    if (r.inexact)
        fprintf(stderr,
                "kitfox: note: %s: differs by %.3g of the largest output; some number of this network is not exact in "
                "float32\n",
                o.out, r.max_difference);
    report(&o, &r);
    return EXIT_DONE;
}
