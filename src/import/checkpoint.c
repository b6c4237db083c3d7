/* safetensors of timm's MobileNetV3 to a graph: each tensor checked by name, shape and value, half types widened.
 * Owner rule: see checkpoint.h; widened copies live in a scratch arena until the graph has its own. */
#include "import/checkpoint.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "container/container.h"
#include "import/checkpoint_names.h"
#include "zoo/zoo.h"

/* The purpose of a walk over a variant's tensors. */
typedef enum purpose {
    READ,   /* the weights, each value checked */
    FIT,    /* names and shapes only, to the first difference */
    COMPARE /* names and shapes only, to the end */
} purpose;

typedef struct source {
    kf__container file;
    kf__arena scratch; /* one widened tensor */
    purpose purpose;
    bool *taken;            /* by tensor of the file: the variant has it */
    size_t wanted, matched; /* tensors of the variant; those of them that the file has */
    kf_error first;         /* COMPARE: the first difference */
} source;

/* Limits the time of comparing; no variant has a tenth of this. */
enum { MAX_TENSORS = 4096 };

static bool ends(const char *s, const char *tail) {
    size_t n = strlen(s), m = strlen(tail);
    return n >= m && strcmp(s + n - m, tail) == 0;
}

static kf_status check_value(const kf__container_tensor *t, float x, size_t i, bool variance, kf_error *err) {
    KF_TRY(kf__finite_element(t->name, x, i, err));
    if (variance && x < 0)
        KF_FAIL(err, KF_ERR_FORMAT, "tensor %s: element %zu is negative, which a variance cannot be", t->name, i);
    return KF_OK;
}

static kf_status locate(source *s, const char *name, const kf__shape *shape, const kf__container_tensor **out,
                        kf_error *err) {
    const kf__container_tensor *t = kf__container_find(&s->file, name);
    char want[96], have[96];
    s->wanted++;
    if (!t) KF_FAIL(err, KF_ERR_UNSUPPORTED, "tensor %s: missing", name);
    s->taken[t - s->file.tensors] = true;
    if (!kf__shape_equal(&t->shape, shape))
        KF_FAIL(err, KF_ERR_SHAPE, "tensor %s: is %s, the network needs %s", t->name,
                kf__shape_text(&t->shape, have, sizeof have), kf__shape_text(shape, want, sizeof want));
    s->matched++;
    *out = t;
    return KF_OK;
}

static kf_status widen(source *s, const kf__container_tensor *t, bool variance, const float **data, kf_error *err) {
    if (t->dtype != KF_F32 && t->dtype != KF_F16 && t->dtype != KF_BF16)
        KF_FAIL(err, KF_ERR_FORMAT, "tensor %s: is %s; weights are F32, F16 or BF16", t->name, kf_dtype_name(t->dtype));
    size_t size = kf_dtype_size(t->dtype), n = t->bytes / size;
    kf__arena_free(&s->scratch);
    kf__arena_init(&s->scratch, NULL);
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
    *data = f;
    return KF_OK;
}

static kf_status fetch(void *user, const char *name, const kf__shape *shape, const float **data, kf_error *err) {
    source *s = user;
    const kf__container_tensor *t = NULL;
    if (s->purpose == COMPARE) {
        kf_error why = {0};
        kf_status st = locate(s, name, shape, &t, &why);
        if (st != KF_OK && s->first.status == KF_OK) s->first = why;
        return KF_OK; /* the builder continues with zeros, so that the next difference is found too */
    }
    KF_TRY(locate(s, name, shape, &t, err));
    return s->purpose == READ ? widen(s, t, ends(name, ".running_var"), data, err) : KF_OK;
}

/* A tensor that the variant does not have means another network, even if all others fit. */
static kf_status check_extra(source *s, const kf__zoo_arch *v, kf_error *err) {
    const kf__container_tensor *first = NULL;
    size_t n = 0;
    for (size_t i = s->file.n_tensors; i-- > 0;)
        if (!s->taken[i] && !ends(s->file.tensors[i].name, "num_batches_tracked")) first = &s->file.tensors[i], n++;
    if (!first) return KF_OK;
    if (n == 1) KF_FAIL(err, KF_ERR_UNSUPPORTED, "tensor %s: %s has no such tensor", first->name, v->name);
    KF_FAIL(err, KF_ERR_UNSUPPORTED, "tensor %s: %s has no such tensor, nor %zu others of this file", first->name,
            v->name, n - 1);
}

