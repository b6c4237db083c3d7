/* Turned axes and dealt channels on graphs small enough to read: what cancels, what goes into weights, what must stay,
 * and that the numbers are the same. Links libkitfoxc.
 * Owner rule: each test destroys its graph. */
#include "graph_builder.h"

#include "passes/passes.h"
#include "ref/ref.h"

static size_t count_of(const kf__shape *s) {
    size_t n = 0;
    assert_true(kf__shape_count(s, &n));
    return n;
}

/* The first output for a ramp, in *n numbers that the caller frees. */
static float *run(const kf__graph *g, size_t *n) {
    const kf__shape shape = kf__value_declared(&g->values[g->inputs[0]]);
    size_t n_in = count_of(&shape);
    float *x = test_malloc(n_in * sizeof *x);
    for (size_t i = 0; i < n_in; i++) x[i] = (float)((int)(i * 37 % 101) - 50) / 20.0f;
    kf__arena arena;
    kf_error err = {0};
    kf__arena_init(&arena, NULL);
    kf__dense in = {.dtype = KF_F32, .shape = shape, .data = x}, out;
    gb_ok(kf__ref_run(g, &in, 1, &out, 1, NULL, NULL, &arena, &err), &err);
    *n = count_of(&out.shape);
    float *y = test_malloc((*n + 1) * sizeof *y);
    memcpy(y, out.data, *n * sizeof *y);
    kf__arena_free(&arena);
    test_free(x);
    return y;
}

static int count(const kf__graph *g, kf__op op) {
    int n = 0;
    for (size_t i = 0; i < g->n_nodes; i++) n += !g->nodes[i].dead && g->nodes[i].op == op;
    return n;
}

/* Optimizes; the result is the same, and so many of `op` remain. */
static void same_with(kf__graph *g, kf__op op, int left) {
    kf_error err = {0};
    size_t n, m;
    float top = 1;
    gb_ok(kf__graph_infer(g, &err), &err);
    float *a = run(g, &n);
    gb_ok(kf__passes_run(g, KF_OPTIMIZE_SIMPLIFY, &err), &err);
    gb_ok(kf__graph_verify(g, &err), &err);
    float *b = run(g, &m);
    assert_int_equal(n, m);
    for (size_t i = 0; i < n; i++) top = fmaxf(top, fabsf(a[i]));
    for (size_t i = 0; i < n; i++)
        if (fabsf(a[i] - b[i]) > 1e-5f * top) fail_msg("element %zu: %g became %g", i, (double)a[i], (double)b[i]);
    if (count(g, op) != left) fail_msg("%d nodes %s remain; %d should", count(g, op), kf__op_name(op), left);
    test_free(a);
    test_free(b);
    kf__graph_destroy(&g);
}

static kf__vid turn(kf__graph *g, kf__vid x, int n, const int64_t *axes) {
    kf__vid v = NODE(g, TRANSPOSE, "turn", x);
    gb_last(g)->attrs.n_axes = n;
    memcpy(gb_last(g)->attrs.axes, axes, (size_t)n * sizeof *axes);
    return v;
}

static kf__vid nchw(kf__graph *g, kf__vid x) { return turn(g, x, 4, I(0, 3, 1, 2)); }
static kf__vid nhwc(kf__graph *g, kf__vid x) { return turn(g, x, 4, I(0, 2, 3, 1)); }

static kf__vid conv(kf__graph *g, kf__vid x, int64_t in, int64_t out, int32_t group) {
    kf__vid v = NODE(g, CONV, "conv", x, gb_random(g, S(out, in / group, 1, 1)), gb_random(g, S(out)));
    gb_last(g)->attrs.window = (kf__window)KF_WINDOW_ONE;
    gb_last(g)->attrs.window.group = group;
    return v;
}

static kf__vid gather(kf__graph *g, kf__vid x, int32_t axis, const int64_t *list, int64_t n) {
    kf__vid v = NODE(g, GATHER, "gather", x, gb_ints(g, list, n));
    gb_last(g)->attrs.axis = axis;
    return v;
}

static void test_elements_between_turns(void **state) {
    (void)state;
    for (int form = 0; form < 4; form++) {
        kf__graph *g = gb_new();
        kf__vid x = nhwc(g, conv(g, gb_input(g, "x", S(1, 3, 4, 5)), 3, 6, 1)), y = NODE(g, RELU, "relu", x);
        if (form == 1) y = NODE(g, MUL, "mul", y, gb_random(g, S(6)));
        if (form == 2) y = NODE(g, SUB, "sub", gb_random(g, S(1, 4, 1, 6)), y);
        if (form == 3) y = NODE(g, MUL, "both", NODE(g, SIGMOID, "s", y), x);
        gb_output(g, conv(g, nchw(g, y), 6, 2, 1));
        same_with(g, KF_OP_TRANSPOSE, 0);
    }
}

