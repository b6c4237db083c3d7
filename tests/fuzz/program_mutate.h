/* Changes to a program and its tensors: numbers at which something overflows, indices, shapes, types, roles, windows.
 * Most break a rule that the loader has to know; `refit` keeps them all, so that what it makes runs.
 * Owner rule: the file stays the caller's. */
#ifndef PROGRAM_MUTATE_H
#define PROGRAM_MUTATE_H

#include "program/steps.h"
#include "program_file.h"

static const json_int_t PM_INTS[] = {0,     1,     2,       3,         4,   5,   7,   8,    16,     17,       31,
                                     64,    65,    127,     128,       129, 255, 256, 300,  4095,   4096,     4097,
                                     65535, 65536, 1 << 20, INT32_MAX, -1,  -2,  -3,  -128, -32768, INT32_MIN};
static const char *const PM_FIELDS[] = {"kh",          "kw",     "sh",  "sw",  "dh",        "dw",
                                        "group",       "pt",     "pl",  "pb",  "pr",        "count_include_pad",
                                        "border_bias", "direct", "qlo", "qhi", "pool_qmax", "hidden_qmax",
                                        "selects"};
static const double PM_NUMBERS[] = {0, 1e-30, 1e-45, 1e30, 1e38, 1e39, -1, 1e-31, 0.5, 1e308, 1, 0.004};

typedef struct pm_state {
    kf__random g;
    pf_file *f;
} pm_state;

static int64_t pm_any(pm_state *m, int64_t lo, int64_t hi) { return hi < lo ? lo : kf__random_range(&m->g, lo, hi); }
#define PM_PICK(m, list) ((list)[pm_any((m), 0, (int64_t)KF_COUNT(list) - 1)])

static json_t *pm_list(pm_state *m, const char *key) { return json_object_get(m->f->program, key); }

static json_t *pm_item(pm_state *m, const char *key) {
    json_t *list = pm_list(m, key);
    return json_array_get(list, (size_t)pm_any(m, 0, (int64_t)json_array_size(list) - 1));
}

static json_int_t pm_tensor(pm_state *m) { return pm_any(m, 0, (int64_t)json_array_size(pm_list(m, "tensors")) - 1); }

static json_t *pm_real(pm_state *m) {
    int64_t k = pm_any(m, 0, (int64_t)KF_COUNT(PM_NUMBERS) + 1);
    if (k < (int64_t)KF_COUNT(PM_NUMBERS)) return json_real(PM_NUMBERS[k]);
    return json_string(k == (int64_t)KF_COUNT(PM_NUMBERS) ? "inf" : "-inf");
}

/* A number near `now`, or one of those at which something overflows. */
static json_int_t pm_number(pm_state *m, json_int_t now) {
    switch (pm_any(m, 0, 3)) {
    case 0: return now + 1;
    case 1: return now - 1;
    default: return PM_PICK(m, PM_INTS);
    }
}

static void pm_field(pm_state *m) {
    json_t *step = pm_item(m, "steps");
    const char *key = PM_PICK(m, PM_FIELDS);
    json_object_set_new(step, key, json_integer(pm_number(m, json_integer_value(json_object_get(step, key)))));
}

static void pm_input(pm_state *m) {
    json_t *in = json_object_get(pm_item(m, "steps"), "in");
    if (pm_any(m, 0, 1)) json_array_append_new(in, json_integer(pm_tensor(m)));
    else json_array_set_new(in, (size_t)pm_any(m, 0, (int64_t)json_array_size(in) - 1), json_integer(pm_tensor(m)));
}

static void pm_output(pm_state *m) {
    json_t *outputs = pm_list(m, "outputs"), *more = json_deep_copy(json_array_get(outputs, 0));
    json_int_t t = pm_tensor(m);
    if (pm_any(m, 0, 1)) {
        json_object_set_new(pm_item(m, "steps"), "out", json_integer(t));
        json_decref(more);
        return;
    }
    json_object_set_new(more, "tensor", json_integer(t));
    json_object_set(more, "shape", json_object_get(json_array_get(pm_list(m, "tensors"), (size_t)t), "shape"));
    json_array_append_new(outputs, more);
}

