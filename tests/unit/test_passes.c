/* Every rewrite on a graph small enough to read: what must change, what must not, and that the numbers stay.
 * Links libkitfoxc.
 * Owner rule: each test destroys its graph. */
#include "graph_builder.h"

#include "passes/passes.h"
#include "ref/ref.h"

/* The values of the trap table (onnxruntime-qnn #392). */
static const float HS_X[7] = {-4, -3, -1.5f, 0, 1, 3, 6};
static const float HS_Y[7] = {0, 0, -0.375f, 0, 0.6666667f, 3, 6};

static void run(const kf__graph *g, const float *x, float *y, size_t n_out) {
    kf__arena arena;
    kf_error err = {0};
    kf__arena_init(&arena, NULL);
    kf__dense in = {.dtype = KF_F32, .shape = g->values[g->inputs[0]].shape, .data = (void *)(uintptr_t)x}, out;
    gb_ok(kf__ref_run(g, &in, 1, &out, 1, NULL, NULL, &arena, &err), &err);
    size_t n = 0;
    assert_true(kf__shape_count(&out.shape, &n));
    assert_int_equal(n, n_out);
    memcpy(y, out.data, n * sizeof *y);
    kf__arena_free(&arena);
}

static void optimize(kf__graph *g, kf_optimize_level level) {
    kf_error err = {0};
    gb_ok(kf__passes_run(g, level, &err), &err);
    gb_ok(kf__graph_verify(g, &err), &err);
}

/** Same numbers before and after; returns nothing, fails otherwise. x is a fixed ramp. */
static void optimize_and_compare(kf__graph *g, kf_optimize_level level, size_t n_out) {
    size_t n_in = 0;
    kf_error err = {0};
    gb_ok(kf__graph_infer(g, &err), &err);
    assert_true(kf__shape_count(&g->values[g->inputs[0]].shape, &n_in));
    float *x = test_malloc(n_in * sizeof *x), *a = test_malloc(n_out * sizeof *a), *b = test_malloc(n_out * sizeof *b);
    for (size_t i = 0; i < n_in; i++) x[i] = (float)((int)(i * 37 % 101) - 50) / 20.0f;
    run(g, x, a, n_out);
    optimize(g, level);
    run(g, x, b, n_out);
    float top = 1;
    for (size_t i = 0; i < n_out; i++) top = fmaxf(top, fabsf(a[i]));
    for (size_t i = 0; i < n_out; i++)
        if (fabsf(a[i] - b[i]) > 1e-5f * top) fail_msg("element %zu: %g became %g", i, (double)a[i], (double)b[i]);
    test_free(x);
    test_free(a);
    test_free(b);
}

/* ---- h-swish in every spelling ----------------------------------------------------------------------------------- */

static kf__vid relu6(kf__graph *g, kf__vid x, int form) {
    if (form == 1) return NODE(g, MIN, "min", gb_scalar(g, 6), NODE(g, MAX, "max", x, gb_scalar(g, 0)));
    if (form == 2) return NODE(g, CLIP, "clip", x, gb_scalar(g, 0), gb_scalar(g, 6));
    if (form == 3) return NODE(g, MIN, "min", NODE(g, RELU, "relu", x), gb_scalar(g, 6));
    kf__vid v = NODE(g, CLIP, "clip", x);
    gb_last(g)->attrs.act.lo = 0;
    gb_last(g)->attrs.act.hi = 6;
    return v;
}

static kf__vid hsigmoid_op(kf__graph *g, kf__vid x, float alpha) {
    kf__vid v = NODE(g, HARD_SIGMOID, "hardsigmoid", x);
    gb_last(g)->attrs.alpha = alpha;
    gb_last(g)->attrs.beta = 0.5f;
    return v;
}

static kf__vid spell(kf__graph *g, kf__vid x, int form) {
    kf__vid three = gb_scalar(g, 3), six = gb_scalar(g, 6), sixth = gb_scalar(g, 1.0f / 6.0f);
    switch (form) {
    case 0: return NODE(g, HARD_SWISH, "hs", x);
    case 1: return NODE(g, MUL, "m", x, hsigmoid_op(g, x, 1.0f / 6.0f));
    case 2: return NODE(g, MUL, "m", hsigmoid_op(g, x, 0.1666667f), x);
    case 3: return NODE(g, DIV, "d", NODE(g, MUL, "m", x, relu6(g, NODE(g, ADD, "a", x, three), 0)), six);
    case 4: return NODE(g, MUL, "d", NODE(g, MUL, "m", relu6(g, NODE(g, ADD, "a", three, x), 1), x), sixth);
    case 5: return NODE(g, MUL, "m", x, NODE(g, DIV, "d", relu6(g, NODE(g, ADD, "a", x, three), 2), six));
    case 6: return NODE(g, MUL, "m", NODE(g, DIV, "d", x, six), relu6(g, NODE(g, ADD, "a", x, three), 0));
    case 7: return NODE(g, MUL, "m", relu6(g, NODE(g, ADD, "a", x, three), 3), NODE(g, MUL, "d", sixth, x));
    default: return NODE(g, MUL, "m", NODE(g, MUL, "d", relu6(g, NODE(g, ADD, "a", x, three), 0), sixth), x);
    }
}

