/* Float and quantized network timed in turns, so that nobody ships the slower one unawares: without integer
 * instructions it can happen. Owner rule: see quantize_pace.h. */
#include "kitfox/quantize_pace.h"

#include <stdio.h>

#include "kitfox/bench.h"

kf_status quantize_pace_begin(quantize_pace *p, kf_graph *g, kf_error *err) {
    return kf_graph_compile(g, NULL, &p->m[0], err);
}

kf_status quantize_pace_measure(quantize_pace *p, kf_graph *g, kf_error *err) {
    KF_TRY(kf_graph_compile(g, NULL, &p->m[1], err));
    return kf_bench_pair((const kf_model *const[]){p->m[0], p->m[1]}, NULL, NULL, p->ms, err);
}

void quantize_pace_tell(const quantize_pace *p, json_t *object) {
    if (object) {
        json_object_set_new(object, "float_ms", json_real(p->ms[0]));
        json_object_set_new(object, "ms", json_real(p->ms[1]));
    }
    if (p->ms[1] > p->ms[0])
        fprintf(stderr,
                "kitfox: note: the quantized model is slower than its float form on this CPU (%s, threads 1): %.3f and "
                "%.3f ms\n",
                kf_cpu_name(), p->ms[1], p->ms[0]);
}

void quantize_pace_free(quantize_pace *p) {
    for (int i = 0; i < 2; i++) kf_model_destroy(&p->m[i]);
}
