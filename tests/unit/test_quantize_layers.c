/* What the quantizer makes of layers with groups, of pixels and of tensors between layers: the integer oracle stays
 * near the float one, the fast simulation near both, and lowering takes everything that was quantized.
 * Owner rule: each test frees what it makes. */
#include "graph_builder.h"

#include "lower/lower.h"
#include "lower/raise.h"
#include "quantize/detail.h"
#include "quantize/quantize.h"
#include "quantize/trial.h"
#include "ref/ref.h"
#include "tensor/layout.h"

enum { H = 14, W = 11, C = 3, SAMPLES = 12, CLASSES = 5, COUNT = H * W * C };

/* Values differ widely, so that no channel can be mistaken for another. */
static const kf_preprocess PREPROCESS = {
    .valid = 1, .width = W, .height = H, .crop_pct = 1, .mean = {0.1, 0.5, 0.8}, .std = {0.1, 0.3, 0.9}};

static uint8_t pixels[SAMPLES][COUNT], planes[SAMPLES][COUNT];
static float real[SAMPLES][COUNT];

static kf__qsamples make_samples(bool as_pixels) {
    static const void *list[SAMPLES];
    kf__random r = {17};
    for (size_t k = 0; k < SAMPLES; k++)
        for (size_t i = 0; i < COUNT; i++) {
            size_t c = i % C, at = c * H * W + i / C;
            pixels[k][i] = planes[k][at] = (uint8_t)kf__random_range(&r, 0, 255);
            real[k][at] = (float)((pixels[k][i] / 255.0 - PREPROCESS.mean[c]) / PREPROCESS.std[c]);
            list[k] = as_pixels ? (const void *)pixels[k] : (const void *)real[k];
        }
    return (kf__qsamples){.data = list, .n = SAMPLES, .pixels = as_pixels};
}

static kf__graph *begin(kf__vid *x) {
    kf__graph *g = gb_new();
    g->meta.preprocess = PREPROCESS;
    *x = gb_input(g, "x", S(1, C, H, W));
    return g;
}

static kf__vid layer(kf__graph *g, const char *name, kf__vid x, int64_t out, int64_t in, int64_t k, int group) {
    return gb_conv(g, name, x, gb_random(g, S(out, in / group, k, k)), gb_random(g, S(out)), 1, (int)k / 2, group);
}

static kf__graph *end(kf__graph *g, kf__vid x, int64_t channels) {
    kf_error err = {0};
    x = NODE(g, FLATTEN, "flat", NODE(g, GLOBAL_AVG_POOL, "pool", x));
    gb_last(g)->attrs.axis = 1;
    gb_output(g, NODE(g, FC, "classes", x, gb_random(g, S(CLASSES, channels)), gb_random(g, S(CLASSES))));
    gb_ok(kf__graph_compact(g, &err), &err);
    gb_ok(kf__graph_infer(g, &err), &err);
    return g;
}

/* Relative distance of `got` from what the graph gives. */
static double relative_error(const kf__graph *g, kf_dtype type, void *in, const float *got) {
    kf_error err = {0};
    kf__arena a;
    kf__dense x = {.dtype = type, .shape = S(1, C, H, W), .data = in}, y;
    double dd = 0, all = 0;
    kf__arena_init(&a, NULL);
    gb_ok(kf__ref_run(g, &x, 1, &y, 1, NULL, NULL, &a, &err), &err);
    for (size_t i = 0; i < CLASSES; i++) {
        double want = (double)((const float *)y.data)[i], d = (double)got[i] - want;
        dd += d * d, all += want * want;
    }
    kf__arena_free(&a);
    return sqrt(dd / all);
}

static kf__program *compiled(const kf__graph *q) {
    kf_error err = {0};
    kf__program *p;
    kf__graph *back;
    gb_ok(kf__lower(q, &p, &err), &err);
    gb_ok(kf__raise(p, &back, &err), &err); /* proves that it compiles to the same program */
    kf__graph_destroy(&back);
    return p;
}

