/* Node by node: both networks run from the picture, each of B's nodes also on A's inputs, and what that does to A's
 * output. Every picture has its own sums, so results do not depend on the threads. Owner rule: the values of one
 * picture live until the next. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compare/nodes.h"

#include "compare/feed.h"

enum { OUTPUT = 0, ALONE = 1, COST = 2, KINDS = 3 }; /* which comparison */

typedef struct sums {
    double v[KINDS][4]; /* A's power, B's power, product, power of the difference */
} sums;

typedef struct job {
    kf_comparison *w; /* first: see kf__feed_crew */
    const kf_compare_options *o;
    sums *all;           /* [pictures][nodes] */
    int32_t *node_of[2]; /* by step of each model; -1 */
    size_t *first;       /* [nodes + 1]: where its channels begin in `factor` */
    float *factor;       /* [channels of all nodes]: B's values in units of A's, where a node is rescaled */
    int32_t inputs[2], steps[2];
} job;

/* All values of one side for one picture: the model's inputs, then the steps' outputs. */
typedef struct values {
    float **at; /* [inputs + steps]; inputs are at -1 - step */
    int32_t inputs, steps;
    bool failed;
} values;

static void add(double *to, const float *a, const float *b, size_t n) {
    for (size_t i = 0; i < n; i++) {
        double x = (double)a[i], y = (double)b[i];
        to[0] += x * x, to[1] += y * y, to[2] += x * y, to[3] += (x - y) * (x - y);
    }
}

static size_t count(const kf_step_info *s) { return (size_t)(s->shape[0] * s->shape[1] * s->shape[2] * s->shape[3]); }

/* ---- which node is which ----------------------------------------------------------------------------------------- */

/* The step of B with this name and size that no node has yet. */
static int32_t twin(const job *j, const kf_step_info *a) {
    kf_step_info b = {.size = sizeof b};
    kf_error err;
    for (int32_t i = 0; i < j->steps[1]; i++)
        if (j->node_of[1][i] < 0 && kf_model_step(j->w->models[1], i, &b, &err) == KF_OK &&
            strcmp(a->name, b.name) == 0 && count(a) == count(&b))
            return i;
    return -1;
}

/* One block: the nodes, then the facts about their steps. */
static kf_status make_nodes(job *j, kf_step_info **info, kf_error *err) {
    kf_comparison *w = j->w;
    bool failed = false;
    for (int side = 0; side < 2; side++) {
        kf_model_info m = {.size = sizeof m};
        kf_model_get_info(w->models[side], &m, NULL);
        j->steps[side] = m.n_steps, j->inputs[side] = m.n_inputs;
        j->node_of[side] = malloc(((size_t)m.n_steps + 1) * sizeof *j->node_of[side]);
        failed = failed || !j->node_of[side];
        for (int32_t i = 0; !failed && i < m.n_steps; i++) j->node_of[side][i] = -1;
    }
    size_t most = (size_t)j->steps[0] + (size_t)j->steps[1] + 1;
    w->nodes = calloc(most, sizeof *w->nodes + 2 * sizeof **info);
    if (failed || !w->nodes) KF_FAIL(err, KF_ERR_MEMORY, "out of memory for the nodes");
    *info = (kf_step_info *)(w->nodes + most);
    return KF_OK;
}

/* Step i of one side as a node; A's gets its twin. */
static kf_status add_node(job *j, int side, int32_t i, kf_step_info *info, kf_error *err) {
    kf_comparison *w = j->w;
    kf_compared_node *n = &w->nodes[w->n_nodes];
    *n = (kf_compared_node){
        .step = {-1, -1}, .cosine = NAN, .sqnr = NAN, .alone_cosine = NAN, .alone_sqnr = NAN, .cost = NAN};
    for (int k = 0; k < 2; k++) info[k].size = sizeof info[k];
    KF_TRY(kf_model_step(w->models[side], i, &info[side], err));
    n->name = info[side].name;
    n->step[side] = i;
    if (side == 0) n->step[1] = twin(j, &info[0]);
    if (side == 0 && n->step[1] >= 0) KF_TRY(kf_model_step(w->models[1], n->step[1], &info[1], err));
    for (int k = 0; k < 2; k++) {
        if (n->step[k] < 0) continue;
        j->node_of[k][n->step[k]] = (int32_t)w->n_nodes;
        n->info[k] = &info[k];
    }
    w->n_nodes++;
    return KF_OK;
}

static kf_status match(job *j, kf_error *err) {
    kf_step_info *info = NULL;
    KF_TRY(make_nodes(j, &info, err));
    for (int side = 0; side < 2; side++)
        for (int32_t i = 0; i < j->steps[side]; i++)
            if (side == 0 || j->node_of[1][i] < 0) KF_TRY(add_node(j, side, i, info + 2 * j->w->n_nodes, err));
    return KF_OK;
}

