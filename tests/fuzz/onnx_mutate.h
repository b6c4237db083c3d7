/* Changes of an ONNX network that leave it well-formed protobuf: three seeds of four keep what operators promise too,
 * so that most of these still compile; the others break it in a place. Owner rule: what a change makes lies in the
 * arena of the reading (onnx_wire.h). */
#ifndef ONNX_MUTATE_H
#define ONNX_MUTATE_H

#include <math.h>

#include "graph/graph.h"
#include "onnx_wire.h"

/* Numbers of fields (onnx.proto). */
enum {
    OM_NODE_INPUT = 1,
    OM_NODE_OUTPUT = 2,
    OM_NODE_NAME = 3,
    OM_NODE_OP = 4,
    OM_NODE_ATTRIBUTE = 5,
    OM_ATTR_NAME = 1,
    OM_ATTR_F = 2,
    OM_ATTR_I = 3,
    OM_ATTR_FLOATS = 7,
    OM_ATTR_INTS = 8,
    OM_ATTR_TYPE = 20,
    OM_GRAPH_NODE = 1,
    OM_GRAPH_TENSOR = 5,
    OM_GRAPH_INPUT = 11,
    OM_GRAPH_OUTPUT = 12,
    OM_TENSOR_DIMS = 1,
    OM_TENSOR_TYPE = 2,
    OM_TENSOR_NAME = 8,
    OM_TENSOR_RAW = 9,
    OM_FLOAT = 1,
    OM_INT64 = 7
};
enum { OM_MOST = 512 };

static const int64_t OM_INTS[] = {0,
                                  1,
                                  2,
                                  3,
                                  4,
                                  5,
                                  7,
                                  8,
                                  9,
                                  16,
                                  17,
                                  64,
                                  65,
                                  127,
                                  128,
                                  255,
                                  256,
                                  4096,
                                  65535,
                                  65536,
                                  1 << 20,
                                  INT32_MAX,
                                  (int64_t)INT32_MAX + 1,
                                  (int64_t)1 << 40,
                                  INT64_MAX,
                                  -1,
                                  -2,
                                  -3,
                                  -4,
                                  -9,
                                  INT32_MIN,
                                  INT64_MIN};
static const float OM_FLOATS[] = {
    0,          -0.0f, 1,  -1, 0.5f, 6, 1e-45f, 1e-30f, 1e30f, 3.4e38f, -3.4e38f, (float)INFINITY, (float)-INFINITY,
    (float)NAN, 1e-5f, 255};

typedef struct om_state {
    kf__random g;
    kf__arena *arena;
    ow_message *model, *graph;
    ow_message *messages[OM_MOST]; /* all of the tree, the model first */
    size_t n;
    const ow_item *names[OM_MOST]; /* of values: inputs, constants, results of nodes */
    size_t n_names;
} om_state;

static int64_t om_any(om_state *m, int64_t lo, int64_t hi) { return hi < lo ? lo : kf__random_range(&m->g, lo, hi); }
static bool om_one_in(om_state *m, int64_t n) { return om_any(m, 1, n) == 1; }
#define OM_PICK(m, list) ((list)[om_any((m), 0, (int64_t)KF_COUNT(list) - 1)])

static void om_walk(om_state *m, ow_message *at) {
    if (m->n == OM_MOST) return;
    m->messages[m->n++] = at;
    for (size_t i = 0; i < at->n; i++)
        if (at->items[i].message) om_walk(m, at->items[i].message);
}

static void om_name(om_state *m, const ow_item *i) {
    if (i && i->wire == OW_BYTES && m->n_names < OM_MOST) m->names[m->n_names++] = i;
}

/* Which messages and names there are now. */
static void om_look(om_state *m) {
    m->n = m->n_names = 0;
    om_walk(m, m->model);
    for (size_t i = 0; i < m->graph->n; i++) {
        const ow_item *item = &m->graph->items[i];
        if (!item->message) continue;
        if (item->field == OM_GRAPH_INPUT) om_name(m, ow_find(item->message, 1));
        if (item->field == OM_GRAPH_TENSOR) om_name(m, ow_find(item->message, OM_TENSOR_NAME));
        for (size_t k = 0; item->field == OM_GRAPH_NODE && k < ow_count(item->message, OM_NODE_OUTPUT); k++)
            om_name(m, ow_at(item->message, OM_NODE_OUTPUT, k));
    }
}

