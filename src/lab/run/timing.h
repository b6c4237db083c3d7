/* Timing, for the table and for pairs of models.
 * Owner rule: see bench.h. */
#ifndef KITFOX_LAB_TIMING_H
#define KITFOX_LAB_TIMING_H

#include "kitfox/bench.h"

/** kf_bench with options that were read; `out` is whole. *started: sessions that got a thread, also where it failed
 *  because others did not. */
kf_status kf__bench_run(const kf_model *m, const kf_bench_options *o, kf_bench_result *out, int32_t *started,
                        kf_error *err);

#endif
