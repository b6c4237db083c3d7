/* The file to a kf_rdk_config: the table of keys, and the one place where the value of each is judged and decoded.
 * Unknown keys, wrong types, values and combinations are refused with file, line and column.
 * Owner rule: the configuration owns everything; kf_rdk_free releases it. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rdk/rdk.h"
#include "data/plain.h"

_Static_assert(KF_YAML_MAX_DEPTH <= KF_RDK_DEPTH, "a path holds every key around a value");

/* ---- the keys ---------------------------------------------------------------------------------------------------- */

typedef enum kind { TEXT, INPUTS, LIST, BOOL, INT, REAL, NUMBERS, ANY } kind;
typedef enum group { MODEL, INPUT, CALIBRATION, COMPILER, CUSTOM, N_GROUPS } group;

static const char *const GROUPS[N_GROUPS] = {"model_parameters", "input_parameters", "calibration_parameters",
                                             "compiler_parameters", "custom_op"};

/* id, group, name, type, allowed words, why it has no meaning on a CPU (NULL: it has one). Where code below speaks of a
 * `choice`, it counts the allowed words from 0. */
#define KEYS(X)                                                                                                        \
    X(ONNX_MODEL, MODEL, "onnx_model", TEXT, NULL, NULL)                                                               \
    X(PROTOTXT, MODEL, "prototxt", TEXT, NULL, NULL)                                                                   \
    X(CAFFE_MODEL, MODEL, "caffe_model", TEXT, NULL, NULL)                                                             \
    X(MARCH, MODEL, "march", TEXT, "bernoulli2|bayes|bayes-e", "instructions are chosen when the model is loaded")     \
    X(PREFIX, MODEL, "output_model_file_prefix", TEXT, NULL, NULL)                                                     \
    X(WORKING_DIR, MODEL, "working_dir", TEXT, NULL, NULL)                                                             \
    X(LAYER_OUT_DUMP, MODEL, "layer_out_dump", BOOL, NULL, "any node can be compared without it")                      \
    X(OUTPUT_NODES, MODEL, "output_nodes", TEXT, NULL, NULL)                                                           \
    X(REMOVE_TYPE, MODEL, "remove_node_type", LIST, "Quantize|Dequantize|Transpose|Cast|Reshape|Softmax", NULL)        \
    X(REMOVE_NAME, MODEL, "remove_node_name", TEXT, NULL, NULL)                                                        \
    X(NODE_TYPE, MODEL, "set_node_data_type", TEXT, NULL, NULL)                                                        \
    X(DEBUG_MODE, MODEL, "debug_mode", TEXT, "dump_calibration_data", NULL)                                            \
    X(NODE_INFO, MODEL, "node_info", ANY, NULL, NULL)                                                                  \
    X(LOG_LEVEL, MODEL, "log_level", TEXT, NULL, "the log is always complete")                                         \
    X(INPUT_NAME, INPUT, "input_name", INPUTS, NULL, NULL)                                                             \
    X(TYPE_TRAIN, INPUT, "input_type_train", LIST, "rgb|bgr|yuv444|gray|featuremap", NULL)                             \
    X(LAYOUT_TRAIN, INPUT, "input_layout_train", LIST, "NCHW|NHWC", NULL)                                              \
    X(TYPE_RT, INPUT, "input_type_rt", LIST, "rgb|bgr|yuv444|gray|featuremap|nv12", NULL)                              \
    X(LAYOUT_RT, INPUT, "input_layout_rt", LIST, "NCHW|NHWC", NULL)                                                    \
    X(RANGE, INPUT, "input_space_and_range", LIST, "regular|bt601_video", NULL)                                        \
    X(SHAPE, INPUT, "input_shape", INPUTS, NULL, NULL)                                                                 \
    X(BATCH, INPUT, "input_batch", INT, NULL, NULL)                                                                    \
    X(SEPARATE, INPUT, "separate_batch", BOOL, NULL, "pictures are processed one by one")                              \
    X(NORM, INPUT, "norm_type", LIST, "no_preprocess|data_mean|data_scale|data_mean_and_scale", NULL)                  \
    X(MEAN, INPUT, "mean_value", NUMBERS, NULL, NULL)                                                                  \
    X(SCALE, INPUT, "scale_value", NUMBERS, NULL, NULL)                                                                \
    X(CAL_DIR, CALIBRATION, "cal_data_dir", INPUTS, NULL, NULL)                                                        \
    X(CAL_TYPE, CALIBRATION, "cal_data_type", LIST, "float32|uint8|int32|int16|int8", NULL)                            \
    X(PREPROCESS_ON, CALIBRATION, "preprocess_on", BOOL, NULL, NULL)                                                   \
    X(METHOD, CALIBRATION, "calibration_type", TEXT, "default|mix|kl|max|load|skip", NULL)                             \
    X(PERCENTILE, CALIBRATION, "max_percentile", REAL, NULL, NULL)                                                     \
    X(PER_CHANNEL, CALIBRATION, "per_channel", BOOL, NULL, NULL)                                                       \
    X(ON_CPU, CALIBRATION, "run_on_cpu", TEXT, NULL, "every node runs there")                                          \
    X(ON_BPU, CALIBRATION, "run_on_bpu", TEXT, NULL, "every node runs on the CPU")                                     \
    X(OPTIMIZATION, CALIBRATION, "optimization", TEXT, NULL, NULL)                                                     \
    X(COMPILE_MODE, COMPILER, "compile_mode", TEXT, "latency|bandwidth|balance", "there is one way to compile")        \
    X(BALANCE, COMPILER, "balance_factor", INT, NULL, "there is one way to compile")                                   \
    X(DEBUG, COMPILER, "debug", BOOL, NULL, "profiles need no extra data")                                             \
    X(CORE_NUM, COMPILER, "core_num", INT, NULL, "threads are chosen when the model runs")                             \
    X(LEVEL, COMPILER, "optimize_level", TEXT, "O0|O1|O2|O3", "there is one level, the best")                          \
    X(SOURCE, COMPILER, "input_source", ANY, NULL, "inputs come from memory")                                          \
    X(FC_TIME, COMPILER, "max_time_per_fc", INT, NULL, "there is no accelerator call to interrupt")                    \
    X(JOBS, COMPILER, "jobs", INT, NULL, "compiling takes one thread")                                                 \
    X(ADVICE, COMPILER, "advice", INT, NULL, "use kitfox bench --profile")                                             \
    X(OP_METHOD, CUSTOM, "custom_op_method", TEXT, "register", "custom operators are not run")                         \
    X(OP_FILES, CUSTOM, "op_register_files", TEXT, NULL, "custom operators are not run")                               \
    X(OP_DIR, CUSTOM, "custom_op_dir", TEXT, NULL, "custom operators are not run")

