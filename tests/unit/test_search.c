/* The search for 16-bit nodes on small networks whose weak spot is known by construction, and 16-bit weights on every
 * instruction set. Links libkitfoxc. Owner rule: each test frees what it makes. */
#include <stdlib.h>

#include "graph_builder.h"

#include "api/toolchain/graph_api.h"
#include "lower/lower.h"
#include "quantize/search.h"
#include "quantize/trial.h"
#include "ref/ref.h"

enum { SIDE = 12, CHANNELS = 16, SAMPLES = 16, CLASSES = 5, ELEMENTS = 3 * SIDE * SIDE };

static float inputs[SAMPLES][ELEMENTS];
static const void *data[SAMPLES];

/* Waves of a few frequencies: neighbouring pixels are correlated, as in photos. */
static kf__qsamples make_samples(void) {
    kf__random r = {11};
    for (size_t s = 0; s < SAMPLES; s++) {
        double fx = kf__random_unit(&r) * 2, fy = kf__random_unit(&r) * 2, shift = kf__random_unit(&r) * 6;
        for (size_t i = 0; i < ELEMENTS; i++) {
            double x = (double)(i % SIDE), y = (double)(i / SIDE % SIDE), c = (double)(i / (SIDE * SIDE));
            inputs[s][i] = (float)(sin(fx * x + fy * y + shift + c) + 0.2 * (kf__random_unit(&r) - 0.5));
        }
        data[s] = inputs[s];
    }
    return (kf__qsamples){.data = data, .n = SAMPLES};
}

static kf__vid weights(kf__graph *g, int64_t o, int64_t i, int64_t k, uint64_t seed) {
    float w[CHANNELS * CHANNELS * 9];
    kf__random r = {seed};
    for (int64_t n = 0; n < o * i * k * k; n++)
        w[n] = (float)((kf__random_unit(&r) - 0.4) * 2 / sqrt((double)(i * k * k)));
    return gb_const(g, S(o, i, k, k), w);
}

static void scale_weights(kf__graph *g, const char *node, int64_t channel, bool column, float by) {
    for (size_t k = 0; k < g->n_nodes; k++) {
        if (strcmp(g->nodes[k].name, node) != 0) continue;
        const kf__value *w = &g->values[g->nodes[k].in[1]];
        int64_t per = w->shape.dim[1] * w->shape.dim[2] * w->shape.dim[3], taps = w->shape.dim[2] * w->shape.dim[3];
        float *f = (float *)(uintptr_t)w->data;
        for (int64_t o = 0; o < w->shape.dim[0]; o++)
            for (int64_t i = 0; i < per; i++)
                if (column ? i / taps == channel : o == channel) f[o * per + i] *= by;
    }
}

static kf__vid relu_conv(kf__graph *g, const char *name, kf__vid x, kf__vid w, int k, int group) {
    kf__vid y = gb_conv(g, name, x, w, -1, 1, k / 2, group);
    gb_last(g)->attrs.act = (kf__activation){KF_ACT_CLIP, 0, INFINITY};
    return y;
}

/* first -> wide -> deep (depthwise) -> narrow -> pool -> classes. */
static kf__graph *network(void) {
    kf__graph *g = gb_new();
    kf_error err = {0};
    kf__vid x = gb_input(g, "x", S(1, 3, SIDE, SIDE));
    x = relu_conv(g, "first", x, weights(g, CHANNELS, 3, 3, 1), 3, 1);
    x = relu_conv(g, "wide", x, weights(g, CHANNELS, CHANNELS, 1, 2), 1, 1);
    x = relu_conv(g, "deep", x, weights(g, CHANNELS, 1, 3, 3), 3, CHANNELS);
    x = relu_conv(g, "narrow", x, weights(g, CHANNELS, CHANNELS, 1, 4), 1, 1);
    x = NODE(g, GLOBAL_AVG_POOL, "pool", x);
    x = NODE(g, FLATTEN, "flat", x);
    gb_last(g)->attrs.axis = 1;
    gb_output(g, NODE(g, FC, "classes", x, gb_random(g, S(CLASSES, CHANNELS)), gb_random(g, S(CLASSES))));
    gb_ok(kf__graph_compact(g, &err), &err);
    gb_ok(kf__graph_infer(g, &err), &err);
    return g;
}

