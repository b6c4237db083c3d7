/* Networks of the sweep: first layer, block, pool, second layer and head, written as ONNX.
 * Weights are made up, of a size that keeps activations near one.
 * Owner rule: see network.h. */
#include "network.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- protobuf ------------------------------------------------------------ */

/* Products in one sum for which the plain quantizer's 16-bit tensors keep 32 bits. */
enum { MOST_TERMS = 1200 };

typedef struct bytes {
    uint8_t *data;
    size_t n, room;
} bytes;

static void put(bytes *b, const void *data, size_t n) {
    if (b->n + n > b->room) {
        b->room = 2 * (b->n + n) + 64;
        uint8_t *grown = realloc(b->data, b->room);
        if (!grown) abort();
        b->data = grown;
    }
    if (n) memcpy(b->data + b->n, data, n);
    b->n += n;
}

static void put_varint(bytes *b, uint64_t v) {
    for (; v > 127; v >>= 7) put(b, &(uint8_t){(uint8_t)(v | 128)}, 1);
    put(b, &(uint8_t){(uint8_t)v}, 1);
}

static void put_int(bytes *b, unsigned field, int64_t v) {
    put_varint(b, field << 3);
    put_varint(b, (uint64_t)v);
}

static void put_bytes(bytes *b, unsigned field, const void *data, size_t n) {
    put_varint(b, field << 3 | 2);
    put_varint(b, n);
    put(b, data, n);
}

static void put_text(bytes *b, unsigned field, const char *s) { put_bytes(b, field, s, strlen(s)); }

/* A message into its parent; it is emptied. */
static void put_message(bytes *b, unsigned field, bytes *message) {
    put_bytes(b, field, message->data, message->n);
    free(message->data);
    *message = (bytes){0};
}

/* ---- the graph under construction ------------------------------------------------------------ */

enum { TYPE_FLOAT = 1, TYPE_INT64 = 7 };
typedef struct maker {
    bytes nodes, initializers, attributes; /* attributes: of the node that comes next */
    kf__random random;
    int serial;
    int n, c, h, w; /* of the value now */
    char now[16];   /* its name */
} maker;

typedef struct name {
    char text[16];
} name;

static name fresh(maker *m, const char *stem) {
    name x;
    snprintf(x.text, sizeof x.text, "%.6s%d", stem, m->serial++);
    return x;
}

static name initializer(maker *m, int rank, const int64_t *dim, int type, const void *data, size_t size) {
    bytes t = {0};
    name x = fresh(m, "c");
    for (int i = 0; i < rank; i++) put_int(&t, 1, dim[i]);
    put_int(&t, 2, type);
    put_text(&t, 8, x.text);
    put_bytes(&t, 9, data, size);
    put_message(&m->initializers, 5, &t);
    return x;
}

static name ints(maker *m, int n, const int64_t *list) {
    return initializer(m, 1, (int64_t[]){n}, TYPE_INT64, list, (size_t)n * sizeof *list);
}

static name scalar(maker *m, float v) { return initializer(m, 0, NULL, TYPE_FLOAT, &v, sizeof v); }

/* Numbers between lo and hi. */
static name numbers(maker *m, int rank, const int64_t *dim, double lo, double hi) {
    size_t n = 1;
    for (int i = 0; i < rank; i++) n *= (size_t)dim[i];
    float *data = malloc(n * sizeof *data);
    if (!data) abort();
    for (size_t i = 0; i < n; i++) data[i] = (float)(lo + (hi - lo) * kf__random_unit(&m->random));
    name x = initializer(m, rank, dim, TYPE_FLOAT, data, n * sizeof *data);
    free(data);
    return x;
}

static void attribute_ints(maker *m, const char *key, int n, const int64_t *list) {
    bytes a = {0};
    put_text(&a, 1, key);
    for (int i = 0; i < n; i++) put_int(&a, 8, list[i]);
    put_int(&a, 20, 7);
    put_message(&m->attributes, 5, &a);
}

