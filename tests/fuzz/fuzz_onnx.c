/* libFuzzer target: any bytes as an ONNX model; what imports is optimized and compiled.
 * Floor 9. The same build rules as fuzz_kfx.c.
 * Owner rule: everything is released after each input. */
#include <stdio.h>
#include <stdlib.h>

#include "kitfox/compile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    kf_graph *g;
    kf_model *m;
    kf_error err = {0};
    if (kf_graph_import_onnx_memory(data, size, NULL, &g, &err) != KF_OK) {
        if (!err.text[0]) abort(); /* a refusal without a reason is a bug */
        return 0;
    }
    if (kf_graph_compile(g, NULL, &m, &err) == KF_OK) kf_model_destroy(&m);
    kf_graph_destroy(&g);
    return 0;
}

#if defined(KF_REPLAY)
#include "replay.h"
#endif
