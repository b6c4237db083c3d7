/* Reading NPY files: little-endian float32 or uint8 in C order, versions 1 to 3. Writing: npy_write.c.
 * The header is read as text with fixed keys; nothing is evaluated.
 * Owner rule: what kf_npy_read gives is the caller's. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/npz.h"
#include "data/text.h"

/* What follows a key of the header, spaces skipped; other writers than numpy space it differently. */
static const char *value(const char *header, const char *key) {
    const char *p = strstr(header, key);
    if (!p) return "";
    p += strlen(key);
    return p + strspn(p, " :");
}

static bool parse_shape(const char *header, kf_tensor *t) {
    const char *p = value(header, "'shape'");
    size_t count = kf_dtype_size(t->dtype);
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
        *st = kf_error_set(err, KF_ERR_FORMAT, "%.600s: not an NPY file; save it with numpy.save", path);
        return NULL;
    }
    if (h[6] < 1 || h[6] > 3) {
        *st = kf_error_set(err, KF_ERR_UNSUPPORTED, "%.600s: this NPY version is not known; versions 1 to 3 are read",
                           path);
        return NULL;
    }
    size_t len = (size_t)h[8] | (size_t)h[9] << 8;
    bool ok = h[6] == 1 || fread(h + 10, 1, 2, f) == 2;
    len |= (size_t)h[10] << 16 | (size_t)h[11] << 24;
    ok = ok && len > 0 && len <= 1 << 20;
    char *header = ok ? calloc(1, len + 1) : NULL;
    if (ok && !header) {
        *st = kf__no_memory(path, err);
        return NULL;
    }
    if (header && fread(header, 1, len, f) == len && strlen(header) == len) return header;
    free(header);
    *st = kf_error_set(err, KF_ERR_FORMAT, "%.600s: the NPY header is truncated or damaged", path);
    return NULL;
}

/* In growing pieces: what a header promises is not allocated before it is there. */
static kf_status read_data(FILE *f, const char *path, size_t bytes, void **out, kf_error *err) {
    unsigned char *data = NULL, *grown;
    size_t have = 0, cap = 0;
    do {
        cap = bytes - have > cap + (1 << 20) ? 2 * cap + (1 << 20) : bytes;
        if (!(grown = realloc(data, cap ? cap : 1))) {
            free(data);
            return kf__no_memory(path, err);
        }
        data = grown;
        size_t n = fread(data + have, 1, cap - have, f);
        if ((have += n) < cap) break;
        if (have == bytes) return *out = data, KF_OK;
    } while (true);
    free(data);
    KF_FAIL(err, KF_ERR_FORMAT, "%.600s: the file holds fewer elements than its shape says", path);
}

kf_status kf__npy_read_stream(FILE *f, const char *path, kf_tensor *out, kf_error *err) {
    kf_status st = KF_OK;
    *out = (kf_tensor){.dtype = KF_F32};
    char *header = read_header(f, path, &st, err);
    bool bytes = st == KF_OK && strncmp(value(header, "'descr'"), "'|u1'", 5) == 0;
    if (bytes) out->dtype = KF_U8;
    if (st == KF_OK && ((!bytes && strncmp(value(header, "'descr'"), "'<f4'", 5) != 0) ||
                        strncmp(value(header, "'fortran_order'"), "False", 5) != 0))
        st = kf_error_set(err, KF_ERR_UNSUPPORTED,
                          "%.600s: only float32 and uint8 in C order are read; convert with "
                          "numpy.ascontiguousarray(x, 'float32')",
                          path);
    if (st == KF_OK && !parse_shape(header, out))
        st = kf_error_set(err, KF_ERR_FORMAT, "%.600s: the NPY shape cannot be read", path);
    if (st == KF_OK) st = read_data(f, path, out->bytes, &out->data, err);
    if (st != KF_OK) *out = (kf_tensor){.dtype = KF_F32};
    free(header);
    return st;
}

kf_status kf_npy_read(const char *path, kf_tensor *out, kf_error *err) {
    if (!path || !out) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_npy_read: path and out are needed");
    *out = (kf_tensor){.dtype = KF_F32};
    FILE *f;
    KF_TRY(kf__text_open(path, &f, err));
    kf_status st = kf__npy_read_stream(f, path, out, err);
    kf__text_close(f);
    return kf_file_explain(path, KF_FILE_NPY, st, err);
}
