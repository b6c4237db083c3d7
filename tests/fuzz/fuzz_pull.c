/* libFuzzer target: bytes as the files that `pull` fetched: a checkpoint that is judged by its length, and a
 * configuration that has to be of the weights. Nothing is sent anywhere.
 * Owner rule: everything is released after each input. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "memory_file.h"
#include "pull/pull.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const REPOSITORIES[] = {"timm/mobilenetv3_small_050.lamb_in1k", "mobilenetv3_small_050", "a/b."};
    kf_error err = {0};
    memory_file f = open_memory_file(data, size);
    const char *path = f.path;
    bool same[3];
    kf_status st = kf__pull_check_weights(path, path, &err);
    if (st != KF_OK && (st != KF_ERR_CORRUPT || !err.text[0])) abort();
    if (st == KF_OK && size < 10) abort(); /* shorter than the shortest header */
    st = kf__pull_check_config(path, path, &err);
    if (st != KF_OK && st != KF_ERR_CORRUPT) abort();
    for (size_t i = 0; i < 3; i++)
        if (kf__pull_config_is_of(REPOSITORIES[i], path, &same[i], &err) != KF_OK) abort();
    if (same[0] && st != KF_OK) abort(); /* no object, and yet of a model */
    close_memory_file(&f);
    return 0;
}

#if defined(KF_REPLAY)
#include "replay.h"
#endif
