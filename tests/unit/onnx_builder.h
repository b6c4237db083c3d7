/* ONNX files in a few lines, for tests of what reads them; test code only.
 * Owner rule: kf__strbuf_free releases a message; putting it into another does so too. */
#ifndef TEST_ONNX_BUILDER_H
#define TEST_ONNX_BUILDER_H

#include <stdio.h>
#include <string.h>

#include "base/base.h"

typedef kf__strbuf buf;

static inline void varint(buf *b, uint64_t v) {
    do {
        uint8_t byte = (uint8_t)((v & 127) | (v > 127 ? 128 : 0));
        kf__strbuf_add(b, &byte, 1);
        v >>= 7;
    } while (v);
}

static inline void num(buf *b, int field, uint64_t v) {
    varint(b, (uint64_t)field << 3);
    varint(b, v);
}

static inline void bytes(buf *b, int field, const void *data, size_t n) {
    varint(b, (uint64_t)field << 3 | 2);
    varint(b, n);
    if (n) kf__strbuf_add(b, data, n);
}

static inline void text(buf *b, int field, const char *s) { bytes(b, field, s, strlen(s)); }

/* Put `inner` into `b` and release it. */
static inline void put(buf *b, int field, buf *inner) {
    bytes(b, field, inner->data, inner->len);
    kf__strbuf_free(inner);
    *inner = (buf){0};
}

static inline void ints(buf *node, const char *name, int n, const int64_t *v) {
    buf a = {0};
    text(&a, 1, name);
    for (int i = 0; i < n; i++) num(&a, 8, (uint64_t)v[i]);
    num(&a, 20, n == 1 ? 2 : 7); /* INT, INTS */
    if (n == 1) num(&a, 3, (uint64_t)v[0]);
    put(node, 5, &a);
}

/* `inputs` and `outputs` are separated by spaces; "-" is an absent input. */
static inline buf node(const char *op, const char *inputs, const char *outputs) {
    buf b = {0};
    for (int k = 1; k <= 2; k++)
        for (const char *p = k == 1 ? inputs : outputs; *p;) {
            size_t n = strcspn(p, " ");
            bytes(&b, k, p, *p == '-' ? 0 : n);
            p += n + (p[n] == ' ');
        }
    text(&b, 4, op);
    return b;
}

static inline void tensor(buf *graph, const char *name, int type, int rank, const int64_t *dim, const void *data,
                          size_t n) {
    buf t = {0};
    for (int i = 0; i < rank; i++) num(&t, 1, (uint64_t)dim[i]);
    num(&t, 2, (uint64_t)type);
    text(&t, 8, name);
    bytes(&t, 9, data, n);
    put(graph, 5, &t);
}

static inline void value(buf *graph, int field, const char *name, int rank, const int64_t *dim) {
    buf shape = {0}, t = {0}, type = {0}, v = {0};
    for (int i = 0; i < rank; i++) {
        buf d = {0};
        num(&d, 1, (uint64_t)dim[i]);
        put(&shape, 1, &d);
    }
    num(&t, 1, 1);
    put(&t, 2, &shape);
    put(&type, 1, &t);
    text(&v, 1, name);
    put(&v, 2, &type);
    put(graph, field, &v);
}

#endif
