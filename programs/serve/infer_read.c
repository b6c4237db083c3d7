/* Reads an inference request: JSON, and the binary part behind it. Every length is checked before it is used.
 * Owner rule: see infer.h. */
#include <errno.h>
#include <float.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "serve/base64.h"
#include "serve/infer.h"

static const struct {
    const char *name;
    kf_dtype dtype;
} TYPES[] = {{"FP32", KF_F32},  {"FP16", KF_F16},  {"FP64", KF_F64},  {"UINT8", KF_U8},  {"INT8", KF_I8},
             {"INT16", KF_I16}, {"INT32", KF_I32}, {"INT64", KF_I64}, {"BOOL", KF_BOOL}, {"BF16", KF_BF16}};

const char *sv_datatype(kf_dtype dtype) {
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++)
        if (TYPES[i].dtype == dtype) return TYPES[i].name;
    return NULL;
}

kf_dtype sv_dtype(const char *name) {
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++)
        if (strcmp(TYPES[i].name, name) == 0) return TYPES[i].dtype;
    return KF_DTYPE_NONE;
}

/* Where the binary part is, and how much of it is taken. */
typedef struct reader {
    const sv_model *m;
    const uint8_t *binary;
    size_t left;
    sv_infer *f;
    kf_error *err;
} reader;

/* ---- values of JSON ---------------------------------------------------------------------------------------------- */

static kf_status text_of(json_t *object, const char *key, const char **out, kf_error *err) {
    json_t *v = json_object_get(object, key);
    *out = json_string_value(v);
    if (v && !*out) KF_FAIL(err, KF_ERR_ARGUMENT, "\"%s\" has to be a string", key);
    return KF_OK;
}

static kf_status whole_of(json_t *object, const char *key, int64_t lo, int64_t hi, int64_t *out, kf_error *err) {
    json_t *v = json_object_get(object, key);
    if (!v) return KF_OK;
    if (!json_is_integer(v) || json_integer_value(v) < lo || json_integer_value(v) > hi)
        KF_FAIL(err, KF_ERR_ARGUMENT, "\"%s\" has to be a whole number of %lld to %lld", key, (long long)lo,
                (long long)hi);
    *out = json_integer_value(v);
    return KF_OK;
}

static kf_status flag_of(json_t *object, const char *key, bool *out, kf_error *err) {
    json_t *v = json_object_get(object, key);
    if (v && !json_is_boolean(v)) KF_FAIL(err, KF_ERR_ARGUMENT, "\"%s\" has to be true or false", key);
    if (v) *out = json_is_true(v);
    return KF_OK;
}

static kf_status read_shape(json_t *shape, sv_input *in, kf_error *err) {
    if (!json_is_array(shape) || !json_array_size(shape) || json_array_size(shape) > KF_MAX_RANK)
        KF_FAIL(err, KF_ERR_ARGUMENT, "input %.200s: \"shape\" has to be a list of 1 to %d numbers", in->name,
                KF_MAX_RANK);
    in->rank = (int)json_array_size(shape);
    for (int i = 0; i < in->rank; i++) {
        json_t *v = json_array_get(shape, (size_t)i);
        if (!json_is_integer(v) || json_integer_value(v) < 1 || json_integer_value(v) > INT32_MAX)
            KF_FAIL(err, KF_ERR_ARGUMENT, "input %.200s: \"shape\" has to hold whole numbers from 1 on", in->name);
        in->shape[i] = json_integer_value(v);
    }
    return KF_OK;
}

/* Elements that the shape has; LIMIT beyond what a body can hold. */
static kf_status elements(const sv_input *in, size_t *out, kf_error *err) {
    size_t n = 1;
    for (int i = 0; i < in->rank; i++) {
        if (n > ((size_t)1 << 40) / (size_t)in->shape[i])
            KF_FAIL(err, KF_ERR_LIMIT, "input %.200s: its shape has more elements than any body can hold", in->name);
        n *= (size_t)in->shape[i];
    }
    *out = n;
    return KF_OK;
}

