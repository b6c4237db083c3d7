/* The ONNX reader on small hand-made models: hostile nesting, training forms, old and new spellings of one operator.
 * Reference: the ONNX operator pages; expected numbers follow from them by hand.
 * Owner rule: each test destroys what it imports. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kitfox/compile.h"
#include "onnx_builder.h"

/* Finish a graph whose input x has the extents `dim` and whose output is y, and import it. */
static kf_status import(buf *graph, int opset, const int64_t *dim, kf_graph **g, kf_error *err) {
    buf m = {0}, set = {0};
    value(graph, 11, "x", 4, dim);
    value(graph, 12, "y", 0, NULL);
    num(&set, 2, (uint64_t)opset);
    num(&m, 1, 8);
    put(&m, 7, graph);
    put(&m, 8, &set);
    kf_status st = kf_graph_import_onnx_memory(m.data, m.len, NULL, g, err);
    kf__strbuf_free(&m);
    return st;
}

static void run(kf_graph *g, float *x, float *y, size_t n) {
    kf_error err = {0};
    kf_tensor in, out;
    assert_int_equal(kf_graph_input(g, 0, &in, &err), KF_OK);
    assert_int_equal(kf_graph_output(g, 0, &out, &err), KF_OK);
    assert_int_equal(out.bytes, n * sizeof *y);
    in.data = x;
    out.data = y;
    assert_int_equal(kf_graph_run_reference(g, &in, 1, &out, 1, &err), KF_OK);
    kf_graph_destroy(&g);
}

/* Each layer is wrapped by a graph, a node and an attribute; heads are written backwards, innermost first. */
static void test_nesting_is_bounded_in_every_kind_of_graph(void **state) {
    (void)state;
    enum { LAYERS = 20000, ROOM = 1 << 20 };
    static const int PATHS[][3] = {{7, 0}, {20, 1}, {20, 2}, {25, 7, 5}}; /* graph, training graphs, function's node */
    for (size_t path = 0; path < KF_COUNT(PATHS); path++) {
        uint8_t *data = malloc(ROOM);
        assert_non_null(data);
        size_t at = ROOM;
        int fields[LAYERS * 3 + 4], n = 0;
        fields[n++] = PATHS[path][0];
        for (int k = 1; k < 3 && PATHS[path][k]; k++) fields[n++] = PATHS[path][k];
        if (path == 3) fields[n++] = 6;
        for (int i = 0; i < LAYERS; i++) fields[n++] = 1, fields[n++] = 5, fields[n++] = 6;
        while (n-- > 0) {
            buf head = {0};
            varint(&head, (uint64_t)fields[n] << 3 | 2);
            varint(&head, ROOM - at);
            at -= head.len;
            memcpy(data + at, head.data, head.len);
            kf__strbuf_free(&head);
        }
        kf_graph *g;
        kf_error err = {0};
        assert_int_equal(kf_graph_import_onnx_memory(data + at, ROOM - at, NULL, &g, &err), KF_ERR_LIMIT);
        free(data);
    }
}

static const int64_t DIM[] = {1, 1, 2, 2}, ONE[] = {1};

static void test_training_batch_norm_is_refused(void **state) {
    (void)state;
    const float one[] = {1};
    for (int64_t mode = 0; mode < 2; mode++) {
        buf graph = {0}, n = node("BatchNormalization", "x s b m v", "y");
        ints(&n, "training_mode", 1, &mode);
        put(&graph, 1, &n);
        for (const char *p = "sbmv"; *p; p++) tensor(&graph, (char[]){*p, 0}, 1, 1, ONE, one, sizeof one);
        kf_graph *g;
        kf_error err = {0};
        assert_int_equal(import(&graph, 15, DIM, &g, &err), mode ? KF_ERR_UNSUPPORTED : KF_OK);
        assert_true(!mode || strstr(err.text, "training mode"));
        kf_graph_destroy(&g);
    }
}

static void test_training_dropout_is_refused(void **state) {
    (void)state;
    for (uint8_t mode = 0; mode < 2; mode++) {
        buf graph = {0}, n = node("Dropout", "x - t", "y");
        put(&graph, 1, &n);
        tensor(&graph, "t", 9, 0, NULL, &mode, 1);
        kf_graph *g;
        assert_int_equal(import(&graph, 13, DIM, &g, NULL), mode ? KF_ERR_UNSUPPORTED : KF_OK);
        kf_graph_destroy(&g);
    }
}

