/* Parts of kitfox info: tensors and preprocessing as JSON, instruction sets.
 * Owner rule: see info.h. */
#include "kitfox/info.h"

#include <stdio.h>
#include <string.h>

json_t *info_tensor_json(const kf_tensor *t) {
    return cli_pack("{s:s,s:s,s:o}", "name", t->name, "dtype", kf_dtype_name(t->dtype), "shape",
                    cli_shape(t->shape, t->rank));
}

/* NCHW or NHWC, of an input for pictures alone: of another tensor nobody knows. */
static const char *layout_of(const kf_model_info *info, const kf_tensor *t) {
    const kf_preprocess *p = &info->preprocess;
    int64_t channels = kf_color_channels(p->color);
    if (!p->valid || t->rank != 4) return NULL;
    if (t->shape[1] == channels && t->shape[2] == p->height && t->shape[3] == p->width) return "NCHW";
    return t->shape[3] == channels && t->shape[1] == p->height && t->shape[2] == p->width ? "NHWC" : NULL;
}

json_t *info_tensors_json(const kf_model *m, const kf_model_info *info, bool inputs) {
    json_t *list = json_array();
    int n = inputs ? info->n_inputs : info->n_outputs;
    kf_tensor t;
    kf_error err;
    for (int i = 0; i < n; i++) {
        kf_status st = inputs ? kf_model_input(m, i, &t, &err) : kf_model_output(m, i, &t, &err);
        if (st != KF_OK) break;
        const char *meaning = inputs ? kf_takes_name(info->takes) : kf_scores_kind_name(info->scores);
        json_t *j = info_tensor_json(&t);
        json_object_set_new(j, "layout", cli_text(inputs && i == 0 ? layout_of(info, &t) : NULL));
        json_object_set_new(j, "meaning", cli_text(i == 0 ? meaning : NULL)); /* the model says it of the first */
        json_array_append_new(list, j);
    }
    return list;
}

/* A member of the preprocessing: a number, a word, or a list. */
static json_t *field_json(const kf_preprocess *p, const kf_field *f) {
    if (f->words) return json_string(f->words[(int)kf_preprocess_get(p, f, 0)]);
    json_t *list = json_array();
    for (int i = 0; i < f->n; i++) {
        double x = kf_preprocess_get(p, f, i);
        json_array_append_new(list, f->kind == KF_FIELD_INTEGER ? json_integer((json_int_t)x) : cli_real(x));
    }
    if (f->n > 1) return list;
    json_t *one = json_incref(json_array_get(list, 0));
    json_decref(list);
    return one;
}

json_t *info_preprocess_json(const kf_preprocess *p) {
    if (!p->valid) return json_null();
    json_t *o = json_object();
    const kf_field *f;
    for (int k = 0; (f = kf_preprocess_field(k)) != NULL; k++) json_object_set_new(o, f->key, field_json(p, f));
    return o;
}

json_t *info_cpus_json(void) {
    json_t *list = json_array();
    for (int i = 0; kf_cpu_level_name(i); i++) {
        const char *name = kf_cpu_level_name(i);
        bool now = strcmp(name, kf_cpu_name()) == 0;
        json_array_append_new(list,
                              cli_pack("{s:s,s:b,s:b}", "name", name, "usable", kf_cpu_level_usable(i), "now", now));
    }
    return list;
}

/* One line for each level, in words that scripts can split: NAME, usable or unusable, and "now" for the level in use.
 */
void info_print_cpus(bool as_json) {
    if (as_json) {
        cli_print_json(cli_pack("{s:s,s:o}", "kind", "cpus", "cpus", info_cpus_json()));
        return;
    }
    for (int i = 0; kf_cpu_level_name(i); i++) {
        const char *name = kf_cpu_level_name(i), *state = kf_cpu_level_usable(i) ? "usable" : "unusable";
        printf("%-10s %s%s\n", name, state, strcmp(name, kf_cpu_name()) == 0 ? " now" : "");
    }
}