/* ---- numbers of JSON --------------------------------------------------------------------------------------------- */

static kf_status put_number(json_t *v, const sv_input *in, void *to, size_t at, kf_error *err) {
    if (!json_is_number(v))
        KF_FAIL(err, KF_ERR_ARGUMENT, "input %.200s: \"data\" holds something that is no number", in->name);
    if (in->dtype == KF_F32) {
        double x = json_number_value(v);
        if (!(x >= -FLT_MAX && x <= FLT_MAX))
            KF_FAIL(err, KF_ERR_ARGUMENT, "input %.200s: %g is no number of FP32", in->name, x);
        ((float *)to)[at] = (float)x;
        return KF_OK;
    }
    if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > 255)
        KF_FAIL(err, KF_ERR_ARGUMENT, "input %.200s: UINT8 needs whole numbers of 0 to 255", in->name);
    ((uint8_t *)to)[at] = (uint8_t)json_integer_value(v);
    return KF_OK;
}

/* Nested lists and flat ones alike, in row-major order. */
static kf_status put_list(json_t *list, const sv_input *in, void *to, size_t room, size_t *at, int depth,
                          kf_error *err) {
    if (depth > KF_MAX_RANK) KF_FAIL(err, KF_ERR_ARGUMENT, "input %.200s: \"data\" is nested too deeply", in->name);
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *v = json_array_get(list, i);
        if (json_is_array(v)) {
            KF_TRY(put_list(v, in, to, room, at, depth + 1, err));
            continue;
        }
        if (*at == room)
            KF_FAIL(err, KF_ERR_ARGUMENT, "input %.200s: \"data\" has more than the %zu elements of its shape",
                    in->name, room);
        KF_TRY(put_number(v, in, to, (*at)++, err));
    }
    return KF_OK;
}

static kf_status read_numbers(json_t *data, sv_input *in, kf_error *err) {
    size_t n = 0, at = 0, each = kf_dtype_size(in->dtype);
    if (in->dtype != KF_F32 && in->dtype != KF_U8)
        KF_FAIL(err, KF_ERR_ARGUMENT, "input %.200s: FP32, UINT8 and BYTES are read", in->name);
    KF_TRY(elements(in, &n, err));
    if (n > SV_MAX_JSON / 2) /* each element takes two characters */
        KF_FAIL(err, KF_ERR_LIMIT,
                "input %.200s: %zu elements; JSON of a request holds less than %zu; send it in binary", in->name, n,
                SV_MAX_JSON / 2);
    in->owned = malloc(n * each);
    if (!in->owned) KF_FAIL(err, KF_ERR_MEMORY, "no memory for input %.200s", in->name);
    in->data = in->owned, in->bytes = n * each;
    KF_TRY(put_list(data, in, in->owned, n, &at, 0, err));
    if (at != n)
        KF_FAIL(err, KF_ERR_ARGUMENT, "input %.200s: \"data\" has %zu elements; its shape has %zu", in->name, at, n);
    return KF_OK;
}

/* ---- BYTES ------------------------------------------------------------------------------------------------------- */

static kf_status room_for_pictures(sv_input *in, kf_error *err) {
    size_t n = 0;
    KF_TRY(elements(in, &n, err));
    if (n > SV_MAX_BATCH)
        KF_FAIL(err, KF_ERR_LIMIT, "input %.200s: %zu pictures; %d are possible", in->name, n, SV_MAX_BATCH);
    in->pictures = calloc(n, sizeof *in->pictures);
    if (!in->pictures) KF_FAIL(err, KF_ERR_MEMORY, "no memory for the pictures");
    in->content = SV_PICTURES, in->shape[0] = (int64_t)n, in->rank = 1;
    return KF_OK;
}

static size_t base64_room(json_t *data) {
    size_t all = 0;
    for (size_t i = 0; i < json_array_size(data); i++) all += json_string_length(json_array_get(data, i)) / 4 * 3 + 3;
    return all;
}

