/* Reading a model file: container, version, hash, program, then the proof in program/validate.c. Nothing is trusted.
 * Owner rule: see format.h. */
#include "container/json.h"
#include <math.h>

#include "container/container.h"
#include "format/format.h"
#include "preprocess/preprocess.h"

enum {
    MAX_ITEMS = 65536,
    BORROW_BYTES = 16384
}; /* smaller constants are copied: they are read again while the model runs */

typedef struct reading {
    kf__program *p;
    const kf__container *c;
    kf_error *err;
    unsigned flags;
} reading;

#define BAD(r, ...) KF_FAIL((r)->err, KF_ERR_CORRUPT, __VA_ARGS__)

static kf_status get_i64(const reading *r, const json_t *o, const char *key, int64_t lo, int64_t hi, int64_t *out) {
    const json_t *v = json_object_get(o, key);
    if (!v) return KF_OK; /* absent: stays as it is */
    if (!json_is_integer(v) || json_integer_value(v) < lo || json_integer_value(v) > hi)
        BAD(r, "%s is not an integer in %lld..%lld", key, (long long)lo, (long long)hi);
    *out = json_integer_value(v);
    return KF_OK;
}

static kf_status get_i32(const reading *r, const json_t *o, const char *key, int32_t *out) {
    int64_t v = *out;
    KF_TRY(get_i64(r, o, key, INT32_MIN, INT32_MAX, &v));
    *out = (int32_t)v;
    return KF_OK;
}

/* One of the numbers 0 .. count - 1. */
static kf_status get_word(const reading *r, const json_t *o, const char *key, int64_t count, int32_t *out) {
    int64_t v = *out;
    KF_TRY(get_i64(r, o, key, 0, count - 1, &v));
    *out = (int32_t)v;
    return KF_OK;
}

static bool real_of(const json_t *v, double *out) {
    const char *s = json_string_value(v);
    if (s && (strcmp(s, "inf") == 0 || strcmp(s, "-inf") == 0)) *out = s[0] == '-' ? -INFINITY : INFINITY;
    else if (json_is_number(v)) *out = json_number_value(v);
    else return false;
    return true;
}

static kf_status get_text(const reading *r, const json_t *o, const char *key, const char **out) {
    const json_t *v = json_object_get(o, key);
    if (!v) return KF_OK;
    if (!json_is_string(v)) BAD(r, "%s is not a string", key);
    *out = kf__arena_strdup(&r->p->arena, json_string_value(v));
    if (!*out) KF_FAIL_MEMORY(r->err, json_string_length(v));
    return KF_OK;
}

/* A list of at most `max` strings. */
static kf_status get_texts(const reading *r, const json_t *o, const char *key, size_t max, const char ***out,
                           int32_t *n) {
    const json_t *list = json_object_get(o, key);
    size_t count = json_array_size(list);
    if (!json_is_array(list) || count > max) BAD(r, "%s is not a list of at most %zu strings", key, max);
    *out = kf__arena_array(&r->p->arena, count + 1, sizeof **out);
    if (!*out) KF_FAIL_MEMORY(r->err, count);
    for (*n = 0; *n < (int32_t)count; ++*n) {
        const char *s = json_string_value(json_array_get(list, (size_t)*n));
        if (!s) BAD(r, "%s: entry %d is not a string", key, *n);
        if (!((*out)[*n] = kf__arena_strdup(&r->p->arena, s))) KF_FAIL_MEMORY(r->err, strlen(s));
    }
    return KF_OK;
}

static kf_status get_shape(const reading *r, const json_t *o, int64_t shape[KF_MAX_RANK], int32_t *rank) {
    const json_t *list = json_object_get(o, "shape");
    if (!json_is_array(list) || json_array_size(list) > KF_MAX_RANK)
        BAD(r, "shape is not a list of at most %d numbers", KF_MAX_RANK);
    *rank = (int32_t)json_array_size(list);
    for (int i = 0; i < *rank; i++) {
        const json_t *v = json_array_get(list, (size_t)i);
        if (!json_is_integer(v) || json_integer_value(v) < 1 || json_integer_value(v) > INT32_MAX)
            BAD(r, "shape: extent %d is out of range", i);
        shape[i] = json_integer_value(v);
    }
    return KF_OK;
}

