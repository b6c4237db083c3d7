/* The golden vector: made, written, read, met by every instruction set; a broken kernel and a broken vector name the
 * right step. Kernels are broken by putting a wrapper into the model's table. Owner rule: each test destroys what it
 * makes. */
#include "program_builder.h"

#include "format/format.h"
#include "kitfox/kitfox.h"
#include "os/file.h"
#include "runtime/golden.h"

/* The program with its vector as a file. */
static void *file_of(kf__program *p, size_t *bytes) {
    kf_model *m = NULL;
    kf_error err = {0};
    void *data = NULL;
    if (kf__program_validate(p, &err) != KF_OK || kf__model_create_at(p, KF_CPU_SCALAR, NULL, &m, &err) != KF_OK)
        fail_msg("%s", err.text);
    if (kf__golden_make(m, &err) != KF_OK || kf__format_write(m->p, &data, bytes, &err) != KF_OK)
        fail_msg("%s", err.text);
    kf_model_destroy(&m);
    return data;
}

/* Through that file, loaded for the level of today. */
static kf_model *with_vector(kf__program *p) {
    kf_model *m;
    kf_error err = {0};
    size_t bytes;
    void *data = file_of(p, &bytes);
    if (kf_model_load_memory(data, bytes, NULL, &m, &err) != KF_OK) fail_msg("%s", err.text);
    kf__mem_free(NULL, data);
    return m;
}

static kf__program *integer_program(void) {
    char path[600];
    const char *root = getenv("KITFOX_SOURCE");
    kf__file map;
    kf__program *p;
    kf_error err = {0};
    snprintf(path, sizeof path, "%s/tests/golden/int8_v1.kfx", root ? root : ".");
    if (kf__file_read(path, 1 << 22, &map, &err) != KF_OK) fail_msg("%s", err.text);
    if (kf__format_read(map.data, map.size, NULL, 0, &p, &err) != KF_OK) fail_msg("%s", err.text);
    kf__file_free(&map);
    return p;
}

static void agrees(void **state) {
    (void)state;
    for (int r = 0; kf_cpu_level_name(r); r++)
        for (int integer = 0; integer < 2; integer++)
            for (int threads = 1; threads < 4; threads += 2) {
                kf_verify_report v = {.size = sizeof v};
                kf_error err = {0};
                if (kf_cpu_limit(kf_cpu_level_name(r), NULL) != KF_OK) continue;
                kf_model *m = with_vector(integer ? integer_program() : pb_small());
                if (kf_model_verify(m, threads, &v, &err) != KF_OK) fail_msg("%s", err.text);
                if (v.first >= 0) fail_msg("%s: step %s differs by %g", kf_cpu_level_name(r), v.name, v.difference);
                assert_int_equal(v.steps, m->p->n_steps);
                assert_int_equal(v.exact, integer ? v.steps : 0);
                assert_true(v.difference < 2e-5);
                kf_model_destroy(&m);
            }
    assert_int_equal(kf_cpu_limit(NULL, NULL), KF_OK);
}

/* Wrappers of the kernels, each spoiling one number of what its kernel gives. */
static kf__dwconv_f32_fn *good_dwconv;
static void bad_dwconv(const kf__dwconv_row *d, const kf__epilogue *e) {
    good_dwconv(d, e);
    d->out[3] += 0.25f;
}

static kf__scale_f32_fn *good_scale;
static void bad_scale(size_t rows, size_t c, const float *x, const float *gate, float *out) {
    good_scale(rows, c, x, gate, out);
    if (rows) out[0] *= 1.5f;
    if (rows) out[1] += 0.125f;
}

static kf__colsum_f32_fn *good_colsum;
static void bad_colsum(size_t rows, size_t c, const float *x, float *sums) {
    good_colsum(rows, c, x, sums);
    sums[0] += 1;
}

static kf__gemm_u8_fn *good_gemm;
static void bad_gemm(size_t m, size_t n, size_t k, size_t runs, size_t ld_run, const uint8_t *a, size_t lda,
                     const void *b, void *c, size_t ldc, const kf__requant *q) {
    good_gemm(m, n, k, runs, ld_run, a, lda, b, c, ldc, q);
    if (m && n) *(uint8_t *)c ^= 1;
}

static void differs_at(kf_model *m, kf__step_op op, bool bytes) {
    kf_verify_report v = {.size = sizeof v};
    kf_error err = {0};
    int32_t want = 0;
    while (want < m->p->n_steps && m->p->steps[want].op != op) want++;
    if (kf_model_verify(m, 1, &v, &err) != KF_OK) fail_msg("%s", err.text);
    assert_int_equal(v.first, want);
    assert_string_equal(v.name, m->p->steps[want].name);
    assert_true(bytes ? v.tolerance == 0 : v.difference > v.tolerance);
    kf_model_destroy(&m);
}

