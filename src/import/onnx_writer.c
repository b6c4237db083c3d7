/* The ONNX writer: the model around the nodes, inputs, outputs, versions, and packing.
 * The order of everything is the graph's, so that one graph always gives the same bytes.
 * Owner rule: see onnx_writer.h; everything but the packed bytes ends with the call. */
#include "import/onnx_writer.h"

#include <stdlib.h>

#include "import/onnx_writer_private.h"

/* The versions of a graph that did not come from a file. */
enum { DEFAULT_OPSET = 17, DEFAULT_IR = 8 };

/* Initializers need not be listed as inputs from this IR version on. */
enum { IR_OWN_INITIALIZERS = 4 };

static char *borrow(const char *s) { return (char *)(uintptr_t)s; }

/* Names inputs and outputs first, because their names are the interface; then results of nodes, then constants. */
static void name_values(kf__onnx_out *w) {
    const kf__graph *g = w->g;
    for (size_t i = 0; i < g->n_inputs; i++) kf__out_name(w, g->inputs[i]);
    for (size_t i = 0; i < g->n_outputs; i++) kf__out_name(w, g->outputs[i]);
    for (size_t i = 0; i < g->n_nodes; i++)
        for (int k = 0; k < g->nodes[i].n_out && !g->nodes[i].dead; k++) kf__out_name(w, g->nodes[i].out[k]);
}

static Onnx__TensorShapeProto *shape_message(kf__onnx_out *w, const int64_t *dim, int rank) {
    Onnx__TensorShapeProto *s = kf__out_alloc(w, sizeof *s);
    if (!s) return NULL;
    onnx__tensor_shape_proto__init(s);
    s->dim = kf__out_alloc(w, (size_t)rank * sizeof *s->dim);
    for (int i = 0; s->dim && i < rank; i++) {
        Onnx__TensorShapeProto__Dimension *d = kf__out_alloc(w, sizeof *d);
        if (!d) return NULL;
        onnx__tensor_shape_proto__dimension__init(d);
        d->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        d->dim_value = dim[i];
        s->dim[s->n_dim++] = d;
    }
    return s;
}

/* Name, element type and, where known, extents. */
static Onnx__ValueInfoProto *value_info(kf__onnx_out *w, const char *name, int dtype, const int64_t *dim, int rank) {
    Onnx__ValueInfoProto *v = kf__out_alloc(w, sizeof *v);
    Onnx__TypeProto *type = kf__out_alloc(w, sizeof *type);
    Onnx__TypeProto__Tensor *t = kf__out_alloc(w, sizeof *t);
    if (!v || !type || !t) return NULL;
    onnx__value_info_proto__init(v);
    onnx__type_proto__init(type);
    onnx__type_proto__tensor__init(t);
    t->has_elem_type = 1;
    t->elem_type = dtype;
    if (rank >= 0) t->shape = shape_message(w, dim, rank);
    type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    type->tensor_type = t;
    v->name = borrow(name);
    v->type = type;
    return v;
}

static void append_value(kf__onnx_out *w, kf__message_list *list, kf__vid v) {
    const kf__value *x = &w->g->values[v];
    kf__out_append(w, list, value_info(w, kf__out_name(w, v), kf__out_dtype(x->dtype), x->shape.dim, x->shape.rank));
}

/* An input as the model declares it, and the nodes that make of it what the graph reads. */
static void input(kf__onnx_out *w, kf__message_list *list, kf__vid v) {
    const kf__value *x = &w->g->values[v];
    const kf__shape s = kf__value_declared(x);
    const char *raw = kf__out_name(w, v);
    kf__out_append(w, list, value_info(w, raw, kf__out_dtype(x->from_u8 ? KF_U8 : x->dtype), s.dim, s.rank));
    if (x->from_u8) {
        const char *real = kf__out_fresh(w, raw, "_f32");
        kf__out_attr_int(w, kf__out_node(w, "Cast", kf__out_node_name(w, raw, "/Cast"), &raw, 1, &real, 1), "to",
                         kf__out_dtype(KF_F32));
        w->names[v] = raw = real;
    }
    if (x->nhwc) {
        const char *turned = kf__out_fresh(w, raw, "_nchw");
        Onnx__NodeProto *n = kf__out_node(w, "Transpose", kf__out_node_name(w, raw, "/Transpose"), &raw, 1, &turned, 1);
        kf__out_attr_ints(w, n, "perm", (const int64_t[]){0, 3, 1, 2}, 4);
        w->names[v] = turned;
    }
}

/* Constants that written nodes, or the interface, refer to. */
static void initializers(kf__onnx_out *w) {
    for (size_t v = 0; v < w->g->n_values; v++) {
        const kf__value *x = &w->g->values[v];
        if (x->data && w->constant_used[v])
            kf__out_append(w, &w->initializers, kf__out_tensor(w, w->names[v], x->dtype, &x->shape, x->data));
    }
}

/* Types of what lies between inputs and outputs: viewers and other tools read them. */
static void inner_values(kf__onnx_out *w, kf__message_list *list) {
    const kf__graph *g = w->g;
    bool *is_output = kf__out_alloc(w, g->n_values * sizeof *is_output);
    for (size_t j = 0; is_output && j < g->n_outputs; j++) is_output[g->outputs[j]] = true;
    for (size_t i = 0; is_output && i < g->n_nodes; i++)
        for (int k = 0; k < g->nodes[i].n_out && !g->nodes[i].dead; k++) {
            kf__vid v = g->nodes[i].out[k];
            if (v < 0 || is_output[v] || g->values[v].shape.rank < 0) continue;
            if (kf__out_dtype(g->values[v].dtype)) append_value(w, list, v);
        }
}

