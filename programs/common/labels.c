/* Label files in the forms that people have: one a line, "7:name", JSON list, JSON object.
 * Owner rule: cli_labels_free releases what cli_labels_load made. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli.h"
#include "common/files.h"

void cli_labels_free(cli_labels *l) {
    for (int32_t i = 0; i < l->n; i++) free(l->items[i]);
    free(l->items);
    *l = (cli_labels){0};
}

/* Labels travel as JSON and as HTML: other encodings would come out as nothing. */
static bool is_utf8(const char *s) {
    json_t *j = json_string(s);
    json_decref(j);
    return j != NULL;
}

static bool push(cli_labels *l, const char *s) {
    if (!is_utf8(s)) return false;
    char **grown = realloc(l->items, ((size_t)l->n + 1) * sizeof *grown);
    if (!grown) return false;
    l->items = grown;
    l->items[l->n] = strdup(s);
    return l->items[l->n] && ++l->n;
}

/* An object maps the decimal index to a name, or to [id, name] as Keras has it. */
static bool from_json(const json_t *j, cli_labels *l) {
    size_t n = json_is_array(j) ? json_array_size(j) : json_object_size(j);
    for (size_t i = 0; i < n; i++) {
        char key[24];
        snprintf(key, sizeof key, "%zu", i);
        const json_t *v = json_is_array(j) ? json_array_get(j, i) : json_object_get(j, key);
        if (json_is_array(v)) v = json_array_get(v, json_array_size(v) - 1);
        if (!json_is_string(v) || !push(l, json_string_value(v))) return false;
    }
    return n > 0;
}

static bool from_text(char *text, size_t bytes, cli_labels *l) {
    char *at = text, *line, *end = text + bytes;
    size_t n;
    bool ok = true;
    while (ok && (line = cli_line(&at, end, &n)) != NULL) {
        char *s = line, *stop;
        if (strlen(line) != n) return false; /* a zero byte: not text */
        if (l->n == 0 && n >= 3 && memcmp(s, "\xef\xbb\xbf", 3) == 0) s += 3;
        s[strcspn(s, "\r")] = '\0';
        long index = strtol(s, &stop, 10);
        if (stop != s && index == l->n && (*stop == ':' || *stop == ' ')) s = stop + 1 + (stop[1] == ' ');
        if (*s) ok = push(l, s);
    }
    return ok && l->n > 0;
}

/* Damaged JSON would pass as strange labels. */
static bool looks_like_json(const char *text) {
    text += strspn(text, " \t\r\n");
    return *text == '[' || *text == '{';
}

/* TF-slim files begin with a background class that these networks do not have. */
static void drop_background(const char *path, cli_labels *l) {
    if (l->n != 1001) return;
    cli_say("note: %s has 1001 labels; the first (\"%s\") is taken as background and dropped", path, l->items[0]);
    free(l->items[0]);
    memmove(l->items, l->items + 1, 1000 * sizeof *l->items);
    l->n = 1000;
}

kf_status cli_labels_load(const char *path, cli_labels *out, kf_error *err) {
    char *text, why[256];
    size_t bytes;
    json_error_t where;
    *out = (cli_labels){0};
    kf_status st = cli_read(path, CLI_MAX_JSON, &text, &bytes, err);
    if (st != KF_OK) return st;
    json_t *j = json_loadb(text, bytes, 0, &where);
    bool ok = j ? from_json(j, out) : !looks_like_json(text) && from_text(text, bytes, out);
    if (!j && looks_like_json(text)) {
        snprintf(why, sizeof why, "not valid JSON at line %d; %.100s; correct it there", where.line, where.text);
        st = cli_error_at(err, KF_ERR_FORMAT, path, why);
    }
    json_decref(j);
    free(text);
    if (st != KF_OK) return st;
    if (!ok) {
        cli_labels_free(out);
        return cli_error_at(
            err, KF_ERR_FORMAT, path,
            "not a label list; one name a line, a JSON list or a JSON object from index to name is needed, in UTF-8");
    }
    drop_background(path, out);
    return KF_OK;
}
