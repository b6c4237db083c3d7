/* Label files in the forms that people have: one a line, "7:name", JSON list, JSON object; and which list fits a
 * network. Owner rule: kf_labels_free releases what kf_labels_load made. */
#include "data/labels.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "data/synsets.h"
#include "data/text.h"
#include "data/plain.h"

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

static kf_status from_one(const reading *r) {
    KF_FAIL(r->err, KF_ERR_FORMAT,
            "%.600s: its indices begin at 1; they must begin at 0, which is the network's first class; subtract 1 from "
            "each",
            r->path);
}

static kf_status no_index(const reading *r, const json_t *object, size_t i) {
    char *end;
    const char *key = json_object_iter_key(json_object_iter((json_t *)object));
    strtol(key ? key : "", &end, 10);
    if (!key || end == key || *end) return no_list(r); /* its keys are no numbers */
    if (i == 0 && json_object_get(object, "1")) return from_one(r);
    KF_FAIL(r->err, KF_ERR_FORMAT, "%.600s: index %zu is missing; %zu names need the indices 0 to %zu", r->path, i,
            json_object_size(object), json_object_size(object) - 1);
}

/* An object maps the decimal index to a name, or to [id, name] as Keras has it. */
static kf_status from_object(const reading *r, const json_t *j) {
    size_t n = json_is_array(j) ? json_array_size(j) : json_object_size(j);
    for (size_t i = 0; i < n; i++) {
        char key[24];
        snprintf(key, sizeof key, "%zu", i);
        const json_t *v = json_is_array(j) ? json_array_get(j, i) : json_object_get(j, key);
        if (!v) return no_index(r, j, i);
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

/* Lines with a number in front, as "7 name", "7: name", "7\tname" and "7,name" have it. */
typedef struct numbering {
    int32_t ahead, numbered; /* lines that are numbered from 1; all with a number */
    long least, most;
} numbering;

/* The name on a line: what follows its number where that is the index of the class. A table's name may be quoted. */
static char *name_of(char *s, int32_t at, numbering *n) {
    char *stop;
    long index = strtol(s, &stop, 10);
    if (stop == s || !*stop || !strchr(": ,\t", *stop)) return s;
    const bool table = *stop == ',' || *stop == '\t';
    if (table && n->numbered != at) return s; /* names may begin so: "1,2-dichloroethane" */
    n->ahead += index == (long)at + 1;
    if (n->numbered == 0 || index < n->least) n->least = index;
    if (n->numbered == 0 || index > n->most) n->most = index;
    n->numbered++;
    if (index != at) return s;
    stop += 1 + (stop[1] == ' ');
    size_t last = strlen(stop);
    if (!table || last < 2 || stop[0] != '"' || stop[last - 1] != '"') return stop;
    stop[last - 1] = '\0';
    return stop + 1;
}

/* "index,name" over the lines of a table. */
static void drop_header(kf_labels *l, const char *line, const numbering *n) {
    if (l->n != 1 || n->numbered || (strncmp(line, "0,", 2) != 0 && strncmp(line, "0\t", 2) != 0)) return;
    free(l->items[0]);
    l->n = 0;
}

/* Names in another order than the classes would be taken for other classes. */
static kf_status check_order(const reading *r, const numbering *n, bool in_order) {
    if (n->ahead > 1 && n->ahead == r->to->n) return from_one(r);
    if (r->to->n == 0) return no_list(r);
    if (in_order || n->numbered < 2 || n->numbered != r->to->n || n->least != 0 || n->most != n->numbered - 1)
        return KF_OK;
    KF_FAIL(r->err, KF_ERR_FORMAT, "%.600s: its lines are numbered, but not in the order 0, 1, 2 ...; sort them",
            r->path);
}

static kf_status from_text(const reading *r, char *text, size_t bytes) {
    char *at = text, *line, *end = text + bytes;
    numbering how = {0};
    bool in_order = true;
    size_t n;
    while ((line = kf__text_line(&at, end, &n)) != NULL) {
        if (strlen(line) != n) return no_list(r); /* a zero byte: not text */
        line[strcspn(line, "\r")] = '\0';
        drop_header(r->to, line, &how);
        const int32_t numbered = how.numbered;
        char *s = name_of(line, r->to->n, &how);
        in_order &= how.numbered == numbered || s != line;
        if (*s) KF_TRY(push(r, s));
    }
    return check_order(r, &how, in_order);
}

/* Damaged JSON would pass as strange labels. */
static bool looks_like_json(const char *text) {
    text += strspn(text, " \t\r\n");
    return *text == '[' || *text == '{';
}

kf_status kf_labels_load(const char *path, kf_labels *out, kf_error *err) {
    if (!path || !out) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_labels_load: path and out are needed");
    char *text;
    size_t bytes;
    const reading r = {path, out, err};
    *out = (kf_labels){0};
    KF_TRY(kf__text_read(path, KF__MAX_LABELS, &text, &bytes, err));
    const kf_file_kind *k = kf_file_recognize(text, bytes);
    if (k && !k->reads) { /* a page or a pointer has lines too, but no names */
        free(text);
        KF_FAIL(err, KF_ERR_FORMAT, "%.400s: this is %s; %s", path, k->what, k->advice);
    }
    const size_t mark = bytes >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0; /* as editors of Windows write */
    char *from = text + mark;
    kf_status st = looks_like_json(from) ? from_json(&r, from, bytes - mark) : from_text(&r, from, bytes - mark);
    free(text);
    if (st != KF_OK) kf_labels_free(out);
    return kf_file_explain(path, KF_FILE_TEXT, st, err);
}

/* ---- which list fits --------------------------------------------------------------------------------------------- */

size_t kf__labels_classes(const kf_tensor *scores) {
    size_t n = scores->bytes / sizeof(float);
    return scores->rank > 1 && scores->shape[0] > 1 ? n / (size_t)scores->shape[0] : n;
}

/* Trainers of detectors and TensorFlow count a class 0 that is nothing. */
static bool is_background(const char *label) {
    static const char *const WORDS[] = {
        "background", "dummy", "none", "bg", "void", "unlabeled", "unlabelled", "null", "background class", "no class"};
    char word[24];
    size_t n = 0;
    if (*label && !label[strspn(label, "?")]) return true; /* "???" of TensorFlow's detection lists */
    for (; *label && !kf__lab_letter(*label); label++) {
    }
    for (; n < sizeof word - 1 && label[n]; n++) word[n] = label[n] == '_' || label[n] == '-' ? ' ' : label[n];
    while (n && !kf__lab_letter(word[n - 1])) n--;
    word[n] = '\0';
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++)
        if (kf__lab_same(word, WORDS[i], SIZE_MAX)) return true;
    return false;
}

bool kf__labels_imagenet(const char *first) {
    uint32_t id;
    if (kf__synset_read(first, &id)) return kf__synset_class(id) == 0;
    return kf__lab_same(first, "tench", 5) && !kf__lab_letter(first[5]);
}

static void tell(kf_message_fn notice, void *user, const char *text) {
    if (notice) notice(user, text);
}

kf_status kf__labels_shift(const kf_labels *labels, size_t classes, const char *own, kf_message_fn notice, void *user,
                           int *shift, kf_error *err) {
    size_t n = (size_t)labels->n;
    const char *first = n ? labels->items[0] : "";
    char text[400];
    *shift = 0;
    if (!n || n == classes) return KF_OK;
    bool background = is_background(first);
    if (n == classes + 1 && background) {
        snprintf(text, sizeof text,
                 "the first of %zu labels (\"%.100s\") is a background class, which this network of %zu classes does "
                 "not have; the others name classes 0 to %zu",
                 n, first, classes, classes - 1);
        *shift = -1;
    } else if (n + 1 == classes && !background &&
               ((own && is_background(own)) || (n == KF__SYNSETS && kf__labels_imagenet(first)))) {
        snprintf(text, sizeof text,
                 "%zu labels for %zu classes: class 0 of this network is taken as the background, and the labels name "
                 "classes 1 to %zu",
                 n, classes, n);
        *shift = 1;
    } else if (n + 1 == classes && !background) {
        KF_FAIL(err, KF_ERR_ARGUMENT,
                "%zu labels; the model has %zu classes; use the list that belongs to it; if its class 0 is the "
                "background, begin the list with a line \"background\"",
                n, classes);
    } else if (n == classes + 1) {
        KF_FAIL(err, KF_ERR_ARGUMENT,
                "%zu labels; the model has %zu classes; the first label (\"%.100s\") is no background class; use the "
                "list that belongs to it",
                n, classes, first);
    } else {
        KF_FAIL(err, KF_ERR_ARGUMENT, "%zu labels; the model has %zu classes; use the list that belongs to it", n,
                classes);
    }
    tell(notice, user, text);
    return KF_OK;
}

static kf_status put_background(kf_labels *l, kf_error *err) {
    char **grown = realloc(l->items, ((size_t)l->n + 1) * sizeof *grown), *word = strdup(KF__BACKGROUND);
    if (grown) l->items = grown;
    if (!grown || !word) {
        free(word);
        KF_FAIL(err, KF_ERR_MEMORY, "out of memory for %d labels", l->n + 1);
    }
    memmove(grown + 1, grown, (size_t)l->n++ * sizeof *grown);
    grown[0] = word;
    return KF_OK;
}

kf_status kf_labels_fit(kf_labels *labels, const kf_model *model, kf_message_fn notice, void *user, kf_error *err) {
    kf_tensor out;
    int shift;
    if (!model) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_labels_fit: a model is needed");
    if (!labels || !labels->n) return KF_OK;
    KF_TRY(kf_model_output(model, kf_model_ranked(model), &out, err));
    KF_TRY(kf__labels_shift(labels, kf__labels_classes(&out), kf_model_label(model, 0), notice, user, &shift, err));
    if (shift > 0) return put_background(labels, err);
    if (shift == 0) return KF_OK;
    free(labels->items[0]);
    memmove(labels->items, labels->items + 1, (size_t)--labels->n * sizeof *labels->items);
    return KF_OK;
}