/* ---- channels that B keeps in another scale ---------------------------------------------------------------------- */

enum {
    SPARSE = 4, /* a node is rescaled if one channel in so many is */
    LEARN = 8,  /* pictures that the decision is made on, at most */
    FEW = 4     /* values of a channel that the decision needs, at least */
};

static size_t channels_of(const kf_compared_node *n) { return (size_t)n->info[0]->shape[3]; }

static bool same_channels(const kf_compared_node *n) {
    return n->step[0] >= 0 && n->step[1] >= 0 && n->info[0]->shape[3] == n->info[1]->shape[3];
}

/* B's values of a rescaled node in A's units (`to_a`), or A's in B's. */
static void change_units(const job *j, size_t node, float *x, bool to_a) {
    const kf_compared_node *n = &j->w->nodes[node];
    size_t c = channels_of(n), count_ = count(n->info[0]);
    const float *f = j->factor + j->first[node];
    for (size_t i = 0; n->rescaled && i < count_; i++) x[i] = to_a ? x[i] / f[i % c] : x[i] * f[i % c];
}

/* ---- one picture ------------------------------------------------------------------------------------------------- */

static void keep(void *user, int32_t step, const float *x, size_t n) {
    values *v = user;
    float **to = step < 0 ? &v->at[-1 - step] : &v->at[v->inputs + step];
    if (!*to) *to = malloc(n * sizeof **to + 1);
    if (*to) memcpy(*to, x, n * sizeof **to);
    else v->failed = true;
}

static const float *value(const values *v, int32_t step) {
    return step < 0 ? v->at[-1 - step] : v->at[v->inputs + step];
}

static void forget(values *v) {
    for (int32_t i = 0; v->at && i < v->inputs + v->steps; i++) free(v->at[i]);
    free(v->at);
}

/* A's values of a node for B: as they are, or a copy in B's units. */
static const float *for_b(const job *j, int32_t node, const values *a, float **copy, bool *failed) {
    const kf_compared_node *n = &j->w->nodes[node];
    const float *x = value(a, n->step[0]);
    size_t size = count(n->info[0]);
    if (!n->rescaled) return x;
    if (!(*copy = malloc(size * sizeof **copy))) return *failed = true, x;
    memcpy(*copy, x, size * sizeof **copy);
    change_units(j, (size_t)node, *copy, false);
    return *copy;
}

/* B's node on A's inputs, which are rounded as B stores them. What only B has (its own conversions) comes from B. */
static kf_status run_alone(const job *j, size_t at, kf_session *b, const values *v, float *out, kf_error *err) {
    const kf_compared_node *n = &j->w->nodes[at];
    const float *in[16];
    float *copy[16] = {NULL};
    bool failed = false;
    for (int32_t k = 0; k < n->info[1]->n_in; k++) {
        int32_t from = n->info[1]->in[k], node = from < 0 ? -1 : j->node_of[1][from];
        in[k] =
            node >= 0 && j->w->nodes[node].step[0] >= 0 ? for_b(j, node, &v[0], &copy[k], &failed) : value(&v[1], from);
    }
    kf_status st = failed ? kf_error_set(err, KF_ERR_MEMORY, "out of memory for the values of %.200s", n->name)
                          : kf_session_run_step(b, n->step[1], in, out, err);
    for (int k = 0; k < 16; k++) free(copy[k]);
    if (st == KF_OK) change_units(j, at, out, true);
    return st;
}

static kf_status alone(const job *j, size_t i, kf_session *const *s, const values *v, const kf__feed *in, float *plain,
                       float *changed, kf_error *err) {
    const kf_comparison *w = j->w;
    kf_status st = KF_OK;
    for (size_t k = 0; st == KF_OK && k < w->n_nodes; k++) {
        const kf_compared_node *n = &w->nodes[k];
        sums *to = &j->all[i * w->n_nodes + k];
        if (n->step[0] < 0 || n->step[1] < 0) continue;
        float *out = malloc(count(n->info[1]) * sizeof *out + 1);
        if (!out) return kf_error_set(err, KF_ERR_MEMORY, "out of memory for the values of %.200s", n->name);
        st = run_alone(j, k, s[1], v, out, err);
        if (st == KF_OK) add(to->v[ALONE], value(&v[0], n->step[0]), out, count(n->info[0]));
        if (st == KF_OK) st = kf_session_replace(s[0], n->step[0], out, err);
        if (st == KF_OK) st = kf__feed_forward(w, 0, s[0], in, changed, err);
        if (st == KF_OK) add(to->v[COST], plain, changed, w->classes);
        if (st == KF_OK) st = kf_session_replace(s[0], -1, NULL, err);
        free(out);
    }
    return st;
}