static void pm_role(pm_state *m) {
    static const char *const ROLES[] = {"w", "bias", "mul", "k", "inv", "fbias", "w2", "bias2", "mul2"};
    json_t *consts = json_object_get(pm_item(m, "steps"), "consts");
    json_object_set_new(consts, PM_PICK(m, ROLES),
                        json_integer(pm_any(m, -1, (int64_t)json_array_size(pm_list(m, "consts")))));
}

static void pm_shape(pm_state *m) {
    json_t *shape = json_object_get(pm_item(m, "tensors"), "shape");
    size_t at = (size_t)pm_any(m, 0, 3);
    json_int_t now = json_integer_value(json_array_get(shape, at));
    json_array_set_new(shape, at, json_integer(pm_any(m, 0, 2) ? pm_number(m, now) : 2 * now));
}

static void pm_type(pm_state *m) {
    static const char *const TYPES[] = {"f32", "u8", "i16"};
    json_t *t = pm_item(m, "tensors");
    json_object_set_new(t, "dtype", json_string(PM_PICK(m, TYPES)));
    if (!json_object_get(t, "scale")) json_object_set_new(t, "scale", json_real(0.01));
    if (!json_object_get(t, "qmax")) json_object_set_new(t, "qmax", json_integer(255));
}

static void pm_quant(pm_state *m) {
    static const char *const KEYS[] = {"zero", "qmin", "qmax", "scales", "zeros"};
    json_t *t = pm_item(m, "tensors");
    const char *key = PM_PICK(m, KEYS);
    if (pm_any(m, 0, 3) == 0) json_object_set_new(t, "scale", pm_real(m));
    else json_object_set_new(t, key, json_integer(pm_number(m, json_integer_value(json_object_get(t, key)))));
}

static void pm_activation(pm_state *m) {
    static const char *const KEYS[] = {"act", "post_act", "gate_act"};
    json_t *a = json_array(), *step = pm_item(m, "steps");
    json_array_append_new(a, json_string(kf__act_name((kf__act)pm_any(m, 0, KF_ACT_COUNT - 1))));
    json_array_append_new(a, pm_real(m));
    json_array_append_new(a, pm_real(m));
    json_object_set_new(step, PM_PICK(m, KEYS), a);
    if (pm_any(m, 0, 3) == 0) json_object_set_new(step, pm_any(m, 0, 1) ? "pool_mul" : "hidden_inv", pm_real(m));
}

static void pm_steps(pm_state *m) {
    json_t *steps = pm_list(m, "steps");
    int64_t n = (int64_t)json_array_size(steps), a = pm_any(m, 0, n - 1), b = pm_any(m, 0, n - 1);
    if (pm_any(m, 0, 1)) {
        json_object_set_new(json_array_get(steps, (size_t)a), "op",
                            json_string(kf__step_op_name((kf__step_op)pm_any(m, 0, KF_STEP_OP_COUNT - 1))));
        return;
    }
    json_t *x = json_deep_copy(json_array_get(steps, (size_t)a)), *y = json_deep_copy(json_array_get(steps, (size_t)b));
    json_array_set_new(steps, (size_t)a, y);
    json_array_set_new(steps, (size_t)b, x);
}

/* Bytes of a constant: one anywhere, or four that are a number of note. */
static void pm_bytes(pm_state *m) {
    static const uint32_t WORDS[] = {0x7f800000, 0x7fc00000, 1, 0x7f7fffff, 0x80000000, 0x7fffffff, 0xff800000, 0};
    if (m->f->n == 0) return;
    pf_part *p = &m->f->parts[pm_any(m, 0, (int64_t)m->f->n - 1)];
    for (int k = (int)pm_any(m, 1, 4); p->n && k > 0; k--) {
        size_t at = (size_t)pm_any(m, 0, (int64_t)p->n - 1);
        uint32_t word = PM_PICK(m, WORDS);
        if (pm_any(m, 0, 1) || p->n < 4) p->data[at] = (uint8_t)pm_any(m, 0, 255);
        else memcpy(p->data + (at > p->n - 4 ? p->n - 4 : at & ~(size_t)3), &word, sizeof word);
    }
}