static void test_hswish_spellings(void **state) {
    (void)state;
    for (int form = 0; form < 9; form++) {
        kf__graph *g = gb_new();
        gb_output(g, spell(g, gb_input(g, "x", S(1, 7)), form));
        optimize(g, KF_OPTIMIZE_FUSE);
        if (g->n_nodes != 1 || g->nodes[0].op != KF_OP_ACT || g->nodes[0].attrs.act.kind != KF_ACT_HSWISH)
            fail_msg("spelling %d: %zu nodes, the last is %s", form, g->n_nodes, kf__op_name(gb_last(g)->op));
        float y[7];
        run(g, HS_X, y, 7);
        for (int i = 0; i < 7; i++)
            if (fabsf(y[i] - HS_Y[i]) > 1e-6f) fail_msg("spelling %d: f(%g) = %g", form, (double)HS_X[i], (double)y[i]);
        kf__graph_destroy(&g);
    }
}

static void test_slope_one_fifth_is_no_hswish(void **state) {
    (void)state;
    kf__graph *g = gb_new();
    kf__vid x = gb_input(g, "x", S(1, 7));
    gb_output(g, NODE(g, MUL, "m", x, hsigmoid_op(g, x, 0.2f)));
    optimize_and_compare(g, KF_OPTIMIZE_FUSE, 7);
    assert_int_equal(g->n_nodes, 2);
    assert_int_equal(gb_find(g, KF_OP_ACT)->attrs.act.kind, KF_ACT_HARDSIGMOID);
    float one[7] = {1}, y[7];
    run(g, one, y, 7);
    assert_float_equal(y[0], 0.7f, 1e-6f); /* HardSigmoid(1) with the default slope, times 1 */
    kf__graph_destroy(&g);
}

static void test_wrong_constants_stay(void **state) {
    (void)state;
    for (int form = 0; form < 3; form++) { /* +2 for +3, /5 for /6, gate of another tensor */
        kf__graph *g = gb_new();
        kf__vid x = gb_input(g, "x", S(1, 7)), other = NODE(g, NEG, "neg", x);
        kf__vid c = relu6(g, NODE(g, ADD, "a", x, gb_scalar(g, form == 0 ? 2 : 3)), 0);
        gb_output(g, NODE(g, DIV, "d", NODE(g, MUL, "m", form == 2 ? other : x, c), gb_scalar(g, form == 1 ? 5 : 6)));
        optimize_and_compare(g, KF_OPTIMIZE_FUSE, 7);
        for (size_t i = 0; i < g->n_nodes; i++) assert_true(g->nodes[i].attrs.act.kind != KF_ACT_HSWISH);
        kf__graph_destroy(&g);
    }
}

static void test_silu(void **state) {
    (void)state;
    kf__graph *g = gb_new();
    kf__vid x = gb_input(g, "x", S(1, 5));
    gb_output(g, NODE(g, MUL, "m", NODE(g, SIGMOID, "s", x), x));
    optimize_and_compare(g, KF_OPTIMIZE_FUSE, 5);
    assert_int_equal(g->n_nodes, 1);
    assert_int_equal(g->nodes[0].attrs.act.kind, KF_ACT_SILU);
    kf__graph_destroy(&g);
}

/* ---- folding ----------------------------------------------------------------------------------------------------- */