static kf_status run_both(const job *j, kf_session *const *s, values *v, const kf__feed *in, float *out,
                          kf_error *err) {
    const kf_comparison *w = j->w;
    kf_status st = KF_OK;
    for (int side = 0; side < 2 && st == KF_OK; side++) {
        v[side].at = calloc((size_t)(v[side].inputs + v[side].steps) + 1, sizeof *v[side].at);
        if (!v[side].at) return kf_error_set(err, KF_ERR_MEMORY, "out of memory for the values of the nodes");
        st = kf_session_watch(s[side], keep, &v[side], err);
        if (st == KF_OK) st = kf__feed_forward(w, side, s[side], in, side ? out + w->classes : out, err);
        if (st == KF_OK) st = kf_session_watch(s[side], NULL, NULL, err);
        if (st == KF_OK && v[side].failed)
            st = kf_error_set(err, KF_ERR_MEMORY, "out of memory for the values of the nodes");
    }
    return st;
}

/* B's values are the picture's own, so they are changed in place. */
static void compare_outputs(const job *j, size_t i, const values *v) {
    for (size_t k = 0; k < j->w->n_nodes; k++) {
        const kf_compared_node *n = &j->w->nodes[k];
        if (n->step[0] < 0 || n->step[1] < 0) continue;
        float *b = v[1].at[v[1].inputs + n->step[1]];
        change_units(j, k, b, true);
        add(j->all[i * j->w->n_nodes + k].v[OUTPUT], value(&v[0], n->step[0]), b, count(n->info[0]));
    }
}

static kf_status picture(void *ctx, void *state, size_t i, kf_error *err) {
    const job *j = ctx;
    kf_session *const *s = state;
    const kf_comparison *w = j->w;
    values v[2] = {{.inputs = j->inputs[0], .steps = j->steps[0]}, {.inputs = j->inputs[1], .steps = j->steps[1]}};
    kf__feed in;
    float *out = malloc(3 * w->classes * sizeof *out);
    if (!out) return kf_error_set(err, KF_ERR_MEMORY, "out of memory for %zu classes", w->classes);
    kf_status st = kf__feed_load(w, kf__compare_pick(w, i, w->node_images), &in, err);
    if (st == KF_OK) st = run_both(j, s, v, &in, out, err);
    if (st == KF_OK) compare_outputs(j, i, v);
    if (st == KF_OK && j->o->costs) st = alone(j, i, s, v, &in, out, out + 2 * w->classes, err);
    kf__feed_unload(&in);
    for (int side = 0; side < 2; side++) forget(&v[side]);
    free(out);
    return st;
}

/* ---- which nodes are rescaled ------------------------------------------------------------------------------------ */

/* Weights scaled across layers leave the network the same and its inner values not: channel c of B is f[c] times that
 * of A. A node counts as rescaled where, alone on A's values, a quarter of its channels give A's almost exactly at
 * less than half or more than twice the size. Errors accumulated in earlier nodes play no part in this test, so a bad
 * quantization is not mistaken for rescaling. */
static void judge(const job *j, size_t k, double (*sum)[3]) {
    size_t c = channels_of(&j->w->nodes[k]), off = 0;
    float *factor = j->factor + j->first[k];
    for (size_t i = 0; i < c; i++) {
        const double *s = sum[i];
        double f = s[0] > 0 && s[1] > 0 ? s[1] / s[0] : 1;
        factor[i] = (float)f;
        off += s[1] > 0.99 * sqrt(s[0] * s[2]) && s[0] > 0 && (f > 2 || f < 0.5);
    }
    j->w->nodes[k].rescaled = off * SPARSE >= c && off > 0;
}

/* Node k alone on each picture; the nodes before it have been judged. */
static kf_status learn_node(const job *j, size_t k, kf_session *b, values (*v)[2], size_t pictures_, kf_error *err) {
    const kf_compared_node *n = &j->w->nodes[k];
    size_t c = channels_of(n), size = count(n->info[0]);
    double(*sum)[3] = calloc(c + 1, sizeof *sum);
    float *out = malloc(size * sizeof *out + 1);
    kf_status st =
        sum && out ? KF_OK : kf_error_set(err, KF_ERR_MEMORY, "out of memory for the values of %.200s", n->name);
    for (size_t p = 0; st == KF_OK && p < pictures_; p++) {
        const float *a = value(&v[p][0], n->step[0]);
        st = run_alone(j, k, b, v[p], out, err);
        for (size_t e = 0; st == KF_OK && e < size; e++) {
            double x = (double)a[e], y = (double)out[e], *s = sum[e % c];
            s[0] += x * x, s[1] += x * y, s[2] += y * y;
        }
    }
    if (st == KF_OK && pictures_ * size >= FEW * c) judge(j, k, sum);
    free(sum);
    free(out);
    return st;
}