static void attribute_int(maker *m, const char *key, int64_t v) {
    bytes a = {0};
    put_text(&a, 1, key);
    put_int(&a, 3, v);
    put_int(&a, 20, 2);
    put_message(&m->attributes, 5, &a);
}

static void attribute_float(maker *m, const char *key, float v) {
    bytes a = {0};
    put_text(&a, 1, key);
    put_varint(&a, 2 << 3 | 5);
    put(&a, &v, sizeof v);
    put_int(&a, 20, 1);
    put_message(&m->attributes, 5, &a);
}

/* A node with the attributes so far; its output is the value now. */
static void node(maker *m, const char *op, int n_in, const char *const *in) {
    bytes b = {0};
    name out = fresh(m, "v"), own = fresh(m, op);
    for (int i = 0; i < n_in; i++) put_text(&b, 1, in[i]);
    put_text(&b, 2, out.text);
    put_text(&b, 3, own.text);
    put_text(&b, 4, op);
    put(&b, m->attributes.data, m->attributes.n);
    m->attributes.n = 0;
    put_message(&m->nodes, 1, &b);
    memcpy(m->now, out.text, sizeof m->now);
}

static void node1(maker *m, const char *op) { node(m, op, 1, (const char *[]){m->now}); }
static void node2(maker *m, const char *op, const char *b) { node(m, op, 2, (const char *[]){m->now, b}); }

/* ---- layers ------------------------------------------------------------ */

static void norm(maker *m) {
    const int64_t c[] = {m->c};
    name g = numbers(m, 1, c, 0.5, 1.5), b = numbers(m, 1, c, -0.5, 0.5), mean = numbers(m, 1, c, -0.2, 0.2),
         var = numbers(m, 1, c, 0.5, 2);
    node(m, "BatchNormalization", 5, (const char *[]){m->now, g.text, b.text, mean.text, var.text});
}

static void conv(maker *m, int cout, int group, const int64_t k[2], const int64_t s[2], const int64_t d[2],
                 const int64_t pad[4], int bias) {
    int64_t depth = m->c / group * k[0] * k[1];
    double size = 1.5 / sqrt((double)depth);
    name w = numbers(m, 4, (int64_t[]){cout, m->c / group, k[0], k[1]}, -0.7 * size, size), b = {{0}};
    attribute_ints(m, "kernel_shape", 2, k);
    attribute_ints(m, "strides", 2, s);
    attribute_ints(m, "dilations", 2, d);
    attribute_ints(m, "pads", 4, pad);
    attribute_int(m, "group", group);
    if (bias == BIAS_YES) b = numbers(m, 1, (int64_t[]){cout}, -0.5, 0.5);
    node(m, "Conv", bias == BIAS_YES ? 3 : 2, (const char *[]){m->now, w.text, b.text});
    m->c = cout;
    m->h = (int)((m->h + pad[0] + pad[2] - (d[0] * (k[0] - 1) + 1)) / s[0] + 1);
    m->w = (int)((m->w + pad[1] + pad[3] - (d[1] * (k[1] - 1) + 1)) / s[1] + 1);
    if (bias == BIAS_NORM) norm(m);
}

static void square(maker *m, int cout, int group, int k, int bias) {
    conv(m, cout, group, (int64_t[]){k, k}, (int64_t[]){1, 1}, (int64_t[]){1, 1},
         (int64_t[]){k / 2, k / 2, k / 2, k / 2}, bias);
}

static void clip(maker *m, float lo, float hi) {
    name a = scalar(m, lo), b = scalar(m, hi);
    node(m, "Clip", 3, (const char *[]){m->now, a.text, b.text});
}

static void hard_sigmoid(maker *m) {
    attribute_float(m, "alpha", 1.0f / 6);
    attribute_float(m, "beta", 0.5f);
    node1(m, "HardSigmoid");
}

