/* The ONNX writer: what is written reads back as the same graph, and fused graphs compute what they did.
 * tests/cli/test_onnx_forms.py compares with onnx.checker and ONNX Runtime; this file compares bits.
 * Owner rule: each test destroys what it makes. */
#include "graph_builder.h"

#include <fenv.h>
#include <stdlib.h>

#include "import/onnx_reader.h"
#include "import/onnx_writer.h"
#include "os/file.h"
#include "passes/passes.h"
#include "quantized_graph.h"
#include "ref/ref.h"

static kf__graph *read_back(const kf__graph *g) {
    kf_error err = {0};
    void *data;
    size_t bytes;
    kf__graph *back;
    gb_ok(kf__onnx_write(g, &data, &bytes, &err), &err);
    gb_ok(kf__onnx_read(data, bytes, &(kf__onnx_options){0}, &back, &err), &err);
    free(data);
    return back;
}

static void same_value(const kf__graph *a, kf__vid va, const kf__graph *b, kf__vid vb) {
    assert_int_equal(va < 0, vb < 0);
    if (va < 0) return;
    const kf__value *x = &a->values[va], *y = &b->values[vb];
    assert_int_equal(x->dtype, y->dtype);
    assert_true(kf__shape_equal(&x->shape, &y->shape));
    assert_int_equal(x->data != NULL, y->data != NULL);
    if (!x->data) return;
    assert_int_equal(x->bytes, y->bytes);
    assert_memory_equal(x->data, y->data, x->bytes);
}

/* Node by node: operator, name, attributes, every constant. */
static void same_graph(const kf__graph *a, const kf__graph *b) {
    assert_int_equal(a->n_nodes, b->n_nodes);
    assert_int_equal(a->opset, b->opset);
    assert_int_equal(a->ir_version, b->ir_version);
    for (size_t i = 0; i < a->n_nodes; i++) {
        const kf__node *x = &a->nodes[i], *y = &b->nodes[i];
        assert_int_equal(x->op, y->op);
        assert_string_equal(x->name, y->name);
        assert_int_equal(x->n_in, y->n_in);
        assert_int_equal(x->n_out, y->n_out);
        assert_memory_equal(&x->attrs.window, &y->attrs.window, sizeof x->attrs.window);
        assert_int_equal(x->attrs.n_axes, y->attrs.n_axes);
        assert_memory_equal(x->attrs.axes, y->attrs.axes, sizeof x->attrs.axes);
        assert_true(x->attrs.alpha == y->attrs.alpha && x->attrs.beta == y->attrs.beta &&
                    x->attrs.epsilon == y->attrs.epsilon);
        assert_true(x->attrs.axis == y->attrs.axis && x->attrs.keepdims == y->attrs.keepdims);
        for (int k = 0; k < x->n_in; k++) same_value(a, x->in[k], b, y->in[k]);
        for (int k = 0; k < x->n_out; k++) same_value(a, x->out[k], b, y->out[k]);
    }
    for (size_t i = 0; i < a->n_inputs; i++)
        assert_string_equal(a->values[a->inputs[i]].name, b->values[b->inputs[i]].name);
    for (size_t i = 0; i < a->n_outputs; i++)
        assert_string_equal(a->values[a->outputs[i]].name, b->values[b->outputs[i]].name);
}

/* Output 0 for one fixed input, in `arena`. */
static kf__dense run(const kf__graph *g, kf__arena *arena) {
    kf_error err = {0};
    kf__dense in = {0}, out = {0};
    size_t n = 0;
    const kf__shape *s = &g->values[g->inputs[0]].shape;
    gb_ok(kf__ref_alloc(&in, KF_F32, s, arena, &err), &err);
    assert_true(kf__shape_count(s, &n));
    kf__random r = {.state = 11};
    for (size_t i = 0; i < n; i++) ((float *)in.data)[i] = (float)(kf__random_unit(&r) * 4 - 2);
    fesetround(FE_TONEAREST);
    gb_ok(kf__ref_run(g, &in, 1, &out, 1, NULL, NULL, arena, &err), &err);
    return out;
}

