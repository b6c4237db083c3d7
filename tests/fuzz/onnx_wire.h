/* An ONNX file parsed and rebuilt: a tree of protobuf messages and their fields, lengths always right. It knows which
 * ONNX fields are messages, texts and packed numbers, but not what they mean.
 * Owner rule: the tree lives in the arena of its reading, which the caller frees; bytes not changed are borrowed. */
#ifndef ONNX_WIRE_H
#define ONNX_WIRE_H

#include <string.h>

#include "base/base.h"

/** Messages that can be reached from a model. */
typedef enum ow_type {
    OW_MODEL,
    OW_GRAPH,
    OW_NODE,
    OW_ATTRIBUTE,
    OW_TENSOR,
    OW_VALUE_INFO,
    OW_TYPE,
    OW_TENSOR_TYPE,
    OW_SHAPE,
    OW_DIMENSION,
    OW_OPSET,
    OW_ENTRY, /* key and value */
    OW_NONE
} ow_type;

enum { OW_VARINT = 0, OW_64 = 1, OW_BYTES = 2, OW_32 = 5, OW_DEPTH = 12 };

/* A field that is a message, of those that matter here; all others of wire type 2 are texts, bytes or packed numbers.
 */
static const struct ow_child {
    ow_type in;
    uint32_t field;
    ow_type type;
} OW_CHILDREN[] = {{OW_MODEL, 7, OW_GRAPH},       {OW_MODEL, 8, OW_OPSET},       {OW_MODEL, 14, OW_ENTRY},
                   {OW_GRAPH, 1, OW_NODE},        {OW_GRAPH, 5, OW_TENSOR},      {OW_GRAPH, 11, OW_VALUE_INFO},
                   {OW_GRAPH, 12, OW_VALUE_INFO}, {OW_GRAPH, 13, OW_VALUE_INFO}, {OW_NODE, 5, OW_ATTRIBUTE},
                   {OW_ATTRIBUTE, 5, OW_TENSOR},  {OW_ATTRIBUTE, 6, OW_GRAPH},   {OW_TENSOR, 13, OW_ENTRY},
                   {OW_VALUE_INFO, 2, OW_TYPE},   {OW_TYPE, 1, OW_TENSOR_TYPE},  {OW_TENSOR_TYPE, 2, OW_SHAPE},
                   {OW_SHAPE, 1, OW_DIMENSION}};

typedef struct ow_message ow_message;

typedef struct ow_item {
    uint32_t field;
    int wire;
    uint64_t number;      /* of OW_VARINT, OW_64, OW_32 */
    const uint8_t *bytes; /* of OW_BYTES that are no message */
    size_t n;
    ow_message *message; /* or NULL */
} ow_item;

struct ow_message {
    ow_type type;
    ow_item *items;
    size_t n, room;
};

static ow_type ow_child_type(ow_type in, uint32_t field) {
    for (size_t i = 0; i < KF_COUNT(OW_CHILDREN); i++)
        if (OW_CHILDREN[i].in == in && OW_CHILDREN[i].field == field) return OW_CHILDREN[i].type;
    return OW_NONE;
}

static bool ow_varint(kf__reader *r, uint64_t *out) {
    *out = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        const uint8_t *b;
        if (!kf__read_bytes(r, 1, &b)) return false;
        *out |= (uint64_t)(*b & 0x7f) << shift;
        if (!(*b & 0x80)) return true;
    }
    return false;
}

/* Little-endian number of `n` bytes. */
static bool ow_fixed(kf__reader *r, size_t n, uint64_t *out) {
    const uint8_t *b;
    if (!kf__read_bytes(r, n, &b)) return false;
    *out = 0;
    for (size_t i = n; i > 0; i--) *out = *out << 8 | b[i - 1];
    return true;
}

/* Room for one more item before `at`; NULL when out of memory. */
static ow_item *ow_insert(kf__arena *a, ow_message *m, size_t at) {
    if (m->n == m->room) {
        size_t room = 2 * m->room + 4;
        ow_item *items = kf__arena_array(a, room, sizeof *items);
        if (!items) return NULL;
        if (m->n) memcpy(items, m->items, m->n * sizeof *items);
        m->items = items, m->room = room;
    }
    memmove(&m->items[at + 1], &m->items[at], (m->n - at) * sizeof *m->items);
    m->n++;
    m->items[at] = (ow_item){0};
    return &m->items[at];
}

static void ow_remove(ow_message *m, size_t at) {
    memmove(&m->items[at], &m->items[at + 1], (m->n - at - 1) * sizeof *m->items);
    m->n--;
}

static ow_message *ow_read(kf__arena *a, const uint8_t *data, size_t n, ow_type type, int depth);

