/* libFuzzer target: any bytes as a label file, and as the labels.csv of a data set.
 * The same build rules as fuzz_kfx.c.
 * Owner rule: everything is released after each input. */
#include <string.h>

#include "common/cli.h"
#include "common/labelled.h"
#include "memory_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[] = "/tmp/fuzz-labels-XXXXXX";

static void as_labels(const char *path) {
    kf_error err = {0};
    cli_labels l;
    if (cli_labels_load(path, &l, &err) != KF_OK) {
        if (!err.text[0] || l.n || l.items) abort();
        return;
    }
    if (l.n < 1) abort();
    for (int32_t i = 0; i < l.n; i++) {
        json_t *j = json_string(l.items[i]); /* what loads can be printed */
        if (!j) abort();
        json_decref(j);
    }
    cli_labels_free(&l);
}

/* As a list beside an empty folder: every line has its own class or is refused. */
static void as_list(const char *path) {
    kf_error err = {0};
    cli_labelled p;
    if (cli_labelled_load(folder, path, NULL, &p, &err) != KF_OK) {
        if (!err.text[0] || p.n || p.items) abort();
        return;
    }
    for (size_t i = 0; i < p.n; i++)
        if (!p.items[i].name[0] || !strstr(p.items[i].path, p.items[i].name)) abort();
    cli_labelled_free(&p);
}

static void remove_folder(void) { rmdir(folder); }

/* An empty folder for the lists, and the many lines about refused lines to nowhere: the stream alone, a sanitizer
 * writes past it. */
static void once(void) {
    static int done;
    if (done++) return;
    FILE *nowhere = fopen("/dev/null", "w");
    if (!mkdtemp(folder) || !nowhere || atexit(remove_folder) != 0) exit(1);
    stderr = nowhere;
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
