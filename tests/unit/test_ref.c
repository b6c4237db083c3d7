/* The integer interpreter against numbers worked out by hand and against real arithmetic; the traps of
 * docs/NUMERICS.md. Links libkitfoxc. Owner rule: each test destroys its graph and arena. */
#include "graph_builder.h"

#include "ref/ref.h"

static kf__arena arena;

static int setup(void **state) {
    (void)state;
    kf__arena_init(&arena, NULL);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    kf__arena_free(&arena);
    return 0;
}

/* ---- building quantized graphs ----------------------------------------------------------------------------------- */

static kf__quant *quant_u8(float scale, int32_t zero) {
    kf__quant *q = kf__arena_zalloc(&arena, sizeof *q);
    *q = (kf__quant){.dtype = KF_U8, .scale = scale, .zero = zero, .qmax = 255};
    return q;
}

static kf__quant *quant_i16(float scale, int32_t q_max) {
    kf__quant *q = kf__arena_zalloc(&arena, sizeof *q);
    *q = (kf__quant){.dtype = KF_I16, .scale = scale, .qmin = -q_max, .qmax = q_max};
    return q;
}

static kf__vid weights(kf__graph *g, kf__shape shape, const int8_t *data, const float *scales) {
    kf__vid v = kf__graph_add_const(g, "w", KF_I8, &shape, data);
    kf__quant *q = kf__arena_zalloc(&arena, sizeof *q);
    *q = (kf__quant){.dtype = KF_I8, .qmin = -127, .qmax = 127, .channels = (int32_t)shape.dim[0]};
    q->scales = kf__arena_copy(&arena, scales, (size_t)shape.dim[0] * sizeof *scales);
    g->values[v].quant = q;
    return v;
}

static kf__vid bias32(kf__graph *g, kf__shape shape, const int32_t *data) {
    return kf__graph_add_const(g, "b", KF_I32, &shape, data);
}

static kf__vid q_input(kf__graph *g, kf__shape shape, kf__quant *q) {
    kf__vid v = gb_input(g, "x", shape);
    g->values[v].quant = q;
    return v;
}

static void q_output(kf__graph *g, kf__vid v, kf__quant *q) {
    g->values[v].quant = q;
    gb_output(g, v);
}

typedef struct seen {
    kf__vid want;
    kf__dense value;
} seen;

static kf_status keep_value(void *user, const kf__graph *g, kf__vid v, const kf__dense *value, kf_error *err) {
    (void)g;
    (void)err;
    seen *s = user;
    if (v == s->want) s->value = *value;
    return KF_OK;
}

/** Stored integers (or floats) of output 0 for one stored input. */
static kf__dense run(kf__graph *g, kf_dtype dtype, const void *x) {
    kf_error err = {0};
    gb_ok(kf__graph_infer(g, &err), &err);
    kf__dense in = {.dtype = dtype, .shape = g->values[g->inputs[0]].shape, .data = (void *)(uintptr_t)x}, out;
    seen s = {.want = g->outputs[0]};
    gb_ok(kf__ref_run(g, &in, 1, &out, 1, keep_value, &s, &arena, &err), &err);
    return s.value;
}

static void expect_q(const kf__dense *d, const int32_t *want, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (kf__ref_get(d, i) != want[i]) fail_msg("element %zu: %d, %d expected", i, kf__ref_get(d, i), want[i]);
}
#define Q(...) ((const int32_t[]){__VA_ARGS__})

/* ---- traps ------------------------------------------------------------------------------------------------------- */

/* ONNX Runtime #16105, PyTorch #44939: vpmaddubsw saturates pairs and gives -3050. */
static void trap_pair_saturation(void **state) {
    (void)state;
    kf__graph *g = gb_new();
    kf__vid x = q_input(g, S(1, 3, 1, 1), quant_u8(1, 0));
    gb_output(g, gb_conv(g, "conv", x, weights(g, S(1, 3, 1, 1), (int8_t[]){-81, -80, 127}, F(1)), -1, 1, 0, 1));
    kf__dense y = run(g, KF_U8, (uint8_t[]){210, 198, 234});
    assert_true(((float *)y.data)[0] == -3132.0f);
    kf__graph_destroy(&g);
}

