/* Quantization by a configuration, from C: all outputs are written or none, and a callback that stops it gets
 * CANCELLED.
 * Owner rule: each test releases what it made and empties the folder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kitfox/lab.h"

static char top[256];

static const char *at(const char *name) {
    static char path[4][512];
    static int turn;
    char *to = path[turn++ % 4];
    snprintf(to, sizeof path[0], "%s/%s", top, name);
    return to;
}

static void put(const char *name, const char *text) {
    FILE *f = fopen(at(name), "wb");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int count(const char *name) {
    int n = 0;
    DIR *d = opendir(at(name));
    if (!d) return -1;
    for (struct dirent *e; (e = readdir(d)) != NULL;) n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static int setup(void **state) {
    static const char YAML[] = "model_parameters:\n  onnx_model: m.onnx\n  working_dir: out\n"
                               "  march: bayes-e\n  set_node_data_type: '%s:int16'\n"
                               "input_parameters:\n  input_type_rt: nv12\n  input_type_train: rgb\n"
                               "  input_layout_train: NCHW\n  norm_type: data_scale\n  scale_value: 0.0078125\n"
                               "calibration_parameters:\n  calibration_type: skip\n"
                               "compiler_parameters:\n  optimize_level: O3\n";
    (void)state;
    const char *root = getenv("KITFOX_SOURCE"), *tmp = getenv("TMPDIR");
    char text[2048], model[512];
    void *data;
    size_t bytes;
    kf_error err = {0};
    snprintf(top, sizeof top, "%.200s/kitfox-rdk-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(top)) return 1;
    snprintf(model, sizeof model, "%.400s/tests/fuzz/corpus/onnx/se.onnx", root ? root : ".");
    kf_status st = kf_file_read(model, 1 << 24, &data, &bytes, &err);
    if (st == KF_OK) st = kf_file_write(at("m.onnx"), data, bytes, 0, &err);
    if (st != KF_OK) fail_msg("%s", err.text);
    free(data);
    snprintf(text, sizeof text, YAML, "Gemm_9");
    put("c.yaml", text);
    snprintf(text, sizeof text, YAML, "Nobody");
    put("unknown.yaml", text);
    return 0;
}

static void empty(const char *name) {
    DIR *d = opendir(at(name));
    for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
        char path[600];
        snprintf(path, sizeof path, "%s/%s", at(name), e->d_name);
        unlink(path);
    }
    if (d) closedir(d);
    rmdir(at(name));
}

static int teardown(void **state) {
    (void)state;
    empty("out");
    empty(".");
    return rmdir(top);
}

/* What the callbacks saw, and where they stop. */
typedef struct seen {
    int stages, notices, stop_at, stop_progress, calls;
    size_t samples;
    const kf_samples *at;
} seen;

static int progress(void *user, size_t done, size_t total) {
    seen *s = user;
    if (done > total) fail_msg("%zu of %zu", done, total);
    s->calls++;
    return s->stop_progress;
}

static kf_status stage(void *user, kf_rdk_stage at_stage, kf_graph *g, const kf_samples *samples, kf_error *err) {
    seen *s = user;
    kf_graph_info info = {.size = sizeof info};
    kf_status st = kf_graph_get_info(g, &info, err);
    if (st != KF_OK) return st;
    assert_int_equal(at_stage, s->stages);
    assert_int_equal(info.quantized, at_stage != KF_RDK_READY);
    s->stages++;
    s->samples = samples->n;
    s->at = samples;
    if ((int)at_stage == s->stop_at) return kf_error_set(err, KF_ERR_CANCELLED, "enough");
    return KF_OK;
}

static void notice(void *user, const char *text) {
    assert_null(strchr(text, '\n'));
    ((seen *)user)->notices++;
}

static kf_status quantize(const char *yaml, seen *s, kf_rdk_result *r, kf_error *err) {
    kf_rdk_config *c = NULL;
    kf_rdk_options o;
    kf_quantize_options q;
    kf_rdk_options_init(&o);
    kf_quantize_options_init(&q);
    q.threads = 1;
    o.quantize = &q, o.progress = progress, o.stage = stage, o.notice = notice, o.user = s;
    kf_status st = kf_rdk_load(at(yaml), NULL, NULL, &c, err);
    if (st != KF_OK) fail_msg("%s", err->text);
    st = kf_rdk_quantize(c, &o, r, err);
    kf_rdk_free(&c);
    return st;
}

