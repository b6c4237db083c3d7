/* Crop modes for inputs that are no squares, against timm 1.0.31 with Pillow 13: hashes of the pixels that
 * transforms_imagenet_eval gives with bicubic, crop_pct 0.875 and the mean of ImageNet.
 * Owner rule: each case frees its pictures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "kitfox/image.h"
#include "kitfox/preprocess.h"

static const struct {
    int32_t width, height; /* of the input */
    kf_crop crop;
    int32_t from_width, from_height; /* of the picture */
    uint64_t hash;
} CASES[] = {
    {48, 24, KF_CROP_CENTER, 50, 50, 0xec683676f6bd147c}, {48, 24, KF_CROP_CENTER, 90, 40, 0xd030cd9c99eb00e2},
    {48, 24, KF_CROP_CENTER, 41, 91, 0xa27e903bbd7fc997}, {48, 24, KF_CROP_CENTER, 23, 20, 0x2ea9a0115396149f},
    {48, 24, KF_CROP_SQUASH, 50, 50, 0xc9668e3c5f308795}, {48, 24, KF_CROP_SQUASH, 90, 40, 0xf20ab7b26053b1e5},
    {48, 24, KF_CROP_SQUASH, 41, 91, 0x5716d978aaf7f177}, {48, 24, KF_CROP_SQUASH, 23, 20, 0xf51f331fb822be14},
    {48, 24, KF_CROP_BORDER, 50, 50, 0xa1aa1a6ece8cfad4}, {48, 24, KF_CROP_BORDER, 90, 40, 0x54a20945bff63b96},
    {48, 24, KF_CROP_BORDER, 41, 91, 0x9765c0eda17a9848}, {48, 24, KF_CROP_BORDER, 23, 20, 0x51185f8b2add0892},
    {24, 48, KF_CROP_CENTER, 50, 50, 0xd69173e14544ed24}, {24, 48, KF_CROP_CENTER, 90, 40, 0xe58176dc4ad92cf3},
    {24, 48, KF_CROP_CENTER, 41, 91, 0x282999642c4de916}, {24, 48, KF_CROP_CENTER, 23, 20, 0x4bad63b79897414e},
    {24, 48, KF_CROP_SQUASH, 50, 50, 0xca22c692e13cb39a}, {24, 48, KF_CROP_SQUASH, 90, 40, 0xbdb4551619c78479},
    {24, 48, KF_CROP_SQUASH, 41, 91, 0x54d0b9e16502373d}, {24, 48, KF_CROP_SQUASH, 23, 20, 0x48d0bb791659b69f},
    {24, 48, KF_CROP_BORDER, 50, 50, 0x0a9f08519f0eca67}, {24, 48, KF_CROP_BORDER, 90, 40, 0x7061988480cbcdbe},
    {24, 48, KF_CROP_BORDER, 41, 91, 0x8a6b3d6d9f29d80d}, {24, 48, KF_CROP_BORDER, 23, 20, 0xa6ec483cbf025150},
    {32, 32, KF_CROP_CENTER, 50, 50, 0x525500c13598e3b4}, {32, 32, KF_CROP_CENTER, 90, 40, 0x9115c7efc2471d39},
    {32, 32, KF_CROP_CENTER, 41, 91, 0xea594ccecd5a2136}, {32, 32, KF_CROP_CENTER, 23, 20, 0xd70f863e2abb7c2d},
    {32, 32, KF_CROP_SQUASH, 50, 50, 0x525500c13598e3b4}, {32, 32, KF_CROP_SQUASH, 90, 40, 0xcb9673357068bc20},
    {32, 32, KF_CROP_SQUASH, 41, 91, 0xdb2d6bce56b07aee}, {32, 32, KF_CROP_SQUASH, 23, 20, 0xe390053ae9c7e356},
    {32, 32, KF_CROP_BORDER, 50, 50, 0x525500c13598e3b4}, {32, 32, KF_CROP_BORDER, 90, 40, 0xffa27a9218b41e1c},
    {32, 32, KF_CROP_BORDER, 41, 91, 0x469fd13df2b363de}, {32, 32, KF_CROP_BORDER, 23, 20, 0xcf7c866904efc1bf},
};

/* FNV-1a of the pixels, row after row. */
static uint64_t hash_of(const kf_image *im) {
    uint64_t h = 0xcbf29ce484222325;
    for (int32_t y = 0; y < im->height; y++)
        for (size_t i = 0; i < 3 * (size_t)im->width; i++)
            h = (h ^ im->pixels[(size_t)y * im->stride + i]) * 0x100000001b3;
    return h;
}

static void draw(kf_image *im) {
    for (int32_t y = 0; y < im->height; y++)
        for (int32_t x = 0; x < im->width; x++)
            for (int32_t c = 0; c < 3; c++)
                im->pixels[(size_t)y * im->stride + (size_t)(3 * x + c)] = (uint8_t)(x * 7 + y * 13 + c * 31 + x * y);
}

static void test_equal_timm(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof CASES / sizeof *CASES; k++) {
        kf_image in, out;
        kf_preprocess p;
        kf_error err = {0};
        kf_preprocess_init(&p);
        p.width = CASES[k].width, p.height = CASES[k].height, p.crop = CASES[k].crop;
        p.crop_pct = 0.875, p.filter = KF_FILTER_BICUBIC, p.pillow = KF_PILLOW_13, p.valid = 1;
        const double mean[3] = {0.485, 0.456, 0.406};
        for (int c = 0; c < 3; c++) p.mean[c] = mean[c], p.std[c] = 1;
        assert_int_equal(kf_image_create(CASES[k].from_width, CASES[k].from_height, &in, &err), KF_OK);
        draw(&in);
        if (kf_image_preprocess(&in, &p, &out, &err) != KF_OK) fail_msg("case %zu: %s", k, err.text);
        if (hash_of(&out) != CASES[k].hash)
            fail_msg("%s, %dx%d from %dx%d: the pixels are not timm's", kf_crop_name(p.crop), p.width, p.height,
                     in.width, in.height);
        kf_image_free(&in);
        kf_image_free(&out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_equal_timm)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
