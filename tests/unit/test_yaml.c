/* The YAML reader: limits with both numbers, faults at their places, and work that grows as the file does.
 * Beside PyYAML it is compared in tests/cli/test_yaml_peers.py, without memory in tests/oom.
 * Owner rule: each test frees its memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "rdk/yaml.h"

/* Text of `n` times `part`, between two others. */
static char *repeat(const char *before, const char *part, size_t n, const char *behind) {
    kf__strbuf b = {0};
    kf__strbuf_str(&b, before);
    for (size_t i = 0; i < n; i++) kf__strbuf_str(&b, part);
    kf__strbuf_str(&b, behind);
    assert_false(b.failed);
    return b.data;
}

static void expect(const char *text, size_t n, kf_status want, const char *message) {
    kf__rdk_memory memory = {0};
    kf__yaml_tree tree;
    kf_error err = {0};
    kf_status st = kf__yaml_parse("c.yaml", text, n, &memory, &tree, &err);
    if (st != want) fail_msg("%s instead of %s: %s", kf_status_name(st), kf_status_name(want), err.text);
    assert_string_equal(err.text, message);
    kf__rdk_memory_free(&memory);
}

static void expect_repeated(const char *before, const char *part, size_t n, const char *behind, kf_status want,
                            const char *message) {
    char *text = repeat(before, part, n, behind);
    expect(text, strlen(text), want, message);
    free(text);
}

static void test_limits(void **state) {
    (void)state;
    expect_repeated("a: b", " ", (1 << 20) - 4, "c", KF_ERR_LIMIT,
                    "c.yaml:1:1: 1048577 bytes; a configuration has at most 1048576; is this the right file?");
    expect_repeated("a:", "\n- 1", 65534, "", KF_OK, "");
    expect_repeated("a:", "\n- 1", 65535, "", KF_ERR_LIMIT,
                    "c.yaml:65536:3: value 65537; a configuration has at most 65536; is this the right file?");
    expect_repeated("", "[", 16, "]]]]]]]]]]]]]]]]", KF_OK, "");
    expect_repeated("", "[", 17, "]]]]]]]]]]]]]]]]]", KF_ERR_LIMIT,
                    "c.yaml:1:17: nested 17 levels; a configuration has at most 16; check brackets");
    expect_repeated("", "[", 1 << 20, "", KF_ERR_LIMIT,
                    "c.yaml:1:17: nested 17 levels; a configuration has at most 16; check brackets");
    expect_repeated("", "- ", 1 << 19, "", KF_ERR_LIMIT,
                    "c.yaml:1:33: nested 17 levels; a configuration has at most 16; check brackets");
    expect_repeated("a: b", "\n", 4096, "c: d", KF_OK, "");
    expect_repeated("a: b", "\n", 4097, "c: d", KF_ERR_LIMIT,
                    "c.yaml:4097:1: 4097 blanks in a row; a configuration has at most 4096; remove empty lines");
    expect_repeated("a: b", "\xc2\x85 \xe2\x80\xa8", 2000, "", KF_ERR_LIMIT,
                    "c.yaml:1:4101: 4097 blanks in a row; a configuration has at most 4096; remove empty lines");
}