typedef enum key {
#define X(id, group, name, type, allowed, notice) K_##id,
    KEYS(X)
#undef X
        N_KEYS
} key;

typedef struct key_info {
    const char *name;
    group in;
    kind type;
    const char *allowed, *notice;
} key_info;

static const key_info INFO[N_KEYS] = {
#define X(id, group, name, type, allowed, notice) {name, group, type, allowed, notice},
    KEYS(X)
#undef X
};

/* Choices of norm_type are sums of these. */
enum { NORM_MEAN = 1, NORM_SCALE = 2 };
/* Choices of calibration_type. */
enum { METHOD_DEFAULT, METHOD_MIX, METHOD_KL, METHOD_MAX, METHOD_LOAD, METHOD_SKIP };

/* A value of the file, decoded once. Absent: everything is zero, and `text` is empty. */
typedef struct value {
    kf__qmark at;              /* line 0: absent, or empty */
    const char *text;          /* as written, without the marks behind a list */
    const kf__yaml_node *node; /* ANY: as written */
    bool truth;                /* BOOL */
    double number;             /* INT, REAL */
    int choice;                /* with allowed words: which; of a list the last */
    double first[3];           /* NUMBERS: the first three of `count` */
    int count;
    bool none, outside; /* NUMBERS: a None is among them; one is not finite, or absurd */
} value;

typedef struct config {
    kf_rdk_config out; /* first: the public pointer is this one */
    kf__rdk_memory memory;
    const char *file, *folder; /* relative paths start at `folder` */
    kf__yaml_tree tree;
    value v[N_KEYS];
    const char *places[N_KEYS];
    const kf__yaml_node **entries; /* values and empty containers in the order of the file */
    int32_t n_entries;
    kf__rdk_mention *mentions;
    size_t n_mentions, mentions_cap, notices_cap, int16_cap;
    kf_error *err;
} config;

#define FAIL_AT(c, mark, st, fmt, ...)                                                                                 \
    KF_FAIL((c)->err, st, "%s:%d:%d: " fmt, (c)->file, (mark).line, (mark).column, __VA_ARGS__)
#define FAIL_KEY(c, key, st, fmt, ...) FAIL_AT(c, (c)->v[key].at, st, "%s " fmt, INFO[key].name, __VA_ARGS__)

static const char *text_of(const config *c, key k) { return c->v[k].text; }
static bool given(const config *c, key k) { return c->v[k].at.line > 0; }

/* ---- small tools ------------------------------------------------------------------------------------------------- */

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

/* The scanner of every list: `marks` and spaces lie between items, empty items are passed over. `*at` begins at the
 * text and moves on; `*n` becomes the bytes of the item without the spaces around it. NULL at the end. */
static const char *list_next(const char **at, const char *marks, size_t *n) {
    const char *p = *at;
    while (*p == ' ' || (*p && strchr(marks, *p))) p++;
    *n = strcspn(p, marks);
    *at = p + *n;
    while (*n && p[*n - 1] == ' ') --*n;
    return *n ? p : NULL;
}

/* Which word of "a|b|c" it is; -1: none. */
static int word_in(const char *list, const char *word, size_t n) {
    const char *p;
    size_t bytes;
    for (int i = 0; (p = list_next(&list, "|", &bytes)) != NULL; i++)
        if (bytes == n && strncmp(p, word, n) == 0) return i;
    return -1;
}

/* One more pointer behind `n` of them. */
static bool append(kf__rdk_memory *m, const char *const **list, int32_t *n, size_t *cap, const char *text) {
    if (!text) return false;
    if ((size_t)*n == *cap) {
        size_t want = *cap ? 2 * *cap : 16;
        const char **grown = kf__rdk_alloc(m, want, sizeof *grown);
        if (!grown) return false;
        if (*n) memcpy(grown, *list, (size_t)*n * sizeof *grown);
        *list = grown, *cap = want;
    }
    ((const char **)*list)[(*n)++] = text;
    return true;
}

/* Notices are reported after the whole file was read. */
static kf_status say(config *c, kf__qmark at, const char *name, const char *what) {
    const char *text = kf__rdk_printf(&c->memory, "%s:%d:%d: %s %s", c->file, at.line, at.column, name, what);
    if (!append(&c->memory, &c->out.notices, &c->out.n_notices, &c->notices_cap, text)) KF_RDK_FAIL_MEMORY(c->err);
    return KF_OK;
}

static kf_status say_key(config *c, key k, const char *what) { return say(c, c->v[k].at, INFO[k].name, what); }

/* ---- the value of one key ---------------------------------------------------------------------------------------- */

