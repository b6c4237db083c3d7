/* YAML text to a tree of nodes with places, by libfyaml's events.
 * Events instead of a document: every node keeps line and column, and nothing is expanded.
 * Owner rule: the caller's arena owns the tree; the parser is destroyed before returning. */
#include <libfyaml.h>
#include <math.h>
#include <stdlib.h>

#include "quantize/config_yaml.h"

#define MAX_BYTES ((size_t)1 << 20)
#define MAX_DEPTH 16

typedef struct builder {
    const char *file;
    struct fy_parser *parser;
    kf__arena *arena;
    kf_error *err;
} builder;

static kf_status build(builder *b, struct fy_event *e, int depth, kf__yaml_node **out);

static kf__qmark place(struct fy_event *e) {
    const struct fy_mark *m = fy_event_start_mark(e);
    return m ? (kf__qmark){m->line + 1, m->column + 1} : (kf__qmark){1, 1};
}

static kf_status syntax_error(builder *b) {
    struct fy_diag *diag = fy_parser_get_diag(b->parser);
    void *prev = NULL;
    struct fy_diag_error *e = diag ? fy_diag_errors_iterate(diag, &prev) : NULL;
    kf_status st = kf__error_set(b->err, KF_ERR_FORMAT, "%s:%d:%d: not valid YAML; %s; check indentation, quotes and brackets", b->file,
                                 e && e->line > 0 ? e->line : 1, e && e->column > 0 ? e->column : 1, e && e->msg ? e->msg : "it cannot be parsed");
    fy_diag_unref(diag);
    return st;
}

/* Next event; NULL event at the end or after an error. */
static kf_status next(builder *b, struct fy_event **e) {
    *e = fy_parser_parse(b->parser);
    if (!*e) return syntax_error(b);
    return KF_OK;
}

static kf_status refuse_extras(builder *b, struct fy_event *e) {
    kf__qmark at = place(e);
    struct fy_token *tag = NULL, *anchor = NULL;
    if (e->type == FYET_ALIAS) KF_FAIL(b->err, KF_ERR_UNSUPPORTED, "%s:%d:%d: an alias; aliases are not read here; write the value out", b->file, at.line, at.column);
    if (e->type == FYET_SCALAR) tag = e->scalar.tag, anchor = e->scalar.anchor;
    if (e->type == FYET_MAPPING_START) tag = e->mapping_start.tag, anchor = e->mapping_start.anchor;
    if (e->type == FYET_SEQUENCE_START) tag = e->sequence_start.tag, anchor = e->sequence_start.anchor;
    if (tag || anchor)
        KF_FAIL(b->err, KF_ERR_UNSUPPORTED, "%s:%d:%d: %s; it is not read here; write the plain value", b->file, at.line, at.column, tag ? "a tag" : "an anchor");
    return KF_OK;
}

static kf_status build_mapping(builder *b, int depth, kf__yaml_node *map) {
    kf__yaml_node **tail = &map->child;
    for (;;) {
        struct fy_event *e;
        kf__yaml_node *key = NULL, *value = NULL;
        KF_TRY(next(b, &e));
        if (e->type == FYET_MAPPING_END) {
            fy_parser_event_free(b->parser, e);
            return KF_OK;
        }
        KF_TRY(build(b, e, depth + 1, &key));
        if (key->kind != KF_YAML_SCALAR)
            KF_FAIL(b->err, KF_ERR_FORMAT, "%s:%d:%d: a key must be a word; this is a list or a mapping; check brackets and colons", b->file, key->at.line, key->at.column);
        for (kf__yaml_node *k = map->child; k; k = k->next)
            if (strcmp(k->key, key->text) == 0)
                KF_FAIL(b->err, KF_ERR_FORMAT, "%s:%d:%d: key '%.80s' is given twice; the first is on line %d; remove one", b->file, key->at.line, key->at.column,
                        key->text, k->key_at.line);
        KF_TRY(next(b, &e));
        KF_TRY(build(b, e, depth + 1, &value));
        value->key = key->text;
        value->key_at = key->at;
        *tail = value;
        tail = &value->next;
    }
}

