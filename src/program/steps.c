/* The table of steps, made from steps.def, and the rules that it names: shapes, lengths of constants, and when a
 * constant is there. A rule may rely on what validate.c checked before it: indices and types, then shapes, then
 * constants in order. Owner rule: reads only. */
#include "program/program_private.h"

static const kf__ptensor *first(const kf__program *p, const kf__step *s) { return &p->tensors[s->in[0]]; }
static const kf__ptensor *output(const kf__program *p, const kf__step *s) { return &p->tensors[s->out]; }

/* ---- shapes ---- */

static bool same_shape(const kf__ptensor *a, const kf__ptensor *b) {
    return a->n == b->n && a->h == b->h && a->w == b->w && a->c == b->c;
}

static const char NO_FIT[] = "the shapes of its inputs and of its output do not fit";

static const char *unless(bool fits) { return fits ? NULL : NO_FIT; }

static const char *shape_ALIKE(const kf__program *p, const kf__step *s) {
    for (int32_t k = 0; k < s->n_in; k++)
        if (!same_shape(&p->tensors[s->in[k]], output(p, s))) return NO_FIT;
    return NULL;
}

static const char *shape_SCALE(const kf__program *p, const kf__step *s) {
    const kf__ptensor *x = first(p, s), *gate = &p->tensors[s->in[1]];
    return unless(same_shape(x, output(p, s)) && gate->n == x->n && gate->h == 1 && gate->w == 1 && gate->c == x->c);
}

static const char *shape_POOLED(const kf__program *p, const kf__step *s) {
    const kf__ptensor *x = first(p, s), *y = output(p, s);
    return unless(y->n == x->n && y->h == 1 && y->w == 1 && y->c == x->c);
}

static const char *shape_FC(const kf__program *p, const kf__step *s) {
    const kf__ptensor *x = first(p, s), *y = output(p, s);
    return unless(x->h == 1 && x->w == 1 && y->h == 1 && y->w == 1 && x->n == y->n);
}

static const char *shape_FLAT(const kf__program *p, const kf__step *s) {
    const kf__ptensor *x = first(p, s), *y = output(p, s);
    return unless(y->n == x->n && y->h == 1 && y->w == 1 && (int64_t)y->c == (int64_t)x->h * x->w * x->c);
}

static const char *shape_CONCAT(const kf__program *p, const kf__step *s) {
    const kf__ptensor *y = output(p, s);
    int64_t c = 0;
    for (int32_t k = 0; k < s->n_in; k++) {
        const kf__ptensor *x = &p->tensors[s->in[k]];
        if (x->n != y->n || x->h != y->h || x->w != y->w) return NO_FIT;
        c += x->c;
    }
    return unless(c == y->c);
}

/* `more`: rows and columns that are allowed beyond those that fit. */
static const char *check_window(const kf__program *p, const kf__step *s, int64_t more) {
    enum { MOST = 4096 };
    const kf__window *w = &s->window;
    const kf__ptensor *x = first(p, s), *y = output(p, s);
    const int32_t v[] = {w->kh, w->kw, w->sh, w->sw, w->dh, w->dw, w->pt, w->pl, w->pb, w->pr};
    const kf__axis rows = kf__window_rows(w), columns = kf__window_columns(w);
    int64_t high, wide;
    for (size_t i = 0; i < KF_COUNT(v); i++)
        if (v[i] > MOST) return "a number of its window is out of range";
    bool fits = kf__axis_extent(&rows, x->h, false, &high) && kf__axis_extent(&columns, x->w, false, &wide);
    if (!fits || y->h < high || y->h > high + more || y->w < wide || y->w > wide + more)
        return "its window does not fit input and output";
    return unless(x->n == y->n);
}

static const char *check_conv(const kf__program *p, const kf__step *s) {
    if (s->n_in > 1 && !same_shape(&p->tensors[s->in[1]], output(p, s)))
        return "the residual has another shape than the output";
    return check_window(p, s, 0);
}

