/* Writing a program: JSON in a fixed key order, constants as tensors, then the hash over all of it.
 * Owner rule: see format.h. `bad` collects allocation failures of the JSON library; one check at the end. One call
 * per statement, because the order of the calls is the order of the keys. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#include "container/container.h"
#include "format/format.h"
#include "preprocess/preprocess.h"

static bool put(json_t *o, const char *key, json_t *v) { return json_object_set_new(o, key, v) != 0; }
static bool add(json_t *a, json_t *v) { return json_array_append_new(a, v) != 0; }

/* JSON has no infinities. */
static json_t *number(double x) {
    if (!isinf(x)) return json_real(x);
    return json_string(x > 0 ? "inf" : "-inf");
}

static bool put_text(json_t *o, const char *key, const char *s) { return s && put(o, key, json_string(s)); }

static bool put_sizes(json_t *o, const char *key, const int64_t *v, int n) {
    json_t *a = json_array();
    bool bad = false;
    for (int i = 0; i < n; i++) bad |= add(a, json_integer(v[i]));
    return put(o, key, a) || bad;
}

static json_t *tensor_json(const kf__ptensor *t, bool *bad) {
    json_t *o = json_object();
    *bad |= put_text(o, "name", t->name);
    *bad |= put(o, "dtype", json_string(kf_dtype_name(t->dtype)));
    *bad |= put_sizes(o, "shape", (int64_t[]){t->n, t->h, t->w, t->c}, 4);
    if (t->dtype == KF_F32) return o;
    *bad |= put(o, "scale", number((double)t->scale));
    *bad |= put(o, "zero", json_integer(t->zero));
    *bad |= put(o, "qmin", json_integer(t->qmin));
    *bad |= put(o, "qmax", json_integer(t->qmax));
    *bad |= put(o, "scales", json_integer(t->scales));
    *bad |= put(o, "zeros", json_integer(t->zeros));
    return o;
}

static bool put_act(json_t *o, const char *key, const kf__activation *a) {
    if (a->kind == KF_ACT_NONE) return false;
    json_t *l = json_array();
    bool bad = add(l, json_string(kf__act_name(a->kind)));
    bad |= add(l, number((double)a->lo));
    bad |= add(l, number((double)a->hi));
    return put(o, key, l) || bad;
}

static json_t *step_json(const kf__step *s, bool *bad) {
    json_t *o = json_object(), *in = json_array(), *sources = json_array(), *consts = json_object();
    *bad |= put(o, "op", json_string(kf__step_op_name(s->op)));
    *bad |= put_text(o, "name", s->name);
    for (int i = 0; i < s->n_in; i++) *bad |= add(in, json_integer(s->in[i]));
    for (int i = 0; i < s->n_sources; i++) *bad |= add(sources, json_string(s->sources[i]));
    *bad |= put(o, "in", in);
    *bad |= put(o, "out", json_integer(s->out));
    *bad |= put(o, "sources", sources);
    for (size_t i = 0; i < kf__format_n_ints; i++) {
        int32_t v = *(const int32_t *)(const void *)((const char *)s + kf__format_ints[i].offset);
        if (v) *bad |= put(o, kf__format_ints[i].name, json_integer(v));
    }
    for (size_t i = 0; i < kf__format_n_floats; i++) {
        float v = *(const float *)(const void *)((const char *)s + kf__format_floats[i].offset);
        if (v != 0) *bad |= put(o, kf__format_floats[i].name, number((double)v));
    }
    for (size_t i = 0; i < kf__format_n_acts; i++)
        *bad |= put_act(o, kf__format_acts[i].name,
                        (const kf__activation *)(const void *)((const char *)s + kf__format_acts[i].offset));
    for (int r = 0; r < KF_CONST_ROLES; r++)
        if (s->consts[r] >= 0) *bad |= put(consts, kf__format_roles[r], json_integer(s->consts[r]));
    *bad |= put(o, "consts", consts);
    return o;
}

static json_t *preprocess_json(const kf_preprocess *p, bool *bad) {
    json_t *o = json_object();
    const kf_field *f;
    for (int32_t k = 0; (f = kf_preprocess_field(k)) != NULL; k++) {
        bool zero = true;
        for (int32_t i = 0; i < f->n; i++) zero = zero && kf_preprocess_get(p, f, i) == 0;
        if (zero && f->optional) continue;
        json_t *list = f->n > 1 ? json_array() : NULL;
        for (int32_t i = 0; i < f->n; i++) {
            double x = kf_preprocess_get(p, f, i);
            json_t *v = f->kind == KF_FIELD_REAL ? json_real(x) : json_integer((json_int_t)x);
            *bad |= list ? add(list, v) : put(o, f->member, v);
        }
        if (list) *bad |= put(o, f->member, list);
    }
    return o;
}

/* Does the program say anything that version 1 has no words for? */
static bool needs_version_2(const kf__program *p) {
    const kf__pmeta *m = &p->meta;
    bool more = m->origin || m->preprocess_source || m->preprocess.pillow || (m->range_known && !m->input_range);
    for (int32_t i = 0; i < p->n_inputs; i++)
        more |= p->inputs[i].takes && !p->inputs[i].pixels; /* else `pixels` says the same */
    for (int32_t i = 0; i < p->n_outputs; i++)
        more |= p->outputs[i].scores && p->outputs[i].scores != KF_SCORES_PROBABILITIES;
    return more;
}