static void test_outputs(void **state) {
    seen s = {.stop_at = -1};
    kf_rdk_result r = {.size = sizeof r};
    kf_error err = {0};
    kf_model *m = NULL;
    (void)state;
    if (quantize("c.yaml", &s, &r, &err) != KF_OK) fail_msg("%s", err.text);
    assert_int_equal(s.stages, 3);
    assert_true(s.calls > 0 && s.samples == 8 && r.samples.n == 8 && s.at == &r.samples);
    assert_string_equal(r.path, at("out/model.kfx"));
    assert_int_equal(count("out"), 6);
    assert_true(r.tables > r.log && strstr(r.tables, "End Model Convert\n") != NULL);
    assert_int_equal(kf_model_load(r.path, NULL, &m, &err), KF_OK);
    kf_model_destroy(&m);
    char *table = NULL, *search = NULL;
    void *log;
    size_t bytes;
    assert_int_equal(kf_quantized_table(r.graph, &table, &err), KF_OK);
    assert_int_equal(kf_search_table(r.graph, 1, &search, &err), KF_OK);
    assert_int_equal(kf_file_read(at("out/model_quantize.log"), 1 << 20, &log, &bytes, &err), KF_OK);
    assert_non_null(strstr(table, "Gemm_9"));
    assert_string_equal(search, "");
    assert_true(bytes == strlen(r.log) && memcmp(log, r.log, bytes) == 0);
    assert_non_null(strstr(r.tables, "Gemm_9"));
    assert_non_null(strstr(log, "march has no meaning on a CPU"));
    free(log);
    free(table);
    free(search);
    kf_rdk_result_free(&r);
    assert_null(r.graph);
    empty("out");
}

static void expect_nothing(const char *yaml, seen s, kf_status want, const char *words, int stages) {
    kf_rdk_result r = {.size = sizeof r};
    kf_error err = {0};
    kf_status st = quantize(yaml, &s, &r, &err);
    if (st != want || !strstr(err.text, words)) fail_msg("%s: %s", kf_status_name(st), err.text);
    assert_null(r.graph);
    assert_null(r.path);
    assert_int_equal(s.stages, stages);
}

static void test_stops(void **state) {
    (void)state;
    for (int old = 0; old < 2; old++) {
        int before = old ? 1 : -1;
        if (old) {
            mkdir(at("out"), 0777);
            put("out/model.kfx", "old");
        }
        expect_nothing("c.yaml", (seen){.stop_at = -1, .stop_progress = 1}, KF_ERR_CANCELLED, "nothing was written", 1);
        assert_int_equal(count("out"), before);
        for (int i = 0; i < 3; i++) {
            expect_nothing("c.yaml", (seen){.stop_at = i}, KF_ERR_CANCELLED, "enough", i + 1);
            assert_int_equal(count("out"), before);
        }
        expect_nothing("unknown.yaml", (seen){.stop_at = -1}, KF_ERR_ARGUMENT, "unknown.yaml:5:23: int16 node 'Nobody'",
                       0);
        assert_int_equal(count("out"), before);
    }
    void *data;
    size_t bytes;
    assert_int_equal(kf_file_read(at("out/model.kfx"), 100, &data, &bytes, NULL), KF_OK);
    assert_string_equal(data, "old");
    free(data);
    empty("out");
}

static void test_model_is_output(void **state) {
    kf_rdk_config *c = NULL;
    kf_rdk_options o;
    kf_rdk_result r = {.size = sizeof r};
    kf_error err = {0};
    const char *own;
    (void)state;
    kf_rdk_options_init(&o);
    mkdir(at("out"), 0777);
    put("out/model_quantize.log", "mine");
    own = at("out/model_quantize.log");
    o.inputs = &own, o.n_inputs = 1;
    assert_int_equal(kf_rdk_load(at("c.yaml"), NULL, NULL, &c, &err), KF_OK);
    assert_int_equal(kf_rdk_quantize(c, &o, &r, &err), KF_ERR_ARGUMENT);
    assert_non_null(strstr(err.text, "that is the input"));
    o.size = 0;
    assert_int_equal(kf_rdk_quantize(c, &o, &r, &err), KF_ERR_ARGUMENT);
    assert_non_null(strstr(err.text, "kf_rdk_options"));
    kf_rdk_free(&c);
    empty("out");
}

