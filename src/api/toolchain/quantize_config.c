/* The zoo's quantization YAML for users of the public interface: checked values, translated into what the quantizer
 * takes. Reads the file, calls quantize's parser, interprets lists, numbers and tokens. Owner rule: the configuration
 * owns an arena with everything in it. */
#include <stdio.h>
#include <stdlib.h>

#include "kitfox/compile.h"
#include "os/file.h"
#include "quantize/config.h"

_Static_assert(KF_YAML_MAX_DEPTH <= KF_ENTRY_DEPTH, "a path holds every key around a value");

typedef struct config {
    kf_quantize_config out; /* first: the public pointer is this one */
    kf__qconfig q;
    const char *places[KF_QK_COUNT];
    kf__arena arena;
    size_t int16_cap;
    const kf__yaml_node **entries; /* values and empty containers in the order of the file */
    int32_t n_entries;
    kf_message_fn notice;
    void *user;
} config;

#define FAIL_KEY(c, err, key, st, fmt, ...)                                                                            \
    KF_FAIL(err, st, "%s: %s " fmt, (c)->places[key], kf__qkeys[key].name, __VA_ARGS__)

static const char *text_of(const config *c, kf__qkey key) { return c->q.v[key].text; }
static bool given(const config *c, kf__qkey key) { return c->q.v[key].at.line > 0; }
static bool is(const config *c, kf__qkey key, const char *word) { return strcmp(text_of(c, key), word) == 0; }

static kf_status say(config *c, kf__qkey key, const char *what, kf_error *err) {
    const char *text = kf__arena_printf(&c->arena, "%s: %s %s", c->places[key], kf__qkeys[key].name, what);
    if (!text) KF_FAIL_MEMORY(err, 200);
    if (c->notice) c->notice(c->user, text);
    return KF_OK;
}

static kf_status set_places(config *c, kf_error *err) {
    for (int i = 0; i < KF_QK_COUNT; i++) {
        const kf__qmark *m = &c->q.v[i].at;
        c->places[i] = m->line ? kf__arena_printf(&c->arena, "%s:%d:%d", c->q.file, m->line, m->column) : c->q.file;
        if (!c->places[i]) KF_FAIL_MEMORY(err, 200);
    }
    return KF_OK;
}

/* One input only: a list of several is refused, "a;" is one. */
static kf_status check_single(const config *c, kf_error *err) {
    static const kf__qkey LISTS[] = {KF_QK_INPUT_NAME, KF_QK_TYPE_TRAIN, KF_QK_LAYOUT_TRAIN, KF_QK_TYPE_RT,
                                     KF_QK_LAYOUT_RT,  KF_QK_RANGE,      KF_QK_SHAPE,        KF_QK_NORM,
                                     KF_QK_MEAN,       KF_QK_SCALE,      KF_QK_CAL_DIR,      KF_QK_CAL_TYPE};
    for (size_t i = 0; i < KF_COUNT(LISTS); i++)
        if (strchr(text_of(c, LISTS[i]), ';'))
            FAIL_KEY(c, err, LISTS[i], KF_ERR_UNSUPPORTED,
                     "'%.60s'; networks with one input are quantized; give one value, without ';'",
                     text_of(c, LISTS[i]));
    return KF_OK;
}

static kf_input_kind kind_of(const char *word) {
    static const char *const NAMES[] = {"rgb", "bgr", "yuv444", "gray", "featuremap", "nv12"};
    for (int i = 0; i < (int)KF_COUNT(NAMES); i++)
        if (strcmp(NAMES[i], word) == 0) return (kf_input_kind)i;
    return KF_INPUT_FEATUREMAP;
}

