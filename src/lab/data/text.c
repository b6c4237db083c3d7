/* Text files: regular ones by kf_file_open and kf_file_read, and standard input.
 * Owner rule: see text.h. */
#include "data/text.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_dash(const char *path) { return strcmp(path, "-") == 0; }

size_t kf__utf8(const char *text) {
    static const uint32_t LEAST[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *s = (const unsigned char *)text;
    size_t n = s[0] < 0x80 ? 1 : 0;
    if (s[0] >= 0xc2 && s[0] < 0xe0) n = 2;
    if (s[0] >= 0xe0 && s[0] < 0xf0) n = 3;
    if (s[0] >= 0xf0 && s[0] < 0xf5) n = 4;
    uint32_t code = n ? s[0] & (0xffU >> n) : 0;
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) return 0;
        code = code << 6 | (s[i] & 0x3f);
    }
    if (n > 1 && (code < LEAST[n] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))) return 0;
    return n;
}

kf_status kf__stream_take(FILE *f, char **text, const size_t *bytes, void **out, size_t *out_bytes, kf_error *err) {
    bool ok = !ferror(f);
    ok = fclose(f) == 0 && ok && *text;
    *out = ok ? *text : NULL, *out_bytes = ok ? *bytes : 0;
    if (!ok) free(*text);
    *text = NULL;
    if (!ok) KF_FAIL(err, KF_ERR_MEMORY, "out of memory for the page; free some");
    return KF_OK;
}

kf_status kf__no_memory(const char *path, kf_error *err) {
    return kf_error_set(err, KF_ERR_MEMORY, "%.600s: out of memory; free some", path);
}

kf_status kf__output_apart(const char *path, const char *const *inputs, size_t n, kf_error *err) {
    struct stat out, in;
    if (stat(path, &out) != 0 || !S_ISREG(out.st_mode)) return KF_OK;
    for (size_t i = 0; i < n; i++)
        if (inputs[i] && stat(inputs[i], &in) == 0 && in.st_dev == out.st_dev && in.st_ino == out.st_ino)
            KF_FAIL(err, KF_ERR_ARGUMENT, "%.400s: that is the input %.400s; it would be lost; give another name", path,
                    inputs[i]);
    return KF_OK;
}

kf_status kf__text_open(const char *path, FILE **out, kf_error *err) {
    int fd;
    uint64_t bytes;
    *out = stdin;
    if (is_dash(path)) return KF_OK;
    *out = NULL;
    KF_TRY(kf_file_open(path, &fd, &bytes, err));
    *out = fdopen(fd, "rb");
    if (*out) return KF_OK;
    close(fd);
    return kf__no_memory(path, err);
}

void kf__text_close(FILE *f) {
    if (f && f != stdin) fclose(f);
}

static kf_status read_stdin(size_t max_bytes, char **text, size_t *bytes, kf_error *err) {
    size_t cap = 0, n = 0;
    char *data = NULL;
    do {
        cap = cap ? 2 * cap : 1 << 16;
        char *grown = realloc(data, cap + 1);
        if (!grown) {
            free(data);
            KF_FAIL(err, KF_ERR_MEMORY, "-: out of memory; %zu bytes were asked for", cap);
        }
        data = grown;
        n += fread(data + n, 1, cap - n, stdin);
    } while (n == cap && n <= max_bytes);
    kf_status st = ferror(stdin) ? kf_error_set(err, KF_ERR_IO, "-: cannot read; check its source") : KF_OK;
    if (st == KF_OK && n > max_bytes)
        st = kf_error_set(err, KF_ERR_LIMIT, "-: over %zu bytes; at most %zu are accepted", max_bytes, max_bytes);
    data[n] = '\0';
    *text = data, *bytes = n;
    if (st != KF_OK) free(data), *text = NULL;
    return st;
}

kf_status kf__text_read(const char *path, size_t max_bytes, char **text, size_t *bytes, kf_error *err) {
    void *data = NULL;
    *text = NULL, *bytes = 0;
    if (is_dash(path)) return read_stdin(max_bytes, text, bytes, err);
    kf_status st = kf_file_read(path, max_bytes, &data, bytes, err);
    *text = data;
    return st;
}

char *kf__text_line(char **at, char *end, size_t *bytes) {
    char *line = *at, *stop = line < end ? memchr(line, '\n', (size_t)(end - line)) : NULL;
    if (line >= end) return NULL;
    if (!stop) stop = end;
    *at = stop + 1;
    *bytes = (size_t)(stop - line);
    *stop = '\0'; /* at the very end there is a zero already */
    if (*bytes && stop[-1] == '\r') stop[-1] = '\0', --*bytes;
    return line;
}
