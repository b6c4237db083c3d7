/* kf_pull from a folder, and its table of weights: what is refused before anything happens, and callbacks that stop at
 * every call: the status is CANCELLED and nothing is left. Servers are for tests/cli/test_pull.py.
 * Owner rule: the folder of the test is removed at the end. */
#include "graph_builder.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../temporary.h"
#include "kitfox/pull.h"

#define NAME "mobilenetv3_small_050"
#define REPOSITORY "timm/mobilenetv3_small_050.lamb_in1k"

static char top[200], mirror[300], goal[300];

static void write_file(const char *folder, const char *name, const void *data, size_t bytes) {
    char path[700];
    snprintf(path, sizeof path, "%.600s/%s", folder, name);
    kf_error err = {0};
    gb_ok(kf_file_write(path, data, bytes, 0, &err), &err);
}

/* Weights of 40,000 bytes and their configuration, where a mirror has them. */
static int set_up(void **state) {
    static const char HEAD[] = "{\"w\":{\"dtype\":\"F32\",\"shape\":[10000],\"data_offsets\":[0,40000]}}";
    static const char CONFIG[] = "{\"architecture\":\"" NAME "\",\"pretrained_cfg\":{\"tag\":\"lamb_in1k\"}}";
    static unsigned char weights[8 + sizeof HEAD - 1 + 40000];
    char folder[600];
    (void)state;
    if (!temporary_folder(top, sizeof top, "pull")) return 1;
    snprintf(mirror, sizeof mirror, "file://%s", top);
    snprintf(goal, sizeof goal, "%s/goal/", top);
    snprintf(folder, sizeof folder, "%s/timm", top);
    mkdir(folder, 0700);
    snprintf(folder, sizeof folder, "%s/" REPOSITORY, top);
    mkdir(folder, 0700);
    weights[0] = sizeof HEAD - 1;
    memcpy(weights + 8, HEAD, sizeof HEAD - 1);
    write_file(folder, "model.safetensors", weights, sizeof weights);
    write_file(folder, "config.json", CONFIG, sizeof CONFIG - 1);
    return 0;
}

static void empty(const char *path) {
    DIR *d = opendir(path);
    char sub[600];
    for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
        if (e->d_name[0] == '.') continue;
        snprintf(sub, sizeof sub, "%s/%.250s", path, e->d_name);
        if (unlink(sub) != 0) empty(sub);
    }
    if (d) closedir(d);
    rmdir(path);
}

static int clean_up(void **state) {
    (void)state;
    empty(top);
    return 0;
}

static int count_files(const char *path) {
    DIR *d = opendir(path);
    int n = 0;
    for (struct dirent *e; d && (e = readdir(d)) != NULL;) n += e->d_name[0] != '.';
    if (d) closedir(d);
    return n;
}

static void test_table(void **state) {
    kf_weights w = {.size = sizeof w}, same = {.size = sizeof same};
    kf_error err = {0};
    int32_t n = 0;
    (void)state;
    for (; kf_weights_get(n, &w, &err) == KF_OK; n++) {
        gb_ok(kf_weights_find(w.repository, &same, &err), &err);
        assert_ptr_equal(same.repository, w.repository);
        assert_string_equal(same.file, "model.safetensors");
    }
    assert_int_equal(err.status, KF_ERR_ARGUMENT);
    assert_true(n >= 15);
    gb_ok(kf_weights_find("mobilenetv3_small_050.lamb_in1k", &same, &err), &err);
    assert_string_equal(same.name, NAME);
    assert_int_equal(kf_weights_find("mobilenetv3_huge", &same, &err), KF_ERR_ARGUMENT);
    assert_non_null(strstr(err.text, "mobilenetv3_huge"));
    assert_int_equal(kf_weights_get(-1, &w, NULL), KF_ERR_ARGUMENT);
    kf_weights unset = {0};
    assert_int_equal(kf_weights_get(0, &unset, &err), KF_ERR_ARGUMENT);
    assert_non_null(strstr(err.text, "size"));
    kf_weights brief = {.size = offsetof(kf_weights, file)}; /* of an older caller: what it has not stays untouched */
    gb_ok(kf_weights_get(0, &brief, &err), &err);
    assert_true(brief.name != NULL && brief.file == NULL);
}