static kf_status read_tensor(const reading *r, const json_t *j, kf__ptensor *t) {
    *t = (kf__ptensor){.scales = -1, .zeros = -1};
    int64_t shape[KF_MAX_RANK];
    int32_t rank;
    double scale = 0;
    KF_TRY(get_text(r, j, "name", &t->name));
    KF_TRY(get_shape(r, j, shape, &rank));
    if (rank != 4) BAD(r, "shape does not have 4 extents");
    t->n = (int32_t)shape[0], t->h = (int32_t)shape[1], t->w = (int32_t)shape[2], t->c = (int32_t)shape[3];
    const char *type = json_string_value(json_object_get(j, "dtype"));
    for (int d = 1; type && d < KF_DTYPE_COUNT; d++)
        if (strcmp(kf_dtype_name((kf_dtype)d), type) == 0) t->dtype = (kf_dtype)d;
    if (t->dtype == KF_F32) return KF_OK;
    if (!real_of(json_object_get(j, "scale"), &scale)) BAD(r, "a quantized tensor without a scale");
    t->scale = (float)scale;
    KF_TRY(get_i32(r, j, "zero", &t->zero));
    KF_TRY(get_i32(r, j, "qmin", &t->qmin));
    KF_TRY(get_i32(r, j, "qmax", &t->qmax));
    KF_TRY(get_i32(r, j, "scales", &t->scales));
    return get_i32(r, j, "zeros", &t->zeros);
}

static kf_status read_act(const reading *r, const json_t *j, const char *key, kf__activation *a) {
    const json_t *l = json_object_get(j, key);
    if (!l) return KF_OK;
    const char *name = json_string_value(json_array_get(l, 0));
    double lo, hi;
    kf__act kind = name ? kf__act_from_name(name) : KF_ACT_COUNT;
    if (kind == KF_ACT_COUNT || !real_of(json_array_get(l, 1), &lo) || !real_of(json_array_get(l, 2), &hi))
        BAD(r, "%s is not an activation with two bounds", key);
    *a = (kf__activation){kind, (float)lo, (float)hi};
    return KF_OK;
}

static kf_status read_step(const reading *r, const json_t *j, kf__step *s) {
    *s = (kf__step){0};
    const char *op = json_string_value(json_object_get(j, "op"));
    const json_t *in = json_object_get(j, "in"), *consts = json_object_get(j, "consts");
    KF_TRY(get_text(r, j, "name", &s->name));
    if (!s->name) BAD(r, "no name");
    s->op = op ? kf__step_op_from_name(op) : KF_STEP_OP_COUNT;
    if (s->op == KF_STEP_OP_COUNT)
        KF_FAIL(r->err, KF_ERR_UNSUPPORTED, "%s: unknown kind of step %s; a newer version may know it", s->name,
                op ? op : "?");
    if (!json_is_array(in) || json_array_size(in) < 1 || json_array_size(in) > KF_STEP_MAX_IN)
        BAD(r, "%s: `in` is not a list of 1 to %d tensors", s->name, KF_STEP_MAX_IN);
    for (; s->n_in < (int32_t)json_array_size(in); s->n_in++) {
        const json_t *v = json_array_get(in, (size_t)s->n_in);
        if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) >= r->p->n_tensors)
            BAD(r, "%s: input %d is out of range", s->name, s->n_in);
        s->in[s->n_in] = (int32_t)json_integer_value(v);
    }
    s->out = -1;
    KF_TRY(get_i32(r, j, "out", &s->out));
    KF_TRY(get_texts(r, j, "sources", MAX_ITEMS, &s->sources, &s->n_sources));
    for (size_t i = 0; i < kf__format_n_ints; i++)
        KF_TRY(get_i32(r, j, kf__format_ints[i].name, (int32_t *)(void *)((char *)s + kf__format_ints[i].offset)));
    for (size_t i = 0; i < kf__format_n_floats; i++) {
        const json_t *v = json_object_get(j, kf__format_floats[i].name);
        double x = 0;
        if (v && !real_of(v, &x)) BAD(r, "%s: %s is not a number", s->name, kf__format_floats[i].name);
        *(float *)(void *)((char *)s + kf__format_floats[i].offset) = (float)x;
    }
    for (size_t i = 0; i < kf__format_n_acts; i++)
        KF_TRY(
            read_act(r, j, kf__format_acts[i].name, (kf__activation *)(void *)((char *)s + kf__format_acts[i].offset)));
    for (int k = 0; k < KF_CONST_ROLES; k++) {
        s->consts[k] = -1;
        KF_TRY(get_i32(r, consts, kf__format_roles[k], &s->consts[k]));
        if (s->consts[k] < -1 || s->consts[k] >= r->p->n_consts)
            BAD(r, "%s: constant %s is out of range", s->name, kf__format_roles[k]);
    }
    return KF_OK;
}