static kf__qoptions options(kf__graph *g) {
    kf__qoptions o = kf__qoptions_default();
    o.asked.equalize = false; /* it would cure what these networks suffer from */
    o.wide = kf__arena_zalloc(&g->arena, g->n_values);
    o.wide_weights = kf__arena_zalloc(&g->arena, g->n_nodes);
    assert_true(o.wide && o.wide_weights);
    return o;
}

static const kf__qcandidate *strongest(const kf__qsearch *r) {
    const kf__qcandidate *top = &r->list[0];
    for (int32_t i = 1; i < r->is.candidates; i++)
        if (r->list[i].is.gain > top->is.gain) top = &r->list[i];
    return top;
}

static kf__node *node(kf__graph *g, const char *name) {
    for (size_t i = 0; i < g->n_nodes; i++)
        if (strcmp(g->nodes[i].name, name) == 0) return &g->nodes[i];
    fail_msg("no node %s", name);
    return NULL;
}

/* One channel of `first` is 400 times the others, and its reader takes that back: one u8 scale leaves the others less
 * than a step. */
static void spoil_output(kf__graph *g) {
    scale_weights(g, "first", 3, false, 400);
    scale_weights(g, "wide", 3, true, 1 / 400.0f);
}

static void finds_the_output(void **state) {
    kf__graph *g = network();
    kf_error err = {0};
    kf__qsamples s = make_samples();
    kf__qsearch r;
    kf__qreport report;
    spoil_output(g);
    kf__qoptions o = options(g);
    o.asked.target_drop = -1;
    o.asked.target_cosine = 0.999;
    o.asked.max_int16_macs = 60;
    gb_ok(kf__search(g, &s, &o, &g->arena, &r, &report, &err), &err);
    assert_int_equal(r.is.held_out, SAMPLES / 4);
    assert_true(r.is.cosine_before < 0.999);
    assert_string_equal(strongest(&r)->is.node, "first");
    assert_false(strongest(&r)->is.weights);
    assert_true(strongest(&r)->is.place > 0);
    assert_true(r.is.met && r.is.cosine >= 0.999 && r.is.sqnr > r.is.sqnr_before + 6);
    assert_int_equal(g->values[node(g, "first")->out[0]].quant->dtype, KF_I16);
    assert_int_equal(g->values[node(g, "deep")->out[0]].quant->dtype, KF_U8);
    assert_int_equal(report.samples, SAMPLES); /* the held-out ones calibrate in the end */
    for (int32_t i = 0; i < r.is.candidates; i++)
        assert_true(i < r.is.promoted ? r.list[i].is.place == i + 1 : r.list[i].is.place == 0);
    kf__graph_destroy(&g);
}

/* The same for weights: with one scale a layer, a row 400 times the others ruins them. Its output has a scale for each
 * channel. */
static void finds_the_weights(void **state) {
    kf__graph *g = network();
    kf_error err = {0};
    kf__qsamples s = make_samples();
    kf__qsearch r;
    scale_weights(g, "wide", 5, false, 400);
    scale_weights(g, "deep", 5, false, 1 / 400.0f);
    kf__qoptions o = options(g);
    o.asked.rounding = false; /* would make up for most of it */
    o.asked.per_channel = false;
    o.asked.target_drop = -1;
    o.asked.target_cosine = 0.9995;
    o.asked.max_int16_macs = 80;
    gb_ok(kf__search(g, &s, &o, &g->arena, &r, NULL, &err), &err);
    assert_string_equal(strongest(&r)->is.node, "wide");
    assert_true(strongest(&r)->is.weights && strongest(&r)->is.place == 1);
    assert_true(r.is.met && r.is.promoted == 1);
    assert_int_equal(g->values[node(g, "wide")->in[1]].dtype, KF_I16);
    kf__graph_destroy(&g);
}