static void test_batch_norm_order(void **state) {
    (void)state;
    kf__graph *g = gb_new();
    const float w[2] = {0.3f, -1.7f}, gamma[2] = {1.1f, 0.9f}, beta[2] = {0.2f, -0.4f}, mean[2] = {0.7f, 0.1f},
                var[2] = {2.3f, 0.013f};
    kf__vid c = gb_conv(g, "conv", gb_input(g, "x", S(1, 1, 2, 2)), gb_const(g, S(2, 1, 1, 1), w), -1, 1, 0, 1);
    gb_output(g, NODE(g, BATCH_NORM, "bn", c, gb_const(g, S(2), gamma), gb_const(g, S(2), beta),
                      gb_const(g, S(2), mean), gb_const(g, S(2), var)));
    gb_last(g)->attrs.epsilon = 1e-3f;
    optimize_and_compare(g, KF_OPTIMIZE_SIMPLIFY, 8);
    assert_int_equal(g->n_nodes, 1);
    assert_string_equal(g->values[g->outputs[0]].name, "bn_out");
    const float *fw = g->values[g->nodes[0].in[1]].data, *fb = g->values[g->nodes[0].in[2]].data;
    for (int i = 0; i < 2; i++) {
        float v = var[i] + 1e-3f, root = sqrtf(v), s = gamma[i] / root, t = mean[i] * s;
        assert_true(fw[i] == w[i] * s); /* to the bit: ONNX and checkpoint must give the same bytes */
        assert_true(fb[i] == beta[i] - t);
    }
    kf__graph_destroy(&g);
}

static void test_lone_batch_norm(void **state) {
    (void)state;
    kf__graph *g = gb_new();
    kf__vid x = gb_input(g, "x", S(1, 2, 3, 3));
    gb_output(g, NODE(g, BATCH_NORM, "bn", x, gb_const(g, S(2), F(2, 3)), gb_const(g, S(2), F(1, -1)),
                      gb_const(g, S(2), F(0.5f, 0)), gb_const(g, S(2), F(1, 4))));
    gb_last(g)->attrs.epsilon = 1e-5f;
    optimize_and_compare(g, KF_OPTIMIZE_FUSE, 18);
    assert_int_equal(gb_find(g, KF_OP_CONV)->attrs.window.group, 2);
    kf__graph_destroy(&g);
}

static void test_shape_subgraph_vanishes(void **state) {
    (void)state;
    kf__graph *g = gb_new();
    kf__vid x = gb_input(g, "x", S(1, 4, 2, 2)), shape = NODE(g, SHAPE, "shape", x);
    kf__vid n = NODE(g, GATHER, "gather", shape, gb_ints(g, I(0), 1));
    kf__vid target = NODE(g, CONCAT, "concat", n, gb_ints(g, I(-1), 1));
    gb_output(g, NODE(g, RESHAPE, "reshape", x, target));
    optimize_and_compare(g, KF_OPTIMIZE_SIMPLIFY, 16);
    assert_int_equal(g->n_nodes, 1);
    assert_int_equal(g->values[g->outputs[0]].shape.dim[1], 16);
    kf__graph_destroy(&g);
}

static void test_identity_keeps_output_name(void **state) {
    (void)state;
    kf__graph *g = gb_new();
    kf__vid x = gb_input(g, "x", S(1, 3));
    kf__vid r = NODE(g, RELU, "relu", NODE(g, DROPOUT, "drop", x));
    gb_output(g, NODE(g, IDENTITY, "probs", NODE(g, ADD, "add", r, gb_scalar(g, 0))));
    optimize_and_compare(g, KF_OPTIMIZE_SIMPLIFY, 3);
    assert_int_equal(g->n_nodes, 1);
    assert_string_equal(g->values[g->outputs[0]].name, "probs_out");
    kf__graph_destroy(&g);
}

static void test_identity_of_input_to_output_stays(void **state) {
    (void)state;
    kf__graph *g = gb_new();
    gb_output(g, NODE(g, IDENTITY, "copy", gb_input(g, "x", S(1, 3))));
    optimize_and_compare(g, KF_OPTIMIZE_SIMPLIFY, 3);
    assert_string_equal(g->values[g->outputs[0]].name, "copy_out");
    kf__graph_destroy(&g);
}

static void test_pads(void **state) {
    (void)state;
    for (int kind = 0; kind < 4; kind++) { /* conv, average pool, max pool after Relu, max pool of anything */
        kf__graph *g = gb_new();
        kf__vid x = gb_input(g, "x", S(1, 2, 5, 5));
        if (kind == 2) x = NODE(g, RELU, "relu", x);
        kf__vid p = NODE(g, PAD, "pad", x, gb_ints(g, I(0, 0, 0, 1, 0, 0, 1, 2), 8));
        kf__vid y = kind == 0 ? gb_conv(g, "conv", p, gb_random(g, S(3, 2, 3, 3)), -1, 2, 0, 1)
                              : gb_node(g, kind == 1 ? KF_OP_AVG_POOL : KF_OP_MAX_POOL, "pool", 1, &p, NULL);
        if (kind)
            gb_last(g)->attrs.window = (kf__window){.kh = 3, .kw = 3, .sh = 2, .sw = 2, .dh = 1, .dw = 1, .group = 1};
        gb_output(g, y);
        optimize_and_compare(g, KF_OPTIMIZE_SIMPLIFY, kind == 0 ? 3 * 2 * 3 : 2 * 2 * 3);
        assert_int_equal(gb_count(g, KF_OP_PAD), kind == 3 ? 1 : 0);
        if (kind != 3)
            assert_true(gb_last(g)->attrs.window.pl == 1 && gb_last(g)->attrs.window.pb == 1 &&
                        gb_last(g)->attrs.window.pr == 2);
        kf__graph_destroy(&g);
    }
}

