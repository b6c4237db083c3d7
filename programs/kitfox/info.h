/* Parts of kitfox info.
 * Owner rule: the caller releases what is returned. */
#ifndef KITFOX_INFO_H
#define KITFOX_INFO_H

#include "common/cli.h"

/** Name, type and shape of an input or output. */
json_t *info_tensor_json(const kf_tensor *t);
/** All members by name; null where there is no preprocessing. */
json_t *info_preprocess_json(const kf_preprocess *p);
/** The instruction sets of the library, and which of them run here. */
void info_print_cpus(bool as_json);

#endif