static kf_status read_words(config *c, key k) {
    const char *at = text_of(c, k), *p;
    size_t n;
    while ((p = list_next(&at, INFO[k].type == LIST ? ";" : "", &n))) {
        int choice = word_in(INFO[k].allowed, p, n);
        if (choice < 0)
            FAIL_KEY(c, k, KF_ERR_ARGUMENT, "'%.*s'; it is none of %s; write one of them", (int)(n > 60 ? 60 : n), p,
                     INFO[k].allowed);
        c->v[k].choice = choice;
    }
    return KF_OK;
}

/* A single number is one of YAML, whose 010 is 8; several are a text, of decimals. */
static kf_status read_numbers(config *c, key k, kf__yaml_type type) {
    value *v = &c->v[k];
    const char *at = v->text, *p;
    bool one = type == KF_YAML_INT || type == KF_YAML_FLOAT;
    size_t n;
    while ((p = list_next(&at, " ,;", &n))) {
        char *end = (char *)p;
        bool none = strncmp(p, "None", 4) == 0;
        double x = 0;
        if (none) end += 4;
        else x = kf__lab_real(p, &end);
        if (end != p + n)
            FAIL_KEY(c, k, KF_ERR_ARGUMENT, "'%.60s'; it must be numbers separated by spaces; %s", v->text,
                     "write 123.675 116.28 103.53, or None for an input without");
        if (one && x != v->number)
            FAIL_KEY(c, k, KF_ERR_ARGUMENT, "'%.60s'; YAML reads this as %.9g; write a decimal number", v->text,
                     v->number);
        if (v->count < 3) v->first[v->count] = x;
        v->count++;
        v->none = v->none || none;
        v->outside = v->outside || !(x > -1e30 && x < 1e30);
    }
    return KF_OK;
}

/* "a;" is a list of one item: separators after the last item are dropped, and so are spaces around a word of the
 * table. */
static kf_status strip_list(config *c, key k, const kf__yaml_node *n) {
    kind type = INFO[k].type;
    bool list = type == LIST || type == NUMBERS || type == INPUTS;
    c->v[k].text = n->text;
    if (!list && !INFO[k].allowed) return KF_OK;
    const char *text = n->text + strspn(n->text, " ");
    size_t len = strlen(text);
    while (len && (text[len - 1] == ' ' || (list && text[len - 1] == ';'))) len--;
    c->v[k].text = kf__rdk_text(&c->memory, text, len);
    if (!c->v[k].text) KF_RDK_FAIL_MEMORY(c->err);
    return KF_OK;
}

static bool fits(kind type, kf__yaml_type have) {
    if (type == BOOL) return have == KF_YAML_BOOL;
    if (type == INT) return have == KF_YAML_INT;
    return type != REAL || have == KF_YAML_INT || have == KF_YAML_FLOAT;
}

static kf_status read_scalar(config *c, key k, const kf__yaml_node *n, const char *want) {
    value *v = &c->v[k];
    kf__yaml_type type = kf__yaml_scalar_type(n, &v->truth, &v->number);
    if (type == KF_YAML_NULL || !*n->text) return KF_OK; /* '' counts as absent */
    KF_TRY(strip_list(c, k, n));
    if (!*v->text) return KF_OK; /* ';' alone: an empty list */
    v->at = n->at;
    if (!fits(INFO[k].type, type))
        FAIL_KEY(c, k, KF_ERR_FORMAT, "'%.60s'; it must be %s; write it without quotes", n->text, want);
    if (INFO[k].allowed) KF_TRY(read_words(c, k));
    if (INFO[k].type == NUMBERS) KF_TRY(read_numbers(c, k, type));
    if (!INFO[k].notice) return KF_OK;
    char text[120];
    snprintf(text, sizeof text, "has no meaning on a CPU; %s", INFO[k].notice);
    return say(c, n->key_at, INFO[k].name, text);
}

static kf_status read_value(config *c, key k, const kf__yaml_node *n) {
    static const char *const WANT[] = {"text",           "text",     "text",    "True or False",
                                       "a whole number", "a number", "numbers", "a mapping or text"};
    c->v[k].node = n;
    if (n->kind == KF_YAML_SCALAR) return read_scalar(c, k, n, WANT[INFO[k].type]);
    c->v[k].at = n->at;
    if (INFO[k].type != ANY || n->kind == KF_YAML_SEQUENCE)
        FAIL_KEY(c, k, KF_ERR_FORMAT, "is a %s; it must be %s; check brackets and indentation",
                 n->kind == KF_YAML_MAPPING ? "mapping" : "list", WANT[INFO[k].type]);
    return KF_OK;
}

static kf_status refuse_key(config *c, group g, const kf__yaml_node *n) {
    const key_info *near = INFO;
    int best = INT_MAX;
    if (strcmp(n->key, "std_value") == 0) /* files for newer boards have it; the nearest word is another thing */
        FAIL_AT(c, n->key_at, KF_ERR_ARGUMENT, "unknown key '%s' in %s; write %s", n->key, GROUPS[g],
                "scale_value = 1 / std_value instead (0.01712475 for a std_value of 58.395)");
    for (int k = 0; k < N_KEYS; k++) {
        int d = distance(INFO[k].name, n->key) * 2 + (INFO[k].in != g);
        if (d < best) best = d, near = &INFO[k];
    }
    FAIL_AT(c, n->key_at, KF_ERR_ARGUMENT, "unknown key '%.60s' in %s; the nearest is %s of %s; correct or remove it",
            n->key, GROUPS[g], near->name, GROUPS[near->in]);
}

