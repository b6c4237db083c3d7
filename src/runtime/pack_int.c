/* Preparing integer steps: weights packed, zero points folded into biases, every parameter one vector a channel.
 * Floor 5.
 * Owner rule: all of it lives in the program's arena and ends with the model. */
#include "os/pages.h"
#include "runtime/model.h"

#include <math.h>

enum { HUGE_PAGE = 2 << 20 };

typedef struct packing {
    struct kf_model *m;
    const kf__program *p;
    const kf__step *s;
    const kf__ptensor *in, *out;
    kf__arena *arena;
    kf__qstep *q;
    size_t n;     /* output channels of the layer at hand */
    size_t block; /* order of the vectors: kf__dwconv_q_order */
} packing;

static const kf__pconst *constant(const packing *k, kf__const_role role) {
    int32_t i = k->s->consts[role];
    return i < 0 ? NULL : &k->p->consts[i];
}

static void *vector(packing *k) { return kf__arena_zalloc(k->arena, kf__qpad(k->n) * 4); }

/* A constant of n or one f32 (NULL: all `other`) as a full vector in the kernel's order; NULL when out of memory. A constant that
 * the step's kind does not use may have any length. */
static float *floats(packing *k, const kf__pconst *c, float other) {
    float *v = vector(k);
    size_t have = c ? c->bytes / sizeof *v : 0;
    for (size_t i = 0; v && i < kf__round_up(k->n, k->block); i++) {
        size_t ch = kf__dwconv_q_order(k->block, i);
        if (ch < k->n) v[i] = have == 0 ? other : ((const float *)c->data)[ch < have ? ch : 0];
    }
    return v;
}

static int32_t zero_of(const packing *k, const kf__ptensor *t, size_t c) {
    return t->zeros >= 0 ? ((const int32_t *)k->p->consts[t->zeros].data)[c] : t->zero;
}

static float scale_of(const packing *k, const kf__ptensor *t, size_t c) {
    return t->dtype == KF_F32 ? 1.0f : t->scales >= 0 ? ((const float *)k->p->consts[t->scales].data)[c] : t->scale;
}

/* Step 5: bounds and zero points. */
static bool rounding(packing *k, const kf__ptensor *t, kf__requant *r) {
    float *lo = vector(k), *hi = vector(k);
    int32_t *z = vector(k);
    if (!lo || !hi || !z) return false;
    r->flo = lo, r->fhi = hi, r->zero = z, r->out = t->dtype;
    for (size_t i = 0; t->dtype != KF_F32 && i < kf__round_up(k->n, k->block); i++) {
        size_t ch = kf__dwconv_q_order(k->block, i);
        if (ch >= k->n) continue;
        z[i] = zero_of(k, t, ch);
        lo[i] = (float)(k->s->qlo - z[i]);
        hi[i] = (float)(k->s->qhi - z[i]);
    }
    return true;
}

/* Steps 2 to 5 of a convolution, fully connected or elementwise step. */
static bool epilogue(packing *k, kf__requant *r) {
    const kf__step *s = k->s;
    if (!rounding(k, k->out, r)) return false;
    if (k->out->dtype == KF_F32) r->post = s->post_act.kind, r->post_lo = s->post_act.lo, r->post_hi = s->post_act.hi;
    r->mul = floats(k, constant(k, KF_CONST_MUL), 1.0f);
    if (constant(k, KF_CONST_FBIAS)) {
        r->fbias = floats(k, constant(k, KF_CONST_FBIAS), 0);
        if (!r->fbias) return false;
    }
    if (s->direct) return r->mul != NULL;
    r->act = s->act.kind, r->lo = s->act.lo, r->hi = s->act.hi;
    r->k = floats(k, constant(k, KF_CONST_K), 1.0f / 6.0f);
    if (constant(k, KF_CONST_INV)) {
        r->inv = floats(k, constant(k, KF_CONST_INV), 0);
        if (!r->inv) return false;
    }
    return r->mul && r->k;
}

static int64_t weight_at(const kf__pconst *w, size_t i) { return w->dtype == KF_I8 ? ((const int8_t *)w->data)[i] : ((const int16_t *)w->data)[i]; }