/* One number for all channels, or one each. */
static kf_status read_three(const config *c, kf__qkey key, double to[3], kf_error *err) {
    const char *at = text_of(c, key), *p;
    size_t bytes;
    int n = 0;
    while ((p = kf__qlist_next(&at, " ,;", &bytes))) {
        char *end;
        double x = strtod(p, &end);
        if (end != p + bytes)
            FAIL_KEY(c, err, key, KF_ERR_ARGUMENT, "'%.60s'; norm_type needs numbers here; %s", text_of(c, key),
                     "write one, or one for each channel");
        if (n == 3 || !(x > -1e30 && x < 1e30))
            FAIL_KEY(c, err, key, KF_ERR_ARGUMENT,
                     "'%.60s'; at most three finite numbers; write one, or one for each channel", text_of(c, key));
        if (key == KF_QK_SCALE && !(x > 0))
            FAIL_KEY(c, err, key, KF_ERR_ARGUMENT, "'%.60s'; a scale lies above 0; is it 1 / (255 * std)?",
                     text_of(c, key));
        to[n++] = x;
    }
    int want = c->out.trained == KF_INPUT_GRAY ? 1 : 3;
    if (n != 1 && n != want)
        FAIL_KEY(c, err, key, KF_ERR_ARGUMENT,
                 "'%.60s' has %d numbers for %d channels; write one, or one for each channel", text_of(c, key), n,
                 want);
    if (n == 1) to[1] = to[2] = to[0];
    return KF_OK;
}

static kf_status read_input(config *c, kf_error *err) {
    kf_quantize_config *o = &c->out;
    o->trained = kind_of(text_of(c, KF_QK_TYPE_TRAIN));
    o->runtime = kind_of(text_of(c, KF_QK_TYPE_RT));
    if (o->trained == KF_INPUT_YUV444)
        KF_TRY(
            say(c, KF_QK_TYPE_TRAIN,
                "yuv444: the model takes normalized tensors (kitfox run); pictures and frames are not turned into them",
                err));
    o->nhwc = is(c, KF_QK_LAYOUT_TRAIN, "NHWC");
    o->limited = is(c, KF_QK_RANGE, "bt601_video");
    o->input_shape = given(c, KF_QK_SHAPE) ? text_of(c, KF_QK_SHAPE) : NULL;
    for (int i = 0; i < 3; i++) o->mean[i] = 0, o->scale[i] = 1;
    bool both = is(c, KF_QK_NORM, "data_mean_and_scale"), mean = both || is(c, KF_QK_NORM, "data_mean"),
         scale = both || is(c, KF_QK_NORM, "data_scale");
    if ((mean || scale) && o->trained == KF_INPUT_FEATUREMAP)
        FAIL_KEY(c, err, KF_QK_NORM, KF_ERR_ARGUMENT,
                 "'%s' with input_type_train 'featuremap'; its values are used as they are; write no_preprocess",
                 text_of(c, KF_QK_NORM));
    if (mean) KF_TRY(read_three(c, KF_QK_MEAN, o->mean, err));
    if (scale) KF_TRY(read_three(c, KF_QK_SCALE, o->scale, err));
    o->normalizes = mean || scale;
    return KF_OK;
}

