/* The quantization YAML: the zoo's own file unchanged, its dialect, and the exact text and place of every refusal.
 * The zoo's file is read from ../shared; that test is skipped without it.
 * Owner rule: each test frees its configuration. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "rdk/rdk.h"

/* A whole file with one place per group for extra or changed lines. */
static const char *yaml(const char *model, const char *input, const char *calibration, const char *compiler) {
    static char text[8192];
    snprintf(text, sizeof text,
             "model_parameters:\n%sinput_parameters:\n%scalibration_parameters:\n%scompiler_parameters:\n%s", model,
             input, calibration, compiler);
    return text;
}

#define M "  onnx_model: 'a.onnx'\n"
#define I "  input_type_rt: 'nv12'\n  input_type_train: rgb\n  input_layout_train: NCHW\n"
#define C "  cal_data_dir: './cal_f32'\n"
#define X "  optimize_level: 'O3'\n"

static const struct {
    const char *model, *input, *calibration, *compiler, *error;
} BAD[] = {
    {M "  workingdir: x\n", I, C, X,
     "d/c.yaml:3:3: unknown key 'workingdir' in model_parameters; the nearest is working_dir of model_parameters; "
     "correct or remove it"},
    {M, I "  jobs: 4\n", C, X,
     "d/c.yaml:7:3: unknown key 'jobs' in input_parameters; the nearest is jobs of compiler_parameters; correct or "
     "remove it"},
    {M M, I, C, X, "d/c.yaml:3:3: key 'onnx_model' is given twice; the first is on line 2; remove one"},
    {"  march: bayes-e\n", I, C, X, "d/c.yaml:1:1: model_parameters has no onnx_model; it is needed; add the line"},
    {M "  march: bayes_e\n", I, C, X,
     "d/c.yaml:3:10: march 'bayes_e'; it is none of bernoulli2|bayes|bayes-e; write one of them"},
    {M "  layer_out_dump: 'False'\n", I, C, X,
     "d/c.yaml:3:19: layer_out_dump 'False'; it must be True or False; write it without quotes"},
    {M "  working_dir: [a, b]\n", I, C, X,
     "d/c.yaml:3:16: working_dir is a list; it must be text; check brackets and indentation"},
    {M "  output_model_file_prefix: a/b\n", I, C, X,
     "d/c.yaml:3:29: output_model_file_prefix 'a/b'; a prefix has no folder; set working_dir"},
    {M "  caffe_model: m\n", I, C, X, "d/c.yaml:3:16: a Caffe model; only ONNX is read; convert it and set onnx_model"},
    {M, I "  mean_value: 1 2 3\n", C, X,
     "d/c.yaml:7:15: mean_value is given beside norm_type ''; it would be dropped; set norm_type to data_mean or "
     "data_mean_and_scale, or remove it"},
    {M, I "  norm_type: data_scale\n", C, X,
     "d/c.yaml:7:14: scale_value is missing beside norm_type 'data_scale'; the scale is needed; add scale_value"},
    {M, I "  norm_type: data_mean\n  mean_value: 1 x 3\n", C, X,
     "d/c.yaml:8:15: mean_value '1 x 3'; it must be numbers separated by spaces; write 123.675 116.28 103.53, or None "
     "for an input without"},
    {M, "  input_type_rt: gray\n  input_type_train: rgb\n  input_layout_train: NCHW\n", C, X,
     "d/c.yaml:4:18: input_type_rt 'gray' with input_type_train 'rgb'; there is no such conversion; use one of "
     "nv12|yuv444|rgb|bgr"},
    {M,
     "  input_type_rt: rgb\n  input_type_train: rgb\n  input_layout_train: NCHW\n  input_space_and_range: "
     "bt601_video\n",
     C, X,
     "d/c.yaml:7:26: input_space_and_range 'bt601_video'; it needs input_type_rt nv12 and input_type_train rgb or bgr; "
     "use regular"},
    {M, I "  input_batch: 0\n", C, X, "d/c.yaml:7:16: input_batch 0; it lies in 1..4096; write 1"},
    {M, I, "  calibration_type: kl\n", X,
     "d/c.yaml:7:1: calibration_parameters has no cal_data_dir; it is needed; add the line"},
    {M, I, C "  calibration_type: max\n  max_percentile: 99.9\n", X,
     "d/c.yaml:10:19: max_percentile 99.9; it lies in 0.5..1; usual are 0.9999 and 0.99995"},
    {M, I, C "  calibration_type: kl\n  max_percentile: 0.999\n", X,
     "d/c.yaml:10:19: max_percentile with calibration_type 'kl'; it is only used by max; set calibration_type: max or "
     "remove it"},
    {M, I, C, "  core_num: two\n",
     "d/c.yaml:10:13: core_num 'two'; it must be a whole number; write it without quotes"},
    {M, I "  norm_type: data_mean\n  mean_value: 010\n", C, X,
     "d/c.yaml:8:15: mean_value '010'; YAML reads this as 8; write a decimal number"},
    {M, I "  norm_type: data_mean\n  mean_value: 1:30\n", C, X,
     "d/c.yaml:8:15: mean_value '1:30'; it must be numbers separated by spaces; write 123.675 116.28 103.53, or None "
     "for an input without"},
    {M, I, C "  calibration_type: max\n  max_percentile: .nan\n", X,
     "d/c.yaml:10:19: max_percentile .nan; it lies in 0.5..1; usual are 0.9999 and 0.99995"},
    {M "  log_level: &a b\n", I, C, X, "d/c.yaml:3:14: an anchor; it is not read here; write the plain value"},
};

