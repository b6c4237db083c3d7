/* Loading models: nothing of the file is looked at afterwards, float and integer, from memory and from a file; and the
 * proof that no accumulator overflows is exact. Owner rule: each test frees what it makes. */
#include "../temporary.h"
#include "quantized_graph.h"

#include <unistd.h>

#include "format/format.h"
#include "kitfox/kitfox.h"
#include "lower/lower.h"
#include "os/file.h"
#include "runtime/model.h"

enum { SIDE = 6, WIDTH = 704, SCORES = 5 };

/* Four layers have weights above the size from which they are borrowed: pointwise, depthwise 5x5, both of the gate. */
static kf__program *wide_program(bool integer, int64_t tail) {
    kf__graph *g = gb_new();
    kf__program *p;
    kf_error err = {0};
    g->meta.preprocess = (kf_preprocess){
        .valid = 1, .width = SIDE, .height = SIDE, .crop_pct = 1, .mean = {0.5, 0.4, 0.3}, .std = {0.2, 0.25, 0.3}};
    kf__vid x = gb_input(g, "picture", S(1, 3, SIDE, SIDE));
    kf__vid a =
        NODE(g, HARD_SWISH, "swish", gb_conv(g, "stem", x, gb_random(g, S(32, 3, 3, 3)), gb_random(g, S(32)), 2, 1, 1));
    kf__vid b = gb_conv(g, "wide", a, gb_random(g, S(WIDTH, 32, 1, 1)), gb_random(g, S(WIDTH)), 1, 0, 1);
    b = NODE(g, RELU, "relu",
             gb_conv(g, "dw", b, gb_random(g, S(WIDTH, 1, 5, 5)), gb_random(g, S(WIDTH)), 1, 2, WIDTH));
    kf__vid s = NODE(g, RELU, "hidden",
                     gb_conv(g, "reduce", NODE(g, GLOBAL_AVG_POOL, "squeeze", b), gb_random(g, S(32, WIDTH, 1, 1)),
                             gb_random(g, S(32)), 1, 0, 1));
    s = NODE(g, HARD_SIGMOID, "gate",
             gb_conv(g, "expand", s, gb_random(g, S(WIDTH, 32, 1, 1)), gb_random(g, S(WIDTH)), 1, 0, 1));
    gb_last(g)->attrs.alpha = 1.0f / 6, gb_last(g)->attrs.beta = 0.5f;
    b = NODE(g, MUL, "scale", b, s);
    if (tail) b = gb_conv(g, "tail", b, gb_random(g, S(tail, WIDTH, 1, 1)), gb_random(g, S(tail)), 1, 0, 1);
    if (tail == WIDTH) b = gb_conv(g, "same", b, gb_random(g, S(WIDTH, WIDTH, 1, 1)), gb_random(g, S(WIDTH)), 1, 0, 1);
    if (tail) b = gb_conv(g, "back", b, gb_random(g, S(32, tail, 1, 1)), gb_random(g, S(32)), 1, 0, 1);
    b = NODE(g, FLATTEN, "flat", NODE(g, GLOBAL_AVG_POOL, "pool", b));
    gb_last(g)->attrs.axis = 1;
    b = NODE(g, GEMM, "head", b, gb_random(g, S(SCORES, tail ? 32 : WIDTH)), gb_random(g, S(SCORES)));
    gb_last(g)->attrs.alpha = gb_last(g)->attrs.beta = 1, gb_last(g)->attrs.trans_b = 1;
    gb_output(g, b);
    gb_ok(kf__graph_infer(g, &err), &err);
    gb_ok(kf__passes_run(g, KF_OPTIMIZE_FUSE, &err), &err);
    kf__dense in = {0};
    gb_ok(kf__ref_alloc(&in, KF_F32, &g->values[g->inputs[0]].shape, &g->arena, &err), &err);
    kf__random r = {.state = 3};
    for (size_t i = 0; i < 3 * SIDE * SIDE; i++) ((float *)in.data)[i] = (float)(kf__random_unit(&r) * 4 - 2);
    fesetround(FE_TONEAREST);
    if (integer) gb_ok(qh_quantize(g, &in, 1, 0, &err), &err);
    gb_ok(kf__lower(g, &p, &err), &err);
    kf__graph_destroy(&g);
    return p;
}

static void scores_of(const kf_model *m, float *scores) {
    kf_session *s;
    kf_error err = {0};
    uint8_t rgb[SIDE * SIDE * 3];
    for (size_t i = 0; i < sizeof rgb; i++) rgb[i] = (uint8_t)(i * 37 + 11);
    gb_ok(kf_session_create(m, NULL, &s, &err), &err);
    gb_ok(kf_session_run_rgb(s, rgb, SIDE * 3, scores, SCORES, &err), &err);
    kf_session_destroy(&s);
}