static int second_stops(void *user, size_t done, size_t total) {
    ++*(int *)user;
    return done == 2 && total == 3;
}

static void test_compare(void **state) {
    int calls = 0;
    kf_graph *a = NULL, *b = NULL, *c = NULL;
    kf_error err = {0};
    double worst = 1;
    kf_node_info first = {.size = sizeof first};
    (void)state;
    assert_int_equal(kf_graph_import(at("m.onnx"), NULL, &a, &err), KF_OK);
    assert_int_equal(kf_graph_import(at("m.onnx"), NULL, &b, &err), KF_OK);
    assert_int_equal(kf_graph_import(at("m.onnx"), NULL, &c, &err), KF_OK);
    assert_int_equal(kf_graph_optimize(b, KF_OPTIMIZE_FUSE, &err), KF_OK);
    assert_int_equal(kf_graph_compare(a, b, 2, NULL, NULL, &worst, &err), KF_OK);
    assert_true(worst < KF_MAX_DIFFERENCE);
    assert_int_equal(kf_graph_compare(a, b, 3, second_stops, &calls, &worst, &err), KF_ERR_CANCELLED);
    assert_int_equal(calls, 2);
    assert_int_equal(kf_graph_node(c, 0, &first, &err), KF_OK);
    assert_int_equal(kf_graph_set_outputs(c, &first.name, 1, &err), KF_OK); /* without what follows it */
    kf_status st = kf_graph_compare(a, c, 1, NULL, NULL, &worst, &err);
    assert_true(st == KF_ERR_INTERNAL && strstr(err.text, "please report"));
    kf_graph_destroy(&a);
    kf_graph_destroy(&b);
    kf_graph_destroy(&c);
}

/* Errors about a sample call it by its file. */
static void test_sample_name(void **state) {
    float one = 1;
    const kf_tensor sample = {
        .name = "some/file.npy", .dtype = KF_F32, .rank = 1, .shape = {1}, .data = &one, .bytes = sizeof one};
    kf_graph *g = NULL;
    kf_error err = {0};
    (void)state;
    assert_int_equal(kf_graph_import(at("m.onnx"), NULL, &g, &err), KF_OK);
    assert_int_equal(kf_graph_quantize(g, &sample, 1, NULL, &err), KF_ERR_SHAPE);
    assert_non_null(strstr(err.text, "some/file.npy"));
    kf_graph_destroy(&g);
}

static void test_frames(void **state) {
    unsigned char frame[4 * 2 * 3 / 2];
    kf_rdk_config *c = NULL;
    kf_rdk_luma l = {.size = sizeof l};
    kf_error err = {0};
    (void)state;
    assert_int_equal(kf_rdk_load(at("c.yaml"), NULL, NULL, &c, &err), KF_OK);
    for (size_t i = 0; i < sizeof frame; i++) frame[i] = (unsigned char)(16 + 20 * i);
    assert_int_equal(kf_file_write(at("f.nv12"), frame, sizeof frame, 0, &err), KF_OK);
    const char *path = at("f.nv12");
    assert_int_equal(kf_rdk_check_frames(c, &path, 1, 4, 2, &l, &err), KF_OK);
    assert_true(l.frames == 1 && l.lo == 16 && l.hi == 156 && l.pixels == 8 && l.outside == 0);
    assert_non_null(strstr(l.complaint, "like limited range"));
    frame[3] = 3;
    assert_int_equal(kf_file_write(path, frame, sizeof frame, 0, &err), KF_OK);
    assert_int_equal(kf_rdk_check_frames(c, &path, 1, 4, 2, &l, &err), KF_OK);
    assert_true(!l.complaint && l.outside == 1);
    assert_int_equal(kf_rdk_check_frames(c, &path, 1, 4, 4, &l, &err), KF_ERR_FORMAT);
    assert_int_equal(kf_rdk_check_frames(c, &path, 1, 3, 2, &l, &err), KF_ERR_ARGUMENT);
    kf_rdk_free(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_outputs),         cmocka_unit_test(test_stops),
                                       cmocka_unit_test(test_model_is_output), cmocka_unit_test(test_compare),
                                       cmocka_unit_test(test_frames),          cmocka_unit_test(test_sample_name)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
