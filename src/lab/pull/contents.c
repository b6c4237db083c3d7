/* What a server sent, judged by itself: is the checkpoint whole, is the configuration JSON, are they of one model?
 * Owner rule: everything is released here. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pull/pull.h"

/* Header of a checkpoint: as import has it. A configuration: the parser takes up to 45 times as much memory. */
#define MOST_HEADER ((uint64_t)16 << 20)
#define MOST_CONFIG ((size_t)8 << 20)

/* *out is NULL for what is no JSON. jansson calls a lack of memory a wrong token. */
static kf_status parse(const char *text, size_t bytes, const char *place, json_t **out, kf_error *err) {
    json_error_t where;
    errno = 0;
    *out = json_loadb(text, bytes, 0, &where);
    if (!*out && (errno == ENOMEM || where.line < 0))
        KF_FAIL(err, KF_ERR_MEMORY, "%.600s: out of memory; free some", place);
    return KF_OK;
}

static bool read_at(int fd, uint64_t at, void *to, size_t bytes) {
    char *p = to;
    while (bytes > 0) {
        ssize_t n = pread(fd, p, bytes, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        p += n, at += (uint64_t)n, bytes -= (size_t)n;
    }
    return true;
}

/* The end of the last tensor, counted from the end of the header. */
static uint64_t last_end(const json_t *header) {
    uint64_t last = 0;
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)header, key, v) {
        json_int_t end = json_integer_value(json_array_get(json_object_get(v, "data_offsets"), 1));
        if (end > 0 && (uint64_t)end > last) last = (uint64_t)end;
    }
    return last;
}

/* *ok: the file is as long as its header says. */
static kf_status check_length(int fd, uint64_t bytes, const char *place, bool *ok, kf_error *err) {
    unsigned char h[8];
    uint64_t n = 0;
    json_t *j = NULL;
    kf_status st = KF_OK;
    *ok = false;
    if (!read_at(fd, 0, h, sizeof h)) return KF_OK;
    for (int i = 0; i < 8; i++) n |= (uint64_t)h[i] << 8 * i;
    if (n < 2 || n > MOST_HEADER || n + 8 > bytes) return KF_OK;
    char *text = malloc(n);
    if (!text) KF_FAIL(err, KF_ERR_MEMORY, "%.600s: out of memory; free some", place);
    if (read_at(fd, sizeof h, text, n)) st = parse(text, n, place, &j, err);
    *ok = json_is_object(j) && 8 + n + last_end(j) == bytes;
    json_decref(j);
    free(text);
    return st;
}

kf_status kf__pull_check_weights(const char *path, const char *place, kf_error *err) {
    int fd;
    uint64_t bytes;
    bool ok;
    if (kf_file_open(path, &fd, &bytes, NULL) != KF_OK) KF_FAIL(err, KF_ERR_IO, "%.600s: cannot be read back", path);
    kf_status st = check_length(fd, bytes, place, &ok, err);
    close(fd);
    if (st == KF_OK && !ok)
        KF_FAIL(err, KF_ERR_CORRUPT,
                "%.600s: what arrived is not a complete safetensors file; try again later or another --mirror", place);
    return st;
}

/* *out is NULL where there is no JSON file. */
static kf_status read_json(const char *path, const char *place, json_t **out, kf_error *err) {
    void *text = NULL;
    size_t bytes;
    *out = NULL;
    kf_status st = kf_file_read(path, MOST_CONFIG, &text, &bytes, NULL);
    if (st == KF_ERR_MEMORY) KF_FAIL(err, st, "%.600s: out of memory; free some", path);
    if (st != KF_OK) return KF_OK;
    st = parse(text, bytes, place, out, err);
    free(text);
    return st;
}

kf_status kf__pull_check_config(const char *path, const char *place, kf_error *err) {
    json_t *j;
    KF_TRY(read_json(path, place, &j, err));
    bool ok = json_is_object(j);
    json_decref(j);
    if (!ok)
        KF_FAIL(err, KF_ERR_CORRUPT, "%.600s: what arrived is not a JSON object; try again later or another --mirror",
                place);
    return KF_OK;
}

kf_status kf__pull_config_is_of(const char *repository, const char *path, bool *same, kf_error *err) {
    json_t *j;
    *same = false;
    KF_TRY(read_json(path, path, &j, err));
    const char *arch = json_string_value(json_object_get(j, "architecture"));
    const char *tag = json_string_value(json_object_get(json_object_get(j, "pretrained_cfg"), "tag"));
    const char *slash = strchr(repository, '/'), *want = slash ? slash + 1 : repository, *dot = strchr(want, '.');
    *same = arch && dot && strlen(arch) == (size_t)(dot - want) && strncmp(arch, want, strlen(arch)) == 0 &&
            (!tag || strcmp(tag, dot + 1) == 0);
    json_decref(j);
    return KF_OK;
}
