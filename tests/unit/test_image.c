/* Resizing, cropping and NV12 against other implementations: Pillow's crops in ../shared and the BT.601 formulas in
 * double. The golden part is skipped, with one line, where ../shared is missing.
 * Owner rule: each test frees its pictures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kitfox/image.h"
#include "kitfox/kitfox.h"

static const char *shared(void) {
    static char path[1024];
    const char *s = getenv("KITFOX_SHARED"), *root = getenv("KITFOX_SOURCE");
    snprintf(path, sizeof path, "%s%s", s ? s : root ? root : ".", s ? "" : "/../shared");
    return path;
}

/* Pixels of an uint8 NPY file of 224 x 224 x 3. */
static unsigned char *npy_pixels(const char *path) {
    FILE *f = fopen(path, "rb");
    unsigned char h[10], *d = malloc(224 * 224 * 3);
    if (!f) fail_msg("%s is missing", path);
    assert_int_equal(fread(h, 1, 10, f), 10);
    fseek(f, 10 + (h[8] | h[9] << 8), SEEK_SET);
    assert_int_equal(fread(d, 1, 224 * 224 * 3, f), 224 * 224 * 3);
    fclose(f);
    return d;
}

static void check_golden(const char *npy, const char *picture, kf_filter filter, double crop) {
    char path[2048];
    kf_image in, out;
    kf_error err = {0};
    kf_image_options io;
    kf_image_options_init(&io);
    io.no_exif = 1;
    snprintf(path, sizeof path, "%s/data/imagenet-sample/%s", shared(), picture);
    if (kf_image_load(path, &io, &in, &err) != KF_OK) fail_msg("%s", err.text);
    kf_preprocess p;
    kf_preprocess_init(&p);
    p.width = p.height = 224;
    p.crop_pct = crop;
    p.filter = filter;
    assert_int_equal(kf_image_preprocess(&in, &p, &out, &err), KF_OK);
    snprintf(path, sizeof path, "%s/goldens/resize/%s", shared(), npy);
    unsigned char *want = npy_pixels(path);
    int worst = 0;
    double sum = 0;
    for (int i = 0; i < 224 * 224 * 3; i++) {
        int d = abs(out.pixels[i] - want[i]);
        worst = d > worst ? d : worst;
        sum += d;
    }
    if (worst > 1 || sum / (224 * 224 * 3) >= 0.02)
        fail_msg("%s: worst %d, mean %.4f", npy, worst, sum / (224 * 224 * 3));
    free(want);
    kf_image_free(&in);
    kf_image_free(&out);
}

/* A share of the picture so small that the sides leave every number: refused, for every way to crop. */
static void test_endless_sides(void **state) {
    (void)state;
    kf_image in, out;
    kf_error err = {0};
    kf_preprocess p;
    assert_int_equal(kf_image_create(5, 3, &in, &err), KF_OK);
    memset(in.pixels, 7, in.stride * 3);
    kf_preprocess_init(&p);
    p.width = p.height = 8;
    for (int crop = 0; crop < KF_CROP_FIT_PAD; crop++) {
        p.crop = (kf_crop)crop;
        p.crop_pct = 1e-300;
        assert_int_equal(kf_image_preprocess(&in, &p, &out, &err), KF_ERR_LIMIT);
        p.crop_pct = 1e-9;
        assert_int_equal(kf_image_preprocess(&in, &p, &out, &err), KF_ERR_LIMIT);
        p.crop_pct = 1e-5; /* only the part that is seen is computed */
        assert_int_equal(kf_image_preprocess(&in, &p, &out, &err), KF_OK);
        for (size_t i = 0; i < out.stride * 8; i++) assert_int_equal(out.pixels[i], 7);
        kf_image_free(&out);
    }
    p.crop_pct = 0;
    assert_int_equal(kf_image_preprocess(&in, &p, &out, &err), KF_ERR_ARGUMENT);
    kf_image_free(&in);
}

static void test_resize_goldens(void **state) {
    (void)state;
    char path[2048], line[512];
    int checked = 0;
    snprintf(path, sizeof path, "%s/goldens/resize/list.csv", shared());
    FILE *f = fopen(path, "r");
    if (!f) {
        printf("SKIP: ../shared is not here; resize goldens are not compared\n");
        skip();
    }
    while (fgets(line, sizeof line, f)) {
        char npy[128], picture[128], filter[32];
        double crop;
        if (sscanf(line, "%127[^,],%31[^,],%lf,%127s", picture, filter, &crop, npy) != 4 || !strstr(npy, ".npy"))
            continue;
        check_golden(npy, picture, strcmp(filter, "bicubic") == 0 ? KF_FILTER_BICUBIC : KF_FILTER_BILINEAR, crop);
        checked++;
    }
    fclose(f);
    assert_true(checked >= 40);
}

/* Values that follow from the definition: a constant picture stays constant, identity stays identity. */
static void test_resize_invariants(void **state) {
    (void)state;
    kf_image a, b;
    assert_int_equal(kf_image_create(19, 31, &a, NULL), KF_OK);
    memset(a.pixels, 77, a.stride * 31);
    for (int f = 0; f < 3; f++) {
        assert_int_equal(kf_image_resize(&a, 7, 50, (kf_filter)f, NULL, &b, NULL), KF_OK);
        for (size_t i = 0; i < 7 * 50 * 3; i++) assert_int_equal(b.pixels[i], 77);
        kf_image_free(&b);
    }
    for (size_t i = 0; i < 19 * 31 * 3; i++) a.pixels[i] = (uint8_t)(i * 37);
    for (int f = 0; f < 3; f++) {
        assert_int_equal(kf_image_resize(&a, 19, 31, (kf_filter)f, NULL, &b, NULL), KF_OK);
        assert_memory_equal(a.pixels, b.pixels, 19 * 31 * 3);
        kf_image_free(&b);
    }
    kf_error err;
    assert_int_equal(kf_image_resize(&a, 0, 5, KF_FILTER_BILINEAR, NULL, &b, &err), KF_ERR_ARGUMENT);
    const float outside[4] = {0, 0, 20, 31};
    assert_int_equal(kf_image_resize(&a, 5, 5, KF_FILTER_BILINEAR, outside, &b, &err), KF_ERR_ARGUMENT);
    kf_image_free(&a);
}

