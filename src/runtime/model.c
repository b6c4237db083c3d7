/* Prepares a program for this CPU: every step, one block of packed weights, and the memory plan. Owner rule: see
 * model.h. */
#include "runtime/model.h"

#include "os/pages.h"
#include "runtime/steps/step_kinds.h"

bool kf__step_is_integer(const kf__program *p, const kf__step *s) {
    return p->tensors[s->in[0]].dtype != KF_F32 || p->tensors[s->out].dtype != KF_F32;
}

static kf__preparing preparing(struct kf_model *m, int32_t i, kf_error *err) {
    kf__program *p = m->p;
    const kf__step *s = &p->steps[i];
    return (kf__preparing){.m = m,
                           .p = p,
                           .s = s,
                           .in = &p->tensors[s->in[0]],
                           .out = &p->tensors[s->out],
                           .arena = &p->arena,
                           .to = &m->steps[i],
                           .err = err};
}

/* Bytes of the block of weights that a step uses. */
static size_t room_of(const kf__prepared *s) {
    return s->packed_bytes ? kf__round_up((size_t)s->packed_bytes, KF_ALIGN) + KF_REDZONE : 0;
}

/* Requests are computed with 64 bits. A process of 32 bits has no memory for all of them. */
static kf_status within_process(const kf__prepared *s, size_t bytes, kf_error *err) {
    const uint64_t most = SIZE_MAX / 2, more = s->packed_bytes > s->scratch_bytes ? s->packed_bytes : s->scratch_bytes;
    if (sizeof(size_t) >= sizeof(uint64_t) || (more <= most && bytes <= most - more)) return KF_OK;
    KF_FAIL(err, KF_ERR_LIMIT, "step %s needs %llu bytes; a process of 32 bits has no room for them", s->step->name,
            (unsigned long long)more);
}

/* Decide how each step runs, and add up the memory that this takes. */
static kf_status prepare_all(struct kf_model *m, size_t bytes[2], kf_error *err) {
    const kf__program *p = m->p;
    for (int32_t i = 0; i < p->n_steps; i++) {
        kf__preparing k = preparing(m, i, err);
        kf__prepared *to = k.to;
        *to = (kf__prepared){
            .step = k.s, .in = k.in, .out = k.out, .kernel = "plain", .integer = kf__step_is_integer(p, k.s)};
        kf__prepare_fn *prepare = kf__step_kinds[k.s->op].prepare[to->integer];
        if (!prepare)
            KF_FAIL(err, KF_ERR_INTERNAL, "step %s: no way to run a %s step", k.s->name, kf__step_op_name(k.s->op));
        KF_TRY(prepare(&k));
        if (kf__steps_join(p, i)) kf__prepare_pair_f32(&k, k.s + 1);
        KF_TRY(within_process(to, bytes[0] + bytes[1], err));
        size_t scratch = kf__round_up((size_t)to->scratch_bytes, KF_ALIGN);
        if (scratch > m->scratch_bytes) m->scratch_bytes = scratch;
        bytes[to->integer] += room_of(to);
    }
    if (m->scratch_bytes) m->scratch_bytes += KF_REDZONE; /* between the workers' shares */
    return KF_OK;
}

/* A layer of one row has too little work to hide the reading of its weights, and between two frames other data
 * replaces them in the cache. So the products before it prefetch these weights. The plan goes backwards from the
 * last step, so that each line is prefetched as late as possible. */
static void plan_ahead(struct kf_model *m) {
    const char *to = m->floats_end, *later = to;
    for (int32_t i = m->p->n_steps - 1; i >= 0; i--) {
        kf__prepared *s = &m->steps[i];
        if (s->integer || !s->packed) continue;
        size_t lines = (size_t)(to - later) / KF_LINE;
        s->ahead.lines = lines < s->most_ahead ? lines : s->most_ahead;
        s->ahead.at = to -= s->ahead.lines * KF_LINE;
        later = s->packed;
    }
}

/* Pack the steps of one form, one behind the other. */
static kf_status pack_all(struct kf_model *m, bool integer, char *at, kf_error *err) {
    for (int32_t i = 0; i < m->p->n_steps; i++) {
        kf__preparing k = preparing(m, i, err);
        kf__pack_fn *pack = kf__step_kinds[k.s->op].pack[integer];
        if (k.to->integer != integer || !pack) continue;
        if (k.to->packed_bytes) k.to->packed = at;
        kf__redzone_close(at + k.to->packed_bytes, room_of(k.to) - k.to->packed_bytes);
        at += room_of(k.to);
        KF_TRY(pack(&k));
        kf__release_step(m, i);
    }
    return KF_OK;
}