/* kernel_shape is optional; the weights' own shape counts, also when a node stands between. */
static void test_kernel_shape_through_identity(void **state) {
    (void)state;
    const float w[] = {1, 10, 100, 1000};
    float x[] = {1, 2, 3, 4}, y[1];
    buf graph = {0}, id = node("Identity", "k", "w"), conv = node("Conv", "x w", "y");
    put(&graph, 1, &id);
    put(&graph, 1, &conv);
    tensor(&graph, "k", 1, 4, DIM, w, sizeof w);
    kf_graph *g;
    assert_int_equal(import(&graph, 13, DIM, &g, NULL), KF_OK);
    run(g, x, y, 1);
    assert_true(y[0] == 4321);
}

/* A kernel larger than the picture is fine once SAME padding is added. */
static void test_same_padding_on_a_small_map(void **state) {
    (void)state;
    const float w[] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    float x[] = {1, 2, 3, 4}, y[4];
    buf graph = {0}, conv = node("Conv", "x w", "y"), a = {0};
    text(&a, 1, "auto_pad");
    text(&a, 4, "SAME_UPPER");
    num(&a, 20, 3);
    put(&conv, 5, &a);
    put(&graph, 1, &conv);
    tensor(&graph, "w", 1, 4, (const int64_t[]){1, 1, 3, 3}, w, sizeof w);
    kf_graph *g;
    assert_int_equal(import(&graph, 11, DIM, &g, NULL), KF_OK);
    run(g, x, y, 4);
    for (int i = 0; i < 4; i++) assert_true(y[i] == 10);
}

static void test_pad_axes(void **state) {
    (void)state;
    const int64_t pads[] = {1, 2}, axes[] = {-1};
    float x[] = {1, 2, 3, 4}, y[10];
    const float want[] = {0, 1, 2, 0, 0, 0, 3, 4, 0, 0};
    buf graph = {0}, n = node("Pad", "x p - a", "y");
    put(&graph, 1, &n);
    tensor(&graph, "p", 7, 1, (const int64_t[]){2}, pads, sizeof pads);
    tensor(&graph, "a", 7, 1, ONE, axes, sizeof axes);
    kf_graph *g;
    assert_int_equal(import(&graph, 18, DIM, &g, NULL), KF_OK);
    run(g, x, y, 10);
    assert_memory_equal(y, want, sizeof want);
}

static void test_old_softmax_over_several_axes_is_refused(void **state) {
    (void)state;
    for (int opset = 11; opset <= 13; opset += 2) {
        const int64_t axis = 1;
        buf graph = {0}, n = node("Softmax", "x", "y");
        ints(&n, "axis", 1, &axis);
        put(&graph, 1, &n);
        kf_graph *g;
        assert_int_equal(import(&graph, opset, DIM, &g, NULL), opset < 13 ? KF_ERR_UNSUPPORTED : KF_OK);
        kf_graph_destroy(&g);
    }
    const int64_t flat[] = {1, 5, 1, 1};
    buf graph = {0}, n = node("Softmax", "x", "y"); /* the default axis, 1: one axis in effect */
    put(&graph, 1, &n);
    kf_graph *g;
    assert_int_equal(import(&graph, 11, flat, &g, NULL), KF_OK);
    kf_graph_destroy(&g);
}

static void entry(buf *t, const char *key, const char *v) {
    buf e = {0};
    text(&e, 1, key);
    text(&e, 2, v);
    put(t, 13, &e);
}

