/* Progress callbacks that stop: at every call of the quantizer, and of the search for a target. The status is
 * CANCELLED, nothing more is called, and the graph can be destroyed. Leaks are for the build with sanitizers. Owner
 * rule: each test destroys what it makes. */
#include "graph_builder.h"

#include <stdlib.h>

#include "kitfox/compile.h"

enum { SIDE = 8, PIXELS = SIDE * SIDE * 3, SAMPLES = 8 };

typedef struct count {
    size_t calls, stop_at; /* stop_at: the call that asks to stop, 1-based; 0: none */
    size_t before, last;   /* calls before the first node was done; what the last one said */
} count;

static int on_progress(void *user, size_t done, size_t total) {
    count *c = user;
    assert_true(done >= c->last && done <= total);
    c->before += done == 0, c->last = done;
    assert_true(c->stop_at == 0 || c->calls < c->stop_at);
    return ++c->calls == c->stop_at;
}

static kf_status quantize(count *c, double cosine, int32_t threads, kf_error *err) {
    static unsigned char pixels[SAMPLES][PIXELS];
    kf_tensor t[SAMPLES];
    void *onnx = NULL;
    size_t bytes;
    char path[1024];
    kf_graph *g = NULL;
    kf_quantize_options o;
    const char *root = getenv("KITFOX_SOURCE");
    snprintf(path, sizeof path, "%s/tests/fuzz/corpus/onnx/se.onnx", root ? root : ".");
    gb_ok(kf_file_read(path, 1 << 20, &onnx, &bytes, err), err);
    gb_ok(kf_graph_import_onnx_memory(onnx, bytes, NULL, &g, err), err);
    for (int i = 0; i < SAMPLES; i++) {
        for (int k = 0; k < PIXELS; k++) pixels[i][k] = (unsigned char)(i * 37 + k * 11 + k % (i + 3) * 5);
        t[i] = (kf_tensor){.dtype = KF_U8, .rank = 3, .shape = {SIDE, SIDE, 3}, .data = pixels[i], .bytes = PIXELS};
    }
    kf_quantize_options_init(&o);
    o.threads = threads, o.target_cosine = cosine, o.max_int16_macs = 100;
    o.progress = on_progress, o.user = c;
    kf_status st = kf_graph_quantize(g, t, SAMPLES, &o, err);
    kf_graph_destroy(&g);
    free(onnx);
    return st;
}

static void stop_everywhere(double cosine, int32_t threads, size_t least) {
    kf_error err = {0};
    count whole = {0};
    gb_ok(quantize(&whole, cosine, threads, &err), &err);
    assert_true(whole.calls >= least);
    assert_true(whole.before >= 4); /* each node is observed before channels are scaled */
    for (size_t at = 1; at <= whole.calls; at += 1 + whole.calls / 64) {
        count c = {.stop_at = at};
        err = (kf_error){0};
        assert_int_equal(quantize(&c, cosine, threads, &err), KF_ERR_CANCELLED);
        assert_int_equal(err.status, KF_ERR_CANCELLED);
        assert_non_null(strstr(err.text, "stopped"));
        assert_int_equal(c.calls, at);
    }
}

static void test_quantizer(void **state) {
    (void)state;
    stop_everywhere(0, 1, 4);
}

static void test_search(void **state) {
    (void)state;
    stop_everywhere(1, 1, 20);
}

static void test_search_threads(void **state) {
    (void)state;
    stop_everywhere(1, 3, 8);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_quantizer), cmocka_unit_test(test_search),
                                       cmocka_unit_test(test_search_threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