/* Nothing is promoted for a target that 8 bits meet, and no ranking is made. */
static void eight_bits_may_do(void **state) {
    kf__graph *g = network();
    kf_error err = {0};
    kf__qsamples s = make_samples();
    kf__qsearch r;
    kf__qoptions o = options(g);
    o.asked.target_drop = -1;
    o.asked.target_cosine = 0.9;
    o.asked.max_int16_macs = 60;
    gb_ok(kf__search(g, &s, &o, &g->arena, &r, NULL, &err), &err);
    assert_true(r.is.met);
    assert_int_equal(r.is.promoted, 0);
    assert_int_equal(r.is.candidates, 0);
    assert_int_equal(g->values[node(g, "first")->out[0]].quant->dtype, KF_U8);
    kf__graph_destroy(&g);
}

/* The limit binds: what the weak spot costs is more than is allowed, and the search says that it failed. */
static void the_limit_binds(void **state) {
    kf__graph *g = network();
    kf_error err = {0};
    kf__qsamples s = make_samples();
    kf__qsearch r;
    spoil_output(g);
    kf__qoptions o = options(g);
    int64_t total;
    gb_ok(kf__graph_count(g, &total, NULL, NULL, &err), &err);
    double reader = 100.0 * (double)kf__node_macs(g, node(g, "wide")) / (double)total;
    o.asked.target_drop = -1;
    o.asked.target_cosine = 0.9999;
    o.asked.max_int16_macs = reader * 0.9;
    gb_ok(kf__search(g, &s, &o, &g->arena, &r, NULL, &err), &err);
    assert_false(r.is.met);
    assert_true(r.is.int16_macs <= reader * 0.9);
    assert_string_equal(strongest(&r)->is.node, "first");
    assert_int_equal(strongest(&r)->is.place, 0);
    assert_int_equal(g->values[node(g, "first")->out[0]].quant->dtype, KF_U8);
    kf__graph_destroy(&g);
}

/* Drops with labels count accuracy: where no label is what float says, nothing can be lost. */
static void labels_count(void **state) {
    kf_error err = {0};
    int32_t labels[SAMPLES], wrong[SAMPLES];
    kf__qsamples s = make_samples();
    kf__graph *g = network();
    for (size_t i = 0; i < SAMPLES; i++) {
        kf__arena a;
        kf__arena_init(&a, NULL);
        kf__dense in = {.dtype = KF_F32, .shape = S(1, 3, SIDE, SIDE), .data = inputs[i]}, out;
        gb_ok(kf__ref_run(g, &in, 1, &out, 1, NULL, NULL, &a, &err), &err);
        const float *x = out.data;
        labels[i] = 0;
        for (int32_t c = 1; c < CLASSES; c++)
            if (x[c] > x[labels[i]]) labels[i] = c;
        wrong[i] = (labels[i] + 1) % CLASSES;
        kf__arena_free(&a);
    }
    for (int turn = 0; turn < 3; turn++) {
        kf__graph *q;
        kf__qsearch r;
        gb_ok(kf__graph_clone(g, &q, &err), &err);
        kf__qoptions o = options(q);
        o.asked.target_drop = 100;
        o.asked.target_cosine = 0;
        o.asked.max_int16_macs = 60;
        o.asked.labels = turn ? wrong : labels;
        if (turn == 2) wrong[5] = CLASSES;
        kf_status st = kf__search(q, &s, &o, &q->arena, &r, NULL, &err);
        if (turn < 2) {
            assert_int_equal(st, KF_OK);
            assert_true(r.is.labelled && r.is.float_top1 == (turn ? 0 : 100));
            assert_true(turn ? r.is.drop_before <= 0 : r.is.drop_before >= 0);
        } else {
            assert_int_equal(st, KF_ERR_ARGUMENT);
            assert_non_null(strstr(err.text, "sample 5"));
        }
        kf__graph_destroy(&q);
    }
    kf__graph_destroy(&g);
}

static void too_few_samples(void **state) {
    kf__graph *g = network();
    kf_error err = {0};
    kf__qsamples s = make_samples();
    kf__qsearch r;
    kf__qoptions o = options(g);
    o.asked.target_drop = 1;
    o.asked.target_cosine = 0;
    o.asked.max_int16_macs = 10;
    s.n = 7;
    assert_int_equal(kf__search(g, &s, &o, &g->arena, &r, NULL, &err), KF_ERR_ARGUMENT);
    assert_non_null(strstr(err.text, "8"));
    kf__graph_destroy(&g);
}

