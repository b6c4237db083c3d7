/* Reading a safetensors container: every number in the header is checked before it is used.
 * Owner rule: see container.h. */
#include "container/container.h"

#include <stdlib.h>

#include "container/json.h"

typedef struct span {
    size_t from, to;
    const char *name;
} span;

static kf_status read_shape(const char *name, const json_t *list, kf__shape *out, kf_error *err) {
    size_t n = json_array_size(list);
    if (!json_is_array(list) || n > KF_MAX_RANK)
        KF_FAIL(err, KF_ERR_FORMAT, "tensor %s: the shape is not a list of at most %d numbers", name, KF_MAX_RANK);
    *out = (kf__shape){.rank = (int32_t)n};
    for (size_t i = 0; i < n; i++) {
        const json_t *d = json_array_get(list, i);
        if (!json_is_integer(d) || json_integer_value(d) < 0)
            KF_FAIL(err, KF_ERR_FORMAT, "tensor %s: extent %zu is not a size", name, i);
        out->dim[i] = json_integer_value(d);
    }
    return KF_OK;
}

static kf_status read_tensor(kf__container *c, const char *key, const json_t *j, const uint8_t *data, size_t room,
                             span *where, kf_error *err) {
    kf__container_tensor *t = &c->tensors[c->n_tensors];
    const char *type = json_string_value(json_object_get(j, "dtype"));
    const json_t *range = json_object_get(j, "data_offsets"), *lo = json_array_get(range, 0),
                 *hi = json_array_get(range, 1);
    *t = (kf__container_tensor){.name = kf__arena_strdup(&c->arena, key)};
    if (!t->name) KF_FAIL_MEMORY(err, strlen(key));
    if (!type) KF_FAIL(err, KF_ERR_FORMAT, "tensor %s: no dtype", key);
    t->dtype = kf__dtype_from_safetensors(type);
    if (t->dtype == KF_DTYPE_NONE)
        KF_FAIL(err, KF_ERR_UNSUPPORTED, "tensor %s: element type %s is not supported", key, type);
    KF_TRY(read_shape(key, json_object_get(j, "shape"), &t->shape, err));
    if (json_array_size(range) != 2 || !json_is_integer(lo) || !json_is_integer(hi) || json_integer_value(lo) < 0 ||
        json_integer_value(hi) < json_integer_value(lo))
        KF_FAIL(err, KF_ERR_FORMAT, "tensor %s: data_offsets is not a pair of ordered sizes", key);
    uint64_t from = (uint64_t)json_integer_value(lo), to = (uint64_t)json_integer_value(hi);
    if (to > room)
        KF_FAIL(err, KF_ERR_FORMAT,
                "tensor %s: data ends at %llu, beyond the %zu bytes there are; the file may be truncated", key,
                (unsigned long long)to, room);
    size_t count, need;
    if (!kf__shape_count(&t->shape, &count) || !kf__mul_size(count, kf_dtype_size(t->dtype), &need))
        KF_FAIL(err, KF_ERR_LIMIT, "tensor %s: its size overflows", key);
    if (need != to - from)
        KF_FAIL(err, KF_ERR_FORMAT, "tensor %s: its shape needs %zu bytes, data_offsets give %llu", key, need,
                (unsigned long long)(to - from));
    t->data = data + from;
    t->bytes = need;
    *where = (span){(size_t)from, (size_t)to, t->name};
    c->n_tensors++;
    return KF_OK;
}

static kf_status read_texts(kf__container *c, json_t *meta, kf_error *err) {
    const char *key;
    json_t *v;
    if (!json_is_object(meta)) KF_FAIL(err, KF_ERR_FORMAT, "__metadata__ is not an object");
    c->texts = kf__arena_array(&c->arena, json_object_size(meta) + 1, sizeof *c->texts);
    if (!c->texts) KF_FAIL_MEMORY(err, json_object_size(meta));
    json_object_foreach(meta, key, v) {
        if (!json_is_string(v)) KF_FAIL(err, KF_ERR_FORMAT, "__metadata__: %s is not a string", key);
        kf__container_text *t = &c->texts[c->n_texts];
        *t = (kf__container_text){kf__arena_strdup(&c->arena, key),
                                  kf__arena_strndup(&c->arena, json_string_value(v), json_string_length(v))};
        if (!t->key || !t->value) KF_FAIL_MEMORY(err, json_string_length(v));
        c->n_texts++;
    }
    return KF_OK;
}

static int by_offset(const void *a, const void *b) {
    const span *x = a, *y = b;
    if (x->from != y->from) return x->from < y->from ? -1 : 1;
    return x->to < y->to ? -1 : x->to > y->to;
}

/* The data has no gaps, and tensors do not overlap, so every byte belongs to exactly one tensor. */
static kf_status check_spans(span *spans, size_t n, size_t room, kf_error *err) {
    size_t at = 0;
    qsort(spans, n, sizeof *spans, by_offset);
    for (size_t i = 0; i < n; i++) {
        if (spans[i].from < at)
            KF_FAIL(err, KF_ERR_FORMAT, "tensor %s: overlaps tensor %s at offset %zu", spans[i].name, spans[i - 1].name,
                    spans[i].from);
        if (spans[i].from > at)
            KF_FAIL(err, KF_ERR_FORMAT, "tensor %s: begins at %zu, %zu bytes after the data before it", spans[i].name,
                    spans[i].from, spans[i].from - at);
        at = spans[i].to;
    }
    if (at != room) KF_FAIL(err, KF_ERR_FORMAT, "%zu bytes follow the last tensor", room - at);
    return KF_OK;
}