/* Any message of that type, or NULL. */
static ow_message *om_message(om_state *m, ow_type type) {
    ow_message *found = NULL;
    int64_t seen = 0;
    for (size_t i = 0; i < m->n; i++)
        if (m->messages[i]->type == type && om_any(m, 0, seen++) == 0) found = m->messages[i];
    return found;
}

/* Any item of that number in `in`, or NULL. */
static ow_item *om_item(om_state *m, const ow_message *in, uint32_t field) {
    size_t n = in ? ow_count(in, field) : 0;
    return n ? ow_at(in, field, (size_t)om_any(m, 0, (int64_t)n - 1)) : NULL;
}

static void om_copy_name(om_state *m, ow_item *to) {
    if (!to || m->n_names == 0) return;
    const ow_item *from = m->names[om_any(m, 0, (int64_t)m->n_names - 1)];
    to->bytes = from->bytes, to->n = from->n;
}

/* A number near `now`, or one at which something overflows. */
static int64_t om_number(om_state *m, int64_t now) {
    switch (om_any(m, 0, 5)) {
    case 0: return (int64_t)((uint64_t)now + 1);
    case 1: return (int64_t)((uint64_t)now - 1);
    case 2: return om_any(m, 1, 8);
    case 3: return (int64_t)((uint64_t)now * 2);
    default: return OM_PICK(m, OM_INTS);
    }
}

/* ---- changes that may break the rules ------------------------------------------------------------ */

static void om_change_varint(om_state *m) {
    ow_message *at = m->messages[om_any(m, 0, (int64_t)m->n - 1)];
    for (int tries = 0; tries < 8 && at->n; tries++) {
        ow_item *i = &at->items[om_any(m, 0, (int64_t)at->n - 1)];
        if (i->wire != OW_VARINT) continue;
        i->number = (uint64_t)om_number(m, (int64_t)i->number);
        return;
    }
}

/* An item twice, gone, or in another place. */
static void om_change_list(om_state *m) {
    ow_message *at = m->messages[om_any(m, 0, (int64_t)m->n - 1)];
    if (at->n == 0) return;
    size_t i = (size_t)om_any(m, 0, (int64_t)at->n - 1), k = (size_t)om_any(m, 0, (int64_t)at->n - 1);
    ow_item item = at->items[i];
    switch (om_any(m, 0, 2)) {
    case 0: ow_remove(at, i); return;
    case 1: at->items[i] = at->items[k], at->items[k] = item; return;
    default: break;
    }
    if (item.message && !(item.message = ow_copy(m->arena, item.message))) return;
    ow_item *more = ow_insert(m->arena, at, k);
    if (more) *more = item;
}

static void om_change_name(om_state *m) {
    ow_message *node = om_message(m, OW_NODE);
    ow_item *i = om_item(m, node, om_one_in(m, 4) ? OM_NODE_OUTPUT : OM_NODE_INPUT);
    if (!i) return;
    if (om_one_in(m, 8)) i->n = 0; /* absent */
    else om_copy_name(m, i);
}

static void om_more_inputs(om_state *m) {
    ow_message *node = om_message(m, OW_NODE);
    for (int64_t k = node ? om_any(m, 1, om_one_in(m, 8) ? 70 : 2) : 0; k > 0; k--)
        om_copy_name(m, ow_append(m->arena, node, OM_NODE_INPUT, OW_BYTES));
}

static void om_change_op(om_state *m) {
    ow_item *i = om_item(m, om_message(m, OW_NODE), OM_NODE_OP);
    const char *name = kf__op_name((kf__op)om_any(m, 0, KF_OP_FC - 1));
    if (i) ow_set_text(m->arena, i, name, strlen(name));
}

