/* The sorted set of names: each once, found or not, and an empty one.
 * Owner rule: the test frees its arena. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "graph/names.h"

static void test_set(void **state) {
    static const char *const LIST[] = {"b", "/a/Conv", "b", "", "c", "/a/Conv", "b"};
    (void)state;
    kf__arena arena;
    kf__names set;
    kf_error err = {0};
    kf__arena_init(&arena, NULL);
    assert_int_equal(kf__names_make(LIST, KF_COUNT(LIST), &arena, &set, &err), KF_OK);
    assert_int_equal(set.n, 4);
    for (size_t i = 0; i < KF_COUNT(LIST); i++) assert_string_equal(set.sorted[kf__names_find(&set, LIST[i])], LIST[i]);
    assert_int_equal(kf__names_find(&set, "a"), -1);
    assert_int_equal(kf__names_find(&set, "d"), -1);
    assert_int_equal(kf__names_make(NULL, 0, &arena, &set, &err), KF_OK);
    assert_int_equal(kf__names_find(&set, ""), -1);
    kf__arena_free(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_set)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
