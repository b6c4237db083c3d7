/* Unit tests of src/base and src/tensor: hash vectors, half floats, arena, reader, rounding rules. References: FIPS
 * 180-4 vectors, IEEE-754 values, and the compiler's own conversions.
 * Owner rule: each test frees what it makes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#include "base/base.h"
#include "tensor/requant.h"
#include "tensor/tensor.h"

static void test_half_known_values(void **state) {
    (void)state;
    assert_true(kf__half_to_f32(0x3c00) == 1.0f);
    assert_true(kf__half_to_f32(0xc000) == -2.0f);
    assert_true(kf__half_to_f32(0x7bff) == 65504.0f);
    assert_true(kf__half_to_f32(0x0400) == 0x1p-14f);
    assert_true(kf__half_to_f32(0x0001) == 0x1p-24f);
    assert_true(kf__half_to_f32(0x03ff) == 1023 * 0x1p-24f);
    assert_true(isinf(kf__half_to_f32(0x7c00)) && isnan(kf__half_to_f32(0x7e00)));
    assert_int_equal(kf__f32_to_half(65520.0f), 0x7c00); /* halfway to the next: rounds to infinity */
    assert_int_equal(kf__f32_to_half(65519.0f), 0x7bff);
    assert_int_equal(kf__f32_to_half(0x1p-25f), 0x0000); /* tie to even zero */
    assert_int_equal(kf__f32_to_half(0x1.8p-25f), 0x0001);
    assert_int_equal(kf__f32_to_half(1.0f + 0x1p-11f), 0x3c00); /* tie to even */
    assert_int_equal(kf__f32_to_half(1.0f + 0x3p-11f), 0x3c02);
}

static void test_half_round_trip(void **state) {
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        float f = kf__half_to_f32((uint16_t)h);
        if (!isnan(f)) assert_int_equal(kf__f32_to_half(f), h);
    }
}

static void test_arena_alignment_and_growth(void **state) {
    (void)state;
    kf__arena a;
    kf__arena_init(&a, NULL);
    for (size_t n = 1; n < 200000; n = n * 3 / 2 + 1) {
        uint8_t *p = kf__arena_zalloc(&a, n);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % (n >= 256 ? KF_ALIGN : 16), 0);
        for (size_t i = 0; i < n; i++) assert_int_equal(p[i], 0);
        memset(p, 0xa5, n);
    }
    assert_null(kf__arena_array(&a, SIZE_MAX / 2, 4));
    assert_string_equal(kf__arena_printf(&a, "%s_%d", "conv", 12), "conv_12");
    kf__arena_free(&a);
    assert_null(a.head);
}

static void test_reader_bounds(void **state) {
    (void)state;
    const uint8_t bytes[] = {1, 2, 3, 4, 5};
    kf__reader r = {bytes, sizeof bytes, 0};
    uint32_t u32;
    uint16_t u16;
    uint64_t u64;
    assert_true(kf__read_u32(&r, &u32));
    assert_int_equal(u32, 0x04030201);
    assert_false(kf__read_u16(&r, &u16));
    assert_false(kf__read_u64(&r, &u64));
    assert_int_equal(r.pos, 4);
}

static void test_error_prefix_fits(void **state) {
    (void)state;
    kf_error err;
    char big[3000];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    assert_int_equal(kf_error_set(&err, KF_ERR_FORMAT, "%s", big), KF_ERR_FORMAT);
    assert_int_equal(kf_error_prefix(&err, KF_ERR_FORMAT, "file %s", "a"), KF_ERR_FORMAT);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
    assert_int_equal(strncmp(err.text, "file a: xxx", 11), 0);
    assert_int_equal(kf_error_prefix(NULL, KF_ERR_IO, "x"), KF_ERR_IO);
}

static void test_rounding_is_to_even(void **state) {
    (void)state;
    const struct {
        float x;
        int q;
    } cases[] = {{0.5f, 0},   {1.5f, 2},        {2.5f, 2},    {-0.5f, 0},
                 {-1.5f, -2}, {0.49999997f, 0}, {1e30f, 127}, {-1e30f, -128}};
    for (size_t i = 0; i < KF_COUNT(cases); i++)
        assert_int_equal(kf__quantize_clamped(cases[i].x, 0, -128, 127), cases[i].q);
    assert_int_equal(kf__quantize_clamped(1e30f, 100, 0, 255), 255);
    assert_int_equal(kf__quantize_clamped(-1e30f, 100, 0, 255), 0);
}

static void test_hswish_reference_points(void **state) {
    (void)state;
    const float x[] = {-4, -3, -1.5f, 0, 1, 3, 6}, y[] = {0, 0, -0.375f, 0, 0.66667f, 3, 6};
    for (size_t i = 0; i < KF_COUNT(x); i++) assert_true(fabsf(kf__activate(KF_ACT_HSWISH, x[i], 0, 0) - y[i]) < 1e-5f);
    assert_true(fabsf(kf__activate(KF_ACT_HARDSIGMOID, 1.0f, 0.2f, 0.5f) - 0.7f) < 1e-6f);
    assert_true(fabsf(kf__activate(KF_ACT_HSIGMOID, 1.0f, 0, 0) - 0.66667f) < 1e-5f);
}

static void test_shape_count_overflow(void **state) {
    (void)state;
    size_t n;
    kf__shape s = kf__shape_make(3, (int64_t[]){1LL << 40, 1LL << 40, 2});
    assert_false(kf__shape_count(&s, &n));
    s = kf__shape_make(4, (int64_t[]){1, 3, 224, 224});
    assert_true(kf__shape_count(&s, &n));
    assert_int_equal(n, 150528);
    char text[64];
    assert_string_equal(kf__shape_text(&s, text, sizeof text), "1x3x224x224");
}

/* Every real number has a whole one, without undefined casts. */
static void test_whole_numbers(void **state) {
    const double big = 1e300;
    (void)state;
    assert_int_equal(kf__whole(2.9, -5, 5, 0), 2);
    assert_int_equal(kf__whole(-2.9, -5, 5, 0), -2);
    assert_int_equal(kf__whole(big, -5, 5, 0), 5);
    assert_int_equal(kf__whole(-big, -5, 5, 0), -5);
    assert_int_equal(kf__whole((double)INFINITY, -5, 5, 0), 5);
    assert_int_equal(kf__whole((double)NAN, -5, 5, 3), 3);
    assert_true(kf__whole(9223372036854775808.0, INT64_MIN, INT64_MAX, 0) == INT64_MAX);
    assert_true(kf__whole(-9223372036854775808.0, INT64_MIN, INT64_MAX, 0) == INT64_MIN);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_half_known_values),    cmocka_unit_test(test_whole_numbers),
        cmocka_unit_test(test_half_round_trip),      cmocka_unit_test(test_arena_alignment_and_growth),
        cmocka_unit_test(test_reader_bounds),        cmocka_unit_test(test_error_prefix_fits),
        cmocka_unit_test(test_rounding_is_to_even),  cmocka_unit_test(test_hswish_reference_points),
        cmocka_unit_test(test_shape_count_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
