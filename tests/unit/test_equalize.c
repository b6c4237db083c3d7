/* Equalization across layers: the float function stays, spread channels come out even by numbers worked out by hand,
 * and what must not be scaled is not. Links libkitfoxc. The reference interpreter judges the function. Owner rule: each
 * test destroys its graph and arena. */
#include "graph_builder.h"

#include "quantize/equalize.h"
#include "ref/ref.h"

enum { C = 4, SIDE = 4, SAMPLES = 6 };
static const float SPREAD[C] = {1, 64, 0.25f, 16};
static const kf__activation RELU = {.kind = KF_ACT_CLIP, .lo = 0, .hi = INFINITY};

static kf__arena arena;
static float inputs[SAMPLES][C * SIDE * SIDE];
static const void *rows[SAMPLES];

static int setup(void **state) {
    kf__random r = {.state = 99};
    (void)state;
    kf__arena_init(&arena, NULL);
    for (int k = 0; k < SAMPLES; k++) {
        rows[k] = inputs[k];
        for (int i = 0; i < SIDE * SIDE; i++) inputs[k][i] = (float)(2 * kf__random_unit(&r) - 1);
        for (int c = 1; c < C; c++) memcpy(inputs[k] + c * SIDE * SIDE, inputs[k], SIDE * SIDE * sizeof(float));
    }
    return 0;
}

static int teardown(void **state) {
    (void)state;
    kf__arena_free(&arena);
    return 0;
}

static size_t equalize(kf__graph *g) {
    kf_error err = {0};
    size_t scaled = 0;
    const kf__qsamples s = {.data = rows, .n = SAMPLES};
    const kf__qoptions o = kf__qoptions_default();
    gb_ok(kf__graph_infer(g, &err), &err);
    gb_ok(kf__equalize(g, &s, &o, &scaled, &err), &err);
    return scaled;
}

static kf__dense output(const kf__graph *g, int sample) {
    kf_error err = {0};
    kf__dense in = {.dtype = KF_F32, .shape = g->values[g->inputs[0]].shape, .data = inputs[sample]}, out = {0};
    gb_ok(kf__ref_run(g, &in, 1, &out, 1, NULL, NULL, &arena, &err), &err);
    return out;
}

/* Weights [O][I][k][k] from the fixed formula, rows times f (where given), columns by b (where given; depthwise: rows).
 */
static kf__vid spread(kf__graph *g, kf__shape s, const float *f, const float *b) {
    kf__vid v = gb_random(g, s);
    float *w = (float *)(uintptr_t)g->values[v].data;
    int64_t taps = s.rank == 4 ? s.dim[2] * s.dim[3] : 1;
    for (int64_t o = 0; o < s.dim[0]; o++)
        for (int64_t i = 0; i < s.dim[1] * taps; i++) {
            if (f) w[o * s.dim[1] * taps + i] *= f[o];
            if (b) w[o * s.dim[1] * taps + i] /= b[s.dim[1] == 1 ? o : i / taps];
        }
    return v;
}

/* conv (diagonal f) -> conv (u / f): channel c carries f[c] times what channel 0 does, and its readers take it back. */
static kf__graph *chain(const float *f, kf__act act) {
    kf__graph *g = gb_new();
    float first[C * C] = {0}, second[2 * C];
    for (int c = 0; c < C; c++) first[c * C + c] = f[c], second[c] = 0.5f / f[c], second[C + c] = -0.5f / f[c];
    kf__vid x = gb_input(g, "x", S(1, C, SIDE, SIDE));
    kf__vid a = gb_conv(g, "a", x, gb_const(g, S(C, C, 1, 1), first), KF_NO_VALUE, 1, 0, 1);
    gb_last(g)->attrs.act = (kf__activation){.kind = act, .lo = 0, .hi = INFINITY};
    gb_output(g, gb_conv(g, "b", a, gb_const(g, S(2, C, 1, 1), second), KF_NO_VALUE, 1, 0, 1));
    return g;
}

static const float *weights_of(const kf__graph *g, int node) { return g->values[g->nodes[node].in[1]].data; }