/* ONNX Runtime #11415: a channel of (nearly) zero weights still outputs its bias. */
static void trap_dead_channel(void **state) {
    (void)state;
    kf__graph *g = gb_new();
    float s_in = 0.02f, s_w = 5.0f / (s_in * 16777216.0f);
    kf__vid x = q_input(g, S(1, 1, 1, 1), quant_u8(s_in, 3));
    int32_t b = (int32_t)rint(5.0 / ((double)s_in * (double)s_w));
    kf__vid y = gb_conv(g, "conv", x, weights(g, S(1, 1, 1, 1), (int8_t[]){0}, &s_w), bias32(g, S(1), &b), 1, 0, 1);
    q_output(g, y, quant_u8(0.05f, 0));
    kf__dense d = run(g, KF_U8, (uint8_t[]){200});
    expect_q(&d, Q(100), 1); /* 100 * 0.05 = 5 */
    kf__graph_destroy(&g);
}

/** Squeeze-and-excite over two channels whose gate is h-sigmoid or HardSigmoid of a known number. */
static kf__graph *gate_graph(kf__act kind, float alpha, float beta, const int32_t *bias2) {
    kf__graph *g = gb_new();
    kf__vid in[5] = {q_input(g, S(1, 2, 2, 2), quant_u8(0.5f, 10))};
    in[1] = weights(g, S(1, 2), (int8_t[]){1, 1}, F(0.25f));
    in[2] = bias32(g, S(1), Q(0));
    in[3] = weights(g, S(2, 1), (int8_t[]){1, -1}, F(0.5f, 0.5f));
    in[4] = bias32(g, S(2), bias2);
    kf__node *n;
    kf__vid gate = gb_node(g, KF_OP_SE_GATE, "se", 5, in, &n);
    n->attrs.act = (kf__activation){.kind = KF_ACT_CLIP, .lo = 0, .hi = INFINITY};
    n->attrs.gate_act = (kf__activation){.kind = kind, .lo = alpha, .hi = beta};
    n->attrs.pool_quant = quant_i16(0.125f, 32767);
    n->attrs.hidden_quant = quant_i16(0.125f, 32767);
    gb_output(g, gate);
    return g;
}

/* onnxruntime-qnn #473: no calibrated range may cut the gate. Pooled means are 2 and -2, hidden 0; the biases give the
 * gate. */
static void trap_gate_is_not_clipped(void **state) {
    (void)state;
    const int32_t bias2[2] = {43, -60}; /* times 0.125 * 0.5: 2.6875 and -3.75 */
    kf__graph *g = gate_graph(KF_ACT_HSIGMOID, 0, 0, bias2);
    kf__dense y = run(g, KF_U8, (uint8_t[]){14, 14, 14, 14, 6, 6, 6, 6});
    const float *gate = y.data;
    assert_float_equal(gate[0], 0.9479167f, 1e-6f);
    assert_true(gate[1] == 0.0f);
    kf__graph_destroy(&g);
}

static void se_arithmetic(void **state) {
    (void)state;
    kf__graph *g = gate_graph(KF_ACT_HARDSIGMOID, 0.2f, 0.5f, Q(0, 0));
    /* means 5 and 3 -> hidden 0.25 * 8 = 2 -> +-1 -> 0.7 and 0.3 with the default slope */
    kf__dense y = run(g, KF_U8, (uint8_t[]){20, 20, 20, 20, 16, 16, 16, 16});
    assert_float_equal(((float *)y.data)[0], 0.7f, 1e-6f);
    assert_float_equal(((float *)y.data)[1], 0.3f, 1e-6f);
    kf__graph_destroy(&g);
}

/* ncnn #2641: slope 0.2 by default, 1/6 for h-sigmoid. */
static void trap_hardsigmoid_slope(void **state) {
    (void)state;
    assert_float_equal(kf__activate(KF_ACT_HARDSIGMOID, 1, 0.2f, 0.5f), 0.7f, 1e-6f);
    assert_float_equal(kf__activate(KF_ACT_HSIGMOID, 1, 0, 0), 0.6666667f, 1e-6f);
}

