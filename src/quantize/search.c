/* The search: quantize to 8 bits, measure what each rounding costs in the logits, promote by gain per MAC until the
 * target is met. Greedy over measured gains, then the shortest prefix that meets the target by bisection, each tried by
 * quantizing anew. Owner rule: graphs of trials end with their trial. */
#include "quantize/search.h"

#include <math.h>
#include <stdlib.h>

#include "quantize/assign.h"
#include "quantize/equalize.h"
#include "quantize/trial.h"

enum { RANKING_SAMPLES = 24, LEAST_SAMPLES = 8 };
static const double LEAST_GAIN = 0.1; /* percent: less is not worth another 16-bit tensor */

/* Measured on the held-out samples against the float network. */
typedef struct score {
    double drop, cosine, sqnr; /* percent points, ..., dB */
} score;

typedef struct search {
    const kf__graph *g;
    const kf_quantize_options *target; /* its members for the search */
    kf__qoptions *o, own;              /* own: for the trials, with progress of their own */
    kf__qsamples train, ranking, held;
    const int32_t *labels; /* [held.n] */
    kf__qsearch *out;
    score before, after; /* all 8 bits; with what is promoted */
    kf__arena arena;
    uint8_t *wide, *wide_weights; /* as the caller gave them */
    kf__qcandidate **order;       /* the promotions, in the order in which they are made */
    size_t n_order;
    size_t from, to; /* thousandths of progress of the stage at hand */
    size_t at;       /* what was told last */
    kf_error *err;
} search;

/* ---- what 16 bits cost ------------------------------------------------------------------------------------------- */

/* Views keep their input's storage: the value that decides. */
static kf__vid root(const kf__graph *g, kf__vid v) {
    int32_t p = g->values[v].producer;
    return p >= 0 && kf__op_keeps_integers(g->nodes[p].op) ? root(g, g->nodes[p].in[0]) : v;
}

static bool is_layer(const kf__node *n) { return kf__op_is_layer(n->op); }

/* Can v be stored in either width? One pixel is i16 always, the input never. */
static bool has_choice(const kf__graph *g, kf__vid v) {
    kf__sim_shape d = kf__sim_shape_of(g, v);
    int32_t p = g->values[v].producer;
    if (p < 0 || d.h * d.w <= 1 || kf__op_keeps_integers(g->nodes[p].op)) return false;
    return kf__assign_is_quantized(g, &g->nodes[p], v);
}

static bool runs_wide(const kf__graph *g, size_t index, const uint8_t *wide, const uint8_t *wide_weights) {
    const kf__node *n = &g->nodes[index];
    kf__vid x = root(g, n->in[0]);
    return is_layer(n) && (wide_weights[index] || (wide[x] && has_choice(g, x)));
}

/* Of layers that read i16 maps or hold i16 weights; pooled values are i16 anyway and do not count. */
static int64_t wide_macs(const kf__graph *g, const uint8_t *wide, const uint8_t *wide_weights) {
    int64_t sum = 0;
    for (size_t i = 0; i < g->n_nodes; i++)
        if (runs_wide(g, i, wide, wide_weights)) sum += kf__node_macs(g, &g->nodes[i]);
    return sum;
}

static void promote(const kf__graph *g, const kf__qcandidate *c, uint8_t *wide, uint8_t *wide_weights, uint8_t on) {
    if (c->is.weights) wide_weights[c->node] = on;
    else wide[g->nodes[c->node].out[0]] = on;
}

/* Additional MACs that become 16-bit with c. */
static int64_t added_macs(const search *s, const kf__qcandidate *c, uint8_t *wide, uint8_t *wide_weights) {
    int64_t before = wide_macs(s->g, wide, wide_weights);
    promote(s->g, c, wide, wide_weights, 1);
    int64_t after = wide_macs(s->g, wide, wide_weights);
    promote(s->g, c, wide, wide_weights, 0);
    return after - before;
}

/* ---- measuring --------------------------------------------------------------------------------------------------- */

static int stage_progress(void *user, size_t done, size_t total) {
    search *s = user;
    size_t now = s->from + (s->to - s->from) * done / total;
    if (!s->o->asked.progress) return 0;
    if (now > s->at) s->at = now; /* stages overlap: it never goes back */
    return s->o->asked.progress(s->o->asked.user, s->at, 1000);
}