static kf_status walk(source *s, const kf__zoo_arch *v, purpose why, int32_t side, kf__graph **out, kf_error *err) {
    const char *last = v->style == KF_ZOO_TIMM ? "classifier.bias" : "classifier.3.bias";
    const kf__container_tensor *c = kf__container_find(&s->file, last);
    bool classes = c && c->shape.rank == 1 && c->shape.dim[0] >= 1 && c->shape.dim[0] <= 1 << 20;
    *out = NULL;
    if (!classes && why != COMPARE)
        KF_FAIL(err, KF_ERR_UNSUPPORTED,
                "tensor %s: missing or not a vector of 1 to 1048576 classes; this is not a checkpoint of %s", last,
                v->name);
    s->purpose = why;
    s->wanted = s->matched = 0;
    s->first = (kf_error){0};
    if (!classes)
        kf_error_set(&s->first, KF_ERR_UNSUPPORTED, "tensor %s: missing or not a vector of 1 to 1048576 classes", last);
    memset(s->taken, 0, s->file.n_tensors * sizeof *s->taken);
    if (side == 0) side = v->size;
    kf__zoo_request r = {.arch = v,
                         .classes = classes ? (int32_t)c->shape.dim[0] : 1000,
                         .height = side,
                         .width = side,
                         .weight = fetch,
                         .user = s};
    kf_status st = kf__zoo_build(&r, out, err);
    if (st == KF_OK) st = check_extra(s, v, err);
    if (st != KF_OK || why != READ) kf__graph_destroy(out);
    return st;
}

/* The plain variant was taken; reports if the tensors also fit another. */
static kf_status tell_others(source *s, int32_t plain, const kf__checkpoint_options *o, kf_error *err) {
    const kf__zoo_arch *v;
    const char *name = kf__zoo_at(plain)->name;
    char text[512];
    for (int32_t i = plain + 1; (v = kf__zoo_at(i)) && o->asked.notice; i++) {
        kf_error why = {0};
        kf__graph *none;
        kf_status st = walk(s, v, FIT, 0, &none, &why);
        if (st == KF_ERR_MEMORY) KF_FAIL(err, st, "%s", why.text);
        if (st != KF_OK) continue;
        snprintf(
            text, sizeof text,
            "the tensors fit %s and %s, which differ in padding and epsilon; %s is taken; --arch NAME says which it is",
            name, v->name, name);
        o->asked.notice(o->asked.notice_user, text);
    }
    return KF_OK;
}

static kf_status fail_nearest(source *s, kf_error *err) {
    const kf__zoo_arch *v, *best = NULL;
    size_t matched = 0, wanted = 0;
    kf_error first = {0};
    for (int32_t i = 0; (v = kf__zoo_at(i)); i++) {
        kf_error why = {0};
        kf__graph *none;
        kf_status st = walk(s, v, COMPARE, 0, &none, &why);
        if (st == KF_ERR_MEMORY) KF_FAIL(err, st, "%s", why.text);
        if (s->matched <= matched) continue;
        best = v, matched = s->matched, wanted = s->wanted;
        first = s->first.status != KF_OK ? s->first : why;
    }
    if (!best)
        KF_FAIL(err, KF_ERR_UNSUPPORTED,
                "no tensor has the name and shape of one of a MobileNetV3; kitfox zoo lists the networks known here");
    KF_FAIL(err, KF_ERR_UNSUPPORTED,
            "the tensors fit no MobileNetV3 known here; nearest is %s with %zu of its %zu tensors; %.600s", best->name,
            matched, wanted, first.text);
}

/* The first variant that every tensor fits; *out NULL and OK: none. */
static kf_status choose(source *s, const kf__checkpoint_options *o, int32_t side, kf__graph **out, kf_error *err) {
    const kf__zoo_arch *v;
    if (o->asked.arch) return walk(s, kf__zoo_find(o->asked.arch), READ, side, out, err);
    for (int32_t i = 0; (v = kf__zoo_at(i)); i++) {
        kf_status st = walk(s, v, READ, side, out, err);
        if (st == KF_OK && (st = tell_others(s, i, o, err)) != KF_OK) kf__graph_destroy(out);
        if (st != KF_ERR_UNSUPPORTED && st != KF_ERR_SHAPE) return st;
    }
    return KF_ERR_UNSUPPORTED;
}

/* As the names are, then without what wrappers added to them. */
static kf_status recognize(source *s, const kf__checkpoint_options *o, int32_t side, kf__graph **out, kf_error *err) {
    bool changed;
    if (o->asked.arch && !kf__zoo_find(o->asked.arch))
        KF_FAIL(err, KF_ERR_ARGUMENT, "architecture \"%.80s\" is not known; kitfox zoo lists those that are",
                o->asked.arch);
    kf_status st = choose(s, o, side, out, err);
    if (st != KF_ERR_UNSUPPORTED && st != KF_ERR_SHAPE) return st;
    KF_TRY(kf__checkpoint_plain_names(&s->file, &changed, o->asked.notice, o->asked.notice_user, err));
    if (changed) st = choose(s, o, side, out, err);
    return st == KF_ERR_UNSUPPORTED && !o->asked.arch ? fail_nearest(s, err) : st;
}

/* ---- the two ways in --------------------------------------------------------------------------------------------- */

/* The side whose digits are at `text`, and what follows them; 0: none, or one out of range. Compared as a long: after a
 * cast to int, 2^32 + 224 would pass as 224. */