/* The file's bytes, and the scores of a model whose program was never in a file. */
static void *write_program(bool integer, size_t *bytes, float *scores) {
    kf__program *p = wide_program(integer, 0);
    void *file;
    struct kf_model *m;
    kf_error err = {0};
    int32_t large = 0;
    gb_ok(kf__format_write(p, &file, bytes, &err), &err);
    for (int32_t i = 0; i < p->n_consts; i++) large += p->consts[i].bytes >= 16384;
    assert_int_equal(large, 4);
    gb_ok(kf__model_create(p, NULL, &m, &err), &err);
    scores_of(m, scores);
    kf_model_destroy(&m);
    return file;
}

/* Nothing borrows from the file after loading: constants that kernels read are copied, packed ones are released. */
static void nothing_borrowed(const struct kf_model *m, const char *file, size_t bytes) {
    for (int32_t i = 0; i < m->p->n_consts; i++) {
        const kf__pconst *c = &m->p->consts[i];
        const char *at = c->data;
        if (c->borrowed || (at && at < file + bytes && at + c->bytes > file))
            fail_msg("constant %s still lies in the file", c->name);
    }
}

static void from_memory(void **state) {
    (void)state;
    for (int integer = 0; integer < 2; integer++) {
        float want[SCORES], got[SCORES];
        size_t bytes;
        kf_model *m;
        kf_error err = {0};
        void *file = write_program(integer, &bytes, want);
        gb_ok(kf_model_load_memory(file, bytes, NULL, &m, &err), &err);
        nothing_borrowed(m, file, bytes);
        memset(file, 0x5a, bytes);
        scores_of(m, got);
        assert_memory_equal(got, want, sizeof want);
        kf_model_destroy(&m);
        kf__mem_free(NULL, file);
    }
}

/* A file that is written over in place after it was checked changes nothing. */
static void from_a_file(void **state) {
    (void)state;
    for (int integer = 0; integer < 2; integer++) {
        char path[256];
        float want[SCORES], got[SCORES];
        size_t bytes;
        kf_model *m;
        kf_error err = {0};
        int fd = mkstemp(temporary_name(path, sizeof path, "kitfox-load"));
        FILE *f = fdopen(fd, "w");
        void *file = write_program(integer, &bytes, want);
        assert_true(fwrite(file, 1, bytes, f) == bytes && fflush(f) == 0);
        gb_ok(kf_model_load(path, NULL, &m, &err), &err);
        memset(file, 0x5a, bytes);
        rewind(f);
        assert_true(fwrite(file, 1, bytes, f) == bytes && fclose(f) == 0);
        scores_of(m, got);
        assert_memory_equal(got, want, sizeof want);
        kf_model_destroy(&m);
        assert_int_not_equal(kf_model_load(path, NULL, &m, &err), KF_OK);
        remove(path);
        kf__mem_free(NULL, file);
    }
}

/* The same bytes, borrowed and copied, one byte further: constants that are not aligned for their type are copied. */
static void misaligned(void **state) {
    (void)state;
    float want[SCORES], got[SCORES];
    size_t bytes;
    kf_model *m;
    kf_error err = {0};
    void *file = write_program(false, &bytes, want);
    char *moved = malloc(bytes + 1);
    memcpy(moved + 1, file, bytes);
    gb_ok(kf_model_load_memory(moved + 1, bytes, NULL, &m, &err), &err);
    scores_of(m, got);
    assert_memory_equal(got, want, sizeof want);
    kf_model_destroy(&m);
    free(moved);
    kf__mem_free(NULL, file);
}

/* Two steps read one constant: what the first has packed is not given back before the second has. */
static void shared_weights(void **state) {
    (void)state;
    char path[256];
    float want[SCORES], got[SCORES];
    kf_model *m;
    kf_error err = {0};
    void *file;
    size_t bytes;
    kf__program *p = wide_program(false, WIDTH);
    int32_t tail = -1, back = -1;
    for (int32_t i = 0; i < p->n_steps; i++) {
        if (strcmp(p->steps[i].name, "tail") == 0) tail = i;
        if (strcmp(p->steps[i].name, "same") == 0) back = i;
    }
    assert_true(tail >= 0 && back > tail);
    p->steps[back].consts[KF_CONST_W] = p->steps[tail].consts[KF_CONST_W];
    gb_ok(kf__format_write(p, &file, &bytes, &err), &err);
    kf__program_destroy(&p);
    gb_ok(kf_model_load_memory(file, bytes, NULL, &m, &err), &err);
    scores_of(m, want);
    kf_model_destroy(&m);
    close(mkstemp(temporary_name(path, sizeof path, "kitfox-load")));
    gb_ok(kf__file_replace(path, file, bytes, &err), &err);
    gb_ok(kf_model_load(path, NULL, &m, &err), &err);
    scores_of(m, got);
    assert_memory_equal(got, want, sizeof want);
    kf_model_destroy(&m);
    remove(path);
    kf__mem_free(NULL, file);
}