/* y = x * w with w in another file; the import's status and words. */
static kf_status import_external(const char *location, const char *offset, kf_error *err) {
    buf graph = {0}, mul = node("Mul", "x w", "y"), t = {0}, m = {0}, set = {0};
    put(&graph, 1, &mul);
    for (int i = 0; i < 4; i++) num(&t, 1, (uint64_t)DIM[i]);
    num(&t, 2, 1);
    text(&t, 8, "w");
    entry(&t, "location", location);
    entry(&t, "offset", offset);
    entry(&t, "length", "16");
    num(&t, 14, 1);
    put(&graph, 5, &t);
    value(&graph, 11, "x", 4, DIM);
    value(&graph, 12, "y", 0, NULL);
    num(&set, 2, 13);
    num(&m, 1, 8);
    put(&m, 7, &graph);
    put(&m, 8, &set);
    FILE *f = fopen("external-test.onnx", "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(m.data, 1, m.len, f), m.len);
    fclose(f);
    kf__strbuf_free(&m);
    kf_graph *g;
    kf_status st = kf_graph_import("external-test.onnx", NULL, &g, err);
    kf_graph_destroy(&g);
    remove("external-test.onnx");
    return st;
}

/* The files exist, so only the rule stands between the model and them. */
static void test_external_data_stays_in_its_folder(void **state) {
    (void)state;
    static const struct {
        const char *location, *offset, *words;
        kf_status status;
    } CASES[] = {
        {"external-test.bin", "4", NULL, KF_OK},
        {"./external-test.bin", "0", NULL, KF_OK},
        {"external-test.bin", "5", "from offset 5", KF_ERR_FORMAT},
        {"external-test.bin", "-1", "not a number", KF_ERR_FORMAT},
        {"external-test.bin", "99999999999999999999", "not a number", KF_ERR_FORMAT},
        {"/etc/passwd", "0", "leaves the model's folder", KF_ERR_FORMAT},
        {"../../../../../../../../etc/passwd", "0", "leaves the model's folder", KF_ERR_FORMAT},
        {"a/../../external-test.bin", "0", "leaves the model's folder", KF_ERR_FORMAT},
        {"", "0", "leaves the model's folder", KF_ERR_FORMAT},
        {"external-missing.bin", "0", "cannot open", KF_ERR_IO},
    };
    FILE *f = fopen("external-test.bin", "wb");
    assert_non_null(f);
    assert_int_equal(fwrite("01234567890123456789", 1, 20, f), 20);
    fclose(f);
    for (size_t i = 0; i < KF_COUNT(CASES); i++) {
        kf_error err = {0};
        assert_int_equal(import_external(CASES[i].location, CASES[i].offset, &err), CASES[i].status);
        if (CASES[i].words) assert_non_null(strstr(err.text, CASES[i].words));
    }
    remove("external-test.bin");
}

/* y = op(x, k) with k one number; a convolution has it as its weight. */
static kf_status with_constant(const char *op, float k, kf_error *err) {
    static const int64_t SIDES[4] = {1, 1, 2, 2}, SINGLE[4] = {1, 1, 1, 1};
    buf graph = {0}, n = node(op, "x k", "y");
    kf_graph *g = NULL;
    tensor(&graph, "k", 1, strcmp(op, "Clip") == 0 ? 0 : 4, SINGLE, &k, sizeof k);
    put(&graph, 1, &n);
    kf_status st = import(&graph, 13, SIDES, &g, err);
    if (st == KF_OK) st = kf_graph_optimize(g, KF_OPTIMIZE_FUSE, err);
    kf_graph_destroy(&g);
    return st;
}

/* What checkpoints are refused for, files are too; bounds may be infinite. */
static void test_constants_are_numbers(void **state) {
    (void)state;
    static const char *const COMPUTES[] = {"Conv", "Add", "Sub", "Mul", "Div", "Pow"};
    static const char *const CHOOSES[] = {"Clip", "Min", "Max"};
    kf_error err = {0};
    for (size_t i = 0; i < KF_COUNT(COMPUTES); i++)
        for (int k = 0; k < 3; k++) {
            float x = k == 0 ? NAN : k == 1 ? INFINITY : -INFINITY;
            assert_int_equal(with_constant(COMPUTES[i], x, &err), KF_ERR_FORMAT);
            assert_non_null(strstr(err.text, "tensor k: element 0 is not a finite number"));
            assert_int_equal(with_constant(COMPUTES[i], 0.5f, &err), KF_OK);
        }
    for (size_t i = 0; i < KF_COUNT(CHOOSES); i++)
        if (with_constant(CHOOSES[i], -INFINITY, &err) != KF_OK) fail_msg("%s: %s", CHOOSES[i], err.text);
    assert_int_equal(with_constant("Clip", NAN, &err), KF_ERR_FORMAT);
}

/* Joining parts of a graph costs the parser the square of their number. */
static void test_a_graph_is_given_once(void **state) {
    (void)state;
    for (int parts = 1; parts <= 2; parts++) {
        static const int64_t SIDES[4] = {1, 1, 2, 2};
        buf graph = {0}, m = {0}, set = {0}, n = node("Relu", "x", "y");
        kf_graph *g = NULL;
        kf_error err = {0};
        put(&graph, 1, &n);
        value(&graph, 11, "x", 4, SIDES);
        if (parts == 2) put(&m, 7, &graph);
        value(&graph, 12, "y", 0, NULL);
        num(&set, 2, 13);
        put(&m, 7, &graph);
        put(&m, 8, &set);
        assert_int_equal(kf_graph_import_onnx_memory(m.data, m.len, NULL, &g, &err),
                         parts == 1 ? KF_OK : KF_ERR_FORMAT);
        kf_graph_destroy(&g);
        kf__strbuf_free(&m);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nesting_is_bounded_in_every_kind_of_graph),
        cmocka_unit_test(test_training_batch_norm_is_refused),
        cmocka_unit_test(test_training_dropout_is_refused),
        cmocka_unit_test(test_kernel_shape_through_identity),
        cmocka_unit_test(test_constants_are_numbers),
        cmocka_unit_test(test_a_graph_is_given_once),
        cmocka_unit_test(test_same_padding_on_a_small_map),
        cmocka_unit_test(test_pad_axes),
        cmocka_unit_test(test_external_data_stays_in_its_folder),
        cmocka_unit_test(test_old_softmax_over_several_axes_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
