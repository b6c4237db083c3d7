/* Graph to program: NCHW becomes NHWC, OIHW becomes OHWI, every fused node becomes one step.
 * Floor 5.
 * Owner rule: see lower.h. */
#include "lower/lower.h"

typedef struct lowering {
    const kf__graph *g;
    kf__program *p;
    int32_t *tensor_of; /* by value id; -1 */
    kf_error *err;
} lowering;

/* Extents of an activation as n, h, w, c; false for ranks that have no such reading. */
static bool as_nhwc(const kf__shape *s, kf__ptensor *t) {
    int64_t d[4] = {1, 1, 1, 1};
    if (s->rank == 4) d[0] = s->dim[0], d[1] = s->dim[2], d[2] = s->dim[3], d[3] = s->dim[1];
    else if (s->rank == 2) d[0] = s->dim[0], d[3] = s->dim[1];
    else if (s->rank == 3) d[0] = s->dim[0], d[2] = s->dim[2], d[3] = s->dim[1];
    else return false;
    for (int i = 0; i < 4; i++)
        if (d[i] < 1 || d[i] > 1 << 20) return false;
    t->n = (int32_t)d[0], t->h = (int32_t)d[1], t->w = (int32_t)d[2], t->c = (int32_t)d[3];
    return true;
}

static bool is_flat(const kf__shape *s) { return s->rank == 2 || (s->rank == 4 && s->dim[2] == 1 && s->dim[3] == 1); }

const char *kf__lower_verdict(const kf__graph *g, const kf__node *n) {
    const kf__value *y = &g->values[n->out[0]];
    kf__ptensor t;
    if (y->dtype != KF_F32) return "its output is not f32 and could not be folded into a constant";
    if (!as_nhwc(&y->shape, &t)) return "its output has a rank other than 2, 3 or 4, or an unknown extent";
    switch (n->op) {
    case KF_OP_CONV: case KF_OP_FC:
        return g->values[n->in[1]].data ? NULL : "its weights are computed at run time";
    case KF_OP_SE_GATE: case KF_OP_SCALE: case KF_OP_ACT: case KF_OP_GLOBAL_AVG_POOL: case KF_OP_AVG_POOL: case KF_OP_MAX_POOL:
        return NULL;
    case KF_OP_ADD: case KF_OP_MUL:
        if (g->values[n->in[0]].data || g->values[n->in[1]].data) return "one operand is a constant that no pass could fold";
        if (!kf__shape_equal(&g->values[n->in[0]].shape, &g->values[n->in[1]].shape)) return "its operands differ in shape (broadcasting)";
        return NULL;
    case KF_OP_CONCAT: return n->attrs.axis == 1 || n->attrs.axis == 1 - y->shape.rank ? NULL : "it joins along another axis than channels";
    case KF_OP_PAD: return "it pads in a way that could not be merged into the next convolution";
    case KF_OP_SOFTMAX: return y->shape.rank == 2 || (n->attrs.axis == 1 && is_flat(&y->shape)) ? NULL : "softmax is supported over classes only";
    case KF_OP_FLATTEN: case KF_OP_RESHAPE: case KF_OP_SQUEEZE: case KF_OP_UNSQUEEZE:
        return y->shape.rank == 2 || (is_flat(&y->shape) && is_flat(&g->values[n->in[0]].shape)) ? NULL : "it reshapes into something other than a class vector";
    default: return "there is no kernel for it";
    }
}

static int32_t add_const(lowering *l, const char *node, const char *role, const kf__shape *shape, const float *data) {
    kf__program *p = l->p;
    size_t count = 0;
    if (!kf__shape_count(shape, &count)) return -1;
    kf__pconst *c = &p->consts[p->n_consts];
    *c = (kf__pconst){.dtype = KF_F32, .shape = *shape, .bytes = count * sizeof *data};
    c->name = kf__arena_printf(&p->arena, "%d.%s.%s", p->n_consts, node, role);
    c->data = data;
    return c->name ? p->n_consts++ : -1;
}

/* Copy of a 1-D constant; -1 in *to when absent. */
static kf_status copy_vector(lowering *l, const kf__node *n, int k, const char *role, int32_t *to) {
    *to = -1;
    if (k >= n->n_in || n->in[k] < 0) return KF_OK;
    const kf__value *v = &l->g->values[n->in[k]];
    size_t count = 0;
    if (v->dtype != KF_F32 || !v->data || !kf__shape_count(&v->shape, &count)) KF_FAIL(l->err, KF_ERR_UNSUPPORTED, "%s: input %d is not an f32 constant", n->name, k);
    kf__shape s = kf__shape_make(1, (int64_t[]){(int64_t)count});
    float *copy = kf__arena_copy(&l->p->arena, v->data, count * sizeof *copy);
    if (!copy || (*to = add_const(l, n->name, role, &s, copy)) < 0) KF_FAIL_MEMORY(l->err, count * sizeof *copy);
    return KF_OK;
}