/* The largest difference of output 0 over its largest magnitude. */
static double relative_error(const kf__graph *a, const kf__graph *b) {
    kf__arena arena;
    kf__arena_init(&arena, NULL);
    kf__dense x = run(a, &arena), y = run(b, &arena);
    size_t n = 0;
    double worst = 0;
    float size = 0;
    assert_true(kf__shape_equal(&x.shape, &y.shape) && kf__shape_count(&x.shape, &n));
    for (size_t i = 0; i < n; i++) {
        double off = fabs((double)((float *)x.data)[i] - ((float *)y.data)[i]);
        if (off > worst) worst = off; /* not fmax, see eval_softmax */
        size = fmaxf(size, fabsf(((float *)x.data)[i]));
    }
    kf__arena_free(&arena);
    assert_true(size > 0);
    return worst / (double)size;
}

static kf__graph *everyday10(void) {
    kf_error err = {0};
    kf__file map;
    kf__graph *g;
    char path[1024];
    const char *root = getenv("KITFOX_SOURCE");
    snprintf(path, sizeof path, "%s/data/everyday10.onnx", root ? root : ".");
    gb_ok(kf__file_read(path, SIZE_MAX, &map, &err), &err);
    gb_ok(kf__onnx_read(map.data, map.size, &(kf__onnx_options){0}, &g, &err), &err);
    kf__file_free(&map);
    return g;
}

static void test_a_real_file_round_trips(void **state) {
    (void)state;
    kf__graph *g = everyday10(), *back = read_back(g), *again = read_back(back);
    same_graph(g, back);
    assert_true(relative_error(g, back) == 0);
    kf__strbuf first = {0}, second = {0}; /* ids settle after one trip */
    kf__graph_dump(back, &first);
    kf__graph_dump(again, &second);
    assert_false(first.failed || second.failed);
    assert_string_equal(first.data, second.data);
    kf__strbuf_free(&first);
    kf__strbuf_free(&second);
    kf__graph_destroy(&g);
    kf__graph_destroy(&back);
    kf__graph_destroy(&again);
}

static void test_every_level_of_rewriting_can_be_written(void **state) {
    (void)state;
    for (int level = KF_OPTIMIZE_SIMPLIFY; level <= KF_OPTIMIZE_FUSE; level++) {
        kf__graph *file = everyday10(), *g = everyday10();
        kf_error err = {0};
        gb_ok(kf__passes_run(g, (kf_optimize_level)level, &err), &err);
        kf__graph *back = read_back(g);
        assert_true(relative_error(g, back) < 1e-6);
        assert_true(relative_error(file, back) < 1e-6);
        assert_true(gb_count(back, KF_OP_ACT) + gb_count(back, KF_OP_SE_GATE) + gb_count(back, KF_OP_FC) == 0);
        kf__graph_destroy(&file);
        kf__graph_destroy(&g);
        kf__graph_destroy(&back);
    }
}

/* x -> one activation of this kind -> y, written at this opset. */
static kf__graph *activation(kf__act kind, float lo, float hi, int opset) {
    kf__graph *g = gb_new();
    kf_error err = {0};
    g->opset = opset;
    g->ir_version = 7;
    kf__vid x = gb_input(g, "x", S(1, 2, 3, 3));
    gb_output(g, NODE(g, ACT, "a", x));
    gb_last(g)->attrs.act = (kf__activation){.kind = kind, .lo = lo, .hi = hi};
    gb_ok(kf__graph_infer(g, &err), &err);
    return g;
}

static void test_activations_at_old_and_new_opsets(void **state) {
    (void)state;
    static const struct {
        kf__act kind;
        float lo, hi;
        kf__op at_9, at_17; /* the last node */
    } CASES[] = {
        {KF_ACT_CLIP, 0, INFINITY, KF_OP_RELU, KF_OP_RELU},
        {KF_ACT_CLIP, -1, 1, KF_OP_CLIP, KF_OP_CLIP},
        {KF_ACT_CLIP, -INFINITY, 0.5f, KF_OP_CLIP, KF_OP_CLIP},
        {KF_ACT_CLIP, -0.5f, INFINITY, KF_OP_CLIP, KF_OP_CLIP},
        {KF_ACT_HSWISH, 0, 0, KF_OP_MUL, KF_OP_HARD_SWISH},
        {KF_ACT_HSIGMOID, 0, 0, KF_OP_HARD_SIGMOID, KF_OP_HARD_SIGMOID},
        {KF_ACT_HARDSIGMOID, 0.2f, 0.4f, KF_OP_HARD_SIGMOID, KF_OP_HARD_SIGMOID},
        {KF_ACT_SIGMOID, 0, 0, KF_OP_SIGMOID, KF_OP_SIGMOID},
        {KF_ACT_SILU, 0, 0, KF_OP_MUL, KF_OP_MUL},
        {KF_ACT_NONE, 0, 0, KF_OP_IDENTITY, KF_OP_IDENTITY},
    };
    for (size_t i = 0; i < KF_COUNT(CASES); i++)
        for (int opset = 9; opset <= 17; opset += 8) {
            kf__graph *g = activation(CASES[i].kind, CASES[i].lo, CASES[i].hi, opset), *back = read_back(g);
            assert_int_equal(gb_last(back)->op, opset == 9 ? CASES[i].at_9 : CASES[i].at_17);
            assert_true(relative_error(g, back) < 1e-6);
            kf__graph_destroy(&g);
            kf__graph_destroy(&back);
        }
}

