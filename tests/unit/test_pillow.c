/* Resizing against the bytes of Pillow 12 and Pillow 13 (tests/data/pillow, made by tools/make_pillow_sizes.py): both
 * orders of the two passes, and the sizes where the order changes.
 * Owner rule: each case frees its pictures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kitfox/image.h"
#include "kitfox/preprocess.h"

enum { ROOM = 4096 };

typedef struct size_case {
    const char *name;
    int32_t width, height, to_width, to_height;
    bool differs; /* Pillow 13 begins with the columns */
} size_case;

static const size_case CASES[] = {{"tall", 24, 96, 20, 12, true},    {"wider", 16, 90, 22, 40, true},
                                  {"square", 40, 40, 13, 13, false}, {"flat", 96, 24, 12, 20, false},
                                  {"twice", 40, 50, 30, 30, false},  {"over", 40, 51, 30, 30, true},
                                  {"larger", 12, 20, 17, 31, false}};

/* scene() of the script. */
static void draw(kf_image *im) {
    for (int32_t y = 0; y < im->height; y++)
        for (int32_t x = 0; x < im->width; x++)
            for (int32_t c = 0; c < 3; c++)
                im->pixels[(size_t)y * im->stride + (size_t)(3 * x + c)] =
                    (uint8_t)((x * 37 + y * 11 + c * 80) ^ x * y);
}

static size_t read_expected(const char *name, kf_filter filter, int version, uint8_t *to) {
    char path[1024];
    const char *root = getenv("KITFOX_SOURCE");
    snprintf(path, sizeof path, "%s/tests/data/pillow/%s-%s.%d", root ? root : ".", name, kf_filter_name(filter),
             version);
    FILE *f = fopen(path, "rb");
    if (!f) fail_msg("%s is missing", path);
    size_t n = fread(to, 1, ROOM, f);
    fclose(f);
    assert_true(n > 8 && n < ROOM);
    return n - 8; /* width and height come first */
}

static void check(const kf_image *in, const size_case *c, kf_filter filter, kf_pillow pillow, const uint8_t *want,
                  size_t bytes) {
    kf_preprocess p;
    kf_image out;
    kf_error err;
    kf_preprocess_init(&p);
    p.width = c->to_width, p.height = c->to_height;
    p.crop = KF_CROP_SQUASH, p.crop_pct = 1; /* the resize alone */
    p.filter = filter, p.pillow = pillow;
    if (kf_image_preprocess(in, &p, &out, &err) != KF_OK) fail_msg("%s", err.text);
    assert_int_equal(bytes, 3 * out.width * out.height);
    for (int32_t y = 0; y < out.height; y++)
        for (size_t i = 0, row = 3 * (size_t)out.width; i < row; i++)
            if (out.pixels[(size_t)y * out.stride + i] != want[(size_t)y * row + i])
                fail_msg("%s %s, Pillow %s: row %d, byte %zu is %d, not %d", c->name, kf_filter_name(filter),
                         pillow == KF_PILLOW_13 ? "13" : "12", y, i, out.pixels[(size_t)y * out.stride + i],
                         want[(size_t)y * row + i]);
    kf_image_free(&out);
}

static void equals_both(void **state) {
    static uint8_t want[2][ROOM];
    (void)state;
    for (size_t k = 0; k < sizeof CASES / sizeof *CASES; k++) {
        const size_case *c = &CASES[k];
        kf_image in;
        assert_int_equal(kf_image_create(c->width, c->height, &in, NULL), KF_OK);
        draw(&in);
        for (int f = 0; f < 2; f++) {
            const kf_filter filter = f ? KF_FILTER_BICUBIC : KF_FILTER_BILINEAR;
            size_t before = read_expected(c->name, filter, 12, want[0]);
            size_t after = read_expected(c->name, filter, 13, want[1]);
            assert_int_equal(before, after);
            assert_true((memcmp(want[0], want[1], after) != 0) == c->differs);
            check(&in, c, filter, KF_PILLOW_BEFORE_13, want[0] + 8, before);
            check(&in, c, filter, KF_PILLOW_13, want[1] + 8, after);
        }
        kf_image_free(&in);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(equals_both)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