/* Both networks by the simulation that the search uses, against the oracle, and integers against floats. */
static void check(kf__graph *g, const kf__graph *q, const kf__qsamples *s) {
    static float logits[2][SAMPLES][CLASSES];
    kf_error err = {0};
    kf__trial t;
    kf__graph *copy;
    gb_ok(kf__graph_clone(q, &copy, &err), &err);
    gb_ok(kf__trial_open(&t, g, copy, s, 1, &err), &err);
    for (int which = 0; which < 2; which++) gb_ok(kf__trial_logits(&t, which, &logits[which][0][0]), &err);
    kf__trial_close(&t);
    kf__graph_destroy(&copy);
    for (size_t k = 0; k < SAMPLES; k++) {
        void *in = s->pixels ? (void *)planes[k] : (void *)real[k];
        assert_true(relative_error(g, KF_F32, real[k], logits[0][k]) < 1e-4);
        assert_true(relative_error(q, s->pixels ? KF_U8 : KF_F32, in, logits[1][k]) < 0.01);
        assert_true(relative_error(g, KF_F32, real[k], logits[1][k]) < 0.03);
    }
}

static kf__graph *quantize(const kf__graph *g, const kf__qsamples *s, kf__qreport *report) {
    kf_error err = {0};
    kf__graph *q;
    kf__qoptions o = kf__qoptions_default();
    o.asked.detail = report != NULL;
    gb_ok(kf__graph_clone(g, &q, &err), &err);
    gb_ok(kf__quantize(q, s, &o, &q->arena, report, &err), &err);
    return q;
}

/* ---- layers over pixels -------------------------------------------------------------------- */

/* Largest weight as the layer over pixels has it: o's channel is o / (O / 3) where there are three groups. */
static float largest(const kf__graph *g, int group) {
    const kf__value *w = &g->values[g->nodes[0].in[1]];
    size_t o_n = (size_t)w->shape.dim[0], i_n = (size_t)w->shape.dim[1], taps = 9;
    float most = 0;
    for (size_t k = 0; k < o_n * i_n * taps; k++) {
        size_t c = group == 1 ? k / taps % i_n : k / taps / i_n;
        most = fmaxf(most, fabsf(((const float *)w->data)[k]) / (float)(255 * PREPROCESS.std[c]));
    }
    return most;
}

static void over_pixels(void **state) {
    (void)state;
    for (int group = 1; group <= C; group += C - 1) {
        kf__vid x;
        kf__graph *g = begin(&x);
        kf__qreport report;
        const kf__qsamples s = make_samples(true);
        int64_t out = group == 1 ? 8 : C;
        x = layer(g, "first", x, out, C, 3, group);
        g->nodes[0].attrs.window.sh = 2;
        g = end(g, layer(g, "second", x, 8, out, 1, 1), 8);
        kf__graph *q = quantize(g, &s, &report);
        check(g, q, &s);
        const kf__histogram *h = &report.nodes[0].weights->h;
        assert_float_equal(fmaxf(-h->lo, h->hi), largest(g, group), 1e-6f * largest(g, group));
        kf__program *p = compiled(q);
        assert_int_equal(p->steps[0].op, KF_STEP_CONV); /* the step that has a bias by border class */
        assert_int_equal(p->steps[0].border_bias, 1);
        assert_int_equal(p->steps[0].window.group, group);
        kf__program_destroy(&p);
        kf__graph_destroy(&g);
        kf__graph_destroy(&q);
    }
}

static void channels_of_filters(void **state) {
    (void)state;
    const kf__filters dense = {4, 6, 9}, depthwise = {6, 1, 9}, multiplied = {6, 1, 9}, pairs = {6, 2, 1};
    for (size_t o = 0; o < 4; o++)
        for (size_t i = 0; i < 6; i++) assert_int_equal(kf__filters_channel(&dense, 1, o, i), i);
    for (size_t o = 0; o < 6; o++) {
        assert_int_equal(kf__filters_channel(&depthwise, 6, o, 0), o);
        assert_int_equal(kf__filters_channel(&multiplied, 3, o, 0), o / 2);
        for (size_t i = 0; i < 2; i++) assert_int_equal(kf__filters_channel(&pairs, 3, o, i), o / 2 * 2 + i);
    }
}