static void broken_kernels(void **state) {
    (void)state;
    kf_model *m = with_vector(pb_small());
    good_dwconv = m->kernels.dwconv_f32, m->kernels.dwconv_f32 = bad_dwconv;
    differs_at(m, KF_STEP_DWCONV, false);
    m = with_vector(pb_small());
    good_scale = m->kernels.scale_f32, m->kernels.scale_f32 = bad_scale;
    differs_at(m, KF_STEP_SCALE, false);
    m = with_vector(pb_small());
    good_colsum = m->kernels.colsum_f32, m->kernels.colsum_f32 = bad_colsum;
    differs_at(m, KF_STEP_SE_GATE, false); /* it pools first */
    m = with_vector(integer_program());
    good_gemm = m->kernels_int.gemm_u8, m->kernels_int.gemm_u8 = bad_gemm;
    differs_at(m, KF_STEP_CONV, true);
}

/* Each entry of the vector is looked at. */
static void broken_vector(void **state) {
    (void)state;
    for (int integer = 0; integer < 2; integer++) {
        kf_model *m = with_vector(integer ? integer_program() : pb_small());
        kf__golden *g = &m->p->meta.golden;
        kf_verify_report v = {.size = sizeof v};
        for (int32_t i = 0; i < g->n_steps; i++) {
            kf__golden_step before = g->steps[i];
            g->steps[i].hash[i % 16] ^= 4;
            g->steps[i].dot += before.norm * 1e-3;
            assert_int_equal(kf_model_verify(m, 1, &v, NULL), KF_OK);
            assert_int_equal(v.first, i);
            g->steps[i] = before;
        }
        g->scores[g->n_scores - 1] += 1;
        assert_int_equal(kf_model_verify(m, 1, &v, NULL), KF_OK);
        assert_true(v.first >= 0 && m->p->steps[v.first].out == m->p->outputs[0].tensor);
        kf_model_destroy(&m);
    }
}

/* Every fact that version 2 has words for and version 1 has not. */
static void say_more(kf__program *p) {
    p->inputs[0].takes = KF_TAKES_NORMALIZED;
    p->outputs[0].scores = KF_SCORES_LOGITS;
    p->meta.origin = KF_ORIGIN_RECOGNIZED;
    p->meta.preprocess_source = "small.json";
    p->meta.range_known = 1;
    p->meta.preprocess.pillow = 1;
}

/* Loaded, and every step as it was, on every instruction set. */
static void still_runs(const char *path) {
    kf_error err = {0};
    kf_model *m;
    kf_verify_report v = {.size = sizeof v};
    for (int r = 0; kf_cpu_level_name(r); r++) {
        if (kf_cpu_limit(kf_cpu_level_name(r), NULL) != KF_OK) continue;
        if (kf_model_load(path, NULL, &m, &err) != KF_OK || kf_model_verify(m, 2, &v, &err) != KF_OK)
            fail_msg("%s: %s", path, err.text);
        assert_int_equal(v.first, -1);
        kf_model_destroy(&m);
    }
    assert_int_equal(kf_cpu_limit(NULL, NULL), KF_OK);
}

/* Every later reader and kernel must accept the model files of today, of every version that there has been.
 * KITFOX_WRITE_GOLDEN=1 writes those anew that have to change. */
static void old_file(int version, bool integer) {
    char path[600], said[32];
    const char *root = getenv("KITFOX_SOURCE");
    size_t bytes;
    kf_error err = {0};
    kf__file map;
    kf__program *p = integer ? integer_program() : pb_small();
    if (version > 1) say_more(p);
    snprintf(path, sizeof path, "%s/tests/golden/verified_%s_v%d.kfx", root ? root : ".", integer ? "int8" : "small",
             version);
    snprintf(said, sizeof said, "version\\\":%d,", version);
    void *now = file_of(p, &bytes);
    if (getenv("KITFOX_WRITE_GOLDEN")) assert_int_equal(kf__file_replace(path, now, bytes, &err), KF_OK);
    if (kf__file_read(path, 1 << 22, &map, &err) != KF_OK) fail_msg("%s", err.text);
    assert_int_equal(map.size, bytes);
    assert_memory_equal(map.data, now, bytes); /* on every machine */
    assert_non_null(memmem(map.data, map.size, said, strlen(said)));
    kf__file_free(&map);
    kf__mem_free(NULL, now);
    still_runs(path);
}

static void old_files(void **state) {
    (void)state;
    for (int version = 1; version <= KF_FORMAT_VERSION; version++)
        for (int integer = 0; integer < 2; integer++) old_file(version, integer);
}

static void without_vector(void **state) {
    (void)state;
    kf_model *m;
    kf_verify_report v = {.size = sizeof v};
    kf_error err = {0};
    assert_int_equal(kf__model_create(pb_small(), NULL, &m, &err), KF_OK);
    assert_int_equal(kf_model_verify(m, 0, &v, &err), KF_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "no golden vector"));
    assert_int_equal(kf_model_verify(NULL, 0, &v, &err), KF_ERR_ARGUMENT);
    kf_model_destroy(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(agrees), cmocka_unit_test(broken_kernels),
                                       cmocka_unit_test(broken_vector), cmocka_unit_test(old_files),
                                       cmocka_unit_test(without_vector)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
