/* What `bench` prints: a line a measurement, the lines of `hrt_model_exec perf`, a row of the reference page's table.
 * Owner rule: borrows everything. */
#ifndef KITFOX_BENCH_PRINT_H
#define KITFOX_BENCH_PRINT_H

#include "common/cli.h"
#include "kitfox/bench.h"

/** A measurement of the model `name`: text with its profile, or JSON. `peak`: bytes of memory; 0: not measured. */
/** A note when the governor of the frequency is not the one for measurements. */
void bench_note_core(void);
void bench_print(const char *name, const kf_bench_result *r, const kf_model *m, int64_t peak, bool json);

/** The end block of `hrt_model_exec perf` and its line every 200 frames, with the same words and spacing. */
kf_status bench_print_rdk(const kf_bench_result *r, kf_error *err);

/** Where a row of the reference page's table comes from. */
typedef struct bench_table {
    const cli_common *common;
    const char *data, *float_model; /**< NULL: no accuracies; none of the float form */
    int frames;                     /**< as in kf_bench_row_options */
    const int *counts;              /**< [n_counts]: the largest is the number of sessions; none: all cores */
    int n_counts;
} bench_table;
/** Measure a row and print it, behind the table's head where it is the first. */
kf_status bench_print_table(const bench_table *o, const kf_model *m, const char *name, bool first, kf_error *err);

/** Medians seen so far. */
typedef struct bench_paces {
    kf_bench_pace seen[32];
    size_t n;
} bench_paces;
/** Add a measurement of the model `name`, which has to live as long; a note on standard error for each earlier one with
 *  which it shows that a quantized model is slower than its float form. What is too many is not compared. */
void bench_note_slower(bench_paces *p, const char *name, const kf_bench_result *r, const kf_model *m);

#endif