static void test_duplicates(void **state) {
    (void)state;
    kf__graph *g = gb_new();
    kf__vid x = gb_input(g, "x", S(1, 3));
    gb_output(g, NODE(g, ADD, "sum", NODE(g, MUL, "a", x, gb_scalar(g, 2)), NODE(g, MUL, "b", x, gb_scalar(g, 2))));
    optimize_and_compare(g, KF_OPTIMIZE_SIMPLIFY, 3);
    assert_int_equal(g->n_nodes, 2);
    kf__graph_destroy(&g);
}

static void test_huge_fold_is_refused(void **state) {
    (void)state;
    kf__graph *g = gb_new();
    kf__vid big = NODE(g, CONSTANT_OF_SHAPE, "big", gb_ints(g, I(1 << 20, 1 << 20), 2));
    gb_last(g)->attrs.to = KF_F32;
    gb_input(g, "x", S(1));
    gb_output(g, big);
    kf_error err = {0};
    kf_status st = kf__passes_run(g, KF_OPTIMIZE_SIMPLIFY, &err); /* 4 TiB: must neither fold nor crash */
    assert_true(st != KF_OK || gb_count(g, KF_OP_CONSTANT_OF_SHAPE) == 1);
    kf__graph_destroy(&g);
}

/* ---- layers ------------------------------------------------------------------------------------------------------ */

static void test_reduce_mean(void **state) {
    (void)state;
    for (int keep = 0; keep < 2; keep++) {
        kf__graph *g = gb_new();
        gb_output(g, NODE(g, REDUCE_MEAN, "mean", gb_input(g, "x", S(1, 3, 4, 4))));
        gb_last(g)->attrs.keepdims = keep;
        gb_last(g)->attrs.n_axes = 2;
        gb_last(g)->attrs.axes[0] = -1;
        gb_last(g)->attrs.axes[1] = 2;
        optimize_and_compare(g, KF_OPTIMIZE_FUSE, 3);
        assert_int_equal(gb_count(g, KF_OP_GLOBAL_AVG_POOL), 1);
        assert_int_equal(gb_count(g, KF_OP_FLATTEN), keep ? 0 : 1);
        kf__graph_destroy(&g);
    }
}

static void test_fully_connected(void **state) {
    (void)state;
    for (int form = 0; form < 4; form++) {
        kf__graph *g = gb_new();
        kf__vid x = gb_input(g, "x", S(2, 3)), y;
        if (form == 0) y = NODE(g, ADD, "add", gb_random(g, S(4)), NODE(g, MATMUL, "mm", x, gb_random(g, S(3, 4))));
        else if (form == 1) y = NODE(g, MATMUL, "mm", x, gb_random(g, S(3, 4)));
        else y = NODE(g, GEMM, "gemm", x, gb_random(g, form == 2 ? S(4, 3) : S(3, 4)), gb_random(g, S(1, 4)));
        if (form >= 2) {
            gb_last(g)->attrs.alpha = form == 2 ? 1.0f : 0.5f;
            gb_last(g)->attrs.beta = form == 2 ? 1.0f : 2.0f;
            gb_last(g)->attrs.trans_b = form == 2;
        }
        gb_output(g, y);
        optimize_and_compare(g, KF_OPTIMIZE_FUSE, 8);
        assert_int_equal(g->n_nodes, 1);
        assert_int_equal(g->nodes[0].op, KF_OP_FC);
        assert_int_equal(g->values[g->nodes[0].in[1]].shape.dim[0], 4);
        kf__graph_destroy(&g);
    }
}

