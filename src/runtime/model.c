/* Packing a program's weights for the CPU at hand and planning its memory.
 * Floor 5.
 * Owner rule: see model.h. */
#include "runtime/model.h"

#include "os/pages.h"

static bool is_packed(const kf__program *p, const kf__step *s) {
    if (kf__step_is_integer(p, s)) return false;
    return s->op == KF_STEP_CONV || s->op == KF_STEP_DWCONV || s->op == KF_STEP_FC || s->op == KF_STEP_SE_GATE;
}

/* Rows of the weight matrix per group and its depth. */
static void matrix_of(const kf__program *p, const kf__step *s, size_t *groups, size_t *n, size_t *k) {
    const kf__shape *w = &p->consts[s->consts[KF_CONST_W]].shape;
    size_t total = 1;
    for (int i = 1; i < w->rank; i++) total *= (size_t)w->dim[i];
    *groups = s->op == KF_STEP_CONV ? (size_t)s->window.group : 1;
    *n = (size_t)w->dim[0] / *groups;
    *k = total;
}

static size_t packed_size(const kf__program *p, const kf__step *s) {
    size_t g, n, k;
    if (s->op == KF_STEP_DWCONV)
        return kf__dwconv_f32_packed((size_t)(s->window.kh * s->window.kw), (size_t)p->tensors[s->out].c);
    matrix_of(p, s, &g, &n, &k);
    size_t size = g * kf__gemm_f32_packed(n, k);
    if (s->op == KF_STEP_SE_GATE) size += kf__gemm_f32_packed(k, n);
    return size;
}

static void pack_step(const kf__program *p, const kf__step *s, float *to, kf__packed *out) {
    size_t g, n, k;
    const float *w = p->consts[s->consts[KF_CONST_W]].data;
    out->w = to;
    if (s->op == KF_STEP_DWCONV) {
        size_t c = (size_t)p->tensors[s->out].c;
        kf__dwconv_f32_pack((size_t)(s->window.kh * s->window.kw), c, w, c, 1, to);
        return;
    }
    matrix_of(p, s, &g, &n, &k);
    for (size_t i = 0; i < g; i++, to += kf__gemm_f32_packed(n, k)) kf__gemm_f32_pack(n, k, w + i * n * k, to);
    if (s->op != KF_STEP_SE_GATE) return;
    out->w2 = to;
    kf__gemm_f32_pack(k, n, p->consts[s->consts[KF_CONST_W2]].data, to);
}

static size_t scratch_of(const kf__program *p, const kf__step *s) {
    const kf__ptensor *x = &p->tensors[s->in[0]], *y = &p->tensors[s->out];
    if (s->op == KF_STEP_CONV && !kf__window_is_pointwise(&s->window)) {
        size_t c = (size_t)(x->c / s->window.group);
        if (kf__conv_is_direct(s))
            return (size_t)(s->window.kh + 1) * (size_t)(x->w + s->window.pl + s->window.pr) * c * sizeof(float);
        return (size_t)y->w * (size_t)(s->window.kh * s->window.kw) * c * sizeof(float);
    }
    if (s->op == KF_STEP_SE_GATE) /* mean and hidden layer, each rounded up to 16 */
        return ((size_t)x->c + (size_t)p->consts[s->consts[KF_CONST_W]].shape.dim[0] + 32) * sizeof(float);
    return 0;
}

/* Of its weights, how many a tile uses for one line that it asks for: 32 columns at one depth for four lines. */
enum { WEIGHTS_A_LINE = 8 };

/* Layers of one row read more weights than they have work to hide the reading behind, and between two frames others use the cache. So
 * the products before them fetch those weights: backwards from the last step, each line as late as there is time for. */
static void plan_ahead(struct kf_model *m, const char *end) {
    const kf__program *p = m->p;
    const char *to = end, *later = end;
    for (int32_t i = p->n_steps - 1; i >= 0; i--) {
        kf__packed *k = &m->packed[i];
        if (!k->w) continue;
        const kf__ptensor *y = &p->tensors[p->steps[i].out];
        size_t tiles = p->steps[i].op == KF_STEP_CONV ? (size_t)y->n * (size_t)y->h * (size_t)y->w / KF_TILE_ROWS : 0, g, n, depth;
        matrix_of(p, &p->steps[i], &g, &n, &depth);
        size_t lines = (size_t)(to - later) / KF_LINE, most = tiles * g * n * depth / WEIGHTS_A_LINE;
        k->ahead.lines = lines < most ? lines : most;
        k->ahead.at = to -= k->ahead.lines * KF_LINE;
        later = (const char *)k->w;
    }
}