/* onnxruntime-qnn #392: h-swish is not h-sigmoid. */
static void trap_hswish_table(void **state) {
    (void)state;
    kf__graph *g = gb_new();
    kf__vid x = q_input(g, S(1, 7, 1, 1), quant_i16(0.5f, 32767)), y = NODE(g, ACT, "act", x);
    gb_last(g)->attrs.act = (kf__activation){.kind = KF_ACT_HSWISH};
    gb_output(g, y);
    const int16_t in[7] = {-8, -6, -3, 0, 2, 6, 12};
    const float want[7] = {0, 0, -0.375f, 0, 0.6666667f, 3, 6};
    kf__dense d = run(g, KF_I16, in);
    for (int i = 0; i < 7; i++) assert_float_equal(((float *)d.data)[i], want[i], 1e-6f);
    g->values[y].quant = quant_u8(6.375f / 255, 15); /* the same through the one rounding */
    d = run(g, KF_I16, in);
    expect_q(&d, Q(15, 15, 0, 15, 42, 135, 255), 7);
    kf__graph_destroy(&g);
}

/* ---- rounding and clamping --------------------------------------------------------------------------------------- */

static void rounds_half_to_even(void **state) {
    (void)state;
    kf__graph *g = gb_new();
    kf__vid x = q_input(g, S(1, 1, 1, 8), quant_u8(0.5f, 100));
    q_output(g, gb_conv(g, "conv", x, weights(g, S(1, 1, 1, 1), (int8_t[]){1}, F(1)), -1, 1, 0, 1), quant_u8(1, 10));
    kf__dense d = run(g, KF_U8, (uint8_t[]){101, 103, 105, 99, 97, 95, 255, 0});
    expect_q(&d, Q(10, 12, 12, 10, 8, 8, 88, 0), 8); /* .5 1.5 2.5 -.5 -1.5 -2.5 77.5 -50 */
    kf__graph_destroy(&g);
}

static void clip_acts_on_q(void **state) {
    (void)state;
    kf__graph *g = gb_new();
    kf__vid x = q_input(g, S(1, 1, 1, 4), quant_u8(1, 128));
    kf__vid y = gb_conv(g, "conv", x, weights(g, S(1, 1, 1, 1), (int8_t[]){1}, F(1)), -1, 1, 0, 1);
    gb_last(g)->attrs.act = (kf__activation){.kind = KF_ACT_CLIP, .lo = 0, .hi = 6};
    q_output(g, y, quant_u8(0.5f, 20));
    kf__dense d = run(g, KF_U8, (uint8_t[]){0, 128, 131, 255});
    expect_q(&d, Q(20, 20, 26, 32), 4);
    kf__graph_destroy(&g);
}

static void residual_comes_before_the_rounding(void **state) {
    (void)state;
    kf__graph *g = gb_new();
    kf__quant *q = quant_u8(0.5f, 50);
    kf__vid x = q_input(g, S(1, 1, 1, 4), q), w = weights(g, S(1, 1, 1, 1), (int8_t[]){1}, F(0.5f));
    kf__vid y = NODE(g, CONV, "conv", x, w, KF_NO_VALUE, x);
    gb_last(g)->attrs.window = (kf__window){.kh = 1, .kw = 1, .sh = 1, .sw = 1, .dh = 1, .dw = 1, .group = 1};
    gb_last(g)->attrs.post_act = (kf__activation){.kind = KF_ACT_CLIP, .lo = 0, .hi = INFINITY};
    q_output(g, y, quant_u8(1, 7));
    kf__dense d = run(g, KF_U8, (uint8_t[]){51, 52, 53, 40});
    expect_q(&d, Q(8, 9, 9, 7), 4); /* .75 1.5 2.25 and -7.5 clipped at 0 */
    kf__graph_destroy(&g);
}

static void i16_clamps_to_its_own_maximum(void **state) {
    (void)state;
    kf__graph *g = gb_new();
    kf__vid x = q_input(g, S(1, 1, 1, 3), quant_u8(1, 128));
    q_output(g, gb_conv(g, "conv", x, weights(g, S(1, 1, 1, 1), (int8_t[]){100}, F(1)), -1, 1, 0, 1),
             quant_i16(1, 5000));
    kf__dense d = run(g, KF_U8, (uint8_t[]){0, 130, 255});
    expect_q(&d, Q(-5000, 200, 5000), 3);
    kf__graph_destroy(&g);
}

