/* The family's tables against timm and torchvision: learned parameters for 1000 classes, the paper's rounding rule,
 * refusals. Links libkitfoxc. Owner rule: each test destroys its graph. */
#include "graph_builder.h"

#include <stdlib.h>

#include "kitfox/compile.h"
#include "zoo/zoo.h"

/* sum(p.numel() for p in model.parameters()) of timm 1.0.31 and torchvision 0.29.2. */
static const struct {
    const char *name;
    int64_t parameters;
} TRUTH[] = {
    {"mobilenetv3_large_075", 3993528},
    {"mobilenetv3_large_100", 5483032},
    {"mobilenetv3_large_150d", 14622320},
    {"mobilenetv3_small_050", 1593224},
    {"mobilenetv3_small_075", 2041872},
    {"mobilenetv3_small_100", 2542856},
    {"mobilenetv3_rw", 5479918},
    {"tf_mobilenetv3_large_075", 3993528},
    {"tf_mobilenetv3_large_100", 5483032},
    {"tf_mobilenetv3_large_minimal_100", 3924288},
    {"tf_mobilenetv3_small_075", 2041872},
    {"tf_mobilenetv3_small_100", 2542856},
    {"tf_mobilenetv3_small_minimal_100", 2044736},
    {"mobilenet_v3_large", 5483032},
    {"mobilenet_v3_small", 2542856},
};

static void test_parameters(void **state) {
    (void)state;
    kf_error err = {0};
    kf_zoo_entry e = {.size = sizeof e};
    int32_t n = 0;
    for (; kf_zoo_get(n, &e, &err) == KF_OK; n++) {
        size_t k = 0;
        while (k < KF_COUNT(TRUTH) && strcmp(TRUTH[k].name, e.name) != 0) k++;
        assert_true(k < KF_COUNT(TRUTH));
        assert_int_equal(e.parameters, TRUTH[k].parameters);
        kf_preprocess p;
        gb_ok(kf_preprocess_by_name(e.name, &p, &err), &err); /* every variant has its preprocessing */
    }
    assert_int_equal(n, KF_COUNT(TRUTH));
    assert_int_equal(err.status, KF_ERR_ARGUMENT);
}

static void test_rounding(void **state) {
    (void)state;
    assert_int_equal(kf__zoo_round_channels(12), 16); /* halves go up */
    assert_int_equal(kf__zoo_round_channels(18), 24); /* 16 would be more than 10 % below */
    assert_int_equal(kf__zoo_round_channels(60), 64);
    assert_int_equal(kf__zoo_round_channels(3), 8);
}

static kf_status refuse(void *user, const char *key, const kf__shape *shape, const float **data, kf_error *err) {
    (void)shape, (void)data;
    if (++*(int *)user == 100) KF_FAIL(err, KF_ERR_FORMAT, "%s: refused", key);
    return KF_OK; /* zeros */
}

static void test_refusals(void **state) {
    (void)state;
    kf_error err = {0};
    kf__graph *g = NULL;
    int calls = 0;
    kf__zoo_request r = {.arch = kf__zoo_find("mobilenet_v3_small"),
                         .classes = 10,
                         .height = 224,
                         .width = 224,
                         .weight = refuse,
                         .user = &calls};
    assert_int_equal(kf__zoo_build(&r, &g, &err), KF_ERR_FORMAT); /* an error half way leaves nothing behind */
    assert_null(g);
    assert_non_null(strstr(err.text, "features."));
    r.classes = 0;
    assert_int_equal(kf__zoo_build(&r, &g, &err), KF_ERR_ARGUMENT);
    assert_null(kf__zoo_find("mobilenet_v9"));
}

static void test_preprocess(void **state) {
    (void)state;
    kf_error err = {0};
    char path[1024];
    kf_graph *g = NULL;
    kf_graph_info info = {.size = sizeof info};
    const char *root = getenv("KITFOX_SOURCE");
    snprintf(path, sizeof path, "%s/data/everyday10.safetensors", root ? root : ".");
    gb_ok(kf_graph_import(path, NULL, &g, &err), &err);
    kf_preprocess p = {.crop_pct = 0.5, .filter = KF_FILTER_NEAREST, .std = {1, 1, 1}, .width = 7}, bad;
    gb_ok(kf_graph_set_preprocess(g, &p, &err), &err);
    for (int i = 0; i < 8; i++) {
        bad = p;
        if (i == 0) bad.crop_pct = 0;
        if (i == 1) bad.crop_pct = NAN;
        if (i == 2) bad.std[2] = 0;
        if (i == 3) bad.mean[1] = INFINITY;
        if (i == 4) bad.filter = (kf_filter)3;
        if (i == 5) bad.crop = (kf_crop)4;
        if (i == 6) bad.color = (kf_color)3;
        if (i == 7) bad.color = KF_COLOR_GRAY; /* the network takes three channels */
        assert_int_equal(kf_graph_set_preprocess(g, &bad, &err), KF_ERR_ARGUMENT);
    }
    gb_ok(kf_graph_get_info(g, &info, &err), &err); /* the last good one stays, the size is the network's */
    assert_true(info.preprocess.valid && info.preprocess.width == 64 && info.preprocess.height == 64);
    assert_true(info.preprocess.crop_pct == 0.5 && info.preprocess.filter == KF_FILTER_NEAREST);
    kf_graph_destroy(&g);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_parameters), cmocka_unit_test(test_rounding),
                                       cmocka_unit_test(test_refusals), cmocka_unit_test(test_preprocess)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
