/* The model file: round trip, the golden file of version 1, and damage of every kind refused with place and reason.
 * KITFOX_WRITE_GOLDEN=1 writes the golden file when a new version of the format begins.
 * Owner rule: each test frees what it makes. */
#include "program_builder.h"

#include "format/format.h"
#include "kitfox/kitfox.h"
#include "os/file.h"

static uint8_t *file;
static size_t size;

static int set_up(void **state) {
    (void)state;
    kf__program *p = pb_small();
    kf_error err = {0};
    void *out = NULL;
    if (kf__program_validate(p, &err) != KF_OK || kf__format_write(p, &out, &size, &err) != KF_OK)
        fail_msg("%s", err.text);
    file = out;
    kf__program_destroy(&p);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    kf__mem_free(NULL, file);
    return 0;
}

static void round_trip(void **state) {
    (void)state;
    kf__program *p = NULL;
    void *again;
    size_t bytes;
    kf_error err = {0};
    if (kf__format_read(file, size, NULL, 0, &p, &err) != KF_OK) fail_msg("%s", err.text);
    assert_int_equal(p->n_steps, 7);
    assert_int_equal(p->meta.n_labels, 5);
    assert_string_equal(p->meta.labels[2], "three \"quoted\"");
    assert_true(p->meta.preprocess.std[1] == 0.224);
    assert_true(isinf(p->steps[1].act.hi));
    assert_int_equal(kf__format_write(p, &again, &bytes, &err), KF_OK);
    assert_int_equal(bytes, size);
    assert_memory_equal(again, file, size);
    kf__mem_free(NULL, again);
    kf__program_destroy(&p);
}

static void golden(void **state) {
    (void)state;
    char path[600];
    const char *root = getenv("KITFOX_SOURCE");
    kf__file map;
    kf_error err = {0};
    kf_model *model;
    snprintf(path, sizeof path, "%s/tests/golden/small_v1.kfx", root ? root : ".");
    if (getenv("KITFOX_WRITE_GOLDEN")) assert_int_equal(kf__file_replace(path, file, size, &err), KF_OK);
    if (kf__file_read(path, 1 << 20, &map, &err) != KF_OK) fail_msg("%s", err.text);
    assert_int_equal(map.size, size);
    assert_memory_equal(map.data, file, size);
    kf__file_free(&map);
    if (kf_model_load(path, NULL, &model, &err) != KF_OK) fail_msg("%s", err.text);
    assert_string_equal(kf_model_label(model, 0), "one");
    kf_model_destroy(&model);
}

/* Refused with a text that says where. */
static void refused(const uint8_t *data, size_t n, const char *what, size_t at) {
    kf_model *model = NULL;
    kf_error err = {0};
    kf_status st = kf_model_load_memory(data, n, NULL, &model, &err);
    if (st == KF_OK || model) fail_msg("%s at %zu was accepted", what, at);
    if (!err.text[0] || !strchr(err.text, ':')) fail_msg("%s at %zu: no place in \"%s\"", what, at, err.text);
}

static void cuts(void **state) {
    (void)state;
    for (size_t n = 0; n < size; n += 97) {
        uint8_t *part = malloc(n + 1); /* its own block, so that a sanitizer sees a read past the end */
        memcpy(part, file, n);
        refused(part, n, "cut", n);
        free(part);
    }
}

static void flips(void **state) {
    (void)state;
    for (size_t i = 0; i < size; i += i < 2048 ? 13 : 997)
        for (int bit = 0; bit < 8; bit += 7) {
            file[i] ^= (uint8_t)(1 << bit);
            refused(file, size, "flip", i);
            file[i] ^= (uint8_t)(1 << bit);
        }
}

/* Without the hash nothing may crash either: the validator alone decides. */
static void flips_unhashed(void **state) {
    (void)state;
    kf_model_options o;
    kf_model *model;
    kf_model_options_init(&o);
    o.skip_hash = 1;
    for (size_t i = 0; i < size; i += 7) {
        kf_error err = {0};
        file[i] ^= 1;
        if (kf_model_load_memory(file, size, &o, &model, &err) == KF_OK) kf_model_destroy(&model);
        else assert_true(err.text[0] != 0);
        file[i] ^= 1;
    }
}

