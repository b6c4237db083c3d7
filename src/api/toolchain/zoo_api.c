/* Public call that lists the zoo: each architecture is built with empty weights and counted.
 * Owner rule: the graph built for counting ends with the call. */
#include "kitfox/compile.h"
#include "zoo/zoo.h"

kf_status kf_zoo_get(int32_t index, kf_zoo_entry *out, kf_error *err) {
    const kf__zoo_arch *a = kf__zoo_at(index);
    if (!a || !out) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_zoo_get: entry %d; the zoo has %d", index, kf__zoo_count());
    kf__graph *g;
    kf_zoo_entry is = {.size = sizeof is,
                       .name = a->name,
                       .width = a->size,
                       .height = a->size,
                       .top1 = (double)a->top1,
                       .source = a->source};
    kf__zoo_request r = {.arch = a, .classes = 1000, .height = a->size, .width = a->size, .parameters = &is.parameters};
    KF_TRY(kf__zoo_build(&r, &g, err));
    kf_status st = kf__graph_count(g, &is.macs, NULL, NULL, err);
    kf__graph_destroy(&g);
    KF_TRY(st);
    return kf_info_write(out, &is, "kf_zoo_entry", err);
}
