/* kf_rewrite: what it tells, what it refuses, and callbacks that stop at every step: the status is CANCELLED and the
 * file that was there is as it was. kf_check: its counts, and the nodes of a file that cannot be imported.
 * Owner rule: the folder of the test is removed at the end. */
#include "graph_builder.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../temporary.h"
#include "kitfox/lab.h"

static char folder[200], model[300], out[300];

static int set_up(void **state) {
    (void)state;
    const char *root = getenv("KITFOX_SOURCE");
    if (!temporary_folder(folder, sizeof folder, "rewrite")) return 1;
    snprintf(model, sizeof model, "%s/tests/fuzz/corpus/onnx/se.onnx", root ? root : ".");
    snprintf(out, sizeof out, "%s/out.onnx", folder);
    return 0;
}

static int clean_up(void **state) {
    (void)state;
    unlink(out);
    return rmdir(folder); /* anything else that was left shows here */
}

typedef struct count {
    size_t calls, stop_at, total; /* stop_at: the call that asks to stop, 1-based; 0: none */
} count;

static int on_progress(void *user, size_t done, size_t total) {
    count *c = user;
    assert_int_equal(done, c->calls + 1);
    assert_true(done <= total && (c->stop_at == 0 || done <= c->stop_at));
    c->total = total;
    return ++c->calls == c->stop_at;
}

static kf_status rewrite(count *c, int32_t runs, kf_rewrite_result *r, kf_error *err) {
    kf_rewrite_options o;
    kf_rewrite_options_init(&o);
    o.level = KF_OPTIMIZE_FUSE, o.runs = runs, o.progress = on_progress, o.user = c;
    return kf_rewrite(model, out, &o, r, err);
}

static off_t size_of(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 ? st.st_size : -1;
}

static void test_stops(void **state) {
    kf_error err = {0};
    kf_rewrite_result r = {.size = sizeof r};
    count whole = {0};
    (void)state;
    for (size_t at = 1; at <= 4; at++) {
        count c = {.stop_at = at};
        assert_int_equal(rewrite(&c, 2, &r, &err), KF_ERR_CANCELLED);
        assert_non_null(strstr(err.text, "nothing was written"));
        assert_int_equal(r.opset, 0);
        assert_int_equal(size_of(out), -1);
    }
    gb_ok(rewrite(&whole, 2, &r, &err), &err);
    assert_true(whole.calls == 4 && whole.total == 4);
    assert_true(r.nodes_before > 0 && r.nodes_after > 0 && r.opset > 0 && !r.inexact && r.max_difference <= 1e-5);
    off_t size = size_of(out);
    assert_true(size > 100);
    count c = {.stop_at = 3};
    assert_int_equal(rewrite(&c, 1, &r, &err), KF_ERR_CANCELLED);
    assert_int_equal(size_of(out), size);
}

static void refuse(kf_rewrite_options *o, const char *in, const char *to, kf_status status, const char *word) {
    kf_error err = {0};
    assert_int_equal(kf_rewrite(in, to, o, NULL, &err), status);
    assert_non_null(strstr(err.text, word));
}

static void test_refused(void **state) {
    kf_rewrite_options o;
    kf_rewrite_result r = {.size = 1};
    kf_import_options import;
    (void)state;
    kf_rewrite_options_init(&o);
    gb_ok(kf_rewrite(model, out, NULL, NULL, NULL), &(kf_error){0}); /* all of them may be left out */
    refuse(&o, out, out, KF_ERR_ARGUMENT, "that is the input");
    refuse(&o, NULL, out, KF_ERR_ARGUMENT, "model");
    refuse(&o, "no/such.onnx", out, KF_ERR_IO, "no/such.onnx");
    refuse(&o, model, "no/such/folder.onnx", KF_ERR_IO, "no/such/folder.onnx");
    assert_int_equal(kf_rewrite(model, out, &o, &r, NULL), KF_ERR_ARGUMENT);
    o.runs = -1;
    refuse(&o, model, out, KF_ERR_ARGUMENT, "-1");
    kf_rewrite_options_init(&o);
    o.level = (kf_optimize_level)9;
    refuse(&o, model, out, KF_ERR_ARGUMENT, "9");
    kf_rewrite_options_init(&o);
    kf_import_options_init(&import);
    import.input_shape = "nonsense", o.import = &import;
    refuse(&o, model, out, KF_ERR_ARGUMENT, "nonsense");
}