/* Bias minus zero point times sum of weights; `rows` border classes, each a vector. */
static int32_t *fold(packing *k, const kf__pconst *w, const kf__pconst *b, const kf__ptensor *in, size_t rows) {
    bool depthwise = k->s->op == KF_STEP_DWCONV;
    size_t ld = kf__qpad(k->n), depth = w->bytes / kf_dtype_size(w->dtype) / k->n;
    int32_t *to = kf__arena_zalloc(k->arena, rows * ld * 4);
    for (size_t i = 0; to && i < kf__round_up(k->n, k->block); i++) {
        size_t ch = kf__dwconv_q_order(k->block, i);
        int64_t sum = 0, zero = in && ch < k->n ? zero_of(k, in, ch) : 0;
        if (ch >= k->n) continue;
        for (size_t x = 0; zero && x < depth; x++) sum += weight_at(w, depthwise ? x * k->n + ch : ch * depth + x);
        for (size_t r = 0; r < rows; r++) to[r * ld + i] = (int32_t)((b ? ((const int32_t *)b->data)[r * k->n + ch] : 0) - zero * sum);
    }
    return to;
}

/* Rows of taps of a spatial convolution filled up to fours of bytes: [n, kh, run] to [n, kh, round_up(run, 4)]. */
static const int8_t *fill_runs(packing *k, const int8_t *w, size_t n, size_t runs, size_t run) {
    size_t filled = kf__round_up(run, 4);
    if (runs == 1 || run == filled) return w;
    int8_t *to = kf__arena_zalloc(k->arena, n * runs * filled);
    for (size_t i = 0; to && i < n * runs; i++) memcpy(to + i * filled, w + i * run, run);
    return to;
}

/* One block for the panels of all layers, in huge pages where the system has them: 1400 page faults less for large_100. Its size is that of
 * the weights and some for filled-up rows and columns; what does not fit all the same goes to the arena. */
static void reserve(struct kf_model *m) {
    const kf__program *p = m->p;
    size_t total = 0;
    for (int32_t i = 0; i < p->n_steps; i++)
        for (int role = 0; role < KF_CONST_ROLES; role++) {
            const kf__step *s = &p->steps[i];
            if (s->op == KF_STEP_DWCONV || (role != KF_CONST_W && role != KF_CONST_W2) || s->consts[role] < 0 || !kf__step_is_integer(p, s)) continue;
            size_t f = s->op != KF_STEP_SE_GATE && m->kernels_int.gemm_layout == KF_QLAYOUT_SPLIT ? 2 : 1;
            total += f * kf__round_up(p->consts[s->consts[role]].bytes, KF_ALIGN);
        }
    if (m->allocator || total < 2 * HUGE_PAGE) return;
    total += kf__round_up(total / 32, KF_ALIGN);
    char *block = kf__arena_alloc(&m->p->arena, total + HUGE_PAGE);
    if (!block) return;
    m->room = (char *)kf__round_up((uintptr_t)block, HUGE_PAGE), m->room_left = total;
    m->p->arena.used -= total + HUGE_PAGE; /* counted as it is filled */
    kf__pages_huge(m->room, total);
}

static void *place(packing *k, size_t bytes) {
    size_t take = kf__round_up(bytes, KF_ALIGN);
    if (take > k->m->room_left) return kf__arena_alloc(k->arena, bytes + KF_ALIGN);
    void *to = k->m->room;
    k->m->room += take, k->m->room_left -= take, k->arena->used += take;
    return to;
}

/* Panels of w[groups * n, depth] for u8 or i16 inputs. */
static void *panels(packing *k, const kf__pconst *w, bool input_i16, size_t groups, size_t *bytes) {
    size_t n = k->n / groups, depth = w->bytes / kf_dtype_size(w->dtype) / k->n,
           runs = !input_i16 && k->s->op == KF_STEP_CONV ? (size_t)k->s->window.kh : 1;
    bool wide = w->dtype == KF_I16;
    kf__qlayout layout = k->m->kernels_int.gemm_layout;
    size_t filled = runs > 1 ? runs * kf__round_up(depth / runs, 4) : depth;
    *bytes = input_i16 ? kf__gemm_i16_packed(wide, n, depth) : kf__gemm_u8_packed(layout, k->m->kernels_int.gemm_group, n, filled);
    char *to = place(k, groups * *bytes);
    for (size_t g = 0; to && g < groups; g++) {
        const char *from = (const char *)w->data + g * n * depth * kf_dtype_size(w->dtype);
        if (input_i16) {
            kf__gemm_i16_pack(wide, n, depth, from, to + g * *bytes);
            continue;
        }
        const int8_t *rows = fill_runs(k, (const int8_t *)from, n, runs, depth / runs);
        if (!rows) return NULL;
        kf__gemm_u8_pack(layout, k->m->kernels_int.gemm_group, n, filled, rows, to + g * *bytes);
    }
    return to;
}