static const char *shape_CONV(const kf__program *p, const kf__step *s) {
    const int32_t g = s->window.group;
    if (g < 1 || first(p, s)->c % g || output(p, s)->c % g) return "its group does not divide the channels";
    return check_conv(p, s);
}

static const char *shape_DWCONV(const kf__program *p, const kf__step *s) {
    if (s->window.kh > KF_DWCONV_ROWS) return "its kernel has more rows than the executor takes";
    if (first(p, s)->c != s->window.group || output(p, s)->c != s->window.group)
        return "its group is not the number of its channels";
    return check_conv(p, s);
}

/* Rounding up (ceil mode of ONNX) gives one more row or column. */
static const char *shape_POOL(const kf__program *p, const kf__step *s) {
    if (first(p, s)->c != output(p, s)->c) return "input and output differ in channels";
    if (s->window.group != 1) return "a pool has one group";
    return check_window(p, s, 1);
}

/* The places are what must fit: validate_const.c. */
static const char *shape_ANY(const kf__program *p, const kf__step *s) { return NULL; }

static const char *shape_TOP(const kf__program *p, const kf__step *s) {
    const kf__ptensor *x = first(p, s), *y = output(p, s);
    if (y->c > KF_MOST_SELECTED) return "it selects more numbers than the executor takes";
    return unless(y->n == x->n && y->h == x->h && y->w == x->w && y->c <= x->c);
}

/* ---- lengths of constants ---- */

static void vector(kf__length *l, int64_t n) { *l = (kf__length){.shape = kf__shape_make(1, &n)}; }

static void weights(kf__length *l, int rank, const int64_t *dim) {
    *l = (kf__length){.shape = kf__shape_make(rank, dim), .exact = true};
}

static void length_CHANNELS(const kf__program *p, const kf__step *s, kf__length *l) { vector(l, output(p, s)->c); }

static void length_CHANNELS_OR_ONE(const kf__program *p, const kf__step *s, kf__length *l) {
    vector(l, output(p, s)->c);
    l->or_one = true;
}

static void length_CONV_WEIGHTS(const kf__program *p, const kf__step *s, kf__length *l) {
    const kf__window *w = &s->window;
    weights(l, 4, (int64_t[]){output(p, s)->c, w->kh, w->kw, first(p, s)->c / w->group});
}

static void length_DWCONV_WEIGHTS(const kf__program *p, const kf__step *s, kf__length *l) {
    weights(l, 3, (int64_t[]){s->window.kh, s->window.kw, output(p, s)->c});
}

static void length_MATRIX(const kf__program *p, const kf__step *s, kf__length *l) {
    weights(l, 2, (int64_t[]){output(p, s)->c, first(p, s)->c});
}

/* Channels of the hidden layer: the rows of the first weights; 0 if these are no matrix. */
static int64_t hidden(const kf__program *p, const kf__step *s) {
    const int32_t w = s->consts[KF_CONST_W];
    return w >= 0 && p->consts[w].shape.rank == 2 ? p->consts[w].shape.dim[0] : 0;
}

static void length_REDUCE(const kf__program *p, const kf__step *s, kf__length *l) {
    weights(l, 2, (int64_t[]){hidden(p, s), first(p, s)->c});
}

static void length_EXPAND(const kf__program *p, const kf__step *s, kf__length *l) {
    weights(l, 2, (int64_t[]){output(p, s)->c, hidden(p, s)});
}

static void length_HIDDEN(const kf__program *p, const kf__step *s, kf__length *l) { vector(l, hidden(p, s)); }

static void length_TAPS(const kf__program *p, const kf__step *s, kf__length *l) {
    vector(l, (int64_t)s->window.kh * s->window.kw);
}

static void length_INPUTS(const kf__program *p, const kf__step *s, kf__length *l) { vector(l, s->n_in); }