/* The fast simulation against the integer oracle: same logits but for rounding ties, whatever is 16-bit. */
static void trial_equals_oracle(void **state) {
    for (int turn = 0; turn < 4; turn++) {
        kf__graph *g = network(), *q;
        kf_error err = {0};
        kf__qsamples s = make_samples();
        float logits[SAMPLES * CLASSES];
        gb_ok(kf__graph_clone(g, &q, &err), &err);
        kf__qoptions o = options(q);
        if (turn & 1) memset(o.wide, 1, q->n_values);
        if (turn & 2) memset(o.wide_weights, 1, q->n_nodes);
        gb_ok(kf__quantize(q, &s, &o, &q->arena, NULL, &err), &err);
        kf__trial t;
        gb_ok(kf__trial_open(&t, g, q, &s, 2, &err), &err);
        gb_ok(kf__trial_logits(&t, 1, logits), &err);
        for (size_t i = 0; i < SAMPLES; i++) {
            kf__arena a;
            kf__arena_init(&a, NULL);
            kf__dense in = {.dtype = KF_F32, .shape = S(1, 3, SIDE, SIDE), .data = inputs[i]}, out;
            gb_ok(kf__ref_run(q, &in, 1, &out, 1, NULL, NULL, &a, &err), &err);
            for (size_t c = 0; c < CLASSES; c++)
                assert_true(fabsf(logits[i * CLASSES + c] - ((const float *)out.data)[c]) < 1e-3f);
            kf__arena_free(&a);
        }
        kf__trial_close(&t);
        kf__graph_destroy(&g);
        kf__graph_destroy(&q);
    }
}

/* Relative to the oracle's. */
static double logit_error(const kf__graph *g, kf__dense in, const float *logits, size_t n) {
    kf_error err = {0};
    kf__arena a;
    kf__dense out;
    double dd = 0, ff = 0;
    kf__arena_init(&a, NULL);
    gb_ok(kf__ref_run(g, &in, 1, &out, 1, NULL, NULL, &a, &err), &err);
    for (size_t c = 0; c < n; c++) {
        double f = (double)((const float *)out.data)[c], d = (double)logits[c] - f;
        dd += d * d, ff += f * f;
    }
    kf__arena_free(&a);
    return sqrt(dd / ff);
}

/* The same for a whole network with pixels, squeeze and excite, residuals: the built-in one. The simulation sums in
 * f32, in another order at every level; a value that lies on the edge between two steps of an early map may fall to the
 * other side and take later ones with it, up to the noise of 8 bits (0.035 was seen on one picture without FMA). */
