/* Program to graph: every step becomes the fused node that it was lowered from. Tensors of a program have no rank. Each
 * value gets the rank that its operator needs; where two differ, a Flatten or Reshape goes between them.
 * Owner rule: see raise.h. */
#include "lower/lower_private.h"
#include "lower/raise_private.h"

enum { OPSET = 11, IR_VERSION = 6 };

static kf_status no_memory(const kf__raising *r) {
    KF_FAIL(r->err, KF_ERR_MEMORY, "out of memory while turning a compiled model into a graph");
}

/* Only the extents of an image, or of a vector when `rank` is 2. */
static kf__shape shape_of(const kf__ptensor *t, int rank) {
    if (rank == 2) return kf__shape_make(2, (int64_t[]){t->n, t->c});
    return kf__shape_make(4, (int64_t[]){t->n, t->c, t->h, t->w});
}

kf_status kf__raise_reshape(kf__raising *r, kf__vid v, const kf__shape *shape, const char *name, kf__vid *out) {
    const kf__shape from = r->g->values[v].shape;
    bool flatten = shape->rank == 2 && from.rank == 4 && from.dim[0] == shape->dim[0];
    const char *base = r->g->values[v].name,
               *made_up = *name ? name : kf__arena_printf(&r->g->arena, "%s_%dd", base, shape->rank);
    const char *node =
        kf__arena_printf(&r->g->arena, "%s_%s_%zu", flatten ? "Flatten" : "Reshape", base, r->g->n_nodes);
    if (!made_up || !node) return no_memory(r);
    kf__shape list = kf__shape_make(1, (int64_t[]){shape->rank});
    kf__vid in[2] = {v, flatten ? KF_NO_VALUE : kf__graph_add_const(r->g, made_up, KF_I64, &list, shape->dim)};
    kf__quant *quant = r->g->values[v].quant;
    *out = kf__graph_add_value(r->g, made_up, KF_F32, shape);
    if (*out < 0 || (!flatten && in[1] < 0)) return no_memory(r);
    kf__op op = flatten ? KF_OP_FLATTEN : KF_OP_RESHAPE;
    kf__node *n = kf__graph_add_node(r->g, op, node, in, flatten ? 1 : 2, out, 1);
    if (!n) return no_memory(r);
    n->attrs.axis = 1;
    r->g->values[*out].quant = quant;
    return KF_OK;
}

kf_status kf__raise_input(kf__raising *r, const kf__step *s, int k, int rank, kf__vid *out) {
    kf__vid v = r->value[s->in[k]];
    kf__shape want = shape_of(&r->p->tensors[s->in[k]], rank);
    if (v < 0) KF_FAIL(r->err, KF_ERR_CORRUPT, "%s: input %d is read before it is made", s->name, k);
    if (kf__shape_equal(&r->g->values[v].shape, &want)) {
        *out = v;
        return KF_OK;
    }
    const kf__ptensor *t = &r->p->tensors[s->in[k]];
    if (rank == 2 && (t->h != 1 || t->w != 1))
        KF_FAIL(r->err, KF_ERR_UNSUPPORTED, "%s: an image where a vector is needed", s->name);
    return kf__raise_reshape(r, v, &want, "", out);
}

/* The first operator that is lowered to the step; KF_OP_COUNT if none is. */
static kf__op op_of(kf__step_op step) {
    kf__op op = 0;
    if (step == KF_STEP_DWCONV) return KF_OP_CONV;
    if (step == KF_STEP_MOVE || step == KF_STEP_PICK)
        return KF_OP_COUNT; /* a program does not say which operator moved */
    while (op < KF_OP_COUNT && kf__lower_step_of(op) != step) op++;
    return op;
}

/* Elementwise steps take the rank of their first input; the others need an image or a vector. */
static int rank_of(const kf__raising *r, const kf__step *s) {
    if (s->op == KF_STEP_FC) return 2;
    bool each = s->op == KF_STEP_ADD || s->op == KF_STEP_MUL || s->op == KF_STEP_ACT;
    if (!each && s->op != KF_STEP_CONCAT && s->op != KF_STEP_SOFTMAX && s->op != KF_STEP_LOG_SOFTMAX &&
        s->op != KF_STEP_TOP)
        return 4;
    kf__vid v = r->value[s->in[0]];
    return v >= 0 && r->g->values[v].shape.rank == 2 ? 2 : 4;
}