static kf_status stage(search *s, size_t from, size_t to) {
    s->from = from, s->to = to;
    if (stage_progress(s, 0, 1))
        KF_FAIL(s->err, KF_ERR_CANCELLED, "quantize: the search was stopped, as the caller asked");
    return KF_OK;
}

static size_t top1(const float *x, size_t n) {
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

/* The quantized network against the float one on the held-out samples. With labels, `drop` is lost accuracy; without,
 * it is lost agreement. */
static score score_of(const search *s, const float *f, const float *q, size_t classes) {
    double ff = 0, qq = 0, fq = 0, dd = 0, kept = 0, right = 0, n = (double)s->held.n;
    for (size_t k = 0; k < s->held.n; k++, f += classes, q += classes) {
        for (size_t i = 0; i < classes; i++) {
            double a = (double)f[i], b = (double)q[i];
            ff += a * a, qq += b * b, fq += a * b, dd += (a - b) * (a - b);
        }
        size_t a = top1(f, classes), b = top1(q, classes);
        kept += s->labels ? b == (size_t)s->labels[k] : a == b;
        right += s->labels && a == (size_t)s->labels[k];
    }
    s->out->is.float_top1 = 100 * right / n;
    return (score){.drop = 100 * ((s->labels ? right : n) - kept) / n,
                   .cosine = kf__cosine(ff, qq, fq),
                   .sqnr = dd > 0 ? 10 * log10(ff / dd) : INFINITY};
}

static bool meets(const search *s, const score *x) {
    return (s->target->target_drop < 0 || x->drop <= s->target->target_drop + 1e-9) &&
           (s->target->target_cosine <= 0 || x->cosine >= s->target->target_cosine);
}

/* Runs both networks on the held-out samples and scores them. */
static kf_status score_graph(search *s, kf__graph *q, score *out) {
    kf__trial t;
    KF_TRY(kf__trial_open(&t, s->g, q, &s->held, s->o->asked.threads, s->err));
    t.progress = stage_progress, t.user = s;
    size_t classes = t.classes;
    float *logits = kf__mem_alloc(NULL, 2 * s->held.n * classes * sizeof *logits);
    kf_status st =
        logits ? kf__trial_logits(&t, 0, logits) : kf_error_set(s->err, KF_ERR_MEMORY, "out of memory for logits");
    if (st == KF_OK) st = kf__trial_logits(&t, 1, logits + s->held.n * classes);
    if (st == KF_OK) *out = score_of(s, logits, logits + s->held.n * classes, classes);
    kf__mem_free(NULL, logits);
    kf__trial_close(&t);
    return st;
}

/* The network with the first n promotions, quantized on the samples that are not held out. The caller destroys *q. */
static kf_status try_prefix(search *s, size_t n, kf__graph **q, score *out) {
    memcpy(s->own.wide, s->wide, s->g->n_values);
    memcpy(s->own.wide_weights, s->wide_weights, s->g->n_nodes);
    for (size_t i = 0; i < n; i++) promote(s->g, s->order[i], s->own.wide, s->own.wide_weights, 1);
    *q = NULL;
    KF_TRY(kf__graph_clone(s->g, q, s->err));
    kf_status st = kf__quantize(*q, &s->train, &s->own, &(*q)->arena, NULL, s->err);
    return st == KF_OK ? score_graph(s, *q, out) : st;
}

static kf_status try_and_drop(search *s, size_t n, score *out) {
    kf__graph *q;
    kf_status st = try_prefix(s, n, &q, out);
    kf__graph_destroy(&q);
    return st;
}

/* ---- ranking ----------------------------------------------------------------------------------------------------- */

static void list_candidates(search *s, const kf__graph *q) {
    const kf__graph *g = s->g;
    kf__qsearch *r = s->out;
    for (size_t i = 0; i < g->n_nodes; i++) {
        const kf__node *n = &g->nodes[i];
        const kf__quant *out = q->values[n->out[0]].quant;
        if (out && out->dtype == KF_U8 && has_choice(g, n->out[0]))
            r->list[r->is.candidates++] =
                (kf__qcandidate){.is = {.size = sizeof(kf_search_candidate), .node = n->name}, .node = i};
        if (s->own.noise[i].rows)
            r->list[r->is.candidates++] =
                (kf__qcandidate){.is = {.size = sizeof(kf_search_candidate), .node = n->name, .weights = 1}, .node = i};
    }
}

static double squared_error(const float *a, const float *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)(a[i] - b[i]) * (double)(a[i] - b[i]);
    return sum;
}