static kf_status read_base64(json_t *data, sv_input *in, kf_error *err) {
    KF_TRY(room_for_pictures(in, err));
    if (json_array_size(data) != (size_t)in->shape[0])
        KF_FAIL(err, KF_ERR_ARGUMENT, "input %.200s: \"data\" has %zu elements; its shape has %lld", in->name,
                json_array_size(data), (long long)in->shape[0]);
    uint8_t *at = in->owned = malloc(base64_room(data) + 1);
    if (!at) KF_FAIL(err, KF_ERR_MEMORY, "no memory for the pictures");
    for (size_t i = 0; i < json_array_size(data); i++) {
        const char *s = json_string_value(json_array_get(data, i));
        size_t n;
        if (!s || !sv_base64(s, json_string_length(json_array_get(data, i)), at, &n))
            KF_FAIL(err, KF_ERR_ARGUMENT, "input %.200s: element %zu is no base64 text (RFC 4648)", in->name, i);
        in->pictures[i] = (sv_bytes){at, n};
        at += n;
    }
    return KF_OK;
}

/* Four bytes of length, little-endian, before each element. */
static kf_status read_elements(sv_input *in, kf_error *err) {
    const uint8_t *at = in->data;
    size_t left = in->bytes;
    KF_TRY(room_for_pictures(in, err));
    for (int64_t i = 0; i < in->shape[0]; i++) {
        if (left < 4)
            KF_FAIL(err, KF_ERR_ARGUMENT, "input %.200s: the bytes end before element %lld", in->name, (long long)i);
        size_t n = (size_t)at[0] | (size_t)at[1] << 8 | (size_t)at[2] << 16 | (size_t)at[3] << 24;
        if (n > left - 4)
            KF_FAIL(err, KF_ERR_ARGUMENT, "input %.200s: element %lld announces %zu bytes, %zu follow", in->name,
                    (long long)i, n, left - 4);
        in->pictures[i] = (sv_bytes){at + 4, n};
        at += 4 + n, left -= 4 + n;
    }
    if (left) KF_FAIL(err, KF_ERR_ARGUMENT, "input %.200s: %zu bytes follow its last element", in->name, left);
    return KF_OK;
}

/* ---- one input --------------------------------------------------------------------------------------------------- */

static kf_status read_frame_facts(json_t *p, sv_input *in, kf_error *err) {
    int64_t width = 0, height = 0;
    bool limited = false;
    in->limited = -1;
    KF_TRY(whole_of(p, "width", 2, KF_IMAGE_MAX_SIDE, &width, err));
    KF_TRY(whole_of(p, "height", 2, KF_IMAGE_MAX_SIDE, &height, err));
    KF_TRY(flag_of(p, "limited", &limited, err));
    if (json_object_get(p, "limited")) in->limited = limited;
    if (!width || !height || width % 2 || height % 2)
        KF_FAIL(err, KF_ERR_ARGUMENT,
                "input %.200s: NV12 frames need the parameters \"width\" and \"height\", both even", in->name);
    if (in->dtype != KF_U8) KF_FAIL(err, KF_ERR_ARGUMENT, "input %.200s: NV12 frames are UINT8", in->name);
    size_t frame = (size_t)width * (size_t)height * 3 / 2;
    if (in->bytes % frame || !in->bytes || in->bytes / frame > SV_MAX_BATCH)
        KF_FAIL(err, KF_ERR_ARGUMENT, "input %.200s: %zu bytes; NV12 frames of %lldx%lld have %zu each", in->name,
                in->bytes, (long long)width, (long long)height, frame);
    in->content = SV_FRAMES, in->width = (int32_t)width, in->height = (int32_t)height;
    return KF_OK;
}