static void evens_by_known_factors(void **state) {
    (void)state;
    kf__graph *g = chain(SPREAD, KF_ACT_CLIP);
    assert_int_equal(equalize(g), C);
    for (int c = 0; c < C; c++) { /* the loudest channel keeps its range, all others get it: s[c] = 64 / f[c] */
        assert_float_equal(weights_of(g, 0)[c * C + c], 64, 64e-5f);
        assert_float_equal(weights_of(g, 1)[c], 0.5f / 64, 1e-7f);
        assert_float_equal(weights_of(g, 1)[C + c], -0.5f / 64, 1e-7f);
    }
    kf__graph_destroy(&g);
}

/* A dense convolution of one channel has as many weights a row as taps, and yet no channel of its own for each row. */
static void one_channel_is_not_depthwise(void **state) {
    (void)state;
    kf__graph *g = gb_new();
    float sum[C] = {1, 1, 1, 1}, last[2 * C];
    for (int c = 0; c < C; c++) last[c] = 0.5f / SPREAD[c], last[C + c] = -0.5f / SPREAD[c];
    kf__vid x = gb_input(g, "x", S(1, C, SIDE, SIDE));
    kf__vid a = gb_conv(g, "a", x, gb_const(g, S(1, C, 1, 1), sum), KF_NO_VALUE, 1, 0, 1);
    kf__vid b = gb_conv(g, "b", a, gb_const(g, S(C, 1, 1, 1), SPREAD), KF_NO_VALUE, 1, 0, 1);
    gb_last(g)->attrs.act = RELU;
    gb_output(g, gb_conv(g, "c", b, gb_const(g, S(2, C, 1, 1), last), KF_NO_VALUE, 1, 0, 1));
    assert_true(equalize(g) >= C);
    for (int c = 0; c < C; c++) { /* as in the test above: all ranges are those of `a` times the weight */
        assert_float_equal(weights_of(g, 1)[c], weights_of(g, 1)[0], 1e-4f * weights_of(g, 1)[0]);
        assert_float_equal(weights_of(g, 2)[c], weights_of(g, 2)[0], 1e-4f * weights_of(g, 2)[0]);
    }
    kf__graph_destroy(&g);
}

static void leaves_alone(kf__graph *g) {
    float before[2][C * C];
    memcpy(before[0], weights_of(g, 0), sizeof before[0]);
    memcpy(before[1], weights_of(g, 1), 2 * C * sizeof(float));
    assert_int_equal(equalize(g), 0);
    assert_memory_equal(before[0], weights_of(g, 0), sizeof before[0]);
    assert_memory_equal(before[1], weights_of(g, 1), 2 * C * sizeof(float));
    kf__graph_destroy(&g);
}

static void ordinary_spread_is_left_alone(void **state) {
    (void)state;
    leaves_alone(chain((const float[C]){1, 1.5f, 0.7f, 2}, KF_ACT_CLIP));
}

static void hswish_is_left_alone(void **state) {
    (void)state;
    leaves_alone(chain(SPREAD, KF_ACT_HSWISH));
}

static void relu6_is_left_alone(void **state) {
    (void)state;
    kf__graph *g = chain(SPREAD, KF_ACT_CLIP);
    g->nodes[0].attrs.act.hi = 6;
    leaves_alone(g);
}

static void shared_weights_are_left_alone(void **state) {
    (void)state;
    kf__graph *g = chain(SPREAD, KF_ACT_CLIP);
    gb_output(g, gb_conv(g, "again", g->nodes[0].out[0], g->nodes[1].in[1], KF_NO_VALUE, 1, 0, 1));
    leaves_alone(g);
}

static void outputs_are_left_alone(void **state) {
    (void)state;
    kf__graph *g = chain(SPREAD, KF_ACT_CLIP);
    gb_output(g, g->nodes[0].out[0]);
    leaves_alone(g);
}

/* project -> expand (ReLU) -> depthwise (ReLU) -> squeeze-and-excite -> project + residual -> head; every edge spread.
 */