/* The other operand of the sum is not turned, so the turn must stay before it. */
static void test_half_turned_sum_stays(void **state) {
    (void)state;
    kf__graph *g = gb_new();
    kf__vid x = gb_input(g, "x", S(1, 4, 4, 4));
    gb_output(g, NODE(g, ADD, "add", nhwc(g, x), NODE(g, RELU, "relu", x)));
    same_with(g, KF_OP_TRANSPOSE, 1);
}

static void test_mean_and_concat(void **state) {
    (void)state;
    for (int keep = 0; keep < 2; keep++) {
        kf__graph *g = gb_new();
        kf__vid x = nhwc(g, gb_input(g, "x", S(1, 3, 4, 5))), n = NODE(g, NEG, "n", x);
        kf__vid both = NODE(g, CONCAT, "concat", x, n);
        gb_last(g)->attrs.axis = -1;
        kf__vid mean = NODE(g, REDUCE_MEAN, "mean", both);
        kf__attrs *a = &gb_last(g)->attrs;
        a->keepdims = keep, a->n_axes = 2, a->axes[0] = 1, a->axes[1] = -2;
        gb_output(g, mean);
        same_with(g, KF_OP_TRANSPOSE, keep); /* [1, 1, 1, 6] is still what the output declares */
    }
}

static void test_flat_weights_are_renumbered(void **state) {
    (void)state;
    kf__graph *g = gb_new();
    kf__vid flat = NODE(g, FLATTEN, "flat", nhwc(g, gb_input(g, "x", S(1, 3, 4, 5))));
    gb_last(g)->attrs.axis = 1;
    gb_output(g, NODE(g, MATMUL, "mm", flat, gb_random(g, S(60, 7))));
    same_with(g, KF_OP_TRANSPOSE, 0);
}

static void test_declared_input(void **state) {
    (void)state;
    kf__graph *g = gb_new();
    kf_error err = {0};
    kf__vid x = NODE(g, MUL, "scale", gb_input(g, "x", S(1, 4, 5, 3)), gb_random(g, S(3)));
    gb_output(g, conv(g, nchw(g, x), 3, 6, 1));
    gb_ok(kf__inputs_declare(g, &err), &err);
    const kf__value *v = &g->values[g->inputs[0]];
    assert_true(v->nhwc);
    assert_int_equal(v->shape.dim[1], 3);
    assert_int_equal(kf__value_declared(v).dim[3], 3);
    assert_string_equal(v->name, "x");
    same_with(g, KF_OP_TRANSPOSE, 0);
    g = gb_new(); /* a turn of something else is no layout */
    gb_output(g, conv(g, turn(g, gb_input(g, "x", S(1, 3, 4, 5)), 4, I(0, 1, 3, 2)), 3, 6, 1));
    gb_ok(kf__inputs_declare(g, &err), &err);
    assert_false(g->values[g->inputs[0]].nhwc);
    same_with(g, KF_OP_TRANSPOSE, 1);
}

static void test_channels_go_into_weights(void **state) {
    (void)state;
    const int64_t turned[3] = {2, 0, 1};
    for (int form = 0; form < 4; form++) {
        kf__graph *g = gb_new();
        kf__vid x = gather(g, gb_input(g, "x", S(1, 3, 4, 4)), 1, turned, 3);
        if (form == 1) x = NODE(g, ADD, "add", gb_random(g, S(3, 1, 1)), x);
        if (form == 2) x = conv(g, x, 3, 6, 3); /* two filters for each channel */
        if (form == 3) x = NODE(g, RELU, "relu", conv(g, x, 3, 3, 3));
        gb_output(g, conv(g, x, form == 2 ? 6 : 3, 4, 1));
        same_with(g, KF_OP_GATHER, 0);
    }
}

/* Not every channel once, another axis, or several groups: nothing is folded. */
static void test_no_order_of_channels_stays(void **state) {
    (void)state;
    for (int form = 0; form < 3; form++) {
        kf__graph *g = gb_new();
        const int64_t list[4] = {3, form == 0 ? 3 : 2, 1, 0};
        kf__vid x = gather(g, gb_input(g, "x", S(1, 4, 4, 4)), form == 1 ? 2 : 1, list, 4);
        gb_output(g, conv(g, x, 4, 4, form == 2 ? 2 : 1));
        same_with(g, KF_OP_GATHER, 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_elements_between_turns),
                                       cmocka_unit_test(test_half_turned_sum_stays),
                                       cmocka_unit_test(test_mean_and_concat),
                                       cmocka_unit_test(test_flat_weights_are_renumbered),
                                       cmocka_unit_test(test_declared_input),
                                       cmocka_unit_test(test_channels_go_into_weights),
                                       cmocka_unit_test(test_no_order_of_channels_stays)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
