/* libFuzzer target: any bytes as a safetensors checkpoint, or as the JSON beside one when they begin with a brace.
 * The same build rules as fuzz_kfx.c.
 * Owner rule: everything is released after each input. */
#include <stdio.h>
#include <stdlib.h>

#include "import/checkpoint.h"
#include "import/sidecar.h"
#include "kitfox/preprocess.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void json(const uint8_t *data, size_t size) {
    kf__sidecar s;
    kf_error err = {0};
    kf_preprocess p = {.crop_pct = 1, .std = {1, 1, 1}};
    if (kf__sidecar_parse("config.json", data, size, &s, &err) != KF_OK) {
        if (!err.text[0]) abort(); /* a refusal without a reason is a bug */
        return;
    }
    kf_preprocess_copy(&p, &s.given, s.fields);
    if (!(p.crop_pct > 0 && p.crop_pct <= 1) || !(p.std[0] > 0)) abort(); /* what was accepted can be used */
    for (int32_t i = 0; i < s.n_labels; i++)
        if (!s.labels[i]) abort();
    kf__sidecar_free(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size && data[0] == '{') {
        json(data, size);
        return 0;
    }
    static const char *const ARCHS[] = {"mobilenetv3_small_050", "mobilenet_v3_small"};
    for (size_t i = 0; i < 2; i++) {
        kf_error err = {0};
        kf__graph *g;
        kf__checkpoint_options o = {.asked.arch = ARCHS[i], .side = 32};
        if (kf__checkpoint_read(data, size, &o, &g, &err) != KF_OK && !err.text[0]) abort();
        kf__graph_destroy(&g);
    }
    return 0;
}

#if defined(KF_REPLAY)
#include "replay.h"
#endif