static kf_status take_binary(reader *r, size_t bytes, sv_input *in) {
    if (bytes > r->left)
        KF_FAIL(r->err, KF_ERR_ARGUMENT,
                "input %.200s: \"binary_data_size\" is %zu, but %zu bytes are left in the body", in->name, bytes,
                r->left);
    in->data = r->binary, in->bytes = bytes;
    r->binary += bytes, r->left -= bytes;
    return KF_OK;
}

/* Bytes of the binary part that belong to the input; -1: it has none. */
static kf_status binary_size(reader *r, json_t *p, json_t *data, size_t n_inputs, int64_t *out) {
    *out = -1;
    KF_TRY(whole_of(p, "binary_data_size", 0, INT64_MAX / 2, out, r->err));
    if (*out < 0 && !data && n_inputs == 1) *out = (int64_t)r->left; /* all of it */
    return KF_OK;
}

static kf_status read_content(reader *r, json_t *object, json_t *p, const char *datatype, sv_input *in,
                              size_t n_inputs) {
    json_t *data = json_object_get(object, "data");
    const char *content;
    int64_t size;
    KF_TRY(text_of(p, "content_type", &content, r->err));
    KF_TRY(binary_size(r, p, data, n_inputs, &size));
    if (data && size >= 0)
        KF_FAIL(r->err, KF_ERR_ARGUMENT, "input %.200s: \"data\" and \"binary_data_size\" exclude each other",
                in->name);
    if (data && !json_is_array(data))
        KF_FAIL(r->err, KF_ERR_ARGUMENT, "input %.200s: \"data\" has to be a list", in->name);
    if (!data && size < 0)
        KF_FAIL(r->err, KF_ERR_ARGUMENT, "input %.200s: it has neither \"data\" nor \"binary_data_size\"", in->name);
    bool bytes = strcmp(datatype, "BYTES") == 0;
    if (!bytes && !in->dtype)
        KF_FAIL(r->err, KF_ERR_ARGUMENT, "input %.200s: datatype %.40s is not one of the protocol", in->name, datatype);
    if (data && bytes) return read_base64(data, in, r->err);
    if (data) KF_TRY(read_numbers(data, in, r->err));
    else KF_TRY(take_binary(r, (size_t)size, in));
    if (bytes) return read_elements(in, r->err);
    if (content && strcasecmp(content, "nv12") == 0) return read_frame_facts(p, in, r->err);
    size_t n = 0;
    KF_TRY(elements(in, &n, r->err));
    if (n * kf_dtype_size(in->dtype) != in->bytes)
        KF_FAIL(r->err, KF_ERR_ARGUMENT, "input %.200s: %zu bytes; its shape and type have %zu", in->name, in->bytes,
                n * kf_dtype_size(in->dtype));
    return KF_OK;
}

static kf_status read_input(reader *r, json_t *object, size_t n_inputs) {
    sv_input *in = &r->f->inputs[r->f->n_inputs];
    const char *datatype;
    json_t *p = json_object_get(object, "parameters");
    if (!json_is_object(object) || (p && !json_is_object(p)))
        KF_FAIL(r->err, KF_ERR_ARGUMENT, "an input and its \"parameters\" have to be objects");
    KF_TRY(text_of(object, "name", &in->name, r->err));
    KF_TRY(text_of(object, "datatype", &datatype, r->err));
    if (!in->name || !datatype) KF_FAIL(r->err, KF_ERR_ARGUMENT, "an input needs \"name\", \"shape\" and \"datatype\"");
    r->f->n_inputs++;
    in->dtype = sv_dtype(datatype);
    KF_TRY(read_shape(json_object_get(object, "shape"), in, r->err));
    return read_content(r, object, p, datatype, in, n_inputs);
}

/* ---- outputs ----------------------------------------------------------------------------------------------------- */

static int output_by_name(const sv_model *m, const char *name) {
    for (int i = 0; i < m->info.n_outputs; i++)
        if (strcmp(m->outputs[i].name, name) == 0) return i;
    return -1;
}