/* The largest bias that keeps channel `o` of a layer of k weights within 32 bits, counted here in the plainest way. */
static int64_t largest_bias(const int8_t *w, int64_t k, int64_t o, int64_t zero, int64_t raw) {
    int64_t sum = 0, mass = 0, top = raw - zero > zero ? raw - zero : zero;
    for (int64_t i = 0; i < k; i++) sum += w[o * k + i], mass += llabs((long long)w[o * k + i]);
    int64_t a = INT32_MAX - mass * top, b = INT32_MAX - mass * raw + zero * sum;
    return a < b ? a : b;
}

static void *counted_alloc(void *user, size_t size, size_t align) {
    ++*(int *)user;
    return aligned_alloc(align, kf__round_up(size, align));
}

static void counted_free(void *user, void *p) {
    (void)user;
    free(p);
}

/* All panels lie in one block, from 4 MiB on in huge pages, unless the caller allocates: both give the same, and as
 * many bytes of weights. */
static void one_block(void **state) {
    (void)state;
    float want[SCORES], got[SCORES];
    int calls = 0;
    const kf_allocator a = {.alloc = counted_alloc, .free = counted_free, .user = &calls};
    struct kf_model *m;
    kf_error err = {0};
    gb_ok(kf__model_create(wide_program(true, 6400), NULL, &m, &err), &err);
    assert_true(m->floats >= (const char *)m->weights &&
                m->floats_end == m->floats); /* no step of this network is f32 */
    assert_ptr_equal(m->steps[0].packed, m->floats_end);
    size_t bytes = kf_model_bytes(m);
    assert_true(bytes > (size_t)WIDTH * 6400 && bytes < (size_t)WIDTH * 6400 * 5 / 2);
    scores_of(m, want);
    kf_model_destroy(&m);
    gb_ok(kf__model_create(wide_program(true, 6400), &a, &m, &err), &err);
    assert_ptr_equal(m->steps[0].packed, m->weights);
    assert_true(calls > 0);
    scores_of(m, got);
    assert_memory_equal(got, want, sizeof want);
    assert_true(kf_model_bytes(m) >= bytes && kf_model_bytes(m) - bytes < 4096);
    kf_model_destroy(&m);
}

static void accumulator_limit(void **state) {
    (void)state;
    kf__program *p = wide_program(true, 0);
    kf_error err = {0};
    int tried = 0;
    for (int32_t i = 0; i < p->n_steps; i++) {
        const kf__step *s = &p->steps[i];
        const kf__ptensor *x = &p->tensors[s->in[0]];
        bool gate = s->op == KF_STEP_SE_GATE, wide = s->op == KF_STEP_CONV && x->c == 32;
        if (!gate && !wide) continue;
        const kf__pconst *w = &p->consts[s->consts[KF_CONST_W]], *b = &p->consts[s->consts[KF_CONST_BIAS]];
        int64_t n = w->shape.dim[0], k = (int64_t)w->bytes / n, o = n - 1, zero = gate ? 0 : x->zero;
        assert_int_equal(w->dtype, KF_I8);
        assert_true(gate ? k == WIDTH : zero > 0 && x->zeros < 0);
        int32_t *bias = &((int32_t *)(uintptr_t)b->data)[o], was = *bias;
        int64_t most = largest_bias(w->data, k, o, zero, gate ? s->pool_qmax : 255);
        *bias = (int32_t)most;
        gb_ok(kf__program_validate(p, &err), &err);
        *bias = (int32_t)most + 1;
        assert_int_equal(kf__program_validate(p, &err), KF_ERR_CORRUPT);
        assert_non_null(strstr(err.text, "overflow"));
        *bias = was;
        int8_t *weight = &((int8_t *)(uintptr_t)w->data)[o * k + k / 2], before = *weight;
        *weight = INT8_MIN;
        assert_int_equal(kf__program_validate(p, &err), KF_ERR_CORRUPT);
        assert_non_null(strstr(err.text, "-128"));
        *weight = before;
        tried++;
    }
    assert_int_equal(tried, 2);
    kf__program_destroy(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(from_memory),       cmocka_unit_test(from_a_file),
                                       cmocka_unit_test(misaligned),        cmocka_unit_test(shared_weights),
                                       cmocka_unit_test(accumulator_limit), cmocka_unit_test(one_block)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
