/* The JSON file beside a checkpoint: what weights alone do not say (architecture, input size, preprocessing, labels).
 * Owner rule: a sidecar's arena owns its strings; kf__sidecar_free releases it. */
#ifndef KF_SIDECAR_H
#define KF_SIDECAR_H
#include "base/base.h"

typedef struct kf__sidecar {
    kf__arena arena;
    const char *path;    /* NULL: there is none, everything below is empty */
    const char *arch;    /* as written, a tag after '.' dropped; NULL: not given */
    int32_t classes;     /* 0: not given */
    int32_t side;        /* pixels of the square input; 0: not given */
    const char **labels; /* in class order */
    int32_t n_labels;    /* 0: not given */
    kf_preprocess given; /* only the members whose bit is set below */
    uint32_t fields;     /* as kf_preprocess_copy takes them */
} kf__sidecar;

/** Read "<stem>.json" beside the checkpoint, else "config.json" in its folder; neither there: OK and empty. timm's keys
 *  (architecture, num_classes, label_names, label_descriptions, and of pretrained_cfg input_size and the keys of
 *  preprocess/preprocess.def) and the short ones (arch, classes, input) are known, others are ignored.
 *  Errors name file and key: FORMAT (not JSON, wrong type, out of range), UNSUPPORTED (a filter or crop not known
 * here), LIMIT, IO. */
kf_status kf__sidecar_read(const char *checkpoint, kf__sidecar *out, kf_error *err);
/** The same from memory; `name` is for messages. */
kf_status kf__sidecar_parse(const char *name, const void *data, size_t bytes, kf__sidecar *out, kf_error *err);
void kf__sidecar_free(kf__sidecar *s);
#endif
