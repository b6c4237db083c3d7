/* The sweep over the calls of lab.h.
 * Owner rule: see oom.h. */
#include "oom.h"

#if KF_OOM_PROGRAM
#include "kitfox/lab.h"

static kf_status do_paired(fixture *f, kf_error *err) {
    double lo, hi;
    (void)f;
    kf_paired_interval(3, 5, 100, &lo, &hi);
    if (kf_mcnemar(3, 5) > 1 || lo > hi) KF_FAIL(err, KF_ERR_INTERNAL, "impossible statistics");
    return KF_OK;
}

const oom_case oom_lab[] = {{"paired statistics", do_paired, OOM_NONE}, {0}};
#else
const oom_case oom_lab[] = {{0}};
#endif
