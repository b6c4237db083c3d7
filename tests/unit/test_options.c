/* Structures with a size, ranges of options, and missing pointers: every public call that takes them, by tables.
 * Cutting the structure short, or making it longer, stands for a caller of another version.
 * Owner rule: each test destroys what it makes. */
#include "graph_builder.h"

#include <stdlib.h>

#include "kitfox/compile.h"

enum { ROOM = 512, SIDE = 8, PIXELS = SIDE * SIDE * 3, SAMPLES = 8 };

static void *onnx;
static size_t onnx_bytes;
static kf_model *model;
static kf_session *session;

static kf_graph *open_graph(void) {
    kf_graph *g = NULL;
    kf_error err = {0};
    gb_ok(kf_graph_import_onnx_memory(onnx, onnx_bytes, NULL, &g, &err), &err);
    return g;
}

static int set_up(void **state) {
    (void)state;
    char path[1024];
    kf_error err = {0};
    const char *root = getenv("KITFOX_SOURCE");
    snprintf(path, sizeof path, "%s/tests/fuzz/corpus/onnx/se.onnx", root ? root : ".");
    gb_ok(kf_file_read(path, 1 << 20, &onnx, &onnx_bytes, &err), &err);
    kf_graph *g = open_graph();
    gb_ok(kf_graph_compile(g, NULL, &model, &err), &err);
    gb_ok(kf_session_create(model, NULL, &session, &err), &err);
    kf_graph_destroy(&g);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    kf_session_destroy(&session);
    kf_model_destroy(&model);
    free(onnx);
    return 0;
}

/* ---- calls with options ------------------------------------------------------------------------------------------ */

static kf_status with_session(const void *o, kf_error *err) {
    kf_session *s = NULL;
    kf_status st = kf_session_create(model, o, &s, err);
    kf_session_destroy(&s);
    return st;
}

static kf_status with_compile(const void *o, kf_error *err) {
    kf_model *m = NULL;
    kf_graph *g = open_graph();
    kf_status st = kf_graph_compile(g, o, &m, err);
    kf_model_destroy(&m);
    kf_graph_destroy(&g);
    return st;
}

static char compiled[1024];
static kf_status with_load(const void *o, kf_error *err) {
    kf_model *m = NULL;
    kf_status st = kf_model_load(compiled, o, &m, err);
    kf_model_destroy(&m);
    return st;
}

static kf_status with_load_memory(const void *o, kf_error *err) {
    void *data = NULL;
    size_t bytes;
    kf_model *m = NULL;
    gb_ok(kf_file_read(compiled, 1 << 20, &data, &bytes, err), err);
    kf_status st = kf_model_load_memory(data, bytes, o, &m, err);
    kf_model_destroy(&m);
    free(data);
    return st;
}

static kf_status with_import_memory(const void *o, kf_error *err) {
    kf_graph *g = NULL;
    kf_status st = kf_graph_import_onnx_memory(onnx, onnx_bytes, o, &g, err);
    kf_graph_destroy(&g);
    return st;
}

static kf_status with_import(const void *o, kf_error *err) {
    kf_graph *g = NULL;
    kf_status st = kf_graph_import(compiled, o, &g, err);
    kf_graph_destroy(&g);
    return st;
}

static kf_status with_quantize(const void *o, kf_error *err) {
    static unsigned char pixels[SAMPLES][PIXELS];
    kf_tensor t[SAMPLES];
    kf_graph *g = open_graph();
    for (int i = 0; i < SAMPLES; i++) {
        for (int k = 0; k < PIXELS; k++) pixels[i][k] = (unsigned char)(i * 37 + k * 11 + k % (i + 3) * 5);
        t[i] = (kf_tensor){.dtype = KF_U8, .rank = 3, .shape = {SIDE, SIDE, 3}, .data = pixels[i], .bytes = PIXELS};
    }
    kf_status st = kf_graph_quantize(g, t, SAMPLES, o, err);
    kf_graph_destroy(&g);
    return st;
}

