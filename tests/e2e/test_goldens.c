/* Every ONNX file beside the project against logits that PyTorch or ONNX Runtime made: as imported, simplified, and
 * fused. Links libkitfoxc; needs ../shared and says so when it is absent. Owner rule: each test frees what it makes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "api/toolchain/graph_api.h"
#include "npy.h"

static char shared[512];

static int find_shared(void) {
    const char *env = getenv("KITFOX_SHARED"), *src = getenv("KITFOX_SOURCE");
    if (env) snprintf(shared, sizeof shared, "%s", env);
    else snprintf(shared, sizeof shared, "%s/../shared", src ? src : ".");
    char probe[600];
    snprintf(probe, sizeof probe, "%s/models/everyday10.onnx", shared);
    FILE *f = fopen(probe, "rb");
    if (f) fclose(f);
    return f != NULL;
}

typedef struct golden_case {
    const char *model, *goldens, *shape;
    double tolerance;
    size_t max_nodes; /* after SIMPLIFY: what onnxsim and onnxslim reach (the smaller) */
    int64_t
        parameters; /* as timm counts (small_100 with 1000 classes: 2542856 = 1528106 + 990 * 1025); 0: not in timm */
} golden_case;

static const golden_case CASES[] = {
    {"everyday10", "everyday10", NULL, 1e-5, 141, 1528106},
    {"mobilenetv3_large_100", "mobilenetv3_large_100", NULL, 1e-5, 161, 5483032},
    {"mobilenetv3_small_050", "mobilenetv3_small_050", NULL, 1e-5, 142, 1593224},
    {"small_050_external", "mobilenetv3_small_050", NULL, 1e-5, 142, 1593224},
    {"small_050_fp16", "mobilenetv3_small_050", NULL, 3e-3, 142, 1593224},
    {"tf_mobilenetv3_large_minimal_100", "tf_mobilenetv3_large_minimal_100", NULL, 1e-5, 92, 3924288},
    {"torchvision_mobilenet_v3_small_op11", "torchvision_mobilenet_v3_small", NULL, 1e-5, 141, 1528106},
    {"torchvision_mobilenet_v3_small_op17", "torchvision_mobilenet_v3_small", NULL, 1e-5, 122, 1528106},
    {"ch_ppocr_mobile_v2.0_cls", "ch_ppocr_mobile_v2.0_cls", "1x3x48x192", 1e-5, 179, 0},
};

static size_t top1(const float *x, size_t n) {
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

static double relative_l2(const float *a, const float *b, size_t n) {
    double d = 0, r = 0;
    for (size_t i = 0; i < n; i++) {
        d += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        r += (double)b[i] * (double)b[i];
    }
    return sqrt(d / (r > 0 ? r : 1));
}

/** Error of golden `k`; checks top-1. */
static double run_golden(kf_graph *graph, const golden_case *c, int k) {
    char path[700];
    npy in, want;
    kf_error err = {0};
    snprintf(path, sizeof path, "%s/goldens/%s/input_%d.npy", shared, c->goldens, k);
    assert_true(npy_read(path, &in));
    snprintf(path, sizeof path, "%s/goldens/%s/output_%d.npy", shared, c->goldens, k);
    assert_true(npy_read(path, &want));
    float *got = calloc(want.count, sizeof *got);
    kf_tensor x = {.dtype = KF_F32, .rank = in.rank, .data = in.data, .bytes = in.count * 4};
    kf_tensor y = {.data = got, .bytes = want.count * 4};
    for (int i = 0; i < in.rank; i++) x.shape[i] = in.shape[i];
    if (kf_graph_run_reference(graph, &x, 1, &y, 1, &err) != KF_OK) fail_msg("%s: %s", c->model, err.text);
    assert_int_equal(y.bytes, want.count * 4);
    assert_int_equal(top1(got, want.count), top1(want.data, want.count));
    double e = relative_l2(got, want.data, want.count);
    free(got);
    npy_free(&in);
    npy_free(&want);
    return e;
}

/** Everything that lowering takes. */
static int is_final(kf__op op) {
    static const kf__op COMPILED[] = {KF_OP_CONV,     KF_OP_FC,       KF_OP_ACT,    KF_OP_SE_GATE,
                                      KF_OP_SCALE,    KF_OP_ADD,      KF_OP_MUL,    KF_OP_GLOBAL_AVG_POOL,
                                      KF_OP_AVG_POOL, KF_OP_MAX_POOL, KF_OP_CONCAT, KF_OP_PAD,
                                      KF_OP_SOFTMAX,  KF_OP_FLATTEN,  KF_OP_RESHAPE};
    for (size_t i = 0; i < KF_COUNT(COMPILED); i++)
        if (COMPILED[i] == op) return 1;
    return 0;
}

static void check_model(void **state) {
    const golden_case *c = *state;
    kf_error err = {0};
    kf_graph *graph = NULL;
    kf_import_options o;
    char path[700];
    double worst = 0, e;
    kf_import_options_init(&o);
    o.input_shape = c->shape;
    snprintf(path, sizeof path, "%s/models/%s.onnx", shared, c->model);
    if (kf_graph_import(path, &o, &graph, &err) != KF_OK) fail_msg("%s", err.text);
    size_t before = graph->g->n_nodes;
    e = run_golden(graph, c, 0);
    worst = e > worst ? e : worst;
    if (kf_graph_optimize(graph, KF_OPTIMIZE_SIMPLIFY, &err) != KF_OK) fail_msg("%s", err.text);
    size_t simple = graph->g->n_nodes;
    e = run_golden(graph, c, 1);
    worst = e > worst ? e : worst;
    if (kf_graph_optimize(graph, KF_OPTIMIZE_FUSE, &err) != KF_OK) fail_msg("%s", err.text);
    for (int k = 0; k < 4; k++) {
        e = run_golden(graph, c, k);
        worst = e > worst ? e : worst;
    }
    printf("%-40s nodes %zu -> %zu -> %zu, relative L2 %.2e\n", c->model, before, simple, graph->g->n_nodes, worst);
    if (getenv("KITFOX_DUMP")) {
        kf__strbuf text = {0};
        kf__graph_dump(graph->g, &text);
        printf("%s\n", text.data);
        kf__strbuf_free(&text);
    }
    for (size_t i = 0; i < graph->g->n_nodes; i++)
        if (!is_final(graph->g->nodes[i].op))
            fail_msg("%s stays %s", graph->g->nodes[i].name, kf__op_name(graph->g->nodes[i].op));
    assert_true(simple <= c->max_nodes);
    int64_t parameters;
    assert_int_equal(kf__graph_count_architecture(graph->g, &parameters, &err), KF_OK);
    if (c->parameters) assert_int_equal(parameters, c->parameters);
    assert_true(worst < c->tolerance);
    kf_graph_destroy(&graph);
    assert_null(graph);
}

int main(void) {
    if (!find_shared()) {
        puts("SKIP goldens: ../shared is not there");
        return 77;
    }
    struct CMUnitTest tests[KF_COUNT(CASES)];
    for (size_t i = 0; i < KF_COUNT(CASES); i++)
        tests[i] = (struct CMUnitTest){CASES[i].model, check_model, NULL, NULL, (void *)(uintptr_t)&CASES[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