static kf_status read_output(reader *r, json_t *object, bool binary) {
    const char *name;
    json_t *p = json_object_get(object, "parameters");
    int64_t classes = 0;
    if (!json_is_object(object) || (p && !json_is_object(p)))
        KF_FAIL(r->err, KF_ERR_ARGUMENT, "an output and its \"parameters\" have to be objects");
    KF_TRY(text_of(object, "name", &name, r->err));
    if (!name) KF_FAIL(r->err, KF_ERR_ARGUMENT, "an output needs a \"name\"");
    int output = output_by_name(r->m, name);
    if (output < 0) KF_FAIL(r->err, KF_ERR_ARGUMENT, "model %s has no output %.200s", r->m->name, name);
    for (int i = 0; i < r->f->n_wanted; i++)
        if (r->f->wanted[i].output == output)
            KF_FAIL(r->err, KF_ERR_ARGUMENT, "output %.200s is asked for twice", name);
    KF_TRY(flag_of(p, "binary_data", &binary, r->err));
    KF_TRY(whole_of(p, "classification", 0, SV_MAX_CLASSES, &classes, r->err));
    if (classes && r->m->outputs[output].dtype != KF_F32)
        KF_FAIL(r->err, KF_ERR_ARGUMENT, "output %.200s holds no scores to classify by", name);
    r->f->wanted[r->f->n_wanted++] = (sv_wanted){output, binary, (int)classes};
    return KF_OK;
}

static kf_status read_outputs(reader *r, json_t *root, bool binary) {
    json_t *outputs = json_object_get(root, "outputs");
    if (!outputs || (json_is_array(outputs) && !json_array_size(outputs))) {
        for (int i = 0; i < r->m->info.n_outputs; i++) r->f->wanted[r->f->n_wanted++] = (sv_wanted){i, binary, 0};
        return KF_OK;
    }
    if (!json_is_array(outputs) || json_array_size(outputs) > SV_MAX_TENSORS)
        KF_FAIL(r->err, KF_ERR_ARGUMENT, "\"outputs\" has to be a list of at most %d", SV_MAX_TENSORS);
    for (size_t i = 0; i < json_array_size(outputs); i++) KF_TRY(read_output(r, json_array_get(outputs, i), binary));
    return KF_OK;
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static kf_status read_inputs(reader *r, json_t *root) {
    json_t *inputs = json_object_get(root, "inputs");
    size_t n = json_array_size(inputs);
    if (!json_is_array(inputs) || !n || n > SV_MAX_TENSORS)
        KF_FAIL(r->err, KF_ERR_ARGUMENT, "\"inputs\" has to be a list of 1 to %d", SV_MAX_TENSORS);
    for (size_t i = 0; i < n; i++) KF_TRY(read_input(r, json_array_get(inputs, i), n));
    if (r->left) KF_FAIL(r->err, KF_ERR_ARGUMENT, "%zu bytes of the body belong to no input", r->left);
    return KF_OK;
}

/* Bytes of the JSON at the start of the body. */
static kf_status json_bytes(const sv_request *q, size_t *out, kf_error *err) {
    const char *text = q->header(q->user, "Inference-Header-Content-Length");
    char *end;
    *out = q->bytes;
    if (!text) return KF_OK;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || n > q->bytes)
        KF_FAIL(err, KF_ERR_ARGUMENT, "Inference-Header-Content-Length: %.40s; the body has %zu bytes", text, q->bytes);
    *out = (size_t)n;
    return KF_OK;
}

static kf_status read_root(sv_infer *f, const sv_request *q, size_t bytes, kf_error *err) {
    if (bytes > SV_MAX_JSON)
        KF_FAIL(err, KF_ERR_LIMIT, "%zu bytes of JSON; %zu are possible; send tensors in binary", bytes, SV_MAX_JSON);
    if (!bytes) KF_FAIL(err, KF_ERR_ARGUMENT, "the body is empty; a JSON object is needed");
    return sv_json_read(q->body, bytes, &f->json, err);
}

