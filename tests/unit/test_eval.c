/* Evaluators at the edges of their types: casts out of range, pads and slices beyond any real extent. Reference: the
 * values follow from the types' ranges; ONNX leaves such casts open, C leaves them undefined.
 * Owner rule: one arena a test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>

#include "graph/graph.h"

static void test_cast_saturates(void **state) {
    (void)state;
    float x[] = {-1.8f, 300.0f, NAN, INFINITY, -INFINITY, 7.9f};
    const uint8_t u8[] = {0, 255, 0, 255, 0, 7};
    kf__arena a;
    kf__arena_init(&a, NULL);
    kf__dense in = {KF_F32, kf__shape_make(1, (int64_t[]){6}), x}, out;
    const kf__dense *ins[] = {&in};
    kf__node n = {.op = KF_OP_CAST, .name = "cast", .n_in = 1, .n_out = 1, .attrs = {.to = KF_U8}};
    assert_int_equal(kf__eval_node(&n, ins, 1, &out, 1, &a, NULL), KF_OK);
    assert_memory_equal(out.data, u8, sizeof u8);
    n.attrs.to = KF_I64;
    assert_int_equal(kf__eval_node(&n, ins, 1, &out, 1, &a, NULL), KF_OK);
    assert_true(((int64_t *)out.data)[3] == INT64_MAX && ((int64_t *)out.data)[4] == INT64_MIN &&
                ((int64_t *)out.data)[0] == -1);
    kf__arena_free(&a);
}

/* The fuzzer's find: pads whose sum does not fit into i64 are an error with a reason, not an overflow. */
static void test_huge_pads_are_refused(void **state) {
    (void)state;
    float x[4] = {0};
    kf__arena a;
    kf_error err = {0};
    kf__arena_init(&a, NULL);
    int64_t pads[] = {INT64_MAX - 5, INT64_MAX / 2};
    kf__dense in = {KF_F32, kf__shape_make(1, (int64_t[]){4}), x},
              p = {KF_I64, kf__shape_make(1, (int64_t[]){2}), pads}, out;
    const kf__dense *ins[] = {&in, &p};
    kf__node n = {.op = KF_OP_PAD, .name = "pad", .n_in = 2, .n_out = 1};
    assert_int_equal(kf__eval_node(&n, ins, 2, &out, 1, &a, &err), KF_ERR_LIMIT);
    assert_true(err.text[0] != '\0');
    kf__arena_free(&a);
}

/* A file may leave a part of a Split without a name: nothing is written for it, not even beside the values. */
static void test_split_without_its_first_part(void **state) {
    (void)state;
    kf_error err = {0};
    kf__value values[3] = {{.shape = {.rank = 77}},
                           {.name = "x", .dtype = KF_F32, .shape = kf__shape_make(1, (int64_t[]){5}), .producer = -1},
                           {.name = "rest", .shape = {.rank = -1}}};
    kf__vid in[] = {0}, out[] = {KF_NO_VALUE, 1};
    kf__node n = {.op = KF_OP_SPLIT, .name = "split", .n_in = 1, .n_out = 2, .in = in, .out = out};
    n.attrs.num_outputs = 2;
    kf__graph g = {.nodes = &n, .n_nodes = 1, .values = values + 1, .n_values = 2};
    assert_int_equal(kf__graph_infer(&g, &err), KF_OK);
    assert_int_equal(values[0].shape.rank, 77);
    assert_int_equal(values[2].shape.rank, 1);
    assert_int_equal(values[2].shape.dim[0], 2);
}

