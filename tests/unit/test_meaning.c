/* What numbers mean: version 2 of the model file says it and version 1 does not; heads of networks; scores ranked.
 * Owner rule: each test frees what it makes. */
#include "graph_builder.h"
#include "program_builder.h"

#include "format/format.h"
#include "kitfox/kitfox.h"

/* ---- the file ------------------------------------------------------------------------------------------------------
 */

static kf__program *again(const kf__program *p, const char *version) {
    void *data, *more;
    size_t bytes, n;
    kf__program *back;
    kf_error err = {0};
    if (kf__format_write(p, &data, &bytes, &err) != KF_OK) fail_msg("%s", err.text);
    if (!memmem(data, bytes, version, strlen(version))) fail_msg("no %s", version);
    if (kf__format_read(data, bytes, NULL, 0, &back, &err) != KF_OK) fail_msg("%s", err.text);
    if (kf__format_write(back, &more, &n, &err) != KF_OK) fail_msg("%s", err.text);
    assert_int_equal(n, bytes);
    assert_memory_equal(more, data, n);
    kf__mem_free(NULL, data);
    kf__mem_free(NULL, more);
    return back;
}

static void facts_are_kept(void **state) {
    (void)state;
    for (int fact = 0; fact < 8; fact++) {
        kf__program *p = pb_small();
        if (fact == 1) p->outputs[0].scores = KF_SCORES_INDEPENDENT;
        if (fact == 2) p->inputs[0].takes = KF_TAKES_NORMALIZED;
        if (fact == 3) p->meta.range_known = 1; /* full */
        if (fact == 4) p->meta.origin = KF_ORIGIN_ASSUMED;
        if (fact == 5) p->meta.preprocess.pillow = KF_PILLOW_13;
        if (fact == 6) p->outputs[0].scores = KF_SCORES_PROBABILITIES; /* which version 1 knows */
        if (fact == 7) p->meta.range_known = p->meta.input_range = 1;  /* and this */
        const char *version = fact == 0 || fact > 5 ? "\\\"version\\\":1," : "\\\"version\\\":2,";
        kf__program *q = again(p, version);
        assert_int_equal(q->outputs[0].scores, p->outputs[0].scores);
        assert_int_equal(q->inputs[0].takes, p->inputs[0].takes);
        assert_int_equal(q->meta.range_known, p->meta.range_known);
        assert_int_equal(q->meta.input_range, p->meta.input_range);
        assert_int_equal(q->meta.origin, p->meta.origin);
        assert_int_equal(q->meta.preprocess.pillow, p->meta.preprocess.pillow);
        kf__program_destroy(&p);
        kf__program_destroy(&q);
    }
}

static void lies(void **state) {
    (void)state;
    static const struct {
        const char *from, *to, *word;
        kf_status status;
    } EDITS[] = {{"\\\"scores\\\":3", "\\\"scores\\\":9", "scores", KF_ERR_CORRUPT},
                 {"\\\"takes\\\":2", "\\\"takes\\\":4", "takes", KF_ERR_CORRUPT},
                 {"\\\"pixels\\\":0", "\\\"pixels\\\":1", "takes", KF_ERR_CORRUPT}, /* normalized pixels */
                 {"\\\"preprocess_origin\\\":3", "\\\"preprocess_origin\\\":4", "origin", KF_ERR_CORRUPT},
                 {"\\\"pillow\\\":1", "\\\"pillow\\\":2", "before-13 or 13", KF_ERR_CORRUPT},
                 {"\\\"version\\\":2", "\\\"version\\\":3", "version 3; this library reads 1 to 2", KF_ERR_UNSUPPORTED},
                 {"\\\"version\\\":2", "\\\"version\\\":0", "version 0", KF_ERR_UNSUPPORTED}};
    kf_model_options o;
    kf_model_options_init(&o);
    o.skip_hash = 1;
    kf__program *p = pb_small();
    p->outputs[0].scores = KF_SCORES_INDEPENDENT;
    p->inputs[0].takes = KF_TAKES_NORMALIZED;
    p->meta.origin = KF_ORIGIN_ASSUMED;
    p->meta.preprocess.pillow = KF_PILLOW_13;
    void *data;
    size_t bytes;
    kf_error err = {0};
    assert_int_equal(kf__format_write(p, &data, &bytes, &err), KF_OK);
    for (size_t i = 0; i < KF_COUNT(EDITS); i++) {
        kf_model *m = NULL;
        const size_t n = strlen(EDITS[i].from);
        char *at = memmem(data, bytes, EDITS[i].from, n);
        if (!at) fail_msg("%s is not in the file", EDITS[i].from);
        memcpy(at, EDITS[i].to, n);
        kf_status st = kf_model_load_memory(data, bytes, &o, &m, &err);
        memcpy(at, EDITS[i].from, n);
        if (st != EDITS[i].status || !strstr(err.text, EDITS[i].word))
            fail_msg("%s: %d, %s", EDITS[i].to, st, err.text);
    }
    kf__mem_free(NULL, data);
    kf__program_destroy(&p);
}

