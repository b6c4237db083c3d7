/* The order in which the nodes of a file are read. ONNX wants producers first; a file that has them later is read as if
 * it were sorted, so that every node finds the shapes and constants before it.
 * Owner rule: see onnx_private.h. */
#include "import/onnx_private.h"

#include <stdlib.h>

/* The maker of each name: the first node that lists it as an output. */
static bool name_outputs(const Onnx__GraphProto *p, kf__name_index *makers) {
    for (size_t i = 0; i < p->n_node; i++)
        for (size_t k = 0; k < p->node[i]->n_output; k++) {
            const char *name = p->node[i]->output[k];
            if (*name && !kf__name_index_find(makers, name) && !kf__name_index_put(makers, name, (int32_t)i))
                return false;
        }
    return true;
}

static bool fill_needs(const Onnx__GraphProto *p, const kf__name_index *makers, size_t *first, int32_t *node) {
    bool sorted = true;
    size_t edges = 0;
    for (size_t i = 0; i < p->n_node; i++) {
        first[i] = edges;
        for (size_t k = 0; k < p->node[i]->n_input; k++) {
            const int32_t *maker = kf__name_index_find(makers, p->node[i]->input[k]);
            node[edges++] = maker ? *maker : -1;
            sorted = sorted && (!maker || (size_t)*maker < i);
        }
    }
    first[p->n_node] = edges;
    return sorted;
}

kf_status kf__onnx_sequence(kf__onnx *o, const Onnx__GraphProto *p, int32_t *order) {
    kf__name_index makers = {0};
    size_t edges = 0, placed = 0;
    for (size_t i = 0; i < p->n_node; i++) edges += p->node[i]->n_input;
    size_t *first = calloc(p->n_node + 1, sizeof *first);
    int32_t *node = calloc(edges + 1, sizeof *node);
    kf_status st = KF_OK;
    if (!first || !node || !name_outputs(p, &makers)) {
        st = kf_error_set(o->err, KF_ERR_MEMORY, "out of memory while sorting %zu nodes", p->n_node);
    } else if (!fill_needs(p, &makers, first, node)) {
        const kf__needs needs = {p->n_node, first, node};
        st = kf__order_nodes(&needs, NULL, order, &placed, o->err);
    }
    /* Sorted already, or a cycle, which is reported once the graph is complete. */
    for (size_t i = 0; placed < p->n_node && i < p->n_node; i++) order[i] = (int32_t)i;
    kf__name_index_free(&makers);
    free(first);
    free(node);
    return st;
}
