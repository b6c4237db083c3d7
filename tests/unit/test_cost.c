/* What loading a model costs: series of files of double size, and work that is counted, not timed: names compared,
 * bytes asked for, tensors that the memory plan met. And limits: what a small file may not ask for. Owner rule: each
 * test frees what it makes. */
#include "program_builder.h"

#include "container/container.h"
#include "format/format.h"
#include "kitfox/kitfox.h"
#include "runtime/model.h"
#include "runtime/session.h"

static size_t compared; /* names */

int __real_strcmp(const char *a, const char *b);
int __wrap_strcmp(const char *a, const char *b);
int __wrap_strcmp(const char *a, const char *b) {
    compared++;
    return __real_strcmp(a, b);
}

/* ---- files ---- */

static kf__program *blank(int32_t n, int32_t outputs, int32_t consts) {
    kf__program *p = NULL;
    assert_int_equal(kf__program_create(&p, NULL, NULL), KF_OK);
    p->tensors = kf__arena_array(&p->arena, (size_t)n + 1, sizeof *p->tensors);
    p->steps = kf__arena_array(&p->arena, (size_t)n, sizeof *p->steps);
    p->consts = kf__arena_array(&p->arena, (size_t)consts + 1, sizeof *p->consts);
    p->inputs = kf__arena_array(&p->arena, 1, sizeof *p->inputs);
    p->outputs = kf__arena_array(&p->arena, (size_t)outputs, sizeof *p->outputs);
    assert_true(p->tensors && p->steps && p->consts && p->inputs && p->outputs);
    p->meta = (kf__pmeta){.name = "series", .kitfox = "test"};
    return p;
}

static void give_out(kf__program *p, int32_t t) {
    const kf__ptensor *x = &p->tensors[t];
    p->outputs[p->n_outputs++] =
        (kf__poutput){.name = "out", .tensor = t, .rank = 4, .shape = {x->n, x->c, x->h, x->w}};
}

static void take_in(kf__program *p, int32_t h, int32_t w, int32_t c) {
    int32_t t = pb_tensor(p, "in", h, w, c);
    p->inputs[p->n_inputs++] = (kf__pinput){.name = "in", .tensor = t, .rank = 4, .shape = {1, c, h, w}};
}

/* n activations one after another. */
static kf__program *steps(int32_t n) {
    kf__program *p = blank(n, 1, 0);
    take_in(p, 1, 2, 3);
    for (int32_t i = 0; i < n; i++) {
        int32_t t = pb_tensor(p, kf__arena_printf(&p->arena, "tensor%d", i), 1, 2, 3);
        pb_step(p, KF_STEP_ACT, kf__arena_printf(&p->arena, "step%d", i), t - 1, t);
    }
    give_out(p, n);
    return p;
}

/* n tensors of h x w x c that all live to the end. */
static kf__program *outputs_of(int32_t n, int32_t h, int32_t w, int32_t c) {
    kf__program *p = blank(n, n, 0);
    take_in(p, h, w, c);
    for (int32_t i = 0; i < n; i++) {
        pb_step(p, KF_STEP_ACT, "step", 0, pb_tensor(p, "t", h, w, c));
        give_out(p, i + 1);
    }
    return p;
}

static kf__program *outputs(int32_t n) { return outputs_of(n, 1, 2, 3); }

/* n tensors that nothing makes. */
static kf__program *tensors(int32_t n) {
    kf__program *p = blank(n + 1, 1, 0);
    take_in(p, 1, 2, 3);
    pb_step(p, KF_STEP_ACT, "step", 0, pb_tensor(p, "t", 1, 2, 3));
    for (int32_t i = 0; i < n; i++) pb_tensor(p, "unmade", 1024, 1024, 64);
    give_out(p, 1);
    return p;
}

