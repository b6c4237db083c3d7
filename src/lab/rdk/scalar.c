/* What a plain scalar stands for: YAML 1.1 by PyYAML's rules, one function a rule, and numbers that Python leaves
 * texts. A rule reads the text alone and returns its value. A scalar that no rule accepts is text. Owner rule: nothing
 * is kept. */
#include "rdk/yaml.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/plain.h"

#define DIGITS "0123456789"

static bool one_of(const char *t, const char *const *words) {
    for (; *words; words++)
        if (strcmp(t, *words) == 0) return true;
    return false;
}

static size_t sign_of(const char *t) { return *t == '-' || *t == '+'; }
static double negate(const char *t, double x) { return *t == '-' ? -x : x; }

/* Digits and underscores of a base, all that is left of the text. */
static bool read_base(const char *p, int base, double *out) {
    static const char SET[] = "0123456789abcdef";
    double x = 0;
    bool any = false;
    for (; *p; p++) {
        if (*p == '_') continue;
        const char *at = strchr(SET, *p >= 'A' && *p <= 'F' ? *p - 'A' + 'a' : *p);
        if (!at || at - SET >= base) return false;
        x = x * base + (double)(at - SET);
        any = true;
    }
    *out = x;
    return any;
}

/* A decimal that may hold underscores; strtod knows none. Longer ones with underscores are text. */
static bool read_decimal(const char *p, double *out) {
    char plain[256];
    size_t n = 0;
    if (!strchr(p, '_')) return *out = kf__lab_real(p, NULL), true;
    for (; *p && n < sizeof plain - 1; p++)
        if (*p != '_') plain[n++] = *p;
    plain[n] = 0;
    *out = kf__lab_real(plain, NULL);
    return !*p;
}

/* 1:30 is 90; 1:30.5 is 90.5: each part behind a colon is a sixtieth, 0 to 59. */
static kf__yaml_type read_sixties(const char *p, double *out) {
    size_t n = strspn(p, DIGITS "_");
    double x = 0;
    bool fraction = false, zero = *p == '0';
    if (*p < '0' || *p > '9' || p[n] != ':') return KF_YAML_TEXT;
    for (size_t i = 0; i < n; i++)
        if (p[i] != '_') x = x * 10 + (p[i] - '0');
    for (p += n; *p == ':'; p += n) {
        n = strspn(++p, DIGITS);
        if (n < 1 || n > 2 || (n == 2 && *p > '5')) return KF_YAML_TEXT;
        x = x * 60 + strtol(p, NULL, 10);
    }
    if (*p == '.') {
        double part;
        fraction = true;
        if (p[1 + strspn(p + 1, DIGITS "_")] || !read_decimal(p, &part)) return KF_YAML_TEXT;
        x += p[1] ? part : 0;
    } else if (*p || zero) return KF_YAML_TEXT;
    *out = x;
    return fraction ? KF_YAML_FLOAT : KF_YAML_INT;
}

static bool read_int(const char *t, double *out) {
    const char *p = t + sign_of(t);
    bool decimal = *p >= '1' && *p <= '9' && !p[strspn(p, DIGITS "_")];
    if (decimal) return read_decimal(p, out);
    if (*p != '0') return false;
    if (!p[1]) return *out = 0, true;
    if (p[1] == 'b') return read_base(p + 2, 2, out);
    if (p[1] == 'x') return read_base(p + 2, 16, out);
    return read_base(p, 8, out);
}

/* 1.5, 1., .5, 1.5e+3 and 1_000.5 of Python; 1e-5, 1.5e3 and -.5 too, which their authors meant as numbers. */
static bool read_float(const char *t, double *out) {
    const char *p = t + sign_of(t);
    size_t whole = *p >= '0' && *p <= '9' ? strspn(p, DIGITS "_") : 0;
    bool dot = p[whole] == '.';
    const char *behind = p + whole + dot;
    size_t part = dot && (whole || (*behind >= '0' && *behind <= '9')) ? strspn(behind, DIGITS "_") : 0;
    const char *rest = behind + part;
    bool power = *rest == 'e' || *rest == 'E';
    if (whole + part == 0 || (!dot && !power)) return false;
    if (power) {
        rest++;
        rest += sign_of(rest);
        size_t digits = strspn(rest, DIGITS);
        if (!digits) return false;
        rest += digits;
    }
    return !*rest && read_decimal(p, out);
}

static kf__yaml_type number_type(const char *t, double *x) {
    static const char *const ENDLESS[] = {".inf", ".Inf", ".INF", NULL}, *const NONE[] = {".nan", ".NaN", ".NAN", NULL};
    const char *p = t + sign_of(t);
    if (one_of(t, NONE)) return *x = NAN, KF_YAML_FLOAT;
    if (one_of(p, ENDLESS)) return *x = INFINITY, KF_YAML_FLOAT;
    if (read_int(t, x)) return KF_YAML_INT;
    if (read_float(t, x)) return KF_YAML_FLOAT;
    return read_sixties(p, x);
}

kf__yaml_type kf__yaml_scalar_type(const kf__yaml_node *n, bool *truth, double *number) {
    static const char *const NOTHING[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const YES[] = {"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", NULL};
    static const char *const NO[] = {"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", NULL};
    double x = 0;
    if (!n->plain) return KF_YAML_TEXT;
    if (one_of(n->text, NOTHING)) return KF_YAML_NULL;
    bool yes = one_of(n->text, YES);
    if (yes || one_of(n->text, NO)) {
        if (truth) *truth = yes;
        return KF_YAML_BOOL;
    }
    kf__yaml_type type = number_type(n->text, &x);
    if (type != KF_YAML_TEXT && number) *number = negate(n->text, x);
    return type;
}
