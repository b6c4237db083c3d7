/* The safetensors container: a JSON header that names tensors, then their bytes. Reading over memory, writing to
 * memory. Used by the model file and by the checkpoint import. Owner rule: a container's arena owns names and entries;
 * tensor data borrows from the bytes it was read from. */
#ifndef KF_CONTAINER_H
#define KF_CONTAINER_H

#include "tensor/tensor.h"

/** Limits of the reader; larger headers or more tensors are refused with KF_ERR_LIMIT. */
#define KF_CONTAINER_MAX_HEADER ((size_t)16 << 20)
#define KF_CONTAINER_MAX_TENSORS 65536
/** Most values in a JSON text: a list of minimal values would take 40 times the memory of the file. */
#define KF_CONTAINER_MAX_VALUES ((size_t)1 << 22)

typedef struct kf__container_tensor {
    const char *name;
    kf_dtype dtype;
    kf__shape shape;
    const void *data; /* not necessarily aligned to the element size */
    size_t bytes;
} kf__container_tensor;

typedef struct kf__container_text {
    const char *key, *value;
} kf__container_text;

typedef struct kf__container {
    kf__arena arena;
    kf__container_tensor *tensors; /* in the header's order */
    size_t n_tensors;
    const kf__container_tensor **by_name; /* the same in the order of their names */
    kf__container_text *texts;            /* the string map of "__metadata__" */
    size_t n_texts;
} kf__container;

/** Parse and check: header inside the file, JSON without duplicate keys, known dtypes, sizes that match the shapes,
 * ranges inside the data, not overlapping, and covering it to the last byte. Errors name the tensor. */
kf_status kf__container_read(const void *data, size_t bytes, kf__container *out, kf_error *err);
/** Fill `by_name` from `tensors` for kf__container_find. MEMORY. */
kf_status kf__container_index(kf__container *c, kf_error *err);
void kf__container_free(kf__container *c);
/** LIMIT if a JSON text of n bytes may have more values than are accepted; commas and brackets inside strings count
 * too. */
kf_status kf__container_check_json(const char *text, size_t n, kf_error *err);
/** NULL when absent. */
const kf__container_tensor *kf__container_find(const kf__container *c, const char *name);
const char *kf__container_text_of(const kf__container *c, const char *key);

/** Serialise into *out (kf__mem_alloc'ed, the caller frees it with the default allocator): texts in the order given,
 * then tensors, without gaps between them; the data begins at a multiple of KF_ALIGN. */
kf_status kf__container_write(const kf__container_text *texts, size_t n_texts, const kf__container_tensor *tensors,
                              size_t n_tensors, void **out, size_t *bytes, kf_error *err);

#endif
