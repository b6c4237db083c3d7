/* A network that normalizes its pixels itself, in front of a convolution with padding, has a depthwise 1x1 convolution
 * there. On integers that is a rounding and a step too many: the layer behind it can read pixels with the map's own
 * mean and std. The declared input stays what it was.
 * Owner rule: nothing is allocated but names, in the graph's arena. */
#include <math.h>

#include "quantize/assign.h"

static bool const_f32(const kf__graph *g, kf__vid v) {
    return v >= 0 && g->values[v].data && g->values[v].dtype == KF_F32;
}

static kf__node *only_reader(kf__graph *g, kf__vid v) {
    int32_t only;
    if (kf__graph_uses(g, v, &only) != 1 || only < 0) return NULL;
    kf__node *n = &g->nodes[only];
    return n->op == KF_OP_CONV && n->in[0] == v ? n : NULL;
}

/* One tap for each channel and nothing behind it. */
static bool is_map(const kf__graph *g, const kf__node *n) {
    const kf__attrs *a = &n->attrs;
    const kf__shape *w = &g->values[n->in[1]].shape;
    bool bare = a->act.kind == KF_ACT_NONE && a->post_act.kind == KF_ACT_NONE && (n->n_in < 4 || n->in[3] < 0);
    bool bias = n->n_in < 3 || n->in[2] < 0 || const_f32(g, n->in[2]);
    return bare && bias && const_f32(g, n->in[1]) && kf__window_is_unit(&a->window) && w->dim[1] == 1 &&
           w->dim[0] == a->window.group && w->dim[0] <= 3;
}

/* Pixels come as they are: the network, and nobody before it, normalizes them. */
static bool is_plain(const kf_preprocess *p) {
    bool plain = p->valid != 0;
    for (int c = 0; c < 3; c++) plain = plain && p->mean[c] == 0 && p->std[c] == p->std[0];
    return plain;
}

/* (pixel / 255 - mean) / std of the new preprocessing is what the map makes of the old. */
static bool compose(const kf__graph *g, const kf__node *map, kf_preprocess *p) {
    const float *a = g->values[map->in[1]].data, *b = NULL;
    if (map->n_in > 2 && map->in[2] >= 0) b = g->values[map->in[2]].data;
    for (int c = 0; c < map->attrs.window.group; c++) {
        double scale = (double)a[c], shift = b ? (double)b[c] : 0;
        p->std[c] /= scale;
        p->mean[c] -= shift * p->std[c];
        if (!(fabs(p->std[c]) > 1e-9 && fabs(p->std[c]) < 1e9 && fabs(p->mean[c]) < 1e6)) return false;
    }
    return true;
}

kf_status kf__input_map_take(kf__graph *g, kf_error *err) {
    kf__node *map = only_reader(g, g->inputs[0]), *next = map ? only_reader(g, map->out[0]) : NULL;
    kf_preprocess p = g->meta.preprocess;
    if (!next || !is_plain(&p) || !is_map(g, map) || !compose(g, map, &p)) return KF_OK;
    KF_TRY(kf__graph_merge_sources(g, next, map, err));
    next->in[0] = map->in[0];
    map->dead = true;
    g->meta.preprocess = p;
    return kf__graph_compact(g, err);
}