/* One member of the preprocessing: a number or a list of numbers; absent: 0. */
static kf_status read_field(const reading *r, const json_t *j, const kf_field *f, kf_preprocess *p) {
    char needs[KF_FIELD_TEXT];
    for (int32_t i = 0; j && i < f->n; i++) {
        const json_t *v = f->n == 1 ? j : json_array_get(j, (size_t)i);
        double x = NAN;
        bool is = f->kind == KF_FIELD_REAL ? real_of(v, &x) : json_is_integer(v);
        if (is && f->kind != KF_FIELD_REAL) x = (double)json_integer_value(v);
        if (is && kf_preprocess_set(p, f, i, x)) continue;
        BAD(r, "preprocessing: %s is not legal; %s is needed", f->member, kf__field_needs(f, false, needs));
    }
    return KF_OK;
}

static kf_status read_preprocess(const reading *r, const json_t *j, kf_preprocess *p) {
    const kf_field *f;
    if (!j) return KF_OK;
    p->valid = 1;
    for (int32_t k = 0; (f = kf_preprocess_field(k)) != NULL; k++)
        KF_TRY(read_field(r, json_object_get(j, f->member), f, p));
    int64_t channels = r->p->n_inputs ? r->p->tensors[r->p->inputs[0].tensor].c : 0;
    kf_error why;
    if (kf__preprocess_check(p, channels, &why) != KF_OK) BAD(r, "%s", why.text);
    return KF_OK;
}

static kf_status read_meta(const reading *r, const json_t *j) {
    kf__pmeta *m = &r->p->meta;
    int64_t range = -1;
    if (!json_is_object(j)) BAD(r, "not an object");
    KF_TRY(get_text(r, j, "name", &m->name));
    KF_TRY(get_text(r, j, "arch", &m->arch));
    KF_TRY(get_text(r, j, "source", &m->source));
    KF_TRY(get_text(r, j, "producer", &m->producer));
    KF_TRY(get_text(r, j, "kitfox", &m->kitfox));
    KF_TRY(get_i64(r, j, "parameters", 0, INT64_MAX, &m->parameters));
    KF_TRY(get_i64(r, j, "stored_parameters", 0, INT64_MAX, &m->stored_parameters));
    KF_TRY(get_i64(r, j, "macs", 0, INT64_MAX, &m->macs));
    KF_TRY(get_i64(r, j, "activations", 0, INT64_MAX, &m->activations));
    KF_TRY(get_i32(r, j, "quantized", &m->quantized));
    KF_TRY(get_i64(r, j, "input_range", 0, 1, &range));
    m->input_range = range > 0;
    m->range_known = range > 0 || (range == 0 && r->p->version > 1); /* version 1 always says 0 or 1 */
    KF_TRY(get_word(r, j, "preprocess_origin", KF_ORIGIN_COUNT, &m->origin));
    KF_TRY(get_text(r, j, "preprocess_source", &m->preprocess_source));
    KF_TRY(read_preprocess(r, json_object_get(j, "preprocess"), &m->preprocess));
    KF_TRY(kf__format_golden_read(json_object_get(j, "golden"), r->p->n_steps, &r->p->arena, &m->golden, r->err));
    return get_texts(r, j, "labels", MAX_ITEMS, &m->labels, &m->n_labels);
}

static kf_status read_end(const reading *r, const json_t *j, const char **name, int32_t *tensor, int32_t *rank,
                          int64_t *shape) {
    *tensor = -1;
    KF_TRY(get_text(r, j, "name", name));
    if (!*name) BAD(r, "no name");
    KF_TRY(get_i32(r, j, "tensor", tensor));
    if (*tensor < 0 || *tensor >= r->p->n_tensors) BAD(r, "%s: tensor %d is out of range", *name, *tensor);
    return get_shape(r, j, shape, rank);
}