static bool pack_depthwise(packing *k, const kf__pconst *w) {
    const kf__step *s = k->s;
    const kf__kernels_int *kernels = &k->m->kernels_int;
    bool u8 = k->in->dtype == KF_U8 && w->dtype == KF_I8;
    bool fast =
        u8 && kf__dwconv_u8_fast(s->window.kh, s->window.kw, s->window.sh, s->window.sw, s->window.dh, s->window.dw) &&
        k->out->dtype != KF_F32 && s->n_in == 1;
    k->q->dwconv = !u8 ? kernels->dwconv_i16 : fast ? kernels->dwconv_u8 : kernels->dwconv_any;
    k->q->kernel = !u8 ? kernels->dwconv_i16_name : fast ? kernels->dwconv_u8_name : kernels->dwconv_any_name;
    kf__qlayout layout = fast ? kernels->dw_layout : KF_QLAYOUT_PLAIN;
    k->block = layout == KF_QLAYOUT_PLAIN ? 16 : kernels->dw_block;
    size_t count = w->bytes / kf_dtype_size(w->dtype);
    if (!u8) {
        int16_t *to = kf__arena_array(k->arena, count + 64, sizeof *to);
        for (size_t i = 0; to && i < count; i++) to[i] = (int16_t)weight_at(w, i);
        k->q->w = to;
    } else {
        void *to =
            kf__arena_alloc(k->arena, (layout == KF_QLAYOUT_PLAIN
                                           ? count
                                           : kf__dwconv_u8_packed(layout, k->block, s->window.kh, s->window.sh, k->n)) +
                                          KF_ALIGN);
        if (to && layout == KF_QLAYOUT_PLAIN) memcpy(to, w->data, count);
        else if (to) kf__dwconv_u8_pack(layout, k->block, s->window.kh, s->window.sh, k->n, w->data, to);
        k->q->w = to;
    }
    void *pad = kf__arena_zalloc(k->arena, kf__qpad(k->n) * 2);
    for (size_t c = 0; pad && c < k->n; c++) {
        if (k->in->dtype == KF_U8) ((uint8_t *)pad)[c] = (uint8_t)zero_of(k, k->in, c);
        else ((int16_t *)pad)[c] = 0;
    }
    k->q->pad = pad;
    return k->q->w && pad;
}

static bool classes(packing *k) {
    const kf__axis rows = kf__window_rows(&k->s->window), columns = kf__window_columns(&k->s->window);
    int32_t *y = kf__arena_array(k->arena, (size_t)k->out->h + 2 * (size_t)k->out->w, sizeof *y), *end;
    if (!y) return false;
    k->q->class_y = y, k->q->class_x = y + k->out->h;
    kf__border_classes(&rows, k->in->h, k->out->h, y, NULL);
    k->q->n_class_x = kf__border_classes(&columns, k->in->w, k->out->w, y + k->out->h, NULL);
    k->q->class_end = end = y + k->out->h + k->out->w;
    for (int32_t x = k->out->w - 1; x >= 0; x--) end[x] = x + 1 < k->out->w && k->q->class_x[x] == k->q->class_x[x + 1] ? end[x + 1] : x + 1;
    k->q->ld_table = kf__qpad(k->n);
    return true;
}

/* No sum is larger: every input at its end, every weight too, and the largest folded bias of all border classes. */
static double largest_sum(const packing *k, const kf__pconst *w, size_t rows) {
    double input = k->in->dtype == KF_U8 ? 255 : 32768, weight = w->dtype == KF_I8 ? 128 : 32768, bias = 0;
    size_t ld = kf__qpad(k->n);
    for (size_t i = 0; i < rows * ld; i++)
        if (fabs((double)k->q->table[i]) > bias) bias = fabs((double)k->q->table[i]);
    return input * weight * (double)(w->bytes / kf_dtype_size(w->dtype) / k->n) + bias;
}

