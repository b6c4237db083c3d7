/* Reads the little-endian C-order .npy arrays of the golden folder; test code only.
 * Owner rule: npy_free releases the data. */
#ifndef TEST_NPY_H
#define TEST_NPY_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct npy {
    char dtype[8]; /* "<f4", "|u1" */
    int rank;
    int64_t shape[8];
    size_t count;
    void *data;
} npy;

static inline int npy_parse_header(const char *h, npy *a) {
    const char *d = strstr(h, "'descr': '"), *s = strstr(h, "'shape': (");
    if (!d || !s || strstr(h, "'fortran_order': True")) return 0;
    size_t n = strcspn(d + 10, "'");
    if (n >= sizeof a->dtype) return 0;
    memcpy(a->dtype, d + 10, n);
    a->count = 1;
    for (s += 10; *s && *s != ')';) {
        char *end;
        long long v = strtoll(s, &end, 10);
        if (end == s || a->rank >= 8) return 0;
        a->shape[a->rank++] = v;
        a->count *= (size_t)v;
        s = end + strspn(end, ", ");
    }
    return 1;
}

/** 1 when read. */
static inline int npy_read(const char *path, npy *a) {
    unsigned char pre[10];
    memset(a, 0, sizeof *a);
    FILE *f = fopen(path, "rb");
    if (!f) return 0;
    int ok = fread(pre, 1, 10, f) == 10 && memcmp(pre, "\x93NUMPY", 6) == 0 && pre[6] == 1;
    size_t len = ok ? (size_t)(pre[8] | pre[9] << 8) : 0;
    char *h = calloc(1, len + 1);
    ok = ok && h && fread(h, 1, len, f) == len && npy_parse_header(h, a);
    if (ok) {
        size_t bytes = a->count * (size_t)(a->dtype[2] - '0');
        a->data = malloc(bytes ? bytes : 1);
        ok = a->data && fread(a->data, 1, bytes, f) == bytes;
    }
    free(h);
    fclose(f);
    return ok;
}

static inline void npy_free(npy *a) {
    free(a->data);
    a->data = NULL;
}

#endif
