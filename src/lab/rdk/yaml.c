/* YAML text to a tree of nodes with places, by libyaml's events.
 * Events instead of a document: every node keeps line and column, nothing is expanded, and limits hold while it grows.
 * Owner rule: the memory of the caller owns the tree; parser and events are released before returning. */
#include "rdk/yaml.h"

#include <stdio.h>
#include <string.h>
#include <yaml.h>

typedef struct builder {
    const char *file, *text;
    size_t n;
    yaml_parser_t parser;
    kf__rdk_memory *memory;
    kf__yaml_tree *tree;
    kf_error *err;
} builder;

/* What is kept of an event. */
typedef struct item {
    yaml_event_type_t type;
    kf__qmark at;
    kf__yaml_node *node; /* value or container, NULL for the others */
} item;

static kf_status build(builder *b, const item *it, int depth);

#define FAIL_AT(b, mark, st, fmt, ...)                                                                                 \
    KF_FAIL((b)->err, st, "%s:%d:%d: " fmt, (b)->file, (mark).line, (mark).column, __VA_ARGS__)

#define NO_EXTRA "write the plain value"
#define NO_DIRECTIVE "remove the line"

static kf__qmark place(const yaml_mark_t *m) { return (kf__qmark){(int32_t)m->line + 1, (int32_t)m->column + 1}; }

/* Lines end as editors end them: LF, CR or both. */
static kf__qmark place_of_byte(const builder *b, size_t at) {
    kf__qmark m = {1, 1};
    for (size_t i = 0; i < at && i < b->n; i++) {
        bool end = b->text[i] == '\n' || (b->text[i] == '\r' && (i + 1 == b->n || b->text[i + 1] != '\n'));
        m.line += end;
        m.column = end ? 1 : m.column + ((b->text[i] & 0xc0) != 0x80);
    }
    return m;
}

static kf_status reader_error(builder *b) {
    const yaml_parser_t *p = &b->parser;
    kf__qmark at = place_of_byte(b, p->problem_offset);
    if (p->problem_value == 0)
        FAIL_AT(b, at, KF_ERR_FORMAT, "%s", "a zero byte; YAML is text; is this the right file?");
    if (strstr(p->problem, "control"))
        FAIL_AT(b, at, KF_ERR_FORMAT, "character U+%04x; YAML has no such characters; is this the right file?",
                (unsigned)p->problem_value);
    FAIL_AT(b, at, KF_ERR_FORMAT, "%s", "not UTF-8; the configuration is UTF-8 text; save it as such");
}

static kf_status parser_error(builder *b) {
    const yaml_parser_t *p = &b->parser;
    if (p->error == YAML_MEMORY_ERROR)
        KF_FAIL(b->err, KF_ERR_MEMORY, "%s:1:1: out of memory for %zu bytes of YAML; close other programs", b->file,
                b->n);
    if (p->error == YAML_READER_ERROR) return reader_error(b);
    const char *context = p->context ? p->context : "";
    kf__qmark at = place(&p->problem_mark);
    if (strstr(context, "directive"))
        FAIL_AT(b, place(&p->context_mark), KF_ERR_UNSUPPORTED, "a directive; it is not read here; %s", NO_DIRECTIVE);
    if (*context && p->context_mark.index != p->problem_mark.index)
        FAIL_AT(b, at, KF_ERR_FORMAT, "not valid YAML; %s %s from line %zu; check indentation, quotes and brackets",
                p->problem, context, p->context_mark.line + 1);
    FAIL_AT(b, at, KF_ERR_FORMAT, "not valid YAML; %s; check indentation, quotes and brackets",
            p->problem ? p->problem : "it cannot be parsed");
}

/* "!" before a quoted text leaves no tag, only that the text may now be a number. */
static const char *extra_of(const yaml_event_t *e) {
    const yaml_char_t *tag = NULL, *anchor = NULL;
    bool bare = false;
    if (e->type == YAML_ALIAS_EVENT) return "an alias";
    if (e->type == YAML_DOCUMENT_START_EVENT) {
        const yaml_tag_directive_t *tags = e->data.document_start.tag_directives.start;
        bool any = e->data.document_start.version_directive || tags != e->data.document_start.tag_directives.end;
        return any ? "a directive" : NULL;
    }
    if (e->type == YAML_SCALAR_EVENT) {
        tag = e->data.scalar.tag, anchor = e->data.scalar.anchor;
        bare = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE && e->data.scalar.plain_implicit;
    }
    if (e->type == YAML_MAPPING_START_EVENT) tag = e->data.mapping_start.tag, anchor = e->data.mapping_start.anchor;
    if (e->type == YAML_SEQUENCE_START_EVENT) tag = e->data.sequence_start.tag, anchor = e->data.sequence_start.anchor;
    if (tag || bare) return "a tag";
    return anchor ? "an anchor" : NULL;
}

