/* The one builder of the family: blocks of a table row become graph nodes, weights come from a callback. Node and value
 * names follow PyTorch's ONNX export, so that the ONNX importer and this builder give the same program.
 * Owner rule: everything lives in the graph's arena; scratch for folding lives in the builder's. */
#include "zoo/zoo.h"

#include <math.h>
#include <stdio.h>

typedef struct builder {
    const kf__zoo_request *r;
    const kf__zoo_arch *a;
    kf__graph *g;
    kf__arena scratch;
    kf_error *err;
    kf__vid x;              /* the value that was built last */
    int32_t channels, h, w; /* of x */
    int64_t parameters;
    size_t at; /* index of the next torchvision feature */
} builder;

enum { NAME = 128 };

/* Names consist of a few short parts, so they fit. */
static void KF_PRINTF(3, 4) text(char *to, size_t size, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    kf__text_vprint(to, size, fmt, args);
    va_end(args);
}

typedef enum nonlinearity { LINEAR, RELU, HSWISH } nonlinearity;

static kf_status get(builder *b, const char *prefix, const char *leaf, int rank, const int64_t *dim,
                     const float **data) {
    char key[2 * NAME];
    kf__shape s = kf__shape_make(rank, dim);
    size_t n;
    text(key, sizeof key, "%s.%s", prefix, leaf);
    if (!kf__shape_count(&s, &n)) KF_FAIL(b->err, KF_ERR_SHAPE, "%s: its size overflows", key);
    if (strncmp(leaf, "running", 7) != 0) b->parameters += (int64_t)n;
    const float *from = NULL;
    if (b->r->weight) KF_TRY(b->r->weight(b->r->user, key, &s, &from, b->err));
    float *copy = kf__arena_zalloc(&b->scratch, n * sizeof *copy);
    if (!copy) KF_FAIL_MEMORY(b->err, n * sizeof *copy);
    if (from) memcpy(copy, from, n * sizeof *copy);
    b->g->meta.source_parameters += (int64_t)n;
    *data = copy;
    return KF_OK;
}

/* A new node after x (or after in[0]): its output "<name>_output_0" becomes *out. */
static kf_status node(builder *b, kf__op op, const char *name, const kf__vid *in, int n_in, const kf__attrs *attrs,
                      kf__vid *out) {
    char value[2 * NAME];
    const kf__shape unknown = {.rank = -1};
    text(value, sizeof value, "%s_output_0", name);
    kf__vid v = kf__graph_add_value(b->g, value, KF_F32, &unknown);
    kf__node *n = v < 0 ? NULL : kf__graph_add_node(b->g, op, name, in, n_in, &v, 1);
    if (!n) KF_FAIL_MEMORY(b->err, sizeof *n);
    if (attrs) n->attrs = *attrs;
    n->origin = (int32_t)b->g->n_nodes - 1;
    *out = v;
    return KF_OK;
}

static kf_status constant(builder *b, const char *prefix, const char *leaf, int rank, const int64_t *dim,
                          const float *data, kf__vid *out) {
    char name[2 * NAME];
    kf__shape s = kf__shape_make(rank, dim);
    text(name, sizeof name, "%s.%s", prefix, leaf);
    *out = kf__graph_add_const(b->g, name, KF_F32, &s, data);
    if (*out < 0) KF_FAIL_MEMORY(b->err, name[0]);
    return KF_OK;
}

/* x -> act(x). h-swish becomes two ONNX nodes, as in opsets below 14. */
static kf_status activation(builder *b, nonlinearity act, const char *where) {
    char name[2 * NAME];
    if (act == LINEAR) return KF_OK;
    if (act == RELU) {
        text(name, sizeof name, "%s/Relu", where);
        return node(b, KF_OP_RELU, name, &b->x, 1, NULL, &b->x);
    }
    kf__attrs at = {.alpha = 1.0f / 6.0f, .beta = 0.5f};
    kf__vid in[2] = {b->x, -1};
    text(name, sizeof name, "%s/HardSigmoid", where);
    KF_TRY(node(b, KF_OP_HARD_SIGMOID, name, &b->x, 1, &at, &in[1]));
    text(name, sizeof name, "%s/Mul", where);
    return node(b, KF_OP_MUL, name, in, 2, NULL, &b->x);
}