static bool pack_weighted(packing *k) {
    const kf__pconst *w = constant(k, KF_CONST_W), *b = constant(k, KF_CONST_BIAS);
    const kf__ptensor *residual = k->s->n_in > 1 ? &k->p->tensors[k->s->in[1]] : NULL;
    k->q->wide = w->dtype == KF_I16;
    k->q->i16 = k->in->dtype == KF_I16 || k->q->wide;
    k->q->kernel = k->q->i16 ? k->m->kernels_int.gemm_i16_name : k->m->kernels_int.gemm_u8_name;
    if (k->s->op == KF_STEP_DWCONV && !pack_depthwise(k, w)) return false;
    if (k->s->op != KF_STEP_DWCONV &&
        !(k->q->w =
              panels(k, w, k->q->i16, k->s->op == KF_STEP_CONV ? (size_t)k->s->window.group : 1, &k->q->group_bytes)))
        return false;
    if (k->s->border_bias && !classes(k)) return false;
    if (!epilogue(k, &k->q->rq)) return false;
    k->q->table = k->q->rq.bias = fold(k, w, b, k->in, b ? b->bytes / 4 / k->n : 1);
    if (residual) {
        k->q->rq.residual_type = residual->dtype, k->q->rq.residual_zero = residual->zero;
        k->q->rq.residual_scale = residual->scale, k->q->rq.ld_residual = k->n;
    }
    uint8_t *bounds = kf__arena_zalloc(k->arena, 2 * kf__qpad(k->n));
    if (!k->q->table || !bounds) return false;
    kf__requant_bound(&k->q->rq, largest_sum(k, w, b ? b->bytes / 4 / k->n : 1), k->n, k->block, bounds, bounds + kf__qpad(k->n));
    return true;
}

/* Pool to i16, two layers: the second epilogue is the gate's. */
static bool pack_gate(packing *k) {
    const kf__step *s = k->s;
    const kf__pconst *w = constant(k, KF_CONST_W), *w2 = constant(k, KF_CONST_W2);
    kf__ptensor hidden = {.dtype = KF_I16, .scales = -1, .zeros = -1};
    size_t bytes, c = k->n;
    k->q->mul = floats(k, constant(k, KF_CONST_K), s->pool_mul);
    k->q->rq2 = (kf__requant){.out = KF_F32, .act = s->gate_act.kind, .lo = s->gate_act.lo, .hi = s->gate_act.hi};
    k->q->rq2.mul = floats(k, constant(k, KF_CONST_MUL2), 0);
    k->q->rq2.k = floats(k, NULL, 1.0f / 6.0f);
    k->q->rq2.bias = fold(k, w2, constant(k, KF_CONST_BIAS2), NULL, 1);
    k->q->w2 = panels(k, w2, true, 1, &bytes);
    k->q->wide2 = w2->dtype == KF_I16;
    k->n = (size_t)w->shape.dim[0];
    k->q->hidden = k->n;
    k->q->w = panels(k, w, true, 1, &bytes);
    k->q->wide = w->dtype == KF_I16;
    if (!rounding(k, &hidden, &k->q->rq)) return false;
    k->q->rq.mul = floats(k, constant(k, KF_CONST_MUL), 0);
    k->q->rq.k = floats(k, NULL, 1.0f / 6.0f);
    k->q->rq.bias = fold(k, w, constant(k, KF_CONST_BIAS), NULL, 1);
    if (!s->direct) {
        k->q->rq.act = s->act.kind, k->q->rq.lo = s->act.lo, k->q->rq.hi = s->act.hi;
        k->q->rq.inv = floats(k, NULL, s->hidden_inv);
        if (!k->q->rq.inv) return false;
    }
    k->n = c;
    k->q->kernel = k->m->kernels_int.gemm_i16_name;
    return k->q->mul && k->q->w && k->q->w2 && k->q->rq.mul && k->q->rq.k && k->q->rq.bias && k->q->rq2.mul && k->q->rq2.k && k->q->rq2.bias;
}

