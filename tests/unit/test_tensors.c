/* A checkpoint from memory: the graph of everyday10's tensors is that of its file, byte for byte, and each fault of a
 * tensor is refused by name. Links libkitfoxc.
 * Owner rule: each test destroys what it makes; the tensors borrow from the file's bytes. */
#include "graph_builder.h"

#include <stdlib.h>

#include "container/container.h"
#include "kitfox/compile.h"

enum { MOST = 512 };

static char path[1024];
static void *file;
static kf__container box;
static kf_tensor tensors[MOST];
static size_t n_tensors;

static int set_up(void **state) {
    (void)state;
    size_t bytes;
    kf_error err = {0};
    const char *root = getenv("KITFOX_SOURCE");
    snprintf(path, sizeof path, "%s/data/everyday10.safetensors", root ? root : ".");
    gb_ok(kf_file_read(path, 64 << 20, &file, &bytes, &err), &err);
    gb_ok(kf__container_read(file, bytes, &box, &err), &err);
    assert_true(box.n_tensors > 0 && box.n_tensors <= MOST);
    n_tensors = box.n_tensors;
    for (size_t i = 0; i < n_tensors; i++) {
        const kf__container_tensor *from = &box.tensors[i];
        kf_tensor *t = &tensors[n_tensors - 1 - i]; /* any order will do */
        *t = (kf_tensor){.name = from->name, .dtype = from->dtype, .rank = from->shape.rank, .bytes = from->bytes};
        for (int32_t k = 0; k < t->rank; k++) t->shape[k] = from->shape.dim[k];
        t->data = (void *)(uintptr_t)from->data;
    }
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    kf__container_free(&box);
    free(file);
    return 0;
}

/* With all that a JSON file would say. */
static kf_import_options told(void) {
    static const char *const LABELS[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"};
    static kf_preprocess p;
    kf_import_options o;
    kf_import_options_init(&o);
    kf_preprocess_init(&p);
    o.preprocess = &p, o.labels = LABELS, o.n_labels = 10, o.input_shape = "1x3x64x64";
    return o;
}

static void *bytes_of(kf_graph *g, size_t *bytes) {
    void *data = NULL;
    kf_error err = {0};
    gb_ok(kf_graph_optimize(g, KF_OPTIMIZE_FUSE, &err), &err);
    gb_ok(kf_graph_write_onnx(g, &data, bytes, &err), &err);
    return data;
}

static void test_equal(void **state) {
    (void)state;
    kf_graph *a = NULL, *b = NULL;
    kf_error err = {0};
    size_t n, m;
    kf_graph_info of_file = {.size = sizeof of_file}, of_memory = {.size = sizeof of_memory};
    kf_import_options o = told();
    gb_ok(kf_graph_import(path, &o, &a, &err), &err);
    gb_ok(kf_graph_get_info(a, &of_file, &err), &err);
    gb_ok(kf_graph_import_tensors(tensors, n_tensors, of_file.arch, &o, &b, &err), &err);
    gb_ok(kf_graph_get_info(b, &of_memory, &err), &err);
    assert_string_equal(of_memory.arch, of_file.arch);
    assert_int_equal(of_memory.n_labels, 10);
    assert_memory_equal(&of_memory.preprocess, &of_file.preprocess, sizeof of_file.preprocess);
    void *x = bytes_of(a, &n), *y = bytes_of(b, &m);
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    free(x), free(y);
    kf_graph_destroy(&a), kf_graph_destroy(&b);
}

static void test_recognized(void **state) {
    (void)state;
    kf_graph *g = NULL;
    kf_error err = {0};
    kf_graph_info info = {.size = sizeof info};
    gb_ok(kf_graph_import_tensors(tensors, n_tensors, NULL, NULL, &g, &err), &err);
    gb_ok(kf_graph_get_info(g, &info, &err), &err);
    assert_non_null(info.arch);
    assert_true(info.preprocess.valid); /* the architecture's */
    kf_graph_destroy(&g);
}

static void test_faults(void **state) {
    (void)state;
    static const struct {
        kf_status status;
        const char *says;
    } CASES[] = {{KF_ERR_ARGUMENT, "no name"},   {KF_ERR_ARGUMENT, "rank 9"}, {KF_ERR_ARGUMENT, "bytes"},
                 {KF_ERR_ARGUMENT, "0 bytes"},   {KF_ERR_ARGUMENT, "twice"},  {KF_ERR_FORMAT, "f64"},
                 {KF_ERR_UNSUPPORTED, "tensor"}, {KF_ERR_ARGUMENT, "bytes"}};
    for (size_t i = 0; i < KF_COUNT(CASES); i++) {
        kf_tensor mine[MOST];
        kf_graph *g = NULL;
        kf_error err = {0};
        size_t n = n_tensors, at = 0;
        memcpy(mine, tensors, sizeof mine);
        while (mine[at].rank != 4) at++;
        if (i == 0) mine[at].name = NULL;
        if (i == 1) mine[at].rank = 9;
        if (i == 2) mine[at].bytes--;
        if (i == 3) mine[at].data = NULL;
        if (i == 4) mine[at] = mine[at + 1];
        if (i == 5) mine[at].dtype = KF_F64, mine[at].bytes *= 2;
        if (i == 6) mine[at].name = "elsewhere";
        if (i == 7) mine[at].shape[0] = INT64_MAX;
        assert_int_equal(kf_graph_import_tensors(mine, n, NULL, NULL, &g, &err), CASES[i].status);
        if (!strstr(err.text, CASES[i].says)) fail_msg("%zu: no %s in %s", i, CASES[i].says, err.text);
        assert_null(g);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_equal), cmocka_unit_test(test_recognized),
                                       cmocka_unit_test(test_faults)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