/* Each rounding alone in the float network. With all others present, its effect would drown: products of independent
 * errors do not cancel over a few samples. */
static kf_status measure_errors(search *s, kf__trial *t, double *error, double *whole) {
    kf__qsearch *r = s->out;
    size_t n = s->ranking.n * t->classes;
    kf__trial_change *changes = kf__arena_array(&s->arena, r->is.candidates + 1, sizeof *changes);
    float *logits = kf__arena_array(&s->arena, 2 * n, sizeof *logits);
    if (!changes || !logits) KF_FAIL_MEMORY(s->err, n * sizeof *logits);
    for (int32_t i = 0; i < r->is.candidates; i++)
        changes[i] = (kf__trial_change){.node = r->list[i].node, .weights = r->list[i].is.weights};
    t->progress = stage_progress, t->user = s;
    KF_TRY(kf__trial_noise(t, s->own.noise));
    KF_TRY(kf__trial_logits(t, 0, logits));
    KF_TRY(kf__trial_logits(t, 1, logits + n));
    *whole = squared_error(logits, logits + n, n);
    return kf__trial_errors(t, logits, changes, r->is.candidates, error);
}

/* The gain of a candidate is the error that its rounding alone causes in the logits, in percent of the error of the
 * whole 8-bit network. */
static kf_status measure_gains(search *s, kf__graph *q) {
    kf__qsearch *r = s->out;
    kf__trial t;
    double *error = kf__arena_array(&s->arena, r->is.candidates + 1, sizeof *error), whole = 0;
    if (!error) KF_FAIL_MEMORY(s->err, r->is.candidates * sizeof *error);
    KF_TRY(kf__trial_open(&t, s->g, q, &s->ranking, s->o->asked.threads, s->err));
    kf_status st = measure_errors(s, &t, error, &whole);
    kf__trial_close(&t);
    for (int32_t i = 0; st == KF_OK && i < r->is.candidates; i++) {
        r->list[i].is.gain = whole > 0 ? 100 * error[i] / whole : 0;
        r->list[i].is.macs = added_macs(s, &r->list[i], s->wide, s->wide_weights);
    }
    return st;
}

/* A promotion costs the MACs that become 16-bit, plus about one for each element that grows. */
static double worth(const search *s, const kf__qcandidate *c, int64_t macs) {
    const kf__node *n = &s->g->nodes[c->node];
    size_t elements = kf__sim_shape_of(s->g, n->out[0]).count;
    if (c->is.weights && !kf__shape_count(&s->g->values[n->in[1]].shape, &elements)) elements = 0;
    return c->is.gain / ((double)macs + (double)elements + 1);
}

/* Best gain per cost first, given what is already promoted, as long as the limit of MACs allows. */
static void plan(search *s, int64_t limit, uint8_t *wide, uint8_t *wide_weights) {
    kf__qsearch *r = s->out;
    for (;;) {
        kf__qcandidate *best = NULL;
        double most = 0;
        int64_t spent = wide_macs(s->g, wide, wide_weights);
        for (int32_t i = 0; i < r->is.candidates; i++) {
            kf__qcandidate *c = &r->list[i];
            if (c->is.place || c->is.gain < LEAST_GAIN) continue;
            int64_t more = added_macs(s, c, wide, wide_weights);
            if (spent + more > limit || worth(s, c, more) <= most) continue;
            best = c, most = worth(s, c, more);
        }
        if (!best) return;
        promote(s->g, best, wide, wide_weights, 1);
        s->order[s->n_order++] = best;
        best->is.place = (int32_t)s->n_order;
    }
}