static void length_PLACES(const kf__program *p, const kf__step *s, kf__length *l) {
    const kf__ptensor *y = output(p, s);
    vector(l, s->op == KF_STEP_MOVE ? 5 : (int64_t)y->h + y->w + y->c);
}

/* One bias per channel, for every border class if there is a table of them. */
static void length_BIASES(const kf__program *p, const kf__step *s, kf__length *l) {
    const kf__ptensor *x = first(p, s), *y = output(p, s);
    const kf__axis rows = kf__window_rows(&s->window), columns = kf__window_columns(&s->window);
    int64_t classes = 1;
    if (s->border_bias)
        classes = (int64_t)kf__border_classes(&rows, x->h, y->h, NULL, NULL) *
                  kf__border_classes(&columns, x->w, y->w, NULL, NULL);
    vector(l, classes * y->c);
}

/* ---- when a constant is there ---- */

static kf__need only_if(bool condition) { return condition ? KF_NEED_MUST : KF_NEED_NEVER; }

static bool is_quantized(const kf__program *p, const kf__step *s) { return output(p, s)->dtype != KF_F32; }

static kf__need need_NEVER(const kf__program *p, const kf__step *s) { return KF_NEED_NEVER; }
static kf__need need_MAY(const kf__program *p, const kf__step *s) { return KF_NEED_MAY; }
static kf__need need_MUST(const kf__program *p, const kf__step *s) { return KF_NEED_MUST; }
static kf__need need_BORDER(const kf__program *p, const kf__step *s) {
    return s->border_bias ? KF_NEED_MUST : KF_NEED_MAY;
}
static kf__need need_DIRECT(const kf__program *p, const kf__step *s) { return only_if(s->direct); }
static kf__need need_QUANTIZED(const kf__program *p, const kf__step *s) { return only_if(is_quantized(p, s)); }
static kf__need need_FLOAT_OUT(const kf__program *p, const kf__step *s) {
    return is_quantized(p, s) ? KF_NEED_NEVER : KF_NEED_MAY;
}
static kf__need need_SCALES_IN(const kf__program *p, const kf__step *s) { return only_if(first(p, s)->scales >= 0); }

/* Step 5 of docs/NUMERICS.md is a multiply of its own, unless it is in the h-swish factor. */
static bool rounds(const kf__program *p, const kf__step *s) { return is_quantized(p, s) && !s->direct; }
static kf__need need_HSWISH(const kf__program *p, const kf__step *s) {
    return rounds(p, s) && s->act.kind == KF_ACT_HSWISH && s->n_in == 1 ? KF_NEED_MAY : KF_NEED_NEVER;
}
static kf__need need_ROUNDED(const kf__program *p, const kf__step *s) {
    return only_if(rounds(p, s) && s->consts[KF_CONST_K] < 0);
}

/* ---- the tables ---- */

#define T(first, others, out) KF_TYPES_##first, KF_TYPES_##others, KF_TYPES_##out
#define FORM(first, others, out) T(first, others, out)
#define NO_FORM T(NONE, NONE, NONE)
enum { /* the words of the columns of bits */
       NOTHING = 0,
       FIRST = KF_SCALED_FIRST,
       OTHERS = KF_SCALED_OTHERS,
       OUT = KF_SCALED_OUT,
       ACT = KF_READS_ACT,
       POST_ACT = KF_READS_POST_ACT,
       GATE_ACT = KF_READS_GATE_ACT,
       COUNT_PAD = KF_READS_COUNT_PAD,
       SELECTS = KF_READS_SELECTS,
       CLIP = KF_READS_CLIP,
       KEEPS = KF_READS_KEEPS,
       DIRECT = KF_READS_DIRECT,
       BORDER_BIAS = KF_READS_BORDER_BIAS,
       GATE = KF_READS_GATE
};

#define SHAPES(X) X(ALIKE) X(SCALE) X(POOLED) X(FC) X(FLAT) X(CONCAT) X(CONV) X(DWCONV) X(POOL) X(ANY) X(TOP)
#define X(id) SHAPE_##id,
enum { SHAPES(X) };
#undef X