static kf_status read_group(config *c, group g, const kf__yaml_node *node) {
    if (node->kind != KF_YAML_MAPPING)
        FAIL_AT(c, node->key_at, KF_ERR_FORMAT, "%s has no keys; it must be a group; indent its keys below it",
                node->key);
    for (const kf__yaml_node *n = node->child; n; n = n->next) {
        int k = 0;
        while (k < N_KEYS && (INFO[k].in != g || strcmp(INFO[k].name, n->key) != 0)) k++;
        if (k == N_KEYS) return refuse_key(c, g, n);
        KF_TRY(read_value(c, (key)k, n));
    }
    return KF_OK;
}

static kf_status read_groups(config *c, const kf__yaml_node *groups[N_GROUPS]) {
    const kf__yaml_node *root = c->tree.root;
    if (root->kind != KF_YAML_MAPPING)
        FAIL_AT(c, root->at, KF_ERR_FORMAT, "%s",
                "not a configuration; it must begin with model_parameters:; is this the right file?");
    for (const kf__yaml_node *n = root->child; n; n = n->next) {
        int g = 0, near = 0;
        for (; g < N_GROUPS && strcmp(GROUPS[g], n->key) != 0; g++)
            if (distance(GROUPS[g], n->key) < distance(GROUPS[near], n->key)) near = g;
        if (g == N_GROUPS)
            FAIL_AT(c, n->key_at, KF_ERR_ARGUMENT, "unknown group '%.60s'; the nearest is %s; correct or remove it",
                    n->key, GROUPS[near]);
        groups[g] = n;
        KF_TRY(read_group(c, (group)g, n));
    }
    for (int g = 0; g < CUSTOM; g++)
        if (!groups[g])
            KF_FAIL(c->err, KF_ERR_FORMAT, "%s:1:1: group %s is missing; four groups are needed; add it", c->file,
                    GROUPS[g]);
    return KF_OK;
}

static kf_status check_required(config *c, const kf__yaml_node *const groups[N_GROUPS]) {
    static const key REQUIRED[] = {K_ONNX_MODEL, K_TYPE_TRAIN, K_LAYOUT_TRAIN, K_TYPE_RT, K_CAL_DIR};
    int method = c->v[K_METHOD].choice;
    for (size_t i = 0; i < KF_RDK_COUNT(REQUIRED); i++) {
        const key_info *info = &INFO[REQUIRED[i]];
        bool spared = REQUIRED[i] == K_CAL_DIR && (method == METHOD_SKIP || method == METHOD_LOAD);
        if (given(c, REQUIRED[i]) || spared) continue;
        FAIL_AT(c, groups[info->in]->key_at, KF_ERR_FORMAT, "%s has no %s; it is needed; add the line",
                GROUPS[info->in], info->name);
    }
    return KF_OK;
}

/* One input only: a list of several is refused, "a;" is one. */
static kf_status check_single(config *c) {
    for (int k = 0; k < N_KEYS; k++) {
        bool each = INFO[k].type == INPUTS || INFO[k].type == NUMBERS || (INFO[k].type == LIST && k != K_REMOVE_TYPE);
        if (each && strchr(text_of(c, (key)k), ';'))
            FAIL_KEY(c, k, KF_ERR_UNSUPPORTED,
                     "'%.60s'; networks with one input are quantized; give one value, without ';'", text_of(c, (key)k));
    }
    return KF_OK;
}

/* ---- model_parameters -------------------------------------------------------------------------------------------- */

/* 'a;b' */
static kf_status read_list(config *c, key k, const char *const **out, int32_t *n) {
    const char *at = text_of(c, k), *p;
    size_t len, cap = 0;
    while ((p = list_next(&at, ";", &len)))
        if (!append(&c->memory, out, n, &cap, kf__rdk_text(&c->memory, p, len))) KF_RDK_FAIL_MEMORY(c->err);
    return KF_OK;
}

static kf_status add_int16(config *c, const char *name, kf__qmark at) {
    kf_rdk_config *o = &c->out;
    int32_t n = o->n_int16;
    size_t cap = c->int16_cap;
    const char *place = kf__rdk_printf(&c->memory, "%s:%d:%d", c->file, at.line, at.column);
    bool ok = append(&c->memory, &o->int16_places, &n, &cap, place) &&
              append(&c->memory, &o->int16_nodes, &o->n_int16, &c->int16_cap, name);
    if (!ok) KF_RDK_FAIL_MEMORY(c->err);
    return KF_OK;
}

/* A name that has no effect; whether the network has it is seen later (network.c). */
static kf_status mention(config *c, key k, const char *name, kf__qmark at) {
    const char *place = kf__rdk_printf(&c->memory, "%s:%d:%d", c->file, at.line, at.column);
    if (c->n_mentions == c->mentions_cap) {
        size_t want = c->mentions_cap ? 2 * c->mentions_cap : 16;
        kf__rdk_mention *grown = kf__rdk_alloc(&c->memory, want, sizeof *grown);
        if (!grown) KF_RDK_FAIL_MEMORY(c->err);
        if (c->n_mentions) memcpy(grown, c->mentions, c->n_mentions * sizeof *grown);
        c->mentions = grown, c->mentions_cap = want;
    }
    if (!name || !place) KF_RDK_FAIL_MEMORY(c->err);
    c->mentions[c->n_mentions++] = (kf__rdk_mention){INFO[k].name, name, place, k == K_SOURCE};
    return KF_OK;
}

/* 'a;b', by one place for all. */
static kf_status mention_list(config *c, key k) {
    const char *at = text_of(c, k), *p;
    size_t n;
    while ((p = list_next(&at, ";", &n))) KF_TRY(mention(c, k, kf__rdk_text(&c->memory, p, n), c->v[k].at));
    return KF_OK;
}

