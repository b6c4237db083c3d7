/* YAML tree to kf__qconfig: unknown keys, wrong types, wrong values, combinations that exclude each other.
 * Per-input values are lists separated by ';' and stay text until the model's inputs are known.
 * Owner rule: the caller's arena owns everything. */
#include <limits.h>
#include <stdlib.h>

#include "quantize/config.h"

typedef struct checker {
    kf__qconfig *c;
    kf__arena *arena;
    kf_error *err;
} checker;

#define FAIL_AT(k, mark, st, fmt, ...)                                                                                 \
    KF_FAIL((k)->err, st, "%s:%d:%d: " fmt, (k)->c->file, (mark).line, (mark).column, __VA_ARGS__)

/* Levenshtein distance of short words; long ones count as far. */
static int distance(const char *a, const char *b) {
    size_t n = strlen(a), m = strlen(b);
    int row[64];
    if (n > 60 || m > 60) return 99;
    for (size_t j = 0; j <= m; j++) row[j] = (int)j;
    for (size_t i = 1; i <= n; i++) {
        int diagonal = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= m; j++) {
            int best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[m];
}

const char *kf__qlist_next(const char **at, const char *marks, size_t *n) {
    const char *p = *at;
    while (*p == ' ' || (*p && strchr(marks, *p))) p++;
    *n = strcspn(p, marks);
    *at = p + *n;
    while (*n && p[*n - 1] == ' ') --*n;
    return *n ? p : NULL;
}

static bool word_in(const char *list, const char *word, size_t n) {
    for (const char *p = list; p; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL)
        if (strcspn(p, "|") == n && strncmp(p, word, n) == 0) return true;
    return false;
}

static kf_status check_allowed(checker *k, const kf__qkey_info *info, const kf__qvalue *v) {
    const char *at = v->text, *p;
    size_t n;
    while ((p = kf__qlist_next(&at, info->type == KF_QT_LIST ? ";" : "", &n)))
        if (!word_in(info->allowed, p, n))
            FAIL_AT(k, v->at, KF_ERR_ARGUMENT, "%s '%.*s'; it is none of %s; write one of them", info->name,
                    (int)(n > 60 ? 60 : n), p, info->allowed);
    return KF_OK;
}

/* A single number is one of YAML, whose 010 is 8; several are a text, of decimals. */
static kf_status check_numbers(checker *k, const kf__qkey_info *info, const kf__qvalue *v, kf__yaml_type type) {
    const char *at = v->text, *p;
    bool one = type == KF_YAML_INT || type == KF_YAML_FLOAT;
    size_t n;
    while ((p = kf__qlist_next(&at, " ,;", &n))) {
        char *end = (char *)p;
        double x = 0;
        if (strncmp(p, "None", 4) == 0) end += 4;
        else x = strtod(p, &end);
        if (end != p + n)
            FAIL_AT(k, v->at, KF_ERR_ARGUMENT, "%s '%.60s'; it must be numbers separated by spaces; %s", info->name,
                    v->text, "write 123.675 116.28 103.53, or None for an input without");
        if (one && x != v->number)
            FAIL_AT(k, v->at, KF_ERR_ARGUMENT, "%s '%.60s'; YAML reads this as %.9g; write a decimal number",
                    info->name, v->text, v->number);
    }
    return KF_OK;
}

/* "a;" is a list of one: the marks behind the last item go; so do spaces around a word of the table. */
static kf_status strip_list(checker *k, const kf__qkey_info *info, const kf__yaml_node *n, const char **out) {
    bool list = info->type == KF_QT_LIST || info->type == KF_QT_NUMBERS || info->type == KF_QT_INPUTS;
    *out = n->text;
    if (!list && !info->allowed) return KF_OK;
    const char *text = n->text + strspn(n->text, " ");
    size_t len = strlen(text);
    while (len && (text[len - 1] == ' ' || (list && text[len - 1] == ';'))) len--;
    *out = kf__arena_strndup(k->arena, text, len);
    if (!*out) KF_FAIL_MEMORY(k->err, len);
    return KF_OK;
}

static kf_status read_value(checker *k, kf__qkey id, const kf__yaml_node *n) {
    static const char *const WANT[] = {"text",           "text",     "text",    "True or False",
                                       "a whole number", "a number", "numbers", "a mapping or text"};
    const kf__qkey_info *info = &kf__qkeys[id];
    kf__qvalue *v = &k->c->v[id];
    v->node = n;
    if (n->kind != KF_YAML_SCALAR) {
        if (info->type != KF_QT_ANY || n->kind == KF_YAML_SEQUENCE)
            FAIL_AT(k, n->at, KF_ERR_FORMAT, "%s is a %s; it must be %s; check brackets and indentation", info->name,
                    n->kind == KF_YAML_MAPPING ? "mapping" : "list", WANT[info->type]);
        v->at = n->at;
        return KF_OK;
    }
    kf__yaml_type t = kf__yaml_scalar_type(n, &v->truth, &v->number);
    if (t == KF_YAML_NULL || !*n->text) return KF_OK; /* '' means: as if it were not there */
    v->at = n->at;
    KF_TRY(strip_list(k, info, n, &v->text));
    if (!*v->text) v->at = (kf__qmark){0}; /* ';' alone: a list of nothing */
    if (!*v->text) return KF_OK;
    if ((info->type == KF_QT_BOOL && t != KF_YAML_BOOL) || (info->type == KF_QT_INT && t != KF_YAML_INT) ||
        (info->type == KF_QT_REAL && t != KF_YAML_INT && t != KF_YAML_FLOAT))
        FAIL_AT(k, n->at, KF_ERR_FORMAT, "%s '%.60s'; it must be %s; write it without quotes", info->name, n->text,
                WANT[info->type]);
    if (info->allowed) KF_TRY(check_allowed(k, info, v));
    if (info->type == KF_QT_NUMBERS) KF_TRY(check_numbers(k, info, v, t));
    if (!info->notice) return KF_OK;
    const char *text = kf__arena_printf(k->arena, "%s:%d:%d: %s has no meaning on a CPU; %s", k->c->file,
                                        n->key_at.line, n->key_at.column, info->name, info->notice);
    if (!text) KF_FAIL_MEMORY(k->err, 200);
    k->c->notices[k->c->n_notices++] = text;
    return KF_OK;
}

static kf_status refuse_key(checker *k, kf__qgroup group, const kf__yaml_node *n) {
    const kf__qkey_info *near = kf__qkeys;
    int best = INT_MAX;
    for (int id = 0; id < KF_QK_COUNT; id++) {
        int d = distance(kf__qkeys[id].name, n->key) * 2 + (kf__qkeys[id].group != group);
        if (d < best) best = d, near = &kf__qkeys[id];
    }
    FAIL_AT(k, n->key_at, KF_ERR_ARGUMENT, "unknown key '%.60s' in %s; the nearest is %s of %s; correct or remove it",
            n->key, kf__qgroups[group], near->name, kf__qgroups[near->group]);
}

static kf_status read_group(checker *k, kf__qgroup group, const kf__yaml_node *g) {
    if (g->kind != KF_YAML_MAPPING)
        FAIL_AT(k, g->key_at, KF_ERR_FORMAT, "%s has no keys; it must be a group; indent its keys below it", g->key);
    for (const kf__yaml_node *n = g->child; n; n = n->next) {
        int id = 0;
        while (id < KF_QK_COUNT && (kf__qkeys[id].group != group || strcmp(kf__qkeys[id].name, n->key) != 0)) id++;
        if (id == KF_QK_COUNT) return refuse_key(k, group, n);
        KF_TRY(read_value(k, (kf__qkey)id, n));
    }
    return KF_OK;
}

static bool is(const kf__qconfig *c, kf__qkey key, const char *word) { return strcmp(c->v[key].text, word) == 0; }
static bool given(const kf__qconfig *c, kf__qkey key) { return c->v[key].at.line > 0; }

static kf_status check_inputs(checker *k) {
    kf__qconfig *c = k->c;
    kf__qvalue *v = c->v;
    bool both = is(c, KF_QK_NORM, "data_mean_and_scale"), list = strchr(v[KF_QK_NORM].text, ';') != NULL;
    bool mean = both || is(c, KF_QK_NORM, "data_mean"), scale = both || is(c, KF_QK_NORM, "data_scale");
    if (!list && mean != given(c, KF_QK_MEAN))
        FAIL_AT(k, v[mean ? KF_QK_NORM : KF_QK_MEAN].at, KF_ERR_ARGUMENT, "mean_value %s norm_type '%s'; %s",
                mean ? "is missing beside" : "is given beside", v[KF_QK_NORM].text,
                mean ? "the mean is needed; add mean_value"
                     : "it would be dropped; set norm_type to data_mean or data_mean_and_scale, or remove it");
    if (!list && scale != given(c, KF_QK_SCALE))
        FAIL_AT(k, v[scale ? KF_QK_NORM : KF_QK_SCALE].at, KF_ERR_ARGUMENT, "scale_value %s norm_type '%s'; %s",
                scale ? "is missing beside" : "is given beside", v[KF_QK_NORM].text,
                scale ? "the scale is needed; add scale_value"
                      : "it would be dropped; set norm_type to data_scale or data_mean_and_scale, or remove it");
    if (strchr(v[KF_QK_TYPE_RT].text, ';') || strchr(v[KF_QK_TYPE_TRAIN].text, ';'))
        return KF_OK; /* each input is checked against the model later */
    static const char *const PAIRS[][2] = {{"yuv444", "nv12|yuv444"},
                                           {"rgb", "nv12|yuv444|rgb|bgr"},
                                           {"bgr", "nv12|yuv444|rgb|bgr"},
                                           {"gray", "gray"},
                                           {"featuremap", "featuremap"}};
    for (size_t i = 0; i < KF_COUNT(PAIRS); i++)
        if (is(c, KF_QK_TYPE_TRAIN, PAIRS[i][0]) &&
            !word_in(PAIRS[i][1], v[KF_QK_TYPE_RT].text, strlen(v[KF_QK_TYPE_RT].text)))
            FAIL_AT(k, v[KF_QK_TYPE_RT].at, KF_ERR_ARGUMENT,
                    "input_type_rt '%s' with input_type_train '%s'; there is no such conversion; use one of %s",
                    v[KF_QK_TYPE_RT].text, PAIRS[i][0], PAIRS[i][1]);
    bool colour = is(c, KF_QK_TYPE_TRAIN, "rgb") || is(c, KF_QK_TYPE_TRAIN, "bgr");
    if (is(c, KF_QK_RANGE, "bt601_video") && !(colour && is(c, KF_QK_TYPE_RT, "nv12")))
        FAIL_AT(k, v[KF_QK_RANGE].at, KF_ERR_ARGUMENT,
                "input_space_and_range '%s'; it needs input_type_rt nv12 and input_type_train rgb or bgr; use regular",
                v[KF_QK_RANGE].text);
    return KF_OK;
}

static kf_status check_rest(checker *k) {
    kf__qconfig *c = k->c;
    if (given(c, KF_QK_CAFFE_MODEL) || given(c, KF_QK_PROTOTXT))
        FAIL_AT(k, c->v[given(c, KF_QK_CAFFE_MODEL) ? KF_QK_CAFFE_MODEL : KF_QK_PROTOTXT].at, KF_ERR_UNSUPPORTED,
                "a Caffe model; %s", "only ONNX is read; convert it and set onnx_model");
    if (strchr(c->v[KF_QK_PREFIX].text, '/'))
        FAIL_AT(k, c->v[KF_QK_PREFIX].at, KF_ERR_ARGUMENT,
                "output_model_file_prefix '%.60s'; a prefix has no folder; set working_dir", c->v[KF_QK_PREFIX].text);
    const kf__qvalue *p = &c->v[KF_QK_PERCENTILE], *batch = &c->v[KF_QK_BATCH];
    if (p->at.line && !(p->number >= 0.5 && p->number <= 1))
        FAIL_AT(k, p->at, KF_ERR_ARGUMENT, "max_percentile %s; it lies in 0.5..1; usual are 0.9999 and 0.99995",
                p->text);
    if (p->at.line && !is(c, KF_QK_CALIBRATION, "max"))
        FAIL_AT(
            k, p->at, KF_ERR_ARGUMENT,
            "max_percentile with calibration_type '%s'; it is only used by max; set calibration_type: max or remove it",
            c->v[KF_QK_CALIBRATION].text);
    if (batch->at.line && !(batch->number >= 1 && batch->number <= 4096))
        FAIL_AT(k, batch->at, KF_ERR_ARGUMENT, "input_batch %s; it lies in 1..4096; write 1", batch->text);
    return KF_OK;
}

static kf_status check_required(checker *k, const kf__yaml_node *const groups[KF_QG_COUNT]) {
    static const kf__qkey REQUIRED[] = {KF_QK_ONNX_MODEL, KF_QK_TYPE_TRAIN, KF_QK_LAYOUT_TRAIN, KF_QK_TYPE_RT,
                                        KF_QK_CAL_DIR};
    for (size_t i = 0; i < KF_COUNT(REQUIRED); i++) {
        const kf__qkey_info *info = &kf__qkeys[REQUIRED[i]];
        if (given(k->c, REQUIRED[i])) continue;
        if (REQUIRED[i] == KF_QK_CAL_DIR &&
            (is(k->c, KF_QK_CALIBRATION, "skip") || is(k->c, KF_QK_CALIBRATION, "load")))
            continue;
        FAIL_AT(k, groups[info->group]->key_at, KF_ERR_FORMAT, "%s has no %s; it is needed; add the line",
                kf__qgroups[info->group], info->name);
    }
    return KF_OK;
}

kf_status kf__qconfig_parse(const char *file, const char *text, size_t n, kf__arena *arena, kf__qconfig *out,
                            kf_error *err) {
    const char *slash = strrchr(file, '/');
    const kf__yaml_node *groups[KF_QG_COUNT] = {0};
    checker k = {out, arena, err};
    *out =
        (kf__qconfig){.file = file, .folder = slash ? kf__arena_strndup(arena, file, (size_t)(slash - file) + 1) : ""};
    if (!out->folder) KF_FAIL_MEMORY(err, 256);
    for (int i = 0; i < KF_QK_COUNT; i++) out->v[i].text = "";
    KF_TRY(kf__yaml_parse(file, text, n, arena, &out->tree, err));
    const kf__yaml_node *root = out->tree.root;
    if (root->kind != KF_YAML_MAPPING)
        FAIL_AT(&k, root->at, KF_ERR_FORMAT, "%s",
                "not a configuration; it must begin with model_parameters:; is this the right file?");
    for (const kf__yaml_node *g = root->child; g; g = g->next) {
        int id = 0, near = 0;
        for (; id < KF_QG_COUNT && strcmp(kf__qgroups[id], g->key) != 0; id++)
            if (distance(kf__qgroups[id], g->key) < distance(kf__qgroups[near], g->key)) near = id;
        if (id == KF_QG_COUNT)
            FAIL_AT(&k, g->key_at, KF_ERR_ARGUMENT, "unknown group '%.60s'; the nearest is %s; correct or remove it",
                    g->key, kf__qgroups[near]);
        groups[id] = g;
        KF_TRY(read_group(&k, (kf__qgroup)id, g));
    }
    for (int i = 0; i < KF_QG_CUSTOM; i++)
        if (!groups[i])
            KF_FAIL(err, KF_ERR_FORMAT, "%s:1:1: group %s is missing; four groups are needed; add it", file,
                    kf__qgroups[i]);
    KF_TRY(check_required(&k, groups));
    KF_TRY(check_inputs(&k));
    return check_rest(&k);
}

const char *kf__qconfig_path(const kf__qconfig *c, kf__arena *arena, const char *path) {
    return *path == '/' ? path : kf__arena_printf(arena, "%s%s", c->folder, path);
}
