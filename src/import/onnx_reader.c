/* The ONNX reader: protobuf to graph, input shapes, opset and IR checks.
 * Untrusted bytes: nesting is bounded before the recursive parser runs, every index and size is checked.
 * Owner rule: see onnx_reader.h. */
#include "import/onnx_private.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_DEPTH = 24 };

void kf__onnx_notice(const kf__onnx *o, const char *fmt, ...) {
    if (!o->options->asked.notice) return;
    char text[512];
    va_list args;
    va_start(args, fmt);
    kf__text_vprint(text, sizeof text, fmt, args);
    va_end(args);
    o->options->asked.notice(o->options->asked.notice_user, text);
}

static bool varint(kf__reader *r, uint64_t *out) {
    *out = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        const uint8_t *b;
        if (!kf__read_bytes(r, 1, &b)) return false;
        *out |= (uint64_t)(*b & 0x7f) << shift;
        if (!(*b & 0x80)) return true;
    }
    return false;
}

/* Whether the length-delimited field `field` of message `kind` is a message that can contain itself again. Only the
 * cycle graph -> node -> attribute -> graph (and types inside types) can nest without end. */
enum {
    KIND_MODEL,
    KIND_TRAINING,
    KIND_FUNCTION,
    KIND_GRAPH,
    KIND_NODE,
    KIND_ATTR,
    KIND_VALUE,
    KIND_TYPE,
    KIND_TYPE_BOX,
    KIND_TENSOR_TYPE,
    KIND_LEAF
};

static int model_child(uint64_t field) {
    if (field == 7) return KIND_GRAPH;
    if (field == 20) return KIND_TRAINING;
    return field == 25 ? KIND_FUNCTION : KIND_LEAF;
}

static int function_child(uint64_t field) {
    if (field == 7) return KIND_NODE;
    if (field == 11) return KIND_ATTR;
    return field == 12 ? KIND_VALUE : KIND_LEAF;
}

static int graph_child(uint64_t field) {
    if (field == 1) return KIND_NODE;
    return field >= 11 && field <= 13 ? KIND_VALUE : KIND_LEAF;
}

static int attribute_child(uint64_t field) {
    if (field == 6 || field == 11) return KIND_GRAPH;
    return field == 14 || field == 15 ? KIND_TYPE : KIND_LEAF;
}

static int child_kind(int kind, uint64_t field) {
    if (kind == KIND_MODEL) return model_child(field);
    if (kind == KIND_TRAINING) return field == 1 || field == 2 ? KIND_GRAPH : KIND_LEAF; /* initialization, algorithm */
    if (kind == KIND_FUNCTION) return function_child(field);
    if (kind == KIND_GRAPH) return graph_child(field);
    if (kind == KIND_NODE) return field == 5 ? KIND_ATTR : KIND_LEAF;
    if (kind == KIND_ATTR) return attribute_child(field);
    if (kind == KIND_VALUE) return field == 2 ? KIND_TYPE : KIND_LEAF;
    if (kind == KIND_TYPE && (field == 1 || field == 8)) return KIND_TENSOR_TYPE;
    if (kind == KIND_TYPE)
        return field == 4 || field == 5 || field == 9 ? KIND_TYPE_BOX : KIND_LEAF; /* sequence, map, optional */
    if (kind == KIND_TYPE_BOX) return field == 1 || field == 2 ? KIND_TYPE : KIND_LEAF;
    return KIND_LEAF;
}

/* A message that its parent has once. If it is repeated, the parser merges it with the first, list by list, and
 * copies both each time. */
static bool is_single(int kind, uint64_t field) {
    if (kind == KIND_MODEL) return field == 7;
    if (kind == KIND_TRAINING) return field == 1 || field == 2;
    if (kind == KIND_ATTR) return field == 5 || field == 6 || field == 14 || field == 22;
    if (kind == KIND_VALUE || kind == KIND_TENSOR_TYPE) return field == 2;
    return kind == KIND_TYPE || kind == KIND_TYPE_BOX;
}

