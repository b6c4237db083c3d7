/* libFuzzer target: any bytes as a label file, and as the labels.csv of a data set.
 * The same build rules as fuzz_kfx.c.
 * Owner rule: everything is released after each input. */
#include <string.h>

#include <jansson.h>

#include "../temporary.h"
#include "kitfox/lab.h"
#include "memory_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[200];

static void as_labels(const char *path) {
    kf_error err = {0};
    kf_labels l;
    if (kf_labels_load(path, &l, &err) != KF_OK) {
        if (!err.text[0] || l.n || l.items) abort();
        return;
    }
    if (l.n < 1) abort();
    for (int32_t i = 0; i < l.n; i++) {
        json_t *j = json_string(l.items[i]); /* what loads can be printed */
        if (!j) abort();
        json_decref(j);
    }
    kf_labels_free(&l);
}

/* As a list beside an empty folder: every line has its own class or is refused. */
static void as_list(const char *path) {
    kf_error err = {0};
    kf_dataset *d;
    kf_dataset_item it;
    kf_dataset_options o;
    kf_dataset_options_init(&o);
    o.list = path;
    if (kf_dataset_open(folder, &o, &d, &err) != KF_OK) {
        if (!err.text[0] || d) abort();
        return;
    }
    for (size_t i = 0; i < kf_dataset_count(d); i++) {
        if (kf_dataset_get(d, i, &it, &err) != KF_OK || !it.name[0] || !strstr(it.path, it.name)) abort();
        if (kf_dataset_class_of(d, it.path) == -1 && it.truth != -1) abort();
    }
    kf_dataset_destroy(&d);
}

static void remove_folder(void) { rmdir(folder); }

/* An empty folder for the lists. */
static void once(void) {
    static int done;
    if (done++) return;
    if (!temporary_folder(folder, sizeof folder, "fuzz-labels") || atexit(remove_folder) != 0) exit(1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    once();
    memory_file f = open_memory_file(data, size);
    as_labels(f.path);
    as_list(f.path);
    close_memory_file(&f);
    return 0;
}

#if defined(KF_REPLAY)
#include "replay.h"
#endif
