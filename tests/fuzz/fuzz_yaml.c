/* libFuzzer target: any bytes as the zoo's quantization YAML, through the parser, the checks and the list of values.
 * The same build rules as fuzz_kfx.c.
 * Owner rule: everything is released after each input. */
#include <string.h>

#include "kitfox/lab.h"
#include "memory_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void notice(void *user, const char *text) {
    if (!text[0] || strchr(text, '\n')) abort(); /* one line each */
    ++*(int *)user;
}

/* What loads can be listed, each value at its place, and every path begins with a group. */
static void list(const kf_rdk_config *c) {
    kf_rdk_entry e = {.size = sizeof e};
    kf_error err = {0};
    int32_t n = 0;
    while (kf_rdk_get(c, n, &e, &err) == KF_OK) {
        if (e.depth < 1 || e.depth > KF_RDK_DEPTH || e.line < 1 || e.column < 1 || !e.text) abort();
        for (int32_t i = 0; i < e.depth; i++)
            if (!e.path[i]) abort();
        n++;
    }
    if (n < 4 || !err.text[0]) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    kf_error err = {0};
    kf_rdk_config *c = NULL;
    int notices = 0;
    memory_file f = open_memory_file(data, size);
    kf_status st = kf_rdk_load(f.path, notice, &notices, &c, &err);
    if (st == KF_OK) {
        if (!c || !c->model[0] || !c->prefix[0] || !(c->scale[0] > 0) || c->n_int16 < 0) abort();
        list(c);
    } else if (c || !err.text[0] || strncmp(err.text, f.path, strlen(f.path)) != 0)
        abort(); /* the file's name comes first */
    kf_rdk_free(&c);
    close_memory_file(&f);
    return 0;
}

#if defined(KF_REPLAY)
#include "replay.h"
#endif
