/* The runtime against logits that PyTorch or ONNX Runtime made: compiled in memory, then from a .kfx file, on one and
 * on two threads, and at every instruction set of this machine. Links libkitfoxc; needs ../shared and says so when it
 * is absent. Owner rule: each test frees what it makes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#include "../temporary.h"
#include "kitfox/compile.h"
#include "npy.h"

static char shared[512];

static int find_shared(void) {
    const char *env = getenv("KITFOX_SHARED"), *src = getenv("KITFOX_SOURCE");
    if (env) snprintf(shared, sizeof shared, "%s", env);
    else snprintf(shared, sizeof shared, "%s/../shared", src ? src : ".");
    char probe[600];
    snprintf(probe, sizeof probe, "%s/models/everyday10.onnx", shared);
    return access(probe, R_OK) == 0;
}

typedef struct golden_case {
    const char *model, *goldens, *shape;
    double tolerance;
} golden_case;

static const golden_case CASES[] = {
    {"everyday10", "everyday10", NULL, 1e-5},
    {"mobilenetv3_large_100", "mobilenetv3_large_100", NULL, 1e-5},
    {"mobilenetv3_small_050", "mobilenetv3_small_050", NULL, 1e-5},
    {"small_050_external", "mobilenetv3_small_050", NULL, 1e-5},
    {"small_050_fp16", "mobilenetv3_small_050", NULL, 3e-3},
    {"tf_mobilenetv3_large_minimal_100", "tf_mobilenetv3_large_minimal_100", NULL, 1e-5},
    {"torchvision_mobilenet_v3_small_op11", "torchvision_mobilenet_v3_small", NULL, 1e-5},
    {"torchvision_mobilenet_v3_small_op17", "torchvision_mobilenet_v3_small", NULL, 1e-5},
    {"ch_ppocr_mobile_v2.0_cls", "ch_ppocr_mobile_v2.0_cls", "1x3x48x192", 1e-5},
};

static double relative_l2(const float *a, const float *b, size_t n) {
    double d = 0, r = 0;
    for (size_t i = 0; i < n; i++) {
        d += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        r += (double)b[i] * (double)b[i];
    }
    return sqrt(d / (r > 0 ? r : 1));
}

static size_t top1(const float *x, size_t n) {
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

static double run_golden(const kf_model *model, kf_session *session, const golden_case *c, int k) {
    char path[700];
    npy in, want;
    kf_error err = {0};
    kf_tensor x, y;
    snprintf(path, sizeof path, "%s/goldens/%s/input_%d.npy", shared, c->goldens, k);
    assert_true(npy_read(path, &in));
    snprintf(path, sizeof path, "%s/goldens/%s/output_%d.npy", shared, c->goldens, k);
    assert_true(npy_read(path, &want));
    assert_int_equal(kf_model_input(model, 0, &x, &err), KF_OK);
    assert_int_equal(kf_model_output(model, 0, &y, &err), KF_OK);
    assert_int_equal(x.bytes, in.count * 4);
    assert_int_equal(y.bytes, want.count * 4);
    x.data = in.data;
    float *got = y.data = calloc(want.count, sizeof *got);
    if (kf_session_run(session, &x, 1, &y, 1, &err) != KF_OK) fail_msg("%s: %s", c->model, err.text);
    assert_int_equal(top1(got, want.count), top1(want.data, want.count));
    double e = relative_l2(got, want.data, want.count);
    free(got);
    npy_free(&in);
    npy_free(&want);
    return e;
}

static double run_all(const kf_model *model, const golden_case *c, int threads) {
    kf_session_options o;
    kf_session *session;
    kf_error err = {0};
    double worst = 0;
    kf_session_options_init(&o);
    o.threads = threads;
    if (kf_session_create(model, &o, &session, &err) != KF_OK) fail_msg("%s: %s", c->model, err.text);
    for (int k = 0; k < 4; k++) {
        double e = run_golden(model, session, c, k);
        worst = e > worst ? e : worst;
    }
    kf_session_destroy(&session);
    assert_null(session);
    return worst;
}

static void check_model(void **state) {
    const golden_case *c = *state;
    kf_error err = {0};
    kf_graph *graph;
    kf_model *model;
    kf_import_options o;
    char path[700], file[256];
    kf_import_options_init(&o);
    o.input_shape = c->shape;
    snprintf(path, sizeof path, "%s/models/%s.onnx", shared, c->model);
    if (kf_graph_import(path, &o, &graph, &err) != KF_OK) fail_msg("%s", err.text);
    double worst = 0;
    for (int i = 0; kf_cpu_level_name(i); i++) {
        if (kf_cpu_limit(kf_cpu_level_name(i), NULL) != KF_OK) continue;
        if (kf_graph_compile(graph, NULL, &model, &err) != KF_OK) fail_msg("%s: %s", c->model, err.text);
        double e = run_all(model, c, 1 + i % 4);
        printf("%-40s %-10s relative L2 %.2e\n", c->model, kf_cpu_level_name(i), e);
        worst = e > worst ? e : worst;
        kf_model_destroy(&model);
    }
    assert_int_equal(kf_cpu_limit(NULL, NULL), KF_OK);
    int fd = mkstemp(temporary_name(file, sizeof file, "kitfox-test"));
    assert_true(fd >= 0);
    close(fd);
    if (kf_graph_save(graph, file, &err) != KF_OK) fail_msg("%s", err.text);
    kf_graph_destroy(&graph);
    if (kf_model_load(file, NULL, &model, &err) != KF_OK) fail_msg("%s", err.text);
    unlink(file);
    double e = run_all(model, c, 2);
    worst = e > worst ? e : worst;
    kf_model_destroy(&model);
    assert_true(worst < c->tolerance);
}

/* Arguments: names of models; none: all. */
int main(int argc, char **argv) {
    if (!find_shared()) {
        puts("SKIP runtime: ../shared is not there");
        return 77;
    }
    struct CMUnitTest tests[sizeof CASES / sizeof CASES[0]];
    size_t n = 0;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        bool wanted = argc == 1;
        for (int k = 1; k < argc; k++) wanted |= strcmp(argv[k], CASES[i].model) == 0;
        if (wanted)
            tests[n++] = (struct CMUnitTest){CASES[i].model, check_model, NULL, NULL, (void *)(uintptr_t)&CASES[i]};
    }
    if (argc > 1 && (int)n != argc - 1) return fprintf(stderr, "there is no such model\n");
    return _cmocka_run_group_tests("runtime", tests, n, NULL, NULL);
}