static kf_status rank(search *s, kf__graph *q, int64_t limit) {
    size_t values = s->g->n_values, nodes = s->g->n_nodes;
    s->out->list = kf__arena_zalloc(&s->arena, 2 * nodes * sizeof *s->out->list);
    s->order = kf__arena_array(&s->arena, 2 * nodes, sizeof *s->order);
    uint8_t *wide = kf__arena_copy(&s->arena, s->wide, values),
            *wide_weights = kf__arena_copy(&s->arena, s->wide_weights, nodes);
    if (!s->out->list || !s->order || !wide || !wide_weights) KF_FAIL_MEMORY(s->err, 2 * nodes * sizeof *s->out->list);
    list_candidates(s, q);
    KF_TRY(measure_gains(s, q));
    plan(s, limit, wide, wide_weights);
    return KF_OK;
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static kf_status take(search *s, kf__qsamples *to, const kf__qsamples *from, size_t n,
                      size_t (*index)(size_t i, size_t n, size_t all)) {
    const void **data = kf__arena_array(&s->arena, n, sizeof *data);
    if (!data) KF_FAIL_MEMORY(s->err, n * sizeof *data);
    for (size_t i = 0; i < n; i++) data[i] = from->data[index(i, n, from->n)];
    *to = (kf__qsamples){.data = data, .n = n, .pixels = from->pixels};
    return KF_OK;
}

static size_t every_fourth(size_t i, size_t n, size_t all) { return 4 * i + 3; }
static size_t the_others(size_t i, size_t n, size_t all) { return i / 3 * 4 + i % 3; }
static size_t spread(size_t i, size_t n, size_t all) { return i * all / n; }

/* Every fourth sample is held out, so that the target is checked on pictures that calibrated nothing. Gains are
 * measured on a few of the others, because each costs a run for each candidate. */
static kf_status split(search *s, const kf__qsamples *all) {
    size_t held = all->n / 4, train = all->n - held;
    if (all->n < LEAST_SAMPLES)
        KF_FAIL(
            s->err, KF_ERR_ARGUMENT,
            "the search holds out a quarter of the samples and needs %d at least, %zu were given; 50 to 200 are good",
            LEAST_SAMPLES, all->n);
    KF_TRY(take(s, &s->held, all, held, every_fourth));
    KF_TRY(take(s, &s->train, all, train, the_others));
    KF_TRY(take(s, &s->ranking, &s->train, train < RANKING_SAMPLES ? train : RANKING_SAMPLES, spread));
    s->out->is.held_out = (int32_t)held;
    s->out->is.labelled = s->target->labels != NULL;
    if (!s->target->labels) return KF_OK;
    int32_t *labels = kf__arena_array(&s->arena, held, sizeof *labels);
    if (!labels) KF_FAIL_MEMORY(s->err, held * sizeof *labels);
    size_t classes = kf__sim_shape_of(s->g, kf__graph_ranked(s->g)).count;
    for (size_t i = 0; i < all->n; i++)
        if (s->target->labels[i] < 0 || (size_t)s->target->labels[i] >= classes)
            KF_FAIL(s->err, KF_ERR_ARGUMENT, "label %d of calibration sample %zu: the network has %zu classes",
                    s->target->labels[i], i, classes);
    for (size_t i = 0; i < held; i++) labels[i] = s->target->labels[4 * i + 3];
    s->labels = labels;
    return KF_OK;
}

/* The fewest promotions that meet the target. If no number does: all of them, or none if they make it worse. */
static kf_status shorten(search *s) {
    kf__qsearch *r = s->out;
    size_t lo = 0, hi = s->n_order;
    KF_TRY(stage(s, 350, 480));
    s->after = s->before;
    if (hi == 0) return KF_OK;
    score x;
    KF_TRY(try_and_drop(s, hi, &x));
    r->is.met = meets(s, &x);
    if (!r->is.met && (x.drop > s->before.drop || (x.drop == s->before.drop && x.cosine < s->before.cosine)))
        return KF_OK;
    s->after = x, r->is.promoted = (int32_t)hi;
    while (r->is.met && hi - lo > 1) {
        size_t mid = (lo + hi) / 2;
        KF_TRY(stage(s, s->to, s->to + (860 - s->to) / 4));
        KF_TRY(try_and_drop(s, mid, &x));
        if (!meets(s, &x)) lo = mid;
        else hi = mid, s->after = x, r->is.promoted = (int32_t)mid;
    }
    return KF_OK;
}

static int by_place(const void *a, const void *b) {
    const kf__qcandidate *x = a, *y = b;
    double p = x->is.place ? 1.0 / x->is.place : 0;
    double q = y->is.place ? 1.0 / y->is.place : 0;
    if (p != q) return p < q ? 1 : -1;
    if (x->is.gain != y->is.gain) return x->is.gain < y->is.gain ? 1 : -1;
    return (x->node > y->node) - (x->node < y->node);
}

/* Three stages with fixed shares of the progress: quantize to 8 bits (130 of 1000), measure the gains (to 350), try
 * promotions (to 860). The rest belongs to the final quantization. */
static kf_status run(search *s, const kf__qsamples *samples) {
    kf__qsearch *r = s->out;
    kf__graph *q = NULL;
    int64_t total = 0;
    KF_TRY(split(s, samples));
    KF_TRY(kf__graph_count(s->g, &total, NULL, NULL, s->err));
    s->own = *s->o;
    s->own.asked.progress = stage_progress, s->own.asked.user = s;
    s->own.wide = kf__arena_copy(&s->arena, s->wide, s->g->n_values);
    s->own.wide_weights = kf__arena_copy(&s->arena, s->wide_weights, s->g->n_nodes);
    if (!s->own.wide || !s->own.wide_weights) KF_FAIL_MEMORY(s->err, s->g->n_values);
    KF_TRY(stage(s, 0, 130));
    if (!(s->own.noise = kf__arena_zalloc(&s->arena, s->g->n_nodes * sizeof *s->own.noise)))
        KF_FAIL_MEMORY(s->err, s->g->n_nodes * sizeof *s->own.noise);
    kf_status st = try_prefix(s, 0, &q, &s->before);
    r->is.met = st == KF_OK && meets(s, &s->before);
    s->after = s->before;
    if (st == KF_OK) st = stage(s, 130, 350);
    if (st == KF_OK && !r->is.met)
        st = rank(s, q, kf__whole((double)total * s->target->max_int16_macs / 100, 0, INT64_MAX, 0));
    kf__graph_destroy(&q);
    s->own.noise = NULL;
    if (st == KF_OK && !r->is.met) st = shorten(s);
    if (st != KF_OK) return st;
    for (size_t i = 0; i < s->n_order; i++) {
        if ((int32_t)i < r->is.promoted) promote(s->g, s->order[i], s->o->wide, s->o->wide_weights, 1);
        else s->order[i]->is.place = 0;
    }
    r->is.drop_before = s->before.drop, r->is.drop = s->after.drop;
    r->is.cosine_before = s->before.cosine, r->is.cosine = s->after.cosine;
    r->is.sqnr_before = s->before.sqnr, r->is.sqnr = s->after.sqnr;
    r->is.int16_macs = total > 0 ? 100 * (double)wide_macs(s->g, s->o->wide, s->o->wide_weights) / (double)total : 0;
    return KF_OK;
}

/* Equalizes once, searches, then quantizes with what was found on all samples. */
kf_status kf__search(kf__graph *g, const kf__qsamples *samples, kf__qoptions *o, kf__arena *arena, kf__qsearch *out,
                     kf__qreport *report, kf_error *err) {
    search s = {
        .g = g, .target = &o->asked, .o = o, .out = out, .wide = o->wide, .wide_weights = o->wide_weights, .err = err};
    *out = (kf__qsearch){.is = {.size = sizeof out->is}};
    kf__arena_init(&s.arena, NULL);
    kf__qoptions first = *o;
    first.asked.progress = stage_progress, first.asked.user = &s;
    kf_status st = o->asked.equalize ? kf__equalize(g, samples, &first, NULL, err) : KF_OK;
    o->asked.equalize = 0; /* once for all trials: they compare the quantized weights with the float ones */
    if (st == KF_OK) st = run(&s, samples);
    if (st == KF_OK && out->is.candidates) {
        qsort(out->list, (size_t)out->is.candidates, sizeof *out->list, by_place);
        out->list = kf__arena_copy(arena, out->list, (size_t)out->is.candidates * sizeof *out->list);
        if (!out->list) st = kf_error_set(err, KF_ERR_MEMORY, "out of memory");
    }
    if (st == KF_OK) {
        kf__qoptions last = *o;
        last.asked.progress = stage_progress, last.asked.user = &s;
        st = stage(&s, 860, 1000);
        if (st == KF_OK) st = kf__quantize(g, samples, &last, arena, report, err);
    }
    kf__arena_free(&s.arena);
    return st;
}
