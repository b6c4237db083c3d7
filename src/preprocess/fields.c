/* kf_preprocess by its table: names, access, legality, values from text. A new member is a line of preprocess.def
 * and one of types.h; no code here names a member, except `color` in the check. Owner rule: constant data. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "preprocess/preprocess.h"

#define ABOVE_0 DBL_MIN
#define ALWAYS 0
#define UNLESS_0 1

enum {
#define KF_FIELD(member, ...) AT_##member,
#define KF_WORD(...)
#include "preprocess/preprocess.def"
#undef KF_FIELD
#undef KF_WORD
    N_FIELDS
};

static const char *const WORDS[N_FIELDS][8] = {
#define KF_FIELD(...)
#define KF_WORD(member, value, word) [AT_##member][value] = word,
#include "preprocess/preprocess.def"
#undef KF_FIELD
#undef KF_WORD
};

#define WORDS_INTEGER(member) NULL
#define WORDS_REAL(member) NULL
#define WORDS_WORD(member) WORDS[AT_##member]

static const kf_field FIELDS[N_FIELDS] = {
#define KF_FIELD(member, kind, n, key, lo, hi, usual, written, help, ...)                                              \
    {#member,                                                                                                          \
     key,                                                                                                              \
     help,                                                                                                             \
     KF_FIELD_##kind,                                                                                                  \
     n,                                                                                                                \
     written,                                                                                                          \
     lo,                                                                                                               \
     hi,                                                                                                               \
     (usual) ? (usual) : (hi),                                                                                         \
     {__VA_ARGS__},                                                                                                    \
     WORDS_##kind(member),                                                                                             \
     offsetof(kf_preprocess, member)},
#define KF_WORD(...)
#include "preprocess/preprocess.def"
#undef KF_FIELD
#undef KF_WORD
};

_Static_assert(N_FIELDS <= 32, "kf_preprocess_copy names fields by the bits of a word");
_Static_assert(sizeof(kf_crop) == 4 && sizeof(kf_filter) == 4 && sizeof(kf_color) == 4 && sizeof(kf_pillow) == 4,
               "words are read as int32_t");

/* ---- names ----------------------------------------------------------------------------------- */

const kf_field *kf_preprocess_field(int32_t index) { return index >= 0 && index < N_FIELDS ? &FIELDS[index] : NULL; }

int32_t kf__field_word(const kf_field *f, const char *word) {
    for (int32_t i = 0; f->words && i <= (int32_t)f->hi; i++)
        if (strcmp(f->words[i], word) == 0) return i;
    return -1;
}

static const char *name_of(int32_t field, unsigned value) {
    return value <= (unsigned)FIELDS[field].hi ? FIELDS[field].words[value] : NULL;
}

const char *kf_filter_name(kf_filter filter) { return name_of(AT_filter, (unsigned)filter); }
const char *kf_crop_name(kf_crop crop) { return name_of(AT_crop, (unsigned)crop); }
const char *kf_color_name(kf_color color) { return name_of(AT_color, (unsigned)color); }

static kf_status from_name(int32_t field, const char *name, void *value, kf_error *err) {
    char needs[KF_FIELD_TEXT];
    int32_t at = name ? kf__field_word(&FIELDS[field], name) : -1;
    if (at < 0 || !value)
        KF_FAIL(err, KF_ERR_ARGUMENT, "%s '%.60s': %s is needed", FIELDS[field].member, name ? name : "",
                kf__field_needs(&FIELDS[field], true, needs));
    memcpy(value, &at, sizeof at);
    return KF_OK;
}

kf_status kf_filter_from_name(const char *name, kf_filter *out, kf_error *err) {
    return from_name(AT_filter, name, out, err);
}

kf_status kf_crop_from_name(const char *name, kf_crop *out, kf_error *err) {
    return from_name(AT_crop, name, out, err);
}

kf_status kf_color_from_name(const char *name, kf_color *out, kf_error *err) {
    return from_name(AT_color, name, out, err);
}

/* ---- values ---------------------------------------------------------------------------------- */

double kf_preprocess_get(const kf_preprocess *p, const kf_field *f, int32_t i) {
    const char *at = (const char *)p + f->offset;
    int32_t whole;
    double real;
    if (f->kind == KF_FIELD_REAL) {
        memcpy(&real, at + (size_t)i * sizeof real, sizeof real);
        return real;
    }
    memcpy(&whole, at + (size_t)i * sizeof whole, sizeof whole);
    return whole;
}

static bool is_legal(const kf_field *f, double v) {
    return v >= f->lo && v <= f->hi && (f->kind == KF_FIELD_REAL || v == floor(v));
}

int32_t kf_preprocess_set(kf_preprocess *p, const kf_field *f, int32_t i, double value) {
    char *at = (char *)p + f->offset;
    if (!is_legal(f, value)) return 0;
    int32_t whole = f->kind == KF_FIELD_REAL ? 0 : (int32_t)value;
    if (f->kind == KF_FIELD_REAL) memcpy(at + (size_t)i * sizeof value, &value, sizeof value);
    else memcpy(at + (size_t)i * sizeof whole, &whole, sizeof whole);
    return 1;
}