/* Weights [O,I,kh,kw] to [O,kh,kw,I], or to [kh,kw,C] for depthwise. */
static kf_status copy_weights(lowering *l, const kf__node *n, bool depthwise, int32_t *to) {
    const kf__value *v = &l->g->values[n->in[1]];
    size_t o = (size_t)v->shape.dim[0], i = (size_t)v->shape.dim[1], taps = (size_t)(v->shape.dim[2] * v->shape.dim[3]);
    const float *from = v->data;
    float *w = kf__arena_array(&l->p->arena, o * i * taps, sizeof *w);
    if (!w || v->dtype != KF_F32) KF_FAIL(l->err, w ? KF_ERR_UNSUPPORTED : KF_ERR_MEMORY, "%s: weights cannot be copied", n->name);
    for (size_t a = 0; a < o; a++)
        for (size_t b = 0; b < i; b++)
            for (size_t t = 0; t < taps; t++) w[depthwise ? t * o + a : (a * taps + t) * i + b] = from[(a * i + b) * taps + t];
    kf__shape s = depthwise ? kf__shape_make(3, (int64_t[]){v->shape.dim[2], v->shape.dim[3], v->shape.dim[0]})
                            : kf__shape_make(4, (int64_t[]){v->shape.dim[0], v->shape.dim[2], v->shape.dim[3], v->shape.dim[1]});
    if ((*to = add_const(l, n->name, "weight", &s, w)) < 0) KF_FAIL_MEMORY(l->err, o * i * taps * sizeof *w);
    return KF_OK;
}

static kf_status copy_matrix(lowering *l, const kf__node *n, int k, const char *role, int32_t *to) {
    const kf__value *v = &l->g->values[n->in[k]];
    size_t count = 0;
    if (v->dtype != KF_F32 || !v->data || !kf__shape_count(&v->shape, &count) || v->shape.rank < 2) KF_FAIL(l->err, KF_ERR_UNSUPPORTED, "%s: input %d is not an f32 matrix", n->name, k);
    kf__shape s = kf__shape_make(2, (int64_t[]){v->shape.dim[0], (int64_t)(count / (size_t)v->shape.dim[0])});
    float *copy = kf__arena_copy(&l->p->arena, v->data, count * sizeof *copy);
    if (!copy || (*to = add_const(l, n->name, role, &s, copy)) < 0) KF_FAIL_MEMORY(l->err, count * sizeof *copy);
    return KF_OK;
}

static kf_status new_tensor(lowering *l, kf__vid v, int32_t *out) {
    kf__ptensor *t = &l->p->tensors[l->p->n_tensors];
    *t = (kf__ptensor){.dtype = KF_F32, .scales = -1, .zeros = -1};
    char text[96];
    if (!as_nhwc(&l->g->values[v].shape, t))
        KF_FAIL(l->err, KF_ERR_UNSUPPORTED, "value %s has shape %s; images (rank 4) and class vectors (rank 2) are supported", l->g->values[v].name,
                kf__shape_text(&l->g->values[v].shape, text, sizeof text));
    t->name = kf__arena_strdup(&l->p->arena, l->g->values[v].name);
    if (!t->name) KF_FAIL_MEMORY(l->err, 16);
    *out = l->tensor_of[v] = l->p->n_tensors++;
    return KF_OK;
}

static kf__step_act act_of(const kf__act_attrs *a) { return (kf__step_act){a->kind, a->lo, a->hi}; }

static kf_status lower_conv(lowering *l, const kf__node *n, kf__step *s) {
    const kf__value *w = &l->g->values[n->in[1]];
    const kf__conv_attrs *a = &n->attrs.conv;
    bool depthwise = w->shape.dim[1] == 1 && a->group == w->shape.dim[0] && a->group == l->g->values[n->in[0]].shape.dim[1] && a->group > 1;
    s->op = depthwise ? KF_STEP_DWCONV : KF_STEP_CONV;
    if (n->n_in > 3 && n->in[3] >= 0) {
        s->in[1] = l->tensor_of[n->in[3]];
        s->n_in = 2;
    }
    KF_TRY(copy_weights(l, n, depthwise, &s->consts[KF_CONST_W]));
    return copy_vector(l, n, 2, "bias", &s->consts[KF_CONST_BIAS]);
}