static bool depth_ok(const uint8_t *data, size_t bytes, int kind, int depth, bool *twice) {
    uint32_t seen = 0;
    if (depth > MAX_DEPTH) return false;
    kf__reader r = {data, bytes, 0};
    uint64_t key, len;
    const uint8_t *body;
    while (varint(&r, &key)) {
        switch (key & 7) {
        case 0:
            if (!varint(&r, &len)) return true;
            break;
        case 1:
            if (!kf__read_bytes(&r, 8, &body)) return true;
            break;
        case 5:
            if (!kf__read_bytes(&r, 4, &body)) return true;
            break;
        case 2: {
            if (!varint(&r, &len) || len > SIZE_MAX || !kf__read_bytes(&r, (size_t)len, &body))
                return true; /* the parser reports it */
            int child = child_kind(kind, key >> 3);
            if (is_single(kind, key >> 3) && key >> 3 < 32) {
                *twice = *twice || (seen >> (key >> 3) & 1);
                seen |= (uint32_t)1 << (key >> 3);
            }
            if (child != KIND_LEAF && !depth_ok(body, (size_t)len, child, depth + 1, twice)) return false;
            break;
        }
        case 3:
        case 4: return false; /* groups nest too and never occur in ONNX */
        default: return true;
        }
    }
    return true;
}

kf_status kf__onnx_check_depth(const uint8_t *data, size_t bytes, kf_error *err) {
    bool twice = false;
    if (!depth_ok(data, bytes, KIND_MODEL, 0, &twice))
        KF_FAIL(err, KF_ERR_LIMIT, "messages are nested more than %d deep; no real model is; the file may be hostile",
                MAX_DEPTH);
    if (twice)
        KF_FAIL(err, KF_ERR_FORMAT,
                "a message occurs twice that may occur once; no writer does that; the file may be hostile");
    return KF_OK;
}

kf__vid kf__onnx_value(kf__onnx *o, const char *name) {
    if (!name || !*name) return KF_NO_VALUE;
    const int32_t *known = kf__name_index_find(&o->values, name);
    if (known) return *known;
    kf__vid id = o->no_memory ? KF_NO_VALUE : kf__graph_add_value(o->g, name, KF_DTYPE_NONE, NULL);
    o->no_memory |= id < 0 || !kf__name_index_put(&o->values, o->g->values[id].name, id);
    return o->no_memory ? KF_NO_VALUE : id;
}

/* Producer of the graph's inputs while the file is read; kf__graph_compact sets every producer anew. */
enum { CALLER = -2 };

kf_status kf__onnx_undefined(kf__onnx *o, kf__vid id) {
    const kf__value *v = &o->g->values[id];
    if (v->producer == -1 && !v->data) return KF_OK;
    KF_FAIL(o->err, KF_ERR_FORMAT, "value %s is made twice", v->name);
}

kf_status kf__onnx_define(kf__onnx *o, kf__vid id, const kf__dense *d) {
    kf__value *v = &o->g->values[id];
    size_t count;
    KF_TRY(kf__onnx_undefined(o, id));
    if (!kf__shape_count(&d->shape, &count)) KF_FAIL(o->err, KF_ERR_SHAPE, "constant %s has no size", v->name);
    v->dtype = d->dtype;
    v->shape = d->shape;
    v->data = d->data;
    v->bytes = count * kf_dtype_size(d->dtype);
    return KF_OK;
}

/* The extents given for input `name`: "AxBxC", or "name=AxBxC;other=...". Returns the count, 0 when not given, -1 when
 * malformed. */
static int given_shape(const char *spec, const char *name, bool only_input, int64_t *dim) {
    size_t len = strlen(name);
    while (spec && *spec) {
        const char *end = strchr(spec, ';'), *eq = strchr(spec, '=');
        if (!end) end = spec + strlen(spec);
        if (eq && eq > end) eq = NULL;
        bool mine = eq ? (size_t)(eq - spec) == len && memcmp(spec, name, len) == 0 : only_input;
        if (mine) {
            int n = 0;
            for (const char *p = eq ? eq + 1 : spec;;) {
                char *after;
                if (!isdigit((unsigned char)*p) || n == KF_MAX_RANK) return -1;
                dim[n] = strtoll(p, &after, 10);
                if (dim[n] < 1 || dim[n] > 1 << 24) return -1;
                n++;
                if (after == end) return n;
                if (*after != 'x' && *after != 'X') return -1;
                p = after + 1;
            }
        }
        spec = *end ? end + 1 : end;
    }
    return 0;
}

/* An input whose shape is known. */
static kf_status take_input(kf__onnx *o, kf__vid id, int32_t elem_type) {
    kf__value *v = &o->g->values[id];
    if (!kf__graph_shape_fits(&v->shape))
        KF_FAIL(o->err, KF_ERR_LIMIT, "input %s is too large; at most %lld elements are possible", v->name,
                (long long)KF_MOST_ELEMENTS);
    v->producer = CALLER;
    v->dtype = kf__onnx_dtype(elem_type);
    if (v->dtype == KF_DTYPE_NONE)
        KF_FAIL(o->err, KF_ERR_UNSUPPORTED, "input %s: element type %d is not supported", v->name, elem_type);
    if (v->dtype == KF_F16 || v->dtype == KF_BF16 || v->dtype == KF_F64) v->dtype = KF_F32;
    o->g->inputs[o->g->n_inputs++] = id;
    return KF_OK;
}

