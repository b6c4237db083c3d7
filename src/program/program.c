/* Program objects: creation, step names and counts.
 * Floor 3: includes base and tensor.
 * Owner rule: the program's arena owns all of it. */
#include "program/program.h"

static const char *const OPS[KF_STEP_OP_COUNT] = {
#define KF_X(id, name) name,
    KF_STEP_OPS(KF_X)
#undef KF_X
};

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

const char *kf__step_op_name(kf__step_op op) { return (unsigned)op < KF_STEP_OP_COUNT ? OPS[op] : "?"; }

kf__step_op kf__step_op_from_name(const char *name) {
    for (int i = 0; i < KF_STEP_OP_COUNT; i++)
        if (strcmp(OPS[i], name) == 0) return (kf__step_op)i;
    return KF_STEP_OP_COUNT;
}

static int64_t elements(const kf__ptensor *t) { return (int64_t)t->n * t->h * t->w * t->c; }

int64_t kf__step_macs(const kf__program *p, const kf__step *s) {
    const kf__ptensor *x = &p->tensors[s->in[0]], *y = &p->tensors[s->out];
    switch (s->op) {
    case KF_STEP_CONV: return elements(y) * s->window.kh * s->window.kw * (x->c / s->window.group);
    case KF_STEP_DWCONV: return elements(y) * s->window.kh * s->window.kw;
    case KF_STEP_FC: return elements(y) * x->c;
    case KF_STEP_SE_GATE: {
        int64_t r = p->consts[s->consts[KF_CONST_W]].shape.dim[0];
        return 2 * (int64_t)x->n * x->c * r;
    }
    default: return 0;
    }
}