static int by_name(const void *a, const void *b) {
    const kf__container_tensor *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

kf_status kf__container_index(kf__container *c, kf_error *err) {
    c->by_name = kf__arena_array(&c->arena, c->n_tensors + 1, sizeof *c->by_name);
    if (!c->by_name) KF_FAIL_MEMORY(err, c->n_tensors * sizeof *c->by_name);
    for (size_t i = 0; i < c->n_tensors; i++) c->by_name[i] = &c->tensors[i];
    qsort(c->by_name, c->n_tensors, sizeof *c->by_name, by_name);
    return KF_OK;
}

static kf_status read_header(kf__container *c, json_t *root, const uint8_t *data, size_t room, kf_error *err) {
    size_t n = json_object_size(root);
    if (!json_is_object(root)) KF_FAIL(err, KF_ERR_FORMAT, "the header is not a JSON object");
    if (n > KF_CONTAINER_MAX_TENSORS)
        KF_FAIL(err, KF_ERR_LIMIT, "%zu tensors; at most %d are accepted", n, KF_CONTAINER_MAX_TENSORS);
    span *spans = kf__arena_array(&c->arena, n + 1, sizeof *spans);
    c->tensors = kf__arena_array(&c->arena, n + 1, sizeof *c->tensors);
    if (!spans || !c->tensors) KF_FAIL_MEMORY(err, n * sizeof *c->tensors);
    const char *key;
    json_t *v;
    json_object_foreach(root, key, v) {
        if (strcmp(key, "__metadata__") == 0) {
            KF_TRY(read_texts(c, v, err));
            continue;
        }
        if (!json_is_object(v)) KF_FAIL(err, KF_ERR_FORMAT, "tensor %s: not described by an object", key);
        KF_TRY(read_tensor(c, key, v, data, room, &spans[c->n_tensors], err));
    }
    KF_TRY(kf__container_index(c, err));
    return check_spans(spans, c->n_tensors, room, err);
}

kf_status kf__container_check_json(const char *text, size_t n, kf_error *err) {
    size_t values = 1;
    for (size_t i = 0; i < n; i++) values += text[i] == ',' || text[i] == '[' || text[i] == '{';
    if (values > KF_CONTAINER_MAX_VALUES)
        return kf__error_limit(err, "values in a JSON text", (double)values, (double)KF_CONTAINER_MAX_VALUES, NULL);
    return KF_OK;
}

kf_status kf__container_read(const void *data, size_t bytes, kf__container *out, kf_error *err) {
    kf__reader r = {data, bytes, 0};
    uint64_t length;
    *out = (kf__container){0};
    kf__arena_init(&out->arena, NULL);
    if (!kf__read_u64(&r, &length))
        KF_FAIL(err, KF_ERR_FORMAT, "byte 0: %zu bytes; a safetensors file begins with 8 bytes of header length",
                bytes);
    if (length > KF_CONTAINER_MAX_HEADER)
        KF_FAIL(err, KF_ERR_LIMIT,
                "byte 0: a header of %llu bytes; at most %zu are accepted; this may be another kind of file",
                (unsigned long long)length, KF_CONTAINER_MAX_HEADER);
    if (length > bytes - 8)
        KF_FAIL(err, KF_ERR_FORMAT,
                "byte 0: a header of %llu bytes in a file of %zu; it is truncated or another kind of file",
                (unsigned long long)length, bytes);
    KF_TRY(kf__container_check_json((const char *)data + 8, (size_t)length, err));
    json_error_t why;
    kf_status st;
    json_t *root = kf__json_load((const char *)data + 8, (size_t)length, &why, &st);
    if (!root) KF_FAIL(err, st, "byte %d: the header cannot be read as JSON; %s", 8 + why.position, why.text);
    st = read_header(out, root, (const uint8_t *)data + 8 + length, bytes - 8 - (size_t)length, err);
    json_decref(root);
    if (st != KF_OK) kf__container_free(out);
    return st;
}

void kf__container_free(kf__container *c) {
    kf__arena_free(&c->arena);
    *c = (kf__container){0};
}

const kf__container_tensor *kf__container_find(const kf__container *c, const char *name) {
    const kf__container_tensor key = {.name = name}, *to_key = &key;
    const kf__container_tensor *const *found = NULL;
    if (c->n_tensors) found = bsearch(&to_key, c->by_name, c->n_tensors, sizeof *c->by_name, by_name);
    return found ? *found : NULL;
}

const char *kf__container_text_of(const kf__container *c, const char *key) {
    for (size_t i = 0; i < c->n_texts; i++)
        if (strcmp(c->texts[i].key, key) == 0) return c->texts[i].value;
    return NULL;
}
