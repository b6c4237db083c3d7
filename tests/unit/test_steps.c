/* The table of steps, proved by breaking it: every kind in every form that steps.def lists is built in a valid program,
 * then one thing at a time is wrong, and the load-time proof must refuse it. Nothing here names a kind, so a new one is
 * covered by its entry. Owner rule: each test frees what it makes. */
#include "program_builder.h"

#include "program/program_private.h"

enum { HIDDEN = 3, EACH = 4, BOUND = 100 };

/** One way in which a kind can be used. */
typedef struct form {
    kf__step_op op;
    int form;
    int32_t n_in;
    kf_dtype first, others, out;
    bool direct, border, scaled, optional;
    kf__act act;
} form;

static const kf_dtype TENSOR_TYPES[] = {KF_F32, KF_U8, KF_I16};
static const kf_dtype CONST_TYPES[] = {KF_F32, KF_I8, KF_U8, KF_I16, KF_I32};
static const int32_t SHAPES[][4] = {{1, 4, 4, EACH}, {1, 1, 1, EACH}, {1, 1, 1, 16 * EACH}, {1, 4, 4, 2 * EACH}};

static form now;             /* for messages */
static size_t built, spoilt; /* programs that were accepted, and refused */

static unsigned reads(const form *f) { return kf__step_info_of(f->op)->forms[f->form].reads; }

static int32_t add_const(kf__program *p, kf_dtype type, const kf__shape *shape) {
    size_t n = 0;
    assert_true(kf__shape_count(shape, &n) && n > 0 && p->n_consts < 64);
    void *data = kf__arena_zalloc(&p->arena, n * kf_dtype_size(type) + 64);
    for (size_t i = 0; i < n; i++) { /* no zeros: with weights of 0 no bias is too large */
        if (type == KF_F32) ((float *)data)[i] = 0.5f;
        if (type == KF_I32) ((int32_t *)data)[i] = 1;
        if (type == KF_I16) ((int16_t *)data)[i] = 1;
        if (type == KF_I8) ((int8_t *)data)[i] = 1;
    }
    const char *name = kf__arena_printf(&p->arena, "const%d", p->n_consts);
    p->consts[p->n_consts] = (kf__pconst){name, type, *shape, data, n * kf_dtype_size(type), false, 0};
    return p->n_consts++;
}

static void set_type(kf__ptensor *t, kf_dtype type) {
    const bool bytes = type == KF_U8;
    t->dtype = type, t->scale = type == KF_F32 ? 0.0f : 1.0f, t->zero = 0;
    t->qmin = bytes || type == KF_F32 ? 0 : -BOUND, t->qmax = type == KF_F32 ? 0 : BOUND;
}

static int32_t add_tensor(kf__program *p, kf_dtype type, const int32_t shape[4]) {
    kf__ptensor *t = &p->tensors[p->n_tensors];
    *t = (kf__ptensor){
        .name = "t", .n = shape[0], .h = shape[1], .w = shape[2], .c = shape[3], .scales = -1, .zeros = -1};
    set_type(t, type);
    return p->n_tensors++;
}

static void convert(kf__program *p, kf__step_op op, int32_t in, int32_t out) {
    kf__step *s = pb_step(p, op, "convert", in, out);
    if (op != KF_STEP_QUANTIZE) return;
    s->qlo = p->tensors[out].qmin, s->qhi = p->tensors[out].qmax;
    s->consts[KF_CONST_INV] = add_const(p, KF_F32, &(kf__shape){.rank = 1, .dim = {1}});
}

/* An input of the step: of the program where it is f32, else behind a step that rounds. */
static int32_t add_input(kf__program *p, kf_dtype type, const int32_t d[4]) {
    int32_t t = add_tensor(p, KF_F32, d);
    p->inputs[p->n_inputs++] = (kf__pinput){.name = "in", .tensor = t, .rank = 4, .shape = {d[0], d[3], d[1], d[2]}};
    if (type == KF_F32) return t;
    int32_t q = add_tensor(p, type, d);
    convert(p, KF_STEP_QUANTIZE, t, q);
    return q;
}

static void add_output(kf__program *p, int32_t t) {
    const kf__ptensor *y = &p->tensors[t];
    const int32_t d[4] = {y->n, y->h, y->w, y->c};
    if (y->dtype != KF_F32) {
        int32_t f = add_tensor(p, KF_F32, d);
        convert(p, KF_STEP_DEQUANTIZE, t, f);
        t = f;
    }
    p->outputs[p->n_outputs++] =
        (kf__poutput){.name = "out", .tensor = t, .rank = 4, .shape = {d[0], d[3], d[1], d[2]}};
}