/* The event as a node of the tree. */
static kf_status make_node(builder *b, const yaml_event_t *e, item *it) {
    if (b->tree->n_nodes == KF_YAML_MAX_NODES)
        FAIL_AT(b, it->at, KF_ERR_LIMIT, "value %d; a configuration has at most %d; is this the right file?",
                b->tree->n_nodes + 1, KF_YAML_MAX_NODES);
    kf__yaml_node *n = kf__rdk_alloc(b->memory, 1, sizeof *n);
    if (!n) KF_RDK_FAIL_MEMORY(b->err);
    b->tree->n_nodes++;
    n->at = it->at;
    it->node = n;
    if (e->type != YAML_SCALAR_EVENT) {
        n->kind = e->type == YAML_MAPPING_START_EVENT ? KF_YAML_MAPPING : KF_YAML_SEQUENCE;
        return KF_OK;
    }
    const char *text = (const char *)e->data.scalar.value;
    n->plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (memchr(text, 0, e->data.scalar.length))
        FAIL_AT(b, it->at, KF_ERR_FORMAT, "%s", "a text with a zero character; no value has one; remove \\0");
    n->text = kf__rdk_text(b->memory, text, e->data.scalar.length);
    if (!n->text) KF_RDK_FAIL_MEMORY(b->err);
    return KF_OK;
}

static kf_status next(builder *b, item *it) {
    yaml_event_t e;
    if (!yaml_parser_parse(&b->parser, &e)) return parser_error(b);
    kf_status st = KF_OK;
    const char *extra = extra_of(&e);
    *it = (item){.type = e.type, .at = place(&e.start_mark)};
    if (extra)
        st = kf_error_set(b->err, KF_ERR_UNSUPPORTED, "%s:%d:%d: %s; it is not read here; %s", b->file, it->at.line,
                          it->at.column, extra, it->type == YAML_DOCUMENT_START_EVENT ? NO_DIRECTIVE : NO_EXTRA);
    else if (e.type == YAML_SCALAR_EVENT || e.type == YAML_MAPPING_START_EVENT || e.type == YAML_SEQUENCE_START_EVENT)
        st = make_node(b, &e, it);
    yaml_event_delete(&e);
    return st;
}

/* Stable merge sort of n nodes by key: n log n whatever the keys are, without memory of its own. */
static void sort_by_key(kf__yaml_node **a, kf__yaml_node **spare, int32_t n, int64_t *compares) {
    if (n < 2) return;
    int32_t half = n / 2, i = 0, j = half, k = 0;
    sort_by_key(a, spare, half, compares);
    sort_by_key(a + half, spare, n - half, compares);
    memcpy(spare, a, (size_t)n * sizeof *a);
    while (i < half && j < n) {
        ++*compares;
        bool left = strcmp(spare[i]->key, spare[j]->key) <= 0;
        a[k++] = left ? spare[i++] : spare[j++];
    }
    while (i < half) a[k++] = spare[i++];
    while (j < n) a[k++] = spare[j++];
}

static bool before(kf__qmark a, kf__qmark b) { return a.line < b.line || (a.line == b.line && a.column < b.column); }

/* The first key of the file that repeats another, if any. */
static kf_status refuse_duplicates(builder *b, const kf__yaml_node *map, int32_t n) {
    kf__yaml_node **sorted = kf__rdk_alloc(b->memory, 2 * (size_t)n + 1, sizeof *sorted);
    const kf__yaml_node *first = NULL, *second = NULL;
    if (!sorted) KF_RDK_FAIL_MEMORY(b->err);
    int32_t count = 0;
    for (kf__yaml_node *k = map->child; k; k = k->next) sorted[count++] = k;
    sort_by_key(sorted, sorted + n, n, &b->tree->n_compares);
    for (int32_t i = 1; i < n; i++) {
        b->tree->n_compares++;
        if (strcmp(sorted[i - 1]->key, sorted[i]->key) != 0) continue;
        if (!second || before(sorted[i]->key_at, second->key_at)) first = sorted[i - 1], second = sorted[i];
    }
    if (!second) return KF_OK;
    FAIL_AT(b, second->key_at, KF_ERR_FORMAT, "key '%.80s' is given twice; the first is on line %d; remove one",
            second->key, first->key_at.line);
}

static kf_status build_mapping(builder *b, int depth, kf__yaml_node *map) {
    kf__yaml_node **tail = &map->child;
    item key, value;
    for (int32_t n = 0;; n++) {
        KF_TRY(next(b, &key));
        if (key.type == YAML_MAPPING_END_EVENT) return refuse_duplicates(b, map, n);
        if (!key.node || key.node->kind != KF_YAML_SCALAR)
            FAIL_AT(b, key.at, KF_ERR_FORMAT, "%s",
                    "a key must be a word; this is a list or a mapping; check brackets and colons");
        if (key.node->plain && strcmp(key.node->text, "<<") == 0)
            FAIL_AT(b, key.at, KF_ERR_UNSUPPORTED, "%s", "a merge key; it is not read here; write the keys out");
        b->tree->n_nodes--; /* a key is no value */
        KF_TRY(next(b, &value));
        if (!value.node) FAIL_AT(b, value.at, KF_ERR_FORMAT, "%s", "not valid YAML; a value is missing");
        value.node->key = key.node->text;
        value.node->key_at = key.at;
        value.node->parent = map;
        KF_TRY(build(b, &value, depth + 1));
        *tail = value.node;
        tail = &value.node->next;
    }
}

