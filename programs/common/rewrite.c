/* ONNX in, ONNX out: the verbs simplify and export. What is checked are the bytes that will be written.
 * The check runs both networks in the reference executor; nothing is written when they differ.
 * Owner rule: graphs and tensors are released here. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli.h"
#include "common/files.h"

typedef struct options {
    const char *in, *out, *input_shape, *arch;
    long max_fold_bytes;
    int check;
    kf_qdq_form form;
    bool json;
} options;

static const struct argp_option OPTIONS[] = {
    {"output", 'o', "OUT.onnx", 0, "the file to write (required)", 0},
    {"check", 'c', "N", 0,
     "random inputs that have to give the same outputs before anything is written (default: 3; 0 for none)", 0},
    {"input-shape", 's', "SHAPE", 0, "1x3x224x224, for files with free dimensions", 0},
    {"arch", 'a', "NAME", 0, "timm name of a .safetensors checkpoint (default: recognised)", 0},
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
    case 'c': o->check = (int)cli_number(state, "--check", arg, 0, 1000); return 0;
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

/* ---- the verbs --------------------------------------------------------------------------------------------------- */

static void report(const options *o, const kf_graph_info *before, const kf_graph_info *after, double worst) {
    if (o->json) {
        json_t *j =
            json_pack("{s:s,s:s,s:i,s:i,s:i,s:i}", "input", o->in, "output", o->out, "opset", after->opset,
                      "nodes_before", before->file_nodes, "nodes_after", after->file_nodes, "checked", o->check);
        json_object_set_new(j, "max_difference", o->check ? json_real(worst) : json_null());
        cli_print_json(j);
        return;
    }
    FILE *to = cli_talk(o->out);
    fprintf(to, "%s: %d nodes\n%s: %d nodes, opset %d", o->in, before->file_nodes, o->out, after->file_nodes,
            after->opset);
    if (o->check) fprintf(to, "; %d random inputs, largest difference %.2g", o->check, worst);
    fputc('\n', to);
}

/* The file once more, optimized, as bytes and read back from them. The first import gave the notices. */
static kf_status rewrite(const options *o, kf_optimize_level level, kf_graph **after, kf_graph **back, kf_error *err) {
    kf_import_options io;
    void *data = NULL;
    size_t bytes;
    kf_import_options_init(&io);
    io.input_shape = o->input_shape;
    io.arch = o->arch;
    io.max_fold_bytes = (uint64_t)o->max_fold_bytes;
    kf_status st = kf_graph_import(o->in, &io, after, err);
    if (st == KF_OK) st = kf_graph_optimize(*after, level, err);
    if (st == KF_OK) st = kf_graph_set_qdq_form(*after, o->form, err);
    if (st == KF_OK) st = kf_graph_write_onnx(*after, &data, &bytes, err);
    if (st == KF_OK) st = kf_graph_import_onnx_memory(data, bytes, NULL, back, err);
    free(data);
    return cli_error_in(err, st, o->in);
}

int cli_rewrite(int argc, char **argv, kf_optimize_level level, const char *doc) {
    const struct argp argp = {OPTIONS, parse, "MODEL -o OUT.onnx", doc, NULL, NULL, NULL};
    options o = {.check = 3};
    kf_error err = {0};
    kf_graph *before = NULL, *after = NULL, *back = NULL;
    kf_graph_info a = {.size = sizeof a}, b = {.size = sizeof b};
    double worst = 0;
    if (argp_parse(&argp, argc, argv, 0, NULL, &o) != 0) return EXIT_USAGE;
    const cli_output out = {o.out, "-o", true};
    const cli_common common = {.input_shape = o.input_shape, .arch = o.arch, .outputs = &out, .n_outputs = 1};
    kf_status st = cli_outputs_check(&out, 1, &o.in, 1, &err);
    if (st == KF_OK) st = cli_import(o.in, &common, &before, &err);
    if (st == KF_OK) st = kf_graph_get_info(before, &a, &err);
    if (!a.file_nodes) a.file_nodes = a.n_nodes; /* a checkpoint: the graph that was built for it */
    if (st == KF_OK) st = rewrite(&o, level, &after, &back, &err);
    if (st == KF_OK) st = kf_graph_get_info(back, &b, &err);
    if (st == KF_OK) st = cli_error_in(&err, kf_graph_compare(before, back, o.check, &worst, &err), o.out);
    if (st == KF_OK && a.quantized && o.form == KF_QDQ_EXACT && worst > KF_MAX_DIFFERENCE)
        fprintf(stderr,
                "kitfox: note: %s: differs by %.3g of the largest output; some number of this network is not exact in "
                "float32\n",
                o.out, worst);
    if (st == KF_OK) st = kf_graph_save_onnx(after, cli_output_name(o.out), &err);
    if (st == KF_OK) report(&o, &a, &b, worst);
    kf_graph_destroy(&back);
    kf_graph_destroy(&after);
    kf_graph_destroy(&before);
    return st == KF_OK ? EXIT_DONE : cli_fail(&err);
}
