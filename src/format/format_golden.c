/* The golden vector in the model file: for each step a hash of 32 hex digits, two sums or null; then some scores.
 * Owner rule: a vector that is read lives in the program's arena. */
#include <jansson.h>
#include <math.h>

#include "format/format.h"

enum { INPUT_FORMULA = 1 };

static json_t *step_json(const kf__golden_step *s) {
    char hex[2 * sizeof s->hash + 1];
    if (s->kind == KF_GOLDEN_SUMS) return json_pack("[f,f]", s->norm, s->dot);
    if (s->kind == KF_GOLDEN_NONE) return json_null();
    for (size_t i = 0; i < sizeof s->hash; i++) snprintf(hex + 2 * i, 3, "%02x", s->hash[i]);
    return json_string(hex);
}

struct json_t *kf__format_golden_json(const kf__golden *g) {
    json_t *o = json_object(), *steps = json_array(), *scores = json_array();
    bool bad = json_object_set_new(o, "input", json_integer(INPUT_FORMULA)) != 0;
    for (int32_t i = 0; i < g->n_steps; i++) bad |= json_array_append_new(steps, step_json(&g->steps[i])) != 0;
    for (int32_t i = 0; i < g->n_scores; i++) bad |= json_array_append_new(scores, json_real(g->scores[i])) != 0;
    bad |= json_object_set_new(o, "steps", steps) != 0;
    bad |= json_object_set_new(o, "scores", scores) != 0;
    if (!bad) return o;
    json_decref(o);
    return NULL;
}

static bool read_hash(const char *s, uint8_t hash[16]) {
    static const char DIGITS[] = "0123456789abcdef";
    if (strlen(s) != 32 || strspn(s, DIGITS) != 32) return false;
    for (size_t i = 0; i < 16; i++)
        hash[i] = (uint8_t)((strchr(DIGITS, s[2 * i]) - DIGITS) * 16 + (strchr(DIGITS, s[2 * i + 1]) - DIGITS));
    return true;
}

static bool read_step(const json_t *j, kf__golden_step *s) {
    const char *text = json_string_value(j);
    const json_t *norm = json_array_get(j, 0), *dot = json_array_get(j, 1);
    *s = (kf__golden_step){.kind = KF_GOLDEN_NONE};
    if (json_is_null(j)) return true;
    s->kind = text ? KF_GOLDEN_HASH : KF_GOLDEN_SUMS;
    if (text) return read_hash(text, s->hash);
    s->norm = json_number_value(norm), s->dot = json_number_value(dot);
    return json_array_size(j) == 2 && json_is_number(norm) && json_is_number(dot) && s->norm >= 0 &&
           isfinite(s->norm) && isfinite(s->dot);
}

kf_status kf__format_golden_read(const struct json_t *j, int32_t n_steps, kf__arena *arena, kf__golden *g,
                                 kf_error *err) {
    const json_t *formula = json_object_get(j, "input"), *steps = json_object_get(j, "steps"),
                 *scores = json_object_get(j, "scores");
    *g = (kf__golden){0};
    if (!j) return KF_OK; /* files of before */
    if (!json_is_integer(formula)) KF_FAIL(err, KF_ERR_CORRUPT, "golden: no input formula");
    if (json_integer_value(formula) != INPUT_FORMULA) return KF_OK; /* a newer formula: as if there were no vector */
    if (!json_is_array(steps) || json_array_size(steps) != (size_t)n_steps)
        KF_FAIL(err, KF_ERR_CORRUPT, "golden: steps is not a list of %d", n_steps);
    if (!json_is_array(scores) || json_array_size(scores) > KF_GOLDEN_SCORES)
        KF_FAIL(err, KF_ERR_CORRUPT, "golden: scores is not a list of at most %d", KF_GOLDEN_SCORES);
    g->steps = kf__arena_array(arena, (size_t)n_steps + 1, sizeof *g->steps);
    if (!g->steps) KF_FAIL_MEMORY(err, (size_t)n_steps * sizeof *g->steps);
    for (; g->n_steps < n_steps; g->n_steps++)
        if (!read_step(json_array_get(steps, (size_t)g->n_steps), &g->steps[g->n_steps]))
            KF_FAIL(err, KF_ERR_CORRUPT, "golden: steps[%d] is no hash, two numbers or null", g->n_steps);
    for (; g->n_scores < (int32_t)json_array_size(scores); g->n_scores++) {
        const json_t *v = json_array_get(scores, (size_t)g->n_scores);
        if (!json_is_number(v) || !isfinite(json_number_value(v)))
            KF_FAIL(err, KF_ERR_CORRUPT, "golden: scores[%d] is not a number", g->n_scores);
        g->scores[g->n_scores] = json_number_value(v);
    }
    return KF_OK;
}