static void trial_equals_oracle_on_pixels(void **state) {
    enum { N = 8, PIXELS = 64 * 64, LABELS = 10 };
    static uint8_t pixels[N][PIXELS * 3], planes[PIXELS * 3];
    static float real[PIXELS * 3], logits[2][N][LABELS];
    const void *list[N];
    char path[700];
    const char *source = getenv("KITFOX_SOURCE");
    kf_graph *graph;
    kf__graph *q;
    kf__trial t;
    kf_error err = {0};
    int edges = 0;
    kf__random r = {5};
    snprintf(path, sizeof path, "%s/data/everyday10.onnx", source ? source : ".");
    gb_ok(kf_graph_import(path, NULL, &graph, &err), &err);
    gb_ok(kf_graph_optimize(graph, KF_OPTIMIZE_FUSE, &err), &err);
    for (size_t k = 0; k < N; k++) {
        list[k] = pixels[k];
        for (size_t i = 0; i < PIXELS * 3; i++)
            pixels[k][i] =
                (uint8_t)(128 + 80 * sin((double)(i / 3 % 64) * 0.1 * (double)(k + 1) + (double)(i / 192) * 0.07) +
                          (double)kf__random_range(&r, -30, 30));
    }
    const kf__qsamples s = {.data = list, .n = N, .pixels = true};
    gb_ok(kf__graph_clone(graph->g, &q, &err), &err);
    kf__qoptions o = options(q);
    for (size_t v = 0; v < q->n_values; v++) o.wide[v] = v % 3 == 0;
    o.wide_weights[0] = 1;
    gb_ok(kf__quantize(q, &s, &o, &q->arena, NULL, &err), &err);
    gb_ok(kf__trial_open(&t, graph->g, q, &s, 2, &err), &err);
    for (int which = 0; which < 2; which++) gb_ok(kf__trial_logits(&t, which, &logits[which][0][0]), &err);
    kf__trial_close(&t);
    for (size_t k = 0; k < N; k++) {
        const kf_preprocess *p = &q->meta.preprocess;
        for (size_t i = 0; i < PIXELS * 3; i++) {
            planes[i % 3 * PIXELS + i / 3] = pixels[k][i];
            real[i % 3 * PIXELS + i / 3] = (float)(((double)pixels[k][i] / 255 - p->mean[i % 3]) / p->std[i % 3]);
        }
        assert_true(logit_error(graph->g, (kf__dense){.dtype = KF_F32, .shape = S(1, 3, 64, 64), .data = real},
                                logits[0][k], LABELS) < 1e-4);
        double error =
            logit_error(q, (kf__dense){.dtype = KF_U8, .shape = S(1, 3, 64, 64), .data = planes}, logits[1][k], LABELS);
        assert_true(error < 0.06);
        edges += !(error < 0.01);
    }
    assert_in_range(edges, 0, 1);
    kf__graph_destroy(&q);
    kf_graph_destroy(&graph);
}

/* ---- 16-bit weights ---------------------------------------------------------------------------------------------- */

static void logits_of(kf_graph *graph, const kf_tensor *in, float *logits, const char *cpu) {
    kf_error err = {0};
    kf_model *m;
    kf_session *s;
    kf_tensor out = {.dtype = KF_F32, .rank = 2, .shape = {1, CLASSES}, .bytes = CLASSES * 4, .data = logits};
    if (!cpu) {
        gb_ok(kf_graph_run_reference(graph, in, 1, &out, 1, &err), &err);
        return;
    }
    gb_ok(kf_graph_compile(graph, NULL, &m, &err), &err);
    gb_ok(kf_session_create(m, NULL, &s, &err), &err);
    gb_ok(kf_session_run(s, in, 1, &out, 1, &err), &err);
    kf_session_destroy(&s);
    kf_model_destroy(&m);
}

/* Every layer's weights of 16 bits, read from u8 and from i16: the runtime's bytes are the oracle's on every
 * instruction set. */
static void wide_weights_run_everywhere(void **state) {
    static const char *const LAYERS[] = {"first", "wide", "deep", "narrow", "classes"};
    make_samples();
    for (int turn = 0; turn < 2; turn++) {
        kf_graph *graph;
        kf_error err = {0};
        kf_quantize_options o;
        kf_tensor in[SAMPLES];
        float want[CLASSES], got[CLASSES];
        gb_ok(kf__graph_wrap(network(), &graph, &err), &err);
        for (size_t i = 0; i < SAMPLES; i++)
            in[i] = (kf_tensor){
                .dtype = KF_F32, .rank = 4, .shape = {1, 3, SIDE, SIDE}, .bytes = sizeof inputs[i], .data = inputs[i]};
        kf_quantize_options_init(&o);
        o.int16_weights = LAYERS, o.n_int16_weights = KF_COUNT(LAYERS);
        o.int16_outputs = LAYERS, o.n_int16_outputs = turn ? 4 : 0;
        gb_ok(kf_graph_quantize(graph, in, SAMPLES, &o, &err), &err);
        for (size_t k = 0; k < KF_COUNT(LAYERS); k++)
            assert_int_equal(graph->g->values[node(graph->g, LAYERS[k])->in[1]].dtype, KF_I16);
        assert_int_equal(graph->g->values[node(graph->g, "deep")->out[0]].quant->dtype, turn ? KF_I16 : KF_U8);
        for (int k = 0; kf_cpu_level_name(k); k++) {
            const char *level = kf_cpu_level_name(k);
            if (kf_cpu_limit(level, NULL) != KF_OK) continue;
            for (size_t i = 0; i < 3; i++) {
                logits_of(graph, &in[i], want, NULL);
                logits_of(graph, &in[i], got, level);
                assert_memory_equal(want, got, sizeof got);
            }
        }
        assert_int_equal(kf_cpu_limit(NULL, NULL), KF_OK);
        kf_graph_destroy(&graph);
    }
}

