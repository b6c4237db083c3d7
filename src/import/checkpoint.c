/* safetensors of timm's MobileNetV3 to a graph: each tensor checked by name, shape and value, half types widened.
 * Floor 5.
 * Owner rule: see checkpoint.h; widened copies live in a scratch arena until the graph has its own. */
#include "import/checkpoint.h"

#include <math.h>
#include <stdio.h>

#include "container/container.h"
#include "zoo/zoo.h"

typedef struct source {
    kf__container file;
    kf__arena scratch;
    size_t used;
} source;

static bool ends(const char *s, const char *tail) {
    size_t n = strlen(s), m = strlen(tail);
    return n >= m && strcmp(s + n - m, tail) == 0;
}

/* The same tensor whatever wrapper saved it. */
static const kf__container_tensor *find(const source *s, const char *name) {
    static const char *const PREFIX[] = {"", "module.", "model.", "state_dict."};
    char text[256];
    for (size_t i = 0; i < KF_COUNT(PREFIX); i++) {
        snprintf(text, sizeof text, "%s%s", PREFIX[i], name);
        const kf__container_tensor *t = kf__container_find(&s->file, text);
        if (t) return t;
    }
    return NULL;
}

static kf_status check_value(const kf__container_tensor *t, float x, size_t i, bool variance, kf_error *err) {
    if (!isfinite(x)) KF_FAIL(err, KF_ERR_FORMAT, "tensor %s: element %zu is not a finite number; the checkpoint is damaged or diverged", t->name, i);
    if (variance && x < 0) KF_FAIL(err, KF_ERR_FORMAT, "tensor %s: element %zu is negative, which a variance cannot be", t->name, i);
    return KF_OK;
}

static kf_status fetch(void *user, const char *name, const kf__shape *shape, const float **data, kf_error *err) {
    source *s = user;
    const kf__container_tensor *t = find(s, name);
    char want[96], have[96];
    if (!t) KF_FAIL(err, KF_ERR_UNSUPPORTED, "tensor %s: missing", name);
    if (!kf__shape_equal(&t->shape, shape))
        KF_FAIL(err, KF_ERR_SHAPE, "tensor %s: is %s, the network needs %s", t->name, kf__shape_text(&t->shape, have, sizeof have), kf__shape_text(shape, want, sizeof want));
    if (t->dtype != KF_F32 && t->dtype != KF_F16 && t->dtype != KF_BF16)
        KF_FAIL(err, KF_ERR_FORMAT, "tensor %s: is %s; weights are F32, F16 or BF16", t->name, kf_dtype_name(t->dtype));
    size_t size = kf_dtype_size(t->dtype), n = t->bytes / size;
    bool variance = ends(name, ".running_var");
    float *f = kf__arena_array(&s->scratch, n + 1, sizeof *f);
    if (!f) KF_FAIL_MEMORY(err, n * sizeof *f);
    for (size_t i = 0; i < n; i++) {
        const char *at = (const char *)t->data + i * size;
        uint16_t h = 0;
        if (size == 2) memcpy(&h, at, 2);
        if (t->dtype == KF_F32) memcpy(&f[i], at, 4);
        else f[i] = t->dtype == KF_F16 ? kf__half_to_f32(h) : kf__bf16_to_f32(h);
        KF_TRY(check_value(t, f[i], i, variance, err));
    }
    s->used++;
    *data = f;
    return KF_OK;
}

static kf_status build(source *s, const kf__zoo_arch *v, int64_t side, kf__graph **out, kf_error *err) {
    const char *last = v->style == KF_ZOO_TIMM ? "classifier.bias" : "classifier.3.bias";
    const kf__container_tensor *c = find(s, last);
    if (!c || c->shape.rank != 1 || c->shape.dim[0] < 1 || c->shape.dim[0] > 1 << 20)
        KF_FAIL(err, KF_ERR_UNSUPPORTED, "tensor %s: missing or not a vector of 1 to 1048576 classes; this is not a checkpoint of %s", last, v->name);
    size_t counted = 0;
    s->used = 0;
    kf__zoo_request r = {.arch = v, .classes = (int32_t)c->shape.dim[0], .height = (int32_t)side, .width = (int32_t)side, .weight = fetch, .user = s};
    kf_status st = kf__zoo_build(&r, out, err);
    kf__arena_free(&s->scratch);
    kf__arena_init(&s->scratch, NULL);
    KF_TRY(st);
    for (size_t i = 0; i < s->file.n_tensors; i++) counted += !ends(s->file.tensors[i].name, "num_batches_tracked");
    if (counted == s->used) return KF_OK;
    kf__graph_destroy(out);
    KF_FAIL(err, KF_ERR_UNSUPPORTED, "%zu tensors, %s uses %zu; it is another network", counted, v->name, s->used);
}

static kf_status choose(source *s, const char *arch, int64_t side, kf__graph **out, kf_error *err) {
    const kf__zoo_arch *v;
    kf_status st = KF_ERR_UNSUPPORTED;
    for (int32_t i = 0; (v = kf__zoo_at(i)); i++) {
        if (arch && strcmp(v->name, arch) != 0) continue;
        st = build(s, v, side, out, err);
        if (arch || st == KF_OK || (st != KF_ERR_UNSUPPORTED && st != KF_ERR_SHAPE)) return st;
    }
    if (arch) KF_FAIL(err, KF_ERR_ARGUMENT, "architecture \"%s\" is not known; timm's MobileNetV3 names are", arch);
    KF_FAIL(err, st, "the tensors fit no MobileNetV3 known here; name the architecture to learn the first tensor that differs");
}

kf_status kf__checkpoint_read(const void *data, size_t bytes, const kf__checkpoint_options *o, kf__graph **out, kf_error *err) {
    source s = {0};
    int h = 224, w = 224, end = 0;
    *out = NULL;
    if (o->input_shape && (sscanf(o->input_shape, "1x3x%dx%d%n", &h, &w, &end) != 2 || o->input_shape[end] || h != w || h < 32 || h > 4096))
        KF_FAIL(err, KF_ERR_ARGUMENT, "input shape %s: 1x3xNxN with N from 32 to 4096 is needed", o->input_shape);
    KF_TRY(kf__container_read(data, bytes, &s.file, err));
    kf__arena_init(&s.scratch, NULL);
    kf_status st = choose(&s, o->arch, h, out, err);
    kf__arena_free(&s.scratch);
    kf__container_free(&s.file);
    return st;
}