static void om_set_raw(om_state *m, ow_message *tensor, size_t bytes) {
    ow_item *raw = ow_find(tensor, OM_TENSOR_RAW);
    uint8_t *data = bytes <= (size_t)1 << 16 ? kf__arena_zalloc(m->arena, bytes + 1) : NULL;
    if (!raw || raw->wire != OW_BYTES || !data) return;
    for (size_t i = 0; raw->n && i < bytes; i++) data[i] = raw->bytes[i % raw->n];
    raw->bytes = data, raw->n = bytes;
}

static size_t om_element(const ow_message *tensor) {
    static const uint8_t BYTES[] = {0, 4, 1, 1, 2, 2, 4, 8, 1, 1, 2, 8, 4, 8, 8, 16, 2};
    const ow_item *type = ow_find(tensor, OM_TENSOR_TYPE);
    return type && type->number < KF_COUNT(BYTES) ? BYTES[type->number] : 1;
}

static uint64_t om_product(const ow_message *tensor) {
    uint64_t product = 1;
    for (size_t i = 0; i < tensor->n; i++)
        if (tensor->items[i].field == OM_TENSOR_DIMS) product *= tensor->items[i].number;
    return product;
}

/* Another extent, one more or one less; with or without the bytes for it. */
static void om_change_dims(om_state *m) {
    ow_message *tensor = om_message(m, OW_TENSOR);
    ow_item *dim = om_item(m, tensor, OM_TENSOR_DIMS);
    if (!tensor) return;
    if (!dim || om_one_in(m, 5)) {
        if (!(dim = ow_append(m->arena, tensor, OM_TENSOR_DIMS, OW_VARINT))) return;
        dim->number = om_one_in(m, 2) ? 1 : (uint64_t)om_any(m, 0, 4);
    } else if (om_one_in(m, 5)) {
        ow_remove(tensor, (size_t)(dim - tensor->items));
    } else {
        dim->number = (uint64_t)om_number(m, (int64_t)dim->number);
    }
    if (om_any(m, 0, 3) && om_product(tensor) <= 1 << 16)
        om_set_raw(m, tensor, (size_t)om_product(tensor) * om_element(tensor));
}

static void om_change_bytes(om_state *m) {
    ow_message *tensor = om_message(m, OW_TENSOR);
    ow_item *raw = tensor ? ow_find(tensor, OM_TENSOR_RAW) : NULL,
            *type = tensor ? ow_find(tensor, OM_TENSOR_TYPE) : NULL;
    if (!raw || raw->wire != OW_BYTES || raw->n == 0) return;
    if (om_one_in(m, 8)) {
        om_set_raw(m, tensor, (size_t)om_any(m, 0, 2 * (int64_t)raw->n));
        return;
    }
    uint8_t *data = kf__arena_copy(m->arena, raw->bytes, raw->n);
    for (int64_t k = data ? om_any(m, 1, 4) : 0; k > 0; k--) {
        int64_t i = OM_PICK(m, OM_INTS);
        float f = OM_PICK(m, OM_FLOATS);
        size_t each = type && type->number == OM_INT64 ? sizeof i : sizeof f;
        if (raw->n < each) data[om_any(m, 0, (int64_t)raw->n - 1)] = (uint8_t)om_any(m, 0, 255);
        else
            memcpy(data + each * (size_t)om_any(m, 0, (int64_t)(raw->n / each) - 1),
                   each == 8 ? (void *)&i : (void *)&f, each);
    }
    if (data) raw->bytes = data;
}

/* An attribute: a number of its list, one more, one less, or its float. */
static void om_change_attribute(om_state *m) {
    ow_message *a = om_message(m, OW_ATTRIBUTE);
    ow_item *i = om_item(m, a, OM_ATTR_INTS), *f = om_item(m, a, OM_ATTR_F), *one = om_item(m, a, OM_ATTR_I);
    float value = OM_PICK(m, OM_FLOATS);
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (f && f->wire == OW_32) f->number = bits;
    if (one && one->wire == OW_VARINT) one->number = (uint64_t)om_number(m, (int64_t)one->number);
    if (!i || i->wire != OW_VARINT) return;
    uint64_t now = i->number;
    switch (om_any(m, 0, 3)) {
    case 0: ow_remove(a, (size_t)(i - a->items)); return;
    case 1:
        for (int64_t k = om_one_in(m, 4) ? om_any(m, 1, 16) : 1; k > 0; k--)
            if ((i = ow_append(m->arena, a, OM_ATTR_INTS, OW_VARINT))) i->number = now;
        return;
    default: i->number = (uint64_t)om_number(m, (int64_t)now); return;
    }
}