/* Zero points and scales of the inputs, for steps that work element by element. */
static bool pack_plain(packing *k) {
    for (int i = 0; i < k->s->n_in && i < 2; i++) {
        const kf__ptensor *t = &k->p->tensors[k->s->in[i]];
        int32_t *z = vector(k);
        float *f = vector(k);
        if (!z || !f) return false;
        for (size_t c = 0; c < k->n && c < (size_t)t->c; c++) z[c] = t->dtype == KF_F32 ? 0 : zero_of(k, t, c), f[c] = scale_of(k, t, c);
        k->q->in_zero[i] = z, k->q->in_scale[i] = f;
    }
    k->q->mul = floats(k, constant(k, k->s->op == KF_STEP_QUANTIZE || k->s->op == KF_STEP_SCALE ? KF_CONST_INV : KF_CONST_MUL), 1.0f);
    if (k->s->op == KF_STEP_DEQUANTIZE) k->q->mul = k->q->in_scale[0];
    bool each = k->s->op == KF_STEP_ACT || k->s->op == KF_STEP_ADD || k->s->op == KF_STEP_MUL;
    if (k->s->op == KF_STEP_ACT && k->s->direct) k->q->in_scale[0] = k->q->mul;
    bool window = k->s->op == KF_STEP_AVG_POOL || k->s->op == KF_STEP_MAX_POOL;
    k->q->kernel = each ? k->m->kernels_int.eltwise_q_name : window ? k->m->kernels_int.pool_q_name : k->s->op == KF_STEP_GLOBAL_POOL ? k->m->kernels_int.colsum_q_name : k->m->kernels_int.affine_q_name;
    if (k->s->op == KF_STEP_SCALE) return rounding(k, k->out, &k->q->rq) && k->q->mul;
    return epilogue(k, &k->q->rq) && k->q->mul;
}

bool kf__step_is_integer(const kf__program *p, const kf__step *s) {
    return p->tensors[s->in[0]].dtype != KF_F32 || p->tensors[s->out].dtype != KF_F32;
}

static size_t scratch_of(const packing *k) {
    const kf__step *s = k->s;
    size_t c = (size_t)k->in->c, e = k->q->i16 ? 2 : 1;
    switch (s->op) {
    case KF_STEP_CONV:
        if (!kf__window_is_pointwise(&s->window) && !k->q->i16 && kf__conv_q_line(s, k->in, k->out))
            return (size_t)s->window.kh * kf__conv_q_line(s, k->in, k->out) + KF_ALIGN;
        if (!kf__window_is_pointwise(&s->window))
            return (size_t)k->out->w * (size_t)s->window.kh *
                       kf__round_up((size_t)s->window.kw * (c / (size_t)s->window.group), 4) * e +
                   KF_ALIGN;
        return k->q->i16 && k->in->dtype == KF_U8 ? (size_t)k->out->w * c * 2 + KF_ALIGN : 0;
    case KF_STEP_FC: return k->q->i16 && k->in->dtype == KF_U8 ? c * 2 + KF_ALIGN : 0;
    case KF_STEP_DWCONV: return kf__dwconv_u8_scratch();
    case KF_STEP_SE_GATE: return kf__qpad(c) * (8 + 4 + 4 + 2) + kf__qpad(k->q->hidden) * 2;
    case KF_STEP_SCALE: case KF_STEP_GLOBAL_POOL: return kf__qpad(c) * (8 + 4 + 4);
    case KF_STEP_CONCAT: return kf__qpad((size_t)k->out->c) * 8;
    default: return 0;
    }
}

kf_status kf__pack_int(struct kf_model *m, int32_t index, size_t *scratch, kf_error *err) {
    kf__program *p = m->p;
    const kf__step *s = &p->steps[index];
    packing k = {.m = m, .p = p, .s = s, .in = &p->tensors[s->in[0]], .out = &p->tensors[s->out], .arena = &p->arena, .block = 16};
    if (!m->weights_bytes) reserve(m); /* the first of them */
    size_t used = p->arena.used;
    k.q = kf__arena_zalloc(&p->arena, sizeof *k.q);
    k.n = (size_t)k.out->c;
    if (!k.q) KF_FAIL_MEMORY(err, sizeof *k.q);
    bool weighted = s->op == KF_STEP_CONV || s->op == KF_STEP_DWCONV || s->op == KF_STEP_FC;
    if (!(weighted ? pack_weighted(&k) : s->op == KF_STEP_SE_GATE ? pack_gate(&k) : pack_plain(&k))) KF_FAIL_MEMORY(err, k.n * 4);
    m->packed[index].q = k.q;
    m->weights_bytes += p->arena.used - used;
    *scratch = kf__round_up(scratch_of(&k), KF_ALIGN);
    return KF_OK;
}