/* A file of data/ in the folder of the test, whose name is in `path`. */
static void copy(const char *name, char path[400]) {
    char from[400];
    void *data = NULL;
    size_t bytes;
    kf_error err = {0};
    const char *root = getenv("KITFOX_SOURCE");
    snprintf(from, sizeof from, "%s/data/%s", root ? root : ".", name);
    snprintf(path, 400, "%s/%s", folder, name);
    gb_ok(kf_file_read(from, 1 << 26, &data, &bytes, &err), &err);
    gb_ok(kf_file_write(path, data, bytes, 0, &err), &err);
    free(data);
}

static void on_file(void *user, const char *path) {
    assert_non_null(strstr(path, "everyday10.json"));
    ++*(int *)user;
}

/* What is beside the model is read too: it cannot be the file that is written. */
static void test_beside(void **state) {
    kf_rewrite_options o;
    kf_import_options import;
    char json[400], checkpoint[400];
    int heard = 0;
    (void)state;
    copy("everyday10.json", json);
    copy("everyday10.safetensors", checkpoint);
    off_t size = size_of(json);
    kf_rewrite_options_init(&o);
    kf_import_options_init(&import);
    import.file = on_file, import.file_user = &heard, o.import = &import;
    refuse(&o, checkpoint, json, KF_ERR_ARGUMENT, "that is the input");
    assert_int_equal(size_of(json), size);
    assert_int_equal(heard, 1);
    unlink(json), unlink(checkpoint);
}

static uint32_t bit(const char *key) {
    const kf_field *f;
    for (int32_t k = 0; (f = kf_preprocess_field(k)) != NULL; k++)
        if (strcmp(f->key, key) == 0) return (uint32_t)1 << k;
    fail_msg("no member %s", key);
    return 0;
}

static void test_picture(void **state) {
    kf_graph *g = NULL;
    kf_error err = {0};
    kf_graph_info info = {.size = sizeof info}, old = info;
    kf_preprocess given;
    (void)state;
    kf_preprocess_init(&given);
    given.mean[1] = 0.25;
    gb_ok(kf_graph_import(model, NULL, &g, &err), &err);
    gb_ok(kf_graph_get_info(g, &old, &err), &err);
    int32_t side = old.preprocess.width;
    for (int32_t resize = side; resize < side + 300; resize++) { /* the short side is met whatever is divided */
        gb_ok(kf_graph_change_picture(g, &given, bit("mean"), resize, &err), &err);
        gb_ok(kf_graph_get_info(g, &info, &err), &err);
        assert_int_equal((int32_t)floor(side / info.preprocess.crop_pct), resize);
    }
    assert_true(info.preprocess.mean[1] == 0.25 && info.preprocess.std[0] == old.preprocess.std[0]);
    assert_int_equal(kf_graph_change_picture(g, &given, 0, side - 1, &err), KF_ERR_ARGUMENT);
    assert_non_null(strstr(err.text, "--resize"));
    assert_int_equal(kf_graph_change_picture(g, &given, 0, -1, &err), KF_ERR_ARGUMENT);
    assert_int_equal(kf_graph_change_picture(NULL, &given, 0, 0, &err), KF_ERR_ARGUMENT);
    kf_graph_destroy(&g);
}

/* Every member that a person may set, from C and into the model. */
static void test_members(void **state) {
    kf_graph *g = NULL;
    kf_model *m = NULL;
    kf_error err = {0};
    kf_model_info info = {.size = sizeof info};
    kf_preprocess given;
    (void)state;
    kf_preprocess_init(&given);
    given.crop = KF_CROP_FIT_PAD, given.filter = KF_FILTER_NEAREST, given.color = KF_COLOR_BGR, given.crop_pct = 0.5;
    uint32_t fields = bit("crop_mode") | bit("interpolation") | bit("color") | bit("crop_pct");
    gb_ok(kf_graph_import(model, NULL, &g, &err), &err);
    gb_ok(kf_graph_change_picture(g, &given, fields, 0, &err), &err);
    gb_ok(kf_graph_compile(g, NULL, &m, &err), &err);
    gb_ok(kf_model_get_info(m, &info, &err), &err);
    assert_int_equal(info.preprocess.crop, KF_CROP_FIT_PAD);
    assert_int_equal(info.preprocess.filter, KF_FILTER_NEAREST);
    assert_int_equal(info.preprocess.color, KF_COLOR_BGR);
    assert_true(info.preprocess.crop_pct == 0.5);
    assert_int_equal(info.preprocess_origin, KF_ORIGIN_GIVEN);
    kf_model_destroy(&m);
    kf_graph_destroy(&g);
}