static const kf__step_info INFO[KF_STEP_OP_COUNT] = {
#define KF_STEP(id, name, least, most, f32, integer, scaled, shape, window, f32_reads, integer_reads)                  \
    [KF_STEP_##id] = {                                                                                                 \
        name, least, most, {{f32, f32_reads}, {integer, integer_reads}}, scaled, KF_WINDOW_##window, SHAPE_##shape},
#define KF_STEP_CONST(id, role, f32, integer, types, length, values)
#include "program/steps.def"
#undef KF_STEP
#undef KF_STEP_CONST
};

typedef kf__need need_fn(const kf__program *p, const kf__step *s);
typedef void length_fn(const kf__program *p, const kf__step *s, kf__length *l);

#define NEEDS(X) X(NEVER) X(MAY) X(MUST) X(BORDER) X(DIRECT) X(QUANTIZED) X(FLOAT_OUT) X(SCALES_IN) X(HSWISH) X(ROUNDED)
#define LENGTHS(X)                                                                                                     \
    X(CHANNELS)                                                                                                        \
    X(CHANNELS_OR_ONE)                                                                                                 \
    X(CONV_WEIGHTS) X(DWCONV_WEIGHTS) X(MATRIX) X(REDUCE) X(EXPAND) X(HIDDEN) X(TAPS) X(INPUTS) X(BIASES) X(PLACES)
#define X(id) WHEN_##id,
enum { NEEDS(X) };
#undef X
#define X(id) LENGTH_##id,
enum { LENGTHS(X) };
#undef X

static const kf__const_rule CONSTS[] = {
#define KF_STEP(id, name, least, most, f32, integer, scaled, shape, window, f32_reads, integer_reads)
#define KF_STEP_CONST(id, role, f32, integer, types, length, values)                                                   \
    {KF_STEP_##id,     KF_CONST_##role, {WHEN_##f32, WHEN_##integer},                                                  \
     KF_TYPES_##types, LENGTH_##length, KF_VALUES_##values},
#include "program/steps.def"
#undef KF_STEP
#undef KF_STEP_CONST
};

kf__need kf__const_need(const kf__const_rule *rule, const kf__program *p, const kf__step *s) {
#define X(id) need_##id,
    static need_fn *const RULES[] = {NEEDS(X)};
#undef X
    return RULES[rule->need[kf__step_form_of(p, s)]](p, s);
}

void kf__const_length(const kf__const_rule *rule, const kf__program *p, const kf__step *s, kf__length *l) {
#define X(id) length_##id,
    static length_fn *const RULES[] = {LENGTHS(X)};
#undef X
    RULES[rule->length](p, s, l);
}

const char *kf__step_shape_error(const kf__program *p, const kf__step *s) {
    switch (INFO[s->op].shape) {
#define X(id)                                                                                                          \
    case SHAPE_##id: return shape_##id(p, s);
        SHAPES(X)
#undef X
    default: return NULL;
    }
}

const kf__step_info *kf__step_info_of(kf__step_op op) { return &INFO[op]; }

unsigned kf__const_types(const kf__const_rule *rule, int form) {
    return form || rule->values == KF_VALUES_PLACES ? rule->types : KF_TYPES_F32;
}

const kf__const_rule *kf__const_rules(size_t *n) {
    *n = KF_COUNT(CONSTS);
    return CONSTS;
}

kf__types kf__types_of(kf_dtype type) {
    static const struct {
        kf_dtype type;
        kf__types bit;
    } BITS[] = {{KF_F32, KF_TYPES_F32},
                {KF_U8, KF_TYPES_U8},
                {KF_I16, KF_TYPES_I16},
                {KF_I8, KF_TYPES_I8},
                {KF_I32, KF_TYPES_I32}};
    for (size_t i = 0; i < KF_COUNT(BITS); i++)
        if (BITS[i].type == type) return BITS[i].bit;
    return KF_TYPES_NONE;
}
