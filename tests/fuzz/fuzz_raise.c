/* Fuzz target: a compiled program becomes a graph and the graph ONNX, in both forms of quantized ones; what was written
 * reads back. The hash is skipped, or nothing would get past it. Owner rule: everything is released before the next
 * input. */
#include <stdio.h>
#include <stdlib.h>

#include "format/format.h"
#include "import/onnx_reader.h"
#include "import/onnx_writer.h"
#include "lower/raise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_and_read(const kf__graph *g, kf_qdq_form form) {
    kf__graph *back;
    kf_error err = {0};
    void *data;
    size_t bytes;
    if (kf__onnx_write_form(g, form, &data, &bytes, &err) != KF_OK) {
        if (!err.text[0]) abort(); /* a refusal without a reason is a bug */
        return;
    }
    if (kf__onnx_read(data, bytes, &(kf__onnx_options){0}, &back, &err) != KF_OK) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
    kf__graph_destroy(&back);
    free(data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    kf__program *p;
    kf__graph *g;
    kf_error err = {0};
    if (kf__format_read(data, size, NULL, KF_READ_SKIP_HASH, &p, &err) != KF_OK) return 0;
    if (kf__raise(p, &g, &err) == KF_OK) {
        write_and_read(g, KF_QDQ_EXACT);
        write_and_read(g, KF_QDQ_SCALES);
        kf__graph_destroy(&g);
    } else if (!err.text[0]) {
        abort();
    }
    kf__program_destroy(&p);
    return 0;
}

#if defined(KF_REPLAY)
#include "replay.h"
#endif