static void test_check(void **state) {
    kf_error err = {0};
    kf_check_result r = {.size = sizeof r};
    size_t sum = 0;
    (void)state;
    gb_ok(kf_check(model, NULL, &r, &err), &err);
    for (int v = 0; v < KF_FATE_COUNT; v++) sum += r.count[v];
    assert_true(sum == r.n && r.n > 5 && r.count[KF_FATE_FUSED] > 0 && r.count[KF_FATE_UNSUPPORTED] == 0);
    for (size_t i = 0; i < r.n; i++) {
        const kf_checked_node *n = &r.nodes[i];
        assert_true(n->op[0] && n->rank > 0 && n->shape[0] == 1);
        assert_int_equal(n->fate == KF_FATE_FOLDED, n->detail[0] == 0);
    }
    kf_check_result_free(&r);
    assert_true(r.n == 0 && r.nodes == NULL && r.size == sizeof r);
    kf_check_result_free(&r);
    assert_int_equal(kf_check("no/such.onnx", NULL, &r, &err), KF_ERR_IO);
    assert_int_equal(r.n, 0);
    assert_int_equal(kf_check(NULL, NULL, &r, &err), KF_ERR_ARGUMENT);
    assert_int_equal(kf_check(model, NULL, NULL, &err), KF_ERR_ARGUMENT);
    r.size = 0;
    assert_int_equal(kf_check(model, NULL, &r, &err), KF_ERR_ARGUMENT);
    kf_check_result_free(NULL);
}

/* Half of the file's operators get names that nobody has. */
static void test_unknown(void **state) {
    kf_error err = {0};
    kf_check_result r = {.size = sizeof r};
    void *data = NULL;
    size_t bytes, changed = 0;
    (void)state;
    gb_ok(kf_file_read(model, 1 << 20, &data, &bytes, &err), &err);
    for (char *p = data; p + 6 < (char *)data + bytes; p++)
        if (memcmp(p, "\x04Relu", 5) == 0) memcpy(p + 1, "Rolu", 4), changed++;
    assert_true(changed > 0);
    gb_ok(kf_file_write(out, data, bytes, 0, &err), &err);
    free(data);
    assert_int_equal(kf_check(out, NULL, &r, &err), KF_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "Rolu"));
    assert_int_equal(r.count[KF_FATE_UNSUPPORTED], changed);
    assert_int_equal(r.count[KF_FATE_UNJUDGED], r.n - changed);
    kf_check_result_free(&r);
}

static void test_verdicts(void **state) {
    kf_node_fate v = KF_FATE_COUNT;
    kf_error err = {0};
    (void)state;
    for (int i = 0; i < KF_FATE_COUNT; i++) {
        gb_ok(kf_node_fate_from_name(kf_node_fate_name((kf_node_fate)i), &v, &err), &err);
        assert_int_equal(v, i);
    }
    assert_null(kf_node_fate_name(KF_FATE_COUNT));
    assert_int_equal(kf_node_fate_from_name("fine", &v, &err), KF_ERR_ARGUMENT);
    assert_non_null(strstr(err.text, "not judged"));
    assert_int_equal(kf_node_fate_from_name(NULL, &v, &err), KF_ERR_ARGUMENT);
    assert_int_equal(v, KF_FATE_UNJUDGED);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_stops),   cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_beside),  cmocka_unit_test(test_check),
                                       cmocka_unit_test(test_unknown), cmocka_unit_test(test_verdicts),
                                       cmocka_unit_test(test_picture), cmocka_unit_test(test_members)};
    return cmocka_run_group_tests(tests, set_up, clean_up);
}
