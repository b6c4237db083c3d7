/* McNemar's test and Tango's interval against published numbers and closed forms.
 * test_report.py recomputes both by other means on counts of its own.
 * Owner rule: nothing is kept. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "kitfox/lab.h"

/* Bentur et al. 2009, airways of 21 children before and after a transplantation, as worked in Fagerland, Lydersen and
 * Laake, Stat. Med. 33 (2014) 2850: 7 and 1 changed, the difference -0.286 has Tango's interval -0.517 to -0.026, the
 * exact p is 0.0703. */
static void published(void **state) {
    (void)state;
    double lo, hi;
    kf_paired_interval(7, 1, 21, &lo, &hi);
    assert_true(fabs(lo + 0.517) < 5e-4 && fabs(hi + 0.026) < 5e-4);
    assert_true(fabs(kf_mcnemar(7, 1) - 0.0703) < 5e-5);
    /* Armitage and Berry 1994, p. 127, two media for 50 specimens: 12 and 2 of them changed, exact p 0.0129. */
    assert_true(fabs(kf_mcnemar(12, 2) - 0.0129) < 5e-5);
}

/* Without flips the score test rejects d where n d / (1 - d) > z^2; mirrored counts give mirrored intervals. */
static void closed_forms(void **state) {
    (void)state;
    const double z2 = 1.959963984540054 * 1.959963984540054;
    double lo, hi, l2, h2;
    for (size_t n = 1; n < 100000; n = n * 7 + 1) {
        kf_paired_interval(0, 0, n, &lo, &hi);
        assert_true(fabs(hi - z2 / ((double)n + z2)) < 1e-12 && fabs(lo + hi) < 1e-12);
        kf_paired_interval(n, 0, n, &lo, &hi);
        assert_true(lo > -1 - 1e-12 && lo < -0.999999 && hi < 1 && hi >= -1);
        kf_paired_interval(n / 3, n / 2, n, &lo, &hi);
        kf_paired_interval(n / 2, n / 3, n, &l2, &h2);
        assert_true(fabs(lo + h2) < 1e-12 && fabs(hi + l2) < 1e-12 && lo < hi);
    }
}

static void exact_test(void **state) {
    (void)state;
    assert_true(kf_mcnemar(0, 0) == 1 && kf_mcnemar(1, 0) == 1 && kf_mcnemar(5, 5) == 1 && kf_mcnemar(5, 6) == 1);
    for (int n = 1; n < 60; n++) assert_true(fabs(kf_mcnemar((size_t)n, 0) / ldexp(2, -n) - 1) < 1e-9);
    double p =
        kf_mcnemar(3000, 3200); /* 2^-6200 is no double; the normal distribution with continuity correction is near */
    assert_true(fabs(p - erfc(199 / sqrt(6200) / sqrt(2))) < 1e-5);
    assert_true(kf_mcnemar(3, 9) == kf_mcnemar(9, 3));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(published), cmocka_unit_test(closed_forms),
                                       cmocka_unit_test(exact_test)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
