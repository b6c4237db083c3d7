/* Where kitfox run puts what a model gives: one file, one for each output, or one .npz for all.
 * Owner rule: run_outputs_free releases the names. */
#ifndef KITFOX_RUN_OUTPUTS_H
#define KITFOX_RUN_OUTPUTS_H

#include "common/files.h"
#include "kitfox/bench.h"

enum { RUN_MAX_OUTPUTS = 64 }; /* -o on one command line */

/** What -o says, and what becomes of it. */
typedef struct run_outputs {
    const char *given[RUN_MAX_OUTPUTS];
    int n_given;
    char **paths; /* of output k of the model; NULL: all go to given[0], an .npz file */
    int n;        /* outputs of the model */
} run_outputs;

/** Does a name stand for one file, without %s and %d? */
bool run_output_is_plain(const char *name);
/** The names for the outputs of `m`. ARGUMENT: the forms do not fit their number; MEMORY. */
kf_status run_outputs_name(run_outputs *o, const kf_model *m, kf_error *err);
/** cli_outputs_check for every file. */
kf_status run_outputs_check(const run_outputs *o, const char *const *inputs, size_t n, kf_error *err);
kf_status run_outputs_write(const run_outputs *o, const kf_run_result *r, kf_error *err);
/** The file of output k. */
const char *run_outputs_path(const run_outputs *o, size_t k);
void run_outputs_free(run_outputs *o);

#endif
