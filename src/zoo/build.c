/* A graph of one variant: node names as timm's exporter writes them, batch norms unfolded.
 * Floor 4.
 * Owner rule: weights are copied into the graph's arena. */
#include "zoo/zoo.h"

#include <stdio.h>

enum { NAME = 160 };
typedef struct builder {
    const kf__zoo_variant *v;
    kf__graph *g;
    kf__zoo_fetch fetch;
    void *user;
    kf_error *err;
    int64_t c, side; /* of the current value */
    kf__vid x;
} builder;

/* make_divisible: to the nearest multiple of 8, not below 90 %. */
static int64_t divisible(double x) {
    int64_t n = (int64_t)(x + 4) / 8 * 8;
    if (n < 8) n = 8;
    return (double)n < 0.9 * x ? n + 8 : n;
}

static kf_status constant(builder *b, const char *module, const char *what, int rank, const int64_t *dim, kf__vid *out) {
    char name[NAME];
    const float *data;
    kf__shape s = kf__shape_make(rank, dim);
    snprintf(name, sizeof name, "%s.%s", module, what);
    KF_TRY(b->fetch(b->user, name, &s, &data, b->err));
    *out = kf__graph_add_const(b->g, name, KF_F32, &s, data);
    if (*out < 0) KF_FAIL_MEMORY(b->err, 64);
    return KF_OK;
}

static kf_status node(builder *b, kf__op op, const char *path, const kf__vid *in, int n_in, const char *value, kf__node **out) {
    char name[NAME], made[2 * NAME];
    snprintf(name, sizeof name, "%s/%s", path, kf__op_name(op));
    snprintf(made, sizeof made, "%s_output_0", name);
    kf__vid y = kf__graph_add_value(b->g, value ? value : made, KF_F32, NULL);
    kf__node *n = y < 0 ? NULL : kf__graph_add_node(b->g, op, name, in, n_in, &y, 1);
    if (!n) KF_FAIL_MEMORY(b->err, 64);
    b->x = y;
    if (out) *out = n;
    return KF_OK;
}

static kf_status batch_norm(builder *b, const char *module, const char *path, const char *value) {
    static const char *const PARTS[] = {"weight", "bias", "running_mean", "running_var"};
    kf__vid in[5] = {b->x};
    kf__node *n;
    for (int i = 0; i < 4; i++) KF_TRY(constant(b, module, PARTS[i], 1, &b->c, &in[1 + i]));
    KF_TRY(node(b, KF_OP_BATCH_NORM, path, in, 5, value, &n));
    n->attrs.epsilon = b->v->epsilon;
    n->n_sources = 0; /* an exporter folds it: it leaves no name behind */
    return KF_OK;
}

/* Convolution at module and path; bn NULL: it has a bias of its own if `bias`. */
static kf_status conv(builder *b, const char *module, const char *path, int64_t out, int k, int s, int64_t group, const char *bn, bool bias) {
    char value[NAME + 16];
    int64_t dim[4] = {out, b->c / group, k, k}, to = (b->side + s - 1) / s;
    kf__vid in[3] = {b->x, -1, -1};
    kf__node *n;
    KF_TRY(constant(b, module, "weight", 4, dim, &in[1]));
    if (bias) KF_TRY(constant(b, module, "bias", 1, &out, &in[2]));
    KF_TRY(node(b, KF_OP_CONV, path, in, bias ? 3 : 2, bn ? "" : NULL, &n));
    int32_t total = b->v->same ? (int32_t)kf__max_i64((to - 1) * s + k - b->side, 0) : k / 2 * 2, lo = total / 2;
    n->attrs.conv = (kf__conv_attrs){k, k, s, s, 1, 1, (int32_t)group, lo, lo, total - lo, total - lo};
    b->c = out;
    b->side = to;
    snprintf(value, sizeof value, "%s/Conv_output_0", path);
    return bn ? batch_norm(b, bn, path, value) : KF_OK;
}

static kf_status act(builder *b, const char *path, bool hswish) {
    kf__vid in[2] = {b->x, -1};
    kf__node *n;
    if (!hswish) return node(b, KF_OP_RELU, path, in, 1, NULL, NULL);
    KF_TRY(node(b, KF_OP_HARD_SIGMOID, path, in, 1, NULL, &n));
    n->attrs.alpha = 1.0f / 6;
    n->attrs.beta = 0.5f;
    in[1] = b->x;
    return node(b, KF_OP_MUL, path, in, 2, NULL, NULL);
}

static kf_status squeeze(builder *b, const char *module, const char *path, bool hswish) {
    char m[NAME], p[NAME];
    kf__vid from = b->x;
    kf__node *n;
    int64_t c = b->c, side = b->side;
    snprintf(p, sizeof p, "%s/se", path);
    KF_TRY(node(b, KF_OP_REDUCE_MEAN, p, &from, 1, NULL, &n));
    n->attrs.n_axes = 2, n->attrs.axes[0] = 2, n->attrs.axes[1] = 3, n->attrs.keepdims = 1;
    b->side = 1;
    snprintf(m, sizeof m, "%s.se.conv_reduce", module), snprintf(p, sizeof p, "%s/se/conv_reduce", path);
    KF_TRY(conv(b, m, p, b->v->rw ? (c + 2) / 4 : divisible((double)c * 0.25), 1, 1, 1, NULL, true));
    snprintf(p, sizeof p, "%s/se/act1", path);
    KF_TRY(act(b, p, b->v->rw && hswish));
    snprintf(m, sizeof m, "%s.se.conv_expand", module), snprintf(p, sizeof p, "%s/se/conv_expand", path);
    KF_TRY(conv(b, m, p, c, 1, 1, 1, NULL, true));
    snprintf(p, sizeof p, "%s/se/gate", path);
    KF_TRY(node(b, KF_OP_HARD_SIGMOID, p, &b->x, 1, NULL, &n));
    n->attrs.alpha = 1.0f / 6;
    n->attrs.beta = 0.5f;
    b->side = side;
    snprintf(p, sizeof p, "%s/se", path);
    return node(b, KF_OP_MUL, p, (kf__vid[]){from, b->x}, 2, NULL, NULL);
}