static kf_status fill_step(lowering *l, const kf__node *n, kf__step *s) {
    switch (n->op) {
    case KF_OP_CONV: return lower_conv(l, n, s);
    case KF_OP_FC:
        s->op = KF_STEP_FC;
        KF_TRY(copy_matrix(l, n, 1, "weight", &s->consts[KF_CONST_W]));
        return copy_vector(l, n, 2, "bias", &s->consts[KF_CONST_BIAS]);
    case KF_OP_SE_GATE:
        s->op = KF_STEP_SE_GATE;
        KF_TRY(copy_matrix(l, n, 1, "reduce.weight", &s->consts[KF_CONST_W]));
        KF_TRY(copy_vector(l, n, 2, "reduce.bias", &s->consts[KF_CONST_BIAS]));
        KF_TRY(copy_matrix(l, n, 3, "expand.weight", &s->consts[KF_CONST_W2]));
        return copy_vector(l, n, 4, "expand.bias", &s->consts[KF_CONST_BIAS2]);
    case KF_OP_SCALE: s->op = KF_STEP_SCALE; break;
    case KF_OP_ADD: s->op = KF_STEP_ADD; break;
    case KF_OP_MUL: s->op = KF_STEP_MUL; break;
    case KF_OP_CONCAT: s->op = KF_STEP_CONCAT; break;
    case KF_OP_ACT: s->op = KF_STEP_ACT; break;
    case KF_OP_GLOBAL_AVG_POOL: s->op = KF_STEP_GLOBAL_POOL; break;
    case KF_OP_AVG_POOL: s->op = KF_STEP_AVG_POOL; break;
    case KF_OP_MAX_POOL: s->op = KF_STEP_MAX_POOL; break;
    case KF_OP_SOFTMAX: s->op = KF_STEP_SOFTMAX; break;
    default: s->op = KF_STEP_TO_NCHW; break; /* reshapes with something to move; see lower_node */
    }
    if (n->op == KF_OP_CONCAT && n->n_in > KF_STEP_MAX_IN) KF_FAIL(l->err, KF_ERR_UNSUPPORTED, "%s: %d inputs, at most %d", n->name, n->n_in, KF_STEP_MAX_IN);
    if (n->op == KF_OP_SCALE || n->op == KF_OP_ADD || n->op == KF_OP_MUL || n->op == KF_OP_CONCAT) {
        s->n_in = n->n_in;
        for (int k = 0; k < n->n_in; k++) s->in[k] = l->tensor_of[n->in[k]];
    }
    return KF_OK;
}

static kf_status lower_node(lowering *l, const kf__node *n) {
    const char *why = kf__lower_verdict(l->g, n);
    if (why) KF_FAIL(l->err, KF_ERR_UNSUPPORTED, "node %d %s (%s): cannot be compiled; %s; see `kitfox check`", n->origin, n->name, kf__op_name(n->op), why);
    bool reshape = n->op == KF_OP_FLATTEN || n->op == KF_OP_RESHAPE || n->op == KF_OP_SQUEEZE || n->op == KF_OP_UNSQUEEZE;
    if (reshape && is_flat(&l->g->values[n->in[0]].shape)) { /* the same numbers in the same order */
        l->tensor_of[n->out[0]] = l->tensor_of[n->in[0]];
        return KF_OK;
    }
    kf__step *s = &l->p->steps[l->p->n_steps];
    const kf__conv_attrs *a = &n->attrs.conv;
    *s = (kf__step){.n_in = 1, .in = {l->tensor_of[n->in[0]]}, .kh = a->kh, .kw = a->kw, .sh = a->sh, .sw = a->sw, .dh = a->dh, .dw = a->dw,
                    .group = a->group, .pt = a->pt, .pl = a->pl, .pb = a->pb, .pr = a->pr, .count_include_pad = n->attrs.count_include_pad};
    for (int r = 0; r < KF_CONST_ROLES; r++) s->consts[r] = -1;
    s->act = act_of(&n->attrs.act);
    s->post_act = act_of(&n->attrs.post_act);
    s->gate_act = act_of(&n->attrs.gate_act);
    s->name = kf__arena_strdup(&l->p->arena, n->name);
    s->sources = kf__arena_array(&l->p->arena, (size_t)n->n_sources + 1, sizeof *s->sources);
    if (!s->name || !s->sources) KF_FAIL_MEMORY(l->err, 64);
    for (; s->n_sources < n->n_sources; s->n_sources++)
        if (!(s->sources[s->n_sources] = kf__arena_strdup(&l->p->arena, n->sources[s->n_sources]))) KF_FAIL_MEMORY(l->err, 64);
    KF_TRY(fill_step(l, n, s));
    KF_TRY(new_tensor(l, n->out[0], &s->out));
    l->p->n_steps++;
    return KF_OK;
}

