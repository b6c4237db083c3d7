/* A small quantized network with one of everything that MobileNetV3 has, for the tests of raising and of the ONNX
 * writer; test code only. Owner rule: the caller destroys the graph. */
#ifndef TEST_QUANTIZED_GRAPH_H
#define TEST_QUANTIZED_GRAPH_H

#include "graph_builder.h"

#include <fenv.h>

#include "passes/passes.h"
#include "program/program.h"
#include "ref/ref.h"

#include "../e2e/quantize_helper.h"

/* Pixels, a depthwise layer with scales by channel, a gate, a residual, a head: quantized by the helper of the
 * end-to-end tests. */
static inline kf__graph *quantized_graph(int wide_every, kf__act hidden) {
    kf__graph *g = gb_new();
    kf_error err = {0};
    kf__arena arena;
    g->meta.preprocess = (kf_preprocess){
        .valid = 1, .width = 11, .height = 12, .crop_pct = 1, .mean = {0.5, 0.4, 0.3}, .std = {0.2, 0.25, 0.3}};
    kf__vid x = gb_input(g, "picture", S(1, 3, 12, 11));
    kf__vid a =
        NODE(g, HARD_SWISH, "swish", gb_conv(g, "stem", x, gb_random(g, S(8, 3, 3, 3)), gb_random(g, S(8)), 2, 1, 1));
    kf__vid b = gb_conv(g, "wide", a, gb_random(g, S(16, 8, 1, 1)), gb_random(g, S(16)), 1, 0, 1);
    b = NODE(g, RELU, "relu2", gb_conv(g, "dw", b, gb_random(g, S(16, 1, 3, 3)), gb_random(g, S(16)), 1, 1, 16));
    kf__vid s = gb_conv(g, "reduce/Conv", NODE(g, GLOBAL_AVG_POOL, "squeeze", b), gb_random(g, S(4, 16, 1, 1)),
                        gb_random(g, S(4)), 1, 0, 1);
    s = hidden == KF_ACT_CLIP ? NODE(g, RELU, "hidden", s) : NODE(g, HARD_SWISH, "hidden", s);
    s = NODE(g, HARD_SIGMOID, "gate",
             gb_conv(g, "expand/Conv", s, gb_random(g, S(16, 4, 1, 1)), gb_random(g, S(16)), 1, 0, 1));
    gb_last(g)->attrs.alpha = 1.0f / 6, gb_last(g)->attrs.beta = 0.5f;
    b = NODE(g, MUL, "scale", b, s);
    b = NODE(g, ADD, "sum", gb_conv(g, "pw", b, gb_random(g, S(8, 16, 1, 1)), gb_random(g, S(8)), 1, 0, 1), a);
    b = NODE(g, FLATTEN, "flat", NODE(g, GLOBAL_AVG_POOL, "pool", b));
    gb_last(g)->attrs.axis = 1;
    b = NODE(g, GEMM, "head", b, gb_random(g, S(5, 8)), gb_random(g, S(5)));
    gb_last(g)->attrs.alpha = gb_last(g)->attrs.beta = 1, gb_last(g)->attrs.trans_b = 1;
    gb_output(g, b);
    gb_ok(kf__graph_infer(g, &err), &err);
    gb_ok(kf__passes_run(g, KF_OPTIMIZE_FUSE, &err), &err);
    assert_int_equal(gb_count(g, KF_OP_SE_GATE), 1);
    kf__arena_init(&arena, NULL);
    kf__dense in = {0};
    gb_ok(kf__ref_alloc(&in, KF_F32, &g->values[g->inputs[0]].shape, &arena, &err), &err);
    kf__random r = {.state = 3};
    for (size_t i = 0; i < 3 * 12 * 11; i++) ((float *)in.data)[i] = (float)(kf__random_unit(&r) * 4 - 2);
    fesetround(FE_TONEAREST);
    gb_ok(qh_quantize(g, &in, 1, wide_every, &err), &err);
    kf__arena_free(&arena);
    return g;
}

#endif
