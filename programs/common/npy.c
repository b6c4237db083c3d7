/* NPY files: little-endian float32 in C order, versions 1 to 3.
 * The header is read as text with fixed keys; nothing is evaluated.
 * Owner rule: cli_npy_read's data is malloc'ed for the caller. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli.h"
#include "common/files.h"

/* What follows a key of the header, spaces skipped; other writers than numpy space it differently. */
static const char *value(const char *header, const char *key) {
    const char *p = strstr(header, key);
    if (!p) return "";
    p += strlen(key);
    return p + strspn(p, " :");
}

static bool parse_shape(const char *header, kf_tensor *t) {
    const char *p = value(header, "'shape'");
    size_t count = 4;
    if (*p != '(') return false;
    for (p++; *p && *p != ')';) {
        char *end;
        if (*p == ' ' || *p == ',') {
            p++;
            continue;
        }
        long long v = strtoll(p, &end, 10);
        if (end == p || v < 0 || t->rank == KF_MAX_RANK || __builtin_mul_overflow(count, (size_t)v, &count) ||
            count > (size_t)1 << 32)
            return false;
        t->shape[t->rank++] = v;
        p = end;
    }
    t->bytes = count;
    return *p == ')';
}

/* The text of the header, a zero after it; NULL and *st when there is none. */
static char *read_header(FILE *f, const char *path, kf_status *st, kf_error *err) {
    unsigned char h[12] = {0};
    if (fread(h, 1, 10, f) != 10 || memcmp(h, "\x93NUMPY", 6) != 0) {
        *st = cli_error_at(err, KF_ERR_FORMAT, path, "not an NPY file; save it with numpy.save");
        return NULL;
    }
    if (h[6] < 1 || h[6] > 3) {
        *st = cli_error_at(err, KF_ERR_UNSUPPORTED, path, "this NPY version is not known; versions 1 to 3 are read");
        return NULL;
    }
    size_t len = (size_t)h[8] | (size_t)h[9] << 8;
    bool ok = h[6] == 1 || fread(h + 10, 1, 2, f) == 2;
    len |= (size_t)h[10] << 16 | (size_t)h[11] << 24;
    char *header = ok && len > 0 && len <= 1 << 20 ? calloc(1, len + 1) : NULL;
    if (header && fread(header, 1, len, f) == len && strlen(header) == len) return header;
    free(header);
    *st = cli_error_at(err, KF_ERR_FORMAT, path, "the NPY header is truncated or damaged");
    return NULL;
}

/* In growing pieces: what a header promises is not allocated before it is there. */
static void *read_data(FILE *f, size_t bytes) {
    unsigned char *data = NULL, *grown;
    size_t have = 0, cap = 0;
    do {
        cap = bytes - have > cap + (1 << 20) ? 2 * cap + (1 << 20) : bytes;
        if (!(grown = realloc(data, cap ? cap : 1))) break;
        data = grown;
        size_t n = fread(data + have, 1, cap - have, f);
        if ((have += n) < cap) break;
        if (have == bytes) return data;
    } while (true);
    free(data);
    return NULL;
}

kf_status cli_npy_read(const char *path, kf_tensor *out, kf_error *err) {
    *out = (kf_tensor){.dtype = KF_F32};
    FILE *f = cli_open(path, err);
    if (!f) return err->status;
    kf_status st = KF_OK;
    char *header = read_header(f, path, &st, err);
    if (st == KF_OK && (strncmp(value(header, "'descr'"), "'<f4'", 5) != 0 ||
                        strncmp(value(header, "'fortran_order'"), "False", 5) != 0))
        st = cli_error_at(err, KF_ERR_UNSUPPORTED, path,
                          "only float32 in C order is read; convert with numpy.ascontiguousarray(x, 'float32')");
    if (st == KF_OK && !parse_shape(header, out))
        st = cli_error_at(err, KF_ERR_FORMAT, path, "the NPY shape cannot be read");
    if (st == KF_OK && !(out->data = read_data(f, out->bytes)))
        st = cli_error_at(err, KF_ERR_FORMAT, path, "the file holds fewer elements than its shape says");
    if (st != KF_OK) *out = (kf_tensor){.dtype = KF_F32};
    free(header);
    cli_close(f);
    return st;
}

kf_status cli_npy_write(const char *path, const kf_tensor *t, kf_error *err) {
    char header[256];
    int n = snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': (",
                     t->dtype == KF_U8 ? "|u1" : "<f4");
    for (int i = 0; i < t->rank; i++)
        n += snprintf(header + n, sizeof header - (size_t)n, "%lld, ", (long long)t->shape[i]);
    n += snprintf(header + n, sizeof header - (size_t)n, "), }");
    int total = (10 + n + 1 + 63) / 64 * 64 - 10;
    const unsigned char magic[10] = {
        0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)(total & 255), (unsigned char)(total >> 8)};
    char *text = NULL;
    size_t bytes = 0;
    FILE *f = open_memstream(&text, &bytes);
    if (!f) return cli_error_at(err, KF_ERR_MEMORY, path, "out of memory to write it; free some");
    fwrite(magic, 1, sizeof magic, f);
    fprintf(f, "%-*s\n", total - 1, header);
    fwrite(t->data, 1, t->bytes, f);
    return cli_write_stream(path, f, &text, &bytes, err);
}
