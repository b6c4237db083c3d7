/* Names of every public enumeration: there, unique, and back; what is no name is refused and lists those that are.
 * Owner rule: static data. */
#include "graph_builder.h"

#include "kitfox/bench.h"
#include "kitfox/lab.h"

/* Values have four bytes, as every enumeration of the interface. */
#define PAIR(type)                                                                                                     \
    static const char *type##_to(int32_t v) { return kf_##type##_name((kf_##type)v); }                                 \
    static kf_status type##_from(const char *name, int32_t *v, kf_error *err) {                                        \
        kf_##type out = (kf_##type)77;                                                                                 \
        kf_status st = kf_##type##_from_name(name, &out, err);                                                         \
        *v = (int32_t)out;                                                                                             \
        return st;                                                                                                     \
    }
PAIR(status)
PAIR(dtype)
PAIR(filter)
PAIR(crop)
PAIR(color)
PAIR(range_method)
PAIR(optimize_level)
PAIR(qdq_form)
PAIR(field_kind)
PAIR(input_kind)
PAIR(entry_type)
PAIR(rdk_stage)
PAIR(verdict)
PAIR(pillow)
PAIR(takes)
PAIR(origin)

static const struct {
    const char *(*to)(int32_t v);
    kf_status (*from)(const char *name, int32_t *v, kf_error *err);
    int32_t n;
    const char *last;
} ENUMS[] = {
    {status_to, status_from, KF_ERR_CANCELLED + 1, "cancelled"},
    {dtype_to, dtype_from, KF_DTYPE_COUNT, "bool"},
    {filter_to, filter_from, KF_FILTER_COUNT, "nearest"},
    {crop_to, crop_from, KF_CROP_COUNT, "fit-pad"},
    {color_to, color_from, KF_COLOR_COUNT, "gray"},
    {range_method_to, range_method_from, KF_RANGE_COUNT, "kl"},
    {optimize_level_to, optimize_level_from, KF_OPTIMIZE_COUNT, "fuse"},
    {qdq_form_to, qdq_form_from, KF_QDQ_COUNT, "scales"},
    {field_kind_to, field_kind_from, KF_FIELD_WORD + 1, "word"},
    {input_kind_to, input_kind_from, KF_INPUT_NV12 + 1, "nv12"},
    {entry_type_to, entry_type_from, KF_ENTRY_MAPPING + 1, "mapping"},
    {verdict_to, verdict_from, KF_DIFFERS + 1, "differs"},
    {pillow_to, pillow_from, KF_PILLOW_COUNT, "13"},
    {takes_to, takes_from, KF_TAKES_COUNT, "features"},
    {origin_to, origin_from, KF_ORIGIN_COUNT, "assumed"},
    {rdk_stage_to, rdk_stage_from, KF_RDK_WRITING + 1, "writing"},
};

static void test_round_trip(void **state) {
    (void)state;
    kf_error err = {0};
    for (size_t e = 0; e < KF_COUNT(ENUMS); e++)
        for (int32_t v = 0, back; v < ENUMS[e].n; v++) {
            assert_non_null(ENUMS[e].to(v));
            gb_ok(ENUMS[e].from(ENUMS[e].to(v), &back, &err), &err);
            assert_int_equal(back, v);
        }
}

static void test_refusals(void **state) {
    (void)state;
    static const char *const BAD[] = {"nonsense", "", NULL};
    for (size_t e = 0; e < KF_COUNT(ENUMS); e++) {
        assert_string_equal(ENUMS[e].to(ENUMS[e].n - 1), ENUMS[e].last);
        for (size_t i = 0; i < KF_COUNT(BAD); i++) {
            kf_error err = {0};
            int32_t v;
            assert_int_equal(ENUMS[e].from(BAD[i], &v, &err), KF_ERR_ARGUMENT);
            assert_int_equal(v, 77);
            assert_non_null(strstr(err.text, ENUMS[e].last));
            assert_non_null(strstr(err.text, ENUMS[e].to(0)));
        }
        const char *beyond = ENUMS[e].to(ENUMS[e].n);
        assert_true(!beyond || strcmp(beyond, "unknown") == 0 || strcmp(beyond, "?") == 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip), cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
