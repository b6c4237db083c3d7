/* NV12 to RGB over all 2^24 (Y, Cb, Cr), both ranges: a committed hash, the same bytes at every instruction set, and
 * the published real-number formulas computed in double. The hashes were made by tests/cli/nv12_numpy.py's fixed point
 * in numpy, not by this code. Owner rule: one stripe of pixels at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#include "base/base.h"
#include "hash/sha256.h"
#include "kitfox/kitfox.h"

/* 16 stripes of 4096x256 hold 2^22 blocks of 2x2: block b has Cb = b & 255, Cr = b >> 8 & 255, and Y = 4 * (b >> 16) +
 * place in the block. */
enum { SIDE = 4096, ROWS = 256, STRIPES = SIDE / ROWS };

static uint8_t *stripe(int index) {
    static uint8_t nv12[SIDE * ROWS * 3 / 2];
    for (size_t by = 0; by < ROWS / 2; by++)
        for (size_t bx = 0; bx < SIDE / 2; bx++) {
            size_t b = ((size_t)index * (ROWS / 2) + by) * (SIDE / 2) + bx;
            for (size_t k = 0; k < 4; k++)
                nv12[(2 * by + k / 2) * SIDE + 2 * bx + k % 2] = (uint8_t)(4 * (b >> 16) + k);
            nv12[SIDE * ROWS + by * SIDE + 2 * bx] = (uint8_t)b;
            nv12[SIDE * ROWS + by * SIDE + 2 * bx + 1] = (uint8_t)(b >> 8);
        }
    return nv12;
}

static void convert(int index, int limited, kf_image *out) {
    const uint8_t *nv12 = stripe(index);
    const kf_nv12 f = {SIDE, ROWS, nv12, nv12 + SIDE * ROWS, SIDE, SIDE, limited};
    kf_error err = {0};
    if (kf_image_from_nv12(&f, out, &err) != KF_OK) fail_msg("%s", err.text);
}

static void hash_all(int limited, char hex[65]) {
    uint8_t digest[32];
    kf__sha256 s;
    kf__sha256_init(&s);
    for (int i = 0; i < STRIPES; i++) {
        kf_image im;
        convert(i, limited, &im);
        kf__sha256_add(&s, im.pixels, (size_t)SIDE * ROWS * 3);
        kf_image_free(&im);
    }
    kf__sha256_done(&s, digest);
    kf__sha256_hex(digest, hex);
}

static const char *const HASH[2] = {"fba962af883bfbce1d8050f96ec636c4df41a2cedbcb28739978941dfa4beb4b",
                                    "51fc495aa417e67a7b1450f59ec5bce0371d1718f4ed97c856168f36990cca4f"};

static void test_hashes(void **state) {
    (void)state;
    for (int limited = 0; limited < 2; limited++)
        for (int r = 0; kf_cpu_level_name(r); r++) {
            char hex[65];
            if (kf_cpu_limit(kf_cpu_level_name(r), NULL) != KF_OK) continue; /* not of this machine */
            hash_all(limited, hex);
            assert_string_equal(hex, HASH[limited]);
        }
    assert_int_equal(kf_cpu_limit(NULL, NULL), KF_OK);
}

/* Every even width up to a few vectors, in blocks of memory of its size: the bytes of plain C. */
static void test_widths(void **state) {
    (void)state;
    for (int32_t w = 2; w <= 66; w += 2) {
        uint8_t *luma = malloc((size_t)w * 2), *chroma = malloc((size_t)w);
        for (int32_t i = 0; i < 2 * w; i++) luma[i] = (uint8_t)(i * 73 + w);
        for (int32_t i = 0; i < w; i++) chroma[i] = (uint8_t)(i * 151 + w * 3);
        const kf_nv12 f = {w, 2, luma, chroma, (size_t)w, (size_t)w, w / 2 % 2};
        kf_image want = {0}, got;
        for (int r = 0; kf_cpu_level_name(r); r++) {
            if (kf_cpu_limit(kf_cpu_level_name(r), NULL) != KF_OK) continue;
            assert_int_equal(kf_image_from_nv12(&f, r ? &got : &want, NULL), KF_OK);
            if (!r) continue;
            assert_memory_equal(want.pixels, got.pixels, (size_t)w * 6);
            kf_image_free(&got);
        }
        kf_image_free(&want);
        free(luma), free(chroma);
    }
    assert_int_equal(kf_cpu_limit(NULL, NULL), KF_OK);
}

static double clip(double v) { return v < 0 ? 0 : v > 255 ? 255 : v; }

/* Fixed point is at most half a level, and what 16 bits of coefficient cost, away from the real number. */
static void test_formula(void **state) {
    (void)state;
    double worst = 0;
    for (int limited = 0; limited < 2; limited++)
        for (int i = 0; i < STRIPES; i++) {
            kf_image im;
            convert(i, limited, &im);
            const uint8_t *nv12 = stripe(i);
            for (size_t p = 0; p < (size_t)SIDE * ROWS; p++) {
                const uint8_t *uv = nv12 + SIDE * ROWS + p / SIDE / 2 * SIDE + (p % SIDE & ~(size_t)1);
                double y = limited ? 1.164383 * (nv12[p] - 16) : nv12[p], u = uv[0] - 128, v = uv[1] - 128;
                double want[3] = {y + (limited ? 1.596027 : 1.402) * v,
                                  y - (limited ? 0.391762 : 0.344136) * u - (limited ? 0.812968 : 0.714136) * v,
                                  y + (limited ? 2.017232 : 1.772) * u};
                for (size_t c = 0; c < 3; c++) worst = fmax(worst, fabs(im.pixels[3 * p + c] - clip(want[c])));
            }
            kf_image_free(&im);
        }
    assert_true(worst >= 0.5 && worst <= 0.505); /* not smaller either: some value lies in the middle */
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_hashes), cmocka_unit_test(test_widths),
                                       cmocka_unit_test(test_formula)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
