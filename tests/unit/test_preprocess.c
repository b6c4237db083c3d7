/* The table of preprocessing: it covers the structure, names go both ways, only legal values pass; pixels and back.
 * Luma is held to numbers that Pillow gave. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "preprocess/pixel.h"
#include "preprocess/preprocess.h"

static kf_preprocess whole(void) {
    kf_preprocess p;
    kf_preprocess_init(&p);
    p.width = p.height = 224;
    return p;
}

static const kf_field *field(const char *key) {
    const kf_field *f;
    for (int32_t k = 0; (f = kf_preprocess_field(k)) != NULL; k++)
        if (strcmp(f->key, key) == 0) return f;
    fail_msg("no field %s", key);
    return NULL;
}

/* Members follow one another without a gap but alignment, so none is missing; help only where somebody may set it. */
static void covers_the_structure(void **state) {
    (void)state;
    const kf_field *f;
    size_t end = offsetof(kf_preprocess, valid) + sizeof(int32_t);
    for (int32_t k = 0; (f = kf_preprocess_field(k)) != NULL; k++) {
        size_t size = f->kind == KF_FIELD_REAL ? sizeof(double) : sizeof(int32_t);
        assert_int_equal(f->offset, kf__round_up(end, size));
        end = f->offset + (size_t)f->n * size;
        assert_true(f->n == 1 || f->n == 3);
        assert_true((f->words != NULL) == (f->kind == KF_FIELD_WORD));
        for (int32_t i = 0; f->words && i <= (int32_t)f->hi; i++) assert_non_null(f->words[i]);
    }
    assert_int_equal(offsetof(kf_preprocess, reserved), kf__round_up(end, sizeof(int32_t)));
    assert_int_equal(sizeof(kf_preprocess), offsetof(kf_preprocess, reserved) + 8 * sizeof(int32_t));
    assert_null(kf_preprocess_field(-1));
}

static void names(void **state) {
    (void)state;
    assert_string_equal(kf_filter_name(KF_FILTER_BICUBIC), "bicubic");
    assert_string_equal(kf_crop_name(KF_CROP_FIT_PAD), "fit-pad");
    assert_string_equal(kf_color_name(KF_COLOR_GRAY), "gray");
    assert_null(kf_filter_name(KF_FILTER_COUNT));
    assert_null(kf_color_name((kf_color)-1));
}

static void defaults(void **state) {
    (void)state;
    kf_preprocess p = whole();
    kf_error err;
    assert_int_equal(kf__preprocess_check(&p, 3, &err), KF_OK);
    for (int i = 0; i < 8; i++) { /* what a later version may mean by it is not known here */
        p.reserved[i] = 1;
        assert_int_equal(kf__preprocess_check(&p, 3, &err), KF_ERR_ARGUMENT);
        assert_non_null(strstr(err.text, "reserved"));
        p.reserved[i] = 0;
    }
    assert_true(p.valid && p.crop_pct == 0.875 && p.filter == KF_FILTER_BICUBIC && p.crop == KF_CROP_CENTER);
    assert_true(p.mean[0] == 0.485 && p.mean[2] == 0.406 && p.std[1] == 0.224 && p.color == KF_COLOR_RGB);
    kf_preprocess_init(&p);
    assert_int_equal(kf__preprocess_check(&p, 3, &err), KF_ERR_ARGUMENT); /* the network's size is not known yet */
    assert_non_null(strstr(err.text, "width is 0"));
}