/* n constants, which the container has in the opposite order: so each is searched for. */
static kf__program *consts(int32_t n) {
    kf__program *p = tensors(1);
    kf__random r = {1};
    p->consts = kf__arena_array(&p->arena, (size_t)n, sizeof *p->consts);
    for (int32_t i = 0; i < n; i++) {
        PB_CONST(p, &r, 1);
        p->consts[i].name = kf__arena_printf(&p->arena, "a name of some length, %07d", i);
    }
    return p;
}

/* Large pairs that could run as one, each of which asks whether anything reads the tensor between later. */
static kf__program *pairs(int32_t n) {
    kf__program *p = blank(2 * n, 1, 2);
    kf__random r = {1};
    take_in(p, 512, 512, 1);
    int32_t w = PB_CONST(p, &r, 1, 1, 1, 1), d = PB_CONST(p, &r, 1, 1, 1);
    for (int32_t i = 0; i < n; i++) {
        int32_t t = pb_tensor(p, "t", 512, 512, 1);
        pb_step(p, KF_STEP_CONV, "conv", t - 1, t)->consts[KF_CONST_W] = w;
        pb_step(p, KF_STEP_DWCONV, "dw", t, pb_tensor(p, "u", 512, 512, 1))->consts[KF_CONST_W] = d;
    }
    give_out(p, p->n_tensors - 1);
    return p;
}

/* ---- counting ---- */

typedef struct cost {
    size_t names, bytes, met, file;
} cost;

static void *counted_alloc(void *user, size_t size, size_t align) {
    *(size_t *)user += size;
    return aligned_alloc(align, kf__round_up(size, align));
}

static void counted_free(void *user, void *p) {
    (void)user;
    free(p);
}

/* The constants of a file, the last one first. */
static void turn(const kf__program *p, void **file, size_t *bytes) {
    kf__container c;
    kf_error err = {0};
    void *turned;
    if (kf__container_read(*file, *bytes, &c, &err) != KF_OK) fail_msg("%s", err.text);
    for (size_t i = 0; i < c.n_tensors / 2; i++) {
        kf__container_tensor t = c.tensors[i];
        c.tensors[i] = c.tensors[c.n_tensors - 1 - i], c.tensors[c.n_tensors - 1 - i] = t;
    }
    assert_int_equal(c.n_tensors, p->n_consts);
    if (kf__container_write(c.texts, c.n_texts, c.tensors, c.n_tensors, &turned, bytes, &err) != KF_OK)
        fail_msg("%s", err.text);
    kf__container_free(&c);
    kf__mem_free(NULL, *file);
    *file = turned;
}

static cost cost_of(kf__program *(*make)(int32_t n), int32_t n) {
    kf__program *p = make(n);
    cost c = {0};
    void *file;
    kf_model *m;
    kf_error err = {0};
    kf_model_options o;
    const kf_allocator a = {.alloc = counted_alloc, .free = counted_free, .user = &c.bytes};
    kf_model_options_init(&o);
    o.skip_hash = 1, o.allocator = &a;
    if (kf__format_write(p, &file, &c.file, &err) != KF_OK) fail_msg("%s", err.text);
    turn(p, &file, &c.file);
    compared = 0;
    if (kf_model_load_memory(file, c.file, &o, &m, &err) != KF_OK) fail_msg("%s", err.text);
    c.names = compared;
    size_t *offset = malloc((size_t)m->p->n_tensors * sizeof *offset), total;
    assert_int_equal(kf__plan(m->p, offset, &total, &c.met, &err), KF_OK);
    free(offset);
    compared = 0;
    kf_step_info s = {.size = sizeof s};
    for (int32_t i = 0; i < m->p->n_steps; i++) assert_int_equal(kf_model_step(m, i, &s, &err), KF_OK);
    c.names += compared;
    kf_model_destroy(&m);
    kf__mem_free(NULL, file);
    kf__program_destroy(&p);
    return c;
}

/* Twice the file: at most a quarter more than twice the work. */
static void grows(const char *series, const char *what, size_t before, size_t after, size_t free_of_charge) {
    if (after > before * 9 / 4 + free_of_charge) fail_msg("%s: %s grew from %zu to %zu", series, what, before, after);
}