static void overflow_is_an_error(void **state) {
    (void)state;
    kf__graph *g = gb_new();
    kf__vid x = q_input(g, S(1, 1, 1, 1), quant_u8(1, 0)), y;
    const int32_t b = INT32_MAX - 100;
    y = gb_conv(g, "conv", x, weights(g, S(1, 1, 1, 1), (int8_t[]){127}, F(1)), bias32(g, S(1), &b), 1, 0, 1);
    q_output(g, y, quant_u8(1, 0));
    kf_error err = {0};
    gb_ok(kf__graph_infer(g, &err), &err);
    kf__dense in = {.dtype = KF_U8, .shape = S(1, 1, 1, 1), .data = (uint8_t[]){255}}, out;
    assert_int_equal(kf__ref_run(g, &in, 1, &out, 1, NULL, NULL, &arena, &err), KF_ERR_CORRUPT);
    assert_non_null(strstr(err.text, "conv"));
    kf__graph_destroy(&g);
}

/* ---- geometry ---------------------------------------------------------------------------------------------------- */

static void padding_contributes_nothing(void **state) {
    (void)state;
    kf__graph *g = gb_new();
    kf__vid x = q_input(g, S(1, 1, 3, 3), quant_u8(1, 128));
    gb_output(
        g, gb_conv(g, "conv", x, weights(g, S(1, 1, 3, 3), (int8_t[]){1, 1, 1, 1, 1, 1, 1, 1, 1}, F(1)), -1, 1, 1, 1));
    uint8_t in[9];
    memset(in, 129, sizeof in);
    kf__dense d = run(g, KF_U8, in);
    const float want[9] = {4, 6, 4, 6, 9, 6, 4, 6, 4};
    assert_memory_equal(d.data, want, sizeof want);
    kf__graph_destroy(&g);
}

static void per_channel_depthwise(void **state) {
    (void)state;
    kf__graph *g = gb_new();
    kf__quant *q = quant_u8(1, 0);
    q->channels = 2;
    q->scales = kf__arena_copy(&arena, F(0.5f, 2), 8);
    q->zeros = kf__arena_copy(&arena, Q(10, 200), 8);
    kf__vid x = q_input(g, S(1, 2, 1, 1), q);
    gb_output(g, gb_conv(g, "dw", x, weights(g, S(2, 1, 1, 1), (int8_t[]){3, -4}, F(1, 0.25f)), -1, 1, 0, 2));
    kf__dense d = run(g, KF_U8, (uint8_t[]){12, 190});
    assert_memory_equal(d.data, F(3, 20), 8); /* (2*.5)*3 and (-10*2)*-1 */
    kf__graph_destroy(&g);
}

/* The pixel layer: bias rows per border class make it equal to convolving the normalized, zero-padded picture. */
static void pixel_borders_are_exact(void **state) {
    (void)state;
    enum { SIZE = 5, OUT = 3, MEAN = 100 };
    const int8_t w[9] = {3, -7, 11, 13, -17, 19, 23, 29, -31};
    kf__graph *g = gb_new();
    kf__vid x = q_input(g, S(1, 1, SIZE, SIZE), quant_u8(1, 0));
    /* Along an axis, stride 2 pad 1: taps 1..2 | 0..2 | 0..1 are inside, three classes. */
    const int first[3] = {1, 0, 0}, last[3] = {2, 2, 1};
    int32_t table[9];
    for (int cy = 0; cy < 3; cy++)
        for (int cx = 0; cx < 3; cx++) {
            int32_t sum = 0;
            for (int ky = first[cy]; ky <= last[cy]; ky++)
                for (int kx = first[cx]; kx <= last[cx]; kx++) sum += w[ky * 3 + kx];
            table[cy * 3 + cx] = 50 - sum * MEAN;
        }
    gb_output(g, gb_conv(g, "stem", x, weights(g, S(1, 1, 3, 3), w, F(1)), bias32(g, S(9, 1), table), 2, 1, 1));
    uint8_t in[SIZE * SIZE];
    for (int i = 0; i < SIZE * SIZE; i++) in[i] = (uint8_t)(i * 53);
    kf__dense d = run(g, KF_U8, in);
    for (int y = 0; y < OUT; y++)
        for (int p = 0; p < OUT; p++) {
            int want = 50;
            for (int t = 0; t < 9; t++) {
                int sy = y * 2 - 1 + t / 3, sx = p * 2 - 1 + t % 3;
                if (sy >= 0 && sy < SIZE && sx >= 0 && sx < SIZE) want += w[t] * (in[sy * SIZE + sx] - MEAN);
            }
            assert_true(((float *)d.data)[y * OUT + p] == (float)want);
        }
    kf__graph_destroy(&g);
}