static size_t pm_element(const char *type) {
    return type && kf__dtype_from_safetensors(type) ? kf_dtype_size(kf__dtype_from_safetensors(type)) : 1;
}

/* `n` elements, the old bytes again and again. */
static void pm_resize(pf_part *p, const char *type, size_t n, json_t *shape) {
    size_t bytes = n * pm_element(type);
    uint8_t *data = bytes <= (size_t)1 << 18 ? calloc(1, bytes + 1) : NULL;
    if (!data) {
        json_decref(shape);
        return;
    }
    for (size_t i = 0; p->n && i < bytes; i++) data[i] = p->data[i % p->n];
    free(p->data);
    p->data = data, p->n = bytes;
    json_object_set_new(p->about, "shape", shape);
    json_object_set_new(p->about, "dtype", json_string(type));
}

static void pm_constant(pm_state *m) {
    static const char *const TYPES[] = {"F32", "I8", "I16", "I32"};
    if (m->f->n == 0) return;
    pf_part *p = &m->f->parts[pm_any(m, 0, (int64_t)m->f->n - 1)];
    const char *type = json_string_value(json_object_get(p->about, "dtype"));
    char now[16];
    snprintf(now, sizeof now, "%.15s", type ? type : "F32");
    size_t n = p->n / pm_element(now);
    switch (pm_any(m, 0, 3)) {
    case 0: pm_resize(p, now, 0, json_pack("[i]", 0)); break;
    case 1: pm_resize(p, now, n / 2, json_pack("[I]", (json_int_t)(n / 2))); break;
    case 2: pm_resize(p, now, n + 1, json_pack("[I]", (json_int_t)(n + 1))); break;
    default: pm_resize(p, PM_PICK(m, TYPES), n, json_deep_copy(json_object_get(p->about, "shape"))); break;
    }
}

/* ---- changes that keep the rules ------------------------------------------------------------ */

static json_int_t pm_get(const json_t *o, const char *key) { return json_integer_value(json_object_get(o, key)); }
static json_int_t pm_at(const json_t *a, size_t i) { return json_integer_value(json_array_get(a, i)); }

/* Has the step a window that it reads? */
static bool pm_has_window(const json_t *step) {
    const char *name = json_string_value(json_object_get(step, "op"));
    kf__step_op op = name ? kf__step_op_from_name(name) : KF_STEP_OP_COUNT;
    return op != KF_STEP_OP_COUNT && kf__step_info_of(op)->window == KF_WINDOW_USED;
}

static pf_part *pm_const_of(pm_state *m, const json_t *step, const char *role) {
    const json_t *index = json_object_get(json_object_get(step, "consts"), role);
    const char *name = json_string_value(json_array_get(pm_list(m, "consts"), (size_t)json_integer_value(index)));
    for (size_t i = 0; index && name && i < m->f->n; i++)
        if (strcmp(m->f->parts[i].name, name) == 0) return &m->f->parts[i];
    return NULL;
}

/* Nothing runs after step `i`; what it makes is the output, behind a dequantize where it is stored as integers. */
static void pm_cut(pm_state *m, size_t i) {
    json_t *steps = pm_list(m, "steps"), *tensors = pm_list(m, "tensors"), *outputs = pm_list(m, "outputs");
    json_object_del(m->f->program, "golden"); /* it has an entry a step */
    while (json_array_size(steps) > i + 1) json_array_remove(steps, json_array_size(steps) - 1);
    while (json_array_size(outputs) > 1) json_array_remove(outputs, json_array_size(outputs) - 1);
    json_int_t out = pm_get(json_array_get(steps, i), "out");
    json_t *t = json_array_get(tensors, (size_t)out), *s = json_object_get(t, "shape"),
           *output = json_array_get(outputs, 0);
    const char *type = json_string_value(json_object_get(t, "dtype"));
    if (type && strcmp(type, "f32") != 0) {
        json_array_append_new(tensors, json_pack("{s:s,s:s,s:O}", "name", "cut", "dtype", "f32", "shape", s));
        json_array_append_new(steps, json_pack("{s:s,s:s,s:[I],s:i,s:[],s:{}}", "op", "dequantize", "name", "cut", "in",
                                               out, "out", (int)json_array_size(tensors) - 1, "sources", "consts"));
        out = (json_int_t)json_array_size(tensors) - 1;
    }
    json_object_set_new(output, "tensor", json_integer(out));
    json_object_set_new(output, "probabilities", json_integer(0));
    json_object_set_new(output, "shape", json_pack("[I,I,I,I]", pm_at(s, 0), pm_at(s, 3), pm_at(s, 1), pm_at(s, 2)));
}

