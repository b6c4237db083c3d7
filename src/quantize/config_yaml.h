/* YAML text to a tree of nodes with places: the part of the configuration that knows nothing of its keys.
 * One document, no anchors, no tags, no duplicate keys, at most 16 levels and 1 MiB.
 * Owner rule: the caller's arena owns the tree. */
#ifndef KF_CONFIG_YAML_H
#define KF_CONFIG_YAML_H

#include "base/base.h"

/** A place in the file, both 1-based; line 0 means that the key is absent. */
typedef struct kf__qmark {
    int32_t line, column;
} kf__qmark;

typedef enum kf__yaml_kind { KF_YAML_SCALAR, KF_YAML_SEQUENCE, KF_YAML_MAPPING } kf__yaml_kind;

typedef struct kf__yaml_node {
    kf__yaml_kind kind;
    bool plain;                  /* scalar without quotes: may be a number, a truth value or nothing */
    const char *text;            /* scalar */
    kf__qmark at;
    const char *key;             /* inside a mapping; in a list the index, without key_at */
    kf__qmark key_at;
    struct kf__yaml_node *child; /* first item */
    struct kf__yaml_node *next;
} kf__yaml_node;

/** What a plain scalar stands for in the dialect of the zoo's files (YAML 1.1, as PyYAML's safe_load reads it). */
typedef enum kf__yaml_type { KF_YAML_NULL, KF_YAML_BOOL, KF_YAML_INT, KF_YAML_FLOAT, KF_YAML_TEXT } kf__yaml_type;
/** Any of the value pointers may be NULL. Quoted scalars are TEXT. */
kf__yaml_type kf__yaml_scalar_type(const kf__yaml_node *n, bool *truth, double *number);

/** Parse; errors read "FILE:LINE:COLUMN: what; why; what to try". `file` is only used in texts. */
kf_status kf__yaml_parse(const char *file, const char *text, size_t n, kf__arena *arena, kf__yaml_node **out, kf_error *err);

#endif