static kf_status read_calibration(config *c, kf_error *err) {
    static const struct {
        const char *name;
        kf_dtype dtype;
    } TYPES[] = {{"float32", KF_F32}, {"uint8", KF_U8}, {"int8", KF_I8}, {"int16", KF_I16}, {"int32", KF_I32}};
    kf_quantize_config *o = &c->out;
    const char *folder = text_of(c, KF_QK_CAL_DIR);
    if (is(c, KF_QK_CALIBRATION, "load"))
        FAIL_KEY(c, err, KF_QK_CALIBRATION, KF_ERR_UNSUPPORTED,
                 "'%s'; scales trained into a network are not read; calibrate with default, max or kl", "load");
    o->random = is(c, KF_QK_CALIBRATION, "skip");
    if (o->random)
        KF_TRY(say(c, KF_QK_CALIBRATION,
                   "skip: ranges come from random numbers; the model shows its speed, its answers mean nothing", err));
    size_t n = strlen(folder);
    while (n > 1 && folder[n - 1] == '/') n--;
    bool suffix = n >= 4 && strncmp(folder + n - 4, "_f32", 4) == 0;
    o->calibration_type = suffix ? KF_F32 : KF_U8;
    for (size_t i = 0; i < KF_COUNT(TYPES); i++)
        if (is(c, KF_QK_CAL_TYPE, TYPES[i].name)) o->calibration_type = TYPES[i].dtype;
    if (given(c, KF_QK_CAL_TYPE) && (o->calibration_type == KF_F32) != suffix)
        KF_TRY(say(c, KF_QK_CAL_TYPE,
                   suffix ? "wins over the suffix _f32 of cal_data_dir"
                          : "is float32 although cal_data_dir has no suffix _f32",
                   err));
    o->pictures = c->q.v[KF_QK_PREPROCESS_ON].truth;
    if (o->pictures && o->trained != KF_INPUT_RGB && o->trained != KF_INPUT_BGR)
        FAIL_KEY(c, err, KF_QK_PREPROCESS_ON, KF_ERR_UNSUPPORTED,
                 "with input_type_train '%s'; pictures are read for rgb and bgr; give raw files",
                 text_of(c, KF_QK_TYPE_TRAIN));
    const kf__qvalue *p = &c->q.v[KF_QK_PERCENTILE];
    o->percentile = p->at.line ? 100 * p->number : 100;
    o->range = is(c, KF_QK_CALIBRATION, "kl")                   ? KF_RANGE_KL
               : !is(c, KF_QK_CALIBRATION, "max") && !o->random ? KF_RANGE_MSE
               : o->percentile < 100                            ? KF_RANGE_PERCENTILE
                                                                : KF_RANGE_MAX;
    o->per_channel = -1;
    if (given(c, KF_QK_PER_CHANNEL) && o->range == KF_RANGE_MSE)
        return say(c, KF_QK_PER_CHANNEL, "has no effect on calibration_type default and mix; scales are per channel",
                   err);
    if (given(c, KF_QK_PER_CHANNEL)) o->per_channel = c->q.v[KF_QK_PER_CHANNEL].truth;
    return KF_OK;
}

/* ---- int16 nodes ------------------------------------------------------------------------------------------------- */

static kf_status add_int16(config *c, const char *name, kf__qmark at, kf_error *err) {
    kf_quantize_config *o = &c->out;
    if ((size_t)o->n_int16 == c->int16_cap) {
        size_t cap = c->int16_cap ? 2 * c->int16_cap : 16;
        const char **names = kf__arena_array(&c->arena, cap, sizeof *names),
                   **places = kf__arena_array(&c->arena, cap, sizeof *places);
        if (!names || !places) KF_FAIL_MEMORY(err, cap * sizeof *names);
        for (int32_t i = 0; i < o->n_int16; i++) names[i] = o->int16_nodes[i], places[i] = o->int16_places[i];
        o->int16_nodes = names, o->int16_places = places, c->int16_cap = cap;
    }
    const char *place = kf__arena_printf(&c->arena, "%s:%d:%d", c->q.file, at.line, at.column);
    if (!place || !name) KF_FAIL_MEMORY(err, 200);
    ((const char **)o->int16_nodes)[o->n_int16] = name;
    ((const char **)o->int16_places)[o->n_int16++] = place;
    return KF_OK;
}

/* 'n1:int16;n2:int16'; names may hold colons themselves. */
static kf_status read_pairs(config *c, kf__qkey key, kf_error *err) {
    const char *at = text_of(c, key), *p;
    size_t n;
    while ((p = kf__qlist_next(&at, ";", &n))) {
        size_t colon = n;
        while (colon && p[colon - 1] != ':') colon--;
        const char *type = p + colon + strspn(p + colon, " ");
        size_t len = (size_t)(p + n - type);
        bool wide = len == 5 && strncmp(type, "int16", 5) == 0;
        if (colon < 2 || (!wide && !(len == 4 && strncmp(type, "int8", 4) == 0)))
            FAIL_KEY(c, err, key, KF_ERR_ARGUMENT,
                     "'%.*s'; it must be NODE:int16 or NODE:int8, several separated by ';'", (int)(n > 80 ? 80 : n), p);
        if (wide) KF_TRY(add_int16(c, kf__arena_strndup(&c->arena, p, colon - 1), c->q.v[key].at, err));
    }
    return KF_OK;
}

