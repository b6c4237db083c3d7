/* The load-time proof that a program can run, whatever file it came from: tensors, their order, inputs and outputs.
 * Steps are proved in validate_step.c, constants in validate_const.c, sums of integers in validate_int.c. Owner rule:
 * reads only. */
#include "program/program_private.h"

bool kf__extents_ok(const kf__ptensor *t) {
    const int32_t d[4] = {t->n, t->h, t->w, t->c};
    size_t n = 1;
    for (int i = 0; i < 4; i++)
        if (d[i] < 1 || d[i] > KF_MOST_EXTENT || !kf__mul_size(n, (size_t)d[i], &n) || n > KF_MOST_ELEMENTS)
            return false;
    return true;
}

static bool tensor_ok(const kf__ptensor *t) { return kf__extents_ok(t) && kf__types_of(t->dtype) & KF_TYPES_ANY; }

/* Bytes of all constants, and of those that steps and tensors name, counted once per use. */
static uint64_t bytes_of(const kf__program *p, int32_t c) { return c >= 0 && c < p->n_consts ? p->consts[c].bytes : 0; }

static void count_constants(const kf__program *p, uint64_t *have, uint64_t *named) {
    *have = *named = 0;
    for (int32_t i = 0; i < p->n_consts; i++) *have += p->consts[i].bytes;
    for (int32_t i = 0; i < p->n_steps; i++)
        for (int role = 0; role < KF_CONST_ROLES; role++) *named += bytes_of(p, p->steps[i].consts[role]);
    for (int32_t i = 0; i < p->n_tensors; i++)
        *named += bytes_of(p, p->tensors[i].scales) + bytes_of(p, p->tensors[i].zeros);
}

/* A shared constant is proved and packed for every step that names it. */
static kf_status check_shared(const kf__program *p, kf_error *err) {
    enum { SHARERS = 16, ALWAYS = 1 << 24 };
    uint64_t have, named;
    count_constants(p, &have, &named);
    if (named <= ALWAYS + SHARERS * have) return KF_OK;
    return kf__error_limit(err, "bytes of constants, each as often as steps share it", (double)named,
                           (double)(ALWAYS + SHARERS * have), NULL);
}

static kf_status check_indices(const kf__program *p, int32_t index, const bool *written, kf_error *err) {
    const kf__step *s = &p->steps[index];
    if ((unsigned)s->op >= KF_STEP_OP_COUNT) STEP_FAIL(err, s, "step %d is malformed", index);
    const kf__step_info *info = kf__step_info_of(s->op);
    if (s->n_in < info->least || s->n_in > info->most)
        STEP_FAIL(err, s, "%d inputs; at least %d and at most %d", s->n_in, info->least, info->most);
    for (int32_t k = 0; k < s->n_in; k++)
        if (s->in[k] < 0 || s->in[k] >= p->n_tensors || !written[s->in[k]])
            STEP_FAIL(err, s, "reads tensor %d before it is written", s->in[k]);
    if (s->out < 0 || s->out >= p->n_tensors || written[s->out])
        STEP_FAIL(err, s, "writes tensor %d twice or out of range", s->out);
    return KF_OK;
}

static kf_status check_order(const kf__program *p, bool *written, kf_error *err) {
    for (int32_t i = 0; i < p->n_inputs; i++) {
        int32_t t = p->inputs[i].tensor;
        if (t < 0 || t >= p->n_tensors || written[t]) KF_FAIL(err, KF_ERR_CORRUPT, "input %d names tensor %d", i, t);
        written[t] = true;
    }
    for (int32_t i = 0; i < p->n_steps; i++) {
        KF_TRY(check_indices(p, i, written, err));
        KF_TRY(kf__validate_step(p, &p->steps[i], err));
        written[p->steps[i].out] = true;
    }
    for (int32_t i = 0; i < p->n_outputs; i++) {
        int32_t t = p->outputs[i].tensor;
        if (t < 0 || t >= p->n_tensors || !written[t]) KF_FAIL(err, KF_ERR_CORRUPT, "output %d is never written", i);
    }
    return KF_OK;
}

static bool declared_ok(int32_t rank, const int64_t *shape, const kf__ptensor *t) {
    int64_t n = 1;
    if (rank < 0 || rank > KF_MAX_RANK) return false;
    for (int i = 0; i < rank; i++)
        if (shape[i] < 1 || __builtin_mul_overflow(n, shape[i], &n)) return false;
    return n == (int64_t)kf__ptensor_count(t);
}

static kf_status check_input(const kf__program *p, int32_t i, kf_error *err) {
    const kf__pinput *in = &p->inputs[i];
    const kf__ptensor *t = &p->tensors[in->tensor];
    bool known =
        in->layout >= 0 && in->layout <= 2 && (in->layout == 2 || in->rank == 4 || (in->layout == 0 && in->rank == 3));
    if (!known || !declared_ok(in->rank, in->shape, t))
        KF_FAIL(err, KF_ERR_CORRUPT, "input %d: declared shape does not fit its tensor", i);
    bool any_byte = t->dtype == KF_U8 && t->qmin == 0 && t->qmax == 255; /* nothing rounds pixels into bounds */
    bool pixels = any_byte && t->scale == 1 && t->zero == 0 && t->scales == -1;
    if (in->pixels ? !pixels : t->dtype != KF_F32)
        KF_FAIL(err, KF_ERR_CORRUPT, "input %d: its tensor is neither f32 nor u8 pixels", i);
    return KF_OK;
}

static kf_status check_output(const kf__program *p, int32_t i, kf_error *err) {
    const kf__poutput *out = &p->outputs[i];
    const kf__ptensor *t = &p->tensors[out->tensor];
    if (t->dtype != KF_F32) KF_FAIL(err, KF_ERR_CORRUPT, "output %d is not f32", i);
    if (out->added < 0 || out->added > (i > 0 && i == p->n_outputs - 1))
        KF_FAIL(err, KF_ERR_CORRUPT, "output %d: only the last of several is added", i);
    if (!declared_ok(out->rank, out->shape, t))
        KF_FAIL(err, KF_ERR_CORRUPT, "output %d: declared shape does not fit its tensor", i);
    return KF_OK;
}

kf_status kf__program_validate(const kf__program *p, kf_error *err) {
    if (p->n_inputs < 1 || p->n_outputs < 1 || p->n_steps < 1)
        KF_FAIL(err, KF_ERR_CORRUPT, "the program has no inputs, outputs or steps");
    for (int32_t i = 0; i < p->n_tensors; i++)
        if (!tensor_ok(&p->tensors[i])) KF_FAIL(err, KF_ERR_CORRUPT, "tensor %d: extents or type are out of range", i);
    KF_TRY(check_shared(p, err));
    for (int32_t i = 0; i < p->n_tensors; i++) KF_TRY(kf__validate_quant(p, &p->tensors[i], err));
    bool *written = kf__mem_zalloc(NULL, (size_t)p->n_tensors + 1);
    if (!written) KF_FAIL_MEMORY(err, p->n_tensors);
    kf_status st = check_order(p, written, err);
    kf__mem_free(NULL, written);
    KF_TRY(st);
    for (int32_t i = 0; i < p->n_inputs; i++) KF_TRY(check_input(p, i, err));
    for (int32_t i = 0; i < p->n_outputs; i++) KF_TRY(check_output(p, i, err));
    return KF_OK;
}