static kf_status read_input(const reading *r, const json_t *j, kf__pinput *in) {
    *in = (kf__pinput){0};
    KF_TRY(read_end(r, j, &in->name, &in->tensor, &in->rank, in->shape));
    KF_TRY(get_i32(r, j, "layout", &in->layout));
    KF_TRY(get_i32(r, j, "pixels", &in->pixels));
    if (in->pixels) in->takes = KF_TAKES_PIXELS;
    return get_word(r, j, "takes", in->pixels ? KF_TAKES_PIXELS + 1 : KF_TAKES_COUNT, &in->takes);
}

static kf_status read_output(const reading *r, const json_t *j, kf__poutput *out) {
    *out = (kf__poutput){0};
    KF_TRY(read_end(r, j, &out->name, &out->tensor, &out->rank, out->shape));
    KF_TRY(get_i32(r, j, "probabilities", &out->scores)); /* of version 1 */
    if (out->scores) out->scores = KF_SCORES_PROBABILITIES;
    KF_TRY(get_i32(r, j, "added", &out->added));
    return get_word(r, j, "scores", KF_SCORES_KIND_COUNT, &out->scores);
}

/* The tensor of a name. Our writer keeps the order of the list; the search is for files from other writers. A name
 * that is listed twice would be copied twice, so a small file could exhaust memory. */
static const kf__container_tensor *tensor_of(const reading *r, int32_t i, const char *name, bool *used) {
    const kf__container_tensor *t = (size_t)i < r->c->n_tensors ? &r->c->tensors[i] : NULL;
    if (!t || strcmp(t->name, name) != 0) t = kf__container_find(r->c, name);
    if (!t || used[t - r->c->tensors]) return NULL;
    used[t - r->c->tensors] = true;
    return t;
}

static kf_status read_consts(const reading *r, const json_t *root) {
    const char **names;
    kf__program *p = r->p;
    int32_t n;
    KF_TRY(get_texts(r, root, "consts", MAX_ITEMS, &names, &n));
    p->consts = kf__arena_array(&p->arena, (size_t)n + 1, sizeof *p->consts);
    bool *used = kf__arena_zalloc(&p->arena, r->c->n_tensors + 1);
    if (!p->consts || !used) KF_FAIL_MEMORY(r->err, n);
    for (; p->n_consts < n; p->n_consts++) {
        const kf__container_tensor *t = tensor_of(r, p->n_consts, names[p->n_consts], used);
        if (!t) BAD(r, "consts: there is no tensor %s, or it is named twice", names[p->n_consts]);
        kf__pconst *c = &p->consts[p->n_consts];
        *c = (kf__pconst){
            .name = names[p->n_consts], .dtype = t->dtype, .shape = t->shape, .data = t->data, .bytes = t->bytes};
        c->borrowed =
            r->flags & KF_READ_BORROW && t->bytes >= BORROW_BYTES && (uintptr_t)t->data % kf_dtype_size(t->dtype) == 0;
        if (c->borrowed) continue;
        void *copy = kf__arena_alloc(&p->arena, t->bytes + 1);
        if (!copy) KF_FAIL_MEMORY(r->err, t->bytes);
        if (t->bytes) memcpy(copy, t->data, t->bytes);
        c->data = copy;
    }
    return KF_OK;
}

/* One list of the program into an array of the arena; errors get the prefix "steps[3]: ". */
#define READ_LIST(r, root, key, array, count, read)                                                                    \
    do {                                                                                                               \
        const json_t *list_ = json_object_get((root), (key));                                                          \
        size_t n_ = json_array_size(list_);                                                                            \
        if (!json_is_array(list_) || n_ > MAX_ITEMS) BAD((r), "%s is not a list of at most %d", (key), MAX_ITEMS);     \
        (array) = kf__arena_array(&(r)->p->arena, n_ + 1, sizeof *(array));                                            \
        if (!(array)) KF_FAIL_MEMORY((r)->err, n_);                                                                    \
        for (size_t i_ = 0; i_ < n_; i_++) {                                                                           \
            kf_status st_ = read((r), json_array_get(list_, i_), &(array)[i_]);                                        \
            if (st_ != KF_OK) return kf_error_prefix((r)->err, st_, "%s[%zu]", (key), i_);                             \
            ++(count);                                                                                                 \
        }                                                                                                              \
    } while (0)