/* 2048 equal weights of 16 bits and full inputs: only a row's sum bounds them. The loader proves it. */
static void wide_rows_do_not_overflow(void **state) {
    enum { DEEP = 2048 };
    static float w[3 * DEEP], x[DEEP * 4];
    for (int turn = 0; turn < 2; turn++) {
        kf__graph *g = gb_new();
        kf_error err = {0};
        kf__program *p;
        for (size_t i = 0; i < DEEP; i++) w[i] = 1, w[DEEP + i] = -1, w[2 * DEEP + i] = i == 7;
        for (size_t i = 0; i < DEEP * 4; i++) x[i] = i % 5 ? 1 : -1;
        kf__vid v = gb_input(g, "x", S(1, DEEP, 2, 2));
        v = NODE(g, ACT, "act", v);
        gb_last(g)->attrs.act.kind = KF_ACT_HSWISH;
        v = gb_conv(g, "sum", v, gb_const(g, S(3, DEEP, 1, 1), w), -1, 1, 0, 1);
        gb_output(g, NODE(g, GLOBAL_AVG_POOL, "pool", v));
        gb_ok(kf__graph_infer(g, &err), &err);
        kf__qoptions o = options(g);
        memset(o.wide_weights, 1, g->n_nodes);
        if (turn) memset(o.wide, 1, g->n_values);
        const void *one[] = {x};
        const kf__qsamples s = {.data = one, .n = 1};
        kf__qreport report;
        gb_ok(kf__quantize(g, &s, &o, &g->arena, &report, &err), &err);
        gb_ok(kf__lower(g, &p, &err), &err);
        gb_ok(kf__program_validate(p, &err), &err);
        assert_true(report.sqnr > 40);
        kf__program_destroy(&p);
        kf__graph_destroy(&g);
    }
}

static void refuses_what_has_no_weights(void **state) {
    kf_graph *graph;
    kf_error err = {0};
    kf_quantize_options o;
    kf_tensor in = {
        .dtype = KF_F32, .rank = 4, .shape = {1, 3, SIDE, SIDE}, .bytes = sizeof inputs[0], .data = inputs[0]};
    static const struct {
        const char *name, *says;
        double cosine;
    } CASES[] = {{"pool", "neither", 0}, {"nonsense", "no such node", 0}, {NULL, "not possible", 1.5}};
    make_samples();
    for (size_t i = 0; i < KF_COUNT(CASES); i++) {
        gb_ok(kf__graph_wrap(network(), &graph, &err), &err);
        kf_quantize_options_init(&o);
        o.int16_weights = &CASES[i].name, o.n_int16_weights = CASES[i].name != NULL;
        o.target_cosine = CASES[i].cosine;
        assert_int_equal(kf_graph_quantize(graph, &in, 1, &o, &err), KF_ERR_ARGUMENT);
        assert_non_null(strstr(err.text, CASES[i].says));
        kf_search_result r = {.size = sizeof r};
        assert_int_equal(kf_graph_search_result(graph, &r, &err), KF_ERR_ARGUMENT);
        kf_graph_destroy(&graph);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_output),
        cmocka_unit_test(finds_the_weights),
        cmocka_unit_test(eight_bits_may_do),
        cmocka_unit_test(the_limit_binds),
        cmocka_unit_test(labels_count),
        cmocka_unit_test(too_few_samples),
        cmocka_unit_test(trial_equals_oracle),
        cmocka_unit_test(trial_equals_oracle_on_pixels),
        cmocka_unit_test(wide_weights_run_everywhere),
        cmocka_unit_test(wide_rows_do_not_overflow),
        cmocka_unit_test(refuses_what_has_no_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
