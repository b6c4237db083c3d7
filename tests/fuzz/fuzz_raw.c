/* libFuzzer target: any bytes as a calibration file of raw numbers. The first byte says what they are taken for, the
 * second and third how large the network's input is. Owner rule: everything is released after each input. */
#include <string.h>
#include <unistd.h>

#include <stdio.h>
#include <stdlib.h>

#include "../temporary.h"
#include "kitfox/lab.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[200], path[256];

static void clean(void) { unlink(path), rmdir(folder); }

static void prepare(void) {
    if (path[0]) return;
    if (!temporary_folder(folder, sizeof folder, "fuzz-raw")) exit(77);
    snprintf(path, sizeof path, "%s/a.bin", folder);
    atexit(clean);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const kf_dtype TYPES[] = {KF_F32, KF_U8, KF_I8, KF_I16, KF_I32};
    kf_error err = {0};
    kf_samples p = {0};
    prepare();
    if (size < 3) return 0;
    int form = data[0] >> 3;
    kf_tensor input = {.dtype = KF_F32, .rank = 4, .shape = {1, 3, 2 + data[1] % 16 * 2, 2 + data[2] % 16 * 2}};
    kf_raw_form f = {.type = TYPES[(data[0] & 7) % 5],
                     .nhwc = form & 1,
                     .input = &input,
                     .pixels = form & 2,
                     .bgr = form & 4,
                     .normalize = form & 8,
                     .mean = {1, 2, 3},
                     .scale = {0.5, 0.25, 1}};
    if (f.pixels && form & 16) f.camera = 1 + data[1] % 2, f.normalize = 0;
    unlink(path); /* a file that is cut and written again goes to the disk at once */
    FILE *out = fopen(path, "wb");
    if (!out || fwrite(data + 3, 1, size - 3, out) != size - 3 || fclose(out) != 0) exit(1);
    kf_status st = kf_samples_load_raw(folder, 4, &f, &p, &err);
    if (st == KF_OK ? p.n != 1 : !err.text[0] || strncmp(err.text, folder, strlen(folder)) != 0) abort();
    kf_samples_free(&p);
    return 0;
}

#if defined(KF_REPLAY)
#include "replay.h"
#endif