/* "To the end" is written as INT64_MAX by exporters; it must still mean that. */
static void test_slice_to_the_end(void **state) {
    (void)state;
    float x[] = {1, 2, 3, 4};
    kf__arena a;
    kf__arena_init(&a, NULL);
    int64_t start = 1, end = INT64_MAX;
    kf__dense in = {KF_F32, kf__shape_make(1, (int64_t[]){4}), x},
              s = {KF_I64, kf__shape_make(1, (int64_t[]){1}), &start},
              e = {KF_I64, kf__shape_make(1, (int64_t[]){1}), &end}, out;
    const kf__dense *ins[] = {&in, &s, &e};
    kf__node n = {.op = KF_OP_SLICE, .name = "slice", .n_in = 3, .n_out = 1};
    assert_int_equal(kf__eval_node(&n, ins, 3, &out, 1, &a, NULL), KF_OK);
    assert_int_equal(out.shape.dim[0], 3);
    assert_memory_equal(out.data, x + 1, 3 * sizeof *x);
    kf__arena_free(&a);
}

/* ONNX: min(max(x, lo), hi), so the upper bound wins when they cross. */
static void test_clip_with_crossed_bounds(void **state) {
    (void)state;
    float x[] = {-5, 0, 5};
    kf__arena a;
    kf__arena_init(&a, NULL);
    kf__dense in = {KF_F32, kf__shape_make(1, (int64_t[]){3}), x}, out;
    const kf__dense *ins[] = {&in};
    kf__node n = {.op = KF_OP_CLIP, .name = "clip", .n_in = 1, .n_out = 1, .attrs = {.act = {KF_ACT_CLIP, 3, -1}}};
    assert_int_equal(kf__eval_node(&n, ins, 1, &out, 1, &a, NULL), KF_OK);
    for (int i = 0; i < 3; i++) assert_true(((float *)out.data)[i] == -1);
    kf__arena_free(&a);
}

static void test_softmax_axis_out_of_range(void **state) {
    (void)state;
    float x[] = {1, 2};
    kf__arena a;
    kf__arena_init(&a, NULL);
    kf__dense in = {KF_F32, kf__shape_make(1, (int64_t[]){2}), x}, out;
    const kf__dense *ins[] = {&in};
    kf__node n = {.op = KF_OP_SOFTMAX, .name = "softmax", .n_in = 1, .n_out = 1, .attrs = {.axis = 5}};
    assert_int_equal(kf__eval_node(&n, ins, 1, &out, 1, &a, NULL), KF_ERR_SHAPE);
    kf__arena_free(&a);
}

static kf_status linear(kf__op op, int32_t axis, const kf__dense *x, const kf__dense *s, const kf__dense *z,
                        kf__dense *out, kf__arena *a) {
    const kf__dense *ins[] = {x, s, z};
    kf__node n = {.op = op, .name = "linear", .n_in = 3, .n_out = 1, .attrs = {.axis = axis}};
    kf_error err = {0};
    kf_status st = kf__eval_node(&n, ins, 3, out, 1, a, &err);
    assert_int_equal(st != KF_OK, err.text[0] != 0);
    return st;
}

/* The examples of the ONNX operator pages: one scale, ties to even, saturation; then a scale for each channel. */
static void test_quantize_and_dequantize_linear(void **state) {
    (void)state;
    float x[] = {0, 2, 3, 1000, -254, -1000}, two = 2, per_channel[] = {2, 4, 5};
    uint8_t z128 = 128, want[] = {128, 129, 130, 255, 1, 0}, zeros[] = {84, 24, 196};
    float image[] = {-162, 10, -100, 232, -20, -50, -76, 0, 0, 252, 32, -44, 245, -485, -960, -270, -375, -470};
    uint8_t stored[] = {3, 89, 34, 200, 74, 59, 5, 24, 24, 87, 32, 13, 245, 99, 4, 142, 121, 102};
    kf__arena a;
    kf__arena_init(&a, NULL);
    kf__dense in = {KF_F32, kf__shape_make(1, (int64_t[]){6}), x}, s = {KF_F32, {0}, &two}, z = {KF_U8, {0}, &z128},
              out;
    assert_int_equal(linear(KF_OP_QUANTIZE, 1, &in, &s, &z, &out, &a), KF_OK);
    assert_int_equal(out.dtype, KF_U8);
    assert_memory_equal(out.data, want, sizeof want);
    in = (kf__dense){KF_F32, kf__shape_make(4, (int64_t[]){1, 3, 3, 2}), image};
    s = (kf__dense){KF_F32, kf__shape_make(1, (int64_t[]){3}), per_channel},
    z = (kf__dense){KF_U8, kf__shape_make(1, (int64_t[]){3}), zeros};
    assert_int_equal(linear(KF_OP_QUANTIZE, 1, &in, &s, &z, &out, &a), KF_OK);
    assert_memory_equal(out.data, stored, sizeof stored);
    kf__dense q = {KF_U8, in.shape, stored};
    assert_int_equal(linear(KF_OP_DEQUANTIZE, -3, &q, &s, &z, &out, &a), KF_OK);
    for (int i = 0; i < 18; i++)
        assert_true(((float *)out.data)[i] == (float)(stored[i] - zeros[i / 6]) * per_channel[i / 6]);
    assert_int_equal(linear(KF_OP_QUANTIZE, 3, &in, &s, &z, &out, &a),
                     KF_ERR_SHAPE); /* three scales for an axis of two */
    z.dtype = KF_F32;
    assert_int_equal(linear(KF_OP_DEQUANTIZE, 1, &q, &s, &z, &out, &a), KF_ERR_SHAPE);
    kf__arena_free(&a);
}

