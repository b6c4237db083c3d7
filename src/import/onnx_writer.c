/* The ONNX writer: a protobuf tree over the graph's own data, packed once. Attributes or inputs, as the opset wants them.
 * Floor 4.
 * Owner rule: the tree lives in an arena for the length of one call; weights are borrowed from the graph. */
#include "import/onnx_writer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "onnx.pb-c.h"

typedef struct writer {
    const kf__graph *g;
    kf__arena arena;
    kf_error *err;
    bool failed; /* an allocation failed; checked once at the end */
    char **names; /* by value */
    Onnx__GraphProto *p;
} writer;

static void *fresh(writer *w, size_t size) {
    void *p = kf__arena_zalloc(&w->arena, size ? size : 1);
    w->failed |= !p;
    return p;
}

static int elem_type(kf_dtype d) {
    switch (d) {
    case KF_F32: return ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    case KF_U8: return ONNX__TENSOR_PROTO__DATA_TYPE__UINT8;
    case KF_I8: return ONNX__TENSOR_PROTO__DATA_TYPE__INT8;
    case KF_I16: return ONNX__TENSOR_PROTO__DATA_TYPE__INT16;
    case KF_I32: return ONNX__TENSOR_PROTO__DATA_TYPE__INT32;
    case KF_I64: return ONNX__TENSOR_PROTO__DATA_TYPE__INT64;
    case KF_BOOL: return ONNX__TENSOR_PROTO__DATA_TYPE__BOOL;
    default: return 0;
    }
}

static Onnx__TensorProto *tensor(writer *w, char *name, kf_dtype dtype, const kf__shape *s, const void *data, size_t bytes) {
    Onnx__TensorProto *t = fresh(w, sizeof *t);
    int64_t *dims = fresh(w, sizeof s->dim);
    if (!t || !dims) return NULL;
    onnx__tensor_proto__init(t);
    memcpy(dims, s->dim, sizeof s->dim);
    t->name = name;
    t->n_dims = (size_t)s->rank;
    t->dims = dims;
    t->has_data_type = t->has_raw_data = 1;
    t->data_type = elem_type(dtype);
    t->raw_data = (ProtobufCBinaryData){bytes, (uint8_t *)(uintptr_t)data};
    return t;
}

static Onnx__AttributeProto *attr(writer *w, Onnx__NodeProto *n, const char *name, int type) {
    Onnx__AttributeProto *a = fresh(w, sizeof *a);
    if (!a || !n) return NULL;
    onnx__attribute_proto__init(a);
    a->name = (char *)(uintptr_t)name;
    a->has_type = 1;
    a->type = (Onnx__AttributeProto__AttributeType)type;
    n->attribute[n->n_attribute++] = a;
    return a;
}