/* ---- the other operators ----------------------------------------------------------------------------------------- */

static void pools(void **state) {
    (void)state;
    const uint8_t in[8] = {10, 20, 30, 44, 0, 0, 0, 255};
    for (int kind = 0; kind < 3; kind++) {
        kf__graph *g = gb_new();
        kf__vid x = q_input(g, S(1, 2, 2, 2), quant_u8(0.5f, 10));
        kf__vid y = gb_node(g,
                            kind == 0   ? KF_OP_GLOBAL_AVG_POOL
                            : kind == 1 ? KF_OP_AVG_POOL
                                        : KF_OP_MAX_POOL,
                            "pool", 1, &x, NULL);
        gb_last(g)->attrs.window = (kf__window){.kh = 2,
                                                .kw = 2,
                                                .sh = 2,
                                                .sw = 2,
                                                .dh = 1,
                                                .dw = 1,
                                                .group = 1,
                                                .pt = kind > 0,
                                                .pl = kind > 0,
                                                .pb = kind > 0,
                                                .pr = kind > 0};
        q_output(g, y, kind == 2 ? quant_u8(0.5f, 10) : quant_i16(0.125f, 32767));
        kf__dense d = run(g, KF_U8, in);
        if (kind == 0) expect_q(&d, Q(64, 215), 2);                            /* 64/4*.5 = 8; 215/4*.5 = 26.875 */
        if (kind == 1) expect_q(&d, Q(0, 40, 80, 136, -40, -40, -40, 980), 8); /* one tap each: its count is 1 */
        if (kind == 2) expect_q(&d, Q(10, 20, 30, 44, 0, 0, 0, 255), 8);
        kf__graph_destroy(&g);
    }
}

static void add_concat_scale(void **state) {
    (void)state;
    kf__graph *g = gb_new();
    kf__vid x = q_input(g, S(1, 1, 1, 3), quant_u8(0.5f, 10)), parts[2];
    parts[0] = NODE(g, ADD, "sum", x, x);
    g->values[parts[0]].quant = quant_u8(2, 5);
    parts[1] = NODE(g, SCALE, "scale", x, gb_const(g, S(1, 1, 1, 1), F(0.75f)));
    g->values[parts[1]].quant = quant_u8(0.25f, 0);
    kf__vid y = gb_node(g, KF_OP_CONCAT, "cat", 2, parts, NULL);
    gb_last(g)->attrs.axis = 1;
    q_output(g, y, quant_u8(1, 1));
    kf__dense d = run(g, KF_U8, (uint8_t[]){10, 13, 30});
    /* sums 0 3 20 -> q 5 6(1.5 to even 2: 7) 15 -> 0 4 20 -> 1 5 21; scaled 0 1.125 7.5 -> q 0 4(4.5) 30 -> 0 1 7.5(8)
     */
    expect_q(&d, Q(1, 5, 21, 1, 2, 9), 6);
    kf__graph_destroy(&g);
}

static void input_and_output_conversion(void **state) {
    (void)state;
    kf__graph *g = gb_new();
    kf__vid x = q_input(g, S(1, 4), quant_u8(0.25f, 100)), y = NODE(g, FLATTEN, "flat", x);
    gb_last(g)->attrs.axis = 1;
    q_output(g, y, quant_u8(0.25f, 100));
    kf_error err = {0};
    gb_ok(kf__graph_infer(g, &err), &err);
    kf__dense in = {.dtype = KF_F32, .shape = S(1, 4), .data = (float[]){0.125f, -0.375f, 1000, -1000}}, out;
    gb_ok(kf__ref_run(g, &in, 1, &out, 1, NULL, NULL, &arena, &err), &err);
    assert_memory_equal(out.data, F(0, -0.5f, 38.75f, -25), 16);
    kf__graph_destroy(&g);
}