static kf_status build_sequence(builder *b, int depth, kf__yaml_node *list) {
    kf__yaml_node **tail = &list->child;
    int items = 0;
    for (;;) {
        struct fy_event *e;
        KF_TRY(next(b, &e));
        if (e->type == FYET_SEQUENCE_END) {
            fy_parser_event_free(b->parser, e);
            return KF_OK;
        }
        KF_TRY(build(b, e, depth + 1, tail));
        if (!((*tail)->key = kf__arena_printf(b->arena, "%d", items++))) KF_FAIL_MEMORY(b->err, 16);
        tail = &(*tail)->next;
    }
}

/* Takes the event. */
static kf_status build(builder *b, struct fy_event *e, int depth, kf__yaml_node **out) {
    kf_status st = refuse_extras(b, e);
    kf__yaml_node *n = st == KF_OK ? kf__arena_zalloc(b->arena, sizeof *n) : NULL;
    enum fy_event_type type = e->type;
    kf__qmark at = place(e);
    if (n && type == FYET_SCALAR) {
        size_t len = 0;
        const char *text = e->scalar.value ? fy_token_get_text(e->scalar.value, &len) : "";
        n->plain = !e->scalar.value || fy_token_scalar_style(e->scalar.value) == FYSS_PLAIN;
        enum fy_scalar_style style = e->scalar.value ? fy_token_scalar_style(e->scalar.value) : FYSS_PLAIN;
        if ((style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED) && at.column > 1) at.column--; /* the mark is behind the quote */
        n->text = text ? kf__arena_strndup(b->arena, text, len) : NULL;
    }
    fy_parser_event_free(b->parser, e);
    KF_TRY(st);
    if (!n || (type == FYET_SCALAR && !n->text)) KF_FAIL_MEMORY(b->err, sizeof *n);
    n->at = at;
    *out = n;
    if (type == FYET_SCALAR) return KF_OK;
    if (depth >= MAX_DEPTH) KF_FAIL(b->err, KF_ERR_LIMIT, "%s:%d:%d: nested more than %d levels; no key needs that; check brackets", b->file, at.line, at.column, MAX_DEPTH);
    n->kind = type == FYET_MAPPING_START ? KF_YAML_MAPPING : KF_YAML_SEQUENCE;
    if (type == FYET_MAPPING_START) return build_mapping(b, depth, n);
    if (type == FYET_SEQUENCE_START) return build_sequence(b, depth, n);
    KF_FAIL(b->err, KF_ERR_FORMAT, "%s:%d:%d: not valid YAML; a value is missing; check the line before", b->file, at.line, at.column);
}

static kf_status build_document(builder *b, kf__yaml_node **out) {
    struct fy_event *e;
    *out = NULL;
    while ((e = fy_parser_parse(b->parser)) != NULL) {
        enum fy_event_type type = e->type;
        kf__qmark at = place(e);
        if (type == FYET_STREAM_START || type == FYET_DOCUMENT_END || type == FYET_STREAM_END || (type == FYET_DOCUMENT_START && !*out)) {
            fy_parser_event_free(b->parser, e);
            if (type == FYET_STREAM_END) break;
        } else if (*out) {
            fy_parser_event_free(b->parser, e);
            KF_FAIL(b->err, KF_ERR_FORMAT, "%s:%d:%d: a second document begins; one file is one configuration; remove the line ---", b->file, at.line, at.column);
        } else KF_TRY(build(b, e, 0, out));
    }
    if (!e && fy_parser_get_stream_error(b->parser)) return syntax_error(b);
    if (!*out) KF_FAIL(b->err, KF_ERR_FORMAT, "%s:1:1: the file is empty; a configuration has the group model_parameters and three more; check the path", b->file);
    return KF_OK;
}

/* Bytes of the UTF-8 character at p, 0 if it is none (RFC 3629: no overlong forms, no surrogates, at most U+10FFFF). */
static size_t utf8_length(const unsigned char *p, size_t left) {
    size_t n = *p < 0x80 ? 1 : *p >= 0xc2 && *p < 0xe0 ? 2 : (*p & 0xf0) == 0xe0 ? 3 : *p >= 0xf0 && *p < 0xf5 ? 4 : 0;
    if (n > left) return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    if ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] > 0x9f) || (*p == 0xf0 && p[1] < 0x90) || (*p == 0xf4 && p[1] > 0x8f)) return 0;
    return n;
}

