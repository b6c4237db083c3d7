/* Float and quantized network timed in turns, so that nobody ships the slower one unawares: without integer
 * instructions it can happen. Owner rule: see quantize_pace.h. */
#include "kitfox/quantize_pace.h"

#include <stdio.h>
#include <stdlib.h>

#include "kitfox/bench.h"

enum { TURNS = 7, FRAMES = 3 };

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

kf_status quantize_pace_begin(quantize_pace *p, kf_graph *g, kf_error *err) {
    return kf_graph_compile(g, NULL, &p->m[0], err);
}

kf_status quantize_pace_measure(quantize_pace *p, kf_graph *g, kf_error *err) {
    double ms[2][TURNS], start = cli_now_ms();
    int turns = 0;
    kf_status st = kf_graph_compile(g, NULL, &p->m[1], err);
    for (; st == KF_OK && turns < TURNS && (turns == 0 || cli_now_ms() - start < 500); turns++)
        for (int i = 0; st == KF_OK && i < 2; i++) {
            bench_result r;
            st = bench_run(p->m[i], 1, 1, FRAMES, false, &r, err);
            if (st != KF_OK) break;
            ms[i][turns] = r.median;
            bench_close(&r);
        }
    for (int i = 0; st == KF_OK && i < 2; i++) {
        qsort(ms[i], (size_t)turns, sizeof(double), by_value);
        p->ms[i] = ms[i][turns / 2];
    }
    return st;
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