/* Inputs by name: {'data': 'ddr', '_default_value': 'ddr'}. */
static kf_status mention_inputs(config *c) {
    const kf__yaml_node *n = c->v[K_SOURCE].node;
    for (n = n && n->kind == KF_YAML_MAPPING ? n->child : NULL; n; n = n->next)
        if (strcmp(n->key, "_default_value") != 0) KF_TRY(mention(c, K_SOURCE, n->key, n->key_at));
    return KF_OK;
}

const kf__rdk_mention *kf__rdk_mentions(const kf_rdk_config *pointer, size_t *n) {
    const config *c = (const config *)pointer;
    *n = c->n_mentions;
    return c->mentions;
}

/* 'n1:int16;n2:int16'; names may hold colons themselves. */
static kf_status read_pairs(config *c, key k) {
    const char *at = text_of(c, k), *p;
    size_t n;
    while ((p = list_next(&at, ";", &n))) {
        size_t colon = n;
        while (colon && p[colon - 1] != ':') colon--;
        const char *type = p + colon + strspn(p + colon, " ");
        int wide = word_in("int8|int16", type, (size_t)(p + n - type));
        if (colon < 2 || wide < 0)
            FAIL_KEY(c, k, KF_ERR_ARGUMENT, "'%.*s'; it must be NODE:int16 or NODE:int8, several separated by ';'",
                     (int)(n > 80 ? 80 : n), p);
        const char *name = kf__rdk_text(&c->memory, p, colon - 1);
        KF_TRY(wide ? add_int16(c, name, c->v[k].at) : mention(c, k, name, c->v[k].at));
    }
    return KF_OK;
}

static kf_status read_node(config *c, const kf__yaml_node *n) {
    bool wide = false;
    if (n->kind != KF_YAML_MAPPING)
        FAIL_AT(c, n->at, KF_ERR_FORMAT,
                "node_info of '%.80s' is not a mapping; write {'ON': 'BPU', 'InputType': 'int16', 'OutputType': "
                "'int16'}",
                n->key);
    for (const kf__yaml_node *k = n->child; k; k = k->next) {
        bool on = strcmp(k->key, "ON") == 0;
        size_t stem = strncmp(k->key, "InputType", 9) == 0 ? 9 : 0;
        if (strncmp(k->key, "OutputType", 10) == 0) stem = 10;
        if (!on && (!stem || k->key[stem + strspn(k->key + stem, "0123456789")]))
            FAIL_AT(c, k->key_at, KF_ERR_ARGUMENT,
                    "unknown key '%.60s' in node_info; the known ones are ON, InputType, InputType0.., OutputType; "
                    "correct it",
                    k->key);
        const char *words = on ? "BPU|CPU" : "int8|int16";
        const char *text = k->kind == KF_YAML_SCALAR ? k->text : "";
        int choice = word_in(words, text, strlen(text));
        if (choice < 0)
            FAIL_AT(c, k->at, KF_ERR_ARGUMENT, "%.60s '%.60s' in node_info; it is none of %s; write one of them",
                    k->key, text, words);
        wide |= !on && choice == 1;
        if (on && choice == 1)
            KF_TRY(say(c, k->at, "ON",
                       "CPU has no effect in node_info; every node runs on the CPU, and this one is quantized too"));
    }
    return wide ? add_int16(c, n->key, n->key_at) : mention(c, K_NODE_INFO, n->key, n->key_at);
}

static kf_status read_nodes(config *c) {
    const kf__yaml_node *node = c->v[K_NODE_INFO].node;
    if (given(c, K_NODE_TYPE)) KF_TRY(read_pairs(c, K_NODE_TYPE));
    if (!node || node->kind == KF_YAML_SCALAR) return read_pairs(c, K_NODE_INFO);
    for (const kf__yaml_node *n = node->child; n; n = n->next) KF_TRY(read_node(c, n));
    return KF_OK;
}

/* A path of the file, absolute or relative to the working directory. */
static kf_status read_path(config *c, const char *path, const char **out) {
    *out = *path == '/' ? path : kf__rdk_printf(&c->memory, "%s%s", c->folder, path);
    if (!*out) KF_RDK_FAIL_MEMORY(c->err);
    return KF_OK;
}

static kf_status read_model(config *c) {
    kf_rdk_config *o = &c->out;
    key caffe = given(c, K_CAFFE_MODEL) ? K_CAFFE_MODEL : K_PROTOTXT;
    if (given(c, caffe))
        FAIL_AT(c, c->v[caffe].at, KF_ERR_UNSUPPORTED, "a Caffe model; %s",
                "only ONNX is read; convert it and set onnx_model");
    if (strchr(text_of(c, K_PREFIX), '/'))
        FAIL_KEY(c, K_PREFIX, KF_ERR_ARGUMENT, "'%.60s'; a prefix has no folder; set working_dir",
                 text_of(c, K_PREFIX));
    o->prefix = given(c, K_PREFIX) ? text_of(c, K_PREFIX) : "model";
    o->dump = given(c, K_DEBUG_MODE);
    KF_TRY(read_path(c, text_of(c, K_ONNX_MODEL), &o->model));
    KF_TRY(read_path(c, given(c, K_WORKING_DIR) ? text_of(c, K_WORKING_DIR) : "model_output", &o->working_dir));
    KF_TRY(read_nodes(c));
    KF_TRY(mention_list(c, K_ON_CPU));
    KF_TRY(mention_list(c, K_ON_BPU));
    KF_TRY(mention_inputs(c));
    KF_TRY(read_list(c, K_OUTPUT_NODES, &o->output_nodes, &o->n_output_nodes));
    KF_TRY(read_list(c, K_REMOVE_TYPE, &o->remove_types, &o->n_remove_types));
    return read_list(c, K_REMOVE_NAME, &o->remove_names, &o->n_remove_names);
}

/* ---- input_parameters -------------------------------------------------------------------------------------------- */