bool kf__field_take(kf_preprocess *p, const kf_field *f, int32_t i, double value) {
    return fabs(value) <= f->usual && kf_preprocess_set(p, f, i, value);
}

void kf_preprocess_copy(kf_preprocess *to, const kf_preprocess *from, uint32_t fields) {
    for (int32_t k = 0; k < N_FIELDS; k++)
        for (int32_t i = 0; fields >> k & 1 && i < FIELDS[k].n; i++)
            kf_preprocess_set(to, &FIELDS[k], i, kf_preprocess_get(from, &FIELDS[k], i));
}

void kf_preprocess_init(kf_preprocess *p) {
    *p = (kf_preprocess){.valid = 1};
    for (int32_t k = 0; k < N_FIELDS; k++)
        for (int32_t i = 0; i < FIELDS[k].n; i++) kf_preprocess_set(p, &FIELDS[k], i, FIELDS[k].preset[i]);
}

/* ---- legality -------------------------------------------------------------------------------- */

const char *kf__field_needs(const kf_field *f, bool user, char to[KF_FIELD_TEXT]) {
    double hi = user ? f->usual : f->hi;
    double lo = -f->lo > hi ? -hi : f->lo;
    size_t at = 0, room = KF_FIELD_TEXT;
    for (int32_t i = 0; f->words && at < room && i <= (int32_t)f->hi; i++) {
        const char *between = i == (int32_t)f->hi ? " or " : ", ";
        if (i == 0) between = "";
        at += (size_t)kf__text_print(to + at, room - at, "%s%s", between, f->words[i]);
    }
    if (f->words) return to;
    const char *what = f->kind == KF_FIELD_INTEGER ? "a whole number" : "a number";
    if (lo == ABOVE_0 && hi == DBL_MAX) kf__text_print(to, room, "%s above 0", what);
    else if (lo == ABOVE_0) kf__text_print(to, room, "%s above 0, at most %g", what, hi);
    else if (hi == DBL_MAX) kf__text_print(to, room, "a finite number");
    else kf__text_print(to, room, "%s from %g to %g", what, lo, hi);
    return to;
}

const char *kf__field_hint(const kf_field *f) {
    return f->usual < f->hi ? "; pixels count from 0 to 1 (divide by 255)" : "";
}

kf_status kf__preprocess_check(const kf_preprocess *p, int64_t channels, kf_error *err) {
    char needs[KF_FIELD_TEXT];
    int32_t set = 0;
    for (int i = 0; i < 8; i++) set |= p->reserved[i];
    if (set) KF_FAIL(err, KF_ERR_ARGUMENT, "preprocessing: a reserved member is set; use a newer library");
    for (int32_t k = 0; k < N_FIELDS; k++)
        for (int32_t i = 0; i < FIELDS[k].n; i++) {
            double v = kf_preprocess_get(p, &FIELDS[k], i);
            if (is_legal(&FIELDS[k], v)) continue;
            const char *member = FIELDS[k].member;
            kf__field_needs(&FIELDS[k], false, needs);
            if (FIELDS[k].n == 1)
                KF_FAIL(err, KF_ERR_ARGUMENT, "preprocessing: %s is %g; %s is needed", member, v, needs);
            KF_FAIL(err, KF_ERR_ARGUMENT, "preprocessing: %s of channel %d is %g; %s is needed", member, i, v, needs);
        }
    if (p->color == KF_COLOR_GRAY && channels != 0 && channels != 1)
        KF_FAIL(err, KF_ERR_ARGUMENT,
                "preprocessing: color is gray, which goes with one input channel; the network "
                "has %lld; use rgb or bgr",
                (long long)channels);
    return KF_OK;
}

/* ---- text ------------------------------------------------------------------------------------ */

/* `f->n` numbers between commas, or one for all; false: something else. */
static bool parse_numbers(kf_preprocess *p, const kf_field *f, const char *text) {
    int32_t n = 0;
    const char *s = text;
    char *end;
    do {
        double v = kf__text_real(s, &end);
        if (end == s || !kf__field_take(p, f, n, v)) return false;
        n++, s = end + 1;
    } while (*end == ',' && n < f->n);
    if (*end || (n != 1 && n != f->n)) return false;
    for (; n < f->n; n++) kf_preprocess_set(p, f, n, kf_preprocess_get(p, f, 0));
    return true;
}

kf_status kf_preprocess_parse(kf_preprocess *p, const kf_field *f, const char *text, kf_error *err) {
    char needs[KF_FIELD_TEXT];
    if (!p || !f || !text) KF_FAIL(err, KF_ERR_ARGUMENT, "preprocessing: member or text is NULL");
    kf_preprocess made = *p;
    int32_t word = f->words ? kf__field_word(f, text) : -1;
    bool ok = f->words ? kf_preprocess_set(&made, f, 0, word) : parse_numbers(&made, f, text);
    kf__field_needs(f, true, needs);
    if (!ok && f->n == 1) KF_FAIL(err, KF_ERR_ARGUMENT, "%s %.60s: %s is needed", f->key, text, needs);
    if (!ok)
        KF_FAIL(err, KF_ERR_ARGUMENT, "%s %.60s: %s, or %d of them between commas, is needed%s", f->key, text, needs,
                f->n, kf__field_hint(f));
    *p = made;
    return KF_OK;
}
