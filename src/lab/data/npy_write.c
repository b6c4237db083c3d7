/* Writing NPY and NPZ files, with every element type that a tensor can have.
 * An NPZ file is a zip archive of NPY files, stored as they are.
 * Owner rule: everything here is released before the call returns. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/text.h"

enum { MAX_NAME = 1024, MAX_ENTRIES = 65534 };

/* ---- NPY --------------------------------------------------------------------------------------------------------- */

/* numpy's name of each type. */
static const char *const DESCR[KF_DTYPE_COUNT] = {
    [KF_F32] = "<f4", [KF_F16] = "<f2", [KF_BF16] = "<f4", [KF_F64] = "<f8", [KF_U8] = "|u1",
    [KF_I8] = "|i1",  [KF_I16] = "<i2", [KF_I32] = "<i4",  [KF_I64] = "<i8", [KF_BOOL] = "|b1"};

static kf_status check(const char *path, const kf_tensor *t, kf_error *err) {
    const char *type = (unsigned)t->dtype < KF_DTYPE_COUNT ? kf_dtype_name(t->dtype) : "no such";
    size_t bytes = kf_dtype_size(t->dtype);
    if (!bytes || !DESCR[t->dtype] || t->rank < 0 || t->rank > KF_MAX_RANK)
        KF_FAIL(err, KF_ERR_ARGUMENT, "%.600s: elements of type %s, rank %d; it cannot be written", path, type,
                t->rank);
    for (int i = 0; i < t->rank; i++)
        if (t->shape[i] < 0 || __builtin_mul_overflow(bytes, (size_t)t->shape[i], &bytes))
            KF_FAIL(err, KF_ERR_ARGUMENT, "%.600s: extent %d of the tensor is %lld", path, i, (long long)t->shape[i]);
    if (bytes != t->bytes || (bytes && !t->data))
        KF_FAIL(err, KF_ERR_ARGUMENT, "%.600s: the tensor has %zu bytes; its shape needs %zu", path, t->bytes, bytes);
    return KF_OK;
}

/* bfloat16 is the upper half of float32. */
static void print_data(FILE *f, const kf_tensor *t) {
    const unsigned char *from = t->data;
    if (t->dtype != KF_BF16) {
        if (t->bytes) fwrite(from, 1, t->bytes, f);
        return;
    }
    for (size_t i = 0; i + 1 < t->bytes; i += 2) {
        const unsigned char wide[4] = {0, 0, from[i], from[i + 1]};
        fwrite(wide, 1, sizeof wide, f);
    }
}

/* A whole NPY file. */
static void print_npy(FILE *f, const kf_tensor *t) {
    char header[256];
    int n = snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': (", DESCR[t->dtype]);
    for (int i = 0; i < t->rank; i++)
        n += snprintf(header + n, sizeof header - (size_t)n, "%lld, ", (long long)t->shape[i]);
    n += snprintf(header + n, sizeof header - (size_t)n, "), }");
    int total = (10 + n + 1 + 63) / 64 * 64 - 10;
    const unsigned char magic[10] = {
        0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)(total & 255), (unsigned char)(total >> 8)};
    fwrite(magic, 1, sizeof magic, f);
    fprintf(f, "%-*s\n", total - 1, header);
    print_data(f, t);
}

/* Close a stream and write what it holds; `*text` and `*bytes` are its own. */
static kf_status close_into(const char *path, FILE *f, char **text, const size_t *bytes, kf_error *err) {
    bool ok = !ferror(f);
    ok = fclose(f) == 0 && ok && *text;
    kf_status st = ok ? kf_file_write(path, *text, *bytes, 0, err) : kf__no_memory(path, err);
    free(*text);
    return st;
}

kf_status kf_npy_write(const char *path, const kf_tensor *t, kf_error *err) {
    char *text = NULL;
    size_t bytes = 0;
    if (!path || !t) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_npy_write: path and tensor are needed");
    KF_TRY(check(path, t, err));
    FILE *f = open_memstream(&text, &bytes);
    if (!f) return kf_error_set(err, KF_ERR_MEMORY, "%.600s: out of memory to write it; free some", path);
    print_npy(f, t);
    return close_into(path, f, &text, &bytes, err);
}

/* ---- NPZ --------------------------------------------------------------------------------------------------------- */

typedef struct entry {
    char name[MAX_NAME + 8];
    uint32_t crc, bytes, at; /* of the NPY file; where its local header begins */
} entry;

static uint32_t crc_of(const unsigned char *data, size_t n) {
    uint32_t table[256], crc = UINT32_MAX;
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++) c = c >> 1 ^ (0xedb88320u & (0u - (c & 1)));
        table[i] = c;
    }
    for (size_t i = 0; i < n; i++) crc = crc >> 8 ^ table[(crc ^ data[i]) & 255];
    return ~crc;
}

static void print_number(FILE *f, uint32_t v, int bytes) {
    for (int i = 0; i < bytes; i++) fputc((int)(v >> 8 * i & 255), f);
}

