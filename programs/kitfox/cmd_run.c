/* kitfox run MODEL IN.npy -o OUT.npy: raw tensors or a picture, for comparing with other engines.
 * Arguments and output alone: the library reads and runs.
 * Owner rule: the output is released here. */
#include <stdio.h>
#include <string.h>

#include "common/cli.h"
#include "common/files.h"
#include "kitfox/bench.h"

enum { MAX_ARGS = KF_RUN_MAX_FILES + 1 };

typedef struct options {
    cli_common common;
    const char *out;
    char **args;
    int n_args;
} options;

static const struct argp_option OPTIONS[] = {
    {"output", 'o', "OUT.npy", 0, "where the first output goes (required)", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state) {
    options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT: cli_inputs(state, &o->common, 4); return 0;
    case 'o': o->out = arg; return 0;
    case ARGP_KEY_ARGS:
        o->args = state->argv + state->next;
        o->n_args = state->argc - state->next;
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static void report(const options *o, const kf_run_result *r) {
    if (!o->common.json) return;
    cli_print_json(cli_pack("{s:s,s:s,s:s,s:s,s:s,s:o,s:I,s:f}", "kind", "run", "model", o->args[0], "output", o->out,
                            "name", r->output.name, "dtype", kf_dtype_name(r->output.dtype), "shape",
                            cli_shape(r->output.shape, r->output.rank), "images", (json_int_t)r->images, "ms", r->ms));
}

static kf_status run(const options *o, const kf_model *m, kf_error *err) {
    kf_run_options how;
    kf_run_result r = {.size = sizeof r};
    kf_run_options_init(&how);
    how.threads = o->common.threads, how.notice = cli_note, how.fewer_threads = cli_fewer_threads;
    KF_TRY(kf_run_files(m, (const char *const *)o->args + 1, (size_t)(o->n_args - 1), &how, &r, err));
    kf_status st = kf_npy_write(cli_output_name(o->out), &r.output, err);
    if (st == KF_OK) report(o, &r);
    kf_run_free(&r);
    return st;
}

static kf_status check_output(const options *o, const cli_output *out, kf_error *err) {
    const char *inputs[MAX_ARGS + 1] = {o->common.labels};
    for (int i = 0; i < o->n_args; i++) {
        const char *eq = i ? strchr(o->args[i], '=') : NULL;
        inputs[1 + i] = eq ? eq + 1 : o->args[i];
    }
    return cli_outputs_check(out, 1, inputs, (size_t)o->n_args + 1, err);
}

int cmd_run(int argc, char **argv) {
    const struct argp_child children[] = {{&cli_import_argp, 0, NULL, 0},
                                          {&cli_threads_argp, 0, NULL, 0},
                                          {&cli_json_argp, 0, NULL, 0},
                                          {&cli_limits_argp, 0, NULL, 0},
                                          {0}};
    const struct argp argp = {OPTIONS,
                              parse,
                              "MODEL IN.npy... -o OUT.npy",
                              "Raw tensors in and out, float32 and NCHW as the model declares; several inputs as "
                              "NAME=FILE. A first extent of N times the declared one holds N images, which share all "
                              "cores. A uint8 file [H,W,3] is an RGB picture of the input's size. A quantized "
                              "model also takes uint8 pixels, NCHW or NHWC, in its own order of channels. float32 is "
                              "normalized, (pixel / 255 - mean) / std, for quantized models too; kitfox info has the "
                              "mean and the std.",
                              children,
                              NULL,
                              NULL};
    options o = {0};
    kf_error err = {0};
    kf_model *m = NULL;
    if (cli_parse(&argp, argc, argv, &o) != 0) return EXIT_USAGE;
    if (o.n_args < 2 || o.n_args > MAX_ARGS || !o.out) {
        return cli_usage(argv[0], "MODEL IN.npy -o OUT.npy is needed");
    }
    const cli_output out = {o.out, "-o", true};
    o.common.outputs = &out, o.common.n_outputs = 1;
    cli_json_beside(o.out);
    kf_status st = check_output(&o, &out, &err);
    if (st == KF_OK) st = cli_load_model(o.args[0], &o.common, &m, &err);
    if (st == KF_OK) st = run(&o, m, &err);
    kf_model_destroy(&m);
    return st == KF_OK ? EXIT_DONE : cli_fail(&err);
}
