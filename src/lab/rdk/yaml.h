/* YAML text to a tree of nodes with places: the part of the configuration that knows nothing of its keys.
 * One document in UTF-8 without anchors, aliases, tags, merge keys, directives and duplicate keys.
 * Owner rule: the memory of the caller owns the tree. */
#ifndef KF_RDK_YAML_H
#define KF_RDK_YAML_H

#include <stdbool.h>
#include <stdint.h>

#include "rdk/blocks.h"

/** What a file may hold. No option raises these: a configuration of a large network needs a tenth of each. */
enum {
    KF_YAML_MAX_BYTES = 1 << 20,
    KF_YAML_MAX_NODES = 1 << 16,  /**< keys do not count, their values do */
    KF_YAML_MAX_DEPTH = 16,       /**< mappings and lists around a value */
    KF_YAML_MAX_BLANKS = 1 << 12, /**< spaces, tabs and line ends in a row: the parser clears as much for every word */
};

/** A place in the file, both 1-based, columns in characters; line 0 means that the key is absent. */
typedef struct kf__qmark {
    int32_t line, column;
} kf__qmark;

typedef enum kf__yaml_kind { KF_YAML_SCALAR, KF_YAML_SEQUENCE, KF_YAML_MAPPING } kf__yaml_kind;

typedef struct kf__yaml_node {
    kf__yaml_kind kind;
    bool plain;       /* scalar without quotes: may be a number, a truth value or nothing */
    const char *text; /* scalar; UTF-8 without a zero character */
    kf__qmark at;
    const char *key; /* inside a mapping; in a list the index, without key_at */
    kf__qmark key_at;
    struct kf__yaml_node *parent; /* NULL: the root */
    struct kf__yaml_node *child;  /* first item */
    struct kf__yaml_node *next;
} kf__yaml_node;

typedef struct kf__yaml_tree {
    kf__yaml_node *root;
    int32_t n_nodes;
    int64_t n_compares; /* of keys, while duplicates were looked for: the work of a parse beside its bytes */
} kf__yaml_tree;

/** Parse. `file` is used in texts alone; they read "FILE:LINE:COLUMN: what; why; what to try".
 *  Errors: FORMAT (not YAML, not UTF-8, a key twice), UNSUPPORTED (anchor, alias, tag, merge key, directive), LIMIT,
 * MEMORY. */
kf_status kf__yaml_parse(const char *file, const char *text, size_t n, kf__rdk_memory *memory, kf__yaml_tree *out,
                         kf_error *err);
/** The node after `n` in the order of the file: its first item, else the next of it or of what it lies in; NULL at the
 * end. */
const kf__yaml_node *kf__yaml_after(const kf__yaml_node *n);

/** What a plain scalar stands for in the dialect of the zoo's files (YAML 1.1, as PyYAML's safe_load reads it). */
typedef enum kf__yaml_type { KF_YAML_NULL, KF_YAML_BOOL, KF_YAML_INT, KF_YAML_FLOAT, KF_YAML_TEXT } kf__yaml_type;
/** Any of the value pointers may be NULL. Quoted scalars and dates are TEXT; 1e-5 and -.5 are numbers, though text to
 *  PyYAML. Whole numbers come in base 2, 8, 10, 16 and 60. */
kf__yaml_type kf__yaml_scalar_type(const kf__yaml_node *n, bool *truth, double *number);

#endif