static void pads(const builder *b, int32_t k, int32_t s, kf__window *c) {
    c->pt = c->pl = c->pb = c->pr = (k - 1) / 2;
    if (!b->a->same_padding) return;
    int32_t v = ((b->h + s - 1) / s - 1) * s + k - b->h, u = ((b->w + s - 1) / s - 1) * s + k - b->w;
    if (v < 0) v = 0;
    if (u < 0) u = 0;
    c->pt = v / 2, c->pb = v - v / 2, c->pl = u / 2, c->pr = u - u / 2;
}

/* Fold a batch norm into w[o, per]: s = g / sqrtf(v + eps), w * s, b - mu * s, in f32 (docs/NUMERICS.md). */
static kf_status fold(builder *b, const char *bn, int64_t out, size_t per, float *w, float *bias) {
    const float *p[4] = {NULL};
    static const char *const LEAF[4] = {"weight", "bias", "running_mean", "running_var"};
    for (int i = 0; i < 4; i++) KF_TRY(get(b, bn, LEAF[i], 1, &out, &p[i]));
    for (int64_t o = 0; o < out; o++) {
        if (p[3][o] < 0)
            KF_FAIL(b->err, KF_ERR_CORRUPT, "%s.running_var: channel %lld is negative; the checkpoint is damaged", bn,
                    (long long)o);
        float s = p[0][o] / sqrtf(p[3][o] + b->a->epsilon);
        for (size_t i = 0; i < per; i++) w[(size_t)o * per + i] *= s;
        bias[o] = p[1][o] - p[2][o] * s;
    }
    return KF_OK;
}

typedef struct conv_spec {
    const char *key, *bn; /* tensor prefixes; bn NULL: the convolution has its own bias (or none) */
    const char *node, *act_node;
    int32_t out, kernel, stride;
    bool depthwise, no_bias;
    nonlinearity act;
} conv_spec;

static kf_status conv(builder *b, const conv_spec *s) {
    int64_t per = s->depthwise ? 1 : b->channels, out = s->out, dim[4] = {out, per, s->kernel, s->kernel};
    const float *from = NULL, *own = NULL;
    char name[2 * NAME];
    kf__vid in[3] = {b->x, -1, -1};
    kf__attrs at = {.window = {.kh = s->kernel,
                               .kw = s->kernel,
                               .sh = s->stride,
                               .sw = s->stride,
                               .dh = 1,
                               .dw = 1,
                               .group = s->depthwise ? s->out : 1}};
    pads(b, s->kernel, s->stride, &at.window);
    KF_TRY(get(b, s->key, "weight", 4, dim, &from));
    float *bias = kf__arena_zalloc(&b->scratch, (size_t)out * sizeof *bias);
    if (!bias) KF_FAIL_MEMORY(b->err, (size_t)out * sizeof *bias);
    if (s->bn) KF_TRY(fold(b, s->bn, out, (size_t)(per * s->kernel * s->kernel), (float *)(uintptr_t)from, bias));
    else if (!s->no_bias) KF_TRY(get(b, s->key, "bias", 1, &out, &own));
    KF_TRY(constant(b, s->key, "weight", 4, dim, from, &in[1]));
    if (s->bn || own) KF_TRY(constant(b, s->key, "bias", 1, &out, own ? own : bias, &in[2]));
    text(name, sizeof name, "%s/Conv", s->node);
    KF_TRY(node(b, KF_OP_CONV, name, in, in[2] < 0 ? 2 : 3, &at, &b->x));
    b->channels = s->out;
    b->h = (b->h + at.window.pt + at.window.pb - s->kernel) / s->stride + 1;
    b->w = (b->w + at.window.pl + at.window.pr - s->kernel) / s->stride + 1;
    kf__arena_free(&b->scratch);
    kf__arena_init(&b->scratch, NULL);
    return activation(b, s->act, s->act_node);
}

