/* Parts of kitfox info.
 * Owner rule: the caller releases what is returned. */
#ifndef KITFOX_INFO_H
#define KITFOX_INFO_H

#include "common/cli.h"

/** All inputs or all outputs, as in docs/JSON.md. */
json_t *info_tensors_json(const kf_model *m, const kf_model_info *info, bool inputs);
/** Name, type and shape of an input or output. */
json_t *info_tensor_json(const kf_tensor *t);
/** All members by name; null where there is no preprocessing. */
json_t *info_preprocess_json(const kf_preprocess *p);
/** The model and its meaning; `nodes`: also its compiled steps. `model`: the name it was given by; NULL: the built-in
 * one. */
void info_print_json(const kf_model *m, const kf_model_info *info, const char *model, bool nodes);
/** The same in words. */
void info_print_text(const kf_model *m, const kf_model_info *info, bool nodes);
/** The value of the key `cpus`. */
json_t *info_cpus_json(void);
/** The instruction sets of the library, and which of them run here. */
void info_print_cpus(bool as_json);

#endif
