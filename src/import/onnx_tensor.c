/* TensorProto payloads: raw, typed and external, every element type that these networks use. Sizes are checked before a
 * byte is touched. Half types become f32 here, so later stages see f32 and integers only.
 * Owner rule: decoded data belongs to the graph's arena. */
#include "import/onnx_private.h"

#include "os/file.h"

static kf_dtype dtype_of(int onnx) {
    switch (onnx) {
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT: return KF_F32;
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16: return KF_F16;
    case ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16: return KF_BF16;
    case ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE: return KF_F64;
    case ONNX__TENSOR_PROTO__DATA_TYPE__UINT8: return KF_U8;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT8: return KF_I8;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT16: return KF_I16;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT32: return KF_I32;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT64: return KF_I64;
    case ONNX__TENSOR_PROTO__DATA_TYPE__BOOL: return KF_BOOL;
    default: return KF_DTYPE_NONE;
    }
}

kf_dtype kf__onnx_dtype(int onnx) { return dtype_of(onnx); }

/* Element i of the typed field that the dtype uses. */
static bool typed_element(const Onnx__TensorProto *t, kf_dtype dtype, size_t i, void *to) {
    switch (dtype) {
    case KF_F32: return i < t->n_float_data && (memcpy(to, &t->float_data[i], 4), true);
    case KF_F64: return i < t->n_double_data && (memcpy(to, &t->double_data[i], 8), true);
    case KF_I64: return i < t->n_int64_data && (memcpy(to, &t->int64_data[i], 8), true);
    case KF_I32: return i < t->n_int32_data && (memcpy(to, &t->int32_data[i], 4), true);
    case KF_F16:
    case KF_BF16:
    case KF_I16: {
        uint16_t v = i < t->n_int32_data ? (uint16_t)t->int32_data[i] : 0;
        memcpy(to, &v, 2);
        return i < t->n_int32_data;
    }
    case KF_U8:
    case KF_I8:
    case KF_BOOL: {
        uint8_t v = i < t->n_int32_data ? (uint8_t)t->int32_data[i] : 0;
        memcpy(to, &v, 1);
        return i < t->n_int32_data;
    }
    case KF_DTYPE_NONE:
    case KF_DTYPE_COUNT: break;
    }
    return false;
}

/* External locations stay inside the model's folder: no absolute paths, no ".."; kf__file_read_beside judges links. */
static bool safe_location(const char *s) {
    if (!*s || *s == '/' || strchr(s, '\\')) return false;
    for (const char *p = s; p; p = strchr(p, '/')) {
        if (*p == '/') p++;
        if (p[0] == '.' && p[1] == '.' && (p[2] == '/' || p[2] == '\0')) return false;
    }
    return true;
}

/* Digits only: strtoull would take signs and wrap. */
static bool decimal(const char *s, size_t *out) {
    *out = 0;
    if (!*s) return false;
    for (; *s; s++)
        if (*s < '0' || *s > '9' || !kf__mul_size(*out, 10, out) || !kf__add_size(*out, (size_t)(*s - '0'), out))
            return false;
    return true;
}

static kf_status external(kf__onnx *o, const Onnx__TensorProto *t, size_t bytes, void *to) {
    const char *location = "", *offset = "0", *length = NULL;
    for (size_t i = 0; i < t->n_external_data; i++) {
        const char *k = t->external_data[i]->key, *v = t->external_data[i]->value;
        if (!k || !v) continue;
        if (strcmp(k, "location") == 0) location = v;
        if (strcmp(k, "offset") == 0) offset = v;
        if (strcmp(k, "length") == 0) length = v;
    }
    const char *name = t->name ? t->name : "?";
    if (!o->options->path)
        KF_FAIL(o->err, KF_ERR_UNSUPPORTED,
                "tensor %s: its data is in another file; a model in memory has no folder; import it from a path", name);
    if (!safe_location(location))
        KF_FAIL(o->err, KF_ERR_FORMAT, "tensor %s: external location \"%s\" leaves the model's folder; refused", name,
                location);
    size_t at, len = bytes;
    if (!decimal(offset, &at) || (length && !decimal(length, &len)))
        KF_FAIL(o->err, KF_ERR_FORMAT, "tensor %s: external offset \"%s\" or length \"%s\" is not a number", name,
                offset, length ? length : "");
    if (len != bytes)
        KF_FAIL(o->err, KF_ERR_FORMAT, "tensor %s: external length %zu, %zu bytes are needed", name, len, bytes);
    const char *model = o->options->path, *slash = strrchr(model, '/');
    int folder = slash ? (int)(slash + 1 - model) : 0;
    char *path = kf__arena_printf(&o->g->arena, "%.*s%s", folder, model, location);
    if (!path) KF_FAIL_MEMORY(o->err, strlen(location));
    if (o->options->asked.file) o->options->asked.file(o->options->asked.file_user, path);
    kf_status st = kf__file_read_beside(model, path, at, to, bytes, o->err);
    return st == KF_OK ? st : kf_error_prefix(o->err, st, "tensor %s", name);
}