/* The extent of dimension i that the file declares; 0: it is free. */
static int64_t declared_extent(const Onnx__TypeProto__Tensor *t, size_t i) {
    if (!t->shape || i >= t->shape->n_dim) return 0;
    const Onnx__TensorShapeProto__Dimension *d = t->shape->dim[i];
    return d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE ? d->dim_value : 0;
}

/* The batch that is used in place of the file's `own`; 0: that one stays. */
static int64_t other_batch(const kf__onnx *o, const kf__shape *s, const int64_t *given, int64_t own, bool only) {
    int64_t asked = o->options->asked.batch;
    if (s->rank < 2 || own <= 0) return 0;
    if (given) return only && own != given[0] ? given[0] : 0;
    return asked > 0 && asked != own && (!o->batch_file || o->batch_file == own) ? asked : 0;
}

/* Extents as given, or else as the file says. */
static kf_status take_extents(kf__onnx *o, kf__value *v, const Onnx__TypeProto__Tensor *t, const int64_t *given,
                              bool only) {
    int64_t batch = other_batch(o, &v->shape, given, declared_extent(t, 0), only);
    if (batch) {
        o->batch_file = declared_extent(t, 0), o->batch_now = batch;
        kf__onnx_notice(o, "input %s: the file takes %lld at a time; %lld is used", v->name, (long long)o->batch_file,
                        (long long)batch);
    }
    for (int i = 0; i < v->shape.rank; i++) {
        int64_t own = declared_extent(t, (size_t)i), *to = &v->shape.dim[i];
        *to = given ? given[i] : own;
        if (batch && i == 0) *to = batch;
        else if (given && own > 0 && own != given[i])
            KF_FAIL(o->err, KF_ERR_SHAPE, "input %s: dimension %d is %lld in the file, --input-shape says %lld",
                    v->name, i, (long long)own, (long long)given[i]);
        if (*to <= 0 && i == 0) {
            *to = o->options->asked.batch > 0 ? o->options->asked.batch : 1;
            kf__onnx_notice(o, "input %s: batch is free in the file; %lld is used", v->name, (long long)*to);
        }
        if (*to <= 0)
            KF_FAIL(o->err, KF_ERR_SHAPE,
                    "input %s: dimension %d is free in the file; give its size with --input-shape, as in 1x3x224x224",
                    v->name, i);
    }
    return KF_OK;
}

static kf_status declare_input(kf__onnx *o, const Onnx__ValueInfoProto *vi, bool only) {
    const char *name = vi->name ? vi->name : "";
    kf__vid id = kf__onnx_value(o, name);
    if (id < 0) KF_FAIL(o->err, *name ? KF_ERR_MEMORY : KF_ERR_FORMAT, "graph input without a name");
    kf__value *v = &o->g->values[id];
    if (v->data) return KF_OK; /* IR 3 lists initializers among the inputs */
    if (v->producer == CALLER) KF_FAIL(o->err, KF_ERR_FORMAT, "input %s is given twice", name);
    if (!vi->type || vi->type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE)
        KF_FAIL(o->err, KF_ERR_UNSUPPORTED, "input %s: only tensor inputs are supported", name);
    const Onnx__TypeProto__Tensor *t = vi->type->tensor_type;
    size_t rank = t->shape ? t->shape->n_dim : 0;
    int64_t given[KF_MAX_RANK];
    int n = given_shape(o->options->asked.input_shape, name, only, given);
    if (n < 0)
        KF_FAIL(o->err, KF_ERR_ARGUMENT, "--input-shape %s: cannot read; write 1x3x224x224 or NAME=1x3x224x224",
                o->options->asked.input_shape);
    if (!t->shape && !n)
        KF_FAIL(o->err, KF_ERR_SHAPE,
                "input %s: the file declares no shape; give it with --input-shape, as in 1x3x224x224", name);
    if (rank > KF_MAX_RANK || (n && rank && (size_t)n != rank))
        KF_FAIL(o->err, KF_ERR_SHAPE, "input %s has %zu dimensions, --input-shape gives %d", name, rank, n);
    v->shape.rank = n ? n : (int)rank;
    KF_TRY(take_extents(o, v, t, n ? given : NULL, only));
    return take_input(o, id, t->elem_type);
}