/* Every value of every member, just outside its range. */
static void refuses(void **state) {
    (void)state;
    const kf_field *f;
    kf_error err;
    for (int32_t k = 0; (f = kf_preprocess_field(k)) != NULL; k++)
        for (int32_t i = 0; i < f->n; i++) {
            double below = nextafter(f->lo, -INFINITY), above = nextafter(f->hi, INFINITY);
            double odd[] = {below, above, -INFINITY, INFINITY, NAN, f->hi - 0.5};
            size_t n = f->kind == KF_FIELD_REAL ? 5 : 6; /* the last is not whole */
            kf_preprocess p = whole(), same = p;
            for (size_t j = 0; j < n; j++) assert_int_equal(kf_preprocess_set(&p, f, i, odd[j]), 0);
            assert_memory_equal(&p, &same, sizeof p);
            char *at = (char *)&p + f->offset;
            if (f->kind == KF_FIELD_REAL) ((double *)(void *)at)[i] = NAN;
            else ((int32_t *)(void *)at)[i] = (int32_t)f->hi + 1;
            assert_int_equal(kf__preprocess_check(&p, 0, &err), KF_ERR_ARGUMENT);
            assert_non_null(strstr(err.text, f->member));
        }
}

static void grey_has_one_channel(void **state) {
    (void)state;
    kf_preprocess p = whole();
    kf_error err;
    assert_int_equal(kf__preprocess_check(&p, 1, &err), KF_OK); /* raw tensors only */
    p.color = KF_COLOR_GRAY;
    assert_int_equal(kf__preprocess_check(&p, 1, &err), KF_OK);
    assert_int_equal(kf__preprocess_check(&p, 3, &err), KF_ERR_ARGUMENT);
    assert_non_null(strstr(err.text, "one input channel"));
}

static void from_text(void **state) {
    (void)state;
    static const struct {
        const char *key, *text;
        double want[3];
    } GOOD[] = {{"mean", "0.5", {0.5, 0.5, 0.5}},      {"mean", "-1,0,10", {-1, 0, 10}},
                {"std", "0.25,0.5,1", {0.25, 0.5, 1}}, {"crop_pct", "1", {1}},
                {"interpolation", "nearest", {2}},     {"color", "gray", {2}}};
    static const char *const BAD[][2] = {{"mean", "123.7"},
                                         {"mean", "0.5,0.5"},
                                         {"mean", ""},
                                         {"mean", "0,0,0,0"},
                                         {"mean", "nan"},
                                         {"mean", "1e400"},
                                         {"std", "0"},
                                         {"std", "0.5,0.5,"},
                                         {"std", "-1"},
                                         {"std", "58"},
                                         {"crop_pct", "1.1"},
                                         {"crop_pct", "0"},
                                         {"crop_pct", "0.5,0.5"},
                                         {"interpolation", "lanczos"},
                                         {"interpolation", ""},
                                         {"color", "1"},
                                         {"color", "RGB"}};
    kf_error err;
    for (size_t i = 0; i < KF_COUNT(GOOD); i++) {
        kf_preprocess p = whole();
        const kf_field *f = field(GOOD[i].key);
        assert_int_equal(kf_preprocess_parse(&p, f, GOOD[i].text, &err), KF_OK);
        for (int32_t k = 0; k < f->n; k++) assert_true(kf_preprocess_get(&p, f, k) == GOOD[i].want[k]);
    }
    for (size_t i = 0; i < KF_COUNT(BAD); i++) {
        kf_preprocess p = whole(), same = p;
        assert_int_equal(kf_preprocess_parse(&p, field(BAD[i][0]), BAD[i][1], &err), KF_ERR_ARGUMENT);
        assert_memory_equal(&p, &same, sizeof p);
        assert_non_null(strstr(err.text, BAD[i][0]));
        assert_non_null(strstr(err.text, "needed"));
    }
}

static void copies(void **state) {
    (void)state;
    kf_preprocess from = whole(), to = whole();
    from.crop_pct = 0.5, from.std[1] = 7, from.filter = KF_FILTER_NEAREST, from.mean[0] = 3;
    kf_preprocess_copy(&to, &from, 0);
    assert_true(to.crop_pct == 0.875);
    uint32_t bits = 0;
    for (int32_t k = 0; kf_preprocess_field(k); k++) {
        const char *key = kf_preprocess_field(k)->key;
        if (strcmp(key, "std") == 0 || strcmp(key, "crop_pct") == 0) bits |= (uint32_t)1 << k;
    }
    kf_preprocess_copy(&to, &from, bits);
    assert_true(to.crop_pct == 0.5 && to.std[1] == 7 && to.filter == KF_FILTER_BICUBIC && to.mean[0] == 0.485);
}