static void test_head_convolution(void **state) {
    (void)state;
    kf__graph *g = gb_new();
    kf__vid p = NODE(g, GLOBAL_AVG_POOL, "pool", gb_input(g, "x", S(1, 3, 2, 2)));
    kf__vid c =
        NODE(g, HARD_SWISH, "hs", gb_conv(g, "head", p, gb_random(g, S(5, 3, 1, 1)), gb_random(g, S(5)), 1, 0, 1));
    kf__vid f = NODE(g, FLATTEN, "flat", c);
    gb_last(g)->attrs.axis = 1;
    gb_output(g, f);
    optimize_and_compare(g, KF_OPTIMIZE_FUSE, 5);
    assert_int_equal(gb_count(g, KF_OP_CONV), 0);
    assert_int_equal(gb_find(g, KF_OP_FC)->attrs.act.kind, KF_ACT_HSWISH);
    assert_string_equal(g->values[g->outputs[0]].name, "flat_out");
    kf__graph_destroy(&g);
}

/** Squeeze-and-excite with convolutions, or with fully connected layers between reshapes. */
static kf__vid squeeze_excite(kf__graph *g, kf__vid x, bool fc, float alpha) {
    kf__vid p = NODE(g, GLOBAL_AVG_POOL, "pool", x), h, e;
    if (fc) {
        p = NODE(g, FLATTEN, "squeeze", p);
        gb_last(g)->attrs.axis = 1;
        h = NODE(g, RELU, "se_relu",
                 NODE(g, ADD, "b1", NODE(g, MATMUL, "fc1", p, gb_random(g, S(4, 2))), gb_random(g, S(2))));
        e = hsigmoid_op(g, NODE(g, MATMUL, "fc2", h, gb_random(g, S(2, 4))), alpha);
        e = NODE(g, RESHAPE, "unsqueeze", e, gb_ints(g, I(1, 4, 1, 1), 4));
    } else {
        h = NODE(g, RELU, "se_relu", gb_conv(g, "fc1", p, gb_random(g, S(2, 4, 1, 1)), gb_random(g, S(2)), 1, 0, 1));
        e = hsigmoid_op(g, gb_conv(g, "fc2", h, gb_random(g, S(4, 2, 1, 1)), gb_random(g, S(4)), 1, 0, 1), alpha);
    }
    return fc ? NODE(g, MUL, "se_mul", e, x) : NODE(g, MUL, "se_mul", x, e);
}

static void test_squeeze_excite(void **state) {
    (void)state;
    for (int form = 0; form < 4; form++) {
        kf__graph *g = gb_new();
        float alpha = form & 2 ? 0.2f : 1.0f / 6.0f;
        gb_output(g, squeeze_excite(g, gb_input(g, "x", S(1, 4, 3, 3)), form & 1, alpha));
        optimize_and_compare(g, KF_OPTIMIZE_FUSE, 36);
        assert_int_equal(g->n_nodes, 2);
        const kf__node *gate = gb_find(g, KF_OP_SE_GATE);
        assert_non_null(gate);
        assert_int_equal(gate->attrs.gate_act.kind, form & 2 ? KF_ACT_HARDSIGMOID : KF_ACT_HSIGMOID);
        assert_true(gb_has_source(gate, "fc1") && gb_has_source(gate, "fc2") && gb_has_source(gate, "pool"));
        assert_int_equal(gb_count(g, KF_OP_SCALE), 1);
        kf__graph_destroy(&g);
    }
}

static void test_gate_of_another_tensor_is_no_se(void **state) {
    (void)state;
    kf__graph *g = gb_new();
    kf__vid x = gb_input(g, "x", S(1, 4, 3, 3)), other = NODE(g, NEG, "neg", x);
    kf__vid y = squeeze_excite(g, x, false, 1.0f / 6.0f);
    gb_last(g)->in[0] = other;
    gb_output(g, y);
    optimize_and_compare(g, KF_OPTIMIZE_FUSE, 36);
    assert_int_equal(gb_count(g, KF_OP_SE_GATE), 0);
    kf__graph_destroy(&g);
}

/* ---- fusion ------------------------------------------------------------------------------------------------------ */

static void test_residual_and_post_act(void **state) {
    (void)state;
    kf__graph *g = gb_new();
    kf__vid a = gb_conv(g, "first", gb_input(g, "x", S(1, 2, 3, 3)), gb_random(g, S(2, 2, 1, 1)), -1, 1, 0, 1);
    kf__vid b =
        NODE(g, RELU, "inner", gb_conv(g, "second", a, gb_random(g, S(2, 2, 3, 3)), gb_random(g, S(2)), 1, 1, 1));
    gb_output(g, NODE(g, RELU, "outer", NODE(g, ADD, "sum", a, b)));
    optimize_and_compare(g, KF_OPTIMIZE_FUSE, 18);
    assert_int_equal(g->n_nodes, 2);
    const kf__node *n = gb_last(g);
    assert_string_equal(n->name, "second");
    assert_int_equal(n->n_in, 4);
    assert_int_equal(n->attrs.act.kind, KF_ACT_CLIP);
    assert_int_equal(n->attrs.post_act.kind, KF_ACT_CLIP);
    assert_true(gb_has_source(n, "inner") && gb_has_source(n, "sum") && gb_has_source(n, "outer"));
    kf__graph_destroy(&g);
}