static kf_status load_initializers(kf__onnx *o, const Onnx__GraphProto *p) {
    for (size_t i = 0; i < p->n_initializer; i++) {
        const Onnx__TensorProto *t = p->initializer[i];
        kf__vid id = kf__onnx_value(o, t->name);
        if (id < 0) KF_FAIL(o->err, KF_ERR_FORMAT, "initializer %zu has no name", i);
        kf__dense d;
        size_t count;
        KF_TRY(kf__onnx_tensor(o, t, &d.dtype, &d.shape, &d.data));
        KF_TRY(kf__onnx_define(o, id, &d));
        if (kf__shape_count(&d.shape, &count)) o->g->meta.source_parameters += (int64_t)count;
    }
    if (p->n_sparse_initializer)
        KF_FAIL(o->err, KF_ERR_UNSUPPORTED, "sparse initializers are not supported; export dense weights");
    return KF_OK;
}

static kf_status check_versions(kf__onnx *o, const Onnx__ModelProto *m) {
    for (size_t i = 0; i < m->n_opset_import; i++) {
        const char *d = m->opset_import[i]->domain;
        if (!d || !*d || strcmp(d, "ai.onnx") == 0) o->opset = (int)kf__min_i64(m->opset_import[i]->version, 1000);
    }
    if (o->opset < KF_ONNX_MIN_OPSET)
        KF_FAIL(o->err, KF_ERR_UNSUPPORTED, "opset %d; %d to %d are supported; export again with a newer opset",
                o->opset, KF_ONNX_MIN_OPSET, KF_ONNX_MAX_OPSET);
    if (o->opset > KF_ONNX_MAX_OPSET)
        kf__onnx_notice(o, "opset %d is newer than %d; operators are read by the rules of %d", o->opset,
                        KF_ONNX_MAX_OPSET, KF_ONNX_MAX_OPSET);
    if (m->ir_version > KF_ONNX_KNOWN_IR)
        kf__onnx_notice(o, "IR version %lld is newer than %d; reading goes on", (long long)m->ir_version,
                        KF_ONNX_KNOWN_IR);
    o->g->opset = o->opset;
    o->g->ir_version = (int32_t)kf__min_i64(m->ir_version, 1000);
    if (m->producer_name && *m->producer_name)
        o->g->meta.producer = kf__arena_printf(&o->g->arena, "%.100s %.60s", m->producer_name,
                                               m->producer_version ? m->producer_version : "");
    return KF_OK;
}

static kf_status declare_inputs(kf__onnx *o, const Onnx__GraphProto *p) {
    size_t free_inputs = 0;
    for (size_t i = 0; i < p->n_input; i++) {
        kf__vid id = kf__onnx_value(o, p->input[i]->name);
        free_inputs += id >= 0 && !o->g->values[id].data;
    }
    for (size_t i = 0; i < p->n_input; i++) KF_TRY(declare_input(o, p->input[i], free_inputs == 1));
    if (o->g->n_inputs == 0) KF_FAIL(o->err, KF_ERR_FORMAT, "the graph has no inputs");
    return KF_OK;
}

static kf_status read_nodes(kf__onnx *o, const Onnx__GraphProto *p) {
    int32_t *order = calloc(p->n_node + 1, sizeof *order);
    if (!order) KF_FAIL_MEMORY(o->err, p->n_node * sizeof *order);
    kf_status st = kf__onnx_sequence(o, p, order);
    for (size_t i = 0; st == KF_OK && i < p->n_node; i++) {
        o->node_index = order[i];
        st = kf__onnx_node(o, p->node[order[i]]);
    }
    free(order);
    return st;
}

static kf_status find_outputs(kf__onnx *o, const Onnx__GraphProto *p) {
    for (size_t i = 0; i < p->n_output; i++) {
        kf__vid id = kf__onnx_value(o, p->output[i]->name);
        if (id < 0 || (o->g->values[id].producer < 0 && !o->g->values[id].data))
            KF_FAIL(o->err, KF_ERR_FORMAT, "output %s is made by no node",
                    p->output[i]->name ? p->output[i]->name : "?");
        o->g->outputs[o->g->n_outputs++] = id;
    }
    if (o->g->n_outputs == 0) KF_FAIL(o->err, KF_ERR_FORMAT, "the graph has no outputs");
    return KF_OK;
}

/* Every value that a node reads is an input, a constant, or some node's output. */
static kf_status check_sources(kf__onnx *o) {
    const kf__graph *g = o->g;
    for (size_t i = 0; i < g->n_nodes; i++)
        for (int k = 0; k < g->nodes[i].n_in; k++) {
            kf__vid id = g->nodes[i].in[k];
            if (id < 0 || g->values[id].data || g->values[id].producer != -1) continue;
            KF_FAIL(o->err, KF_ERR_FORMAT, "%s reads %s, which nothing makes", g->nodes[i].name, g->values[id].name);
        }
    return KF_OK;
}