static kf_status pack_all(struct kf_model *m, kf_error *err) {
    const kf__program *p = m->p;
    size_t total = 0;
    for (int32_t i = 0; i < p->n_steps; i++) {
        if (is_packed(p, &p->steps[i])) total += kf__round_up(packed_size(p, &p->steps[i]), KF_ALIGN / sizeof(float));
        size_t scratch = 0;
        if (kf__step_is_integer(p, &p->steps[i])) KF_TRY(kf__pack_int(m, i, &scratch, err));
        else scratch = kf__round_up(scratch_of(p, &p->steps[i]), KF_ALIGN);
        if (kf__steps_join(p, i)) {
            const kf__ptensor *t = &p->tensors[p->steps[i].out];
            scratch =
                kf__round_up((size_t)p->steps[i + 1].window.kh * (size_t)t->w * (size_t)t->c * sizeof(float), KF_ALIGN);
        }
        if (scratch > m->scratch_bytes) m->scratch_bytes = scratch;
        if (kf__step_is_integer(p, &p->steps[i])) kf__release_step(m, i);
    }
    size_t bytes = total * sizeof(float), room = bytes + (m->allocator ? 0 : kf__pages_slack(bytes));
    m->weights_bytes += bytes;
    m->weights = kf__mem_alloc(m->allocator, room);
    if (!m->weights) KF_FAIL_MEMORY(err, room);
    float *to = m->allocator ? m->weights : kf__pages_huge_end(m->weights, room, bytes);
    for (int32_t i = 0; i < p->n_steps; i++) {
        if (!is_packed(p, &p->steps[i])) continue;
        pack_step(p, &p->steps[i], to, &m->packed[i]);
        to += kf__round_up(packed_size(p, &p->steps[i]), KF_ALIGN / sizeof(float));
        kf__release_step(m, i);
    }
    plan_ahead(m, (const char *)to);
    return KF_OK;
}

kf_status kf__model_create(kf__program *p, const kf_allocator *a, struct kf_model **out, kf_error *err) {
    return kf__model_create_at(p, kf__cpu_level_now(), a, out, err);
}

kf_status kf__model_create_at(kf__program *p, kf__cpu_level level, const kf_allocator *a, struct kf_model **out, kf_error *err) {
    struct kf_model *m = kf__mem_zalloc(a, sizeof *m);
    *out = NULL;
    if (!m) {
        kf__program_destroy(&p);
        KF_FAIL_MEMORY(err, sizeof *m);
    }
    m->allocator = a;
    m->p = p;
    m->cpu = level;
    kf__kernels_select(m->cpu, &m->kernels);
    kf__kernels_select_int(m->cpu, &m->kernels_int);
    m->packed = kf__arena_zalloc(&p->arena, (size_t)p->n_steps * sizeof *m->packed);
    m->offset = kf__arena_array(&p->arena, (size_t)p->n_tensors, sizeof *m->offset);
    kf_status st = m->packed && m->offset ? KF_OK : kf__error_set(err, KF_ERR_MEMORY, "out of memory");
    if (st == KF_OK) st = pack_all(m, err);
    if (st == KF_OK) st = kf__release_file(m, err);
    if (st == KF_OK) st = kf__plan(p, false, m->offset, &m->plan_bytes, err);
    if (st == KF_OK) {
        *out = m;
        return KF_OK;
    }
    kf__mem_free(a, m->weights);
    kf__program_destroy(&m->p);
    kf__mem_free(a, m);
    return st;
}

const char *kf__model_kernel_name(const struct kf_model *m, const kf__step *s) {
    const kf__qstep *q = m->packed[s - m->p->steps].q;
    if (q) return q->kernel;
    switch (s->op) {
    case KF_STEP_CONV:
        return kf__conv_is_direct(s) && !kf__window_is_pointwise(&s->window) ? m->kernels.conv_f32_name
                                                                             : m->kernels.gemm_f32_name;
    case KF_STEP_FC: case KF_STEP_SE_GATE: return m->kernels.gemm_f32_name;
    case KF_STEP_DWCONV: return m->kernels.dwconv_f32_name;
    case KF_STEP_SCALE: return m->kernels.scale_f32_name;
    case KF_STEP_GLOBAL_POOL: return m->kernels.colsum_f32_name;
    case KF_STEP_ADD: case KF_STEP_ACT: return m->kernels.eltwise_f32_name;
    default: return "plain";
    }
}