/* What local and central headers share: version 2.0, names in UTF-8, stored, 1 January 1980, so that the same tensors
 * give the same bytes. */
static void print_common(FILE *f, const entry *e) {
    print_number(f, 20, 2);
    print_number(f, 1 << 11, 2);
    print_number(f, 0, 2);
    print_number(f, 0x21u << 16, 4);
    print_number(f, e->crc, 4);
    print_number(f, e->bytes, 4);
    print_number(f, e->bytes, 4);
    print_number(f, (uint32_t)strlen(e->name), 2);
    print_number(f, 0, 2); /* no extra field */
}

/* `file` is the NPY file of the entry. */
static void print_local(FILE *f, entry *e, const char *file, size_t bytes) {
    e->at = (uint32_t)ftell(f), e->bytes = (uint32_t)bytes, e->crc = crc_of((const unsigned char *)file, bytes);
    print_number(f, 0x04034b50, 4);
    print_common(f, e);
    fputs(e->name, f);
    fwrite(file, 1, bytes, f);
}

/* The directory at the end. */
static void print_central(FILE *f, const entry *e, size_t n) {
    uint32_t begin = (uint32_t)ftell(f);
    for (size_t i = 0; i < n; i++) {
        print_number(f, 0x02014b50, 4);
        print_number(f, 20, 2);
        print_common(f, &e[i]);
        print_number(f, 0, 4); /* no comment, disk 0 */
        print_number(f, 0, 2);
        print_number(f, 0, 4);
        print_number(f, e[i].at, 4);
        fputs(e[i].name, f);
    }
    uint32_t end = (uint32_t)ftell(f);
    print_number(f, 0x06054b50, 4);
    print_number(f, 0, 4);
    print_number(f, (uint32_t)n, 2);
    print_number(f, (uint32_t)n, 2);
    print_number(f, end - begin, 4);
    print_number(f, begin, 4);
    print_number(f, 0, 2);
}

static kf_status name_entries(const char *path, const kf_tensor *t, size_t n, entry *e, kf_error *err) {
    size_t all = 0;
    for (size_t i = 0; i < n; i++) {
        KF_TRY(check(path, &t[i], err));
        bool named = t[i].name && *t[i].name;
        if (named && strlen(t[i].name) > MAX_NAME)
            KF_FAIL(err, KF_ERR_ARGUMENT, "%.600s: the name of tensor %zu has %zu bytes; at most %d can be written",
                    path, i, strlen(t[i].name), MAX_NAME);
        if (named) snprintf(e[i].name, sizeof e[i].name, "%s.npy", t[i].name);
        else snprintf(e[i].name, sizeof e[i].name, "arr_%zu.npy", i);
        for (size_t k = 0; k < i; k++)
            if (strcmp(e[k].name, e[i].name) == 0)
                KF_FAIL(err, KF_ERR_ARGUMENT, "%.600s: tensors %zu and %zu have one name, %.200s", path, k, i,
                        t[i].name);
        size_t each = t[i].bytes * (t[i].dtype == KF_BF16 ? 2 : 1) + 512 + 2 * sizeof e->name;
        if (__builtin_add_overflow(all, each, &all) || all > UINT32_MAX)
            KF_FAIL(err, KF_ERR_LIMIT, "%.600s: more than 4 GiB in one NPZ file; write NPY files, as in out_%%s.npy",
                    path);
    }
    return KF_OK;
}

static kf_status print_entry(FILE *f, const char *path, const kf_tensor *t, entry *e, kf_error *err) {
    char *text = NULL;
    size_t bytes = 0;
    FILE *npy = open_memstream(&text, &bytes);
    if (!npy) return kf__no_memory(path, err);
    print_npy(npy, t);
    bool ok = !ferror(npy);
    ok = fclose(npy) == 0 && ok && text;
    if (ok) print_local(f, e, text, bytes);
    free(text);
    return ok ? KF_OK : kf__no_memory(path, err);
}

kf_status kf_npz_write(const char *path, const kf_tensor *tensors, size_t n, kf_error *err) {
    char *text = NULL;
    size_t bytes = 0;
    if (!path || !tensors || !n) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_npz_write: path and tensors are needed");
    if (n > MAX_ENTRIES)
        KF_FAIL(err, KF_ERR_LIMIT, "%.600s: %zu tensors; an NPZ file holds at most %d", path, n, MAX_ENTRIES);
    entry *e = calloc(n, sizeof *e);
    if (!e) return kf__no_memory(path, err);
    kf_status st = name_entries(path, tensors, n, e, err);
    FILE *f = st == KF_OK ? open_memstream(&text, &bytes) : NULL;
    if (st == KF_OK && !f) st = kf__no_memory(path, err);
    for (size_t i = 0; st == KF_OK && i < n; i++) st = print_entry(f, path, &tensors[i], &e[i], err);
    if (st == KF_OK) print_central(f, e, n);
    if (st == KF_OK) st = close_into(path, f, &text, &bytes, err);
    else if (f) fclose(f), free(text);
    free(e);
    return st;
}