static void pixels_and_back(void **state) {
    (void)state;
    kf_preprocess p = whole();
    const double mean[3] = {123.675, 116.28, 103.53}, scale[3] = {1 / 58.395, 1 / 57.12, 1 / 57.375};
    for (int32_t c = 0; c < 3; c++)
        for (int v = 0; v < 256; v++) {
            double x = kf_preprocess_normalize(&p, c, v);
            assert_true(fabs(x - (v / 255.0 - p.mean[c]) / p.std[c]) < 1e-15);
            assert_true(fabs(x - (v - kf__pixel_mean(&p, (size_t)c)) / kf__pixel_std(&p, (size_t)c)) < 1e-14);
            assert_int_equal(kf_preprocess_pixel(&p, c, x), v);
        }
    assert_int_equal(kf_preprocess_pixel(&p, 0, 1e9), 255);
    assert_int_equal(kf_preprocess_pixel(&p, 0, -1e9), 0);
    assert_int_equal(kf_preprocess_pixel(&p, 0, NAN), 0);
    kf_preprocess_set_scale(&p, mean, scale);
    for (int32_t c = 0; c < 3; c++)
        assert_true(fabs(kf_preprocess_normalize(&p, c, 200) - (200 - mean[c]) * scale[c]) < 1e-12);
}

static void colours(void **state) {
    (void)state;
    /* R, G, B, and Image.new("RGB", (1, 1), (R, G, B)).convert("L") of Pillow 13 */
    static const uint8_t PILLOW[][4] = {
        {0, 0, 0, 0},       {255, 255, 255, 255}, {255, 0, 0, 76},      {0, 255, 0, 150},    {0, 0, 255, 29},
        {242, 14, 166, 99}, {73, 53, 233, 79},    {136, 158, 185, 155}, {214, 172, 75, 173}, {21, 242, 19, 151},
        {164, 18, 157, 77}, {248, 194, 190, 210}, {211, 239, 45, 209},  {5, 157, 159, 112},  {60, 54, 236, 77}};
    enum { N = KF_COUNT(PILLOW) };
    uint8_t rgb[3 * N], to[3 * N], back[3 * N];
    for (size_t i = 0; i < N; i++) memcpy(rgb + 3 * i, PILLOW[i], 3);
    kf_color_from_rgb(KF_COLOR_GRAY, rgb, N, to);
    for (size_t i = 0; i < N; i++) assert_int_equal(to[i], PILLOW[i][3]);
    kf_color_to_rgb(KF_COLOR_GRAY, to, N, back);
    kf_color_from_rgb(KF_COLOR_GRAY, back, N, back); /* in place, and the same grey again */
    assert_memory_equal(back, to, N);
    kf_color_from_rgb(KF_COLOR_BGR, rgb, N, to);
    for (size_t i = 0; i < 3 * N; i++) assert_int_equal(to[i], rgb[i / 3 * 3 + 2 - i % 3]);
    kf_color_to_rgb(KF_COLOR_BGR, to, N, to);
    assert_memory_equal(to, rgb, 3 * N);
    kf_color_from_rgb(KF_COLOR_RGB, rgb, N, back);
    assert_memory_equal(back, rgb, 3 * N);
    for (uint32_t v = 0; v < 256; v++) assert_int_equal(kf__pixel_luma(v, v, v), v);
    assert_int_equal(kf_color_channels(KF_COLOR_GRAY), 1);
    assert_int_equal(kf_color_channels(KF_COLOR_BGR), 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(covers_the_structure),
        cmocka_unit_test(names),
        cmocka_unit_test(defaults),
        cmocka_unit_test(refuses),
        cmocka_unit_test(copies),
        cmocka_unit_test(grey_has_one_channel),
        cmocka_unit_test(from_text),
        cmocka_unit_test(colours),
        cmocka_unit_test(pixels_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
