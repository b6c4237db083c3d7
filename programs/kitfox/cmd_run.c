/* kitfox run MODEL IN.npy -o OUT: raw tensors or a picture, for comparing with other engines.
 * Arguments and output alone: the library reads and runs.
 * Owner rule: the output is released here. */
#include <stdio.h>
#include <string.h>

#include "common/cli.h"
#include "common/files.h"
#include "kitfox/bench.h"
#include "kitfox/run_outputs.h"

enum { MAX_ARGS = KF_RUN_MAX_FILES + 1 };

typedef struct options {
    cli_common common;
    run_outputs out;
    char **args;
    int n_args;
} options;

static const struct argp_option OPTIONS[] = {
    {"output", 'o', "OUT", 0,
     "where outputs go (required): OUT.npy for a model of one; OUT.npz for all in one file; out_%s.npy or out_%d.npy, "
     "one file for each by its name or its index from 0; or -o once for each, in their order",
     0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state) {
    options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT: cli_inputs(state, &o->common, 4); return 0;
    case 'o':
        if (o->out.n_given == RUN_MAX_OUTPUTS) argp_error(state, "-o: at most %d times", RUN_MAX_OUTPUTS);
        o->out.given[o->out.n_given++] = arg;
        return 0;
    case ARGP_KEY_ARGS:
        o->args = state->argv + state->next;
        o->n_args = state->argc - state->next;
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static json_t *outputs_json(const options *o, const kf_run_result *r) {
    json_t *list = json_array();
    for (size_t k = 0; k < r->n_outputs; k++) {
        const kf_tensor *t = &r->outputs[k];
        json_array_append_new(list,
                              cli_pack("{s:s,s:s?,s:s,s:o}", "output", run_outputs_path(&o->out, k), "name", t->name,
                                       "dtype", kf_dtype_name(t->dtype), "shape", cli_shape(t->shape, t->rank)));
    }
    return list;
}

static void report(const options *o, const kf_run_result *r) {
    if (!o->common.json) return;
    cli_print_json(cli_pack("{s:s,s:s,s:s,s:s?,s:s,s:o,s:o,s:I,s:f}", "kind", "run", "model", o->args[0], "output",
                            run_outputs_path(&o->out, 0), "name", r->output.name, "dtype",
                            kf_dtype_name(r->output.dtype), "shape", cli_shape(r->output.shape, r->output.rank),
                            "outputs", outputs_json(o, r), "images", (json_int_t)r->images, "ms", r->ms));
}

static kf_status run(const options *o, const kf_model *m, kf_error *err) {
    kf_run_options how;
    kf_run_result r = {.size = sizeof r};
    kf_run_options_init(&how);
    how.threads = o->common.threads, how.notice = cli_note, how.fewer_threads = cli_fewer_threads;
    KF_TRY(kf_run_files(m, (const char *const *)o->args + 1, (size_t)(o->n_args - 1), &how, &r, err));
    kf_status st = run_outputs_write(&o->out, &r, err);
    if (st == KF_OK) report(o, &r);
    kf_run_free(&r);
    return st;
}

/* Names without %s and %d are checked before the model is read, the others when its outputs are known. */
static kf_status load_and_run(options *o, kf_error *err) {
    const char *inputs[MAX_ARGS + 1] = {o->common.labels};
    cli_output plain[RUN_MAX_OUTPUTS];
    size_t n = 0, n_inputs = (size_t)o->n_args + 1;
    kf_model *m = NULL;
    for (int i = 0; i < o->n_args; i++) {
        const char *eq = i ? strchr(o->args[i], '=') : NULL;
        inputs[1 + i] = eq ? eq + 1 : o->args[i];
    }
    for (int i = 0; i < o->out.n_given; i++)
        if (run_output_is_plain(o->out.given[i])) plain[n++] = (cli_output){o->out.given[i], "-o", true};
    o->common.outputs = plain, o->common.n_outputs = n;
    KF_TRY(cli_outputs_check(plain, n, inputs, n_inputs, err));
    KF_TRY(cli_load_model(o->args[0], &o->common, &m, err));
    kf_status st = run_outputs_name(&o->out, m, err);
    if (st == KF_OK) st = run_outputs_check(&o->out, inputs, n_inputs, err);
    if (st == KF_OK) st = run(o, m, err);
    kf_model_destroy(&m);
    return st;
}

int cmd_run(int argc, char **argv) {
    const struct argp_child children[] = {{&cli_import_argp, 0, NULL, 0},
                                          {&cli_threads_argp, 0, NULL, 0},
                                          {&cli_json_argp, 0, NULL, 0},
                                          {&cli_limits_argp, 0, NULL, 0},
                                          {0}};
    const struct argp argp = {OPTIONS,
                              parse,
                              "MODEL IN.npy... -o OUT",
                              "Raw tensors in and out, float32 and NCHW as the model declares; several inputs as "
                              "NAME=FILE, or as IN.npz with their names. A first extent of N times the declared one "
                              "holds N images, which share all "
                              "cores. A uint8 file [H,W,3] is an RGB picture of the input's size. A quantized "
                              "model also takes uint8 pixels, NCHW or NHWC, in its own order of channels. float32 is "
                              "normalized, (pixel / 255 - mean) / std, for quantized models too; kitfox info has the "
                              "mean and the std.",
                              children,
                              NULL,
                              NULL};
    options o = {0};
    kf_error err = {0};
    if (cli_parse(&argp, argc, argv, &o) != 0) return EXIT_USAGE;
    if (o.n_args < 2 || o.n_args > MAX_ARGS || !o.out.n_given)
        return cli_usage(argv[0], "MODEL IN.npy -o OUT is needed");
    for (int i = 0; i < o.out.n_given; i++) {
        cli_json_beside(o.out.given[i]);
        if (cli_is_stdout(o.out.given[i])) break;
    }
    kf_status st = load_and_run(&o, &err);
    run_outputs_free(&o.out);
    return st == KF_OK ? EXIT_DONE : cli_fail(&err);
}
