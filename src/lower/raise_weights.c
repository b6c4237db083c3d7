/* Raising, the constants: NHWC orders back to ONNX's, under the names that PyTorch gave the layers.
 * The inverse of copy_weights and copy_matrix in lower.c.
 * Owner rule: see raise.h. */
#include "lower/raise_private.h"
#include "tensor/layout.h"

const char *kf__layer_name(kf__arena *arena, const char *node) {
    const char *last = strrchr(node, '/');
    if (*node != '/' || last == node) return kf__arena_strdup(arena, node);
    char *name = kf__arena_zalloc(arena, strlen(node) + 1);
    size_t len = 0, previous = 0; /* of the whole name, and where its last segment begins */
    for (const char *at = node; name && at < last;) {
        size_t n = strcspn(++at, "/"), tail = len - previous;
        bool repeats = tail && n > tail && memcmp(at, name + previous, tail) == 0 && at[tail] == '.';
        if (!repeats && len) name[len++] = '.';
        previous = repeats ? previous : len;
        len = previous;
        memcpy(name + len, at, n);
        len += n;
        at += n;
    }
    return name;
}

static kf_status add(kf__raising *r, const char *layer, const char *suffix, kf_dtype dtype, const kf__shape *shape,
                     const void *data, kf__vid *out) {
    const char *name = layer ? kf__arena_printf(&r->g->arena, "%s.%s", layer, suffix) : NULL;
    *out = name ? kf__graph_add_const(r->g, name, dtype, shape, data) : KF_NO_VALUE;
    if (*out < 0) KF_FAIL(r->err, KF_ERR_MEMORY, "out of memory for weights");
    return KF_OK;
}

static const kf__pconst *constant(const kf__raising *r, const kf__step *s, kf__const_role role) {
    return s->consts[role] >= 0 ? &r->p->consts[s->consts[role]] : NULL;
}

/* The constant unchanged, or KF_NO_VALUE. */
static kf_status plain(kf__raising *r, const kf__step *s, kf__const_role role, const char *layer, const char *suffix,
                       kf__vid *out) {
    const kf__pconst *c = constant(r, s, role);
    *out = KF_NO_VALUE;
    return c ? add(r, layer, suffix, c->dtype, &c->shape, c->data, out) : KF_OK;
}

/* [O,kh,kw,I] or, depthwise, [kh,kw,C] to [O,I,kh,kw]. */
static kf_status kernel(kf__raising *r, const kf__step *s, const char *layer, kf__vid *out) {
    const kf__pconst *c = constant(r, s, KF_CONST_W);
    bool depthwise = s->op == KF_STEP_DWCONV;
    if (!c) KF_FAIL(r->err, KF_ERR_CORRUPT, "weights are missing");
    size_t e = kf_dtype_size(c->dtype), o = (size_t)r->p->tensors[s->out].c;
    size_t taps = (size_t)s->window.kh * (size_t)s->window.kw;
    const kf__filters f = {.o = o, .i = c->bytes / e / (o * taps), .taps = taps};
    char *w = kf__mem_alloc(NULL, c->bytes);
    if (!w) KF_FAIL_MEMORY(r->err, c->bytes);
    kf__filters_load(&f, depthwise, e, c->data, w);
    kf__shape shape = kf__shape_make(4, (int64_t[]){(int64_t)f.o, (int64_t)f.i, s->window.kh, s->window.kw});
    kf_status st = add(r, layer, "weight", c->dtype, &shape, w, out);
    kf__mem_free(NULL, w);
    return st;
}

/* Both layers of a gate are among its sources, the second one first, as the pass that found it collects them. */
static const char *gate_layer(kf__raising *r, const kf__step *s, int which, const char *fallback) {
    const char *found[2] = {NULL, NULL};
    int n = 0;
    for (int i = 0; i < s->n_sources; i++) {
        const char *slash = strrchr(s->sources[i], '/');
        if (!slash || (strncmp(slash, "/Conv", 5) != 0 && strncmp(slash, "/Gemm", 5) != 0)) continue;
        if (n < 2) found[1 - n] = s->sources[i];
        n++;
    }
    if (n == 2) return kf__layer_name(&r->g->arena, found[which]);
    return kf__arena_printf(&r->g->arena, "%s.%s", s->name, fallback);
}

kf_status kf__raise_weights(kf__raising *r, const kf__step *s, kf__vid *in, int *n_in) {
    if (s->op == KF_STEP_SE_GATE) {
        const char *reduce = gate_layer(r, s, 0, "reduce"), *expand = gate_layer(r, s, 1, "expand");
        KF_TRY(plain(r, s, KF_CONST_W, reduce, "weight", &in[1]));
        KF_TRY(plain(r, s, KF_CONST_BIAS, reduce, "bias", &in[2]));
        KF_TRY(plain(r, s, KF_CONST_W2, expand, "weight", &in[3]));
        *n_in = 5;
        return plain(r, s, KF_CONST_BIAS2, expand, "bias", &in[4]);
    }
    const char *layer = kf__layer_name(&r->g->arena, s->name);
    if (s->op == KF_STEP_FC) KF_TRY(plain(r, s, KF_CONST_W, layer, "weight", &in[1]));
    else KF_TRY(kernel(r, s, layer, &in[1]));
    KF_TRY(plain(r, s, s->consts[KF_CONST_FBIAS] >= 0 ? KF_CONST_FBIAS : KF_CONST_BIAS, layer, "bias", &in[2]));
    *n_in = in[2] < 0 ? 2 : 3;
    return KF_OK;
}
