/* Making and checking the golden vector of a program.
 * Owner rule: see golden.h. */
#include "runtime/golden.h"

#include "hash/sha256.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define TOLERANCE 1e-4         /* f32 steps: kernels may sum in different orders */
#define TOLERANCE_ROUNDED 1e-2 /* after such values are rounded: single results may differ by one step of the scale */

/* How exactly a tensor is fixed: to the bit, up to the order of sums, or up to that and rounding. */
typedef enum binding { BITS, SUMS, ROUNDED } binding;

typedef struct run {
    const struct kf_model *m;
    binding *bound;         /* [n_tensors] */
    kf__golden_step *steps; /* [n_steps] */
} run;

static uint32_t mix(uint32_t x) {
    x *= 2654435761u;
    x ^= x >> 15;
    return x * 2246822519u;
}

static void fill_inputs(struct kf_session *s) {
    const kf__program *p = s->m->p;
    for (int32_t k = 0; k < p->n_inputs; k++) {
        const kf__ptensor *t = &p->tensors[p->inputs[k].tensor];
        void *to = kf__exec_tensor(&s->exec, p->inputs[k].tensor);
        for (size_t i = 0; i < kf__ptensor_count(t); i++) {
            uint32_t v = mix((uint32_t)i + 1 + 1000003u * (uint32_t)k) >> 24;
            if (t->dtype == KF_F32) ((float *)to)[i] = (float)((int32_t)v - 128) / 64;
            else ((uint8_t *)to)[i] = (uint8_t)v;
        }
    }
}

static bool copies(kf__step_op op) {
    return op == KF_STEP_TO_NCHW || op == KF_STEP_MOVE || op == KF_STEP_PICK || op == KF_STEP_CONCAT ||
           op == KF_STEP_MAX_POOL;
}

static binding bind_step(const run *r, const kf__step *s) {
    binding worst = BITS;
    for (int k = 0; k < s->n_in; k++)
        if (r->bound[s->in[k]] > worst) worst = r->bound[s->in[k]];
    bool integer = kf__step_is_integer(r->m->p, s), loose = kf__activation_by_expf(&s->act) ||
                                                            kf__activation_by_expf(&s->post_act) ||
                                                            kf__activation_by_expf(&s->gate_act);
    if (worst == BITS && ((!integer && !copies(s->op)) || loose)) worst = SUMS;
    return worst == SUMS && r->m->p->tensors[s->out].dtype != KF_F32 ? ROUNDED : worst;
}

static double value_at(const void *data, size_t i, kf_dtype type) {
    return type == KF_F32  ? (double)((const float *)data)[i]
           : type == KF_U8 ? ((const uint8_t *)data)[i]
                           : ((const int16_t *)data)[i];
}

/* Six digits, so that files do not depend on the last bits of a math library. */
static double short_number(double x) {
    char text[40];
    kf__text_print(text, sizeof text, "%.5e", x);
    return kf__text_real(text, NULL);
}

/* Probe of a step: records the hash of its bytes, or two sums if kernels may differ in the last bits. */
static void see(void *user, int32_t index, const float *data) {
    run *r = user;
    const kf__step *s = &r->m->p->steps[index];
    const kf__ptensor *t = &r->m->p->tensors[s->out];
    kf__golden_step *g = &r->steps[index];
    size_t n = kf__ptensor_count(t);
    r->bound[s->out] = bind_step(r, s);
    *g = (kf__golden_step){.kind = r->bound[s->out] == BITS ? KF_GOLDEN_HASH : KF_GOLDEN_SUMS};
    if (g->kind == KF_GOLDEN_HASH) {
        uint8_t digest[32];
        kf__sha256 h;
        kf__sha256_init(&h);
        kf__sha256_add(&h, (const uint8_t *)data, n * kf_dtype_size(t->dtype));
        kf__sha256_done(&h, digest);
        memcpy(g->hash, digest, sizeof g->hash);
        return;
    }
    double squares = 0, dot = 0;
    for (size_t i = 0; i < n; i++) {
        double v = value_at(data, i, t->dtype);
        squares += v * v;
        dot += mix((uint32_t)i + 1) >> 31 ? v : -v;
    }
    g->norm = sqrt(squares), g->dot = dot;
    /* Kernels that sum in different orders may order two scores differently that are almost equal. */
    if (!isfinite(squares) || s->op == KF_STEP_TOP)
        g->kind = KF_GOLDEN_NONE; /* nothing to compare: the input is no picture */
}

/* Runs the synthetic input and takes up to KF_GOLDEN_SCORES scores, spread evenly over the output. */
static kf_status run_once(run *r, int threads, float scores[KF_GOLDEN_SCORES], int32_t *n_scores, kf_error *err) {
    const kf__program *p = r->m->p;
    const kf__ptensor *y = &p->tensors[kf__program_ranked(p)->tensor];
    struct kf_session *s;
    size_t n = kf__ptensor_count(y);
    r->bound = kf__mem_zalloc(NULL, (size_t)p->n_tensors * sizeof *r->bound);
    if (!r->bound) KF_FAIL_MEMORY(err, (size_t)p->n_tensors * sizeof *r->bound);
    kf_status st = kf__session_create(r->m, threads, false, NULL, &s, err);
    if (st == KF_OK) {
        s->probe = see, s->probe_user = r;
        fill_inputs(s);
        kf__session_steps(s);
        *n_scores = n < KF_GOLDEN_SCORES ? (int32_t)n : KF_GOLDEN_SCORES;
        const float *data = kf__exec_tensor(&s->exec, kf__program_ranked(p)->tensor);
        for (int32_t i = 0; i < *n_scores; i++) scores[i] = data[(size_t)i * n / (size_t)*n_scores];
        kf__session_destroy(&s);
    }
    return st;
}