static kf_status widen(kf__onnx *o, kf_dtype *dtype, size_t n, void **data) {
    if (*dtype != KF_F16 && *dtype != KF_BF16 && *dtype != KF_F64) return KF_OK;
    float *f = kf__arena_array(&o->g->arena, n, sizeof *f);
    if (!f) KF_FAIL_MEMORY(o->err, n * sizeof *f);
    for (size_t i = 0; i < n; i++) {
        if (*dtype == KF_F64) f[i] = (float)((const double *)*data)[i];
        else if (*dtype == KF_F16) f[i] = kf__half_to_f32(((const uint16_t *)*data)[i]);
        else f[i] = kf__bf16_to_f32(((const uint16_t *)*data)[i]);
    }
    *data = f;
    *dtype = KF_F32;
    return KF_OK;
}

kf_status kf__onnx_tensor(kf__onnx *o, const Onnx__TensorProto *t, kf_dtype *dtype, kf__shape *shape, void **data) {
    const char *name = t->name ? t->name : "?";
    size_t n, bytes;
    *dtype = dtype_of(t->data_type);
    if (*dtype == KF_DTYPE_NONE)
        KF_FAIL(o->err, KF_ERR_UNSUPPORTED,
                "tensor %s: element type %d is not supported; convert the model to fp32 or fp16", name, t->data_type);
    if (t->n_dims > KF_MAX_RANK)
        KF_FAIL(o->err, KF_ERR_LIMIT, "tensor %s: %zu dimensions, at most %d", name, t->n_dims, KF_MAX_RANK);
    *shape = kf__shape_make((int)t->n_dims, t->dims);
    if (!kf__graph_shape_fits(shape) || !kf__shape_count(shape, &n) ||
        !kf__mul_size(n, kf_dtype_size(*dtype), &bytes) || bytes > ((size_t)1 << 33))
        KF_FAIL(o->err, KF_ERR_LIMIT, "tensor %s: its size is not possible", name);
    bool is_external = t->has_data_location && t->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
    size_t typed = t->n_float_data + t->n_double_data + t->n_int64_data + t->n_int32_data;
    if (!is_external && (t->has_raw_data ? t->raw_data.len != bytes : typed != n))
        KF_FAIL(o->err, KF_ERR_FORMAT, "tensor %s: %zu elements of data for %zu in its shape", name,
                t->has_raw_data ? t->raw_data.len / kf_dtype_size(*dtype) : typed, n);
    *data = kf__arena_alloc(&o->g->arena, bytes ? bytes : 1);
    if (!*data) KF_FAIL_MEMORY(o->err, bytes);
    if (is_external) KF_TRY(external(o, t, bytes, *data));
    else if (t->has_raw_data && bytes) memcpy(*data, t->raw_data.data, bytes); /* an empty one may have no address */
    else if (!t->has_raw_data)
        for (size_t i = 0; i < n; i++)
            if (!typed_element(t, *dtype, i, (char *)*data + i * kf_dtype_size(*dtype)))
                KF_FAIL(o->err, KF_ERR_FORMAT, "tensor %s: its data is in a field of another type", name);
    return widen(o, dtype, n, data);
}