static void activation(maker *m, int act) {
    char before[16];
    memcpy(before, m->now, sizeof before);
    switch (act) {
    case ACT_RELU: node1(m, "Relu"); break;
    case ACT_RELU6: clip(m, 0, 6); break;
    case ACT_HSWISH: node1(m, "HardSwish"); break;
    case ACT_HSIGMOID: hard_sigmoid(m); break;
    case ACT_CLIP: clip(m, -1, 2); break;
    case ACT_SIGMOID: node1(m, "Sigmoid"); break;
    case ACT_SILU:
        node1(m, "Sigmoid");
        node2(m, "Mul", before);
        break;
    default: break;
    }
}

static void first(maker *m, const net_row *r, const first_layer *f) {
    if (f->extra) {
        name pads = ints(m, 8, (int64_t[]){0, 0, 1, 1, 0, 0, 1, 1});
        node2(m, "Pad", pads.text);
        m->h += 2, m->w += 2;
    }
    conv(m, f->cout, f->group, (int64_t[]){f->kh, f->kw}, (int64_t[]){f->sh, f->sw}, (int64_t[]){f->dh, f->dw},
         (int64_t[]){f->pt, f->pl, f->pb, f->pr}, r->v[P_BIAS]);
    activation(m, r->v[P_ACT]);
}

static void gate(maker *m) {
    int h = m->h, w = m->w, c = m->c, hidden = c / 4 + 1;
    char whole[16];
    memcpy(whole, m->now, sizeof whole);
    node1(m, "GlobalAveragePool");
    m->h = m->w = 1;
    square(m, hidden, 1, 1, BIAS_YES);
    activation(m, kf__random_range(&m->random, 0, 1) ? ACT_RELU : ACT_HSWISH);
    square(m, c, 1, 1, BIAS_YES);
    hard_sigmoid(m);
    node2(m, "Mul", whole);
    m->h = h, m->w = w;
}

static void block(maker *m, int kind) {
    char before[16];
    int c = m->c;
    if (kind == BLOCK_NONE) return;
    if (kind == BLOCK_GATE || kind == BLOCK_BOTH) gate(m);
    if (kind == BLOCK_GATE) return;
    memcpy(before, m->now, sizeof before);
    square(m, c, 1, 1, BIAS_YES);
    if (kind == BLOCK_PRODUCT) {
        node2(m, "Mul", before);
    } else if (kind == BLOCK_CONCAT) {
        attribute_int(m, "axis", 1);
        node2(m, "Concat", before);
        m->c *= 2;
    } else {
        node2(m, "Add", before);
        if (kf__random_range(&m->random, 0, 1)) activation(m, ACT_RELU);
    }
}

static int pooled(int in, int k, int s, int p, bool ceil_mode) {
    int room = in + 2 * p - k, out = room / s + 1;
    return out + (ceil_mode && room % s && out * s < in + p);
}

static void pool(maker *m, int kind) {
    bool mean = kind <= POOL_MEAN_CEIL, ceil_mode = kind == POOL_MEAN_CEIL || kind == POOL_MAX_CEIL;
    if (kind == POOL_NONE) return;
    int kh = 1 + (int)kf__random_range(&m->random, 0, 2), kw = 1 + (int)kf__random_range(&m->random, 0, 2);
    int ph = (int)kf__random_range(&m->random, 0, kh / 2), pw = (int)kf__random_range(&m->random, 0, kw / 2);
    int sh = 1 + (int)kf__random_range(&m->random, 0, 2), sw = 1 + (int)kf__random_range(&m->random, 0, 2);
    if (m->h + 2 * ph < kh) kh = 1, ph = 0;
    if (m->w + 2 * pw < kw) kw = 1, pw = 0;
    attribute_ints(m, "kernel_shape", 2, (int64_t[]){kh, kw});
    attribute_ints(m, "strides", 2, (int64_t[]){sh, sw});
    attribute_ints(m, "pads", 4, (int64_t[]){ph, pw, ph, pw});
    attribute_int(m, "ceil_mode", ceil_mode);
    if (mean) attribute_int(m, "count_include_pad", kind == POOL_MEAN_PADDED);
    node1(m, mean ? "AveragePool" : "MaxPool");
    m->h = pooled(m->h, kh, sh, ph, ceil_mode), m->w = pooled(m->w, kw, sw, pw, ceil_mode);
}