static void doubling(void **state) {
    (void)state;
    static const struct {
        const char *name;
        kf__program *(*make)(int32_t n);
        int32_t from, to;
        size_t met; /* by a plan, for each of n; 0: as many as any plan may meet */
    } SERIES[] = {{"steps", steps, 500, 4000, 60},
                  {"outputs", outputs, 500, 4000, 0},
                  {"tensors", tensors, 500, 4000, 1},
                  {"consts", consts, 500, 4000, 1},
                  {"pairs", pairs, 250, 1000, 120}};
    for (size_t i = 0; i < KF_COUNT(SERIES); i++) {
        cost last = cost_of(SERIES[i].make, SERIES[i].from / 2);
        for (int32_t n = SERIES[i].from; n <= SERIES[i].to; n *= 2) {
            cost now = cost_of(SERIES[i].make, n);
            grows(SERIES[i].name, "names compared", last.names, now.names, 100);
            grows(SERIES[i].name, "bytes", last.bytes, now.bytes, 65536);
            assert_true(now.bytes < 64 * now.file + (1 << 20));
            size_t most = SERIES[i].met ? SERIES[i].met * (size_t)n + 100 : (1 << 20) + 66 * (size_t)n;
            if (now.met > most) fail_msg("%s: the plan met %zu of %d", SERIES[i].name, now.met, n);
            last = now;
        }
    }
}

/* ---- limits ---- */

/* A model of `p`, which it takes over, or the status of the refusal. */
static kf_status load(kf__program *p, const kf_model_options *o, kf_model **m, kf_error *err) {
    void *file;
    size_t bytes;
    if (kf__format_write(p, &file, &bytes, err) != KF_OK) fail_msg("%s", err->text);
    kf_status st = kf_model_load_memory(file, bytes, o, m, err);
    kf__mem_free(NULL, file);
    kf__program_destroy(&p);
    return st;
}

static void says(const kf_error *err, const char *a, const char *b, const char *option) {
    if (!strstr(err->text, a) || !strstr(err->text, b) || !strstr(err->text, option)) fail_msg("%s", err->text);
}

/* `count` activations of sides of 4096 that all are outputs: 64 MiB each. */
static kf__program *wide(int32_t count) { return outputs_of(count, 4096, 4096, 1); }

static void ignore(void *user, int32_t step, const float *values, size_t n) {
    (void)user, (void)step, (void)values, (void)n;
}

static void session_bytes(void **state) {
    (void)state;
    kf_model *m;
    kf_session *s;
    kf_error err = {0};
    kf_session_options o;
    kf_session_options_init(&o);
    o.threads = 1;
    o.max_operations = INT64_MAX;
    assert_int_equal(load(wide(70), NULL, &m, &err), KF_OK); /* looking at it costs nothing */
    assert_int_equal(kf_session_create(m, &o, &s, &err), KF_ERR_LIMIT);
    says(&err, "4294967296", "bytes of a session", "max_session_bytes");
    kf_model_destroy(&m);
    assert_int_equal(load(steps(3), NULL, &m, &err), KF_OK);
    assert_int_equal(kf_session_create(m, &o, &s, &err), KF_OK);
    o.max_session_bytes = kf_session_bytes(s);
    kf_session_destroy(&s);
    assert_int_equal(kf_session_create(m, &o, &s, &err), KF_OK); /* exactly so many */
    assert_int_equal(kf_session_watch(s, ignore, NULL, &err), KF_ERR_LIMIT);
    assert_int_equal(kf_session_watch(s, NULL, NULL, &err), KF_OK);
    kf_session_destroy(&s);
    o.max_session_bytes--;
    assert_int_equal(kf_session_create(m, &o, &s, &err), KF_ERR_LIMIT);
    kf_model_destroy(&m);
}