static kf_status read_node(config *c, const kf__yaml_node *n, kf_error *err) {
    bool wide = false;
    if (n->kind != KF_YAML_MAPPING)
        KF_FAIL(err, KF_ERR_FORMAT,
                "%s:%d:%d: node_info of '%.80s' is not a mapping; write {'ON': 'BPU', 'InputType': 'int16', "
                "'OutputType': 'int16'}",
                c->q.file, n->at.line, n->at.column, n->key);
    for (const kf__yaml_node *k = n->child; k; k = k->next) {
        bool on = strcmp(k->key, "ON") == 0;
        size_t stem = strncmp(k->key, "InputType", 9) == 0 ? 9 : strncmp(k->key, "OutputType", 10) == 0 ? 10 : 0;
        if (!on && (!stem || k->key[stem + strspn(k->key + stem, "0123456789")]))
            KF_FAIL(err, KF_ERR_ARGUMENT,
                    "%s:%d:%d: unknown key '%.60s' in node_info; the known ones are ON, InputType, InputType0.., "
                    "OutputType; correct it",
                    c->q.file, k->key_at.line, k->key_at.column, k->key);
        const char *t = k->kind == KF_YAML_SCALAR ? k->text : "";
        if (on ? strcmp(t, "BPU") && strcmp(t, "CPU") : strcmp(t, "int8") && strcmp(t, "int16"))
            KF_FAIL(err, KF_ERR_ARGUMENT, "%s:%d:%d: %.60s '%.60s' in node_info; it is none of %s; write one of them",
                    c->q.file, k->at.line, k->at.column, k->key, t, on ? "BPU|CPU" : "int8|int16");
        wide |= !on && strcmp(t, "int16") == 0;
    }
    return wide ? add_int16(c, n->key, n->key_at, err) : KF_OK;
}

static kf_status read_nodes(config *c, kf_error *err) {
    const kf__qvalue *v = &c->q.v[KF_QK_NODE_INFO];
    if (given(c, KF_QK_NODE_TYPE)) KF_TRY(read_pairs(c, KF_QK_NODE_TYPE, err));
    if (!v->node || v->node->kind == KF_YAML_SCALAR) return read_pairs(c, KF_QK_NODE_INFO, err);
    for (const kf__yaml_node *n = v->node->child; n; n = n->next) KF_TRY(read_node(c, n, err));
    return KF_OK;
}

/* Tokens separated by commas. */
static kf_status read_optimization(config *c, kf_error *err) {
    static const char *const KNOWN[] = {"set_model_output_int8", "set_model_output_int16", "asymmetric",
                                        "bias_correction",       "lstm_batch_last",        "run_fast"};
    const char *at = text_of(c, KF_QK_OPTIMIZATION), *p;
    size_t n;
    while ((p = kf__qlist_next(&at, " ,", &n))) {
        size_t k = 0;
        char token[80], line[256];
        snprintf(token, sizeof token, "%.*s", (int)(n < sizeof token ? n : sizeof token - 1), p);
        if (strcmp(token, "set_all_nodes_int16") == 0) {
            c->out.all_int16 = 1;
            continue;
        }
        while (k < KF_COUNT(KNOWN) && strcmp(KNOWN[k], token) != 0) k++;
        size_t len = strlen(token);
        bool one_kind = strncmp(token, "set_", 4) == 0 && ((len > 5 && strcmp(token + len - 5, "_int8") == 0) ||
                                                           (len > 6 && strcmp(token + len - 6, "_int16") == 0));
        if (k == KF_COUNT(KNOWN) && !one_kind)
            FAIL_KEY(c, err, KF_QK_OPTIMIZATION, KF_ERR_ARGUMENT,
                     "'%s'; there is no such token; known are set_all_nodes_int16, set_<Kind>_input_int16, asymmetric, "
                     "bias_correction",
                     token);
        const char *why = k == 2 || k == 3      ? "is always on"
                          : k < 2               ? "is not done; outputs are float32"
                          : k < KF_COUNT(KNOWN) ? "has no meaning on a CPU"
                                                : "is not done for a kind of node; name the nodes in node_info";
        snprintf(line, sizeof line, "'%s' %s", token, why);
        KF_TRY(say(c, KF_QK_OPTIMIZATION, line, err));
    }
    return KF_OK;
}

