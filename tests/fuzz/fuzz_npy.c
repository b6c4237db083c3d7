/* libFuzzer target: any bytes as an NPY file; what is read is written and read again, to the same tensor. Bytes that
 * begin like a zip archive, as an NPZ file. The same build rules as fuzz_kfx.c. Owner rule: everything is released
 * after each input. */
#include <string.h>

#include <stdio.h>

#include "data/npz.h"
#include "memory_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void again(const kf_tensor *t) {
    kf_error err = {0};
    kf_tensor back;
    memory_file f = open_memory_file(NULL, 0);
    if (kf_npy_write(f.path, t, &err) != KF_OK || kf_npy_read(f.path, &back, &err) != KF_OK) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
    if (back.dtype != t->dtype || back.rank != t->rank || back.bytes != t->bytes ||
        memcmp(back.shape, t->shape, (size_t)t->rank * sizeof *t->shape) != 0 ||
        memcmp(back.data, t->data, t->bytes) != 0)
        abort();
    free(back.data);
    close_memory_file(&f);
}

static void read_archive(const char *path, size_t size) {
    kf_error err = {0};
    kf__npz npz;
    if (kf__npz_read(path, 8, &npz, &err) != KF_OK) {
        if (!err.text[0] || npz.tensors) abort();
        return;
    }
    for (size_t i = 0; i < npz.n; i++)
        if (npz.tensors[i].bytes > size || !npz.tensors[i].data || !npz.tensors[i].name) abort();
    kf__npz_free(&npz);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    kf_error err = {0};
    kf_tensor t;
    memory_file f = open_memory_file(data, size);
    if (size > 2 && data[0] == 'P' && data[1] == 'K') read_archive(f.path, size);
    if (kf_npy_read(f.path, &t, &err) == KF_OK) {
        size_t bytes = kf_dtype_size(t.dtype);
        for (int i = 0; i < t.rank; i++) bytes *= (size_t)t.shape[i];
        if (bytes != t.bytes || t.bytes > size) abort(); /* the data came out of the file */
        again(&t);
        free(t.data);
    } else if (!err.text[0] || t.data) {
        abort(); /* a refusal has a reason and leaves nothing */
    }
    close_memory_file(&f);
    return 0;
}

#if defined(KF_REPLAY)
#include "replay.h"
#endif