/* Every instruction set gives the bytes of plain C, which the goldens compare with Pillow. Sizes up and down, to one
 * pixel; the picture ends where its block of memory ends. */
static void test_resize_rungs(void **state) {
    (void)state;
    static const int32_t SIZES[][4] = {{640, 37, 149, 9}, {97, 203, 31, 64},  {5, 7, 90, 61},    {6, 5, 1, 1},
                                       {1, 1, 33, 3},     {300, 19, 299, 18}, {33, 16, 500, 17}, {800, 9, 3, 8},
                                       {22, 22, 21, 23},  {1000, 3, 80, 1},   {2, 64, 64, 2}};
    for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES * 2; i++) {
        const int32_t *s = SIZES[i / 2], w = s[0], h = s[1];
        uint8_t *pixels = malloc(3 * (size_t)w * (size_t)h);
        for (size_t k = 0; k < 3 * (size_t)w * (size_t)h; k++)
            pixels[k] = (uint8_t)(k * k * 31 + k / 7 * 129 + k % 5 * 60);
        kf_image in = {w, h, 3 * (size_t)w, pixels}, want = {0}, got;
        for (int r = 0; kf_cpu_level_name(r); r++) {
            if (kf_cpu_limit(kf_cpu_level_name(r), NULL) != KF_OK) continue; /* not of this machine */
            assert_int_equal(kf_image_resize(&in, s[2], s[3], i % 2 ? KF_FILTER_BICUBIC : KF_FILTER_BILINEAR, NULL,
                                             r ? &got : &want, NULL),
                             KF_OK);
            if (!r) continue;
            assert_memory_equal(want.pixels, got.pixels, 3 * (size_t)s[2] * (size_t)s[3]);
            kf_image_free(&got);
        }
        assert_int_equal(kf_cpu_limit(NULL, NULL), KF_OK);
        kf_image_free(&want);
        free(pixels);
    }
}

static double clip(double v) { return v < 0 ? 0 : v > 255 ? 255 : v; }

/* Every (y, u, v) of a coarse grid, both ranges, against the published real-number formulas: at most half a level away.
 */
static void test_nv12_formula(void **state) {
    (void)state;
    for (int limited = 0; limited < 2; limited++)
        for (int y = 0; y < 256; y += 5)
            for (int u = 0; u < 256; u += 15)
                for (int v = 0; v < 256; v += 15) {
                    uint8_t luma[4] = {(uint8_t)y, (uint8_t)y, (uint8_t)y, (uint8_t)y},
                            chroma[2] = {(uint8_t)u, (uint8_t)v};
                    kf_nv12 f = {2, 2, luma, chroma, 2, 2, limited};
                    kf_image im;
                    assert_int_equal(kf_image_from_nv12(&f, &im, NULL), KF_OK);
                    double l = limited ? 1.164383 * (y - 16) : y, cu = u - 128, cv = v - 128;
                    double want[3] = {l + (limited ? 1.596027 : 1.402) * cv,
                                      l - (limited ? 0.391762 : 0.344136) * cu - (limited ? 0.812968 : 0.714136) * cv,
                                      l + (limited ? 2.017232 : 1.772) * cu};
                    for (int c = 0; c < 3; c++) assert_true(fabs(im.pixels[c] - clip(want[c])) <= 0.51);
                    kf_image_free(&im);
                }
}

static void test_nv12_strides(void **state) {
    (void)state;
    enum { W = 16, H = 8 };
    uint8_t packed[W * H * 3 / 2];
    for (size_t i = 0; i < sizeof packed; i++) packed[i] = (uint8_t)(i * 29 + 3);
    kf_nv12 f = {W, H, packed, packed + W * H, W, W, 0};
    kf_image want, got;
    assert_int_equal(kf_image_from_nv12(&f, &want, NULL), KF_OK);
    const size_t extra[] = {1, 16, 64};
    for (int k = 0; k < 3; k++) {
        size_t s = W + extra[k];
        uint8_t *padded = calloc(s, H * 3 / 2);
        for (size_t y = 0; y < H * 3 / 2; y++) memcpy(padded + y * s, packed + y * W, W);
        kf_nv12 g = {W, H, padded, padded + s * H, s, s, 0};
        assert_int_equal(kf_image_from_nv12(&g, &got, NULL), KF_OK);
        assert_memory_equal(want.pixels, got.pixels, W * H * 3);
        kf_image_free(&got);
        free(padded);
    }
    f.width = 15;
    assert_int_equal(kf_image_from_nv12(&f, &got, NULL), KF_ERR_ARGUMENT);
    kf_image_free(&want);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_endless_sides),     cmocka_unit_test(test_resize_goldens),
        cmocka_unit_test(test_resize_invariants), cmocka_unit_test(test_resize_rungs),
        cmocka_unit_test(test_nv12_formula),      cmocka_unit_test(test_nv12_strides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