/* Another batch than the file's reaches every output, or some node has the file's built in. */
static kf_status check_batch(const kf__onnx *o, const Onnx__GraphProto *p) {
    for (size_t i = 0; o->batch_file && i < p->n_output; i++) {
        const Onnx__ValueInfoProto *vi = p->output[i];
        const kf__value *v = &o->g->values[o->g->outputs[i]];
        bool declared = vi->type && vi->type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
        int64_t own = declared ? declared_extent(vi->type->tensor_type, 0) : 0;
        if (v->shape.rank < 1 || (own != o->batch_file && own != 0) || v->shape.dim[0] == o->batch_now) continue;
        KF_FAIL(o->err, KF_ERR_SHAPE,
                "output %s still has %lld rows; a node has the file's batch built in; export the "
                "network for one picture",
                v->name, (long long)v->shape.dim[0]);
    }
    return KF_OK;
}

static kf_status build(kf__onnx *o, const Onnx__ModelProto *m) {
    const Onnx__GraphProto *p = m->graph;
    if (!p) KF_FAIL(o->err, KF_ERR_FORMAT, "not an ONNX model; it holds no graph; check the file");
    KF_TRY(check_versions(o, m));
    o->g->name = kf__arena_strdup(&o->g->arena, p->name ? p->name : "");
    o->g->inputs = kf__arena_array(&o->g->arena, p->n_input + 1, sizeof *o->g->inputs);
    o->g->outputs = kf__arena_array(&o->g->arena, p->n_output + 1, sizeof *o->g->outputs);
    if (!o->g->name || !o->g->inputs || !o->g->outputs) KF_FAIL_MEMORY(o->err, p->n_input * sizeof *o->g->inputs);
    char op[KF__ONNX_OP_NAME];
    for (size_t i = 0; o->options->asked.node && i < p->n_node; i++)
        o->options->asked.node(o->options->asked.node_user, p->node[i]->name ? p->node[i]->name : "",
                               kf__onnx_op_name(p->node[i], op), kf__onnx_known(p->node[i]));
    KF_TRY(load_initializers(o, p));
    o->g->meta.source_nodes = (int32_t)kf__min_i64((int64_t)p->n_node, INT32_MAX);
    KF_TRY(declare_inputs(o, p));
    KF_TRY(read_nodes(o, p));
    KF_TRY(find_outputs(o, p));
    KF_TRY(check_sources(o));
    KF_TRY(kf__graph_compact(o->g, o->err));
    KF_TRY(kf__graph_verify(o->g, o->err));
    KF_TRY(check_batch(o, p));
    return kf__graph_check_finite(o->g, o->err);
}

static void *take(void *failed, size_t bytes) {
    void *p = malloc(bytes);
    if (!p) *(bool *)failed = true;
    return p;
}

static void give_back(void *failed, void *p) {
    (void)failed;
    free(p);
}

kf_status kf__onnx_read(const void *data, size_t bytes, const kf__onnx_options *options, kf__graph **out,
                        kf_error *err) {
    *out = NULL;
    if (bytes == 0) KF_FAIL(err, KF_ERR_FORMAT, "the file is empty; an ONNX model is needed");
    KF_TRY(kf__onnx_check_depth(data, bytes, err));
    bool failed = false; /* protobuf-c says only that it has no message */
    ProtobufCAllocator allocator = {take, give_back, &failed};
    Onnx__ModelProto *m = onnx__model_proto__unpack(&allocator, bytes, data);
    if (!m && failed)
        KF_FAIL(err, KF_ERR_MEMORY, "out of memory for the messages of %zu bytes of protobuf; close other programs",
                bytes);
    if (!m)
        KF_FAIL(err, KF_ERR_FORMAT,
                "not an ONNX model; the protobuf does not parse; the file may be truncated or of another kind");
    kf__onnx o = {.options = options, .err = err};
    kf_status st = kf__graph_create(&o.g, err);
    if (st == KF_OK) st = build(&o, m);
    onnx__model_proto__free_unpacked(m, &allocator);
    kf__name_index_free(&o.values);
    if (o.no_memory)
        st = kf_error_set(err, KF_ERR_MEMORY, "out of memory for the names of values; close other programs");
    if (st != KF_OK && o.batch_file)
        kf_error_prefix(err, st, "batch %lld instead of the file's %lld", (long long)o.batch_now,
                        (long long)o.batch_file);
    if (st == KF_OK) *out = o.g;
    else kf__graph_destroy(&o.g);
    return st;
}
