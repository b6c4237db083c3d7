/* Float convolutions that MobileNetV3 does not have, every step against nested loops in double, at every instruction
 * set; and steps that run joined against the same steps one by one. Owner rule: each test frees what it makes. */
#include "program_builder.h"

#include "kitfox/kitfox.h"
#include "runtime/session.h"

enum { STEPS = 5, BATCH = 2 };

static kf__step *convolve(kf__program *p, kf__random *r, const char *name, int kh, int kw, int group, int h, int w,
                          int c) {
    int32_t in = p->n_tensors - 1, ci = p->tensors[in].c;
    p->tensors[pb_tensor(p, name, h, w, c)].n = BATCH;
    bool depthwise = group > 1 && group == ci && c == ci;
    kf__step *s = pb_step(p, depthwise ? KF_STEP_DWCONV : KF_STEP_CONV, name, in, in + 1);
    s->window.kh = kh, s->window.kw = kw, s->window.group = group;
    s->consts[KF_CONST_W] = depthwise ? PB_CONST(p, r, kh, kw, c) : PB_CONST(p, r, c, kh, kw, ci / group);
    s->consts[KF_CONST_BIAS] = PB_CONST(p, r, c);
    return s;
}

/* Groups with uneven padding, dilation, a wide pointwise layer and the depthwise one that reads it (over a megabyte
 * between them, so they join), a pointwise layer of stride 2. */
static kf__program *odd_network(void) {
    kf__program *p = NULL;
    kf__random r = {7};
    assert_int_equal(kf__program_create(&p, NULL, NULL), KF_OK);
    p->tensors = kf__arena_zalloc(&p->arena, (STEPS + 1) * sizeof *p->tensors);
    p->consts = kf__arena_zalloc(&p->arena, 2 * STEPS * sizeof *p->consts);
    p->steps = kf__arena_zalloc(&p->arena, STEPS * sizeof *p->steps);
    p->inputs = kf__arena_zalloc(&p->arena, sizeof *p->inputs);
    p->outputs = kf__arena_zalloc(&p->arena, sizeof *p->outputs);
    p->tensors[pb_tensor(p, "picture", 34, 70, 8)].n = BATCH;
    kf__step *s = convolve(p, &r, "grouped", 3, 5, 2, 34, 70, 8);
    s->window.pt = 2, s->window.pl = 1, s->window.pr = 3;
    s = convolve(p, &r, "dilated", 3, 3, 1, 34, 70, 10);
    s->window.dh = s->window.dw = s->window.pt = s->window.pl = s->window.pb = s->window.pr = 2;
    s = convolve(p, &r, "expand", 1, 1, 1, 34, 70, 120);
    s->act = (kf__activation){KF_ACT_HSWISH, 0, 0};
    s = convolve(p, &r, "depthwise", 5, 5, 120, 17, 35, 120);
    s->window.sh = s->window.sw = s->window.pt = s->window.pl = 2, s->window.pb = s->window.pr = 2;
    s->act = (kf__activation){KF_ACT_CLIP, 0, INFINITY};
    s = convolve(p, &r, "strided", 1, 1, 1, 9, 18, 6);
    s->window.sh = s->window.sw = 2;
    p->inputs[p->n_inputs++] = (kf__pinput){.name = "picture", .tensor = 0, .rank = 4, .shape = {BATCH, 8, 34, 70}};
    p->outputs[p->n_outputs++] =
        (kf__poutput){.name = "strided", .tensor = STEPS, .rank = 4, .shape = {BATCH, 6, 9, 18}};
    kf_error err = {0};
    if (kf__program_validate(p, &err) != KF_OK) fail_msg("%s", err.text);
    return p;
}

static size_t count_of(const kf__ptensor *t) { return (size_t)t->n * (size_t)t->h * (size_t)t->w * (size_t)t->c; }