/* conv -> h-swish -> + x -> clip, a dense layer without bias, and names that collide: all in one. */
static void test_fused_stages_come_in_order(void **state) {
    (void)state;
    for (int opset = 9; opset <= 17; opset += 8) {
        kf__graph *g = gb_new();
        kf_error err = {0};
        g->opset = opset;
        g->ir_version = 3; /* initializers are listed among the inputs */
        kf__vid x = gb_input(g, "x", S(1, 4, 5, 5));
        kf__vid y = gb_conv(g, "c", x, gb_random(g, S(4, 4, 3, 3)), gb_random(g, S(4)), 1, 1, 1);
        kf__node *n = gb_last(g);
        kf__vid in[4] = {n->in[0], n->in[1], n->in[2], x};
        n->in = kf__arena_copy(&g->arena, in, sizeof in);
        assert_non_null(n->in);
        n->n_in = 4;
        n->attrs.act = (kf__activation){.kind = KF_ACT_HSWISH};
        n->attrs.post_act = (kf__activation){.kind = KF_ACT_CLIP, .lo = -1, .hi = 1.5f};
        g->values[n->in[1]].name = g->values[n->in[2]].name = "x"; /* the input's name stays the input's */
        y = NODE(g, GLOBAL_AVG_POOL, "c", y);
        y = NODE(g, FLATTEN, "c", y);
        gb_last(g)->attrs.axis = 1;
        gb_output(g, NODE(g, FC, "c", y, gb_random(g, S(6, 4))));
        gb_last(g)->attrs.act = (kf__activation){.kind = KF_ACT_HSIGMOID};
        gb_ok(kf__graph_infer(g, &err), &err);
        kf__graph *back = read_back(g);
        assert_int_equal(back->n_inputs, 1);
        assert_string_equal(back->values[back->inputs[0]].name, "x");
        assert_int_equal(back->ir_version, 3);
        assert_true(relative_error(g, back) < 1e-6);
        for (size_t i = 0; i < back->n_nodes; i++)
            for (size_t k = 0; k < i; k++) assert_string_not_equal(back->nodes[i].name, back->nodes[k].name);
        kf__graph_destroy(&g);
        kf__graph_destroy(&back);
    }
}

static void test_what_cannot_be_written_says_so(void **state) {
    (void)state;
    kf_error err = {0};
    void *data;
    size_t bytes;
    kf__graph *g = activation(KF_ACT_SIGMOID, 0, 0, 13);
    /* pixels, and no word about their normalization */
    kf__quant q = {.dtype = KF_U8, .scale = 1, .qmax = 255, .pixels = true};
    g->values[g->inputs[0]].quant = &q;
    assert_int_equal(kf__onnx_write(g, &data, &bytes, &err), KF_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "--preprocess"));
    assert_null(data);
    kf__graph_destroy(&g);
    g = gb_new(); /* a slice with steps, and one with computed ends, at opset 9 */
    g->opset = 9;
    kf__vid x = gb_input(g, "x", S(1, 2, 4, 4)), ends = NODE(g, SHAPE, "s", x);
    gb_output(g, NODE(g, SLICE, "cut", x, gb_ints(g, I(0, 0, 0, 0), 4), ends));
    gb_ok(kf__graph_infer(g, &err), &err);
    assert_int_equal(kf__onnx_write(g, &data, &bytes, &err), KF_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "cut (Slice)"));
    g->nodes[1].in = kf__arena_copy(
        &g->arena, (kf__vid[]){x, gb_ints(g, I(0), 1), gb_ints(g, I(4), 1), gb_ints(g, I(3), 1), gb_ints(g, I(2), 1)},
        5 * sizeof(kf__vid));
    assert_non_null(g->nodes[1].in);
    g->nodes[1].n_in = 5;
    assert_int_equal(kf__onnx_write(g, &data, &bytes, &err), KF_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "step of 2"));
    kf__graph_destroy(&g);
}