/* An attribute that the operator may or may not have. */
static void om_add_attribute(om_state *m) {
    static const char *const NAMES[] = {"axis",      "axes",    "perm",   "pads",         "keepdims",  "group",
                                        "dilations", "strides", "to",     "kernel_shape", "ceil_mode", "split",
                                        "start",     "end",     "transA", "transB",       "spatial"};
    ow_message *node = om_message(m, OW_NODE), *a = kf__arena_zalloc(m->arena, sizeof *a);
    ow_item *item = node && a ? ow_append(m->arena, node, OM_NODE_ATTRIBUTE, OW_BYTES) : NULL, *name, *type, *i;
    if (!item) return;
    item->message = a, a->type = OW_ATTRIBUTE;
    const char *text = OM_PICK(m, NAMES);
    bool list = om_one_in(m, 2);
    if ((name = ow_append(m->arena, a, OM_ATTR_NAME, OW_BYTES))) ow_set_text(m->arena, name, text, strlen(text));
    for (int64_t k = list ? om_any(m, 0, 9) : 1; k > 0; k--)
        if ((i = ow_append(m->arena, a, list ? OM_ATTR_INTS : OM_ATTR_I, OW_VARINT)))
            i->number = (uint64_t)om_number(m, 1);
    if ((type = ow_append(m->arena, a, OM_ATTR_TYPE, OW_VARINT))) type->number = list ? OM_INT64 : 2;
}

static void om_change_text(om_state *m) {
    static const char *const TEXTS[] = {"",
                                        "SAME_UPPER",
                                        "SAME_LOWER",
                                        "VALID",
                                        "constant",
                                        "reflect",
                                        "../secret",
                                        "/dev/zero",
                                        "N",
                                        ".",
                                        "a/b",
                                        "-1",
                                        "18446744073709551615",
                                        "location",
                                        "w.bin",
                                        "w.bin/",
                                        "./w.bin",
                                        "offset",
                                        "length",
                                        "4"};
    ow_message *at = m->messages[om_any(m, 0, (int64_t)m->n - 1)];
    ow_item *i = at->n ? &at->items[om_any(m, 0, (int64_t)at->n - 1)] : NULL;
    const char *text = OM_PICK(m, TEXTS);
    if (i && i->wire == OW_BYTES && !i->message) ow_set_text(m->arena, i, text, strlen(text));
}

/* ---- changes that keep the rules ------------------------------------------------------------ */

static bool om_is_node(const ow_item *i) { return i->field == OM_GRAPH_NODE && i->message; }

/* Place of any node in the graph's items; SIZE_MAX: none. */
static size_t om_node_at(om_state *m) {
    size_t found = SIZE_MAX;
    int64_t seen = 0;
    for (size_t i = 0; i < m->graph->n; i++)
        if (om_is_node(&m->graph->items[i]) && om_any(m, 0, seen++) == 0) found = i;
    return found;
}

/* A new node after item `at` of the graph, with these names; inputs may be NULL. */
static ow_message *om_new_node(om_state *m, size_t at, const char *op, const ow_item *a, const ow_item *b,
                               const char *out) {
    ow_message *node = kf__arena_zalloc(m->arena, sizeof *node);
    ow_item *item = node ? ow_insert(m->arena, m->graph, at + 1) : NULL, *i;
    if (!item) return NULL;
    *item = (ow_item){.field = OM_GRAPH_NODE, .wire = OW_BYTES, .message = node};
    node->type = OW_NODE;
    if ((i = ow_append(m->arena, node, OM_NODE_INPUT, OW_BYTES))) i->bytes = a->bytes, i->n = a->n;
    if (b && (i = ow_append(m->arena, node, OM_NODE_INPUT, OW_BYTES))) i->bytes = b->bytes, i->n = b->n;
    if ((i = ow_append(m->arena, node, OM_NODE_OUTPUT, OW_BYTES))) ow_set_text(m->arena, i, out, strlen(out));
    if ((i = ow_append(m->arena, node, OM_NODE_OP, OW_BYTES))) ow_set_text(m->arena, i, op, strlen(op));
    return node;
}