static void test_two_readers_block_fusion(void **state) {
    (void)state;
    kf__graph *g = gb_new();
    kf__vid c = gb_conv(g, "conv", gb_input(g, "x", S(1, 2, 3, 3)), gb_random(g, S(2, 2, 1, 1)), -1, 1, 0, 1);
    gb_output(g, NODE(g, ADD, "sum", c, NODE(g, RELU, "relu", c)));
    optimize_and_compare(g, KF_OPTIMIZE_FUSE, 18);
    assert_int_equal(gb_find(g, KF_OP_CONV)->attrs.act.kind, KF_ACT_NONE);
    assert_int_equal(gb_count(g, KF_OP_ADD), 1);
    kf__graph_destroy(&g);
}

static void test_settles(void **state) {
    (void)state;
    kf__graph *g = gb_new();
    gb_output(g, squeeze_excite(g, spell(g, gb_input(g, "x", S(1, 4, 3, 3)), 3), true, 0.2f));
    optimize(g, KF_OPTIMIZE_FUSE);
    kf__strbuf one = {0}, two = {0};
    kf__graph_dump(g, &one);
    optimize(g, KF_OPTIMIZE_FUSE);
    kf__graph_dump(g, &two);
    assert_string_equal(one.data, two.data);
    kf__strbuf_free(&one);
    kf__strbuf_free(&two);
    kf__graph_destroy(&g);
}

static void test_counts(void **state) {
    (void)state;
    kf__graph *g = gb_new();
    gb_output(g, squeeze_excite(g,
                                gb_conv(g, "conv", gb_input(g, "x", S(1, 3, 4, 4)), gb_random(g, S(4, 3, 3, 3)),
                                        gb_random(g, S(4)), 1, 1, 1),
                                false, 0.2f));
    for (int round = 0; round < 2; round++) { /* before and after fusion alike */
        int64_t macs, params, acts;
        kf_error err = {0};
        if (round) optimize(g, KF_OPTIMIZE_FUSE);
        gb_ok(kf__graph_infer(g, &err), &err);
        gb_ok(kf__graph_count(g, &macs, &params, &acts, &err), &err);
        assert_int_equal(macs, 4 * 16 * 27 + 8 + 8);
        assert_int_equal(params, 4 * 27 + 4 + 8 + 2 + 8 + 4);
        assert_int_equal(acts, 4 * 16 + 2 + 4);
    }
    kf__graph_destroy(&g);
}

/* ---- random graphs: any rewrite that changes a number shows up here ---------------------------------------------- */

static kf__vid random_batch_norm(kf__graph *g, kf__vid x) {
    kf__vid y = NODE(g, BATCH_NORM, "bn", x, gb_random(g, S(4)), gb_random(g, S(4)), gb_random(g, S(4)),
                     gb_const(g, S(4), F(0.5f, 1, 2, 0.25f)));
    gb_last(g)->attrs.epsilon = 1e-3f;
    return y;
}

static kf__vid random_padded_conv(kf__graph *g, kf__vid x) {
    kf__vid p = NODE(g, PAD, "pad", x, gb_ints(g, I(0, 0, 1, 1, 0, 0, 1, 1), 8));
    return gb_conv(g, "padded", p, gb_random(g, S(4, 4, 3, 3)), -1, 1, 0, 1);
}

/** One more value of shape 1x4x6x6 from two that exist. */
static kf__vid random_step(kf__graph *g, kf__random *r, kf__vid a, kf__vid b) {
    float s = (float)kf__random_range(r, 0, 3);
    switch (kf__random_range(r, 0, 16)) {
    case 0: return gb_conv(g, "conv3", a, gb_random(g, S(4, 4, 3, 3)), gb_random(g, S(4)), 1, 1, 1);
    case 1: return gb_conv(g, "dw", a, gb_random(g, S(4, 1, 3, 3)), -1, 1, 1, 4);
    case 2: return gb_conv(g, "conv1", a, gb_random(g, S(4, 4, 1, 1)), -1, 1, 0, 1);
    case 3: return random_padded_conv(g, a);
    case 4: return random_batch_norm(g, a);
    case 5: return NODE(g, RELU, "relu", a);
    case 6: return spell(g, a, (int)kf__random_range(r, 0, 8));
    case 7: return hsigmoid_op(g, a, kf__random_range(r, 0, 1) ? 0.2f : 1.0f / 6.0f);
    case 8: return NODE(g, ADD, "add", a, b);
    case 9: return NODE(g, MUL, "mul", a, b);
    case 10: return NODE(g, ADD, "addc", a, gb_scalar(g, s));
    case 11: return NODE(g, MUL, "mulc", gb_scalar(g, s), a);
    case 12: return NODE(g, ADD, "bias", gb_random(g, S(1, 4, 1, 1)), a);
    case 13: return squeeze_excite(g, a, kf__random_range(r, 0, 1), 0.2f);
    case 14: return NODE(g, IDENTITY, "id", a);
    case 15: return relu6(g, a, (int)kf__random_range(r, 0, 3));
    default: return NODE(g, MUL, "silu", a, NODE(g, SIGMOID, "sig", a));
    }
}

