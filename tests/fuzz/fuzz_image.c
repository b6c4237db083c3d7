/* libFuzzer target: any bytes as a picture, with small limits, then resized.
 * The same build rules as fuzz_kfx.c.
 * Owner rule: everything is released after each input. */
#include <stdio.h>
#include <stdlib.h>

#include "kitfox/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    kf_image_options o;
    kf_image im, small;
    kf_error err = {0};
    kf_image_options_init(&o);
    o.max_side = 1024;
    o.max_pixels = 1 << 18;
    if (kf_image_load_memory(data, size, &o, &im, &err) != KF_OK) {
        if (!err.text[0]) abort(); /* a refusal without a reason is a bug */
        return 0;
    }
    if (kf_image_resize(&im, 24, 24, KF_FILTER_BICUBIC, NULL, &small, &err) == KF_OK) kf_image_free(&small);
    kf_image_free(&im);
    return 0;
}

#if defined(KF_REPLAY)
#include "replay.h"
#endif
