/* One small program with every important kind of step, built by hand with seeded weights; test code only.
 * Owner rule: the caller destroys the program. */
#ifndef TEST_PROGRAM_BUILDER_H
#define TEST_PROGRAM_BUILDER_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "program/program.h"

static inline int32_t pb_tensor(kf__program *p, const char *name, int32_t h, int32_t w, int32_t c) {
    p->tensors[p->n_tensors] =
        (kf__ptensor){.name = name, .dtype = KF_F32, .n = 1, .h = h, .w = w, .c = c, .scales = -1, .zeros = -1};
    return p->n_tensors++;
}

static inline int32_t pb_const(kf__program *p, kf__random *r, int rank, const int64_t *dim) {
    kf__shape s = kf__shape_make(rank, dim);
    size_t n = 0;
    assert_true(kf__shape_count(&s, &n));
    float *data = kf__arena_array(&p->arena, n, sizeof *data);
    for (size_t i = 0; i < n; i++) data[i] = (float)(kf__random_unit(r) - 0.5);
    p->consts[p->n_consts] =
        (kf__pconst){kf__arena_printf(&p->arena, "const%d", p->n_consts), KF_F32, s, data, n * 4, false, 0};
    return p->n_consts++;
}

#define PB_CONST(p, r, ...)                                                                                            \
    pb_const(p, r, sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t), (const int64_t[]){__VA_ARGS__})

static inline kf__step *pb_step(kf__program *p, kf__step_op op, const char *name, int32_t in, int32_t out) {
    kf__step *s = &p->steps[p->n_steps++];
    *s = (kf__step){.op = op, .name = name, .n_in = 1, .in = {in}, .out = out, .window = KF_WINDOW_ONE};
    for (int i = 0; i < KF_CONST_ROLES; i++) s->consts[i] = -1;
    s->sources = kf__arena_array(&p->arena, 1, sizeof *s->sources);
    s->sources[0] = name;
    s->n_sources = 1;
    return s;
}