/* One convolution of a block, with its batch norm number `i` and, unless linear, its activation. */
static kf_status part(builder *b, const char *module, const char *path, const char *name, int i, int64_t out, int k, int s, int64_t group, int kind) {
    char m[NAME], p[NAME], bn[NAME];
    snprintf(m, sizeof m, "%s.%s", module, name), snprintf(p, sizeof p, "%s/%s", path, name), snprintf(bn, sizeof bn, "%s.bn%d", module, i);
    KF_TRY(conv(b, m, p, out, k, s, group, bn, false));
    snprintf(p, sizeof p, "%s/bn%d/act", path, i);
    return kind < 0 ? KF_OK : act(b, p, kind > 0);
}

static kf_status block(builder *b, const kf__zoo_block *k, int index) {
    char m[48], p[96];
    const kf__zoo_variant *v = b->v;
    kf__vid from = b->x;
    int64_t in = b->c, out = divisible(k->out * v->width), mid = k->expansion == 1 ? in : divisible((double)in * k->expansion);
    int hs = k->hswish && !v->minimal, kernel = v->minimal && k->kernel == 5 ? 3 : k->kernel, i = 1;
    snprintf(m, sizeof m, "blocks.%d.%d", k->stage, index);
    snprintf(p, sizeof p, "/blocks/blocks.%d/%s", k->stage, m);
    if (k->expansion == 0) return part(b, m, p, "conv", 1, out, 1, 1, 1, hs);
    if (k->expansion != 1) KF_TRY(part(b, m, p, "conv_pw", i++, mid, 1, 1, 1, hs));
    KF_TRY(part(b, m, p, "conv_dw", i++, mid, kernel, k->stride, mid, hs));
    if (k->se && !v->minimal) KF_TRY(squeeze(b, m, p, hs));
    KF_TRY(part(b, m, p, k->expansion == 1 ? "conv_pw" : "conv_pwl", i, out, 1, 1, 1, -1));
    if (k->stride != 1 || in != out || (v->rw && k->stage == 0)) return KF_OK;
    return node(b, KF_OP_ADD, p, (kf__vid[]){b->x, from}, 2, NULL, NULL);
}

static kf_status head(builder *b, int64_t classes) {
    kf__node *n;
    kf__vid in[3];
    KF_TRY(node(b, KF_OP_GLOBAL_AVG_POOL, "/global_pool/pool", &b->x, 1, NULL, NULL));
    b->side = 1;
    KF_TRY(conv(b, "conv_head", "/conv_head", b->v->features, 1, 1, 1, NULL, !b->v->rw));
    KF_TRY(act(b, "/act2", !b->v->minimal));
    KF_TRY(node(b, KF_OP_FLATTEN, "/flatten", &b->x, 1, NULL, &n));
    n->attrs.axis = 1;
    in[0] = b->x;
    KF_TRY(constant(b, "classifier", "weight", 2, (int64_t[]){classes, b->c}, &in[1]));
    KF_TRY(constant(b, "classifier", "bias", 1, &classes, &in[2]));
    KF_TRY(node(b, KF_OP_GEMM, "/classifier", in, 3, "output", &n));
    n->attrs.alpha = n->attrs.beta = 1;
    n->attrs.trans_b = 1;
    return KF_OK;
}

static kf_status body(builder *b, int64_t classes) {
    kf__graph *g = b->g;
    kf__shape s = kf__shape_make(4, (int64_t[]){1, 3, b->side, b->side});
    int index = 0;
    g->inputs = kf__arena_alloc(&g->arena, sizeof *g->inputs);
    g->outputs = kf__arena_alloc(&g->arena, sizeof *g->outputs);
    b->x = kf__graph_add_value(g, "data", KF_F32, &s);
    if (!g->inputs || !g->outputs || b->x < 0) KF_FAIL_MEMORY(b->err, 64);
    g->inputs[g->n_inputs++] = b->x;
    KF_TRY(conv(b, "conv_stem", "/conv_stem", b->v->width < 0.75 ? 16 : divisible(16 * b->v->width), 3, 2, 1, "bn1", false));
    KF_TRY(act(b, "/bn1/act", !b->v->minimal));
    for (int i = 0; i < b->v->n_blocks; i++) {
        index = i && b->v->blocks[i].stage == b->v->blocks[i - 1].stage ? index + 1 : 0;
        KF_TRY(block(b, &b->v->blocks[i], index));
    }
    KF_TRY(head(b, classes));
    g->outputs[g->n_outputs++] = b->x;
    g->name = b->v->name;
    g->opset = 11;
    return kf__graph_infer(g, b->err);
}

kf_status kf__zoo_build(const kf__zoo_variant *v, int64_t classes, int64_t side, kf__zoo_fetch fetch, void *user, kf__graph **out, kf_error *err) {
    builder b = {.v = v, .fetch = fetch, .user = user, .err = err, .c = 3, .side = side};
    KF_TRY(kf__graph_create(out, err));
    b.g = *out;
    kf_status st = body(&b, classes);
    if (st != KF_OK) kf__graph_destroy(out);
    return st;
}