static kf_status lower_ends(lowering *l) {
    const kf__graph *g = l->g;
    kf__program *p = l->p;
    for (size_t i = 0; i < g->n_inputs; i++) {
        const kf__value *v = &g->values[g->inputs[i]];
        kf__pinput *in = &p->inputs[p->n_inputs++];
        *in = (kf__pinput){.name = kf__arena_strdup(&p->arena, v->name), .rank = v->shape.rank, .layout = v->shape.rank == 4 ? 0 : 2};
        if (v->dtype != KF_F32) KF_FAIL(l->err, KF_ERR_UNSUPPORTED, "input %s is %s; f32 is supported", v->name, kf_dtype_name(v->dtype));
        for (int k = 0; k < v->shape.rank; k++) in->shape[k] = v->shape.dim[k];
        KF_TRY(new_tensor(l, g->inputs[i], &in->tensor));
    }
    for (size_t i = 0; i < g->n_nodes; i++)
        if (!g->nodes[i].dead) KF_TRY(lower_node(l, &g->nodes[i]));
    for (size_t i = 0; i < g->n_outputs; i++) {
        const kf__value *v = &g->values[g->outputs[i]];
        kf__poutput *out = &p->outputs[p->n_outputs++];
        *out = (kf__poutput){.name = kf__arena_strdup(&p->arena, v->name), .rank = v->shape.rank, .tensor = l->tensor_of[g->outputs[i]]};
        if (out->tensor < 0) KF_FAIL(l->err, KF_ERR_UNSUPPORTED, "output %s is a constant", v->name);
        for (int k = 0; k < v->shape.rank; k++) out->shape[k] = v->shape.dim[k];
        out->probabilities = v->producer >= 0 && g->nodes[v->producer].op == KF_OP_SOFTMAX;
    }
    return KF_OK;
}

static const char *copy_text(kf__program *p, const char *s) { return s ? kf__arena_strdup(&p->arena, s) : NULL; }

static kf_status lower_meta(lowering *l) {
    const kf__meta *m = &l->g->meta;
    kf__pmeta *to = &l->p->meta;
    to->preprocess = m->preprocess;
    const char *dot = m->source ? strrchr(m->source, '.') : NULL; /* exporters call every graph "torch_jit" */
    size_t stem = dot && dot > m->source ? (size_t)(dot - m->source) : m->source ? strlen(m->source) : 0;
    to->name = m->arch ? copy_text(l->p, m->arch) : stem ? kf__arena_strndup(&l->p->arena, m->source, stem) : copy_text(l->p, l->g->name);
    to->arch = copy_text(l->p, m->arch);
    to->source = copy_text(l->p, m->source);
    to->producer = copy_text(l->p, m->producer);
    to->kitfox = copy_text(l->p, kf_version());
    to->stored_parameters = m->source_parameters;
    to->labels = kf__arena_array(&l->p->arena, (size_t)m->n_labels + 1, sizeof *to->labels);
    if (!to->labels) KF_FAIL_MEMORY(l->err, 8);
    for (; to->n_labels < m->n_labels; to->n_labels++)
        if (!(to->labels[to->n_labels] = copy_text(l->p, m->labels[to->n_labels]))) KF_FAIL_MEMORY(l->err, 8);
    for (int32_t i = 0; i < l->p->n_steps; i++) {
        const kf__step *s = &l->p->steps[i];
        const kf__ptensor *y = &l->p->tensors[s->out];
        to->macs += kf__step_macs(l->p, s);
        if (s->op == KF_STEP_CONV || s->op == KF_STEP_DWCONV || s->op == KF_STEP_FC) to->activations += (int64_t)y->n * y->h * y->w * y->c;
    }
    return kf__graph_count_architecture(l->g, &to->parameters, l->err);
}

kf_status kf__lower(const kf__graph *g, kf__program **out, kf_error *err) {
    lowering l = {.g = g, .err = err};
    KF_TRY(kf__program_create(out, NULL, err));
    kf__program *p = l.p = *out;
    size_t nodes = g->n_nodes + 1;
    p->tensors = kf__arena_array(&p->arena, nodes + g->n_inputs, sizeof *p->tensors);
    p->consts = kf__arena_array(&p->arena, nodes * 4, sizeof *p->consts);
    p->steps = kf__arena_array(&p->arena, nodes, sizeof *p->steps);
    p->inputs = kf__arena_array(&p->arena, g->n_inputs + 1, sizeof *p->inputs);
    p->outputs = kf__arena_array(&p->arena, g->n_outputs + 1, sizeof *p->outputs);
    l.tensor_of = kf__arena_array(&p->arena, g->n_values + 1, sizeof *l.tensor_of);
    kf_status st = KF_ERR_MEMORY;
    if (!p->tensors || !p->consts || !p->steps || !p->inputs || !p->outputs || !l.tensor_of) {
        st = kf__error_set(err, st, "out of memory while compiling");
    } else {
        for (size_t i = 0; i < g->n_values; i++) l.tensor_of[i] = -1;
        st = lower_ends(&l);
        if (st == KF_OK) st = lower_meta(&l);
        if (st == KF_OK) st = kf__program_validate(p, err);
    }
    if (st != KF_OK) kf__program_destroy(out);
    return st;
}