static void test_random_graphs_keep_their_numbers(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        kf__graph *g = gb_new();
        kf__random r = {.state = seed};
        kf__vid made[16] = {gb_input(g, "x", S(1, 4, 6, 6))};
        int n = 1;
        for (int steps = (int)kf__random_range(&r, 3, 14); n <= steps;
             n++) /* mostly a chain, sometimes an older value */
            made[n] = random_step(g, &r, made[kf__random_range(&r, 0, 3) ? n - 1 : kf__random_range(&r, 0, n - 1)],
                                  made[kf__random_range(&r, 0, n - 1)]);
        gb_output(g, made[n - 1]);
        optimize_and_compare(g, KF_OPTIMIZE_FUSE, 4 * 36);
        kf__graph_destroy(&g);
    }
}

/* ---- affine maps ------------------------------------------------------------------------------------------------- */

/** x of 1x4x6x6 through conv, the maps, and a convolution with padding; `maps` uses one letter for each node. */
static kf__graph *with_maps(const char *maps, int pad) {
    kf__graph *g = gb_new();
    kf__vid v = gb_conv(g, "first", gb_input(g, "x", S(1, 4, 6, 6)), gb_random(g, S(4, 4, 3, 3)), -1, 1, 1, 1);
    kf__vid by_channel[4];
    for (int i = 0; i < 4; i++) by_channel[i] = gb_random(g, S(4, 1, 1));
    for (const char *m = maps; *m; m++) {
        switch (*m) {
        case '*': v = NODE(g, MUL, "mul", v, by_channel[0]); break;
        case '+': v = NODE(g, ADD, "add", by_channel[1], v); break;
        case '-': v = NODE(g, SUB, "sub", by_channel[2], v); break;
        case '/': v = NODE(g, DIV, "div", v, gb_const(g, S(1, 4, 1, 1), F(2, 0.5f, -3, 1))); break;
        case '2': v = NODE(g, MUL, "twice", gb_scalar(g, 2), v); break;
        case 'n': v = NODE(g, NEG, "neg", v); break;
        case 'b': v = random_batch_norm(g, v); break;
        default: v = NODE(g, RELU, "relu", v); break;
        }
    }
    gb_output(g, gb_conv(g, "last", v, gb_random(g, S(4, 4, 3, 3)), -1, 1, pad, 1));
    return g;
}

static void test_affine_maps(void **state) {
    (void)state;
    static const struct {
        const char *maps;
        int pad;
        size_t convs;
    } CASES[] = {{"*", 1, 2},        {"+", 1, 2},   {"-", 1, 2},     {"/", 1, 2},     {"n", 1, 2},
                 {"*+-/2n*+", 1, 2}, {"*b+", 1, 2}, {"b*", 1, 2},    {"b", 1, 2},     {"bb", 1, 2},
                 {"r2", 1, 2},       {"r*+", 0, 2}, {"r*+", 1, 3},   {"r+", 1, 3},    {"r*", 1, 2},
                 {"rb", 1, 3},       {"rb*", 1, 3}, {"r*r/r", 1, 4}, {"r*b+b", 1, 3}, {"r2+", 0, 2}};
    for (size_t i = 0; i < KF_COUNT(CASES); i++) {
        kf__graph *g = with_maps(CASES[i].maps, CASES[i].pad);
        optimize_and_compare(g, KF_OPTIMIZE_FUSE, CASES[i].pad ? 144 : 64);
        if (gb_count(g, KF_OP_CONV) != CASES[i].convs || g->n_nodes != CASES[i].convs)
            fail_msg("%s, padding %d: %zu nodes", CASES[i].maps, CASES[i].pad, g->n_nodes);
        optimize(g, KF_OPTIMIZE_FUSE); /* nothing more to do */
        assert_int_equal(g->n_nodes, CASES[i].convs);
        kf__graph_destroy(&g);
    }
}

