/* A model in words or as JSON, for kitfox info.
 * Owner rule: see info.h. */
#include <stdio.h>

#include "kitfox/bench.h"
#include "kitfox/info.h"

static void print_preprocess(const kf_preprocess *p) {
    const kf_field *f;
    printf("%-14s", "preprocess");
    for (int k = 0; p->valid && (f = kf_preprocess_field(k)) != NULL; k++) {
        printf("%s%s", k ? ", " : "", f->key);
        if (f->words) printf(" %s", f->words[(int)kf_preprocess_get(p, f, 0)]);
        for (int i = 0; !f->words && i < f->n; i++) printf(" %.4g", kf_preprocess_get(p, f, i));
    }
    puts(p->valid ? "" : "none (raw tensors)");
}

/* Who said how pictures are prepared, and what numbers mean. What nobody knows is left out. */
/* Where the preprocessing comes from. */
static void print_origin(const kf_model_info *info) {
    const char *from = info->preprocess_source;
    const bool assumed = info->preprocess_origin == KF_ORIGIN_ASSUMED;
    if (info->preprocess_origin) printf("%-14s%s", "prepared as", kf_origin_name(info->preprocess_origin));
    if (info->preprocess_origin && from) printf(" from %s", from);
    if (assumed) printf(": nothing says how pictures are prepared; see --preprocess");
    if (info->preprocess_origin) putchar('\n');
}

static void print_meaning(const kf_model_info *info) {
    if (info->takes) printf("%-14s%s\n", "takes", kf_takes_name(info->takes));
    if (info->scores) printf("%-14s%s\n", "scores", kf_scores_kind_name(info->scores));
    if (info->input_range_known) printf("%-14s%s\n", "NV12 range", info->input_range ? "limited (16..235)" : "full");
}

static void set_meaning(json_t *j, const kf_model_info *info) {
    const char *range = info->input_range ? "limited" : "full";
    json_object_set_new(j, "nv12_range", cli_text(info->input_range_known ? range : "unknown"));
    json_object_set_new(j, "takes", cli_text(kf_takes_name(info->takes)));
    json_object_set_new(j, "scores", cli_text(kf_scores_kind_name(info->scores)));
    json_object_set_new(j, "preprocess_origin", cli_text(kf_origin_name(info->preprocess_origin)));
    json_object_set_new(j, "preprocess_source", cli_text(info->preprocess_source));
}

void info_print_json(const kf_model *m, const kf_model_info *info, const char *model, bool nodes) {
    kf_tensor in, out;
    kf_error err;
    if (kf_model_input(m, 0, &in, &err) != KF_OK || kf_model_output(m, 0, &out, &err) != KF_OK) return;
    json_t *j = cli_pack("{s:s,s:s,s:s?,s:I,s:I,s:I,s:I,s:i,s:o,s:o,s:o,s:b,s:i}", "kind", "model", "model",
                         model ? model : "everyday10", "name", info->name, "parameters", (json_int_t)info->parameters,
                         "stored", (json_int_t)info->stored_parameters, "macs", (json_int_t)info->macs, "activations",
                         (json_int_t)info->activations, "nodes", info->n_steps, "input", info_tensor_json(&in),
                         "output", info_tensor_json(&out), "preprocess", info_preprocess_json(&info->preprocess),
                         "quantized", info->quantized, "labels", info->n_labels);
    json_object_set_new(j, "inputs", info_tensors_json(m, info, true));
    json_object_set_new(j, "outputs", info_tensors_json(m, info, false));
    set_meaning(j, info);
    if (nodes) {
        json_t *list = json_array();
        kf_step_info s = {.size = sizeof s};
        for (int i = 0; i < info->n_steps && kf_model_step(m, i, &s, &err) == KF_OK; i++)
            json_array_append_new(list, cli_pack("{s:s,s:s,s:s,s:o,s:I,s:I}", "node", s.name, "op", s.op, "kernel",
                                                 s.kernel, "shape", cli_shape(s.shape, 4), "macs", (json_int_t)s.macs,
                                                 "parameters", (json_int_t)s.parameters));
        json_object_set_new(j, "steps", list);
    }
    cli_print_json(j);
}

static void print_tensor(const char *what, const kf_tensor *t) {
    printf("%-14s%s  %s ", what, t->name, kf_dtype_name(t->dtype));
    for (int i = 0; i < t->rank; i++) printf("%s%lld", i ? "x" : "", (long long)t->shape[i]);
    putchar('\n');
}

void info_print_text(const kf_model *m, const kf_model_info *info, bool nodes) {
    char floats[300];
    kf_tensor t;
    kf_error err;
    kf_step_info s = {.size = sizeof s};
    printf("%-14s%s\n", "name", info->name ? info->name : "-");
    if (info->source) printf("%-14s%s\n", "source", info->source);
    if (info->producer) printf("%-14s%s\n", "producer", info->producer);
    for (int i = 0; i < info->n_inputs && kf_model_input(m, i, &t, &err) == KF_OK; i++) print_tensor("input", &t);
    for (int i = 0; i < info->n_outputs && kf_model_output(m, i, &t, &err) == KF_OK; i++) print_tensor("output", &t);
    print_preprocess(&info->preprocess);
    kf_preprocess_floats(&info->preprocess, floats, sizeof floats);
    print_origin(info);
    if (*floats) printf("%-14s%s\n", "float32 input", floats);
    print_meaning(info);
    printf("%-14s%lld in the architecture, %lld stored in the source file\n", "parameters", (long long)info->parameters,
           (long long)info->stored_parameters);
    printf("%-14s%lld (%.1f M), activations %lld\n", "MACs", (long long)info->macs, (double)info->macs / 1e6,
           (long long)info->activations);
    printf("%-14s%d, labels %d, %s, kernels for %s\n", "steps", info->n_steps, info->n_labels,
           info->quantized ? "quantized" : "float32", kf_cpu_name());
    for (int i = 0; nodes && i < info->n_steps && kf_model_step(m, i, &s, &err) == KF_OK; i++)
        printf("%4d  %-11s %-18s %4lldx%-4lldx%-5lld %11lld MACs %9lld params  %s\n", i, s.op, s.kernel,
               (long long)s.shape[1], (long long)s.shape[2], (long long)s.shape[3], (long long)s.macs,
               (long long)s.parameters, s.name);
}
