/* Raising: program to graph. A graph that is lowered and raised computes the same numbers, to the bit in the reference
 * executor. tests/cli/test_onnx_forms.py compares real models with ONNX Runtime. Owner rule: each test destroys what
 * it makes. */
#include "graph_builder.h"

#include <fenv.h>

#include "lower/lower.h"
#include "lower/raise_private.h"
#include "passes/passes.h"
#include "ref/ref.h"
#include "quantized_graph.h"

static void test_layer_names(void **state) {
    (void)state;
    static const char *const NAMES[][2] = {
        {"/blocks/blocks.0/blocks.0.0/conv_dw/Conv", "blocks.0.0.conv_dw"},
        {"/blocks/blocks.4/blocks.4.1/se/conv_reduce/Conv", "blocks.4.1.se.conv_reduce"},
        {"/features/features.1/block/block.0/block.0.0/Conv", "features.1.block.0.0"},
        {"/conv_stem/Conv", "conv_stem"},
        {"/a/ab/Conv", "a.ab"}, /* a longer word is no path */
        {"/a/a/Conv", "a.a"},
        {"/Conv", "/Conv"},
        {"Conv_12", "Conv_12"},
        {"p2o.Conv.0", "p2o.Conv.0"},
        {"", ""},
        {"/", "/"},
        {"//", ""},
    };
    kf__arena arena;
    kf__arena_init(&arena, NULL);
    for (size_t i = 0; i < KF_COUNT(NAMES); i++) assert_string_equal(kf__layer_name(&arena, NAMES[i][0]), NAMES[i][1]);
    kf__arena_free(&arena);
}

/* Output `k` of a run on fixed numbers. */
static kf__dense run(const kf__graph *g, size_t k, kf__arena *arena) {
    kf_error err = {0};
    kf__dense in = {0}, out[4] = {{0}};
    size_t n = 0;
    const kf__shape *s = &g->values[g->inputs[0]].shape;
    assert_true(g->n_outputs <= 4);
    gb_ok(kf__ref_alloc(&in, KF_F32, s, arena, &err), &err);
    assert_true(kf__shape_count(s, &n));
    kf__random r = {.state = 5};
    for (size_t i = 0; i < n; i++) ((float *)in.data)[i] = (float)(kf__random_unit(&r) * 4 - 2);
    fesetround(FE_TONEAREST);
    gb_ok(kf__ref_run(g, &in, 1, out, g->n_outputs, NULL, NULL, arena, &err), &err);
    return out[k];
}

/* Lower `g` after all passes, raise it, compare every output and the interface; the raised graph. */
static kf__graph *there_and_back(kf__graph *g) {
    kf_error err = {0};
    kf__program *p;
    kf__graph *back;
    kf__arena arena;
    gb_ok(kf__passes_run(g, KF_OPTIMIZE_FUSE, &err), &err);
    gb_ok(kf__lower(g, &p, &err), &err);
    gb_ok(kf__raise(p, &back, &err), &err);
    kf__program_destroy(&p);
    assert_int_equal(g->n_outputs, back->n_outputs);
    assert_string_equal(g->values[g->inputs[0]].name, back->values[back->inputs[0]].name);
    kf__arena_init(&arena, NULL);
    for (size_t k = 0; k < g->n_outputs; k++) {
        kf__dense a = run(g, k, &arena), b = run(back, k, &arena);
        size_t n = 0;
        assert_string_equal(g->values[g->outputs[k]].name, back->values[back->outputs[k]].name);
        assert_true(kf__shape_equal(&a.shape, &b.shape) && kf__shape_count(&a.shape, &n));
        assert_memory_equal(a.data, b.data, n * sizeof(float));
    }
    kf__arena_free(&arena);
    return back;
}

static kf__vid pool(kf__graph *g, kf__op op, const char *name, kf__vid x, bool ceil_mode) {
    kf__vid y = op == KF_OP_MAX_POOL ? NODE(g, MAX_POOL, name, x) : NODE(g, AVG_POOL, name, x);
    gb_last(g)->attrs.window =
        (kf__window){.kh = 3, .kw = 2, .sh = 2, .sw = 2, .dh = 1, .dw = 1, .group = 1, .pt = 1, .pb = 1};
    gb_last(g)->attrs.ceil_mode = ceil_mode;
    gb_last(g)->attrs.count_include_pad = op == KF_OP_AVG_POOL;
    return y;
}

/* Plain, grouped and depthwise convolutions, activations, a residual, poolings in both modes, a concatenation, a
 * product. */
static void test_images(void **state) {
    (void)state;
    for (int ceil_mode = 0; ceil_mode < 2; ceil_mode++) {
        kf__graph *g = gb_new();
        kf__vid x = gb_input(g, "picture", S(2, 3, 12, 11));
        kf__vid a = gb_conv(g, "stem", x, gb_random(g, S(8, 3, 3, 3)), gb_random(g, S(8)), 1, 1, 1);
        a = NODE(g, HARD_SWISH, "swish", a);
        kf__vid b = gb_conv(g, "dw", a, gb_random(g, S(8, 1, 3, 3)), gb_random(g, S(8)), 1, 1, 8);
        b = NODE(g, RELU, "relu", b);
        b = gb_conv(g, "grouped", b, gb_random(g, S(8, 4, 1, 1)), KF_NO_VALUE, 1, 0, 2);
        b = NODE(g, ADD, "sum", a, b);
        kf__vid c = NODE(g, MUL, "product", b, NODE(g, HARD_SIGMOID, "hard", a));
        kf__node *hard = gb_find(g, KF_OP_HARD_SIGMOID);
        hard->attrs.alpha = 0.3f;
        hard->attrs.beta = 0.4f;
        c = NODE(g, CONCAT, "join", c, b);
        gb_last(g)->attrs.axis = 1;
        gb_output(g, pool(g, KF_OP_MAX_POOL, "max", c, ceil_mode));
        gb_output(g, pool(g, KF_OP_AVG_POOL, "average", c, ceil_mode));
        kf__graph *back = there_and_back(g);
        assert_int_equal(gb_find(back, KF_OP_MAX_POOL)->attrs.ceil_mode, ceil_mode);
        assert_true(gb_has_source(gb_find(back, KF_OP_CONV), "swish"));
        kf__graph_destroy(&g);
        kf__graph_destroy(&back);
    }
}