static kf_status parse(const char *text, kf_rdk_config **c, kf_error *err) {
    return kf__rdk_load_memory("d/c.yaml", text, strlen(text), NULL, NULL, c, err);
}

static void test_refusals(void **state) {
    (void)state;
    for (size_t i = 0; i < KF_COUNT(BAD); i++) {
        kf_rdk_config *c = NULL;
        kf_error err = {0};
        assert_int_not_equal(parse(yaml(BAD[i].model, BAD[i].input, BAD[i].calibration, BAD[i].compiler), &c, &err),
                             KF_OK);
        assert_string_equal(err.text, BAD[i].error);
        assert_null(c);
    }
}

static void test_broken_yaml(void **state) {
    (void)state;
    static const char *const TEXTS[] = {"",
                                        "# only a comment\n",
                                        "a: [1, 2\n",
                                        "a: 'x\n",
                                        "a: b: c\n",
                                        "- 1\n- 2\n",
                                        "model_parameters: 3\n",
                                        "model: {}\n",
                                        "\xff\xfe",
                                        "%\xf9\x41G ! x\n---\n",
                                        "\xef\xbb\xbf%Y\n",
                                        "a: \xc0\xaf\n",
                                        "a: \xed\xa0\x80\n",
                                        "a: \xf4\x90\x80\x80\n",
                                        "a: \xe2\x82"};
    for (size_t i = 0; i < KF_COUNT(TEXTS); i++) {
        kf_rdk_config *c = NULL;
        kf_error err = {0};
        assert_int_not_equal(parse(TEXTS[i], &c, &err), KF_OK);
        assert_true(strncmp(err.text, "d/c.yaml:", 9) == 0);
    }
}

static void test_dialect(void **state) {
    (void)state;
    kf_rdk_config *c = NULL;
    kf_error err = {0};
    const char *text = yaml(
        M "  march: \"bayes-e\"   # comment\n  node_info: {\n    \"/a\": {'ON': 'BPU', 'InputType': 'int16',},\n  }\n",
        I "  input_shape: ''\n  norm_type: ' data_scale '\n  scale_value: 0.003921568627451\n",
        C "  per_channel: true\n  calibration_type: 'kl '\n", X);
    if (parse(text, &c, &err) != KF_OK) fail_msg("%s", err.text);
    for (int i = 0; i < 3; i++) assert_true(c->mean[i] == 0 && c->scale[i] == 0.003921568627451);
    assert_int_equal(c->normalizes, 1);
    assert_int_equal(c->per_channel, 1);
    assert_int_equal(c->range, KF_RANGE_KL); /* a space behind a word is no part of it */
    assert_null(c->input_shape);
    assert_string_equal(c->calibration, "d/./cal_f32");
    assert_int_equal(c->calibration_type, KF_F32);
    assert_int_equal(c->n_int16, 1);
    assert_string_equal(c->int16_nodes[0], "/a");
    assert_string_equal(c->int16_places[0], "d/c.yaml:5:5");
    assert_string_equal(kf_rdk_place(c, "per_channel"), "d/c.yaml:16:16");
    assert_string_equal(kf_rdk_place(c, "input_shape"), "d/c.yaml");
    assert_int_equal(c->n_notices, 2);
    assert_string_equal(
        c->notices[0], "d/c.yaml:3:3: march has no meaning on a CPU; instructions are chosen when the model is loaded");
    assert_string_equal(c->notices[1],
                        "d/c.yaml:19:3: optimize_level has no meaning on a CPU; there is one level, the best");
    kf_rdk_free(&c);
}

static void test_zoo_file(void **state) {
    (void)state;
    char path[1024], text[8192];
    const char *s = getenv("KITFOX_SHARED"), *root = getenv("KITFOX_SOURCE");
    snprintf(path, sizeof path, "%s%s/data/MobileNetV3_config.yaml", s ? s : root ? root : ".", s ? "" : "/../shared");
    FILE *f = fopen(path, "rb");
    if (!f) {
        printf("SKIP: ../shared is not here; the zoo's file is not parsed\n");
        skip();
    }
    size_t n = fread(text, 1, sizeof text - 1, f);
    text[n] = 0;
    fclose(f);
    kf_rdk_config *c = NULL;
    kf_error err = {0};
    if (parse(text, &c, &err) != KF_OK) fail_msg("%s", err.text);
    assert_string_equal(c->model, "d/./mobilenetv3_large_100.onnx");
    assert_true(c->mean[0] == 123.675 && c->mean[1] == 116.28 && c->mean[2] == 103.53);
    assert_true(c->normalizes && c->scale[0] > 0);
    assert_int_equal(c->n_int16, 4);
    assert_string_equal(c->int16_nodes[0], "/blocks/blocks.3/blocks.3.1/conv_pwl/Conv");
    kf_rdk_free(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_refusals), cmocka_unit_test(test_broken_yaml),
                                       cmocka_unit_test(test_dialect), cmocka_unit_test(test_zoo_file)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