static kf_status build_sequence(builder *b, int depth, kf__yaml_node *list) {
    kf__yaml_node **tail = &list->child;
    item value;
    for (int32_t n = 0;; n++) {
        KF_TRY(next(b, &value));
        if (value.type == YAML_SEQUENCE_END_EVENT) return KF_OK;
        if (!value.node) FAIL_AT(b, value.at, KF_ERR_FORMAT, "%s", "not valid YAML; an item is missing");
        if (!(value.node->key = kf__rdk_printf(b->memory, "%d", n))) KF_RDK_FAIL_MEMORY(b->err);
        value.node->parent = list;
        KF_TRY(build(b, &value, depth + 1));
        *tail = value.node;
        tail = &value.node->next;
    }
}

/* The items of a container whose first event was read. */
static kf_status build(builder *b, const item *it, int depth) {
    if (it->node->kind == KF_YAML_SCALAR) return KF_OK;
    if (depth >= KF_YAML_MAX_DEPTH)
        FAIL_AT(b, it->at, KF_ERR_LIMIT, "nested %d levels; a configuration has at most %d; check brackets", depth + 1,
                KF_YAML_MAX_DEPTH);
    if (it->node->kind == KF_YAML_MAPPING) return build_mapping(b, depth, it->node);
    return build_sequence(b, depth, it->node);
}

static kf_status build_document(builder *b) {
    item it;
    do {
        KF_TRY(next(b, &it));
        if (b->tree->root && it.type == YAML_DOCUMENT_START_EVENT)
            FAIL_AT(b, it.at, KF_ERR_FORMAT, "%s",
                    "a second document begins; one file is one configuration; remove the line ---");
        if (!it.node) continue;
        b->tree->root = it.node;
        KF_TRY(build(b, &it, 0));
    } while (it.type != YAML_STREAM_END_EVENT);
    if (b->tree->root) return KF_OK;
    KF_FAIL(b->err, KF_ERR_FORMAT, "%s:1:1: %s", b->file,
            "the file is empty; a configuration has the group model_parameters and three more; check the path");
}

/* Bytes of a space, a tab or a line end of YAML 1.1 (U+0085, U+2028 and U+2029 too); 0 of anything else. */
static size_t blank_length(const char *p, size_t left) {
    if (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n') return 1;
    if (left >= 2 && memcmp(p, "\xc2\x85", 2) == 0) return 2;
    return left >= 3 && (memcmp(p, "\xe2\x80\xa8", 3) == 0 || memcmp(p, "\xe2\x80\xa9", 3) == 0) ? 3 : 0;
}

/* Refused before the parser runs: too many bytes, UTF-16, and long blanks, which it clears again for every word. */
static kf_status check_text(builder *b) {
    if (b->n > KF_YAML_MAX_BYTES)
        KF_FAIL(b->err, KF_ERR_LIMIT, "%s:1:1: %zu bytes; a configuration has at most %d; is this the right file?",
                b->file, b->n, KF_YAML_MAX_BYTES);
    if (b->n >= 2 && (memcmp(b->text, "\xff\xfe", 2) == 0 || memcmp(b->text, "\xfe\xff", 2) == 0))
        KF_FAIL(b->err, KF_ERR_FORMAT, "%s:1:1: UTF-16; the configuration is UTF-8 text; save it as such", b->file);
    int run = 0;
    for (size_t i = 0, step; i < b->n; i += step) {
        size_t blank = blank_length(b->text + i, b->n - i);
        step = blank ? blank : 1;
        run = blank ? run + 1 : 0;
        if (run > KF_YAML_MAX_BLANKS)
            FAIL_AT(b, place_of_byte(b, i), KF_ERR_LIMIT,
                    "%d blanks in a row; a configuration has at most %d; remove empty lines", run, KF_YAML_MAX_BLANKS);
    }
    return KF_OK;
}

kf_status kf__yaml_parse(const char *file, const char *text, size_t n, kf__rdk_memory *memory, kf__yaml_tree *out,
                         kf_error *err) {
    builder b = {.file = file, .text = text, .n = n, .memory = memory, .tree = out, .err = err};
    *out = (kf__yaml_tree){0};
    KF_TRY(check_text(&b));
    if (!yaml_parser_initialize(&b.parser))
        KF_FAIL(err, KF_ERR_MEMORY, "%s:1:1: out of memory for the YAML parser; close other programs", file);
    yaml_parser_set_input_string(&b.parser, (const unsigned char *)text, n);
    kf_status st = build_document(&b);
    yaml_parser_delete(&b.parser);
    return st;
}

const kf__yaml_node *kf__yaml_after(const kf__yaml_node *n) {
    if (n->child) return n->child;
    while (n && !n->next) n = n->parent;
    return n ? n->next : NULL;
}