static json_t *meta_json(const kf__pmeta *m, bool newer, bool *bad) {
    json_t *o = json_object(), *labels = json_array();
    *bad |= put_text(o, "name", m->name);
    *bad |= put_text(o, "arch", m->arch);
    *bad |= put_text(o, "source", m->source);
    *bad |= put_text(o, "producer", m->producer);
    *bad |= put_text(o, "kitfox", m->kitfox);
    *bad |= put(o, "parameters", json_integer(m->parameters));
    *bad |= put(o, "stored_parameters", json_integer(m->stored_parameters));
    *bad |= put(o, "macs", json_integer(m->macs));
    *bad |= put(o, "activations", json_integer(m->activations));
    *bad |= put(o, "quantized", json_integer(m->quantized));
    if (!newer || m->range_known) *bad |= put(o, "input_range", json_integer(m->input_range));
    if (m->origin) *bad |= put(o, "preprocess_origin", json_integer(m->origin));
    *bad |= put_text(o, "preprocess_source", m->preprocess_source);
    if (m->preprocess.valid) *bad |= put(o, "preprocess", preprocess_json(&m->preprocess, bad));
    for (int32_t i = 0; i < m->n_labels; i++) *bad |= add(labels, json_string(m->labels[i]));
    *bad |= put(o, "labels", labels);
    if (m->golden.n_steps) *bad |= put(o, "golden", kf__format_golden_json(&m->golden));
    return o;
}

static json_t *inputs_json(const kf__program *p, bool newer, bool *bad) {
    json_t *list = json_array();
    for (int32_t i = 0; i < p->n_inputs; i++) {
        const kf__pinput *in = &p->inputs[i];
        json_t *o = json_object();
        *bad |= put_text(o, "name", in->name);
        *bad |= put(o, "tensor", json_integer(in->tensor));
        *bad |= put_sizes(o, "shape", in->shape, in->rank);
        *bad |= put(o, "layout", json_integer(in->layout));
        *bad |= put(o, "pixels", json_integer(in->pixels));
        if (newer && in->takes) *bad |= put(o, "takes", json_integer(in->takes));
        *bad |= add(list, o);
    }
    return list;
}

static json_t *outputs_json(const kf__program *p, bool newer, bool *bad) {
    json_t *list = json_array();
    for (int32_t i = 0; i < p->n_outputs; i++) {
        const kf__poutput *out = &p->outputs[i];
        json_t *o = json_object();
        *bad |= put_text(o, "name", out->name);
        *bad |= put(o, "tensor", json_integer(out->tensor));
        *bad |= put_sizes(o, "shape", out->shape, out->rank);
        if (out->added) *bad |= put(o, "added", json_integer(1));
        if (newer) *bad |= put(o, "scores", json_integer(out->scores));
        else *bad |= put(o, "probabilities", json_integer(out->scores == KF_SCORES_PROBABILITIES));
        *bad |= add(list, o);
    }
    return list;
}

static char *program_text(const kf__program *p) {
    json_t *root = json_object(), *tensors = json_array(), *consts = json_array(), *steps = json_array();
    bool newer = needs_version_2(p), bad = put(root, "version", json_integer(newer ? KF_FORMAT_VERSION : 1));
    for (int32_t i = 0; i < p->n_tensors; i++)
        if (add(tensors, tensor_json(&p->tensors[i], &bad))) bad = true;
    for (int32_t i = 0; i < p->n_consts; i++) bad |= add(consts, json_string(p->consts[i].name));
    for (int32_t i = 0; i < p->n_steps; i++)
        if (add(steps, step_json(&p->steps[i], &bad))) bad = true;
    if (put(root, "meta", meta_json(&p->meta, newer, &bad))) bad = true;
    if (put(root, "inputs", inputs_json(p, newer, &bad))) bad = true;
    if (put(root, "outputs", outputs_json(p, newer, &bad))) bad = true;
    if (put(root, "tensors", tensors)) bad = true;
    if (put(root, "consts", consts)) bad = true;
    if (put(root, "steps", steps)) bad = true;
    char *text = bad ? NULL : json_dumps(root, JSON_COMPACT);
    json_decref(root);
    return text;
}

kf_status kf__format_write(const kf__program *p, void **out, size_t *bytes, kf_error *err) {
    char zeros[65], hash[65];
    memset(zeros, '0', 64);
    zeros[64] = 0;
    *out = NULL;
    kf__container_tensor *list = kf__mem_zalloc(NULL, ((size_t)p->n_consts + 1) * sizeof *list);
    char *text = list ? program_text(p) : NULL;
    kf_status st =
        text ? KF_OK
             : kf_error_set(err, KF_ERR_MEMORY,
                            "the program cannot be written; out of memory, or a name or label that is not UTF-8");
    for (int32_t i = 0; st == KF_OK && i < p->n_consts; i++)
        list[i] = (kf__container_tensor){p->consts[i].name, p->consts[i].dtype, p->consts[i].shape, p->consts[i].data,
                                         p->consts[i].bytes};
    kf__container_text texts[] = {{"kitfox.hash", zeros}, {"kitfox.program", text}};
    if (st == KF_OK) st = kf__container_write(texts, KF_COUNT(texts), list, (size_t)p->n_consts, out, bytes, err);
    if (st == KF_OK) {
        kf__format_hash(*out, *bytes, hash);
        memcpy((char *)*out + 8 + sizeof KF_FORMAT_PREFIX - 1, hash, 64);
    }
    free(text);
    kf__mem_free(NULL, list);
    return st;
}