/* 'a;b' */
static kf_status read_list(config *c, kf__qkey key, const char *const **out, int32_t *n, kf_error *err) {
    const char *at = text_of(c, key), *p;
    const char **list = kf__arena_array(&c->arena, strlen(at) / 2 + 2, sizeof *list);
    size_t len;
    if (!list) KF_FAIL_MEMORY(err, strlen(at));
    while ((p = kf__qlist_next(&at, ";", &len)))
        if (!(list[(*n)++] = kf__arena_strndup(&c->arena, p, len))) KF_FAIL_MEMORY(err, len);
    *out = list;
    return KF_OK;
}

/* A table, so that each value is found at once. */
static kf_status list_entries(config *c, kf_error *err) {
    const kf__yaml_node *root = c->q.tree.root;
    c->entries = kf__arena_array(&c->arena, (size_t)c->q.tree.n_nodes, sizeof *c->entries);
    if (!c->entries) KF_FAIL_MEMORY(err, (size_t)c->q.tree.n_nodes * sizeof *c->entries);
    for (const kf__yaml_node *n = root; n; n = kf__yaml_after(n))
        if (n != root && !n->child) c->entries[c->n_entries++] = n;
    return KF_OK;
}

static kf_status interpret(config *c, kf_error *err) {
    kf_quantize_config *o = &c->out;
    KF_TRY(set_places(c, err));
    KF_TRY(list_entries(c, err));
    for (int32_t i = 0; i < c->q.n_notices; i++)
        if (c->notice) c->notice(c->user, c->q.notices[i]);
    KF_TRY(check_single(c, err));
    KF_TRY(read_input(c, err));
    KF_TRY(read_calibration(c, err));
    KF_TRY(read_nodes(c, err));
    KF_TRY(read_optimization(c, err));
    KF_TRY(read_list(c, KF_QK_OUTPUT_NODES, &o->output_nodes, &o->n_output_nodes, err));
    KF_TRY(read_list(c, KF_QK_REMOVE_TYPE, &o->remove_types, &o->n_remove_types, err));
    KF_TRY(read_list(c, KF_QK_REMOVE_NAME, &o->remove_names, &o->n_remove_names, err));
    o->dump = given(c, KF_QK_DEBUG_MODE);
    if (given(c, KF_QK_BATCH) && c->q.v[KF_QK_BATCH].number != 1)
        KF_TRY(say(c, KF_QK_BATCH,
                   "has no effect; the model takes one picture at a time, whose answer is the same in a batch", err));
    if (given(c, KF_QK_LAYOUT_RT))
        KF_TRY(say(c, KF_QK_LAYOUT_RT,
                   "has no meaning on a CPU; pictures are given as pixels, tensors in the network's own layout", err));
    o->model = kf__qconfig_path(&c->q, &c->arena, text_of(c, KF_QK_ONNX_MODEL));
    o->prefix = given(c, KF_QK_PREFIX) ? text_of(c, KF_QK_PREFIX) : "model";
    o->working_dir = kf__qconfig_path(&c->q, &c->arena,
                                      given(c, KF_QK_WORKING_DIR) ? text_of(c, KF_QK_WORKING_DIR) : "model_output");
    o->calibration = kf__qconfig_path(&c->q, &c->arena, text_of(c, KF_QK_CAL_DIR));
    if (!o->model || !o->working_dir || !o->calibration) KF_FAIL_MEMORY(err, 4096);
    return KF_OK;
}