static kf_status read_program(const reading *r, const json_t *root) {
    kf__program *p = r->p;
    KF_TRY(get_i32(r, root, "version", &p->version));
    if (p->version < 1 || p->version > KF_FORMAT_VERSION)
        KF_FAIL(r->err, KF_ERR_UNSUPPORTED,
                "version %d; this library reads 1 to %d; use a newer one or import the model again", p->version,
                KF_FORMAT_VERSION);
    KF_TRY(read_consts(r, root));
    READ_LIST(r, root, "tensors", p->tensors, p->n_tensors, read_tensor);
    READ_LIST(r, root, "steps", p->steps, p->n_steps, read_step);
    READ_LIST(r, root, "inputs", p->inputs, p->n_inputs, read_input);
    READ_LIST(r, root, "outputs", p->outputs, p->n_outputs, read_output);
    kf_status st = read_meta(r, json_object_get(root, "meta"));
    if (st != KF_OK) return kf_error_prefix(r->err, st, "meta");
    return kf__program_validate(p, r->err);
}

static kf_status check_hash(const void *data, size_t bytes, kf_error *err) {
    char hash[65];
    const char *stored = (const char *)data + 8 + sizeof KF_FORMAT_PREFIX - 1;
    kf__format_hash(data, bytes, hash);
    if (memcmp(hash, stored, 64) != 0)
        KF_FAIL(
            err, KF_ERR_CORRUPT,
            "byte %zu: the hash of the file is not the one stored there; the file was altered; copy or import it again",
            8 + sizeof KF_FORMAT_PREFIX - 1);
    return KF_OK;
}

static kf_status read_container(const kf__container *c, const kf_allocator *a, unsigned flags, kf__program **out,
                                kf_error *err) {
    const char *text = kf__container_text_of(c, "kitfox.program");
    json_error_t why;
    if (!text) KF_FAIL(err, KF_ERR_FORMAT, "__metadata__: no kitfox.program");
    KF_TRY(kf__container_check_json(text, strlen(text), err));
    kf_status st;
    json_t *root = kf__json_load(text, strlen(text), &why, &st);
    if (!root) KF_FAIL(err, st, "kitfox.program: character %d: cannot be read as JSON; %s", why.position, why.text);
    st = kf__program_create(out, a, err);
    if (st == KF_OK) {
        (*out)->drops = flags & KF_READ_DROPS;
        st = read_program(&(reading){*out, c, err, flags}, root);
        if (st != KF_OK) {
            kf__program_destroy(out);
            kf_error_prefix(err, st, "kitfox.program");
        }
    }
    json_decref(root);
    return st;
}

kf_status kf__format_read(const void *data, size_t bytes, const kf_allocator *a, unsigned flags, kf__program **out,
                          kf_error *err) {
    kf__container c;
    *out = NULL;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    KF_FAIL(
        err, KF_ERR_UNSUPPORTED,
        "model files are little-endian, and this processor is big-endian; run them on x86-64, 64-bit Arm or another "
        "little-endian machine");
#endif
    size_t prefix = sizeof KF_FORMAT_PREFIX - 1;
    if (bytes < 8 + prefix + 64)
        KF_FAIL(err, KF_ERR_FORMAT,
                "byte %zu: the file ends within its header; it is empty, truncated or not a model file", bytes);
    if (memcmp((const char *)data + 8, KF_FORMAT_PREFIX, prefix) != 0)
        KF_FAIL(err, KF_ERR_FORMAT,
                "byte 8: not a KitFox model file; import .onnx or .safetensors files with `kitfox import`");
    KF_TRY(kf__container_read(data, bytes, &c, err));
    kf_status st = flags & KF_READ_SKIP_HASH ? KF_OK : check_hash(data, bytes, err);
    if (st == KF_OK) st = read_container(&c, a, flags, out, err);
    kf__container_free(&c);
    return st;
}
