/* What the files of this folder share: the configuration behind kf_rdk_config, and the parts of a quantization.
 * load.c fills the configuration, quantize.c gives it its effect; samples.c, outputs.c and log.c serve quantize.c.
 * Owner rule: kf_rdk_free releases a configuration with everything in it. */
#ifndef KF_RDK_H
#define KF_RDK_H

#include "kitfox/lab.h"
#include "rdk/yaml.h"

/** Parse and check a file that is in memory; as kf_rdk_load. */
kf_status kf__rdk_load_memory(const char *file, const char *text, size_t bytes, kf_message_fn notice, void *user,
                              kf_rdk_config **out, kf_error *err);

#endif