/* The program text with one piece replaced by another of the same length. */
static void edited(const char *from, const char *to, kf_status want, const char *word) {
    kf_model_options o;
    kf_model *model = NULL;
    kf_error err = {0};
    size_t n = strlen(from);
    assert_int_equal(strlen(to), n);
    kf_model_options_init(&o);
    o.skip_hash = 1;
    uint8_t *at = memmem(file, size, from, n);
    if (!at) fail_msg("%s is not in the file", from);
    memcpy(at, to, n);
    kf_status st = kf_model_load_memory(file, size, &o, &model, &err);
    memcpy(at, from, n);
    kf_model_destroy(&model);
    if (st != want || !strstr(err.text, word)) fail_msg("%s: status %d, text \"%s\"", to, st, err.text);
}

static void lies(void **state) {
    (void)state;
    edited("\\\"version\\\":1", "\\\"version\\\":9", KF_ERR_UNSUPPORTED, "version 9");
    edited("\\\"op\\\":\\\"scale\\\"", "\\\"op\\\":\\\"scrap\\\"", KF_ERR_UNSUPPORTED, "scrap");
    edited("\\\"in\\\":[0]", "\\\"in\\\":[9]", KF_ERR_CORRUPT, "steps[0]");
    edited("\\\"in\\\":[0]", "\\\"in\\\":[2]", KF_ERR_CORRUPT, "before it is written");
    edited("\\\"shape\\\":[1,8,8,3]", "\\\"shape\\\":[1,8,9,3]", KF_ERR_CORRUPT, "");
    edited("\\\"shape\\\":[1,3,8,8]", "\\\"shape\\\":[1,3,9,8]", KF_ERR_CORRUPT, "declared shape");
    edited("\\\"w\\\":0", "\\\"w\\\":1", KF_ERR_CORRUPT, "stem");
    edited("\\\"group\\\":20", "\\\"group\\\":00", KF_ERR_FORMAT, "JSON");
    edited("\\\"crop_pct\\\":0.875", "\\\"crop_pct\\\":1.875", KF_ERR_CORRUPT, "crop_pct");
    edited("\\\"color\\\":0", "\\\"color\\\":2", KF_ERR_CORRUPT, "one input channel");
    edited("\\\"color\\\":0", "\\\"color\\\":3", KF_ERR_CORRUPT, "rgb, bgr or gray");
    edited("\\\"filter\\\":1", "\\\"filter\\\":9", KF_ERR_CORRUPT, "filter");
    edited("\\\"width\\\":8", "\\\"width\\\":0", KF_ERR_CORRUPT, "width");
    edited("\\\"std\\\":[0.2", "\\\"std\\\":[-.2", KF_ERR_FORMAT, "JSON");
    edited("\\\"std\\\":[0.22", "\\\"std\\\":[-0.2", KF_ERR_CORRUPT, "std");
    edited("\\\"mean\\\":[", "\\\"meal\\\":[", KF_OK, "");
    edited("\\\"input_range\\\":0", "\\\"input_range\\\":2", KF_ERR_CORRUPT, "input_range");
    edited("\"const1\"", "\"const0\"", KF_ERR_FORMAT, "duplicate");
}

static void not_a_model(void **state) {
    (void)state;
    kf_model *model;
    kf_error err = {0};
    assert_int_equal(kf_model_load("/nonexistent/x.kfx", NULL, &model, &err), KF_ERR_IO);
    assert_int_equal(kf_model_load("/", NULL, &model, &err), KF_ERR_IO);
    assert_non_null(strstr(err.text, "directory"));
    assert_int_equal(kf_model_load(NULL, NULL, &model, &err), KF_ERR_ARGUMENT);
    uint8_t zeros[400] = {0};
    refused(zeros, sizeof zeros, "zeros", 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),  cmocka_unit_test(golden),         cmocka_unit_test(cuts),
        cmocka_unit_test(flips),       cmocka_unit_test(flips_unhashed), cmocka_unit_test(lies),
        cmocka_unit_test(not_a_model),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
