/* The zoo's quantization YAML: every key, its value and its place.
 * keys.def is the table: group, type, allowed values, and the notice of keys without meaning on a CPU.
 * Owner rule: the caller's arena owns everything reachable from a kf__qconfig. */
#ifndef KF_CONFIG_H
#define KF_CONFIG_H

#include "quantize/config_yaml.h"

typedef enum kf__qkey {
#define KF_KEY(id, group, name, type, allowed, notice) KF_QK_##id,
#include "quantize/keys.def"
#undef KF_KEY
    KF_QK_COUNT
} kf__qkey;

typedef enum kf__qtype {
    KF_QT_TEXT,
    KF_QT_INPUTS,
    KF_QT_LIST,
    KF_QT_BOOL,
    KF_QT_INT,
    KF_QT_REAL,
    KF_QT_NUMBERS,
    KF_QT_ANY
} kf__qtype;
typedef enum kf__qgroup {
    KF_QG_MODEL,
    KF_QG_INPUT,
    KF_QG_CALIBRATION,
    KF_QG_COMPILER,
    KF_QG_CUSTOM,
    KF_QG_COUNT
} kf__qgroup;

typedef struct kf__qkey_info {
    const char *name;
    kf__qgroup group;
    kf__qtype type;
    const char *allowed; /* "a|b", NULL: anything */
    const char *notice;  /* why it has no meaning on a CPU; NULL: honoured */
} kf__qkey_info;
extern const kf__qkey_info kf__qkeys[KF_QK_COUNT];
extern const char *const kf__qgroups[KF_QG_COUNT];

typedef struct kf__qvalue {
    kf__qmark at;              /* line 0: absent, or empty */
    const char *text;          /* scalar as written; "" when absent */
    bool truth;                /* BOOL */
    double number;             /* INT, REAL */
    const kf__yaml_node *node; /* ANY: node_info and input_source as written */
} kf__qvalue;

typedef struct kf__qconfig {
    const char *file, *folder; /* relative paths start at folder */
    kf__yaml_tree tree;
    kf__qvalue v[KF_QK_COUNT];
    const char *notices[KF_QK_COUNT]; /* one line each */
    int32_t n_notices;
} kf__qconfig;

/** Parse, check every key, value and combination. Errors: FORMAT, ARGUMENT, UNSUPPORTED, LIMIT, MEMORY; texts begin
 * FILE:LINE:COLUMN. */
kf_status kf__qconfig_parse(const char *file, const char *text, size_t n, kf__arena *arena, kf__qconfig *out,
                            kf_error *err);
/** Next item of a list: `marks` and spaces lie between items, empty ones are passed over. `*at` begins at the text and
 *  moves on; `*n` becomes the bytes of the item without spaces around it. NULL at the end. */
const char *kf__qlist_next(const char **at, const char *marks, size_t *n);
/** A path of the file, made absolute or relative to the working directory. NULL when out of memory. */
const char *kf__qconfig_path(const kf__qconfig *c, kf__arena *arena, const char *path);

#endif