static void second(maker *m, int kind, int act) {
    int c = m->c, half = c % 2 == 0 ? 2 : 1;
    int64_t taps = (int64_t)m->h * m->w * c;
    int out = taps * 64 > 100000 ? 3 : 1 + (int)kf__random_range(&m->random, 0, 69);
    int k = kf__random_range(&m->random, 0, 1) ? 3 : 2;
    if (kind == SECOND_NONE) return;
    if (kind == SECOND_POINTWISE) square(m, out, 1, 1, BIAS_YES);
    if (kind == SECOND_SPATIAL) square(m, taps * 9 * out > 100000 ? 2 : out, 1, c > MOST_TERMS / 9 ? 1 : k, BIAS_NORM);
    if (kind == SECOND_DEPTHWISE) square(m, c, c, k, BIAS_YES);
    if (kind == SECOND_GROUPED) square(m, 2 * half, half, 1, BIAS_YES);
    activation(m, act);
}

static void head(maker *m, int kind) {
    enum { CLASSES = 5 };
    if (kind == HEAD_MAP) return;
    if (kind != HEAD_FLAT || m->c * m->h * m->w > MOST_TERMS) {
        node1(m, "GlobalAveragePool");
        m->h = m->w = 1;
    }
    if (kind == HEAD_CONV) {
        square(m, CLASSES, 1, 1, BIAS_YES);
        node1(m, "Flatten");
        return;
    }
    node1(m, "Flatten");
    int64_t depth = (int64_t)m->c * m->h * m->w;
    double size = 1 / sqrt((double)depth);
    name w = numbers(m, 2, (int64_t[]){CLASSES, depth}, -size, size),
         b = numbers(m, 1, (int64_t[]){CLASSES}, -0.5, 0.5);
    attribute_int(m, "transB", 1);
    node(m, "Gemm", 3, (const char *[]){m->now, w.text, b.text});
    if (kind != HEAD_SOFTMAX) return;
    attribute_int(m, "axis", 1);
    node1(m, "Softmax");
}

/* ---- the file ------------------------------------------------------------ */

/* The input with its shape; outputs need none. */
static void put_value(bytes *graph, unsigned field, const char *value, int rank, const int64_t *dim) {
    bytes shape = {0}, d = {0}, tensor = {0}, type = {0}, info = {0};
    for (int i = 0; i < rank; i++) {
        put_int(&d, 1, dim[i]);
        put_message(&shape, 1, &d);
    }
    put_int(&tensor, 1, TYPE_FLOAT);
    if (rank) put_message(&tensor, 2, &shape);
    put_message(&type, 1, &tensor);
    put_text(&info, 1, value);
    put_message(&info, 2, &type);
    put_message(graph, field, &info);
}

void *network_bytes(const net_row *r, uint64_t seed, size_t *n) {
    first_layer f;
    maker m = {.random = {seed}, .now = "x"};
    bytes graph = {0}, model = {0}, opset = {0};
    if (!first_layer_of(r, &f)) abort();
    m.n = f.n, m.c = f.cin, m.h = f.h, m.w = f.w;
    first(&m, r, &f);
    block(&m, r->v[P_BLOCK]);
    pool(&m, r->v[P_POOL]);
    second(&m, r->v[P_SECOND], r->v[P_ACT2]);
    head(&m, r->v[P_HEAD]);
    put(&graph, m.nodes.data, m.nodes.n);
    put_text(&graph, 2, "sweep");
    put(&graph, m.initializers.data, m.initializers.n);
    put_value(&graph, 11, "x", 4, (int64_t[]){f.n, f.cin, f.h, f.w});
    put_value(&graph, 12, m.now, 0, NULL);
    put_int(&opset, 2, 17);
    put_int(&model, 1, 8);
    put_message(&model, 8, &opset);
    put_message(&model, 7, &graph);
    free(m.nodes.data), free(m.initializers.data), free(m.attributes.data);
    *n = model.n;
    return model.data;
}