static void fill_attrs(const kf__raising *r, const kf__step *s, kf__node *n) {
    const kf__ptensor *x = &r->p->tensors[s->in[0]], *y = &r->p->tensors[s->out];
    kf__attrs *a = &n->attrs;
    a->window = s->window;
    if (s->op == KF_STEP_DWCONV) a->window.group = x->c;
    a->act = s->act;
    a->post_act = s->post_act;
    a->gate_act = s->gate_act;
    a->axis = 1; /* channels, or classes */
    if (s->op == KF_STEP_TOP) {
        a->selects = s->selects;
        a->n_axes = 1, a->axes[0] = y->c;
        a->to = s->selects & KF_SELECTS_INDICES ? KF_I64 : KF_F32;
    }
    if (s->op == KF_STEP_MAX_POOL || s->op == KF_STEP_AVG_POOL) {
        /* A program keeps the extents, not the rounding rule behind them. */
        const kf__axis rows = kf__window_rows(&s->window), columns = kf__window_columns(&s->window);
        int64_t h, w;
        bool fits = kf__axis_extent(&rows, x->h, false, &h) && kf__axis_extent(&columns, x->w, false, &w);
        a->ceil_mode = fits && (y->h > h || y->w > w);
        a->count_include_pad = s->count_include_pad;
    }
}

static kf_status copy_sources(kf__raising *r, const kf__step *s, kf__node *n) {
    if (s->n_sources < 1) return KF_OK;
    n->sources = kf__arena_array(&r->g->arena, (size_t)s->n_sources, sizeof *n->sources);
    if (!n->sources) return no_memory(r);
    for (n->n_sources = 0; n->n_sources < s->n_sources; n->n_sources++)
        if (!(n->sources[n->n_sources] = kf__arena_strdup(&r->g->arena, s->sources[n->n_sources]))) return no_memory(r);
    return KF_OK;
}

/* In a graph, a value and its integers are one. A program has two tensors with a step between them. */
static kf_status raise_conversion(kf__raising *r, const kf__step *s) {
    kf__vid v = r->value[s->in[0]];
    if (v < 0) KF_FAIL(r->err, KF_ERR_CORRUPT, "%s: input 0 is read before it is made", s->name);
    if (s->op == KF_STEP_QUANTIZE && r->g->values[v].quant)
        KF_FAIL(r->err, KF_ERR_UNSUPPORTED, "%s: the same numbers are rounded twice", s->name);
    r->value[s->out] = v;
    return s->op == KF_STEP_QUANTIZE ? kf__raise_quant(r, &r->p->tensors[s->out], &r->g->values[v].quant) : KF_OK;
}

static kf_status raise_step(kf__raising *r, const kf__step *s) {
    if (s->op == KF_STEP_QUANTIZE || s->op == KF_STEP_DEQUANTIZE) return raise_conversion(r, s);
    kf__vid in[KF_STEP_MAX_IN + 5] = {-1}, out;
    int rank = rank_of(r, s), n_in = s->n_in;
    kf__op op = op_of(s->op);
    const kf__ptensor *x = &r->p->tensors[s->in[0]], *y = &r->p->tensors[s->out];
    if (op == KF_OP_COUNT || (s->op == KF_STEP_SOFTMAX && (x->h != 1 || x->w != 1)))
        KF_FAIL(r->err, KF_ERR_UNSUPPORTED,
                "%s: a %s step has no ONNX form here; export the model it was compiled from", s->name,
                kf__step_op_name(s->op));
    for (int k = 0; k < s->n_in; k++) KF_TRY(kf__raise_input(r, s, k, rank, &in[k]));
    if (kf__op_has_weights(op)) {
        kf__vid residual = op == KF_OP_CONV && s->n_in > 1 ? in[1] : KF_NO_VALUE;
        KF_TRY(kf__raise_weights(r, s, in, &n_in));
        if (x->dtype != KF_F32) KF_TRY(kf__raise_weight_scales(r, s, in));
        if (residual >= 0) in[3] = residual, n_in = 4;
    }
    kf__shape shape = shape_of(y, op == KF_OP_FLATTEN ? 2 : rank);
    out = kf__graph_add_value(r->g, y->name ? y->name : "", KF_F32, &shape);
    kf__node *n = out >= 0 ? kf__graph_add_node(r->g, op, s->name, in, n_in, &out, 1) : NULL;
    if (!n) return no_memory(r);
    fill_attrs(r, s, n);
    if (op == KF_OP_SE_GATE && x->dtype != KF_F32) KF_TRY(kf__raise_gate_scales(r, s, &n->attrs));
    KF_TRY(kf__raise_quant(r, y, &r->g->values[out].quant));
    r->value[s->out] = out;
    return copy_sources(r, s, n);
}

/* A float network that takes u8 makes f32 of it first. */
static bool only_dequantized(const kf__program *p, const kf__pinput *in) {
    bool only = in->pixels;
    for (int32_t i = 0; i < p->n_steps; i++)
        for (int32_t k = 0; k < p->steps[i].n_in; k++)
            only &= p->steps[i].in[k] != in->tensor || p->steps[i].op == KF_STEP_DEQUANTIZE;
    return only;
}

