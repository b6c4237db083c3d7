/* The largest numbers of the channels, or their places.
 * Owner rule: see step_kinds.h. */
#include <math.h>

#include "runtime/steps/step_kinds.h"

/* One pass for each place finds the best number after that of the place before. NaN comes after all numbers. */
static void top(const float *x, int32_t n, int32_t k, int32_t selects, float *to) {
    const float sign = selects & KF_SELECTS_SMALLEST ? -1.0f : 1.0f;
    float last = INFINITY;
    for (int32_t j = 0, at = -1; j < k; j++) {
        float best = -INFINITY;
        int32_t found = -1;
        for (int32_t i = 0; i < n; i++) {
            const float v = sign * x[i];
            const bool after = v < last || (v == last && (i > at || j == 0));
            const bool wins = found < 0 || v > best || (v == best && selects & KF_SELECTS_LAST);
            if (after && wins) best = v, found = i;
        }
        to[j] = selects & KF_SELECTS_INDICES ? (float)kf__max_i64(found, 0) : sign * best;
        last = best, at = found;
    }
}

static void run_top(const kf__exec *x, const kf__prepared *s) {
    kf__job j = kf__job_of(x, s);
    size_t c = (size_t)j.in->c, k = (size_t)j.out->c, rows = kf__ptensor_count(j.out) / k;
    for (size_t r = 0; r < rows; r++)
        top(kf__f32_of(j.src) + r * c, j.in->c, j.out->c, j.s->selects, (float *)(void *)j.dst + r * k);
}

kf_status kf__prepare_top_f32(kf__preparing *k) {
    k->to->run = run_top;
    return KF_OK;
}