static void model_tells(void **state) {
    (void)state;
    kf_model_options o;
    kf_model_options_init(&o);
    kf_model_info info = {.size = sizeof info};
    kf__program *p = pb_small();
    p->outputs[0].scores = KF_SCORES_INDEPENDENT;
    p->meta.origin = KF_ORIGIN_RECOGNIZED;
    p->meta.preprocess_source = "config.json";
    void *data;
    size_t bytes;
    kf_model *m;
    kf_error err = {0};
    assert_int_equal(kf__format_write(p, &data, &bytes, &err), KF_OK);
    for (int given = 0; given < 2; given++) {
        o.scores = given ? KF_SCORES_LOG : KF_SCORES_UNKNOWN;
        if (kf_model_load_memory(data, bytes, &o, &m, &err) != KF_OK) fail_msg("%s", err.text);
        assert_int_equal(kf_model_get_info(m, &info, NULL), KF_OK);
        assert_int_equal(info.scores, given ? KF_SCORES_LOG : KF_SCORES_INDEPENDENT);
        assert_int_equal(info.takes, KF_TAKES_UNKNOWN);
        assert_int_equal(info.preprocess_origin, KF_ORIGIN_RECOGNIZED);
        assert_string_equal(info.preprocess_source, "config.json");
        assert_int_equal(info.input_range_known, 0);
        kf_model_destroy(&m);
    }
    o.scores = KF_SCORES_KIND_COUNT;
    assert_int_equal(kf_model_load_memory(data, bytes, &o, &m, &err), KF_ERR_ARGUMENT);
    kf__mem_free(NULL, data);
    kf__program_destroy(&p);
}

/* ---- heads ---------------------------------------------------------------------------------------------------------
 */

static kf_scores_kind meaning_of(kf__graph *g, kf__vid out) {
    kf_error err = {0};
    gb_output(g, out);
    gb_ok(kf__graph_infer(g, &err), &err);
    kf_scores_kind kind = kf__graph_scores(g, 0);
    kf__graph_destroy(&g);
    return kind;
}

static kf__vid layer(kf__graph *g) {
    kf__vid x = gb_input(g, "x", S(1, 8));
    return NODE(g, MATMUL, "layer", x, gb_random(g, S(8, 5)));
}