/* A model's limits apply to its sessions and to verify. A session's own limits replace them. */
static void by_the_model(void **state) {
    (void)state;
    kf_model *m;
    kf_session *s;
    kf_error err = {0};
    kf_model_options o;
    kf_session_options so;
    kf_model_options_init(&o);
    kf_session_options_init(&so);
    o.max_session_bytes = 64;
    assert_int_equal(load(steps(3), &o, &m, &err), KF_OK);
    assert_int_equal(kf_session_create(m, NULL, &s, &err), KF_ERR_LIMIT);
    so.max_session_bytes = 1 << 20;
    assert_int_equal(kf_session_create(m, &so, &s, &err), KF_OK);
    kf_session_destroy(&s);
    kf_model_destroy(&m);
    o.max_session_bytes = 0, o.max_operations = 10;
    assert_int_equal(load(steps(3), &o, &m, &err), KF_OK);
    assert_int_equal(kf_session_create(m, NULL, &s, &err), KF_ERR_LIMIT);
    says(&err, ": 3072;", "most 10 ", "max_operations"); /* 3 steps, 2 tensors of 2 pixels, 16 channels, 16 each */
    kf_model_destroy(&m);
}

/* One step of a window over `side` squared, padded by its own size. */
static kf__program *window(kf__step_op op, int32_t side, int32_t taps, int32_t pad, int32_t dilation) {
    kf__program *p = blank(1, 1, 1);
    kf__random r = {1};
    int32_t out = side + 2 * pad - dilation * (taps - 1);
    take_in(p, side, side, 1);
    kf__step *s = pb_step(p, op, "window", 0, pb_tensor(p, "t", out, out, 1));
    s->window = (kf__window){.kh = taps,
                             .kw = taps,
                             .sh = 1,
                             .sw = 1,
                             .dh = dilation,
                             .dw = dilation,
                             .group = 1,
                             .pt = pad,
                             .pl = pad,
                             .pb = pad,
                             .pr = pad};
    if (op == KF_STEP_CONV) s->consts[KF_CONST_W] = PB_CONST(p, &r, 1, taps, taps, 1);
    if (op == KF_STEP_DWCONV) s->consts[KF_CONST_W] = PB_CONST(p, &r, taps, taps, 1);
    give_out(p, 1);
    return p;
}

static kf_status session_of(kf__program *p, kf_error *err) {
    kf_model *m;
    kf_session *s;
    if (load(p, NULL, &m, err) != KF_OK) fail_msg("%s", err->text);
    kf_status st = kf_session_create(m, NULL, &s, err);
    if (st == KF_OK) kf_session_destroy(&s);
    kf_model_destroy(&m);
    return st;
}

/* Files of a kilobyte, or of their weights, that would run for minutes; and windows that only look large. */
static void windows(void **state) {
    (void)state;
    kf_error err = {0};
    assert_int_equal(session_of(window(KF_STEP_MAX_POOL, 4096, 4096, 2048, 1), &err), KF_ERR_LIMIT);
    says(&err, "operations", "most 274877906944", "max_operations");
    assert_int_equal(session_of(window(KF_STEP_MAX_POOL, 1024, 512, 500, 1), &err), KF_ERR_LIMIT);
    assert_int_equal(session_of(window(KF_STEP_MAX_POOL, 1, 1024, 1023, 1), &err), KF_OK); /* one tap is inside */
    assert_int_equal(session_of(window(KF_STEP_CONV, 4096, 128, 100, 1), &err), KF_ERR_LIMIT);
    assert_int_equal(session_of(window(KF_STEP_CONV, 4096, 128, 127, 3), &err), KF_ERR_LIMIT); /* dilated */
    assert_int_equal(session_of(window(KF_STEP_DWCONV, 8192, 64, 32, 2), &err), KF_ERR_LIMIT);
    assert_int_equal(session_of(window(KF_STEP_DWCONV, 224, 5, 2, 1), &err), KF_OK);
    assert_int_equal(session_of(window(KF_STEP_MAX_POOL, 512, 3, 1, 1), &err), KF_OK);
}