/* Sums and scores are rounded to a few digits, so that every compiler writes the same file. */
kf_status kf__golden_make(struct kf_model *m, kf_error *err) {
    kf__program *p = m->p;
    kf__golden g = {.n_steps = p->n_steps};
    g.steps = kf__arena_zalloc(&p->arena, ((size_t)p->n_steps + 1) * sizeof *g.steps);
    if (!g.steps) KF_FAIL_MEMORY(err, (size_t)p->n_steps * sizeof *g.steps);
    run r = {.m = m, .steps = g.steps};
    float scores[KF_GOLDEN_SCORES];
    kf_status st = run_once(&r, 1, scores, &g.n_scores, err);
    kf__mem_free(NULL, r.bound);
    if (st == KF_ERR_LIMIT) return KF_OK; /* the file gets no vector */
    KF_TRY(st);
    for (int32_t i = 0; i < g.n_steps; i++)
        g.steps[i].norm = short_number(g.steps[i].norm), g.steps[i].dot = short_number(g.steps[i].dot);
    bool finite = true;
    for (int32_t i = 0; i < g.n_scores; i++) {
        finite = finite && isfinite(scores[i]);
        g.scores[i] = short_number((double)scores[i]);
    }
    if (!finite) g.n_scores = 0;
    p->meta.golden = g;
    return KF_OK;
}

/* Relative difference of a summed step, in its length and in its sum under random signs; the latter shows any error
 * of that size. */
static double step_difference(const kf__golden_step *want, const kf__golden_step *got) {
    double most = fmax(fabs(want->norm - got->norm), fabs(want->dot - got->dot));
    if (most == 0) return 0;
    return want->norm > 0 ? most / want->norm : INFINITY;
}

static double scores_difference(const kf__golden *g, const float *got) {
    double most = 0, largest = 1e-30;
    for (int32_t i = 0; i < g->n_scores; i++) {
        most = fmax(most, isfinite(got[i]) ? fabs(g->scores[i] - (double)got[i]) : INFINITY);
        largest = fmax(largest, fabs(g->scores[i]));
    }
    return most / largest;
}

static double tolerance_of(const run *r, int32_t tensor) {
    return r->bound[tensor] == ROUNDED || r->m->p->meta.quantized ? TOLERANCE_ROUNDED : TOLERANCE;
}

/* Stops at the first step that differs: all later steps would differ, too. Scores are compared last. */
static void compare(const run *r, const float *scores, kf__golden_result *out) {
    const kf__program *p = r->m->p;
    const kf__golden *g = &p->meta.golden;
    *out = (kf__golden_result){.first = -1};
    for (int32_t i = 0; i < g->n_steps && out->first < 0; i++) {
        const kf__golden_step *want = &g->steps[i], *got = &r->steps[i];
        if (want->kind == KF_GOLDEN_NONE) continue;
        out->compared++;
        bool same = want->kind == got->kind;
        if (want->kind == KF_GOLDEN_HASH) {
            out->exact++;
            if (!same || memcmp(want->hash, got->hash, sizeof want->hash) != 0)
                *out = (kf__golden_result){out->compared, out->exact, i, 0, 0};
            continue;
        }
        double d = same ? step_difference(want, got) : INFINITY, tolerance = tolerance_of(r, p->steps[i].out);
        if (!(d <= tolerance)) out->first = i;
        if (!(d <= tolerance) || d > out->difference) out->difference = d, out->tolerance = tolerance;
    }
    for (int32_t i = 0; i < p->n_steps && out->first < 0 && g->n_scores; i++) {
        double d = scores_difference(g, scores), tolerance = tolerance_of(r, kf__program_ranked(p)->tensor);
        if (p->steps[i].out == kf__program_ranked(p)->tensor && !(d <= tolerance))
            out->first = i, out->difference = d, out->tolerance = tolerance;
    }
}

kf_status kf__golden_check(const struct kf_model *m, int threads, kf__golden_result *out, kf_error *err) {
    float scores[KF_GOLDEN_SCORES] = {0};
    int32_t n;
    run r = {.m = m, .steps = kf__mem_zalloc(NULL, ((size_t)m->p->n_steps + 1) * sizeof *r.steps)};
    if (!r.steps) KF_FAIL_MEMORY(err, (size_t)m->p->n_steps * sizeof *r.steps);
    kf_status st = run_once(&r, threads, scores, &n, err);
    if (st == KF_OK) compare(&r, scores, out);
    kf__mem_free(NULL, r.bound);
    kf__mem_free(NULL, r.steps);
    return st;
}