/* A gate, then vectors: pooled, flattened, dense, softmax; and an output that stays an image. */
static void test_gate_and_vectors(void **state) {
    (void)state;
    kf__graph *g = gb_new();
    kf__vid x = gb_input(g, "x", S(1, 6, 5, 5));
    kf__vid p = NODE(g, GLOBAL_AVG_POOL, "/se/pool/GlobalAveragePool", x);
    p = gb_conv(g, "/se/fc1/Conv", p, gb_random(g, S(2, 6, 1, 1)), gb_random(g, S(2)), 1, 0, 1);
    p = NODE(g, RELU, "/se/act/Relu", p);
    p = gb_conv(g, "/se/fc2/Conv", p, gb_random(g, S(6, 2, 1, 1)), gb_random(g, S(6)), 1, 0, 1);
    p = NODE(g, HARD_SIGMOID, "/se/gate/HardSigmoid", p);
    gb_last(g)->attrs.alpha = 0.25f;
    gb_last(g)->attrs.beta = 0.5f;
    kf__vid y = NODE(g, MUL, "/se/Mul", x, p);
    kf__vid flat = NODE(g, FLATTEN, "flat", y); /* 6 x 5 x 5 in NCHW order */
    gb_last(g)->attrs.axis = 1;
    flat = NODE(g, MATMUL, "dense", flat, gb_random(g, S(150, 7)));
    gb_output(g, NODE(g, SOFTMAX, "softmax", flat));
    gb_last(g)->attrs.axis = 1;
    gb_output(g, NODE(g, GLOBAL_AVG_POOL, "pooled", y)); /* an image of one pixel */
    gb_output(g, y);
    kf__graph *back = there_and_back(g);
    const kf__node *gate = gb_find(back, KF_OP_SE_GATE);
    assert_string_equal(back->values[gate->in[1]].name, "se.fc1.weight");
    assert_string_equal(back->values[gate->in[4]].name, "se.fc2.bias");
    kf__graph_destroy(&g);
    kf__graph_destroy(&back);
}

/* One tensor that is both a vector and an image: the lowering knows no difference, the outputs' ranks are kept. */
static void test_ranks_of_outputs(void **state) {
    (void)state;
    kf__graph *g = gb_new();
    kf__vid x = gb_input(g, "x", S(1, 4, 3, 3)), p = NODE(g, GLOBAL_AVG_POOL, "pool", x);
    gb_output(g, p);
    gb_output(g, NODE(g, FLATTEN, "flat", p));
    gb_last(g)->attrs.axis = 1;
    kf__graph *back = there_and_back(g);
    assert_int_equal(back->values[back->outputs[0]].shape.rank, 4);
    assert_int_equal(back->values[back->outputs[1]].shape.rank, 2);
    kf__graph_destroy(&g);
    kf__graph_destroy(&back);
}

/* Integers come back as they were; scales of weights may be a neighbour in f32, which the output shows, if at all, in
 * its last places. */
static void test_quantized_programs_come_back(void **state) {
    (void)state;
    for (int k = 0; k < 4; k++) {
        kf_error err = {0};
        kf__program *p;
        kf__graph *g = quantized_graph(k & 1 ? 2 : 0, k & 2 ? KF_ACT_CLIP : KF_ACT_HSWISH), *back;
        kf__arena arena;
        gb_ok(kf__lower(g, &p, &err), &err);
        assert_int_equal(p->meta.quantized, 1);
        gb_ok(kf__raise(p, &back, &err), &err);
        kf__arena_init(&arena, NULL);
        kf__dense a = run(g, 0, &arena), b = run(back, 0, &arena);
        for (int i = 0; i < 5; i++)
            assert_true(fabsf(((float *)a.data)[i] - ((float *)b.data)[i]) < 1e-5f * fabsf(((float *)a.data)[i]));
        kf__arena_free(&arena);
        kf__graph_destroy(&back);
        for (int32_t i = 0; i < p->n_steps; i++) /* numbers that follow from no scale */
            if (p->steps[i].direct && p->steps[i].qhi == 255) p->steps[i].qhi = 254;
        assert_int_equal(kf__raise(p, &back, &err), KF_ERR_UNSUPPORTED);
        assert_non_null(strstr(err.text, "NUMERICS"));
        assert_null(back);
        kf__program_destroy(&p);
        kf__graph_destroy(&g);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layer_names),
        cmocka_unit_test(test_images),
        cmocka_unit_test(test_gate_and_vectors),
        cmocka_unit_test(test_ranks_of_outputs),
        cmocka_unit_test(test_quantized_programs_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