static kf_status pack(kf__onnx_out *w, Onnx__ModelProto *m, void **data, size_t *bytes) {
    if (w->failed)
        KF_FAIL(w->err, KF_ERR_MEMORY, "out of memory while writing ONNX; close other programs or use a smaller model");
    *bytes = onnx__model_proto__get_packed_size(m);
    if (*bytes > INT32_MAX)
        KF_FAIL(w->err, KF_ERR_LIMIT, "the ONNX file would have %zu bytes; protobuf holds 2 GiB; use a smaller model",
                *bytes);
    *data = malloc(*bytes);
    if (!*data) KF_FAIL_MEMORY(w->err, *bytes);
    onnx__model_proto__pack(m, *data);
    return KF_OK;
}

/* Builds the model from the filled lists. */
static kf_status model(kf__onnx_out *w, kf__message_list *in, kf__message_list *out, kf__message_list *inner,
                       void **data, size_t *bytes) {
    const kf__graph *g = w->g;
    Onnx__ModelProto m = ONNX__MODEL_PROTO__INIT;
    Onnx__GraphProto p = ONNX__GRAPH_PROTO__INIT;
    Onnx__OperatorSetIdProto opset = ONNX__OPERATOR_SET_ID_PROTO__INIT, *opsets[] = {&opset};
    m.has_ir_version = 1;
    m.ir_version = g->ir_version > 0 ? g->ir_version : DEFAULT_IR;
    if (w->quantized) m.ir_version = w->opset < 21 ? 7 : 10; /* those that came with opset 13 and 21 */
    opset.domain = borrow("");
    opset.has_version = 1;
    opset.version = w->opset;
    m.n_opset_import = 1;
    m.opset_import = opsets;
    m.producer_name = borrow("kitfox");
    m.producer_version = borrow(KF_VERSION_STRING);
    m.graph = &p;
    p.name = borrow(g->name && *g->name ? g->name : "graph");
    for (size_t i = 0; m.ir_version < IR_OWN_INITIALIZERS && i < w->initializers.n; i++) {
        const Onnx__TensorProto *t = w->initializers.items[i];
        kf__out_append(w, in, value_info(w, t->name, t->data_type, t->dims, (int)t->n_dims));
    }
    p.n_node = w->nodes.n;
    p.node = (Onnx__NodeProto **)w->nodes.items;
    p.n_initializer = w->initializers.n;
    p.initializer = (Onnx__TensorProto **)w->initializers.items;
    p.n_input = in->n;
    p.input = (Onnx__ValueInfoProto **)in->items;
    p.n_output = out->n;
    p.output = (Onnx__ValueInfoProto **)out->items;
    p.n_value_info = inner->n;
    p.value_info = (Onnx__ValueInfoProto **)inner->items;
    return pack(w, &m, data, bytes);
}

static kf_status write_graph(kf__onnx_out *w, kf__message_list lists[3], void **data, size_t *bytes) {
    const kf__graph *g = w->g;
    w->names = kf__out_alloc(w, g->n_values * sizeof *w->names);
    w->constant_used = kf__out_alloc(w, g->n_values * sizeof *w->constant_used);
    if (w->failed) KF_FAIL_MEMORY(w->err, g->n_values * sizeof *w->names);
    name_values(w);
    for (size_t i = 0; i < g->n_inputs; i++) input(w, &lists[0], g->inputs[i]);
    if (w->quantized) KF_TRY(w->exact ? kf__out_exact_inputs(w) : kf__out_qdq_inputs(w));
    for (size_t i = 0; i < g->n_nodes; i++) {
        const kf__node *n = &g->nodes[i];
        if (n->dead) continue;
        size_t first = w->nodes.n;
        kf_status st = w->quantized && !w->exact ? kf__out_qdq_before(w, n) : KF_OK;
        if (st == KF_OK) st = w->quantized && w->exact ? kf__out_exact_node(w, n) : kf__out_graph_node(w, n);
        if (st != KF_OK) return kf_error_prefix(w->err, st, "%s (%s)", n->name, kf__op_name(n->op));
        if (w->quantized && !w->exact) kf__out_qdq_after(w, n);
        kf__out_settle_names(w, n, first);
    }
    if (w->quantized && w->exact) kf__out_exact_outputs(w);
    for (size_t i = 0; i < g->n_outputs; i++) append_value(w, &lists[1], g->outputs[i]);
    inner_values(w, &lists[2]);
    initializers(w);
    return model(w, &lists[0], &lists[1], &lists[2], data, bytes);
}

kf_status kf__onnx_write(const kf__graph *g, void **data, size_t *bytes, kf_error *err) {
    return kf__onnx_write_form(g, KF_QDQ_EXACT, data, bytes, err);
}

kf_status kf__onnx_write_form(const kf__graph *g, kf_qdq_form form, void **data, size_t *bytes, kf_error *err) {
    *data = NULL;
    *bytes = 0;
    kf__onnx_out w = {
        .g = g, .err = err, .opset = g->opset > 0 ? g->opset : DEFAULT_OPSET, .exact = form == KF_QDQ_EXACT};
    kf__message_list lists[3] = {{0}};
    kf__arena_init(&w.arena, NULL);
    kf_status st = kf__out_qdq_begin(&w);
    if (st == KF_OK) st = write_graph(&w, lists, data, bytes);
    for (int i = 0; i < 3; i++) free(lists[i].items);
    free(w.nodes.items);
    free(w.initializers.items);
    kf__name_index_free(&w.value_names);
    kf__name_index_free(&w.node_names);
    kf__arena_free(&w.arena);
    return st;
}