static kf__graph *block(void) {
    enum { E = 8, R = 2 };
    static const float f[E] = {1, 32, 1.0f / 16, 8, 256, 0.5f, 4, 1.0f / 32};
    kf__graph *g = gb_new();
    kf__vid x = gb_input(g, "x", S(1, C, SIDE, SIDE));
    kf__vid a =
        gb_conv(g, "project", x, spread(g, S(C, C, 1, 1), SPREAD, NULL), spread(g, S(C, 1), SPREAD, NULL), 1, 0, 1);
    g->values[g->nodes[0].in[2]].shape = S(C);
    kf__vid e = gb_conv(g, "expand", a, spread(g, S(E, C, 1, 1), f, SPREAD), KF_NO_VALUE, 1, 0, 1);
    gb_last(g)->attrs.act = RELU;
    float *w;
    kf__vid dw = spread(g, S(E, 1, 3, 3), f, f); /* takes back the expand's factors, and makes its own */
    w = (float *)(uintptr_t)g->values[dw].data;
    for (int i = 0; i < E * 9; i++) w[i] *= 3;
    kf__vid d = gb_conv(g, "depthwise", e, dw, KF_NO_VALUE, 1, 1, E);
    gb_last(g)->attrs.act = RELU;
    kf__vid gate = NODE(g, SE_GATE, "gate", d, spread(g, S(R, E), NULL, f), gb_random(g, S(R)), gb_random(g, S(E, R)),
                        gb_random(g, S(E)));
    gb_last(g)->attrs.act = RELU;
    gb_last(g)->attrs.gate_act = (kf__activation){.kind = KF_ACT_HSIGMOID};
    kf__vid s = NODE(g, SCALE, "scale", d, gate);
    kf__vid p = gb_conv(g, "residual", s, spread(g, S(C, E, 1, 1), SPREAD, f), KF_NO_VALUE, 1, 0, 1);
    kf__vid in[4] = {s, g->nodes[g->n_nodes - 1].in[1], KF_NO_VALUE, a};
    gb_last(g)->in = kf__arena_copy(&g->arena, in, sizeof in);
    gb_last(g)->n_in = 4;
    gb_output(g, gb_conv(g, "head", p, spread(g, S(3, C, 1, 1), NULL, SPREAD), KF_NO_VALUE, 1, 0, 1));
    return g;
}

typedef struct extent {
    kf__vid v;
    float top[16];
} extent;

static kf_status see(void *user, const kf__graph *g, kf__vid v, const kf__dense *d, kf_error *err) {
    extent *e = user;
    (void)g, (void)err;
    if (v != e->v) return KF_OK;
    size_t inner = SIDE * SIDE;
    for (size_t i = 0; i < (size_t)d->shape.dim[1] * inner; i++)
        e->top[i / inner] = fmaxf(e->top[i / inner], fabsf(((const float *)d->data)[i]));
    return KF_OK;
}

/* Largest by smallest range of the channels of a node's output. */
static double unevenness(const kf__graph *g, int node) {
    extent e = {.v = g->nodes[node].out[0]};
    kf_error err = {0};
    for (int k = 0; k < SAMPLES; k++) {
        kf__dense in = {.dtype = KF_F32, .shape = g->values[g->inputs[0]].shape, .data = inputs[k]}, out = {0};
        gb_ok(kf__ref_run(g, &in, 1, &out, 1, see, &e, &arena, &err), &err);
    }
    float lo = INFINITY, hi = 0;
    for (int64_t c = 0; c < g->values[e.v].shape.dim[1]; c++) lo = fminf(lo, e.top[c]), hi = fmaxf(hi, e.top[c]);
    return (double)hi / (double)lo;
}

static void a_block_keeps_its_function(void **state) {
    (void)state;
    kf__graph *g = block();
    kf_error err = {0};
    gb_ok(kf__graph_infer(g, &err), &err);
    double before[2] = {unevenness(g, 0), unevenness(g, 5)};
    kf__dense want[SAMPLES];
    for (int k = 0; k < SAMPLES; k++) want[k] = output(g, k);
    assert_true(equalize(g) >= C);
    assert_true(before[0] > 60 && unevenness(g, 0) < 8); /* project and residual sum are one group */
    assert_true(before[1] > 60 && unevenness(g, 5) < 8);
    for (int k = 0; k < SAMPLES; k++) {
        kf__dense got = output(g, k);
        double error = 0, power = 0;
        for (int i = 0; i < 3 * SIDE * SIDE; i++) {
            double w = (double)((const float *)want[k].data)[i], d = (double)((const float *)got.data)[i] - w;
            error += d * d, power += w * w;
        }
        if (!(error < 1e-10 * power)) fail_msg("sample %d: relative error %g", k, sqrt(error / power));
    }
    kf__graph_destroy(&g);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(one_channel_is_not_depthwise), T(evens_by_known_factors),     T(ordinary_spread_is_left_alone),
        T(hswish_is_left_alone),         T(relu6_is_left_alone),        T(shared_weights_are_left_alone),
        T(outputs_are_left_alone),       T(a_block_keeps_its_function),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