/* Pool, reduce, activation, expand, gate, multiply. */
static kf_status squeeze_excite(builder *b, const char *key, const char *where, nonlinearity act) {
    bool timm = b->a->style == KF_ZOO_TIMM;
    int32_t channels = b->channels, h = b->h, w = b->w;
    int32_t reduced = b->a->se_exact ? (int32_t)kf__whole(rint(0.25 * channels), 0, 1 << 20, 0)
                                     : kf__zoo_round_channels(timm ? 0.25 * channels : channels / 4);
    char k[NAME], at[NAME], act_at[NAME], name[NAME + 32];
    kf__vid kept = b->x, scale[2];
    text(name, sizeof name, timm ? "%s/ReduceMean" : "%s/avgpool/GlobalAveragePool", where);
    kf__attrs mean = {.keepdims = 1, .n_axes = 2, .axes = {2, 3}};
    if (timm) KF_TRY(node(b, KF_OP_REDUCE_MEAN, name, &b->x, 1, &mean, &b->x));
    else KF_TRY(node(b, KF_OP_GLOBAL_AVG_POOL, name, &b->x, 1, NULL, &b->x));
    b->h = b->w = 1;
    conv_spec s = {.key = k, .node = at, .act_node = act_at, .out = reduced, .kernel = 1, .stride = 1, .act = act};
    text(k, sizeof k, "%s.%s", key, timm ? "conv_reduce" : "fc1");
    text(at, sizeof at, "%s/%s", where, timm ? "conv_reduce" : "fc1");
    text(act_at, sizeof act_at, "%s/%s", where, timm ? "act1" : "activation");
    KF_TRY(conv(b, &s));
    text(k, sizeof k, "%s.%s", key, timm ? "conv_expand" : "fc2");
    text(at, sizeof at, "%s/%s", where, timm ? "conv_expand" : "fc2");
    s.out = channels;
    s.act = LINEAR;
    KF_TRY(conv(b, &s));
    kf__attrs gate = {.alpha = 1.0f / 6.0f, .beta = 0.5f};
    text(name, sizeof name, timm ? "%s/gate/HardSigmoid" : "%s/scale_activation/HardSigmoid", where);
    KF_TRY(node(b, KF_OP_HARD_SIGMOID, name, &b->x, 1, &gate, &scale[1]));
    scale[0] = timm ? kept : scale[1];
    if (!timm) scale[1] = kept;
    text(name, sizeof name, "%s/Mul", where);
    KF_TRY(node(b, KF_OP_MUL, name, scale, 2, NULL, &b->x));
    b->channels = channels, b->h = h, b->w = w;
    return KF_OK;
}

/* Names of one part of a block. timm numbers batch norms separately; torchvision numbers the parts. */
typedef struct part {
    char key[NAME], bn[NAME], node[NAME], act[NAME];
} part;

static void timm_part(part *p, const char *block, const char *at, const char *conv_name, int bn) {
    text(p->key, NAME, "%s.%s", block, conv_name);
    text(p->bn, NAME, "%s.bn%d", block, bn);
    text(p->node, NAME, "%s/%s", at, conv_name);
    text(p->act, NAME, "%s/bn%d/act", at, bn);
}

static void vision_part(part *p, const char *block, const char *at, int index) {
    text(p->key, NAME, "%s.block.%d.0", block, index);
    text(p->bn, NAME, "%s.block.%d.1", block, index);
    text(p->node, NAME, "%s/block/block.%d/block.%d.0", at, index, index);
    text(p->act, NAME, "%s/block/block.%d/block.%d.2", at, index, index);
}

static kf_status conv_part(builder *b, const part *p, int32_t out, int32_t kernel, int32_t stride, bool depthwise,
                           nonlinearity act) {
    conv_spec s = {.key = p->key,
                   .bn = p->bn,
                   .node = p->node,
                   .act_node = p->act,
                   .out = out,
                   .kernel = kernel,
                   .stride = stride,
                   .depthwise = depthwise,
                   .act = act};
    return conv(b, &s);
}