/* Another window for a step, with weights, output and the end of the program made to fit. */
static void pm_refit(pm_state *m) {
    static const char *const WINDOW[] = {"kh", "kw", "sh", "sw", "dh", "dw", "pt", "pl", "pb", "pr"};
    static const int MOST[] = {7, 7, 3, 3, 3, 3, 8, 8, 8, 8};
    json_t *steps = pm_list(m, "steps"), *tensors = pm_list(m, "tensors");
    size_t i = (size_t)pm_any(m, 0, (int64_t)json_array_size(steps) - 1);
    json_t *s = json_array_get(steps, i), *out = json_array_get(tensors, (size_t)pm_get(s, "out"));
    const json_t *x = json_object_get(json_array_get(tensors, (size_t)pm_at(json_object_get(s, "in"), 0)), "shape");
    json_int_t w[KF_COUNT(WINDOW)];
    if (!pm_has_window(s) || json_array_size(x) != 4 || !out) {
        pm_cut(m, i);
        return;
    }
    bool plain = pm_any(m, 0, 3) == 0;
    for (size_t k = 0; k < KF_COUNT(WINDOW); k++) {
        w[k] = plain || pm_any(m, 0, 1) ? k < 6 : pm_any(m, k < 6, MOST[k]);
        json_object_set_new(s, WINDOW[k], json_integer(w[k]));
    }
    json_int_t high = pm_at(x, 1) + w[6] + w[8] - (w[4] * (w[0] - 1) + 1),
               wide = pm_at(x, 2) + w[7] + w[9] - (w[5] * (w[1] - 1) + 1);
    if (high < 0 || wide < 0) return;
    json_t *y = json_object_get(out, "shape");
    json_array_set_new(y, 1, json_integer(high / w[2] + 1));
    json_array_set_new(y, 2, json_integer(wide / w[3] + 1));
    pf_part *p = pm_const_of(m, s, "w");
    json_t *shape = p ? json_deep_copy(json_object_get(p->about, "shape")) : NULL;
    size_t first = json_array_size(shape) == 4, n = 1;
    if (shape) {
        char type[16];
        snprintf(type, sizeof type, "%.15s", json_string_value(json_object_get(p->about, "dtype")));
        json_array_set_new(shape, first, json_integer(w[0]));
        json_array_set_new(shape, first + 1, json_integer(w[1]));
        for (size_t k = 0; k < json_array_size(shape); k++) n *= (size_t)pm_at(shape, k);
        pm_resize(p, type, n, shape);
    }
    if (json_array_size(json_object_get(s, "in")) > 1 && pm_any(m, 0, 3))
        json_array_remove(json_object_get(s, "in"), 1);
    if (pm_any(m, 0, 7)) pm_cut(m, i);
}

/* Another batch, everywhere. */
static void pm_batch(pm_state *m) {
    json_int_t n = pm_any(m, 1, 3);
    static const char *const LISTS[] = {"tensors", "inputs", "outputs"};
    for (size_t k = 0; k < KF_COUNT(LISTS); k++) {
        json_t *list = pm_list(m, LISTS[k]);
        for (size_t i = 0; i < json_array_size(list); i++) {
            json_t *shape = json_object_get(json_array_get(list, i), "shape");
            if (json_array_size(shape) == 4) json_array_set_new(shape, 0, json_integer(n));
        }
    }
}