/* Output 0 for pixels: whole numbers for the quantized graph, the same normalized for what was written of it. */
static kf__dense run_pixels(const kf__graph *g, const kf_preprocess *normalize, kf__arena *arena) {
    kf_error err = {0};
    kf__dense in = {0}, out = {0};
    const kf__shape *s = &g->values[g->inputs[0]].shape;
    gb_ok(kf__ref_alloc(&in, KF_F32, s, arena, &err), &err);
    size_t plane = (size_t)(s->dim[2] * s->dim[3]);
    kf__random r = {.state = 5};
    for (size_t i = 0; i < 3 * plane; i++) {
        double p = floor(kf__random_unit(&r) * 256);
        ((float *)in.data)[i] =
            (float)(normalize ? (p / 255 - normalize->mean[i / plane]) / normalize->std[i / plane] : p);
    }
    fesetround(FE_TONEAREST);
    gb_ok(kf__ref_run(g, &in, 1, &out, 1, NULL, NULL, arena, &err), &err);
    return out;
}

static kf__graph *read_form(const kf__graph *g, kf_qdq_form form) {
    kf_error err = {0};
    void *data;
    size_t bytes;
    kf__graph *back;
    gb_ok(kf__onnx_write_form(g, form, &data, &bytes, &err), &err);
    gb_ok(kf__onnx_read(data, bytes, &(kf__onnx_options){0}, &back, &err), &err);
    free(data);
    return back;
}

static const kf__node *named(const kf__graph *g, const char *name) {
    for (size_t i = 0; i < g->n_nodes; i++)
        if (strcmp(g->nodes[i].name, name) == 0) return &g->nodes[i];
    fail_msg("no node is called %s", name);
    return NULL;
}

/* Plain, and with every other value and its layer's weights in i16; hidden layers with and without a clip. */
static void test_quantized_graphs(void **state) {
    (void)state;
    for (int k = 0; k < 8; k++) {
        kf_qdq_form form = k & 4 ? KF_QDQ_SCALES : KF_QDQ_EXACT;
        kf__graph *g = quantized_graph(k & 1 ? 2 : 0, k & 2 ? KF_ACT_CLIP : KF_ACT_HSWISH), *back = read_form(g, form);
        kf__arena arena;
        kf__arena_init(&arena, NULL);
        kf__dense a = run_pixels(g, NULL, &arena), b = run_pixels(back, &g->meta.preprocess, &arena);
        float top = 0;
        for (int i = 0; i < 5; i++) top = fmaxf(top, fabsf(((float *)a.data)[i]));
        for (int i = 0; i < 5; i++)
            assert_true(fabsf(((float *)a.data)[i] - ((float *)b.data)[i]) <= (form == KF_QDQ_EXACT ? 0 : 0.05f * top));
        kf__arena_free(&arena);
        assert_int_equal(back->opset, 21);
        assert_int_equal(back->ir_version, 10);
        assert_string_equal(back->values[back->inputs[0]].name, "picture");
        assert_int_equal(named(back, "stem")->op, KF_OP_CONV);
        assert_int_equal(named(back, "reduce/Conv")->op, KF_OP_CONV);
        assert_int_equal(named(back, "expand/Conv")->op, KF_OP_CONV);
        assert_int_equal(named(back, "head")->op, KF_OP_GEMM);
        size_t rounded = 1 + 2; /* the input, and two values inside the gate */
        for (size_t i = 0; i < g->n_nodes; i++)
            rounded += g->values[g->nodes[i].out[0]].quant && g->nodes[i].op != KF_OP_FLATTEN;
        assert_int_equal(gb_count(back, KF_OP_QUANTIZE), rounded);
        bool wide_weights = false;
        for (size_t i = 0; i < back->n_nodes; i++) { /* no scale but 1 in exact form */
            const kf__node *n = &back->nodes[i];
            const float *scale = n->op == KF_OP_QUANTIZE ? back->values[n->in[1]].data : NULL;
            if (scale && form == KF_QDQ_EXACT) assert_true(scale[0] == 1.0f);
            const kf__value *x = &back->values[n->in[0]];
            wide_weights |= n->op == KF_OP_DEQUANTIZE && x->data && x->dtype == KF_I16;
        }
        assert_int_equal(wide_weights, (k & 1) && form == KF_QDQ_SCALES); /* exact: in two bytes */
        kf__graph_destroy(&back);
        kf__graph_destroy(&g);
    }
}

