/* Program objects: creation, step names and counts.
 * Owner rule: the program's arena owns all of it. */
#include "program/program_private.h"

kf_status kf__program_create(kf__program **out, const kf_allocator *a, kf_error *err) {
    *out = kf__mem_zalloc(a, sizeof **out);
    if (!*out) KF_FAIL_MEMORY(err, sizeof **out);
    kf__arena_init(&(*out)->arena, a);
    return KF_OK;
}

void kf__program_destroy(kf__program **program) {
    if (!program || !*program) return;
    kf__program *p = *program;
    const kf_allocator *a = p->arena.allocator;
    kf__arena_free(&p->arena);
    kf__mem_free(a, p);
    *program = NULL;
}

const char *kf__step_op_name(kf__step_op op) {
    return (unsigned)op < KF_STEP_OP_COUNT ? kf__step_info_of(op)->name : "?";
}

kf__step_op kf__step_op_from_name(const char *name) {
    for (int i = 0; i < KF_STEP_OP_COUNT; i++)
        if (strcmp(kf__step_info_of((kf__step_op)i)->name, name) == 0) return (kf__step_op)i;
    return KF_STEP_OP_COUNT;
}

int64_t kf__step_macs(const kf__program *p, const kf__step *s) {
    const kf__ptensor *x = &p->tensors[s->in[0]], *y = &p->tensors[s->out];
    const int64_t elements = (int64_t)kf__ptensor_count(y), taps = (int64_t)s->window.kh * s->window.kw;
    if (s->op == KF_STEP_CONV) return elements * taps * (x->c / s->window.group);
    if (s->op == KF_STEP_DWCONV) return elements * taps;
    if (s->op == KF_STEP_FC) return elements * x->c;
    if (s->op == KF_STEP_SE_GATE) return 2 * (int64_t)x->n * x->c * p->consts[s->consts[KF_CONST_W]].shape.dim[0];
    return 0;
}

static double pixels_of(const kf__ptensor *t) { return (double)t->n * t->h * t->w; }

void kf__program_link(kf__program *p) {
    kf__ptensor *t = p->tensors;
    for (int32_t i = 0; i < p->n_tensors; i++) t[i].made = KF_NEVER_MADE, t[i].read = -1;
    for (int32_t i = 0; i < p->n_inputs; i++) t[p->inputs[i].tensor].made = -1 - i;
    for (int32_t i = 0; i < p->n_steps; i++) {
        const kf__step *s = &p->steps[i];
        t[s->out].made = i;
        for (int32_t k = 0; k < s->n_in; k++) t[s->in[k]].read = i;
    }
    for (int32_t i = 0; i < p->n_outputs; i++) t[p->outputs[i].tensor].read = p->n_steps;
}

/* ---- operations: the weights are rough, so that no kind of step takes much longer for its share than others ---- */

/* Few channels take as long as a full vector. */
static double lanes(int32_t channels) { return (channels | 15) + 1; }

/* Operations of one output pixel of a step with a window. */
static double window_operations(const kf__step *s, const kf__ptensor *x, const kf__ptensor *y) {
    enum { TAP = 64, DEPTHWISE = 4, POOL = 16 };
    const kf__window *w = &s->window;
    double taps = (double)w->kh * w->kw;
    if (s->op == KF_STEP_CONV) return taps * w->group * (x->c / w->group * lanes(y->c / w->group) + TAP);
    if (s->op == KF_STEP_DWCONV) return taps * lanes(y->c) * DEPTHWISE;
    if (s->op != KF_STEP_AVG_POOL && s->op != KF_STEP_MAX_POOL) return 0;
    int64_t inside = kf__min_i64(w->kh, x->h) * kf__min_i64(w->kw, x->w);
    return (double)inside * lanes(y->c) * POOL;
}

double kf__program_operations(const kf__program *p) {
    enum { MOVED = 16 };
    double sum = 0;
    for (int32_t i = 0; i < p->n_steps; i++) {
        const kf__step *s = &p->steps[i];
        const kf__ptensor *y = &p->tensors[s->out];
        for (int32_t k = -1; k < s->n_in; k++) {
            const kf__ptensor *t = k < 0 ? y : &p->tensors[s->in[k]];
            sum += pixels_of(t) * lanes(t->c) * MOVED;
        }
        sum += pixels_of(y) * window_operations(s, &p->tensors[s->in[0]], y);
        if (s->op == KF_STEP_FC || s->op == KF_STEP_SE_GATE) sum += (double)kf__step_macs(p, s);
    }
    return sum;
}
