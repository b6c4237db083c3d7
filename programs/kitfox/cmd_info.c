/* kitfox info MODEL: what a model is, in words or JSON.
 * Floor 8.
 * Owner rule: prints only. */
#include <stdio.h>

#include "common/cli.h"

enum { KEY_NODES = 1000 };

typedef struct options {
    cli_common common;
    const char *model;
    bool nodes;
} options;

static const struct argp_option OPTIONS[] = {
    {"nodes", KEY_NODES, NULL, 0, "one line a compiled step", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state) {
    options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &o->common; return 0;
    case KEY_NODES: o->nodes = true; return 0;
    case ARGP_KEY_ARG:
        if (o->model) argp_error(state, "%s: one model only", arg);
        o->model = arg;
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const char *const FILTERS[] = {"bilinear", "bicubic", "nearest"}, *const CROPS[] = {"center", "squash", "border", "fit-pad"},
                  *const COLORS[] = {"rgb", "bgr", "gray"};

static json_t *tensor_json(const kf_tensor *t) {
    json_t *shape = json_array();
    for (int i = 0; i < t->rank; i++) json_array_append_new(shape, json_integer(t->shape[i]));
    return json_pack("{s:s,s:s,s:o}", "name", t->name, "dtype", kf_dtype_name(t->dtype), "shape", shape);
}

static json_t *preprocess_json(const kf_preprocess *p) {
    if (!p->valid) return json_null();
    return json_pack("{s:i,s:i,s:f,s:s,s:s,s:s,s:[f,f,f],s:[f,f,f]}", "width", p->width, "height", p->height, "crop_pct", p->crop_pct, "crop_mode",
                     CROPS[p->crop], "interpolation", FILTERS[p->filter], "color", COLORS[p->color], "mean", p->mean[0], p->mean[1], p->mean[2], "std",
                     p->std[0], p->std[1], p->std[2]);
}

static void print_json(const kf_model *m, const kf_model_info *info, const options *o) {
    kf_tensor in, out;
    kf_error err;
    if (kf_model_input(m, 0, &in, &err) != KF_OK || kf_model_output(m, 0, &out, &err) != KF_OK) return;
    json_t *j = json_pack("{s:s?,s:I,s:I,s:I,s:I,s:i,s:o,s:o,s:o,s:b,s:i,s:s}", "name", info->name, "parameters", (json_int_t)info->parameters, "stored",
                          (json_int_t)info->stored_parameters, "macs", (json_int_t)info->macs, "activations", (json_int_t)info->activations, "nodes",
                          info->n_steps, "input", tensor_json(&in), "output", tensor_json(&out), "preprocess", preprocess_json(&info->preprocess),
                          "quantized", info->quantized, "labels", info->n_labels, "nv12_range",
                          info->input_range ? "limited" : "full");
    if (o->nodes) {
        json_t *list = json_array();
        kf_step_info s;
        for (int i = 0; i < info->n_steps && kf_model_step(m, i, &s, &err) == KF_OK; i++)
            json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:[I,I,I,I],s:I,s:I}", "name", s.name, "op", s.op, "kernel", s.kernel, "shape",
                                                  (json_int_t)s.shape[0], (json_int_t)s.shape[1], (json_int_t)s.shape[2], (json_int_t)s.shape[3], "macs",
                                                  (json_int_t)s.macs, "parameters", (json_int_t)s.parameters));
        json_object_set_new(j, "steps", list);
    }
    cli_print_json(j);
}

static void print_tensor(const char *what, const kf_tensor *t) {
    printf("%-14s%s  %s ", what, t->name, kf_dtype_name(t->dtype));
    for (int i = 0; i < t->rank; i++) printf("%s%lld", i ? "x" : "", (long long)t->shape[i]);
    putchar('\n');
}

static void print_text(const kf_model *m, const kf_model_info *info, const options *o) {
    kf_tensor t;
    kf_error err;
    kf_step_info s;
    printf("%-14s%s\n", "name", info->name ? info->name : "-");
    if (info->source) printf("%-14s%s\n", "source", info->source);
    if (info->producer) printf("%-14s%s\n", "producer", info->producer);
    for (int i = 0; i < info->n_inputs && kf_model_input(m, i, &t, &err) == KF_OK; i++) print_tensor("input", &t);
    for (int i = 0; i < info->n_outputs && kf_model_output(m, i, &t, &err) == KF_OK; i++) print_tensor("output", &t);
    const kf_preprocess *p = &info->preprocess;
    if (p->valid)
        printf("%-14s%dx%d %s, crop %.3g %s, %s, mean %.4g %.4g %.4g, std %.4g %.4g %.4g\n", "preprocess", p->width, p->height, FILTERS[p->filter], p->crop_pct,
               CROPS[p->crop], COLORS[p->color], p->mean[0], p->mean[1], p->mean[2], p->std[0], p->std[1], p->std[2]);
    else printf("%-14s%s\n", "preprocess", "none (raw tensors)");
    if (info->input_range) printf("%-14s%s\n", "NV12 range", "limited (16..235)");
    printf("%-14s%lld in the architecture, %lld stored in the source file\n", "parameters", (long long)info->parameters, (long long)info->stored_parameters);
    printf("%-14s%lld (%.1f M), activations %lld\n", "MACs", (long long)info->macs, (double)info->macs / 1e6, (long long)info->activations);
    printf("%-14s%d, labels %d, %s, kernels for %s\n", "steps", info->n_steps, info->n_labels, info->quantized ? "quantized" : "float32", kf_cpu_name());
    for (int i = 0; o->nodes && i < info->n_steps && kf_model_step(m, i, &s, &err) == KF_OK; i++)
        printf("%4d  %-11s %-18s %4lldx%-4lldx%-5lld %11lld MACs %9lld params  %s\n", i, s.op, s.kernel, (long long)s.shape[1], (long long)s.shape[2],
               (long long)s.shape[3], (long long)s.macs, (long long)s.parameters, s.name);
}

int cmd_info(int argc, char **argv) {
    const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {OPTIONS, parse, "[MODEL]", "Inputs, outputs, preprocessing, parameters and MACs of a model.", children, NULL, NULL};
    options o = {0};
    kf_error err = {0};
    kf_model *m = NULL;
    kf_model_info info;
    if (argp_parse(&argp, argc, argv, 0, NULL, &o) != 0) return EXIT_USAGE;
    if (cli_load_model(o.model, &o.common, &m, &err) != KF_OK) return cli_fail(&err);
    kf_model_get_info(m, &info);
    if (o.common.json) print_json(m, &info, &o);
    else print_text(m, &info, &o);
    kf_model_destroy(&m);
    return EXIT_DONE;
}