/* One output element, and the sum of the absolute terms. */
static double element(const kf__program *p, const kf__step *s, const float *in, int n, int y, int x, int o,
                      double *mass) {
    const kf__ptensor *a = &p->tensors[s->in[0]], *b = &p->tensors[s->out];
    const float *w = p->consts[s->consts[KF_CONST_W]].data, *bias = p->consts[s->consts[KF_CONST_BIAS]].data;
    int per = s->op == KF_STEP_DWCONV ? 1 : a->c / s->window.group,
        first = s->op == KF_STEP_DWCONV ? o : o / (b->c / s->window.group) * per;
    double sum = (double)bias[o];
    *mass = fabs(sum);
    for (int ky = 0; ky < s->window.kh; ky++)
        for (int kx = 0; kx < s->window.kw; kx++)
            for (int i = 0; i < per; i++) {
                int sy = y * s->window.sh - s->window.pt + ky * s->window.dh,
                    sx = x * s->window.sw - s->window.pl + kx * s->window.dw;
                if (sy < 0 || sx < 0 || sy >= a->h || sx >= a->w) continue;
                size_t at = s->op == KF_STEP_DWCONV ? (size_t)((ky * s->window.kw + kx) * b->c + o)
                                                    : (size_t)(((o * s->window.kh + ky) * s->window.kw + kx) * per + i);
                double v =
                    (double)in[(((size_t)n * (size_t)a->h + (size_t)sy) * (size_t)a->w + (size_t)sx) * (size_t)a->c +
                               (size_t)(first + i)] *
                    (double)w[at];
                sum += v, *mass += fabs(v);
            }
    if (s->act.kind == KF_ACT_HSWISH) return sum * fmin(fmax(sum + 3, 0), 6) / 6;
    return s->act.kind == KF_ACT_CLIP ? fmax(sum, 0) : sum;
}

typedef struct seen {
    const kf__program *p;
    float *value[STEPS + 1]; /* by tensor */
} seen;

static void check_step(void *user, int32_t index, const float *data) {
    seen *k = user;
    const kf__step *s = &k->p->steps[index];
    const kf__ptensor *b = &k->p->tensors[s->out];
    memcpy(k->value[s->out], data, count_of(b) * sizeof *data);
    for (int n = 0; n < b->n; n++)
        for (int y = 0; y < b->h; y++)
            for (int x = 0; x < b->w; x++)
                for (int o = 0; o < b->c; o++, data++) {
                    double mass, want = element(k->p, s, k->value[s->in[0]], n, y, x, o, &mass);
                    if (!(fabs(*data - want) <= 4e-6 * (mass + 1)))
                        fail_msg("%s, %s: image %d row %d column %d channel %d: %g, not %g", kf_cpu_name(), s->name, n,
                                 y, x, o, (double)*data, want);
                }
}

static void check_level(int threads) {
    kf__program *p = odd_network();
    struct kf_model *m;
    struct kf_session *s;
    kf_error err = {0};
    seen k = {.p = p};
    kf__random r = {9};
    if (kf__model_create(p, NULL, &m, &err) != KF_OK) fail_msg("%s", err.text);
    assert_int_equal(kf__session_create(m, threads, false, NULL, &s, &err), KF_OK);
    for (int t = 0; t <= STEPS; t++) k.value[t] = calloc(count_of(&p->tensors[t]), sizeof(float));
    for (size_t i = 0; i < count_of(&p->tensors[0]); i++) k.value[0][i] = (float)(kf__random_unit(&r) * 4 - 2);
    assert_false(kf__steps_join(p, 1));
    assert_true(kf__steps_join(p, 2));
    s->probe = check_step, s->probe_user = &k;
    kf__session_put_f32(s, 0, k.value[0], true);
    kf__session_steps(s);
    s->probe = NULL;
    kf__redzone_open(s->exec.base, m->plan_bytes);
    memset(s->exec.base, 0xff, m->plan_bytes); /* NaN: whatever a joined run reads without having written it shows */
    kf__session_put_f32(s, 0, k.value[0], true);
    kf__session_steps(s);
    assert_memory_equal(kf__exec_tensor(&s->exec, STEPS), k.value[STEPS], count_of(&p->tensors[STEPS]) * sizeof(float));
    for (int t = 0; t <= STEPS; t++) free(k.value[t]);
    kf__session_destroy(&s);
    kf_model_destroy(&m);
}

static void every_level(void **state) {
    (void)state;
    for (int i = 0; kf_cpu_level_name(i); i++) {
        if (kf_cpu_limit(kf_cpu_level_name(i), NULL) != KF_OK) continue; /* not on this machine */
        check_level(1);
        check_level(3);
    }
    assert_int_equal(kf_cpu_limit(NULL, NULL), KF_OK);
}

/* Packing may stand in for the clamp only where no value leaves i32; an f32 residual may be anything. */
static void unbounded_residual(void **state) {
    (void)state;
    const float mul[16] = {1}, lo[16] = {0}, hi[16] = {255};
    const int32_t zero[16] = {0};
    uint8_t lo8[16], hi8[16];
    kf__requant q = {.mul = mul, .flo = lo, .fhi = hi, .zero = zero, .out = KF_U8, .residual_type = KF_U8};
    q.residual_scale = 1;
    kf__requant_bound(&q, 1000, 1, 16, lo8, hi8);
    assert_non_null(q.lo8);
    q.residual_type = KF_F32, q.residual_scale = 0;
    kf__requant_bound(&q, 1000, 1, 16, lo8, hi8);
    assert_null(q.lo8);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(unbounded_residual), cmocka_unit_test(every_level)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
