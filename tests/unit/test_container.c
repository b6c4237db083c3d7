/* The safetensors container: what is written is read back, and every wrong statement of a header is refused, and the
 * error names it.
 * Owner rule: each test frees what it makes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "container/container.h"

/* A file of this header and `room` data bytes. */
static kf_status read_text(const char *header, size_t room, kf__container *c, kf_error *err) {
    size_t n = strlen(header);
    uint8_t *file = calloc(1, 8 + n + room);
    for (int i = 0; i < 8; i++) file[i] = (uint8_t)((uint64_t)n >> (8 * i));
    memcpy(file + 8, header, n);
    kf_status st = kf__container_read(file, 8 + n + room, c, err);
    free(file); /* the tests below look at statuses and texts only */
    return st;
}

static void refuses(const char *header, size_t room, kf_status status, const char *word) {
    kf__container c;
    kf_error err = {0};
    kf_status st = read_text(header, room, &c, &err);
    if (st != status || !strstr(err.text, word)) fail_msg("%s: status %d, text %s", header, st, err.text);
}

static void round_trip(void **state) {
    (void)state;
    const float a[] = {1, 2, 3, 4, 5, 6};
    const int8_t b[] = {-1, 7, 9};
    kf__container_tensor t[] = {{"a", KF_F32, {2, {2, 3}}, a, sizeof a},
                                {"b", KF_I8, {1, {3}}, b, sizeof b},
                                {"none", KF_I32, {1, {0}}, NULL, 0}};
    kf__container_text m[] = {{"k", "v \" \\ \n \xC3\xA4"}};
    void *file;
    size_t bytes;
    kf_error err = {0};
    kf__container c;
    assert_int_equal(kf__container_write(m, 1, t, 3, &file, &bytes, &err), KF_OK);
    assert_int_equal(kf__container_read(file, bytes, &c, &err), KF_OK);
    assert_int_equal(c.n_tensors, 3);
    assert_string_equal(kf__container_text_of(&c, "k"), m[0].value);
    assert_null(kf__container_text_of(&c, "other"));
    assert_null(kf__container_find(&c, "c"));
    const kf__container_tensor *found = kf__container_find(&c, "b");
    assert_non_null(found);
    assert_memory_equal(found->data, b, sizeof b);
    found = kf__container_find(&c, "a");
    assert_memory_equal(found->data, a, sizeof a);
    assert_true(kf__shape_equal(&found->shape, &t[0].shape));
    assert_int_equal(((const uint8_t *)found->data - (const uint8_t *)file) % KF_ALIGN, 0);
    kf__container_free(&c);
    kf__mem_free(NULL, file);
}

static void lies(void **state) {
    (void)state;
    refuses("", 0, KF_ERR_FORMAT, "JSON");
    refuses("[]", 0, KF_ERR_FORMAT, "object");
    refuses("{\"a\":3}", 0, KF_ERR_FORMAT, "a");
    refuses("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},\"a\":{\"dtype\":\"U8\",\"shape\":[1],"
            "\"data_offsets\":[1,2]}}",
            2, KF_ERR_FORMAT, "duplicate");
    refuses("{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}", 3, KF_ERR_FORMAT, "truncated");
    refuses("{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}", 5, KF_ERR_FORMAT, "follow");
    refuses("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, KF_ERR_FORMAT, "needs 8 bytes");
    refuses("{\"a\":{\"dtype\":\"Q9\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, KF_ERR_UNSUPPORTED, "Q9");
    refuses("{\"a\":{\"dtype\":\"U8\",\"shape\":[-2],\"data_offsets\":[0,4]}}", 4, KF_ERR_FORMAT, "extent 0");
    refuses("{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[4,0]}}", 4, KF_ERR_FORMAT, "data_offsets");
    refuses("{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[-4,0]}}", 4, KF_ERR_FORMAT, "data_offsets");
    refuses("{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0]}}", 4, KF_ERR_FORMAT, "data_offsets");
    refuses("{\"a\":{\"dtype\":\"F64\",\"shape\":[4611686018427387904,8],\"data_offsets\":[0,0]}}", 0, KF_ERR_LIMIT,
            "overflow");
    refuses("{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}", 1, KF_ERR_FORMAT,
            "shape");
    refuses("{\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},\"b\":{\"dtype\":\"U8\",\"shape\":[2],"
            "\"data_offsets\":[2,4]}}",
            4, KF_ERR_FORMAT, "overlaps");
    refuses("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},\"b\":{\"dtype\":\"U8\",\"shape\":[2],"
            "\"data_offsets\":[2,4]}}",
            4, KF_ERR_FORMAT, "after the data");
    refuses("{\"__metadata__\":{\"k\":3}}", 0, KF_ERR_FORMAT, "k is not a string");
    refuses("{\"__metadata__\":[]}", 0, KF_ERR_FORMAT, "__metadata__");
}

static void short_files(void **state) {
    (void)state;
    kf__container c;
    kf_error err = {0};
    const uint8_t huge[9] = {255, 255, 255, 255, 255, 255, 255, 255, '{'}, longer[9] = {2, 0, 0, 0, 0, 0, 0, 0, '{'};
    for (size_t n = 0; n < 8; n++) assert_int_equal(kf__container_read(huge, n, &c, &err), KF_ERR_FORMAT);
    assert_int_equal(kf__container_read(huge, 9, &c, &err), KF_ERR_LIMIT);
    assert_int_equal(kf__container_read(longer, 9, &c, &err), KF_ERR_FORMAT);
    assert_non_null(strstr(err.text, "truncated"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(round_trip), cmocka_unit_test(lies),
                                       cmocka_unit_test(short_files)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