/* Operators that only passes make are held to their operands too: a rank, an extent or a type that does not fit. */
static void test_operands_of_fused_operators(void **state) {
    (void)state;
    static float data[256];
    enum { MOST = 5 };
    const struct {
        kf__op op;
        int n_in;
        kf__shape in[MOST];
    } rows[] = {
        {KF_OP_FC, 3, {{2, {2, 3}}, {2, {4, 3}}, {1, {4}}}},
        {KF_OP_SE_GATE, 5, {{4, {2, 6, 3, 3}}, {2, {2, 6}}, {1, {2}}, {2, {6, 2}}, {1, {6}}}},
        {KF_OP_SCALE, 2, {{4, {2, 6, 3, 3}}, {4, {2, 6, 1, 1}}}},
    };
    for (size_t r = 0; r < KF_COUNT(rows); r++)
        for (int wrong = -1; wrong < 4 * rows[r].n_in; wrong++) {
            kf__dense in[MOST], out = {0};
            const kf__dense *ins[MOST];
            kf_error err = {0};
            kf__arena a;
            kf__arena_init(&a, NULL);
            for (int k = 0; k < rows[r].n_in; k++) in[k] = (kf__dense){KF_F32, rows[r].in[k], data}, ins[k] = &in[k];
            kf__dense *x = &in[wrong < 0 ? 0 : wrong / 4];
            if (wrong >= 0 && wrong % 4 == 0) x->shape.dim[x->shape.rank++] = 1;
            if (wrong >= 0 && wrong % 4 == 1) x->shape.dim[x->shape.rank > 1]++;
            if (wrong >= 0 && wrong % 4 == 2) x->shape.dim[x->shape.rank > 1]--;
            if (wrong >= 0 && wrong % 4 == 3) x->dtype = KF_I64;
            kf__node n = {.op = rows[r].op, .name = "fused", .n_in = rows[r].n_in, .n_out = 1};
            kf_status st = kf__eval_node(&n, ins, n.n_in, &out, 1, &a, &err);
            assert_int_equal(st, wrong < 0 ? KF_OK : KF_ERR_SHAPE);
            assert_true(wrong < 0 || strstr(err.text, "fused ("));
            kf__arena_free(&a);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cast_saturates),
        cmocka_unit_test(test_huge_pads_are_refused),
        cmocka_unit_test(test_split_without_its_first_part),
        cmocka_unit_test(test_slice_to_the_end),
        cmocka_unit_test(test_clip_with_crossed_bounds),
        cmocka_unit_test(test_softmax_axis_out_of_range),
        cmocka_unit_test(test_quantize_and_dequantize_linear),
        cmocka_unit_test(test_operands_of_fused_operators),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