static kf_status check_beside(config *c, key k, const char *word, bool needed) {
    if (needed && !given(c, k))
        FAIL_AT(c, c->v[K_NORM].at, KF_ERR_ARGUMENT, "%s is missing beside norm_type '%s'; the %s is needed; add %s",
                INFO[k].name, text_of(c, K_NORM), word, INFO[k].name);
    if (!needed && given(c, k))
        FAIL_KEY(c, k, KF_ERR_ARGUMENT,
                 "is given beside norm_type '%s'; it would be dropped; set norm_type to data_%s or "
                 "data_mean_and_scale, or remove it",
                 text_of(c, K_NORM), word);
    return KF_OK;
}

/* One number for all channels, or one each. */
static kf_status read_three(config *c, key k, double to[3]) {
    const value *v = &c->v[k];
    int want = c->out.trained == KF_INPUT_GRAY ? 1 : 3;
    if (v->none)
        FAIL_KEY(c, k, KF_ERR_ARGUMENT, "'%.60s'; norm_type needs numbers here; %s", v->text,
                 "write one, or one for each channel");
    if (v->count > 3 || v->outside)
        FAIL_KEY(c, k, KF_ERR_ARGUMENT, "'%.60s'; at most three finite numbers; write one, or one for each channel",
                 v->text);
    for (int i = 0; k == K_SCALE && i < v->count; i++)
        if (!(v->first[i] > 0))
            FAIL_KEY(c, k, KF_ERR_ARGUMENT, "'%.60s'; a scale lies above 0; is it 1 / (255 * std)?", v->text);
    if (v->count != 1 && v->count != want)
        FAIL_KEY(c, k, KF_ERR_ARGUMENT, "'%.60s' has %d numbers for %d channels; write one, or one for each channel",
                 v->text, v->count, want);
    for (int i = 0; i < 3; i++) to[i] = v->first[v->count == 1 ? 0 : i];
    return KF_OK;
}

static kf_status read_norm(config *c) {
    kf_rdk_config *o = &c->out;
    int norm = c->v[K_NORM].choice;
    for (int i = 0; i < 3; i++) o->mean[i] = 0, o->scale[i] = 1;
    if (norm && o->trained == KF_INPUT_FEATUREMAP)
        FAIL_KEY(c, K_NORM, KF_ERR_ARGUMENT,
                 "'%s' with input_type_train 'featuremap'; its values are used as they are; write no_preprocess",
                 text_of(c, K_NORM));
    if (norm & NORM_MEAN) KF_TRY(read_three(c, K_MEAN, o->mean));
    if (norm & NORM_SCALE) KF_TRY(read_three(c, K_SCALE, o->scale));
    o->normalizes = norm != 0;
    return KF_OK;
}

static bool is_color(const kf_rdk_config *o) { return o->trained == KF_INPUT_RGB || o->trained == KF_INPUT_BGR; }

/* Types and range, and what goes with what. */
static kf_status read_types(config *c) {
    static const char *const FED[] = {[KF_INPUT_RGB] = "nv12|yuv444|rgb|bgr",
                                      [KF_INPUT_BGR] = "nv12|yuv444|rgb|bgr",
                                      [KF_INPUT_YUV444] = "nv12|yuv444",
                                      [KF_INPUT_GRAY] = "gray",
                                      [KF_INPUT_FEATUREMAP] = "featuremap"};
    kf_rdk_config *o = &c->out;
    o->trained = (kf_input_kind)c->v[K_TYPE_TRAIN].choice; /* the words have the order of the enumeration */
    o->runtime = (kf_input_kind)c->v[K_TYPE_RT].choice;
    o->nhwc = c->v[K_LAYOUT_TRAIN].choice;
    o->limited = c->v[K_RANGE].choice;
    KF_TRY(check_beside(c, K_MEAN, "mean", c->v[K_NORM].choice & NORM_MEAN));
    KF_TRY(check_beside(c, K_SCALE, "scale", c->v[K_NORM].choice & NORM_SCALE));
    const char *rt = text_of(c, K_TYPE_RT);
    if (word_in(FED[o->trained], rt, strlen(rt)) < 0)
        FAIL_KEY(c, K_TYPE_RT, KF_ERR_ARGUMENT,
                 "'%s' with input_type_train '%s'; there is no such conversion; use one of %s", rt,
                 text_of(c, K_TYPE_TRAIN), FED[o->trained]);
    if (o->limited && !(is_color(o) && o->runtime == KF_INPUT_NV12))
        FAIL_KEY(c, K_RANGE, KF_ERR_ARGUMENT,
                 "'%s'; it needs input_type_rt nv12 and input_type_train rgb or bgr; use regular", text_of(c, K_RANGE));
    return KF_OK;
}

static kf_status read_input(config *c) {
    const value *batch = &c->v[K_BATCH];
    KF_TRY(read_types(c));
    KF_TRY(read_norm(c));
    if (c->out.trained == KF_INPUT_YUV444)
        KF_TRY(say_key(
            c, K_TYPE_TRAIN,
            "yuv444: the model takes normalized tensors (kitfox run); pictures and frames are not turned into them"));
    c->out.input_name = given(c, K_INPUT_NAME) ? text_of(c, K_INPUT_NAME) : NULL;
    c->out.input_shape = given(c, K_SHAPE) ? text_of(c, K_SHAPE) : NULL;
    if (given(c, K_BATCH) && !(batch->number >= 1 && batch->number <= 4096))
        FAIL_KEY(c, K_BATCH, KF_ERR_ARGUMENT, "%s; it lies in 1..4096; write 1", batch->text);
    if (given(c, K_BATCH) && batch->number != 1)
        KF_TRY(say_key(c, K_BATCH,
                       "has no effect; the model takes one picture at a time, whose answer is the same in a batch"));
    if (given(c, K_LAYOUT_RT))
        KF_TRY(say_key(c, K_LAYOUT_RT,
                       "has no meaning on a CPU; pictures are given as pixels, tensors in the network's own layout"));
    return KF_OK;
}

