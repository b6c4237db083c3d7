/* Writes integers into the graph, in the forms that docs/NUMERICS.md names.
 * Owner rule: see store.h. */
#include "quantize/store.h"

#include <math.h>
#include <stdio.h>

static kf_status set_input(kf__sim *s, kf__node *n, int index, kf__vid v) {
    if (v < 0) KF_FAIL(s->err, KF_ERR_MEMORY, "%s: out of memory", n->name);
    if (index >= n->n_in) {
        kf__vid *in = kf__arena_array(&s->graph->arena, (size_t)index + 1, sizeof *in);
        if (!in) KF_FAIL_MEMORY(s->err, sizeof *in);
        for (int k = 0; k < index; k++) in[k] = k < n->n_in ? n->in[k] : KF_NO_VALUE;
        n->in = in;
        n->n_in = index + 1;
    }
    n->in[index] = v;
    return KF_OK;
}

kf_status kf__store_weights(kf__sim *s, kf__node *n, int index, const kf__sim_layer *l, const int32_t *q,
                            const float *scale, int32_t qmax) {
    kf__graph *g = s->graph;
    kf_dtype dtype = qmax > 127 ? KF_I16 : KF_I8;
    const kf__shape shape = g->values[n->in[index]].shape;
    const kf__filters f = kf__sim_filters(l);
    size_t size = kf_dtype_size(dtype);
    char *data = kf__mem_alloc(NULL, l->o * l->k * size);
    if (!data) KF_FAIL_MEMORY(s->err, l->o * l->k * size);
    for (size_t o = 0; o < f.o; o++)
        for (size_t i = 0; i < f.i; i++)
            for (size_t tap = 0; tap < f.taps; tap++) {
                int32_t x = q[kf__filters_row(&f, o, i, tap)];
                size_t at = kf__filters_graph(&f, o, i, tap);
                if (dtype == KF_I8) ((int8_t *)data)[at] = (int8_t)x;
                else ((int16_t *)(void *)data)[at] = (int16_t)x;
            }
    char name[256];
    /* A new constant: others may read the float one. */
    snprintf(name, sizeof name, "%.200s.q%d", n->name, index);
    kf__vid v = kf__graph_add_const(g, name, dtype, &shape, data);
    kf__mem_free(NULL, data);
    KF_TRY(set_input(s, n, index, v));
    kf__quant *wq = kf__arena_zalloc(&g->arena, sizeof *wq);
    float *scales = kf__arena_copy(&g->arena, scale, l->o * sizeof *scale);
    if (!wq || !scales) KF_FAIL_MEMORY(s->err, l->o * sizeof *scale);
    *wq = (kf__quant){
        .dtype = dtype, .scale = scale[0], .qmin = -qmax, .qmax = qmax, .channels = (int32_t)l->o, .scales = scales};
    g->values[v].quant = wq;
    return KF_OK;
}

/* A little less than the type's range, because corrections are added later. */
static int32_t to_i32(double x) { return (int32_t)kf__whole(rint(x), -2147483000, 2147483000, 0); }

kf_status kf__store_bias(kf__sim *s, kf__node *n, int index, size_t o, const double *bias, const float *s_in,
                         const float *scale, bool as_float) {
    kf__shape shape = kf__shape_make(1, (int64_t[]){(int64_t)o});
    int32_t *data = kf__mem_alloc(NULL, o * sizeof *data);
    char name[256];
    if (!data) KF_FAIL_MEMORY(s->err, o * sizeof *data);
    for (size_t k = 0; k < o; k++) {
        float f = (float)bias[k];
        if (as_float) memcpy(&data[k], &f, sizeof f);
        else data[k] = to_i32(bias[k] / ((double)s_in[k] * (double)scale[k]));
    }
    snprintf(name, sizeof name, "%.200s.b%d", n->name, index);
    kf__vid v = kf__graph_add_const(s->graph, name, as_float ? KF_F32 : KF_I32, &shape, data);
    kf__mem_free(NULL, data);
    return set_input(s, n, index, v);
}

/* The bias of one border class: the layer's bias minus the contribution of the mean at its taps. */
static void pixel_row(const kf__sim *s, const kf__sim_layer *l, const int32_t *q, const double *bias,
                      const float *scale, kf__taps rows, kf__taps columns, int32_t *to) {
    const kf__filters f = kf__sim_filters(l);
    for (size_t o = 0; o < l->o; o++) {
        double taken = 0;
        for (int32_t ky = rows.first; ky < rows.first + rows.count; ky++)
            for (int32_t kx = columns.first; kx < columns.first + columns.count; kx++)
                for (size_t i = 0; i < f.i; i++)
                    taken += q[kf__filters_row(&f, o, i, (size_t)ky * (size_t)l->window.kw + (size_t)kx)] *
                             s->mean[kf__sim_channel(l, o, i)];
        to[o] = to_i32(bias[o] / (double)scale[o] - taken);
    }
}

/* A table with one row for each pair of a vertical and a horizontal border class. */
kf_status kf__store_pixel_bias(kf__sim *s, kf__node *n, const kf__sim_layer *l, const int32_t *q, const double *bias,
                               const float *scale) {
    size_t most = (l->y.h > l->y.w ? l->y.h : l->y.w) + 1;
    const kf__axis down = kf__window_rows(&l->window), across = kf__window_columns(&l->window);
    kf__taps *taps = kf__mem_alloc(NULL, 2 * most * sizeof *taps);
    int32_t *table = NULL;
    char name[256];
    if (!taps) KF_FAIL_MEMORY(s->err, 2 * most * sizeof *taps);
    size_t ny = (size_t)kf__border_classes(&down, (int64_t)l->x.h, (int64_t)l->y.h, NULL, taps);
    size_t nx = (size_t)kf__border_classes(&across, (int64_t)l->x.w, (int64_t)l->y.w, NULL, taps + most);
    if ((table = kf__mem_alloc(NULL, ny * nx * l->o * sizeof *table)))
        for (size_t i = 0; i < ny * nx; i++)
            pixel_row(s, l, q, bias, scale, taps[i / nx], taps[most + i % nx], table + i * l->o);
    kf__shape shape = kf__shape_make(2, (int64_t[]){(int64_t)(ny * nx), (int64_t)l->o});
    snprintf(name, sizeof name, "%.200s.b2", n->name);
    kf__vid v = table ? kf__graph_add_const(s->graph, name, KF_I32, &shape, table) : -1;
    kf__mem_free(NULL, taps);
    kf__mem_free(NULL, table);
    return set_input(s, n, 2, v);
}