/* Each activation that integers may have: in exact form the same bits. */
static void test_quantized_activations(void **state) {
    (void)state;
    for (int kind = 0; kind < KF_ACT_COUNT; kind++) {
        const kf__activation act = {.kind = (kf__act)kind, .lo = 0.2f, .hi = 0.5f};
        if (kf__activation_by_expf(&act)) continue;
        kf__graph *g = activation(act.kind, act.lo, act.hi, 17);
        kf__quant in = {.dtype = KF_U8, .scale = 0.02f, .zero = 100, .qmax = 255},
                  out = {.dtype = KF_U8, .scale = 0.01f, .zero = 60, .qmax = 255};
        kf__arena arena;
        g->values[g->inputs[0]].quant = &in;
        g->values[g->outputs[0]].quant = &out;
        kf__graph *back = read_form(g, KF_QDQ_EXACT);
        kf__arena_init(&arena, NULL);
        kf__dense a = run(g, &arena), b = run(back, &arena);
        for (int i = 0; i < 18; i++)
            if (((float *)a.data)[i] != ((float *)b.data)[i]) fail_msg("%s of element %d", kf__act_name(act.kind), i);
        kf__arena_free(&arena);
        kf__graph_destroy(&back);
        kf__graph_destroy(&g);
    }
}

/* Convolutions over u8 alone need no 16 bits, and so no more than opset 13; a quantized output leaves in real numbers.
 */
static void test_the_lowest_opset_and_quantized_outputs(void **state) {
    (void)state;
    for (int form = 0; form < 2; form++) {
        kf__graph *g = gb_new();
        kf_error err = {0};
        kf__arena arena;
        static const float scales[2] = {0.05f, 0.02f};
        static const int32_t zeros[2] = {3, 130};
        kf__quant in = {.dtype = KF_U8, .scale = 0.02f, .zero = 100, .qmax = 255}, out = {.dtype = KF_U8,
                                                                                          .scale = 0.05f,
                                                                                          .zero = 3,
                                                                                          .qmax = 255,
                                                                                          .channels = 2,
                                                                                          .scales = scales,
                                                                                          .zeros = zeros};
        kf__vid x = gb_input(g, "x", S(1, 2, 3, 3));
        g->opset = 17;
        gb_output(g, NODE(g, ACT, "a", x));
        gb_last(g)->attrs.act = (kf__activation){.kind = KF_ACT_CLIP, .lo = -0.5f, .hi = 1};
        gb_ok(kf__graph_infer(g, &err), &err);
        g->values[x].quant = &in;
        g->values[g->outputs[0]].quant = &out;
        kf__graph *back = read_form(g, (kf_qdq_form)form);
        assert_int_equal(back->opset, 13);
        assert_int_equal(back->ir_version, 7);
        assert_string_equal(back->values[back->outputs[0]].name, "a_out");
        kf__arena_init(&arena, NULL);
        kf__dense a = run(g, &arena), b = run(back, &arena);
        bool some = false;
        for (int i = 0; i < 18; i++) {
            some |= ((float *)a.data)[i] != 0;
            assert_true(fabsf(((float *)a.data)[i] - ((float *)b.data)[i]) < 1e-6f);
        }
        assert_true(some);
        kf__arena_free(&arena);
        kf__graph_destroy(&back);
        kf__graph_destroy(&g);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_real_file_round_trips),
        cmocka_unit_test(test_every_level_of_rewriting_can_be_written),
        cmocka_unit_test(test_activations_at_old_and_new_opsets),
        cmocka_unit_test(test_fused_stages_come_in_order),
        cmocka_unit_test(test_quantized_graphs),
        cmocka_unit_test(test_quantized_activations),
        cmocka_unit_test(test_the_lowest_opset_and_quantized_outputs),
        cmocka_unit_test(test_what_cannot_be_written_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
