/* Node by node: both networks run from the picture, each of B's nodes also on A's inputs, and what that does to A's output.
 * Floor 7. Every picture has its own sums, so results do not depend on the threads.
 * Owner rule: the values of one picture live until the next. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/pair.h"

enum { OUTPUT = 0, ALONE = 1, COST = 2, KINDS = 3 }; /* which comparison */

typedef struct sums {
    double v[KINDS][4]; /* A's power, B's power, product, power of the difference */
} sums;

typedef struct job {
    pair *w;
    sums *all;            /* [pictures][nodes] */
    int32_t *node_of[2];  /* by step of each model; -1 */
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

static double cosine(const double *s) { return s[0] > 0 && s[1] > 0 ? s[2] / sqrt(s[0] * s[1]) : s[0] == s[1]; }
static double sqnr(const double *s) { return s[3] > 0 ? 10 * log10(s[0] / s[3]) : INFINITY; }

static size_t count(const kf_step_info *s) { return (size_t)(s->shape[0] * s->shape[1] * s->shape[2] * s->shape[3]); }

/* ---- which node is which --------------------------------------------------------------------------------------------- */

/* The step of B with this name and size that no node has yet. */
static int32_t twin(const job *j, const kf_step_info *a) {
    kf_step_info b;
    kf_error err;
    for (int32_t i = 0; i < j->steps[1]; i++)
        if (j->node_of[1][i] < 0 && kf_model_step(j->w->m[1], i, &b, &err) == KF_OK && strcmp(a->name, b.name) == 0 && count(a) == count(&b)) return i;
    return -1;
}

static kf_status match(job *j, kf_error *err) {
    pair *w = j->w;
    for (int side = 0; side < 2; side++) {
        kf_model_info info;
        kf_model_get_info(w->m[side], &info);
        j->steps[side] = info.n_steps, j->inputs[side] = info.n_inputs;
        j->node_of[side] = malloc(((size_t)info.n_steps + 1) * sizeof *j->node_of[side]);
        for (int32_t i = 0; j->node_of[side] && i < info.n_steps; i++) j->node_of[side][i] = -1;
    }
    w->nodes = calloc((size_t)j->steps[0] + (size_t)j->steps[1] + 1, sizeof *w->nodes);
    if (!w->nodes || !j->node_of[0] || !j->node_of[1]) return cli_error(err, KF_ERR_MEMORY, "out of memory for the nodes");
    for (int side = 0; side < 2; side++)
        for (int32_t i = 0; i < j->steps[side]; i++) {
            if (side == 1 && j->node_of[1][i] >= 0) continue;
            pair_node *n = &w->nodes[w->n_nodes];
            *n = (pair_node){.step = {-1, -1}, .cosine = NAN, .sqnr = NAN, .alone_cosine = NAN, .alone_sqnr = NAN, .cost = NAN};
            kf_status st = kf_model_step(w->m[side], i, &n->info[side], err);
            if (st != KF_OK) return st;
            n->name = n->info[side].name;
            n->step[side] = i;
            if (side == 0) n->step[1] = twin(j, &n->info[0]);
            for (int k = 0; k < 2; k++)
                if (n->step[k] >= 0) j->node_of[k][n->step[k]] = (int32_t)w->n_nodes;
            if (side == 0 && n->step[1] >= 0) st = kf_model_step(w->m[1], n->step[1], &n->info[1], err);
            if (st != KF_OK) return st;
            w->n_nodes++;
        }
    return KF_OK;
}

/* ---- one picture ----------------------------------------------------------------------------------------------------- */

static void keep(void *user, int32_t step, const float *x, size_t n) {
    values *v = user;
    float **to = step < 0 ? &v->at[-1 - step] : &v->at[v->inputs + step];
    if (!*to) *to = malloc(n * sizeof **to + 1);
    if (*to) memcpy(*to, x, n * sizeof **to);
    else v->failed = true;
}

static const float *value(const values *v, int32_t step) { return step < 0 ? v->at[-1 - step] : v->at[v->inputs + step]; }

static void forget(values *v) {
    for (int32_t i = 0; v->at && i < v->inputs + v->steps; i++) free(v->at[i]);
    free(v->at);
}

/* B's node on A's inputs, which are rounded as B stores them. What only B has (its own conversions) comes from B. */
static kf_status run_alone(const job *j, const pair_node *n, kf_session *b, const values *v, float *out, kf_error *err) {
    const float *in[16];
    for (int32_t k = 0; k < n->info[1].n_in; k++) {
        int32_t from = n->info[1].in[k], node = from < 0 ? -1 : j->node_of[1][from];
        int32_t twin_step = node < 0 ? -1 : j->w->nodes[node].step[0];
        in[k] = twin_step >= 0 ? value(&v[0], twin_step) : value(&v[1], from);
    }
    return kf_session_run_step(b, n->step[1], in, out, err);
}

static kf_status alone(const job *j, size_t i, kf_session *const *s, const values *v, const pair_input *in, float *plain, float *changed, kf_error *err) {
    const pair *w = j->w;
    kf_status st = KF_OK;
    for (size_t k = 0; st == KF_OK && k < w->n_nodes; k++) {
        const pair_node *n = &w->nodes[k];
        sums *to = &j->all[i * w->n_nodes + k];
        if (n->step[0] < 0 || n->step[1] < 0) continue;
        float *out = malloc(count(&n->info[1]) * sizeof *out + 1);
        if (!out) return cli_error(err, KF_ERR_MEMORY, "out of memory for the values of %.200s", n->name);
        st = run_alone(j, n, s[1], v, out, err);
        if (st == KF_OK) add(to->v[ALONE], value(&v[0], n->step[0]), out, count(&n->info[0]));
        if (st == KF_OK) st = kf_session_replace(s[0], n->step[0], out, err);
        if (st == KF_OK) st = pair_forward(w, 0, s[0], in, changed, err);
        if (st == KF_OK) add(to->v[COST], plain, changed, w->classes);
        if (st == KF_OK) st = kf_session_replace(s[0], -1, NULL, err);
        free(out);
    }
    return st;
}

static kf_status run_both(const job *j, size_t i, kf_session *const *s, values *v, const pair_input *in, float *out, kf_error *err) {
    const pair *w = j->w;
    kf_status st = KF_OK;
    for (int side = 0; side < 2 && st == KF_OK; side++) {
        v[side].at = calloc((size_t)(v[side].inputs + v[side].steps) + 1, sizeof *v[side].at);
        if (!v[side].at) return cli_error(err, KF_ERR_MEMORY, "out of memory for the values of the nodes");
        st = kf_session_watch(s[side], keep, &v[side], err);
        if (st == KF_OK) st = pair_forward(w, side, s[side], in, side ? out + w->classes : out, err);
        if (st == KF_OK) st = kf_session_watch(s[side], NULL, NULL, err);
        if (st == KF_OK && v[side].failed) st = cli_error(err, KF_ERR_MEMORY, "out of memory for the values of the nodes");
    }
    for (size_t k = 0; st == KF_OK && k < w->n_nodes; k++) {
        const pair_node *n = &w->nodes[k];
        if (n->step[0] >= 0 && n->step[1] >= 0) add(j->all[i * w->n_nodes + k].v[OUTPUT], value(&v[0], n->step[0]), value(&v[1], n->step[1]), count(&n->info[0]));
    }
    return st;
}

static kf_status picture(void *ctx, size_t i, kf_session *const *s, kf_error *err) {
    const job *j = ctx;
    const pair *w = j->w;
    values v[2] = {{.inputs = j->inputs[0], .steps = j->steps[0]}, {.inputs = j->inputs[1], .steps = j->steps[1]}};
    pair_input in;
    float *out = malloc(3 * w->classes * sizeof *out);
    if (!out) return cli_error(err, KF_ERR_MEMORY, "out of memory for %zu classes", w->classes);
    kf_status st = pair_load(w, i * w->p->n / w->node_images, &in, err);
    if (st == KF_OK) st = run_both(j, i, s, v, &in, out, err);
    if (st == KF_OK && w->costs) st = alone(j, i, s, v, &in, out, out + 2 * w->classes, err);
    pair_unload(&in);
    for (int side = 0; side < 2; side++) forget(&v[side]);
    free(out);
    return st;
}

static void conclude(const job *j) {
    pair *w = j->w;
    for (size_t k = 0; k < w->n_nodes; k++) {
        pair_node *n = &w->nodes[k];
        sums t = {0};
        for (size_t i = 0; i < w->node_images; i++)
            for (int c = 0; c < KINDS * 4; c++) t.v[c / 4][c % 4] += j->all[i * w->n_nodes + k].v[c / 4][c % 4];
        if (n->step[0] < 0 || n->step[1] < 0) continue;
        n->cosine = cosine(t.v[OUTPUT]), n->sqnr = sqnr(t.v[OUTPUT]);
        if (!w->costs) continue;
        n->alone_cosine = cosine(t.v[ALONE]), n->alone_sqnr = sqnr(t.v[ALONE]);
        n->cost = sqnr(t.v[COST]);
    }
}

kf_status pair_run_nodes(pair *w, kf_error *err) {
    job j = {.w = w};
    w->node_images = w->node_limit < w->p->n ? w->node_limit : w->p->n;
    kf_status st = match(&j, err);
    if (st == KF_OK && !(j.all = calloc(w->node_images * w->n_nodes + 1, sizeof *j.all))) st = cli_error(err, KF_ERR_MEMORY, "out of memory for %zu nodes", w->n_nodes);
    if (st == KF_OK) st = pair_parallel(w, w->node_images, picture, &j, "pictures for the nodes", err);
    if (st == KF_OK) conclude(&j);
    free(j.all);
    for (int side = 0; side < 2; side++) free(j.node_of[side]);
    return st;
}
