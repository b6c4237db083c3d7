/* Reading NPZ files: zip archives of NPY files, stored as they are, as numpy.savez writes them.
 * The directory at the end says where each file is; nothing outside the archive's bytes is read.
 * Owner rule: see npz.h; the archive is released before the call returns. */
#include "data/npz.h"

#include <stdlib.h>
#include <string.h>

#include "data/text.h"

enum { END = 22, CENTRAL = 46, LOCAL = 30, MOST_COMMENT = 65535 }; /* bytes of a zip archive's records */
#define MOST_BYTES ((size_t)1 << 32)

typedef struct archive {
    const char *path;
    const unsigned char *data;
    size_t bytes;
} archive;

static uint32_t number(const unsigned char *p, int bytes) {
    uint32_t v = 0;
    for (int i = bytes; i-- > 0;) v = v << 8 | p[i];
    return v;
}

static kf_status damaged(const archive *a, kf_error *err) {
    KF_FAIL(err, KF_ERR_FORMAT, "%.600s: not an NPZ archive, or a truncated one; save it with numpy.savez", a->path);
}

/* The record at the end, behind which only a comment may stand. */
static const unsigned char *find_end(const archive *a) {
    for (size_t back = END; back <= a->bytes && back <= END + MOST_COMMENT; back++) {
        const unsigned char *p = a->data + a->bytes - back;
        if (memcmp(p, "PK\5\6", 4) == 0 && number(p + 20, 2) + END <= back) return p;
    }
    return NULL;
}

/* The NPY file behind a local header. */
static kf_status read_file(const archive *a, const unsigned char *entry, kf_tensor *out, kf_error *err) {
    size_t at = number(entry + 42, 4), bytes = number(entry + 20, 4);
    if (number(entry + 10, 2) != 0 || number(entry + 8, 2) & 1)
        KF_FAIL(err, KF_ERR_UNSUPPORTED, "%.600s: it is compressed; save it with numpy.savez, not savez_compressed",
                a->path);
    if (at > a->bytes || a->bytes - at < LOCAL || memcmp(a->data + at, "PK\3\4", 4) != 0) return damaged(a, err);
    at += LOCAL + number(a->data + at + 26, 2) + number(a->data + at + 28, 2);
    if (at > a->bytes || bytes > a->bytes - at || !bytes) return damaged(a, err);
    FILE *f = fmemopen((void *)(a->data + at), bytes, "rb"); /* read only */
    if (!f) return kf__no_memory(a->path, err);
    kf_status st = kf__npy_read_stream(f, a->path, out, err);
    fclose(f);
    return st;
}

static kf_status read_entries(const archive *a, const unsigned char *end, size_t n, kf__npz *out, kf_error *err) {
    size_t at = number(end + 16, 4);
    for (size_t i = 0; i < n; i++) {
        const unsigned char *p = a->data + at;
        if (at > a->bytes || a->bytes - at < CENTRAL || memcmp(p, "PK\1\2", 4) != 0) return damaged(a, err);
        size_t name = number(p + 28, 2), record = CENTRAL + name + number(p + 30, 2) + number(p + 32, 2);
        if (record > a->bytes - at) return damaged(a, err);
        if (name < 5 || memcmp(p + CENTRAL + name - 4, ".npy", 4) != 0)
            KF_FAIL(err, KF_ERR_FORMAT, "%.600s: entry %zu is no .npy file; save it with numpy.savez", a->path, i);
        if (name - 4 >= KF__NPZ_NAME || memchr(p + CENTRAL, 0, name))
            KF_FAIL(err, KF_ERR_LIMIT, "%.600s: the name of array %zu has %zu bytes; at most %d are read", a->path, i,
                    name - 4, KF__NPZ_NAME - 1);
        KF_TRY(read_file(a, p, &out->tensors[i], err));
        memcpy(out->names[i], p + CENTRAL, name - 4);
        out->tensors[i].name = out->names[i];
        out->n++;
        at += record;
    }
    return KF_OK;
}

static kf_status read_archive(const archive *a, size_t most, kf__npz *out, kf_error *err) {
    const unsigned char *end = find_end(a);
    if (!end) return damaged(a, err);
    size_t n = number(end + 10, 2);
    if (n < 1 || n > most)
        KF_FAIL(err, n ? KF_ERR_LIMIT : KF_ERR_FORMAT, "%.600s: %zu arrays; 1 to %zu are read", a->path, n, most);
    out->tensors = calloc(n, sizeof *out->tensors);
    out->names = calloc(n, sizeof *out->names);
    if (!out->tensors || !out->names) return kf__no_memory(a->path, err);
    return read_entries(a, end, n, out, err);
}

bool kf__npz_named(const char *path) {
    size_t n = strlen(path);
    return n > 4 && strcmp(path + n - 4, ".npz") == 0;
}

kf_status kf__npz_read(const char *path, size_t most, kf__npz *out, kf_error *err) {
    void *data;
    archive a = {.path = path};
    *out = (kf__npz){0};
    KF_TRY(kf_file_read(path, MOST_BYTES, &data, &a.bytes, err));
    a.data = data;
    kf_status st = read_archive(&a, most, out, err);
    free(data);
    if (st != KF_OK) kf__npz_free(out);
    return st;
}

void kf__npz_free(kf__npz *npz) {
    for (size_t i = 0; i < npz->n; i++) free(npz->tensors[i].data);
    free(npz->tensors);
    free(npz->names);
    *npz = (kf__npz){0};
}