/* Other numbers of the same kind: floats times a positive factor, small integers anew. */
static void pm_values(pm_state *m) {
    static const float FACTORS[] = {0.5f, 2, 0.1f, 0.999f, 1.001f, 1e-4f};
    pf_part *p = m->f->n ? &m->f->parts[pm_any(m, 0, (int64_t)m->f->n - 1)] : NULL;
    const char *type = p ? json_string_value(json_object_get(p->about, "dtype")) : NULL;
    float factor = PM_PICK(m, FACTORS), v;
    if (!type) return;
    for (size_t i = 0; strcmp(type, "F32") == 0 && i + 4 <= p->n; i += 4) {
        memcpy(&v, p->data + i, 4);
        v *= factor;
        memcpy(p->data + i, &v, 4);
    }
    for (size_t i = 0; strcmp(type, "I8") == 0 && i < p->n; i++) p->data[i] = (uint8_t)pm_any(m, -127, 127);
}

/* Numbers of an activation that is there. */
static void pm_bounds(pm_state *m) {
    static const double NUMBERS[] = {0, 0.1, 0.5, 0.9, 1, 3, 6};
    json_t *a = json_object_get(pm_item(m, "steps"), pm_any(m, 0, 1) ? "act" : "post_act");
    if (json_array_size(a) == 3) json_array_set_new(a, (size_t)pm_any(m, 1, 2), json_real(PM_PICK(m, NUMBERS)));
}

/* A narrower range of a result. */
static void pm_narrow(pm_state *m) {
    json_t *s = pm_item(m, "steps");
    json_int_t lo = pm_get(s, "qlo"), hi = pm_get(s, "qhi");
    if (hi > lo) json_object_set_new(s, "qhi", json_integer(pm_any(m, lo, hi)));
}

/* What the file says its steps give: an entry of any form, for as many steps or not. */
static void pm_golden(pm_state *m) {
    json_t *golden = json_object_get(m->f->program, "golden"), *list, *entry;
    if (!golden) {
        golden = json_pack("{s:i,s:[],s:[]}", "input", 1, "steps", "scores");
        json_object_set_new(m->f->program, "golden", golden);
        for (size_t i = 0; i < json_array_size(pm_list(m, "steps")); i++)
            json_array_append_new(json_object_get(golden, "steps"), json_null());
    }
    switch (pm_any(m, 0, 3)) {
    case 0: entry = json_null(); break;
    case 1: entry = json_string("0123456789abcdef0123456789abcdef"); break;
    case 2: entry = json_pack("[o,o]", pm_real(m), pm_real(m)); break;
    default: entry = pm_real(m); break;
    }
    list = json_object_get(golden, pm_any(m, 0, 2) ? "steps" : "scores");
    int64_t n = (int64_t)json_array_size(list);
    if (n == 0 || pm_any(m, 0, 4) == 0) json_array_append_new(list, entry);
    else json_array_set_new(list, (size_t)pm_any(m, 0, n - 1), entry);
}

/* One to three changes; two seeds of three keep the rules of what they change, or nearly nothing would run. */
static void pm_mutate(pf_file *f, uint64_t seed) {
    typedef void pm_change(pm_state *);
    static pm_change *const KEEP[] = {pm_refit,  pm_refit,  pm_refit,  pm_batch,
                                      pm_values, pm_values, pm_bounds, pm_narrow};
    static pm_change *const BREAK[] = {pm_field,      pm_field, pm_input, pm_output, pm_role,     pm_role,
                                       pm_shape,      pm_type,  pm_quant, pm_quant,  pm_constant, pm_steps,
                                       pm_activation, pm_bytes, pm_refit, pm_golden};
    pm_state m = {{seed}, f};
    const char *const needed[] = {"steps", "tensors", "outputs", "consts"};
    for (size_t i = 0; i < KF_COUNT(needed); i++)
        if (!json_is_array(pm_list(&m, needed[i])) || (i < 3 && json_array_size(pm_list(&m, needed[i])) == 0)) return;
    kf__random_u64(&m.g);
    bool gentle = pm_any(&m, 0, 2) > 0;
    for (int64_t k = pm_any(&m, 1, 3); k > 0; k--) {
        if (gentle) PM_PICK(&m, KEEP)(&m);
        else PM_PICK(&m, BREAK)(&m);
    }
}

#endif
