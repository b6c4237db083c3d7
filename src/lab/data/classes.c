/* Class folders to classes: names are matched with labels, never counted where some of them match.
 * Owner rule: see classes.h. */
#include "data/classes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/labels.h"
#include "data/plain.h"
#include "data/synsets.h"

enum { NONE = -1, SEVERAL = -2, LONGEST = 64 };

/* ---- one name ---------------------------------------------------------------------------------------------------- */

/* Words are written with blanks in labels and with underscores in names of folders. */
static int fold(char c) { return c == '_' ? ' ' : kf__lab_small(c); }

static bool alike(const char *a, size_t n, const char *b, size_t m) {
    for (size_t i = 0; n == m && i < n; i++)
        if (fold(a[i]) != fold(b[i])) return false;
    return n == m;
}

/* The name itself: behind a synset id, where a label begins with one. */
static const char *words_of(const char *label) {
    uint32_t id;
    if (!kf__synset_read(label, &id)) return label;
    const char *at = label + 9 + strspn(label + 9, " \t:,_-");
    return *at ? at : label;
}

typedef enum way { EXACT, ANY_CASE, SYNONYM, SYNSET, WAYS } way;

static bool fits(way by, const char *name, const char *label) {
    const char *words = words_of(label);
    size_t n = strlen(name);
    uint32_t a, b;
    switch (by) {
    case EXACT: return strcmp(name, label) == 0 || strcmp(name, words) == 0;
    case ANY_CASE: return alike(name, n, label, strlen(label)) || alike(name, n, words, strlen(words));
    case SYNONYM: return alike(name, n, words, strcspn(words, ","));
    default: return kf__synset_read(name, &a) && kf__synset_read(label, &b) && a == b;
    }
}

/* Class 0 of ImageNet in this network; NONE where its classes are others. A network without names is told by their
 * number. */
static int32_t imagenet_base(const kf_model *m, size_t classes) {
    const char *first = kf_model_label(m, 0), *second = kf_model_label(m, 1);
    if (classes == KF__SYNSETS && (!first || kf__labels_imagenet(words_of(first)) || kf__labels_imagenet(first)))
        return 0;
    if (classes == KF__SYNSETS + 1 && (!second || kf__labels_imagenet(words_of(second)))) return 1;
    return NONE;
}

/* A class, NONE, or SEVERAL with two of them. */
static int64_t match(const kf_model *m, const char *name, size_t classes, int32_t of[2]) {
    uint32_t id;
    for (int by = 0; by < WAYS; by++) {
        int found = 0;
        for (int32_t k = 0; kf_model_label(m, k); k++)
            if (fits((way)by, name, kf_model_label(m, k)) && found < 2) of[found++] = k;
        if (found) return found == 1 ? of[0] : SEVERAL;
    }
    int32_t base = imagenet_base(m, classes);
    int32_t at = base >= 0 && kf__synset_read(name, &id) ? kf__synset_class(id) : NONE;
    return at >= 0 ? at + base : NONE;
}

/* ---- nearest label ----------------------------------------------------------------------------------------------- */

/* Letters to change, add or remove. */
static size_t distance(const char *a, size_t n, const char *b, size_t m) {
    size_t row[LONGEST + 1];
    if (n > LONGEST) n = LONGEST;
    if (m > LONGEST) m = LONGEST;
    for (size_t j = 0; j <= m; j++) row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t corner = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t best = corner + (fold(a[i - 1]) != fold(b[j - 1]));
            corner = row[j];
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[m];
}

static int32_t nearest(const kf_model *m, const char *name) {
    size_t least = SIZE_MAX;
    int32_t at = 0;
    for (int32_t k = 0; kf_model_label(m, k); k++) {
        const char *words = words_of(kf_model_label(m, k));
        size_t d = distance(name, strlen(name), words, strcspn(words, ","));
        if (d < least) least = d, at = k;
    }
    return at;
}

/* ---- errors ------------------------------------------------------------------------------------------------------ */

static kf_status no_label(const kf__classes *c, size_t i, size_t classes, kf_error *err) {
    const char *name = c->names[i];
    if (!kf_model_label(c->model, 0))
        KF_FAIL(err, KF_ERR_ARGUMENT,
                "%.400s: %zu class folders, and the model has %zu classes without labels, so that %.200s is none of "
                "them; give labels with the model (--labels), or class numbers in a labels.csv",
                c->data, c->n, classes, name);
    int32_t k = nearest(c->model, name);
    KF_FAIL(err, KF_ERR_ARGUMENT,
            "%.400s/%.200s: no label of the model's %zu classes is like the name of this folder; the nearest is "
            "\"%.100s\" (class %d); rename the folder, or give class numbers in a labels.csv",
            c->data, name, classes, kf_model_label(c->model, k), k);
}

static kf_status several(const kf__classes *c, size_t i, const int32_t of[2], kf_error *err) {
    KF_FAIL(err, KF_ERR_ARGUMENT,
            "%.400s/%.200s: classes %d and %d of the model both have this name; give class numbers in a labels.csv",
            c->data, c->names[i], of[0], of[1]);
}

/* ---- all --------------------------------------------------------------------------------------------------------- */

/* -1: no number. */
static int64_t number_of(const char *name) {
    char *end;
    if (*name < '0' || *name > '9') return -1;
    long long n = strtoll(name, &end, 10);
    return *end ? -1 : n;
}

/* As many folders as classes: "10" comes after "9", not after "1". */
static kf_status in_order(const kf__classes *c, int64_t *to, kf_error *err) {
    char text[700];
    bool numbers = true;
    for (size_t i = 0; i < c->n; i++) numbers = numbers && number_of(c->names[i]) >= 0;
    for (size_t i = 0; i < c->n; i++) {
        to[i] = numbers ? 0 : (int64_t)i;
        for (size_t k = 0; numbers && k < c->n; k++) {
            if (k != i && number_of(c->names[k]) == number_of(c->names[i]))
                KF_FAIL(err, KF_ERR_ARGUMENT, "%.400s: folders %.100s and %.100s have one number; rename one", c->data,
                        c->names[i], c->names[k]);
            to[i] += number_of(c->names[k]) < number_of(c->names[i]);
        }
    }
    snprintf(text, sizeof text, "%.400s: its %zu folders are taken as the model's %zu classes in %s order; %s", c->data,
             c->n, c->n, numbers ? "numerical" : "alphabetical",
             kf_model_label(c->model, 0) ? "none has the name of a label" : "the model has no labels");
    if (c->notice) c->notice(c->user, text);
    return KF_OK;
}

kf_status kf__classes_find(const kf__classes *c, int64_t *to, bool *fit, kf_error *err) {
    kf_tensor out;
    size_t used = 0, matched = 0, first = c->n;
    int32_t of[2] = {0, 0};
    KF_TRY(kf_model_output(c->model, kf_model_ranked(c->model), &out, err));
    size_t classes = kf__labels_classes(&out);
    *fit = true;
    for (size_t i = 0; i < c->n; i++) {
        to[i] = match(c->model, c->names[i], classes, of);
        if (!c->pictures[i]) continue;
        used++;
        if (to[i] == SEVERAL) return several(c, i, of, err);
        if (to[i] >= 0) matched++;
        else if (first == c->n) first = i;
    }
    if (matched == used) return KF_OK;
    if (matched) return no_label(c, first, classes, err);
    if (c->n == classes) return in_order(c, to, err);
    *fit = false;
    return c->optional ? KF_OK : no_label(c, first, classes, err);
}
