/* Label files in the forms that people have: one a line, "7:name", JSON list, JSON object.
 * Owner rule: kf_labels_free releases what kf_labels_load made. */
#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/text.h"

void kf_labels_free(kf_labels *labels) {
    if (!labels) return;
    for (int32_t i = 0; i < labels->n; i++) free(labels->items[i]);
    free(labels->items);
    *labels = (kf_labels){0};
}

/* Labels travel as JSON and as HTML: other encodings would come out as nothing. */
static bool is_utf8(const char *s) {
    size_t n = 0;
    while (*s && (n = kf__utf8(s)) > 0) s += n;
    return !*s;
}

/* A list that is being read. */
typedef struct reading {
    const char *path;
    kf_labels *to;
    kf_error *err;
} reading;

static kf_status no_list(const reading *r) {
    KF_FAIL(r->err, KF_ERR_FORMAT,
            "%.600s: not a label list; one name a line, a JSON list or a JSON object from index to name is needed, "
            "in UTF-8",
            r->path);
}

static kf_status push(const reading *r, const char *s) {
    kf_labels *l = r->to;
    if (!is_utf8(s)) return no_list(r);
    char **grown = realloc(l->items, ((size_t)l->n + 1) * sizeof *grown);
    if (!grown) return kf__no_memory(r->path, r->err);
    l->items = grown;
    if (!(l->items[l->n] = strdup(s))) return kf__no_memory(r->path, r->err);
    l->n++;
    return KF_OK;
}

/* An object maps the decimal index to a name, or to [id, name] as Keras has it. */
static kf_status from_object(const reading *r, const json_t *j) {
    size_t n = json_is_array(j) ? json_array_size(j) : json_object_size(j);
    for (size_t i = 0; i < n; i++) {
        char key[24];
        snprintf(key, sizeof key, "%zu", i);
        const json_t *v = json_is_array(j) ? json_array_get(j, i) : json_object_get(j, key);
        if (json_is_array(v)) v = json_array_get(v, json_array_size(v) - 1);
        if (!json_is_string(v)) return no_list(r);
        KF_TRY(push(r, json_string_value(v)));
    }
    return n > 0 ? KF_OK : no_list(r);
}

static kf_status from_json(const reading *r, const char *text, size_t bytes) {
    json_error_t where;
    errno = 0;
    json_t *j = json_loadb(text, bytes, 0, &where);
    if (!j && (errno == ENOMEM || where.line < 0)) return kf__no_memory(r->path, r->err); /* jansson calls it a token */
    if (!j)
        KF_FAIL(r->err, KF_ERR_FORMAT, "%.600s: not valid JSON at line %d; %.100s; correct it there", r->path,
                where.line, where.text);
    kf_status st = from_object(r, j);
    json_decref(j);
    return st;
}

static kf_status from_text(const reading *r, char *text, size_t bytes) {
    char *at = text, *line, *end = text + bytes;
    size_t n;
    while ((line = kf__text_line(&at, end, &n)) != NULL) {
        char *s = line, *stop;
        if (strlen(line) != n) return no_list(r); /* a zero byte: not text */
        if (r->to->n == 0 && n >= 3 && memcmp(s, "\xef\xbb\xbf", 3) == 0) s += 3;
        s[strcspn(s, "\r")] = '\0';
        long index = strtol(s, &stop, 10);
        if (stop != s && index == r->to->n && (*stop == ':' || *stop == ' ')) s = stop + 1 + (stop[1] == ' ');
        if (*s) KF_TRY(push(r, s));
    }
    return r->to->n > 0 ? KF_OK : no_list(r);
}

/* Damaged JSON would pass as strange labels. */
static bool looks_like_json(const char *text) {
    text += strspn(text, " \t\r\n");
    return *text == '[' || *text == '{';
}

/* TF-slim files begin with a background class that these networks do not have. */
static void drop_background(const char *path, kf_labels *l, kf_message_fn notice, void *user) {
    char text[512];
    if (l->n != 1001) return;
    snprintf(text, sizeof text, "%.300s has 1001 labels; the first (\"%.100s\") is taken as background and dropped",
             path, l->items[0]);
    if (notice) notice(user, text);
    free(l->items[0]);
    memmove(l->items, l->items + 1, 1000 * sizeof *l->items);
    l->n = 1000;
}

kf_status kf_labels_load(const char *path, kf_message_fn notice, void *user, kf_labels *out, kf_error *err) {
    if (!path || !out) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_labels_load: path and out are needed");
    char *text;
    size_t bytes;
    const reading r = {path, out, err};
    *out = (kf_labels){0};
    KF_TRY(kf__text_read(path, KF__MAX_LABELS, &text, &bytes, err));
    kf_status st = looks_like_json(text) ? from_json(&r, text, bytes) : from_text(&r, text, bytes);
    free(text);
    if (st == KF_OK) drop_background(path, out, notice, user);
    else kf_labels_free(out);
    return st;
}