/* No picture more is done, but this takes as long as some. */
static kf_status ask(const job *j, kf_error *err) {
    size_t done = j->w->samples->n, total = done + j->w->node_images;
    if (!j->o->progress || !j->o->progress(j->o->user, done, total)) return KF_OK;
    KF_FAIL(err, KF_ERR_CANCELLED, "cancelled after %zu of %zu pictures", done, total);
}

static kf_status learn_all(const job *j, kf_session *const *s, values (*v)[2], float *out, kf_error *err) {
    size_t n = j->w->node_images < LEARN ? j->w->node_images : LEARN;
    kf_status st = KF_OK;
    for (size_t p = 0; st == KF_OK && p < n; p++) {
        kf__feed in;
        st = kf__feed_load(j->w, kf__compare_pick(j->w, p, n), &in, err);
        if (st == KF_OK) st = run_both(j, s, v[p], &in, out, err);
        kf__feed_unload(&in);
        if (st == KF_OK) st = ask(j, err);
    }
    for (int32_t i = 0; st == KF_OK && i < j->steps[1]; i++) {
        if (same_channels(&j->w->nodes[j->node_of[1][i]]))
            st = learn_node(j, (size_t)j->node_of[1][i], s[1], v, n, err);
        if (st == KF_OK) st = ask(j, err);
    }
    return st;
}

static kf_status learn(const job *j, kf_error *err) {
    kf_session *s[2];
    values v[LEARN][2];
    float *out = malloc(2 * j->w->classes * sizeof *out);
    for (int p = 0; p < LEARN; p++)
        for (int side = 0; side < 2; side++) v[p][side] = (values){.inputs = j->inputs[side], .steps = j->steps[side]};
    kf_status st = kf__feed_sessions(j->w, s, err);
    if (st == KF_OK && !out) st = kf_error_set(err, KF_ERR_MEMORY, "out of memory for %zu classes", j->w->classes);
    if (st == KF_OK) st = learn_all(j, s, v, out, err);
    for (int p = 0; p < LEARN; p++)
        for (int side = 0; side < 2; side++) forget(&v[p][side]);
    for (int side = 0; side < 2; side++) kf_session_destroy(&s[side]);
    free(out);
    return st;
}

static void conclude(const job *j) {
    kf_comparison *w = j->w;
    for (size_t k = 0; k < w->n_nodes; k++) {
        kf_compared_node *n = &w->nodes[k];
        sums t = {0};
        for (size_t i = 0; i < w->node_images; i++)
            for (int c = 0; c < KINDS * 4; c++) t.v[c / 4][c % 4] += j->all[i * w->n_nodes + k].v[c / 4][c % 4];
        if (n->step[0] < 0 || n->step[1] < 0) continue;
        n->cosine = kf__compare_cosine(t.v[OUTPUT]), n->sqnr = kf__compare_sqnr(t.v[OUTPUT]);
        if (!j->o->costs) continue;
        n->alone_cosine = kf__compare_cosine(t.v[ALONE]), n->alone_sqnr = kf__compare_sqnr(t.v[ALONE]);
        n->cost = kf__compare_sqnr(t.v[COST]);
    }
}

static kf_status make_room(job *j, kf_error *err) {
    const kf_comparison *w = j->w;
    j->first = calloc(w->n_nodes + 1, sizeof *j->first);
    for (size_t k = 0; j->first && k < w->n_nodes; k++)
        j->first[k + 1] = j->first[k] + (same_channels(&w->nodes[k]) ? channels_of(&w->nodes[k]) : 0);
    size_t channels = j->first ? j->first[w->n_nodes] : 0;
    j->all = calloc(w->node_images * w->n_nodes + 1, sizeof *j->all);
    j->factor = calloc(channels + 1, sizeof *j->factor);
    return j->first && j->all && j->factor
               ? KF_OK
               : kf_error_set(err, KF_ERR_MEMORY, "out of memory for %zu nodes", w->n_nodes);
}

kf_status kf__compare_nodes(kf_comparison *w, const kf_compare_options *o, kf_error *err) {
    job j = {.w = w, .o = o};
    kf__crew crew = kf__feed_crew(o);
    crew.n = w->node_images, crew.one = picture, crew.ctx = &j;
    crew.before = w->samples->n, crew.total = w->samples->n + w->node_images;
    crew.fewer_threads = NULL; /* the crew over the pictures has reported it */
    kf_status st = match(&j, err);
    if (st == KF_OK) st = make_room(&j, err);
    if (st == KF_OK) st = learn(&j, err);
    if (st == KF_OK) st = kf__crew_run(&crew, err);
    if (st == KF_OK) conclude(&j);
    free(j.all);
    free(j.factor);
    free(j.first);
    for (int side = 0; side < 2; side++) free(j.node_of[side]);
    return st;
}
