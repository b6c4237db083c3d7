/* Answers of inference: tensors as JSON or binary, and the classification extension.
 * Owner rule: see infer.h. */
#include <stdlib.h>
#include <string.h>

#include "serve/infer.h"
#include "serve/text.h"

static size_t elements(const kf_tensor *t) {
    size_t n = 1;
    for (int i = 0; i < t->rank; i++) n *= (size_t)t->shape[i];
    return n;
}

static double number(const kf_tensor *t, const void *data, size_t i) {
    switch (t->dtype) {
    case KF_F32: return ((const float *)data)[i];
    case KF_I64: return (double)((const int64_t *)data)[i];
    case KF_I32: return ((const int32_t *)data)[i];
    case KF_I8: return ((const int8_t *)data)[i];
    default: return ((const uint8_t *)data)[i];
    }
}

static void put_shape(sv_text *json, const kf_tensor *t, int64_t batch) {
    sv_text_add(json, "[%lld", (long long)t->shape[0] * batch);
    for (int i = 1; i < t->rank; i++) sv_text_add(json, ",%lld", (long long)t->shape[i]);
    sv_text_put(json, "]");
}

static void put_numbers(sv_text *json, const kf_tensor *t, const void *data, size_t n) {
    sv_text_put(json, ",\"data\":[");
    for (size_t i = 0; i < n; i++) {
        if (i) sv_text_put(json, ",");
        if (t->dtype == KF_F32) sv_text_number(json, number(t, data, i));
        else sv_text_add(json, "%.0f", number(t, data, i));
    }
    sv_text_put(json, "]");
}

/* ---- classification ---------------------------------------------------------------------------------------------- */

/* The k largest of one image, best first; ties go to the lower index. The values are those of the output. */
static size_t largest(const float *scores, size_t n, size_t k, size_t *at) {
    size_t found = 0;
    for (size_t i = 0; i < n; i++) {
        if (!(scores[i] == scores[i])) continue;
        size_t place = found;
        while (place && scores[at[place - 1]] < scores[i]) place--;
        if (place >= k) continue;
        if (found < k) found++;
        memmove(at + place + 1, at + place, (found - 1 - place) * sizeof *at);
        at[place] = i;
    }
    return found;
}

static void put_class(const sv_model *m, float score, size_t index, sv_text *to) {
    const char *label = kf_model_label(m->model, (int32_t)index);
    sv_text_add(to, "%.6f:%zu", (double)score, index);
    if (label) sv_text_add(to, ":%s", label);
}

static void put_length(sv_text *binary, size_t n) {
    const uint8_t le[4] = {(uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16), (uint8_t)(n >> 24)};
    sv_text_bytes(binary, le, sizeof le);
}

static void put_classes(const sv_model *m, const sv_wanted *w, const float *scores, int64_t images, size_t n,
                        sv_text *json, sv_text *binary) {
    size_t at[SV_MAX_CLASSES + 1], k = (size_t)w->classes < n ? (size_t)w->classes : n, start = binary->bytes;
    sv_text_add(json, ",\"datatype\":\"BYTES\",\"shape\":[%lld,%zu]", (long long)images, k);
    if (!w->binary) sv_text_put(json, ",\"data\":[");
    for (int64_t i = 0; i < images; i++) {
        size_t found = largest(scores + (size_t)i * n, n, k, at);
        for (size_t c = 0; c < k; c++) {
            sv_text one = {0};
            if (c < found) put_class(m, scores[(size_t)i * n + at[c]], at[c], &one);
            if (one.failed) sv_text_lose(w->binary ? binary : json);
            if (w->binary) put_length(binary, one.bytes), sv_text_bytes(binary, one.data, one.bytes);
            else {
                if (i || c) sv_text_put(json, ",");
                sv_text_string(json, one.data ? one.data : "");
            }
            sv_text_free(&one);
        }
    }
    if (!w->binary) sv_text_put(json, "]");
    else sv_text_add(json, ",\"parameters\":{\"binary_data_size\":%zu}", binary->bytes - start);
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static void put_output(const sv_model *m, const sv_infer *f, int k, const void *data, sv_text *json, sv_text *binary) {
    const sv_wanted *w = &f->wanted[k];
    const kf_tensor *t = &m->outputs[w->output];
    size_t n = elements(t) * (size_t)f->batch;
    sv_text_add(json, "%s{\"name\":", k ? "," : "");
    sv_text_string(json, t->name);
    if (w->classes) {
        int64_t images = f->batch * t->shape[0];
        put_classes(m, w, data, images, n / (size_t)images, json, binary);
    } else {
        sv_text_add(json, ",\"datatype\":\"%s\",\"shape\":", sv_datatype(t->dtype));
        put_shape(json, t, f->batch);
        if (w->binary) {
            sv_text_add(json, ",\"parameters\":{\"binary_data_size\":%zu}", n * kf_dtype_size(t->dtype));
            sv_text_bytes(binary, data, n * kf_dtype_size(t->dtype));
        } else put_numbers(json, t, data, n);
    }
    sv_text_put(json, "}");
}

void sv_infer_write(const sv_model *m, const sv_infer *f, void *const *outputs, sv_answer *a) {
    sv_text json = {0}, binary = {0};
    int64_t start = sv_now();
    bool any = false;
    sv_text_put(&json, "{\"model_name\":");
    sv_text_string(&json, m->name);
    sv_text_add(&json, ",\"model_version\":\"" SV_VERSION "\"");
    if (f->id) sv_text_put(&json, ",\"id\":"), sv_text_string(&json, f->id);
    sv_text_put(&json, ",\"outputs\":[");
    for (int k = 0; k < f->n_wanted; k++) {
        put_output(m, f, k, outputs[k], &json, &binary);
        any |= f->wanted[k].binary;
    }
    sv_text_put(&json, "]}");
    size_t head = json.bytes;
    if (any) sv_text_bytes(&json, binary.data, binary.bytes);
    bool failed = json.failed || binary.failed;
    sv_text_free(&binary);
    a->body = sv_text_take(&json, &a->bytes);
    a->status = 200, a->json_bytes = any ? head : 0;
    a->type = any ? "application/octet-stream" : "application/json";
    a->encode += sv_now() - start;
    if (failed || !a->body) sv_answer_error(a, 503, SV_INTERNAL, "no memory for the answer");
}