static bool ow_read_item(kf__arena *a, kf__reader *r, ow_message *m, int depth) {
    uint64_t key, length;
    ow_item *item = ow_insert(a, m, m->n);
    if (!item || !ow_varint(r, &key)) return false;
    item->field = (uint32_t)(key >> 3), item->wire = (int)(key & 7);
    switch (item->wire) {
    case OW_VARINT: return ow_varint(r, &item->number);
    case OW_64: return ow_fixed(r, 8, &item->number);
    case OW_32: return ow_fixed(r, 4, &item->number);
    case OW_BYTES: break;
    default: return false;
    }
    if (!ow_varint(r, &length) || length > SIZE_MAX / 2 || !kf__read_bytes(r, (size_t)length, &item->bytes))
        return false;
    item->n = (size_t)length;
    ow_type child = ow_child_type(m->type, item->field);
    if (child != OW_NONE) item->message = ow_read(a, item->bytes, item->n, child, depth + 1);
    return true; /* what is no message stays bytes */
}

/* NULL: no such message, too deep, or out of memory. */
static ow_message *ow_read(kf__arena *a, const uint8_t *data, size_t n, ow_type type, int depth) {
    kf__reader r = {data, n, 0};
    ow_message *m = depth < OW_DEPTH ? kf__arena_zalloc(a, sizeof *m) : NULL;
    if (!m) return NULL;
    m->type = type;
    while (r.pos < r.size)
        if (!ow_read_item(a, &r, m, depth)) return NULL;
    return m;
}

static ow_message *ow_copy(kf__arena *a, const ow_message *m) {
    ow_message *to = kf__arena_zalloc(a, sizeof *to);
    if (!to) return NULL;
    to->type = m->type;
    for (size_t i = 0; i < m->n; i++) {
        ow_item *item = ow_insert(a, to, i);
        if (!item) return NULL;
        *item = m->items[i];
        if (item->message && !(item->message = ow_copy(a, item->message))) return NULL;
    }
    return to;
}

/* ---- writing ------------------------------------------------------------ */

static size_t ow_varint_size(uint64_t v) {
    size_t n = 1;
    for (; v > 0x7f; v >>= 7) n++;
    return n;
}

static size_t ow_size(const ow_message *m);

static size_t ow_content(const ow_item *i) { return i->message ? ow_size(i->message) : i->n; }

static size_t ow_item_size(const ow_item *i) {
    size_t key = ow_varint_size((uint64_t)i->field << 3);
    switch (i->wire) {
    case OW_VARINT: return key + ow_varint_size(i->number);
    case OW_64: return key + 8;
    case OW_32: return key + 4;
    default: return key + ow_varint_size(ow_content(i)) + ow_content(i);
    }
}

static size_t ow_size(const ow_message *m) {
    size_t n = 0;
    for (size_t i = 0; i < m->n; i++) n += ow_item_size(&m->items[i]);
    return n;
}

static uint8_t *ow_put_varint(uint8_t *to, uint64_t v) {
    for (; v > 0x7f; v >>= 7) *to++ = (uint8_t)(v | 0x80);
    *to++ = (uint8_t)v;
    return to;
}

/* `to` has room for ow_size bytes. Returns their end. */
static uint8_t *ow_write(const ow_message *m, uint8_t *to) {
    for (size_t k = 0; k < m->n; k++) {
        const ow_item *i = &m->items[k];
        to = ow_put_varint(to, (uint64_t)i->field << 3 | (uint64_t)i->wire);
        if (i->wire == OW_VARINT) to = ow_put_varint(to, i->number);
        for (int b = 0; b < (i->wire == OW_64 ? 8 : 4) && i->wire != OW_VARINT && i->wire != OW_BYTES; b++)
            *to++ = (uint8_t)(i->number >> 8 * b);
        if (i->wire != OW_BYTES) continue;
        to = ow_put_varint(to, ow_content(i));
        if (i->message) {
            to = ow_write(i->message, to);
            continue;
        }
        if (i->n) memcpy(to, i->bytes, i->n);
        to += i->n;
    }
    return to;
}

/* ---- looking ------------------------------------------------------------ */

/* The last item of that number, as protobuf reads a field that is no list; NULL: none. */
static ow_item *ow_find(const ow_message *m, uint32_t field) {
    for (size_t i = m->n; i > 0; i--)
        if (m->items[i - 1].field == field) return &m->items[i - 1];
    return NULL;
}

static size_t ow_count(const ow_message *m, uint32_t field) {
    size_t n = 0;
    for (size_t i = 0; i < m->n; i++) n += m->items[i].field == field;
    return n;
}

/* Item `k` of that number, or NULL. */
static ow_item *ow_at(const ow_message *m, uint32_t field, size_t k) {
    for (size_t i = 0; i < m->n; i++)
        if (m->items[i].field == field && k-- == 0) return &m->items[i];
    return NULL;
}

static bool ow_is(const ow_item *i, const char *text) {
    return i && i->wire == OW_BYTES && i->n == strlen(text) && memcmp(i->bytes, text, i->n) == 0;
}

static void ow_set_text(kf__arena *a, ow_item *i, const void *text, size_t n) {
    const uint8_t *copy = kf__arena_copy(a, text, n ? n : 1);
    if (copy) i->bytes = copy, i->n = n, i->message = NULL, i->wire = OW_BYTES;
}

/* A new item at the end; NULL when out of memory. */
static ow_item *ow_append(kf__arena *a, ow_message *m, uint32_t field, int wire) {
    ow_item *i = ow_insert(a, m, m->n);
    if (i) i->field = field, i->wire = wire;
    return i;
}

#endif