/* ---- calibration_parameters -------------------------------------------------------------------------------------- */

static kf_status read_data(config *c) {
    static const kf_dtype TYPES[] = {KF_F32, KF_U8, KF_I32, KF_I16, KF_I8}; /* choices of cal_data_type */
    kf_rdk_config *o = &c->out;
    const char *folder = text_of(c, K_CAL_DIR);
    size_t n = strlen(folder);
    while (n > 1 && folder[n - 1] == '/') n--;
    bool suffix = n >= 4 && strncmp(folder + n - 4, "_f32", 4) == 0;
    o->calibration_type = suffix ? KF_F32 : KF_U8;
    if (given(c, K_CAL_TYPE)) o->calibration_type = TYPES[c->v[K_CAL_TYPE].choice];
    o->pictures = c->v[K_PREPROCESS_ON].truth;
    if (given(c, K_CAL_TYPE) && o->pictures)
        KF_TRY(say_key(c, K_CAL_TYPE, "has no effect beside preprocess_on; picture files have their own type"));
    else if (given(c, K_CAL_TYPE) && (o->calibration_type == KF_F32) != suffix)
        KF_TRY(say_key(c, K_CAL_TYPE,
                       suffix ? "wins over the suffix _f32 of cal_data_dir"
                              : "is float32 although cal_data_dir has no suffix _f32"));
    if (o->pictures && !is_color(o))
        FAIL_KEY(c, K_PREPROCESS_ON, KF_ERR_UNSUPPORTED,
                 "with input_type_train '%s'; pictures are read for rgb and bgr; give raw files",
                 text_of(c, K_TYPE_TRAIN));
    return read_path(c, folder, &o->calibration);
}

/* Tokens separated by commas. */
static kf_status read_optimization(config *c) {
    static const char KNOWN[] = "set_model_output_int8|set_model_output_int16|asymmetric|bias_correction|"
                                "lstm_batch_last|run_fast|set_all_nodes_int16";
    static const char *const WHY[] = {
        "is not done; outputs are float32", "is not done; outputs are float32", "is always on", "is always on",
        "has no meaning on a CPU",          "has no meaning on a CPU"};
    const char *at = text_of(c, K_OPTIMIZATION), *p;
    size_t n;
    while ((p = list_next(&at, " ,", &n))) {
        int choice = word_in(KNOWN, p, n);
        char line[256];
        bool one_kind =
            n > 4 && strncmp(p, "set_", 4) == 0 &&
            ((n > 5 && strncmp(p + n - 5, "_int8", 5) == 0) || (n > 6 && strncmp(p + n - 6, "_int16", 6) == 0));
        if (choice < 0 && !one_kind)
            FAIL_KEY(c, K_OPTIMIZATION, KF_ERR_ARGUMENT,
                     "'%.*s'; there is no such token; known are set_all_nodes_int16, set_<Kind>_input_int16, "
                     "asymmetric, bias_correction",
                     (int)(n > 80 ? 80 : n), p);
        if (choice == (int)KF_RDK_COUNT(WHY)) {
            c->out.all_int16 = 1;
            continue;
        }
        const char *why = choice < 0 ? "is not done for a kind of node; name the nodes in node_info" : WHY[choice];
        snprintf(line, sizeof line, "'%.*s' %s", (int)(n > 80 ? 80 : n), p, why);
        KF_TRY(say_key(c, K_OPTIMIZATION, line));
    }
    return KF_OK;
}

static kf_range_method range_of(const config *c, int method) {
    if (method == METHOD_KL) return KF_RANGE_KL;
    if (method != METHOD_MAX && method != METHOD_SKIP) return KF_RANGE_MSE;
    return c->out.percentile < 100 ? KF_RANGE_PERCENTILE : KF_RANGE_MAX;
}