static void refuse(void (*change)(kf_pull_options *o), const char *word) {
    kf_pull_options o;
    kf_pull_result out = {.size = sizeof out, .bytes = 1};
    kf_error err = {0};
    kf_pull_options_init(&o);
    o.output = goal;
    change(&o);
    assert_int_equal(kf_pull_options_check(&o, &err), KF_ERR_ARGUMENT);
    assert_non_null(strstr(err.text, word));
    assert_int_equal(kf_pull(NAME, &o, &out, NULL), KF_ERR_ARGUMENT);
    assert_int_equal(out.bytes, 0);
    assert_int_equal(access(goal, F_OK), -1);
}

static void no_tries(kf_pull_options *o) { o->tries = 0; }
static void long_wait(kf_pull_options *o) { o->wait_ms = 60001; }
static void no_time(kf_pull_options *o) { o->timeout_s = -1; }
static void no_bytes(kf_pull_options *o) { o->slowest = 0; }
static void short_hash(kf_pull_options *o) { o->sha256 = "ab"; }
static void other_url(kf_pull_options *o) { o->mirror = "ftp://localhost"; }
static void no_size(kf_pull_options *o) { o->size = 0; }

static void test_refused(void **state) {
    kf_pull_result out = {.size = sizeof out};
    kf_error err;
    (void)state;
    refuse(no_tries, "--retries");
    refuse(long_wait, "60001");
    refuse(no_time, "--timeout");
    refuse(no_bytes, "--slowest");
    refuse(short_hash, "64 digits");
    refuse(other_url, "ftp:");
    refuse(no_size, "size");
    assert_int_equal(kf_pull(NULL, NULL, &out, &err), KF_ERR_ARGUMENT);
    assert_int_equal(kf_pull(NAME, NULL, NULL, &err), KF_ERR_ARGUMENT);
    assert_int_equal(kf_pull("mobilenetv3_huge", NULL, &out, &err), KF_ERR_ARGUMENT);
    out.size = 0;
    assert_int_equal(kf_pull(NAME, NULL, &out, &err), KF_ERR_ARGUMENT);
    kf_pull_result_free(NULL);
}

typedef struct count {
    int calls, stop_at; /* stop_at: the call that asks to stop, 1-based; 0: none */
    uint64_t done, total;
} count;

static int on_progress(void *user, uint64_t done, uint64_t total) {
    count *c = user;
    assert_true(c->stop_at == 0 || c->calls < c->stop_at);
    assert_true(done <= total || total == 0);
    c->done = done, c->total = total;
    return ++c->calls == c->stop_at;
}

static kf_status pull(count *c, kf_pull_result *out, kf_error *err) {
    kf_pull_options o;
    kf_pull_options_init(&o);
    o.mirror = mirror, o.output = goal, o.progress = on_progress, o.user = c;
    return kf_pull(NAME, &o, out, err);
}

static void test_pull(void **state) {
    count c = {0};
    kf_pull_result out = {.size = sizeof out};
    kf_error err = {0};
    (void)state;
    kf_status st = pull(&c, &out, &err);
    if (st == KF_ERR_UNSUPPORTED) skip(); /* no libcurl here */
    gb_ok(st, &err);
    int whole = c.calls;
    assert_true(whole >= 4 && c.done == out.bytes && c.total == out.bytes && out.bytes > 40000);
    assert_true(out.source && strstr(out.source, REPOSITORY) && !out.resumed);
    assert_int_equal(strlen(out.sha256), 64);
    kf_pull_result_free(&out);
    assert_int_equal(count_files(goal), 2);
    c = (count){0};
    gb_ok(pull(&c, &out, &err), &err); /* both are there: nothing is asked for */
    assert_true(!out.source && out.bytes > 40000 && c.calls == 0);
    kf_pull_result_free(&out);
    for (int at = 1; at <= whole; at++) {
        empty(goal);
        c = (count){.stop_at = at};
        assert_int_equal(pull(&c, &out, &err), KF_ERR_CANCELLED);
        assert_non_null(strstr(err.text, "stopped"));
        assert_int_equal(c.calls, at);
        assert_null(out.file);
        assert_int_equal(count_files(goal), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_table), cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_pull)};
    return cmocka_run_group_tests(tests, set_up, clean_up);
}