/** 3x8x8 picture, stem 3x3/2 h-swish, depthwise 3x3, gate, scale, 1x1 with residual, pool, classifier of 5. */
static inline kf__program *pb_small(void) {
    kf__program *p = NULL;
    kf__random r = {42};
    assert_int_equal(kf__program_create(&p, NULL, NULL), KF_OK);
    p->tensors = kf__arena_zalloc(&p->arena, 16 * sizeof *p->tensors);
    p->consts = kf__arena_zalloc(&p->arena, 32 * sizeof *p->consts);
    p->steps = kf__arena_zalloc(&p->arena, 16 * sizeof *p->steps);
    p->inputs = kf__arena_zalloc(&p->arena, sizeof *p->inputs);
    p->outputs = kf__arena_zalloc(&p->arena, sizeof *p->outputs);
    int32_t x = pb_tensor(p, "picture", 8, 8, 3), a = pb_tensor(p, "a", 4, 4, 20), b = pb_tensor(p, "b", 4, 4, 20),
            g = pb_tensor(p, "g", 1, 1, 20);
    int32_t c = pb_tensor(p, "c", 4, 4, 20), d = pb_tensor(p, "d", 4, 4, 20), e = pb_tensor(p, "e", 1, 1, 20),
            y = pb_tensor(p, "scores", 1, 1, 5);
    kf__step *s = pb_step(p, KF_STEP_CONV, "stem", x, a);
    s->window.kh = s->window.kw = 3, s->window.sh = s->window.sw = 2, s->window.pt = s->window.pl = 1,
    s->window.pb = s->window.pr = 1;
    s->act = (kf__activation){KF_ACT_HSWISH, 0, 0};
    s->consts[KF_CONST_W] = PB_CONST(p, &r, 20, 3, 3, 3), s->consts[KF_CONST_BIAS] = PB_CONST(p, &r, 20);
    s = pb_step(p, KF_STEP_DWCONV, "depthwise", a, b);
    s->window.kh = s->window.kw = 3, s->window.pt = s->window.pl = s->window.pb = s->window.pr = 1,
    s->window.group = 20;
    s->act = (kf__activation){KF_ACT_CLIP, 0, INFINITY};
    s->consts[KF_CONST_W] = PB_CONST(p, &r, 3, 3, 20), s->consts[KF_CONST_BIAS] = PB_CONST(p, &r, 20);
    s = pb_step(p, KF_STEP_SE_GATE, "gate", b, g);
    s->act = (kf__activation){KF_ACT_CLIP, 0, INFINITY}, s->gate_act = (kf__activation){KF_ACT_HSIGMOID, 0, 0};
    s->consts[KF_CONST_W] = PB_CONST(p, &r, 8, 20), s->consts[KF_CONST_BIAS] = PB_CONST(p, &r, 8);
    s->consts[KF_CONST_W2] = PB_CONST(p, &r, 20, 8), s->consts[KF_CONST_BIAS2] = PB_CONST(p, &r, 20);
    s = pb_step(p, KF_STEP_SCALE, "scale", b, c);
    s->in[1] = g, s->n_in = 2;
    s = pb_step(p, KF_STEP_CONV, "project", c, d);
    s->in[1] = a, s->n_in = 2;
    s->consts[KF_CONST_W] = PB_CONST(p, &r, 20, 1, 1, 20), s->consts[KF_CONST_BIAS] = PB_CONST(p, &r, 20);
    pb_step(p, KF_STEP_GLOBAL_POOL, "pool", d, e);
    s = pb_step(p, KF_STEP_FC, "classifier", e, y);
    s->consts[KF_CONST_W] = PB_CONST(p, &r, 5, 20), s->consts[KF_CONST_BIAS] = PB_CONST(p, &r, 5);
    p->inputs[p->n_inputs++] = (kf__pinput){.name = "picture", .tensor = x, .rank = 4, .shape = {1, 3, 8, 8}};
    p->outputs[p->n_outputs++] = (kf__poutput){.name = "scores", .tensor = y, .rank = 2, .shape = {1, 5}};
    static const char *labels[] = {"one", "two", "three \"quoted\"", "vier\xC3\xA4", "five"};
    p->meta =
        (kf__pmeta){.name = "small", .kitfox = "test", .n_labels = 5, .labels = labels, .parameters = 1234, .macs = 99};
    p->meta.preprocess = (kf_preprocess){.valid = 1,
                                         .width = 8,
                                         .height = 8,
                                         .crop_pct = 0.875,
                                         .filter = KF_FILTER_BICUBIC,
                                         .mean = {0.485, 0.456, 0.406},
                                         .std = {0.229, 0.224, 0.225}};
    return p;
}

/** The first input declared as [n, h, w, c]. */
static inline void pb_nhwc(kf__program *p) {
    const kf__ptensor *t = &p->tensors[p->inputs[0].tensor];
    kf__pinput *in = &p->inputs[0];
    in->layout = 1;
    in->shape[1] = t->h;
    in->shape[2] = t->w;
    in->shape[3] = t->c;
}

/** The first input takes u8 pixels, which a first step makes numbers. */
static inline void pb_pixels(kf__program *p) {
    kf__ptensor *t = &p->tensors[p->inputs[0].tensor];
    kf__step first, stem = p->steps[0];
    int32_t real = pb_tensor(p, "numbers", t->h, t->w, t->c);
    t->dtype = KF_U8;
    t->scale = 1;
    t->qmax = 255;
    p->inputs[0].pixels = 1;
    first = *pb_step(p, KF_STEP_DEQUANTIZE, "convert", p->inputs[0].tensor, real);
    for (int32_t i = p->n_steps - 1; i > 0; i--) p->steps[i] = p->steps[i - 1];
    p->steps[0] = first;
    p->steps[1] = stem;
    p->steps[1].in[0] = real;
}

#endif