static int32_t side_at(const char *text, char **end) {
    *end = (char *)text;
    long n = *text >= '0' && *text <= '9' ? strtol(text, end, 10) : 0;
    return n >= 32 && n <= 4096 ? (int32_t)n : 0;
}

static kf_status read_side(const kf__checkpoint_options *o, int32_t *side, kf_error *err) {
    const char *text = o->asked.input_shape;
    char *end;
    *side = o->side;
    if (!text) return KF_OK;
    *side = strncmp(text, "1x3x", 4) == 0 ? side_at(text + 4, &end) : 0;
    if (!*side || *end != 'x' || side_at(end + 1, &end) != *side || *end)
        KF_FAIL(err, KF_ERR_ARGUMENT, "input shape %s: 1x3xNxN with N from 32 to 4096 is needed", text);
    return KF_OK;
}

static kf_status check_count(size_t n, kf_error *err) {
    if (n > MAX_TENSORS)
        KF_FAIL(err, KF_ERR_LIMIT, "%zu tensors; this is not a MobileNetV3, which has at most %d", n, MAX_TENSORS);
    return KF_OK;
}

/* The graph of the tensors in s->file. */
static kf_status take_all(source *s, const kf__checkpoint_options *o, int32_t side, kf__graph **out, kf_error *err) {
    KF_TRY(check_count(s->file.n_tensors, err));
    s->taken = kf__arena_zalloc(&s->file.arena, s->file.n_tensors + 1);
    if (!s->taken) KF_FAIL_MEMORY(err, s->file.n_tensors);
    kf__arena_init(&s->scratch, NULL);
    kf_status st = recognize(s, o, side, out, err);
    kf__arena_free(&s->scratch);
    return st;
}

kf_status kf__checkpoint_read(const void *data, size_t bytes, const kf__checkpoint_options *o, kf__graph **out,
                              kf_error *err) {
    source s = {0};
    int32_t side = 0;
    *out = NULL;
    KF_TRY(read_side(o, &side, err));
    KF_TRY(kf__container_read(data, bytes, &s.file, err));
    kf_status st = take_all(&s, o, side, out, err);
    kf__container_free(&s.file);
    return st;
}

static kf_status to_container(const kf_tensor *t, size_t index, kf__container_tensor *to, kf_error *err) {
    size_t count, bytes;
    if (!t->name) KF_FAIL(err, KF_ERR_ARGUMENT, "tensor %zu: it has no name", index);
    if (t->rank < 0 || t->rank > KF_MAX_RANK)
        KF_FAIL(err, KF_ERR_ARGUMENT, "tensor %.200s: rank %d; 0 to %d is possible", t->name, t->rank, KF_MAX_RANK);
    *to = (kf__container_tensor){.name = t->name, .dtype = t->dtype, .data = t->data, .bytes = t->bytes};
    to->shape = kf__shape_make(t->rank, t->shape);
    bool sized = kf__shape_count(&to->shape, &count) && kf__mul_size(count, kf_dtype_size(t->dtype), &bytes);
    if (!sized || kf_dtype_size(t->dtype) == 0 || bytes != t->bytes || (bytes && !t->data)) {
        char shape[96];
        KF_FAIL(err, KF_ERR_ARGUMENT, "tensor %.200s: data of %zu bytes; they do not fit %s of %s", t->name,
                t->data ? t->bytes : 0, kf__shape_text(&to->shape, shape, sizeof shape), kf_dtype_name(t->dtype));
    }
    return KF_OK;
}

static kf_status gather(const kf__checkpoint_tensors *t, kf__container *c, kf_error *err) {
    KF_TRY(check_count(t->n, err));
    c->tensors = kf__arena_array(&c->arena, t->n + 1, sizeof *c->tensors);
    if (!c->tensors) KF_FAIL_MEMORY(err, t->n * sizeof *c->tensors);
    for (size_t i = 0; i < t->n; i++) KF_TRY(to_container(&t->list[i], i, &c->tensors[i], err));
    c->n_tensors = t->n;
    KF_TRY(kf__container_index(c, err));
    for (size_t i = 1; i < t->n; i++)
        if (strcmp(c->by_name[i - 1]->name, c->by_name[i]->name) == 0)
            KF_FAIL(err, KF_ERR_ARGUMENT, "tensor %.200s: given twice", c->by_name[i]->name);
    return KF_OK;
}

kf_status kf__checkpoint_take(const kf__checkpoint_tensors *tensors, const kf__checkpoint_options *o, kf__graph **out,
                              kf_error *err) {
    source s = {0};
    int32_t side = 0;
    *out = NULL;
    KF_TRY(read_side(o, &side, err));
    kf__arena_init(&s.file.arena, NULL);
    kf_status st = gather(tensors, &s.file, err);
    if (st == KF_OK) st = take_all(&s, o, side, out, err);
    kf__container_free(&s.file);
    return st;
}
