/* What kitfox-run has in place of programs/common/cli_import.c: no import and no built-in model.
 * Owner rule: nothing is made here. */
#include "common/cli.h"

const char cli_program[] = "kitfox-run";

kf_status cli_compile(const char *arg, const cli_common *c, const kf_model_options *o, kf_model **out, kf_error *err) {
    (void)c, (void)o, (void)out;
    return cli_error(err, KF_ERR_UNSUPPORTED,
                     "%.600s: %s runs compiled models only; make one by kitfox import on a machine that has it", arg,
                     cli_program);
}

size_t cli_builtin(const void **data) {
    *data = NULL;
    return 0;
}