/* ---- depthwise layers ------------------------------------------------------------------------ */

/* The graph can be quantized and compiled, and both forms agree; frees it. */
static void takes(kf__graph *g) {
    const kf__qsamples s = make_samples(false);
    kf__graph *q = quantize(g, &s, NULL);
    check(g, q, &s);
    kf__program *p = compiled(q);
    kf__program_destroy(&p);
    kf__graph_destroy(&g);
    kf__graph_destroy(&q);
}

static void dilated_by_two_numbers(void **state) {
    (void)state;
    kf__vid x;
    kf__graph *g = begin(&x);
    x = layer(g, "deep", layer(g, "first", x, 8, C, 1, 1), 8, 8, 3, 8);
    gb_last(g)->attrs.window.dh = 3, gb_last(g)->attrs.window.dw = 2;
    takes(end(g, x, 8));
}

static void too_many_rows(void **state) {
    (void)state;
    kf_error err = {0};
    kf__vid x;
    kf__graph *g = begin(&x);
    const kf__qsamples s = make_samples(false);
    const kf__qoptions o = kf__qoptions_default();
    x = gb_conv(g, "deep", x, gb_random(g, S(C, 1, KF_DWCONV_ROWS + 1, 1)), KF_NO_VALUE, 1, 0, C);
    gb_last(g)->attrs.window.pt = gb_last(g)->attrs.window.pb = KF_DWCONV_ROWS / 2;
    g = end(g, x, C);
    assert_int_equal(kf__quantize(g, &s, &o, &g->arena, NULL, &err), KF_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "65 rows"));
    kf__graph_destroy(&g);
}

/* ---- tensors between layers ------------------------------------------------------------------ */

/* Only a depthwise convolution reads these, so that scales by channel would do, but for the step that writes them. */
static void one_scale_where_the_step_has_one(void **state) {
    (void)state;
    for (int concat = 0; concat < 2; concat++) {
        kf__vid x;
        kf__graph *g = begin(&x);
        kf__vid a = layer(g, "a", x, 4, C, 1, 1), b = layer(g, "b", x, 4, C, 3, 1);
        int64_t channels = 4;
        if (concat) a = NODE(g, CONCAT, "between", a, b), gb_last(g)->attrs.axis = 1, channels = 8;
        else {
            a = NODE(g, AVG_POOL, "between", a);
            gb_last(g)->attrs.window = (kf__window){2, 2, 2, 2, 1, 1, 1, 0, 0, 0, 0};
        }
        a = layer(g, "deep", a, channels, channels, 3, (int)channels);
        takes(end(g, a, channels));
    }
}

/* All rows of weights or biases but the first made small. */
static kf__vid quiet(kf__graph *g, kf__vid v) {
    size_t n = g->values[v].bytes / sizeof(float), o = (size_t)g->values[v].shape.dim[0];
    float *w = (float *)(uintptr_t)g->values[v].data;
    for (size_t i = 0; i < n; i++) w[i] *= i < n / o ? 4 : 0.02f;
    return v;
}

/* Channel 0 is loud, so its scale is another than that of the others, and 0.5 another integer. */
static void one_scale_where_bounds_differ(void **state) {
    (void)state;
    kf__vid x;
    kf__graph *g = begin(&x);
    kf__vid a = layer(g, "a", x, 8, C, 1, 1);
    quiet(g, g->nodes[0].in[1]), quiet(g, g->nodes[0].in[2]);
    kf__vid b = NODE(g, CONV, "sum", a, quiet(g, gb_random(g, S(8, 8, 1, 1))), quiet(g, gb_random(g, S(8))), a);
    gb_last(g)->attrs.window = KF_WINDOW_ONE;
    gb_last(g)->attrs.post_act = (kf__activation){KF_ACT_CLIP, 0.5f, 20};
    b = layer(g, "deep", b, 8, 8, 3, 8);
    takes(end(g, b, 8));
}