static void wrong_input_is_named(void **state) {
    (void)state;
    kf__graph *g = gb_new();
    gb_output(g, NODE(g, RELU, "relu", gb_input(g, "pixels", S(1, 4))));
    kf_error err = {0};
    gb_ok(kf__graph_infer(g, &err), &err);
    kf__dense in = {.dtype = KF_F32, .shape = S(1, 5), .data = (float[5]){0}}, out;
    assert_int_equal(kf__ref_run(g, &in, 1, &out, 1, NULL, NULL, &arena, &err), KF_ERR_SHAPE);
    assert_non_null(strstr(err.text, "pixels"));
    assert_int_equal(kf__ref_run(g, &in, 1, &out, 0, NULL, NULL, &arena, &err), KF_ERR_ARGUMENT);
    kf__graph_destroy(&g);
}

/* A random layer against the same layer in real arithmetic: within half a step everywhere. */
static void tracks_real_arithmetic(void **state) {
    (void)state;
    enum { C = 8, O = 6, N = 36 };
    int8_t w[O * C * 9];
    float scales[O];
    int32_t b[O];
    uint8_t in[C * N];
    kf__random r = {.state = 99};
    for (int i = 0; i < O * C * 9; i++) w[i] = (int8_t)kf__random_range(&r, -127, 127);
    for (int i = 0; i < C * N; i++) in[i] = (uint8_t)kf__random_range(&r, 0, 255);
    for (int i = 0; i < O; i++) scales[i] = 0.001f * (float)(i + 1), b[i] = (int32_t)kf__random_range(&r, -9000, 9000);
    kf__graph *g = gb_new();
    kf__vid x = q_input(g, S(1, C, 6, 6), quant_u8(0.02f, 77));
    kf__vid y = gb_conv(g, "conv", x, weights(g, S(O, C, 3, 3), w, scales), bias32(g, S(O), b), 1, 1, 1);
    gb_last(g)->attrs.act = (kf__activation){.kind = KF_ACT_HSWISH};
    q_output(g, y, quant_i16(0.001f, 32767));
    kf__dense d = run(g, KF_U8, in);
    for (int o = 0; o < O; o++)
        for (int p = 0; p < N; p++) {
            double sum = (double)b[o];
            for (int t = 0; t < C * 9; t++) {
                int sy = p / 6 - 1 + t % 9 / 3, sx = p % 6 - 1 + t % 3;
                if (sy >= 0 && sy < 6 && sx >= 0 && sx < 6)
                    sum += (double)w[o * C * 9 + t] * (in[t / 9 * N + sy * 6 + sx] - 77);
            }
            double v = sum * 0.02 * (double)scales[o], h = v + 3;
            h = h < 0 ? 0 : h > 6 ? 6 : h;
            double want = v * h / 6, got = kf__ref_get(&d, (size_t)(o * N + p)) * 0.001;
            if (want > 32.767) want = 32.767;
            if (fabs(want - got) > 0.00051 + 1e-6 * fabs(want))
                fail_msg("channel %d pixel %d: %g, %g expected", o, p, got, want);
        }
    kf__graph_destroy(&g);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(trap_pair_saturation),
        T(trap_dead_channel),
        T(trap_gate_is_not_clipped),
        T(se_arithmetic),
        T(trap_hardsigmoid_slope),
        T(trap_hswish_table),
        T(rounds_half_to_even),
        T(clip_acts_on_q),
        T(residual_comes_before_the_rounding),
        T(i16_clamps_to_its_own_maximum),
        T(overflow_is_an_error),
        T(padding_contributes_nothing),
        T(per_channel_depthwise),
        T(pixel_borders_are_exact),
        T(pools),
        T(add_concat_scale),
        T(input_and_output_conversion),
        T(wrong_input_is_named),
        T(tracks_real_arithmetic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
