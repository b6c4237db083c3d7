/* libFuzzer target: bytes as what a server answers to `kitfox pull`: a line of status, one header a line, and what is
 * then decided; what is kept beside a part is read again. Nothing is sent anywhere.
 * Owner rule: everything is released after each input. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../temporary.h"
#include "pull/transfer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[200], path[256];
static const kf__curl *curl;

static void clean(void) {
    char tag[300];
    snprintf(tag, sizeof tag, "%s.part.tag", path);
    unlink(tag), rmdir(folder);
}

static void prepare(void) {
    kf_error err = {0};
    if (path[0]) return;
    if (kf__curl_load(&curl, &err) != KF_OK || !temporary_folder(folder, sizeof folder, "fuzz-http")) {
        fprintf(stderr, "SKIP: %s\n", err.text);
        exit(77);
    }
    snprintf(path, sizeof path, "%s/file", folder);
    atexit(clean);
}

/* Every line of the answer, as its own block: headers end with no zero. */
static void headers(kf__transfer *t, const uint8_t *data, size_t size) {
    for (size_t at = 0, n; at < size; at += n) {
        const uint8_t *end = memchr(data + at, '\n', size - at);
        n = end ? (size_t)(end - data) + 1 - at : size - at;
        char *line = malloc(n);
        if (!line) return;
        memcpy(line, data + at, n);
        if (kf__answer_header(line, 1, n, t) != n) abort();
        free(line);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    prepare();
    const kf__fetch f = {.url = "http://localhost/file", .path = path};
    kf__transfer t = {.f = &f, .c = curl, .fd = memfd_create("part", MFD_CLOEXEC)}, again = {.f = &f, .c = curl};
    if (t.fd < 0 || size < 1) goto done;
    headers(&t, data + 1, size - 1);
    if (data[0] & 1) { /* a part is there, begun under the validator of the same answer */
        t.at = data[0];
        snprintf(t.begun_under, sizeof t.begun_under, "%s", kf__answer_validator(&t));
        if (kf__answer_begin(&t, 206) && (!t.range || t.range_start != t.at)) abort(); /* it would go on elsewhere */
    }
    if (!kf__answer_begin(&t, 200) || t.at != 0) abort(); /* from the start, always */
    bool kept = kf__tag_read(&again);
    if (kept != (kf__answer_validator(&t)[0] != '\0')) abort();
    if (kept && (strcmp(again.begun_under, kf__answer_validator(&t)) != 0 || again.begun_total != t.length)) abort();
done:
    if (t.fd >= 0) close(t.fd);
    return 0;
}

#if defined(KF_REPLAY)
#include "replay.h"
#endif
