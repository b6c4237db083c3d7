/* kitfox run MODEL IN.npy -o OUT.npy: raw tensors, for comparing with other engines.
 * Owner rule: tensors read here are freed here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli.h"
#include "common/files.h"

enum { MAX_TENSORS = 16 };

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
    case ARGP_KEY_INIT: state->child_inputs[0] = &o->common; return 0;
    case 'o': o->out = arg; return 0;
    case ARGP_KEY_ARGS:
        o->args = state->argv + state->next;
        o->n_args = state->argc - state->next;
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static kf_status run(const options *o, kf_model *m, kf_error *err) {
    kf_tensor in[MAX_TENSORS] = {{0}}, out = {0};
    char names[MAX_TENSORS][256];
    int n = o->n_args - 1;
    kf_session *s = NULL;
    kf_status st = cli_session(m, o->common.threads, &s, err);
    for (int i = 0; st == KF_OK && i < n; i++) {
        const char *arg = o->args[1 + i], *eq = strchr(arg, '=');
        st = kf_npy_read(eq ? eq + 1 : arg, &in[i], err);
        if (eq) {
            snprintf(names[i], sizeof names[i], "%.*s", (int)(eq - arg), arg);
            in[i].name = names[i];
        }
    }
    if (st == KF_OK) st = kf_model_output(m, 0, &out, err);
    if (st == KF_OK && !(out.data = malloc(out.bytes))) {
        snprintf(err->text, sizeof err->text, "out of memory");
        st = KF_ERR_MEMORY;
    }
    if (st == KF_OK) st = kf_session_run(s, in, (size_t)n, &out, 1, err);
    if (st == KF_OK) st = kf_npy_write(cli_output_name(o->out), &out, err);
    for (int i = 0; i < n; i++) free(in[i].data);
    free(out.data);
    kf_session_destroy(&s);
    return st;
}

static kf_status check_output(const options *o, const cli_output *out, kf_error *err) {
    const char *inputs[MAX_TENSORS + 1] = {o->common.labels};
    for (int i = 0; i < o->n_args; i++) {
        const char *eq = i ? strchr(o->args[i], '=') : NULL;
        inputs[1 + i] = eq ? eq + 1 : o->args[i];
    }
    return cli_outputs_check(out, 1, inputs, (size_t)o->n_args + 1, err);
}

int cmd_run(int argc, char **argv) {
    const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {
        OPTIONS,
        parse,
        "MODEL IN.npy... -o OUT.npy",
        "Raw float32 tensors in and out, NCHW as the model declares; several inputs as NAME=FILE.",
        children,
        NULL,
        NULL};
    options o = {0};
    kf_error err = {0};
    kf_model *m = NULL;
    if (argp_parse(&argp, argc, argv, 0, NULL, &o) != 0) return EXIT_USAGE;
    if (o.n_args < 2 || o.n_args > MAX_TENSORS || !o.out) {
        cli_say("kitfox run needs MODEL IN.npy -o OUT.npy; see --help");
        return EXIT_USAGE;
    }
    const cli_output out = {o.out, "-o", true};
    o.common.outputs = &out, o.common.n_outputs = 1;
    kf_status st = check_output(&o, &out, &err);
    if (st == KF_OK) st = cli_load_model(o.args[0], &o.common, &m, &err);
    if (st == KF_OK) st = run(&o, m, &err);
    kf_model_destroy(&m);
    return st == KF_OK ? EXIT_DONE : cli_fail(&err);
}
