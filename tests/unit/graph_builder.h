/* Small graphs in a few lines, for the tests of passes and of the reference executor; test code only.
 * Owner rule: the graph owns all; gb_free releases it. */
#ifndef TEST_GRAPH_BUILDER_H
#define TEST_GRAPH_BUILDER_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "graph/graph.h"

#define S(...) gb_shape((const int64_t[]){__VA_ARGS__}, sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))
#define F(...) ((const float[]){__VA_ARGS__})
#define I(...) ((const int64_t[]){__VA_ARGS__})

static inline kf__shape gb_shape(const int64_t *d, size_t n) { return kf__shape_make((int)n, d); }

static inline kf__graph *gb_new(void) {
    kf__graph *g = NULL;
    kf_error err = {0};
    if (kf__graph_create(&g, &err) != KF_OK) fail_msg("%s", err.text);
    g->opset = 13;
    g->name = "test";
    return g;
}

static inline kf__vid gb_input(kf__graph *g, const char *name, kf__shape shape) {
    kf__vid v = kf__graph_add_value(g, name, KF_F32, &shape);
    kf__vid *list = kf__arena_array(&g->arena, g->n_inputs + 1, sizeof *list);
    assert_true(v >= 0 && list);
    for (size_t i = 0; i < g->n_inputs; i++) list[i] = g->inputs[i];
    list[g->n_inputs++] = v;
    g->inputs = list;
    return v;
}

static inline void gb_output(kf__graph *g, kf__vid v) {
    kf__vid *list = kf__arena_array(&g->arena, g->n_outputs + 1, sizeof *list);
    assert_non_null(list);
    for (size_t i = 0; i < g->n_outputs; i++) list[i] = g->outputs[i];
    list[g->n_outputs++] = v;
    g->outputs = list;
}

static inline kf__vid gb_const(kf__graph *g, kf__shape shape, const float *data) {
    char name[32];
    snprintf(name, sizeof name, "c%zu", g->n_values);
    kf__vid v = kf__graph_add_const(g, name, KF_F32, &shape, data);
    assert_true(v >= 0);
    return v;
}

static inline kf__vid gb_scalar(kf__graph *g, float x) { return gb_const(g, (kf__shape){0}, &x); }

static inline kf__vid gb_ints(kf__graph *g, const int64_t *data, int64_t n) {
    char name[32];
    kf__shape shape = kf__shape_make(1, &n);
    snprintf(name, sizeof name, "c%zu", g->n_values);
    return kf__graph_add_const(g, name, KF_I64, &shape, data);
}

/** Constant with numbers from a fixed formula, between -0.5 and 0.5. */
static inline kf__vid gb_random(kf__graph *g, kf__shape shape) {
    size_t n = 0;
    assert_true(kf__shape_count(&shape, &n));
    float *d = test_malloc(n * sizeof *d);
    kf__random r = {.state = 7 + g->n_values};
    for (size_t i = 0; i < n; i++) d[i] = (float)(kf__random_unit(&r) - 0.5);
    kf__vid v = gb_const(g, shape, d);
    test_free(d);
    return v;
}

/** Node with up to five inputs (KF_NO_VALUE ends the list when `n_in` says so); returns its output. */
static inline kf__vid gb_node(kf__graph *g, kf__op op, const char *name, int n_in, const kf__vid *in, kf__node **node) {
    char out_name[64];
    snprintf(out_name, sizeof out_name, "%s_out", name);
    kf__vid out = kf__graph_add_value(g, out_name, KF_F32, NULL);
    kf__node *n = kf__graph_add_node(g, op, name, in, n_in, &out, 1);
    assert_true(out >= 0 && n);
    n->attrs.act.lo = -INFINITY;
    n->attrs.act.hi = INFINITY;
    if (node) *node = n;
    return out;
}
#define NODE(g, op, name, ...)                                                                                         \
    gb_node((g), KF_OP_##op, (name), (int)(sizeof((kf__vid[]){__VA_ARGS__}) / sizeof(kf__vid)),                        \
            (kf__vid[]){__VA_ARGS__}, NULL)

static inline kf__node *gb_last(kf__graph *g) { return &g->nodes[g->n_nodes - 1]; }

/** Square convolution without bias unless given. */
static inline kf__vid gb_conv(kf__graph *g, const char *name, kf__vid x, kf__vid w, kf__vid b, int stride, int pad,
                              int group) {
    kf__vid out = b < 0 ? NODE(g, CONV, name, x, w) : NODE(g, CONV, name, x, w, b);
    const kf__shape *s = &g->values[w].shape;
    gb_last(g)->attrs.window = (kf__window){.kh = (int32_t)s->dim[2],
                                            .kw = (int32_t)s->dim[3],
                                            .sh = stride,
                                            .sw = stride,
                                            .dh = 1,
                                            .dw = 1,
                                            .group = group,
                                            .pt = pad,
                                            .pl = pad,
                                            .pb = pad,
                                            .pr = pad};
    return out;
}

static inline void gb_ok(kf_status st, const kf_error *err) {
    if (st != KF_OK) fail_msg("%s: %s", kf_status_name(st), err->text);
}

static inline size_t gb_count(const kf__graph *g, kf__op op) {
    size_t n = 0;
    for (size_t i = 0; i < g->n_nodes; i++) n += !g->nodes[i].dead && g->nodes[i].op == op;
    return n;
}

static inline kf__node *gb_find(const kf__graph *g, kf__op op) {
    for (size_t i = 0; i < g->n_nodes; i++)
        if (!g->nodes[i].dead && g->nodes[i].op == op) return &g->nodes[i];
    return NULL;
}

static inline int gb_has_source(const kf__node *n, const char *name) {
    for (int i = 0; i < n->n_sources; i++)
        if (strcmp(n->sources[i], name) == 0) return 1;
    return 0;
}

#endif
