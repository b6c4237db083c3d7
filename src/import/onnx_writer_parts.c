/* The ONNX writer's pieces: unique names, tensors, nodes, attributes. Functions here do not return errors: a failed
 * allocation gives NULL and sets `failed`.
 * Owner rule: see onnx_writer_private.h. */
#include <stdlib.h>

#include "import/onnx_writer_private.h"

void *kf__out_alloc(kf__onnx_out *w, size_t bytes) {
    void *p = kf__arena_zalloc(&w->arena, bytes ? bytes : 1);
    if (!p) w->failed = true;
    return p;
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

/* True when `name` was not in the set and now is. */
static bool add_name(kf__onnx_out *w, kf__name_index *s, const char *name) {
    if (kf__name_index_find(s, name)) return false;
    if (!kf__name_index_put(s, name, 0)) w->failed = true;
    return true;
}

static const char *unique(kf__onnx_out *w, kf__name_index *set, const char *base, const char *suffix) {
    const char *name = kf__arena_printf(&w->arena, "%s%s", base, suffix);
    while (name && !add_name(w, set, name)) name = kf__arena_printf(&w->arena, "%s%s_%u", base, suffix, ++w->serial);
    if (name) return name;
    w->failed = true;
    return "";
}

const char *kf__out_fresh(kf__onnx_out *w, const char *base, const char *suffix) {
    return unique(w, &w->value_names, base, suffix);
}

const char *kf__out_node_name(kf__onnx_out *w, const char *base, const char *suffix) {
    return unique(w, &w->node_names, base, suffix);
}

const char *kf__out_name(kf__onnx_out *w, kf__vid v) {
    if (v < 0) return "";
    const kf__value *x = &w->g->values[v];
    w->constant_used[v] = true;
    if (!w->names[v]) w->names[v] = kf__out_fresh(w, *x->name ? x->name : "value", "");
    return w->names[v];
}

/* ---- messages ---------------------------------------------------------------------------------------------------- */

void kf__out_append(kf__onnx_out *w, kf__message_list *list, void *message) {
    if (!message || !kf__mem_grow((void **)&list->items, &list->cap, list->n + 1, sizeof *list->items))
        w->failed = true;
    else list->items[list->n++] = message;
}

/* protobuf-c wants mutable strings and never changes them. */
static char *borrow(const char *s) { return (char *)(uintptr_t)s; }

int kf__out_dtype(kf_dtype dtype) {
    switch (dtype) {
    case KF_F32: return ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    case KF_F64: return ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE;
    case KF_F16: return ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16;
    case KF_BF16: return ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16;
    case KF_U8: return ONNX__TENSOR_PROTO__DATA_TYPE__UINT8;
    case KF_I8: return ONNX__TENSOR_PROTO__DATA_TYPE__INT8;
    case KF_I16: return ONNX__TENSOR_PROTO__DATA_TYPE__INT16;
    case KF_I32: return ONNX__TENSOR_PROTO__DATA_TYPE__INT32;
    case KF_I64: return ONNX__TENSOR_PROTO__DATA_TYPE__INT64;
    case KF_BOOL: return ONNX__TENSOR_PROTO__DATA_TYPE__BOOL;
    case KF_DTYPE_NONE:
    case KF_DTYPE_COUNT: break;
    }
    return 0;
}

Onnx__TensorProto *kf__out_tensor(kf__onnx_out *w, const char *name, kf_dtype dtype, const kf__shape *shape,
                                  const void *data) {
    Onnx__TensorProto *t = kf__out_alloc(w, sizeof *t);
    int64_t *dims = kf__out_alloc(w, sizeof shape->dim);
    size_t count;
    if (!t || !dims || !kf__shape_count(shape, &count)) {
        w->failed = true;
        return NULL;
    }
    onnx__tensor_proto__init(t);
    memcpy(dims, shape->dim, (size_t)shape->rank * sizeof *dims);
    t->n_dims = (size_t)shape->rank;
    t->dims = dims;
    t->has_data_type = 1;
    t->data_type = kf__out_dtype(dtype);
    t->name = borrow(name);
    t->has_raw_data = 1;
    t->raw_data = (ProtobufCBinaryData){count * kf_dtype_size(dtype), (uint8_t *)(uintptr_t)data};
    return t;
}

const char *kf__out_initializer(kf__onnx_out *w, const char *base, const char *suffix, kf_dtype dtype,
                                const kf__shape *shape, const void *data) {
    const char *name = kf__out_fresh(w, base, suffix);
    kf__out_append(w, &w->initializers, kf__out_tensor(w, name, dtype, shape, data));
    return name;
}

const char *kf__out_scalar(kf__onnx_out *w, const char *base, float value) {
    float *copy = kf__out_alloc(w, sizeof *copy);
    if (copy) *copy = value;
    return kf__out_initializer(w, base, "_constant", KF_F32, &(kf__shape){0}, copy);
}

const char *kf__out_ints(kf__onnx_out *w, const char *base, const int64_t *list, int n) {
    int64_t *copy = kf__out_alloc(w, (size_t)n * sizeof *copy);
    if (copy && n) memcpy(copy, list, (size_t)n * sizeof *copy);
    kf__shape shape = kf__shape_make(1, (int64_t[]){n});
    return kf__out_initializer(w, base, "_constant", KF_I64, &shape, copy);
}

Onnx__NodeProto *kf__out_node(kf__onnx_out *w, const char *op, const char *name, const char *const *in, int n_in,
                              const char *const *out, int n_out) {
    while (n_in > 0 && !*in[n_in - 1]) n_in--;
    Onnx__NodeProto *p = kf__out_alloc(w, sizeof *p);
    char **names = kf__out_alloc(w, (size_t)(n_in + n_out) * sizeof *names);
    if (!p || !names) return NULL;
    onnx__node_proto__init(p);
    for (int i = 0; i < n_in; i++) names[i] = borrow(in[i]);
    for (int i = 0; i < n_out; i++) names[n_in + i] = borrow(out[i]);
    p->n_input = (size_t)n_in;
    p->input = names;
    p->n_output = (size_t)n_out;
    p->output = names + n_in;
    p->op_type = borrow(op);
    p->name = borrow(name); /* final once the whole graph node is written */
    kf__out_append(w, &w->nodes, p);
    return p;
}

/* The part of a path that names the operator: "/blocks.0/act/HardSigmoid" is a HardSigmoid. */
static bool names_operator(const char *name, const char *op) {
    const char *slash = strrchr(name, '/');
    return strstr(slash ? slash : name, op) != NULL;
}

void kf__out_settle_names(kf__onnx_out *w, const kf__node *n, size_t first) {
    size_t count = 0; /* pairs of quantization have names already */
    for (size_t i = first; i < w->nodes.n; i++) count += ((const Onnx__NodeProto *)w->nodes.items[i])->name == n->name;
    bool *taken = kf__out_alloc(w, (size_t)n->n_sources * sizeof *taken);
    for (size_t i = first; taken && i < w->nodes.n; i++) {
        Onnx__NodeProto *p = w->nodes.items[i];
        const char *name = count == 1 ? n->name : NULL;
        if (p->name != n->name) continue;
        for (int s = 0; !name && s < n->n_sources; s++) {
            int k = kf__op_is_gate(n->op) ? n->n_sources - 1 - s : s; /* the gate collects its parts from the end */
            if (taken[k] || !names_operator(n->sources[k], p->op_type)) continue;
            taken[k] = true;
            name = n->sources[k];
        }
        bool main_part = (n->op == KF_OP_CONV && strcmp(p->op_type, "Conv") == 0) ||
                         (n->op == KF_OP_FC && strcmp(p->op_type, "Gemm") == 0);
        if (!name) name = main_part ? n->name : kf__arena_printf(&w->arena, "%s/%s", n->name, p->op_type);
        p->name = borrow(name ? unique(w, &w->node_names, name, "") : "");
        w->failed |= name == NULL;
    }
}

static Onnx__AttributeProto *attribute(kf__onnx_out *w, Onnx__NodeProto *p, const char *name,
                                       Onnx__AttributeProto__AttributeType type) {
    enum { MAX_ATTRIBUTES = 8 };
    if (p && !p->attribute) p->attribute = kf__out_alloc(w, MAX_ATTRIBUTES * sizeof *p->attribute);
    Onnx__AttributeProto *a = p && p->attribute && p->n_attribute < MAX_ATTRIBUTES ? kf__out_alloc(w, sizeof *a) : NULL;
    if (!a) return NULL;
    onnx__attribute_proto__init(a);
    a->name = borrow(name);
    a->has_type = 1;
    a->type = type;
    p->attribute[p->n_attribute++] = a;
    return a;
}

void kf__out_attr_int(kf__onnx_out *w, Onnx__NodeProto *p, const char *name, int64_t value) {
    Onnx__AttributeProto *a = attribute(w, p, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    if (!a) return;
    a->has_i = 1;
    a->i = value;
}

void kf__out_attr_float(kf__onnx_out *w, Onnx__NodeProto *p, const char *name, float value) {
    Onnx__AttributeProto *a = attribute(w, p, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
    if (!a) return;
    a->has_f = 1;
    a->f = value;
}

void kf__out_attr_text(kf__onnx_out *w, Onnx__NodeProto *p, const char *name, const char *text) {
    Onnx__AttributeProto *a = attribute(w, p, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);
    const size_t length = strlen(text);
    uint8_t *copy = kf__out_alloc(w, length + 1);
    if (!a || !copy) return;
    memcpy(copy, text, length);
    a->has_s = 1;
    a->s.len = length;
    a->s.data = copy;
}

void kf__out_attr_ints(kf__onnx_out *w, Onnx__NodeProto *p, const char *name, const int64_t *list, int n) {
    Onnx__AttributeProto *a = attribute(w, p, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    int64_t *copy = kf__out_alloc(w, (size_t)n * sizeof *copy);
    if (!a || !copy) return;
    if (n) memcpy(copy, list, (size_t)n * sizeof *copy);
    a->n_ints = (size_t)n;
    a->ints = copy;
}

void kf__out_attr_tensor(kf__onnx_out *w, Onnx__NodeProto *p, const char *name, Onnx__TensorProto *t) {
    Onnx__AttributeProto *a = attribute(w, p, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR);
    if (a) a->t = t;
}