static bool om_same_text(const ow_item *a, const ow_item *b) {
    return a->wire == OW_BYTES && b->wire == OW_BYTES && a->n == b->n && a->n && memcmp(a->bytes, b->bytes, a->n) == 0;
}

/* An element-wise node between a result and those that read it. */
static void om_insert_unary(om_state *m) {
    static const char *const OPS[] = {"Relu", "HardSwish", "HardSigmoid", "Sigmoid", "Identity", "Dropout",
                                      "Relu", "Add",       "Mul",         "Max",     "Min",      "Clip"};
    size_t at = om_node_at(m);
    const ow_item *result = at == SIZE_MAX ? NULL : om_item(m, m->graph->items[at].message, OM_NODE_OUTPUT);
    char name[24];
    const char *op = OM_PICK(m, OPS);
    bool two = strcmp(op, "Add") == 0 || strcmp(op, "Mul") == 0 || strcmp(op, "Max") == 0 || strcmp(op, "Min") == 0;
    if (!result || result->n == 0) return;
    ow_item old = *result;
    snprintf(name, sizeof name, "made_%llx", (unsigned long long)kf__random_u64(&m->g) >> 20);
    if (!om_new_node(m, at, op, &old, two ? &old : NULL, name)) return;
    for (size_t i = at + 2; i < m->graph->n; i++) {
        ow_message *node = m->graph->items[i].message;
        for (size_t k = 0; om_is_node(&m->graph->items[i]) && k < node->n; k++)
            if (node->items[k].field == OM_NODE_INPUT && om_same_text(&node->items[k], &old))
                ow_set_text(m->arena, &node->items[k], name, strlen(name));
    }
}

/* An element-wise operator for another one. */
static void om_swap_unary(om_state *m) {
    static const char *const OPS[] = {"Relu", "HardSwish", "HardSigmoid", "Sigmoid", "Identity"};
    static const char *const PAIRS[] = {"Add", "Mul"};
    ow_item *op = om_item(m, om_message(m, OW_NODE), OM_NODE_OP);
    bool unary = false, pair = false;
    for (size_t i = 0; i < KF_COUNT(OPS); i++) unary = unary || ow_is(op, OPS[i]);
    for (size_t i = 0; i < KF_COUNT(PAIRS); i++) pair = pair || ow_is(op, PAIRS[i]);
    const char *text = unary ? OM_PICK(m, OPS) : OM_PICK(m, PAIRS);
    if (unary || pair) ow_set_text(m->arena, op, text, strlen(text));
}

/* Small weights: every float of a constant times a factor. */
static void om_scale(om_state *m) {
    static const float FACTORS[] = {-1, 0, 0.5f, 2, 1e-3f, 1e3f, 1e-38f, 1e20f};
    ow_message *tensor = om_message(m, OW_TENSOR);
    ow_item *raw = tensor ? ow_find(tensor, OM_TENSOR_RAW) : NULL,
            *type = tensor ? ow_find(tensor, OM_TENSOR_TYPE) : NULL;
    if (!raw || raw->wire != OW_BYTES || !type || type->number != OM_FLOAT) return;
    uint8_t *data = kf__arena_copy(m->arena, raw->bytes, raw->n + !raw->n);
    float factor = OM_PICK(m, FACTORS), f;
    for (size_t i = 0; data && i + 4 <= raw->n; i += 4) {
        memcpy(&f, data + i, 4);
        f *= factor;
        memcpy(data + i, &f, 4);
    }
    if (data) raw->bytes = data;
}

/* Another size of an input: maps mostly, the batch too. */
static void om_resize_input(om_state *m) {
    ow_item *input = om_item(m, m->graph, OM_GRAPH_INPUT),
            *i = input && input->message ? ow_find(input->message, 2) : NULL;
    i = i && i->message ? ow_find(i->message, 1) : NULL;
    i = i && i->message ? ow_find(i->message, 2) : NULL;
    ow_item *dim = i && i->message ? ow_at(i->message, 1, (size_t)(om_one_in(m, 4) ? 0 : om_any(m, 2, 3))) : NULL;
    ow_item *value = dim && dim->message ? ow_find(dim->message, 1) : NULL;
    if (value) value->number = (uint64_t)om_any(m, 1, 19);
}

