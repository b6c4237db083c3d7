/* The proof of a step's constants: those that steps.def wants are there, with its types, lengths and values, and no
 * others. Owner rule: reads only. */
#include "program/program_private.h"

#include <math.h>

/* In words, as the file names them (docs/FORMAT.md). */
static const char *const ROLES[KF_CONST_ROLES] = {
    [KF_CONST_W] = "w",   [KF_CONST_BIAS] = "bias",   [KF_CONST_MUL] = "mul",
    [KF_CONST_K] = "k",   [KF_CONST_INV] = "inv",     [KF_CONST_FBIAS] = "fbias",
    [KF_CONST_W2] = "w2", [KF_CONST_BIAS2] = "bias2", [KF_CONST_MUL2] = "mul2"};

/* No place is negative, and the farthest row, column and channel together lie in the image. */
static kf_status check_picks(const kf__step *s, const kf__ptensor *x, const kf__ptensor *y, const int32_t *m,
                             kf_error *err) {
    const int32_t ends[] = {y->h, y->h + y->w, y->h + y->w + y->c};
    int64_t sum = 0;
    bool fits = x->n == y->n;
    for (int32_t k = 0, i = 0; k < 3; k++) {
        int32_t most = 0;
        for (; i < ends[k]; i++) {
            fits = fits && m[i] >= 0;
            if (m[i] > most) most = m[i];
        }
        sum += most;
    }
    if (!fits || sum >= (int64_t)x->h * x->w * x->c) STEP_FAIL(err, s, "it reads elements outside of an image");
    return KF_OK;
}

/* Every place that the step reads lies between the first element of its input and the last. */
static kf_status check_places(const kf__program *p, const kf__step *s, const int32_t *m, kf_error *err) {
    const kf__ptensor *x = &p->tensors[s->in[0]], *y = &p->tensors[s->out];
    const int64_t extent[] = {y->n, y->h, y->w, y->c}, count = (int64_t)kf__ptensor_count(x);
    int64_t low = m[0], high = m[0];
    if (s->op == KF_STEP_PICK) return check_picks(s, x, y, m, err);
    for (int i = 0; i < 4; i++) {
        const int64_t far = (extent[i] - 1) * m[i + 1];
        if (far < 0) low += far;
        else high += far;
    }
    if (low < 0 || high >= count)
        STEP_FAIL(err, s, "it reads elements %lld to %lld of %lld", (long long)low, (long long)high, (long long)count);
    return KF_OK;
}

static kf_status check_values(const kf__step *s, const kf__pconst *c, const kf__const_rule *rule, kf_error *err) {
    const float *v = c->data;
    const char *role = ROLES[rule->role];
    size_t n = c->bytes / sizeof *v;
    if (rule->values == KF_VALUES_ANY) return KF_OK;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(v[i]))
            STEP_FAIL(err, s, "%s: element %zu is not finite, so not a usable factor or bias", role, i);
        if (rule->values == KF_VALUES_FACTOR && v[i] < 0)
            STEP_FAIL(err, s, "%s: element %zu is not a usable factor", role, i);
    }
    return KF_OK;
}

static kf_status check_length(const kf__step *s, const kf__pconst *c, const kf__length *l, kf_error *err) {
    size_t want = 0, have = 0;
    char a[96], b[96];
    if (!kf__shape_count(&l->shape, &want) || want < 1 || want > KF_MOST_ELEMENTS)
        STEP_FAIL(err, s, "constant %s: %zu elements are out of range", c->name, want);
    bool counted = kf__shape_count(&c->shape, &have) && c->bytes == have * kf_dtype_size(c->dtype) && c->data;
    if (!counted || (have != want && !(l->or_one && have == 1)))
        STEP_FAIL(err, s, "constant %s does not have %zu elements", c->name, want);
    if (l->exact && !kf__shape_equal(&c->shape, &l->shape))
        STEP_FAIL(err, s, "constant %s is %s; %s is needed", c->name, kf__shape_text(&c->shape, a, sizeof a),
                  kf__shape_text(&l->shape, b, sizeof b));
    return KF_OK;
}

static kf_status check_const(const kf__program *p, const kf__step *s, const kf__const_rule *rule, kf_error *err) {
    const int form = kf__step_form_of(p, s);
    const kf__need need = kf__const_need(rule, p, s);
    const int32_t i = s->consts[rule->role];
    kf__length l;
    if (i < -1 || i >= p->n_consts) STEP_FAIL(err, s, "constant %d (%s) is out of range", i, ROLES[rule->role]);
    if (i < 0 && need == KF_NEED_MUST) STEP_FAIL(err, s, "its %s is missing", ROLES[rule->role]);
    if (i >= 0 && need == KF_NEED_NEVER) STEP_FAIL(err, s, "a step like this takes no %s", ROLES[rule->role]);
    if (i < 0) return KF_OK;
    const kf__pconst *c = &p->consts[i];
    if (!(kf__types_of(c->dtype) & kf__const_types(rule, form)))
        STEP_FAIL(err, s, "constant %s (%s) must not be %s", c->name, ROLES[rule->role], kf_dtype_name(c->dtype));
    kf__const_length(rule, p, s, &l);
    KF_TRY(check_length(s, c, &l, err));
    if (rule->values == KF_VALUES_PLACES) return check_places(p, s, c->data, err);
    return check_values(s, c, rule, err);
}

kf_status kf__validate_consts(const kf__program *p, const kf__step *s, kf_error *err) {
    size_t n;
    bool known[KF_CONST_ROLES] = {false};
    const kf__const_rule *rules = kf__const_rules(&n);
    for (size_t i = 0; i < n; i++) {
        if (rules[i].op != s->op) continue;
        known[rules[i].role] = true;
        KF_TRY(check_const(p, s, &rules[i], err));
    }
    for (int role = 0; role < KF_CONST_ROLES; role++)
        if (!known[role] && s->consts[role] != -1) STEP_FAIL(err, s, "it has no %s", ROLES[role]);
    return KF_OK;
}
