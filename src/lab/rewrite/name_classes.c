/* Labels for a graph, shifted where one of both has a background class.
 * Owner rule: labels stay the caller's. */
#include <stdlib.h>
#include <string.h>

#include "data/labels.h"

kf_status kf_graph_name_classes(kf_graph *graph, const kf_labels *labels, kf_message_fn notice, void *user,
                                kf_error *err) {
    kf_tensor out;
    int shift;
    if (!graph || !labels) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_graph_name_classes: graph and labels are needed");
    KF_TRY(kf_graph_output(graph, 0, &out, err));
    if (labels->n && !out.bytes) { /* its shape has to be folded: TensorFlow's padding */
        KF_TRY(kf_graph_optimize(graph, KF_OPTIMIZE_FUSE, err));
        KF_TRY(kf_graph_output(graph, 0, &out, err));
    }
    KF_TRY(kf__labels_shift(labels, kf__labels_classes(&out), NULL, notice, user, &shift, err));
    if (shift <= 0)
        return kf_graph_set_labels(graph, (const char *const *)labels->items - shift, labels->n + shift, err);
    const char **names = malloc(((size_t)labels->n + 1) * sizeof *names);
    if (!names) KF_FAIL(err, KF_ERR_MEMORY, "out of memory for %d labels", labels->n + 1);
    names[0] = KF__BACKGROUND;
    memcpy(names + 1, labels->items, (size_t)labels->n * sizeof *names);
    kf_status st = kf_graph_set_labels(graph, names, labels->n + 1, err);
    free(names);
    return st;
}