/* Allocates one block for the packed weights of all steps. Huge pages, where the system has them, save 1400 page
 * faults for large_100. */
static kf_status make_ready(struct kf_model *m, kf_error *err) {
    size_t bytes[2] = {0, 0}, used = m->p->arena.used;
    KF_TRY(prepare_all(m, bytes, err));
    size_t total = bytes[0] + bytes[1], room = total + (m->allocator ? 0 : kf__pages_slack(total));
    if (!kf__arena_fits(&m->p->arena, total)) return KF_ERR_MEMORY; /* within_limit sets the error */
    m->p->arena.used += total;                                      /* counts as if the block were allocated */
    m->weights = kf__mem_alloc(m->allocator, room);
    if (!m->weights) KF_FAIL_MEMORY(err, room);
    char *at = m->allocator ? m->weights : kf__pages_huge_end(m->weights, room, total);
    m->floats = at, m->floats_end = at + bytes[0], m->block_bytes = total;
    kf__release_begin(m);
    KF_TRY(pack_all(m, false, at, err));
    KF_TRY(pack_all(m, true, at + bytes[0], err));
    m->weights_bytes = m->p->arena.used - used;
    plan_ahead(m);
    return KF_OK;
}

static kf_status make_all(struct kf_model *m, kf_error *err) {
    kf__program *p = m->p;
    kf__program_link(p);
    m->operations = kf__program_operations(p);
    m->steps = kf__arena_zalloc(&p->arena, (size_t)p->n_steps * sizeof *m->steps);
    m->offset = kf__arena_array(&p->arena, (size_t)p->n_tensors, sizeof *m->offset);
    if (!m->steps || !m->offset) KF_FAIL(err, KF_ERR_MEMORY, "out of memory");
    KF_TRY(make_ready(m, err));
    KF_TRY(kf__release_file(m, err));
    size_t work;
    return kf__plan(p, m->offset, &m->plan_bytes, &work, err);
}

/* All memory of a model is its program, the block of weights, or in the program's arena. */
static kf_status within_limit(struct kf_model *m, kf_error *err) {
    kf__arena *a = &m->p->arena;
    size_t most = m->p->limits.model_bytes, before = a->used;
    if (most && !kf__add_size(before, most, &a->limit)) a->limit = 0;
    kf_status st = make_all(m, err);
    if (st == KF_ERR_MEMORY && a->refused)
        return kf__error_limit(err, "bytes of the model in memory, at least", (double)(a->used - before + a->refused),
                               (double)most, "max_model_bytes (--max-memory)");
    a->limit = 0;
    return st;
}

kf_status kf__model_create(kf__program *p, const kf_allocator *a, struct kf_model **out, kf_error *err) {
    return kf__model_create_at(p, kf__cpu_level_now(), a, out, err);
}

kf_status kf__model_create_at(kf__program *p, kf__cpu_level level, const kf_allocator *a, struct kf_model **out,
                              kf_error *err) {
    kf__kernels kernels;
    kf__kernels_int kernels_int;
    kf__kernels_select(level, &kernels);
    kf__kernels_select_int(level, &kernels_int);
    return kf__model_create_with(p, level, &kernels, &kernels_int, a, out, err);
}

/* The program is destroyed on every failure, so the caller never has to. */
kf_status kf__model_create_with(kf__program *p, kf__cpu_level level, const kf__kernels *kernels,
                                const kf__kernels_int *kernels_int, const kf_allocator *a, struct kf_model **out,
                                kf_error *err) {
    struct kf_model *m = kf__mem_zalloc(a, sizeof *m);
    *out = NULL;
    if (!m) {
        kf__program_destroy(&p);
        KF_FAIL_MEMORY(err, sizeof *m);
    }
    *m = (struct kf_model){.allocator = a, .p = p, .cpu = level, .kernels = *kernels, .kernels_int = *kernels_int};
    kf_status st = within_limit(m, err);
    if (st != KF_OK) kf__model_destroy(&m);
    *out = m;
    return st;
}

void kf__model_destroy(struct kf_model **model) {
    if (!model || !*model) return;
    struct kf_model *m = *model;
    const kf_allocator *a = m->allocator;
    kf__redzone_open(m->floats, m->block_bytes);
    kf__mem_free(a, m->weights);
    kf__program_destroy(&m->p);
    kf__mem_free(a, m);
    *model = NULL;
}