/* n steps of c integer activations that share one constant each, where they need c parameters of many kinds. */
static kf__program *integers(int32_t n, int32_t c, bool shared) {
    kf__program *p = blank(n + 2, 1, 2);
    float one = 1;
    int64_t length = shared ? c : 1;
    float *inv = kf__arena_array(&p->arena, (size_t)length, sizeof *inv);
    for (int64_t i = 0; i < length; i++) inv[i] = one;
    p->consts[p->n_consts++] =
        (kf__pconst){"inv", KF_F32, kf__shape_make(1, &length), inv, (size_t)length * 4, false, 0};
    p->tensors = kf__arena_array(&p->arena, (size_t)n + 3, sizeof *p->tensors);
    p->steps = kf__arena_array(&p->arena, (size_t)n + 2, sizeof *p->steps);
    take_in(p, 1, 1, c);
    for (int32_t i = 0; i < n + 2; i++) {
        int32_t t = pb_tensor(p, "t", 1, 1, c);
        bool last = i == n + 1;
        if (!last) p->tensors[t].dtype = KF_U8, p->tensors[t].scale = 1, p->tensors[t].qmax = 255;
        kf__step_op op = i == 0 ? KF_STEP_QUANTIZE : KF_STEP_ACT;
        kf__step *s = pb_step(p, last ? KF_STEP_DEQUANTIZE : op, "s", t - 1, t);
        if (last) continue;
        s->qhi = 255, s->consts[KF_CONST_INV] = 0;
    }
    give_out(p, n + 2);
    return p;
}

/* A constant of one number that stands for 2^20 channels, in many steps: 400 bytes of file ask for 40 MB each. */
static void model_bytes(void **state) {
    (void)state;
    kf_model *m;
    kf_error err = {0};
    kf_model_options o;
    kf_model_options_init(&o);
    assert_int_equal(load(integers(40, 1 << 20, false), NULL, &m, &err), KF_ERR_LIMIT);
    says(&err, "bytes of the model", "at most", "max_model_bytes");
    assert_int_equal(load(integers(4, 1024, false), NULL, &m, &err), KF_OK);
    kf_model_destroy(&m);
    o.max_model_bytes = 40000;
    assert_int_equal(load(integers(4, 1024, false), &o, &m, &err), KF_ERR_LIMIT);
    says(&err, "bytes of the model", "most 40000 ", "max_model_bytes");
    o.max_model_bytes = 1 << 20;
    assert_int_equal(load(integers(4, 1024, false), &o, &m, &err), KF_OK);
    kf_model_destroy(&m);
}

/* Each step that names a constant proves it anew. */
static void shared_constants(void **state) {
    (void)state;
    kf_model *m;
    kf_error err = {0};
    assert_int_equal(load(integers(10, 1 << 18, true), NULL, &m, &err), KF_OK);
    kf_model_destroy(&m);
    assert_int_equal(load(integers(40, 1 << 18, true), NULL, &m, &err), KF_ERR_LIMIT);
    says(&err, "share", "42991616", "33554432"); /* 41 MiB of a constant of 1 MiB, and 16 MiB + 16 times that */
}

/* Empty values take the most memory per byte of text. */
static void json_values(void **state) {
    (void)state;
    enum { BYTES = 3 * ((1 << 22) + 10) };
    kf__container c;
    kf_error err = {0};
    char *file = malloc(8 + BYTES);
    assert_non_null(file);
    for (int i = 0; i < 8; i++) file[i] = (char)(uint8_t)((uint64_t)BYTES >> (8 * i));
    for (int i = 0; i < BYTES; i++) file[8 + i] = "[],"[i % 3];
    file[8] = '[', file[9] = ' ';
    assert_int_equal(kf__container_read(file, 8 + BYTES, &c, &err), KF_ERR_LIMIT);
    says(&err, "values", "4194304", "at most");
    free(file);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(doubling),     cmocka_unit_test(session_bytes),
                                       cmocka_unit_test(by_the_model), cmocka_unit_test(windows),
                                       cmocka_unit_test(model_bytes),  cmocka_unit_test(shared_constants),
                                       cmocka_unit_test(json_values)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