/* What the library must not see: it takes what is not UTF-8 in part, and never returns from some directives. */
static kf_status check_bytes(const char *file, const char *text, size_t n, kf_error *err) {
    const unsigned char *p = (const unsigned char *)text;
    int line = 1;
    bool start = true;
    for (size_t i = 0, step; i < n; i += step) {
        if (start && p[i] == '%') KF_FAIL(err, KF_ERR_UNSUPPORTED, "%s:%d:1: a directive; none is read here; remove the line", file, line);
        if (!p[i]) KF_FAIL(err, KF_ERR_FORMAT, "%s:%d:1: a zero byte; YAML is text; is this the right file?", file, line);
        if (!(step = utf8_length(p + i, n - i))) KF_FAIL(err, KF_ERR_FORMAT, "%s:%d:1: byte 0x%02x is not UTF-8; the configuration is UTF-8 text; save it as such", file, line, p[i]);
        start = p[i] == '\n' || p[i] == '\r' || (i == 0 && step == 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0); /* a byte order mark is no character */
        line += p[i] == '\n';
    }
    return KF_OK;
}

kf_status kf__yaml_parse(const char *file, const char *text, size_t n, kf__arena *arena, kf__yaml_node **out, kf_error *err) {
    *out = NULL;
    if (n > MAX_BYTES) KF_FAIL(err, KF_ERR_LIMIT, "%s:1:1: %zu bytes; a configuration has at most 1 MiB; is this the right file?", file, n);
    KF_TRY(check_bytes(file, text, n, err));
    struct fy_diag_cfg dcfg;
    fy_diag_cfg_default(&dcfg);
    dcfg.colorize = false;
    struct fy_diag *diag = fy_diag_create(&dcfg);
    if (!diag) KF_FAIL_MEMORY(err, n);
    fy_diag_set_collect_errors(diag, true);
    struct fy_parse_cfg cfg = {.flags = FYPCF_QUIET | FYPCF_SLOPPY_FLOW_INDENTATION | FYPCF_JSON_NONE | FYPCF_ALLOW_DUPLICATE_KEYS, .diag = diag};
    builder b = {file, fy_parser_create(&cfg), arena, err};
    kf_status st = KF_OK;
    if (!b.parser || fy_parser_set_string(b.parser, n ? text : "", n) != 0) st = kf__error_set(err, KF_ERR_MEMORY, "%s:1:1: out of memory for the YAML parser; close other programs", file);
    else st = build_document(&b, out);
    if (b.parser) fy_parser_destroy(b.parser);
    fy_diag_destroy(diag);
    return st;
}

static bool one_of(const char *t, const char *const *words) {
    for (; *words; words++)
        if (strcmp(t, *words) == 0) return true;
    return false;
}

kf__yaml_type kf__yaml_scalar_type(const kf__yaml_node *n, bool *truth, double *number) {
    static const char *const NOTHING[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const YES[] = {"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", NULL};
    static const char *const NO[] = {"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", NULL};
    if (!n->plain) return KF_YAML_TEXT;
    if (one_of(n->text, NOTHING)) return KF_YAML_NULL;
    bool yes = one_of(n->text, YES);
    if (yes || one_of(n->text, NO)) {
        if (truth) *truth = yes;
        return KF_YAML_BOOL;
    }
    const char *p = n->text + (*n->text == '-' || *n->text == '+');
    size_t digits = strspn(p, "0123456789");
    bool dot = p[digits] == '.';
    size_t more = dot ? strspn(p + digits + 1, "0123456789") : 0;
    const char *rest = p + digits + dot + more;
    if (digits + more == 0) return KF_YAML_TEXT;
    if (*rest == 'e' || *rest == 'E') { /* 1e-5 without a dot is text to PyYAML, but a number to whoever wrote it */
        rest++;
        if (*rest == '-' || *rest == '+') rest++;
        size_t exponent = strspn(rest, "0123456789");
        if (!exponent) return KF_YAML_TEXT;
        rest += exponent;
        dot = true;
    }
    if (*rest) return KF_YAML_TEXT;
    if (number) *number = strtod(n->text, NULL);
    return dot ? KF_YAML_FLOAT : KF_YAML_INT;
}
