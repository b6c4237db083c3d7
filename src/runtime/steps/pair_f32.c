/* A pointwise step and the depthwise step that alone reads it, row by row. The wide tensor between them is never
 * written as a whole: its rows wait in a ring, in a near cache, for the depthwise kernel. Neighbouring workers both
 * compute the rows at their border. Owner rule: see step_kinds.h. */
#include "runtime/steps/step_kinds.h"

/** Most rows of the depthwise window. */
enum { RING_ROWS = 16 };
/** Bytes of a tensor from which joining pays: about half of a second-level cache. */
enum { JOIN_BYTES = 1 << 20 };

bool kf__steps_join(const kf__program *p, int32_t i) {
    if (i + 1 >= p->n_steps) return false;
    const kf__step *s = &p->steps[i], *d = s + 1;
    if (s->op != KF_STEP_CONV || !kf__window_is_pointwise(&s->window) || s->n_in != 1 || kf__step_is_integer(p, s))
        return false;
    if (d->op != KF_STEP_DWCONV || d->in[0] != s->out || d->n_in != 1 || kf__step_is_integer(p, d)) return false;
    const kf__ptensor *t = &p->tensors[s->out];
    size_t image = (size_t)t->h * (size_t)t->w * (size_t)t->c * sizeof(float);
    return d->window.dh == 1 && d->window.kh <= RING_ROWS && image >= JOIN_BYTES && t->read == i + 1;
}

typedef struct pair {
    kf__job conv, dw;
} pair;

/* A ring of kh wide rows: slot r holds row r modulo kh. Each row of the wide tensor is computed once per worker. */
static void pair_worker(void *ctx, int worker, int workers) {
    const pair *p = ctx;
    const kf__job *j = &p->conv;
    const kf__window *win = &p->dw.s->window;
    size_t w = (size_t)j->out->w, h = (size_t)j->out->h, c = (size_t)j->out->c, k = (size_t)j->in->c, from, to;
    size_t oh = (size_t)p->dw.out->h, kh = (size_t)win->kh;
    float *wide = kf__job_scratch(j, worker);
    const float *rows[RING_ROWS], *src = kf__f32_of(j->src);
    int64_t held[RING_ROWS];
    kf__ahead ahead = kf__job_ahead(j, worker, workers);
    kf__epilogue e = kf__job_epilogue(j);
    e.ahead = &ahead;
    for (size_t i = 0; i < kh; i++) held[i] = -1;
    kf__share((size_t)p->dw.out->n * oh, 1, worker, workers, &from, &to);
    for (size_t row = from; row < to; row++) {
        for (size_t ky = 0; ky < kh; ky++) {
            int64_t y = kf__window_top(win, (int32_t)(row % oh)) + (int64_t)ky;
            rows[ky] = NULL;
            if (y < 0 || y >= (int64_t)h) continue;
            size_t at = row / oh * h + (size_t)y, slot = at % kh; /* of the whole batch, so images differ */
            float *made = wide + slot * w * c;
            if (held[slot] != (int64_t)at)
                j->x->m->kernels.gemm_f32(w, c, k, src + at * w * k, k, kf__f32_of(j->p->packed), made, c, &e);
            held[slot] = (int64_t)at;
            rows[ky] = made;
        }
        kf__dwconv_f32_row(&p->dw, row, rows);
    }
}

static void run(const kf__exec *x, const kf__prepared *s) {
    pair p = {.conv = kf__job_of(x, s), .dw = kf__job_of(x, s + 1)};
    kf__pool_run(x->pool, pair_worker, &p);
}

void kf__prepare_pair_f32(kf__preparing *k, const kf__step *next) {
    uint64_t ring = (uint64_t)next->window.kh * (size_t)k->out->w * (size_t)k->out->c * sizeof(float);
    k->to->run_with_next = run;
    if (ring > k->to->scratch_bytes) k->to->scratch_bytes = ring;
}