static kf_status with_image(const void *o, kf_error *err) {
    static const char PPM[] = "P6 1 1 255\nabc";
    kf_image image;
    kf_status st = kf_image_load_memory(PPM, sizeof PPM - 1, o, &image, err);
    kf_image_free(&image);
    return st;
}

static void model_init(void *o) { kf_model_options_init(o); }
static void session_init(void *o) { kf_session_options_init(o); }
static void import_init(void *o) { kf_import_options_init(o); }
static void quantize_init(void *o) { kf_quantize_options_init(o); }
static void image_init(void *o) { kf_image_options_init(o); }

static const struct {
    const char *type;
    size_t size;
    void (*init)(void *o);
    kf_status (*call)(const void *o, kf_error *err);
} CALLS[] = {
    {"kf_session_options", sizeof(kf_session_options), session_init, with_session},
    {"kf_model_options", sizeof(kf_model_options), model_init, with_compile},
    {"kf_model_options", sizeof(kf_model_options), model_init, with_load},
    {"kf_model_options", sizeof(kf_model_options), model_init, with_load_memory},
    {"kf_import_options", sizeof(kf_import_options), import_init, with_import_memory},
    {"kf_import_options", sizeof(kf_import_options), import_init, with_import},
    {"kf_quantize_options", sizeof(kf_quantize_options), quantize_init, with_quantize},
    {"kf_image_options", sizeof(kf_image_options), image_init, with_image},
};

/* Options with `size` bytes by their own word; beyond what `init` made there is `rest`. */
static kf_status call(size_t i, size_t size, int rest, kf_error *err) {
    union {
        size_t size;
        max_align_t align;
        char bytes[ROOM];
    } o;
    memset(&o, rest, sizeof o);
    CALLS[i].init(&o);
    if (size < CALLS[i].size) memset(o.bytes + size, rest, CALLS[i].size - size);
    o.size = size;
    *err = (kf_error){0};
    return CALLS[i].call(&o, err);
}

static void test_sizes(void **state) {
    (void)state;
    kf_error err;
    for (size_t i = 0; i < KF_COUNT(CALLS); i++) {
        size_t own = CALLS[i].size;
        gb_ok(CALLS[i].call(NULL, &err), &err);
        gb_ok(call(i, own, 0xff, &err), &err);            /* nothing beyond its size counts */
        gb_ok(call(i, sizeof(size_t), 0xff, &err), &err); /* defaults for all it lacks */
        gb_ok(call(i, own + 64, 0, &err), &err);
        const size_t bad[] = {0, sizeof(size_t) - 1, own + 1, own + 64, 5000, (size_t)-1};
        for (size_t k = 0; k < KF_COUNT(bad); k++) {
            assert_int_equal(call(i, bad[k], 1, &err), KF_ERR_ARGUMENT);
            assert_int_equal(err.status, KF_ERR_ARGUMENT);
            assert_non_null(strstr(err.text, CALLS[i].type));
        }
    }
}

/* A structure of an older version: what came later has its default, not what lies behind. */
static void test_older(void **state) {
    (void)state;
    kf_error err = {0};
    kf_session *s = NULL;
    kf_session_options o;
    kf_session_options_init(&o);
    o.threads = 2, o.max_session_bytes = 1;
    assert_int_equal(kf_session_create(model, &o, &s, &err), KF_ERR_LIMIT);
    o.size = offsetof(kf_session_options, max_session_bytes);
    gb_ok(kf_session_create(model, &o, &s, &err), &err);
    int32_t wanted;
    kf_session_threads(s, &wanted);
    assert_int_equal(wanted, 2);
    kf_session_destroy(&s);
}

