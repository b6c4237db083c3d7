/* kitfox simplify IN.onnx -o OUT.onnx: a smaller equal graph, compared on random inputs before it is written.
 * Floor 8. Both graphs run in the reference executor.
 * Owner rule: graphs and tensors are released here. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/cli.h"

#define MAX_ENDS 16
#define TOLERANCE 1e-5

typedef struct options {
    cli_common common;
    const char *in, *out;
    int check;
} options;

static const struct argp_option OPTIONS[] = {
    {"output", 'o', "OUT.onnx", 0, "the smaller model (required)", 0},
    {"check", 'c', "N", 0, "random inputs to compare before writing (default 3; 0: none)", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state) {
    options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &o->common; return 0;
    case 'o': o->out = arg; return 0;
    case 'c': o->check = (int)cli_number(state, "--check", arg, 0, 1000); return 0;
    case ARGP_KEY_ARG:
        if (o->in) argp_error(state, "%s: one file only", arg);
        o->in = arg;
        return 0;
    case ARGP_KEY_END:
        if (!o->in || !o->out) argp_error(state, "IN.onnx and -o OUT.onnx are needed");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static kf_status fail(kf_error *err, kf_status st, const char *text) {
    err->status = st;
    snprintf(err->text, sizeof err->text, "%s", text);
    return st;
}

/* Largest difference of one output over its largest magnitude; infinite when only one side is finite. */
static double difference(const kf_tensor *a, const kf_tensor *b) {
    const float *x = a->data, *y = b->data;
    double worst = 0, size = 1e-30;
    for (size_t i = 0; i < a->bytes / sizeof *x; i++) {
        double d = fabs((double)x[i] - y[i]);
        if (x[i] == y[i] || (isnan(x[i]) && isnan(y[i]))) d = 0;
        if (isnan(d)) return INFINITY;
        worst = d > worst ? d : worst;
        size = fabs(x[i]) > size ? fabs(x[i]) : size;
    }
    return worst / size;
}

static kf_status tensors_of(kf_graph *a, kf_graph *b, kf_tensor *in, kf_tensor *out, const kf_graph_info *info, kf_error *err) {
    if (info->n_inputs > MAX_ENDS || info->n_outputs > MAX_ENDS) return fail(err, KF_ERR_LIMIT, "simplify: more than 16 inputs or outputs; give --check 0");
    for (int side = 0; side < 2; side++)
        for (int i = 0; i < (side ? 2 * info->n_outputs : info->n_inputs); i++) {
            kf_tensor *t = side ? &out[i] : &in[i];
            kf_status st = side ? kf_graph_output(b, i % info->n_outputs, t, err) : kf_graph_input(a, i, t, err);
            if (st != KF_OK) return st;
            if (t->dtype != KF_F32) return fail(err, KF_ERR_UNSUPPORTED, "simplify: only f32 inputs and outputs can be compared; give --check 0");
            if (!(t->data = malloc(t->bytes ? t->bytes : 1))) return fail(err, KF_ERR_MEMORY, "simplify: out of memory");
        }
    return KF_OK;
}

/* `out` holds the outputs of `a`, then those of `b`, whose shapes are all known. */
static kf_status compare(kf_graph *a, kf_graph *b, int rounds, double *worst, kf_error *err) {
    kf_graph_info info;
    kf_tensor in[MAX_ENDS] = {{0}}, out[2 * MAX_ENDS] = {{0}};
    uint32_t seed = 1;
    kf_status st = kf_graph_get_info(b, &info, err);
    if (st == KF_OK) st = tensors_of(a, b, in, out, &info, err);
    for (int r = 0; st == KF_OK && r < rounds; r++) {
        for (int i = 0; i < info.n_inputs; i++)
            for (size_t k = 0; k < in[i].bytes / sizeof(float); k++) {
                seed = seed * 1664525u + 1013904223u;
                ((float *)in[i].data)[k] = (float)(seed >> 8) / 8388608.0f - 1.0f;
            }
        st = kf_graph_run_reference(a, in, (size_t)info.n_inputs, out, (size_t)info.n_outputs, err);
        if (st == KF_OK) st = kf_graph_run_reference(b, in, (size_t)info.n_inputs, out + info.n_outputs, (size_t)info.n_outputs, err);
        for (int i = 0; st == KF_OK && i < info.n_outputs; i++) *worst = fmax(*worst, difference(&out[i], &out[info.n_outputs + i]));
    }
    for (int i = 0; i < MAX_ENDS; i++) free(in[i].data);
    for (int i = 0; i < 2 * MAX_ENDS; i++) free(out[i].data);
    return st;
}

int cmd_simplify(int argc, char **argv) {
    const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {OPTIONS, parse, "IN.onnx -o OUT.onnx", "Write a smaller equal graph.", children, NULL, NULL};
    options o = {.check = 3};
    kf_error err = {0};
    kf_graph *a = NULL, *b = NULL;
    kf_graph_info before, after;
    double worst = 0;
    if (argp_parse(&argp, argc, argv, 0, NULL, &o) != 0) return EXIT_USAGE;
    kf_status st = cli_import(o.in, &o.common, &a, &err);
    if (st == KF_OK) st = cli_import(o.in, &o.common, &b, &err);
    if (st == KF_OK) st = kf_graph_optimize(b, KF_OPTIMIZE_SIMPLIFY, &err);
    if (st == KF_OK) st = kf_graph_get_info(a, &before, &err);
    if (st == KF_OK) st = kf_graph_get_info(b, &after, &err);
    if (st == KF_OK && o.check) st = compare(a, b, o.check, &worst, &err);
    if (st == KF_OK && worst > TOLERANCE) {
        st = KF_ERR_INTERNAL;
        snprintf(err.text, sizeof err.text, "%.700s: the smaller graph differs by %.3g on random inputs, at most %.0e is accepted; nothing was written", o.in, worst, TOLERANCE);
    }
    if (st == KF_OK) st = kf_graph_save_onnx(b, o.out, &err);
    if (st == KF_OK && o.common.json) cli_print_json(json_pack("{s:s,s:i,s:i,s:i,s:f}", "output", o.out, "nodes_before", before.n_nodes, "nodes_after", after.n_nodes, "checked", o.check, "max_difference", worst));
    else if (st == KF_OK) printf("%s: %d nodes before (constants not counted), %d after; largest relative difference on %d random inputs %.3g\n", o.out, before.n_nodes, after.n_nodes, o.check, worst);
    kf_graph_destroy(&a);
    kf_graph_destroy(&b);
    return st == KF_OK ? EXIT_DONE : cli_fail(&err);
}