/* One block of a row: expand (unless separable), depthwise, squeeze-and-excite, project, residual. */
static kf_status block(builder *b, const kf__zoo_row *row, int32_t stride, const char *key, const char *at) {
    bool timm = b->a->style == KF_ZOO_TIMM, bottleneck = row->kind == KF_ZOO_BOTTLENECK;
    nonlinearity act = row->relu || b->a->minimal ? RELU : HSWISH;
    int32_t out = kf__zoo_round_channels(row->out * b->a->width), in = b->channels, bn = 1, index = 0;
    int32_t mid = bottleneck ? kf__zoo_round_channels(in * row->expansion) : in;
    kf__vid kept = b->x;
    part p;
    char se_key[NAME], se_at[NAME];
    if (bottleneck) {
        if (timm) timm_part(&p, key, at, "conv_pw", bn++);
        else vision_part(&p, key, at, index++);
        KF_TRY(conv_part(b, &p, mid, 1, 1, false, act));
    }
    if (timm) timm_part(&p, key, at, "conv_dw", bn++);
    else vision_part(&p, key, at, index++);
    KF_TRY(conv_part(b, &p, mid, row->kernel, stride, true, act));
    if (row->se) {
        text(se_key, NAME, timm ? "%s.se" : "%s.block.%d", key, index);
        text(se_at, NAME, timm ? "%s/se" : "%s/block/block.%d", at, index++);
        KF_TRY(squeeze_excite(b, se_key, se_at, b->a->se_exact ? act : RELU));
    }
    if (timm) timm_part(&p, key, at, bottleneck ? "conv_pwl" : "conv_pw", bn);
    else vision_part(&p, key, at, index);
    KF_TRY(conv_part(b, &p, out, 1, 1, false, LINEAR));
    if (stride != 1 || in != out || (row->stage == 0 && b->a->no_skip0)) return KF_OK;
    kf__vid sum[2] = {b->x, kept};
    char name[NAME + 8];
    text(name, sizeof name, "%s/Add", at);
    return node(b, KF_OP_ADD, name, sum, 2, NULL, &b->x);
}

/* Rows first..last are one stage: repeats scaled by the depth multiplier, given out from the last row backwards as timm
 * does. */
static void scale_depth(const kf__zoo_row *rows, int n, double depth, int *repeats) {
    int total = 0;
    for (int i = 0; i < n; i++) total += rows[i].repeats;
    int scaled = (int)kf__whole(ceil(total * depth - 1e-9), 0, 1 << 10, 0);
    for (int i = n - 1; i >= 0; i--) {
        double share = rint((double)rows[i].repeats / total * scaled);
        repeats[i] = (int)kf__whole(share, 1, 1 << 10, 1);
        total -= rows[i].repeats;
        scaled -= repeats[i];
    }
}

static kf_status stage(builder *b, const kf__zoo_row *rows, int n) {
    int repeats[4], index = 0;
    bool timm = b->a->style == KF_ZOO_TIMM;
    scale_depth(rows, n, b->a->depth, repeats);
    for (int i = 0; i < n; i++)
        for (int k = 0; k < repeats[i]; k++, index++) {
            char key[48], at[64];
            part p;
            if (timm) {
                text(key, sizeof key, "blocks.%d.%d", rows[i].stage, index);
                text(at, sizeof at, "/blocks/blocks.%d/%s", rows[i].stage, key);
            } else {
                text(key, sizeof key, "features.%zu", b->at++);
                text(at, sizeof at, "/features/%s", key);
            }
            if (rows[i].kind != KF_ZOO_CONV) {
                KF_TRY(block(b, &rows[i], index == 0 ? rows[i].stride : 1, key, at));
                continue;
            }
            if (timm) timm_part(&p, key, at, "conv", 1);
            else {
                text(p.key, NAME, "%s.0", key), text(p.bn, NAME, "%s.1", key);
                text(p.node, NAME, "%s/%s.0", at, key), text(p.act, NAME, "%s/%s.2", at, key);
            }
            KF_TRY(conv_part(b, &p, kf__zoo_round_channels(rows[i].out * b->a->width), 1, 1, false,
                             b->a->minimal ? RELU : HSWISH));
        }
    return KF_OK;
}

static kf_status linear(builder *b, const char *key, const char *name, int32_t out) {
    int64_t dim[2] = {out, b->channels};
    const float *w = NULL, *bias = NULL;
    kf__vid in[3] = {b->x, -1, -1};
    kf__attrs at = {.alpha = 1, .beta = 1, .trans_b = 1};
    KF_TRY(get(b, key, "weight", 2, dim, &w));
    KF_TRY(get(b, key, "bias", 1, dim, &bias));
    KF_TRY(constant(b, key, "weight", 2, dim, w, &in[1]));
    KF_TRY(constant(b, key, "bias", 1, dim, bias, &in[2]));
    b->channels = out;
    return node(b, KF_OP_GEMM, name, in, 3, &at, &b->x);
}