/* The largest numbers of joined tensors, as they leave the network. */
static void joined_floats(void **state) {
    (void)state;
    kf_error err = {0};
    kf__vid x;
    kf__graph *g = begin(&x);
    kf__vid a = layer(g, "a", x, 2, C, 1, 1), b = layer(g, "b", a, 3, 2, 1, 1);
    a = NODE(g, CONCAT, "joined", a, b);
    gb_last(g)->attrs.axis = 1;
    a = NODE(g, MAX_POOL, "most", a);
    gb_last(g)->attrs.window = (kf__window){H, W, 1, 1, 1, 1, 1, 0, 0, 0, 0};
    gb_output(g, a);
    gb_ok(kf__graph_compact(g, &err), &err);
    gb_ok(kf__graph_infer(g, &err), &err);
    takes(g);
}

/* A range that is tiny, or no range at all, counts in some bin: 2048 / (hi - lo) has no finite value there. */
static void histograms_of_odd_ranges(void **state) {
    static const float RANGES[][2] = {{0, 1e-42f},           {-1e-40f, 0}, {0, INFINITY},
                                      {-INFINITY, INFINITY}, {NAN, NAN},   {0, 3e38f}};
    static kf__histogram h;
    for (size_t i = 0; i < KF_COUNT(RANGES); i++) {
        const float x[] = {1e-42f, -1e-42f, 1, -1, 3e38f, INFINITY, -INFINITY, NAN};
        uint64_t sum = 0;
        float lo, hi;
        memset(&h, 0, sizeof h);
        h.lo = RANGES[i][0], h.hi = RANGES[i][1];
        for (size_t k = 0; k < KF_COUNT(x); k++) kf__histogram_add(&h, x[k]);
        for (size_t b = 0; b < KF_HISTOGRAM_BINS; b++) sum += h.bins[b];
        assert_int_equal(sum, KF_COUNT(x));
        for (int how = KF_RANGE_MSE; how <= KF_RANGE_KL; how++)
            kf__range_choose(&h, (kf_range_method)how, 99.9, 255, &lo, &hi);
    }
}

/* Finite weights, and a product that overflows: node and sample are named. */
static void overflow_is_refused(void **state) {
    kf_error err = {0};
    kf__vid x;
    kf__graph *g = begin(&x);
    kf__vid a = layer(g, "first", x, 2, C, 1, 1), b = layer(g, "second", a, 2, 2, 1, 1);
    float *w = (float *)(uintptr_t)g->values[gb_last(g)->in[1]].data;
    for (int i = 0; i < 4; i++) w[i] = 3e38f;
    b = NODE(g, GLOBAL_AVG_POOL, "pool", b);
    gb_output(g, b);
    gb_ok(kf__graph_compact(g, &err), &err);
    gb_ok(kf__graph_infer(g, &err), &err);
    kf__qsamples samples = make_samples(true);
    kf__qoptions o = kf__qoptions_default();
    assert_int_equal(kf__quantize(g, &samples, &o, &g->arena, NULL, &err), KF_ERR_UNSUPPORTED);
    if (!strstr(err.text, "node second") || !strstr(err.text, "calibration sample 0")) fail_msg("%s", err.text);
    kf__graph_destroy(&g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(over_pixels),
        cmocka_unit_test(channels_of_filters),
        cmocka_unit_test(dilated_by_two_numbers),
        cmocka_unit_test(too_many_rows),
        cmocka_unit_test(one_scale_where_the_step_has_one),
        cmocka_unit_test(one_scale_where_bounds_differ),
        cmocka_unit_test(joined_floats),
        cmocka_unit_test(histograms_of_odd_ranges),
        cmocka_unit_test(overflow_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