/* Information for an older caller ends where his structure does; a newer caller's rest is 0; no size is refused. */
static void test_information(void **state) {
    (void)state;
    union {
        kf_step_info is;
        char bytes[ROOM];
    } a;
    kf_error err = {0};
    memset(&a, 0x5a, sizeof a);
    a.is.size = offsetof(kf_step_info, op);
    gb_ok(kf_model_step(model, 0, &a.is, &err), &err);
    assert_non_null(a.is.name);
    for (size_t i = offsetof(kf_step_info, op); i < sizeof a; i++) assert_int_equal(a.bytes[i], 0x5a);
    a.is.size = sizeof a.is + 16;
    gb_ok(kf_model_step(model, 0, &a.is, &err), &err);
    assert_non_null(a.is.kernel);
    for (size_t i = sizeof a.is; i < sizeof a.is + 16; i++) assert_int_equal(a.bytes[i], 0);
    assert_int_equal(a.bytes[sizeof a.is + 16], 0x5a);
    assert_int_equal(a.is.size, sizeof a.is + 16);
    kf_graph *g = open_graph();
    kf_model_info m = {0};
    kf_step_info s = {0};
    kf_graph_info gi = {0};
    kf_node_info n = {0};
    kf_zoo_entry z = {0};
    assert_int_equal(kf_model_get_info(model, &m, NULL), KF_ERR_ARGUMENT);
    assert_int_equal(kf_model_step(model, 0, &s, &err), KF_ERR_ARGUMENT);
    assert_non_null(strstr(err.text, "kf_step_info"));
    assert_int_equal(kf_session_step(session, 0, &s, &err), KF_ERR_ARGUMENT);
    assert_int_equal(kf_graph_get_info(g, &gi, &err), KF_ERR_ARGUMENT);
    assert_int_equal(kf_graph_node(g, 0, &n, &err), KF_ERR_ARGUMENT);
    assert_int_equal(kf_zoo_get(0, &z, &err), KF_ERR_ARGUMENT);
    kf_graph_destroy(&g);
}

/* ---- ranges ------------------------------------------------------------------------------------------------------ */