static void put_int(writer *w, Onnx__NodeProto *n, const char *name, int64_t v) {
    Onnx__AttributeProto *a = attr(w, n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    if (a) a->has_i = 1, a->i = v;
}

static void put_float(writer *w, Onnx__NodeProto *n, const char *name, float v) {
    Onnx__AttributeProto *a = attr(w, n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
    if (a) a->has_f = 1, a->f = v;
}

static void put_ints(writer *w, Onnx__NodeProto *n, const char *name, const int64_t *v, size_t count) {
    Onnx__AttributeProto *a = attr(w, n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    if (!a || !(a->ints = fresh(w, count * sizeof *v))) return;
    memcpy(a->ints, v, count * sizeof *v);
    a->n_ints = count;
}

/* A made-up initializer as input k of the node. */
static void put_input(writer *w, Onnx__NodeProto *n, size_t k, const char *role, kf_dtype dtype, const kf__shape *s, const void *data) {
    size_t count = 0;
    char *name = kf__arena_printf(&w->arena, "%s.%s.kf%zu", n->name, role, w->p->n_initializer);
    bool sized = kf__shape_count(s, &count);
    size_t bytes = count * kf_dtype_size(dtype);
    void *copy = fresh(w, bytes);
    if (!sized || !name || !copy) {
        w->failed = true;
        return;
    }
    memcpy(copy, data, bytes);
    w->p->initializer[w->p->n_initializer++] = tensor(w, name, dtype, s, copy, bytes);
    while (n->n_input <= k) n->input[n->n_input++] = (char *)(uintptr_t)"";
    n->input[k] = name;
}

static void put_ints_input(writer *w, Onnx__NodeProto *n, size_t k, const char *role, const int64_t *v, int64_t count) {
    kf__shape s = kf__shape_make(1, &count);
    put_input(w, n, k, role, KF_I64, &s, v);
}

/* axes, split, pads: an attribute before `since`, an input from then on; the graph may hold either form. */
static kf_status list(writer *w, const kf__node *k, Onnx__NodeProto *n, const char *name, int since) {
    kf__vid v = k->n_in > 1 ? k->in[1] : KF_NO_VALUE;
    const kf__attrs *a = &k->attrs;
    if (w->g->opset >= since) {
        if (v < 0 && a->n_axes) put_ints_input(w, n, 1, name, a->axes, a->n_axes);
        return KF_OK;
    }
    n->n_input = 1;
    if (v < 0) {
        if (a->n_axes) put_ints(w, n, name, a->axes, (size_t)a->n_axes);
        return KF_OK;
    }
    const kf__value *x = &w->g->values[v];
    if (!x->data || x->dtype != KF_I64) KF_FAIL(w->err, KF_ERR_UNSUPPORTED, "%s: %s is not constant; opset %d needs it to be", k->name, name, w->g->opset);
    put_ints(w, n, name, x->data, x->bytes / 8);
    return KF_OK;
}

static void window(writer *w, const kf__node *k, Onnx__NodeProto *n) {
    const kf__conv_attrs *c = &k->attrs.conv;
    put_ints(w, n, "kernel_shape", (int64_t[]){c->kh, c->kw}, 2);
    put_ints(w, n, "strides", (int64_t[]){c->sh, c->sw}, 2);
    put_ints(w, n, "pads", (int64_t[]){c->pt, c->pl, c->pb, c->pr}, 4);
    if (k->op == KF_OP_CONV || c->dh != 1 || c->dw != 1) put_ints(w, n, "dilations", (int64_t[]){c->dh, c->dw}, 2);
    if (k->op == KF_OP_CONV) put_int(w, n, "group", c->group);
    if (k->attrs.ceil_mode) put_int(w, n, "ceil_mode", 1);
    if (k->op == KF_OP_AVG_POOL && k->attrs.count_include_pad) put_int(w, n, "count_include_pad", 1);
}

static void clip(writer *w, const kf__node *k, Onnx__NodeProto *n) {
    const kf__act_attrs *a = &k->attrs.act;
    kf__shape scalar = {0};
    if (w->g->opset >= 11) {
        if (k->n_in > 1) return;
        if (isfinite(a->lo)) put_input(w, n, 1, "min", KF_F32, &scalar, &a->lo);
        if (isfinite(a->hi)) put_input(w, n, 2, "max", KF_F32, &scalar, &a->hi);
        return;
    }
    n->n_input = 1;
    if (isfinite(a->lo)) put_float(w, n, "min", a->lo);
    if (isfinite(a->hi)) put_float(w, n, "max", a->hi);
}

static kf_status attributes(writer *w, const kf__node *k, Onnx__NodeProto *n) {
    const kf__attrs *a = &k->attrs;
    int opset = w->g->opset;
    switch (k->op) {
    case KF_OP_CONV: case KF_OP_MAX_POOL: case KF_OP_AVG_POOL: window(w, k, n); return KF_OK;
    case KF_OP_BATCH_NORM: put_float(w, n, "epsilon", a->epsilon); return KF_OK;
    case KF_OP_CLIP: clip(w, k, n); return KF_OK;
    case KF_OP_HARD_SIGMOID: put_float(w, n, "alpha", a->alpha); put_float(w, n, "beta", a->beta); return KF_OK;
    case KF_OP_REDUCE_MEAN: put_int(w, n, "keepdims", a->keepdims); return list(w, k, n, "axes", 18);
    case KF_OP_SQUEEZE: case KF_OP_UNSQUEEZE: return list(w, k, n, "axes", 13);
    case KF_OP_SPLIT:
        put_int(w, n, "axis", a->axis);
        if (opset >= 18 && k->n_in < 2 && !a->n_axes) put_int(w, n, "num_outputs", k->n_out);
        return list(w, k, n, "split", 13);
    case KF_OP_GEMM: {
        put_float(w, n, "alpha", a->alpha); put_float(w, n, "beta", a->beta);
        put_int(w, n, "transA", a->trans_a); put_int(w, n, "transB", a->trans_b);
        if (opset < 11 && n->n_input < 3) put_input(w, n, 2, "bias", KF_F32, &(kf__shape){0}, &(float){0});
        return KF_OK;
    }
    case KF_OP_FLATTEN: case KF_OP_CONCAT: case KF_OP_GATHER: case KF_OP_SOFTMAX: put_int(w, n, "axis", a->axis); return KF_OK;
    case KF_OP_TRANSPOSE: if (a->n_axes) put_ints(w, n, "perm", a->axes, (size_t)a->n_axes); return KF_OK;
    case KF_OP_CAST: put_int(w, n, "to", elem_type(a->to)); return KF_OK;
    case KF_OP_PAD:
        if (opset < 11) put_float(w, n, "value", a->value);
        else if (k->n_in < 2) {
            put_ints_input(w, n, 1, "pads", a->axes, a->n_axes);
            put_input(w, n, 2, "value", KF_F32, &(kf__shape){0}, &a->value);
            return KF_OK;
        }
        return list(w, k, n, "pads", 11);
    case KF_OP_SLICE: case KF_OP_DROPOUT: case KF_OP_CONSTANT_OF_SHAPE:
        if (k->op == KF_OP_SLICE && opset >= 10) return KF_OK;
        if (k->op == KF_OP_DROPOUT && (opset >= 12 || k->n_in == 1)) return KF_OK;
        KF_FAIL(w->err, KF_ERR_UNSUPPORTED, "%s (%s): cannot be written at opset %d; simplify the graph first", k->name, kf__op_name(k->op), opset);
    case KF_OP_SHAPE:
        if (a->start) put_int(w, n, "start", a->start);
        if (a->end) put_int(w, n, "end", a->end);
        return KF_OK;
    default: return KF_OK;
    }
}

static kf_status write_node(writer *w, const kf__node *k) {
    if (k->op >= KF_OP_FC || k->attrs.post_act.kind != KF_ACT_NONE || (k->op == KF_OP_CONV && (k->attrs.act.kind != KF_ACT_NONE || (k->n_in > 3 && k->in[3] >= 0))))
        KF_FAIL(w->err, KF_ERR_UNSUPPORTED, "%s (%s): fused nodes cannot be written as ONNX; write the graph before it is compiled", k->name, kf__op_name(k->op));
    Onnx__NodeProto *n = fresh(w, sizeof *n);
    if (!n) KF_FAIL_MEMORY(w->err, sizeof *n);
    onnx__node_proto__init(n);
    n->input = fresh(w, ((size_t)k->n_in + 4) * sizeof *n->input);
    n->output = fresh(w, ((size_t)k->n_out + 1) * sizeof *n->output);
    n->attribute = fresh(w, 8 * sizeof *n->attribute);
    if (!n->input || !n->output || !n->attribute) KF_FAIL_MEMORY(w->err, sizeof *n);
    n->name = (char *)(uintptr_t)k->name;
    n->op_type = (char *)(uintptr_t)kf__op_name(k->op);
    for (int i = 0; i < k->n_in; i++) n->input[n->n_input++] = k->in[i] < 0 ? (char *)(uintptr_t)"" : w->names[k->in[i]];
    for (int i = 0; i < k->n_out; i++) n->output[n->n_output++] = k->out[i] < 0 ? (char *)(uintptr_t)"" : w->names[k->out[i]];
    w->p->node[w->p->n_node++] = n;
    return attributes(w, k, n);
}

static Onnx__ValueInfoProto *value_info(writer *w, kf__vid v) {
    const kf__value *x = &w->g->values[v];
    Onnx__ValueInfoProto *vi = fresh(w, sizeof *vi);
    Onnx__TypeProto *t = fresh(w, sizeof *t);
    Onnx__TypeProto__Tensor *tt = fresh(w, sizeof *tt);
    Onnx__TensorShapeProto *s = fresh(w, sizeof *s);
    Onnx__TensorShapeProto__Dimension *d = fresh(w, KF_MAX_RANK * sizeof *d), **list = fresh(w, KF_MAX_RANK * sizeof *list);
    if (!vi || !t || !tt || !s || !d || !list) return NULL;
    onnx__value_info_proto__init(vi);
    onnx__type_proto__init(t);
    onnx__type_proto__tensor__init(tt);
    onnx__tensor_shape_proto__init(s);
    for (int i = 0; i < x->shape.rank; i++) {
        onnx__tensor_shape_proto__dimension__init(list[i] = &d[i]);
        d[i].value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        d[i].dim_value = x->shape.dim[i];
    }
    s->dim = list;
    s->n_dim = (size_t)kf__max_i64(0, x->shape.rank);
    tt->has_elem_type = 1;
    tt->elem_type = elem_type(x->dtype);
    if (x->shape.rank >= 0) tt->shape = s;
    t->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    t->tensor_type = tt;
    vi->name = w->names[v];
    vi->type = t;
    return vi;
}

/* Ends keep their names; every other value whose name is empty or already taken gets its index behind it. */
static kf_status name_values(writer *w) {
    const kf__graph *g = w->g;
    w->names = fresh(w, (g->n_values + 1) * sizeof *w->names);
    if (!w->names) KF_FAIL_MEMORY(w->err, g->n_values);
    for (size_t v = 0; v < g->n_values; v++) {
        const char *name = g->values[v].name;
        bool end = false, taken = !*name;
        for (size_t i = 0; i < g->n_inputs; i++) end |= g->inputs[i] == (kf__vid)v;
        for (size_t i = 0; i < g->n_outputs; i++) end |= g->outputs[i] == (kf__vid)v;
        for (size_t u = 0; !end && u < g->n_values && !taken; u++) taken = u != v && strcmp(g->values[u].name, name) == 0;
        w->names[v] = taken ? kf__arena_printf(&w->arena, "%s.kfv%zu", name, v) : (char *)(uintptr_t)name;
        if (!w->names[v]) KF_FAIL_MEMORY(w->err, 32);
    }
    return KF_OK;
}

static kf_status fill_graph(writer *w) {
    const kf__graph *g = w->g;
    Onnx__GraphProto *p = w->p;
    bool *used = fresh(w, g->n_values + 1);
    p->node = fresh(w, (g->n_nodes + 1) * sizeof *p->node);
    p->initializer = fresh(w, (g->n_values + 3 * g->n_nodes + 1) * sizeof *p->initializer);
    p->input = fresh(w, (g->n_inputs + g->n_values + 1) * sizeof *p->input);
    p->output = fresh(w, (g->n_outputs + 1) * sizeof *p->output);
    if (w->failed) KF_FAIL_MEMORY(w->err, g->n_values * sizeof *p->initializer);
    KF_TRY(name_values(w));
    for (size_t i = 0; i < g->n_nodes; i++)
        if (!g->nodes[i].dead) KF_TRY(write_node(w, &g->nodes[i]));
    for (size_t i = 0; i < p->n_node; i++) /* only what the written form reads: an attribute replaces its constant */
        for (size_t k = 0; k < p->node[i]->n_input; k++)
            for (size_t v = 0; v < g->n_values; v++) used[v] |= p->node[i]->input[k] == w->names[v];
    for (size_t i = 0; i < g->n_inputs; i++) p->input[p->n_input++] = value_info(w, g->inputs[i]);
    for (size_t i = 0; i < g->n_outputs; i++) p->output[p->n_output++] = value_info(w, g->outputs[i]), used[g->outputs[i]] = true;
    for (size_t v = 0; v < g->n_values; v++) {
        const kf__value *x = &g->values[v];
        if (x->quant) KF_FAIL(w->err, KF_ERR_UNSUPPORTED, "%s is quantized; only float graphs can be written as ONNX", x->name);
        if (!used[v] || !x->data) continue;
        p->initializer[p->n_initializer++] = tensor(w, w->names[v], x->dtype, &x->shape, x->data, x->bytes);
        if (g->ir_version < 4) p->input[p->n_input++] = value_info(w, (kf__vid)v); /* IR 3 lists them there too */
    }
    return w->failed ? kf__error_set(w->err, KF_ERR_MEMORY, "out of memory while writing ONNX") : KF_OK;
}

static kf_status pack(writer *w, void **data, size_t *bytes) {
    Onnx__ModelProto m = ONNX__MODEL_PROTO__INIT;
    Onnx__OperatorSetIdProto set = ONNX__OPERATOR_SET_ID_PROTO__INIT, *sets[1] = {&set};
    Onnx__GraphProto p = ONNX__GRAPH_PROTO__INIT;
    w->p = &p;
    p.name = (char *)(uintptr_t)(w->g->name && *w->g->name ? w->g->name : "graph");
    KF_TRY(fill_graph(w));
    set.domain = (char *)(uintptr_t)"";
    set.has_version = m.has_ir_version = 1;
    set.version = w->g->opset;
    m.ir_version = w->g->ir_version;
    m.opset_import = sets;
    m.n_opset_import = 1;
    m.producer_name = (char *)(uintptr_t)"kitfox";
    m.producer_version = (char *)(uintptr_t)kf_version();
    m.graph = &p;
    *bytes = onnx__model_proto__get_packed_size(&m);
    if (*bytes >= (size_t)1 << 31) KF_FAIL(w->err, KF_ERR_LIMIT, "%zu bytes; an ONNX file holds less than 2 GiB", *bytes);
    *data = malloc(*bytes);
    if (!*data) KF_FAIL_MEMORY(w->err, *bytes);
    onnx__model_proto__pack(&m, *data);
    return KF_OK;
}

kf_status kf__onnx_write(const kf__graph *g, void **data, size_t *bytes, kf_error *err) {
    writer w = {.g = g, .err = err};
    *data = NULL;
    kf__arena_init(&w.arena, NULL);
    kf_status st = pack(&w, data, bytes);
    kf__arena_free(&w.arena);
    return st;
}
