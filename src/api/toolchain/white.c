/* Does the network itself normalize the pixels that it gets? Found from the constants that stand between the input and
 * the first layer: they tell whether the input is in 0..255 or in 0..1. Calls passes.
 * Owner rule: the graph is only read; a simplified copy ends with the call. */
#include <float.h>
#include <math.h>

#include "api/toolchain/graph_api.h"
#include "passes/passes.h"

/* y = a x + b of each channel so far, in the order of the constants: channels may change places on the way. */
typedef struct map {
    double a[3], b[3];
    int found;
} map;

/* One number, or one for each of three channels on whatever axis. */
static bool three(const kf__graph *g, kf__vid v, double out[3]) {
    float one;
    if (kf__match_scalar(g, v, &one)) {
        for (int c = 0; c < 3; c++) out[c] = (double)one;
        return true;
    }
    if (!kf__match_is_const(g, v) || g->values[v].dtype != KF_F32 || g->values[v].bytes != 3 * sizeof(float))
        return false;
    for (int c = 0; c < 3; c++) out[c] = (double)((const float *)g->values[v].data)[c];
    return true;
}

/* Sums and products only: a batch norm is part of what was trained. */
static bool apply(const kf__graph *g, const kf__node *n, map *m) {
    bool sum = n->op == KF_OP_ADD || n->op == KF_OP_SUB, product = n->op == KF_OP_MUL || n->op == KF_OP_DIV;
    if ((!sum && !product) || n->n_in != 2) return false;
    int x = kf__match_is_const(g, n->in[0]) ? 1 : 0;
    double k[3];
    if (!three(g, n->in[1 - x], k) || (n->op == KF_OP_DIV && x == 1)) return false;
    for (int c = 0; c < 3; c++) {
        double factor = n->op == KF_OP_DIV ? 1 / k[c] : k[c];
        if (product) m->a[c] *= factor, m->b[c] *= factor;
        if (n->op == KF_OP_SUB && x == 1) m->a[c] = -m->a[c], m->b[c] = -m->b[c];
        if (sum) m->b[c] += n->op == KF_OP_SUB && x == 0 ? -k[c] : k[c];
    }
    m->found = 1;
    return true;
}

/* Other orders, shapes and types of the same numbers. */
static bool hands_on(const kf__node *n) {
    return kf__op_is_view(n->op) || n->op == KF_OP_IDENTITY || n->op == KF_OP_CAST || n->op == KF_OP_TRANSPOSE ||
           n->op == KF_OP_GATHER || n->op == KF_OP_SLICE;
}

static map follow(const kf__graph *g) {
    enum { MOST_NODES = 16 };
    map m = {.a = {1, 1, 1}};
    kf__vid v = g->inputs[0];
    for (int i = 0; i < MOST_NODES; i++) {
        const kf__node *n = kf__match_user(g, v);
        if (!n || n->n_out < 1 || !(apply(g, n, &m) || (n->in[0] == v && hands_on(n)))) break;
        v = n->out[0];
    }
    return m;
}

/* The value of white, 255 or 1, if the channel normalizes pixels of that range; else 0. The pixel that becomes 0 is the
 * mean of pictures, or white in a network that inverts. Without a shift, the factor tells. Means alone, without a
 * factor, are Caffe's: its networks take pixels of 0..255. */
static double white_of(double a, double b) {
    const double most = 300; /* from black to white: 255 in Caffe's networks, and some std below 1 */
    double size = fabs(a), zero = -b / a;
    if (!isfinite(a) || !isfinite(b) || size < DBL_MIN || size > most) return 0;
    if (b == 0 && size > 200) return 1;
    if (b == 0) return size * 255 >= 0.5 && size * 255 <= 12 ? 255 : 0;
    if (zero >= 50 && zero <= 255 && size * 255 >= 0.5 && size * 255 <= most) return 255;
    bool mean = (zero >= 0.2 && zero <= 0.8) || (a < 0 && zero == 1);
    return mean && size >= 0.5 ? 1 : 0;
}

kf_status kf__graph_white(const kf__graph *g, uint64_t max_fold_bytes, double *white, kf_error *err) {
    kf__graph *copy;
    kf_error why = {KF_OK, ""};
    kf__vid v = g->inputs[0];
    *white = 0;
    const kf__node *first = kf__match_user(g, v);
    if (!first || kf__op_is_layer(first->op)) return KF_OK;
    KF_TRY(kf__graph_clone(g, &copy, err));
    copy->max_fold_bytes = max_fold_bytes;
    kf_status st = kf__passes_run(copy, KF_OPTIMIZE_SIMPLIFY, &why);
    map m = {0};
    if (st == KF_OK) m = follow(copy);
    kf__graph_destroy(&copy);
    if (st == KF_ERR_MEMORY) KF_FAIL(err, st, "%s", why.text);
    for (int c = 0; m.found && c < 3; c++) {
        double w = white_of(m.a[c], m.b[c]);
        if (c > 0 && w != *white) w = 0;
        *white = w;
        if (w == 0) break;
    }
    return KF_OK;
}