static void add_scales(kf__program *p, kf__ptensor *t) {
    if (t->dtype != KF_F32) t->scales = add_const(p, KF_F32, &(kf__shape){.rank = 1, .dim = {t->c}});
}

static void fill_scales(kf__program *p, const form *f, const kf__step *s) {
    const kf__scaled may = kf__step_info_of(f->op)->scaled;
    if (!f->form && f->out == KF_F32) return;
    if (may & KF_SCALED_FIRST) add_scales(p, &p->tensors[s->in[0]]);
    for (int32_t k = 1; may & KF_SCALED_OTHERS && k < s->n_in; k++) add_scales(p, &p->tensors[s->in[k]]);
    if (may & KF_SCALED_OUT) add_scales(p, &p->tensors[s->out]);
}

static void fill_fields(const kf__program *p, const form *f, kf__step *s) {
    const kf__ptensor *y = &p->tensors[s->out];
    s->window = (kf__window){0};
    if (kf__step_info_of(f->op)->window == KF_WINDOW_USED) s->window = (kf__window){3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    s->act.kind = f->act, s->direct = f->direct, s->border_bias = f->border;
    if (reads(f) & (KF_READS_CLIP | KF_READS_KEEPS) && y->dtype != KF_F32) s->qlo = y->qmin, s->qhi = y->qmax;
    if (!(reads(f) & KF_READS_GATE)) return;
    s->pool_qmax = s->hidden_qmax = s->qhi = BOUND, s->qlo = -BOUND, s->pool_mul = s->hidden_inv = 0.5f;
}

static kf_dtype type_of(unsigned types) {
    for (size_t i = 0; i < KF_COUNT(CONST_TYPES); i++)
        if (kf__types_of(CONST_TYPES[i]) & types) return CONST_TYPES[i];
    fail_msg("a rule without a type");
    return KF_F32;
}

static void fill_consts(kf__program *p, const form *f, kf__step *s) {
    size_t n;
    const kf__const_rule *rules = kf__const_rules(&n);
    for (size_t i = 0; i < n; i++) {
        if (rules[i].op != f->op) continue;
        kf__need need = kf__const_need(&rules[i], p, s);
        if (need == KF_NEED_NEVER || (need == KF_NEED_MAY && !f->optional)) continue;
        kf__length l;
        kf__const_length(&rules[i], p, s, &l);
        for (int k = 0; k < l.shape.rank; k++)
            if (l.shape.dim[k] == 0) l.shape.dim[k] = HIDDEN; /* for the file to say */
        s->consts[rules[i].role] = add_const(p, type_of(kf__const_types(&rules[i], f->form)), &l.shape);
    }
}

static kf__program *frame(void) {
    kf__program *p = NULL;
    assert_int_equal(kf__program_create(&p, NULL, NULL), KF_OK);
    p->tensors = kf__arena_zalloc(&p->arena, 64 * sizeof *p->tensors);
    p->consts = kf__arena_zalloc(&p->arena, 64 * sizeof *p->consts);
    p->steps = kf__arena_zalloc(&p->arena, 64 * sizeof *p->steps);
    p->inputs = kf__arena_zalloc(&p->arena, 64 * sizeof *p->inputs);
    p->outputs = kf__arena_zalloc(&p->arena, sizeof *p->outputs);
    return p;
}

/* The step at the end of its inputs' steps, with extents number x, others and y of SHAPES; NULL where they do not fit.
 */
static kf__program *with_shapes(const form *f, size_t x, size_t others, size_t y, int32_t group, int32_t *at) {
    kf__program *p = frame();
    int32_t in[KF_STEP_MAX_IN];
    for (int32_t k = 0; k < f->n_in; k++) in[k] = add_input(p, k ? f->others : f->first, SHAPES[k ? others : x]);
    int32_t out = add_tensor(p, f->out, SHAPES[y]);
    kf__step *s = pb_step(p, f->op, "the step", in[0], out);
    *at = (int32_t)(s - p->steps);
    s->n_in = f->n_in;
    memcpy(s->in, in, (size_t)f->n_in * sizeof *in);
    if (f->scaled) fill_scales(p, f, s);
    fill_fields(p, f, s);
    if (kf__step_info_of(f->op)->window == KF_WINDOW_USED) s->window.group = group;
    if (kf__step_shape_error(p, s)) {
        kf__program_destroy(&p);
        return NULL;
    }
    fill_consts(p, f, s);
    add_output(p, out);
    return p;
}

/* A valid program around the step: the first extents that its shape rule takes. */
static kf__program *build(const form *f, int32_t *at) {
    kf_error err = {0};
    now = *f;
    for (size_t i = 0; i < 4 * 4 * 4 * 2; i++) {
        kf__program *p = with_shapes(f, i % 4, i / 4 % 4, i / 16 % 4, i / 64 ? EACH : 1, at);
        if (!p) continue;
        if (kf__program_validate(p, &err) != KF_OK)
            fail_msg("%s, form %d: %s", kf__step_op_name(f->op), f->form, err.text);
        return p;
    }
    fail_msg("%s: none of SHAPES fits its shape rule; add one", kf__step_op_name(f->op));
    return NULL;
}

/* ---- breaking it ---- */

typedef struct breaking {
    kf__program *p;
    kf__step *s;
    const form *f;
} breaking;

static void refused(const breaking *b, const char *what, int which) {
    kf_error err = {0};
    kf_status st = kf__program_validate(b->p, &err);
    if (st != KF_ERR_CORRUPT || !err.text[0])
        fail_msg("%s, form %d, %d inputs, direct %d, %s %d: status %d \"%s\"", kf__step_op_name(now.op), now.form,
                 now.n_in, now.direct, what, which, st, err.text);
    spoilt++;
}

/* Sets *place for one check. Values have the size of *place. */
#define WITH(b, place, value, what, which)                                                                             \
    do {                                                                                                               \
        __typeof__(place) kept_ = (place);                                                                             \
        (place) = (value);                                                                                             \
        refused((b), (what), (which));                                                                                 \
        (place) = kept_;                                                                                               \
    } while (0)

static void break_arity(const breaking *b) {
    const kf__step_info *info = kf__step_info_of(b->s->op);
    WITH(b, b->s->n_in, info->least - 1, "inputs", info->least - 1);
    WITH(b, b->s->n_in, info->most + 1, "inputs", info->most + 1);
    for (int32_t k = 0; k < b->s->n_in; k++) {
        WITH(b, b->s->in[k], -1, "input", k);
        WITH(b, b->s->in[k], b->p->n_tensors, "input", k);
        WITH(b, b->s->in[k], b->s->out, "input that is not written yet", k);
    }
    WITH(b, b->s->out, b->s->in[0], "output", 0);
    WITH(b, b->s->op, KF_STEP_OP_COUNT, "kind", 0);
}

/* Here the tensor is changed where it is, so the steps around it may be what is wrong: the step alone is asked. */
static void step_refused(const breaking *b, const char *what, int which) {
    kf_error err = {0};
    kf_status st = kf__validate_step(b->p, b->s, &err);
    if (st != KF_ERR_CORRUPT)
        fail_msg("%s, form %d, %s %d: status %d \"%s\"", kf__step_op_name(now.op), now.form, what, which, st, err.text);
    spoilt++;
}

static void break_types(const breaking *b) {
    const kf__step_info *info = kf__step_info_of(b->s->op);
    const kf__step_form *f = &info->forms[b->f->form];
    for (int32_t k = 0; k <= b->s->n_in; k++) {
        kf__ptensor *t = &b->p->tensors[k < b->s->n_in ? b->s->in[k] : b->s->out], kept = *t;
        unsigned may = k == 0 ? info->forms[0].first | info->forms[1].first : f->others;
        if (k == b->s->n_in) may = f->out == KF_TYPES_SAME ? kf__types_of(b->p->tensors[b->s->in[0]].dtype) : f->out;
        for (size_t i = 0; i < KF_COUNT(TENSOR_TYPES); i++) {
            if (kf__types_of(TENSOR_TYPES[i]) & may) continue;
            set_type(t, TENSOR_TYPES[i]);
            t->scales = -1;
            step_refused(b, "type of tensor", k);
            *t = kept;
        }
        kf__scaled which = k > 0 ? KF_SCALED_OTHERS : KF_SCALED_FIRST;
        if (k == b->s->n_in) which = KF_SCALED_OUT;
        if (t->dtype == KF_F32 || info->scaled & which) continue;
        t->scales = 0;
        step_refused(b, "scales of tensor", k);
        *t = kept;
    }
    kf__ptensor *y = &b->p->tensors[b->s->out];
    if (f->out != KF_TYPES_SAME || !b->f->form) return;
    WITH(b, y->scale, 2.0f, "scale", 0);
    if (y->dtype == KF_U8) WITH(b, y->zero, 1, "zero point", 0);
}

/* Every row, column and channel lies in the image, and there are as many images. All places are 1. */
static void break_picks(const breaking *b, int32_t *m) {
    kf__ptensor *x = &b->p->tensors[b->s->in[0]], *y = &b->p->tensors[b->s->out];
    for (int32_t i = 0; i < y->h + y->w + y->c; i++) {
        WITH(b, m[i], -1, "place", i);
        WITH(b, m[i], INT32_MAX, "place", i);
        WITH(b, m[i], INT32_MIN, "place", i);
        WITH(b, m[i], x->h * x->w * x->c - 2, "place", i);
        m[i] = x->h * x->w * x->c - 3;
        assert_int_equal(kf__validate_step(b->p, b->s, NULL), KF_OK);
        m[i] = 1;
    }
    x->n++;
    step_refused(b, "images of the input", 0);
    x->n--, y->n++;
    step_refused(b, "images of the output", 0);
    y->n--, y->w++;
    step_refused(b, "columns of the output", 0);
    y->w--;
}

/* Places tie the extents of input and output together: the last one that is read must exist. */
static bool break_places(const breaking *b) {
    size_t n;
    const kf__const_rule *rules = kf__const_rules(&n);
    kf__ptensor *x = &b->p->tensors[b->s->in[0]], *y = &b->p->tensors[b->s->out];
    for (size_t i = 0; i < n; i++) {
        if (rules[i].op != b->s->op || rules[i].values != KF_VALUES_PLACES) continue;
        int32_t *m = (int32_t *)(uintptr_t)b->p->consts[b->s->consts[rules[i].role]].data;
        if (b->s->op == KF_STEP_PICK) {
            break_picks(b, m);
            return true;
        }
        const int32_t extent[] = {y->n, y->h, y->w, y->c}, count = x->n * x->h * x->w * x->c;
        int32_t far = 1;
        for (int k = 0; k < 4; k++) far += extent[k] - 1; /* base and strides are 1 */
        for (int k = 0; k < 4; k++) {
            if (extent[k] < 2) continue;
            WITH(b, m[k + 1], 1 + (count - far) / (extent[k] - 1) + 1, "stride", k);
            WITH(b, m[k + 1], -3 - far, "stride", k);
            WITH(b, m[k + 1], INT32_MAX, "stride", k);
            WITH(b, m[k + 1], INT32_MIN, "stride", k);
        }
        WITH(b, m[0], -1, "base", 0);
        WITH(b, m[0], count - far + 1, "base", 0);
        const kf__ptensor kept = *x;
        x->n = x->h = x->w = 1, x->c = far;
        step_refused(b, "extents of the input", 0);
        *x = kept;
        return true;
    }
    return false;
}

static void break_extents(const breaking *b) {
    const kf__ptensor *y = &b->p->tensors[b->s->out];
    if (break_places(b)) return;
    for (int32_t k = 0; k <= b->s->n_in; k++) {
        kf__ptensor *t = &b->p->tensors[k < b->s->n_in ? b->s->in[k] : b->s->out];
        int32_t *d[4] = {&t->n, &t->h, &t->w, &t->c};
        for (int i = 0; i < 4; i++) {
            if (k == 0 && (i == 1 || i == 2) && y->h == 1 && y->w == 1 && t->h > 1) continue; /* all of any image */
            if (k == 0 && i == 3 && b->s->op == KF_STEP_TOP) continue;                        /* some of any number */
            *d[i] += 2;
            step_refused(b, "extent of tensor", 4 * k + i);
            *d[i] -= 2;
        }
    }
}

static void break_values(const breaking *b, const kf__pconst *c, const kf__const_rule *rule) {
    float *v = (float *)(uintptr_t)c->data;
    int32_t *i = (int32_t *)(uintptr_t)c->data;
    if (c->dtype == KF_I32) WITH(b, i[0], INT32_MAX, "bias that overflows", rule->role);
    if (c->dtype == KF_I32) WITH(b, i[0], INT32_MIN, "bias that overflows", rule->role);
    if (rule->values == KF_VALUES_ANY || rule->values == KF_VALUES_PLACES) return;
    WITH(b, v[0], NAN, "NaN in", rule->role);
    WITH(b, v[0], INFINITY, "infinity in", rule->role);
    if (rule->values == KF_VALUES_FACTOR) WITH(b, v[0], -0.5f, "negative number in", rule->role);
}

static void break_const(const breaking *b, const kf__const_rule *rule) {
    kf__pconst *c = &b->p->consts[b->s->consts[rule->role]];
    const kf__pconst kept = *c;
    const unsigned may = kf__const_types(rule, b->f->form);
    size_t n = kept.bytes / kf_dtype_size(kept.dtype);
    for (size_t i = 0; i < KF_COUNT(CONST_TYPES); i++) {
        if (kf__types_of(CONST_TYPES[i]) & may) continue;
        c->dtype = CONST_TYPES[i], c->bytes = n * kf_dtype_size(c->dtype);
        refused(b, "type of", rule->role);
        *c = kept;
    }
    for (int more = -1; more <= 1; more += 2) {
        c->shape = kf__shape_make(1, (int64_t[]){(int64_t)n + more});
        c->bytes = (n + (size_t)more) * kf_dtype_size(c->dtype);
        refused(b, "length of", rule->role);
        *c = kept;
    }
    if (kept.shape.rank > 1) WITH(b, c->shape, kf__shape_make(1, (int64_t[]){(int64_t)n}), "shape of", rule->role);
    WITH(b, c->bytes, kept.bytes - 1, "bytes of", rule->role);
    break_values(b, c, rule);
}

static void break_consts(const breaking *b) {
    size_t n;
    bool known[KF_CONST_ROLES] = {false};
    const kf__const_rule *rules = kf__const_rules(&n);
    for (size_t i = 0; i < n; i++) {
        int32_t *at = &b->s->consts[rules[i].role];
        if (rules[i].op != b->s->op) continue;
        known[rules[i].role] = true;
        kf__need need = kf__const_need(&rules[i], b->p, b->s);
        WITH(b, *at, -2, "index of", rules[i].role);
        WITH(b, *at, b->p->n_consts, "index of", rules[i].role);
        if (need == KF_NEED_MUST) WITH(b, *at, -1, "missing", rules[i].role);
        if (need == KF_NEED_NEVER) WITH(b, *at, 0, "needless", rules[i].role);
        if (*at >= 0) break_const(b, &rules[i]);
    }
    for (int role = 0; role < KF_CONST_ROLES; role++)
        if (!known[role]) WITH(b, b->s->consts[role], 0, "unknown", role);
}

static void break_window(const breaking *b) {
    kf__window *w = &b->s->window;
    int32_t *v[] = {&w->kh, &w->kw, &w->sh, &w->sw, &w->dh, &w->dw, &w->group, &w->pt, &w->pl, &w->pb, &w->pr};
    const bool used = kf__step_info_of(b->s->op)->window == KF_WINDOW_USED;
    for (int i = 0; i < (int)KF_COUNT(v); i++) {
        WITH(b, *v[i], -1, "window", i);
        WITH(b, *v[i], used ? 5000 : 7, "window", i);
        if (used && i < 7) WITH(b, *v[i], 0, "window", i);
    }
    if (!used) WITH(b, *w, ((kf__window){1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0}), "padding of no window", 0);
    if (!used) WITH(b, *w, ((kf__window){1, 1, 1, 1, 1, 1, 2, 0, 0, 0, 0}), "group of no window", 0);
}

static void break_activations(const breaking *b) {
    kf__activation *acts[] = {&b->s->act, &b->s->post_act, &b->s->gate_act};
    const unsigned bits[] = {KF_READS_ACT, KF_READS_POST_ACT, KF_READS_GATE_ACT};
    for (int i = 0; i < 3; i++) {
        WITH(b, acts[i]->lo, NAN, "lower bound", i);
        WITH(b, acts[i]->hi, NAN, "upper bound", i);
        WITH(b, acts[i]->kind, KF_ACT_COUNT, "activation", i);
        if (!(reads(b->f) & bits[i])) WITH(b, acts[i]->kind, KF_ACT_CLIP, "activation", i);
    }
    if (b->f->form) WITH(b, b->s->post_act.kind, KF_ACT_HSWISH, "activation after", 1);
    if (b->s->direct) WITH(b, b->s->act.kind, KF_ACT_SIGMOID, "activation of a direct step", 0);
}

static void break_fields(const breaking *b) {
    kf__step *s = b->s;
    const unsigned r = reads(b->f);
    WITH(b, s->count_include_pad, 2, "count_include_pad", 2);
    WITH(b, s->selects, r & KF_READS_SELECTS ? 8 : 1, "selects", 0);
    WITH(b, s->direct, r & KF_READS_DIRECT ? 2 : 1, "direct", 1);
    WITH(b, s->border_bias, r & KF_READS_BORDER_BIAS ? 2 : 1, "border_bias", 1);
    if (!(r & KF_READS_COUNT_PAD) && kf__step_info_of(s->op)->window == KF_WINDOW_NONE)
        WITH(b, s->count_include_pad, 1, "count_include_pad", 1);
    const bool gate = r & KF_READS_GATE;
    WITH(b, s->pool_qmax, gate ? 0 : 1, "pool_qmax", 0);
    WITH(b, s->hidden_qmax, gate ? 32768 : 1, "hidden_qmax", 0);
    WITH(b, s->pool_mul, gate ? -1.0f : 1.0f, "pool_mul", 0);
    WITH(b, s->hidden_inv, gate ? NAN : 1.0f, "hidden_inv", 0);
}

static void break_bounds(const breaking *b) {
    kf__step *s = b->s;
    kf__ptensor *x = &b->p->tensors[s->in[0]];
    const unsigned r = reads(b->f);
    WITH(b, s->qlo, s->qlo - 1, "lower bound", s->qlo - 1);
    WITH(b, s->qhi, s->qhi + 1, "upper bound", s->qhi + 1);
    if (r & (KF_READS_CLIP | KF_READS_GATE) && s->qhi) WITH(b, s->qlo, s->qhi + 1, "crossed bounds", s->qlo);
    if (!(r & KF_READS_KEEPS)) return;
    WITH(b, s->qlo, s->qlo + 1, "a bound of what is moved", 0);
    x->qmax = BOUND + 1;
    step_refused(b, "a wider range of what is moved", x->qmax);
    x->qmax = BOUND;
}

static void break_all(const form *f) {
    int32_t at;
    breaking b = {.p = build(f, &at), .f = f};
    b.s = &b.p->steps[at];
    break_arity(&b);
    break_types(&b);
    break_extents(&b);
    break_consts(&b);
    break_window(&b);
    break_activations(&b);
    break_fields(&b);
    break_bounds(&b);
    kf_error err = {0};
    if (kf__program_validate(b.p, &err) != KF_OK) fail_msg("not put back: %s", err.text);
    kf__program_destroy(&b.p);
    built++;
}

/* ---- all ways to use a kind ---- */

static bool makes_sense(const form *f) {
    const unsigned r = reads(f);
    const bool gate = r & KF_READS_GATE;
    if (f->direct && (!(r & KF_READS_DIRECT) || f->n_in > 1 || f->act || (f->out == KF_F32 && !gate))) return false;
    if (f->border && (!(r & KF_READS_BORDER_BIAS) || f->first != KF_U8)) return false;
    return !f->act || r & KF_READS_ACT;
}

static void each_flag(form f) {
    for (int i = 0; i < 32; i++) {
        f.direct = i & 1, f.border = i & 2, f.scaled = i & 4, f.optional = i & 8;
        f.act = i & 16 ? KF_ACT_HSWISH : KF_ACT_NONE;
        if (makes_sense(&f)) break_all(&f);
    }
}

static void each_type(form f) {
    const kf__step_form *types = &kf__step_info_of(f.op)->forms[f.form];
    for (size_t i = 0; i < KF_COUNT(TENSOR_TYPES) * KF_COUNT(TENSOR_TYPES) * KF_COUNT(TENSOR_TYPES); i++) {
        f.first = TENSOR_TYPES[i % 3], f.others = TENSOR_TYPES[i / 3 % 3], f.out = TENSOR_TYPES[i / 9];
        const unsigned out = types->out == KF_TYPES_SAME ? kf__types_of(f.first) : types->out;
        if (!(kf__types_of(f.first) & types->first) || !(kf__types_of(f.out) & out)) continue;
        if (f.n_in > 1 ? !(kf__types_of(f.others) & types->others) : f.others != KF_F32) continue;
        each_flag(f);
    }
}

static void every_entry(void **state) {
    (void)state;
    for (int op = 0; op < KF_STEP_OP_COUNT; op++) {
        const kf__step_info *info = kf__step_info_of((kf__step_op)op);
        size_t before = built;
        for (int f = 0; f < 2; f++)
            for (int32_t n = info->least; n <= info->most && n <= info->least + 1; n++)
                each_type((form){.op = (kf__step_op)op, .form = f, .n_in = n});
        if (built == before) fail_msg("%s has no form", info->name);
    }
    print_message("%zu programs accepted, %zu refused\n", built, spoilt);
}

static void names(void **state) {
    (void)state;
    for (int op = 0; op < KF_STEP_OP_COUNT; op++) {
        const char *name = kf__step_op_name((kf__step_op)op);
        assert_int_equal(kf__step_op_from_name(name), op);
        const kf__step_info *info = kf__step_info_of((kf__step_op)op);
        assert_true(info->least >= 1 && info->least <= info->most && info->most <= KF_STEP_MAX_IN);
        for (int f = 0; f < 2; f++) /* other inputs have types, and only they */
            if (info->forms[f].first) assert_int_equal(info->forms[f].others != KF_TYPES_NONE, info->most > 1);
    }
    assert_int_equal(kf__step_op_from_name("reshape"), KF_STEP_OP_COUNT);
}

/* Lowering may leave any value in fields that nothing reads. */
static void left_over(void **state) {
    (void)state;
    const kf__window one = KF_WINDOW_ONE, tap = {1, 1, 2, 3, 1, 1, 1, 0, 0, 0, 0},
                     whole = {4, 4, 1, 2, 1, 1, 1, 0, 0, 0, 0};
    for (int op = 0; op < KF_STEP_OP_COUNT; op++) {
        const kf__step_info *info = kf__step_info_of((kf__step_op)op);
        form f = {.op = (kf__step_op)op, .form = !info->forms[0].first, .n_in = info->least, .others = KF_F32};
        f.first = type_of(info->forms[f.form].first), f.out = type_of(info->forms[f.form].out);
        int32_t at;
        kf__program *p = build(&f, &at);
        kf__step *s = &p->steps[at];
        if (info->window != KF_WINDOW_USED) s->window = one;
        assert_int_equal(kf__program_validate(p, NULL), KF_OK);
        s->count_include_pad = 1;
        bool counts = info->window != KF_WINDOW_NONE;
        assert_int_equal(kf__program_validate(p, NULL), counts ? KF_OK : KF_ERR_CORRUPT);
        s->count_include_pad = 0;
        if (info->window != KF_WINDOW_USED) s->window = tap;
        bool taps = info->window != KF_WINDOW_NONE;
        assert_int_equal(kf__program_validate(p, NULL), taps ? KF_OK : KF_ERR_CORRUPT);
        if (info->window != KF_WINDOW_USED) s->window = whole;
        bool wholes = info->window == KF_WINDOW_USED || info->window == KF_WINDOW_LEFT;
        assert_int_equal(kf__program_validate(p, NULL), wholes ? KF_OK : KF_ERR_CORRUPT);
        kf__program_destroy(&p);
    }
}

/* Pixels come as they are: any byte, of scale 1. */
static void pixels(void **state) {
    (void)state;
    kf__program *p = frame();
    const int32_t d[4] = {1, 2, 2, 3};
    int32_t x = add_tensor(p, KF_U8, d);
    kf__ptensor *t = &p->tensors[x];
    t->qmax = 255;
    p->inputs[p->n_inputs++] = (kf__pinput){.name = "in", .tensor = x, .rank = 4, .shape = {1, 3, 2, 2}, .pixels = 1};
    add_output(p, x);
    const breaking b = {.p = p};
    assert_int_equal(kf__program_validate(p, NULL), KF_OK);
    WITH(&b, t->qmax, 254, "upper bound of pixels", 254);
    WITH(&b, t->qmin, 1, "lower bound of pixels", 1);
    WITH(&b, t->zero, 1, "zero point of pixels", 1);
    WITH(&b, t->scale, 2.0f, "scale of pixels", 2);
    WITH(&b, p->inputs[0].pixels, 0, "bytes without pixels", 0);
    WITH(&b, p->inputs[0].shape[1], 4, "declared shape", 4);
    kf__program_destroy(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_entry), cmocka_unit_test(names),
                                       cmocka_unit_test(left_over), cmocka_unit_test(pixels)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
