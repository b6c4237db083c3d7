/* timm's config.json and the short form of it: every key is checked for type and range before it counts.
 * Owner rule: see sidecar.h; the JSON tree ends with the call. */
#include "import/sidecar.h"

#include "container/json.h"
#include <stdio.h>

#include "os/file.h"
#include "preprocess/preprocess.h"

enum { MAX_LABELS = 1 << 20, MAX_BYTES = 8 << 20 }; /* bytes: parsed JSON takes up to 45 times as much memory */

typedef struct reading {
    kf__sidecar *s;
    const json_t *root, *cfg; /* cfg: pretrained_cfg, or the root where it is flat */
    kf_error *err;
} reading;

#define BAD(r, ...) KF_FAIL((r)->err, KF_ERR_FORMAT, __VA_ARGS__)

/* First of two spellings that is there; *key becomes the one found. null counts as absent, as Python writes None. */
static const json_t *get(const json_t *o, const char *name, const char *other, const char **key) {
    const char *const NAMES[] = {name, other};
    for (int i = 0; i < 2; i++) {
        const json_t *v = NAMES[i] ? json_object_get(o, NAMES[i]) : NULL;
        *key = NAMES[i];
        if (v && !json_is_null(v)) return v;
    }
    return NULL;
}

static kf_status read_arch(reading *r) {
    const char *key;
    const json_t *v = get(r->root, "architecture", "arch", &key);
    if (!v) v = get(r->cfg, "architecture", NULL, &key);
    if (!v) return KF_OK;
    const char *s = json_string_value(v);
    if (!s || !*s) BAD(r, "%s: not a name", key);
    r->s->arch = kf__arena_strndup(&r->s->arena, s, strcspn(s, "."));
    if (!r->s->arch) KF_FAIL_MEMORY(r->err, strlen(s));
    return KF_OK;
}

static kf_status read_counts(reading *r) {
    const char *key;
    const json_t *v = get(r->root, "num_classes", NULL, &key);
    if (v && (!json_is_integer(v) || json_integer_value(v) < 1 || json_integer_value(v) > MAX_LABELS))
        BAD(r, "num_classes: not a number from 1 to %d", MAX_LABELS);
    r->s->classes = v ? (int32_t)json_integer_value(v) : 0;
    v = get(r->cfg, "input_size", "input", &key);
    if (!v) return KF_OK;
    int64_t dim[3] = {0};
    for (size_t i = 0; i < 3; i++) dim[i] = json_integer_value(json_array_get(v, i)); /* 0 when not an integer */
    if (json_array_size(v) != 3 || dim[0] != 3 || dim[1] != dim[2] || dim[1] < 32 || dim[1] > 4096)
        BAD(r, "%s: not [3, N, N] with N from 32 to 4096", key);
    r->s->side = (int32_t)dim[1];
    return KF_OK;
}

static kf_status read_word(const reading *r, const json_t *v, const kf_field *f) {
    char needs[KF_FIELD_TEXT];
    const char *s = json_string_value(v);
    if (!s) BAD(r, "%s: not a name", f->key);
    if (kf__field_take(&r->s->given, f, 0, kf__field_word(f, s))) return KF_OK;
    KF_FAIL(r->err, KF_ERR_UNSUPPORTED, "%s: \"%.40s\" is not known; %s is needed", f->key, s,
            kf__field_needs(f, true, needs));
}

static kf_status read_numbers(const reading *r, const json_t *v, const kf_field *f) {
    char needs[KF_FIELD_TEXT];
    kf__field_needs(f, true, needs);
    if (f->n > 1 && json_array_size(v) != (size_t)f->n) BAD(r, "%s: not a list of %d numbers", f->key, f->n);
    for (int32_t i = 0; i < f->n; i++) {
        const json_t *x = f->n > 1 ? json_array_get(v, (size_t)i) : v;
        if (json_is_number(x) && kf__field_take(&r->s->given, f, i, json_number_value(x))) continue;
        if (f->n == 1) BAD(r, "%s: not %s", f->key, needs);
        BAD(r, "%s: entry %d is not %s%s", f->key, i, needs, kf__field_hint(f));
    }
    return KF_OK;
}

static kf_status read_preprocess(reading *r) {
    const kf_field *f;
    const char *key;
    for (int32_t k = 0; (f = kf_preprocess_field(k)) != NULL; k++) {
        const json_t *v = f->help ? get(r->cfg, f->key, NULL, &key) : NULL; /* without help: the network decides it */
        if (!v) continue;
        KF_TRY(f->words ? read_word(r, v, f) : read_numbers(r, v, f));
        r->s->fields |= (uint32_t)1 << k;
    }
    return KF_OK;
}

