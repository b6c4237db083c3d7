/* The table of keys, from keys.def.
 * Owner rule: static data. */
#include "quantize/config.h"

const char *const kf__qgroups[KF_QG_COUNT] = {"model_parameters", "input_parameters", "calibration_parameters",
                                              "compiler_parameters", "custom_op"};

const kf__qkey_info kf__qkeys[KF_QK_COUNT] = {
#define KF_KEY(id, group, name, type, allowed, notice) {name, KF_QG_##group, KF_QT_##type, allowed, notice},
#include "quantize/keys.def"
#undef KF_KEY
};