/* Of the formats that are decoded. Numbers that begin so are in no normalized picture. */
static bool looks_like_picture(const uint8_t *at, size_t bytes) {
    static const struct {
        const char *magic;
        size_t bytes;
    } KINDS[] = {{"\xff\xd8\xff", 3}, {"\x89PNG\r\n", 6}, {"RIFF", 4}, {"P5", 2}, {"P6", 2}, {"BM", 2}, {"GIF8", 4}};
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++)
        if (bytes >= KINDS[i].bytes && memcmp(at, KINDS[i].magic, KINDS[i].bytes) == 0) return true;
    return false;
}

/* A body without JSON, header length 0: the data of the only input. */
static kf_status read_raw(const sv_model *m, const sv_request *q, sv_infer *f, kf_error *err) {
    sv_input *in = &f->inputs[0];
    const kf_tensor *t = &m->inputs[0];
    size_t n = kf_dtype_size(t->dtype);
    bool pictures = m->info.preprocess.valid;
    if (m->info.n_inputs != 1)
        KF_FAIL(err, KF_ERR_ARGUMENT, "a raw request needs a model with one input; %s has %d", m->name,
                m->info.n_inputs);
    for (int i = 0; i < t->rank; i++) n *= (size_t)t->shape[i];
    *in = (sv_input){.name = t->name, .dtype = t->dtype, .data = q->body, .bytes = q->bytes, .rank = t->rank};
    memcpy(in->shape, t->shape, sizeof in->shape);
    f->n_inputs = 1;
    for (int i = 0; i < m->info.n_outputs; i++) f->wanted[f->n_wanted++] = (sv_wanted){i, true, 0};
    if (q->bytes % n == 0 && !(pictures && looks_like_picture(q->body, q->bytes))) {
        in->shape[0] = t->shape[0] * (int64_t)(q->bytes / n);
        return KF_OK;
    }
    if (!pictures)
        KF_FAIL(err, KF_ERR_ARGUMENT, "%zu bytes are no multiple of the %zu that input %.200s has", q->bytes, n,
                t->name);
    in->shape[0] = 1;
    in->rank = 1;
    KF_TRY(room_for_pictures(in, err));
    in->pictures[0] = (sv_bytes){q->body, q->bytes};
    return KF_OK;
}

static kf_status read_whole(const sv_model *m, const sv_request *q, sv_infer *f, kf_error *err) {
    size_t head;
    KF_TRY(json_bytes(q, &head, err));
    if (!head && q->bytes) return read_raw(m, q, f, err);
    KF_TRY(read_root(f, q, head, err));
    reader r = {m, q->body + head, q->bytes - head, f, err};
    json_t *p = json_object_get(f->json.root, "parameters");
    int64_t microseconds = 0;
    bool binary = false;
    if (p && !json_is_object(p)) KF_FAIL(err, KF_ERR_ARGUMENT, "\"parameters\" has to be an object");
    KF_TRY(text_of(f->json.root, "id", &f->id, err));
    KF_TRY(whole_of(p, "timeout", 0, 3600000000, &microseconds, err));
    KF_TRY(flag_of(p, "binary_data_output", &binary, err));
    f->deadline = q->deadline;
    int64_t own = q->began + microseconds * 1000;
    if (microseconds && (!f->deadline || own < f->deadline)) f->deadline = own;
    KF_TRY(read_inputs(&r, f->json.root));
    return read_outputs(&r, f->json.root, binary);
}

kf_status sv_infer_read(const sv_model *m, const sv_request *q, sv_infer *f, kf_error *err) {
    *f = (sv_infer){0};
    kf_status st = read_whole(m, q, f, err);
    if (st != KF_OK) sv_infer_free(f);
    return st;
}

void sv_infer_free(sv_infer *f) {
    for (int i = 0; i < SV_MAX_TENSORS; i++) {
        free(f->inputs[i].pictures);
        free(f->inputs[i].owned);
    }
    sv_json_free(&f->json);
    *f = (sv_infer){0};
}