#define HEAD(want, ...)                                                                                                \
    do {                                                                                                               \
        kf__graph *g = gb_new();                                                                                       \
        kf__vid v = layer(g);                                                                                          \
        __VA_ARGS__;                                                                                                   \
        assert_int_equal(meaning_of(g, v), KF_SCORES_##want);                                                          \
    } while (0)

static kf__vid soft(kf__graph *g, kf__vid v) {
    v = NODE(g, SOFTMAX, "soft", v);
    gb_last(g)->attrs.axis = 1;
    return v;
}

static kf__vid clipped(kf__graph *g, kf__vid v, float lo, float hi) {
    return NODE(g, CLIP, "clip", v, gb_scalar(g, lo), gb_scalar(g, hi));
}

static void heads(void **state) {
    (void)state;
    HEAD(LOGITS, (void)v);
    HEAD(LOGITS, v = NODE(g, ADD, "bias", v, gb_random(g, S(5))));
    HEAD(PROBABILITIES, v = soft(g, v));
    HEAD(PROBABILITIES, v = NODE(g, IDENTITY, "same", clipped(g, soft(g, v), 1e-7f, 1)));
    HEAD(PROBABILITIES, v = NODE(g, RESHAPE, "turn", soft(g, v), gb_ints(g, I(1, 1, 5, 1), 4)));
    HEAD(UNKNOWN, v = clipped(g, soft(g, v), 0, 0.5f));
    HEAD(UNKNOWN, v = NODE(g, MUL, "percent", soft(g, v), gb_scalar(g, 100)));
    HEAD(INDEPENDENT, v = NODE(g, SIGMOID, "sigmoid", v));
    HEAD(LOG, v = NODE(g, LOG, "log", soft(g, v)));
    HEAD(UNKNOWN, v = NODE(g, LOG, "log", NODE(g, SIGMOID, "sigmoid", v)));
    HEAD(UNKNOWN, v = NODE(g, RELU, "relu", v));
    HEAD(FEATURES, v = NODE(g, HARD_SWISH, "hswish", v));
}

/* A map, and the same once flattened; labels for each number say that they are scores after all. */
static void maps(void **state) {
    (void)state;
    for (int form = 0; form < 4; form++) {
        kf__graph *g = gb_new();
        kf__vid x = gb_input(g, "x", S(1, 3, 4, form == 3 ? 1 : 4));
        kf__vid v = gb_conv(g, "conv", x, gb_random(g, S(2, 3, form == 3 ? 4 : 1, 1)), KF_NO_VALUE, 1, 0, 1);
        if (form) v = NODE(g, FLATTEN, "flat", v), gb_last(g)->attrs.axis = 1;
        if (form == 2) g->meta.n_labels = 32;
        const kf_scores_kind want[] = {KF_SCORES_FEATURES, KF_SCORES_FEATURES, KF_SCORES_UNKNOWN, KF_SCORES_LOGITS};
        assert_int_equal(meaning_of(g, v), want[form]);
    }
}

/* ---- ranks ---------------------------------------------------------------------------------------------------------
 */

static void ranks(void **state) {
    (void)state;
    static const float GIVEN[3] = {0.25f, 0.5f, -INFINITY};
    kf_score top[3];
    kf_error err = {0};
    size_t n = 0;
    for (int kind = 0; kind < KF_SCORES_KIND_COUNT; kind++) {
        float x[3] = {GIVEN[0], GIVEN[1], 0.125f};
        const bool soften = kind <= KF_SCORES_LOGITS;
        const double sum = exp(0.25) + exp(0.5) + exp(0.125), log = kind == KF_SCORES_LOG ? exp(0.5) : 0.5;
        kf_status st = kf_scores_rank((kf_scores_kind)kind, x, 3, 2, top, &n, &err);
        assert_int_equal(st, kind >= KF_SCORES_FEATURES ? KF_ERR_UNSUPPORTED : KF_OK);
        if (st != KF_OK) continue;
        assert_int_equal(n, 2);
        assert_int_equal(top[0].index, 1);
        assert_true(fabs((double)top[0].score - (soften ? exp(0.5) / sum : log)) < 1e-6);
    }
    float log[3] = {GIVEN[0], GIVEN[1], GIVEN[2]}, nan[3] = {0, NAN, 0}, inf[3] = {0, 0, INFINITY};
    assert_int_equal(kf_scores_rank(KF_SCORES_LOG, log, 3, 3, top, &n, &err), KF_OK);
    assert_true(n == 3 && top[2].index == 2 && top[2].score == 0);
    assert_int_equal(kf_scores_rank(KF_SCORES_LOGITS, nan, 3, 3, top, &n, &err), KF_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "class 1"));
    assert_int_equal(kf_scores_rank(KF_SCORES_LOG, inf, 3, 3, top, &n, &err), KF_ERR_UNSUPPORTED);
    assert_int_equal(kf_scores_rank(KF_SCORES_KIND_COUNT, inf, 3, 3, top, &n, &err), KF_ERR_ARGUMENT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts_are_kept), cmocka_unit_test(lies), cmocka_unit_test(model_tells),
        cmocka_unit_test(heads),          cmocka_unit_test(maps), cmocka_unit_test(ranks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