/** A batch norm alone stays what it was before there was a form for maps, to the bit. */
static void test_lone_batch_norms_do_not_move(void **state) {
    (void)state;
    kf__graph *g = with_maps("rb", 0);
    optimize_and_compare(g, KF_OPTIMIZE_FUSE, 64);
    assert_int_equal(gb_count(g, KF_OP_CONV), 3);
    kf__graph_destroy(&g);
}

static void test_two_readers_keep_the_map(void **state) {
    (void)state;
    kf__graph *g = gb_new();
    kf__vid c = gb_conv(g, "conv", gb_input(g, "x", S(1, 4, 6, 6)), gb_random(g, S(4, 4, 3, 3)), -1, 1, 1, 1);
    kf__vid m = NODE(g, MUL, "map", c, gb_random(g, S(4, 1, 1)));
    gb_output(g, NODE(g, ADD, "sum", m, gb_conv(g, "next", c, gb_random(g, S(4, 4, 1, 1)), -1, 1, 0, 1)));
    optimize_and_compare(g, KF_OPTIMIZE_FUSE, 144);
    assert_int_equal(gb_count(g, KF_OP_CONV), 3);
    kf__graph_destroy(&g);
}

/** The cost of a long chain grows as its length does, not as its square. */
static void test_long_chain_of_maps(void **state) {
    (void)state;
    uint64_t looks[2];
    for (int round = 0; round < 2; round++) {
        char maps[4001] = {0};
        memset(maps, '+', round ? 4000 : 2000);
        kf__graph *g = with_maps(maps, 1);
        uint64_t before = kf__graph_looks;
        optimize(g, KF_OPTIMIZE_FUSE);
        looks[round] = kf__graph_looks - before;
        assert_int_equal(g->n_nodes, 2);
        kf__graph_destroy(&g);
    }
    assert_true(looks[1] < 3 * looks[0]);
}

/** Vectors and three ranks run through views; a division by 0 and a constant by pixel stay what they are. */
static void test_maps_of_vectors(void **state) {
    (void)state;
    kf__graph *g = gb_new();
    kf__vid v = NODE(g, ADD, "add", gb_input(g, "x", S(1, 4)), gb_random(g, S(4)));
    gb_output(g, NODE(g, DIV, "div", v, gb_scalar(g, 3)));
    optimize_and_compare(g, KF_OPTIMIZE_FUSE, 4);
    assert_int_equal(gb_count(g, KF_OP_CONV), 1);
    kf__graph_destroy(&g);
    for (int i = 0; i < 2; i++) {
        g = gb_new();
        kf__vid x = gb_input(g, "x", S(1, 4, 6, 6));
        gb_output(g, i ? NODE(g, DIV, "div", x, gb_scalar(g, 0)) : NODE(g, DIV, "div", x, gb_random(g, S(6, 6))));
        optimize(g, KF_OPTIMIZE_FUSE);
        assert_int_equal(gb_count(g, KF_OP_DIV), 1);
        kf__graph_destroy(&g);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_graphs_keep_their_numbers),
        cmocka_unit_test(test_affine_maps),
        cmocka_unit_test(test_lone_batch_norms_do_not_move),
        cmocka_unit_test(test_two_readers_keep_the_map),
        cmocka_unit_test(test_long_chain_of_maps),
        cmocka_unit_test(test_maps_of_vectors),
        cmocka_unit_test(test_hswish_spellings),
        cmocka_unit_test(test_slope_one_fifth_is_no_hswish),
        cmocka_unit_test(test_wrong_constants_stay),
        cmocka_unit_test(test_silu),
        cmocka_unit_test(test_batch_norm_order),
        cmocka_unit_test(test_lone_batch_norm),
        cmocka_unit_test(test_shape_subgraph_vanishes),
        cmocka_unit_test(test_identity_keeps_output_name),
        cmocka_unit_test(test_identity_of_input_to_output_stays),
        cmocka_unit_test(test_pads),
        cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_huge_fold_is_refused),
        cmocka_unit_test(test_reduce_mean),
        cmocka_unit_test(test_fully_connected),
        cmocka_unit_test(test_head_convolution),
        cmocka_unit_test(test_squeeze_excite),
        cmocka_unit_test(test_gate_of_another_tensor_is_no_se),
        cmocka_unit_test(test_residual_and_post_act),
        cmocka_unit_test(test_two_readers_block_fusion),
        cmocka_unit_test(test_settles),
        cmocka_unit_test(test_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