static kf_status read_calibration(config *c) {
    kf_rdk_config *o = &c->out;
    int method = c->v[K_METHOD].choice;
    const value *p = &c->v[K_PERCENTILE];
    if (given(c, K_PERCENTILE) && !(p->number >= 0.5 && p->number <= 1))
        FAIL_KEY(c, K_PERCENTILE, KF_ERR_ARGUMENT, "%s; it lies in 0.5..1; usual are 0.9999 and 0.99995", p->text);
    if (given(c, K_PERCENTILE) && method != METHOD_MAX)
        FAIL_KEY(c, K_PERCENTILE, KF_ERR_ARGUMENT,
                 "with calibration_type '%s'; it is only used by max; set calibration_type: max or remove it",
                 text_of(c, K_METHOD));
    if (method == METHOD_LOAD)
        FAIL_KEY(c, K_METHOD, KF_ERR_UNSUPPORTED, "'%s'; %s", text_of(c, K_METHOD),
                 "scales trained into a network are not read; calibrate with default, max or kl");
    o->random = method == METHOD_SKIP;
    if (o->random)
        KF_TRY(say_key(c, K_METHOD,
                       "skip: ranges come from random numbers; the model shows its speed, its answers mean nothing"));
    KF_TRY(read_data(c));
    o->percentile = given(c, K_PERCENTILE) ? 100 * p->number : 100;
    o->range = range_of(c, method);
    o->per_channel = given(c, K_PER_CHANNEL) && o->range != KF_RANGE_MSE ? c->v[K_PER_CHANNEL].truth : -1;
    if (given(c, K_PER_CHANNEL) && o->range == KF_RANGE_MSE)
        KF_TRY(say_key(c, K_PER_CHANNEL, "has no effect on calibration_type default and mix; scales are per channel"));
    return read_optimization(c);
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static kf_status set_places(config *c) {
    for (int k = 0; k < N_KEYS; k++) {
        kf__qmark m = c->v[k].at;
        c->places[k] = m.line ? kf__rdk_printf(&c->memory, "%s:%d:%d", c->file, m.line, m.column) : c->file;
        if (!c->places[k]) KF_RDK_FAIL_MEMORY(c->err);
    }
    return KF_OK;
}

/* A table, so that each value is found at once. */
static kf_status list_entries(config *c) {
    const kf__yaml_node *root = c->tree.root;
    c->entries = kf__rdk_alloc(&c->memory, (size_t)c->tree.n_nodes, sizeof *c->entries);
    if (!c->entries) KF_RDK_FAIL_MEMORY(c->err);
    for (const kf__yaml_node *n = root; n; n = kf__yaml_after(n))
        if (n != root && !n->child) c->entries[c->n_entries++] = n;
    return KF_OK;
}

static kf_status load(config *c, const char *file, const char *text, size_t bytes) {
    const kf__yaml_node *groups[N_GROUPS] = {0};
    const char *slash = strrchr(file, '/');
    c->file = kf__rdk_text(&c->memory, file, strlen(file));
    c->folder = kf__rdk_text(&c->memory, file, slash ? (size_t)(slash - file) + 1 : 0);
    if (!c->file || !c->folder) KF_RDK_FAIL_MEMORY(c->err);
    for (int k = 0; k < N_KEYS; k++) c->v[k].text = "";
    KF_TRY(kf__yaml_parse(c->file, text, bytes, &c->memory, &c->tree, c->err));
    KF_TRY(read_groups(c, groups));
    KF_TRY(check_required(c, groups));
    KF_TRY(check_single(c));
    KF_TRY(read_input(c));
    KF_TRY(read_model(c));
    KF_TRY(read_calibration(c));
    KF_TRY(set_places(c));
    return list_entries(c);
}

kf_status kf__rdk_load_memory(const char *file, const char *text, size_t bytes, kf_message_fn notice, void *user,
                              kf_rdk_config **out, kf_error *err) {
    config *c = calloc(1, sizeof *c);
    *out = NULL;
    if (!c) KF_FAIL(err, KF_ERR_MEMORY, "%.600s: out of memory; close other programs", file);
    c->err = err;
    kf_status st = load(c, file, text, bytes);
    c->err = NULL;
    *out = &c->out;
    if (st != KF_OK) kf_rdk_free(out);
    for (int32_t i = 0; st == KF_OK && notice && i < c->out.n_notices; i++) notice(user, c->out.notices[i]);
    return st;
}

kf_status kf_rdk_load(const char *path, kf_message_fn notice, void *user, kf_rdk_config **out, kf_error *err) {
    void *text;
    size_t bytes;
    if (!path || !out) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_rdk_load: path and out are needed");
    *out = NULL;
    KF_TRY(kf_file_read(path, KF_YAML_MAX_BYTES, &text, &bytes, err));
    kf_status st = kf__rdk_load_memory(path, text, bytes, notice, user, out, err);
    free(text);
    return kf_file_explain(path, KF_FILE_TEXT, st, err);
}

void kf_rdk_free(kf_rdk_config **pointer) {
    if (!pointer || !*pointer) return;
    config *c = (config *)*pointer;
    kf__rdk_memory_free(&c->memory);
    free(c);
    *pointer = NULL;
}

const char *kf_rdk_place(const kf_rdk_config *pointer, const char *name) {
    const config *c = (const config *)pointer;
    if (!c) return "";
    for (int k = 0; name && k < N_KEYS; k++)
        if (strcmp(INFO[k].name, name) == 0) return c->places[k];
    return c->file;
}

kf_status kf_rdk_get(const kf_rdk_config *pointer, int32_t index, kf_rdk_entry *out, kf_error *err) {
    static const kf_entry_type TYPES[] = {[KF_YAML_NULL] = KF_ENTRY_NULL,
                                          [KF_YAML_BOOL] = KF_ENTRY_BOOL,
                                          [KF_YAML_INT] = KF_ENTRY_INT,
                                          [KF_YAML_FLOAT] = KF_ENTRY_FLOAT,
                                          [KF_YAML_TEXT] = KF_ENTRY_TEXT};
    const config *c = (const config *)pointer;
    bool truth = false;
    if (!c || !out || index < 0)
        KF_FAIL(err, KF_ERR_ARGUMENT, "kf_rdk_get: config and out are needed, and an index of 0 or more");
    kf_rdk_entry e = {.size = sizeof e};
    KF_TRY(kf_info_write(out, &e, "kf_rdk_entry", err));
    if (index >= c->n_entries)
        KF_FAIL(err, KF_ERR_ARGUMENT, "kf_rdk_get: value %d; the file has %d", index, c->n_entries);
    const kf__yaml_node *n = c->entries[index];
    for (const kf__yaml_node *p = n; p->parent; p = p->parent) e.depth++;
    int32_t i = e.depth;
    for (const kf__yaml_node *p = n; p->parent; p = p->parent) e.path[--i] = p->key; /* at most KF_YAML_MAX_DEPTH */
    e.text = n->text ? n->text : "";
    e.line = n->at.line, e.column = n->at.column;
    if (n->kind == KF_YAML_SEQUENCE) e.type = KF_ENTRY_LIST;
    else if (n->kind == KF_YAML_MAPPING) e.type = KF_ENTRY_MAPPING;
    else e.type = TYPES[kf__yaml_scalar_type(n, &truth, &e.number)];
    if (e.type == KF_ENTRY_BOOL) e.number = truth;
    return kf_info_write(out, &e, "kf_rdk_entry", err);
}
