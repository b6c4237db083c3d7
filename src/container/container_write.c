/* Writing a safetensors container: the header in the caller's order, so the same input gives the same bytes.
 * Owner rule: see container.h. */
#include <jansson.h>
#include <stdlib.h>

#include "container/container.h"

static json_t *describe(const kf__container_tensor *t, size_t from) {
    json_t *shape = json_array(), *j = json_object();
    int bad = 0;
    for (int i = 0; i < t->shape.rank; i++) bad |= json_array_append_new(shape, json_integer(t->shape.dim[i]));
    bad |= json_object_set_new(j, "dtype", json_string(kf__dtype_safetensors(t->dtype)));
    bad |= json_object_set_new(j, "shape", shape);
    bad |= json_object_set_new(j, "data_offsets", json_pack("[I,I]", (json_int_t)from, (json_int_t)(from + t->bytes)));
    if (!bad) return j;
    json_decref(j);
    return NULL;
}

static char *header_text(const kf__container_text *texts, size_t n_texts, const kf__container_tensor *tensors,
                         size_t n_tensors) {
    json_t *root = json_object(), *meta = json_object();
    size_t at = 0;
    int bad = 0;
    for (size_t i = 0; i < n_texts; i++) bad |= json_object_set_new(meta, texts[i].key, json_string(texts[i].value));
    bad |= json_object_set_new(root, "__metadata__", meta);
    for (size_t i = 0; i < n_tensors; i++) {
        bad |= json_object_set_new(root, tensors[i].name, describe(&tensors[i], at));
        at += tensors[i].bytes;
    }
    char *text = bad ? NULL : json_dumps(root, JSON_COMPACT);
    json_decref(root);
    return text;
}

kf_status kf__container_write(const kf__container_text *texts, size_t n_texts, const kf__container_tensor *tensors,
                              size_t n_tensors, void **out, size_t *bytes, kf_error *err) {
    size_t data = 0;
    *out = NULL;
    for (size_t i = 0; i < n_tensors; i++)
        if (!kf__add_size(data, tensors[i].bytes, &data))
            KF_FAIL(err, KF_ERR_LIMIT, "tensor %s: the file would be too large", tensors[i].name);
    char *header = header_text(texts, n_texts, tensors, n_tensors);
    if (!header)
        KF_FAIL(err, KF_ERR_MEMORY, "the header cannot be written; out of memory, or a text that is not UTF-8");
    size_t length = strlen(header), padded = kf__round_up(8 + length, KF_ALIGN) - 8;
    uint8_t *file = kf__mem_alloc(NULL, 8 + padded + data);
    if (!file) {
        free(header);
        KF_FAIL_MEMORY(err, 8 + padded + data);
    }
    for (int i = 0; i < 8; i++) file[i] = (uint8_t)((uint64_t)padded >> (8 * i));
    memcpy(file + 8, header, length);
    memset(file + 8 + length, ' ', padded - length);
    free(header);
    uint8_t *to = file + 8 + padded;
    for (size_t i = 0; i < n_tensors; to += tensors[i++].bytes)
        if (tensors[i].bytes) memcpy(to, tensors[i].data, tensors[i].bytes);
    *out = file;
    *bytes = 8 + padded + data;
    return KF_OK;
}