/* A result that the graph gives too. */
static void om_add_output(om_state *m) {
    ow_message *info = kf__arena_zalloc(m->arena, sizeof *info);
    ow_item *item = info ? ow_append(m->arena, m->graph, OM_GRAPH_OUTPUT, OW_BYTES) : NULL;
    if (!item) return;
    item->message = info, info->type = OW_VALUE_INFO;
    om_copy_name(m, ow_append(m->arena, info, 1, OW_BYTES));
}

/* Windows: pads, strides, dilations by one; pads and strides of a small network rarely make it impossible. */
static void om_change_window(om_state *m) {
    static const char *const NAMES[] = {"pads", "strides", "dilations"};
    ow_message *node = om_message(m, OW_NODE);
    for (size_t k = 0; node && k < node->n; k++) {
        ow_message *a = node->items[k].message;
        const ow_item *name = a && a->type == OW_ATTRIBUTE ? ow_find(a, OM_ATTR_NAME) : NULL;
        ow_item *i = name && (ow_is(name, NAMES[0]) || ow_is(name, NAMES[1]) || ow_is(name, NAMES[2]))
                         ? om_item(m, a, OM_ATTR_INTS)
                         : NULL;
        if (i && i->wire == OW_VARINT) i->number = (uint64_t)om_any(m, !ow_is(name, NAMES[0]), 3);
    }
}

/* Nodes that do not need each other change places; the importer sorts none. */
static void om_move_node(om_state *m) {
    size_t a = om_node_at(m), b = om_node_at(m);
    if (a == SIZE_MAX) return;
    ow_item item = m->graph->items[a];
    m->graph->items[a] = m->graph->items[b], m->graph->items[b] = item;
}

static void om_opset(om_state *m) {
    ow_message *opset = om_message(m, OW_OPSET);
    ow_item *version = opset ? ow_find(opset, 2) : NULL;
    if (version) version->number = (uint64_t)om_any(m, 6, 23);
}

typedef void om_change(om_state *m);

/* One to three changes. */
static void om_mutate(om_state *m) {
    static om_change *const KEEP[] = {om_insert_unary, om_insert_unary, om_swap_unary,   om_scale,
                                      om_resize_input, om_add_output,   om_change_window};
    static om_change *const BREAK[] = {
        om_change_varint,    om_change_list,   om_change_list, om_change_name, om_change_name,  om_more_inputs,
        om_change_op,        om_change_op,     om_change_dims, om_change_dims, om_change_bytes, om_change_attribute,
        om_change_attribute, om_add_attribute, om_change_text, om_move_node,   om_opset};
    bool gentle = om_any(m, 0, 3) > 0;
    for (int64_t k = om_any(m, 1, 3); k > 0; k--) {
        om_look(m);
        if (gentle || om_one_in(m, 3)) OM_PICK(m, KEEP)(m);
        else OM_PICK(m, BREAK)(m);
    }
}

/* Change the network at `data` in place: bytes of the result, at most `most`; 0 where it is none or does not fit. */
static size_t om_change_file(uint8_t *data, size_t size, size_t most, uint64_t seed) {
    static om_state m;
    kf__arena arena;
    kf__arena_init(&arena, NULL);
    size_t n = 0;
    m = (om_state){.g = {seed}, .arena = &arena, .model = ow_read(&arena, data, size, OW_MODEL, 0)};
    ow_item *graph = m.model ? ow_find(m.model, 7) : NULL;
    m.graph = graph ? graph->message : NULL;
    if (m.graph) {
        kf__random_u64(&m.g);
        om_mutate(&m);
        n = ow_size(m.model);
    }
    uint8_t *copy = n && n <= most ? malloc(n) : NULL;
    if (copy) ow_write(m.model, copy), memcpy(data, copy, n);
    else n = 0;
    free(copy);
    kf__arena_free(&arena);
    return n;
}

#endif