#define REFUSES(word, call)                                                                                            \
    do {                                                                                                               \
        err = (kf_error){0};                                                                                           \
        kf_status st_ = (call);                                                                                        \
        if (st_ != KF_ERR_ARGUMENT || err.status != st_) fail_msg("%s: %s, %s", #call, kf_status_name(st_), err.text); \
        if (!strstr(err.text, word)) fail_msg("%s: no %s in '%s'", #call, word, err.text);                             \
    } while (0)

static void test_threads(void **state) {
    (void)state;
    static const int32_t BAD[] = {-4, -1, 65, 100000};
    kf_error err;
    for (size_t i = 0; i < KF_COUNT(BAD); i++) {
        kf_session_options s;
        kf_quantize_options q;
        kf_verify_report v = {.size = sizeof v};
        kf_session_options_init(&s), kf_quantize_options_init(&q);
        s.threads = q.threads = BAD[i];
        REFUSES("threads", with_session(&s, &err));
        REFUSES("threads", with_quantize(&q, &err));
        REFUSES("threads", kf_model_verify(model, BAD[i], &v, &err));
    }
}

static void test_members(void **state) {
    (void)state;
    static const char *const HOLE[] = {"a", NULL};
    kf_error err;
#define MEMBER(type, word, call, ...)                                                                                  \
    do {                                                                                                               \
        kf_##type##_options o;                                                                                         \
        kf_##type##_options_init(&o);                                                                                  \
        __VA_ARGS__;                                                                                                   \
        REFUSES(word, call(&o, &err));                                                                                 \
    } while (0)
    MEMBER(session, "max_operations", with_session, o.max_operations = -1);
    MEMBER(model, "max_operations", with_load, o.max_operations = -1);
    MEMBER(image, "side", with_image, o.max_side = 0);
    MEMBER(image, "pixels", with_image, o.max_pixels = -1);
    MEMBER(image, "scans", with_image, o.max_scans = 0);
    MEMBER(import, "labels", with_import_memory, o.n_labels = -1);
    MEMBER(import, "labels", with_import_memory, o.n_labels = 2);
    MEMBER(import, "label 1", with_import_memory, o.labels = HOLE, o.n_labels = 2);
    MEMBER(quantize, "range", with_quantize, o.range = (kf_range_method)4);
    MEMBER(quantize, "percentile", with_quantize, o.percentile = 49);
    MEMBER(quantize, "cosine", with_quantize, o.target_cosine = 1.5);
    MEMBER(quantize, "int16_nodes", with_quantize, o.n_int16 = -1);
    MEMBER(quantize, "int16_outputs", with_quantize, o.n_int16_outputs = 1);
    MEMBER(quantize, "int16_weights", with_quantize, o.int16_weights = HOLE, o.n_int16_weights = 2);
}

static void test_tensors(void **state) {
    (void)state;
    unsigned char rgb[PIXELS] = {0};
    float x[PIXELS] = {0}, y[4];
    kf_error err = {0};
    kf_tensor in, out;
    gb_ok(kf_model_input(model, 0, &in, &err), &err);
    gb_ok(kf_model_output(model, 0, &out, &err), &err);
    REFUSES("stride of 23 bytes; a row of pixels has 24", kf_session_run_rgb(session, rgb, 23, y, 4, &err));
    REFUSES("3 scores", kf_session_run_rgb(session, rgb, 24, y, 3, &err));
    in.data = NULL, out.data = y;
    assert_int_equal(kf_session_run(session, &in, 1, &out, 1, &err), KF_ERR_SHAPE);
    assert_non_null(strstr(err.text, "data of 0 bytes"));
    in.data = x, in.bytes = 12;
    assert_int_equal(kf_session_run(session, &in, 1, &out, 1, &err), KF_ERR_SHAPE);
    assert_non_null(strstr(err.text, "data of 12 bytes"));
    in.bytes = sizeof x, out.bytes = 8;
    assert_int_equal(kf_session_run(session, &in, 1, &out, 1, &err), KF_ERR_SHAPE);
    assert_non_null(strstr(err.text, "data of 8 bytes given, 16"));
    out.bytes = sizeof y;
    gb_ok(kf_session_run(session, &in, 1, &out, 1, &err), &err);
}

/* ---- missing pointers -------------------------------------------------------------------------------------------- */

static void test_missing(void **state) {
    (void)state;
    kf_error err;
    kf_graph *g = open_graph();
    kf_graph *h;
    kf_model *m;
    kf_session *s;
    kf_tensor t;
    kf_image picture = {0};
    kf_preprocess p;
    unsigned char byte = 0;
    float y[4];
    void *data;
    size_t n;
    int fd;
    uint64_t bytes;
    char hex[65];
    REFUSES("path", kf_model_load(NULL, NULL, &m, &err));
    REFUSES("out", kf_model_load("x", NULL, NULL, &err));
    REFUSES("data", kf_model_load_memory(NULL, 4, NULL, &m, &err));
    REFUSES("path", kf_file_read(NULL, 1, &data, &n, &err));
    REFUSES("input", kf_model_input(model, 1, &t, &err));
    REFUSES("input", kf_model_input(NULL, 0, &t, &err));
    REFUSES("output", kf_model_output(model, -1, &t, &err));
    REFUSES("step", kf_model_step(model, -1, NULL, &err));
    REFUSES("step", kf_session_step(NULL, 0, NULL, &err));
    REFUSES("model", kf_model_verify(NULL, 0, NULL, &err));
    REFUSES("model", kf_session_create(NULL, NULL, &s, &err));
    REFUSES("out", kf_session_create(model, NULL, NULL, &err));
    REFUSES("session", kf_session_run(NULL, &t, 1, &t, 1, &err));
    REFUSES("pixels", kf_session_run_rgb(session, NULL, 24, y, 4, &err));
    REFUSES("image", kf_session_classify(session, NULL, 1, NULL, &n, &err));
    REFUSES("frame", kf_session_classify_nv12(session, NULL, 1, NULL, &n, &err));
    REFUSES("session", kf_session_watch(NULL, NULL, NULL, &err));
    REFUSES("session", kf_session_replace(NULL, -1, NULL, &err));
    REFUSES("inputs", kf_session_run_step(session, 0, NULL, y, &err));
    REFUSES("picture", kf_image_create(4, 4, NULL, &err));
    REFUSES("picture", kf_image_preprocess(NULL, &p, &picture, &err));
    REFUSES("picture", kf_image_preprocess(&picture, &p, NULL, &err));
    REFUSES("picture", kf_image_resize(NULL, 1, 1, KF_FILTER_NEAREST, NULL, &picture, &err));
    REFUSES("picture", kf_image_resize(&picture, 1, 1, KF_FILTER_NEAREST, NULL, NULL, &err));
    REFUSES("frame", kf_image_from_nv12(NULL, &picture, &err));
    REFUSES("frame", kf_image_from_nv12(&(kf_nv12){.width = 2}, NULL, &err));
    REFUSES("picture", kf_image_to_nv12(NULL, 0, &byte, 1, &err));
    REFUSES("out", kf_image_load_memory("x", 1, NULL, NULL, &err));
    REFUSES("path", kf_image_load(NULL, NULL, &picture, &err));
    REFUSES("path", kf_graph_import(NULL, NULL, &h, &err));
    REFUSES("tensors", kf_graph_import_tensors(NULL, 1, NULL, NULL, &h, &err));
    REFUSES("data", kf_graph_import_onnx_memory(NULL, 4, NULL, &h, &err));
    REFUSES("graph", kf_graph_optimize(NULL, KF_OPTIMIZE_FUSE, &err));
    REFUSES("level", kf_graph_optimize(g, (kf_optimize_level)2, &err));
    REFUSES("lists", kf_graph_trim(g, NULL, 1, NULL, 0, NULL, &err));
    REFUSES("node", kf_graph_set_outputs(g, NULL, 1, &err));
    REFUSES("graph", kf_graph_set_preprocess(NULL, NULL, &err));
    REFUSES("graph", kf_graph_set_input_range(g, 2, &err));
    REFUSES("graph", kf_graph_compile(NULL, NULL, &m, &err));
    REFUSES("path", kf_graph_save(g, NULL, &err));
    REFUSES("path", kf_graph_save_onnx(g, NULL, &err));
    REFUSES("data", kf_graph_write_onnx(g, NULL, &n, &err));
    REFUSES("form", kf_graph_set_qdq_form(g, (kf_qdq_form)2, &err));
    REFUSES("inputs", kf_graph_run_reference(g, NULL, 1, NULL, 0, &err));
    REFUSES("graph", kf_graph_get_info(NULL, NULL, &err));
    REFUSES("graph", kf_graph_input(NULL, 0, &t, &err));
    REFUSES("graph", kf_graph_output(g, 0, NULL, &err));
    REFUSES("node", kf_graph_node(g, -1, NULL, &err));
    REFUSES("graph", kf_graph_quantize(NULL, NULL, 0, NULL, &err));
    REFUSES("node", kf_graph_quantized_node(g, 0, NULL, &err));
    REFUSES("node", kf_graph_quantized_histogram(g, 0, 0, NULL, &err));
    REFUSES("graph", kf_graph_quantized_summary(NULL, NULL, NULL, NULL, &err));
    REFUSES("graph", kf_graph_search_result(g, NULL, &err));
    REFUSES("candidate", kf_graph_search_candidate(g, 0, NULL, &err));
    REFUSES("zoo", kf_zoo_get(0, NULL, &err));
    REFUSES("path", kf_file_open(NULL, &fd, &bytes, &err));
    REFUSES("path", kf_file_write(NULL, "x", 1, 0, &err));
    REFUSES("path", kf_file_check(NULL, &err));
    REFUSES("path", kf_file_sha256(NULL, hex, &err));
    REFUSES("name", kf_preprocess_by_name(NULL, &p, &err));
    kf_graph_destroy(&g);
}

int main(void) {
    const char *root = getenv("KITFOX_SOURCE");
    snprintf(compiled, sizeof compiled, "%s/tests/golden/int8_v1.kfx", root ? root : ".");
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sizes),       cmocka_unit_test(test_older),
                                       cmocka_unit_test(test_information), cmocka_unit_test(test_threads),
                                       cmocka_unit_test(test_members),     cmocka_unit_test(test_tensors),
                                       cmocka_unit_test(test_missing)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
