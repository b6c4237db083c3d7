/* Program objects: creation, step names and counts.
 * Owner rule: the program's arena owns all of it. */
#include "program/steps.h"

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