/* The declared input, reshaped to an image if it is flat. */
static kf_status raise_model_input(kf__raising *r, const kf__pinput *in) {
    kf__shape want = shape_of(&r->p->tensors[in->tensor], in->rank == 2 ? 2 : 4),
              declared = in->layout == 1 ? want : kf__shape_make(in->rank, in->shape);
    kf__vid v = kf__graph_add_value(r->g, in->name, KF_F32, &declared);
    if (v < 0) return no_memory(r);
    r->g->inputs[r->g->n_inputs++] = v;
    r->value[in->tensor] = v;
    r->g->values[v].from_u8 = only_dequantized(r->p, in);
    if (!r->g->values[v].from_u8) KF_TRY(kf__raise_quant(r, &r->p->tensors[in->tensor], &r->g->values[v].quant));
    if (r->g->values[v].quant) r->g->values[v].quant->pixels = in->pixels;
    r->g->values[v].nhwc = in->layout == 1;
    return kf__shape_equal(&declared, &want) ? KF_OK : kf__raise_reshape(r, v, &want, "", &r->value[in->tensor]);
}

/* A step's own value takes the output's name, unless an input or another output already has it. */
static kf_status raise_model_output(kf__raising *r, const kf__poutput *o) {
    kf__graph *g = r->g;
    kf__vid v = r->value[o->tensor];
    kf__shape declared = kf__shape_make(o->rank, o->shape);
    if (v < 0) KF_FAIL(r->err, KF_ERR_CORRUPT, "output %s is never made", o->name);
    bool shared = g->values[v].producer < 0;
    for (size_t i = 0; i < g->n_outputs; i++) shared |= g->outputs[i] == v;
    if (shared || !kf__shape_equal(&g->values[v].shape, &declared))
        KF_TRY(kf__raise_reshape(r, v, &declared, o->name, &v));
    else if (!(g->values[v].name = kf__arena_strdup(&g->arena, o->name))) return no_memory(r);
    g->outputs[g->n_outputs++] = v;
    return KF_OK;
}

static const char *copy_text(kf__graph *g, const char *s) { return s ? kf__arena_strdup(&g->arena, s) : NULL; }

static kf_status raise_meta(kf__raising *r) {
    const kf__pmeta *from = &r->p->meta;
    kf__meta *to = &r->g->meta;
    r->g->opset = OPSET;
    r->g->ir_version = IR_VERSION;
    r->g->name = kf__arena_strdup(&r->g->arena, from->name ? from->name : "");
    to->preprocess = from->preprocess;
    to->input_range = from->input_range;
    to->range_known = from->range_known;
    to->origin = from->origin;
    to->preprocess_source = copy_text(r->g, from->preprocess_source);
    to->takes = r->p->inputs[0].takes;
    to->scores = kf__program_ranked(r->p)->scores;
    to->arch = copy_text(r->g, from->arch);
    to->source = copy_text(r->g, from->source);
    to->producer = copy_text(r->g, from->producer);
    to->source_parameters = from->stored_parameters;
    to->labels = kf__arena_array(&r->g->arena, (size_t)from->n_labels + 1, sizeof *to->labels);
    if (!to->labels || !r->g->name) return no_memory(r);
    for (; to->n_labels < from->n_labels; to->n_labels++)
        if (!(to->labels[to->n_labels] = copy_text(r->g, from->labels[to->n_labels]))) return no_memory(r);
    return KF_OK;
}

static kf_status raise_all(kf__raising *r) {
    const kf__program *p = r->p;
    kf__graph *g = r->g;
    r->value = kf__arena_array(&g->arena, (size_t)p->n_tensors + 1, sizeof *r->value);
    g->inputs = kf__arena_array(&g->arena, (size_t)p->n_inputs + 1, sizeof *g->inputs);
    g->outputs = kf__arena_array(&g->arena, (size_t)p->n_outputs + 1, sizeof *g->outputs);
    if (!r->value || !g->inputs || !g->outputs) return no_memory(r);
    for (int32_t i = 0; i < p->n_tensors; i++) r->value[i] = KF_NO_VALUE;
    KF_TRY(raise_meta(r));
    for (int32_t i = 0; i < p->n_inputs; i++) KF_TRY(raise_model_input(r, &p->inputs[i]));
    for (int32_t i = 0; i < p->n_steps; i++) KF_TRY(raise_step(r, &p->steps[i]));
    for (int32_t i = 0; i < kf__program_outputs(p); i++) KF_TRY(raise_model_output(r, &p->outputs[i]));
    KF_TRY(kf__graph_compact(g, r->err));
    return kf__graph_verify(g, r->err);
}

kf_status kf__raise(const kf__program *p, kf__graph **out, kf_error *err) {
    kf__raising r = {.p = p, .err = err};
    *out = NULL;
    KF_TRY(kf__graph_create(&r.g, err));
    kf_status st = raise_all(&r);
    if (st == KF_OK && p->meta.quantized) st = kf__raise_proof(p, r.g, err);
    if (st == KF_OK) *out = r.g;
    else kf__graph_destroy(&r.g);
    return st;
}
