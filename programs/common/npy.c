/* NPY files: little-endian float32 in C order, versions 1 to 3.
 * Floor 8. The header is read as text with fixed keys; nothing is evaluated.
 * Owner rule: cli_npy_read's data is malloc'ed for the caller. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli.h"

static kf_status fail(kf_error *err, kf_status st, const char *path, const char *what) {
    err->status = st;
    snprintf(err->text, sizeof err->text, "%s: %s", path, what);
    return st;
}

static bool parse_shape(const char *header, kf_tensor *t) {
    const char *p = strstr(header, "'shape'");
    size_t count = 4;
    if (!p || !(p = strchr(p, '('))) return false;
    for (p++; *p && *p != ')';) {
        char *end;
        if (*p == ' ' || *p == ',') {
            p++;
            continue;
        }
        long long v = strtoll(p, &end, 10);
        if (end == p || v < 0 || t->rank == KF_MAX_RANK || __builtin_mul_overflow(count, (size_t)v, &count) || count > (size_t)1 << 32) return false;
        t->shape[t->rank++] = v;
        p = end;
    }
    t->bytes = count;
    return *p == ')';
}

kf_status cli_npy_read(const char *path, kf_tensor *out, kf_error *err) {
    *out = (kf_tensor){.dtype = KF_F32};
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "rbe");
    unsigned char h[12];
    if (!f) {
        char why[256];
        snprintf(why, sizeof why, "cannot open; %s; check the path", strerror(errno));
        return fail(err, KF_ERR_IO, path, why);
    }
    kf_status st = KF_OK;
    char *header = NULL;
    size_t len = 0;
    if (fread(h, 1, 10, f) != 10 || memcmp(h, "\x93NUMPY", 6) != 0) st = fail(err, KF_ERR_FORMAT, path, "not an NPY file; save it with numpy.save");
    else if (h[6] == 1) len = (size_t)h[8] | (size_t)h[9] << 8;
    else if (fread(h + 10, 1, 2, f) == 2) len = (size_t)h[8] | (size_t)h[9] << 8 | (size_t)h[10] << 16;
    if (st == KF_OK && (len == 0 || len > 1 << 20 || !(header = calloc(1, len + 1)) || fread(header, 1, len, f) != len))
        st = fail(err, KF_ERR_FORMAT, path, "the NPY header is truncated");
    if (st == KF_OK && (!strstr(header, "'<f4'") || strstr(header, "'fortran_order': True")))
        st = fail(err, KF_ERR_UNSUPPORTED, path, "only float32 in C order is read; convert with .astype('float32')");
    if (st == KF_OK && !parse_shape(header, out)) st = fail(err, KF_ERR_FORMAT, path, "the NPY shape cannot be read");
    if (st == KF_OK && (!(out->data = malloc(out->bytes + 1)) || fread(out->data, 1, out->bytes, f) != out->bytes)) {
        free(out->data);
        out->data = NULL;
        st = fail(err, KF_ERR_FORMAT, path, "the file holds fewer elements than its shape says");
    }
    free(header);
    if (f != stdin) fclose(f);
    return st;
}

kf_status cli_npy_write(const char *path, const kf_tensor *t, kf_error *err) {
    char header[256];
    int n = snprintf(header, sizeof header, "{'descr': '<f4', 'fortran_order': False, 'shape': (");
    for (int i = 0; i < t->rank; i++) n += snprintf(header + n, sizeof header - (size_t)n, "%lld, ", (long long)t->shape[i]);
    n += snprintf(header + n, sizeof header - (size_t)n, "), }");
    int total = (10 + n + 1 + 63) / 64 * 64 - 10;
    FILE *f = fopen(path, "wbe");
    unsigned char h[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)(total & 255), (unsigned char)(total >> 8)};
    bool ok = f && fwrite(h, 1, 10, f) == 10 && fprintf(f, "%-*s\n", total - 1, header) == total && fwrite(t->data, 1, t->bytes, f) == t->bytes;
    if (f && fclose(f) != 0) ok = false;
    if (!ok) {
        char why[256];
        snprintf(why, sizeof why, "cannot write; %s; check folder and space", strerror(errno));
        return fail(err, KF_ERR_IO, path, why);
    }
    return KF_OK;
}