static kf_status load(config *c, const char *path, const kf__file *map, kf_error *err) {
    const char *name = kf__arena_strdup(&c->arena, path),
               *text = map->size ? kf__arena_copy(&c->arena, map->data, map->size) : "";
    if (!name || !text) KF_FAIL_MEMORY(err, map->size);
    KF_TRY(kf__qconfig_parse(name, text, map->size, &c->arena, &c->q, err));
    return interpret(c, err);
}

kf_status kf_quantize_config_load(const char *path, kf_message_fn notice, void *user, kf_quantize_config **out,
                                  kf_error *err) {
    if (!path || !out) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_quantize_config_load: path and out are needed");
    *out = NULL;
    kf__file map;
    KF_TRY(kf__file_read(path, (size_t)1 << 20, &map, err));
    config *c = kf__mem_zalloc(NULL, sizeof *c);
    kf_status st = c ? KF_OK : kf_error_set(err, KF_ERR_MEMORY, "out of memory");
    if (c) {
        kf__arena_init(&c->arena, NULL);
        c->notice = notice, c->user = user;
        st = load(c, path, &map, err);
    }
    kf__file_free(&map);
    kf_quantize_config *made = c ? &c->out : NULL;
    if (st != KF_OK) kf_quantize_config_free(&made);
    *out = made;
    return st;
}

void kf_quantize_config_free(kf_quantize_config **cfg) {
    if (!cfg || !*cfg) return;
    config *c = (config *)*cfg;
    kf__arena_free(&c->arena);
    kf__mem_free(NULL, c);
    *cfg = NULL;
}

const char *kf_quantize_config_place(const kf_quantize_config *cfg, const char *key) {
    const config *c = (const config *)cfg;
    if (!cfg) return "";
    for (int i = 0; key && i < KF_QK_COUNT; i++)
        if (strcmp(kf__qkeys[i].name, key) == 0) return c->places[i];
    return c->q.file;
}

kf_status kf_quantize_config_entry(const kf_quantize_config *cfg, int32_t index, kf_config_entry *out, kf_error *err) {
    static const kf_entry_type TYPES[] = {[KF_YAML_NULL] = KF_ENTRY_NULL,
                                          [KF_YAML_BOOL] = KF_ENTRY_BOOL,
                                          [KF_YAML_INT] = KF_ENTRY_INT,
                                          [KF_YAML_FLOAT] = KF_ENTRY_FLOAT,
                                          [KF_YAML_TEXT] = KF_ENTRY_TEXT};
    const config *c = (const config *)cfg;
    bool truth = false;
    if (!cfg || !out || index < 0)
        KF_FAIL(err, KF_ERR_ARGUMENT, "kf_quantize_config_entry: config and out are needed, and an index of 0 or more");
    *out = (kf_config_entry){0};
    if (index >= c->n_entries)
        KF_FAIL(err, KF_ERR_ARGUMENT, "kf_quantize_config_entry: value %d; the file has %d", index, c->n_entries);
    const kf__yaml_node *n = c->entries[index];
    for (const kf__yaml_node *p = n; p->parent; p = p->parent) out->depth++;
    int32_t i = out->depth;
    for (const kf__yaml_node *p = n; p->parent; p = p->parent) out->path[--i] = p->key; /* at most KF_YAML_MAX_DEPTH */
    out->text = n->text ? n->text : "";
    out->line = n->at.line, out->column = n->at.column;
    if (n->kind == KF_YAML_SEQUENCE) out->type = KF_ENTRY_LIST;
    else if (n->kind == KF_YAML_MAPPING) out->type = KF_ENTRY_MAPPING;
    else out->type = TYPES[kf__yaml_scalar_type(n, &truth, &out->number)];
    if (out->type == KF_ENTRY_BOOL) out->number = truth;
    return KF_OK;
}