/* A list of names, or an object from "0", "1", ... to names. label_descriptions turns a name (a synset) into words. */
static kf_status read_labels(reading *r) {
    const char *key;
    const json_t *v = get(r->root, "label_names", "classes", &key),
                 *words = json_object_get(r->root, "label_descriptions");
    if (!v) v = get(r->cfg, "label_names", NULL, &key);
    if (!words) words = json_object_get(r->cfg, "label_descriptions");
    if (words && !json_is_null(words) && !json_is_object(words)) BAD(r, "label_descriptions: not an object");
    if (!v) return KF_OK;
    size_t n = json_is_array(v) ? json_array_size(v) : json_object_size(v);
    if ((!json_is_array(v) && !json_is_object(v)) || n < 1 || n > MAX_LABELS)
        BAD(r, "%s: not a list of 1 to %d names", key, MAX_LABELS);
    r->s->labels = kf__arena_array(&r->s->arena, n, sizeof *r->s->labels);
    if (!r->s->labels) KF_FAIL_MEMORY(r->err, n * sizeof *r->s->labels);
    for (size_t i = 0; i < n; i++) {
        char index[24];
        snprintf(index, sizeof index, "%zu", i);
        const char *s = json_string_value(json_is_array(v) ? json_array_get(v, i) : json_object_get(v, index));
        if (!s) BAD(r, "%s: entry %zu is missing or not a name", key, i);
        const json_t *word = json_object_get(words, s);
        if (word && !json_is_string(word)) BAD(r, "label_descriptions: \"%.40s\" is not described by a text", s);
        if (!(r->s->labels[i] = kf__arena_strdup(&r->s->arena, word ? json_string_value(word) : s)))
            KF_FAIL_MEMORY(r->err, strlen(s));
    }
    r->s->n_labels = (int32_t)n;
    return KF_OK;
}

static kf_status read_all(reading *r) {
    if (!json_is_object(r->root)) BAD(r, "not a JSON object");
    const json_t *cfg = json_object_get(r->root, "pretrained_cfg");
    if (cfg && !json_is_object(cfg)) BAD(r, "pretrained_cfg: not an object");
    r->cfg = cfg ? cfg : r->root;
    KF_TRY(read_arch(r));
    KF_TRY(read_counts(r));
    KF_TRY(read_preprocess(r));
    KF_TRY(read_labels(r));
    if (r->s->classes && r->s->n_labels && r->s->n_labels != r->s->classes)
        BAD(r, "num_classes: %d, but %d names of classes are given", r->s->classes, r->s->n_labels);
    return KF_OK;
}

kf_status kf__sidecar_parse(const char *name, const void *data, size_t bytes, kf__sidecar *out, kf_error *err) {
    json_error_t why;
    *out = (kf__sidecar){0};
    kf__arena_init(&out->arena, NULL);
    kf_status st;
    json_t *root = kf__json_load(data, bytes, &why, &st);
    if (!root) KF_FAIL(err, st, "%s: line %d: cannot be read as JSON; %s", name, why.line, why.text);
    reading r = {.s = out, .root = root, .err = err};
    st = read_all(&r);
    json_decref(root);
    if (st == KF_OK && !(out->path = kf__arena_strdup(&out->arena, name)))
        st = kf_error_set(err, KF_ERR_MEMORY, "out of memory");
    else if (st != KF_OK) kf_error_prefix(err, st, "%s", name);
    if (st != KF_OK) kf__sidecar_free(out);
    return st;
}

void kf__sidecar_free(kf__sidecar *s) {
    kf__arena_free(&s->arena);
    *s = (kf__sidecar){0};
}

/* "dir/model.safetensors" -> "dir/model.json", or "dir/config.json". */
static const char *beside(kf__arena *a, const char *checkpoint, bool stem) {
    const char *slash = strrchr(checkpoint, '/'), *from = slash ? slash + 1 : checkpoint, *dot = strrchr(from, '.');
    if (!stem) return kf__arena_printf(a, "%.*sconfig.json", (int)(from - checkpoint), checkpoint);
    return kf__arena_printf(a, "%.*s.json", (int)((dot && dot != from ? dot : from + strlen(from)) - checkpoint),
                            checkpoint);
}

kf_status kf__sidecar_read(const char *checkpoint, kf__sidecar *out, kf_error *err) {
    kf__arena names;
    kf__file file;
    kf_status st = KF_OK;
    *out = (kf__sidecar){0};
    kf__arena_init(&out->arena, NULL);
    kf__arena_init(&names, NULL);
    for (int i = 0; i < 2; i++) {
        const char *path = beside(&names, checkpoint, i == 0);
        if (!path) st = kf_error_set(err, KF_ERR_MEMORY, "out of memory");
        if (st != KF_OK) break;
        if (!kf__file_exists(path)) continue;
        st = kf__file_read(path, MAX_BYTES, &file, err);
        if (st != KF_OK) break;
        st = kf__sidecar_parse(path, file.data, file.size, out, err);
        kf__file_free(&file);
        break;
    }
    kf__arena_free(&names);
    return st;
}