static kf_status head(builder *b) {
    kf__attrs flat = {.axis = 1};
    nonlinearity act = b->a->minimal ? RELU : HSWISH;
    if (b->a->style == KF_ZOO_TORCHVISION) {
        KF_TRY(node(b, KF_OP_GLOBAL_AVG_POOL, "/avgpool/GlobalAveragePool", &b->x, 1, NULL, &b->x));
        KF_TRY(node(b, KF_OP_FLATTEN, "/Flatten", &b->x, 1, &flat, &b->x));
        KF_TRY(linear(b, "classifier.0", "/classifier/classifier.0/Gemm", b->a->features));
        KF_TRY(activation(b, act, "/classifier/classifier.1"));
        return linear(b, "classifier.3", "/classifier/classifier.3/Gemm", b->r->classes);
    }
    KF_TRY(node(b, KF_OP_GLOBAL_AVG_POOL, "/global_pool/pool/GlobalAveragePool", &b->x, 1, NULL, &b->x));
    b->h = b->w = 1;
    conv_spec s = {.key = "conv_head",
                   .node = "/conv_head",
                   .act_node = "/act2",
                   .out = b->a->features,
                   .kernel = 1,
                   .stride = 1,
                   .act = act,
                   .no_bias = b->a->no_head_bias};
    KF_TRY(conv(b, &s));
    KF_TRY(node(b, KF_OP_FLATTEN, "/flatten/Flatten", &b->x, 1, &flat, &b->x));
    return linear(b, "classifier", "/classifier/Gemm", b->r->classes);
}

static kf_status stem(builder *b) {
    bool timm = b->a->style == KF_ZOO_TIMM;
    const conv_spec s = {.key = timm ? "conv_stem" : "features.0.0",
                         .bn = timm ? "bn1" : "features.0.1",
                         .node = timm ? "/conv_stem" : "/features/features.0/features.0.0",
                         .act_node = timm ? "/bn1/act" : "/features/features.0/features.0.2",
                         .out = b->a->fixed_stem ? 16 : kf__zoo_round_channels(16 * b->a->width),
                         .kernel = 3,
                         .stride = 2,
                         .act = b->a->minimal ? RELU : HSWISH};
    b->at = 1;
    return conv(b, &s);
}

static kf_status build(builder *b) {
    kf__shape in = kf__shape_make(4, (int64_t[]){1, 3, b->r->height, b->r->width});
    kf__graph *g = b->g;
    b->x = kf__graph_add_value(g, "data", KF_F32, &in);
    g->inputs = kf__arena_array(&g->arena, 1, sizeof *g->inputs);
    g->outputs = kf__arena_array(&g->arena, 1, sizeof *g->outputs);
    g->name = kf__arena_strdup(&g->arena, b->a->name);
    g->meta.arch = g->name;
    if (b->x < 0 || !g->inputs || !g->outputs || !g->name) KF_FAIL_MEMORY(b->err, sizeof *g->inputs);
    g->inputs[g->n_inputs++] = b->x;
    g->opset = 11, g->ir_version = 6;
    b->channels = 3, b->h = b->r->height, b->w = b->r->width;
    KF_TRY(stem(b));
    for (int i = 0, n = 1; i < b->a->n_rows; i += n, n = 1) {
        while (i + n < b->a->n_rows && b->a->rows[i + n].stage == b->a->rows[i].stage) n++;
        KF_TRY(stage(b, b->a->rows + i, n));
    }
    KF_TRY(head(b));
    g->outputs[g->n_outputs++] = b->x;
    if (!(g->values[b->x].name = kf__arena_strdup(&g->arena, "output"))) KF_FAIL_MEMORY(b->err, 8);
    return kf__graph_infer(g, b->err);
}

kf_status kf__zoo_build(const kf__zoo_request *request, kf__graph **out, kf_error *err) {
    builder b = {.r = request, .a = request->arch, .err = err};
    *out = NULL;
    if (request->classes < 1 || request->classes > 1 << 20 || request->height < 8 || request->width < 8 ||
        request->height > 8192 || request->width > 8192)
        KF_FAIL(err, KF_ERR_ARGUMENT,
                "%s: %d classes at %d x %d: 1 to 1048576 classes and 8 to 8192 pixels are possible", b.a->name,
                request->classes, request->width, request->height);
    KF_TRY(kf__graph_create(&b.g, err));
    kf__arena_init(&b.scratch, NULL);
    kf_status st = build(&b);
    kf__arena_free(&b.scratch);
    if (st != KF_OK) {
        kf__graph_destroy(&b.g);
        return st;
    }
    if (request->parameters) *request->parameters = b.parameters;
    *out = b.g;
    return KF_OK;
}
