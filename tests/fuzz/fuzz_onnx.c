/* libFuzzer target: any bytes as an ONNX model; what imports is written again, optimized, compiled and written once more.
 * The same build rules as fuzz_kfx.c.
 * Owner rule: everything is released after each input. */
#include <stdio.h>
#include <stdlib.h>

#include "kitfox/compile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the writer gives, the reader takes; it may refuse to write, with a reason. */
static void write_and_read(kf_graph *g) {
    kf_graph *back;
    kf_error err = {0};
    void *data;
    size_t bytes;
    if (kf_graph_write_onnx(g, &data, &bytes, &err) != KF_OK) {
        if (!err.text[0]) abort();
        return;
    }
    if (kf_graph_import_onnx_memory(data, bytes, NULL, &back, &err) != KF_OK) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
    kf_graph_destroy(&back);
    free(data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    kf_graph *g;
    kf_model *m;
    kf_error err = {0};
    if (kf_graph_import_onnx_memory(data, size, NULL, &g, &err) != KF_OK) {
        if (!err.text[0]) abort(); /* a refusal without a reason is a bug */
        return 0;
    }
    write_and_read(g);
    if (kf_graph_compile(g, NULL, &m, &err) == KF_OK) kf_model_destroy(&m), write_and_read(g);
    kf_graph_destroy(&g);
    return 0;
}

#if defined(KF_REPLAY)
#include "replay.h"
#endif