static void test_faults(void **state) {
    static const struct {
        const char *text;
        size_t n; /* 0: up to the zero */
        kf_status status;
        const char *error;
    } CASES[] = {
        {"a: &x 1\n", 0, KF_ERR_UNSUPPORTED, "c.yaml:1:4: an anchor; it is not read here; write the plain value"},
        {"a: {b: *x}\n", 0, KF_ERR_UNSUPPORTED, "c.yaml:1:8: an alias; it is not read here; write the plain value"},
        {"a: !!str 1\n", 0, KF_ERR_UNSUPPORTED, "c.yaml:1:4: a tag; it is not read here; write the plain value"},
        {"a: ! '1'\n", 0, KF_ERR_UNSUPPORTED, "c.yaml:1:4: a tag; it is not read here; write the plain value"},
        {"a:\n  <<: {b: c}\n", 0, KF_ERR_UNSUPPORTED,
         "c.yaml:2:3: a merge key; it is not read here; write the keys out"},
        {"a:\n  '<<': {b: c}\n", 0, KF_OK, ""},
        {"%YAML 1.1\n---\na: b\n", 0, KF_ERR_UNSUPPORTED,
         "c.yaml:1:1: a directive; it is not read here; remove the line"},
        {"%M\xc3\xa9 ! x\n---\na: b\n", 0, KF_ERR_UNSUPPORTED,
         "c.yaml:1:1: a directive; it is not read here; remove the line"},
        {"a: 1\nb: {c: 1, d: 2, c: 3, d: 4}\nb: 1\n", 0, KF_ERR_FORMAT,
         "c.yaml:2:17: key 'c' is given twice; the first is on line 2; remove one"},
        {"[a]: b\n", 0, KF_ERR_FORMAT,
         "c.yaml:1:1: a key must be a word; this is a list or a mapping; check brackets and colons"},
        {"a: b\n---\nc: d\n", 0, KF_ERR_FORMAT,
         "c.yaml:2:1: a second document begins; one file is one configuration; remove the line ---"},
        {"a: \"b\\0c\"\n", 0, KF_ERR_FORMAT, "c.yaml:1:4: a text with a zero character; no value has one; remove \\0"},
        {"a: 1\r\nb: \0", 10, KF_ERR_FORMAT, "c.yaml:2:4: a zero byte; YAML is text; is this the right file?"},
        {"a: 1\rb: \x07", 0, KF_ERR_FORMAT,
         "c.yaml:2:4: character U+0007; YAML has no such characters; is this the right file?"},
        {"a: \xc3\xa9 \xe9\n", 0, KF_ERR_FORMAT,
         "c.yaml:1:6: not UTF-8; the configuration is UTF-8 text; save it as such"},
        {"\xff\xfe"
         "a\0",
         4, KF_ERR_FORMAT, "c.yaml:1:1: UTF-16; the configuration is UTF-8 text; save it as such"},
        {"a: b\nc: 'd\n", 0, KF_ERR_FORMAT,
         "c.yaml:3:1: not valid YAML; found unexpected end of stream while scanning a quoted scalar from line 2; check "
         "indentation, quotes and brackets"},
        {"a: b: c\n", 0, KF_ERR_FORMAT,
         "c.yaml:1:5: not valid YAML; mapping values are not allowed in this context; check indentation, quotes and "
         "brackets"},
        {"# only\n", 0, KF_ERR_FORMAT,
         "c.yaml:1:1: the file is empty; a configuration has the group model_parameters and three more; check the "
         "path"},
    };
    (void)state;
    for (size_t i = 0; i < KF_COUNT(CASES); i++)
        expect(CASES[i].text, CASES[i].n ? CASES[i].n : strlen(CASES[i].text), CASES[i].status, CASES[i].error);
}

/* Key number i of n in one of three orders. */
static uint32_t order(int kind, uint32_t i, uint32_t n) {
    if (kind == 0) return i;
    return kind == 1 ? n - 1 - i : i * 2654435761u;
}

/* Comparisons of keys, and bytes of the tree, for n keys. */
static int64_t keys_work(int kind, uint32_t n, size_t *bytes) {
    kf__strbuf b = {0};
    kf__rdk_memory memory = {0};
    kf__yaml_tree tree;
    kf_error err = {0};
    for (uint32_t i = 0; i < n; i++) kf__strbuf_printf(&b, "k%010u:\n", order(kind, i, n));
    if (kf__yaml_parse("c.yaml", b.data, b.len, &memory, &tree, &err) != KF_OK) fail_msg("%s", err.text);
    assert_int_equal(tree.n_nodes, n + 1);
    *bytes = memory.used;
    kf__rdk_memory_free(&memory);
    kf__strbuf_free(&b);
    return tree.n_compares;
}

static void test_keys_grow_as_n_log_n(void **state) {
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        size_t bytes, half_bytes;
        (void)keys_work(kind, 512, &half_bytes);
        for (uint32_t n = 1024, bits = 10; n <= 32768; n *= 2, bits++) {
            int64_t compares = keys_work(kind, n, &bytes);
            printf("%d: %u keys, %lld comparisons, %zu bytes\n", kind, n, (long long)compares, bytes);
            assert_true(compares >= n - 1 && compares <= (int64_t)n * (bits + 1));
            assert_true(bytes <= 2 * half_bytes + 4096);
            half_bytes = bytes;
        }
    }
}

/* Every node once, in the order of the file. */
static void test_after(void **state) {
    static const char TEXT[] = "a: {b: [1, [], 2], c: {}}\nd: 3\ne:\n- f: 4\n- 5\n";
    (void)state;
    kf__rdk_memory memory = {0};
    kf__yaml_tree tree;
    kf_error err = {0};
    char seen[64] = "";
    if (kf__yaml_parse("c.yaml", TEXT, strlen(TEXT), &memory, &tree, &err) != KF_OK) fail_msg("%s", err.text);
    for (const kf__yaml_node *n = tree.root; n; n = kf__yaml_after(n)) {
        strcat(seen, n->key ? n->key : "/");
        if (n->text) strcat(seen, n->text);
        else strcat(seen, n->child ? "(" : "-");
    }
    assert_string_equal(seen, "/(a(b(011-22c-d3e(0(f415");
    assert_int_equal(tree.n_nodes, 12);
    kf__rdk_memory_free(&memory);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_limits), cmocka_unit_test(test_faults),
                                       cmocka_unit_test(test_keys_grow_as_n_log_n), cmocka_unit_test(test_after)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
