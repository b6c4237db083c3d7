/* An inference request of the Open Inference Protocol: read from JSON and binary tensors, computed, answered.
 * Owner rule: sv_infer_free releases what was read; data of tensors points into the body or into what it owns. */
#ifndef KITFOX_SERVE_INFER_H
#define KITFOX_SERVE_INFER_H

#include "serve/json_read.h"
#include "serve/message.h"
#include "serve/models.h"

enum { SV_MAX_BATCH = 1024, SV_MAX_CLASSES = 1000 };

/** What the bytes of an input are. */
typedef enum sv_content {
    SV_TENSOR = 0,   /* numbers, as the model declares them, or u8 pixels in NHWC */
    SV_PICTURES = 1, /* encoded pictures: BYTES */
    SV_FRAMES = 2    /* NV12 frames */
} sv_content;

/** One element of a BYTES tensor. */
typedef struct sv_bytes {
    const uint8_t *data;
    size_t bytes;
} sv_bytes;

typedef struct sv_input {
    const char *name;
    sv_content content;
    kf_dtype dtype;
    int rank;
    int64_t shape[KF_MAX_RANK];
    const uint8_t *data; /* TENSOR and FRAMES */
    size_t bytes;
    sv_bytes *pictures;             /* PICTURES: [shape[0]] */
    int32_t width, height, limited; /* FRAMES; limited -1: as the model was made for */
    void *owned;                    /* numbers that were JSON, bytes that were base64 */
} sv_input;

typedef struct sv_wanted {
    int output;  /* of the model */
    bool binary; /* in the binary part */
    int classes; /* classification extension: so many labels; 0: the numbers */
} sv_wanted;

typedef struct sv_infer {
    sv_json json;
    const char *id; /* NULL: none */
    sv_input inputs[SV_MAX_TENSORS];
    int n_inputs;
    sv_wanted wanted[SV_MAX_TENSORS];
    int n_wanted;
    int64_t deadline; /* sv_now; 0: none */
    int64_t batch;    /* images, for the model's declared one */
} sv_infer;

/** Most bytes of the tensors of one answer, before they become text. */
#define SV_MAX_OUTPUT ((size_t)64 << 20)
/** Most bytes of JSON of one request, and elements of a tensor in it. */
#define SV_MAX_JSON ((size_t)16 << 20)

/** Read a request for `m`. Errors (ARGUMENT, LIMIT, MEMORY) name the tensor or the key. */
kf_status sv_infer_read(const sv_model *m, const sv_request *r, sv_infer *out, kf_error *err);
void sv_infer_free(sv_infer *f);
/** Compute, and find f->batch: outputs[k] gets batch times the declared elements of wanted output k, f32 or as
 * declared; the caller frees each with free(). `session` is the worker's. `a` gets the times. */
kf_status sv_infer_run(const sv_model *m, kf_session *session, sv_infer *f, void *outputs[SV_MAX_TENSORS], sv_answer *a,
                       kf_error *err);
/** The answer in JSON, or JSON and binary tensors. */
void sv_infer_write(const sv_model *m, const sv_infer *f, void *const *outputs, sv_answer *a);

/** Decode one picture and give the network's scores, output 0; `ns` gets the time of the decoding. `seen` (may be NULL)
 * gets the pixels that the network sees; the caller frees them with kf_image_free. */
kf_status sv_picture_scores(const sv_model *m, kf_session *session, const sv_bytes *picture, float *scores, int64_t *ns,
                            kf_image *seen, kf_error *err);
/** "FP32" for f32, ...; NULL for a type that the protocol lacks. And back; KF_DTYPE_NONE: unknown, or BYTES. */
const char *sv_datatype(kf_dtype dtype);
kf_dtype sv_dtype(const char *datatype);

#endif
